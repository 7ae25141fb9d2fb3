//! What is done by itself: a look each second, at the schedule and at the ledger's copies, and the end of both.

use std::sync::{Arc, mpsc};
use std::thread::Builder;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use vault_core::backup::target;
use vault_core::backup::write::Parts;
use vault_core::jobs::{JobKind, JobState};
use vault_core::refusal::Refusal;
use vault_core::vault::{Call, Vault};

use super::ledger;
use super::work::Worker;
use crate::state::App;

/// How often key parts are gone after that should be deleted by now.
const PRUNE_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How soon where somebody was in the way.
const PRUNE_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// How long a stop waits for a backup that was asked to end, and for the last copy of the ledger.
const LAST: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);

/// Makes a backup if one is due; blocks until it is made.
pub(crate) fn schedule(app: &App) {
    let backups = app.backups();
    let Some(vault) = app.vault() else { return };
    let Ok(target) = backups.target() else {
        return;
    };
    if !learned(app, &vault, &target.place()) {
        return;
    }
    let now = app.settings().clock.now();
    let every = backups.config.every.as_ref();
    let due = every.is_some_and(|every| backups.standing.lock().schedule.due(every, now));
    let principal = vault.server();
    let worker = Worker {
        app: app.clone(),
        vault: vault.clone(),
        principal,
    };
    if due {
        match vault.backup_job() {
            Ok(job) => worker.back_up(Parts::Both, job),
            // Somebody makes one, or gives one new keys: it is looked again in a second.
            Err(Refusal::Conflict(_)) => {}
            Err(error) => {
                tracing::error!(target: "vault_server::backups", %error, "a backup could not be begun");
                backups.standing.lock().schedule.failed(now);
            }
        }
        return;
    }
    // Where backups fail, what was promised to be gone goes nevertheless.
    let overdue = vault.known_backups().overdue > 0;
    let mut standing = backups.standing.lock();
    let lately = |at: Timestamp| {
        let since = now.duration_since(at);
        !since.is_negative() && since < PRUNE_EVERY
    };
    if overdue && !standing.pruned_at.is_some_and(lately) {
        standing.pruned_at = Some(now);
        drop(standing);
        if !worker.prune_by_rule() {
            let soon = now.saturating_sub(PRUNE_EVERY).ok();
            let soon = soon.and_then(|at| at.saturating_add(PRUNE_AGAIN).ok());
            backups.standing.lock().pruned_at = soon;
        }
    }
}

/// Whether it is known what the registry says of this place.
fn learned(app: &App, vault: &Vault, place: &str) -> bool {
    let backups = app.backups();
    if backups.standing.lock().learned {
        return true;
    }
    match last(vault, place) {
        Ok(last) => {
            let mut standing = backups.standing.lock();
            standing.schedule.resume(last, app.settings().clock.now());
            standing.learned = true;
            true
        }
        Err(Refusal::Locked) => false,
        Err(error) => {
            tracing::error!(target: "vault_server::backups", %error, "the registry of backups cannot be read");
            false
        }
    }
}

/// When the last whole backup at this place began, and was whole.
fn last(vault: &Vault, place: &str) -> Result<Option<(Timestamp, Timestamp)>, Refusal> {
    let principal = vault.server();
    let (views, _) = vault.backups(&Call::new(&principal))?;
    let whole = views.into_iter().find_map(|view| {
        let both = target::same(&view.target, place) && view.of.is_none() && view.keys.is_some();
        let completed = view.data.and_then(|data| data.completed_at);
        completed.filter(|_| both).map(|at| (view.started_at, at))
    });
    Ok(whole)
}

/// Ends what is under way, waits for it a little, and copies the ledger once more: before the vault is closed.
pub(crate) fn finish(app: &App) {
    let Some(vault) = app.vault() else { return };
    if app.backups().copies.is_empty() {
        return;
    }
    let kinds = [JobKind::Backup, JobKind::BackupRekey, JobKind::BackupVerify];
    let running = || {
        let jobs = vault.jobs().list().into_iter();
        let ours = jobs.filter(|job| kinds.contains(&job.kind) && job.state == JobState::Running);
        ours.map(|job| job.number).collect::<Vec<_>>()
    };
    for number in running() {
        vault.jobs().cancel(number);
    }
    let begun = Instant::now();
    while !running().is_empty() && begun.elapsed() < LAST {
        std::thread::sleep(STEP);
    }
    let copier = app.clone();
    let whole = within(move || ledger::copy_all(&copier));
    if !whole {
        tracing::error!(target: "vault_server::backups", "stopping: a copy of the erasure ledger was not made, and may lack the last erasures; it is made at the next start");
    }
}

/// Makes the copies of the ledger that lack something, before a vault is closed that nobody reaches any more: it may
/// stay locked for long, and its files be lost meanwhile.
pub(crate) fn part(app: &App, vault: &Arc<Vault>) {
    if !ledger::lag(app, vault) {
        return;
    }
    let (copier, vault) = (app.clone(), vault.clone());
    let whole = within(move || ledger::copy_lagging(&copier, &vault));
    if !whole {
        tracing::error!(target: "vault_server::backups", "locking: a copy of the erasure ledger was not made, and may lack the last erasures; it is made when the vault is opened again");
    }
}

/// Copies, and waits for it no longer than a moment: a target that hangs must not keep a vault from being closed.
fn within(copy: impl FnOnce() -> bool + Send + 'static) -> bool {
    let (done, wait) = mpsc::channel();
    let thread = Builder::new().name("vault-ledger".into());
    let spawned = thread.spawn(move || done.send(copy()));
    spawned.is_ok() && wait.recv_timeout(LAST).unwrap_or(false)
}

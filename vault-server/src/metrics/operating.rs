//! What whoever runs the vault asked of it: policies from a file, and long work.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use vault_core::jobs::JobCounts;
use vault_core::outbox::NoticeState;
use vault_core::vault::PickupFigures;
use vault_core::verification::AddressKind;

use super::figures::Figure;
use crate::backups::BackupFigures;
use crate::codes::{CodeCounts, CodeFigures};
use crate::policy_file::PolicyReloads;
use crate::recipients::{HeldBack, RecipientFigures};

/// What came of the policy file.
pub(super) fn policy_file(reloads: &PolicyReloads) -> Vec<Figure> {
    let PolicyReloads { applied, failed } = reloads;
    vec![
        Figure::counter(
            "vault_policy_reloads",
            "Policies that were put in force from vault.policy",
            applied.load(Ordering::Relaxed),
        ),
        Figure::counter(
            "vault_policy_reload_failures",
            "Reloads of vault.policy that left the policy before in force",
            failed.load(Ordering::Relaxed),
        ),
    ]
}

/// Notices to recipients, as the last look found them.
pub(super) fn recipients(figures: &RecipientFigures, now: Timestamp) -> Vec<Figure> {
    let RecipientFigures { notices, held_back } = figures;
    // Every state from the first scrape on, so that an alert sees one come.
    let states = NoticeState::ALL.iter().map(|state| state.name());
    let states = states
        .chain(["manual"])
        .map(|state| (vec![("state", state)], notices.in_state(state)));
    let held = HeldBack::ALL.iter().map(|why| {
        let count = held_back.get(why).copied().unwrap_or(0);
        (vec![("reason", why.name())], count)
    });
    let oldest = notices
        .oldest_open_at
        .map(|at| now.duration_since(at).as_secs());
    vec![
        Figure::gauges(
            "vault_recipient_notices",
            "Notices to recipients (Art. 19), by where they stand",
            states.collect(),
        ),
        Figure::gauges(
            "vault_recipient_notices_held_back",
            "Notices whose time has come and that go nowhere until an operator does something",
            held.collect(),
        ),
        Figure::gauge(
            "vault_recipient_notices_oldest_seconds",
            "How old the oldest notice is that is not settled; 0 without one",
            oldest.and_then(|age| u64::try_from(age).ok()).unwrap_or(0),
        ),
        Figure::gauge(
            "vault_recipient_notices_damaged",
            "Notices that do not open",
            notices.damaged,
        ),
    ]
}

/// Verification codes on their way.
pub(super) fn codes(figures: &CodeFigures) -> Vec<Figure> {
    let of = |count: fn(&CodeCounts) -> u64| {
        let kinds = AddressKind::ALL.iter();
        let rows = kinds.map(|kind| (vec![("kind", kind.name())], count(&figures.of(*kind))));
        rows.collect()
    };
    vec![
        Figure::counters(
            "vault_codes_sent",
            "Verification codes that the relay or the webhook took, by kind of address",
            of(|counts| counts.sent),
        ),
        Figure::counters(
            "vault_code_failures",
            "Tries to send a verification code that failed, by kind of address",
            of(|counts| counts.failed),
        ),
        Figure::counters(
            "vault_codes_lost",
            "Verification codes that were never sent, by kind of address",
            of(|counts| counts.lost),
        ),
        Figure::gauge(
            "vault_codes_waiting",
            "Verification codes that wait for a try",
            figures.waiting,
        ),
    ]
}

/// Links with which people pick copies up.
pub(super) fn pickups(figures: &PickupFigures) -> Vec<Figure> {
    let PickupFigures {
        given,
        codes,
        wrong,
        opened,
        again,
    } = figures;
    let rows = [
        ("given", given),
        ("code", codes),
        ("wrong", wrong),
        ("opened", opened),
        ("again", again),
    ];
    vec![Figure::counters(
        "vault_pickups",
        "Links with which people pick copies up, by what happened: `again` is a try at one that was opened before",
        rows.map(|(event, count)| (vec![("event", event)], *count))
            .to_vec(),
    )]
}

/// The server's own backups; when something was is 0 where it never was.
pub(super) fn backups(figures: &BackupFigures) -> Vec<Figure> {
    let BackupFigures {
        next_due_at,
        late_seconds,
        completed_at,
        failed_at,
        failures,
        prune_failures,
        copies,
    } = figures;
    let second = |at: Option<Timestamp>| {
        let second = at.map_or(0, Timestamp::as_second);
        u64::try_from(second).unwrap_or(0)
    };
    let behind = copies.iter().filter_map(|copy| copy.behind).max();
    let complete = copies.iter().map(|copy| second(copy.complete_until)).min();
    let copy_failures = copies.iter().map(|copy| u64::from(copy.failures)).max();
    let mut all = vec![
        Figure::gauge(
            "vault_backup_schedule_last_success_timestamp_seconds",
            "When a backup with both parts was last whole at the target of the configuration; 0 where none ever was",
            second(*completed_at),
        ),
        Figure::gauge(
            "vault_backup_schedule_last_failure_timestamp_seconds",
            "When a backup of the server last failed; 0 where none has since it started",
            second(*failed_at),
        ),
        Figure::gauge(
            "vault_backup_schedule_failures",
            "Failures of the server's backups since the last that was whole",
            u64::from(*failures),
        ),
        Figure::counter(
            "vault_backup_prune_failures",
            "Times that old backups could not be deleted",
            *prune_failures,
        ),
        Figure::gauge(
            "vault_ledger_copy_behind_seconds",
            "For how long the copy of the erasure ledger that is furthest behind has lacked something",
            figures.ledger_behind_seconds(),
        ),
        Figure::gauge(
            "vault_ledger_copy_behind_entries",
            "Entries that the copy of the erasure ledger that is furthest behind lacks",
            behind.unwrap_or(0),
        ),
        Figure::gauge(
            "vault_ledger_copy_failures",
            "Failures of a copy of the erasure ledger since it was last made",
            copy_failures.unwrap_or(0),
        ),
        Figure::gauge(
            "vault_ledger_copy_complete_timestamp_seconds",
            "Until when every copy of the erasure ledger is complete; 0 where one was not made since the vault was opened",
            complete.unwrap_or(0),
        ),
    ];
    // Without a schedule nothing is due.
    if let Some(next) = next_due_at {
        all.push(Figure::gauge(
            "vault_backup_schedule_next_due_timestamp_seconds",
            "When the next backup is due; after a failure, when it is tried again",
            second(Some(*next)),
        ));
    }
    if let Some(late) = late_seconds {
        all.push(Figure::gauge(
            "vault_backup_schedule_late_seconds",
            "For how long a backup has been lacking that should have begun, whatever was in its way",
            *late,
        ));
    }
    all
}

/// Long work.
pub(super) fn jobs(counts: &[JobCounts]) -> Vec<Figure> {
    let kind = |count: &JobCounts| ("kind", count.kind.name());
    let running = counts
        .iter()
        .map(|count| (vec![kind(count)], count.running));
    let ended = counts.iter().flat_map(|count| {
        let JobCounts {
            kind: _,
            running: _,
            done,
            cancelled,
            failed,
        } = *count;
        let ways = [("done", done), ("cancelled", cancelled), ("failed", failed)];
        ways.map(|(way, number)| (vec![kind(count), ("result", way)], number))
    });
    vec![
        Figure::gauges(
            "vault_jobs_running",
            "Long work under way, by kind",
            running.collect(),
        ),
        Figure::counters(
            "vault_jobs_ended",
            "Long work that ended since the vault was opened, by kind and result",
            ended.collect(),
        ),
    ]
}

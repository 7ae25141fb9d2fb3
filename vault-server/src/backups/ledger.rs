//! Copies of the erasure ledger: seconds after something was destroyed, each hour, and at a clean stop.
//!
//! A copy that is late lets somebody who was erased come back out of a backup, if the vault's own files are lost
//! in that time; so how far behind each is shows in status and metrics.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use vault_core::backup::target::Target;
use vault_core::vault::{Call, LedgerCopied, LedgerCopyError, Vault};

use crate::state::{App, chain};

/// How long after the first of several erasures it is copied, in milliseconds: those that follow at once go along.
const DEBOUNCE: i64 = 2_000;
/// How old a copy becomes while nothing is destroyed: it says until when nothing was.
const REFRESH: i64 = 3_600_000;
/// How long after a failure it is tried again; twice that after the next, and so on.
const RETRY: i64 = 5_000;
const RETRY_MOST: i64 = 300_000;
/// So many times as long as a copy took, nothing is copied again: a long ledger on a slow disk takes a tenth of
/// the time at most.
const REST: i64 = 10;

/// One copy.
pub(super) struct Copy {
    target: Arc<dyn Target>,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    /// Entries in it, where that is known.
    entries: Option<u64>,
    complete_until: Option<Timestamp>,
    /// When it was made.
    made: i64,
    /// Since when it lacks something.
    since: Option<i64>,
    /// Not before this.
    hold: i64,
    failures: u32,
    failed_at: Option<Timestamp>,
}

/// How a copy stands.
#[derive(Clone, Debug)]
pub(crate) struct Copied {
    /// Where it is.
    pub(crate) place: String,
    /// Entries that it lacks; `None` where nobody has looked since the vault was opened.
    pub(crate) behind: Option<u64>,
    /// For how many seconds it has lacked something.
    pub(crate) behind_seconds: u64,
    /// Whatever was acknowledged before this is in it.
    pub(crate) complete_until: Option<Timestamp>,
    /// Failures since the last that did not.
    pub(crate) failures: u32,
    /// When one last failed.
    pub(crate) failed_at: Option<Timestamp>,
}

impl Standing {
    fn lacks(&self, entries: u64) -> bool {
        self.entries != Some(entries)
    }

    /// Whether it is to be made now.
    fn due(&mut self, entries: u64, running: i64) -> bool {
        if !self.lacks(entries) {
            self.since = None;
            return running >= self.made + REFRESH && running >= self.hold;
        }
        let since = *self.since.get_or_insert(running);
        // One that is not known may lack erasures of long ago.
        let wait = if self.entries.is_some() { DEBOUNCE } else { 0 };
        running >= (since + wait).max(self.hold)
    }

    fn made(&mut self, entries: u64, complete_until: Timestamp, (began, ended): (i64, i64)) {
        let failed_at = self.failed_at;
        *self = Self {
            entries: Some(entries),
            complete_until: Some(complete_until),
            made: began,
            hold: ended + REST * (ended - began),
            failed_at,
            ..Self::default()
        };
    }

    fn failed(&mut self, now: Timestamp, running: i64) {
        let wait = RETRY.saturating_mul(1 << self.failures.min(16));
        self.hold = running + wait.min(RETRY_MOST);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
    }
}

impl Copy {
    pub(super) fn new(target: Arc<dyn Target>) -> Self {
        Self {
            target,
            standing: Mutex::default(),
        }
    }

    pub(super) fn forget(&self) {
        let mut standing = self.standing.lock();
        (standing.entries, standing.hold) = (None, 0);
    }

    pub(super) fn figures(&self, running: i64, entries: u64) -> Copied {
        let standing = self.standing.lock();
        let lacks = standing.entries.is_none_or(|copied| copied < entries);
        let since = standing.since.filter(|_| lacks);
        let waited = since.map_or(0, |since| (running - since) / 1000);
        Copied {
            place: self.target.place(),
            behind: standing
                .entries
                .map(|copied| entries.saturating_sub(copied)),
            behind_seconds: u64::try_from(waited).unwrap_or(0),
            complete_until: standing.complete_until,
            failures: standing.failures,
            failed_at: standing.failed_at,
        }
    }

    /// Makes it; whether that went well.
    fn make(&self, app: &App, vault: &Vault) -> bool {
        let clock = &app.settings().clock;
        let principal = vault.server();
        let began = clock.running();
        match vault.push_ledger(&Call::new(&principal), &*self.target) {
            Ok(copied) => {
                let times = (began, clock.running());
                let mut standing = self.standing.lock();
                standing.made(copied.position, copied.complete_until, times);
                true
            }
            // The vault was closed meanwhile; the next opening begins anew.
            Err(_) if !vault.is_open() => false,
            Err(error) => {
                self.failed(app, &error);
                false
            }
        }
    }

    fn failed(&self, app: &App, error: &LedgerCopyError) {
        tracing::error!(target: "vault_server::backups", place = %self.target.place(), error = %chain(error), "the erasure ledger was not copied: a restore from there would not know of the last erasures; it is tried again");
        let clock = &app.settings().clock;
        let mut standing = self.standing.lock();
        standing.failed(clock.now(), clock.running());
    }
}

/// Makes the copies that are due; blocks.
pub(crate) fn look(app: &App) {
    let Some(vault) = app.vault() else { return };
    for copy in &app.backups().copies {
        let running = app.settings().clock.running();
        let entries = vault.ledger_entries();
        if copy.standing.lock().due(entries, running) {
            copy.make(app, &vault);
        }
    }
}

/// Makes every copy, whether it is due or not; whether all of them were made.
pub(crate) fn copy_all(app: &App) -> bool {
    let Some(vault) = app.vault() else {
        return false;
    };
    copy_those(app, &vault, |_| true)
}

/// Whether a copy lacks something.
pub(super) fn lag(app: &App, vault: &Vault) -> bool {
    let entries = vault.ledger_entries();
    let mut copies = app.backups().copies.iter();
    copies.any(|copy| copy.standing.lock().lacks(entries))
}

/// Makes the copies that lack something; whether all of them were made.
pub(super) fn copy_lagging(app: &App, vault: &Vault) -> bool {
    let entries = vault.ledger_entries();
    copy_those(app, vault, |copy| copy.standing.lock().lacks(entries))
}

fn copy_those(app: &App, vault: &Vault, which: impl Fn(&Copy) -> bool) -> bool {
    let mut whole = true;
    for copy in app.backups().copies.iter().filter(|copy| which(copy)) {
        whole &= copy.make(app, vault);
    }
    whole
}

/// A backup has put it beside itself, or could not.
pub(super) fn beside(
    app: &App,
    vault: &Vault,
    target: &dyn Target,
    copied: &Result<LedgerCopied, LedgerCopyError>,
) {
    let running = app.settings().clock.running();
    let place = target.place();
    let copies = app.backups().copies.iter();
    for copy in copies.filter(|copy| copy.target.place() == place) {
        match copied {
            Ok(copied) => {
                let mut standing = copy.standing.lock();
                let times = (running, running);
                standing.made(copied.position, copied.complete_until, times);
            }
            Err(_) if !vault.is_open() => {}
            Err(error) => copy.failed(app, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(standing: &mut Standing, entries: u64, took: (i64, i64)) {
        standing.made(entries, Timestamp::UNIX_EPOCH, took);
    }

    #[test]
    fn an_unknown_copy_is_made_at_once_and_one_that_lacks_something_seconds_later() {
        let mut copy = Standing::default();
        assert!(copy.due(3, 0));
        made(&mut copy, 3, (0, 10));
        assert!(!copy.due(3, 5_000));
        // The first of several erasures begins the wait, and the others do not lengthen it.
        assert!(!copy.due(4, 10_000));
        assert!(!copy.due(5, 11_999));
        assert!(copy.due(9, 12_000));
        made(&mut copy, 9, (12_000, 12_010));
        assert!(!copy.due(9, 12_000 + REFRESH - 1));
        assert!(copy.due(9, 12_000 + REFRESH));
    }

    #[test]
    fn one_that_takes_long_rests_and_one_that_fails_waits_longer_each_time() {
        let mut copy = Standing::default();
        made(&mut copy, 1, (0, 4_000));
        assert!(!copy.due(2, 30_000), "since then it lacks something");
        assert!(!copy.due(2, 43_999));
        assert!(copy.due(2, 44_000));
        let mut running = 44_000;
        for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
            copy.failed(Timestamp::UNIX_EPOCH, running);
            assert!(!copy.due(2, running + wait * 1000 - 1), "{wait}");
            running += wait * 1000;
            assert!(copy.due(2, running), "{wait}");
        }
        assert_eq!((copy.failures, copy.since), (8, Some(30_000)));
        made(&mut copy, 2, (running, running));
        assert_eq!((copy.failures, copy.since), (0, None));
    }
}

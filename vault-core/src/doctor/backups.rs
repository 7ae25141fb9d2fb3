//! Backups: how old the last one is, whether one was ever read back, how far back keys reach.

use jiff::Timestamp;

use super::{Findings, Severity};

/// From how many days on a backup is old, and a restore untested.
const OLD_DAYS: i64 = 7;
const UNTESTED_DAYS: i64 = 90;
/// From how many days on a horizon is far: then an erasure can be undone for a quarter of a year.
const HORIZON_DAYS: i64 = 90;
/// From how long on a copy of the ledger that lacks something is a finding.
const LEDGER_BEHIND_SECONDS: u64 = 600;
const DAY: i64 = 86_400;

/// When a backup was last read back with the identity, or restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tested {
    /// `None`: never.
    pub last: Option<Timestamp>,
}

/// What the registry of backups says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backups {
    /// When a backup was last whole.
    pub last: Option<Timestamp>,
    /// When one was last tried; `None` where nobody keeps that.
    pub tested: Option<Tested>,
    /// Until when an erasure of now could be undone.
    pub horizon: Option<Timestamp>,
    /// Key parts that should be destroyed by now and are not.
    pub overdue: u64,
    /// Failures of the server's own backups since the last that was whole.
    pub failures: u64,
    /// For how many seconds a copy of the erasure ledger has lacked something.
    pub ledger_behind_seconds: u64,
}

pub(super) fn check(backups: &Backups, now: Timestamp, findings: &mut Findings) {
    let days = |from: Timestamp, to: Timestamp| {
        let seconds = to.as_second() - from.as_second();
        seconds.div_euclid(DAY)
    };
    let place = "backups";
    let make = "vault-cli backup create --to DIR --recipient AGE";
    match backups.last.map(|at| days(at, now)) {
        None => findings.add(
            Severity::Error,
            "no_backup",
            place,
            "there is none: losing the anchor or the disk loses the vault",
            make,
        ),
        Some(age) if age >= OLD_DAYS => findings.add(
            Severity::Warning,
            "backup_old",
            place,
            format!("the newest is {age} days old"),
            make,
        ),
        Some(_) => {}
    }
    if let (Some(_), Some(tested)) = (backups.last, backups.tested) {
        let age = tested.last.map(|at| days(at, now));
        if age.is_none_or(|age| age >= UNTESTED_DAYS) {
            findings.law(
                Severity::Warning,
                "restore_untested",
                "Art. 32(1)(d)",
                place,
                match age {
                    None => "none was ever read back".to_owned(),
                    Some(age) => format!("none was read back for {age} days"),
                },
                "vault-cli backup verify --identity FILE",
            );
        }
    }
    if backups.failures > 0 {
        findings.add(
            Severity::Error,
            "backup_failing",
            place,
            format!(
                "the server's own failed {} times in a row",
                backups.failures
            ),
            "see GET /v1/admin/jobs for what is in the way, then vault-cli backup create",
        );
    }
    if backups.ledger_behind_seconds >= LEDGER_BEHIND_SECONDS {
        findings.law(
            Severity::Error,
            "ledger_copy_behind",
            "Art. 17(1)",
            place,
            format!(
                "a copy of the erasure ledger has lacked erasures for {} minutes: a restore from there would bring people back",
                backups.ledger_behind_seconds / 60
            ),
            "make its target writable, then vault-cli backup ledger",
        );
    }
    if backups.overdue > 0 {
        findings.law(
            Severity::Error,
            "key_parts_overdue",
            "Art. 17(1)",
            place,
            format!(
                "key parts that should be destroyed by now: {}; each can bring erased people back",
                backups.overdue
            ),
            "vault-cli backup prune; where the target keeps versions it says so, and docs/operations.md \"Backups in an object store\" says what to do",
        );
    }
    if let Some(ahead) = backups.horizon.map(|at| days(now, at))
        && ahead >= HORIZON_DAYS
    {
        findings.law(
            Severity::Warning,
            "key_horizon",
            "Art. 17(1)",
            place,
            format!("who is erased now can be brought back by a key part for {ahead} days more"),
            "vault-cli backup rekey, or let key parts expire sooner",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_backup_is_an_error_and_a_fresh_and_tested_one_is_nothing() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let at = |days: i64| Timestamp::from_second(now.as_second() + days * DAY).ok();
        let found = |last, tested: Option<Option<Timestamp>>, horizon, overdue| {
            let mut findings = Findings::default();
            let backups = Backups {
                last,
                tested: tested.map(|last| Tested { last }),
                horizon,
                overdue,
                ..Backups::default()
            };
            check(&backups, now, &mut findings);
            findings.0.iter().map(|f| f.code).collect::<Vec<_>>()
        };
        assert_eq!(found(None, Some(None), None, 0), ["no_backup"]);
        assert_eq!(found(at(-6), Some(at(-89)), at(89), 0), [""; 0]);
        assert_eq!(found(at(-7), Some(at(-1)), at(0), 0), ["backup_old"]);
        assert_eq!(found(at(-1), Some(None), at(1), 0), ["restore_untested"]);
        assert_eq!(found(at(-1), Some(at(-90)), None, 0), ["restore_untested"]);
        // What nobody keeps is no finding.
        assert_eq!(found(at(-1), None, None, 0), [""; 0]);
        assert_eq!(found(at(-1), None, at(90), 0), ["key_horizon"]);
        assert_eq!(found(at(-1), None, None, 1), ["key_parts_overdue"]);
    }

    #[test]
    fn backups_that_fail_and_a_ledger_that_lags_are_errors() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let found = |failures, ledger_behind_seconds| {
            let mut findings = Findings::default();
            let backups = Backups {
                last: Some(now),
                failures,
                ledger_behind_seconds,
                ..Backups::default()
            };
            check(&backups, now, &mut findings);
            findings.0.iter().map(|f| f.code).collect::<Vec<_>>()
        };
        assert_eq!(found(0, 599), [""; 0]);
        assert_eq!(found(0, 600), ["ledger_copy_behind"]);
        assert_eq!(found(1, 0), ["backup_failing"]);
    }
}

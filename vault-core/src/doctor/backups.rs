//! Backups: how old the last one is, whether one was ever read back, how far back keys reach.

use jiff::Timestamp;

use super::{Findings, Severity};

/// From how many days on a backup is old, and a restore untested.
const OLD_DAYS: i64 = 7;
const UNTESTED_DAYS: i64 = 90;
/// From how many days on an erasure that old key parts can undo is worth a word.
const HORIZON_DAYS: i64 = 90;
const DAY: i64 = 86_400;

/// What the registry of backups says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backups {
    /// When the newest backup with both parts was made.
    pub last: Option<Timestamp>,
    /// When a backup was last read back with the identity, or restored.
    pub last_tested: Option<Timestamp>,
    /// When the oldest key part that is not destroyed was made: what was erased since can be brought
    /// back by whoever has it.
    pub oldest_key_part: Option<Timestamp>,
}

pub(super) fn check(backups: &Backups, now: Timestamp, findings: &mut Findings) {
    let days = |at: Timestamp| (now.as_second() - at.as_second()).div_euclid(DAY);
    let make = "vault-cli backup create --to DIR --recipient AGE";
    match backups.last.map(days) {
        None => findings.add(
            Severity::Error,
            "no_backup",
            "backups",
            "there is none with its key part: losing the anchor or the disk loses the vault",
            make,
        ),
        Some(age) if age >= OLD_DAYS => findings.add(
            Severity::Warning,
            "backup_old",
            "backups",
            format!("the newest is {age} days old"),
            make,
        ),
        Some(_) => {}
    }
    if backups.last.is_some()
        && backups
            .last_tested
            .is_none_or(|at| days(at) >= UNTESTED_DAYS)
    {
        findings.law(
            Severity::Warning,
            "restore_untested",
            "Art. 32(1)(d)",
            "backups",
            match backups.last_tested.map(days) {
                None => "none was ever read back".to_owned(),
                Some(age) => format!("none was read back for {age} days"),
            },
            "vault-cli backup verify --identity FILE",
        );
    }
    if let Some(age) = backups.oldest_key_part.map(days)
        && age >= HORIZON_DAYS
    {
        findings.law(
            Severity::Warning,
            "key_horizon",
            "Art. 17(1)",
            "backups",
            format!(
                "a key part of {age} days ago is not destroyed: it brings back who was erased since"
            ),
            "vault-cli backup rekey, then destroy the old key parts",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_backup_is_an_error_and_a_fresh_and_tested_one_is_nothing() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let ago = |days: i64| Timestamp::from_second(now.as_second() - days * DAY).ok();
        let found = |last, last_tested, oldest_key_part| {
            let mut findings = Findings::default();
            let backups = Backups {
                last,
                last_tested,
                oldest_key_part,
            };
            check(&backups, now, &mut findings);
            findings.0.iter().map(|f| f.code).collect::<Vec<_>>()
        };
        assert_eq!(found(None, None, None), ["no_backup"]);
        assert_eq!(found(ago(1), ago(89), ago(89)), [""; 0]);
        assert_eq!(found(ago(7), ago(1), ago(7)), ["backup_old"]);
        assert_eq!(found(ago(1), None, ago(1)), ["restore_untested"]);
        assert_eq!(found(ago(1), ago(90), ago(1)), ["restore_untested"]);
        assert_eq!(found(ago(1), ago(1), ago(90)), ["key_horizon"]);
    }
}

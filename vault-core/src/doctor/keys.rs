//! What opens the vault, and what the open vault says of itself.

use super::{Findings, Machine, Severity};
use crate::crypto::Argon2Params;
use crate::limits::{SLOTS_MAX, SUPPRESSIONS_MANY, SUPPRESSIONS_MAX};

/// The kind of a slot whose secret is a recovery key, as [`SlotFact::kind`] names it.
const RECOVERY: &str = "recovery_key";
/// The kind of a slot whose secret goes through Argon2id.
const PASSPHRASE: &str = "passphrase";

/// A key slot as its file shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotFact {
    /// Its number.
    pub number: u8,
    /// What opens it: `passphrase`, `recovery_key`, …
    pub kind: String,
    /// What Argon2id takes for a passphrase: memory in KiB, passes, lanes.
    pub cost: [u32; 3],
}

/// What the open vault says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Whether more than erasures is taken.
    pub writable: bool,
    /// Whether the clock is too far ahead of the last commit to be believed.
    pub clock_leads: bool,
    /// Bytes of keys in pages that may be swapped out; of the process that answered.
    pub unlocked_bytes: u64,
    /// API keys without an end.
    pub keys_without_end: u64,
    /// How long the look-up index has waited to be built anew, where that is known.
    pub index_stale_hours: Option<u64>,
    /// Addresses on the suppression list.
    pub suppressions: u64,
}

pub(super) fn slots(slots: &[SlotFact], findings: &mut Findings) {
    let place = "the key slots";
    if slots.is_empty() {
        findings.add(
            Severity::Damage,
            "slots_damaged",
            place,
            "the file shows no slot that is whole: no secret opens this vault",
            "change nothing in either directory; copy both as they are, then restore from a backup",
        );
    } else if slots.len() == 1 {
        findings.add(
            Severity::Error,
            "one_slot",
            place,
            "one secret alone opens this vault: whoever loses it loses the vault",
            "vault-cli slot add --kind recovery-key --label safe",
        );
    } else if !slots.iter().any(|slot| slot.kind == RECOVERY) {
        findings.add(
            Severity::Warning,
            "no_recovery_key",
            place,
            "there is no recovery key: passphrases are forgotten together",
            "vault-cli slot add --kind recovery-key --label safe",
        );
    }
    if slots.len() + 1 >= SLOTS_MAX {
        findings.add(
            Severity::Note,
            "many_slots",
            place,
            format!(
                "{} of {SLOTS_MAX} slots are in use; each is a way in",
                slots.len()
            ),
            "vault-cli slot list, then slot remove NUMBER for those that nobody needs",
        );
    }
    for slot in slots.iter().filter(|slot| slot.kind == PASSPHRASE) {
        let [memory, passes, _] = slot.cost;
        let [memory_now, passes_now, _] = Argon2Params::DEFAULT.parts();
        // Guessing costs memory times passes.
        let cost = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
        if cost(memory, passes) < cost(memory_now, passes_now) {
            findings.add(
                Severity::Warning,
                "weak_slot",
                format!("slot {}", slot.number),
                format!("Argon2id takes {} MiB and {passes} passes, less than new slots get ({} MiB, {passes_now})", memory >> 10, memory_now >> 10),
                format!("vault-cli slot add, then slot remove {}", slot.number),
            );
        }
    }
}

pub(super) fn inside(inside: &Inside, machine: &Machine, findings: &mut Findings) {
    if !inside.writable {
        findings.add(
            Severity::Error,
            "not_writable",
            "the vault",
            "nothing but erasures is taken: the disk is full",
            "free some space; the vault goes on by itself within a second",
        );
    }
    if inside.clock_leads {
        findings.add(
            Severity::Error,
            "clock_leads",
            "the clock",
            "it is more than a day ahead of the last commit: nothing expires until somebody confirms it",
            "look at the clock, then start the server with --confirm-clock",
        );
    }
    if inside.unlocked_bytes > 0 {
        let swaps = machine.open_swaps().next().is_some();
        findings.add(
            if swaps {
                Severity::Error
            } else {
                Severity::Warning
            },
            "keys_unlocked",
            "memory",
            format!(
                "{} bytes of keys lie in pages that the system did not lock{}",
                inside.unlocked_bytes,
                if swaps { ", and swap is on" } else { "" }
            ),
            "LimitMEMLOCK=8M in the unit, or `ulimit -l` before the start",
        );
    }
    if inside.keys_without_end > 0 {
        findings.add(
            Severity::Warning,
            "keys_without_end",
            "API keys",
            format!("{} have no end", inside.keys_without_end),
            "vault-cli token list, then token rotate TOKEN or token create --expires P90D",
        );
    }
    if inside.index_stale_hours.is_some_and(|hours| hours >= 24) {
        findings.add(
            Severity::Error,
            "index_stale",
            "the look-up index",
            "a removal has waited for a day to be placed anew: the sweeper does not come round",
            "vault-cli retention run",
        );
    }
    if inside.suppressions >= SUPPRESSIONS_MANY {
        let full = inside.suppressions >= SUPPRESSIONS_MAX;
        let what = match full {
            true => "takes no other: who objects and is erased is written to when they come back",
            false => {
                "is nearly full: beyond that, who objects and is erased is written to when they come back"
            }
        };
        findings.law(
            if full { Severity::Error } else { Severity::Warning },
            "suppressions_full",
            "Art. 21(3)",
            "the suppression list",
            format!("{} of {SUPPRESSIONS_MAX} addresses; it {what}", inside.suppressions),
            "find which API key puts so many there (`vault-cli audit tail --action suppressions.put`) and revoke it; \
             an address leaves the list when its person ends the objection, and in no other way",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Swap;

    fn slot(number: u8, kind: &str, cost: [u32; 3]) -> SlotFact {
        SlotFact {
            number,
            kind: kind.into(),
            cost,
        }
    }

    fn of_slots(list: &[SlotFact]) -> Vec<(Severity, &'static str)> {
        let mut findings = Findings::default();
        slots(list, &mut findings);
        let all = findings.0.iter();
        all.map(|finding| (finding.severity, finding.code))
            .collect()
    }

    #[test]
    fn a_passphrase_and_a_recovery_key_are_enough_and_one_secret_is_not() {
        let now = Argon2Params::DEFAULT.parts();
        let passphrase = slot(1, PASSPHRASE, now);
        let recovery = slot(2, RECOVERY, [0; 3]);
        assert_eq!(of_slots(&[passphrase.clone(), recovery.clone()]), []);
        assert_eq!(of_slots(&[recovery]), [(Severity::Error, "one_slot")]);
        let two = [passphrase.clone(), slot(3, PASSPHRASE, now)];
        assert_eq!(of_slots(&two), [(Severity::Warning, "no_recovery_key")]);
        assert_eq!(of_slots(&[]), [(Severity::Damage, "slots_damaged")]);
    }

    #[test]
    fn a_slot_that_is_cheaper_to_guess_than_todays_is_found_and_a_dearer_is_not() {
        let [memory, passes, lanes] = Argon2Params::DEFAULT.parts();
        let recovery = slot(2, RECOVERY, [0; 3]);
        let with = |cost| of_slots(&[slot(1, PASSPHRASE, cost), recovery.clone()]);
        assert_eq!(
            with([memory, passes - 1, lanes]),
            [(Severity::Warning, "weak_slot")]
        );
        assert_eq!(with([memory * 2, passes, lanes]), []);
    }

    #[test]
    fn unlocked_keys_are_worse_where_there_is_swap() {
        let state = Inside {
            writable: true,
            unlocked_bytes: 4096,
            ..Inside::default()
        };
        let with = |machine: &Machine, state: &Inside| {
            let mut findings = Findings::default();
            inside(state, machine, &mut findings);
            let all = findings.0.iter();
            all.map(|finding| (finding.severity, finding.code))
                .collect::<Vec<_>>()
        };
        let mut machine = Machine::default();
        assert_eq!(
            with(&machine, &state),
            [(Severity::Warning, "keys_unlocked")]
        );
        machine.swaps = Some(vec![Swap {
            name: "/dev/sda2".into(),
            encrypted: Some(false),
        }]);
        assert_eq!(with(&machine, &state), [(Severity::Error, "keys_unlocked")]);
        let full = Inside {
            clock_leads: true,
            keys_without_end: 1,
            index_stale_hours: Some(24),
            ..Inside::default()
        };
        let codes: Vec<&str> = with(&machine, &full).iter().map(|found| found.1).collect();
        assert_eq!(
            codes,
            [
                "not_writable",
                "clock_leads",
                "keys_without_end",
                "index_stale"
            ]
        );
    }
    #[test]
    fn a_suppression_list_that_is_nearly_full_is_a_warning_and_a_full_one_an_error() {
        let found = |suppressions| {
            let state = Inside {
                writable: true,
                suppressions,
                ..Inside::default()
            };
            let mut findings = Findings::default();
            inside(&state, &Machine::default(), &mut findings);
            let all = findings.0.iter();
            all.map(|finding| (finding.severity, finding.code))
                .collect::<Vec<_>>()
        };
        let code = "suppressions_full";
        assert_eq!(found(SUPPRESSIONS_MANY - 1), []);
        assert_eq!(found(SUPPRESSIONS_MANY), [(Severity::Warning, code)]);
        assert_eq!(found(SUPPRESSIONS_MAX - 1), [(Severity::Warning, code)]);
        assert_eq!(found(SUPPRESSIONS_MAX), [(Severity::Error, code)]);
    }
}

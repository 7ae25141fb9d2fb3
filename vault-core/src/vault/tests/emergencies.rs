//! Emergencies of somebody who has had many: what was begun comes to its end, however full their list is.

use super::*;
use crate::emergency::{self, Step};
use crate::id::EmergencyId;
use crate::limits::{EMERGENCIES_OPEN_MAX, EMERGENCY_STEPS_MAX};
use crate::person::Person;
use crate::vault::EmergencyInput;

const BREAKGLASS: &str = r#"
[breakglass]
purpose = "support"
read = { "profile.name" = "full" }

[roles.nurse]
purposes = ["support"]
may = ["breakglass.request"]

[roles.chief]
may = ["breakglass.approve"]
"#;

/// Failure: an access that nobody can end any more, because its end finds no room.
#[test]
fn where_the_list_is_full_nobody_asks_and_every_emergency_that_is_open_is_decided_taken_and_ended()
{
    let bench = Bench::of(&format!("{SAMPLE}{BREAKGLASS}"));
    let (bot, nurse, chief) = (bench.role("bot"), bench.role("nurse"), bench.role("chief"));
    let vault = &bench.vault;
    let support = call(&bot, Some("support"));
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let ask = || {
        let input = EmergencyInput {
            reason: "it cannot wait".into(),
            fields: vec!["profile.name".into()],
            expires_in: None,
        };
        vault.request_emergency(&call(&nurse, None), ann, input)
    };
    let mut open: Vec<EmergencyId> = (1..EMERGENCIES_OPEN_MAX)
        .map(|_| ask().unwrap().emergency)
        .collect();
    let steps = EMERGENCY_STEPS_MAX - 1 - open.len();
    let filled = vault.engine.submit(move |txn| {
        let mut person = Person::find(txn, ann)?;
        for _ in 0..steps {
            emergency::append(
                txn,
                &mut person,
                EmergencyId::from_bytes([9; 16]),
                Step::Used,
            )?;
        }
        Ok(())
    });
    filled.unwrap();
    open.push(ask().unwrap().emergency);
    assert!(matches!(ask(), Err(Refusal::TooLarge(_))));
    for id in open {
        vault
            .decide_emergency(&call(&chief, None), ann, id, true)
            .unwrap();
        vault.take_emergency(&call(&nurse, None), ann, id).unwrap();
        let ended = vault.end_emergency(&call(&nurse, None), ann, id).unwrap();
        assert!(!ended.state.is_open());
    }
}

/// An id that a caller wrote is no name of an emergency: in the log it would stand for as long as the log does.
#[test]
fn a_step_of_an_emergency_that_there_is_not_leaves_no_name_of_it_in_the_log() {
    let bench = Bench::of(&format!("{SAMPLE}{BREAKGLASS}"));
    let (bot, nurse, chief) = (bench.role("bot"), bench.role("nurse"), bench.role("chief"));
    let vault = &bench.vault;
    let support = call(&bot, Some("support"));
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let invented = EmergencyId::from_bytes(*ann.as_bytes());
    let decided = vault.decide_emergency(&call(&chief, None), ann, invented, true);
    assert!(matches!(decided, Err(Refusal::NotFound("emergency"))));
    assert!(
        vault
            .take_emergency(&call(&nurse, None), ann, invented)
            .is_err()
    );
    assert!(
        vault
            .end_emergency(&call(&nurse, None), ann, invented)
            .is_err()
    );
    let input = EmergencyInput {
        reason: "it cannot wait".into(),
        fields: vec!["profile.name".into()],
        expires_in: None,
    };
    let made = vault
        .request_emergency(&call(&nurse, None), ann, input)
        .unwrap();
    // The control: a step of one that there is, and is refused all the same, is told by its name.
    assert!(
        vault
            .take_emergency(&call(&nurse, None), ann, made.emergency)
            .is_err()
    );
    vault.engine.submit(|_| Ok(())).unwrap();
    let keyholder = vault.keyholder();
    let query = AuditQuery {
        last: 1_000,
        ..AuditQuery::default()
    };
    let page = vault.audit(&call(&keyholder, None), &query).unwrap();
    let named = |outcome: &str| {
        let of = |entry: &&crate::vault::AuditEntry| {
            let action = entry.entry["action"].as_str().unwrap_or_default();
            action.starts_with("breakglass.") && entry.entry["outcome"] == outcome
        };
        let entries: Vec<_> = page.entries.iter().filter(of).collect();
        let sessions = entries
            .iter()
            .filter(|one| one.entry.get("session").is_some());
        (entries.len(), sessions.count())
    };
    assert_eq!(named("not_found"), (3, 0));
    assert_eq!(named("conflict"), (1, 1));
}

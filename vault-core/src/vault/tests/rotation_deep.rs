//! A deep rotation reaches the system keyset: nothing is written under a key from before its first
//! commit, nothing lies under one after its last, and whoever looks, erases, proves or restores meanwhile
//! and afterwards finds what they must.
//!
//! The control of each claim about the old keys: before the rotation they open every row.

use std::collections::BTreeMap;

use super::*;
use crate::audit::receipt::{self, ReceiptError};
use crate::audit::signer::Signers;
use crate::commit::View as _;
use crate::crypto::{Location, key_number};
use crate::jobs::JobKind;
use crate::keys::system::SystemKeys;
use crate::person::Person;
use crate::store::{Direction, KeyRange, Table};

pub(super) const KEEPER: &str = r#"
[roles.keeper]
purposes = ["support", "newsletter"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "subjects.erase", "keys.manage", "audit.read"]
"#;

pub(super) fn bench() -> (Bench, Principal) {
    let bench = Bench::of(&format!("{SAMPLE}{KEEPER}"));
    let keeper = bench.role("keeper");
    (bench, keeper)
}

pub(super) fn support(principal: &Principal) -> Call<'_> {
    call(principal, Some("support"))
}

pub(super) fn email_of(user: &str) -> String {
    format!("{user}@example.test")
}

pub(super) fn person(vault: &Vault, keeper: &Principal, user: &str) -> SubjectId {
    let (subject, _) = vault.create_subject(&support(keeper), "web", user).unwrap();
    set_email(vault, keeper, subject, &email_of(user));
    subject
}

fn set_email(vault: &Vault, keeper: &Principal, subject: SubjectId, email: &str) {
    let body = object(json!({"name": "Some Body", "email": email}));
    vault
        .patch_single(&support(keeper), subject, "profile", body, None)
        .unwrap();
}

pub(super) fn by_email(vault: &Vault, keeper: &Principal, email: &str) -> Option<SubjectId> {
    match vault.lookup_field(&support(keeper), "profile.email", &json!(email)) {
        Ok(found) => Some(found),
        Err(Refusal::NotFound(_)) => None,
        Err(refusal) => panic!("{refusal}"),
    }
}

pub(super) fn by_channel(vault: &Vault, keeper: &Principal, user: &str) -> Option<SubjectId> {
    match vault.lookup_channel(&support(keeper), "web", user) {
        Ok(found) => Some(found),
        Err(Refusal::NotFound(_) | Refusal::Erased { .. }) => None,
        Err(refusal) => panic!("{refusal}"),
    }
}

pub(super) fn system(vault: &Vault) -> SystemKeys {
    vault.snapshot().unwrap().system().duplicate()
}

pub(super) fn to_the_end(vault: &Vault) -> RotationView {
    let rotation = vault.rotate_on(&mut |_| Onwards::Yes).unwrap();
    rotation.expect("one was begun")
}

/// How many rows these keys open, and how many there are: of nobody, and of the log.
fn opened(vault: &Vault, keys: &SystemKeys) -> [(usize, usize); 2] {
    let view = vault.snapshot().unwrap();
    let rows = |table| {
        view.tx()
            .range(table, &KeyRange::all(), Direction::Ascending, usize::MAX)
            .unwrap()
    };
    let mut found = [(0, 0); 2];
    for table in [
        Table::System,
        Table::Tombstones,
        Table::Policies,
        Table::ApiKeys,
        Table::Receipts,
        Table::Backups,
        Table::Incidents,
        Table::Suppressions,
        Table::Audit,
    ] {
        for (key, row) in rows(table) {
            let place = Location::row(view.vault(), table.number(), &key);
            let clear = key == b"epoch" || (table == Table::Receipts && key.len() > 16);
            if clear {
                continue;
            }
            assert!(key_number(&row).is_some(), "{table:?}");
            let (ring, at) = match table {
                Table::Audit => (&keys.audit, 1),
                _ => (&keys.system, 0),
            };
            found[at].1 += 1;
            found[at].0 += usize::from(ring.unseal(&place, &row).is_ok());
        }
    }
    found
}

#[test]
fn nothing_is_left_under_a_key_from_before_and_everything_is_found() {
    let (mut bench, keeper) = bench();
    let vault = &bench.vault;
    let people: Vec<SubjectId> = (0..70)
        .map(|n| person(vault, &keeper, &format!("user{n}")))
        .collect();
    let gone = person(vault, &keeper, "gone");
    let early = vault.erase_subject(&call(&keeper, None), gone).unwrap();
    super::breach::noted(vault);
    let before = system(vault);
    let [rows, log] = opened(vault, &before);
    assert!(rows.0 == rows.1 && rows.1 >= 6, "the control: {rows:?}");
    assert!(log.0 == log.1 && log.1 > 10, "the control: {log:?}");
    let old_key = VerifierKey::parse(&vault.log_key().unwrap()).unwrap();

    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    // From this commit on nothing comes under an old key.
    let counts = |vault: &Vault| {
        let keys = vault.system_keys(&call(&keeper, None)).unwrap().keys;
        let keys = keys.into_iter().map(|key| ((key.of, key.key), key));
        keys.collect::<BTreeMap<_, _>>()
    };
    let begun = counts(vault);
    assert!(begun[&("rows", 1)].current && !begun[&("rows", 0)].current);
    let policy = vault
        .policy(&call(&vault.keyholder(), None))
        .unwrap()
        .source;
    vault
        .apply_policy(&call(&vault.keyholder(), None), &policy, false)
        .unwrap();
    let written = counts(vault);
    for of in ["rows", "log"] {
        assert_eq!(begun[&(of, 0)].values, written[&(of, 0)].values, "{of}");
        assert!(begun[&(of, 0)].values > 0);
        assert!(begun[&(of, 1)].values < written[&(of, 1)].values, "{of}");
    }
    let ended = to_the_end(vault);
    assert_eq!(
        (ended.done, ended.skipped, ended.state),
        (70, 0, RotationState::Done)
    );

    let after = counts(vault);
    assert_eq!(after.len(), 2, "the old keys are gone: {after:?}");
    assert!(after.values().all(|key| key.current && key.values > 0));
    let [rows, log] = opened(vault, &before);
    assert_eq!((rows.0, log.0), (0, 0), "an old key opens a row");
    let now = system(vault);
    let [rows, log] = opened(vault, &now);
    assert_eq!((rows.0, log.0), (rows.1, log.1));
    assert!(now.index_set() > before.index_set() && now.placements.len() == 1);
    assert_ne!(now.signing.expose(), before.signing.expose());
    let mark = |keys: &SystemKeys| keys.mark((0, 0), 1, b"value").unwrap();
    assert_ne!(mark(&now), mark(&before));
    // No mark of the old keys is in a keyset.
    let view = vault.snapshot().unwrap();
    for subject in &people {
        let lookups = Person::find(&view, *subject).unwrap().keyset.lookups;
        assert_eq!(lookups.len(), 2);
        assert!(lookups.iter().all(|lookup| lookup.set == now.index_set()));
    }
    drop(view);

    // A receipt from before stands by the old key, and says which it needs; one from after by the new.
    let new_key = VerifierKey::parse(&vault.log_key().unwrap()).unwrap();
    receipt::verify(&early, &old_key).unwrap();
    match receipt::verify(&early, &new_key).unwrap_err() {
        ReceiptError::OtherKey { needs } => {
            assert!(old_key.to_string().starts_with(&needs), "{needs}");
        }
        error => panic!("{error}"),
    }
    let id = receipt::verify(&early, &old_key).unwrap().receipt;
    let (fetched, _) = vault.receipt(&call(&keeper, None), id).unwrap();
    receipt::verify(&fetched, &new_key).unwrap();
    assert!(receipt::verify(&fetched, &old_key).is_err());
    // Who kept the old key alone comes to the new one by the note that both have signed.
    let keys = vault.log_keys().unwrap();
    assert_eq!((keys.past.len(), &keys.key), (1, &new_key.to_string()));
    assert_eq!(keys.past[0].key, old_key.to_string());
    let mut known = Signers::from(old_key);
    known.learn(&keys.past[0].note).unwrap();
    assert_eq!(*known.present(), new_key);
    let report = vault
        .verify_log(&call(&keeper, None), &[], &mut |_, _| {})
        .unwrap();
    assert!(report.sound() && report.checkpoints > 1, "{report:?}");
    let query = AuditQuery {
        last: 1,
        action: Some("log.key".into()),
        ..AuditQuery::default()
    };
    let page = vault.audit(&call(&keeper, None), &query).unwrap();
    assert_eq!(page.entries.len(), 1);
    assert!(page.entries[0].number < keys.past[0].until);

    bench.reopen();
    let vault = &bench.vault;
    for (number, subject) in people.iter().enumerate() {
        let user = format!("user{number}");
        assert_eq!(by_channel(vault, &keeper, &user), Some(*subject));
        assert_eq!(by_email(vault, &keeper, &email_of(&user)), Some(*subject));
    }
    assert_eq!(by_email(vault, &keeper, &email_of("gone")), None);
    let read = profile(vault, &support(&keeper), gone, None);
    assert!(matches!(read, Err(Refusal::Erased { receipt: Some(_) })));
}

/// What a story of changes has come to.
#[derive(Default)]
struct Model {
    emails: BTreeMap<SubjectId, (String, String)>,
    gone: Vec<(String, String)>,
    former: Vec<String>,
    number: usize,
}

impl Model {
    fn add(&mut self, vault: &Vault, keeper: &Principal) {
        let user = format!("user{}", self.number);
        self.number += 1;
        let subject = person(vault, keeper, &user);
        let email = email_of(&user);
        self.emails.insert(subject, (user, email));
    }

    /// Somebody comes, somebody changes their address, and somebody goes.
    fn turn(&mut self, vault: &Vault, keeper: &Principal) {
        self.add(vault, keeper);
        let nth = |n: usize| *self.emails.keys().nth(n % self.emails.len()).unwrap();
        let (changes, goes) = (nth(7 * self.number), nth(13 * self.number + 1));
        let email = format!("new{}@example.test", self.number);
        set_email(vault, keeper, changes, &email);
        let known = self.emails.get_mut(&changes).unwrap();
        self.former.push(std::mem::replace(&mut known.1, email));
        vault.erase_subject(&call(keeper, None), goes).unwrap();
        self.gone.extend(self.emails.remove(&goes));
    }

    fn check(&self, vault: &Vault, keeper: &Principal) {
        for (subject, (user, email)) in &self.emails {
            assert_eq!(by_channel(vault, keeper, user), Some(*subject), "{user}");
            assert_eq!(by_email(vault, keeper, email), Some(*subject), "{email}");
        }
        for (user, email) in &self.gone {
            assert_eq!(by_channel(vault, keeper, user), None, "{user}");
            assert_eq!(by_email(vault, keeper, email), None, "{email}");
        }
        for email in &self.former {
            assert_eq!(by_email(vault, keeper, email), None, "{email}");
        }
    }
}

#[test]
fn who_comes_changes_or_goes_between_any_two_commits_is_found_as_they_are() {
    let (mut bench, keeper) = bench();
    let mut model = Model::default();
    for _ in 0..90 {
        model.add(&bench.vault, &keeper);
    }
    let old = system(&bench.vault);
    bench
        .vault
        .begin_rotation(&call(&keeper, None), true)
        .unwrap();
    let mut stages = Vec::new();
    let mut steps = 0;
    loop {
        // Cut off behind every third commit, and taken up by another process.
        let vault = bench.vault.clone();
        let mut left = 3;
        let view = vault
            .rotate_on(&mut |view| {
                if stages.last() != Some(&view.stage) {
                    stages.push(view.stage);
                }
                assert!(view.step_done <= view.step_total);
                model.turn(&vault, &keeper);
                steps += 1;
                left -= 1;
                if left == 0 { Onwards::No } else { Onwards::Yes }
            })
            .unwrap();
        model.check(&vault, &keeper);
        drop(vault);
        bench.reopen();
        model.check(&bench.vault, &keeper);
        match view {
            Some(view) if view.stage != Stage::Ended => {}
            _ => break,
        }
        assert!(steps < 300);
    }
    let all = [
        Stage::People,
        Stage::Index,
        Stage::Marks,
        Stage::Count,
        Stage::Rows,
    ];
    assert!(stages.starts_with(&all), "{stages:?}");
    let now = system(&bench.vault);
    assert_eq!(now.placements.len(), 1);
    assert_eq!(opened(&bench.vault, &old).map(|(opened, _)| opened), [0, 0]);
    let view = bench.vault.snapshot().unwrap();
    for subject in model.emails.keys() {
        let lookups = Person::find(&view, *subject).unwrap().keyset.lookups;
        assert!(lookups.iter().all(|lookup| lookup.set == now.index_set()));
    }
}

#[test]
fn the_sweeper_and_an_ordinary_building_do_not_get_in_its_way() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let mut model = Model::default();
    for _ in 0..70 {
        model.add(vault, &keeper);
    }
    // An ordinary building is under way when it begins.
    vault.rebuild_index_step().unwrap();
    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    let ended = vault.rotate_on(&mut |_| {
        vault.sweep(Sweep::All).unwrap();
        model.turn(vault, &keeper);
        Onwards::Yes
    });
    assert_eq!(ended.unwrap().unwrap().stage, Stage::Ended);
    model.check(vault, &keeper);
    vault.rebuild_index().unwrap();
    model.check(vault, &keeper);
    assert_eq!(system(vault).placements.len(), 1);
}

/// What would be lost: rows that a backup copied under keys which its key part does not have.
#[test]
fn no_system_key_goes_while_rows_are_copied() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    person(vault, &keeper, "ann");
    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    let copying = vault.jobs().begin(JobKind::Backup, "rows").unwrap();
    let waits = to_the_end(vault);
    assert_eq!(
        (waits.stage, waits.state),
        (Stage::Rows, RotationState::Waiting)
    );
    assert_eq!(system(vault).system.numbers().count(), 2);
    copying.done();
    assert_eq!(to_the_end(vault).stage, Stage::Ended);
    assert_eq!(system(vault).system.numbers().count(), 1);
}

/// What would be lost: whoever finds one damaged row finds that no rotation ever ends, or that the key
/// it needs is gone with the others'.
#[test]
fn a_row_that_does_not_open_keeps_its_key_and_the_rotation_ends() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let gone = person(vault, &keeper, "gone");
    vault.erase_subject(&call(&keeper, None), gone).unwrap();
    let view = vault.snapshot().unwrap();
    let stones = view
        .tx()
        .range(Table::Tombstones, &KeyRange::all(), Direction::Ascending, 1);
    let (key, mut row) = stones.unwrap().remove(0);
    drop(view);
    let at = row.len() - 1;
    row[at] ^= 1;
    vault
        .engine
        .submit(move |txn| {
            use crate::store::WriteTx as _;
            Ok(txn.put(Table::Tombstones, &key, &row)?)
        })
        .unwrap();
    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    assert_eq!(to_the_end(vault).stage, Stage::Ended);
    let keys = vault.system_keys(&call(&keeper, None)).unwrap().keys;
    let left: Vec<_> = keys.iter().filter(|key| !key.current).collect();
    assert_eq!(left.len(), 1, "{keys:?}");
    assert_eq!((left[0].of, left[0].key, left[0].values), ("rows", 0, 1));
}

#[test]
fn reads_before_and_during_it_are_in_the_log_whatever_key_their_frames_had() {
    let (mut bench, keeper) = bench();
    let subject = person(&bench.vault, &keeper, "ann");
    let reads = |vault: &Vault, times: usize| {
        for _ in 0..times {
            profile(vault, &support(&keeper), subject, None).unwrap();
        }
    };
    reads(&bench.vault, 3);
    bench
        .vault
        .begin_rotation(&call(&keeper, None), true)
        .unwrap();
    reads(&bench.vault, 3);
    bench.reopen();
    let vault = bench.vault.clone();
    vault
        .rotate_on(&mut |_| {
            reads(&vault, 1);
            Onwards::Yes
        })
        .unwrap();
    reads(&vault, 1);
    drop(vault);
    bench.reopen();
    let query = AuditQuery {
        last: 1_000,
        action: Some("records.read".into()),
        ..AuditQuery::default()
    };
    let vault = &bench.vault;
    let page = vault.audit(&call(&keeper, None), &query).unwrap();
    assert!(page.entries.len() >= 7, "{}", page.entries.len());
    let report = vault
        .verify_log(&call(&keeper, None), &[], &mut |_, _| {})
        .unwrap();
    assert!(report.sound(), "{report:?}");
}

#[test]
fn slot_numbers_go_on_after_the_last_and_none_is_given_that_is_in_use() {
    let (bench, _) = bench();
    let vault = &bench.vault;
    let keyholder = vault.keyholder();
    let mut keys = system(vault);
    keys.next_slot = 254;
    vault
        .engine
        .submit(move |txn| {
            txn.replace_system(keys.duplicate());
            Ok(())
        })
        .unwrap();
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let (slot, _) = vault
            .add_recovery_slot(&call(&keyholder, None), "spare")
            .unwrap();
        numbers.push(slot.number);
    }
    // 1 and 2 are those that the vault was made with.
    assert_eq!(numbers, [254, 255, 3, 4]);
    vault.remove_slot(&call(&keyholder, None), 3).unwrap();
    let (slot, _) = vault
        .add_recovery_slot(&call(&keyholder, None), "spare")
        .unwrap();
    assert_eq!(slot.number, 3);
    for _ in 0..10 {
        vault
            .add_recovery_slot(&call(&keyholder, None), "spare")
            .unwrap();
    }
    let refused = vault.add_recovery_slot(&call(&keyholder, None), "one too many");
    assert!(matches!(refused, Err(Refusal::TooLarge(_))));
}

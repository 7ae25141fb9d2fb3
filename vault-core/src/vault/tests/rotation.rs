//! Everybody's keys are replaced, one person's, the root key's: nothing is lost, and no old key stays.

use std::collections::BTreeSet;

use super::*;
use crate::jobs::JobState;
use crate::limits::ROTATION_COMMIT_ROWS;
use crate::store::Table;
use crate::store::{Direction, KeyRange};

const KEEPER: &str = r#"
[roles.keeper]
purposes = ["support", "newsletter"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.erase", "sessions.create", "consents.record", "keys.manage"]
"#;

fn bench() -> (Bench, Principal) {
    let bench = Bench::of(&format!("{SAMPLE}{KEEPER}"));
    let keeper = bench.role("keeper");
    (bench, keeper)
}

fn support(principal: &Principal) -> Call<'_> {
    call(principal, Some("support"))
}

/// A person with something in each table.
fn person(vault: &Vault, keeper: &Principal, user: &str, messages: usize) -> SubjectId {
    let (subject, _) = vault.create_subject(&support(keeper), "web", user).unwrap();
    let body =
        object(json!({"name": format!("{user} Example"), "email": format!("{user}@example.test")}));
    vault
        .patch_single(&support(keeper), subject, "profile", body, None)
        .unwrap();
    let message = object(json!({"from": "user", "text": format!("hello from {user}")}));
    let bodies = vec![message; messages.min(1_000)];
    for _ in 0..messages.div_ceil(1_000) {
        vault
            .append(&support(keeper), subject, "messages", bodies.clone())
            .unwrap();
    }
    let said = ConsentInput {
        given: true,
        notice: json!("v1"),
        message_id: None,
        choice: None,
        ..ConsentInput::default()
    };
    vault
        .put_consent(&call(keeper, None), subject, "newsletter", said)
        .unwrap();
    subject
}

fn texts(vault: &Vault, keeper: &Principal, subject: SubjectId) -> usize {
    let mut found = 0;
    let mut cursor = None;
    loop {
        let options = ListOptions {
            read: ReadOptions::default(),
            limit: 1_000,
            order: Order::Oldest,
            cursor: cursor.take(),
        };
        let page = vault
            .list(&support(keeper), subject, "messages", &options, |page| {
                let whole = page.records.iter().filter(|r| r.fields["from"] == "user");
                (whole.count(), page.next.clone())
            })
            .unwrap();
        found += page.0;
        match page.1 {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

fn numbers(keys: &[KeyView]) -> BTreeSet<u32> {
    keys.iter().map(|key| key.key).collect()
}

fn keys_of(vault: &Vault, keeper: &Principal, subject: SubjectId) -> Vec<KeyView> {
    vault.subject_keys(&call(keeper, None), subject).unwrap()
}

fn to_the_end(vault: &Vault) -> RotationView {
    let rotation = vault.rotate_on(&mut |_| Onwards::Yes).unwrap();
    rotation.expect("one was begun")
}

fn marks(vault: &Vault) -> usize {
    let view = vault.snapshot().unwrap();
    let all = KeyRange::all();
    let rows = crate::commit::View::tx(&view)
        .range(Table::Dirty, &all, Direction::Ascending, usize::MAX)
        .unwrap();
    rows.iter()
        .filter(|(key, _)| key.ends_with(&crate::rotation::MARK))
        .count()
}

#[test]
fn everybody_has_new_keys_and_everything_they_had() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let people: Vec<SubjectId> = (0..70)
        .map(|n| person(vault, &keeper, &format!("user{n}"), 3))
        .collect();
    let before: Vec<_> = people.iter().map(|p| keys_of(vault, &keeper, *p)).collect();
    let (begun, resumed) = vault.begin_rotation(&call(&keeper, None), false).unwrap();
    assert_eq!((begun.people, begun.done, resumed), (70, 0, false));
    let mut told = Vec::new();
    let ended = vault
        .rotate_on(&mut |view| {
            told.push(view.done);
            Onwards::Yes
        })
        .unwrap()
        .expect("one was begun");
    assert_eq!((ended.done, ended.skipped), (70, 0));
    assert_eq!(
        (ended.stage, ended.state),
        (Stage::Ended, RotationState::Done)
    );
    assert!(told.len() > 2 && told.is_sorted(), "{told:?}");
    for (subject, before) in people.iter().zip(before) {
        let after = keys_of(vault, &keeper, *subject);
        assert!(numbers(&before).is_disjoint(&numbers(&after)));
        let values = |keys: &[KeyView]| keys.iter().map(|key| key.values).sum::<u64>();
        assert_eq!(values(&before), values(&after));
        assert!(after.iter().all(|key| key.current && key.values > 0));
        assert_eq!(texts(vault, &keeper, *subject), 3);
        let (fields, _) = profile(vault, &support(&keeper), *subject, None).unwrap();
        assert!(fields["name"].as_str().unwrap().ends_with(" Example"));
        let said = vault.list_consents(&call(&keeper, None), *subject).unwrap();
        assert!(said.iter().any(|view| view.purpose == "newsletter"));
    }
    let jobs = vault.jobs().list();
    assert_eq!((&jobs[0].state, jobs[0].done), (&JobState::Done, 70));
    assert_eq!(vault.rotate_on(&mut |_| Onwards::Yes).unwrap(), None);
}

#[test]
fn a_person_of_many_records_is_done_in_bounded_commits_and_any_of_them_can_be_the_last() {
    let (mut bench, keeper) = bench();
    let many = 3 * ROTATION_COMMIT_ROWS;
    let subject = person(&bench.vault, &keeper, "ann", many);
    let other = person(&bench.vault, &keeper, "bob", 2);
    let before = keys_of(&bench.vault, &keeper, subject);
    bench
        .vault
        .begin_rotation(&call(&keeper, None), false)
        .unwrap();
    // One leaf holds both. Its commits are cut off after each number of them.
    for commits in 1..=3 {
        let vault = bench.vault.clone();
        let number = 1;
        let step = vault
            .engine
            .submit(move |txn| {
                let budget = &mut crate::rotation::Budget::whole();
                crate::rotation::step(txn, subject, number, None, budget)
            })
            .unwrap();
        assert!(matches!(step, crate::rotation::Step::More), "{commits}");
        let between = keys_of(&vault, &keeper, subject);
        // Old and new side by side; written under the new alone.
        let old = numbers(&before);
        let written = object(json!({"from": "user", "text": "between"}));
        vault
            .append(&support(&keeper), subject, "messages", vec![written])
            .unwrap();
        assert!(numbers(&between).is_superset(&old));
        for key in &between {
            assert_eq!(key.current, !old.contains(&key.key), "{key:?}");
        }
        let of = |keys: &[KeyView]| -> u64 {
            let under = keys.iter().filter(|key| old.contains(&key.key));
            under.map(|key| key.values).sum()
        };
        let after = keys_of(&vault, &keeper, subject);
        assert_eq!(of(&between), of(&after), "none came under an old key");
        assert!(of(&after) > 0 && of(&after) < of(&before));
        assert_eq!(marks(&vault), 1);
        drop(vault);
        bench.reopen();
    }
    let ended = to_the_end(&bench.vault);
    assert_eq!(ended.done, 2);
    for person in [subject, other] {
        let after = keys_of(&bench.vault, &keeper, person);
        assert!(numbers(&before).is_disjoint(&numbers(&after)) || person == other);
        assert!(after.iter().all(|key| key.current));
    }
    assert_eq!(marks(&bench.vault), 0);
    assert_eq!(texts(&bench.vault, &keeper, subject), many + 3);
}

#[test]
fn one_person_cut_off_is_ended_by_the_sweeper() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let subject = person(vault, &keeper, "ann", 2 * ROTATION_COMMIT_ROWS);
    let before = keys_of(vault, &keeper, subject);
    vault
        .engine
        .submit(move |txn| {
            let budget = &mut crate::rotation::Budget::whole();
            crate::rotation::step(txn, subject, 0, None, budget)
        })
        .unwrap();
    assert_eq!(marks(vault), 1);
    vault.sweep(Sweep::Due).unwrap();
    let after = keys_of(vault, &keeper, subject);
    assert!(numbers(&before).is_disjoint(&numbers(&after)));
    assert_eq!(
        (marks(vault), texts(vault, &keeper, subject)),
        (0, 2 * ROTATION_COMMIT_ROWS)
    );
    // And whole, by itself.
    let again = vault.rotate_subject(&call(&keeper, None), subject).unwrap();
    assert!(numbers(&after).is_disjoint(&numbers(&again)));
    assert_eq!(texts(vault, &keeper, subject), 2 * ROTATION_COMMIT_ROWS);
}

#[test]
fn who_is_erased_in_the_middle_is_gone_and_the_rotation_ends() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let subject = person(vault, &keeper, "ann", 2 * ROTATION_COMMIT_ROWS);
    vault.begin_rotation(&call(&keeper, None), false).unwrap();
    vault
        .engine
        .submit(move |txn| {
            let budget = &mut crate::rotation::Budget::whole();
            crate::rotation::step(txn, subject, 1, None, budget)
        })
        .unwrap();
    vault.erase_subject(&call(&keeper, None), subject).unwrap();
    assert_eq!(to_the_end(vault).stage, Stage::Ended);
    assert_eq!(marks(vault), 0);
}

#[test]
fn a_deep_one_takes_root_key_and_index_along_and_look_ups_still_find() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let ann = person(vault, &keeper, "ann", 1);
    let before = vault.keys(&call(&keeper, None)).unwrap();
    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    assert!(matches!(
        vault.begin_rotation(&call(&keeper, None), false),
        Err(Refusal::Conflict(_))
    ));
    let (_, resumed) = vault.begin_rotation(&call(&keeper, None), true).unwrap();
    assert!(resumed, "the same goes on");
    to_the_end(vault);
    let after = vault.keys(&call(&keeper, None)).unwrap();
    assert!(after.index_generation > before.index_generation && !after.index_in_work);
    assert!(after.root_at.is_some() && after.epoch > before.epoch);
    let found = vault
        .create_subject(&support(&keeper), "web", "ann")
        .unwrap();
    assert_eq!(found, (ann, false));
}

#[test]
fn a_new_root_key_is_one_commit_and_the_slots_stay() {
    let (mut bench, keeper) = bench();
    let commits = bench.vault.engine.commits();
    let rotated = bench.vault.rotate_root(&call(&keeper, None)).unwrap();
    assert_eq!(rotated.epoch_after, rotated.epoch_before + 1);
    assert_eq!(bench.vault.engine.commits(), commits + 1);
    bench.reopen();
    let stranger = bench.role("bot");
    let refused = bench.vault.rotate_root(&call(&stranger, None));
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
}

#[test]
fn who_cancels_the_job_pauses_it_and_the_next_call_goes_on() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    person(vault, &keeper, "ann", 1);
    vault.begin_rotation(&call(&keeper, None), false).unwrap();
    let jobs = vault.jobs().clone();
    let cancel = &mut |_: &RotationView| {
        assert!(jobs.cancel(1));
        Onwards::Yes
    };
    let paused = vault.rotate_on(cancel).unwrap().expect("one was begun");
    assert_eq!(paused.state, RotationState::Paused);
    assert_eq!(
        vault.rotate_on(&mut |_| Onwards::Yes).unwrap(),
        None,
        "paused"
    );
    let (_, resumed) = vault.begin_rotation(&call(&keeper, None), false).unwrap();
    assert!(resumed);
    assert_eq!(to_the_end(vault).done, 1);
}

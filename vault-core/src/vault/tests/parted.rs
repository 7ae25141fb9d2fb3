//! A person of whom some was erased, in vaults out of backups from before and after.

use super::requests::{Case, input};
use super::*;
use crate::backup::write::Parts;
use crate::commit::View as _;
use crate::events::{self, Topic};
use crate::person::Person;
use crate::request::RequestKind;
use crate::store::{Direction, KeyRange, Table};
use crate::vault::{RequestInput, RequestStep};

/// Has these collections of somebody erased, as a request says it.
fn erase(case: &Case, subject: SubjectId, collections: &[&str]) {
    let dpo = call(&case.dpo, None);
    let asked = RequestInput {
        collections: collections.iter().map(ToString::to_string).collect(),
        ..input(RequestKind::Erase)
    };
    let made = case.vault().create_request(&dpo, subject, asked).unwrap();
    let evidence = "known by voice".into();
    case.step(made.request, RequestStep::Verify { evidence });
    let confirmation = case.vault().confirm_request(&dpo, made.request, None);
    let approve = RequestStep::Approve {
        confirmation: Some(confirmation.unwrap().confirmation),
        correction: None,
        answer: None,
    };
    case.step(made.request, approve);
}

/// What a vault has of somebody: the name in the profile, how many messages, and whether they are found by an address.
fn there(vault: &Vault, subject: SubjectId, email: &str) -> (Option<String>, u64, bool) {
    let keyholder = vault.keyholder();
    let made = vault.create_token(&call(&keyholder, None), "bot", None);
    let bot = vault.authenticate(&made.unwrap().1).unwrap();
    let made = vault.create_token(&call(&keyholder, None), "dpo", None);
    let dpo = vault.authenticate(&made.unwrap().1).unwrap();
    let support = call(&bot, Some("support"));
    let (fields, _) = profile(vault, &support, subject, None).unwrap();
    let view = vault.view_subject(&call(&dpo, None), subject).unwrap();
    let mut counts = view.collections.iter();
    let messages = counts.find(|one| one.collection == "messages").unwrap();
    let found = vault.lookup_field(&support, "profile.email", &json!(email));
    let name = fields["name"].as_str().map(str::to_owned);
    (
        name,
        messages.records,
        found.is_ok_and(|one| one == subject),
    )
}

#[test]
fn an_older_backup_brings_nothing_of_it_back_and_a_newer_one_what_was_written_since() {
    let case = Case::new(2);
    let (ann, ben) = (case.scene.people[0], case.scene.people[1]);
    case.scene.back_up(Parts::Both).unwrap();
    erase(&case, ann, &["profile", "messages"]);
    let (_, vault, _locked) = case.scene.restore("older");
    assert_eq!(there(&vault, ann, "p0@example.test"), (None, 0, false));
    let ben_is = (Some("Person Number 1".to_owned()), 3, true);
    assert_eq!(there(&vault, ben, "p1@example.test"), ben_is, "the control");
    vault.close();
    // A profile is the one of its kind, and has the same id again: what the ledger says of the one before is not
    // said of it.
    let anew = object(json!({"name": "Ann Anew", "email": "anew@example.test"}));
    let support = case.scene.support();
    case.vault()
        .patch_single(&support, ann, "profile", anew, None)
        .unwrap();
    // Which backup is the newest is told by when it began.
    case.scene.bench.clock.advance(HOUR);
    case.scene.back_up(Parts::Both).unwrap();
    let (_, vault, _locked) = case.scene.restore("newer");
    let ann_is = (Some("Ann Anew".to_owned()), 0, true);
    assert_eq!(there(&vault, ann, "anew@example.test"), ann_is);
    assert!(!there(&vault, ann, "p0@example.test").2);
}

#[test]
fn a_request_for_some_of_it_that_the_ledger_alone_knows_comes_back_as_one_for_no_more() {
    let case = Case::new(1);
    let ann = case.scene.people[0];
    case.scene.back_up(Parts::Both).unwrap();
    let dpo = call(&case.dpo, None);
    let asked = RequestInput {
        collections: vec!["messages".into()],
        ..input(RequestKind::Erase)
    };
    let made = case.vault().create_request(&dpo, ann, asked).unwrap();
    let (_, vault, _locked) = case.scene.restore("restored");
    let keyholder = vault.keyholder();
    let token = vault.create_token(&call(&keyholder, None), "dpo", None);
    let dpo = vault.authenticate(&token.unwrap().1).unwrap();
    let back = vault.read_request(&call(&dpo, None), made.request).unwrap();
    assert_eq!(back.collections, ["messages"]);
}

/// What waits to be made of corrections, by the number of the collection.
fn waiting(vault: &Vault, subject: SubjectId) -> Vec<u16> {
    let snapshot = vault.snapshot().unwrap();
    let person = Person::find(&snapshot, subject).unwrap();
    let all = crate::vault::corrections::waiting(&snapshot, &person).unwrap();
    all.iter().map(|one| one.collection()).collect()
}

#[test]
fn a_correction_that_waits_goes_with_its_collection_and_is_made_of_no_later_record() {
    let case = Case::new(1);
    let (ann, vault) = (case.scene.people[0], case.vault());
    let snapshot = vault.snapshot().unwrap();
    let policy = vault.policy_of(&snapshot).unwrap();
    drop(snapshot);
    let number = |name: &str| policy.collection(name).unwrap().id;
    let (profile_of, messages) = (number("profile"), number("messages"));
    let name = policy
        .collection("profile")
        .unwrap()
        .field("name")
        .unwrap()
        .id;
    // Such as one that lost its room when the hold ended.
    let waits = move |collection: u16, record: RecordId| {
        json!({
            "collection": collection,
            "record": record.as_bytes(),
            "fields": [[name, "It was otherwise"]],
            "at": "2026-01-01T00:00:00Z",
        })
    };
    let dpo = call(&case.dpo, None);
    let written = vault.write(&dpo, "holds.release", move |txn, _, _, _| {
        let mut person = Person::find(txn, ann)?;
        for one in [
            waits(profile_of, RecordId::SINGLE),
            waits(
                messages,
                RecordId::from_slice(&[9; RecordId::BYTES]).unwrap(),
            ),
        ] {
            events::append(txn, &mut person, Topic::Correction, &one)?;
        }
        Ok(())
    });
    written.unwrap();
    assert_eq!(waiting(vault, ann), [profile_of, messages]);
    erase(&case, ann, &["profile"]);
    assert_eq!(waiting(vault, ann), [messages], "the other stays");
    let anew = object(json!({"name": "Ann Anew"}));
    let support = case.scene.support();
    vault
        .patch_single(&support, ann, "profile", anew, None)
        .unwrap();
    while vault.sweep(Sweep::All).unwrap() {}
    let (fields, _) = profile(vault, &support, ann, None).unwrap();
    assert_eq!(fields["name"], "Ann Anew");
}

#[test]
fn of_a_call_that_is_sent_again_it_is_known_that_it_was_made_and_not_what_it_said() {
    const SAID: [u8; 32] = [7; 32];
    let case = Case::new(2);
    let (ann, ben, vault) = (case.scene.people[0], case.scene.people[1], case.vault());
    let once = |subject: SubjectId| {
        let group = Group {
            changes: true,
            subject: Some(subject),
            once: Some(Once::new("a call", SAID)),
        };
        let run = move |desk: &mut Desk<'_, '_>, _: Option<&&'static str>| {
            let known = desk.recall(subject).map_err(|refusal| refusal.code())?;
            if known.is_some() {
                return Ok("known");
            }
            let kept = desk.keep(subject, Some(Vec::new()));
            kept.map(|()| "made").map_err(|refusal| refusal.code())
        };
        let support = case.scene.support();
        vault.together(&support, group, run).unwrap()
    };
    let said = |subject: SubjectId| {
        let snapshot = vault.snapshot().unwrap();
        let person = Person::find(&snapshot, subject).unwrap();
        let range = KeyRange::prefix(person.entry.handle.as_bytes());
        let rows = snapshot
            .tx()
            .range(Table::Answers, &range, Direction::Ascending, 10);
        let (key, sealed) = rows.unwrap().remove(0);
        let row = crate::answer::open(&snapshot, &person, &key[16..], &sealed).unwrap();
        (row.fingerprint == SAID, row.answers.is_some())
    };
    for subject in [ann, ben] {
        assert_eq!((once(subject), once(subject)), (Ok("made"), Ok("known")));
        assert_eq!(said(subject), (true, true));
    }
    erase(&case, ann, &["messages"]);
    assert_eq!(said(ann), (false, false));
    assert_eq!(
        once(ann),
        Err("idempotency_mismatch"),
        "and is not made again"
    );
    assert_eq!(
        (said(ben), once(ben)),
        ((true, true), Ok("known")),
        "the control"
    );
}

//! The life of a vault in real directories: stored, given by need to know, forgotten.

mod access;
mod agreed_less;
mod api_keys;
mod backups;
mod breach;
mod children;
mod copies;
mod counts;
mod decisions;
mod demands;
mod demands_imported;
mod emergencies;
mod ended;
mod holds;
mod honey;
mod imports;
mod journal_first;
mod logs;
mod objected_by_address;
mod operating;
mod parted;
mod pruned;
mod pseudonyms;
mod recipients;
mod reminders;
mod requests;
mod restored;
mod retention;
mod rotation;
mod rotation_damage;
mod rotation_deep;
mod rotation_rekey;
mod rotation_sweep;
mod told;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::*;
use crate::audit::checkpoint::{Checkpoint, VerifierKey};
use crate::audit::merkle;
use crate::audit::receipt::{self, Opened, ReceiptError};
use crate::clock::{Clock, ManualClock};
use crate::entropy::OsEntropy;
use crate::id::{CallId, SubjectId};
use crate::policy::SAMPLE;
use crate::refusal::Refusal;

const HOUR: i64 = 3_600_000;

pub(super) struct Bench {
    dir: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
    locked: Option<LockedVault>,
    pub(super) vault: Arc<Vault>,
    recovery: String,
}

fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    }
}

impl Bench {
    fn new() -> Self {
        Self::of(SAMPLE)
    }

    pub(super) fn of(policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(
            Timestamp::from_second(1_800_000_000).unwrap(),
        ));
        let paths = VaultPaths::beside(&dir.path().join("v"));
        let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
        let created = LockedVault::create(&paths, settings(&clock), &passphrase, policy).unwrap();
        Self {
            dir,
            clock,
            recovery: created.recovery_key.to_text(),
            locked: Some(created.locked),
            vault: created.vault,
        }
    }

    pub(super) fn reopen(&mut self) {
        self.vault.close();
        self.locked = None;
        let paths = VaultPaths::beside(&self.dir.path().join("v"));
        let locked = LockedVault::open(&paths, settings(&self.clock)).unwrap();
        let key = UnlockSecret::RecoveryKey(self.recovery.parse().unwrap());
        self.vault = locked.unlock(&key).unwrap();
        self.locked = Some(locked);
    }

    pub(super) fn role(&self, role: &str) -> Principal {
        let keyholder = self.vault.keyholder();
        let (_, secret) = self
            .vault
            .create_token(&call(&keyholder, None), role, None)
            .unwrap();
        self.vault.authenticate(&secret).unwrap()
    }
}

pub(super) fn call<'a>(principal: &'a Principal, purpose: Option<&'a str>) -> Call<'a> {
    Call {
        principal,
        purpose,
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn profile(
    vault: &Vault,
    call: &Call<'_>,
    subject: SubjectId,
    fields: Option<&[&str]>,
) -> Result<(Value, Vec<String>), Refusal> {
    let options = ReadOptions {
        fields: fields.map(|names| names.iter().map(ToString::to_string).collect()),
        part: Part::Fields,
    };
    vault.read_single(call, subject, "profile", &options, |view, _| {
        view.map_or((json!({}), Vec::new()), |view| {
            (Value::Object(view.fields.clone()), view.masked.clone())
        })
    })
}

#[test]
fn a_person_is_stored_shown_by_need_to_know_and_forgotten() {
    let mut bench = Bench::new();
    let (bot, agent, dpo) = (bench.role("bot"), bench.role("agent"), bench.role("dpo"));
    let support = |principal| call(principal, Some("support"));
    let vault = bench.vault.clone();
    let (ann, created) = vault.create_subject(&support(&bot), "web", "ann").unwrap();
    assert!(created);
    assert_eq!(
        vault.create_subject(&support(&bot), "web", "ann").unwrap(),
        (ann, false)
    );
    let body = object(json!({"name": "Ann Example", "email": "Ann@example.test",
        "card": "4111 1111 1111 1111", "birth": "1990-02-28"}));
    let written = vault
        .patch_single(&support(&bot), ann, "profile", body.clone(), None)
        .unwrap();
    assert!(written.final_by.is_none());
    let (fields, masked) = profile(&vault, &support(&bot), ann, None).unwrap();
    assert_eq!(fields, Value::Object(body));
    assert!(masked.is_empty());
    // The agent sees a name and a masked address, and no card.
    let (fields, masked) = profile(&vault, &support(&agent), ann, None).unwrap();
    assert_eq!(fields["name"], "Ann Example");
    assert_ne!(fields["email"], "Ann@example.test");
    assert_eq!(
        (masked, fields.get("card")),
        (vec!["email".to_owned()], None)
    );
    let refused = profile(&vault, &support(&agent), ann, Some(&["card"]));
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    assert!(
        vault
            .ask(
                &support(&bot),
                ann,
                "profile.birth",
                &json!({"age_at_least": 18})
            )
            .unwrap()
    );
    assert!(
        !vault
            .ask(
                &support(&bot),
                ann,
                "profile.card",
                &json!({"last4": "1112"})
            )
            .unwrap()
    );
    // Consent: not asked, given, withdrawn.
    let newsletter = |principal| call(principal, Some("newsletter"));
    let refused = profile(&vault, &newsletter(&bot), ann, Some(&["email"]));
    assert!(matches!(refused, Err(Refusal::ConsentRequired { .. })));
    let input = ConsentInput {
        given: true,
        notice: json!("n1"),
        choice: Some("yes".into()),
        message_id: None,
        ..ConsentInput::default()
    };
    vault
        .put_consent(&support(&bot), ann, "newsletter", input)
        .unwrap();
    assert!(profile(&vault, &newsletter(&bot), ann, Some(&["email"])).is_ok());
    let refused = profile(&vault, &newsletter(&bot), ann, Some(&["card"]));
    assert!(matches!(refused, Err(Refusal::PurposeDenied(_))));
    vault
        .withdraw_consent(&support(&bot), ann, "newsletter")
        .unwrap();
    let refused = profile(&vault, &newsletter(&bot), ann, Some(&["email"]));
    assert!(matches!(refused, Err(Refusal::ConsentRequired { .. })));
    // Messages, in order, over a restart.
    for text in ["one", "two", "three"] {
        let body = object(json!({"from": "user", "text": text}));
        vault
            .append(&support(&bot), ann, "messages", vec![body])
            .unwrap();
    }
    drop(vault);
    bench.reopen();
    let vault = bench.vault.clone();
    let mut options = ListOptions {
        read: ReadOptions::default(),
        limit: 2,
        order: Order::Oldest,
        cursor: None,
    };
    let mut texts = Vec::new();
    loop {
        let next = vault.list(&support(&bot), ann, "messages", &options, |page| {
            texts.extend(
                page.records
                    .iter()
                    .map(|record| record.fields["text"].clone()),
            );
            page.next.clone()
        });
        match next.unwrap() {
            Some(next) => options.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(texts, ["one", "two", "three"]);
    // Looked up in another spelling, then erased.
    let found = vault.lookup_field(&support(&bot), "profile.email", &json!("ANN@EXAMPLE.TEST"));
    assert_eq!(found.unwrap(), ann);
    assert!(matches!(
        vault.erase_subject(&support(&bot), ann),
        Err(Refusal::RoleDenied(_))
    ));
    let receipt = vault.erase_subject(&support(&dpo), ann).unwrap();
    assert_eq!(receipt["opening"]["subject"], ann.to_string());
    let late = object(json!({"name": "Ann"}));
    let late = vault.patch_single(&support(&bot), ann, "profile", late, None);
    assert!(matches!(late, Err(Refusal::Erased { receipt: Some(_) })));
    let late = vault.create_subject(&support(&bot), "web", "ann");
    assert!(matches!(late, Err(Refusal::Erased { receipt: None })));
    let gone = vault.lookup_field(&support(&bot), "profile.email", &json!("ann@example.test"));
    assert!(matches!(gone, Err(Refusal::NotFound(_))));
    bench.clock.advance(HOUR);
    let (again, created) = vault.create_subject(&support(&bot), "web", "ann").unwrap();
    assert!(created && again != ann);
}

#[test]
fn a_changed_address_is_found_no_longer_and_the_sweeper_gives_new_keys() {
    let mut bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = bench.vault.clone();
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let patch = |address: &str| {
        let body = object(json!({ "email": address, "name": "Ann" }));
        vault
            .patch_single(&support, ann, "profile", body, None)
            .unwrap()
    };
    let first = patch("old@example.test");
    let second = patch("new@example.test");
    assert!(second.final_by.is_some() && first.etag != second.etag);
    let find = |vault: &Vault, address: &str| {
        vault.lookup_field(&support, "profile.email", &json!(address))
    };
    assert!(find(&vault, "old@example.test").is_err());
    let number = |vault: &Vault| {
        let snapshot = vault.snapshot().unwrap();
        let person = crate::person::Person::find(&snapshot, ann).unwrap();
        let general = crate::keys::keyset::Compartment::GENERAL;
        person.keyset.newest(general).unwrap().number
    };
    let before = number(&vault);
    while vault.sweep(Sweep::Due).unwrap() {}
    assert_eq!(number(&vault), before, "it waits for more changes");
    bench.clock.advance(12 * HOUR);
    while vault.sweep(Sweep::Due).unwrap() {}
    assert!(number(&vault) > before);
    vault.rebuild_index().unwrap();
    assert_eq!(find(&vault, "new@example.test").unwrap(), ann);
    drop(vault);
    bench.reopen();
    assert_eq!(find(&bench.vault, "new@example.test").unwrap(), ann);
    let (fields, _) = profile(&bench.vault, &support, ann, None).unwrap();
    assert_eq!(fields["email"], "new@example.test");
}

#[test]
fn messages_end_with_their_time_and_their_keys_a_period_later() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = &bench.vault;
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let body = object(json!({"from": "user", "text": "hello"}));
    vault.append(&support, ann, "messages", vec![body]).unwrap();
    let options = ListOptions {
        read: ReadOptions::default(),
        limit: 10,
        order: Order::Newest,
        cursor: None,
    };
    let count = || {
        vault
            .list(&support, ann, "messages", &options, |p| p.records.len())
            .unwrap()
    };
    let keys = || {
        let snapshot = vault.snapshot().unwrap();
        crate::person::Person::find(&snapshot, ann)
            .unwrap()
            .keyset
            .keys
            .len()
    };
    assert_eq!(count(), 1);
    let before = keys();
    bench.clock.advance(91 * 24 * HOUR);
    assert_eq!(count(), 0);
    bench.clock.advance(5 * 24 * HOUR);
    while vault.sweep(Sweep::Due).unwrap() {}
    assert_eq!(keys(), before - 1);
}

#[test]
fn a_new_policy_a_revoked_key_and_a_removed_slot_hold_at_once() {
    let mut bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = bench.vault.clone();
    let keyholder = vault.keyholder();
    let admin = call(&keyholder, None);
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let body = object(json!({"name": "Ann"}));
    vault
        .patch_single(&support, ann, "profile", body, None)
        .unwrap();
    let narrower = SAMPLE.replace(
        "read  = { \"profile.*\" = \"full\", \"messages.*\" = \"full\" }",
        "read  = { \"messages.*\" = \"full\" }",
    );
    assert_ne!(narrower, SAMPLE);
    let dry = vault.apply_policy(&admin, &narrower, true).unwrap();
    assert!(!dry.changes.is_empty() && profile(&vault, &support, ann, None).is_ok());
    assert_eq!(
        vault
            .apply_policy(&admin, &narrower, false)
            .unwrap()
            .version,
        2
    );
    assert!(matches!(
        profile(&vault, &support, ann, None),
        Err(Refusal::RoleDenied(_))
    ));
    let broken = vault.apply_policy(&admin, "[purposes.x]", false);
    assert!(matches!(broken, Err(Refusal::Invalid(_))));
    vault.revoke_token(&admin, bot.token().unwrap()).unwrap();
    let refused = vault.create_subject(&support, "web", "ben");
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    let passphrase = Passphrase::new("another long passphrase".into()).unwrap();
    let slot = vault
        .add_passphrase_slot(&admin, &passphrase, "second")
        .unwrap();
    let secret = UnlockSecret::Passphrase(passphrase);
    assert_eq!(vault.test_slot(&admin, &secret).unwrap(), Some(slot.number));
    vault.remove_slot(&admin, slot.number).unwrap();
    assert_eq!(vault.test_slot(&admin, &secret).unwrap(), None);
    drop(vault);
    bench.reopen();
    let refused = bench.locked.as_ref().unwrap().unlock(&secret);
    assert!(matches!(refused, Err(UnlockError::NoSlotMatches)));
}

#[test]
fn input_that_does_not_fit_says_where_and_changes_nothing() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let (ann, _) = bench.vault.create_subject(&support, "web", "ann").unwrap();
    let body = object(json!({"name": "Ann", "emial": "secret@example.test",
        "card": "4111 1111 1111 1112", "_meta": {"purposes": ["sell"]}}));
    let refused = bench
        .vault
        .patch_single(&support, ann, "profile", body, None);
    let Err(Refusal::Invalid(errors)) = refused else {
        panic!("accepted")
    };
    let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    // A name that is not known may itself be a value, and is not repeated.
    assert_eq!(pointers, ["", "/card", "/_meta/purposes"]);
    let text = format!("{errors:?}");
    assert!(text.contains("`email`") && !text.contains("secret@") && !text.contains("4111"));
    assert_eq!(
        profile(&bench.vault, &support, ann, None).unwrap().0,
        json!({})
    );
    let stale = bench
        .vault
        .patch_single(&support, ann, "profile", Map::new(), Some("*"));
    assert!(matches!(stale, Err(Refusal::PreconditionFailed)));
}

#[test]
fn a_session_lasts_as_long_as_it_was_given() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = &bench.vault;
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let input = SessionInput {
        purpose: "support".into(),
        fields: vec!["profile.*".into()],
        reads: 5,
        writes: 0,
        expires_in: Some(60),
    };
    let begun = vault.begin_session(&support, ann, input).unwrap();
    let session = vault.authenticate(&begun.token).unwrap();
    let read = || profile(vault, &call(&session, None), ann, None);
    assert!(read().is_ok());
    bench.clock.advance(59_999);
    assert!(read().is_ok());
    bench.clock.advance(1);
    assert!(matches!(read(), Err(Refusal::Unauthenticated)));
    assert!(matches!(
        vault.authenticate(&begun.token),
        Err(Refusal::Unauthenticated)
    ));
}

#[test]
fn a_receipt_verifies_with_the_public_key_alone_and_with_nothing_changed() {
    let bench = Bench::new();
    let (bot, dpo, auditor) = (bench.role("bot"), bench.role("dpo"), bench.role("auditor"));
    let vault = &bench.vault;
    let people: Vec<SubjectId> = (0..300)
        .map(|n| {
            let user = format!("user {n}");
            vault
                .create_subject(&call(&bot, None), "web", &user)
                .unwrap()
                .0
        })
        .collect();
    let first = vault.erase_subject(&call(&dpo, None), people[0]).unwrap();
    let second = vault.erase_subject(&call(&dpo, None), people[1]).unwrap();
    let key: VerifierKey = VerifierKey::parse(&vault.log_key().unwrap()).unwrap();
    let verified = receipt::verify(&first, &key).unwrap();
    assert_eq!(verified.opened, Some(Opened::Subject(people[0])));

    // Kept by the vault without the opening, and proved against a later checkpoint.
    let (kept, _) = vault
        .receipt(&call(&auditor, None), verified.receipt)
        .unwrap();
    assert!(!kept.to_string().contains(&people[0].to_string()));
    let again = receipt::verify(&kept, &key).unwrap();
    assert_eq!((again.opened, again.index), (None, verified.index));
    assert!(kept["proof"]["size"].as_u64() > first["proof"]["size"].as_u64());
    let denied = vault.receipt(&call(&bot, None), verified.receipt);
    assert!(matches!(denied, Err(Refusal::RoleDenied(_))));

    // Another person's opening, another erasure's proof, no proof, another vault's key.
    let with = |member: &str, value: Value| {
        let mut bent = first.clone();
        bent[member] = value;
        receipt::verify(&bent, &key).unwrap_err()
    };
    assert_eq!(
        with("opening", second["opening"].clone()),
        ReceiptError::Opening
    );
    assert_eq!(with("proof", second["proof"].clone()), ReceiptError::Entry);
    assert_eq!(with("proof", Value::Null), ReceiptError::Unproved);
    assert!(matches!(with("note", json!(1)), ReceiptError::Form(_)));
    let other = Bench::new();
    let other = VerifierKey::parse(&other.vault.log_key().unwrap()).unwrap();
    assert!(receipt::verify(&first, &other).is_err());

    // Every member of the body and of the proof is covered, to the last.
    for part in ["body", "proof"] {
        for name in first[part].as_object().unwrap().keys() {
            let mut bent = first.clone();
            bent[part][name] = match &first[part][name] {
                Value::Number(number) => json!(number.as_u64().unwrap() + 1),
                Value::String(text) => json!(format!("{text} ")),
                Value::Array(items) => {
                    json!([items.clone(), [json!({"kept": "x"})].to_vec()].concat())
                }
                _ => json!({}),
            };
            assert!(receipt::verify(&bent, &key).is_err(), "{part}.{name}");
            bent[part].as_object_mut().unwrap().remove(name);
            assert!(
                receipt::verify(&bent, &key).is_err(),
                "{part} without {name}"
            );
        }
        let mut more = first.clone();
        more[part]["more"] = json!(1);
        assert!(receipt::verify(&more, &key).is_err());
    }
}

#[test]
fn the_log_proves_its_entries_and_its_history_and_shows_a_person_who_looked() {
    let bench = Bench::new();
    let (bot, auditor) = (bench.role("bot"), bench.role("auditor"));
    let vault = &bench.vault;
    let support = call(&bot, Some("support"));
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let (bob, _) = vault.create_subject(&support, "web", "bob").unwrap();
    let name = object(json!({"name": "Ann Example"}));
    vault
        .patch_single(&support, ann, "profile", name.clone(), None)
        .unwrap();
    vault
        .patch_single(&support, bob, "profile", name, None)
        .unwrap();
    let key = VerifierKey::parse(&vault.log_key().unwrap()).unwrap();
    let early = vault.log_checkpoint(&call(&auditor, None)).unwrap();
    let early = Checkpoint::open(&early, &key).unwrap();
    for round in 0..300 {
        profile(vault, &support, ann, None).unwrap();
        if round % 20 == 0 {
            // A commit takes what the journal holds.
            vault
                .create_subject(&support, "web", &format!("user {round}"))
                .unwrap();
        }
        bench.clock.advance(600_000);
    }
    vault.create_subject(&support, "web", "cem").unwrap();

    let proof = vault
        .log_consistency(&call(&auditor, None), early.size, None)
        .unwrap();
    let late = Checkpoint::open(&proof.checkpoint, &key).unwrap();
    assert!(merkle::consistent(
        (early.size, &early.root),
        (late.size, &late.root),
        &proof.hashes
    ));
    for number in [0, 1, early.size, late.size - 1] {
        let (entry, proof) = vault.log_proof(&call(&auditor, None), number).unwrap();
        let late = Checkpoint::open(&proof.checkpoint, &key).unwrap();
        assert!(merkle::included(
            number,
            late.size,
            &entry.hash,
            &proof.hashes,
            &late.root
        ));
        assert!(!merkle::included(
            number + 1,
            late.size,
            &entry.hash,
            &proof.hashes,
            &late.root
        ));
    }
    let beyond = vault.log_proof(&call(&auditor, None), late.size + 1_000);
    assert!(matches!(beyond, Err(Refusal::NotFound(_))));
    let backwards = vault.log_consistency(&call(&auditor, None), 5, Some(4));
    assert!(matches!(backwards, Err(Refusal::Invalid(_))));

    // Who looked at whom, over days, page after page; nobody else's entries among them.
    let mut query = AuditQuery {
        last: 70,
        subject: Some(ann),
        ..AuditQuery::default()
    };
    let mut reads = 0;
    loop {
        let page = vault.audit(&call(&auditor, None), &query).unwrap();
        reads += page
            .entries
            .iter()
            .filter(|e| e.entry["action"] == "records.read")
            .count();
        assert!(
            !page
                .entries
                .iter()
                .any(|e| e.entry.to_string().contains("Ann"))
        );
        match page.next {
            Some(next) => query.before = Some(next),
            None => break,
        }
    }
    assert_eq!(reads, 300);
    let query = AuditQuery {
        last: 1000,
        subject: Some(bob),
        ..AuditQuery::default()
    };
    let page = vault.audit(&call(&auditor, None), &query).unwrap();
    let actions: Vec<&Value> = page.entries.iter().map(|e| &e.entry["action"]).collect();
    assert_eq!(actions, ["records.patch", "subjects.create"]);
    let denied = vault.audit(&call(&bot, None), &query);
    assert!(matches!(denied, Err(Refusal::RoleDenied(_))));

    let report = vault
        .verify_log(&call(&auditor, None), &[], &mut |_, _| {})
        .unwrap();
    assert!(report.sound(), "{:?}", report.faults);
    assert!(report.entries > 300 && report.checkpoints > 10);
}

#[test]
fn an_older_database_is_refused_and_going_on_with_it_is_in_the_log() {
    let mut bench = Bench::new();
    let bot = bench.role("bot");
    let vault = bench.vault.clone();
    vault
        .create_subject(&call(&bot, None), "web", "ann")
        .unwrap();
    bench.reopen();
    let database = bench.dir.path().join("v/vault.redb");
    bench.vault.close();
    let older = std::fs::read(&database).unwrap();
    bench.reopen();
    let vault = bench.vault.clone();
    vault
        .create_subject(&call(&bot, None), "web", "bob")
        .unwrap();
    vault.close();
    bench.locked = None;
    std::fs::write(&database, older).unwrap();

    let paths = VaultPaths::beside(&bench.dir.path().join("v"));
    let key = UnlockSecret::RecoveryKey(bench.recovery.parse().unwrap());
    let locked = LockedVault::open(&paths, settings(&bench.clock)).unwrap();
    let refused = locked.unlock(&key).err();
    assert!(matches!(refused, Some(UnlockError::Rollback { .. })));
    drop(locked);
    let accepting = Settings {
        accept_rollback: true,
        ..settings(&bench.clock)
    };
    let locked = LockedVault::open(&paths, accepting).unwrap();
    let vault = locked.unlock(&key).unwrap();
    let keyholder = vault.keyholder();
    let query = AuditQuery {
        last: 1,
        action: Some("vault.accept_rollback".into()),
        ..AuditQuery::default()
    };
    let page = vault.audit(&call(&keyholder, None), &query).unwrap();
    assert_eq!(page.entries.len(), 1);
    let report = vault
        .verify_log(&call(&keyholder, None), &[], &mut |_, _| {})
        .unwrap();
    assert!(report.sound());
}

#[test]
fn the_figures_count_people_erasures_commits_and_epochs_and_outlive_a_restart_where_they_are_stored()
 {
    let mut bench = Bench::new();
    let (bot, dpo) = (bench.role("bot"), bench.role("dpo"));
    let before = bench.vault.figures();
    let anna = bench
        .vault
        .create_subject(&call(&bot, None), "web", "anna")
        .unwrap()
        .0;
    let ben = bench
        .vault
        .create_subject(&call(&bot, None), "web", "ben")
        .unwrap()
        .0;
    bench.vault.erase_subject(&call(&dpo, None), anna).unwrap();
    let after = bench.vault.figures();
    assert_eq!((after.people, after.erased), (1, 1));
    assert_eq!(after.epoch, before.epoch + 1);
    assert!(after.commits >= before.commits + 3);
    for histogram in [&after.commit_changes, &after.commit_microseconds] {
        assert_eq!(histogram.counts.iter().sum::<u64>(), after.commits);
    }
    assert!(after.audit_entries > before.audit_entries && after.journal_bytes > 0);
    assert_eq!((after.waiting, after.recoveries), (0, 0));
    bench.vault.view_subject(&call(&dpo, None), ben).unwrap();
    bench.reopen();
    let reopened = bench.vault.figures();
    assert_eq!((reopened.people, reopened.erased), (1, 1));
    assert_eq!(reopened.epoch, after.epoch);
    assert_eq!(reopened.recoveries, 0, "an opening is no recovery");
}

#[test]
fn work_of_the_sweeper_is_overdue_once_it_is_later_than_promised_and_not_an_hour_before() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = &bench.vault;
    let (anna, _) = vault.create_subject(&support, "web", "anna").unwrap();
    let set = |name: &str| {
        let fields = object(json!({ "name": name }));
        vault
            .patch_single(&support, anna, "profile", fields, None)
            .unwrap()
    };
    set("Anna Invented");
    set("Anna Renamed");
    bench.clock.advance(24 * HOUR);
    assert!(vault.figures().sweep_age_seconds >= 24 * 3600);
    while vault.sweep(Sweep::Due).unwrap() {}
    let figures = vault.figures();
    assert_eq!(
        (figures.sweep_overdue_people, figures.sweep_age_seconds),
        (0, 0)
    );
    set("Anna Again");
    bench.clock.advance(25 * HOUR);
    while vault.sweep(Sweep::Due).unwrap() {}
    assert_eq!(vault.figures().sweep_overdue_people, 1);
    while vault.sweep(Sweep::Due).unwrap() {}
    assert_eq!(vault.figures().sweep_overdue_people, 0, "it was swept");
}

#[test]
fn the_index_is_stale_from_a_removal_until_it_is_built_anew() {
    let bench = Bench::new();
    let (bot, dpo) = (bench.role("bot"), bench.role("dpo"));
    let vault = &bench.vault;
    let (anna, _) = vault
        .create_subject(&call(&bot, None), "web", "anna")
        .unwrap();
    assert_eq!(vault.figures().index_stale_seconds, 0);
    vault.erase_subject(&call(&dpo, None), anna).unwrap();
    bench.clock.advance(HOUR);
    assert_eq!(vault.figures().index_stale_seconds, 3600);
    vault.rebuild_index().unwrap();
    assert_eq!(vault.figures().index_stale_seconds, 0);
}

/// Reads the address for the newsletter; a read that is refused after the changes is answered empty.
fn address(desk: &mut Desk<'_, '_>, ann: SubjectId, after: bool) -> Result<String, String> {
    let options = ReadOptions {
        fields: Some(vec!["email".into()]),
        part: Part::Fields,
    };
    desk.state(Some("newsletter"));
    match desk.read_single(ann, "profile", &options) {
        Ok((Some(view), _)) => Ok(view.fields["email"].to_string()),
        Ok((None, _)) => Err("nothing is stored".into()),
        Err(_) if after => Ok(String::new()),
        Err(refusal) => Err(refusal.code().into()),
    }
}

#[test]
fn what_a_group_read_leaves_only_if_nothing_was_revoked_beside_it() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = &bench.vault;
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let body = object(json!({"email": "ann@example.test"}));
    vault
        .patch_single(&support, ann, "profile", body, None)
        .unwrap();
    let given = ConsentInput {
        given: true,
        notice: json!("n1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    };
    let group = Group {
        changes: true,
        subject: Some(ann),
        once: None,
    };
    // Consent is the group's own, and revokes what others are reading: its own read stays.
    let input = given.clone();
    let own = move |desk: &mut Desk<'_, '_>, before: Option<&String>| {
        if before.is_some() {
            return Err("it is read again".to_owned());
        }
        desk.put_consent(ann, "newsletter", &input)
            .map_err(|refusal| refusal.code().to_owned())?;
        address(desk, ann, false)
    };
    let read = vault.together(&support, group.clone(), own).unwrap();
    assert_eq!(read, Ok("\"ann@example.test\"".into()));
    // Another's withdrawal comes between the commit and the answer: the value must not leave, and the
    // change is not repeated.
    let ticket = vault.engine.revocation().ticket(Some(ann));
    vault.withdraw_consent(&support, ann, "newsletter").unwrap();
    let context = super::call::Context::new(&support);
    let mut again = |desk: &mut Desk<'_, '_>, before: Option<&String>| {
        assert_eq!(before.map(String::as_str), Some("a value"));
        address(desk, ann, true)
    };
    let mut hand_over = |ticket| {
        let before = Ok("a value".to_owned());
        vault
            .hand_over(&context, Some(ann), &mut again, before, ticket)
            .unwrap()
    };
    assert_eq!(hand_over(Some(ticket)), Ok(String::new()));
    let fresh = vault.engine.revocation().ticket(Some(ann));
    assert_eq!(hand_over(Some(fresh)), Ok("a value".into()));
}

#[test]
fn a_group_that_fails_changes_nothing_and_one_that_passes_a_failure_over_is_stopped() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = &bench.vault;
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let (ben, _) = vault.create_subject(&support, "web", "ben").unwrap();
    let group = Group {
        changes: true,
        ..Group::default()
    };
    let named = |desk: &mut Desk<'_, '_>, subject, name: Value| {
        desk.patch_single(subject, "profile", object(json!({ "name": name })), None)
            .map(drop)
    };
    let stored = || profile(vault, &support, ann, None).unwrap().0;
    let failed = vault.together(&support, group.clone(), move |desk, _: Option<&()>| {
        named(desk, ann, json!("Ann")).unwrap();
        Err(())
    });
    assert!(matches!(failed, Ok(Err(()))) && stored() == json!({}));
    let passed_over = vault.together(&support, group.clone(), move |desk, _: Option<&()>| {
        named(desk, ann, json!("Ann")).unwrap();
        let _ = named(desk, ann, json!(7));
        Ok(())
    });
    assert!(matches!(passed_over, Err(Refusal::Internal(_))) && stored() == json!({}));
    let two = vault.together(&support, group.clone(), move |desk, _: Option<&()>| {
        named(desk, ann, json!("Ann")).unwrap();
        let _ = named(desk, ben, json!("Ben"));
        Ok(())
    });
    assert!(matches!(two, Err(Refusal::Internal(_))) && stored() == json!({}));
    let done = vault.together(&support, group, move |desk, _: Option<&()>| {
        named(desk, ann, json!("Ann")).map_err(drop)
    });
    assert!(matches!(done, Ok(Ok(()))) && stored()["name"] == "Ann");
}

#[test]
fn an_answer_and_the_key_of_its_day_go_two_days_after_the_day_began_and_younger_ones_stay() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = &bench.vault;
    let (ann, _) = vault.create_subject(&support, "web", "ann").unwrap();
    let once = |name: &str| {
        let group = Group {
            changes: true,
            subject: Some(ann),
            once: Some(Once::new(name, [7; 32])),
        };
        let run = move |desk: &mut Desk<'_, '_>, _: Option<&bool>| {
            let known = desk.recall(ann).map_err(|_| false)?.is_some();
            if !known {
                desk.keep(ann, Some(Vec::new())).map_err(|_| false)?;
            }
            Ok(known)
        };
        vault.together(&support, group, run).unwrap().unwrap()
    };
    let stored = || {
        use crate::keys::keyset::Compartment;
        use crate::store::{Direction, KeyRange, Table};
        let snapshot = vault.snapshot().unwrap();
        let person = crate::person::Person::find(&snapshot, ann).unwrap();
        let range = KeyRange::prefix(person.entry.handle.as_bytes());
        let tx = crate::commit::View::tx(&snapshot);
        let rows = tx.range(Table::Answers, &range, Direction::Ascending, 10);
        let keys = person.keyset.keys.iter();
        let keys = keys.filter(|dek| dek.compartment.number == Compartment::ANSWERS);
        (rows.unwrap().len(), keys.count())
    };
    let sweep = || while vault.sweep(Sweep::Due).unwrap() {};
    assert!(!once("first") && once("first"));
    assert_eq!(stored(), (1, 1));
    // The answers of the first day may be wanted until the next is over.
    let begun = crate::clock::hour_of(crate::clock::Clock::now(&*bench.clock)) % 24;
    bench.clock.advance((47 - i64::from(begun)) * HOUR);
    assert!(!once("second"));
    sweep();
    assert_eq!(stored(), (2, 2), "the key of the first day is still there");
    bench.clock.advance(HOUR);
    sweep();
    assert_eq!(stored(), (1, 1), "row and key of the first day are gone");
    assert!(once("second") && !once("first"));
}

//! What a purpose's retention does to values, records and people.

use super::*;
use crate::audit::Entry;
use crate::commit::View;
use crate::keys::keyset::Keyset;
use crate::person::Person;
use crate::policy::RestrictionGround;

const DAY: i64 = 24 * HOUR;

/// Support goes a month after the last act, the newsletter at once with its consent, the books ten years
/// after the contract. Nobody's proof is kept for longer than a month.
const POLICY: &str = r#"
[controller]
name = "Example Shop Ltd"
contact = "privacy@example.test"

[proof]
period = "P1M"

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P1M" }

[purposes.newsletter]
title.en = "Sending you our newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[purposes.books]
title.en = "Keeping our books"
basis = "legal_obligation"
retention = { after = "contract_end", period = "P10Y" }

[purposes.quality]
title.en = "Looking at how well the bot answers"
basis = "legitimate_interests"
retention = { after = "collected", period = "P10D" }

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support"] }
email = { type = "email", purposes = ["support", "newsletter"], lookup = true }
order = { type = "identifier", purposes = ["support", "books"] }

[collections.marks]
kind = "many"
[collections.marks.fields]
mark = { type = "number", purposes = ["quality"] }
scan = { type = "blob", purposes = ["quality"], media_types = ["image/*"], bytes_max = 104857600 }

[roles.bot]
purposes = ["support", "newsletter", "books", "quality"]
read = { "*" = "full" }
write = ["*"]
ask = ["profile.email.equals"]
may = ["subjects.create", "subjects.lookup", "subjects.view", "sessions.create", "consents.record", "restrictions.set", "notices.record", "objections.record", "requests.decide", "audit.read", "subjects.export"]

[roles.clerk]
purposes = ["support", "books"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "objections.record"]
"#;

struct Scene {
    bench: Bench,
    bot: Principal,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::of(POLICY);
        let bot = bench.role("bot");
        Self { bench, bot }
    }

    fn support(&self) -> Call<'_> {
        call(&self.bot, Some("support"))
    }

    fn person(&self, user: &str) -> SubjectId {
        let vault = &self.bench.vault;
        let (person, _) = vault.create_subject(&self.support(), "web", user).unwrap();
        person
    }

    fn write(&self, person: SubjectId, body: Value) {
        let vault = &self.bench.vault;
        vault
            .patch_single(&self.support(), person, "profile", object(body), None)
            .unwrap();
    }

    /// What the profile of a person holds, for their own eyes: nobody needs a basis for that.
    fn holds(&self, person: SubjectId) -> Vec<String> {
        let vault = &self.bench.vault;
        let snapshot = vault.snapshot().unwrap();
        let policy = vault.policy_of(&snapshot).unwrap();
        let person = Person::find(&snapshot, person).unwrap();
        let mut names = Vec::new();
        crate::record::each(&snapshot, &person, &policy, &mut |collection, stored| {
            names.extend(stored.fields().map(|id| {
                let field = collection.field_by_id(id).unwrap();
                format!("{}.{}", collection.name, field.name)
            }));
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
        names
    }

    fn consent(&self, person: SubjectId, given: bool) {
        let vault = &self.bench.vault;
        let input = ConsentInput {
            given,
            notice: json!("n1"),
            choice: None,
            message_id: None,
            ..ConsentInput::default()
        };
        vault
            .put_consent(&self.support(), person, "newsletter", input)
            .unwrap();
    }

    fn sweep(&self) {
        while self.bench.vault.sweep(Sweep::Due).unwrap() {}
    }

    fn later(&self, days: i64) {
        self.bench.clock.advance(days * DAY);
    }

    fn erased(&self, person: SubjectId) -> bool {
        let view = self.bench.vault.view_subject(&self.support(), person);
        match view {
            Ok(_) => false,
            Err(Refusal::Erased { receipt }) => receipt.is_some(),
            Err(other) => panic!("{other}"),
        }
    }

    /// The log's entries of the sweeper's own.
    fn entries(&self, action: &str) -> Vec<Entry> {
        let vault = &self.bench.vault;
        let snapshot = vault.snapshot().unwrap();
        let (id, key) = (snapshot.vault(), &snapshot.system().audit);
        let all = crate::audit::read(snapshot.tx(), id, key, 0, 10_000).unwrap();
        let all = all.into_iter().map(|(_, entry)| entry);
        all.filter(|entry| entry.action == action).collect()
    }
}

#[test]
fn a_value_goes_with_the_last_purpose_that_needs_it_and_the_others_stay() {
    let scene = Scene::new();
    let ann = scene.person("ann");
    scene.consent(ann, true);
    scene.write(
        ann,
        json!({"name": "Ann Example", "email": "ann@example.test", "order": "A-1"}),
    );
    let all = ["profile.name", "profile.email", "profile.order"];
    // A month and the rest of the day of her last act.
    scene.later(31);
    scene.sweep();
    assert_eq!(scene.holds(ann), all);
    scene.later(1);
    scene.sweep();
    // The newsletter needs the address while consent stands, the books need the order.
    assert_eq!(scene.holds(ann), all[1..]);
    let entries = scene.entries("retention.expire");
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].fields.len(), &*entries[0].role),
        (1, "operator")
    );
    assert!(entries[0].subject.is_some());
    // Found by it still, and no longer once she withdraws.
    let vault = &scene.bench.vault;
    let find = || {
        let value = json!("ann@example.test");
        vault.lookup_field(&scene.support(), "profile.email", &value)
    };
    assert_eq!(find().unwrap(), ann);
    scene.consent(ann, false);
    scene.later(32);
    scene.sweep();
    assert_eq!(scene.holds(ann), all[2..]);
    assert!(matches!(find(), Err(Refusal::NotFound(_))));
    assert!(!scene.erased(ann), "the books need her still");
}

#[test]
fn art_17_1_b_withdrawal_ends_what_only_consent_held_within_a_day() {
    let scene = Scene::new();
    let ann = scene.person("ann");
    scene.consent(ann, true);
    scene.write(ann, json!({"email": "ann@example.test"}));
    scene.later(40);
    scene.sweep();
    assert_eq!(scene.holds(ann), ["profile.email"]);
    scene.consent(ann, false);
    // Saying no is an act of hers: support may answer her for another month.
    scene.later(1);
    scene.sweep();
    assert_eq!(scene.holds(ann), ["profile.email"]);
    scene.later(31);
    scene.sweep();
    assert_eq!(scene.holds(ann), [""; 0]);
}

/// Only what the person does counts: neither a clerk's change, nor reading, nor an import.
#[test]
fn what_the_controller_does_prolongs_nothing() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let clerk = scene.bench.role("clerk");
    let clerk = || call(&clerk, Some("support"));
    let people = ["reads", "clerk", "comes", "writes", "session", "objects"];
    let people = people.map(|user| (user, scene.person(user)));
    for (_, person) in people {
        scene.write(person, json!({"name": "Ann Example"}));
    }
    scene.later(20);
    for (how, person) in people {
        match how {
            "reads" => drop(profile(vault, &scene.support(), person, None).unwrap()),
            "clerk" => {
                // Not even meeting them again.
                vault.create_subject(&clerk(), "web", "clerk").unwrap();
                let body = object(json!({"name": "Ann Changed"}));
                vault
                    .patch_single(&clerk(), person, "profile", body, None)
                    .unwrap();
            }
            "comes" => {
                let found = vault.create_subject(&scene.support(), "web", "comes");
                assert_eq!(found.unwrap(), (person, false));
            }
            "writes" => {
                let call = call(&scene.bot, Some("quality"));
                let mark = object(json!({"mark": 1}));
                vault.append(&call, person, "marks", vec![mark]).unwrap();
            }
            "session" => {
                let input = SessionInput {
                    purpose: "support".into(),
                    fields: vec!["profile.name".into()],
                    reads: 1,
                    writes: 0,
                    expires_in: None,
                };
                vault
                    .begin_session(&scene.support(), person, input)
                    .unwrap();
            }
            "objects" => drop(
                vault
                    .put_objection(&clerk(), person, "quality", None)
                    .unwrap(),
            ),
            _ => unreachable!(),
        }
    }
    scene.later(15);
    scene.sweep();
    let kept = people.map(|(how, person)| (how, !scene.holds(person).is_empty()));
    assert_eq!(
        kept,
        [
            ("reads", false),
            ("clerk", false),
            ("comes", true),
            ("writes", true),
            ("session", true),
            ("objects", true),
        ]
    );
}

#[test]
fn what_was_collected_later_ends_later_in_one_record_too() {
    let scene = Scene::new();
    let ann = scene.person("ann");
    let vault = &scene.bench.vault;
    let quality = call(&scene.bot, Some("quality"));
    let mark = |mark: u32| object(json!({"mark": mark}));
    vault.append(&quality, ann, "marks", vec![mark(1)]).unwrap();
    scene.later(8);
    vault.append(&quality, ann, "marks", vec![mark(2)]).unwrap();
    // The first is written anew on the eighth day: it was collected then.
    let first = record_ids(&scene, ann)[0];
    vault
        .patch_record(&quality, ann, "marks", first, mark(3), None)
        .unwrap();
    scene.later(3);
    scene.sweep();
    assert_eq!(record_ids(&scene, ann).len(), 2);
    scene.later(6);
    scene.sweep();
    // The second ended ten days after it was appended; the first, an hour's end later.
    scene.later(1);
    scene.sweep();
    assert_eq!(record_ids(&scene, ann), [first]);
    scene.later(1);
    scene.sweep();
    assert_eq!(record_ids(&scene, ann), []);
}

/// That somebody was told that a restriction is going to end.
fn notice() -> NoticeInput {
    NoticeInput {
        about: NoticeAbout::RestrictionLift,
        version: None,
        language: "en".into(),
        channel: None,
        sha256: [0; 32],
        acknowledged: true,
    }
}

fn record_ids(scene: &Scene, person: SubjectId) -> Vec<RecordId> {
    let vault = &scene.bench.vault;
    let snapshot = vault.snapshot().unwrap();
    let policy = vault.policy_of(&snapshot).unwrap();
    let person = Person::find(&snapshot, person).unwrap();
    let mut ids = Vec::new();
    crate::record::each(&snapshot, &person, &policy, &mut |_, stored| {
        ids.push(stored.id);
        Ok(std::ops::ControlFlow::Continue(()))
    })
    .unwrap();
    ids
}

/// Restriction goes before every period, and the time that went by meanwhile counts.
#[test]
fn art_18_what_is_restricted_is_not_swept_until_it_is_lifted() {
    let scene = Scene::new();
    let ann = scene.person("ann");
    let vault = &scene.bench.vault;
    scene.write(ann, json!({"name": "Ann Example"}));
    let input = RestrictionInput {
        ground: RestrictionGround::Claims,
        collections: Vec::new(),
        reason: None,
    };
    vault.put_restriction(&scene.support(), ann, input).unwrap();
    scene.later(400);
    scene.sweep();
    assert_eq!(scene.holds(ann), ["profile.name"]);
    vault
        .record_notice(&scene.support(), ann, notice())
        .unwrap();
    vault.lift_restriction(&scene.support(), ann).unwrap();
    scene.sweep();
    scene.later(1);
    scene.sweep();
    assert_eq!(scene.holds(ann), [""; 0]);
}

/// A pending objection keeps what is disputed (Art. 18(1)(d)); one that holds ends it (Art. 17(1)(c)).
#[test]
fn art_17_1_c_an_objection_that_holds_shreds_and_a_pending_one_keeps() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let (ann, bob) = (scene.person("ann"), scene.person("bob"));
    let quality = call(&scene.bot, Some("quality"));
    for person in [ann, bob] {
        let mark = vec![object(json!({"mark": 1}))];
        vault.append(&quality, person, "marks", mark).unwrap();
        vault
            .put_objection(&scene.support(), person, "quality", None)
            .unwrap();
    }
    vault
        .decide_objection(&scene.support(), bob, "quality", true, "it outweighs ours")
        .unwrap();
    scene.later(1);
    scene.sweep();
    assert_eq!(scene.holds(bob), [""; 0]);
    scene.later(30);
    scene.sweep();
    assert_eq!(scene.holds(ann), ["marks.mark"]);
}

#[test]
fn nothing_runs_from_a_contract_until_somebody_says_that_it_ended() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let ann = scene.person("ann");
    scene.write(ann, json!({"order": "A-1"}));
    let years = 366 * 11;
    scene.later(years);
    scene.sweep();
    assert_eq!(scene.holds(ann), ["profile.order"]);
    let books = call(&scene.bot, Some("books"));
    let of = |purpose: &str, ended_at: Option<&str>| {
        let ended_at = ended_at.map(|at| at.parse().unwrap());
        vault.put_contract_end(&books, ann, purpose, ended_at)
    };
    // Nothing to take back, and a purpose that has no contract's end.
    assert!(matches!(of("books", None), Err(Refusal::NotFound(_))));
    let wrong = of("support", Some("2027-06-30T00:00:00Z"));
    assert!(matches!(wrong, Err(Refusal::Conflict(_))), "{wrong:?}");
    of("books", Some("2027-06-30T00:00:00Z")).unwrap();
    of("books", None).unwrap();
    scene.later(1);
    scene.sweep();
    assert_eq!(scene.holds(ann), ["profile.order"], "it runs after all");
    of("books", Some("2027-06-30T00:00:00Z")).unwrap();
    scene.later(1);
    scene.sweep();
    assert_eq!(scene.holds(ann), [""; 0]);
    let views = vault.list_contracts(&books, ann).unwrap();
    assert_eq!((views.len(), views[0].history.len()), (1, 3));
}

/// The person's row is personal data too: it goes when nothing is left that it belongs to.
#[test]
fn a_person_of_whom_nothing_is_left_goes_once_the_proof_of_what_they_said_may() {
    let policy = POLICY.replace(
        "after = \"contract_end\", period = \"P10Y\"",
        "after = \"collected\", period = \"P1D\"",
    );
    let bench = Bench::of(&policy);
    let bot = bench.role("bot");
    let scene = Scene { bench, bot };
    let (silent, told) = (scene.person("silent"), scene.person("told"));
    scene.later(20);
    // Being told something is no act of theirs, and it is to be proved for a month.
    let shown = notice();
    let vault = &scene.bench.vault;
    vault.record_notice(&scene.support(), told, shown).unwrap();
    scene.later(11);
    scene.sweep();
    assert!(!scene.erased(silent) && !scene.erased(told));
    scene.later(1);
    scene.sweep();
    assert!(scene.erased(silent));
    let entries = scene.entries("retention.erase");
    assert_eq!(entries.len(), 1);
    assert!(entries[0].receipt.is_some());
    assert!(!scene.erased(told));
    scene.later(15);
    scene.sweep();
    assert!(!scene.erased(told));
    scene.later(2);
    scene.sweep();
    assert!(scene.erased(told));
    // Who comes again is somebody new.
    let again = scene.person("silent");
    assert_ne!(again, silent);
}

#[test]
fn a_dry_run_counts_by_purpose_what_a_run_then_takes_with_its_keys() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    for user in ["ann", "bob", "eve"] {
        let person = scene.person(user);
        scene.write(person, json!({"name": "Ann Example", "order": "A-1"}));
    }
    assert!(!vault.sweep_due().unwrap().any());
    scene.later(40);
    let key = |person: SubjectId| {
        let snapshot = vault.snapshot().unwrap();
        let entry = Person::find(&snapshot, person).unwrap().entry;
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry).unwrap();
        keyset
            .newest(crate::keys::keyset::Compartment::GENERAL)
            .unwrap()
            .number
    };
    let ann = scene.person("ann");
    // She came back; the others did not.
    let before = key(ann);
    let due = vault.sweep_due().unwrap();
    assert_eq!((due.people, due.records, due.people_whole), (2, 2, 0));
    let purposes: Vec<_> = due
        .purposes
        .iter()
        .map(|due| (&*due.purpose, due.values, due.people))
        .collect();
    assert_eq!(purposes, [("support", 2, 2)]);
    let run = vault.sweep_run(Sweep::All, 10).unwrap();
    assert!(!run.more);
    assert!(!vault.sweep_due().unwrap().any());
    assert_eq!(scene.holds(ann).len(), 2);
    assert_eq!(key(ann), before, "nothing of hers was swept");
    let bob = scene
        .bench
        .vault
        .lookup_channel(&scene.support(), "web", "bob")
        .unwrap();
    assert_eq!(scene.holds(bob), ["profile.order"]);
    assert!(key(bob) > before, "the run gave a new key at once");
}

/// The gauge that must be zero: what ended a day ago and was not met yet.
#[test]
fn an_end_that_is_later_than_promised_is_counted_and_one_in_time_is_not() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let ann = scene.person("ann");
    scene.write(ann, json!({"name": "Ann Example"}));
    scene.later(32);
    scene.sweep();
    // The new key half a day later.
    scene.later(1);
    scene.sweep();
    assert_eq!(vault.figures().sweep_overdue_people, 0);
    let bob = scene.person("bob");
    scene.write(bob, json!({"name": "Bob Example"}));
    scene.later(40);
    vault.sweep(Sweep::Due).unwrap();
    assert_eq!(vault.figures().sweep_overdue_people, 1);
    scene.later(1);
    scene.sweep();
    assert_eq!(vault.figures().sweep_overdue_people, 0);
}

/// One person with a row that does not open holds nobody else up, and is told of.
#[test]
fn a_damaged_row_holds_up_nobody_else_and_counts_as_late() {
    use crate::store::{Direction, KeyRange, Table, WriteTx as _};

    for table in [Table::Keysets, Table::RecordMeta] {
        let scene = Scene::new();
        let vault = &scene.bench.vault;
        let people = ["ann", "bob", "eve"].map(|user| scene.person(user));
        for person in people {
            scene.write(person, json!({"name": "Ann Example"}));
        }
        let snapshot = vault.snapshot().unwrap();
        let handle = Person::find(&snapshot, people[1]).unwrap().entry.handle;
        let range = KeyRange::prefix(handle.as_bytes());
        let rows = snapshot.tx().range(table, &range, Direction::Ascending, 1);
        let (key, mut row) = rows.unwrap().remove(0);
        drop(snapshot);
        *row.last_mut().unwrap() ^= 1;
        vault
            .engine
            .submit(move |txn| Ok(txn.put(table, &key, &row)?))
            .unwrap();
        scene.later(32);
        // The count before a run names whom it passes by, and counts the others.
        let due = vault.sweep_due().unwrap();
        assert_eq!((due.people_damaged, due.people), (1, 2), "{table:?}");
        scene.sweep();
        for person in [people[0], people[2]] {
            assert_eq!(scene.holds(person), [""; 0], "{table:?}");
        }
        assert_eq!(vault.figures().sweep_overdue_people, 1, "{table:?}");
    }
}

/// Purpose limitation does not wait for the sweeper: what one purpose needs no more is not its to see,
/// though another keeps it, and nothing new is taken down for a purpose that is over.
#[test]
fn art_5_1_b_a_purpose_that_is_over_sees_nothing_of_what_another_keeps() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let ann = scene.person("ann");
    scene.consent(ann, true);
    scene.write(ann, json!({"email": "ann@example.test", "order": "A-1"}));
    let of = |purpose: &'static str| {
        let call = call(&scene.bot, Some(purpose));
        profile(vault, &call, ann, None).unwrap().0
    };
    scene.later(31);
    let all = json!({"email": "ann@example.test", "order": "A-1"});
    assert_eq!(of("support"), all);
    scene.later(1);
    // Nothing was swept, and reading is no act of hers.
    assert_eq!(scene.holds(ann).len(), 2);
    assert_eq!(of("support"), json!({}));
    assert_eq!(of("newsletter"), json!({"email": "ann@example.test"}));
    assert_eq!(of("books"), json!({"order": "A-1"}));
    let asked = vault.ask(
        &scene.support(),
        ann,
        "profile.email",
        &json!({"equals": "ann@example.test"}),
    );
    assert!(matches!(asked, Ok(false)), "{asked:?}");
    // She is back: what is still there is support's again.
    scene.person("ann");
    assert_eq!(of("support"), all);
    // The contract is over, and ten years more.
    let books = call(&scene.bot, Some("books"));
    let ended = "2010-01-01T00:00:00Z".parse().unwrap();
    vault
        .put_contract_end(&books, ann, "books", Some(ended))
        .unwrap();
    assert_eq!(of("books"), json!({}));
    let order = object(json!({"order": "A-2"}));
    let more = vault.patch_single(&books, ann, "profile", order.clone(), None);
    assert!(
        matches!(more, Err(Refusal::NoLawfulBasis { .. })),
        "{more:?}"
    );
    vault
        .patch_single(&scene.support(), ann, "profile", order, None)
        .unwrap();
}

/// Blobs of more chunks than one commit removes: the round goes on with the same person, and does not come
/// back to them six hours later.
#[test]
fn long_blobs_that_have_ended_go_in_one_round_all_of_them() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let ann = scene.person("ann");
    let quality = call(&scene.bot, Some("quality"));
    let marks = [1, 2, 3].map(|mark| object(json!({ "mark": mark })));
    let records = vault
        .append(&quality, ann, "marks", marks.to_vec())
        .unwrap();
    let long = vec![7; 17 << 20];
    for record in records {
        let place = BlobPlace {
            subject: ann,
            collection: "marks".into(),
            record: Some(record),
            field: "scan".into(),
        };
        let media_type = crate::schema::MediaType::parse("image/png").unwrap();
        let mut upload = vault
            .begin_upload(&quality, place, media_type, None, None)
            .unwrap();
        upload.write(&long).unwrap();
        upload.finish().unwrap();
    }
    scene.later(11);
    scene.sweep();
    assert_eq!(scene.holds(ann), [""; 0]);
}

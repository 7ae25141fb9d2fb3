//! Many people in one vault: found by metadata, each decided anew, changed and destroyed in commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::*;
use crate::audit;
use crate::clock::{Clock, ManualClock};
use crate::crypto::sha256;
use crate::entropy::OsEntropy;
use crate::id::CallId;
use crate::person::Person;
use crate::store::{Direction, KeyRange, Table};
use crate::vault::{
    Call, ConsentInput, ListOptions, LockedVault, Order, Passphrase, Principal, ReadOptions,
    RecoveryKey, Settings, UnlockSecret, VaultPaths,
};

const HOUR: i64 = 3_600_000;
const BEGIN: i64 = 1_800_000_000_000;
const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
address = "Pier 1, Harlingen"
contact = "privacy@ferries.example.test"
authority = "Autoriteit Persoonsgegevens"
country = "NL"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[purposes.news]
title.en = "Sending you our newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[purposes.other]
title.en = "Something that this collection is not for"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[recipients.carrier]
name = "Invented Carrier"
country = "DE"

[recipients.printer]
name = "Invented Printer"
country = "NL"

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support", "news"] }
age = { type = "number", purposes = ["other"] }

[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text", purposes = ["support", "news"] }
mail = { type = "email", purposes = ["support"], lookup = true }

[collections.events]
kind = "many"
retention = "P30D"
[collections.events.fields]
text = { type = "text", purposes = ["support", "news"] }

[roles.keeper]
purposes = ["support", "news", "other"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "subjects.erase", "consents.record", "records.bulk",
       "records.purge", "sessions.create"]

[roles.bot]
purposes = ["support", "news"]
read = { "notes.*" = "full" }
write = ["notes.*"]
may = ["subjects.create"]

[roles.clerk]
purposes = ["support"]
read = { "notes.mail" = "mask" }
write = ["notes.text"]
may = ["records.bulk"]
"#;

/// A clock that does something once, at some turn of being asked how long it has been running: which
/// a call over many people does for each of them, while it holds a snapshot.
struct Trap {
    clock: ManualClock,
    set: Mutex<Option<(usize, Box<dyn FnOnce() + Send>)>>,
}

impl Trap {
    fn set(&self, turn: usize, spring: impl FnOnce() + Send + 'static) {
        *self.set.lock() = Some((turn, Box::new(spring)));
    }
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn running(&self) -> i64 {
        // The writer asks too, and could not wait for itself.
        if std::thread::current().name() == Some("vault-writer") {
            return self.clock.running();
        }
        let mut set = self.set.lock();
        let spring = match &mut *set {
            Some((turn, _)) if *turn > 1 => {
                *turn -= 1;
                None
            }
            _ => set.take(),
        };
        drop(set);
        if let Some((_, spring)) = spring {
            spring();
        }
        self.clock.running()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<Trap>,
    locked: Option<LockedVault>,
    vault: Arc<Vault>,
    recovery: String,
    keeper: Principal,
    token: String,
}

fn settings(clock: &Arc<Trap>) -> Settings {
    Settings {
        clock: clock.clone(),
        accept_any_file_system: true,
        confirm_clock: true,
    }
}

fn call<'a>(principal: &'a Principal, purpose: Option<&'a str>) -> Call<'a> {
    Call {
        principal,
        purpose,
        id: CallId::generate(&mut OsEntropy),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn query(collection: &str, conditions: Value) -> QueryInput {
    QueryInput {
        collection: collection.into(),
        fields: None,
        conditions,
        part: QueryPart::Both,
        limit: None,
        cursor: None,
    }
}

fn change(collection: &str, conditions: Value) -> ChangeInput {
    ChangeInput {
        collection: collection.into(),
        conditions,
        dry_run: false,
    }
}

fn count(collection: &str, conditions: Value) -> ChangeInput {
    ChangeInput {
        dry_run: true,
        ..change(collection, conditions)
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Trap {
            clock: ManualClock::at(Timestamp::from_millisecond(BEGIN).unwrap()),
            set: Mutex::new(None),
        });
        let paths = VaultPaths::beside(&dir.path().join("v"));
        let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
        let created = LockedVault::create(&paths, settings(&clock), &passphrase, POLICY).unwrap();
        let keyholder = created.vault.keyholder();
        let made = created
            .vault
            .create_token(&call(&keyholder, None), "keeper", None);
        let token = made.unwrap().1;
        Self {
            dir,
            clock,
            keeper: created.vault.authenticate(&token).unwrap(),
            token,
            recovery: created.recovery_key.to_text(),
            locked: Some(created.locked),
            vault: created.vault,
        }
    }

    fn reopen(&mut self) {
        self.vault.close();
        self.locked = None;
        let paths = VaultPaths::beside(&self.dir.path().join("v"));
        let locked = LockedVault::open(&paths, settings(&self.clock)).unwrap();
        let key: RecoveryKey = self.recovery.parse().unwrap();
        self.vault = locked.unlock(&UnlockSecret::RecoveryKey(key)).unwrap();
        self.keeper = self.vault.authenticate(&self.token).unwrap();
        self.locked = Some(locked);
    }

    fn role(&self, role: &str) -> Principal {
        let keyholder = self.vault.keyholder();
        let made = self.vault.create_token(&call(&keyholder, None), role, None);
        self.vault.authenticate(&made.unwrap().1).unwrap()
    }

    fn support(&self) -> Call<'_> {
        call(&self.keeper, Some("support"))
    }

    fn person(&self, user: &str) -> SubjectId {
        let made = self.vault.create_subject(&self.support(), "web", user);
        made.unwrap().0
    }

    fn append(&self, subject: SubjectId, collection: &str, bodies: Vec<Value>) -> Vec<RecordId> {
        let bodies = bodies.into_iter().map(object).collect();
        let appended = self
            .vault
            .append(&self.support(), subject, collection, bodies);
        appended.unwrap()
    }

    fn notes(&self, subject: SubjectId, number: usize) -> Vec<RecordId> {
        let body = |n| json!({"text": format!("note {n}")});
        self.append(subject, "notes", (0..number).map(body).collect())
    }

    fn consent(&self, subject: SubjectId, given: bool) {
        let input = ConsentInput {
            given,
            notice: json!("n1"),
            choice: None,
            message_id: None,
        };
        let put = self
            .vault
            .put_consent(&self.support(), subject, "news", input);
        put.unwrap();
    }

    /// Every line of a query but the last, and the last.
    fn lines(&self, call: &Call<'_>, input: QueryInput) -> Result<(Vec<Value>, Value), Refusal> {
        let mut query = self.vault.query(call, input)?;
        let mut bytes = Vec::new();
        while self
            .vault
            .query_step(&mut query, &mut |lines| bytes.extend(lines))?
            == Step::More
        {}
        let last = self.vault.finish_query(&query)?;
        Ok((read(&bytes), read(&last).remove(0)))
    }

    fn found(&self, input: QueryInput) -> Vec<Value> {
        self.lines(&self.support(), input).unwrap().0
    }

    fn listed(&self, subject: SubjectId, collection: &str) -> Vec<(String, Value)> {
        let options = ListOptions {
            read: ReadOptions::default(),
            limit: 1000,
            order: Order::Oldest,
            cursor: None,
        };
        let call = self.support();
        let listed = self
            .vault
            .list(&call, subject, collection, &options, |page| {
                let records = page.records.iter();
                let shown = records.map(|r| (r.etag.clone(), Value::Object(r.fields.clone())));
                shown.collect()
            });
        listed.unwrap()
    }

    /// The log's entries about a call.
    fn entries(&self, id: CallId) -> Vec<audit::Entry> {
        // A commit takes what waits in the journal into the log.
        self.person(&format!("nobody {id}"));
        let snapshot = self.vault.snapshot().unwrap();
        let (tx, key) = (snapshot.tx(), &snapshot.system().audit);
        let all = audit::read(tx, snapshot.vault(), key, 0, 1 << 20).unwrap();
        let all = all.into_iter().map(|(_, entry)| entry);
        all.filter(|entry| entry.request == id).collect()
    }

    fn rows(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let snapshot = self.vault.snapshot().unwrap();
        let rows = snapshot
            .tx()
            .range(table, &KeyRange::all(), Direction::Ascending, 1 << 20);
        rows.unwrap()
    }
}

fn read(bytes: &[u8]) -> Vec<Value> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| {
            assert!(line.ends_with(b"\n"), "lines are handed over whole");
            serde_json::from_slice(line).unwrap()
        })
        .collect()
}

fn ids(lines: &[Value]) -> BTreeSet<String> {
    let ids = lines.iter().map(|line| line["record"].as_str().unwrap());
    let set: BTreeSet<String> = ids.map(str::to_owned).collect();
    assert_eq!(set.len(), lines.len(), "a record stands in one line");
    set
}

fn texts(ids: &[RecordId]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// What the model knows of a record.
#[derive(Clone, Debug)]
struct Modelled {
    subject: SubjectId,
    id: RecordId,
    created: i64,
    purposes: Vec<&'static str>,
    expires: Option<i64>,
    source: Option<&'static str>,
    shared: Vec<&'static str>,
    category: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Wanted {
    purpose: Option<&'static str>,
    source: Option<&'static str>,
    shared: Option<&'static str>,
    category: Option<&'static str>,
    expired: Option<bool>,
    after: Option<i64>,
    before: Option<i64>,
    expires_before: Option<i64>,
    subject: Option<usize>,
}

fn at(milliseconds: i64) -> Value {
    json!(instant(milliseconds).to_string())
}

fn instant(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

impl Wanted {
    fn conditions(&self, people: &[SubjectId]) -> Value {
        let members = [
            ("purpose", self.purpose.map(|p| json!(p))),
            ("source", self.source.map(|s| json!(s))),
            ("shared_with", self.shared.map(|s| json!(s))),
            ("category", self.category.map(|c| json!(c))),
            ("expired", self.expired.map(|e| json!(e))),
            ("created_after", self.after.map(at)),
            ("created_before", self.before.map(at)),
            ("expires_before", self.expires_before.map(at)),
            (
                "subject",
                self.subject.map(|one| json!(people[one].to_string())),
            ),
        ];
        let there = members.into_iter();
        let there = there.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(there.collect())
    }

    /// What the vault ought to find; of the expired, `None` says what `default` does.
    fn fits(
        &self,
        record: &Modelled,
        people: &[SubjectId],
        now: i64,
        retention: Option<i64>,
        default: Option<bool>,
    ) -> bool {
        let age = retention.map(|period| record.created + period);
        let end = match (age, record.expires) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let ended = end.is_some_and(|end| end <= now);
        let serves = |purpose| match record.purposes.is_empty() {
            true => purpose != "other",
            false => record.purposes.contains(&purpose),
        };
        self.purpose.is_none_or(serves)
            && (self.source.is_none() || self.source == record.source)
            && self.shared.is_none_or(|s| record.shared.contains(&s))
            && (self.category.is_none() || self.category == record.category)
            && self
                .expired
                .or(default)
                .is_none_or(|wanted| wanted == ended)
            && self.after.is_none_or(|start| record.created >= start)
            && self.before.is_none_or(|limit| record.created < limit)
            && self
                .expires_before
                .is_none_or(|limit| end.is_some_and(|end| end < limit))
            && self.subject.is_none_or(|one| people[one] == record.subject)
    }
}

const SOURCES: [&str; 2] = ["form", "phone call"];

fn wanted(people: usize) -> impl Strategy<Value = Wanted> {
    let some = |names: &'static [&'static str]| {
        prop::option::weighted(0.3, prop::sample::select(names.to_vec()))
    };
    let hours = (0..40i64).prop_map(|hour| BEGIN + hour * HOUR);
    let when = |p| prop::option::weighted(p, hours.clone());
    (
        some(&["support", "news", "other"]),
        some(&SOURCES),
        some(&["carrier", "printer"]),
        some(&["islands", "mainland"]),
        prop::option::weighted(0.4, any::<bool>()),
        (when(0.3), when(0.3), when(0.3)),
        prop::option::weighted(0.2, 0..people),
    )
        .prop_map(
            |(purpose, source, shared, category, expired, times, subject)| Wanted {
                purpose,
                source,
                shared,
                category,
                expired,
                after: times.0,
                before: times.1,
                expires_before: times.2,
                subject,
            },
        )
}

type Drawn = (usize, u8, Vec<bool>, Option<i64>, Option<usize>, u8);

/// Fills both collections with the same random records, and says what is in them.
fn fill(
    bench: &Bench,
    people: &[SubjectId],
    drawn: &[Drawn],
) -> BTreeMap<&'static str, Vec<Modelled>> {
    let mut model = BTreeMap::from([("notes", Vec::new()), ("events", Vec::new())]);
    for (index, (who, purposes, shared, expires, source, category)) in drawn.iter().enumerate() {
        if index % 4 == 0 {
            bench.clock.clock.advance(HOUR);
        }
        let created = bench.clock.now().as_millisecond();
        let purposes = [
            vec![],
            vec!["support"],
            vec!["news"],
            vec!["support", "news"],
        ][usize::from(purposes % 4)]
        .clone();
        let names = ["carrier", "printer"].into_iter().zip(shared);
        let shared = names.filter_map(|(name, with)| with.then_some(name));
        let mut record = Modelled {
            subject: people[*who],
            id: RecordId::SINGLE,
            created,
            purposes,
            expires: expires.map(|hours| created + hours * HOUR),
            source: source.map(|one| SOURCES[one]),
            shared: shared.collect(),
            category: [None, Some("islands"), Some("mainland")][usize::from(category % 3)],
        };
        let body = json!({"text": format!("text {index}"), "_meta": {
            "purposes": record.purposes,
            "expires_at": record.expires.map(at),
            "source": record.source,
            "shared_with": record.shared,
            "category": record.category,
        }});
        for (collection, records) in &mut model {
            record.id = bench.append(record.subject, collection, vec![body.clone()])[0];
            records.push(record.clone());
        }
    }
    model
}

#[test]
fn every_combination_of_conditions_finds_what_a_plain_model_finds() {
    let bench = Bench::new();
    let people: Vec<SubjectId> = (0..7).map(|n| bench.person(&format!("p{n}"))).collect();
    let mut runner = TestRunner::deterministic();
    let one = (
        0..people.len(),
        any::<u8>(),
        prop::collection::vec(any::<bool>(), 2),
        prop::option::of(1..60i64),
        prop::option::of(0..2usize),
        any::<u8>(),
    );
    let drawn = prop::collection::vec(one, 100)
        .new_tree(&mut runner)
        .unwrap()
        .current();
    let model = fill(&bench, &people, &drawn);
    // By then some of the events have ended by their age as well.
    bench.clock.clock.advance(29 * 24 * HOUR + 12 * HOUR);
    let now = bench.clock.now().as_millisecond();
    let mut runner = TestRunner::new(Config {
        cases: 300,
        ..Config::default()
    });
    let matched = std::cell::Cell::new(0);
    runner
        .run(
            &(wanted(people.len()), any::<bool>()),
            |(wanted, events)| {
                let (name, retention) = match events {
                    true => ("events", Some(30 * 24 * HOUR)),
                    false => ("notes", None),
                };
                let expected = |default| {
                    let fits = |r: &&Modelled| wanted.fits(r, &people, now, retention, default);
                    model[name].iter().filter(fits).collect::<Vec<_>>()
                };
                let conditions = wanted.conditions(&people);
                let mut meta = query(name, conditions.clone());
                meta.part = QueryPart::MetaOnly;
                let found = bench.found(meta);
                let live = expected(Some(false));
                let live_ids: Vec<RecordId> = live.iter().map(|r| r.id).collect();
                prop_assert_eq!(ids(&found), texts(&live_ids));
                for line in &found {
                    prop_assert!(line.get("fields").is_none() && line.get("_meta").is_some());
                }
                // With values: those that may be used for the stated purpose.
                let may = live
                    .iter()
                    .filter(|r| r.purposes.is_empty() || r.purposes.contains(&"support"));
                let may: Vec<RecordId> = may.map(|r| r.id).collect();
                let found = bench.found(query(name, conditions.clone()));
                prop_assert_eq!(ids(&found), texts(&may));
                for line in &found {
                    let shown = line["fields"].as_object().unwrap().len();
                    prop_assert_eq!(shown, usize::from(wanted.expired != Some(true)));
                }
                // What is counted for a purge is what would go, the ended among them.
                let counted = bench
                    .vault
                    .purge_records(&bench.support(), &count(name, conditions.clone()))
                    .unwrap();
                prop_assert_eq!(counted.count as usize, expected(None).len());
                prop_assert!(counted.receipt.is_none());
                let set = json!({"category": "islands"});
                let updated =
                    bench
                        .vault
                        .update_records(&bench.support(), &count(name, conditions), &set);
                match wanted.expired {
                    Some(true) => prop_assert!(matches!(updated, Err(Refusal::Invalid(_)))),
                    _ => prop_assert_eq!(updated.unwrap().count as usize, live.len()),
                }
                matched.set(matched.get() + live.len());
                Ok(())
            },
        )
        .unwrap();
    assert!(matched.get() > 1000, "the conditions find something");
}

#[test]
fn people_without_a_basis_are_skipped_and_counted_if_they_have_records() {
    let bench = Bench::new();
    let [ann, ben, cas, dan] = ["ann", "ben", "cas", "dan"].map(|name| bench.person(name));
    let anns = bench.notes(ann, 2);
    bench.notes(ben, 2);
    bench.notes(cas, 1);
    bench.consent(ann, true);
    bench.consent(ben, false);
    bench.consent(dan, false);
    let news = call(&bench.keeper, Some("news"));
    let (lines, last) = bench.lines(&news, query("notes", json!({}))).unwrap();
    assert_eq!(ids(&lines), texts(&anns));
    let skipped = json!({"end": true, "records": 2, "people_skipped": 2, "next": null});
    assert_eq!(last, skipped);
    // The contract's purpose needs nobody's consent.
    let (lines, last) = bench
        .lines(&bench.support(), query("notes", json!({})))
        .unwrap();
    assert_eq!((lines.len(), &last["people_skipped"]), (5, &json!(0)));
}

#[test]
fn a_line_shows_what_the_reader_may_see_and_nothing_else() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let body = json!({"text": "a \"quoted\"\nline", "mail": "ann@example.test",
        "_meta": {"source": "form", "shared_with": ["carrier"], "purposes": ["support"]}});
    let id = bench.append(ann, "notes", vec![body])[0];
    let created_at = instant(BEGIN).to_string();
    let whole = json!({
        "subject": ann.to_string(), "record": id.to_string(), "created_at": created_at,
        "fields": {"text": "a \"quoted\"\nline", "mail": "ann@example.test"}, "masked": [],
        "_meta": {"purposes": ["support"], "expires_at": null, "source": "form",
            "shared_with": ["carrier"], "category": null},
    });
    assert_eq!(bench.found(query("notes", json!({}))), [whole.clone()]);
    let mut some = query("notes", json!({}));
    some.fields = Some(vec!["text".into()]);
    some.part = QueryPart::Fields;
    let line = &bench.found(some.clone())[0];
    assert_eq!(line["fields"], json!({"text": "a \"quoted\"\nline"}));
    assert!(line.get("_meta").is_none());
    // The clerk sees a masked address, and may not name the text.
    let clerk = bench.role("clerk");
    let clerk = call(&clerk, Some("support"));
    let (lines, _) = bench.lines(&clerk, query("notes", json!({}))).unwrap();
    assert_eq!(lines[0]["masked"], json!(["mail"]));
    assert_ne!(lines[0]["fields"]["mail"], whole["fields"]["mail"]);
    assert_eq!(lines[0]["fields"].as_object().unwrap().len(), 1);
    assert!(matches!(
        bench.lines(&clerk, some),
        Err(Refusal::RoleDenied(_))
    ));
    // One record a person has no record id.
    let name = object(json!({"name": "Ann"}));
    bench
        .vault
        .patch_single(&bench.support(), ann, "profile", name, None)
        .unwrap();
    let line = &bench.found(query("profile", json!({})))[0];
    assert_eq!(
        (line.get("record"), &line["fields"]["name"]),
        (None, &json!("Ann"))
    );
}

#[test]
fn whoever_may_not_is_refused_before_anything_is_found() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    bench.notes(ann, 1);
    let all = || query("notes", json!({}));
    let vault = &bench.vault;
    let (bot, clerk) = (bench.role("bot"), bench.role("clerk"));
    let denied = |result: Result<(Vec<Value>, Value), Refusal>| {
        assert!(matches!(result, Err(Refusal::RoleDenied(_))));
    };
    denied(bench.lines(&call(&bot, Some("support")), all()));
    denied(bench.lines(&call(&vault.keyholder(), Some("support")), all()));
    denied(bench.lines(&call(&clerk, Some("support")), query("events", json!({}))));
    let session = crate::vault::SessionInput {
        purpose: "support".into(),
        fields: vec!["notes.*".into()],
        reads: 5,
        writes: 5,
        expires_in: None,
    };
    let begun = vault.begin_session(&bench.support(), ann, session).unwrap();
    let session = vault.authenticate(&begun.token).unwrap();
    denied(bench.lines(&call(&session, None), all()));
    let set = json!({"source": "form"});
    for who in [&session, &bot] {
        let who = call(who, Some("support"));
        let refused = vault.update_records(&who, &change("notes", json!({})), &set);
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
        let refused = vault.purge_records(&who, &change("notes", json!({})));
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    }
    // The clerk writes the text alone, and has no leave to purge.
    let who = call(&clerk, Some("support"));
    let refused = vault.update_records(&who, &change("notes", json!({})), &set);
    let Err(Refusal::RoleDenied(why)) = refused else {
        panic!("not refused")
    };
    assert!(why.contains("every field"));
    let refused = vault.purge_records(&who, &change("notes", json!({})));
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    let missing = bench.lines(&call(&bench.keeper, None), all());
    assert!(matches!(missing, Err(Refusal::PurposeMissing)));
    let unknown = bench.lines(&bench.support(), query("nothing", json!({})));
    assert!(matches!(unknown, Err(Refusal::NotFound("collection"))));
    let other = bench.lines(&call(&bench.keeper, Some("other")), all());
    assert!(matches!(other, Err(Refusal::PurposeDenied(_))));
    assert_eq!(bench.found(all()).len(), 1);
}

#[test]
fn input_that_does_not_fit_is_told_where_and_no_value_is_repeated() {
    let bench = Bench::new();
    let refused = |conditions: Value| {
        let refused = bench.lines(&bench.support(), query("notes", conditions));
        let Err(Refusal::Invalid(errors)) = refused else {
            panic!("not refused")
        };
        assert!(!format!("{errors:?}").contains("canary"));
        (
            errors[0].pointer.clone(),
            errors[0].code,
            errors[0].detail.clone(),
        )
    };
    let (pointer, code, detail) = refused(json!({"text": "canary"}));
    assert_eq!((&*pointer, code), ("/where/text", "unknown_member"));
    assert!(detail.contains("purpose, source, shared_with, category, expired"));
    assert_eq!(refused(json!({"canary": 1})).0, "/where");
    assert_eq!(refused(json!({"purpose": "canary"})).1, "unknown_purpose");
    assert_eq!(refused(json!({"expired": "canary"})).1, "not_a_bool");
    assert_eq!(refused(json!({"created_after": "canary"})).1, "timestamp");
    assert_eq!(refused(json!({"subject": "canary"})).1, "not_an_id");
    assert_eq!(refused(json!({"source": ["canary"]})).1, "type");
    assert_eq!(refused(json!("canary")).1, "not_an_object");
    for limit in [0, 1_000_001] {
        let mut input = query("notes", json!({}));
        input.limit = Some(limit);
        let refused = bench.lines(&bench.support(), input);
        assert!(matches!(refused, Err(Refusal::Invalid(e)) if e[0].pointer == "/limit"));
    }
    let set = |set: Value| {
        let input = change("notes", json!({}));
        let refused = bench.vault.update_records(&bench.support(), &input, &set);
        let Err(Refusal::Invalid(errors)) = refused else {
            panic!("not refused")
        };
        assert!(!format!("{errors:?}").contains("canary"));
        (errors[0].pointer.clone(), errors[0].code)
    };
    assert_eq!(set(json!({})), ("/set".into(), "empty"));
    assert_eq!(set(json!("canary")), ("/set".into(), "not_an_object"));
    assert_eq!(
        set(json!({"text": "canary"})),
        ("/set".into(), "unknown_member")
    );
    assert_eq!(
        set(json!({"purposes": []})),
        ("/set/purposes".into(), "widens")
    );
    assert_eq!(
        set(json!({"purposes": null})),
        ("/set/purposes".into(), "widens")
    );
    assert_eq!(
        set(json!({"purposes": ["other"]})),
        ("/set/purposes".into(), "unknown_purpose")
    );
    assert_eq!(
        set(json!({"shared_with": ["canary"]})),
        ("/set/shared_with".into(), "unknown_recipient")
    );
    let purge = bench
        .vault
        .purge_records(&bench.support(), &change("notes", Value::Null));
    assert!(matches!(purge, Err(Refusal::Invalid(_))));
}

#[test]
fn somebody_erased_or_withdrawn_between_two_slices_does_not_appear() {
    let bench = Bench::new();
    let mut people: Vec<SubjectId> = (0..6).map(|n| bench.person(&format!("p{n}"))).collect();
    people.sort();
    for person in &people {
        bench.notes(*person, 300);
        bench.consent(*person, true);
    }
    let news = call(&bench.keeper, Some("news"));
    let vault = &bench.vault;
    let mut query = vault.query(&news, query("notes", json!({}))).unwrap();
    let mut bytes = Vec::new();
    let step = vault.query_step(&mut query, &mut |lines| bytes.extend(lines));
    assert_eq!(step.unwrap(), Step::More);
    let before = read(&bytes).len();
    assert!(
        (300..600).contains(&before),
        "the second person is half through"
    );
    vault
        .withdraw_consent(&bench.support(), people[1], "news")
        .unwrap();
    vault.erase_subject(&bench.support(), people[2]).unwrap();
    bytes.clear();
    while vault
        .query_step(&mut query, &mut |lines| bytes.extend(lines))
        .unwrap()
        == Step::More
    {}
    let mut after: BTreeMap<String, usize> = BTreeMap::new();
    for line in read(&bytes) {
        *after
            .entry(line["subject"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let rest = people[3..].iter().map(|one| (one.to_string(), 300));
    assert_eq!(after, rest.collect());
    let last = read(&vault.finish_query(&query).unwrap()).remove(0);
    assert_eq!(last["records"], before + 900);
    assert_eq!(last["people_skipped"], 1);
}

#[test]
fn somebody_erased_while_a_slice_is_gathered_does_not_appear_in_it() {
    for erased in 0..3 {
        let bench = Bench::new();
        let mut people: Vec<SubjectId> = (0..3).map(|n| bench.person(&format!("p{n}"))).collect();
        people.sort();
        people
            .iter()
            .for_each(|person| drop(bench.notes(*person, 3)));
        let vault = bench.vault.clone();
        let (keeper, gone) = (bench.keeper.clone(), people[erased]);
        let mut query = bench
            .vault
            .query(&bench.support(), query("notes", json!({})))
            .unwrap();
        let erasing = vault.clone();
        bench.clock.set(1, move || {
            let call = call(&keeper, Some("support"));
            erasing.erase_subject(&call, gone).unwrap();
        });
        let mut bytes = Vec::new();
        while vault
            .query_step(&mut query, &mut |lines| bytes.extend(lines))
            .unwrap()
            == Step::More
        {}
        assert!(bench.clock.set.lock().is_none(), "the trap was sprung");
        let shown: BTreeSet<String> = read(&bytes)
            .iter()
            .map(|line| line["subject"].as_str().unwrap().to_owned())
            .collect();
        people.remove(erased);
        assert_eq!(shown, people.iter().map(ToString::to_string).collect());
        let last = read(&vault.finish_query(&query).unwrap()).remove(0);
        assert_eq!(last["records"], 6);
    }
}

#[test]
fn an_api_key_revoked_between_two_slices_gets_no_more() {
    let bench = Bench::new();
    for n in 0..3 {
        bench.notes(bench.person(&format!("p{n}")), 300);
    }
    let clerk = bench.role("clerk");
    let clerk_call = call(&clerk, Some("support"));
    let mut query = bench
        .vault
        .query(&clerk_call, query("notes", json!({})))
        .unwrap();
    let step = bench.vault.query_step(&mut query, &mut |_| {});
    assert_eq!(step.unwrap(), Step::More);
    let keyholder = bench.vault.keyholder();
    bench
        .vault
        .revoke_token(&call(&keyholder, None), clerk.token().unwrap())
        .unwrap();
    let mut handed = false;
    let refused = bench.vault.query_step(&mut query, &mut |_| handed = true);
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    assert!(!handed);
    bench.vault.abandon_query(&query).unwrap();
    let entries = bench.entries(clerk_call.id);
    let outcomes: Vec<&str> = entries.iter().map(|e| &*e.outcome).collect();
    assert_eq!(outcomes, ["ok", "incomplete"]);
    assert!(entries[1].records.unwrap().0 > 0);
}

#[test]
fn a_cursor_goes_on_where_its_answer_ended_and_serves_no_other_call() {
    let bench = Bench::new();
    let mut all = BTreeSet::new();
    for n in 0..5 {
        let person = bench.person(&format!("p{n}"));
        all.extend(texts(&bench.notes(person, 7)));
    }
    let mut input = query("notes", json!({"purpose": "support"}));
    input.limit = Some(4);
    let (mut seen, mut cursors) = (BTreeSet::new(), Vec::new());
    loop {
        let (lines, last) = bench.lines(&bench.support(), input.clone()).unwrap();
        assert!(lines.len() <= 4);
        for id in ids(&lines) {
            assert!(seen.insert(id), "a record came twice");
        }
        match last["next"].as_str() {
            Some(next) => cursors.push(next.to_owned()),
            None => break,
        }
        input.cursor = cursors.last().cloned();
    }
    assert_eq!(seen, all);
    let refused = |principal: &Principal, purpose, input: QueryInput| {
        let refused = bench.lines(&call(principal, Some(purpose)), input);
        assert!(matches!(refused, Err(Refusal::Invalid(e)) if e[0].pointer == "/cursor"));
    };
    input.cursor = Some(cursors[1].clone());
    refused(&bench.role("keeper"), "support", input.clone());
    let mut other = input.clone();
    other.conditions = json!({});
    refused(&bench.keeper, "support", other);
    let mut other = input.clone();
    other.part = QueryPart::MetaOnly;
    refused(&bench.keeper, "support", other);
    let mut other = input.clone();
    other.fields = Some(vec!["text".into()]);
    refused(&bench.keeper, "support", other);
    // Halves of two cursors are none.
    let (first, _) = cursors[1].split_once('.').unwrap();
    let (_, second) = cursors[4].split_once('.').unwrap();
    let mut other = input.clone();
    other.cursor = Some(format!("{first}.{second}"));
    refused(&bench.keeper, "support", other);
    assert!(bench.lines(&bench.support(), input.clone()).is_ok());
    bench.clock.clock.advance(2 * HOUR);
    refused(&bench.keeper, "support", input);
}

#[test]
fn the_evidence_has_a_beginning_and_an_end_with_count_and_digest() {
    let bench = Bench::new();
    for n in 0..4 {
        bench.notes(bench.person(&format!("p{n}")), 200);
    }
    let asked = bench.support();
    let (lines, _) = bench.lines(&asked, query("notes", json!({}))).unwrap();
    let entries = bench.entries(asked.id);
    let [start, end] = &entries[..] else {
        panic!("{} entries", entries.len())
    };
    assert_eq!(
        (&*start.action, &*end.action),
        ("records.query", "records.query")
    );
    assert_eq!(
        (start.records, start.fields.len(), start.subject),
        (None, 2, None)
    );
    let ids = lines.iter().map(|line| line["record"].as_str().unwrap());
    let ids: Vec<RecordId> = ids.map(|id| id.parse().unwrap()).collect();
    let bytes: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
    assert_eq!(end.records, Some((800, sha256(&bytes))));
    let refused = call(&bench.keeper, Some("nonsense"));
    assert!(bench.lines(&refused, query("notes", json!({}))).is_err());
    let entries = bench.entries(refused.id);
    assert_eq!((entries.len(), &*entries[0].outcome), (1, "purpose_denied"));
}

#[test]
fn an_update_changes_metadata_and_revision_and_leaves_every_envelope_where_it_is() {
    let bench = Bench::new();
    let (ann, ben) = (bench.person("ann"), bench.person("ben"));
    let meta = json!({"source": "form"});
    let body = |n| json!({"text": format!("t{n}"), "mail": "a@example.test", "_meta": meta});
    let anns = bench.append(ann, "notes", (0..3).map(body).collect());
    bench.notes(ben, 2);
    // One whose fields were written at several revisions.
    let patch = object(json!({"text": "patched"}));
    bench
        .vault
        .patch_record(&bench.support(), ann, "notes", anns[1], patch, None)
        .unwrap();
    let (before, envelopes) = (bench.listed(ann, "notes"), bench.rows(Table::Records));
    let asked = bench.support();
    let set = json!({"source": "letter", "category": "islands", "shared_with": ["printer"],
        "purposes": ["support"], "expires_at": at(BEGIN + 9 * HOUR)});
    let input = change("notes", json!({"source": "form"}));
    let updated = bench.vault.update_records(&asked, &input, &set).unwrap();
    assert_eq!(
        (updated.count, updated.unchanged, updated.people_skipped),
        (3, 0, 0)
    );
    assert!(
        bench.rows(Table::Records) == envelopes,
        "no envelope was touched"
    );
    let after = bench.listed(ann, "notes");
    for ((etag, fields), (etag_now, fields_now)) in before.iter().zip(&after) {
        assert_ne!(etag, etag_now);
        assert_eq!(fields, fields_now);
    }
    let found = bench.found(query("notes", json!({"source": "letter"})));
    assert_eq!(ids(&found), texts(&anns));
    assert_eq!(found[0]["_meta"], set);
    assert_eq!(
        bench.found(query("notes", json!({"source": "form"}))).len(),
        0
    );
    let entries = bench.entries(asked.id);
    let bytes: Vec<&[u8]> = anns.iter().map(|id| &id.as_bytes()[..]).collect();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].records, Some((3, sha256(&bytes))));
    // A second one, a value on top, and a removal: every envelope still opens at its own revision.
    let input = change("notes", json!({"category": "islands"}));
    let set = json!({"source": null, "shared_with": null});
    bench
        .vault
        .update_records(&bench.support(), &input, &set)
        .unwrap();
    let patch = object(json!({"mail": "b@example.test"}));
    bench
        .vault
        .patch_record(&bench.support(), ann, "notes", anns[0], patch, None)
        .unwrap();
    bench
        .vault
        .update_records(&bench.support(), &input, &json!({"category": null}))
        .unwrap();
    bench.vault.sweep(crate::vault::Sweep::All).unwrap();
    let fields: Vec<Value> = bench
        .listed(ann, "notes")
        .into_iter()
        .map(|(_, f)| f)
        .collect();
    assert_eq!(fields[0], json!({"text": "t0", "mail": "b@example.test"}));
    assert_eq!(
        fields[1],
        json!({"text": "patched", "mail": "a@example.test"})
    );
    let found = bench.found(query("notes", json!({"subject": ann.to_string()})));
    let cleared = json!({"purposes": ["support"], "expires_at": at(BEGIN + 9 * HOUR),
        "source": null, "shared_with": [], "category": null});
    assert_eq!(found[2]["_meta"], cleared);
    // What it set holds: the record ends.
    bench.clock.clock.advance(9 * HOUR);
    assert_eq!(bench.listed(ann, "notes").len(), 0);
    assert_eq!(bench.listed(ben, "notes").len(), 2);
}

#[test]
fn purposes_of_many_only_become_fewer() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let body = |purposes: &[&str]| json!({"text": "t", "_meta": {"purposes": purposes}});
    let bodies = vec![body(&[]), body(&["news"]), body(&["support", "news"])];
    let ids = bench.append(ann, "notes", bodies);
    let input = change("notes", json!({}));
    let set = json!({"purposes": ["support"], "source": "form"});
    let counted = bench
        .vault
        .update_records(&bench.support(), &count("notes", json!({})), &set)
        .unwrap();
    assert_eq!((counted.count, counted.unchanged), (2, 1));
    let updated = bench
        .vault
        .update_records(&bench.support(), &input, &set)
        .unwrap();
    assert_eq!((updated.count, updated.unchanged), (2, 1));
    let mut meta = query("notes", json!({}));
    meta.part = QueryPart::MetaOnly;
    let found = bench.found(meta);
    let of = |id: &RecordId| {
        let line = found.iter().find(|line| line["record"] == id.to_string());
        (
            line.unwrap()["_meta"]["purposes"].clone(),
            line.unwrap()["_meta"]["source"].clone(),
        )
    };
    assert_eq!(of(&ids[0]), (json!(["support"]), json!("form")));
    assert_eq!(of(&ids[1]), (json!(["news"]), Value::Null));
    assert_eq!(of(&ids[2]), (json!(["support"]), json!("form")));
}

#[test]
fn an_update_runs_in_bounded_commits_and_one_that_stops_leaves_each_record_old_or_new() {
    let mut bench = Bench::new();
    let people: Vec<SubjectId> = (0..5).map(|n| bench.person(&format!("p{n}"))).collect();
    for person in &people {
        bench.notes(*person, 700);
    }
    let asked = bench.support();
    let set = json!({"source": "form"});
    let input = change("notes", json!({}));
    // Closed in the middle: between two commits, where the next part is looked for.
    let vault = bench.vault.clone();
    bench.clock.set(5, move || vault.close());
    let stopped = bench.vault.update_records(&asked, &input, &set);
    assert!(matches!(stopped, Err(Refusal::Locked)), "{stopped:?}");
    let id = asked.id;
    bench.reopen();
    let changed = |bench: &Bench| bench.found(query("notes", json!({"source": "form"}))).len();
    let new = changed(&bench);
    assert!((1..3500).contains(&new), "{new}");
    let entries = bench.entries(id);
    let committed: u64 = entries
        .iter()
        .filter_map(|e| e.records)
        .map(|(n, _)| n)
        .sum();
    assert_eq!(committed, new as u64);
    for entry in &entries {
        assert!(entry.records.unwrap().0 <= 1000 + 256);
    }
    assert_eq!(bench.found(query("notes", json!({}))).len(), 3500);
    let again = bench.vault.update_records(&bench.support(), &input, &set);
    assert_eq!((again.unwrap().count, changed(&bench)), (3500, 3500));
}

#[test]
fn a_purge_destroys_records_with_their_keys_and_yields_a_receipt() {
    let bench = Bench::new();
    let (ann, ben) = (bench.person("ann"), bench.person("ben"));
    let body = |text: &str, mail: &str, source: &str| json!({"text": text, "mail": mail, "_meta": {"source": source}});
    let anns = vec![
        body("t0", "ann@example.test", "form"),
        body("t1", "gone@example.test", "form"),
        body("t2", "ann@example.test", "letter"),
    ];
    let anns = bench.append(ann, "notes", anns);
    let bens = bench.append(ben, "notes", vec![body("t3", "ben@example.test", "letter")]);
    let numbers = |subject| {
        let snapshot = bench.vault.snapshot().unwrap();
        let person = Person::load(&snapshot, subject).unwrap();
        let keys = person.keyset.keys.iter();
        let general = keys.filter(|dek| dek.compartment.number == 1);
        general.map(|dek| dek.number).collect::<Vec<u32>>()
    };
    let (anns_keys, bens_keys) = (numbers(ann), numbers(ben));
    let asked = bench.support();
    let input = change("notes", json!({"source": "form"}));
    let counted = bench
        .vault
        .purge_records(&asked, &count("notes", json!({"source": "form"})))
        .unwrap();
    assert_eq!((counted.count, counted.receipt), (2, None));
    let asked_again = bench.support();
    let purged = bench.vault.purge_records(&asked_again, &input).unwrap();
    assert_eq!(purged.count, 2);
    let receipt = purged.receipt.unwrap();
    let body = &receipt["body"];
    assert_eq!(
        (&body["scope"], &body["records"]),
        (&json!("purge"), &json!(2))
    );
    assert_eq!(body["destroyed"], json!([{"compartment": 1, "keys": 1}]));
    assert!(body["epoch_after"].as_u64() > body["epoch_before"].as_u64());
    // The old key is gone and a new one there; whoever was not meant keeps theirs.
    assert!(
        numbers(ann)
            .iter()
            .all(|number| !anns_keys.contains(number))
    );
    assert_eq!((numbers(ann).len(), numbers(ben)), (1, bens_keys));
    let left = bench.found(query("notes", json!({})));
    assert_eq!(ids(&left), texts(&[anns[2], bens[0]]));
    assert_eq!(bench.listed(ann, "notes")[0].1["text"], "t2");
    // A look-up value goes with its last record.
    let find = |mail: &str| {
        bench
            .vault
            .lookup_field(&bench.support(), "notes.mail", &json!(mail))
    };
    assert_eq!(find("ann@example.test").unwrap(), ann);
    assert!(matches!(
        find("gone@example.test"),
        Err(Refusal::NotFound(_))
    ));
    // The receipt is what the log says, and its opening what was deleted.
    let entries = bench.entries(asked_again.id);
    assert_eq!(entries.len(), 2, "one of the commit, one of the receipt");
    let digest = sha256(&[anns[0].as_bytes(), anns[1].as_bytes()]);
    assert!(
        entries
            .iter()
            .all(|entry| entry.records == Some((2, digest)))
    );
    let bytes = serde_json::to_vec(body).unwrap();
    let (id, hash) = entries[1].receipt.unwrap();
    assert_eq!(
        (json!(id.to_string()), hash),
        (body["receipt"].clone(), sha256(&[&bytes]))
    );
    let hex = |name: &str| {
        let text = receipt["opening"][name].as_str().unwrap().as_bytes();
        data_encoding::HEXLOWER.decode(text).unwrap()
    };
    assert_eq!(hex("records_sha256"), digest);
    let commitment = sha256(&[&hex("salt"), &digest]);
    assert_eq!(body["commitment"], audit::hex(&commitment));
    let mut names: Vec<&String> = body.as_object().unwrap().keys().collect();
    names.sort();
    assert!(
        names
            .iter()
            .eq(body.as_object().unwrap().keys().collect::<Vec<_>>().iter())
    );
    // Sent again there is nothing left, and nothing to have a receipt for.
    let again = bench.vault.purge_records(&bench.support(), &input).unwrap();
    assert_eq!((again.count, again.receipt), (0, None));
}

#[test]
fn a_purge_of_what_has_ended_takes_nothing_that_lives() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let body = |hours: i64| json!({"text": "t", "_meta": {"expires_at": at(BEGIN + hours * HOUR)}});
    let events = bench.append(ann, "events", vec![body(1), body(5)]);
    bench.clock.clock.advance(2 * HOUR);
    let mut input = query("events", json!({"expired": true}));
    input.part = QueryPart::MetaOnly;
    assert_eq!(ids(&bench.found(input.clone())), texts(&events[..1]));
    let purged = bench
        .vault
        .purge_records(
            &bench.support(),
            &change("events", json!({"expired": true})),
        )
        .unwrap();
    assert_eq!(purged.count, 1);
    assert_eq!(bench.found(input).len(), 0);
    assert_eq!(
        ids(&bench.found(query("events", json!({})))),
        texts(&events[1..])
    );
    let set = json!({"expires_at": null});
    let late = bench.vault.update_records(
        &bench.support(),
        &change("events", json!({"expired": true})),
        &set,
    );
    assert!(matches!(late, Err(Refusal::Invalid(e)) if e[0].pointer == "/where/expired"));
}

#[test]
fn a_purge_of_many_commits_has_one_receipt_and_a_second_one_finishes_it() {
    let mut bench = Bench::new();
    let people: Vec<SubjectId> = (0..6).map(|n| bench.person(&format!("p{n}"))).collect();
    for person in &people {
        bench.notes(*person, 600);
        bench.append(*person, "events", vec![json!({"text": "stays"})]);
    }
    let vault = bench.vault.clone();
    bench.clock.set(5, move || vault.close());
    let input = change("notes", json!({}));
    let stopped = bench.vault.purge_records(&bench.support(), &input);
    assert!(matches!(stopped, Err(Refusal::Locked)), "{stopped:?}");
    bench.reopen();
    // Each person wholly or not at all.
    let left: Vec<usize> = people
        .iter()
        .map(|p| bench.listed(*p, "notes").len())
        .collect();
    let gone = left.iter().filter(|left| **left == 0).count();
    assert!(left.iter().all(|left| [0, 600].contains(left)), "{left:?}");
    assert!((1..6).contains(&gone), "{left:?}");
    let purged = bench.vault.purge_records(&bench.support(), &input).unwrap();
    assert_eq!(purged.count as usize, (6 - gone) * 600);
    assert_eq!(purged.receipt.unwrap()["body"]["records"], purged.count);
    for person in &people {
        assert_eq!(bench.listed(*person, "notes").len(), 0);
        assert_eq!(bench.listed(*person, "events").len(), 1);
    }
}

#[test]
fn the_policy_in_force_at_each_commit_decides() {
    let bench = Bench::new();
    for n in 0..4 {
        bench.notes(bench.person(&format!("p{n}")), 700);
    }
    let (vault, policy) = (bench.vault.clone(), POLICY.to_owned());
    bench.clock.set(5, move || {
        let narrower = policy.replacen("write = [\"*\"]", "write = [\"profile.*\"]", 1);
        let keyholder = vault.keyholder();
        vault
            .apply_policy(&call(&keyholder, None), &narrower, false)
            .unwrap();
    });
    let set = json!({"source": "form"});
    let refused = bench
        .vault
        .update_records(&bench.support(), &change("notes", json!({})), &set);
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    let changed = bench.found(query("notes", json!({"source": "form"}))).len();
    assert!((1..2800).contains(&changed), "{changed}");
}

#[test]
fn a_record_that_was_narrowed_to_another_purpose_is_left_out() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let narrowed = json!({"text": "t", "_meta": {"purposes": ["news"]}});
    bench.append(ann, "notes", vec![narrowed]);
    assert_eq!(bench.found(query("notes", json!({}))).len(), 0);
    bench.consent(ann, true);
    let news = call(&bench.keeper, Some("news"));
    assert_eq!(
        bench
            .lines(&news, query("notes", json!({})))
            .unwrap()
            .0
            .len(),
        1
    );
}

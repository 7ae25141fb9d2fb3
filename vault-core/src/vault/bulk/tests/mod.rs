//! Many people in one vault: found by metadata, each decided anew, changed and destroyed in commits.

mod model;
mod purge;
mod read;
mod refused;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
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
    set: Mutex<Option<(usize, Spring)>>,
}

type Spring = Box<dyn FnOnce() + Send>;

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
        accept_any_file_system: true,
        confirm_clock: true,
        ..Settings::new(clock.clone())
    }
}

fn call<'a>(principal: &'a Principal, purpose: Option<&'a str>) -> Call<'a> {
    Call {
        principal,
        purpose,
        restricted_use: None,
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
        names: None,
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
            ..ConsentInput::default()
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

fn at(milliseconds: i64) -> Value {
    json!(instant(milliseconds).to_string())
}

fn instant(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

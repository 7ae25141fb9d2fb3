//! A server in this process over a vault whose clock the test sets, and the vault's tables as they are
//! on the disk.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use vault_core::clock::ManualClock;
use vault_core::id::SubjectId;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, TokenInput, Vault, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, Limits, router};

pub(crate) const PASSPHRASE: &str = "correct horse battery";
pub(crate) const POLICY: &str = r#"
[controller]
name = "Example Travel B.V."
contact = "privacy@example.test"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
recipients = ["carrier"]

[recipients.carrier]
name = "Carrier GmbH"
country = "DE"

[purposes.newsletter]
title.en = "Sending you our newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[purposes.improve]
title.en = "Making the bot better"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[purposes.quality]
title.en = "Looking at how well the bot answers"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[purposes.rental]
title.en = "Renting you things"
basis = "contract"
retention = { after = "contract_end", period = "P1Y" }

[purposes.offers]
title.en = "Sending you offers"
basis = "legitimate_interests"
direct_marketing = true
retention = { after = "collected", period = "P1Y" }

[collections.spare]
kind = "single"
[collections.spare.fields]
note = { type = "text", purposes = ["support", "improve", "quality", "offers"] }

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support"] }
phone = { type = "phone", purposes = ["support"], lookup = true }
birth = { type = "date", purposes = ["support"] }
photo = { type = "blob", purposes = ["support"], media_types = ["image/*"] }

[collections.messages]
kind = "many"
retention = "P90D"
[collections.messages.fields]
text = { type = "text", purposes = ["support"] }
voice = { type = "blob", purposes = ["support"], media_types = ["audio/*"] }

[roles.all]
purposes = ["support", "newsletter", "rental"]
read = { "*" = "full" }
write = ["*"]
ask = ["profile.birth.age_at_least"]
may = [
    "subjects.create", "subjects.lookup", "subjects.view", "subjects.erase", "sessions.create",
    "consents.record", "audit.read", "policy.read", "policy.apply", "api_keys.manage", "keys.manage",
    "retention.run", "vault.lock", "records.bulk", "records.purge", "subjects.export", "backups.manage",
    "notices.record", "objections.record", "restrictions.set", "requests.decide", "holds.manage",
    "disclosures.record", "tokens.detokenize",
    "breakglass.request", "breakglass.approve", "incidents.manage", "logs.write",
]

[logs.bot]
mode = "redact"
retention = "P30D"

[roles.none]
purposes = ["support"]

[breakglass]
purpose = "support"
read = { "profile.*" = "full" }
"#;

/// That somebody was told that a restriction is going to end.
pub(crate) fn told() -> Value {
    json!({"about": "restriction_lift", "lang": "en", "sha256": "0".repeat(64)})
}

/// An answer, without what differs between any two: the call's id, and the caller's standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn code(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or("none").to_owned();
        (self.status, code)
    }
}

/// A body as it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    Nothing,
    Json(Value),
    Bytes(&'static str, String),
}

/// The tables of the database, row by row.
pub(crate) type Tables = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

pub(crate) struct Bench {
    pub(crate) home: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Arc<Vault>,
    router: Router,
    runtime: tokio::runtime::Runtime,
    /// The id of the call that was made last.
    pub(crate) last: Cell<[u8; 31]>,
}

/// Somebody with one of everything.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) record: String,
    pub(crate) session: String,
    /// The session's token.
    pub(crate) token: String,
    /// An emergency that another key has asked for.
    pub(crate) emergency: String,
    pub(crate) user: String,
    pub(crate) channel: &'static str,
    pub(crate) phone: String,
    pub(crate) pseudonym: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let start = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(clock.clone())
        };
        let paths = VaultPaths::beside(&home.path().join("v"));
        let passphrase = Passphrase::new(PASSPHRASE.into()).unwrap();
        let created = LockedVault::create(&paths, settings, &passphrase, POLICY).unwrap();
        let settings = AppSettings {
            clock: clock.clone(),
            sweep_every: None,
            limits: Limits::widest(),
            ..AppSettings::from(&ServerConfig::default())
        };
        let app = App::new(created.locked, Some(created.vault.clone()), settings);
        Self {
            router: router(app),
            vault: created.vault,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            home,
            clock,
            last: Cell::default(),
        }
    }

    /// An API key of this role, bound to these channels if there are any.
    pub(crate) fn key(&self, role: &str, channels: &[&str]) -> String {
        let keyholder = self.vault.keyholder();
        let input = TokenInput {
            role: role.into(),
            label: String::new(),
            expires_at: None,
            channels: channels.iter().map(|name| (*name).to_owned()).collect(),
        };
        let made = self.vault.make_token(&Call::new(&keyholder), input);
        made.unwrap().1
    }

    pub(crate) fn send(
        &self,
        key: &str,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &Sent,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if !key.starts_with("vs_") {
            request = request.header("vault-purpose", "support");
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let (media_type, body) = match body {
            Sent::Nothing => ("", String::new()),
            Sent::Json(value) => ("application/json", value.to_string()),
            Sent::Bytes(media_type, text) => (*media_type, text.clone()),
        };
        if !media_type.is_empty() {
            request = request
                .header("content-type", media_type)
                .header("content-length", body.len());
        }
        let request = request.body(Body::from(body)).unwrap();
        self.runtime.block_on(async {
            let (head, body) = self
                .router
                .clone()
                .oneshot(request)
                .await
                .unwrap()
                .into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 26).await.unwrap();
            let mut headers = BTreeMap::new();
            let mut call = String::new();
            for (name, value) in &head.headers {
                let value = value.to_str().unwrap().to_owned();
                match name.as_str() {
                    "request-id" => call = value,
                    name if name.starts_with("ratelimit") => {}
                    name => drop(headers.insert(name.to_owned(), value)),
                }
            }
            self.last.set(call.as_bytes().try_into().unwrap());
            Answer {
                status: head.status.as_u16(),
                headers,
                text: String::from_utf8_lossy(&bytes).replace(&call, "this call"),
            }
        })
    }

    pub(crate) fn call(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() {
            Sent::Nothing
        } else {
            Sent::Json(body)
        };
        self.send(key, method, path, &[], &body)
    }

    /// The same, which must succeed.
    pub(crate) fn done(&self, key: &str, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(key, method, path, body);
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.json()
    }

    /// Somebody new on a channel; `all` is a key that may do everything.
    pub(crate) fn person(&self, all: &str, channel: &'static str, user: &str) -> Person {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let who = json!({"channel": channel, "user": user});
        let id = text(&self.done(all, "POST", "/v1/subjects", who)["subject"]);
        let of = |rest: &str| format!("/v1/subjects/{id}/{rest}");
        // Theirs alone, and the same person's each time.
        let digits: u32 = user
            .bytes()
            .fold(7, |sum, byte| (sum * 31 + u32::from(byte)) % 10_000_000);
        let phone = format!("+3120{digits:07}");
        let profile =
            json!({"name": format!("{user} Example"), "phone": phone, "birth": "1990-05-01"});
        self.done(all, "PATCH", &of("records/profile"), profile);
        let body = json!({"text": format!("a secret of {user}"), "_meta": {"source": user}});
        let record = text(&self.done(all, "POST", &of("records/messages"), body)["record"]);
        for (path, media_type) in [
            (of("blobs/profile/photo"), "image/png"),
            (of(&format!("blobs/messages/{record}/voice")), "audio/ogg"),
        ] {
            let body = Sent::Bytes(media_type, "the bytes of a blob".into());
            let put = self.send(all, "PUT", &path, &[], &body);
            assert_eq!(put.status, 200, "{put:?}");
        }
        let consent = json!({"given": true, "notice": "n1"});
        self.done(all, "PUT", &of("consents/newsletter"), consent);
        // Demands that stand, about what no other call is about, so that each can be ended or decided.
        for purpose in ["improve", "quality"] {
            let grounds = json!({"reason": format!("grounds of {user}")});
            self.done(all, "PUT", &of(&format!("objections/{purpose}")), grounds);
        }
        let ended = json!({"ended_at": "2026-12-31T00:00:00Z"});
        self.done(all, "PUT", &of("contracts/rental"), ended);
        let restriction = json!({"ground": "18.1.a", "collections": ["spare"]});
        self.done(all, "PUT", &of("restriction"), restriction);
        let hold =
            json!({"ground": "legal_claims", "collections": ["spare"], "review_at": "2099-12-31"});
        self.done(all, "PUT", &of("hold"), hold);
        self.done(all, "POST", &of("notices"), told());
        let issued = self.done(all, "POST", &of("pseudonyms"), json!({}));
        let wanted = json!({"purpose": "support", "fields": ["profile.*", "messages.*"],
            "reads": 10_000, "writes": 10_000});
        let begun = self.done(all, "POST", &of("sessions"), wanted);
        let reason = json!({"reason": "it cannot wait", "fields": ["profile.phone"]});
        let another = self.key("all", &[]);
        let asked = self.done(&another, "POST", &of("emergencies"), reason);
        Person {
            emergency: text(&asked["emergency"]),
            record,
            session: text(&begun["session"]),
            token: text(&begun["token"]),
            user: user.to_owned(),
            channel,
            phone,
            pseudonym: text(&issued["pseudonym"]),
            id,
        }
    }

    /// The database as it lies on the disk.
    pub(crate) fn database(&self) -> Vec<u8> {
        fs::read(self.home.path().join("v/vault.redb")).unwrap()
    }

    /// The call that was made last, as the log names it.
    pub(crate) fn last_call(&self) -> String {
        String::from_utf8(self.last.get().to_vec()).unwrap()
    }
}

/// The rows of a database that a server holds, from a copy of its file.
pub(crate) fn tables(database: &[u8]) -> Tables {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.redb");
    fs::write(&copy, database).unwrap();
    let database = redb::Database::open(&copy).unwrap();
    let read = database.begin_read().unwrap();
    let mut tables = Tables::new();
    for handle in read.list_tables().unwrap() {
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(handle.name());
        let table = read.open_table(definition).unwrap();
        let rows = table.iter().unwrap().map(|row| {
            let (key, value) = row.unwrap();
            (key.value().to_vec(), value.value().to_vec())
        });
        tables.insert(handle.name().to_owned(), rows.collect());
    }
    tables
}

/// The tables in which two states differ; of the first table, which rows.
pub(crate) fn differences(before: &[u8], after: &[u8]) -> Vec<String> {
    if before == after {
        return Vec::new();
    }
    let (before, after) = (tables(before), tables(after));
    let mut differ = Vec::new();
    for name in before.keys().chain(after.keys()) {
        let (old, new) = (&before[name], &after[name]);
        if old == new || differ.iter().any(|known| known == name) {
            continue;
        }
        differ.push(name.clone());
        if name == "t01" {
            let rows = old.keys().chain(new.keys()).collect::<BTreeSet<_>>();
            let rows = rows
                .into_iter()
                .filter(|row| old.get(*row) != new.get(*row));
            differ.extend(rows.map(|row| format!("row {row:?} of t01")));
        }
    }
    differ
}

/// The key of the row that counts entries (docs/format.md).
const STATE: &[u8] = b"state";

/// What is left of differences once those are gone that a refusal's own entry makes in the log, and in
/// the one row that counts entries.
pub(crate) fn done(before: &[u8], after: &[u8]) -> Vec<String> {
    let state = format!("row {STATE:?} of t01");
    let entry = |what: &String| ["t01", "t11", "t17", "t18", &state].contains(&&**what);
    let mut done = differences(before, after);
    done.retain(|what| !entry(what));
    done
}

/// An id of nobody.
pub(crate) fn nobody() -> String {
    SubjectId::from_bytes([0x5a; 16]).to_string()
}

//! The API over a real vault, on a real socket.
//!
//! Failure is an answer that breaks the documented order, shape or promise. Timing is not: no test
//! here waits for a clock. Every person is invented.

mod contract;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;

use contract::{Answered, Contract};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use vault_core::clock::SystemClock;
use vault_core::id::CallId;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, UnlockSecret, Vault, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, Server};

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(vault_server::openapi()));
const PASSPHRASE: &str = "correct horse battery";
const POLICY: &str = r#"
[controller]
name = "Example Travel B.V."
address = "Kade 1, Utrecht"
contact = "privacy@example.test"
dpo = "dpo@example.test"
authority = "Autoriteit Persoonsgegevens"
country = "NL"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[purposes.newsletter]
title.en = "Sending you our newsletter"
basis = "consent"
direct_marketing = true
retention = { after = "withdrawal", period = "P0D" }

[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name",  category = "user.name", purposes = ["support"] }
email = { type = "email", category = "user.contact.email", purposes = ["support", "newsletter"], lookup = true }

[collections.messages]
kind = "many"
retention = "P90D"
[collections.messages.fields]
text = { type = "text", category = "user.content", purposes = ["support"] }

[roles.bot]
purposes = ["support", "newsletter"]
read  = { "profile.*" = "full", "messages.*" = "full" }
write = ["profile.*", "messages.*"]
may   = ["subjects.create", "subjects.lookup", "consents.record"]

[roles.dpo]
may = ["subjects.lookup", "subjects.view", "subjects.erase"]
"#;

/// A running server over a fresh vault.
struct Running {
    _home: TempDir,
    paths: VaultPaths,
    address: SocketAddr,
    vault: Arc<Vault>,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or("none"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("ASCII")
    }
}

fn settings() -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    }
}

impl Running {
    fn start() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
        let created =
            LockedVault::create(&paths, settings(), &passphrase, POLICY).expect("a vault");
        let config = ServerConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            ..ServerConfig::default()
        };
        let app_settings = AppSettings {
            sweep_every: None,
            ..AppSettings::from(&config)
        };
        let vault = Arc::clone(&created.vault);
        let app = App::new(created.locked, Some(created.vault), app_settings);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async move {
                let server = Server::bind(&config, app).await.expect("loopback binds");
                tell.send(server.local_addr().expect("bound"))
                    .expect("the test listens");
                let shutdown = async {
                    let _ = stopped.await;
                };
                server.run(shutdown).await.expect("stops in order");
            });
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        Self {
            _home: home,
            paths,
            address: told.recv().expect("an address"),
            vault,
            agent,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn key(&self, role: &str) -> String {
        let principal = self.vault.keyholder();
        let call = Call {
            principal: &principal,
            purpose: None,
            restricted_use: None,
            id: CallId::from_bytes([1; 16]),
        };
        let made = self.vault.create_token(&call, role, None);
        made.expect("the keyholder makes keys").1
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = if matches!(method, "GET" | "DELETE") {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            self.agent
                .run(request.body(body.to_owned()).expect("a request"))
        };
        let (head, mut body) = response.expect("an answer").into_parts();
        let text = body.read_to_string().expect("text");
        let told: Vec<_> = head
            .headers
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_str().expect("ASCII").to_owned()))
            .collect();
        let checked = CONTRACT.check(&Answered {
            method,
            path,
            status: head.status.as_u16(),
            headers: &told,
            body: text.as_bytes(),
        });
        checked.expect("the contract describes this answer");
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_str(&text).expect("JSON"),
        }
    }

    /// A call with key, purpose and JSON.
    fn call(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(key, method, path, &[], body)
    }

    fn call_with(
        &self,
        key: &str,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let bearer = format!("Bearer {key}");
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("vault-purpose", "support"),
            ("content-type", "application/json"),
        ];
        headers.extend_from_slice(more);
        self.send(method, path, &headers, &body.to_string())
    }

    fn person(&self, bot: &str, user: &str) -> String {
        let body = json!({"channel": "web", "user": user});
        let made = self.call(bot, "POST", "/v1/subjects", body);
        assert_eq!(made.status, 201);
        made.body["subject"].as_str().expect("an id").to_owned()
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server stops in order");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

#[test]
fn checks_run_in_the_documented_order() {
    let server = Running::start();
    let (bot, dpo) = (server.key("bot"), server.key("dpo"));
    let nobody = "/v1/subjects/sub_00000000000000000000000000";
    let profile = format!("{nobody}/records/profile");
    // 400 before 401.
    let unsigned = server.send("GET", &profile, &[], "");
    assert_eq!(unsigned.code(), (400, "purpose_missing"));
    // 401 before everything that the vault knows.
    let unknown = server.call("vk_unknown", "GET", &profile, Value::Null);
    assert_eq!(unknown.code(), (401, "unauthenticated"));
    assert_eq!(unknown.header("www-authenticate"), "Bearer");
    // 403 capability before 404, and before 422.
    let denied = server.call(&bot, "DELETE", nobody, Value::Null);
    assert_eq!(denied.code(), (403, "role_denied"));
    let denied = server.call(&dpo, "POST", "/v1/subjects", json!({"wrong": 1}));
    assert_eq!(denied.code(), (403, "role_denied"));
    // 404 for a person who does not exist and for a text that is no id.
    for path in [nobody, "/v1/subjects/no-id"] {
        let missing = server.call(&dpo, "GET", path, Value::Null);
        assert_eq!(missing.code(), (404, "not_found"));
    }
    // 422 last, with the place.
    let wrong = server.call(
        &bot,
        "POST",
        "/v1/subjects",
        json!({"chanel": "web", "user": "1"}),
    );
    assert_eq!(wrong.code(), (422, "invalid"));
    let place = &wrong.body["errors"][0];
    assert_eq!(place["pointer"], "");
    let detail = place["detail"].as_str().expect("words");
    assert!(detail.contains("member 1 ") && !detail.contains("chanel"));
}

#[test]
fn a_revision_guards_a_record_against_the_second_writer() {
    let server = Running::start();
    let bot = server.key("bot");
    let path = format!("/v1/subjects/{}/records/profile", server.person(&bot, "1"));
    let empty = server.call(&bot, "GET", &path, Value::Null);
    assert_eq!((empty.status, &empty.body["fields"]), (200, &json!({})));
    let must_exist = [("if-match", "*")];
    let set = json!({"name": "Anna Invented"});
    let none = server.call_with(&bot, "PATCH", &path, &must_exist, set.clone());
    assert_eq!(none.code(), (412, "precondition_failed"));
    let first = server.call(&bot, "PATCH", &path, set);
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'));
    let read = server.call(&bot, "GET", &path, Value::Null);
    assert_eq!(read.header("etag"), etag);
    assert_eq!(read.body["fields"]["name"], "Anna Invented");
    let guard = [("if-match", etag.as_str())];
    let change = |name: &str| json!({"name": name});
    let second = server.call_with(&bot, "PATCH", &path, &guard, change("Berta Invented"));
    assert_eq!(second.status, 200);
    let late = server.call_with(&bot, "PATCH", &path, &guard, change("Cleo Invented"));
    assert_eq!(late.code(), (412, "precondition_failed"));
}

#[test]
fn a_repeated_key_appends_once_and_for_another_body_is_refused() {
    let server = Running::start();
    let bot = server.key("bot");
    let path = format!("/v1/subjects/{}/records/messages", server.person(&bot, "1"));
    let quoted = [("idempotency-key", "\"k1\"")];
    let bare = [("idempotency-key", "k1")];
    let first = server.call_with(&bot, "POST", &path, &quoted, json!({"text": "hello"}));
    let again = server.call_with(&bot, "POST", &path, &bare, json!({"text": "hello"}));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = server.call_with(&bot, "POST", &path, &bare, json!({"text": "bye"}));
    assert_eq!(other.code(), (409, "idempotency_mismatch"));
    let list = server.call(&bot, "GET", &path, Value::Null);
    assert_eq!(list.body["records"].as_array().map(Vec::len), Some(1));
}

#[test]
fn pages_hold_every_record_once_in_both_orders() {
    let server = Running::start();
    let bot = server.key("bot");
    let path = format!("/v1/subjects/{}/records/messages", server.person(&bot, "1"));
    let bodies: Vec<_> = (0..25).map(|n| json!({"text": format!("m{n}")})).collect();
    let made = server.call(&bot, "POST", &path, Value::Array(bodies));
    let mut expected = made.body["records"].as_array().expect("ids").clone();
    for order in ["oldest", "newest"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = format!("{path}?limit=10&order={order}{cursor}");
            let page = server.call(&bot, "GET", &page, Value::Null);
            let records = page.body["records"].as_array().expect("records");
            assert!((1..=10).contains(&records.len()));
            seen.extend(records.iter().map(|record| record["record"].clone()));
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{order}");
        expected.reverse();
    }
    for query in [
        "limit=0",
        "limit=1001",
        "order=best",
        "sort=asc",
        "limit=1&limit=2",
    ] {
        let wrong = server.call(&bot, "GET", &format!("{path}?{query}"), Value::Null);
        assert_eq!(wrong.code(), (422, "invalid"), "{query}");
    }
}

#[test]
fn an_erased_person_is_gone_and_no_remembered_answer_speaks_of_them() {
    let server = Running::start();
    let (bot, dpo) = (server.key("bot"), server.key("dpo"));
    let subject = server.person(&bot, "1");
    let person = format!("/v1/subjects/{subject}");
    let messages = format!("{person}/records/messages");
    let key = [("idempotency-key", "k1")];
    let body = json!({"text": "hello"});
    let first = server.call_with(&bot, "POST", &messages, &key, body.clone());
    assert_eq!(first.status, 201);
    let erased = server.call(&dpo, "DELETE", &person, Value::Null);
    assert_eq!(erased.status, 200);
    assert!(erased.body["receipt"].is_object());
    let after = server.call_with(&bot, "POST", &messages, &key, body);
    assert_eq!(after.code(), (410, "erased"));
    assert!(
        after.body["receipt"]
            .as_str()
            .is_some_and(|id| id.starts_with("rcp_"))
    );
}

#[test]
fn a_collection_is_written_in_the_way_of_its_kind() {
    let server = Running::start();
    let bot = server.key("bot");
    let person = format!("/v1/subjects/{}", server.person(&bot, "1"));
    let profile = format!("{person}/records/profile");
    let posted = server.call(&bot, "POST", &profile, json!({"name": "Anna"}));
    assert_eq!(posted.code(), (409, "conflict"));
    assert!(
        posted.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("PATCH"))
    );
    let messages = format!("{person}/records/messages");
    let patched = server.call(&bot, "PATCH", &messages, json!({"text": "x"}));
    assert_eq!(patched.code(), (409, "conflict"));
    let made = server.call(&bot, "POST", &messages, json!({"text": "x"}));
    let record = format!(
        "{messages}/{}",
        made.body["record"].as_str().expect("an id")
    );
    assert_eq!(
        server
            .call(&bot, "PATCH", &record, json!({"text": "y"}))
            .status,
        200
    );
    let read = server.call(&bot, "GET", &record, Value::Null);
    assert_eq!(read.body["fields"]["text"], "y");
    assert_eq!(
        server.call(&bot, "DELETE", &record, Value::Null).status,
        200
    );
    let gone = server.call(&bot, "GET", &record, Value::Null);
    assert_eq!(gone.code(), (404, "not_found"));
}

#[test]
fn consent_carries_a_purpose_until_it_is_withdrawn() {
    let server = Running::start();
    let bot = server.key("bot");
    let person = format!("/v1/subjects/{}", server.person(&bot, "1"));
    let profile = format!("{person}/records/profile");
    let consent = format!("{person}/consents/newsletter");
    let set = json!({"email": "anna@example.test"});
    assert_eq!(server.call(&bot, "PATCH", &profile, set).status, 200);
    let read = |server: &Running| {
        let bearer = format!("Bearer {bot}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("vault-purpose", "newsletter"),
        ];
        server.send("GET", &format!("{profile}?fields=email"), &headers, "")
    };
    assert_eq!(read(&server).code(), (403, "consent_required"));
    let given = server.call(
        &bot,
        "PUT",
        &consent,
        json!({"given": true, "notice": "v1"}),
    );
    assert_eq!((given.status, &given.body["state"]), (200, &json!("given")));
    assert_eq!(read(&server).body["fields"]["email"], "anna@example.test");
    assert_eq!(
        server.call(&bot, "DELETE", &consent, Value::Null).status,
        200
    );
    assert_eq!(read(&server).code(), (403, "consent_required"));
    let untyped = server.call(
        &bot,
        "PUT",
        &consent,
        json!({"given": "yes", "notice": "v1"}),
    );
    assert_eq!(untyped.code(), (422, "invalid"));
}

#[test]
fn a_locked_vault_opens_again_with_its_passphrase() {
    let server = Running::start();
    let operator = server.key("operator");
    assert_eq!(
        server.call(&operator, "POST", "/v1/lock", json!({})).status,
        200
    );
    let refused = server.call(&operator, "GET", "/v1/admin/policy", Value::Null);
    assert_eq!(refused.code(), (503, "locked"));
    let unlock = |text: &str| {
        let headers = [("content-type", "application/json")];
        server.send(
            "POST",
            "/v1/unlock",
            &headers,
            &json!({"passphrase": text}).to_string(),
        )
    };
    assert_eq!(unlock(PASSPHRASE).status, 200);
    let read = server.call(&operator, "GET", "/v1/admin/policy", Value::Null);
    assert_eq!(read.status, 200);
    assert_eq!(
        server.call(&operator, "POST", "/v1/lock", json!({})).status,
        200
    );
    assert_eq!(
        unlock("another passphrase").code(),
        (401, "unauthenticated")
    );
    let soon = unlock(PASSPHRASE);
    assert_eq!(soon.code(), (429, "rate_limited"));
    assert_eq!(soon.header("retry-after"), "1");
}

#[test]
fn a_stop_in_the_middle_of_writing_loses_no_acknowledged_write() {
    let mut server = Running::start();
    let bot = server.key("bot");
    let subject = server.person(&bot, "1");
    let url = format!(
        "http://{}/v1/subjects/{subject}/records/messages",
        server.address
    );
    let going = Arc::new(AtomicBool::new(true));
    let (tell, told) = std::sync::mpsc::channel();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (url, bot, going, tell) = (url.clone(), bot.clone(), going.clone(), tell.clone());
            std::thread::spawn(move || {
                let mut acknowledged = Vec::new();
                while going.load(Ordering::SeqCst) {
                    let sent = ureq::post(&url)
                        .header("authorization", format!("Bearer {bot}"))
                        .header("vault-purpose", "support")
                        .send_json(json!({"text": "hello"}));
                    let Ok(mut answer) = sent else { break };
                    let Ok(body) = answer.body_mut().read_json::<Value>() else {
                        break;
                    };
                    acknowledged.push(body["record"].as_str().expect("an id").to_owned());
                    let _ = tell.send(());
                }
                acknowledged
            })
        })
        .collect();
    // Stop while all are at it, not before.
    for _ in 0..20 {
        told.recv().expect("writes are acknowledged");
    }
    server.stop();
    going.store(false, Ordering::SeqCst);
    let acknowledged: Vec<_> = writers
        .into_iter()
        .flat_map(|writer| writer.join().expect("a writer ends"))
        .collect();
    assert!(acknowledged.len() >= 20);
    let locked = LockedVault::open(&server.paths, settings()).expect("the stop let it go");
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let vault = locked
        .unlock(&UnlockSecret::Passphrase(passphrase))
        .expect("opens");
    let principal = vault.authenticate(&bot).expect("the key still works");
    let call = Call {
        principal: &principal,
        purpose: Some("support"),
        restricted_use: None,
        id: CallId::from_bytes([2; 16]),
    };
    for record in acknowledged {
        vault
            .read_record(
                &call,
                subject.parse().expect("an id"),
                "messages",
                record.parse().expect("an id"),
                &vault_core::vault::ReadOptions::default(),
                |_| (),
            )
            .expect("an acknowledged write is there");
    }
}

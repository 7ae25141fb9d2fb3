//! Art. 19 over HTTP against a receiver on this machine: what recipients were given is noted, and each event
//! tells them once, signed, by names that no two share and without a value.
//!
//! Failure is a notice that is lost, sent to somebody else, sent where the configuration does not allow it, not
//! signed, or sent under another id at another try; and a value, or an id of a person, in what is sent. Time is
//! the test's.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;
use vault_core::clock::ManualClock;
use vault_core::entropy::SeededEntropy;
use vault_core::policy::SAMPLE;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, UnlockSecret, Vault, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, Recipients, router};

const KEY: [u8; 32] = [7; 32];
const PASSPHRASE: &str = "correct horse battery";
const EMAIL: &str = "canary.ann@example.test";
const DAY: i64 = 24 * 3_600_000;

/// What the receiver was sent.
struct Got {
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map_or("", |(_, value)| value)
    }

    /// As a receiver checks it, by the specification.
    fn signed(&self) -> bool {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&KEY).expect("any length");
        mac.update(self.header("webhook-id").as_bytes());
        mac.update(b".");
        mac.update(self.header("webhook-timestamp").as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let signature = self.header("webhook-signature").strip_prefix("v1,");
        let signature = signature.and_then(|text| BASE64.decode(text.as_bytes()).ok());
        signature.is_some_and(|signature| mac.verify_slice(&signature).is_ok())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A receiver that gives these answers, one a connection; with none it hangs up behind the message.
struct Sink {
    port: u16,
    got: Receiver<Got>,
    /// By this clock, if there is one, each answer takes half a minute.
    slow: Arc<OnceLock<Arc<ManualClock>>>,
}

impl Sink {
    fn on(listener: TcpListener, answers: Vec<String>) -> Self {
        let port = listener.local_addr().expect("bound").port();
        let (tell, got) = channel();
        let slow = Arc::new(OnceLock::<Arc<ManualClock>>::new());
        let clock = slow.clone();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a connection");
                let wait = Some(Duration::from_secs(10));
                stream.set_read_timeout(wait).expect("sets");
                let (mut bytes, mut byte) = (Vec::new(), [0; 1]);
                while !bytes.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).expect("a head");
                    bytes.push(byte[0]);
                }
                let head = String::from_utf8(bytes).expect("a head");
                let mut got = Got {
                    head,
                    body: Vec::new(),
                };
                let length = got.header("content-length").parse().expect("a length");
                got.body = vec![0; length];
                stream.read_exact(&mut got.body).expect("a body");
                if tell.send(got).is_err() {
                    return;
                }
                if let Some(clock) = clock.get() {
                    clock.advance(30_000);
                }
                stream.write_all(answer.as_bytes()).expect("writes");
            }
        });
        Self { port, got, slow }
    }

    fn with(answers: Vec<String>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("binds"), answers)
    }

    fn take(&self) -> Got {
        let wait = Duration::from_secs(10);
        self.got.recv_timeout(wait).expect("the receiver got it")
    }

    /// Everything so far.
    fn all(&self) -> Vec<Got> {
        self.got.try_iter().collect()
    }
}

fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

const ROLES: &str = r#"
[roles.giver]
purposes = ["support", "newsletter", "analytics"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "disclosures.record", "consents.record", "objections.record", "restrictions.set", "notices.record"]

[roles.officer]
may = ["requests.decide", "subjects.erase"]

[purposes.analytics]
title.en = "Counting"
title.de = "Zählen"
basis = "legitimate_interests"
retention = { after = "last_activity", period = "P2Y" }
recipients = ["counter"]
"#;

/// Three recipients: `carrier` and `mailer` at these addresses, and `counter` without one.
fn policy(carrier: &str, mailer: &str) -> String {
    let sample = SAMPLE
        .replacen("https://carrier.example.test/privacy", carrier, 1)
        .replacen(
            "direct_marketing = true",
            "direct_marketing = true\nrecipients = [\"mailer\"]",
            1,
        )
        .replacen(
            "purposes = [\"support\", \"newsletter\"], lookup",
            "purposes = [\"support\", \"newsletter\", \"analytics\"], lookup",
            1,
        );
    format!(
        "{sample}{ROLES}\n[recipients.mailer]\nname = \"Mailer S.A.\"\ncountry = \"FR\"\nwebhook = \"{mailer}\"\n\
         [recipients.counter]\nname = \"Counter Oy\"\ncountry = \"FI\"\n"
    )
}

struct Bench {
    home: tempfile::TempDir,
    restarts: u32,
    clock: Arc<ManualClock>,
    runtime: tokio::runtime::Runtime,
    app: App,
    vault: Arc<Vault>,
    recipients: Recipients,
    giver: String,
    officer: String,
}

fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    }
}

fn app(
    clock: &Arc<ManualClock>,
    recipients: &Recipients,
    locked: LockedVault,
    vault: Arc<Vault>,
) -> App {
    let settings = AppSettings {
        clock: clock.clone(),
        sweep_every: None,
        recipients: recipients.clone(),
        ..AppSettings::from(&ServerConfig::default())
    };
    App::new(locked, Some(vault), settings)
}

/// Secrets for these names, in a directory of the server's owner alone.
fn secrets(home: &std::path::Path, names: &[&str]) -> PathBuf {
    let dir = home.join("secrets");
    std::fs::create_dir(&dir).expect("makes");
    for name in names {
        let path = dir.join(name);
        std::fs::write(&path, format!("whsec_{}\n", BASE64.encode(&KEY))).expect("writes");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("sets");
    }
    dir
}

impl Bench {
    fn new(carrier: &str, mailer: &str, allow: &[String], names: &[&str], more: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
        let policy = policy(carrier, mailer);
        let created = LockedVault::create(&paths, settings(&clock), &passphrase, &policy)
            .unwrap_or_else(|error| panic!("{error}: {policy}"));
        let keyholder = created.vault.keyholder();
        let key = |role| {
            let made = created
                .vault
                .create_token(&Call::new(&keyholder), role, None);
            made.expect("a key").1
        };
        let dir = secrets(home.path(), names);
        let config = match allow {
            [] => String::new(),
            allow => format!(
                "[recipients]\nallow = {allow:?}\nsecret_dir = {:?}\n{more}",
                dir.display().to_string()
            ),
        };
        let config = ServerConfig::parse(&config, []).expect("fits");
        let recipients = Recipients::prepare(&config.recipients).expect("fits");
        let recipients = recipients.with_entropy(Box::new(SeededEntropy::new(5)));
        Self {
            giver: key("giver"),
            officer: key("officer"),
            app: app(&clock, &recipients, created.locked, created.vault.clone()),
            vault: created.vault,
            home,
            restarts: 0,
            clock,
            recipients,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// With both receivers where they may be told.
    fn to(carrier: &Sink, mailer: &Sink) -> Self {
        let url = |sink: &Sink| format!("http://localhost:{}/privacy", sink.port);
        let host = |sink: &Sink| format!("localhost:{}", sink.port);
        Self::new(
            &url(carrier),
            &url(mailer),
            &[host(carrier), host(mailer)],
            &["carrier", "mailer"],
            "",
        )
    }

    fn call(&self, bearer: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header("authorization", format!("Bearer {bearer}"))
            .header("vault-purpose", "support");
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
        };
        let request = request.expect("a request");
        let answer = self
            .runtime
            .block_on(router(self.app.clone()).oneshot(request));
        let answer = answer.expect("infallible");
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20);
        let body = self.runtime.block_on(body).expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn give(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(&self.giver, method, path, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    fn officer(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(&self.officer, method, path, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// A person whose data all three recipients were given; and the references.
    fn ann(&self) -> (String, Value) {
        let made = self.give(
            "POST",
            "subjects",
            &json!({"channel": "web", "user": "canary-user"}),
        );
        let ann = made["subject"].as_str().expect("an id").to_owned();
        let of = |path: &str| format!("subjects/{ann}/{path}");
        let profile = json!({"name": "Canary Ann", "email": EMAIL, "phone": "+31612345678"});
        self.give("PATCH", &of("records/profile"), &profile);
        self.give(
            "PUT",
            &of("consents/newsletter"),
            &json!({"given": true, "notice": "n1"}),
        );
        let mut references = json!({});
        for (recipient, purpose, fields) in [
            (
                "carrier",
                "support",
                json!(["profile.email", "profile.name"]),
            ),
            ("mailer", "newsletter", json!(["profile.email"])),
            ("counter", "analytics", json!(["profile.email"])),
        ] {
            let body = json!({"recipient": recipient, "purpose": purpose, "fields": fields});
            let made = self.give("POST", &of("disclosures"), &body);
            assert_eq!(made["fields"], fields);
            assert!(
                made["disclosure"]
                    .as_str()
                    .is_some_and(|id| id.starts_with("dis_"))
            );
            references[recipient] = made["reference"].clone();
        }
        (ann, references)
    }

    /// One look of the server's own.
    fn pass(&self) {
        self.runtime.block_on(self.app.tell_recipients());
    }

    fn notices(&self, query: &str) -> Vec<Value> {
        let page = self.officer(
            "GET",
            &format!("admin/recipient-notices{query}"),
            &Value::Null,
        );
        page["notices"].as_array().expect("a list").clone()
    }

    fn states(&self, recipient: &str) -> Vec<String> {
        let all = self.notices("");
        let of = all.iter().filter(|one| one["recipient"] == recipient);
        of.map(|one| one["state"].as_str().expect("a word").to_owned())
            .collect()
    }

    /// As if the process had been killed and started anew.
    fn restart(&mut self) {
        self.vault.close();
        let closed = Recipients::default();
        let paths = VaultPaths::beside(&self.home.path().join("vault"));
        // The old one lets go of the directory first.
        self.restarts += 1;
        let name = format!("other{}", self.restarts);
        let placeholder = VaultPaths::beside(&self.home.path().join(name));
        let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
        let other = LockedVault::create(&placeholder, settings(&self.clock), &passphrase, SAMPLE);
        let other = other.expect("a vault");
        self.app = app(&self.clock, &closed, other.locked, other.vault);
        let locked = LockedVault::open(&paths, settings(&self.clock)).expect("opens");
        let secret = UnlockSecret::Passphrase(Passphrase::new(PASSPHRASE.into()).expect("fits"));
        self.vault = locked.unlock(&secret).expect("opens");
        self.app = app(&self.clock, &self.recipients, locked, self.vault.clone());
    }

    fn no_canary(&self, got: &[Got], ann: &str) {
        for one in got {
            let text = format!("{}{}", one.head, String::from_utf8_lossy(&one.body));
            for secret in [
                "canary",
                "Canary",
                "31612345678",
                ann,
                &self.giver,
                &self.officer,
            ] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }
}

#[test]
fn art_19_every_event_is_told_once_signed_by_the_recipients_own_name_and_without_a_value() {
    let fine = || vec![answer(204, ""); 12];
    let (carrier, mailer) = (Sink::with(fine()), Sink::with(fine()));
    let bench = Bench::to(&carrier, &mailer);
    let (ann, references) = bench.ann();
    let of = |path: &str| format!("subjects/{ann}/{path}");
    let none = Value::Null;
    bench.pass();
    assert!(carrier.all().is_empty(), "nothing happened yet");
    bench.give(
        "PATCH",
        &of("records/profile"),
        &json!({"name": "Canary Anne"}),
    );
    bench.pass();
    // More of that may follow, for a minute; what comes behind it ends the wait.
    assert!(carrier.all().is_empty());
    bench.give("PUT", &of("restriction"), &json!({"ground": "18.1.a"}));
    bench.pass();
    let lift = json!({"about": "restriction_lift", "lang": "en", "sha256": "00".repeat(32)});
    bench.give("POST", &of("notices"), &lift);
    bench.give("DELETE", &of("restriction"), &none);
    bench.pass();
    bench.give("PUT", &of("objections/newsletter"), &json!({}));
    bench.pass();
    bench.give("DELETE", &of("objections/newsletter"), &none);
    bench.give("DELETE", &of("consents/newsletter"), &none);
    bench.pass();
    let receipt = bench.officer("DELETE", &format!("subjects/{ann}"), &none);
    assert_eq!(receipt["receipt"]["body"]["recipients"], 3);
    bench.pass();
    // Whoever looks again sends nothing again.
    bench.pass();
    let (carrier, mailer) = (carrier.all(), mailer.all());
    let kinds = |got: &[Got]| {
        let kinds = got
            .iter()
            .map(|one| one.json()["subject_request_type"].clone());
        Value::Array(kinds.collect())
    };
    assert_eq!(
        kinds(&carrier),
        json!([
            "rectification",
            "restriction",
            "restriction_lifted",
            "erasure"
        ])
    );
    assert_eq!(
        kinds(&mailer),
        json!([
            "restriction",
            "restriction_lifted",
            "objection",
            "withdrawal",
            "erasure"
        ])
    );
    for (got, name, purpose) in [
        (&carrier, "carrier", "support"),
        (&mailer, "mailer", "newsletter"),
    ] {
        bench.no_canary(got, &ann);
        for one in got {
            assert!(one.signed());
            let body = one.json();
            assert_eq!(body["regulation"], "gdpr");
            assert_eq!(body["subject_request_id"], one.header("webhook-id"));
            assert_eq!(
                body["subject_identities"],
                json!([{"identity_type": "controller_customer_id", "identity_format": "raw",
                    "identity_value": references[name], "purpose": purpose}])
            );
            assert!(body["submitted_time"].as_str().is_some());
        }
    }
    let body = carrier[0].json();
    assert_eq!(body["fields"], json!(["profile.name"]));
    let forged = Got {
        head: carrier[0].head.clone(),
        body: b"{}".to_vec(),
    };
    assert!(!forged.signed());
    assert_ne!(references["carrier"], references["mailer"]);
    // No webhook: somebody has to tell them.
    assert_eq!(bench.states("counter"), ["manual"; 3]);
    assert_eq!(bench.states("carrier"), ["delivered"; 4]);
    let metrics = bench.app.metrics_text();
    assert!(
        metrics.contains("vault_recipient_notices{state=\"manual\"} 3"),
        "{metrics}"
    );
}

#[test]
fn art_19_a_receiver_that_fails_is_told_later_under_the_same_id_also_after_a_restart() {
    let hangs_up = String::new();
    let answers = vec![
        answer(500, ""),
        hangs_up,
        answer(200, "{\"status\": \"in_progress\"}"),
    ];
    let gone = vec![answer(410, ""), answer(200, "")];
    let (carrier, mailer) = (Sink::with(answers), Sink::with(gone));
    let mut bench = Bench::to(&carrier, &mailer);
    let (ann, _) = bench.ann();
    bench.officer("DELETE", &format!("subjects/{ann}"), &Value::Null);
    bench.pass();
    let first = carrier.take();
    assert_eq!(bench.states("carrier"), ["failed"]);
    assert_eq!(
        bench.states("mailer"),
        ["failed"],
        "410: nobody listens there, which is no word of the person"
    );
    // The wait is not over, whoever looks, and whoever restarts.
    bench.restart();
    bench.pass();
    assert!(carrier.all().is_empty());
    bench.clock.advance(5_000);
    bench.pass();
    let second = carrier.take();
    assert_eq!(
        bench.states("carrier"),
        ["failed"],
        "it was taken, and we were not told"
    );
    assert_eq!(bench.states("mailer"), ["delivered"], "somebody does again");
    bench.clock.advance(3_600_000);
    bench.restart();
    bench.pass();
    let third = carrier.take();
    assert_eq!(bench.states("carrier"), ["acknowledged"]);
    for one in [&second, &third] {
        assert!(one.signed());
        assert_eq!(one.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(one.body, first.body);
    }
    assert_ne!(
        second.header("webhook-timestamp"),
        first.header("webhook-timestamp")
    );
    // Somebody says that it is done; the day is over; nothing is left.
    let id = first.header("webhook-id").to_owned();
    let done = bench.officer(
        "POST",
        &format!("admin/recipient-notices/{id}/complete"),
        &json!({}),
    );
    assert_eq!(done["state"], "completed");
    let counter = bench.notices("?state=manual");
    let path = format!(
        "admin/recipient-notices/{}",
        counter[0]["id"].as_str().unwrap()
    );
    let (status, _) = bench.call(
        &bench.officer,
        "POST",
        &format!("{path}/impossible"),
        &json!({}),
    );
    assert_eq!(status, 422, "why");
    let (status, refused) = bench.call(&bench.giver, "POST", &format!("{path}/retry"), &json!({}));
    assert_eq!((status, &refused["code"]), (403, &json!("role_denied")));
    bench.officer(
        "POST",
        &format!("{path}/impossible"),
        &json!({"reason": "wound up"}),
    );
    bench.clock.advance(DAY);
    while bench
        .vault
        .sweep(vault_core::vault::Sweep::Due)
        .expect("sweeps")
    {}
    assert!(bench.notices("").is_empty());
}

#[test]
fn art_32_nothing_goes_to_a_host_that_the_configuration_does_not_name() {
    let (carrier, mailer) = (
        Sink::with(vec![answer(200, "")]),
        Sink::with(vec![answer(200, "")]),
    );
    let url = |sink: &Sink, path: &str| format!("http://localhost:{}{path}", sink.port);
    // The mailer's port alone is named; its secret is missing.
    let allow = [format!("localhost:{}", mailer.port)];
    let bench = Bench::new(
        &url(&carrier, "/x"),
        &url(&mailer, "/x"),
        &allow,
        &["carrier"],
        "",
    );
    let (ann, _) = bench.ann();
    bench.officer("DELETE", &format!("subjects/{ann}"), &Value::Null);
    bench.pass();
    assert!(carrier.all().is_empty() && mailer.all().is_empty());
    assert_eq!(
        (bench.states("carrier"), bench.states("mailer")),
        (vec!["queued".into()], vec!["queued".into()])
    );
    let status = bench.officer("GET", "status", &Value::Null);
    assert_eq!(
        status["recipient_notices"]["held_back"],
        json!({"not_allowed": 1, "no_secret": 1})
    );
    let metrics = bench.app.metrics_text();
    assert!(
        metrics.contains("vault_recipient_notices_held_back{reason=\"not_allowed\"} 1"),
        "{metrics}"
    );
    // With an empty list nothing leaves, and the status says so.
    let bench = Bench::new(&url(&carrier, "/x"), &url(&mailer, "/x"), &[], &[], "");
    let (ann, _) = bench.ann();
    bench.officer("DELETE", &format!("subjects/{ann}"), &Value::Null);
    bench.pass();
    assert!(carrier.all().is_empty() && mailer.all().is_empty());
    let status = bench.officer("GET", "status", &Value::Null);
    assert_eq!(status["recipient_notices"]["allowed"], false);
    assert_eq!(
        status["recipient_notices"]["held_back"],
        json!({"not_allowed": 2})
    );
}

/// Whoever writes the policy names an address inside, and the operator has named it as well: still nothing is
/// connected to but what the kind of URL may lead to.
#[test]
fn art_32_a_name_that_leads_inside_is_not_connected_to_and_no_redirect_is_followed() {
    let allow = |hosts: &[&str]| hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let hosts = allow(&["169.254.169.254", "10.255.255.1:8443"]);
    let names = ["carrier", "mailer"];
    for (more, expected) in [("", [1, 1]), ("private = true\n", [1, 0])] {
        let metadata = "https://169.254.169.254/latest/meta-data";
        let inside = "https://10.255.255.1:8443/x";
        // Where the second may be connected to nobody would answer: it is not tried here.
        let mailer = if more.is_empty() { inside } else { metadata };
        let bench = Bench::new(metadata, mailer, &hosts, &names, more);
        let (ann, _) = bench.ann();
        bench.officer("DELETE", &format!("subjects/{ann}"), &Value::Null);
        bench.pass();
        let failed = bench.notices("?state=failed");
        let why: Vec<_> = failed
            .iter()
            .map(|one| one["reason"].as_str().unwrap())
            .collect();
        assert_eq!(
            why, ["its name leads to an address that is not allowed"; 2],
            "{expected:?}"
        );
    }
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = elsewhere.local_addr().expect("bound").port();
    let redirect = format!(
        "HTTP/1.1 307 X\r\nLocation: http://localhost:{port}/\r\nContent-Length: 0\r\n\r\n"
    );
    let (carrier, mailer) = (
        Sink::with(vec![redirect]),
        Sink::with(vec![answer(200, "")]),
    );
    let bench = Bench::to(&carrier, &mailer);
    let (ann, _) = bench.ann();
    bench.officer("DELETE", &format!("subjects/{ann}"), &Value::Null);
    bench.pass();
    assert_eq!(bench.states("carrier"), ["failed"]);
    elsewhere.set_nonblocking(true).expect("sets");
    assert!(elsewhere.accept().is_err(), "nobody came");
}

#[test]
fn art_18_a_restriction_that_was_not_taken_is_told_before_its_end() {
    let answers = vec![answer(500, ""), answer(204, ""), answer(204, "")];
    let fine = vec![answer(204, ""), answer(204, "")];
    let (carrier, mailer) = (Sink::with(answers), Sink::with(fine));
    let bench = Bench::to(&carrier, &mailer);
    let (ann, _) = bench.ann();
    let of = |path: &str| format!("subjects/{ann}/{path}");
    let kinds = |sink: &Sink| {
        let got = sink.all();
        let got = got.iter().map(Got::json);
        got.map(|body| body["subject_request_type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    bench.give("PUT", &of("restriction"), &json!({"ground": "18.1.a"}));
    bench.pass();
    assert_eq!(kinds(&carrier), ["restriction"]);
    let lift = json!({"about": "restriction_lift", "lang": "en", "sha256": "00".repeat(32)});
    bench.give("POST", &of("notices"), &lift);
    bench.give("DELETE", &of("restriction"), &Value::Null);
    bench.pass();
    assert_eq!(kinds(&carrier), [] as [&str; 0]);
    assert_eq!(kinds(&mailer), ["restriction", "restriction_lifted"]);
    bench.clock.advance(5_000);
    bench.pass();
    assert_eq!(kinds(&carrier), ["restriction", "restriction_lifted"]);
    assert_eq!(bench.states("carrier"), ["delivered"; 2]);
}

#[test]
fn art_19_a_recipient_who_is_slow_has_its_time_in_each_look_and_no_more() {
    let fine = || vec![answer(204, ""), answer(204, "")];
    let (carrier, mailer) = (Sink::with(fine()), Sink::with(fine()));
    let bench = Bench::to(&carrier, &mailer);
    let (ann, _) = bench.ann();
    let of = |path: &str| format!("subjects/{ann}/{path}");
    bench.give("PUT", &of("restriction"), &json!({"ground": "18.1.a"}));
    let lift = json!({"about": "restriction_lift", "lang": "en", "sha256": "00".repeat(32)});
    bench.give("POST", &of("notices"), &lift);
    bench.give("DELETE", &of("restriction"), &Value::Null);
    assert!(carrier.slow.set(bench.clock.clone()).is_ok());
    // The other's answers come at once, but by the same clock: each has had its time after one.
    bench.pass();
    assert_eq!(carrier.all().len(), 1);
    let one = ["delivered", "queued"];
    assert_eq!(bench.states("carrier"), one);
    bench.pass();
    assert_eq!(carrier.all().len(), 1, "the rest in the next look");
    assert_eq!(bench.states("carrier"), ["delivered"; 2]);
    assert_eq!(bench.states("mailer"), ["delivered"; 2]);
}

#[test]
fn art_19_what_nobody_takes_is_given_up_in_sight_and_can_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let mailer = Sink::with(vec![answer(200, "")]);
    let down = format!("http://localhost:{}/x", address.port());
    let allow = [format!("localhost:{}", address.port())];
    let bench = Bench::new(
        &down,
        &format!("http://localhost:{}/x", mailer.port),
        &allow,
        &["carrier"],
        "",
    );
    let (ann, _) = bench.ann();
    bench.officer("DELETE", &format!("subjects/{ann}"), &Value::Null);
    for _ in 0..28 {
        bench.pass();
        bench.clock.advance(DAY);
        while bench
            .vault
            .sweep(vault_core::vault::Sweep::Due)
            .expect("sweeps")
        {}
    }
    assert_eq!(bench.states("carrier"), ["dead"]);
    bench.pass();
    let metrics = bench.app.metrics_text();
    assert!(
        metrics.contains("vault_recipient_notices{state=\"dead\"} 3"),
        "{metrics}"
    );
    let dead = bench.notices("?state=dead");
    assert!(dead.iter().any(|one| one["tries"].as_u64() > Some(20)));
    // Somebody asks for one more try; the next time there is somebody to take it.
    let carriers = dead.iter().find(|one| one["recipient"] == "carrier");
    let (id, tries) = (&carriers.unwrap()["id"], &carriers.unwrap()["tries"]);
    let retry = format!("admin/recipient-notices/{}/retry", id.as_str().unwrap());
    bench.officer("POST", &retry, &json!({}));
    bench.pass();
    let dead = bench.notices("?state=dead");
    let again = dead
        .iter()
        .find(|one| one["id"] == *id)
        .expect("dead again");
    assert_eq!(
        again["tries"].as_u64(),
        tries.as_u64().map(|tries| tries + 1)
    );
    bench.clock.advance(DAY / 2);
    bench.pass();
    let back = TcpListener::bind(address).expect("binds");
    let back = Sink::on(back, vec![answer(200, "")]);
    bench.officer("POST", &retry, &json!({}));
    bench.pass();
    assert_eq!(back.take().header("webhook-id"), id.as_str().unwrap());
    assert_eq!(bench.states("carrier"), ["delivered"]);
    bench.clock.advance(2 * DAY);
    while bench
        .vault
        .sweep(vault_core::vault::Sweep::Due)
        .expect("sweeps")
    {}
    assert!(
        bench.notices("").is_empty(),
        "after thirty days, whatever became of it"
    );
}

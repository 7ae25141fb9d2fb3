//! Webhooks against a receiver on this machine that speaks TLS and keeps all that it gets.
//!
//! Failure is a message that is lost in silence, not signed, told to somebody else or sent along to where
//! a redirect points; and a value, or an id of a person, in what is sent. Time is the test's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig as TlsServer, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tower::ServiceExt;
use vault_core::clock::{Clock, ManualClock};
use vault_core::entropy::SeededEntropy;
use vault_core::policy::SAMPLE;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::webhook::{Address, Secret, TRIES_MAX, Target, Webhook, WebhookFigures};
use vault_server::{App, AppSettings, router};

const KEY: [u8; 32] = [7; 32];
const CANARY: &str = "canary.lena@example.test";

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
}

/// A receiver that gives these answers, one a connection, and ends with the last.
struct Sink {
    address: SocketAddr,
    got: Receiver<Got>,
    roots: RootCertStore,
    thread: std::thread::JoinHandle<()>,
}

fn serve(listener: &TcpListener, tls: &Arc<TlsServer>, answers: &[String], told: &Sender<Got>) {
    for answer in answers {
        let (stream, _) = listener.accept().expect("a connection");
        let wait = Some(Duration::from_secs(10));
        stream.set_read_timeout(wait).expect("sets");
        let connection = ServerConnection::new(tls.clone()).expect("a connection");
        let mut stream = StreamOwned::new(connection, stream);
        let mut bytes = Vec::new();
        let mut byte = [0; 1];
        while !bytes.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                // A client that does not trust us is gone.
                _ => return,
            }
        }
        let head = String::from_utf8(bytes).expect("a head");
        let mut got = Got {
            head,
            body: Vec::new(),
        };
        let length = got.header("content-length").parse().expect("a length");
        got.body = vec![0; length];
        stream.read_exact(&mut got.body).expect("a body");
        told.send(got).expect("the test listens");
        stream.write_all(answer.as_bytes()).expect("writes");
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")
}

impl Sink {
    fn on(listener: TcpListener, answers: Vec<String>) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("fits");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a root");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("fits");
        let cert = params.signed_by(&key, &issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsServer::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(
                vec![cert.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a pair");
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).expect("a root");
        let (tell, got) = channel();
        let address = listener.local_addr().expect("bound");
        let tls = Arc::new(tls);
        let thread = std::thread::spawn(move || serve(&listener, &tls, &answers, &tell));
        Self {
            address,
            got,
            roots,
            thread,
        }
    }

    fn with(answers: Vec<String>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("binds"), answers)
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/hooks?a=b", self.address.port())
    }

    fn take(&self) -> Got {
        let wait = Duration::from_secs(10);
        self.got.recv_timeout(wait).expect("the receiver got it")
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    webhook: Webhook,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn to(url: &str, roots: RootCertStore) -> Self {
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let secret = format!("whsec_{}", BASE64.encode(&KEY));
        let secret = Secret::parse(&secret).expect("a secret");
        let target = Target::new(Address::parse(url, false).expect("a URL"), secret, roots);
        let entropy = Box::new(SeededEntropy::new(3));
        Self {
            webhook: Webhook::new(target, clock.clone(), entropy),
            clock,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    fn send(&self) {
        assert!(
            self.webhook
                .send("test.sent", self.clock.now(), &json!({"n": 1}))
        );
    }

    fn pass(&self) -> WebhookFigures {
        self.runtime.block_on(self.webhook.pass());
        self.webhook.figures()
    }
}

fn figures(delivered: u64, failed: u64, dead: u64, waiting: u64) -> WebhookFigures {
    WebhookFigures {
        delivered,
        failed,
        dead,
        waiting,
    }
}

#[test]
fn a_message_is_delivered_once_signed_and_told_again_after_a_500_with_the_same_id() {
    let sink = Sink::with(vec![answer(500), answer(204)]);
    let bench = Bench::to(&sink.url(), sink.roots.clone());
    bench.send();
    assert_eq!(bench.pass(), figures(0, 1, 0, 1));
    let first = sink.take();
    assert!(first.head.starts_with("POST /hooks?a=b HTTP/1.1\r\n"));
    assert!(first.signed());
    // The wait is not over, whoever looks.
    assert_eq!(bench.pass(), figures(0, 1, 0, 1));
    bench.clock.advance(5_000);
    assert_eq!(bench.pass(), figures(1, 1, 0, 0));
    let second = sink.take();
    assert!(second.signed());
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(second.header("webhook-timestamp"), "1800000005");
    assert_ne!(
        second.header("webhook-signature"),
        first.header("webhook-signature")
    );
    assert_eq!(second.body, first.body);
    let body: Value = serde_json::from_slice(&second.body).expect("JSON");
    assert_eq!(
        body,
        json!({"type": "test.sent", "timestamp": "2027-01-15T08:00:00Z", "data": {"n": 1}})
    );
    // The nearest violation: the same with another body is not what was signed.
    let forged = Got {
        head: second.head,
        body: b"{}".to_vec(),
    };
    assert!(!forged.signed());
    sink.thread.join().expect("ended");
}

#[test]
fn a_receiver_that_is_down_is_told_when_it_is_up_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("bound");
    let url = format!("https://localhost:{}/", address.port());
    drop(listener);
    // The sink is not up yet; its root is known when it is.
    let bound = || TcpListener::bind(address).expect("the port is free again");
    let sink_of = |listener| Sink::on(listener, vec![answer(200)]);
    let placeholder = RootCertStore::empty();
    let down = Bench::to(&url, placeholder);
    down.send();
    assert_eq!(down.pass(), figures(0, 1, 0, 1));
    let sink = sink_of(bound());
    // Nor does it talk to one whom nobody vouches for.
    down.clock.advance(5_000);
    assert_eq!(down.pass(), figures(0, 2, 0, 1));
    assert!(sink.got.try_recv().is_err());
    sink.thread.join().expect("ended");
    let sink = sink_of(bound());
    let bench = Bench::to(&url, sink.roots.clone());
    bench.send();
    assert_eq!(bench.pass(), figures(1, 0, 0, 0));
    assert!(sink.take().signed());
    // The certificate is for `localhost` and not for its address.
    let sink = Sink::with(vec![answer(200)]);
    let by_address = format!("https://127.0.0.1:{}/", sink.address.port());
    let bench = Bench::to(&by_address, sink.roots.clone());
    bench.send();
    assert_eq!(bench.pass(), figures(0, 1, 0, 1));
    assert!(sink.got.try_recv().is_err());
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = elsewhere.local_addr().expect("bound").port();
    let redirects = [301, 302, 307, 308].map(|status| {
        format!(
            "HTTP/1.1 {status} X\r\nLocation: http://localhost:{port}/\r\nContent-Length: 0\r\n\r\n"
        )
    });
    let sink = Sink::with(redirects.to_vec());
    let bench = Bench::to(&sink.url(), sink.roots.clone());
    bench.send();
    for failed in 1..=4 {
        assert_eq!(bench.pass(), figures(0, failed, 0, 1));
        assert!(sink.take().signed());
        bench.clock.advance(3_600_000);
    }
    elsewhere.set_nonblocking(true).expect("sets");
    assert!(elsewhere.accept().is_err(), "nobody came");
    sink.thread.join().expect("ended");
}

#[test]
fn what_nobody_takes_is_given_up_in_the_end_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().expect("bound").port()
    );
    drop(listener);
    let bench = Bench::to(&url, RootCertStore::empty());
    bench.send();
    for tries in 1..u64::from(TRIES_MAX) {
        assert_eq!(bench.pass(), figures(0, tries, 0, 1));
        bench.clock.advance(7_200_000);
    }
    let last = u64::from(TRIES_MAX);
    assert_eq!(bench.pass(), figures(0, last, 1, 0));
    bench.clock.advance(
        SignedDuration::from_hours(100)
            .as_millis()
            .try_into()
            .expect("fits"),
    );
    assert_eq!(bench.pass(), figures(0, last, 1, 0));
}

const HONEY: &str = r#"
[honey.people.lena]
channel = "web"
user = "canary-user"
[honey.people.lena.values]
profile = { name = "Canary Lena", email = "canary.lena@example.test" }
"#;

#[test]
fn whoever_meets_one_who_does_not_exist_is_told_of_without_a_value_and_is_answered_first() {
    let sink = Sink::with(vec![answer(200)]);
    let bench = Bench::to(&sink.url(), sink.roots.clone());
    let home = tempfile::tempdir().expect("a directory");
    let paths = VaultPaths::beside(&home.path().join("vault"));
    let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(bench.clock.clone())
    };
    let policy = format!("{SAMPLE}{HONEY}");
    let created = LockedVault::create(&paths, settings, &passphrase, &policy).expect("a vault");
    let vault = Arc::clone(&created.vault);
    let keyholder = vault.keyholder();
    let made = vault.create_token(&Call::new(&keyholder), "bot", None);
    let (token, key) = made.expect("a key");
    let settings = AppSettings {
        clock: bench.clock.clone(),
        sweep_every: None,
        alarm: Some(bench.webhook.clone()),
        ..AppSettings::from(&ServerConfig::default())
    };
    let app = App::new(created.locked, Some(created.vault), settings);
    let look = |by: Value| {
        let request = Request::post("/v1/subjects/lookup")
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Body::from(by.to_string()))
            .expect("a request");
        let answer = bench.runtime.block_on(router(app.clone()).oneshot(request));
        let answer = answer.expect("infallible");
        let request = answer.headers()["request-id"]
            .to_str()
            .expect("ASCII")
            .to_owned();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20);
        let body = bench.runtime.block_on(body).expect("a body");
        (
            request,
            serde_json::from_slice::<Value>(&body).expect("JSON"),
        )
    };
    // The control: nobody is told of a look-up that met nobody.
    look(json!({"channel": "web", "user": "somebody else"}));
    assert_eq!(bench.webhook.figures(), figures(0, 0, 0, 0));
    let (request, found) = look(json!({"field": "profile.email", "value": CANARY}));
    let subject = found["subject"].as_str().expect("an answer as for anybody");
    // Nothing was sent before the answer.
    assert_eq!(bench.webhook.figures(), figures(0, 0, 0, 1));
    assert!(sink.got.try_recv().is_err());
    // Who goes on is told of once a minute.
    look(json!({"channel": "web", "user": "canary-user"}));
    assert_eq!(bench.webhook.figures(), figures(0, 0, 0, 1));
    assert_eq!(bench.pass(), figures(1, 0, 0, 0));
    let got = sink.take();
    assert!(got.signed());
    let text = format!("{}{}", got.head, String::from_utf8_lossy(&got.body));
    for secret in ["canary", "Canary", subject, &key] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let body: Value = serde_json::from_slice(&got.body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "type": "vault.honey.accessed",
            "timestamp": bench.clock.now().to_string(),
            "data": {
                "person": "lena", "action": "subjects.lookup", "outcome": "ok", "purpose": null,
                "role": "bot", "token": token.token.to_string(), "request": request,
            },
        })
    );
    assert_eq!(vault.honey_accesses(), 2);
    bench.clock.advance(60_000);
    look(json!({"channel": "web", "user": "canary-user"}));
    assert_eq!(bench.webhook.figures(), figures(1, 0, 0, 1));
}

const EMERGENCY: &str = r#"
[breakglass]
purpose = "support"
read = { "profile.*" = "full" }
[roles.nurse]
may = ["breakglass.request"]
[roles.chief]
may = ["breakglass.approve"]
"#;

/// Loud: every step that is taken is told; who tries again and again is told of once a minute.
#[test]
fn every_step_of_emergency_access_is_told_without_a_reason_and_without_a_person() {
    let sink = Sink::with((0..4).map(|_| answer(200)).collect());
    let bench = Bench::to(&sink.url(), sink.roots.clone());
    let home = tempfile::tempdir().expect("a directory");
    let paths = VaultPaths::beside(&home.path().join("vault"));
    let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(bench.clock.clone())
    };
    let policy = format!("{SAMPLE}{EMERGENCY}");
    let created = LockedVault::create(&paths, settings, &passphrase, &policy).expect("a vault");
    let vault = Arc::clone(&created.vault);
    let keyholder = vault.keyholder();
    let keys = ["bot", "nurse", "chief"].map(|role| {
        let made = vault.create_token(&Call::new(&keyholder), role, None);
        made.expect("a key").1
    });
    let settings = AppSettings {
        clock: bench.clock.clone(),
        sweep_every: None,
        alarm: Some(bench.webhook.clone()),
        ..AppSettings::from(&ServerConfig::default())
    };
    let app = App::new(created.locked, Some(created.vault), settings);
    let post = |key: &str, path: &str, body: Value| {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let answer = bench.runtime.block_on(router(app.clone()).oneshot(request));
        let body = axum::body::to_bytes(answer.expect("infallible").into_body(), 1 << 20);
        let body = bench.runtime.block_on(body).expect("a body");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    };
    let made = post(
        &keys[0],
        "/v1/subjects",
        json!({"channel": "web", "user": "u"}),
    );
    let subject = made["subject"].as_str().expect("an id");
    let path = format!("/v1/subjects/{subject}/emergencies");
    let reason = json!({"reason": "canary waits", "fields": ["profile.name"]});
    let asked = post(&keys[1], &path, reason.clone());
    let emergency = asked["emergency"].as_str().expect("an id");
    assert_eq!(bench.webhook.figures(), figures(0, 0, 0, 1));
    let approve = format!("{path}/{emergency}/approve");
    // Twice refused, once told.
    post(&keys[1], &approve, Value::Null);
    post(&keys[1], &approve, Value::Null);
    assert_eq!(bench.webhook.figures(), figures(0, 0, 0, 2));
    post(&keys[2], &approve, Value::Null);
    post(
        &keys[1],
        &format!("{path}/{emergency}/session"),
        Value::Null,
    );
    assert_eq!(bench.webhook.figures(), figures(0, 0, 0, 4));
    assert_eq!(bench.pass(), figures(4, 0, 0, 0));
    let mut told = Vec::new();
    for _ in 0..4 {
        let got = sink.take();
        assert!(got.signed());
        let text = format!("{}{}", got.head, String::from_utf8_lossy(&got.body));
        for secret in ["canary", subject, "vs_", &keys[1]] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let body: Value = serde_json::from_slice(&got.body).expect("JSON");
        let word = |name: &str| body["data"][name].as_str().expect("a word").to_owned();
        // Whoever may not approve anything was refused before anybody looked whether there is such an emergency.
        let named = body["data"]["emergency"].as_str();
        let looked = word("outcome") != "role_denied";
        assert_eq!(named, looked.then_some(emergency));
        let kind = body["type"].as_str().expect("a type").to_owned();
        told.push(format!("{kind} {} {}", word("role"), word("outcome")));
    }
    told.sort();
    assert_eq!(
        told,
        [
            "vault.breakglass.approved chief ok",
            "vault.breakglass.approved nurse role_denied",
            "vault.breakglass.requested nurse ok",
            "vault.breakglass.used nurse ok",
        ]
    );
}

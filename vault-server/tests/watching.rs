//! What a running server shows of itself: metrics, log, and the files that watch them.
//!
//! Failure is anything personal that is shown, a refusal that is counted twice or not at all, or a
//! name that dashboard, alerts or documentation use and the server does not have. How long a call
//! takes is not. Every person is invented.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use vault_core::clock::SystemClock;
use vault_core::id::CallId;
use vault_core::jobs::JobKind;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, Vault, VaultPaths};
use vault_server::config::{BackupConfig, LogFormat, ServerConfig};
use vault_server::{App, AppSettings, Limits, Server, logging};

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
birth = { type = "date",  category = "user.demographic.date_of_birth", purposes = ["support"] }

[roles.bot]
purposes = ["support", "newsletter"]
read  = { "profile.*" = "full" }
write = ["profile.*"]
ask   = ["profile.birth.age_at_least"]
may   = ["subjects.create", "subjects.lookup", "sessions.create", "consents.record"]

[roles.dpo]
may = ["subjects.lookup", "subjects.view", "subjects.erase", "vault.lock"]
"#;

struct Running {
    _home: TempDir,
    address: SocketAddr,
    metrics: SocketAddr,
    vault: Arc<Vault>,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    text: String,
}

impl Answer {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        body["code"].as_str().unwrap_or("none").to_owned()
    }

    fn header(&self, name: &str) -> &str {
        let header = self.headers.get(name);
        header.map_or("none", |text| text.to_str().expect("ASCII"))
    }
}

impl Running {
    fn start(limits: Limits) -> Self {
        Self::with(limits, |_| BackupConfig::default())
    }

    fn with(limits: Limits, backup: impl FnOnce(&Path) -> BackupConfig) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(Arc::new(SystemClock))
        };
        let created = LockedVault::create(&paths, settings, &passphrase, POLICY).expect("a vault");
        let free = "127.0.0.1:0".parse().expect("an address");
        let config = ServerConfig {
            listen: free,
            metrics_listen: Some(free),
            limits,
            backup: backup(home.path()),
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
                let address = server.local_addr().expect("bound");
                let metrics = server.metrics_addr().expect("bound").expect("configured");
                tell.send((address, metrics)).expect("the test listens");
                let shutdown = async {
                    let _ = stopped.await;
                };
                server.run(shutdown).await.expect("stops in order");
            });
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .build()
            .new_agent();
        let (address, metrics) = told.recv().expect("addresses");
        Self {
            _home: home,
            address,
            metrics,
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

    fn send(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{to}{path}"));
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
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text: body.read_to_string().expect("text"),
        }
    }

    fn call(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("vault-purpose", "support"),
            ("content-type", "application/json"),
        ];
        self.send(self.address, method, path, &headers, &body.to_string())
    }

    fn person(&self, key: &str, user: &str) -> String {
        let made = self.call(
            key,
            "POST",
            "/v1/subjects",
            &json!({"channel": "web", "user": user}),
        );
        let body: Value = serde_json::from_str(&made.text).expect("JSON");
        body["subject"].as_str().expect("an id").to_owned()
    }

    fn scrape(&self, accept: &str) -> String {
        let answer = self.send(self.metrics, "GET", "/metrics", &[("accept", accept)], "");
        assert_eq!(answer.status, 200);
        answer.text
    }

    /// Values by the series' full name.
    fn figures(&self) -> BTreeMap<String, f64> {
        let text = self.scrape("*/*");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.map(|line| line.rsplit_once(' ').expect("a name and a value"));
        pairs
            .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
            .collect()
    }

    fn figure(&self, name: &str) -> f64 {
        self.figures().get(name).copied().unwrap_or(0.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of every server of this process, from before the first.
fn log() -> &'static Buffer {
    static LOG: OnceLock<Buffer> = OnceLock::new();
    LOG.get_or_init(|| {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = logging::subscriber(LogFormat::Json, tracing::Level::TRACE, move || {
            writer.clone()
        });
        tracing::subscriber::set_global_default(lines).expect("the first");
        buffer
    })
}

fn logged() -> String {
    String::from_utf8(log().0.lock().expect("no panic").clone()).expect("text")
}

const NOBODY: &str = "/v1/subjects/sub_00000000000000000000000000";

#[test]
fn nothing_personal_is_in_metrics_or_log_wherever_a_client_puts_it() {
    log();
    let server = Running::start(Limits::default());
    let (bot, dpo) = (server.key("bot"), server.key("dpo"));
    // A canary for every place where a value can stand, of the form that fits there.
    let anna = server.person(&bot, "canaryuser");
    let profile = format!("/v1/subjects/{anna}/records/profile");
    let fields =
        json!({"name": "Canaryname", "email": "canarymail@example.test", "birth": "1977-07-17"});
    assert_eq!(server.call(&bot, "PATCH", &profile, &fields).status, 200);
    assert_eq!(server.call(&bot, "GET", &profile, &Value::Null).status, 200);
    let ask = json!({"field": "profile.birth", "test": {"age_at_least": 18}});
    let asked = server.call(&bot, "POST", &format!("/v1/subjects/{anna}/ask"), &ask);
    assert_eq!(asked.status, 200);
    let begin = json!({"purpose": "support", "fields": ["profile.name"], "reads": 5});
    let begun = server.call(
        &bot,
        "POST",
        &format!("/v1/subjects/{anna}/sessions"),
        &begin,
    );
    let begun: Value = serde_json::from_str(&begun.text).expect("JSON");
    let session = begun["token"].as_str().expect("a token").to_owned();
    let own = "/v1/subjects/self/records/profile?fields=name";
    assert_eq!(server.call(&session, "GET", own, &Value::Null).status, 200);
    for body in [
        json!({"channel": "canarychannel", "user": "canaryuser"}),
        json!({"field": "profile.email", "value": "canarymail@example.test"}),
        json!({"field": "profile.email", "value": "no-canary-mail"}),
        json!({"canarymember": "canaryvalue"}),
    ] {
        server.call(&bot, "POST", "/v1/subjects/lookup", &body);
    }
    server.call(
        &bot,
        "PATCH",
        &profile,
        &json!({"canaryfield": "canaryvalue"}),
    );
    server.call(&bot, "PATCH", &profile, &json!({"birth": "canaryvalue"}));
    for (method, path, body) in [
        ("GET", "/canarypath", ""),
        ("GET", "/v1/subjects/canarypath?canaryquery=canaryvalue", ""),
        ("CANARYMETHOD", "/v1/subjects", ""),
        ("POST", "/v1/subjects", "{\"canarymember\": canaryvalue"),
        (
            "POST",
            "/v1/unlock",
            "{\"passphrase\": \"canary passphrase\"}",
        ),
    ] {
        for bearer in ["Bearer canarykey", "Bearer vk_canarykey", "Basic canarykey"] {
            let headers = [
                ("authorization", bearer),
                ("vault-purpose", "canarypurpose"),
                ("content-type", "application/json"),
                ("idempotency-key", "canaryidempotency"),
                ("user-agent", "canaryagent"),
                ("request-id", "canaryrequest"),
                ("x-request-id", "canaryrequest"),
                (
                    "traceparent",
                    "00-ca0a1ca0a1ca0a1ca0a1ca0a1ca0a1ca-00f067aa0ba902b7-01",
                ),
            ];
            server.send(server.address, method, path, &headers, body);
        }
    }
    let erase = format!("/v1/subjects/{anna}");
    assert_eq!(
        server.call(&dpo, "DELETE", &erase, &Value::Null).status,
        200
    );
    assert_eq!(server.call(&bot, "GET", &profile, &Value::Null).status, 410);
    let log = logged();
    let shown = [
        server.scrape("*/*"),
        server.scrape("application/openmetrics-text"),
        log.clone(),
    ];
    for text in &shown {
        let lower = text.to_lowercase();
        for secret in [
            "canary",
            // Not the year alone: a call that took 1977 microseconds is no leak.
            "1977-07",
            "197707",
            "ca0a1c",
            &anna,
            anna.trim_start_matches("sub_"),
            &bot,
            &session,
        ] {
            assert!(!lower.contains(&secret.to_lowercase()), "{secret}");
        }
    }
    // The metrics name no key either; the log names its public part, by which an operator finds it.
    assert!(!shown[0].contains("tok_") && !shown[1].contains("tok_"));
    assert!(!shown[0].contains("127.0.0") && !shown[1].contains("127.0.0"));
    assert!(log.contains("\"token\":\"tok_") && log.contains("\"route\":\"/v1/subjects/{s}\""));
}

#[test]
fn a_line_of_the_log_has_the_documented_fields_and_no_others() {
    log();
    let server = Running::start(Limits::default());
    let bot = server.key("bot");
    let made = json!({"channel": "web", "user": "fields-of-a-line"});
    let answer = server.call(&bot, "POST", "/v1/subjects", &made);
    let id = answer.header("request-id").to_owned();
    // The line is written after the answer's head: another call on the same connection is later.
    server.call(&bot, "GET", NOBODY, &Value::Null);
    let log = logged();
    let line = log
        .lines()
        .find(|line| line.contains(&id))
        .expect("its line");
    let line: Value = serde_json::from_str(line).expect("JSON");
    let names: BTreeSet<&str> = line
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "timestamp",
        "level",
        "target",
        "message",
        "method",
        "route",
        "status",
        "code",
        "limit",
        "duration_us",
        "request_id",
        "token",
        "client",
        "bytes_in",
        "bytes_out",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(line["bytes_in"], made.to_string().len());
    assert_eq!(line["bytes_out"], answer.text.len());
    assert_eq!(
        (&line["code"], &line["limit"]),
        (&json!("none"), &json!("none"))
    );
    let guide = include_str!("../../docs/operations.md");
    for name in expected.iter().chain(&["trace_id"]) {
        assert!(
            guide.contains(&format!("`{name}`")),
            "{name} is not documented"
        );
    }
}

#[test]
fn every_refusal_is_counted_once_under_its_code_and_route() {
    let server = Running::start(Limits::default());
    let (bot, dpo) = (server.key("bot"), server.key("dpo"));
    let before = server.figures();
    let refused = [
        server.call(&bot, "GET", NOBODY, &Value::Null),
        server.call(&dpo, "GET", NOBODY, &Value::Null),
        server.call(&dpo, "GET", NOBODY, &Value::Null),
        server.call("vk_wrong", "GET", NOBODY, &Value::Null),
        server.call(&bot, "POST", "/v1/subjects", &json!({"chanel": "web"})),
        server.call(&bot, "DELETE", "/v1/subjects", &Value::Null),
        server.send(server.address, "GET", "/metrics", &[], ""),
        server.send(
            server.address,
            "POST",
            "/v1/subjects",
            &[("content-type", "application/json")],
            "{",
        ),
    ];
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for answer in &refused {
        let series = format!("vault_refusals_total{{code=\"{}\"}}", answer.code());
        *expected.entry(series).or_default() += 1.0;
    }
    assert_eq!(
        refused[6].code(),
        "not_found",
        "metrics are not on the API's listener"
    );
    let after = server.figures();
    for (series, value) in &after {
        if series.starts_with("vault_refusals_total") {
            let grown = value - before[series];
            assert_eq!(
                grown,
                expected.get(series).copied().unwrap_or(0.0),
                "{series}"
            );
        }
    }
    let view = |status| {
        let series = format!(
            "vault_http_requests_total{{method=\"GET\",route=\"/v1/subjects/{{s}}\",status=\"{status}\"}}"
        );
        after.get(&series).copied().unwrap_or(0.0)
    };
    assert_eq!((view(403), view(404), view(401)), (1.0, 2.0, 1.0));
    assert_eq!(server.figure("vault_http_requests_in_flight"), 0.0);
}

#[test]
fn what_happens_in_the_vault_is_seen_and_a_locked_one_shows_that_it_is() {
    let server = Running::start(Limits::default());
    let (bot, dpo) = (server.key("bot"), server.key("dpo"));
    let before = server.figures();
    let anna = server.person(&bot, "anna");
    server.person(&bot, "ben");
    server.call(
        &dpo,
        "DELETE",
        &format!("/v1/subjects/{anna}"),
        &Value::Null,
    );
    let after = server.figures();
    let grown = |name: &str| after[name] - before[name];
    assert_eq!(grown("vault_erasures_total"), 1.0);
    assert_eq!(grown("vault_anchor_epoch"), 1.0);
    assert_eq!(grown("vault_people"), 1.0);
    assert!(grown("vault_commits_total") >= 3.0);
    assert_eq!(
        grown("vault_commit_duration_seconds_count"),
        grown("vault_commits_total")
    );
    assert!(after["process_resident_memory_bytes"] > 1e6 && after["vault_store_bytes"] > 1e4);
    assert_eq!(
        (after["vault_locked"], after["vault_disk_full"]),
        (0.0, 0.0)
    );
    server.call(&dpo, "POST", "/v1/lock", &Value::Null);
    let locked = server.figures();
    assert_eq!(locked["vault_locked"], 1.0);
    assert!(
        !locked.contains_key("vault_people"),
        "a locked vault knows no number of people"
    );
}

#[test]
fn a_run_of_retention_is_a_job_in_the_api_and_in_the_metrics() {
    let server = Running::start(Limits::default());
    let (operator, bot) = (server.key("operator"), server.key("bot"));
    let ended = "vault_jobs_ended_total{kind=\"sweep\",result=\"done\"}";
    let running = "vault_jobs_running{kind=\"rotation\"}";
    let before = server.figures();
    assert_eq!((before[ended], before[running]), (0.0, 0.0));
    let ran = server.call(&operator, "POST", "/v1/admin/retention/run", &json!({}));
    assert_eq!(ran.status, 200, "{}", ran.text);
    assert_eq!(server.figures()[ended], 1.0);
    let body = |answer: &Answer| -> Value { serde_json::from_str(&answer.text).expect("JSON") };
    let list = server.call(&operator, "GET", "/v1/admin/jobs", &Value::Null);
    let jobs = body(&list);
    assert_eq!(jobs["jobs"][0]["kind"], "sweep");
    assert_eq!(jobs["jobs"][0]["state"], "done");
    assert_eq!(jobs["jobs"][0]["unit"], "passes");

    let job = server.vault.jobs().begin(JobKind::Rotation, "people");
    let job = job.expect("the first");
    job.progress(2, Some(5));
    assert_eq!(server.figures()[running], 1.0);
    let path = format!("/v1/admin/jobs/{}", job.number());
    let one = body(&server.call(&operator, "GET", &path, &Value::Null));
    assert_eq!(
        (&one["state"], &one["done"], &one["total"]),
        (&json!("running"), &json!(2), &json!(5))
    );
    for (key, method, path, status, code) in [
        (&bot, "GET", "/v1/admin/jobs", 403, "role_denied"),
        (&bot, "GET", "/v1/admin/jobs/none", 403, "role_denied"),
        (&bot, "DELETE", path.as_str(), 403, "role_denied"),
        (&operator, "GET", "/v1/admin/jobs/none", 404, "not_found"),
        (&operator, "GET", "/v1/admin/jobs/99", 404, "not_found"),
        (&operator, "DELETE", "/v1/admin/jobs/99", 404, "not_found"),
    ] {
        let refused = server.call(key, method, path, &Value::Null);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (status, code),
            "{method} {path}"
        );
    }
    assert!(!job.cancelled());
    let asked = server.call(&operator, "DELETE", &path, &Value::Null);
    assert_eq!(asked.status, 202);
    assert!(job.cancelled());
    job.ended_early();
    let over = server.call(&operator, "DELETE", &path, &Value::Null);
    assert_eq!(
        (over.status, &body(&over)["state"]),
        (200, &json!("cancelled"))
    );
    let cancelled = "vault_jobs_ended_total{kind=\"rotation\",result=\"cancelled\"}";
    assert_eq!(server.figures()[cancelled], 1.0);
    // While one goes on, another run of its kind is a conflict and no second job.
    let other = server.vault.jobs().begin(JobKind::Sweep, "passes");
    let second = server.call(&operator, "POST", "/v1/admin/retention/run", &json!({}));
    assert_eq!((second.status, second.code().as_str()), (409, "conflict"));
    drop(other);
}

#[test]
fn the_metrics_listener_answers_get_metrics_alone_and_is_done_with_whoever_sends_no_head() {
    let server = Running::start(Limits::default());
    for (method, path, status) in [
        ("GET", "/metrics", 200),
        ("GET", "/metrics?x=1", 200),
        ("GET", "/", 404),
        ("GET", "/v1/status", 404),
        ("GET", "/healthz", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/metrics", 405),
    ] {
        let answer = server.send(server.metrics, method, path, &[], "");
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let mut long = TcpStream::connect(server.metrics).expect("connects");
    let head = format!(
        "GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(1 << 17)
    );
    // It may close before all of it is sent.
    let _ = long.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = long.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "a head without bound was read"
    );
}

#[test]
fn limits_are_told_in_headers_and_a_refusal_names_its_limit() {
    let server = Running::start(Limits {
        lookups_per_minute: 3,
        person_calls_per_minute: 2,
        ..Limits::default()
    });
    let (bot, dpo) = (server.key("bot"), server.key("dpo"));
    let look = || {
        let body = json!({"channel": "web", "user": "nobody-here"});
        server.call(&bot, "POST", "/v1/subjects/lookup", &body)
    };
    let anna = server.person(&bot, "anna");
    let answer = look();
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.header("ratelimit-policy"),
        "\"lookups_per_minute\";q=3;w=60"
    );
    assert_eq!(
        answer.header("ratelimit"),
        "\"lookups_per_minute\";r=1;t=40"
    );
    assert_eq!(look().status, 404);
    let refused = look();
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "rate_limited")
    );
    assert!(
        refused.text.contains("lookups_per_minute"),
        "{}",
        refused.text
    );
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("ratelimit"),
        format!("\"lookups_per_minute\";r=0;t={wait}")
    );
    // Another key has its own quota; a person has one for all keys.
    let view = format!("/v1/subjects/{anna}");
    assert_eq!(server.call(&dpo, "GET", &view, &Value::Null).status, 200);
    assert_eq!(server.call(&bot, "GET", &view, &Value::Null).status, 403);
    let refused = server.call(&dpo, "GET", &view, &Value::Null);
    assert_eq!(refused.status, 429);
    assert!(refused.text.contains("person_calls_per_minute"));
    assert_eq!(
        server.figure("vault_rate_limited_total{limit=\"lookups_per_minute\"}"),
        1.0
    );
    assert_eq!(
        server.figure("vault_rate_limited_total{limit=\"person_calls_per_minute\"}"),
        1.0
    );
    // What a person has a right to is done all the same.
    assert_eq!(server.call(&dpo, "DELETE", &view, &Value::Null).status, 200);
}

#[test]
fn a_test_too_many_of_a_value_is_refused_until_tomorrow_and_counted() {
    let server = Running::start(Limits::default());
    let bot = server.key("bot");
    let anna = server.person(&bot, "anna");
    let profile = format!("/v1/subjects/{anna}/records/profile");
    server.call(&bot, "PATCH", &profile, &json!({"birth": "1990-01-01"}));
    let ask = json!({"field": "profile.birth", "test": {"age_at_least": 18}});
    let path = format!("/v1/subjects/{anna}/ask");
    for _ in 0..vault_core::limits::ASKS_PER_DAY_MAX {
        assert_eq!(server.call(&bot, "POST", &path, &ask).status, 200);
    }
    let refused = server.call(&bot, "POST", &path, &ask);
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=86_400).contains(&wait));
    assert!(refused.text.contains("asks_per_day"));
    assert_eq!(
        server.figure("vault_rate_limited_total{limit=\"asks_per_day\"}"),
        1.0
    );
}

#[test]
fn strangers_wait_after_their_tries_and_a_known_key_from_the_same_network_does_not() {
    let server = Running::start(Limits {
        unauthenticated_per_minute: 3,
        ..Limits::default()
    });
    let bot = server.key("bot");
    let anna = server.person(&bot, "anna");
    for _ in 0..4 {
        assert_eq!(
            server.call("vk_wrong", "GET", NOBODY, &Value::Null).status,
            401
        );
    }
    // The tries have taken less than the minute that they would need to come back.
    let refused = server.call("vk_wrong", "GET", NOBODY, &Value::Null);
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(refused.text.contains("unauthenticated_per_minute"));
    let bare = server.send(server.address, "GET", NOBODY, &[], "");
    assert_eq!(bare.status, 429);
    let profile = format!("/v1/subjects/{anna}/records/profile");
    assert_eq!(server.call(&bot, "GET", &profile, &Value::Null).status, 200);
}

#[test]
fn a_key_over_its_rate_is_refused_and_another_is_not() {
    let server = Running::start(Limits {
        calls_per_second: 1,
        calls_burst: 40,
        ..Limits::default()
    });
    let (bot, dpo) = (server.key("bot"), server.key("dpo"));
    let anna = server.person(&bot, "anna");
    let path = format!("/v1/subjects/{anna}/records/profile");
    let refused = AtomicBool::new(false);
    for _ in 0..400 {
        let answer = server.call(&bot, "GET", &path, &Value::Null);
        if answer.status == 429 {
            assert!(answer.text.contains("calls_per_second"));
            assert_eq!(answer.header("retry-after"), "1");
            refused.store(true, Ordering::Relaxed);
            break;
        }
    }
    assert!(
        refused.into_inner(),
        "400 calls fitted into 40 and one a second"
    );
    let view = format!("/v1/subjects/{anna}");
    assert_eq!(server.call(&dpo, "GET", &view, &Value::Null).status, 200);
}

/// Names of metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'));
    words.filter(|word| word.starts_with("vault_") || word.starts_with("process_"))
}

/// The name of a metric without that of a histogram's part.
fn base(name: &str) -> &str {
    let mut parts = ["_bucket", "_sum", "_count"].iter();
    parts
        .find_map(|part| name.strip_suffix(part))
        .unwrap_or(name)
}

/// Shown only where there is a certificate, which a server on loopback does not need, an open request, and a line of a
/// log.
const WHERE_THERE_IS_ONE: [&str; 3] = [
    "vault_log_lines_total",
    "vault_tls_certificate_expiry_timestamp_seconds",
    "vault_request_next_due_days",
];

#[test]
fn dashboard_alerts_and_documentation_use_the_names_that_the_server_has() {
    // What is shown of backups is shown where they are configured.
    let server = Running::with(Limits::default(), |home| BackupConfig {
        to: Some(home.join("backups").into()),
        recipients: vec![vault_core::backup::new_identity().1],
        every: vault_core::policy::Period::parse("P1D").ok(),
        ..BackupConfig::default()
    });
    let bot = server.key("bot");
    server.person(&bot, "anna");
    let figures = server.figures();
    let mut exported: BTreeSet<String> = BTreeSet::new();
    for series in figures.keys() {
        exported.insert(series.split('{').next().expect("a name").to_owned());
    }
    let known = |name: &str| exported.contains(name) || WHERE_THERE_IS_ONE.contains(&name);

    let dashboard: Value =
        serde_json::from_str(include_str!("../../docs/monitoring/dashboard.json")).expect("JSON");
    let source = &dashboard["templating"]["list"][0];
    assert_eq!(
        (&source["type"], &source["query"]),
        (&json!("datasource"), &json!("prometheus"))
    );
    let mut used = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            let expression = target["expr"].as_str().expect("an expression");
            assert!(names(expression).next().is_some(), "{expression}");
            used.extend(names(expression).map(str::to_owned));
        }
    }
    // Whoever operates a vault sees all that it counts.
    let panels: BTreeSet<&str> = used.iter().map(|name| base(name)).collect();
    let counted = exported.iter().map(String::as_str);
    let hidden: Vec<&str> = counted
        .chain(WHERE_THERE_IS_ONE)
        .filter(|name| !panels.contains(base(name)))
        .collect();
    assert!(hidden.is_empty(), "no panel shows {hidden:?}");

    let alerts: Value =
        yaml_serde::from_str(include_str!("../../docs/monitoring/alerts.yml")).expect("YAML");
    let rules = alerts["groups"][0]["rules"].as_array().expect("rules");
    let mut titles = BTreeSet::new();
    for rule in rules {
        let title = rule["alert"].as_str().expect("a name");
        assert!(titles.insert(title), "{title} stands twice");
        let expression = rule["expr"].as_str().expect("an expression");
        used.extend(names(expression).map(str::to_owned));
        for annotation in ["summary", "runbook"] {
            let text = rule["annotations"][annotation].as_str();
            assert!(
                text.is_some_and(|text| text.len() > 20),
                "{title}: {annotation}"
            );
        }
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("critical" | "warning")), "{title}");
    }
    assert!(titles.len() >= 11);
    for name in &used {
        assert!(known(name), "{name} is used and not exported");
    }

    let guide = include_str!("../../docs/operations.md");
    for name in &exported {
        let base = base(name);
        assert!(
            guide.contains(&format!("`{base}`")),
            "{base} is not documented"
        );
    }
    let documented = guide.split('`').filter(|word| {
        let whole = word
            .bytes()
            .all(|sign| sign.is_ascii_alphanumeric() || sign == b'_');
        whole && (word.starts_with("vault_") || word.starts_with("process_"))
    });
    for name in documented.filter(|name| *name != "vault_server") {
        let histogram = format!("{name}_count");
        assert!(
            known(name) || exported.contains(&histogram),
            "{name} is documented only"
        );
    }
}

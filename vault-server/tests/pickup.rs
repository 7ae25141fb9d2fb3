//! Links with which people pick a copy up, over HTTP as a browser speaks it: from the turn of a conversation to the file,
//! and what a second use leaves.
//!
//! Failure is a package without the code, one that comes twice, an answer that tells a link that nobody has from one that
//! somebody has, an answer that anybody may keep; and a token or a code in the log or the metrics.

use std::io::{Cursor, Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use vault_core::import::Archive;
use vault_core::policy::SAMPLE;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, SystemClock, Vault, VaultPaths};
use vault_core::verification::{AddressKind, CodeToSend};
use vault_server::codes::{CodeFigures, CodeSink};
use vault_server::config::{LogFormat, ServerConfig};
use vault_server::{App, AppSettings, Server, logging};

const BASE: &str = "https://privacy.example.test";
const NOBODYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const PATIENCE: Duration = Duration::from_secs(60);
const ROLES: &str = r#"
[roles.relay]
may = ["dialogue.relay"]
[roles.desk]
may = ["requests.decide"]
"#;

/// What the whole test program logs: of all of its servers, at every level.
fn log() -> &'static Lines {
    static LOG: OnceLock<Lines> = OnceLock::new();
    LOG.get_or_init(|| {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = logging::subscriber(LogFormat::Json, tracing::Level::DEBUG, move || {
            writer.clone()
        });
        tracing::subscriber::set_global_default(log).expect("the first");
        lines
    })
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("whole").clone()).expect("text")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps codes in the place of sending them.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, String)>>);

impl CodeSink for Kept {
    fn send(&self, code: CodeToSend) {
        let (address, digits) = (code.address.to_string(), code.code.to_string());
        self.0.lock().expect("whole").push((address, digits));
    }

    fn sends(&self, kind: AddressKind) -> bool {
        kind == AddressKind::Email
    }

    fn forget(&self) {}

    fn figures(&self) -> CodeFigures {
        CodeFigures::default()
    }
}

struct Bench {
    _home: TempDir,
    app: App,
    vault: Arc<Vault>,
    address: SocketAddr,
    codes: Arc<Kept>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    subject: String,
    said: Mutex<u32>,
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// What may differ between any two answers is their id, time and length.
    fn compared(&self) -> (u16, Vec<String>, String) {
        let kept = |line: &&str| !line.starts_with("request-id") && !line.starts_with("date");
        let headers = self.headers.lines().filter(kept).map(str::to_owned);
        (self.status, headers.collect(), self.text())
    }
}

/// A chunked body put together; `None` where it broke off.
fn chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let at = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..at]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(at + 2..at + 2 + size)?);
        rest = rest.get(at + 2 + size + 2..)?;
    }
}

impl Bench {
    fn new(public_url: Option<&str>) -> Self {
        log();
        let home = tempfile::tempdir().expect("a directory");
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(Arc::new(SystemClock))
        };
        let policy = format!("{SAMPLE}{ROLES}");
        let created = LockedVault::create(&paths, settings, &passphrase, &policy).expect("a vault");
        let config = ServerConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            public_url: public_url.map(str::to_owned),
            ..ServerConfig::default()
        };
        let codes = Arc::new(Kept::default());
        let sink: Arc<dyn CodeSink> = codes.clone();
        let settings = AppSettings {
            sweep_every: None,
            codes: Some(sink),
            ..AppSettings::from(&config)
        };
        let vault = Arc::clone(&created.vault);
        let app = App::new(created.locked, Some(created.vault), settings);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let serving = app.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async move {
                let server = Server::bind(&config, serving).await.expect("binds");
                tell.send(server.local_addr().expect("bound"))
                    .expect("heard");
                let shutdown = async {
                    let _ = stopped.await;
                };
                server.run(shutdown).await.expect("stops in order");
            });
        });
        let mut bench = Self {
            _home: home,
            app,
            vault,
            address: told.recv().expect("an address"),
            codes,
            stop: Some(stop),
            thread: Some(thread),
            subject: String::new(),
            said: Mutex::default(),
        };
        let bot = bench.key("bot");
        let made = bench.call(
            &bot,
            "/v1/subjects",
            &json!({"channel": "web", "user": "jane"}),
        );
        bench.subject = made.json()["subject"].as_str().expect("an id").to_owned();
        let profile = json!({"name": "Jane Roe", "email": "jane@example.test"});
        let path = format!("/v1/subjects/{}/records/profile", bench.subject);
        let more = format!(
            "authorization: Bearer {bot}\r\nvault-purpose: support\r\ncontent-type: application/json\r\n"
        );
        let patched = bench.send("PATCH", &path, &more, &profile.to_string());
        assert_eq!(patched.status, 200, "{}", patched.text());
        bench
    }

    fn key(&self, role: &str) -> String {
        let keyholder = self.vault.keyholder();
        let call = Call::new(&keyholder);
        self.vault.create_token(&call, role, None).expect("a key").1
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: v\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("an answer");
        let at = all
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        let head = String::from_utf8(all[..at].to_vec()).expect("ASCII");
        let (first, headers) = head.split_once("\r\n").expect("headers");
        let headers = headers.to_lowercase().replace("\r\n", "\n");
        let rest = &all[at + 4..];
        let body = match headers.contains("transfer-encoding: chunked") {
            true => chunks(rest).expect("it did not break off"),
            false => rest.to_vec(),
        };
        Answer {
            status: first[9..12].parse().expect("a status"),
            headers,
            body,
        }
    }

    fn call(&self, key: &str, path: &str, body: &Value) -> Answer {
        let headers = format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n");
        self.send("POST", path, &headers, &body.to_string())
    }

    fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    fn form(&self, path: &str, body: &str) -> Answer {
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        self.send("POST", path, headers, body)
    }

    /// The digits of the code that was sent last.
    fn code(&self) -> Option<String> {
        let codes = self.codes.0.lock().expect("whole");
        let (address, digits) = codes.last()?;
        assert_eq!(address, "jane@example.test");
        Some(digits.clone())
    }

    fn turn(&self, relay: &str, what: (&str, &str)) -> Value {
        let mut said = self.said.lock().expect("whole");
        *said += 1;
        let mut body = json!({"channel": "web", "user": "jane", "message_id": format!("m{said}"),
            "locale": "en", "private": true});
        body[what.0] = json!(what.1);
        let answer = self.call(relay, "/v1/dialogue/turn", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The id of a choice by its label, or by its place.
    fn choice(reply: &Value, label: Option<&str>) -> String {
        let messages = reply["messages"].as_array().expect("messages");
        let mut choices = messages
            .iter()
            .flat_map(|one| one["choices"].as_array().expect("choices"));
        let choice = choices.find(|one| label.is_none_or(|label| one["label"] == label));
        let id = &choice.expect("it is offered")["id"];
        id.as_str().expect("an id").to_owned()
    }

    /// The turn in which Jane has asked for everything and proved who she is.
    fn asked(&self) -> Value {
        let relay = self.key("relay");
        let reply = self.turn(&relay, ("text", "what do you know about me?"));
        let verify = Self::choice(&reply, Some("Verify"));
        let reply = self.turn(&relay, ("choice", &verify));
        let address = Self::choice(&reply, None);
        self.turn(&relay, ("choice", &address));
        let shown = self.turn(&relay, ("text", &self.code().expect("it is sent")));
        let all = Self::choice(&shown, Some("Download everything"));
        self.turn(&relay, ("choice", &all))
    }

    /// A request of Jane's that somebody has proved to be hers.
    fn request(&self, kind: &str) -> String {
        let dpo = self.key("dpo");
        let path = format!("/v1/subjects/{}/requests", self.subject);
        let made = self.call(&dpo, &path, &json!({"type": kind}));
        let request = made.json()["request"].as_str().expect("an id").to_owned();
        let step = json!({"outcome": "verified", "evidence": "passport"});
        let path = format!("/v1/requests/{request}/identity");
        assert_eq!(self.call(&dpo, &path, &step).status, 200);
        request
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `data.json` of a package, as an import opens it.
fn data_of(zip: &[u8]) -> String {
    let mut archive = Archive::open(Cursor::new(zip.to_vec())).expect("a ZIP");
    let mut text = String::new();
    let mut member = archive.member("data.json").expect("it is in there");
    member.read_to_string(&mut text).expect("text");
    text
}

/// What every answer of these pages has, whatever it is.
fn is_sealed(answer: &Answer) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(answer.header("set-cookie"), None);
}

#[test]
fn from_the_conversation_to_the_file_and_a_second_use_is_an_incident() {
    let bench = Bench::new(Some(BASE));
    let reply = bench.asked();
    assert_eq!(reply["state"], "done");
    let link = reply["messages"][0]["link"].as_str().expect("a link");
    let path = link.strip_prefix(BASE).expect("whole").to_owned();
    let token = path.strip_prefix("/pickup/").expect("a link").to_owned();
    let codes = bench.codes.0.lock().expect("whole").len();
    // What previews do: any number of times.
    for _ in 0..5 {
        let page = bench.get(&path);
        assert_eq!(page.status, 200);
        is_sealed(&page);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"));
    }
    assert_eq!(bench.codes.0.lock().expect("whole").len(), codes);
    let sent = bench.form(&format!("{path}/code"), "");
    assert_eq!(sent.status, 200);
    is_sealed(&sent);
    let code = bench.code().expect("it is sent");
    let opened = bench.form(&path, &format!("code={}+{}", &code[..3], &code[3..]));
    assert_eq!(opened.status, 200, "{}", opened.text());
    is_sealed(&opened);
    assert_eq!(opened.header("content-type"), Some("application/zip"));
    let disposition = opened.header("content-disposition").expect("a file");
    assert!(disposition.starts_with("attachment; filename=\"personal-data-access-"));
    assert!(!disposition.contains("jane"));
    assert!(opened.body.starts_with(b"PK"), "a ZIP");
    assert!(data_of(&opened.body).contains("Jane Roe"));
    let dpo = bench.key("dpo");
    let request = reply["request_id"].as_str().expect("an id");
    let bearer = format!("authorization: Bearer {dpo}\r\n");
    let view = bench.send("GET", &format!("/v1/requests/{request}"), &bearer, "");
    assert_eq!(view.json()["state"], "fulfilled");
    for _ in 0..2 {
        let again = bench.form(&path, &format!("code={code}"));
        assert_eq!(again.status, 410);
        is_sealed(&again);
        assert!(again.text().contains("opened before"));
    }
    let all = bench.send("GET", "/v1/incidents", &bearer, "").json();
    let all = all["incidents"].as_array().expect("a list");
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["vector"], "link");
    assert_eq!(all[0]["nature"], json!(["confidentiality"]));
    let metrics = bench.app.metrics_text();
    for line in [
        "vault_pickups_total{event=\"given\"} 1",
        "vault_pickups_total{event=\"code\"} 1",
        "vault_pickups_total{event=\"wrong\"} 0",
        "vault_pickups_total{event=\"opened\"} 1",
        "vault_pickups_total{event=\"again\"} 2",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line}");
    }
    let log = log().text();
    assert!(
        log.contains("/pickup/{token}"),
        "the control: calls are logged"
    );
    assert!(log.contains("used a second time"), "the control");
    assert!(!log.contains(&token) && !metrics.contains(&token));
    // Times are numbers as a code is one.
    for line in log.lines() {
        let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
        for number in ["timestamp", "duration_us"] {
            line.as_object_mut().expect("an object").remove(number);
            if let Some(fields) = line["fields"].as_object_mut() {
                fields.remove(number);
            }
        }
        assert!(!line.to_string().contains(&code), "in the log");
    }
}

#[test]
fn a_link_that_nobody_has_is_answered_as_one_that_somebody_has() {
    let bench = Bench::new(Some(BASE));
    let link = bench.asked()["messages"][0]["link"]
        .as_str()
        .expect("a link")
        .to_owned();
    let path = link.strip_prefix(BASE).expect("whole").to_owned();
    let token = path.strip_prefix("/pickup/").expect("a link").to_owned();
    let nobodys = format!("/pickup/{NOBODYS}");
    let same = |own: &Answer, none: &Answer| {
        let (mut own, none) = (own.compared(), none.compared());
        own.2 = own.2.replace(&token, NOBODYS);
        assert_eq!(own, none);
    };
    same(&bench.get(&path), &bench.get(&nobodys));
    same(
        &bench.send("HEAD", &path, "", ""),
        &bench.send("HEAD", &nobodys, "", ""),
    );
    let code = |path: &str| bench.form(&format!("{path}/code"), "");
    let before = bench.codes.0.lock().expect("whole").len();
    same(&code(&path), &code(&nobodys));
    assert_eq!(bench.codes.0.lock().expect("whole").len(), before + 1);
    let right = bench.code().expect("it is sent");
    let wrong = if right == "111111" {
        "222222"
    } else {
        "111111"
    };
    for body in [format!("code={wrong}"), "code=12".to_owned(), String::new()] {
        let own = bench.form(&path, &body);
        assert_eq!(own.status, 403);
        same(&own, &bench.form(&nobodys, &body));
    }
    // Looking again at where a code was asked for changes nothing either.
    same(
        &bench.get(&format!("{path}/code")),
        &bench.get(&format!("{nobodys}/code")),
    );
    assert_eq!(bench.codes.0.lock().expect("whole").len(), before + 1);
    let french = |path: &str| bench.send("GET", path, "accept-language: fr-CA, en;q=0.5\r\n", "");
    let page = french(&path);
    assert!(page.text().contains("<html lang=\"fr\">"));
    same(&page, &french(&nobodys));
    // What is no whole link says so, and no more.
    let cut = bench.get(&path[..path.len() - 1]);
    assert_eq!(cut.status, 404);
    is_sealed(&cut);
    assert!(cut.text().contains("missing") && !cut.text().contains("<form"));
    let opened = bench.form(&path, &format!("code={right}"));
    assert_eq!(opened.status, 200, "it is still good");
}

#[test]
fn whoever_decides_gives_a_link_without_being_able_to_open_it() {
    let bench = Bench::new(Some(BASE));
    let desk = bench.key("desk");
    let request = bench.request("portability");
    let path = format!("/v1/requests/{request}/approve");
    let refused = bench.call(&desk, &path, &json!({"format": "json"}));
    assert_eq!(refused.status, 403, "the package itself is not theirs");
    let given = bench.call(&desk, &path, &json!({"deliver": "link", "format": "json"}));
    assert_eq!(given.status, 200, "{}", given.text());
    let given = given.json();
    assert_eq!(given["request"]["state"], "in_progress");
    let link = given["link"]["url"].as_str().expect("a link");
    assert!(given["link"]["expires_at"].is_string());
    let path = link.strip_prefix(BASE).expect("whole");
    assert_eq!(bench.form(&format!("{path}/code"), "").status, 200);
    let opened = bench.form(path, &format!("code={}", bench.code().expect("it is sent")));
    assert_eq!(opened.header("content-type"), Some("application/json"));
    assert_eq!(opened.json()["right"], "portability");
    let bot = bench.key("bot");
    let path = format!("/v1/requests/{request}/approve");
    let refused = bench.call(&bot, &path, &json!({"deliver": "link"}));
    assert_eq!(refused.status, 403);
}

#[test]
fn without_an_address_of_the_server_nobody_is_given_a_link() {
    let bench = Bench::new(None);
    let reply = bench.asked();
    assert_eq!(reply["state"], "queued_human");
    assert_eq!(reply["messages"][0].get("link"), None);
    let desk = bench.key("desk");
    let path = format!("/v1/requests/{}/approve", bench.request("access"));
    let refused = bench.call(&desk, &path, &json!({"deliver": "link"}));
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("public_url"));
}

#[test]
fn a_locked_vault_and_too_many_calls_get_a_page_and_leave_the_link_as_it_is() {
    let bench = Bench::new(Some(BASE));
    let nobodys = format!("/pickup/{NOBODYS}");
    let mut refused = 0;
    for _ in 0..300 {
        let answer = bench.form(&nobodys, "code=1");
        match answer.status {
            403 => {}
            429 => {
                is_sealed(&answer);
                assert_eq!(answer.header("retry-after"), Some("60"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!((20..=60).contains(&refused), "{refused}");
    let metrics = bench.app.metrics_text();
    let counted = metrics
        .lines()
        .find(|line| line.contains("\"pickups_per_minute\""));
    let counted = counted.and_then(|line| line.rsplit(' ').next());
    assert_eq!(counted, Some(refused.to_string().as_str()));
    // Looking is not counted.
    assert_eq!(bench.get(&nobodys).status, 200);
    bench.app.lock();
    for answer in [bench.get(&nobodys), bench.form(&nobodys, "code=123456")] {
        assert_eq!(answer.status, 503);
        is_sealed(&answer);
        assert!(answer.text().contains("stays as it is"));
    }
}

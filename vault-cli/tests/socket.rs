//! A directory that a server holds: every command goes through the server's socket.
//!
//! A stand-in listens there. It gives `vh_…` for the passphrase, as the server does, and passes calls
//! with that on to a real server. Counts as failure: a command that leaves its `vh_…` behind, a call
//! that is answered without one, a secret in any output.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Bench, CANARY, Dev, Outcome};
use vault_cli::http::Client;

const LENT: &str = "vh_lent-for-a-passphrase";
/// What whoever has an unlock secret may do.
const KEYHOLDER: &str = r#"
[roles.holder]
may = ["api_keys.manage", "audit.read", "keys.manage", "policy.apply", "policy.read", "retention.run",
    "subjects.erase", "subjects.lookup", "subjects.view", "vault.lock"]
"#;

/// What the stand-in has seen.
#[derive(Default)]
struct Seen {
    lent: AtomicUsize,
    ended: AtomicUsize,
    calls: Mutex<Vec<String>>,
}

struct Request {
    method: String,
    path: String,
    bearer: String,
    body: Value,
}

fn read(stream: &mut BufReader<UnixStream>) -> Option<Request> {
    let mut line = String::new();
    stream
        .read_line(&mut line)
        .ok()
        .filter(|bytes| *bytes > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let (mut bearer, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match &*name.to_ascii_lowercase() {
            "authorization" => bearer = value.strip_prefix("Bearer ")?.to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Request {
        method,
        path,
        bearer,
        body,
    })
}

fn answer(request: &Request, passphrase: &str, seen: &Seen, server: &Client) -> (u16, Value) {
    let refused = json!({"code": "unauthenticated", "title": "t", "detail": "d"});
    match (&*request.method, &*request.path) {
        ("POST", "/v1/keyholder") if request.body["passphrase"] == passphrase => {
            seen.lent.fetch_add(1, Ordering::SeqCst);
            (
                201,
                json!({"token": LENT, "expires_at": "2099-01-01T00:00:00Z"}),
            )
        }
        ("POST", "/v1/keyholder") => (401, refused),
        _ if request.bearer != LENT => (401, refused),
        ("DELETE", "/v1/keyholder") => {
            seen.ended.fetch_add(1, Ordering::SeqCst);
            (200, json!({"ended": true}))
        }
        (method, path) => {
            seen.calls.lock().unwrap().push(format!("{method} {path}"));
            let body = (!request.body.is_null()).then_some(&request.body);
            let reply = server.call(method, path, None, body);
            let reply = reply.map_err(|_| "the server is gone").unwrap();
            (reply.status, reply.body)
        }
    }
}

/// Listens at `d/admin.sock` until the test ends.
fn stand_in(bench: &Bench, dev: &Dev) -> Arc<Seen> {
    let socket = bench.path("d").join("admin.sock");
    // The server's own, where it has one, is set aside: this test speaks for the command line.
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(socket).unwrap();
    let seen = Arc::new(Seen::default());
    let server = Arc::new(Client::new(dev.url(), dev.secret("holder")).unwrap());
    let file = bench.path(dev.1["passphrase_file"].as_str().unwrap());
    let passphrase = std::fs::read_to_string(file).unwrap();
    let shared = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (seen, server) = (shared.clone(), server.clone());
            let passphrase = passphrase.clone();
            std::thread::spawn(move || {
                let mut out = stream.try_clone().unwrap();
                let mut stream = BufReader::new(stream);
                while let Some(request) = read(&mut stream) {
                    let (status, body) = answer(&request, &passphrase, &seen, &server);
                    let body = body.to_string();
                    let head = format!(
                        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    if out.write_all((head + &body).as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    seen
}

struct Scene {
    bench: Bench,
    dev: Dev,
    seen: Arc<Seen>,
    passphrase_file: String,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::new();
        let dev = Dev::start(&bench, KEYHOLDER);
        let seen = stand_in(&bench, &dev);
        let passphrase_file = dev.1["passphrase_file"].as_str().unwrap().to_owned();
        Self {
            bench,
            dev,
            seen,
            passphrase_file,
        }
    }

    /// On the directory, with the passphrase; what was lent has ended afterwards.
    fn feed(&self, args: &[&str], input: &str) -> Outcome {
        let all = [
            "--vault",
            "d",
            "--passphrase-file",
            &self.passphrase_file,
            "--json",
        ];
        let outcome = self.bench.feed(&[&all, args].concat(), input);
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        assert_eq!(count(&self.seen.lent), count(&self.seen.ended), "{args:?}");
        let secret = std::fs::read_to_string(self.bench.path(&self.passphrase_file)).unwrap();
        for text in [&outcome.out, &outcome.err] {
            assert!(!text.contains(&secret) && !text.contains(LENT));
        }
        outcome
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.feed(args, "")
    }
}

#[test]
fn every_command_works_on_a_directory_that_a_server_holds_and_leaves_nothing_open() {
    let scene = Scene::new();
    let bench = &scene.bench;
    assert_eq!(scene.run(&["status"]).json()["state"], "open");
    assert_eq!(
        scene.run(&["slot", "list"]).json()["key_slots"][0]["slot"],
        1
    );
    bench.file("second", "a second long passphrase", 0o600);
    let added = scene
        .run(&["slot", "add", "--secret-file", "second"])
        .json();
    let number = added["slot"].to_string();
    let tested = scene
        .run(&["slot", "test", "--secret-file", "second"])
        .json();
    assert_eq!(tested["slot"], added["slot"]);
    scene.run(&["--yes", "slot", "remove", &number]).json();

    let made = scene
        .run(&["token", "create", "--role", "bot", "--channel", "web"])
        .json();
    let token = made["token"].as_str().unwrap();
    let next = scene.run(&["token", "rotate", token]).json();
    assert_eq!(next["replaces"], token);
    scene.run(&["--yes", "token", "revoke", token]).json();
    let keys = scene.run(&["token", "list"]).json();
    assert!(keys["api_keys"].as_array().unwrap().len() > 2);

    let policy = format!(
        "{}{KEYHOLDER}",
        vault_core::policy::SAMPLE.replace("P90D", "P60D")
    );
    let policy = bench.file("new.toml", &policy, 0o644);
    assert!(
        !scene.run(&["policy", "diff", &policy]).json()["changes"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        scene.run(&["policy", "apply", &policy]).json()["version"],
        2
    );
    assert_eq!(scene.run(&["policy", "show"]).json()["version"], 2);
    assert_eq!(
        scene.run(&["policy", "show", "--versions"]).json()["versions"][1]["version"],
        2
    );

    let who = json!({"channel": "web", "user": CANARY});
    let bot = Client::new(scene.dev.url(), scene.dev.secret("bot")).unwrap();
    let made = bot.call("POST", "/v1/subjects", None, Some(&who));
    let made = made.map_err(|_| "no answer").unwrap().body;
    let found = scene.feed(&["subject", "find"], &who.to_string()).json();
    assert_eq!(
        found,
        made["subject"]
            .as_str()
            .map(|s| json!({"subject": s}))
            .unwrap()
    );
    let subject = made["subject"].as_str().unwrap();
    assert_eq!(
        scene.run(&["subject", "show", subject]).json()["state"],
        "active"
    );
    scene.run(&["--yes", "subject", "erase", subject]).json();
    assert_eq!(scene.run(&["subject", "show", subject]).code, 1);
    assert!(scene.run(&["retention", "run", "--dry-run"]).json()["would_drop"].is_object());
    scene.run(&["--yes", "retention", "run"]).json();
    assert!(scene.seen.calls.lock().unwrap().len() > 20);
}

#[test]
fn a_wrong_secret_is_refused_as_in_the_directory_and_calls_nothing() {
    let scene = Scene::new();
    let wrong = scene.bench.file("wrong", "another horse entirely", 0o600);
    let refused = scene
        .bench
        .run(&["--vault", "d", "--passphrase-file", &wrong, "slot", "list"]);
    refused.refused(3);
    assert!(refused.err.contains("no key slot opens"), "{}", refused.err);
    assert!(scene.seen.calls.lock().unwrap().is_empty());
}

#[test]
fn a_socket_that_nobody_listens_on_is_named() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let socket = bench.path("d").join("admin.sock");
    let _ = std::fs::remove_file(&socket);
    drop(UnixListener::bind(&socket).unwrap());
    let file = dev.1["passphrase_file"].as_str().unwrap();
    let refused = bench.run(&["--vault", "d", "--passphrase-file", file, "slot", "list"]);
    refused.refused(1);
    assert!(
        refused.err.contains("admin.sock") && refused.err.contains("--server URL"),
        "{}",
        refused.err
    );
    std::fs::remove_file(&socket).unwrap();
    let refused = bench.run(&["--vault", "d", "--passphrase-file", file, "slot", "list"]);
    assert!(refused.refused(1).err.contains("--server URL --token-file"));
}

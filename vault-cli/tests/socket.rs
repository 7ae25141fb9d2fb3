//! A directory that a server holds: every command goes through the server's own socket.
//!
//! Counts as failure: a command that leaves its `vh_…` behind, a secret in any output or in the
//! server's log.

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::{Bench, CANARY, Dev, Outcome, PASSPHRASE};
use vault_cli::http::Client;

struct Scene {
    bench: Bench,
    server: Child,
    url: String,
    /// Everything that the server says, once it has stopped.
    log: Option<JoinHandle<Vec<String>>>,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::new();
        bench.init();
        let mut server = bench
            .command(&["serve", "--vault", "v", "--passphrase-file", "pass"])
            .args(["--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        let log = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self {
            bench,
            server,
            url,
            log: Some(log),
        }
    }

    /// On the directory, with the passphrase.
    fn feed(&self, args: &[&str], input: &str) -> Outcome {
        let all = ["--vault", "v", "--passphrase-file", "pass", "--json"];
        let outcome = self.bench.feed(&[&all, args].concat(), input);
        for text in [&outcome.out, &outcome.err] {
            assert!(!text.contains(PASSPHRASE) && !text.contains("vh_"));
        }
        outcome
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.feed(args, "")
    }

    /// Stops the server: its calls, each as `method route status`.
    fn calls(mut self) -> Vec<String> {
        kill_process(Pid::from_child(&self.server), Signal::TERM).unwrap();
        let log = self.log.take().unwrap().join().unwrap();
        assert!(self.server.wait().unwrap().success());
        for line in &log {
            for secret in [PASSPHRASE, CANARY, "vh_"] {
                assert!(!line.contains(secret), "{line}");
            }
        }
        let field = |line: &str, name: &str| {
            let (_, rest) = line.split_once(&format!("{name}="))?;
            Some(rest.split(' ').next()?.trim_matches('"').to_owned())
        };
        let call = |line: &String| {
            let [method, route, status] = ["method", "route", "status"].map(|n| field(line, n));
            Some(format!("{} {} {}", method?, route?, status?))
        };
        log.iter().filter_map(call).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn count(calls: &[String], call: &str) -> usize {
    calls.iter().filter(|made| *made == call).count()
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
    assert_eq!(keys["api_keys"].as_array().unwrap().len(), 2);

    let policy = vault_core::policy::SAMPLE.replace("P90D", "P60D");
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
    let bot = Client::new(&scene.url, next["secret"].as_str().unwrap()).unwrap();
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
    let erased = scene.run(&["--yes", "subject", "erase", subject]).json();
    assert_eq!(scene.run(&["subject", "show", subject]).code, 1);
    assert!(scene.run(&["retention", "run", "--dry-run"]).json()["would_drop"].is_object());
    scene.run(&["--yes", "retention", "run"]).json();

    let tail = scene
        .run(&["audit", "tail", "--action", "subjects.erase"])
        .json();
    assert_eq!(tail["entries"].as_array().unwrap().len(), 1);
    let note = scene.run(&["audit", "checkpoint"]).json();
    let kept = bench.file("kept", note["checkpoint"].as_str().unwrap(), 0o644);
    let verified = scene.run(&["audit", "verify", "--checkpoint", &kept]);
    assert_eq!(verified.json()["sound"], true);
    scene.run(&["audit", "export", "--to", "log.ndjson"]).json();
    let key = scene.run(&["audit", "key"]).json();
    let receipt = erased["receipt"]["body"]["receipt"].as_str().unwrap();
    let shown = scene.run(&["receipt", "show", receipt]);
    shown.json();
    let key = key["key"].as_str().unwrap();
    let proved = scene.feed(&["receipt", "verify", "-", "--key", key], &shown.out);
    assert_eq!(proved.json()["receipt"], receipt);

    let calls = scene.calls();
    let lent = count(&calls, "POST /v1/keyholder 201");
    assert!(lent > 20, "{calls:?}");
    assert_eq!(lent, count(&calls, "DELETE /v1/keyholder 200"));
}

#[test]
fn a_wrong_secret_is_refused_as_in_the_directory_and_calls_nothing() {
    let scene = Scene::new();
    let wrong = scene.bench.file("wrong", "another horse entirely", 0o600);
    let refused = scene
        .bench
        .run(&["--vault", "v", "--passphrase-file", &wrong, "slot", "list"]);
    refused.refused(3);
    assert!(refused.err.contains("no key slot opens"), "{}", refused.err);
    assert_eq!(scene.calls(), ["POST /v1/keyholder 401"]);
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

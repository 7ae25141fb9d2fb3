//! Backups by a server that holds the vault: the commands of docs/operations.md as they stand there, and the disaster, in which
//! the server is killed in the middle of its work and everything but the target is lost.
//!
//! Counts as failure: an erased person who comes back; anybody else of the backup of whom a value is missing or differs; a
//! command that names a place or a recipient to the server and is not refused.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::document::{lines_of, page, shell};
use support::{Bench, Outcome};
use vault_cli::http::Client;

const PATIENCE: Duration = Duration::from_secs(120);
const PEOPLE: usize = 30;
/// Every so many is erased after the backup.
const ERASED: usize = 6;

struct Served(Child, String);

impl Served {
    fn start(bench: &Bench, dir: &str) -> Self {
        let mut server = bench
            .command(&["serve", "--vault", dir, "--passphrase-file", "pass"])
            .env("VAULT_LISTEN", "127.0.0.1:0")
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
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self(server, url)
    }

    fn client(&self, token: &str) -> Client {
        Client::new(&self.1, token).unwrap()
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A vault that is to be served with backups as the guide has them, at `b`, for the identity in `identity.txt`.
fn configured() -> Bench {
    let bench = Bench::new();
    bench.init();
    let made = bench.run(&["backup", "identity", "--to", "identity.txt", "--json"]);
    let recipient = made.json()["recipient"].as_str().unwrap().to_owned();
    let lines = lines_of(&page(), "```toml backups");
    assert!(lines.len() > 5, "{lines:?}");
    let target = bench.path("b").display().to_string();
    let config = lines.join("\n");
    let config = config
        .replace("/mnt/backups", &target)
        .replace("age1…", &recipient);
    bench.file("v/vault.toml", &config, 0o600);
    bench
}

fn eventually(what: &str, so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn token(bench: &Bench, dir: &str, role: &str) -> String {
    let all = ["--vault", dir, "--passphrase-file", "pass", "--json"];
    let made = bench.run(&[&all[..], &["token", "create", "--role", role]].concat());
    made.json()["secret"].as_str().unwrap().to_owned()
}

fn ok(
    client: &Client,
    method: &str,
    path: &str,
    purpose: Option<&str>,
    body: Option<&Value>,
) -> Value {
    let reply = client.call(method, path, purpose, body);
    let reply = reply.map_err(|error| error.to_string()).unwrap();
    assert!(
        (200..300).contains(&reply.status),
        "{method} {path}: {}",
        reply.body
    );
    reply.body
}

fn profile(number: usize) -> Value {
    json!({"name": format!("Invented Person {number}"), "email": format!("p{number}@example.test")})
}

#[test]
fn the_commands_of_the_guide_work_through_the_server_and_name_it_nothing() {
    let bench = configured();
    let server = Served::start(&bench, "v");
    let lines = lines_of(&page(), "```sh run backups-served");
    assert!(lines.len() >= 5, "{lines:?}");
    // The first is made by the schedule, as soon as the server has started.
    let list = || bench.on(&["backup", "list"]).json();
    let file = bench.file("operator", &token(&bench, "v", "operator"), 0o600);
    let remote = |args: &[&str]| -> Outcome {
        let all = ["--server", &server.1, "--token-file", &file, "--json"];
        bench.run(&[&all[..], args].concat())
    };
    eventually("the schedule makes one", || {
        remote(&["backup", "list"]).json()["schedule"]["last_completed_at"].is_string()
    });
    for line in &lines {
        let ran = shell(bench.root.path(), &line.replace("/srv/vault", "v"));
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.err);
    }
    // On its directory, too, what a server holds is asked of it, also where the configuration there names the target:
    // the registry and the schedule, and a signature that is checked without a key being given.
    let listed = list();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2);
    assert!(listed["schedule"]["next_due_at"].is_string(), "{listed}");
    let verified = bench.on(&["backup", "verify"]).json();
    assert_eq!(
        (&verified["backups"], &verified["signature"]),
        (&json!(2), &json!("checked"))
    );
    // What opens it, and a target that is named, are read here.
    let opened = bench
        .on(&["backup", "verify", "--identity", "identity.txt"])
        .json();
    assert!(
        opened["verified"][0]["opened"]["people"].is_number(),
        "{opened}"
    );
    let named = bench.on(&["backup", "list", "--from", "b"]).json();
    assert!(named["backups"][0]["finished_at"].is_string() && named["schedule"].is_null());
    // What is the configuration's alone is no command's.
    let refused = |args: &[&str]| bench.on(args).json_error(2, "usage");
    refused(&["backup", "create", "--to", "elsewhere"]);
    refused(&["backup", "create", "--recipient", "identity.txt"]);
    refused(&["backup", "create", "--keys-for", "P9D"]);
    refused(&["backup", "prune", "--keep-last", "1", "--yes"]);
    assert!(!bench.path("elsewhere").exists());
    // The same place may be named; damage has its exit code.
    let made = bench.on(&["backup", "create", "--to", "b"]).json();
    let id = made["backup"].as_str().unwrap();
    assert_eq!(made["target"], bench.path("b").display().to_string());
    assert!(made["keys"]["expires_at"].is_string() && made["ledger_complete_until"].is_string());
    let rekeyed = bench.on(&["--yes", "backup", "rekey", id]).json();
    assert_eq!(
        (&rekeyed["people_whole"], &rekeyed["people_gone"]),
        (&json!(0), &json!(0))
    );
    let shown = remote(&["backup", "list"]).json();
    assert_eq!(shown["schedule"]["every"], "P1D");
    assert!(shown["schedule"]["next_due_at"].is_string());
    let object = bench.path(&format!("b/{id}/data-00000"));
    let mut bytes = std::fs::read(&object).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&object, &bytes).unwrap();
    remote(&["backup", "verify", id]).json_error(5, "damaged");
    server.stop();
}

#[test]
fn killed_under_load_after_erasures_the_vault_comes_back_from_the_target_without_the_erased() {
    let bench = configured();
    let [bot, dpo, operator] = ["bot", "dpo", "operator"].map(|role| token(&bench, "v", role));
    let server = Served::start(&bench, "v");
    let client = server.client(&bot);
    let person = |user: &str| {
        let who = json!({"channel": "web", "user": user});
        let made = ok(&client, "POST", "/v1/subjects", None, Some(&who));
        made["subject"].as_str().unwrap().to_owned()
    };
    let people: Vec<String> = (0..PEOPLE)
        .map(|number| {
            let subject = person(&format!("invented-{number}"));
            let path = format!("/v1/subjects/{subject}/records/profile");
            ok(
                &client,
                "PATCH",
                &path,
                Some("support"),
                Some(&profile(number)),
            );
            subject
        })
        .collect();
    let stop = AtomicBool::new(false);
    let (writes, backup) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut writes = 0;
            while !stop.load(Ordering::Relaxed) {
                let subject = &people[writes % PEOPLE];
                let path = format!("/v1/subjects/{subject}/records/messages");
                let message = json!({"text": format!("message {writes}")});
                let reply = client.call("POST", &path, Some("support"), Some(&message));
                // Those who were erased meanwhile are gone.
                let status = reply.map_err(|error| error.to_string()).unwrap().status;
                assert!(status == 201 || status == 410, "{status}");
                writes += 1;
            }
            writes
        });
        // The schedule's own may still be under way.
        let made = std::cell::RefCell::new(None);
        eventually("a backup is made", || {
            let ran = bench.on(&["backup", "create"]);
            if ran.code == 0 {
                *made.borrow_mut() = Some(ran.json()["backup"].clone());
            }
            ran.code == 0
        });
        let dpo = server.client(&dpo);
        for subject in people.iter().step_by(ERASED) {
            ok(
                &dpo,
                "DELETE",
                &format!("/v1/subjects/{subject}"),
                None,
                None,
            );
        }
        let operator = server.client(&operator);
        eventually("the ledger is at the target", || {
            let list = ok(&operator, "GET", "/v1/admin/backups", None, None);
            list["schedule"]["ledger"][0]["entries_behind"] == 0
        });
        stop.store(true, Ordering::Relaxed);
        (load.join().unwrap(), made.into_inner().unwrap())
    });
    assert!(writes > 0);
    // Without a word; and the disk with the vault and the anchor is gone.
    drop(server);
    for gone in ["v", "v-anchor"] {
        std::fs::remove_dir_all(bench.path(gone)).unwrap();
    }
    let id = backup.as_str().unwrap();
    let restore = |more: &[&str]| {
        let all = [
            "backup",
            "restore",
            "--from",
            "b",
            "--backup",
            id,
            "--identity",
            "identity.txt",
            "--into",
            "new",
            "--passphrase-file",
            "pass",
            "--accept-file-system",
            "--json",
        ];
        bench.run(&[&all[..], more].concat())
    };
    // It names the words: until when the target's copy is complete.
    let asked = restore(&[]);
    asked.json_error(4, "gap");
    let error: Value = serde_json::from_str(&asked.err).unwrap();
    let error = error.to_string().replace("\\\"", "\"");
    let (_, words) = error.split_once("--accept-gap \"").expect("the words");
    let words = words.split('"').next().unwrap();
    let restored = restore(&["--accept-gap", words]).json();
    let erased = people.iter().step_by(ERASED).count();
    assert_eq!(restored["people_erased_since"], erased);
    assert_eq!(restored["people"], PEOPLE - erased);
    let bot = token(&bench, "new", "bot");
    let server = Served::start(&bench, "new");
    let client = server.client(&bot);
    for (number, subject) in people.iter().enumerate() {
        let path = format!("/v1/subjects/{subject}/records/profile");
        let reply = client.call("GET", &path, Some("support"), None);
        let reply = reply.map_err(|error| error.to_string()).unwrap();
        if number % ERASED == 0 {
            assert_eq!(
                (reply.status, &reply.body["code"]),
                (410, &json!("erased")),
                "{number}"
            );
        } else {
            let fields = &reply.body["fields"];
            assert_eq!(
                (reply.status, &fields["name"]),
                (200, &profile(number)["name"])
            );
            assert_eq!(fields["email"], profile(number)["email"], "{number}");
        }
    }
    server.stop();
}

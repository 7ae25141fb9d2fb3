//! Key files and shares: given out, tried, used, and refused where they are not the right ones.
//!
//! Counts as failure: a secret that opens what it should not, one that does not open what it should, a
//! slot that goes before the new one is known to work, a share or a passphrase in any message.

mod support;

use serde_json::Value;
use support::{Bench, Outcome};
use vault_cli::http::Client;

const ANY: [&str; 3] = ["--vault", "v", "--json"];

fn with(bench: &Bench, secret: &[&str], args: &[&str]) -> Outcome {
    bench.run(&[&ANY[..], secret, args].concat())
}

/// Exit 3, and a message that says this.
fn refused(outcome: &Outcome, words: &str) {
    assert_eq!(outcome.code, 3, "{}{}", outcome.out, outcome.err);
    let error: Value = serde_json::from_str(&outcome.err).expect("one JSON document");
    let what = error["error"].as_str().unwrap();
    assert!(what.contains(words), "{what}");
    assert!(error["help"].as_str().is_some_and(|help| help.len() > 10));
}

fn slots(bench: &Bench) -> Vec<(u64, String)> {
    let slots = bench.on(&["slot", "list"]).json();
    let slots = slots["key_slots"].as_array().unwrap().iter();
    slots
        .map(|slot| {
            let kind = slot["kind"].as_str().unwrap();
            (slot["slot"].as_u64().unwrap(), kind.to_owned())
        })
        .collect()
}

fn shares(bench: &Bench, to: &str, more: &[&str]) -> Value {
    let add = ["slot", "add", "--kind", "shares", "--threshold", "2"];
    let to = ["--shares", "3", "--to", to];
    bench.on(&[&add[..], &to, more].concat()).json()
}

#[test]
fn a_key_file_opens_its_slot_and_one_changed_byte_opens_none() {
    let bench = Bench::new();
    bench.init();
    let content: String = (0..300)
        .map(|n| char::from(b'!' + (n % 90) as u8))
        .collect();
    let key = bench.file("key", &content, 0o600);
    let add = ["slot", "add", "--kind", "key-file", "--label", "boot"];
    let added = bench
        .on(&[&add[..], &["--secret-file", &key]].concat())
        .json();
    assert_eq!(
        (&added["kind"], &added["label"]),
        (&"key_file".into(), &"boot".into())
    );
    with(&bench, &["--key-file", &key], &["slot", "list"]).json();
    let by_variable = bench
        .command(&["--vault", "v", "--json", "slot", "list"])
        .env("VAULT_KEY_FILE", &key)
        .output()
        .unwrap();
    assert!(by_variable.status.success());
    for (place, end) in [(0, "\n"), (299, ""), (150, "")] {
        let mut bytes = content.clone().into_bytes();
        bytes[place] ^= u8::from(end.is_empty());
        let wrong = String::from_utf8(bytes).unwrap() + end;
        let wrong = bench.file("wrong", &wrong, 0o600);
        let opened = with(&bench, &["--key-file", &wrong], &["slot", "list"]);
        refused(&opened, "no key slot opens");
        let tested = [
            "slot",
            "test",
            "--kind",
            "key-file",
            "--secret-file",
            &wrong,
        ];
        refused(&with(&bench, &[], &tested), "opens no slot");
    }
    for (length, words) in [(31, "at least 32"), (0, "at least 32")] {
        let short = bench.file("short", &"k".repeat(length), 0o600);
        refused(
            &with(&bench, &["--key-file", &short], &["slot", "list"]),
            words,
        );
    }
    let long = bench.file("long", &"k".repeat(8_193), 0o600);
    assert_eq!(
        with(&bench, &["--key-file", &long], &["slot", "list"]).code,
        1
    );
    let open = bench.file("open", &content, 0o644);
    assert_eq!(
        with(&bench, &["--key-file", &open], &["slot", "list"]).code,
        1
    );
    // The kind is part of the slot: the same bytes are no passphrase.
    let passphrase = with(&bench, &["--passphrase-file", &key], &["slot", "list"]);
    refused(&passphrase, "no key slot opens");
}

#[test]
fn shares_open_the_vault_together_and_wrong_ones_are_told_apart() {
    let bench = Bench::new();
    bench.init();
    shares(&bench, "one", &[]);
    shares(&bench, "two", &[]);
    let file = |set: &str, number: u8| format!("{set}/share-{number}.txt");
    let open = |files: &[&str]| {
        let flags = files.iter().flat_map(|file| ["--share-file", file]);
        with(&bench, &flags.collect::<Vec<_>>(), &["slot", "list"])
    };
    let [first, second, third] = [1, 2, 3].map(|number| file("one", number));
    for pair in [[&first, &second], [&third, &first], [&second, &third]] {
        open(&pair.map(String::as_str)).json();
    }
    open(&[&first, &second, &third]).json();
    refused(&open(&[&first]), "2 shares are needed, and 1 given");
    refused(&open(&[&first, &first]), "given twice");
    refused(&open(&[&first, &file("two", 2)]), "different sets");
    // A typing error, and a line that is none at all.
    let text = std::fs::read_to_string(bench.path(&first)).unwrap();
    let digit = if text.starts_with('0') { "1" } else { "0" };
    let typo = bench.file("typo", &format!("{digit}{}", &text[1..]), 0o600);
    refused(
        &open(&[&second, &typo]),
        "share 2: a share has a typing error",
    );
    let none = bench.file("none", "no share", 0o600);
    refused(&open(&[&second, &none]), "64 characters");
    // A set whose slot is gone: right in itself, and opens nothing.
    let (number, _) = slots(&bench)[3].clone();
    bench
        .on(&["--yes", "slot", "remove", &number.to_string()])
        .json();
    refused(
        &open(&[&file("two", 1), &file("two", 2)]),
        "no key slot opens",
    );
    let both = bench.file(
        "both",
        &std::fs::read_to_string(bench.path(&second)).unwrap(),
        0o600,
    );
    let tested = with(
        &bench,
        &["--share-file", &first, "--share-file", &both],
        &["slot", "test"],
    );
    assert_eq!(tested.json()["slot"], 3);
}

#[test]
fn a_slot_that_is_replaced_goes_with_the_new_one_and_not_before_the_shares_are_back() {
    let bench = Bench::new();
    bench.init();
    let before = slots(&bench);
    // Nobody to type them back, and no place for files: nothing is made and nothing goes.
    let add = [
        "slot",
        "add",
        "--kind",
        "shares",
        "--threshold",
        "2",
        "--shares",
        "3",
    ];
    let nobody = bench.on(&[&add[..], &["--replaces", "1"]].concat());
    assert_eq!(nobody.code, 2);
    let taken = bench.on(&[&add[..], &["--replaces", "1", "--to", "v"]].concat());
    assert_eq!(taken.code, 1);
    assert_eq!(slots(&bench), before);
    for numbers in [["1", "3"], ["4", "3"], ["2", "16"]] {
        let add = [
            "slot",
            "add",
            "--kind",
            "shares",
            "--to",
            "x",
            "--threshold",
        ];
        let outcome = bench.on(&[&add[..], &[numbers[0], "--shares", numbers[1]]].concat());
        assert_eq!(outcome.code, 2, "{numbers:?}");
    }
    let absent = bench.on(&[&add[..], &["--replaces", "9", "--to", "y"]].concat());
    assert_eq!(absent.code, 1);
    assert!(
        !bench.path("y").exists(),
        "found out before shares are made"
    );
    shares(&bench, "set", &["--replaces", "1"]);
    let flags = [
        "--share-file",
        "set/share-1.txt",
        "--share-file",
        "set/share-3.txt",
    ];
    let kinds = with(&bench, &flags, &["slot", "list"]).json();
    let kinds: Vec<&str> = kinds["key_slots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| slot["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["recovery_key", "shares"]);
    refused(&bench.on(&["slot", "list"]), "no key slot opens");
    // Their last but the recovery key: told before and after.
    let removed = with(&bench, &flags, &["--yes", "slot", "remove", "3"]).json();
    assert!(
        removed["warning"]
            .as_str()
            .unwrap()
            .contains("recovery keys alone")
    );
}

#[test]
fn the_last_slot_stays() {
    let bench = Bench::new();
    let made = bench.init();
    let key = bench.file("recovery", made["recovery_key"].as_str().unwrap(), 0o600);
    let recovery = ["--recovery-key-file", &key];
    with(&bench, &recovery, &["--yes", "slot", "remove", "1"]).json();
    let last = with(&bench, &recovery, &["--yes", "slot", "remove", "2"]);
    assert_eq!(last.code, 1);
    let error: Value = serde_json::from_str(&last.err).unwrap();
    assert_eq!(error["code"], "conflict");
    assert!(error["error"].as_str().unwrap().contains("slot add"));
    with(&bench, &recovery, &["slot", "list"]).json();
}

#[test]
fn every_kind_is_tried_without_opening_the_vault_also_while_a_server_holds_it() {
    let bench = Bench::new();
    let made = bench.init();
    let recovery = bench.file("recovery", made["recovery_key"].as_str().unwrap(), 0o600);
    let key = bench.file("key", &"k".repeat(32), 0o600);
    bench
        .on(&["slot", "add", "--kind", "key-file", "--secret-file", &key])
        .json();
    shares(&bench, "set", &[]);
    let pair = ["set/share-2.txt", "set/share-3.txt"].map(|name| {
        let text = std::fs::read_to_string(bench.path(name)).unwrap();
        text.trim().to_owned()
    });
    let pair = bench.file("pair", &pair.join("\n"), 0o600);
    let kinds = [
        ("passphrase", "pass", 1),
        ("recovery-key", &recovery, 2),
        ("key-file", &key, 3),
        ("shares", &pair, 4),
    ];
    let database = std::fs::read(bench.path("v/vault.redb")).unwrap();
    let test_all = || {
        for (kind, file, number) in kinds {
            let test = ["slot", "test", "--kind", kind, "--secret-file", file];
            assert_eq!(with(&bench, &[], &test).json()["slot"], number, "{kind}");
        }
    };
    test_all();
    // Not even a recovery has written to it.
    assert!(database == std::fs::read(bench.path("v/vault.redb")).unwrap());

    // A server that waits: it is opened over HTTP by each kind, and its own configuration's.
    let read = |path: &str| std::fs::read_to_string(bench.root.path().join(path)).unwrap();
    let served = Served::start(&bench, "wait");
    test_all();
    let shares: Vec<String> = read(&pair).lines().map(str::to_owned).collect();
    let mut wrong = shares.clone();
    wrong.pop();
    let unlock = |body: Value| served.call("POST", "/v1/unlock", &body);
    let (status, answer) = unlock(serde_json::json!({"shares": wrong}));
    assert_eq!(status, 422);
    assert!(
        answer
            .to_string()
            .contains("2 shares are needed, and 1 given")
    );
    assert!(!answer.to_string().contains(&shares[0]));
    let (status, _) = unlock(serde_json::json!({"key_file": "a2tr", "shares": shares}));
    assert_eq!(status, 422, "one of them");
    let (status, answer) = unlock(serde_json::json!({"shares": shares}));
    assert_eq!(status, 200, "{answer}");
    drop(served);
    let served = Served::start(&bench, "wait");
    let content = "a2tr".repeat(10) + "a2s=";
    let (status, answer) = served.call(
        "POST",
        "/v1/unlock",
        &serde_json::json!({"key_file": content}),
    );
    assert_eq!(status, 200, "{answer}");
    drop(served);
    let served = Served::start(&bench, &format!("keyfile:{key}"));
    let (status, answer) = served.call("GET", "/readyz", &Value::Null);
    assert_eq!((status, &answer["status"]), (200, &"ready".into()));
}

/// `serve` on `v`.
struct Served(std::process::Child, Client);

impl Served {
    fn start(bench: &Bench, unlock: &str) -> Self {
        use std::io::{BufRead, BufReader};
        let config = format!("unlock = {unlock:?}\nlisten = \"127.0.0.1:0\"\n");
        std::fs::write(bench.path("v/vault.toml"), config).unwrap();
        let mut child = bench
            .command(&["serve", "--vault", "v"])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self(child, Client::new(&url, "none").unwrap())
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = (!body.is_null()).then_some(body);
        let reply = self.1.call(method, path, None, body).unwrap();
        (reply.status, reply.body)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_kind_that_is_meant_is_not_answered_for_by_another_secret_at_hand() {
    let bench = Bench::new();
    bench.init();
    // The passphrase is at hand, as it always is: of it nobody asked.
    let asked = bench.on(&["slot", "test", "--kind", "recovery-key"]);
    asked.json_error(2, "usage");
    let asked = bench.on(&["slot", "test", "--kind", "shares"]);
    asked.json_error(2, "usage");
    // The control: of its own kind, or of no kind in particular, it is tried.
    for more in [&["--kind", "passphrase"][..], &[]] {
        let tried = bench.on(&[&["slot", "test"][..], more].concat()).json();
        assert_eq!(tried["slot"], 1);
    }
}

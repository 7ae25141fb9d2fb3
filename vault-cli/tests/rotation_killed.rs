//! kill -9 while everybody gets new keys: the command on a directory, and a server under load.
//!
//! Counts as failure: a key from before the rotation that a person still has when it has ended, a
//! message that was acknowledged and is not there, a vault that does not open again, a rotation that
//! does not go on. Does not count: people who are given new keys twice, because the leaf that they
//! are in was cut off.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::{Bench, Dev};

const PEOPLE: usize = 200;

/// What calls a server.
struct Caller {
    url: String,
    tokens: Value,
}

impl Caller {
    fn of(dev: &Dev) -> Self {
        Self {
            url: dev.url().to_owned(),
            tokens: dev.1["tokens"].clone(),
        }
    }

    /// Status and body, or `None` if the server is gone.
    fn call(&self, role: &str, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url))
            .header(
                "Authorization",
                format!("Bearer {}", self.tokens[role].as_str().unwrap()),
            )
            .header("Vault-Purpose", "support")
            .header("Content-Type", "application/json");
        let mut answer = match method {
            "GET" => agent.run(request.body(()).unwrap()),
            _ => agent.run(request.body(body.to_string()).unwrap()),
        }
        .ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), serde_json::from_str(&body).ok()?))
    }

    fn good(&self, role: &str, method: &str, path: &str, body: &Value) -> Value {
        let (status, body) = self.call(role, method, path, body).expect("it is there");
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        body
    }

    fn people(&self) -> Vec<String> {
        let person = |number: usize| {
            let user = json!({"channel": "web", "user": format!("user {number}")});
            let made = self.good("bot", "POST", "subjects", &user);
            let subject = made["subject"].as_str().unwrap().to_owned();
            self.write(&subject, "before").expect("it is there");
            subject
        };
        (0..PEOPLE).map(person).collect()
    }

    fn write(&self, subject: &str, text: &str) -> Option<()> {
        let path = format!("subjects/{subject}/records/messages");
        let body = json!({"from": "user", "text": text});
        let (status, _) = self.call("bot", "POST", &path, &body)?;
        assert_eq!(status, 201);
        Some(())
    }

    fn texts(&self, subject: &str) -> Vec<String> {
        let path = format!("subjects/{subject}/records/messages?limit=1000");
        let body = self.good("bot", "GET", &path, &Value::Null);
        let records = body["records"].as_array().unwrap().iter();
        records
            .map(|record| record["fields"]["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The numbers of a person's keys; none waits for its end.
    fn keys(&self, subject: &str) -> BTreeSet<u64> {
        let path = format!("admin/keys?subject={subject}");
        let body = self.good("operator", "GET", &path, &Value::Null);
        let keys = body["subject_keys"].as_array().unwrap().iter();
        keys.map(|key| {
            assert!(key["state"] == "current" && key["values"].as_u64() > Some(0));
            key["key"].as_u64().unwrap()
        })
        .collect()
    }

    fn rotation(&self) -> Value {
        self.good("operator", "GET", "admin/keys", &Value::Null)["rotation"].take()
    }

    /// Nothing lies under a key of the system keyset from before.
    fn no_system_key_waits(&self) {
        let keys = self.good("operator", "GET", "admin/keys?values=true", &Value::Null);
        let keys = keys["system_keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2, "one for rows, one for the log: {keys:?}");
        assert!(keys.iter().all(|key| key["state"] == "current"));
    }

    fn found(&self, people: &[String]) {
        for (number, subject) in people.iter().enumerate() {
            let user = json!({"channel": "web", "user": format!("user {number}")});
            let found = self.good("bot", "POST", "subjects/lookup", &user);
            assert_eq!(found["subject"], **subject, "user {number}");
        }
    }

    /// Returns once a rotation is at this stage, or has ended.
    fn until(&self, stage: &str) {
        loop {
            let rotation = self.rotation();
            if rotation["stage"] == stage || rotation["state"] == "done" {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn until_done(&self) {
        while self.rotation()["state"] != "done" {
            std::thread::yield_now();
        }
    }
}

fn start(bench: &Bench) -> (Dev, Caller) {
    let dev = Dev::start(bench, "");
    let caller = Caller::of(&dev);
    (dev, caller)
}

#[test]
fn a_server_that_is_killed_under_load_goes_on_by_itself_and_loses_nothing() {
    let bench = Bench::new();
    let (mut dev, mut caller) = start(&bench);
    let people = caller.people();
    let written: Mutex<Vec<(String, String)>> = Mutex::default();
    let mut cut_off = 0;
    for (round, kill_after) in [3, 11, 24, 40, 64].into_iter().enumerate() {
        let before: BTreeMap<&String, BTreeSet<u64>> =
            people.iter().map(|one| (one, caller.keys(one))).collect();
        let begun = caller.good(
            "operator",
            "POST",
            "admin/keys/rotate",
            &json!({"scope": "all", "deep": round % 2 == 1}),
        );
        assert_eq!(begun["resumed"], false, "{begun}");
        let answers = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (caller, people) = (&caller, &people);
                let (answers, written) = (&answers, &written);
                scope.spawn(move || {
                    for turn in 0.. {
                        let subject = &people[(turn * 7 + thread * 41) % people.len()];
                        let text = format!("{round} {thread} {turn}");
                        if caller.write(subject, &text).is_none() {
                            return;
                        }
                        written.lock().unwrap().push((subject.clone(), text));
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            while answers.load(Ordering::SeqCst) < kill_after {
                std::thread::yield_now();
            }
            // A deep one is cut off where only a deep one comes.
            match round {
                1 => caller.until("index"),
                3 => caller.until("rows"),
                _ => {}
            }
            dev.0.kill().unwrap();
        });
        drop(dev);
        (dev, caller) = start(&bench);
        cut_off += usize::from(caller.rotation()["state"] != "done");
        // Goes on under load as well, without anybody asking.
        std::thread::scope(|scope| {
            let done = scope.spawn(|| caller.until_done());
            for turn in 0.. {
                if done.is_finished() {
                    break;
                }
                let subject = &people[turn % people.len()];
                let text = format!("{round} later {turn}");
                caller.write(subject, &text).expect("it is there");
                written.lock().unwrap().push((subject.clone(), text));
            }
        });
        let rotation = caller.rotation();
        assert_eq!(
            (&rotation["people_left"], &rotation["number"]),
            (&json!(0), &json!(round + 1))
        );
        // Nothing is damaged, and whoever is written in the middle is not taken for it.
        for count in [
            "people_skipped",
            "people_unindexed",
            "people_unsought",
            "rows_damaged",
        ] {
            assert_eq!(rotation[count], 0, "{count}: {rotation}");
        }
        caller.no_system_key_waits();
        caller.found(&people);
        for (subject, old) in before {
            let new = caller.keys(subject);
            assert!(old.is_disjoint(&new), "{round}: {old:?} and {new:?}");
        }
    }
    assert!(cut_off >= 2, "the kills met it at work {cut_off} times");
    let written = written.into_inner().unwrap();
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (subject, text) in &written {
        expected.entry(subject).or_default().push(text);
    }
    assert!(written.len() > 150);
    for subject in &people {
        let texts = caller.texts(subject);
        assert_eq!(texts[0], "before");
        for text in expected.get(&**subject).into_iter().flatten() {
            assert!(texts.iter().any(|one| one == text), "{text} is lost");
        }
    }
}

/// Kills the child once the anchor was written to so often; whether it had ended before.
fn kill_after(child: &mut Child, anchor: &Path, writes: usize) -> bool {
    let look = || {
        let meta = std::fs::metadata(anchor).unwrap();
        (meta.mtime(), meta.mtime_nsec())
    };
    let (mut last, mut seen) = (look(), 0);
    while seen < writes {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        let now = look();
        if now != last {
            (last, seen) = (now, seen + 1);
        }
    }
    // On Unix this is SIGKILL: no handler runs, nothing is flushed.
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

#[test]
fn a_command_that_is_killed_at_twenty_moments_ends_at_zero_old_keys() {
    let bench = Bench::new();
    let (dev, caller) = start(&bench);
    let people = caller.people();
    let before: BTreeMap<&String, BTreeSet<u64>> =
        people.iter().map(|one| (one, caller.keys(one))).collect();
    drop(dev);
    // HKDF instead of Argon2id, twenty times: a key file.
    let key = bench.file("key", &"k".repeat(40), 0o600);
    let on = ["--vault", "d", "--yes", "--json"];
    let add = [
        "--passphrase-file",
        "d-passphrase",
        "slot",
        "add",
        "--kind",
        "key-file",
        "--secret-file",
        &key,
    ];
    bench.run(&[&on[..], &add].concat()).json();
    let rotate = [&on[..], &["--key-file", &key, "key", "rotate", "all"]].concat();
    let anchor = bench.path("d-anchor/anchor");
    let (mut kills, mut resumed, mut ended) = (0, 0, 0);
    for turn in 0..20 {
        // Opening and recovering write to it a few times; each leaf does a few times more.
        let writes = 1 + turn * 5 % 17;
        let mut child = bench
            .command(&rotate)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if kill_after(&mut child, &anchor, writes) {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            resumed += usize::from(answer["resumed"] == true);
            assert_eq!(answer["rotation"]["people_left"], 0);
            ended += 1;
        } else {
            kills += 1;
        }
    }
    let answer = bench.run(&rotate).json();
    assert_eq!(answer["rotation"]["state"], "done");
    assert!(
        kills >= 10,
        "{kills} kills, {resumed} resumed, {ended} ended"
    );
    let (_dev, caller) = start(&bench);
    for (subject, old) in before {
        assert!(old.is_disjoint(&caller.keys(subject)));
        assert_eq!(caller.texts(subject), ["before"]);
    }
}

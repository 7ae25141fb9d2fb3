//! docs/operations.md, the sections about people, files, slots and keys: each command as it stands there.
//!
//! Counts as failure: a command that does not work as it is written, and one that does nothing of what its section
//! says. Replaced are names that the page cannot know: where the vault lies, whose the person is, to whom a
//! package is encrypted. What only another machine has (`systemd-creds`) is not run.

mod support;

use serde_json::{Value, json};
use support::document::{block_of, commands_of, page, shell};
use support::seat::Seat;
use support::{Bench, Outcome};

/// A vault with a person, under the sample policy with a role that may see what it exports.
struct Scene {
    bench: Bench,
    person: String,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::new();
        bench.file("pass", support::PASSPHRASE, 0o600);
        let sample = vault_core::policy::SAMPLE;
        let seeing = sample.replacen(
            "[roles.dpo]\n",
            "[roles.dpo]\nread = { \"*\" = \"full\" }\n",
            1,
        );
        assert_ne!(seeing, sample);
        bench.file("policy.toml", &seeing, 0o644);
        let init = [
            "init",
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--json",
        ];
        let made = bench.run(
            &[
                &init[..],
                &["--accept-file-system", "--policy", "policy.toml"],
            ]
            .concat(),
        );
        let key = made.json()["recovery_key"].as_str().unwrap().to_owned();
        bench.file("key.txt", &key, 0o600);
        // Somebody who was there before.
        let made = bench.on(&["token", "create", "--role", "bot"]).json();
        let token = bench.file("setup.token", made["secret"].as_str().unwrap(), 0o600);
        bench.file("setup.csv", "who,text\ncy,hello\n", 0o644);
        let map =
            "[identity]\nchannel = \"web\"\nuser = \"who\"\n[columns]\ntext = \"messages.text\"\n";
        bench.file("setup.toml", map, 0o644);
        let import = ["import", "setup.csv", "--mapping", "setup.toml"];
        bench
            .on(&[&["--token-file", &token][..], &import].concat())
            .json();
        let mut scene = Self {
            bench,
            person: String::new(),
        };
        scene.person = scene.find("cy")["subject"].as_str().unwrap().to_owned();
        scene
    }

    fn find(&self, user: &str) -> Value {
        let args = [
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--json",
            "subject",
            "find",
        ];
        let asked = json!({"channel": "web", "user": user}).to_string();
        self.bench.feed(&args, &asked).json()
    }

    /// A line of the page with the names of this test.
    fn filled(&self, line: &str) -> String {
        let identity = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        line.replace("/srv/vault", "v")
            .replace("sub_…", &self.person)
            .replace("age1…", identity)
    }

    fn run(&self, line: &str) -> Outcome {
        let line = self.filled(line);
        let ran = shell(self.bench.root.path(), &line);
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.err);
        ran
    }

    /// Runs a section.
    fn section(&self, name: &str) -> Vec<Outcome> {
        let lines = commands_of(&page(), name);
        assert!(lines.len() >= 4, "{lines:?}");
        lines.iter().map(|line| self.run(line)).collect()
    }
}

#[test]
fn a_person_gets_their_data_and_files_are_imported_as_it_is_written() {
    let scene = Scene::new();
    scene.section("A person asks for their data");
    let read = |name: &str| std::fs::read(scene.bench.path(name)).unwrap();
    assert!(read("package.zip").starts_with(b"PK"));
    assert!(read("package.zip.age").starts_with(b"age-encryption.org/v1"));
    let portable: Value = serde_json::from_slice(&read("portable.json")).unwrap();
    assert_eq!(portable["right"], "portability");
    assert_eq!(portable["records"][0]["fields"]["text"], "hello");

    let page = page();
    for name in ["people.toml", "people.csv"] {
        let language = name.split('.').nth(1).unwrap();
        let text = block_of(&page, &format!("```{language} {name}"));
        scene.bench.file(name, &text, 0o644);
    }
    let ran = scene.section("Import");
    // The dry run wrote nothing that the run after it did not write.
    assert!(ran[2].out.contains("would be written"), "{}", ran[2].out);
    for user in ["4711", "4712"] {
        scene.find(user);
    }
    assert_eq!(read("refused.jsonl"), b"");
    assert_eq!(scene.bench.on(&["status"]).json()["people"], 3);
}

#[test]
fn slots_are_added_used_and_tried_as_it_is_written() {
    let scene = Scene::new();
    let mut left_out = Vec::new();
    for line in commands_of(&page(), "Slots") {
        if line.starts_with("systemd-creds ") {
            left_out.push(line);
        } else if line.ends_with("serve --ask-shares") {
            serve_with_shares(&scene, &line);
        } else {
            scene.run(&line);
        }
    }
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    // The passphrase was replaced, and what replaced it opens.
    assert_eq!(scene.bench.on(&["status"]).code, 3);
    let by_file = [
        "--vault",
        "v",
        "--json",
        "--key-file",
        "boot.key",
        "slot",
        "list",
    ];
    let slots = scene.bench.run(&by_file).json();
    let kinds: Vec<&str> = slots["key_slots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| slot["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["recovery_key", "key_file", "shares"]);
}

/// At a terminal, as the shares are asked for there; ended as one ends it there.
fn serve_with_shares(scene: &Scene, line: &str) {
    let line = scene.filled(line);
    let (program, args) = line.split_once(' ').unwrap();
    assert_eq!(program, "vault-cli");
    // Any free port, so that tests do not meet.
    scene
        .bench
        .file("v/vault.toml", "listen = \"127.0.0.1:0\"\n", 0o600);
    let args: Vec<&str> = args.split(' ').collect();
    let mut seat = Seat::take(&scene.bench, 200, &args);
    let share = |number: u8| {
        let path = scene.bench.path(&format!("shares/share-{number}.txt"));
        std::fs::read_to_string(path).unwrap()
    };
    seat.see("First share").send(&share(1));
    seat.see("Share 2 of 2").send(&share(3));
    seat.see("listening on");
    // Ctrl-C.
    seat.send("\u{3}");
    assert_eq!(seat.end().0, 0);
    std::fs::remove_file(scene.bench.path("v/vault.toml")).unwrap();
}

#[test]
fn keys_are_rotated_as_it_is_written() {
    let scene = Scene::new();
    let status = || scene.bench.on(&["key", "status", &scene.person]).json();
    let before = status();
    scene.section("Rotation");
    let after = status();
    assert_ne!(before["subject_keys"], after["subject_keys"]);
    assert_eq!(after["rotation"]["people_left"], 0);
}

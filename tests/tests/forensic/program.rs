//! The auditor's program, run as one would: on the directory of a vault, with a passphrase and lists.
//!
//! Counts as failure: an exit code that is not the one that its documentation names, or a thing of the
//! list in its output.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::person::photograph;
use super::scene::Scene;

struct Desk {
    parent: tempfile::TempDir,
}

impl Desk {
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.parent.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs it on the vault, with these flags and files.
    fn run(&self, flags: &[(&str, &PathBuf)]) -> (i32, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_forensic"));
        program.arg(self.parent.path().join("vault"));
        for (flag, path) in flags {
            program.arg(flag).arg(path);
        }
        let Output {
            status,
            stdout,
            stderr,
        } = program.output().unwrap();
        let text = [stdout, stderr]
            .map(|text| String::from_utf8(text).unwrap())
            .concat();
        for word in ["alida", "Alida", "bertus", "Bertus"] {
            assert!(!text.contains(word), "{text}");
        }
        (status.code().unwrap(), text)
    }
}

#[test]
fn it_tells_what_it_found_by_its_exit_code_and_never_names_it() {
    let scene = Scene::open();
    let [alida, bertus] = ["Alida", "Bertus"].map(|name| scene.person(name));
    // Longer than what is looked for unless told, and a photograph of two chunks.
    let long = format!("{}And Bertus is done.", "Bertus says so. ".repeat(2_000));
    scene.records("POST", &bertus.subject, "messages", &json!({"text": long}));
    scene.photo(
        "PUT",
        &bertus.subject,
        &photograph("Bertus abroad", 300_000),
    );
    let before = scene.image();
    let path = format!("subjects/{}", alida.subject);
    scene.call("dpo", "DELETE", &path, &Value::Null);
    let passphrase = scene.passphrase.clone();
    let (_, parent) = scene.stop();
    let desk = Desk { parent };
    let lines = |user: &str, subject: &str, words: &[&str]| {
        let identity = [format!("channel:web/{user}"), format!("subject:{subject}")];
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(identity).collect::<Vec<_>>().join("\n")
    };
    let words = [
        "alida@mail.example.test",
        "Alida lost a suitcase",
        "bk-alida",
    ];
    let gone = desk.write("gone", lines("user-alida", &alida.subject, &words));
    let words = [
        "bertus@mail.example.test",
        "Bertus abroad in a photograph",
        "And Bertus is done.",
    ];
    let there = desk.write("there", lines("user-bertus", &bertus.subject, &words));
    let nobody = desk.write("nobody", "somebody@mail.example.test\n");
    let secret = desk.write("secret", format!("{passphrase}\n"));
    let wrong = desk.write("wrong", "another passphrase");
    let short = desk.write("short", "abc");
    let database = desk.write("database", &before.database);
    let anchor = desk.write("anchor", &before.anchor);
    let reach = PathBuf::from("65536");
    let with = |list: &PathBuf, more: &[(&str, &PathBuf)]| {
        let flags: [(&str, &PathBuf); 2] = [("--passphrase-file", &secret), ("--list", list)];
        desk.run(&[&flags, more].concat())
    };
    let (code, text) = with(
        &gone,
        &[
            ("--must-find", &there),
            ("--longest", &reach),
            ("--copy", &database),
        ],
    );
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("line 5: its tombstone is there"), "{text}");
    assert!(
        text.contains(
            "of 5 things that must not be found, found: 0; of 5 that must be, not found: 0"
        ),
        "{text}"
    );
    // With what an anchor's backup would give.
    let (code, text) = with(&gone, &[("--copy", &database), ("--anchor-copy", &anchor)]);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("must not be found, found: 5;"), "{text}");
    let (code, text) = with(&there, &[]);
    assert_eq!(code, 5, "{text}");
    let (code, text) = with(&gone, &[("--must-find", &nobody)]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("this proves nothing: [1]"), "{text}");
    // So does a reader that looks for short values only: it does not come to the end of this one.
    let (code, text) = with(&gone, &[("--must-find", &there)]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("this proves nothing: [3]"), "{text}");
    let (code, text) = desk.run(&[("--passphrase-file", &wrong), ("--list", &gone)]);
    assert_eq!((code, text.contains("no key slot")), (3, true), "{text}");
    let (code, text) = with(&short, &[]);
    assert_eq!((code, text.contains("line 1 of")), (2, true), "{text}");
    assert_eq!(desk.run(&[("--list", &gone)]).0, 2);
    assert_eq!(with(&desk.parent.path().join("none"), &[]).0, 1);
}

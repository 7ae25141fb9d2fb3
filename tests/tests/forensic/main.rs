//! Somebody with every byte of the disk, a backup of it from before, and the passphrase, after
//! erasures.
//!
//! A reader of its own, written from docs/format.md: it shares no code with the vault. It opens the
//! key slots with the passphrase, takes whatever the anchor holds, follows every key that it derives
//! or opens, and decrypts with each of them at every offset of the raw files, freed pages and the
//! backup included, authenticated or not. It computes the position of every look-up value under
//! every key.
//!
//! Counts as failure: a value, look-up entry, keyset or entry in the people map of an erased person,
//! or a value that was replaced or deleted before the sweeper ran. The control is the same reader
//! over the same bytes with the anchor file from before: it must find every one of them, or it
//! would prove nothing.

#![expect(clippy::print_stderr, reason = "the counts are for whoever runs this")]

mod reader;

use std::fs;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};

use reader::{Found, Raw, read_everything};

const PEOPLE: usize = 16;
/// Erased one by one.
const ERASED: [usize; 2] = [3, 11];
/// Erased at the same time.
const ERASED_TOGETHER: [usize; 3] = [5, 6, 14];
/// Whose address is corrected, and whose first message is deleted.
const CORRECTED: usize = 1;

/// What every value here begins with, telephone numbers and all else.
const MARKS: [&[u8]; 2] = [b"cnry", b"+3164275"];

fn call(running: &Running, method: &str, path: &str, role: &str, body: &Value) -> Value {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/v1/{path}", running.url))
        .header("Authorization", format!("Bearer {}", running.token(role)))
        .header("Vault-Purpose", "support")
        .header("Content-Type", "application/json");
    let mut answer = match method {
        "DELETE" => ureq::run(request.body(()).unwrap()).unwrap(),
        _ => ureq::run(request.body(body.to_string()).unwrap()).unwrap(),
    };
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap_or_default()
}

fn bits(subject: &str) -> [u8; 16] {
    let mut base32 = data_encoding::Specification::new();
    base32.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    let base32 = base32.encoding().unwrap();
    let bits = base32.decode(subject.strip_prefix("sub_").unwrap().as_bytes());
    bits.unwrap().try_into().unwrap()
}

struct Somebody {
    subject: String,
    number: usize,
    first_message: String,
}

impl Somebody {
    fn create(running: &Running, number: usize) -> Self {
        let user = json!({"channel": "web", "user": user(number)});
        let created = call(running, "POST", "subjects", "bot", &user);
        let subject = created["subject"].as_str().unwrap().to_owned();
        let profile = json!({
            "name": format!("cnry-name-{number:02}"),
            "email": email(number),
            "phone": phone(number),
        });
        let path = format!("subjects/{subject}/records/profile");
        call(running, "PATCH", &path, "bot", &profile);
        let path = format!("subjects/{subject}/records/messages");
        let mut first_message = String::new();
        for message in 0..2 {
            let body = json!({"from": "user", "text": format!("cnry-text-{number:02}-{message}")});
            let answer = call(running, "POST", &path, "bot", &body);
            if message == 0 {
                first_message = answer["record"].as_str().unwrap().to_owned();
            }
        }
        let consent = json!({"given": true, "notice": format!("cnry-notice-{number:02}")});
        let path = format!("subjects/{subject}/consents/newsletter");
        call(running, "PUT", &path, "bot", &consent);
        Self {
            subject,
            number,
            first_message,
        }
    }

    /// Every text that is stored of this person.
    fn texts(&self) -> Vec<String> {
        let number = self.number;
        vec![
            user(number),
            format!("cnry-name-{number:02}"),
            email(number),
            phone(number),
            format!("cnry-text-{number:02}-0"),
            format!("cnry-text-{number:02}-1"),
            format!("cnry-notice-{number:02}"),
        ]
    }

    /// Every value that this person can be found by, in normal form.
    fn look_ups(&self) -> [Vec<u8>; 3] {
        let channel = [&[0, 0, 0, 3], &b"web"[..], user(self.number).as_bytes()].concat();
        [
            channel,
            email(self.number).into(),
            phone(self.number).into(),
        ]
    }
}

fn user(number: usize) -> String {
    format!("cnry-user-{number:02}")
}

fn email(number: usize) -> String {
    format!("cnry-mail-{number:02}@example.test")
}

fn phone(number: usize) -> String {
    format!("+3164275{number:04}")
}

/// Copies of the files as they are now: database and journal.
fn files(running: &Running) -> Vec<u8> {
    let mut bytes = fs::read(running.dir.join("vault.redb")).unwrap();
    bytes.extend(fs::read(running.dir.join("journal")).unwrap());
    bytes
}

/// What of a person the reader has: entries in the people map, keysets, entries of the index.
fn structure(found: &Found, person: &Somebody) -> [usize; 3] {
    let subject = bits(&person.subject);
    let look_ups = person.look_ups();
    [
        found
            .people
            .iter()
            .filter(|(tag, _)| *tag == subject)
            .count(),
        found.keysets.iter().filter(|id| **id == subject).count(),
        look_ups
            .iter()
            .filter(|normal| found.at_positions_of(normal) > 0)
            .count(),
    ]
}

#[test]
fn no_key_that_can_be_derived_opens_anything_of_the_erased_at_any_offset() {
    let parent = tempfile::tempdir().unwrap();
    let options = DevOptions {
        dir: Some(parent.path().join("vault")),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..DevOptions::default()
    };
    let running = start(options).map_err(|_| "dev does not start").unwrap();
    let people: Vec<Somebody> = (0..PEOPLE).map(|n| Somebody::create(&running, n)).collect();
    let anchor = running.anchor.join("anchor");
    let anchor_before = fs::read(&anchor).unwrap();
    let backup = files(&running);

    let corrected = &people[CORRECTED];
    let path = format!("subjects/{}/records/profile", corrected.subject);
    let new = json!({"email": "cnry-mail-new@example.test"});
    call(&running, "PATCH", &path, "bot", &new);
    let record = &corrected.first_message;
    let path = format!("subjects/{}/records/messages/{record}", corrected.subject);
    call(&running, "DELETE", &path, "bot", &Value::Null);
    for number in ERASED {
        let path = format!("subjects/{}", people[number].subject);
        call(&running, "DELETE", &path, "dpo", &Value::Null);
    }
    std::thread::scope(|scope| {
        for number in ERASED_TOGETHER {
            let path = format!("subjects/{}", people[number].subject);
            let running = &running;
            scope.spawn(move || call(running, "DELETE", &path, "dpo", &Value::Null));
        }
    });
    let between = files(&running);
    let swept = call(
        &running,
        "POST",
        "admin/retention/run",
        "operator",
        &json!({}),
    );
    assert_eq!(swept["more"], false);

    let passphrase = running.passphrase.clone();
    let (dir, anchor_dir) = (running.dir.clone(), running.anchor.clone());
    running.stop().map_err(|_| "dev does not stop").unwrap();
    let mut bytes = [backup, between].concat();
    bytes.extend(fs::read(dir.join("vault.redb")).unwrap());
    bytes.extend(fs::read(dir.join("journal")).unwrap());
    let slots = fs::read(anchor_dir.join("slots")).unwrap();
    let anchor_after = fs::read(anchor).unwrap();
    bytes.extend_from_slice(&anchor_after);
    bytes.extend_from_slice(&slots);
    let raw = Raw::new(bytes);

    let gone = |number: &usize| ERASED.contains(number) || ERASED_TOGETHER.contains(number);
    let replaced = [email(CORRECTED), format!("cnry-text-{CORRECTED:02}-0")];
    let passphrase = passphrase.as_bytes();
    let found = read_everything(
        &raw,
        std::slice::from_ref(&anchor_after),
        &slots,
        passphrase,
    );
    let texts = found.texts(&raw, &MARKS);
    let forgotten = |text: &String| {
        let erased = people.iter().filter(|person| gone(&person.number));
        erased.flat_map(Somebody::texts).any(|value| value == *text) || replaced.contains(text)
    };
    let recovered = texts.keys().filter(|text| forgotten(text)).count();
    eprintln!(
        "{} bytes, {} offsets, {} keys tried; values of the erased recovered: {recovered}",
        raw.len(),
        raw.offsets(),
        found.keys.len()
    );
    assert_eq!(recovered, 0, "a value of the erased opens");
    for person in &people {
        let [entries, keysets, look_ups] = structure(&found, person);
        if gone(&person.number) {
            assert_eq!([entries, keysets, look_ups], [0, 0, 0], "{}", person.number);
            continue;
        }
        // The reader reads: all of everybody else is there.
        assert!(entries > 0 && keysets > 0, "{}", person.number);
        let all = person.texts();
        let missing = all.iter().filter(|text| !texts.contains_key(*text));
        let expected: Vec<&String> = all.iter().filter(|text| replaced.contains(text)).collect();
        assert_eq!(missing.collect::<Vec<_>>(), expected);
        let expected = if person.number == CORRECTED { 2 } else { 3 };
        assert_eq!(look_ups, expected, "{}", person.number);
    }
    assert!(texts.contains_key("cnry-mail-new@example.test"));

    let anchors = [anchor_before, anchor_after];
    let control = read_everything(&raw, &anchors, &slots, passphrase);
    let texts = control.texts(&raw, &MARKS);
    eprintln!(
        "with the old anchor: {} keys, {} values",
        control.keys.len(),
        texts.len()
    );
    for person in &people {
        let structure = structure(&control, person);
        assert!(structure[0] > 0 && structure[1] > 0 && structure[2] == 3);
        for text in person.texts() {
            assert!(
                texts.contains_key(&text),
                "with the old anchor {text} is there"
            );
        }
    }
}

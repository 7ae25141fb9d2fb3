//! What leaves the vault and is verified elsewhere: checkpoints, receipts.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Set, VAULT, bent, faulty, hex, valid, with};
use crate::audit::canonical::canonical;
use crate::audit::checkpoint::{Checkpoint, VerifierKey};
use crate::audit::merkle::{self, Frontier};
use crate::audit::receipt::{self, Opened};
use crate::crypto::{Secret, sha256};
use crate::id::{ReceiptId, SubjectId, VaultId};

pub(super) const CHECKPOINTS: Set = Set {
    name: "checkpoints",
    exact: true,
    make: make_checkpoints,
    open: |vector, note| {
        let key = VerifierKey::parse(vector["key"].as_str()?).ok()?;
        let note = std::str::from_utf8(note).ok()?;
        let Checkpoint { size, root } = Checkpoint::open(note, &key).ok()?;
        Some([&size.to_be_bytes()[..], &root].concat())
    },
};

pub(super) const RECEIPTS: Set = Set {
    name: "receipts",
    exact: true,
    make: make_receipts,
    open: |vector, document| {
        let key = VerifierKey::parse(vector["key"].as_str()?).ok()?;
        let document: Value = serde_json::from_slice(document).ok()?;
        let read = receipt::verify(&document, &key).ok()?;
        let opened = match read.opened {
            None => Vec::new(),
            Some(Opened::Records(records)) => records.to_vec(),
            Some(Opened::Subject(subject)) => subject.as_bytes().to_vec(),
        };
        Some([&read.receipt.as_bytes()[..], &opened].concat())
    },
};

fn seed() -> Secret<32> {
    Secret::take(&mut [0x66; 32])
}

fn make_checkpoints() -> Vec<Value> {
    let key = VerifierKey::of(VAULT, &seed()).to_string();
    let other = VerifierKey::of(VAULT, &Secret::take(&mut [0x67; 32])).to_string();
    let elsewhere = VerifierKey::of(VaultId::from_bytes([0x12; 16]), &seed()).to_string();
    let sign = |size, root| Checkpoint { size, root }.sign(VAULT, &seed());
    let note = sign(1_234, [9; 32]);
    let gives = |size: u64, root: [u8; 32]| [&size.to_be_bytes()[..], &root].concat();
    let by = |key: &str, vector| with(vector, "key", key);
    let good = |name: &str, note: &str, size, root| {
        by(&key, valid(name, note.as_bytes(), &gives(size, root)))
    };
    let bad = |fault: &str, note: &str| by(&key, faulty(fault, note.as_bytes()));
    let empty = sha256(&[]);
    let more = |line: &str| format!("{note}{line}");
    let line = note.lines().last().expect("a signature");
    vec![
        good("an empty log", &sign(0, empty), 0, empty),
        good("1234 entries", &note, 1_234, [9; 32]),
        good("the largest", &sign(u64::MAX, [1; 32]), u64::MAX, [1; 32]),
        good(
            "with a witness",
            &{
                // The last byte is one that a reader looks at.
                let (text, own) = note.split_once("\n\n").expect("a note");
                format!("{text}\n\n\u{2014} witness.example AAAAAAAA\n{own}")
            },
            1_234,
            [9; 32],
        ),
        by(&other, faulty("another key", note.as_bytes())),
        by(&elsewhere, faulty("another log", note.as_bytes())),
        bad("another size", &note.replacen("1234", "1235", 1)),
        bad(
            "a size with a zero before it",
            &note.replacen("1234", "01234", 1),
        ),
        bad("a size with a sign", &note.replacen("1234", "+1234", 1)),
        bad("another root", &note.replacen("CQkJ", "CQkK", 1)),
        bad(
            "lines with carriage returns",
            &note.replacen('\n', "\r\n", 3),
        ),
        bad("no empty line", &note.replacen("\n\n", "\n", 1)),
        bad(
            "no signature",
            note.split_inclusive("\n\n").next().expect("a text"),
        ),
        bad("a signature without its end of line", note.trim_end()),
        bad(
            "a line that is no signature",
            &more("witness.example AAAAAAAA\n"),
        ),
        bad(
            "a second signature of the key that does not fit",
            &more(&format!("\u{2014} {VAULT} {}\n", {
                let bytes = line.rsplit(' ').next().expect("a signature");
                let bytes = BASE64.decode(bytes.as_bytes()).expect("base 64");
                BASE64.encode(&bent(&bytes, bytes.len() - 1))
            })),
        ),
        bad("empty", ""),
    ]
}

/// A receipt over a log of three entries, the erasure's in the middle.
fn document(scope: &str) -> Value {
    let purge = scope == "purge";
    let (salt, subject) = ([0x77; 16], SubjectId::from_bytes([2; 16]));
    let records = [8; 32];
    let about: &[u8] = if purge { &records } else { subject.as_bytes() };
    let commitment = sha256(&[&salt, about]);
    let mut body = json!({
        "commitment": hex(&commitment),
        "destroyed": [{"compartment": 0, "key": 1}, {"compartment": 17, "key": 2}],
        "epoch_after": 9, "epoch_before": 8,
        "erasure_horizon": "2026-11-25T12:00:00Z",
        "kept": [], "lookup_horizon": "2026-11-26T12:00:00Z",
        "receipt": ReceiptId::from_bytes([5; 16]).to_string(),
        "scope": scope, "time": "2026-11-25T12:00:00Z",
        "unscrubbed_mirrors": [], "vault": VAULT.to_string(), "version": 1,
    });
    if purge {
        body["collection"] = json!("messages");
        body["records"] = json!(70);
    }
    let hash = sha256(&[&canonical(&body).expect("whole numbers")]);
    let entry = json!({
        "action": if purge { "records.purge" } else { "subjects.erase" },
        "actor": "keyholder", "outcome": "ok",
        "receipt": ReceiptId::from_bytes([5; 16]).to_string(),
        "receipt_sha256": hex(&hash),
        "request": "call_00000000000000000000000000", "role": "keyholder",
        "time": "2026-11-25T12:00:00.000Z",
    });
    let leaf = merkle::leaf(&canonical(&entry).expect("texts"));
    let (first, third) = (merkle::leaf(b"first"), merkle::leaf(b"third"));
    let mut log = Frontier::default();
    for leaf in [first, leaf, third] {
        log.push(leaf, |_, _, _| {});
    }
    let (size, root) = (log.size(), log.root());
    let opening = match purge {
        true => json!({"salt": hex(&salt), "records_sha256": hex(&records)}),
        false => json!({"salt": hex(&salt), "subject": subject.to_string()}),
    };
    json!({
        "body": body,
        "opening": opening,
        "proof": {
            "checkpoint": Checkpoint { size, root }.sign(VAULT, &seed()),
            "entry": entry, "hashes": [hex(&first), hex(&third)], "index": 1, "size": 3,
        },
    })
}

fn make_receipts() -> Vec<Value> {
    let key = VerifierKey::of(VAULT, &seed()).to_string();
    let by = |vector| with(vector, "key", &*key);
    let id = [5; 16];
    let good = |name: &str, document: &Value, opened: &[u8]| {
        let bytes = document.to_string();
        by(valid(name, bytes.as_bytes(), &[&id[..], opened].concat()))
    };
    let person = document("person");
    let without = |member: &str| {
        let mut document = person.clone();
        document
            .as_object_mut()
            .expect("an object")
            .shift_remove(member);
        document
    };
    let bad = |fault: &str, pointer: &str, value: Value| {
        let mut document = person.clone();
        match document.pointer_mut(pointer) {
            Some(member) => *member = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
                document.pointer_mut(parent).expect("a parent")[name] = value;
            }
        }
        by(faulty(fault, document.to_string().as_bytes()))
    };
    let hash = |pointer: &str| {
        person
            .pointer(pointer)
            .and_then(Value::as_str)
            .expect("a text")
    };
    let bent_hash = |pointer: &str| {
        let bytes = data_encoding::HEXLOWER
            .decode(hash(pointer).as_bytes())
            .expect("hexadecimal");
        json!(hex(&bent(&bytes, 0)))
    };
    let other = SubjectId::from_bytes([3; 16]).to_string();
    vec![
        good("of a person", &person, &[2; 16]),
        good("of a person, without the opening", &without("opening"), &[]),
        good("of a purge", &document("purge"), &[8; 32]),
        by(faulty(
            "without a proof",
            without("proof").to_string().as_bytes(),
        )),
        by(faulty(
            "without a body",
            without("body").to_string().as_bytes(),
        )),
        bad("another time", "/body/time", json!("2026-11-25T12:00:01Z")),
        bad("another epoch", "/body/epoch_after", json!(10)),
        bad("a fraction", "/body/epoch_after", json!(9.5)),
        bad(
            "another vault",
            "/body/vault",
            json!(VaultId::from_bytes([0x12; 16]).to_string()),
        ),
        bad("version 2", "/body/version", json!(2)),
        bad("something kept", "/body/kept", json!(["consents"])),
        bad("a member more in the body", "/body/status", json!("closed")),
        bad("a member more in the proof", "/proof/key", json!(key)),
        bad("a member more", "/key", json!(key)),
        bad("another person", "/opening/subject", json!(other)),
        bad("another salt", "/opening/salt", bent_hash("/opening/salt")),
        bad(
            "the hash of another body",
            "/proof/entry/receipt_sha256",
            bent_hash("/proof/entry/receipt_sha256"),
        ),
        bad(
            "an entry that was refused",
            "/proof/entry/outcome",
            json!("role_denied"),
        ),
        bad(
            "another entry",
            "/proof/entry/time",
            json!("2026-11-25T12:00:00.001Z"),
        ),
        bad("another place in the log", "/proof/index", json!(0)),
        bad("another size of the log", "/proof/size", json!(4)),
        bad(
            "another hash",
            "/proof/hashes/0",
            bent_hash("/proof/hashes/0"),
        ),
        bad(
            "hashes in the wrong order",
            "/proof/hashes",
            json!([hash("/proof/hashes/1"), hash("/proof/hashes/0")]),
        ),
        bad(
            "a hash missing",
            "/proof/hashes",
            json!([hash("/proof/hashes/0")]),
        ),
        bad(
            "a hash more",
            "/proof/hashes",
            json!([
                hash("/proof/hashes/0"),
                hash("/proof/hashes/1"),
                hash("/proof/hashes/1")
            ]),
        ),
        bad(
            "a hash in capitals",
            "/proof/hashes/0",
            json!(hash("/proof/hashes/0").to_uppercase()),
        ),
        bad("no checkpoint", "/proof/checkpoint", json!("")),
    ]
}

//! The log as a tree, its checkpoints and the receipts: docs/format.md "Evidence", computed from the
//! entries and compared with what is stored.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, SigningKey, Verifier};
use serde_json::{Value, json};

use super::cipher::{Id, sha256};
use super::form::Entry;
use super::format::Story;
use super::live::Live;
use super::person::{bits, id_text};

fn leaf(entry: &Entry) -> [u8; 32] {
    let id = |prefix: &str, id: &Id| json!(id_text(prefix, id));
    let mut members = BTreeMap::from([
        ("action", json!(entry.action)),
        ("outcome", json!(entry.outcome)),
        ("request", id("call", &entry.call)),
        ("role", json!(entry.role)),
        ("time", {
            let time = jiff::Timestamp::from_millisecond(entry.time).unwrap();
            json!(format!("{time:.3}"))
        }),
    ]);
    members.insert(
        "actor",
        match &entry.actor {
            Some(key) => id("tok", key),
            None => json!("keyholder"),
        },
    );
    if !entry.fields.is_empty() {
        members.insert("fields", json!(entry.fields));
    }
    if let Some(purpose) = &entry.purpose {
        members.insert("purpose", json!(purpose));
    }
    if let Some((receipt, hash)) = &entry.receipt {
        members.insert("receipt", id("rcp", receipt));
        members.insert("receipt_sha256", json!(HEXLOWER.encode(hash)));
    }
    if let Some((count, hash)) = &entry.records {
        members.insert("records", json!(count));
        members.insert("records_sha256", json!(HEXLOWER.encode(hash)));
    }
    if let Some(claim) = &entry.claim {
        members.insert("restricted_use", json!(claim));
    }
    if let Some(session) = &entry.session {
        members.insert("session", id("ses", session));
    }
    if let Some(tag) = &entry.tag {
        members.insert("subject", json!(HEXLOWER.encode(tag)));
    }
    let text = serde_json::to_vec(&members).unwrap();
    sha256(&[&[0][..], &text].concat())
}

/// RFC 6962 §2.1.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let half = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(half);
            sha256(&[&[1][..], &root(left), &root(right)].concat())
        }
    }
}

/// Tables 17, 18 and 19.
pub(crate) fn stored(live: &mut Live, story: &Story, log: &[Entry]) {
    let leaves: Vec<_> = log.iter().map(leaf).collect();
    for (key, hash) in live.rows(17) {
        let index = u64::from_be_bytes(key[1..].try_into().unwrap()) as usize;
        assert!(key[0] >= 8, "lower nodes are computed anew");
        let width = 1usize << key[0];
        assert_eq!(hash, root(&leaves[index * width..(index + 1) * width]));
    }
    let notes = live.rows(18);
    assert!(!notes.is_empty());
    for (key, note) in &notes {
        let size = u64::from_be_bytes(key[..].try_into().unwrap()) as usize;
        note_is_signed(live, note, &leaves[..size]);
    }
    let rows: Vec<_> = live.rows(19).into_iter().collect();
    let [(receipt, sealed), (numbered, number)] = &rows[..] else {
        panic!("one receipt and the number of its entry")
    };
    let text = live.sealed_by_system(19, receipt, sealed);
    let body: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(body, story.receipt["body"]);
    assert_eq!(receipt[..], bits(body["receipt"].as_str().unwrap()));
    assert_eq!(numbered[..], [&receipt[..], &[0]].concat());
    let number = u64::from_be_bytes(number[..].try_into().unwrap()) as usize;
    let (id, hash) = log[number].receipt.unwrap();
    assert_eq!((&id[..], hash), (&receipt[..], sha256(&text)));
}

fn note_is_signed(live: &Live, note: &[u8], leaves: &[[u8; 32]]) {
    let name = id_text("vlt", &live.vault);
    let root = BASE64.encode(&root(leaves));
    let text = format!("{name}\n{}\n{root}\n", leaves.len());
    let note = std::str::from_utf8(note).unwrap();
    let signed = note
        .strip_prefix(&*text)
        .expect("the tree of these entries");
    let line = signed.strip_prefix("\n\u{2014} ").unwrap();
    let (by, signature) = line.strip_suffix('\n').unwrap().split_once(' ').unwrap();
    assert_eq!(by, name);
    let signature = BASE64.decode(signature.as_bytes()).unwrap();
    let key = SigningKey::from_bytes(&live.system.signing).verifying_key();
    let named = [name.as_bytes(), b"\n\x01", key.as_bytes()].concat();
    assert_eq!(signature[..4], sha256(&named)[..4]);
    let signature = Signature::from_slice(&signature[4..]).unwrap();
    key.verify(text.as_bytes(), &signature).unwrap();
}

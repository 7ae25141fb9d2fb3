//! What an auditor or a person brings: notes, proofs, receipts, JSON in canonical form.

use std::sync::LazyLock;

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vault_core::audit::canonical::canonical as canonical_form;
use vault_core::audit::checkpoint::{Checkpoint, VerifierKey};
use vault_core::audit::merkle::{self, Hash};
use vault_core::audit::receipt;
use vault_core::crypto::Secret;

use crate::VAULT;

const SIGNING_SEED: [u8; 32] = [11; 32];

/// The seed of the key that signs what the targets read.
#[must_use]
pub fn signing_seed() -> Secret<32> {
    Secret::take(&mut { SIGNING_SEED })
}

static KEY: LazyLock<VerifierKey> = LazyLock::new(|| VerifierKey::of(VAULT, &signing_seed()));

/// The note of any text, signed as the vault signs.
#[must_use]
pub fn signed(text: &str) -> String {
    static SIGNING: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&SIGNING_SEED));
    let vkey = KEY.to_string();
    let hash = vkey.split('+').nth(1).expect("name, hash and key");
    let hash = data_encoding::HEXLOWER
        .decode(hash.as_bytes())
        .expect("hexadecimal");
    let signature = SIGNING.sign(text.as_bytes()).to_bytes();
    let bytes = data_encoding::BASE64.encode(&[&hash[..], &signature].concat());
    format!("{text}\n\u{2014} {} {bytes}\n", KEY.name())
}

/// A checkpoint's note, and a verifier's key: as they are, and the note with a signature that fits.
pub fn note(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text.trim());
    }
    // Nobody but the key's owner makes another one that opens.
    if let Ok(read) = Checkpoint::open(text, &KEY) {
        assert_eq!((read.size, read.root), (42, [9; 32]));
    }
    let body = text.split("\n\n").next().unwrap_or_default();
    let body = format!("{}\n", body.trim_end_matches('\n'));
    if let Ok(read) = Checkpoint::open(&signed(&body), &KEY) {
        let root = data_encoding::BASE64.encode(&read.root);
        let lines = format!("{}\n{}\n{root}\n", KEY.name(), read.size);
        assert!(body.starts_with(&lines), "one meaning has one form");
    }
}

/// RFC 8785: what has a canonical form reads back as the same from it, and has it again.
pub fn canonical(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let Ok(bytes) = canonical_form(&value) else {
        return;
    };
    let again: Value = serde_json::from_slice(&bytes).expect("the canonical form is JSON");
    assert_eq!(again, value);
    assert_eq!(canonical_form(&again).as_ref(), Ok(&bytes));
    sorted(&again);
}

fn sorted(value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(sorted),
        Value::Object(members) => {
            let names = members.keys().map(|name| name.encode_utf16());
            assert!(names.is_sorted_by(|left, right| left.clone().lt(right.clone())));
            members.values().for_each(sorted);
        }
        _ => {}
    }
}

/// A receipt: as it is, and its body and opening under a proof that fits.
pub fn receipt(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    if let Ok(read) = receipt::verify(&document, &KEY) {
        assert_eq!(read.index, 0);
    }
    let Some(proved) = proved(&document) else {
        return;
    };
    if receipt::verify(&proved, &KEY).is_err() {
        return;
    }
    // It stands: then nothing in it can be another.
    for pointer in [
        "/body/time",
        "/body/epoch_before",
        "/body/destroyed",
        "/opening/salt",
    ] {
        let mut bent = proved.clone();
        match bent.pointer_mut(pointer) {
            Some(member) => *member = json!("0"),
            None => continue,
        }
        assert!(
            bent == proved || receipt::verify(&bent, &KEY).is_err(),
            "{pointer}"
        );
    }
    for member in ["body", "proof"] {
        let mut bent = proved.clone();
        bent[member]["more"] = json!(1);
        assert!(receipt::verify(&bent, &KEY).is_err(), "{member}");
    }
}

/// The body and opening of a document as a log of one entry would prove them.
#[must_use]
pub fn proved(document: &Value) -> Option<Value> {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let body = document.get("body")?;
    let entry = json!({
        "action": "subjects.erase", "outcome": "ok", "receipt": body.get("receipt")?,
        "receipt_sha256": hex(&Sha256::digest(canonical_form(body).ok()?)),
    });
    let root = merkle::leaf(&canonical_form(&entry).ok()?);
    let root = data_encoding::BASE64.encode(&root);
    let mut proved = document.clone();
    proved["proof"] = json!({
        "checkpoint": signed(&format!("{}\n1\n{root}\n", KEY.name())),
        "entry": entry, "hashes": [], "index": 0, "size": 1,
    });
    Some(proved)
}

/// Proofs of inclusion and consistency, held to what RFC 6962 says in words: 24 bytes of numbers, a
/// hash, and the hashes of the proof.
pub fn proof(data: &[u8]) {
    let Some((numbers, rest)) = data.split_first_chunk::<24>() else {
        return;
    };
    let number = |at: usize| {
        let bytes = numbers[at..at + 8].try_into().expect("eight bytes");
        u64::from_be_bytes(bytes)
    };
    let (index, size, first) = (number(0), number(8), number(16));
    // A proof has at most 64 hashes, and one more of consistency.
    let mut hashes = rest.chunks_exact(32).take(70);
    let hashes = hashes
        .by_ref()
        .map(|hash| hash.try_into().expect("thirty-two"));
    let hashes: Vec<Hash> = hashes.collect();
    let Some((leaf, proof)) = hashes.split_first() else {
        return;
    };
    let bent = |hash: &Hash| {
        let mut bent = *hash;
        bent[0] ^= 1;
        bent
    };
    let root = (index < size)
        .then(|| root_of(index, size, leaf, proof))
        .flatten();
    let other = root.as_ref().map_or([0; 32], bent);
    assert!(!merkle::included(index, size, leaf, proof, &other));
    if let Some(root) = root {
        assert!(merkle::included(index, size, leaf, proof, &root));
        assert!(!merkle::included(index, size, &bent(leaf), proof, &root));
    }
    let roots = (0 < first && first < size)
        .then(|| roots_of(first, size, true, leaf, proof))
        .flatten();
    let Some((earlier, later)) = roots else {
        let holds = merkle::consistent((first, leaf), (size, leaf), proof);
        assert!(!holds || (proof.is_empty() && (first == 0 || first == size)));
        return;
    };
    assert!(merkle::consistent((first, &earlier), (size, &later), proof));
    assert!(!merkle::consistent(
        (first, &bent(&earlier)),
        (size, &later),
        proof
    ));
    assert!(!merkle::consistent(
        (first, &earlier),
        (size, &bent(&later)),
        proof
    ));
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The largest power of two below `size`.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root that this proof leads to, if it has the right length: RFC 6962 §2.1.1, read backwards.
fn root_of(index: u64, size: u64, leaf: &Hash, proof: &[Hash]) -> Option<Hash> {
    if size == 1 {
        return proof.is_empty().then_some(*leaf);
    }
    let (last, rest) = proof.split_last()?;
    let middle = split(size);
    match index < middle {
        true => Some(parent(&root_of(index, middle, leaf, rest)?, last)),
        false => Some(parent(
            last,
            &root_of(index - middle, size - middle, leaf, rest)?,
        )),
    }
}

/// Both roots that this proof leads to: RFC 6962 §2.1.2, read backwards.
fn roots_of(
    first: u64,
    size: u64,
    whole: bool,
    known: &Hash,
    proof: &[Hash],
) -> Option<(Hash, Hash)> {
    if first == size {
        return match (whole, proof) {
            (true, []) => Some((*known, *known)),
            (false, [hash]) => Some((*hash, *hash)),
            _ => None,
        };
    }
    let (last, rest) = proof.split_last()?;
    let middle = split(size);
    match first <= middle {
        true => {
            let (earlier, later) = roots_of(first, middle, whole, known, rest)?;
            Some((earlier, parent(&later, last)))
        }
        false => {
            let (earlier, later) = roots_of(first - middle, size - middle, false, known, rest)?;
            Some((parent(last, &earlier), parent(last, &later)))
        }
    }
}

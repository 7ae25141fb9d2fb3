//! Every stored form as a version of this program wrote it: bytes kept for ever in
//! `tests/data/vectors/own/`, which every later version has to open, and faulty ones, which none may.
//!
//! `VAULT_VECTORS=write cargo test -p vault-core --lib vectors` adds those that are missing. What is
//! there is never written again: a form that changes gets a version, and vectors of its own, beside
//! those of the old one.

mod backups;
mod chunks;
mod demands;
mod derivations;
mod envelopes;
mod evidence;
mod files;
mod place;
mod row_faults;
mod rows;
mod shares;
mod tokens;

use std::collections::BTreeSet;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::id::VaultId;

/// The vault of all vectors.
const VAULT: VaultId = VaultId::from_bytes([0x11; 16]);

/// A file of vectors, and what makes and opens them.
struct Set {
    name: &'static str,
    /// Whether the same bytes come out whenever they are made: what a nonce is in is made once.
    exact: bool,
    make: fn() -> Vec<Value>,
    /// What a vector's bytes give at its place; nothing if they do not open.
    open: fn(&Value, &[u8]) -> Option<Vec<u8>>,
}

const SETS: [Set; 15] = [
    rows::ROWS,
    envelopes::ENVELOPES,
    chunks::CHUNKS,
    derivations::DERIVATIONS,
    files::ANCHOR,
    files::SLOTS,
    shares::SHARES,
    files::JOURNAL,
    evidence::CHECKPOINTS,
    evidence::RECEIPTS,
    tokens::TOKENS,
    backups::LEDGER,
    backups::MANIFESTS,
    backups::OBJECTS,
    backups::KEY_PARTS,
];

/// A vector that opens.
fn valid(name: &str, bytes: &[u8], gives: &[u8]) -> Value {
    json!({"name": name, "bytes": hex(bytes), "gives": hex(gives)})
}

/// A vector that must not, named for its fault.
fn faulty(fault: &str, bytes: &[u8]) -> Value {
    json!({"name": fault, "bytes": hex(bytes)})
}

/// The same vector with one member more.
fn with(mut vector: Value, name: &str, value: impl Into<Value>) -> Value {
    vector[name] = value.into();
    vector
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn unhex(vector: &Value, member: &str) -> Vec<u8> {
    let text = vector[member].as_str().expect("a text in hexadecimal");
    HEXLOWER.decode(text.as_bytes()).expect("hexadecimal")
}

/// The bytes with one of them changed.
fn bent(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bent = bytes.to_vec();
    bent[at] ^= 1;
    bent
}

fn path(set: &Set) -> PathBuf {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/vectors/own");
    PathBuf::from(dir).join(format!("{}.json", set.name))
}

fn key(vector: &Value) -> (String, String) {
    let text = |member: &str| vector[member].as_str().unwrap_or_default().to_owned();
    (text("form"), text("name"))
}

/// The vectors in the file, one a line.
fn kept(set: &Set) -> Vec<Value> {
    let text = std::fs::read(path(set)).unwrap_or_default();
    match text.is_empty() {
        true => Vec::new(),
        false => serde_json::from_slice(&text).expect("the file is a list of vectors"),
    }
}

fn write(set: &Set, kept: &mut Vec<Value>, made: &[Value]) {
    let known: BTreeSet<_> = kept.iter().map(key).collect();
    kept.extend(
        made.iter()
            .filter(|vector| !known.contains(&key(vector)))
            .cloned(),
    );
    let lines: Vec<String> = kept.iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    std::fs::write(path(set), text).expect("the file can be written");
}

/// What is wrong with a set, if anything: how many opened, and how many did not.
fn check(set: &Set, kept: &[Value], made: &[Value]) -> Result<(usize, usize), String> {
    let (mut opened, mut refused) = (0, 0);
    let known: BTreeSet<_> = kept.iter().map(key).collect();
    if known.len() != kept.len() {
        return Err("a name stands twice".into());
    }
    if let Some(missing) = made.iter().find(|vector| !known.contains(&key(vector))) {
        return Err(format!("{:?} is not in the file", key(missing)));
    }
    for vector in kept {
        let name = key(vector);
        let bytes = unhex(vector, "bytes");
        let gives = (set.open)(vector, &bytes);
        if vector.get("gives").is_none() {
            match gives {
                None => refused += 1,
                Some(_) => return Err(format!("{name:?} opens")),
            }
            continue;
        }
        let expected = unhex(vector, "gives");
        if gives.as_ref() != Some(&expected) {
            return Err(format!("{name:?} does not open as what it was"));
        }
        // With another byte they are something else, or nothing.
        let last = if vector["torn"] == true {
            0
        } else {
            bytes.len() - 1
        };
        for at in [0, last] {
            if (set.open)(vector, &bent(&bytes, at)).as_ref() == Some(&expected) {
                return Err(format!("{name:?} opens as the same with a byte changed"));
            }
        }
        opened += 1;
    }
    let made = made.iter().filter(|_| set.exact);
    for vector in made {
        if !kept.contains(vector) {
            return Err(format!("{:?} is made otherwise now", key(vector)));
        }
    }
    match opened > 0 && (refused > 0 || set.name == "derivations") {
        true => Ok((opened, refused)),
        false => Err("there are no vectors".into()),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how many ran is part of the result")]
fn every_kept_vector_opens_and_every_faulty_one_is_refused() {
    let mut faults = Vec::new();
    for set in SETS {
        let (mut kept, made) = (kept(&set), (set.make)());
        if std::env::var_os("VAULT_VECTORS").is_some_and(|what| what == "write") {
            write(&set, &mut kept, &made);
        }
        match check(&set, &kept, &made) {
            Ok((opened, refused)) => println!("{}: {opened} open, {refused} are refused", set.name),
            Err(fault) => faults.push(format!("{}: {fault}", set.name)),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The control: a set in which a bit was flipped, a vector lost, or a faulty one mended is noticed.
#[test]
fn a_set_that_was_changed_is_noticed() {
    for set in SETS {
        let (kept, made) = (kept(&set), (set.make)());
        let at = kept.iter().position(|vector| vector.get("gives").is_some());
        let at = at.unwrap_or_else(|| panic!("{}: none opens", set.name));
        let mut flipped = kept.clone();
        let bytes = unhex(&kept[at], "bytes");
        flipped[at]["bytes"] = hex(&bent(&bytes, bytes.len() - 1)).into();
        assert!(check(&set, &flipped, &made).is_err(), "{}", set.name);
        let mut otherwise = kept.clone();
        otherwise[at]["gives"] = hex(&[unhex(&kept[at], "gives"), vec![0]].concat()).into();
        assert!(check(&set, &otherwise, &made).is_err(), "{}", set.name);
        let mut mended = kept.clone();
        mended[at]["name"] = "no fault".into();
        mended[at]
            .as_object_mut()
            .expect("an object")
            .shift_remove("gives");
        assert!(check(&set, &mended, &[]).is_err(), "{}", set.name);
        let mut lost = kept.clone();
        let lost_one = lost
            .iter()
            .position(|vector| made.iter().any(|m| key(m) == key(vector)));
        lost.remove(lost_one.expect("one that is made now"));
        assert!(check(&set, &lost, &made).is_err(), "{}", set.name);
    }
}

//! What lies at a target of backups: the erasure ledger, manifests, objects of data and of keys, and the heads
//! that open those.

use serde_json::{Value, json};

use super::place::secret;
use super::rows::NOW;
use super::{Set, VAULT, bent, faulty, hex, unhex, valid, with};
use crate::audit::signer::Signers;
use crate::backup::bytes::{ObjectPlace, Row, key_head, key_part, key_rows, object, object_rows};
use crate::backup::ledger::{LedgerEntry, LedgerEvent, Replay};
use crate::backup::{Identity, Manifest, Recipients, new_identity};
use crate::crypto::Secret;
use crate::id::{BackupId, ReceiptId, RowHandle, TokenId, VaultId};
use crate::parsers::{erasure_ledger, erasure_ledger_of, manifest, signed_manifest};
use crate::row;

pub(super) const LEDGER: Set = Set {
    name: "ledger",
    exact: false,
    make: make_ledger,
    open: |_, bytes| Some(said(&erasure_ledger(bytes, VAULT, &key(), &seed()).ok()?)),
};

pub(super) const MANIFESTS: Set = Set {
    name: "manifests",
    exact: true,
    make: make_manifests,
    open: |_, bytes| {
        let manifest = manifest(bytes, BACKUP).ok()?;
        let signed = manifest.signed_by(&Signers::new(VAULT, &seed(), &[]));
        signed.then(|| serde_json::to_vec(&manifest).expect("a manifest is JSON"))
    },
};

pub(super) const OBJECTS: Set = Set {
    name: "objects",
    exact: true,
    make: make_objects,
    open: |vector, bytes| object_rows(place_of(vector), bytes).map(|rows| listed(&rows)),
};

pub(super) const KEY_PARTS: Set = Set {
    name: "key_parts",
    exact: false,
    make: make_key_parts,
    open: open_key_part,
};

const BACKUP: BackupId = BackupId::from_bytes([0x66; 16]);
const OTHER_BACKUP: BackupId = BackupId::from_bytes([0x67; 16]);
const OTHER_VAULT: VaultId = VaultId::from_bytes([0x12; 16]);
const PASSPHRASE: &str = "correct horse battery";

fn key() -> Secret<32> {
    secret(&[0x77; 32])
}

fn seed() -> Secret<32> {
    secret(&[0x78; 32])
}

/// What a ledger came to, in an order and a form of its own.
fn said(replay: &Replay) -> Vec<u8> {
    let Replay {
        position,
        complete_until,
        erased,
        removed,
        keys,
        withdrawn,
        objections,
        restrictions,
        holds,
        contracts,
        ages,
        suppressions,
        revoked_tokens,
        cut,
        requests: _,
        signers: _,
    } = replay;
    let handle = |handle: &RowHandle| hex(handle.as_bytes());
    let erased = erased.iter().map(|(of, one)| {
        json!([
            handle(of),
            hex(&one.subject_sha256),
            one.receipt.to_string(),
            one.epoch,
            one.at.to_string()
        ])
    });
    let removed = removed.iter().map(|(of, all)| {
        let all = all.iter().map(|(number, id)| json!([number, hex(id)]));
        json!([handle(of), all.collect::<Vec<_>>()])
    });
    let withdrawn = withdrawn.iter().map(|(of, all)| {
        let all = all
            .iter()
            .map(|(number, at)| json!([number, at.to_string()]));
        json!([handle(of), all.collect::<Vec<_>>()])
    });
    let demands = objections.is_empty() && restrictions.is_empty() && holds.is_empty();
    assert!(
        demands && contracts.is_empty() && ages.is_empty() && suppressions.is_empty(),
        "no vector of a whole ledger has any"
    );
    let all = json!({
        "position": position,
        "complete_until": complete_until.to_string(),
        "erased": erased.collect::<Vec<_>>(),
        "removed": removed.collect::<Vec<_>>(),
        "keys": keys.iter().map(|(of, all)| json!([handle(of), all])).collect::<Vec<_>>(),
        "withdrawn": withdrawn.collect::<Vec<_>>(),
        "revoked": revoked_tokens.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "cut": cut.iter().map(|cut| cut.at).collect::<Vec<_>>(),
    });
    all.to_string().into_bytes()
}

/// One entry of each of the first five kinds, as rows; all have vectors as rows of `t21`.
fn entries() -> Vec<Vec<u8>> {
    let handle = |number: u8| RowHandle::from_bytes([number; 16]);
    let events = [
        LedgerEvent::Erased {
            handle: handle(1),
            subject_sha256: [2; 32],
            receipt: ReceiptId::from_bytes([3; 16]),
            epoch: 70_000,
        },
        LedgerEvent::RecordsDestroyed {
            handle: handle(4),
            collection: 5,
            records: vec![[6; 24], [7; 24]],
        },
        LedgerEvent::KeysDestroyed {
            handle: handle(4),
            keys: vec![8, 300],
        },
        LedgerEvent::ConsentWithdrawn {
            handle: handle(9),
            purpose: 10,
        },
        LedgerEvent::ApiKeyRevoked {
            token: TokenId::from_bytes([11; 16]),
        },
    ];
    let rows = (NOW..).zip(events).map(|(at, event)| {
        let entry = LedgerEntry { at, event };
        row::encode(&entry).to_vec()
    });
    rows.collect()
}

/// Where each frame begins, header and end among them: kind and length stand in clear.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut places) = (25, vec![0]);
    while at < bytes.len() {
        places.push(at);
        let length = u32::from_be_bytes(bytes[at + 1..at + 5].try_into().expect("four"));
        let head = if bytes[at] == 1 { 45 } else { 13 };
        at += head + length as usize;
    }
    places.push(at);
    places
}

fn make_ledger() -> Vec<Value> {
    let rows = entries();
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let of = |count: usize, vault, key: &Secret<32>, seed: &Secret<32>| {
        erasure_ledger_of(&rows[..count], vault, key, seed).expect("entries")
    };
    let whole = of(5, VAULT, &key(), &seed());
    let gives = |bytes: &[u8]| {
        let read = erasure_ledger(bytes, VAULT, &key(), &seed());
        said(&read.expect("it is whole, or ends early"))
    };
    let begin = frames(&whole);
    let frame = |number: usize| &whole[begin[number]..begin[number + 1]];
    let without = |left_out: usize| {
        let all = (0..begin.len() - 1).filter(|number| *number != left_out);
        all.flat_map(|number| frame(number).to_vec())
            .collect::<Vec<_>>()
    };
    let torn = |vector| with(vector, "torn", true);
    let half = &whole[..begin[9] + 20];
    let zeros = [&whole[..begin[9]], &[0; 60]].concat();
    let empty = &whole[..25];
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let other = secret(&[0x79; 32]);
    vec![
        valid(
            "an entry of each kind, a head behind each",
            &whole,
            &gives(&whole),
        ),
        valid("a header alone", empty, &gives(empty)),
        torn(valid("the last entry cut off", half, &gives(half))),
        torn(valid("zeros for the last entry", &zeros, &gives(&zeros))),
        faulty("another magic", &bent(&whole, 0)),
        faulty("version 2", &changed(8, 2)),
        faulty("of another vault", &of(5, OTHER_VAULT, &key(), &seed())),
        faulty("under another ledger key", &of(5, VAULT, &other, &seed())),
        faulty(
            "heads that another key signed",
            &of(5, VAULT, &key(), &other),
        ),
        faulty("an entry left out", &without(3)),
        faulty(
            "two entries in the wrong order",
            &[empty, frame(3), frame(1)].concat(),
        ),
        faulty("an entry twice", &[empty, frame(1), frame(1)].concat()),
        faulty("a frame of no kind", &changed(begin[3], 3)),
        faulty("another number of an entry", &bent(&whole, begin[3] + 12)),
        faulty("another hash before", &bent(&whole, begin[3] + 13)),
        faulty("another envelope of an entry", &bent(&whole, begin[4] - 1)),
        faulty("another envelope of a head", &bent(&whole, begin[3] - 1)),
        faulty("a frame longer than any", &changed(begin[3] + 1, 0xff)),
        faulty("zeros within the file", &changed(begin[9], 0)),
    ]
}

/// A manifest with everything in it.
fn document() -> Value {
    let object = |name: &str, table: u8, round: u32, part: u32| {
        json!({"name": name, "round": round, "table": table, "part": part, "rows": 2, "bytes": 300,
               "sha256": "ab".repeat(32)})
    };
    json!({
        "version": 1, "vault": VAULT.to_string(), "backup": BACKUP.to_string(),
        "started_at": "2026-11-25T12:00:00Z", "finished_at": "2026-11-25T12:00:01.5Z",
        "epoch": 9, "policy_version": 2, "people": 70_000, "log_entries": 5, "ledger_position": 3,
        "objects": [object("data-00000", 4, 0, 0), object("data-00001", 4, 0, 1), object("data-00002", 0, 1, 0)],
        "keys": {
            "registered": BACKUP.to_string(), "made_at": "2026-11-25T12:00:01Z",
            "expires_at": "2026-12-25T12:00:00Z", "keys_of": "backup", "people": 70_000,
            "heads": [{"name": "keys-head-000.age", "kind": "key", "bytes": 400, "sha256": "cd".repeat(32)},
                      {"name": "keys-head-001.age", "kind": "passphrase", "bytes": 350, "sha256": "ef".repeat(32)}],
            "objects": [object("keys-000.age", 3, 0, 0)],
        },
        "signature": "",
    })
}

/// Signed, whatever it says.
fn signed(document: &Value) -> Vec<u8> {
    let read: Manifest = serde_json::from_value(document.clone()).expect("its form is right");
    signed_manifest(read, &seed())
}

fn make_manifests() -> Vec<Value> {
    let whole = signed(&document());
    let given = |bytes: &[u8]| {
        let read: Manifest = serde_json::from_slice(bytes).expect("a manifest");
        serde_json::to_vec(&read).expect("a manifest is JSON")
    };
    let mut data_alone = document();
    data_alone["keys"] = Value::Null;
    let data_alone = signed(&data_alone);
    let mut keys_alone = document();
    keys_alone["objects"] = json!([]);
    keys_alone["keys"]["keys_of"] = json!("later");
    keys_alone["keys"]["expires_at"] = Value::Null;
    let keys_alone = signed(&keys_alone);
    let mut vectors = vec![
        valid("data and keys", &whole, &given(&whole)),
        valid("data alone", &data_alone, &given(&data_alone)),
        valid(
            "later keys alone, without an end",
            &keys_alone,
            &given(&keys_alone),
        ),
    ];
    // Each is signed: the fault alone is why it is refused.
    let faults: [(&str, &str, Value); 11] = [
        ("version 2", "/version", json!(2)),
        (
            "another backup's",
            "/backup",
            json!(OTHER_BACKUP.to_string()),
        ),
        (
            "signed as another vault",
            "/vault",
            json!(OTHER_VAULT.to_string()),
        ),
        ("an object of no table", "/objects/0/table", json!(99)),
        (
            "a name of the other part",
            "/objects/0/name",
            json!("keys-00000"),
        ),
        ("a name twice", "/objects/1/name", json!("data-00000")),
        ("a part left out", "/objects/1/part", json!(2)),
        (
            "a hash that is too short",
            "/objects/0/sha256",
            json!("abcd"),
        ),
        (
            "a head that is too long",
            "/keys/heads/0/bytes",
            json!(1 << 30),
        ),
        (
            "keys among the data",
            "/keys/objects/0/name",
            json!("data-00009"),
        ),
        (
            "a first part with another number",
            "/keys/objects/0/part",
            json!(1),
        ),
    ];
    for (fault, at, value) in faults {
        let mut changed = document();
        *changed.pointer_mut(at).expect("it is there") = value;
        vectors.push(faulty(fault, &signed(&changed)));
    }
    let text = String::from_utf8(whole.clone()).expect("JSON");
    for (fault, old, new) in [
        (
            "a count over 2^53",
            "\"people\": 70000,\n  \"log_entries\"",
            "\"people\": 9007199254740993,\n  \"log_entries\"",
        ),
        (
            "another count under the same signature",
            "\"people\": 70000",
            "\"people\": 70001",
        ),
        (
            "an unknown member",
            "\"epoch\": 9",
            "\"epoch\": 9, \"more\": 1",
        ),
        ("a member left out", "\"epoch\": 9,", ""),
        ("a head of no kind", "\"passphrase\"", "\"fingerprint\""),
        (
            "keys of no kind",
            "\"keys_of\": \"backup\"",
            "\"keys_of\": \"none\"",
        ),
        (
            "a time that is none",
            "2026-11-25T12:00:00Z",
            "2026-13-25T12:00:00Z",
        ),
    ] {
        assert!(text.contains(old), "{old}");
        vectors.push(faulty(fault, text.replacen(old, new, 1).as_bytes()));
    }
    vectors.push(faulty("cut off", &whole[..whole.len() / 2]));
    vectors
}

/// The place that a vector names.
fn place_of(vector: &Value) -> ObjectPlace {
    let number =
        |name: &str| u32::try_from(vector[name].as_u64().expect("a number")).expect("four");
    let table = u8::try_from(number("table")).expect("a byte");
    (VAULT, BACKUP, number("round"), table, number("part"))
}

fn at(vector: Value, (_, _, round, table, part): ObjectPlace) -> Value {
    with(
        with(with(vector, "round", round), "table", table),
        "part",
        part,
    )
}

/// Rows, one after another, each with its lengths.
fn listed(rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in rows {
        for part in [&key[..], &value[..]] {
            let length = u32::try_from(part.len()).expect("short");
            bytes.extend([&length.to_be_bytes()[..], part].concat());
        }
    }
    bytes
}

const ROWS: [(&[u8], &[u8]); 3] = [
    (&[1; 42], b"a record's values"),
    (&[2; 42], b""),
    (&[3; 42], &[9; 300]),
];

fn make_objects() -> Vec<Value> {
    let data: ObjectPlace = (VAULT, BACKUP, 0, 4, 0);
    let touched: ObjectPlace = (VAULT, BACKUP, 2, 0, 1);
    let system: ObjectPlace = (VAULT, BACKUP, 0, 1, 0);
    let gives = |place, bytes: &[u8]| listed(&object_rows(place, bytes).expect("it is whole"));
    let good = |name: &str, place, rows: &[(&[u8], &[u8])]| {
        let bytes = object(place, rows);
        at(valid(name, &bytes, &gives(place, &bytes)), place)
    };
    let handles: [(&[u8], &[u8]); 2] = [(&[1; 16], b""), (&[2; 16], b"")];
    let whole = object(data, &ROWS);
    let bad = |fault: &str, bytes: &[u8]| at(faulty(fault, bytes), data);
    let changed = |place: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        bytes
    };
    vec![
        good("rows of a table", data, &ROWS),
        good("people who were copied again", touched, &handles),
        good(
            "the row of the system keyset",
            system,
            &[(b"system", b"keys")],
        ),
        bad("another magic", &bent(&whole, 0)),
        bad("version 2", &changed(8, 2)),
        bad(
            "of another vault",
            &object((OTHER_VAULT, BACKUP, 0, 4, 0), &ROWS),
        ),
        bad(
            "of another backup",
            &object((VAULT, OTHER_BACKUP, 0, 4, 0), &ROWS),
        ),
        bad("of another round", &object((VAULT, BACKUP, 1, 4, 0), &ROWS)),
        bad("of another table", &object((VAULT, BACKUP, 0, 5, 0), &ROWS)),
        bad("of another part", &object((VAULT, BACKUP, 0, 4, 1), &ROWS)),
        bad("a header cut off", &whole[..49]),
        bad("cut off within a frame's lengths", &whole[..53]),
        bad("cut off within a key", &whole[..60]),
        bad("cut off within a value", &whole[..whole.len() - 1]),
        bad("a key longer than any", &changed(50, 2)),
        bad("a value longer than any row", &changed(52, 1)),
    ]
}

fn open_key_part(vector: &Value, bytes: &[u8]) -> Option<Vec<u8>> {
    let opens = String::from_utf8(unhex(vector, "opens")).expect("a text");
    match vector["form"].as_str()? {
        "head for keys" => {
            let identity = Identity::parse(&opens).expect("an identity");
            Some(key_head(&identity, bytes)?.as_bytes().to_vec())
        }
        "head for a passphrase" => {
            let identity = Identity::Passphrase(zeroize::Zeroizing::new(opens));
            Some(key_head(&identity, bytes)?.as_bytes().to_vec())
        }
        _ => key_rows(&opens, place_of(vector), bytes).map(|rows| listed(&rows)),
    }
}

fn make_key_parts() -> Vec<Value> {
    let place: ObjectPlace = (VAULT, BACKUP, 0, 3, 0);
    let rows: [(&[u8], &[u8]); 2] = [(&[1; 16], b"a keyset"), (&[2; 16], b"")];
    let (mine, to_me) = new_identity();
    let (second, to_second) = new_identity();
    let (nobody, _) = new_identity();
    let to = Recipients::parse([to_me.as_str(), to_second.as_str()]).expect("two public keys");
    let to = to.with_cheap_passphrase(PASSPHRASE);
    let (part, heads, sealed) = key_part(&to, &object(place, &rows));
    let (other, _, _) = key_part(&to, b"");
    let (keys, words) = (&heads[0], &heads[1]);
    let of = |form: &str, opens: &str, vector: Value| {
        let vector = with(with(vector, "form", form), "opens", hex(opens.as_bytes()));
        at(vector, place)
    };
    let listed = key_rows(&part, place, &sealed).map(|rows| listed(&rows));
    let listed = listed.expect("it is whole");
    let head = |opens: &str, vector| of("head for keys", opens, vector);
    let by_words = |opens: &str, vector| of("head for a passphrase", opens, vector);
    let object_of = |opens: &str, vector| of("object", opens, vector);
    let short = |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec();
    let elsewhere = {
        let other = object((VAULT, BACKUP, 0, 3, 1), &rows);
        let (part, _, sealed) = key_part(&to, &other);
        object_of(&part, faulty("an object of another part", &sealed))
    };
    vec![
        head(&mine, valid("the first of two keys", keys, part.as_bytes())),
        head(
            &second,
            valid("the second of two keys", keys, part.as_bytes()),
        ),
        by_words(PASSPHRASE, valid("a passphrase", words, part.as_bytes())),
        object_of(&part, valid("keysets", &sealed, &listed)),
        head(&nobody, faulty("a key that it is not for", keys)),
        head(&mine, faulty("another version of age", &bent(keys, 19))),
        head(&mine, faulty("a head cut off", &short(keys))),
        head(
            &mine,
            faulty("another identity in it", &bent(keys, keys.len() - 1)),
        ),
        head(&mine, faulty("a head for a passphrase", words)),
        by_words("another passphrase", faulty("a wrong passphrase", words)),
        by_words(PASSPHRASE, faulty("a head for keys", keys)),
        object_of(&other, faulty("of another key part", &sealed)),
        object_of(&part, faulty("an object cut off", &short(&sealed))),
        object_of(
            &part,
            faulty("another byte of it", &bent(&sealed, sealed.len() - 20)),
        ),
        elsewhere,
    ]
}

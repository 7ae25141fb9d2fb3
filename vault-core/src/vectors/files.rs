//! Files that are written in place: anchor, key slots, read journal. Of each as much as has a meaning.

use serde_json::Value;

use super::rows::{entry, short_entry};
use super::{Set, VAULT, bent, faulty, unhex, valid, with};
use crate::audit::journal::Journal;
use crate::crypto::{Secret, sha256};
use crate::entropy::SeededEntropy;
use crate::id::VaultId;
use crate::keys::anchor::{self, ANCHOR_BYTES, Anchor, FileAnchor, Flush};
use crate::keys::ring::KeyRing;
use crate::keys::slots::{self, SLOTS_FILE_BYTES, SlotFile, SlotKind, SlotTarget};
use crate::medium::{Medium, MemoryMedium};

pub(super) const ANCHOR: Set = Set {
    name: "anchor",
    exact: true,
    make: make_anchor,
    open: open_anchor,
};

pub(super) const SLOTS: Set = Set {
    name: "slots",
    exact: false,
    make: make_slots,
    open: open_slots,
};

pub(super) const JOURNAL: Set = Set {
    name: "journal",
    exact: false,
    make: make_journal,
    open: open_journal,
};

/// The page of an anchor's slot for odd epochs, and the public page for even serials.
const SLOT_AT: usize = 576 << 10;
const PUBLIC_AT: usize = 256 << 10;
/// Magic, version, vault id, epoch, secret, hash; the slot alone.
const SLOT_BYTES: usize = 97;

fn image(length: usize, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = vec![0; length];
    image[at..at + bytes.len()].copy_from_slice(bytes);
    image
}

/// Epoch and secret of a slot; text of a public page.
fn open_anchor(vector: &Value, bytes: &[u8]) -> Option<Vec<u8>> {
    let open = |at: usize| {
        let medium = MemoryMedium::new(image(ANCHOR_BYTES, at, bytes));
        FileAnchor::new(
            VAULT,
            vec![Box::new(medium)],
            Box::new(SeededEntropy::new(0)),
        )
    };
    if vector["form"] == "public page" {
        let text = open(PUBLIC_AT).published().expect("memory");
        return text.map(String::into_bytes);
    }
    let slots = open(SLOT_AT).current().expect("memory");
    let slot = slots.first()?;
    Some([&slot.epoch.to_be_bytes()[..], slot.secret.expose()].concat())
}

/// The bytes with their hash anew.
fn hashed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &sha256(&[bytes])].concat()
}

fn make_anchor() -> Vec<Value> {
    let secret = Secret::take(&mut [0x33; 32]);
    let image = anchor::image(VAULT, 9, &secret, &mut SeededEntropy::new(0));
    let slot = &image[SLOT_AT..SLOT_AT + SLOT_BYTES];
    let gives = [&9u64.to_be_bytes()[..], secret.expose()].concat();
    let medium = MemoryMedium::new(image.clone());
    let media: Vec<Box<dyn Medium>> = vec![Box::new(medium.clone())];
    let mut file = FileAnchor::new(VAULT, media, Box::new(SeededEntropy::new(0)));
    for _ in 0..2 {
        file.publish("a signed note\n", Flush::Now).expect("memory");
    }
    let text = b"a signed note\n";
    let end = 35 + text.len();
    let page = medium.bytes()[PUBLIC_AT..PUBLIC_AT + end + 32].to_vec();
    let body = |change: fn(&mut [u8]), bytes: &[u8]| {
        let mut body = bytes[..bytes.len() - 32].to_vec();
        change(&mut body);
        hashed(&body)
    };
    let slot_of = |vector| with(vector, "form", "slot");
    let page_of = |vector| with(vector, "form", "public page");
    type Change = fn(&mut [u8]);
    let faults: [(&str, Change); 3] = [
        ("another magic", |body| body[0] = b'V'),
        ("version 2", |body| body[8] = 2),
        ("another vault's", |body| body[9] ^= 1),
    ];
    let mut vectors = vec![
        slot_of(valid("epoch 9", slot, &gives)),
        slot_of(faulty(
            "another secret under the same hash",
            &bent(slot, 40),
        )),
        slot_of(faulty("another hash", &bent(slot, SLOT_BYTES - 1))),
        slot_of(faulty("cut off", &slot[..SLOT_BYTES - 1])),
        page_of(valid("a note", &page, text)),
        page_of(faulty("another text under the same hash", &bent(&page, 36))),
        page_of(faulty(
            "longer than a page",
            &body(|body| (body[33], body[34]) = (0xff, 0xff), &page),
        )),
        page_of(faulty(
            "a text that is no UTF-8",
            &body(|body| body[35] = 0xff, &page),
        )),
        page_of(faulty("cut off", &page[..page.len() - 1])),
    ];
    for (fault, change) in faults {
        vectors.push(slot_of(faulty(fault, &body(change, slot))));
        vectors.push(page_of(faulty(fault, &body(change, &page))));
    }
    vectors
}

const PASSPHRASE: &[u8] = b"correct horse battery";
const RECOVERY: &[u8] = b"twenty bytes of rand";
const KEY_FILE: &[u8] = b"thirty-two bytes and a newline\r\n";
const SHARED: &[u8] = b"thirty-two bytes of a shared one";

/// The root key, by the secret that the vector names.
fn open_slots(vector: &Value, bytes: &[u8]) -> Option<Vec<u8>> {
    let kind = match vector["kind"].as_str()? {
        "passphrase" => SlotKind::Passphrase,
        "key_file" => SlotKind::KeyFile,
        "shares" => SlotKind::Shares,
        _ => SlotKind::RecoveryKey,
    };
    let medium = MemoryMedium::new(image(SLOTS_FILE_BYTES, 64 << 10, bytes));
    let file = SlotFile::new(VAULT, Box::new(medium));
    let opened = file.open(kind, &unhex(vector, "secret")).ok()?;
    Some(opened.first()?.root_key.expose().to_vec())
}

fn make_slots() -> Vec<Value> {
    let entropy = &mut SeededEntropy::new(4);
    let root = Secret::take(&mut [0x44; 32]);
    let target = |number, kind, secret: &[u8], entropy: &mut SeededEntropy| {
        let target = SlotTarget::new(number, kind, "slot".into(), 0, secret, entropy);
        target.expect("the memory is there")
    };
    let targets = [
        target(1, SlotKind::Passphrase, PASSPHRASE, entropy),
        target(2, SlotKind::RecoveryKey, RECOVERY, entropy),
    ];
    let image = slots::image(VAULT, &root, &targets, entropy);
    // Two slots of 172 bytes behind 34 of a header, and the hash.
    let end = 34 + 2 * 172;
    let area = &image[64 << 10..][..end + 32];
    let by = |kind: &str, secret: &[u8], vector: Value| {
        with(with(vector, "kind", kind), "secret", super::hex(secret))
    };
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut body = area[..end].to_vec();
        change(&mut body);
        hashed(&body)
    };
    // Where the second slot and its parts begin.
    let slot = 34 + 172;
    let (salt, cost, ephemeral, commitment) = (slot + 2, slot + 18, slot + 30, slot + 62);
    let sealed = slot + 94;
    let bad = |fault: &str, bytes: &[u8]| by("recovery_key", RECOVERY, faulty(fault, bytes));
    let mut vectors = vec![
        by(
            "passphrase",
            PASSPHRASE,
            valid("a passphrase", area, root.expose()),
        ),
        by(
            "recovery_key",
            RECOVERY,
            valid("a recovery key", area, root.expose()),
        ),
        by(
            "recovery_key",
            b"twenty other bytes..",
            faulty("another secret", area),
        ),
        by(
            "recovery_key",
            PASSPHRASE,
            faulty("a secret of the other kind", area),
        ),
        bad("another hash", &bent(area, area.len() - 1)),
        bad("version 2", &changed(&|body| body[8] = 2)),
        bad("another vault's", &changed(&|body| body[9] ^= 1)),
        bad("another generation", &changed(&|body| body[32] ^= 2)),
        bad("seventeen slots", &changed(&|body| body[33] = 17)),
        bad("a kind that is none", &changed(&|body| body[slot + 1] = 3)),
        bad("the other kind", &changed(&|body| body[slot + 1] = 1)),
        bad("another number", &changed(&|body| body[slot] = 3)),
        bad("another salt", &changed(&|body| body[salt] ^= 1)),
        bad(
            "cheaper parameters",
            &changed(&|body| body[cost + 2] = 0x4c),
        ),
        bad(
            "parameters below the least",
            &changed(&|body| body[cost + 1] = 0),
        ),
        bad(
            "an ephemeral key of low order",
            &changed(&|body| body[ephemeral..][..32].fill(0)),
        ),
        bad(
            "another commitment",
            &changed(&|body| body[commitment] ^= 1),
        ),
        bad("another envelope", &changed(&|body| body[sealed + 40] ^= 1)),
    ];
    // The kinds that came later, in a file of their own.
    let targets = [
        target(3, SlotKind::KeyFile, KEY_FILE, entropy),
        target(4, SlotKind::Shares, SHARED, entropy),
    ];
    let image = slots::image(VAULT, &root, &targets, entropy);
    let area = &image[64 << 10..][..end + 32];
    let other = |kind: u8| {
        let mut body = area[..end].to_vec();
        body[slot + 1] = kind;
        hashed(&body)
    };
    vectors.extend([
        by(
            "key_file",
            KEY_FILE,
            valid("a key file", area, root.expose()),
        ),
        by("shares", SHARED, valid("shares", area, root.expose())),
        by(
            "key_file",
            &bent(KEY_FILE, 31),
            faulty("a key file with another last bit", area),
        ),
        by(
            "shares",
            KEY_FILE,
            faulty("a key file for a secret of shares", area),
        ),
        by("shares", SHARED, faulty("shares as a key file", &other(3))),
        by(
            "key_file",
            SHARED,
            faulty("shares called a key file", &other(3)),
        ),
        by("shares", SHARED, faulty("a kind from five on", &other(5))),
    ]);
    vectors
}

/// The entries that are not in the log yet, each with its length.
fn open_journal(_: &Value, bytes: &[u8]) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal");
    std::fs::write(&path, bytes).expect("a file");
    let key = KeyRing::of(Secret::take(&mut [0x55; 32]));
    let journal = Journal::open(&path, VAULT, key, 0, &mut SeededEntropy::new(1)).ok()?;
    let (_, entries) = journal.pending(100);
    let parts = entries.iter().map(|entry| {
        let length = u32::try_from(entry.len()).expect("short");
        [&length.to_be_bytes()[..], entry].concat()
    });
    // What has none is a journal all the same; one that was begun anew here has none either.
    Some(parts.collect::<Vec<_>>().concat()).filter(|all| !all.is_empty() || bytes.len() == 25)
}

fn make_journal() -> Vec<Value> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal");
    let key = || KeyRing::of(Secret::take(&mut [0x55; 32]));
    let entropy = &mut SeededEntropy::new(5);
    let journal = Journal::open(&path, VAULT, key(), 0, entropy).expect("a new journal");
    let entries = [entry().encode(), short_entry().encode(), entry().encode()];
    let mut ends = vec![25];
    for entry in &entries {
        journal.append(entry).expect("room");
        ends.push(std::fs::metadata(&path).expect("it is there").len() as usize);
    }
    let whole = std::fs::read(&path).expect("it is there");
    let frame = |number: usize| &whole[ends[number]..ends[number + 1]];
    let header = &whole[..25];
    let gives = |count: usize| {
        let parts = entries[..count].iter().map(|entry| {
            let length = u32::try_from(entry.len()).expect("short");
            [&length.to_be_bytes()[..], entry].concat()
        });
        parts.collect::<Vec<_>>().concat()
    };
    // What was never acknowledged is dropped, whatever it is.
    let torn = |vector| with(vector, "torn", true);
    let elsewhere = {
        let path = dir.path().join("other");
        let other = VaultId::from_bytes([0x12; 16]);
        let journal = Journal::open(&path, other, key(), 0, entropy).expect("a new journal");
        for entry in &entries {
            journal.append(entry).expect("room");
        }
        std::fs::read(&path).expect("it is there")
    };
    vec![
        valid("three frames", &whole, &gives(3)),
        torn(valid(
            "the last frame cut off",
            &whole[..ends[3] - 1],
            &gives(2),
        )),
        torn(valid(
            "zeros for the last frame",
            &{
                let mut bytes = whole.clone();
                bytes[ends[2] + 12..].fill(0);
                bytes
            },
            &gives(2),
        )),
        faulty("version 2", &[&whole[..8], &[2], &whole[9..]].concat()),
        faulty("another magic", &bent(&whole, 0)),
        faulty("another header", &bent(&whole, 24)),
        faulty(
            "the first frame left out",
            &[header, frame(1), frame(2)].concat(),
        ),
        faulty(
            "two frames in the wrong order",
            &[header, frame(1), frame(0), frame(2)].concat(),
        ),
        faulty(
            "a frame twice",
            &[header, frame(0), frame(0), frame(1)].concat(),
        ),
        faulty("a frame changed", &bent(&whole, ends[1] - 1)),
        faulty("another number of a frame", &bent(&whole, 25 + 11)),
        faulty("of another vault", &elsewhere),
    ]
}

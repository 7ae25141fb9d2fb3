//! Somebody with every byte of the disk and the passphrase, after an erasure.
//!
//! A reader of its own, written from docs/format.md: it shares no code with the vault. It opens the
//! key slots with the passphrase, takes whatever the anchor holds, and tries each key that it
//! derives on every offset of the raw database file, freed pages included.
//!
//! Counts as failure: the erased person's entry in the people map, keyset, or index entry opens at
//! any offset. The control is the same reader with the anchor file from before the erasure: it must
//! find all three, or it would prove nothing.

use std::collections::BTreeSet;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::{Hkdf, HkdfExtract};
use serde_json::{Value, json};
use sha2::Sha256;
use vault_cli::dev::{DevOptions, start};

type Key = [u8; 32];

fn derive(material: &[&[u8]], salt: &[u8], label: &str, context: &[&[u8]]) -> Key {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    material.iter().for_each(|part| extract.input_ikm(part));
    let expand: Hkdf<Sha256> = extract.finalize().1;
    let mut info = Vec::new();
    for part in std::iter::once(label.as_bytes()).chain(context.iter().copied()) {
        info.extend((part.len() as u32).to_be_bytes());
        info.extend(part);
    }
    let mut key = [0; 32];
    expand.expand(&info, &mut key).unwrap();
    key
}

/// Associated data of a row that belongs to no record.
fn place(vault: &[u8], table: u8, row: &[u8], revision: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let parts: [&[u8]; 11] = [
        &[1],
        &[0; 4],
        vault,
        &[table],
        row,
        &[0; 2],
        &[0; 2],
        &[],
        &[0; 2],
        revision,
        &[0; 4],
    ];
    for part in parts {
        bytes.extend((part.len() as u32).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

fn open(key: &Key, associated: &[u8], envelope: &[u8]) -> Option<Vec<u8>> {
    let nonce = XNonce::try_from(&envelope[5..29]).ok()?;
    let mut text = envelope[29..].to_vec();
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher
        .decrypt_in_place(&nonce, associated, &mut text)
        .ok()?;
    let end = text.iter().rposition(|byte| *byte != 0)?;
    assert_eq!(text[end], 0x80, "the mark ends the value");
    text.truncate(end);
    Some(text)
}

/// Offsets at which an envelope under key number 0 may begin, and the lengths it may have.
struct Raw {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
    lengths: Vec<usize>,
}

impl Raw {
    fn new(bytes: Vec<u8>) -> Self {
        let nonce = |at: usize| bytes.get(at + 5..at + 29);
        let begins = |at: &usize| {
            bytes[*at..].starts_with(&[1, 0, 0, 0, 0])
                // A random nonce has no run of four zeros, once in a hundred million.
                && nonce(*at).is_some_and(|nonce| !nonce.windows(4).any(|w| w == [0; 4]))
        };
        let padded = |length: usize| {
            if length <= 256 {
                return length.max(1).next_multiple_of(32) + 1;
            }
            let exponent = length.ilog2();
            let mask = (1usize << (exponent - exponent.ilog2() - 1)) - 1;
            ((length + mask) & !mask) + 1
        };
        let lengths: BTreeSet<usize> = (1..5_500).map(|n| padded(n) + 45).collect();
        Self {
            offsets: (0..bytes.len()).filter(begins).collect(),
            lengths: lengths.into_iter().collect(),
            bytes,
        }
    }

    fn opened(&self, key: &Key, associated: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for at in &self.offsets {
            for length in &self.lengths {
                if let Some(envelope) = self.bytes.get(*at..at + length) {
                    found.extend(open(key, associated, envelope));
                }
            }
        }
        found
    }
}

/// The root keys that a passphrase opens in the slots file.
fn root_keys(slots: &[u8], passphrase: &[u8]) -> Vec<([u8; 16], Key)> {
    let mut found = Vec::new();
    for area in slots
        .chunks(64 << 10)
        .filter(|area| area.starts_with(b"vlt-slot"))
    {
        let (vault, generation) = (&area[9..25], &area[25..33]);
        let entries = area[34..].chunks(1 + 1 + 16 + 12 + 32 + 32 + 78);
        for slot in entries
            .take(usize::from(area[33]))
            .filter(|slot| slot[1] == 1)
        {
            let part = |at: usize| u32::from_be_bytes(slot[at..at + 4].try_into().unwrap());
            let cost = Params::new(part(18), part(22), part(26), Some(32)).unwrap();
            let mut stretched = [0; 32];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
                .hash_password_into(passphrase, &slot[2..18], &mut stretched)
                .unwrap();
            let private = derive(
                &[&stretched],
                &slot[2..18],
                "vault/1 slot private half",
                &[],
            );
            let private = x25519_dalek::StaticSecret::from(private);
            let public = x25519_dalek::PublicKey::from(&private).to_bytes();
            let ephemeral: [u8; 32] = slot[30..62].try_into().unwrap();
            let shared = private.diffie_hellman(&ephemeral.into());
            let context: [&[u8]; 2] = [&ephemeral, &public];
            let key = derive(&[shared.as_bytes()], &[], "vault/1 slot key", &context);
            let associated = place(vault, 0x81, &slot[..30], generation);
            if let Some(root) = open(&key, &associated, &slot[94..]) {
                found.push((vault.try_into().unwrap(), root.try_into().unwrap()));
            }
        }
    }
    found
}

/// What the reader got at.
#[derive(Default)]
struct Found {
    people: Vec<([u8; 16], Vec<u8>)>,
    keysets: Vec<Vec<u8>>,
    index: Vec<Vec<u8>>,
}

/// Opens a map from its root downwards, in every state of it that any offset holds.
fn map(raw: &Raw, vault: &[u8], row: &[u8], key: &Key, epoch: &[u8], entry: usize) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for node in raw.opened(key, &place(vault, 2, row, epoch)) {
        match node[0] {
            1 => {
                for (nibble, child) in (0u8..).zip(node[1..].chunks(32)) {
                    let row = [row, &[nibble]].concat();
                    entries.extend(map(raw, vault, &row, child.try_into().unwrap(), &[], entry));
                }
            }
            2 => {
                let count = usize::from(node[1]);
                entries.extend(node[2..].chunks(entry).take(count).map(<[u8]>::to_vec));
            }
            kind => panic!("a node of kind {kind}"),
        }
    }
    entries
}

fn read_everything(database: &[u8], anchor: &[u8], slots: &[u8], passphrase: &[u8]) -> Found {
    let raw = Raw::new(database.to_vec());
    let mut found = Found::default();
    let roots = root_keys(slots, passphrase);
    assert!(!roots.is_empty(), "the passphrase opens a slot");
    for (vault, root) in roots {
        for at in [64 << 10, 576 << 10] {
            // A slot without its magic is noise; it is tried all the same, as if it were one.
            let (epoch, secret) = (&anchor[at + 25..at + 33], &anchor[at + 33..at + 65]);
            let base = derive(&[&root, secret], &vault, "vault/1 epoch", &[epoch]);
            let people = derive(&[&base], &[], "vault/1 people root", &[]);
            for entry in map(&raw, &vault, &[1, 0, 0, 0, 0], &people, epoch, 64) {
                let (kek, handle) = (entry[16..48].try_into().unwrap(), &entry[48..]);
                let keyset = raw.opened(kek, &place(&vault, 3, handle, &[]));
                found.keysets.extend(keyset);
                found.people.push((entry[..16].try_into().unwrap(), entry));
            }
            let index = derive(&[&base], &[], "vault/1 index root", &[&[0; 4]]);
            found
                .index
                .extend(map(&raw, &vault, &[2, 0, 0, 0, 0], &index, epoch, 80));
        }
    }
    found
}

impl Found {
    /// Entries of this person: in the people map, keysets, in the index.
    fn of(&self, subject: &[u8; 16]) -> [usize; 3] {
        let names = |bytes: &[u8]| bytes.windows(16).any(|window| window == subject);
        [
            self.people.iter().filter(|(tag, _)| tag == subject).count(),
            self.keysets.iter().filter(|keyset| names(keyset)).count(),
            self.index.iter().filter(|entry| names(entry)).count(),
        ]
    }
}

fn call(url: &str, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{url}/v1/{path}"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Vault-Purpose", "support")
        .header("Content-Type", "application/json");
    let mut answer = match method {
        "DELETE" => ureq::run(request.body(()).unwrap()).unwrap(),
        _ => ureq::run(request.body(body.to_string()).unwrap()).unwrap(),
    };
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

fn bits(subject: &str) -> [u8; 16] {
    let mut base32 = data_encoding::Specification::new();
    base32.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    let base32 = base32.encoding().unwrap();
    let bits = base32.decode(subject.strip_prefix("sub_").unwrap().as_bytes());
    bits.unwrap().try_into().unwrap()
}

#[test]
fn after_an_erasure_no_key_that_can_be_derived_opens_anything_of_the_person_at_any_offset() {
    let parent = tempfile::tempdir().unwrap();
    let options = DevOptions {
        dir: Some(parent.path().join("vault")),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..DevOptions::default()
    };
    let running = start(options).map_err(|_| "dev does not start").unwrap();
    let (url, bot) = (running.url.clone(), running.token("bot").to_owned());
    let mut people = Vec::new();
    for number in 0..20 {
        let user = json!({"channel": "web", "user": format!("user {number}")});
        let subject = call(&url, "POST", "subjects", &bot, &user)["subject"].clone();
        let subject = subject.as_str().unwrap().to_owned();
        let profile = json!({"email": format!("user{number}@example.test"), "name": "Somebody"});
        let path = format!("subjects/{subject}/records/profile");
        call(&url, "PATCH", &path, &bot, &profile);
        people.push(subject);
    }
    let anchor = running.anchor.join("anchor");
    let before = std::fs::read(&anchor).unwrap();
    let erased = &people[7];
    call(
        &url,
        "DELETE",
        &format!("subjects/{erased}"),
        running.token("dpo"),
        &Value::Null,
    );
    // Life goes on, and overwrites some of the freed pages, but by far not all.
    let user = json!({"channel": "web", "user": "late"});
    call(&url, "POST", "subjects", &bot, &user);
    let read = |path: std::path::PathBuf| std::fs::read(path).unwrap();
    let passphrase = running.passphrase.clone();
    let (dir, anchor_dir) = (running.dir.clone(), running.anchor.clone());
    running.stop().map_err(|_| "dev does not stop").unwrap();
    let database = read(dir.join("vault.redb"));
    let slots = read(anchor_dir.join("slots"));
    let after = read(anchor);

    let found = read_everything(&database, &after, &slots, passphrase.as_bytes());
    assert_eq!(
        found.of(&bits(erased)),
        [0, 0, 0],
        "something of the erased opens"
    );
    for other in people.iter().filter(|person| *person != erased) {
        assert!(
            found.of(&bits(other)).iter().all(|count| *count > 0),
            "the reader reads"
        );
    }
    let control = read_everything(&database, &before, &slots, passphrase.as_bytes());
    let control = control.of(&bits(erased));
    assert!(
        control.iter().all(|count| *count > 0),
        "with the old anchor it is all there"
    );
}

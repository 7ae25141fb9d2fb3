//! Opens what docs/format.md describes, and nothing else: no code of the vault.

use std::collections::{BTreeMap, BTreeSet};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20::XChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, Mac};
use sha2::Sha256;

pub(crate) type Key = [u8; 32];

/// Bytes that are decrypted at an offset to see whether they are text.
const GLANCE: usize = 192;
/// Key numbers that are tried; nobody here has as many keys.
const KEY_NUMBERS: u8 = 32;

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

fn hmac(key: &Key, parts: &[&[u8]]) -> Key {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(&(part.len() as u32).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Lengths that envelopes of rows of these lengths have.
fn lengths(rows: impl Iterator<Item = usize>) -> BTreeSet<usize> {
    let padded = |length: usize| {
        if length <= 256 {
            return length.max(1).next_multiple_of(32) + 1;
        }
        let exponent = length.ilog2();
        let mask = (1usize << (exponent - exponent.ilog2() - 1)) - 1;
        ((length + mask) & !mask) + 1
    };
    rows.map(|length| padded(length) + 45).collect()
}

/// Every byte there is, and the offsets at which an envelope may begin.
pub(crate) struct Raw {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
}

impl Raw {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let nonce = |at: usize| bytes.get(at + 5..at + 29);
        let begins = |at: &usize| {
            bytes[*at..].starts_with(&[1, 0, 0, 0])
                && bytes.get(at + 4).is_some_and(|number| *number < KEY_NUMBERS)
                // A random nonce has no run of four zeros, once in a hundred million.
                && nonce(*at).is_some_and(|nonce| !nonce.windows(4).any(|w| w == [0; 4]))
        };
        Self {
            offsets: (0..bytes.len()).filter(begins).collect(),
            bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn offsets(&self) -> usize {
        self.offsets.len()
    }

    /// Decrypts a glance at every offset with this key, authenticated or not: an attacker who looks
    /// for text needs no associated data.
    pub(crate) fn glance(&self, key: &Key, mut look: impl FnMut(&[u8])) {
        for at in &self.offsets {
            let end = self.bytes.len().min(at + 29 + GLANCE);
            let mut text = self.bytes[at + 29..end].to_vec();
            let nonce: &[u8; 24] = self.bytes[at + 5..at + 29].try_into().unwrap();
            let mut cipher = XChaCha20::new(key.into(), nonce.into());
            // The first block is the authenticator's key.
            cipher.seek(64);
            cipher.apply_keystream(&mut text);
            look(&text);
        }
    }

    /// Envelopes under key number 0 that open at this place, wherever they lie.
    fn opened(&self, key: &Key, associated: &[u8], lengths: &BTreeSet<usize>) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for at in self.offsets.iter().filter(|at| self.bytes[**at + 4] == 0) {
            for length in lengths {
                if let Some(envelope) = self.bytes.get(*at..at + length) {
                    found.extend(open(key, associated, envelope));
                }
            }
        }
        found
    }
}

/// The root keys that a passphrase opens in the slots file.
pub(crate) fn root_keys(slots: &[u8], passphrase: &[u8]) -> Vec<([u8; 16], Key)> {
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

/// Reads a stored row: bincode's variable-length integers, and fixed bytes.
struct Row<'a>(&'a [u8]);

impl<'a> Row<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        assert_eq!(bytes[0], 1, "the version of a row");
        Self(&bytes[1..])
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn key(&mut self) -> Key {
        self.take(32).try_into().unwrap()
    }

    fn integer(&mut self) -> u64 {
        let wide = match self.take(1)[0] {
            251 => self.take(2),
            252 => self.take(4),
            253 => self.take(8),
            short => return u64::from(short),
        };
        wide.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.integer()).map(|_| item(self)).collect()
    }
}

/// Everything that some state of the vault yields to whoever has these files and a passphrase.
#[derive(Default)]
pub(crate) struct Found {
    /// Every key that could be derived or opened.
    pub(crate) keys: BTreeSet<Key>,
    /// People in the people map: subject id, row handle.
    pub(crate) people: BTreeSet<([u8; 16], [u8; 16])>,
    /// Subject ids in keysets that opened.
    pub(crate) keysets: BTreeSet<[u8; 16]>,
    /// Entries of the index.
    pub(crate) index: BTreeSet<Vec<u8>>,
    /// Index keys by field, from every system keyset that opened.
    pub(crate) index_keys: BTreeSet<((u64, u64), Key)>,
    /// Placement keys.
    pub(crate) placements: BTreeSet<Key>,
}

/// Opens a map from its root downwards, in every state of it that any offset holds.
fn map(
    raw: &Raw,
    vault: &[u8],
    row: &[u8],
    key: &Key,
    epoch: &[u8],
    entry: usize,
    keys: &mut BTreeSet<Key>,
) -> Vec<Vec<u8>> {
    keys.insert(*key);
    let mut entries = Vec::new();
    let leaves = [8, 16, 32, 64].map(|entries| 2 + entries * entry);
    let nodes = lengths(leaves.into_iter().chain([1 + 16 * 32]));
    for node in raw.opened(key, &place(vault, 2, row, epoch), &nodes) {
        match node[0] {
            1 => {
                for (nibble, child) in (0u8..).zip(node[1..].chunks(32)) {
                    let row = [row, &[nibble]].concat();
                    let child = child.try_into().unwrap();
                    entries.extend(map(raw, vault, &row, child, &[], entry, keys));
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

/// Reads all there is with each of these anchors.
pub(crate) fn read_everything(
    raw: &Raw,
    anchors: &[Vec<u8>],
    slots: &[u8],
    passphrase: &[u8],
) -> Found {
    let mut found = Found::default();
    let roots = root_keys(slots, passphrase);
    assert!(!roots.is_empty(), "the passphrase opens a slot");
    for ((vault, root), anchor) in roots
        .iter()
        .flat_map(|root| anchors.iter().map(move |anchor| (root, anchor)))
    {
        found.keys.insert(*root);
        for at in [64 << 10, 576 << 10] {
            // A slot without its magic is noise; it is tried all the same, as if it were one.
            let (epoch, secret) = (&anchor[at + 25..at + 33], &anchor[at + 33..at + 65]);
            found.keys.insert(secret.try_into().unwrap());
            let base = derive(&[root, secret], vault, "vault/1 epoch", &[epoch]);
            found.keys.insert(base);
            found.system(raw, vault, &base, epoch);
            found.people(raw, vault, &base, epoch);
            for generation in 0..4u32 {
                let context = generation.to_be_bytes();
                let index = derive(&[&base], &[], "vault/1 index root", &[&context]);
                let row = [&[2], &context[..]].concat();
                let entries = map(raw, vault, &row, &index, epoch, 80, &mut found.keys);
                found.index.extend(entries);
            }
        }
    }
    found
}

impl Found {
    fn system(&mut self, raw: &Raw, vault: &[u8], base: &Key, epoch: &[u8]) {
        let system = derive(&[base], &[], "vault/1 system root", &[]);
        self.keys.insert(system);
        for keyset in raw.opened(&system, &place(vault, 2, &[3], epoch), &lengths(1..4_096)) {
            let mut row = Row::new(&keyset);
            for _ in 0..3 {
                let key = row.key();
                self.keys.insert(key);
            }
            let index = row.list(|row| ((row.integer(), row.integer()), row.key()));
            let placements = row.list(|row| (row.integer(), row.key()));
            self.keys.extend(index.iter().map(|(_, key)| *key));
            self.keys.extend(placements.iter().map(|(_, key)| *key));
            self.index_keys.extend(index);
            self.placements
                .extend(placements.into_iter().map(|(_, key)| key));
        }
    }

    fn people(&mut self, raw: &Raw, vault: &[u8], base: &Key, epoch: &[u8]) {
        let people = derive(&[base], &[], "vault/1 people root", &[]);
        let row = [1, 0, 0, 0, 0];
        for entry in map(raw, vault, &row, &people, epoch, 64, &mut self.keys) {
            let part = |at: usize| -> [u8; 16] { entry[at..at + 16].try_into().unwrap() };
            let kek: Key = entry[16..48].try_into().unwrap();
            let (subject, handle) = (part(0), part(48));
            if !self.keys.insert(kek) && self.people.contains(&(subject, handle)) {
                continue;
            }
            self.people.insert((subject, handle));
            for keyset in raw.opened(&kek, &place(vault, 3, &handle, &[]), &lengths(1..1_024)) {
                let mut row = Row::new(&keyset);
                self.keysets.insert(row.take(16).try_into().unwrap());
                let audit = row.key();
                self.keys.insert(audit);
                let keys = row.list(|row| {
                    // Number, compartment, period.
                    let _place = [row.integer(), row.integer(), row.integer()];
                    row.key()
                });
                self.keys.extend(keys);
            }
        }
    }

    /// Index entries at the positions that this value may have, as any field, under every key.
    pub(crate) fn at_positions_of(&self, normal: &[u8]) -> usize {
        let mut hits = 0;
        for (_, key) in &self.index_keys {
            let mark = hmac(key, &[&[1], normal]);
            hits += self
                .index
                .iter()
                .filter(|entry| entry[16..48] == mark)
                .count();
            for placement in &self.placements {
                let tag = hmac(placement, &[b"value", &mark]);
                hits += self
                    .index
                    .iter()
                    .filter(|entry| entry[..8] == tag[..8])
                    .count();
            }
        }
        hits
    }

    /// Texts behind one of the marks, decrypted with any key at any offset, and how often each was.
    pub(crate) fn texts(&self, raw: &Raw, marks: &[&[u8]]) -> BTreeMap<String, usize> {
        let mut texts = BTreeMap::new();
        for key in &self.keys {
            raw.glance(key, |text| {
                for mark in marks {
                    let at = text.windows(mark.len()).position(|window| window == *mark);
                    let Some(at) = at else { continue };
                    let printable = |byte: &&u8| byte.is_ascii_graphic() && **byte != b'"';
                    let text: Vec<u8> = text[at..].iter().take_while(printable).copied().collect();
                    *texts.entry(String::from_utf8(text).unwrap()).or_default() += 1;
                }
            });
        }
        texts
    }
}

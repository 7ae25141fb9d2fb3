//! The raw bytes of database files: where envelopes may begin, and what a key makes of them there.

use std::collections::{BTreeSet, HashMap, HashSet};

use chacha20::XChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

use super::cipher::{
    CHUNK, HEADER, Id, Key, OVERHEAD, Place, chunk_nonce, open, open_chunk, padded, unpadded,
};
use super::form::Blob;

/// Longest padded value that is looked for: a full leaf of the index has 5,122 bytes, and nothing
/// that the tests store is longer.
const TEXT_MAX: usize = 5_377;
/// Highest key number that is looked for.
const NUMBER_MAX: u32 = 4_096;

/// Every byte of one or more database files.
pub struct Raw {
    bytes: Vec<u8>,
    /// Where an envelope under each key number may begin.
    offsets: HashMap<u32, Vec<usize>>,
    lengths: Vec<usize>,
}

/// A place where a key makes a padded text of some length: an envelope, or chance.
#[derive(Clone, Copy)]
pub struct Hit {
    /// Where it begins.
    pub at: usize,
    length: usize,
    /// The text's first byte.
    pub first: u8,
}

impl Raw {
    /// All of `files`. What an earlier file holds at the same place is looked at once.
    pub fn new(files: &[&[u8]]) -> Self {
        // Apart, so that nothing runs from the end of one into the next.
        let gap = vec![0; 2 * TEXT_MAX];
        let mut bytes = Vec::new();
        let mut offsets: HashMap<u32, Vec<usize>> = HashMap::new();
        for (index, file) in files.iter().enumerate() {
            let start = bytes.len();
            for at in 0..file.len().saturating_sub(OVERHEAD) {
                let Some(number) = number_at(file, at) else {
                    continue;
                };
                let reach = at.saturating_sub(4)..file.len().min(at + TEXT_MAX + OVERHEAD);
                let known = |other: &&[u8]| other.get(reach.clone()) == Some(&file[reach.clone()]);
                if !files[..index].iter().any(known) {
                    offsets.entry(number).or_default().push(start + at);
                }
            }
            bytes.extend_from_slice(file);
            bytes.extend_from_slice(&gap);
        }
        let lengths: BTreeSet<usize> = (0..TEXT_MAX).map(padded).collect();
        Self {
            bytes,
            offsets,
            lengths: lengths.into_iter().filter(|n| *n <= TEXT_MAX).collect(),
        }
    }

    /// Bytes of all files, and of the gaps between them.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// How many places an envelope may begin at.
    pub fn places(&self) -> usize {
        self.offsets.values().map(Vec::len).sum()
    }

    /// The four bytes before `at`.
    pub fn before(&self, at: usize) -> [u8; 4] {
        at.checked_sub(4)
            .map_or([0; 4], |start| self.bytes[start..at].try_into().unwrap())
    }

    /// Where `key` makes a padded text that begins as `begins` says, for every offset with this
    /// key number and every length. The tag is not looked at yet: it needs the place.
    pub fn hits(&self, key: &Key, number: u32, begins: fn(u8) -> bool) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut text = vec![0; TEXT_MAX];
        for &at in self.offsets.get(&number).map_or(&[][..], Vec::as_slice) {
            let nonce: &[u8; 24] = self.bytes[at + 5..at + HEADER].try_into().unwrap();
            let mut stream = XChaCha20::new(key.into(), nonce.into());
            // The first block of the stream is the authenticator's key.
            stream.seek(64u32);
            let mut first = [self.bytes[at + HEADER]];
            stream.apply_keystream(&mut first);
            if !begins(first[0]) {
                continue;
            }
            stream.seek(64u32);
            let sealed = &self.bytes[at + HEADER..at + HEADER + TEXT_MAX];
            text.copy_from_slice(sealed);
            stream.apply_keystream(&mut text);
            let fits = |length: &&usize| unpadded(&text[..**length]).is_some();
            hits.extend(self.lengths.iter().filter(fits).map(|length| Hit {
                at,
                length: *length,
                first: first[0],
            }));
        }
        hits
    }

    /// What lies at a hit, if it opens at this place.
    pub fn open(&self, hit: Hit, key: &Key, vault: &Id, place: &Place<'_>) -> Option<Vec<u8>> {
        let envelope = &self.bytes[hit.at..hit.at + hit.length + OVERHEAD];
        open(key, vault, place, envelope)
    }

    /// What lies anywhere of a blob of one chunk. Its size is known, so its stream is too: it must make
    /// padding of the end, and then the tag decides.
    pub fn content(&self, blob: &Blob, vault: &Id, place: &Place<'_>) -> Option<Vec<u8>> {
        let size = usize::try_from(blob.size).unwrap();
        let length = padded(size);
        assert!(length <= CHUNK, "a blob of one chunk");
        let nonce = chunk_nonce(&blob.prefix, 0, true);
        let mut stream = XChaCha20::new((&blob.key).into(), (&nonce).into());
        stream.seek(64u32);
        let mut tail = vec![0; length];
        stream.apply_keystream(&mut tail);
        let mut padding = tail.split_off(size);
        padding[0] ^= 0x80;
        let ends = self.bytes.windows(padding.len()).enumerate();
        let ends = ends.filter(|(at, bytes)| *at >= size && *bytes == &padding[..]);
        ends.into_iter().find_map(|(at, _)| {
            let sealed = self.bytes.get(at - size..at - size + length + 16)?;
            let mut text = open_chunk(&blob.key, &nonce, vault, place, sealed)?;
            text.truncate(size);
            Some(text)
        })
    }

    /// The nonce at a hit: of an envelope that was opened, copies need no opening.
    pub fn nonce(&self, hit: Hit) -> &[u8] {
        &self.bytes[hit.at + 5..hit.at + HEADER]
    }

    /// What follows each of these handles anywhere: `N` bytes that may be the rest of a row's key.
    pub fn after<const N: usize>(&self, handles: &HashSet<Id>) -> HashMap<Id, BTreeSet<[u8; N]>> {
        let starts: HashSet<[u8; 2]> = handles
            .iter()
            .map(|handle| [handle[0], handle[1]])
            .collect();
        let mut starting = vec![false; 1 << 16];
        for start in starts {
            starting[usize::from(u16::from_be_bytes(start))] = true;
        }
        let mut found: HashMap<Id, BTreeSet<[u8; N]>> = HashMap::new();
        for window in self.bytes.windows(16 + N) {
            if !starting[usize::from(u16::from_be_bytes([window[0], window[1]]))] {
                continue;
            }
            let handle: Id = window[..16].try_into().unwrap();
            if handles.contains(&handle) {
                let rest = window[16..].try_into().unwrap();
                found.entry(handle).or_default().insert(rest);
            }
        }
        found
    }
}

/// The key number of the envelope that may begin at `at`.
fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    if bytes[at] != 1 {
        return None;
    }
    let number = u32::from_be_bytes(bytes[at + 1..at + 5].try_into().unwrap());
    // A random nonce has no run of four zeros, once in two hundred million.
    let nonce = &bytes[at + 5..at + HEADER];
    let random = !nonce.windows(4).any(|run| run == [0; 4]);
    (number <= NUMBER_MAX && random).then_some(number)
}

#[test]
fn an_envelope_is_hit_at_any_offset_and_a_changed_one_does_not_open() {
    use chacha20poly1305::aead::{AeadInOut, KeyInit};
    let (key, vault, place) = ([7; 32], [8; 16], Place::row(2, b"row"));
    let nonce: [u8; 24] = std::array::from_fn(|at| at as u8 + 100);
    let mut text = b"\x02found".to_vec();
    text.push(0x80);
    text.resize(padded(6), 0);
    let cipher = chacha20poly1305::XChaCha20Poly1305::new(&key.into());
    cipher
        .encrypt_in_place(&nonce.into(), &place.associated(&vault, 5), &mut text)
        .unwrap();
    let envelope = [&[1, 0, 0, 0, 5][..], &nonce, &text].concat();
    for shift in 0..70 {
        let mut file = vec![0; shift];
        file.extend_from_slice(&envelope);
        let raw = Raw::new(&[&file]);
        let hits = raw.hits(&key, 5, |first| first == 2);
        let opened: Vec<_> = hits
            .iter()
            .filter_map(|hit| raw.open(*hit, &key, &vault, &place))
            .collect();
        assert_eq!(opened, [b"\x02found"]);
        file[shift + 40] ^= 1;
        let raw = Raw::new(&[&file]);
        let hits = raw.hits(&key, 5, |_| true);
        let opens = |hit: &Hit| raw.open(*hit, &key, &vault, &place).is_some();
        assert!(!hits.iter().any(opens));
    }
}

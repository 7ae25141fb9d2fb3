//! The raw bytes of database files: where envelopes may begin, and what a key makes of them there.

use std::collections::{BTreeSet, HashMap, HashSet};

use chacha20::XChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

use super::cipher::{
    CHUNK, HEADER, Id, Key, OVERHEAD, Place, chunk_nonce, open, open_chunk, padded, unpadded,
};
use super::form::Blob;
use super::needles::Needles;

/// Longest padded value that is looked for unless told otherwise: a full leaf of the index has 5,122
/// bytes, and nothing that the tests store in an envelope is longer.
pub const TEXT_MAX: usize = 5_377;
/// Highest key number that is looked for.
const NUMBER_MAX: u32 = 4_096;

/// Every byte of one or more database files.
pub struct Raw {
    bytes: Vec<u8>,
    /// Where an envelope under each key number may begin.
    offsets: HashMap<u32, Vec<usize>>,
    /// Up to [`TEXT_MAX`], and beyond.
    lengths: Vec<usize>,
    longer: Vec<usize>,
    /// Longest padded value that is looked for.
    longest: usize,
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
    /// All of `files`, in which no value is longer than [`TEXT_MAX`].
    #[must_use]
    pub fn new(files: &[&[u8]]) -> Self {
        Self::reaching(files, TEXT_MAX)
    }

    /// All of `files`, with values of up to so many bytes, padded. What an earlier file holds at the
    /// same place is looked at once.
    #[must_use]
    pub fn reaching(files: &[&[u8]], longest: usize) -> Self {
        let longest = longest.max(TEXT_MAX);
        // Apart, so that nothing runs from the end of one into the next.
        let gap = vec![0; 2 * longest];
        let mut bytes = Vec::new();
        let mut offsets: HashMap<u32, Vec<usize>> = HashMap::new();
        for (index, file) in files.iter().enumerate() {
            let start = bytes.len();
            let known = known(file, &files[..index]);
            for at in 0..file.len().saturating_sub(OVERHEAD) {
                let Some(number) = number_at(file, at) else {
                    continue;
                };
                let reach = file.len().min(at + longest + OVERHEAD);
                if known[at.saturating_sub(4)] < reach {
                    offsets.entry(number).or_default().push(start + at);
                }
            }
            bytes.extend_from_slice(file);
            bytes.extend_from_slice(&gap);
        }
        let lengths: BTreeSet<usize> = (0..longest).map(padded).collect();
        let lengths = lengths.into_iter().filter(|length| *length <= longest);
        let (lengths, longer) = lengths.partition(|length| *length <= TEXT_MAX);
        Self {
            bytes,
            offsets,
            lengths,
            longer,
            longest,
        }
    }

    /// Bytes of all files, and of the gaps between them.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// How many places an envelope may begin at.
    #[must_use]
    pub fn places(&self) -> usize {
        self.offsets.values().map(Vec::len).sum()
    }

    /// How many of them name this key number.
    #[must_use]
    pub fn places_of(&self, number: u32) -> usize {
        self.offsets.get(&number).map_or(0, Vec::len)
    }

    /// Every byte of all files.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The four bytes before `at`.
    pub fn before(&self, at: usize) -> [u8; 4] {
        at.checked_sub(4)
            .map_or([0; 4], |start| self.bytes[start..at].try_into().unwrap())
    }

    /// Where `key` makes a padded text that begins as `begins` says, for every offset with this
    /// key number and every length. The tag is not looked at yet: it needs the place. Nor is it
    /// needed to read: what the key makes of the bytes at an offset is searched for `needles`,
    /// whatever the padding says, and `word` is told of each.
    pub fn hits(
        &self,
        key: &Key,
        number: u32,
        begins: fn(u8) -> bool,
        needles: &Needles,
        mut word: impl FnMut(usize),
    ) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut text = vec![0; TEXT_MAX];
        for &at in self.offsets.get(&number).map_or(&[][..], Vec::as_slice) {
            let nonce: &[u8; 24] = self.bytes[at + 5..at + HEADER].try_into().expect("a nonce");
            let mut stream = XChaCha20::new(key.into(), nonce.into());
            // The first block of the stream is the authenticator's key.
            stream.seek(64u32);
            let mut first = [self.bytes[at + HEADER]];
            stream.apply_keystream(&mut first);
            if !begins(first[0]) {
                continue;
            }
            stream.seek(64u32);
            text.copy_from_slice(&self.bytes[at + HEADER..at + HEADER + TEXT_MAX]);
            stream.apply_keystream(&mut text);
            needles.find(&text, |number, _| word(number));
            let fits = |length: &&usize| unpadded(&text[..**length]).is_some();
            let longer = self.longer.iter();
            let longer = longer.filter(|length| self.fits(&mut stream, at, **length));
            let lengths = self.lengths.iter().filter(fits).chain(longer);
            hits.extend(lengths.map(|length| Hit {
                at,
                length: *length,
                first: first[0],
            }));
        }
        hits
    }

    /// Whether a text of this length, too long to be looked at whole for every key, ends as padding
    /// does.
    fn fits(&self, stream: &mut XChaCha20, at: usize, length: usize) -> bool {
        debug_assert!(length <= self.longest);
        // Padding is never longer than a step of Padmé, a sixteenth.
        let tail = length / 16 + 2;
        let start = length - tail;
        let ends = |bytes: usize, stream: &mut XChaCha20| {
            let from = length - bytes;
            stream.seek(64 + from as u64);
            let mut text = self.bytes[at + HEADER + from..at + HEADER + length].to_vec();
            stream.apply_keystream(&mut text);
            text.into_iter().rev().find(|byte| *byte != 0)
        };
        // The last byte tells of most that it is none.
        matches!(ends(1, stream), None | Some(0x80)) && ends(length - start, stream) == Some(0x80)
    }

    /// What lies at a hit, if it opens at this place.
    pub fn open(&self, hit: Hit, key: &Key, vault: &Id, place: &Place<'_>) -> Option<Vec<u8>> {
        let envelope = &self.bytes[hit.at..hit.at + hit.length + OVERHEAD];
        open(key, vault, place, envelope)
    }

    /// What lies anywhere of a blob's content. The size of one in a single chunk is known, so its stream
    /// is too: it must make padding of the end, and then the tag decides. Of several chunks each is
    /// looked for behind its row's key.
    #[must_use]
    pub fn content(&self, blob: &Blob, vault: &Id, place: &Place<'_>) -> Option<Vec<u8>> {
        let size = usize::try_from(blob.size).ok()?;
        let padded = padded(size);
        if padded <= CHUNK {
            let nonce = chunk_nonce(&blob.prefix, 0, true);
            return self.only_chunk(&blob.key, &nonce, vault, place, (padded, size));
        }
        let chunks = u32::try_from(padded.div_ceil(CHUNK)).ok()?;
        let mut content = Vec::with_capacity(padded);
        for chunk in 0..chunks {
            let nonce = chunk_nonce(&blob.prefix, chunk, chunk + 1 == chunks);
            let row = [place.row, &chunk.to_be_bytes()].concat();
            let length = CHUNK.min(padded - content.len());
            content.extend(self.behind(&row, length + 16, |sealed| {
                open_chunk(&blob.key, &nonce, vault, place, sealed)
            })?);
        }
        content.truncate(size);
        Some(content)
    }

    /// What `open` makes of so many bytes close behind a row's key, wherever that stands.
    fn behind(
        &self,
        row: &[u8],
        length: usize,
        open: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let rows = self.bytes.windows(row.len()).enumerate();
        let rows = rows.filter(|(_, bytes)| *bytes == row);
        rows.into_iter().find_map(|(at, _)| {
            let from = at + row.len();
            (from..from + 64).find_map(|at| open(self.bytes.get(at..at + length)?))
        })
    }

    fn only_chunk(
        &self,
        key: &Key,
        nonce: &[u8; 24],
        vault: &Id,
        place: &Place<'_>,
        (length, size): (usize, usize),
    ) -> Option<Vec<u8>> {
        let mut stream = XChaCha20::new(key.into(), nonce.into());
        stream.seek(64u32);
        let mut tail = vec![0; length];
        stream.apply_keystream(&mut tail);
        let mut padding = tail.split_off(size);
        padding[0] ^= 0x80;
        let ends = self.bytes.windows(padding.len()).enumerate();
        let ends = ends.filter(|(at, bytes)| *at >= size && *bytes == &padding[..]);
        ends.into_iter().find_map(|(at, _)| {
            let sealed = self.bytes.get(at - size..at - size + length + 16)?;
            let mut text = open_chunk(key, nonce, vault, place, sealed)?;
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

/// Up to where each offset's bytes are those of one of `earlier` at the same place.
fn known(file: &[u8], earlier: &[&[u8]]) -> Vec<usize> {
    let mut known = vec![0; file.len()];
    for other in earlier {
        let mut until = file.len().min(other.len());
        for at in (0..until).rev() {
            if file[at] != other[at] {
                until = at;
            }
            known[at] = known[at].max(until);
        }
    }
    known
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
        let hits = raw.hits(&key, 5, |first| first == 2, &Needles::default(), |_| {});
        let opened: Vec<_> = hits
            .iter()
            .filter_map(|hit| raw.open(*hit, &key, &vault, &place))
            .collect();
        assert_eq!(opened, [b"\x02found"]);
        file[shift + 40] ^= 1;
        let raw = Raw::new(&[&file]);
        let hits = raw.hits(&key, 5, |_| true, &Needles::default(), |_| {});
        let opens = |hit: &Hit| raw.open(*hit, &key, &vault, &place).is_some();
        assert!(!hits.iter().any(opens));
    }
}

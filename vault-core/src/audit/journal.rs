//! The read journal: entries of reads, on their way into the log.
//!
//! A frame is written with one system call before the value leaves, so it survives kill -9 (a power
//! loss may take the last second, until the log has it). Each frame is sealed with the hash of the
//! one before, so none can be taken out of the middle. Knows nothing of what an entry says.
//!
//! File: `vlt-jrnl`, version 1, 16 random bytes; then frames: length 4 B, sequence 8 B, envelope.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::crypto::{ENVELOPE_OVERHEAD, Location, key_number, sha256};
use crate::entropy::Entropy;
use crate::id::VaultId;
use crate::keys::ring::KeyRing;
use crate::limits::{JOURNAL_BYTES_MAX, VALUE_BYTES_MAX};

const MAGIC: &[u8; 8] = b"vlt-jrnl";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8 + 1 + 16;
/// No entry is longer than a value.
const FRAME_BYTES_MAX: usize = VALUE_BYTES_MAX + ENVELOPE_OVERHEAD;
/// The number that stands for a table in the associated data of a frame.
const TABLE: u8 = 0x82;

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A frame before the last does not open: something was taken out or changed.
    #[error("the read journal is damaged")]
    Damaged,
    /// The operating system refused.
    #[error("could not read or write the read journal")]
    Io(#[from] io::Error),
}

/// The journal of an open vault.
pub struct Journal {
    vault: VaultId,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    keys: KeyRing,
    /// A frame in the file may be under a key that is not the newest, or a power loss may bring one back:
    /// a file that was begun anew is not on the medium.
    old: bool,
    file: File,
    length: u64,
    sequence: u64,
    previous: [u8; 32],
    /// Frames that the log does not have yet.
    pending: Vec<(u64, Vec<u8>)>,
    /// Bytes behind the last frame that opened, which were cut off when the file was opened.
    cut: u64,
    /// A write failed and its half frame could not be cut off: nothing may follow it.
    broken: bool,
}

impl Journal {
    /// Opens the journal at `path`, or begins one. Frames up to number `folded` are in the log;
    /// a last frame that was cut off or does not open is dropped, and [`Journal::cut`] says so.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`], [`JournalError::Io`].
    pub fn open(
        path: &Path,
        vault: VaultId,
        keys: KeyRing,
        folded: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // What the process before has cut off may still be there after a power loss.
        let old = keys.numbers().nth(1).is_some();
        let mut state = State {
            keys,
            old,
            file,
            length: 0,
            sequence: folded,
            previous: [0; 32],
            pending: Vec::new(),
            cut: 0,
            broken: false,
        };
        if bytes.len() < HEADER_BYTES {
            state.begin(entropy)?;
        } else {
            if &bytes[..8] != MAGIC || bytes[8] != VERSION {
                return Err(JournalError::Damaged);
            }
            state.read(vault, &bytes, folded)?;
            state.cut = bytes.len() as u64 - state.length;
            state.file.set_len(state.length)?;
            seek_end(&mut state.file)?;
        }
        Ok(Self {
            vault,
            path: path.to_owned(),
            state: Mutex::new(state),
        })
    }

    /// Writes `entry`: it survives this process from here on.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]; the value of the read must then not leave.
    pub fn append(&self, entry: &[u8]) -> Result<(), JournalError> {
        let mut state = self.state.lock();
        if state.broken {
            return Err(io::Error::other("an earlier write failed").into());
        }
        let sequence = state.sequence + 1;
        let frame = frame(self.vault, &state.keys, sequence, &state.previous, entry);
        if let Err(error) = state.file.write_all(&frame) {
            let length = state.length;
            let cut = state.file.set_len(length);
            state.broken = cut.and_then(|()| seek_end(&mut state.file)).is_err();
            return Err(error.into());
        }
        state.length += frame.len() as u64;
        state.sequence = sequence;
        state.previous = sha256(&[&frame]);
        state.pending.push((sequence, entry.to_vec()));
        Ok(())
    }

    /// From now on nothing can be written, as after a write whose half could not be cut off.
    #[cfg(test)]
    pub(crate) fn break_off(&self) {
        self.state.lock().broken = true;
    }

    /// The number of the newest of at most `limit` frames to fold into the log, and their entries.
    #[must_use]
    pub fn pending(&self, limit: usize) -> (Option<u64>, Vec<Vec<u8>>) {
        let state = self.state.lock();
        let frames = &state.pending[..state.pending.len().min(limit)];
        let newest = frames.last().map(|(sequence, _)| *sequence);
        (
            newest,
            frames.iter().map(|(_, entry)| entry.clone()).collect(),
        )
    }

    /// Bytes that were cut off when the file was opened: of a frame that a crash broke off, or of one
    /// that somebody changed.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.state.lock().cut
    }

    /// Length in bytes, and how many frames the log does not have yet.
    #[must_use]
    pub fn figures(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.length, state.pending.len() as u64)
    }

    /// Forgets frames up to number `folded`, which a commit has put into the log, and begins the
    /// file anew when it has become long.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]; the journal then refuses entries.
    pub fn folded(&self, folded: u64, entropy: &mut dyn Entropy) -> Result<(), JournalError> {
        let mut state = self.state.lock();
        state.pending.retain(|(sequence, _)| *sequence > folded);
        if state.pending.is_empty() && state.length > JOURNAL_BYTES_MAX {
            state.begin(entropy).inspect_err(|_| state.broken = true)?;
        }
        Ok(())
    }

    /// Seals with the newest of these keys from now on.
    pub fn adopt(&self, keys: KeyRing) {
        let mut state = self.state.lock();
        state.old |= keys.newest() != state.keys.newest();
        state.keys = keys;
    }

    /// Puts another file in its place if any of it is under an old key: it begins with what the log does
    /// not have yet, under the newest. Such a key may go only after this, and is needed no more, whatever a
    /// power loss brings back: the new file is on the medium before it gets its name.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]; the journal goes on in the file that it has.
    pub fn renew(&self, entropy: &mut dyn Entropy) -> Result<(), JournalError> {
        let mut state = self.state.lock();
        if !state.old {
            return Ok(());
        }
        let mut bytes = header(entropy).to_vec();
        let mut previous = sha256(&[&bytes]);
        for (sequence, entry) in &state.pending {
            let frame = frame(self.vault, &state.keys, *sequence, &previous, entry);
            previous = sha256(&[&frame]);
            bytes.extend_from_slice(&frame);
        }
        let unfinished = self.path.with_extension("unfinished");
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &self.path)?;
        // From here on the old file has no name, and nothing may be written to it.
        state.file = file;
        state.length = bytes.len() as u64;
        state.previous = previous;
        state.broken = false;
        let parent = self.path.parent().filter(|p| *p != Path::new(""));
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        // Only now does no power loss give the old file its name back.
        state.old = false;
        Ok(())
    }
}

fn header(entropy: &mut dyn Entropy) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8] = VERSION;
    entropy.fill(&mut header[9..]);
    header
}

impl State {
    fn begin(&mut self, entropy: &mut dyn Entropy) -> Result<(), JournalError> {
        let header = header(entropy);
        self.file.set_len(0)?;
        seek_end(&mut self.file)?;
        self.file.write_all(&header)?;
        self.length = HEADER_BYTES as u64;
        self.previous = sha256(&[&header]);
        Ok(())
    }

    fn read(&mut self, vault: VaultId, bytes: &[u8], folded: u64) -> Result<(), JournalError> {
        let mut at = HEADER_BYTES;
        self.previous = sha256(&[&bytes[..at]]);
        while let Some(head) = bytes.get(at..at + 12) {
            let length = u32::from_be_bytes(head[..4].try_into().expect("four")) as usize;
            let sequence = u64::from_be_bytes(head[4..].try_into().expect("eight"));
            // No crash leaves a length that was never written; zeros it may.
            if length > FRAME_BYTES_MAX && bytes[at..].iter().any(|byte| *byte != 0) {
                return Err(JournalError::Damaged);
            }
            let Some(envelope) = bytes.get(at + 12..(at + 12).saturating_add(length)) else {
                break;
            };
            let end = at + 12 + length;
            let place = sequence.to_be_bytes();
            let opened = self
                .keys
                .unseal(&location(vault, &place, &self.previous), envelope);
            match opened {
                Ok(entry) => {
                    self.old |= key_number(envelope) != Some(self.keys.newest());
                    if sequence > folded {
                        self.pending.push((sequence, entry.to_vec()));
                    }
                    self.sequence = sequence;
                    self.previous = sha256(&[&bytes[at..end]]);
                    at = end;
                }
                // A power loss may leave the length of the last frame and zeros for its bytes.
                Err(_) if end == bytes.len() => break,
                Err(_) => return Err(JournalError::Damaged),
            }
        }
        self.sequence = self.sequence.max(folded);
        self.length = at as u64;
        Ok(())
    }
}

fn seek_end(file: &mut File) -> io::Result<()> {
    io::Seek::seek(file, io::SeekFrom::End(0)).map(drop)
}

fn location<'a>(vault: VaultId, sequence: &'a [u8; 8], previous: &'a [u8; 32]) -> Location<'a> {
    Location {
        record: previous,
        ..Location::row(vault, TABLE, sequence)
    }
}

fn frame(
    vault: VaultId,
    keys: &KeyRing,
    sequence: u64,
    previous: &[u8; 32],
    entry: &[u8],
) -> Vec<u8> {
    let place = sequence.to_be_bytes();
    let envelope = keys.seal(&location(vault, &place, previous), entry);
    let envelope = envelope.expect("short");
    let length = u32::try_from(envelope.len()).expect("short");
    let mut frame = Vec::with_capacity(12 + envelope.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&place);
    frame.extend_from_slice(&envelope);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;
    use crate::entropy::SeededEntropy;

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);

    fn open(path: &Path, folded: u64) -> Result<Journal, JournalError> {
        let keys = KeyRing::of(Secret::take(&mut [9; 32]));
        Journal::open(path, VAULT, keys, folded, &mut SeededEntropy::new(1))
    }

    fn texts(journal: &Journal) -> Vec<Vec<u8>> {
        journal.pending(100).1
    }

    #[test]
    fn frames_survive_reopening_until_they_are_folded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = open(&path, 0).unwrap();
        for entry in [b"one", b"two", b"six"] {
            journal.append(entry).unwrap();
        }
        drop(journal);
        let journal = open(&path, 1).unwrap();
        assert_eq!(texts(&journal), [b"two", b"six"]);
        journal.folded(3, &mut SeededEntropy::new(2)).unwrap();
        assert!(texts(&journal).is_empty());
        journal.append(b"ten").unwrap();
        drop(journal);
        assert_eq!(texts(&open(&path, 3).unwrap()), [b"ten"]);
    }

    /// What would be lost: reads whose frames lie under a key that went.
    #[test]
    fn a_new_key_goes_on_in_the_same_file_and_the_old_is_needed_until_it_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let old = || KeyRing::of(Secret::take(&mut [9; 32]));
        let ring = |retired: bool| {
            let mut ring = old();
            ring.succeed(&mut SeededEntropy::new(5));
            ring.retire(|_| !retired);
            ring
        };
        let again = |keys: KeyRing, folded: u64| {
            Journal::open(&path, VAULT, keys, folded, &mut SeededEntropy::new(1))
        };
        let journal = again(old(), 0).unwrap();
        journal.append(b"one").unwrap();
        journal.adopt(ring(false));
        journal.append(b"two").unwrap();
        drop(journal);
        // Without the old key nothing of it is read, and nobody is told that all is well.
        assert!(matches!(again(ring(true), 0), Err(JournalError::Damaged)));
        let journal = again(ring(false), 0).unwrap();
        assert_eq!(texts(&journal), [b"one", b"two"]);
        let entropy = &mut SeededEntropy::new(2);
        journal.folded(1, entropy).unwrap();
        journal.renew(entropy).unwrap();
        journal.append(b"six").unwrap();
        drop(journal);
        // What the log did not have came along, under the new key alone.
        let journal = again(ring(true), 1).unwrap();
        assert_eq!(
            (texts(&journal), journal.cut()),
            (vec![b"two".to_vec(), b"six".to_vec()], 0)
        );
        let before = std::fs::read(&path).unwrap();
        journal.renew(entropy).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before, "nothing to renew");
        drop(journal);
        assert_eq!(texts(&again(ring(true), 2).unwrap()), [b"six"]);
    }

    /// What would be lost: the vault, which does not open with a journal under a key that went. A file that
    /// was begun anew is not on the medium yet: a power loss brings back what was in it.
    #[test]
    fn no_power_loss_brings_back_a_frame_under_a_key_that_went() {
        let old = || KeyRing::of(Secret::take(&mut [9; 32]));
        let ring = |retired: bool| {
            let mut ring = old();
            ring.succeed(&mut SeededEntropy::new(5));
            ring.retire(|_| !retired);
            ring
        };
        let begin = |journal: &Journal| {
            let mut state = journal.state.lock();
            state.begin(&mut SeededEntropy::new(3)).unwrap();
        };
        // Whether the new key comes before the file begins anew, after it, or another process has it.
        for order in [
            "key, file",
            "file, key",
            "key, file, process",
            "file, process",
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("journal");
            let again = |keys: KeyRing, folded: u64| {
                Journal::open(&path, VAULT, keys, folded, &mut SeededEntropy::new(1))
            };
            let mut journal = again(old(), 0).unwrap();
            // Two: the last frame of a file may be torn.
            journal.append(b"one").unwrap();
            journal.append(b"two").unwrap();
            let kept = std::fs::read(&path).unwrap();
            let mut medium = OpenOptions::new().write(true).open(&path).unwrap();
            journal.folded(2, &mut SeededEntropy::new(2)).unwrap();
            for step in order.split(", ") {
                match step {
                    "key" => journal.adopt(ring(false)),
                    "file" => begin(&journal),
                    _ => {
                        drop(journal);
                        journal = again(ring(false), 2).unwrap();
                    }
                }
            }
            journal.renew(&mut SeededEntropy::new(4)).unwrap();
            drop(journal);
            // The old bytes return to where they were, whichever name that has.
            medium.set_len(0).unwrap();
            medium.write_all(&kept).unwrap();
            let journal = again(ring(true), 2);
            let journal = journal.unwrap_or_else(|error| panic!("{order}: {error}"));
            assert!(texts(&journal).is_empty(), "{order}");
            assert_eq!(journal.cut(), 0, "{order}");
        }
    }

    #[test]
    fn a_torn_last_frame_is_dropped_and_a_hole_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = open(&path, 0).unwrap();
        for entry in [b"one", b"two"] {
            journal.append(entry).unwrap();
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let frame = (whole.len() - HEADER_BYTES) / 2;
        for length in HEADER_BYTES..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let journal = open(&path, 0).unwrap();
            assert!(texts(&journal).len() < 2, "{length}");
            let over = (length - HEADER_BYTES) % frame;
            assert_eq!(journal.cut(), over as u64, "what was dropped is told");
        }
        // A length that reaches far beyond the end, in the middle: no crash does that.
        for at in [HEADER_BYTES, HEADER_BYTES + 1] {
            let mut longer = whole.clone();
            longer[at] ^= 0x80;
            std::fs::write(&path, &longer).unwrap();
            assert!(matches!(open(&path, 0), Err(JournalError::Damaged)));
        }
        let mut without_first = whole[..HEADER_BYTES].to_vec();
        without_first.extend_from_slice(&whole[HEADER_BYTES + frame..]);
        without_first.extend_from_slice(&whole[HEADER_BYTES..]);
        std::fs::write(&path, &without_first).unwrap();
        assert!(matches!(open(&path, 0), Err(JournalError::Damaged)));
    }
    /// What would be lost: a read that somebody made, of which a changed bit takes the entry away
    /// without a word.
    #[test]
    fn a_changed_bit_is_damage_or_is_told_and_never_another_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = open(&path, 0).unwrap();
        for entry in [b"one", b"two", b"six"] {
            journal.append(entry).unwrap();
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let (mut damaged, mut told) = (0, 0);
        for bit in 0..8 * whole.len() {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &changed).unwrap();
            match open(&path, 0) {
                Err(JournalError::Damaged) => damaged += 1,
                Err(error) => panic!("bit {bit}: {error}"),
                Ok(journal) => {
                    let texts = texts(&journal);
                    assert!(texts.len() < 3 && journal.cut() > 0, "bit {bit}");
                    let first = [&b"one"[..], b"two"].into_iter().take(texts.len());
                    assert!(texts.iter().map(Vec::as_slice).eq(first), "bit {bit}");
                    told += 1;
                }
            }
        }
        assert!(damaged > 0 && told > 0);
    }
}

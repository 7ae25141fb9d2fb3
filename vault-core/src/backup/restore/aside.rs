//! Entries of a map that is to be written, put aside until all are there: a map is written in the order of
//! its tags, and people come in the order of their handles.
//!
//! Entries hold keys. What does not fit into memory lies in a file that has no name any more, sealed under a
//! key that is nowhere but here: neither a process that dies nor the medium leaves anything of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::crypto::{Location, Secret, seal, unseal};
use crate::entropy::Entropy;
use crate::id::VaultId;
use crate::keys::shred::{Entries, PARTS, ShredError, Source, Tag};
use crate::limits::RESTORE_ASIDE_BYTES;
use crate::store::StoreError;

/// The number of the table that a part's envelopes stand in, which is none.
const TABLE: u8 = 0x86;

/// Entries of one map, with payloads of `P` bytes.
pub(super) struct Aside<const P: usize> {
    parts: Vec<Part>,
    file: Scratch,
    /// Whether a tag that is there twice is damage, or the first of them counts.
    twice: Twice,
}

/// What a second entry with the same tag is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Twice {
    /// Damage.
    Refused,
    /// The same once more.
    Same,
}

/// The entries whose tags begin with one byte.
#[derive(Default)]
struct Part {
    /// Entries that are in memory.
    waiting: Zeroizing<Vec<u8>>,
    /// Where in the file the others lie, and how long each envelope is.
    sealed: Vec<(u64, u32)>,
    /// Entries of both.
    count: usize,
}

/// The file, which is made when it is first needed.
struct Scratch {
    vault: VaultId,
    key: Secret<32>,
    path: PathBuf,
    file: Option<File>,
    end: u64,
}

impl Scratch {
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(0o600);
            let file = options.open(&self.path)?;
            std::fs::remove_file(&self.path)?;
            self.file = Some(file);
        }
        Ok(self.file.as_ref().expect("opened above"))
    }

    fn put(&mut self, text: &[u8]) -> io::Result<(u64, u32)> {
        let at = self.end;
        let row = at.to_be_bytes();
        let location = Location::row(self.vault, TABLE, &row);
        let sealed =
            seal(&self.key, 0, &location, text).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.file()?.write_all_at(&sealed, at)?;
        let length = u32::try_from(sealed.len()).expect("a part in memory is short");
        self.end += u64::from(length);
        Ok((at, length))
    }

    fn take(&mut self, (at, length): (u64, u32)) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut sealed = vec![0; length as usize];
        self.file()?.read_exact_at(&mut sealed, at)?;
        let row = at.to_be_bytes();
        let location = Location::row(self.vault, TABLE, &row);
        unseal(&self.key, &location, &sealed).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

impl<const P: usize> Aside<P> {
    const ENTRY_BYTES: usize = 16 + P;
    /// Whole entries that a part has in memory.
    const WAITING_BYTES: usize =
        RESTORE_ASIDE_BYTES / PARTS / Self::ENTRY_BYTES * Self::ENTRY_BYTES;

    /// Nothing yet. At `path` there is nothing, before and after.
    pub(super) fn new(
        vault: VaultId,
        path: &Path,
        twice: Twice,
        entropy: &mut dyn Entropy,
    ) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            file: Scratch {
                vault,
                key: Secret::generate(entropy),
                path: path.to_owned(),
                file: None,
                end: 0,
            },
            twice,
        }
    }

    /// Puts an entry aside.
    pub(super) fn add(&mut self, tag: &Tag, payload: &[u8; P]) -> Result<(), StoreError> {
        let part = &mut self.parts[usize::from(tag[0])];
        if part.waiting.len() >= Self::WAITING_BYTES {
            part.sealed.push(self.file.put(&part.waiting)?);
            zeroize::Zeroize::zeroize(part.waiting.as_mut_slice());
            part.waiting.clear();
        }
        if part.waiting.capacity() == 0 {
            // Once: growing would leave keys behind in the memory before.
            part.waiting.reserve_exact(Self::WAITING_BYTES);
        }
        part.waiting.extend_from_slice(tag);
        part.waiting.extend_from_slice(payload);
        part.count += 1;
        Ok(())
    }
}

impl<const P: usize> Source<P> for Aside<P> {
    fn count(&self, part: u8) -> usize {
        self.parts[usize::from(part)].count
    }

    fn take(&mut self, part: u8) -> Result<Entries<P>, ShredError> {
        let part = std::mem::take(&mut self.parts[usize::from(part)]);
        let mut entries = Entries::with_capacity(part.count);
        let mut add = |bytes: &[u8]| {
            for entry in bytes.chunks_exact(Self::ENTRY_BYTES) {
                let mut payload = Zeroizing::new([0; P]);
                payload.copy_from_slice(&entry[16..]);
                entries.push((entry[..16].try_into().expect("sixteen bytes"), payload));
            }
        };
        for place in part.sealed {
            add(&self.file.take(place).map_err(StoreError::from)?);
        }
        add(&part.waiting);
        // In place: other memory that the entries are copied through would keep their keys.
        entries.sort_unstable_by_key(|(tag, _)| *tag);
        let twice = entries.windows(2).any(|two| two[0].0 == two[1].0);
        match (twice, self.twice) {
            (false, _) => Ok(entries),
            (true, Twice::Refused) => Err(ShredError::Exists),
            (true, Twice::Same) => {
                // In memory of its own: moved up, the last ones would stay where they were as well.
                let mut once = Entries::with_capacity(entries.len());
                for (number, entry) in entries.iter().enumerate() {
                    if number == 0 || entries[number - 1].0 != entry.0 {
                        once.push(entry.clone());
                    }
                }
                Ok(once)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::keys::shred::residue::Residue;
    use crate::keys::shred::{RootKey, ShredMap};

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);

    fn drawn(count: usize) -> Vec<(Tag, [u8; 48])> {
        let mut entropy = SeededEntropy::new(7);
        let mut draw = || {
            let (mut tag, mut payload) = ([0; 16], [0; 48]);
            entropy.fill(&mut tag);
            entropy.fill(&mut payload);
            (tag, payload)
        };
        (0..count).map(|_| draw()).collect()
    }

    fn aside(dir: &Path, twice: Twice, entries: &[(Tag, [u8; 48])]) -> Aside<48> {
        let mut entropy = SeededEntropy::new(8);
        let mut aside = Aside::new(VAULT, &dir.join("aside"), twice, &mut entropy);
        for (tag, payload) in entries {
            aside.add(tag, payload).unwrap();
        }
        aside
    }

    fn all(aside: &mut Aside<48>) -> Result<Vec<(Tag, [u8; 48])>, ShredError> {
        let mut all = Vec::new();
        for part in 0..=u8::MAX {
            let count = aside.count(part);
            let taken = aside.take(part)?;
            assert!(taken.len() <= count && taken.iter().all(|(tag, _)| tag[0] == part));
            all.extend(taken.into_iter().map(|(tag, payload)| (tag, *payload)));
        }
        Ok(all)
    }

    #[test]
    fn more_than_fits_into_memory_comes_back_in_order_and_leaves_neither_name_nor_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut entries = drawn(150_000);
        let mut aside = aside(dir.path(), Twice::Refused, &entries);
        assert!(aside.file.end > 4 << 20, "some of it is in the file");
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
        let mut bytes = vec![0; usize::try_from(aside.file.end).unwrap()];
        let file = aside.file.file.as_ref().unwrap();
        file.read_exact_at(&mut bytes, 0).unwrap();
        let starts: std::collections::HashSet<[u8; 8]> = entries
            .iter()
            .map(|(_, payload)| payload[..8].try_into().unwrap())
            .collect();
        let stands = |bytes: &[u8]| {
            let mut windows = bytes.windows(8);
            windows.any(|window| starts.contains(window))
        };
        assert!(!stands(&bytes));
        assert!(stands(&entries[9].1), "the control");
        entries.sort_unstable();
        assert_eq!(all(&mut aside).unwrap(), entries);
    }

    /// What would be lost: erasure of somebody whose key is read out of memory that was given back, which a
    /// core or the next page that is swapped out has.
    #[test]
    fn a_map_that_is_written_leaves_no_payload_in_memory_that_was_given_back() {
        const COUNT: u32 = 30_000;
        const RESIDUE: Residue = Residue(*b"\xa7p\x1fN\xd3w\x05Z");
        let dir = tempfile::tempdir().unwrap();
        let mut entropy = SeededEntropy::new(9);
        let mut aside = aside(dir.path(), Twice::Refused, &[]);
        for number in 0..COUNT {
            let mut tag = [0; 16];
            entropy.fill(&mut tag);
            aside.add(&tag, &RESIDUE.payload(number)).unwrap();
        }
        assert_eq!(RESIDUE.count(COUNT), COUNT as usize, "the control");
        let map: ShredMap<48> = ShredMap::new(VAULT, 1, 0);
        let root = RootKey {
            epoch: 1,
            key: Secret::generate(&mut entropy),
        };
        let mut rows = 0;
        map.build(&root, &mut aside, &mut entropy, &mut |_, _| {
            rows += 1;
            Ok(())
        })
        .unwrap();
        assert!(rows > 256);
        // What a stack still has is no more than it was at work with last.
        let left = RESIDUE.count(COUNT);
        assert!(left <= 8, "{left}");
    }

    #[test]
    fn what_is_there_twice_is_damage_of_people_and_once_in_the_index() {
        let dir = tempfile::tempdir().unwrap();
        let mut entries = drawn(100);
        entries.push(entries[3]);
        let mut people = aside(dir.path(), Twice::Refused, &entries);
        assert!(matches!(all(&mut people), Err(ShredError::Exists)));
        let mut index = aside(dir.path(), Twice::Same, &entries);
        entries.pop();
        entries.sort_unstable();
        assert_eq!(all(&mut index).unwrap(), entries);
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn what_was_changed_in_the_file_does_not_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut aside = aside(dir.path(), Twice::Refused, &drawn(150_000));
        let file = aside.file.file.as_ref().unwrap();
        file.write_all_at(&[0; 64], 1_000).unwrap();
        assert!(matches!(
            all(&mut aside),
            Err(ShredError::Store(StoreError::Corrupt))
        ));
    }
}

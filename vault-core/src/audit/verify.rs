//! Going over a whole log: does it still say what its checkpoints were signed over, and if not,
//! where?
//!
//! Knows two sources: the rows of the store, and an export, one canonical entry a line. Memory does
//! not grow with the log.

use std::collections::BTreeMap;
use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::merkle::{self, Frontier, Hash};
use super::signer::Signers;
use super::{Entry, place, tree};
use crate::id::VaultId;
use crate::keys::ring::KeyRing;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, StoreError, Table};

/// Faults that a report names; more are counted.
const FAULTS_MAX: usize = 100;
/// Rows that are read at a time.
const ROWS: usize = 256;

/// What is wrong with a log, and where. Entries are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFault {
    /// The log was signed with another content of its first `size` entries: something before that
    /// was changed, dropped, swapped or signed anew, and after the last checkpoint that fits.
    Checkpoint {
        /// Entries that the checkpoint covers.
        size: u64,
        /// Entries of the last checkpoint before it that fits.
        fits: u64,
    },
    /// The row that begins with this entry does not open at its place, or holds no entries.
    Damaged {
        /// The number of its first entry.
        entry: u64,
    },
    /// Entries are missing.
    Missing {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// A stored hash is not that of the entries below it.
    Node {
        /// The first entry below it.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// A checkpoint that is not signed by the log's key, or none at all.
    Signature {
        /// Entries that it was kept for.
        size: u64,
        /// What is wrong with it.
        error: CheckpointError,
    },
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint { size, fits } => write!(
                f,
                "entries {fits} to {size} are not those that the checkpoint over {size} entries was signed over"
            ),
            Self::Damaged { entry } => {
                write!(
                    f,
                    "the row from entry {entry} on does not open at its place"
                )
            }
            Self::Missing { from, to } => write!(f, "entries {from} to {to} are missing"),
            Self::Node { from, to } => {
                write!(
                    f,
                    "the stored hash over entries {from} to {to} is not theirs"
                )
            }
            Self::Signature { size, error } => {
                write!(f, "the checkpoint over {size} entries: {error}")
            }
        }
    }
}

/// What going over a log came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// Entries that were read.
    pub entries: u64,
    /// The root over them.
    pub root: Hash,
    /// Checkpoints that fit.
    pub checkpoints: u64,
    /// The first hundred faults, in the order of the log.
    pub faults: Vec<LogFault>,
    /// How many there are.
    pub faults_total: u64,
}

impl LogReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.faults_total == 0
    }
}

/// Takes a log in, entry after entry.
pub struct LogVerifier {
    log: Frontier,
    /// Roots that the log has to have, by size.
    expected: BTreeMap<u64, Hash>,
    fits: u64,
    report: LogReport,
    /// Something is missing, so that no hash after it says anything.
    broken: bool,
}

impl LogVerifier {
    /// A verifier that holds the log to these checkpoints, each with the size that it was kept for,
    /// if that is known.
    #[must_use]
    pub fn new(signers: &Signers, notes: impl IntoIterator<Item = (Option<u64>, String)>) -> Self {
        let mut verifier = Self {
            log: Frontier::default(),
            expected: BTreeMap::new(),
            fits: 0,
            report: LogReport {
                entries: 0,
                root: Frontier::default().root(),
                checkpoints: 0,
                faults: Vec::new(),
                faults_total: 0,
            },
            broken: false,
        };
        for (kept_for, note) in notes {
            match signers.checkpoint(&note) {
                Ok(Checkpoint { size, root }) => {
                    // Two signed roots of one size are a fork, whichever of them is this log's.
                    let other = verifier
                        .expected
                        .insert(size, root)
                        .filter(|other| *other != root);
                    if other.is_some() || kept_for.is_some_and(|kept| kept != size) {
                        verifier.fault(LogFault::Checkpoint { size, fits: 0 });
                    }
                }
                Err(error) => {
                    let size = kept_for.unwrap_or(0);
                    verifier.fault(LogFault::Signature { size, error });
                }
            }
        }
        verifier.compare();
        verifier
    }

    fn fault(&mut self, fault: LogFault) {
        self.report.faults_total += 1;
        if self.report.faults.len() < FAULTS_MAX {
            self.report.faults.push(fault);
        }
    }

    /// Holds the log so far to the checkpoint of its size, if there is one.
    fn compare(&mut self) {
        let size = self.log.size();
        let Some(root) = self.expected.remove(&size) else {
            return;
        };
        if self.broken {
            return;
        }
        if root == self.log.root() {
            (self.fits, self.report.checkpoints) = (size, self.report.checkpoints + 1);
        } else {
            let fits = self.fits;
            self.fault(LogFault::Checkpoint { size, fits });
        }
    }

    /// The next entry in canonical form; `complete` as in [`Frontier::push`].
    pub fn push(&mut self, canonical: &[u8], complete: impl FnMut(u32, u64, &Hash)) {
        self.report.entries += 1;
        if !self.broken {
            self.log.push(merkle::leaf(canonical), complete);
            self.compare();
        }
    }

    /// What it came to. Checkpoints over more entries than there are tell of a log that was cut off.
    #[must_use]
    pub fn finish(mut self) -> LogReport {
        let (size, broken) = (self.log.size(), self.broken);
        if let (Some((&to, _)), false) = (self.expected.last_key_value(), broken) {
            self.fault(LogFault::Missing { from: size, to });
        }
        self.report.root = self.log.root();
        self.report
    }
}

/// The checkpoints in the log's own table.
///
/// # Errors
///
/// Those of the store.
pub fn stored_checkpoints(tx: &dyn ReadTx) -> Result<Vec<(Option<u64>, String)>, StoreError> {
    let rows = tx.range(
        Table::Checkpoints,
        &KeyRange::all(),
        Direction::Ascending,
        usize::MAX,
    )?;
    let notes = rows.into_iter().map(|(key, note)| {
        let size = <[u8; 8]>::try_from(key).ok().map(u64::from_be_bytes);
        (size, String::from_utf8(note).unwrap_or_default())
    });
    Ok(notes.collect())
}

/// A stored log that is gone over in steps, so that no reader holds pages for long. Entries are only
/// ever added, so that each step may look at a later state.
pub struct LogWalk {
    verifier: LogVerifier,
    size: u64,
    next: u64,
    start: Vec<u8>,
}

impl LogWalk {
    /// Goes over a log of `size` entries.
    #[must_use]
    pub fn new(size: u64, verifier: LogVerifier) -> Self {
        Self {
            verifier,
            size,
            next: 0,
            start: Vec::new(),
        }
    }

    /// How many entries are done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.next
    }

    /// Some rows more; `false` at the end.
    ///
    /// # Errors
    ///
    /// Those of the store. What the rows hold is never an error, but a fault in the report.
    pub fn step(
        &mut self,
        tx: &dyn ReadTx,
        vault: VaultId,
        keys: &KeyRing,
    ) -> Result<bool, StoreError> {
        let range = KeyRange {
            start: self.start.clone(),
            end: Some(self.size.to_be_bytes().to_vec()),
        };
        let rows = tx.range(Table::Audit, &range, Direction::Ascending, ROWS)?;
        let Some((last, _)) = rows.last() else {
            return Ok(false);
        };
        self.start = [last.as_slice(), &[0]].concat();
        let verifier = &mut self.verifier;
        for (first, sealed) in rows {
            let first: [u8; 8] = first.try_into().map_err(|_| StoreError::Corrupt)?;
            let number = u64::from_be_bytes(first);
            if number != self.next {
                let (from, to) = (self.next.min(number), self.next.max(number));
                verifier.fault(LogFault::Missing { from, to });
                verifier.broken = true;
            }
            let opened = keys.unseal(&place(vault, &first), &sealed).ok();
            let entries = opened.and_then(|bytes| row::decode::<Vec<Vec<u8>>>(&bytes).ok());
            let entries = entries.and_then(|entries| {
                let entries = entries.iter().map(|entry| Entry::decode(entry).ok());
                entries.collect::<Option<Vec<Entry>>>()
            });
            let Some(entries) = entries.filter(|entries| !entries.is_empty()) else {
                verifier.fault(LogFault::Damaged { entry: number });
                verifier.broken = true;
                self.next = number + 1;
                continue;
            };
            // A row may have grown past the size that was asked for.
            let asked = usize::try_from(self.size - number).unwrap_or(usize::MAX);
            for entry in entries.iter().take(asked) {
                let mut differing = None;
                let mut failed = None;
                verifier.push(
                    &entry.canonical(),
                    |height, index, hash| match tree::stored(tx, height, index) {
                        Ok(stored) if stored.is_none_or(|stored| stored == *hash) => {}
                        Ok(_) => differing = Some((index << height, (index + 1) << height)),
                        Err(error) => failed = Some(error),
                    },
                );
                if let Some(error) = failed {
                    return Err(error);
                }
                if let Some((from, to)) = differing {
                    verifier.fault(LogFault::Node { from, to });
                }
            }
            self.next = (number + entries.len() as u64).min(self.size);
        }
        Ok(true)
    }

    /// What it came to, after the last step.
    #[must_use]
    pub fn finish(mut self) -> LogReport {
        if self.next != self.size {
            let (from, to) = (self.next, self.size);
            self.verifier.fault(LogFault::Missing { from, to });
            self.verifier.broken = true;
        }
        self.verifier.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::checkpoint::VerifierKey;
    use crate::audit::{self, Actor};
    use crate::crypto::Secret;
    use crate::entropy::SeededEntropy;
    use crate::id::CallId;
    use crate::store::{MemoryStore, Store, WriteTx};
    use jiff::Timestamp;

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);
    const SIZE: u64 = 700;

    struct Log {
        store: MemoryStore,
        key: KeyRing,
        signing: Secret<32>,
    }

    fn entry(number: u64) -> Entry {
        Entry {
            time: Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
            actor: Actor::Keyholder,
            role: "keyholder".into(),
            purpose: None,
            action: "subjects.view".into(),
            subject: None,
            fields: Vec::new(),
            outcome: "ok".into(),
            session: None,
            request: CallId::from_bytes([9; 16]),
            receipt: None,
            records: None,
            restricted_use: None,
        }
    }

    /// A log of these entries, ten a commit, with a checkpoint over each hundred.
    fn log_of(entries: impl Iterator<Item = Entry>) -> Log {
        let entropy = &mut SeededEntropy::new(4);
        let log = Log {
            store: MemoryStore::default(),
            key: KeyRing::generate(entropy),
            signing: Secret::generate(entropy),
        };
        let mut frontier = Frontier::default();
        let entries: Vec<Vec<u8>> = entries.map(|entry| entry.encode()).collect();
        for entries in entries.chunks(10) {
            let change = log.store.write(&mut |tx| {
                audit::write(tx, VAULT, &log.key, frontier.size(), entries)?;
                tree::extend(tx, &mut frontier, entries)?;
                let (size, root) = (frontier.size(), frontier.root());
                if size % 100 == 0 {
                    let note = Checkpoint { size, root }.sign(VAULT, &log.signing);
                    tx.put(Table::Checkpoints, &size.to_be_bytes(), note.as_bytes())?;
                }
                Ok(())
            });
            change.unwrap();
        }
        log
    }

    impl Log {
        fn report(&self, notes: &[String]) -> LogReport {
            let tx = self.store.snapshot().unwrap();
            let key = Signers::from(VerifierKey::of(VAULT, &self.signing));
            let stored = stored_checkpoints(&*tx).unwrap();
            let given = notes.iter().map(|note| (None, note.clone()));
            let mut walk = LogWalk::new(
                SIZE,
                LogVerifier::new(&key, stored.into_iter().chain(given)),
            );
            while walk.step(&*tx, VAULT, &self.key).unwrap() {}
            walk.finish()
        }

        fn change(&self, change: impl Fn(&mut dyn WriteTx) -> Result<(), StoreError>) {
            self.store.write(&mut |tx| change(tx)).unwrap();
        }

        /// The row that begins with this entry.
        fn row(&self, entry: u64) -> Vec<u8> {
            let tx = self.store.snapshot().unwrap();
            tx.get(Table::Audit, &entry.to_be_bytes()).unwrap().unwrap()
        }
    }

    #[test]
    fn a_log_as_it_was_written_is_sound() {
        let log = log_of((0..SIZE).map(entry));
        let report = log.report(&[]);
        assert!(report.sound(), "{:?}", report.faults);
        assert_eq!((report.entries, report.checkpoints), (SIZE, 7));
    }

    #[test]
    fn each_way_of_changing_history_is_found_where_it_is() {
        let whole = || log_of((0..SIZE).map(entry));
        let at = |entry: u64| entry.to_be_bytes();

        let log = whole();
        let mut bent = log.row(230);
        *bent.last_mut().unwrap() ^= 1;
        log.change(|tx| tx.put(Table::Audit, &at(230), &bent));
        assert_eq!(log.report(&[]).faults[0], LogFault::Damaged { entry: 230 });

        let log = whole();
        log.change(|tx| tx.delete(Table::Audit, &at(230)));
        let missing = LogFault::Missing { from: 230, to: 240 };
        assert_eq!(log.report(&[]).faults[0], missing);

        // Swapped: neither row opens at the other's place.
        let log = whole();
        let (one, other) = (log.row(100), log.row(110));
        log.change(|tx| {
            tx.put(Table::Audit, &at(100), &other)?;
            tx.put(Table::Audit, &at(110), &one)
        });
        let faults = log.report(&[]).faults;
        assert_eq!(faults[0], LogFault::Damaged { entry: 100 });
        assert!(faults.contains(&LogFault::Damaged { entry: 110 }));

        // Truncated, and the count with it: the checkpoints know better.
        let log = whole();
        log.change(|tx| {
            (650..SIZE)
                .step_by(10)
                .try_for_each(|entry| tx.delete(Table::Audit, &at(entry)))
        });
        assert_eq!(
            log.report(&[]).faults[0],
            LogFault::Missing { from: 650, to: 700 }
        );

        // A hash of the tree.
        let log = whole();
        log.change(|tx| tx.put(Table::Tree, &tree_key(8, 1), &[7; 32]));
        assert_eq!(
            log.report(&[]).faults,
            [LogFault::Node { from: 256, to: 512 }]
        );

        // A checkpoint that another key signed.
        let log = whole();
        let other = Secret::generate(&mut SeededEntropy::new(5));
        let note = Checkpoint {
            size: 300,
            root: [0; 32],
        }
        .sign(VAULT, &other);
        log.change(|tx| tx.put(Table::Checkpoints, &at(300), note.as_bytes()));
        let error = CheckpointError::Signature;
        assert_eq!(
            log.report(&[]).faults,
            [LogFault::Signature { size: 300, error }]
        );
    }

    fn tree_key(height: u8, index: u64) -> Vec<u8> {
        [&[height][..], &index.to_be_bytes()].concat()
    }

    #[test]
    fn whoever_has_every_key_writes_another_history_and_a_checkpoint_kept_elsewhere_tells() {
        let honest = log_of((0..SIZE).map(entry));
        let kept = {
            let tx = honest.store.snapshot().unwrap();
            stored_checkpoints(&*tx).unwrap()[4].1.clone()
        };
        assert!(honest.report(std::slice::from_ref(&kept)).sound());
        // Sealed, hashed and signed anew with the same keys, one entry left out and one put in.
        let rewritten = (0..SIZE).map(|number| entry(if number == 321 { 9_999 } else { number }));
        let forged = log_of(rewritten);
        assert!(forged.report(&[]).sound(), "by itself it looks whole");
        let faults = forged.report(&[kept]).faults;
        assert!(
            faults
                .iter()
                .any(|fault| matches!(fault, LogFault::Checkpoint { size: 500, .. })),
            "{faults:?}"
        );

        // Sealed anew without signing: the log's own checkpoints tell between which it was.
        let log = log_of((0..SIZE).map(entry));
        let row = forged.row(320);
        log.change(|tx| tx.put(Table::Audit, &320u64.to_be_bytes(), &row));
        let fault = LogFault::Checkpoint {
            size: 400,
            fits: 300,
        };
        assert!(log.report(&[]).faults.contains(&fault));
    }
}

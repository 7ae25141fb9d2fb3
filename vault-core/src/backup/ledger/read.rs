//! Reading copies of the ledger back, for whoever restores a backup.

use std::io::{self, BufReader, Read};
use std::path::Path;

use super::chain::{self, ENTRY, ENTRY_HEAD_BYTES, HEADER_BYTES, MAGIC, follow, header};
use super::change::{self, CHANGE};
use super::head::{HEAD, HEAD_HEAD_BYTES, Head};
use super::{Cut, LedgerEntry, LedgerError, Replay, Tip};
use crate::audit::signer::Signers;
use crate::crypto::{ENVELOPE_OVERHEAD, Secret};
use crate::id::VaultId;
use crate::limits::{NOTE_BYTES_MAX, VALUE_BYTES_MAX};
use crate::store::StoreError;

/// One copy, under the name that messages give it.
pub struct LedgerCopy<'a> {
    name: String,
    reader: BufReader<Box<dyn Read + 'a>>,
    /// Where the next frame begins.
    at: u64,
    ended: bool,
    /// The last head so far, not yet verified: where it lies, behind what, and its note.
    head: Option<(u64, Tip, String)>,
}

impl<'a> LedgerCopy<'a> {
    /// A copy that is read from somewhere.
    pub fn new(name: impl Into<String>, reader: impl Read + 'a) -> Self {
        Self {
            name: name.into(),
            reader: BufReader::new(Box::new(reader)),
            at: 0,
            ended: false,
            head: None,
        }
    }

    /// A copy in a file.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn file(path: &Path) -> io::Result<Self> {
        Ok(Self::new(
            path.display().to_string(),
            std::fs::File::open(path)?,
        ))
    }
}

/// The ledger as it is read back.
pub struct Ledger;

/// What opens a ledger.
struct Keys<'k> {
    vault: VaultId,
    key: &'k Secret<32>,
    /// Those that are known; a frame may add the next.
    signers: Signers,
}

/// Takes the rows of the chain's table, each by its sequence.
pub(super) type TakeRow<'t> = dyn FnMut(u64, &[u8]) -> Result<(), StoreError> + 't;

impl Ledger {
    /// What the longest of these copies says of everything behind entry `after`, the position that a
    /// backup noted. The others must begin it.
    ///
    /// Whoever uses it has to look at `cut` and `complete_until`: a copy that ends early is no damage.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; damage in any copy is one, so that nobody goes on with less than there is. Leave
    /// the damaged copy out to go on with the others.
    pub fn read(
        copies: Vec<LedgerCopy<'_>>,
        key: &Secret<32>,
        signers: &Signers,
        vault: VaultId,
        after: u64,
    ) -> Result<Replay, LedgerError> {
        Self::read_rows(copies, key, signers, vault, after, &mut |_, _| Ok(()))
    }

    /// [`Ledger::read`]; `rows` gets every entry from the first on, as its row in the table: sequence
    /// and bytes. A restored vault that holds them goes on with the same chain.
    ///
    /// # Errors
    ///
    /// As for [`Ledger::read`], and those of `rows`.
    pub fn read_rows(
        mut copies: Vec<LedgerCopy<'_>>,
        key: &Secret<32>,
        signers: &Signers,
        vault: VaultId,
        after: u64,
        rows: &mut TakeRow<'_>,
    ) -> Result<Replay, LedgerError> {
        if copies.is_empty() {
            return Err(LedgerError::None);
        }
        let mut keys = Keys {
            vault,
            key,
            signers: signers.clone(),
        };
        let mut replay = Replay::default();
        for copy in &mut copies {
            copy.begin(vault, &mut replay)?;
        }
        let mut tip = Tip::start(vault);
        loop {
            let mut next: Option<(usize, Vec<u8>, Tip, LedgerEntry)> = None;
            for index in 0..copies.len() {
                let copy = &mut copies[index];
                let Some((at, row)) = copy.entry(tip, &mut keys, &mut replay)? else {
                    continue;
                };
                let same = next.as_ref().is_some_and(|(_, other, ..)| *other == row);
                if same {
                    continue;
                }
                let entry = chain::open(vault, key, tip, &row);
                let next_tip = follow(tip, &row);
                let (Some(entry), Some((_, follows))) = (entry, next_tip) else {
                    return Err(copy.damaged(at, "an entry does not open behind the one before it"));
                };
                if let Some((other, ..)) = next {
                    return Err(LedgerError::Fork {
                        copy: copies[other].name.clone(),
                        other: copies[index].name.clone(),
                        position: follows.position,
                    });
                }
                next = Some((index, row, follows, entry));
            }
            let Some((index, row, new, entry)) = next else {
                break;
            };
            rows(new.position, &row).map_err(LedgerError::Store)?;
            tip = new;
            // Of what the backup knew already only the time is of interest.
            let known = tip.position <= after;
            let mut unused = Replay::default();
            let into = if known { &mut unused } else { &mut replay };
            if into.add(entry).is_none() {
                return Err(copies[index].damaged(copies[index].at, "an entry has no time"));
            }
            replay.complete_until = replay.complete_until.max(unused.complete_until);
        }
        replay.position = tip.position;
        replay.signers = Some(keys.signers);
        if tip.position < after {
            return Err(LedgerError::Short {
                position: tip.position,
                wanted: after,
            });
        }
        Ok(replay)
    }
}

impl LedgerCopy<'_> {
    fn damaged(&self, at: u64, what: &'static str) -> LedgerError {
        let copy = self.name.clone();
        LedgerError::Damaged { copy, at, what }
    }

    /// At most `length` bytes: fewer at the end.
    fn take(&mut self, length: usize) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = Vec::new();
        let mut part = (&mut self.reader).take(length as u64);
        part.read_to_end(&mut bytes)
            .map_err(|source| LedgerError::Io {
                copy: self.name.clone(),
                source,
            })?;
        Ok(bytes)
    }

    /// It ends here, in the middle of a frame.
    fn cut(&mut self, replay: &mut Replay) {
        self.ended = true;
        replay.cut.push(Cut {
            copy: self.name.clone(),
            at: self.at,
        });
    }

    fn begin(&mut self, vault: VaultId, replay: &mut Replay) -> Result<(), LedgerError> {
        let begins = header(vault);
        let found = self.take(HEADER_BYTES)?;
        if found.len() < HEADER_BYTES && begins.starts_with(&found) {
            self.cut(replay);
            return Ok(());
        }
        if found != begins {
            return Err(match found.starts_with(&begins[..9]) {
                true => LedgerError::Vault {
                    copy: self.name.clone(),
                },
                false if found.starts_with(MAGIC) => self.damaged(8, "it has another version"),
                false => self.damaged(0, "this is no ledger"),
            });
        }
        self.at = HEADER_BYTES as u64;
        Ok(())
    }

    /// Where the next entry begins, and its row; on the way to it the heads are taken in. `None` at the
    /// end.
    fn entry(
        &mut self,
        tip: Tip,
        keys: &mut Keys<'_>,
        replay: &mut Replay,
    ) -> Result<Option<(u64, Vec<u8>)>, LedgerError> {
        while !self.ended {
            let at = self.at;
            let kind = self.take(1)?;
            let (head, longest) = match kind.first() {
                None => {
                    self.ended = true;
                    break;
                }
                Some(&ENTRY) => (ENTRY_HEAD_BYTES, VALUE_BYTES_MAX),
                Some(&HEAD | &CHANGE) => (HEAD_HEAD_BYTES, NOTE_BYTES_MAX),
                Some(0) if self.zeros()? => {
                    self.cut(replay);
                    break;
                }
                Some(_) => {
                    return Err(self.damaged(at, "what lies there is neither an entry nor a head"));
                }
            };
            let begin = self.take(head - 1)?;
            if begin.len() < head - 1 {
                self.cut(replay);
                break;
            }
            let length = u32::from_be_bytes(begin[..4].try_into().expect("four")) as usize;
            if length > longest + ENVELOPE_OVERHEAD {
                return Err(self.damaged(at, "a frame is longer than any"));
            }
            let position = match kind[0] {
                ENTRY => tip.position.saturating_add(1),
                _ => tip.position,
            };
            if begin[4..12] != position.to_be_bytes() {
                return Err(self.damaged(at, "a frame stands in another's place"));
            }
            let envelope = self.take(length)?;
            if envelope.len() < length {
                self.cut(replay);
                break;
            }
            self.at += (head + length) as u64;
            if kind[0] == ENTRY {
                return Ok(Some((at, [&begin[12..], &envelope].concat())));
            }
            if kind[0] == CHANGE {
                let note = change::open(keys.vault, keys.key, tip, &envelope);
                let learnt = note.and_then(|note| keys.signers.learn(&note).ok());
                learnt.ok_or_else(|| {
                    self.damaged(at, "no known key has signed that another follows it")
                })?;
                continue;
            }
            let note = Head::unseal(keys.vault, keys.key, tip, &envelope);
            let note = note.ok_or_else(|| self.damaged(at, "a head does not open"))?;
            self.head = Some((at, tip, note));
        }
        self.believe(keys, replay)?;
        Ok(None)
    }

    /// Takes in what the last head says: it vouches for the chain before it. Where the clock was
    /// set back, an earlier one named a later time: what is said last is believed.
    fn believe(&mut self, keys: &Keys<'_>, replay: &mut Replay) -> Result<(), LedgerError> {
        let Some((at, tip, note)) = self.head.take() else {
            return Ok(());
        };
        let said = keys
            .signers
            .at_ledger(tip.position, |key| Head::open(&note, key));
        let said = said.ok().filter(|head| head.tip == tip);
        let said = said.ok_or_else(|| self.damaged(at, "a head does not bear the signature"))?;
        replay.complete_until = replay.complete_until.max(said.time);
        Ok(())
    }

    /// Whether nothing but zeros follows.
    fn zeros(&mut self) -> Result<bool, LedgerError> {
        loop {
            let bytes = self.take(4096)?;
            if bytes.is_empty() {
                return Ok(true);
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
    }
}

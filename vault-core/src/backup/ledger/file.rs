//! The ledger's file beside the database: held to the table when it is opened, and appended to.

use jiff::Timestamp;

use super::chain::{self, ENTRY, ENTRY_HEAD_BYTES, HEADER_BYTES, copy_rows, follow, header};
use super::change::{self, CHANGE};
use super::head::{HEAD, HEAD_HEAD_BYTES, Head};
use super::window::Window;
use super::{LedgerError, Tape, Tip};
use crate::audit::signer::Signers;
use crate::crypto::{ENVELOPE_OVERHEAD, Secret};
use crate::id::VaultId;
use crate::keys::system::SystemKeys;
use crate::limits::{LEDGER_WRITE_BYTES, NOTE_BYTES_MAX, VALUE_BYTES_MAX};
use crate::store::ReadTx;

/// What the file is called in messages.
const NAME: &str = "the vault's own file";

/// The table that the file is held to.
pub(crate) struct Rows<'r> {
    pub(crate) tx: &'r dyn ReadTx,
    /// So many entries there are.
    pub(crate) end: u64,
    pub(crate) system: &'r SystemKeys,
    /// When the state was committed that they are of.
    pub(crate) time: Timestamp,
    /// The database is known to be older than the file: what it lacks is taken from there.
    pub(crate) accept_older: bool,
}

/// What opening found.
pub(crate) struct Opened {
    /// The end of the chain, with what the table lacks.
    pub(crate) tip: Tip,
    /// Rows that the table lacks, by their sequence.
    pub(crate) missing: Vec<(u64, Vec<u8>)>,
}

/// The file of an open vault.
pub(crate) struct LedgerFile {
    tape: Box<dyn Tape>,
    vault: VaultId,
    length: u64,
    /// When the last head in it was made.
    head_at: Option<Timestamp>,
    /// Something may lie behind `length`.
    ragged: bool,
}

impl LedgerFile {
    pub(crate) fn new(vault: VaultId, tape: Box<dyn Tape>) -> Self {
        Self {
            tape,
            vault,
            length: 0,
            head_at: None,
            ragged: false,
        }
    }

    /// Opens the file, appends what only the table has, and flushes it.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Damaged`] if file and table contradict each other; [`LedgerError::Ahead`] if only
    /// the file has an entry; [`LedgerError::Io`], [`LedgerError::Store`].
    pub(crate) fn open(&mut self, rows: &Rows<'_>) -> Result<Opened, LedgerError> {
        let length = self.tape.open().map_err(io)?;
        (self.head_at, self.ragged) = (None, false);
        let begins = header(self.vault);
        let mut window = Window::new(&*self.tape, length);
        let found = window.get(0, HEADER_BYTES).map_err(io)?;
        if found != begins && lost(found, &begins) {
            self.length = 0;
            self.ragged = length > 0;
            self.append(&begins).map_err(io)?;
            return self.complete(rows, Walk::start(self.vault), HEADER_BYTES as u64);
        }
        if found != begins {
            return Err(damaged(0, "this is no ledger of this vault"));
        }
        let walk = walk(&mut window, self.vault, rows)?;
        self.length = walk.at;
        self.head_at = walk.head_at;
        self.complete(rows, walk, length)
    }

    /// Appends what the walk did not find in a file of `length` bytes.
    fn complete(
        &mut self,
        rows: &Rows<'_>,
        walk: Walk,
        length: u64,
    ) -> Result<Opened, LedgerError> {
        let Walk {
            tip: mut found,
            missing,
            changes,
            ..
        } = walk;
        if !missing.is_empty() {
            self.ragged |= length > self.length;
            return Ok(Opened {
                tip: found,
                missing,
            });
        }
        let whole = found.position == rows.end && length <= self.length;
        self.ragged |= length > self.length;
        while found.position < rows.end {
            let mut frames = Vec::new();
            for (sequence, row) in copy_rows(rows.tx, found.position, rows.end)? {
                let next = follow(found, &row).filter(|(_, tip)| tip.position == sequence);
                let (frame, tip) = next.ok_or(LedgerError::Table {
                    position: found.position + 1,
                })?;
                frames.extend_from_slice(&frame);
                found = tip;
                if frames.len() > LEDGER_WRITE_BYTES {
                    self.append(&std::mem::take(&mut frames)).map_err(io)?;
                }
            }
            self.append(&frames).map_err(io)?;
        }
        if !copy_rows(rows.tx, rows.end, u64::MAX)?.is_empty() {
            let position = rows.end + 1;
            return Err(LedgerError::Table { position });
        }
        // A crash may have come between the commit of a new key and its frame.
        let system = rows.system;
        let lacking = system
            .signers
            .iter()
            .filter(|past| !changes.contains(&past.note));
        let lacking: Vec<Vec<u8>> = lacking
            .map(|past| change::frame(self.vault, found, past, &system.ledger))
            .collect();
        if !whole || !lacking.is_empty() {
            let head = Head {
                tip: found,
                time: rows.time,
            };
            self.extend(&lacking.concat(), &head, &system.signing, &system.ledger)
                .map_err(io)?;
        }
        Ok(Opened {
            tip: found,
            missing: Vec::new(),
        })
    }

    /// Appends frames and the head behind them, and flushes: what is in them survives from here on.
    ///
    /// # Errors
    ///
    /// Those of the operating system. What the file then holds is found out by opening it.
    pub(crate) fn extend(
        &mut self,
        frames: &[u8],
        head: &Head,
        signing: &Secret<32>,
        key: &Secret<32>,
    ) -> std::io::Result<()> {
        let head_frame = head.frame(self.vault, signing, key);
        self.append(&[frames, &head_frame].concat())?;
        self.head_at = Some(head.time);
        Ok(())
    }

    /// Appends a head alone.
    ///
    /// # Errors
    ///
    /// Those of the operating system; nothing is lost, and the next attempt overwrites it.
    pub(crate) fn note(
        &mut self,
        head: &Head,
        signing: &Secret<32>,
        key: &Secret<32>,
    ) -> std::io::Result<()> {
        self.extend(&[], head, signing, key)
    }

    /// When the last head in the file was made.
    pub(crate) fn head_at(&self) -> Option<Timestamp> {
        self.head_at
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.ragged {
            self.tape.truncate(self.length)?;
        }
        self.ragged = true;
        self.tape.write_at(self.length, bytes)?;
        // Flushed each time, so that a power loss leaves one write at most in pieces: what lies in the
        // middle of a file and does not open was changed by somebody.
        self.tape.sync()?;
        self.ragged = false;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn io(error: std::io::Error) -> LedgerError {
    LedgerError::Io {
        copy: NAME.into(),
        source: error,
    }
}

fn damaged(at: u64, what: &'static str) -> LedgerError {
    LedgerError::Damaged {
        copy: NAME.into(),
        at,
        what,
    }
}

/// Whether bytes are what should stand there, or what a power loss leaves of it: its beginning, and zeros.
fn lost(found: &[u8], expected: &[u8]) -> bool {
    std::iter::zip(found, expected).all(|(found, expected)| found == expected || *found == 0)
}

/// How far the file and the table agree.
struct Walk {
    tip: Tip,
    /// Where the next frame begins.
    at: u64,
    head_at: Option<Timestamp>,
    missing: Vec<(u64, Vec<u8>)>,
    /// Notes of keys that were followed by others.
    changes: Vec<String>,
}

impl Walk {
    fn start(vault: VaultId) -> Self {
        Self {
            tip: Tip::start(vault),
            at: HEADER_BYTES as u64,
            head_at: None,
            missing: Vec::new(),
            changes: Vec::new(),
        }
    }
}

fn walk(window: &mut Window<'_>, vault: VaultId, rows: &Rows<'_>) -> Result<Walk, LedgerError> {
    let mut walk = Walk::start(vault);
    let mut page = Vec::new().into_iter();
    let mut signers = Signers::of(vault, rows.system);
    loop {
        let Some(&kind) = window.get(walk.at, 1).map_err(io)?.first() else {
            return Ok(walk);
        };
        if kind == HEAD || kind == CHANGE {
            let Some((end, note)) = note(window, &walk, vault, rows, kind)? else {
                return Ok(walk);
            };
            if kind == CHANGE {
                // What is in the keyset is what was signed.
                let known = rows.system.signers.iter().any(|past| past.note == note)
                    || (rows.accept_older && signers.learn(&note).is_ok());
                if !known {
                    let what = "a key is said to be followed by another, and was not";
                    return Err(damaged(walk.at, what));
                }
                walk.changes.push(note);
                walk.at = end;
                continue;
            }
            let said = signers.at_ledger(walk.tip.position, |key| Head::open(&note, key));
            let said = said.map_err(|_| damaged(walk.at, "a head does not bear the signature"))?;
            (walk.at, walk.head_at) = (end, Some(said.time));
            continue;
        }
        let position = walk.tip.position;
        if position >= rows.end {
            if window.zeros(walk.at).map_err(io)? {
                return Ok(walk);
            }
            match ahead(window, &mut walk, vault, rows)? {
                true => continue,
                false => return Ok(walk),
            }
        }
        let row = match page.next() {
            Some(row) => Some(row),
            None => {
                page = copy_rows(rows.tx, position, rows.end)?.into_iter();
                page.next()
            }
        };
        let next = row.and_then(|(sequence, row)| {
            follow(walk.tip, &row).filter(|(_, tip)| tip.position == sequence)
        });
        let position = position + 1;
        let (frame, tip) = next.ok_or(LedgerError::Table { position })?;
        let found = window.get(walk.at, frame.len()).map_err(io)?;
        if found != frame {
            return match lost(found, &frame) {
                true => Ok(walk),
                false => Err(damaged(walk.at, "an entry is not the one in the database")),
            };
        }
        walk.at += frame.len() as u64;
        walk.tip = tip;
    }
}

/// The end and the note of the head, or of the change of keys, at the walk's place; nothing, where a
/// power loss broke it off.
fn note(
    window: &mut Window<'_>,
    walk: &Walk,
    vault: VaultId,
    rows: &Rows<'_>,
    kind: u8,
) -> Result<Option<(u64, String)>, LedgerError> {
    let begin = window.get(walk.at, HEAD_HEAD_BYTES).map_err(io)?;
    if begin.len() < HEAD_HEAD_BYTES {
        return Ok(None);
    }
    let length = u32::from_be_bytes(begin[1..5].try_into().expect("four")) as usize;
    let broken = || damaged(walk.at, "a head does not open");
    if length > NOTE_BYTES_MAX + ENVELOPE_OVERHEAD {
        return Err(broken());
    }
    let end = walk.at + (HEAD_HEAD_BYTES + length) as u64;
    let frame = window.get(walk.at, HEAD_HEAD_BYTES + length).map_err(io)?;
    if frame.len() < HEAD_HEAD_BYTES + length {
        return Ok(None);
    }
    let (begin, envelope) = frame.split_at(HEAD_HEAD_BYTES);
    let here = begin[5..] == walk.tip.position.to_be_bytes();
    let key = &rows.system.ledger;
    let note = match kind {
        CHANGE => change::open(vault, key, walk.tip, envelope),
        _ => Head::unseal(vault, key, walk.tip, envelope),
    };
    let note = note.filter(|_| here);
    match note {
        Some(note) => Ok(Some((end, note))),
        None if window.zeros(end).map_err(io)? => Ok(None),
        None => Err(broken()),
    }
}

/// Takes an entry that the table does not have into the walk; whether it was whole.
fn ahead(
    window: &mut Window<'_>,
    walk: &mut Walk,
    vault: VaultId,
    rows: &Rows<'_>,
) -> Result<bool, LedgerError> {
    let not = || damaged(walk.at, "what lies there is neither an entry nor a head");
    let begin = window.get(walk.at, ENTRY_HEAD_BYTES).map_err(io)?;
    if begin.first() != Some(&ENTRY) {
        return Err(not());
    }
    if begin.len() < ENTRY_HEAD_BYTES {
        return Ok(false);
    }
    let length = u32::from_be_bytes(begin[1..5].try_into().expect("four")) as usize;
    if length > VALUE_BYTES_MAX + ENVELOPE_OVERHEAD {
        return Err(not());
    }
    let frame = window.get(walk.at, ENTRY_HEAD_BYTES + length).map_err(io)?;
    if frame.len() < ENTRY_HEAD_BYTES + length {
        return Ok(false);
    }
    let (frame, row) = (frame.to_vec(), frame[13..].to_vec());
    let next = follow(walk.tip, &row).filter(|(same, _)| *same == frame);
    let opens = chain::open(vault, &rows.system.ledger, walk.tip, &row).is_some();
    let (_, tip) = next.filter(|_| opens).ok_or_else(not)?;
    if !rows.accept_older {
        let position = tip.position;
        return Err(LedgerError::Ahead { position });
    }
    walk.missing.push((tip.position, row));
    walk.at += frame.len() as u64;
    walk.tip = tip;
    Ok(true)
}

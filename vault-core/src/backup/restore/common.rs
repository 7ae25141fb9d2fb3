//! The tables that belong to nobody.

use super::Terms;
use super::writer::Blocks;
use crate::backup::error::BackupError;
use crate::backup::read::OpenSource;
use crate::crypto::Location;
use crate::store::Table;

/// All of them but the API keys.
const COMMON: [Table; 10] = [
    Table::Tombstones,
    Table::Policies,
    Table::Audit,
    Table::Tree,
    Table::Checkpoints,
    Table::Receipts,
    Table::Backups,
    Table::Ledger,
    Table::Incidents,
    Table::Suppressions,
];

/// Reads them and passes them on; how many API keys there were.
pub(super) fn read(
    open: &OpenSource,
    terms: &Terms<'_>,
    blocks: &mut Blocks,
) -> Result<u64, BackupError> {
    for table in COMMON {
        if let (Table::Ledger, Some(ledger)) = (table, terms.ledger) {
            ledger(&mut |sequence, row| blocks.row(table, &sequence.to_be_bytes(), row))?;
            continue;
        }
        // What changed meanwhile comes behind what was copied first, and not in its order.
        let mut last: Option<Vec<u8>> = None;
        open.source.rows(table, &mut |frame| {
            let behind = last.as_ref().is_none_or(|last| *last < frame.key);
            if !behind {
                let value = (!frame.value.is_empty()).then(|| frame.value.to_vec());
                return blocks.change(table, frame.key.clone(), value);
            }
            last.get_or_insert_default().clone_from(&frame.key);
            match frame.value.is_empty() {
                true => Ok(()),
                false => blocks.row(table, &frame.key, &frame.value),
            }
        })?;
    }
    let vault = open.source.manifest.vault;
    let key = &open.system.system;
    let mut tokens = 0;
    open.source.rows(Table::ApiKeys, &mut |frame| {
        let location = Location::row(vault, Table::ApiKeys.number(), &frame.key);
        let damaged = || {
            let name = open.source.manifest.backup.to_string();
            BackupError::damaged(name, "an API key's row does not open (t10)")
        };
        let text = key.unseal(&location, &frame.value).map_err(|_| damaged())?;
        // Whoever had a key then may have lost it since: nobody's works until it is made anew.
        let revoked = (terms.revoke)(&text, terms.now).ok_or_else(damaged)?;
        let sealed = key.seal(&location, &revoked).map_err(|_| damaged())?;
        tokens += 1;
        blocks.row(Table::ApiKeys, &frame.key, &sealed)
    })?;
    Ok(tokens)
}

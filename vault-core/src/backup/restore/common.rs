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
        open.source.rows(table, &mut |key, value| {
            let behind = last.as_ref().is_none_or(|last| last.as_slice() < key);
            if !behind {
                let value = (!value.is_empty()).then(|| value.to_vec());
                return blocks.change(table, key.to_vec(), value);
            }
            let last = last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
            match value.is_empty() {
                true => Ok(()),
                false => blocks.row(table, key, value),
            }
        })?;
    }
    let vault = open.source.manifest.vault;
    let key = &open.system.system;
    let mut tokens = 0;
    open.source.rows(Table::ApiKeys, &mut |row, value| {
        let location = Location::row(vault, Table::ApiKeys.number(), row);
        let damaged = || {
            let name = open.source.manifest.backup.to_string();
            BackupError::damaged(name, "an API key's row does not open (t10)")
        };
        let text = key.unseal(&location, value).map_err(|_| damaged())?;
        // Whoever had a key then may have lost it since: nobody's works until it is made anew.
        let revoked = (terms.revoke)(&text, terms.now).ok_or_else(damaged)?;
        let sealed = key.seal(&location, &revoked).map_err(|_| damaged())?;
        tokens += 1;
        blocks.row(Table::ApiKeys, row, &sealed)
    })?;
    Ok(tokens)
}

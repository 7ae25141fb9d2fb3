//! The tree as it is stored: hashes of complete subtrees of 256 entries and more.
//!
//! What is below is computed from the entries themselves, which costs a few rows and saves 32 bytes
//! an entry. Layout: docs/format.md "Evidence".

use std::collections::BTreeMap;

use super::merkle::{self, Frontier, Hash, Nodes};
use super::{Entry, read};
use crate::id::{ReceiptId, VaultId};
use crate::keys::ring::KeyRing;
use crate::store::{ReadTx, StoreError, Table, WriteTx};

/// The least height of a subtree whose hash is stored.
const HEIGHT_MIN: u32 = 8;
const BLOCK: u64 = 1 << HEIGHT_MIN;

fn row_key(height: u32, index: u64) -> [u8; 9] {
    let mut key = [0; 9];
    key[0] = u8::try_from(height).expect("at most 64");
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The stored hash of a complete subtree: nothing for one so small that none is stored, an empty hash
/// for one that should be there and is not.
///
/// # Errors
///
/// Those of the store.
pub(super) fn stored(tx: &dyn ReadTx, height: u32, index: u64) -> Result<Option<Hash>, StoreError> {
    if height < HEIGHT_MIN {
        return Ok(None);
    }
    let hash = tx.get(Table::Tree, &row_key(height, index))?;
    Ok(Some(
        hash.and_then(|hash| hash.try_into().ok())
            .unwrap_or_default(),
    ))
}

/// The row that says where in the log a receipt's entry stands; the receipt itself is beside it,
/// without the last byte.
#[must_use]
pub fn receipt_key(receipt: ReceiptId) -> [u8; 17] {
    let mut key = [0; 17];
    key[..16].copy_from_slice(receipt.as_bytes());
    key
}

/// Adds entries in their stored form to the tree.
///
/// # Errors
///
/// [`StoreError::Corrupt`] for an entry without a canonical form; those of the store.
pub fn extend(
    tx: &mut dyn WriteTx,
    frontier: &mut Frontier,
    entries: &[Vec<u8>],
) -> Result<(), StoreError> {
    for entry in entries {
        let entry = Entry::decode(entry).map_err(|_| StoreError::Corrupt)?;
        let mut stored = Vec::new();
        frontier.push(merkle::leaf(&entry.canonical()), |height, index, hash| {
            if height >= HEIGHT_MIN {
                stored.push((row_key(height, index), *hash));
            }
        });
        for (key, hash) in stored {
            tx.put(Table::Tree, &key, &hash)?;
        }
    }
    Ok(())
}

/// The hashes of a stored log.
pub struct StoredTree<'a> {
    tx: &'a dyn ReadTx,
    vault: VaultId,
    key: &'a KeyRing,
    /// Leaves of the blocks that were computed: of one or two, while a proof is made.
    blocks: BTreeMap<u64, Vec<Hash>>,
}

impl<'a> StoredTree<'a> {
    /// The tree in this state of the store.
    #[must_use]
    pub fn new(tx: &'a dyn ReadTx, vault: VaultId, key: &'a KeyRing) -> Self {
        Self {
            tx,
            vault,
            key,
            blocks: BTreeMap::new(),
        }
    }

    fn block(&mut self, block: u64) -> Result<&[Hash], StoreError> {
        if !self.blocks.contains_key(&block) {
            let limit = usize::try_from(BLOCK).expect("256");
            let entries = read(self.tx, self.vault, self.key, block * BLOCK, limit)?;
            let leaves = entries
                .iter()
                .map(|(_, entry)| merkle::leaf(&entry.canonical()));
            self.blocks.insert(block, leaves.collect());
        }
        Ok(&self.blocks[&block])
    }
}

impl Nodes for StoredTree<'_> {
    type Error = StoreError;

    fn node(&mut self, height: u32, index: u64) -> Result<Hash, StoreError> {
        if height >= HEIGHT_MIN {
            let hash = self.tx.get(Table::Tree, &row_key(height, index))?;
            return hash
                .and_then(|hash| hash.try_into().ok())
                .ok_or(StoreError::Corrupt);
        }
        let first = index << height;
        let leaves = self.block(first / BLOCK)?;
        let start = usize::try_from(first % BLOCK).expect("below 256");
        let leaves = leaves
            .get(start..start + (1 << height))
            .ok_or(StoreError::Corrupt)?;
        let mut subtree = Frontier::default();
        leaves
            .iter()
            .for_each(|leaf| subtree.push(*leaf, |_, _, _| {}));
        Ok(subtree.root())
    }
}

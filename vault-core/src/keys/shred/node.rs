//! One node of a shred map as bytes, and sealed.
//!
//! Knows nothing of trees. docs/format.md "Nodes".

use zeroize::Zeroizing;

use super::Entries;
use crate::crypto::{Location, Secret, seal, unseal};
use crate::id::VaultId;
use crate::limits::LEAF_ENTRIES_MAX;
use crate::store::Table;

/// Children of an inner node.
pub(super) const FAN_OUT: usize = 16;
const INNER: u8 = 1;
const LEAF: u8 = 2;
/// A leaf is padded to a power of two of entries, but never below this.
const ENTRIES_MIN: usize = 8;

pub(super) enum Node<const P: usize> {
    /// The keys of the children.
    Inner(Box<[Secret<32>; FAN_OUT]>),
    /// Entries in tag order.
    Leaf(Entries<P>),
}

impl<const P: usize> Node<P> {
    pub(super) fn empty() -> Self {
        Self::Leaf(Vec::new())
    }

    pub(super) fn seal(
        &self,
        vault: VaultId,
        row: &[u8],
        epoch: Option<u64>,
        key: &Secret<32>,
    ) -> Vec<u8> {
        let revision = epoch.map(u64::to_be_bytes);
        let location = place(vault, row, &revision);
        seal(key, 0, &location, &self.encode()).expect("a node is far below the limit")
    }

    pub(super) fn unseal(
        vault: VaultId,
        row: &[u8],
        epoch: Option<u64>,
        key: &Secret<32>,
        sealed: &[u8],
    ) -> Option<Self> {
        let revision = epoch.map(u64::to_be_bytes);
        let bytes = unseal(key, &place(vault, row, &revision), sealed).ok()?;
        Self::decode(&bytes)
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Inner(keys) => {
                let mut bytes = Zeroizing::new(Vec::with_capacity(1 + FAN_OUT * 32));
                bytes.push(INNER);
                for key in keys.iter() {
                    bytes.extend_from_slice(key.expose());
                }
                bytes
            }
            Self::Leaf(entries) => {
                let size = 2 + places(entries.len()) * (16 + P);
                let mut bytes = Zeroizing::new(Vec::with_capacity(size));
                bytes.push(LEAF);
                bytes.push(u8::try_from(entries.len()).expect("at most 64 entries"));
                for (tag, payload) in entries {
                    bytes.extend_from_slice(tag);
                    bytes.extend_from_slice(&**payload);
                }
                bytes.resize(size, 0);
                bytes
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, body) = bytes.split_first()?;
        match kind {
            INNER if body.len() == FAN_OUT * 32 => {
                let mut keys = body.chunks_exact(32);
                let keys = std::array::from_fn(|_| {
                    let key = keys.next().expect("sixteen chunks");
                    Secret::from_slice(key).expect("of thirty-two bytes")
                });
                Some(Self::Inner(Box::new(keys)))
            }
            LEAF => {
                let (&count, body) = body.split_first()?;
                let count = usize::from(count);
                let padded = places(count) * (16 + P);
                if count > LEAF_ENTRIES_MAX || body.len() != padded {
                    return None;
                }
                let (entries, padding) = body.split_at(count * (16 + P));
                if padding.iter().any(|byte| *byte != 0) {
                    return None;
                }
                let entries = entries.chunks_exact(16 + P).map(|entry| {
                    let mut payload = Zeroizing::new([0; P]);
                    payload.copy_from_slice(&entry[16..]);
                    (entry[..16].try_into().expect("sixteen bytes"), payload)
                });
                Some(Self::Leaf(entries.collect()))
            }
            _ => None,
        }
    }
}

/// How many entries a leaf of `count` has room for.
fn places(count: usize) -> usize {
    count.next_power_of_two().max(ENTRIES_MIN)
}

fn place<'a>(vault: VaultId, row: &'a [u8], revision: &'a Option<[u8; 8]>) -> Location<'a> {
    Location {
        revision: revision.as_ref().map_or(&[], |epoch| epoch.as_slice()),
        ..Location::row(vault, Table::Nodes.number(), row)
    }
}

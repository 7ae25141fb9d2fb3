//! A map written whole, in the order of its rows, from entries that come in the order of their tags.
//!
//! The tree is the one that single insertions would have made: a node is an inner one if more than a leaf's
//! entries lie below it, or fewer entries, where one was there twice. Every child has a fresh key, and nothing
//! was ever sealed under another.

use std::ops::Range;

use zeroize::Zeroizing;

use super::node::{FAN_OUT, Node};
use super::{Entries, Prefix, RootKey, ShredError, ShredMap, Tag, nibble};
use crate::crypto::Secret;
use crate::entropy::Entropy;
use crate::limits::LEAF_ENTRIES_MAX;
use crate::store::StoreError;

/// Parts that the entries of a map come in: one for each first byte of a tag.
pub const PARTS: usize = 256;

/// The entries of a map that is to be written.
pub trait Source<const P: usize> {
    /// How many entries a part has, those that are there twice counted twice.
    fn count(&self, part: u8) -> usize;

    /// Takes the entries of a part, in the order of their tags, each once. Parts are asked for in their order.
    ///
    /// # Errors
    ///
    /// Those of [`ShredMap::build`].
    fn take(&mut self, part: u8) -> Result<Entries<P>, ShredError>;
}

/// Takes the rows of nodes, in the order of their keys.
pub(super) type Out<'o> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'o;

struct Build<'a, 'o, const P: usize> {
    map: &'a ShredMap<P>,
    out: &'a mut Out<'o>,
    source: &'a mut dyn Source<P>,
    entropy: &'a mut dyn Entropy,
}

impl<const P: usize> ShredMap<P> {
    /// Gives the rows of the map that holds all entries of `source`; they replace an empty one.
    ///
    /// # Errors
    ///
    /// [`ShredError::Damaged`] for more entries in one place than tags that are uniform ever have;
    /// [`ShredError::Store`]; those of `source`.
    pub fn build(
        &self,
        root: &RootKey,
        source: &mut dyn Source<P>,
        entropy: &mut dyn Entropy,
        out: &mut Out<'_>,
    ) -> Result<(), ShredError> {
        let mut build = Build {
            map: self,
            out,
            source,
            entropy,
        };
        build.parts(&mut Prefix::new(), 0..PARTS, Some(root.epoch), &root.key)
    }
}

impl<const P: usize> Build<'_, '_, P> {
    /// Writes the node over these parts: all, sixteen, or one.
    fn parts(
        &mut self,
        prefix: &mut Prefix,
        parts: Range<usize>,
        epoch: Option<u64>,
        key: &Secret<32>,
    ) -> Result<(), ShredError> {
        let bytes = || {
            parts
                .clone()
                .map(|part| u8::try_from(part).expect("of 256"))
        };
        let count: usize = bytes().map(|part| self.source.count(part)).sum();
        if parts.len() == 1 {
            let part = bytes().next().expect("there is one");
            let entries = self.source.take(part)?;
            return self.node(prefix, &entries, epoch, key);
        }
        if count <= LEAF_ENTRIES_MAX {
            // In memory that has room for all, for the reason that `copies` gives.
            let mut entries = Entries::with_capacity(count);
            for part in bytes() {
                entries.extend_from_slice(&self.source.take(part)?);
            }
            return self.node(prefix, &entries, epoch, key);
        }
        let keys = self.inner(prefix, epoch, key)?;
        let width = parts.len() / FAN_OUT;
        for ((number, start), key) in (0..).zip(parts.step_by(width)).zip(keys.iter()) {
            prefix.push(number);
            self.parts(prefix, start..start + width, None, key)?;
            prefix.pop();
        }
        Ok(())
    }

    /// Writes the node over these entries, and what is below it.
    fn node(
        &mut self,
        prefix: &mut Prefix,
        entries: &[(Tag, Zeroizing<[u8; P]>)],
        epoch: Option<u64>,
        key: &Secret<32>,
    ) -> Result<(), ShredError> {
        if entries.len() <= LEAF_ENTRIES_MAX {
            return self.write(prefix, epoch, key, &Node::Leaf(entries.to_vec()));
        }
        let depth = prefix.len();
        nibble(&entries[0].0, depth)?;
        let keys = self.inner(prefix, epoch, key)?;
        let mut rest = entries;
        for (number, key) in (0..).zip(keys.iter()) {
            let below =
                rest.partition_point(|(tag, _)| nibble(tag, depth).is_ok_and(|at| at == number));
            let (these, behind) = rest.split_at(below);
            rest = behind;
            prefix.push(number);
            self.node(prefix, these, None, key)?;
            prefix.pop();
        }
        match rest.is_empty() {
            true => Ok(()),
            // Not in the order of their tags.
            false => Err(ShredError::Damaged),
        }
    }

    /// Writes an inner node; the keys of its children.
    fn inner(
        &mut self,
        prefix: &Prefix,
        epoch: Option<u64>,
        key: &Secret<32>,
    ) -> Result<Box<[Secret<32>; FAN_OUT]>, ShredError> {
        let keys = std::array::from_fn(|_| Secret::generate(self.entropy));
        let node = Node::<P>::Inner(Box::new(keys));
        self.write(prefix, epoch, key, &node)?;
        match node {
            Node::Inner(keys) => Ok(keys),
            Node::Leaf(_) => unreachable!("made above"),
        }
    }

    fn write(
        &mut self,
        prefix: &Prefix,
        epoch: Option<u64>,
        key: &Secret<32>,
        node: &Node<P>,
    ) -> Result<(), ShredError> {
        let row = self.map.row_key(prefix);
        let sealed = node.seal(self.map.vault, &row, epoch, key);
        Ok((self.out)(&row, &sealed)?)
    }
}

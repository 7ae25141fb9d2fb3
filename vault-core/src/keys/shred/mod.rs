//! A map whose deletions hold against someone who keeps every page ever written.
//!
//! A radix tree over uniform 16-byte tags. Each node is one sealed row; an inner node holds the
//! keys of its children, a leaf holds entries, and the key of the root derives from the anchor.
//! Removing an entry seals its leaf under a new key, and every node up to the root: whoever lacks
//! the old root key, which went with the old anchor secret, can open no earlier state of that path.
//!
//! - An insertion adds a tag that is absent, under unchanged keys. There is no update.
//! - A split gives every child a fresh key and writes all of them, so that what lies in a part of
//!   the tree says nothing about what was looked for. Nodes never merge; the index map is built
//!   anew instead.
//!
//! Knows nothing of people or values, and does not know where root keys come from.
//!
//! Source: Reardon, Ritzdorf, Basin, Čapkun, "Secure Data Deletion from Persistent Media"
//! (CCS 2013).

mod build;
mod node;
#[cfg(test)]
pub(crate) mod residue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use crate::crypto::Secret;
use crate::entropy::Entropy;
use crate::id::VaultId;
use crate::limits::LEAF_ENTRIES_MAX;
use crate::store::{Direction, KeyRange, ReadTx, StoreError, Table, WriteTx};

pub use build::{PARTS, Source};
use node::{FAN_OUT, Node};

/// Where an entry lies in a map: uniform, so that the tree is balanced.
pub type Tag = [u8; 16];

/// Entries as they are read out of a map.
pub type Entries<const P: usize> = Vec<(Tag, Zeroizing<[u8; P]>)>;

/// The text of a node of a map with payloads of `P` bytes, read and written again; `None` for one
/// that is no node.
pub(crate) fn reread<const P: usize>(node: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    Node::<P>::decode(node).map(|node| node.encode())
}

/// The key of a map's root, and the epoch it belongs to.
#[derive(Debug)]
pub struct RootKey {
    /// The epoch of the anchor secret that `key` derives from.
    pub epoch: u64,
    /// Seals the root node.
    pub key: Secret<32>,
}

/// Why a map could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShredError {
    /// A node is missing, does not open, or is not of the form that was written.
    #[error("a node of a shred map is damaged")]
    Damaged,
    /// A tag that was to be inserted is there.
    #[error("a tag is in the shred map already")]
    Exists,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one pass is to do.
pub struct Plan<const P: usize> {
    shred: BTreeSet<Tag>,
    insert: BTreeMap<Tag, Zeroizing<[u8; P]>>,
    /// Whether a tag to insert may be there already, and then stays as it is.
    keep_present: bool,
}

impl<const P: usize> Default for Plan<P> {
    fn default() -> Self {
        Self {
            shred: BTreeSet::new(),
            insert: BTreeMap::new(),
            keep_present: false,
        }
    }
}

impl<const P: usize> Plan<P> {
    /// A plan whose insertions leave alone what is there.
    #[must_use]
    pub fn keeping_present() -> Self {
        Self {
            keep_present: true,
            ..Self::default()
        }
    }

    /// Adds an entry. After [`Plan::shred`] of the same tag this replaces what was there.
    pub fn insert(&mut self, tag: Tag, payload: Zeroizing<[u8; P]>) {
        self.insert.insert(tag, payload);
    }

    /// Destroys an entry, whether it was there before the pass or was inserted in it.
    pub fn shred(&mut self, tag: Tag) {
        self.insert.remove(&tag);
        self.shred.insert(tag);
    }

    /// What the map will hold at `tag` after the pass, if the plan says: `Some(None)` for nothing.
    #[must_use]
    pub fn get(&self, tag: &Tag) -> Option<Option<&[u8; P]>> {
        match self.insert.get(tag) {
            Some(payload) => Some(Some(payload)),
            None => self.shred.contains(tag).then_some(None),
        }
    }

    /// Tags to insert that begin with `prefix`, with their payloads.
    pub fn inserted_under(&self, prefix: [u8; 8]) -> impl Iterator<Item = (&Tag, &[u8; P])> {
        let start = whole(prefix, 0);
        self.insert
            .range(start..=whole(prefix, 0xff))
            .map(|(tag, payload)| (tag, &**payload))
    }

    /// Whether anything is destroyed, so that the pass must move the anchor.
    #[must_use]
    pub fn shreds(&self) -> bool {
        !self.shred.is_empty()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shred.is_empty() && self.insert.is_empty()
    }

    /// Adds the steps of a plan that was made on top of this one.
    pub fn absorb(&mut self, later: Self) {
        for tag in later.shred {
            self.shred(tag);
        }
        self.insert.extend(later.insert);
    }
}

fn whole(prefix: [u8; 8], rest: u8) -> Tag {
    let mut tag = [rest; 16];
    tag[..8].copy_from_slice(&prefix);
    tag
}

/// One map of a vault, with payloads of `P` bytes.
#[derive(Clone, Copy, Debug)]
pub struct ShredMap<const P: usize> {
    vault: VaultId,
    /// 1 people, 2 index.
    number: u8,
    /// Counts how often the map was built anew.
    generation: u32,
}

/// The place of a node: the nibbles that its tags have in common.
type Prefix = Vec<u8>;

impl<const P: usize> ShredMap<P> {
    /// The map with this number and generation.
    #[must_use]
    pub const fn new(vault: VaultId, number: u8, generation: u32) -> Self {
        Self {
            vault,
            number,
            generation,
        }
    }

    /// Writes the root of an empty map.
    ///
    /// # Errors
    ///
    /// [`ShredError::Store`].
    pub fn create(&self, tx: &mut dyn WriteTx, root: &RootKey) -> Result<(), ShredError> {
        self.write(tx, &[], Some(root.epoch), &root.key, &Node::<P>::empty())
    }

    /// Deletes the rows of the map; destroys nothing by itself.
    ///
    /// # Errors
    ///
    /// [`ShredError::Store`].
    pub fn drop_rows(&self, tx: &mut dyn WriteTx) -> Result<(), ShredError> {
        let range = KeyRange::prefix(&self.row_key(&[]));
        for key in tx.keys(Table::Nodes, &range, Direction::Ascending, usize::MAX)? {
            tx.delete(Table::Nodes, &key)?;
        }
        Ok(())
    }

    /// The payload at `tag`.
    ///
    /// # Errors
    ///
    /// [`ShredError::Damaged`], [`ShredError::Store`].
    pub fn get(
        &self,
        tx: &dyn ReadTx,
        root: &RootKey,
        tag: &Tag,
    ) -> Result<Option<Zeroizing<[u8; P]>>, ShredError> {
        let leaf = self.leaf(tx, root, tag)?;
        Ok(leaf
            .iter()
            .find(|(found, _)| found == tag)
            .map(|(_, payload)| payload.clone()))
    }

    /// The entries whose tags begin with `prefix`.
    ///
    /// # Errors
    ///
    /// [`ShredError::Damaged`], [`ShredError::Store`].
    pub fn get_prefix(
        &self,
        tx: &dyn ReadTx,
        root: &RootKey,
        prefix: [u8; 8],
    ) -> Result<Entries<P>, ShredError> {
        let leaf = self.leaf(tx, root, &whole(prefix, 0))?;
        let under = |entry: &&(Tag, _)| entry.0.starts_with(&prefix);
        Ok(copies(leaf.len(), leaf.iter().filter(under)))
    }

    /// The entries of at most `leaves` leaves in tag order, beginning with the one that `from` lies
    /// in; and where to go on, or `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ShredError::Damaged`], [`ShredError::Store`].
    pub fn walk(
        &self,
        tx: &dyn ReadTx,
        root: &RootKey,
        from: Tag,
        leaves: usize,
    ) -> Result<(Entries<P>, Option<Tag>), ShredError> {
        let mut walk = Walk {
            from,
            leaves_left: leaves,
            entries: Vec::new(),
            next: None,
        };
        let node = self.read(tx, &[], Some(root.epoch), &root.key)?;
        self.visit(tx, &mut Vec::new(), node, &mut walk)?;
        Ok((walk.entries, walk.next))
    }

    /// Carries out `plan`. The root is sealed under `next` if there is one; without one the plan
    /// must shred nothing.
    ///
    /// # Errors
    ///
    /// [`ShredError::Damaged`], [`ShredError::Exists`], [`ShredError::Store`].
    ///
    /// # Panics
    ///
    /// If the plan shreds and there is no `next`: the deletion would not hold.
    pub fn apply(
        &self,
        tx: &mut dyn WriteTx,
        root: &RootKey,
        next: Option<&RootKey>,
        plan: &Plan<P>,
        entropy: &mut dyn Entropy,
    ) -> Result<(), ShredError> {
        assert!(
            next.is_some() || !plan.shreds(),
            "a deletion holds only with a new anchor secret"
        );
        if next.is_none() && plan.is_empty() {
            return Ok(());
        }
        let mut pass = Pass {
            map: self,
            tx,
            plan,
            entropy,
        };
        let node = self.read(pass.tx, &[], Some(root.epoch), &root.key)?;
        let shred: Vec<Tag> = plan.shred.iter().copied().collect();
        let insert: Vec<Tag> = plan.insert.keys().copied().collect();
        let changed = pass.change(&mut Vec::new(), node, &shred, &insert)?;
        match (next, changed) {
            (Some(next), changed) => {
                let node = changed.into_node();
                self.write(pass.tx, &[], Some(next.epoch), &next.key, &node)
            }
            (None, Changed::Grown(node)) => {
                self.write(pass.tx, &[], Some(root.epoch), &root.key, &node)
            }
            (None, Changed::Nothing(_)) => Ok(()),
            (None, Changed::Shredded(_)) => unreachable!("asserted above"),
        }
    }

    fn leaf(&self, tx: &dyn ReadTx, root: &RootKey, tag: &Tag) -> Result<Entries<P>, ShredError> {
        let mut prefix = Prefix::new();
        let mut node = self.read(tx, &prefix, Some(root.epoch), &root.key)?;
        loop {
            match node {
                Node::Leaf(entries) => return Ok(entries),
                Node::Inner(keys) => {
                    let nibble = nibble(tag, prefix.len())?;
                    prefix.push(nibble);
                    node = self.read(tx, &prefix, None, &keys[usize::from(nibble)])?;
                }
            }
        }
    }

    fn visit(
        &self,
        tx: &dyn ReadTx,
        prefix: &mut Prefix,
        node: Node<P>,
        walk: &mut Walk<P>,
    ) -> Result<(), ShredError> {
        match node {
            Node::Leaf(entries) => {
                walk.leaves_left -= 1;
                let all = walk.entries.len() + entries.len();
                if all > walk.entries.capacity() {
                    walk.entries = copies(2 * all, &walk.entries);
                }
                walk.entries.extend_from_slice(&entries);
            }
            Node::Inner(keys) => {
                for (nibble, key) in (0u8..).zip(keys.iter()) {
                    prefix.push(nibble);
                    if walk.next.is_none() && last_tag(prefix) >= walk.from {
                        if walk.leaves_left == 0 {
                            walk.next = Some(first_tag(prefix));
                        } else {
                            let child = self.read(tx, prefix, None, key)?;
                            self.visit(tx, prefix, child, walk)?;
                        }
                    }
                    prefix.pop();
                }
            }
        }
        Ok(())
    }

    fn row_key(&self, prefix: &[u8]) -> Vec<u8> {
        let mut key = vec![self.number];
        key.extend_from_slice(&self.generation.to_be_bytes());
        key.extend_from_slice(prefix);
        key
    }

    fn read(
        &self,
        tx: &dyn ReadTx,
        prefix: &[u8],
        epoch: Option<u64>,
        key: &Secret<32>,
    ) -> Result<Node<P>, ShredError> {
        let row = self.row_key(prefix);
        let sealed = tx.get(Table::Nodes, &row)?.ok_or(ShredError::Damaged)?;
        Node::unseal(self.vault, &row, epoch, key, &sealed).ok_or(ShredError::Damaged)
    }

    fn write(
        &self,
        tx: &mut dyn WriteTx,
        prefix: &[u8],
        epoch: Option<u64>,
        key: &Secret<32>,
        node: &Node<P>,
    ) -> Result<(), ShredError> {
        let row = self.row_key(prefix);
        tx.put(Table::Nodes, &row, &node.seal(self.vault, &row, epoch, key))?;
        Ok(())
    }
}

struct Walk<const P: usize> {
    from: Tag,
    leaves_left: usize,
    entries: Entries<P>,
    next: Option<Tag>,
}

/// What became of a node.
enum Changed<const P: usize> {
    /// Nothing.
    Nothing(Node<P>),
    /// It is to be written under the key it has.
    Grown(Node<P>),
    /// It is to be written under a new key.
    Shredded(Node<P>),
}

impl<const P: usize> Changed<P> {
    fn into_node(self) -> Node<P> {
        match self {
            Self::Nothing(node) | Self::Grown(node) | Self::Shredded(node) => node,
        }
    }
}

struct Pass<'a, const P: usize> {
    map: &'a ShredMap<P>,
    tx: &'a mut dyn WriteTx,
    plan: &'a Plan<P>,
    entropy: &'a mut dyn Entropy,
}

impl<const P: usize> Pass<'_, P> {
    /// Changes the tree below `node` and writes everything below it; `node` itself is the caller's
    /// to write, who knows its key.
    fn change(
        &mut self,
        prefix: &mut Prefix,
        node: Node<P>,
        shred: &[Tag],
        insert: &[Tag],
    ) -> Result<Changed<P>, ShredError> {
        match node {
            Node::Leaf(entries) => self.change_leaf(prefix, entries, shred, insert),
            Node::Inner(keys) => self.change_inner(prefix, keys, shred, insert),
        }
    }

    fn change_leaf(
        &mut self,
        prefix: &mut Prefix,
        before: Entries<P>,
        shred: &[Tag],
        insert: &[Tag],
    ) -> Result<Changed<P>, ShredError> {
        let stays = |entry: &&(Tag, _)| shred.binary_search(&entry.0).is_err();
        let room = before.len() + insert.len();
        let mut entries = copies(room, before.iter().filter(stays));
        let shredded = entries.len() < before.len();
        let kept = entries.len();
        for tag in insert {
            if entries[..kept].iter().any(|(present, _)| present == tag) {
                if self.plan.keep_present {
                    continue;
                }
                return Err(ShredError::Exists);
            }
            entries.push((*tag, self.plan.insert[tag].clone()));
        }
        let grown = entries.len() > kept;
        let node = if entries.len() > LEAF_ENTRIES_MAX {
            self.split(prefix, &entries)?
        } else {
            entries.sort_unstable_by_key(|(tag, _)| *tag);
            Node::Leaf(entries)
        };
        Ok(match (shredded, grown) {
            (true, _) => Changed::Shredded(node),
            (false, true) => Changed::Grown(node),
            (false, false) => Changed::Nothing(node),
        })
    }

    fn change_inner(
        &mut self,
        prefix: &mut Prefix,
        mut keys: Box<[Secret<32>; FAN_OUT]>,
        shred: &[Tag],
        insert: &[Tag],
    ) -> Result<Changed<P>, ShredError> {
        let mut shredded = false;
        for (nibble, key) in (0u8..).zip(keys.iter_mut()) {
            let shred = under(shred, prefix.len(), nibble)?;
            let insert = under(insert, prefix.len(), nibble)?;
            if shred.is_empty() && insert.is_empty() {
                continue;
            }
            prefix.push(nibble);
            let child = self.map.read(self.tx, prefix, None, key)?;
            match self.change(prefix, child, shred, insert)? {
                Changed::Nothing(_) => {}
                Changed::Grown(child) => self.map.write(self.tx, prefix, None, key, &child)?,
                Changed::Shredded(child) => {
                    *key = Secret::generate(self.entropy);
                    self.map.write(self.tx, prefix, None, key, &child)?;
                    shredded = true;
                }
            }
            prefix.pop();
        }
        let node = Node::Inner(keys);
        Ok(if shredded {
            Changed::Shredded(node)
        } else {
            Changed::Nothing(node)
        })
    }

    /// Distributes the entries of an overfull leaf over sixteen children, writes all of them, and
    /// returns the inner node that takes the leaf's place.
    fn split(
        &mut self,
        prefix: &mut Prefix,
        entries: &[(Tag, Zeroizing<[u8; P]>)],
    ) -> Result<Node<P>, ShredError> {
        let depth = prefix.len();
        nibble(&[0; 16], depth)?;
        let children: [Entries<P>; FAN_OUT] = std::array::from_fn(|number| {
            let here = |entry: &&(Tag, _)| {
                nibble(&entry.0, depth).is_ok_and(|at| usize::from(at) == number)
            };
            copies(
                entries.iter().filter(here).count(),
                entries.iter().filter(here),
            )
        });
        let keys: Box<[Secret<32>; FAN_OUT]> =
            Box::new(std::array::from_fn(|_| Secret::generate(self.entropy)));
        for ((number, entries), key) in (0u8..).zip(children).zip(keys.iter()) {
            prefix.push(number);
            let child = if entries.len() > LEAF_ENTRIES_MAX {
                self.split(prefix, &entries)?
            } else {
                Node::Leaf(entries)
            };
            self.map.write(self.tx, prefix, None, key, &child)?;
            prefix.pop();
        }
        Ok(Node::Inner(keys))
    }
}

/// Copies of at most `room` entries, for there is a key in each: a Vec overwrites what it still has when it is
/// dropped, and not what it was moved out of, or was moved up in, or grew out of.
fn copies<'a, const P: usize>(
    room: usize,
    entries: impl IntoIterator<Item = &'a (Tag, Zeroizing<[u8; P]>)>,
) -> Entries<P> {
    let mut copies = Entries::with_capacity(room);
    copies.extend(entries.into_iter().cloned());
    debug_assert!(copies.len() <= room, "it grew");
    copies
}

/// The part of `tags`, which are in order and have `depth` nibbles in common, that goes on with
/// `wanted`.
fn under(tags: &[Tag], depth: usize, wanted: u8) -> Result<&[Tag], ShredError> {
    if tags.is_empty() {
        return Ok(tags);
    }
    nibble(&tags[0], depth)?;
    let at = |tag: &Tag| nibble(tag, depth).unwrap_or(u8::MAX);
    let start = tags.partition_point(|tag| at(tag) < wanted);
    let end = tags.partition_point(|tag| at(tag) <= wanted);
    Ok(&tags[start..end])
}

/// The nibble of `tag` at `depth`. Below the sixteenth no tree of uniform tags goes, and the
/// values that one prefix stands for are limited far below a leaf.
fn nibble(tag: &Tag, depth: usize) -> Result<u8, ShredError> {
    if depth >= 16 {
        return Err(ShredError::Damaged);
    }
    let byte = tag[depth / 2];
    Ok(if depth.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 15
    })
}

fn first_tag(prefix: &[u8]) -> Tag {
    fill(prefix, 0)
}

fn last_tag(prefix: &[u8]) -> Tag {
    fill(prefix, 15)
}

fn fill(prefix: &[u8], rest: u8) -> Tag {
    let at = |index: usize| prefix.get(index).copied().unwrap_or(rest);
    std::array::from_fn(|byte| (at(2 * byte) << 4) | at(2 * byte + 1))
}

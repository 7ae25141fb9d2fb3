//! The Merkle tree of the log: hashes, roots, proofs, and how they are verified.
//!
//! Knows nothing of entries or of where hashes are kept: whoever proves brings [`Nodes`].
//!
//! Source: RFC 6962 §2.1 (hashes, proofs), RFC 9162 §2.1.3.2 and §2.1.4.2 (verification).

use crate::crypto::sha256;

/// A hash of the tree.
pub type Hash = [u8; 32];

/// The hash of an entry.
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The right edge of a tree: enough to add to it and to name its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The complete subtrees that the tree consists of, the largest first: one a set bit of `size`.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge of the tree of this size.
    ///
    /// # Errors
    ///
    /// Those of `nodes`.
    pub fn load<N: Nodes>(size: u64, nodes: &mut N) -> Result<Self, N::Error> {
        let mut frontier = Self::default();
        for height in (0..u64::BITS)
            .rev()
            .filter(|height| size >> height & 1 == 1)
        {
            frontier
                .peaks
                .push(nodes.node(height, frontier.size >> height)?);
            frontier.size += 1 << height;
        }
        Ok(frontier)
    }

    /// How many entries the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; `complete` gets every subtree that it completes, as height, index and hash.
    pub fn push(&mut self, leaf: Hash, mut complete: impl FnMut(u32, u64, &Hash)) {
        let (mut hash, mut height, mut index) = (leaf, 0, self.size);
        complete(height, index, &hash);
        while index & 1 == 1 {
            let left = self.peaks.pop().expect("a right child has a left sibling");
            (hash, height, index) = (parent(&left, &hash), height + 1, index >> 1);
            complete(height, index, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root; SHA-256 of nothing for an empty tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return sha256(&[]);
        };
        peaks.fold(*last, |right, left| parent(left, &right))
    }
}

/// Hashes of complete subtrees.
pub trait Nodes {
    /// Why a hash cannot be had.
    type Error;

    /// The hash over the entries from `index << height` on, `1 << height` of them.
    ///
    /// # Errors
    ///
    /// Those of whoever keeps them.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The largest power of two below `n`, which is at least 2.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// MTH(D[start:end]); `start` is a multiple of a power of two that is not below the length.
fn range<N: Nodes>(nodes: &mut N, start: u64, end: u64) -> Result<Hash, N::Error> {
    let n = end - start;
    if n.is_power_of_two() {
        return nodes.node(n.ilog2(), start / n);
    }
    let middle = start + split(n);
    let left = range(nodes, start, middle)?;
    Ok(parent(&left, &range(nodes, middle, end)?))
}

/// The root of the first `size` entries.
///
/// # Errors
///
/// Those of `nodes`.
pub fn root<N: Nodes>(size: u64, nodes: &mut N) -> Result<Hash, N::Error> {
    match size {
        0 => Ok(sha256(&[])),
        size => range(nodes, 0, size),
    }
}

/// Proves that entry `index` is in the tree of the first `size` entries; empty where it is not.
///
/// # Errors
///
/// Those of `nodes`.
pub fn inclusion<N: Nodes>(index: u64, size: u64, nodes: &mut N) -> Result<Vec<Hash>, N::Error> {
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proves that the tree of `size` entries begins with that of `first`; empty where there is nothing
/// to prove.
///
/// # Errors
///
/// Those of `nodes`.
pub fn consistency<N: Nodes>(first: u64, size: u64, nodes: &mut N) -> Result<Vec<Hash>, N::Error> {
    let mut proof = Vec::new();
    if first == 0 || first >= size {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, size);
    // Whether the subtree at hand is the whole of the first tree, which the verifier knows.
    let mut whole = true;
    while first < end {
        let middle = start + split(end - start);
        if first <= middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, start, middle)?);
            (start, whole) = (middle, false);
        }
    }
    if !whole {
        proof.push(range(nodes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree of `size` entries with this root.
#[must_use]
pub fn included(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = parent(step, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = parent(&hash, step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `size` entries begins with that of `first` entries.
#[must_use]
pub fn consistent(
    (first, first_root): (u64, &Hash),
    (size, root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if first == 0 || first == size {
        return proof.is_empty() && (first == 0 || first_root == root);
    }
    if first > size {
        return false;
    }
    let mut steps = proof.iter();
    let seed = match first.is_power_of_two() {
        true => Some(first_root),
        false => steps.next(),
    };
    let Some(seed) = seed else { return false };
    let (mut node, mut last) = (first - 1, size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut earlier, mut later) = (*seed, *seed);
    for step in steps {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            earlier = parent(step, &earlier);
            later = parent(step, &later);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            later = parent(&later, step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && earlier == *first_root && later == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use std::convert::Infallible;

    /// Every leaf at hand, each subtree computed as RFC 6962 defines it.
    struct Leaves(Vec<Hash>);

    impl Nodes for Leaves {
        type Error = Infallible;

        fn node(&mut self, height: u32, index: u64) -> Result<Hash, Infallible> {
            let at = usize::try_from(index << height).unwrap();
            if height == 0 {
                return Ok(self.0[at]);
            }
            let left = self.node(height - 1, 2 * index)?;
            Ok(parent(&left, &self.node(height - 1, 2 * index + 1)?))
        }
    }

    fn hashed(text: &str) -> Hash {
        HEXLOWER
            .decode(text.as_bytes())
            .unwrap()
            .try_into()
            .unwrap()
    }

    fn leaves(count: u8) -> Leaves {
        Leaves((0..count).map(|byte| leaf(&[byte])).collect())
    }

    /// The eight entries and roots of the reference implementation of Certificate Transparency
    /// (`merkletree/merkle_tree_test.cc`), which RFC 6962 has no vectors beside.
    #[test]
    fn the_roots_are_those_of_certificate_transparency() {
        let entries = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(
            frontier.root(),
            hashed("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
        for (entry, root) in entries.iter().zip(roots) {
            let entry = HEXLOWER.decode(entry.as_bytes()).unwrap();
            frontier.push(leaf(&entry), |_, _, _| {});
            assert_eq!(frontier.root(), hashed(root));
        }
    }

    #[test]
    fn an_edge_that_is_loaded_is_the_one_that_grew() {
        let mut grown = Frontier::default();
        let mut nodes = leaves(70);
        for size in 0..70 {
            assert_eq!(Frontier::load(size, &mut nodes).unwrap(), grown);
            assert_eq!(root(size, &mut nodes).unwrap(), grown.root());
            let leaf = nodes.0[usize::try_from(size).unwrap()];
            grown.push(leaf, |height, index, hash| {
                assert_eq!(nodes.node(height, index).unwrap(), *hash);
            });
        }
    }

    #[test]
    fn every_inclusion_is_proved_and_no_other_leaf_size_or_path_is() {
        let mut nodes = leaves(40);
        for size in 1..40 {
            let root_of = root(size, &mut nodes).unwrap();
            for index in 0..size {
                let proof = inclusion(index, size, &mut nodes).unwrap();
                let leaf = nodes.0[usize::try_from(index).unwrap()];
                assert!(included(index, size, &leaf, &proof, &root_of));
                let other = nodes.0[usize::try_from(index + 1).unwrap() % 40];
                assert!(!included(index, size, &other, &proof, &root_of));
                for (index, size) in [(index + 1, size), (index, size - 1), (size, size)] {
                    let wrong = root(size, &mut nodes).unwrap();
                    assert!(!included(index, size, &leaf, &proof, &wrong));
                }
                for cut in 0..proof.len() {
                    assert!(!included(index, size, &leaf, &proof[..cut], &root_of));
                    let mut bent = proof.clone();
                    bent[cut][0] ^= 1;
                    assert!(!included(index, size, &leaf, &bent, &root_of));
                }
                let longer = [&proof[..], &[[0; 32]]].concat();
                assert!(!included(index, size, &leaf, &longer, &root_of));
            }
        }
    }

    #[test]
    fn every_history_that_goes_on_is_proved_and_a_forked_one_is_not() {
        let mut nodes = leaves(40);
        let mut fork = leaves(40);
        fork.0[2] = leaf(b"another");
        for size in 0..40 {
            let later = root(size, &mut nodes).unwrap();
            for first in 0..=size {
                let earlier = root(first, &mut nodes).unwrap();
                let proof = consistency(first, size, &mut nodes).unwrap();
                assert!(consistent((first, &earlier), (size, &later), &proof));
                let forked = root(first, &mut fork).unwrap();
                if first > 2 {
                    assert!(!consistent((first, &forked), (size, &later), &proof));
                }
                for cut in 0..proof.len() {
                    assert!(!consistent(
                        (first, &earlier),
                        (size, &later),
                        &proof[..cut]
                    ));
                    let mut bent = proof.clone();
                    bent[cut][31] ^= 0x80;
                    assert!(!consistent((first, &earlier), (size, &later), &bent));
                }
            }
            assert!(!consistent((size + 1, &later), (size, &later), &[]));
        }
    }
}

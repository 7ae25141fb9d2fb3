//! The Merkle tree against the vectors of Certificate Transparency's reference implementation
//! (`merkletree/merkle_tree_test.cc`), which RFC 6962 and RFC 9162 have none beside: roots of 0 to 8
//! leaves, proofs of inclusion, proofs of consistency.

use std::convert::Infallible;

use vault_core::audit::merkle::{
    Frontier, Hash, Nodes, consistency, consistent, included, inclusion, leaf, root,
};

use super::unhex;

const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const F: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

/// Index, size, hashes.
const INCLUSION: [(u64, u64, &[&str]); 5] = [
    (0, 1, &[]),
    (0, 8, &[A, B, C]),
    (5, 8, &[D, E, ROOTS[4]]),
    (2, 3, &[ROOTS[2]]),
    (1, 5, &[ROOTS[1], B, D]),
];
/// Size before, size after, hashes.
const CONSISTENCY: [(u64, u64, &[&str]); 4] = [
    (1, 1, &[]),
    (1, 8, &[A, B, C]),
    (6, 8, &[F, E, ROOTS[4]]),
    (2, 5, &[B, D]),
];

struct Leaves;

impl Nodes for Leaves {
    type Error = Infallible;

    fn node(&mut self, height: u32, index: u64) -> Result<Hash, Infallible> {
        let first = usize::try_from(index << height).unwrap();
        let mut subtree = Frontier::default();
        for text in &LEAVES[first..first + (1 << height)] {
            subtree.push(leaf(&unhex(text)), |_, _, _| {});
        }
        Ok(subtree.root())
    }
}

fn hash(text: &str) -> Hash {
    unhex(text).try_into().unwrap()
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| hash(text)).collect()
}

#[test]
fn roots_and_proofs_are_those_of_certificate_transparency() {
    for (size, expected) in (0..).zip(ROOTS) {
        assert_eq!(
            root(size, &mut Leaves).unwrap(),
            hash(expected),
            "{size} leaves"
        );
    }
    for (index, size, proof) in INCLUSION {
        let (mut proof, at) = (hashes(proof), usize::try_from(index).unwrap());
        assert_eq!(inclusion(index, size, &mut Leaves).unwrap(), proof);
        let mut of = leaf(&unhex(LEAVES[at]));
        let root = hash(ROOTS[usize::try_from(size).unwrap()]);
        assert!(included(index, size, &of, &proof, &root));
        of[31] ^= 1;
        assert!(!included(index, size, &of, &proof, &root));
        of[31] ^= 1;
        for number in 0..proof.len() {
            proof[number][0] ^= 1;
            assert!(!included(index, size, &of, &proof, &root), "a flipped bit");
            proof[number][0] ^= 1;
        }
    }
    for (first, size, proof) in CONSISTENCY {
        let mut proof = hashes(proof);
        assert_eq!(consistency(first, size, &mut Leaves).unwrap(), proof);
        let root = |size: u64| hash(ROOTS[usize::try_from(size).unwrap()]);
        let (earlier, later) = (root(first), root(size));
        let holds = |proof: &[Hash]| consistent((first, &earlier), (size, &later), proof);
        assert!(holds(&proof));
        for number in 0..proof.len() {
            proof[number][31] ^= 0x80;
            assert!(!holds(&proof), "a flipped bit");
            proof[number][31] ^= 0x80;
        }
    }
    println!(
        "Certificate Transparency: {} roots, {} proofs of inclusion, {} of consistency",
        ROOTS.len(),
        INCLUSION.len(),
        CONSISTENCY.len()
    );
}

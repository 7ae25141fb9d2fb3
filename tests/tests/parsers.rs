//! Every parser, with its corpus and a few thousand changes of it: no panic.
//!
//! The short form of what `fuzz/` does for hours. The same seed every time, so that a failure comes
//! back.

use std::path::Path;

use vault_core::entropy::{Entropy, SeededEntropy};

/// Changes of the corpus that each parser gets.
const CHANGES: usize = 1_500;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|_| panic!("{target} has no corpus"))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Bytes flipped, cut out, doubled, or put in from elsewhere in the corpus.
fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut SeededEntropy) {
    let mut below = |bound: usize| {
        let mut number = [0; 4];
        random.fill(&mut number);
        u32::from_be_bytes(number) as usize % bound.max(1)
    };
    for _ in 0..=below(4) {
        let at = below(bytes.len());
        let to = bytes.len().min(at + below(40));
        match below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0xfb, 0xff][below(5)],
            2 => drop(bytes.drain(at.min(to)..to)),
            3 => {
                let part = bytes[at.min(to)..to].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let from = below(other.len());
                let part = &other[from..other.len().min(from + below(60))];
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
}

#[test]
fn no_parser_panics_on_its_corpus_or_on_changes_of_it() {
    for (target, parse) in vault_fuzz::TARGETS {
        let corpus = corpus(target);
        assert!(!corpus.is_empty(), "{target}");
        corpus.iter().for_each(|bytes| parse(bytes));
        let mut random = SeededEntropy::new(5);
        for round in 0..CHANGES {
            let mut bytes = corpus[round % corpus.len()].clone();
            let other = &corpus[(round / corpus.len()) % corpus.len()];
            change(&mut bytes, other, &mut random);
            parse(&bytes);
        }
    }
}

/// The corpus holds what is valid, so that changes of it reach what lies behind the first check.
#[test]
fn seeds_are_what_they_are_called() {
    let read = |path: &str| std::fs::read(Path::new("../fuzz/corpus").join(path)).unwrap();
    let entry = vault_core::audit::Entry::decode(&read("row/entry"));
    assert_eq!(entry.unwrap().role, "keyholder");
    let keyset: vault_core::keys::keyset::Keyset =
        vault_core::row::decode(&read("row/keyset")).unwrap();
    assert_eq!(keyset.keys.len(), 1);
    let policy = String::from_utf8(read("policy/sample")).unwrap();
    assert!(vault_core::policy::Draft::parse(&policy).is_ok());
}

//! Vectors that others published, and a whole vault that an earlier version of this one wrote.
//!
//! Failure is a vector that comes out otherwise than it says, a set of which none ran, a set that
//! passes with a bit flipped, or a kept vault that does not open as what it was. Where the vault's own
//! functions wrap a primitive in a form of their own (lengths before parts), the crate below runs with
//! the features that the vault uses, and one test ties the two together. The cipher's own set runs
//! beside it, in `vault-core/src/crypto/wycheproof.rs`; sources: `tests/data/vectors/README.md`.

#![expect(
    clippy::print_stdout,
    reason = "how much was tried is for whoever runs this"
)]

mod bridge;
mod kept_vault;
mod rfc;
mod tree;
mod wycheproof;

use std::path::PathBuf;

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("data/vectors")
        .join(path)
}

fn unhex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER
        .decode(text.as_bytes())
        .unwrap_or_else(|_| panic!("{text} is no hexadecimal"))
}

/// Runs a set, each of whose vectors ends with what has to come out; then each with a bit of that
/// flipped, which must be noticed.
fn run(set: &str, vectors: &[&[&str]], holds: impl Fn(&[Vec<u8>]) -> bool) {
    assert!(!vectors.is_empty(), "{set} is empty");
    for (number, vector) in vectors.iter().enumerate() {
        let mut parts: Vec<Vec<u8>> = vector.iter().map(|part| unhex(part)).collect();
        assert!(holds(&parts), "{set}, vector {}", number + 1);
        *parts.last_mut().unwrap().last_mut().unwrap() ^= 1;
        assert!(!holds(&parts), "{set}, vector {}, flipped", number + 1);
    }
    println!("{set}: {} vectors", vectors.len());
}

//! Choices that follow from a seed.

use vault_core::entropy::{Entropy, SeededEntropy};

/// A generator of choices.
pub(super) struct Rng(SeededEntropy);

impl Rng {
    /// The generator of the `stream`th actor under this seed.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        // Seeds are hashed by the generator: neighbours have nothing in common.
        Self(SeededEntropy::new(
            seed.wrapping_mul(1 << 20).wrapping_add(stream),
        ))
    }

    /// A number below `end`; the bias is below one in 2^32 here.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        let number = u64::from_le_bytes(bytes) % end.max(1) as u64;
        usize::try_from(number).expect("below a usize")
    }

    /// Another generator, which follows from this one.
    pub(super) fn fork(&mut self) -> Self {
        let mut seed = [0; 8];
        self.0.fill(&mut seed);
        Self(SeededEntropy::new(u64::from_le_bytes(seed)))
    }

    /// Bytes without meaning.
    pub(super) fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_streams_differ() {
        let draw = |seed, stream| {
            let mut rng = Rng::new(seed, stream);
            (0..20).map(|_| rng.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
        assert!(draw(1, 1).iter().all(|number| *number < 1000));
    }
}

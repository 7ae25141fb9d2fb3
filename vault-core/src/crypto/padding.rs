//! Lengths that say little: a value is padded so that its size falls into a bucket.
//!
//! 32-byte steps up to 256 bytes, then Padmé, which loses at most 12 % and leaves
//! O(log log n) bits of the length. The bucket holds value and one mark byte `0x80`; zeros follow.
//!
//! Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
//! PURBs" (PETS 2019), §4.

/// Length of the padded form of a value of `length` bytes.
pub(super) fn padded_len(length: usize) -> usize {
    usize::try_from(padded_bytes(length as u64)).expect("it was in memory, and grows by an eighth")
}

/// Length of the padded form of `length` bytes that need not fit into memory.
#[must_use]
pub fn padded_bytes(length: u64) -> u64 {
    bucket(length) + 1
}

fn bucket(length: u64) -> u64 {
    if length <= 256 {
        return length.max(1).next_multiple_of(32);
    }
    let exponent = length.ilog2();
    let bits = exponent.ilog2() + 1;
    let mask = (1u64 << (exponent - bits)) - 1;
    (length + mask) & !mask
}

/// Appends `value` and its padding to `buffer`.
pub(super) fn pad(buffer: &mut Vec<u8>, value: &[u8]) {
    let end = buffer.len() + padded_len(value.len());
    buffer.extend_from_slice(value);
    buffer.push(0x80);
    buffer.resize(end, 0);
}

/// Length of the value in a padded text, or `None` if it is not padded as [`pad`] does.
pub(super) fn unpadded_len(padded: &[u8]) -> Option<usize> {
    let mark = padded.iter().rposition(|byte| *byte != 0)?;
    (padded[mark] == 0x80 && padded_len(mark) == padded.len()).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_values_fall_into_steps_of_32_bytes() {
        assert_eq!(padded_len(0), 33);
        assert_eq!(padded_len(32), 33);
        assert_eq!(padded_len(33), 65);
        assert_eq!(padded_len(256), 257);
        assert!(padded_len(257) >= 258);
    }

    proptest! {
        #[test]
        fn padding_comes_off_again_and_costs_at_most_an_eighth(
            value in prop::collection::vec(any::<u8>(), 0..5000)
        ) {
            let mut padded = Vec::new();
            pad(&mut padded, &value);
            prop_assert_eq!(unpadded_len(&padded), Some(value.len()));
            prop_assert!(padded.len() <= value.len() + value.len() / 8 + 34);
        }

        #[test]
        fn lengths_in_order_have_buckets_in_order(a in 0usize..100_000, b in 0usize..100_000) {
            let (a, b) = (a.min(b), a.max(b));
            prop_assert!(padded_len(a) <= padded_len(b));
        }
    }
}

//! A secret that some of several people open the vault with together: made, told apart, put together.
//!
//! A share says which it is, of how many, how many are needed and which set it belongs to, so that a
//! wrong one is recognised before it is tried. It says nothing of the secret: fewer than are needed are
//! as good as none. Knows nothing of slots.
//!
//! Source: Shamir, "How to share a secret" (1979), byte by byte over GF(256); docs/format.md "Shares".

use std::fmt;
use std::str::FromStr;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use vsss_rs::Gf256;
use zeroize::Zeroizing;

use crate::crypto::{Secret, sha256};
use crate::entropy::Entropy;
use crate::id::BASE32;
use crate::limits::SHARES_MAX;

/// Numbers, set and part; what the checksum is over.
const BODY_BYTES: usize = 1 + 1 + 3 + 32;
const CHECKSUM_BYTES: usize = 3;
/// Sixteen groups of four.
const CHARACTERS: usize = (BODY_BYTES + CHECKSUM_BYTES) * 8 / 5;

/// One share of a secret: of no use without others of its set.
pub struct Share {
    index: u8,
    threshold: u8,
    count: u8,
    set: [u8; 3],
    part: Secret<32>,
}

/// A secret that enough shares have given.
pub struct SharedSecret(Secret<32>);

/// Why a text is no share, or shares do not give their secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The characters are right, the checksum is not.
    #[error("a share has a typing error: its checksum does not fit")]
    Checksum,
    /// Not a share at all.
    #[error("a share has 64 characters of 0-9 and A-Z without I, L, O, U, in groups of four")]
    Form,
    /// More are given than are needed, and they do not agree.
    #[error("the shares do not fit together: one of them is not what was given out")]
    Inconsistent,
    /// Shares of two sets.
    #[error("these shares are of different sets: all have to come from the same slot")]
    Mixed,
    /// So many cannot be made.
    #[error("from 2 to {SHARES_MAX} shares can be made, of which from 2 to all are needed")]
    Numbers,
    /// The same share twice.
    #[error("the same share was given twice")]
    Repeated,
    /// Not enough of them.
    #[error("{needed} shares are needed, and {given} given")]
    TooFew {
        /// How many there are.
        given: usize,
        /// How many there have to be.
        needed: usize,
    },
}

impl Share {
    /// Which of its set it is, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// How many of its set give the secret.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// How many there are in its set.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.count
    }

    /// Sixteen groups of four characters of Crockford's base 32, a checksum among them; to be shown
    /// once.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let body = self.body();
        let all = Zeroizing::new([&body[..], &checksum(&body[..])].concat());
        let digits = Zeroizing::new(BASE32.encode(&all).to_uppercase());
        let mut text = Zeroizing::new(String::with_capacity(CHARACTERS + CHARACTERS / 4));
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                text.push('-');
            }
            text.push(digit);
        }
        text
    }

    fn body(&self) -> Zeroizing<[u8; BODY_BYTES]> {
        let Self {
            index,
            threshold,
            count,
            set,
            part,
        } = self;
        let mut body = Zeroizing::new([0; BODY_BYTES]);
        body[0] = *index;
        body[1] = (threshold << 4) | count;
        body[2..5].copy_from_slice(set);
        body[5..].copy_from_slice(part.expose());
        body
    }

    fn from_body(body: &[u8]) -> Option<Self> {
        let (threshold, count) = (body[1] >> 4, body[1] & 0xf);
        let share = Self {
            index: body[0],
            threshold,
            count,
            set: body[2..5].try_into().ok()?,
            part: Secret::from_slice(&body[5..])?,
        };
        let fits = may_be(threshold.into(), count.into()) && (1..=count).contains(&share.index);
        fits.then_some(share)
    }

    /// As the library takes them: which it is, then its part.
    fn point(&self) -> Vec<u8> {
        [&[self.index][..], self.part.expose()].concat()
    }

    fn of_the_set(&self, other: &Self) -> bool {
        (self.set, self.threshold, self.count) == (other.set, other.threshold, other.count)
    }
}

/// Twenty-four bits of a hash: a typing error passes once in sixteen million.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = sha256(&[b"vault/1 share checksum", body]);
    hash[..CHECKSUM_BYTES].try_into().expect("three of many")
}

fn may_be(threshold: usize, count: usize) -> bool {
    (2..=SHARES_MAX).contains(&count) && (2..=count).contains(&threshold)
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let read = |c: char| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        let mut digits = Zeroizing::new(String::with_capacity(text.len()));
        let kept = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        digits.extend(kept.map(read));
        if digits.len() != CHARACTERS || !digits.is_ascii() {
            return Err(ShareError::Form);
        }
        let bytes = BASE32.decode(digits.as_bytes());
        let bytes = Zeroizing::new(bytes.map_err(|_| ShareError::Form)?);
        let (body, sum) = bytes.split_at(BODY_BYTES);
        if checksum(body) != sum {
            return Err(ShareError::Checksum);
        }
        Self::from_body(body).ok_or(ShareError::Form)
    }
}

impl SharedSecret {
    /// Makes a secret of 256 random bits and gives out its shares. The secret itself is forgotten:
    /// only they give it back.
    ///
    /// # Errors
    ///
    /// [`ShareError::Numbers`].
    ///
    /// # Panics
    ///
    /// Never: the library takes all numbers that this does.
    pub fn split(
        threshold: usize,
        count: usize,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Share>, ShareError> {
        if !may_be(threshold, count) {
            return Err(ShareError::Numbers);
        }
        let secret = Secret::<32>::generate(entropy);
        let (mut seed, mut set) = (Zeroizing::new([0; 32]), [0; 3]);
        entropy.fill(&mut *seed);
        entropy.fill(&mut set);
        let rng = ChaCha20Rng::from_seed(*seed);
        let points = Gf256::split_bytes(threshold, count, secret.expose(), rng);
        let points = Zeroizing::new(points.expect("numbers that it takes"));
        let byte = |number: usize| u8::try_from(number).expect("at most fifteen");
        let share = |point: &Vec<u8>| Share {
            index: point[0],
            threshold: byte(threshold),
            count: byte(count),
            set,
            part: Secret::from_slice(&point[1..]).expect("as long as the secret"),
        };
        Ok(points.iter().map(share).collect())
    }

    /// The secret that these give. Shares beyond those that are needed have to agree.
    ///
    /// # Errors
    ///
    /// See [`ShareError`].
    pub fn join(shares: &[Share]) -> Result<Self, ShareError> {
        let first = shares.first().ok_or(ShareError::TooFew {
            given: 0,
            needed: 2,
        })?;
        if shares.iter().any(|share| !share.of_the_set(first)) {
            return Err(ShareError::Mixed);
        }
        let needed = usize::from(first.threshold);
        for (place, share) in shares.iter().enumerate() {
            if shares[..place].iter().any(|one| one.index == share.index) {
                return Err(ShareError::Repeated);
            }
        }
        let given = shares.len();
        if given < needed {
            return Err(ShareError::TooFew { given, needed });
        }
        let secret = combine(shares[..needed].iter())?;
        for more in &shares[needed..] {
            let others = shares[1..needed].iter().chain([more]);
            if combine(others)? != secret {
                return Err(ShareError::Inconsistent);
            }
        }
        Ok(Self(secret))
    }

    /// The secret that a whole set gives: of a slot that is made, each share has been written down.
    ///
    /// # Errors
    ///
    /// See [`ShareError`].
    pub fn join_all(shares: &[Share]) -> Result<Self, ShareError> {
        let secret = Self::join(shares)?;
        let (given, needed) = (shares.len(), usize::from(shares[0].count));
        match given == needed {
            true => Ok(secret),
            false => Err(ShareError::TooFew { given, needed }),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }
}

fn combine<'s>(shares: impl Iterator<Item = &'s Share>) -> Result<Secret<32>, ShareError> {
    let points = Zeroizing::new(shares.map(Share::point).collect::<Vec<_>>());
    let secret = Gf256::combine_bytes(&*points).map_err(|_| ShareError::Form)?;
    Secret::from_slice(&Zeroizing::new(secret)).ok_or(ShareError::Form)
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn shares(threshold: usize, count: usize, seed: u64) -> Vec<Share> {
        SharedSecret::split(threshold, count, &mut SeededEntropy::new(seed)).unwrap()
    }

    fn again(shares: &[&Share]) -> Vec<Share> {
        let read = shares.iter().map(|share| share.to_text().parse().unwrap());
        read.collect()
    }

    fn join(shares: &[&Share]) -> Result<Vec<u8>, ShareError> {
        SharedSecret::join(&again(shares)).map(|secret| secret.bytes().to_vec())
    }

    #[test]
    fn enough_shares_in_any_order_give_the_secret_and_one_less_does_not() {
        for (threshold, count) in [(2, 2), (2, 3), (3, 5), (15, 15)] {
            let all = shares(threshold, count, 1);
            let all: Vec<&Share> = all.iter().collect();
            let secret = join(&all).unwrap();
            let mut backwards: Vec<&Share> = all.iter().rev().copied().collect();
            backwards.truncate(threshold);
            assert_eq!(join(&backwards).unwrap(), secret);
            let needed = threshold;
            let given = threshold - 1;
            let few = join(&all[..given]).unwrap_err();
            assert_eq!(few, ShareError::TooFew { given, needed });
        }
        for (threshold, count) in [(1, 3), (4, 3), (2, 16), (2, 1), (0, 0)] {
            let made = SharedSecret::split(threshold, count, &mut SeededEntropy::new(1));
            assert_eq!(made.unwrap_err(), ShareError::Numbers);
        }
    }

    #[test]
    fn two_sets_one_twice_and_one_that_was_changed_are_each_told() {
        let (one, other) = (shares(2, 3, 1), shares(2, 3, 2));
        assert_eq!(join(&[&one[0], &other[1]]).unwrap_err(), ShareError::Mixed);
        assert_eq!(join(&[&one[0], &one[0]]).unwrap_err(), ShareError::Repeated);
        assert!(matches!(
            join(&[]).unwrap_err(),
            ShareError::TooFew { given: 0, .. }
        ));
        let mut changed = again(&[&one[2]]).remove(0);
        changed.part = Secret::generate(&mut SeededEntropy::new(9));
        let all = [&one[0], &one[1], &changed];
        assert_eq!(join(&all).unwrap_err(), ShareError::Inconsistent);
        let whole = SharedSecret::join_all(&again(&[&one[0], &one[1]]));
        let few = ShareError::TooFew {
            given: 2,
            needed: 3,
        };
        assert_eq!(whole.unwrap_err(), few);
    }

    #[test]
    fn a_share_reads_back_however_it_is_typed_and_each_typing_error_is_noticed() {
        let share = &shares(2, 3, 4)[1];
        let text = share.to_text();
        assert_eq!((text.len(), share.index()), (79, 2));
        let typed = text
            .to_lowercase()
            .replace('-', " ")
            .replace('0', "o")
            .replace('1', "l");
        assert!(typed.parse::<Share>().unwrap().part == share.part);
        for place in 0..text.len() {
            let digit = &text[place..=place];
            if digit == "-" {
                continue;
            }
            let wrong = if digit == "A" { "B" } else { "A" };
            let wrong = format!("{}{wrong}{}", &text[..place], &text[place + 1..]);
            assert_eq!(wrong.parse::<Share>().unwrap_err(), ShareError::Checksum);
        }
        assert_eq!("short".parse::<Share>().unwrap_err(), ShareError::Form);
        assert_eq!(format!("{share:?}"), "Share");
    }
}

//! Keys from secrets, and marks from values.
//!
//! Knows nothing of which label means what; labels are fixed where they are used and listed in
//! docs/format.md.

use ::hmac::{Hmac, KeyInit, Mac};
use argon2::{Algorithm, Argon2, Version};
use sha2::{Digest, Sha256};

use super::Secret;

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// SHA-256 of what comes piece by piece.
#[derive(Clone, Default)]
pub struct Sha256Stream(Sha256);

impl Sha256Stream {
    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything that came.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// HMAC-SHA-256 of `parts`, each preceded by its length as four bytes, so that no two lists of
/// parts have one input. Source: RFC 2104.
#[must_use]
pub fn hmac(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    HmacBegun::new(key, parts).finish()
}

/// [`hmac()`] whose first parts are always the same: for many lists of parts under one key, of which it keeps what
/// follows from it, overwritten when dropped.
pub struct HmacBegun(Hmac<Sha256>);

impl HmacBegun {
    /// With this key and these first parts.
    #[must_use]
    pub fn new(key: &Secret<32>, first: &[&[u8]]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes any key");
        let mut begun = Self(mac);
        begun.add(first);
        begun
    }

    /// The code of the first parts and of these behind them.
    #[must_use]
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut whole = Self(self.0.clone());
        whole.add(parts);
        whole.finish()
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    fn add(&mut self, parts: &[&[u8]]) {
        for part in parts {
            let length = u32::try_from(part.len()).expect("parts are limited far below 4 GiB");
            self.0.update(&length.to_be_bytes());
            self.0.update(part);
        }
    }
}

/// A key from secret `material`, for one `label` and `context`: HKDF-SHA-256 with `salt`, the info
/// being each of them preceded by its length. Source: RFC 5869.
#[must_use]
pub fn hkdf(material: &[&[u8]], salt: &[u8], label: &str, context: &[&[u8]]) -> Secret<32> {
    let mut extract = hkdf::HkdfExtract::<Sha256>::new(Some(salt));
    for part in material {
        extract.input_ikm(part);
    }
    let (_, expand) = extract.finalize();
    let mut info = Vec::new();
    for part in std::iter::once(label.as_bytes()).chain(context.iter().copied()) {
        let length = u32::try_from(part.len()).expect("parts are limited far below 4 GiB");
        info.extend_from_slice(&length.to_be_bytes());
        info.extend_from_slice(part);
    }
    let mut key = Secret::zeroed();
    expand
        .expand(&info, key.expose_mut())
        .expect("thirty-two bytes are one block");
    key
}

/// Cost of Argon2id. Read from a file that anyone may have changed, so bounded both ways: below,
/// guessing would be cheap; above, opening would be an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Params {
    /// What new slots get: 64 MiB, three passes, one lane.
    pub const DEFAULT: Self = Self {
        memory_kib: 64 << 10,
        passes: 3,
        lanes: 1,
    };

    /// The parameters, if within 19 MiB–1 GiB, 1–10 passes, 1–4 lanes.
    #[must_use]
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let accepted = (19 << 10..=1 << 20).contains(&memory_kib)
            && (1..=10).contains(&passes)
            && (1..=4).contains(&lanes);
        accepted.then_some(Self {
            memory_kib,
            passes,
            lanes,
        })
    }

    /// Memory in KiB, passes, lanes.
    #[must_use]
    pub fn parts(self) -> [u32; 3] {
        [self.memory_kib, self.passes, self.lanes]
    }
}

/// Argon2id version 1.3 of a passphrase. Takes a tenth of a second and [`Argon2Params`]' memory.
///
/// `None` if the memory cannot be had. Source: RFC 9106.
#[must_use]
pub fn argon2id(passphrase: &[u8], salt: &[u8; 16], params: Argon2Params) -> Option<Secret<32>> {
    let params =
        argon2::Params::new(params.memory_kib, params.passes, params.lanes, Some(32)).ok()?;
    let mut out = Secret::zeroed();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, out.expose_mut())
        .ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_depends_on_where_its_parts_end() {
        let key = Secret::take(&mut [7; 32]);
        assert_ne!(hmac(&key, &[b"ab", b"c"]), hmac(&key, &[b"a", b"bc"]));
        assert_ne!(hmac(&key, &[b"abc"]), hmac(&key, &[b"abc", b""]));
    }

    #[test]
    fn a_label_gives_a_key_of_its_own() {
        let key = |label, context: &[&[u8]]| hkdf(&[&[1; 32]], b"salt", label, context);
        assert_eq!(key("people", &[b"v"]), key("people", &[b"v"]));
        assert_ne!(key("people", &[b"v"]), key("index", &[b"v"]));
        assert_ne!(key("people", &[b"v"]), key("people", &[b"w"]));
    }

    #[test]
    fn parameters_outside_their_bounds_are_refused() {
        assert!(Argon2Params::new(19 << 10, 1, 1).is_some());
        assert!(Argon2Params::new((19 << 10) - 1, 3, 1).is_none());
        assert!(Argon2Params::new((1 << 20) + 1, 3, 1).is_none());
        assert!(Argon2Params::new(64 << 10, 11, 1).is_none());
        assert!(Argon2Params::new(64 << 10, 3, 5).is_none());
        assert!(Argon2Params::new(64 << 10, 0, 0).is_none());
    }
}

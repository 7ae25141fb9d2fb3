//! Identifiers: a kind, and random bits that say nothing about a person.
//!
//! Knows nothing of where the named things are stored. An [`Id`] of one kind cannot stand where
//! another is asked for; that is checked by the compiler, and by the prefix on the wire.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::LazyLock;

use crate::entropy::Entropy;

/// Crockford's alphabet in lower case: no `i`, `l`, `o` or `u`, so that an id survives being read
/// aloud. Source: <https://www.crockford.com/base32.html>.
pub(crate) static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("0123456789abcdefghjkmnpqrstvwxyz");
    specification
        .translate
        .from
        .push_str("ABCDEFGHJKMNPQRSTVWXYZ");
    specification
        .translate
        .to
        .push_str("abcdefghjkmnpqrstvwxyz");
    specification
        .encoding()
        .expect("thirty-two distinct symbols")
});

/// What an identifier names, and the prefix that says so on the wire.
pub trait Kind: Copy + Eq + Ord + fmt::Debug + core::hash::Hash + 'static {
    /// The prefix with its underscore, such as `sub_`.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $alias:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $kind;
        impl Kind for $kind { const PREFIX: &'static str = $prefix; }
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    /// A data subject.
    SubjectKind, SubjectId, "sub_";
    /// An erasure receipt.
    ReceiptKind, ReceiptId, "rcp_";
    /// One consent event.
    ConsentKind, ConsentId, "cns_";
    /// An API key's public name.
    TokenKind, TokenId, "tok_";
    /// A session of one conversation.
    SessionKind, SessionId, "ses_";
    /// An emergency, in which somebody sees more than their role does; its session has the same bits.
    EmergencyKind, EmergencyId, "emg_";
    /// A personal data breach in the register.
    IncidentKind, IncidentId, "inc_";
    /// A backup.
    BackupKind, BackupId, "bak_";
    /// One call to the vault.
    CallKind, CallId, "call_";
    /// What one recipient calls a person by, for one purpose: no two have the same.
    PairwiseKind, PairwiseId, "psn_";
    /// What one recipient was given of a person for one purpose.
    DisclosureKind, DisclosureId, "dis_";
    /// A notice to a recipient: the same at every try.
    RecipientNoticeKind, RecipientNoticeId, "rcn_";
    /// A request of a person.
    RequestIdKind, RequestId, "req_";
    /// A decision about a person.
    DecisionIdKind, DecisionId, "dec_";
    /// A vault.
    VaultKind, VaultId, "vlt_";
}

/// A random 128-bit identifier of one kind: `sub_` and 26 characters of base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<K: Kind> {
    bytes: [u8; 16],
    kind: PhantomData<K>,
}

impl<K: Kind> Id<K> {
    /// A fresh identifier.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self::from_bytes(bytes)
    }

    /// The identifier with these bits.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self {
            bytes,
            kind: PhantomData,
        }
    }

    /// The bits.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", K::PREFIX, BASE32.encode(&self.bytes))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no identifier of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {prefix} followed by {characters} characters of 0-9 and a-z without i, l, o, u")]
pub struct ParseIdError {
    prefix: &'static str,
    characters: usize,
}

fn parse<const N: usize>(text: &str, prefix: &'static str) -> Result<[u8; N], ParseIdError> {
    let characters = (N * 8).div_ceil(5);
    let error = ParseIdError { prefix, characters };
    let digits = text.strip_prefix(prefix).ok_or(error)?;
    if digits.len() != characters {
        return Err(error);
    }
    let bytes = BASE32.decode(digits.as_bytes()).map_err(|_| error)?;
    bytes.try_into().map_err(|_| error)
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse(text, K::PREFIX).map(Self::from_bytes)
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.bytes.serialize(serializer)
        }
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self::from_bytes)
        }
    }
}

/// Where a person's rows lie: 128 random bits that never leave the vault.
///
/// Apart from the [`SubjectId`], so that rows cannot be found from an id that a bot holds once the
/// person's entry in the shred map is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowHandle([u8; 16]);

impl RowHandle {
    /// A fresh handle.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The handle with these bits.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bits.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether it is nobody's: such handles begin with bytes that a random one has once in 2^64.
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        self.0.starts_with(&Self::NOBODYS)
    }

    /// How handles begin that belong to no person.
    pub(crate) const NOBODYS: [u8; 8] = [0xff; 8];
}

/// Hours since 1970, sequence within the collection, 128 random bits: records sort by arrival, and
/// the key tells nothing finer than the hour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; Self::BYTES]);

impl RecordId {
    /// Length of the binary form.
    pub const BYTES: usize = 24;
    /// The one record of a `single` collection.
    pub const SINGLE: Self = Self([0; Self::BYTES]);

    /// The id that follows `last` (the newest in the collection, if any) at `hour`.
    ///
    /// Never sorts before `last`, even where the clock went back: the hour then stays and the
    /// sequence grows.
    pub fn next(last: Option<Self>, hour: u32, entropy: &mut dyn Entropy) -> Self {
        let (hour, sequence) = match last {
            Some(last) if last.hour() >= hour => match last.sequence().checked_add(1) {
                Some(sequence) => (last.hour(), sequence),
                None => (last.hour().saturating_add(1), 0),
            },
            _ => (hour, 0),
        };
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&hour.to_be_bytes());
        bytes[4..8].copy_from_slice(&sequence.to_be_bytes());
        entropy.fill(&mut bytes[8..]);
        Self(bytes)
    }

    /// The id with these bytes, or `None` where the length is wrong.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The binary form, which is also the sort order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Hours since 1970 when the record was made.
    #[must_use]
    pub fn hour(&self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }

    /// Appends the text of the id.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"rec_");
        let begin = out.len();
        out.resize(begin + BASE32.encode_len(Self::BYTES), 0);
        BASE32.encode_mut(&self.0, &mut out[begin..]);
    }

    fn sequence(&self) -> u32 {
        u32::from_be_bytes([self.0[4], self.0[5], self.0[6], self.0[7]])
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rec_{}", BASE32.encode(&self.0))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse(text, "rec_").map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn an_id_reads_back_from_its_text_and_from_no_other_kind() {
        let id = SubjectId::generate(&mut SeededEntropy::new(1));
        let text = id.to_string();
        assert_eq!(text.len(), 4 + 26);
        assert_eq!(text.parse::<SubjectId>(), Ok(id));
        assert!(text.parse::<ReceiptId>().is_err());
        assert!(format!("{text}0").parse::<SubjectId>().is_err());
        assert!("sub_".parse::<SubjectId>().is_err());
        assert!("sub_💥".parse::<SubjectId>().is_err());
    }

    #[test]
    fn records_sort_by_arrival_even_where_the_clock_goes_back() {
        let mut entropy = SeededEntropy::new(2);
        let mut last = None;
        let mut seen = Vec::new();
        for hour in [10, 10, 11, 9, 9, 12] {
            let id = RecordId::next(last, hour, &mut entropy);
            seen.push(id);
            last = Some(id);
        }
        assert!(seen.is_sorted());
        assert_eq!(seen[4].hour(), 11);
        assert_eq!(seen[5].to_string().parse::<RecordId>(), Ok(seen[5]));
        let mut text = b"a ".to_vec();
        seen[5].append_to(&mut text);
        assert_eq!(text, format!("a {}", seen[5]).into_bytes());
    }
}

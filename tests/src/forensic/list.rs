//! What is looked for: values, channel identities and subject ids, and what can be computed of them.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use super::cipher::{Id, Key, mac, sha256};
use super::needles::NEEDLE_MIN;

/// The keys that outlive people: with them anybody who has them can compute what a value would have
/// left, if anything of it were left under them.
#[derive(Default)]
pub struct Outliving {
    /// All of them.
    pub all: BTreeSet<Key>,
    /// Those of look-up fields.
    pub index: BTreeSet<Key>,
    /// Those of the index's buildings.
    pub placements: BTreeSet<Key>,
}

/// One thing that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A value; also as what somebody could be looked up by, in every normal form.
    Value(String),
    /// Somebody's identity on a channel.
    Channel {
        /// The channel.
        channel: String,
        /// Who they are on it.
        user: String,
    },
    /// A person's id.
    Subject(Id),
}

/// A line of a list that cannot be looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// After `channel:` there is no `CHANNEL/USER`.
    #[error("after channel: a channel, a slash and a user are expected")]
    Channel,
    /// It would be found by chance.
    #[error("it has less than {NEEDLE_MIN} bytes, which random bytes hold by chance")]
    Short,
    /// After `subject:` there is no subject id.
    #[error("after subject: an id as the vault writes it (sub_…) is expected")]
    Subject,
}

impl Item {
    /// Reads a line: `channel:CHANNEL/USER`, `subject:ID`, or a value.
    ///
    /// # Errors
    ///
    /// [`ItemError`].
    pub fn parse(line: &str) -> Result<Self, ItemError> {
        if let Some(id) = line.strip_prefix("subject:") {
            let bits = id.strip_prefix("sub_").and_then(base32);
            let bits = bits.and_then(|bits| bits.try_into().ok());
            return bits.map(Self::Subject).ok_or(ItemError::Subject);
        }
        let item = match line.strip_prefix("channel:") {
            Some(identity) => {
                let (channel, user) = identity.split_once('/').ok_or(ItemError::Channel)?;
                Self::Channel {
                    channel: channel.to_owned(),
                    user: user.to_owned(),
                }
            }
            None => Self::Value(line.to_owned()),
        };
        let text = match &item {
            Self::Channel { user, .. } => user,
            _ => line,
        };
        match text.len() < NEEDLE_MIN {
            true => Err(ItemError::Short),
            false => Ok(item),
        }
    }

    /// The byte strings that show it.
    #[must_use]
    pub fn strings(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Value(text) | Self::Channel { user: text, .. } => {
                let escaped = serde_json::to_string(text).expect("a text");
                let strings = [
                    text.as_bytes().to_vec(),
                    escaped.trim_matches('"').as_bytes().to_vec(),
                    text.to_lowercase().into_bytes(),
                ];
                BTreeSet::from(strings).into_iter().collect()
            }
            Self::Subject(id) => vec![id.to_vec(), base32_text(id).into_bytes()],
        }
    }

    /// What it may be looked up by: docs/format.md "Shred maps", whatever type the field has.
    #[must_use]
    pub fn normal_forms(&self) -> BTreeSet<Vec<u8>> {
        match self {
            Self::Value(text) => normal_forms(text),
            Self::Channel { channel, user } => {
                let length = (channel.len() as u32).to_be_bytes();
                BTreeSet::from([[&length, channel.as_bytes(), user.as_bytes()].concat()])
            }
            Self::Subject(_) => BTreeSet::new(),
        }
    }

    /// What can be computed of it, with and without keys, by which somebody could test whether it had
    /// been there: eight bytes of each.
    #[must_use]
    pub fn traces(&self, keys: &Outliving) -> BTreeSet<[u8; 8]> {
        let mut inputs = self.normal_forms();
        inputs.extend(self.strings());
        let mut traces = BTreeSet::new();
        let mut add = |hash: [u8; 32]| {
            traces.insert(hash[..8].try_into().expect("eight"));
        };
        for input in &inputs {
            add(sha256(input));
            let long = (input.len() as u64).to_be_bytes();
            add(sha256(&[&long[4..], input].concat()));
            add(sha256(&[&long[..], input].concat()));
            for key in &keys.all {
                add(mac(key, &[input]));
                add(mac(key, &[&[1], input]));
            }
            for key in &keys.index {
                let mark = mac(key, &[&[1], input]);
                for placement in &keys.placements {
                    add(mac(placement, &[b"value", &mark]));
                }
            }
        }
        traces
    }

    /// SHA-256 of a subject id: where its tombstone stands. That whoever has the id learns of the
    /// erasure is said, and is no finding.
    #[must_use]
    pub fn tombstone(&self) -> Option<[u8; 32]> {
        match self {
            Self::Subject(id) => Some(sha256(id)),
            _ => None,
        }
    }
}

fn normal_forms(text: &str) -> BTreeSet<Vec<u8>> {
    let lower = |text: &str| -> String { text.to_lowercase().nfc().collect() };
    let email = lower(&text.nfc().collect::<String>());
    let folded: String = text.nfkc().collect::<String>().to_lowercase();
    let folded: String = folded.replace('ß', "ss").replace('ς', "σ").nfkc().collect();
    let folded = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    let capitals = |letters: String| letters.to_uppercase();
    let card = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let plate: String = text.nfkc().filter(|c| c.is_alphanumeric()).collect();
    let plate: String = capitals(plate).nfkc().collect();
    let digits: String = text.replacen("(0)", "", 1);
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let abroad = digits.strip_prefix("00").unwrap_or(&digits);
    let forms = [
        text.to_owned(),
        email,
        folded,
        capitals(card),
        plate,
        digits.clone(),
        format!("+{abroad}"),
    ];
    let forms = forms.into_iter().filter(|form| form.len() >= 2);
    forms.map(String::into_bytes).collect()
}

fn crockford() -> data_encoding::Encoding {
    let mut base32 = data_encoding::Specification::new();
    base32.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    base32.encoding().expect("thirty-two symbols")
}

/// The bytes of a text in Crockford's base 32, small letters.
#[must_use]
pub fn base32(text: &str) -> Option<Vec<u8>> {
    crockford().decode(text.as_bytes()).ok()
}

/// Bytes in Crockford's base 32, small letters.
#[must_use]
pub fn base32_text(bytes: &[u8]) -> String {
    crockford().encode(bytes)
}

#[test]
fn lines_are_what_they_say_and_what_chance_would_find_is_refused() {
    let parse = |line: &str| Item::parse(line);
    let id = [7; 16];
    let line = format!("subject:sub_{}", base32_text(&id));
    assert_eq!(parse(&line).unwrap(), Item::Subject(id));
    let channel = Item::Channel {
        channel: "web".into(),
        user: "user-7".into(),
    };
    assert_eq!(parse("channel:web/user-7").unwrap(), channel);
    assert!(matches!(parse("alida"), Err(ItemError::Short)));
    assert!(matches!(parse("channel:web"), Err(ItemError::Channel)));
    assert!(matches!(parse("channel:web/u"), Err(ItemError::Short)));
    assert!(matches!(parse("subject:alida"), Err(ItemError::Subject)));
    let forms = |text: &str| parse(text).unwrap().normal_forms();
    assert!(forms("Alida@Mail.example").contains(&b"alida@mail.example"[..]));
    assert!(forms("+31 (0)20 123").contains(&b"+3120123"[..]));
    assert!(forms("0031 20 123").contains(&b"+3120123"[..]));
    assert!(forms("BK  Alida").contains(&b"bk alida"[..]));
    assert!(forms("xx-12-Yz").contains(&b"XX12YZ"[..]));
}

//! The types of fields: what a value must look like, how it is looked up, masked and asked about.
//!
//! Knows nothing of policies, purposes, keys, people or the store: a type sees one JSON value and
//! answers. A value is stored byte for byte as it came; only look-ups and comparisons normalise.

mod ask;
mod check;
mod iban;
mod mask;
mod media_type;
mod normalise;
pub(crate) mod words;

use serde_json::{Value, json};

pub use ask::Test;
pub(crate) use iban::is_iban;
pub use media_type::{MediaRange, MediaType};
pub use normalise::NORMALISER_VERSION;

/// Longest value of type `text`, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Longest value of a short type (and longest member of an address), in bytes of UTF-8.
pub const SHORT_BYTES_MAX: usize = 1024;
/// Longest name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 512;
/// Longest e-mail address, in bytes of UTF-8. Source: RFC 5321 §4.5.3.1.3, less the two brackets.
pub const EMAIL_BYTES_MAX: usize = 254;
/// Longest part before the `@`, in bytes of UTF-8. Source: RFC 5321 §4.5.3.1.1.
pub const EMAIL_LOCAL_BYTES_MAX: usize = 64;
/// Longest label of a domain, in bytes of UTF-8 as typed. Source: RFC 1035 §2.3.4.
pub const DOMAIN_LABEL_BYTES_MAX: usize = 63;
/// Longest number plate or identifier, in characters.
pub const IDENTIFIER_CHARS_MAX: usize = 64;
/// Most members of an address written as an object.
pub const ADDRESS_MEMBERS_MAX: usize = 32;
/// Longest value of type `json`, in bytes of its compact serialisation.
pub const JSON_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a value of type `json`; a scalar has depth 1.
pub const JSON_DEPTH_MAX: usize = 32;
/// Most countries in one `country_in` question.
pub const COUNTRIES_MAX: usize = 300;
/// Oldest age that can be asked for, in years.
pub const AGE_YEARS_MAX: u16 = 150;

words::words! {
    /// The type of a field. Decides what is accepted, how it is looked up and how it is masked.
    pub enum FieldType {
        /// Free text, at most [`TEXT_BYTES_MAX`]. Cannot be looked up.
        Text = "text",
        /// A person's name, at most [`NAME_BYTES_MAX`], without control characters.
        Name = "name",
        /// An e-mail address; international ones too.
        Email = "email",
        /// A telephone number: 5 to 15 digits (ITU-T E.164), usual separators.
        Phone = "phone",
        /// A payment card number: 12 to 19 digits with a right check digit (ISO/IEC 7812-1).
        Card = "card",
        /// A bank account number with right length and check digits (ISO 13616-1).
        Iban = "iban",
        /// An IPv4 or IPv6 address.
        Ip = "ip",
        /// A calendar date, `YYYY-MM-DD` (RFC 3339 `full-date`).
        Date = "date",
        /// A JSON number.
        Number = "number",
        /// `true` or `false`. Cannot be looked up.
        Bool = "bool",
        /// Any JSON value, at most [`JSON_BYTES_MAX`] and [`JSON_DEPTH_MAX`]. Cannot be looked up.
        Json = "json",
        /// A number plate.
        Plate = "plate",
        /// A postal address: text, or an object whose members are text.
        Address = "address",
        /// A number or code that stands for a person: customer, staff, passport number.
        Identifier = "identifier",
        /// Bytes of a media type that the policy lists: a photograph, a voice message, a document.
        /// Its value is `{media_type, size}`; the bytes come and go by themselves. Cannot be looked
        /// up or asked about.
        Blob = "blob",
    }
}

impl FieldType {
    /// Accepts `value`, or says what is expected instead.
    ///
    /// # Errors
    ///
    /// A [`Complaint`] that never quotes the value.
    pub fn check(self, value: &Value) -> Result<(), Complaint> {
        check::check(self, value)
    }

    /// The bytes that two spellings of one value have in common, or `None` if the type cannot be
    /// looked up or [`FieldType::check`] refuses the value.
    ///
    /// The result depends on [`NORMALISER_VERSION`]: an index must name the version beside it.
    #[must_use]
    pub fn normalise(self, value: &Value) -> Option<Vec<u8>> {
        normalise::normalise(self, value)
    }

    /// Whether people can be found by a value of this type.
    ///
    /// Not `bool` (it would select half of all people), not `json` and `blob` (no one spelling), and
    /// not `text`: what is worth looking up has a type that says how its spellings vary.
    #[must_use]
    pub const fn can_look_up(self) -> bool {
        !matches!(self, Self::Text | Self::Bool | Self::Json | Self::Blob)
    }

    /// What somebody sees who may see only the mask: enough to recognise a value that one knows,
    /// never all of it. A value that is short, or not of this type, becomes dots altogether. Of a
    /// blob the media type is left.
    #[must_use]
    pub fn mask(self, value: &Value) -> Value {
        match (self, value.get("media_type")) {
            (Self::Blob, Some(Value::String(media_type))) => json!({"media_type": media_type}),
            _ => Value::String(mask::mask(self, value)),
        }
    }

    /// The names of the tests that can be asked of this type, for the policy's `ask`.
    #[must_use]
    pub const fn tests(self) -> &'static [&'static str] {
        ask::tests(self)
    }
}

/// Why a value is not accepted: made to be shown to whoever sent it.
///
/// Quotes neither the value nor the name of a member that the sender chose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Complaint {
    /// RFC 6901 pointer below the field; empty for the field itself.
    pub pointer: String,
    /// A stable word for programs, such as `too_long`.
    pub code: &'static str,
    /// What is expected and how to mend it.
    pub detail: String,
}

impl Complaint {
    /// A complaint about the field itself.
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self::below("", code, detail)
    }

    /// A complaint about the member `name` of a question, which is one of ours, or the whole if `name`
    /// is empty.
    pub(crate) fn below(name: &str, code: &'static str, detail: impl Into<String>) -> Self {
        let pointer = if name.is_empty() {
            String::new()
        } else {
            format!("/{}", name.replace('~', "~0").replace('/', "~1"))
        };
        Self {
            pointer,
            code,
            detail: detail.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_own_name_and_no_other() {
        for &kind in FieldType::ALL {
            assert_eq!(FieldType::parse(kind.name()), Some(kind));
        }
        assert_eq!(FieldType::ALL.len(), 15);
        assert_eq!(FieldType::parse("Email"), None);
        assert_eq!(FieldType::parse("e-mail"), None);
    }

    #[test]
    fn a_pointer_escapes_what_rfc_6901_reserves() {
        assert_eq!(Complaint::below("a/b~c", "x", "").pointer, "/a~1b~0c");
        assert_eq!(Complaint::new("x", "").pointer, "");
    }
}

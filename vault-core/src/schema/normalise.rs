//! One form for all spellings of a value, for look-ups and comparisons.
//!
//! Knows nothing of indexes and their keys. What is stored is never this form.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::{FieldType, check};

/// Changes whenever any value normalises differently than before: it is part of every index
/// position, so that an index built by other rules misses instead of answering wrongly.
pub const NORMALISER_VERSION: u8 = 1;

/// See [`FieldType::normalise`].
pub(super) fn normalise(kind: FieldType, value: &Value) -> Option<Vec<u8>> {
    if !kind.can_look_up() || kind.check(value).is_err() {
        return None;
    }
    if kind == FieldType::Address {
        return Some(address(value));
    }
    if let Value::Number(number) = value {
        return Some(decimal(number).into_bytes());
    }
    let text = value.as_str()?;
    let normal = match kind {
        FieldType::Email => text.nfc().flat_map(char::to_lowercase).nfc().collect(),
        FieldType::Phone => phone(text),
        FieldType::Card | FieldType::Iban => text
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_uppercase())
            .collect(),
        FieldType::Ip => check::ip(text).ok()?.to_canonical().to_string(),
        FieldType::Plate => text
            .nfkc()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_uppercase)
            .nfkc()
            .collect(),
        FieldType::Name | FieldType::Identifier => fold(text),
        FieldType::Date => text.to_owned(),
        FieldType::Text
        | FieldType::Number
        | FieldType::Bool
        | FieldType::Json
        | FieldType::Address
        | FieldType::Blob => return None,
    };
    Some(normal.into_bytes())
}

/// Digits with a `+` in front where the number was international: `00` means the same, and a `0`
/// in brackets after the country's code is only dialled inside the country (ITU-T E.123 §7.2).
///
/// A national number keeps its form: the type does not know the country.
fn phone(text: &str) -> String {
    let digits = |part: &str| -> String { part.chars().filter(char::is_ascii_digit).collect() };
    let text = text.trim_start();
    let international = text.starts_with('+') || digits(text).starts_with("00");
    if !international {
        return digits(text);
    }
    let all = digits(&text.replacen("(0)", "", 1));
    let number = if text.starts_with('+') {
        all.as_str()
    } else {
        all.strip_prefix("00").unwrap_or(&all)
    };
    format!("+{number}")
}

/// Compatibility form, case folded, runs of blanks as one blank, none at the ends.
///
/// Folds character by character, so that a word's end does not change its letters, and takes `ß`
/// for `ss` and `ς` for `σ` as Unicode case folding does.
fn fold(text: &str) -> String {
    let folded: String = text
        .nfkc()
        .flat_map(char::to_lowercase)
        .flat_map(|c| match c {
            'ß' => ['s', 's'].into_iter().take(2),
            'ς' => ['σ', ' '].into_iter().take(1),
            other => [other, ' '].into_iter().take(1),
        })
        .nfkc()
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The members of an address in the order of their names. The separators are control characters,
/// which no address may contain: no two different addresses come out alike.
fn address(value: &Value) -> Vec<u8> {
    match value {
        Value::Object(members) => {
            let mut parts: Vec<String> = members
                .iter()
                .map(|(name, member)| {
                    format!(
                        "\u{1e}{name}\u{1f}{}",
                        fold(member.as_str().unwrap_or_default())
                    )
                })
                .collect();
            parts.sort();
            parts.concat().into_bytes()
        }
        other => fold(other.as_str().unwrap_or_default()).into_bytes(),
    }
}

/// `1`, `1.0` and `1e0` are one number; so are `0` and `-0.0`.
fn decimal(number: &serde_json::Number) -> String {
    if number.is_f64() {
        // Rust prints the shortest decimal that reads back as the same value, without exponent.
        let value = number.as_f64().unwrap_or_default();
        if value == 0.0 {
            "0".to_owned()
        } else {
            value.to_string()
        }
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn same(kind: FieldType, a: Value, b: Value) -> bool {
        let form = kind.normalise(&a);
        assert!(form.is_some(), "{kind:?} {a}");
        form == kind.normalise(&b)
    }

    #[test]
    fn spellings_of_one_value_meet() {
        for (kind, a, b) in [
            (
                FieldType::Email,
                json!("Jane@Example.ORG"),
                json!("jane@example.org"),
            ),
            (
                FieldType::Email,
                json!("jo\u{308}rg@x.org"),
                json!("JÖRG@x.org"),
            ),
            (
                FieldType::Phone,
                json!("+49 (0)30 12345"),
                json!("0049-30/12345"),
            ),
            (FieldType::Phone, json!("030 12345"), json!("(030)12345")),
            (
                FieldType::Card,
                json!("4111 1111 1111 1111"),
                json!("4111-1111-1111-1111"),
            ),
            (
                FieldType::Iban,
                json!("nl91 abna 0417 1643 00"),
                json!("NL91ABNA0417164300"),
            ),
            (FieldType::Ip, json!("2001:DB8:0::1"), json!("2001:db8::1")),
            (FieldType::Ip, json!("::ffff:192.0.2.1"), json!("192.0.2.1")),
            (FieldType::Number, json!(1), json!(1.0)),
            (FieldType::Number, json!(0), json!(-0.0)),
            (
                FieldType::Name,
                json!("  JANE\u{a0} Doe"),
                json!("Jane Doe"),
            ),
            (FieldType::Name, json!("STRASSE"), json!("Straße")),
            (FieldType::Name, json!("ΟΔΟΣ"), json!("οδος")),
            (FieldType::Plate, json!("b-xy 123"), json!("BXY123")),
            (FieldType::Identifier, json!("c-1"), json!("C-1")),
            (
                FieldType::Address,
                json!("Kade 1\nUtrecht"),
                json!("KADE 1 Utrecht"),
            ),
            (
                FieldType::Address,
                json!({"a": "X", "b": "Y"}),
                json!({"b": "y", "a": "x"}),
            ),
        ] {
            assert!(same(kind, a.clone(), b.clone()), "{kind:?} {a} {b}");
        }
    }

    #[test]
    fn different_values_stay_apart() {
        for (kind, a, b) in [
            (FieldType::Email, json!("a.b@x.org"), json!("ab@x.org")),
            (
                FieldType::Email,
                json!("a@straße.de"),
                json!("a@strasse.de"),
            ),
            (FieldType::Phone, json!("4930123"), json!("+4930123")),
            (FieldType::Identifier, json!("c-1"), json!("c1")),
            (
                FieldType::Address,
                json!({"a": "x", "b": "y"}),
                json!({"a": "xby"}),
            ),
            (FieldType::Number, json!(1), json!(1.5)),
        ] {
            assert!(!same(kind, a.clone(), b.clone()), "{kind:?} {a} {b}");
        }
    }

    #[test]
    fn what_cannot_be_looked_up_or_is_not_of_the_type_has_no_form() {
        assert_eq!(FieldType::Text.normalise(&json!("a")), None);
        assert_eq!(FieldType::Bool.normalise(&json!(true)), None);
        assert_eq!(FieldType::Json.normalise(&json!({})), None);
        assert_eq!(FieldType::Email.normalise(&json!("a")), None);
        assert_eq!(FieldType::Number.normalise(&json!("1")), None);
    }

    proptest! {
        #[test]
        fn normalising_the_normal_form_changes_nothing(text in "\\PC{1,40}") {
            for kind in [FieldType::Name, FieldType::Identifier] {
                if let Some(form) = kind.normalise(&json!(text)) {
                    let form = String::from_utf8(form).unwrap();
                    if let Some(again) = kind.normalise(&json!(form)) {
                        prop_assert_eq!(String::from_utf8(again).unwrap(), form);
                    }
                }
            }
        }
    }
}

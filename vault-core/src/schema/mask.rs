//! What is left of a value for somebody who may see only its mask.
//!
//! Knows nothing of who that is. Total: whatever is not of the type becomes dots.

use std::net::IpAddr;

use serde_json::Value;

use super::{FieldType, check};

/// Stands for any number of characters, so that the mask tells no length.
const DOTS: &str = "•••";
/// Most words of a name that the mask counts.
const NAME_WORDS_MAX: usize = 4;
/// Shortest plate or identifier whose end is shown, in letters and digits: two of five or fewer
/// would be too much of it.
const TAIL_CHARS_MIN: usize = 6;

/// See [`FieldType::mask`].
pub(super) fn mask(kind: FieldType, value: &Value) -> String {
    let Some(text) = value.as_str().filter(|_| kind.check(value).is_ok()) else {
        return DOTS.to_owned();
    };
    match kind {
        FieldType::Email => email(text),
        FieldType::Card => format!("•••• {}", last(text, 4)),
        FieldType::Phone => format!("{DOTS} {}", last(text, 2)),
        FieldType::Iban => format!("{}{DOTS} {}", first(text, 2), last(text, 4)),
        FieldType::Name => name(text),
        FieldType::Date => format!("{}-••-••", &text[..4]),
        FieldType::Ip => ip(text),
        FieldType::Plate | FieldType::Identifier => {
            if text.chars().filter(|c| c.is_alphanumeric()).count() < TAIL_CHARS_MIN {
                DOTS.to_owned()
            } else {
                format!("{DOTS}{}", last(text, 2))
            }
        }
        FieldType::Text
        | FieldType::Number
        | FieldType::Bool
        | FieldType::Json
        | FieldType::Address
        | FieldType::Blob => DOTS.to_owned(),
    }
}

/// The first `count` letters and digits, in capitals.
fn first(text: &str, count: usize) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .take(count)
        .flat_map(char::to_uppercase)
        .collect()
}

/// The last `count` letters and digits.
fn last(text: &str, count: usize) -> String {
    let tail: Vec<char> = text
        .chars()
        .rev()
        .filter(|c| c.is_alphanumeric())
        .take(count)
        .collect();
    tail.into_iter().rev().collect()
}

/// The first character and dots, or only dots where one character is all there is.
fn initial(word: &str) -> String {
    let mut chars = word.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(_)) => format!("{first}{DOTS}"),
        _ => DOTS.to_owned(),
    }
}

fn name(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .take(NAME_WORDS_MAX)
        .map(initial)
        .collect();
    words.join(" ")
}

fn email(text: &str) -> String {
    let (local, domain) = text.split_once('@').unwrap_or((text, ""));
    let (host, top) = domain.rsplit_once('.').unwrap_or((domain, ""));
    format!("{}@{}.{top}", initial(local), initial(host))
}

fn ip(text: &str) -> String {
    match check::ip(text).map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => format!("{}.{DOTS}.{DOTS}.{DOTS}", address.octets()[0]),
        Ok(IpAddr::V6(address)) => format!("{:x}:{DOTS}", address.segments()[0]),
        Err(_) => DOTS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn masks_look_as_people_expect() {
        for (kind, value, expected) in [
            (
                FieldType::Email,
                json!("jane.doe@example.com"),
                "j•••@e•••.com",
            ),
            (FieldType::Email, json!("j@e.com"), "•••@•••.com"),
            (FieldType::Card, json!("4111 1111 1111 1111"), "•••• 1111"),
            (FieldType::Phone, json!("+49 30 12 34"), "••• 34"),
            (
                FieldType::Iban,
                json!("de89 3704 0044 0532 0130 00"),
                "DE••• 3000",
            ),
            (FieldType::Name, json!("Jane Doe"), "J••• D•••"),
            (FieldType::Name, json!("J"), "•••"),
            (FieldType::Date, json!("1990-12-31"), "1990-••-••"),
            (FieldType::Ip, json!("192.0.2.1"), "192.•••.•••.•••"),
            (FieldType::Ip, json!("2001:db8::1"), "2001:•••"),
            (FieldType::Plate, json!("B-XY 1234"), "•••34"),
            (FieldType::Plate, json!("B-X 12"), "•••"),
            (FieldType::Identifier, json!("CUST-0042"), "•••42"),
            (FieldType::Text, json!("hello"), "•••"),
            (FieldType::Number, json!(42), "•••"),
            (FieldType::Bool, json!(true), "•••"),
            (FieldType::Json, json!("a string"), "•••"),
            (FieldType::Address, json!("Kade 1"), "•••"),
            (FieldType::Blob, json!("a string"), "•••"),
            (FieldType::Email, json!("not an address"), "•••"),
            (FieldType::Card, json!(null), "•••"),
        ] {
            assert_eq!(kind.mask(&value), json!(expected), "{kind:?}");
        }
    }

    #[test]
    fn of_a_blob_the_media_type_is_left() {
        let value = json!({"media_type": "image/jpeg", "size": 77});
        let mask = json!({"media_type": "image/jpeg"});
        assert_eq!(FieldType::Blob.mask(&value), mask);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,30}".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[a-z]{1,3}@[a-z]{1,3}\\.[a-z]{1,3}".prop_map(Value::from),
            "[0-9:. -]{1,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("\\PC{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_panics_and_no_mask_shows_the_whole_value(value in any_json()) {
            for &kind in FieldType::ALL {
                let mask = kind.mask(&value);
                let _ = kind.check(&value);
                let _ = kind.normalise(&value);
                if let Some(text) = value.as_str() {
                    let meaning = text.trim();
                    let shown = mask.as_str().unwrap();
                    prop_assert!(
                        meaning.is_empty() || meaning.contains('•') || !shown.contains(meaning)
                            || kind.check(&value).is_err(),
                        "{kind:?}"
                    );
                }
            }
        }
    }
}

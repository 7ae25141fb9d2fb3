//! What each type accepts.
//!
//! Knows nothing of masks and look-ups. Changes nothing: blanks at the ends are the sender's.

use std::io;
use std::net::IpAddr;

use serde_json::Value;

use super::iban::{self, Fault};
use super::{
    ADDRESS_MEMBERS_MAX, Complaint, DOMAIN_LABEL_BYTES_MAX, EMAIL_BYTES_MAX, EMAIL_LOCAL_BYTES_MAX,
    FieldType, IDENTIFIER_CHARS_MAX, JSON_BYTES_MAX, JSON_DEPTH_MAX, NAME_BYTES_MAX,
    SHORT_BYTES_MAX, TEXT_BYTES_MAX,
};

/// See [`FieldType::check`].
pub(super) fn check(kind: FieldType, value: &Value) -> Result<(), Complaint> {
    match kind {
        FieldType::Text => text(value, TEXT_BYTES_MAX).map(drop),
        FieldType::Name => name(text(value, NAME_BYTES_MAX)?),
        FieldType::Email => email(text(value, EMAIL_BYTES_MAX)?),
        FieldType::Phone => phone(text(value, SHORT_BYTES_MAX)?),
        FieldType::Card => card(text(value, SHORT_BYTES_MAX)?),
        FieldType::Iban => iban(text(value, SHORT_BYTES_MAX)?),
        FieldType::Ip => ip(text(value, SHORT_BYTES_MAX)?).map(drop),
        FieldType::Date => date(text(value, SHORT_BYTES_MAX)?).map(drop),
        FieldType::Number if value.is_number() => Ok(()),
        FieldType::Number => wrong_type("a JSON number, without quotes"),
        FieldType::Bool if value.is_boolean() => Ok(()),
        FieldType::Bool => wrong_type("true or false, without quotes"),
        FieldType::Json => json(value),
        FieldType::Plate => visible(text(value, SHORT_BYTES_MAX)?, char::is_alphanumeric),
        FieldType::Identifier => visible(text(value, SHORT_BYTES_MAX)?, |c| !c.is_whitespace()),
        FieldType::Address => address(value),
        // Whatever it is, it does not come as JSON.
        FieldType::Blob => Err(Complaint::new(
            "not_json",
            "the bytes of a blob are sent by themselves: PUT …/blobs/{collection}/{field}, or \
             …/blobs/{collection}/{record}/{field} where there are many records; null removes them",
        )),
    }
}

fn wrong_type<T>(expected: &str) -> Result<T, Complaint> {
    Err(Complaint::new("wrong_type", format!("expected {expected}")))
}

fn malformed<T>(detail: &str) -> Result<T, Complaint> {
    Err(Complaint::new("malformed", detail))
}

fn text(value: &Value, bytes_max: usize) -> Result<&str, Complaint> {
    let Value::String(text) = value else {
        return wrong_type("a JSON string");
    };
    if text.len() > bytes_max {
        return Err(Complaint::new(
            "too_long",
            format!("expected at most {bytes_max} bytes of UTF-8; send less"),
        ));
    }
    Ok(text)
}

/// Characters that leave no mark: two values that look alike would differ.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn name(text: &str) -> Result<(), Complaint> {
    if text.chars().all(char::is_whitespace) {
        return Err(Complaint::new(
            "empty",
            "expected a name; send null to remove it",
        ));
    }
    // Joiners stay allowed: Persian and Indic names need them.
    if text.chars().any(char::is_control) {
        return malformed("expected a name on one line, without control characters");
    }
    Ok(())
}

fn visible(text: &str, counts: fn(char) -> bool) -> Result<(), Complaint> {
    if !text.chars().any(counts) {
        return Err(Complaint::new(
            "empty",
            "expected at least one letter or digit; send null to remove the value",
        ));
    }
    if text.chars().count() > IDENTIFIER_CHARS_MAX {
        return Err(Complaint::new(
            "too_long",
            format!("expected at most {IDENTIFIER_CHARS_MAX} characters"),
        ));
    }
    if text.chars().any(is_invisible) {
        return malformed("expected visible characters only; remove control characters");
    }
    Ok(())
}

fn email(text: &str) -> Result<(), Complaint> {
    let Some((local, domain)) = text.split_once('@') else {
        return malformed("expected an e-mail address such as name@example.org: the @ is missing");
    };
    if domain.contains('@') {
        return malformed("expected one e-mail address with exactly one @");
    }
    if local.is_empty() || local.len() > EMAIL_LOCAL_BYTES_MAX {
        return malformed("expected 1 to 64 bytes before the @");
    }
    if text
        .chars()
        .any(|c| c.is_whitespace() || is_invisible(c) || "<>()[],;:\\\"".contains(c))
    {
        return malformed(
            "expected the bare address: no blanks, quotes, brackets or second address",
        );
    }
    let labels: Vec<&str> = domain.split('.').collect();
    let label_is_good = |label: &&str| {
        !label.is_empty()
            && label.len() <= DOMAIN_LABEL_BYTES_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-')
    };
    if labels.len() < 2 || !labels.iter().all(label_is_good) {
        return malformed("expected a domain with a dot after the @, such as example.org");
    }
    Ok(())
}

fn phone(text: &str) -> Result<(), Complaint> {
    let usual = |c: char| c.is_ascii_digit() || " \u{a0}-./()".contains(c);
    let rest = text.trim_start();
    if !rest.strip_prefix('+').unwrap_or(rest).chars().all(usual) {
        return malformed(
            "expected a telephone number such as +49 30 123456: digits 0-9, an optional + in front, \
             and blanks, dashes, dots, slashes or brackets between",
        );
    }
    match text.chars().filter(char::is_ascii_digit).count() {
        5..=15 => Ok(()),
        _ => malformed("expected 5 to 15 digits"),
    }
}

fn card(text: &str) -> Result<(), Complaint> {
    let compact: Vec<u8> = text.bytes().filter(|byte| !b" -".contains(byte)).collect();
    if !(12..=19).contains(&compact.len()) || !compact.iter().all(u8::is_ascii_digit) {
        return malformed("expected 12 to 19 digits; blanks and dashes may stand between them");
    }
    // ISO/IEC 7812-1 annex B: every second digit from the right is doubled.
    let sum: u32 = compact
        .iter()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 1 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    if sum.is_multiple_of(10) {
        Ok(())
    } else {
        Err(Complaint::new(
            "checksum",
            "the check digit is wrong: a digit is missing, added or mistyped",
        ))
    }
}

fn iban(text: &str) -> Result<(), Complaint> {
    if !text.is_ascii() {
        return malformed("expected letters A-Z and digits only");
    }
    let compact: String = text
        .chars()
        .filter(|c| !" -".contains(*c))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    match iban::check(&compact) {
        Ok(()) => Ok(()),
        Err(Fault::Form) => {
            malformed("expected an IBAN: two letters, two digits, then letters and digits")
        }
        Err(Fault::Length) => malformed("the number of characters is wrong for this country"),
        Err(Fault::Checksum) => Err(Complaint::new(
            "checksum",
            "the check digits are wrong: a character is missing, added or mistyped",
        )),
    }
}

/// Reads an address of type `ip`.
pub(super) fn ip(text: &str) -> Result<IpAddr, Complaint> {
    text.parse().or_else(|_| {
        malformed("expected an IPv4 or IPv6 address, without port, prefix length or zone")
    })
}

/// Reads a calendar date of type `date`.
pub(super) fn date(text: &str) -> Result<jiff::civil::Date, Complaint> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| -> Option<i16> {
        let part = &bytes[range];
        part.iter().all(u8::is_ascii_digit).then(|| {
            part.iter()
                .fold(0, |sum, byte| sum * 10 + i16::from(byte - b'0'))
        })
    };
    let parts = if bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-' {
        (digits(0..4), digits(5..7), digits(8..10))
    } else {
        (None, None, None)
    };
    let (Some(year), Some(month), Some(day)) = parts else {
        return malformed("expected a date as YYYY-MM-DD, such as 1990-12-31");
    };
    // Two decimal digits always fit an i8.
    let (month, day) = (month as i8, day as i8);
    jiff::civil::Date::new(year, month, day)
        .or_else(|_| malformed("expected a day that the calendar has, as YYYY-MM-DD"))
}

fn address(value: &Value) -> Result<(), Complaint> {
    let members = match value {
        Value::String(_) => return postal(text(value, SHORT_BYTES_MAX)?),
        Value::Object(members) => members,
        _ => return wrong_type("a JSON string, or an object whose members are strings"),
    };
    if members.is_empty() || members.len() > ADDRESS_MEMBERS_MAX {
        return malformed("expected 1 to 32 members, such as street, postal_code, city, country");
    }
    for (place, (name, member)) in (1..).zip(members) {
        let mut chars = name.chars();
        let named_well = name.len() <= 63
            && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named_well {
            // Not pointed at: a pointer would repeat what might be part of an address.
            return malformed("expected member names of letters, digits and underscores");
        }
        text(member, SHORT_BYTES_MAX)
            .and_then(postal)
            .map_err(|complaint| {
                let detail = format!("member {place}: {}", complaint.detail);
                Complaint::new(complaint.code, detail)
            })?;
    }
    Ok(())
}

fn postal(text: &str) -> Result<(), Complaint> {
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return malformed("expected text without control characters; line breaks may stay");
    }
    Ok(())
}

fn json(value: &Value) -> Result<(), Complaint> {
    // Depth before size: the serialiser recurses as deep as the value.
    if is_deeper_than(value, JSON_DEPTH_MAX) {
        return Err(Complaint::new(
            "too_deep",
            format!("expected at most {JSON_DEPTH_MAX} levels of nesting"),
        ));
    }
    if serde_json::to_writer(Budget(JSON_BYTES_MAX), value).is_err() {
        return Err(Complaint::new(
            "too_long",
            format!("expected at most {JSON_BYTES_MAX} bytes of JSON; send less"),
        ));
    }
    Ok(())
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    if levels == 0 {
        return true;
    }
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper_than(item, levels - 1)),
        Value::Object(members) => members
            .values()
            .any(|item| is_deeper_than(item, levels - 1)),
        _ => false,
    }
}

/// Counts what is written and keeps nothing of it; fails once the budget is spent.
struct Budget(usize);

impl io::Write for Budget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// One table for all types: what is accepted, and the nearest thing that is not.
    #[test]
    fn each_type_accepts_its_own_and_refuses_the_nearest_other() {
        let long = |n: usize| "x".repeat(n);
        let cases: Vec<(FieldType, Vec<Value>, Vec<Value>)> = vec![
            (
                FieldType::Text,
                vec![json!(""), json!(" a\n\u{0}"), json!(long(65536))],
                vec![json!(long(65537)), json!(1), json!(null), json!(["a"])],
            ),
            (
                FieldType::Name,
                vec![json!("Ana María"), json!("李明"), json!(long(512))],
                vec![
                    json!(""),
                    json!("  "),
                    json!("a\nb"),
                    json!(long(513)),
                    json!(1),
                ],
            ),
            (
                FieldType::Email,
                vec![
                    json!("a@example.org"),
                    json!("A.b+c@mail.example.co.uk"),
                    json!("jörg@müller.example"),
                    json!("o'neil@example.org"),
                    json!(format!("{}@example.org", long(64))),
                ],
                vec![
                    json!("example.org"),
                    json!("a@b@example.org"),
                    json!("@example.org"),
                    json!("a@localhost"),
                    json!("a@-x.org"),
                    json!("a@x..org"),
                    json!("a@x_y.org"),
                    json!(" a@example.org"),
                    json!("A <a@example.org>"),
                    json!(format!("{}@example.org", long(65))),
                    json!(format!("a@{}.org", long(64))),
                    json!("a\u{200b}b@example.org"),
                ],
            ),
            (
                FieldType::Phone,
                vec![
                    json!("+49 (0)30 / 123-456"),
                    json!("12345"),
                    json!("0049.30.12345"),
                ],
                vec![
                    json!("1234"),
                    json!("+1234567890123456"),
                    json!("12+345"),
                    json!("call me"),
                    json!(12345),
                ],
            ),
            (
                FieldType::Card,
                vec![
                    json!("4111 1111 1111 1111"),
                    json!("4111-1111-1111-1111"),
                    json!("378282246310005"),
                ],
                vec![
                    json!("4111 1111 1111 1112"),
                    json!("00000000000"),
                    json!("4111x1111 1111 1111"),
                    json!(4111111111111111_u64),
                ],
            ),
            (
                FieldType::Iban,
                vec![
                    json!("DE89 3704 0044 0532 0130 00"),
                    json!("nl91abna0417164300"),
                ],
                vec![
                    json!("DE89 3704 0044 0532 0130 01"),
                    json!("DE89"),
                    json!("ÄE89370400440532013000"),
                ],
            ),
            (
                FieldType::Ip,
                vec![json!("192.0.2.1"), json!("2001:db8::1")],
                vec![
                    json!("192.0.2.256"),
                    json!("192.0.2.1:80"),
                    json!("2001:db8::/32"),
                    json!("fe80::1%eth0"),
                ],
            ),
            (
                FieldType::Date,
                vec![json!("2000-02-29"), json!("1990-12-31")],
                vec![
                    json!("1900-02-29"),
                    json!("1990-12-3"),
                    json!("31.12.1990"),
                    json!("1990-13-01"),
                    json!("1990-1２-1"),
                    json!("+990-12-31"),
                ],
            ),
            (
                FieldType::Number,
                vec![json!(1), json!(-1.5)],
                vec![json!("1"), json!(null)],
            ),
            (
                FieldType::Bool,
                vec![json!(true)],
                vec![json!("true"), json!(0)],
            ),
            (
                FieldType::Json,
                vec![json!(null), json!({"a": [1]})],
                vec![json!(long(65536))],
            ),
            (
                FieldType::Plate,
                vec![json!("B-XY 123"), json!("京A12345")],
                vec![
                    json!(""),
                    json!("- -"),
                    json!(long(65)),
                    json!("B\u{202e}1"),
                ],
            ),
            (
                FieldType::Identifier,
                vec![json!("C/2024#1"), json!("-"), json!(long(64))],
                vec![json!(" "), json!(long(65)), json!("a\tb")],
            ),
            (
                FieldType::Address,
                vec![
                    json!("Kade 1\nUtrecht"),
                    json!({"street": "Kade 1", "country": "NL"}),
                ],
                vec![
                    json!({}),
                    json!({"street": 1}),
                    json!({"Kade 1": "x"}),
                    json!(long(1025)),
                    json!({"street": long(1025)}),
                    json!(["a"]),
                ],
            ),
            (
                FieldType::Blob,
                vec![],
                vec![
                    json!("YW5uYQ=="),
                    json!({"media_type": "image/jpeg", "size": 1}),
                    json!(null),
                ],
            ),
        ];
        assert_eq!(cases.len(), FieldType::ALL.len());
        for (kind, good, bad) in cases {
            for value in good {
                assert_eq!(kind.check(&value), Ok(()), "{kind:?} {value}");
            }
            for value in bad {
                assert!(kind.check(&value).is_err(), "{kind:?} {value}");
            }
        }
    }

    #[test]
    fn a_complaint_about_a_member_counts_its_place_and_does_not_repeat_its_name() {
        let address = json!({"city": "Utrecht", "canary": 1});
        let complaint = FieldType::Address.check(&address).unwrap_err();
        assert_eq!(complaint.pointer, "");
        assert_eq!(complaint.detail, "member 2: expected a JSON string");
        assert_eq!(complaint.code, "wrong_type");
    }

    #[test]
    fn json_may_be_thirty_two_deep_and_no_deeper() {
        let nested = |levels: usize| (1..levels).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(FieldType::Json.check(&nested(32)), Ok(()));
        assert_eq!(
            FieldType::Json.check(&nested(33)).unwrap_err().code,
            "too_deep"
        );
    }

    proptest! {
        #[test]
        fn no_complaint_repeats_the_value(text in "[A-Z]{9,40}") {
            for kind in FieldType::ALL {
                if let Err(complaint) = kind.check(&json!(text)) {
                    prop_assert!(!complaint.detail.contains(&text));
                    prop_assert_eq!(complaint.pointer, "");
                }
            }
        }
    }
}

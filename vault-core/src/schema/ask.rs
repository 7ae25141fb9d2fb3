//! Questions with the answer yes or no: the bot learns the answer, never the value.
//!
//! Knows nothing of who may ask how often: many questions together are a value.

use std::fmt;

use jiff::civil::Date;
use serde_json::Value;

use super::{AGE_YEARS_MAX, COUNTRIES_MAX, Complaint, FieldType, check};

const AGE_AT_LEAST: &str = "age_at_least";
const COUNTRY_IN: &str = "country_in";
const EQUALS: &str = "equals";
const LAST4: &str = "last4";

/// A question about one value. Carries what the asker thinks the value is, so it shows only its
/// name in `Debug`.
#[derive(Clone, PartialEq)]
pub enum Test {
    /// Was the person born this many full years ago or earlier?
    AgeAtLeast(u16),
    /// Is the country one of these? ISO 3166-1 alpha-2 codes in capitals.
    CountryIn(Vec<String>),
    /// Is it this value, in any spelling?
    Equals(Value),
    /// Are these the last four digits?
    Last4(String),
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// See [`FieldType::tests`]. A telephone number has no `country_in`: several countries share one
/// calling code (+1, +7, +44), so a yes could be wrong.
pub(super) const fn tests(kind: FieldType) -> &'static [&'static str] {
    match kind {
        FieldType::Date => &[AGE_AT_LEAST, EQUALS],
        FieldType::Card | FieldType::Phone => &[EQUALS, LAST4],
        FieldType::Iban | FieldType::Address => &[COUNTRY_IN, EQUALS],
        FieldType::Blob => &[],
        _ => &[EQUALS],
    }
}

impl Test {
    /// Every test's name.
    pub const NAMES: &'static [&'static str] = &[AGE_AT_LEAST, COUNTRY_IN, EQUALS, LAST4];

    /// Reads a question: an object with exactly one member, such as `{"age_at_least": 18}`.
    ///
    /// # Errors
    ///
    /// A [`Complaint`] whose pointer is below the question; it quotes nothing.
    pub fn parse(question: &Value) -> Result<Self, Complaint> {
        let one_of = || {
            Complaint::new(
                "malformed",
                format!(
                    "expected an object with exactly one of {}",
                    Self::NAMES.join(", ")
                ),
            )
        };
        let members = question.as_object().filter(|members| members.len() == 1);
        let (name, argument) = members
            .and_then(|members| members.iter().next())
            .ok_or_else(one_of)?;
        match name.as_str() {
            AGE_AT_LEAST => argument
                .as_u64()
                .and_then(|years| u16::try_from(years).ok())
                .filter(|years| *years <= AGE_YEARS_MAX)
                .map(Self::AgeAtLeast)
                .ok_or_else(|| {
                    Complaint::below(
                        AGE_AT_LEAST,
                        "malformed",
                        format!("expected a whole number of years from 0 to {AGE_YEARS_MAX}"),
                    )
                }),
            COUNTRY_IN => countries(argument).map(Self::CountryIn).ok_or_else(|| {
                Complaint::below(
                    COUNTRY_IN,
                    "malformed",
                    "expected a list of two-letter country codes, such as [\"DE\", \"NL\"]",
                )
            }),
            EQUALS => Ok(Self::Equals(argument.clone())),
            LAST4 => argument
                .as_str()
                .filter(|text| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()))
                .map(|text| Self::Last4(text.to_owned()))
                .ok_or_else(|| {
                    Complaint::below(LAST4, "malformed", "expected four digits in a JSON string")
                }),
            _ => Err(one_of()),
        }
    }

    /// The name of the question, as in the policy's `ask`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AgeAtLeast(_) => AGE_AT_LEAST,
            Self::CountryIn(_) => COUNTRY_IN,
            Self::Equals(_) => EQUALS,
            Self::Last4(_) => LAST4,
        }
    }

    /// The answer for a stored `value` of type `kind` on the day `today` (of the controller).
    ///
    /// No, never an error, where the type does not have this test or the value is not of the type.
    /// Somebody born on 29 February is a year older on 1 March of a common year.
    #[must_use]
    pub fn evaluate(&self, kind: FieldType, value: &Value, today: Date) -> bool {
        if !kind.tests().contains(&self.name()) || kind.check(value).is_err() {
            return false;
        }
        match self {
            Self::AgeAtLeast(years) => value
                .as_str()
                .and_then(|text| check::date(text).ok())
                .is_some_and(|birth| full_years(birth, today) >= i32::from(*years)),
            Self::CountryIn(countries) => {
                country(kind, value).is_some_and(|country| countries.contains(&country))
            }
            Self::Equals(other) => match (kind.normalise(value), kind.normalise(other)) {
                (Some(stored), Some(asked)) => stored == asked,
                _ => value == other,
            },
            Self::Last4(digits) => kind
                .normalise(value)
                .is_some_and(|normal| normal.ends_with(digits.as_bytes())),
        }
    }
}

/// Negative before the first birthday's year and for dates to come.
fn full_years(birth: Date, today: Date) -> i32 {
    let birthday_is_ahead = (today.month(), today.day()) < (birth.month(), birth.day());
    i32::from(today.year()) - i32::from(birth.year()) - i32::from(birthday_is_ahead)
}

fn countries(argument: &Value) -> Option<Vec<String>> {
    let items = argument.as_array()?;
    if items.is_empty() || items.len() > COUNTRIES_MAX {
        return None;
    }
    items.iter().map(|item| code(item.as_str()?)).collect()
}

fn code(text: &str) -> Option<String> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()))
        .then(|| text.to_ascii_uppercase())
}

fn country(kind: FieldType, value: &Value) -> Option<String> {
    match kind {
        FieldType::Iban => {
            let normal = kind.normalise(value)?;
            code(std::str::from_utf8(normal.get(..2)?).ok()?)
        }
        FieldType::Address => code(value.get("country")?.as_str()?.trim()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn answer(kind: FieldType, value: Value, question: Value, today: &str) -> bool {
        Test::parse(&question)
            .unwrap()
            .evaluate(kind, &value, day(today))
    }

    #[test]
    fn age_counts_full_years_by_the_calendar() {
        let born = |birth: &str, today: &str| {
            answer(
                FieldType::Date,
                json!(birth),
                json!({"age_at_least": 18}),
                today,
            )
        };
        assert!(!born("2008-11-25", "2026-11-24"));
        assert!(born("2008-11-24", "2026-11-24"));
        assert!(!born("2008-02-29", "2026-02-28"));
        assert!(born("2008-02-29", "2026-03-01"));
        assert!(!answer(
            FieldType::Date,
            json!("2030-01-01"),
            json!({"age_at_least": 0}),
            "2026-01-01"
        ));
    }

    #[test]
    fn equality_does_not_depend_on_spelling() {
        let is = |kind, value, other| answer(kind, value, json!({"equals": other}), "2026-01-01");
        assert!(is(FieldType::Email, json!("A@x.org"), json!("a@X.org")));
        assert!(!is(FieldType::Email, json!("A@x.org"), json!("b@x.org")));
        assert!(is(
            FieldType::Json,
            json!({"a": 1, "b": 2}),
            json!({"b": 2, "a": 1})
        ));
        assert!(is(FieldType::Bool, json!(true), json!(true)));
        assert!(!is(FieldType::Text, json!("a"), json!("A")));
        assert!(!is(FieldType::Email, json!("broken"), json!("broken")));
    }

    #[test]
    fn last_four_and_country_answer_for_their_types_only() {
        let ask = |kind, value: Value, question| answer(kind, value, question, "2026-01-01");
        let card = json!("4111 1111 1111 1111");
        assert!(ask(FieldType::Card, card.clone(), json!({"last4": "1111"})));
        assert!(!ask(
            FieldType::Card,
            card.clone(),
            json!({"last4": "1112"})
        ));
        assert!(!ask(FieldType::Text, card, json!({"last4": "1111"})));
        let iban = json!("nl91abna0417164300");
        assert!(ask(
            FieldType::Iban,
            iban.clone(),
            json!({"country_in": ["de", "NL"]})
        ));
        assert!(!ask(FieldType::Iban, iban, json!({"country_in": ["DE"]})));
        let address = json!({"city": "Utrecht", "country": "nl"});
        assert!(ask(
            FieldType::Address,
            address,
            json!({"country_in": ["NL"]})
        ));
        assert!(!ask(
            FieldType::Address,
            json!("Utrecht NL"),
            json!({"country_in": ["NL"]})
        ));
        assert!(!ask(
            FieldType::Phone,
            json!("+31 20 12345"),
            json!({"country_in": ["NL"]})
        ));
    }

    #[test]
    fn a_question_that_is_not_one_is_refused_at_its_place() {
        for (question, pointer) in [
            (json!({}), ""),
            (json!(18), ""),
            (json!({"age_at_least": 18, "equals": 1}), ""),
            (json!({"age": 18}), ""),
            (json!({"age_at_least": -1}), "/age_at_least"),
            (json!({"age_at_least": 151}), "/age_at_least"),
            (json!({"last4": "11a1"}), "/last4"),
            (json!({"last4": 1111}), "/last4"),
            (json!({"country_in": []}), "/country_in"),
            (json!({"country_in": ["NLD"]}), "/country_in"),
        ] {
            assert_eq!(
                Test::parse(&question).unwrap_err().pointer,
                pointer,
                "{question}"
            );
        }
    }

    #[test]
    fn debug_shows_no_argument() {
        let test = Test::parse(&json!({"last4": "1234"})).unwrap();
        assert_eq!(format!("{test:?}"), "last4");
    }

    #[test]
    fn every_test_of_every_type_is_a_known_one() {
        for kind in FieldType::ALL {
            assert!(kind.tests().iter().all(|name| Test::NAMES.contains(name)));
        }
    }
}

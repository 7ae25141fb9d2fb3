//! JSON, strictly: no key twice in an object, nesting at most 64, nothing quoted in errors.
//!
//! Knows nothing of what a body means. A body that two parsers may read differently is refused:
//! what was checked must be what is stored.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may nest.
pub(crate) const DEPTH_MAX: usize = 64;

/// Where a text stops being JSON that the vault takes. Holds no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is no JSON that the vault takes: {reason} at line {line}, column {column}")]
pub(crate) struct JsonError {
    reason: &'static str,
    line: usize,
    column: usize,
}

/// Reads one JSON value.
///
/// # Errors
///
/// [`JsonError`] with the place, for anything that RFC 8259 does not allow, a key that stands twice
/// in one object (I-JSON, RFC 7493 §2.3) and nesting over [`DEPTH_MAX`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let reason = Cell::new("a syntax error");
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Node {
        depth: 0,
        reason: &reason,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value))
    .map_err(|error| JsonError {
        reason: reason.get(),
        line: error.line(),
        column: error.column(),
    })
}

#[derive(Clone, Copy)]
struct Node<'a> {
    depth: usize,
    reason: &'a Cell<&'static str>,
}

impl Node<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(self.refuse("nesting over 64"));
        }
        Ok(Self {
            depth: self.depth + 1,
            reason: self.reason,
        })
    }

    fn refuse<E: serde::de::Error>(self, reason: &'static str) -> E {
        self.reason.set(reason);
        E::custom(reason)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| self.refuse("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let below = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(below)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if map.contains_key(&key) {
                self.reason.set("a key that stands twice in one object");
                return Err(A::Error::custom("duplicate key"));
            }
            map.insert(key, members.next_value_seed(below)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parses_is_what_serde_json_reads() {
        let text = r#"{"b": [1, -2, 3.5, true, null, "é\u0000"], "a": {"a": {}}}"#;
        assert_eq!(
            parse(text.as_bytes()).expect("valid"),
            serde_json::from_str::<Value>(text).expect("valid")
        );
    }

    #[test]
    fn a_key_twice_is_refused_at_any_depth_and_a_key_in_two_objects_is_not() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"[{"x":{"a":1,"b":2,"a":3}}]"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            let error = parse(text.as_bytes()).expect_err("a key stands twice");
            assert_eq!(error.reason, "a key that stands twice in one object");
        }
        parse(br#"[{"a":1},{"a":2}]"#).expect("two objects");
    }

    #[test]
    fn nesting_of_64_parses_and_of_65_does_not() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        parse(nested(64).as_bytes()).expect("within the limit");
        let error = parse(nested(65).as_bytes()).expect_err("over the limit");
        assert_eq!(error.reason, "nesting over 64");
    }

    #[test]
    fn an_error_gives_the_place_and_none_of_the_text() {
        let error = parse(b"{\n \"mail\": anna@example.test}").expect_err("no JSON");
        assert_eq!((error.line, error.reason), (2, "a syntax error"));
        assert!(!error.to_string().contains("anna"));
        for broken in [
            "",
            "{",
            "{} {}",
            "\"\\ud800\"",
            "01",
            "nul",
            "[1,]",
            "1e999",
        ] {
            assert!(parse(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}

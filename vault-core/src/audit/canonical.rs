//! JSON in one form for one meaning, so that it can be hashed.
//!
//! Source: RFC 8785, for what the vault's own documents hold: texts, truth values, null, whole
//! numbers that a double holds exactly, lists and objects of these.

use serde_json::Value;

/// A document that has no canonical form here: it holds a fraction, or a number beyond 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number that is not whole, or beyond 2^53, has no canonical form here")]
pub struct NotCanonical;

/// Largest whole number that a double holds with all before it.
const WHOLE_MAX: u64 = 1 << 53;

/// The canonical form.
///
/// # Errors
///
/// [`NotCanonical`].
pub fn canonical(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Number(number) => {
            let whole = match (number.as_u64(), number.as_i64()) {
                (Some(whole), _) => whole <= WHOLE_MAX,
                (None, Some(whole)) => whole.unsigned_abs() <= WHOLE_MAX,
                (None, None) => false,
            };
            if !whole {
                return Err(NotCanonical);
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write(&members[name], out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// `serde_json` escapes what RFC 8785 §3.2.2.2 says, and nothing else.
fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a text has a JSON form");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(value: &Value) -> String {
        String::from_utf8(canonical(value).unwrap()).unwrap()
    }

    /// RFC 8785 §3.2.3 and its appendix on texts.
    #[test]
    fn the_examples_of_the_standard_come_out_as_it_says() {
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis"
        });
        assert_eq!(
            text(&value),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\
             \"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
        );
        assert_eq!(
            text(&json!("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}")),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\""
        );
        assert_eq!(
            text(&json!({"b": [null, true, -5], "a": {}})),
            "{\"a\":{},\"b\":[null,true,-5]}"
        );
    }

    #[test]
    fn a_number_that_doubles_do_not_hold_is_refused() {
        for value in [
            json!(0.5),
            json!(u64::MAX),
            json!(-(1i64 << 60)),
            json!([1e300]),
        ] {
            assert_eq!(canonical(&value), Err(NotCanonical));
        }
        assert_eq!(text(&json!(1u64 << 53)), "9007199254740992");
    }
}

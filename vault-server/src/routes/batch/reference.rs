//! References to members of earlier results: `$0.subject`.
//!
//! Knows nothing of paths or people. A text that begins with `$` is a reference or an error, and one
//! that begins with `$$` is the text without the first of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::call::Outcome;
use crate::problem::Problem;

/// A text of an operation, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// It says itself.
    Itself(String),
    /// It stands for a member of an earlier result.
    Member { operation: usize, name: String },
    /// It begins with `$` and is no reference.
    Neither,
}

/// Longest name of a member that is looked for.
const NAME_BYTES_MAX: usize = 64;

impl Text {
    pub(super) fn read(text: &str) -> Self {
        let Some(rest) = text.strip_prefix('$') else {
            return Self::Itself(text.to_owned());
        };
        if rest.starts_with('$') {
            return Self::Itself(rest.to_owned());
        }
        let parts = rest.split_once('.').and_then(|(operation, name)| {
            // Digits alone, so that `$+1.x` and `$01.x` are nothing.
            let plain = operation.bytes().all(|byte| byte.is_ascii_digit())
                && (operation == "0" || !operation.starts_with('0'));
            let named = !name.is_empty()
                && name.len() <= NAME_BYTES_MAX
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let operation = plain.then(|| operation.parse().ok()).flatten()?;
            named.then(|| (operation, name.to_owned()))
        });
        match parts {
            Some((operation, name)) => Self::Member { operation, name },
            None => Self::Neither,
        }
    }
}

/// Where a reference stands. Names of members may themselves be values, so that within a body
/// references are counted.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) pointer: &'p str,
    /// The number of the reference in its body, from 1.
    pub(super) number: Option<usize>,
}

/// A refusal of a reference. It repeats no text of the caller's but the number of an operation.
pub(super) fn refuse(place: Place<'_>, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    let detail = match place.number {
        Some(number) => format!("reference {number} of this body: {detail}"),
        None => detail,
    };
    Problem::invalid_at(place.pointer, "reference", detail)
}

pub(super) const NEITHER: &str = "a text that begins with `$` is a reference such as `$0.subject`; `$$` stands for a dollar sign";

/// The member that `text` stands for; `of` gives earlier results.
pub(super) fn member<'o>(
    place: Place<'_>,
    operation: usize,
    name: &str,
    of: &impl Fn(usize) -> Option<&'o Outcome>,
) -> Result<Value, Problem> {
    match of(operation) {
        Some(Ok(reply)) => {
            let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
            let found = body.as_ref().and_then(|body| body.get(name)).cloned();
            found.ok_or_else(|| {
                let detail = format!("the result of operation {operation} has no such member");
                refuse(place, detail)
            })
        }
        Some(Err(_)) => Err(refuse(place, format!("operation {operation} failed"))),
        None => Err(refuse(
            place,
            format!(
                "operation {operation} waits for another of this person; split the batch in two"
            ),
        )),
    }
}

/// Every operation that a body refers to.
pub(super) fn operations(body: &Value, found: &mut BTreeSet<usize>) {
    match body {
        Value::String(text) => {
            if let Text::Member { operation, .. } = Text::read(text) {
                found.insert(operation);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| operations(item, found)),
        Value::Object(members) => members.values().for_each(|item| operations(item, found)),
        _ => {}
    }
}

/// The body with what its references stand for; `own` is the place of its operation, which may refer
/// to those before it. Names of members are no references.
pub(super) fn replaced<'o>(
    body: &Value,
    pointer: &str,
    own: usize,
    of: &impl Fn(usize) -> Option<&'o Outcome>,
) -> Result<Value, Problem> {
    replace(body, pointer, own, of, &mut 0)
}

fn replace<'o>(
    body: &Value,
    pointer: &str,
    own: usize,
    of: &impl Fn(usize) -> Option<&'o Outcome>,
    count: &mut usize,
) -> Result<Value, Problem> {
    Ok(match body {
        Value::String(text) => {
            let text = Text::read(text);
            *count += usize::from(!matches!(text, Text::Itself(_)));
            let number = Some(*count);
            let place = Place { pointer, number };
            match text {
                Text::Itself(text) => Value::String(text),
                Text::Member { operation, .. } if operation >= own => {
                    return Err(forward(place));
                }
                Text::Member { operation, name } => member(place, operation, &name, of)?,
                Text::Neither => return Err(refuse(place, NEITHER)),
            }
        }
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| replace(item, pointer, own, of, count));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, item)| {
                Ok::<_, Problem>((name.clone(), replace(item, pointer, own, of, count)?))
            });
            Value::Object(members.collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

/// A reference that leads to no earlier result.
pub(super) fn forward(place: Place<'_>) -> Problem {
    refuse(
        place,
        "a reference leads to the result of an earlier operation, counted from 0",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Reply;
    use serde_json::json;

    fn member_of(operation: usize, name: &str) -> Text {
        let name = name.to_owned();
        Text::Member { operation, name }
    }

    #[test]
    fn a_dollar_sign_begins_a_reference_an_escape_or_an_error() {
        assert_eq!(Text::read("$0.subject"), member_of(0, "subject"));
        assert_eq!(Text::read("$99.created_at"), member_of(99, "created_at"));
        assert_eq!(Text::read("$$0.subject"), Text::Itself("$0.subject".into()));
        assert_eq!(Text::read("$$$"), Text::Itself("$$".into()));
        assert_eq!(Text::read("5 $"), Text::Itself("5 $".into()));
        for text in [
            "$", "$5", "$0", "$0.", "$.x", "$-1.x", "$01.x", "$+1.x", "$0.X", "$0.a.b",
        ] {
            assert_eq!(Text::read(text), Text::Neither, "{text}");
        }
    }

    #[test]
    fn a_body_is_replaced_at_every_depth_and_an_error_names_its_place_and_no_value() {
        let made = Ok(Reply::json(
            201,
            &json!({"subject": "sub_1", "created": true}),
        ));
        let failed = Err(Problem::invalid_at("", "x", "y"));
        let of = |operation: usize| match operation {
            0 => Some(&made),
            1 => Some(&failed),
            _ => None,
        };
        let body = json!({"a": ["$0.subject", {"b": "$0.created"}], "$0.subject": "$$5", "n": 5});
        let expected = json!({"a": ["sub_1", {"b": true}], "$0.subject": "$5", "n": 5});
        assert_eq!(replaced(&body, "/p", 3, &of).ok(), Some(expected));
        for (text, told) in [
            ("$0.canary", "no such member"),
            ("$1.subject", "operation 1 failed"),
            ("$2.subject", "waits for"),
            ("$3.subject", "earlier operation"),
            ("$canary", "`$$`"),
        ] {
            let body = json!({"canary": [1, "$0.subject", text]});
            let problem = replaced(&body, "/p", 3, &of).expect_err("refused");
            let id = vault_core::id::CallId::from_bytes([0; 16]);
            let document = String::from_utf8(problem.document(id)).expect("text");
            assert!(
                document.contains("\"/p\"")
                    && document.contains("reference 2 of")
                    && document.contains(told),
                "{document}"
            );
            assert!(!document.contains("canary"), "{document}");
        }
    }
}

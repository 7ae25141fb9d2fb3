//! Members of a body that has a fixed form: which are known, which type each has.
//!
//! Knows nothing of collections, whose members the policy names and the core checks. Collects
//! everything wrong before it refuses, so that a developer corrects a call once.

use serde_json::{Map, Value};
use vault_core::limits::INPUT_ERRORS_MAX;
use vault_core::refusal::InputError;

use crate::nearest::nearest;
use crate::problem::Problem;

/// An object whose members are taken one by one. No `Debug`: it holds values.
pub(crate) struct Shape {
    members: Map<String, Value>,
    errors: Vec<InputError>,
}

/// The JSON pointer of a member of the body's top: one of ours, which needs no escapes.
fn pointer(name: &str) -> String {
    format!("/{name}")
}

impl Shape {
    /// The body as an object with members of `known` names.
    ///
    /// # Errors
    ///
    /// 422 where the body is no object. Unknown members are reported by [`Shape::finish`].
    pub(crate) fn of(body: Value, known: &[&str]) -> Result<Self, Problem> {
        let Value::Object(members) = body else {
            return Err(not_an_object(""));
        };
        // A name that is not ours may itself be a value: its place is counted, and it is not repeated.
        let errors = (1..)
            .zip(members.keys())
            .filter(|(_, name)| !known.contains(&name.as_str()))
            // One more than is told, so that it is told that there are more.
            .take(INPUT_ERRORS_MAX + 1)
            .map(|(place, name)| InputError {
                pointer: String::new(),
                code: "unknown_member",
                detail: match nearest(name, known.iter().copied()) {
                    Some(near) => {
                        format!("member {place} is not known here; did you mean `{near}`?")
                    }
                    None => format!(
                        "member {place} is not known here; known: {}",
                        known.join(", ")
                    ),
                },
            })
            .collect();
        Ok(Self { members, errors })
    }

    /// Whether the member stands in the body and is not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether nothing has been found wrong so far.
    pub(crate) fn finds_no_fault(&self) -> bool {
        self.errors.is_empty()
    }

    /// Notes something wrong with a member.
    pub(crate) fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(InputError {
            pointer: pointer(name),
            code,
            detail: detail.into(),
        });
    }

    /// A text that must be there; empty after a mistake, which [`Shape::finish`] reports.
    pub(crate) fn text(&mut self, name: &str) -> String {
        match self.optional_text(name) {
            Some(text) => text,
            None => {
                self.missing(name);
                String::new()
            }
        }
    }

    /// A text that may be there.
    pub(crate) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.refuse(name, "not_a_text", "a text is expected");
                Some(String::new())
            }
        }
    }

    /// Texts in a list that must be there.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        let Value::Array(values) = self.value(name) else {
            self.refuse(name, "not_a_list", "a list of texts is expected");
            return Vec::new();
        };
        let count = values.len();
        let texts: Vec<String> = values
            .into_iter()
            .filter_map(|value| match value {
                Value::String(text) => Some(text),
                _ => None,
            })
            .collect();
        if texts.len() < count {
            self.refuse(name, "not_a_text", "only texts are expected in this list");
        }
        texts
    }

    /// Texts in a list that may be there.
    pub(crate) fn optional_texts(&mut self, name: &str) -> Option<Vec<String>> {
        if !self.has(name) {
            self.members.remove(name);
            return None;
        }
        Some(self.texts(name))
    }

    /// A whole number from 0 that may be there.
    pub(crate) fn optional_number(&mut self, name: &str) -> Option<u32> {
        match self.members.remove(name) {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                if number.is_none() {
                    self.refuse(name, "not_a_number", "a whole number from 0 is expected");
                }
                number
            }
        }
    }

    /// A truth value that must be there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.members.remove(name) {
            Some(Value::Bool(flag)) => flag,
            None | Some(Value::Null) => {
                self.missing(name);
                false
            }
            Some(_) => {
                self.refuse(name, "not_a_bool", "true or false is expected");
                false
            }
        }
    }

    /// Anything that must be there and is not null.
    pub(crate) fn value(&mut self, name: &str) -> Value {
        match self.members.remove(name) {
            None | Some(Value::Null) => {
                self.missing(name);
                Value::Null
            }
            Some(value) => value,
        }
    }

    /// 422 with everything that was found wrong, or the result.
    ///
    /// # Errors
    ///
    /// 422 where anything was refused on the way.
    pub(crate) fn finish<T>(self, result: T) -> Result<T, Problem> {
        if self.errors.is_empty() {
            Ok(result)
        } else {
            Err(Problem::invalid(self.errors))
        }
    }

    fn missing(&mut self, name: &str) {
        // A member of a wrong type has been reported under the same pointer already.
        if !self
            .errors
            .iter()
            .any(|error| error.pointer == pointer(name))
        {
            self.refuse(name, "missing", "this member is required");
        }
    }
}

/// 422: an object belongs here.
pub(crate) fn not_an_object(pointer: &str) -> Problem {
    Problem::invalid_at(pointer, "not_an_object", "an object is expected")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use vault_core::id::CallId;

    fn places(problem: &Problem) -> Value {
        let document = problem.document(CallId::from_bytes([0; 16]));
        serde_json::from_slice::<Value>(&document).expect("JSON")["errors"].take()
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_no_value_is_repeated() {
        let body = json!({"chanel": "web-canary", "user": 7, "canary": 1});
        let mut shape = Shape::of(body, &["channel", "user"]).expect("an object");
        let taken = (shape.text("channel"), shape.text("user"));
        let problem = shape.finish(taken).expect_err("three mistakes");
        let places = places(&problem);
        let found: Vec<_> = places
            .as_array()
            .expect("a list")
            .iter()
            .map(|place| {
                (
                    place["pointer"].as_str().unwrap(),
                    place["code"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("", "unknown_member"),
                ("", "unknown_member"),
                ("/channel", "missing"),
                ("/user", "not_a_text"),
            ]
        );
        let told = |place: usize| places[place]["detail"].as_str().unwrap();
        assert!(told(0).starts_with("member 1 ") && told(0).contains("`channel`"));
        assert!(told(1).starts_with("member 3 "));
        assert!(!places.to_string().contains("chanel"));
        assert!(!places.to_string().contains("canary"));
    }

    #[test]
    fn a_name_that_may_be_a_value_is_not_repeated_and_many_mistakes_are_not_all_told() {
        let mut members = Map::new();
        members.insert("anna.canary@example.test".into(), json!(true));
        members.insert("x".repeat(65), json!(true));
        let problem = Shape::of(Value::Object(members), &["user"]).expect("an object");
        let problem = problem.finish(()).expect_err("unknown members");
        let told = places(&problem).to_string();
        assert!(!told.contains("canary") && !told.contains("xxx"), "{told}");

        let of = |count: u32| {
            let members = (0..count).map(|n| (format!("{n}"), json!(n))).collect();
            let shape = Shape::of(Value::Object(members), &["user"]).expect("an object");
            let problem = shape.finish(()).expect_err("unknown members");
            (places(&problem).as_array().map(Vec::len), problem)
        };
        let first = "its first 100";
        let (all, problem) = of(100);
        assert_eq!(all, Some(100));
        let says = |problem: &Problem| {
            let document = problem.document(CallId::from_bytes([0; 16]));
            String::from_utf8(document).expect("text").contains(first)
        };
        assert!(!says(&problem));
        let (some, problem) = of(5_000);
        assert_eq!(some, Some(100));
        assert!(says(&problem));
    }

    #[test]
    fn a_body_that_fits_gives_its_members() {
        let body = json!({"given": true, "notice": {"version": "3"}, "choice": null});
        let mut shape = Shape::of(body, &["given", "notice", "choice"]).expect("an object");
        assert!(!shape.has("choice"));
        let all = (
            shape.flag("given"),
            shape.value("notice"),
            shape.optional_text("choice"),
        );
        let all = shape.finish(all).expect("fits");
        assert_eq!(all, (true, json!({"version": "3"}), None));
        assert!(Shape::of(json!([]), &[]).is_err());
    }
}

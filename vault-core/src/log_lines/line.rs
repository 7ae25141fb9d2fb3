//! One line: taken apart, looked through, and put together without what was found.
//!
//! A line is a JSON object, a JSON text, or a text. Names of members stay as they are, since a reader needs
//! them to understand the line; where personal data stand in one, the line fails. Texts and numbers are looked
//! through, each behind the name of its member, which may be the word that says what it is.
//!
//! Two things are found: what shows by its shape, and what is known as somebody's. Of the first alone whoever sends
//! the line is told. So everything that is told of a line, that it failed too, is what it would be if nobody were
//! known.

use serde_json::{Map, Value};

use super::marks::{Known, Mark, Trouble, apart, found};
use crate::crypto::{Secret, hmac};
use crate::detect::Kind;
use crate::limits::{LOG_DEPTH_MAX, LOG_FINDS_MAX, LOG_LINE_BYTES_MAX, LOG_SCALARS_MAX};

/// A line that was taken apart.
#[derive(Clone)]
pub(crate) struct Line(Value);

/// A line, and what was found in each of its texts and numbers, in their order.
#[derive(Clone)]
pub(crate) struct Scanned {
    line: Line,
    /// What shows by its shape.
    shaped: Vec<Vec<Mark>>,
    /// All of it; `None` where the line fails because of what is known: nothing is stored, and nobody is told.
    marks: Option<Vec<Vec<Mark>>>,
    /// The words for what shows by its shape, in names of members too.
    told: Vec<&'static str>,
}

impl Line {
    /// Takes a line apart. One that begins as JSON and is none fails: in it, escapes could hide what is to
    /// be found.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Trouble> {
        if bytes.len() > LOG_LINE_BYTES_MAX {
            return Err(Trouble::Failed);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Trouble::Failed)?
            .trim();
        let value = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str::<Map<String, Value>>(text).map(Value::Object),
            Some(b'"') => serde_json::from_str::<String>(text).map(Value::String),
            _ => Ok(Value::String(text.to_owned())),
        };
        value.map(Self).map_err(|_| Trouble::Failed)
    }

    /// The same, for a line that is kept whole: whatever it is, it is at least a text.
    pub(crate) fn whole(bytes: &[u8]) -> Result<Self, Trouble> {
        if bytes.len() > LOG_LINE_BYTES_MAX {
            return Err(Trouble::Failed);
        }
        let text = || Value::String(String::from_utf8_lossy(bytes).into_owned());
        Ok(Self::parse(bytes).unwrap_or_else(|_| Self(text())))
    }

    /// The text of a member, which is taken out of the line if `takes` knows it.
    pub(crate) fn take<T>(&mut self, name: &str, takes: impl Fn(&str) -> Option<T>) -> Option<T> {
        let members = self.0.as_object_mut()?;
        let taken = takes(members.get(name)?.as_str()?)?;
        members.shift_remove(name);
        Some(taken)
    }

    /// As it is stored: JSON.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }

    /// Looks through it.
    ///
    /// # Errors
    ///
    /// [`Trouble::Failed`] where it would fail if nobody were known, too.
    pub(crate) fn scan(mut self, kinds: &[Kind], known: Known<'_>) -> Result<Scanned, Trouble> {
        let (mut marks, mut in_shapes, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let (mut finds, mut hushed) = (0, false);
        let mut look = |name: &str, text: &str, member: bool| {
            let (shaped, known) = found(name, text, kinds, known)?;
            let shaped = apart(text, shaped).ok_or(Trouble::Failed)?;
            told.extend(shaped.iter().map(|mark| mark.label));
            if (member && !shaped.is_empty()) || told.len() > LOG_FINDS_MAX {
                return Err(Trouble::Failed);
            }
            // Shapes first: where both have the same place, what shows anyway gives it its name.
            let all = apart(text, [&shaped[..], &known].concat());
            hushed |= all.is_none();
            let all = all.unwrap_or_default();
            finds += all.len();
            hushed |= (member && !all.is_empty()) || finds > LOG_FINDS_MAX;
            if !member {
                in_shapes.push(shaped);
                marks.push(all);
            }
            match marks.len() > LOG_SCALARS_MAX {
                true => Err(Trouble::Failed),
                false => Ok(()),
            }
        };
        walk(&mut self.0, "", 0, &mut |name, leaf| match leaf {
            Leaf::Member(text) => look("", text, true),
            Leaf::Value(value) => look(name, &text_of(value), false),
        })?;
        Ok(Scanned {
            line: self,
            shaped: in_shapes,
            marks: (!hushed).then_some(marks),
            told,
        })
    }
}

impl Scanned {
    /// What was found by its shape: all that whoever sends the line may know.
    pub(crate) fn told(&self) -> &[&'static str] {
        &self.told
    }

    /// Whether anything was found at all.
    pub(crate) fn any(&self) -> bool {
        let marks = self.marks.as_ref();
        marks.is_none_or(|marks| marks.iter().any(|marks| !marks.is_empty()))
    }

    /// The line as it is stored, with what `stand_in` says in the place of each find.
    pub(crate) fn text(&self, stand_in: &dyn Fn(&Mark, &str) -> String) -> String {
        match &self.marks {
            Some(marks) => self.without(marks, stand_in),
            None => failed(),
        }
    }

    /// How long it would be if nobody were known. So much it takes of the room for lines: what finds room tells
    /// nobody who is.
    pub(crate) fn weight(&self, stand_in: &dyn Fn(&Mark, &str) -> String) -> usize {
        self.without(&self.shaped, stand_in).len()
    }

    fn without(&self, marks: &[Vec<Mark>], stand_in: &dyn Fn(&Mark, &str) -> String) -> String {
        let mut value = self.line.0.clone();
        let mut marks = marks.iter();
        let walked = walk(&mut value, "", 0, &mut |_, leaf| {
            let Leaf::Value(value) = leaf else {
                return Ok(());
            };
            let marks = marks.next().ok_or(Trouble::Failed)?;
            if marks.is_empty() {
                return Ok(());
            }
            let text = text_of(value);
            let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
            for mark in marks {
                clean.push_str(&text[from..mark.start]);
                clean.push_str(&stand_in(mark, &text[mark.start..mark.end]));
                from = mark.end;
            }
            clean.push_str(&text[from..]);
            *value = Value::String(clean);
            Ok(())
        });
        match walked {
            Ok(()) => value.to_string(),
            // It was walked before in the same way; if it is not, nothing of it is stored.
            Err(_) => failed(),
        }
    }
}

fn failed() -> String {
    Value::String(super::FAILED.to_owned()).to_string()
}

/// What is met on a walk through a line.
enum Leaf<'v> {
    Member(&'v str),
    Value(&'v mut Value),
}

/// Goes through the members' names, and the texts and numbers behind them, each with the name it stands
/// behind.
fn walk(
    value: &mut Value,
    name: &str,
    depth: usize,
    f: &mut dyn FnMut(&str, Leaf<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    if depth > LOG_DEPTH_MAX {
        return Err(Trouble::Failed);
    }
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(_) | Value::String(_) => f(name, Leaf::Value(value)),
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| walk(item, name, depth + 1, f)),
        Value::Object(members) => members.iter_mut().try_for_each(|(member, item)| {
            f(name, Leaf::Member(member))?;
            walk(item, member, depth + 1, f)
        }),
    }
}

/// A text, or a number as it is written without an exponent: a card is one as a number, too.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e19 => {
                format!("{float:.0}")
            }
            _ => number.to_string(),
        },
        _ => String::new(),
    }
}

/// What stands in the place of a value where a day's lines are to be told apart: the same for the same value,
/// however it is written, as long as `key` is there.
pub(crate) fn token(key: &Secret<32>, label: &str, text: &str) -> String {
    let normal: String = match label {
        "email" => text.to_lowercase(),
        _ => {
            let kept = text.chars().filter(|c| c.is_alphanumeric());
            kept.flat_map(char::to_uppercase).collect()
        }
    };
    let mac = hmac(key, &[label.as_bytes(), normal.as_bytes()]);
    let hex = data_encoding::HEXLOWER.encode(&mac[..8]);
    format!("[{label}:{hex}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn none(_: &str) -> Result<Vec<Mark>, Trouble> {
        Ok(Vec::new())
    }

    fn redact(line: &str) -> Option<String> {
        let scanned =
            Line::parse(line.as_bytes()).and_then(|line| line.scan(&Kind::ALL, &mut none));
        Some(scanned.ok()?.text(&|mark, _| format!("[{}]", mark.label)))
    }

    #[track_caller]
    fn becomes(line: &str, clean: &str) {
        assert_eq!(redact(line).as_deref(), Some(clean));
    }

    #[test]
    fn texts_and_numbers_are_looked_through_and_names_of_members_stay() {
        becomes(
            r#"{"to":"ann@example.test","n":[{"card":4111111111111111},7],"ok":true}"#,
            r#"{"to":"[email]","n":[{"card":"[card]"},7],"ok":true}"#,
        );
        becomes(r#"{"card":4.111111111111111e15}"#, r#"{"card":"[card]"}"#);
        becomes(
            "from 192.0.2.7 by ann@example.test",
            r#""from [ipv4] by [email]""#,
        );
        becomes(r#""say \"ann@example.test\"""#, r#""say \"[email]\"""#);
        becomes("nothing here", r#""nothing here""#);
    }

    #[test]
    fn a_common_number_counts_behind_the_name_of_its_member_as_behind_a_word() {
        becomes(r#"{"order":"111222333"}"#, r#"{"order":"111222333"}"#);
        becomes(
            r#"{"customer_bsn":"111222333"}"#,
            r#"{"customer_bsn":"[nl_bsn]"}"#,
        );
    }

    #[test]
    fn what_is_escaped_is_found_all_the_same() {
        becomes(
            "GET /reset?mail=ann%40example.test&x=1",
            // What an address may begin with is also what stands before it here: too much goes, and not too little.
            r#""GET /[email]&x=1""#,
        );
        becomes(
            r#"body={\"to\":\"ann\u0040example.test\"}"#,
            r#""body={\\\"to\\\":\\\"[email]\\\"}""#,
        );
        becomes(r#"{"to":"ann\u0040example.test"}"#, r#"{"to":"[email]"}"#);
        becomes("load 100%", r#""load 100%""#);
    }

    #[test]
    fn what_cannot_be_looked_through_fails_and_so_does_a_name_that_is_somebodys() {
        for line in [
            r#"{"to":"ann\u0040example.test""#,
            r#""unended"#,
            r#"{"ann@example.test":1}"#,
        ] {
            assert_eq!(redact(line), None, "{line}");
        }
        let deep = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n), "]".repeat(n));
        assert!(redact(&deep(LOG_DEPTH_MAX - 1)).is_some());
        assert_eq!(redact(&deep(LOG_DEPTH_MAX)), None);
        let many = |n: usize| format!("{{\"a\":[{}1]}}", "1,".repeat(n - 1));
        assert!(redact(&many(LOG_SCALARS_MAX)).is_some());
        assert_eq!(redact(&many(LOG_SCALARS_MAX + 1)), None);
        let finds = |n: usize| "192.0.2.7 ".repeat(n);
        assert!(redact(&finds(LOG_FINDS_MAX)).is_some());
        assert_eq!(redact(&finds(LOG_FINDS_MAX + 1)), None);
        let long = |n: usize| "x".repeat(n);
        assert!(redact(&long(LOG_LINE_BYTES_MAX)).is_some());
        assert_eq!(redact(&long(LOG_LINE_BYTES_MAX + 1)), None);
        assert!(Line::parse(b"\xff").is_err());
        assert_eq!(Line::whole(b"{\"a").unwrap().text(), r#""{\"a""#);
    }

    /// Every `K-17` in a text is somebody's.
    fn k17(text: &str) -> Result<Vec<Mark>, Trouble> {
        let all = text.match_indices("K-17").map(|(start, found)| Mark {
            label: "identifier",
            start,
            end: start + found.len(),
        });
        Ok(all.collect())
    }

    /// A line as it is stored, and what is told of it.
    fn scanned(line: &str) -> (String, Vec<&'static str>) {
        let line = Line::parse(line.as_bytes()).unwrap();
        let scanned = line.scan(&Kind::ALL, &mut k17).unwrap();
        let clean = scanned.text(&|mark, _| format!("[{}]", mark.label));
        (clean, scanned.told().to_vec())
    }

    #[test]
    fn known_values_are_taken_out_beside_shapes_and_are_not_told_as_found() {
        let (clean, told) = scanned("K-17 wrote to ann@example.test");
        assert_eq!(clean, r#""[identifier] wrote to [email]""#);
        assert_eq!(told, ["email"]);
        // A known value that begins before a shape does not give it another name in what is told.
        let (clean, told) = scanned("K-17@example.test wrote");
        assert_eq!((&*clean, told), (r#""[email] wrote""#, vec!["email"]));
        let (clean, told) = scanned("nothing here");
        assert_eq!((&*clean, told.len()), (r#""nothing here""#, 0));
    }

    #[test]
    fn a_line_that_fails_by_what_is_known_is_stored_as_failed_and_told_as_taken() {
        let failed = format!("\"{}\"", crate::log_lines::FAILED);
        let many = |n: usize, one: &str| vec![one; n].join(" ");
        for line in [
            r#"{"K-17":"ann@example.test"}"#.to_owned(),
            format!("ann@example.test {}", many(LOG_FINDS_MAX, "K-17")),
        ] {
            assert_eq!(scanned(&line), (failed.clone(), vec!["email"]), "{line}");
        }
        // The nearest that does not fail, and the nearest that fails whoever is known.
        let (clean, _) = scanned(&many(LOG_FINDS_MAX, "K-17"));
        assert_ne!(clean, failed);
        for line in [
            r#"{"ann@example.test":"K-17"}"#.to_owned(),
            many(LOG_FINDS_MAX + 1, "192.0.2.7"),
        ] {
            let line = Line::parse(line.as_bytes()).unwrap();
            assert!(line.scan(&Kind::ALL, &mut k17).is_err());
        }
    }

    #[test]
    fn a_line_takes_as_much_room_as_if_nobody_were_known() {
        for (known, unknown) in [
            ("K-17 and ann@example.test", "K-18 and ann@example.test"),
            (
                r#"{"K-17":"ann@example.test"}"#,
                r#"{"K-18":"ann@example.test"}"#,
            ),
        ] {
            let [known, unknown] = [known, unknown].map(|line| {
                let line = Line::parse(line.as_bytes()).unwrap();
                let scanned = line.scan(&Kind::ALL, &mut k17).unwrap();
                let stand_in = |mark: &Mark, _: &str| format!("[{}]", mark.label);
                (scanned.weight(&stand_in), scanned.text(&stand_in).len())
            });
            assert_eq!(known.0, unknown.1);
            assert_ne!(known.1, unknown.1);
        }
    }

    #[test]
    fn known_values_behind_escapes_are_taken_out() {
        for (line, clean) in [
            ("GET /c/K%2D17?x", r#""GET /c/[identifier]?x""#),
            (r"say \u004b-17", r#""say [identifier]""#),
            (
                r#"{"K\u002d18":"K\\u002d17"}"#,
                r#"{"K-18":"[identifier]"}"#,
            ),
            ("q=%254B-17", r#""q=[identifier]""#),
        ] {
            assert_eq!(scanned(line).0, clean, "{line}");
        }
        assert_eq!(scanned(r#"{"K\\u002d17":1}"#).0, scanned(r#"{"K-17":1}"#).0);
    }

    #[test]
    fn a_token_is_the_values_and_the_keys_however_it_is_written() {
        let mut entropy = SeededEntropy::new(1);
        let (day, next) = (
            Secret::generate(&mut entropy),
            Secret::generate(&mut entropy),
        );
        let one = token(&day, "card", "4111 1111 1111 1111");
        assert_eq!(one, token(&day, "card", "4111-1111-1111-1111"));
        assert!(one.starts_with("[card:") && one.len() == 23, "{one}");
        assert_ne!(one, token(&next, "card", "4111111111111111"));
        assert_ne!(one, token(&day, "card", "4111111111111112"));
        assert_ne!(one, token(&day, "iban", "4111111111111111"));
        let mail = token(&day, "email", "Ann@Example.test");
        assert_eq!(mail, token(&day, "email", "ann@example.test"));
    }

    #[test]
    fn a_member_that_names_somebody_is_taken_out_and_another_stays() {
        let parse = |text: &str| text.strip_prefix("sub_").map(str::to_owned);
        let mut line = Line::parse(br#"{"subject":"sub_1","a":2}"#).unwrap();
        assert_eq!(line.take("subject", parse).as_deref(), Some("1"));
        assert_eq!(line.text(), r#"{"a":2}"#);
        let mut line = Line::parse(br#"{"subject":"hello"}"#).unwrap();
        assert_eq!(line.take("subject", parse), None);
        assert_eq!(line.text(), r#"{"subject":"hello"}"#);
        let mut text = Line::parse(b"sub_1").unwrap();
        assert_eq!(text.take("subject", parse), None);
    }
}

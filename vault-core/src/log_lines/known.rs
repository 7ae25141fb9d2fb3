//! Values of people in a text: those of everybody through the index, and of one person all that are theirs.
//!
//! Nobody is gone through: words of the text that may be a look-up value are brought into its normal form and
//! looked up, each once a call. Names are looked for as two or three words that begin with a capital; other
//! values have a digit, or an `@`. Of a person whom the line names, every value is compared, whether or not
//! people are found by it. What a line costs, and whether it costs too much, does not depend on who is known.
//!
//! Knows nothing of shapes that say by themselves what they are (`detect`).

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use serde_json::Value;

use super::marks::{Mark, Trouble};
use crate::commit::View;
use crate::limits::{LOG_LOOKUPS_MAX, LOG_WORDS_MAX};
use crate::person::Person;
use crate::policy::{Collection, CollectionKind, Field, Policy};
use crate::record;
use crate::refusal::Refusal;
use crate::schema::FieldType;

/// Types whose values say who somebody is. A date or a number fits too many to tell anybody.
fn tells(kind: FieldType) -> bool {
    matches!(
        kind,
        FieldType::Email
            | FieldType::Phone
            | FieldType::Card
            | FieldType::Iban
            | FieldType::Ip
            | FieldType::Plate
            | FieldType::Name
            | FieldType::Identifier
    )
}

/// Types whose values are taken out of lines about their own person.
fn is_own(kind: FieldType) -> bool {
    tells(kind) || matches!(kind, FieldType::Address | FieldType::Date)
}

/// Shortest and longest word that is looked up.
const WORD_BYTES: std::ops::RangeInclusive<usize> = 4..=64;
/// Shortest part of a name that is taken out by itself.
const NAME_PART_CHARACTERS_MIN: usize = 3;
/// Words of the longest own value.
const OWN_WORDS_MAX: usize = 12;
/// Groups of digits that may be one number.
const GROUPS_MAX: usize = 5;

/// Part of a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// What separates words whatever they are.
fn separates(c: char) -> bool {
    c.is_whitespace() || "\"'`<>()[]{},;=|&?\\".contains(c)
}

/// Words, without what a sentence puts behind them.
fn words(text: &str, separates: impl Fn(char) -> bool) -> Vec<Span> {
    let mut words = Vec::new();
    let mut start = None;
    let ends = text
        .char_indices()
        .map(|(at, c)| (at, separates(c)))
        .chain([(text.len(), true)]);
    for (at, ends) in ends {
        match (start, ends) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                let word = text[from..at].trim_end_matches(['.', ':', '!']);
                if !word.is_empty() {
                    words.push(Span {
                        start: from,
                        end: from + word.len(),
                    });
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Folded as names and identifiers are.
fn folded(text: &str) -> Option<Vec<u8>> {
    FieldType::Identifier.normalise(&Value::String(text.to_owned()))
}

/// How many words a value has, how it reads when it is folded, and what stands in its place.
type Folded = (usize, Vec<u8>, &'static str);

/// What one person's values look like in a text, by their first word.
#[derive(Clone, Default)]
pub(crate) struct Own {
    by_first: HashMap<Vec<u8>, Vec<Folded>>,
    typed: HashSet<(FieldType, Vec<u8>)>,
}

impl Own {
    /// The values of a person in collections with one record each, and what they are called on their channel.
    pub(crate) fn of(view: &dyn View, policy: &Policy, person: &Person) -> Result<Self, Refusal> {
        let mut own = Self::default();
        let row = person.row(view)?;
        let (_, user) = row.identity();
        own.add(FieldType::Identifier, &Value::String(user.to_owned()));
        let single = |one: &&Collection| one.kind == CollectionKind::Single;
        for collection in policy.collections().iter().filter(single) {
            record::each_of_type(view, person, collection, is_own, &mut |field, value| {
                own.add(field.kind, value);
                ControlFlow::Continue(())
            })?;
        }
        Ok(own)
    }

    fn add(&mut self, kind: FieldType, value: &Value) {
        match value {
            Value::String(text) => {
                if let Some(normal) = kind.normalise(value).filter(|_| tells(kind)) {
                    self.typed.insert((kind, normal));
                }
                self.add_text(kind.name(), text);
                if kind == FieldType::Name {
                    for part in words(text, separates) {
                        let part = part.of(text);
                        if part.chars().count() >= NAME_PART_CHARACTERS_MIN {
                            self.add_text(kind.name(), part);
                        }
                    }
                }
            }
            // An address; the name of its country is nobody's.
            Value::Object(members) => {
                let others = members.iter().filter(|(name, _)| *name != "country");
                for (_, text) in others.filter_map(|(name, one)| Some((name, one.as_str()?))) {
                    self.add_text(kind.name(), text);
                }
            }
            _ => {}
        }
    }

    fn add_text(&mut self, label: &'static str, text: &str) {
        let words = words(text, separates);
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            return;
        };
        let whole = &text[first.start..last.end];
        if words.len() > OWN_WORDS_MAX || whole.chars().count() < NAME_PART_CHARACTERS_MIN {
            return;
        }
        if let (Some(begin), Some(whole)) = (folded(first.of(text)), folded(whole)) {
            let list = self.by_first.entry(begin).or_default();
            list.push((words.len(), whole, label));
            // The longest first, so that a whole name goes as one.
            list.sort_by_key(|(words, ..)| std::cmp::Reverse(*words));
        }
    }

    fn find(&self, text: &str, words: &[Span], marks: &mut Vec<Mark>) {
        let mut at = 0;
        while at < words.len() {
            let candidates = folded(words[at].of(text)).and_then(|word| self.by_first.get(&word));
            let hit = candidates.into_iter().flatten().find(|(count, whole, _)| {
                let last = words.get(at + count - 1);
                let window = last.map(|last| &text[words[at].start..last.end]);
                window.and_then(folded).as_ref() == Some(whole)
            });
            match hit {
                Some((count, _, label)) => {
                    marks.push(Mark {
                        label,
                        start: words[at].start,
                        end: words[at + count - 1].end,
                    });
                    at += count;
                }
                None => at += 1,
            }
        }
    }
}

/// Looks for known values in the texts of one call.
pub(crate) struct Finder<'v> {
    view: &'v dyn View,
    /// Fields that people are found by, by type.
    fields: HashMap<FieldType, Vec<(&'v Collection, &'v Field)>>,
    /// What was looked up, so that a value that stands in every line costs once.
    known: HashMap<(FieldType, Vec<u8>), bool>,
    /// What the line at hand has cost.
    lookups: usize,
    words: usize,
}

impl<'v> Finder<'v> {
    /// For the people of a vault under this policy.
    pub(crate) fn new(view: &'v dyn View, policy: &'v Policy) -> Self {
        let mut fields: HashMap<FieldType, Vec<(&Collection, &Field)>> = HashMap::new();
        for collection in policy.collections() {
            let found = collection.fields.iter();
            for field in found.filter(|field| field.lookup && tells(field.kind)) {
                fields
                    .entry(field.kind)
                    .or_default()
                    .push((collection, field));
            }
        }
        Self {
            view,
            fields,
            known: HashMap::new(),
            lookups: 0,
            words: 0,
        }
    }

    /// Another line begins, which may cost as much again.
    pub(crate) fn begin(&mut self) {
        (self.lookups, self.words) = (0, 0);
    }

    /// The known values in a text of a line, about `own` where it names somebody.
    pub(crate) fn find(&mut self, text: &str, own: Option<&Own>) -> Result<Vec<Mark>, Trouble> {
        let all = words(text, separates);
        self.words += all.len();
        if self.words > LOG_WORDS_MAX {
            return Err(Trouble::Failed);
        }
        let mut marks = Vec::new();
        if let Some(own) = own {
            own.find(text, &all, &mut marks);
        }
        for (kind, span) in candidates(text, &all) {
            let Some(normal) = kind.normalise(&Value::String(span.of(text).to_owned())) else {
                continue;
            };
            let theirs = own.is_some_and(|own| own.typed.contains(&(kind, normal.clone())));
            // Looked up in any case: how much a line costs, and so whether it fails, tells nobody whose it is.
            let known = self.is_known(kind, normal, span.of(text))?;
            if theirs || known {
                marks.push(Mark {
                    label: kind.name(),
                    start: span.start,
                    end: span.end,
                });
            }
        }
        Ok(marks)
    }

    fn is_known(&mut self, kind: FieldType, normal: Vec<u8>, text: &str) -> Result<bool, Trouble> {
        let Some(fields) = self.fields.get(&kind) else {
            return Ok(false);
        };
        if let Some(known) = self.known.get(&(kind, normal.clone())) {
            return Ok(*known);
        }
        let value = Value::String(text.to_owned());
        let mut known = false;
        for (collection, field) in fields {
            self.lookups += 1;
            if self.lookups > LOG_LOOKUPS_MAX {
                return Err(Trouble::Failed);
            }
            let mark = record::mark(self.view, collection, field, &value);
            if let Some(mark) = mark {
                known |= !self.view.index_hits(&mark)?.is_empty();
            }
        }
        self.known.insert((kind, normal), known);
        Ok(known)
    }
}

/// Parts of a text that may be a value that people are found by, each with what it may be.
fn candidates(text: &str, all: &[Span]) -> Vec<(FieldType, Span)> {
    let mut found = Vec::new();
    let digit = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    for word in all {
        let whole = word.of(text);
        // A path or a label has its value between slashes, or behind a colon.
        let inner = words(whole, |c| matches!(c, '/' | ':' | '#' | '%'));
        let inner = inner.into_iter().map(|part| Span {
            start: word.start + part.start,
            end: word.start + part.end,
        });
        let parts: Vec<Span> = [*word]
            .into_iter()
            .chain(inner.filter(|part| part != word))
            .collect();
        for span in parts {
            let part = span.of(text);
            if part.contains('@') {
                found.push((FieldType::Email, span));
            }
            if !digit(part) || !WORD_BYTES.contains(&part.len()) || is_time(part) {
                continue;
            }
            for kind in [
                FieldType::Identifier,
                FieldType::Plate,
                FieldType::Phone,
                FieldType::Card,
                FieldType::Iban,
                FieldType::Ip,
            ] {
                if fits(kind, part) {
                    found.push((kind, span));
                }
            }
        }
    }
    groups(text, all, &mut found);
    names(text, all, &mut found);
    found
}

/// Whether a word can be of this type at all: each that cannot saves a look-up.
fn fits(kind: FieldType, word: &str) -> bool {
    let count = |of: fn(&u8) -> bool| word.bytes().filter(of).count();
    let digits = count(u8::is_ascii_digit);
    let letters = count(u8::is_ascii_alphabetic);
    match kind {
        FieldType::Identifier => true,
        FieldType::Plate => letters > 0 && letters + digits <= 10,
        FieldType::Phone => letters == 0 && (7..=15).contains(&digits),
        FieldType::Card => letters == 0 && (12..=19).contains(&digits),
        FieldType::Iban => letters >= 2 && letters + digits >= 15,
        FieldType::Ip => word.contains(['.', ':']),
        _ => false,
    }
}

/// `2026-11-24T12:00:00Z`, which stands in most lines.
fn is_time(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 11
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
}

/// Numbers that are written in groups.
fn groups(text: &str, all: &[Span], found: &mut Vec<(FieldType, Span)>) {
    let numeric = |span: &Span| {
        let mut bytes = span.of(text).bytes();
        bytes.all(|byte| byte.is_ascii_digit() || b"+-./".contains(&byte))
    };
    for first in 0..all.len() {
        let row = all[first..].iter().take(GROUPS_MAX);
        let row: Vec<&Span> = row.take_while(|span| numeric(span)).collect();
        for last in row.iter().skip(1) {
            let span = Span {
                start: all[first].start,
                end: last.end,
            };
            for kind in [FieldType::Phone, FieldType::Card] {
                if fits(kind, span.of(text)) {
                    found.push((kind, span));
                }
            }
        }
    }
}

/// Two or three words that begin with a capital and have one blank between them.
fn names(text: &str, all: &[Span], found: &mut Vec<(FieldType, Span)>) {
    let capital = |span: &Span| {
        let word = span.of(text);
        word.chars().next().is_some_and(char::is_uppercase)
            && !word.bytes().any(|byte| byte.is_ascii_digit())
    };
    for first in 0..all.len() {
        for count in [2, 3] {
            let Some(row) = all.get(first..first + count) else {
                continue;
            };
            let beside = row
                .windows(2)
                .all(|two| &text[two[0].end..two[1].start] == " ");
            if beside && row.iter().all(capital) {
                let span = Span {
                    start: row[0].start,
                    end: row[count - 1].end,
                };
                found.push((FieldType::Name, span));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_be(text: &str, kind: FieldType) -> Vec<&str> {
        let all = words(text, separates);
        let found = candidates(text, &all).into_iter();
        let of_kind = found.filter(|(of, _)| *of == kind);
        of_kind.map(|(_, span)| span.of(text)).collect()
    }

    #[test]
    fn words_with_a_digit_may_be_identifiers_and_times_and_plain_words_are_none() {
        let text =
            "2026-11-24T12:00:00Z user=K-10023 asked, order. /customers/C77-1/orders id:Z9988";
        let found = may_be(text, FieldType::Identifier);
        for one in ["K-10023", "C77-1", "Z9988"] {
            assert!(found.contains(&one), "{one} in {found:?}");
        }
        for none in ["2026-11-24T12:00:00Z", "user", "asked", "order"] {
            assert!(!found.contains(&none), "{none}");
        }
    }

    #[test]
    fn numbers_in_groups_and_names_in_capitals_are_looked_up_whole() {
        let found = may_be("call 06 1234 5678 at 9", FieldType::Phone);
        assert!(found.contains(&"06 1234 5678"), "{found:?}");
        let found = may_be("said Anna de Vries to Jan Peter Bakker.", FieldType::Name);
        assert_eq!(found, ["Jan Peter", "Jan Peter Bakker", "Peter Bakker"]);
        assert_eq!(may_be("Anna\tVries", FieldType::Name), [""; 0]);
    }

    #[test]
    fn own_values_are_found_by_whole_words_however_they_are_cased() {
        let mut own = Own::default();
        own.add(FieldType::Name, &Value::String("Anna Maria Vries".into()));
        own.add(
            FieldType::Address,
            &serde_json::json!({"street": "Lange Laan 5", "country": "NL"}),
        );
        let found = |text: &str| -> Vec<(String, &'static str)> {
            let (all, mut marks) = (words(text, separates), Vec::new());
            own.find(text, &all, &mut marks);
            let marks = marks.iter();
            let of = marks.map(|mark| (text[mark.start..mark.end].to_owned(), mark.label));
            of.collect()
        };
        let expected = [
            ("ANNA maria Vries".to_owned(), "name"),
            ("lange laan 5".to_owned(), "address"),
            ("Vries".to_owned(), "name"),
        ];
        assert_eq!(found("ANNA maria Vries, lange laan 5; Vries! NL"), expected);
        assert_eq!(found("Annabel of the Lange Laan"), []);
    }
}

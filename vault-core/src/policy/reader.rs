//! Reads values out of a TOML table, and reports what is not of the expected form.
//!
//! Knows nothing of what the keys mean. Every value keeps its line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Findings, printable};
use super::nearest::nearest;
use crate::schema::words::Word;

/// Longest text in a policy, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 4096;
/// Longest word that a finding repeats, in characters.
const WORD_CHARS_MAX: usize = 64;

/// A value and the line where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// One table of the file.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    /// Its path, empty for the file.
    pub(super) path: String,
    /// The line of its key.
    pub(super) line: usize,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>) -> Self {
        Self {
            table,
            path: String::new(),
            line: 1,
        }
    }

    /// The path of `key` inside this table.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Reports every key that is not in `known`, with the nearest that is.
    pub(super) fn know(&self, findings: &mut Findings, known: &[&str]) {
        for (key, _) in self.entries(findings) {
            if !known.contains(&key.value) {
                findings.report(key.line, &self.at(key.value), "unknown_key", None, || {
                    format!("unknown key{}", hint(key.value, known))
                });
            }
        }
    }

    /// The entries in the order of the file.
    pub(super) fn entries(
        &self,
        findings: &Findings,
    ) -> Vec<(At<&'a str>, &'a Spanned<DeValue<'a>>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, value)| {
                let line = findings.line(key.span().start);
                (
                    At {
                        line,
                        value: key.get_ref().as_ref(),
                    },
                    value,
                )
            })
            .collect()
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The text at `key`.
    pub(super) fn text(&self, findings: &mut Findings, key: &str) -> Option<At<String>> {
        text(findings, &self.at(key), self.value(key)?)
    }

    /// The text at `key`, or a finding that `missing` explains.
    pub(super) fn needed_text(
        &self,
        findings: &mut Findings,
        key: &str,
        article: Option<&'static str>,
        missing: &str,
    ) -> String {
        if !self.has(key) {
            findings.report(self.line, &self.at(key), "missing", article, || {
                missing.to_owned()
            });
        }
        self.text(findings, key)
            .map_or_else(String::new, |text| text.value)
    }

    /// `true` or `false` at `key`; without the key, `false`.
    pub(super) fn flag(&self, findings: &mut Findings, key: &str) -> bool {
        let Some(value) = self.value(key) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            wrong_type(findings, &self.at(key), value, "true or false");
            false
        })
    }

    /// The whole number at `key`, from 1 to `most`.
    pub(super) fn number(&self, findings: &mut Findings, key: &str, most: u64) -> Option<u64> {
        let value = self.value(key)?;
        let Some(number) = value.get_ref().as_integer() else {
            wrong_type(findings, &self.at(key), value, "a whole number");
            return None;
        };
        let number = u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| (1..=most).contains(number));
        if number.is_none() {
            let line = findings.line(value.span().start);
            findings.report(line, &self.at(key), "out_of_range", None, || {
                format!("expected a whole number from 1 to {most}")
            });
        }
        number
    }

    /// The line of `key`, or that of the table without it.
    pub(super) fn line_of(&self, findings: &Findings, key: &str) -> usize {
        let found = self.table.get_key_value(key);
        found.map_or(self.line, |(name, _)| findings.line(name.span().start))
    }

    /// The list of texts at `key`; each may stand there once.
    pub(super) fn texts(&self, findings: &mut Findings, key: &str) -> Vec<At<String>> {
        let path = self.at(key);
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            wrong_type(findings, &path, value, "a list of strings");
            return Vec::new();
        };
        let mut list: Vec<At<String>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for item in items.iter() {
            if let Some(item) = text(findings, &path, item) {
                if seen.insert(item.value.clone()) {
                    list.push(item);
                } else {
                    findings.report(item.line, &path, "duplicate", None, || {
                        format!(
                            "`{}` stands here twice",
                            printable(&item.value, WORD_CHARS_MAX)
                        )
                    });
                }
            }
        }
        list
    }

    /// The word at `key`, one of a closed list.
    pub(super) fn word<W: Word>(
        &self,
        findings: &mut Findings,
        key: &str,
        code: &'static str,
    ) -> Option<W> {
        let text = self.text(findings, key)?;
        word(findings, &self.at(key), &text, code)
    }

    /// The table at `key`.
    pub(super) fn section(&self, findings: &mut Findings, key: &str) -> Option<Section<'a>> {
        let (name, value) = self.table.get_key_value(key)?;
        let line = findings.line(name.span().start);
        section(findings, self.at(key), line, value)
    }

    /// The tables inside the table at `key`, in the order of the file, each with a well-formed
    /// name. At most `count_max` of them.
    pub(super) fn sections(
        &self,
        findings: &mut Findings,
        key: &str,
        count_max: usize,
    ) -> Vec<(At<String>, Section<'a>)> {
        let Some(outer) = self.section(findings, key) else {
            return Vec::new();
        };
        let entries = outer.entries(findings);
        if entries.len() > count_max {
            findings.report(outer.line, &outer.path, "too_many", None, || {
                format!(
                    "at most {count_max} are allowed here, and there are {}",
                    entries.len()
                )
            });
        }
        let mut sections = Vec::new();
        for (name, value) in entries.into_iter().take(count_max) {
            let path = outer.at(name.value);
            if !is_name(name.value) {
                findings.report(name.line, &path, "bad_name", None, || {
                    "a name is a small letter and at most 62 small letters, digits or underscores"
                        .to_owned()
                });
            }
            if let Some(inner) = section(findings, path, name.line, value) {
                sections.push((
                    At {
                        line: name.line,
                        value: name.value.to_owned(),
                    },
                    inner,
                ));
            }
        }
        sections
    }
}

fn section<'a>(
    findings: &mut Findings,
    path: String,
    line: usize,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<Section<'a>> {
    if let Some(table) = value.get_ref().as_table() {
        return Some(Section { table, path, line });
    }
    wrong_type(findings, &path, value, "a table");
    None
}

/// The text that stands in `value`: on one line, not empty, at most [`TEXT_BYTES_MAX`].
pub(super) fn text(
    findings: &mut Findings,
    path: &str,
    value: &Spanned<DeValue<'_>>,
) -> Option<At<String>> {
    let line = findings.line(value.span().start);
    let Some(text) = value.get_ref().as_str() else {
        wrong_type(findings, path, value, "a string");
        return None;
    };
    if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        findings.report(line, path, "bad_text", None, || {
            format!("expected 1 to {TEXT_BYTES_MAX} bytes on one line, without control characters")
        });
        return None;
    }
    Some(At {
        line,
        value: text.to_owned(),
    })
}

/// One of a closed list of words.
pub(super) fn word<W: Word>(
    findings: &mut Findings,
    path: &str,
    text: &At<String>,
    code: &'static str,
) -> Option<W> {
    let word = W::from_name(&text.value);
    if word.is_none() {
        findings.report(text.line, path, code, None, || {
            let shown = printable(&text.value, WORD_CHARS_MAX);
            let hint = hint(&text.value, W::NAMES);
            format!(
                "`{shown}` is not known here{hint}; known are {}",
                W::NAMES.join(", ")
            )
        });
    }
    word
}

fn wrong_type(findings: &mut Findings, path: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
    let line = findings.line(value.span().start);
    findings.report(line, path, "wrong_type", None, || {
        format!("expected {expected}, found {}", value.get_ref().type_str())
    });
}

/// `: did you mean …?` where a name is near, else nothing.
pub(super) fn hint<'n>(
    word: &str,
    known: impl IntoIterator<Item = impl AsRef<str> + 'n>,
) -> String {
    let known: Vec<_> = known.into_iter().collect();
    nearest(word, known.iter().map(AsRef::as_ref))
        .map_or_else(String::new, |near| format!(": did you mean `{near}`?"))
}

/// Whether `text` is a name: `[a-z][a-z0-9_]{0,62}`.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 63
        && bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

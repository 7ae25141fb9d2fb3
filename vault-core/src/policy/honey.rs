//! People who do not exist, for whoever looks where nobody has business.
//!
//! The values stand in the policy because only who runs the vault knows what looks real among its people,
//! and because a policy is reviewed, sealed, and read by whom it lets read it. Knows nothing of how they
//! are planted.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::DeValue;

use super::draft::Content;
use super::finding::Findings;
use super::reader::{At, Section};
use super::{CollectionKind, keys, role};
use crate::limits::{CHANNEL_USER_BYTES_MAX, HONEY_PEOPLE_MAX, HONEY_RECORDS_MAX, LABEL_BYTES_MAX};
use crate::schema::FieldType;

/// People who do not exist, and whom they are hidden from in bulk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Honey {
    /// The people, in the order of the file.
    pub people: Vec<HoneyPerson>,
    /// Roles whose work over many people passes them by, without an alarm.
    pub left_out_for: Vec<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoneyPerson {
    /// The name inside the policy.
    pub name: String,
    /// The channel that they are known on.
    pub channel: String,
    /// Their id there.
    pub user: String,
    /// What is stored of them, by collection.
    pub records: BTreeMap<String, Vec<Map<String, Value>>>,
}

impl Honey {
    /// Whether somebody is planted under this identity.
    #[must_use]
    pub fn has(&self, channel: &str, user: &str) -> bool {
        let mut people = self.people.iter();
        people.any(|person| person.channel == channel && person.user == user)
    }
}

/// What the file says of them, each with its line.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftHoney {
    pub(super) honey: Honey,
    lines: Vec<usize>,
    roles: Vec<At<String>>,
}

/// Reads the section.
pub(super) fn read(root: &Section<'_>, findings: &mut Findings) -> DraftHoney {
    let Some(section) = root.section(findings, "honey") else {
        return DraftHoney::default();
    };
    section.know(findings, keys::HONEY);
    let mut draft = DraftHoney {
        roles: section.texts(findings, "left_out_for"),
        ..DraftHoney::default()
    };
    for (at, section) in section.sections(findings, "people", HONEY_PEOPLE_MAX) {
        section.know(findings, keys::HONEY_PERSON);
        let missing = "an invented person is known on a channel, as everybody is";
        let person = HoneyPerson {
            channel: section.needed_text(findings, "channel", None, missing),
            user: section.needed_text(findings, "user", None, missing),
            records: records(&section, findings),
            name: at.value,
        };
        for (key, text, most) in [
            ("channel", &person.channel, LABEL_BYTES_MAX),
            ("user", &person.user, CHANNEL_USER_BYTES_MAX),
        ] {
            if text.len() > most {
                findings.report(at.line, &section.at(key), "too_long", None, || {
                    format!("at most {most} bytes are allowed here")
                });
            }
        }
        draft.lines.push(at.line);
        draft.honey.people.push(person);
    }
    draft.honey.left_out_for = draft.roles.iter().map(|role| role.value.clone()).collect();
    draft
}

/// `values`: a table a collection of one record, a list of tables a collection of many.
fn records(
    section: &Section<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, Vec<Map<String, Value>>> {
    let mut records = BTreeMap::new();
    let Some(values) = section.section(findings, "values") else {
        return records;
    };
    for (name, value) in values.entries(findings) {
        let objects = match json(value) {
            Value::Array(all) => all,
            one => vec![one],
        };
        let count = objects.len();
        let read: Vec<_> = objects
            .into_iter()
            .filter_map(|one| match one {
                Value::Object(record) => Some(record),
                _ => None,
            })
            .collect();
        if read.len() < count || !(1..=HONEY_RECORDS_MAX).contains(&count) {
            findings.report(name.line, &values.at(name.value), "wrong_type", None, || {
                format!("expected fields and their values, or a list of 1 to {HONEY_RECORDS_MAX} of such")
            });
            continue;
        }
        records.insert(name.value.to_owned(), read);
    }
    records
}

/// What TOML says, as JSON; dates and times as text.
fn json(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Null, |number| Value::Number(number.into())),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or(Value::Null, Value::Number),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(all) => Value::Array(all.iter().map(json).collect()),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), json(value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// Reports what does not fit the rest of the policy. No value is repeated: they are to look real.
pub(super) fn check(content: &Content, findings: &mut Findings) {
    let draft = &content.honey;
    let mut seen = HashSet::new();
    for (person, line) in draft.honey.people.iter().zip(&draft.lines) {
        let path = format!("honey.people.{}", person.name);
        if !seen.insert((&person.channel, &person.user)) {
            findings.report(*line, &path, "duplicate", None, || {
                "another one of these people is known by the same channel and user".to_owned()
            });
        }
        if person.records.is_empty() {
            findings.report(*line, &path, "missing", None, || {
                "needs `values`: a person without any stands out".to_owned()
            });
        }
        for (name, records) in &person.records {
            let path = format!("{path}.values.{name}");
            check_records(content, name, records, *line, &path, findings);
        }
    }
    for name in &draft.roles {
        let known = |list: &[(&str, _)]| list.iter().any(|(known, _)| *known == name.value);
        let written = content.roles.iter().any(|role| role.at.value == name.value);
        if !written && !known(role::DEFAULTS) && !known(role::RESERVED) {
            findings.report(
                name.line,
                "honey.left_out_for",
                "unknown_role",
                None,
                || "each of these is the name of a role".to_owned(),
            );
        }
    }
}

fn check_records(
    content: &Content,
    name: &str,
    records: &[Map<String, Value>],
    line: usize,
    path: &str,
    findings: &mut Findings,
) {
    let collection = content
        .collections
        .iter()
        .find(|collection| collection.at.value == name);
    let Some(collection) = collection else {
        findings.report(line, path, "unknown_collection", None, || {
            "the policy has no such collection".to_owned()
        });
        return;
    };
    if collection.kind == CollectionKind::Single && records.len() != 1 {
        findings.report(line, path, "wrong_type", None, || {
            "this collection has one record a person".to_owned()
        });
    }
    for (field, value) in records.iter().flatten() {
        let path = format!("{path}.{field}");
        let known = collection
            .fields
            .iter()
            .find(|known| known.at.value == *field);
        match known.map(|known| known.field.kind) {
            None => findings.report(line, &path, "unknown_field", None, || {
                "the collection has no such field".to_owned()
            }),
            Some(FieldType::Blob) => findings.report(line, &path, "wrong_type", None, || {
                "what a blob holds does not stand in a policy; leave it out".to_owned()
            }),
            Some(kind) => {
                if let Err(complaint) = kind.check(value) {
                    findings.report(line, &path, "bad_value", None, || complaint.detail);
                }
            }
        }
    }
}

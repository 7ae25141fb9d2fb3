//! Which column goes where: a TOML file beside somebody else's data.
//!
//! Table of keys: docs/operations.md "Import".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::{Value, json};

use super::bounds::{Bounded, Budget};

/// A mapping, read and checked for itself; names of collections and fields are the policy's to know.
#[derive(Debug)]
pub struct Mapping {
    pub(super) jsonl: bool,
    pub(super) delimiter: u8,
    pub(super) purpose: Option<String>,
    pub(super) channel: Source,
    pub(super) user: String,
    pub(super) columns: Vec<Column>,
    pub(super) meta: BTreeMap<String, Value>,
    pub(super) occurred_at: Option<String>,
}

/// Where the channel comes from.
#[derive(Debug)]
pub(super) enum Source {
    Column(String),
    Fixed(String),
}

/// A column with where it goes.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) collection: String,
    pub(super) field: String,
    pub(super) conversion: Conversion,
}

/// What is done to a text before it becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    Text,
    Trim,
    Number,
    NumberComma,
    Bool,
    Json,
    DateDmy,
    DateMdy,
}

const CONVERSIONS: [(&str, Conversion); 8] = [
    ("bool", Conversion::Bool),
    ("date-dmy", Conversion::DateDmy),
    ("date-mdy", Conversion::DateMdy),
    ("json", Conversion::Json),
    ("number", Conversion::Number),
    ("number-comma", Conversion::NumberComma),
    ("text", Conversion::Text),
    ("trim", Conversion::Trim),
];

/// What is wrong with a mapping; it holds nobody's data, so that its words may be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Option<String>,
    delimiter: Option<String>,
    purpose: Option<String>,
    identity: Identity,
    columns: BTreeMap<String, Target>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    channel: Option<String>,
    channel_column: Option<String>,
    user: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    Plain(String),
    Converted {
        to: String,
        #[serde(rename = "as")]
        conversion: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    source: Option<String>,
    category: Option<String>,
    purposes: Option<Vec<String>>,
    shared_with: Option<Vec<String>>,
    occurred_at: Option<String>,
}

impl Mapping {
    /// The column that a field of a collection comes from.
    #[must_use]
    pub fn column_of(&self, collection: &str, field: &str) -> Option<&str> {
        let mut columns = self.columns.iter();
        columns
            .find(|column| column.collection == collection && column.field == field)
            .map(|column| &*column.name)
    }

    /// How many collections one row may come to.
    #[must_use]
    pub fn collections(&self) -> usize {
        let names = self.columns.iter().map(|column| &column.collection);
        names.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Reads a mapping.
    ///
    /// # Errors
    ///
    /// [`MappingError`] says what is expected.
    pub fn parse(source: &str) -> Result<Self, MappingError> {
        let wrong = |what: String| MappingError(what);
        let file: File = toml::from_str(source).map_err(|error| {
            // Its whole text quotes the line, which is somebody's where another file was named by mistake.
            let before = error
                .span()
                .map_or("", |span| source.get(..span.start).unwrap_or(""));
            let line = before.matches('\n').count() + 1;
            wrong(format!("line {line}: {}", without_values(error.message())))
        })?;
        let jsonl = match file.format.as_deref() {
            None | Some("csv") => false,
            Some("jsonl") => true,
            Some(_) => return Err(wrong("`format` is one of: csv, jsonl".into())),
        };
        let delimiter = match file.delimiter.as_deref().map(str::as_bytes) {
            None => b',',
            Some([one]) => *one,
            Some(_) => return Err(wrong("`delimiter` is one character of ASCII".into())),
        };
        let channel = match (file.identity.channel, file.identity.channel_column) {
            (Some(fixed), None) => Source::Fixed(fixed),
            (None, Some(column)) => Source::Column(column),
            _ => {
                let what = "[identity] has `channel` (the same for all) or `channel_column`";
                return Err(wrong(what.into()));
            }
        };
        let mut columns = Vec::new();
        for (name, target) in file.columns {
            let (to, conversion) = match target {
                Target::Plain(to) => (to, "text".to_owned()),
                Target::Converted { to, conversion } => (to, conversion),
            };
            let found = CONVERSIONS.iter().find(|(known, _)| *known == conversion);
            let Some((_, conversion)) = found else {
                let known: Vec<&str> = CONVERSIONS.iter().map(|(name, _)| *name).collect();
                let what = format!("[columns] {name}: `as` is one of: {}", known.join(", "));
                return Err(wrong(what));
            };
            let Some((collection, field)) = to.split_once('.') else {
                let what = format!("[columns] {name}: a column goes to `collection.field`");
                return Err(wrong(what));
            };
            columns.push(Column {
                name,
                collection: collection.to_owned(),
                field: field.to_owned(),
                conversion: *conversion,
            });
        }
        let mut meta = BTreeMap::new();
        let mut add = |name: &str, value: Option<Value>| {
            meta.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("source", file.meta.source.map(Value::String));
        add("category", file.meta.category.map(Value::String));
        add("purposes", file.meta.purposes.map(|list| json!(list)));
        add("shared_with", file.meta.shared_with.map(|list| json!(list)));
        Ok(Self {
            jsonl,
            delimiter,
            purpose: file.purpose,
            channel,
            user: file.identity.user,
            columns,
            meta,
            occurred_at: file.meta.occurred_at,
        })
    }
}

/// What a parser says, as far as it says nothing of what stands there: what is wrong, and what it expected.
/// A name is left out as well; it may be anything in a file that is no mapping.
fn without_values(message: &str) -> String {
    // The last one: a value may say so too.
    let (what, expected) = match message.rfind(", expected ") {
        Some(at) => message.split_at(at),
        None => (message, ""),
    };
    let what = what.split([':', '`', '"', '\'']).next().unwrap_or_default();
    // A field that is missing is one of ours.
    match message.strip_prefix("missing field ") {
        Some(_) => message.to_owned(),
        None => format!("{}{expected}", what.trim_end()),
    }
}

impl Conversion {
    /// The value, or the word for what is wrong.
    pub(super) fn apply(self, text: &str) -> Result<Value, &'static str> {
        let date = |year: &str, month: &str, day: &str| {
            let number = |text: &str| text.parse::<u32>().map_err(|_| "date");
            if year.len() != 4 {
                return Err("date");
            }
            let (year, month, day) = (number(year)?, number(month)?, number(day)?);
            Ok(Value::String(format!("{year:04}-{month:02}-{day:02}")))
        };
        let number = |text: &str| {
            let value: Value = serde_json::from_str(text).map_err(|_| "number")?;
            value.is_number().then_some(value).ok_or("number")
        };
        let parts: Vec<&str> = text.trim().split(['.', '/', '-']).collect();
        match self {
            Self::Text => Ok(Value::String(text.to_owned())),
            Self::Trim => Ok(Value::String(text.trim().to_owned())),
            Self::Number => number(text.trim()),
            Self::NumberComma => number(&text.trim().replace('.', "").replace(',', ".")),
            Self::Bool => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "y" | "1" => Ok(Value::Bool(true)),
                "false" | "no" | "n" | "0" => Ok(Value::Bool(false)),
                _ => Err("bool"),
            },
            Self::Json => {
                let mut budget = Budget::new();
                let mut parser = serde_json::Deserializer::from_str(text);
                let read = Bounded(&mut budget).deserialize(&mut parser);
                read.and_then(|value| parser.end().map(|()| value))
                    .map_err(|_| "json")
            }
            Self::DateDmy => match parts[..] {
                [day, month, year] => date(year, month, day),
                _ => Err("date"),
            },
            Self::DateMdy => match parts[..] {
                [month, day, year] => date(year, month, day),
                _ => Err("date"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversion_makes_the_value_or_names_what_it_is_not() {
        for (conversion, text, value) in [
            (Conversion::Text, " a ", Ok(json!(" a "))),
            (Conversion::Trim, " a ", Ok(json!("a"))),
            (Conversion::Number, "12.5", Ok(json!(12.5))),
            (Conversion::Number, "12,5", Err("number")),
            (Conversion::NumberComma, "1.234,5", Ok(json!(1234.5))),
            (Conversion::Bool, "Yes", Ok(json!(true))),
            (Conversion::Bool, "perhaps", Err("bool")),
            (Conversion::Json, "[1]", Ok(json!([1]))),
            (Conversion::Json, "[1", Err("json")),
            (Conversion::DateDmy, "28.2.1990", Ok(json!("1990-02-28"))),
            (Conversion::DateMdy, "2/28/1990", Ok(json!("1990-02-28"))),
            (Conversion::DateDmy, "28.2.90", Err("date")),
            (Conversion::DateDmy, "soon", Err("date")),
        ] {
            assert_eq!(conversion.apply(text), value);
        }
    }

    #[test]
    fn a_column_is_found_by_its_collection_too() {
        let text = "[identity]\nchannel = \"web\"\nuser = \"id\"\n[columns]\nA = \"profile.name\"\nB = \"orders.name\"\n";
        let mapping = Mapping::parse(text).unwrap();
        assert_eq!(mapping.column_of("orders", "name"), Some("B"));
        assert_eq!(mapping.column_of("profile", "name"), Some("A"));
        assert_eq!(mapping.column_of("orders", "text"), None);
    }

    #[test]
    fn a_mapping_says_what_is_wrong_with_it() {
        let good =
            "[identity]\nchannel = \"web\"\nuser = \"id\"\n[columns]\nMail = \"profile.email\"\n";
        assert!(Mapping::parse(good).is_ok());
        for (wrong, told) in [
            (good.replace("channel =", "chanel ="), "unknown field"),
            (good.replace("profile.email", "email"), "collection.field"),
            (
                good.replace("\"profile.email\"", "{ to = \"a.b\", as = \"int\" }"),
                "is one of",
            ),
            (good.replace("channel = \"web\"\n", ""), "channel_column"),
            (format!("format = \"xml\"\n{good}"), "csv, jsonl"),
            (format!("delimiter = \"ab\"\n{good}"), "one character"),
        ] {
            let error = Mapping::parse(&wrong).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        // Somebody's file, named by mistake: nothing of it is shown.
        for (file, line) in [
            ("{\"name\": \"Ann Example\"}\n".to_owned(), 1),
            ("id,name\n1,Ann Example\n".to_owned(), 1),
            (
                "delimiter = \"Ann\"\nidentity = \"Ann, expected Ann\"\n".to_owned(),
                2,
            ),
            ("\"Ann Example\" = 1\n".to_owned(), 1),
            ("\"Ann\" = 1\n\"Ann\" = 2\n".to_owned(), 2),
            (good.replace("\"profile.email\"", "{ Ann = \"Ann\" }"), 5),
            (good.replace("\"profile.email\"", "[\"Ann\"]"), 5),
            (format!("{good}[meta]\npurposes = \"Ann\"\n"), 7),
            (format!("{good}[meta]\npurposes = [1, 2030-01-01]\n"), 7),
            (format!("{good}[meta]\nAnn = \"Ann\"\n"), 7),
        ] {
            let error = Mapping::parse(&file).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: ")), "{error}");
            assert!(!error.contains("Ann") && !error.contains("2030"), "{error}");
        }
        let told = |file: &str| Mapping::parse(file).unwrap_err().to_string();
        let kind = told(&format!("{good}[meta]\npurposes = \"Ann\"\n"));
        assert_eq!(kind, "line 7: invalid type, expected a sequence");
        assert!(told("[identity]\n").contains("missing field `user`"));
    }
}

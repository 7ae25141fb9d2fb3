//! CSV and JSON Lines, by a mapping.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use super::bounds::{Allowance, Allowed, Bounded, Budget, TooLarge};
use super::mapping::{Column, Mapping, Source};
use super::{LineError, Piece, ReadError, Taker};
use crate::limits::{IMPORT_COLUMNS_MAX, IMPORT_ROW_BYTES_MAX};
use crate::vault::{ImportLine, ImportWhat};

const ROW: TooLarge = TooLarge {
    what: "bytes of one record; perhaps a quotation mark has no end",
    limit: IMPORT_ROW_BYTES_MAX,
};
const COLUMNS: TooLarge = TooLarge {
    what: "columns",
    limit: IMPORT_COLUMNS_MAX as u64,
};

/// Reads every row: one line for each collection that it has something for.
///
/// # Errors
///
/// Those of [`ReadError`] that no single line stands for.
pub fn read_rows(
    mapping: &Mapping,
    from: impl Read,
    take: &mut Taker<'_>,
) -> Result<(), ReadError> {
    match mapping.jsonl {
        true => json_lines(mapping, from, take),
        false => csv_rows(mapping, from, take),
    }
}

/// Gives what a row comes to; `None` for an end.
fn give(
    mapping: &Mapping,
    number: u64,
    cell: &dyn Fn(&str) -> Option<Value>,
    take: &mut Taker<'_>,
) -> bool {
    let wrong = |column: &str, code| {
        let column = column.to_owned();
        Piece::Wrong(LineError {
            line: number,
            column,
            code,
        })
    };
    let word = |column: &str| match cell(column) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let channel = match &mapping.channel {
        Source::Fixed(channel) => Ok(channel.clone()),
        Source::Column(column) => word(column).ok_or(column),
    };
    let channel = match channel {
        Ok(channel) => channel,
        Err(column) => return take(wrong(column, "missing")),
    };
    let Some(user) = word(&mapping.user) else {
        return take(wrong(&mapping.user, "missing"));
    };
    let mut records: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for column in &mapping.columns {
        match value(column, cell(&column.name)) {
            Ok(None) => {}
            Ok(Some(value)) => {
                let record = records.entry(&column.collection).or_default();
                record.insert(column.field.clone(), value);
            }
            Err(code) => return take(wrong(&column.name, code)),
        }
    }
    let occurred_at = mapping.occurred_at.as_deref().and_then(word);
    if records.is_empty() {
        let line = line(number, channel, user, ImportWhat::Person);
        return take(Piece::Line(Box::new(line), Vec::new()));
    }
    // The parts of a row have one number each: what was written is known by it.
    for (collection, mut body) in records {
        if !mapping.meta.is_empty() {
            let meta: Map<String, Value> = mapping.meta.clone().into_iter().collect();
            body.insert("_meta".into(), Value::Object(meta));
        }
        if let Some(at) = &occurred_at {
            body.insert("occurred_at".into(), Value::String(at.clone()));
        }
        let what = ImportWhat::Record {
            collection: collection.to_owned(),
            body,
            purpose: mapping.purpose.clone(),
            files: Vec::new(),
        };
        let line = line(number, channel.clone(), user.clone(), what);
        if !take(Piece::Line(Box::new(line), Vec::new())) {
            return false;
        }
    }
    true
}

fn line(line: u64, channel: String, user: String, what: ImportWhat) -> ImportLine {
    ImportLine {
        line,
        channel,
        user,
        what,
    }
}

/// The value of a cell; an empty one has none.
fn value(column: &Column, cell: Option<Value>) -> Result<Option<Value>, &'static str> {
    match cell {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => column.conversion.apply(&text).map(Some),
        // A value of JSON that is no text has its type already.
        Some(other) => Ok(Some(other)),
    }
}

fn csv_rows(mapping: &Mapping, from: impl Read, take: &mut Taker<'_>) -> Result<(), ReadError> {
    // A record that has no end is cut off: each may take so much from the file, and what the reader
    // holds already.
    let room = Allowance::new(ROW);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(mapping.delimiter)
        .flexible(true)
        .from_reader(Allowed::new(from, &room));
    let row = |error: csv::Error, line| match error.into_kind() {
        csv::ErrorKind::Io(error) => match TooLarge::of(&error) {
            Some(what) => ReadError::RowTooLarge { line, what },
            None => ReadError::Io(error),
        },
        _ => ReadError::Row { line },
    };
    let header = reader.headers().map_err(|error| row(error, 0))?;
    let header_len = header.len();
    if header_len > IMPORT_COLUMNS_MAX {
        let (line, what) = (0, COLUMNS);
        return Err(ReadError::RowTooLarge { line, what });
    }
    // Spreadsheets put a byte order mark before the first name.
    let plain = |name: &str| name.trim_start_matches('\u{feff}').to_owned();
    let places: BTreeMap<String, usize> = header
        .iter()
        .enumerate()
        .map(|(at, name)| (plain(name), at))
        .collect();
    let named = mapping.columns.iter().map(|column| &column.name);
    let channel = match &mapping.channel {
        Source::Column(column) => Some(column),
        Source::Fixed(_) => None,
    };
    let others = [Some(&mapping.user), channel, mapping.occurred_at.as_ref()];
    for name in named.chain(others.into_iter().flatten()) {
        if !places.contains_key(name) {
            return Err(ReadError::NoColumn(name.clone()));
        }
    }
    let mut record = csv::StringRecord::new();
    let mut number = 0;
    loop {
        number += 1;
        room.renew();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                let column = String::new();
                let wrong = LineError {
                    line: number,
                    column,
                    code: "not_text",
                };
                if !take(Piece::Wrong(wrong)) {
                    return Ok(());
                }
                continue;
            }
            Err(error) => return Err(row(error, number)),
        }
        if record.len() != header_len {
            // A comma too many moves every value behind it to another field.
            let wrong = LineError {
                line: number,
                column: String::new(),
                code: "columns",
            };
            if !take(Piece::Wrong(wrong)) {
                return Ok(());
            }
            continue;
        }
        let cell = |name: &str| {
            let text = record.get(*places.get(name)?)?;
            Some(Value::String(text.to_owned()))
        };
        if !give(mapping, number, &cell, take) {
            return Ok(());
        }
    }
}

fn json_lines(mapping: &Mapping, from: impl Read, take: &mut Taker<'_>) -> Result<(), ReadError> {
    let mut reader = std::io::BufReader::new(from);
    let mut number = 0;
    let mut text = Vec::new();
    loop {
        text.clear();
        number += 1;
        let mut limited = (&mut reader).take(IMPORT_ROW_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut text);
        if read.map_err(ReadError::Io)? == 0 {
            return Ok(());
        }
        let wrong = |code| {
            let (line, column) = (number, String::new());
            Piece::Wrong(LineError { line, column, code })
        };
        let going_on = if text.len() as u64 == IMPORT_ROW_BYTES_MAX && !text.ends_with(b"\n") {
            reader.skip_until(b'\n').map_err(ReadError::Io)?;
            take(wrong("too_large"))
        } else if text.trim_ascii().is_empty() {
            true
        } else {
            let mut budget = Budget::new();
            let mut parser = serde_json::Deserializer::from_slice(&text);
            let read = Bounded(&mut budget).deserialize(&mut parser);
            match read.and_then(|value| parser.end().map(|()| value)) {
                Ok(Value::Object(members)) => {
                    give(mapping, number, &|name| members.get(name).cloned(), take)
                }
                _ if budget.spent() => take(wrong("too_large")),
                _ => take(wrong("json")),
            }
        };
        if !going_on {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "[identity]\nchannel = \"web\"\nuser = \"id\"\n[columns]\nMail = \"profile.email\"\nBorn = { to = \"profile.birth\", as = \"date-dmy\" }\nSaid = \"messages.text\"\n[meta]\nsource = \"crm\"\n";

    fn all(mapping: &str, text: &str) -> Vec<(u64, String)> {
        let mapping = Mapping::parse(mapping).unwrap();
        let mut seen = Vec::new();
        read_rows(&mapping, text.as_bytes(), &mut |piece| {
            seen.push(match piece {
                Piece::Wrong(error) => (error.line, format!("{}:{}", error.column, error.code)),
                Piece::Line(line, _) => (
                    line.line,
                    match line.what {
                        ImportWhat::Record {
                            collection, body, ..
                        } => format!("{collection} {}", Value::Object(body)),
                        _ => line.user,
                    },
                ),
                Piece::Skipped => (0, String::new()),
            });
            true
        })
        .unwrap();
        seen
    }

    #[test]
    fn a_row_becomes_a_line_a_collection_and_what_is_wrong_is_named_by_column() {
        let text = "\u{feff}id,Mail,Born,Said\n1,a@b.test,28.2.1990,hi\n2,,,\n3,c@d.test,never,\n,x@y.test,,\n";
        let seen = all(MAPPING, text);
        assert_eq!(
            seen,
            [
                (
                    1,
                    r#"messages {"text":"hi","_meta":{"source":"crm"}}"#.to_owned()
                ),
                (
                    1,
                    r#"profile {"birth":"1990-02-28","email":"a@b.test","_meta":{"source":"crm"}}"#
                        .to_owned()
                ),
                (2, "2".to_owned()),
                (3, "Born:date".to_owned()),
                (4, "id:missing".to_owned()),
            ]
        );
    }

    #[test]
    fn a_row_of_another_width_is_refused_and_spoils_no_other() {
        let text = "id,Mail,Born,Said\n1,a@b.test,28.2.1990,hi, there\n2,,,\n3,,\n";
        let seen = all(MAPPING, text);
        let columns = || ":columns".to_owned();
        assert_eq!(seen, [(1, columns()), (2, "2".to_owned()), (3, columns())]);
    }

    #[test]
    fn lines_of_json_keep_their_types() {
        let mapping = format!("format = \"jsonl\"\n{MAPPING}");
        let seen = all(
            &mapping,
            "{\"id\": 7, \"Mail\": \"a@b.test\", \"Said\": null}\n\nnot json\n",
        );
        assert_eq!(seen.len(), 2);
        assert!(seen[0].1.starts_with("profile {\"email\""));
        assert_eq!(seen[1], (3, ":json".to_owned()));
    }

    #[test]
    fn a_column_that_is_not_there_is_told_before_anything_is_written() {
        let mapping = Mapping::parse(MAPPING).unwrap();
        let read = read_rows(&mapping, "id,Mail\n1,a@b.test\n".as_bytes(), &mut |_| {
            panic!("a line")
        });
        assert!(matches!(read, Err(ReadError::NoColumn(name)) if name == "Born"));
    }
}

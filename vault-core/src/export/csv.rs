//! A collection as CSV (RFC 4180), for a spreadsheet.
//!
//! A cell that a spreadsheet would take for a formula begins with an apostrophe instead: what somebody
//! typed to a bot must not run on the desk of whoever opens their file. The JSON has it unchanged.
//!
//! Source: RFC 4180 §2; OWASP, CSV Injection.

use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde_json::Value;

use super::document::HeadCollection;
use super::{Cell, Item};

/// What a spreadsheet reads as the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn line(cells: &[String]) -> Vec<u8> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .quote_style(QuoteStyle::Necessary)
        .from_writer(Vec::new());
    let guarded = cells.iter().map(|cell| guarded(cell));
    writer
        .write_record(guarded)
        .expect("memory takes what it is given");
    writer.into_inner().expect("memory needs no flush")
}

fn guarded(text: &str) -> String {
    match text.starts_with(FORMULA) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// The first line: members of the record, fields, members of its metadata.
pub(crate) fn header(collection: &HeadCollection) -> Vec<u8> {
    let before = ["_record", "_created_at", "_occurred_at", "_ends_at"];
    let after = [
        "_masked",
        "_purposes",
        "_source",
        "_shared_with",
        "_category",
    ];
    let fields = collection.fields.iter().map(|field| field.name.clone());
    let cells = before.map(String::from).into_iter().chain(fields);
    line(&cells.chain(after.map(String::from)).collect::<Vec<_>>())
}

fn text(cell: &Cell) -> String {
    match (&cell.value, &cell.file) {
        (_, Some(file)) => file.name.clone().unwrap_or_default(),
        (Value::String(text), None) => text.clone(),
        (Value::Null, None) => String::new(),
        (other, None) => other.to_string(),
    }
}

/// A record as a line.
pub(crate) fn row(item: &Item<'_>) -> Vec<u8> {
    let time = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let mut cells = vec![
        item.record.clone().unwrap_or_default(),
        time(Some(item.created_at)),
        time(item.occurred_at),
        time(item.ends_at),
    ];
    for (place, _) in item.collection.fields.iter().enumerate() {
        let cell = item.cells.iter().find(|cell| cell.field == place);
        cells.push(cell.map(text).unwrap_or_default());
    }
    let name = |cell: &Cell| item.collection.fields[cell.field].name.clone();
    let masked = item.cells.iter().filter(|cell| cell.masked).map(name);
    cells.push(masked.collect::<Vec<_>>().join(" "));
    match &item.meta {
        Some(meta) => cells.extend([
            meta.purposes.join(" "),
            meta.source.clone().unwrap_or_default(),
            meta.shared_with.join(" "),
            meta.category.clone().unwrap_or_default(),
        ]),
        None => cells.extend([const { String::new() }; 4]),
    }
    line(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_shown_instead_and_nothing_else_changes() {
        for (text, cell) in [
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\"\r\n"),
            ("+49 30", "'+49 30\r\n"),
            ("-1", "'-1\r\n"),
            ("@a", "'@a\r\n"),
            ("\tx", "'\tx\r\n"),
            ("\rx", "\"'\rx\"\r\n"),
            ("a=b", "a=b\r\n"),
            ("a,b", "\"a,b\"\r\n"),
            ("a\r\nb", "\"a\r\nb\"\r\n"),
        ] {
            let made = String::from_utf8(line(&[text.to_owned()])).expect("text");
            assert_eq!(made, cell);
        }
    }
}

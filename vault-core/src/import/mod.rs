//! Lines of a file, as a vault takes them: our own package, or CSV and JSON Lines with a mapping.
//!
//! Knows forms of files; knows nothing of a vault. Reads as it goes, a line at a time. An error says which
//! line and column, never what stands there.

mod archive;
mod bounds;
mod mapping;
mod package;
mod rows;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use archive::{Archive, ArchiveError, Content};
pub use bounds::TooLarge;
pub use mapping::{Mapping, MappingError};
pub use package::read_document;
pub use rows::read_rows;

use crate::vault::ImportLine;

/// A blob that goes with a line.
#[derive(Clone)]
pub struct Attachment {
    /// The field.
    pub field: String,
    /// What the content is.
    pub media_type: String,
    /// The member of the ZIP that holds it, if one does.
    pub member: Option<String>,
    /// Bytes of content.
    pub size: u64,
}

/// What a file comes to, piece by piece. No `Debug`: it holds values.
pub enum Piece {
    /// A line to be written, and blobs to be put into its record.
    Line(Box<ImportLine>, Vec<Attachment>),
    /// A line that is not in order.
    Wrong(LineError),
    /// A value of a package that is not one: masked.
    Skipped,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Its number: of a CSV file, records counted from 1 behind the header.
    pub line: u64,
    /// The column by name, as far as it is one of the mapping's or the header's place; empty for the
    /// whole line.
    pub column: String,
    /// A stable word.
    pub code: &'static str,
}

/// Whoever takes the pieces; `false` ends the reading.
pub type Taker<'a> = dyn FnMut(Piece) -> bool + 'a;

/// Why a file cannot be read on. What each says holds nothing of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no document of ours, or one that was cut short.
    #[error("line {line}: this is no whole package of ours")]
    Document {
        /// Where the reader stopped.
        line: usize,
    },
    /// The system refused.
    #[error("could not read the file")]
    Io(#[source] std::io::Error),
    /// The header lacks a column of the mapping.
    #[error("the file has no column `{0}`, which the mapping names")]
    NoColumn(String),
    /// A record that is no CSV.
    #[error("record {line} is no CSV")]
    Row {
        /// Its number.
        line: u64,
    },
    /// It would fill memory.
    #[error("the file is too large: {0}")]
    TooLarge(TooLarge),
    /// A record of it would.
    #[error("record {line} is too large: {what}")]
    RowTooLarge {
        /// Its number; 0 for the header.
        line: u64,
        /// What there is too much of.
        what: TooLarge,
    },
    /// A version that is not ours.
    #[error("the package has version {0}, and this program knows 1")]
    Version(u64),
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        match TooLarge::of(&error) {
            Some(what) => Self::TooLarge(what),
            None => Self::Io(error),
        }
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

/// Members that have something in them.
fn without_nulls(members: Map<String, Value>) -> Map<String, Value> {
    members
        .into_iter()
        .filter(|(_, value)| !value.is_null() && value != &Value::Array(Vec::new()))
        .collect()
}

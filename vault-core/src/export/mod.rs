//! Packages of a person's own data: everything (Art. 15), or what they provided (Art. 20).
//!
//! Knows how a package looks, as JSON, CSV, a page or a ZIP, and how it is encrypted for whoever gets
//! it. Knows nothing of the store, and does not decide what may be in it: `vault::export` does, slice by
//! slice. The order of everything is that of the policy and of the records.
//!
//! Source: GDPR Art. 15(1) and (3), 20(1); docs/decisions/0015.

mod csv;
mod document;
mod html;
mod pipe;
mod portable;
mod seal;
mod words;

use jiff::Timestamp;
use serde_json::Value;

use crate::schema::words::words;

pub(crate) use self::csv::{header as csv_header, row as csv_row};
pub(crate) use document::{
    Head, HeadCollection, HeadConsents, HeadField, HeadPseudonym, HeadSession, Looked,
    accesses as json_accesses, head as json_head, logs as json_logs, record as json_record,
    tail as json_tail,
};
pub(crate) use html::Page;
pub(crate) use pipe::Pipe;
pub(crate) use portable::{left_out, portable};
pub use seal::{Seal, SealError};

words! {
    /// The right that a package answers.
    pub enum Right {
        /// Everything that is held, and what is done with it (Art. 15).
        Access = "access",
        /// What the person provided, to take along (Art. 20).
        Portability = "portability",
    }
}

words! {
    /// The form of a package.
    pub enum Form {
        /// A ZIP of one CSV file a collection.
        Csv = "csv",
        /// One page.
        Html = "html",
        /// One document (docs/export.schema.json).
        Json = "json",
        /// All of these, and the files, in a ZIP.
        Zip = "zip",
    }
}

impl Form {
    /// The media type of a package that is not encrypted.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Csv | Self::Zip => "application/zip",
        }
    }

    /// What its file's name ends with.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Csv | Self::Zip => "zip",
        }
    }

    pub(crate) const fn is_archive(self) -> bool {
        matches!(self, Self::Csv | Self::Zip)
    }
}

/// Which package is to be made.
#[derive(Debug)]
pub struct ExportInput {
    /// The right that it answers.
    pub right: Right,
    /// Its form.
    pub form: Form,
    /// The language of what is said in it, of those of the public statement; the first of them for any
    /// other.
    pub language: Option<String>,
    /// For whom it is encrypted.
    pub seal: Seal,
}

/// A record in a package. No `Debug`: it holds values.
pub(crate) struct Item<'a> {
    pub(crate) collection: &'a HeadCollection,
    /// `None` for the one of a `single` collection.
    pub(crate) record: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) meta: Option<ItemMeta>,
}

/// What was said of a record beside its values.
pub(crate) struct ItemMeta {
    pub(crate) purposes: Vec<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) source: Option<String>,
    pub(crate) shared_with: Vec<String>,
    pub(crate) category: Option<String>,
}

/// A value of a record.
pub(crate) struct Cell {
    /// The field's place in its collection.
    pub(crate) field: usize,
    pub(crate) value: Value,
    pub(crate) masked: bool,
    /// Of a blob: where its content is in the package, and its hash.
    pub(crate) file: Option<File>,
}

/// The content of a blob.
#[derive(Clone)]
pub(crate) struct File {
    /// Its member in the ZIP; none in the other forms.
    pub(crate) name: Option<String>,
    pub(crate) sha256: [u8; 32],
}

/// The name of a blob's member: a number, the field, and an ending by the media type. Nothing in it was
/// chosen by whoever sent the blob, and it is no path.
pub(crate) fn file_name(number: usize, collection: &str, field: &str, media_type: &str) -> String {
    let ending = match media_type {
        "application/json" => "json",
        "application/pdf" => "pdf",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/ogg" => "ogg",
        "audio/wav" => "wav",
        "image/gif" => "gif",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "text/plain" => "txt",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        _ => "bin",
    };
    format!("files/{number:06}-{collection}-{field}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_place_and_never_by_what_its_sender_said() {
        assert_eq!(
            file_name(7, "profile", "photo", "image/png"),
            "files/000007-profile-photo.png"
        );
        for hostile in ["../../etc/passwd", "image/../../x", "text/html", ""] {
            assert_eq!(file_name(1, "c", "f", hostile), "files/000001-c-f.bin");
        }
    }
}

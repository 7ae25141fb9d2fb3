//! What calls about records take and give.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::corrections::CorrectionView;
use crate::id::RecordId;

/// One record as this caller may see it. No `Debug`: it holds values.
pub struct RecordView {
    /// Its id.
    pub record: RecordId,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it happened, if the bot said.
    pub occurred_at: Option<Timestamp>,
    /// Its revision, without quotes.
    pub etag: String,
    /// Values, some of them masked.
    pub fields: Map<String, Value>,
    /// Names of those that are masked.
    pub masked: Vec<String>,
    /// Fields that are not shown, and why; says nothing of whether they are stored.
    pub withheld: Vec<Withheld>,
    /// What is known beside the values.
    pub meta: MetaView,
    /// What the person corrected while a legal hold keeps the values as they are.
    pub corrections: Vec<CorrectionView>,
}

/// A field that is not shown.
#[derive(Clone, Debug)]
pub struct Withheld {
    /// Its name.
    pub field: String,
    /// The code of the refusal.
    pub code: &'static str,
}

/// A record's metadata.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MetaView {
    /// What the record may be used for, if that is less than the policy allows.
    pub purposes: Vec<String>,
    /// When it ends, if set for it alone.
    pub expires_at: Option<Timestamp>,
    /// Where it came from.
    pub source: Option<String>,
    /// Recipients who have it.
    pub shared_with: Vec<String>,
    /// A category of the controller's.
    pub category: Option<String>,
}

/// Silent about what was said of a person.
impl std::fmt::Debug for MetaView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetaView")
            .field("purposes", &self.purposes)
            .field("expires_at", &self.expires_at)
            .field("shared_with", &self.shared_with)
            .finish_non_exhaustive()
    }
}

/// Which part of a record a read is to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Values and metadata.
    #[default]
    Fields,
    /// Metadata alone.
    MetaOnly,
}

/// What a read is to show.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Fields by name; all that may be seen, if absent.
    pub fields: Option<Vec<String>>,
    /// Values or metadata.
    pub part: Part,
}

/// Which records come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were stored.
    #[default]
    Oldest,
    /// The other way round.
    Newest,
}

/// What a list is to show.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// Of each record.
    pub read: ReadOptions,
    /// 1 to 1,000 records.
    pub limit: usize,
    /// Which first.
    pub order: Order,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of a list.
pub struct RecordPage {
    /// The records.
    pub records: Vec<RecordView>,
    /// Leads to the next page for an hour; `None` on the last.
    pub next: Option<String>,
}

/// What a write leaves.
#[derive(Clone, Debug)]
pub struct Written {
    /// The record; `None` for the one of a `single` collection.
    pub record: Option<RecordId>,
    /// Its revision, without quotes; empty for one that is gone.
    pub etag: String,
    /// Until when a value that was replaced or removed is gone from freed pages as well.
    pub final_by: Option<Timestamp>,
    /// Whether it stands beside the original, which a legal hold keeps, and is made when that ends.
    pub beside: bool,
}

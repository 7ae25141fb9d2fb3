//! Which records of many people are meant: conditions over metadata alone.
//!
//! Knows nothing of values, and not of what a policy calls things: whoever makes a filter has read
//! the names. Times are milliseconds since 1970; a range begins with its start and ends before its
//! end, so that ranges that meet share no record.

use super::stored::{MetaRow, end_of, has_ended};
use crate::id::SubjectId;
use crate::policy::Collection;

/// What is meant of records that are past their end and still lie there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ended {
    /// None of them.
    #[default]
    Out,
    /// They alone.
    Only,
    /// They as well.
    In,
}

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// The id of a purpose, and whether a record that narrows nothing serves it.
    pub(crate) purpose: Option<(u16, bool)>,
    pub(crate) source: Option<String>,
    pub(crate) shared_with: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) ended: Ended,
    pub(crate) created_after: Option<i64>,
    pub(crate) created_before: Option<i64>,
    /// Before which the record ends; one that never does is not meant.
    pub(crate) expires_before: Option<i64>,
    /// Whose records.
    pub(crate) subject: Option<SubjectId>,
}

impl Filter {
    /// Whether a record with this metadata is meant; whose it is has been looked at.
    pub(super) fn fits(&self, collection: &Collection, row: &MetaRow, now: i64) -> bool {
        let Self {
            purpose,
            source,
            shared_with,
            category,
            ended,
            created_after,
            created_before,
            expires_before,
            subject: _,
        } = self;
        let meta = &row.meta;
        let same = |wanted: &Option<String>, has: &Option<String>| {
            wanted.is_none() || wanted.as_deref() == has.as_deref()
        };
        let serves = |(id, of_policy): (u16, bool)| match &*meta.purposes {
            [] => of_policy,
            own => own.contains(&id),
        };
        purpose.is_none_or(serves)
            && same(source, &meta.source)
            && same(category, &meta.category)
            && shared_with
                .as_ref()
                .is_none_or(|wanted| meta.shared_with.contains(wanted))
            && created_after.is_none_or(|start| row.created_at >= start)
            && created_before.is_none_or(|end| row.created_at < end)
            && match ended {
                Ended::Out => !has_ended(collection, row.created_at, meta, now),
                Ended::Only => has_ended(collection, row.created_at, meta, now),
                Ended::In => true,
            }
            && expires_before.is_none_or(|limit| {
                end_of(collection, row.created_at, meta).is_some_and(|end| end < limit)
            })
    }
}

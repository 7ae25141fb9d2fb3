//! Blobs: uploads and downloads that are decided anew with every megabyte.
//!
//! An upload commits its chunks a few at a time; whether they belong to anybody is decided by the
//! last commit, which puts the key into the field. A download holds neither key nor snapshot between
//! two slices, so that it ends when the person is erased or takes consent back.

mod download;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::HashMap;

use parking_lot::Mutex;

use super::call::Ground;
use super::reads::etag;
use super::writes::{NOT_REMOVED, check_revision, final_by};
use super::{Call, Vault, Written, input};
use crate::blob;
use crate::commit::View;
use crate::decision;
use crate::id::{RecordId, SubjectId};
use crate::limits::{SWEEP_COMMITS_MAX, SWEEP_ROWS_MAX, UPLOADS_MAX, UPLOADS_PER_PERSON_MAX};
use crate::policy::{BlobRule, Collection, CollectionKind, Field, Policy};
use crate::record::{self, Patch, Stored};
use crate::refusal::Refusal;
use crate::store::{Direction, KeyRange, Table};

pub use download::{Download, Look};
pub use upload::{BlobWritten, Upload};

/// Which blob.
#[derive(Clone, Debug)]
pub struct BlobPlace {
    /// Whose.
    pub subject: SubjectId,
    /// The collection's name.
    pub collection: String,
    /// The record; `None` for the one of a `single` collection.
    pub record: Option<RecordId>,
    /// The field's name.
    pub field: String,
}

impl BlobPlace {
    fn record(&self) -> RecordId {
        self.record.unwrap_or(RecordId::SINGLE)
    }

    /// Collection and field, which the policy knows and which holds blobs.
    fn find<'p>(
        &self,
        policy: &'p Policy,
    ) -> Result<(&'p Collection, &'p Field, &'p BlobRule), Refusal> {
        let collection = input::collection(policy, &self.collection)?;
        match (collection.kind, self.record) {
            (CollectionKind::Many, None) => {
                return Err(Refusal::Conflict(format!(
                    "`{}` holds many records: name one, …/blobs/{{collection}}/{{record}}/{{field}}",
                    collection.name
                )));
            }
            (CollectionKind::Single, Some(_)) => return Err(Refusal::NotFound("record")),
            _ => {}
        }
        let field = collection.field(&self.field);
        let found = field.and_then(|field| Some((collection, field, field.blob.as_ref()?)));
        found.ok_or(Refusal::NotFound("field of type blob"))
    }
}

/// Uploads under way in this process: the sweeper leaves theirs alone.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<[u8; 32], SubjectId>>);

impl Uploads {
    fn enter(&self, key: [u8; 32], subject: SubjectId) -> Result<(), Refusal> {
        let mut live = self.0.lock();
        if live.len() >= UPLOADS_MAX {
            return Err(Refusal::Overloaded);
        }
        if live.values().filter(|of| **of == subject).count() >= UPLOADS_PER_PERSON_MAX {
            return Err(Refusal::Conflict(format!(
                "{UPLOADS_PER_PERSON_MAX} uploads are under way for this person; wait for one to end"
            )));
        }
        live.insert(key, subject);
        Ok(())
    }

    fn leave(&self, key: &[u8; 32]) {
        self.0.lock().remove(key);
    }

    fn is_live(&self, key: &[u8]) -> bool {
        self.0.lock().keys().any(|live| live == key)
    }
}

impl Vault {
    /// Removes a blob from its field.
    ///
    /// # Errors
    ///
    /// As for [`Vault::begin_upload`], but for consent, media type and size; [`Refusal::NotFound`]
    /// where nothing is stored.
    pub fn delete_blob(
        &self,
        call: &Call<'_>,
        place: BlobPlace,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let if_match = if_match.map(str::to_owned);
        self.write(call, "blobs.delete", move |txn, policy, context, noted| {
            noted.met = Some(place.subject);
            context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
            let (collection, field, _) = place.find(policy)?;
            let role = &*context.role(policy)?;
            decision::may_write_any(collection, role)?;
            context.corrects(policy)?;
            let mut person = context.person(txn, place.subject)?;
            noted.person(&person, txn.now());
            let ground = context.ground_to_change(txn, policy, role, &person, collection)?;
            let Ground {
                purpose,
                standing,
                ended,
                held: _,
                term: _,
            } = ground.unheld(collection)?;
            decision::unheld(collection, standing.holds(collection.id), NOT_REMOVED)?;
            let grant = decision::write(collection, role, purpose, &[], &[field], &standing)?;
            noted.fields.push((collection.id, field.id));
            let stored = Stored::load(txn, &person, collection, place.record(), ended)?;
            let stored = stored.filter(|stored| stored.holds(field.id));
            let stored = stored.ok_or(Refusal::NotFound("blob"))?;
            check_revision(Some(&stored), if_match.as_deref())?;
            let patch = Patch {
                fields: vec![(field.id, None)],
                meta: None,
                occurred_at: None,
            };
            let outcome = record::change(
                txn,
                &mut person,
                collection,
                policy.version(),
                &grant,
                place.record(),
                Some(stored),
                &patch,
            )?;
            context.note_act(txn, policy, &mut person)?;
            Ok(Written {
                record: place.record,
                etag: etag(&outcome.revision),
                final_by: Some(final_by(txn.now())),
                beside: false,
            })
        })
    }

    /// Deletes the rows of uploads that ended without an answer, and what removals left; whether any
    /// remain. Bounded.
    pub(super) fn sweep_uploads(&self) -> Result<bool, Refusal> {
        let snapshot = self.snapshot()?;
        let all = KeyRange::all();
        let listed =
            snapshot
                .tx()
                .keys(Table::Uploads, &all, Direction::Ascending, SWEEP_ROWS_MAX)?;
        drop(snapshot);
        let mut commits = 0..SWEEP_COMMITS_MAX;
        // An upload enters before its first row is committed: what is listed and not live has ended.
        for key in listed.into_iter().filter(|key| !self.uploads.is_live(key)) {
            let mut done = false;
            while !done {
                if commits.next().is_none() {
                    return Ok(true);
                }
                let key = key.clone();
                done = self.engine.submit(move |txn| blob::clear(txn, &key))?;
            }
        }
        Ok(false)
    }
}

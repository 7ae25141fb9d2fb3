//! Fields of type `blob`: what a record holds of them, and how their content goes with them.

use super::stored::Stored;
use super::upkeep::end;
use super::{Outcome, Revision, key_number};
use crate::blob::{self, Blob};
use crate::commit::{Txn, View};
use crate::decision::{ContentGrant, WriteGrant};
use crate::id::RecordId;
use crate::person::{DAMAGED, Person};
use crate::policy::Collection;
use crate::refusal::Refusal;

impl Stored {
    /// The blob that a field holds, with its key; `None` where it holds none.
    pub(crate) fn content(
        &self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        field: u16,
        _grant: &ContentGrant,
    ) -> Result<Option<Blob>, Refusal> {
        if !self.envelopes.contains_key(&field) {
            return Ok(None);
        }
        self.blob(view, person, collection, field).map(Some)
    }

    /// The blob in a field that is there.
    pub(super) fn blob(
        &self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        field: u16,
    ) -> Result<Blob, Refusal> {
        let bytes = self.open_bytes(view, person, collection, field)?;
        Blob::decode(&bytes).ok_or(DAMAGED)
    }

    /// Removes the content of every blob in the record, as far as `budget` reaches. Looks at the
    /// values and not at the policy, which may have lost the field.
    pub(super) fn remove_contents(
        &self,
        txn: &mut Txn<'_>,
        person: &Person,
        collection: u16,
        budget: &mut usize,
    ) -> Result<(), Refusal> {
        if !blob::any(txn, person.entry.handle)? {
            return Ok(());
        }
        for field in self.envelopes.keys() {
            let bytes = self.open_bytes(txn, person, collection, *field)?;
            if let Some(blob) = Blob::decode(&bytes) {
                blob::remove(txn, person.entry.handle, blob.key.id, budget)?;
            }
        }
        Ok(())
    }
}

/// Puts a blob whose chunks are written into a field of a record, which is made where there is none.
#[expect(clippy::too_many_arguments, reason = "each is a fact about one write")]
pub(crate) fn put_blob(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    schema: u32,
    _grant: &WriteGrant,
    stored: Option<Stored>,
    id: RecordId,
    field: u16,
    blob: &Blob,
    budget: &mut usize,
) -> Result<Outcome, Refusal> {
    let mut stored = match stored {
        Some(stored) => stored,
        None => {
            end(txn, person, collection, id)?;
            Stored::begin(collection, id, Revision::default(), schema, txn.now())
        }
    };
    let mut revision = Revision::default();
    txn.entropy().fill(&mut revision);
    stored.advance(revision, schema);
    let number = key_number(txn, person, stored.compartment)?;
    let replaced = stored.envelopes.contains_key(&field);
    if replaced {
        let old = stored.blob(txn, person, collection.id, field)?;
        blob::remove(txn, person.entry.handle, old.key.id, budget)?;
    }
    let value = blob.encode();
    stored.put_in(txn, person, collection.id, field, number, &value)?;
    let expiry = stored.expiry(collection);
    stored.write(txn, person, collection.id, number, expiry)?;
    if replaced {
        person.mark_dirty(txn, stored.compartment)?;
    }
    Ok(Outcome {
        id: stored.id,
        revision,
        replaced,
    })
}

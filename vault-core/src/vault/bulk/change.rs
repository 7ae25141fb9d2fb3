//! Records of many people, changed or destroyed in bounded commits.
//!
//! Who is concerned is found over a snapshot, so that the writer is not kept from others; each
//! commit then decides again, by the policy in force and the records as they are.

use std::collections::BTreeMap;

use super::super::call::{Context, Noted};
use super::super::{Call, Vault};
use super::{Admitted, Ids};
use crate::commit::Txn;
use crate::decision::WriteGrant;
use crate::id::{RecordId, SubjectId};
use crate::person::Person;
use crate::record::{Known, Page, Stretch};
use crate::refusal::Refusal;
use crate::standing::Standing;

/// A change that was only counted.
pub(super) const COUNT: &str = "records.count";

/// What a commit did.
#[derive(Default)]
pub(super) struct Done {
    pub(super) count: u64,
    pub(super) unchanged: u64,
    pub(super) people_skipped: u64,
    pub(super) ids: Vec<(SubjectId, RecordId)>,
    /// Keys that went, by compartment.
    pub(super) keys: BTreeMap<u16, u64>,
    pub(super) epochs: Option<(u64, u64)>,
}

/// The person of a segment, unless they are gone since or may not be touched.
pub(super) fn person(
    txn: &Txn<'_>,
    admitted: &Admitted<'_>,
    subject: SubjectId,
    done: &mut Done,
) -> Result<Option<(Person, WriteGrant)>, Refusal> {
    let person = match Person::find(txn, subject) {
        Ok(person) if !admitted.context.reaches(txn, &person)? => return Ok(None),
        Ok(person) => person,
        Err(Refusal::Erased { .. }) => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    match admitted.may_change(&Standing::of(txn, &person)?) {
        Ok(grant) => Ok(Some((person, grant))),
        Err(_) => {
            done.people_skipped += 1;
            Ok(None)
        }
    }
}

/// The pages of a stretch as they are in the transaction.
pub(super) fn pages(
    txn: &mut Txn<'_>,
    person: &Person,
    admitted: &Admitted<'_>,
    mut stretch: Stretch,
    mut take: impl FnMut(&mut Txn<'_>, Vec<Known>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let (handle, collection) = (person.entry.handle, admitted.collection);
    let filter = &admitted.filter;
    loop {
        let page = Page::read(txn, handle, collection, filter, stretch)?;
        let known = page.fitting(txn, person, collection, filter)?;
        take(txn, known)?;
        let Some(last) = page.more_after() else {
            return Ok(());
        };
        stretch.after = Some(last);
    }
}

/// Adds to the entry of a commit what it did.
pub(super) fn note(noted: &mut Noted, admitted: &Admitted<'_>, done: &Done) {
    let mut ids = Ids::default();
    done.ids
        .iter()
        .for_each(|(subject, id)| ids.add(*subject, *id));
    noted.records = Some(ids.finish());
    admitted.note_fields(noted);
}

impl Vault {
    /// The entry of a call that changed nothing.
    pub(super) fn note_count(
        &self,
        call: &Call<'_>,
        action: &'static str,
        ids: &Ids,
    ) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        let noted = Noted {
            records: Some(ids.finish()),
            ..Noted::default()
        };
        let policy = self.policy_of(&snapshot)?;
        self.note(&Context::new(call), &policy, &snapshot, action, noted, "ok")
    }
}

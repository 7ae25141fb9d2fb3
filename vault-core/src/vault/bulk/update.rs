//! Metadata of many, changed without a look at their values.

use serde_json::Value;

use super::super::input::error;
use super::super::{Call, Vault};
use super::change::{COUNT, Done, note, pages, person};
use super::find::{Portion, Segment};
use super::{Admitted, ChangeInput, Ids, Place, wanted};
use crate::commit::Txn;
use crate::policy::{Capability, Policy};
use crate::record::{self, Ended, Known, MetaPatch};
use crate::refusal::Refusal;

const UPDATE: &str = "records.update";

/// What an update of many did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Records that were changed.
    pub count: u64,
    /// Records that are meant and serve fewer purposes already: they stay as they are.
    pub unchanged: u64,
    /// People who may not be touched now.
    pub people_skipped: u64,
}

fn update(
    txn: &mut Txn<'_>,
    policy: &Policy,
    admitted: &Admitted<'_>,
    patch: &MetaPatch,
    segments: &[Segment],
) -> Result<Done, Refusal> {
    let mut done = Done::default();
    for Segment { subject, stretch } in segments {
        let Some((person, grant)) = person(txn, admitted, *subject, &mut done)? else {
            continue;
        };
        pages(txn, &person, admitted, *stretch, |txn, known| {
            let meant = known.len();
            let known: Vec<Known> = known.into_iter().filter(|k| patch.suits(k)).collect();
            done.unchanged += (meant - known.len()) as u64;
            done.count += known.len() as u64;
            done.ids
                .extend(known.iter().map(|known| (*subject, known.id)));
            let (collection, version) = (admitted.collection, policy.version());
            record::amend(txn, &person, collection, version, &grant, patch, known)
        })?;
        if patch.narrows() {
            txn.revoke(*subject);
        }
    }
    Ok(done)
}

impl Vault {
    /// Changes the metadata of many records and leaves their values where they are. Runs in several
    /// commits; a refusal in the middle leaves what was committed, and the same call again goes on.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::RoleDenied`], [`Refusal::NotFound`],
    /// [`Refusal::PurposeDenied`], [`Refusal::Invalid`]; and those of every write.
    pub fn update_records(
        &self,
        call: &Call<'_>,
        input: &ChangeInput,
        set: &Value,
    ) -> Result<Updated, Refusal> {
        let capability = Capability::RecordsBulk;
        let parse = |admitted: &Admitted<'_>, policy: &Policy| {
            if admitted.filter.ended == Ended::Only {
                let detail = "a record that has ended is not changed any more; purge it";
                let error = error("/where/expired", "ended", detail);
                return Err(Refusal::Invalid(vec![error]));
            }
            wanted::patch(policy, admitted.collection, set)
        };
        let mut sum = Updated::default();
        let mut counted = Ids::default();
        let mut place = Some(Place::START);
        let mut committed = false;
        while let Some(from) = place {
            let batch = self.find(
                call,
                (UPDATE, capability, Ended::Out, Portion::Records),
                input,
                from,
                &parse,
                &mut |patch: &MetaPatch, subject, known| match patch.suits(known) {
                    _ if !input.dry_run => {}
                    true => counted.add(subject, known.id),
                    false => sum.unchanged += 1,
                },
            )?;
            place = batch.place;
            if input.dry_run || batch.segments.is_empty() {
                continue;
            }
            committed = true;
            let (input, set, segments) = (input.clone(), set.clone(), batch.segments);
            let done = self.write(call, UPDATE, move |txn, policy, context, noted| {
                let ended = Ended::Out;
                let admitted = Admitted::to_change(policy, context, capability, &input, ended)?;
                let patch = wanted::patch(policy, admitted.collection, &set)?;
                let done = update(txn, policy, &admitted, &patch, &segments)?;
                note(noted, &admitted, &done);
                Ok(done)
            })?;
            sum.count += done.count;
            sum.unchanged += done.unchanged;
            sum.people_skipped += done.people_skipped;
        }
        if input.dry_run {
            sum.count = counted.count;
            self.note_count(call, COUNT, &counted)?;
        } else if !committed {
            self.note_count(call, UPDATE, &counted)?;
        }
        Ok(sum)
    }
}

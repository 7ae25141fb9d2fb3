//! Records of many, destroyed together with the keys that they lay under.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{Call, Vault};
use super::change::{COUNT, Done, note, pages, person};
use super::find::{Portion, Segment};
use super::{Admitted, ChangeInput, Ids, Place};
use crate::audit::hex;
use crate::commit::Txn;
use crate::id::{ReceiptId, RecordId};
use crate::outbox;
use crate::person::{Erasure, keep_destroyed};
use crate::policy::Capability;
use crate::record::{self, Ended};
use crate::refusal::Refusal;

const PURGE: &str = "records.purge";

/// What a purge did.
#[derive(Clone, Debug, Default)]
pub struct Purged {
    /// Records that are gone.
    pub count: u64,
    /// People who may not be touched now.
    pub people_skipped: u64,
    /// Stands for the destruction of their keys; none where nothing was destroyed.
    pub receipt: Option<Value>,
}

fn purge(
    txn: &mut Txn<'_>,
    admitted: &Admitted<'_>,
    segments: &[Segment],
) -> Result<Done, Refusal> {
    let mut done = Done::default();
    for Segment { subject, stretch } in segments {
        let Some((mut person, grant)) = person(txn, admitted, *subject, &mut done)? else {
            continue;
        };
        let mut all = Vec::new();
        pages(txn, &person, admitted, *stretch, |_, known| {
            all.extend(known);
            Ok(())
        })?;
        if all.is_empty() {
            continue;
        }
        for number in record::purge(txn, &mut person, admitted.collection, &grant, &all)? {
            *done.keys.entry(number).or_default() += 1;
        }
        let records: Vec<RecordId> = all.iter().map(|known| known.id).collect();
        outbox::purged(txn, &person, admitted.collection.id)?;
        keep_destroyed(txn, person.entry.handle, admitted.collection.id, &records);
        done.count += all.len() as u64;
        done.ids
            .extend(all.iter().map(|known| (*subject, known.id)));
        txn.revoke(*subject);
    }
    done.epochs = (!done.ids.is_empty()).then(|| txn.epochs());
    Ok(done)
}

impl Vault {
    /// Destroys many records, and the keys that they lay under: once this has returned they open
    /// nowhere, in freed pages neither. Runs in several commits, a person wholly in one of them, each
    /// as final as the whole; the same call again goes on where one was interrupted.
    ///
    /// # Errors
    ///
    /// As for [`Vault::update_records`]; [`Refusal::AnchorUnavailable`].
    pub fn purge_records(&self, call: &Call<'_>, input: &ChangeInput) -> Result<Purged, Refusal> {
        let capability = Capability::RecordsPurge;
        let mut sum = Purged::default();
        let mut ids = Ids::default();
        let mut keys: BTreeMap<u16, u64> = BTreeMap::new();
        let mut epochs: Option<(u64, u64)> = None;
        let mut place = Some(Place::START);
        while let Some(from) = place {
            let batch = self.find(
                call,
                (PURGE, capability, Ended::In, Portion::People),
                input,
                from,
                &|_, _| Ok(()),
                &mut |(), subject, known| {
                    if input.dry_run {
                        ids.add(subject, known.id);
                    }
                },
            )?;
            place = batch.place;
            if input.dry_run || batch.segments.is_empty() {
                continue;
            }
            let (input, segments) = (input.clone(), batch.segments);
            let done = self.write(call, PURGE, move |txn, policy, context, noted| {
                let ended = Ended::In;
                let admitted = Admitted::to_change(policy, context, capability, &input, ended)?;
                let done = purge(txn, &admitted, &segments)?;
                note(noted, &admitted, &done);
                Ok(done)
            })?;
            sum.people_skipped += done.people_skipped;
            for (subject, id) in &done.ids {
                ids.add(*subject, *id);
            }
            for (compartment, count) in done.keys {
                *keys.entry(compartment).or_default() += count;
            }
            if let Some((before, after)) = done.epochs {
                epochs = Some((epochs.map_or(before, |(first, _)| first), after));
            }
        }
        sum.count = ids.count;
        match epochs {
            Some(epochs) => {
                let collection = input.collection.clone();
                sum.receipt = Some(self.purge_receipt(call, collection, ids, keys, epochs)?);
            }
            None if input.dry_run => self.note_count(call, COUNT, &ids)?,
            None => self.write(call, PURGE, move |txn, _, _, noted| {
                txn.close_erasure();
                noted.records = Some(ids.finish());
                Ok(())
            })?,
        }
        Ok(sum)
    }

    /// The receipt of a purge whose commits are through, with its entry.
    fn purge_receipt(
        &self,
        call: &Call<'_>,
        collection: String,
        ids: Ids,
        keys: BTreeMap<u16, u64>,
        epochs: (u64, u64),
    ) -> Result<Value, Refusal> {
        let (count, digest) = ids.finish();
        let (id, mut document) = self.write(call, PURGE, move |txn, _, _, noted| {
            let destroyed = keys
                .iter()
                .map(|(compartment, keys)| json!({"compartment": compartment, "keys": keys}));
            let erasure = Erasure {
                scope: "purge",
                about: &digest,
                opening: ("records_sha256", hex(&digest)),
                destroyed: destroyed.collect(),
                kept: Vec::new(),
                epochs,
                more: vec![("collection", json!(collection)), ("records", json!(count))],
            };
            let id = ReceiptId::generate(txn.entropy());
            let receipt = erasure.receipt(txn, id)?;
            txn.close_erasure();
            noted.receipt = Some((receipt.id, receipt.body_sha256));
            noted.records = Some((count, digest));
            Ok((receipt.id, receipt.document))
        })?;
        self.prove(id, &mut document);
        Ok(document)
    }
}

//! The people of a backup who are to come back: read by one thread, opened by several, passed on in the order
//! of their handles.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::writer::{Between, Blocks, Work};
use crate::automated;
use crate::backup::bundle::{Bundle, Rows};
use crate::backup::error::BackupError;
use crate::backup::ledger::Replay;
use crate::backup::open::{self, Counts, Depth, Missing};
use crate::backup::read::{Found, OpenSource, People};
use crate::backup::verify::{Tell, keyset_of, missing_keys};
use crate::consent;
use crate::crypto::{Secret, sha256};
use crate::entropy::{Entropy, OsEntropy, OsReserve};
use crate::events::{self, Topic};
use crate::id::{RecordId, RowHandle};
use crate::keys::keyset::{PersonEntry, people_tag};
use crate::keys::system::{DECISION_FIELD, Placement, Places, REQUEST_FIELD, index_entry};
use crate::limits::RESTORE_BUNDLE_BYTES;
use crate::person::nameless_row;
use crate::request::restored::{self, Had};
use crate::rotation;
use crate::store::Table;

/// Which record a correction is about that waits for the end of a legal hold.
#[derive(Deserialize)]
struct Beside {
    collection: u16,
    record: [u8; RecordId::BYTES],
}

/// By what is decided who comes back, and with what.
pub(super) struct Reading<'a> {
    open: &'a OpenSource,
    replay: &'a Replay,
    places: Places,
    missing: Missing,
    /// Of so many people one is opened whole, beginning somewhere.
    every: (u16, u16),
    /// The set of look-up keys that the backup was made under.
    set: u32,
    /// Who is gone, by hash as well: an entry of the ledger may be older than the handle.
    gone: BTreeSet<[u8; 32]>,
}

/// What came back.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) counts: Counts,
    pub(super) withdrawn: u64,
    pub(super) demands: u64,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        open: &'a OpenSource,
        replay: &'a Replay,
        placement: &Placement,
        opened: u64,
    ) -> Result<Self, BackupError> {
        let mut first = [0; 2];
        OsEntropy.fill(&mut first);
        Ok(Self {
            open,
            replay,
            places: placement.places(),
            missing: missing_keys(open)?,
            every: (
                u16::try_from(open.source.manifest.people / opened.max(1)).unwrap_or(u16::MAX),
                u16::from_be_bytes(first),
            ),
            set: open.system.index_set(),
            gone: replay.erased.values().map(|e| e.subject_sha256).collect(),
        })
    }

    /// Reads everybody, and gives them to those who open.
    pub(super) fn read(&self, out: &mut Blocks, tell: Tell<'_>) -> Result<Totals, BackupError> {
        let mut people = People::new(self.open)?;
        let (mut bundle, mut totals, mut seen) = (Bundle::default(), Totals::default(), 0);
        let entropy = &mut OsReserve::default();
        while let Some(found) = people.next()? {
            seen += 1;
            if seen % 256 == 0 {
                tell(seen, self.open.source.manifest.people)?;
            }
            if !bundle.add(&mut people, found, RESTORE_BUNDLE_BYTES)? {
                // Somebody with so much that it never is in memory at once.
                let bundle = std::mem::take(&mut bundle);
                let others = bundle.len() - 1;
                for (found, mut rows) in bundle.people().take(others) {
                    self.person(found, &mut rows, out, (&mut totals, entropy))?;
                }
                if let Some((found, mut rows)) = bundle.last(&mut people) {
                    self.person(found, &mut rows, out, (&mut totals, entropy))?;
                }
                out.pass()?;
            } else if bundle.bytes() >= RESTORE_BUNDLE_BYTES {
                out.give(Work::Open(std::mem::take(&mut bundle)))?;
            }
        }
        out.give(Work::Open(bundle))?;
        Ok(totals)
    }

    /// Opens what comes in, and passes on a block for each.
    pub(super) fn open(&self, (works, blocks, spare): &Between) -> Result<Totals, BackupError> {
        let (mut totals, entropy) = (Totals::default(), &mut OsReserve::default());
        for work in works {
            let block = match work {
                Work::Ready(block) => block,
                Work::Open(bundle) => {
                    let mut out = Blocks::one(spare);
                    for (found, mut rows) in bundle.people() {
                        self.person(found, &mut rows, &mut out, (&mut totals, entropy))?;
                    }
                    out.into_block()
                }
            };
            // The writer has ended: its own error is the reason.
            blocks.send(block).map_err(|_| BackupError::Cancelled)?;
        }
        Ok(totals)
    }

    /// Every object is as it was signed, and so are the places of its rows. That envelopes open is tried over
    /// people anywhere: `backup verify` tries it over all of them.
    fn depth(&self, handle: RowHandle) -> Depth {
        let (every, first) = self.every;
        let [.., a, b] = handle.as_bytes();
        match (u16::from_be_bytes([*a, *b]) ^ first) % every.max(1) {
            0 => Depth::Whole,
            _ => Depth::Keys,
        }
    }

    /// Passes on everything of one person, unless they are gone.
    fn person(
        &self,
        found: &Found,
        rows: &mut Rows<'_, '_>,
        out: &mut Blocks,
        (totals, entropy): (&mut Totals, &mut dyn Entropy),
    ) -> Result<(), BackupError> {
        let (manifest, replay) = (&self.open.source.manifest, self.replay);
        let vault = manifest.vault;
        let mut keyset = keyset_of(manifest, &found.keyset)?;
        if replay.erased.contains_key(&found.handle)
            || (!self.gone.is_empty() && self.gone.contains(&sha256(&[keyset.subject.as_bytes()])))
        {
            return Ok(());
        }
        if let Some(gone) = replay.keys.get(&found.handle) {
            keyset.keys.retain(|dek| !gone.contains(&dek.number));
        }
        let hold = replay.holds.get(&found.handle);
        let remains = hold.is_some_and(|hold| hold.erasure.is_some());
        let removed = replay.removed.get(&found.handle);
        let (removed_before, mut dropped) = (totals.counts.removed, false);
        let (mut next, mut had) = (BTreeMap::<u16, u32>::new(), Had::default());
        let mut collections: BTreeSet<u16> = BTreeSet::new();
        let there = open::person(
            rows,
            found.handle,
            (vault, &keyset),
            replay,
            (self.missing, self.depth(found.handle)),
            &mut totals.counts,
            &mut |table, key, value| {
                if table == Table::Consents
                    && let Ok([a, b, c, d, e, f]) = <[u8; 6]>::try_from(&key[16..])
                {
                    let topic = u16::from_be_bytes([a, b]);
                    next.insert(topic, u32::from_be_bytes([c, d, e, f]) + 1);
                }
                if let (Table::RecordMeta, Some([a, b])) = (table, key.get(16..18)) {
                    collections.insert(u16::from_be_bytes([*a, *b]));
                }
                if table == Table::Consents && events::is_about(key, Topic::Correction) {
                    let row: Option<Beside> =
                        events::open_row(vault, found.handle, &keyset, key, value);
                    let what = "a correction is not of its form";
                    let row =
                        row.ok_or_else(|| BackupError::damaged(manifest.object("keys"), what))?;
                    // It has values of the record that it was about, and goes with it.
                    let let_go = hold.is_some_and(|hold| remains && !hold.covers(row.collection));
                    let gone =
                        removed.is_some_and(|all| all.contains(&(row.collection, row.record)));
                    if let_go || gone {
                        dropped = true;
                        return Ok(());
                    }
                }
                let step = table == Table::Consents && events::is_about(key, Topic::Request);
                if remains && step {
                    let row = restored::silent((vault, found.handle, &keyset), key, value);
                    let what = "a step of a request is not of its form";
                    let row =
                        row.ok_or_else(|| BackupError::damaged(manifest.object("keys"), what))?;
                    // Seen without its words, too: a step that the ledger adds is made of the last one.
                    had.see((vault, found.handle, &keyset), table, key, &row);
                    return out.row(table, key, &row);
                }
                had.see((vault, found.handle, &keyset), table, key, value);
                if remains && table == Table::Consents && events::is_about(key, Topic::Decision) {
                    let row = automated::stored::silent((vault, found.handle, &keyset), key, value);
                    let what = "a step of a decision is not of its form";
                    let row =
                        row.ok_or_else(|| BackupError::damaged(manifest.object("keys"), what))?;
                    return out.row(table, key, &row);
                }
                if remains && table == Table::Subjects {
                    let row = nameless_row(vault, found.handle, &keyset, value);
                    let what = "a person's own row is not of its form";
                    let row =
                        row.ok_or_else(|| BackupError::damaged(manifest.object("keys"), what))?;
                    return out.row(table, key, &row);
                }
                out.row(table, key, value)
            },
        )?;
        if !there {
            return Ok(());
        }
        if dropped || totals.counts.removed > removed_before {
            // What was removed lies in older copies under keys that live on with what was not: the sweeper
            // makes new ones for everything. Among the marks that the backup had.
            let (key, value) = rotation::begun(found.handle, &keyset);
            out.change(Table::Dirty, key, Some(value))?;
        }
        if remains {
            // Nobody finds them any more, but by the id of a request or a decision.
            keyset
                .lookups
                .retain(|lookup| [REQUEST_FIELD, DECISION_FIELD].contains(&lookup.field));
        }
        if let Some(removed) = replay.removed.get(&found.handle) {
            // Nor may the index lead to somebody by what was in a record that is gone.
            let gone: BTreeSet<u16> = removed
                .iter()
                .map(|(collection, _)| *collection)
                .filter(|collection| !collections.contains(collection))
                .collect();
            let lookups = &mut keyset.lookups;
            lookups.retain(|lookup| !gone.contains(&lookup.field.0));
        }
        let entry = PersonEntry {
            kek: Secret::generate(entropy),
            handle: found.handle,
        };
        for (purpose, at) in replay.withdrawn.get(&found.handle).into_iter().flatten() {
            // Who never agreed, as far as this backup knows, has nothing to withdraw.
            let Some(sequence) = next.get_mut(purpose) else {
                continue;
            };
            let event = consent::withdrawal(
                vault,
                &entry,
                &mut keyset,
                (*purpose, *sequence, *at),
                entropy,
            );
            let Some((key, value)) = event else {
                let what = "a withdrawn consent has no room in the keyset";
                return Err(BackupError::damaged(manifest.object("keys"), what));
            };
            // Behind what this person said of the purpose, and before what they said of the next.
            out.change(Table::Consents, key.to_vec(), Some(value))?;
            *sequence += 1;
            totals.withdrawn += 1;
        }
        // How an objection, a restriction or a hold stands, a contract or an age is told whatever this backup knows of it.
        let objections = replay.objections.get(&found.handle).into_iter().flatten();
        let objections = objections.map(|(purpose, event)| {
            let topic = Topic::Objection(*purpose);
            (topic, serde_json::to_value(event))
        });
        let restriction = replay.restrictions.get(&found.handle);
        let restriction =
            restriction.map(|event| (Topic::Restriction, serde_json::to_value(event)));
        let hold = hold.map(|event| (Topic::Hold, serde_json::to_value(event)));
        let contracts = replay.contracts.get(&found.handle).into_iter().flatten();
        let contracts = contracts.map(|(purpose, event)| {
            let topic = Topic::Contract(*purpose);
            (topic, serde_json::to_value(event))
        });
        let age = replay.ages.get(&found.handle);
        let age = age.map(|event| (Topic::Age, serde_json::to_value(event)));
        // In the order of their keys.
        let demands = contracts
            .chain(restriction)
            .chain(hold)
            .chain(age)
            .chain(objections);
        for (topic, event) in demands {
            let sequence = next.entry(topic.number()).or_default();
            let row = event.ok().and_then(|event| {
                let place = (topic, *sequence);
                events::row_of(vault, &entry, &mut keyset, place, &event, entropy)
            });
            let Some((key, value)) = row else {
                let what =
                    "what was demanded or said of this person since has no room in the keyset";
                return Err(BackupError::damaged(manifest.object("keys"), what));
            };
            out.change(Table::Consents, key.to_vec(), Some(value))?;
            *sequence += 1;
            totals.demands += 1;
        }
        if let Some(told) = replay.requests.get(&found.handle) {
            let sequence = next.entry(Topic::Request.number()).or_default();
            let at = (*sequence, self.set);
            let back = had.bring_back(vault, &entry, &mut keyset, told, at, entropy);
            let what = "a request has no room in the keyset";
            let back = back.ok_or_else(|| BackupError::damaged(manifest.object("keys"), what))?;
            for (table, key, value) in back {
                out.change(table, key, value)?;
            }
            totals.demands += u64::try_from(told.len()).unwrap_or(u64::MAX);
        }
        // Those that a rotation was making, or had to take away, are of keys that are not there.
        keyset.lookups.retain(|lookup| lookup.set == self.set);
        let handle = *found.handle.as_bytes();
        out.row(Table::Keysets, &handle, &keyset.seal(vault, &entry))?;
        out.person(people_tag(keyset.subject), entry.to_payload());
        for lookup in &keyset.lookups {
            let (subject, handle) = (keyset.subject, entry.handle);
            let (tag, payload) = index_entry(&self.places, &lookup.mark, subject, handle);
            out.index(tag, payload);
        }
        Ok(())
    }
}

//! Requests of somebody who comes back from a backup: that one came in, or ended, after the backup was made.
//!
//! The erasure ledger says so without a word of the person, and the clock of an open one runs on. Works on rows
//! of a vault that is being made, and so on keys alone.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::stored::{FromLedger, RequestEvent, RequestRow, Scope, StepWord, mark};
use super::{Level, RequestKind, RequestState};
use crate::crypto::{Location, key_number, seal};
use crate::deadline::Due;
use crate::entropy::Entropy;
use crate::events::{self, Topic};
use crate::id::{RequestId, RowHandle, VaultId};
use crate::keys::keyset::{Compartment, Keyset, Lookup, PersonEntry};
use crate::keys::system::REQUEST_FIELD;
use crate::row;
use crate::store::Table;

/// What the ledger says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which right.
    pub kind: RequestKind,
    /// How far it had come.
    pub state: RequestState,
    /// How well it was known who asked.
    pub level: Level,
    /// When it came in.
    pub received: Timestamp,
    /// Until when it is to be answered.
    pub due: Due,
    /// Whether that is later because it was extended.
    pub extended: bool,
    /// Of which collections; of all, where there is none.
    pub collections: Vec<u16>,
    /// When the entry was written.
    pub at: Timestamp,
}

/// The requests of a person, as a backup has them.
#[derive(Default)]
pub(crate) struct Had {
    last: BTreeMap<RequestId, RequestEvent>,
    rows: BTreeMap<RequestId, Vec<u8>>,
}

/// A row to be written, or without a value to be left out.
pub(crate) type Change = (Table, Vec<u8>, Option<Vec<u8>>);

impl Had {
    /// Takes note of a row of the backup.
    pub(crate) fn see(
        &mut self,
        (vault, handle, keyset): (VaultId, RowHandle, &Keyset),
        table: Table,
        key: &[u8],
        value: &[u8],
    ) {
        let own = events::is_about(key, Topic::Request);
        if table == Table::Consents && own {
            let event = events::open_row(vault, handle, keyset, key, value);
            self.last
                .extend(event.map(|event: RequestEvent| (event.request, event)));
        }
        let request = key.get(16..32).and_then(|part| part.try_into().ok());
        if let (Table::Requests, Some(request)) = (table, request) {
            self.rows
                .insert(RequestId::from_bytes(request), key.to_vec());
        }
    }

    /// The rows that say what the ledger tells and the backup does not know. `None` where the keyset has no room.
    pub(crate) fn bring_back(
        &self,
        vault: VaultId,
        entry: &PersonEntry,
        keyset: &mut Keyset,
        told: &BTreeMap<RequestId, Told>,
        (mut next, set): (u32, u32),
        entropy: &mut dyn Entropy,
    ) -> Option<Vec<Change>> {
        let mut changes = Vec::new();
        for (request, told) in told {
            let known = self.last.get(request);
            let same = |event: &RequestEvent| {
                let (state, due) = (event.state, event.strict);
                (state, due) == (told.state, told.due)
                    && event.scope.collections == told.collections
            };
            if known.is_some_and(same) {
                continue;
            }
            let event = event(*request, told, known);
            let place = (Topic::Request, next);
            let (key, value) = events::row_of(vault, entry, keyset, place, &event, entropy)?;
            changes.push((Table::Consents, key, Some(value)));
            next += 1;
            if let Some(key) = self.rows.get(request) {
                changes.push((Table::Requests, key.clone(), None));
            }
            let (key, value) = queue_row(vault, entry.handle, keyset, &event, entropy)?;
            changes.push((Table::Requests, key, Some(value)));
            let lookup = Lookup {
                field: REQUEST_FIELD,
                set,
                mark: mark(*request),
            };
            if !keyset.lookups.contains(&lookup) {
                keyset.lookups.push(lookup);
            }
        }
        Some(changes)
    }
}

fn event(request: RequestId, told: &Told, known: Option<&RequestEvent>) -> RequestEvent {
    let fresh = RequestEvent {
        request,
        kind: told.kind,
        step: StepWord::Restored,
        state: told.state,
        level: told.level,
        by: String::new(),
        at: told.at,
        received: told.received,
        language: String::new(),
        strict: told.due,
        effective: Some(told.due),
        pauses: Vec::new(),
        scope: Scope {
            collections: told.collections.clone(),
            ..Scope::default()
        },
        extension: None,
        from_ledger: Some(FromLedger {
            due: told.due,
            extended: told.extended,
        }),
        refusal: None,
        receipt: None,
        kept: Vec::new(),
        words: None,
    };
    match known {
        None => fresh,
        Some(known) => RequestEvent {
            step: StepWord::Restored,
            state: told.state,
            // As well as it was known when the ledger was told: the state rests on it.
            level: told.level.max(known.level),
            by: String::new(),
            at: told.at,
            strict: told.due,
            effective: Some(told.due),
            from_ledger: fresh.from_ledger,
            scope: Scope {
                collections: told.collections.clone(),
                ..known.scope.clone()
            },
            words: None,
            ..known.clone()
        },
    }
}

fn queue_row(
    vault: VaultId,
    handle: RowHandle,
    keyset: &mut Keyset,
    event: &RequestEvent,
    entropy: &mut dyn Entropy,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let number = match keyset.newest(Compartment::CONTROL) {
        Some(dek) => dek.number,
        None => keyset.add(Compartment::CONTROL, entropy)?,
    };
    let row = RequestRow::of(event, 0);
    let key = row.key(handle, event.request);
    let location = Location {
        compartment: Compartment::CONTROL.number,
        record: &key[16..],
        ..Location::row(vault, Table::Requests.number(), handle.as_bytes())
    };
    let value = seal(
        &keyset.key(number)?.key,
        number,
        &location,
        &row::encode(&row),
    )
    .ok()?;
    Some((key, value))
}

/// A step without what somebody wrote, of whom only what a hold keeps comes back. `None` if it does not open.
pub(crate) fn silent(
    (vault, handle, keyset): (VaultId, RowHandle, &Keyset),
    key: &[u8],
    value: &[u8],
) -> Option<Vec<u8>> {
    let mut event: RequestEvent = events::open_row(vault, handle, keyset, key, value)?;
    event.silence();
    let dek = keyset.key(key_number(value)?)?;
    let bytes = serde_json::to_vec(&event).ok()?;
    let location = events::row_location(vault, &handle, key)?;
    let location = Location {
        compartment: dek.compartment.number,
        ..location
    };
    seal(&dek.key, dek.number, &location, &bytes).ok()
}

//! What the ledger says of the time since a backup, in the form that a restore needs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{LedgerEntry, LedgerEvent};
use crate::audit::signer::Signers;
use crate::contract::ContractEvent;
use crate::deadline::Due;
use crate::id::{ReceiptId, RecordId, RequestId, RowHandle, TokenId};
use crate::request::restored::Told;
use crate::standing::{
    AgeEvent, HoldEvent, ObjectionEvent, ObjectionOrigin, PendingErasure, RestrictionEvent,
};
use crate::suppression::SuppressionRow;

/// How a guardian was verified, where the ledger alone knows that one was: the word that steps of requests have
/// of the same origin.
const RESTORED: &str = "restored";

/// Where a copy ends in the middle of a frame, as a copying that was broken off leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which copy.
    pub copy: String,
    /// The offset from which on it says nothing.
    pub at: u64,
}

/// A person who is gone, as a tombstone keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// SHA-256 of their id.
    pub subject_sha256: [u8; 32],
    /// What stands for the erasure.
    pub receipt: ReceiptId,
    /// The epoch since.
    pub epoch: u64,
    /// When.
    pub at: Timestamp,
}

/// What the ledger says of the time since a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Entries of the longest copy.
    pub position: u64,
    /// Whatever was acknowledged before this is in it. 1970 where neither a head nor an entry says so.
    pub complete_until: Timestamp,
    /// People who are gone.
    pub erased: BTreeMap<RowHandle, Erased>,
    /// Records that are gone: collection, record.
    pub removed: BTreeMap<RowHandle, BTreeSet<(u16, [u8; RecordId::BYTES])>>,
    /// Keys that are gone.
    pub keys: BTreeMap<RowHandle, BTreeSet<u32>>,
    /// Purposes that people no longer agree to, and since when, in the order in which they said so.
    pub withdrawn: BTreeMap<RowHandle, Vec<(u16, Timestamp)>>,
    /// How the objections of people stand to each purpose.
    pub objections: BTreeMap<RowHandle, BTreeMap<u16, ObjectionEvent>>,
    /// How the data of people are restricted.
    pub restrictions: BTreeMap<RowHandle, RestrictionEvent>,
    /// How the data of people are held.
    pub holds: BTreeMap<RowHandle, HoldEvent>,
    /// How the contracts of people stand behind each purpose.
    pub contracts: BTreeMap<RowHandle, BTreeMap<u16, ContractEvent>>,
    /// What is known of the ages of people.
    pub ages: BTreeMap<RowHandle, AgeEvent>,
    /// How addresses stand on the suppression list.
    pub suppressions: BTreeMap<[u8; 32], SuppressionRow>,
    /// How the requests of people stand.
    pub requests: BTreeMap<RowHandle, BTreeMap<RequestId, Told>>,
    /// API keys that open nothing any more.
    pub revoked_tokens: BTreeSet<TokenId>,
    /// Copies that were broken off.
    pub cut: Vec<Cut>,
    /// Whose signatures count: those that the reader knew, and those that the ledger led to.
    pub signers: Option<Signers>,
}

impl Replay {
    /// Takes an entry in; `None` if it is of a time or a day that there is not.
    pub(crate) fn add(&mut self, entry: LedgerEntry) -> Option<()> {
        let at = Timestamp::from_millisecond(entry.at).ok()?;
        self.complete_until = self.complete_until.max(at);
        match entry.event {
            LedgerEvent::Erased {
                handle,
                subject_sha256,
                receipt,
                epoch,
            } => {
                let erased = Erased {
                    subject_sha256,
                    receipt,
                    epoch,
                    at,
                };
                self.erased.insert(handle, erased);
            }
            LedgerEvent::RecordsDestroyed {
                handle,
                collection,
                records,
            } => {
                let records = records.into_iter().map(|record| (collection, record));
                self.removed.entry(handle).or_default().extend(records);
            }
            LedgerEvent::KeysDestroyed { handle, keys } => {
                self.keys.entry(handle).or_default().extend(keys);
            }
            LedgerEvent::ConsentWithdrawn { handle, purpose } => {
                let withdrawn = self.withdrawn.entry(handle).or_default();
                withdrawn.push((purpose, at));
            }
            LedgerEvent::ApiKeyRevoked { token } => {
                self.revoked_tokens.insert(token);
            }
            LedgerEvent::Objected {
                handle,
                purpose,
                state,
            } => {
                let event = ObjectionEvent {
                    state,
                    at,
                    reason: None,
                    origin: ObjectionOrigin::Person,
                };
                let objections = self.objections.entry(handle).or_default();
                objections.insert(purpose, event);
            }
            LedgerEvent::Restricted {
                handle,
                ground,
                collections,
            } => {
                let event = RestrictionEvent {
                    ground,
                    collections,
                    at,
                    reason: None,
                };
                self.restrictions.insert(handle, event);
            }
            LedgerEvent::Held {
                handle,
                state,
                ground,
                collections,
                review_at,
                erasure,
            } => {
                let erasure = match erasure {
                    Some((at, receipt)) => Some(PendingErasure {
                        at: Timestamp::from_millisecond(at).ok()?,
                        receipt,
                    }),
                    None => None,
                };
                let event = HoldEvent {
                    state,
                    ground,
                    collections,
                    by: String::new(),
                    approver: None,
                    reason: None,
                    review_at: review_at.parse().ok()?,
                    at,
                    erasure,
                };
                self.holds.insert(handle, event);
            }
            LedgerEvent::ContractEnded {
                handle,
                purpose,
                ended_at,
            } => {
                let ended_at = match ended_at {
                    Some(ended_at) => Some(Timestamp::from_millisecond(ended_at).ok()?),
                    None => None,
                };
                let event = ContractEvent { ended_at, at };
                let contracts = self.contracts.entry(handle).or_default();
                contracts.insert(purpose, event);
            }
            LedgerEvent::Aged {
                handle,
                of_age_on,
                guardian,
            } => {
                let event = AgeEvent {
                    of_age_on: of_age_on.parse().ok()?,
                    // That there is one stands here, and not how it was verified.
                    guardian: guardian.then(|| RESTORED.to_owned()),
                    at,
                };
                self.ages.insert(handle, event);
            }
            LedgerEvent::Suppressed { address, row } => {
                self.suppressions.insert(address, row);
            }
            LedgerEvent::Requested {
                handle,
                request,
                kind,
                state,
                level,
                received,
                due: (day, end),
                extended,
                collections,
            } => {
                let told = Told {
                    kind,
                    state,
                    level,
                    received: Timestamp::from_millisecond(received).ok()?,
                    due: Due {
                        on: crate::request::stored::day(day)?,
                        end: Timestamp::from_millisecond(end).ok()?,
                    },
                    extended,
                    collections,
                    at,
                };
                self.requests
                    .entry(handle)
                    .or_default()
                    .insert(request, told);
            }
        }
        Some(())
    }
}

//! The crate's own reading of bytes from a disk or a client, as `fuzz/` and the kept vectors call it.
//!
//! No interface of the vault: what is here may change with any version. Knows every stored form;
//! nothing stands on it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::AnswerRow;
use crate::audit::Entry;
use crate::audit::signer::Signers;
use crate::automated::stored::{DecisionEvent, DecisionRow};
use crate::backup::Manifest;
pub use crate::backup::bytes::{ObjectPlace, Row, key_head, key_rows, object, object_rows};
use crate::backup::ledger::{self, Ledger, LedgerCopy, LedgerEntry, LedgerError, Replay};
use crate::backup::registry::{BackupRow, BackupSummary, BackupView, SummaryRow};
use crate::backup::registry::{summarise, view_of};
use crate::blob::Blob;
use crate::commit::State;
use crate::consent::ConsentEvent;
use crate::contract::ContractEvent;
use crate::crypto::Secret;
use crate::detect::Kind;
use crate::disclosure;
use crate::emergency::EmergencyEvent;
use crate::id::{BackupId, RecordId, SessionId, SubjectId, VaultId};
use crate::incident::IncidentRow;
use crate::keys::keyset::Keyset;
use crate::keys::shred;
use crate::keys::system::{INDEX_BYTES, PERSON_BYTES, SystemKeys};
use crate::log_lines::{Line, LogRow, Mark};
use crate::notice::NoticeShown;
use crate::outbox::NoticeRow;
use crate::person::{SubjectRow, Tombstone};
use crate::pickup::PickupRow;
use crate::policy::Policy;
use crate::pseudonym::IssuedEvent;
use crate::record::MetaRow;
use crate::refusal::Refusal;
use crate::request::stored::{RequestEvent, RequestRow};
use crate::row;
use crate::session::{Bearer, SessionRow};
use crate::standing::{AgeEvent, HoldEvent, ObjectionEvent, RestrictionEvent};
use crate::store::{MemoryStore, Store};
use crate::suppression::SuppressionRow;
use crate::talk::Talk;
use crate::vault::{self, PolicyRow, RotationRow, Tie, TokenRow};

/// A stored form by its name in docs/format.md, and what reads it and writes it again; `None` for
/// bytes that are not of the form.
pub type Form = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

/// Every form that lies in an envelope or as a row.
pub const FORMS: [Form; 40] = [
    ("AnswerRow", again::<AnswerRow>),
    ("BackupRow", again::<BackupRow>),
    ("Backups", again::<SummaryRow>),
    ("Blob", |bytes| Some(Blob::decode(bytes)?.encode().to_vec())),
    ("ContractEvent", again_json::<ContractEvent>),
    ("Entry", |bytes| Some(Entry::decode(bytes).ok()?.encode())),
    ("Keyset", |bytes| {
        Some(Keyset::decode(bytes).ok()?.encode().to_vec())
    }),
    ("LedgerEntry", again::<LedgerEntry>),
    ("MetaRow", again::<MetaRow>),
    ("NoticeShown", again_json::<NoticeShown>),
    ("ObjectionEvent", again_json::<ObjectionEvent>),
    ("PolicyRow", |bytes| {
        let row: PolicyRow = row::decode(bytes).ok()?;
        Policy::from_stored(row.policy.clone()).ok()?;
        Some(row::encode(&row).to_vec())
    }),
    ("RestrictionEvent", again_json::<RestrictionEvent>),
    ("RotationRow", again::<RotationRow>),
    ("SessionRow", again::<SessionRow>),
    ("State", again::<State>),
    ("SubjectRow", again::<SubjectRow>),
    ("SuppressionRow", again::<SuppressionRow>),
    ("SystemKeys", again::<SystemKeys>),
    ("TokenRow", again::<TokenRow>),
    ("Tombstone", again::<Tombstone>),
    ("event", again_json::<ConsentEvent>),
    ("hold", again_json::<HoldEvent>),
    ("list of entries", again::<Vec<Vec<u8>>>),
    ("list of values", |bytes| {
        let borrowed: Vec<(u16, &[u8])> = row::decode_borrowed(bytes).ok()?;
        let owned: Vec<(u16, Vec<u8>)> = row::decode(bytes).expect("it reads the same borrowed");
        assert!(
            borrowed
                .iter()
                .map(|(field, bytes)| (*field, *bytes))
                .eq(owned.iter().map(|(field, bytes)| (*field, &**bytes)))
        );
        Some(row::encode(&owned).to_vec())
    }),
    ("node of the index map", |bytes| {
        Some(shred::reread::<INDEX_BYTES>(bytes)?.to_vec())
    }),
    ("node of the people map", |bytes| {
        Some(shred::reread::<PERSON_BYTES>(bytes)?.to_vec())
    }),
    ("AgeEvent", again_json::<AgeEvent>),
    ("IssuedEvent", again_json::<IssuedEvent>),
    ("EmergencyEvent", again_json::<EmergencyEvent>),
    ("IncidentRow", again::<IncidentRow>),
    ("Disclosure", again_json::<disclosure::Line>),
    ("NoticeRow", again::<NoticeRow>),
    ("LogRow", again::<LogRow>),
    ("RequestEvent", again_json::<RequestEvent>),
    ("RequestRow", again::<RequestRow>),
    ("DecisionEvent", again_json::<DecisionEvent>),
    ("DecisionRow", again::<DecisionRow>),
    ("Talk", again::<Talk>),
    ("PickupRow", again::<PickupRow>),
];

fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(row::encode(&row::decode::<T>(bytes).ok()?).to_vec())
}

fn again_json<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    serde_json::to_vec(&serde_json::from_slice::<T>(bytes).ok()?).ok()
}

/// The hash that an API key is found by.
#[must_use]
pub fn api_key(bearer: &str) -> Option<[u8; 32]> {
    vault::api_key_sha256(bearer)
}

/// Person and session that a session's token names.
#[must_use]
pub fn session_token(bearer: &str) -> Option<(SubjectId, SessionId)> {
    Bearer::parse(bearer).map(|bearer| (bearer.subject, bearer.session))
}

/// The cursor that goes on after `last`, made in `hour`.
#[must_use]
pub fn seal_cursor(
    key: &Secret<32>,
    vault: VaultId,
    query: &[u8; 32],
    hour: u32,
    last: RecordId,
) -> String {
    let tie = Tie {
        key,
        vault,
        query,
        hour,
    };
    tie.seal(last.as_bytes())
}

/// A line of a log, where every `known` in it is somebody's: as it is stored, what whoever sent it is told that was
/// found, and how much room it takes; `None` where it fails whoever is known.
#[must_use]
pub fn log_line(bytes: &[u8], known: Option<&str>) -> Option<(String, Vec<&'static str>, usize)> {
    let mut look = |text: &str| {
        let all = known
            .into_iter()
            .flat_map(|known| text.match_indices(known));
        let marks = all.map(|(start, found)| Mark {
            label: "identifier",
            start,
            end: start + found.len(),
        });
        Ok(marks.collect())
    };
    let line = Line::parse(bytes).ok()?;
    let scanned = line.scan(&Kind::ALL, &mut look).ok()?;
    let stand_in = |mark: &Mark, _: &str| format!("[{}]", mark.label);
    let stored = scanned.text(&stand_in);
    Some((stored, scanned.told().to_vec(), scanned.weight(&stand_in)))
}

/// Where a cursor goes on, in `hour`.
#[must_use]
pub fn open_cursor(
    key: &Secret<32>,
    vault: VaultId,
    query: &[u8; 32],
    hour: u32,
    cursor: &str,
) -> Option<RecordId> {
    let tie = Tie {
        key,
        vault,
        query,
        hour,
    };
    RecordId::from_slice(&tie.open::<{ RecordId::BYTES }>(cursor)?)
}

/// Reads the body of one record of this collection, `_meta` and all.
///
/// # Errors
///
/// What a caller would be told.
pub fn record(policy: &Policy, collection: &str, body: Value) -> Result<(), Refusal> {
    let collection = policy
        .collection(collection)
        .ok_or(Refusal::NotFound("collection"))?;
    let Value::Object(members) = body else {
        return Err(Refusal::Invalid(Vec::new()));
    };
    match vault::body_form(policy, collection, members, "") {
        read if read.errors.is_empty() => Ok(()),
        read => Err(Refusal::Invalid(read.errors)),
    }
}

/// Reads `where` of a call over many records, and `set` if there is one.
///
/// # Errors
///
/// What a caller would be told.
pub fn wanted(
    policy: &Policy,
    collection: &str,
    conditions: &Value,
    set: Option<&Value>,
) -> Result<(), Refusal> {
    let collection = policy
        .collection(collection)
        .ok_or(Refusal::NotFound("collection"))?;
    vault::wanted_form(policy, collection, conditions, set)
}

/// Reads the manifest of a backup; an error says what is wrong with it, and no more.
///
/// # Errors
///
/// Words for whoever looks at a target.
pub fn manifest(bytes: &[u8], backup: BackupId) -> Result<Manifest, String> {
    Manifest::parse(bytes, &backup.to_string())
}

/// The manifest with this key's signature, as it lies at a target.
#[must_use]
pub fn signed_manifest(mut manifest: Manifest, seed: &Secret<32>) -> Vec<u8> {
    manifest.sign(seed);
    serde_json::to_vec_pretty(&manifest).expect("a manifest is JSON")
}

/// Reads a copy of the erasure ledger.
///
/// # Errors
///
/// Those of [`Ledger::read`].
pub fn erasure_ledger(
    bytes: &[u8],
    vault: VaultId,
    key: &Secret<32>,
    seed: &Secret<32>,
) -> Result<Replay, LedgerError> {
    let copies = vec![LedgerCopy::new("a copy", bytes)];
    Ledger::read(copies, key, &Signers::new(vault, seed, &[]), vault, 0)
}

/// A copy of the erasure ledger with these entries, a row each as [`FORMS`] has them, and behind each a head.
/// `None` if one of them is no entry.
#[must_use]
pub fn erasure_ledger_of(
    entries: &[&[u8]],
    vault: VaultId,
    key: &Secret<32>,
    seed: &Secret<32>,
) -> Option<Vec<u8>> {
    let entries: Result<Vec<LedgerEntry>, _> = entries.iter().map(|row| row::decode(row)).collect();
    let mut bytes = ledger::header(vault).to_vec();
    let mut tip = ledger::Tip::start(vault);
    for entry in entries.ok()? {
        Replay::default().add(entry.clone())?;
        let time = jiff::Timestamp::from_millisecond(entry.at).ok()?;
        let mut frames = Vec::new();
        let store = MemoryStore::default();
        let written = store.write(&mut |tx| {
            (tip, frames) = ledger::extend(tx, vault, key, tip, std::slice::from_ref(&entry))?;
            Ok(())
        });
        written.ok()?;
        let head = ledger::Head { tip, time };
        bytes.extend([frames, head.frame(vault, seed, key)].concat());
    }
    Some(bytes)
}

/// A row of the registry as callers see it: a backup, or the summary.
#[must_use]
pub fn registry(bytes: &[u8]) -> (Option<BackupView>, Option<BackupSummary>) {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let backup = row::decode::<BackupRow>(bytes).ok();
    let backup = backup.map(|row| view_of(BackupId::from_bytes([0; 16]), row, now));
    let summary = row::decode::<SummaryRow>(bytes).ok();
    (backup, summary.map(|row| summarise(&row, now)))
}

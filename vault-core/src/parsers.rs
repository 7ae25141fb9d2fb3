//! The crate's own reading of bytes from a disk or a client, as `fuzz/` and the kept vectors call it.
//!
//! No interface of the vault: what is here may change with any version. Knows every stored form;
//! nothing stands on it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::AnswerRow;
use crate::audit::Entry;
use crate::backup::ledger::LedgerEntry;
use crate::backup::registry::{BackupRow, SummaryRow};
use crate::blob::Blob;
use crate::commit::State;
use crate::consent::ConsentEvent;
use crate::crypto::Secret;
use crate::id::{RecordId, SessionId, SubjectId, VaultId};
use crate::keys::keyset::Keyset;
use crate::keys::shred;
use crate::keys::system::{INDEX_BYTES, PERSON_BYTES, SystemKeys};
use crate::person::{SubjectRow, Tombstone};
use crate::policy::Policy;
use crate::record::MetaRow;
use crate::refusal::Refusal;
use crate::row;
use crate::session::{Bearer, SessionRow};
use crate::vault::{self, PolicyRow, RotationRow, Tie, TokenRow};

/// A stored form by its name in docs/format.md, and what reads it and writes it again; `None` for
/// bytes that are not of the form.
pub type Form = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

/// Every form that lies in an envelope or as a row.
pub const FORMS: [Form; 21] = [
    ("AnswerRow", again::<AnswerRow>),
    ("BackupRow", again::<BackupRow>),
    ("Backups", again::<SummaryRow>),
    ("Blob", |bytes| Some(Blob::decode(bytes)?.encode().to_vec())),
    ("Entry", |bytes| Some(Entry::decode(bytes).ok()?.encode())),
    ("Keyset", again::<Keyset>),
    ("LedgerEntry", again::<LedgerEntry>),
    ("MetaRow", again::<MetaRow>),
    ("PolicyRow", |bytes| {
        let row: PolicyRow = row::decode(bytes).ok()?;
        Policy::from_stored(row.policy.clone()).ok()?;
        Some(row::encode(&row).to_vec())
    }),
    ("RotationRow", again::<RotationRow>),
    ("SessionRow", again::<SessionRow>),
    ("State", again::<State>),
    ("SubjectRow", again::<SubjectRow>),
    ("SystemKeys", again::<SystemKeys>),
    ("TokenRow", again::<TokenRow>),
    ("Tombstone", again::<Tombstone>),
    ("event", |bytes| {
        let event: ConsentEvent = serde_json::from_slice(bytes).ok()?;
        serde_json::to_vec(&event).ok()
    }),
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
];

fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(row::encode(&row::decode::<T>(bytes).ok()?).to_vec())
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

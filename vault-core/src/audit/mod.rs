//! Evidence: what was done, by whom, for which purpose, without a personal value.
//!
//! An [`Entry`] is canonical JSON; it is sealed at rest. A write's entry is a row in the write's own
//! transaction; a read's entry is a frame of the [`journal`] before the value leaves, and becomes a
//! row with the next commit. Knows nothing of decisions: it records them.

pub mod journal;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::day_of;
use crate::crypto::{Location, Secret, hmac, seal, unseal};
use crate::id::{CallId, ReceiptId, VaultId};
use crate::store::{Direction, KeyRange, ReadTx, StoreError, Table, WriteTx};

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub time: Timestamp,
    /// Who: the id of an API key, or `keyholder`.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// What for, where values moved.
    pub purpose: Option<String>,
    /// What: `records.read`, `subjects.erase` and so on.
    pub action: &'static str,
    /// Links a person's entries of one day; absent once the person is gone.
    pub subject: Option<[u8; 16]>,
    /// Numeric ids of collection and fields.
    pub fields: Vec<(u16, u16)>,
    /// `ok`, or the code of the refusal.
    pub outcome: &'static str,
    /// The call's id.
    pub request: CallId,
    /// An erasure's receipt and the hash of its body.
    pub receipt: Option<(ReceiptId, [u8; 32])>,
}

impl Entry {
    /// The entry in canonical form: RFC 8785, which for these members means sorted names.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let Self {
            time,
            actor,
            role,
            purpose,
            action,
            subject,
            fields,
            outcome,
            request,
            receipt,
        } = self;
        let mut members: BTreeMap<&str, Value> = BTreeMap::new();
        members.insert("action", json!(action));
        members.insert("actor", json!(actor));
        if !fields.is_empty() {
            members.insert("fields", json!(fields));
        }
        members.insert("outcome", json!(outcome));
        if let Some(purpose) = purpose {
            members.insert("purpose", json!(purpose));
        }
        if let Some((id, hash)) = receipt {
            members.insert("receipt", json!(id.to_string()));
            members.insert("receipt_sha256", json!(hex(hash)));
        }
        members.insert("request", json!(request.to_string()));
        members.insert("role", json!(role));
        if let Some(subject) = subject {
            members.insert("subject", json!(hex(subject)));
        }
        members.insert("time", json!(time.to_string()));
        serde_json::to_vec(&members).expect("text and numbers have a JSON form")
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// What links a person's entries of one UTC day, and nothing else once the key is gone.
#[must_use]
pub fn subject_tag(audit_key: &Secret<32>, time: Timestamp) -> [u8; 16] {
    let tag = hmac(audit_key, &[b"day", &day_of(time).to_be_bytes()]);
    tag[..16].try_into().expect("sixteen of thirty-two")
}

fn place(vault: VaultId, index: &[u8; 8]) -> Location<'_> {
    Location::row(vault, Table::Audit.number(), index)
}

/// Writes the entry number `index`.
///
/// # Errors
///
/// Those of the store.
pub fn write(
    tx: &mut dyn WriteTx,
    vault: VaultId,
    key: &Secret<32>,
    index: u64,
    entry: &[u8],
) -> Result<(), StoreError> {
    let row = index.to_be_bytes();
    let sealed = seal(key, 0, &place(vault, &row), entry).expect("an entry is short");
    tx.put(Table::Audit, &row, &sealed)
}

/// At most `limit` entries from number `from` on, as canonical JSON.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if one does not open at its place; those of the store.
pub fn read(
    tx: &dyn ReadTx,
    vault: VaultId,
    key: &Secret<32>,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let range = KeyRange {
        start: from.to_be_bytes().to_vec(),
        end: None,
    };
    let rows = tx.range(Table::Audit, &range, Direction::Ascending, limit)?;
    rows.into_iter()
        .map(|(row, sealed)| {
            let row: [u8; 8] = row.try_into().map_err(|_| StoreError::Corrupt)?;
            let entry =
                unseal(key, &place(vault, &row), &sealed).map_err(|_| StoreError::Corrupt)?;
            Ok((u64::from_be_bytes(row), entry.to_vec()))
        })
        .collect()
}

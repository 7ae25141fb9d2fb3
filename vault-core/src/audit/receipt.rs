//! Receipts of erasures: kept without what ties them to a person, and verified by anybody.
//!
//! A receipt is `{body, opening, proof}`. The body says what was destroyed and names the person by a
//! commitment alone; its hash stands in the entry of the erasure. The opening ties it to the person
//! for whoever holds the document: the vault keeps none. The proof is that entry, its place in the
//! tree, and a signed checkpoint.
//!
//! Verifying needs the document and the log's public key, which a receipt never brings itself.
//! Form: docs/receipt.schema.json.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::canonical::canonical;
use super::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use super::merkle::{self, Hash};
use super::{Entry, hex};
use crate::crypto::sha256;
use crate::id::{ReceiptId, SubjectId};

/// Members of a body, all of them there.
const BODY: [&str; 13] = [
    "commitment",
    "destroyed",
    "epoch_after",
    "epoch_before",
    "erasure_horizon",
    "kept",
    "lookup_horizon",
    "receipt",
    "scope",
    "time",
    "unscrubbed_mirrors",
    "vault",
    "version",
];
/// Members that the receipt of a purge has beside these.
const PURGE: [&str; 2] = ["collection", "records"];
/// The member that the receipt of some collections of a person has beside these.
const PART: [&str; 1] = ["collections"];
/// Members that the receipt of a person, or of some of their collections, has beside these where recipients are being told.
const TOLD: [&str; 2] = ["recipients", "recipients_until"];
const PROOF: [&str; 5] = ["checkpoint", "entry", "hashes", "index", "size"];

/// Why a receipt is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The checkpoint does not stand.
    #[error("the receipt's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The entry in the proof is not that of this erasure.
    #[error("the entry in the receipt's proof is not that of this erasure")]
    Entry,
    /// A member is missing, unknown, or of another type.
    #[error("this is no receipt of the known form: `{0}` is missing, unknown or of another type")]
    Form(&'static str),
    /// The proof does not lead from the entry to the signed root.
    #[error("the receipt's proof does not lead to the signed root")]
    Inclusion,
    /// The opening is not that of this body.
    #[error("the receipt's opening does not fit its body: it is about another person")]
    Opening,
    /// Another key of the same log has signed the checkpoint.
    #[error(
        "the receipt's checkpoint was signed by the key {needs}, which is not the one that was given: the log \
         has had several (`GET /v1/log/key`)"
    )]
    OtherKey {
        /// How the key begins that it needs: name and hash.
        needs: String,
    },
    /// There is no proof yet.
    #[error("the receipt has no proof; fetch it again from the vault")]
    Unproved,
}

/// What a receipt's commitment was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opened {
    /// The ids of the records of a purge: SHA-256 over them in their order.
    Records([u8; 32]),
    /// A person.
    Subject(SubjectId),
}

/// What a receipt that stands says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its id.
    pub receipt: ReceiptId,
    /// What it is about, if it came with its opening.
    pub opened: Option<Opened>,
    /// When, RFC 3339.
    pub time: String,
    /// Until when copies of keys may have existed, RFC 3339.
    pub erasure_horizon: String,
    /// The number of the entry in the log.
    pub index: u64,
}

/// The proof as it stands in a document.
#[must_use]
pub fn proof(entry: &Entry, index: u64, size: u64, hashes: &[Hash], checkpoint: &str) -> Value {
    let entry: Value = serde_json::from_slice(&entry.canonical()).expect("written a line before");
    json!({
        "checkpoint": checkpoint,
        "entry": entry,
        "hashes": hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
        "index": index,
        "size": size,
    })
}

fn object<'v>(
    value: &'v Value,
    what: &'static str,
    members: &[&'static str],
) -> Result<&'v Map<String, Value>, ReceiptError> {
    let object = value.as_object().ok_or(ReceiptError::Form(what))?;
    if let Some(missing) = members.iter().find(|name| !object.contains_key(**name)) {
        return Err(ReceiptError::Form(missing));
    }
    match object.len() == members.len() {
        true => Ok(object),
        false => Err(ReceiptError::Form(what)),
    }
}

fn text<'v>(object: &'v Map<String, Value>, name: &'static str) -> Result<&'v str, ReceiptError> {
    object
        .get(name)
        .and_then(Value::as_str)
        .ok_or(ReceiptError::Form(name))
}

fn bytes<const N: usize>(text: &str, name: &'static str) -> Result<[u8; N], ReceiptError> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(ReceiptError::Form(name))
}

/// Whether a document shows, by the log's public key alone, that this erasure is in the log.
///
/// # Errors
///
/// [`ReceiptError`], the first that was found.
pub fn verify(document: &Value, key: &VerifierKey) -> Result<Verified, ReceiptError> {
    let members = document.as_object().ok_or(ReceiptError::Form("receipt"))?;
    let known = ["body", "opening", "proof"];
    if !members.keys().all(|name| known.contains(&name.as_str())) {
        return Err(ReceiptError::Form("receipt"));
    }
    let body = members.get("body").ok_or(ReceiptError::Form("body"))?;
    let hash = canonical(body).map_err(|_| ReceiptError::Form("body"))?;
    let hash = sha256(&[&hash]);
    let purge = body["scope"] == json!("purge");
    let told = body.get(TOLD[0]).is_some();
    let mut members = BODY.to_vec();
    if purge {
        members.extend(PURGE);
    } else if told {
        members.extend(TOLD);
    }
    if body["scope"] == json!("collections") {
        members.extend(PART);
    }
    let body = object(body, "body", &members)?;
    if body["version"] != json!(1) {
        return Err(ReceiptError::Form("version"));
    }
    let receipt = text(body, "receipt")?;
    let id: ReceiptId = receipt.parse().map_err(|_| ReceiptError::Form("receipt"))?;
    let members = document.as_object().ok_or(ReceiptError::Form("receipt"))?;
    let opened = match members.get("opening") {
        None | Some(Value::Null) => None,
        Some(opening) => Some(open(opening, purge, text(body, "commitment")?)?),
    };
    let proof = match members.get("proof") {
        None | Some(Value::Null) => return Err(ReceiptError::Unproved),
        Some(proof) => object(proof, "proof", &PROOF)?,
    };
    let entry = proof["entry"]
        .as_object()
        .ok_or(ReceiptError::Form("entry"))?;
    let is = |name: &str, value: &str| entry.get(name).and_then(Value::as_str) == Some(value);
    if !is("receipt", receipt) || !is("receipt_sha256", &hex(&hash)) || !is("outcome", "ok") {
        return Err(ReceiptError::Entry);
    }
    let leaf = canonical(&proof["entry"]).map_err(|_| ReceiptError::Form("entry"))?;
    let number = |name: &'static str| proof[name].as_u64().ok_or(ReceiptError::Form(name));
    let (index, size) = (number("index")?, number("size")?);
    let hashes = proof["hashes"]
        .as_array()
        .ok_or(ReceiptError::Form("hashes"))?;
    let hashes = hashes.iter().map(|hash| {
        let text = hash.as_str().ok_or(ReceiptError::Form("hashes"))?;
        bytes::<32>(text, "hashes")
    });
    let hashes: Vec<Hash> = hashes.collect::<Result<_, _>>()?;
    let note = text(proof, "checkpoint")?;
    let checkpoint = Checkpoint::open(note, key).map_err(|error| {
        let needs = key.other_of_same_name(note);
        needs.map_or(error.into(), |needs| ReceiptError::OtherKey { needs })
    })?;
    let leads = checkpoint.size == size
        && merkle::included(index, size, &merkle::leaf(&leaf), &hashes, &checkpoint.root);
    if !leads {
        return Err(ReceiptError::Inclusion);
    }
    if text(body, "vault")? != key.name() {
        return Err(ReceiptError::Checkpoint(CheckpointError::Origin));
    }
    Ok(Verified {
        receipt: id,
        opened,
        time: text(body, "time")?.into(),
        erasure_horizon: text(body, "erasure_horizon")?.into(),
        index,
    })
}

fn open(opening: &Value, purge: bool, commitment: &str) -> Result<Opened, ReceiptError> {
    let name = if purge { "records_sha256" } else { "subject" };
    let opening = object(opening, "opening", &["salt", name])?;
    let salt: [u8; 16] = bytes(text(opening, "salt")?, "salt")?;
    let what = text(opening, name)?;
    let (opened, about) = match purge {
        true => {
            let records: [u8; 32] = bytes(what, "records_sha256")?;
            (Opened::Records(records), records.to_vec())
        }
        false => {
            let subject: SubjectId = what.parse().map_err(|_| ReceiptError::Form("subject"))?;
            (Opened::Subject(subject), subject.as_bytes().to_vec())
        }
    };
    let fits = hex(&sha256(&[&salt, &about])) == commitment;
    fits.then_some(opened).ok_or(ReceiptError::Opening)
}

//! The log as its readers see it: entries, proofs, checkpoints, receipts, and a person's own ledger.
//!
//! No entry holds a value. Reading the log leaves an entry like every other call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, Vault, input};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::merkle::{self, Hash};
use crate::audit::signer::Signers;
use crate::audit::tree::{self, StoredTree};
use crate::audit::verify::{LogReport, LogVerifier, LogWalk, stored_checkpoints};
use crate::audit::{self, Actor, Entry, receipt, subject_tag};
use crate::backup::registry::{self, ReceiptStatus};
use crate::clock::day_of;
use crate::commit::{Snapshot, View};
use crate::crypto::{Location, Secret};
use crate::id::{ReceiptId, SubjectId, TokenId};
use crate::limits::{AUDIT_PAGE_MAX, AUDIT_SCAN_MAX};
use crate::person::{DAMAGED, Person};
use crate::policy::Capability;
use crate::refusal::Refusal;
use crate::store::Table;

/// Entries that are read from the store at a time.
pub(super) const SLICE: u64 = 1_024;

/// Which entries of the log are asked for. Every condition that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Before this number; the end of the log, if absent.
    pub before: Option<u64>,
    /// At most so many, the newest; 1 to 1,000.
    pub last: usize,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// By this API key.
    pub actor: Option<TokenId>,
    /// This action.
    pub action: Option<String>,
    /// With this outcome: `ok`, or a refusal's code.
    pub outcome: Option<String>,
    /// About this person.
    pub subject: Option<SubjectId>,
}

/// One entry with its place.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Its number, from 0.
    pub number: u64,
    /// What it says, as it is hashed.
    pub entry: Value,
    /// Its hash in the tree.
    pub hash: Hash,
}

/// Entries, the newest first.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where to go on: `before` of the next query. `None` at the beginning of the log.
    pub next: Option<u64>,
    /// Entries of the log.
    pub size: u64,
}

/// That an entry is in the log, or that a longer log begins with a shorter one.
#[derive(Clone, Debug)]
pub struct LogProof {
    /// The hashes, from the leaf up (RFC 9162).
    pub hashes: Vec<Hash>,
    /// Entries of the tree that it leads to.
    pub size: u64,
    /// A checkpoint over that size, signed.
    pub checkpoint: String,
}

/// The keys that checkpoints of a log verify by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKeys {
    /// The present one, `name+hash+key`.
    pub key: String,
    /// Those before it, oldest first.
    pub past: Vec<PastKey>,
}

/// A key that signed checkpoints once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastKey {
    /// The key, `name+hash+key`.
    pub key: String,
    /// It is good for checkpoints over at most so many entries.
    pub until: u64,
    /// A note that names the key after it, signed by both.
    pub note: String,
}

fn note(snapshot: &Snapshot, tree: &mut StoredTree<'_>, size: u64) -> Result<String, Refusal> {
    let system = snapshot.system();
    // The one that both keys have signed leads from the former to the present one.
    if system.signers.last().is_some_and(|past| past.until == size)
        && let Some(both) = snapshot.tx().get(Table::Checkpoints, &size.to_be_bytes())?
    {
        return String::from_utf8(both).map_err(|_| DAMAGED);
    }
    let root = merkle::root(size, tree)?;
    let seed = &system.signing;
    Ok(Checkpoint { size, root }.sign(snapshot.vault(), seed))
}

/// The proof of a receipt, against a checkpoint over the whole log.
fn proof(snapshot: &Snapshot, id: ReceiptId) -> Result<Value, Refusal> {
    let number = snapshot.tx().get(Table::Receipts, &tree::receipt_key(id))?;
    let number: [u8; 8] = number
        .ok_or(Refusal::NotFound("receipt"))?
        .try_into()
        .map_err(|_| DAMAGED)?;
    let number = u64::from_be_bytes(number);
    let (vault, key) = (snapshot.vault(), &snapshot.system().audit);
    let size = snapshot.state().audit_next;
    let mut tree = StoredTree::new(snapshot.tx(), vault, key);
    let hashes = merkle::inclusion(number, size, &mut tree)?;
    let checkpoint = note(snapshot, &mut tree, size)?;
    let found = audit::read(snapshot.tx(), vault, key, number, 1)?;
    let [(_, entry)] = &found[..] else {
        return Err(DAMAGED);
    };
    // The number stands in clear: moved to another receipt, it leads to an entry of another.
    if entry.receipt.is_none_or(|(of, _)| of != id) {
        return Err(DAMAGED);
    }
    Ok(receipt::proof(entry, number, size, &hashes, &checkpoint))
}

/// Whether an entry is one that was asked for; `tags` gives the person's tag of a day.
fn fits(query: &AuditQuery, entry: &Entry, tags: &mut Option<Tags>) -> bool {
    let actor = |token| entry.actor == Actor::Token(token);
    query.since.is_none_or(|since| entry.time >= since)
        && query.until.is_none_or(|until| entry.time < until)
        && query.actor.is_none_or(actor)
        && query
            .action
            .as_deref()
            .is_none_or(|action| entry.action == action)
        && query
            .outcome
            .as_deref()
            .is_none_or(|outcome| entry.outcome == outcome)
        && tags.as_mut().is_none_or(|tags| tags.fit(entry))
}

/// A person's tags, a day each.
pub(super) struct Tags {
    key: Secret<32>,
    by_day: BTreeMap<u32, [u8; 16]>,
}

impl Tags {
    pub(super) fn of(person: &Person) -> Self {
        Self {
            key: person.keyset.audit.duplicate(),
            by_day: BTreeMap::new(),
        }
    }

    pub(super) fn fit(&mut self, entry: &Entry) -> bool {
        let Self { key, by_day } = self;
        let tag = by_day
            .entry(day_of(entry.time))
            .or_insert_with(|| subject_tag(key, entry.time));
        entry.subject == Some(*tag)
    }
}

/// Newest first, at most [`AUDIT_SCAN_MAX`] entries of the log looked at.
fn page(
    snapshot: &Snapshot,
    query: &AuditQuery,
    mut tags: Option<Tags>,
) -> Result<AuditPage, Refusal> {
    let size = snapshot.state().audit_next;
    let mut end = query.before.unwrap_or(size).min(size);
    let last = query.last.clamp(1, AUDIT_PAGE_MAX);
    let floor = end.saturating_sub(AUDIT_SCAN_MAX);
    let mut entries = Vec::new();
    'log: while end > floor {
        let start = end.saturating_sub(SLICE).max(floor);
        let limit = usize::try_from(end - start).expect("a slice");
        let key = &snapshot.system().audit;
        let slice = audit::read(snapshot.tx(), snapshot.vault(), key, start, limit)?;
        for (number, entry) in slice.into_iter().rev() {
            if query.since.is_some_and(|since| entry.time < since - LEEWAY) {
                end = 0;
                break 'log;
            }
            if fits(query, &entry, &mut tags) {
                let canonical = entry.canonical();
                entries.push(AuditEntry {
                    number,
                    hash: merkle::leaf(&canonical),
                    entry: serde_json::from_slice(&canonical).map_err(|_| DAMAGED)?,
                });
                if entries.len() == last {
                    end = number;
                    break 'log;
                }
            }
        }
        end = start;
    }
    Ok(AuditPage {
        entries,
        next: (end > 0).then_some(end),
        size,
    })
}

/// Entries of reads join the log with the next commit, so their times may run back a little.
pub(super) const LEEWAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

impl Vault {
    /// Puts its proof into a receipt. The erasure stands, whatever comes of the proof: that can be
    /// fetched later as well.
    pub(super) fn prove(&self, id: ReceiptId, document: &mut Value) {
        let proof = self.snapshot().and_then(|snapshot| proof(&snapshot, id));
        if let Ok(proof) = proof {
            document["proof"] = proof;
        }
    }

    /// The public key of the log, `name+hash+key`: no secret.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`].
    pub fn log_key(&self) -> Result<String, Refusal> {
        Ok(self.log_keys()?.key)
    }

    /// The public key of the log, and those before it: no secrets.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`].
    pub fn log_keys(&self) -> Result<LogKeys, Refusal> {
        let snapshot = self.snapshot()?;
        let system = snapshot.system();
        let signers = Signers::of(snapshot.vault(), system);
        let notes = system.signers.iter().map(|past| past.note.clone());
        let past = signers.past().zip(notes);
        Ok(LogKeys {
            key: signers.present().to_string(),
            past: past
                .map(|((key, until), note)| PastKey {
                    key: key.to_string(),
                    until,
                    note,
                })
                .collect(),
        })
    }

    /// A checkpoint over what was committed last, signed now.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn log_checkpoint(&self, call: &Call<'_>) -> Result<String, Refusal> {
        self.read(
            call,
            "audit.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::AuditRead)?;
                let key = &snapshot.system().audit;
                let mut tree = StoredTree::new(snapshot.tx(), snapshot.vault(), key);
                note(snapshot, &mut tree, snapshot.state().audit_next)
            },
            |note| note,
        )
    }

    /// Entries of the log, the newest first.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::NotFound`], [`Refusal::Erased`] for the person.
    pub fn audit(&self, call: &Call<'_>, query: &AuditQuery) -> Result<AuditPage, Refusal> {
        self.read(
            call,
            "audit.read",
            query.subject,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::AuditRead)?;
                let person = query
                    .subject
                    .map(|subject| context.remains(snapshot, subject));
                let tags = person.transpose()?.map(|person| Tags::of(&person));
                page(snapshot, query, tags)
            },
            |page| page,
        )
    }

    /// That entry `number` is in the log, and the entry.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::NotFound`] for a number that is not given yet.
    pub fn log_proof(
        &self,
        call: &Call<'_>,
        number: u64,
    ) -> Result<(AuditEntry, LogProof), Refusal> {
        self.read(
            call,
            "audit.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::AuditRead)?;
                let size = snapshot.state().audit_next;
                if number >= size {
                    return Err(Refusal::NotFound("entry"));
                }
                let query = AuditQuery {
                    before: Some(number + 1),
                    last: 1,
                    ..AuditQuery::default()
                };
                let entry = page(snapshot, &query, None)?.entries.pop().ok_or(DAMAGED)?;
                let key = &snapshot.system().audit;
                let mut tree = StoredTree::new(snapshot.tx(), snapshot.vault(), key);
                let hashes = merkle::inclusion(number, size, &mut tree)?;
                let checkpoint = note(snapshot, &mut tree, size)?;
                let proof = LogProof {
                    hashes,
                    size,
                    checkpoint,
                };
                Ok((entry, proof))
            },
            |found| found,
        )
    }

    /// That the log of `to` entries (all, if absent) begins with that of `from` entries.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::Invalid`] where `from <= to <=` the log's size does not
    /// hold.
    pub fn log_consistency(
        &self,
        call: &Call<'_>,
        from: u64,
        to: Option<u64>,
    ) -> Result<LogProof, Refusal> {
        self.read(
            call,
            "audit.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::AuditRead)?;
                let size = to.unwrap_or(snapshot.state().audit_next);
                if from > size || size > snapshot.state().audit_next {
                    let detail = "`from` is at most `to`, and `to` at most the size of the log";
                    return Err(Refusal::Invalid(vec![input::error(
                        "",
                        "out_of_range",
                        detail,
                    )]));
                }
                let key = &snapshot.system().audit;
                let mut tree = StoredTree::new(snapshot.tx(), snapshot.vault(), key);
                Ok(LogProof {
                    hashes: merkle::consistency(from, size, &mut tree)?,
                    checkpoint: note(snapshot, &mut tree, size)?,
                    size,
                })
            },
            |proof| proof,
        )
    }

    /// A receipt as the vault keeps it: body and fresh proof, and nothing that names the person. Beside
    /// it, how far the erasure reaches by now.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::RoleDenied`].
    pub fn receipt(
        &self,
        call: &Call<'_>,
        id: ReceiptId,
    ) -> Result<(Value, ReceiptStatus), Refusal> {
        self.read(
            call,
            "receipts.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::AuditRead)?;
                let key = id.as_bytes();
                let sealed = snapshot.tx().get(Table::Receipts, key)?;
                let sealed = sealed.ok_or(Refusal::NotFound("receipt"))?;
                let location = Location::row(snapshot.vault(), Table::Receipts.number(), key);
                let body = snapshot.system().system.unseal(&location, &sealed);
                let body = body.map_err(|_| DAMAGED)?;
                let body: Value = serde_json::from_slice(&body).map_err(|_| DAMAGED)?;
                let time = body["time"].as_str().and_then(|time| time.parse().ok());
                let status = registry::receipt_status(snapshot, id, time.ok_or(DAMAGED)?)?;
                let document = json!({"body": body, "proof": proof(snapshot, id)?});
                Ok((document, status))
            },
            |receipt| receipt,
        )
    }

    /// Goes over the whole log and holds it to its own checkpoints and to `notes`, which somebody
    /// kept elsewhere. `progress` hears how many entries are done, of how many.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]. Whatever is wrong with the log is in the report.
    pub fn verify_log(
        &self,
        call: &Call<'_>,
        notes: &[String],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<LogReport, Refusal> {
        let (mut walk, size) = self.read(
            call,
            "audit.verify",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::AuditRead)?;
                let size = snapshot.state().audit_next;
                let signers = Signers::of(snapshot.vault(), snapshot.system());
                let given = notes.iter().map(|note| (None, note.clone()));
                let stored = stored_checkpoints(snapshot.tx())?;
                let verifier = LogVerifier::new(&signers, stored.into_iter().chain(given));
                Ok((LogWalk::new(size, verifier), size))
            },
            |walk| walk,
        )?;
        loop {
            let snapshot = self.snapshot()?;
            call.principal.check(&snapshot)?;
            let key = &snapshot.system().audit;
            if !walk.step(snapshot.tx(), snapshot.vault(), key)? {
                return Ok(walk.finish());
            }
            progress(walk.done(), size);
        }
    }
}

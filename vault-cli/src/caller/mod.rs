//! The vault as a role sees it, with its API key: what moves values.
//!
//! Whoever has an unlock secret alone reads and writes no value; so these calls need a token, whether the
//! vault lies in a directory that this process opens, or a server holds it.

mod directory;
mod remote;

use std::io::{Read, Write};
use std::path::PathBuf;

use serde_json::Value;
use vault_core::id::{DecisionId, EmergencyId, SubjectId};
use vault_core::vault::DecisionFilter;

pub(crate) use directory::Directory;
pub(crate) use remote::{Remote, token};

use crate::failure::Failure;

/// What of a person's package the caller is told beside its bytes.
pub(crate) struct Packed {
    /// Bytes that were written.
    pub(crate) bytes: u64,
    /// Whether the role sees everything that belongs there; `None` where only the package knows.
    pub(crate) complete: Option<bool>,
}

/// Where a blob goes.
pub(crate) struct BlobOf<'a> {
    pub(crate) subject: &'a str,
    pub(crate) collection: &'a str,
    pub(crate) record: Option<&'a str>,
    pub(crate) field: &'a str,
    pub(crate) purpose: Option<&'a str>,
    pub(crate) media_type: &'a str,
    pub(crate) size: u64,
}

/// What a role asks of a vault.
pub(crate) trait Caller {
    /// The vault's id.
    fn vault(&self) -> Result<String, Failure>;
    /// Writes a package of a person's own data; `wanted` is the body of the call.
    fn export(
        &self,
        subject: SubjectId,
        wanted: &Value,
        to: &mut dyn Write,
    ) -> Result<Packed, Failure>;
    /// Writes lines; both bodies are those of `POST /v1/import`.
    fn import(&self, batch: &Value) -> Result<Value, Failure>;
    /// Puts a blob into a record.
    fn put_blob(&self, of: &BlobOf<'_>, content: &mut dyn Read) -> Result<(), Failure>;
    /// One turn of a conversation about rights; both bodies are those of `POST /v1/dialogue/turn`.
    fn turn(&self, turn: &Value) -> Result<Value, Failure>;
    /// `{emergencies: [{emergency, state, reason, …}]}` of a person.
    fn emergencies(&self, subject: SubjectId) -> Result<Value, Failure>;
    /// Approves or refuses one: the emergency as it stands then.
    fn decide_emergency(
        &self,
        subject: SubjectId,
        emergency: EmergencyId,
        approve: bool,
    ) -> Result<Value, Failure>;
    /// A page of the queue of reviews: `{decisions: [{decision, subject, kind, state, due, …}], next}`.
    fn decisions(&self, filter: &DecisionFilter, cursor: Option<&str>) -> Result<Value, Failure>;
    /// One decision, as it stands.
    fn decision(&self, decision: DecisionId) -> Result<Value, Failure>;
    /// Takes a step of one; both bodies are those of `POST /v1/decisions/{d}/{step}`.
    fn step_decision(
        &self,
        decision: DecisionId,
        step: &str,
        body: &Value,
    ) -> Result<Value, Failure>;
    /// The server, where one is asked.
    fn url(&self) -> Option<&str> {
        None
    }
}

/// The token of a file that has to be named.
pub(crate) fn token_file(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    named.cloned().ok_or_else(|| {
        Failure::usage(
            "no token is given",
            "values are read and written by a role, never by an unlock secret alone: name a file with an API key of one, --token-file FILE (vault-cli token create --role ROLE)",
        )
    })
}

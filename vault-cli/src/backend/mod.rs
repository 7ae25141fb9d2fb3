//! The vault as the commands see it: in its directory, or behind the server that holds it.
//!
//! Knows nothing of terminals. Every answer is the JSON of the HTTP API, whoever gives it; no
//! answer holds a value of a person.

mod directory;
mod remote;

use std::io::Write;

use jiff::Timestamp;
use serde_json::Value;
use vault_core::breach::DraftFor;
use vault_core::id::{IncidentId, ReceiptId, RequestId, SubjectId, TokenId};
use vault_core::policy::Period;
use vault_core::vault::{
    AccessQuery, AuditQuery, BreachInput, CorrectionInput, HoldInput, Principal, QueueFilter,
    RequestStep, TokenInput, Vault,
};

pub(crate) use directory::{Directory, locked_status, settings};
pub(crate) use remote::{Remote, SOCKET, refused};

use crate::failure::Failure;
use crate::input::LookUp;
use crate::secret::SecretText;

/// Which keys are to be replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    /// Everybody's.
    All {
        /// Root key and index, too.
        deep: bool,
    },
    /// The root key.
    Root,
    /// One person's.
    Subject(SubjectId),
}

/// What the commands ask of a vault.
pub(crate) trait Backend {
    /// The vault itself, where this process has it open, and who calls.
    fn opened(&self) -> Option<(&Vault, &Principal)> {
        None
    }
    /// The server, where one is asked: for what this process does not do itself.
    fn remote(&self) -> Option<&Remote> {
        None
    }
    /// State and counts.
    fn status(&self) -> Result<Value, Failure>;
    /// The policy in force: `{version, applied_at, sha256, source}`.
    fn policy(&self) -> Result<Value, Failure>;
    /// `{versions: [{version, applied_at}]}`.
    fn policy_versions(&self) -> Result<Value, Failure>;
    /// Puts `source` in force: `{version, changes}`.
    fn apply_policy(&self, source: &str, dry_run: bool) -> Result<Value, Failure>;
    /// `{api_keys: [{token, label, role, channels, state, created_at, …}]}`.
    fn tokens(&self) -> Result<Value, Failure>;
    /// One of those, with `secret`.
    fn create_token(&self, key: &TokenInput) -> Result<Value, Failure>;
    /// One of those, with `secret` and `predecessor`, which is one of those too.
    fn rotate_token(&self, token: TokenId, overlap: &Period) -> Result<Value, Failure>;
    /// Revokes an API key.
    fn revoke_token(&self, token: TokenId) -> Result<(), Failure>;
    /// `{key_slots: [{slot, kind, label, created_at}]}`.
    fn slots(&self) -> Result<Value, Failure>;
    /// A new slot for this secret, of shares all of a set; or, for `None`, a recovery key made by the
    /// vault and shown in `recovery_key`. The slot that it replaces goes in the same commit.
    fn add_slot(
        &self,
        secret: Option<&SecretText>,
        label: &str,
        replaces: Option<u8>,
    ) -> Result<Value, Failure>;
    /// Removes a slot: `{slot, removed, warning}`.
    fn remove_slot(&self, number: u8) -> Result<Value, Failure>;
    /// State of the vault's keys, of a person's, and with `values` of those that rows of nobody lie under:
    /// `{root, index, signer, rotation, subject_keys, system_keys}`.
    fn keys(&self, subject: Option<SubjectId>, values: bool) -> Result<Value, Failure>;
    /// Replaces keys, or begins to: `{scope, …}`.
    fn rotate(&self, scope: Scope) -> Result<Value, Failure>;
    /// Waits for the end of what [`Scope::All`] began, or does it; `tell` hears how far it is, and says
    /// whether to go on. The rotation as it stands then.
    fn rotate_on(&self, tell: &mut dyn FnMut(&Value) -> bool) -> Result<Value, Failure>;
    /// `{subject}`.
    fn lookup(&self, lookup: &LookUp) -> Result<Value, Failure>;
    /// State and counts of a person.
    fn view(&self, subject: SubjectId) -> Result<Value, Failure>;
    /// A page of who looked at a person, the newest first: `{accesses, next}`.
    fn access(&self, subject: SubjectId, query: &AccessQuery) -> Result<Value, Failure>;
    /// `{receipt}`.
    fn erase(&self, subject: SubjectId) -> Result<Value, Failure>;
    /// Whether a person's data are held: `{held, overdue, history}`.
    fn hold(&self, subject: SubjectId) -> Result<Value, Failure>;
    /// Places a legal hold: the step.
    fn put_hold(&self, subject: SubjectId, hold: &HoldInput) -> Result<Value, Failure>;
    /// Releases one: `{hold, receipt}`.
    fn release_hold(&self, subject: SubjectId) -> Result<Value, Failure>;
    /// A page of the queue of requests: `{requests, next}`.
    fn requests(&self, filter: &QueueFilter, cursor: Option<&str>) -> Result<Value, Failure>;
    /// One request.
    fn request(&self, request: RequestId) -> Result<Value, Failure>;
    /// What an approval that cannot be undone needs: `{confirmation, expires_at, consequences}`.
    fn confirm_request(
        &self,
        request: RequestId,
        correction: Option<&CorrectionInput>,
    ) -> Result<Value, Failure>;
    /// Takes a step: `{request, receipt}`.
    fn step_request(&self, request: RequestId, step: &RequestStep) -> Result<Value, Failure>;
    /// Refuses where no link can be given, whatever it is to.
    fn could_link(&self) -> Result<(), Failure> {
        Ok(())
    }
    /// Gives a link with which the person picks their copy up: `{request, receipt, link: {url, expires_at}}`.
    fn give_link(&self, request: RequestId, format: Option<&str>) -> Result<Value, Failure>;
    /// A page of who is under one: `{holds, next}`.
    fn holds(&self, cursor: Option<&str>) -> Result<Value, Failure>;
    /// A page of the log, the newest first: `{entries: [{number, hash, entry}], next, size}`.
    fn audit(&self, query: &AuditQuery) -> Result<Value, Failure>;
    /// The log's public keys: `{key, past: [{key, until, note}]}`.
    fn log_keys(&self) -> Result<Value, Failure>;
    /// The present one, on one line.
    fn log_key(&self) -> Result<String, Failure> {
        let keys = self.log_keys()?;
        Ok(keys["key"].as_str().unwrap_or_default().to_owned())
    }
    /// A checkpoint over the whole log, signed now.
    fn log_checkpoint(&self) -> Result<String, Failure>;
    /// Holds the log to its checkpoints and to `notes`: `{sound, entries, root, checkpoints, faults,
    /// faults_total}`. `progress` may hear how many entries are done, of how many.
    fn verify_log(
        &self,
        notes: &[String],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Value, Failure>;
    /// `{body, proof, status}`.
    fn receipt(&self, receipt: ReceiptId) -> Result<Value, Failure>;
    /// The register of breaches: `{incidents: [{incident, state, due_at, overdue, …}]}`.
    fn incidents(&self) -> Result<Value, Failure>;
    /// One of them, with its steps and its scope.
    fn incident(&self, incident: IncidentId) -> Result<Value, Failure>;
    /// Who is affected by a breach: the report. Whom it counts is written to `people`, a line each. `progress`
    /// may hear how many people are done, of how many.
    fn breach_scope(
        &self,
        input: &BreachInput,
        people: Option<&mut dyn Write>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Value, Failure>;
    /// Drafts of what is told of it: `{for, drafts: [{lang, markdown}]}`.
    fn breach_drafts(
        &self,
        report: &Value,
        whom: DraftFor,
        lang: Option<&str>,
        aware_at: Option<Timestamp>,
    ) -> Result<Value, Failure>;
    /// What is due to go: `{people, records, keys, index}`.
    fn retention_due(&self) -> Result<Value, Failure>;
    /// Drops some of it: `{passes, more}`.
    fn retention_pass(&self) -> Result<Value, Failure>;
}

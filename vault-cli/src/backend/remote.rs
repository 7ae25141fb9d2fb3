//! A vault behind a server, with a token.
//!
//! Knows the admin part of the HTTP API. A refusal there becomes the failure that the directory
//! would have given.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::breach::DraftFor;
use vault_core::id::{BackupId, IncidentId, ReceiptId, RequestId, SubjectId, TokenId};
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::policy::Period;
use vault_core::vault::{
    AccessQuery, AuditQuery, BreachInput, BreachVector, CorrectionInput, HoldInput, QueueFilter,
    RequestStep, TokenInput, UnlockError,
};
use vault_server::urls;
use zeroize::Zeroize;

use super::{Backend, Scope};
use crate::failure::{Exit, Failure};
use crate::http::{Client, HttpError, Reply, Tls};
use crate::input::LookUp;
use crate::secret::{SecretKind, SecretText, read_file};

/// The name of the server's socket in the vault's directory.
pub(crate) const SOCKET: &str = "admin.sock";
/// Longest wait for a run of retention, and for a walk over the log.
const LONG_WAIT: Duration = Duration::from_secs(3600);
/// How often it is looked how far a rotation of keys is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A server, and what proves who calls.
pub(crate) struct Remote {
    client: Client,
    /// Whether the token was given for an unlock secret, and is to end with this command.
    lent: bool,
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let help = match &error {
            HttpError::Address => {
                "name it like https://vault.example.test, or http://127.0.0.1:8200 on this machine"
            }
            HttpError::Answer(_) => "check that the address is that of a vault's server",
            HttpError::Pem(_) => {
                "give a file that begins with -----BEGIN CERTIFICATE----- (--ca-file, --client-cert) or -----BEGIN PRIVATE KEY----- (--client-key)"
            }
            HttpError::Plain => {
                "use https://, or forward its port: ssh -L 8200:127.0.0.1:8200 HOST"
            }
            HttpError::Transport { .. } => {
                "check the address, and that `vault-cli serve` runs there"
            }
            HttpError::Untrusted { .. } => {
                "check the address; name who vouches for the server with --ca-file FILE or VAULT_CA_FILE"
            }
        };
        let code = match &error {
            HttpError::Address | HttpError::Plain => return Self::usage(error.to_string(), help),
            HttpError::Answer(_) => "not_a_vault",
            HttpError::Pem(_) => "not_pem",
            HttpError::Transport { .. } => "unreachable",
            HttpError::Untrusted { .. } => "untrusted",
        };
        Self::caused(Exit::Failed, code, &error, help)
    }
}

impl Remote {
    /// Reads the token; connects at the first call.
    pub(crate) fn new(url: &str, token_file: Option<&Path>, tls: &Tls) -> Result<Self, Failure> {
        let Some(path) = token_file else {
            return Err(Failure::usage(
                "no token is given for the server",
                "name a file that holds it with --token-file FILE",
            ));
        };
        let token = read_file(path)?;
        if !token.starts_with("vk_") || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::new(
                Exit::Locked,
                "unauthenticated",
                format!("{} holds no token", path.display()),
                "a token file has one line that begins with vk_, as `vault-cli token create` prints it",
            ));
        }
        let client = Client::secured(url, &token, tls)?;
        Ok(Self {
            client,
            lent: false,
        })
    }

    /// Proves an unlock secret to the server that holds `dir`, over its socket; what it gives for
    /// that ends with this value.
    pub(crate) fn through(dir: &Path, secret: &SecretText) -> Result<Self, Failure> {
        let client = Client::over_socket(&dir.join(SOCKET), "none");
        let mut remote = Self {
            client,
            lent: false,
        };
        if matches!(secret.kind, SecretKind::KeyFile | SecretKind::Shares) {
            // What can open no slot is told here, with its own exit code, and is not sent.
            secret.parse()?;
        }
        let body = secret_body(secret);
        let given = remote.send("POST", "/v1/keyholder", Some(&body.0));
        let given = given.map_err(|failure| match failure.code.as_str() {
            "unauthenticated" => Failure::from(UnlockError::NoSlotMatches),
            "unreachable" | "not_found" => Failure {
                help: "the server that holds this directory does not answer there: restart it, or go through --server URL --token-file FILE".into(),
                ..failure
            },
            _ => failure,
        })?;
        let token = given["token"].as_str().unwrap_or_default();
        if !token.starts_with("vh_") || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HttpError::Answer(remote.client.url().to_owned()).into());
        }
        remote.client.bear(token);
        remote.lent = true;
        Ok(remote)
    }

    /// Tries a secret on the slots. Those of a directory are tried on their file alone.
    pub(crate) fn test_slot(&self, secret: &SecretText) -> Result<Value, Failure> {
        let body = secret_body(secret);
        self.send("POST", urls::KEY_SLOT_TEST, Some(&body.0))
    }

    fn text(&self, path: &str) -> Result<String, Failure> {
        match self.send("GET", path, None)? {
            Value::String(text) => Ok(text),
            _ => Err(HttpError::Answer(self.client.url().to_owned()).into()),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        answer(self.client.call(method, path, None, body)?)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.lent {
            // It ends by itself soon; a command that did its work has not failed for this.
            let _ = self.client.call("DELETE", "/v1/keyholder", None, None);
        }
    }
}

/// A body with a secret in it, overwritten when dropped.
struct SecretBody(Value);

impl Drop for SecretBody {
    fn drop(&mut self) {
        for value in self.0.as_object_mut().into_iter().flat_map(Map::values_mut) {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(texts) => {
                    for text in texts {
                        if let Value::String(text) = text {
                            text.zeroize();
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn secret_body(secret: &SecretText) -> SecretBody {
    SecretBody(match secret.kind {
        SecretKind::Passphrase => json!({"passphrase": *secret.text}),
        SecretKind::RecoveryKey => json!({"recovery_key": secret.text.trim()}),
        SecretKind::KeyFile => json!({"key_file": *secret.text}),
        SecretKind::Shares => json!({"shares": secret.lines().collect::<Vec<_>>()}),
    })
}

fn answer(reply: Reply) -> Result<Value, Failure> {
    match reply.status {
        200..300 => Ok(reply.body),
        _ => Err(refused(&reply)),
    }
}

/// The failure that a problem document stands for. Its `detail` names fields and limits, never
/// a value: the server promises that.
pub(crate) fn refused(reply: &Reply) -> Failure {
    let text = |name: &str| reply.body[name].as_str();
    let code = text("code").unwrap_or("internal");
    let what = text("detail").or(text("title")).map_or_else(
        || format!("the server answered with status {}", reply.status),
        ToOwned::to_owned,
    );
    let mut failure = Failure::of_code(code, what);
    let errors = reply.body["errors"].as_array();
    failure.findings = errors
        .into_iter()
        .flatten()
        .filter_map(|error| {
            let detail = error["detail"].as_str()?;
            Some(match error["pointer"].as_str() {
                Some(pointer) if !pointer.is_empty() => format!("{pointer}: {detail}"),
                _ => detail.to_owned(),
            })
        })
        .chain(text("receipt").map(|receipt| format!("receipt {receipt}")))
        .collect();
    failure
}

/// Ids, instants and numbers stand in a URL as they are; so do the words of the log, which the
/// command line checks.
fn audit_path(query: &AuditQuery) -> String {
    let mut path = format!("{}?last={}", urls::AUDIT, query.last);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    };
    add("before", query.before.map(|number| number.to_string()));
    add("since", query.since.map(|at| at.to_string()));
    add("until", query.until.map(|at| at.to_string()));
    add("actor", query.actor.map(|token| token.to_string()));
    add("action", query.action.clone());
    add("outcome", query.outcome.clone());
    add("subject", query.subject.map(|subject| subject.to_string()));
    path
}

/// As [`audit_path`]; a cursor is of the letters of base64url.
fn access_path(subject: SubjectId, query: &AccessQuery) -> String {
    let path = urls::at(urls::SUBJECT_ACCESS, &[&subject]);
    let mut path = format!("{path}?limit={}", query.limit);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    };
    add("from", query.from.map(|at| at.to_string()));
    add("to", query.to.map(|at| at.to_string()));
    add("cursor", query.cursor.clone());
    path
}

impl Remote {
    /// The registry, and what the configuration says of backups.
    pub(crate) fn backups(&self) -> Result<Value, Failure> {
        self.send("GET", urls::BACKUPS, None)
    }

    /// Begins a backup of `both`, `data` or `keys`: its job.
    pub(crate) fn create_backup(&self, parts: &str) -> Result<Value, Failure> {
        self.send("POST", urls::BACKUPS, Some(&json!({"parts": parts})))
    }

    /// Begins to read a backup back, or all: the job.
    pub(crate) fn verify_backups(&self, backup: Option<BackupId>) -> Result<Value, Failure> {
        let body = match backup {
            Some(backup) => json!({"backup": backup.to_string()}),
            None => json!({}),
        };
        self.send("POST", urls::BACKUPS_VERIFY, Some(&body))
    }

    /// Begins to give a backup today's keys: the job.
    pub(crate) fn rekey_backup(&self, backup: BackupId) -> Result<Value, Failure> {
        let path = urls::at(urls::BACKUP_REKEY, &[&backup]);
        self.send("POST", &path, Some(&json!({})))
    }

    /// Lets go what the rules do not keep, or says what that is.
    pub(crate) fn prune_backups(&self, dry_run: bool) -> Result<Value, Failure> {
        let path = format!("{}?dry_run={dry_run}", urls::BACKUPS_PRUNE);
        let (client, body) = (&self.client, json!({}));
        answer(client.call_within(LONG_WAIT, "POST", &path, None, Some(&body))?)
    }

    /// Copies the erasure ledger to every target: how the copies stand.
    pub(crate) fn copy_ledger(&self) -> Result<Value, Failure> {
        let (client, body) = (&self.client, json!({}));
        answer(client.call_within(LONG_WAIT, "POST", urls::BACKUPS_LEDGER, None, Some(&body))?)
    }

    /// A job as it stands.
    pub(crate) fn job(&self, number: u64) -> Result<Value, Failure> {
        self.send("GET", &urls::at(urls::JOB, &[&number]), None)
    }

    /// Asks a job to end.
    pub(crate) fn cancel_job(&self, number: u64) -> Result<Value, Failure> {
        self.send("DELETE", &urls::at(urls::JOB, &[&number]), None)
    }
}

/// A correction as the API takes it.
fn correction_body(correction: &CorrectionInput) -> Value {
    let mut body = json!({"collection": correction.collection, "fields": correction.fields});
    if let Some(record) = &correction.record {
        body["record"] = record.to_string().into();
    }
    body
}

/// A step as the API takes it: its name, and its body.
fn step_body(step: &RequestStep) -> (&'static str, Value) {
    match step {
        RequestStep::Approve {
            confirmation,
            correction,
            answer,
        } => {
            let mut body = correction
                .as_ref()
                .map_or_else(|| json!({}), correction_body);
            body["confirmation"] = json!(confirmation);
            body["answer"] = json!(answer);
            ("approve", body)
        }
        RequestStep::AskClarification { question } => ("clarify", json!({"question": question})),
        RequestStep::AskIdentity { question } => {
            ("identity", json!({"outcome": "asked", "note": question}))
        }
        RequestStep::Cancel { reason } => ("cancel", json!({"reason": reason})),
        RequestStep::CheckByHand { note } => {
            ("identity", json!({"outcome": "manual", "note": note}))
        }
        RequestStep::Clarify { answer } => ("clarify", json!({"answer": answer})),
        RequestStep::Extend { reason, period } => {
            let period = period.as_ref().map(ToString::to_string);
            ("extend", json!({"reason": reason.name(), "period": period}))
        }
        RequestStep::Refuse {
            code,
            law,
            approver,
            reason,
        } => (
            "refuse",
            json!({"code": code.name(), "law": law, "approver": approver, "reason": reason}),
        ),
        RequestStep::Review { note } => ("review", json!({"note": note})),
        RequestStep::Verify { evidence } => (
            "identity",
            json!({"outcome": "verified", "evidence": evidence}),
        ),
    }
}

impl Backend for Remote {
    fn remote(&self) -> Option<&Remote> {
        Some(self)
    }

    fn status(&self) -> Result<Value, Failure> {
        self.send("GET", urls::STATUS, None)
    }

    fn policy(&self) -> Result<Value, Failure> {
        self.send("GET", urls::POLICY, None)
    }

    fn policy_versions(&self) -> Result<Value, Failure> {
        self.send("GET", urls::POLICY_VERSIONS, None)
    }

    fn apply_policy(&self, source: &str, dry_run: bool) -> Result<Value, Failure> {
        let query = if dry_run { "?dry_run=true" } else { "" };
        let path = format!("{}{query}", urls::POLICY);
        self.send("PUT", &path, Some(&json!({"source": source})))
    }

    fn tokens(&self) -> Result<Value, Failure> {
        self.send("GET", urls::API_KEYS, None)
    }

    fn create_token(&self, key: &TokenInput) -> Result<Value, Failure> {
        let mut body = json!({"role": key.role, "label": key.label});
        if let Some(instant) = key.expires_at {
            body["expires_at"] = json!(instant.to_string());
        }
        if !key.channels.is_empty() {
            body["channels"] = json!(key.channels);
        }
        self.send("POST", urls::API_KEYS, Some(&body))
    }

    fn rotate_token(&self, token: TokenId, overlap: &Period) -> Result<Value, Failure> {
        let path = urls::at(urls::API_KEY_ROTATE, &[&token]);
        let body = json!({"overlap": overlap.to_string()});
        self.send("POST", &path, Some(&body))
    }

    fn revoke_token(&self, token: TokenId) -> Result<(), Failure> {
        self.send("DELETE", &urls::at(urls::API_KEY, &[&token]), None)
            .map(drop)
    }

    fn slots(&self) -> Result<Value, Failure> {
        self.send("GET", urls::KEY_SLOTS, None)
    }

    fn add_slot(
        &self,
        secret: Option<&SecretText>,
        label: &str,
        replaces: Option<u8>,
    ) -> Result<Value, Failure> {
        let mut body = match secret {
            Some(secret) => secret_body(secret),
            None => SecretBody(json!({})),
        };
        body.0["kind"] = json!(match secret.map(|secret| secret.kind) {
            None | Some(SecretKind::RecoveryKey) => "recovery_key",
            Some(SecretKind::Passphrase) => "passphrase",
            Some(SecretKind::KeyFile) => "key_file",
            Some(SecretKind::Shares) => "shares",
        });
        body.0["label"] = json!(label);
        if let Some(number) = replaces {
            body.0["replaces"] = json!(number);
        }
        self.send("POST", urls::KEY_SLOTS, Some(&body.0))
    }

    fn remove_slot(&self, number: u8) -> Result<Value, Failure> {
        self.send("DELETE", &urls::at(urls::KEY_SLOT, &[&number]), None)
    }

    fn keys(&self, subject: Option<SubjectId>, values: bool) -> Result<Value, Failure> {
        let mut path = format!("{}?values={values}", urls::KEYS);
        if let Some(subject) = subject {
            path.push_str(&format!("&subject={subject}"));
        }
        self.send("GET", &path, None)
    }

    fn rotate(&self, scope: Scope) -> Result<Value, Failure> {
        let body = match scope {
            Scope::All { deep } => json!({"scope": "all", "deep": deep}),
            Scope::Root => json!({"scope": "root"}),
            Scope::Subject(subject) => {
                json!({"scope": "subject", "subject": subject.to_string()})
            }
        };
        let client = &self.client;
        answer(client.call_within(LONG_WAIT, "POST", urls::KEYS_ROTATE, None, Some(&body))?)
    }

    fn rotate_on(&self, tell: &mut dyn FnMut(&Value) -> bool) -> Result<Value, Failure> {
        loop {
            let rotation = self.keys(None, false)?["rotation"].take();
            let over = rotation["state"] == "done" || rotation["state"] == "paused";
            if over || !tell(&rotation) {
                return Ok(rotation);
            }
            // The server does it; this only looks.
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn lookup(&self, lookup: &LookUp) -> Result<Value, Failure> {
        let body = match lookup {
            LookUp::Channel { channel, user } => json!({"channel": channel, "user": user}),
            LookUp::Field { field, value } => json!({"field": field, "value": value}),
        };
        self.send("POST", urls::LOOKUP, Some(&body))
    }

    fn view(&self, subject: SubjectId) -> Result<Value, Failure> {
        self.send("GET", &urls::at(urls::SUBJECT, &[&subject]), None)
    }

    fn access(&self, subject: SubjectId, query: &AccessQuery) -> Result<Value, Failure> {
        self.send("GET", &access_path(subject, query), None)
    }

    fn erase(&self, subject: SubjectId) -> Result<Value, Failure> {
        self.send("DELETE", &urls::at(urls::SUBJECT, &[&subject]), None)
    }

    fn hold(&self, subject: SubjectId) -> Result<Value, Failure> {
        self.send("GET", &urls::at(urls::HOLD, &[&subject]), None)
    }

    fn put_hold(&self, subject: SubjectId, hold: &HoldInput) -> Result<Value, Failure> {
        let body = json!({
            "ground": hold.ground.name(),
            "collections": hold.collections,
            "reason": hold.reason,
            "approver": hold.approver,
            "review_at": hold.review_at.to_string(),
        });
        self.send("PUT", &urls::at(urls::HOLD, &[&subject]), Some(&body))
    }

    fn release_hold(&self, subject: SubjectId) -> Result<Value, Failure> {
        self.send("DELETE", &urls::at(urls::HOLD, &[&subject]), None)
    }

    fn requests(&self, filter: &QueueFilter, cursor: Option<&str>) -> Result<Value, Failure> {
        let mut path = format!("{}?limit={PAGE_RECORDS_MAX}", urls::REQUESTS);
        let pairs = [
            ("type", filter.kind.map(|kind| kind.name().to_owned())),
            ("state", filter.state.map(|state| state.name().to_owned())),
            ("due_before", filter.due_before.map(|day| day.to_string())),
            ("overdue", filter.overdue.then(|| "true".to_owned())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        for (name, text) in pairs {
            if let Some(text) = text {
                path.push_str(&format!("&{name}={text}"));
            }
        }
        self.send("GET", &path, None)
    }

    fn request(&self, request: RequestId) -> Result<Value, Failure> {
        self.send("GET", &urls::at(urls::REQUEST, &[&request]), None)
    }

    fn confirm_request(
        &self,
        request: RequestId,
        correction: Option<&CorrectionInput>,
    ) -> Result<Value, Failure> {
        let body = correction.map_or_else(|| json!({}), correction_body);
        let path = urls::at(urls::REQUEST_CONFIRM, &[&request]);
        self.send("POST", &path, Some(&body))
    }

    fn step_request(&self, request: RequestId, step: &RequestStep) -> Result<Value, Failure> {
        let (name, body) = step_body(step);
        let path = urls::at(urls::REQUEST_STEP, &[&request, &name]);
        self.send("POST", &path, Some(&body))
    }

    fn give_link(&self, request: RequestId, format: Option<&str>) -> Result<Value, Failure> {
        let mut body = json!({"deliver": "link"});
        if let Some(format) = format {
            body["format"] = format.into();
        }
        let path = urls::at(urls::REQUEST_APPROVE, &[&request]);
        self.send("POST", &path, Some(&body))
    }

    fn holds(&self, cursor: Option<&str>) -> Result<Value, Failure> {
        let mut path = format!("{}?limit={PAGE_RECORDS_MAX}", urls::HOLDS);
        if let Some(cursor) = cursor {
            path.push_str(&format!("&cursor={cursor}"));
        }
        self.send("GET", &path, None)
    }

    fn audit(&self, query: &AuditQuery) -> Result<Value, Failure> {
        self.send("GET", &audit_path(query), None)
    }

    fn log_keys(&self) -> Result<Value, Failure> {
        self.send("GET", urls::LOG_KEY, None)
    }

    fn log_checkpoint(&self) -> Result<String, Failure> {
        self.text(urls::LOG_CHECKPOINT)
    }

    fn verify_log(
        &self,
        notes: &[String],
        _progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Value, Failure> {
        let body = json!({"checkpoints": notes});
        let client = &self.client;
        answer(client.call_within(LONG_WAIT, "POST", urls::LOG_VERIFY, None, Some(&body))?)
    }

    fn receipt(&self, receipt: ReceiptId) -> Result<Value, Failure> {
        self.send("GET", &urls::at(urls::RECEIPT, &[&receipt]), None)
    }

    fn incidents(&self) -> Result<Value, Failure> {
        self.send("GET", urls::INCIDENTS, None)
    }

    fn incident(&self, incident: IncidentId) -> Result<Value, Failure> {
        self.send("GET", &urls::at(urls::INCIDENT, &[&incident]), None)
    }

    fn breach_scope(
        &self,
        input: &BreachInput,
        people: Option<&mut dyn Write>,
        _progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Value, Failure> {
        let mut body = scope_body(input);
        let client = &self.client;
        let path = urls::BREACH_SCOPE;
        let Some(out) = people else {
            return answer(client.call_within(LONG_WAIT, "POST", path, None, Some(&body))?);
        };
        body["people"] = json!(true);
        // The report is the last line; a line may come in parts.
        let (mut line, mut report) = (Vec::new(), None);
        let fetched = client.fetch(LONG_WAIT, path, &body, &mut |part| {
            for piece in part.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                if line.last() != Some(&b'\n') {
                    continue;
                }
                match line.starts_with(b"{\"report\":") {
                    true => report = serde_json::from_slice::<Value>(&line).ok(),
                    false => out.write_all(&line)?,
                }
                line.clear();
            }
            Ok(())
        })?;
        fetched.map_err(|reply| refused(&reply))?;
        let report = report.map(|mut line| line["report"].take());
        report.ok_or_else(|| {
            Failure::of_code(
                "internal",
                "the list ended before its report: it is not whole",
            )
        })
    }

    fn breach_drafts(
        &self,
        report: &Value,
        whom: DraftFor,
        lang: Option<&str>,
        aware_at: Option<Timestamp>,
    ) -> Result<Value, Failure> {
        let body = json!({
            "report": report,
            "for": whom.name(),
            "lang": lang,
            "aware_at": aware_at.map(|at| at.to_string()),
        });
        self.send("POST", urls::BREACH_DRAFT, Some(&body))
    }

    fn retention_due(&self) -> Result<Value, Failure> {
        let path = format!("{}?dry_run=true", urls::RETENTION_RUN);
        let mut answer = self.send("POST", &path, Some(&json!({})))?;
        Ok(answer["due"].take())
    }

    fn retention_pass(&self) -> Result<Value, Failure> {
        let path = urls::RETENTION_RUN;
        let client = &self.client;
        answer(client.call_within(LONG_WAIT, "POST", path, None, Some(&json!({})))?)
    }
}

/// What is asked of a breach, as the API takes it.
fn scope_body(input: &BreachInput) -> Value {
    let mut body = match &input.vector {
        BreachVector::ApiKey(token) => json!({"api_key": token.to_string()}),
        BreachVector::Role(role) => json!({"role": role}),
        BreachVector::Session(session) => json!({"session": session.to_string()}),
        BreachVector::Recipient(name) => json!({"recipient": name}),
        BreachVector::Backup(backup, part) => {
            json!({"backup": backup.to_string(), "part": part.name()})
        }
        BreachVector::Key(what) => json!({"key": what}),
        BreachVector::Files => json!({"files": true}),
    };
    for (name, at) in [("from", input.from), ("to", input.to)] {
        if let Some(at) = at {
            body[name] = json!(at.to_string());
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_code_and_gets_its_exit_and_way_out() {
        for (status, code, exit) in [
            (401, "unauthenticated", Exit::Locked),
            (403, "role_denied", Exit::Refused),
            (503, "locked", Exit::Locked),
            (404, "not_found", Exit::Failed),
            (500, "something_new", Exit::Failed),
        ] {
            let body = json!({"code": code, "title": "t", "detail": "d",
                "errors": [{"pointer": "/a", "code": "c", "detail": "expected a date"}]});
            let failure = refused(&Reply { status, body });
            assert_eq!((failure.code.as_str(), failure.exit), (code, exit));
            assert_eq!(failure.findings, ["/a: expected a date"]);
            assert!(!failure.help.is_empty());
        }
        let odd = refused(&Reply {
            status: 502,
            body: Value::Null,
        });
        assert!(odd.what.contains("502"));
    }
}

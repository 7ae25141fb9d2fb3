//! A vault in its directory, opened with an unlock secret by this process.
//!
//! Knows nothing of HTTP but the names of its members.

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use vault_core::audit::hex;
use vault_core::breach::{BreachReport, DraftFor};
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::{CallId, IncidentId, ReceiptId, RequestId, SubjectId, TokenId};
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::policy::Period;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    AccessQuery, AuditQuery, BreachInput, Call, CorrectionInput, HoldInput, KeyView, LockedVault,
    Onwards, Principal, QueueFilter, RequestStep, RotationView, Settings, SlotView, Sweep,
    SystemKeyView, TokenInput, TokenView, UnlockSecret, Vault, VaultPaths,
};

use super::{Backend, Scope};
use crate::failure::{Exit, Failure};
use crate::input::LookUp;
use crate::secret::{SecretKind, SecretText, new_passphrase};
use crate::terminal::Terminal;

/// An open vault, closed when dropped.
pub(crate) struct Directory {
    vault: Arc<Vault>,
    keyholder: Principal,
    // Holds the directory against other processes; dropped after the vault is closed.
    _locked: LockedVault,
}

/// Whoever has an unlock secret has proved more than an API key can: the file systems were judged
/// when the vault was created.
pub(crate) fn settings() -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    }
}

/// What can be said without a key.
pub(crate) fn locked_status(paths: &VaultPaths) -> Result<Value, Failure> {
    let peek = LockedVault::peek(paths)?;
    Ok(json!({
        "vault": peek.vault.to_string(),
        "state": if peek.held { "held" } else { "locked" },
        "bytes_on_disk": peek.bytes_on_disk,
    }))
}

impl Directory {
    /// Opens a directory that is held already: nobody types a passphrase for one that cannot be.
    pub(crate) fn open(
        locked: LockedVault,
        secret: &UnlockSecret,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        // Argon2id, then whatever recovery after a crash takes.
        let step = terminal.step("opening the vault");
        let vault = locked.unlock(secret)?;
        drop(step);
        let keyholder = vault.keyholder();
        Ok(Self {
            vault,
            keyholder,
            _locked: locked,
        })
    }

    fn call<T>(&self, work: impl FnOnce(&Call<'_>) -> Result<T, Refusal>) -> Result<T, Failure> {
        let call = Call {
            principal: &self.keyholder,
            purpose: None,
            restricted_use: None,
            id: CallId::generate(&mut OsEntropy),
        };
        Ok(work(&call)?)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.vault.close();
    }
}

impl Backend for Directory {
    fn opened(&self) -> Option<(&Vault, &Principal)> {
        Some((&self.vault, &self.keyholder))
    }

    fn status(&self) -> Result<Value, Failure> {
        let status = self.vault.status()?;
        Ok(json!({
            "vault": status.vault.to_string(),
            "state": "open",
            "writable": status.writable,
            "clock_leads": status.clock_leads,
            "policy_version": status.policy_version,
            "people": status.people,
            "erased": status.erased,
            "audit_entries": status.audit_entries,
            "bytes_on_disk": status.bytes_on_disk,
            "suppressions": status.suppressions,
            "memory_lock": {
                "locked_bytes": status.memory_lock.locked_bytes,
                "unlocked_bytes": status.memory_lock.unlocked_bytes,
                "limit": status.memory_lock.limit,
            },
            "backups": vault_server::backup_summary(status.backups),
        }))
    }

    fn policy(&self) -> Result<Value, Failure> {
        let view = self.call(|call| self.vault.policy(call))?;
        let sha256: String = view
            .sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(json!({
            "version": view.version,
            "applied_at": view.applied_at.to_string(),
            "sha256": sha256,
            "source": view.source,
        }))
    }

    fn policy_versions(&self) -> Result<Value, Failure> {
        let versions = self.call(|call| self.vault.policy_versions(call))?;
        let rows = versions.iter().map(|(version, applied_at)| {
            json!({"version": version, "applied_at": applied_at.to_string()})
        });
        Ok(json!({"versions": rows.collect::<Vec<_>>()}))
    }

    fn apply_policy(&self, source: &str, dry_run: bool) -> Result<Value, Failure> {
        let applied = self.call(|call| self.vault.apply_policy(call, source, dry_run))?;
        Ok(json!({"version": applied.version, "changes": applied.changes}))
    }

    fn tokens(&self) -> Result<Value, Failure> {
        let tokens = self.call(|call| self.vault.list_tokens(call))?;
        Ok(json!({"api_keys": tokens.iter().map(token).collect::<Vec<_>>()}))
    }

    fn create_token(&self, key: &TokenInput) -> Result<Value, Failure> {
        let (view, secret) = self.call(|call| self.vault.make_token(call, key.clone()))?;
        let mut answer = token(&view);
        answer["secret"] = Value::String(secret);
        Ok(answer)
    }

    fn rotate_token(&self, name: TokenId, overlap: &Period) -> Result<Value, Failure> {
        let rotated = self.call(|call| self.vault.rotate_token(call, name, overlap))?;
        let mut answer = token(&rotated.key);
        answer["secret"] = Value::String(rotated.secret);
        answer["predecessor"] = token(&rotated.old);
        Ok(answer)
    }

    fn revoke_token(&self, token: TokenId) -> Result<(), Failure> {
        self.call(|call| self.vault.revoke_token(call, token))
    }

    fn slots(&self) -> Result<Value, Failure> {
        let slots = self.call(|call| self.vault.slots(call))?;
        Ok(json!({"key_slots": slots.iter().map(slot).collect::<Vec<_>>()}))
    }

    fn add_slot(
        &self,
        secret: Option<&SecretText>,
        label: &str,
        replaces: Option<u8>,
    ) -> Result<Value, Failure> {
        let Some(secret) = secret else {
            let (view, key) = self.call(|call| self.vault.add_recovery_slot(call, label))?;
            let mut answer = slot(&view);
            answer["recovery_key"] = Value::String(key.to_text());
            return Ok(answer);
        };
        let secret = match secret.kind {
            SecretKind::Passphrase => UnlockSecret::Passphrase(new_passphrase(&secret.text)?),
            _ => secret.parse()?,
        };
        let view = self.call(|call| self.vault.add_slot(call, &secret, label, replaces))?;
        Ok(slot(&view))
    }

    fn remove_slot(&self, number: u8) -> Result<Value, Failure> {
        let warning = self.call(|call| self.vault.remove_slot(call, number))?;
        Ok(json!({"slot": number, "removed": true, "warning": warning}))
    }

    fn keys(&self, subject: Option<SubjectId>, values: bool) -> Result<Value, Failure> {
        let keys = self.call(|call| self.vault.keys(call))?;
        let mut answer = json!({
            "root": {
                "epoch": keys.epoch,
                "slots": keys.slots,
                "rotated_at": keys.root_at.map(|at| at.to_string()),
            },
            "index": {
                "generation": keys.index_generation,
                "in_work": keys.index_in_work,
                "keys": keys.index_keys,
            },
            "signer": {"key": keys.signer, "past": keys.signers_past},
            "rotation": keys.rotation.as_ref().map(rotation),
        });
        if let Some(subject) = subject {
            let keys = self.call(|call| self.vault.subject_keys(call, subject))?;
            answer["subject_keys"] = keys.iter().map(key).collect();
        }
        if values {
            let seen = self.call(|call| self.vault.system_keys(call))?;
            answer["system_keys"] = seen.keys.iter().map(system_key).collect();
            let rows = seen.named.iter();
            let rows: Value = rows
                .map(|row| json!({"table": row.table, "row": row.row}))
                .collect();
            answer["damaged_rows"] = json!({"count": seen.damaged, "rows": rows});
        }
        Ok(answer)
    }

    fn rotate(&self, scope: Scope) -> Result<Value, Failure> {
        match scope {
            Scope::Root => {
                let rotated = self.call(|call| self.vault.rotate_root(call))?;
                let (before, after) = (rotated.epoch_before, rotated.epoch_after);
                Ok(json!({"scope": "root", "epoch_before": before, "epoch_after": after}))
            }
            Scope::Subject(subject) => {
                let keys = self.call(|call| self.vault.rotate_subject(call, subject))?;
                let keys: Value = keys.iter().map(key).collect();
                Ok(json!({"scope": "subject", "subject_keys": keys}))
            }
            Scope::All { deep } => {
                let (view, resumed) = self.call(|call| self.vault.begin_rotation(call, deep))?;
                Ok(json!({"scope": "all", "rotation": rotation(&view), "resumed": resumed}))
            }
        }
    }

    fn rotate_on(&self, tell: &mut dyn FnMut(&Value) -> bool) -> Result<Value, Failure> {
        let ended = self
            .vault
            .rotate_on(&mut |view| match tell(&rotation(view)) {
                true => Onwards::Yes,
                false => Onwards::No,
            })?;
        Ok(ended.as_ref().map_or(Value::Null, rotation))
    }

    fn lookup(&self, lookup: &LookUp) -> Result<Value, Failure> {
        let subject = self.call(|call| match lookup {
            LookUp::Channel { channel, user } => self.vault.lookup_channel(call, channel, user),
            LookUp::Field { field, value } => self.vault.lookup_field(call, field, value),
        })?;
        Ok(json!({"subject": subject.to_string()}))
    }

    fn view(&self, subject: SubjectId) -> Result<Value, Failure> {
        let view = self.call(|call| self.vault.view_subject(call, subject))?;
        let collections = view
            .collections
            .iter()
            .map(|count| json!({"collection": count.collection, "records": count.records}));
        Ok(json!({
            "subject": view.subject.to_string(),
            "created_at": view.created_at.to_string(),
            "state": view.state,
            "restricted": view.restricted,
            "held": view.held,
            "collections": collections.collect::<Vec<_>>(),
        }))
    }

    fn access(&self, subject: SubjectId, query: &AccessQuery) -> Result<Value, Failure> {
        let page = self.call(|call| self.vault.access(call, subject, query))?;
        let accesses = page.accesses.iter().map(|access| {
            json!({
                "entry": access.entry,
                "time": access.time.to_string(),
                "role": access.role,
                "purpose": access.purpose,
                "action": access.action,
                "fields": access.fields,
                "outcome": access.outcome,
                "request": access.request.to_string(),
                "about": access.about.name(),
            })
        });
        let accesses: Vec<Value> = accesses.collect();
        Ok(json!({"accesses": accesses, "next": page.next}))
    }

    fn erase(&self, subject: SubjectId) -> Result<Value, Failure> {
        let receipt = self.call(|call| self.vault.erase_subject(call, subject))?;
        Ok(json!({"receipt": receipt}))
    }

    fn hold(&self, subject: SubjectId) -> Result<Value, Failure> {
        let view = self.call(|call| self.vault.read_hold(call, subject))?;
        Ok(vault_server::hold_view(view))
    }

    fn put_hold(&self, subject: SubjectId, hold: &HoldInput) -> Result<Value, Failure> {
        let step = self.call(|call| self.vault.put_hold(call, subject, hold.clone()))?;
        Ok(vault_server::hold_step(step))
    }

    fn release_hold(&self, subject: SubjectId) -> Result<Value, Failure> {
        let released = self.call(|call| self.vault.release_hold(call, subject))?;
        Ok(vault_server::hold_released(released))
    }

    fn requests(&self, filter: &QueueFilter, cursor: Option<&str>) -> Result<Value, Failure> {
        let page = self.call(|call| {
            self.vault
                .queue_requests(call, *filter, PAGE_RECORDS_MAX, cursor)
        })?;
        Ok(vault_server::request_page(page))
    }

    fn request(&self, request: RequestId) -> Result<Value, Failure> {
        let view = self.call(|call| self.vault.read_request(call, request))?;
        Ok(vault_server::request_view(view))
    }

    fn confirm_request(
        &self,
        request: RequestId,
        correction: Option<&CorrectionInput>,
    ) -> Result<Value, Failure> {
        let given = self.call(|call| self.vault.confirm_request(call, request, correction))?;
        Ok(vault_server::request_confirmation(given))
    }

    fn step_request(&self, request: RequestId, step: &RequestStep) -> Result<Value, Failure> {
        let stepped = self.call(|call| self.vault.step_request(call, request, step.clone()))?;
        Ok(vault_server::request_stepped(stepped))
    }

    fn could_link(&self) -> Result<(), Failure> {
        Err(Failure::new(
            Exit::Failed,
            "conflict",
            "a link leads to a server, and none holds this vault",
            "start `vault-cli serve` on it, with `public_url` and `verification` in vault.toml, and repeat this",
        ))
    }

    fn give_link(&self, _: RequestId, _: Option<&str>) -> Result<Value, Failure> {
        self.could_link().map(|()| Value::Null)
    }

    fn holds(&self, cursor: Option<&str>) -> Result<Value, Failure> {
        let page = self.call(|call| self.vault.list_holds(call, PAGE_RECORDS_MAX, cursor))?;
        Ok(vault_server::held_page(page))
    }

    fn audit(&self, query: &AuditQuery) -> Result<Value, Failure> {
        let page = self.call(|call| self.vault.audit(call, query))?;
        let entries = page.entries.into_iter().map(
            |entry| json!({"number": entry.number, "hash": hex(&entry.hash), "entry": entry.entry}),
        );
        let entries: Vec<Value> = entries.collect();
        Ok(json!({"entries": entries, "next": page.next, "size": page.size}))
    }

    fn log_keys(&self) -> Result<Value, Failure> {
        let keys = self.vault.log_keys()?;
        let past = keys
            .past
            .iter()
            .map(|past| json!({"key": past.key, "until": past.until, "note": past.note}));
        Ok(json!({"key": keys.key, "past": past.collect::<Vec<_>>()}))
    }

    fn log_checkpoint(&self) -> Result<String, Failure> {
        self.call(|call| self.vault.log_checkpoint(call))
    }

    fn verify_log(
        &self,
        notes: &[String],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Value, Failure> {
        let report = self.call(|call| self.vault.verify_log(call, notes, progress))?;
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        Ok(json!({
            "sound": report.sound(),
            "entries": report.entries,
            "root": hex(&report.root),
            "checkpoints": report.checkpoints,
            "faults": faults,
            "faults_total": report.faults_total,
        }))
    }

    fn receipt(&self, receipt: ReceiptId) -> Result<Value, Failure> {
        let (mut document, status) = self.call(|call| self.vault.receipt(call, receipt))?;
        document["status"] = vault_server::receipt_status(status);
        Ok(document)
    }

    fn incidents(&self) -> Result<Value, Failure> {
        let all = self.call(|call| self.vault.list_incidents(call))?;
        Ok(vault_server::incident_list(all))
    }

    fn incident(&self, incident: IncidentId) -> Result<Value, Failure> {
        let view = self.call(|call| self.vault.incident(call, incident))?;
        Ok(vault_server::incident_view(view))
    }

    fn breach_scope(
        &self,
        input: &BreachInput,
        mut people: Option<&mut dyn Write>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Value, Failure> {
        let mut scope = self.call(|call| self.vault.begin_breach_scope(call, input))?;
        let mut found = Vec::new();
        loop {
            let more = self.vault.breach_step(&mut scope, &mut found)?;
            for person in found.drain(..) {
                if let Some(out) = &mut people {
                    out.write_all(&vault_server::affected_line(&person))
                        .map_err(|error| Failure::io("could not write the list", &error))?;
                }
            }
            let (done, total) = scope.progress();
            progress(done, total);
            if !more {
                return Ok(vault_server::breach_report(&scope.report()));
            }
        }
    }

    fn breach_drafts(
        &self,
        report: &Value,
        whom: DraftFor,
        lang: Option<&str>,
        aware_at: Option<Timestamp>,
    ) -> Result<Value, Failure> {
        let report = BreachReport::parse(report.to_string().as_bytes());
        let report = report.map_err(|what| Failure::of_code("internal", what))?;
        let drafts = self.call(|call| {
            self.vault
                .breach_drafts(call, &report, whom, lang, aware_at)
        })?;
        Ok(vault_server::breach_drafts(whom, drafts))
    }

    fn retention_due(&self) -> Result<Value, Failure> {
        self.call(|call| self.vault.require(call, "retention.run"))?;
        let due = self.vault.sweep_due()?;
        let purposes: Vec<Value> = due
            .purposes
            .iter()
            .map(|due| json!({"purpose": due.purpose, "values": due.values, "people": due.people}))
            .collect();
        Ok(json!({
            "people": due.people,
            "people_whole": due.people_whole,
            "people_damaged": due.people_damaged,
            "records": due.records,
            "purposes": purposes,
            "keys": due.keys,
            "index": due.index,
        }))
    }

    fn retention_pass(&self) -> Result<Value, Failure> {
        self.call(|call| self.vault.require(call, "retention.run"))?;
        let run = self.vault.sweep_run(Sweep::All, 1)?;
        Ok(json!({"passes": run.passes, "more": run.more}))
    }
}

fn token(view: &TokenView) -> Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let name = |token: Option<TokenId>| token.map(|token| token.to_string());
    json!({
        "token": view.token.to_string(),
        "label": view.label,
        "role": view.role,
        "channels": view.channels,
        "state": view.state.name(),
        "created_at": view.created_at.to_string(),
        "created_by": name(view.created_by).unwrap_or_else(|| "keyholder".into()),
        "expires_at": text(view.expires_at),
        "last_used_at": text(view.last_used_at),
        "unused_days": view.unused_days,
        "replaces": name(view.replaces),
        "replaced_by": name(view.replaced_by),
        "revoked": view.revoked_at.is_some(),
        "revoked_at": text(view.revoked_at),
    })
}

fn key(view: &KeyView) -> Value {
    json!({
        "key": view.key,
        "compartment": view.compartment,
        "period": view.period.map(|at| at.to_string()),
        "state": if view.current { "current" } else { "ending" },
        "values": view.values,
    })
}

fn system_key(view: &SystemKeyView) -> Value {
    json!({
        "of": view.of,
        "key": view.key,
        "state": if view.current { "current" } else { "ending" },
        "values": view.values,
    })
}

fn rotation(view: &RotationView) -> Value {
    json!({
        "number": view.number,
        "deep": view.deep,
        "state": view.state.name(),
        "stage": view.stage.name(),
        "begun_at": view.begun_at.to_string(),
        "ended_at": view.ended_at.map(|at| at.to_string()),
        "people": view.people,
        "people_done": view.done,
        "people_left": view.people_left(),
        "people_skipped": view.skipped,
        "people_unindexed": view.unindexed,
        "people_unsought": view.unsought,
        "rows_damaged": view.rows_damaged,
        "step_done": view.step_done,
        "step_total": view.step_total,
    })
}

fn slot(view: &SlotView) -> Value {
    json!({
        "slot": view.number,
        "kind": view.kind.name(),
        "label": view.label,
        "created_at": view.created_at.to_string(),
    })
}

//! A vault that this process opens, called with an API key.

use std::io::{Read, Write};
use std::sync::Arc;

use serde_json::Value;
use vault_core::id::{DecisionId, EmergencyId, SubjectId};
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::refusal::Refusal;
use vault_core::schema::MediaType;
use vault_core::vault::{
    BlobPlace, Call, DecisionFilter, ExportStep, LockedVault, Principal, UnlockSecret, Vault,
};

use super::{BlobOf, Caller, Packed};
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// Bytes of a blob that are sent at a time.
const PART_BYTES: usize = 256 << 10;

/// An open vault, closed when dropped.
pub(crate) struct Directory {
    vault: Arc<Vault>,
    principal: Principal,
    // Holds the directory against other processes; dropped after the vault is closed.
    _locked: LockedVault,
}

impl Directory {
    /// Opens the vault, and finds out whose token it is.
    pub(crate) fn open(
        locked: LockedVault,
        secret: &UnlockSecret,
        token: &str,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let step = terminal.step("opening the vault");
        let vault = locked.unlock(secret)?;
        drop(step);
        let principal = vault.authenticate(token);
        let principal = principal.inspect_err(|_| vault.close())?;
        Ok(Self {
            vault,
            principal,
            _locked: locked,
        })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.vault.close();
    }
}

fn not_ours(_: impl Sized) -> Failure {
    Failure::usage("this call is not in order", "see vault-cli help")
}

impl Caller for Directory {
    fn vault(&self) -> Result<String, Failure> {
        Ok(self.vault.status()?.vault.to_string())
    }

    fn export(
        &self,
        subject: SubjectId,
        wanted: &Value,
        to: &mut dyn Write,
    ) -> Result<Packed, Failure> {
        let input = vault_server::bodies::export(wanted.clone()).map_err(not_ours)?;
        let call = Call::new(&self.principal);
        let mut export = self.vault.export(&call, subject, input)?;
        let complete = Some(export.complete());
        let mut bytes = 0;
        loop {
            let mut ready = Vec::new();
            let step = export.step(&mut |part| ready = part)?;
            bytes += ready.len() as u64;
            to.write_all(&ready)
                .map_err(|error| Failure::io("could not write the package", &error))?;
            if step == ExportStep::Done {
                return Ok(Packed { bytes, complete });
            }
        }
    }

    fn import(&self, batch: &Value) -> Result<Value, Failure> {
        let batch = vault_server::bodies::import(batch.clone()).map_err(not_ours)?;
        let imported = self.vault.import(&Call::new(&self.principal), &batch)?;
        Ok(vault_server::bodies::imported(imported))
    }

    fn put_blob(&self, of: &BlobOf<'_>, content: &mut dyn Read) -> Result<(), Failure> {
        let call = Call {
            purpose: of.purpose,
            ..Call::new(&self.principal)
        };
        let record = of.record.map(str::parse).transpose().map_err(not_ours)?;
        let place = BlobPlace {
            subject: of.subject.parse().map_err(not_ours)?,
            collection: of.collection.to_owned(),
            record,
            field: of.field.to_owned(),
        };
        let media_type = MediaType::parse(of.media_type).ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "unsupported_media_type",
                "a file of the package has no media type",
                "check that this is a package of ours",
            )
        })?;
        let begun = self
            .vault
            .begin_upload(&call, place, media_type, Some(of.size), None);
        let mut upload = begun?;
        let mut part = vec![0; PART_BYTES];
        loop {
            let read = content
                .read(&mut part)
                .map_err(|error| Failure::io("could not read the package", &error))?;
            if read == 0 {
                break;
            }
            upload.write(&part[..read])?;
        }
        upload
            .finish()
            .map(drop)
            .map_err(|refusal: Refusal| refusal.into())
    }

    /// Sends no codes: what needs one goes to a human.
    fn turn(&self, turn: &Value) -> Result<Value, Failure> {
        let input = vault_server::bodies::turn(turn.clone()).map_err(not_ours)?;
        let turned = self
            .vault
            .dialogue_turn(&Call::new(&self.principal), &input)?;
        Ok(vault_server::bodies::turned(turned.reply))
    }

    fn emergencies(&self, subject: SubjectId) -> Result<Value, Failure> {
        let call = Call::new(&self.principal);
        let views = self.vault.list_emergencies(&call, subject)?;
        Ok(vault_server::emergency_list(views))
    }

    fn decide_emergency(
        &self,
        subject: SubjectId,
        emergency: EmergencyId,
        approve: bool,
    ) -> Result<Value, Failure> {
        let call = Call::new(&self.principal);
        let view = self
            .vault
            .decide_emergency(&call, subject, emergency, approve)?;
        Ok(vault_server::emergency_view(view))
    }

    fn decisions(&self, filter: &DecisionFilter, cursor: Option<&str>) -> Result<Value, Failure> {
        let call = Call::new(&self.principal);
        let page = self
            .vault
            .queue_decisions(&call, filter, PAGE_RECORDS_MAX, cursor)?;
        Ok(vault_server::decision_page(page))
    }

    fn decision(&self, decision: DecisionId) -> Result<Value, Failure> {
        let call = Call::new(&self.principal);
        let view = self.vault.read_decision(&call, decision)?;
        Ok(vault_server::decision_view(view))
    }

    fn step_decision(
        &self,
        decision: DecisionId,
        step: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let step = vault_server::bodies::decision_step(step, body.clone()).map_err(not_ours)?;
        let call = Call::new(&self.principal);
        let stepped = self.vault.step_decision(&call, decision, step)?;
        Ok(vault_server::decision_stepped(stepped))
    }
}

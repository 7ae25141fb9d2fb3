//! The registry of backups and the erasure ledger, as calls. Making backups is not here.

use std::io::{self, Write};

use jiff::Timestamp;

use super::{Call, Vault};
use crate::backup::ledger::{self, Head, LedgerError, Tip};
use crate::backup::registry::{self, BackupBegin, BackupFacts, BackupSummary, BackupView, Part};
use crate::commit::{Txn, View as _};
use crate::id::BackupId;
use crate::policy::Capability;
use crate::refusal::Refusal;

/// Why no copy of the ledger was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerCopyError {
    /// Nobody knows what the copy that is there has: it is not written over.
    #[error(
        "could not compare this vault's ledger with the copy that is there, which was left as it is"
    )]
    Compare(#[source] LedgerError),
    /// The place is not the one that it was.
    #[error("{0}")]
    Elsewhere(String),
    /// What is there knows of erasures that this vault does not.
    #[error(
        "{0} is longer than this vault's ledger, or tells of something else: another vault goes on with the same id; move the \
         copy away, or use another target"
    )]
    Longer(String),
    /// The call was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The copy could not be written.
    #[error("could not write the copy of the erasure ledger")]
    Write(#[from] io::Error),
}

/// A copy of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerCopied {
    /// Entries in it.
    pub position: u64,
    /// Whatever was acknowledged before this is in it.
    pub complete_until: Timestamp,
}

impl Vault {
    /// A change of the registry.
    fn backup_change<T: Send + 'static>(
        &self,
        call: &Call<'_>,
        action: &'static str,
        mut f: impl FnMut(&mut Txn<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let changed = self.write(call, action, move |txn, policy, context, _| {
            let principal = &context.principal;
            principal.require(policy, Capability::BackupsManage)?;
            f(txn)
        });
        // Whatever the answer is, it may have been committed.
        if let Ok(snapshot) = self.snapshot()
            && let Ok(row) = registry::summary_row(&snapshot)
        {
            *self.backups.lock() = row;
        }
        changed
    }

    /// What the registry comes to, as it was after its last change: for whoever watches, who takes no
    /// snapshot.
    #[must_use]
    pub fn known_backups(&self) -> BackupSummary {
        registry::summarise(&self.backups.lock(), self.engine.now())
    }

    /// Registers a backup that is about to be made. Once this has returned, an erasure counts its key
    /// part: nothing may be read for it before.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where a new key part is for a backup without a data part;
    /// [`Refusal::Invalid`], [`Refusal::NotFound`], [`Refusal::RoleDenied`].
    pub fn backup_begin(&self, call: &Call<'_>, begin: BackupBegin) -> Result<BackupId, Refusal> {
        self.backup_change(call, "backups.begin", move |txn| {
            registry::begin(txn, &begin)
        })
    }

    /// A backup is whole at its target.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] if it has ended; [`Refusal::NotFound`], [`Refusal::RoleDenied`].
    pub fn backup_complete(
        &self,
        call: &Call<'_>,
        backup: BackupId,
        facts: BackupFacts,
    ) -> Result<(), Refusal> {
        self.backup_change(call, "backups.complete", move |txn| {
            registry::complete(txn, backup, &facts)
        })
    }

    /// A backup could not go on. Its key part counts until it is verified deleted.
    ///
    /// # Errors
    ///
    /// As for [`Vault::backup_complete`].
    pub fn backup_failed(&self, call: &Call<'_>, backup: BackupId) -> Result<(), Refusal> {
        self.backup_change(call, "backups.fail", move |txn| registry::fail(txn, backup))
    }

    /// A part is gone from its target: whoever calls this has verified it, older versions of the object
    /// too.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] while the backup is being made; [`Refusal::NotFound`],
    /// [`Refusal::RoleDenied`].
    pub fn backup_deleted(
        &self,
        call: &Call<'_>,
        backup: BackupId,
        part: Part,
    ) -> Result<(), Refusal> {
        self.backup_change(call, "backups.deleted", move |txn| {
            registry::deleted(txn, backup, part)
        })
    }

    /// A key part is to be destroyed sooner.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] if it is later; [`Refusal::NotFound`], [`Refusal::RoleDenied`].
    pub fn backup_expires(
        &self,
        call: &Call<'_>,
        backup: BackupId,
        expires_at: Timestamp,
    ) -> Result<(), Refusal> {
        self.backup_change(call, "backups.expire", move |txn| {
            registry::expire(txn, backup, expires_at)
        })
    }

    /// Every backup, the newest first, and what they come to.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn backups(&self, call: &Call<'_>) -> Result<(Vec<BackupView>, BackupSummary), Refusal> {
        self.read(
            call,
            "backups.list",
            None,
            |snapshot, policy, context, _| {
                let principal = &context.principal;
                principal.require(policy, Capability::BackupsManage)?;
                let now = snapshot.now();
                Ok((
                    registry::all(snapshot, now)?,
                    registry::summary(snapshot, now)?,
                ))
            },
            |backups| backups,
        )
    }

    /// One backup.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::RoleDenied`].
    pub fn backup(&self, call: &Call<'_>, backup: BackupId) -> Result<BackupView, Refusal> {
        self.read(
            call,
            "backups.list",
            None,
            |snapshot, policy, context, _| {
                let principal = &context.principal;
                principal.require(policy, Capability::BackupsManage)?;
                registry::one(snapshot, backup, snapshot.now())
            },
            |backup| backup,
        )
    }

    /// What the registry comes to, without naming a backup.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`], [`Refusal::OutcomeUnknown`] while the vault recovers.
    pub fn backup_summary(&self) -> Result<BackupSummary, Refusal> {
        let snapshot = self.snapshot()?;
        registry::summary(&snapshot, snapshot.now())
    }

    /// Writes a copy of the erasure ledger, as its file is: for a place where it survives this one.
    ///
    /// # Errors
    ///
    /// [`LedgerCopyError`]; what was written then ends early, which whoever reads it notices.
    pub fn ledger_copy(
        &self,
        call: &Call<'_>,
        out: &mut dyn Write,
    ) -> Result<LedgerCopied, LedgerCopyError> {
        // Before the snapshot: whatever is committed later may be acknowledged later.
        let before = self.engine.now();
        let (vault, end, time) = self.read(
            call,
            "backups.ledger",
            None,
            |snapshot, policy, context, _| {
                let principal = &context.principal;
                principal.require(policy, Capability::BackupsManage)?;
                let state = snapshot.state();
                let last = Timestamp::from_millisecond(state.time).unwrap_or_default();
                Ok((snapshot.vault(), state.ledger, (before, last)))
            },
            |found| found,
        )?;
        // A clock that runs ahead is not believed; it may have been set back since the last commit.
        let (before, last) = time;
        let complete_until = match self.engine.clock_leads() {
            true => last,
            false => before.max(last),
        };
        out.write_all(&ledger::header(vault))?;
        let mut tip = Tip::start(vault);
        while tip.position < end {
            // A snapshot for each page: a long one would keep freed pages from being used again.
            let snapshot = self.snapshot()?;
            let rows =
                ledger::copy_rows(snapshot.tx(), tip.position, end).map_err(Refusal::from)?;
            drop(snapshot);
            for (sequence, row) in rows {
                let next = ledger::follow(tip, &row).filter(|(_, t)| t.position == sequence);
                let (frame, next) = next.ok_or(Refusal::Internal("the ledger is damaged"))?;
                out.write_all(&frame)?;
                tip = next;
            }
        }
        let head = Head {
            tip,
            time: complete_until,
        };
        let snapshot = self.snapshot()?;
        let system = snapshot.system();
        for past in &system.signers {
            out.write_all(&ledger::change_frame(vault, tip, past, &system.ledger))?;
        }
        out.write_all(&head.frame(vault, &system.signing, &system.ledger))?;
        out.flush()?;
        Ok(LedgerCopied {
            position: end,
            complete_until,
        })
    }
}

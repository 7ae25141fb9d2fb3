//! Calls of those who run the vault: policy, state. API keys are in [`super::api_key`], slots in
//! [`super::slots`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::token::Call;
use super::{Vault, create, honey};
use crate::backup::registry::{self, BackupSummary};
use crate::commit::View;
use crate::crypto::{Location, MemoryLock, memory_lock};
use crate::entropy::Entropy;
use crate::id::VaultId;
use crate::jobs::Jobs;
use crate::keys::ring::KeyRing;
use crate::keys::system::SystemKeys;
use crate::person::{DAMAGED, instant};
use crate::policy::{self, Capability, Draft, Finding, Policy, StoredPolicy};
use crate::refusal::{InputError, Refusal};
use crate::row;
use crate::store::{Direction, KeyRange, StoreError, Table, WriteTx};

/// What can be said of an open vault without naming anybody.
#[derive(Clone, Debug)]
pub struct Status {
    /// The vault.
    pub vault: VaultId,
    /// The policy in force.
    pub policy_version: u32,
    /// People who are not erased.
    pub people: u64,
    /// People who were.
    pub erased: u64,
    /// Whether there is room for more than erasures.
    pub writable: bool,
    /// Whether the clock is too far ahead of the last commit to be believed: nothing expires until
    /// it is confirmed.
    pub clock_leads: bool,
    /// Entries of the log.
    pub audit_entries: u64,
    /// Size of all files.
    pub bytes_on_disk: u64,
    /// The process's pages for keys, and which of them may be swapped out.
    pub memory_lock: MemoryLock,
    /// What there is of backups.
    pub backups: BackupSummary,
    /// Addresses on the suppression list, of at most
    /// [`SUPPRESSIONS_MAX`](crate::limits::SUPPRESSIONS_MAX).
    pub suppressions: u64,
}

/// A policy as applied.
#[derive(Clone, Debug)]
pub struct PolicyView {
    /// Counts from 1.
    pub version: u32,
    /// Since when.
    pub applied_at: Timestamp,
    /// Of the source.
    pub sha256: [u8; 32],
    /// The TOML text.
    pub source: String,
}

/// What applying a policy did, or would do.
#[derive(Clone, Debug)]
pub struct PolicyApplied {
    /// The new version.
    pub version: u32,
    /// What changed, a sentence each.
    pub changes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PolicyRow {
    pub(crate) applied_at: i64,
    pub(crate) policy: StoredPolicy,
}

fn policy_row(view: &dyn View, version: u32) -> Result<PolicyRow, Refusal> {
    let key = version.to_be_bytes();
    let sealed = view.tx().get(Table::Policies, &key)?.ok_or(DAMAGED)?;
    let location = Location::row(view.vault(), Table::Policies.number(), &key);
    let bytes = view
        .system()
        .system
        .unseal(&location, &sealed)
        .map_err(|_| DAMAGED)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// When the policy with this version was applied, in milliseconds.
pub(super) fn policy_applied_at(view: &dyn View, version: u32) -> Result<i64, Refusal> {
    Ok(policy_row(view, version)?.applied_at)
}

/// Reads the policy with this version, and when it was applied.
pub(super) fn load_policy(view: &dyn View, version: u32) -> Result<(Policy, i64), Refusal> {
    let row = policy_row(view, version)?;
    let policy = Policy::from_stored(row.policy)
        .map_err(|_| Refusal::Internal("the stored policy does not pass the check"))?;
    Ok((policy, row.applied_at))
}

/// Writes a policy as a row.
pub(super) fn store_policy(
    tx: &mut dyn WriteTx,
    vault: VaultId,
    system: &KeyRing,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = policy.version().to_be_bytes();
    let row = PolicyRow {
        applied_at: now.as_millisecond(),
        policy: policy.to_stored(),
    };
    let location = Location::row(vault, Table::Policies.number(), &key);
    let sealed = system
        .seal(&location, &row::encode(&row))
        .map_err(|_| StoreError::Aborted)?;
    tx.put(Table::Policies, &key, &sealed)
}

/// Index keys for every field that can be looked up; whether any was added.
pub(super) fn add_index_keys(
    keys: &mut SystemKeys,
    policy: &Policy,
    entropy: &mut dyn Entropy,
) -> bool {
    let mut added = false;
    for collection in policy.collections() {
        for field in collection.fields.iter().filter(|field| field.lookup) {
            let name = (collection.id, field.id);
            added |= !keys.has_index(name);
            keys.add_index(name, entropy);
        }
    }
    added
}

fn findings(findings: Vec<Finding>) -> Refusal {
    let errors = findings.into_iter().map(|finding| InputError {
        pointer: String::new(),
        code: finding.code,
        detail: finding.to_string(),
    });
    Refusal::Invalid(errors.collect())
}

/// The policy in `source` as the one after `current`, and what that changes.
fn assign(current: &Policy, source: &str) -> Result<(Policy, PolicyApplied), Refusal> {
    let draft = Draft::parse(source).map_err(findings)?;
    let next = draft
        .assign(Some(current), current.version() + 1)
        .map_err(findings)?;
    let applied = PolicyApplied {
        version: next.version(),
        changes: policy::diff(current, &next),
    };
    Ok((next, applied))
}

impl Vault {
    /// Ends the vault: what is queued is committed, then every key is forgotten.
    pub fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.store_uses();
            self.jobs.cancel_all();
        }
        self.engine.close();
    }

    /// Long work under way, and the last that ended.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Whether calls are answered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Returns once the writer has taken a change that changes nothing: that it is alive, and how
    /// far behind. A writer that hangs makes this hang.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`], [`Refusal::Overloaded`], [`Refusal::OutcomeUnknown`] where the vault
    /// cannot recover. A full disk is none.
    pub fn probe(&self) -> Result<(), Refusal> {
        match self.engine.submit(|_| Ok(())) {
            Err(Refusal::DiskFull) => Ok(()),
            answer => answer,
        }
    }

    /// Counts and sizes.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`], [`Refusal::OutcomeUnknown`] while the vault recovers.
    pub fn status(&self) -> Result<Status, Refusal> {
        let snapshot = self.snapshot()?;
        let state = snapshot.state();
        Ok(Status {
            vault: snapshot.vault(),
            policy_version: state.policy_version,
            people: state.people,
            erased: state.erased,
            writable: !self.engine.full(),
            clock_leads: self.engine.clock_leads(),
            audit_entries: state.audit_next,
            bytes_on_disk: create::bytes_on_disk(&self.paths),
            memory_lock: memory_lock(),
            backups: registry::summary(&snapshot, snapshot.now())?,
            suppressions: self.count_suppressions(&snapshot)?,
        })
    }

    /// The policy in force.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn policy(&self, call: &Call<'_>) -> Result<PolicyView, Refusal> {
        self.read(
            call,
            "policy.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::PolicyRead)?;
                let (policy, applied_at) = load_policy(snapshot, policy.version())?;
                Ok(PolicyView {
                    version: policy.version(),
                    applied_at: instant(applied_at),
                    sha256: policy.sha256(),
                    source: policy.source().into(),
                })
            },
            |view| view,
        )
    }

    /// What the policy in force comes to, as text.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn policy_text(&self, call: &Call<'_>) -> Result<String, Refusal> {
        self.read(
            call,
            "policy.read",
            None,
            |_, policy, context, _| {
                context.principal.require(policy, Capability::PolicyRead)?;
                Ok(policy::show(policy))
            },
            |text| text,
        )
    }

    /// Every version that was applied, and when.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn policy_versions(&self, call: &Call<'_>) -> Result<Vec<(u32, Timestamp)>, Refusal> {
        self.read(
            call,
            "policy.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::PolicyRead)?;
                let mut versions = Vec::new();
                for version in 1..=snapshot.state().policy_version {
                    let (_, applied_at) = load_policy(snapshot, version)?;
                    versions.push((version, instant(applied_at)));
                }
                Ok(versions)
            },
            |versions| versions,
        )
    }

    /// Applies a policy as the next version, or says what that would change. From the answer on
    /// every call is decided by it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] with every finding, line and article; [`Refusal::RoleDenied`].
    pub fn apply_policy(
        &self,
        call: &Call<'_>,
        source: &str,
        dry_run: bool,
    ) -> Result<PolicyApplied, Refusal> {
        let source = source.to_owned();
        if dry_run {
            return self.read(
                call,
                "policy.check",
                None,
                |_, policy, context, _| {
                    context.principal.require(policy, Capability::PolicyApply)?;
                    assign(policy, &source).map(|(_, applied)| applied)
                },
                |applied| applied,
            );
        }
        self.put_in_force(call, "policy.apply", source)
    }

    /// Applies a policy, under this name in the log.
    pub(super) fn put_in_force(
        &self,
        call: &Call<'_>,
        action: &'static str,
        source: String,
    ) -> Result<PolicyApplied, Refusal> {
        let done = self.write(call, action, move |txn, policy, context, _| {
            context.principal.require(policy, Capability::PolicyApply)?;
            let (next, applied) = assign(policy, &source)?;
            let mut keys = txn.system().duplicate();
            if add_index_keys(&mut keys, &next, txn.entropy()) {
                txn.replace_system(keys);
            }
            let (vault, now) = (txn.vault(), txn.now());
            let system = txn.system().system.duplicate();
            store_policy(txn, vault, &system, &next, now)?;
            txn.state_mut().policy_version = next.version();
            txn.revoke_all();
            let planted = honey::apply(txn, context, policy, &next)?;
            Ok((applied, planted))
        });
        let (applied, planted) = done?;
        self.learn(planted);
        Ok(applied)
    }

    /// The roles of the policy, the reserved ones among them.
    #[must_use]
    pub fn role_names(&self) -> Vec<String> {
        let policy: Arc<Policy> = self.policy.lock().clone();
        policy.roles().map(|role| role.name.clone()).collect()
    }
}

/// How many rows a table has, for the sweeper's bounded look.
pub(super) fn rows(view: &dyn View, table: Table, limit: usize) -> Result<Vec<Vec<u8>>, Refusal> {
    let rows = view
        .tx()
        .range(table, &KeyRange::all(), Direction::Ascending, limit)?;
    Ok(rows.into_iter().map(|(key, _)| key).collect())
}

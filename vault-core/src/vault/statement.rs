//! What the policy in force says to the public, and to an authority.

use super::{Call, Vault, admin};
use crate::person::instant;
use crate::policy::Capability;
use crate::refusal::Refusal;
use crate::statement::Published;

impl Vault {
    /// The policy in force, for the public statement: nobody has to say who asks, and no entry is
    /// left. It names nobody but the controller and recipients.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`], [`Refusal::OutcomeUnknown`] while the vault recovers.
    pub fn published(&self) -> Result<Published, Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let applied_at = admin::policy_applied_at(&snapshot, policy.version())?;
        Ok(Published::new(policy, instant(applied_at)))
    }

    /// The same for the records of processing (Art. 30), which are for an authority.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `audit.read`, and those of [`Vault::published`].
    pub fn published_for(&self, call: &Call<'_>) -> Result<Published, Refusal> {
        self.read(
            call,
            "processing_records.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::AuditRead)?;
                let version = snapshot.state().policy_version;
                let applied_at = admin::policy_applied_at(snapshot, version)?;
                let policy = self.policy_of(snapshot)?;
                Ok(Published::new(policy, instant(applied_at)))
            },
            |published| published,
        )
    }
}

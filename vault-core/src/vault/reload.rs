//! A policy put in force from a file of whoever runs the server, without a call of anybody's.

use super::Vault;
use super::admin::PolicyApplied;
use super::token::{Call, Principal};
use crate::entropy::OsEntropy;
use crate::id::CallId;
use crate::refusal::Refusal;

impl Vault {
    /// Puts `source` in force if it is not; `None` where it is, byte for byte, and nothing was done. The entry
    /// in the log has the action `policy.reload`, so that it is told apart from what a caller did.
    ///
    /// Asks for no secret: whoever calls this has seen that the file is in the hands of those who may apply
    /// a policy (docs/decisions/0011).
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] with every finding, line and article, and what is in force stays;
    /// [`Refusal::Locked`], and those of every write.
    pub fn reload_policy(&self, source: &str) -> Result<Option<PolicyApplied>, Refusal> {
        let snapshot = self.snapshot()?;
        if self.policy_of(&snapshot)?.source() == source {
            return Ok(None);
        }
        drop(snapshot);
        let principal = Principal::keyholder();
        let call = Call {
            principal: &principal,
            purpose: None,
            restricted_use: None,
            id: CallId::generate(&mut OsEntropy),
        };
        self.put_in_force(&call, "policy.reload", source.to_owned())
            .map(Some)
    }
}

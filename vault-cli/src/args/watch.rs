//! The grammar of `incident` and `emergency`.

use clap::{Args, Subcommand};
use vault_core::id::{EmergencyId, IncidentId, SubjectId};

use super::examples;

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// List what was noted, with its deadline
    #[command(after_help = examples::INCIDENT_LIST)]
    List,
    /// Show one incident: what happened, whom it met, and every step
    #[command(after_help = examples::INCIDENT_SHOW)]
    Show {
        /// The incident's id, inc_…
        incident: IncidentId,
    },
}

/// Which emergency.
#[derive(Args, Debug)]
pub(crate) struct EmergencyArguments {
    /// The person, sub_…
    pub(crate) subject: SubjectId,
    /// The emergency's id, emg_…
    pub(crate) emergency: EmergencyId,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EmergencyCommand {
    /// List who asked for emergency access to a person's fields, why, and what became of it
    #[command(after_help = examples::EMERGENCY_LIST)]
    List {
        /// The person, sub_…
        subject: SubjectId,
    },
    /// Approve it: within 15 minutes, and with another API key than the one that asked
    #[command(after_help = examples::EMERGENCY_APPROVE)]
    Approve(EmergencyArguments),
    /// Refuse it
    #[command(after_help = examples::EMERGENCY_DENY)]
    Deny(EmergencyArguments),
}

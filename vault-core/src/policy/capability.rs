//! What a role may do besides reading and writing values.
//!
//! A closed list: no capability shows a value; values follow only from `read`, `write` and `ask`.

use crate::schema::words::words;

words! {
    /// One thing that a role may do. The names are those of the policy's `may`.
    pub enum Capability {
        /// Get or create a person by channel and user.
        SubjectsCreate = "subjects.create",
        /// Find a person's id; rate-limited.
        SubjectsLookup = "subjects.lookup",
        /// See a person's state, flags and counts, no values.
        SubjectsView = "subjects.view",
        /// Erase a person.
        SubjectsErase = "subjects.erase",
        /// Make a person's Art. 15 or Art. 20 package.
        SubjectsExport = "subjects.export",
        /// Work across people.
        RecordsBulk = "records.bulk",
        /// Delete records of many people.
        RecordsPurge = "records.purge",
        /// Open a session for one person, some fields and one conversation.
        SessionsCreate = "sessions.create",
        /// Record that a notice was shown.
        NoticesRecord = "notices.record",
        /// Give, withdraw and read consents.
        ConsentsRecord = "consents.record",
        /// Record and end objections (Art. 21).
        ObjectionsRecord = "objections.record",
        /// Set and lift restrictions (Art. 18).
        RestrictionsSet = "restrictions.set",
        /// Set and release legal holds.
        HoldsManage = "holds.manage",
        /// Open a rights request.
        RequestsCreate = "requests.create",
        /// Approve, refuse and extend rights requests.
        RequestsDecide = "requests.decide",
        /// Relay turns of the rights conversation.
        DialogueRelay = "dialogue.relay",
        /// Record automated decisions (Art. 22).
        DecisionsRecord = "decisions.record",
        /// Review automated decisions.
        DecisionsReview = "decisions.review",
        /// Send log lines.
        LogsWrite = "logs.write",
        /// Record disclosures to recipients (Art. 19).
        DisclosuresRecord = "disclosures.record",
        /// Turn a keyed token back into its value's place.
        TokensDetokenize = "tokens.detokenize",
        /// Ask for emergency access.
        BreakglassRequest = "breakglass.request",
        /// Approve somebody else's emergency access.
        BreakglassApprove = "breakglass.approve",
        /// Keep the incident register (Art. 33).
        IncidentsManage = "incidents.manage",
        /// Read the log, proofs, receipts and Art. 30 records.
        AuditRead = "audit.read",
        /// Read the policy.
        PolicyRead = "policy.read",
        /// Put a policy in force.
        PolicyApply = "policy.apply",
        /// Create, list and revoke API keys.
        ApiKeysManage = "api_keys.manage",
        /// Manage key slots and rotation.
        KeysManage = "keys.manage",
        /// Make, verify and prune backups.
        BackupsManage = "backups.manage",
        /// Run retention.
        RetentionRun = "retention.run",
        /// Lock the vault.
        VaultLock = "vault.lock",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_read_back() {
        for &capability in Capability::ALL {
            assert_eq!(Capability::parse(capability.name()), Some(capability));
        }
        assert_eq!(Capability::ALL.len(), 32);
        assert_eq!(Capability::parse("subjects.read"), None);
    }
}

//! Every path of the API, written once: for the handlers, their description, clients and tests.
//!
//! Knows paths alone: not methods, not who may call.

use std::fmt::{Display, Write as _};

/// Whether the process answers.
pub const HEALTHZ: &str = "/healthz";
/// Whether the vault is unlocked and writable.
pub const READYZ: &str = "/readyz";
/// State of the vault.
pub const STATUS: &str = "/v1/status";
/// Open the vault.
pub const UNLOCK: &str = "/v1/unlock";
/// A bearer of the admin socket, for an unlock secret.
pub const KEYHOLDER: &str = "/v1/keyholder";
/// Entries of the log.
pub const AUDIT: &str = "/v1/audit";
/// The public key of the log.
pub const LOG_KEY: &str = "/v1/log/key";
/// A signed checkpoint of the log.
pub const LOG_CHECKPOINT: &str = "/v1/log/checkpoint";
/// That an entry is in the log.
pub const LOG_PROOF: &str = "/v1/log/proof/{entry}";
/// That the log only grew.
pub const LOG_CONSISTENCY: &str = "/v1/log/consistency";
/// Go over the whole log.
pub const LOG_VERIFY: &str = "/v1/log/verify";
/// A receipt of an erasure.
pub const RECEIPT: &str = "/v1/receipts/{rcp}";
/// Forget all keys.
pub const LOCK: &str = "/v1/lock";
/// People.
pub const SUBJECTS: &str = "/v1/subjects";
/// Find a person.
pub const LOOKUP: &str = "/v1/subjects/lookup";
/// One person.
pub const SUBJECT: &str = "/v1/subjects/{s}";
/// A package of a person's own data.
pub const SUBJECT_EXPORT: &str = "/v1/subjects/{s}/export";
/// People and records from a file.
pub const IMPORT: &str = "/v1/import";
/// Who looked at a person.
pub const SUBJECT_ACCESS: &str = "/v1/subjects/{s}/access";
/// A collection of a person.
pub const RECORDS: &str = "/v1/subjects/{s}/records/{c}";
/// One record of many.
pub const RECORD: &str = "/v1/subjects/{s}/records/{c}/{r}";
/// A blob of the one record of a collection.
pub const BLOB: &str = "/v1/subjects/{s}/blobs/{c}/{f}";
/// A blob of one record of many.
pub const BLOB_OF_RECORD: &str = "/v1/subjects/{s}/blobs/{c}/{r}/{f}";
/// Records of many people.
pub const RECORDS_QUERY: &str = "/v1/records/query";
/// Count people.
pub const RECORDS_COUNT: &str = "/v1/records/count";
/// Change metadata of many records.
pub const RECORDS_UPDATE: &str = "/v1/records/update";
/// Destroy many records.
pub const RECORDS_PURGE: &str = "/v1/records/purge";
/// Many operations in one call.
pub const BATCH: &str = "/v1/batch";
/// Test a value without learning it.
pub const ASK: &str = "/v1/subjects/{s}/ask";
/// Sessions of a person.
pub const SESSIONS: &str = "/v1/subjects/{s}/sessions";
/// One session.
pub const SESSION: &str = "/v1/subjects/{s}/sessions/{ses}";
/// Emergencies of a person.
pub const EMERGENCIES: &str = "/v1/subjects/{s}/emergencies";
/// One emergency.
pub const EMERGENCY: &str = "/v1/subjects/{s}/emergencies/{emg}";
/// Another agrees to it.
pub const EMERGENCY_APPROVE: &str = "/v1/subjects/{s}/emergencies/{emg}/approve";
/// Another does not.
pub const EMERGENCY_REFUSE: &str = "/v1/subjects/{s}/emergencies/{emg}/refuse";
/// Its session.
pub const EMERGENCY_SESSION: &str = "/v1/subjects/{s}/emergencies/{emg}/session";
/// Consents of a person.
pub const CONSENTS: &str = "/v1/subjects/{s}/consents";
/// Consent to one purpose.
pub const CONSENT: &str = "/v1/subjects/{s}/consents/{purpose}";
/// What a person said about one purpose, as a receipt.
pub const CONSENT_RECEIPT: &str = "/v1/subjects/{s}/consents/{purpose}/receipt";
/// Objections of a person.
pub const OBJECTIONS: &str = "/v1/subjects/{s}/objections";
/// Objection to one purpose.
pub const OBJECTION: &str = "/v1/subjects/{s}/objections/{purpose}";
/// What became of it.
pub const OBJECTION_DECISION: &str = "/v1/subjects/{s}/objections/{purpose}/decision";
/// Addresses that get no direct marketing.
pub const SUPPRESSIONS: &str = "/v1/suppressions";
/// A turn of a conversation about rights.
pub const DIALOGUE_TURN: &str = "/v1/dialogue/turn";
/// What was told of a person's age.
pub const AGE: &str = "/v1/subjects/{s}/age";
/// Ends of a person's contracts.
pub const CONTRACTS: &str = "/v1/subjects/{s}/contracts";
/// The end of the contract behind one purpose.
pub const CONTRACT: &str = "/v1/subjects/{s}/contracts/{purpose}";
/// Pseudonyms of a person.
pub const PSEUDONYMS: &str = "/v1/subjects/{s}/pseudonyms";
/// Find whom a pseudonym stands for.
pub const PSEUDONYM_LOOKUP: &str = "/v1/pseudonyms/lookup";
/// What recipients were given of a person.
pub const DISCLOSURES: &str = "/v1/subjects/{s}/disclosures";
/// Notices to recipients.
pub const RECIPIENT_NOTICES: &str = "/v1/admin/recipient-notices";
/// Try one again.
pub const RECIPIENT_NOTICE_RETRY: &str = "/v1/admin/recipient-notices/{rcn}/retry";
/// What it tells is done.
pub const RECIPIENT_NOTICE_COMPLETE: &str = "/v1/admin/recipient-notices/{rcn}/complete";
/// It cannot be told.
pub const RECIPIENT_NOTICE_IMPOSSIBLE: &str = "/v1/admin/recipient-notices/{rcn}/impossible";
/// Requests of a person.
pub const SUBJECT_REQUESTS: &str = "/v1/subjects/{s}/requests";
/// The queue of requests.
pub const REQUESTS: &str = "/v1/requests";
/// One request.
pub const REQUEST: &str = "/v1/requests/{q}";
/// Carry a request out.
pub const REQUEST_APPROVE: &str = "/v1/requests/{q}/approve";
/// What an approval that cannot be undone needs.
pub const REQUEST_CONFIRM: &str = "/v1/requests/{q}/confirm";
/// A step of a request.
pub const REQUEST_STEP: &str = "/v1/requests/{q}/{step}";
/// Decisions about a person.
pub const SUBJECT_DECISIONS: &str = "/v1/subjects/{s}/decisions";
/// The queue of reviews.
pub const DECISIONS: &str = "/v1/decisions";
/// Decisions in numbers.
pub const DECISION_FIGURES: &str = "/v1/decisions/figures";
/// One decision.
pub const DECISION: &str = "/v1/decisions/{d}";
/// A step of a decision.
pub const DECISION_STEP: &str = "/v1/decisions/{d}/{step}";
/// Restriction of a person's data.
pub const RESTRICTION: &str = "/v1/subjects/{s}/restriction";
/// Legal hold over a person's data.
pub const HOLD: &str = "/v1/subjects/{s}/hold";
/// People under a legal hold.
pub const HOLDS: &str = "/v1/admin/holds";
/// Notices that a person was shown.
pub const NOTICES: &str = "/v1/subjects/{s}/notices";
/// Notices that were shown before there was a person.
pub const NOTICE_DELIVERIES: &str = "/v1/notices";
/// The notice to show.
pub const NOTICE: &str = "/v1/notices/current";
/// The policy in force.
pub const POLICY: &str = "/v1/admin/policy";
/// Every policy that was applied.
pub const POLICY_VERSIONS: &str = "/v1/admin/policy/versions";
/// API keys.
pub const API_KEYS: &str = "/v1/admin/api-keys";
/// One API key.
pub const API_KEY: &str = "/v1/admin/api-keys/{tok}";
/// A new secret in the place of an API key.
pub const API_KEY_ROTATE: &str = "/v1/admin/api-keys/{tok}/rotate";
/// Key slots.
pub const KEY_SLOTS: &str = "/v1/admin/key-slots";
/// One key slot.
pub const KEY_SLOT: &str = "/v1/admin/key-slots/{n}";
/// Which slot a secret opens.
pub const KEY_SLOT_TEST: &str = "/v1/admin/key-slots/test";
/// Backups.
pub const BACKUPS: &str = "/v1/admin/backups";
/// Read backups back.
pub const BACKUPS_VERIFY: &str = "/v1/admin/backups/verify";
/// Let go what no rule keeps.
pub const BACKUPS_PRUNE: &str = "/v1/admin/backups/prune";
/// Copy the erasure ledger.
pub const BACKUPS_LEDGER: &str = "/v1/admin/backups/ledger";
/// Today's keys for a backup.
pub const BACKUP_REKEY: &str = "/v1/admin/backups/{b}/rekey";
/// A part of a backup is gone.
pub const BACKUP_DELETED: &str = "/v1/admin/backups/{b}/deleted";
/// The register of personal data breaches.
pub const INCIDENTS: &str = "/v1/incidents";
/// One of them.
pub const INCIDENT: &str = "/v1/incidents/{inc}";
/// A step of it.
pub const INCIDENT_STEP: &str = "/v1/incidents/{inc}/{step}";
/// Who is affected by a breach.
pub const BREACH_SCOPE: &str = "/v1/admin/breach-scope";
/// What is told of it.
pub const BREACH_DRAFT: &str = "/v1/admin/breach-draft";
/// Lines of a log.
pub const LOG: &str = "/v1/logs/{stream}";
/// Long work.
pub const JOBS: &str = "/v1/admin/jobs";
/// One job.
pub const JOB: &str = "/v1/admin/jobs/{n}";
/// Shares for a key slot.
pub const KEY_SLOT_SHARES: &str = "/v1/admin/key-slots/shares";
/// The vault's own keys.
pub const KEYS: &str = "/v1/admin/keys";
/// New keys in their place.
pub const KEYS_ROTATE: &str = "/v1/admin/keys/rotate";
/// Retention by hand.
pub const RETENTION_RUN: &str = "/v1/admin/retention/run";
/// The contract.
pub const OPENAPI: &str = "/v1/openapi.json";
/// The contract, readable.
pub const DOCS: &str = "/docs";
/// Every problem code.
pub const PROBLEMS: &str = "/problems";
/// One problem code.
pub const PROBLEM: &str = "/problems/{code}";
/// A link with which somebody picks a copy of their data up: for browsers, and no part of the API.
pub const PICKUP: &str = "/pickup/{token}";
/// Has a code for it sent.
pub const PICKUP_CODE: &str = "/pickup/{token}/code";
/// The public statement, for people.
pub const PRIVACY: &str = "/privacy";
/// The public statement as JSON.
pub const PRIVACY_STATEMENT: &str = "/v1/privacy-statement";
/// The records of processing (Art. 30).
pub const PROCESSING_RECORDS: &str = "/v1/processing-records";

/// A path with its parameters filled in, in their order. They are ids and names of the policy, which
/// need no escaping; anything else does not belong in a path.
///
/// # Panics
///
/// Where the template has another number of parameters: a defect of the caller.
#[must_use]
pub fn at(template: &str, parameters: &[&dyn Display]) -> String {
    let mut path = String::with_capacity(template.len() + 32);
    let mut given = parameters.iter();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (_, after) = after.split_once('}').expect("a brace that opens closes");
        let parameter = given.next().expect("a parameter for each brace");
        write!(path, "{before}{parameter}").expect("a string takes all that is written to it");
        rest = after;
    }
    assert!(given.next().is_none(), "{template} has fewer parameters");
    path + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_template_with_the_parameters_in_their_order() {
        assert_eq!(
            at(RECORD, &[&"sub_1", &"messages", &"rec_2"]),
            "/v1/subjects/sub_1/records/messages/rec_2"
        );
        assert_eq!(at(STATUS, &[]), STATUS);
    }

    #[test]
    #[should_panic(expected = "fewer parameters")]
    fn a_parameter_too_many_is_a_defect() {
        let _ = at(SUBJECT, &[&"sub_1", &"sub_2"]);
    }
}

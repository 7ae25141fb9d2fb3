//! How each route of the contract is called about somebody, and what it takes to be let in. A route that
//! is new stands in neither table, and that fails.

use serde_json::{Value, json};
use vault_core::policy::Draft;
use vault_core::vault::Notice;
use vault_tests::contract::Route;

use super::bench::{PASSPHRASE, POLICY, Person, Sent, told};

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Nothing,
    /// A bearer that is good.
    Bearer,
    /// This capability of its role.
    May(&'static str),
    /// One of these capabilities.
    Any(&'static [&'static str]),
    /// To read, write or ask the field.
    Values,
    /// The admin socket.
    Socket,
}

pub(crate) fn need(route: &Route) -> Need {
    match &*route.operation {
        "current_notice" | "docs" | "healthz" | "privacy" | "problem" | "problems" | "readyz"
        | "openapi" | "privacy_statement" | "read_log_key" | "status" => Need::Nothing,
        // It proves a secret instead, from the vault's own machine.
        "unlock" => Need::Socket,
        "begin_keyholder" | "end_keyholder" => Need::Socket,
        "batch" => Need::Bearer,
        "list_api_keys" | "create_api_key" | "revoke_api_key" | "rotate_api_key" => {
            Need::May("api_keys.manage")
        }
        "list_backups" | "backup_deleted" | "create_backup" | "verify_backups" | "rekey_backup"
        | "prune_backups" | "copy_ledger" => Need::May("backups.manage"),
        "list_key_slots" | "add_key_slot" | "test_key_slot" | "remove_key_slot"
        | "make_key_shares" | "list_keys" | "rotate_keys" => Need::May("keys.manage"),
        "read_policy" | "policy_versions" => Need::May("policy.read"),
        "apply_policy" => Need::May("policy.apply"),
        "run_retention" => Need::May("retention.run"),
        "list_jobs" | "read_job" | "cancel_job" => Need::Any(&[
            "backups.manage",
            "incidents.manage",
            "keys.manage",
            "retention.run",
        ]),
        "read_access" | "read_audit" | "read_checkpoint" | "prove_consistency" | "prove_entry"
        | "verify_log" | "processing_records" | "read_receipt" => Need::May("audit.read"),
        "lock" => Need::May("vault.lock"),
        "count_records" | "query_records" | "update_records" => Need::May("records.bulk"),
        "purge_records" => Need::May("records.purge"),
        "create_subject" => Need::May("subjects.create"),
        "list_contracts" | "put_contract_end" | "resume_contract" => Need::May("subjects.create"),
        "lookup_subject" => Need::May("subjects.lookup"),
        "view_subject" => Need::May("subjects.view"),
        "erase_subject" => Need::May("subjects.erase"),
        "export_subject" => Need::May("subjects.export"),
        // What its lines need besides is asked of each line, and told there.
        "import_lines" => Need::May("subjects.create"),
        "read_age" | "put_age" | "list_consents" | "read_consent" | "consent_receipt"
        | "put_consent" | "withdraw_consent" => Need::May("consents.record"),
        "list_notices" | "record_notice" | "deliver_notice" => Need::May("notices.record"),
        "list_objections" => Need::Any(&["objections.record", "requests.decide"]),
        "list_disclosures" => Need::Any(&["disclosures.record", "requests.decide"]),
        "record_disclosure" => Need::May("disclosures.record"),
        "list_recipient_notices"
        | "retry_recipient_notice"
        | "complete_recipient_notice"
        | "impossible_recipient_notice" => Need::May("requests.decide"),
        "put_objection" | "end_objection" | "suppress" => Need::May("objections.record"),
        "decide_objection" => Need::May("requests.decide"),
        "create_request" | "list_requests" | "read_request" => {
            Need::Any(&["requests.create", "requests.decide"])
        }
        "write_log" => Need::May("logs.write"),
        "read_log" => Need::May("audit.read"),
        "purge_log" => Need::May("retention.run"),
        "dialogue_turn" => Need::May("dialogue.relay"),
        "queue_requests" | "approve_request" | "confirm_request" | "step_request" => {
            Need::May("requests.decide")
        }
        "list_decisions" | "read_decision" => Need::Any(&["decisions.record", "decisions.review"]),
        "record_decision" => Need::May("decisions.record"),
        "queue_decisions" | "step_decision" => Need::May("decisions.review"),
        "decision_figures" => Need::Any(&["decisions.review", "audit.read"]),
        "read_restriction" | "put_restriction" | "lift_restriction" => {
            Need::May("restrictions.set")
        }
        "issue_pseudonym" => Need::May("disclosures.record"),
        "lookup_pseudonym" => Need::May("tokens.detokenize"),
        "read_hold" | "put_hold" | "release_hold" | "list_holds" => Need::May("holds.manage"),
        "request_emergency" | "take_emergency" => Need::May("breakglass.request"),
        "approve_emergency" | "refuse_emergency" => Need::May("breakglass.approve"),
        "list_emergencies" | "end_emergency" => {
            Need::Any(&["breakglass.request", "breakglass.approve"])
        }
        "note_incident" | "list_incidents" | "read_incident" | "step_incident" | "breach_scope"
        | "breach_draft" => Need::May("incidents.manage"),
        "list_sessions" | "begin_session" | "end_session" => Need::May("sessions.create"),
        "ask" | "read_blob" | "put_blob" | "delete_blob" | "head_blob" | "read_record_blob"
        | "put_record_blob" | "delete_record_blob" | "head_record_blob" | "read_records"
        | "append_records" | "patch_single" | "read_record" | "delete_record" | "patch_record" => {
            Need::Values
        }
        new => panic!("the route `{new}` is new: say what a caller needs"),
    }
}

/// Whether a session's token is let in, to what it was given.
pub(crate) fn of_sessions(route: &Route) -> bool {
    // Of who looked at its own person a session reads as much as its maker may.
    need(route) == Need::Values
        || [
            "batch",
            "create_request",
            "export_subject",
            "list_decisions",
            "list_requests",
            "read_access",
            "read_decision",
            "read_request",
            "write_log",
        ]
        .contains(&&*route.operation)
}

/// A body that fits, about this person where it names one.
pub(crate) fn body(route: &Route, person: &Person) -> Sent {
    let json = Sent::Json;
    let bulk = || json!({"collection": "messages", "where": {"subject": person.id}});
    match &*route.operation {
        "create_subject" => json(json!({"channel": person.channel, "user": person.user})),
        "lookup_subject" => json(json!({"field": "profile.phone", "value": person.phone})),
        "count_records" => json(json!({"collection": "messages"})),
        "query_records" | "purge_records" => json(bulk()),
        "update_records" => {
            let mut body = bulk();
            body["set"] = json!({"category": "changed"});
            json(body)
        }
        "ask" => json(json!({"field": "profile.birth", "test": {"age_at_least": 18}})),
        "put_blob" => Sent::Bytes("image/png", "other bytes".into()),
        "put_record_blob" => Sent::Bytes("audio/ogg", "other bytes".into()),
        "put_consent" => json(json!({"given": false, "notice": "n2"})),
        "put_contract_end" => json(json!({"ended_at": "2027-01-01T00:00:00Z"})),
        "put_age" => json(json!({"years": 12})),
        "issue_pseudonym" => json(json!({})),
        "lookup_pseudonym" => json(json!({"pseudonym": person.pseudonym})),
        "create_request" => json(json!({"type": "access", "details": "changed"})),
        "dialogue_turn" => json(json!({"channel": person.channel, "user": person.user,
            "message_id": "m1", "text": "what do you know about me?", "private": true})),
        "approve_request" => json(json!({"format": "json"})),
        "confirm_request" => json(json!({})),
        "step_request" => json(json!({"note": "changed"})),
        "record_decision" => json(json!({"kind": "refund", "outcome": "changed",
            "significant": true, "automation": "human"})),
        "step_decision" => json(json!({})),
        "put_objection" => json(json!({"reason": "changed"})),
        "suppress" => json(json!({"kind": "phone", "value": person.phone})),
        "record_disclosure" => {
            json(json!({"recipient": "carrier", "purpose": "support", "fields": ["profile.name"]}))
        }
        "impossible_recipient_notice" => json(json!({"reason": "wound up"})),
        "decide_objection" => json(json!({"outcome": "upheld", "reason": "changed"})),
        "put_restriction" => json(json!({"ground": "18.1.b", "collections": ["spare"]})),
        "put_hold" => json(
            json!({"ground": "legal_claims", "collections": ["spare"], "review_at": "2099-12-31"}),
        ),
        "record_notice" => json(told()),
        "deliver_notice" => json(shown()),
        "append_records" | "patch_record" => json(json!({"text": "changed"})),
        "patch_single" => json(json!({"name": "Changed Example"})),
        "begin_session" => {
            json(json!({"purpose": "support", "fields": ["profile.name"], "reads": 1}))
        }
        "request_emergency" => {
            json(json!({"reason": "it cannot wait", "fields": ["profile.phone"]}))
        }
        "note_incident" => json(json!({"aware_at": "2026-01-01T00:00:00Z",
            "nature": ["availability"], "summary": "a disk was lost"})),
        "step_incident" => json(json!({"text": "looked at", "risk": "unlikely"})),
        "breach_scope" => json(json!({"files": true})),
        "breach_draft" => json(json!({"report": report(), "for": "people"})),
        "create_api_key" => json(json!({"role": "none"})),
        "rotate_api_key" => json(json!({"overlap": "PT1H"})),
        "add_key_slot" => json(json!({"kind": "recovery_key", "label": "x"})),
        "make_key_shares" => json(json!({"threshold": 2, "shares": 3})),
        "rotate_keys" => json(json!({"scope": "root"})),
        "test_key_slot" | "unlock" | "begin_keyholder" => json(json!({"passphrase": PASSPHRASE})),
        "backup_deleted" => json(json!({"part": "keys"})),
        "create_backup" | "verify_backups" => json(json!({})),
        "verify_log" => json(json!({})),
        "write_log" => Sent::Bytes(
            "application/x-ndjson",
            json!({"subject": person.id, "text": "a line"}).to_string(),
        ),
        "apply_policy" => Sent::Bytes("text/plain", "[controller]\n".into()),
        "export_subject" => json(json!({"right": "access", "format": "json"})),
        "import_lines" => json(json!({"import": "i", "last": true, "lines": [
            {"line": 1, "channel": person.channel, "user": person.user}]})),
        "batch" => json(json!({"operations": [operation(person)]})),
        _ => {
            assert!(
                route.bodies.is_empty(),
                "the route `{}` is new: say what its body is",
                route.operation
            );
            Sent::Nothing
        }
    }
}

/// A report of the scope of a breach, of nobody.
fn report() -> Value {
    json!({"of": {"kind": "files", "name": "files"}, "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-02T00:00:00Z", "made_at": "2026-01-02T00:00:00Z", "log_size": 1,
        "ciphertext_only": true, "at_most": true, "people": 0, "people_without_values": 0,
        "reads": 0, "writes": 0, "refused": 0, "first": null, "last": null, "not_resolvable": 0,
        "damaged": 0, "bulk": {"calls": 0, "records": 0, "fields": []},
        "categories": [{"category": "user.name", "special": null, "people": 1}], "fields": []})
}

/// The notice that the policy of the bench makes.
fn shown() -> Value {
    let policy = Draft::parse(POLICY).and_then(|draft| draft.assign(None, 1));
    let notice = Notice::of(&policy.expect("a policy"), None);
    let sha256 = data_encoding::HEXLOWER.encode(&notice.sha256);
    json!({"version": 1, "lang": notice.language, "sha256": sha256})
}

/// An operation of a batch about this person.
pub(crate) fn operation(person: &Person) -> Value {
    json!({"method": "GET", "path": format!("/v1/subjects/{}/records/profile", person.id),
        "purpose": "support"})
}

/// The path of a route, with these in the place of its parameters.
pub(crate) fn path(route: &Route, subject: &str, person: &Person) -> String {
    let many = route.has("r") || route.operation == "append_records";
    let path = route.at(|name| match name {
        "s" => subject.to_owned(),
        "r" => person.record.clone(),
        "ses" => person.session.clone(),
        "emg" => person.emergency.clone(),
        "inc" => "inc_00000000000000000000000000".to_owned(),
        "step" if route.has("q") => "review".to_owned(),
        "step" if route.has("d") => "begin".to_owned(),
        "step" => "assessed".to_owned(),
        "c" => if many { "messages" } else { "profile" }.to_owned(),
        "f" => if many { "voice" } else { "photo" }.to_owned(),
        "purpose" => match &*route.operation {
            "put_objection" => "offers",
            "end_objection" => "improve",
            "decide_objection" => "quality",
            "put_contract_end" | "resume_contract" => "rental",
            _ => "newsletter",
        }
        .to_owned(),
        "tok" => "tok_00000000000000000000000000".to_owned(),
        "rcn" => "rcn_00000000000000000000000000".to_owned(),
        "rcp" => "rcp_00000000000000000000000000".to_owned(),
        "q" => person.request.clone(),
        "d" => "dec_00000000000000000000000000".to_owned(),
        "n" => "7".to_owned(),
        "b" => "bak_00000000000000000000000000".to_owned(),
        "entry" => "0".to_owned(),
        "code" => "invalid".to_owned(),
        "stream" => "bot".to_owned(),
        new => panic!("the parameter `{new}` is new: say what stands for it"),
    });
    match &*route.operation {
        "prove_consistency" => path + "?from=1",
        "run_retention" | "apply_policy" => path + "?dry_run=true",
        "read_audit" | "read_log" => format!("{path}?subject={subject}"),
        _ => path,
    }
}

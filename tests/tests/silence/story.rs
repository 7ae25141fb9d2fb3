//! One good call of every route of the contract, in an order in which they can be made. A route that
//! is new has no recipe here, and that fails.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_core::policy::Draft;
use vault_core::vault::Notice;
use vault_tests::contract::Route;

use super::people::{
    self, BLOB, CHANNEL, EMAIL, IDEMPOTENCY, PASSPHRASE, POLICY, SECOND_PASSPHRASE, USER,
};
use super::server::{Server, Way};

/// A body as it is sent.
#[derive(Clone)]
pub(crate) enum Sent {
    Nothing,
    Json(Value),
    Bytes(&'static str, Vec<u8>),
}

impl Sent {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Json(value) => value.to_string().into_bytes(),
            Self::Bytes(_, bytes) => bytes.clone(),
        }
    }

    pub(crate) fn media_type(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Json(_) => Some("application/json"),
            Self::Bytes(media_type, _) => Some(media_type),
        }
    }
}

/// How a route is called well.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) query: &'static str,
    pub(crate) body: Sent,
    pub(crate) bearer: String,
    /// Whether a success hands out to the caller what was stored or made.
    pub(crate) hands_out: bool,
    /// Whether a body that fits costs a key derivation.
    pub(crate) slow: bool,
    /// Where it is answered.
    pub(crate) way: Way,
}

/// What the calls have made so far, by the name of the parameter that takes it.
pub(crate) type Made = BTreeMap<&'static str, String>;

/// The order of the good calls: what is needed is made first, and what takes away comes last.
pub(crate) const FIRST: [&str; 26] = [
    "create_subject",
    "patch_single",
    "append_records",
    "put_blob",
    "put_record_blob",
    "record_disclosure",
    "write_log",
    "put_consent",
    "begin_session",
    "create_api_key",
    "put_objection",
    "put_restriction",
    "put_hold",
    "create_request",
    "step_request",
    "confirm_request",
    "approve_request",
    "record_decision",
    "step_decision",
    "put_contract_end",
    "issue_pseudonym",
    "request_emergency",
    "note_incident",
    // Leaves a job to look at, and to end.
    "run_retention",
    "list_backups",
    // Before one is made: the two exclude each other.
    "rekey_backup",
];
const LAST: [&str; 27] = [
    "end_emergency",
    // Of a correction that the batch made.
    "list_recipient_notices",
    "retry_recipient_notice",
    "complete_recipient_notice",
    "backup_deleted",
    "delete_blob",
    "delete_record_blob",
    "delete_record",
    // Of the record that is gone.
    "list_disclosures",
    "impossible_recipient_notice",
    "purge_records",
    "purge_log",
    "rotate_api_key",
    "revoke_api_key",
    "end_session",
    "withdraw_consent",
    "end_objection",
    "lift_restriction",
    "release_hold",
    "resume_contract",
    "add_key_slot",
    "remove_key_slot",
    "erase_subject",
    "read_receipt",
    "end_keyholder",
    "lock",
    "unlock",
];

/// What has to be called before a route each time, since it uses it up.
pub(crate) fn needs(operation: &str) -> &'static [&'static str] {
    match operation {
        "approve_emergency" | "refuse_emergency" | "end_emergency" => &["request_emergency"],
        "take_emergency" => &["request_emergency", "approve_emergency"],
        _ => &[],
    }
}

/// All routes, in that order.
pub(crate) fn ordered(mut routes: Vec<Route>) -> Vec<Route> {
    let place = |route: &Route| {
        let first = FIRST.iter().position(|one| *one == route.operation);
        let last = LAST.iter().position(|one| *one == route.operation);
        match (first, last) {
            (Some(at), _) => (0, at),
            (_, Some(at)) => (2, at),
            _ => (1, 0),
        }
    };
    routes.sort_by_key(place);
    routes
}

pub(crate) fn recipe(route: &Route, server: &Server, made: &Made) -> Recipe {
    let recipe = Recipe {
        query: "",
        body: Sent::Nothing,
        bearer: server.all.clone(),
        hands_out: false,
        slow: false,
        way: Way::Listener,
    };
    let body = |value: Value| Recipe {
        body: Sent::Json(value),
        ..recipe.clone()
    };
    let hands_out = |recipe: Recipe| Recipe {
        hands_out: true,
        ..recipe
    };
    let slow = |recipe: Recipe| Recipe {
        slow: true,
        ..recipe
    };
    let secret = json!({"passphrase": PASSPHRASE});
    let user = made.get("user").cloned().unwrap_or_else(|| USER.to_owned());
    let bulk = || {
        let conditions = json!({"source": "form of zyxwina", "subject": made.get("s")});
        json!({"collection": "messages", "where": conditions})
    };
    match &*route.operation {
        "current_notice" | "docs" | "healthz" | "privacy" | "problem" | "problems" | "readyz"
        | "list_api_keys" | "list_jobs" | "read_job" | "cancel_job" | "run_retention"
        | "list_backups" | "rekey_backup" | "prune_backups" | "copy_ledger" | "list_key_slots"
        | "remove_key_slot" | "policy_versions" | "read_access" | "read_audit"
        | "read_checkpoint" | "read_log_key" | "prove_entry" | "openapi" | "privacy_statement"
        | "processing_records" | "read_receipt" | "status" | "view_subject" | "erase_subject"
        | "withdraw_consent" | "list_sessions" | "end_session" | "delete_record"
        | "delete_blob" | "delete_record_blob" | "head_blob" | "head_record_blob" | "lock"
        | "read_policy" | "revoke_api_key" => recipe,
        "end_objection" | "lift_restriction" | "list_holds" => recipe,
        "list_disclosures" | "list_recipient_notices" => hands_out(recipe),
        "retry_recipient_notice" | "complete_recipient_notice" => hands_out(body(json!({}))),
        "impossible_recipient_notice" => hands_out(body(json!({"reason": people::grounds()}))),
        "record_disclosure" => hands_out(body(json!({
            "recipient": "carrier", "purpose": "support", "fields": ["profile.name", "messages.text"],
        }))),
        "list_notices" | "list_objections" | "read_hold" | "read_restriction" | "release_hold" => {
            hands_out(recipe)
        }
        "request_emergency" => hands_out(body(
            json!({"reason": "because of zyxwina", "fields": ["profile.name"]}),
        )),
        "approve_emergency" | "refuse_emergency" => Recipe {
            bearer: server.second.clone(),
            ..hands_out(recipe)
        },
        "list_emergencies" | "take_emergency" | "end_emergency" => hands_out(recipe),
        "note_incident" => hands_out(body(json!({
            "aware_at": "2026-01-01T00:00:00Z", "nature": ["availability"],
            "summary": "a disk with zyxwina was lost",
        }))),
        "step_incident" => hands_out(body(
            json!({"text": "zyxwina was told", "risk": "unlikely"}),
        )),
        "list_incidents" | "read_incident" => hands_out(recipe),
        "breach_scope" => body(json!({"files": true})),
        "breach_draft" => body(json!({"for": "people", "report": {
            "of": {"kind": "files", "name": "files"}, "from": "2026-01-01T00:00:00Z",
            "to": "2026-01-02T00:00:00Z", "made_at": "2026-01-02T00:00:00Z", "log_size": 1,
            "ciphertext_only": true, "at_most": true, "people": 0, "people_without_values": 0,
            "reads": 0, "writes": 0, "refused": 0, "first": null, "last": null,
            "not_resolvable": 0, "damaged": 0,
            "bulk": {"calls": 0, "records": 0, "fields": []}, "categories": [{"category": "user.name", "special": null, "people": 1}], "fields": [],
        }})),
        "put_hold" => hands_out(body(json!({
            "ground": "legal_claims", "collections": ["spare"], "reason": people::grounds(),
            "approver": people::NAME, "review_at": "2099-12-31",
        }))),
        "read_age" | "list_contracts" | "resume_contract" => hands_out(recipe),
        "create_request" => hands_out(body(json!({
            "type": "rectify", "details": people::grounds(), "language": "en",
        }))),
        "list_requests" | "read_request" => hands_out(recipe),
        "queue_requests" => recipe,
        "step_request" => hands_out(body(
            json!({"outcome": "verified", "evidence": people::grounds()}),
        )),
        "record_decision" => hands_out(body(json!({
            "kind": "refund", "outcome": people::grounds(), "significant": true,
            "automation": "full", "art22_basis": "contract", "inputs": ["profile.name"],
            "logic": {"en": people::grounds(), "de": people::grounds()},
            "consequences": {"en": people::grounds(), "de": people::grounds()},
        }))),
        "step_decision" => hands_out(body(json!({"view": people::grounds()}))),
        "list_decisions" | "read_decision" => hands_out(recipe),
        "queue_decisions" | "decision_figures" => recipe,
        "confirm_request" => body(correction()),
        "approve_request" => {
            let mut approved = correction();
            approved["confirmation"] = json!(made.get("confirmation"));
            hands_out(body(approved))
        }
        "put_age" => hands_out(body(json!({
            "years": 40, "country": "DE", "guardian": people::grounds(),
        }))),
        "put_contract_end" => hands_out(body(json!({"ended_at": "2026-06-30T00:00:00Z"}))),
        "issue_pseudonym" => hands_out(body(json!({"recipient": "carrier"}))),
        "lookup_pseudonym" => body(json!({"pseudonym": made.get("psn")})),
        "deliver_notice" => {
            let policy = Draft::parse(POLICY).and_then(|draft| draft.assign(None, 1));
            let notice = Notice::of(&policy.expect("a policy"), Some("en"));
            let sha256 = data_encoding::HEXLOWER.encode(&notice.sha256);
            body(json!({"version": 1, "lang": "en", "channel": CHANNEL, "sha256": sha256}))
        }
        // Everybody else is known on the channel: the answer says what is held of them.
        "dialogue_turn" => hands_out(body(json!({
            "channel": CHANNEL, "user": user, "message_id": "message of zyxwina",
            "conversation": "conversation of zyxwina", "text": "what do you know about zyxwina?",
            "locale": "en", "intent": "access", "private": true,
        }))),
        "suppress" => body(json!({"field": "profile.email", "value": EMAIL})),
        "put_objection" => hands_out(body(json!({"reason": people::grounds()}))),
        "decide_objection" => hands_out(body(
            json!({"outcome": "upheld", "reason": people::grounds()}),
        )),
        "put_restriction" => hands_out(body(json!({
            "ground": "18.1.a", "collections": ["spare"], "reason": people::grounds(),
        }))),
        "record_notice" => hands_out(body(json!({
            "about": "restriction_lift", "lang": "en", "channel": CHANNEL, "sha256": "0".repeat(64),
        }))),
        "write_log" => Recipe {
            body: Sent::Bytes("application/x-ndjson", people::lines(made.get("s")).into()),
            ..recipe
        },
        "read_log" => hands_out(recipe),
        "purge_log" => recipe,
        "read_blob" | "read_record_blob" | "list_consents" | "read_consent" | "consent_receipt"
        | "read_records" | "read_record" => hands_out(recipe),
        "prove_consistency" => Recipe {
            query: "?from=1",
            ..recipe
        },
        "create_api_key" => hands_out(body(json!({"role": "none", "label": "a program"}))),
        "rotate_api_key" => hands_out(body(json!({"overlap": "PT1H"}))),
        "add_key_slot" => slow(body(
            json!({"kind": "passphrase", "passphrase": SECOND_PASSPHRASE, "label": "second"}),
        )),
        "list_keys" => recipe,
        "make_key_shares" => hands_out(body(json!({"threshold": 2, "shares": 3}))),
        "rotate_keys" => body(json!({"scope": "root"})),
        "test_key_slot" | "unlock" => slow(body(secret)),
        "begin_keyholder" => Recipe {
            way: Way::Socket,
            ..hands_out(slow(body(secret)))
        },
        "end_keyholder" => Recipe {
            way: Way::Socket,
            bearer: made.get("keyholder").cloned().unwrap_or_default(),
            ..recipe
        },
        "apply_policy" => Recipe {
            body: Sent::Bytes("text/plain", POLICY.into()),
            ..recipe
        },
        "batch" => hands_out(body(json!({"operations": [
            {"method": "POST", "path": "/v1/subjects", "body": {"channel": CHANNEL, "user": user}},
            {"method": "PATCH", "path": "/v1/subjects/$0.subject/records/profile",
             "body": {"name": people::NAME}, "purpose": "support"},
            {"method": "GET", "path": "/v1/subjects/$0.subject/records/profile", "purpose": "support"},
        ]}))),
        "backup_deleted" => body(json!({"part": "data"})),
        "create_backup" => body(json!({"parts": "both"})),
        "verify_backups" => body(json!({})),
        "export_subject" => hands_out(body(json!({"right": "access", "format": "json"}))),
        "import_lines" => body(json!({"import": "i", "last": true, "lines": [
            {"line": 1, "channel": CHANNEL, "user": user, "collection": "messages",
             "record": people::message(), "purpose": "support"},
        ]})),
        "verify_log" => body(json!({"checkpoints": []})),
        "count_records" => body(json!({"collection": "messages"})),
        "purge_records" => body(bulk()),
        "query_records" => {
            let mut wanted = bulk();
            wanted["meta"] = "with".into();
            hands_out(body(wanted))
        }
        "update_records" => {
            let mut wanted = bulk();
            wanted["set"] = json!({"source": "form of zyxwina", "category": "category.zyxwina"});
            body(wanted)
        }
        "create_subject" => body(json!({"channel": CHANNEL, "user": user})),
        "lookup_subject" => body(json!({"field": "profile.email", "value": EMAIL})),
        "ask" => body(json!({"field": "profile.email", "test": {"equals": EMAIL}})),
        "put_blob" => Recipe {
            body: Sent::Bytes("image/png", BLOB.into()),
            ..recipe
        },
        "put_record_blob" => Recipe {
            body: Sent::Bytes("audio/ogg", BLOB.into()),
            ..recipe
        },
        "put_consent" => hands_out(body(people::consent())),
        "append_records" => body(people::message()),
        "patch_single" => body(people::profile()),
        "patch_record" => body(people::message()),
        "begin_session" => hands_out(body(
            json!({"purpose": "support", "fields": ["profile.*"], "reads": 1000, "writes": 1000}),
        )),
        new => panic!("the route `{new}` is new: say how it is called well and what it hands out"),
    }
}

/// What is corrected on request.
fn correction() -> Value {
    json!({"collection": "profile", "fields": {"remark": people::profile()["remark"]}})
}

/// What stands for a parameter of this route's path.
pub(crate) fn parameter(route: &Route, name: &str, made: &Made) -> String {
    let many = ["append_records", "query_records"].contains(&&*route.operation) || route.has("r");
    match name {
        "c" if many => "messages".into(),
        "c" => "profile".into(),
        "f" if many => "voice".into(),
        "f" => "photo".into(),
        "purpose" if route.path.contains("/objections/") => "improve".into(),
        "purpose" if route.path.contains("/contracts/") => "rental".into(),
        "purpose" => "newsletter".into(),
        "entry" => "0".into(),
        "code" => "invalid".into(),
        "stream" => "bot".into(),
        "n" if route.path.contains("/jobs/") => "1".into(),
        "step" if route.path.contains("/requests/") => "identity".into(),
        "step" if route.path.contains("/decisions/") => "contest".into(),
        "step" => "assessed".into(),
        "s" | "r" | "ses" | "tok" | "n" | "rcn" | "rcp" | "b" | "emg" | "inc" | "q" | "d" => {
            made.get(name).cloned().unwrap_or_default()
        }
        new => panic!("the parameter `{new}` is new: say what stands for it"),
    }
}

/// The headers of a good call.
pub(crate) fn headers(recipe: &Recipe) -> Vec<(String, Vec<u8>)> {
    let mut headers = vec![
        ("host".to_owned(), b"v.example.test".to_vec()),
        ("connection".to_owned(), b"close".to_vec()),
        ("vault-purpose".to_owned(), b"support".to_vec()),
    ];
    if !recipe.bearer.is_empty() {
        let bearer = format!("Bearer {}", recipe.bearer);
        headers.push(("authorization".to_owned(), bearer.into_bytes()));
    }
    if let Some(media_type) = recipe.body.media_type() {
        headers.push(("content-type".to_owned(), media_type.into()));
    }
    headers
}

/// A request in bytes; the length of its body is added unless the headers name one.
pub(crate) fn request(
    method: &[u8],
    target: &[u8],
    headers: &[(String, Vec<u8>)],
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = [method, b" ", target, b" HTTP/1.1\r\n"].concat();
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    let framed = |(name, _): &(String, _)| name == "content-length" || name == "transfer-encoding";
    if !headers.iter().any(framed) {
        bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
    }
    [&bytes[..], b"\r\n", body].concat()
}

/// An answer: its status (0 where there is none), and its body as far as it is JSON.
pub(crate) fn read(answer: &[u8]) -> (u16, Value) {
    let status = answer.get(9..12).and_then(|text| {
        let text = std::str::from_utf8(text).ok()?;
        text.parse().ok()
    });
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let body = body.map_or(&[][..], |at| &answer[at + 4..]);
    let json = serde_json::from_slice(body).unwrap_or(Value::Null);
    (status.unwrap_or(0), json)
}

/// Notes what a good call has made.
pub(crate) fn learn(route: &Route, body: &Value, made: &mut Made) {
    let mut note = |name: &'static str, member: &Value| match member {
        Value::String(text) => drop(made.insert(name, text.clone())),
        Value::Number(number) => drop(made.insert(name, number.to_string())),
        _ => panic!("{} made no {name}: {body}", route.operation),
    };
    match &*route.operation {
        "create_subject" => note("s", &body["subject"]),
        "append_records" => note("r", &body["record"]),
        "issue_pseudonym" => note("psn", &body["pseudonym"]),
        "begin_session" => {
            note("ses", &body["session"]);
            note("session token", &body["token"]);
        }
        "request_emergency" => note("emg", &body["emergency"]),
        "take_emergency" => note("emergency token", &body["token"]),
        "note_incident" => note("inc", &body["incident"]),
        "create_api_key" => {
            note("tok", &body["token"]);
            note("new API key", &body["secret"]);
        }
        "rotate_api_key" => note("next API key", &body["secret"]),
        "begin_keyholder" => note("keyholder", &body["token"]),
        "list_recipient_notices" => note("rcn", &body["notices"][0]["id"]),
        "list_disclosures" => {
            let told = body["disclosures"][0]["notices"].as_array();
            let last = told.and_then(|told| told.last());
            note("rcn", last.map_or(&Value::Null, |told| &told["notice"]));
        }
        "list_backups" => note("b", &body["backups"][0]["backup"]),
        "add_key_slot" => note("n", &body["slot"]),
        "create_request" => note("q", &body["request"]),
        "record_decision" => note("d", &body["decision"]),
        "confirm_request" => note("confirmation", &body["confirmation"]),
        "erase_subject" => note("rcp", &body["receipt"]["body"]["receipt"]),
        _ => {}
    }
}

/// The header by which a call may be sent again.
pub(crate) fn again() -> (String, Vec<u8>) {
    ("idempotency-key".into(), IDEMPOTENCY.into())
}

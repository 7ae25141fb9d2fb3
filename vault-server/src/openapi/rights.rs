//! As `schemas`, for what a person demands and is told.

use serde_json::{Value, json};
use vault_core::dialogue::{Intent, Language};
use vault_core::limits::{
    CHANNEL_USER_BYTES_MAX, DIALOGUE_HELD_MAX, DIALOGUE_NAME_BYTES_MAX, DIALOGUE_TEXT_BYTES_MAX,
    DISCLOSED_FIELDS_MAX, LABEL_BYTES_MAX, REASON_BYTES_MAX,
};
use vault_core::outbox::{NoticeKind, NoticeState};
use vault_core::policy::{Automation, DecisionBasis, HoldGround, RestrictionGround};
use vault_core::request::{RequestKind, RequestState};
use vault_core::vault::{DecisionState, Outcome};
use vault_core::vault::{ExpectKind, TalkState};

use super::schemas::text;

fn hash() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-f]{64}$"})
}

fn about() -> Value {
    json!({"type": "string", "enum": ["processing", "restriction_lift"]})
}

fn objection() -> Value {
    json!({"type": "string", "enum": ["pending", "upheld", "overridden", "ended"]})
}

fn origin() -> Value {
    json!({"type": "string", "enum": ["person", "address", "suppressed", "consent"]})
}

fn ground() -> Value {
    let grounds: Vec<_> = RestrictionGround::ALL
        .iter()
        .map(|one| one.name())
        .collect();
    json!({"type": "string", "enum": grounds})
}

fn hold_ground() -> Value {
    let grounds: Vec<_> = HoldGround::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": grounds})
}

fn id(prefix: &str) -> Value {
    json!({"type": "string", "pattern": format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$")})
}

fn notice_kind() -> Value {
    let kinds = [
        NoticeKind::Erasure,
        NoticeKind::Rectification,
        NoticeKind::Restriction,
        NoticeKind::RestrictionLifted,
        NoticeKind::Objection,
        NoticeKind::Withdrawal,
    ];
    json!({"type": "string", "enum": kinds.map(NoticeKind::name)})
}

fn notice_state() -> Value {
    let names = NoticeState::ALL.iter().map(|state| state.name());
    let names: Vec<_> = names.chain(["manual"]).collect();
    json!({"type": "string", "enum": names})
}

fn receipt() -> Value {
    json!({"type": "string", "pattern": "^rcp_[0-9a-hjkmnp-tv-z]{26}$"})
}

fn request_id() -> Value {
    json!({"type": "string", "pattern": "^req_[0-9a-hjkmnp-tv-z]{26}$"})
}

fn request_kind() -> Value {
    let kinds: Vec<_> = RequestKind::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": kinds})
}

fn request_state() -> Value {
    let states: Vec<_> = RequestState::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": states})
}

fn nullable(value: Value) -> Value {
    json!({"anyOf": [value, {"type": "null"}]})
}

fn decision_state() -> Value {
    let states: Vec<_> = DecisionState::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": states})
}

fn automation() -> Value {
    let all: Vec<_> = Automation::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": all})
}

fn art22_basis() -> Value {
    let all: Vec<_> = DecisionBasis::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": all})
}

fn kind() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"})
}

/// Constraints of decisions by name of the schema.
fn decisions() -> Value {
    let outcomes: Vec<_> = Outcome::ALL.iter().map(|one| one.name()).collect();
    let long = || nullable(text(1, REASON_BYTES_MAX));
    json!({
        "DecisionRequest": {"properties": {
            "kind": kind(),
            "model_version": nullable(text(1, LABEL_BYTES_MAX)),
            "outcome": text(1, REASON_BYTES_MAX),
            "automation": nullable(automation()),
            "art22_basis": nullable(art22_basis()),
            "law": nullable(text(1, LABEL_BYTES_MAX)),
        }},
        "DecisionStepRequest": {"properties": {
            "view": long(), "new_outcome": long(), "reasons": long(),
            "outcome": nullable(json!({"type": "string", "enum": outcomes})),
        }},
        "DecisionView": {"properties": {
            "decision": id("dec"), "kind": kind(), "automation": automation(),
            "art22_basis": nullable(art22_basis()), "state": decision_state(),
            "request": nullable(request_id()),
        }},
        "QueuedDecision": {"properties": {
            "decision": id("dec"), "kind": kind(), "state": decision_state(),
        }},
    })
}

fn optional(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn intents() -> Vec<Value> {
    let names = Intent::ALL.iter().map(|one| json!(one.name()));
    names.chain([Value::Null]).collect()
}

fn turn_state() -> Value {
    let states: Vec<_> = TalkState::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": states})
}

fn turn_expects() -> Value {
    let kinds: Vec<_> = ExpectKind::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": kinds})
}

/// Constraints by name of the schema.
pub(super) fn overlays() -> Value {
    let mut all = demands();
    let (Value::Object(all_of), Value::Object(more)) = (&mut all, decisions()) else {
        unreachable!("both are objects");
    };
    all_of.extend(more);
    all
}

fn demands() -> Value {
    json!({
        "HeldPerson": {"properties": {"ground": hold_ground()}},
        "HoldRequest": {"properties": {
            "ground": hold_ground(),
            "reason": {"type": ["string", "null"], "minLength": 1, "maxLength": REASON_BYTES_MAX},
            "approver": {"type": ["string", "null"], "minLength": 1, "maxLength": LABEL_BYTES_MAX},
        }},
        "HoldStep": {"properties": {
            "ground": hold_ground(),
            "state": {"type": "string", "enum": ["placed", "released"]},
        }},
        "QueuedRequest": {"properties": {
            "request": request_id(), "type": request_kind(), "state": request_state(),
        }},
        "RequestRequest": {"properties": {
            "type": request_kind(),
            "details": {"type": ["string", "null"], "minLength": 1, "maxLength": REASON_BYTES_MAX},
        }},
        "RequestView": {"properties": {
            "request": request_id(), "type": request_kind(), "state": request_state(),
            "level": {"type": "string", "enum": ["L0", "L1", "L2", "L3"]},
        }},
        "PendingErasure": {"properties": {"receipt": receipt()}},
        "AgeRequest": {"properties": {
            "years": {"type": "integer", "minimum": 0, "maximum": 130},
            "country": {"type": ["string", "null"], "pattern": "^[A-Z]{2}$"},
            "guardian": {"type": ["string", "null"], "minLength": 1, "maxLength": REASON_BYTES_MAX},
        }},
        "Disclosure": {"properties": {"disclosure": id("dis"), "reference": id("psn")}},
        "DisclosureMade": {"properties": {"disclosure": id("dis"), "reference": id("psn")}},
        "DisclosureNotice": {"properties": {"notice": id("rcn"), "kind": notice_kind()}},
        "DisclosureRequest": {"properties": {
            "fields": {"type": "array", "minItems": 1, "maxItems": DISCLOSED_FIELDS_MAX, "items": {"type": "string"}},
        }},
        "ImpossibleRequest": {"properties": {"reason": text(1, REASON_BYTES_MAX)}},
        "RecipientNotice": {"properties": {
            "id": id("rcn"),
            "kind": notice_kind(),
            "state": notice_state(),
        }},
        "RecipientReference": {"properties": {"reference": id("psn")}},
        "Notice": {"properties": {"sha256": hash(), "version": {"type": "integer", "minimum": 1}}},
        "NoticeShown": {"properties": {"about": about(), "sha256": hash()}},
        "NoticeShownRequest": {"properties": {
            "about": {"type": ["string", "null"], "enum": ["processing", "restriction_lift", null]},
            "version": {"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX},
            "lang": text(1, LABEL_BYTES_MAX),
            "channel": {"type": ["string", "null"], "minLength": 1, "maxLength": LABEL_BYTES_MAX},
            "sha256": hash(),
        }},
        "ObjectionDecision": {"properties": {
            "outcome": {"type": "string", "enum": ["upheld", "overridden"]},
            "reason": text(1, REASON_BYTES_MAX),
        }},
        "ObjectionEvent": {"properties": {"origin": origin(), "state": objection()}},
        "ObjectionRequest": {"properties": {
            "reason": {"type": ["string", "null"], "minLength": 1, "maxLength": REASON_BYTES_MAX},
        }},
        "ObjectionView": {"properties": {"state": objection()}},
        "RestrictionRequest": {"properties": {
            "ground": ground(),
            "reason": {"type": ["string", "null"], "minLength": 1, "maxLength": REASON_BYTES_MAX},
        }},
        "SuppressionRequest": {"properties": {
            "kind": {"type": ["string", "null"], "enum": ["email", "phone", null]},
        }},
        "TurnChoice": {"properties": {"id": {"type": "string", "pattern": "^c_[a-z2-7]{26}$"}}},
        "TurnExpect": {"properties": {"kind": turn_expects()}},
        "TurnReply": {"properties": {
            "state": turn_state(), "request_id": optional(request_id()),
            "due": {"type": ["string", "null"], "format": "date"},
            "replay": {"type": "array", "maxItems": DIALOGUE_HELD_MAX, "items": text(1, DIALOGUE_NAME_BYTES_MAX)},
            "language": {"type": "string", "enum": Language::ALL.iter().map(|one| one.name()).collect::<Vec<_>>()},
        }},
        "TurnRequest": {
            "oneOf": [
                {"required": ["text"], "properties": {"text": {"type": "string"}, "choice": {"type": "null"}}},
                {"required": ["choice"], "properties": {"choice": {"type": "string"}, "text": {"type": "null"}}},
            ],
            "properties": {
                "channel": text(1, LABEL_BYTES_MAX),
                "user": text(1, CHANNEL_USER_BYTES_MAX),
                "conversation": {"type": ["string", "null"], "minLength": 1, "maxLength": DIALOGUE_NAME_BYTES_MAX},
                "message_id": text(1, DIALOGUE_NAME_BYTES_MAX),
                "text": {"type": ["string", "null"], "minLength": 1, "maxLength": DIALOGUE_TEXT_BYTES_MAX},
                "choice": {"type": ["string", "null"], "minLength": 1, "maxLength": DIALOGUE_NAME_BYTES_MAX},
                "intent": {"type": ["string", "null"], "enum": intents()},
            },
        },
        "RestrictionStep": {"properties": {"ground": {"anyOf": [ground(), {"type": "null"}]}}},
    })
}

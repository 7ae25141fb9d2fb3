//! What a Rust type does not say of itself: lengths, patterns, words, which members belong together.
//!
//! Laid over the generated schemas by name; a test holds every name to the document. Requests are
//! closed (an unknown member is refused), answers are open (a client ignores what it does not know).

use serde_json::{Map, Value, json};
use vault_core::limits::{
    APPEND_RECORDS_MAX, AUDIT_PAGE_DEFAULT, AUDIT_PAGE_MAX, CHANNEL_USER_BYTES_MAX,
    EMERGENCY_SECONDS_MAX, LABEL_BYTES_MAX, META_ENTRIES_MAX, META_TEXT_BYTES_MAX,
    PAGE_RECORDS_MAX, PASSPHRASE_BYTES_MAX, PASSPHRASE_CHARACTERS_MIN, PLAIN_TEXT_BYTES_MAX,
    SESSION_CALLS_MAX, SESSION_FIELDS_MAX, SESSION_SECONDS_DEFAULT, SESSION_SECONDS_MAX,
};
use vault_core::policy::RestrictedUse;

use crate::code::Code;

const NAME: &str = "^[a-z][a-z0-9_]{0,62}$";

/// The pattern of an id with so many characters of base 32.
pub(super) fn id_pattern(prefix: &str, characters: u8) -> String {
    format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{{characters}}}$")
}

fn id(prefix: &str) -> Value {
    json!({"type": "string", "pattern": id_pattern(prefix, 26)})
}

fn record() -> Value {
    json!({"type": "string", "pattern": id_pattern("rec", 39)})
}

pub(super) fn text(least: usize, most: usize) -> Value {
    json!({"type": "string", "minLength": least, "maxLength": most})
}

/// Schemas that no Rust type stands behind.
fn added() -> Value {
    json!({
        "RecordInput": {
            "type": "object",
            "description": "Fields of the collection by name; which there are, and of which type, the policy says. Null removes a field on PATCH.",
            "properties": {
                "occurred_at": {"type": "string", "format": "date-time", "description": "When it happened, if not now."},
                "_meta": {"anyOf": [{"$ref": "#/components/schemas/RecordMetaInput"}, {"type": "null"}]},
            },
        },
        "RecordMetaInput": {
            "type": "object",
            "description": "What is to be known about the record; null, or leaving it out, clears a member.",
            "properties": {
                "purposes": {"type": ["array", "null"], "maxItems": META_ENTRIES_MAX, "items": {"type": "string", "pattern": NAME}, "description": "Purposes, narrower than the policy's."},
                "expires_at": {"type": ["string", "null"], "format": "date-time", "description": "When it expires."},
                "source": {"type": ["string", "null"], "maxLength": META_TEXT_BYTES_MAX, "description": "Where it came from."},
                "shared_with": {"type": ["array", "null"], "maxItems": META_ENTRIES_MAX, "items": {"type": "string", "pattern": NAME}, "description": "Recipients of the policy that it was given to."},
                "category": {"type": ["string", "null"], "maxLength": META_TEXT_BYTES_MAX, "description": "A category of the controller's."},
            },
            "additionalProperties": false,
        },
        "RecordsInput": {
            "description": "One record, or several: all are appended or none.",
            "oneOf": [
                {"$ref": "#/components/schemas/RecordInput"},
                {"type": "array", "minItems": 1, "maxItems": APPEND_RECORDS_MAX, "items": {"$ref": "#/components/schemas/RecordInput"}},
            ],
        },
    })
}

/// By schema: members that replace the schema's own; `properties` go into the schema's properties.
fn overlays() -> Value {
    let passphrase = text(PASSPHRASE_CHARACTERS_MIN, PASSPHRASE_BYTES_MAX);
    let state = json!({"type": "string", "enum": ["given", "refused", "withdrawn"]});
    let kind = json!({"type": "string", "enum": ["passphrase", "recovery_key"]});
    let count = json!({"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX});
    let notice = json!([{"type": "string", "minLength": 0}, {"type": "object"}]);
    let one_secret = json!([
        {"required": ["passphrase"], "properties": {"passphrase": {"type": "string"}, "recovery_key": {"type": "null"}}},
        {"required": ["recovery_key"], "properties": {"recovery_key": {"type": "string"}, "passphrase": {"type": "null"}}},
    ]);
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    let mut all = json!({
        "AddKeySlotRequest": {
            "oneOf": [
                {"required": ["passphrase"], "properties": {"kind": {"const": "passphrase"}, "passphrase": passphrase}},
                {"properties": {"kind": {"const": "recovery_key"}, "passphrase": {"type": "null"}}},
            ],
            "properties": {"kind": kind, "label": text(0, LABEL_BYTES_MAX)},
        },
        "ApiKeyView": {
            "required": ["token", "role", "created_at", "expires_at", "revoked"],
            "properties": {"token": id("tok")},
        },
        "Appended": {
            "oneOf": [{"required": ["record"]}, {"required": ["records"]}],
            "properties": {"record": record(), "records": {"type": "array", "minItems": 1, "maxItems": APPEND_RECORDS_MAX, "items": record()}},
        },
        "AskRequest": {
            "properties": {
                "field": {"type": "string"},
                "test": {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false, "properties": {
                    "age_at_least": {"type": "integer", "minimum": 0, "maximum": 150},
                    "country_in": {"type": "array", "minItems": 1, "maxItems": 300, "items": {"type": "string", "pattern": "^[A-Z]{2}$"}},
                    "equals": {"description": "A value of the field's type, in any spelling."},
                    "last4": {"type": "string", "pattern": "^[0-9]{4}$"},
                }},
            },
        },
        "BegunSession": {"properties": {"session": id("ses"), "token": {"type": "string", "pattern": "^vs_"}}},
        "ConsentEvent": {"properties": {"consent": id("cns"), "state": state.clone(),
            "notice": {"anyOf": [notice[0].clone(), notice[1].clone(), {"type": "null"}]}}},
        "ConsentRequest": {"properties": {
            "notice": {"oneOf": notice},
            "choice": {"type": ["string", "null"], "minLength": 1, "maxLength": META_TEXT_BYTES_MAX},
            "message_id": {"type": ["string", "null"], "minLength": 1, "maxLength": META_TEXT_BYTES_MAX},
        }},
        "ConsentView": {"properties": {"state": state}},
        "CreateSubjectRequest": {"properties": {"channel": text(1, LABEL_BYTES_MAX), "user": text(1, CHANNEL_USER_BYTES_MAX)}},
        "CreatedSubject": {"properties": {"subject": id("sub")}},
        "Emergency": {"properties": {"emergency": id("emg"), "requested_by": id("tok")}},
        "EmergencyRequest": {"properties": {
            "reason": text(1, PLAIN_TEXT_BYTES_MAX),
            "fields": {"type": "array", "minItems": 1, "maxItems": SESSION_FIELDS_MAX, "items": {"type": "string"}},
            "expires_in": {"type": ["integer", "null"], "minimum": 1, "maximum": EMERGENCY_SECONDS_MAX},
        }},
        "EmergencySession": {"properties": {"emergency": id("emg"), "token": {"type": "string", "pattern": "^vs_"}}},
        "EndedSession": {"properties": {"session": id("ses"), "ended": {"const": true}}},
        "FoundSubject": {"properties": {"subject": id("sub")}},
        "Health": {"properties": {"status": {"type": "string", "enum": ["alive", "ready"]}}},
        "ImportLine": {"properties": {"line": {"type": "integer", "minimum": 0, "maximum": u64::MAX}}},
        "ImportRequest": {"properties": {"done": count.clone(), "total": count}},
        "KeySlotTest": {"required": ["slot"]},
        "KeySlotView": {"properties": {"kind": kind}},
        "LockState": {"properties": {"state": {"type": "string", "enum": ["open", "locked"]}}},
        "LookupRequest": {
            "oneOf": [
                {"required": ["channel", "user"], "properties": {"channel": {"type": "string"}, "user": {"type": "string"}, "field": {"type": "null"}, "value": {"type": "null"}}},
                {"required": ["field", "value"], "properties": {"field": {"type": "string"}, "value": {"not": {"type": "null"}}, "channel": {"type": "null"}, "user": {"type": "null"}}},
            ],
            "properties": {
                "channel": {"type": ["string", "null"], "minLength": 1, "maxLength": LABEL_BYTES_MAX},
                "user": {"type": ["string", "null"], "minLength": 1, "maxLength": CHANNEL_USER_BYTES_MAX},
                "value": {"type": ["string", "number", "boolean", "object", "array", "null"]},
            },
        },
        "PolicyView": {"properties": {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}},
        "Problem": {"properties": {
            "code": {"type": "string", "enum": codes},
            "type": {"type": "string", "pattern": "^/problems/[a-z_0-9]+$"},
            "request_id": id("call"),
            "receipt": id("rcp"),
        }},
        "RecordMeta": {"required": ["purposes", "expires_at", "source", "shared_with", "category"]},
        "RecordPage": {"required": ["records", "next"]},
        "RecordView": {
            "oneOf": [{"required": ["fields", "masked", "withheld"]}, {"required": ["_meta"]}],
            "properties": {"record": record(), "fields": {"type": "object"}, "_meta": {"$ref": "#/components/schemas/RecordMeta"}},
        },
        "RemovedKeySlot": {"properties": {"removed": {"const": true}}},
        "RevokedApiKey": {"properties": {"token": id("tok"), "revoked": {"const": true}}},
        "Session": {"properties": {"session": id("ses")}},
        "SessionRequest": {"properties": {
            "fields": {"type": "array", "minItems": 1, "maxItems": SESSION_FIELDS_MAX, "items": {"type": "string"}},
            "reads": {"type": ["integer", "null"], "minimum": 0, "maximum": SESSION_CALLS_MAX, "default": 0},
            "writes": {"type": ["integer", "null"], "minimum": 0, "maximum": SESSION_CALLS_MAX, "default": 0},
            "expires_in": {"type": ["integer", "null"], "minimum": 1, "maximum": SESSION_SECONDS_MAX, "default": SESSION_SECONDS_DEFAULT},
        }},
        "StatusView": {"properties": {"state": {"type": "string", "enum": ["open", "locked"]}, "vault": id("vlt")}},
        "SubjectView": {"properties": {"subject": id("sub"), "state": {"type": "string", "enum": ["active", "erasing"]}}},
        "UnlockRequest": {"oneOf": one_secret},
        "Written": {"properties": {"record": record()}},
    });
    all["UnlockRequest"]["properties"] = json!({
        "passphrase": {"type": ["string", "null"], "minLength": PASSPHRASE_CHARACTERS_MIN, "maxLength": PASSPHRASE_BYTES_MAX},
    });
    let rights = super::rights::overlays();
    for (name, overlay) in rights.as_object().into_iter().flatten() {
        all[name] = overlay.clone();
    }
    all
}

/// By name: what a parameter may be.
fn parameter(name: &str, within: &str) -> Option<Value> {
    Some(match (within, name) {
        ("path", "s") => {
            json!({"type": "string", "pattern": format!("^(self|sub_[0-9a-hjkmnp-tv-z]{{26}})$")})
        }
        ("path", "emg") => id("emg"),
        ("path", "inc") => id("inc"),
        ("path", "ses") => id("ses"),
        ("path", "r") => record(),
        ("path", "tok") => id("tok"),
        ("path", "rcn") => id("rcn"),
        ("path", "rcp") => id("rcp"),
        ("path", "q") => id("req"),
        ("path", "entry") => json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
        ("path", "c" | "f" | "purpose" | "stream") | ("header", "Vault-Purpose") => {
            json!({"type": "string", "pattern": NAME})
        }
        ("path", "b") => id("bak"),
        ("path", "n") => json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
        ("path", "code") => {
            let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
            json!({"type": "string", "enum": codes})
        }
        ("header", "If-Match") => {
            json!({"type": "string", "pattern": "^(\\*|\"[A-Za-z0-9_-]{1,253}\")$"})
        }
        ("header", "Idempotency-Key") =>
        // Blanks around it are no part of a header's value.
        {
            json!({"type": "string", "pattern": "^[ -~]*[!-~][ -~]*$", "minLength": 1, "maxLength": 255})
        }
        ("header", "Vault-Restricted-Use") => {
            let uses: Vec<_> = RestrictedUse::ALL.iter().map(|one| one.name()).collect();
            json!({"type": "string", "enum": uses})
        }
        ("query", "actor") => id("tok"),
        ("query", "subject") => id("sub"),
        ("query", "since" | "until") => json!({"type": "string", "format": "date-time"}),
        ("query", "last") => {
            json!({"type": "integer", "minimum": 1, "maximum": AUDIT_PAGE_MAX, "default": AUDIT_PAGE_DEFAULT})
        }
        ("query", "meta") => json!({"type": "string", "enum": ["with", "only"], "default": "with"}),
        ("query", "order") => {
            json!({"type": "string", "enum": ["oldest", "newest"], "default": "oldest"})
        }
        ("query", "limit") => {
            json!({"type": "integer", "minimum": 1, "maximum": PAGE_RECORDS_MAX, "default": 100})
        }
        ("query", "fields") => {
            json!({"type": "string", "pattern": "^[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*$"})
        }
        ("query", "form") => {
            json!({"type": "string", "enum": ["source", "effective"], "default": "source"})
        }
        ("query", "dry_run") => json!({"type": "boolean", "default": false}),
        ("query", "lang") => {
            json!({"type": "string", "pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"})
        }
        _ => return None,
    })
}

/// Gives a parameter its schema, where one stands here.
pub(super) fn tighten_parameter(declared: &mut Value) {
    let (name, within) = (declared["name"].as_str(), declared["in"].as_str());
    if let Some(schema) = parameter(name.unwrap_or_default(), within.unwrap_or_default()) {
        declared["schema"] = schema;
    }
}

fn lay_over(schema: &mut Value, overlay: &Value) {
    let members = overlay.as_object().into_iter().flatten();
    for (name, member) in members {
        if name != "properties" {
            schema[name] = member.clone();
            continue;
        }
        for (property, constraint) in member.as_object().into_iter().flatten() {
            let described = schema["properties"][property].get("description").cloned();
            schema["properties"][property] = constraint.clone();
            if let Some(text) = described {
                schema["properties"][property]["description"] = text;
            }
        }
    }
}

/// Lays everything here over a generated document.
pub(super) fn tighten(document: &mut Value) {
    let bodies = record_bodies(document);
    for (path, method) in bodies {
        let wanted = if method == "post" {
            "RecordsInput"
        } else {
            "RecordInput"
        };
        let content = document["paths"][&path][method]["requestBody"]["content"].as_object_mut();
        for (_, content) in content.into_iter().flatten() {
            content["schema"] = json!({"$ref": format!("#/components/schemas/{wanted}")});
        }
    }
    let mut requests = Vec::new();
    for (_, _, operation) in super::operations(document) {
        collect_references(&operation["requestBody"], &mut requests);
    }
    let schemas = document["components"]["schemas"]
        .as_object_mut()
        .expect("there are schemas");
    schemas.extend(as_map(added()));
    for (name, overlay) in as_map(overlays()) {
        if let Some(schema) = schemas.get_mut(&name) {
            lay_over(schema, &overlay);
        }
    }
    for name in requests {
        if let Some(schema) = schemas.get_mut(&name)
            && schema["type"] == "object"
            && !matches!(&*name, "RecordInput")
        {
            schema["additionalProperties"] = Value::Bool(false);
        }
    }
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn record_bodies(document: &Value) -> Vec<(String, &'static str)> {
    super::operations(document)
        .filter(|(path, _, operation)| {
            path.starts_with("/v1/subjects/{s}/records/{c}")
                && operation.get("requestBody").is_some()
        })
        .filter(|(_, _, operation)| {
            operation["requestBody"]["content"]["application/json"]["schema"]["type"] == "object"
        })
        .map(|(path, method, _)| (path.to_owned(), method))
        .collect()
}

/// Names of the schemas that a body is directly one of.
fn collect_references(node: &Value, names: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            for (name, member) in members {
                match member
                    .as_str()
                    .and_then(|text| text.strip_prefix("#/components/schemas/"))
                {
                    Some(found) if name == "$ref" => names.push(found.to_owned()),
                    _ => collect_references(member, names),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::{openapi, operations};

    #[test]
    fn every_overlay_names_a_schema_and_its_members() {
        let document = openapi();
        for (name, overlay) in as_map(overlays()) {
            let schema = &document["components"]["schemas"][&name];
            assert!(schema.is_object(), "{name} is no schema");
            let generated = documented_properties(&name);
            for (property, _) in overlay["properties"].as_object().into_iter().flatten() {
                assert!(generated.contains(property), "{name} has no {property}");
            }
        }
    }

    fn documented_properties(name: &str) -> Vec<String> {
        let made = crate::routes::documented().into_openapi();
        let made = serde_json::to_value(made).expect("serialises");
        let properties = made["components"]["schemas"][name]["properties"].clone();
        as_map(properties)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn every_request_with_fixed_members_is_closed_and_every_answer_is_open() {
        let document = openapi();
        let schemas = &document["components"]["schemas"];
        for (path, method, operation) in operations(&document) {
            let mut requests = Vec::new();
            collect_references(&operation["requestBody"], &mut requests);
            for name in requests {
                // Bytes have no members.
                if schemas[&name]["type"] == "string" {
                    continue;
                }
                let closed = schemas[&name]["additionalProperties"] == false;
                assert_eq!(
                    closed,
                    !name.starts_with("Record"),
                    "{method} {path}: {name}"
                );
            }
            let mut answers = Vec::new();
            collect_references(&operation["responses"], &mut answers);
            for name in answers {
                let open = schemas[&name].get("additionalProperties").is_none();
                assert!(open, "{method} {path}: {name}");
            }
        }
    }
}

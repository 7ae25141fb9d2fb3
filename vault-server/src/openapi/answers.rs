//! Which statuses each operation answers, with which problem codes and headers.
//!
//! Most follow from path, method and body; what does not is in [`MORE`]. The tests of the API hold
//! every answer to what stands here, so a status that is missing does not stay missing.

use serde_json::{Map, Value, json};

use super::moves_values;
use crate::code::Code;
use crate::problem::PROBLEM_JSON;

/// What proving an unlock secret may answer.
const OPENING: &[Code] = &[
    Code::AnchorUnavailable,
    Code::Conflict,
    Code::Internal,
    Code::Locked,
    Code::Overloaded,
    Code::RateLimited,
    Code::RoleDenied,
    Code::Unauthenticated,
];
/// What an operation may answer beyond what follows from its path, method and body.
const MORE: &[(&str, &[Code])] = &[
    ("ask", &[Code::RateLimited]),
    ("backup_deleted", &[Code::Conflict]),
    ("begin_keyholder", OPENING),
    ("breach_scope", &[Code::NotFound]),
    ("begin_session", &[Code::PurposeDenied]),
    ("create_subject", &[Code::Erased]),
    (
        "lookup_subject",
        &[Code::Ambiguous, Code::Erased, Code::NotFound],
    ),
    ("add_key_slot", &[Code::NotFound]),
    ("end_keyholder", &[Code::NotFound]),
    (
        "current_notice",
        &[
            Code::Internal,
            Code::Invalid,
            Code::Locked,
            Code::OutcomeUnknown,
            Code::Overloaded,
        ],
    ),
    ("lookup_pseudonym", &[Code::Held, Code::NotFound]),
    ("put_hold", &[Code::Conflict]),
    ("approve_request", &[Code::Held]),
    // Of fields that are only to be stored.
    ("record_decision", &[Code::Restricted]),
    ("step_decision", &[Code::Held]),
    ("release_hold", &[Code::TooLarge]),
    ("lift_restriction", &[Code::Conflict, Code::TooLarge]),
    ("end_objection", &[Code::TooLarge]),
    ("end_emergency", &[Code::Conflict, Code::TooLarge]),
    ("put_contract_end", &[Code::Conflict, Code::PurposeDenied]),
    (
        "resume_contract",
        &[Code::Conflict, Code::PurposeDenied, Code::TooLarge],
    ),
    ("put_objection", &[Code::Conflict]),
    ("suppress", &[Code::NotFound]),
    ("list_keys", &[Code::Erased, Code::NotFound]),
    ("rotate_keys", &[Code::Erased, Code::NotFound]),
    ("delete_blob", &[Code::Conflict]),
    ("delete_record_blob", &[Code::Conflict]),
    ("head_blob", &[Code::Conflict, Code::RangeNotSatisfiable]),
    (
        "head_record_blob",
        &[Code::Conflict, Code::RangeNotSatisfiable],
    ),
    ("patch_record", &[Code::Conflict]),
    ("patch_single", &[Code::Conflict]),
    (
        "privacy",
        &[
            Code::Invalid,
            Code::Locked,
            Code::OutcomeUnknown,
            Code::Internal,
            Code::Overloaded,
        ],
    ),
    (
        "privacy_statement",
        &[
            Code::Invalid,
            Code::Locked,
            Code::OutcomeUnknown,
            Code::Internal,
            Code::Overloaded,
        ],
    ),
    ("put_consent", &[Code::Conflict]),
    ("read_consent", &[Code::Conflict]),
    ("consent_receipt", &[Code::Conflict]),
    ("put_blob", &[Code::Conflict]),
    ("put_record_blob", &[Code::Conflict]),
    ("count_records", &[Code::NotFound]),
    ("query_records", &[Code::NotFound]),
    ("purge_records", &[Code::NotFound]),
    ("read_audit", &[Code::Erased, Code::NotFound]),
    ("read_blob", &[Code::Conflict, Code::RangeNotSatisfiable]),
    (
        "read_log_key",
        &[
            Code::Internal,
            Code::Invalid,
            Code::Locked,
            Code::OutcomeUnknown,
            Code::Overloaded,
        ],
    ),
    (
        "read_record_blob",
        &[Code::Conflict, Code::RangeNotSatisfiable],
    ),
    // As a read of these fields is refused.
    (
        "record_disclosure",
        &[
            Code::ConsentRequired,
            Code::NoLawfulBasis,
            Code::PurposeDenied,
            Code::Restricted,
        ],
    ),
    (
        "readyz",
        &[
            Code::Locked,
            Code::OutcomeUnknown,
            Code::Internal,
            Code::Overloaded,
        ],
    ),
    (
        "read_log",
        &[
            Code::Erased,
            Code::Held,
            Code::PurposeDenied,
            Code::PurposeMissing,
            Code::Restricted,
        ],
    ),
    ("remove_key_slot", &[Code::Conflict]),
    ("unlock", OPENING),
    ("update_records", &[Code::NotFound]),
    ("withdraw_consent", &[Code::Conflict, Code::TooLarge]),
];
/// Answered from what is at hand, without reading a header.
const PLAIN: [&str; 5] = ["docs", "healthz", "openapi", "problems", "readyz"];
/// What has to do with somebody who is erased but for what a legal hold keeps, too.
const OF_WHAT_IS_HELD: [&str; 10] = [
    "create_request",
    "erase_subject",
    "export_subject",
    "list_decisions",
    "list_requests",
    "put_hold",
    "read_access",
    "read_hold",
    "release_hold",
    "view_subject",
];
/// POST that changes nothing on the disk.
const ASKING: [&str; 12] = [
    "count_records",
    "breach_draft",
    "breach_scope",
    "deliver_notice",
    "confirm_request",
    "end_keyholder",
    "lock",
    "lookup_pseudonym",
    "lookup_subject",
    "make_key_shares",
    "test_key_slot",
    "verify_log",
];
/// POST whose answer is made anew each time, or shown once: it is never replayed.
const NEVER_REPLAYED: &[&str] = &[
    "add_key_slot",
    "approve_request",
    "ask",
    "begin_keyholder",
    "begin_session",
    "count_records",
    "confirm_request",
    "create_api_key",
    "deliver_notice",
    "dialogue_turn",
    "export_subject",
    "import_lines",
    "lock",
    "lookup_pseudonym",
    "lookup_subject",
    "make_key_shares",
    "breach_draft",
    "breach_scope",
    "purge_records",
    "query_records",
    "rotate_api_key",
    "take_emergency",
    "run_retention",
    "suppress",
    "step_decision",
    "step_request",
    "test_key_slot",
    "unlock",
    "update_records",
    "verify_log",
];
/// Where a success carries the record's revision, and whether always.
const REVISION: &[(&str, bool)] = &[
    ("head_blob", true),
    ("head_record_blob", true),
    ("patch_record", true),
    ("patch_single", true),
    ("put_blob", true),
    ("put_record_blob", true),
    ("read_blob", true),
    ("read_record", true),
    ("read_record_blob", true),
    ("read_records", false),
];
/// Where a 201 says where the new thing is found, and whether always.
const LOCATION: &[(&str, bool)] = &[
    ("append_records", false),
    ("create_api_key", true),
    ("note_incident", true),
    ("create_subject", true),
    ("rotate_api_key", true),
];
/// Where a success depends on language or media type asked for.
const NEGOTIATED: [&str; 4] = [
    "current_notice",
    "privacy",
    "privacy_statement",
    "processing_records",
];

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().unwrap_or_default()
}

/// Whether the operation takes no call without a bearer.
pub(super) fn authenticated(operation: &Value) -> bool {
    operation["security"].as_array().is_none_or(|ways| {
        ways.iter()
            .all(|way| way.as_object().is_some_and(|names| !names.is_empty()))
    })
}

/// The codes of an operation.
fn codes(path: &str, method: &str, operation: &Value) -> Vec<Code> {
    use Code::{
        AnchorUnavailable, Conflict, ConsentRequired, DiskFull, Erased, Held, IdempotencyMismatch,
        Internal, Invalid, Locked, Malformed, NoLawfulBasis, NotFound, NoticeRequired, NoticeStale,
        OutcomeUnknown, Overloaded, PreconditionFailed, PurposeDenied, PurposeMissing, RateLimited,
        Restricted, RoleDenied, TooLarge, Unauthenticated, UnsupportedMediaType,
    };
    let id = id(operation);
    let mut codes = Vec::new();
    let mut add = |when: bool, more: &[Code]| {
        if when {
            codes.extend_from_slice(more);
        }
    };
    let bearer = authenticated(operation);
    let optional = operation["security"]
        .as_array()
        .is_some_and(|ways| ways.len() > 1)
        && !bearer;
    let values = moves_values(path);
    let reads = matches!(method, "get" | "head");
    add(!PLAIN.contains(&id), &[Malformed]);
    add(
        bearer || optional,
        &[
            Unauthenticated,
            Locked,
            Internal,
            OutcomeUnknown,
            Overloaded,
            RateLimited,
        ],
    );
    add(bearer, &[RoleDenied]);
    add(matches!(method, "post" | "put" | "patch"), &[TooLarge]);
    add(
        operation.get("requestBody").is_some(),
        &[UnsupportedMediaType, Invalid],
    );
    // Of these the query is checked.
    add(
        (bearer || optional) && matches!(method, "get" | "head" | "delete")
            || id == "run_retention",
        &[Invalid],
    );
    add(path.contains('{'), &[NotFound]);
    add(path.contains("{s}"), &[Erased]);
    add(
        path.contains("{s}") && !OF_WHAT_IS_HELD.contains(&id),
        &[Held],
    );
    let many = path.starts_with("/v1/records/");
    add(values, &[PurposeMissing, PurposeDenied]);
    add(values && method != "delete", &[ConsentRequired]);
    // Of many people, those with whom it is so are skipped.
    add(values && !many, &[Restricted]);
    add(values && !many && method != "delete", &[NoLawfulBasis]);
    add(
        (path.contains("/records/{") || path.contains("/blobs/")) && !reads && method != "delete",
        &[NoticeRequired, NoticeStale],
    );
    add(
        path.contains("/records/{") && matches!(method, "patch" | "delete")
            || path.contains("/blobs/") && matches!(method, "put" | "delete"),
        &[PreconditionFailed],
    );
    add(bearer && method == "post", &[Conflict, IdempotencyMismatch]);
    // A read with a session's token counts, and that is a write.
    add(values && reads, &[DiskFull]);
    add(
        bearer && !reads && !ASKING.contains(&id),
        &[AnchorUnavailable, DiskFull],
    );
    for (named, more) in MORE {
        add(*named == id, more);
    }
    codes.sort_by_key(|code| (code.status(), code.name()));
    codes.dedup();
    codes
}

/// Adds the refusals of an operation, and the headers of its success. Equal refusals are one
/// component, named for their status and codes.
pub(super) fn complete(
    path: &str,
    method: &str,
    operation: &mut Value,
    shared: &mut Map<String, Value>,
) {
    let codes = codes(path, method, operation);
    let id = id(operation).to_owned();
    let responses = operation["responses"]
        .as_object_mut()
        .expect("an operation has responses");
    for (status, response) in responses.iter_mut() {
        response["headers"] = Value::Object(success_headers(&id, method, status));
    }
    for same in codes.chunk_by(|one, other| one.status() == other.status()) {
        let status = same[0].status();
        let names: Vec<_> = same.iter().map(|code| code.name()).collect();
        let name = format!("{status}.{}", names.join("."));
        responses.insert(
            status.to_string(),
            json!({"$ref": format!("#/components/responses/{name}")}),
        );
        shared.entry(name).or_insert_with(|| refusal(status, same));
    }
    if id == "privacy" {
        // Whoever came for a page gets one, also while there is nothing to tell.
        let mut waiting = refusal(
            503,
            &codes[codes.partition_point(|code| code.status() < 503)..],
        );
        waiting["content"]["text/html"] = json!({"schema": {"type": "string"}});
        waiting["headers"]["Content-Language"] = reference("ContentLanguage", false);
        waiting["headers"]["Vary"] = reference("Vary", false);
        responses.insert("503".to_owned(), waiting);
    }
}

fn reference(name: &str, always: bool) -> Value {
    // A header that may be missing is another component: `required` cannot stand beside `$ref`.
    let name = if always {
        name.to_owned()
    } else {
        format!("Maybe{name}")
    };
    json!({"$ref": format!("#/components/headers/{name}")})
}

fn success_headers(id: &str, method: &str, status: &str) -> Map<String, Value> {
    let mut headers = Map::new();
    headers.insert("Request-Id".to_owned(), reference("RequestId", true));
    if let Some((_, always)) = REVISION.iter().find(|(named, _)| *named == id) {
        headers.insert("ETag".to_owned(), reference("ETag", *always));
    }
    if let Some((_, always)) = LOCATION.iter().find(|(named, _)| *named == id)
        && status == "201"
    {
        headers.insert("Location".to_owned(), reference("Location", *always));
    }
    if method == "post" && !NEVER_REPLAYED.contains(&id) {
        let replayed = reference("IdempotentReplayed", false);
        headers.insert("Idempotent-Replayed".to_owned(), replayed);
    }
    if NEGOTIATED.contains(&id) {
        headers.insert(
            "Content-Language".to_owned(),
            reference("ContentLanguage", true),
        );
        headers.insert("Vary".to_owned(), reference("Vary", true));
    }
    headers
}

fn refusal(status: u16, codes: &[Code]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
    let words: Vec<_> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.name(), code.title()))
        .collect();
    let mut headers = Map::new();
    headers.insert("Request-Id".to_owned(), reference("RequestId", true));
    if codes.iter().any(|code| code.retryable()) {
        let always = codes.iter().all(|code| code.retryable());
        let always = always && status != 429;
        headers.insert("Retry-After".to_owned(), reference("RetryAfter", always));
    }
    if status == 401 {
        headers.insert(
            "WWW-Authenticate".to_owned(),
            reference("WwwAuthenticate", true),
        );
    }
    let mut content = Map::new();
    content.insert(
        PROBLEM_JSON.to_owned(),
        json!({"schema": {
            "allOf": [{"$ref": "#/components/schemas/Problem"}],
            "properties": {"status": {"const": status}, "code": {"enum": names}},
        }}),
    );
    json!({"description": words.join(". "), "headers": headers, "content": content})
}

/// The headers that answers refer to.
pub(super) fn headers() -> Value {
    let all = [
        (
            "ContentLanguage",
            "The language of the answer",
            json!({"type": "string"}),
        ),
        (
            "ETag",
            "The record's revision, for `If-Match`",
            json!({"type": "string", "pattern": "^\"[A-Za-z0-9_-]+\"$"}),
        ),
        (
            "IdempotentReplayed",
            "`true`: this answer was given before",
            json!({"const": "true"}),
        ),
        (
            "Location",
            "Where the new thing is found",
            json!({"type": "string", "pattern": "^/v1/"}),
        ),
        (
            "RequestId",
            "The call's id in log and evidence",
            json!({"type": "string", "pattern": super::schemas::id_pattern("call", 26)}),
        ),
        (
            "RetryAfter",
            "Seconds after which the same call may succeed",
            json!({"type": "integer", "minimum": 1}),
        ),
        (
            "Vary",
            "What the answer depends on",
            json!({"type": "string"}),
        ),
        (
            "WwwAuthenticate",
            "How to say who calls",
            json!({"const": "Bearer"}),
        ),
    ];
    let mut headers = Map::new();
    for (name, what, schema) in all {
        for (name, required) in [(name.to_owned(), true), (format!("Maybe{name}"), false)] {
            headers.insert(
                name,
                json!({"description": what, "required": required, "schema": schema}),
            );
        }
    }
    Value::Object(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::{openapi, operations};

    #[test]
    fn every_name_in_the_tables_is_an_operation() {
        let document = openapi();
        let known: Vec<_> = operations(&document)
            .map(|(_, _, one)| id(one).to_owned())
            .collect();
        let tables = MORE
            .iter()
            .map(|(name, _)| *name)
            .chain(PLAIN)
            .chain(ASKING)
            .chain(NEVER_REPLAYED.iter().copied())
            .chain(REVISION.iter().map(|(name, _)| *name))
            .chain(LOCATION.iter().map(|(name, _)| *name))
            .chain(NEGOTIATED);
        for name in tables {
            assert!(
                known.iter().any(|known| known == name),
                "{name} is no operation"
            );
        }
    }

    #[test]
    fn a_call_without_a_bearer_lists_no_capability_and_one_with_a_person_lists_410() {
        let document = openapi();
        for (path, method, operation) in operations(&document) {
            let lists = |status: &str| operation["responses"].get(status).is_some();
            assert_eq!(
                lists("410"),
                path.contains("{s}")
                    || id(operation) == "create_subject"
                    || [
                        "list_keys",
                        "lookup_subject",
                        "read_audit",
                        "read_log",
                        "rotate_keys",
                    ]
                    .contains(&id(operation)),
                "{method} {path}"
            );
            if authenticated(operation) {
                assert!(
                    lists("401") && lists("403") && lists("503"),
                    "{method} {path}"
                );
            } else if !matches!(id(operation), "begin_keyholder" | "unlock") {
                assert!(!lists("403"), "{method} {path}");
            }
        }
    }
}

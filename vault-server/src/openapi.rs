//! The OpenAPI document, made from the handlers.
//!
//! Knows nothing of how calls are answered. What many operations share is added here once, so that
//! no handler can forget it: path parameters and headers here, statuses and problem codes in
//! `answers`, lengths, patterns and what else a Rust type does not say in `schemas`, bodies to start
//! from in `examples`.

mod answers;
mod examples;
mod rights;
mod schemas;

use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{ProblemBody, ProblemPlace};
use crate::routes::documented;
use crate::urls;

/// Methods in the order in which they are shown.
const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

/// Every tag, in the order in which a reader needs them.
const TAGS: &[(&str, &str)] = &[
    (
        "state",
        "Whether the server lives and the vault is open; opening and locking it",
    ),
    (
        "subjects",
        "People: get or create, find, view without values, erase",
    ),
    (
        "records",
        "What is stored of a person, and questions about it that show no value",
    ),
    (
        "blobs",
        "Photographs, voice messages, documents: bytes in a field",
    ),
    (
        "batch",
        "Many operations in one call, all or nothing for each person",
    ),
    ("bulk", "Records of many people, by their metadata"),
    (
        "sessions",
        "A token for one conversation, good for one person",
    ),
    ("consents", "What a person agreed to, refused or withdrew"),
    ("contracts", "When a person's contracts ended"),
    (
        "pseudonyms",
        "Names for a person that no two recipients share, and whom they stand for",
    ),
    ("notices", "What a person has to be told, and was told"),
    (
        "recipients",
        "What recipients were given, and what they are told (Art. 19 GDPR)",
    ),
    ("objections", "What a person objects to (Art. 21 GDPR)"),
    (
        "requests",
        "What people ask for under Chapter III GDPR, and what became of it",
    ),
    (
        "decisions",
        "Decisions about people that a machine takes or prepares, and their review by a human (Art. 22 GDPR)",
    ),
    (
        "hold",
        "Legal holds: what an erasure leaves, for legal claims alone (Art. 17(3))",
    ),
    (
        "emergencies",
        "More than a role shows, because another has agreed, and everybody is told",
    ),
    (
        "restriction",
        "Data that are stored and nothing else (Art. 18 GDPR)",
    ),
    (
        "statement",
        "What the policy in force says to the public and to an authority",
    ),
    (
        "evidence",
        "What was done, by whom and what for, and the proof that it was not rewritten",
    ),
    (
        "admin",
        "Policy, API keys, key slots, rotation of keys, retention",
    ),
    (
        "incidents",
        "Personal data breaches: the register, who is affected, what is told (Art. 33 and 34)",
    ),
    (
        "logs",
        "Lines of other programs' logs: looked through, kept for days, purged",
    ),
    ("contract", "This API, described by itself"),
];

const PATH_PARAMETERS: &[(&str, &str)] = &[
    (
        "s",
        "The person's id, `sub_…`; `self` for the person of a session",
    ),
    ("inc", "The incident's name, `inc_…`"),
    (
        "step",
        "Of an incident `assessed`, `authority_notified`, `people_notified` or `closed`; of a request `cancel`, `clarify`, `extend`, `identity`, `refuse` or `review`; of a decision `effect`, `contest`, `begin` or `decide`",
    ),
    ("emg", "The emergency's name, `emg_…`"),
    ("ses", "The session's name, `ses_…`"),
    ("c", "Name of a collection of the policy"),
    ("r", "The record's id, `rec_…`"),
    ("f", "Name of a field of type `blob`"),
    ("purpose", "Name of a purpose of the policy"),
    ("tok", "Public name of an API key, `tok_…`"),
    ("n", "Number of a key slot, or of a job"),
    ("b", "The backup's id, `bak_…`"),
    ("entry", "Number of an entry of the log, from 0"),
    ("rcn", "The notice's id, `rcn_…`"),
    ("rcp", "The receipt's id, `rcp_…`"),
    ("q", "The request's id, `req_…`"),
    ("stream", "Name of a stream of logs of the policy"),
    ("d", "The decision's id, `dec_…`"),
    ("code", "A problem code"),
];

/// The document without its paths.
pub(crate) fn frame() -> OpenApi {
    let bearer = |form| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        SecurityScheme::Http(scheme.bearer_format(form).build())
    };
    let components = ComponentsBuilder::new()
        .schema("Problem", ProblemBody::schema())
        .schema(ProblemPlace::name(), ProblemPlace::schema())
        .security_scheme("api_key", bearer("vk_…"))
        .security_scheme("session", bearer("vs_…"))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Vault")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "An encrypted store for the personal data that chatbots collect. No path and no query carries a personal value.",
                ))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
                .build(),
        )
        .components(Some(components))
        .security(Some([SecurityRequirement::new(
            "api_key",
            Vec::<String>::new(),
        )]))
        .build()
}

/// The OpenAPI 3.1 document of this API.
#[must_use]
pub fn openapi() -> Value {
    let made = documented().into_openapi();
    let mut document = serde_json::to_value(made).expect("the document serialises");
    document["servers"] =
        json!([{"url": "/", "description": "The server that gave this document"}]);
    let mut shared = Map::new();
    let mut used = Vec::new();
    let paths = document["paths"].as_object_mut().expect("there are paths");
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method) {
                used.push(operation["tags"][0].as_str().unwrap_or_default().to_owned());
                complete(path, method, operation);
                answers::complete(path, method, operation, &mut shared);
                examples::complete(operation);
            }
        }
    }
    let tags = TAGS
        .iter()
        .filter(|(name, _)| used.iter().any(|tag| tag == name));
    document["tags"] = tags
        .map(|(name, what)| json!({"name": name, "description": what}))
        .collect();
    schemas::tighten(&mut document);
    document["components"]["responses"] = Value::Object(shared);
    document["components"]["headers"] = answers::headers();
    document
}

/// The document as indented JSON with a last line end, as it is committed and served.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = serde_json::to_string_pretty(&openapi()).expect("the document serialises");
        text.push('\n');
        text
    })
}

/// The operations of a document with path and method, by path.
pub(crate) fn operations(document: &Value) -> impl Iterator<Item = (&str, &'static str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let found = move |method| Some((path.as_str(), method, item.get(method)?));
        METHODS.into_iter().filter_map(found)
    })
}

/// Whether the call moves values, and so states a purpose.
fn moves_values(path: &str) -> bool {
    let many = [
        urls::RECORDS_COUNT,
        urls::RECORDS_QUERY,
        urls::RECORDS_UPDATE,
        urls::RECORDS_PURGE,
    ];
    path.contains("/records/{")
        || path.contains("/blobs/")
        || path.ends_with("/ask")
        || path.contains("/pseudonyms")
        || many.contains(&path)
}

/// Adds the parameters that follow from path and method, and the bearers that open it.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let mut parameters: Vec<Value> = PATH_PARAMETERS
        .iter()
        .filter(|(name, _)| path.contains(&format!("{{{name}}}")))
        .map(|(name, what)| parameter(name, "path", what))
        .collect();
    if moves_values(path) {
        parameters.push(parameter(
            "Vault-Purpose",
            "header",
            "What the call is for: a purpose of the policy. Needed unless the bearer is that of a session, which implies it",
        ));
        parameters.push(parameter(
            "Vault-Restricted-Use",
            "header",
            "What restricted data are used for all the same (Art. 18(2) GDPR), if the policy allows the role that",
        ));
        operation["security"] = json!([{"api_key": []}, {"session": []}]);
    }
    if path == urls::LOG && method == "get" {
        parameters.push(parameter(
            "Vault-Purpose",
            "header",
            "Of a stream whose lines are kept whole, and needed there: the stream's purpose",
        ));
    }
    if path == urls::SUBJECT_EXPORT {
        operation["security"] = json!([{"api_key": []}, {"session": []}]);
    }
    let guarded = path.contains("/records/{") && matches!(method, "patch" | "delete");
    if guarded || path.contains("/blobs/") && matches!(method, "put" | "delete") {
        parameters.push(parameter(
            "If-Match",
            "header",
            "The revision that `ETag` gave; `*`: the record must exist",
        ));
    }
    if method == "post" && answers::authenticated(operation) {
        parameters.push(parameter(
            "Idempotency-Key",
            "header",
            "At most 255 visible ASCII characters; a success is remembered for 24 h",
        ));
    }
    if let Some(own) = operation["parameters"].as_array() {
        parameters.extend(own.iter().cloned());
    }
    for parameter in &mut parameters {
        schemas::tighten_parameter(parameter);
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
}

fn parameter(name: &str, within: &str, what: &str) -> Value {
    json!({"name": name, "in": within, "description": what, "required": within == "path",
        "schema": {"type": "string"}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_committed_document_is_the_one_that_the_code_makes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, text()).expect("docs can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("docs/openapi.json is there");
        assert!(
            committed == text(),
            "docs/openapi.json is old: run the test with UPDATE_OPENAPI=1"
        );
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document = openapi();
        let mut missing = Vec::new();
        visit(&document, &mut |reference| {
            let pointer = reference.trim_start_matches('#');
            if document.pointer(pointer).is_none() {
                missing.push(reference.to_owned());
            }
        });
        assert_eq!(missing, Vec::<String>::new());
    }

    fn visit(node: &Value, found: &mut impl FnMut(&str)) {
        match node {
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member.as_str()) {
                        ("$ref", Some(reference)) => found(reference),
                        _ => visit(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| visit(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_has_a_name_a_tag_that_is_explained_and_its_path_parameters() {
        let document = openapi();
        let mut names = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            let parameters = operation["parameters"].as_array();
            let within_path = parameters
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .count();
            assert_eq!(within_path, path.matches('{').count(), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            assert!(
                TAGS.iter().any(|(name, _)| *name == tag),
                "{method} {path}: explain the tag `{tag}` in TAGS"
            );
            assert!(names.insert(operation["operationId"].to_string()), "{path}");
        }
    }

    #[test]
    fn the_document_names_no_other_host_than_its_own() {
        for found in text().split("http").skip(1) {
            assert!(
                !found.starts_with("://") && !found.starts_with("s://"),
                "{found:.40}"
            );
        }
    }

    #[test]
    fn every_operation_answers_its_success_and_no_unnamed_status() {
        let document = openapi();
        for (path, method, operation) in operations(&document) {
            let statuses: Vec<_> = operation["responses"]
                .as_object()
                .into_iter()
                .flatten()
                .collect();
            assert!(
                statuses.iter().any(|(status, _)| status.starts_with('2')),
                "{method} {path}"
            );
            for (status, _) in statuses {
                assert!(status.parse::<u16>().is_ok(), "{method} {path}: {status}");
            }
        }
    }
}

//! Bodies to start from. Everybody in them is invented.

use serde_json::{Value, json};

/// A request body, and the answer to it, by operation.
fn examples(operation: &str) -> Option<(Value, Value)> {
    let subject = "sub_0c5f3kq2m9x7v1n8r4t6w0y2za";
    Some(match operation {
        "create_subject" => (
            json!({"channel": "web", "user": "u-1"}),
            json!({"subject": subject, "created": true}),
        ),
        "count_records" => (
            json!({"collection": "profile", "by": [{"field": "birth", "width": 10}]}),
            json!({"collection": "profile", "k": 10, "rounded": true, "total": 470, "groups": [
                {"by": [{"from": 1980, "below": 1990}], "people": 270},
                {"by": [{"from": 1990, "below": 2000}], "people": 190},
            ], "withheld": false}),
        ),
        "issue_pseudonym" => (
            json!({"recipient": "carrier"}),
            json!({"pseudonym": "psn_0c5f3kq2m9x7v1n8r4t6w0y2za", "created": true}),
        ),
        "lookup_pseudonym" => (
            json!({"pseudonym": "psn_0c5f3kq2m9x7v1n8r4t6w0y2za"}),
            json!({"subject": subject}),
        ),
        "lookup_subject" => (
            json!({"field": "profile.email", "value": "ann@example.test"}),
            json!({"subject": subject}),
        ),
        "patch_single" => (
            json!({"name": "Ann Example", "phone": null}),
            json!({"etag": "q7Xb2fJmT0uYwE1r5sK9Zg"}),
        ),
        "append_records" => (
            json!({"text": "hello"}),
            json!({"record": "rec_000esj0000000b1d6m2q8x4n7v3t9r5w0yk2zch"}),
        ),
        "patch_record" => (
            json!({"text": "hello again"}),
            json!({"record": "rec_000esj0000000b1d6m2q8x4n7v3t9r5w0yk2zch",
                "etag": "q7Xb2fJmT0uYwE1r5sK9Zg", "final_by": "2026-11-26T12:00:00Z"}),
        ),
        "import_lines" => (
            json!({"import": "spring-2026", "lines": [
                {"line": 1, "channel": "web", "user": "u-1", "collection": "profile",
                 "record": {"name": "Ann Example", "_meta": {"source": "crm"}}, "purpose": "support"},
                {"line": 2, "channel": "web", "user": "u-1",
                 "consent": {"purpose": "newsletter", "state": "given", "notice": "v1"}},
            ], "last": true}),
            json!({"written": 2, "repeated": 0, "records": [
                {"line": 1, "subject": subject, "record": null, "files": {}},
                {"line": 2, "subject": subject, "record": null, "files": {}},
            ], "errors": []}),
        ),
        "dialogue_turn" => (
            json!({"channel": "web", "user": "u-1", "message_id": "m-7", "text": "no more advertising please",
                "locale": "en", "private": true}),
            json!({"handled": true, "state": "done", "messages": [{
                "text": "Done. From now on we do not use your data for advertising. Everything else goes on as before.",
                "choices": [{"id": "c_4kq2m7xav5n3r6t2w7y5zbcdea", "label": "See my choices"}]}],
                "expect": {"kind": "choice", "sensitive": false}, "language": "en"}),
        ),
        "ask" => (
            json!({"field": "profile.birth", "test": {"age_at_least": 18}}),
            json!({"answer": true}),
        ),
        "begin_session" => (
            json!({"purpose": "support", "fields": ["profile.name", "messages.*"],
                "reads": 20, "writes": 20, "expires_in": 900}),
            json!({"session": "ses_0c5f3kq2m9x7v1n8r4t6w0y2za", "token": "vs_…",
                "expires_at": "2026-11-25T12:15:00Z"}),
        ),
        "put_consent" => (
            json!({"given": true, "notice": "v1", "choice": "Yes", "message_id": "m-7", "valid": "P2Y"}),
            json!({"consent": "cns_0c5f3kq2m9x7v1n8r4t6w0y2za", "state": "given",
                "at": "2026-11-25T12:00:00Z", "notice": "v1", "choice": "Yes", "message_id": "m-7",
                "actor": "self", "type": "regular", "valid": "P2Y", "valid_until": "2028-11-25T12:00:00Z",
                "receipt": format!("/v1/subjects/{subject}/consents/newsletter/receipt")}),
        ),
        "unlock" => (
            json!({"passphrase": "correct horse battery staple"}),
            json!({"state": "open"}),
        ),
        "create_api_key" => (
            json!({"role": "bot", "expires_at": "2030-01-31T12:00:00Z"}),
            json!({"token": "tok_0c5f3kq2m9x7v1n8r4t6w0y2za", "role": "bot",
                "created_at": "2026-11-25T12:00:00Z", "expires_at": "2030-01-31T12:00:00Z",
                "revoked": false, "secret": "vk_…"}),
        ),
        "add_key_slot" => (
            json!({"kind": "recovery_key", "label": "safe"}),
            json!({"slot": 2, "kind": "recovery_key", "label": "safe",
                "created_at": "2026-11-25T12:00:00Z", "recovery_key": "…"}),
        ),
        "make_key_shares" => (
            json!({"threshold": 2, "shares": 3}),
            json!({"threshold": 2, "shares": ["…", "…", "…"]}),
        ),
        "rotate_keys" => (
            json!({"scope": "root"}),
            json!({"scope": "root", "epoch_before": 7, "epoch_after": 8}),
        ),
        "test_key_slot" => (
            json!({"passphrase": "correct horse battery staple"}),
            json!({"slot": 1}),
        ),
        "apply_policy" => (
            json!({"source": "[controller]\nname = \"Example Shop B.V.\"\ncontact = \"privacy@example.test\"\n"}),
            json!({"version": 2, "changes": [], "dry_run": true}),
        ),
        _ => return None,
    })
}

/// Puts the examples of an operation beside its schemas.
pub(super) fn complete(operation: &mut Value) {
    let id = operation["operationId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let Some((request, answer)) = examples(&id) else {
        return;
    };
    let content = operation.pointer_mut("/requestBody/content");
    for (media_type, content) in content.and_then(Value::as_object_mut).into_iter().flatten() {
        if media_type.ends_with("json") {
            content["example"] = request.clone();
        }
    }
    let responses = operation["responses"].as_object_mut();
    for (status, response) in responses.into_iter().flatten() {
        if let Some(content) = response.pointer_mut("/content/application~1json")
            && status.starts_with('2')
        {
            let mut answer = answer.clone();
            if id == "create_subject" {
                answer["created"] = Value::Bool(status == "201");
            }
            content["example"] = answer;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::openapi::{openapi, operations};

    #[test]
    fn every_example_fits_its_schema() {
        let document = openapi();
        let mut seen = 0;
        for (path, method, operation) in operations(&document) {
            let bodies = std::iter::once(&operation["requestBody"]).chain(
                operation["responses"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(_, one)| one),
            );
            for content in bodies
                .filter_map(|body| body["content"].as_object())
                .flatten()
            {
                let Some(example) = content.1.get("example") else {
                    continue;
                };
                let mut schema = content.1["schema"].clone();
                schema["components"] = document["components"].clone();
                let validator = jsonschema::options()
                    .should_validate_formats(true)
                    .build(&schema)
                    .expect("a schema");
                if let Err(error) = validator.validate(example) {
                    panic!("{method} {path}: {error}");
                }
                seen += 1;
            }
        }
        assert!(seen >= 26, "{seen}");
    }
}

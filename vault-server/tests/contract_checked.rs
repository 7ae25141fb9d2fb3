//! The check itself: an answer that the contract does not describe does not pass.

mod contract;

use contract::{Answered, Contract};
use serde_json::{Value, json};

const REQUEST: &str = "call_00000000000000000000000000";
const SUBJECT: &str = "sub_00000000000000000000000000";

fn check(
    (method, path, status): (&str, &str, u16),
    more: &[(&str, &str)],
    body: &Value,
) -> Result<(), String> {
    let media_type = if status < 400 {
        "application/json"
    } else {
        "application/problem+json"
    };
    let mut headers = vec![("content-type", media_type), ("request-id", REQUEST)];
    headers.extend_from_slice(more);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    Contract::new(vault_server::openapi()).check(&Answered {
        method,
        path,
        status,
        headers: &headers,
        body: body.to_string().as_bytes(),
    })
}

fn problem(status: u16, code: &str) -> Value {
    json!({"type": format!("/problems/{code}"), "title": "t", "status": status, "detail": "d",
        "code": code, "request_id": REQUEST, "retryable": false})
}

#[test]
fn an_answer_as_documented_passes() {
    let body = json!({"subject": SUBJECT, "created": false});
    check(("POST", "/v1/subjects", 200), &[], &body).expect("documented");
    let location = [("location", "/v1/subjects/sub_00000000000000000000000000")];
    check(("POST", "/v1/subjects", 201), &location, &body).expect("documented");
    check(
        ("GET", "/v1/subjects/no-id?x=1", 404),
        &[],
        &problem(404, "not_found"),
    )
    .expect("documented");
    check(("GET", "/nowhere", 404), &[], &problem(404, "not_found")).expect("a problem");
    check(
        ("PUT", "/v1/subjects", 405),
        &[],
        &problem(405, "method_not_allowed"),
    )
    .expect("a problem");
}

#[test]
fn an_undocumented_status_does_not_pass() {
    let body = json!({"subject": SUBJECT, "created": false});
    let refused = check(("POST", "/v1/subjects", 202), &[], &body).expect_err("undocumented");
    assert!(refused.contains("documents no 202"), "{refused}");
    check(
        ("POST", "/v1/subjects", 418),
        &[],
        &problem(418, "not_found"),
    )
    .expect_err("undocumented");
    check(("GET", "/nowhere", 200), &[], &json!({})).expect_err("undocumented");
    check(("GET", "/healthz", 403), &[], &problem(403, "role_denied")).expect_err("undocumented");
}

#[test]
fn a_body_with_a_missing_a_wrong_or_an_undocumented_member_does_not_pass() {
    for wrong in [
        json!({"subject": SUBJECT}),
        json!({"subject": SUBJECT, "created": "no"}),
        json!({"subject": "sub_short", "created": false}),
        json!({"subject": SUBJECT, "created": false, "name": "Ann Example"}),
        json!([]),
    ] {
        check(("POST", "/v1/subjects", 200), &[], &wrong).expect_err("undocumented");
    }
    let mut lacking = problem(404, "not_found");
    lacking.as_object_mut().expect("an object").remove("detail");
    check(("GET", "/v1/subjects/no-id", 404), &[], &lacking).expect_err("undocumented");
    // A code of another status, and one that this operation does not answer.
    check(
        ("GET", "/v1/subjects/no-id", 404),
        &[],
        &problem(404, "erased"),
    )
    .expect_err("undocumented");
    check(
        ("GET", "/v1/subjects/no-id", 403),
        &[],
        &problem(403, "consent_required"),
    )
    .expect_err("undocumented");
}

#[test]
fn a_record_that_is_neither_a_record_nor_a_page_does_not_pass() {
    let path = ("GET", "/v1/subjects/self/records/profile", 200);
    check(
        path,
        &[],
        &json!({"fields": {}, "masked": [], "withheld": []}),
    )
    .expect("a record");
    check(path, &[], &json!({"records": [], "next": null})).expect("a page");
    check(path, &[], &json!({"fields": {}, "masked": []})).expect_err("a member is missing");
    check(path, &[], &json!({"records": []})).expect_err("a member is missing");
}

#[test]
fn a_header_that_is_missing_wrong_or_undocumented_does_not_pass() {
    let body = json!({"subject": SUBJECT, "created": true});
    check(("POST", "/v1/subjects", 201), &[], &body).expect_err("no location");
    let elsewhere = [("location", "https://elsewhere.example.test/")];
    check(("POST", "/v1/subjects", 201), &elsewhere, &body).expect_err("a wrong location");
    check(
        ("GET", "/healthz", 200),
        &[("etag", "\"x\"")],
        &json!({"status": "alive"}),
    )
    .expect_err("undocumented");
    let mut locked = problem(503, "locked");
    locked["retryable"] = json!(true);
    check(("GET", "/readyz", 503), &[("retry-after", "10")], &locked).expect("documented");
    check(("GET", "/readyz", 503), &[("retry-after", "soon")], &locked).expect_err("no number");
}

#[test]
fn another_media_type_does_not_pass() {
    let headers = [
        ("content-type".to_owned(), "text/plain".to_owned()),
        ("request-id".to_owned(), REQUEST.to_owned()),
    ];
    let answered = Answered {
        method: "GET",
        path: "/healthz",
        status: 200,
        headers: &headers,
        body: br#"{"status":"alive"}"#,
    };
    let refused = Contract::new(vault_server::openapi()).check(&answered);
    assert!(refused.expect_err("undocumented").contains("text/plain"));
}

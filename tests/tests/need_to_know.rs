//! Who may do what with which field, for which purpose, in which state of consent: every cell over
//! HTTP, under the sample policy.
//!
//! Counts as failure: any other status, code or sight than the table says.

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};

/// What the person said about the newsletter.
const STATES: [&str; 4] = ["never asked", "given", "refused", "withdrawn"];

/// Role, purpose, field; what a read by name answers in each of [`STATES`].
const READS: [(&str, &str, &str, [&str; 4]); 20] = [
    ("bot", "support", "profile.name", ["full"; 4]),
    ("bot", "support", "profile.email", ["full"; 4]),
    ("bot", "support", "profile.phone", ["full"; 4]),
    ("bot", "support", "profile.card", ["full"; 4]),
    (
        "bot",
        "newsletter",
        "profile.email",
        [
            "consent_required",
            "full",
            "consent_required",
            "consent_required",
        ],
    ),
    ("bot", "newsletter", "profile.name", ["purpose_denied"; 4]),
    ("bot", "newsletter", "profile.card", ["purpose_denied"; 4]),
    ("bot", "elsewhere", "profile.name", ["purpose_denied"; 4]),
    ("bot", "", "profile.name", ["purpose_missing"; 4]),
    ("agent", "support", "profile.name", ["full"; 4]),
    ("agent", "support", "profile.email", ["mask"; 4]),
    ("agent", "support", "profile.phone", ["role_denied"; 4]),
    ("agent", "support", "profile.card", ["role_denied"; 4]),
    (
        "agent",
        "newsletter",
        "profile.email",
        ["purpose_denied"; 4],
    ),
    ("dpo", "support", "profile.name", ["role_denied"; 4]),
    ("operator", "support", "profile.name", ["role_denied"; 4]),
    ("auditor", "support", "profile.name", ["role_denied"; 4]),
    ("legal", "support", "profile.name", ["role_denied"; 4]),
    ("reviewer", "support", "profile.name", ["role_denied"; 4]),
    ("nobody", "support", "profile.name", ["unauthenticated"; 4]),
];

/// Method, path after the person, body; the roles that may, and what the others are told.
const ACTIONS: [(&str, &str, &str, &[&str]); 8] = [
    ("PATCH", "/records/profile", r#"{"name":"Ann"}"#, &["bot"]),
    (
        "POST",
        "/records/messages",
        r#"{"from":"user","text":"x"}"#,
        &["bot"],
    ),
    ("GET", "/records/messages", "", &["bot", "agent"]),
    (
        "POST",
        "/ask",
        r#"{"field":"profile.birth","test":{"age_at_least":18}}"#,
        &["bot"],
    ),
    (
        "POST",
        "/ask",
        r#"{"field":"profile.email","test":{"equals":"a@b.test"}}"#,
        &[],
    ),
    ("GET", "", "", &["agent", "dpo", "legal"]),
    (
        "PUT",
        "/consents/newsletter",
        r#"{"given":true,"notice":"n1"}"#,
        &["bot"],
    ),
    ("GET", "/consents", "", &["bot"]),
];
const ROLES: [&str; 7] = [
    "bot", "agent", "dpo", "legal", "reviewer", "operator", "auditor",
];

fn call(
    running: &Running,
    role: &str,
    purpose: &str,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/v1/{path}", running.url))
        .header("Authorization", format!("Bearer {}", running.token(role)))
        .header("Content-Type", "application/json");
    if !purpose.is_empty() {
        request = request.header("Vault-Purpose", purpose);
    }
    let mut answer = match body {
        "" => agent.run(request.body(()).unwrap()),
        body => agent.run(request.body(body.to_owned()).unwrap()),
    }
    .unwrap();
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string().unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn person(running: &Running, user: &str, state: &str) -> String {
    let body = json!({"channel": "web", "user": user}).to_string();
    let (_, created) = call(running, "bot", "support", "POST", "subjects", &body);
    let path = format!("subjects/{}", created["subject"].as_str().unwrap());
    let profile = json!({"name": "Ann Example", "email": "ann@example.test",
        "phone": "+31 20 555 0100", "card": "4111 1111 1111 1111", "birth": "1990-02-28"});
    let profile = profile.to_string();
    let stored = call(
        running,
        "bot",
        "support",
        "PATCH",
        &format!("{path}/records/profile"),
        &profile,
    );
    assert_eq!(stored.0, 200);
    let consent = format!("{path}/consents/newsletter");
    let say = |given: bool| {
        let body = json!({"given": given, "notice": "n1"}).to_string();
        assert!(call(running, "bot", "", "PUT", &consent, &body).0 < 300);
    };
    match state {
        "given" => say(true),
        "refused" => say(false),
        "withdrawn" => {
            say(true);
            assert!(call(running, "bot", "", "DELETE", &consent, "").0 < 300);
        }
        _ => {}
    }
    path
}

fn dev() -> Running {
    let options = DevOptions {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..DevOptions::default()
    };
    start(options).map_err(|_| "dev does not start").unwrap()
}

#[test]
fn a_field_is_read_exactly_as_role_purpose_and_consent_say() {
    let running = dev();
    for (index, state) in STATES.into_iter().enumerate() {
        let path = person(&running, state, state);
        for (role, purpose, field, expected) in READS {
            let (_, name) = field.split_once('.').unwrap();
            let read = format!("{path}/records/profile?fields={name}");
            let (status, body) = call(&running, role, purpose, "GET", &read, "");
            let masked = body["masked"]
                .as_array()
                .is_some_and(|masked| !masked.is_empty());
            let seen = match (status, masked) {
                (200, true) => "mask",
                (200, false) => "full",
                _ => body["code"].as_str().unwrap(),
            };
            assert_eq!(seen, expected[index], "{role} {purpose} {field} {state}");
            let value = body["fields"][name].as_str().unwrap_or_default();
            let whole = [
                "Ann Example",
                "ann@example.test",
                "4111 1111 1111 1111",
                "+31 20 555 0100",
            ];
            assert_eq!(
                whole.contains(&value),
                seen == "full",
                "{role} {field} {state}"
            );
        }
    }
}

#[test]
fn an_action_is_done_by_the_roles_that_may_and_refused_to_all_others() {
    let running = dev();
    let path = person(&running, "ann", "never asked");
    for (method, rest, body, may) in ACTIONS {
        for role in ROLES {
            let (status, answer) = call(
                &running,
                role,
                "support",
                method,
                &format!("{path}{rest}"),
                body,
            );
            if may.contains(&role) {
                assert!(status < 300, "{role} {method} {rest}: {answer}");
            } else {
                assert_eq!(
                    (status, &answer["code"]),
                    (403, &json!("role_denied")),
                    "{role} {method} {rest}"
                );
            }
        }
        let (status, _) = call(
            &running,
            "nobody",
            "support",
            method,
            &format!("{path}{rest}"),
            body,
        );
        assert_eq!(status, 401);
    }
    for role in ROLES.into_iter().filter(|role| *role != "dpo") {
        assert_eq!(
            call(&running, role, "", "DELETE", &path, "").0,
            403,
            "{role} erases"
        );
        let token = json!({"role": "bot"}).to_string();
        let (status, _) = call(&running, role, "", "POST", "admin/api-keys", &token);
        assert_eq!(status, 403, "{role} makes an API key");
    }
    assert_eq!(call(&running, "dpo", "", "DELETE", &path, "").0, 200);
    let late = call(
        &running,
        "bot",
        "support",
        "PATCH",
        &format!("{path}/records/profile"),
        "{}",
    );
    assert_eq!((late.0, &late.1["code"]), (410, &json!("erased")));
}

//! A session's token opens what it was given, for its person, and nothing else.
//!
//! Counts as failure: any success outside the three routes that a session has, for another person,
//! field or purpose, once its calls are spent, once it has ended or its maker's API key has.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};

struct Bench {
    running: Running,
    agent: ureq::Agent,
}

impl Bench {
    fn new() -> Self {
        let sample = vault_core::policy::SAMPLE;
        let text = format!("{sample}\n[roles.clerk]\nmay = [\"api_keys.manage\"]\n");
        let options = DevOptions {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            policy: Some(text),
            ..DevOptions::default()
        };
        Self {
            running: start(options).map_err(|_| "dev does not start").unwrap(),
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .new_agent(),
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        purpose: Option<&str>,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.running.url))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Content-Type", "application/json");
        if let Some(purpose) = purpose {
            request = request.header("Vault-Purpose", purpose);
        }
        let mut answer = match method {
            "GET" | "HEAD" | "DELETE" => self.agent.run(request.body(()).unwrap()),
            _ => self.agent.run(request.body(body.to_string()).unwrap()),
        }
        .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        (answer.status().as_u16(), body)
    }

    fn role(&self, role: &str, method: &str, path: &str, body: &Value) -> Value {
        let token = self.running.token(role);
        let (status, body) = self.send(method, path, token, Some("support"), body);
        assert!(status < 300, "{method} {path}: {status} {body}");
        body
    }

    fn person(&self, user: &str) -> String {
        let body = json!({"channel": "web", "user": user});
        let made = self.role("bot", "POST", "/v1/subjects", &body);
        let subject = made["subject"].as_str().unwrap().to_owned();
        let profile = json!({
            "name": format!("{user} Example"),
            "email": format!("{user}@example.test"),
            "phone": "+31 30 123 4567",
            "birth": "1990-05-01",
        });
        let path = format!("/v1/subjects/{subject}/records/profile");
        self.role("bot", "PATCH", &path, &profile);
        subject
    }

    fn session(&self, subject: &str, body: &Value) -> (String, String) {
        let path = format!("/v1/subjects/{subject}/sessions");
        let begun = self.role("bot", "POST", &path, body);
        let text = |name: &str| begun[name].as_str().unwrap().to_owned();
        (text("token"), text("session"))
    }
}

const PROFILE: &str = "/v1/subjects/self/records/profile";

#[test]
fn a_session_reads_and_writes_what_it_was_given_and_counts_it() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let given = json!({
        "purpose": "support",
        "fields": ["profile.name", "profile.birth"],
        "reads": 2,
        "writes": 1,
    });
    let (token, session) = bench.session(&ann, &given);
    let nothing = Value::Null;
    // What the whole record shows is what the session was given; its purpose is implied.
    let (status, body) = bench.send("GET", PROFILE, &token, None, &nothing);
    assert_eq!(status, 200);
    let fields: BTreeSet<&str> = body["fields"]
        .as_object()
        .unwrap()
        .keys()
        .map(|k| &**k)
        .collect();
    assert_eq!(fields, BTreeSet::from(["birth", "name"]));
    let question = json!({"field": "profile.birth", "test": {"age_at_least": 18}});
    let (status, body) = bench.send("POST", "/v1/subjects/self/ask", &token, None, &question);
    assert_eq!((status, &body["answer"]), (200, &json!(true)));
    let new = json!({"name": "Ann Changed"});
    assert_eq!(bench.send("PATCH", PROFILE, &token, None, &new).0, 200);
    // Refused calls do not count; spent ones do.
    let list = format!("/v1/subjects/{ann}/sessions");
    let left = bench.role("bot", "GET", &list, &nothing);
    assert_eq!(left["sessions"][0]["session"], session);
    assert_eq!(
        (
            &left["sessions"][0]["reads"],
            &left["sessions"][0]["writes"]
        ),
        (&json!(0), &json!(0))
    );
    let (status, body) = bench.send("GET", PROFILE, &token, None, &nothing);
    assert_eq!((status, &body["code"]), (403, &json!("role_denied")));
    let (status, _) = bench.send("PATCH", PROFILE, &token, None, &json!({"name": "Again"}));
    assert_eq!(status, 403);
    let path = format!("/v1/subjects/{ann}/records/profile");
    let stored = bench.role("bot", "GET", &path, &nothing);
    assert_eq!(stored["fields"]["name"], "Ann Changed");
}

#[test]
fn a_session_opens_no_other_person_field_purpose_or_route() {
    let bench = Bench::new();
    let (ann, ben) = (bench.person("ann"), bench.person("ben"));
    let given =
        json!({"purpose": "support", "fields": ["profile.name"], "reads": 500, "writes": 500});
    let (token, session) = bench.session(&ann, &given);
    let nothing = Value::Null;
    let refused = |method: &str, path: &str, purpose, body: &Value, expected: (u16, &str)| {
        let (status, answer) = bench.send(method, path, &token, purpose, body);
        let code = answer["code"].as_str().unwrap_or("none");
        assert_eq!((status, code), expected, "{method} {path}");
    };
    let of_ben = format!("/v1/subjects/{ben}/records/profile");
    refused("GET", &of_ben, None, &nothing, (404, "not_found"));
    refused(
        "PATCH",
        &of_ben,
        None,
        &json!({"name": "x"}),
        (404, "not_found"),
    );
    let email = format!("{PROFILE}?fields=email");
    refused("GET", &email, None, &nothing, (403, "role_denied"));
    refused(
        "PATCH",
        PROFILE,
        None,
        &json!({"email": "x@example.test"}),
        (403, "role_denied"),
    );
    refused(
        "GET",
        "/v1/subjects/self/records/messages",
        None,
        &nothing,
        (403, "role_denied"),
    );
    refused(
        "GET",
        PROFILE,
        Some("newsletter"),
        &nothing,
        (403, "purpose_denied"),
    );
    let question = json!({"field": "profile.birth", "test": {"age_at_least": 18}});
    refused(
        "POST",
        "/v1/subjects/self/ask",
        None,
        &question,
        (403, "role_denied"),
    );

    // Every route of the contract, as oneself, by one's own id, as somebody else.
    let text = std::fs::read_to_string("../docs/openapi.json").unwrap();
    let contract: Value = serde_json::from_str(&text).unwrap();
    let public = [
        "/healthz",
        "/readyz",
        "/v1/status",
        "/v1/openapi.json",
        "/docs",
        "/problems",
        "/problems/{code}",
        "/privacy",
    ];
    let mut tried = 0;
    for (path, operations) in contract["paths"].as_object().unwrap() {
        // Unlocking needs a secret of the vault and no bearer.
        if public.contains(&path.as_str()) || path == "/v1/unlock" {
            continue;
        }
        for method in operations.as_object().unwrap().keys() {
            for subject in ["self", &ann, &ben] {
                let path = path
                    .replace("{s}", subject)
                    .replace("{c}", "profile")
                    .replace("{r}", "rec_0")
                    .replace("{f}", "photo")
                    .replace("{ses}", &session)
                    .replace("{purpose}", "newsletter")
                    .replace("{tok}", "tok_0")
                    .replace("{n}", "1");
                let method = method.to_uppercase();
                // What everybody may see needs no token.
                let told = [
                    "/v1/log/key",
                    "/v1/notices/current",
                    "/v1/privacy-statement",
                ];
                if told.contains(&path.as_str()) {
                    continue;
                }
                // What it was given, and what its person has asked for (Art. 12).
                let own = ["/records/profile", "/requests"];
                let own = subject != ben && own.iter().any(|end| path.ends_with(end));
                if own && method == "GET" {
                    continue;
                }
                let body = match path.as_str() {
                    path if path.ends_with("/sessions") => given.clone(),
                    path if path.ends_with("/subjects") => json!({"channel": "web", "user": "eve"}),
                    path if path.ends_with("/lookup") => json!({"channel": "web", "user": "ben"}),
                    path if path.ends_with("/api-keys") => json!({"role": "bot"}),
                    _ => json!({"given": true, "notice": "v1"}),
                };
                let (status, answer) = bench.send(&method, &path, &token, Some("support"), &body);
                assert!(
                    (400..500).contains(&status),
                    "{method} {path}: {status} {answer}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
    // Nor did any of it do anything: everybody is there, and the session still reads.
    let (status, _) = bench.send("GET", PROFILE, &token, None, &nothing);
    assert_eq!(status, 200);
    bench.role("bot", "GET", &of_ben, &nothing);
    // What it may not know it does not learn from the state either.
    let (_, status) = bench.send("GET", "/v1/status", &token, None, &nothing);
    assert!(status.get("people").is_none());
}

#[test]
fn a_session_ends_with_its_time_its_maker_its_person_or_when_told() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let given = json!({"purpose": "support", "fields": ["profile.*"], "reads": 9});
    let opens = |token: &str| bench.send("GET", PROFILE, token, None, &Value::Null).0;

    let (token, session) = bench.session(&ann, &given);
    assert_eq!(opens(&token), 200);
    let path = format!("/v1/subjects/{ann}/sessions/{session}");
    bench.role("bot", "DELETE", &path, &Value::Null);
    assert_eq!(opens(&token), 401);

    let (token, _) = bench.session(&ann, &given);
    let mut forged = token.clone().into_bytes();
    let last = forged.len() - 5;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(opens(&String::from_utf8(forged).unwrap()), 401);
    bench.role(
        "dpo",
        "DELETE",
        &format!("/v1/subjects/{ann}"),
        &Value::Null,
    );
    assert_eq!(opens(&token), 401);

    // A role cannot give what it does not have, nor without the capability.
    let ben = bench.person("ben");
    let path = format!("/v1/subjects/{ben}/sessions");
    let agent = bench.running.token("agent");
    let (status, _) = bench.send("POST", &path, agent, None, &given);
    assert_eq!(status, 403);
    let bot = bench.running.token("bot");
    for (wrong, pointer) in [
        (
            json!({"purpose": "support", "fields": [], "reads": 1}),
            "/fields",
        ),
        (
            json!({"purpose": "support", "fields": ["profile.shoe"], "reads": 1}),
            "/fields/0",
        ),
        (
            json!({"purpose": "support", "fields": ["profile.name"]}),
            "/reads",
        ),
        (
            json!({"purpose": "support", "fields": ["profile.name"], "reads": 10_001}),
            "/reads",
        ),
        (
            json!({"purpose": "support", "fields": ["profile.name"], "reads": -1}),
            "/reads",
        ),
        (
            json!({"purpose": "support", "fields": ["profile.name"], "reads": 1, "expires_in": 86_401}),
            "/expires_in",
        ),
    ] {
        let (status, body) = bench.send("POST", &path, bot, None, &wrong);
        assert_eq!(status, 422, "{wrong}");
        assert_eq!(body["errors"][0]["pointer"], pointer, "{body}");
    }
    let (status, body) = bench.send(
        "POST",
        &path,
        bot,
        None,
        &json!({"purpose": "espionage", "fields": ["profile.name"], "reads": 1}),
    );
    assert_eq!((status, &body["code"]), (403, &json!("purpose_denied")));

    let (token, _) = bench.session(&ben, &given);
    assert_eq!(opens(&token), 200);
    let keys = bench.role("clerk", "GET", "/v1/admin/api-keys", &Value::Null);
    let of_bot = |key: &&Value| key["role"] == "bot";
    let maker = keys["api_keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(of_bot)
        .unwrap();
    let path = format!("/v1/admin/api-keys/{}", maker["token"].as_str().unwrap());
    bench.role("clerk", "DELETE", &path, &Value::Null);
    assert_eq!(opens(&token), 401);
}

//! What holds while the vault is locked: the edge answers before anything below is asked.
//!
//! No vault stands behind these; what needs one is in `tests/`.

#[path = "../../tests/contract/mod.rs"]
mod contract;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, header};
use contract::{Answered, Contract};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use tower::ServiceExt;
use vault_core::clock::ManualClock;
use vault_core::id::VaultId;
use vault_core::vault::{UnlockError, UnlockSecret, Vault};

use crate::code::Code;
use crate::config::LogFormat;
use crate::cors::Origins;
use crate::state::{App, AppSettings, Door};
use crate::{Limits, logging, router};

/// A door without a vault behind it.
struct Wall;

impl Door for Wall {
    fn unlock(&self, _: &UnlockSecret) -> Result<Arc<Vault>, UnlockError> {
        Err(UnlockError::NoSlotMatches)
    }

    fn vault_id(&self) -> VaultId {
        VaultId::from_bytes([9; 16])
    }
}

/// A server whose vault never opens.
pub(crate) fn closed_app() -> App {
    closed_app_with(|_| {})
}

/// The same, with other settings.
pub(crate) fn closed_app_with(change: impl FnOnce(&mut AppSettings)) -> App {
    let mut settings = AppSettings {
        recipients: crate::recipients::Recipients::default(),
        codes: None,
        public_url: None,
        alarm: None,
        policy_file: None,
        backup: crate::config::BackupConfig::default(),
        clock: Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)),
        body_bytes_max: 1 << 20,
        in_flight_max: 8,
        transfers_max: 2,
        limits: Limits::default(),
        sweep_every: None,
        cors: Origins::default(),
    };
    change(&mut settings);
    App::over(Box::new(Wall), None, settings)
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(crate::openapi()));

async fn send(mut request: Request<Body>, client: &str) -> (Response<()>, Vec<u8>) {
    let client: SocketAddr = client.parse().expect("an address");
    // As a listener puts it there.
    request.extensions_mut().insert(ConnectInfo(client));
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let response = router(closed_app())
        .oneshot(request)
        .await
        .expect("infallible");
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 24).await.expect("a body");
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, text)| (name.to_string(), text.to_str().expect("ASCII").to_owned()))
        .collect();
    let checked = CONTRACT.check(&Answered {
        method: &method,
        path: &path,
        status: parts.status.as_u16(),
        headers: &headers,
        body: &bytes,
    });
    checked.expect("the contract describes this answer");
    (Response::from_parts(parts, ()), bytes.to_vec())
}

fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).expect("a request")
}

/// Sends, checks that the answer is a whole problem document, and gives its code.
async fn refusal(request: Request<Body>) -> String {
    let (head, body) = send(request, "127.0.0.1:9").await;
    assert_eq!(
        head.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let document: Value = serde_json::from_slice(&body).expect("JSON");
    let code = document["code"].as_str().expect("a code").to_owned();
    assert_eq!(document["status"], head.status().as_u16());
    assert_eq!(document["type"], format!("/problems/{code}"));
    assert_eq!(
        document["request_id"],
        head.headers()["request-id"].to_str().expect("ASCII")
    );
    let known = Code::from_name(&code).expect("a code of the list");
    assert_eq!(document["retryable"], known.retryable());
    code
}

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("authorization", "Bearer vk_0");
const PURPOSE: (&str, &str) = ("vault-purpose", "support");
const PERSON: &str = "/v1/subjects/sub_00000000000000000000000000";

#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anybody_asks_who_calls() {
    let profile = format!("{PERSON}/records/profile");
    let cases = [
        (
            request("POST", "/v1/subjects", &[JSON], "{\"a\":"),
            "malformed",
        ),
        (
            request("POST", "/v1/subjects", &[JSON], "{\"a\":1,\"a\":2}"),
            "malformed",
        ),
        (
            request("POST", "/v1/subjects", &[], "{}"),
            "unsupported_media_type",
        ),
        (
            request(
                "POST",
                "/v1/subjects",
                &[("content-type", "text/plain")],
                "{}",
            ),
            "unsupported_media_type",
        ),
        (
            request(
                "POST",
                "/v1/subjects",
                &[("content-type", "application/merge-patch+json")],
                "{}",
            ),
            "unsupported_media_type",
        ),
        (
            request("POST", "/v1/subjects", &[JSON], vec![b' '; (1 << 20) + 1]),
            "too_large",
        ),
        (request("GET", &profile, &[], ""), "purpose_missing"),
        (
            request("PATCH", &profile, &[JSON, PURPOSE], "nonsense"),
            "malformed",
        ),
        (
            request(
                "POST",
                "/v1/subjects",
                &[JSON, ("idempotency-key", "é")],
                "{}",
            ),
            "malformed",
        ),
        (
            request(
                "PATCH",
                &profile,
                &[JSON, PURPOSE, ("if-match", "\"a\",\"b\"")],
                "{}",
            ),
            "malformed",
        ),
    ];
    for (request, code) in cases {
        let what = format!("{} {}", request.method(), request.uri());
        assert_eq!(refusal(request).await, code, "{what}");
    }
}

#[tokio::test]
async fn a_call_without_a_key_is_401_and_with_one_the_locked_vault_says_so() {
    let unsigned = request("POST", "/v1/subjects", &[JSON], "{}");
    assert_eq!(refusal(unsigned).await, "unauthenticated");
    let locked = request("POST", "/v1/subjects", &[JSON, KEY], "{}");
    assert_eq!(refusal(locked).await, "locked");
    let patch = [
        ("content-type", "application/merge-patch+json"),
        KEY,
        PURPOSE,
    ];
    let locked = request("PATCH", &format!("{PERSON}/records/profile"), &patch, "{}");
    assert_eq!(refusal(locked).await, "locked");
}

#[tokio::test]
async fn no_path_and_no_method_answers_anything_but_a_problem() {
    let cases = [
        (request("GET", "/nowhere", &[], ""), "not_found"),
        (request("GET", "/problems/none", &[], ""), "not_found"),
        (
            request("DELETE", "/v1/subjects", &[], ""),
            "method_not_allowed",
        ),
        (request("BREW", "/healthz", &[], ""), "method_not_allowed"),
        (request("GET", "/v1/subjects/%ff", &[KEY], ""), "not_found"),
    ];
    for (request, code) in cases {
        let what = format!("{} {}", request.method(), request.uri());
        assert_eq!(refusal(request).await, code, "{what}");
    }
}

#[tokio::test]
async fn state_is_told_without_a_key_and_readiness_needs_an_open_vault() {
    let (head, body) = send(request("GET", "/healthz", &[], ""), "127.0.0.1:9").await;
    assert_eq!(
        (head.status().as_u16(), body),
        (200, br#"{"status":"alive"}"#.to_vec())
    );
    let (_, body) = send(request("GET", "/v1/status", &[], ""), "127.0.0.1:9").await;
    let status: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(status["state"], "locked");
    assert!(status.get("people").is_none());
    assert_eq!(refusal(request("GET", "/readyz", &[], "")).await, "locked");
}

#[tokio::test]
async fn the_vault_is_unlocked_from_its_own_machine_only_with_exactly_one_secret() {
    let body = r#"{"passphrase":"x","recovery_key":"y"}"#;
    let two = || request("POST", "/v1/unlock", &[JSON], body);
    let (head, _) = send(two(), "192.0.2.1:9").await;
    assert_eq!(head.status().as_u16(), 403);
    assert_eq!(refusal(two()).await, "invalid");
    let misspelt = request("POST", "/v1/unlock", &[JSON], r#"{"pasphrase":"x"}"#);
    assert_eq!(refusal(misspelt).await, "invalid");
}

#[tokio::test]
async fn every_problem_code_is_explained_where_its_type_points() {
    for code in Code::ALL {
        let path = format!("/problems/{}", code.name());
        let (head, body) = send(request("GET", &path, &[], ""), "127.0.0.1:9").await;
        assert_eq!(head.status().as_u16(), 200);
        assert!(head.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        assert!(String::from_utf8_lossy(&body).contains(code.name()));
    }
    let (head, body) = send(request("GET", "/v1/openapi.json", &[], ""), "127.0.0.1:9").await;
    assert_eq!(head.status().as_u16(), 200);
    let document: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_line_names_the_route_and_nothing_that_the_client_sent() {
    const CANARY: &str = "annacanary";
    const ALONE: &str = "LOG_TEST_RUNS_ALONE";
    // `tracing` decides once for the whole process whether a line is wanted, and tests beside this
    // one want none. So it runs in a process of its own.
    if std::env::var_os(ALONE).is_none() {
        let name = "routes::tests::the_log_line_names_the_route_and_nothing_that_the_client_sent";
        let output = std::process::Command::new(std::env::current_exe().expect("a test binary"))
            .args([name, "--exact"])
            .env(ALONE, "1")
            .output()
            .expect("starts");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    for format in [LogFormat::Json, LogFormat::Text] {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = logging::subscriber(format, tracing::Level::TRACE, move || writer.clone());
        // One thread, so that the subscriber of this thread sees every line of the call.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let headers = [
            JSON,
            ("authorization", "Bearer annacanary"),
            ("vault-purpose", "annacanary"),
            ("idempotency-key", "annacanary"),
            ("user-agent", "annacanary"),
            ("referer", "http://x.example/annacanary"),
            ("if-match", "annacanary"),
        ];
        let body = r#"{"annacanary":"annacanary", annacanary"#;
        tracing::subscriber::with_default(log, || {
            runtime.block_on(async {
                for (method, path) in [
                    ("GET", "/v1/subjects/annacanary?annacanary=annacanary"),
                    ("PATCH", "/v1/subjects/annacanary/records/annacanary"),
                    ("GET", "/annacanary"),
                    ("ANNACANARY", "/v1/subjects"),
                    ("POST", "/v1/subjects"),
                ] {
                    let call = request(method, path, &headers, body);
                    let _ = send(call, "203.0.113.77:9").await;
                }
            });
        });
        let log = String::from_utf8(buffer.0.lock().clone()).expect("text");
        assert_eq!(log.lines().count(), 5, "{log}");
        assert!(log.contains("/v1/subjects/{s}/records/{c}"), "{log}");
        assert!(log.contains("203.0.113.0/24") && !log.contains("203.0.113.77"));
        assert!(!log.to_lowercase().contains(CANARY), "{log}");
    }
}

//! The public statement, the records of processing and the pages of the contract, over a vault whose
//! policy is hostile: its texts try to be markup, formulas and templates.
//!
//! Failure is a page in another language than asked for, a text that becomes markup, a page without
//! its headers, an answer that the contract does not describe.

mod contract;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use contract::{Answered, Contract};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;
use vault_core::clock::SystemClock;
use vault_core::id::CallId;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, Vault, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, openapi, router, urls};

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(openapi()));
const POLICY: &str = r#"
[controller]
name = "Example <script>alert(1)</script> B.V."
address = "Kade 1\" onclick=\"x, Utrecht"
contact = "privacy@example.test"
dpo = "dpo@example.test"
languages = ["en", "de", "pt-BR"]

[purposes.support]
title.en = "</h3><img src=x> & *bold* [link](x)"
title.de = "=HYPERLINK(\"x\")"
title.pt-BR = "Responder às suas perguntas"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
recipients = ["far"]

[recipients.far]
name = "Far <b>Inc.</b>"
country = "US"
safeguard = "scc: module 2"

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", category = "user.name", purposes = ["support"], necessity = "contractual", source = "provided" }
diet = { type = "text", purposes = ["support"], special = "health", art9 = "9(2)(a): <i>asked</i>" }

[roles.bot]
purposes = ["support"]
read = { "profile.*" = "full" }
"#;

struct Open {
    _home: TempDir,
    app: App,
    vault: Arc<Vault>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("none", |value| value.to_str().expect("ASCII"))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

impl Open {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(Arc::new(SystemClock))
        };
        let created = LockedVault::create(&paths, settings, &passphrase, POLICY).expect("a vault");
        let vault = Arc::clone(&created.vault);
        let settings = AppSettings {
            sweep_every: None,
            ..AppSettings::from(&ServerConfig::default())
        };
        Self {
            _home: home,
            app: App::new(created.locked, Some(created.vault), settings),
            vault,
        }
    }

    fn key(&self, role: &str) -> String {
        let principal = self.vault.keyholder();
        let call = Call {
            principal: &principal,
            purpose: None,
            restricted_use: None,
            id: CallId::from_bytes([1; 16]),
        };
        self.vault.create_token(&call, role, None).expect("a key").1
    }

    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        let client: SocketAddr = "127.0.0.1:9".parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(client));
        let response = router(self.app.clone())
            .oneshot(request)
            .await
            .expect("infallible");
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.expect("a body");
        let told: Vec<_> = head
            .headers
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_str().expect("ASCII").to_owned()))
            .collect();
        let checked = CONTRACT.check(&Answered {
            method,
            path,
            status: head.status.as_u16(),
            headers: &told,
            body: &body,
        });
        checked.expect("the contract describes this answer");
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).expect("UTF-8"),
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("GET", path, headers).await
    }
}

#[tokio::test]
async fn the_statement_comes_in_the_language_and_form_asked_for() {
    let open = Open::new();
    for (path, headers, language, form) in [
        ("/privacy", &[][..], "en", "text/html; charset=utf-8"),
        (
            "/privacy",
            &[("accept-language", "de-CH, en;q=0.5")],
            "de",
            "text/html; charset=utf-8",
        ),
        (
            "/privacy",
            &[("accept-language", "pt")],
            "pt-BR",
            "text/html; charset=utf-8",
        ),
        (
            "/privacy",
            &[("accept-language", "fr")],
            "en",
            "text/html; charset=utf-8",
        ),
        (
            "/privacy?lang=de",
            &[("accept-language", "en")],
            "de",
            "text/html; charset=utf-8",
        ),
        (
            "/privacy?utm_source=x&lang=DE",
            &[],
            "de",
            "text/html; charset=utf-8",
        ),
        (
            "/privacy",
            &[("accept", "text/markdown")],
            "en",
            "text/markdown; charset=utf-8",
        ),
        (
            "/privacy",
            &[("accept", "application/json")],
            "en",
            "application/json",
        ),
        (
            "/v1/privacy-statement",
            &[("accept-language", "de")],
            "de",
            "application/json",
        ),
    ] {
        let answer = open.get(path, headers).await;
        assert_eq!(answer.status, 200, "{path} {headers:?}");
        assert_eq!(
            answer.header("content-language"),
            language,
            "{path} {headers:?}"
        );
        assert_eq!(answer.header("content-type"), form, "{path} {headers:?}");
        assert_eq!(answer.header("vary"), "Accept, Accept-Language");
    }
    let german = open.get("/privacy?lang=de", &[]).await;
    assert!(german.text.contains("<html lang=\"de\">"));
    assert!(german.text.contains("2 Jahre nach Ihrer letzten Aktivität"));
    let statement = open.get("/v1/privacy-statement?lang=de", &[]).await.json();
    assert_eq!(
        statement["purposes"][0]["retention"]["text"],
        "2 Jahre nach Ihrer letzten Aktivität"
    );
    assert_eq!(
        statement["languages"],
        serde_json::json!(["en", "de", "pt-BR"])
    );
}

#[tokio::test]
async fn a_language_that_is_not_offered_is_refused_by_name_and_another_parameter_too() {
    let open = Open::new();
    for path in [
        "/privacy?lang=fr",
        "/v1/privacy-statement?lang=fr",
        "/v1/privacy-statement?x=1",
    ] {
        let refused = open.get(path, &[]).await;
        assert_eq!(refused.status, 422, "{path}");
    }
    let refused = open.get("/privacy?lang=fr", &[]).await.json();
    assert_eq!(
        refused["errors"][0]["detail"],
        "`lang` is one of: en, de, pt-BR"
    );
}

#[tokio::test]
async fn no_text_of_the_policy_becomes_markup() {
    let open = Open::new();
    let page = open.get("/privacy", &[]).await;
    for forbidden in ["<script", "<img", "<b>", "<i>", " onclick=\"", "</h3><img"] {
        assert!(!page.text.contains(forbidden), "{forbidden}");
    }
    assert!(page.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.text.contains("Far &lt;b&gt;Inc.&lt;/b&gt;"));
    for elsewhere in ["http://", "https://", "url("] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
    let markdown = open
        .get("/privacy", &[("accept", "text/markdown")])
        .await
        .text;
    assert!(
        markdown.contains(r"\<script\>") && !markdown.contains("](x)"),
        "{markdown}"
    );
    assert!(markdown.contains(r"\*bold\*"), "{markdown}");
}

#[tokio::test]
async fn every_page_has_a_policy_that_lets_nothing_run_and_answers_head() {
    let open = Open::new();
    for path in [
        urls::PRIVACY,
        urls::DOCS,
        urls::PROBLEMS,
        "/problems/erased",
    ] {
        let page = open.get(path, &[]).await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert!(!page.header("cache-control").contains("no-store"), "{path}");
        let head = open.call("HEAD", path, &[]).await;
        assert_eq!((head.status, &*head.text), (200, ""), "{path}");
        assert_eq!(
            head.header("content-type"),
            page.header("content-type"),
            "{path}"
        );
    }
    let moved = open.get("/v1/status", &[]).await;
    assert_eq!(moved.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_hash_in_the_policy_is_that_of_the_style_in_the_page() {
    use sha2::Digest;
    let open = Open::new();
    let page = open.get(urls::DOCS, &[]).await;
    let style = page
        .text
        .split("<style>")
        .nth(1)
        .and_then(|rest| rest.split("</style>").next());
    let digest = sha2::Sha256::digest(style.expect("a style"));
    let hash = data_encoding::BASE64.encode(&digest);
    assert!(page.header("content-security-policy").contains(&hash));
}

#[tokio::test]
async fn while_the_vault_is_locked_people_get_a_page_and_programs_a_problem() {
    let open = Open::new();
    let app = open.app.clone();
    tokio::task::spawn_blocking(move || app.lock())
        .await
        .expect("locks");
    let page = open.get("/privacy", &[("accept-language", "nl")]).await;
    assert_eq!((page.status, page.header("retry-after")), (503, "10"));
    assert_eq!(page.header("content-language"), "nl");
    assert!(page.text.contains("<html lang=\"nl\">"));
    assert!(page.header("cache-control").contains("no-store"));
    for (path, accept) in [
        ("/privacy", "application/json"),
        ("/v1/privacy-statement", "*/*"),
    ] {
        let problem = open.get(path, &[("accept", accept)]).await;
        assert_eq!(
            (problem.status, problem.json()["code"].as_str()),
            (503, Some("locked"))
        );
    }
}

#[tokio::test]
async fn records_of_processing_are_for_whoever_may_audit_and_name_what_is_missing() {
    let open = Open::new();
    let path = urls::PROCESSING_RECORDS;
    assert_eq!(open.get(path, &[]).await.status, 401);
    let bot = format!("Bearer {}", open.key("bot"));
    let denied = open.get(path, &[("authorization", &bot)]).await;
    assert_eq!(denied.json()["code"], "role_denied");
    let auditor = format!("Bearer {}", open.key("auditor"));
    let asked = |accept| [("authorization", auditor.as_str()), ("accept", accept)];
    let record = open.get(path, &asked("application/json")).await.json();
    assert_eq!(
        record["activities"][0]["recipients"][0]["outside_eea"],
        true
    );
    assert_eq!(
        record["activities"][0]["lawful_basis"]["article"],
        "Art. 6(1)(b)"
    );
    let missing = record["missing"].as_array().expect("a list");
    let named = |what: &str| missing.iter().any(|one| one["what"] == what);
    assert!(named("the supervisory authority") && !named("the data protection officer"));
    let table = open
        .get(&format!("{path}?lang=de"), &asked("text/csv"))
        .await;
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<_> = table.text.split("\r\n").collect();
    assert!(lines[0].starts_with("\"row\",\"purpose\""));
    // A title that is a formula stays a text.
    assert!(
        lines[1].contains("\"'=HYPERLINK(\"\"x\"\")\""),
        "{}",
        lines[1]
    );
    let markdown = open.get(path, &asked("text/markdown")).await;
    assert!(
        markdown
            .text
            .starts_with("# Record of processing activities")
    );
    assert!(markdown.text.contains("## Not said in the policy"));
}

//! A server in this process, over a vault whose clock the test sets, without a socket.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use vault_core::clock::ManualClock;
use vault_core::id::CallId;
use vault_core::policy::SAMPLE;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, UnlockSecret, Vault, VaultPaths};
use vault_server::{App, AppSettings, CodeSink, Limits, router};

pub(crate) const HOUR: i64 = 3_600_000;

pub(crate) struct Bench {
    pub(crate) home: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Arc<Vault>,
    router: Router,
    app: App,
    runtime: tokio::runtime::Runtime,
    recovery: String,
}

/// An answer: status, body, and whether it had been given before.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) replayed: bool,
}

/// An answer that may be no JSON.
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) struct Page {
    pub(crate) status: u16,
    headers: axum::http::HeaderMap,
    pub(crate) text: String,
}

#[allow(dead_code, reason = "each test binary uses a part")]
impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("none", |value| value.to_str().expect("ASCII"))
    }
}

impl Answer {
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or("none"))
    }

    /// Statuses of a batch's results.
    pub(crate) fn statuses(&self) -> Vec<u64> {
        let results = self.body["results"].as_array().expect("results");
        results
            .iter()
            .map(|result| result["status"].as_u64().expect("a status"))
            .collect()
    }

    pub(crate) fn result(&self, index: usize) -> &Value {
        &self.body["results"][index]["body"]
    }
}

fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    }
}

fn serve(
    locked: LockedVault,
    vault: &Arc<Vault>,
    clock: &Arc<ManualClock>,
    (limits, codes): (Limits, Option<Arc<dyn CodeSink>>),
) -> App {
    let settings = AppSettings {
        codes,
        clock: clock.clone(),
        sweep_every: None,
        limits,
        ..AppSettings::from(&vault_server::config::ServerConfig::default())
    };
    App::new(locked, Some(vault.clone()), settings)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
        }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::under(SAMPLE)
    }

    pub(crate) fn under(policy: &str) -> Self {
        Self::limited(policy, Limits::default())
    }

    /// The same, whose callers may ask so much.
    pub(crate) fn limited(policy: &str, limits: Limits) -> Self {
        Self::set(policy, limits, None)
    }

    /// The same, whose codes go there.
    #[allow(dead_code, reason = "each test binary uses a part")]
    pub(crate) fn sending(policy: &str, codes: Arc<dyn CodeSink>) -> Self {
        Self::set(policy, Limits::default(), Some(codes))
    }

    fn set(policy: &str, limits: Limits, codes: Option<Arc<dyn CodeSink>>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let paths = VaultPaths::beside(&home.path().join("v"));
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let created = LockedVault::create(&paths, settings(&clock), &passphrase, policy);
        let created = created.expect("a vault");
        let app = serve(created.locked, &created.vault, &clock, (limits, codes));
        Self {
            router: router(app.clone()),
            app,
            recovery: created.recovery_key.to_text(),
            vault: created.vault,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            home,
            clock,
        }
    }

    fn reopened(home: TempDir, clock: Arc<ManualClock>, recovery: String) -> Self {
        let paths = VaultPaths::beside(&home.path().join("v"));
        let locked = LockedVault::open(&paths, settings(&clock)).expect("it is there");
        let key = UnlockSecret::RecoveryKey(recovery.parse().expect("a key"));
        let vault = locked.unlock(&key).expect("opens");
        let app = serve(locked, &vault, &clock, (Limits::default(), None));
        Self {
            router: router(app.clone()),
            app,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            home,
            clock,
            vault,
            recovery,
        }
    }

    /// Another process over the same files.
    pub(crate) fn restarted(self) -> Self {
        let Self {
            home,
            clock,
            vault,
            app,
            router,
            runtime,
            recovery,
        } = self;
        vault.close();
        drop((router, app, vault, runtime));
        Self::reopened(home, clock, recovery)
    }

    /// A process over the files as they are at this moment, which is what SIGKILL would leave.
    pub(crate) fn killed(&self) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        for part in ["v", "v-anchor"] {
            copy(&self.home.path().join(part), &home.path().join(part));
        }
        let clock = self.clock.clone();
        Self::reopened(home, clock, self.recovery.clone())
    }

    pub(crate) fn key(&self, role: &str) -> String {
        let principal = self.vault.keyholder();
        let call = Call {
            principal: &principal,
            purpose: None,
            restricted_use: None,
            id: CallId::from_bytes([1; 16]),
        };
        let made = self.vault.create_token(&call, role, None);
        made.expect("the keyholder makes keys").1
    }

    /// A call for `support`, with more headers.
    pub(crate) fn send(
        &self,
        key: &str,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let states = more.iter().any(|(name, _)| *name == "vault-purpose");
        if key.starts_with("vk_") && !states {
            request = request.header("vault-purpose", "support");
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string()));
        let request = request.expect("a request");
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await;
            let (head, body) = response.expect("infallible").into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 26).await.expect("a body");
            Answer {
                status: head.status.as_u16(),
                body: match bytes.is_empty() {
                    true => Value::Null,
                    false => serde_json::from_slice(&bytes).expect("JSON"),
                },
                replayed: head.headers.contains_key("idempotent-replayed"),
            }
        })
    }

    /// Status, headers and bytes, as they are.
    #[allow(dead_code, reason = "each test binary uses a part")]
    pub(crate) fn raw(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Vec<(String, String)>, Vec<u8>) {
        self.raw_for("support", key, method, path, body)
    }

    /// The same for a purpose.
    #[allow(dead_code, reason = "each test binary uses a part")]
    pub(crate) fn raw_for(
        &self,
        purpose: &str,
        key: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .header("vault-purpose", purpose)
            .body(Body::from(body.to_string()))
            .expect("a request");
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await;
            let (head, body) = response.expect("infallible").into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 26).await.expect("a body");
            let text = |value: &axum::http::HeaderValue| value.to_str().expect("ASCII").to_owned();
            let headers = head.headers.iter();
            let headers = headers.map(|(name, value)| (name.to_string(), text(value)));
            (head.status.as_u16(), headers.collect(), bytes.to_vec())
        })
    }

    /// What a browser with this key would get.
    #[allow(dead_code, reason = "each test binary uses a part")]
    pub(crate) fn page(&self, key: &str, path: &str, accept: &str) -> Page {
        let request = Request::get(path)
            .header("authorization", format!("Bearer {key}"))
            .header("accept", accept)
            .body(Body::empty())
            .expect("a request");
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await;
            let (head, body) = response.expect("infallible").into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 26).await.expect("a body");
            Page {
                status: head.status.as_u16(),
                headers: head.headers,
                text: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
            }
        })
    }

    /// A POST of a body that is no JSON.
    #[allow(dead_code, reason = "each test binary uses a part")]
    pub(crate) fn post_text(
        &self,
        key: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::post(path).header("authorization", format!("Bearer {key}"));
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned()));
        let request = request.expect("a request");
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await;
            let (head, body) = response.expect("infallible").into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 26).await.expect("a body");
            Answer {
                status: head.status.as_u16(),
                body: serde_json::from_slice(&bytes).expect("JSON"),
                replayed: head.headers.contains_key("idempotent-replayed"),
            }
        })
    }

    /// What a scraper of metrics is shown.
    #[allow(dead_code, reason = "each test binary uses a part")]
    pub(crate) fn metrics(&self) -> String {
        self.app.metrics_text()
    }

    pub(crate) fn call(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        self.send(key, method, path, &[], &body)
    }

    /// A POST with an idempotency key.
    pub(crate) fn once(&self, key: &str, path: &str, name: &str, body: &Value) -> Answer {
        self.send(key, "POST", path, &[("idempotency-key", name)], body)
    }

    pub(crate) fn batch(&self, key: &str, operations: &[Value]) -> Answer {
        self.call(key, "POST", "/v1/batch", json!({"operations": operations}))
    }

    pub(crate) fn person(&self, key: &str, user: &str) -> String {
        let body = json!({"channel": "web", "user": user});
        let made = self.call(key, "POST", "/v1/subjects", body);
        assert!(made.status < 300, "{}", made.body);
        made.body["subject"].as_str().expect("an id").to_owned()
    }

    /// Texts of the person's messages.
    pub(crate) fn messages(&self, key: &str, subject: &str) -> Vec<String> {
        let path = format!("/v1/subjects/{subject}/records/messages?limit=1000");
        let page = self.call(key, "GET", &path, Value::Null);
        let records = page.body["records"].as_array().expect("records");
        let texts = records.iter().map(|record| &record["fields"]["text"]);
        texts
            .map(|text| text.as_str().expect("text").to_owned())
            .collect()
    }
}

/// An operation for `support`.
pub(crate) fn operation(method: &str, path: &str, body: Value) -> Value {
    let mut operation = json!({"method": method, "path": path, "purpose": "support"});
    if !body.is_null() {
        operation["body"] = body;
    }
    operation
}

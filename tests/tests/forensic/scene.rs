//! A vault that is served, people whose every value is known, and copies of its files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, start};
use vault_core::clock::ManualClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::CallId;
use vault_core::vault::{Call, Created, LockedVault, Passphrase, Settings, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, Limits, Server};
use zeroize::Zeroizing;

use super::files::Image;
use super::person::{Person, photograph};

pub(crate) const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
address = "Pier 1, Harlingen"
contact = "privacy@ferries.example.test"
authority = "Autoriteit Persoonsgegevens"
country = "NL"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
recipients = ["carrier"]

[purposes.newsletter]
title.en = "Sending you our newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[recipients.carrier]
name = "Invented Carrier"
country = "DE"

[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name", purposes = ["support"] }
email = { type = "email", purposes = ["support", "newsletter"], lookup = true }
phone = { type = "phone", purposes = ["support"], lookup = true }
birth = { type = "date", purposes = ["support"] }
slots = { type = "json", purposes = ["support"] }
photo = { type = "blob", purposes = ["support"], media_types = ["image/*"] }

[collections.messages]
kind = "many"
retention = "P90D"
[collections.messages.fields]
text = { type = "text", purposes = ["support"] }

[collections.bookings]
kind = "many"
[collections.bookings.fields]
number = { type = "identifier", purposes = ["support"], lookup = true }
cabin  = { type = "number", purposes = ["support"] }

[roles.bot]
purposes = ["support", "newsletter"]
read  = { "profile.*" = "full", "messages.*" = "full", "bookings.*" = "full" }
write = ["profile.*", "messages.*", "bookings.*"]
may   = ["subjects.create", "subjects.lookup", "sessions.create", "consents.record",
         "records.bulk", "records.purge", "disclosures.record",
         "requests.create", "decisions.record"]

[roles.dpo]
may = ["subjects.view", "subjects.erase", "holds.manage"]

[roles.keeper]
may = ["api_keys.manage", "audit.read", "keys.manage", "policy.apply", "policy.read", "retention.run"]
"#;

pub(crate) struct Scene {
    pub(crate) url: String,
    /// Each role's API key.
    pub(crate) tokens: BTreeMap<String, Zeroizing<String>>,
    pub(crate) passphrase: String,
    pub(crate) dir: PathBuf,
    anchor: PathBuf,
    parent: tempfile::TempDir,
    /// Ends the server and the vault.
    end: Box<dyn FnOnce() + Send + Sync>,
}

impl Scene {
    pub(crate) fn open() -> Self {
        Self::open_under(POLICY)
    }

    /// The same under another policy.
    pub(crate) fn open_under(policy: &str) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let options = DevOptions {
            dir: Some(parent.path().join("vault")),
            policy: Some(policy.to_owned()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            ..DevOptions::default()
        };
        let running = start(options).map_err(|_| "dev does not start").unwrap();
        Self {
            url: running.url.clone(),
            tokens: running.tokens.clone(),
            passphrase: running.passphrase.to_string(),
            dir: running.dir.clone(),
            anchor: running.anchor.clone(),
            parent,
            end: Box::new(|| running.stop().map_err(|_| "dev does not stop").unwrap()),
        }
    }

    /// A scene whose clock the test moves, and whose sweeper runs when it is told.
    pub(crate) fn open_at(clock: &Arc<ManualClock>) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let paths = VaultPaths::beside(&parent.path().join("vault"));
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(clock.clone())
        };
        let passphrase = "correct horse battery".to_owned();
        let secret = Passphrase::new(passphrase.clone()).unwrap();
        let Created { locked, vault, .. } =
            LockedVault::create(&paths, settings, &secret, POLICY).unwrap();
        let keyholder = vault.keyholder();
        let token = |role: String| {
            let call = Call {
                principal: &keyholder,
                purpose: None,
                restricted_use: None,
                id: CallId::generate(&mut OsEntropy),
            };
            let (_, token) = vault.create_token(&call, &role, None).unwrap();
            (role, Zeroizing::new(token))
        };
        let tokens = vault.role_names().into_iter().map(token).collect();
        let settings = AppSettings {
            clock: clock.clone(),
            sweep_every: None,
            limits: Limits::widest(),
            ..AppSettings::from(&ServerConfig::default())
        };
        let app = App::new(locked, Some(vault), settings);
        let (address, end) = serve(app);
        Self {
            url: format!("http://{address}"),
            tokens,
            passphrase,
            dir: paths.dir,
            anchor: paths.anchor,
            parent,
            end: Box::new(end),
        }
    }

    pub(crate) fn token(&self, role: &str) -> &str {
        &self.tokens[role]
    }

    pub(crate) fn call(&self, role: &str, method: &str, path: &str, body: &Value) -> Value {
        self.call_as(self.token(role), method, path, body)
    }

    /// A call with this bearer, which must succeed.
    pub(crate) fn call_as(&self, bearer: &str, method: &str, path: &str, body: &Value) -> Value {
        self.call_once(bearer, method, path, None, body)
    }

    /// The same, which may be sent again under this name.
    pub(crate) fn call_once(
        &self,
        bearer: &str,
        method: &str,
        path: &str,
        name: Option<&str>,
        body: &Value,
    ) -> Value {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Vault-Purpose", "support")
            .header("Content-Type", "application/json");
        if let Some(name) = name {
            request = request.header("Idempotency-Key", name);
        }
        let mut answer = match method {
            "DELETE" | "GET" => ureq::run(request.body(()).unwrap()).unwrap(),
            _ => ureq::run(request.body(body.to_string()).unwrap()).unwrap(),
        };
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Stores a photograph, or removes it.
    pub(crate) fn photo(&self, method: &str, person: &str, content: &[u8]) {
        let path = format!("subjects/{person}/blobs/profile/photo");
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url))
            .header("Authorization", format!("Bearer {}", self.token("bot")))
            .header("Vault-Purpose", "support")
            .header("Content-Type", "image/jpeg");
        let answer = match method {
            "DELETE" => ureq::run(request.body(()).unwrap()),
            _ => ureq::run(request.body(content.to_vec()).unwrap()),
        };
        assert_eq!(answer.unwrap().status(), 200);
    }

    pub(crate) fn records(&self, method: &str, person: &str, path: &str, body: &Value) -> Value {
        let path = format!("subjects/{person}/records/{path}");
        self.call("bot", method, &path, body)
    }

    /// A person of whom nothing but this is known.
    pub(crate) fn subject(&self, user: &str) -> String {
        let body = json!({"channel": "web", "user": user});
        let subject = &self.call("bot", "POST", "subjects", &body)["subject"];
        subject.as_str().unwrap().to_owned()
    }

    /// Enough people that the maps have inner nodes: a leaf holds 64.
    pub(crate) fn crowd(&self) -> Vec<String> {
        let user = |number| format!("passenger {number}");
        (0..66).map(|number| self.subject(&user(number))).collect()
    }

    /// A person with everything: a profile, messages, a booking, and a consent that was withdrawn.
    pub(crate) fn person(&self, name: &str) -> Person {
        let low = name.to_lowercase();
        let user = format!("user-{low}");
        let subject = self.subject(&user);
        let number = low
            .bytes()
            .fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % 10_000_000);
        let profile = json!({
            "name": format!("{name} Vandermolen"),
            "email": format!("{low}@mail.example.test"),
            "phone": format!("+31 20 {number:07}"),
            "birth": "1987-06-05",
            "slots": {"parrot": format!("{name}'s parrot"), "toys": vec!["bell"; 60]},
        });
        let messages = json!([
            {"text": format!("{name} lost a suitcase")},
            {"text": format!("{name} found it again")},
        ]);
        let booking = json!({"number": format!("bk-{low}"), "cabin": 1177});
        self.records("PATCH", &subject, "profile", &profile);
        self.photo("PUT", &subject, &photograph(name, 3_100));
        let (bot, path) = (
            self.token("bot"),
            format!("subjects/{subject}/records/messages"),
        );
        let messages = self.call_once(bot, "POST", &path, Some(&format!("k-{low}")), &messages);
        self.records("POST", &subject, "bookings", &booking);
        let consent = format!("subjects/{subject}/consents/newsletter");
        let said = json!({"given": true, "notice": "v1", "message_id": format!("m-{low}-said")});
        self.call("bot", "PUT", &consent, &said);
        self.call("bot", "DELETE", &consent, &Value::Null);
        let record = messages["records"][0].as_str().unwrap();
        Person {
            name: name.to_owned(),
            user,
            subject,
            profile,
            message: record.to_owned(),
        }
    }

    /// A conversation with this person: a session that makes one read.
    pub(crate) fn converse(&self, person: &Person) {
        let session = json!({"purpose": "support", "fields": ["profile.name"], "reads": 3});
        let path = format!("subjects/{}/sessions", person.subject);
        let session = self.call("bot", "POST", &path, &session);
        let token = session["token"].as_str().unwrap();
        let profile = "subjects/self/records/profile";
        self.call_as(token, "GET", profile, &Value::Null);
    }

    /// This person asks for everything to be erased, in words.
    pub(crate) fn ask(&self, person: &Person) {
        let words = format!("{} wants it all gone", person.name);
        let path = format!("subjects/{}/requests", person.subject);
        let body = json!({"type": "erase", "details": words});
        let made = self.call("bot", "POST", &path, &body);
        assert_eq!(made["state"], "received");
        let words = format!("{} gets no refund", person.name);
        let path = format!("subjects/{}/decisions", person.subject);
        let body = json!({"kind": "refund", "outcome": words, "automation": "human",
            "significant": true, "inputs": ["profile.slots"]});
        let made = self.call("bot", "POST", &path, &body);
        assert_eq!(made["state"], "effective");
    }

    /// The files as they are now. Nothing is being written: every call has been answered.
    pub(crate) fn image(&self) -> Image {
        Image::read(&self.dir, &self.anchor).unwrap()
    }

    /// The files after the end.
    pub(crate) fn stop(self) -> (Image, tempfile::TempDir) {
        (self.end)();
        (Image::read(&self.dir, &self.anchor).unwrap(), self.parent)
    }
}

fn serve(app: App) -> (SocketAddr, impl FnOnce() + Send + Sync) {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (bound, address) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let config = ServerConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..ServerConfig::default()
        };
        let run = async {
            let server = Server::bind(&config, app).await.unwrap();
            bound.send(server.local_addr().unwrap()).unwrap();
            let stopped = async move { drop(stopped.await) };
            server.run(stopped).await.unwrap();
        };
        tokio::runtime::Runtime::new().unwrap().block_on(run);
    });
    let end = move || {
        drop(stop);
        thread.join().unwrap();
    };
    (address.recv().unwrap(), end)
}

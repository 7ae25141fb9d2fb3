//! A vault that is served, people whose every value is known, and copies of its files.

use std::path::Path;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};

use super::cipher::Id;

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
         "records.bulk", "records.purge"]

[roles.dpo]
may = ["subjects.view", "subjects.erase"]

[roles.keeper]
may = ["api_keys.manage", "audit.read", "keys.manage", "policy.apply", "policy.read", "retention.run"]
"#;

/// A vault's files at one moment.
pub(crate) struct Image {
    pub(crate) database: Vec<u8>,
    pub(crate) anchor: Vec<u8>,
    pub(crate) slots: Vec<u8>,
    pub(crate) journal: Vec<u8>,
}

impl Image {
    pub(crate) fn of(dir: &Path, anchor: &Path) -> Self {
        let read = |path: &Path| std::fs::read(path).unwrap();
        Self {
            database: read(&dir.join("vault.redb")),
            anchor: read(&anchor.join("anchor")),
            slots: read(&anchor.join("slots")),
            journal: read(&dir.join("journal")),
        }
    }
}

pub(crate) struct Scene {
    pub(crate) running: Running,
    pub(crate) parent: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn open() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let options = DevOptions {
            dir: Some(parent.path().join("vault")),
            policy: Some(POLICY.to_owned()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            ..DevOptions::default()
        };
        let running = start(options).map_err(|_| "dev does not start").unwrap();
        Self { running, parent }
    }

    pub(crate) fn call(&self, role: &str, method: &str, path: &str, body: &Value) -> Value {
        self.call_as(self.running.token(role), method, path, body)
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
            .uri(format!("{}/v1/{path}", self.running.url))
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
            .uri(format!("{}/v1/{path}", self.running.url))
            .header(
                "Authorization",
                format!("Bearer {}", self.running.token("bot")),
            )
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
            self.running.token("bot"),
            format!("subjects/{subject}/records/messages"),
        );
        let messages = self.call_once(bot, "POST", &path, Some(&format!("k-{low}")), &messages);
        self.records("POST", &subject, "bookings", &booking);
        let consent = format!("subjects/{subject}/consents/newsletter");
        let said = json!({"given": true, "notice": "v1", "message_id": format!("m-{low}")});
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

    /// The files as they are now. Nothing is being written: every call has been answered.
    pub(crate) fn image(&self) -> Image {
        Image::of(&self.running.dir, &self.running.anchor)
    }

    /// The files after the end.
    pub(crate) fn stop(self) -> (Image, tempfile::TempDir) {
        let (dir, anchor) = (self.running.dir.clone(), self.running.anchor.clone());
        self.running
            .stop()
            .map_err(|_| "dev does not stop")
            .unwrap();
        (Image::of(&dir, &anchor), self.parent)
    }
}

/// A person and what was stored of them.
pub(crate) struct Person {
    pub(crate) name: String,
    user: String,
    pub(crate) subject: String,
    pub(crate) profile: Value,
    /// Their first message.
    pub(crate) message: String,
}

impl Person {
    pub(crate) fn id(&self) -> Id {
        bits(&self.subject)
    }

    /// Every value as it is stored now.
    pub(crate) fn values(&self) -> Vec<String> {
        let profile = self.profile.as_object().unwrap().values();
        let mut values: Vec<String> = profile.map(Value::to_string).collect();
        values.push(format!("\"{} lost a suitcase\"", self.name));
        values.push(format!("\"{} found it again\"", self.name));
        values.push(format!("\"bk-{}\"", self.name.to_lowercase()));
        values
    }

    /// Their photograph, where it was not replaced.
    pub(crate) fn photograph(&self) -> Vec<u8> {
        photograph(&self.name, 3_100)
    }

    /// The normal forms of what they can be looked up by.
    pub(crate) fn normal_forms(&self) -> Vec<Vec<u8>> {
        let digits = self.profile["phone"].as_str().unwrap().replace(' ', "");
        vec![
            channel_form("web", &self.user),
            self.profile["email"].as_str().unwrap().into(),
            digits.into_bytes(),
            format!("bk-{}", self.name.to_lowercase()).into_bytes(),
        ]
    }

    /// Texts that stand in their values and in no other's.
    pub(crate) fn canaries(&self) -> Vec<String> {
        let low = self.name.to_lowercase();
        vec![self.name.clone(), low, self.subject.clone()]
    }
}

/// A photograph that shows nothing but a name, over and over.
pub(crate) fn photograph(name: &str, length: usize) -> Vec<u8> {
    let of = format!(" {name} in a photograph,");
    let text = of.bytes().cycle();
    [0xff, 0xd8, 0xff]
        .into_iter()
        .chain(text)
        .take(length)
        .collect()
}

/// The normal form of `{channel, user}`.
pub(crate) fn channel_form(channel: &str, user: &str) -> Vec<u8> {
    let length = u32::to_be_bytes(channel.len() as u32);
    [&length, channel.as_bytes(), user.as_bytes()].concat()
}

pub(crate) fn base32(text: &str) -> Vec<u8> {
    crockford().decode(text.as_bytes()).unwrap()
}

fn crockford() -> data_encoding::Encoding {
    let mut base32 = data_encoding::Specification::new();
    base32.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    base32.encoding().unwrap()
}

/// An identifier as the interface writes it.
pub(crate) fn id_text(prefix: &str, id: &Id) -> String {
    format!("{prefix}_{}", crockford().encode(id))
}

/// The bits of an identifier behind its prefix.
pub(crate) fn bits(id: &str) -> Id {
    base32(id.split_once('_').unwrap().1).try_into().unwrap()
}

//! A well-behaved bot: one connection, one API key, people of its own, and a memory of all that it
//! wrote about them.
//!
//! Failure is an answer that is not what was written: another status, another value, a record too
//! many or too few, anything of an erased person. Being told to come back later (429 or 503 with
//! `Retry-After`) is none: the bot waits and says it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Request;
use serde_json::{Map, Value, json};

use super::report::Tally;
use super::rng::Rng;
use super::wire::{Answer, Link};
use crate::dialer::Dialer;

const PEOPLE_MAX: usize = 3;
const MESSAGES_MAX: usize = 40;
const PAGE: usize = 7;
/// Below what the vault answers for one person and day.
const ASKS_MAX: u32 = 40;
/// The longest that `Retry-After` is obeyed; a second call comes to no harm by being early.
const WAIT_MAX: u64 = 5;

/// What a kind of call is called in the report.
type Kind = &'static str;
type Played = Result<(), String>;

struct Known {
    subject: String,
    profile: Map<String, Value>,
    etag: Option<String>,
    messages: Vec<Value>,
    asks: u32,
}

/// One bot on one connection.
pub(super) struct Player {
    link: Link,
    key: String,
    name: String,
    rng: Rng,
    people: Vec<Known>,
    met: u64,
    tally: Tally,
    end: Instant,
    /// Between two steps.
    rest: Duration,
    /// Whether it waited for the server until the end.
    over: bool,
}

impl Player {
    pub(super) fn new(
        dialer: Arc<Dialer>,
        key: String,
        name: String,
        rng: Rng,
        end: Instant,
        rest: Duration,
    ) -> Self {
        Self {
            link: Link::new(dialer),
            key,
            name,
            rng,
            people: Vec::new(),
            met: 0,
            tally: Tally::default(),
            end,
            rest,
            over: false,
        }
    }

    /// Plays until the end, or until something is not as it must be.
    pub(super) async fn play(mut self) -> Tally {
        while Instant::now() < self.end {
            if let Err(wrong) = self.step().await {
                if !self.over {
                    self.tally.wrong(format!("{}: {wrong}", self.name));
                }
                break;
            }
            if !self.rest.is_zero() {
                tokio::time::sleep(self.rest).await;
            }
        }
        self.tally.connections(self.link.opened);
        self.tally
    }

    async fn step(&mut self) -> Played {
        if self.people.is_empty() || (self.people.len() < PEOPLE_MAX && self.rng.below(20) == 0) {
            return self.create().await;
        }
        let which = self.rng.below(self.people.len());
        match self.rng.below(100) {
            0..25 => self.patch(which).await,
            25..50 => self.append(which).await,
            50..65 => self.list(which).await,
            65..88 => self.read(which).await,
            88..93 => self.ask(which).await,
            93..97 => self.session(which).await,
            _ => self.erase(which).await,
        }
    }

    async fn create(&mut self) -> Played {
        self.met += 1;
        let who = json!({"channel": "soak", "user": format!("{}-{}", self.name, self.met)});
        let made = self.post("create", "/v1/subjects", &who, 201).await?;
        check(made.body["created"] == true, "create")?;
        let subject = made.body["subject"].as_str().ok_or("create: no subject")?;
        self.people.push(Known {
            subject: subject.to_owned(),
            profile: Map::new(),
            etag: None,
            messages: Vec::new(),
            asks: 0,
        });
        // The same again is the same person.
        let again = self.post("create again", "/v1/subjects", &who, 200).await?;
        check(
            again.body["subject"] == made.body["subject"],
            "create again",
        )
    }

    async fn patch(&mut self, which: usize) -> Played {
        let path = self.path(which, "/records/profile");
        let number = self.rng.below(1_000_000);
        let (field, value) = match self.rng.below(5) {
            0 => ("name", json!(format!("Person {number} Äöü"))),
            1 => (
                "email",
                json!(format!("{}-{number}@soak.example.test", self.name)),
            ),
            2 => ("birth", json!(self.birth())),
            3 => (
                "slots",
                json!({"seat": number, "notes": ["a", {"deep": number % 7}], "on": true}),
            ),
            _ => ("slots", Value::Null),
        };
        let body = json!({field: value});
        let known = self.people[which].etag.clone();
        let stale = self.rng.below(8) == 0;
        let if_match = match stale {
            true => Some("\"AAAAAAAAAAAAAAAAAAAAAA\"".to_owned()),
            false => known,
        };
        let key = self.key.clone();
        let request = Call::new("PATCH", &path, &key)
            .with(&body)
            .matching(if_match);
        if stale {
            let refused = self.call("patch, stale", request, 412).await?;
            return check(refused.code() == "precondition_failed", "patch, stale");
        }
        let written = self.call("patch", request, 200).await?;
        let person = &mut self.people[which];
        check(written.etag.is_some(), "patch: no revision")?;
        person.etag = written.etag;
        match value {
            Value::Null => drop(person.profile.remove(field)),
            value => drop(person.profile.insert(field.to_owned(), value)),
        }
        Ok(())
    }

    async fn append(&mut self, which: usize) -> Played {
        if self.people[which].messages.len() >= MESSAGES_MAX {
            return self.erase(which).await;
        }
        let path = self.path(which, "/records/messages");
        let said: Vec<Value> = (0..=self.rng.below(4)).map(|_| self.message()).collect();
        let appended = self.post("append", &path, &json!(said), 201).await?;
        let records = appended.body["records"].as_array().map(Vec::len);
        check(records == Some(said.len()), "append")?;
        self.people[which].messages.extend(said);
        Ok(())
    }

    async fn list(&mut self, which: usize) -> Played {
        let base = self.path(which, &format!("/records/messages?limit={PAGE}"));
        let mut path = base.clone();
        let mut found = Vec::new();
        loop {
            let page = self.get("list", &path, 200).await?;
            let records = page.body["records"].as_array().ok_or("list: no records")?;
            found.extend(records.iter().map(|record| record["fields"].clone()));
            match page.body["next"].as_str() {
                Some(next) if !records.is_empty() => path = format!("{base}&cursor={next}"),
                Some(_) => return Err("list: an empty page with a next".into()),
                None => return check(found == self.people[which].messages, "list"),
            }
        }
    }

    async fn read(&mut self, which: usize) -> Played {
        let path = self.path(which, "/records/profile");
        let read = self.get("read", &path, 200).await?;
        let person = &self.people[which];
        check(
            read.body["fields"] == Value::Object(person.profile.clone()),
            "read",
        )?;
        check(
            person.etag.is_none() || read.etag == person.etag,
            "read: another revision",
        )
    }

    async fn ask(&mut self, which: usize) -> Played {
        let person = &mut self.people[which];
        let Some(birth) = person.profile.get("birth").and_then(Value::as_str) else {
            return Ok(());
        };
        if person.asks >= ASKS_MAX {
            return Ok(());
        }
        person.asks += 1;
        // Births are so far from eighteen years ago that the day does not matter.
        let expected = birth < "2001";
        let path = self.path(which, "/ask");
        let test = json!({"field": "profile.birth", "test": {"age_at_least": 18}});
        let told = self.post("ask", &path, &test, 200).await?;
        check(told.body["answer"] == expected, "ask")
    }

    /// A session reads two fields twice and writes once, and then nothing more.
    async fn session(&mut self, which: usize) -> Played {
        let path = self.path(which, "/sessions");
        let wish = json!({"purpose": "support", "fields": ["profile.name", "messages.*"],
            "reads": 2, "writes": 1, "expires_in": 600});
        let begun = self.post("session", &path, &wish, 201).await?;
        let token = begun.body["token"]
            .as_str()
            .ok_or("session: no token")?
            .to_owned();
        let session = begun.body["session"].as_str().ok_or("session: no name")?;
        let end = format!("{path}/{session}");
        let profile = "/v1/subjects/self/records/profile";
        let mut expected = self.people[which].profile.clone();
        expected.retain(|field, _| field == "name");
        for _ in 0..2 {
            let request = Call::new("GET", profile, &token).without_purpose();
            let read = self.call("session read", request, 200).await?;
            check(
                read.body["fields"] == Value::Object(expected.clone()),
                "session read",
            )?;
        }
        if self.people[which].messages.len() < MESSAGES_MAX {
            let said = self.message();
            let messages = "/v1/subjects/self/records/messages";
            let request = Call::new("POST", messages, &token)
                .with(&said)
                .without_purpose();
            self.call("session append", request, 201).await?;
            self.people[which].messages.push(said);
        }
        let request = Call::new("GET", profile, &token).without_purpose();
        let spent = self.call("session, spent", request, 403).await?;
        check(spent.code() == "role_denied", "session, spent")?;
        let key = self.key.clone();
        self.call("session end", Call::new("DELETE", &end, &key), 200)
            .await?;
        let request = Call::new("GET", profile, &token).without_purpose();
        self.call("session, ended", request, 401).await.map(drop)
    }

    async fn erase(&mut self, which: usize) -> Played {
        let person = self.people.swap_remove(which);
        let path = format!("/v1/subjects/{}", person.subject);
        let key = self.key.clone();
        let erased = self
            .call("erase", Call::new("DELETE", &path, &key), 200)
            .await?;
        check(erased.body["receipt"].is_object(), "erase: no receipt")?;
        let gone = self
            .get("erased", &format!("{path}/records/messages"), 410)
            .await?;
        check(gone.code() == "erased", "erased")
    }

    fn message(&mut self) -> Value {
        let words = [
            "hello",
            "where is my booking",
            "grüß Gott",
            "🙂",
            "seat 12C, please",
        ];
        let count = 1 + self.rng.below(12);
        let text: Vec<_> = (0..count)
            .map(|_| words[self.rng.below(words.len())])
            .collect();
        let from = ["user", "bot"][self.rng.below(2)];
        json!({"from": from, "text": text.join(" ")})
    }

    fn birth(&mut self) -> String {
        let year = match self.rng.below(2) {
            0 => 1940 + self.rng.below(61),
            _ => 2015 + self.rng.below(6),
        };
        format!(
            "{year}-{:02}-{:02}",
            1 + self.rng.below(12),
            1 + self.rng.below(28)
        )
    }

    fn path(&self, which: usize, rest: &str) -> String {
        format!("/v1/subjects/{}{rest}", self.people[which].subject)
    }

    async fn get(&mut self, kind: Kind, path: &str, status: u16) -> Result<Answer, String> {
        let key = self.key.clone();
        self.call(kind, Call::new("GET", path, &key), status).await
    }

    async fn post(
        &mut self,
        kind: Kind,
        path: &str,
        body: &Value,
        status: u16,
    ) -> Result<Answer, String> {
        let key = self.key.clone();
        let request = Call::new("POST", path, &key).with(body);
        self.call(kind, request, status).await
    }

    /// Calls until the answer is not "later", and demands this status.
    async fn call(&mut self, kind: Kind, call: Call, status: u16) -> Result<Answer, String> {
        let request = call.request();
        loop {
            let start = Instant::now();
            let sent = self.link.send(&request).await;
            let answer = sent.map_err(|error| format!("{kind}: {error}"))?;
            if let (429 | 503, Some(seconds)) = (answer.status, answer.retry_after) {
                self.tally.shed(answer.code());
                self.over = Instant::now() >= self.end;
                if self.over {
                    return Err("told to come back later until the end".into());
                }
                tokio::time::sleep(Duration::from_secs(seconds.min(WAIT_MAX))).await;
                continue;
            }
            self.tally.call(kind, start.elapsed());
            if answer.status >= 400 {
                self.tally.refused(answer.code());
            }
            if answer.status == status {
                return Ok(answer);
            }
            let (found, code) = (answer.status, answer.code());
            return Err(format!("{kind}: {found} `{code}` where {status} must come"));
        }
    }
}

fn check(held: bool, what: &str) -> Played {
    match held {
        true => Ok(()),
        false => Err(format!("{what}: not what was written")),
    }
}

/// A request in the making.
struct Call {
    builder: hyper::http::request::Builder,
    body: Bytes,
    purpose: bool,
}

impl Call {
    fn new(method: &str, path: &str, bearer: &str) -> Self {
        let builder = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("authorization", format!("Bearer {bearer}"));
        Self {
            builder,
            body: Bytes::new(),
            purpose: true,
        }
    }

    fn with(mut self, body: &Value) -> Self {
        self.builder = self.builder.header("content-type", "application/json");
        self.body = body.to_string().into();
        self
    }

    fn matching(mut self, etag: Option<String>) -> Self {
        if let Some(etag) = etag {
            self.builder = self.builder.header("if-match", etag);
        }
        self
    }

    /// A session's token implies it.
    fn without_purpose(mut self) -> Self {
        self.purpose = false;
        self
    }

    fn request(self) -> Request<Bytes> {
        let builder = match self.purpose {
            true => self.builder.header("vault-purpose", "support"),
            false => self.builder,
        };
        builder
            .body(self.body)
            .expect("fixed names and plain values")
    }
}

//! One conversation, played by three roles.
//!
//! Knows the sample policy: `profile.{name, email, slots}`, `messages.{from, text}`, the bot sees
//! all of it, the agent the name in full, the e-mail masked and the messages.

use std::time::Instant;

use serde_json::{Map, Value, json};
use vault_cli::http::{Client, Reply};

use super::Clients;
use super::conversation::Conversation;
use super::report::Timings;

/// Records a page: small, so that conversations need several.
const PAGE: usize = 7;
const SUPPORT: Option<&str> = Some("support");

/// A person that the vault holds.
pub(super) struct Person {
    subject: String,
    erased: bool,
}

/// What went wrong: the kind of call.
type Played<T> = Result<T, &'static str>;

/// One conversation on one thread.
pub(super) struct Player<'a> {
    clients: &'a Clients,
    conversation: &'a Conversation,
    channel: &'a str,
    timings: &'a mut Timings,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        clients: &'a Clients,
        conversation: &'a Conversation,
        channel: &'a str,
        timings: &'a mut Timings,
    ) -> Self {
        Self {
            clients,
            conversation,
            channel,
            timings,
        }
    }

    /// The bot meets the person, stores as it goes and reads back before each of its turns.
    pub(super) fn converse(&mut self) -> Played<Person> {
        let conversation = self.conversation;
        let bot = &self.clients.bot;
        let who = json!({"channel": self.channel, "user": conversation.conversation});
        let reply = self.call("create", bot, "POST", "/v1/subjects", Some(&who), 201)?;
        let subject = reply.body["subject"].as_str().ok_or("create")?.to_owned();
        let profile = format!("/v1/subjects/{subject}/records/profile");
        let messages = format!("/v1/subjects/{subject}/records/messages");
        let mut expected = self.known_of_person();
        let first = Value::Object(expected.clone());
        self.call("set profile", bot, "PATCH", &profile, Some(&first), 200)?;

        let turns = conversation.turns();
        let mut turn = 0;
        for message in &conversation.messages {
            if message.from == "user" {
                turn += 1;
                let slots = Value::Object(conversation.slots_after(turn, turns));
                expected.insert("slots".into(), slots.clone());
                let patch = json!({"slots": slots});
                self.call("set slots", bot, "PATCH", &profile, Some(&patch), 200)?;
            } else {
                let read = self.call("read back", bot, "GET", &profile, None, 200)?;
                check(
                    read.body["fields"].as_object() == Some(&expected),
                    "read back",
                )?;
            }
            let record = json!({"from": message.from, "text": message.text});
            self.call("append", bot, "POST", &messages, Some(&record), 201)?;
        }
        Ok(Person {
            subject,
            erased: false,
        })
    }

    /// The agent reads all messages and the masked profile.
    pub(super) fn attend(&mut self, person: &Option<Person>) -> Played<()> {
        let Some(person) = person else { return Ok(()) };
        self.messages(person)?;
        let path = format!("/v1/subjects/{}/records/profile", person.subject);
        let agent = &self.clients.agent;
        let read = self.call("agent profile", agent, "GET", &path, None, 200)?;
        check(self.is_masked(&read.body), "agent profile")
    }

    /// The officer erases the person.
    pub(super) fn erase(&mut self, person: &mut Option<Person>) -> Played<()> {
        let Some(person) = person else { return Ok(()) };
        let path = format!("/v1/subjects/{}", person.subject);
        let dpo = &self.clients.dpo;
        let reply = self.call("erase", dpo, "DELETE", &path, None, 200)?;
        check(reply.body["receipt"].is_object(), "erase")?;
        person.erased = true;
        Ok(())
    }

    /// Nobody finds an erased person.
    pub(super) fn find_erased(&mut self, person: &Option<Person>) -> Played<()> {
        let Some(person) = person.as_ref().filter(|person| person.erased) else {
            return Ok(());
        };
        let base = format!("/v1/subjects/{}", person.subject);
        let (profile, messages) = (
            format!("{base}/records/profile"),
            format!("{base}/records/messages"),
        );
        let (bot, agent, dpo) = (&self.clients.bot, &self.clients.agent, &self.clients.dpo);
        for (client, path) in [(bot, &profile), (agent, &messages), (dpo, &base)] {
            let gone = self.call("erased", client, "GET", path, None, 410)?;
            check(gone.code() == "erased", "erased")?;
        }
        Ok(())
    }

    /// Everybody else still reads right.
    pub(super) fn find_intact(&mut self, person: &Option<Person>) -> Played<()> {
        let Some(person) = person else { return Ok(()) };
        let mut expected = self.known_of_person();
        if self.conversation.turns() > 0 {
            expected.insert(
                "slots".into(),
                Value::Object(self.conversation.slots.clone()),
            );
        }
        let path = format!("/v1/subjects/{}/records/profile", person.subject);
        let bot = &self.clients.bot;
        let read = self.call("still there", bot, "GET", &path, None, 200)?;
        check(
            read.body["fields"].as_object() == Some(&expected),
            "still there",
        )?;
        self.messages(person)
    }

    /// All pages, compared with what was said.
    fn messages(&mut self, person: &Person) -> Played<()> {
        let base = format!(
            "/v1/subjects/{}/records/messages?limit={PAGE}",
            person.subject
        );
        let mut path = base.clone();
        let mut rest = self.conversation.messages.iter();
        loop {
            let agent = &self.clients.agent;
            let page = self.call("list messages", agent, "GET", &path, None, 200)?;
            let records = page.body["records"].as_array().ok_or("list messages")?;
            for record in records {
                let message = rest.next().ok_or("list messages")?;
                let said = json!({"from": message.from, "text": message.text});
                check(record["fields"] == said, "list messages")?;
            }
            match page.body["next"].as_str() {
                // An empty page with a cursor would never end.
                Some(cursor) if !records.is_empty() => {
                    path = format!("{base}&cursor={}", escape(cursor))
                }
                Some(_) => return Err("list messages"),
                None => return check(rest.next().is_none(), "list messages"),
            }
        }
    }

    /// Invented: the recordings know no names.
    fn known_of_person(&self) -> Map<String, Value> {
        let id = &self.conversation.conversation;
        Map::from_iter([
            ("name".to_owned(), json!(format!("Person {id}"))),
            (
                "email".to_owned(),
                json!(format!("person-{id}@replay.example.test")),
            ),
        ])
    }

    /// The name, a masked e-mail, and of the slots nothing but that they are withheld.
    fn is_masked(&self, body: &Value) -> bool {
        let known = self.known_of_person();
        let Some(fields) = body["fields"].as_object() else {
            return false;
        };
        let Some(email) = fields.get("email").and_then(Value::as_str) else {
            return false;
        };
        let lists = |list: &Value, name: &str| {
            let mut items = list.as_array().into_iter().flatten();
            items.any(|item| item == name || item["field"] == name)
        };
        fields.len() == 2
            && fields.get("name") == known.get("name")
            && known["email"] != email
            && email.contains('•')
            && lists(&body["masked"], "email")
            && lists(&body["withheld"], "slots")
    }

    fn call(
        &mut self,
        kind: &'static str,
        client: &Client,
        method: &str,
        path: &str,
        body: Option<&Value>,
        expected: u16,
    ) -> Played<Reply> {
        let start = Instant::now();
        let reply = client.call(method, path, SUPPORT, body).map_err(|_| kind)?;
        self.timings.add(kind, start.elapsed());
        check(reply.status == expected, kind)?;
        Ok(reply)
    }
}

fn check(held: bool, kind: &'static str) -> Played<()> {
    if held { Ok(()) } else { Err(kind) }
}

/// Percent-encodes what may not stand in a query (RFC 3986 §2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(body: &Value) -> bool {
        let conversation: Conversation =
            serde_json::from_value(json!({"conversation": "7", "messages": [], "slots": {}}))
                .unwrap();
        let client = || Client::new("http://127.0.0.1:1", "vk_none").ok().unwrap();
        let clients = Clients {
            bot: client(),
            agent: client(),
            dpo: client(),
        };
        let mut timings = Timings::default();
        Player::new(&clients, &conversation, "replay", &mut timings).is_masked(body)
    }

    #[test]
    fn an_unmasked_or_surplus_value_is_noticed() {
        let good = json!({
            "fields": {"name": "Person 7", "email": "p•••@r•••.test"},
            "masked": ["email"],
            "withheld": [{"field": "slots", "code": "role_denied"}],
        });
        assert!(judge(&good));
        let spoil = |pointer: &str, value: Value| {
            let mut body = good.clone();
            *body.pointer_mut(pointer).unwrap() = value;
            judge(&body)
        };
        assert!(!spoil(
            "/fields/email",
            json!("person-7@replay.example.test")
        ));
        assert!(!spoil(
            "/fields",
            json!({"name": "Person 7", "email": "p•••", "slots": {}})
        ));
        assert!(!spoil("/masked", json!([])));
        assert!(!spoil("/withheld", json!([])));
    }

    #[test]
    fn a_cursor_is_escaped() {
        assert_eq!(escape("aZ9-_.~+/="), "aZ9-_.~%2B%2F%3D");
    }
}

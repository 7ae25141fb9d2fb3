//! Conversations over HTTP: every intent in every language from the first message to what it does, and what a
//! bot that relays them gets.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use std::sync::{Arc, Mutex};

use people::Bench;
use serde_json::{Value, json};
use vault_core::dialogue::{Intent, Language, recognise};
use vault_core::policy::SAMPLE;
use vault_core::vault::{AddressKind, CodeToSend};
use vault_server::CodeSink;

const MORE: &str = r#"
[purposes.improve]
title.en = "Making the bot better"
title.de = "Den Bot verbessern"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[roles.relay]
may = ["dialogue.relay"]

[roles.office]
purposes = ["support", "newsletter"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "subjects.view", "consents.record", "requests.decide", "restrictions.set",
       "objections.record", "disclosures.record", "audit.read", "holds.manage"]
"#;

/// Phrases as the program has them, by language.
const PHRASES: [(Language, &str); 8] = [
    (
        Language::De,
        include_str!("../../vault-core/src/dialogue/phrases/de.txt"),
    ),
    (
        Language::En,
        include_str!("../../vault-core/src/dialogue/phrases/en.txt"),
    ),
    (
        Language::Es,
        include_str!("../../vault-core/src/dialogue/phrases/es.txt"),
    ),
    (
        Language::Fr,
        include_str!("../../vault-core/src/dialogue/phrases/fr.txt"),
    ),
    (
        Language::It,
        include_str!("../../vault-core/src/dialogue/phrases/it.txt"),
    ),
    (
        Language::Nl,
        include_str!("../../vault-core/src/dialogue/phrases/nl.txt"),
    ),
    (
        Language::Pl,
        include_str!("../../vault-core/src/dialogue/phrases/pl.txt"),
    ),
    (
        Language::Pt,
        include_str!("../../vault-core/src/dialogue/phrases/pt.txt"),
    ),
];

/// A phrase that asks for this and for nothing else.
fn phrase(language: Language, intent: Intent) -> &'static str {
    let (_, file) = PHRASES
        .iter()
        .find(|(of, _)| *of == language)
        .expect("a file");
    let section = format!("[{}]", intent.name());
    let lines = file
        .lines()
        .skip_while(|line| line.trim() != section)
        .skip(1);
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    let found = lines.find(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && recognise(language, line) == [intent]
    });
    found.unwrap_or_else(|| panic!("{language:?} has a phrase for {intent:?} alone"))
}

/// Keeps codes instead of sending them.
#[derive(Default)]
struct Sink(Mutex<Vec<CodeToSend>>);

impl CodeSink for Sink {
    fn send(&self, code: CodeToSend) {
        self.0.lock().expect("whole").push(code);
    }

    fn sends(&self, _: AddressKind) -> bool {
        true
    }
}

struct World {
    bench: Bench,
    sink: Arc<Sink>,
    relay: String,
    office: String,
}

impl World {
    fn new() -> Self {
        let sink = Arc::new(Sink::default());
        let bench = Bench::sending(&format!("{SAMPLE}{MORE}"), sink.clone());
        Self {
            relay: bench.key("relay"),
            office: bench.key("office"),
            bench,
            sink,
        }
    }

    /// Somebody with a name, an address, a message and a consent, of whom a recipient got the name.
    fn person(&self, user: &str) -> String {
        let subject = self.bench.person(&self.office, user);
        let at = |rest: &str| format!("/v1/subjects/{subject}/{rest}");
        let good = |method: &str, path: &str, body: Value| {
            let answer = self.bench.call(&self.office, method, path, body);
            assert!(answer.status < 300, "{path}: {}", answer.body);
        };
        let email = format!("{user}@example.test");
        good(
            "PATCH",
            &at("records/profile"),
            json!({"name": "Jane Roe", "email": email}),
        );
        good("POST", &at("records/messages"), json!({"text": "hello"}));
        good(
            "PUT",
            &at("consents/newsletter"),
            json!({"given": true, "notice": "n1"}),
        );
        good(
            "POST",
            &at("disclosures"),
            json!({"recipient": "carrier", "purpose": "support", "fields": ["profile.name"]}),
        );
        subject
    }

    fn turn(&self, body: &Value) -> people::Answer {
        self.bench
            .call(&self.relay, "POST", "/v1/dialogue/turn", body.clone())
    }

    fn code(&self) -> String {
        let codes = self.sink.0.lock().expect("whole");
        codes.last().expect("one was sent").code.to_string()
    }

    fn read(&self, subject: &str, rest: &str) -> people::Answer {
        let path = format!("/v1/subjects/{subject}/{rest}");
        self.bench.call(&self.office, "GET", &path, Value::Null)
    }
}

struct Chat<'w> {
    world: &'w World,
    user: String,
    locale: &'static str,
    said: u32,
    last: Value,
}

impl<'w> Chat<'w> {
    fn new(world: &'w World, user: &str, locale: &'static str) -> Self {
        Self {
            world,
            user: user.into(),
            locale,
            said: 0,
            last: Value::Null,
        }
    }

    fn send(&mut self, what: &str, said: &str) -> Value {
        self.said += 1;
        let mut body = json!({"channel": "web", "user": self.user, "locale": self.locale,
            "message_id": format!("m{}", self.said), "private": true});
        body[what] = json!(said);
        let answer = self.world.turn(&body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.last = answer.body;
        self.last.clone()
    }

    fn say(&mut self, text: &str) -> Value {
        self.send("text", text)
    }

    /// Takes a choice of the last answer by its place.
    fn pick(&mut self, place: usize) -> Value {
        let choices = &choices(&self.last)[place];
        let id = choices["id"].as_str().expect("an id").to_owned();
        self.send("choice", &id)
    }
}

fn choices(reply: &Value) -> Vec<Value> {
    let messages = reply["messages"].as_array().expect("messages");
    let all = messages
        .iter()
        .filter_map(|message| message["choices"].as_array());
    all.flatten().cloned().collect()
}

fn text(reply: &Value) -> String {
    let messages = reply["messages"].as_array().expect("messages");
    let texts = messages
        .iter()
        .filter_map(|message| message["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// Answers whatever is asked until the matter is at its end.
fn to_the_end(chat: &mut Chat<'_>, intent: Intent) -> Value {
    for _ in 0..12 {
        let reply = chat.last.clone();
        match reply["state"].as_str().expect("a state") {
            "done" | "queued_human" | "idle" => return reply,
            "code_sent" => {
                assert_eq!(reply["expect"], json!({"kind": "code", "sensitive": true}));
                let code = chat.world.code();
                chat.say(&code)
            }
            "scope" if reply["expect"]["kind"] == "text" => {
                assert_eq!(reply["expect"]["sensitive"], true);
                chat.say(match intent {
                    Intent::Correct => "Jane Doe",
                    _ => "the parcel arrived broken",
                })
            }
            _ => chat.pick(0),
        };
    }
    panic!("{intent:?} comes to no end: {}", chat.last);
}

/// What an intent has done, seen by somebody else than the bot.
fn check(world: &World, subject: &str, intent: Intent, last: &Value) {
    let what = format!("{intent:?}: {last}");
    let state = |kind: &str| {
        let requests = world.read(subject, "requests").body;
        let all = requests["requests"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|one| one["type"] == kind);
        found.map_or("none".to_owned(), |one| {
            one["state"].as_str().unwrap_or("?").to_owned()
        })
    };
    match intent {
        Intent::Access => assert_eq!(state("access"), "received", "{what}"),
        Intent::Recipients => {
            assert!(text(last).contains("Carrier GmbH"), "{what}");
            assert_eq!(state("recipients"), "fulfilled", "{what}");
        }
        Intent::Correct => {
            let profile = world.read(subject, "records/profile").body;
            assert_eq!(profile["fields"]["name"], "Jane Doe", "{what}");
            assert_eq!(state("rectify"), "fulfilled", "{what}");
            assert!(text(last).contains("Carrier GmbH"), "who is told: {what}");
        }
        Intent::Erase => {
            assert_eq!(
                world.read(subject, "records/profile").code(),
                (410, "erased")
            );
            assert!(text(last).contains("rcp_"), "{what}");
        }
        Intent::Restrict => {
            let profile = world.read(subject, "records/profile");
            assert_eq!(profile.code(), (423, "restricted"), "{what}");
            assert_eq!(state("restrict"), "fulfilled", "{what}");
        }
        Intent::StopMarketing => {
            let objections = world.read(subject, "objections").body;
            assert!(objections.to_string().contains("upheld"), "{what}");
        }
        Intent::Object => {
            let objections = world.read(subject, "objections").body;
            assert!(
                objections["objections"]
                    .as_array()
                    .is_some_and(|all| all.len() == 1)
            );
        }
        Intent::Withdraw => {
            let consent = world.read(subject, "consents/newsletter").body;
            assert_eq!(consent["state"], "withdrawn", "{what}");
            assert!(text(last).contains("cns_"), "{what}");
        }
        Intent::Download => assert_eq!(state("portability"), "awaiting_human", "{what}"),
        Intent::HumanDecision => assert_eq!(state("human_review"), "awaiting_human", "{what}"),
        Intent::Why => assert_eq!(last["messages"][0]["link"], "/privacy", "{what}"),
        Intent::Complain => {
            assert!(text(last).contains("Autoriteit Persoonsgegevens"), "{what}");
        }
        Intent::Choices => assert!(!choices(last).is_empty(), "{what}"),
        Intent::Status | Intent::CancelRequest => assert!(!text(last).is_empty(), "{what}"),
    }
}

#[test]
fn every_intent_is_served_in_every_language_from_the_first_message_to_its_effect() {
    let world = World::new();
    for (language, _) in PHRASES {
        let mut texts = Vec::new();
        for intent in Intent::ALL {
            let user = format!("{}-{}", language.name(), intent.name().replace('_', "-"));
            let subject = world.person(&user);
            let mut chat = Chat::new(&world, &user, language.name());
            let first = chat.say(phrase(language, *intent));
            assert_eq!(first["handled"], true, "{language:?} {intent:?}");
            let last = to_the_end(&mut chat, *intent);
            assert_eq!(last["language"], language.name(), "{language:?} {intent:?}");
            check(&world, &subject, *intent, &last);
            texts.push(text(&first));
        }
        texts.dedup();
        assert!(texts.len() > 5, "{language:?}");
    }
}

#[test]
fn a_bot_that_relays_may_nothing_else() {
    let world = World::new();
    let subject = world.person("jane");
    for (method, path) in [
        ("GET", format!("/v1/subjects/{subject}")),
        ("GET", format!("/v1/subjects/{subject}/records/profile")),
        ("DELETE", format!("/v1/subjects/{subject}")),
        ("GET", format!("/v1/subjects/{subject}/requests")),
        (
            "PUT",
            format!("/v1/subjects/{subject}/objections/newsletter"),
        ),
    ] {
        let answer = world.bench.call(&world.relay, method, &path, json!({}));
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    let body = json!({"channel": "web", "user": "jane", "message_id": "m1", "text": "hello", "private": true});
    let office = world
        .bench
        .call(&world.office, "POST", "/v1/dialogue/turn", body);
    assert_eq!(
        office.code(),
        (403, "role_denied"),
        "and who may all that relays nothing"
    );
}

#[test]
fn a_request_is_refused_for_its_form_and_says_where() {
    let world = World::new();
    let good = || json!({"channel": "web", "user": "jane", "message_id": "m1", "text": "hi", "private": true});
    assert_eq!(world.turn(&good()).status, 200);
    for (member, value, pointer) in [
        ("channel", json!(""), "/channel"),
        ("user", Value::Null, "/user"),
        ("message_id", json!("x".repeat(1_025)), "/message_id"),
        ("text", Value::Null, "/text"),
        ("choice", json!("c_x"), "/choice"),
        ("intent", json!("delete"), "/intent"),
        ("private", json!("yes"), "/private"),
        ("more", json!(1), ""),
    ] {
        let mut body = good();
        body[member] = value;
        let answer = world.turn(&body);
        assert_eq!(answer.code(), (422, "invalid"), "{member}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{member}");
    }
}

#[test]
fn the_same_message_is_answered_the_same_and_another_under_its_name_is_a_mismatch() {
    let world = World::new();
    world.person("jane");
    let body = json!({"channel": "web", "user": "jane", "message_id": "m1",
        "text": phrase(Language::En, Intent::StopMarketing), "private": true});
    let first = world.turn(&body);
    let again = world.turn(&body);
    assert_eq!((first.status, &first.body), (200, &again.body));
    let mut other = body;
    other["text"] = json!("hello");
    let refused = world.turn(&other);
    assert_eq!(refused.code(), (409, "idempotency_mismatch"));
    let detail = refused.body["detail"].as_str().expect("a detail");
    assert!(detail.contains("`message_id`"), "{detail}");
    assert!(!detail.contains("key"), "{detail}");
}

/// The place of the first choice whose label has this in it.
fn place(chat: &Chat<'_>, part: &str) -> usize {
    let choices = choices(&chat.last);
    let found = choices.iter().position(|one| {
        let label = one["label"].as_str().expect("a label");
        label.to_lowercase().contains(part)
    });
    found.unwrap_or_else(|| panic!("{part}: {}", chat.last))
}

#[test]
fn an_address_is_corrected_by_a_code_to_the_old_and_one_to_the_new() {
    let world = World::new();
    for (language, field) in [(Language::En, "mail"), (Language::De, "mail")] {
        let user = format!("{}-moves", language.name());
        let subject = world.person(&user);
        let new = format!("{user}@new.example.test");
        let email = || {
            let profile = world.read(&subject, "records/profile").body;
            profile["fields"]["email"].as_str().unwrap_or("").to_owned()
        };
        let old = email();
        let mut chat = Chat::new(&world, &user, language.name());
        chat.say(phrase(language, Intent::Correct));
        chat.pick(0);
        let first = world.code();
        chat.say(&first);
        chat.pick(place(&chat, field));
        let sent = chat.say(&new);
        assert_eq!(sent["expect"], json!({"kind": "code", "sensitive": true}));
        assert!(!sent.to_string().contains(&new), "masked: {sent}");
        assert_eq!(
            world
                .sink
                .0
                .lock()
                .expect("whole")
                .last()
                .expect("sent")
                .address
                .as_str(),
            new
        );
        assert_eq!(
            chat.say(&first)["state"],
            "code_sent",
            "that of the old one"
        );
        assert_eq!(email(), old);
        let second = world.code();
        assert_eq!(chat.say(&second)["state"], "confirm");
        assert_eq!(email(), old);
        let done = chat.pick(0);
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!(email(), new);
        let requests = world.read(&subject, "requests").body;
        assert_eq!(requests["requests"][0]["state"], "fulfilled");
        assert!(!requests.to_string().contains(&new), "{requests}");
    }
}

#[test]
fn some_of_it_is_erased_and_the_rest_stays_in_two_languages() {
    let world = World::new();
    for language in [Language::En, Language::De] {
        let user = format!("{}-some", language.name());
        let subject = world.person(&user);
        let mut chat = Chat::new(&world, &user, language.name());
        chat.say(phrase(language, Intent::Erase));
        chat.pick(0);
        let code = world.code();
        assert_eq!(chat.say(&code)["state"], "confirm");
        let some = choices(&chat.last).len() - 1;
        assert_eq!(chat.pick(some)["state"], "scope");
        chat.pick(place(&chat, "mail"));
        let all = choices(&chat.last).len() - 2;
        let confirm = chat.pick(all);
        assert_eq!(confirm["state"], "confirm", "{confirm}");
        assert_eq!(world.read(&subject, "records/profile").status, 200);
        let done = chat.pick(0);
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!(done["language"], language.name());
        for said in ["rcp_", "Carrier GmbH", "Autoriteit Persoonsgegevens"] {
            assert!(text(&done).contains(said), "{said}: {done}");
        }
        let profile = world.read(&subject, "records/profile");
        assert!(
            !profile.body.to_string().contains("Jane"),
            "{}",
            profile.body
        );
        let messages = world.read(&subject, "records/messages").body;
        assert!(messages.to_string().contains("hello"), "{messages}");
        let requests = world.read(&subject, "requests").body;
        let request = &requests["requests"][0];
        assert_eq!(
            (&request["type"], &request["state"], &request["collections"]),
            (&json!("erase"), &json!("fulfilled"), &json!(["profile"]))
        );
        let receipt = request["receipt"].as_str().expect("a receipt").to_owned();
        assert!(text(&done).contains(&receipt), "{done}");
        let path = format!("/v1/receipts/{receipt}");
        let receipt = world
            .bench
            .call(&world.office, "GET", &path, Value::Null)
            .body;
        assert_eq!(receipt["body"]["scope"], "collections", "{receipt}");
        assert_eq!(
            receipt["body"]["collections"],
            json!([{"collection": "profile", "records": 1}])
        );
        // Where others read along it is not said what there is, and nothing is chosen.
        let mut body = json!({"channel": "web", "user": user, "locale": language.name(),
            "message_id": "group", "private": false});
        body["text"] = json!(phrase(language, Intent::Erase));
        let group = world.turn(&body).body;
        assert!(choices(&group).is_empty(), "{group}");
    }
}

#[test]
fn whoever_looked_is_counted_where_values_are_shown() {
    let world = World::new();
    for (language, said) in [
        (
            Language::En,
            [
                "once, always for: Answering",
                "2 times, always for: Answering",
            ],
        ),
        (Language::Pl, ["jeden wgląd w dane", "2 wglądy w dane"]),
    ] {
        let user = format!("{}-looked", language.name());
        let subject = world.person(&user);
        for (round, said) in said.into_iter().enumerate() {
            assert_eq!(world.read(&subject, "records/profile").status, 200);
            let mut chat = Chat::new(&world, &user, language.name());
            chat.said = u32::try_from(round).expect("few") * 100;
            chat.say(phrase(language, Intent::Access));
            if round == 0 {
                chat.pick(0);
                chat.pick(0);
                let code = world.code();
                chat.say(&code);
            }
            assert!(text(&chat.last).contains("Jane Roe"), "{}", chat.last);
            assert!(text(&chat.last).contains(said), "{said}: {}", chat.last);
        }
    }
}

#[test]
fn without_anybody_who_sends_codes_a_human_looks() {
    let bench = Bench::under(&format!("{SAMPLE}{MORE}"));
    let (relay, office) = (bench.key("relay"), bench.key("office"));
    let subject = bench.person(&office, "jane");
    let path = format!("/v1/subjects/{subject}/records/profile");
    bench.call(
        &office,
        "PATCH",
        &path,
        json!({"email": "jane@example.test"}),
    );
    let body = json!({"channel": "web", "user": "jane", "message_id": "m1", "locale": "en",
        "text": phrase(Language::En, Intent::Erase), "private": true});
    let reply = bench.call(&relay, "POST", "/v1/dialogue/turn", body);
    assert_eq!(reply.body["state"], "queued_human", "{}", reply.body);
    let requests = bench.call(
        &office,
        "GET",
        &format!("/v1/subjects/{subject}/requests"),
        Value::Null,
    );
    assert_eq!(requests.body["requests"][0]["state"], "manual_identity");
    let body = json!({"channel": "web", "user": "nobody", "message_id": "m1", "locale": "en",
        "text": phrase(Language::En, Intent::Erase), "private": true});
    let reply = bench.call(&relay, "POST", "/v1/dialogue/turn", body);
    assert_eq!(
        reply.body["state"], "done",
        "somebody unknown writes instead: {}",
        reply.body
    );
}

#[test]
fn whoever_is_unknown_is_answered_alike_and_stops_advertising_to_an_address() {
    let world = World::new();
    let jane = world.person("jane");
    let mut replies = Vec::new();
    for (user, address) in [("s1", "jane@example.test"), ("s2", "nobody@example.test")] {
        let mut chat = Chat::new(&world, user, "en");
        let first = chat.say(phrase(Language::En, Intent::Access));
        let second = chat.say(address);
        let third = chat.say("000000");
        replies.push(json!([first, second, third]));
    }
    assert_eq!(replies[0], replies[1]);
    assert_eq!(world.sink.0.lock().expect("whole").len(), 1);
    let mut replies = Vec::new();
    for (user, address) in [("s3", "jane@example.test"), ("s4", "nobody@example.test")] {
        let mut chat = Chat::new(&world, user, "en");
        let first = chat.say(phrase(Language::En, Intent::StopMarketing));
        replies.push(json!([first, chat.say(address)]));
    }
    assert_eq!(replies[0], replies[1]);
    let objections = world.read(&jane, "objections").body;
    assert!(objections.to_string().contains("upheld"), "{objections}");
}

#[test]
fn the_log_says_what_was_done_and_nothing_that_was_said() {
    let world = World::new();
    let jane = world.person("jane");
    let mut chat = Chat::new(&world, "jane", "en");
    chat.say(phrase(Language::En, Intent::Correct));
    to_the_end(&mut chat, Intent::Correct);
    let access = world.read(&jane, "access?limit=100").body;
    let entries = access["accesses"].as_array().expect("a list").iter();
    let mut corrected = entries.filter(|one| one["action"] == "dialogue.correct");
    let corrected = corrected.next().expect("one correction").to_string();
    assert!(corrected.contains("profile.name"), "{corrected}");
    let access = access.to_string();
    for action in [
        "dialogue.turn",
        "dialogue.request",
        "dialogue.code",
        "dialogue.verified",
        "dialogue.correct",
    ] {
        assert!(access.contains(action), "{action}: {access}");
    }
    assert!(access.contains("profile.name"), "{access}");
    for said in ["Jane", "example.test", &world.code()] {
        assert!(!access.contains(said), "{said}");
    }
}

const GATE: &str = "\n[notice]\ngate = \"before_write\"\n";

#[test]
fn a_message_before_the_notice_waits_for_it_and_a_right_does_not() {
    let bench = Bench::under(&format!("{SAMPLE}{MORE}{GATE}"));
    let bot = bench.key("bot");
    let call = |method: &str, path: &str, body: Value| bench.call(&bot, method, path, body);
    let turn = |user: &str, message: &str, what: &str, said: &str| {
        let mut body = json!({"channel": "web", "user": user, "locale": "en",
            "message_id": message, "private": true});
        body[what] = json!(said);
        let answer = call("POST", "/v1/dialogue/turn", body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let small = "a table for two at eight please";
    for (user, known) in [("jane", true), ("nobody", false)] {
        let person = json!({"channel": "web", "user": user});
        if known {
            assert_eq!(call("POST", "/v1/subjects", person.clone()).status, 201);
        }
        let held = turn(user, "m1", "text", small);
        assert_eq!(
            (&held["handled"], &held["state"]),
            (&json!(true), &json!("notice"))
        );
        assert_eq!(held.get("replay"), None);
        let current = call("GET", "/v1/notices/current?lang=en", Value::Null).body;
        let shown = current["text"].as_str().expect("a text");
        assert!(text(&held).lines().eq(shown.lines()), "{held}");
        // Who complains is told where, the notice or not.
        let right = turn(user, "m2", "text", phrase(Language::En, Intent::Complain));
        assert_eq!(right["state"], "done", "{right}");
        let waits = turn(user, "m3", "text", "near the window");
        assert_eq!(waits["state"], "notice");
        let id = choices(&waits)[0]["id"].as_str().expect("an id").to_owned();
        let on = turn(user, "m4", "choice", &id);
        assert_eq!(
            (&on["handled"], &on["replay"]),
            (&json!(false), &json!(["m1", "m3"]))
        );
        assert_eq!(on.get("delivery").is_some(), !known, "{on}");
        assert_eq!(turn(user, "m1", "text", small)["handled"], false);
        let mut person = person;
        if !known {
            person["notice"] = on["delivery"].clone();
        }
        let subject = call("POST", "/v1/subjects", person).body;
        let subject = subject["subject"].as_str().expect("a person").to_owned();
        let notices = call(
            "GET",
            &format!("/v1/subjects/{subject}/notices"),
            Value::Null,
        )
        .body;
        let notices = notices["notices"].as_array().expect("a list").clone();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_eq!(
            notices[0]["evidence"],
            json!({"message_id": "m4", "choice": id})
        );
        let path = format!("/v1/subjects/{subject}/records/profile");
        let written = call("PATCH", &path, json!({"name": "Jane Roe"}));
        assert_eq!(written.status, 200, "{}", written.body);
    }
    // Whoever does not go on is refused nothing but what needs the notice.
    assert_eq!(
        call(
            "POST",
            "/v1/subjects",
            json!({"channel": "web", "user": "john"})
        )
        .status,
        201
    );
    let held = turn("john", "m1", "text", small);
    let id = choices(&held)[2]["id"].as_str().expect("an id").to_owned();
    let left = turn("john", "m2", "choice", &id);
    assert_eq!(
        (&left["handled"], &left["state"], left.get("replay")),
        (&json!(true), &json!("idle"), None)
    );
    assert_eq!(turn("john", "m3", "text", small)["state"], "notice");
}

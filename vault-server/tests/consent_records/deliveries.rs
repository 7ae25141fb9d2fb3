//! Notices before there is a person: a delivery opens the gate for whom it is given back with, and nothing else
//! does.

use serde_json::{Value, json};

use super::POLICY;
use super::people::{Answer, Bench, HOUR, operation};

struct Gate {
    bench: Bench,
    bot: String,
}

impl Gate {
    fn new() -> Self {
        let bench = Bench::under(POLICY);
        let bot = bench.key("bot");
        Self { bench, bot }
    }

    /// What was shown, as `POST /v1/notices` is told.
    fn shown(&self) -> Value {
        let notice = self
            .bench
            .call(&self.bot, "GET", "/v1/notices/current?lang=de", Value::Null)
            .body;
        json!({"version": notice["version"], "lang": "de", "sha256": notice["sha256"], "channel": "web",
            "acknowledged": true})
    }

    fn delivery(&self) -> String {
        let made = self
            .bench
            .call(&self.bot, "POST", "/v1/notices", self.shown());
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["delivery"].as_str().expect("a text").to_owned()
    }

    fn creates(&self, key: &str, user: &str, delivery: &str) -> Answer {
        let body = json!({"channel": "web", "user": user, "notice": delivery});
        self.bench.call(key, "POST", "/v1/subjects", body)
    }

    fn writes(&self, person: &str) -> (u16, String) {
        let path = format!("/v1/subjects/{person}/records/profile");
        let wrote = self
            .bench
            .call(&self.bot, "PATCH", &path, json!({"name": "Ann Example"}));
        (wrote.status, wrote.code().1.to_owned())
    }

    /// Refused as `invalid`, with what to do.
    fn refused(&self, answer: &Answer) {
        assert_eq!(answer.code(), (422, "invalid"), "{}", answer.body);
        let error = &answer.body["errors"][0];
        assert_eq!(
            (&error["pointer"], &error["code"]),
            (&json!("/notice"), &json!("delivery"))
        );
        let detail = error["detail"].as_str().expect("a text");
        assert!(detail.contains("POST /v1/notices"), "{detail}");
    }
}

fn id(answer: &Answer) -> String {
    answer.body["subject"].as_str().expect("an id").to_owned()
}

#[test]
fn art_13_1_a_notice_shown_before_there_is_a_person_opens_the_gate_for_whom_it_is_given_back_with()
{
    let gate = Gate::new();
    let without = gate.bench.person(&gate.bot, "nobody-told");
    assert_eq!(gate.writes(&without), (403, "notice_required".to_owned()));
    let delivery = gate.delivery();
    let people = gate.bench.vault.status().expect("open").people;
    assert_eq!(people, 1, "nobody is made by a delivery");
    gate.bench.clock.advance(HOUR);
    let made = gate.creates(&gate.bot, "ann", &delivery);
    assert_eq!(made.status, 201, "{}", made.body);
    let ann = id(&made);
    assert_eq!(gate.writes(&ann), (200, "none".to_owned()));
    // It is recorded as of when it was shown, once however often it is told.
    let again = gate.creates(&gate.bot, "ann", &delivery);
    assert_eq!((again.status, id(&again)), (200, ann.clone()));
    let path = format!("/v1/subjects/{ann}/notices");
    let shown = gate.bench.call(&gate.bot, "GET", &path, Value::Null).body;
    let notices = shown["notices"].as_array().expect("a list");
    assert_eq!(notices.len(), 1);
    assert_eq!(
        (&notices[0]["lang"], &notices[0]["acknowledged"]),
        (&json!("de"), &json!(true))
    );
    assert_eq!(notices[0]["at"], "2027-01-15T08:00:00Z");
    // Somebody who was there before is told too.
    let found = gate.creates(&gate.bot, "nobody-told", &delivery);
    assert_eq!((found.status, id(&found)), (200, without.clone()));
    assert_eq!(gate.writes(&without), (200, "none".to_owned()));
}

#[test]
fn a_delivery_outlives_the_process_and_a_batch_may_take_it_along() {
    let gate = Gate::new();
    let delivery = gate.delivery();
    let Gate { bench, bot } = gate;
    let gate = Gate {
        bench: bench.restarted(),
        bot,
    };
    let path = "/v1/subjects/$0.subject/records/profile";
    let operations = [
        operation(
            "POST",
            "/v1/subjects",
            json!({"channel": "web", "user": "ann", "notice": delivery}),
        ),
        operation("PATCH", path, json!({"name": "Ann Example"})),
    ];
    let done = gate.bench.batch(&gate.bot, &operations);
    assert_eq!(done.statuses(), [201, 200], "{}", done.body);
    let operations = [
        operation("POST", "/v1/notices", gate.shown()),
        operation(
            "POST",
            "/v1/subjects",
            json!({"channel": "web", "user": "bob", "notice": "$0.delivery"}),
        ),
        operation(
            "PATCH",
            "/v1/subjects/$1.subject/records/profile",
            json!({"name": "Bob Example"}),
        ),
    ];
    let done = gate.bench.batch(&gate.bot, &operations);
    assert_eq!(done.statuses(), [201, 201, 200], "{}", done.body);
}

#[test]
fn a_delivery_that_is_forged_anothers_over_or_of_another_notice_makes_nobody() {
    let gate = Gate::new();
    let delivery = gate.delivery();
    let mut forged = delivery.clone().into_bytes();
    let at = forged.len() / 2;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("ASCII");
    for text in [&*forged, "", "x", "not base64 !", &"A".repeat(5_000)] {
        gate.refused(&gate.creates(&gate.bot, "ann", text));
    }
    // Of another key, though of the same role.
    let other = gate.bench.key("bot");
    gate.refused(&gate.creates(&other, "ann", &delivery));
    let elsewhere = Gate::new();
    gate.refused(&gate.creates(&gate.bot, "ann", &elsewhere.delivery()));
    // Whoever may not record notices records none by the way.
    let mute = gate.bench.key("mute");
    assert_eq!(
        gate.creates(&mute, "ann", &delivery).code(),
        (403, "role_denied")
    );
    let denied = gate.bench.call(&mute, "POST", "/v1/notices", gate.shown());
    assert_eq!(denied.code(), (403, "role_denied"));
    let mut wrong = gate.shown();
    wrong["sha256"] = json!("0".repeat(64));
    assert_eq!(
        gate.bench
            .call(&gate.bot, "POST", "/v1/notices", wrong)
            .status,
        422
    );
    // Over after thirty days, and not a moment before.
    gate.bench.clock.advance(30 * 24 * HOUR - 1);
    assert_eq!(gate.creates(&gate.bot, "ann", &delivery).status, 201);
    gate.bench.clock.advance(1);
    gate.refused(&gate.creates(&gate.bot, "bob", &delivery));
    assert_eq!(gate.bench.vault.status().expect("open").people, 1);
}

#[test]
fn art_13_3_a_delivery_of_an_older_notice_is_worth_nothing_once_the_policy_tells_something_else() {
    let gate = Gate::new();
    let delivery = gate.delivery();
    let rights = gate.bench.key("rights");
    let apply = |policy: &str| {
        let path = "/v1/admin/policy";
        let applied = gate
            .bench
            .call(&rights, "PUT", path, json!({"source": policy}));
        assert!(applied.status < 300, "{}", applied.body);
    };
    // Better words are the same notice; another period is not.
    apply(&POLICY.replace("Our newsletter", "Our letter"));
    assert_eq!(gate.creates(&gate.bot, "ann", &delivery).status, 201);
    apply(&POLICY.replace("P2Y", "P3Y"));
    gate.refused(&gate.creates(&gate.bot, "bob", &delivery));
    assert_eq!(gate.creates(&gate.bot, "bob", &gate.delivery()).status, 201);
}

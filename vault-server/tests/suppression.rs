//! The suppression list over HTTP: who objected to direct marketing stays unwritten to when they are erased and
//! come back, by whichever call, and nobody learns of anybody by it.
//!
//! Source: GDPR Art. 17(3)(b), 21(2) and (3).

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use serde_json::{Value, json};

use people::{Answer, Bench};
use vault_server::Limits;

const POLICY: &str = r#"
[controller]
name = "Example Shop B.V."
contact = "privacy@example.test"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[purposes.offers]
title.en = "Offers that fit what you bought"
basis = "legitimate_interests"
direct_marketing = true
retention = { after = "collected", period = "P1Y" }

[purposes.newsletter]
title.en = "Our newsletter"
basis = "consent"
direct_marketing = true
retention = { after = "withdrawal", period = "P0D" }

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support", "offers"], lookup = true }
email = { type = "email", purposes = ["support", "offers", "newsletter"], lookup = true }
other = { type = "email", purposes = ["support", "offers"] }
phone = { type = "phone", purposes = ["support", "offers"], lookup = true }

[collections.orders]
kind = "many"
[collections.orders.fields]
email = { type = "email", purposes = ["support"], lookup = true }

[collections.copies]
kind = "many"
[collections.copies.fields]
email = { type = "email", purposes = ["support"] }

[roles.bot]
purposes = ["support", "offers", "newsletter"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "consents.record", "objections.record", "sessions.create"]

[roles.dpo]
read = { "*" = "full" }
may = ["subjects.erase", "subjects.export"]

[roles.reader]
purposes = ["support"]
read = { "*" = "full" }
"#;

const EMAIL: &str = "ann@example.test";

struct Scene {
    bench: Bench,
    bot: String,
    dpo: String,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::under(POLICY);
        let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
        Self { bench, bot, dpo }
    }

    fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.bench.call(&self.bot, method, path, body)
    }

    fn does(&self, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.call(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        answer
    }

    fn person(&self, user: &str, profile: Value) -> String {
        let person = self.bench.person(&self.bot, user);
        if !profile.is_null() {
            self.does(
                "PATCH",
                &format!("/v1/subjects/{person}/records/profile"),
                profile,
            );
        }
        person
    }

    fn objects(&self, person: &str, purpose: &str) {
        let path = format!("/v1/subjects/{person}/objections/{purpose}");
        self.does("PUT", &path, json!({}));
    }

    fn erases(&self, person: &str) {
        let path = format!("/v1/subjects/{person}");
        let erased = self.bench.call(&self.dpo, "DELETE", &path, Value::Null);
        assert_eq!(erased.status, 200, "{}", erased.body);
    }

    /// What a read of the profile for a purpose is answered.
    fn reads(&self, person: &str, purpose: &str) -> String {
        let path = format!("/v1/subjects/{person}/records/profile");
        let headers = [("vault-purpose", purpose)];
        let read = self
            .bench
            .send(&self.bot, "GET", &path, &headers, &Value::Null);
        match read.status {
            200 => "ok".to_owned(),
            status => format!("{status} {}", read.code().1),
        }
    }

    /// Where the objections of a person come from, by purpose.
    fn origins(&self, person: &str) -> Vec<(String, String, String)> {
        let path = format!("/v1/subjects/{person}/objections");
        let list = self.does("GET", &path, Value::Null).body;
        let all = list["objections"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        all.map(|one| {
            let last = one["history"].as_array().unwrap().last().unwrap();
            (
                text(&one["purpose"]),
                text(&one["state"]),
                text(&last["origin"]),
            )
        })
        .collect()
    }

    /// Somebody who objected to offers and is gone: their addresses are listed, and nothing else is left.
    fn gone(&self) {
        let profile = json!({"name": "Ann Example", "email": EMAIL, "phone": "+31 20 555 0101"});
        let ann = self.person("ann", profile);
        self.objects(&ann, "offers");
        self.erases(&ann);
    }
}

const NO_BASIS: &str = "403 no_lawful_basis";

#[test]
fn art_21_3_who_objected_stays_suppressed_after_erasure_however_the_address_comes_back() {
    type Way = fn(&Scene) -> String;
    let ways: [(&str, Way); 6] = [
        ("patch", |scene| {
            scene.person("again", json!({"email": "ANN@example.test"}))
        }),
        ("phone, spelt otherwise", |scene| {
            scene.person("again", json!({"phone": "0031 (20) 5550101"}))
        }),
        ("a field that nobody is found by", |scene| {
            scene.person("again", json!({"other": EMAIL}))
        }),
        ("append", |scene| {
            let person = scene.person("again", json!({"name": "Somebody Else"}));
            let path = format!("/v1/subjects/{person}/records/orders");
            scene.does(
                "POST",
                &path,
                json!([{"email": "x@example.test"}, {"email": EMAIL}]),
            );
            person
        }),
        ("batch", |scene| {
            let operations = [
                json!({"method": "POST", "path": "/v1/subjects", "body": {"channel": "web", "user": "again"}}),
                json!({"method": "PATCH", "path": "/v1/subjects/$0.subject/records/profile",
                    "body": {"email": EMAIL}, "purpose": "support"}),
            ];
            let done = scene.bench.batch(&scene.bot, &operations);
            assert_eq!(done.statuses(), [201, 200], "{}", done.body);
            done.result(0)["subject"].as_str().unwrap().to_owned()
        }),
        ("import", |scene| {
            let lines = json!({"import": "i", "last": true, "lines": [
                {"line": 1, "channel": "web", "user": "again", "collection": "profile",
                 "record": {"email": EMAIL}, "purpose": "support"},
            ]});
            scene.does("POST", "/v1/import", lines);
            scene.bench.person(&scene.bot, "again")
        }),
    ];
    for (way, comes_back) in ways {
        let scene = Scene::new();
        scene.gone();
        let person = comes_back(&scene);
        assert_eq!(scene.reads(&person, "offers"), NO_BASIS, "{way}");
        assert_eq!(scene.reads(&person, "support"), "ok", "{way}");
        let suppressed = (
            "offers".to_owned(),
            "upheld".to_owned(),
            "suppressed".to_owned(),
        );
        assert_eq!(scene.origins(&person), [suppressed], "{way}");
    }
}

#[test]
fn art_21_3_the_persons_name_on_the_channel_is_an_address_too() {
    let scene = Scene::new();
    let ann = scene.person("ann", Value::Null);
    scene.objects(&ann, "offers");
    scene.erases(&ann);
    // For so long a late message of somebody who is erased makes nobody.
    scene.bench.clock.advance(people::HOUR);
    let again = scene.person("ann", json!({"name": "Ann Example"}));
    assert_ne!(again, ann);
    assert_eq!(scene.reads(&again, "offers"), NO_BASIS);
    // What they have by now is theirs as well.
    scene.does(
        "PATCH",
        &format!("/v1/subjects/{again}/records/profile"),
        json!({"email": EMAIL}),
    );
    let other = scene.person("other", json!({"email": EMAIL}));
    assert_eq!(scene.reads(&other, "offers"), NO_BASIS);
}

/// The nearest violation: nothing but addresses is listed, and only of whoever objected to direct marketing.
#[test]
fn who_never_objected_and_what_is_no_address_is_not_suppressed() {
    let scene = Scene::new();
    let bob = scene.person("bob", json!({"email": "bob@example.test"}));
    scene.erases(&bob);
    let bob = scene.person("bob-again", json!({"email": "bob@example.test"}));
    assert_eq!(scene.reads(&bob, "offers"), "ok");
    scene.gone();
    // A name is a look-up value, and nobody is written to by it.
    let other = scene.person("other", json!({"name": "Ann Example"}));
    assert_eq!(scene.reads(&other, "offers"), "ok");
    assert!(scene.origins(&other).is_empty());
    // The objection was to offers alone.
    let ann = scene.person("again", json!({"email": EMAIL}));
    let given = json!({"given": true, "notice": "v1"});
    scene.does(
        "PUT",
        &format!("/v1/subjects/{ann}/consents/newsletter"),
        given,
    );
    assert_eq!(scene.reads(&ann, "newsletter"), "ok");
    assert_eq!(scene.reads(&ann, "offers"), NO_BASIS);
}

#[test]
fn an_address_written_while_the_objection_stands_is_listed_and_taken_away_with_it() {
    let scene = Scene::new();
    let ann = scene.person("ann", json!({"email": EMAIL}));
    scene.objects(&ann, "offers");
    let profile = format!("/v1/subjects/{ann}/records/profile");
    scene.does("PATCH", &profile, json!({"phone": "+31 20 555 0101"}));
    let by = |user: &str, profile: Value| {
        let person = scene.person(user, profile);
        scene.reads(&person, "offers")
    };
    assert_eq!(by("b", json!({"phone": "+31205550101"})), NO_BASIS);
    // Whoever ends it wants it again, but those who came by the address meanwhile have their own objection,
    // and keep what is theirs.
    let ended = Scene::new();
    let ann = ended.person("ann", json!({"email": EMAIL, "phone": "+31 20 555 0101"}));
    ended.objects(&ann, "offers");
    ended.does(
        "DELETE",
        &format!("/v1/subjects/{ann}/objections/offers"),
        Value::Null,
    );
    assert_eq!(ended.reads(&ann, "offers"), "ok");
    ended.erases(&ann);
    let again = ended.person("again", json!({"email": EMAIL, "phone": "+31 20 555 0101"}));
    assert_eq!(ended.reads(&again, "offers"), "ok");
}

#[test]
fn an_address_that_two_share_stays_while_one_of_them_objects() {
    let scene = Scene::new();
    let phone = json!({"phone": "+31 20 555 0101"});
    let (ann, bob) = (
        scene.person("ann", phone.clone()),
        scene.person("bob", phone.clone()),
    );
    scene.objects(&ann, "offers");
    scene.objects(&bob, "offers");
    let end = |person: &str| {
        let path = format!("/v1/subjects/{person}/objections/offers");
        scene.does("DELETE", &path, Value::Null);
    };
    end(&ann);
    let third = scene.person("third", phone.clone());
    assert_eq!(scene.reads(&third, "offers"), NO_BASIS);
    end(&third);
    end(&bob);
    let fourth = scene.person("fourth", phone);
    assert_eq!(scene.reads(&fourth, "offers"), "ok");
}

/// By whichever field the other one is known.
#[test]
fn an_address_that_somebody_else_who_objects_has_in_another_field_stays() {
    let scene = Scene::new();
    let ann = scene.person("ann", json!({"email": EMAIL}));
    let bob = scene.person("bob", Value::Null);
    let orders = format!("/v1/subjects/{bob}/records/orders");
    scene.does("POST", &orders, json!([{"email": EMAIL}]));
    scene.objects(&ann, "offers");
    scene.objects(&bob, "offers");
    let end = |person: &str| {
        let path = format!("/v1/subjects/{person}/objections/offers");
        scene.does("DELETE", &path, Value::Null);
    };
    end(&ann);
    assert_eq!(scene.reads(&ann, "offers"), "ok");
    let third = scene.person("third", json!({"email": EMAIL}));
    assert_eq!(scene.reads(&third, "offers"), NO_BASIS);
    // The nearest: with the last objection it goes.
    end(&third);
    end(&bob);
    let fourth = scene.person("fourth", json!({"email": EMAIL}));
    assert_eq!(scene.reads(&fourth, "offers"), "ok");
}

/// One commit lists so many addresses of a person and no more, and the objection holds all the same.
#[test]
fn of_one_person_a_thousand_addresses_are_listed_together_and_no_more() {
    let scene = Scene::new();
    let listed = || {
        let status = scene.does("GET", "/v1/status", Value::Null);
        status.body["suppressions"].as_u64().unwrap()
    };
    let many = |from: usize, count: usize| {
        let orders = (from..from + count).map(|n| json!({"email": format!("n{n}@example.test")}));
        Value::Array(orders.collect())
    };
    let ann = scene.person("ann", json!({"email": EMAIL}));
    let orders = format!("/v1/subjects/{ann}/records/copies");
    assert_eq!(listed(), 0);
    // In a field that nobody is found by: of others a person has at most 256.
    for from in [0, 600] {
        scene.does("POST", &orders, many(from, 600));
    }
    scene.objects(&ann, "offers");
    assert_eq!(listed(), 1_000);
    assert_eq!(scene.reads(&ann, "offers"), NO_BASIS);
    // Those that come first are there: the name on the channel, and the profile.
    let other = scene.person("other", json!({"email": EMAIL}));
    assert_eq!(scene.reads(&other, "offers"), NO_BASIS);
}

#[test]
fn art_7_who_consents_anew_is_suppressed_no_more_but_a_file_does_not_consent() {
    let scene = Scene::new();
    let given = || json!({"given": true, "notice": "v1"});
    let ann = scene.person("ann", json!({"email": EMAIL}));
    let consent = format!("/v1/subjects/{ann}/consents/newsletter");
    scene.does("PUT", &consent, given());
    scene.objects(&ann, "newsletter");
    assert_eq!(scene.reads(&ann, "newsletter"), NO_BASIS);
    scene.erases(&ann);
    // A file that says that they consented says nothing of when.
    let lines = json!({"import": "i", "last": true, "lines": [
        {"line": 1, "channel": "web", "user": "again", "collection": "profile",
         "record": {"email": EMAIL}, "purpose": "support"},
        {"line": 2, "channel": "web", "user": "again",
         "consent": {"purpose": "newsletter", "state": "given", "notice": "v1"}},
    ]});
    scene.does("POST", "/v1/import", lines);
    let again = scene.bench.person(&scene.bot, "again");
    assert_eq!(scene.reads(&again, "newsletter"), NO_BASIS);
    // They themselves do.
    let consent = format!("/v1/subjects/{again}/consents/newsletter");
    scene.does("PUT", &consent, given());
    assert_eq!(scene.reads(&again, "newsletter"), "ok");
    let ended = (
        "newsletter".to_owned(),
        "ended".to_owned(),
        "consent".to_owned(),
    );
    assert_eq!(scene.origins(&again), [ended]);
    let third = scene.person("third", json!({"email": EMAIL}));
    let consent = format!("/v1/subjects/{third}/consents/newsletter");
    scene.does("PUT", &consent, given());
    assert_eq!(scene.reads(&third, "newsletter"), "ok");
    assert!(scene.origins(&third).is_empty());
}

#[test]
fn art_21_2_an_address_is_suppressed_for_whoever_names_it_and_the_answer_tells_nothing() {
    let scene = Scene::new();
    let ann = scene.person("ann", json!({"email": EMAIL}));
    let bob = scene.person("bob", json!({"email": "bob@example.test"}));
    let known = json!({"field": "profile.email", "value": "Ann@Example.test"});
    let unknown = json!({"kind": "email", "value": "nobody@example.test"});
    let raw = |body: &Value| {
        scene
            .bench
            .raw(&scene.bot, "POST", "/v1/suppressions", body)
    };
    let silent = |(status, mut headers, body): (u16, Vec<(String, String)>, Vec<u8>)| {
        headers.retain(|(name, _)| name != "vault-request-id" && name != "x-request-id");
        (status, headers, body)
    };
    let (first, second) = (silent(raw(&known)), silent(raw(&unknown)));
    assert_eq!((first.0, &*first.2), (204, &b""[..]));
    let names = |headers: &[(String, String)]| -> Vec<String> {
        headers.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&first.1), names(&second.1));
    assert_eq!((first.0, first.2), (second.0, second.2));
    // Again, by whoever: the same.
    assert_eq!(raw(&known).0, 204);
    for purpose in ["offers", "newsletter"] {
        assert_eq!(scene.reads(&ann, purpose), NO_BASIS);
    }
    assert_eq!(scene.reads(&bob, "offers"), "ok");
    let origins = scene.origins(&ann);
    assert!(
        origins
            .iter()
            .all(|(_, state, origin)| state == "upheld" && origin == "address")
    );
    assert_eq!(origins.len(), 2);
    let nobody = scene.person("nobody", json!({"email": "nobody@example.test"}));
    assert_eq!(scene.reads(&nobody, "offers"), NO_BASIS);
    // For one purpose the other goes on.
    let one = json!({"kind": "phone", "value": "+31 20 555 0102", "purpose": "offers"});
    assert_eq!(raw(&one).0, 204);
    let carl = scene.person("carl", json!({"phone": "+31 20 555 0102"}));
    assert_eq!(scene.reads(&carl, "offers"), NO_BASIS);
    assert_eq!(scene.origins(&carl).len(), 1);
}

#[test]
fn what_is_no_address_and_no_direct_marketing_is_refused_and_so_is_who_may_not() {
    let scene = Scene::new();
    let refused = |body: Value| {
        let answer = scene.call("POST", "/v1/suppressions", body);
        (answer.status, answer.code().1.to_owned())
    };
    let invalid = (422, "invalid".to_owned());
    assert_eq!(refused(json!({"value": EMAIL})), invalid);
    assert_eq!(
        refused(json!({"kind": "email", "field": "profile.email", "value": EMAIL})),
        invalid
    );
    assert_eq!(refused(json!({"kind": "name", "value": "Ann"})), invalid);
    assert_eq!(
        refused(json!({"field": "profile.name", "value": "Ann"})),
        invalid
    );
    assert_eq!(
        refused(json!({"kind": "email", "value": "no address"})),
        invalid
    );
    let conflict = (409, "conflict".to_owned());
    assert_eq!(
        refused(json!({"kind": "email", "value": EMAIL, "purpose": "support"})),
        conflict
    );
    let unknown = json!({"kind": "email", "value": EMAIL, "purpose": "none"});
    assert_eq!(refused(unknown), (404, "not_found".to_owned()));
    let reader = scene.bench.key("reader");
    let body = json!({"kind": "email", "value": EMAIL});
    let denied = scene.bench.call(&reader, "POST", "/v1/suppressions", body);
    assert_eq!(denied.code(), (403, "role_denied"));
    let person = scene.person("ann", json!({"email": EMAIL}));
    assert_eq!(scene.reads(&person, "offers"), "ok");
}

#[test]
fn suppressing_counts_as_a_look_up() {
    let few = Limits {
        lookups_per_minute: 4,
        ..Limits::default()
    };
    let bench = Bench::limited(POLICY, few);
    let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
    let scene = Scene { bench, bot, dpo };
    let ann = scene.person("ann", Value::Null);
    let body = json!({"kind": "email", "value": EMAIL});
    let suppress = || scene.call("POST", "/v1/suppressions", body.clone());
    for _ in 0..3 {
        assert_eq!(suppress().status, 204);
    }
    let limited = suppress();
    assert_eq!(limited.code(), (429, "rate_limited"));
    let detail = limited.body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("lookups_per_minute"), "{detail}");
    // The objection of somebody who is known is not kept waiting by it.
    scene.objects(&ann, "offers");
}

#[test]
fn the_suppression_list_outlives_the_process() {
    let scene = Scene::new();
    scene.gone();
    let Scene { bench, bot, dpo } = scene;
    let scene = Scene {
        bench: bench.restarted(),
        bot,
        dpo,
    };
    let again = scene.person("again", json!({"email": EMAIL}));
    assert_eq!(scene.reads(&again, "offers"), NO_BASIS);
}

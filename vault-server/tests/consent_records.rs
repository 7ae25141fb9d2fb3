//! Consent as a record over HTTP: how it stands, for how long, of which kind, and its receipt. And notices that
//! are shown before there is a person.
//!
//! Source: GDPR Art. 4(11), 7(1) and (3), 8, 9(2)(a), 13(1); ISO/IEC TS 27560.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

#[path = "consent_records/deliveries.rs"]
mod deliveries;

use serde_json::{Value, json};

use people::{Answer, Bench, HOUR};

pub(crate) const POLICY: &str = r#"
[controller]
name = "Example Clinic"
contact = "privacy@example.test"
authority = "Example Authority"
country = "DE"
languages = ["en", "de"]

[notice]
gate = "before_write"

[purposes.support]
title.en = "Answering your questions"
title.de = "Ihre Fragen beantworten"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[purposes.newsletter]
title.en = "Our newsletter"
title.de = "Unser Newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }
recipients = ["mailer"]

[purposes.diet]
title.en = "Menus that fit your health"
title.de = "Menüs, die zu Ihrer Gesundheit passen"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[recipients.mailer]
name = "Example Mail GmbH"
country = "DE"

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", category = "user.name", purposes = ["support", "diet"] }
email = { type = "email", category = "user.contact.email", purposes = ["support", "newsletter"], lookup = true }
allergies = { type = "text", category = "user.health_and_medical", purposes = ["diet"], special = "health", art9 = "explicit consent" }

[roles.bot]
purposes = ["support", "newsletter", "diet"]
read = { "*" = "full" }
write = ["*"]
ask = ["profile.email.equals"]
may = ["subjects.create", "notices.record", "consents.record"]

[roles.mute]
purposes = ["support"]
write = ["*"]
may = ["subjects.create"]

[roles.rights]
read = { "*" = "full" }
may = ["subjects.export", "policy.apply"]
"#;

pub(crate) struct Scene {
    pub(crate) bench: Bench,
    pub(crate) bot: String,
    person: String,
}

impl Scene {
    fn new() -> Self {
        // The gate has tests of its own.
        let policy = POLICY.replace("before_write", "off");
        let bench = Bench::under(&policy);
        let bot = bench.key("bot");
        let person = bench.person(&bot, "ann");
        let scene = Self { bench, bot, person };
        let told = json!({"name": "Ann Example", "email": "ann@example.test"});
        assert_eq!(scene.sends("PATCH", "records/profile", told).status, 200);
        scene
    }

    fn at(&self, path: &str) -> String {
        format!("/v1/subjects/{}/{path}", self.person)
    }

    fn sends(&self, method: &str, path: &str, body: Value) -> Answer {
        self.bench.call(&self.bot, method, &self.at(path), body)
    }

    fn says(&self, purpose: &str, body: Value) -> Answer {
        let mut said = json!({"notice": "v1"});
        said.as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        let answer = self.sends("PUT", &format!("consents/{purpose}"), said);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    fn state(&self, purpose: &str) -> String {
        let read = self.sends("GET", &format!("consents/{purpose}"), Value::Null);
        read.body["state"].as_str().unwrap_or("none").to_owned()
    }

    fn reads(&self, purpose: &str, fields: &str) -> (u16, String) {
        let path = self.at(&format!("records/profile?fields={fields}"));
        let headers = [("vault-purpose", purpose)];
        let read = self
            .bench
            .send(&self.bot, "GET", &path, &headers, &Value::Null);
        (read.status, read.code().1.to_owned())
    }

    fn writes(&self, purpose: &str, body: Value) -> u16 {
        let path = self.at("records/profile");
        let headers = [("vault-purpose", purpose)];
        self.bench
            .send(&self.bot, "PATCH", &path, &headers, &body)
            .status
    }
}

fn denied() -> (u16, String) {
    (403, "consent_required".to_owned())
}

fn ok() -> (u16, String) {
    (200, "none".to_owned())
}

#[test]
fn art_7_1_only_what_is_given_or_renewed_permits() {
    let permitted = [
        ("given", true),
        ("renewed", true),
        ("refused", false),
        ("withdrawn", false),
        ("invalidated", false),
    ];
    for (state, permits) in permitted {
        let scene = Scene::new();
        scene.says("newsletter", json!({"given": true}));
        scene.says("newsletter", json!({"state": state}));
        assert_eq!(scene.state("newsletter"), state);
        let wanted = if permits { ok() } else { denied() };
        assert_eq!(scene.reads("newsletter", "email"), wanted, "{state}");
    }
    for state in ["requested", "deferred"] {
        let scene = Scene::new();
        scene.says("newsletter", json!({"state": state}));
        assert_eq!(scene.state("newsletter"), state);
        assert_eq!(scene.reads("newsletter", "email"), denied(), "{state}");
        // Whoever has agreed is not taken at less than their word because somebody asks again.
        scene.says("newsletter", json!({"given": true}));
        scene.says("newsletter", json!({"state": state}));
        assert_eq!(scene.state("newsletter"), "given");
        assert_eq!(scene.reads("newsletter", "email"), ok(), "{state}");
        scene.says("newsletter", json!({"given": false}));
        scene.says("newsletter", json!({"state": state}));
        assert_eq!(scene.reads("newsletter", "email"), denied(), "{state}");
    }
}

#[test]
fn art_7_1_a_consent_for_a_time_expires_at_its_instant_and_is_renewed() {
    let scene = Scene::new();
    let given = scene.says("newsletter", json!({"given": true, "valid": "PT1H"}));
    assert_eq!(given.body["valid"], "PT1H");
    assert_eq!(scene.reads("newsletter", "email"), ok());
    assert_eq!(
        scene.writes("newsletter", json!({"email": "ann@example.test"})),
        200
    );
    scene.bench.clock.advance(HOUR - 1);
    assert_eq!(scene.reads("newsletter", "email"), ok());
    scene.bench.clock.advance(1);
    assert_eq!(scene.reads("newsletter", "email"), denied());
    assert_eq!(
        scene.writes("newsletter", json!({"email": "ann@example.test"})),
        403
    );
    assert_eq!(scene.state("newsletter"), "expired");
    // Another purpose goes on; nobody but the time says that it is over.
    assert_eq!(scene.reads("support", "email"), ok());
    let over = json!({"state": "expired", "notice": "v1"});
    assert_eq!(scene.sends("PUT", "consents/newsletter", over).status, 422);
    scene.says(
        "newsletter",
        json!({"state": "renewed", "valid": "2100-01-01T00:00:00Z"}),
    );
    assert_eq!(scene.reads("newsletter", "email"), ok());
    // The process does not matter.
    let Scene { bench, bot, person } = scene;
    let scene = Scene {
        bench: bench.restarted(),
        bot,
        person,
    };
    assert_eq!(scene.state("newsletter"), "renewed");
    assert_eq!(scene.reads("newsletter", "email"), ok());
}

#[test]
fn art_9_2_a_a_regular_consent_does_not_count_for_special_data() {
    let scene = Scene::new();
    scene.says("diet", json!({"given": true}));
    // What is no special data asks for no more.
    assert_eq!(scene.reads("diet", "name"), ok());
    assert_eq!(scene.reads("diet", "allergies"), denied());
    assert_eq!(scene.writes("diet", json!({"allergies": "nuts"})), 403);
    scene.says("diet", json!({"given": true, "type": "explicit"}));
    assert_eq!(scene.writes("diet", json!({"allergies": "nuts"})), 200);
    assert_eq!(scene.reads("diet", "allergies"), ok());
    // A consent that is given anew without it takes it back.
    scene.says("diet", json!({"state": "renewed"}));
    assert_eq!(scene.reads("diet", "allergies"), denied());
}

#[test]
fn what_is_said_of_a_consent_is_checked_and_evidence_of_a_platform_permits_nothing() {
    let scene = Scene::new();
    let refused = |body: Value| {
        let answer = scene.sends("PUT", "consents/newsletter", body);
        let at = answer.body["errors"][0]["pointer"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (answer.status, at)
    };
    let with = |name: &str, value: Value| {
        let mut body = json!({"given": true, "notice": "v1"});
        body[name] = value;
        refused(body)
    };
    for (name, value, at) in [
        ("actor", json!("somebody"), "/actor"),
        ("type", json!("implied"), "/type"),
        ("valid", json!("two years"), "/valid"),
        ("valid", json!("P0D"), "/valid"),
        ("valid", json!("2020-01-01T00:00:00Z"), "/valid"),
        ("sha256", json!("ab"), "/sha256"),
        ("evidence", json!({"kind": "tcf"}), "/evidence"),
        (
            "evidence",
            json!({"kind": "cookie", "string": "x"}),
            "/evidence/kind",
        ),
        (
            "evidence",
            json!({"kind": "tcf", "string": "x".repeat((16 << 10) + 1)}),
            "/evidence/string",
        ),
        ("state", json!("given"), "/state"),
    ] {
        assert_eq!(with(name, value), (422, at.to_owned()), "{name}");
    }
    let renewed = json!({"state": "renewed", "notice": "v1"});
    assert_eq!(
        refused(renewed),
        (422, "/state".to_owned()),
        "nothing was given before"
    );
    let timed = json!({"given": false, "notice": "v1", "valid": "P1Y"});
    assert_eq!(refused(timed), (422, "/valid".to_owned()));
    assert_eq!(scene.state("newsletter"), "none");
    // A string that grants everything is kept beside a refusal, and changes nothing.
    let tcf = json!({"kind": "tcf", "string": "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"});
    scene.says("newsletter", json!({"given": false, "evidence": tcf}));
    assert_eq!(scene.reads("newsletter", "email"), denied());
    let read = scene.sends("GET", "consents/newsletter", Value::Null);
    assert_eq!(read.body["history"][0]["evidence"], tcf);
}

#[test]
fn art_7_1_a_receipt_tells_what_was_agreed_to_and_every_step_and_is_in_the_export() {
    let scene = Scene::new();
    let hash = "ab".repeat(32);
    let given = scene.says(
        "newsletter",
        json!({"given": true, "actor": "guardian", "type": "explicit", "valid": "P2Y", "lang": "de", "sha256": hash,
            "channel": "whatsapp", "choice": "yes_btn", "method": "button",
            "notice": {"version": 3}}),
    );
    let path = given.body["receipt"].as_str().expect("a link").to_owned();
    assert_eq!(path, scene.at("consents/newsletter/receipt"));
    let receipt = scene.bench.call(&scene.bot, "GET", &path, Value::Null);
    assert_eq!(receipt.status, 200, "{}", receipt.body);
    let document = &receipt.body;
    assert_eq!(document["schema"], "iso-27560-profile/1");
    assert_eq!(document["principal"], scene.person);
    assert_eq!(document["record_id"], given.body["consent"]);
    assert_eq!(document["lawful_basis"], "6.1.a");
    assert_eq!(document["purpose_title"], "Unser Newsletter");
    assert_eq!(
        document["notice"],
        json!({"version": 3, "lang": "de", "sha256": hash})
    );
    assert_eq!(
        document["pii"],
        json!([{"type": "user.contact.email", "optional": true, "special": false}])
    );
    assert_eq!(document["recipients"], json!(["Example Mail GmbH"]));
    assert_eq!(
        (&document["authority"], &document["jurisdiction"]),
        (&json!("Example Authority"), &json!("DE"))
    );
    let event = &document["events"][0];
    for (name, value) in [
        ("state", "given"),
        ("type", "explicit"),
        ("actor", "guardian"),
        ("channel", "whatsapp"),
        ("choice", "yes_btn"),
        ("method", "button"),
        ("valid", "P2Y"),
    ] {
        assert_eq!(event[name], value);
    }
    scene.sends("DELETE", "consents/newsletter", Value::Null);
    let later = scene.bench.call(&scene.bot, "GET", &path, Value::Null).body;
    let states: Vec<_> = later["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["state"].clone())
        .collect();
    assert_eq!(states, ["given", "withdrawn"]);
    let rights = scene.bench.key("rights");
    let wanted = json!({"right": "access", "format": "json"});
    let export = scene
        .bench
        .call(&rights, "POST", &scene.at("export"), wanted);
    assert_eq!(
        export.body["consents"][0]["receipt"], later,
        "{}",
        export.body
    );
    // Of what nobody was asked there is none, and whoever may not read consents gets none.
    assert_eq!(
        scene
            .sends("GET", "consents/diet/receipt", Value::Null)
            .status,
        404
    );
    assert_eq!(
        scene
            .sends("GET", "consents/support/receipt", Value::Null)
            .status,
        409
    );
    let mute = scene.bench.key("mute");
    assert_eq!(
        scene.bench.call(&mute, "GET", &path, Value::Null).code(),
        (403, "role_denied")
    );
}

/// An import says when a consent ends, and does not prolong it.
#[test]
fn a_consent_out_of_a_file_ends_when_it_did() {
    let scene = Scene::new();
    let lines = |valid_until: &str| {
        json!({"import": "i", "last": true, "lines": [
            {"line": 1, "channel": "web", "user": "ann", "consent": {"purpose": "newsletter", "state": "given",
             "notice": "v1", "valid": "P2Y", "valid_until": valid_until}},
        ]})
    };
    let import = |until: &str| {
        scene
            .bench
            .call(&scene.bot, "POST", "/v1/import", lines(until))
    };
    let done = import("2020-01-01T00:00:00Z");
    assert_eq!(
        (done.status, &done.body["written"]),
        (200, &json!(1)),
        "{}",
        done.body
    );
    assert_eq!(scene.state("newsletter"), "expired");
    assert_eq!(scene.reads("newsletter", "email"), denied());
}

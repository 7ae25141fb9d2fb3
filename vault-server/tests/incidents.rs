//! Personal data breaches over HTTP: who was affected, what is told of it, and the register.
//!
//! Counts as failure: somebody who was met in the window and is not counted, somebody who was not and is,
//! an id or a value in a report or a draft, a late notification without a reason, a risk that is closed
//! untold. Does not: that a field counts which was asked for and had no value.
//!
//! Source: GDPR Art. 33, 34.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use people::{Answer, Bench, HOUR};

const POLICY: &str = r#"
[controller]
name = "Example Clinic B.V."
contact = "privacy@example.test"
dpo = "dpo@example.test"
authority = "Autoriteit Persoonsgegevens"
languages = ["en", "de"]

[purposes.support]
title.en = "Answering your questions"
title.de = "Ihre Fragen beantworten"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
recipients = ["carrier"]

[recipients.carrier]
name = "Carrier GmbH"
country = "DE"

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", category = "user.name", purposes = ["support"] }
email = { type = "email", category = "user.contact.email", purposes = ["support"], lookup = true }
allergy = { type = "text", category = "user.health", special = "health", art9 = "9(2)(h)", purposes = ["support"] }

[collections.messages]
kind = "many"
[collections.messages.fields]
text = { type = "text", category = "user.content", purposes = ["support"] }

[roles.bot]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "subjects.view", "sessions.create", "records.bulk", "disclosures.record"]

[roles.nurse]
purposes = ["support"]
read = { "profile.*" = "full" }
may = ["subjects.view"]

[roles.eraser]
may = ["subjects.erase"]

[roles.officer]
may = ["incidents.manage", "audit.read"]
"#;

const DAY: i64 = 24 * HOUR;

struct Scene {
    bench: Bench,
    bot: String,
    officer: String,
}

impl Scene {
    fn under(policy: &str) -> Self {
        let bench = Bench::under(policy);
        let (bot, officer) = (bench.key("bot"), bench.key("officer"));
        Self {
            bench,
            bot,
            officer,
        }
    }

    fn new() -> Self {
        Self::under(POLICY)
    }

    fn now(&self) -> Timestamp {
        use vault_core::clock::Clock as _;
        self.bench.clock.now()
    }

    fn person(&self, user: &str) -> String {
        let subject = self.bench.person(&self.bot, user);
        let body = json!({"name": "Ann Canary", "email": format!("{user}@example.test"), "allergy": "canary"});
        let path = format!("/v1/subjects/{subject}/records/profile");
        let wrote = self.bench.call(&self.bot, "PATCH", &path, body);
        assert_eq!(wrote.status, 200, "{}", wrote.body);
        subject
    }

    fn reads(&self, key: &str, subject: &str, fields: &str) -> Answer {
        let path = format!("/v1/subjects/{subject}/records/profile?fields={fields}");
        self.bench.call(key, "GET", &path, Value::Null)
    }

    fn token(&self, key: &str) -> String {
        let principal = self.bench.vault.authenticate(key).expect("it works");
        principal.token().expect("a key").to_string()
    }

    fn scope(&self, body: Value) -> Value {
        let found = self
            .bench
            .call(&self.officer, "POST", "/v1/admin/breach-scope", body);
        assert_eq!(found.status, 200, "{}", found.body);
        let text = found.body.to_string();
        assert!(!text.contains("sub_") && !text.contains("anary"), "{text}");
        found.body
    }

    /// Whom the stream names, and its report.
    fn people(&self, mut body: Value) -> (BTreeSet<String>, Value) {
        body["people"] = json!(true);
        let (status, headers, lines) =
            self.bench
                .raw(&self.officer, "POST", "/v1/admin/breach-scope", &body);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&lines));
        assert!(headers.contains(&("content-type".into(), "application/x-ndjson".into())));
        let lines = String::from_utf8(lines).expect("UTF-8");
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let (last, people) = lines.split_last().expect("the report at least");
        let people = people
            .iter()
            .map(|one| one["subject"].as_str().expect("an id").to_owned());
        (people.collect(), last["report"].clone())
    }

    fn incident(&self, body: Value) -> Answer {
        self.bench
            .call(&self.officer, "POST", "/v1/incidents", body)
    }

    fn noted(&self) -> String {
        let aware = self.now().to_string();
        let noted = self.incident(json!({"aware_at": aware, "nature": ["confidentiality"],
            "vector": "api_key", "summary": "a key stood in a public repository"}));
        assert_eq!(noted.status, 201, "{}", noted.body);
        assert_eq!(
            (&noted.body["state"], &noted.body["overdue"]),
            (&json!("open"), &json!(false))
        );
        noted.body["incident"].as_str().expect("an id").to_owned()
    }

    fn step(&self, incident: &str, step: &str, body: Value) -> Answer {
        let path = format!("/v1/incidents/{incident}/{step}");
        self.bench.call(&self.officer, "POST", &path, body)
    }
}

fn list<'v>(report: &'v Value, name: &str, of: &str) -> Vec<(&'v str, u64)> {
    let list = report[name].as_array().expect("a list");
    list.iter()
        .map(|one| {
            let name = one[of].as_str().expect("a name");
            (name, one["people"].as_u64().expect("a number"))
        })
        .collect()
}

#[test]
fn art_33_3_a_a_leaked_key_affects_whom_it_met_in_the_window_and_nobody_else() {
    let scene = Scene::new();
    let people: Vec<String> = ["ann", "ben", "cem", "dan", "eve"]
        .map(|user| scene.person(user))
        .into();
    let (nurse, other) = (scene.bench.key("nurse"), scene.bench.key("nurse"));
    let token = scene.token(&nurse);
    // Before the window.
    assert_eq!(scene.reads(&nurse, &people[0], "allergy").status, 200);
    scene.bench.clock.advance(DAY);
    let from = scene.now().to_string();
    assert_eq!(scene.reads(&nurse, &people[1], "name").status, 200);
    scene.bench.clock.advance(DAY);
    assert_eq!(scene.reads(&nurse, &people[1], "name,allergy").status, 200);
    assert_eq!(scene.reads(&nurse, &people[2], "email").status, 200);
    // Another key of the same role; a look without a value; a refusal.
    assert_eq!(scene.reads(&other, &people[3], "name").status, 200);
    let look = format!("/v1/subjects/{}", people[4]);
    assert_eq!(
        scene.bench.call(&nurse, "GET", &look, Value::Null).status,
        200
    );
    let refused = format!("/v1/subjects/{}/records/messages", people[0]);
    assert_eq!(
        scene
            .bench
            .call(&nurse, "GET", &refused, Value::Null)
            .status,
        403
    );
    scene.bench.clock.advance(DAY);
    let to = scene.now().to_string();
    // After it.
    assert_eq!(scene.reads(&nurse, &people[0], "name").status, 200);
    let window = json!({"api_key": token, "from": from, "to": to});
    let report = scene.scope(window.clone());
    assert_eq!(
        (&report["people"], &report["people_without_values"]),
        (&json!(2), &json!(1)),
        "{report}"
    );
    assert_eq!(
        (&report["reads"], &report["writes"], &report["refused"]),
        (&json!(3), &json!(0), &json!(1))
    );
    assert_eq!(
        (&report["ciphertext_only"], &report["at_most"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(report["not_resolvable"], 0);
    assert_eq!(report["first"], from.as_str());
    // Special data come first, however few.
    assert_eq!(
        list(&report, "categories", "category"),
        [
            ("user.health", 1),
            ("user.contact.email", 1),
            ("user.name", 1)
        ]
    );
    assert_eq!(list(&report, "fields", "field")[0], ("profile.allergy", 1));
    assert_eq!(report["fields"][0]["special"], "health");
    // Whom it was, in a stream and nowhere else; the same numbers.
    let (named, streamed) = scene.people(window);
    assert_eq!(
        named,
        BTreeSet::from([people[1].clone(), people[2].clone()])
    );
    assert_eq!(streamed["people"], 2);
    // The whole role: the other key too. The whole time: everybody.
    let role = scene.people(json!({"role": "nurse", "from": from, "to": to}));
    assert_eq!(
        role.0,
        BTreeSet::from([people[1].clone(), people[2].clone(), people[3].clone()])
    );
    let ever = scene.people(json!({"api_key": token}));
    assert_eq!(
        ever.0,
        BTreeSet::from([people[0].clone(), people[1].clone(), people[2].clone()])
    );
    // The nearest violations: a window of nothing, a key that is none, a caller who may not.
    for (body, status) in [
        (json!({"api_key": token, "from": to, "to": from}), 422),
        (json!({"api_key": "tok_00000000000000000000000000"}), 404),
        (json!({"api_key": "nurse"}), 422),
        (json!({"role": "nobody"}), 404),
        (json!({}), 422),
        (json!({"role": "nurse", "files": true}), 422),
    ] {
        let refused = scene.bench.call(
            &scene.officer,
            "POST",
            "/v1/admin/breach-scope",
            body.clone(),
        );
        assert_eq!(refused.status, status, "{body}");
    }
    let refused = scene.bench.call(
        &scene.bot,
        "POST",
        "/v1/admin/breach-scope",
        json!({"files": true}),
    );
    assert_eq!(refused.code(), (403, "role_denied"));
}

#[test]
fn art_33_3_a_a_recipient_exposed_whom_it_was_given_and_with_what() {
    let scene = Scene::new();
    let (ann, ben) = (scene.person("ann"), scene.person("ben"));
    let path = format!("/v1/subjects/{ann}/disclosures");
    let given = json!({"recipient": "carrier", "purpose": "support",
        "fields": ["profile.email", "profile.allergy"]});
    let noted = scene.bench.call(&scene.bot, "POST", &path, given);
    assert!(noted.status < 300, "{}", noted.body);
    let (named, report) = scene.people(json!({"recipient": "carrier"}));
    assert_eq!(named, BTreeSet::from([ann.clone()]));
    assert!(!named.contains(&ben));
    assert_eq!(
        list(&report, "fields", "field"),
        [("profile.allergy", 1), ("profile.email", 1)]
    );
    assert_eq!(
        (&report["people"], &report["at_most"], &report["reads"]),
        (&json!(1), &json!(false), &json!(0))
    );
    // Afterwards it was given nothing.
    scene.bench.clock.advance(HOUR);
    let from = scene.now().to_string();
    let after = scene.scope(json!({"recipient": "carrier", "from": from}));
    assert_eq!(after["people"], 0);
    let unknown = json!({"recipient": "nobody"});
    let refused = scene
        .bench
        .call(&scene.officer, "POST", "/v1/admin/breach-scope", unknown);
    assert_eq!(refused.code(), (404, "not_found"));
}

#[test]
fn who_was_erased_since_is_counted_and_named_by_nobody() {
    let scene = Scene::new();
    let (ann, ben) = (scene.person("ann"), scene.person("ben"));
    let nurse = scene.bench.key("nurse");
    let token = scene.token(&nurse);
    for subject in [&ann, &ben, &ben] {
        assert_eq!(scene.reads(&nurse, subject, "name").status, 200);
    }
    let eraser = scene.bench.key("eraser");
    let path = format!("/v1/subjects/{ben}");
    assert_eq!(
        scene
            .bench
            .call(&eraser, "DELETE", &path, Value::Null)
            .status,
        200
    );
    let (named, report) = scene.people(json!({"api_key": token}));
    assert_eq!(named, BTreeSet::from([ann]));
    assert_eq!(
        (&report["people"], &report["not_resolvable"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(report["reads"], 3, "what was done is known, to whom is not");
}

#[test]
fn sessions_of_a_key_count_and_calls_over_many_people_are_said_to_be_such() {
    let scene = Scene::new();
    let (ann, ben) = (scene.person("ann"), scene.person("ben"));
    let leaked = scene.bench.key("bot");
    let token = scene.token(&leaked);
    let given = json!({"purpose": "support", "fields": ["profile.name"], "reads": 5});
    let path = format!("/v1/subjects/{ann}/sessions");
    let begun = scene.bench.call(&leaked, "POST", &path, given);
    let session = begun.body["token"].as_str().expect("a token").to_owned();
    let own = "/v1/subjects/self/records/profile";
    assert_eq!(
        scene.bench.call(&session, "GET", own, Value::Null).status,
        200
    );
    let (named, report) = scene.people(json!({"api_key": token}));
    assert_eq!(named, BTreeSet::from([ann.clone()]));
    assert_eq!(
        (&report["reads"], &report["bulk"]["calls"]),
        (&json!(1), &json!(0))
    );
    let name = begun.body["session"].as_str().expect("a name");
    assert_eq!(
        scene.people(json!({"session": name})).0,
        BTreeSet::from([ann.clone()])
    );
    let query = json!({"collection": "profile", "where": {}, "fields": ["allergy"]});
    assert_eq!(
        scene
            .bench
            .raw(&leaked, "POST", "/v1/records/query", &query)
            .0,
        200
    );
    let write = format!("/v1/subjects/{ben}/records/messages");
    assert_eq!(
        scene
            .bench
            .call(&leaked, "POST", &write, json!({"text": "x"}))
            .status,
        201
    );
    let (named, report) = scene.people(json!({"api_key": token}));
    assert_eq!(named, BTreeSet::from([ann, ben]));
    assert_eq!(
        (&report["reads"], &report["writes"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&report["bulk"]["calls"], &report["bulk"]["records"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(report["bulk"]["fields"], json!(["profile.allergy"]));
}

/// Art. 34(3)(a): what cannot be read by who has it.
#[test]
fn files_alone_are_ciphertext_and_a_secret_beside_them_is_everybody() {
    let scene = Scene::new();
    let people = BTreeSet::from([scene.person("ann"), scene.person("ben")]);
    let empty = scene.bench.person(&scene.bot, "nothing-stored");
    let (named, files) = scene.people(json!({"files": true}));
    assert_eq!(named.len(), 3);
    assert_eq!(
        (&files["ciphertext_only"], &files["at_most"]),
        (&json!(true), &json!(true))
    );
    let (named, key) = scene.people(json!({"key": "slot"}));
    assert!(named.is_superset(&people) && named.contains(&empty));
    assert_eq!(
        (&key["ciphertext_only"], &key["people"]),
        (&json!(false), &json!(3))
    );
    assert_eq!(
        list(&key, "fields", "field")[0],
        ("profile.allergy", 2),
        "of those who have any"
    );
    // Whoever came after the window is not in it.
    scene.bench.clock.advance(HOUR);
    let to = scene.now().to_string();
    scene.person("late");
    assert_eq!(scene.people(json!({"files": true, "to": to})).0.len(), 3);
    assert_eq!(scene.people(json!({"files": true})).0.len(), 4);
    let refused = |body: Value| {
        scene
            .bench
            .call(&scene.officer, "POST", "/v1/admin/breach-scope", body)
            .status
    };
    assert_eq!(refused(json!({"key": "everything"})), 422);
    assert_eq!(
        refused(json!({"backup": "bak_00000000000000000000000000"})),
        404
    );
}

#[test]
fn art_33_3_and_34_2_drafts_have_the_numbers_and_the_contact_and_leave_blanks() {
    let scene = Scene::new();
    let ann = scene.person("ann");
    let nurse = scene.bench.key("nurse");
    assert_eq!(scene.reads(&nurse, &ann, "allergy").status, 200);
    let report = scene.scope(json!({"role": "nurse"}));
    let draft = |body: Value| {
        scene
            .bench
            .call(&scene.officer, "POST", "/v1/admin/breach-draft", body)
    };
    let aware = scene.now();
    let body = json!({"report": report, "for": "authority", "aware_at": aware.to_string()});
    let made = draft(body);
    assert_eq!(made.status, 200, "{}", made.body);
    // In each of the controller's languages.
    assert_eq!(made.body["drafts"][1]["lang"], "de");
    let text = made.body["drafts"][0]["markdown"].as_str().expect("a text");
    let due = (aware + jiff::SignedDuration::from_hours(72))
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string();
    for fact in [
        "Example Clinic B.V.",
        "dpo@example.test",
        "Autoriteit",
        "nurse",
        "Art. 33(3)(c)",
        "⟦",
        &due,
    ] {
        assert!(text.contains(fact), "{fact} in {text}");
    }
    let letter = draft(json!({"report": report, "for": "people", "lang": "de"}));
    let text = letter.body["drafts"][0]["markdown"]
        .as_str()
        .expect("a text");
    assert!(
        text.contains("Guten Tag") && text.contains("dpo@example.test"),
        "{text}"
    );
    assert!(!text.contains("nurse") && !text.contains("sub_"), "{text}");
    // A report without any data: a letter could not say which it is about.
    let nothing = scene.scope(json!({"role": "officer"}));
    for (body, pointer) in [
        (json!({"report": nothing, "for": "people"}), "/report"),
        (json!({"report": {}, "for": "people"}), "/report"),
        (json!({"report": report, "for": "press"}), "/for"),
        (
            json!({"report": report, "for": "people", "lang": "xx"}),
            "/lang",
        ),
    ] {
        let refused = draft(body);
        assert_eq!(refused.code(), (422, "invalid"), "{}", refused.body);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    let refused = scene.bench.call(
        &scene.bot,
        "POST",
        "/v1/admin/breach-draft",
        json!({"report": report, "for": "people"}),
    );
    assert_eq!(refused.code(), (403, "role_denied"));
}

#[test]
fn art_33_1_after_the_deadline_the_notification_says_why_it_is_late() {
    for (policy, hours) in [
        (POLICY.to_owned(), 72),
        // As the Digital Omnibus proposal would have it: the policy says it, and no release is needed.
        (
            format!("{POLICY}\n[incidents]\nnotify_within = \"PT96H\"\n"),
            96,
        ),
    ] {
        let scene = Scene::under(&policy);
        let figures = || {
            let figures = scene.bench.vault.figures();
            (figures.incidents_waiting, figures.incidents_overdue)
        };
        assert_eq!(figures(), (0, 0));
        let (on_time, late) = (scene.noted(), scene.noted());
        assert_eq!(figures(), (2, 0));
        scene.bench.clock.advance(hours * HOUR);
        let told = |incident: &str, body: Value| scene.step(incident, "authority_notified", body);
        let text = json!({"text": "first notification, by the authority's form"});
        let first = told(&on_time, text.clone());
        assert_eq!(
            (first.status, &first.body["overdue"]),
            (200, &json!(false)),
            "{}",
            first.body
        );
        assert_eq!(figures(), (1, 0));
        scene.bench.clock.advance(1);
        assert_eq!(figures(), (1, 1));
        let path = format!("/v1/incidents/{late}");
        let read = scene.bench.call(&scene.officer, "GET", &path, Value::Null);
        assert_eq!(read.body["overdue"], true);
        let refused = told(&late, text.clone());
        assert_eq!(refused.code(), (422, "invalid"));
        assert_eq!(refused.body["errors"][0]["pointer"], "/late_reason");
        let why =
            json!({"text": "first notification", "late_reason": "the extent was clear only now"});
        let done = told(&late, why);
        assert_eq!(done.status, 200, "{}", done.body);
        assert_eq!(
            done.body["history"][0]["late_reason"],
            "the extent was clear only now"
        );
        assert_eq!(figures(), (0, 0));
        // Art. 33(4): further phases are not late.
        assert_eq!(told(&on_time, text).status, 200);
        // It was told in time and written down later: what counts is when it was told.
        let third = scene.noted();
        let at = scene.now().to_string();
        scene.bench.clock.advance((hours + 1) * HOUR);
        assert_eq!(
            told(&third, json!({"text": "by telephone", "at": at})).status,
            200
        );
        // What is waiting is known again after a restart.
        let fourth = scene.noted();
        let Scene { bench, .. } = scene;
        let bench = bench.restarted();
        assert_eq!(bench.vault.figures().incidents_waiting, 1);
        drop((bench, fourth));
    }
}

#[test]
fn art_33_5_and_34_1_what_is_a_risk_is_told_before_it_is_closed() {
    let scene = Scene::new();
    let text = |text: &str| json!({"text": text});
    let assessed = |risk: &str| json!({"text": "looked at", "risk": risk});
    let conflict = (409, "conflict");
    // A high risk goes the whole way.
    let incident = scene.noted();
    for step in ["closed", "people_notified"] {
        assert_eq!(
            scene.step(&incident, step, text("x")).code(),
            conflict,
            "{step}"
        );
    }
    let step = scene.step(&incident, "assessed", assessed("high"));
    assert_eq!(
        (step.status, &step.body["state"]),
        (200, &json!("assessed")),
        "{}",
        step.body
    );
    assert_eq!(scene.step(&incident, "closed", text("x")).code(), conflict);
    assert_eq!(
        scene
            .step(&incident, "authority_notified", text("told"))
            .status,
        200
    );
    assert_eq!(
        scene.step(&incident, "closed", text("x")).code(),
        conflict,
        "Art. 34(1)"
    );
    let told = scene.step(&incident, "people_notified", text("letters were sent"));
    assert_eq!(told.body["state"], "people_notified");
    let closed = scene.step(&incident, "closed", text("keys were rotated"));
    assert_eq!(
        (&closed.body["state"], closed.status),
        (&json!("closed"), 200)
    );
    assert_eq!(closed.body["history"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        scene.step(&incident, "assessed", assessed("risk")).code(),
        conflict
    );
    // An exemption of Art. 34(3) stands for the letters; an unlikely risk for everything.
    let exempt = scene.noted();
    let body = json!({"text": "ciphertext", "risk": "high", "exemption": "34.3.a"});
    assert_eq!(scene.step(&exempt, "assessed", body).status, 200);
    assert_eq!(
        scene.step(&exempt, "closed", text("x")).code(),
        conflict,
        "Art. 33(1) stands"
    );
    assert_eq!(
        scene
            .step(&exempt, "authority_notified", text("told"))
            .status,
        200
    );
    assert_eq!(scene.step(&exempt, "closed", text("done")).status, 200);
    let unlikely = scene.noted();
    assert_eq!(
        scene
            .step(&unlikely, "assessed", assessed("unlikely"))
            .status,
        200
    );
    assert_eq!(
        scene
            .step(&unlikely, "closed", text("why it is unlikely"))
            .status,
        200
    );
    // Steps and words that are none.
    let other = scene.noted();
    assert_eq!(
        scene.step(&other, "forgotten", text("x")).code(),
        (404, "not_found")
    );
    assert_eq!(
        scene.step("inc_x", "assessed", assessed("risk")).code(),
        (404, "not_found")
    );
    for (step, body, pointer) in [
        ("assessed", text("without a risk"), "/risk"),
        ("assessed", assessed("huge"), "/risk"),
        (
            "authority_notified",
            json!({"text": "x", "risk": "high"}),
            "/risk",
        ),
        (
            "authority_notified",
            json!({"text": "x", "exemption": "34.3.a"}),
            "/exemption",
        ),
        (
            "authority_notified",
            json!({"text": "x", "at": "2000-01-01T00:00:00Z"}),
            "/at",
        ),
        (
            "authority_notified",
            json!({"text": "x", "at": "2100-01-01T00:00:00Z"}),
            "/at",
        ),
        ("authority_notified", text(""), "/text"),
        ("authority_notified", text("ask ann@example.test"), "/text"),
    ] {
        let refused = scene.step(&other, step, body.clone());
        assert_eq!(refused.code(), (422, "invalid"), "{body} {}", refused.body);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}");
        assert!(!refused.body.to_string().contains("example.test"));
    }
}

#[test]
fn the_register_takes_no_personal_data_and_shows_itself_to_who_keeps_it() {
    let scene = Scene::new();
    let ann = scene.person("ann");
    let now = scene.now().to_string();
    let good = || json!({"aware_at": now, "nature": ["availability", "integrity"], "summary": "disk lost"});
    let with = |name: &str, value: Value| {
        let mut body = good();
        body[name] = value;
        body
    };
    for (body, pointer) in [
        (
            with("summary", json!("the card 4111 1111 1111 1111 was seen")),
            "/summary",
        ),
        (with("summary", json!("")), "/summary"),
        (with("nature", json!([])), "/nature"),
        (with("nature", json!(["bad luck"])), "/nature"),
        (with("vector", json!("aliens")), "/vector"),
        (with("aware_at", json!("2100-01-01T00:00:00Z")), "/aware_at"),
        (with("aware_at", json!("yesterday")), "/aware_at"),
        (with("scope", json!({"people": [ann]})), "/scope"),
        (with("scope", json!({"who": "ann@example.test"})), "/scope"),
        (
            with("summary", json!(format!("{ann} was seen"))),
            "/summary",
        ),
    ] {
        let refused = scene.incident(body.clone());
        assert_eq!(refused.code(), (422, "invalid"), "{body}");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}");
    }
    let report = scene.scope(json!({"files": true}));
    let noted = scene.incident(with("scope", report.clone()));
    assert_eq!(
        (noted.status, &noted.body["scope"]),
        (201, &report),
        "{}",
        noted.body
    );
    assert_eq!(noted.body["nature"], json!(["integrity", "availability"]));
    let listed = scene
        .bench
        .call(&scene.officer, "GET", "/v1/incidents", Value::Null);
    assert_eq!(listed.body["incidents"].as_array().map(Vec::len), Some(1));
    // What was said at each step is in the one, and not in the list of all.
    let one = &listed.body["incidents"][0];
    assert_eq!(one["steps"], 0);
    assert!(
        one.get("history").is_none() && one.get("scope").is_none(),
        "{one}"
    );
    for key in [&scene.bot, &scene.bench.key("nurse")] {
        let list = scene.bench.call(key, "GET", "/v1/incidents", Value::Null);
        assert_eq!(list.code(), (403, "role_denied"));
        let note = scene.bench.call(key, "POST", "/v1/incidents", good());
        assert_eq!(note.code(), (403, "role_denied"));
    }
    // Sealed: the files have the words of no register.
    let home = scene.bench.home.path().join("v");
    for entry in std::fs::read_dir(home).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("reads");
            let found = bytes.windows(9).any(|window| window == b"disk lost");
            assert!(!found, "{}", path.display());
        }
    }
}

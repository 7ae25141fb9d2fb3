//! Emergency access over HTTP: what it shows, to whom, how long, and who is told.
//!
//! Counts as failure: a value that leaves without the word of a second API key, beyond the fields and the
//! person that were named, after an end of any kind, or against the person's state; a step without its
//! entry. Does not: that the holder of `api_keys.manage` makes two keys and is two.
//!
//! Source: GDPR Art. 5(1)(b) and (f), 6(1)(d), 15, 17, 18(2), 32.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use serde_json::{Value, json};
use std::collections::BTreeSet;

use people::{Answer, Bench};

const POLICY: &str = r#"
[controller]
name = "Example Clinic B.V."
contact = "privacy@example.test"
authority = "Autoriteit Persoonsgegevens"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[purposes.emergency]
title.en = "Saving a life"
basis = "vital_interests"
retention = { after = "last_activity", period = "P2Y" }

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support", "emergency"] }
phone = { type = "phone", purposes = ["support", "emergency"] }
allergy = { type = "text", special = "health", art9 = "9(2)(c)", purposes = ["support", "emergency"] }
card = { type = "card", purposes = ["support"] }

[collections.orders]
kind = "single"
[collections.orders.fields]
last = { type = "text", purposes = ["support"] }

[roles.bot]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "sessions.create", "restrictions.set", "objections.record"]

[roles.nurse]
purposes = ["support"]
read = { "profile.name" = "full" }
may = ["breakglass.request", "subjects.export", "subjects.view"]

[roles.chief]
may = ["breakglass.approve", "breakglass.request", "subjects.view"]

[roles.clerk]
may = ["api_keys.manage"]

[roles.boss]
may = ["api_keys.manage", "breakglass.approve", "breakglass.request"]

[roles.rights]
read = { "*" = "full" }
may = ["subjects.erase", "subjects.export", "holds.manage", "restrictions.set", "requests.decide", "policy.apply", "audit.read"]
"#;

const BREAKGLASS: &str = r#"
[breakglass]
purpose = "emergency"
read = { "profile.*" = "full", "profile.phone" = "mask" }
expires = "PT30M"
reads = 3
restricted_use = ["others_rights"]
"#;

const PHONE: &str = "+31 30 123 4567";
const ALLERGY: &str = "penicillin-canary";

struct Scene {
    bench: Bench,
    bot: String,
    nurse: String,
    chief: String,
    rights: String,
    person: String,
}

impl Scene {
    fn new() -> Self {
        Self::under(&format!("{POLICY}{BREAKGLASS}"))
    }

    fn under(policy: &str) -> Self {
        let bench = Bench::under(policy);
        let key = |role| bench.key(role);
        let (bot, nurse, chief, rights) = (key("bot"), key("nurse"), key("chief"), key("rights"));
        let person = bench.person(&bot, "ann");
        let scene = Self {
            bench,
            bot,
            nurse,
            chief,
            rights,
            person,
        };
        let values = json!({"name": "Ann Example", "phone": PHONE, "allergy": ALLERGY,
            "card": "4111 1111 1111 1111"});
        let path = scene.at("records/profile");
        let wrote = scene.bench.call(&scene.bot, "PATCH", &path, values);
        assert_eq!(wrote.status, 200, "{}", wrote.body);
        scene
    }

    fn at(&self, path: &str) -> String {
        format!("/v1/subjects/{}/{path}", self.person)
    }

    fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.bench.call(key, "POST", &self.at(path), body)
    }

    fn asks(&self, key: &str, fields: &[&str]) -> Answer {
        let body = json!({"reason": "unconscious, ambulance waits", "fields": fields});
        self.post(key, "emergencies", body)
    }

    /// A request by the nurse for the allergy.
    fn asked(&self) -> String {
        let asked = self.asks(&self.nurse, &["profile.allergy", "profile.phone"]);
        assert_eq!(asked.status, 201, "{}", asked.body);
        assert_eq!(asked.body["state"], "requested");
        asked.body["emergency"].as_str().expect("an id").to_owned()
    }

    fn step(&self, key: &str, emergency: &str, step: &str) -> Answer {
        self.post(key, &format!("emergencies/{emergency}/{step}"), Value::Null)
    }

    fn ends(&self, key: &str, emergency: &str) -> Answer {
        let path = self.at(&format!("emergencies/{emergency}"));
        self.bench.call(key, "DELETE", &path, Value::Null)
    }

    /// The session of an emergency that was approved.
    fn taken(&self) -> (String, String) {
        let emergency = self.asked();
        let approved = self.step(&self.chief, &emergency, "approve");
        assert_eq!(approved.status, 200, "{}", approved.body);
        let taken = self.step(&self.nurse, &emergency, "session");
        assert_eq!(taken.status, 201, "{}", taken.body);
        let token = taken.body["token"].as_str().expect("a token").to_owned();
        (emergency, token)
    }

    fn reads(&self, token: &str) -> Answer {
        let path = "/v1/subjects/self/records/profile";
        self.bench.call(token, "GET", path, Value::Null)
    }

    fn state(&self) -> String {
        let path = self.at("emergencies");
        let list = self.bench.call(&self.chief, "GET", &path, Value::Null);
        let list = list.body["emergencies"].as_array().expect("a list").clone();
        let last = list.last().expect("one");
        last["state"].as_str().expect("a state").to_owned()
    }

    fn log(&self) -> Vec<Value> {
        let path = "/v1/audit?last=1000";
        let log = self.bench.call(&self.rights, "GET", path, Value::Null);
        let entries = log.body["entries"].as_array().expect("entries");
        entries.iter().map(|one| one["entry"].clone()).collect()
    }
}

#[test]
fn art_32_a_second_key_lets_the_first_see_what_was_named_and_every_step_is_told() {
    let scene = Scene::new();
    // The control: the role itself does not show it, for any purpose.
    let path = scene.at("records/profile?fields=allergy");
    for purpose in ["support", "emergency"] {
        let headers = [("vault-purpose", purpose)];
        let own = scene
            .bench
            .send(&scene.nurse, "GET", &path, &headers, &Value::Null);
        assert_eq!(own.status, 403, "{}", own.body);
    }
    let (emergency, token) = scene.taken();
    assert!(emergency.starts_with("emg_"));
    let read = scene.reads(&token);
    assert_eq!(read.status, 200, "{}", read.body);
    assert_eq!(read.body["fields"]["allergy"], ALLERGY);
    assert_eq!(read.body["masked"], json!(["phone"]));
    assert!(!read.body.to_string().contains("123 4567"));
    let seen: BTreeSet<&str> = read.body["fields"]
        .as_object()
        .expect("fields")
        .keys()
        .map(|k| &**k)
        .collect();
    assert_eq!(
        seen,
        BTreeSet::from(["allergy", "phone"]),
        "not even the name, which the role has"
    );
    let by_name = "/v1/subjects/self/records/profile?fields=card";
    let refused = scene.bench.call(&token, "GET", by_name, Value::Null);
    assert_eq!(refused.code(), (403, "role_denied"));
    assert_eq!(scene.state(), "used");
    let ended = scene.ends(&scene.nurse, &emergency);
    assert_eq!((ended.status, &ended.body["state"]), (200, &json!("ended")));
    assert_eq!(scene.reads(&token).code(), (401, "unauthenticated"));
    let counts = scene.bench.vault.breakglass_steps();
    assert_eq!(counts.map(|(_, count)| count), [1, 1, 0, 1, 1]);
    // Each step has an entry of its own, and with the read the same session, which names the emergency.
    let session = emergency.replace("emg_", "ses_");
    let log = scene.log();
    let of = |action: &str| -> Vec<&Value> {
        let named = log.iter().filter(|entry| entry["action"] == action);
        named
            .filter(|entry| entry["session"] == session.as_str())
            .collect()
    };
    for action in ["requested", "approved", "used", "ended"] {
        let entries = of(&format!("breakglass.{action}"));
        assert_eq!(entries.len(), 1, "{action}");
        assert!(
            entries[0]["subject"].is_string(),
            "{action} is in the person's ledger"
        );
    }
    let read: Vec<_> = of("records.read")
        .into_iter()
        .filter(|e| e["outcome"] == "ok")
        .collect();
    assert_eq!((read.len(), &read[0]["purpose"]), (1, &json!("emergency")));
    let text = serde_json::to_string(&log).expect("JSON");
    assert!(
        !text.contains("ambulance") && !text.contains(ALLERGY),
        "the reason is in no entry"
    );
}

#[test]
fn art_15_the_person_is_told_of_the_emergency_its_reason_and_what_was_seen() {
    let scene = Scene::new();
    let (emergency, token) = scene.taken();
    assert_eq!(scene.reads(&token).status, 200);
    let ledger = scene
        .bench
        .call(&scene.rights, "GET", &scene.at("access"), Value::Null);
    let all = ledger.body["accesses"]
        .as_array()
        .expect("a ledger")
        .clone();
    let of: BTreeSet<&str> = all
        .iter()
        .filter(|one| one["emergency"] == emergency.as_str())
        .map(|one| one["action"].as_str().expect("an action"))
        .collect();
    let steps = [
        "breakglass.approved",
        "breakglass.requested",
        "breakglass.used",
        "records.read",
    ];
    assert_eq!(of, BTreeSet::from(steps));
    assert!(
        all.iter().any(|one| one["emergency"].is_null()),
        "the bot's own calls are of none"
    );
    let package = json!({"right": "access", "format": "json"});
    let package = scene.post(&scene.rights, "export", package);
    let told = &package.body["emergencies"][0];
    assert_eq!(told["emergency"], emergency.as_str());
    assert_eq!(told["reason"], "unconscious, ambulance waits");
    assert_eq!(
        (&told["requested_by"], &told["decided_by"]),
        (&json!("nurse"), &json!("chief"))
    );
    assert_eq!(told["fields"], json!(["profile.allergy", "profile.phone"]));
    assert_eq!(package.body["sessions"], json!([]), "it is no conversation");
    let text = package.body.to_string();
    assert!(
        !text.contains("tok_"),
        "whose key it was is not the person's to know as such"
    );
    // The nurse, whose own role may export, does not by the emergency's session.
    let export = json!({"right": "access", "format": "json"});
    let refused = scene
        .bench
        .call(&token, "POST", "/v1/subjects/self/export", export);
    assert_eq!(refused.code(), (403, "role_denied"));
    let page = json!({"right": "access", "format": "html"});
    let (status, _, page) = scene
        .bench
        .raw(&scene.rights, "POST", &scene.at("export"), &page);
    let page = String::from_utf8(page).expect("UTF-8");
    assert!(status == 200 && page.contains("ambulance waits"), "{page}");
}

#[test]
fn whoever_asked_does_not_decide_by_whatever_key_of_theirs() {
    let scene = Scene::new();
    // A role that may both, with one key: the same key; and one whose maker it is.
    let boss = scene.bench.key("boss");
    let asked = scene.asks(&boss, &["profile.allergy"]);
    let emergency = asked.body["emergency"].as_str().expect("an id").to_owned();
    let made = |maker: &str, role: &str| {
        let made = scene
            .bench
            .call(maker, "POST", "/v1/admin/api-keys", json!({"role": role}));
        assert_eq!(made.status, 201, "{}", made.body);
        let text = |name: &str| made.body[name].as_str().expect("text").to_owned();
        (text("secret"), text("token"))
    };
    let denied = (403, "role_denied");
    let (child, child_token) = made(&boss, "chief");
    let path = format!("/v1/admin/api-keys/{child_token}/rotate");
    let clerk = scene.bench.key("clerk");
    let rotated = scene
        .bench
        .call(&clerk, "POST", &path, json!({"overlap": "PT1H"}));
    assert_eq!(rotated.status, 201, "{}", rotated.body);
    let grandchild = rotated.body["secret"].as_str().expect("a key").to_owned();
    for key in [&boss, &child, &grandchild] {
        for step in ["approve", "refuse"] {
            let refused = scene.step(key, &emergency, step);
            assert_eq!(refused.code(), denied, "{}", refused.body);
        }
    }
    assert_eq!(scene.state(), "requested");
    // Nor does who lacks the capability, whoever has an unlock secret, or a session.
    assert_eq!(scene.step(&scene.bot, &emergency, "approve").code(), denied);
    assert_eq!(
        scene.step(&scene.nurse, &emergency, "approve").code(),
        denied
    );
    // Another key of the very same role does: it is the key that counts.
    let other = scene.bench.key("boss");
    assert_eq!(scene.step(&other, &emergency, "approve").status, 200);
    // The other way round: the maker of the key that asked does not decide.
    let (asker, _) = made(&boss, "chief");
    let asked = scene.asks(&asker, &["profile.allergy"]);
    let emergency = asked.body["emergency"].as_str().expect("an id").to_owned();
    assert_eq!(scene.step(&boss, &emergency, "approve").code(), denied);
    assert_eq!(scene.step(&scene.chief, &emergency, "approve").status, 200);
    // Those who tried have left entries.
    let log = scene.log();
    let tried = log.iter().filter(|entry| {
        entry["action"] == "breakglass.approved" && entry["outcome"] == "role_denied"
    });
    assert_eq!(tried.count(), 6);
}

#[test]
fn only_who_asked_takes_the_session_and_takes_it_once() {
    let scene = Scene::new();
    let emergency = scene.asked();
    let conflict = (409, "conflict");
    assert_eq!(
        scene.step(&scene.nurse, &emergency, "session").code(),
        conflict
    );
    assert_eq!(scene.step(&scene.chief, &emergency, "approve").status, 200);
    let other = scene.bench.key("nurse");
    for key in [&other, &scene.chief] {
        let refused = scene.step(key, &emergency, "session");
        assert_eq!(refused.code(), (403, "role_denied"), "{}", refused.body);
    }
    assert_eq!(scene.step(&scene.nurse, &emergency, "session").status, 201);
    assert_eq!(
        scene.step(&scene.nurse, &emergency, "session").code(),
        conflict
    );
    // Nothing is decided twice.
    for step in ["approve", "refuse"] {
        assert_eq!(scene.step(&scene.chief, &emergency, step).code(), conflict);
    }
    // An emergency of somebody else is not this person's.
    let ben = scene.bench.person(&scene.bot, "ben");
    let path = format!("/v1/subjects/{ben}/emergencies/{emergency}/approve");
    let elsewhere = scene.bench.call(&scene.chief, "POST", &path, Value::Null);
    assert_eq!(elsewhere.code(), (404, "not_found"));
    assert_eq!(
        scene.step(&scene.chief, "emg_x", "approve").code(),
        (404, "not_found")
    );
}

#[test]
fn time_ends_the_wait_the_access_and_the_number_of_reads() {
    const SECOND: i64 = 1_000;
    let scene = Scene::new();
    let emergency = scene.asked();
    scene.bench.clock.advance(900 * SECOND);
    assert_eq!(
        scene.step(&scene.chief, &emergency, "approve").code(),
        (409, "conflict")
    );
    assert_eq!(scene.state(), "lapsed");
    let emergency = scene.asked();
    scene.bench.clock.advance(899 * SECOND);
    assert_eq!(scene.step(&scene.chief, &emergency, "approve").status, 200);
    let taken = scene.step(&scene.nurse, &emergency, "session");
    let token = taken.body["token"].as_str().expect("a token").to_owned();
    assert_eq!(taken.body["reads"], 3);
    scene.bench.clock.advance(1_799 * SECOND);
    assert_eq!(scene.reads(&token).status, 200);
    scene.bench.clock.advance(SECOND);
    assert_eq!(scene.reads(&token).code(), (401, "unauthenticated"));
    assert_eq!(scene.state(), "expired");
    let (_, token) = scene.taken();
    for _ in 0..3 {
        assert_eq!(scene.reads(&token).status, 200);
    }
    assert_eq!(scene.reads(&token).code(), (403, "role_denied"));
}

#[test]
fn what_ends_either_key_or_the_policys_section_ends_the_access() {
    let revoke = |scene: &Scene, key: &str| {
        let principal = scene.bench.vault.authenticate(key).expect("it works");
        let token = principal.token().expect("a key").to_string();
        let clerk = scene.bench.key("clerk");
        let path = format!("/v1/admin/api-keys/{token}");
        let revoked = scene.bench.call(&clerk, "DELETE", &path, Value::Null);
        assert_eq!(revoked.status, 200, "{}", revoked.body);
    };
    for who in ["nurse", "chief"] {
        let scene = Scene::new();
        let (_, token) = scene.taken();
        assert_eq!(scene.reads(&token).status, 200);
        revoke(
            &scene,
            if who == "nurse" {
                &scene.nurse
            } else {
                &scene.chief
            },
        );
        assert_eq!(
            scene.reads(&token).code(),
            (401, "unauthenticated"),
            "{who}"
        );
    }
    let whole = format!("{POLICY}{BREAKGLASS}");
    for (from, to, expected) in [
        (BREAKGLASS, "", 403),
        ("\"profile.*\" = \"full\", ", "", 403),
        (
            "may = [\"breakglass.request\", \"subjects.export\"",
            "may = [\"subjects.export\"",
            403,
        ),
        ("expires = \"PT30M\"", "expires = \"PT20M\"", 200),
    ] {
        assert!(whole.contains(from));
        let scene = Scene::new();
        let (_, token) = scene.taken();
        scene
            .bench
            .vault
            .apply_policy(
                &vault_core::vault::Call::new(&scene.bench.vault.keyholder()),
                &whole.replace(from, to),
                false,
            )
            .expect("applies");
        let path = "/v1/subjects/self/records/profile?fields=allergy";
        let read = scene.bench.call(&token, "GET", path, Value::Null);
        assert_eq!(read.status, expected, "{from} → {to}: {}", read.body);
    }
    // Nor is anything asked for or approved that the policy no longer has.
    let scene = Scene::under(POLICY);
    let refused = scene.asks(&scene.nurse, &["profile.allergy"]);
    assert_eq!(refused.code(), (403, "role_denied"));
    assert!(
        refused.body["detail"]
            .as_str()
            .expect("words")
            .contains("[breakglass]")
    );
}

#[test]
fn a_request_names_fields_of_the_section_a_time_and_a_reason_without_personal_data() {
    let scene = Scene::new();
    let asks = |body: Value| scene.post(&scene.nurse, "emergencies", body);
    for (fields, code) in [
        (json!(["profile.card"]), 403),
        (json!(["orders.last"]), 403),
        (json!(["orders.*"]), 403),
        (json!(["profile.none"]), 422),
        (json!(["nowhere.*"]), 422),
        (json!([]), 422),
    ] {
        let body = json!({"reason": "ambulance", "fields": fields});
        assert_eq!(asks(body).status, code, "{fields}");
    }
    let body = |reason: &str, seconds: i64| json!({"reason": reason, "fields": ["profile.allergy"], "expires_in": seconds});
    for (reason, seconds, pointer) in [
        ("", 60, "/reason"),
        ("call ann@example.test back", 60, "/reason"),
        ("her card is 4111 1111 1111 1111", 60, "/reason"),
        ("ambulance", 1_801, "/expires_in"),
        ("ambulance", 0, "/expires_in"),
    ] {
        let refused = asks(body(reason, seconds));
        assert_eq!(refused.code(), (422, "invalid"), "{reason} {seconds}");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
        assert!(
            !refused.body.to_string().contains("example.test"),
            "nothing is echoed"
        );
    }
    assert_eq!(asks(body("ambulance", 1_800)).status, 201);
    // A pattern stands for what the section shows of it, and no more.
    let asked = asks(json!({"reason": "ambulance", "fields": ["profile.*"]}));
    let fields: BTreeSet<&str> = asked.body["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .map(|f| f.as_str().expect("a name"))
        .collect();
    assert_eq!(
        fields,
        BTreeSet::from(["profile.allergy", "profile.name", "profile.phone"])
    );
    // Only so many at a time.
    let mut made = 2;
    while asks(body("ambulance", 60)).status == 201 {
        made += 1;
    }
    assert_eq!(made, 8);
    assert_eq!(asks(body("ambulance", 60)).code(), (409, "conflict"));
    let denied = scene.asks(&scene.bot, &["profile.allergy"]);
    assert_eq!(denied.code(), (403, "role_denied"));
}

/// Art. 6, 17 and 18: what the person's state does to every read it does to these.
#[test]
fn restriction_hold_objection_and_erasure_stand_in_the_way_as_of_every_read() {
    type Enter = fn(&Scene);
    let restricted: Enter = |scene| {
        let body = json!({"ground": "18.1.a"});
        let set = scene
            .bench
            .call(&scene.rights, "PUT", &scene.at("restriction"), body);
        assert_eq!(set.status, 200, "{}", set.body);
    };
    let held: Enter = |scene| {
        let body = json!({"ground": "legal_claims", "review_at": "2040-12-31"});
        let set = scene
            .bench
            .call(&scene.rights, "PUT", &scene.at("hold"), body);
        assert_eq!(set.status, 200, "{}", set.body);
    };
    let erased: Enter = |scene| {
        let person = format!("/v1/subjects/{}", scene.person);
        let gone = scene
            .bench
            .call(&scene.rights, "DELETE", &person, Value::Null);
        assert_eq!(gone.status, 200, "{}", gone.body);
    };
    let nothing: Enter = |_| {};
    for (name, enter, plain, others_rights, legal_claims, asks) in [
        ("active", nothing, 200, 200, 200, 201),
        (
            "restricted (Art. 18(2): the rights of another)",
            restricted,
            423,
            200,
            423,
            201,
        ),
        (
            "held (Art. 17(3): legal claims alone)",
            held,
            423,
            423,
            423,
            201,
        ),
        ("erased (Art. 17)", erased, 401, 401, 401, 410),
    ] {
        let scene = Scene::new();
        let (emergency, token) = scene.taken();
        enter(&scene);
        let reads = |claim: Option<&str>| {
            let headers: Vec<_> = claim
                .map(|one| ("vault-restricted-use", one))
                .into_iter()
                .collect();
            let path = "/v1/subjects/self/records/profile";
            scene
                .bench
                .send(&token, "GET", path, &headers, &Value::Null)
        };
        assert_eq!(reads(None).status, plain, "{name}");
        assert_eq!(reads(Some("others_rights")).status, others_rights, "{name}");
        assert_eq!(reads(Some("legal_claims")).status, legal_claims, "{name}");
        assert_eq!(
            scene.asks(&scene.nurse, &["profile.allergy"]).status,
            asks,
            "{name}"
        );
        if name.starts_with("erased") {
            for step in ["approve", "refuse", "session"] {
                let key = if step == "session" {
                    &scene.nurse
                } else {
                    &scene.chief
                };
                assert_eq!(scene.step(key, &emergency, step).code(), (410, "erased"));
            }
            assert_eq!(scene.ends(&scene.nurse, &emergency).code(), (410, "erased"));
        }
    }
    // A purpose that rests on consent shows nothing without it.
    let policy = format!("{POLICY}{BREAKGLASS}").replace("vital_interests", "consent");
    let scene = Scene::under(&policy);
    let (_, token) = scene.taken();
    assert_eq!(scene.reads(&token).code(), (403, "consent_required"));
}

#[test]
fn the_session_writes_nothing_and_reaches_nobody_else() {
    let scene = Scene::new();
    let ben = scene.bench.person(&scene.bot, "ben");
    let (_, token) = scene.taken();
    let call = |method: &str, path: &str, body: Value| scene.bench.call(&token, method, path, body);
    let mine = |path: &str| format!("/v1/subjects/self/{path}");
    let others = format!("/v1/subjects/{ben}/records/profile");
    assert_eq!(call("GET", &others, Value::Null).code(), (404, "not_found"));
    for (method, path, body) in [
        ("PATCH", mine("records/profile"), json!({"allergy": "none"})),
        ("GET", mine("records/orders"), Value::Null),
        ("GET", mine("access"), Value::Null),
        ("GET", mine("emergencies"), Value::Null),
        (
            "POST",
            mine("emergencies"),
            json!({"reason": "more", "fields": ["profile.name"]}),
        ),
        (
            "POST",
            mine("sessions"),
            json!({"purpose": "emergency", "fields": ["profile.name"], "reads": 1}),
        ),
        (
            "POST",
            "/v1/records/query".to_owned(),
            json!({"collection": "profile", "where": {}}),
        ),
        (
            "POST",
            mine("ask"),
            json!({"field": "profile.phone", "test": {"equals": PHONE}}),
        ),
    ] {
        let refused = call(method, &path, body);
        assert_eq!(
            refused.code(),
            (403, "role_denied"),
            "{method} {path} {}",
            refused.body
        );
    }
    for purpose in ["support", "rights"] {
        let headers = [("vault-purpose", purpose)];
        let refused = scene.bench.send(
            &token,
            "GET",
            &mine("records/profile"),
            &headers,
            &Value::Null,
        );
        assert_eq!(refused.code(), (403, "purpose_denied"), "{purpose}");
    }
}

/// Every sequence of four steps of three keys, after one request: a value leaves only where another key than
/// the one that asked approved before, and nobody refused or ended it.
#[test]
fn no_sequence_of_steps_yields_a_value_without_a_second_keys_approval() {
    const STEPS: [(&str, usize); 8] = [
        ("approve", 0),
        ("approve", 1),
        ("refuse", 1),
        ("session", 0),
        ("session", 1),
        ("session", 2),
        ("end", 0),
        ("end", 1),
    ];
    let mut scene = Scene::new();
    // The first may ask and approve; it is the one that asks.
    let keys = [
        scene.bench.key("chief"),
        scene.bench.key("chief"),
        scene.bench.key("nurse"),
    ];
    let (mut shown, mut tried) = (0, 0);
    for code in 0..STEPS.len().pow(3) {
        if code % 64 == 0 {
            // One person's list takes only so many steps.
            scene.person = scene.bench.person(&scene.bot, &format!("person-{code}"));
            let path = scene.at("records/profile");
            let wrote = scene
                .bench
                .call(&scene.bot, "PATCH", &path, json!({"allergy": ALLERGY}));
            assert_eq!(wrote.status, 200, "{}", wrote.body);
        }
        let digits = [0u32, 1, 2].map(|at| code / STEPS.len().pow(at) % STEPS.len());
        let asked = scene.asks(&keys[0], &["profile.allergy"]);
        assert_eq!(asked.status, 201, "{}", asked.body);
        let emergency = asked.body["emergency"].as_str().expect("an id").to_owned();
        let (mut approved, mut over, mut token) = (false, false, None);
        for digit in digits {
            let (step, who) = STEPS[digit];
            let key = &keys[who];
            let answer = match step {
                "end" => scene.ends(key, &emergency),
                step => scene.step(key, &emergency, step),
            };
            let done = answer.status < 300;
            assert!(
                !(done && step == "approve" && who == 0),
                "whoever asked approved"
            );
            approved |= done && step == "approve";
            over |= done && matches!(step, "end" | "refuse");
            if let Some(text) = answer.body["token"].as_str() {
                assert!(approved && !over && who == 0, "{digits:?}");
                token = Some(text.to_owned());
            }
            let sees = token
                .as_ref()
                .is_some_and(|token| scene.reads(token).status == 200);
            assert_eq!(sees, token.is_some() && approved && !over, "{digits:?}");
            shown += u32::from(sees);
            tried += 1;
        }
        // So that the next finds room, whatever this left.
        scene.ends(&keys[0], &emergency);
    }
    assert_eq!(tried, 8 * 8 * 8 * 3);
    assert!(shown > 0, "the attack finds what is there to be found");
}

//! The effect matrix: what each state of a person does to each kind of call, over HTTP.
//!
//! Source: GDPR Art. 5(1)(b), 6, 7(3), 13, 17, 18, 21.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

#[path = "effects/holds.rs"]
mod holds_over_http;

#[path = "effects/pseudonyms.rs"]
mod pseudonyms_over_http;

use serde_json::{Value, json};

use people::{Answer, Bench};

const POLICY: &str = r#"
[controller]
name = "Example Shop B.V."
address = "Kade 1, Utrecht"
contact = "privacy@example.test"
authority = "Autoriteit Persoonsgegevens"
languages = ["en", "de"]

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

[purposes.offers]
title.en = "Offers that fit what you bought"
title.de = "Angebote, die zu Ihren Käufen passen"
basis = "legitimate_interests"
direct_marketing = true
retention = { after = "collected", period = "P1Y" }

[purposes.improve]
title.en = "Making the bot better"
title.de = "Den Bot verbessern"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[children]
consent_from = 16
countries = { AT = 14 }

[collections.profile]
kind = "single"
[collections.profile.fields]
email = { type = "email", category = "user.contact.email", purposes = ["support", "newsletter", "offers", "improve"] }

[collections.orders]
kind = "single"
[collections.orders.fields]
last = { type = "text", category = "user.content", purposes = ["support", "newsletter", "offers", "improve"] }

[roles.bot]
purposes = ["support", "newsletter", "offers", "improve"]
read = { "*" = "full" }
write = ["*"]
ask = ["profile.email.equals"]
may = ["subjects.create", "consents.record", "objections.record", "restrictions.set", "notices.record", "subjects.view"]

[roles.rights]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.export", "subjects.erase", "requests.decide", "restrictions.set", "notices.record", "holds.manage"]

[roles.bulk]
purposes = ["improve"]
read = { "*" = "full" }
may = ["records.bulk"]

[roles.legal]
purposes = ["support"]
read = { "*" = "full" }
restricted_use = ["legal_claims"]
may = ["subjects.view"]
"#;

struct Scene {
    bench: Bench,
    bot: String,
    rights: String,
    person: String,
}

impl Scene {
    fn under(policy: &str) -> Self {
        let bench = Bench::under(policy);
        let (bot, rights) = (bench.key("bot"), bench.key("rights"));
        let person = bench.person(&bot, "ann");
        Self {
            bench,
            bot,
            rights,
            person,
        }
    }

    /// Somebody who agreed to everything and has something everywhere.
    fn active() -> Self {
        let scene = Self::under(POLICY);
        let given = json!({"given": true, "notice": "v1"});
        scene.does("PUT", "consents/newsletter", given);
        for collection in ["profile", "orders"] {
            let wrote = scene.writes(collection, "support");
            assert_eq!(wrote.status, 200, "{}", wrote.body);
        }
        scene
    }

    fn at(&self, path: &str) -> String {
        format!("/v1/subjects/{}/{path}", self.person)
    }

    /// The bot's call, which must succeed.
    fn does(&self, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.bench.call(&self.bot, method, &self.at(path), body);
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path}: {}",
            answer.body
        );
        answer
    }

    fn reads(&self, collection: &str, purpose: &str) -> Answer {
        let path = self.at(&format!("records/{collection}"));
        let headers = [("vault-purpose", purpose)];
        self.bench
            .send(&self.bot, "GET", &path, &headers, &Value::Null)
    }

    fn writes(&self, collection: &str, purpose: &str) -> Answer {
        let path = self.at(&format!("records/{collection}"));
        let body = match collection {
            "profile" => json!({"email": "ann@example.test"}),
            _ => json!({"last": "a lamp"}),
        };
        let headers = [("vault-purpose", purpose)];
        self.bench.send(&self.bot, "PATCH", &path, &headers, &body)
    }

    fn asks(&self, purpose: &str) -> Answer {
        let body = json!({"field": "profile.email", "test": {"equals": "ann@example.test"}});
        let headers = [("vault-purpose", purpose)];
        self.bench
            .send(&self.bot, "POST", &self.at("ask"), &headers, &body)
    }

    fn removes(&self, purpose: &str) -> Answer {
        let path = self.at("records/profile");
        let headers = [("vault-purpose", purpose)];
        let body = json!({"email": null});
        self.bench.send(&self.bot, "PATCH", &path, &headers, &body)
    }

    /// The person's own access.
    fn exports(&self) -> Answer {
        let body = json!({"right": "access", "format": "json"});
        self.bench
            .call(&self.rights, "POST", &self.at("export"), body)
    }

    /// The person's own correction.
    fn corrects(&self) -> Answer {
        let path = self.at("records/profile");
        let headers = [("vault-purpose", "rights")];
        let body = json!({"email": "anna@example.test"});
        self.bench
            .send(&self.rights, "PATCH", &path, &headers, &body)
    }
}

fn code(answer: &Answer) -> String {
    match answer.status {
        200..300 => "ok".to_owned(),
        status => format!("{status} {}", answer.code().1),
    }
}

type Enter = fn(&Scene);

/// A state: how it is entered, the purpose and collection that it is about, and what then becomes of a
/// read, a question, a write, a removal, the person's export and their correction.
type Row = (
    &'static str,
    Enter,
    &'static str,
    &'static str,
    [&'static str; 6],
);

const OK: &str = "ok";
const RESTRICTED: &str = "423 restricted";
const HELD: &str = "423 held";
const NO_BASIS: &str = "403 no_lawful_basis";
const NO_CONSENT: &str = "403 consent_required";

fn objects(scene: &Scene, purpose: &str) {
    let reason = json!({"reason": "I do not want it"});
    scene.does("PUT", &format!("objections/{purpose}"), reason);
}

/// Somebody with the same address has objected to offers, and was erased, before it was written.
fn suppressed(scene: &Scene) {
    let listed = json!({"email": "listed@example.test"});
    let other = scene.bench.person(&scene.bot, "other");
    let at = |path: &str| format!("/v1/subjects/{other}{path}");
    let done = |key: &str, method: &str, path: &str, body: Value| {
        let answer = scene.bench.call(key, method, &at(path), body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    done(&scene.bot, "PATCH", "/records/profile", listed.clone());
    done(&scene.bot, "PUT", "/objections/offers", json!({}));
    done(&scene.rights, "DELETE", "", Value::Null);
    scene.does("PATCH", "records/profile", listed);
}

/// A consent for an hour, two hours ago.
fn expires(scene: &Scene) {
    let given = json!({"given": true, "notice": "v1", "valid": "PT1H"});
    scene.does("PUT", "consents/newsletter", given);
    scene.bench.clock.advance(2 * people::HOUR);
}

fn ages(scene: &Scene, told: Value) {
    scene.does("PUT", "age", told);
}

fn decides(scene: &Scene, outcome: &str) {
    let path = scene.at("objections/improve/decision");
    let body = json!({"outcome": outcome, "reason": "weighed"});
    let answer = scene.bench.call(&scene.rights, "POST", &path, body);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn restricts(scene: &Scene, collections: &[&str]) {
    let body = json!({"ground": "18.1.a", "collections": collections, "reason": "it is wrong"});
    scene.does("PUT", "restriction", body);
}

fn holds(scene: &Scene, collections: &[&str]) {
    let body = json!({"ground": "legal_claims", "collections": collections, "review_at": "2040-12-31", "reason": "a suit"});
    let answer = scene
        .bench
        .call(&scene.rights, "PUT", &scene.at("hold"), body);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn erases(scene: &Scene) {
    let path = format!("/v1/subjects/{}", scene.person);
    let erased = scene
        .bench
        .call(&scene.rights, "DELETE", &path, Value::Null);
    assert_eq!(erased.status, 200, "{}", erased.body);
}

const MATRIX: &[Row] = &[
    ("active", |_| (), "support", "profile", [OK; 6]),
    ("consent given", |_| (), "newsletter", "profile", [OK; 6]),
    (
        "consent refused",
        |scene| {
            let refused = json!({"given": false, "notice": "v1"});
            scene.does("PUT", "consents/newsletter", refused);
        },
        "newsletter",
        "profile",
        [NO_CONSENT, NO_CONSENT, NO_CONSENT, OK, OK, OK],
    ),
    (
        "consent withdrawn",
        |scene| {
            scene.does("DELETE", "consents/newsletter", Value::Null);
        },
        "newsletter",
        "profile",
        [NO_CONSENT, NO_CONSENT, NO_CONSENT, OK, OK, OK],
    ),
    (
        "consent expired",
        |scene| expires(scene),
        "newsletter",
        "profile",
        [NO_CONSENT, NO_CONSENT, NO_CONSENT, OK, OK, OK],
    ),
    (
        "consent expired, another purpose",
        |scene| expires(scene),
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "consent withdrawn, another purpose",
        |scene| {
            scene.does("DELETE", "consents/newsletter", Value::Null);
        },
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "under age, no guardian",
        |scene| ages(scene, json!({"years": 12})),
        "newsletter",
        "profile",
        [NO_CONSENT, NO_CONSENT, NO_CONSENT, OK, OK, OK],
    ),
    (
        "under age, no guardian, another purpose",
        |scene| ages(scene, json!({"years": 12})),
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "under age, with a guardian",
        |scene| {
            ages(
                scene,
                json!({"years": 12, "guardian": "answered by e-mail"}),
            )
        },
        "newsletter",
        "profile",
        [OK; 6],
    ),
    (
        "of age where they live",
        |scene| ages(scene, json!({"years": 14, "country": "AT"})),
        "newsletter",
        "profile",
        [OK; 6],
    ),
    (
        "marketing objection",
        |scene| objects(scene, "offers"),
        "offers",
        "profile",
        [NO_BASIS, NO_BASIS, NO_BASIS, OK, OK, OK],
    ),
    (
        "suppressed",
        |scene| suppressed(scene),
        "offers",
        "profile",
        [NO_BASIS, NO_BASIS, NO_BASIS, OK, OK, OK],
    ),
    (
        "suppressed, another purpose",
        |scene| suppressed(scene),
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "marketing objection, another purpose",
        |scene| objects(scene, "offers"),
        "improve",
        "profile",
        [OK; 6],
    ),
    (
        "marketing objection taken back",
        |scene| {
            objects(scene, "offers");
            scene.does("DELETE", "objections/offers", Value::Null);
        },
        "offers",
        "profile",
        [OK; 6],
    ),
    (
        "objection pending",
        |scene| objects(scene, "improve"),
        "improve",
        "profile",
        [RESTRICTED, RESTRICTED, RESTRICTED, OK, OK, OK],
    ),
    (
        "objection pending, another purpose",
        |scene| objects(scene, "improve"),
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "objection upheld",
        |scene| {
            objects(scene, "improve");
            decides(scene, "upheld");
        },
        "improve",
        "profile",
        [NO_BASIS, NO_BASIS, NO_BASIS, OK, OK, OK],
    ),
    (
        "objection overridden",
        |scene| {
            objects(scene, "improve");
            decides(scene, "overridden");
        },
        "improve",
        "profile",
        [OK; 6],
    ),
    (
        "restricted",
        |scene| restricts(scene, &[]),
        "support",
        "profile",
        [RESTRICTED, RESTRICTED, RESTRICTED, RESTRICTED, OK, OK],
    ),
    (
        "restricted in scope",
        |scene| restricts(scene, &["profile"]),
        "support",
        "profile",
        [RESTRICTED, RESTRICTED, RESTRICTED, RESTRICTED, OK, OK],
    ),
    (
        "restricted out of scope",
        |scene| restricts(scene, &["orders"]),
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "held",
        |scene| holds(scene, &[]),
        "support",
        "profile",
        [HELD, HELD, HELD, HELD, OK, OK],
    ),
    (
        "held in scope",
        |scene| holds(scene, &["profile"]),
        "support",
        "profile",
        [HELD, HELD, HELD, HELD, OK, OK],
    ),
    (
        "held out of scope",
        |scene| holds(scene, &["orders"]),
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "held and restricted",
        |scene| {
            restricts(scene, &[]);
            holds(scene, &[]);
        },
        "support",
        "profile",
        [HELD, HELD, HELD, HELD, OK, OK],
    ),
    (
        "held and released",
        |scene| {
            holds(scene, &[]);
            let path = scene.at("hold");
            let released = scene
                .bench
                .call(&scene.rights, "DELETE", &path, Value::Null);
            assert_eq!(released.status, 200, "{}", released.body);
        },
        "support",
        "profile",
        [OK; 6],
    ),
    (
        "held and erased",
        |scene| {
            holds(scene, &["orders"]);
            erases(scene);
        },
        "support",
        "profile",
        [HELD, HELD, HELD, HELD, OK, HELD],
    ),
    ("erased", erases, "support", "profile", ["410 erased"; 6]),
];

/// Art. 5(1)(b), 6, 7(3), 17, 18 and 21: every cell.
#[test]
fn every_state_does_to_every_call_what_the_matrix_says() {
    for (state, enter, purpose, collection, expected) in MATRIX {
        let scene = Scene::active();
        enter(&scene);
        // A removal last: what is gone cannot be corrected back into being read.
        let seen = [
            scene.reads(collection, purpose),
            scene.asks(purpose),
            scene.writes(collection, purpose),
        ];
        let (exported, corrected) = (scene.exports(), scene.corrects());
        let removed = scene.removes(purpose);
        let [read, asked, written] = seen.map(|answer| code(&answer));
        let seen = [
            read,
            asked,
            written,
            code(&removed),
            code(&exported),
            code(&corrected),
        ];
        assert_eq!(&seen[..], expected, "{state}");
    }
}

/// Art. 18(2): a use that the law allows and the policy allows the role, and no other.
#[test]
fn restricted_data_are_used_for_what_the_role_may_claim_and_for_nothing_else() {
    let scene = Scene::active();
    restricts(&scene, &[]);
    let legal = scene.bench.key("legal");
    let path = scene.at("records/profile");
    let reads = |key: &str, headers: &[(&str, &str)]| {
        code(&scene.bench.send(key, "GET", &path, headers, &Value::Null))
    };
    let purpose = ("vault-purpose", "support");
    let claim = |text| ("vault-restricted-use", text);
    assert_eq!(reads(&legal, &[purpose]), RESTRICTED);
    assert_eq!(reads(&legal, &[purpose, claim("legal_claims")]), OK);
    assert_eq!(reads(&legal, &[purpose, claim("consent")]), RESTRICTED);
    assert_eq!(
        reads(&scene.bot, &[purpose, claim("legal_claims")]),
        RESTRICTED
    );
    assert_eq!(
        reads(&legal, &[purpose, claim("curiosity")]),
        "400 malformed"
    );
    // A claim gives nothing that the role does not have otherwise.
    let newsletter = ("vault-purpose", "newsletter");
    let other = reads(&legal, &[newsletter, claim("legal_claims")]);
    assert_eq!(other, "403 purpose_denied");
}

/// Art. 18(3): the person is told before a restriction ends.
#[test]
fn a_restriction_is_lifted_after_the_person_was_told_and_not_before() {
    let scene = Scene::active();
    let told = json!({"about": "restriction_lift", "lang": "en", "channel": "web", "sha256": "0".repeat(64)});
    // Told before there was anything to lift.
    scene.does("POST", "notices", told.clone());
    scene.bench.clock.advance(1_000);
    restricts(&scene, &[]);
    let view = scene.bench.call(
        &scene.bot,
        "GET",
        &format!("/v1/subjects/{}", scene.person),
        Value::Null,
    );
    assert_eq!(view.body["restricted"], true, "{}", view.body);
    let lift = || {
        let path = scene.at("restriction");
        scene.bench.call(&scene.bot, "DELETE", &path, Value::Null)
    };
    let refused = lift();
    assert_eq!(refused.code(), (409, "conflict"));
    assert_eq!(code(&scene.reads("profile", "support")), RESTRICTED);
    scene.bench.clock.advance(1_000);
    scene.does("POST", "notices", told);
    assert_eq!(lift().status, 200);
    assert_eq!(code(&scene.reads("profile", "support")), OK);
    assert_eq!(lift().code(), (404, "not_found"));
    let history = scene.does("GET", "restriction", Value::Null);
    assert_eq!(history.body["restricted"], false);
    assert_eq!(history.body["history"].as_array().map(Vec::len), Some(2));
    assert_eq!(history.body["history"][0]["reason"], "it is wrong");
}

/// Art. 21(1) and (2): what can be objected to, who decides, and that it is decided once.
#[test]
fn only_what_rests_on_interests_or_is_marketing_is_objected_to_and_who_decides_says_why() {
    let scene = Scene::active();
    let objects = |purpose: &str| {
        let path = scene.at(&format!("objections/{purpose}"));
        scene.bench.call(&scene.bot, "PUT", &path, json!({}))
    };
    for purpose in ["support", "newsletter"] {
        assert_eq!(objects(purpose).code(), (409, "conflict"), "{purpose}");
    }
    assert_eq!(objects("unknown").code(), (404, "not_found"));
    assert_eq!(objects("improve").body["state"], "pending");
    assert_eq!(objects("improve").code(), (409, "conflict"), "twice");
    assert_eq!(objects("offers").body["state"], "upheld");
    let decides = |key: &str, purpose: &str, body: Value| {
        let path = scene.at(&format!("objections/{purpose}/decision"));
        scene.bench.call(key, "POST", &path, body)
    };
    let weighed = || json!({"outcome": "overridden", "reason": "fraud would go unseen"});
    assert_eq!(
        decides(&scene.bot, "improve", weighed()).code(),
        (403, "role_denied")
    );
    let silent = decides(
        &scene.rights,
        "improve",
        json!({"outcome": "upheld", "reason": ""}),
    );
    assert_eq!(silent.code(), (422, "invalid"));
    let unknown = decides(
        &scene.rights,
        "improve",
        json!({"outcome": "perhaps", "reason": "x"}),
    );
    assert_eq!(unknown.body["errors"][0]["pointer"], "/outcome");
    // Marketing is not weighed against anything.
    assert_eq!(
        decides(&scene.rights, "offers", weighed()).code(),
        (409, "conflict")
    );
    assert_eq!(decides(&scene.rights, "improve", weighed()).status, 200);
    assert_eq!(
        decides(&scene.rights, "improve", weighed()).code(),
        (409, "conflict")
    );
    let list = scene.does("GET", "objections", Value::Null);
    let states: Vec<&str> = list.body["objections"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(states, ["upheld", "overridden"]);
}

/// Art. 5(1)(b): a query over many people passes those by whose data may not be used for the purpose.
#[test]
fn a_query_over_many_skips_whoever_may_not_be_used() {
    let scene = Scene::active();
    let others: Vec<String> = ["ben", "cy", "di"]
        .into_iter()
        .map(|user| scene.bench.person(&scene.bot, user))
        .collect();
    let purpose = [("vault-purpose", "improve")];
    for other in &others {
        let path = format!("/v1/subjects/{other}/records/profile");
        let email = json!({"email": "other@example.test"});
        let wrote = scene
            .bench
            .send(&scene.bot, "PATCH", &path, &purpose, &email);
        assert_eq!(wrote.status, 200, "{}", wrote.body);
    }
    let bulk = scene.bench.key("bulk");
    let found = || {
        let body = json!({"collection": "profile", "fields": ["email"]});
        let (_, _, bytes) =
            scene
                .bench
                .raw_for("improve", &bulk, "POST", "/v1/records/query", &body);
        String::from_utf8(bytes)
            .expect("UTF-8")
            .matches("\"email\"")
            .count()
    };
    assert_eq!(found(), 4);
    objects(&scene, "improve");
    let path = format!("/v1/subjects/{}/objections/improve", others[0]);
    assert_eq!(
        scene.bench.call(&scene.bot, "PUT", &path, json!({})).status,
        200
    );
    assert_eq!(found(), 2);
    let path = format!("/v1/subjects/{}/restriction", others[1]);
    let ground = json!({"ground": "18.1.b"});
    assert_eq!(
        scene.bench.call(&scene.bot, "PUT", &path, ground).status,
        200
    );
    assert_eq!(found(), 1);
}

fn gated() -> Scene {
    Scene::under(&format!("{POLICY}\n[notice]\ngate = \"before_write\"\n"))
}

/// Art. 13(1): data are taken down after the notice; the refusal carries the text to show.
#[test]
fn nothing_is_taken_down_before_the_notice_was_shown() {
    let scene = gated();
    let refused = scene.writes("profile", "support");
    assert_eq!(refused.code(), (403, "notice_required"));
    let notice = &refused.body["notice"];
    assert_eq!(notice["lang"], "en");
    let text = notice["text"].as_str().expect("a text");
    for item in [
        "Example Shop B.V.",
        "privacy@example.test",
        "Answering your questions",
        "Autoriteit Persoonsgegevens",
    ] {
        assert!(text.contains(item), "{item}: {text}");
    }
    let current = scene.bench.call(
        &scene.bot,
        "GET",
        "/v1/notices/current?lang=de",
        Value::Null,
    );
    assert_eq!(current.body["lang"], "de");
    assert_ne!(current.body["sha256"], notice["sha256"]);
    let shown = |language: &str, sha256: &Value| {
        let body = json!({"version": current.body["version"], "lang": language, "sha256": sha256, "channel": "web", "acknowledged": true});
        scene
            .bench
            .call(&scene.bot, "POST", &scene.at("notices"), body)
    };
    // Another text than the vault's own proves nothing.
    let other = shown("en", &current.body["sha256"]);
    assert_eq!(
        other.body["errors"][0]["pointer"], "/sha256",
        "{}",
        other.body
    );
    let unknown = shown("fr", &current.body["sha256"]);
    assert_eq!(unknown.body["errors"][0]["pointer"], "/lang");
    assert_eq!(
        code(&scene.writes("profile", "support")),
        "403 notice_required"
    );
    assert_eq!(shown("de", &current.body["sha256"]).status, 201);
    assert_eq!(code(&scene.writes("profile", "support")), OK);
    let list = scene.does("GET", "notices", Value::Null);
    assert_eq!(list.body["notices"][0]["acknowledged"], true);
    // Removing and correcting wait for no notice.
    let other = scene.bench.person(&scene.bot, "ben");
    let path = format!("/v1/subjects/{other}/records/profile");
    let purpose = [("vault-purpose", "support")];
    let removed = scene.bench.send(
        &scene.bot,
        "PATCH",
        &path,
        &purpose,
        &json!({"email": null}),
    );
    assert_eq!(code(&removed), OK);
    let rights = [("vault-purpose", "rights")];
    let corrected = scene.bench.send(
        &scene.rights,
        "PATCH",
        &path,
        &rights,
        &json!({"email": "b@example.test"}),
    );
    assert_eq!(code(&corrected), OK);
}

/// Art. 13(3): another purpose, period or recipient is told before data are taken down for it; better words are not.
#[test]
fn after_a_material_change_the_old_notice_is_stale_and_after_better_words_it_is_not() {
    let scene = gated();
    let current = |language: &str| {
        let path = format!("/v1/notices/current?lang={language}");
        scene.bench.call(&scene.bot, "GET", &path, Value::Null).body
    };
    let shows = |notice: &Value| {
        let body = json!({"version": notice["version"], "lang": notice["lang"], "sha256": notice["sha256"]});
        scene.does("POST", "notices", body);
    };
    let first = current("de");
    shows(&first);
    let source = format!("{POLICY}\n[notice]\ngate = \"before_write\"\n");
    let keyholder = scene.bench.vault.keyholder();
    let applies = |source: &str| {
        let call = vault_core::vault::Call::new(&keyholder);
        scene
            .bench
            .vault
            .apply_policy(&call, source, false)
            .expect("a policy");
    };
    let better = source.replace("Answering your questions", "Answering what you ask us");
    applies(&better);
    assert_eq!(code(&scene.writes("profile", "support")), OK);
    applies(&better.replace("P2Y", "P3Y"));
    let stale = scene.writes("profile", "support");
    assert_eq!(stale.code(), (409, "notice_stale"));
    assert_eq!(
        stale.body["notice"]["lang"], "de",
        "the language they read before"
    );
    // To show the old one again does not help, and it is on record that it was shown.
    shows(&first);
    assert_eq!(
        code(&scene.writes("profile", "support")),
        "409 notice_stale"
    );
    shows(&current("de"));
    assert_eq!(code(&scene.writes("profile", "support")), OK);
    let list = scene.does("GET", "notices", Value::Null);
    let versions: Vec<u64> = list.body["notices"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["version"].as_u64().expect("a number"))
        .collect();
    assert_eq!(versions, [1, 1, 3]);
}

/// Art. 16: only who decides requests corrects in the person's name, and reads nothing by it.
#[test]
fn the_purpose_rights_opens_a_correction_to_who_decides_and_nothing_else() {
    let scene = Scene::active();
    let path = scene.at("records/profile");
    let rights = [("vault-purpose", "rights")];
    let body = || json!({"email": "x@example.test"});
    let bot = scene
        .bench
        .send(&scene.bot, "PATCH", &path, &rights, &body());
    assert_eq!(bot.code(), (403, "role_denied"));
    let read = scene
        .bench
        .send(&scene.rights, "GET", &path, &rights, &Value::Null);
    assert_eq!(read.code(), (403, "purpose_denied"));
    let corrected = scene
        .bench
        .send(&scene.rights, "PATCH", &path, &rights, &body());
    assert_eq!(code(&corrected), OK);
    assert_eq!(
        scene.reads("profile", "support").body["fields"]["email"],
        "x@example.test"
    );
}

//! Legal holds over HTTP: who places them, what an erasure leaves, and what the release does.

use serde_json::{Value, json};

use super::{OK, Scene, code, holds};

fn legal(scene: &Scene, key: &str, method: &str, path: &str, body: &Value) -> super::Answer {
    let headers = [
        ("vault-purpose", "support"),
        ("vault-restricted-use", "legal_claims"),
    ];
    scene
        .bench
        .send(key, method, &scene.at(path), &headers, body)
}

/// Art. 17(3)(e): what is kept is kept for legal claims, and for nobody who does not say so.
#[test]
fn what_is_held_is_there_for_whoever_may_claim_it_and_says_so() {
    let scene = Scene::active();
    holds(&scene, &["profile"]);
    let key = scene.bench.key("legal");
    let path = scene.at("records/profile");
    let reads = |key: &str, headers: &[(&str, &str)]| {
        code(&scene.bench.send(key, "GET", &path, headers, &Value::Null))
    };
    let purpose = ("vault-purpose", "support");
    let claim = |text| ("vault-restricted-use", text);
    assert_eq!(reads(&key, &[purpose]), "423 held");
    assert_eq!(reads(&key, &[purpose, claim("legal_claims")]), OK);
    assert_eq!(reads(&key, &[purpose, claim("consent")]), "423 held");
    assert_eq!(
        reads(&scene.bot, &[purpose, claim("legal_claims")]),
        "423 held"
    );
    // The hold is told before the purpose.
    assert_eq!(
        reads(&scene.bot, &[("vault-purpose", "unknown")]),
        "423 held"
    );
    // Of many people, whoever is held is passed over, and not told of.
    let bulk = scene.bench.key("bulk");
    let body = json!({"collection": "profile", "where": {}});
    let (status, _, lines) =
        scene
            .bench
            .raw_for("improve", &bulk, "POST", "/v1/records/query", &body);
    let lines = String::from_utf8(lines).expect("UTF-8");
    assert_eq!(status, 200);
    assert!(lines.contains("people_skipped"), "{lines}");
    assert!(!lines.contains("ann@example.test"), "{lines}");
}

#[test]
fn a_hold_has_a_ground_and_a_day_of_review_and_is_placed_by_who_manages_holds() {
    let scene = Scene::active();
    let puts = |key: &str, body: Value| scene.bench.call(key, "PUT", &scene.at("hold"), body);
    let good = || json!({"ground": "legal_obligation", "review_at": "2040-12-31"});
    assert_eq!(puts(&scene.bot, good()).code(), (403, "role_denied"));
    for (body, pointer) in [
        (
            json!({"ground": "curiosity", "review_at": "2040-12-31"}),
            "/ground",
        ),
        (
            json!({"ground": "legal_claims", "review_at": "tomorrow"}),
            "/review_at",
        ),
        (
            json!({"ground": "legal_claims", "review_at": "20401231"}),
            "/review_at",
        ),
        (
            json!({"ground": "legal_claims", "review_at": "2001-01-01"}),
            "/review_at",
        ),
        (json!({"ground": "legal_claims"}), "/review_at"),
        (
            json!({"ground": "legal_claims", "review_at": "2040-12-31", "collections": ["none"]}),
            "/collections/0",
        ),
    ] {
        let refused = puts(&scene.rights, body);
        assert_eq!(refused.code(), (422, "invalid"), "{pointer}");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    let placed = puts(&scene.rights, good());
    assert_eq!(placed.status, 200, "{}", placed.body);
    assert_eq!(placed.body["state"], "placed");
    assert_eq!(placed.body["by"], "rights");
    assert_eq!(placed.body["erasure"], Value::Null);
    let list = scene
        .bench
        .call(&scene.rights, "GET", "/v1/admin/holds", Value::Null);
    assert_eq!(list.body["holds"][0]["subject"], scene.person.as_str());
    assert_eq!(list.body["holds"][0]["erasure_pending"], false);
    assert_eq!(list.body["next"], Value::Null);
    let refused = scene
        .bench
        .call(&scene.bot, "GET", "/v1/admin/holds", Value::Null);
    assert_eq!(refused.code(), (403, "role_denied"));
    let view = |key: &str| {
        let person = format!("/v1/subjects/{}", scene.person);
        scene.bench.call(key, "GET", &person, Value::Null).body
    };
    assert_eq!(view(&scene.bot)["held"], true);
    let released = scene
        .bench
        .call(&scene.rights, "DELETE", &scene.at("hold"), Value::Null);
    assert_eq!(released.status, 200, "{}", released.body);
    assert_eq!(released.body["receipt"], Value::Null);
    assert_eq!(view(&scene.bot)["held"], false);
    let again = scene
        .bench
        .call(&scene.rights, "DELETE", &scene.at("hold"), Value::Null);
    assert_eq!(again.code(), (404, "not_found"));
    let history = scene
        .bench
        .call(&scene.rights, "GET", &scene.at("hold"), Value::Null);
    assert_eq!(history.body["history"].as_array().map(Vec::len), Some(2));
}

/// Art. 17(1) and (3): the rest goes at once, what is held with the release.
#[test]
fn an_erasure_under_a_hold_says_what_it_left_and_the_release_ends_it() {
    let scene = Scene::active();
    holds(&scene, &["orders"]);
    let key = scene.bench.key("legal");
    let person = format!("/v1/subjects/{}", scene.person);
    let erases = || {
        scene
            .bench
            .call(&scene.rights, "DELETE", &person, Value::Null)
    };
    let erased = erases();
    assert_eq!(erased.status, 200, "{}", erased.body);
    let kept = &erased.body["receipt"]["body"]["kept"];
    assert_eq!(kept[0]["collection"], "orders");
    assert_eq!(kept[0]["law"], "Art. 17(3)(e) GDPR");
    assert_eq!(&erases().body["receipt"]["body"]["kept"], kept);
    for (method, path, body) in [
        ("GET", "consents", Value::Null),
        ("GET", "records/orders", Value::Null),
        ("PUT", "restriction", json!({"ground": "18.1.a"})),
        ("PUT", "objections/improve", json!({})),
    ] {
        let headers = [("vault-purpose", "support")];
        let answer = scene
            .bench
            .send(&scene.bot, method, &scene.at(path), &headers, &body);
        assert_eq!(answer.code(), (423, "held"), "{method} {path}");
    }
    let read = legal(&scene, &key, "GET", "records/orders", &Value::Null);
    assert_eq!(read.body["fields"]["last"], "a lamp");
    let read = legal(&scene, &key, "GET", "records/profile", &Value::Null);
    assert_eq!(read.body["fields"], json!({}));
    // The person's own package has what is left, and nothing of who they were.
    let package = scene.exports();
    assert_eq!(package.status, 200);
    assert!(package.body.to_string().contains("a lamp"));
    assert!(!package.body.to_string().contains("ann@example.test"));
    let view = scene.bench.call(&scene.bot, "GET", &person, Value::Null);
    assert_eq!(view.body["state"], "erasing");
    // Whoever comes back on the same channel is somebody else.
    scene.bench.clock.advance(16 * 60 * 1_000);
    assert_ne!(scene.bench.person(&scene.bot, "ann"), scene.person);
    let released = scene
        .bench
        .call(&scene.rights, "DELETE", &scene.at("hold"), Value::Null);
    assert_eq!(released.status, 200, "{}", released.body);
    assert_eq!(released.body["receipt"]["body"]["kept"], json!([]));
    let read = legal(&scene, &key, "GET", "records/orders", &Value::Null);
    assert_eq!(read.code(), (410, "erased"));
}

/// What whoever may claim legal claims reads of the profile.
fn original(scene: &Scene) -> Value {
    let key = scene.bench.key("legal");
    let seen = legal(scene, &key, "GET", "records/profile", &Value::Null);
    assert_eq!(seen.status, 200, "{}", seen.body);
    seen.body
}

fn ends(scene: &Scene) {
    let released = scene
        .bench
        .call(&scene.rights, "DELETE", &scene.at("hold"), Value::Null);
    assert_eq!(released.status, 200, "{}", released.body);
}

/// Art. 16, 17(3): neither the hold nor the right gives way.
#[test]
fn article_16_a_correction_of_what_is_held_stands_beside_it_and_is_made_when_the_hold_ends() {
    let scene = Scene::active();
    holds(&scene, &["profile"]);
    let corrected = scene.corrects();
    assert_eq!(corrected.status, 202, "{}", corrected.body);
    assert_eq!(corrected.body["beside"], true);
    let seen = original(&scene);
    assert_eq!(seen["fields"]["email"], "ann@example.test");
    assert_eq!(
        seen["corrections"][0]["fields"]["email"],
        "anna@example.test"
    );
    let package = scene.exports().body;
    let told = &package["hold"]["corrections"][0];
    assert_eq!(told["collection"], "profile");
    assert_eq!(told["fields"]["email"], "anna@example.test");
    assert_eq!(told["record"], Value::Null);
    // Nobody else sees more of it than of the original.
    assert_eq!(code(&scene.reads("profile", "support")), "423 held");
    ends(&scene);
    let read = scene.reads("profile", "support").body;
    assert_eq!(read["fields"]["email"], "anna@example.test");
    assert_eq!(read["corrections"], Value::Null);
    let package = scene.exports().body;
    assert_eq!(package["hold"]["corrections"], json!([]));
}

#[test]
fn what_a_narrower_hold_no_longer_covers_is_corrected_with_it() {
    let scene = Scene::active();
    holds(&scene, &[]);
    assert_eq!(scene.corrects().status, 202);
    holds(&scene, &["orders"]);
    let read = scene.reads("profile", "support").body;
    assert_eq!(read["fields"]["email"], "anna@example.test");
}

/// The last word counts, in the order in which it was said.
#[test]
fn several_corrections_are_made_in_their_order() {
    let scene = Scene::active();
    holds(&scene, &["profile"]);
    let corrects = |email: &str| {
        let headers = [("vault-purpose", "rights")];
        let (path, body) = (scene.at("records/profile"), json!({"email": email}));
        scene
            .bench
            .send(&scene.rights, "PATCH", &path, &headers, &body)
    };
    for email in ["first@example.test", "second@example.test"] {
        assert_eq!(corrects(email).status, 202);
    }
    assert_eq!(
        original(&scene)["corrections"].as_array().map(Vec::len),
        Some(2)
    );
    ends(&scene);
    let read = scene.reads("profile", "support").body;
    assert_eq!(read["fields"]["email"], "second@example.test");
}

#[test]
fn what_is_held_is_neither_removed_nor_corrected_into_what_no_field_takes() {
    let scene = Scene::active();
    holds(&scene, &["profile"]);
    let sends = |body: Value| {
        let headers = [("vault-purpose", "rights")];
        let path = scene.at("records/profile");
        scene
            .bench
            .send(&scene.rights, "PATCH", &path, &headers, &body)
    };
    assert_eq!(sends(json!({"email": null})).code(), (423, "held"));
    assert_eq!(
        sends(json!({"email": "no address"})).code(),
        (422, "invalid")
    );
    let with_meta = json!({"email": "anna@example.test", "_meta": {"category": "x"}});
    assert_eq!(sends(with_meta).code(), (422, "invalid"));
    assert_eq!(original(&scene)["corrections"], Value::Null);
}

/// Art. 12(3), 16: the person is told what was done and what the law keeps.
#[test]
fn a_request_for_correction_of_held_data_is_fulfilled_but_for_what_the_law_keeps() {
    let scene = Scene::active();
    holds(&scene, &["profile"]);
    let key = &scene.rights;
    let call = |path: &str, body: Value| scene.bench.call(key, "POST", path, body);
    let made = call(&scene.at("requests"), json!({"type": "rectify"}));
    assert_eq!(made.status, 201, "{}", made.body);
    let request = made.body["request"].as_str().expect("an id").to_owned();
    let step = |name: &str| format!("/v1/requests/{request}/{name}");
    let known = call(
        &step("identity"),
        json!({"outcome": "verified", "evidence": "seen"}),
    );
    assert_eq!(known.status, 200, "{}", known.body);
    let change = json!({"collection": "profile", "fields": {"email": "anna@example.test"}});
    let confirmed = call(&step("confirm"), change.clone());
    let mut approval = change;
    approval["confirmation"] = confirmed.body["confirmation"].clone();
    let done = call(&step("approve"), approval);
    assert_eq!(done.status, 200, "{}", done.body);
    let view = match done.body.get("request").filter(|one| one.is_object()) {
        Some(inner) => inner.clone(),
        None => done.body.clone(),
    };
    assert_eq!(view["state"], "partly_fulfilled", "{}", done.body);
    assert_eq!(view["kept"][0]["collections"], json!(["profile"]));
    assert_eq!(original(&scene)["fields"]["email"], "ann@example.test");
}

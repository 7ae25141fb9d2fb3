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

//! API keys over HTTP: bound to channels, replaced, listed with their last use.
//!
//! Counts as failure: a bound key that learns of anybody on another channel, by whatever call; a key
//! or a session that works after its end; a way from a bound key to one that is not.

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};
use vault_cli::http::Client;

struct Bench(Running);

impl Bench {
    fn new() -> Self {
        let sample = vault_core::policy::SAMPLE;
        let text =
            format!("{sample}\n[roles.clerk]\nmay = [\"api_keys.manage\", \"keys.manage\"]\n");
        let options = DevOptions {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            policy: Some(text),
            ..DevOptions::default()
        };
        Self(start(options).map_err(|_| "dev does not start").unwrap())
    }

    fn send(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let client = Client::new(&self.0.url, token).unwrap();
        let body = (!body.is_null()).then_some(body);
        let path = format!("/v1/{path}");
        let reply = client.call(method, &path, Some("support"), body.as_ref());
        let reply = reply.map_err(|_| "no answer").unwrap();
        (reply.status, reply.body)
    }

    fn role(&self, role: &str, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = self.send(self.0.token(role), method, path, body);
        assert!(status < 300, "{method} {path}: {status} {body}");
        body
    }

    fn make(&self, body: Value) -> (String, String) {
        let made = self.role("clerk", "POST", "admin/api-keys", body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("token"), text("secret"))
    }

    fn listed(&self, token: &str) -> Value {
        let keys = self.role("clerk", "GET", "admin/api-keys", Value::Null);
        let keys = keys["api_keys"].as_array().unwrap().clone();
        keys.into_iter().find(|key| key["token"] == token).unwrap()
    }

    fn person(&self, channel: &str, user: &str) -> String {
        let who = json!({"channel": channel, "user": user});
        let made = self.role("bot", "POST", "subjects", who);
        let subject = made["subject"].as_str().unwrap().to_owned();
        let profile = json!({"name": format!("{user} Example"), "phone": "+31 30 123 4567"});
        self.role(
            "bot",
            "PATCH",
            &format!("subjects/{subject}/records/profile"),
            profile,
        );
        subject
    }
}

#[test]
fn a_bound_key_gets_404_for_everybody_on_another_channel() {
    let bench = Bench::new();
    let (ann, eve) = (bench.person("web", "ann"), bench.person("sms", "eve"));
    let bound = json!({"role": "bot", "label": "web bot", "channels": ["web"]});
    let (name, key) = bench.make(bound);
    assert_eq!(bench.listed(&name)["channels"], json!(["web"]));
    let nobody = "sub_00000000000000000000000000";
    let given = json!({"purpose": "support", "fields": ["profile.name"], "reads": 3});
    for (method, rest, body) in [
        ("GET", "/records/profile", Value::Null),
        ("PATCH", "/records/profile", json!({"name": "A"})),
        ("POST", "/records/messages", json!({"text": "hello"})),
        ("GET", "/records/messages", Value::Null),
        ("POST", "/sessions", given),
        ("GET", "/consents", Value::Null),
    ] {
        let status =
            |who: &str| bench.send(&key, method, &format!("subjects/{who}{rest}"), body.clone());
        assert!(status(&ann).0 < 300, "{method} {rest}: {:?}", status(&ann));
        // Word for word what somebody gets who is not there, but for the call's id.
        let (of_eve, of_nobody) = (status(&eve), status(nobody));
        assert_eq!(of_eve.0, 404, "{method} {rest}");
        for member in ["code", "detail", "title"] {
            assert_eq!(of_eve.1[member], of_nobody.1[member], "{method} {rest}");
        }
    }
    let find = |body: Value| bench.send(&key, "POST", "subjects/lookup", body);
    let phone = json!({"field": "profile.phone", "value": "+31301234567"});
    let (status, found) = find(phone.clone());
    assert_eq!((status, &found["subject"]), (200, &json!(ann)));
    let (status, _) = bench.send(bench.0.token("bot"), "POST", "subjects/lookup", phone);
    assert_eq!(status, 409, "an unbound key finds both");
    assert_eq!(find(json!({"channel": "web", "user": "ann"})).0, 200);
    assert_eq!(find(json!({"channel": "sms", "user": "eve"})).0, 404);
    for user in ["eve", "new"] {
        let who = json!({"channel": "sms", "user": user});
        let (status, body) = bench.send(&key, "POST", "subjects", who);
        assert_eq!((status, &body["code"]), (403, &json!("role_denied")));
    }
}

#[test]
fn a_bound_key_finds_no_way_to_one_that_is_not() {
    let bench = Bench::new();
    let (name, key) = bench.make(json!({"role": "clerk", "channels": ["web"]}));
    let rotate = format!("admin/api-keys/{name}/rotate");
    for (method, path, body) in [
        ("GET", "admin/api-keys", Value::Null),
        ("POST", "admin/api-keys", json!({"role": "bot"})),
        (
            "POST",
            "admin/api-keys",
            json!({"role": "bot", "channels": ["web"]}),
        ),
        ("POST", &rotate, json!({})),
        (
            "POST",
            "admin/key-slots",
            json!({"kind": "recovery_key", "label": "x"}),
        ),
    ] {
        let (status, body) = bench.send(&key, method, path, body);
        assert_eq!(
            (status, &body["code"]),
            (403, &json!("role_denied")),
            "{method} {path}"
        );
    }
}

#[test]
fn a_rotated_key_names_its_predecessor_and_ends_it_with_its_sessions() {
    let bench = Bench::new();
    let ann = bench.person("web", "ann");
    let (old, secret) = bench.make(json!({"role": "bot", "label": "web bot"}));
    let given = json!({"purpose": "support", "fields": ["profile.name"], "reads": 9});
    let (_, session) = bench.send(&secret, "POST", &format!("subjects/{ann}/sessions"), given);
    let session = session["token"].as_str().unwrap().to_owned();
    let read = |key: &str, who: &str| {
        bench
            .send(
                key,
                "GET",
                &format!("subjects/{who}/records/profile"),
                Value::Null,
            )
            .0
    };
    let path = |name: &str| format!("admin/api-keys/{name}/rotate");
    let next = bench.role("clerk", "POST", &path(&old), json!({"overlap": "PT24H"}));
    let new_secret = next["secret"].as_str().unwrap();
    assert_eq!(
        (&next["replaces"], &next["label"]),
        (&json!(old), &json!("web bot"))
    );
    assert_eq!(next["predecessor"]["state"], "ending");
    assert_eq!(
        (
            read(&secret, &ann),
            read(&session, "self"),
            read(new_secret, &ann)
        ),
        (200, 200, 200)
    );
    assert_eq!(bench.listed(&old)["replaced_by"], next["token"]);
    let (status, _) = bench.send(bench.0.token("clerk"), "POST", &path(&old), json!({}));
    assert_eq!(status, 409, "it has a successor");
    // The overlap was a mistake: revoked, the old one is over at once.
    bench.role(
        "clerk",
        "DELETE",
        &format!("admin/api-keys/{old}"),
        Value::Null,
    );
    assert_eq!(
        (
            read(&secret, &ann),
            read(&session, "self"),
            read(new_secret, &ann)
        ),
        (401, 401, 200)
    );
    let new = next["token"].as_str().unwrap();
    let last = bench.role("clerk", "POST", &path(new), json!({"overlap": "PT0S"}));
    assert_eq!(
        (
            read(new_secret, &ann),
            read(last["secret"].as_str().unwrap(), &ann)
        ),
        (401, 200)
    );
    let used = bench.listed(last["token"].as_str().unwrap());
    assert!(used["last_used_at"].as_str().unwrap().ends_with(":00:00Z"));
    assert_eq!(
        (&used["unused_days"], &used["created_by"]),
        (&json!(0), &bench.listed(new)["created_by"])
    );
}

#[test]
fn what_does_not_fit_says_where() {
    let bench = Bench::new();
    let (name, _) = bench.make(json!({"role": "bot"}));
    let rotate = format!("admin/api-keys/{name}/rotate");
    for (path, body, pointer) in [
        (
            "admin/api-keys",
            json!({"role": "bot", "channels": []}),
            "/channels",
        ),
        (
            "admin/api-keys",
            json!({"role": "bot", "channels": "web"}),
            "/channels",
        ),
        (
            "admin/api-keys",
            json!({"role": "bot", "channels": [""]}),
            "/channels/0",
        ),
        (
            "admin/api-keys",
            json!({"role": "bot", "label": "x".repeat(200)}),
            "/label",
        ),
        ("admin/api-keys", json!({"role": "bot", "lable": "x"}), ""),
        (&rotate, json!({"overlap": "soon"}), "/overlap"),
        (&rotate, json!({"overlap": "P31D"}), "/overlap"),
    ] {
        let (status, answer) = bench.send(bench.0.token("clerk"), "POST", path, body.clone());
        assert_eq!(
            (status, &answer["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{body}"
        );
    }
    let (status, _) = bench.send(
        bench.0.token("clerk"),
        "POST",
        "admin/api-keys/tok_x/rotate",
        json!({}),
    );
    assert_eq!(status, 404);
}

//! Every route by every role that has no right to it; and what reading leaves behind.

use serde_json::{Value, json};
use vault_tests::contract::routes;

use super::bench::{Bench, Sent, differences, done, nobody};
use super::calls::{Need, body, need, path};

/// Roles that a policy cannot change, and one that it gave nothing; with what each may.
const ROLES: [(&str, &[&str]); 3] = [
    (
        "operator",
        &[
            "keys.manage",
            "backups.manage",
            "retention.run",
            "vault.lock",
            "policy.read",
        ],
    ),
    ("auditor", &["audit.read", "policy.read"]),
    ("none", &[]),
];

#[test]
fn a_role_does_on_every_route_what_it_may_and_a_refusal_changes_no_row() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    let ann = bench.person(&all, "web", "ann");
    let gone = bench.person(&all, "web", "gone");
    bench.done(
        &all,
        "DELETE",
        &format!("/v1/subjects/{}", gone.id),
        Value::Null,
    );
    let mut refused = 0;
    for (role, may) in ROLES {
        let key = bench.key(role, &[]);
        for route in routes() {
            let let_in = match need(&route) {
                Need::Nothing | Need::Bearer => true,
                Need::May(capability) => may.contains(&capability),
                Need::Any(some) => some.iter().any(|one| may.contains(one)),
                Need::Values | Need::Socket => false,
            };
            // Whoever has no right to ask is not told who is there, who was, and who never was.
            let mut answers = Vec::new();
            for subject in [&ann.id, &gone.id, &nobody()] {
                let before = bench.database();
                if let_in {
                    continue;
                }
                let sent = body(&route, &ann);
                let answer = bench.send(
                    &key,
                    &route.method,
                    &path(&route, subject, &ann),
                    &[],
                    &sent,
                );
                let expected = (403, "role_denied".to_owned());
                let head = route.method == "HEAD" && answer.status == 403;
                assert!(
                    head || answer.code() == expected,
                    "{role} {} {answer:?}",
                    route.operation
                );
                let changed = done(&before, &bench.database());
                assert_eq!(changed, Vec::<String>::new(), "{role} {}", route.operation);
                answers.push(answer);
                refused += 1;
            }
            answers.dedup();
            assert!(answers.len() <= 1, "{role} {} {answers:?}", route.operation);
            // The control: what a role may it is not refused.
            let last = ["lock", "add_key_slot", "remove_key_slot"].contains(&&*route.operation);
            if let_in && !last {
                let sent = body(&route, &ann);
                let subject = if route.operation == "read_audit" {
                    &ann.id
                } else {
                    &nobody()
                };
                let answer = bench.send(
                    &key,
                    &route.method,
                    &path(&route, subject, &ann),
                    &[],
                    &sent,
                );
                assert!(
                    ![401, 403].contains(&answer.status),
                    "{role} {} {answer:?}",
                    route.operation
                );
            }
        }
    }
    assert!(refused > 300, "{refused}");
    // Nothing of the roles' doing keeps anybody else from anything.
    bench.done(
        &all,
        "GET",
        &format!("/v1/subjects/{}/records/profile", ann.id),
        Value::Null,
    );
    assert_eq!(
        bench
            .call(&bench.key("operator", &[]), "POST", "/v1/lock", Value::Null)
            .status,
        200
    );
}

#[test]
fn without_a_bearer_that_is_good_every_route_is_closed_and_no_row_changes() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    let ann = bench.person(&all, "web", "ann");
    // One character of the secret, far from the end, where some have no bits of their own.
    let spoil = |text: &str| {
        let at = text.len() - 20;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    };
    let (spoilt, session) = (spoil(&all), spoil(&ann.token));
    let before = bench.database();
    for key in [
        "",
        "vk_",
        &spoilt,
        &all[..all.len() - 1],
        &session,
        "vh_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        for route in routes() {
            let answer = bench.send(
                key,
                &route.method,
                &path(&route, &ann.id, &ann),
                &[],
                &body(&route, &ann),
            );
            match need(&route) {
                // The state is shown to everybody; counts want a key.
                Need::Nothing => assert!(answer.status < 300 || answer.status == 401, "{answer:?}"),
                Need::Socket => assert!([401, 403].contains(&answer.status), "{answer:?}"),
                _ => assert_eq!(answer.status, 401, "{key} {} {answer:?}", route.operation),
            }
        }
    }
    assert_eq!(
        differences(&before, &bench.database()),
        Vec::<String>::new()
    );
}

#[test]
fn reading_changes_no_row_but_what_a_session_has_left() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    let ann = bench.person(&all, "web", "ann");
    let (mut read, mut asked) = (0, 0);
    for route in routes() {
        let path = path(&route, &ann.id, &ann);
        let before = bench.database();
        let mut methods = vec!["OPTIONS"];
        if route.is_safe() {
            methods.push(&route.method);
        }
        if route.method == "GET" {
            methods.push("HEAD");
        }
        for method in methods {
            let answer = bench.send(&all, method, &path, &[], &Sent::Nothing);
            let done = answer.status < 300
                || method == "OPTIONS"
                || need(&route) == Need::May("audit.read")
                // There is none, and to say so is all that reading one can do.
                || ["read_job", "read_incident", "read_decision"].contains(&&*route.operation)
                || method == "HEAD";
            assert!(done, "{method} {path} {answer:?}");
            read += 1;
        }
        let after = bench.database();
        let changed = match &*route.operation {
            // It takes what was read meanwhile into the log first, so that the ledger is whole.
            "read_access" => done(&before, &after),
            _ => differences(&before, &after),
        };
        assert_eq!(changed, Vec::<String>::new(), "{} {path}", route.method);
        if route.is_safe() && need(&route) == Need::Values {
            let before = bench.database();
            let own = super::calls::path(&route, "self", &ann);
            let answer = bench.send(&ann.token, &route.method, &own, &[], &Sent::Nothing);
            assert_eq!(answer.status, 200, "{own} {answer:?}");
            // The session's row; and what every entry changes.
            assert_eq!(done(&before, &bench.database()), ["t13"], "{own}");
            asked += 1;
        }
    }
    assert!(read > 90 && asked >= 6, "{read} {asked}");
    // The control: a write is seen.
    let before = bench.database();
    bench.done(
        &all,
        "PATCH",
        &format!("/v1/subjects/{}/records/profile", ann.id),
        json!({"name": "A"}),
    );
    let changed = differences(&before, &bench.database());
    assert!(
        ["t04", "t05", "t11"]
            .iter()
            .all(|table| changed.contains(&(*table).to_owned())),
        "{changed:?}"
    );
}

#[test]
fn no_policy_changes_a_reserved_role_and_no_key_has_the_keyholders() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    let policy = bench.done(&all, "GET", "/v1/admin/policy", Value::Null);
    let source = policy["source"].as_str().unwrap();
    let before = bench.database();
    for role in ["operator", "auditor", "keyholder"] {
        let text = format!(
            "{source}\n[roles.{role}]\npurposes = [\"support\"]\nread = {{ \"*\" = \"full\" }}\n"
        );
        let applied = bench.send(
            &all,
            "PUT",
            "/v1/admin/policy",
            &[],
            &Sent::Bytes("text/plain", text),
        );
        assert_eq!(applied.status, 422, "{role} {applied:?}");
    }
    for role in ["keyholder", "root", "", "all\u{0}"] {
        let made = bench.call(&all, "POST", "/v1/admin/api-keys", json!({"role": role}));
        assert_eq!(made.status, 422, "{role} {made:?}");
    }
    assert_eq!(done(&before, &bench.database()), Vec::<String>::new());
    let text = source.to_owned();
    let same = bench.send(
        &all,
        "PUT",
        "/v1/admin/policy?dry_run=true",
        &[],
        &Sent::Bytes("text/plain", text),
    );
    assert_eq!(same.status, 200, "the control: {same:?}");
}

//! Batches: many operations in one call, all or nothing for each person.
//!
//! Counts as failure: an answer that the operation would not have got alone, a person whose part
//! happened by half, one whom another's failure touched, more than one commit a person, and a
//! reference that yields anything but an earlier answer.

#![allow(dead_code, reason = "the bench serves more than one file of tests")]

mod people;

use people::{Bench, operation};
use proptest::prelude::*;
use serde_json::{Value, json};

fn profile(subject: &str) -> String {
    format!("/v1/subjects/{subject}/records/profile")
}

fn messages(subject: &str) -> String {
    format!("/v1/subjects/{subject}/records/messages")
}

fn message(text: &str) -> Value {
    json!({"from": "user", "text": text})
}

#[test]
fn a_person_is_made_and_filled_in_one_commit_or_not_made() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let make = operation(
        "POST",
        "/v1/subjects",
        json!({"channel": "web", "user": "ann"}),
    );
    let name = operation(
        "PATCH",
        &profile("$0.subject"),
        json!({"name": "Ann $$ Ann", "email": "$$ann"}),
    );
    let failed = bench.batch(&bot, &[make.clone(), name]);
    assert_eq!(failed.statuses(), [424, 422]);
    assert_eq!(failed.result(0)["code"], "batch_failed");
    assert!(
        failed.result(0)["detail"]
            .as_str()
            .is_some_and(|text| text.contains("operation 1"))
    );
    assert_eq!(failed.result(1)["errors"][0]["pointer"], "/email");
    let lookup = json!({"channel": "web", "user": "ann"});
    let found = bench.call(&bot, "POST", "/v1/subjects/lookup", lookup.clone());
    assert_eq!(found.code(), (404, "not_found"));

    let before = bench.vault.commits();
    let operations = [
        make,
        operation("PATCH", &profile("$0.subject"), json!({"name": "$$5 Ann"})),
        operation("POST", &messages("$0.subject"), message("one")),
        operation(
            "PATCH",
            "/v1/subjects/$0.subject/records/messages/$2.record",
            json!({"from": "$2.record"}),
        ),
        operation(
            "GET",
            "/v1/subjects/$0.subject/records/messages/$2.record",
            Value::Null,
        ),
        operation("GET", &profile("$0.subject"), Value::Null),
        operation("POST", "/v1/subjects/lookup", lookup),
    ];
    let done = bench.batch(&bot, &operations);
    assert_eq!(
        done.statuses(),
        [201, 200, 201, 200, 200, 200, 200],
        "{}",
        done.body
    );
    // The look-up is about nobody that a path names: a group of its own, and it changes nothing.
    assert_eq!(bench.vault.commits() - before, 1);
    assert_eq!(done.result(4)["fields"]["from"], done.result(2)["record"]);
    assert_eq!(done.result(5)["fields"]["name"], "$5 Ann");
    assert_eq!(done.result(6)["subject"], done.result(0)["subject"]);
    assert_eq!(done.body["results"][4]["etag"], done.result(3)["etag"]);
}

#[test]
fn a_hundred_operations_are_a_commit_a_person_and_one_more_is_too_many() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let people = ["ann", "ben", "cor", "dee"].map(|user| bench.person(&bot, user));
    let mut operations: Vec<Value> = (0..100)
        .map(|number| {
            let path = messages(&people[number % 4]);
            operation("POST", &path, message(&number.to_string()))
        })
        .collect();
    let before = bench.vault.commits();
    let done = bench.batch(&bot, &operations);
    assert_eq!(done.statuses(), vec![201; 100]);
    assert_eq!(bench.vault.commits() - before, 4);
    let texts = bench.messages(&bot, &people[1]);
    let expected: Vec<String> = (0..25).map(|number| (number * 4 + 1).to_string()).collect();
    assert_eq!(texts, expected);
    operations.push(operation("POST", &messages(&people[0]), message("more")));
    assert_eq!(bench.batch(&bot, &operations).code(), (413, "too_large"));
    assert_eq!(bench.batch(&bot, &[]).code(), (422, "invalid"));
    assert_eq!(bench.messages(&bot, &people[0]).len(), 25);
}

#[test]
fn an_erased_person_or_one_who_fails_does_not_touch_the_others() {
    let bench = Bench::new();
    let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
    let people = ["ann", "ben", "cor"].map(|user| bench.person(&bot, user));
    let [ann, ben, cor] = &people;
    bench.call(&dpo, "DELETE", &format!("/v1/subjects/{ann}"), Value::Null);
    let operations = [
        operation("POST", &messages(ben), message("b1")),
        operation("POST", &messages(ann), message("a1")),
        operation("POST", &messages(cor), message("c1")),
        operation("POST", &messages(ben), message("b2")),
        operation("PATCH", &profile(cor), json!({"nmae": "Cor"})),
        operation("GET", &messages(ann), Value::Null),
    ];
    let done = bench.batch(&bot, &operations);
    assert_eq!(done.statuses(), [201, 410, 424, 201, 422, 424]);
    assert!(done.result(1)["receipt"].as_str().is_some());
    assert_eq!(bench.messages(&bot, ben), ["b1", "b2"]);
    assert!(bench.messages(&bot, cor).is_empty());
}

#[test]
fn a_reference_leads_to_an_earlier_member_or_fails_its_own_group() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let (ann, ben) = (bench.person(&bot, "ann"), bench.person(&bot, "ben"));
    let make = operation(
        "POST",
        "/v1/subjects",
        json!({"channel": "web", "user": "cor"}),
    );
    let fails = operation("PATCH", &profile(&ben), json!({"name": 7}));
    for (path, body) in [
        (profile("$2.subject"), Value::Null),
        (profile("$3.subject"), Value::Null),
        (profile("$0.nothing"), Value::Null),
        (profile("$0.created"), Value::Null),
        (profile("$0"), Value::Null),
        (profile(&ann), json!({"name": "$1.etag"})),
        (profile(&ann), json!({"slots": [{"a": "$9.x"}]})),
    ] {
        let read = body.is_null();
        let last = match read {
            true => operation("GET", &path, Value::Null),
            false => operation("PATCH", &path, body),
        };
        let done = bench.batch(&bot, &[make.clone(), fails.clone(), last]);
        let statuses = done.statuses();
        assert_eq!(statuses[1..], [422, 422], "{path} {}", done.body);
        let pointer = done.result(2)["errors"][0]["pointer"]
            .as_str()
            .expect("a place");
        let place = if read {
            "/operations/2/path"
        } else {
            "/operations/2/body"
        };
        assert!(pointer.starts_with(place), "{pointer}");
        assert_eq!(done.result(2)["errors"][0]["code"], "reference");
    }
    // A path that refers to somebody's operation is about that person, and fails with them.
    let last = operation("GET", &profile("$1.subject"), Value::Null);
    let done = bench.batch(&bot, &[make, fails, last]);
    assert_eq!(done.statuses()[1..], [422, 424]);
    // Two people who wait for each other: the first is told, the other goes on.
    let circle = [
        operation("POST", &messages(&ann), message("a")),
        operation("POST", &messages(&ben), message("$0.record")),
        operation("POST", &messages(&ann), message("$1.record")),
    ];
    assert_eq!(bench.batch(&bot, &circle).statuses(), [424, 422, 422]);
    // One of them refers to the other: whatever order they stand in, that one runs later.
    let chain = [
        operation("POST", &messages(&ann), message("a")),
        operation("POST", &messages(&ben), message("b")),
        operation("POST", &messages(&ann), message("$1.record")),
    ];
    let done = bench.batch(&bot, &chain);
    assert_eq!(done.statuses(), [201, 201, 201]);
    assert_eq!(
        bench.messages(&bot, &ann)[1],
        done.result(1)["record"].as_str().expect("an id")
    );
}

#[test]
fn what_no_batch_may_hold_is_refused_whole_and_says_where_and_what_it_may() {
    let bench = Bench::new();
    let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
    let ann = bench.person(&bot, "ann");
    let fine = operation("POST", &messages(&ann), message("one"));
    let person = format!("/v1/subjects/{ann}");
    for (bad, pointer) in [
        (
            operation("DELETE", &person, Value::Null),
            "/operations/1/path",
        ),
        (
            operation("POST", "/v1/batch", json!({"operations": []})),
            "/operations/1/path",
        ),
        (
            operation("GET", "/v1/admin/policy", Value::Null),
            "/operations/1/path",
        ),
        (
            operation("POST", &format!("{person}/sessions"), json!({})),
            "/operations/1/path",
        ),
        (
            operation("GET", "/v1/subjects//records/profile", Value::Null),
            "/operations/1/path",
        ),
        (
            operation("GET", &format!("{person}%2Frecords/profile"), Value::Null),
            "/operations/1/path",
        ),
        (
            operation("get", &profile(&ann), Value::Null),
            "/operations/1/path",
        ),
        (
            operation("GET", &profile(&ann), json!({})),
            "/operations/1/body",
        ),
        (
            operation("PATCH", &profile(&ann), Value::Null),
            "/operations/1/body",
        ),
        (
            json!({"method": "GET", "path": profile(&ann), "purpse": "support"}),
            "/operations/1",
        ),
        (
            json!({"method": "GET", "path": profile(&ann), "if_match": "a,b"}),
            "/operations/1/if_match",
        ),
        (json!("GET"), "/operations/1"),
    ] {
        for key in [&bot, &dpo] {
            let refused = bench.batch(key, &[fine.clone(), bad.clone()]);
            assert_eq!(refused.code(), (422, "invalid"), "{bad}");
            assert_eq!(
                refused.body["errors"][0]["pointer"], pointer,
                "{}",
                refused.body
            );
        }
    }
    let refused = bench.batch(&bot, &[operation("DELETE", &person, Value::Null)]);
    let detail = refused.body["errors"][0]["detail"].as_str().expect("words");
    assert!(detail.contains("PATCH /v1/subjects/{s}/records/{c}") && !detail.contains("sessions"));
    assert!(bench.messages(&bot, &ann).is_empty());
}

#[test]
fn a_group_that_changes_consent_reads_what_it_has_said_and_no_purpose_is_left_out() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let ann = bench.person(&bot, "ann");
    let consent = format!("/v1/subjects/{ann}/consents/newsletter");
    let read = json!({"method": "GET", "path": format!("{}?fields=email", profile(&ann)), "purpose": "newsletter"});
    let given = json!({"given": true, "notice": "n1"});
    let operations = [
        operation(
            "PATCH",
            &profile(&ann),
            json!({"email": "ann@example.test"}),
        ),
        operation("PUT", &consent, given.clone()),
        read.clone(),
        operation("DELETE", &consent, Value::Null),
    ];
    // Read between yes and no: both are the group's own, and the later one is not seen earlier.
    let done = bench.batch(&bot, &operations);
    assert_eq!(done.statuses(), [200, 200, 200, 200], "{}", done.body);
    assert_eq!(done.result(2)["fields"]["email"], "ann@example.test");
    let refused = bench.batch(
        &bot,
        &[
            operation("PUT", &consent, given),
            operation("DELETE", &consent, Value::Null),
            read,
        ],
    );
    assert_eq!(refused.statuses(), [424, 424, 403]);
    let purposeless = json!({"method": "GET", "path": profile(&ann)});
    let refused = bench.batch(&bot, &[purposeless]);
    assert_eq!(refused.result(0)["code"], "purpose_missing");
}

#[test]
fn a_session_batches_on_its_own_person_and_every_read_and_write_counts() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let (ann, ben) = (bench.person(&bot, "ann"), bench.person(&bot, "ben"));
    let path = format!("/v1/subjects/{ann}/sessions");
    let given = json!({"purpose": "support", "fields": ["messages.*"], "reads": 2, "writes": 2});
    let begun = bench.call(&bot, "POST", &path, given);
    let token = begun.body["token"].as_str().expect("a token").to_owned();
    let write = json!({"method": "POST", "path": messages("self"), "body": message("one")});
    let read = json!({"method": "GET", "path": messages("self")});
    // One write too many: none counts.
    let refused = bench.batch(&token, &[write.clone(), write.clone(), write.clone()]);
    assert_eq!(refused.statuses(), [424, 424, 403]);
    let done = bench.batch(
        &token,
        &[write.clone(), read.clone(), write.clone(), read.clone()],
    );
    assert_eq!(done.statuses(), [201, 200, 201, 200]);
    assert_eq!(done.result(3)["records"].as_array().map(Vec::len), Some(2));
    assert_eq!(bench.batch(&token, &[read]).statuses(), [403]);
    let sessions = bench.call(&bot, "GET", &path, Value::Null);
    let left = &sessions.body["sessions"][0];
    assert_eq!((&left["reads"], &left["writes"]), (&json!(0), &json!(0)));
    let others = json!({"method": "GET", "path": messages(&ben)});
    let make =
        json!({"method": "POST", "path": "/v1/subjects", "body": {"channel": "web", "user": "x"}});
    assert_eq!(bench.batch(&token, &[others, make]).statuses(), [404, 403]);
}

/// What may stand in a batch: which of three people, and what.
fn step() -> impl Strategy<Value = (usize, u8, u8)> {
    (0..3_usize, 0..8_u8, 0..4_u8)
}

fn written((_, what, text): (usize, u8, u8), subject: &str) -> Value {
    let text = format!("text {text}");
    match what {
        0 | 1 => operation("PATCH", &profile(subject), json!({"name": text})),
        2 | 3 => operation("POST", &messages(subject), message(&text)),
        4 => operation("GET", &profile(subject), Value::Null),
        5 => operation("GET", &messages(subject), Value::Null),
        6 => operation(
            "PUT",
            &format!("/v1/subjects/{subject}/consents/newsletter"),
            json!({"given": true, "notice": text}),
        ),
        _ => operation("PATCH", &profile(subject), json!({"birth": text})),
    }
}

/// An answer without what differs between two vaults: ids, revisions, times.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| {
                !matches!(
                    &***name,
                    "record"
                        | "etag"
                        | "created_at"
                        | "final_by"
                        | "consent"
                        | "receipt"
                        | "at"
                        | "request_id"
                        | "next"
                )
            });
            Value::Object(
                kept.map(|(name, value)| (name.clone(), plain(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}

#[test]
fn a_batch_answers_what_its_operations_would_have_been_answered_one_by_one() {
    let (together, alone) = (Bench::new(), Bench::new());
    let (bot, sole) = (together.key("bot"), alone.key("bot"));
    let rounds = std::cell::Cell::new(0);
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let all = prop::collection::vec(step(), 1..14);
    let result = runner.run(&all, |steps| {
        rounds.set(rounds.get() + 1);
        let round = rounds.get();
        let names = [0, 1, 2].map(|person| format!("person {round} {person}"));
        let ours = names.clone().map(|name| together.person(&bot, &name));
        let theirs = names.map(|name| alone.person(&sole, &name));
        let operations: Vec<Value> = steps
            .iter()
            .map(|&step| written(step, &ours[step.0]))
            .collect();
        let done = together.batch(&bot, &operations);
        let failed: Vec<usize> = (0..3)
            .filter(|person| steps.iter().any(|step| step.0 == *person && step.1 == 7))
            .collect();
        for (index, &step) in steps.iter().enumerate() {
            let result = &done.body["results"][index];
            if failed.contains(&step.0) {
                let first = steps
                    .iter()
                    .position(|other| other.0 == step.0 && other.1 == 7);
                let expected = if first == Some(index) { 422 } else { 424 };
                prop_assert_eq!(&result["status"], expected);
                continue;
            }
            let operation = written(step, &theirs[step.0]);
            let text = |name: &str| operation[name].as_str().expect("text");
            let answer = alone.call(
                &sole,
                text("method"),
                text("path"),
                operation["body"].clone(),
            );
            prop_assert_eq!(&result["status"], answer.status);
            prop_assert_eq!(plain(&result["body"]), plain(&answer.body));
        }
        for person in 0..3 {
            for path in [profile, messages] {
                let ours = together.call(&bot, "GET", &path(&ours[person]), Value::Null);
                let theirs = alone.call(&sole, "GET", &path(&theirs[person]), Value::Null);
                prop_assert_eq!(plain(&ours.body), plain(&theirs.body));
            }
        }
        Ok(())
    });
    result.expect("the same answers, and nothing of a group that failed");
}

//! Pseudonyms and counts over HTTP: forms, statuses, and what is in the log and the person's ledger.

use serde_json::{Value, json};

use crate::people::{Answer, Bench};

const ROLES: &str = r#"
[counts]
k = 5
per_day = 2

[roles.sender]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.erase", "subjects.export", "disclosures.record", "tokens.detokenize", "records.bulk", "audit.read"]

[roles.clerk]
purposes = ["support"]
may = ["subjects.view"]
"#;

fn bench() -> (Bench, String) {
    let bench = Bench::under(&format!("{}{ROLES}", vault_core::policy::SAMPLE));
    let sender = bench.key("sender");
    (bench, sender)
}

fn resolves(bench: &Bench, key: &str, pseudonym: &Value) -> Answer {
    let body = json!({"pseudonym": pseudonym});
    bench.call(key, "POST", "/v1/pseudonyms/lookup", body)
}

/// A refusal without what differs between any two.
fn refused(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    body["request_id"] = Value::Null;
    json!([answer.status, body])
}

#[test]
fn a_pseudonym_is_issued_once_found_by_who_may_and_is_as_none_after_the_erasure() {
    let (bench, sender) = bench();
    let ann = bench.person(&sender, "ann");
    let path = format!("/v1/subjects/{ann}/pseudonyms");
    let first = bench.call(&sender, "POST", &path, json!({"recipient": "carrier"}));
    assert_eq!((first.status, &first.body["created"]), (201, &json!(true)));
    let again = bench.call(&sender, "POST", &path, json!({"recipient": "carrier"}));
    assert_eq!((again.status, &again.body["created"]), (200, &json!(false)));
    let pseudonym = &first.body["pseudonym"];
    assert_eq!(&again.body["pseudonym"], pseudonym);
    assert!(
        pseudonym
            .as_str()
            .is_some_and(|text| text.starts_with("psn_"))
    );
    let own = bench.call(&sender, "POST", &path, json!({}));
    assert_ne!(&own.body["pseudonym"], pseudonym);
    let found = resolves(&bench, &sender, pseudonym);
    assert_eq!((found.status, found.body), (200, json!({"subject": ann})));

    // What it takes, and forms that are none.
    let nobody = json!({"recipient": "nobody"});
    assert_eq!(
        bench.call(&sender, "POST", &path, nobody).code(),
        (403, "purpose_denied")
    );
    let wrong = json!({"recipient": 1});
    assert_eq!(
        bench.call(&sender, "POST", &path, wrong).code(),
        (422, "invalid")
    );
    let clerk = bench.key("clerk");
    assert_eq!(
        bench.call(&clerk, "POST", &path, json!({})).code(),
        (403, "role_denied")
    );
    assert_eq!(
        resolves(&bench, &clerk, pseudonym).code(),
        (403, "role_denied")
    );
    let unstated = bench.send(
        &sender,
        "POST",
        "/v1/pseudonyms/lookup",
        &[("vault-purpose", "")],
        &json!({"pseudonym": pseudonym}),
    );
    assert_eq!(unstated.code(), (400, "purpose_missing"));

    // The call stands in the log, and as hers in her own ledger.
    let log = bench.call(
        &sender,
        "GET",
        "/v1/audit?action=tokens.detokenize&last=100",
        Value::Null,
    );
    let entries = log.body["entries"].as_array().expect("entries");
    assert!(entries.iter().any(|one| one["entry"]["outcome"] == "ok"));
    assert!(
        !log.body
            .to_string()
            .contains(pseudonym.as_str().expect("a text"))
    );
    let hers = format!("/v1/subjects/{ann}/access");
    let hers = bench.call(&sender, "GET", &hers, Value::Null);
    assert!(
        hers.body.to_string().contains("tokens.detokenize"),
        "{}",
        hers.body
    );

    // In a batch as alone.
    let operation = json!({"method": "POST", "path": "/v1/pseudonyms/lookup",
        "body": {"pseudonym": pseudonym}, "purpose": "support"});
    let batch = bench.batch(&sender, &[operation]);
    assert_eq!(batch.result(0)["subject"], json!(ann));

    let erased = bench.call(
        &sender,
        "DELETE",
        &format!("/v1/subjects/{ann}"),
        Value::Null,
    );
    assert_eq!(erased.status, 200);
    let gone = resolves(&bench, &sender, pseudonym);
    let never = resolves(&bench, &sender, &json!("psn_00000000000000000000000000"));
    let none = resolves(&bench, &sender, &json!("no pseudonym at all"));
    assert_eq!(gone.code(), (404, "not_found"));
    assert_eq!(refused(&gone), refused(&never));
    assert_eq!(refused(&gone), refused(&none));
    assert_eq!(
        bench.call(&sender, "POST", &path, json!({})).code(),
        (410, "erased")
    );
}

#[test]
fn people_are_counted_in_groups_and_as_often_as_the_policy_says() {
    let (bench, sender) = bench();
    for number in 0..12 {
        let subject = bench.person(&sender, &format!("p{number}"));
        let path = format!("/v1/subjects/{subject}/records/profile");
        let year = if number < 7 { 1985 } else { 1995 };
        let body = json!({"name": "A Person", "birth": format!("{year}-02-03")});
        assert_eq!(bench.call(&sender, "PATCH", &path, body).status, 200);
    }
    let count = |body: Value| bench.call(&sender, "POST", "/v1/records/count", body);
    // What is refused costs nothing of the day's counts.
    for wrong in [
        json!({"collection": "profile", "by": "birth"}),
        json!({"collection": "profile", "by": [{"field": "birth"}]}),
        json!({"collection": "profile", "by": ["birth"]}),
        json!({"collection": "profile", "by": ["email"]}),
        json!({"collection": "profile", "where": {"subject": "sub_00000000000000000000000000"}}),
    ] {
        assert_eq!(count(wrong.clone()).code(), (422, "invalid"), "{wrong}");
    }
    let by_birth = count(json!({"collection": "profile", "by": [{"field": "birth", "width": 10}]}));
    assert_eq!(
        by_birth.body,
        json!({"collection": "profile", "k": 5, "rounded": true, "total": 10, "withheld": false, "groups": [
            {"by": [{"from": 1980, "below": 1990}], "people": 5},
            {"by": [{"from": 1990, "below": 2000}], "people": 5},
        ]})
    );
    assert_eq!(count(json!({"collection": "profile"})).body["total"], 10);
    assert_eq!(
        count(json!({"collection": "profile"})).code(),
        (429, "rate_limited")
    );
    let clerk = bench.key("clerk");
    let denied = bench.call(
        &clerk,
        "POST",
        "/v1/records/count",
        json!({"collection": "profile"}),
    );
    assert_eq!(denied.code(), (403, "role_denied"));
}

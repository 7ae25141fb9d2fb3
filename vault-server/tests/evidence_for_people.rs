//! What a person is told: who looked at them, and what was erased.
//!
//! Failure is another person's call, a value, a page that the contract does not describe or that carries
//! markup; an erased person's ledger is one too.

#[allow(dead_code, reason = "each test binary uses a part")]
mod contract;
#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use contract::{Answered, Contract};
use people::Bench;
use serde_json::{Value, json};

const CANARY: &str = "canary.jane@example.test";

fn checked(path: &str, answer: &people::Answer) {
    let body = answer.body.to_string();
    let media_type = match answer.status < 400 {
        true => "application/json",
        false => "application/problem+json",
    };
    let request = "call_00000000000000000000000000".to_owned();
    let headers = [
        ("content-type".to_owned(), media_type.to_owned()),
        ("request-id".to_owned(), request.clone()),
    ];
    let mut document = answer.body.clone();
    if answer.status >= 400 {
        document["request_id"] = json!(request);
    }
    let body = if answer.status >= 400 {
        document.to_string()
    } else {
        body
    };
    Contract::new(vault_server::openapi())
        .check(&Answered {
            method: "GET",
            path,
            status: answer.status,
            headers: &headers,
            body: body.as_bytes(),
        })
        .unwrap_or_else(|error| panic!("{path}: {error}"));
}

#[test]
fn who_looked_is_answered_page_by_page_for_one_person_and_with_no_value() {
    let bench = Bench::new();
    let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
    let (ann, ben) = (bench.person(&bot, CANARY), bench.person(&bot, "ben"));
    let profile = |who: &str| format!("/v1/subjects/{who}/records/profile");
    let body = json!({"email": CANARY, "name": "Jane Canary"});
    bench.call(&bot, "PATCH", &profile(&ann), body.clone());
    bench.call(&bot, "PATCH", &profile(&ben), body);
    bench.call(&bot, "GET", &profile(&ann), Value::Null);
    let path = format!("/v1/subjects/{ann}/access?limit=2");
    let get = |key: &str, path: &str| {
        let answer = bench.call(key, "GET", path, Value::Null);
        checked(path, &answer);
        answer
    };
    let first = get(&dpo, &path);
    assert_eq!(first.status, 200, "{}", first.body);
    let next = first.body["next"].as_str().expect("there are more");
    let second = get(&dpo, &format!("{path}&cursor={next}"));
    let both = [&first.body, &second.body].map(|page| page["accesses"].as_array().unwrap().clone());
    let all = both.concat();
    let actions: Vec<_> = all
        .iter()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["records.read", "records.patch", "subjects.create"]
    );
    assert_eq!(all[1]["fields"], json!(["profile.email", "profile.name"]));
    assert_eq!(all[1]["purpose"], "support");
    assert!(all.iter().all(|one| one["about"] == "person"));
    for page in [&first.body, &second.body] {
        let text = page.to_string();
        assert!(
            !text.contains("canary") && !text.contains("Canary"),
            "{text}"
        );
    }
    // The nearest violations.
    assert_eq!(get(&bot, &path).code(), (403, "role_denied"));
    assert_eq!(
        get(&dpo, &format!("{path}&sort=x")).code(),
        (422, "invalid")
    );
    assert_eq!(
        get(&bot, &format!("{path}&sort=x")).code(),
        (403, "role_denied")
    );
    assert_eq!(
        get(&dpo, &format!("{path}&from=yesterday")).code(),
        (422, "invalid")
    );
    let other = format!("/v1/subjects/{ben}/access?limit=2&cursor={next}");
    assert_eq!(get(&dpo, &other).code(), (422, "invalid"));
    let nobody = "/v1/subjects/sub_00000000000000000000000000/access";
    assert_eq!(get(&dpo, nobody).code(), (404, "not_found"));
    bench.call(&dpo, "DELETE", &format!("/v1/subjects/{ann}"), Value::Null);
    assert_eq!(get(&dpo, &path).code(), (410, "erased"));
}

#[test]
fn a_session_reads_its_own_ledger_as_self_where_its_maker_may_and_nobody_elses() {
    let may = r#"may   = ["subjects.create","#;
    let granted = vault_core::policy::SAMPLE.replacen(
        may,
        r#"may   = ["subjects.export", "subjects.create","#,
        1,
    );
    for (policy, status) in [(vault_core::policy::SAMPLE, 403), (granted.as_str(), 200)] {
        let bench = Bench::under(policy);
        let bot = bench.key("bot");
        let (ann, ben) = (bench.person(&bot, "ann"), bench.person(&bot, "ben"));
        let session =
            json!({"purpose": "support", "fields": ["profile.name"], "reads": 3, "writes": 0});
        let begun = bench.call(
            &bot,
            "POST",
            &format!("/v1/subjects/{ann}/sessions"),
            session,
        );
        let token = begun.body["token"].as_str().expect("a token").to_owned();
        let own = bench.call(&token, "GET", "/v1/subjects/self/access", Value::Null);
        assert_eq!(own.status, status, "{}", own.body);
        checked("/v1/subjects/self/access", &own);
        let another = bench.call(
            &token,
            "GET",
            &format!("/v1/subjects/{ben}/access"),
            Value::Null,
        );
        assert_eq!(another.status, if status == 200 { 404 } else { 403 });
    }
}

#[test]
fn a_receipt_is_json_or_by_accept_a_page_that_names_nobody() {
    let bench = Bench::new();
    let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
    let ann = bench.person(&bot, CANARY);
    let path = format!("/v1/subjects/{ann}");
    let erased = bench.call(&dpo, "DELETE", &path, Value::Null);
    let id = erased.body["receipt"]["body"]["receipt"].as_str().unwrap();
    let path = format!("/v1/receipts/{id}");
    let kept = bench.call(&dpo, "GET", &path, Value::Null);
    checked(&path, &kept);
    assert_eq!(kept.body["body"], erased.body["receipt"]["body"]);
    let page = bench.page(&dpo, &path, "text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert_eq!(page.header("vary"), "Accept");
    for said in [
        id,
        "15 January 2027, 08:00:00 UTC",
        "Until 16 January 2027",
        "Nothing of the person",
        "vault-cli receipt verify",
        &bench.vault.log_key().unwrap(),
    ] {
        assert!(page.text.contains(said), "{said} in {}", page.text);
    }
    for secret in [CANARY, &ann] {
        assert!(!page.text.contains(secret));
    }
    // Whoever may not read receipts gets no page either.
    let refused = bench.page(&bot, &path, "text/html");
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (403, "application/problem+json")
    );
}

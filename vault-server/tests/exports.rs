//! A package as an answer: its form, its headers, who gets it. And lines of a file as a call.
//!
//! Failure is a document that the published schema does not describe, a name or a header with something
//! of the person, an answer that the contract does not know, a line that is written twice.

#[allow(dead_code, reason = "each test binary uses a part")]
mod contract;
#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use contract::{Answered, Contract};
use people::Bench;
use serde_json::{Value, json};

const CANARY: &str = "canary.jane@example.test";
const ROLES: &str = "\n[purposes.improve]\ntitle.en = \"Improving\"\ntitle.de = \"Verbessern\"\nbasis = \"legitimate_interests\"\n\
    retention = { after = \"collected\", period = \"P1Y\" }\n\
    [purposes.rental]\ntitle.en = \"Renting\"\ntitle.de = \"Vermieten\"\nbasis = \"contract\"\n\
    retention = { after = \"contract_end\", period = \"P1Y\" }\n\
    [roles.front]\npurposes = [\"support\", \"rental\"]\nmay = [\"subjects.create\", \"objections.record\", \"restrictions.set\", \"notices.record\", \
    \"holds.manage\", \"consents.record\", \"disclosures.record\", \"tokens.detokenize\"]\n\
    \n[roles.half]\nread = { \"profile.name\" = \"full\" }\nmay = [\"subjects.export\"]\n\
    [roles.none]\npurposes = [\"support\"]\nread = { \"*\" = \"full\" }\n";

fn bench() -> Bench {
    // Whoever makes packages must see what is in them.
    let seeing = "[roles.dpo]\nread = { \"*\" = \"full\" }";
    let policy = vault_core::policy::SAMPLE.replace("[roles.dpo]", seeing);
    Bench::under(&format!("{policy}{ROLES}"))
}

fn jane(bench: &Bench) -> String {
    let bot = bench.key("bot");
    let jane = bench.person(&bot, CANARY);
    let at = |rest: &str| format!("/v1/subjects/{jane}/{rest}");
    let profile = json!({"email": CANARY, "name": "Jane Canary", "_meta": {"source": "form"}});
    bench.call(&bot, "PATCH", &at("records/profile"), profile);
    bench.call(
        &bot,
        "POST",
        &at("records/messages"),
        json!({"from": "user", "text": "hello"}),
    );
    bench.call(
        &bot,
        "PUT",
        &at("consents/newsletter"),
        json!({"given": true, "notice": "v1"}),
    );
    let session = json!({"purpose": "support", "fields": ["profile.name"], "reads": 1});
    bench.call(&bot, "POST", &at("sessions"), session);
    jane
}

/// An objection, a restriction, a notice, and one of everything else that is said or kept of somebody.
fn demands(bench: &Bench, of: &str) {
    let front = bench.key("front");
    let does = |method: &str, rest: &str, body: Value| {
        let path = format!("/v1/subjects/{of}/{rest}");
        let answer = bench.call(&front, method, &path, body);
        assert!(answer.status < 300, "{rest}: {}", answer.body);
    };
    does("PUT", "objections/improve", json!({"reason": "my grounds"}));
    let restriction = json!({"ground": "18.1.a", "collections": ["profile"], "reason": "wrong"});
    does("PUT", "restriction", restriction);
    let sha256 = "0".repeat(64);
    let told = json!({"about": "restriction_lift", "lang": "en", "sha256": sha256});
    does("POST", "notices", told);
    does(
        "PUT",
        "age",
        json!({"years": 14, "guardian": "a parent answered"}),
    );
    does(
        "PUT",
        "contracts/rental",
        json!({"ended_at": "2026-06-30T00:00:00Z"}),
    );
    does("POST", "pseudonyms", json!({"recipient": "carrier"}));
    let hold =
        json!({"ground": "legal_claims", "collections": ["messages"], "review_at": "2099-12-31"});
    does("PUT", "hold", hold);
}

fn schema() -> jsonschema::Validator {
    let text = include_str!("../../docs/export.schema.json");
    let schema: Value = serde_json::from_str(text).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

#[test]
fn every_package_is_what_the_published_schema_says() {
    let bench = bench();
    let jane = jane(&bench);
    let plain = bench.person(&bench.key("bot"), "nobody in particular");
    demands(&bench, &jane);
    let schema = schema();
    for (role, of, demanded) in [("dpo", &jane, 1), ("half", &jane, 1), ("dpo", &plain, 0)] {
        let key = bench.key(role);
        let path = format!("/v1/subjects/{of}/export");
        for right in ["access", "portability"] {
            let body = json!({"right": right, "format": "json"});
            let answer = bench.call(&key, "POST", &path, body);
            assert_eq!(answer.status, 200, "{}", answer.body);
            let wrong: Vec<String> = schema
                .iter_errors(&answer.body)
                .map(|error| format!("{} {}", error.instance_path(), error.schema_path()))
                .collect();
            assert!(wrong.is_empty(), "{role} {right}: {wrong:?}");
            assert_eq!(answer.body["complete"], role == "dpo");
            let count = |pointer: &str| answer.body.pointer(pointer)?.as_array().map(Vec::len);
            let expected = (right == "access").then_some(demanded);
            for list in [
                "/objections",
                "/restriction/history",
                "/notices",
                "/hold/history",
                "/contracts",
                "/age/history",
                "/pseudonyms",
            ] {
                assert_eq!(count(list), expected, "{role} {right} {list}");
            }
        }
    }
    let path = format!("/v1/subjects/{jane}/export");
    // The control: the schema sees what is missing, and what is too much.
    let whole = bench.call(
        &bench.key("dpo"),
        "POST",
        &path,
        json!({"right": "access", "format": "json"}),
    );
    for (name, value) in [("left_out", json!([])), ("more", json!(1))] {
        let mut body = whole.body.clone();
        body[name] = value;
        assert!(!schema.is_valid(&body), "{name}");
    }
    for name in [
        "accesses",
        "logs",
        "objections",
        "restriction",
        "notices",
        "hold",
        "contracts",
        "age",
        "pseudonyms",
    ] {
        let mut body = whole.body.clone();
        body.as_object_mut().unwrap().remove(name);
        assert!(!schema.is_valid(&body), "{name}");
    }
    for pointer in [
        "/objections/0/history/0/state",
        "/restriction/history/0/ground",
        "/notices/0/sha256",
    ] {
        let mut body = whole.body.clone();
        *body.pointer_mut(pointer).unwrap() = json!("18.1.e");
        assert!(!schema.is_valid(&body), "{pointer}");
    }
    assert!(schema.is_valid(&whole.body));
}

#[test]
fn the_answer_is_a_file_that_is_not_kept_and_whose_name_says_nothing_of_the_person() {
    let bench = bench();
    let jane = jane(&bench);
    let key = bench.key("dpo");
    let path = format!("/v1/subjects/{jane}/export");
    let contract = Contract::new(vault_server::openapi());
    for (format, media_type, name) in [
        (
            "json",
            "application/json",
            "personal-data-access-2027-01-15.json",
        ),
        (
            "html",
            "text/html; charset=utf-8",
            "personal-data-access-2027-01-15.html",
        ),
        (
            "csv",
            "application/zip",
            "personal-data-access-2027-01-15.zip",
        ),
        (
            "zip",
            "application/zip",
            "personal-data-access-2027-01-15.zip",
        ),
    ] {
        let body = json!({"right": "access", "format": format});
        let (status, headers, bytes) = bench.raw(&key, "POST", &path, &body);
        assert_eq!(status, 200);
        let header = |name: &str| {
            let found = headers.iter().find(|(one, _)| one == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        assert_eq!(header("content-type"), media_type);
        assert_eq!(header("cache-control"), "no-store");
        let disposition = format!("attachment; filename=\"{name}\"");
        assert_eq!(header("content-disposition"), disposition);
        assert!(format != "html" || header("content-security-policy").contains("sandbox"));
        let mut headers = headers.clone();
        if !headers.iter().any(|(name, _)| name == "request-id") {
            headers.push((
                "request-id".into(),
                "call_00000000000000000000000000".into(),
            ));
        }
        // A ZIP is no text, and the contract says no more of it than that.
        let body = String::from_utf8_lossy(&bytes).into_owned();
        let answered = Answered {
            method: "POST",
            path: &path,
            status,
            headers: &headers,
            body: body.as_bytes(),
        };
        contract
            .check(&answered)
            .unwrap_or_else(|error| panic!("{format}: {error}"));
    }
}

#[test]
fn only_who_may_gets_a_package_and_the_input_is_checked_after_that() {
    let bench = bench();
    let jane = jane(&bench);
    let path = |who: &str| format!("/v1/subjects/{who}/export");
    let good = || json!({"right": "access", "format": "json"});
    for role in ["bot", "agent", "none", "operator", "auditor"] {
        let key = bench.key(role);
        for body in [good(), json!({"right": "all"})] {
            let refused = bench.call(&key, "POST", &path(&jane), body);
            assert_eq!(refused.code(), (403, "role_denied"), "{role}");
        }
    }
    let dpo = bench.key("dpo");
    for (body, code) in [
        (json!({"right": "all", "format": "json"}), "unknown_word"),
        (json!({"right": "access", "format": "xml"}), "unknown_word"),
        (
            json!({"right": "access", "format": "json", "recipient": "age1x"}),
            "not_a_recipient",
        ),
        (
            json!({"right": "access", "format": "json", "passphrase": "short"}),
            "length",
        ),
    ] {
        let refused = bench.call(&dpo, "POST", &path(&jane), body);
        assert_eq!(refused.status, 422);
        assert_eq!(refused.body["errors"][0]["code"], code);
    }
    let nobody = path("sub_00000000000000000000000000");
    assert_eq!(
        bench.call(&dpo, "POST", &nobody, good()).code(),
        (404, "not_found")
    );
    bench.call(&dpo, "DELETE", &format!("/v1/subjects/{jane}"), Value::Null);
    assert_eq!(
        bench.call(&dpo, "POST", &path(&jane), good()).code(),
        (410, "erased")
    );
}

#[test]
fn lines_are_written_once_and_what_is_wrong_with_one_is_told_and_spoils_no_other() {
    let bench = bench();
    let bot = bench.key("bot");
    let record = |line: u64, user: &str, collection: &str, record: Value| {
        json!({"line": line, "channel": "web", "user": user, "collection": collection,
            "record": record, "purpose": "support"})
    };
    let body = json!({"import": "a", "total": 5, "lines": [
        record(1, "ann", "messages", json!({"text": "one"})),
        record(2, "ann", "profile", json!({"email": format!("{CANARY} no mail")})),
        record(3, "ben", "messages", json!({"text": "two"})),
        record(4, "ann", "messages", json!({"text": "three"})),
        {"line": 5, "channel": "web", "user": "ann",
         "consent": {"purpose": "newsletter", "state": "given", "notice": "v1"}},
    ]});
    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    let would = bench.call(&bot, "POST", "/v1/import", dry);
    assert_eq!(
        (would.status, &would.body["written"]),
        (200, &json!(4)),
        "{}",
        would.body
    );
    let look = json!({"channel": "web", "user": "ben"});
    let none = bench.call(&bot, "POST", "/v1/subjects/lookup", look);
    assert_eq!(none.code(), (404, "not_found"), "a dry run writes nothing");
    let done = bench.call(&bot, "POST", "/v1/import", body.clone());
    assert_eq!(
        (&done.body["written"], &done.body["repeated"]),
        (&json!(4), &json!(0))
    );
    let errors = &done.body["errors"];
    assert_eq!(
        (
            &errors[0]["line"],
            &errors[0]["collection"],
            &errors[0]["pointer"]
        ),
        (&json!(2), &json!("profile"), &json!("/email"))
    );
    assert_eq!(done.body["records"][0]["files"], json!({}));
    assert!(!done.body.to_string().contains("canary"));
    let again = bench.call(&bot, "POST", "/v1/import", body.clone());
    assert_eq!(
        (&again.body["written"], &again.body["repeated"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(again.body["records"], done.body["records"]);
    let ann = bench.person(&bot, "ann");
    assert_eq!(bench.messages(&bot, &ann), ["one", "three"]);
    // The same name for other lines is another call.
    let mut other = body.clone();
    other["lines"][0]["record"]["text"] = json!("other");
    assert_eq!(
        bench.call(&bot, "POST", "/v1/import", other).code(),
        (409, "idempotency_mismatch")
    );
    // One at a time; one that says no more stands in nobody's way for ever.
    let mut next = body.clone();
    next["import"] = json!("b");
    assert_eq!(
        bench.call(&bot, "POST", "/v1/import", next.clone()).code(),
        (409, "conflict")
    );
    let mut last = body;
    last["last"] = json!(true);
    assert_eq!(bench.call(&bot, "POST", "/v1/import", last).status, 200);
    next["lines"] = json!([]);
    next["last"] = json!(true);
    assert_eq!(bench.call(&bot, "POST", "/v1/import", next).status, 200);
    let jobs = bench.vault.jobs().list();
    assert_eq!(
        jobs.iter()
            .filter(|job| job.kind.name() == "import")
            .count(),
        2
    );
    // Of files only names are sent, and their number is bounded.
    for files in [json!("scan"), json!([1]), json!(vec!["scan"; 501])] {
        let mut wrong = record(1, "ann", "messages", json!({"text": "x"}));
        wrong["files"] = files;
        let wrong = json!({"import": "d", "last": true, "lines": [wrong]});
        let refused = bench.call(&bot, "POST", "/v1/import", wrong);
        assert_eq!(refused.body["errors"][0]["pointer"], "/lines/0");
    }
    // Whoever may make nobody imports nobody.
    let agent = bench.key("agent");
    let refused = json!({"import": "c", "last": true, "lines": [record(1, "cy", "messages", json!({"text": "x"}))]});
    let refused = bench.call(&agent, "POST", "/v1/import", refused);
    assert_eq!(refused.code(), (403, "role_denied"));
    let cy = bench.call(
        &bot,
        "POST",
        "/v1/subjects/lookup",
        json!({"channel": "web", "user": "cy"}),
    );
    assert_eq!(cy.code(), (404, "not_found"));
}

#[test]
fn what_a_person_demanded_comes_with_lines_whose_form_is_checked() {
    let bench = bench();
    let front = bench.key("front");
    let line = |name: &str, what: Value| {
        json!({"import": "a", "last": true, "lines":
            [{"line": 1, "channel": "web", "user": "ann", (name): what}]})
    };
    let ann = bench.person(&front, "ann");
    let wrong = [
        ("objection", json!({"purpose": "improve", "state": CANARY})),
        ("objection", json!({"state": "pending"})),
        (
            "objection",
            json!({"purpose": "improve", "state": "pending", "at": CANARY}),
        ),
        ("objection", json!(CANARY)),
        ("restriction", json!({"ground": "18.1.e"})),
        ("restriction", json!({"collections": ["profile"]})),
        (
            "restriction",
            json!({"ground": "18.1.a", "collections": [1]}),
        ),
        (
            "restriction",
            json!({"ground": "18.1.a", "restricted": true}),
        ),
        ("restriction", json!([CANARY])),
        ("contract_end", json!({"purpose": "rental"})),
        (
            "contract_end",
            json!({"purpose": "rental", "ended_at": CANARY}),
        ),
        ("age", json!({"of_age_on": "2029-02-30"})),
        ("age", json!({"of_age_on": "2029-01-15", "years": 12})),
        ("age", json!(CANARY)),
    ];
    for (name, what) in wrong {
        let refused = bench.call(&front, "POST", "/v1/import", line(name, what));
        assert_eq!(refused.body["errors"][0]["pointer"], "/lines/0", "{name}");
        assert!(!refused.body.to_string().contains("canary"));
    }
    let mut both = line(
        "objection",
        json!({"purpose": "improve", "state": "pending"}),
    );
    both["lines"][0]["restriction"] = json!({"ground": "18.1.a"});
    assert_eq!(bench.call(&front, "POST", "/v1/import", both).status, 422);
    let at = |rest: &str| {
        bench.call(
            &front,
            "GET",
            &format!("/v1/subjects/{ann}/{rest}"),
            Value::Null,
        )
    };
    assert_eq!(at("restriction").body["restricted"], false);
    for (name, what) in [
        (
            "objection",
            json!({"purpose": "improve", "state": "pending", "reason": "mine"}),
        ),
        (
            "restriction",
            json!({"ground": "18.1.a", "collections": ["profile"]}),
        ),
    ] {
        let mut body = line(name, what);
        body["import"] = json!(name);
        let done = bench.call(&front, "POST", "/v1/import", body);
        assert_eq!(
            (&done.body["written"], &done.body["errors"]),
            (&json!(1), &json!([]))
        );
    }
    assert_eq!(at("restriction").body["restricted"], true);
    assert!(at("objections").body.to_string().contains("\"pending\""));
}

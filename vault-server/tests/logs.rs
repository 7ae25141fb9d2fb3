//! Lines of logs over HTTP: what is somebody's is not stored, who may read is the policy's word, a purge leaves
//! nothing, and whoever sends lines learns of nobody.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use serde_json::{Value, json};

use people::{Answer, Bench, HOUR};

const POLICY: &str = r#"
[controller]
name = "Example Shop B.V."
contact = "privacy@example.test"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support"] }
number = { type = "identifier", purposes = ["support"], lookup = true }

[logs.bot]
title.en = "What our bot did"
mode = "redact"
retention = "P30D"

[logs.whole]
mode = "encrypt"
retention = "P2D"
purpose = "support"
readers = ["reader"]

[roles.bot]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "sessions.create", "logs.write"]

[roles.officer]
may = ["audit.read", "retention.run", "subjects.erase"]

[roles.reader]
purposes = ["support"]
"#;

const NDJSON: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];

struct Scene {
    bench: Bench,
    bot: String,
    officer: String,
    reader: String,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::under(POLICY);
        let [bot, officer, reader] = ["bot", "officer", "reader"].map(|role| bench.key(role));
        Self {
            bench,
            bot,
            officer,
            reader,
        }
    }

    fn sends(&self, stream: &str, body: &str) -> Answer {
        let path = format!("/v1/logs/{stream}");
        self.bench.post_text(&self.bot, &path, NDJSON, body)
    }

    fn get(&self, key: &str, path: &str) -> Answer {
        self.bench.call(key, "GET", path, Value::Null)
    }

    fn lines(&self, path: &str) -> Vec<Value> {
        let page = self.get(&self.officer, path);
        assert_eq!(page.status, 200, "{}", page.body);
        let lines = page.body["lines"].as_array().expect("lines").iter();
        lines.map(|line| line["line"].clone()).collect()
    }
}

#[test]
fn what_was_found_is_counted_and_not_stored() {
    let scene = Scene::new();
    let body = "{\"level\":\"warn\",\"card\":4111111111111111,\"to\":\"ann@example.test\"}\n\nfrom 192.0.2.7\n{\"broken\n";
    let taken = scene.sends("bot", body);
    assert_eq!(taken.status, 200, "{}", taken.body);
    let expected = json!({"accepted": 3, "dropped": 0, "failed": 1,
        "found": {"card": 1, "email": 1, "ipv4": 1}});
    assert_eq!(taken.body, expected);
    let lines = scene.lines("/v1/logs/bot");
    assert_eq!(
        lines[0],
        json!({"level": "warn", "card": "[card]", "to": "[email]"})
    );
    assert_eq!(lines[1], "from [ipv4]");
    assert_eq!(lines[2], "[REDACTION_FAILED]");
}

#[test]
fn a_line_about_somebody_is_read_as_theirs_and_goes_with_them() {
    let scene = Scene::new();
    let person = scene.bench.person(&scene.bot, "ann");
    let profile = format!("/v1/subjects/{person}/records/profile");
    let named = json!({"name": "Zyxwina Vandermeer"});
    let written = scene.bench.call(&scene.bot, "PATCH", &profile, named);
    assert_eq!(written.status, 200, "{}", written.body);
    let line = json!({"subject": person, "text": "Vandermeer called"}).to_string();
    assert_eq!(scene.sends("bot", &line).body["accepted"], 1);
    assert_eq!(scene.lines("/v1/logs/bot"), [] as [Value; 0]);
    let own = format!("/v1/logs/bot?subject={person}");
    assert_eq!(scene.lines(&own), [json!({"text": "[name] called"})]);
    let erased = format!("/v1/subjects/{person}");
    let erased = scene
        .bench
        .call(&scene.officer, "DELETE", &erased, Value::Null);
    assert_eq!(erased.status, 200, "{}", erased.body);
    assert_eq!(scene.get(&scene.officer, &own).code(), (410, "erased"));
    let again = scene.sends("bot", &line);
    assert_eq!(
        (&again.body["accepted"], &again.body["dropped"]),
        (&json!(0), &json!(1))
    );
    // Of nobody, and of what is no id, there is as little.
    for nobody in ["sub_00000000000000000000000000", "somebody"] {
        let path = format!("/v1/logs/bot?subject={nobody}");
        assert_eq!(scene.get(&scene.officer, &path).code(), (404, "not_found"));
    }
}

#[test]
fn whoever_sends_lines_does_not_learn_who_is_known() {
    let scene = Scene::new();
    let person = scene.bench.person(&scene.bot, "ann");
    let profile = format!("/v1/subjects/{person}/records/profile");
    let known = json!({"number": "K-10023"});
    scene.bench.call(&scene.bot, "PATCH", &profile, known);
    let many = |number: &str| vec![number; 257].join(" ");
    let forms: [&dyn Fn(&str) -> String; 4] = [
        &str::to_owned,
        // What would make the line fail, if it were told: a member's name, and more than a line may have.
        &|number| json!({number: "ann@example.test"}).to_string(),
        &|number| many(number),
        // What lies over something that is told.
        &|number| format!("{number}@example.test"),
    ];
    for form in forms {
        let answers = ["K-10023", "K-10024"].map(|number| scene.sends("bot", &form(number)));
        let [known, unknown] = answers.map(|answer| (answer.status, answer.body));
        assert_eq!(known, unknown);
        assert_eq!((known.0, &known.1["failed"]), (200, &json!(0)));
    }
    let lines = scene.lines("/v1/logs/bot");
    assert_eq!(lines[..2], [json!("[identifier]"), json!("K-10024")]);
    let failed = json!("[REDACTION_FAILED]");
    let email = json!({"K-10024": "[email]"});
    assert_eq!(lines[2..5], [failed.clone(), email, failed]);
    assert!(!Value::from(lines).to_string().contains("K-10023"));
}

#[test]
fn whole_lines_are_for_their_readers_and_others_for_who_reads_evidence() {
    let scene = Scene::new();
    scene.sends("whole", "mail ann@example.test");
    scene.sends("bot", "mail ann@example.test");
    let line = |key: &str, stream: &str| {
        let answer = scene.get(key, &format!("/v1/logs/{stream}"));
        (answer.status, answer.body["lines"][0]["line"].clone())
    };
    let whole = (200, json!("mail ann@example.test"));
    assert_eq!(line(&scene.reader, "whole"), whole);
    assert_eq!(line(&scene.officer, "bot"), (200, json!("mail [email]")));
    // Whole lines are read for their purpose; what was taken apart needs none.
    let path = "/v1/logs/whole";
    let silent = scene.bench.page(&scene.reader, path, "*/*");
    assert_eq!(silent.status, 400);
    assert!(silent.text.contains("purpose_missing"), "{}", silent.text);
    let other = [("vault-purpose", "chasing")];
    let other = scene
        .bench
        .send(&scene.reader, "GET", path, &other, &Value::Null);
    assert_eq!(other.code(), (403, "purpose_denied"));
    let silent = scene.bench.page(&scene.officer, "/v1/logs/bot", "*/*");
    assert_eq!(silent.status, 200);
    let refused = |key: &str, stream: &str| {
        let answer = scene.get(key, &format!("/v1/logs/{stream}"));
        assert_eq!(answer.code(), (403, "role_denied"), "{stream}");
    };
    refused(&scene.officer, "whole");
    refused(&scene.reader, "bot");
    refused(&scene.bot, "bot");
    refused(&scene.bot, "unknown");
    let unknown = scene.get(&scene.officer, "/v1/logs/unknown");
    assert_eq!(unknown.code(), (404, "not_found"));
    let sent = scene
        .bench
        .post_text(&scene.reader, "/v1/logs/bot", NDJSON, "x");
    assert_eq!(sent.code(), (403, "role_denied"));
}

#[test]
fn a_body_of_another_form_or_with_too_much_in_it_is_refused() {
    let scene = Scene::new();
    let post = |more: &[(&str, &str)], body: &str| {
        let answer = scene
            .bench
            .post_text(&scene.bot, "/v1/logs/bot", more, body);
        answer.status
    };
    assert_eq!(post(&[("content-type", "text/plain")], "x"), 200);
    assert_eq!(post(&[("content-type", "application/json")], "{}"), 415);
    assert_eq!(post(&[], "x"), 415);
    assert_eq!(post(NDJSON, "\n\n"), 422);
    assert_eq!(post(NDJSON, &"x\n".repeat(1_000)), 200);
    assert_eq!(post(NDJSON, &"x\n".repeat(1_001)), 413);
    assert_eq!(scene.sends("unknown", "x").code(), (404, "not_found"));
    for query in ["from=yesterday", "limit=0", "cursor=x", "unknown=1"] {
        let path = format!("/v1/logs/bot?{query}");
        assert_eq!(
            scene.get(&scene.officer, &path).code(),
            (422, "invalid"),
            "{query}"
        );
        assert_eq!(
            scene.get(&scene.bot, &path).code(),
            (403, "role_denied"),
            "{query}"
        );
    }
}

#[test]
fn a_call_that_is_sent_again_stores_nothing_twice() {
    let scene = Scene::new();
    let headers = [NDJSON[0], ("idempotency-key", "once")];
    let send = |body: &str| {
        let key = &scene.bot;
        scene.bench.post_text(key, "/v1/logs/bot", &headers, body)
    };
    let (first, second) = (send("a"), send("a"));
    assert_eq!((first.status, first.replayed), (200, false));
    assert_eq!((second.status, second.replayed), (200, true));
    assert_eq!(scene.lines("/v1/logs/bot"), ["a"]);
    assert_eq!(send("b").code(), (409, "idempotency_mismatch"));
}

#[test]
fn lines_are_read_as_lines_with_the_pages_end_behind_them() {
    let scene = Scene::new();
    scene.sends("bot", "{\"n\":1}\ntwo\nthree");
    let read = |path: &str, accept: &str| scene.bench.page(&scene.officer, path, accept);
    let page = read("/v1/logs/bot?limit=2", "application/x-ndjson");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "application/x-ndjson");
    assert_eq!(page.header("vary"), "Accept");
    let lines: Vec<Value> = page
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [first, second, end] = &lines[..] else {
        panic!("{}", page.text)
    };
    assert_eq!(
        (&first["line"], &second["line"]),
        (&json!({"n": 1}), &json!("two"))
    );
    assert!(first["at"].is_string());
    assert_eq!(end["page"]["damaged"], 0);
    let next = end["page"]["next"].as_str().expect("there is more");
    let path = format!("/v1/logs/bot?limit=2&cursor={next}");
    let rest = read(&path, "application/x-ndjson");
    assert!(rest.text.starts_with("{\"at\":") && rest.text.contains("three"));
    assert!(
        rest.text
            .ends_with("{\"page\":{\"next\":null,\"damaged\":0}}\n")
    );
    // Whoever names nothing, or something else, gets JSON, and so does a refusal.
    for accept in ["*/*", "application/json", "text/html"] {
        let page = read("/v1/logs/bot", accept);
        assert_eq!(page.header("content-type"), "application/json", "{accept}");
    }
    let refused = scene
        .bench
        .page(&scene.bot, "/v1/logs/bot", "application/x-ndjson");
    assert_eq!(refused.header("content-type"), "application/problem+json");
}

#[test]
fn the_metrics_say_what_became_of_lines_and_not_who_is_known() {
    let scene = Scene::new();
    let person = scene.bench.person(&scene.bot, "ann");
    let profile = format!("/v1/subjects/{person}/records/profile");
    let known = json!({"number": "K-10023"});
    scene.bench.call(&scene.bot, "PATCH", &profile, known);
    scene.sends("bot", "one\n{\"broken\n{\"K-10023\":1}");
    scene.sends("bot", "{\"subject\":\"sub_00000000000000000000000000\"}");
    scene.sends("unknown", "one");
    let text = scene.bench.metrics();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("vault_log_lines_total"))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (result, count) in [("taken", 2), ("failed", 1), ("dropped", 1)] {
        let line = format!("vault_log_lines_total{{stream=\"bot\",result=\"{result}\"}} {count}");
        assert!(lines.contains(&&*line), "{line} in {lines:?}");
    }
}

#[test]
fn pages_follow_one_another_and_a_purge_takes_its_days_alone() {
    let scene = Scene::new();
    scene.sends("bot", "1\n2\n3");
    scene.bench.clock.advance(24 * HOUR);
    scene.sends("bot", "4");
    let first = scene.get(&scene.officer, "/v1/logs/bot?limit=2");
    assert_eq!(first.body["lines"].as_array().map(Vec::len), Some(2));
    let next = first.body["next"].as_str().expect("there is more");
    let rest = scene.lines(&format!("/v1/logs/bot?limit=2&cursor={next}"));
    assert_eq!(rest, ["3", "4"]);
    let purge = |query: &str| {
        let path = format!("/v1/logs/bot{query}");
        scene
            .bench
            .call(&scene.officer, "DELETE", &path, Value::Null)
    };
    assert_eq!(
        purge("?from=2027-01-16&to=2027-01-15").code(),
        (422, "invalid")
    );
    assert_eq!(purge("?from=2027-02-30").code(), (422, "invalid"));
    let denied = scene
        .bench
        .call(&scene.bot, "DELETE", "/v1/logs/bot", Value::Null);
    assert_eq!(denied.code(), (403, "role_denied"));
    let purged = purge("?to=2027-01-15");
    assert_eq!((purged.status, &purged.body["keys"]), (200, &json!(1)));
    assert_eq!(scene.lines("/v1/logs/bot"), ["4"]);
}

#[test]
fn lines_leave_an_entry_and_the_entry_none_of_them() {
    let scene = Scene::new();
    scene.sends("bot", "a canary in a line");
    scene.lines("/v1/logs/bot");
    scene.sends("bot", "another");
    let log = scene.get(&scene.officer, "/v1/audit?last=100");
    let entries = log.body["entries"].as_array().expect("entries");
    let count = |action: &str| {
        let of = entries
            .iter()
            .filter(|one| one["entry"]["action"] == action);
        of.count()
    };
    assert_eq!((count("logs.write"), count("logs.read")), (2, 1));
    assert!(!log.body.to_string().contains("canary"));
}

#[test]
fn people_are_told_of_each_stream_and_its_end() {
    let scene = Scene::new();
    let told = scene.get(&scene.officer, "/v1/privacy-statement").body;
    let log = &told["logs"][0];
    assert_eq!(log["title"], "What our bot did");
    assert_eq!(
        (&log["mode"]["name"], &log["retention"]["period"]),
        (&json!("redact"), &json!("P30D"))
    );
    assert_eq!(told["logs"][1]["name"], "whole");
    let record = scene.get(&scene.officer, "/v1/processing-records").body;
    assert_eq!(record["logs"], told["logs"]);
    let page = scene.bench.page(&scene.officer, "/privacy", "text/html");
    assert!(page.text.contains(
        "What our bot did: personal data that are recognised are taken out; kept for 30 days"
    ));
}

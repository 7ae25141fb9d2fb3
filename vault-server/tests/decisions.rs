//! Decisions about people, over HTTP: which are refused and by which article, how one is contested, who reviews it,
//! and what reaches the person.
//!
//! Failure is a significant decision of a machine that is recorded without what Art. 22 asks, a review by who took
//! it, of what was not read or without reasons, one that the person does not hear of, a decision of somebody else's
//! that can be seen, and anything of it that is left of somebody who is erased.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use people::{Answer, Bench, operation};
use serde_json::{Value, json};

const MORE: &str = r#"
[purposes.scoring]
title.en = "Scoring"
title.de = "Bewerten"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[decisions.refund]
title.en = "Whether you get your money back"
title.de = "Ob Sie Ihr Geld zurückbekommen"
significant = true
automation = "full"
art22_basis = "contract"
purpose = "support"
inputs = ["profile.slots"]
logic.en = "How old the order is."
logic.de = "Wie alt die Bestellung ist."
consequences.en = "You get your money back, or you do not."
consequences.de = "Sie bekommen Ihr Geld zurück oder nicht."
review_within = "P7D"

[roles.machine]
purposes = ["support", "scoring"]
read = { "profile.name" = "full" }
may = ["subjects.create", "sessions.create", "decisions.record", "consents.record"]

[roles.front]
purposes = ["support"]
read = { "profile.name" = "full" }
may = ["subjects.create", "sessions.create", "requests.create"]

[roles.human]
may = ["decisions.review"]

[roles.officer]
read = { "*" = "full" }
may = ["requests.decide", "subjects.erase", "subjects.export"]
"#;

struct Case {
    bench: Bench,
    machine: String,
    front: String,
    human: String,
    officer: String,
    jane: String,
}

impl Case {
    fn new() -> Self {
        let bench = Bench::under(&format!("{}{MORE}", vault_core::policy::SAMPLE));
        let (machine, front) = (bench.key("machine"), bench.key("front"));
        let (human, officer) = (bench.key("human"), bench.key("officer"));
        let jane = bench.person(&front, "jane");
        Self {
            bench,
            machine,
            front,
            human,
            officer,
            jane,
        }
    }

    fn records(&self, body: Value) -> Answer {
        let path = format!("/v1/subjects/{}/decisions", self.jane);
        self.bench.call(&self.machine, "POST", &path, body)
    }

    /// A refund that a machine has refused.
    fn decision(&self) -> String {
        let body = json!({"kind": "refund", "outcome": "no refund, zyxwina",
            "model_version": "rules-7", "inputs": ["profile.slots"]});
        let made = self.records(body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["decision"].as_str().expect("an id").to_owned()
    }

    fn step(&self, key: &str, decision: &str, step: &str, body: Value) -> Answer {
        let path = format!("/v1/decisions/{decision}/{step}");
        self.bench.call(key, "POST", &path, body)
    }

    fn get(&self, key: &str, path: &str) -> Answer {
        self.bench.call(key, "GET", path, Value::Null)
    }

    fn read(&self, key: &str, decision: &str) -> Answer {
        self.get(key, &format!("/v1/decisions/{decision}"))
    }

    fn begins(&self, decision: &str) -> Answer {
        let begun = self.step(&self.human, decision, "begin", json!({}));
        assert_eq!(begun.status, 200, "{}", begun.body);
        begun
    }

    /// A session of Jane's, for a purpose.
    fn session(&self, key: &str, body: Value) -> String {
        let path = format!("/v1/subjects/{}/sessions", self.jane);
        let begun = self.bench.call(key, "POST", &path, body);
        assert_eq!(begun.status, 201, "{}", begun.body);
        begun.body["token"].as_str().expect("a token").to_owned()
    }
}

/// What is wrong: pointers and codes, and that each names its article.
#[track_caller]
fn faults(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.code(), (422, "invalid"), "{}", answer.body);
    let errors = answer.body["errors"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    errors
        .iter()
        .map(|one| (text(&one["pointer"]), text(&one["code"])))
        .collect()
}

fn credit() -> Value {
    json!({"kind": "credit", "outcome": "no credit", "significant": true, "automation": "full",
        "inputs": ["profile.slots"], "art22_basis": "contract", "logic": {"en": "a score", "de": "ein Wert"},
        "consequences": {"en": "no credit", "de": "kein Kredit"}})
}

#[test]
fn article_22_2_a_machine_decides_alone_by_a_contract_a_law_or_explicit_consent_or_not_at_all() {
    let case = Case::new();
    let with = |change: Value| {
        let mut body = credit();
        for (name, value) in change.as_object().expect("members") {
            body[name] = value.clone();
        }
        case.records(body)
    };
    let one = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
    assert_eq!(with(json!({})).status, 201);
    let none = with(json!({"art22_basis": null}));
    assert_eq!(faults(&none), one("/art22_basis", "no_art22_basis"));
    assert!(
        none.body["errors"][0]["detail"]
            .as_str()
            .expect("words")
            .contains("Art. 22(1), (2) GDPR")
    );
    assert_eq!(
        with(json!({"art22_basis": null, "automation": "assisted"})).status,
        201
    );
    let law = with(json!({"art22_basis": "law"}));
    assert_eq!(faults(&law), one("/law", "required"));
    assert_eq!(
        with(json!({"art22_basis": "law", "law": "an act"})).status,
        201
    );
    let consent = json!({"art22_basis": "explicit_consent", "purpose": "scoring"});
    let refused = one("/purpose", "no_explicit_consent");
    assert_eq!(faults(&with(consent.clone())), refused);
    let path = format!("/v1/subjects/{}/consents/scoring", case.jane);
    let says = |body: Value| case.bench.call(&case.machine, "PUT", &path, body).status;
    // A clear act is not enough where the law says explicit.
    assert_eq!(says(json!({"given": true, "notice": "n1"})), 200);
    assert_eq!(faults(&with(consent.clone())), refused);
    assert_eq!(
        says(json!({"given": true, "notice": "n1", "type": "explicit"})),
        200
    );
    assert_eq!(with(consent.clone()).status, 201);
    assert_eq!(
        case.bench
            .call(&case.machine, "DELETE", &path, Value::Null)
            .status,
        200
    );
    assert_eq!(faults(&with(consent)), refused);
    let silent = with(json!({"inputs": []}));
    assert_eq!(faults(&silent), one("/inputs", "required"));
    let assisted = json!({"kind": "refund", "outcome": "none", "automation": "assisted"});
    assert_eq!(
        faults(&case.records(assisted)),
        one("/automation", "contradicts_policy")
    );
    // In one language of two, people are not told.
    let half = with(json!({"logic": {"de": "ein Wert"}}));
    assert_eq!(faults(&half), one("/logic", "no_logic"));
    // Whoever reviews records nothing, and a word that there is not is told.
    let path = format!("/v1/subjects/{}/decisions", case.jane);
    let other = case.bench.call(&case.human, "POST", &path, credit());
    assert_eq!(other.code(), (403, "role_denied"));
    let robot = with(json!({"automation": "robot"}));
    assert_eq!(faults(&robot), one("/automation", "unknown_word"));
}

#[test]
fn article_22_3_the_person_contests_in_their_words_and_a_human_who_read_them_answers() {
    let case = Case::new();
    let decision = case.decision();
    // In the person's own session, begun for their rights or by a role that takes requests.
    let own = case.session(
        &case.front,
        json!({"purpose": "support", "fields": ["profile.name"], "reads": 9, "writes": 9}),
    );
    let contest = json!({"view": "it arrived broken, zyxwina", "language": "de"});
    let contested = case.step(&own, &decision, "contest", contest);
    assert_eq!(contested.status, 200, "{}", contested.body);
    assert_eq!(contested.body["decision"]["state"], "contested");
    let request = contested.body["decision"]["request"]
        .as_str()
        .expect("an id");
    let request = format!("/v1/requests/{request}");
    let asked = case.get(&case.front, &request);
    assert_eq!(asked.body["type"], "human_review");
    assert_eq!(asked.body["decision"], *decision);
    // The bench begins on Friday, 15 January 2027: a week by the policy, a month by the law.
    assert_eq!(contested.body["decision"]["due"], "2027-01-22");
    assert_eq!(asked.body["due"], "2027-02-15");
    // Only those who may change it see the queue, and nobody a value in it.
    let queue = case.get(&case.human, "/v1/decisions");
    assert_eq!(queue.body["decisions"][0]["decision"], *decision);
    assert!(!queue.body.to_string().contains("zyxwina"));
    for key in [&case.machine, &case.front, &case.officer, &own] {
        assert_eq!(case.get(key, "/v1/decisions").code(), (403, "role_denied"));
        let begun = case.step(key, &decision, "begin", json!({}));
        assert_eq!(begun.code(), (403, "role_denied"));
    }
    let begun = case.begins(&decision);
    assert_eq!(begun.body["decision"]["state"], "under_review");
    let shown = begun.body["decision"]["history"].to_string();
    assert!(shown.contains("it arrived broken"), "{shown}");
    let review = begun.body["review"].as_str().expect("a token").to_owned();
    let decides = |body: Value| {
        let mut whole =
            json!({"review": review, "outcome": "upheld", "reasons": "as the rules say"});
        for (name, value) in body.as_object().expect("members") {
            whole[name] = value.clone();
        }
        case.step(&case.human, &decision, "decide", whole)
    };
    // The nearest violations: without reasons, without what was shown, with half an outcome.
    assert_eq!(decides(json!({"reasons": " "})).code(), (422, "invalid"));
    assert_eq!(
        decides(json!({"review": "rvw_aaaa"})).code(),
        (409, "conflict")
    );
    assert_eq!(
        decides(json!({"outcome": "changed"})).code(),
        (422, "invalid")
    );
    assert_eq!(
        decides(json!({"new_outcome": "half"})).code(),
        (422, "invalid")
    );
    assert_eq!(
        decides(json!({"outcome": "forgotten"})).code(),
        (422, "invalid")
    );
    // Another key of the same role was shown nothing.
    let other = case.bench.key("human");
    let upheld = json!({"review": review, "outcome": "upheld", "reasons": "as the rules say"});
    let unread = case.step(&other, &decision, "decide", upheld);
    assert_eq!(unread.code(), (409, "conflict"));
    // Nor is the request approved past the review.
    let past = case.bench.call(
        &case.officer,
        "POST",
        &format!("{request}/approve"),
        json!({"answer": "done"}),
    );
    assert_eq!(past.code(), (409, "conflict"), "{}", past.body);
    // What the person adds is to be read first.
    let more = case.step(
        &own,
        &decision,
        "contest",
        json!({"view": "see the photograph"}),
    );
    assert_eq!(more.body["decision"]["state"], "contested");
    assert_eq!(
        case.step(&own, &decision, "contest", json!({})).code(),
        (422, "invalid")
    );
    assert_eq!(decides(json!({})).code(), (409, "conflict"));
    let begun = case.begins(&decision);
    case.bench.clock.advance(90_000);
    let changed = json!({"review": begun.body["review"], "outcome": "changed",
        "new_outcome": "half of it back", "reasons": "the parcel was broken"});
    let done = case.step(&case.human, &decision, "decide", changed);
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.body["decision"]["state"], "changed");
    assert_eq!(done.body["review"], Value::Null);
    // It reaches the person, where they ask for it.
    let answered = case.get(&own, &request);
    assert_eq!(answered.body["state"], "fulfilled");
    let history = answered.body["history"].as_array().expect("a list");
    let words = history.last().expect("a step")["words"]
        .as_str()
        .expect("words");
    assert!(
        words.contains("half of it back") && words.contains("was broken"),
        "{words}"
    );
    // And the figures tell it from a stamp.
    let figures = case.get(&case.human, "/v1/decisions/figures");
    let refund = &figures.body["kinds"][0];
    assert_eq!(
        (&refund["kind"], &refund["changed"]),
        (&json!("refund"), &json!(1))
    );
    assert_eq!(
        (&refund["overturned"], &refund["review_seconds"]),
        (&json!(1.0), &json!(90))
    );
    assert_eq!(
        case.get(&case.machine, "/v1/decisions/figures").code(),
        (403, "role_denied")
    );
    // Nothing follows.
    let again = case.step(&own, &decision, "contest", json!({"view": "still"}));
    assert_eq!(again.code(), (409, "conflict"));
}

#[test]
fn article_22_3_a_request_for_a_human_is_the_same_and_is_taken_back_with_the_contest() {
    let case = Case::new();
    let decision = case.decision();
    let path = format!("/v1/subjects/{}/requests", case.jane);
    let asks = |body: Value| case.bench.call(&case.front, "POST", &path, body);
    let human =
        || json!({"type": "human_review", "decision": decision, "details": "a human, please"});
    // A decision is of no other right, and there has to be one.
    let access = asks(json!({"type": "access", "decision": decision}));
    assert_eq!(access.code(), (422, "invalid"));
    let unknown =
        asks(json!({"type": "human_review", "decision": "dec_00000000000000000000000000"}));
    assert_eq!(unknown.code(), (404, "not_found"));
    assert_eq!(
        asks(json!({"type": "human_review", "decision": "D-31"})).code(),
        (422, "invalid")
    );
    let made = asks(human());
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(case.read(&case.human, &decision).body["state"], "contested");
    assert_eq!(asks(human()).code(), (409, "conflict"));
    let request = made.body["request"].as_str().expect("an id");
    let cancel = format!("/v1/requests/{request}/cancel");
    assert_eq!(
        case.bench
            .call(&case.front, "POST", &cancel, json!({}))
            .status,
        200
    );
    let view = case.read(&case.human, &decision);
    assert_eq!(
        (&view.body["state"], &view.body["due"]),
        (&json!("effective"), &Value::Null)
    );
    let queue = case.get(&case.human, "/v1/decisions");
    assert_eq!(queue.body["decisions"], json!([]));
    // Without a decision it is answered in words, as before.
    let words = asks(json!({"type": "human_review"}));
    assert_eq!(words.status, 201);
}

#[test]
fn a_bot_asks_before_it_acts_and_a_batch_does_so_with_the_rest() {
    let case = Case::new();
    let mut proposed = credit();
    proposed["proposed"] = json!(true);
    let made = case.records(proposed);
    assert_eq!(made.body["state"], "proposed", "{}", made.body);
    let decision = made.body["decision"].as_str().expect("an id");
    let contest = case.step(&case.front, decision, "contest", json!({}));
    assert_eq!(contest.code(), (409, "conflict"));
    assert_eq!(
        case.step(&case.human, decision, "effect", json!({})).code(),
        (403, "role_denied")
    );
    let stands = case.step(&case.machine, decision, "effect", json!({}));
    assert_eq!(stands.body["decision"]["state"], "effective");
    assert_eq!(
        case.step(&case.human, decision, "forget", json!({})).code(),
        (404, "not_found")
    );
    let path = format!("/v1/subjects/{}/decisions", case.jane);
    let mut bad = credit();
    bad["art22_basis"] = Value::Null;
    let done = case.bench.batch(
        &case.machine,
        &[
            operation("POST", &path, credit()),
            operation("POST", &path, bad),
        ],
    );
    assert_eq!(done.statuses(), [424, 422], "all or nothing");
    let listed = case.get(&case.machine, &path);
    assert_eq!(
        listed.body["decisions"].as_array().expect("a list").len(),
        1
    );
}

#[test]
fn article_15_1_h_what_was_decided_is_the_persons_to_read_and_part_of_their_copy() {
    let case = Case::new();
    let decision = case.decision();
    let own = case.session(
        &case.machine,
        json!({"purpose": "support", "fields": ["profile.name"], "reads": 9, "writes": 9}),
    );
    let listed = case.get(&own, "/v1/subjects/self/decisions");
    assert_eq!(listed.status, 200, "{}", listed.body);
    let one = &listed.body["decisions"][0];
    assert_eq!(one["logic"]["de"], "Wie alt die Bestellung ist.");
    assert_eq!(
        (&one["article"], &one["art22_basis"]),
        (&Value::Null, &json!("contract"))
    );
    assert_eq!(one["inputs"], json!(["profile.slots"]));
    let path = format!("/v1/subjects/{}/export", case.jane);
    let package = case.bench.call(
        &case.officer,
        "POST",
        &path,
        json!({"right": "access", "format": "json"}),
    );
    let told = &package.body["automated_decisions"][0];
    assert_eq!(told["decision"], *decision, "{}", package.body);
    assert_eq!(told["article"], "Art. 22(2)(a)");
    assert_eq!(told["logic"]["en"], "How old the order is.");
    assert_eq!(told["outcome"], "no refund, zyxwina");
    // Somebody else's session sees none of it.
    let eve = case.bench.person(&case.front, "eve");
    let path = format!("/v1/subjects/{eve}/sessions");
    let body = json!({"purpose": "support", "fields": ["profile.name"], "reads": 9, "writes": 9});
    let foreign = case.bench.call(&case.machine, "POST", &path, body);
    let foreign = foreign.body["token"].as_str().expect("a token");
    assert_eq!(case.read(foreign, &decision).code(), (404, "not_found"));
    let contest = case.step(foreign, &decision, "contest", json!({}));
    assert_eq!(contest.code(), (404, "not_found"));
}

#[test]
fn article_13_2_f_the_public_is_told_of_it_in_its_language() {
    let case = Case::new();
    let statement = case.get(&case.front, "/v1/privacy-statement?lang=de");
    let told = &statement.body["decisions"][0];
    assert_eq!(told["title"], "Ob Sie Ihr Geld zurückbekommen");
    assert_eq!(
        (&told["article"], &told["kind"]),
        (&json!("Art. 22(2)(a)"), &json!("refund"))
    );
    assert_eq!(told["logic"], "Wie alt die Bestellung ist.");
    let rights = statement.body["rights"].to_string();
    assert!(rights.contains("Art. 22(3)"), "{rights}");
    let page = case.bench.page(&case.front, "/privacy", "text/html").text;
    assert!(page.contains("How old the order is."));
    // A policy without such a kind lists none, and gives no right to contest one.
    let silent = Bench::new();
    let key = silent.key("bot");
    let statement = silent.call(&key, "GET", "/v1/privacy-statement?lang=en", Value::Null);
    assert_eq!(statement.body["decisions"], json!([]));
    assert!(!statement.body["rights"].to_string().contains("Art. 22"));
}

#[test]
fn article_17_an_erasure_leaves_no_decision() {
    let case = Case::new();
    let decision = case.decision();
    case.step(
        &case.front,
        &decision,
        "contest",
        json!({"view": "zyxwina"}),
    );
    let path = format!("/v1/subjects/{}", case.jane);
    let erased = case.bench.call(&case.officer, "DELETE", &path, Value::Null);
    assert_eq!(erased.status, 200, "{}", erased.body);
    assert_eq!(case.read(&case.human, &decision).code(), (404, "not_found"));
    let begun = case.step(&case.human, &decision, "begin", json!({}));
    assert_eq!(begun.code(), (404, "not_found"));
    assert_eq!(
        case.get(&case.human, "/v1/decisions").body["decisions"],
        json!([])
    );
    let figures = case.get(&case.human, "/v1/decisions/figures");
    assert_eq!(figures.body["kinds"], json!([]));
    let path = format!("/v1/subjects/{}/decisions", case.jane);
    assert_eq!(case.get(&case.machine, &path).code(), (410, "erased"));
}

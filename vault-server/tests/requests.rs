//! What people ask for under Chapter III, over HTTP: until when, by whom, what is done, and what is refused.
//!
//! Failure is an effect without its level or confirmation, a deadline that is not the calendar's, a refusal that
//! does not say where to complain, a request of somebody else's that can be seen, and anything of a request that
//! is left of somebody who is erased.

#[allow(dead_code, reason = "each test binary uses a part")]
mod people;

use jiff::Timestamp;
use people::{Answer, Bench, HOUR};
use serde_json::{Value, json};
use vault_core::vault::Sweep;

const DAY: i64 = 24 * HOUR;
const ROLES: &str = r#"
[purposes.improve]
title.en = "Improving"
title.de = "Verbessern"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[roles.deciding]
read = { "*" = "full" }
write = ["*"]
may = ["requests.decide", "subjects.erase", "subjects.export", "holds.manage"]

[roles.blind]
may = ["requests.decide", "subjects.export"]

[roles.front]
may = ["subjects.create", "sessions.create", "requests.create"]
"#;

/// Europe/Amsterdam, with Easter and the days around it.
fn bench() -> Bench {
    let calendar = "[controller]\ntimezone = \"Europe/Amsterdam\"\n\
                    holidays = [\"easter-2\", \"easter+1\", \"12-25\", \"12-26\", \"2027-02-16\"]";
    let policy = vault_core::policy::SAMPLE.replacen("[controller]", calendar, 1);
    Bench::under(&format!("{policy}{ROLES}"))
}

struct Case {
    bench: Bench,
    bot: String,
    dpo: String,
    jane: String,
}

impl Case {
    fn new() -> Self {
        let bench = bench();
        let (bot, dpo) = (bench.key("bot"), bench.key("deciding"));
        let jane = bench.person(&bot, "jane");
        let profile = json!({"email": "jane@example.test", "name": "Jane Canary"});
        let path = format!("/v1/subjects/{jane}/records/profile");
        assert_eq!(bench.call(&bot, "PATCH", &path, profile).status, 200);
        Self {
            bench,
            bot,
            dpo,
            jane,
        }
    }

    fn asks(&self, key: &str, body: Value) -> Answer {
        let path = format!("/v1/subjects/{}/requests", self.jane);
        self.bench.call(key, "POST", &path, body)
    }

    /// A request that the bot takes down.
    fn request(&self, body: Value) -> String {
        let made = self.asks(&self.bot, body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["request"].as_str().expect("an id").to_owned()
    }

    fn step(&self, key: &str, request: &str, step: &str, body: Value) -> Answer {
        let path = format!("/v1/requests/{request}/{step}");
        self.bench.call(key, "POST", &path, body)
    }

    fn read(&self, key: &str, request: &str) -> Answer {
        let path = format!("/v1/requests/{request}");
        self.bench.call(key, "GET", &path, Value::Null)
    }

    fn verified(&self, request: &str) {
        let evidence = json!({"outcome": "verified", "evidence": "came to the desk"});
        let step = self.step(&self.dpo, request, "identity", evidence);
        assert_eq!(step.status, 200, "{}", step.body);
    }

    fn confirmed(&self, request: &str, scope: Value) -> String {
        let given = self.step(&self.dpo, request, "confirm", scope);
        assert_eq!(given.status, 200, "{}", given.body);
        given.body["confirmation"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    fn queue(&self, query: &str) -> Answer {
        self.bench.call(
            &self.dpo,
            "GET",
            &format!("/v1/requests{query}"),
            Value::Null,
        )
    }

    fn at(&self, text: &str) {
        let to: Timestamp = text.parse().expect("an instant");
        let now = vault_core::clock::Clock::now(&*self.bench.clock);
        self.bench
            .clock
            .advance(to.as_millisecond() - now.as_millisecond());
    }
}

fn state(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["request"]["state"].as_str().expect("a state")
}

#[test]
fn art_12_3_an_answer_is_due_in_a_month_of_the_controllers_calendar() {
    let case = Case::new();
    // 2027-01-15T08:00Z; the 15th of February is a Monday.
    let made = case.asks(&case.bot, json!({"type": "access", "details": "all of it"}));
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["due"], "2027-02-15");
    assert_eq!(made.body["due_effective"], "2027-02-15");
    assert_eq!(made.body["state"], "received");
    assert_eq!(made.body["level"], "L1");
    assert_eq!(made.body["status"]["drp"], "open");
    assert_eq!(made.body["status"]["opendsr"], "pending");
    // A letter that came in before it was written down, at half past midnight in Amsterdam: the 16th of January
    // there, and a month later is a holiday of the policy.
    let letter = json!({"type": "access", "received_at": "2027-01-14T23:30:00Z"});
    let made = case.asks(&case.dpo, letter);
    assert_eq!(made.body["due"], "2027-02-15", "{}", made.body);
    case.at("2027-01-16T12:00:00Z");
    let made = case.asks(&case.bot, json!({"type": "erase"}));
    assert_eq!(made.body["due"], "2027-02-17", "{}", made.body);
    // The end of a month, and Easter: Good Friday is 26 March 2027.
    case.at("2027-01-31T12:00:00Z");
    let made = case.asks(&case.bot, json!({"type": "erase"}));
    assert_eq!(made.body["due"], "2027-03-01", "28 February is a Sunday");
    case.at("2027-02-26T12:00:00Z");
    let made = case.asks(&case.bot, json!({"type": "erase"}));
    assert_eq!(made.body["due"], "2027-03-30");
    // Who asks in a conversation does not say when that was.
    let past = json!({"type": "access", "received_at": "2027-02-01T00:00:00Z"});
    assert_eq!(case.asks(&case.bot, past).code(), (422, "invalid"));
    let future = json!({"type": "access", "received_at": "2028-02-01T00:00:00Z"});
    assert_eq!(case.asks(&case.dpo, future).code(), (422, "invalid"));
}

#[test]
fn art_12_3_an_extension_is_told_before_the_end_once_and_for_two_months_at_most() {
    let case = Case::new();
    let request = case.request(json!({"type": "access", "language": "de"}));
    let longer = |body| case.step(&case.dpo, &request, "extend", body);
    assert_eq!(
        longer(json!({"reason": "holidays"})).code(),
        (422, "invalid")
    );
    let three = longer(json!({"reason": "complexity", "period": "P3M"}));
    assert_eq!(three.code(), (422, "invalid"));
    let told = longer(json!({"reason": "complexity"}));
    assert_eq!(told.status, 200, "{}", told.body);
    let view = &told.body["request"];
    assert_eq!(view["due"], "2027-04-15");
    let notice = view["extension"]["notice"].as_str().expect("a text");
    assert!(
        notice.contains("2027-04-15") && notice.contains("komplex"),
        "{notice}"
    );
    assert_eq!(
        longer(json!({"reason": "number"})).code(),
        (409, "conflict")
    );
    // Another, whose time is over by an hour.
    let late = case.request(json!({"type": "access"}));
    case.at("2027-02-15T23:00:00Z");
    let step = case.step(&case.dpo, &late, "extend", json!({"reason": "number"}));
    assert_eq!(step.code(), (409, "conflict"), "{}", step.body);
    assert_eq!(case.read(&case.dpo, &late).body["overdue"], true);
    assert_eq!(case.read(&case.dpo, &request).body["overdue"], false);
}

#[test]
fn art_12_6_what_was_promptly_asked_pauses_the_effective_end_alone() {
    let case = Case::new();
    let request = case.request(json!({"type": "access"}));
    let asked = case.step(&case.dpo, &request, "identity", json!({"outcome": "asked"}));
    assert_eq!(state(&asked), "identity_pending");
    assert_eq!(asked.body["request"]["due_effective"], Value::Null);
    assert_eq!(asked.body["request"]["due"], "2027-02-15");
    assert_eq!(
        asked.body["request"]["status"]["drp_reason"],
        "need_user_verification"
    );
    case.bench.clock.advance(7 * DAY);
    case.verified(&request);
    let view = case.read(&case.bot, &request);
    assert_eq!(view.body["due"], "2027-02-15");
    assert_eq!(view.body["due_effective"], "2027-02-22");
    // Asked after a week: that pauses nothing.
    let question = json!({"question": "which contract?"});
    let step = case.step(&case.dpo, &request, "clarify", question);
    assert_eq!(state(&step), "clarification_pending");
    assert_eq!(step.body["request"]["due_effective"], "2027-02-22");
    let step = case.step(
        &case.dpo,
        &request,
        "clarify",
        json!({"answer": "the second"}),
    );
    assert_eq!(state(&step), "verified");
}

#[test]
fn art_12_2_nothing_is_done_before_it_is_known_who_asks_and_failing_that_a_human_looks() {
    let case = Case::new();
    let request = case.request(json!({"type": "restrict", "ground": "18.1.a"}));
    let approve = |key: &str| case.step(key, &request, "approve", json!({}));
    assert_eq!(approve(&case.bot).code(), (403, "role_denied"));
    let low = approve(&case.dpo);
    assert_eq!(low.code(), (409, "conflict"));
    let said = low.body["detail"].as_str().expect("a text");
    assert!(said.contains("L2") && said.contains("L1"), "{said}");
    let step = |body| case.step(&case.dpo, &request, "identity", body);
    assert_eq!(
        state(&step(json!({"outcome": "asked", "note": "a code"}))),
        "identity_pending"
    );
    assert_eq!(
        state(&step(json!({"outcome": "manual"}))),
        "manual_identity"
    );
    assert_eq!(
        step(json!({"outcome": "verified"})).code(),
        (422, "invalid")
    );
    let blank = json!({"outcome": "verified", "evidence": "  "});
    assert_eq!(step(blank).code(), (422, "invalid"));
    // Not even a bot that relays the person says that it is them.
    let evidence = json!({"outcome": "verified", "evidence": "the person says so"});
    let own = case.step(&case.bot, &request, "identity", evidence.clone());
    assert_eq!(own.code(), (403, "role_denied"));
    assert_eq!(state(&step(evidence)), "verified");
    let restricted = |bench: &Bench| {
        let path = format!("/v1/subjects/{}/records/profile", case.jane);
        bench.call(&case.bot, "GET", &path, Value::Null).code().0
    };
    assert_eq!(restricted(&case.bench), 200);
    assert_eq!(state(&approve(&case.dpo)), "fulfilled");
    assert_eq!(restricted(&case.bench), 423, "Art. 18(2)");
    assert_eq!(approve(&case.dpo).code(), (409, "conflict"), "it is closed");
    // Evidence is for those who deal with it, and not for the conversation.
    let seen = |key: &str| case.read(key, &request).body["history"].to_string();
    assert!(seen(&case.dpo).contains("says so"));
    assert!(!seen(&case.bot).contains("says so"));
}

#[test]
fn art_12_4_a_refusal_names_reason_law_complaint_and_court_in_the_persons_language() {
    let case = Case::new();
    let request = case.request(json!({"type": "erase", "language": "de"}));
    let refuse = |code: &str, law: &str, reason: &str| {
        let body = json!({"code": code, "law": law, "approver": "C. Ounsel", "reason": reason});
        case.step(&case.dpo, &request, "refuse", body)
    };
    let reason = "Die Rechnungen werden noch gebraucht.";
    for (code, law, why) in [
        ("because", "§ 147 AO", reason),
        ("compelling_grounds", "Art. 21(1) GDPR", reason), // of an objection
        ("A17LegallyRequired", "", reason),
        ("A17LegallyRequired", "§ 147 AO", " "),
    ] {
        assert_eq!(
            refuse(code, law, why).code(),
            (422, "invalid"),
            "{code} {law}"
        );
    }
    let refused = refuse("A17LegallyRequired", "§ 147 AO", reason);
    assert_eq!(state(&refused), "refused");
    let text = refused.body["request"]["refusal"]["text"]
        .as_str()
        .expect("a text");
    for part in [
        reason,
        "§ 147 AO",
        "Autoriteit Persoonsgegevens",
        "Gericht",
        "2027-01-15",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let status = &refused.body["request"]["status"];
    assert_eq!(status["drp"], "denied");
    assert_eq!(status["opendsr"], "cancelled");
    // Nothing was erased, and nothing follows.
    let path = format!("/v1/subjects/{}/records/profile", case.jane);
    assert_eq!(
        case.bench.call(&case.bot, "GET", &path, Value::Null).status,
        200
    );
    let again = case.step(&case.dpo, &request, "cancel", json!({}));
    assert_eq!(again.code(), (409, "conflict"));
}

#[test]
fn art_17_an_erasure_needs_its_confirmation_and_leaves_no_request() {
    let case = Case::new();
    let other = case.request(json!({"type": "access"}));
    let request = case.request(json!({"type": "erase", "details": "canary words"}));
    case.verified(&request);
    let approve = |body| case.step(&case.dpo, &request, "approve", body);
    assert_eq!(approve(json!({})).code(), (409, "conflict"));
    assert_eq!(
        approve(json!({"confirmation": "cnf_aaaa"})).code(),
        (409, "conflict")
    );
    // One that is for another request, one that is too old, one from before a step.
    case.verified(&other);
    let foreign = case.step(&case.dpo, &other, "confirm", json!({}));
    assert_eq!(
        foreign.code(),
        (409, "conflict"),
        "a copy can be made again"
    );
    let old = case.confirmed(&request, json!({}));
    case.bench.clock.advance(HOUR);
    assert_eq!(
        approve(json!({"confirmation": old})).code(),
        (409, "conflict")
    );
    let before = case.confirmed(&request, json!({}));
    let note = json!({"note": "a look"});
    assert_eq!(case.step(&case.dpo, &request, "review", note).status, 200);
    assert_eq!(
        approve(json!({"confirmation": before})).code(),
        (409, "conflict")
    );
    let given = case.confirmed(&request, json!({}));
    // Whoever decides, and may not erase, does not erase by deciding.
    let blind = case.bench.key("blind");
    let own = json!({"confirmation": given});
    assert_eq!(
        case.step(&blind, &request, "approve", own.clone()).code(),
        (403, "role_denied")
    );
    let done = approve(own);
    assert_eq!(state(&done), "fulfilled");
    let receipt = done.body["receipt"]["body"]["receipt"]
        .as_str()
        .expect("an id");
    assert_eq!(done.body["request"]["receipt"], receipt);
    // The receipt is what stands for it.
    let path = format!("/v1/subjects/{}/requests", case.jane);
    let gone = case.bench.call(&case.bot, "GET", &path, Value::Null);
    assert_eq!(gone.code(), (410, "erased"));
    assert!(gone.body.to_string().contains(receipt), "{}", gone.body);
    for id in [&request, &other] {
        assert_eq!(case.read(&case.dpo, id).code(), (404, "not_found"));
    }
    for query in ["", "?state=fulfilled", "?state=received", "?state=verified"] {
        assert_eq!(case.queue(query).body["requests"], json!([]), "{query}");
    }
}

#[test]
fn art_17_3_what_a_law_keeps_is_named_with_law_and_day_and_the_request_stays_with_the_proof() {
    let case = Case::new();
    let hold =
        json!({"ground": "legal_claims", "collections": ["profile"], "review_at": "2030-01-31"});
    let path = format!("/v1/subjects/{}/hold", case.jane);
    assert_eq!(case.bench.call(&case.dpo, "PUT", &path, hold).status, 200);
    let request = case.request(json!({"type": "erase", "details": "canary words"}));
    case.verified(&request);
    let given = case.step(&case.dpo, &request, "confirm", json!({}));
    let said = given.body["consequences"].to_string();
    assert!(
        said.contains("profile") && said.contains("2030-01-31"),
        "{said}"
    );
    let confirmation = given.body["confirmation"].clone();
    let done = case.step(
        &case.dpo,
        &request,
        "approve",
        json!({"confirmation": confirmation}),
    );
    assert_eq!(state(&done), "partly_fulfilled");
    let kept = &done.body["request"]["kept"][0];
    assert_eq!(kept["until"], "2030-01-31");
    assert_eq!(kept["collections"], json!(["profile"]));
    assert!(
        kept["law"].as_str().expect("a law").contains("17(3)"),
        "{kept}"
    );
    // It is found by its id, and what somebody wrote is not.
    let left = case.read(&case.dpo, &request);
    assert_eq!(left.body["state"], "partly_fulfilled", "{}", left.body);
    assert_eq!(
        left.body["receipt"],
        done.body["receipt"]["body"]["receipt"]
    );
    let text = left.body.to_string();
    assert!(
        !text.contains("canary words") && !text.contains("came to the desk"),
        "{text}"
    );
    assert_eq!(
        case.queue("?state=partly_fulfilled").body["requests"][0]["request"],
        request
    );
    // The release ends all of it.
    let released = case.bench.call(&case.dpo, "DELETE", &path, Value::Null);
    assert_eq!(released.status, 200, "{}", released.body);
    assert_eq!(case.read(&case.dpo, &request).code(), (404, "not_found"));
}

#[test]
fn art_16_a_correction_is_made_by_the_vault_and_confirmed_for_these_fields_alone() {
    let case = Case::new();
    let request = case.request(json!({"type": "rectify", "details": "my name is wrong"}));
    case.verified(&request);
    let scope = |name: &str| json!({"collection": "profile", "fields": {"name": name}});
    let approve = |name: &str, confirmation: &str| {
        let mut body = scope(name);
        body["confirmation"] = confirmation.into();
        case.step(&case.dpo, &request, "approve", body)
    };
    let given = case.confirmed(&request, scope("Jane Right"));
    assert_eq!(
        approve("Jane Wrong", &given).code(),
        (409, "conflict"),
        "another scope"
    );
    assert_eq!(
        case.step(&case.dpo, &request, "approve", json!({})).code(),
        (422, "invalid")
    );
    assert_eq!(state(&approve("Jane Right", &given)), "fulfilled");
    let path = format!("/v1/subjects/{}/records/profile?fields=name", case.jane);
    let read = case.bench.call(&case.bot, "GET", &path, Value::Null);
    assert_eq!(read.body["fields"]["name"], "Jane Right");
    // A change that the policy refuses leaves the request as it was.
    let second = case.request(json!({"type": "rectify"}));
    case.verified(&second);
    let bad = json!({"collection": "profile", "fields": {"email": "no address"}});
    let confirmation = case.confirmed(&second, bad.clone());
    let mut body = bad;
    body["confirmation"] = confirmation.into();
    let refused = case.step(&case.dpo, &second, "approve", body);
    assert_eq!(refused.code(), (422, "invalid"), "{}", refused.body);
    assert_eq!(case.read(&case.dpo, &second).body["state"], "verified");
}

#[test]
fn art_15_a_copy_is_the_answer_and_fulfils_with_its_last_byte() {
    let case = Case::new();
    let request = case.request(json!({"type": "access"}));
    case.verified(&request);
    let path = format!("/v1/requests/{request}/approve");
    let fetch = |key: &str, body: Value| case.bench.raw(key, "POST", &path, &body);
    // Whoever does not see everything makes no copy that is whole.
    let blind = case.bench.key("blind");
    assert_eq!(fetch(&blind, json!({"format": "json"})).0, 409);
    assert_eq!(case.read(&case.dpo, &request).body["state"], "verified");
    let (status, headers, bytes) = fetch(&case.dpo, json!({"format": "json"}));
    assert_eq!(status, 200);
    let store = headers.iter().find(|(name, _)| name == "cache-control");
    assert_eq!(store.map(|(_, value)| value.as_str()), Some("no-store"));
    let package: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(package["right"], "access");
    assert!(package.to_string().contains("jane@example.test"));
    // The package lists the request that it answers.
    assert_eq!(package["requests"][0]["request"], request, "{package}");
    let view = case.read(&case.bot, &request);
    assert_eq!(view.body["state"], "fulfilled");
    let steps: Vec<&str> = view.body["history"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|step| step["step"].as_str())
        .collect();
    assert_eq!(
        steps,
        ["received", "identity_verified", "approved", "fulfilled"]
    );
    assert_eq!(
        fetch(&case.dpo, json!({"format": "json"})).0,
        409,
        "it is closed"
    );
    // Art. 20 is another package, and an erasure is none.
    let portable = case.request(json!({"type": "portability"}));
    case.verified(&portable);
    let path = format!("/v1/requests/{portable}/approve");
    let (status, _, bytes) = case
        .bench
        .raw(&case.dpo, "POST", &path, &json!({"format": "json"}));
    let package: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!((status, &package["right"]), (200, &json!("portability")));
    let erase = case.request(json!({"type": "erase"}));
    let path = format!("/v1/requests/{erase}/approve");
    assert_eq!(
        case.bench
            .raw(&case.dpo, "POST", &path, &json!({"format": "json"}))
            .0,
        422
    );
}

#[test]
fn art_7_3_and_21_what_a_person_says_takes_effect_with_it() {
    let case = Case::new();
    let consent = format!("/v1/subjects/{}/consents/newsletter", case.jane);
    let yes = json!({"given": true, "notice": "v1"});
    assert_eq!(case.bench.call(&case.bot, "PUT", &consent, yes).status, 200);
    let withdraw = json!({"type": "withdraw", "purpose": "newsletter"});
    let made = case.asks(&case.bot, withdraw.clone());
    assert_eq!(made.body["state"], "fulfilled", "{}", made.body);
    let now = case.bench.call(&case.bot, "GET", &consent, Value::Null);
    assert_eq!(now.body["state"], "withdrawn");
    // Said again there is nothing left to withdraw, and the answer is the same.
    assert_eq!(case.asks(&case.bot, withdraw).body["state"], "fulfilled");
    // Marketing ends at once; anything else is restricted until it is decided.
    let marketing = case.asks(
        &case.bot,
        json!({"type": "object", "purpose": "newsletter"}),
    );
    assert_eq!(marketing.body["state"], "fulfilled", "{}", marketing.body);
    let other = case.asks(&case.bot, json!({"type": "object", "purpose": "improve"}));
    assert_eq!(other.body["state"], "verified", "{}", other.body);
    let request = other.body["request"].as_str().expect("an id");
    let objections = format!("/v1/subjects/{}/objections", case.jane);
    let stands = || {
        let listed = case.bench.call(&case.dpo, "GET", &objections, Value::Null);
        listed.body["objections"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["purpose"] == "improve").cloned())
            .map(|one| one["state"].clone())
    };
    assert_eq!(stands(), Some(json!("pending")));
    let grounds = json!({"code": "compelling_grounds", "law": "Art. 21(1) GDPR",
        "approver": "C. Ounsel", "reason": "fraud would go unseen"});
    assert_eq!(
        state(&case.step(&case.dpo, request, "refuse", grounds)),
        "refused"
    );
    assert_eq!(stands(), Some(json!("overridden")));
    // A right that the purpose does not give is said to be none.
    let none = case.asks(&case.bot, json!({"type": "object", "purpose": "support"}));
    assert_eq!(none.code(), (409, "conflict"));
    assert_eq!(
        case.asks(&case.bot, json!({"type": "object"})).code(),
        (422, "invalid")
    );
    // A letter is from anybody: its withdrawal waits until it is known from whom.
    let letter = json!({"type": "withdraw", "purpose": "newsletter"});
    let letter = case.asks(&case.dpo, letter);
    assert_eq!(
        (&letter.body["state"], &letter.body["level"]),
        (&json!("received"), &json!("L0"))
    );
}

#[test]
fn art_22_3_and_19_a_human_answers_in_words() {
    let case = Case::new();
    for kind in ["human_review", "recipients"] {
        let request = case.request(json!({"type": kind}));
        assert_eq!(
            state(&case.step(&case.dpo, &request, "review", json!({}))),
            "awaiting_human"
        );
        let silent = case.step(&case.dpo, &request, "approve", json!({}));
        assert_eq!(silent.code(), (422, "invalid"));
        let told = json!({"answer": "we looked again"});
        assert_eq!(
            state(&case.step(&case.dpo, &request, "approve", told)),
            "fulfilled"
        );
        let view = case.read(&case.bot, &request);
        assert!(view.body["history"].to_string().contains("we looked again"));
    }
}

#[test]
fn a_session_sees_makes_and_takes_back_requests_of_its_own_person_and_no_others() {
    let case = Case::new();
    let front = case.bench.key("front");
    let joe = case.bench.person(&front, "joe");
    let session = |of: &str| {
        let body =
            json!({"purpose": "support", "fields": ["profile.name"], "reads": 10, "writes": 10});
        let path = format!("/v1/subjects/{of}/sessions");
        let begun = case.bench.call(&case.bot, "POST", &path, body);
        begun.body["token"].as_str().expect("a token").to_owned()
    };
    let (jane, joe_token) = (session(&case.jane), session(&joe));
    let own = "/v1/subjects/self/requests";
    let made = case
        .bench
        .call(&jane, "POST", own, json!({"type": "erase"}));
    assert_eq!(
        (made.status, &made.body["level"]),
        (201, &json!("L1")),
        "{}",
        made.body
    );
    let request = made.body["request"].as_str().expect("an id");
    let listed = case.bench.call(&jane, "GET", own, Value::Null);
    assert_eq!(listed.body["requests"][0]["request"], request);
    assert_eq!(case.read(&jane, request).status, 200);
    // Another person's session is told that there is none.
    assert_eq!(case.read(&joe_token, request).code(), (404, "not_found"));
    let foreign = case.step(&joe_token, request, "cancel", json!({}));
    assert_eq!(foreign.code(), (404, "not_found"));
    assert_eq!(
        case.bench.call(&joe_token, "GET", own, Value::Null).body["requests"],
        json!([])
    );
    // Nor does a session decide anything, or see the queue.
    for (step, body) in [
        ("identity", json!({"outcome": "verified", "evidence": "me"})),
        ("approve", json!({})),
        ("confirm", json!({})),
    ] {
        assert_eq!(
            case.step(&jane, request, step, body).code(),
            (403, "role_denied"),
            "{step}"
        );
    }
    assert_eq!(
        case.bench
            .call(&jane, "GET", "/v1/requests", Value::Null)
            .status,
        403
    );
    let back = case.step(&jane, request, "cancel", json!({"reason": "never mind"}));
    assert_eq!(state(&back), "cancelled");
    assert_eq!(back.body["request"]["status"]["drp"], "revoked");
}

#[test]
fn the_queue_is_filtered_and_paged_and_holds_no_value() {
    let case = Case::new();
    let mut made = Vec::new();
    for (kind, at) in [
        ("erase", "2027-01-19T12:00:00Z"),
        ("access", "2027-01-22T12:00:00Z"),
        ("erase", "2027-01-18T12:00:00Z"),
    ] {
        case.at("2027-01-22T12:00:00Z");
        let body = json!({"type": kind, "received_at": at, "details": "canary"});
        let one = case.asks(&case.dpo, body);
        assert_eq!(one.status, 201, "{}", one.body);
        made.push(one.body["request"].as_str().expect("an id").to_owned());
    }
    let ids = |query: &str| -> Vec<String> {
        let page = case.queue(query);
        let requests = page.body["requests"].as_array().expect("a page");
        assert!(!page.body.to_string().contains("canary"));
        let ids = requests.iter().filter_map(|one| one["request"].as_str());
        ids.map(str::to_owned).collect()
    };
    let of = |places: &[usize]| -> Vec<String> {
        places.iter().map(|place| made[*place].clone()).collect()
    };
    assert_eq!(ids(""), of(&[2, 0, 1]), "those that are due first");
    assert_eq!(ids("?type=erase"), of(&[2, 0]));
    assert_eq!(
        ids("?due_before=2027-02-19"),
        of(&[2]),
        "the day itself is not before it"
    );
    assert_eq!(ids("?overdue=true"), of(&[]));
    let first = case.queue("?limit=2");
    let next = first.body["next"].as_str().expect("there is more");
    assert_eq!(ids(&format!("?limit=2&cursor={next}")), of(&[1]));
    let foreign = case.queue(&format!("?type=erase&cursor={next}"));
    assert_eq!(foreign.code(), (422, "invalid"), "a cursor is of its list");
    assert_eq!(case.queue("?type=everything").code(), (422, "invalid"));
    case.at("2027-02-19T12:00:00Z");
    assert_eq!(ids("?overdue=true"), of(&[2]));
    assert_eq!(
        case.step(&case.dpo, &made[2], "cancel", json!({})).status,
        200
    );
    assert_eq!(ids(""), of(&[0, 1]));
    assert_eq!(ids("?state=cancelled"), of(&[2]));
}

#[test]
fn a_request_that_is_sent_again_is_one_request() {
    let case = Case::new();
    let path = format!("/v1/subjects/{}/requests", case.jane);
    let body = json!({"type": "access"});
    let first = case.bench.once(&case.bot, &path, "k1", &body);
    let second = case.bench.once(&case.bot, &path, "k1", &body);
    assert_eq!(
        (first.status, first.replayed),
        (201, false),
        "{}",
        first.body
    );
    assert!(second.replayed);
    assert_eq!(first.body, second.body);
    let listed = case.bench.call(&case.bot, "GET", &path, Value::Null);
    assert_eq!(listed.body["requests"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_open_request_is_there_after_a_kill() {
    let case = Case::new();
    let request = case.request(json!({"type": "erase"}));
    case.verified(&request);
    let confirmation = case.confirmed(&request, json!({}));
    let killed = case.bench.killed();
    let path = format!("/v1/requests/{request}");
    let read = killed.call(&case.dpo, "GET", &path, Value::Null);
    assert_eq!(read.body["state"], "verified", "{}", read.body);
    // The confirmation is stored nowhere, and holds all the same.
    let approve = format!("{path}/approve");
    let done = killed.call(
        &case.dpo,
        "POST",
        &approve,
        json!({"confirmation": confirmation}),
    );
    assert_eq!(done.status, 200, "{}", done.body);
}

#[test]
fn figures_follow_the_queue() {
    let case = Case::new();
    let swept = || {
        while case.bench.vault.sweep(Sweep::Due).expect("sweeps") {}
        case.bench.vault.figures().requests
    };
    assert_eq!(swept().next_due_days, None);
    let request = case.request(json!({"type": "erase"}));
    case.request(json!({"type": "access"}));
    let figures = swept();
    assert_eq!(figures.open.values().sum::<u64>(), 2);
    assert_eq!(
        (figures.overdue, figures.soon, figures.next_due_days),
        (0, 0, Some(31))
    );
    case.at("2027-02-10T12:00:00Z");
    assert_eq!(swept().soon, 2);
    case.at("2027-02-16T12:00:00Z");
    let figures = swept();
    assert_eq!(
        (figures.overdue, figures.soon, figures.next_due_days),
        (2, 0, Some(-1))
    );
    assert_eq!(
        case.step(&case.dpo, &request, "cancel", json!({})).status,
        200
    );
    assert_eq!(swept().overdue, 1);
}

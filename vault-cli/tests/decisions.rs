//! Reviews of decisions about people through the real program, and docs/operations.md, "Decisions about people", line by
//! line.
//!
//! Counts as failure: a review without reasons, by the key that took the decision, by nobody's key, or one that was not
//! confirmed; one whose reasons the person is not answered with; and words of anybody in an error.

mod support;

use serde_json::{Value, json};
use support::document::{commands_of, page, shell};
use support::seat::Seat;
use support::{Bench, CANARY, Dev, Outcome};
use vault_cli::http::Client;

const MORE: &str = r#"
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
purposes = ["support"]
may = ["subjects.create", "decisions.record", "decisions.review"]

[roles.human]
may = ["decisions.review"]
"#;

struct Case {
    bench: Bench,
    dev: Dev,
    machine: Client,
    subject: String,
    human: String,
}

impl Case {
    fn new() -> Self {
        let bench = Bench::new();
        let dev = Dev::start(&bench, MORE);
        let machine = Client::new(dev.url(), dev.secret("machine")).unwrap();
        let who = json!({"channel": "web", "user": "ann"});
        let made = machine.call("POST", "/v1/subjects", None, Some(&who));
        let subject = made.unwrap().body["subject"].as_str().unwrap().to_owned();
        bench.file("why", "the order was late, not the person\n", 0o600);
        bench.file("now", "the money goes back\n", 0o600);
        let human = dev.token(&bench, "human");
        Self {
            bench,
            dev,
            machine,
            subject,
            human,
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.machine.call("POST", path, None, Some(body)).unwrap();
        assert!(answer.status < 300, "{}", answer.body);
        answer.body
    }

    /// A refund that the machine has refused, and that the person contests with these words.
    fn contested(&self, view: &str) -> String {
        let path = format!("/v1/subjects/{}/decisions", self.subject);
        let made = self.post(&path, &json!({"kind": "refund", "outcome": "no refund"}));
        let decision = made["decision"].as_str().unwrap().to_owned();
        self.contest(&decision, view);
        decision
    }

    fn contest(&self, decision: &str, view: &str) {
        let path = format!("/v1/decisions/{decision}/contest");
        self.post(&path, &json!({"view": view, "language": "en"}));
    }

    fn through(&self, token: &str, args: &[&str]) -> Outcome {
        let all = ["--server", self.dev.url(), "--token-file", token, "--json"];
        self.bench.run(&[&all[..], &["decision"], args].concat())
    }

    fn on(&self, args: &[&str]) -> Outcome {
        self.through(&self.human, args)
    }

    fn state(&self, decision: &str) -> Value {
        self.on(&["show", decision]).json()["state"].clone()
    }
}

#[test]
fn a_human_sees_what_was_decided_and_upholds_changes_or_annuls_it_with_reasons() {
    let case = Case::new();
    let [one, two, three] =
        ["it was late", "I paid", "that is wrong"].map(|view| case.contested(view));
    let queue = |args: &[&str]| {
        let all = case.on(&[&["list"], args].concat()).json();
        let all = all["decisions"].as_array().unwrap().clone();
        all.iter()
            .map(|one| one["decision"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(queue(&[]).len(), 3);
    assert!(queue(&["--overdue"]).is_empty());
    assert_eq!(queue(&["--kind", "refund"]).len(), 3);
    assert!(queue(&["--kind", "credit"]).is_empty());
    let shown = case.on(&["show", &one]).json();
    assert_eq!(
        (&shown["outcome"], &shown["state"]),
        (&json!("no refund"), &json!("contested"))
    );
    assert_eq!(shown["history"][1]["words"], "it was late");

    let upheld = case
        .on(&["--yes", "uphold", &one, "--reasons-file", "why"])
        .json();
    assert_eq!(upheld["decision"]["state"], "upheld");
    let change = [
        "--yes",
        "change",
        &two,
        "--reasons-file",
        "why",
        "--outcome-file",
        "now",
    ];
    let changed = case.on(&change).json();
    assert_eq!(changed["decision"]["new_outcome"], "the money goes back");
    let annulled = case
        .on(&["--yes", "annul", &three, "--reasons-file", "why"])
        .json();
    assert_eq!(annulled["decision"]["state"], "annulled");
    assert!(queue(&[]).is_empty());
    assert_eq!(queue(&["--state", "annulled"]), [three]);
    // The reasons are the answer to the person.
    let history = annulled["decision"]["history"].as_array().unwrap();
    assert_eq!(
        history.last().unwrap()["words"],
        "the order was late, not the person"
    );
    // Nothing follows a review.
    case.on(&change).json_error(1, "conflict");
}

#[test]
fn nothing_is_reviewed_without_reasons_a_yes_or_a_key_that_may_and_no_words_stand_in_an_error() {
    let case = Case::new();
    let decision = case.contested(CANARY);
    let uphold = ["uphold", &decision, "--reasons-file", "why"];
    // Nobody says yes; somebody only looks.
    case.on(&uphold).json_error(2, "usage");
    let would = case.on(&[&["--dry-run"], &uphold[..]].concat()).json();
    assert_eq!(would["would"], "uphold");
    let begun = case.on(&["--dry-run", "show", &decision, "--begin"]).json();
    assert_eq!(begun["would_begin"], decision.as_str());
    assert_eq!(
        case.state(&decision),
        "contested",
        "nobody was shown it for a review"
    );
    let without = case.on(&["--yes", "uphold", &decision]);
    without.json_error(2, "usage");
    case.bench.file("empty", " \n", 0o600);
    let empty = case.on(&["--yes", "uphold", &decision, "--reasons-file", "empty"]);
    empty.json_error(2, "usage");
    let change = ["--yes", "change", &decision, "--reasons-file", "why"];
    case.on(&change).json_error(2, "usage");
    case.bench.file("long", &CANARY.repeat(2_000), 0o600);
    let long = case.on(&["--yes", "uphold", &decision, "--reasons-file", "long"]);
    assert!(!long.err.contains(CANARY), "{}", long.err);
    long.json_error(1, "too_large");
    for wrong in [
        &["uphold", &decision, "--reasons", CANARY][..],
        &["uphold", CANARY, "--reasons-file", "why"],
        &[
            "uphold",
            &decision,
            "--reasons-file",
            "why",
            "--review",
            CANARY,
        ],
        &["list", "--kind", CANARY],
        &["list", "--state", CANARY],
    ] {
        let refused = case.on(wrong);
        assert!(!refused.err.contains(CANARY), "{}", refused.err);
        refused.json_error(2, "usage");
    }
    // Four eyes: the key that took it may review others, and not this one.
    let machine = case.dev.token(&case.bench, "machine");
    let own = case.through(&machine, &[&["--yes"], &uphold[..]].concat());
    assert!(
        !own.err.contains(CANARY) && !own.err.contains("the order was late"),
        "{}",
        own.err
    );
    own.json_error(1, "conflict");
    let bot = case.dev.token(&case.bench, "bot");
    case.through(&bot, &["list"]).json_error(4, "role_denied");
    case.through(&bot, &[&["--yes"], &uphold[..]].concat())
        .json_error(4, "role_denied");
    let nobody = ["show", "dec_00000000000000000000000000"];
    case.on(&nobody).json_error(1, "not_found");
    // An unlock secret is no reviewer.
    let secret = case.dev.1["passphrase_file"].as_str().unwrap();
    let alone = [
        "--vault",
        "d",
        "--passphrase-file",
        secret,
        "--json",
        "decision",
        "list",
    ];
    case.bench.run(&alone).json_error(2, "usage");
    assert_eq!(case.state(&decision), "contested");
}

#[test]
fn what_was_shown_then_is_decided_unless_the_person_has_said_more() {
    let case = Case::new();
    let decision = case.contested("it was late");
    let begin = || {
        let begun = case.on(&["show", &decision, "--begin"]).json();
        assert_eq!(begun["decision"]["state"], "under_review");
        begun["review"].as_str().unwrap().to_owned()
    };
    let annul = |review: &str| {
        let args = [
            "--yes",
            "annul",
            &decision,
            "--reasons-file",
            "why",
            "--review",
            review,
        ];
        case.on(&args)
    };
    let first = begin();
    case.contest(&decision, "and it broke");
    annul(&first).json_error(1, "conflict");
    let second = begin();
    assert_eq!(annul(&second).json()["decision"]["state"], "annulled");
}

#[test]
fn a_directory_that_nobody_serves_is_asked_with_a_key_as_well() {
    let case = Case::new();
    let decision = case.contested("it was late");
    let Case {
        bench,
        mut dev,
        human,
        ..
    } = case;
    let secret = dev.1["passphrase_file"].as_str().unwrap().to_owned();
    dev.stop();
    let all = [
        "--vault",
        "d",
        "--passphrase-file",
        &secret,
        "--token-file",
        &human,
        "--json",
        "--yes",
        "decision",
    ];
    let on = |args: &[&str]| bench.run(&[&all[..], args].concat());
    let listed = on(&["list", "--kind", "refund"]).json();
    assert_eq!(listed["decisions"][0]["decision"], decision.as_str());
    on(&["annul", &decision, "--reasons-file", "why"]).json();
    assert_eq!(on(&["show", &decision]).json()["state"], "annulled");
}

#[test]
fn a_reviewer_at_a_terminal_is_told_what_it_is_about_and_asked() {
    let case = Case::new();
    let decision = case.contested("it was\u{1b}[2J late");
    let all = ["--server", case.dev.url(), "--token-file", &case.human];
    let uphold = ["decision", "uphold", &decision, "--reasons-file", "why"];
    let asked = |answer: &str| {
        let mut seat = Seat::take(&case.bench, 200, &[&all[..], &uphold].concat());
        seat.see("uphold dec_")
            .see("it came to \"no refund\"")
            .see("late\". Nothing follows a review.")
            .see("[y/N]")
            .send(answer);
        seat.end()
    };
    let (code, shown) = asked("n\n");
    assert!(code == 1 && shown.contains("not confirmed"), "{shown}");
    assert!(shown.contains("its review is begun"), "{shown}");
    assert!(!shown.contains("\u{1b}[2J"), "{shown}");
    assert_eq!(case.state(&decision), "under_review");
    let (code, shown) = asked("y\n");
    assert!(code == 0 && shown.contains("upheld"), "{shown}");
    assert_eq!(case.state(&decision), "upheld");
}

/// A reviewer decides about what stands there: nothing of it is left out where there is little room.
#[test]
fn a_narrow_terminal_shows_the_whole_of_what_is_to_be_decided() {
    let case = Case::new();
    let view =
        "it came late because the parcel was sent to the wrong town and lay there for nine days";
    let decision = case.contested(view);
    let show = [
        "--server",
        case.dev.url(),
        "--token-file",
        &case.human,
        "decision",
        "show",
        &decision,
    ];
    let (code, shown) = Seat::take(&case.bench, 80, &show).end();
    assert_eq!(code, 0, "{shown}");
    // Of what was decided and of what the person says no word is left out, wherever lines end.
    let words = view.split(' ').chain(["refund"]);
    let missing: Vec<&str> = words.filter(|word| !shown.contains(word)).collect();
    assert!(missing.is_empty(), "{missing:?}: {shown}");
}

/// What a terminal is shown has nothing in it that moves its cursor.
#[test]
fn people_read_what_was_decided_and_what_the_person_says() {
    let case = Case::new();
    let decision = case.contested("it was\u{1b}[2J late");
    let all = [
        "--server",
        case.dev.url(),
        "--token-file",
        &case.human,
        "decision",
    ];
    let on = |args: &[&str]| case.bench.run(&[&all[..], args].concat());
    let shown = on(&["show", &decision, "--begin"]);
    for words in [
        "no refund",
        "late",
        "How old the order is.",
        "profile.slots",
        "review, until",
        "rvw_",
    ] {
        assert!(
            shown.out.contains(words),
            "{words}: {}{}",
            shown.out,
            shown.err
        );
    }
    let would = on(&["--dry-run", "annul", &decision, "--reasons-file", "why"]);
    assert!(
        would
            .out
            .contains("it came to \"no refund\", and the person says"),
        "{}",
        would.out
    );
    for said in [&shown.out, &would.out, &on(&["list"]).out] {
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    assert!(
        on(&["list", "--kind", "credit"])
            .out
            .contains("nobody waits")
    );
}

#[test]
fn the_commands_of_the_guide_work_as_they_are_written() {
    let case = Case::new();
    let bench = &case.bench;
    std::fs::copy(&case.human, bench.path("reviewer.token")).unwrap();
    for (name, text) in [("why.txt", "it was late"), ("now.txt", "a refund")] {
        bench.file(name, text, 0o600);
    }
    let lines: Vec<_> = commands_of(&page(), "Decisions about people")
        .into_iter()
        .filter(|line| line.starts_with("vault-cli "))
        .collect();
    assert!(lines.len() >= 4, "{lines:?}");
    for line in lines {
        let decision = case.contested("I paid");
        let line = line.replace("/srv/vault", "d").replace("dec_…", &decision);
        let outcome = shell(
            bench.root.path(),
            &line.replace(" decision ", " --yes decision "),
        );
        assert_eq!(outcome.code, 0, "{line}: {}{}", outcome.out, outcome.err);
    }
}

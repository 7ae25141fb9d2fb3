//! Decisions about people: which may be recorded, who reviews them and how, and that they go with the person.
//!
//! A review that nobody reads, by whoever took the decision, or without reasons, is what these try to get.

use std::collections::BTreeMap;

use super::copies::Scene;
use super::*;
use crate::backup::write::Parts;
use crate::commit::View as _;
use crate::consent::{ConsentDetails, ConsentKind};
use crate::keys::system::DECISION_FIELD;
use crate::limits::{DECISIONS_PER_PERSON_MAX, REVIEW_SECONDS};
use crate::person::Person;
use crate::policy::{Automation, DecisionBasis, HoldGround, RestrictionGround};
use crate::request::{RequestKind, RequestState};
use crate::store::{Direction, KeyRange, Table};
use crate::vault::{
    DecisionFilter, DecisionInput, DecisionState, DecisionStep, DecisionView, DecisionWord,
    HoldInput, Onwards, Outcome, RequestInput, RequestStep, RequestView, RestrictionInput,
};

const MORE: &str = r#"
[purposes.scoring]
title.en = "Scoring"
title.de = "Bewerten"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[collections.file]
kind = "single"
[collections.file.fields]
illness = { type = "text", purposes = ["scoring"], special = "health", art9 = "explicit consent" }
injury = { type = "text", purposes = ["support"], special = "health", art9 = "9(2)(f): legal claims" }
vaccine = { type = "text", purposes = ["support"], special = "health", art9 = "9(2)(g): an act" }
record = { type = "text", purposes = ["support"], special = "criminal_offences", art9 = "an act" }

[decisions.refund]
title.en = "Refunds"
title.de = "Erstattungen"
significant = true
automation = "full"
art22_basis = "contract"
purpose = "support"
inputs = ["profile.slots", "messages.text"]
logic.en = "The age of the order and how often you sent something back."
logic.de = "Das Alter der Bestellung und wie oft Sie etwas zurückgeschickt haben."
consequences.en = "You get your money back, or not."
consequences.de = "Sie bekommen Ihr Geld zurück oder nicht."
review_within = "P7D"

[decisions.ban]
title.en = "Whether you may write"
title.de = "Ob Sie schreiben dürfen"
significant = true
automation = "full"
art22_basis = "law"
law = "§ 5 of an act"
inputs = ["messages.text"]
logic.en = "How often you are reported."
logic.de = "Wie oft Sie gemeldet werden."
consequences.en = "You cannot write."
consequences.de = "Sie können nicht schreiben."

[decisions.triage]
title.en = "Who is called first"
title.de = "Wer zuerst angerufen wird"
significant = true
automation = "full"
art22_basis = "law"
law = "an act"
inputs = ["profile.slots", "file.injury"]
logic.en = "What happened."
logic.de = "Was geschehen ist."
consequences.en = "You are called later."
consequences.de = "Sie werden später angerufen."

[roles.deciding]
purposes = ["support", "scoring"]
may = ["decisions.record", "consents.record"]

[roles.talking]
may = ["requests.create"]

[roles.reviewing]
may = ["decisions.review"]

[roles.both]
may = ["decisions.record", "decisions.review"]

[roles.officer]
read = { "*" = "full" }
may = ["requests.decide", "subjects.erase", "subjects.export", "holds.manage", "restrictions.set", "decisions.review"]
"#;
const DAY: i64 = 24 * HOUR;

fn refund() -> DecisionInput {
    DecisionInput {
        kind: "refund".into(),
        model_version: Some("rules-7".into()),
        inputs: vec!["profile.slots".into()],
        outcome: "canary: no refund".into(),
        ..DecisionInput::default()
    }
}

fn both(text: &str) -> BTreeMap<String, String> {
    ["en", "de"]
        .map(|tag| (tag.to_owned(), text.to_owned()))
        .into()
}

/// One that the policy says nothing of.
fn credit() -> DecisionInput {
    DecisionInput {
        kind: "credit".into(),
        inputs: vec!["profile.slots".into()],
        outcome: "canary: no credit".into(),
        significant: Some(true),
        automation: Some(Automation::Full),
        basis: Some(DecisionBasis::Contract),
        logic: both("a score"),
        consequences: both("no credit"),
        ..DecisionInput::default()
    }
}

struct Case {
    scene: Scene,
    bot: Principal,
    talker: Principal,
    reviewer: Principal,
    officer: Principal,
}

impl Case {
    fn new(people: usize) -> Self {
        let scene = Scene::new(people);
        let keyholder = scene.bench.vault.keyholder();
        let policy = format!("{}{MORE}", crate::policy::SAMPLE);
        scene
            .bench
            .vault
            .apply_policy(&call(&keyholder, None), &policy, false)
            .unwrap();
        Self {
            bot: scene.bench.role("deciding"),
            talker: scene.bench.role("talking"),
            reviewer: scene.bench.role("reviewing"),
            officer: scene.bench.role("officer"),
            scene,
        }
    }

    fn vault(&self) -> &Arc<Vault> {
        &self.scene.bench.vault
    }

    fn ann(&self) -> SubjectId {
        self.scene.people[0]
    }

    fn records(&self, input: DecisionInput) -> Result<DecisionView, Refusal> {
        let call = call(&self.bot, None);
        self.vault().record_decision(&call, self.ann(), input)
    }

    /// Pointers and codes of what is wrong with it.
    #[track_caller]
    fn faults(&self, input: DecisionInput) -> Vec<(String, &'static str)> {
        match self.records(input) {
            Err(Refusal::Invalid(errors)) => {
                let errors = errors.into_iter();
                errors.map(|one| (one.pointer, one.code)).collect()
            }
            other => panic!("not invalid: {other:?}"),
        }
    }

    fn step(
        &self,
        by: &Principal,
        decision: DecisionId,
        step: DecisionStep,
    ) -> Result<DecisionView, Refusal> {
        let stepped = self.vault().step_decision(&call(by, None), decision, step);
        stepped.map(|stepped| stepped.view)
    }

    fn contests(&self, decision: DecisionId, view: Option<&str>) -> DecisionView {
        let step = DecisionStep::Contest {
            view: view.map(str::to_owned),
            language: None,
        };
        self.step(&self.talker, decision, step).unwrap()
    }

    fn begins(&self, by: &Principal, decision: DecisionId) -> String {
        let begun = DecisionStep::Begin;
        let stepped = self.vault().step_decision(&call(by, None), decision, begun);
        stepped.unwrap().review.unwrap().0
    }

    fn decides(
        &self,
        by: &Principal,
        decision: DecisionId,
        (review, outcome, new): (&str, Outcome, Option<&str>),
    ) -> Result<DecisionView, Refusal> {
        let step = DecisionStep::Decide {
            review: review.to_owned(),
            outcome,
            new_outcome: new.map(str::to_owned),
            reasons: "canary: it arrived broken".into(),
        };
        self.step(by, decision, step)
    }

    fn request(&self, id: RequestId) -> RequestView {
        let call = call(&self.officer, None);
        self.vault().read_request(&call, id).unwrap()
    }

    fn consents(&self, given: bool, kind: ConsentKind) {
        let consent = ConsentInput {
            given,
            notice: json!("n1"),
            details: ConsentDetails {
                kind,
                ..ConsentDetails::default()
            },
            ..ConsentInput::default()
        };
        let call = call(&self.bot, None);
        self.vault()
            .put_consent(&call, self.ann(), "scoring", consent)
            .unwrap();
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(refusal) => refusal.code(),
    }
}

#[test]
fn article_22_a_significant_decision_by_a_machine_alone_has_its_basis_or_is_not_recorded() {
    let case = Case::new(1);
    let view = case.records(credit()).unwrap();
    assert_eq!(
        (view.state, view.basis),
        (DecisionState::Effective, Some(DecisionBasis::Contract))
    );
    let one = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    let without = DecisionInput {
        basis: None,
        ..credit()
    };
    assert_eq!(
        case.faults(without.clone()),
        one("/art22_basis", "no_art22_basis")
    );
    // The same by a human, or of no weight, needs none.
    for near in [
        DecisionInput {
            automation: Some(Automation::Assisted),
            ..without.clone()
        },
        DecisionInput {
            significant: Some(false),
            ..without.clone()
        },
    ] {
        assert_eq!(code(case.records(near)), "ok");
    }
    let law = DecisionInput {
        basis: Some(DecisionBasis::Law),
        ..credit()
    };
    assert_eq!(case.faults(law.clone()), one("/law", "required"));
    let named = DecisionInput {
        law: Some("§ 31 of an act".into()),
        ..law
    };
    assert_eq!(code(case.records(named)), "ok");
    let contract = DecisionInput {
        purpose: Some("newsletter".into()),
        ..credit()
    };
    assert_eq!(case.faults(contract), one("/purpose", "no_contract"));
    // What people are told of it, in each language of the controller.
    let untold = DecisionInput {
        logic: [("en".to_owned(), "a score".to_owned())].into(),
        consequences: BTreeMap::new(),
        ..credit()
    };
    let expected = [("/logic", "no_logic"), ("/consequences", "no_consequences")];
    let expected = expected.map(|(pointer, code)| (pointer.to_owned(), code));
    assert_eq!(case.faults(untold), expected);
    // A kind that nobody says anything of has to be described.
    let bare = DecisionInput {
        kind: "credit".into(),
        outcome: "no".into(),
        ..DecisionInput::default()
    };
    let expected = [("/significant", "required"), ("/automation", "required")];
    let expected = expected.map(|(pointer, code)| (pointer.to_owned(), code));
    assert_eq!(case.faults(bare), expected);
}

#[test]
fn article_22_explicit_consent_stands_when_the_decision_is_taken_or_it_is_refused() {
    let case = Case::new(1);
    let by_consent = || DecisionInput {
        basis: Some(DecisionBasis::ExplicitConsent),
        purpose: Some("scoring".into()),
        ..credit()
    };
    let refused = vec![("/purpose".to_owned(), "no_explicit_consent")];
    assert_eq!(case.faults(by_consent()), refused);
    case.consents(true, ConsentKind::Regular);
    assert_eq!(case.faults(by_consent()), refused);
    case.consents(true, ConsentKind::Explicit);
    assert_eq!(code(case.records(by_consent())), "ok");
    case.consents(false, ConsentKind::Explicit);
    assert_eq!(case.faults(by_consent()), refused);
    let of_nothing = DecisionInput {
        purpose: None,
        ..by_consent()
    };
    assert_eq!(
        case.faults(of_nothing),
        [("/purpose".to_owned(), "required")]
    );
}

#[test]
fn article_22_special_data_go_into_no_such_decision_but_by_two_conditions() {
    let case = Case::new(1);
    let from = |field: &str, purpose: &str| DecisionInput {
        inputs: vec!["profile.slots".into(), field.to_owned()],
        basis: Some(DecisionBasis::Law),
        law: Some("an act".into()),
        purpose: Some(purpose.into()),
        ..credit()
    };
    let refused = vec![("/inputs/1".to_owned(), "special_data")];
    assert_eq!(case.faults(from("file.illness", "scoring")), refused);
    assert_eq!(case.faults(from("file.injury", "support")), refused);
    assert_eq!(code(case.records(from("file.vaccine", "support"))), "ok");
    // Art. 22(4) is about Art. 9; what Art. 10 demands is the policy's to say.
    assert_eq!(code(case.records(from("file.record", "support"))), "ok");
    case.consents(true, ConsentKind::Explicit);
    assert_eq!(code(case.records(from("file.illness", "scoring"))), "ok");
    // Consent to another purpose than the field is for is none for it.
    assert_eq!(case.faults(from("file.illness", "support")), refused);
    // A human may look at all of it.
    let human = DecisionInput {
        automation: Some(Automation::Human),
        ..from("file.injury", "support")
    };
    assert_eq!(code(case.records(human)), "ok");
}

#[test]
fn what_the_policy_says_of_a_kind_holds_for_every_record_of_it() {
    let case = Case::new(1);
    let view = case.records(refund()).unwrap();
    assert!(view.significant && view.automation == Automation::Full);
    assert_eq!(view.basis, Some(DecisionBasis::Contract));
    assert_eq!(view.purpose.as_deref(), Some("support"));
    assert_eq!(view.inputs, ["profile.slots"]);
    assert!(view.logic["en"].contains("age of the order"));
    let contradicts = |pointer: &str| vec![(pointer.to_owned(), "contradicts_policy")];
    for (input, pointer) in [
        (
            DecisionInput {
                significant: Some(false),
                ..refund()
            },
            "/significant",
        ),
        (
            DecisionInput {
                basis: Some(DecisionBasis::Law),
                ..refund()
            },
            "/art22_basis",
        ),
        (
            DecisionInput {
                purpose: Some("newsletter".into()),
                ..refund()
            },
            "/purpose",
        ),
    ] {
        assert_eq!(case.faults(input), contradicts(pointer));
    }
    let more = DecisionInput {
        inputs: vec!["profile.name".into()],
        ..refund()
    };
    assert_eq!(
        case.faults(more),
        [("/inputs/0".to_owned(), "not_declared")]
    );
    let unknown = DecisionInput {
        inputs: vec!["profile.shoe".into()],
        ..refund()
    };
    assert_eq!(
        case.faults(unknown),
        [("/inputs/0".to_owned(), "unknown_field")]
    );
    // A human may decide what a machine could have; that one looked on is no way past Art. 22.
    let by = |automation| DecisionInput {
        automation: Some(automation),
        ..refund()
    };
    assert_eq!(code(case.records(by(Automation::Human))), "ok");
    let assisted = case.faults(by(Automation::Assisted));
    assert_eq!(assisted, contradicts("/automation"));
    // The law is the policy's word; of the logic, a record may say more than of its kind is said.
    let ban = |change: DecisionInput| DecisionInput {
        kind: "ban".into(),
        outcome: "canary: banned".into(),
        ..change
    };
    let law = |text: &str| {
        ban(DecisionInput {
            law: Some(text.into()),
            ..DecisionInput::default()
        })
    };
    assert_eq!(case.faults(law("another act")), contradicts("/law"));
    assert_eq!(code(case.records(law("§ 5 of an act"))), "ok");
    let view = case.records(ban(DecisionInput {
        logic: both("five reports in an hour"),
        ..DecisionInput::default()
    }));
    let view = view.unwrap();
    assert_eq!(view.logic, both("five reports in an hour"));
    assert_eq!(view.consequences["en"], "You cannot write.");
    assert_eq!(view.law.as_deref(), Some("§ 5 of an act"));
}

#[test]
fn article_22_4_leaving_out_what_went_into_a_decision_gets_past_nothing() {
    let case = Case::new(1);
    // The policy's own fields stand where the call names none, so that what is special in them counts.
    let view = case.records(DecisionInput {
        inputs: Vec::new(),
        ..refund()
    });
    assert_eq!(view.unwrap().inputs, ["profile.slots", "messages.text"]);
    let triage = |inputs: &[&str]| DecisionInput {
        kind: "triage".into(),
        outcome: "canary: later".into(),
        inputs: inputs.iter().map(|path| (*path).to_owned()).collect(),
        ..DecisionInput::default()
    };
    let at = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    let special = case.faults(triage(&[]));
    assert_eq!(special, at("/inputs", "special_data"));
    assert_eq!(
        case.faults(triage(&["file.injury"])),
        at("/inputs/0", "special_data")
    );
    // One that is said to be made from the harmless part alone is recorded as that.
    assert_eq!(code(case.records(triage(&["profile.slots"]))), "ok");
    // Where nobody says from what, it is to be said; a decision that Art. 22 does not forbid may be silent.
    let silent = DecisionInput {
        inputs: Vec::new(),
        ..credit()
    };
    assert_eq!(case.faults(silent.clone()), at("/inputs", "required"));
    for near in [
        DecisionInput {
            automation: Some(Automation::Human),
            ..silent.clone()
        },
        DecisionInput {
            significant: Some(false),
            ..silent
        },
    ] {
        assert_eq!(code(case.records(near)), "ok");
    }
    // What is only to be stored is not got past either.
    let restriction = RestrictionInput {
        ground: RestrictionGround::Accuracy,
        collections: vec!["messages".into()],
        reason: None,
    };
    case.vault()
        .put_restriction(&call(&case.officer, None), case.ann(), restriction)
        .unwrap();
    let silent = DecisionInput {
        inputs: Vec::new(),
        ..refund()
    };
    assert_eq!(code(case.records(silent)), "restricted");
    assert_eq!(code(case.records(refund())), "ok");
}

#[test]
fn article_22_a_review_that_is_begun_anew_counts_from_its_own_begin() {
    let case = Case::new(1);
    let decision = case.records(refund()).unwrap().decision;
    case.contests(decision, Some("canary: it was broken"));
    case.begins(&case.officer, decision);
    // An hour later another begins, and upholds it within five seconds of reading.
    case.scene.bench.clock.advance(HOUR);
    let review = case.begins(&case.reviewer, decision);
    case.scene.bench.clock.advance(5_000);
    let given = (&*review, Outcome::Upheld, None);
    case.decides(&case.reviewer, decision, given).unwrap();
    let figures = case
        .vault()
        .decision_figures(&call(&case.reviewer, None))
        .unwrap();
    assert_eq!(figures["refund"].review_seconds, Some(5));
}

#[test]
fn what_is_only_to_be_stored_goes_into_no_decision() {
    let case = Case::new(1);
    let officer = call(&case.officer, None);
    let restriction = RestrictionInput {
        ground: RestrictionGround::Accuracy,
        collections: vec!["profile".into()],
        reason: None,
    };
    case.vault()
        .put_restriction(&officer, case.ann(), restriction)
        .unwrap();
    assert_eq!(code(case.records(refund())), "restricted");
    let other = DecisionInput {
        inputs: vec!["messages.text".into()],
        ..refund()
    };
    assert_eq!(code(case.records(other)), "ok");
}

#[test]
fn article_22_a_human_who_did_not_decide_reads_what_the_person_says_and_answers_them() {
    let case = Case::new(1);
    let decision = case.records(refund()).unwrap().decision;
    let contested = case.contests(decision, Some("canary: it arrived broken"));
    assert_eq!(contested.state, DecisionState::Contested);
    let request = contested.request.unwrap();
    let asked = case.request(request);
    assert_eq!(
        (asked.kind, asked.decision),
        (RequestKind::HumanReview, Some(decision))
    );
    assert_eq!(asked.state, RequestState::Verified);
    // The policy wants a review within a week, and the law an answer within a month.
    assert!(contested.due.unwrap() < asked.due);
    // Nothing was shown yet.
    let upheld = ("rvw_", Outcome::Upheld, None);
    assert_eq!(
        code(case.decides(&case.reviewer, decision, upheld)),
        "conflict"
    );
    let review = case.begins(&case.reviewer, decision);
    // What was shown to one is not another's to decide on.
    let upheld = (&*review, Outcome::Upheld, None);
    assert_eq!(
        code(case.decides(&case.officer, decision, upheld)),
        "conflict"
    );
    // What the person adds has to be read.
    case.contests(decision, Some("canary: there are photographs"));
    assert_eq!(
        code(case.decides(&case.reviewer, decision, upheld)),
        "conflict"
    );
    let review = case.begins(&case.reviewer, decision);
    case.scene.bench.clock.advance((REVIEW_SECONDS + 1) * 1000);
    let late = (&*review, Outcome::Upheld, None);
    assert_eq!(
        code(case.decides(&case.reviewer, decision, late)),
        "conflict"
    );
    let review = case.begins(&case.reviewer, decision);
    case.scene.bench.clock.advance(60_000);
    // An outcome that is another has to be said, and one that is the same has none.
    let changed = (&*review, Outcome::Changed, None);
    assert_eq!(
        code(case.decides(&case.reviewer, decision, changed)),
        "invalid"
    );
    let upheld = (&*review, Outcome::Upheld, Some("half"));
    assert_eq!(
        code(case.decides(&case.reviewer, decision, upheld)),
        "invalid"
    );
    let silent = DecisionStep::Decide {
        review: review.clone(),
        outcome: Outcome::Upheld,
        new_outcome: None,
        reasons: "  ".into(),
    };
    assert_eq!(code(case.step(&case.reviewer, decision, silent)), "invalid");
    // The request is not approved past the review.
    let approve = RequestStep::Approve {
        confirmation: None,
        correction: None,
        answer: Some("we looked".into()),
    };
    let officer = call(&case.officer, None);
    let past = case.vault().step_request(&officer, request, approve);
    assert_eq!(code(past), "conflict");
    let changed = (&*review, Outcome::Changed, Some("canary: half of it"));
    let view = case.decides(&case.reviewer, decision, changed).unwrap();
    assert_eq!(view.state, DecisionState::Changed);
    assert_eq!(view.new_outcome.as_deref(), Some("canary: half of it"));
    assert_eq!(view.outcome.as_deref(), Some("canary: no refund"));
    let words: Vec<DecisionWord> = view.history.iter().map(|step| step.step).collect();
    use DecisionWord::{Contested, Recorded, ReviewBegun, Reviewed};
    let expected = [
        Recorded,
        Contested,
        ReviewBegun,
        Contested,
        ReviewBegun,
        ReviewBegun,
        Reviewed,
    ];
    assert_eq!(words, expected);
    // The outcome reaches the person.
    let answered = case.request(request);
    assert_eq!(answered.state, RequestState::Fulfilled);
    let last = answered.history.last().unwrap().words.clone().unwrap();
    assert!(last.contains("half of it") && last.contains("arrived broken"));
    // Nothing follows.
    let again = (&*review, Outcome::Upheld, None);
    assert_eq!(
        code(case.decides(&case.reviewer, decision, again)),
        "conflict"
    );
    let contest = DecisionStep::Contest {
        view: Some("still".into()),
        language: None,
    };
    assert_eq!(code(case.step(&case.talker, decision, contest)), "conflict");
    let figures = case.vault().decision_figures(&officer).unwrap();
    let refunds = &figures["refund"];
    assert_eq!(
        (refunds.recorded, refunds.contested, refunds.changed),
        (1, 1, 1)
    );
    assert_eq!(refunds.overturned, Some(1.0));
    // From the last time that it was shown, a day after the first.
    assert_eq!(refunds.review_seconds, Some(60));
}

#[test]
fn article_22_who_recorded_a_decision_does_not_review_it() {
    let case = Case::new(1);
    let (one, other) = (case.scene.bench.role("both"), case.scene.bench.role("both"));
    let by_one = call(&one, None);
    let view = case.vault().record_decision(&by_one, case.ann(), refund());
    let decision = view.unwrap().decision;
    case.contests(decision, None);
    assert_eq!(
        code(case.step(&one, decision, DecisionStep::Begin)),
        "conflict"
    );
    // Another key of the same role does.
    let review = case.begins(&other, decision);
    let mine = (&*review, Outcome::Upheld, None);
    assert_eq!(code(case.decides(&one, decision, mine)), "conflict");
    let upheld = case.decides(&other, decision, (&review, Outcome::Upheld, None));
    assert_eq!(upheld.unwrap().state, DecisionState::Upheld);
    // Nor does who lacks the capability.
    let next = case.records(refund()).unwrap().decision;
    case.contests(next, None);
    for by in [&case.bot, &case.talker] {
        assert_eq!(
            code(case.step(by, next, DecisionStep::Begin)),
            "role_denied"
        );
    }
}

#[test]
fn a_proposal_takes_effect_once_and_is_contested_only_then() {
    let case = Case::new(1);
    let proposed = DecisionInput {
        proposed: true,
        ..refund()
    };
    let view = case.records(proposed).unwrap();
    assert_eq!(view.state, DecisionState::Proposed);
    let contest = || DecisionStep::Contest {
        view: None,
        language: None,
    };
    assert_eq!(
        code(case.step(&case.talker, view.decision, contest())),
        "conflict"
    );
    assert_eq!(
        case.vault()
            .list_requests(&call(&case.officer, None), case.ann())
            .unwrap()
            .len(),
        0,
        "a request was taken down for nothing"
    );
    let effect = || DecisionStep::TakeEffect;
    assert_eq!(
        code(case.step(&case.reviewer, view.decision, effect())),
        "role_denied"
    );
    let stands = case.step(&case.bot, view.decision, effect()).unwrap();
    assert_eq!(stands.state, DecisionState::Effective);
    assert_eq!(
        code(case.step(&case.bot, view.decision, effect())),
        "conflict"
    );
    assert_eq!(
        code(case.step(&case.talker, view.decision, contest())),
        "ok"
    );
}

fn asks(case: &Case, subject: SubjectId, decision: DecisionId) -> Result<RequestView, Refusal> {
    let input = RequestInput {
        kind: RequestKind::HumanReview,
        details: Some("canary: a human, please".into()),
        language: None,
        received_at: None,
        purpose: None,
        ground: None,
        collections: Vec::new(),
        decision: Some(decision),
    };
    let call = call(&case.talker, None);
    case.vault().create_request(&call, subject, input)
}

#[test]
fn a_request_for_a_human_contests_the_decision_and_takes_that_back_with_it() {
    let case = Case::new(2);
    let decision = case.records(refund()).unwrap().decision;
    let read = || {
        let call = call(&case.reviewer, None);
        case.vault().read_decision(&call, decision).unwrap()
    };
    // It is nobody else's to contest.
    assert_eq!(
        code(asks(&case, case.scene.people[1], decision)),
        "not_found"
    );
    let request = asks(&case, case.ann(), decision).unwrap();
    let view = read();
    assert_eq!(
        (view.state, view.request),
        (DecisionState::Contested, Some(request.request))
    );
    let said = view.history.last().unwrap().words.clone();
    assert_eq!(said.as_deref(), Some("canary: a human, please"));
    // Once is enough.
    assert_eq!(code(asks(&case, case.ann(), decision)), "conflict");
    let officer = call(&case.officer, None);
    let cancel = RequestStep::Cancel { reason: None };
    case.vault()
        .step_request(&officer, request.request, cancel)
        .unwrap();
    let view = read();
    assert_eq!(view.state, DecisionState::Effective);
    assert!(view.due.is_none());
    // And may be asked for again.
    let again = asks(&case, case.ann(), decision).unwrap();
    assert_eq!(read().request, Some(again.request));
    let refuse = RequestStep::Refuse {
        code: crate::request::Exemption::ManifestlyUnfounded,
        law: "Art. 12(5) GDPR".into(),
        approver: "dpo".into(),
        reason: "for the third time".into(),
    };
    case.vault()
        .step_request(&officer, again.request, refuse)
        .unwrap();
    assert_eq!(read().state, DecisionState::Effective);
}

#[test]
fn the_queue_has_what_is_open_those_first_that_are_due_first_and_no_value() {
    let case = Case::new(1);
    let later = case.records(credit()).unwrap().decision;
    let sooner = case.records(refund()).unwrap().decision;
    let never = case.records(refund()).unwrap().decision;
    case.contests(later, None);
    case.contests(sooner, None);
    let reviewer = call(&case.reviewer, None);
    let queue = |filter: &DecisionFilter, cursor: Option<&str>| {
        case.vault()
            .queue_decisions(&reviewer, filter, 1, cursor)
            .unwrap()
    };
    let open = DecisionFilter::default();
    let first = queue(&open, None);
    assert_eq!(first.decisions[0].decision, sooner);
    let second = queue(&open, first.next.as_deref());
    assert_eq!(second.decisions[0].decision, later);
    assert!(second.next.is_none());
    assert!(!format!("{first:?}{second:?}").contains("canary"));
    let effective = DecisionFilter {
        state: Some(DecisionState::Effective),
        ..DecisionFilter::default()
    };
    assert_eq!(queue(&effective, None).decisions[0].decision, never);
    let overdue = DecisionFilter {
        overdue: true,
        ..DecisionFilter::default()
    };
    assert!(queue(&overdue, None).decisions.is_empty());
    let watched = || {
        case.vault().watch_decisions().unwrap();
        case.vault().figures().decisions
    };
    assert_eq!((watched().open, watched().overdue), (2, 0));
    case.scene.bench.clock.advance(12 * DAY);
    assert_eq!(queue(&overdue, None).decisions.len(), 1);
    assert_eq!((watched().open, watched().overdue), (2, 1));
    for by in [&case.bot, &case.talker] {
        let refused = case
            .vault()
            .queue_decisions(&call(by, None), &open, 1, None);
        assert_eq!(code(refused), "role_denied");
    }
}

fn rows(vault: &Vault) -> usize {
    let snapshot = vault.snapshot().unwrap();
    let (table, range) = (Table::Decisions, KeyRange::all());
    let keys = snapshot
        .tx()
        .keys(table, &range, Direction::Ascending, usize::MAX);
    keys.unwrap().len()
}

#[test]
fn an_erasure_takes_all_of_it_and_the_way_to_it() {
    let case = Case::new(2);
    let decision = case.records(refund()).unwrap().decision;
    case.contests(decision, Some("canary"));
    assert_eq!(rows(case.vault()), 1);
    let officer = call(&case.officer, None);
    let reviewer = call(&case.reviewer, None);
    assert_eq!(code(case.vault().read_decision(&reviewer, decision)), "ok");
    case.vault().erase_subject(&officer, case.ann()).unwrap();
    assert_eq!(rows(case.vault()), 0);
    assert_eq!(
        code(case.vault().read_decision(&reviewer, decision)),
        "not_found"
    );
    assert!(case.vault().decision_figures(&officer).unwrap().is_empty());
    case.vault().rebuild_index().unwrap();
    assert_eq!(
        code(case.vault().read_decision(&reviewer, decision)),
        "not_found"
    );
}

#[test]
fn of_whom_a_hold_keeps_something_stays_that_there_was_a_decision_and_no_word_of_it() {
    let case = Case::new(1);
    let decision = case.records(refund()).unwrap().decision;
    case.contests(decision, Some("canary: broken"));
    let officer = call(&case.officer, None);
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["messages".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2035, 1, 1),
    };
    case.vault().put_hold(&officer, case.ann(), hold).unwrap();
    case.vault().erase_subject(&officer, case.ann()).unwrap();
    let reviewer = call(&case.reviewer, None);
    let view = case.vault().read_decision(&reviewer, decision).unwrap();
    assert_eq!(
        (view.state, view.kind.as_str()),
        (DecisionState::Contested, "refund")
    );
    assert_eq!((view.outcome, view.new_outcome), (None, None));
    assert!(view.logic.is_empty() && view.consequences.is_empty());
    assert!(view.history.iter().all(|step| step.words.is_none()));
    // Nobody decides about somebody who is gone.
    assert_eq!(
        code(case.step(&case.reviewer, decision, DecisionStep::Begin)),
        "held"
    );
}

#[test]
fn new_keys_of_every_kind_leave_a_decision_where_it_was() {
    let case = Case::new(1);
    let decision = case.records(refund()).unwrap().decision;
    case.contests(decision, Some("canary"));
    let keyholder = case.vault().keyholder();
    let by_keyholder = call(&keyholder, None);
    case.vault().begin_rotation(&by_keyholder, true).unwrap();
    case.vault().rotate_on(&mut |_| Onwards::Yes).unwrap();
    let person = Person::find(&case.vault().snapshot().unwrap(), case.ann()).unwrap();
    let lookups = person.keyset.lookups.iter();
    assert_eq!(lookups.filter(|one| one.field == DECISION_FIELD).count(), 1);
    let view = case
        .vault()
        .read_decision(&call(&case.reviewer, None), decision);
    assert_eq!(view.unwrap().outcome.as_deref(), Some("canary: no refund"));
    // And it goes on.
    let review = case.begins(&case.reviewer, decision);
    let annulled = case.decides(&case.reviewer, decision, (&review, Outcome::Annulled, None));
    assert_eq!(annulled.unwrap().state, DecisionState::Annulled);
}

#[test]
fn a_backup_brings_a_decision_back_with_all_of_it() {
    let case = Case::new(1);
    let decision = case.records(refund()).unwrap().decision;
    case.contests(decision, Some("canary: broken"));
    case.scene.back_up(Parts::Both).unwrap();
    let (_, vault, _locked) = case.scene.restore("restored");
    let keyholder = vault.keyholder();
    let made = vault.create_token(&call(&keyholder, None), "reviewing", None);
    let reviewer = vault.authenticate(&made.unwrap().1).unwrap();
    let view = vault
        .read_decision(&call(&reviewer, None), decision)
        .unwrap();
    assert_eq!(view.state, DecisionState::Contested);
    let said = view.history.last().unwrap().words.clone();
    assert_eq!(said.as_deref(), Some("canary: broken"));
    let open = DecisionFilter::default();
    let page = vault.queue_decisions(&call(&reviewer, None), &open, 10, None);
    assert_eq!(page.unwrap().decisions.len(), 1);
}

#[test]
fn a_person_has_room_for_so_many_decisions_and_a_review_of_each_still_ends() {
    let case = Case::new(1);
    let mut last = None;
    for _ in 0..DECISIONS_PER_PERSON_MAX {
        last = Some(case.records(refund()).unwrap().decision);
    }
    assert_eq!(code(case.records(refund())), "too_large");
    let last = last.unwrap();
    case.contests(last, None);
    let review = case.begins(&case.reviewer, last);
    let upheld = case.decides(&case.reviewer, last, (&review, Outcome::Upheld, None));
    assert_eq!(code(upheld), "ok");
}

#[test]
fn a_backup_from_before_an_erasure_under_a_hold_brings_back_no_word_of_a_decision() {
    let case = Case::new(1);
    let decision = case.records(refund()).unwrap().decision;
    case.contests(decision, Some("canary: broken"));
    let officer = call(&case.officer, None);
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["messages".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2035, 1, 1),
    };
    case.vault().put_hold(&officer, case.ann(), hold).unwrap();
    case.scene.back_up(Parts::Both).unwrap();
    case.vault().erase_subject(&officer, case.ann()).unwrap();
    let keyholder = case.vault().keyholder();
    case.vault()
        .push_ledger(&call(&keyholder, None), &*case.scene.target)
        .unwrap();
    let (_, vault, _locked) = case.scene.restore("restored");
    let keyholder = vault.keyholder();
    let made = vault.create_token(&call(&keyholder, None), "reviewing", None);
    let reviewer = vault.authenticate(&made.unwrap().1).unwrap();
    let view = vault
        .read_decision(&call(&reviewer, None), decision)
        .unwrap();
    assert_eq!(view.state, DecisionState::Contested);
    assert_eq!((view.outcome, view.logic.len()), (None, 0));
    assert!(view.history.iter().all(|step| step.words.is_none()));
}

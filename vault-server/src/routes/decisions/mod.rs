//! Decisions about people: recorded, contested, reviewed by a human, and the queue of reviews.

mod body;

use axum::extract::State;
use serde_json::Value;
use std::collections::BTreeMap;
use vault_core::id::DecisionId;
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::policy::{Automation, DecisionBasis};
use vault_core::vault::{
    DecisionFilter, DecisionInput, DecisionState, DecisionStep, Desk, Outcome as Reviewed,
};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

pub use body::{decision_page, decision_stepped, decision_view};

use body::{DecisionRequest, FiguresBody, ListBody, PageBody, StepRequest, SteppedBody, ViewBody};

const REVIEW: &str = "decisions.review";
const RECORD: &str = "decisions.record";
/// Decisions on a page, unless asked for otherwise.
const PAGE_DEFAULT: usize = 100;

/// Every word of a list, for whoever has to choose one.
fn words(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A word of a closed list that may be there.
fn word<T: Copy>(
    shape: &mut Shape,
    name: &str,
    all: &'static [T],
    called: fn(T) -> &'static str,
) -> Option<T> {
    let text = shape.optional_text(name)?;
    let found = all.iter().copied().find(|one| called(*one) == text);
    if found.is_none() {
        let known = words(all.iter().map(|one| called(*one)));
        shape.refuse(name, "unknown_word", format!("one of {known}"));
    }
    found
}

/// Texts by language that may be there.
fn texts(shape: &mut Shape, name: &str) -> BTreeMap<String, String> {
    let Value::Object(members) = (match shape.has(name) {
        true => shape.value(name),
        false => Value::Object(serde_json::Map::new()),
    }) else {
        shape.refuse(
            name,
            "not_an_object",
            "texts by language, such as {\"en\": …}",
        );
        return BTreeMap::new();
    };
    let count = members.len();
    let texts: BTreeMap<String, String> = members
        .into_iter()
        .filter_map(|(language, text)| match text {
            Value::String(text) => Some((language, text)),
            _ => None,
        })
        .collect();
    if texts.len() < count {
        shape.refuse(name, "not_a_text", "a text for each language");
    }
    texts
}

pub(crate) fn read_decision(body: Value) -> Result<DecisionInput, Problem> {
    const KNOWN: [&str; 12] = [
        "kind",
        "model_version",
        "inputs",
        "outcome",
        "significant",
        "automation",
        "art22_basis",
        "law",
        "purpose",
        "logic",
        "consequences",
        "proposed",
    ];
    let mut shape = Shape::of(body, &KNOWN)?;
    let flag = |shape: &mut Shape, name| shape.has(name).then(|| shape.flag(name));
    let input = DecisionInput {
        kind: shape.text("kind"),
        model_version: shape.optional_text("model_version"),
        inputs: shape.optional_texts("inputs").unwrap_or_default(),
        outcome: shape.text("outcome"),
        significant: flag(&mut shape, "significant"),
        automation: word(&mut shape, "automation", Automation::ALL, Automation::name),
        basis: word(
            &mut shape,
            "art22_basis",
            DecisionBasis::ALL,
            DecisionBasis::name,
        ),
        law: shape.optional_text("law"),
        purpose: shape.optional_text("purpose"),
        logic: texts(&mut shape, "logic"),
        consequences: texts(&mut shape, "consequences"),
        proposed: flag(&mut shape, "proposed").unwrap_or(false),
    };
    shape.finish(input)
}

/// A step by its name.
pub(crate) fn read_step(name: &str, body: Value) -> Result<DecisionStep, Problem> {
    match name {
        "begin" => Shape::of(body, &[])?.finish(DecisionStep::Begin),
        "effect" => Shape::of(body, &[])?.finish(DecisionStep::TakeEffect),
        "contest" => {
            let mut shape = Shape::of(body, &["view", "language"])?;
            let step = DecisionStep::Contest {
                view: shape.optional_text("view"),
                language: shape.optional_text("language"),
            };
            shape.finish(step)
        }
        "decide" => {
            let mut shape = Shape::of(body, &["review", "outcome", "new_outcome", "reasons"])?;
            if !shape.has("outcome") {
                let known = words(Reviewed::ALL.iter().map(|one| one.name()));
                shape.refuse("outcome", "required", format!("one of {known}"));
            }
            let outcome = word(&mut shape, "outcome", Reviewed::ALL, Reviewed::name);
            let step = DecisionStep::Decide {
                review: shape.text("review"),
                outcome: outcome.unwrap_or(Reviewed::Annulled),
                new_outcome: shape.optional_text("new_outcome"),
                reasons: shape.text("reasons"),
            };
            shape.finish(step)
        }
        _ => Err(Problem::new(Code::NotFound)),
    }
}

/// Every step that a body could be of: none may be lost by another.
pub(crate) fn read_any_step(body: Value) -> Result<(), Problem> {
    let mut last = Ok(());
    for name in ["begin", "contest", "effect", "decide"] {
        last = read_step(name, body.clone()).map(drop);
    }
    last
}

/// The decision in the path. What is no id is nobody's.
fn decision(incoming: &Incoming) -> DecisionId {
    let text = incoming.parameter("d");
    text.parse().unwrap_or(DecisionId::from_bytes([0; 16]))
}

/// Every decision about a person
///
/// With what is to be told of it (Art. 15(1)(h)): the logic, what it means for them, which fields went into it, and
/// what became of it. In the order in which they were recorded. Capability `decisions.record` or `decisions.review`;
/// a session, as `self`, where its maker's role has one of these or its purpose is `rights`.
#[utoipa::path(get, path = urls::SUBJECT_DECISIONS, tag = "decisions", operation_id = "list_decisions",
    responses((status = 200, description = "The decisions", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// Every decision about a person.
pub(crate) static LIST: Operation = Operation {
    right: true,
    ..Operation::reading(do_list)
};

fn do_list(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    asked.query(&[])?;
    let decisions = desk.list_decisions(asked.subject())?;
    let decisions = decisions.into_iter().map(ViewBody::from).collect();
    Ok(Reply::json(200, &ListBody { decisions }))
}

/// Record a decision about a person
///
/// Before it takes effect, or as it does. One that affects them significantly and that no human takes needs its basis
/// (Art. 22(2): a contract, a law, or their explicit consent, which has to stand at this moment), the logic and what
/// it means for them in each language of the controller (Art. 13(2)(f)), and no special data but with explicit consent
/// or for substantial public interest (Art. 22(4)): 422 otherwise, with the article. A score that somebody relies on
/// heavily is such a decision (CJEU C-634/21). What the policy says of the kind need not be said again, and may not
/// be contradicted. 423 for fields that are only to be stored. No values: `inputs` names fields. Capability
/// `decisions.record`.
#[utoipa::path(post, path = urls::SUBJECT_DECISIONS, tag = "decisions", operation_id = "record_decision",
    request_body = DecisionRequest,
    responses((status = 201, description = "Recorded", body = ViewBody)))]
pub(crate) async fn record(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &RECORDING).await
}

/// Record a decision about a person.
pub(crate) static RECORDING: Operation = Operation::changing(do_record);

fn do_record(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, RECORD, read_decision(asked.body.clone()))?;
    let view = desk.record_decision(asked.subject(), &input)?;
    Ok(Reply::json(201, &ViewBody::from(view)))
}

/// The queue of reviews
///
/// Decisions whose review is open, those first that are due first; no values. `state` also names others. Capability
/// `decisions.review`.
#[utoipa::path(get, path = urls::DECISIONS, tag = "decisions", operation_id = "queue_decisions",
    params(("kind" = Option<String>, Query, description = "Of this kind"),
           ("state" = Option<String>, Query, description = "Of this state; every open review by default"),
           ("overdue" = Option<bool>, Query, description = "`true`: whose review is overdue"),
           ("limit" = Option<u32>, Query, description = "Most decisions on the page, 1 to 1000; 100 by default"),
           ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = PageBody)))]
pub(crate) async fn queue(State(app): State<App>, incoming: Incoming) -> Outcome {
    const KNOWN: [&str; 5] = ["kind", "state", "overdue", "limit", "cursor"];
    let query = incoming.query(&KNOWN).and_then(|query| {
        let state = match query.text("state") {
            None => None,
            Some(text) => Some(DecisionState::parse(text).ok_or_else(|| {
                let known = words(DecisionState::ALL.iter().map(|state| state.name()));
                Problem::invalid_at("", "unknown_word", format!("`state` is one of {known}"))
            })?),
        };
        let filter = DecisionFilter {
            kind: query.text("kind").map(str::to_owned),
            state,
            overdue: query.word("overdue", &[("false", false), ("true", true)])?,
        };
        let limit = query.number("limit", 1, PAGE_RECORDS_MAX, PAGE_DEFAULT)?;
        Ok((filter, limit, query.text("cursor").map(str::to_owned)))
    });
    app.call(incoming, move |session| {
        let (filter, limit, cursor) = session.parsed(REVIEW, query)?;
        let call = session.call();
        let page = session
            .vault
            .queue_decisions(&call, &filter, limit, cursor.as_deref())?;
        Ok(Reply::json(200, &PageBody::from(page)))
    })
    .await
}

/// Decisions in numbers
///
/// By kind, without naming anybody: how many were contested, what their reviews came to, what part of them was
/// overturned, and how long a reviewer took after being shown one. Reviews that overturn nothing and take seconds are
/// a stamp. Capability `decisions.review` or `audit.read`.
#[utoipa::path(get, path = urls::DECISION_FIGURES, tag = "decisions", operation_id = "decision_figures",
    responses((status = 200, description = "The figures", body = FiguresBody)))]
pub(crate) async fn figures(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        let call = session.call();
        let figures = session.vault.decision_figures(&call)?;
        query?;
        Ok(Reply::json(200, &FiguresBody::from(figures)))
    })
    .await
}

/// One decision
///
/// Of somebody who is erased there is none. Capability `decisions.record` or `decisions.review`; a session where its
/// maker's role has one of these or its purpose is `rights`, for decisions about its own person.
#[utoipa::path(get, path = urls::DECISION, tag = "decisions", operation_id = "read_decision",
    responses((status = 200, description = "As it stands", body = ViewBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (decision, query) = (decision(&incoming), incoming.query(&[]));
    app.right(incoming, move |session| {
        query?;
        let view = session.vault.read_decision(&session.call(), decision)?;
        Ok(Reply::json(200, &ViewBody::from(view)))
    })
    .await
}

/// A step of a decision
///
/// `effect` `{}`: a proposed one takes effect (capability `decisions.record`). `contest` `{view?, language?}`: the
/// person wants a human to look at it, with their view in their words; it is a request of the right `human_review` as
/// well, whose clock runs. Again while a review is open, it adds to the view, and a review that was begun begins
/// again. Capability `decisions.record` or `requests.create`; a session of the person. `begin` `{}`: the reviewer is
/// shown the decision with what the person says, and gets `review`. `decide` `{review, outcome:
/// "upheld"｜"changed"｜"annulled", new_outcome?, reasons}`: with what `begin` gave to the same key for the decision as
/// it stands, within a day; `changed` has another outcome in the place of the first. 409 for the key that recorded
/// the decision, and for what was not shown. The reasons are told to the person: the request is answered with them.
/// Capability `decisions.review`. Not remembered for `Idempotency-Key`.
#[utoipa::path(post, path = urls::DECISION_STEP, tag = "decisions", operation_id = "step_decision",
    request_body = StepRequest,
    responses((status = 200, description = "Taken", body = SteppedBody)))]
pub(crate) async fn step(State(app): State<App>, incoming: Incoming) -> Outcome {
    let decision = decision(&incoming);
    let name = incoming.parameter("step").to_owned();
    let body = incoming.json()?;
    app.right(incoming, move |session| {
        let read = read_step(&name, body);
        let step = match name.as_str() {
            // Whoever may contest is told by the vault, also what is wrong with the body.
            "contest" => read?,
            "effect" => session.parsed(RECORD, read)?,
            _ => session.parsed(REVIEW, read)?,
        };
        let stepped = session
            .vault
            .step_decision(&session.call(), decision, step)?;
        Ok(Reply::json(200, &SteppedBody::from(stepped)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(problem: &Problem) -> Vec<String> {
        let document = problem.document(vault_core::id::CallId::from_bytes([0; 16]));
        let document: Value = serde_json::from_slice(&document).expect("JSON");
        let errors = document["errors"].as_array().cloned().unwrap_or_default();
        let one = |error: &Value| {
            format!(
                "{}{}",
                error["pointer"].as_str().unwrap_or(""),
                error["code"]
            )
        };
        errors.iter().map(one).collect()
    }

    #[test]
    fn a_decision_is_read_whole_or_told_what_is_wrong() {
        let good = json!({"kind": "refund", "outcome": "refused", "significant": true,
            "automation": "full", "art22_basis": "contract", "logic": {"en": "a rule"}});
        let input = read_decision(good.clone()).unwrap_or_else(|_| panic!("it fits"));
        assert_eq!(input.automation, Some(Automation::Full));
        assert_eq!(input.basis, Some(DecisionBasis::Contract));
        assert_eq!(input.logic["en"], "a rule");
        assert!(!input.proposed && input.significant == Some(true));
        for (member, value, code) in [
            ("automation", json!("robot"), "/automation\"unknown_word\""),
            ("art22_basis", json!("whim"), "/art22_basis\"unknown_word\""),
            ("logic", json!("a rule"), "/logic\"not_an_object\""),
            ("logic", json!({"en": 1}), "/logic\"not_a_text\""),
            ("kind", Value::Null, "/kind\"missing\""),
            ("significant", json!("yes"), "/significant\"not_a_bool\""),
        ] {
            let mut body = good.clone();
            body[member] = value;
            let problem = read_decision(body).expect_err("it does not fit");
            assert_eq!(codes(&problem), [code]);
        }
    }

    #[test]
    fn a_step_that_there_is_not_is_not_found_and_a_review_needs_all_its_members() {
        let refused = read_step("forget", json!({})).expect_err("no such step");
        assert_eq!(refused.code(), Code::NotFound);
        let empty = read_step("decide", json!({})).expect_err("nothing is there");
        assert_eq!(codes(&empty).len(), 3);
        let whole = json!({"review": "rvw_", "outcome": "upheld", "reasons": "seen"});
        assert!(read_step("decide", whole).is_ok());
        assert!(read_step("begin", json!({"outcome": "upheld"})).is_err());
    }
}

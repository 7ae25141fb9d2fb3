//! Requests of people: taken down, looked at, dealt with, and the queue of all.

mod body;
mod step;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::Arc;
use vault_core::id::RequestId;
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::policy::RestrictionGround;
use vault_core::request::{RequestKind, RequestState};
use vault_core::vault::{Desk, PickupInput, QueueFilter, RequestInput};

use super::dialogue::sends;
use super::export::stream;
use crate::asked::Asked;
use crate::call::{Outcome, Session};
use crate::code::Code;
use crate::incoming::Incoming;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

use body::{
    ApproveRequest, ConfirmBody, ConfirmRequest, ListBody, PageBody, RequestRequest, StepRequest,
    SteppedBody, ViewBody,
};
pub use body::{request_confirmation, request_page, request_stepped, request_view};
pub(crate) use step::read_any_step;

const DECIDE: &str = "requests.decide";
/// Requests on a page, unless asked for otherwise.
const PAGE_DEFAULT: usize = 100;

/// Every word of a list, for whoever has to choose one.
fn words(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

pub(crate) fn read_request(body: Value) -> Result<RequestInput, Problem> {
    const KNOWN: [&str; 8] = [
        "type",
        "details",
        "language",
        "received_at",
        "purpose",
        "ground",
        "collections",
        "decision",
    ];
    let mut shape = Shape::of(body, &KNOWN)?;
    let word = shape.text("type");
    let kind = RequestKind::parse(&word);
    if kind.is_none() && shape.finds_no_fault() {
        let known = words(RequestKind::ALL.iter().map(|kind| kind.name()));
        shape.refuse("type", "unknown_word", format!("one of {known}"));
    }
    let ground = shape.optional_text("ground");
    let known_ground = ground.as_deref().and_then(RestrictionGround::parse);
    if ground.is_some() && known_ground.is_none() && shape.finds_no_fault() {
        let detail = "`18.1.a`, `18.1.b`, `18.1.c` or `18.1.d`";
        shape.refuse("ground", "unknown_word", detail);
    }
    let received = shape.optional_text("received_at");
    let received_at = received.as_ref().and_then(|text| text.parse().ok());
    if received.is_some() && received_at.is_none() && shape.finds_no_fault() {
        shape.refuse("received_at", "not_a_time", "an instant of RFC 3339");
    }
    let named = shape.optional_text("decision");
    let decision = named.as_ref().and_then(|text| text.parse().ok());
    if named.is_some() && decision.is_none() && shape.finds_no_fault() {
        shape.refuse("decision", "not_an_id", "the id of a decision, `dec_…`");
    }
    let input = RequestInput {
        decision,
        kind: kind.unwrap_or(RequestKind::Access),
        details: shape.optional_text("details"),
        language: shape.optional_text("language"),
        received_at,
        purpose: shape.optional_text("purpose"),
        ground: known_ground,
        collections: shape.optional_texts("collections").unwrap_or_default(),
    };
    shape.finish(input)
}

/// The request in the path. What is no id is nobody's.
fn request(incoming: &Incoming) -> RequestId {
    let text = incoming.parameter("q");
    text.parse().unwrap_or(RequestId::from_bytes([0; 16]))
}

/// Every request of a person
///
/// In the order in which they came. Capability `requests.create` or `requests.decide`; a session, as `self`, where
/// its maker's role has one of these or its purpose is `rights`.
#[utoipa::path(get, path = urls::SUBJECT_REQUESTS, tag = "requests", operation_id = "list_requests",
    responses((status = 200, description = "The requests", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// Every request of a person.
pub(crate) static LIST: Operation = Operation {
    right: true,
    ..Operation::reading(do_list)
};

fn do_list(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    asked.query(&[])?;
    let requests = desk.list_requests(asked.subject())?;
    let requests = requests.into_iter().map(ViewBody::from).collect();
    Ok(Reply::json(200, &ListBody { requests }))
}

/// Take down what a person asks for
///
/// Its clock runs from the moment at which it came in: one month of the controller's calendar (Art. 12(3)). An
/// objection and a withdrawal take effect with it; `human_review` of a `decision` contests it. Whoever asks in a conversation is known by the channel (`L1`);
/// what somebody with `requests.decide` writes down, a letter say, is from anybody (`L0`), and may have come in
/// before (`received_at`). Capability `requests.create` or `requests.decide`; a session, as `self`, where its
/// maker's role has one of these or its purpose is `rights`.
#[utoipa::path(post, path = urls::SUBJECT_REQUESTS, tag = "requests", operation_id = "create_request",
    request_body = RequestRequest,
    responses((status = 201, description = "Taken down", body = ViewBody)))]
pub(crate) async fn create(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &CREATE).await
}

/// Take down what a person asks for.
pub(crate) static CREATE: Operation = Operation {
    right: true,
    ..Operation::changing(do_create)
};

fn do_create(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = read_request(asked.body.clone())?;
    let view = desk.create_request(asked.subject(), &input)?;
    Ok(Reply::json(201, &ViewBody::from(view)))
}

/// The queue of requests
///
/// Open ones, those first that are due first by the strict end; no values. `state` also names a closed one.
/// Capability `requests.decide`.
#[utoipa::path(get, path = urls::REQUESTS, tag = "requests", operation_id = "queue_requests",
    params(("type" = Option<String>, Query, description = "Of this right"),
           ("state" = Option<String>, Query, description = "Of this state; every open one by default"),
           ("due_before" = Option<String>, Query, description = "Whose last day is before this one", format = Date),
           ("overdue" = Option<bool>, Query, description = "`true`: whose end is over"),
           ("limit" = Option<u32>, Query, description = "Most requests on the page, 1 to 1000; 100 by default"),
           ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = PageBody)))]
pub(crate) async fn queue(State(app): State<App>, incoming: Incoming) -> Outcome {
    const KNOWN: [&str; 6] = ["type", "state", "due_before", "overdue", "limit", "cursor"];
    let query = incoming.query(&KNOWN).and_then(|query| {
        let word = |name: &str, words: String| {
            Problem::invalid_at("", "unknown_word", format!("`{name}` is one of {words}"))
        };
        let kind = match query.text("type") {
            None => None,
            Some(text) => Some(RequestKind::parse(text).ok_or_else(|| {
                word(
                    "type",
                    words(RequestKind::ALL.iter().map(|kind| kind.name())),
                )
            })?),
        };
        let state = match query.text("state") {
            None => None,
            Some(text) => Some(RequestState::parse(text).ok_or_else(|| {
                word(
                    "state",
                    words(RequestState::ALL.iter().map(|state| state.name())),
                )
            })?),
        };
        let due_before = match query.text("due_before") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Problem::invalid_at(
                    "",
                    "not_a_date",
                    "`due_before` is a day, such as 2030-01-31",
                )
            })?),
        };
        let filter = QueueFilter {
            kind,
            state,
            due_before,
            overdue: query.word("overdue", &[("false", false), ("true", true)])?,
        };
        let limit = query.number("limit", 1, PAGE_RECORDS_MAX, PAGE_DEFAULT)?;
        Ok((filter, limit, query.text("cursor").map(str::to_owned)))
    });
    app.call(incoming, move |session| {
        let (filter, limit, cursor) = session.parsed(DECIDE, query)?;
        let call = session.call();
        let page = session
            .vault
            .queue_requests(&call, filter, limit, cursor.as_deref())?;
        Ok(Reply::json(200, &PageBody::from(page)))
    })
    .await
}

/// One request
///
/// What was noted for those who deal with it is shown to them alone. Of somebody who is erased there is none: the
/// receipt stands for it. Capability `requests.create` or `requests.decide`; a session where its maker's role has
/// one of these or its purpose is `rights`, for requests of its own person.
#[utoipa::path(get, path = urls::REQUEST, tag = "requests", operation_id = "read_request",
    responses((status = 200, description = "As it stands", body = ViewBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (request, query) = (request(&incoming), incoming.query(&[]));
    app.right(incoming, move |session| {
        query?;
        let view = session.vault.read_request(&session.call(), request)?;
        Ok(Reply::json(200, &ViewBody::from(view)))
    })
    .await
}

/// Carry a request out
///
/// The vault does what is asked for, in the same commit: `erase` erases (capability `subjects.erase` besides; 200
/// with `receipt`), `restrict`, `object` and `withdraw` do as they say, `rectify` changes the fields that are given,
/// which the role has to be able to write. `access` and `portability` answer with the package itself (`format`;
/// capability `subjects.export` besides): the request is fulfilled with its last byte, and stays `in_progress`
/// where it breaks off. With `deliver: "link"` the answer has a `link` instead, which the person opens once, within 24 hours,
/// with a code that goes to an address on file: capability `subjects.export` is not needed, since whoever has the link
/// does not have the code; 409 where the role may itself change every address that a code could go to. `human_review` and `recipients` are answered in words (`answer`). What cannot be undone needs
/// the `confirmation` that the step `confirm` gave. 409 below the level that the right needs. Where a law keeps
/// something the request is `partly_fulfilled`, with the law and the day on which somebody looks again.
/// Capability `requests.decide`. Not remembered for `Idempotency-Key`: a request that is closed takes no step.
#[utoipa::path(post, path = urls::REQUEST_APPROVE, tag = "requests", operation_id = "approve_request",
    request_body = ApproveRequest,
    responses((status = 200, description = "Carried out, or the package", content(
        (SteppedBody = "application/json"),
        (String = "text/html"),
        (String = "application/zip"),
        (String = "application/octet-stream")))))]
pub(crate) async fn approve(
    State(app): State<App>,
    incoming: Incoming,
) -> Result<Response, Problem> {
    let request = request(&incoming);
    let body = incoming.json()?;
    if body.get("deliver").is_some_and(|word| !word.is_null()) {
        let reply = app.right(incoming, move |session| link(session, request, body));
        return Ok(reply.await?.into_response());
    }
    if body.get("format").is_none_or(Value::is_null) {
        let reply = app.right(incoming, move |session| {
            let step = session.parsed(DECIDE, step::approve(body))?;
            let stepped = session.vault.step_request(&session.call(), request, step)?;
            if stepped.receipt.is_some() {
                session
                    .app
                    .idempotency()
                    .forget_person(stepped.view.subject);
                session.app.rates().forget_person(stepped.view.subject);
            }
            Ok(Reply::json(200, &SteppedBody::from(stepped)))
        });
        return Ok(reply.await?.into_response());
    }
    let place = Arc::clone(app.streams()).try_acquire_owned();
    let place = place.map_err(|_| Problem::new(Code::Overloaded))?;
    let export = app
        .work(incoming, move |session| {
            let call = session.call();
            let wanted = session.parsed(DECIDE, step::Package::read(body))?;
            session.vault.require(&call, DECIDE)?;
            let right = session.vault.package_of_request(&call, request)?;
            let input = wanted.of(right)?;
            Ok(session.vault.export_request(&call, request, input)?)
        })
        .await?;
    Ok(stream(app, export, place))
}

/// A link with which the person picks the package up themselves.
fn link(session: &Session, request: RequestId, body: Value) -> Outcome {
    let form = session.parsed(DECIDE, step::deliver(body))?;
    let call = session.call();
    session.vault.require(&call, DECIDE)?;
    let sends = sends(&session.app);
    let base = session.app.settings().public_url.as_deref();
    let (Some(base), false) = (base, sends.is_empty()) else {
        return Err(Problem::with_detail(
            Code::Conflict,
            "there are links where the server's configuration has `public_url` and somebody who sends codes \
             (`verification`): hand the package itself over (`format` without `deliver`)",
        ));
    };
    let wanted = PickupInput { form, sends };
    let given = session.vault.give_link(&call, request, wanted)?;
    Ok(Reply::json(200, &SteppedBody::with_link(given, base)))
}

/// What an approval that cannot be undone needs
///
/// Good for this request as it stands and this scope, for a quarter of an hour. `consequences` says what is then
/// gone. For `erase`, and for `rectify` with the fields that will be sent. Capability `requests.decide`.
#[utoipa::path(post, path = urls::REQUEST_CONFIRM, tag = "requests", operation_id = "confirm_request",
    request_body = ConfirmRequest,
    responses((status = 200, description = "To be sent along", body = ConfirmBody)))]
pub(crate) async fn confirm(State(app): State<App>, incoming: Incoming) -> Outcome {
    let request = request(&incoming);
    let body = incoming.json()?;
    app.right(incoming, move |session| {
        let correction = session.parsed(DECIDE, step::scope(body))?;
        let call = session.call();
        let given = session
            .vault
            .confirm_request(&call, request, correction.as_ref())?;
        Ok(Reply::json(200, &ConfirmBody::from(given)))
    })
    .await
}

/// A step of a request
///
/// `identity` `{outcome: "asked"｜"manual"｜"verified", evidence?, note?}`: the person was asked who they are,
/// somebody looks at it, a human knows it (`L3`, with the evidence). `clarify` `{question}` or `{answer}`. `review`
/// `{note?}`: somebody looks at the matter. `extend` `{reason: "complexity"｜"number", period?}`: before the end,
/// once, at most as much as the policy allows; the text for the person is in `extension`. `refuse` `{code, law,
/// approver, reason}`: the text for the person, with complaint and court, is in `refusal`. `cancel` `{reason?}`: the
/// person takes it back. Capability `requests.decide`; `cancel` also `requests.create`, and a session of the person.
/// Not remembered for `Idempotency-Key`.
#[utoipa::path(post, path = urls::REQUEST_STEP, tag = "requests", operation_id = "step_request",
    request_body = StepRequest,
    responses((status = 200, description = "Taken", body = SteppedBody)))]
pub(crate) async fn step(State(app): State<App>, incoming: Incoming) -> Outcome {
    let request = request(&incoming);
    let name = incoming.parameter("step").to_owned();
    let body = incoming.json()?;
    app.right(incoming, move |session| {
        let read = step::read(&name, body);
        let step = match name.as_str() {
            // Whoever may take it back is told by the vault, also what is wrong with the body.
            "cancel" => read?,
            _ => session.parsed(DECIDE, read)?,
        };
        let stepped = session.vault.step_request(&session.call(), request, step)?;
        Ok(Reply::json(200, &SteppedBody::from(stepped)))
    })
    .await
}

//! Legal holds: place, release, read, and who is under one.

use axum::extract::State;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::policy::HoldGround;
use vault_core::vault::{
    HeldPage, HeldPerson, HoldInput, HoldReleased, HoldStep, HoldView, PendingErasure,
};

use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "holds.manage";
/// People on a page, unless asked for otherwise.
const PAGE_DEFAULT: usize = 100;

/// A hold.
#[derive(ToSchema)]
#[schema(as = HoldRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `HoldInput`"
)]
pub(crate) struct HoldRequest {
    /// `legal_claims` (Art. 17(3)(e) GDPR) or `legal_obligation` (Art. 17(3)(b)).
    ground: String,
    /// The collections that it is about; all, where there are none.
    collections: Option<Vec<String>>,
    /// In what matter. It stands in what whoever manages holds may read, and nowhere else.
    reason: Option<String>,
    /// Who approved it.
    approver: Option<String>,
    /// Until when somebody has to look whether it is still needed: a day.
    #[schema(format = Date)]
    review_at: String,
}

pub(crate) fn read_request(body: Value) -> Result<HoldInput, Problem> {
    let known = ["ground", "collections", "reason", "approver", "review_at"];
    let mut shape = Shape::of(body, &known)?;
    let word = shape.text("ground");
    let ground = HoldGround::parse(&word);
    if ground.is_none() && shape.finds_no_fault() {
        let detail = "`legal_claims` or `legal_obligation`";
        shape.refuse("ground", "unknown_word", detail);
    }
    let day = shape.text("review_at");
    // As it is written, so that nothing else is taken for a day.
    let review_at = day.parse::<Date>().ok();
    let review_at = review_at.filter(|date| date.to_string() == day);
    if review_at.is_none() && shape.finds_no_fault() {
        shape.refuse("review_at", "not_a_date", "a day, such as `2030-01-31`");
    }
    let input = HoldInput {
        ground: ground.unwrap_or(HoldGround::LegalClaims),
        collections: shape.optional_texts("collections").unwrap_or_default(),
        reason: shape.optional_text("reason"),
        approver: shape.optional_text("approver"),
        review_at: review_at.unwrap_or_default(),
    };
    shape.finish(input)
}

/// An erasure that waits for the release.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingErasure)]
pub(crate) struct PendingBody {
    /// When everything that is not held was destroyed.
    #[schema(format = DateTime)]
    at: String,
    /// The receipt of that.
    receipt: String,
}

impl From<PendingErasure> for PendingBody {
    fn from(erasure: PendingErasure) -> Self {
        Self {
            at: erasure.at.to_string(),
            receipt: erasure.receipt.to_string(),
        }
    }
}

/// One step of a hold.
#[derive(Serialize, ToSchema)]
#[schema(as = HoldStep)]
pub(crate) struct StepBody {
    /// `placed` or `released`.
    state: &'static str,
    /// `legal_claims` or `legal_obligation`.
    ground: &'static str,
    /// The collections that it is about; all, where there are none.
    collections: Vec<String>,
    /// The role of whoever said so; empty where a restored vault knows no more.
    by: String,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    approver: Option<String>,
    /// In what matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Until when somebody has to look whether it is still needed.
    #[schema(format = Date)]
    review_at: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The erasure that waits for the release; null where there is none.
    erasure: Option<PendingBody>,
}

impl From<HoldStep> for StepBody {
    fn from(step: HoldStep) -> Self {
        Self {
            state: step.state.name(),
            ground: step.ground.name(),
            collections: step.collections,
            by: step.by,
            approver: step.approver,
            reason: step.reason,
            review_at: step.review_at.to_string(),
            at: step.at.to_string(),
            erasure: step.erasure.map(PendingBody::from),
        }
    }
}

/// Whether a person's data are held.
#[derive(Serialize, ToSchema)]
#[schema(as = HoldView)]
pub(crate) struct ViewBody {
    /// Whether a hold stands.
    held: bool,
    /// Whether its day of review is over.
    overdue: bool,
    /// Every step, oldest first.
    history: Vec<StepBody>,
}

impl From<HoldView> for ViewBody {
    fn from(view: HoldView) -> Self {
        Self {
            held: view.held,
            overdue: view.overdue,
            history: view.history.into_iter().map(StepBody::from).collect(),
        }
    }
}

/// A hold that stands no more.
#[derive(Serialize, ToSchema)]
#[schema(as = HoldReleased)]
pub(crate) struct ReleasedBody {
    /// The release.
    hold: StepBody,
    /// The receipt of the erasure that waited for it; null where none did.
    #[schema(value_type = Option<Object>)]
    receipt: Option<Value>,
}

impl From<HoldReleased> for ReleasedBody {
    fn from(released: HoldReleased) -> Self {
        Self {
            hold: released.step.into(),
            receipt: released.receipt,
        }
    }
}

/// Somebody under a hold, without a value.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldPerson)]
pub(crate) struct HeldBody {
    /// The person's id.
    subject: String,
    /// `legal_claims` or `legal_obligation`.
    ground: &'static str,
    /// The collections that it is about; all, where there are none.
    collections: Vec<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// Until when somebody has to look whether it is still needed.
    #[schema(format = Date)]
    review_at: String,
    /// Whether that day is over.
    overdue: bool,
    /// Whether an erasure waits for the release.
    erasure_pending: bool,
}

impl From<HeldPerson> for HeldBody {
    fn from(held: HeldPerson) -> Self {
        Self {
            subject: held.subject.to_string(),
            ground: held.ground.name(),
            collections: held.collections,
            since: held.since.to_string(),
            review_at: held.review_at.to_string(),
            overdue: held.overdue,
            erasure_pending: held.erasure_pending,
        }
    }
}

/// People under a hold, in the order of their ids.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldPage)]
pub(crate) struct HeldPageBody {
    /// Who.
    holds: Vec<HeldBody>,
    /// `cursor` of the next page; null where there is none.
    next: Option<String>,
}

impl From<HeldPage> for HeldPageBody {
    fn from(page: HeldPage) -> Self {
        Self {
            holds: page.holds.into_iter().map(HeldBody::from).collect(),
            next: page.next,
        }
    }
}

fn json(body: impl Serialize) -> Value {
    serde_json::to_value(body).expect("texts, numbers and lists serialise")
}

/// A step of a hold as the API answers it, for whoever answers without a server.
#[must_use]
pub fn hold_step(step: HoldStep) -> Value {
    json(StepBody::from(step))
}

/// The same of a hold as it stands.
#[must_use]
pub fn hold_view(view: HoldView) -> Value {
    json(ViewBody::from(view))
}

/// The same of a hold that was released.
#[must_use]
pub fn hold_released(released: HoldReleased) -> Value {
    json(ReleasedBody::from(released))
}

/// The same of a page of people under a hold.
#[must_use]
pub fn held_page(page: HeldPage) -> Value {
    json(HeldPageBody::from(page))
}

/// Whether a person's data are held
///
/// Capability `holds.manage`.
#[utoipa::path(get, path = urls::HOLD, tag = "hold", operation_id = "read_hold",
    responses((status = 200, description = "Where it stands", body = ViewBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let view = session.vault.read_hold(&session.call(), subject)?;
        Ok(Reply::json(200, &ViewBody::from(view)))
    })
    .await
}

/// Place a legal hold over a person's data
///
/// From the answer on what is held is there for legal claims alone: reads, questions and changes are
/// answered 423 `held`, unless the call carries `Vault-Restricted-Use: legal_claims` and the policy
/// allows its role that. Nothing of it is removed, by nobody, and nothing of it ends by age. The
/// person's own export goes on. An erasure destroys everything else at once and leaves what is held until
/// the release. One that stands is replaced. Capability `holds.manage`.
#[utoipa::path(put, path = urls::HOLD, tag = "hold", operation_id = "put_hold",
    request_body = HoldRequest,
    responses((status = 200, description = "Held", body = StepBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    let subject = incoming.subject();
    let input = incoming.json()?;
    app.call(incoming, move |session| {
        let input = session.parsed(CAPABILITY, read_request(input))?;
        let step = session.vault.put_hold(&session.call(), subject, input)?;
        Ok(Reply::json(200, &StepBody::from(step)))
    })
    .await
}

/// Release a legal hold
///
/// Where an erasure waited for it, what was held is erased in the same commit: `receipt` is the proof of
/// that, and afterwards every call with this id is 410 `erased`. Capability `holds.manage`.
#[utoipa::path(delete, path = urls::HOLD, tag = "hold", operation_id = "release_hold",
    responses((status = 200, description = "Released", body = ReleasedBody)))]
pub(crate) async fn release(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    // What it may end is a person's right.
    app.right(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let released = session.vault.release_hold(&session.call(), subject)?;
        if released.receipt.is_some() {
            session.app.idempotency().forget_person(subject);
            session.app.rates().forget_person(subject);
        }
        Ok(Reply::json(200, &ReleasedBody::from(released)))
    })
    .await
}

/// People under a legal hold
///
/// In the order of their ids, without a value. One call looks at a part of a large vault: a page may be
/// short, or empty, and still have a `next`. Capability `holds.manage`.
#[utoipa::path(get, path = urls::HOLDS, tag = "admin", operation_id = "list_holds",
    params(("limit" = Option<u32>, Query, description = "Most people on the page, 1 to 1000; 100 by default"),
           ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = HeldPageBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&["limit", "cursor"]);
    let query = query.and_then(|query| {
        let limit = query.number("limit", 1, PAGE_RECORDS_MAX, PAGE_DEFAULT)?;
        Ok((limit, query.text("cursor").map(str::to_owned)))
    });
    app.call(incoming, move |session| {
        let (limit, cursor) = session.parsed(CAPABILITY, query)?;
        let call = session.call();
        let page = session.vault.list_holds(&call, limit, cursor.as_deref())?;
        Ok(Reply::json(200, &HeldPageBody::from(page)))
    })
    .await
}

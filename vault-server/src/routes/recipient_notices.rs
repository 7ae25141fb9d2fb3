//! Notices to recipients: what waits, what nobody took, and what somebody did by hand.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::vault::{
    NoticeAct, NoticePage, NoticeQuery, RecipientNotice, RecipientNoticeId, RecipientReference,
};

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "requests.decide";
/// Notices on a page, unless asked for otherwise.
const PAGE_DEFAULT: usize = 100;

/// Why a recipient cannot be told.
#[derive(ToSchema)]
#[schema(as = ImpossibleRequest)]
pub(crate) struct ImpossibleRequest {
    /// Why: it proves impossible or takes a disproportionate effort (Art. 19).
    reason: String,
}

impl ImpossibleRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["reason"])?;
        let reason = shape.text("reason");
        shape.finish(Self { reason })
    }
}

/// What a recipient calls a person by.
#[derive(Serialize, ToSchema)]
#[schema(as = RecipientReference)]
pub(crate) struct ReferenceBody {
    /// Name of the purpose.
    purpose: String,
    /// The name, `psn_…`.
    reference: String,
}

impl From<RecipientReference> for ReferenceBody {
    fn from(one: RecipientReference) -> Self {
        Self {
            purpose: one.purpose,
            reference: one.reference.to_string(),
        }
    }
}

/// A notice to a recipient.
#[derive(Serialize, ToSchema)]
#[schema(as = RecipientNotice)]
pub(crate) struct NoticeBody {
    /// Its id, `rcn_…`, the same at every try; in the log its digits stand for the call's.
    id: String,
    /// What it tells.
    kind: &'static str,
    /// The recipient's name in the policy.
    recipient: String,
    /// What the recipient calls the person by, for each purpose.
    references: Vec<ReferenceBody>,
    /// `collection.field` of each field that it is about.
    fields: Vec<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    at: String,
    /// Where it stands. `manual`: the policy has no webhook for them, and somebody has to tell them; `dead`: it
    /// is tried no more, and somebody has to.
    state: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    state_at: String,
    /// How often it was tried.
    tries: u32,
    /// When it is tried next; null where it is not.
    #[schema(format = DateTime)]
    next_try_at: Option<String>,
    /// Why it is impossible, or what came of the last try.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<RecipientNotice> for NoticeBody {
    fn from(notice: RecipientNotice) -> Self {
        let references = notice.references.into_iter().map(ReferenceBody::from);
        Self {
            id: notice.id.to_string(),
            kind: notice.kind.name(),
            recipient: notice.recipient,
            references: references.collect(),
            fields: notice.fields,
            at: notice.at.to_string(),
            state: notice.state,
            state_at: notice.state_at.to_string(),
            tries: notice.tries,
            next_try_at: notice.next_try_at.map(|at| at.to_string()),
            reason: notice.reason,
        }
    }
}

/// Notices to recipients, the oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = RecipientNoticePage)]
pub(crate) struct PageBody {
    /// The notices.
    notices: Vec<NoticeBody>,
    /// `cursor` of the next page; null where there is none.
    next: Option<String>,
}

impl From<NoticePage> for PageBody {
    fn from(page: NoticePage) -> Self {
        Self {
            notices: page.notices.into_iter().map(NoticeBody::from).collect(),
            next: page.next,
        }
    }
}

/// Notices to recipients
///
/// Those of the last thirty days that are not forgotten yet: a day's are, once all of them are settled. The oldest
/// first. Capability `requests.decide`.
#[utoipa::path(get, path = urls::RECIPIENT_NOTICES, tag = "recipients", operation_id = "list_recipient_notices",
    params(("state" = Option<String>, Query, description = "`queued`, `failed`, `delivered`, `acknowledged`, `completed`, `dead`, `impossible` or `manual`"),
           ("limit" = Option<u32>, Query, description = "Most notices on the page, 1 to 1000; 100 by default"),
           ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = PageBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&["state", "limit", "cursor"]);
    let query = query.and_then(|query| {
        Ok(NoticeQuery {
            state: query.text("state").map(str::to_owned),
            limit: query.number("limit", 1, PAGE_RECORDS_MAX, PAGE_DEFAULT)?,
            cursor: query.text("cursor").map(str::to_owned),
        })
    });
    app.call(incoming, move |session| {
        let query = session.parsed(CAPABILITY, query)?;
        let page = session
            .vault
            .list_recipient_notices(&session.call(), &query)?;
        Ok(Reply::json(200, &PageBody::from(page)))
    })
    .await
}

/// Does something about the notice of the path.
async fn act(app: App, incoming: Incoming, what: Result<NoticeAct, Problem>) -> Outcome {
    let id: Result<RecipientNoticeId, _> = incoming.parameter("rcn").parse();
    let id = id.map_err(|_| Problem::new(Code::NotFound));
    app.post(incoming, Remember::Reply, None, move |session| {
        let id = session.parsed(CAPABILITY, id)?;
        let what = session.parsed(CAPABILITY, what)?;
        let call = session.call();
        let notice = session.vault.act_on_recipient_notice(&call, id, what)?;
        Ok(Reply::json(200, &NoticeBody::from(notice)))
    })
    .await
}

/// Try a notice again
///
/// One that failed is due now, behind what came before it about the same person and purpose; one that was given up
/// is tried once more. Capability `requests.decide`.
#[utoipa::path(post, path = urls::RECIPIENT_NOTICE_RETRY, tag = "recipients", operation_id = "retry_recipient_notice",
    responses((status = 200, description = "It is due", body = NoticeBody)))]
pub(crate) async fn retry(State(app): State<App>, incoming: Incoming) -> Outcome {
    act(app, incoming, Ok(NoticeAct::Retry)).await
}

/// Say that a recipient has done what a notice tells, or was told in another way
///
/// Capability `requests.decide`.
#[utoipa::path(post, path = urls::RECIPIENT_NOTICE_COMPLETE, tag = "recipients", operation_id = "complete_recipient_notice",
    responses((status = 200, description = "It is completed", body = NoticeBody)))]
pub(crate) async fn complete(State(app): State<App>, incoming: Incoming) -> Outcome {
    act(app, incoming, Ok(NoticeAct::Complete)).await
}

/// Say that a recipient cannot be told
///
/// With the reason: that it proves impossible or takes a disproportionate effort (Art. 19). Capability
/// `requests.decide`.
#[utoipa::path(post, path = urls::RECIPIENT_NOTICE_IMPOSSIBLE, tag = "recipients", operation_id = "impossible_recipient_notice",
    request_body = ImpossibleRequest,
    responses((status = 200, description = "It is tried no more", body = NoticeBody)))]
pub(crate) async fn impossible(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    let what = ImpossibleRequest::read(body).map(|request| NoticeAct::Impossible(request.reason));
    act(app, incoming, what).await
}

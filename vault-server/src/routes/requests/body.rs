//! Requests as they stand on the wire.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vault_core::policy::RestrictionGround;
use vault_core::vault::{
    Confirmation, Extension, Kept, LinkGiven, QueuePage, QueuedRequest, RefusalGiven,
    RequestStepView, RequestStepped, RequestView,
};

/// What somebody asks for.
#[derive(ToSchema)]
#[schema(as = RequestRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `RequestInput`"
)]
pub(crate) struct RequestRequest {
    /// `access`, `rectify`, `erase`, `restrict`, `object`, `portability`, `withdraw`, `human_review` or `recipients`.
    r#type: String,
    /// The person's words. New values of fields do not belong here: they are given with the approval.
    details: Option<String>,
    /// In which language the person is answered, BCP 47; the first of the policy by default.
    language: Option<String>,
    /// When it came in, if before now; with `requests.decide` alone.
    #[schema(format = DateTime)]
    received_at: Option<String>,
    /// The purpose of `object` or `withdraw`.
    purpose: Option<String>,
    /// The point of Art. 18(1) GDPR, for `restrict`.
    ground: Option<String>,
    /// The collections of `restrict` or `erase`; all, where there are none.
    collections: Option<Vec<String>>,
    /// The decision that a human is to look at, for `human_review`: it is contested, with `details` as the person's
    /// view. Without one the request is answered in words.
    decision: Option<String>,
}

/// How a request is carried out.
#[derive(ToSchema)]
#[schema(as = RequestApproveRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; the members are read one by one"
)]
pub(crate) struct ApproveRequest {
    /// What the step `confirm` gave, for `erase` and `rectify`.
    confirmation: Option<String>,
    /// For `rectify`: the collection.
    collection: Option<String>,
    /// For `rectify`: the record of a collection of kind `many`.
    record: Option<String>,
    /// For `rectify`: the fields, as in a change of the record.
    #[schema(value_type = Option<Object>)]
    fields: Option<Map<String, Value>>,
    /// For `human_review` and `recipients`: what the person is told.
    answer: Option<String>,
    /// For `access` and `portability`: `json`, `html`, `csv` or `zip`. The answer is the package.
    format: Option<String>,
    /// For `access` and `portability`: `link`, for a link with which the person picks the package up, in the `format`
    /// that is named, else `zip`.
    deliver: Option<String>,
    /// The package's language, BCP 47.
    language: Option<String>,
    /// A public key of age that the package is encrypted for.
    recipient: Option<String>,
    /// A passphrase that it is encrypted with, instead.
    passphrase: Option<String>,
}

/// What is to be confirmed: nothing for `erase`, the correction for `rectify`.
#[derive(ToSchema)]
#[schema(as = RequestConfirmRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; the members are read one by one"
)]
pub(crate) struct ConfirmRequest {
    /// The collection.
    collection: Option<String>,
    /// The record of a collection of kind `many`.
    record: Option<String>,
    /// The fields, as in the approval.
    #[schema(value_type = Option<Object>)]
    fields: Option<Map<String, Value>>,
}

/// A step; which members it has, its name says.
#[derive(ToSchema)]
#[schema(as = RequestStepRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; the members are read one by one"
)]
pub(crate) struct StepRequest {
    /// `identity`: `asked`, `manual` or `verified`.
    outcome: Option<String>,
    /// `identity`: by what it is known who asks.
    evidence: Option<String>,
    /// `identity`, `review`: for those who deal with it.
    note: Option<String>,
    /// `clarify`: what the person was asked.
    question: Option<String>,
    /// `clarify`: what they said.
    answer: Option<String>,
    /// `extend`: `complexity` or `number`. `refuse`: what the person is told, in their language. `cancel`: their words.
    reason: Option<String>,
    /// `extend`: by how much, ISO 8601.
    period: Option<String>,
    /// `refuse`: the exemption.
    code: Option<String>,
    /// `refuse`: under which law.
    law: Option<String>,
    /// `refuse`: who approved it.
    approver: Option<String>,
}

/// What has to be sent along with an approval.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestConfirmation)]
pub(crate) struct ConfirmBody {
    /// Good for this request as it stands, and this scope.
    confirmation: String,
    /// Until then.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What cannot be undone.
    consequences: Vec<String>,
}

impl From<Confirmation> for ConfirmBody {
    fn from(given: Confirmation) -> Self {
        Self {
            confirmation: given.confirmation,
            expires_at: given.expires_at.to_string(),
            consequences: given.consequences,
        }
    }
}

/// That an answer takes longer.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestExtension)]
pub(crate) struct ExtensionBody {
    /// `complexity` or `number`.
    reason: &'static str,
    /// By how much, ISO 8601.
    period: String,
    /// When that was decided.
    #[schema(format = DateTime)]
    at: String,
    /// What the person is to be told, in their language. Left out under an unlock secret, but in the answer to the
    /// step that made it, and of somebody who is erased but for what a hold keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

impl From<Extension> for ExtensionBody {
    fn from(one: Extension) -> Self {
        Self {
            reason: one.reason.name(),
            period: one.period,
            at: one.at.to_string(),
            notice: one.notice,
        }
    }
}

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestRefusal)]
pub(crate) struct RefusalBody {
    /// The exemption.
    code: &'static str,
    /// Under which law. This and what follows is left out under an unlock secret, but in the answer to the step that
    /// said it, and of somebody who is erased but for what a hold keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    law: Option<String>,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    approver: Option<String>,
    /// What the person is to be told, in their language: reason, law, complaint and court (Art. 12(4)).
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl From<RefusalGiven> for RefusalBody {
    fn from(given: RefusalGiven) -> Self {
        Self {
            code: given.code.name(),
            law: given.law,
            approver: given.approver,
            text: given.text,
        }
    }
}

/// What a law keeps of what was to be erased.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestKept)]
pub(crate) struct KeptBody {
    /// Under which law.
    law: String,
    /// Until when somebody has to look whether it is still needed.
    #[schema(format = Date)]
    until: String,
    /// The collections; all, where there are none.
    collections: Vec<String>,
}

impl From<Kept> for KeptBody {
    fn from(kept: Kept) -> Self {
        Self {
            law: kept.law,
            until: kept.until.to_string(),
            collections: kept.collections,
        }
    }
}

/// One step of a request.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestStep)]
pub(crate) struct StepBody {
    /// What happened: `received`, `identity_asked`, `identity_by_hand`, `identity_verified`, `clarification_asked`,
    /// `clarified`, `review_begun`, `extended`, `approved`, `fulfilled`, `refused`, `cancelled`, or `restored` where a
    /// restored vault knows it from the erasure ledger alone.
    step: &'static str,
    /// Where the request stood from then on.
    state: &'static str,
    /// How well it was known who asks.
    level: &'static str,
    /// The role of whoever took it; empty where a restored vault knows no more.
    by: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What was said with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

impl From<RequestStepView> for StepBody {
    fn from(step: RequestStepView) -> Self {
        Self {
            step: step.step.name(),
            state: step.state.name(),
            level: step.level.name(),
            by: step.by,
            at: step.at.to_string(),
            words: step.words,
        }
    }
}

/// A status in the words of others.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestStatus)]
pub(crate) struct StatusBody {
    /// Of the Data Rights Protocol 0.9.
    drp: &'static str,
    /// Its reason.
    drp_reason: Option<&'static str>,
    /// Of OpenDSR 2.0.
    opendsr: &'static str,
}

/// A request as it stands, and how that came.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestView)]
pub(crate) struct ViewBody {
    /// Its id.
    request: String,
    /// The person's id.
    subject: String,
    /// Which right.
    r#type: &'static str,
    /// How far it has come.
    state: &'static str,
    /// How well it is known who asks: `L0` to `L3`.
    level: &'static str,
    /// When it came in.
    #[schema(format = DateTime)]
    received_at: String,
    /// The last day for an answer if nothing pauses it, where the controller is.
    #[schema(format = Date)]
    due: String,
    /// The same where the vault waited for an answer that it had promptly asked for; null while it waits.
    #[schema(format = Date)]
    due_effective: Option<String>,
    /// Whether it is open and the strict end is over.
    overdue: bool,
    /// In which language the person is answered; empty where a restored vault does not know.
    language: String,
    /// The purpose of an objection or a withdrawal.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    /// The ground of a restriction.
    #[serde(skip_serializing_if = "Option::is_none")]
    ground: Option<&'static str>,
    /// The collections of a restriction or an erasure; all, where there are none. `#0` alone: some, and which is not said yet.
    collections: Vec<String>,
    /// The decision that a human is to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    /// That the answer takes longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    extension: Option<ExtensionBody>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalBody>,
    /// The receipt of the erasure.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    /// What a law keeps.
    kept: Vec<KeptBody>,
    /// The state in the words of others.
    status: StatusBody,
    /// Every step, oldest first.
    history: Vec<StepBody>,
}

impl From<RequestView> for ViewBody {
    fn from(view: RequestView) -> Self {
        let code = view.refusal.as_ref().map(|given| given.code);
        let (drp, drp_reason) = view.state.drp(code);
        Self {
            request: view.request.to_string(),
            subject: view.subject.to_string(),
            r#type: view.kind.name(),
            state: view.state.name(),
            level: view.level.name(),
            received_at: view.received_at.to_string(),
            due: view.due.on.to_string(),
            due_effective: view.effective.map(|due| due.on.to_string()),
            overdue: view.overdue,
            language: view.language,
            purpose: view.purpose,
            ground: view.ground.map(RestrictionGround::name),
            collections: view.collections,
            decision: view.decision.map(|decision| decision.to_string()),
            extension: view.extension.map(ExtensionBody::from),
            refusal: view.refusal.map(RefusalBody::from),
            receipt: view.receipt.map(|receipt| receipt.to_string()),
            kept: view.kept.into_iter().map(KeptBody::from).collect(),
            status: StatusBody {
                drp,
                drp_reason,
                opendsr: view.state.open_dsr(),
            },
            history: view.history.into_iter().map(StepBody::from).collect(),
        }
    }
}

/// A person's requests.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestList)]
pub(crate) struct ListBody {
    /// In the order in which they came.
    pub(super) requests: Vec<ViewBody>,
}

/// What a step came to.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestStepped)]
pub(crate) struct SteppedBody {
    /// The request from then on.
    request: ViewBody,
    /// The receipt of an erasure; null where nothing was erased.
    #[schema(value_type = Option<Object>)]
    receipt: Option<Value>,
    /// The link that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkBody>,
}

/// A link with which a person picks their copy up. It is told once, and is for that person alone.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestLink)]
pub(crate) struct LinkBody {
    /// Where it leads.
    url: String,
    /// Until when it opens.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl SteppedBody {
    pub(super) fn with_link(given: LinkGiven, base: &str) -> Self {
        Self {
            link: Some(LinkBody {
                url: format!("{base}{}", &*given.path),
                expires_at: given.expires_at.to_string(),
            }),
            ..Self::from(given.stepped)
        }
    }
}

impl From<RequestStepped> for SteppedBody {
    fn from(stepped: RequestStepped) -> Self {
        Self {
            request: stepped.view.into(),
            receipt: stepped.receipt,
            link: None,
        }
    }
}

/// A request in the queue, without a value.
#[derive(Serialize, ToSchema)]
#[schema(as = QueuedRequest)]
pub(crate) struct QueuedBody {
    /// Its id.
    request: String,
    /// The person's id.
    subject: String,
    /// Which right.
    r#type: &'static str,
    /// How far it has come.
    state: &'static str,
    /// When it came in.
    #[schema(format = DateTime)]
    received_at: String,
    /// The last day for an answer if nothing pauses it.
    #[schema(format = Date)]
    due: String,
    /// The same where the vault waited for the person; null while it waits.
    #[schema(format = Date)]
    due_effective: Option<String>,
    /// Whether it is open and the strict end is over.
    overdue: bool,
    /// Days until the strict last day; negative when it is over.
    days_left: i32,
}

impl From<QueuedRequest> for QueuedBody {
    fn from(one: QueuedRequest) -> Self {
        Self {
            request: one.request.to_string(),
            subject: one.subject.to_string(),
            r#type: one.kind.name(),
            state: one.state.name(),
            received_at: one.received_at.to_string(),
            due: one.due.on.to_string(),
            due_effective: one.effective_on.map(|day| day.to_string()),
            overdue: one.overdue,
            days_left: one.days_left,
        }
    }
}

/// A page of the queue.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestQueue)]
pub(crate) struct PageBody {
    /// Those that are due first before the others.
    requests: Vec<QueuedBody>,
    /// `cursor` of the next page; null where there is none.
    next: Option<String>,
}

impl From<QueuePage> for PageBody {
    fn from(page: QueuePage) -> Self {
        Self {
            requests: page.requests.into_iter().map(QueuedBody::from).collect(),
            next: page.next,
        }
    }
}

fn json(body: impl Serialize) -> Value {
    serde_json::to_value(body).expect("texts, numbers and lists serialise")
}

/// A request as the API answers it, for whoever answers without a server.
#[must_use]
pub fn request_view(view: RequestView) -> Value {
    json(ViewBody::from(view))
}

/// The same of a step.
#[must_use]
pub fn request_stepped(stepped: RequestStepped) -> Value {
    json(SteppedBody::from(stepped))
}

/// The same of a confirmation.
#[must_use]
pub fn request_confirmation(given: Confirmation) -> Value {
    json(ConfirmBody::from(given))
}

/// The same of a page of the queue.
#[must_use]
pub fn request_page(page: QueuePage) -> Value {
    json(PageBody::from(page))
}

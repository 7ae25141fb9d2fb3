//! Calls about requests of people (Chapter III GDPR): taken down, looked at, dealt with, and the queue of all.
//!
//! A step is decided by the machine (`request::machine`) and by who calls; what it does to somebody's data is
//! done by the call that does it alone, in the commit that says so.

mod confirm;
mod create;
mod effects;
mod export;
pub(super) mod link;
mod queue;
pub(super) mod spoken;
mod steps;
mod watch;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};

use super::call::{Context, Noted};
use super::input;
use super::{Call, Vault};
use crate::commit::View;
use crate::deadline::{self, Due, Running};
use crate::id::{DecisionId, ReceiptId, RecordId, RequestId, SubjectId};
use crate::person::Person;
use crate::policy::{Capability, Period, Policy, RestrictionGround};
use crate::refusal::Refusal;
use crate::request::stored::{self, RequestEvent};
use crate::request::{DelayReason, Exemption, Level, RequestKind, RequestState};

pub use crate::request::stored::{Extension, Kept, RefusalGiven, StepWord};
pub use confirm::Confirmation;
pub(super) use create::{create, review_of};
pub use queue::{QueueFilter, QueuePage, QueuedRequest};
use steps::keep;
pub(super) use steps::reviewed;
pub(super) use watch::Watched;
pub use watch::{RequestAlarm, RequestFigures, RequestsDue};

/// Who may see and take back a request of a person, and who deals with it.
const OWN: [Capability; 2] = [Capability::RequestsCreate, Capability::RequestsDecide];

/// What somebody asks for.
#[derive(Clone)]
pub struct RequestInput {
    /// Which right.
    pub kind: RequestKind,
    /// The person's words.
    pub details: Option<String>,
    /// In which language they are answered, BCP 47; the first of the policy without one.
    pub language: Option<String>,
    /// When it came in, where that was before now: a letter, say.
    pub received_at: Option<Timestamp>,
    /// The purpose of an objection or a withdrawal.
    pub purpose: Option<String>,
    /// The ground of a restriction.
    pub ground: Option<RestrictionGround>,
    /// The collections of a restriction or an erasure; all, where there is none.
    pub collections: Vec<String>,
    /// The decision that a human is to look at, where one is named: it is contested with the request.
    pub decision: Option<DecisionId>,
}

/// Silent about what the person said.
impl std::fmt::Debug for RequestInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestInput")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What is to be corrected: members of one record.
#[derive(Clone)]
pub struct CorrectionInput {
    /// The collection's name.
    pub collection: String,
    /// The record of a `many` collection.
    pub record: Option<RecordId>,
    /// The fields, as in a change of the record.
    pub fields: Map<String, Value>,
}

/// Silent about values.
impl std::fmt::Debug for CorrectionInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CorrectionInput")
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

/// A step to be taken.
#[derive(Clone)]
pub enum RequestStep {
    /// Carry it out. A package is made by [`Vault::export_request`].
    Approve {
        /// What [`Vault::confirm_request`] gave, for what cannot be undone.
        confirmation: Option<String>,
        /// What is corrected.
        correction: Option<CorrectionInput>,
        /// What the person is told, where the answer is words.
        answer: Option<String>,
    },
    /// The person was asked what they mean.
    AskClarification {
        /// The question.
        question: String,
    },
    /// The person was asked who they are.
    AskIdentity {
        /// What was asked for.
        question: Option<String>,
    },
    /// The person takes it back.
    Cancel {
        /// In their words.
        reason: Option<String>,
    },
    /// Somebody looks at who they are.
    CheckByHand {
        /// What there is to look at.
        note: Option<String>,
    },
    /// The person said what they mean.
    Clarify {
        /// Their words.
        answer: String,
    },
    /// The answer takes longer.
    Extend {
        /// Why.
        reason: DelayReason,
        /// By how much; as much as the policy allows without it.
        period: Option<Period>,
    },
    /// It is refused.
    Refuse {
        /// For which exemption.
        code: Exemption,
        /// Under which law.
        law: String,
        /// Who approved it.
        approver: String,
        /// What the person is told as the reason, in their language.
        reason: String,
    },
    /// Somebody looks at the matter.
    Review {
        /// At what.
        note: Option<String>,
    },
    /// A human knows who asks.
    Verify {
        /// By what.
        evidence: String,
    },
}

impl RequestStep {
    /// Whether the request is closed with it.
    const fn ends(&self) -> bool {
        matches!(
            self,
            Self::Approve { .. } | Self::Cancel { .. } | Self::Refuse { .. }
        )
    }

    /// The action of its entry in the log.
    const fn action(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "requests.approve",
            Self::AskClarification { .. } | Self::Clarify { .. } => "requests.clarify",
            Self::AskIdentity { .. } | Self::CheckByHand { .. } | Self::Verify { .. } => {
                "requests.identity"
            }
            Self::Cancel { .. } => "requests.cancel",
            Self::Extend { .. } => "requests.extend",
            Self::Refuse { .. } => "requests.refuse",
            Self::Review { .. } => "requests.review",
        }
    }
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for RequestStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.action())
    }
}

/// One step of a request.
#[derive(Clone)]
pub struct RequestStepView {
    /// What happened.
    pub step: StepWord,
    /// Where the request stood from then on.
    pub state: RequestState,
    /// How well it was known who asks.
    pub level: Level,
    /// The role of whoever took it; empty where a restored vault knows no more.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was said with it.
    pub words: Option<String>,
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for RequestStepView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestStepView")
            .field("step", &self.step)
            .field("state", &self.state)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A request as it stands, and how that came.
#[derive(Clone, Debug)]
pub struct RequestView {
    /// Which.
    pub request: RequestId,
    /// Whose.
    pub subject: SubjectId,
    /// Which right.
    pub kind: RequestKind,
    /// How far it has come.
    pub state: RequestState,
    /// How well it is known who asks.
    pub level: Level,
    /// When it came in.
    pub received_at: Timestamp,
    /// Until when the answer is due if nothing pauses it.
    pub due: Due,
    /// The same where the vault waited for the person; `None` while it waits.
    pub effective: Option<Due>,
    /// Whether it is open and the strict end is over.
    pub overdue: bool,
    /// In which language the person is answered.
    pub language: String,
    /// The purpose of an objection or a withdrawal.
    pub purpose: Option<String>,
    /// The ground of a restriction.
    pub ground: Option<RestrictionGround>,
    /// The collections of a restriction or an erasure; all, where there is none. `#0` for some that the person has not
    /// named.
    pub collections: Vec<String>,
    /// The decision that a human is to look at.
    pub decision: Option<DecisionId>,
    /// That the answer takes longer.
    pub extension: Option<Extension>,
    /// Why it was refused.
    pub refusal: Option<RefusalGiven>,
    /// What stands for the erasure.
    pub receipt: Option<ReceiptId>,
    /// What a law keeps.
    pub kept: Vec<Kept>,
    /// Every step, oldest first.
    pub history: Vec<RequestStepView>,
}

/// What a step came to.
#[derive(Clone)]
pub struct RequestStepped {
    /// The request from then on.
    pub view: RequestView,
    /// The receipt of an erasure.
    pub receipt: Option<Value>,
}

/// Silent about the receipt, which opens what the vault keeps closed.
impl std::fmt::Debug for RequestStepped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestStepped")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

/// How much of what was said with a step is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// All of it.
    All,
    /// What was said to the person or by them.
    Told,
    /// Nothing: an unlock secret shows no values.
    None,
}

/// Whether the caller deals with requests.
fn decides(context: &Context, policy: &Policy) -> bool {
    let capability = Capability::RequestsDecide;
    context.principal.require(policy, capability).is_ok()
}

/// Whoever deals with requests sees what was noted beside them, too.
fn words(context: &Context, policy: &Policy) -> Words {
    let secret = context.principal.token().is_none() && context.principal.scope().is_none();
    match (secret, decides(context, policy)) {
        (true, _) => Words::None,
        (false, true) => Words::All,
        (false, false) => Words::Told,
    }
}

/// A request as the steps tell it: at least one.
fn view(
    policy: &Policy,
    seen: Words,
    subject: SubjectId,
    steps: &[RequestEvent],
    now: Timestamp,
) -> Option<RequestView> {
    let last = steps.last()?;
    let step = |event: &RequestEvent| RequestStepView {
        step: event.step,
        state: event.state,
        level: event.level,
        by: event.by.clone(),
        at: event.at,
        // What was noted for those who look at it is not the person's to read in a conversation.
        words: event.words.clone().filter(|_| match seen {
            Words::All => true,
            Words::Told => is_told(event.step),
            Words::None => false,
        }),
    };
    // Who wrote a law or a reason down may have written anything.
    let silent = seen == Words::None;
    let (extension, refusal) = (last.extension.clone(), last.refusal.clone());
    let purpose = last.scope.purpose;
    let purpose = purpose.and_then(|id| Some(policy.purpose_by_id(id)?.name.clone()));
    Some(RequestView {
        request: last.request,
        subject,
        kind: last.kind,
        state: last.state,
        level: last.level,
        received_at: last.received,
        due: last.strict,
        effective: last.effective,
        overdue: !last.state.is_closed() && last.strict.is_over(now),
        language: last.language.clone(),
        purpose,
        ground: last.scope.ground,
        collections: input::collection_names(policy, &last.scope.collections),
        decision: last.scope.decision,
        extension: extension.map(|one| if silent { one.silent() } else { one }),
        refusal: refusal.map(|given| if silent { given.silent() } else { given }),
        receipt: last.receipt,
        kept: last.kept.clone(),
        history: steps.iter().map(step).collect(),
    })
}

/// Whether what was said with a step was said to the person or by them.
const fn is_told(step: StepWord) -> bool {
    !matches!(
        step,
        StepWord::IdentityByHand | StepWord::IdentityVerified | StepWord::ReviewBegun
    )
}

/// Counts both ends of a request anew; what the ledger says of the strict one stands, until it is extended here.
fn count_ends(policy: &Policy, event: &mut RequestEvent) {
    let rules = policy.requests();
    let extension = event.extension.as_ref();
    let extension = extension.and_then(|one| Period::parse(&one.period).ok());
    let from_ledger = event.from_ledger.as_ref();
    let stands = from_ledger.filter(|from| from.extended || extension.is_none());
    let running = Running {
        received: event.received,
        known: stands.map(|from| from.due),
        extension: extension.as_ref(),
        pauses: &event.pauses,
    };
    event.strict = deadline::strict(rules, running);
    event.effective = deadline::effective(rules, running);
}

/// The day where the controller is.
fn today(policy: &Policy, now: Timestamp) -> Date {
    deadline::day_of(policy.requests(), now)
}

/// The person of a request, if the caller may look at it: whoever may not is told that there is none.
fn met(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    request: RequestId,
    any: &[Capability],
) -> Result<Person, Refusal> {
    context.principal.require_own(policy, any)?;
    let hit = stored::whose(view, request)?;
    noted.met = Some(hit.subject);
    let person = context
        .remains(view, hit.subject)
        .map_err(|refusal| match refusal {
            Refusal::NotFound(_) => Refusal::NotFound("request"),
            other => other,
        })?;
    noted.person(&person, view.now());
    Ok(person)
}

fn read(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    request: RequestId,
) -> Result<RequestView, Refusal> {
    let person = met(view, policy, context, noted, request, &OWN)?;
    let steps = stored::steps(view, &person, request)?;
    let seen = words(context, policy);
    self::view(policy, seen, person.subject, &steps, view.now()).ok_or(Refusal::NotFound("request"))
}

/// Every request of a person as they were told of it, in the order in which they came.
pub(super) fn told(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<Vec<RequestView>, Refusal> {
    all(view, policy, Words::Told, person)
}

fn all(
    view: &dyn View,
    policy: &Policy,
    seen: Words,
    person: &Person,
) -> Result<Vec<RequestView>, Refusal> {
    let mut by_request: Vec<(RequestId, Vec<RequestEvent>)> = Vec::new();
    for event in stored::history(view, person)? {
        match by_request.iter_mut().find(|(id, _)| *id == event.request) {
            Some((_, steps)) => steps.push(event),
            None => by_request.push((event.request, vec![event])),
        }
    }
    let views = by_request
        .iter()
        .filter_map(|(_, steps)| self::view(policy, seen, person.subject, steps, view.now()));
    Ok(views.collect())
}

/// The same of a person whom the call is about.
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Vec<RequestView>, Refusal> {
    noted.met = Some(subject);
    context.principal.require_own(policy, &OWN)?;
    let person = context.remains(view, subject)?;
    noted.person(&person, view.now());
    all(view, policy, words(context, policy), &person)
}

impl Vault {
    /// Takes down what a person asks for. What they say alone, an objection or a withdrawal, takes effect with it.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`] where the person has too many; [`Refusal::NotFound`], [`Refusal::Erased`],
    /// [`Refusal::RoleDenied`], [`Refusal::Invalid`], [`Refusal::Conflict`] for a purpose that the right does not
    /// reach.
    pub fn create_request(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: RequestInput,
    ) -> Result<RequestView, Refusal> {
        let view = self.write(
            call,
            "requests.create",
            move |txn, policy, context, noted| create(txn, policy, context, noted, subject, &input),
        )?;
        self.memory.requests.changed();
        self.memory.decisions.changed();
        Ok(view)
    }

    /// One request.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], also of somebody who is erased; [`Refusal::RoleDenied`].
    pub fn read_request(
        &self,
        call: &Call<'_>,
        request: RequestId,
    ) -> Result<RequestView, Refusal> {
        let subject = stored::whose(&self.snapshot()?, request).ok();
        self.read(
            call,
            "requests.read",
            subject.map(|hit| hit.subject),
            |snapshot, policy, context, noted| read(snapshot, policy, context, noted, request),
            |view| view,
        )
    }

    /// Every request of a person, in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn list_requests(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<RequestView>, Refusal> {
        self.read(
            call,
            "requests.read",
            Some(subject),
            |snapshot, policy, context, noted| list(snapshot, policy, context, noted, subject),
            |views| views,
        )
    }
}

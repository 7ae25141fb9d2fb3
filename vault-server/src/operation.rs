//! Operations: what a bot does about people, alone or with others in one commit.
//!
//! A handler says what its operation needs and what it does at a desk; here it is run alone. Knows
//! nothing of batches, which run the same operations. Where a call carries an idempotency key, its
//! answer is written with the change and given again from there.

use std::sync::Arc;

use axum::http::Method;
use serde_json::Value;
use vault_core::id::SubjectId;
use vault_core::vault::{Desk, Once};

use crate::asked::{self, Asked};
use crate::call::{Outcome, Session};
use crate::code::Code;
use crate::group::{Group, Step};
use crate::idempotency::{Begin, Key, Remember, Running, digest};
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::state::App;

/// Whether an operation changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// It reads.
    Never,
    /// It finds, and makes what it does not find.
    Unless,
    /// It writes.
    Always,
}

/// One thing that a bot does.
pub(crate) struct Operation {
    /// Whether it moves values, for a purpose that is to be stated.
    pub(crate) purpose: bool,
    /// Whether it has a body.
    pub(crate) body: bool,
    /// Whether it tells who is known: counted against the look-ups of the API key.
    pub(crate) looks_up: bool,
    /// Whether it is a person's right, which is not refused where other calls are.
    pub(crate) right: bool,
    pub(crate) changes: Changes,
    pub(crate) remember: Remember,
    /// What it does. May run more than once for one call, so it changes nothing but the desk.
    pub(crate) perform: Perform,
}

/// What an operation does at a desk.
type Perform = fn(&mut Desk<'_, '_>, &Asked) -> Outcome;

impl Operation {
    /// One that reads, without a body, what is no value. Whatever is otherwise is said beside it.
    pub(crate) const fn reading(perform: Perform) -> Self {
        Self {
            purpose: false,
            body: false,
            looks_up: false,
            right: false,
            changes: Changes::Never,
            remember: Remember::Again,
            perform,
        }
    }

    /// One that writes what its body says, no values. Whatever is otherwise is said beside it.
    pub(crate) const fn changing(perform: Perform) -> Self {
        Self {
            body: true,
            changes: Changes::Always,
            remember: Remember::Reply,
            ..Self::reading(perform)
        }
    }

    /// Whether its answer may be given again to a call that is sent again.
    pub(crate) fn remembered(&self) -> bool {
        self.changes != Changes::Never && self.remember != Remember::Again
    }

    /// Performs it; `purpose` is demanded first, as of a request of its own.
    pub(crate) fn perform(&self, desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
        if self.purpose {
            asked::demand_purpose(asked.purpose.as_deref(), asked.session_subject)?;
        }
        desk.state(asked.purpose.as_deref());
        (self.perform)(desk, asked)
    }
}

/// What was parsed; where it did not parse, whoever lacks the capability is told that first.
///
/// # Errors
///
/// 403 `role_denied`, else what the parser said.
pub(crate) fn parsed<T>(
    desk: &Desk<'_, '_>,
    capability: &str,
    parsed: Result<T, Problem>,
) -> Result<T, Problem> {
    match parsed {
        Ok(parsed) => Ok(parsed),
        Err(problem) => {
            desk.require(capability)?;
            Err(problem)
        }
    }
}

/// A call that may be sent again: where it stands in memory, and what it says.
pub(crate) struct Repeat {
    key: Key,
    name: String,
    fingerprint: [u8; 32],
}

impl Repeat {
    /// Of a POST that carries an idempotency key.
    pub(crate) fn of(incoming: &Incoming) -> Option<Self> {
        let name = incoming.idempotency_key.clone()?;
        let bearer = incoming.bearer.as_deref()?;
        (incoming.method == Method::POST).then(|| Self {
            key: digest(&[bearer.as_bytes(), name.as_bytes()]),
            fingerprint: incoming.fingerprint(),
            name,
        })
    }

    /// For the vault, which keeps the answer.
    pub(crate) fn once(&self) -> Once {
        Once::new(&self.name, self.fingerprint)
    }

    /// Begins the call, unless the same one is under way.
    ///
    /// # Errors
    ///
    /// As for [`Idempotency::begin`](crate::idempotency::Idempotency::begin).
    pub(crate) fn begin(
        &self,
        session: &Session,
        subject: Option<SubjectId>,
        remember: Remember,
    ) -> Result<Running, Problem> {
        let now = session.app.settings().clock.now();
        let memory = session.app.idempotency();
        match memory.begin(self.key, self.fingerprint, subject, remember, now)? {
            Begin::Fresh(running) => Ok(running),
            // Only calls without a person are answered from memory, and this is none.
            Begin::Replay(_) => Err(Problem::new(Code::IdempotencyMismatch)),
        }
    }
}

impl App {
    /// Runs a request of one operation.
    pub(crate) async fn operate(
        &self,
        incoming: Incoming,
        operation: &'static Operation,
    ) -> Outcome {
        if operation.purpose {
            incoming.demand_purpose()?;
        }
        let body = match operation.body {
            true => incoming.json()?,
            false => Value::Null,
        };
        let (asked, repeat) = (incoming.asked(body), Repeat::of(&incoming));
        let right = operation.right;
        let work = move |session: &Session| alone(session, operation, asked, repeat.as_ref());
        match right {
            true => self.right(incoming, work).await,
            false => self.call(incoming, work).await,
        }
    }
}

fn alone(
    session: &Session,
    operation: &'static Operation,
    asked: Asked,
    repeat: Option<&Repeat>,
) -> Outcome {
    if operation.looks_up {
        session.count_lookup()?;
    }
    let running = repeat
        .map(|repeat| repeat.begin(session, asked.person(), operation.remember))
        .transpose()?;
    let person = asked.person();
    let steps = vec![Step {
        index: 0,
        operation,
    }];
    let asked = Arc::new(asked);
    let group = Group {
        steps,
        person,
        results_bytes_max: usize::MAX,
    };
    let answers = group.run(session, repeat, move |_, _| Ok(asked.clone()))?;
    let first = answers.outcomes.into_iter().next();
    let reply = first.unwrap_or(Err(Problem::new(Code::Internal)))?;
    if let Some(running) = running {
        match operation.remembered() {
            true => running.kept(),
            false => running.done(&reply),
        }
    }
    Ok(reply)
}

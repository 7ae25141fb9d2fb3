//! A group: operations about one person, of which all or nothing happens.
//!
//! Knows nothing of how they were sent. A group is run at a desk of the vault, perhaps more than once,
//! and is pure. What it changes is remembered together, so that a call that is sent again is answered
//! from there; what it reads is read, and decided, each time.

use std::sync::Arc;

use vault_core::id::SubjectId;
use vault_core::vault::{Answer, Desk, Group as Wanted};

use crate::asked::Asked;
use crate::call::{Outcome, Session};
use crate::code::Code;
use crate::idempotency::Remember;
use crate::operation::{Changes, Operation, Repeat};
use crate::problem::Problem;
use crate::reply::Reply;

/// One operation of a group.
pub(crate) struct Step {
    /// Its place in the call.
    pub(crate) index: usize,
    pub(crate) operation: &'static Operation,
}

/// Operations about one person, in order.
pub(crate) struct Group {
    pub(crate) steps: Vec<Step>,
    /// The person, where a path names them.
    pub(crate) person: Option<SubjectId>,
    /// How long the bodies of its results may be together.
    pub(crate) results_bytes_max: usize,
}

/// What the operations of a group are answered, in their order.
pub(crate) struct Answers {
    pub(crate) outcomes: Vec<Outcome>,
    /// Whether what they change had been done, and was answered from memory.
    pub(crate) recalled: bool,
}

/// The parts of one of its operations: its place in the group, and what those before it were answered.
pub(crate) trait Resolve:
    Fn(usize, &[Outcome]) -> Result<Arc<Asked>, Problem> + Send + 'static
{
}

impl<T: Fn(usize, &[Outcome]) -> Result<Arc<Asked>, Problem> + Send + 'static> Resolve for T {}

impl Group {
    /// Runs the group.
    ///
    /// # Errors
    ///
    /// What kept the vault from running it at all. A refusal of one of its operations stands among
    /// the answers.
    pub(crate) fn run(
        self,
        session: &Session,
        repeat: Option<&Repeat>,
        resolve: impl Resolve,
    ) -> Result<Answers, Problem> {
        let remembered = self.steps.iter().any(|step| step.operation.remembered());
        let once = repeat.filter(|_| remembered).map(Repeat::once);
        let changes = self.steps.iter().any(|step| match step.operation.changes {
            Changes::Never => false,
            // Most find somebody, and a read does not wait for a commit.
            Changes::Unless => once.is_some(),
            Changes::Always => true,
        });
        let wanted = Wanted {
            changes,
            subject: self.person,
            once,
        };
        let done = session
            .vault
            .together(&session.call(), wanted, move |desk, before| {
                let mut run = Run {
                    group: &self,
                    recalled: None,
                    outcomes: Vec::with_capacity(self.steps.len()),
                    bytes: 0,
                };
                let done = run.all(desk, &resolve, before);
                match done {
                    Ok(()) => Ok(run.answers(before)),
                    Err((position, problem)) => Err(run.failed(position, *problem)),
                }
            })?;
        Ok(done.unwrap_or_else(|failed| failed))
    }
}

/// One run of a group.
struct Run<'a> {
    group: &'a Group,
    /// What the changes were answered when the call was made before.
    recalled: Option<Vec<Answer>>,
    outcomes: Vec<Outcome>,
    bytes: usize,
}

impl Run<'_> {
    /// Runs every operation, or up to the first that fails: its place and why.
    fn all(
        &mut self,
        desk: &mut Desk<'_, '_>,
        resolve: &impl Resolve,
        before: Option<&Answers>,
    ) -> Result<(), (usize, Box<Problem>)> {
        if let (None, Some(person)) = (before, self.group.person) {
            self.recalled = desk
                .recall(person)
                .map_err(|refusal| (0, Box::new(refusal.into())))?;
        }
        let group = self.group;
        for (position, step) in group.steps.iter().enumerate() {
            let outcome = match (before, self.given_before(step)) {
                (Some(before), _) if step.operation.changes != Changes::Never => {
                    before.outcomes[position].clone()
                }
                (_, Some(reply)) => Ok(reply),
                _ => self.one(desk, step, resolve(position, &self.outcomes)),
            };
            let outcome = outcome.and_then(|reply| self.within(reply));
            // What is changed is changed: a read that is refused now takes nothing of it back.
            let done = before.is_some() || self.recalled.is_some();
            match outcome {
                Err(problem) if !done => return Err((position, Box::new(problem))),
                outcome => self.outcomes.push(outcome),
            }
        }
        match before {
            None => self.keep(desk),
            Some(_) => Ok(()),
        }
    }

    fn one(
        &mut self,
        desk: &mut Desk<'_, '_>,
        step: &Step,
        asked: Result<Arc<Asked>, Problem>,
    ) -> Outcome {
        let reply = step.operation.perform(desk, &*asked?)?;
        // Whom an operation finds by another name than their id is known only now; finding them has
        // changed nothing.
        if step.operation.changes == Changes::Unless
            && reply.status == 200
            && self.recalled.is_none()
            && let Some(person) = desk.person()
        {
            self.recalled = desk.recall(person)?;
            return Ok(self.given_before(step).unwrap_or(reply));
        }
        Ok(reply)
    }

    /// What was answered to this operation when the call was made before.
    fn given_before(&self, step: &Step) -> Option<Reply> {
        let found = self
            .recalled
            .iter()
            .flatten()
            .find(|answer| answer.operation as usize == step.index);
        found.cloned().map(Reply::from_answer)
    }

    fn within(&mut self, reply: Reply) -> Outcome {
        self.bytes = self.bytes.saturating_add(reply.body.len());
        if self.bytes <= self.group.results_bytes_max {
            return Ok(reply);
        }
        Err(Problem::with_detail(
            Code::TooLarge,
            "the results of a batch are longer together than 16 MiB; ask for less, or in more calls",
        ))
    }

    /// Remembers what is answered to the changes.
    fn keep(&self, desk: &mut Desk<'_, '_>) -> Result<(), (usize, Box<Problem>)> {
        let (None, Some(person)) = (&self.recalled, desk.person()) else {
            return Ok(());
        };
        let kept: Vec<(&Step, &Outcome)> = self
            .group
            .steps
            .iter()
            .zip(&self.outcomes)
            .filter(|(step, _)| step.operation.remembered())
            .collect();
        let Some(last) = kept.last() else {
            return Ok(());
        };
        // A secret is shown once: of such an answer only that it was given is kept.
        let secret = kept
            .iter()
            .any(|(step, _)| step.operation.remember == Remember::Made);
        let answers = kept.iter().filter_map(|(step, outcome)| {
            let index = u32::try_from(step.index).ok()?;
            Some(outcome.as_ref().ok()?.to_answer(index))
        });
        let answers = (!secret).then(|| answers.collect());
        let last = self
            .group
            .steps
            .iter()
            .position(|step| step.index == last.0.index);
        desk.keep(person, answers)
            .map_err(|refusal| (last.unwrap_or(0), Box::new(refusal.into())))
    }

    fn answers(self, before: Option<&Answers>) -> Answers {
        Answers {
            recalled: self.recalled.is_some() || before.is_some_and(|before| before.recalled),
            outcomes: self.outcomes,
        }
    }

    /// The operation at this place failed, and so did all.
    fn failed(self, position: usize, problem: Problem) -> Answers {
        let index = self.group.steps[position].index;
        let of = |place: usize| {
            if place == position {
                return Err(problem.clone());
            }
            Err(Problem::with_detail(
                Code::BatchFailed,
                format!(
                    "operation {index} failed, so nothing of what the batch does about this person has happened"
                ),
            ))
        };
        Answers {
            outcomes: (0..self.group.steps.len()).map(of).collect(),
            recalled: false,
        }
    }
}

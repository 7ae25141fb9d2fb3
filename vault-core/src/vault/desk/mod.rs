//! A desk: where calls about one person are carried out together, over one transaction or snapshot.
//!
//! Each is checked, decided and noted as if it came alone; what it leaves becomes true, or may be
//! shown, only with all the others. Made by [`Vault::together`](super::Vault::together) alone.

mod calls;
mod rights;

use std::sync::Arc;

use super::call::{Context, Noted};
use super::guard::Memory;
use super::honey::Met;
use super::input;
use super::together::Once;
use crate::answer::{self, Answer};
use crate::audit::Entry;
use crate::commit::{Snapshot, Txn, View};
use crate::id::SubjectId;
use crate::person::Person;
use crate::policy::{Capability, CollectionKind, Policy};
use crate::refusal::Refusal;
use crate::session;

/// What a desk stands on.
pub(super) enum Ground<'a, 't> {
    /// One committed state: nothing can be changed.
    Snapshot(&'a Snapshot),
    /// What is to be the next.
    Transaction(&'a mut Txn<'t>),
}

impl Ground<'_, '_> {
    fn view(&self) -> &dyn View {
        match self {
            Self::Snapshot(snapshot) => *snapshot,
            Self::Transaction(txn) => &**txn,
        }
    }
}

/// Where calls about one person are carried out together; see the module.
pub struct Desk<'a, 't> {
    ground: Ground<'a, 't>,
    policy: Arc<Policy>,
    context: Context,
    memory: &'a Memory,
    once: Option<&'a Once>,
    left: Left,
}

/// What the calls at a desk have left.
#[derive(Default)]
pub(super) struct Left {
    /// The one person whom they are about, once that is known.
    pub(super) subject: Option<SubjectId>,
    /// Whom they met who does not exist.
    pub(super) met: Vec<Met>,
    /// Their entries, refusals among them, in order.
    pub(super) entries: Vec<Entry>,
    /// Whether anything was read.
    pub(super) saw: bool,
    /// Whether a change failed: what it had begun may lie in the transaction.
    pub(super) spoiled: bool,
    /// Whether something was to be changed where nothing can be.
    pub(super) wants_commit: bool,
}

impl<'a, 't> Desk<'a, 't> {
    pub(super) fn new(
        ground: Ground<'a, 't>,
        policy: Arc<Policy>,
        context: Context,
        memory: &'a Memory,
        once: Option<&'a Once>,
    ) -> Self {
        Self {
            ground,
            policy,
            context,
            memory,
            once,
            left: Left::default(),
        }
    }

    pub(super) fn leave(self) -> Left {
        self.left
    }

    /// States what the next calls are for.
    pub fn state(&mut self, purpose: Option<&str>) {
        self.context = self.context.stating(purpose);
    }

    /// What comes now is from a file: nobody does it at this moment.
    pub(super) fn take_from_file(&mut self) {
        self.context.from_file = true;
    }

    /// The person whom the calls are about, once one of them has said so.
    #[must_use]
    pub fn person(&self) -> Option<SubjectId> {
        self.left.subject
    }

    /// Whether the caller may do what this capability names.
    ///
    /// # Errors
    ///
    /// As for [`Vault::require`](super::Vault::require).
    pub fn require(&self, capability: &str) -> Result<(), Refusal> {
        self.context.principal.check(self.ground.view())?;
        let capability = Capability::parse(capability)
            .ok_or_else(|| Refusal::RoleDenied("there is no such capability".into()))?;
        self.context.principal.require(&self.policy, capability)
    }

    /// Which kind a collection is.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn collection_kind(&self, collection: &str) -> Result<CollectionKind, Refusal> {
        Ok(input::collection(&self.policy, collection)?.kind)
    }

    /// One desk, one person: the last check before values leave is about them.
    fn about(&mut self, subject: SubjectId) -> Result<(), Refusal> {
        if *self.left.subject.get_or_insert(subject) == subject {
            return Ok(());
        }
        self.left.spoiled = true;
        Err(Refusal::Internal("calls about two people ran together"))
    }

    fn look<T>(
        &mut self,
        action: &'static str,
        subject: Option<SubjectId>,
        f: impl FnOnce(&dyn View, &Policy, &Context, &Memory, &mut Noted) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        subject.map_or(Ok(()), |subject| self.about(subject))?;
        self.left.saw = true;
        let (mut noted, view, context) = (Noted::default(), self.ground.view(), &self.context);
        let seen = context
            .principal
            .check(view)
            .and_then(|()| f(view, &self.policy, context, self.memory, &mut noted));
        let seen = seen.and_then(|seen| self.spend(false).map(|()| seen));
        noted.met = noted.met.or(subject);
        self.note(action, noted, seen)
    }

    fn change<T>(
        &mut self,
        action: &'static str,
        subject: Option<SubjectId>,
        f: impl FnOnce(&mut Txn<'_>, &Policy, &Context, &Memory, &mut Noted) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        subject.map_or(Ok(()), |subject| self.about(subject))?;
        let Ground::Transaction(txn) = &mut self.ground else {
            return Err(self.wants_commit());
        };
        let (mut noted, context) = (Noted::default(), &self.context);
        let done = context
            .principal
            .check(&**txn)
            .and_then(|()| f(txn, &self.policy, context, self.memory, &mut noted));
        let done = done.and_then(|done| self.spend(true).map(|()| done));
        self.left.spoiled |= done.is_err();
        noted.met = noted.met.or(subject);
        self.note(action, noted, done)
    }

    fn wants_commit(&mut self) -> Refusal {
        self.left.wants_commit = true;
        // Nobody is answered with this: the calls begin again, in a transaction. An error of the
        // vault's own would be logged as one for each new person.
        Refusal::Overloaded
    }

    /// Counts a call of a session.
    fn spend(&mut self, write: bool) -> Result<(), Refusal> {
        match (&mut self.ground, self.context.principal.scope()) {
            (Ground::Transaction(txn), Some(scope)) => {
                session::spend(txn, scope.subject, scope.session, write)
            }
            _ => Ok(()),
        }
    }

    fn note<T>(
        &mut self,
        action: &'static str,
        noted: Noted,
        result: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (noted, outcome) = match &result {
            Ok(_) => (noted, "ok"),
            Err(refusal) => (noted.refused(), refusal.code()),
        };
        if let Some(person) = noted.met.and_then(|met| self.memory.honey.name(met)) {
            self.left.met.push(Met {
                person,
                action,
                outcome,
            });
        }
        let now = self.ground.view().now();
        let entry = self
            .context
            .entry(&self.policy, now, action, noted, outcome);
        self.left.entries.push(entry);
        result
    }

    /// What was answered to this call before, if it is one that may be sent again.
    ///
    /// # Errors
    ///
    /// [`Refusal::IdempotencyMismatch`], [`Refusal::Conflict`] if the answer was not kept.
    pub fn recall(&mut self, subject: SubjectId) -> Result<Option<Vec<Answer>>, Refusal> {
        let (Some(once), view) = (self.once, self.ground.view()) else {
            return Ok(None);
        };
        self.context.principal.check(view)?;
        let person = match self.context.person(view, subject) {
            Ok(person) => person,
            // Whoever is gone is the call's to find out.
            Err(Refusal::NotFound(_) | Refusal::Erased { .. } | Refusal::Held(_)) => {
                return Ok(None);
            }
            Err(refusal) => return Err(refusal),
        };
        let Some(name) = once.name(&self.context.principal) else {
            return Ok(None);
        };
        let found = answer::find(view, &person, &name);
        if matches!(found, Ok(None)) {
            return Ok(None);
        }
        let mut noted = Noted::default();
        noted.person(&person, view.now());
        self.about(subject)?;
        self.note("calls.repeat", noted, found)
    }

    /// Remembers what is being answered, for [`Desk::recall`]; without `answers`, that the call was
    /// made. Does nothing for a call that may not be sent again.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`] if the person has too many keys.
    pub fn keep(
        &mut self,
        subject: SubjectId,
        answers: Option<Vec<Answer>>,
    ) -> Result<(), Refusal> {
        self.about(subject)?;
        let (Some(once), Ground::Transaction(txn)) = (self.once, &mut self.ground) else {
            return Ok(());
        };
        let Some(name) = once.name(&self.context.principal) else {
            return Ok(());
        };
        let kept = Person::find(&**txn, subject)
            .and_then(|mut person| answer::keep(txn, &mut person, &name, answers));
        self.left.spoiled |= kept.is_err();
        kept
    }
}

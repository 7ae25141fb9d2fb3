//! Calls that run together: over one transaction, of which all or nothing happens, or over one
//! snapshot.
//!
//! What was read in a transaction leaves by the same last check as what is read alone: if something
//! of the person was revoked meanwhile, the reads, and only they, are decided and made again over the
//! state that there is now.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Vault;
use super::call::{Context, READ_TRIES, current};
use super::desk::{Desk, Ground};
use super::honey::Met;
use super::token::{Call, Principal};
use crate::answer::CallName;
use crate::audit::Entry;
use crate::crypto::sha256;
use crate::id::SubjectId;
use crate::refusal::Refusal;
use crate::revocation::Ticket;

/// What the writer is told to give up a transaction for, when the calls in it say so.
const TAKEN_BACK: &str = "the calls of a group were taken back";
/// The outcome, in the log, of a call that was taken back because of another.
const BATCH_FAILED: &str = "batch_failed";

/// A call that may be sent again: how its caller names it, and what it says.
#[derive(Clone)]
pub struct Once {
    name: String,
    fingerprint: [u8; 32],
    /// Whether the name is its caller's own; else it stands for the same call whoever makes it.
    of_caller: bool,
}

/// In the place of the hash of an API key, where a call is known by its name alone. No key has it.
const ANYBODY: &[u8] = b"vault/1 import";

impl Once {
    /// The call that its caller names `name`; `fingerprint` is SHA-256 over everything that it says.
    #[must_use]
    pub fn new(name: &str, fingerprint: [u8; 32]) -> Self {
        Self {
            name: name.into(),
            fingerprint,
            of_caller: true,
        }
    }

    /// A person's lines of an import, which begin with line `first`. An import goes on with another API key
    /// where the first was replaced, so that whose key it is does not belong to its name.
    pub(super) fn of_import(import: &str, first: u64, fingerprint: [u8; 32]) -> Self {
        Self {
            name: format!("import/{import}/{first}"),
            fingerprint,
            of_caller: false,
        }
    }

    /// The name among those of every caller; `None` for whoever has an unlock secret.
    pub(super) fn name(&self, principal: &Principal) -> Option<CallName<'_>> {
        let (key_sha256, session) = match self.of_caller {
            true => (principal.key_sha256()?, principal.session()),
            false => (sha256(&[ANYBODY]), None),
        };
        Some(CallName {
            key_sha256,
            session,
            name: &self.name,
            fingerprint: self.fingerprint,
        })
    }
}

/// What is known of calls before they run together.
#[derive(Clone, Default)]
pub struct Group {
    /// Whether they are to change anything.
    pub changes: bool,
    /// The person, where that is known.
    pub subject: Option<SubjectId>,
    /// If the answer is to be remembered.
    pub once: Option<Once>,
}

/// What the caller's thread and the writer's share.
struct Shared<F, R> {
    f: F,
    result: Option<Result<R, R>>,
    entries: Vec<Entry>,
    met: Vec<Met>,
    ticket: Option<Ticket>,
}

impl Vault {
    /// How many commits there were since the vault was opened.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.engine.commits()
    }

    /// Runs calls of one caller about one person together. `f` carries them out at the desk and
    /// returns their answers: with `Ok` everything that they changed happens in one commit, with
    /// `Err` nothing. It may run several times, the last of which counts; where it is given answers
    /// of an earlier run, the changes behind these are made, and it gives them back with nothing but
    /// the reads made again.
    ///
    /// # Errors
    ///
    /// Those of every read and write, and then nothing has happened except after
    /// [`Refusal::OutcomeUnknown`].
    pub fn together<R: Send + 'static>(
        &self,
        call: &Call<'_>,
        group: Group,
        mut f: impl FnMut(&mut Desk<'_, '_>, Option<&R>) -> Result<R, R> + Send + 'static,
    ) -> Result<Result<R, R>, Refusal> {
        self.check_open()?;
        let context = Context::new(call);
        // A session's reads are counted, which takes a commit in any case.
        if !group.changes && context.principal.scope().is_none() {
            let read = self.read_together(&context, group.subject, &mut f, None)?;
            if let Some(result) = read {
                return Ok(result);
            }
        }
        self.change_together(&context, group, f)
    }

    /// Runs calls over one snapshot; `None` if they want to change something.
    fn read_together<R>(
        &self,
        context: &Context,
        mut subject: Option<SubjectId>,
        f: &mut impl FnMut(&mut Desk<'_, '_>, Option<&R>) -> Result<R, R>,
        before: Option<&R>,
    ) -> Result<Option<Result<R, R>>, Refusal> {
        let mut alarmed = false;
        for _ in 0..READ_TRIES {
            let ticket = self.engine.revocation().ticket(subject);
            let snapshot = self.snapshot()?;
            let policy = self.policy_of(&snapshot)?;
            let ground = Ground::Snapshot(&snapshot);
            let mut desk = Desk::new(ground, policy, context.clone(), &self.memory, None);
            let result = f(&mut desk, before);
            let left = desk.leave();
            if left.wants_commit {
                return Ok(None);
            }
            if !alarmed {
                alarmed = !left.met.is_empty();
                left.met
                    .into_iter()
                    .for_each(|met| self.alarm(context, met));
            }
            if result.is_err() {
                self.note_taken_back(left.entries, BATCH_FAILED);
                return Ok(Some(result));
            }
            // Whom the calls are about came out only now: the ticket was for somebody else.
            if left.subject.is_some() && left.subject != subject {
                subject = left.subject;
                continue;
            }
            for entry in &left.entries {
                self.engine.record_read(entry)?;
            }
            if let Some(_hold) = self.engine.revocation().hold(ticket) {
                return Ok(Some(result));
            }
        }
        Err(Refusal::Overloaded)
    }

    fn change_together<R: Send + 'static>(
        &self,
        context: &Context,
        group: Group,
        f: impl FnMut(&mut Desk<'_, '_>, Option<&R>) -> Result<R, R> + Send + 'static,
    ) -> Result<Result<R, R>, Refusal> {
        let shared = Arc::new(Mutex::new(Shared {
            f,
            result: None,
            entries: Vec::new(),
            met: Vec::new(),
            ticket: None,
        }));
        let submitted = self.engine.submit({
            let (shared, context) = (shared.clone(), context.clone());
            let (memory, at_hand) = (self.memory.clone(), self.policy.lock().clone());
            move |txn| {
                let policy = current(txn, &at_hand)?;
                let shared = &mut *shared.lock();
                shared.result = None;
                let ground = Ground::Transaction(&mut *txn);
                let once = group.once.as_ref();
                let mut desk = Desk::new(ground, policy, context.clone(), &memory, once);
                let result = (shared.f)(&mut desk, None);
                let left = desk.leave();
                shared.entries = left.entries;
                shared.met = left.met;
                if result.is_ok() && left.spoiled {
                    return Err(Refusal::Internal("a change that failed was passed over"));
                }
                let done = result.is_ok();
                shared.result = Some(result);
                if !done {
                    return Err(Refusal::Internal(TAKEN_BACK));
                }
                for entry in &shared.entries {
                    txn.record(entry.clone());
                }
                shared.ticket = left.saw.then(|| txn.ticket(left.subject));
                Ok(left.subject)
            }
        });
        let shared = &mut *shared.lock();
        let met = std::mem::take(&mut shared.met);
        met.into_iter().for_each(|met| self.alarm(context, met));
        let subject = match submitted {
            Ok(subject) => subject,
            Err(refusal) => {
                let entries = std::mem::take(&mut shared.entries);
                let taken_back = matches!(refusal, Refusal::Internal(TAKEN_BACK));
                return match shared.result.take() {
                    Some(Err(answers)) if taken_back => {
                        self.note_taken_back(entries, BATCH_FAILED);
                        Ok(Err(answers))
                    }
                    _ => {
                        self.note_taken_back(entries, refusal.code());
                        Err(refusal)
                    }
                };
            }
        };
        let lost = || Refusal::Internal("a commit lost its result");
        let result = shared.result.take().ok_or_else(lost)?;
        let ticket = shared.ticket.take();
        self.hand_over(context, subject, &mut shared.f, result, ticket)
    }

    /// Gives out what calls were answered whose changes are committed; with a ticket, where they read
    /// anything, by the last check.
    pub(super) fn hand_over<R>(
        &self,
        context: &Context,
        subject: Option<SubjectId>,
        f: &mut impl FnMut(&mut Desk<'_, '_>, Option<&R>) -> Result<R, R>,
        result: Result<R, R>,
        ticket: Option<Ticket>,
    ) -> Result<Result<R, R>, Refusal> {
        let Some(ticket) = ticket else {
            return Ok(result);
        };
        if let Some(_hold) = self.engine.revocation().hold(ticket) {
            return Ok(result);
        }
        // The changes have happened whatever comes now, so that no refusal of this reading would be
        // the truth about them.
        let before = result.as_ref().ok();
        let again = self.read_together(context, subject, f, before);
        again.ok().flatten().ok_or(Refusal::OutcomeUnknown)
    }

    /// Calls that were taken back leave entries too: without person and fields, since nothing of
    /// theirs was shown or changed. One that was refused itself keeps whom it was about.
    fn note_taken_back(&self, entries: Vec<Entry>, outcome: &'static str) {
        for mut entry in entries {
            if entry.outcome == "ok" {
                entry.outcome = outcome.into();
                entry.subject = None;
            }
            entry.fields.clear();
            entry.receipt = None;
            // As for every refusal: a journal that cannot be written refuses reads itself.
            let _ = self.engine.record_read(&entry);
        }
    }
}

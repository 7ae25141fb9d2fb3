//! One turn of a conversation in which a person uses their rights: understood, decided by the machine, done and
//! answered in one commit.
//!
//! A turn is looked at twice. Over a snapshot first: most messages are no matter of rights, and change nothing;
//! and what is slow, to hash a code, is done there. Then in a transaction, over the state of that moment: if the
//! conversation went on meanwhile, the turn begins again. Codes are handed out when the commit is made.
//!
//! The person acts, not the bot: what a turn does rests on how well it is known who talks, and the bot needs
//! `dialogue.relay` and nothing else. Decision 0024, docs/dialogue.md.

mod account;
mod act;
mod ask;
mod choose;
mod codes;
mod facts;
mod hear;
mod input;
mod machine;
mod moves;
mod notice;
mod parts;
mod shape;
mod shown;
mod strangers;
mod take;
mod tell;
#[cfg(test)]
mod tests;
mod words;

pub use self::input::{TurnInput, Turned};
pub(super) use self::strangers::Strangers;
use self::strangers::{Slot, Stranger};
use self::take::{Looked, Plan, look, take};
use super::call::{Context, Noted, READ_TRIES};
use super::guard::Memory;
use super::{Call, Vault};
use crate::policy::RIGHTS;
use crate::refusal::Refusal;
use crate::store::Table;
use crate::talk::stored;

/// The conversation that lies in memory, for as long as a turn takes.
struct Held {
    slot: Option<Slot>,
}

impl Held {
    fn of(memory: &Memory, input: &TurnInput) -> Self {
        let conversation = input.conversation.as_deref();
        let name = memory
            .strangers
            .name(&input.channel, &input.user, conversation);
        Self {
            slot: memory.strangers.find(&name),
        }
    }

    fn stranger(&self) -> Option<Stranger> {
        self.slot.as_ref().and_then(|slot| slot.lock().clone())
    }
}

impl Vault {
    /// One turn of a conversation about rights: what somebody wrote or chose, and what is answered. What it does
    /// to the person's data is done when this returns; the codes that it returns are to be sent.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `dialogue.relay`, or for a channel that the key is not bound to;
    /// [`Refusal::IdempotencyMismatch`] for a message whose name came before with other content;
    /// [`Refusal::Invalid`], and those of every write.
    pub fn dialogue_turn(&self, call: &Call<'_>, input: &TurnInput) -> Result<Turned, Refusal> {
        const ACTION: &str = "dialogue.turn";
        let call = call.with_purpose(RIGHTS);
        for _ in 0..READ_TRIES {
            let held = Held::of(&self.memory, input);
            let looked = self.look_at(&call, input, held.stranger().as_ref());
            let (person, turns, heard, language, mut ready, erases, counts) = match looked {
                // Refusals and what changes nothing are reads, with their entry.
                Err(_) | Ok(Looked::Answer(_)) => {
                    let held = held.stranger();
                    let reply = self.read(
                        &call,
                        ACTION,
                        None,
                        |snapshot, policy, context, noted| {
                            look(snapshot, policy, context, noted, input, held.as_ref())
                        },
                        |looked| looked,
                    )?;
                    match reply {
                        Looked::Answer(reply) => {
                            return Ok(Turned {
                                reply,
                                codes: Vec::new(),
                            });
                        }
                        Looked::Turn { .. } => continue,
                    }
                }
                Ok(Looked::Turn {
                    person,
                    turns,
                    heard,
                    language,
                    ready,
                    erases,
                    counts,
                }) => (person, turns, heard, language, ready, erases, counts),
            };
            if erases && let Some(subject) = person {
                self.guard_from(subject)?;
            }
            if let Some(subject) = counts {
                ready.looked_up = Some(self.look_ups(subject)?);
            }
            let plan = Plan {
                input: input.clone(),
                person,
                turns,
                heard,
                language,
                ready,
                stranger: held.stranger(),
            };
            if let Some(turned) = self.take_turn(&call, ACTION, plan)? {
                return Ok(turned);
            }
        }
        Err(Refusal::Overloaded)
    }

    fn look_at(
        &self,
        call: &Call<'_>,
        input: &TurnInput,
        stranger: Option<&Stranger>,
    ) -> Result<Looked, Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let context = Context::new(call);
        context.principal.check(&snapshot)?;
        let mut noted = Noted::default();
        look(&snapshot, &policy, &context, &mut noted, input, stranger)
    }

    /// The commit of a turn, and what comes behind it.
    fn take_turn(
        &self,
        call: &Call<'_>,
        action: &'static str,
        mut plan: Plan,
    ) -> Result<Option<Turned>, Refusal> {
        let input = &plan.input;
        let conversation = input.conversation.as_deref();
        let name = self
            .memory
            .strangers
            .name(&input.channel, &input.user, conversation);
        // One turn at a time of whoever is not known here: what lies in memory is no part of a transaction.
        let slot = plan.person.is_none() || plan.stranger.is_some();
        let slot = slot.then(|| {
            let now = self.engine.now().as_millisecond();
            self.memory.strangers.slot(name, now)
        });
        let mut held = slot.as_ref().map(|slot| slot.lock());
        if let Some(held) = &held {
            let turns = held.as_ref().map_or(0, |stranger| stranger.talk.turns);
            if turns != plan.stranger.as_ref().map_or(0, |one| one.talk.turns) {
                return Ok(None);
            }
        }
        let taken = self.write(call, action, move |txn, policy, context, noted| {
            take(txn, policy, context, noted, &mut plan)
        })?;
        let Some(taken) = taken else {
            return Ok(None);
        };
        if let Some(stranger) = taken.stranger {
            match &mut held {
                Some(held) => **held = Some(stranger),
                None => {
                    let now = self.engine.now().as_millisecond();
                    let slot = self.memory.strangers.slot(name, now);
                    *slot.lock() = Some(stranger);
                }
            }
        }
        self.memory.requests.changed();
        self.count_links(&taken.reply);
        // Whoever forgets waits for every conversation, this one too.
        drop(held);
        if let Some((_, subject)) = taken.erased {
            self.memory.forget(subject);
        }
        if let Some(subject) = taken.parted {
            self.memory.strangers.silence(subject, Some(name));
        }
        Ok(Some(Turned {
            reply: taken.reply,
            codes: taken.codes,
        }))
    }

    /// Takes away conversations that are over.
    pub(super) fn sweep_dialogues(&self) -> Result<(), Refusal> {
        self.memory
            .strangers
            .sweep(self.engine.now().as_millisecond());
        self.sweep_rows(Table::Dialogues, stored::over)
    }
}

//! Notices to recipients (Art. 19 GDPR): for the server, what is to be sent and what came of it; for people,
//! what waits, what nobody took, and what somebody did by hand.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::call::{Context, Noted};
use super::input::{self, check_text};
use super::{Call, Principal, Vault, cursor};
use crate::commit::{Txn, View};
use crate::crypto::sha256;
use crate::holder::{self, Kind};
use crate::id::{CallId, PairwiseId, RecipientNoticeId};
use crate::limits::{PAGE_RECORDS_MAX, REASON_BYTES_MAX};
use crate::log_lines;
use crate::outbox::{self, Due, NoticeKind, NoticeRow, NoticeState, Place};
use crate::person::instant;
use crate::policy::{Capability, Policy, Recipient};
use crate::refusal::Refusal;

const CAPABILITY: Capability = Capability::RequestsDecide;
/// The state of one that somebody has to tell by hand, because the policy has no webhook for the recipient.
const MANUAL: &str = "manual";

/// What a recipient calls a person by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientReference {
    /// The purpose's name.
    pub purpose: String,
    /// The name.
    pub reference: PairwiseId,
}

/// A notice to a recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct RecipientNotice {
    /// Which.
    pub id: RecipientNoticeId,
    /// What it tells.
    pub kind: NoticeKind,
    /// The recipient's name in the policy.
    pub recipient: String,
    /// One for each purpose that it is about.
    pub references: Vec<RecipientReference>,
    /// `collection.field` of each field that it is about.
    pub fields: Vec<String>,
    /// When it was made.
    pub at: Timestamp,
    /// Where it stands: a [`NoticeState`] or `manual`.
    pub state: &'static str,
    /// Since when.
    pub state_at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, if it is.
    pub next_try_at: Option<Timestamp>,
    /// Why it is impossible, or what came of the last try.
    pub reason: Option<String>,
}

/// Silent about whom it is about, and what somebody wrote.
impl std::fmt::Debug for RecipientNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecipientNotice")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("recipient", &self.recipient)
            .field("fields", &self.fields)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Which notices are asked for.
#[derive(Clone, Debug, Default)]
pub struct NoticeQuery {
    /// In this state: the name of a [`NoticeState`] or `manual`.
    pub state: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of notices, the oldest first.
#[derive(Clone, Debug)]
pub struct NoticePage {
    /// The notices.
    pub notices: Vec<RecipientNotice>,
    /// Where to go on.
    pub next: Option<String>,
}

/// What somebody does about a notice.
#[derive(Clone, PartialEq, Eq)]
pub enum NoticeAct {
    /// The recipient has done it, or was told in another way.
    Complete,
    /// They cannot be told; and why.
    Impossible(String),
    /// It is tried now: again, or once more where it was given up.
    Retry,
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for NoticeAct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Complete => "Complete",
            Self::Impossible(_) => "Impossible",
            Self::Retry => "Retry",
        })
    }
}

/// A notice that is due, for whoever sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    /// What is sent.
    pub notice: RecipientNotice,
    /// Where the policy says that the recipient is told.
    pub webhook: String,
    place: Place,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The recipient has taken it, and says that they are at it.
    Acknowledged,
    /// The recipient says that it is done.
    Completed,
    /// The recipient has taken it.
    Delivered,
    /// It was not taken; when it is tried next, and why it was not.
    Failed(Timestamp, &'static str),
}

/// How many notices are in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticeFigures {
    /// States with how many are in them; every state is there.
    pub states: Vec<(&'static str, u64)>,
    /// When the oldest was made that is not settled.
    pub oldest_open_at: Option<Timestamp>,
    /// Rows that do not open.
    pub damaged: u64,
}

impl NoticeFigures {
    fn count(&mut self, state: &'static str, row: &NoticeRow) {
        if let Some((_, count)) = self.states.iter_mut().find(|(name, _)| *name == state) {
            *count += 1;
        }
        if row.state.is_open() {
            let made = row.made_at();
            self.oldest_open_at = Some(self.oldest_open_at.map_or(made, |at| at.min(made)));
        }
    }

    /// How many are in a state.
    #[must_use]
    pub fn in_state(&self, name: &str) -> u64 {
        let found = self.states.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, count)| *count)
    }
}

/// What the server learns in one look: what is due, and how everything stands.
#[derive(Clone, Debug, Default)]
pub struct NoticeStanding {
    /// What is due, the oldest first, of each recipient at most as many as were asked for.
    pub due: Vec<DueNotice>,
    /// How many notices are in each state.
    pub figures: NoticeFigures,
}

fn recipient<'p>(policy: &'p Policy, name: &str) -> Option<&'p Recipient> {
    let mut all = policy.recipients().iter();
    all.find(|recipient| recipient.name == name)
}

fn webhook<'p>(policy: &'p Policy, row: &NoticeRow) -> Option<&'p str> {
    recipient(policy, &row.recipient)?.webhook.as_deref()
}

/// The word for where a notice stands: what the policy has no webhook for is a person's to tell.
pub(super) fn state(policy: &Policy, row: &NoticeRow) -> &'static str {
    match row.state.is_tried() && webhook(policy, row).is_none() {
        true => MANUAL,
        false => row.state.name(),
    }
}

fn shown(policy: &Policy, id: RecipientNoticeId, row: &NoticeRow) -> RecipientNotice {
    let references = row
        .references()
        .map(|(purpose, reference)| RecipientReference {
            purpose: input::purpose_name(policy, purpose),
            reference,
        });
    let state = state(policy, row);
    let tried = row.state.is_tried() && state != MANUAL;
    RecipientNotice {
        id,
        kind: row.kind,
        recipient: row.recipient.clone(),
        references: references.collect(),
        fields: row
            .fields
            .iter()
            .map(|field| input::field_name(policy, *field))
            .collect(),
        at: row.made_at(),
        state,
        state_at: instant(row.state_at),
        tries: row.tries,
        next_try_at: tried.then(|| instant(row.due_at)),
        reason: row.reason.clone(),
    }
}

/// Whether this one may be told before one about these fields that was not taken: an erasure of all of them, which
/// leaves nothing of what the other tells, or of none. Who takes none but the last would otherwise not hear of it
/// for as long as the first is tried.
fn overtakes(row: &NoticeRow, fields: &[(u16, u16)]) -> bool {
    let goes = |field| row.fields.contains(field);
    row.kind == NoticeKind::Erasure && (fields.iter().all(goes) || !fields.iter().any(goes))
}

/// The entry of what became of a notice, whose digits stand for the call's: that is how the two are found to be
/// one, whoever did it.
fn note(
    txn: &mut Txn<'_>,
    policy: &Policy,
    principal: &Principal,
    id: RecipientNoticeId,
    (action, outcome): (&'static str, &'static str),
) {
    let context = Context::new(&Call {
        principal,
        purpose: None,
        restricted_use: None,
        id: CallId::from_bytes(*id.as_bytes()),
    });
    let entry = context.entry(policy, txn.now(), action, Noted::default(), outcome);
    txn.record(entry);
}

/// Whoever decides requests of everybody: a notice is about somebody, and nothing says on which channel
/// they were known.
fn admit(policy: &Policy, context: &Context) -> Result<(), Refusal> {
    context.principal.require(policy, CAPABILITY)?;
    match context.principal.channels().is_empty() && context.principal.scope().is_none() {
        true => Ok(()),
        false => Err(Refusal::RoleDenied(
            "this key is bound to channels, and notices to recipients are about people on any"
                .into(),
        )),
    }
}

fn act(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    place: Option<Place>,
    act: &NoticeAct,
) -> Result<RecipientNotice, Refusal> {
    admit(policy, context)?;
    let none = || Refusal::NotFound("notice");
    let place = place.ok_or_else(none)?;
    let mut row = outbox::load(txn, &place)?.ok_or_else(none)?;
    let now = txn.now();
    match act {
        NoticeAct::Complete => {
            if row.state == NoticeState::Impossible {
                return Err(Refusal::Conflict(
                    "it was said that this recipient cannot be told".into(),
                ));
            }
            row.enter(NoticeState::Completed, now);
        }
        NoticeAct::Impossible(reason) => {
            let mut errors = Vec::new();
            check_text(&mut errors, "/reason", reason, REASON_BYTES_MAX);
            if !errors.is_empty() {
                return Err(Refusal::Invalid(errors));
            }
            if !row.state.is_open() {
                return Err(Refusal::Conflict(format!(
                    "the recipient was told: the notice is {}",
                    row.state.name()
                )));
            }
            row.enter(NoticeState::Impossible, now);
            row.reason = Some(reason.clone());
        }
        NoticeAct::Retry => {
            if !row.state.is_open() {
                return Err(Refusal::Conflict(format!(
                    "the notice is {}, and tried no more",
                    row.state.name()
                )));
            }
            if webhook(policy, &row).is_none() {
                return Err(Refusal::Conflict(format!(
                    "the policy has no webhook for `{}`: tell them, and say so with `complete`",
                    row.recipient
                )));
            }
            let tried = match row.tries {
                0 => NoticeState::Queued,
                _ => NoticeState::Failed,
            };
            row.enter(tried, now);
            row.due_at = now.as_millisecond();
        }
    }
    outbox::store(txn, &place, &row)?;
    // Beside the call's own entry, which says by its id whose call it was, and cannot name the notice.
    let what = ("recipient_notices.by_hand", row.state.name());
    note(txn, policy, &context.principal, place.id, what);
    Ok(shown(policy, place.id, &row))
}

impl Vault {
    /// Notices to recipients, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`], also of a key that is bound to channels; [`Refusal::Invalid`] for an unknown state, or a cursor that is over or belongs
    /// to another list.
    pub fn list_recipient_notices(
        &self,
        call: &Call<'_>,
        query: &NoticeQuery,
    ) -> Result<NoticePage, Refusal> {
        self.read(
            call,
            "recipient_notices.list",
            None,
            |snapshot, policy, context, _| {
                admit(policy, context)?;
                let wanted = query.state.as_deref();
                let mut names = NoticeState::ALL.iter().map(|state| state.name());
                if wanted.is_some_and(|name| name != MANUAL && !names.any(|known| known == name)) {
                    let detail = "queued, failed, delivered, acknowledged, completed, dead, impossible or manual";
                    return Err(Refusal::Invalid(vec![input::error("/state", "unknown_word", detail)]));
                }
                let token = context.principal.token();
                let token = token.as_ref().map_or(&[][..], |token| token.as_bytes());
                let tie = sha256(&[b"recipient notices", token, wanted.unwrap_or("").as_bytes()]);
                let after = match &query.cursor {
                    Some(text) => Some(Place::of_bytes(&cursor::open::<36>(
                        &self.memory,
                        snapshot,
                        &tie,
                        text,
                    )?)),
                    None => None,
                };
                let limit = query.limit.clamp(1, PAGE_RECORDS_MAX);
                let (mut notices, mut last, mut more) = (Vec::new(), None, false);
                outbox::each(snapshot, &mut |place, row| {
                    let fits = wanted.is_none_or(|wanted| state(policy, &row) == wanted);
                    if !fits || after.is_some_and(|after| place <= after) {
                        return Ok(ControlFlow::Continue(()));
                    }
                    if notices.len() == limit {
                        more = true;
                        return Ok(ControlFlow::Break(()));
                    }
                    notices.push(shown(policy, place.id, &row));
                    last = Some(place);
                    Ok(ControlFlow::Continue(()))
                })?;
                let next = last.filter(|_| more);
                Ok(NoticePage {
                    notices,
                    next: next.map(|place| {
                        cursor::sealed(&self.memory, snapshot, &tie, &place.to_bytes())
                    }),
                })
            },
            |page| page,
        )
    }

    /// Does something about a notice by hand.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`]; [`Refusal::Conflict`] where its state does not allow it;
    /// [`Refusal::Invalid`] without a reason where one is needed; [`Refusal::RoleDenied`].
    pub fn act_on_recipient_notice(
        &self,
        call: &Call<'_>,
        id: RecipientNoticeId,
        what: NoticeAct,
    ) -> Result<RecipientNotice, Refusal> {
        let action = match what {
            NoticeAct::Complete => "recipient_notices.complete",
            NoticeAct::Impossible(_) => "recipient_notices.impossible",
            NoticeAct::Retry => "recipient_notices.retry",
        };
        let place = self.place_of(call, id)?;
        self.write(call, action, move |txn, policy, context, _| {
            act(txn, policy, context, place, &what)
        })
    }

    /// Where a notice lies, for whoever may act on it: for others the transaction looks for nothing, and refuses.
    fn place_of(&self, call: &Call<'_>, id: RecipientNoticeId) -> Result<Option<Place>, Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        match admit(&policy, &Context::new(call)) {
            Ok(()) => outbox::find(&snapshot, id),
            Err(_) => Ok(None),
        }
    }

    /// What is to be sent now, and how all notices stand. Of each recipient at most `most`, so that none who takes
    /// nothing stands before the others; and of those alone of whom `ready`, which is asked of everything whose
    /// time has come, says by recipient and webhook that they can be told. Nothing is told before what came before it about
    /// the same person and purpose, while that is still tried, but an erasure that leaves nothing of it. For the server by itself, which sends them: references
    /// leave the vault by this.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`], [`Refusal::Internal`].
    pub fn recipient_notices_due(
        &self,
        most: usize,
        ready: &dyn Fn(&str, &str) -> bool,
    ) -> Result<NoticeStanding, Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let now = self.engine.believed_now().0;
        let mut standing = NoticeStanding::default();
        let names = NoticeState::ALL.iter().map(|state| (state.name(), 0));
        standing.figures.states = names.chain([(MANUAL, 0)]).collect();
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        // Names of people, no two recipients' the same, about whom something is to be told first: about these fields.
        let mut held_up: BTreeMap<PairwiseId, Vec<Vec<(u16, u16)>>> = BTreeMap::new();
        let damaged = outbox::each(&snapshot, &mut |place, row| {
            standing.figures.count(state(&policy, &row), &row);
            let webhook = webhook(&policy, &row).filter(|_| row.waits(&place, now));
            let Some(webhook) = webhook else {
                return Ok(ControlFlow::Continue(()));
            };
            let due = instant(row.due_at) <= now;
            if due && !ready(&row.recipient, webhook) {
                return Ok(ControlFlow::Continue(()));
            }
            let taken = taken.entry(row.recipient.clone()).or_default();
            let names = || row.references().map(|(_, name)| name);
            let mut first = names().filter_map(|name| held_up.get(&name)).flatten();
            if !due || *taken == most || !first.all(|fields| overtakes(&row, fields)) {
                for name in names() {
                    held_up.entry(name).or_default().push(row.fields.clone());
                }
                return Ok(ControlFlow::Continue(()));
            }
            *taken += 1;
            standing.due.push(DueNotice {
                notice: shown(&policy, place.id, &row),
                webhook: webhook.to_owned(),
                place,
            });
            Ok(ControlFlow::Continue(()))
        })?;
        standing.figures.damaged = damaged;
        Ok(standing)
    }

    /// Notes what came of a try, and returns where the notice stands by that. A notice that is gone meanwhile, or
    /// that somebody has settled, stays so.
    ///
    /// # Errors
    ///
    /// Those of every write.
    pub fn note_recipient_notice(
        &self,
        tried: &DueNotice,
        outcome: NoticeOutcome,
    ) -> Result<Option<NoticeState>, Refusal> {
        self.note_try(tried.place, outcome)
    }

    /// The same, of the notice in this place.
    pub(super) fn note_try(
        &self,
        place: Place,
        outcome: NoticeOutcome,
    ) -> Result<Option<NoticeState>, Refusal> {
        self.check_open()?;
        let at_hand = self.policy.lock().clone();
        self.engine.submit(move |txn| {
            let policy = super::call::current(txn, &at_hand)?;
            let Some(mut row) = outbox::load(txn, &place)? else {
                return Ok(None);
            };
            if !row.state.is_open() {
                return Ok(Some(row.state));
            }
            let now = txn.now();
            row.tries = row.tries.saturating_add(1);
            let state = match outcome {
                NoticeOutcome::Acknowledged => NoticeState::Acknowledged,
                NoticeOutcome::Completed => NoticeState::Completed,
                NoticeOutcome::Delivered => NoticeState::Delivered,
                NoticeOutcome::Failed(next, why) => {
                    row.due_at = next.as_millisecond();
                    row.reason = Some(why.to_owned());
                    let again = next < place.tried_until();
                    match again {
                        true => NoticeState::Failed,
                        false => NoticeState::Dead,
                    }
                }
            };
            if state != NoticeState::Failed {
                let what = ("recipient_notices.send", state.name());
                note(txn, &policy, &Principal::server(), place.id, what);
            }
            if !state.is_open() {
                row.reason = None;
            }
            if row.state != state {
                row.enter(state, now);
            }
            outbox::store(txn, &place, &row)?;
            Ok(Some(state))
        })
    }

    /// Gives up what was tried for long enough, and destroys the keys of days whose notices are settled or
    /// over: all of it, at once. Each that nobody took, and each that is forgotten before anybody settled it, is an entry of the log.
    pub(super) fn sweep_outbox(&self) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        for handle in holder::all(&snapshot, Kind::Notices)? {
            if outbox::due(&snapshot, handle)? == Due::Nothing {
                continue;
            }
            let policy = policy.clone();
            self.engine.submit(move |txn| {
                // Decided again: somebody may have settled the last of them, or asked for another try.
                let (what, notices) = match outbox::due(txn, handle)? {
                    Due::Nothing => return Ok(()),
                    Due::Bury => (
                        ("recipient_notices.give_up", NoticeState::Dead.name()),
                        outbox::bury(txn, handle)?,
                    ),
                    Due::Shred => (
                        ("recipient_notices.forget", "ok"),
                        outbox::shred(txn, handle)?,
                    ),
                };
                for id in notices {
                    note(txn, &policy, &Principal::server(), id, what);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// New keys for everything under holders, as a deep rotation asks for it.
    pub(super) fn rekey_holders(&self) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        let handles = holder::all(&snapshot, Kind::Notices)?;
        drop(snapshot);
        for handle in handles {
            self.engine.submit(move |txn| outbox::rekey(txn, handle))?;
        }
        for handle in self.log_holders()? {
            self.engine
                .submit(move |txn| log_lines::rekey_holder(txn, handle))?;
        }
        Ok(())
    }
}

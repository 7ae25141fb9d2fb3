//! Opening a link: a code to the address on file, and the package for whoever has link and code.
//!
//! What is slow is done before the transaction and as long for a token that nobody has. What decides is done in it:
//! the link is used up by a commit before the first byte of the package is made. A try at one that was opened before
//! is refused, noted, and told once as a possible breach.

use std::sync::Arc;

use super::super::call::{Context, Noted, current};
use super::super::incidents;
use super::super::requests::link as requests;
use super::give::address;
use super::{PickupAlarm, Vault, one_more};
use crate::audit::Entry;
use crate::commit::{Txn, View};
use crate::dialogue::Language;
use crate::entropy::OsEntropy;
use crate::export::{ExportInput, Seal};
use crate::id::{CallId, IncidentId, RequestId, SubjectId};
use crate::limits::CODES_PER_HOUR_MAX;
use crate::person::{Person, instant};
use crate::pickup::stored::{self, Link};
use crate::pickup::{Mark, Opened, Token, matter};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::talk::stored as talks;
use crate::vault::Export;
use crate::verification::{AddressKind, Attempt, Challenge, CodeToSend, Prepared, has_code};

/// What came of a code at a link.
pub enum PickedUp {
    /// The link had been opened before.
    Again,
    /// It does not open: nobody's link, one that is over, or not its code.
    No,
    /// It opened, for this one time: the package.
    Opened(Box<Export>),
}

/// Silent about the package.
impl std::fmt::Debug for PickedUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Again => "Again",
            Self::No => "No",
            Self::Opened(_) => "Opened",
        })
    }
}

/// The same before there is a package.
enum Decided {
    Again {
        request: RequestId,
        incident: Option<IncidentId>,
        told: bool,
    },
    No,
    Wrong,
    Opened {
        subject: SubjectId,
        request: RequestId,
        input: ExportInput,
    },
}

/// An entry of whoever has a link.
fn entry(
    txn: &Txn<'_>,
    policy: &Policy,
    person: &Person,
    id: CallId,
    (action, outcome): (&'static str, &'static str),
) -> Entry {
    let mut noted = Noted::default();
    noted.person(person, txn.now());
    let context = Context::of_link(person.subject, id);
    context.entry(policy, txn.now(), action, noted, outcome)
}

/// Makes a code for a link that is open, if one may go out.
fn code(
    txn: &mut Txn<'_>,
    policy: &Policy,
    mark: &Mark,
    id: CallId,
    (sends, prepared): (&[AddressKind], &Prepared),
) -> Result<Option<CodeToSend>, Refusal> {
    let now = txn.now();
    let Some((mut person, mut link)) = stored::find(txn, mark)? else {
        return Ok(None);
    };
    if !link.row.is_open(now) || talks::sendings(txn, &person)? >= CODES_PER_HOUR_MAX {
        return Ok(None);
    }
    let Some((event, _)) = requests::answerable(txn, &person, link.request)? else {
        return Ok(None);
    };
    let found = address(txn, policy, &person, link.row.address)?;
    let Some((kind, address, _)) = found.filter(|(kind, ..)| sends.contains(kind)) else {
        return Ok(None);
    };
    let language = Language::of_tag(&event.language).unwrap_or(Language::En);
    let challenge = prepared.challenge(matter(mark), now);
    let expires_at = instant(challenge.expires_at());
    link.row.challenge = Some(challenge);
    stored::store(txn, &mut person, &link)?;
    talks::count_sending(txn, &mut person, language)?;
    let entry = entry(txn, policy, &person, id, ("pickup.code", "ok"));
    txn.record(entry);
    let mut sending = [0; 16];
    txn.entropy().fill(&mut sending);
    Ok(Some(CodeToSend {
        sending,
        kind,
        address,
        code: prepared.code().clone(),
        language,
        expires_at,
    }))
}

/// A link that had been opened is tried again.
fn again(
    txn: &mut Txn<'_>,
    policy: &Policy,
    id: CallId,
    (mut person, mut link): (Person, Link),
    used_at: i64,
) -> Result<Decided, Refusal> {
    let own = entry(txn, policy, &person, id, ("pickup.again", "conflict"));
    txn.record(own);
    let (request, told) = (link.request, !link.row.reported);
    let mut incident = None;
    if told {
        incident = incidents::note_second_use(txn, id, instant(used_at))?;
        link.row.reported = true;
        stored::store(txn, &mut person, &link)?;
        let noted = entry(txn, policy, &person, id, ("incidents.open", "ok"));
        if incident.is_some() {
            txn.record(noted);
        }
    }
    Ok(Decided::Again {
        request,
        incident,
        told,
    })
}

/// Decides what a code at a link comes to, and notes it.
fn decide(
    txn: &mut Txn<'_>,
    policy: &Policy,
    mark: &Mark,
    id: CallId,
    attempt: &Attempt,
) -> Result<Decided, Refusal> {
    let now = txn.now();
    let Some((mut person, mut link)) = stored::find(txn, mark)? else {
        return Ok(Decided::No);
    };
    if let Some(used_at) = link.row.used_at {
        return again(txn, policy, id, (person, link), used_at);
    }
    let Some((event, right)) = requests::answerable(txn, &person, link.request)? else {
        return Ok(Decided::No);
    };
    if !link.row.is_open(now) {
        return Ok(Decided::No);
    }
    let opened = link.row.take(attempt, matter(mark), now);
    stored::store(txn, &mut person, &link)?;
    if opened == Opened::No {
        let entry = entry(txn, policy, &person, id, ("pickup.open", "unauthenticated"));
        txn.record(entry);
        return Ok(Decided::Wrong);
    }
    if requests::takes_a_step(txn, &person)? {
        let context = Context::of_link(person.subject, id);
        let words = "the link was opened, with a code that was sent to an address on file";
        let words = words.to_owned();
        requests::begun(txn, policy, &context, &mut person, link.request, words)?;
    }
    let entry = entry(txn, policy, &person, id, ("pickup.open", "ok"));
    txn.record(entry);
    Ok(Decided::Opened {
        subject: person.subject,
        request: link.request,
        input: ExportInput {
            right,
            form: link.row.form(),
            language: Some(event.language.clone()),
            seal: Seal::None,
        },
    })
}

impl Vault {
    /// A code for a link, to the address on file; it is to be sent. `None` for a token that nobody has, a link that is
    /// over, and where the person was sent as many as an hour has: whoever asks is to be told the same.
    ///
    /// # Errors
    ///
    /// Those of every write; [`Refusal::Overloaded`] where there is no memory for a code.
    pub fn send_pickup_code(
        &self,
        token: &str,
        sends: &[AddressKind],
        id: CallId,
    ) -> Result<Option<CodeToSend>, Refusal> {
        self.check_open()?;
        let prepared = Prepared::new(&mut OsEntropy).ok_or(Refusal::Overloaded)?;
        let Some(mark) = Token::parse(token).map(|token| token.mark()) else {
            return Ok(None);
        };
        let (at_hand, sends) = (self.policy.lock().clone(), sends.to_vec());
        let made = self.engine.submit(move |txn| {
            let policy = current(txn, &at_hand)?;
            code(txn, &policy, &mark, id, (&sends, &prepared))
        })?;
        if made.is_some() {
            one_more(&self.memory.pickups.codes);
        }
        Ok(made)
    }

    /// Opens a link with a code. What is opened is opened for good: if the package breaks off, the person asks for
    /// another link.
    ///
    /// # Errors
    ///
    /// Those of every write, and of [`Vault::export`]; [`Refusal::Overloaded`] where there is no memory for a hash.
    pub fn pick_up(
        self: &Arc<Self>,
        token: &str,
        typed: &str,
        id: CallId,
    ) -> Result<PickedUp, Refusal> {
        self.check_open()?;
        let mark = Token::parse(token).map(|token| token.mark());
        // What has no code in it is nobody's try, whatever the link is.
        let (Some(mark), true) = (mark, has_code(typed)) else {
            return Ok(PickedUp::No);
        };
        let found = stored::find(&self.snapshot()?, &mark)?;
        let challenge = found.and_then(|(_, link)| link.row.challenge);
        let challenge = challenge.unwrap_or_else(Challenge::of_nobody);
        let attempt = Attempt::of(&challenge, typed).ok_or(Refusal::Overloaded)?;
        let at_hand = self.policy.lock().clone();
        let decided = self.engine.submit(move |txn| {
            let policy = current(txn, &at_hand)?;
            decide(txn, &policy, &mark, id, &attempt)
        })?;
        match decided {
            Decided::No => Ok(PickedUp::No),
            Decided::Wrong => {
                one_more(&self.memory.pickups.wrong);
                Ok(PickedUp::No)
            }
            Decided::Again {
                request,
                incident,
                told,
            } => {
                one_more(&self.memory.pickups.again);
                if told {
                    self.look_at_incidents()?;
                    let alarm = PickupAlarm {
                        time: self.engine.now(),
                        request,
                        incident,
                    };
                    self.memory.honey.tell(|alarms| alarms.pickup(&alarm));
                }
                Ok(PickedUp::Again)
            }
            Decided::Opened {
                subject,
                request,
                input,
            } => {
                one_more(&self.memory.pickups.opened);
                self.memory.requests.changed();
                let context = Context::of_link(subject, id);
                let mut export = self.export(&context.call(), subject, input)?;
                export.answers(request);
                Ok(PickedUp::Opened(Box::new(export)))
            }
        }
    }
}

//! What a turn does: each effect by the function that does it alone, in the commit of the turn.
//!
//! Decides nothing: the machine has, over facts of this very transaction. Whoever acts is the person, as well as
//! it is known that it is they.

use jiff::Timestamp;
use serde_json::Value;

use super::super::call::{Context, Noted};
use super::super::pickups;
use super::super::requests::link;
use super::super::requests::spoken::{self, Spoken, What};
use super::super::requests::{CorrectionInput, Kept};
use super::super::suppressions::{self, SuppressionInput, SuppressionKind};
use super::super::{consents, objections};
use super::facts;
use super::moves::{Effect, kind};
use super::tell::Outcome;
use crate::commit::{Txn, View};
use crate::consent;
use crate::dialogue::Intent;
use crate::export;
use crate::id::{ReceiptId, RequestId, SubjectId};
use crate::notice::ShownEvidence;
use crate::person::{DAMAGED, Person, instant};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::request::RequestKind;
use crate::request::stored::{RequestEvent, Scope};
use crate::standing::{self, ObjectionState};
use crate::talk::{FieldId, Form, Parts, Question, Talk};
use crate::verification::{AddressKind, CodeToSend, Prepared};

/// What was said in this turn, as far as an effect needs it.
#[derive(Clone, Default)]
pub(super) struct Said {
    /// What was typed now.
    pub(super) typed: String,
    /// What had been asked.
    pub(super) question: Option<Question>,
    /// The field that is corrected.
    pub(super) field: Option<FieldId>,
    /// What is to stand there.
    pub(super) value: String,
    /// The channel, and by what a choice that was taken now is known.
    pub(super) channel: String,
    pub(super) evidence: Option<ShownEvidence>,
}

/// Whoever acts, and what they have in hand.
pub(super) struct Actor<'a, 't> {
    pub(super) txn: &'a mut Txn<'t>,
    pub(super) policy: &'a Policy,
    /// The bot that relays.
    pub(super) relay: &'a Context,
    pub(super) noted: &'a mut Noted,
    pub(super) talk: &'a mut Talk,
    /// Nobody, where it is not known who talks, or once they are gone.
    pub(super) person: Option<Person>,
    /// Whose code was sent to a typed address.
    pub(super) sent_to: Option<SubjectId>,
    /// Whether they are not known on the channel, so that the conversation lies in memory.
    pub(super) in_memory: bool,
    /// What a challenge is bound to where there is no request.
    pub(super) matter: [u8; 16],
    pub(super) prepared: Option<Prepared>,
    /// The kinds of addresses that codes reach, where a copy can be picked up with a link.
    pub(super) sends: Option<&'a Vec<AddressKind>>,
    pub(super) said: Said,
    pub(super) outcome: Outcome,
    pub(super) codes: Vec<CodeToSend>,
    /// The receipt of an erasure.
    pub(super) erased: Option<(ReceiptId, SubjectId)>,
    /// Whoever is there without some of what there was of them.
    pub(super) parted: Option<SubjectId>,
}

/// The action of an effect's own entry in the log.
const fn action(effect: &Effect) -> &'static str {
    match effect {
        Effect::Register | Effect::RegisterCopy(_) => "dialogue.request",
        Effect::Send(_) | Effect::SendTyped | Effect::SendNew => "dialogue.code",
        Effect::Suppress | Effect::StopMarketing | Effect::Object(_) => "dialogue.object",
        Effect::Verified => "dialogue.verified",
        Effect::ByHand | Effect::Review | Effect::Add | Effect::Narrow(_) | Effect::Package(_) => {
            "dialogue.queue"
        }
        Effect::Answer => "dialogue.answer",
        Effect::Withdraw(_) => "dialogue.withdraw",
        Effect::Restrict(_) => "dialogue.restrict",
        Effect::Change => "dialogue.correct",
        Effect::Erase | Effect::EraseParts(_) => "dialogue.erase",
        Effect::TakeBack(_) => "dialogue.cancel",
        Effect::Notice => "dialogue.notice",
    }
}

/// What a request says of the collections that were chosen.
fn named(chosen: Parts) -> Vec<u16> {
    match chosen.is_empty() {
        true => vec![Scope::UNNAMED],
        false => chosen.all().collect(),
    }
}

/// Hands the copy of a person's data over: with a link, or else somebody makes the package of this request and hands
/// it over, in the form that stands with it.
fn hand_over_package(
    actor: &mut Actor<'_, '_>,
    request: RequestId,
    form: Form,
) -> Result<RequestEvent, Refusal> {
    if let Some(event) = give_link(actor, request, form)? {
        return Ok(event);
    }
    let words = match form {
        Form::Everything => "a copy to read: a package in the form `zip` or `html`",
        Form::Json => "data to take along: a package in the form `json`",
        Form::Csv => "data to take along: a package in the form `csv`",
    };
    actor.with(|txn, policy, own, person| {
        spoken::review(txn, policy, own, person, request, Some(words))
    })
}

/// Gives the person a link to their copy, where they can be given one and the request still waits for it.
fn give_link(
    actor: &mut Actor<'_, '_>,
    request: RequestId,
    form: Form,
) -> Result<Option<RequestEvent>, Refusal> {
    let Some(sends) = actor.sends else {
        return Ok(None);
    };
    let form = match form {
        Form::Everything => export::Form::Zip,
        Form::Json => export::Form::Json,
        Form::Csv => export::Form::Csv,
    };
    let given = actor.with(|txn, policy, own, person| {
        let waits = link::answerable(txn, person, request)?.is_some();
        match pickups::room(txn, policy, person, sends)?.filter(|_| waits) {
            Some(field) => {
                pickups::give(txn, policy, own, person, request, (form, field)).map(Some)
            }
            None => Ok(None),
        }
    })?;
    let Some(given) = given else { return Ok(None) };
    actor.outcome.link = Some(given);
    let event = actor.with(|txn, _, _, person| spoken::last(txn, person, request))?;
    Ok(Some(event))
}

impl Actor<'_, '_> {
    /// Works on the person, as themselves.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Txn<'_>, &Policy, &Context, &mut Person) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let person = self.person.as_mut().ok_or(Refusal::NotFound("person"))?;
        let own = self.relay.of_person(person.subject, self.talk.level);
        work(self.txn, self.policy, &own, person)
    }

    fn request(&self) -> Result<RequestId, Refusal> {
        self.talk.request.ok_or(Refusal::NotFound("request"))
    }

    fn keep(&mut self, event: RequestEvent) {
        self.talk.request = Some(event.request);
        self.outcome.request = Some(event);
    }

    fn register(&mut self, kind: RequestKind) -> Result<(), Refusal> {
        let (level, language) = (self.talk.level, self.talk.language().name());
        let received = instant(self.talk.asked_at).min(self.txn.now());
        let words = self.talk.words.clone();
        let words = (!words.is_empty()).then_some(words);
        let event = self.with(|txn, policy, own, person| {
            let spoken = Spoken {
                kind,
                level,
                received,
                language,
                words,
            };
            spoken::register(txn, policy, own, person, spoken)
        })?;
        self.keep(event);
        Ok(())
    }

    /// The request at hand if it is of this kind and waits for its purpose; else another. `None` where there is
    /// no room for one: what somebody says for themselves waits for none.
    fn register_for(&mut self, kind: RequestKind) -> Result<Option<RequestId>, Refusal> {
        if let Some(request) = self.talk.request {
            let event = self.with(|txn, _, _, person| spoken::last(txn, person, request))?;
            if event.kind == kind && event.scope.purpose.is_none() && !event.state.is_closed() {
                return Ok(Some(request));
            }
        }
        if !self.with(|txn, _, _, person| spoken::has_room(txn, person))? {
            self.talk.request = None;
            return Ok(None);
        }
        self.register(kind)?;
        self.request().map(Some)
    }

    /// What a purpose is called in the policy.
    fn name_of(&self, purpose: u16) -> Result<String, Refusal> {
        let purpose = self.policy.purpose_by_id(purpose);
        Ok(purpose.ok_or(Refusal::NotFound("purpose"))?.name.clone())
    }

    fn withdraw(&mut self, purpose: u16) -> Result<(), Refusal> {
        match self.register_for(RequestKind::Withdraw)? {
            Some(request) => self.speak(request, purpose)?,
            None => {
                let name = self.name_of(purpose)?;
                self.with(|txn, policy, own, person| {
                    consents::withdraw_of(txn, policy, own, person, &name)
                })?;
            }
        }
        let history = self.with(|txn, _, _, person| consent::history(txn, person, purpose))?;
        self.outcome.receipt = history.last().map(|event| event.consent.to_string());
        Ok(())
    }

    fn object(&mut self, purpose: u16) -> Result<(), Refusal> {
        match self.register_for(RequestKind::Object)? {
            Some(request) => self.speak(request, purpose),
            None => {
                let name = self.name_of(purpose)?;
                self.with(|txn, policy, own, person| {
                    objections::put_of(txn, policy, own, person, &name, None).map(drop)
                })
            }
        }
    }

    /// Says to a request which purpose it is about, which takes effect.
    fn speak(&mut self, request: RequestId, purpose: u16) -> Result<(), Refusal> {
        let event = self.with(|txn, policy, own, person| {
            spoken::say(txn, policy, own, person, request, purpose)
        })?;
        self.keep(event);
        Ok(())
    }

    fn stop_marketing(&mut self) -> Result<(), Refusal> {
        let all = self.policy.purposes().iter();
        let all: Vec<u16> = all
            .filter(|purpose| purpose.direct_marketing)
            .map(|purpose| purpose.id)
            .collect();
        for purpose in all {
            let state =
                self.with(
                    |txn, policy, _, person| match policy.purpose_by_id(purpose) {
                        Some(purpose) => standing::objection(txn, person, purpose),
                        None => Ok(None),
                    },
                )?;
            if state.is_some_and(ObjectionState::stands) {
                continue;
            }
            self.talk.request = None;
            self.object(purpose)?;
        }
        Ok(())
    }

    fn suppress(&mut self) -> Result<(), Refusal> {
        let text = self.said.typed.clone();
        let kind = facts::address_kind(&text).ok_or(Refusal::NotFound("address"))?;
        let value = facts::typed(kind, &text).ok_or(Refusal::NotFound("address"))?;
        let input = SuppressionInput {
            what: SuppressionKind::Type(kind.name().to_owned()),
            value,
            purpose: None,
        };
        suppressions::put_of(self.txn, self.policy, &input)
    }

    /// It is known who asks: a request that they made before is theirs.
    fn verified(&mut self) -> Result<(), Refusal> {
        let level = self.talk.level;
        let Some(request) = self.talk.request else {
            return Ok(());
        };
        let event = self.with(|txn, policy, own, person| {
            spoken::verify(txn, policy, own, person, request, level)
        })?;
        self.keep(event);
        Ok(())
    }

    /// What is noted for whoever looks at the matter.
    fn note(&self) -> Option<String> {
        let typed = (!self.said.typed.is_empty()).then(|| self.said.typed.clone());
        match self.said.question {
            Some(
                Question::NewValue
                | Question::NewCode
                | Question::ConfirmChange
                | Question::ConfirmAddress,
            ) => {
                let field = self.said.field.and_then(|id| facts::field(self.policy, id));
                let (collection, field) = field?;
                let value = &self.said.value;
                Some(format!("{}.{}: {value}", collection.name, field.name))
            }
            // Where a code could go was asked because of the field that they want to correct.
            Some(Question::Address | Question::Code) => {
                let field = self.said.field.and_then(|id| facts::field(self.policy, id));
                field.map(|(collection, field)| format!("{}.{}", collection.name, field.name))
            }
            Some(Question::Words) => typed,
            _ => None,
        }
    }

    fn review(&mut self) -> Result<(), Refusal> {
        let (request, words) = (self.request()?, self.note());
        // Another conversation about the same request may have said otherwise meanwhile.
        match self.said.question {
            Some(Question::Parts(chosen) | Question::ConfirmParts(chosen)) => {
                self.narrow(named(chosen))?;
            }
            Some(Question::ConfirmErase) => self.narrow(Vec::new())?,
            _ => {}
        }
        let event = self.with(|txn, policy, own, person| {
            spoken::review(txn, policy, own, person, request, words.as_deref())
        })?;
        self.keep(event);
        Ok(())
    }

    /// Says to the request at hand what is to be erased.
    fn narrow(&mut self, collections: Vec<u16>) -> Result<(), Refusal> {
        let request = self.request()?;
        let event = self.with(|txn, policy, own, person| {
            spoken::narrow(txn, policy, own, person, request, collections)
        })?;
        self.keep(event);
        Ok(())
    }

    /// Carries the request out, as the person confirmed it.
    fn carry_out(&mut self, what: What<'_>) -> Result<Option<(ReceiptId, Value)>, Refusal> {
        let request = self.request()?;
        let person = self.person.take().ok_or(Refusal::NotFound("person"))?;
        let own = self.relay.of_person(person.subject, self.talk.level);
        let done = spoken::carry_out(
            self.txn,
            self.policy,
            &own,
            self.noted,
            person,
            request,
            what,
        )?;
        self.person = done.person;
        self.outcome.kept = self.kept(&done.kept);
        self.keep(done.event);
        Ok(done.receipt)
    }

    fn kept(&self, kept: &[Kept]) -> Option<(Vec<u16>, jiff::civil::Date)> {
        let first = kept.first()?;
        let names = first.collections.iter();
        let ids = names.filter_map(|name| Some(self.policy.collection(name)?.id));
        Some((ids.collect(), first.until))
    }

    fn erase(&mut self) -> Result<(), Refusal> {
        let subject = self.person.as_ref().ok_or(DAMAGED)?.subject;
        let receipt = self.carry_out(What::Erase(&[]))?;
        // Somebody of whom a law keeps something is not to be found here any more.
        self.person = None;
        self.erased = Some((self.receipt(receipt)?, subject));
        Ok(())
    }

    /// What is said of a receipt.
    fn receipt(&mut self, receipt: Option<(ReceiptId, Value)>) -> Result<ReceiptId, Refusal> {
        let (id, document) = receipt.ok_or(DAMAGED)?;
        self.outcome.receipt = Some(id.to_string());
        let horizon = document["body"]["erasure_horizon"].as_str();
        let horizon = horizon.and_then(|text| text.parse::<Timestamp>().ok());
        self.outcome.backups = horizon
            .filter(|horizon| *horizon > self.txn.now())
            .map(|horizon| horizon.to_zoned(jiff::tz::TimeZone::UTC).date());
        Ok(id)
    }

    /// What was answered before may say what is gone, and is not said again.
    fn erase_parts(&mut self, chosen: Parts) -> Result<(), Refusal> {
        let chosen: Vec<u16> = chosen.all().collect();
        let receipt = self.carry_out(What::Erase(&chosen))?;
        self.receipt(receipt)?;
        self.with(|txn, policy, own, person| {
            spoken::end_covered(txn, policy, own, person, &chosen)
        })?;
        self.talk.silence();
        self.parted = self.person.as_ref().map(|person| person.subject);
        Ok(())
    }

    fn change(&mut self) -> Result<(), Refusal> {
        let field = self.said.field.ok_or(DAMAGED)?;
        let (collection, field) = facts::field(self.policy, field).ok_or(DAMAGED)?;
        let value = facts::typed(field.kind, &self.said.value).ok_or(DAMAGED)?;
        let correction = CorrectionInput {
            collection: collection.name.clone(),
            record: None,
            fields: [(field.name.clone(), value)].into_iter().collect(),
        };
        self.carry_out(What::Correct(&correction)).map(drop)
    }

    /// Does one thing, with its entry in the log.
    pub(super) fn act(&mut self, effect: &Effect) -> Result<(), Refusal> {
        let about = self.person.as_ref().map(|person| person.subject);
        match effect {
            Effect::Register => {
                let kind = self.talk.intent().and_then(kind).ok_or(DAMAGED)?;
                self.register(kind)?;
            }
            Effect::RegisterCopy(form) => {
                self.talk.request = None;
                self.register(match form {
                    Form::Everything => RequestKind::Access,
                    Form::Json | Form::Csv => RequestKind::Portability,
                })?;
            }
            Effect::Send(field) => self.send(*field)?,
            Effect::SendTyped => self.send_typed()?,
            Effect::SendNew => self.send_new()?,
            Effect::Suppress => self.suppress()?,
            Effect::StopMarketing => self.stop_marketing()?,
            Effect::Verified => self.verified()?,
            Effect::ByHand => {
                let request = self.request()?;
                let event = self.with(|txn, policy, own, person| {
                    spoken::by_hand(txn, policy, own, person, request)
                })?;
                self.keep(event);
            }
            Effect::Review => self.review()?,
            Effect::Add => {
                let (request, words) = (self.request()?, self.said.typed.clone());
                let event = self.with(|txn, policy, own, person| {
                    spoken::add(txn, policy, own, person, request, &words)
                })?;
                self.keep(event);
            }
            Effect::Answer => {
                let words = match self.talk.intent() {
                    Some(Intent::Recipients) => {
                        "who received something was told in the conversation"
                    }
                    _ => "what is held was shown in the conversation",
                };
                let request = self.request()?;
                let event = self.with(|txn, _, _, person| spoken::last(txn, person, request))?;
                let picked_up =
                    self.with(|txn, _, _, person| pickups::has_open(txn, person, request))?;
                // What a link is given for is answered when it is opened.
                match spoken::is_ready(&event) && !picked_up {
                    true => self.carry_out(What::Answer(words)).map(drop)?,
                    false => self.keep(event),
                }
            }
            Effect::Withdraw(purpose) => self.withdraw(*purpose)?,
            Effect::Object(purpose) => self.object(*purpose)?,
            Effect::Restrict(ground) => self.carry_out(What::Restrict(*ground)).map(drop)?,
            Effect::Change => self.change()?,
            Effect::Erase => self.erase()?,
            Effect::EraseParts(chosen) => self.erase_parts(*chosen)?,
            Effect::Narrow(chosen) => self.narrow(named(*chosen))?,
            Effect::Package(form) => {
                let request = self.request()?;
                let event = hand_over_package(self, request, *form)?;
                self.keep(event);
            }
            Effect::Notice => self.noticed()?,
            Effect::TakeBack(request) => {
                let request = *request;
                let event = self.with(|txn, policy, own, person| {
                    spoken::take_back(txn, policy, own, person, request)
                })?;
                self.keep(event);
            }
        }
        let mut noted = Noted {
            met: about,
            ..Noted::default()
        };
        noted.subject = self.noted.subject;
        if let Effect::Change = effect {
            // Its number, so that a breach finds who was changed in what.
            noted.fields.extend(self.said.field);
        }
        let stated = self.relay;
        let entry = stated.entry(self.policy, self.txn.now(), action(effect), noted, "ok");
        self.txn.record(entry);
        Ok(())
    }
}

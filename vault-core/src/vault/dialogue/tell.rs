//! What is said, in words: the catalogue's texts, filled in from the vault.
//!
//! Says what the machine decided to say and decides nothing. What it reads of a person it notes, so that the entry
//! of the turn names the fields.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::Value;

use super::super::call::{Context, Noted, ended};
use super::super::requests::spoken;
use super::facts;
use super::machine::{Facts, Say};
use super::words::{Catalogue, fill};
use crate::commit::View;
use crate::consent;
use crate::decision;
use crate::dialogue::Intent;
use crate::disclosure;
use crate::id::RecordId;
use crate::limits::{
    CODE_DIGITS, CODE_MINUTES, DIALOGUE_MESSAGE_CHARACTERS_MAX, DIALOGUE_VALUE_CHARACTERS_MAX,
};
use crate::person::Person;
use crate::policy::{CollectionKind, Field, HoldGround, LawfulBasis, Policy, RestrictionGround};
use crate::record::{self, Ended, Stored};
use crate::refusal::Refusal;
use crate::request::stored::RequestEvent;
use crate::request::{RequestKind, RequestState};
use crate::schema::FieldType;
use crate::standing::{self, ObjectionState, Standing};
use crate::statement::{Phrases, StatedPurpose, purposes_in};
use crate::talk::{FieldId, Form, Meaning, Message, Talk, one};

/// Lines of one answer: more nobody reads in a chat, and all of it is in the copy.
const LINES_MAX: usize = 60;

/// What effects came to, as far as something is said of it.
#[derive(Default)]
pub(super) struct Outcome {
    /// The request that the turn is about, as it stands.
    pub(super) request: Option<RequestEvent>,
    /// The mask of the address that a code went to.
    pub(super) address: Option<String>,
    /// The receipt of a withdrawal or an erasure.
    pub(super) receipt: Option<String>,
    /// Collections that a law keeps, and when somebody looks at that again.
    pub(super) kept: Option<(Vec<u16>, Date)>,
    /// When the last backup ends that has what was erased.
    pub(super) backups: Option<Date>,
    /// Who is told of it.
    pub(super) told: Vec<String>,
    /// The field that was corrected, or is to be.
    pub(super) field: Option<FieldId>,
    /// What is to stand there.
    pub(super) value: String,
}

/// Whoever says it: of one person in one state of the vault, in one language.
pub(super) struct Teller<'a> {
    pub(super) view: &'a dyn View,
    pub(super) policy: &'a Policy,
    pub(super) talk: &'a Talk,
    pub(super) facts: &'a Facts,
    /// Nobody, where it is not known who talks, or they are gone.
    pub(super) person: Option<&'a Person>,
    /// The person themselves, as well as it is known that it is they.
    pub(super) own: Option<&'a Context>,
    pub(super) outcome: &'a Outcome,
}

/// Where the privacy statement is, on this server.
const STATEMENT: &str = "/privacy";

impl Teller<'_> {
    fn words(&self) -> &'static Catalogue {
        Catalogue::of(self.talk.language())
    }

    fn phrases(&self) -> &'static Phrases {
        let phrases = Phrases::of(self.talk.language().name());
        phrases.expect("there are phrases of every language that is spoken")
    }

    fn purposes(&self) -> Vec<StatedPurpose> {
        purposes_in(self.policy, self.phrases(), self.talk.language().name())
    }

    fn contact(&self) -> &str {
        let controller = self.policy.controller();
        controller.dpo.as_deref().unwrap_or(&controller.contact)
    }

    fn title(&self, purpose: u16) -> String {
        let Some(purpose) = self.policy.purpose_by_id(purpose) else {
            return format!("#{purpose}");
        };
        let titles = &purpose.titles;
        let own = titles.get(self.talk.language().name());
        let first = self.policy.controller().languages.first();
        let title = own.or_else(|| titles.get(first?));
        title.unwrap_or(&purpose.name).clone()
    }

    fn field_words(&self, field: &Field) -> &'static str {
        self.phrases().data(field.category.as_deref(), field.kind)
    }

    /// What people call a field; with its name where another one is called the same.
    pub(super) fn field_name(&self, id: FieldId) -> String {
        let Some((collection, field)) = facts::field(self.policy, id) else {
            return format!("{}.{}", id.0, id.1);
        };
        let words = self.field_words(field);
        let others = collection.fields.iter();
        let twice = others
            .filter(|other| self.field_words(other) == words)
            .count();
        match twice {
            1 => capital(words),
            _ => format!("{} ({})", capital(words), field.name),
        }
    }

    fn data_of(&self, collections: &[u16], only: &dyn Fn(FieldId) -> bool) -> String {
        let mut all: Vec<&str> = Vec::new();
        for collection in self.policy.collections() {
            if !collections.is_empty() && !collections.contains(&collection.id) {
                continue;
            }
            for field in &collection.fields {
                let words = self.field_words(field);
                if only((collection.id, field.id)) && !all.contains(&words) {
                    all.push(words);
                }
            }
        }
        all.join(", ")
    }

    fn due(&self) -> String {
        let event = self.outcome.request.as_ref();
        event.map_or_else(String::new, |event| event.strict.on.to_string())
    }

    fn reference(&self) -> String {
        let event = self.outcome.request.as_ref();
        event.map_or_else(String::new, |event| event.request.to_string())
    }

    fn recipient(&self, name: &str) -> String {
        let mut known = self.policy.recipients().iter();
        let known = known.find(|recipient| recipient.name == name);
        known
            .map_or(name, |recipient| &recipient.legal_name)
            .to_owned()
    }

    /// Everybody who received a field that is wanted.
    pub(super) fn receivers(
        &self,
        wanted: &dyn Fn(FieldId) -> bool,
    ) -> Result<Vec<String>, Refusal> {
        let Some(person) = self.person else {
            return Ok(Vec::new());
        };
        let lines = disclosure::lines(self.view, person)?;
        let names: BTreeSet<String> = lines
            .iter()
            .filter(|(_, line)| line.gave(wanted))
            .map(|(_, line)| self.recipient(&line.recipient))
            .collect();
        Ok(names.into_iter().collect())
    }

    /// The fields that the person has a value in; of a list all of its fields. And how long each list is.
    fn held(&self) -> Result<(BTreeSet<FieldId>, Vec<(u16, u64)>), Refusal> {
        let (mut fields, mut counts) = (BTreeSet::new(), Vec::new());
        let Some(person) = self.person else {
            return Ok((fields, counts));
        };
        for collection in self.policy.collections() {
            let all = collection
                .fields
                .iter()
                .map(|field| (collection.id, field.id));
            match collection.kind {
                CollectionKind::Single => {
                    let stored =
                        Stored::load(self.view, person, collection, RecordId::SINGLE, Ended::In)?;
                    let there = |id: &FieldId| stored.as_ref().is_some_and(|one| one.holds(id.1));
                    fields.extend(all.filter(there));
                }
                CollectionKind::Many => {
                    let count = record::count(self.view, person, collection.id)?;
                    if count > 0 {
                        fields.extend(all);
                        counts.push((collection.id, count));
                    }
                }
            }
        }
        Ok((fields, counts))
    }

    fn counts(&self, counts: &[(u16, u64)], lines: &mut Vec<String>) {
        for (collection, count) in counts {
            let data = capital(&self.data_of(&[*collection], &|_| true));
            let line = self.words().count_line;
            lines.push(fill(
                line,
                &[("data", &data), ("count", &count.to_string())],
            ));
        }
    }

    /// Categories, purposes, how long, how many, and who received anything.
    fn summary(&self) -> Result<String, Refusal> {
        let words = self.words();
        let (fields, counts) = self.held()?;
        if fields.is_empty() {
            return Ok(words.nothing_held.to_owned());
        }
        let mut lines = vec![words.held.to_owned()];
        for stated in self.purposes() {
            let purpose = self.policy.purpose(&stated.name).map(|purpose| purpose.id);
            let used = |id: FieldId| {
                let field = facts::field(self.policy, id).map(|(_, field)| field);
                let serves = field
                    .zip(purpose)
                    .is_some_and(|(field, purpose)| field.purposes.contains(&purpose));
                serves && fields.contains(&id)
            };
            let data = self.data_of(&[], &used);
            if data.is_empty() {
                continue;
            }
            lines.push(fill(
                words.held_line,
                &[
                    ("data", &capital(&data)),
                    ("purpose", &stated.title),
                    ("retention", &stated.retention_words),
                ],
            ));
        }
        self.counts(&counts, &mut lines);
        let receivers = self.receivers(&|_| true)?;
        lines.push(match receivers.is_empty() {
            true => words.not_shared.to_owned(),
            false => fill(words.shared, &[("recipients", &receivers.join(", "))]),
        });
        Ok(lines.join("\n"))
    }

    /// Values of what there is one of, and how many there are of the rest.
    fn values(&self, noted: &mut Noted) -> Result<String, Refusal> {
        let words = self.words();
        let (Some(person), Some(own)) = (self.person, self.own) else {
            return Ok(words.nothing_held.to_owned());
        };
        let role = &*own.role(self.policy)?;
        let standing = Standing::of(self.view, person)?;
        let mut lines = vec![words.values.to_owned()];
        for collection in self.policy.collections() {
            if collection.kind != CollectionKind::Single {
                continue;
            }
            let ended = ended(&standing, collection);
            let stored = Stored::load(self.view, person, collection, RecordId::SINGLE, ended)?;
            let Some(stored) = stored else { continue };
            let grant = decision::export(collection, role);
            let mut seen = stored.see(self.view, person, collection, &grant)?;
            for field in &collection.fields {
                let id = (collection.id, field.id);
                if let Some(seen) = seen.remove(&field.id) {
                    noted.fields.push(id);
                    let value = shown(field.kind, &seen.value);
                    let value = value.unwrap_or_else(|| words.value_not_here.to_owned());
                    let name = self.field_name(id);
                    lines.push(fill(
                        words.value_line,
                        &[("name", &name), ("value", &value)],
                    ));
                }
            }
        }
        self.counts(&self.held()?.1, &mut lines);
        if lines.len() == 1 {
            return Ok(words.nothing_held.to_owned());
        }
        lines.truncate(LINES_MAX);
        Ok(lines.join("\n"))
    }

    /// The value in a field, as it is shown.
    fn value_of(&self, id: FieldId, noted: &mut Noted) -> Result<Option<String>, Refusal> {
        let (Some(person), Some(own)) = (self.person, self.own) else {
            return Ok(None);
        };
        let Some((collection, field)) = facts::field(self.policy, id) else {
            return Ok(None);
        };
        let role = &*own.role(self.policy)?;
        let standing = Standing::of(self.view, person)?;
        let ended = ended(&standing, collection);
        let stored = Stored::load(self.view, person, collection, RecordId::SINGLE, ended)?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let grant = decision::export(collection, role);
        let mut seen = stored.see(self.view, person, collection, &grant)?;
        let Some(seen) = seen.remove(&id.1) else {
            return Ok(None);
        };
        noted.fields.push(id);
        let value = shown(field.kind, &seen.value);
        Ok(Some(
            value.unwrap_or_else(|| self.words().value_not_here.to_owned()),
        ))
    }

    fn why(&self) -> String {
        let words = self.words();
        let mut lines = vec![words.why.to_owned()];
        for stated in self.purposes() {
            lines.push(fill(
                words.why_line,
                &[
                    ("purpose", &stated.title),
                    ("basis", stated.basis_words),
                    ("retention", &stated.retention_words),
                ],
            ));
        }
        lines.truncate(LINES_MAX);
        lines.join("\n")
    }

    /// Who received what, by name (C-154/21).
    pub(super) fn recipients(&self) -> Result<String, Refusal> {
        let words = self.words();
        let mut lines = vec![words.recipients.to_owned()];
        if let Some(person) = self.person {
            for (_, line) in disclosure::lines(self.view, person)? {
                let date = line.at.strftime("%Y-%m-%d").to_string();
                lines.push(fill(
                    words.recipient_line,
                    &[
                        ("recipient", &self.recipient(&line.recipient)),
                        ("purpose", &self.title(line.purpose)),
                        ("date", &date),
                    ],
                ));
            }
        }
        lines.truncate(LINES_MAX);
        Ok(match lines.len() {
            1 => words.not_shared.to_owned(),
            _ => lines.join("\n"),
        })
    }

    fn choices(&self) -> Result<String, Refusal> {
        let words = self.words();
        let mut lines = vec![words.choices.to_owned()];
        if let Some(person) = self.person {
            for purpose in self.policy.purposes() {
                let title = self.title(purpose.id);
                let mut line = |template| lines.push(fill(template, &[("purpose", &title)]));
                if purpose.basis == LawfulBasis::Consent
                    && let Some(said) = consent::state(self.view, person, purpose.id)?
                {
                    line(match said.state.permits() {
                        true => words.consented,
                        false => words.not_consented,
                    });
                }
                match standing::objection(self.view, person, purpose.id)? {
                    Some(ObjectionState::Upheld) => line(words.objected_line),
                    Some(ObjectionState::Pending) => line(words.objecting_line),
                    Some(ObjectionState::Overridden | ObjectionState::Ended) | None => {}
                }
            }
        }
        Ok(match lines.len() {
            1 => words.choices_none.to_owned(),
            _ => lines.join("\n"),
        })
    }

    fn request_line(&self, event: &RequestEvent) -> String {
        let words = self.words();
        fill(
            words.request_line,
            &[
                (
                    "kind",
                    &capital(of(&words.kinds, RequestKind::ALL, &event.kind)),
                ),
                ("state", of(&words.states, RequestState::ALL, &event.state)),
                ("due", &event.strict.on.to_string()),
                ("reference", &event.request.to_string()),
            ],
        )
    }

    fn requests(&self) -> Result<String, Refusal> {
        let words = self.words();
        let mut lines = vec![words.requests.to_owned()];
        if let Some(person) = self.person {
            let all = spoken::standing(self.view, person)?;
            let open = all.iter().filter(|event| !event.state.is_closed());
            lines.extend(open.map(|event| self.request_line(event)));
        }
        lines.truncate(LINES_MAX);
        Ok(match lines.len() {
            1 => words.requests_none.to_owned(),
            _ => lines.join("\n"),
        })
    }

    fn complain(&self) -> String {
        let words = self.words();
        let authority = self.policy.controller().authority.as_ref();
        let first = match authority {
            Some(authority) => fill(words.complain, &[("authority", authority)]),
            None => words.complain_anywhere.to_owned(),
        };
        format!(
            "{first} {}",
            fill(words.complain_here, &[("contact", self.contact())])
        )
    }

    /// What would be erased, and what a law keeps.
    fn consequences(&self) -> Result<String, Refusal> {
        let words = self.words();
        let (fields, _) = self.held()?;
        let hold = match self.person {
            Some(person) => standing::hold(self.view, person)?,
            None => None,
        };
        let covered = |id: FieldId| hold.as_ref().is_some_and(|hold| hold.covers(id.0));
        let data =
            |kept: bool| self.data_of(&[], &|id| fields.contains(&id) && covered(id) == kept);
        let goes = data(false);
        let mut lines = Vec::new();
        lines.push(match goes.is_empty() {
            true => words.nothing_held.to_owned(),
            false => format!("{}\n- {}", words.erase_held, capital(&goes)),
        });
        let kept = data(true);
        if let Some(hold) = hold.filter(|_| !kept.is_empty()) {
            lines.push(fill(
                words.erase_kept,
                &[
                    ("data", &kept),
                    ("law", law(hold.ground)),
                    ("date", &hold.review_at.to_string()),
                ],
            ));
        }
        Ok(lines.join("\n"))
    }

    /// That everything is erased: what is kept, backups, who is told, the receipt, and where to complain.
    fn erased(&self) -> String {
        let words = self.words();
        let mut lines = vec![match &self.outcome.kept {
            None => words.erased.to_owned(),
            Some((collections, date)) => fill(
                words.erased_but,
                &[
                    ("data", &self.data_of(collections, &|_| true)),
                    ("date", &date.to_string()),
                ],
            ),
        }];
        let backups = self.outcome.backups.map(|date| date.to_string());
        lines.extend(backups.map(|date| fill(words.backups_until, &[("date", &date)])));
        if !self.outcome.told.is_empty() {
            lines.push(fill(
                words.told,
                &[("recipients", &self.outcome.told.join(", "))],
            ));
        }
        let receipt = self.outcome.receipt.as_ref();
        lines.extend(receipt.map(|id| fill(words.receipt, &[("reference", id)])));
        lines.push(self.complain());
        lines.join("\n")
    }

    fn confirm_change(&self, noted: &mut Noted) -> Result<String, Refusal> {
        let words = self.words();
        let Some(field) = self.outcome.field else {
            return Ok(words.not_understood.to_owned());
        };
        let name = self.field_name(field);
        let new = cut(&self.outcome.value);
        Ok(match self.value_of(field, noted)? {
            Some(old) => fill(
                words.correct_confirm,
                &[("name", &name), ("old", &old), ("new", &new)],
            ),
            None => fill(words.correct_add, &[("name", &name), ("new", &new)]),
        })
    }

    /// The text of one thing that is said.
    fn text(&self, say: Say, noted: &mut Noted) -> Result<String, Refusal> {
        let words = self.words();
        let (due, reference) = (self.due(), self.reference());
        let about: [(&str, &str); 3] = [
            ("due", &due),
            ("reference", &reference),
            ("contact", self.contact()),
        ];
        let plain = |template: &str| fill(template, &about);
        let minutes = CODE_MINUTES.to_string();
        let field = || {
            let field = self.outcome.field.or(self.talk.field);
            field.map_or_else(String::new, |field| self.field_name(field))
        };
        Ok(match say {
            Say::Help => words.help.to_owned(),
            Say::Left => words.left.to_owned(),
            Say::TakenBack => plain(words.taken_back),
            Say::Language => words.language.to_owned(),
            Say::Reach => plain(words.reach),
            Say::Stale => words.stale.to_owned(),
            Say::NotUnderstood => words.not_understood.to_owned(),
            Say::Which => words.which.to_owned(),
            Say::Privately => words.privately.to_owned(),
            Say::PrivatelyCopy => words.privately_copy.to_owned(),
            Say::Registered => plain(words.registered),
            Say::Overfull => plain(words.overfull),
            Say::ChooseAddress => words.choose_address.to_owned(),
            Say::CodeSent => {
                let address = self.outcome.address.as_deref().unwrap_or("•••");
                fill(
                    words.code_sent,
                    &[("address", address), ("minutes", &minutes)],
                )
            }
            Say::NoCode => fill(words.no_code, &[("digits", &CODE_DIGITS.to_string())]),
            Say::CodeWrong(left) => fill(words.code_wrong, &[("left", &left.to_string())]),
            Say::CodeOver => words.code_over.to_owned(),
            Say::CodesSpent => words.codes_spent.to_owned(),
            Say::Verified => words.verified.to_owned(),
            Say::ByHand => plain(words.by_hand),
            Say::Unknown => plain(words.unknown),
            Say::UnknownWrite => plain(words.unknown_write),
            Say::IfKnown => fill(words.if_known, &[("minutes", &minutes)]),
            Say::NoAddress => words.no_address.to_owned(),
            Say::MarketingStopped => words.marketing_stopped.to_owned(),
            Say::MarketingNone => words.marketing_none.to_owned(),
            Say::MarketingAddress => words.marketing_address.to_owned(),
            Say::MarketingSuppressed => words.marketing_suppressed.to_owned(),
            Say::Summary => self.summary()?,
            Say::VerifyToSee => words.verify_to_see.to_owned(),
            Say::Values => self.values(noted)?,
            Say::Answered => plain(words.answered),
            Say::Why => self.why(),
            Say::StatementAt => words.statement_at.to_owned(),
            Say::Recipients => self.recipients()?,
            Say::Choices => self.choices()?,
            Say::WithdrawWhich => words.withdraw_which.to_owned(),
            Say::Withdrawn(purpose) => {
                let receipt = self.outcome.receipt.as_deref().unwrap_or_default();
                fill(
                    words.withdrawn,
                    &[("purpose", &self.title(purpose)), ("reference", receipt)],
                )
            }
            Say::WithdrawNone => words.withdraw_none.to_owned(),
            Say::ObjectWhich => words.object_which.to_owned(),
            Say::Objected(purpose) => {
                let event = self.outcome.request.as_ref();
                let marketing = self.policy.purpose_by_id(purpose);
                let marketing = marketing.is_some_and(|one| one.direct_marketing);
                // Where a person has no room for another request there is none.
                let holds = event.map_or(marketing, |event| event.state.is_closed());
                let title = self.title(purpose);
                let template = match holds {
                    true => words.objected,
                    false => words.objecting,
                };
                fill(
                    template,
                    &[
                        ("purpose", &title),
                        ("due", &due),
                        ("reference", &reference),
                    ],
                )
            }
            Say::ObjectNone => words.object_none.to_owned(),
            Say::RestrictWhy => words.restrict_why.to_owned(),
            Say::Restricted => plain(words.restricted),
            Say::CorrectWhich => words.correct_which.to_owned(),
            Say::CorrectType => fill(words.correct_type, &[("name", &field())]),
            Say::CorrectInvalid => fill(words.correct_invalid, &[("name", &field())]),
            Say::CorrectConfirm => self.confirm_change(noted)?,
            Say::Corrected => {
                let name = field();
                let done = fill(
                    words.corrected,
                    &[("name", &name), ("reference", &reference)],
                );
                match self.outcome.told.is_empty() {
                    true => done,
                    false => {
                        let told = self.outcome.told.join(", ");
                        format!("{done} {}", fill(words.told, &[("recipients", &told)]))
                    }
                }
            }
            Say::CorrectSay => words.correct_say.to_owned(),
            Say::Checked => plain(words.checked),
            Say::Consequences => self.consequences()?,
            Say::EraseFinal => words.erase_final.to_owned(),
            Say::EraseNot => plain(words.erase_not),
            Say::Erased => self.erased(),
            Say::Form => words.format.to_owned(),
            Say::Package => plain(words.package),
            Say::OwnView => words.own_view.to_owned(),
            Say::PassedOn => plain(words.passed_on),
            Say::Requests => self.requests()?,
            Say::CancelWhich => words.cancel_which.to_owned(),
            Say::Cancelled => plain(words.cancelled),
            Say::Complain => self.complain(),
        })
    }

    /// What a person reads on a choice.
    pub(super) fn label(&self, means: Meaning) -> Result<String, Refusal> {
        let words = self.words();
        Ok(match means {
            Meaning::Intent(place) => match one(Intent::ALL, place) {
                Some(intent) => of(&words.intents, Intent::ALL, &intent).to_owned(),
                None => words.none_of_these.to_owned(),
            },
            Meaning::NoIntent => words.none_of_these.to_owned(),
            Meaning::Address(field) => self.masked(field)?,
            Meaning::AnotherWay => words.another_way.to_owned(),
            Meaning::Again => words.send_again.to_owned(),
            Meaning::Withdraw(purpose) | Meaning::Object(purpose) => self.title(purpose),
            Meaning::Ground(ground) => {
                of(&words.grounds, RestrictionGround::ALL, &ground).to_owned()
            }
            Meaning::Field(field) => self.field_name(field),
            Meaning::OtherField => words.something_else.to_owned(),
            Meaning::Change => words.yes.to_owned(),
            Meaning::DoNotChange | Meaning::CallOffNone => words.no.to_owned(),
            Meaning::Erase => words.delete.to_owned(),
            Meaning::Keep => words.keep.to_owned(),
            Meaning::CopyFirst => words.download_first.to_owned(),
            Meaning::Verify => words.verify.to_owned(),
            Meaning::Correct => of(&words.intents, Intent::ALL, &Intent::Correct).to_owned(),
            Meaning::Statement => words.statement.to_owned(),
            Meaning::Settings => words.settings.to_owned(),
            Meaning::Form(form) => match (form, self.talk.intent()) {
                (Form::Everything, _) => words.download_all.to_owned(),
                (Form::Json, Some(Intent::Access)) => words.download_portable.to_owned(),
                (Form::Json, _) => "JSON".to_owned(),
                (Form::Csv, _) => "CSV".to_owned(),
            },
            Meaning::Enough => words.enough.to_owned(),
            Meaning::NothingToAdd => words.nothing_to_add.to_owned(),
            Meaning::CallOff(request) => {
                let person = self.person.ok_or(Refusal::NotFound("person"))?;
                let event = spoken::last(self.view, person, request)?;
                let kind = capital(of(&words.kinds, RequestKind::ALL, &event.kind));
                let date = event.received.strftime("%Y-%m-%d").to_string();
                fill(words.cancel_one, &[("kind", &kind), ("date", &date)])
            }
        })
    }

    /// The mask of an address on file.
    fn masked(&self, id: FieldId) -> Result<String, Refusal> {
        let (Some(person), Some((collection, _))) = (self.person, facts::field(self.policy, id))
        else {
            return Ok("•••".to_owned());
        };
        let all = facts::addresses(self.view, person, collection, id.1)?;
        let first = all.into_iter().next();
        Ok(first.map_or_else(|| "•••".to_owned(), |(_, mask)| mask))
    }

    /// Everything that is said, as messages: one, or as many as a chat needs for it.
    pub(super) fn messages(&self, say: &[Say], noted: &mut Noted) -> Result<Vec<Message>, Refusal> {
        let mut texts = Vec::new();
        for one in say {
            texts.push(self.text(*one, noted)?);
        }
        let mut messages = split(&texts.join("\n"));
        if say.contains(&Say::StatementAt)
            && let Some(last) = messages.last_mut()
        {
            last.link = Some(STATEMENT.to_owned());
        }
        Ok(messages)
    }
}

/// What stands for a word, in the order of all words of its kind.
fn of<T: PartialEq>(texts: &[&'static str], all: &[T], one: &T) -> &'static str {
    let at = all.iter().position(|known| known == one);
    at.and_then(|at| texts.get(at)).copied().unwrap_or_default()
}

const fn law(ground: HoldGround) -> &'static str {
    ground.law()
}

/// With a capital at its beginning.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A value on one line, as far as it is shown.
fn cut(text: &str) -> String {
    let plain = text.chars().map(|letter| match letter.is_control() {
        true => ' ',
        false => letter,
    });
    let mut shown: String = plain.clone().take(DIALOGUE_VALUE_CHARACTERS_MAX).collect();
    if plain.count() > DIALOGUE_VALUE_CHARACTERS_MAX {
        shown.push('…');
    }
    shown
}

/// A value as a person reads it; `None` for what has no place in a chat.
fn shown(kind: FieldType, value: &Value) -> Option<String> {
    let text = match (kind, value) {
        (FieldType::Blob, _) | (_, Value::Null) => return None,
        (_, Value::String(text)) => text.clone(),
        (FieldType::Address, Value::Object(parts)) => {
            let parts: Vec<&str> = parts.values().filter_map(Value::as_str).collect();
            parts.join(", ")
        }
        (_, value) => value.to_string(),
    };
    match text.chars().count() > DIALOGUE_VALUE_CHARACTERS_MAX {
        true => None,
        false => Some(cut(&text)),
    }
}

/// A text as messages that a chat shows whole, broken between lines.
fn split(text: &str) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let mut length = 0;
    for line in text.lines() {
        let more = line.chars().count() + 1;
        match messages.last_mut() {
            Some(last) if length + more <= DIALOGUE_MESSAGE_CHARACTERS_MAX => {
                last.text.push('\n');
                last.text.push_str(line);
                length += more;
            }
            _ => {
                messages.push(Message {
                    text: line.to_owned(),
                    choices: Vec::new(),
                    link: None,
                });
                length = more;
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_answer_is_broken_between_lines_and_loses_none() {
        let lines: Vec<String> = (0..400)
            .map(|number| format!("line {number} of many"))
            .collect();
        let messages = split(&lines.join("\n"));
        assert!(messages.len() > 1);
        let texts: Vec<&str> = messages.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts.join("\n"), lines.join("\n"));
        let most = DIALOGUE_MESSAGE_CHARACTERS_MAX;
        assert!(texts.iter().all(|text| text.chars().count() <= most));
    }

    #[test]
    fn a_value_is_one_line_and_what_is_too_long_is_not_shown() {
        let shown = |kind, value| super::shown(kind, &value);
        assert_eq!(shown(FieldType::Text, json!("a\nb")), Some("a b".into()));
        assert_eq!(shown(FieldType::Number, json!(4.5)), Some("4.5".into()));
        let address = json!({"street": "Elm Rd 5", "city": "Utrecht"});
        let address = shown(FieldType::Address, address).expect("shown");
        assert!(address.contains("Elm Rd 5") && address.contains(", "));
        let most = "x".repeat(DIALOGUE_VALUE_CHARACTERS_MAX);
        assert_eq!(shown(FieldType::Text, json!(most)), Some(most.clone()));
        assert_eq!(shown(FieldType::Text, json!(format!("{most}x"))), None);
        let blob = json!({"media_type": "image/png", "size": 4});
        assert_eq!(shown(FieldType::Blob, blob), None);
    }
}

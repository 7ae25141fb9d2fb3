//! What is said, in words: the catalogue's texts, filled in from the vault.
//!
//! Says what the machine decided to say and decides nothing. What it reads of a person it notes, so that the entry
//! of the turn names the fields.

use std::cell::OnceCell;

use jiff::civil::Date;

use super::super::access::LookUps;
use super::super::call::{Context, Noted};
use super::super::pickups::Given;
use super::super::requests::spoken;
use super::account::Held;
use super::facts;
use super::moves::Say;
use super::shape::{capital, of, split};
use super::words::{Catalogue, fill};
use crate::commit::View;
use crate::dialogue::{Intent, Language};
use crate::limits::{CODE_DIGITS, CODE_MINUTES, PICKUP_HOURS};
use crate::person::Person;
use crate::policy::{Field, Policy, RestrictionGround};
use crate::refusal::Refusal;
use crate::request::RequestKind;
use crate::request::stored::RequestEvent;
use crate::statement::{Notice, Phrases, StatedPurpose, purposes_in};
use crate::talk::{FieldId, Form, Meaning, Message, Talk, one};

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
    /// What people call the collections that were erased.
    pub(super) parts: Vec<String>,
    /// The field that was corrected, or is to be.
    pub(super) field: Option<FieldId>,
    /// What is to stand there.
    pub(super) value: String,
    /// How often the person was looked up.
    pub(super) looked_up: Option<LookUps>,
    /// The link to the copy.
    pub(super) link: Option<Given>,
    /// What stands for the notice that somebody was shown who is not known.
    pub(super) delivery: Option<String>,
}

/// The notice of a policy, in this language if there is one in it.
pub(super) fn notice_in(policy: &Policy, language: Language) -> Notice {
    Notice::of(policy, Some(language.name()))
}

/// Whoever says it: of one person in one state of the vault, in one language.
pub(super) struct Teller<'a> {
    pub(super) view: &'a dyn View,
    pub(super) policy: &'a Policy,
    pub(super) talk: &'a Talk,
    /// Nobody, where it is not known who talks, or they are gone.
    pub(super) person: Option<&'a Person>,
    /// The person themselves, as well as it is known that it is they.
    pub(super) own: Option<&'a Context>,
    pub(super) outcome: &'a Outcome,
    /// What the person has, once it was looked at.
    pub(super) held: OnceCell<Held>,
}

/// Where the privacy statement is, on this server.
const STATEMENT: &str = "/privacy";

impl Teller<'_> {
    pub(super) fn words(&self) -> &'static Catalogue {
        Catalogue::of(self.talk.language())
    }

    pub(super) fn phrases(&self) -> &'static Phrases {
        let phrases = Phrases::of(self.talk.language().name());
        phrases.expect("there are phrases of every language that is spoken")
    }

    pub(super) fn purposes(&self) -> Vec<StatedPurpose> {
        purposes_in(self.policy, self.phrases(), self.talk.language().name())
    }

    pub(super) fn contact(&self) -> &str {
        let controller = self.policy.controller();
        controller.dpo.as_deref().unwrap_or(&controller.contact)
    }

    pub(super) fn title(&self, purpose: u16) -> String {
        let Some(purpose) = self.policy.purpose_by_id(purpose) else {
            return format!("#{purpose}");
        };
        let titles = &purpose.titles;
        let own = titles.get(self.talk.language().name());
        let first = self.policy.controller().languages.first();
        let title = own.or_else(|| titles.get(first?));
        title.unwrap_or(&purpose.name).clone()
    }

    pub(super) fn field_words(&self, field: &Field) -> &'static str {
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

    pub(super) fn data_of(&self, collections: &[u16], only: &dyn Fn(FieldId) -> bool) -> String {
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

    pub(super) fn due(&self) -> String {
        let event = self.outcome.request.as_ref();
        event.map_or_else(String::new, |event| event.strict.on.to_string())
    }

    pub(super) fn reference(&self) -> String {
        let event = self.outcome.request.as_ref();
        event.map_or_else(String::new, |event| event.request.to_string())
    }

    pub(super) fn recipient(&self, name: &str) -> String {
        let mut known = self.policy.recipients().iter();
        let known = known.find(|recipient| recipient.name == name);
        known
            .map_or(name, |recipient| &recipient.legal_name)
            .to_owned()
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
            Say::CorrectWords => words.correct_say.to_owned(),
            Say::Checked => plain(words.checked),
            Say::Consequences => self.consequences()?,
            Say::EraseFinal => words.erase_final.to_owned(),
            Say::EraseNot => plain(words.erase_not),
            Say::Erased => self.erased(),
            Say::PartsWhich => self.parts_which()?,
            Say::PartsConsequences => self.parts_consequences()?,
            Say::PartsErased => self.parts_erased()?,
            Say::Form => words.format.to_owned(),
            Say::Package => match &self.outcome.link {
                None => plain(words.package),
                Some(given) => {
                    let hours = PICKUP_HOURS.to_string();
                    let told = [("hours", hours.as_str()), ("address", &given.address)];
                    fill(words.package_link, &told)
                }
            },
            Say::OwnView => words.own_view.to_owned(),
            Say::PassedOn => plain(words.passed_on),
            Say::Requests => self.requests()?,
            Say::CancelWhich => words.cancel_which.to_owned(),
            Say::Cancelled => plain(words.cancelled),
            Say::Complain => self.complain(),
            Say::Notice => notice_in(self.policy, self.talk.language()).text,
            Say::NoticeWaits => words.notice_waits.to_owned(),
            Say::NoticeNo => words.notice_no.to_owned(),
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
            Meaning::Erase | Meaning::EraseParts => words.delete.to_owned(),
            Meaning::SomeOfIt => words.only_some.to_owned(),
            Meaning::Part(collection) => self.part_label(collection)?,
            Meaning::PartsDone => words.that_is_all.to_owned(),
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
            Meaning::GoOn => words.go_on.to_owned(),
            Meaning::More => words.more.to_owned(),
            Meaning::NoThanks => words.no_thanks.to_owned(),
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
            // The machine sees to that; what is said of a person is worth a second wall.
            if one.needs() > self.talk.level {
                return Err(Refusal::Internal("a conversation says more than it may"));
            }
            texts.push(self.text(*one, noted)?);
        }
        let mut messages = split(&texts.join("\n"));
        if say.contains(&Say::StatementAt)
            && let Some(last) = messages.last_mut()
        {
            last.link = Some(STATEMENT.to_owned());
        }
        if let (Some(given), Some(last)) = (&self.outcome.link, messages.last_mut()) {
            last.link = Some(given.path.to_string());
        }
        Ok(messages)
    }
}

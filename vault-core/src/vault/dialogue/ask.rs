//! What is asked, and what there is to choose from: a part of the machine.

use super::machine::Turn;
use super::moves::Say;
use crate::limits::{DIALOGUE_CHOICES_MAX, DIALOGUE_PARTS_MAX};
use crate::policy::RestrictionGround;
use crate::talk::{At, Form, Meaning, Question};

impl Turn<'_> {
    /// Asks, and offers what there is to choose from.
    pub(super) fn ask(&mut self, question: Question) {
        self.talk.at = At::Asking(question);
        match question {
            Question::ConfirmErase => self.say(Say::Consequences),
            Question::ConfirmParts(_) => self.say(Say::PartsConsequences),
            _ => {}
        }
        self.say(match question {
            Question::Intent(_) => Say::Which,
            Question::Address => Say::ChooseAddress,
            Question::TypeAddress => Say::Unknown,
            Question::MarketingAddress => Say::MarketingAddress,
            Question::Code => match self.facts.known {
                true => Say::CodeSent,
                false => Say::IfKnown,
            },
            Question::Withdraw => Say::WithdrawWhich,
            Question::Object => Say::ObjectWhich,
            Question::Ground => Say::RestrictWhy,
            Question::Field => Say::CorrectWhich,
            Question::NewValue => Say::CorrectType,
            Question::Words => Say::CorrectWords,
            Question::ConfirmChange => Say::CorrectConfirm,
            Question::ConfirmErase | Question::ConfirmParts(_) => Say::EraseFinal,
            Question::Parts(_) => Say::PartsWhich,
            Question::Form => Say::Form,
            Question::OwnView => Say::OwnView,
            Question::Request => Say::CancelWhich,
            Question::Notice => Say::Notice,
            Question::NewCode => Say::CodeSent,
            Question::ConfirmAddress => Say::CorrectConfirm,
        });
        self.offer(question);
    }

    pub(super) fn offer(&mut self, question: Question) {
        let facts = self.facts;
        let mut offers: Vec<Meaning> = match question {
            Question::Intent(intents) => {
                let intents = intents.into_iter().flatten().map(Meaning::Intent);
                intents.chain([Meaning::NoIntent]).collect()
            }
            Question::Address => {
                let addresses = facts.addresses.iter().take(DIALOGUE_CHOICES_MAX - 1);
                let addresses = addresses.map(|field| Meaning::Address(*field));
                addresses.chain([Meaning::AnotherWay]).collect()
            }
            Question::Code if facts.known => vec![Meaning::Again, Meaning::AnotherWay],
            Question::Withdraw => {
                let purposes = facts.consents.iter().take(DIALOGUE_CHOICES_MAX);
                purposes
                    .map(|purpose| Meaning::Withdraw(*purpose))
                    .collect()
            }
            Question::Object => {
                let purposes = facts.objectionable.iter().take(DIALOGUE_CHOICES_MAX);
                purposes.map(|purpose| Meaning::Object(*purpose)).collect()
            }
            Question::Ground => {
                let grounds = RestrictionGround::ALL.iter();
                grounds.map(|ground| Meaning::Ground(*ground)).collect()
            }
            Question::Field => {
                let fields = facts.fields.iter().take(DIALOGUE_CHOICES_MAX - 1);
                let fields = fields.map(|field| Meaning::Field(*field));
                fields.chain([Meaning::OtherField]).collect()
            }
            Question::NewCode => vec![Meaning::Again, Meaning::AnotherWay],
            Question::ConfirmChange | Question::ConfirmAddress => {
                vec![Meaning::Change, Meaning::DoNotChange]
            }
            Question::ConfirmErase => {
                let mut offers = vec![Meaning::Erase, Meaning::Keep, Meaning::CopyFirst];
                if facts.several && !facts.parts.is_empty() {
                    offers.push(Meaning::SomeOfIt);
                }
                offers
            }
            Question::Parts(chosen) => {
                let others = facts.parts.iter().filter(|one| !chosen.has(**one));
                let others = others
                    .take(DIALOGUE_PARTS_MAX)
                    .map(|one| Meaning::Part(*one));
                let done = (!chosen.is_empty()).then_some(Meaning::PartsDone);
                others.chain(done).chain([Meaning::Keep]).collect()
            }
            Question::ConfirmParts(_) => {
                vec![Meaning::EraseParts, Meaning::Keep, Meaning::CopyFirst]
            }
            Question::Form => [Form::Json, Form::Csv].map(Meaning::Form).to_vec(),
            Question::OwnView => vec![Meaning::NothingToAdd],
            Question::Request => {
                let open = facts.open.iter().take(DIALOGUE_CHOICES_MAX - 1);
                let open = open.map(|request| Meaning::CallOff(*request));
                open.chain([Meaning::CallOffNone]).collect()
            }
            Question::Notice => vec![Meaning::GoOn, Meaning::More, Meaning::NoThanks],
            Question::Code
            | Question::TypeAddress
            | Question::MarketingAddress
            | Question::NewValue
            | Question::Words => Vec::new(),
        };
        self.next.offers.append(&mut offers);
    }

    /// Asks once more, where something was asked.
    pub(super) fn again(&mut self, before: Option<Say>) {
        match self.talk.at {
            At::Asking(_) if !self.facts.private => self.privately(),
            At::Asking(question) => {
                before.into_iter().for_each(|say| self.say(say));
                match question {
                    // Nothing was sent just now.
                    Question::Code | Question::NewCode => self.say(Say::NoCode),
                    Question::TypeAddress if before.is_none() => self.say(Say::NoAddress),
                    _ => return self.ask(question),
                }
                self.offer(question);
            }
            _ => before.into_iter().for_each(|say| self.say(say)),
        }
    }
}

//! What follows from a choice that was sent: a part of the machine.
//!
//! What a choice was offered for may be over by the time it is taken: a request that somebody closed, an address that
//! is on file no more. Then it is said that it is, and nothing is done.

use super::machine::Turn;
use super::moves::{Effect, Heard, Say};
use crate::dialogue::{Control, Intent};
use crate::id::RequestId;
use crate::request::Level;
use crate::talk::{At, Form, Meaning, Parts, Question, one};

/// Whether a choice says more about the request at hand. One that stands for itself makes its own.
const fn goes_on(means: Meaning) -> bool {
    match means {
        Meaning::Address(_)
        | Meaning::AnotherWay
        | Meaning::Again
        | Meaning::Ground(_)
        | Meaning::Field(_)
        | Meaning::OtherField
        | Meaning::Change
        | Meaning::DoNotChange
        | Meaning::Erase
        | Meaning::SomeOfIt
        | Meaning::Part(_)
        | Meaning::PartsDone
        | Meaning::EraseParts
        | Meaning::Keep
        | Meaning::Verify
        | Meaning::Form(_)
        | Meaning::Enough
        | Meaning::NothingToAdd => true,
        Meaning::Intent(_)
        | Meaning::NoIntent
        | Meaning::Withdraw(_)
        | Meaning::Object(_)
        | Meaning::CopyFirst
        | Meaning::Correct
        | Meaning::Statement
        | Meaning::Settings
        | Meaning::CallOff(_)
        | Meaning::CallOffNone
        | Meaning::GoOn
        | Meaning::More
        | Meaning::NoThanks => false,
    }
}

impl Turn<'_> {
    pub(super) fn choose(&mut self, means: Meaning) {
        let harmless = matches!(
            means,
            Meaning::Intent(_)
                | Meaning::NoIntent
                | Meaning::Statement
                | Meaning::GoOn
                | Meaning::More
                | Meaning::NoThanks
        );
        if !self.facts.private && !harmless {
            return self.privately();
        }
        // What was offered to somebody whose level has ended since is offered no more.
        let level = self.talk.level;
        match means {
            Meaning::GoOn | Meaning::More | Meaning::NoThanks => self.below_notice(means),
            Meaning::Intent(place) => match one(Intent::ALL, place) {
                Some(intent) => self.begin(intent),
                None => self.again(Some(Say::Stale)),
            },
            Meaning::NoIntent => self.rest(At::Idle, Say::Reach),
            Meaning::Address(_) if !self.facts.sends_left => {
                self.say(Say::CodesSpent);
                self.ask(Question::Address);
            }
            // It is on file no more, or there is nobody who sends codes there.
            Meaning::Address(field) if !self.facts.addresses.contains(&field) => {
                self.say(Say::Stale);
                match self.facts.addresses.is_empty() {
                    true => self.by_hand(),
                    false => self.ask(Question::Address),
                }
            }
            Meaning::Address(field) => {
                self.effect(Effect::Send(field));
                self.ask(Question::Code);
            }
            // Who they are is known; somebody has to look at the address.
            Meaning::AnotherWay if level >= Level::L2 => self.checked(),
            Meaning::AnotherWay => self.by_hand(),
            Meaning::Again if self.talk.at == At::Asking(Question::NewCode) => {
                self.ask(Question::NewValue);
            }
            Meaning::Again => self.ask(Question::Address),
            Meaning::Withdraw(purpose) if !self.facts.consents.contains(&purpose) => self.let_go(),
            Meaning::Withdraw(purpose) => {
                // Whoever saw their choices withdraws by this choice and not by what they wrote.
                if self.talk.intent() != Some(Intent::Withdraw) {
                    self.anew();
                }
                self.withdraw(purpose);
            }
            Meaning::Object(purpose) if !self.facts.objectionable.contains(&purpose) => {
                self.let_go();
            }
            Meaning::Object(purpose) => self.object(purpose),
            Meaning::Verify => {
                let intent = self.talk.intent().unwrap_or(Intent::Access);
                self.talk.rest(At::Idle);
                self.identified(intent);
            }
            Meaning::Correct => {
                self.anew();
                self.begin(Intent::Correct);
            }
            Meaning::Statement => self.done(Say::StatementAt),
            Meaning::Settings => {
                self.anew();
                self.begin(Intent::Choices);
            }
            Meaning::Enough if !self.facts.ready => self.checked(),
            Meaning::Enough => {
                self.effect(Effect::Answer);
                self.done(Say::Answered);
            }
            Meaning::NothingToAdd => self.rest(At::Queued, Say::PassedOn),
            Meaning::CallOff(request) => {
                self.effect(Effect::TakeBack(request));
                self.done(Say::Cancelled);
            }
            Meaning::CallOffNone => self.rest(At::Idle, Say::Left),
            Meaning::Keep | Meaning::DoNotChange if self.talk.request.is_none() => {
                self.rest(At::Idle, Say::Left);
            }
            Meaning::Keep => {
                let request = self.talk.request;
                self.next.effects.extend(request.map(Effect::TakeBack));
                self.done(Say::EraseNot);
            }
            Meaning::DoNotChange => self.ask(Question::Field),
            _ if level < Level::L2 => self.again(Some(Say::Stale)),
            Meaning::Ground(_) | Meaning::Change | Meaning::Erase | Meaning::EraseParts
                if !self.facts.ready =>
            {
                self.checked();
            }
            Meaning::Ground(ground) => {
                self.effect(Effect::Restrict(ground));
                self.done(Say::Restricted);
            }
            Meaning::Field(field) if !self.facts.fields.contains(&field) => {
                self.say(Say::Stale);
                self.identified(Intent::Correct);
            }
            Meaning::Field(field) => {
                self.talk.field = Some(field);
                // Whoever has got hold of the chat since it was last known who talks is not to move where codes go.
                let moves_codes = self.facts.coded.contains(&field) && !self.talk.coded;
                match moves_codes && !self.facts.addresses.is_empty() {
                    true => self.ask(Question::Address),
                    false => self.ask(Question::NewValue),
                }
            }
            Meaning::OtherField => self.ask(Question::Words),
            Meaning::Change => match self.talk.field {
                Some(field) if self.facts.fields.contains(&field) => {
                    let proved = self.talk.at == At::Asking(Question::ConfirmAddress)
                        && self.talk.coded
                        && self.facts.coded.contains(&field);
                    match self.facts.by_hand.contains(&field) && !proved {
                        true => self.checked(),
                        false => {
                            self.effect(Effect::Change);
                            self.done(Say::Corrected);
                        }
                    }
                }
                _ => self.let_go(),
            },
            Meaning::Erase => {
                self.effect(Effect::Erase);
                self.done(Say::Erased);
            }
            Meaning::SomeOfIt | Meaning::Part(_) | Meaning::PartsDone | Meaning::EraseParts => {
                self.parts(means);
            }
            Meaning::CopyFirst => self.copy_beside(Form::Everything),
            // Who was shown everything has had that answer; the other right is another request.
            Meaning::Form(form)
                if form != Form::Everything && self.talk.intent() == Some(Intent::Access) =>
            {
                if self.facts.ready {
                    self.effect(Effect::Answer);
                }
                self.copy_beside(form);
            }
            Meaning::Form(form) => self.hand_over(form),
        }
    }

    /// Which collections are erased, where it is not everything. Each choice narrows the request at once: wherever the
    /// person turns next, nobody is to erase more for it than they said.
    fn parts(&mut self, means: Meaning) {
        let there = &self.facts.parts;
        match (means, self.talk.at) {
            (Meaning::SomeOfIt, At::Asking(Question::ConfirmErase)) => {
                self.narrow(Parts::default());
                self.ask(Question::Parts(Parts::default()));
            }
            (Meaning::Part(one), At::Asking(Question::Parts(chosen))) => {
                let chosen = match there.contains(&one) {
                    true => chosen.with(one),
                    false => {
                        self.say(Say::Stale);
                        chosen
                    }
                };
                let chosen = chosen.among(there);
                self.narrow(chosen);
                let all = there.iter().all(|one| chosen.has(*one));
                match (all || chosen.is_full()) && !chosen.is_empty() {
                    true => self.ask(Question::ConfirmParts(chosen)),
                    false => self.ask(Question::Parts(chosen)),
                }
            }
            (Meaning::PartsDone, At::Asking(Question::Parts(chosen))) => {
                let chosen = chosen.among(there);
                self.narrow(chosen);
                match chosen.is_empty() {
                    true => self.ask(Question::Parts(chosen)),
                    false => self.ask(Question::ConfirmParts(chosen)),
                }
            }
            (Meaning::EraseParts, At::Asking(Question::ConfirmParts(chosen))) => {
                let still = chosen.among(there);
                if still != chosen {
                    // A law keeps one since, or it is empty: what they confirmed would be something else.
                    self.say(Say::Stale);
                    self.narrow(still);
                    return self.ask(Question::Parts(still));
                }
                self.effect(Effect::EraseParts(chosen));
                self.done(Say::PartsErased);
            }
            _ => self.let_go(),
        }
    }

    fn narrow(&mut self, chosen: Parts) {
        if self.talk.request.is_some() {
            self.effect(Effect::Narrow(chosen));
        }
    }

    /// Whether this would go on with a request that somebody has closed since.
    pub(super) fn is_out_of_hand(&self, heard: &Heard) -> bool {
        let open = |request: &RequestId| self.facts.open.contains(request);
        let goes_on = match heard {
            Heard::Choice(Meaning::CallOff(request)) => return !open(request),
            Heard::Choice(means) => goes_on(*means),
            Heard::Control(Control::Cancel | Control::Help | Control::Language(_)) => false,
            Heard::Control(_) | Heard::Code(_) | Heard::Text => {
                matches!(self.talk.at, At::Asking(_))
            }
            Heard::Stale | Heard::Wants(_) | Heard::Maybe(_) => false,
        };
        goes_on && self.talk.request.is_some_and(|request| !open(&request))
    }

    /// A copy by a request of its own.
    fn copy_beside(&mut self, form: Form) {
        if !self.facts.room {
            self.next.effects.clear();
            return self.done(Say::Overfull);
        }
        self.anew();
        self.effect(Effect::RegisterCopy(form));
        self.hand_over(form);
    }

    /// A copy is handed over: with a link at once, or by somebody.
    fn hand_over(&mut self, form: Form) {
        self.effect(Effect::Package(form));
        let at = match self.facts.link {
            true => At::Done,
            false => At::Queued,
        };
        self.rest(at, Say::Package);
    }

    /// Begins what nobody said in words: those of the matter before are not its own, nor is their time.
    fn anew(&mut self) {
        self.talk.words = String::new();
        self.talk.asked_at = 0;
    }
}

//! What follows from what in a conversation: a pure function, so that every history can be tried.
//!
//! Two things hold on every way through it: nothing is done or shown before it is known well enough who talks,
//! and what cannot be undone is done only for a choice that was sent with the last message. Everything that an
//! effect could fail at is a fact here, so that no effect fails.

use super::moves::{Effect, Facts, Heard, Next, Say, kind};
use crate::dialogue::{Control, Intent};
use crate::limits::DIALOGUE_CHOICES_MAX;
use crate::request::{Level, RequestKind};
use crate::talk::{At, Form, Meaning, Question, Talk, place};
use crate::verification::Verdict;

/// A turn: from where a conversation stands and what came in to where it stands then.
pub(super) fn turn(talk: &mut Talk, facts: &Facts, heard: &Heard) -> Next {
    let mut turn = Turn {
        talk,
        facts,
        next: Next {
            handled: true,
            ..Next::default()
        },
    };
    match heard {
        _ if turn.is_out_of_hand(heard) => turn.let_go(),
        Heard::Choice(means) => turn.choose(*means),
        Heard::Stale => turn.again(Some(Say::Stale)),
        Heard::Control(control) => turn.control(*control),
        Heard::Wants(intents) => match intents[..] {
            [one] => turn.begin(one),
            _ => turn.which(intents),
        },
        Heard::Maybe(intents) => turn.which(intents),
        Heard::Code(verdict) => turn.code(*verdict),
        Heard::Text => turn.text(),
    }
    turn.next
}

/// A turn at work.
pub(super) struct Turn<'t> {
    pub(super) talk: &'t mut Talk,
    pub(super) facts: &'t Facts,
    pub(super) next: Next,
}

impl Turn<'_> {
    pub(super) fn say(&mut self, say: Say) {
        self.next.say.push(say);
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.next.effects.push(effect);
    }

    /// Ends the matter.
    pub(super) fn rest(&mut self, at: At, say: Say) {
        self.talk.rest(at);
        self.say(say);
    }

    pub(super) fn done(&mut self, say: Say) {
        self.rest(At::Done, say);
    }

    /// Ends a matter that is closed: what was asked is asked no more.
    pub(super) fn let_go(&mut self) {
        self.talk.intent = None;
        self.talk.request = None;
        self.rest(At::Idle, Say::Stale);
    }

    /// Leaves everything as it is, because others read along.
    pub(super) fn privately(&mut self) {
        self.next.stays = true;
        self.say(Say::Privately);
    }

    /// Which of these is meant?
    fn which(&mut self, intents: &[Intent]) {
        let mut places = [None; 3];
        for (slot, intent) in places.iter_mut().zip(intents) {
            *slot = Some(place(Intent::ALL, *intent));
        }
        self.talk.rest(At::Idle);
        self.talk.intent = None;
        self.talk.request = None;
        self.ask(Question::Intent(places));
    }

    /// Begins a matter, and leaves the one before.
    pub(super) fn begin(&mut self, intent: Intent) {
        self.talk.rest(At::Idle);
        self.talk.intent = Some(place(Intent::ALL, intent));
        self.talk.request = None;
        self.talk.coded = false;
        if !self.facts.known {
            return self.begin_unknown(intent);
        }
        let registers = self.registers(intent);
        if registers && !self.facts.room {
            return self.done(Say::Overfull);
        }
        if registers {
            self.effect(Effect::Register);
        }
        let public = matches!(
            intent,
            Intent::Why | Intent::Complain | Intent::StopMarketing
        );
        if !self.facts.private && !public {
            if registers {
                self.say(Say::Registered);
            }
            return self.done(Say::Privately);
        }
        self.go_on(intent);
    }

    /// Whether an intent makes a request now. What takes effect at once makes it with the effect, which nothing has
    /// where others read along, and nothing is to be kept of a demand for which there is no ground.
    fn registers(&self, intent: Intent) -> bool {
        let at_once = usize::from(self.facts.private);
        match intent {
            Intent::StopMarketing => false,
            Intent::Withdraw => self.facts.room && self.facts.consents.len() > at_once,
            Intent::Object => self.facts.room && self.facts.objectionable.len() > at_once,
            other => kind(other).is_some(),
        }
    }

    fn begin_unknown(&mut self, intent: Intent) {
        let facts = self.facts;
        match intent {
            Intent::Why => {
                self.say(Say::Why);
                self.done(Say::StatementAt);
            }
            Intent::Complain => self.done(Say::Complain),
            _ if !facts.private => self.done(Say::Privately),
            Intent::StopMarketing if facts.marketing => self.ask(Question::MarketingAddress),
            Intent::StopMarketing => self.done(Say::MarketingNone),
            _ if facts.can_send => self.ask(Question::TypeAddress),
            _ => self.done(Say::UnknownWrite),
        }
    }

    /// Does what an intent needs next, of somebody known and in private or for everybody to hear.
    fn go_on(&mut self, intent: Intent) {
        let facts = self.facts;
        match intent {
            Intent::Access => match self.talk.level >= Level::L2 {
                true => self.show(),
                false => {
                    self.say(Say::Summary);
                    self.done(Say::VerifyToSee);
                    self.next.offers = vec![Meaning::Verify, Meaning::Correct, Meaning::Statement];
                }
            },
            Intent::Why => {
                self.say(Say::Why);
                self.done(Say::StatementAt);
            }
            Intent::Recipients => {
                self.effect(Effect::Answer);
                self.done(Say::Recipients);
            }
            Intent::Correct | Intent::Erase | Intent::Restrict | Intent::Download => {
                self.identified(intent);
            }
            Intent::StopMarketing if !facts.marketing => self.done(Say::MarketingNone),
            Intent::StopMarketing => {
                self.effect(Effect::StopMarketing);
                self.done(Say::MarketingStopped);
                self.next.offers = vec![Meaning::Settings];
            }
            Intent::Object => match facts.objectionable[..] {
                [] => self.done(Say::ObjectNone),
                [purpose] => self.object(purpose),
                _ => self.ask(Question::Object),
            },
            Intent::Withdraw => match facts.consents[..] {
                [] => self.done(Say::WithdrawNone),
                [purpose] => self.withdraw(purpose),
                _ => self.ask(Question::Withdraw),
            },
            Intent::Choices => {
                self.done(Say::Choices);
                let consents = facts.consents.iter().take(DIALOGUE_CHOICES_MAX);
                self.next.offers = consents.map(|one| Meaning::Withdraw(*one)).collect();
            }
            Intent::HumanDecision => {
                self.effect(Effect::Review);
                self.ask(Question::OwnView);
            }
            Intent::Status => self.done(Say::Requests),
            Intent::CancelRequest => match facts.open[..] {
                [] => self.done(Say::Requests),
                _ => self.ask(Question::Request),
            },
            Intent::Complain => self.done(Say::Complain),
        }
    }

    /// Goes on where it is known well enough who talks; else finds out.
    pub(super) fn identified(&mut self, intent: Intent) {
        if self.talk.level < Level::L2 {
            return match self.facts.can_send && !self.facts.addresses.is_empty() {
                true => self.ask(Question::Address),
                false => self.by_hand(),
            };
        }
        match intent {
            Intent::Access => self.show(),
            Intent::Correct if self.facts.fields.is_empty() => self.ask(Question::Words),
            Intent::Correct => self.ask(Question::Field),
            Intent::Erase => self.ask(Question::ConfirmErase),
            Intent::Restrict => self.ask(Question::Ground),
            Intent::Download => self.ask(Question::Form),
            other => self.go_on(other),
        }
    }

    fn show(&mut self) {
        self.done(Say::Values);
        self.next.offers = vec![
            Meaning::Form(Form::Everything),
            Meaning::Form(Form::Json),
            Meaning::Enough,
        ];
    }

    /// Who asks cannot be found out here.
    pub(super) fn by_hand(&mut self) {
        match self.talk.request {
            // One that was made in this turn has no name yet.
            None if !self.next.effects.contains(&Effect::Register) => self.done(Say::Reach),
            _ => {
                self.effect(Effect::ByHand);
                self.rest(At::Queued, Say::ByHand);
            }
        }
    }

    pub(super) fn withdraw(&mut self, purpose: u16) {
        self.effect(Effect::Withdraw(purpose));
        self.done(Say::Withdrawn(purpose));
    }

    pub(super) fn object(&mut self, purpose: u16) {
        self.effect(Effect::Object(purpose));
        self.done(Say::Objected(purpose));
    }

    fn control(&mut self, control: Control) {
        match (control, self.talk.at) {
            (Control::Cancel | Control::No, At::Asking(Question::Notice)) => {
                self.choose(Meaning::NoThanks);
            }
            (Control::Human, At::Asking(Question::Notice)) => {
                self.say(Say::Reach);
                self.offer(Question::Notice);
            }
            // A word is no choice, and no message for the bot either.
            (Control::Yes, At::Asking(Question::Notice)) => {
                self.say(Say::NoticeWaits);
                self.offer(Question::Notice);
            }
            (Control::Cancel, At::Asking(question)) => match self.talk.request {
                // A demand for a human is with one already.
                Some(request)
                    if self.facts.open.contains(&request) && question != Question::OwnView =>
                {
                    self.effect(Effect::TakeBack(request));
                    self.rest(At::Idle, Say::TakenBack);
                }
                _ => self.rest(At::Idle, Say::Left),
            },
            (Control::Cancel, _) => self.rest(At::Idle, Say::Left),
            (Control::Help, _) => self.again(Some(Say::Help)),
            (Control::Human, At::Asking(_)) if self.talk.request.is_some() => self.human(),
            (Control::Human, _) => self.done(Say::Reach),
            (Control::Language(language), _) => {
                self.talk.speak(language);
                self.again(Some(Say::Language));
            }
            (Control::No, At::Asking(Question::ConfirmErase | Question::ConfirmParts(_))) => {
                self.choose(Meaning::Keep);
            }
            (Control::No, At::Asking(Question::ConfirmChange | Question::ConfirmAddress)) => {
                self.choose(Meaning::DoNotChange);
            }
            // A word is not enough for what cannot be undone.
            (Control::Yes | Control::No, _) => self.text(),
        }
    }

    /// A human goes on with the request.
    fn human(&mut self) {
        let intent = self.talk.intent();
        let needs = intent.and_then(kind).map_or(Level::L1, RequestKind::needs);
        match self.talk.level >= needs {
            false => self.by_hand(),
            true => self.checked(),
        }
    }

    /// Somebody looks at the matter, with what was said last.
    pub(super) fn checked(&mut self) {
        if self.talk.request.is_none() {
            return self.done(Say::Reach);
        }
        self.effect(Effect::Review);
        self.rest(At::Queued, Say::Checked);
    }

    fn code(&mut self, verdict: Verdict) {
        match self.talk.at {
            At::Asking(Question::Code) => {}
            At::Asking(Question::NewCode) => return self.new_code(verdict),
            _ => return self.text(),
        }
        if !self.facts.private {
            return self.privately();
        }
        match verdict {
            Verdict::Wrong { left } => {
                self.say(Say::CodeWrong(left));
                self.offer(Question::Code);
            }
            Verdict::Over => self.code_over(),
            Verdict::Right if !self.facts.known => self.code_over(),
            Verdict::Right => {
                let intent = self.talk.intent();
                self.talk.challenge = None;
                self.talk.level = self.talk.level.max(Level::L2);
                self.talk.coded = true;
                // Whoever was nobody until now has asked for it all the same.
                let registers = self.talk.request.is_none()
                    && intent.is_some_and(|intent| self.registers(intent));
                if registers && !self.facts.room {
                    return self.done(Say::Overfull);
                }
                self.effect(Effect::Verified);
                if registers {
                    self.effect(Effect::Register);
                }
                self.say(Say::Verified);
                match intent {
                    // They had said which address is wrong.
                    Some(Intent::Correct) if self.talk.field.is_some() => {
                        self.ask(Question::NewValue);
                    }
                    Some(intent) => self.identified(intent),
                    None => self.talk.rest(At::Done),
                }
            }
        }
    }

    /// A code that went to an address which is to stand in the place of one on file: it proves that whoever was
    /// known before reads there as well.
    fn new_code(&mut self, verdict: Verdict) {
        if !self.facts.private {
            return self.privately();
        }
        match verdict {
            Verdict::Wrong { left } => {
                self.say(Say::CodeWrong(left));
                self.offer(Question::NewCode);
            }
            Verdict::Over => {
                self.talk.challenge = None;
                self.say(Say::CodeOver);
                self.ask(Question::NewValue);
            }
            Verdict::Right => {
                self.talk.challenge = None;
                self.ask(Question::ConfirmAddress);
            }
        }
    }

    fn code_over(&mut self) {
        self.talk.challenge = None;
        self.say(Say::CodeOver);
        match self.facts.known {
            true => self.ask(Question::Address),
            false => self.ask(Question::TypeAddress),
        }
    }

    fn text(&mut self) {
        let question = match self.talk.at {
            At::Asking(question) if question != Question::Notice => question,
            _ => return self.plain(),
        };
        if !self.facts.private {
            return self.privately();
        }
        match question {
            Question::TypeAddress if !self.facts.fits => self.again(None),
            Question::TypeAddress if !self.facts.sends_left => self.done(Say::CodesSpent),
            Question::TypeAddress => {
                self.effect(Effect::SendTyped);
                self.talk.at = At::Asking(Question::Code);
                self.say(Say::IfKnown);
            }
            Question::MarketingAddress if !self.facts.fits => self.say(Say::NoAddress),
            Question::MarketingAddress => {
                self.effect(Effect::Suppress);
                self.done(Say::MarketingSuppressed);
            }
            Question::Code | Question::NewCode => self.again(None),
            Question::NewValue if !self.facts.fits => self.say(Say::CorrectInvalid),
            Question::NewValue => match self.talk.field {
                Some(field)
                    if self.talk.coded
                        && self.facts.coded.contains(&field)
                        && self.facts.sends_left =>
                {
                    self.effect(Effect::SendNew);
                    self.ask(Question::NewCode);
                }
                Some(field) if !self.facts.by_hand.contains(&field) => {
                    self.ask(Question::ConfirmChange);
                }
                _ => self.checked(),
            },
            Question::Words => self.checked(),
            Question::OwnView => {
                self.effect(Effect::Add);
                self.rest(At::Queued, Say::PassedOn);
            }
            _ => self.again(Some(Say::NotUnderstood)),
        }
    }
}

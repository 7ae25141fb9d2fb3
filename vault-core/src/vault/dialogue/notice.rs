//! The notice before anything else: a part of the machine.
//!
//! Where the policy asks for a notice before data are taken down, what somebody writes waits until they were shown
//! it, and goes to the bot when they go on. A matter of rights never waits: nobody has to accept anything to use them.

use super::machine::Turn;
use super::moves::{Effect, Say};
use crate::talk::{At, Meaning, Question};

impl Turn<'_> {
    /// A text that is no matter of rights, where nothing is open but, perhaps, the notice.
    pub(super) fn plain(&mut self) {
        let open = self.talk.at == At::Asking(Question::Notice);
        if !self.facts.private || !self.facts.notice {
            // It is the bot's; so is what waited, where the bot has shown the notice itself meanwhile.
            self.next.handled = false;
            self.next.stays = true;
            if open && self.facts.private {
                self.next.stays = false;
                self.go_on_to_bot();
            }
            return;
        }
        self.next.holds = true;
        if open && self.facts.same_notice {
            self.say(Say::NoticeWaits);
            return self.offer(Question::Notice);
        }
        self.talk.rest(At::Idle);
        (self.talk.intent, self.talk.request) = (None, None);
        self.ask(Question::Notice);
    }

    /// What waited goes to the bot.
    fn go_on_to_bot(&mut self) {
        self.next.handled = false;
        self.next.replay = std::mem::take(&mut self.talk.held);
        self.talk.rest(At::Idle);
    }

    pub(super) fn below_notice(&mut self, means: Meaning) {
        match means {
            Meaning::GoOn if !self.facts.notice => self.go_on_to_bot(),
            // There is another meanwhile.
            Meaning::GoOn if !self.facts.same_notice => self.ask(Question::Notice),
            Meaning::GoOn => {
                self.effect(Effect::Notice);
                self.go_on_to_bot();
            }
            Meaning::More => {
                self.say(Say::StatementAt);
                self.offer(Question::Notice);
            }
            _ => {
                self.talk.held = Vec::new();
                self.rest(At::Idle, Say::NoticeNo);
            }
        }
    }
}

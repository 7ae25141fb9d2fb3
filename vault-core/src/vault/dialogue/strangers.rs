//! Conversations with people who are not known on their channel: in memory alone, for a quarter of an hour.
//!
//! Each lies under a hash that a key of this process makes of channel, user and conversation, and is one turn's
//! at a time. What was answered to somebody who was erased by that answer lies here, too, so that the same
//! message gets the same answer. All of it ends with the process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::crypto::{Secret, hmac};
use crate::id::SubjectId;
use crate::limits::STRANGERS_MAX;
use crate::talk::Talk;

/// Somebody who is not known on the channel.
#[derive(Clone)]
pub(super) struct Stranger {
    pub(super) talk: Talk,
    /// Whose code was sent, if anybody is known by the address.
    pub(super) sent_to: Option<SubjectId>,
    /// Who they turned out to be.
    pub(super) is: Option<SubjectId>,
    /// What the notice was made from that they were shown and went on below.
    pub(super) noticed: Option<[u8; 32]>,
}

/// A conversation, or the place for one, which one turn holds at a time.
pub(super) type Slot = Arc<Mutex<Option<Stranger>>>;

/// All of them.
pub(in crate::vault) struct Strangers {
    key: Secret<32>,
    slots: Mutex<HashMap<[u8; 32], Slot>>,
}

impl Strangers {
    pub(in crate::vault) fn new(key: Secret<32>) -> Self {
        Self {
            key,
            slots: Mutex::default(),
        }
    }

    /// Under what a conversation lies.
    pub(super) fn name(&self, channel: &str, user: &str, conversation: Option<&str>) -> [u8; 32] {
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let kind: &[u8] = if conversation.is_some() { &[1] } else { &[0] };
        let parts: [&[u8]; 6] = [
            kind,
            &length(channel),
            channel.as_bytes(),
            &length(user),
            user.as_bytes(),
            conversation.unwrap_or_default().as_bytes(),
        ];
        hmac(&self.key, &parts)
    }

    /// The conversation of this name, if there is one.
    pub(super) fn find(&self, name: &[u8; 32]) -> Option<Slot> {
        self.slots.lock().get(name).cloned()
    }

    /// The same, or a place for it.
    pub(super) fn slot(&self, name: [u8; 32], now: i64) -> Slot {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(&name) {
            return slot.clone();
        }
        if slots.len() >= STRANGERS_MAX {
            forget(&mut slots, now);
        }
        slots.entry(name).or_default().clone()
    }

    /// Forgets a person who was erased: what was said to them, and that a code went to them. Waits for turns
    /// that are being taken, so that none of them puts it back.
    pub(in crate::vault) fn forget(&self, subject: SubjectId) {
        let slots: Vec<Slot> = self.slots.lock().values().cloned().collect();
        for slot in slots {
            let mut held = slot.lock();
            let Some(stranger) = held.as_mut() else {
                continue;
            };
            if stranger.is == Some(subject) {
                *held = None;
            } else if stranger.sent_to == Some(subject) {
                // Their conversation goes on: whoever typed an address is not to learn that it was known.
                stranger.sent_to = None;
                // A turn that was looked at before begins again.
                stranger.talk.turns = stranger.talk.turns.wrapping_add(1);
            }
        }
    }

    /// Takes out of the conversations of a person what their answers said, which may say what is gone: of all but the
    /// one of this name, in which it was asked for.
    pub(in crate::vault) fn silence(&self, subject: SubjectId, but: Option<[u8; 32]>) {
        let slots: Vec<Slot> = {
            let slots = self.slots.lock();
            let others = slots.iter().filter(|(name, _)| Some(**name) != but);
            others.map(|(_, slot)| slot.clone()).collect()
        };
        for slot in slots {
            let mut held = slot.lock();
            let own = held.as_mut().filter(|one| one.is == Some(subject));
            if let Some(stranger) = own {
                stranger.talk.silence();
            }
        }
    }

    /// Forgets those that are over.
    pub(super) fn sweep(&self, now: i64) {
        self.slots.lock().retain(|_, slot| ends(slot) > now);
    }
}

/// When a conversation is over; one that a turn holds is not.
fn ends(slot: &Slot) -> i64 {
    match slot.try_lock() {
        Some(stranger) => stranger.as_ref().map_or(0, |one| one.talk.until),
        None => i64::MAX,
    }
}

/// Makes room: what is over goes, or else what is over first.
fn forget(slots: &mut HashMap<[u8; 32], Slot>, now: i64) {
    slots.retain(|_, slot| ends(slot) > now);
    if slots.len() >= STRANGERS_MAX {
        let first = slots.iter().min_by_key(|(_, slot)| ends(slot));
        let first = first.map(|(name, _)| *name);
        first.map(|name| slots.remove(&name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::Language;
    use crate::entropy::SeededEntropy;
    use crate::request::Level;

    fn strangers() -> Strangers {
        Strangers::new(Secret::generate(&mut SeededEntropy::new(7)))
    }

    fn name(number: usize) -> [u8; 32] {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.to_be_bytes());
        name
    }

    fn put(strangers: &Strangers, number: usize, until: i64) {
        let mut talk = Talk::new(Language::En, Level::L0);
        talk.until = until;
        *strangers.slot(name(number), 0).lock() = Some(Stranger {
            talk,
            sent_to: None,
            is: None,
            noticed: None,
        });
    }

    #[test]
    fn beyond_the_limit_the_one_goes_that_is_over_first_and_none_that_is_being_answered() {
        let strangers = strangers();
        for number in 0..STRANGERS_MAX {
            put(&strangers, number, 10 + i64::try_from(number).unwrap());
        }
        let first = strangers.find(&name(0)).expect("there");
        let held = first.lock();
        strangers.slot(name(STRANGERS_MAX), 0);
        drop(held);
        assert!(strangers.find(&name(0)).is_some(), "it is being answered");
        assert!(strangers.find(&name(1)).is_none());
        assert!(strangers.find(&name(2)).is_some());
    }

    #[test]
    fn of_a_person_who_was_erased_nothing_stays_and_of_another_everything() {
        let strangers = strangers();
        let (gone, other) = (
            SubjectId::from_bytes([1; 16]),
            SubjectId::from_bytes([2; 16]),
        );
        let who = [
            (None, Some(gone)),
            (Some(gone), None),
            (Some(other), Some(gone)),
            (Some(other), Some(other)),
        ];
        for (number, (sent_to, is)) in who.into_iter().enumerate() {
            put(&strangers, number, 1_000);
            let slot = strangers.find(&name(number)).expect("there");
            let mut held = slot.lock();
            let stranger = held.as_mut().expect("somebody");
            (stranger.sent_to, stranger.is) = (sent_to, is);
        }
        strangers.forget(gone);
        let left = |number| {
            let slot = strangers.find(&name(number)).expect("a place");
            let held = slot.lock();
            held.as_ref()
                .map(|one| (one.sent_to, one.is, one.talk.turns))
        };
        assert_eq!(left(0), None);
        assert_eq!(left(1), Some((None, None, 1)), "goes on, to nobody");
        assert_eq!(left(2), None);
        assert_eq!(left(3), Some((Some(other), Some(other), 0)));
    }

    #[test]
    fn a_conversation_is_forgotten_when_it_is_over_and_not_before() {
        let strangers = strangers();
        put(&strangers, 1, 1_000);
        strangers.sweep(999);
        assert!(strangers.find(&name(1)).is_some());
        strangers.sweep(1_000);
        assert!(strangers.find(&name(1)).is_none());
    }

    #[test]
    fn channel_user_and_conversation_cannot_be_shifted_into_one_another() {
        let strangers = strangers();
        let names = [
            strangers.name("a", "bc", Some("d")),
            strangers.name("ab", "c", Some("d")),
            strangers.name("a", "b", Some("cd")),
            strangers.name("a", "bcd", None),
            strangers.name("a", "bcd", Some("")),
        ];
        for (at, one) in names.iter().enumerate() {
            assert!(names.iter().skip(at + 1).all(|other| other != one));
        }
    }
}

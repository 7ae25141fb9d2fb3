//! Makes sure that no reader outlives an acknowledgement.
//!
//! A reader takes a ticket before it opens its snapshot and hands values over only while holding
//! what the ticket promised; whoever acknowledges an erasure, a withdrawal or a revocation first
//! bumps the counter, and so waits for hand-overs that run and fails those that have not begun.
//!
//! Knows nothing of what was revoked: people share 4,096 counters, and a collision costs a reader
//! one more try. Beside a counter stands the number, among all revocations, of its last one; so
//! whoever reads many people notes that number once instead of every counter.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};

use crate::id::SubjectId;

const STRIPES: usize = 4096;

/// The counters: a stripe for people, one for policy and API keys.
pub struct Revocation {
    people: Box<[RwLock<Stripe>]>,
    policy: RwLock<u64>,
    /// Revocations of people so far.
    latest: AtomicU64,
}

/// What was revoked of the people who share it.
#[derive(Clone, Copy, Debug, Default)]
struct Stripe {
    /// How often.
    count: u64,
    /// The number of the last one among all revocations.
    last: u64,
}

/// How far revocations had come before a reader of many people began.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    latest: u64,
    policy: u64,
}

/// What the counters said before a reader began.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    stripe: Option<usize>,
    person: u64,
    policy: u64,
}

/// While this lives nothing that concerns the reader is acknowledged as revoked.
pub struct Hold<'a> {
    _person: Option<RwLockReadGuard<'a, Stripe>>,
    _policy: Option<RwLockReadGuard<'a, u64>>,
}

impl Ticket {
    /// The same ticket, after so many revocations that are the reader's own.
    #[must_use]
    pub fn after(mut self, own: u64) -> Self {
        self.person += own;
        self
    }
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            people: (0..STRIPES).map(|_| RwLock::default()).collect(),
            policy: RwLock::new(0),
            latest: AtomicU64::new(0),
        }
    }
}

impl Revocation {
    /// A ticket; to be taken before the snapshot is opened. Without a subject only policy and API
    /// keys are watched.
    #[must_use]
    pub fn ticket(&self, subject: Option<SubjectId>) -> Ticket {
        let stripe = subject.map(stripe_of);
        Ticket {
            stripe,
            person: stripe.map_or(0, |stripe| self.people[stripe].read().count),
            policy: *self.policy.read(),
        }
    }

    /// Holds off revocations if there was none since the ticket was taken; `None` if there was, and
    /// the reader has to begin again.
    #[must_use]
    pub fn hold(&self, ticket: Ticket) -> Option<Hold<'_>> {
        let person = ticket.stripe.map(|stripe| self.people[stripe].read());
        let policy = self.policy.read();
        let unchanged = person
            .as_deref()
            .is_none_or(|stripe| stripe.count == ticket.person)
            && *policy == ticket.policy;
        unchanged.then_some(Hold {
            _person: person,
            _policy: Some(policy),
        })
    }

    /// What a reader of many people notes before it opens its snapshot.
    #[must_use]
    pub fn horizon(&self) -> Horizon {
        Horizon {
            latest: self.latest.load(Ordering::SeqCst),
            policy: *self.policy.read(),
        }
    }

    /// Holds off revocations of people, in their order, up to the first of whom something was
    /// revoked beyond the horizon: the holds, and how many people they are good for. `None` if
    /// policy or API keys changed.
    #[must_use]
    pub fn hold_many(
        &self,
        horizon: Horizon,
        people: impl Iterator<Item = SubjectId>,
    ) -> Option<(Vec<Hold<'_>>, usize)> {
        let policy = self.policy.read();
        if *policy != horizon.policy {
            return None;
        }
        let mut holds = vec![Hold {
            _person: None,
            _policy: Some(policy),
        }];
        // A counter that two people share is held once: a bump that waits for the first hold would
        // keep the second out for ever. Readers who hold several keep nobody else out either, as
        // long as only the writer bumps, one counter at a time.
        let mut held = [false; STRIPES];
        let mut good = 0;
        for subject in people {
            let stripe = stripe_of(subject);
            if !held[stripe] {
                let person = self.people[stripe].read();
                if person.last > horizon.latest {
                    break;
                }
                holds.push(Hold {
                    _person: Some(person),
                    _policy: None,
                });
                held[stripe] = true;
            }
            good += 1;
        }
        Some((holds, good))
    }

    /// Ends every ticket of this person, for so many who revoked something; returns when no hand-over
    /// of theirs runs.
    pub fn bump(&self, subject: SubjectId, times: u64) {
        let mut stripe = self.people[stripe_of(subject)].write();
        stripe.count += times;
        stripe.last = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
    }

    /// Ends every ticket.
    pub fn bump_policy(&self) {
        *self.policy.write() += 1;
    }
}

fn stripe_of(subject: SubjectId) -> usize {
    let bytes = subject.as_bytes();
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) % STRIPES
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: SubjectId = SubjectId::from_bytes([1; 16]);
    const BEN: SubjectId = SubjectId::from_bytes([2; 16]);

    #[test]
    fn a_ticket_ends_with_its_person_or_with_the_policy_and_with_nobody_else() {
        let revocation = Revocation::default();
        let ticket = revocation.ticket(Some(ANN));
        revocation.bump(BEN, 1);
        assert!(revocation.hold(ticket).is_some());
        revocation.bump(ANN, 1);
        assert!(revocation.hold(ticket).is_none());
        let ticket = revocation.ticket(Some(ANN));
        revocation.bump_policy();
        assert!(revocation.hold(ticket).is_none());
    }

    #[test]
    fn a_readers_own_revocation_does_not_end_its_ticket_and_anothers_beside_it_does() {
        let revocation = Revocation::default();
        let ticket = || revocation.ticket(Some(ANN)).after(1);
        let alone = ticket();
        revocation.bump(ANN, 1);
        assert!(revocation.hold(alone).is_some());
        let beside = ticket();
        revocation.bump(ANN, 2);
        assert!(revocation.hold(beside).is_none());
        let none = ticket();
        assert!(revocation.hold(none).is_none(), "its own has not come yet");
    }

    #[test]
    fn a_reader_of_many_keeps_those_before_the_first_who_was_revoked() {
        let revocation = Revocation::default();
        let cas = SubjectId::from_bytes([3; 16]);
        let held = |horizon, people: &[SubjectId]| {
            let held = revocation.hold_many(horizon, people.iter().copied());
            held.map(|(_, good)| good)
        };
        revocation.bump(ANN, 1);
        let horizon = revocation.horizon();
        assert_eq!(held(horizon, &[ANN, ANN, BEN, cas, ANN]), Some(5));
        revocation.bump(BEN, 1);
        assert_eq!(held(horizon, &[ANN, BEN, cas]), Some(1));
        assert_eq!(held(horizon, &[BEN, cas]), Some(0));
        assert_eq!(held(revocation.horizon(), &[ANN, BEN, cas]), Some(3));
        revocation.bump_policy();
        assert_eq!(held(horizon, &[ANN]), None);
    }

    #[test]
    fn a_bump_waits_for_a_reader_of_many_in_whom_two_share_a_counter() {
        let revocation = Revocation::default();
        // Another person of Ann's counter, with Ben's between.
        let mut other = [1; 16];
        other[15] = 2;
        let people = [ANN, BEN, SubjectId::from_bytes(other)];
        let horizon = revocation.horizon();
        let held = revocation.hold_many(horizon, people.into_iter()).unwrap();
        assert_eq!((held.0.len(), held.1), (3, 3));
        std::thread::scope(|scope| {
            let bump = scope.spawn(|| revocation.bump(ANN, 1));
            assert!(revocation.people[stripe_of(ANN)].try_write().is_none());
            drop(held);
            bump.join().unwrap();
        });
        let held = revocation.hold_many(horizon, people.into_iter()).unwrap();
        assert_eq!(held.1, 0);
    }

    #[test]
    fn a_bump_waits_for_the_hand_over_that_runs() {
        let revocation = Revocation::default();
        let hold = revocation.hold(revocation.ticket(Some(ANN))).unwrap();
        std::thread::scope(|scope| {
            let bump = scope.spawn(|| revocation.bump(ANN, 1));
            assert!(revocation.people[stripe_of(ANN)].try_write().is_none());
            assert!(!bump.is_finished());
            drop(hold);
            bump.join().unwrap();
        });
        assert_eq!(revocation.people[stripe_of(ANN)].read().count, 1);
    }
}

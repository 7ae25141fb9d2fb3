//! Emergencies: somebody sees of one person what their role does not show, because another has agreed.
//!
//! An append-only list under the person's keys, which dies with them: what happened to each emergency is
//! folded from its steps. That one stands is never stored, only found: whatever else is wrong, without a
//! stored word of another key there is none.
//!
//! Knows nothing of policies and of who may do what.
//!
//! Source: GDPR Art. 5(1)(f), 32(1)(b); OWASP ASVS 5.0 2.3.5 (two people for what is sensitive).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::events::{self, Topic};
use crate::id::{EmergencyId, SessionId, TokenId};
use crate::limits::EMERGENCY_WAIT_SECONDS;
use crate::person::Person;
use crate::refusal::Refusal;

/// An API key that took a step, and its role then.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Party {
    pub(crate) token: TokenId,
    pub(crate) key_sha256: [u8; 32],
    pub(crate) role: String,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub(crate) enum Step {
    Requested {
        by: Party,
        /// Without personal data, by rule.
        reason: String,
        /// Collections and fields.
        fields: Vec<(u16, u16)>,
        purpose: u16,
        /// How long it lasts from the approval on.
        seconds: i64,
    },
    Approved {
        by: Party,
    },
    Refused {
        by: Party,
    },
    /// The session was handed out.
    Used,
    Ended {
        by: Party,
    },
}

/// Silent about what was said.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Requested { .. } => "Requested",
            Self::Approved { .. } => "Approved",
            Self::Refused { .. } => "Refused",
            Self::Used => "Used",
            Self::Ended { .. } => "Ended",
        })
    }
}

/// One step of one emergency.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EmergencyEvent {
    pub(crate) emergency: EmergencyId,
    pub(crate) at: Timestamp,
    #[serde(flatten)]
    pub(crate) step: Step,
}

/// Where an emergency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmergencyState {
    /// It waits for another's word.
    Requested,
    /// Nobody said anything in time.
    Lapsed,
    /// Another refused.
    Refused,
    /// Another agreed, and nobody has taken the session yet.
    Approved,
    /// The session was taken.
    Used,
    /// Somebody ended it.
    Ended,
    /// Its time was over.
    Expired,
}

impl EmergencyState {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Lapsed => "lapsed",
            Self::Refused => "refused",
            Self::Approved => "approved",
            Self::Used => "used",
            Self::Ended => "ended",
            Self::Expired => "expired",
        }
    }

    /// Whether something can still come of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Approved | Self::Used)
    }
}

/// An emergency as its steps leave it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Emergency {
    pub(crate) id: EmergencyId,
    pub(crate) requested_at: Timestamp,
    pub(crate) by: Party,
    pub(crate) reason: String,
    pub(crate) fields: Vec<(u16, u16)>,
    pub(crate) purpose: u16,
    pub(crate) seconds: i64,
    /// Whether it was approved, by whom, and when.
    pub(crate) decided: Option<(bool, Party, Timestamp)>,
    pub(crate) used_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
}

impl Emergency {
    /// Its session, which has the same bits: an entry of the log that names the one names the other.
    pub(crate) fn session(&self) -> SessionId {
        session_of(self.id)
    }

    /// When a request that nobody decides is over.
    pub(crate) fn lapses_at(&self) -> Timestamp {
        later(self.requested_at, EMERGENCY_WAIT_SECONDS)
    }

    /// When it is over, once it was approved.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        match &self.decided {
            Some((true, _, at)) => Some(later(*at, self.seconds)),
            _ => None,
        }
    }

    /// Who approved it: never whoever asked.
    pub(crate) fn approver(&self) -> Option<&Party> {
        let (approved, party, _) = self.decided.as_ref()?;
        let another = party.token != self.by.token && party.key_sha256 != self.by.key_sha256;
        (*approved && another).then_some(party)
    }

    pub(crate) fn state(&self, now: Timestamp) -> EmergencyState {
        match (&self.decided, self.ended_at) {
            (Some((false, _, _)), _) => EmergencyState::Refused,
            (_, Some(_)) => EmergencyState::Ended,
            (None, None) if now >= self.lapses_at() => EmergencyState::Lapsed,
            (None, None) => EmergencyState::Requested,
            (Some(_), None) if self.approver().is_none() => EmergencyState::Refused,
            (Some(_), None) if self.expires_at().is_none_or(|end| now >= end) => {
                EmergencyState::Expired
            }
            (Some(_), None) if self.used_at.is_some() => EmergencyState::Used,
            (Some(_), None) => EmergencyState::Approved,
        }
    }

    /// Whether its session may read now.
    pub(crate) fn stands(&self, now: Timestamp) -> bool {
        self.state(now) == EmergencyState::Used
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// The session of an emergency.
pub(crate) fn session_of(emergency: EmergencyId) -> SessionId {
    SessionId::from_bytes(*emergency.as_bytes())
}

/// The emergency that a session would be of.
pub(crate) fn of_session(session: SessionId) -> EmergencyId {
    EmergencyId::from_bytes(*session.as_bytes())
}

/// What comes of some steps, oldest first. A step that no state allows changes nothing.
fn fold(events: Vec<EmergencyEvent>) -> Vec<Emergency> {
    let mut all: Vec<Emergency> = Vec::new();
    for EmergencyEvent {
        emergency,
        at,
        step,
    } in events
    {
        let known = all.iter_mut().find(|one| one.id == emergency);
        match (step, known) {
            (
                Step::Requested {
                    by,
                    reason,
                    fields,
                    purpose,
                    seconds,
                },
                None,
            ) => all.push(Emergency {
                id: emergency,
                requested_at: at,
                by,
                reason,
                fields,
                purpose,
                seconds,
                decided: None,
                used_at: None,
                ended_at: None,
            }),
            (Step::Approved { by }, Some(one)) if one.decided.is_none() => {
                one.decided = Some((true, by, at));
            }
            (Step::Refused { by }, Some(one)) if one.decided.is_none() => {
                one.decided = Some((false, by, at));
            }
            (Step::Used, Some(one)) => one.used_at = one.used_at.or(Some(at)),
            (Step::Ended { by: _ }, Some(one)) => one.ended_at = one.ended_at.or(Some(at)),
            _ => {}
        }
    }
    all
}

/// Every emergency of a person, oldest first.
pub(crate) fn all(view: &dyn View, person: &Person) -> Result<Vec<Emergency>, Refusal> {
    Ok(fold(events::history(view, person, Topic::Emergency)?))
}

/// How many steps they have together; opens none.
pub(crate) fn steps(view: &dyn View, person: &Person) -> Result<usize, Refusal> {
    events::count(view, person.entry.handle, Topic::Emergency)
}

/// One of them.
pub(crate) fn find(
    view: &dyn View,
    person: &Person,
    emergency: EmergencyId,
) -> Result<Option<Emergency>, Refusal> {
    // Most people never had one, and one look tells.
    if !events::any(view, person.entry.handle, Topic::Emergency)? {
        return Ok(None);
    }
    let mut all = all(view, person)?.into_iter();
    Ok(all.find(|one| one.id == emergency))
}

/// Adds a step; the person's readers end before it is acknowledged.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    emergency: EmergencyId,
    step: Step,
) -> Result<(), Refusal> {
    let event = EmergencyEvent {
        emergency,
        at: txn.now(),
        step,
    };
    events::append(txn, person, Topic::Emergency, &event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn party(byte: u8) -> Party {
        Party {
            token: TokenId::from_bytes([byte; 16]),
            key_sha256: [byte; 32],
            role: "agent".into(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn requested() -> Step {
        Step::Requested {
            by: party(1),
            reason: "ambulance asks for the allergy".into(),
            fields: vec![(1, 2)],
            purpose: 3,
            seconds: 600,
        }
    }

    fn event(second: i64, step: Step) -> EmergencyEvent {
        EmergencyEvent {
            emergency: EmergencyId::from_bytes([9; 16]),
            at: at(second),
            step,
        }
    }

    fn folded(steps: Vec<(i64, Step)>) -> Emergency {
        let events = steps.into_iter().map(|(second, step)| event(second, step));
        fold(events.collect()).remove(0)
    }

    #[test]
    fn an_emergency_goes_from_request_to_its_end_and_each_bound_is_exact() {
        use EmergencyState::{Approved, Ended, Expired, Lapsed, Requested, Used};
        let waits = folded(vec![(0, requested())]);
        assert_eq!(
            (waits.state(at(899)), waits.state(at(900))),
            (Requested, Lapsed)
        );
        let by = || party(2);
        let approved = folded(vec![(0, requested()), (10, Step::Approved { by: by() })]);
        assert_eq!(approved.state(at(609)), Approved);
        assert!(!approved.stands(at(609)), "nobody has the session");
        assert_eq!(approved.state(at(610)), Expired);
        let mut steps = vec![
            (0, requested()),
            (10, Step::Approved { by: by() }),
            (20, Step::Used),
        ];
        let used = folded(steps.clone());
        assert_eq!(used.state(at(609)), Used);
        assert!(used.stands(at(609)) && !used.stands(at(610)));
        steps.push((30, Step::Ended { by: party(1) }));
        assert_eq!(folded(steps).state(at(40)), Ended);
        assert_eq!(used.session().as_bytes(), used.id.as_bytes());
        assert_eq!(of_session(used.session()), used.id);
    }

    #[test]
    fn a_stored_event_reads_back() {
        for step in [
            requested(),
            Step::Approved { by: party(2) },
            Step::Refused { by: party(2) },
            Step::Used,
            Step::Ended { by: party(1) },
        ] {
            let event = event(5, step);
            let bytes = serde_json::to_vec(&event).expect("it has a form");
            let read: EmergencyEvent = serde_json::from_slice(&bytes).expect("reads");
            assert!(read == event);
        }
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(requested()),
            (1u8..4).prop_map(|by| Step::Approved { by: party(by) }),
            (1u8..4).prop_map(|by| Step::Refused { by: party(by) }),
            Just(Step::Used),
            (1u8..4).prop_map(|by| Step::Ended { by: party(by) }),
        ]
    }

    proptest! {
        /// Failure: an emergency that stands without a word of another key, after a refusal that came
        /// first, or after an end. Not failure: that one which was approved does not stand.
        #[test]
        fn no_list_of_steps_stands_without_another_keys_approval(
            list in prop::collection::vec((0i64..700, steps()), 0..12), now in 0i64..1_400
        ) {
            let events: Vec<_> = list.into_iter().map(|(second, step)| event(second, step)).collect();
            let decision = events
                .iter()
                .skip_while(|event| !matches!(event.step, Step::Requested { .. }))
                .find(|event| matches!(event.step, Step::Approved { .. } | Step::Refused { .. }))
                .map(|event| event.step.clone());
            for one in fold(events) {
                if one.stands(at(now)) {
                    match &decision {
                        Some(Step::Approved { by }) => prop_assert!(by.token != one.by.token),
                        _ => prop_assert!(false, "stands without an approval"),
                    }
                    prop_assert!(one.ended_at.is_none() && one.used_at.is_some());
                }
            }
        }
    }
}

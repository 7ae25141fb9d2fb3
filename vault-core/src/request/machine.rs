//! Which step may follow which: a pure function, so that every history can be tried.
//!
//! Two things hold on every way through it: nothing is done before it is known well enough who asks, and
//! what cannot be undone is done only where it was confirmed.

use super::{Level, RequestKind, RequestState};

/// What an approval came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It has begun, and goes on.
    Begun,
    /// All of it is done.
    Whole,
    /// A law keeps something.
    Partly,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Carry it out.
    Approve(Done),
    /// Ask the person what they mean.
    AskClarification,
    /// Ask the person who they are.
    AskIdentity,
    /// The person takes it back.
    Cancel,
    /// Somebody looks at who they are.
    CheckByHand,
    /// The person said what they mean.
    Clarified,
    /// Take longer.
    Extend,
    /// Refuse it for an exemption that fits.
    Refuse,
    /// Somebody looks at the matter.
    Review,
    /// It is known who asks, this well.
    Verify(Level),
}

/// What a step depends on, beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What is asked for.
    pub kind: RequestKind,
    /// How well it is known who asks.
    pub level: Level,
    /// Whether the vault's own confirmation for this request and scope came back.
    pub confirmed: bool,
    /// Whether the strict end is over.
    pub late: bool,
    /// Whether it was extended before.
    pub extended: bool,
}

/// Why a step may not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Barred {
    /// Nothing follows any more.
    #[error("the request is closed")]
    Closed,
    /// It was extended before: once is all there is.
    #[error("the request was extended before, and can be extended once (Art. 12(3) GDPR)")]
    Extended,
    /// The time for it is over.
    #[error(
        "the time for an answer is over, and an extension is told before that (Art. 12(3) GDPR)"
    )]
    Late,
    /// It is not known well enough who asks.
    #[error("this needs the level {} and the request has {}: verify who asks with the step `identity`", .needs.name(), .has.name())]
    Level {
        /// What it needs.
        needs: Level,
        /// What there is.
        has: Level,
    },
    /// The step has no place here.
    #[error("a request that is `{}` does not take this step", .0.name())]
    NotNow(RequestState),
    /// What cannot be undone was not confirmed.
    #[error("this cannot be undone: call the step `confirm` and send its `confirmation` along")]
    Unconfirmed,
}

/// Where a request stands at its beginning: known well enough or not.
#[must_use]
pub fn begin(kind: RequestKind, level: Level) -> RequestState {
    match level >= kind.needs() {
        true => RequestState::Verified,
        false => RequestState::Received,
    }
}

/// Where a step leads.
///
/// # Errors
///
/// See [`Barred`].
pub fn transition(state: RequestState, step: Step, facts: &Facts) -> Result<RequestState, Barred> {
    use RequestState as S;
    if state.is_closed() {
        return Err(Barred::Closed);
    }
    let not_now = Err(Barred::NotNow(state));
    match step {
        Step::Cancel => Ok(S::Cancelled),
        Step::Refuse => Ok(S::Refused),
        Step::Extend if facts.extended => Err(Barred::Extended),
        Step::Extend if facts.late => Err(Barred::Late),
        Step::Extend => Ok(state),
        Step::AskIdentity => match state {
            S::Received | S::Verified | S::AwaitingHuman => Ok(S::IdentityPending),
            _ => not_now,
        },
        Step::CheckByHand => match state {
            S::Received | S::IdentityPending => Ok(S::ManualIdentity),
            _ => not_now,
        },
        Step::Verify(level) => match state {
            S::Received | S::IdentityPending | S::ManualIdentity => {
                enough(facts.kind, level.max(facts.level)).map(|()| S::Verified)
            }
            _ => not_now,
        },
        Step::AskClarification => match state {
            S::Received | S::Verified | S::AwaitingHuman => Ok(S::ClarificationPending),
            _ => not_now,
        },
        Step::Clarified => match state {
            S::ClarificationPending => Ok(begin(facts.kind, facts.level)),
            _ => not_now,
        },
        Step::Review => match state {
            S::Verified => Ok(S::AwaitingHuman),
            _ => not_now,
        },
        Step::Approve(done) => match state {
            S::Received | S::Verified | S::AwaitingHuman | S::InProgress => {
                enough(facts.kind, facts.level)?;
                if facts.kind.is_final() && !facts.confirmed {
                    return Err(Barred::Unconfirmed);
                }
                Ok(match done {
                    Done::Begun => S::InProgress,
                    Done::Whole => S::Fulfilled,
                    Done::Partly => S::PartlyFulfilled,
                })
            }
            _ => not_now,
        },
    }
}

fn enough(kind: RequestKind, level: Level) -> Result<(), Barred> {
    let needs = kind.needs();
    match level >= needs {
        true => Ok(()),
        false => Err(Barred::Level { needs, has: level }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Machine = fn(RequestState, Step, &Facts) -> Result<RequestState, Barred>;

    fn level() -> impl Strategy<Value = Level> {
        prop::sample::select(Level::ALL)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Approve(Done::Begun)),
            Just(Step::Approve(Done::Whole)),
            Just(Step::Approve(Done::Partly)),
            Just(Step::AskClarification),
            Just(Step::AskIdentity),
            Just(Step::Cancel),
            Just(Step::CheckByHand),
            Just(Step::Clarified),
            Just(Step::Extend),
            Just(Step::Refuse),
            Just(Step::Review),
            level().prop_map(Step::Verify),
        ]
    }

    /// A walk: a kind, a level to begin with, and steps that come confirmed or not, in time or not.
    type Walk = (RequestKind, Level, Vec<(Step, bool, bool)>);

    fn walk() -> impl Strategy<Value = Walk> {
        let steps = prop::collection::vec((step(), any::<bool>(), any::<bool>()), 1..40);
        (prop::sample::select(RequestKind::ALL), level(), steps)
    }

    /// Failure is: an effect below its level, one that is final without a confirmation, anything after the end,
    /// a second extension or a late one. That a step is refused is none.
    fn follow(machine: Machine, (kind, first, steps): &Walk) -> Result<(), String> {
        let (mut state, mut level, mut extended) = (begin(*kind, *first), *first, false);
        for (step, confirmed, late) in steps {
            let facts = Facts {
                kind: *kind,
                level,
                confirmed: *confirmed,
                late: *late,
                extended,
            };
            let Ok(next) = machine(state, *step, &facts) else {
                continue;
            };
            if state.is_closed() {
                return Err(format!("{step:?} after {state:?}"));
            }
            match step {
                Step::Verify(proved) => level = level.max(*proved),
                Step::Extend if extended || *late => return Err("an extension too many".into()),
                Step::Extend => extended = true,
                _ => {}
            }
            let effect = matches!(
                next,
                RequestState::InProgress | RequestState::Fulfilled | RequestState::PartlyFulfilled
            );
            if effect && next != state || matches!(step, Step::Approve(_)) {
                if level < kind.needs() {
                    return Err(format!("{kind:?} done at {level:?}"));
                }
                if kind.is_final() && !confirmed {
                    return Err(format!("{kind:?} done without a confirmation"));
                }
            }
            if next == RequestState::Verified && level < kind.needs() {
                return Err(format!("{kind:?} taken for verified at {level:?}"));
            }
            state = next;
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn no_way_leads_to_an_effect_without_its_level_and_confirmation(walk in walk()) {
            prop_assert_eq!(follow(transition, &walk), Ok(()));
        }
    }

    /// The walks find what they look for where the machine lacks a rule.
    #[test]
    fn a_machine_without_one_of_its_rules_is_found_out() {
        let no_level: Machine = |state, step, facts| {
            let level = Level::L3;
            transition(state, step, &Facts { level, ..*facts })
        };
        let no_confirmation: Machine = |state, step, facts| {
            let confirmed = true;
            transition(
                state,
                step,
                &Facts {
                    confirmed,
                    ..*facts
                },
            )
        };
        let no_end: Machine = |state, step, facts| match state.is_closed() {
            true => Ok(RequestState::InProgress),
            false => transition(state, step, facts),
        };
        let no_once: Machine = |state, step, facts| {
            let (extended, late) = (false, false);
            let facts = Facts {
                extended,
                late,
                ..*facts
            };
            transition(state, step, &facts)
        };
        for (name, machine) in [
            ("level", no_level),
            ("confirmation", no_confirmation),
            ("end", no_end),
            ("extension", no_once),
        ] {
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
                cases: 20_000,
                failure_persistence: None,
                ..ProptestConfig::default()
            });
            let found = runner.run(&walk(), |walk| {
                follow(machine, &walk).map_err(TestCaseError::fail)
            });
            assert!(
                found.is_err(),
                "nobody notices that the rule `{name}` is missing"
            );
        }
    }

    fn facts(kind: RequestKind, level: Level) -> Facts {
        Facts {
            kind,
            level,
            confirmed: true,
            late: false,
            extended: false,
        }
    }

    #[test]
    fn the_way_of_an_erasure_from_a_message_to_its_end() {
        use RequestState as S;
        let whole = Step::Approve(Done::Whole);
        let (erase, known) = (RequestKind::Erase, facts(RequestKind::Erase, Level::L1));
        let mut state = begin(erase, Level::L1);
        assert_eq!(state, S::Received);
        let too_low = Barred::Level {
            needs: Level::L2,
            has: Level::L1,
        };
        assert_eq!(transition(state, whole, &known), Err(too_low));
        for (step, then) in [
            (Step::AskIdentity, S::IdentityPending),
            (Step::CheckByHand, S::ManualIdentity),
            (Step::Verify(Level::L3), S::Verified),
        ] {
            state = transition(state, step, &known).expect("the way on");
            assert_eq!(state, then);
        }
        let proved = facts(erase, Level::L3);
        let silent = Facts {
            confirmed: false,
            ..proved
        };
        assert_eq!(transition(state, whole, &silent), Err(Barred::Unconfirmed));
        assert_eq!(transition(state, whole, &proved), Ok(S::Fulfilled));
        assert_eq!(
            transition(S::Fulfilled, whole, &proved),
            Err(Barred::Closed)
        );
    }

    #[test]
    fn a_question_leads_back_to_where_the_level_allows() {
        use RequestState as S;
        let known = facts(RequestKind::Recipients, Level::L1);
        let asked = transition(S::Verified, Step::AskClarification, &known);
        assert_eq!(asked, Ok(S::ClarificationPending));
        let back = |facts| transition(S::ClarificationPending, Step::Clarified, facts);
        assert_eq!(back(&known), Ok(S::Verified));
        assert_eq!(
            back(&facts(RequestKind::Access, Level::L1)),
            Ok(S::Received)
        );
        let waiting = transition(S::ClarificationPending, Step::Approve(Done::Whole), &known);
        assert_eq!(waiting, Err(Barred::NotNow(S::ClarificationPending)));
    }
}

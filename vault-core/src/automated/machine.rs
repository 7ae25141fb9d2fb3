//! Which step may follow which: a pure function, so that every history can be tried.
//!
//! One thing holds on every way through it: a decision is reviewed only by somebody who did not record it, who was
//! shown the last that the person said, and who gives reasons. And who may look can change it: every review may end
//! in each of its outcomes.

use super::{DecisionState, Outcome};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody is shown it, to review it.
    Begin,
    /// The person wants a human to look at it, or adds to what they said.
    Contest,
    /// The review comes to this.
    Decide(Outcome),
    /// The contest ends without a review.
    EndContest,
    /// It takes effect.
    TakeEffect,
}

/// What a step depends on, beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether whoever takes the step recorded the decision.
    pub own: bool,
    /// Whether whoever takes the step was shown the decision as it stands, and the person's view of it.
    pub shown: bool,
    /// Whether there are reasons.
    pub reasoned: bool,
    /// Whether there is another outcome in the place of the first.
    pub replaced: bool,
}

/// Why a step may not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Barred {
    /// A human has decided, and nothing follows any more.
    #[error(
        "a human has reviewed this decision: who does not accept that may complain to the authority (Art. 77 GDPR)"
    )]
    Closed,
    /// The step has no place here.
    #[error("a decision that is `{}` does not take this step", .0.name())]
    NotNow(DecisionState),
    /// Nobody reviews what they decided themselves.
    #[error(
        "the key that recorded a decision does not review it: another has to (Art. 22(3) GDPR)"
    )]
    Own,
    /// The reviewer was not shown the decision as it stands.
    #[error(
        "the review has not been shown to you as it stands: take the step `begin`, read what the person says, and \
         send its `review` along"
    )]
    Unread,
    /// There are no reasons.
    #[error("a review gives its reasons")]
    Unreasoned,
    /// Another outcome is missing, or there is one where none belongs.
    #[error("`changed` has another outcome in the place of the first, and the others have none")]
    Unreplaced,
}

/// Where a step leads.
///
/// # Errors
///
/// See [`Barred`].
pub fn transition(
    state: DecisionState,
    step: Step,
    facts: &Facts,
) -> Result<DecisionState, Barred> {
    use DecisionState as S;
    if state.is_reviewed() {
        return Err(Barred::Closed);
    }
    match (step, state) {
        (Step::TakeEffect, S::Proposed) => Ok(S::Effective),
        // What the person adds is to be read: whoever had begun begins again.
        (Step::Contest, S::Effective | S::Contested | S::UnderReview) => Ok(S::Contested),
        (Step::EndContest, S::Contested | S::UnderReview) => Ok(S::Effective),
        (Step::Begin, S::Contested | S::UnderReview) if facts.own => Err(Barred::Own),
        (Step::Begin, S::Contested | S::UnderReview) => Ok(S::UnderReview),
        (Step::Decide(outcome), S::UnderReview) => {
            if facts.own {
                return Err(Barred::Own);
            }
            if !facts.shown {
                return Err(Barred::Unread);
            }
            if !facts.reasoned {
                return Err(Barred::Unreasoned);
            }
            match facts.replaced == (outcome == Outcome::Changed) {
                true => Ok(outcome.state()),
                false => Err(Barred::Unreplaced),
            }
        }
        // The person said more since it was shown.
        (Step::Decide(_), S::Contested) => Err(Barred::Unread),
        _ => Err(Barred::NotNow(state)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Machine = fn(DecisionState, Step, &Facts) -> Result<DecisionState, Barred>;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Begin),
            Just(Step::Contest),
            prop::sample::select(Outcome::ALL).prop_map(Step::Decide),
            Just(Step::EndContest),
            Just(Step::TakeEffect),
        ]
    }

    /// A step, who takes it of three (the first recorded the decision), and whether with reasons and with another
    /// outcome.
    type Taken = (Step, usize, bool, bool);

    fn walk() -> impl Strategy<Value = (bool, Vec<Taken>)> {
        let taken = (step(), 0_usize..3, any::<bool>(), any::<bool>());
        (any::<bool>(), prop::collection::vec(taken, 1..40))
    }

    /// What the machine is to know itself is kept beside it: what each of the three has been shown since the person
    /// last said something.
    ///
    /// Failure is: a review by who recorded it, of what they were not shown, without reasons, without an outcome
    /// that fits, of what nobody contested, or of what had no effect; and anything after one. That a step is refused
    /// is none.
    fn follow(
        machine: Machine,
        (proposed, steps): &(bool, Vec<Taken>),
    ) -> Result<(), &'static str> {
        let mut state = match proposed {
            true => DecisionState::Proposed,
            false => DecisionState::Effective,
        };
        let (mut shown, mut contested, mut effective) = ([false; 3], false, !proposed);
        for (step, who, reasoned, replaced) in steps {
            let facts = Facts {
                own: *who == 0,
                shown: shown[*who],
                reasoned: *reasoned,
                replaced: *replaced,
            };
            let Ok(next) = machine(state, *step, &facts) else {
                continue;
            };
            if state.is_reviewed() {
                return Err("a step after the review");
            }
            match step {
                Step::TakeEffect => effective = true,
                Step::Contest => (shown, contested) = ([false; 3], true),
                Step::EndContest => (shown, contested) = ([false; 3], false),
                Step::Begin => {
                    shown = [false; 3];
                    shown[*who] = true;
                }
                Step::Decide(_) => {}
            }
            if matches!(step, Step::Begin | Step::Decide(_)) && *who == 0 {
                return Err("a review of their own decision");
            }
            if matches!(step, Step::Decide(_)) != next.is_reviewed() {
                return Err("reviewed by another step than that");
            }
            if let Step::Decide(outcome) = step {
                if !shown[*who] {
                    return Err("a review of what was not read");
                }
                if !reasoned {
                    return Err("a review without reasons");
                }
                if (*outcome == Outcome::Changed) != *replaced {
                    return Err("an outcome that does not fit");
                }
                if !contested || !effective {
                    return Err("a review of what nobody contested");
                }
            }
            state = next;
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn article_22_no_way_leads_to_a_review_that_nobody_read_or_reasoned(walk in walk()) {
            prop_assert_eq!(follow(transition, &walk), Ok(()));
        }
    }

    /// The walks find what they look for where the machine lacks a rule.
    #[test]
    fn a_machine_without_one_of_its_rules_is_found_out() {
        let no_other: Machine = |state, step, facts| {
            let own = false;
            transition(state, step, &Facts { own, ..*facts })
        };
        let no_view: Machine = |state, step, facts| {
            let shown = true;
            transition(state, step, &Facts { shown, ..*facts })
        };
        let no_reasons: Machine = |state, step, facts| {
            let reasoned = true;
            transition(state, step, &Facts { reasoned, ..*facts })
        };
        let no_outcome: Machine = |state, step, facts| {
            let replaced = matches!(step, Step::Decide(Outcome::Changed));
            transition(state, step, &Facts { replaced, ..*facts })
        };
        let no_end: Machine = |state, step, facts| match state.is_reviewed() {
            true => Ok(DecisionState::Contested),
            false => transition(state, step, facts),
        };
        let no_contest: Machine = |state, step, facts| match (state, step) {
            (DecisionState::Effective, Step::Begin) if !facts.own => Ok(DecisionState::UnderReview),
            _ => transition(state, step, facts),
        };
        for (name, machine) in [
            ("another reviewer", no_other),
            ("the person's view", no_view),
            ("reasons", no_reasons),
            ("another outcome", no_outcome),
            ("end", no_end),
            ("contest", no_contest),
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

    const READY: Facts = Facts {
        own: false,
        shown: true,
        reasoned: true,
        replaced: false,
    };

    #[test]
    fn the_way_of_a_decision_from_its_proposal_to_its_review() {
        use DecisionState as S;
        let mut state = S::Proposed;
        let contest = transition(state, Step::Contest, &READY);
        assert_eq!(contest, Err(Barred::NotNow(S::Proposed)));
        for (step, then) in [
            (Step::TakeEffect, S::Effective),
            (Step::Contest, S::Contested),
            (Step::Begin, S::UnderReview),
            (Step::Contest, S::Contested),
            (Step::Begin, S::UnderReview),
            (Step::Begin, S::UnderReview),
            (Step::EndContest, S::Effective),
            (Step::Contest, S::Contested),
            (Step::Begin, S::UnderReview),
            (Step::Decide(Outcome::Annulled), S::Annulled),
        ] {
            state = transition(state, step, &READY).expect("the way on");
            assert_eq!(state, then);
        }
        for step in [
            Step::Contest,
            Step::Begin,
            Step::EndContest,
            Step::TakeEffect,
        ] {
            assert_eq!(transition(state, step, &READY), Err(Barred::Closed));
        }
    }

    #[test]
    fn article_22_a_reviewer_may_come_to_every_outcome_and_to_none_without_what_it_needs() {
        let decide = |outcome, facts: Facts| {
            transition(DecisionState::UnderReview, Step::Decide(outcome), &facts)
        };
        for outcome in Outcome::ALL {
            let replaced = *outcome == Outcome::Changed;
            let ready = Facts { replaced, ..READY };
            assert_eq!(decide(*outcome, ready), Ok(outcome.state()));
            let lacking = [
                (Facts { own: true, ..ready }, Barred::Own),
                (
                    Facts {
                        shown: false,
                        ..ready
                    },
                    Barred::Unread,
                ),
                (
                    Facts {
                        reasoned: false,
                        ..ready
                    },
                    Barred::Unreasoned,
                ),
                (
                    Facts {
                        replaced: !replaced,
                        ..ready
                    },
                    Barred::Unreplaced,
                ),
            ];
            for (facts, barred) in lacking {
                assert_eq!(decide(*outcome, facts), Err(barred));
            }
        }
        let since = transition(
            DecisionState::Contested,
            Step::Decide(Outcome::Upheld),
            &READY,
        );
        assert_eq!(since, Err(Barred::Unread));
    }
}

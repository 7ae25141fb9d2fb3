//! Decisions that are taken about people, above all those that no human takes, and their review by one.
//!
//! Words and rules alone: the machine knows which step may follow which, and `stored` how a decision lies in the
//! vault. Who may take a step, and whether a decision may be taken at all, is the vault's. Not to be taken for
//! `decision`, which decides what a caller may see.
//!
//! Source: GDPR Art. 13(2)(f), 15(1)(h), 22; CJEU C-634/21 (a score that somebody relies on heavily is a decision),
//! C-203/22 (what is to be told of the logic).

pub mod machine;
pub(crate) mod stored;

use serde::{Deserialize, Serialize};

use crate::request::words;

pub use machine::{Barred, Facts, Step, transition};

words! {
    /// How far a decision has come. The order is on disk.
    DecisionState {
        /// It is proposed, and has no effect yet.
        Proposed = "proposed",
        /// It has taken effect.
        Effective = "effective",
        /// The person wants a human to look at it.
        Contested = "contested",
        /// Somebody looks at it, with what the person said before them.
        UnderReview = "under_review",
        /// A human has come to the same.
        Upheld = "upheld",
        /// A human has come to something else.
        Changed = "changed",
        /// A human has found that it ought not to have been taken.
        Annulled = "annulled",
    }
}

words! {
    /// What a review came to.
    Outcome {
        /// The same.
        Upheld = "upheld",
        /// Something else.
        Changed = "changed",
        /// That it ought not to have been taken.
        Annulled = "annulled",
    }
}

words! {
    /// What happened to a decision.
    DecisionWord {
        /// It was recorded.
        Recorded = "recorded",
        /// It took effect.
        TookEffect = "took_effect",
        /// The person contested it, or added to what they had said.
        Contested = "contested",
        /// The contest ended without a review: it was taken back, or the request for it was refused.
        ContestEnded = "contest_ended",
        /// A reviewer was shown it, and what the person said.
        ReviewBegun = "review_begun",
        /// The review was decided.
        Reviewed = "reviewed",
    }
}

impl DecisionState {
    /// Whether somebody waits for a human.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Contested | Self::UnderReview)
    }

    /// Whether a human has decided, and nothing follows.
    #[must_use]
    pub const fn is_reviewed(self) -> bool {
        matches!(self, Self::Upheld | Self::Changed | Self::Annulled)
    }
}

impl Outcome {
    /// Where it leads.
    #[must_use]
    pub const fn state(self) -> DecisionState {
        match self {
            Self::Upheld => DecisionState::Upheld,
            Self::Changed => DecisionState::Changed,
            Self::Annulled => DecisionState::Annulled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for state in DecisionState::ALL {
            assert_eq!(DecisionState::parse(state.name()), Some(*state));
            let json = serde_json::to_string(state).expect("a word");
            assert_eq!(json, format!("\"{}\"", state.name()));
            assert!(!(state.is_open() && state.is_reviewed()), "{state:?}");
        }
        for word in DecisionWord::ALL {
            let json = serde_json::to_string(word).expect("a word");
            assert_eq!(json, format!("\"{}\"", word.name()));
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.state().name(), outcome.name());
            assert!(outcome.state().is_reviewed());
        }
        assert_eq!(DecisionState::parse("Upheld"), None);
    }
}

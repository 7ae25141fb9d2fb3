//! What a person asks for under Chapter III, and how far it has come.
//!
//! Words and rules alone: the machine knows which step may follow which, and `stored` how a request lies in
//! the vault. What a step does to somebody's data, and who may take it, is the vault's.
//!
//! Source: GDPR Art. 11, 12, 15 to 22.

pub mod exemption;
pub mod machine;
pub mod restored;
pub(crate) mod stored;

use serde::{Deserialize, Serialize};

pub use exemption::Exemption;
pub use machine::{Barred, Done, Facts, Step, transition};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $one:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$note])* $one),+ }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$one),+];

            /// The word of the HTTP API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$one => $word),+ }
            }

            /// What `text` names.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == text)
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What somebody asks for. The order is on disk.
    RequestKind {
        /// A copy of everything, with its context (Art. 15).
        Access = "access",
        /// A correction (Art. 16).
        Rectify = "rectify",
        /// Erasure (Art. 17).
        Erase = "erase",
        /// Restriction (Art. 18).
        Restrict = "restrict",
        /// An objection (Art. 21).
        Object = "object",
        /// What they provided, to take along (Art. 20).
        Portability = "portability",
        /// Withdrawal of consent (Art. 7(3)).
        Withdraw = "withdraw",
        /// A human to look at a decision again (Art. 22(3)).
        HumanReview = "human_review",
        /// Who received their data (Art. 15(1)(c), 19).
        Recipients = "recipients",
    }
}

words! {
    /// How far a request has come. The order is on disk.
    RequestState {
        /// It came in, and its clock runs.
        Received = "received",
        /// The person was asked who they are.
        IdentityPending = "identity_pending",
        /// Somebody looks at who they are.
        ManualIdentity = "manual_identity",
        /// It is known who asks, as far as this request needs it.
        Verified = "verified",
        /// The person was asked what they mean.
        ClarificationPending = "clarification_pending",
        /// Somebody has to look at the matter itself.
        AwaitingHuman = "awaiting_human",
        /// Approved and begun.
        InProgress = "in_progress",
        /// Done.
        Fulfilled = "fulfilled",
        /// Done but for what a law keeps.
        PartlyFulfilled = "partly_fulfilled",
        /// Not done, with reasons.
        Refused = "refused",
        /// Taken back.
        Cancelled = "cancelled",
    }
}

words! {
    /// How well it is known who asks. The order is the strength, and on disk.
    Level {
        /// A message, from whoever sent it.
        L0 = "L0",
        /// Whoever writes on a channel that the person is known on.
        L1 = "L1",
        /// Who had a code that was sent to an address on file.
        L2 = "L2",
        /// A human looked at the evidence.
        L3 = "L3",
    }
}

words! {
    /// Why an answer takes longer. Source: Art. 12(3).
    DelayReason {
        /// The matter is complex.
        Complexity = "complexity",
        /// There are many requests.
        Number = "number",
    }
}

impl RequestKind {
    /// How well it has to be known who asks, before anything is done.
    #[must_use]
    pub const fn needs(self) -> Level {
        match self {
            // Refusing an objection to marketing for want of proof would protect nobody.
            Self::Object | Self::Withdraw | Self::HumanReview | Self::Recipients => Level::L1,
            Self::Access | Self::Rectify | Self::Erase | Self::Restrict | Self::Portability => {
                Level::L2
            }
        }
    }

    /// Whether what is done cannot be undone, so that it has to be confirmed.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Erase | Self::Rectify)
    }

    /// Whether the person's word is enough: what they say takes effect when it is said, and waits for nobody's
    /// leave.
    #[must_use]
    pub const fn is_word(self) -> bool {
        matches!(self, Self::Object | Self::Withdraw)
    }

    /// The article that it rests on.
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::Access => "Art. 15",
            Self::Rectify => "Art. 16",
            Self::Erase => "Art. 17",
            Self::Restrict => "Art. 18",
            Self::Object => "Art. 21",
            Self::Portability => "Art. 20",
            Self::Withdraw => "Art. 7(3)",
            Self::HumanReview => "Art. 22(3)",
            Self::Recipients => "Art. 15(1)(c)",
        }
    }
}

impl RequestState {
    /// Whether nothing follows any more.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(
            self,
            Self::Fulfilled | Self::PartlyFulfilled | Self::Refused | Self::Cancelled
        )
    }

    /// Status and reason of the Data Rights Protocol 0.9, §3.02.
    #[must_use]
    pub fn drp(self, exemption: Option<Exemption>) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Received => ("open", None),
            Self::IdentityPending | Self::ManualIdentity => {
                ("in_progress", Some("need_user_verification"))
            }
            Self::Verified
            | Self::ClarificationPending
            | Self::AwaitingHuman
            | Self::InProgress => ("in_progress", None),
            Self::Fulfilled | Self::PartlyFulfilled => ("fulfilled", None),
            Self::Refused => ("denied", Some(exemption.map_or("other", Exemption::drp))),
            Self::Cancelled => ("revoked", None),
        }
    }

    /// The status of OpenDSR 2.0.
    #[must_use]
    pub const fn open_dsr(self) -> &'static str {
        match self {
            Self::Received | Self::IdentityPending | Self::ManualIdentity => "pending",
            Self::Verified
            | Self::ClarificationPending
            | Self::AwaitingHuman
            | Self::InProgress => "in_progress",
            Self::Fulfilled | Self::PartlyFulfilled => "completed",
            // It has no other word for a request that ended without being carried out.
            Self::Refused | Self::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for kind in RequestKind::ALL {
            assert_eq!(RequestKind::parse(kind.name()), Some(*kind));
            let json = serde_json::to_string(kind).expect("a word");
            assert_eq!(json, format!("\"{}\"", kind.name()));
        }
        for state in RequestState::ALL {
            assert_eq!(RequestState::parse(state.name()), Some(*state));
        }
        assert_eq!(RequestKind::parse("Erase"), None);
    }

    #[test]
    fn whatever_ends_a_request_is_final_in_the_other_vocabularies_too() {
        for state in RequestState::ALL {
            let closed = ["fulfilled", "denied", "revoked"].contains(&state.drp(None).0);
            assert_eq!(closed, state.is_closed(), "{state:?}");
            let closed = ["completed", "cancelled"].contains(&state.open_dsr());
            assert_eq!(closed, state.is_closed(), "{state:?}");
        }
        let denied = RequestState::Refused.drp(Some(Exemption::IdentityFailure));
        assert_eq!(denied, ("denied", Some("insuf_verification")));
    }
}

//! Why a call was refused: one variant a stable code of the HTTP API.
//!
//! Knows nothing of HTTP: the edge gives each variant its status. Texts name fields, collections,
//! purposes and limits, never a value.

use crate::id::ReceiptId;
use crate::statement::Notice;

/// Why a call on an open vault was refused. Nothing has changed, except after
/// [`Refusal::OutcomeUnknown`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Several people have this look-up value.
    #[error("this value fits several people; look up by another field")]
    Ambiguous,
    /// The anchor could not be written; an erasure did not happen.
    #[error("the anchor cannot be written; nothing was erased")]
    AnchorUnavailable,
    /// The state of the thing is in the way; the text says which.
    #[error("{0}")]
    Conflict(String),
    /// No consent to the only purpose that could carry the call.
    #[error("the person has not consented to `{purpose}`")]
    ConsentRequired {
        /// The purpose's name.
        purpose: String,
    },
    /// No room on the disk.
    #[error("the disk of the vault is full")]
    DiskFull,
    /// The person was erased.
    #[error("the person was erased")]
    Erased {
        /// The receipt's id, where it is known.
        receipt: Option<ReceiptId>,
    },
    /// A legal hold is in the way (Art. 17(3) GDPR); the text says which.
    #[error("{0}")]
    Held(String),
    /// A call with the same idempotency key had another content.
    #[error("this idempotency key was used for a different call")]
    IdempotencyMismatch,
    /// A defect of the vault or damage of its files; details are in the log under the call's id.
    #[error("the vault met an error of its own: {0}")]
    Internal(&'static str),
    /// The input does not fit the policy's types and limits.
    #[error("the input does not fit")]
    Invalid(Vec<InputError>),
    /// The vault is locked.
    #[error("the vault is locked")]
    Locked,
    /// No lawful basis holds.
    #[error("no lawful basis for `{purpose}` holds for this person")]
    NoLawfulBasis {
        /// The purpose's name.
        purpose: String,
    },
    /// The policy lets nothing be stored before this notice was shown.
    #[error("the notice has to be shown and recorded first")]
    NoticeRequired(Box<Notice>),
    /// What was shown to the person is no longer what the policy says; this is.
    #[error("the notice that was shown is no longer what the policy says")]
    NoticeStale(Box<Notice>),
    /// Unknown, or not the caller's to know.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// A commit failed; whether the change happened is known only after the vault has recovered.
    #[error("the change may or may not have happened; read back before repeating it")]
    OutcomeUnknown,
    /// Too much waits already.
    #[error("too many calls are waiting")]
    Overloaded,
    /// Somebody changed the record first.
    #[error("the record has another revision now; read it again")]
    PreconditionFailed,
    /// The purpose is unknown, or outside the role or the field.
    #[error("{0}")]
    PurposeDenied(String),
    /// A call that moves values named no purpose.
    #[error("name the purpose of this call")]
    PurposeMissing,
    /// Too often; try again later.
    #[error("this was asked too often; try again tomorrow")]
    RateLimited {
        /// How long to wait, in seconds.
        retry_after_seconds: u64,
    },
    /// The data are stored and nothing else, for now (Art. 18 GDPR); the text says which.
    #[error("{0}")]
    Restricted(String),
    /// The role may not do this; the text says what it lacks.
    #[error("{0}")]
    RoleDenied(String),
    /// Over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// No valid API key.
    #[error("no valid API key")]
    Unauthenticated,
    /// A media type that the field does not take.
    #[error("{0}")]
    UnsupportedMediaType(String),
}

/// What a store says that reads something else than it wrote.
pub(crate) const STORE_DAMAGED: &str = "the store is damaged";

impl Refusal {
    /// Whether the vault's files are not what it wrote. Nothing repairs that but a backup.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Internal(what) if what.ends_with("is damaged"))
    }

    /// Whether a row is not what was written, while the store itself answers: what else there is can be
    /// gone on with.
    pub(crate) fn is_damage_of_a_row(&self) -> bool {
        self.is_damage() && !matches!(self, Self::Internal(STORE_DAMAGED))
    }

    /// The stable code of the HTTP API and of the evidence log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous",
            Self::AnchorUnavailable => "anchor_unavailable",
            Self::Conflict(_) => "conflict",
            Self::ConsentRequired { .. } => "consent_required",
            Self::DiskFull => "disk_full",
            Self::Erased { .. } => "erased",
            Self::Held(_) => "held",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::Internal(_) => "internal",
            Self::Invalid(_) => "invalid",
            Self::Locked => "locked",
            Self::NoLawfulBasis { .. } => "no_lawful_basis",
            Self::NotFound(_) => "not_found",
            Self::NoticeRequired(_) => "notice_required",
            Self::NoticeStale(_) => "notice_stale",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Overloaded => "overloaded",
            Self::PreconditionFailed => "precondition_failed",
            Self::PurposeDenied(_) => "purpose_denied",
            Self::PurposeMissing => "purpose_missing",
            Self::RateLimited { .. } => "rate_limited",
            Self::Restricted(_) => "restricted",
            Self::RoleDenied(_) => "role_denied",
            Self::TooLarge(_) => "too_large",
            Self::Unauthenticated => "unauthenticated",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
        }
    }
}

/// One thing wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// Where, as a JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// A stable code, such as `unknown_field`.
    pub code: &'static str,
    /// What is expected, without the value.
    pub detail: String,
}

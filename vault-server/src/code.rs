//! The closed list of problem codes: status, title, and what a caller is to do.
//!
//! Knows nothing of a particular call. Codes are append-only: clients match on them.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $status:literal, $retryable:literal, $title:literal, $advice:literal;)*) => {
        /// A stable problem code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of its name.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)* } }

            /// Whether the same call, unchanged, may succeed later.
            #[must_use]
            pub const fn retryable(self) -> bool { match self { $(Self::$variant => $retryable,)* } }

            /// A few words, the same at every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title,)* } }

            /// What it means and what to do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str { match self { $(Self::$variant => $advice,)* } }
        }
    };
}

codes! {
    /// 409.
    Ambiguous, "ambiguous", 409, false, "Several people fit",
        "More than one person has this look-up value; families share a phone. Look up by another field, or by the channel's own user id.";
    /// 503.
    AnchorUnavailable, "anchor_unavailable", 503, true, "The anchor cannot be written",
        "An erasure needs the anchor file, which cannot be read or written now. Nothing was erased. Repeat the call; if it stays, the operator looks at the disk under the anchor.";
    /// 424.
    BatchFailed, "batch_failed", 424, false, "Another operation of the batch failed",
        "What a batch does about one person happens whole or not at all. `detail` names the operation that failed; its own result says why. Nothing of this one has happened.";
    /// 409.
    Conflict, "conflict", 409, false, "The state is in the way",
        "The call does not fit the present state of the thing; `detail` says which state and what fits instead.";
    /// 403.
    ConsentRequired, "consent_required", 403, false, "The person has not consented",
        "The stated purpose rests on consent and this person has not given it, or has withdrawn it. Ask the person, record the answer under `consents`, then repeat.";
    /// 507.
    DiskFull, "disk_full", 507, false, "The disk is full",
        "The vault has no room to write. Erasing still works; a read whose entry in the log finds no room is refused too. The operator makes room.";
    /// 410.
    Erased, "erased", 410, false, "The person was erased",
        "This person's data were erased and cannot be brought back; `receipt` names the proof where it is known. Forget the id. Should the person return, `POST /v1/subjects` makes a new one.";
    /// 423.
    Held, "held", 423, false, "A legal hold is in the way",
        "The data are kept for legal claims or a legal obligation, and not used or changed. Whoever manages holds can say until when.";
    /// 409.
    IdempotencyMismatch, "idempotency_mismatch", 409, false, "The idempotency key was used for another call",
        "An earlier call carried the same `Idempotency-Key` with another method, path, purpose, `Vault-Restricted-Use`, `If-Match` or body. Use a fresh key for each new call.";
    /// 500.
    Internal, "internal", 500, false, "The vault met an error of its own",
        "A defect of the vault or damage of its files. Tell the operator the `request_id`: the vault's log has an entry under it.";
    /// 422.
    Invalid, "invalid", 422, false, "The input does not fit",
        "`errors` names each place in the body by JSON pointer (RFC 6901), with a code and what is expected. The value itself is never repeated.";
    /// 503.
    Locked, "locked", 503, true, "The vault is locked",
        "The vault holds no keys now. An operator opens it with `POST /v1/unlock` or `vault-cli`. Then repeat the call.";
    /// 400.
    Malformed, "malformed", 400, false, "The request cannot be read",
        "A header or the body breaks its syntax: JSON that does not parse, a key twice in one object, nesting over 64. `detail` gives line and column.";
    /// 405.
    MethodNotAllowed, "method_not_allowed", 405, false, "This method is not served here",
        "The path exists; the method does not fit it. The `Allow` header lists those that do.";
    /// 403.
    NoLawfulBasis, "no_lawful_basis", 403, false, "No lawful basis holds",
        "The stated purpose has no lawful basis (Art. 6 GDPR) that holds for this person now: withdrawn, objected to, or ended.";
    /// 404.
    NotFound, "not_found", 404, false, "Not found",
        "Unknown, or not yours to know. The vault does not say which.";
    /// 403.
    NoticeRequired, "notice_required", 403, false, "The person has not been shown the notice",
        "The policy lets nothing be stored before the privacy notice was shown. Show the one in `notice`, record that, then repeat.";
    /// 409.
    NoticeStale, "notice_stale", 409, false, "A newer notice is in force",
        "What the person was shown is no longer what the policy says. Show the notice in `notice`, record that, then repeat.";
    /// 503.
    OutcomeUnknown, "outcome_unknown", 503, false, "The change may or may not have happened",
        "The disk failed in the middle of a commit. Read back before repeating the call.";
    /// 503.
    Overloaded, "overloaded", 503, true, "Too many calls are waiting",
        "Nothing was done. Repeat after the seconds of `Retry-After`.";
    /// 412.
    PreconditionFailed, "precondition_failed", 412, false, "Somebody was first",
        "The record has another revision than `If-Match` names. Read it again, apply the change to what it says now, and repeat with the new `ETag`.";
    /// 403.
    PurposeDenied, "purpose_denied", 403, false, "The purpose does not fit",
        "The purpose is not in the policy, not in the role of this API key, or the field was not collected for it.";
    /// 400.
    PurposeMissing, "purpose_missing", 400, false, "Name the purpose",
        "A call that moves values says what for: `Vault-Purpose: support`. The names are those of the policy.";
    /// 416.
    RangeNotSatisfiable, "range_not_satisfiable", 416, false, "The range lies outside",
        "The content is shorter than the `Range` begins; `Content-Range` says how long it is. Leave `Range` out to get all of it.";
    /// 429.
    RateLimited, "rate_limited", 429, true, "Too often",
        "Repeat after the seconds of `Retry-After`.";
    /// 423.
    Restricted, "restricted", 423, false, "Processing is restricted",
        "The data are kept and not used for now: the person has asked for restriction (Art. 18 GDPR), or has objected and that is not decided. `detail` says which.";
    /// 403.
    RoleDenied, "role_denied", 403, false, "The role may not do this",
        "`detail` names the capability or field that the role of this API key lacks. The policy gives roles their rights.";
    /// 413.
    TooLarge, "too_large", 413, false, "Over a limit",
        "`detail` names the limit. Send less, or in more calls.";
    /// 401.
    Unauthenticated, "unauthenticated", 401, false, "No valid API key",
        "Send `Authorization: Bearer vk_…` with a key that is neither revoked nor expired.";
    /// 415.
    UnsupportedMediaType, "unsupported_media_type", 415, false, "The body has another form",
        "Bodies are `application/json` in UTF-8; on `PATCH` also `application/merge-patch+json`; a policy may be `text/plain`; a blob has one of the media types that its field lists.";
}

impl Code {
    /// The code of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_name_and_stands_once() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(*code));
            assert!((400..=599).contains(&code.status()), "{}", code.name());
        }
        let names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }
}

//! Refusals on the wire: RFC 9457 problem documents.
//!
//! Knows nothing of why a call was refused; gives each [`Refusal`] its status. A problem carries
//! names of fields, purposes and limits, never a value and never the text of a parser's error,
//! which would quote its input.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use vault_core::id::{CallId, ReceiptId};
use vault_core::limits::INPUT_ERRORS_MAX;
use vault_core::refusal::{InputError, Refusal};
use vault_core::vault::Notice;

use crate::code::Code;
use crate::rate::{Limit, Standing};
use crate::routes::notices::NoticeBody;

/// Media type of every refusal.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One refusal, on its way out. The call's id is added where it leaves, in `front`.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Box<str>,
    errors: Vec<InputError>,
    receipt: Option<ReceiptId>,
    notice: Option<Box<Notice>>,
    retry_after_seconds: Option<u64>,
    limit: Option<Limit>,
    standing: Option<Standing>,
}

impl Problem {
    /// A problem with its code's own words.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self::with_detail(code, code.advice())
    }

    /// A problem with words for this occurrence; they must hold no value.
    #[must_use]
    pub fn with_detail(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into().into_boxed_str(),
            errors: Vec::new(),
            receipt: None,
            notice: None,
            // A second is enough for the queue to move; whoever waits for a person with a
            // passphrase need not ask that often.
            retry_after_seconds: match code {
                Code::Overloaded => Some(1),
                Code::AnchorUnavailable | Code::Locked => Some(10),
                _ => None,
            },
            limit: None,
            standing: None,
        }
    }

    /// 422 with these places, the first of many.
    #[must_use]
    pub fn invalid(mut errors: Vec<InputError>) -> Self {
        let detail = match errors.len() > INPUT_ERRORS_MAX {
            true => format!(
                "the input does not fit; its first {INPUT_ERRORS_MAX} mistakes are in `errors`"
            ),
            false => "the input does not fit; see `errors`".to_owned(),
        };
        errors.truncate(INPUT_ERRORS_MAX);
        Self {
            errors,
            ..Self::with_detail(Code::Invalid, detail)
        }
    }

    /// 422 with one place.
    #[must_use]
    pub fn invalid_at(
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::invalid(vec![InputError {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
        }])
    }

    /// 429, to be repeated after so many seconds.
    #[must_use]
    pub(crate) fn rate_limited(limit: Limit, seconds: u64) -> Self {
        let detail = format!(
            "over the limit `{}`: {}; repeat after the seconds of `Retry-After`",
            limit.name(),
            limit.meaning()
        );
        Self {
            retry_after_seconds: Some(seconds),
            limit: Some(limit),
            ..Self::with_detail(Code::RateLimited, detail)
        }
    }

    /// 429, for a caller who stands like this.
    #[must_use]
    pub(crate) fn over(standing: Standing) -> Self {
        Self {
            standing: Some(standing),
            ..Self::rate_limited(standing.limit, standing.wait_seconds)
        }
    }

    /// The limit that the call was over.
    #[must_use]
    pub(crate) const fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// Where the caller stands with it.
    #[must_use]
    pub(crate) const fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// Its places, as places within `at`.
    pub(crate) fn within(self, at: &str) -> Vec<InputError> {
        let errors = self.errors.into_iter().map(|error| InputError {
            pointer: format!("{at}{}", error.pointer),
            ..error
        });
        errors.collect()
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The document, for the call with this id.
    pub(crate) fn document(&self, request_id: CallId) -> Vec<u8> {
        let body = ProblemBody {
            r#type: format!("/problems/{}", self.code.name()),
            title: self.code.title().to_owned(),
            status: self.code.status(),
            detail: self.detail.to_string(),
            code: self.code.name().to_owned(),
            request_id: request_id.to_string(),
            retryable: self.code.retryable(),
            errors: self.errors.iter().map(ProblemPlace::from).collect(),
            receipt: self.receipt.map(|receipt| receipt.to_string()),
            notice: self.notice.as_deref().cloned().map(NoticeBody::from),
        };
        serde_json::to_vec(&body).expect("a struct of texts serialises")
    }
}

/// A refusal, as `application/problem+json` (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `/problems/{code}`, served and explained there.
    r#type: String,
    /// The same words for every occurrence of the code.
    title: String,
    /// The HTTP status again.
    status: u16,
    /// What happened this time.
    detail: String,
    /// The stable code to match on.
    code: String,
    /// The call's id in log and evidence.
    request_id: String,
    /// Whether the same call, unchanged, may succeed later.
    retryable: bool,
    /// On 422: each place that does not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ProblemPlace>,
    /// On 410: the erasure receipt's id, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    /// With `notice_required` and `notice_stale`: the notice to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<NoticeBody>,
}

/// One place in the body that does not fit.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemPlace {
    /// JSON pointer (RFC 6901) into the body; empty for the whole. It never holds a name that is not known.
    pointer: String,
    /// A stable code, such as `unknown_member`.
    code: String,
    /// What is expected, without the value.
    detail: String,
}

impl From<&InputError> for ProblemPlace {
    fn from(error: &InputError) -> Self {
        Self {
            pointer: error.pointer.clone(),
            code: error.code.to_owned(),
            detail: error.detail.clone(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Ambiguous => Code::Ambiguous,
            Refusal::AnchorUnavailable => Code::AnchorUnavailable,
            Refusal::Conflict(_) => Code::Conflict,
            Refusal::ConsentRequired { .. } => Code::ConsentRequired,
            Refusal::DiskFull => Code::DiskFull,
            Refusal::Erased { .. } => Code::Erased,
            Refusal::Held(_) => Code::Held,
            Refusal::IdempotencyMismatch => Code::IdempotencyMismatch,
            Refusal::Internal(_) => Code::Internal,
            Refusal::Invalid(_) => Code::Invalid,
            Refusal::Locked => Code::Locked,
            Refusal::NoLawfulBasis { .. } => Code::NoLawfulBasis,
            Refusal::NotFound(_) => Code::NotFound,
            Refusal::NoticeRequired(_) => Code::NoticeRequired,
            Refusal::NoticeStale(_) => Code::NoticeStale,
            Refusal::OutcomeUnknown => Code::OutcomeUnknown,
            Refusal::Overloaded => Code::Overloaded,
            Refusal::RateLimited { .. } => Code::RateLimited,
            Refusal::PreconditionFailed => Code::PreconditionFailed,
            Refusal::PurposeDenied(_) => Code::PurposeDenied,
            Refusal::PurposeMissing => Code::PurposeMissing,
            Refusal::Restricted(_) => Code::Restricted,
            Refusal::RoleDenied(_) => Code::RoleDenied,
            Refusal::TooLarge(_) => Code::TooLarge,
            Refusal::Unauthenticated => Code::Unauthenticated,
            Refusal::UnsupportedMediaType(_) => Code::UnsupportedMediaType,
            // The enum is `non_exhaustive` and lives in another crate, so the compiler demands
            // this arm. A variant that reaches it is a defect of this file: 500 says so.
            _ => Code::Internal,
        };
        match refusal {
            Refusal::Invalid(errors) => Self::invalid(errors),
            Refusal::NoticeRequired(notice) | Refusal::NoticeStale(notice) => Self {
                notice: Some(notice),
                ..Self::new(code)
            },
            Refusal::Erased { receipt } => Self {
                receipt,
                ..Self::with_detail(code, "the person was erased")
            },
            Refusal::Internal(what) => {
                tracing::error!(target: "vault_server::internal", what, "the vault met an error of its own");
                Self::new(code)
            }
            Refusal::RateLimited {
                retry_after_seconds,
            } => Self::rate_limited(Limit::Asks, retry_after_seconds),
            _ if code == Code::Internal => Self::new(code),
            other => Self::with_detail(code, other.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    /// An empty response that carries the problem; `front` writes the document, because it alone
    /// knows the call's id.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).expect("codes have valid statuses");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(problem: &Problem) -> serde_json::Value {
        serde_json::from_slice(&problem.document(CallId::from_bytes([1; 16]))).expect("JSON")
    }

    #[test]
    fn every_refusal_has_its_documented_status() {
        let purpose = || "support".to_owned();
        let notice = || {
            Box::new(Notice {
                version: 1,
                language: "en".into(),
                languages: vec!["en".into()],
                text: String::new(),
                sha256: [0; 32],
            })
        };
        let cases = [
            (Refusal::Ambiguous, 409, "ambiguous"),
            (Refusal::AnchorUnavailable, 503, "anchor_unavailable"),
            (Refusal::Conflict("c".into()), 409, "conflict"),
            (
                Refusal::ConsentRequired { purpose: purpose() },
                403,
                "consent_required",
            ),
            (Refusal::DiskFull, 507, "disk_full"),
            (Refusal::Erased { receipt: None }, 410, "erased"),
            (Refusal::Held("h".into()), 423, "held"),
            (Refusal::IdempotencyMismatch, 409, "idempotency_mismatch"),
            (Refusal::Internal("x"), 500, "internal"),
            (Refusal::Invalid(vec![]), 422, "invalid"),
            (Refusal::Locked, 503, "locked"),
            (
                Refusal::NoLawfulBasis { purpose: purpose() },
                403,
                "no_lawful_basis",
            ),
            (Refusal::NotFound("subject"), 404, "not_found"),
            (Refusal::NoticeRequired(notice()), 403, "notice_required"),
            (Refusal::NoticeStale(notice()), 409, "notice_stale"),
            (Refusal::Restricted("r".into()), 423, "restricted"),
            (Refusal::OutcomeUnknown, 503, "outcome_unknown"),
            (Refusal::Overloaded, 503, "overloaded"),
            (Refusal::PreconditionFailed, 412, "precondition_failed"),
            (Refusal::PurposeDenied("p".into()), 403, "purpose_denied"),
            (Refusal::PurposeMissing, 400, "purpose_missing"),
            (
                Refusal::RateLimited {
                    retry_after_seconds: 9,
                },
                429,
                "rate_limited",
            ),
            (Refusal::RoleDenied("r".into()), 403, "role_denied"),
            (Refusal::TooLarge("t".into()), 413, "too_large"),
            (Refusal::Unauthenticated, 401, "unauthenticated"),
            (
                Refusal::UnsupportedMediaType("m".into()),
                415,
                "unsupported_media_type",
            ),
        ];
        for (refusal, status, code) in cases {
            let problem = Problem::from(refusal);
            let body = document(&problem);
            assert_eq!(body["status"], status, "{code}");
            assert_eq!(body["code"], code);
            assert_eq!(body["type"], format!("/problems/{code}"));
            for member in ["title", "detail", "request_id"] {
                assert!(body[member].as_str().is_some_and(|text| !text.is_empty()));
            }
            assert!(body["retryable"].is_boolean());
            assert_eq!(problem.into_response().status().as_u16(), status);
        }
    }

    #[test]
    fn an_erased_person_is_answered_with_the_receipt_and_nobody_else_is() {
        let receipt = ReceiptId::from_bytes([7; 16]);
        let erased = Problem::from(Refusal::Erased {
            receipt: Some(receipt),
        });
        assert_eq!(document(&erased)["receipt"], receipt.to_string());
        assert!(document(&Problem::new(Code::NotFound))["receipt"].is_null());
    }

    #[test]
    fn the_words_of_an_internal_error_stay_inside() {
        let problem = Problem::from(Refusal::Internal("leaf 7 of map people does not unseal"));
        assert!(!document(&problem).to_string().contains("leaf 7"));
    }

    #[test]
    fn only_a_401_asks_for_a_bearer_and_waiting_problems_say_how_long() {
        let headers = |code| Problem::new(code).into_response().headers().clone();
        assert_eq!(
            headers(Code::Unauthenticated)[header::WWW_AUTHENTICATE],
            "Bearer"
        );
        assert!(!headers(Code::RoleDenied).contains_key(header::WWW_AUTHENTICATE));
        assert_eq!(headers(Code::Overloaded)[header::RETRY_AFTER], "1");
        assert!(!headers(Code::Conflict).contains_key(header::RETRY_AFTER));
    }
}

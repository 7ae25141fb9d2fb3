//! What a recipient is sent, and what their answer means.

use serde_json::{Value, json};
use vault_core::vault::{NoticeOutcome, RecipientNotice};

use crate::webhook::{Answer, Failed, Message};
use jiff::Timestamp;

/// The message of a notice: the same bytes at every try.
pub(super) fn message(notice: &RecipientNotice) -> Message {
    let identities = notice.references.iter().map(|one| {
        json!({
            "identity_type": "controller_customer_id",
            "identity_format": "raw",
            "identity_value": one.reference.to_string(),
            "purpose": one.purpose,
        })
    });
    let body = json!({
        "api_version": "1.0",
        "regulation": "gdpr",
        "subject_request_id": notice.id.to_string(),
        "subject_request_type": notice.kind.name(),
        "submitted_time": notice.at.to_string(),
        "subject_identities": identities.collect::<Vec<_>>(),
        "fields": notice.fields,
    });
    Message {
        id: notice.id.to_string(),
        kind: notice.kind.name(),
        body: body.to_string().into_bytes(),
    }
}

/// What an answer says of the notice; `next` is when one that was not taken is tried again.
pub(super) fn outcome(answer: Result<Answer, Failed>, next: Timestamp) -> NoticeOutcome {
    match answer {
        Ok(answer) => match status(&answer.body) {
            Some("completed") => NoticeOutcome::Completed,
            Some("in_progress" | "pending") => NoticeOutcome::Acknowledged,
            _ => NoticeOutcome::Delivered,
        },
        // 410 too: it says that nobody listens at this address any more, and nothing of the person.
        Err(failed) => NoticeOutcome::Failed(next, failed.kind()),
    }
}

/// The word for how far they are, of those that are known.
fn status(body: &[u8]) -> Option<&'static str> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let said = body.get("status").or_else(|| body.get("request_status"))?;
    let known = ["completed", "in_progress", "pending"];
    known.into_iter().find(|word| said.as_str() == Some(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_far_they_are_and_what_is_no_answer_is_a_delivery() {
        let next = Timestamp::UNIX_EPOCH;
        let of = |body: &str| {
            let body = body.as_bytes().to_vec();
            outcome(Ok(Answer { body }), next)
        };
        assert_eq!(of(""), NoticeOutcome::Delivered);
        assert_eq!(of("<html>"), NoticeOutcome::Delivered);
        assert_eq!(of("{\"status\": \"bad\"}"), NoticeOutcome::Delivered);
        assert_eq!(of("{\"status\": [1]}"), NoticeOutcome::Delivered);
        assert_eq!(
            of("{\"status\": \"in_progress\"}"),
            NoticeOutcome::Acknowledged
        );
        assert_eq!(
            of("{\"request_status\": \"pending\"}"),
            NoticeOutcome::Acknowledged
        );
        assert_eq!(of("{\"status\": \"completed\"}"), NoticeOutcome::Completed);
        for status in [302, 404, 410, 500] {
            let failed = outcome(Err(Failed::Status(status)), next);
            assert!(matches!(failed, NoticeOutcome::Failed(at, _) if at == next));
        }
    }
}

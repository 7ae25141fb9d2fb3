//! Requests of people that are to be answered.

use super::{Findings, Severity};
use crate::deadline::SOON_DAYS;

/// Findings that name a request each; how many more there are is one finding.
const NAMED_MAX: usize = 20;

/// An open request, without a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFact {
    /// Which: an id.
    pub request: String,
    /// Which right.
    pub kind: String,
    /// The strict last day.
    pub due: String,
    /// Days until then; negative when it is over.
    pub days_left: i64,
    /// Whether the strict end is over.
    pub overdue: bool,
}

pub(super) fn check(requests: &[RequestFact], findings: &mut Findings) {
    let due = || {
        let soon = |one: &&RequestFact| one.overdue || one.days_left <= i64::from(SOON_DAYS);
        requests.iter().filter(soon)
    };
    for one in due().take(NAMED_MAX) {
        let (severity, code, when) = match one.overdue {
            true => (Severity::Error, "request_overdue", "was to be answered"),
            false => (Severity::Warning, "request_due", "is to be answered"),
        };
        findings.law(
            severity,
            code,
            "Art. 12(3)",
            &one.request,
            format!("a request of the right `{}` {when} by {}", one.kind, one.due),
            "`vault-cli request show REQUEST` says how far it has come; answer it, or extend it before its end",
        );
    }
    let more = due().count().saturating_sub(NAMED_MAX);
    if more > 0 {
        findings.law(
            Severity::Warning,
            "request_due",
            "Art. 12(3)",
            "requests",
            format!("{more} more requests are due within {SOON_DAYS} days, or overdue"),
            "`vault-cli request list` lists them all",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_or_due_within_ten_days_is_found_and_nothing_else() {
        let fact = |days_left| RequestFact {
            request: "req_1".into(),
            kind: "erase".into(),
            due: "2030-01-31".into(),
            days_left,
            overdue: days_left < 0,
        };
        let found = |requests: &[RequestFact]| {
            let mut findings = Findings::default();
            check(requests, &mut findings);
            findings.0
        };
        assert_eq!(found(&[fact(11), fact(30)]), []);
        let two = found(&[fact(10), fact(-1)]);
        let codes: Vec<_> = two.iter().map(|one| one.code).collect();
        assert_eq!(codes, ["request_due", "request_overdue"]);
        assert!(two[1].what.contains("2030-01-31"));
        assert_eq!(found(&vec![fact(3); 25]).len(), 21);
    }
}

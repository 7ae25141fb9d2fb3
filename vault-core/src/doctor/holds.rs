//! Legal holds that nobody has looked at.

use super::{Findings, Severity};

/// Findings that name a person each; how many more there are is one finding.
const NAMED_MAX: usize = 20;

/// Somebody under a hold, without a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldFact {
    /// Who: an id.
    pub subject: String,
    /// Until when somebody had to look: a day.
    pub review_at: String,
    /// Whether that day is over.
    pub overdue: bool,
    /// Whether an erasure waits for the release.
    pub erasure_pending: bool,
}

pub(super) fn check(holds: &[HoldFact], findings: &mut Findings) {
    let overdue = || holds.iter().filter(|hold| hold.overdue);
    for hold in overdue().take(NAMED_MAX) {
        let waits = match hold.erasure_pending {
            true => ", and this person's erasure waits for it",
            false => "",
        };
        findings.law(
            Severity::Warning,
            "hold_overdue",
            "Art. 17(3)",
            &hold.subject,
            format!(
                "the legal hold was to be looked at by {}{waits}",
                hold.review_at
            ),
            "decide whether it is still needed: `vault-cli subject hold SUBJECT --release`, or place it again with \
             a later --review-at",
        );
    }
    let more = overdue().count().saturating_sub(NAMED_MAX);
    if more > 0 {
        findings.law(
            Severity::Warning,
            "hold_overdue",
            "Art. 17(3)",
            "holds",
            format!("{more} more legal holds are past their day of review"),
            "`vault-cli subject holds` lists them all",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_past_its_day_is_found_and_one_before_it_is_not() {
        let fact = |overdue| HoldFact {
            subject: "sub_1".into(),
            review_at: "2030-01-31".into(),
            overdue,
            erasure_pending: true,
        };
        let found = |holds: &[HoldFact]| {
            let mut findings = Findings::default();
            check(holds, &mut findings);
            findings.0
        };
        assert_eq!(found(&[fact(false)]), []);
        let one = found(&[fact(false), fact(true)]);
        assert_eq!((one.len(), one[0].code), (1, "hold_overdue"));
        assert!(one[0].what.contains("2030-01-31") && one[0].what.contains("erasure waits"));
        let many = found(&vec![fact(true); 25]);
        assert_eq!(many.len(), 21);
        assert!(many[20].what.starts_with("5 more"));
    }
}

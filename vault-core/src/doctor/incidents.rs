//! Breaches of which the authority ought to have been told.

use super::{Findings, Severity};

/// Findings that name an incident each; how many more there are is one finding.
const NAMED_MAX: usize = 20;

/// An incident of the register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFact {
    /// Its name.
    pub incident: String,
    /// Until when the authority was to be told.
    pub due_at: String,
    /// Whether that is over, and nobody has told it.
    pub overdue: bool,
}

pub(super) fn check(incidents: &[IncidentFact], findings: &mut Findings) {
    let overdue = || incidents.iter().filter(|one| one.overdue);
    for one in overdue().take(NAMED_MAX) {
        findings.law(
            Severity::Error,
            "incident_overdue",
            "Art. 33(1)",
            &one.incident,
            format!(
                "the authority was to be told of this breach by {}",
                one.due_at
            ),
            "notify it now, with the reason why it is late, and note that: POST \
             /v1/incidents/INCIDENT/authority_notified; or assess the risk as unlikely, if it is",
        );
    }
    let more = overdue().count().saturating_sub(NAMED_MAX);
    if more > 0 {
        findings.law(
            Severity::Error,
            "incident_overdue",
            "Art. 33(1)",
            "incidents",
            format!("{more} more breaches are past the day on which the authority was to be told"),
            "GET /v1/incidents lists them all",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overdue_notification_is_an_error_and_one_in_time_is_none() {
        let fact = |overdue| IncidentFact {
            incident: "inc_1".into(),
            due_at: "2030-01-31T10:00:00Z".into(),
            overdue,
        };
        let found = |incidents: &[IncidentFact]| {
            let mut findings = Findings::default();
            check(incidents, &mut findings);
            findings.0
        };
        assert_eq!(found(&[fact(false)]), []);
        let one = found(&[fact(false), fact(true)]);
        assert_eq!((one.len(), one[0].article), (1, Some("Art. 33(1)")));
        assert!(one[0].what.contains("2030-01-31") && one[0].place == "inc_1");
        let many = found(&vec![fact(true); 22]);
        assert_eq!(many.len(), 21);
        assert!(many[20].what.starts_with("2 more"));
    }
}

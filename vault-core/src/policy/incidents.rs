//! How soon the authority is told of a breach.
//!
//! Source: GDPR Art. 33(1). In the policy, since the law may change.

use super::finding::Findings;
use super::reader::Section;
use super::{Period, keys, parse};

/// Art. 33(1): where feasible, not later than 72 hours after having become aware of it.
fn notify_default() -> Period {
    Period::parse("PT72H").expect("a period")
}

/// The rules about incidents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incidents {
    /// From becoming aware to the notification of the authority.
    pub notify_within: Period,
}

impl Default for Incidents {
    fn default() -> Self {
        Self {
            notify_within: notify_default(),
        }
    }
}

/// Reads the section.
pub(super) fn read(root: &Section<'_>, findings: &mut Findings) -> Incidents {
    let Some(section) = root.section(findings, "incidents") else {
        return Incidents::default();
    };
    section.know(findings, keys::INCIDENTS);
    let period = parse::period(&section, findings, "notify_within");
    if period.as_ref().is_some_and(Period::is_zero) {
        let line = section.line_of(findings, "notify_within");
        let path = section.at("notify_within");
        findings.report(line, &path, "out_of_range", Some("Art. 33(1)"), || {
            "nobody notifies in no time at all".to_owned()
        });
    }
    Incidents {
        notify_within: period.unwrap_or_else(notify_default),
    }
}

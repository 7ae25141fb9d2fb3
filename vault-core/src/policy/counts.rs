//! From how many people on a count is told, and how often.
//!
//! Source: GDPR Art. 5(1)(c), 25(1), recital 26.

use super::finding::Findings;
use super::keys;
use super::reader::Section;
use crate::limits::{
    COUNT_PEOPLE_DEFAULT, COUNT_PEOPLE_MAX, COUNT_PEOPLE_MIN, COUNTS_PER_DAY_DEFAULT,
    COUNTS_PER_DAY_MAX,
};

/// What the policy says of counts of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Fewer people than these are no group that is told.
    pub k: u64,
    /// Whether a group's number is told as it is; else as the multiple of `k` below it.
    pub exact: bool,
    /// How many counts a role is answered on one UTC day.
    pub per_day: u32,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            k: COUNT_PEOPLE_DEFAULT,
            exact: false,
            per_day: COUNTS_PER_DAY_DEFAULT,
        }
    }
}

impl Counts {
    /// How it reads in a sentence.
    pub(super) fn text(&self) -> String {
        let Self { k, exact, per_day } = self;
        let how = if *exact {
            "as they are"
        } else {
            "rounded down"
        };
        format!("{k} people on, {how}, {per_day} a day and role")
    }
}

/// Reads the section.
pub(super) fn read(root: &Section<'_>, findings: &mut Findings) -> Counts {
    let mut counts = Counts::default();
    let Some(section) = root.section(findings, "counts") else {
        return counts;
    };
    section.know(findings, keys::COUNTS);
    if let Some(k) = section.number(findings, "k", COUNT_PEOPLE_MAX) {
        counts.k = k.max(COUNT_PEOPLE_MIN);
        if k < COUNT_PEOPLE_MIN {
            let (line, path) = (section.line_of(findings, "k"), section.at("k"));
            findings.report(line, &path, "out_of_range", Some("Art. 5(1)(c)"), || {
                format!("a group of fewer than {COUNT_PEOPLE_MIN} people says too much of each")
            });
        }
    }
    counts.exact = section.flag(findings, "exact");
    let per_day = section.number(findings, "per_day", u64::from(COUNTS_PER_DAY_MAX));
    if let Some(per_day) = per_day.and_then(|many| u32::try_from(many).ok()) {
        counts.per_day = per_day;
    }
    counts
}

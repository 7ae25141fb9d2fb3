//! Decisions in numbers: whether their reviews are more than a stamp. Nobody is named, neither people nor reviewers.

use std::collections::BTreeMap;

use super::Vault;
use super::queue::{each, queued};
use crate::automated::DecisionState;
use crate::automated::stored::DecisionRow;
use crate::commit::View;
use crate::policy::Capability;
use crate::refusal::Refusal;
use crate::vault::Call;

/// The decisions of a kind in numbers, without naming anybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionKindFigures {
    /// All that are recorded.
    pub recorded: u64,
    /// Those that were ever contested, unless that was taken back or refused.
    pub contested: u64,
    /// Reviews that are open.
    pub open: u64,
    /// Those that are overdue.
    pub overdue: u64,
    /// Reviews that came to the same.
    pub upheld: u64,
    /// Reviews that came to something else.
    pub changed: u64,
    /// Reviews that found that it ought not to have been taken.
    pub annulled: u64,
    /// What part of the reviews came to something else or annulled it; `None` without one.
    pub overturned: Option<f64>,
    /// Seconds between being shown a decision and deciding its review, the median.
    pub review_seconds: Option<u64>,
    /// Seconds between the contest and the review's end, the median.
    pub answer_seconds: Option<u64>,
}

/// The one in the middle, or the lower of two.
fn median(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    let middle = all.len().checked_sub(1)? / 2;
    all.get(middle).copied()
}

/// What is gathered of a kind.
#[derive(Default)]
struct Gathered {
    figures: DecisionKindFigures,
    reviews: Vec<u64>,
    answers: Vec<u64>,
}

impl Gathered {
    fn add(&mut self, row: &DecisionRow, overdue: bool) {
        let figures = &mut self.figures;
        figures.recorded += 1;
        figures.contested += u64::from(row.contested.is_some());
        figures.open += u64::from(row.state.is_open());
        figures.overdue += u64::from(overdue);
        match row.state {
            DecisionState::Upheld => figures.upheld += 1,
            DecisionState::Changed => figures.changed += 1,
            DecisionState::Annulled => figures.annulled += 1,
            _ => {}
        }
        let seconds = |from: Option<i64>| {
            let milliseconds = row.reviewed?.checked_sub(from?)?;
            u64::try_from(milliseconds / 1000).ok()
        };
        self.reviews.extend(seconds(row.begun));
        self.answers.extend(seconds(row.contested));
    }

    fn done(self) -> DecisionKindFigures {
        let figures = self.figures;
        let other = figures.changed + figures.annulled;
        let all = figures.upheld + other;
        DecisionKindFigures {
            overturned: (all > 0).then(|| part(other, all)),
            review_seconds: median(self.reviews),
            answer_seconds: median(self.answers),
            ..figures
        }
    }
}

/// To three places: more would say more than there are reviews.
fn part(some: u64, all: u64) -> f64 {
    let thousandths = (some * 1000 + all / 2) / all;
    f64::from(u32::try_from(thousandths).unwrap_or(1000)) / 1000.0
}

impl Vault {
    /// Every kind in numbers. Opens the row of each decision.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn decision_figures(
        &self,
        call: &Call<'_>,
    ) -> Result<BTreeMap<String, DecisionKindFigures>, Refusal> {
        self.read(
            call,
            "decisions.figures",
            None,
            |snapshot, policy, context, _| {
                let any = [Capability::DecisionsReview, Capability::AuditRead];
                context.principal.require_any(policy, &any)?;
                let mut kinds: BTreeMap<String, Gathered> = BTreeMap::new();
                each(snapshot, true, |found| {
                    if context.reaches(snapshot, &found.person)? {
                        let overdue = queued(&found, snapshot.now()).overdue;
                        let kind = kinds.entry(found.row.kind.clone()).or_default();
                        kind.add(&found.row, overdue);
                    }
                    Ok(())
                })?;
                let kinds = kinds.into_iter();
                Ok(kinds.map(|(kind, one)| (kind, one.done())).collect())
            },
            |figures| figures,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: DecisionState, begun: i64, reviewed: i64) -> DecisionRow {
        DecisionRow {
            kind: "refund".into(),
            state,
            recorded: 0,
            contested: Some(0),
            begun: Some(begun),
            reviewed: Some(reviewed),
            due: None,
        }
    }

    #[test]
    fn article_22_figures_tell_a_review_from_a_stamp() {
        let mut gathered = Gathered::default();
        gathered.add(&row(DecisionState::Upheld, 1_000, 3_000), false);
        gathered.add(&row(DecisionState::Upheld, 1_000, 4_000), false);
        gathered.add(&row(DecisionState::Changed, 2_000, 602_000), false);
        let open = DecisionRow {
            reviewed: None,
            ..row(DecisionState::Contested, 0, 0)
        };
        gathered.add(&open, true);
        let figures = gathered.done();
        assert_eq!((figures.recorded, figures.contested), (4, 4));
        assert_eq!((figures.open, figures.overdue), (1, 1));
        assert_eq!(
            (figures.upheld, figures.changed, figures.annulled),
            (2, 1, 0)
        );
        assert_eq!(figures.overturned, Some(0.333));
        // Two of three were decided within three seconds of being shown.
        assert_eq!(figures.review_seconds, Some(3));
        assert_eq!(figures.answer_seconds, Some(4));
        assert_eq!(Gathered::default().done(), DecisionKindFigures::default());
    }

    #[test]
    fn a_median_is_one_of_what_there_is() {
        assert_eq!(median(Vec::new()), None);
        assert_eq!(median(vec![7]), Some(7));
        assert_eq!(median(vec![9, 1]), Some(1));
        assert_eq!(median(vec![9, 1, 5]), Some(5));
    }
}

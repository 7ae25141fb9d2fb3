//! How long a purpose needs what was collected for it.
//!
//! Pure: facts about a person and an instant in, an instant out. Knows nothing of records, keys, or
//! who asks.
//!
//! Source: GDPR Art. 5(1)(e), 17(1)(a) to (c).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::consent::ConsentState;
use crate::policy::{Anchor, LawfulBasis, Purpose};
use crate::standing::ObjectionState;

/// Until when something is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// From this instant on it is not.
    Until(Timestamp),
    /// No end is in sight: consent stands, a contract runs.
    Open,
}

impl Need {
    /// Whether it is over.
    pub(crate) fn over(self, now: Timestamp) -> bool {
        self <= Self::Until(now)
    }
}

/// What bears on one purpose of one person.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// What they last said, and when, if the purpose rests on consent.
    pub(crate) consent: Option<(ConsentState, Timestamp)>,
    /// Where their objection to it stands, and since when.
    pub(crate) objection: Option<(ObjectionState, Timestamp)>,
    /// Their own last act.
    pub(crate) last_activity: Timestamp,
    /// When their contract ended, if somebody said so.
    pub(crate) contract_end: Option<Timestamp>,
}

/// When a value came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When the record that it is in was made.
    pub(crate) begun: Timestamp,
    /// When it was itself collected: then, or later.
    pub(crate) collected: Timestamp,
}

/// Until when `purpose` needs what came at these times.
///
/// A purpose that has lost its basis needs nothing: after a withdrawal or an objection that holds, what
/// the policy keeps `after = "withdrawal"` stays for its period, and everything else goes at once. What
/// is not decided yet is kept.
pub(crate) fn need(purpose: &Purpose, facts: &Facts, times: Times) -> Need {
    let collected = times.collected;
    let rule = &purpose.retention;
    let lost = |at: Timestamp| match rule.anchor {
        Anchor::Withdrawal => Need::Until(rule.period.add_to(at)),
        _ => Need::Until(at),
    };
    match facts.objection {
        Some((ObjectionState::Upheld, at)) => return lost(at),
        Some((ObjectionState::Pending, _)) => return Need::Open,
        Some((ObjectionState::Overridden | ObjectionState::Ended, _)) | None => {}
    }
    if purpose.basis == LawfulBasis::Consent {
        match facts.consent {
            Some((state, _)) if state.permits() => {}
            Some((state, at)) if state.decides() => return lost(at),
            // Never asked, or not answered: it was collected for other purposes, and this one has no claim on it.
            Some(_) | None => return Need::Until(collected),
        }
    }
    let from = match rule.anchor {
        Anchor::Collected => Some(collected),
        // A new record has its own period; writing an old one again prolongs nothing.
        Anchor::LastActivity => Some(facts.last_activity.max(times.begun)),
        Anchor::ContractEnd => facts.contract_end,
        Anchor::Withdrawal => None,
        Anchor::FixedDate => rule.date.and_then(|date| {
            let day = date.to_zoned(TimeZone::UTC).ok()?;
            Some(day.timestamp())
        }),
    };
    from.map_or(Need::Open, |from| Need::Until(rule.period.add_to(from)))
}

/// Until when values may be used for a purpose that has its basis: what one purpose needs no more is not
/// its to use, even where another keeps it.
///
/// Source: GDPR Art. 5(1)(b) and (e).
#[derive(Clone, Debug)]
pub(crate) struct Term {
    purpose: Purpose,
    facts: Facts,
    now: Timestamp,
}

impl Term {
    /// Of a purpose that has its basis at `now`.
    pub(crate) fn of(
        purpose: &Purpose,
        last_activity: Timestamp,
        contract_end: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let given = (ConsentState::Given, now);
        Self {
            // Of the purpose what a rule is made of.
            purpose: Purpose {
                titles: BTreeMap::new(),
                recipients: Vec::new(),
                ..purpose.clone()
            },
            facts: Facts {
                consent: (purpose.basis == LawfulBasis::Consent).then_some(given),
                objection: None,
                last_activity,
                contract_end,
            },
            now,
        }
    }

    /// Whether what came at these times is not to be used any more.
    pub(crate) fn over(&self, times: Times) -> bool {
        need(&self.purpose, &self.facts, times).over(self.now)
    }

    /// Whether what comes now would be over at once.
    pub(crate) fn closed(&self) -> bool {
        let (begun, collected) = (self.now, self.now);
        self.over(Times { begun, collected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Period, Retention};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn purpose(basis: LawfulBasis, anchor: Anchor, period: &str) -> Purpose {
        Purpose {
            basis,
            retention: Retention {
                anchor,
                period: Period::parse(period).unwrap(),
                date: (anchor == Anchor::FixedDate).then(|| "2028-02-29".parse().unwrap()),
                law: None,
            },
            ..crate::policy::rights().clone()
        }
    }

    fn need(purpose: &Purpose, facts: &Facts, collected: Timestamp) -> Need {
        let begun = collected;
        super::need(purpose, facts, Times { begun, collected })
    }

    fn facts() -> Facts {
        Facts {
            consent: None,
            objection: None,
            last_activity: at("2027-03-31T00:00:00Z"),
            contract_end: None,
        }
    }

    fn until(text: &str) -> Need {
        Need::Until(at(text))
    }

    #[test]
    fn art_5_1_e_each_anchor_runs_from_its_own_instant_by_the_calendar() {
        let collected = at("2027-01-31T23:30:00Z");
        let of = |anchor, period| {
            let purpose = purpose(LawfulBasis::Contract, anchor, period);
            need(&purpose, &facts(), collected)
        };
        // A month after the last of January is the last of February, leap year or not.
        assert_eq!(of(Anchor::Collected, "P1M"), until("2027-02-28T23:30:00Z"));
        assert_eq!(of(Anchor::Collected, "P13M"), until("2028-02-29T23:30:00Z"));
        assert_eq!(
            of(Anchor::LastActivity, "P1M"),
            until("2027-04-30T00:00:00Z")
        );
        // The day of everybody's is midnight in UTC; a year after a leap day is the last of February.
        assert_eq!(of(Anchor::FixedDate, "P0D"), until("2028-02-29T00:00:00Z"));
        assert_eq!(of(Anchor::FixedDate, "P1Y"), until("2029-02-28T00:00:00Z"));
        assert_eq!(of(Anchor::ContractEnd, "P10Y"), Need::Open);
        assert_eq!(of(Anchor::Withdrawal, "P0D"), Need::Open);
        let ended = Facts {
            contract_end: Some(at("2027-12-31T12:00:00Z")),
            ..facts()
        };
        let books = purpose(LawfulBasis::LegalObligation, Anchor::ContractEnd, "P10Y");
        assert_eq!(
            need(&books, &ended, collected),
            until("2037-12-31T12:00:00Z")
        );
    }

    #[test]
    fn an_end_is_over_at_its_instant_and_not_a_moment_before() {
        let end = until("2027-02-28T23:30:00Z");
        assert!(end.over(at("2027-02-28T23:30:00Z")));
        assert!(!end.over(at("2027-02-28T23:29:59.999Z")));
        assert!(!Need::Open.over(Timestamp::MAX));
    }

    /// A record that is made after the last act does not end before it came; one that is written again
    /// ends when it would have.
    #[test]
    fn a_new_record_has_its_own_period_and_an_old_one_gets_no_other() {
        let support = purpose(LawfulBasis::Contract, Anchor::LastActivity, "P1M");
        let collected = at("2027-06-30T00:00:00Z");
        let of = |begun| super::need(&support, &facts(), Times { begun, collected });
        assert_eq!(of(collected), until("2027-07-30T00:00:00Z"));
        let old = of(at("2027-01-01T00:00:00Z"));
        assert_eq!(old, until("2027-04-30T00:00:00Z"));
    }

    #[test]
    fn art_17_1_b_a_purpose_without_its_consent_needs_nothing_but_for_its_period() {
        let (collected, said) = (at("2027-01-31T00:00:00Z"), at("2027-05-31T00:00:00Z"));
        let of = |anchor, period, consent: Option<ConsentState>| {
            let purpose = purpose(LawfulBasis::Consent, anchor, period);
            let consent = consent.map(|state| (state, said));
            need(&purpose, &Facts { consent, ..facts() }, collected)
        };
        let given = Some(ConsentState::Given);
        assert_eq!(of(Anchor::Withdrawal, "P0D", given), Need::Open);
        assert_eq!(
            of(Anchor::Collected, "P1Y", given),
            until("2028-01-31T00:00:00Z")
        );
        for no in [ConsentState::Withdrawn, ConsentState::Refused] {
            // A month after 31 May is 30 June.
            let kept = of(Anchor::Withdrawal, "P1M", Some(no));
            assert_eq!(kept, until("2027-06-30T00:00:00Z"));
            assert_eq!(of(Anchor::Collected, "P1Y", Some(no)), Need::Until(said));
        }
        assert_eq!(of(Anchor::Withdrawal, "P1Y", None), Need::Until(collected));
    }

    #[test]
    fn art_17_1_c_an_objection_that_holds_ends_a_purpose_and_a_pending_one_ends_nothing() {
        let (collected, said) = (at("2020-01-01T00:00:00Z"), at("2027-05-31T00:00:00Z"));
        let of = |anchor, state| {
            let purpose = purpose(LawfulBasis::LegitimateInterests, anchor, "P1M");
            let objection = Some((state, said));
            let facts = Facts {
                objection,
                ..facts()
            };
            need(&purpose, &facts, collected)
        };
        let long_over = until("2020-02-01T00:00:00Z");
        assert_eq!(
            of(Anchor::Collected, ObjectionState::Upheld),
            Need::Until(said)
        );
        let kept = of(Anchor::Withdrawal, ObjectionState::Upheld);
        assert_eq!(kept, until("2027-06-30T00:00:00Z"));
        // Kept until it is decided, even past its time: Art. 18(1)(d).
        assert_eq!(of(Anchor::Collected, ObjectionState::Pending), Need::Open);
        for state in [ObjectionState::Overridden, ObjectionState::Ended] {
            assert_eq!(of(Anchor::Collected, state), long_over);
        }
    }
}

//! The register of personal data breaches: what happened, when somebody became aware, and each step since.
//!
//! Rows lie under the system key and outlive everybody, so no text in them may hold personal data: that is
//! a rule for who writes them, and what looks like an address or a number of somebody is refused. Knows
//! nothing of who may write.
//!
//! Source: GDPR Art. 33 and 34.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::id::{IncidentId, TokenId};
use crate::limits::{INCIDENT_STEPS_MAX, INCIDENTS_MAX};
use crate::person::DAMAGED;
use crate::policy::Period;
use crate::refusal::Refusal;
use crate::row;
use crate::schema::words::words;
use crate::store::{Direction, KeyRange, Table, WriteTx};

words! {
    /// What was broken (Art. 4(12) GDPR; EDPB Guidelines 9/2022).
    pub enum Nature {
        /// Somebody saw or got what they should not.
        Confidentiality = "confidentiality",
        /// Something was changed.
        Integrity = "integrity",
        /// Something was lost, or could not be reached.
        Availability = "availability",
    }
}

words! {
    /// What the breach came by.
    pub enum Vector {
        /// An API key.
        ApiKey = "api_key",
        /// Every API key of a role.
        Role = "role",
        /// A session's token.
        Session = "session",
        /// A recipient of data.
        Recipient = "recipient",
        /// A backup.
        Backup = "backup",
        /// An unlock secret or the anchor.
        Key = "key",
        /// Files of the vault.
        Files = "files",
        /// Something else, which the summary says.
        Other = "other",
        /// A link with which a person picks a copy up.
        Link = "link",
    }
}

words! {
    /// How much it may harm people.
    pub enum Risk {
        /// Unlikely to: the authority need not be told (Art. 33(1)), but it is documented (Art. 33(5)).
        Unlikely = "unlikely",
        /// It may: the authority is told.
        Risk = "risk",
        /// Likely and gravely: people are told as well (Art. 34(1)).
        High = "high",
    }
}

words! {
    /// Why people need not be told in spite of a high risk (Art. 34(3) GDPR).
    pub enum Exemption {
        /// What was got cannot be read by who got it.
        Unintelligible = "34.3.a",
        /// What was done since makes the risk unlikely.
        Averted = "34.3.b",
        /// It would take disproportionate effort: there is a public communication instead.
        Disproportionate = "34.3.c",
    }
}

words! {
    /// A step, and the state that it leads to.
    pub enum IncidentStep {
        /// Looked at: what risk it is.
        Assessed = "assessed",
        /// The authority was told, at first or in a further phase (Art. 33(4)).
        AuthorityNotified = "authority_notified",
        /// People were told (Art. 34).
        PeopleNotified = "people_notified",
        /// Nothing is left to do.
        Closed = "closed",
    }
}

/// One step that was taken.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepRow {
    /// Its place in [`IncidentStep::ALL`].
    pub(crate) step: u8,
    /// When it was taken, and when it was written down.
    pub(crate) at: i64,
    pub(crate) noted_at: i64,
    pub(crate) by: Option<TokenId>,
    pub(crate) role: String,
    pub(crate) text: String,
    pub(crate) late_reason: Option<String>,
    /// Its place in [`Risk::ALL`].
    pub(crate) risk: Option<u8>,
    /// Its place in [`Exemption::ALL`].
    pub(crate) exemption: Option<u8>,
}

/// An incident as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IncidentRow {
    pub(crate) aware_at: i64,
    pub(crate) noted_at: i64,
    pub(crate) by: Option<TokenId>,
    pub(crate) role: String,
    /// Places in [`Nature::ALL`].
    pub(crate) nature: Vec<u8>,
    /// Its place in [`Vector::ALL`].
    pub(crate) vector: u8,
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    pub(crate) summary: String,
    /// The report of its scope, as JSON: numbers, and names of the policy.
    pub(crate) scope: Option<String>,
    pub(crate) steps: Vec<StepRow>,
}

/// The place of a word in its list, which is what is stored: lists only grow at their ends.
pub(crate) fn place<W: PartialEq>(all: &[W], word: &W) -> u8 {
    let place = all.iter().position(|one| one == word);
    u8::try_from(place.unwrap_or_default()).expect("lists of words are short")
}

impl IncidentRow {
    /// Whether a step was taken.
    pub(crate) fn has(&self, step: IncidentStep) -> bool {
        self.first(step).is_some()
    }

    fn first(&self, step: IncidentStep) -> Option<&StepRow> {
        let number = place(IncidentStep::ALL, &step);
        self.steps.iter().find(|one| one.step == number)
    }

    /// When the authority was first told.
    pub(crate) fn notified_at(&self) -> Option<i64> {
        self.first(IncidentStep::AuthorityNotified)
            .map(|step| step.at)
    }

    /// The state that it is in: the furthest of its steps; `None` while it is open.
    pub(crate) fn state(&self) -> Option<IncidentStep> {
        let furthest = self.steps.iter().map(|step| step.step).max()?;
        IncidentStep::ALL.get(usize::from(furthest)).copied()
    }

    fn last_assessment(&self) -> Option<&StepRow> {
        self.steps.iter().rev().find(|step| step.risk.is_some())
    }

    /// What the last assessment said.
    pub(crate) fn risk(&self) -> Option<Risk> {
        let risk = self.last_assessment()?.risk?;
        Risk::ALL.get(usize::from(risk)).copied()
    }

    /// Why people need not be told, if the last assessment said so: one before it was of what was known then.
    pub(crate) fn exemption(&self) -> Option<Exemption> {
        let exemption = self.last_assessment()?.exemption?;
        Exemption::ALL.get(usize::from(exemption)).copied()
    }

    /// Whether there is room for a step. The last places are for steps of a kind that was not taken yet, so that
    /// an incident of many phases can still be told of and closed.
    pub(crate) fn has_room(&self, step: IncidentStep) -> bool {
        let kept = if self.has(step) {
            IncidentStep::ALL.len()
        } else {
            0
        };
        self.steps.len() + kept < INCIDENT_STEPS_MAX
    }

    /// Until when the authority is to be told.
    pub(crate) fn due_at(&self, within: &Period) -> Timestamp {
        within.add_to(crate::person::instant(self.aware_at))
    }

    /// Whether the authority is still to be told.
    pub(crate) fn waits(&self) -> bool {
        !self.has(IncidentStep::AuthorityNotified)
            && !self.has(IncidentStep::Closed)
            && self.risk() != Some(Risk::Unlikely)
    }

    /// Why it cannot take this step now; `None` if it can.
    ///
    /// The authority may be told before everything is known, and again with what comes to light (Art. 33(4)).
    pub(crate) fn refuses(&self, step: IncidentStep) -> Option<&'static str> {
        if self.has(IncidentStep::Closed) {
            return Some("the incident is closed: open another, which names it");
        }
        let assessed = self.has(IncidentStep::Assessed);
        match step {
            IncidentStep::Assessed | IncidentStep::AuthorityNotified => None,
            _ if !assessed => Some("assess the risk first"),
            IncidentStep::PeopleNotified => None,
            IncidentStep::Closed if self.waits() => {
                Some("a breach that is a risk to people is notified to the authority (Art. 33(1))")
            }
            IncidentStep::Closed
                if self.risk() == Some(Risk::High)
                    && !self.has(IncidentStep::PeopleNotified)
                    && self.exemption().is_none() =>
            {
                Some("of a high risk people are told (Art. 34(1)), unless an exemption is named")
            }
            IncidentStep::Closed => None,
        }
    }
}

fn location<'a>(view: &dyn View, id: &'a IncidentId) -> Location<'a> {
    Location::row(view.vault(), Table::Incidents.number(), id.as_bytes())
}

fn open(view: &dyn View, id: IncidentId, sealed: &[u8]) -> Result<IncidentRow, Refusal> {
    let bytes = view.system().system.unseal(&location(view, &id), sealed);
    row::decode(&bytes.map_err(|_| DAMAGED)?).map_err(|_| DAMAGED)
}

/// The incident of this name.
pub(crate) fn load(view: &dyn View, id: IncidentId) -> Result<Option<IncidentRow>, Refusal> {
    let sealed = view.tx().get(Table::Incidents, id.as_bytes())?;
    sealed.map(|sealed| open(view, id, &sealed)).transpose()
}

/// How many there are; opens none.
pub(crate) fn count(view: &dyn View) -> Result<usize, Refusal> {
    let (table, range) = (Table::Incidents, KeyRange::all());
    let keys = view
        .tx()
        .keys(table, &range, Direction::Ascending, INCIDENTS_MAX)?;
    Ok(keys.len())
}

/// An incident with its name, or why it does not open.
pub(crate) type Opened = Result<(IncidentId, IncidentRow), Refusal>;

/// Every incident in the order of their names, those that do not open among them.
pub(crate) fn each(view: &dyn View) -> Result<Vec<Opened>, Refusal> {
    let (table, range) = (Table::Incidents, KeyRange::all());
    let rows = view
        .tx()
        .range(table, &range, Direction::Ascending, INCIDENTS_MAX)?;
    let opened = rows.into_iter().map(|(key, sealed)| {
        let id = IncidentId::from_bytes(key.try_into().map_err(|_| DAMAGED)?);
        Ok((id, open(view, id, &sealed)?))
    });
    Ok(opened.collect())
}

/// Every incident, in the order of their names.
pub(crate) fn all(view: &dyn View) -> Result<Vec<(IncidentId, IncidentRow)>, Refusal> {
    each(view)?.into_iter().collect()
}

/// Writes an incident.
pub(crate) fn store(
    txn: &mut Txn<'_>,
    id: IncidentId,
    incident: &IncidentRow,
) -> Result<(), Refusal> {
    let bytes = row::encode(incident);
    let sealed = txn.system().system.seal(&location(txn, &id), &bytes);
    let sealed = sealed.map_err(|_| DAMAGED)?;
    Ok(txn.put(Table::Incidents, id.as_bytes(), &sealed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(steps: &[(IncidentStep, Option<Risk>)]) -> IncidentRow {
        let steps = steps.iter().map(|(step, risk)| StepRow {
            step: place(IncidentStep::ALL, step),
            at: 1,
            noted_at: 1,
            by: None,
            role: "dpo".into(),
            text: "t".into(),
            late_reason: None,
            risk: risk.map(|risk| place(Risk::ALL, &risk)),
            exemption: None,
        });
        IncidentRow {
            aware_at: 0,
            noted_at: 0,
            by: None,
            role: "dpo".into(),
            nature: vec![0],
            vector: 0,
            from: None,
            to: None,
            summary: "s".into(),
            scope: None,
            steps: steps.collect(),
        }
    }

    #[test]
    fn art_33_1_a_risk_is_notified_before_it_is_closed_and_none_need_not_be() {
        use IncidentStep::{Assessed, AuthorityNotified, Closed, PeopleNotified};
        let refuses = |steps: &[_], step| incident(steps).refuses(step).is_some();
        assert!(!refuses(&[], Assessed) && !refuses(&[], AuthorityNotified));
        assert!(refuses(&[], PeopleNotified) && refuses(&[], Closed));
        let unlikely = (Assessed, Some(Risk::Unlikely));
        assert!(!refuses(&[unlikely], Closed));
        assert!(!incident(&[unlikely]).waits());
        let risk = (Assessed, Some(Risk::Risk));
        assert!(refuses(&[risk], Closed) && incident(&[risk]).waits());
        // What was thought unlikely may turn out otherwise.
        assert!(refuses(&[unlikely, risk], Closed));
        let told = (AuthorityNotified, None);
        assert!(!refuses(&[risk, told], Closed) && !incident(&[risk, told]).waits());
        let high = (Assessed, Some(Risk::High));
        assert!(refuses(&[high, told], Closed));
        assert!(!refuses(&[high, told, (PeopleNotified, None)], Closed));
        let mut averted = incident(&[high, told]);
        averted.steps[0].exemption = Some(place(Exemption::ALL, &Exemption::Averted));
        assert!(averted.refuses(Closed).is_none());
        // Looked at again, and still high: what was averted then is not said of what is known now.
        let mut again = incident(&[high, told, high]);
        again.steps[0].exemption = Some(place(Exemption::ALL, &Exemption::Averted));
        assert!(again.exemption().is_none() && again.refuses(Closed).is_some());
        again.steps[2].exemption = Some(place(Exemption::ALL, &Exemption::Unintelligible));
        assert!(again.refuses(Closed).is_none());
        for step in IncidentStep::ALL {
            assert!(refuses(&[unlikely, (Closed, None)], *step));
        }
        // In phases: the authority is told again.
        assert!(!refuses(&[told, risk, told], AuthorityNotified));
        assert_eq!(incident(&[told, risk]).state(), Some(AuthorityNotified));
    }

    #[test]
    fn however_many_phases_it_has_an_incident_can_be_told_of_and_closed() {
        use IncidentStep::{Assessed, AuthorityNotified, Closed, PeopleNotified};
        let phases = |count| incident(&vec![(Assessed, Some(Risk::High)); count]);
        let kept = IncidentStep::ALL.len();
        assert!(phases(INCIDENT_STEPS_MAX - kept - 1).has_room(Assessed));
        let mut full = phases(INCIDENT_STEPS_MAX - kept);
        assert!(!full.has_room(Assessed));
        for step in [AuthorityNotified, PeopleNotified, Closed] {
            assert!(
                full.has_room(step) && full.refuses(step).is_none(),
                "{step:?}"
            );
            full.steps.extend(incident(&[(step, None)]).steps);
        }
        assert!(full.steps.len() <= INCIDENT_STEPS_MAX);
        assert_eq!(full.state(), Some(Closed));
    }

    #[test]
    fn the_deadline_is_counted_in_hours_from_becoming_aware() {
        let row = incident(&[]);
        let due = |period| row.due_at(&Period::parse(period).expect("a period"));
        assert_eq!(
            due("PT72H"),
            "1970-01-04T00:00:00Z".parse().expect("an instant")
        );
        assert_eq!(
            due("PT96H"),
            "1970-01-05T00:00:00Z".parse().expect("an instant")
        );
    }
}

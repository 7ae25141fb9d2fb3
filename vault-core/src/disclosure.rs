//! What recipients were given of a person: an account, one line a recipient and purpose, which says of each
//! field when it was given first and last, and how often.
//!
//! Its length is the policy's and not that of what happens, so that a feed that runs each hour fills
//! nothing. Knows nothing of whether something may be given; tells nobody.
//!
//! Source: GDPR Art. 5(2), 15(1)(c), 19; CJEU C-154/21 (the recipients themselves are to be named).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::events::{self, Topic};
use crate::id::{DisclosureId, RecipientNoticeId, RowHandle};
use crate::limits::DISCLOSURE_NOTICES_MAX;
use crate::outbox::{NoticeKind, Place};
use crate::person::Person;
use crate::refusal::Refusal;

/// A field that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    /// Collection and field.
    pub(crate) field: (u16, u16),
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) count: u64,
}

/// A notice that the recipient was sent about this line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) notice: RecipientNoticeId,
    pub(crate) kind: NoticeKind,
    /// Under whose keys it lies.
    holder: [u8; 16],
    /// Its number there.
    sequence: u32,
    pub(crate) at: Timestamp,
}

impl Told {
    pub(crate) fn new(place: Place, kind: NoticeKind, at: Timestamp) -> Self {
        Self {
            notice: place.id,
            kind,
            holder: *place.holder.as_bytes(),
            sequence: place.sequence,
            at,
        }
    }

    /// Where the notice lies, while it is there.
    pub(crate) fn place(&self) -> Place {
        Place {
            holder: RowHandle::from_bytes(self.holder),
            sequence: self.sequence,
            id: self.notice,
        }
    }
}

/// What one recipient was given for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: DisclosureId,
    /// The recipient's name in the policy.
    pub(crate) recipient: String,
    pub(crate) purpose: u16,
    pub(crate) fields: Vec<Given>,
    pub(crate) count: u64,
    pub(crate) first_at: Timestamp,
    /// The last time.
    pub(crate) at: Timestamp,
    /// The newest of what they were told, oldest first.
    pub(crate) told: Vec<Told>,
}

impl Line {
    /// Whether a field was given that is one of these.
    pub(crate) fn gave(&self, wanted: &dyn Fn((u16, u16)) -> bool) -> bool {
        self.fields.iter().any(|given| wanted(given.field))
    }

    fn add(&mut self, fields: &[(u16, u16)], at: Timestamp) {
        self.count += 1;
        self.first_at = self.first_at.min(at);
        self.at = self.at.max(at);
        for field in fields {
            match self.fields.iter_mut().find(|given| given.field == *field) {
                Some(given) => {
                    given.count += 1;
                    given.first_at = given.first_at.min(at);
                    given.last_at = given.last_at.max(at);
                }
                None => self.fields.push(Given {
                    field: *field,
                    first_at: at,
                    last_at: at,
                    count: 1,
                }),
            }
        }
        self.fields.sort_unstable_by_key(|given| given.field);
    }

    /// Notes what they were told; the oldest make room.
    pub(crate) fn note(&mut self, told: Told) {
        self.told.push(told);
        let over = self.told.len().saturating_sub(DISCLOSURE_NOTICES_MAX);
        self.told.drain(..over);
    }
}

/// Every line, each with its place.
pub(crate) fn lines(view: &dyn View, person: &Person) -> Result<Vec<(u32, Line)>, Refusal> {
    // Most people have none, which costs a look and opens nothing.
    if !events::any(view, person.entry.handle, Topic::Disclosure)? {
        return Ok(Vec::new());
    }
    events::entries(view, person, Topic::Disclosure)
}

/// Writes a line back that has changed.
pub(crate) fn store(
    txn: &mut Txn<'_>,
    person: &Person,
    place: u32,
    line: &Line,
) -> Result<(), Refusal> {
    events::replace(txn, person, Topic::Disclosure, place, line)
}

/// Adds to the account of a recipient and purpose, which begins with the first.
pub(crate) fn record(
    txn: &mut Txn<'_>,
    person: &mut Person,
    (recipient, purpose): (&str, u16),
    fields: &[(u16, u16)],
    at: Timestamp,
) -> Result<Line, Refusal> {
    let same = |line: &Line| line.recipient == recipient && line.purpose == purpose;
    let found = lines(txn, person)?.into_iter().find(|(_, line)| same(line));
    if let Some((place, mut line)) = found {
        line.add(fields, at);
        store(txn, person, place, &line)?;
        return Ok(line);
    }
    let mut line = Line {
        id: DisclosureId::generate(txn.entropy()),
        recipient: recipient.to_owned(),
        purpose,
        fields: Vec::new(),
        count: 0,
        first_at: at,
        at,
        told: Vec::new(),
    };
    line.add(fields, at);
    events::append(txn, person, Topic::Disclosure, &line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_line_counts_each_field_alone_and_grows_by_none_that_it_has() {
        let mut line = Line {
            id: DisclosureId::generate(&mut SeededEntropy::new(1)),
            recipient: "carrier".into(),
            purpose: 1,
            fields: Vec::new(),
            count: 0,
            first_at: at(50),
            at: at(50),
            told: Vec::new(),
        };
        line.add(&[(1, 2)], at(50));
        line.add(&[(1, 1), (1, 2)], at(70));
        // Somebody tells late of what was earlier.
        line.add(&[(1, 2)], at(20));
        assert_eq!((line.count, line.first_at, line.at), (3, at(20), at(70)));
        let fields: Vec<_> = line.fields.iter().map(|g| (g.field, g.count)).collect();
        assert_eq!(fields, [((1, 1), 1), ((1, 2), 3)]);
        assert_eq!(
            (line.fields[1].first_at, line.fields[1].last_at),
            (at(20), at(70))
        );
        assert_eq!(
            (line.fields[0].first_at, line.fields[0].last_at),
            (at(70), at(70))
        );
    }

    #[test]
    fn of_what_they_were_told_the_newest_stay() {
        let mut entropy = SeededEntropy::new(2);
        let mut line = Line {
            id: DisclosureId::generate(&mut entropy),
            recipient: "carrier".into(),
            purpose: 1,
            fields: Vec::new(),
            count: 0,
            first_at: at(0),
            at: at(0),
            told: Vec::new(),
        };
        for second in 0..20 {
            let place = Place {
                holder: RowHandle::from_bytes([0xff; 16]),
                sequence: u32::try_from(second).unwrap(),
                id: RecipientNoticeId::generate(&mut entropy),
            };
            let told = Told::new(place, NoticeKind::Rectification, at(second));
            assert_eq!(told.place(), place);
            line.note(told);
        }
        assert_eq!(line.told.len(), DISCLOSURE_NOTICES_MAX);
        assert_eq!(line.told.last().unwrap().at, at(19));
        assert_eq!(line.told[0].at, at(4));
    }
}

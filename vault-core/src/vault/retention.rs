//! What no purpose needs any more: found for one person, and taken away.
//!
//! Precedence: what a hold or a restriction keeps stays; what one purpose needs stays, whatever the others say;
//! a record's own age (`sweep`) ends it before any of them.
//!
//! Source: GDPR Art. 5(1)(e), 17(1)(a) to (c), 17(3), 18(2).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};

use super::call::{Context, Noted};
use super::{Call, Principal};
use crate::commit::{Txn, View};
use crate::consent;
use crate::contract;
use crate::events;
use crate::id::{CallId, RecordId};
use crate::limits::FINAL_WITHIN_HOURS;
use crate::person::{self, Person, keep_destroyed};
use crate::policy::{Anchor, Collection, LawfulBasis, Policy, Purpose};
use crate::record::{self, Ended, Stored};
use crate::refusal::Refusal;
use crate::remains;
use crate::retention::{Facts, Need, Term, Times, need};
use crate::standing::{self, Standing};
use crate::store::{Direction, KeyRange, Table};

/// What has ended of one person.
#[derive(Default)]
pub(super) struct Ending {
    /// Collection, record, and the fields of it that go.
    records: Vec<(u16, RecordId, Vec<u16>)>,
    /// Whether nothing is left of the person, and nothing needs them.
    person: bool,
    /// How many values go of each purpose: that which needed them last.
    pub(super) values: BTreeMap<u16, u64>,
    /// Whether any of it ended so long ago that it should be gone.
    pub(super) overdue: bool,
    /// Whether there is more than was asked for.
    pub(super) more: bool,
}

impl Ending {
    /// Whether anything goes.
    pub(super) fn any(&self) -> bool {
        self.person || !self.records.is_empty()
    }

    /// Whether the person goes.
    pub(super) fn whole(&self) -> bool {
        self.person
    }

    /// Records of which anything goes.
    pub(super) fn records(&self) -> u64 {
        self.records.len() as u64
    }
}

/// A person's life as far as purposes ask about it; each is asked once.
struct Life<'a> {
    view: &'a dyn View,
    policy: &'a Policy,
    person: &'a Person,
    standing: Standing,
    last_activity: Timestamp,
    facts: BTreeMap<u16, Facts>,
}

impl<'a> Life<'a> {
    fn of(view: &'a dyn View, policy: &'a Policy, person: &'a Person) -> Result<Self, Refusal> {
        Ok(Self {
            view,
            policy,
            person,
            standing: Standing::of(view, person)?,
            last_activity: person.row(view)?.last_activity(),
            facts: BTreeMap::new(),
        })
    }

    fn facts(&mut self, purpose: &Purpose) -> Result<Facts, Refusal> {
        if let Some(facts) = self.facts.get(&purpose.id) {
            return Ok(*facts);
        }
        let (view, person) = (self.view, self.person);
        let consent = match purpose.basis {
            LawfulBasis::Consent if !self.standing.unguarded() => {
                consent::state(view, person, purpose.id)?
            }
            _ => None,
        };
        let objection = match self.standing.objection(purpose) {
            Some(_) => standing::last_objection(view, person, purpose)?,
            None => None,
        };
        let facts = Facts {
            consent: consent.map(|said| (said.state, said.at)),
            objection: objection.map(|event| (event.state, event.at)),
            last_activity: self.last_activity,
            contract_end: match purpose.retention.anchor {
                Anchor::ContractEnd => contract::ended(view, person, purpose.id)?,
                _ => None,
            },
        };
        self.facts.insert(purpose.id, facts);
        Ok(facts)
    }

    /// Until when a value is needed, and by which purpose the longest.
    fn need(
        &mut self,
        collection: &Collection,
        stored: &Stored,
        field: u16,
    ) -> Result<Option<(Need, u16)>, Refusal> {
        // What the policy has lost is nobody's to read, and its operator's to remove by a policy that
        // names it.
        let Some(field) = collection.field_by_id(field) else {
            return Ok(None);
        };
        let (policy, times) = (self.policy, stored.row.times(field.id));
        let own = &stored.row.meta.purposes;
        let mut longest = None;
        for id in &field.purposes {
            if !own.is_empty() && !own.contains(id) {
                continue;
            }
            let Some(purpose) = policy.purpose_by_id(*id) else {
                continue;
            };
            let need = need(purpose, &self.facts(purpose)?, times);
            longest = longest.max(Some((need, *id)));
        }
        // None of the record's own purposes is one of the field's: nobody may use it.
        Ok(longest.or_else(|| {
            let first = field.purposes.first().copied().unwrap_or_default();
            Some((Need::Until(times.collected), first))
        }))
    }

    /// Until when anything needs the person to be known at all.
    fn known_until(&mut self) -> Result<Need, Refusal> {
        let created = person::instant(self.person.row(self.view)?.created_at);
        let mut longest = Need::Until(created);
        let (policy, begun, collected) = (self.policy, created, created);
        let times = Times { begun, collected };
        for purpose in policy.purposes() {
            longest = longest.max(need(purpose, &self.facts(purpose)?, times));
        }
        if let Some(at) = events::latest(self.view, self.person)? {
            longest = longest.max(Need::Until(policy.proof().add_to(at)));
        }
        Ok(longest)
    }

    fn has_rows(&self, table: Table) -> Result<bool, Refusal> {
        let range = KeyRange::prefix(self.person.entry.handle.as_bytes());
        let tx = self.view.tx();
        Ok(!tx.keys(table, &range, Direction::Ascending, 1)?.is_empty())
    }
}

/// Until when a person's values may be used for a purpose that has its basis; `None` for as long as that has.
/// What is kept whatever its age (`kept`) has no term: whoever may use it at all may use all of it.
pub(super) fn term(
    view: &dyn View,
    person: &Person,
    purpose: &Purpose,
    kept: bool,
) -> Result<Option<Term>, Refusal> {
    if kept {
        return Ok(None);
    }
    let now = view.now();
    let (last_activity, contract_end) = match purpose.retention.anchor {
        Anchor::Withdrawal => return Ok(None),
        Anchor::LastActivity => (person.row(view)?.last_activity(), None),
        Anchor::ContractEnd => (now, contract::ended(view, person, purpose.id)?),
        Anchor::Collected | Anchor::FixedDate => (now, None),
    };
    let term = Term::of(purpose, last_activity, contract_end, now);
    Ok(Some(term))
}

/// What has ended of a person now, of at most `limit` records.
pub(super) fn ending(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    limit: usize,
) -> Result<Ending, Refusal> {
    let now = view.now();
    let promised = now - SignedDuration::from_hours(FINAL_WITHIN_HOURS);
    let mut life = Life::of(view, policy, person)?;
    let (mut ending, mut stays) = (Ending::default(), false);
    let passed = record::each(view, person, policy, &mut |collection, stored| {
        if life.standing.keeps(collection.id) {
            stays = true;
            return Ok(ControlFlow::Continue(()));
        }
        let mut over = Vec::new();
        for field in stored.fields() {
            match life.need(collection, stored, field)? {
                Some((need, purpose)) if need.over(now) => {
                    ending.overdue |= need.over(promised);
                    *ending.values.entry(purpose).or_default() += 1;
                    over.push(field);
                }
                _ => stays = true,
            }
        }
        if over.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        ending.records.push((collection.id, stored.id, over));
        ending.more = ending.records.len() == limit;
        Ok(match ending.more {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    let standing = &life.standing;
    let kept = standing.restricted() || standing.hold().is_some();
    let left = stays || passed > 0 || ending.more || kept;
    if !left && !life.has_rows(Table::Uploads)? {
        let need = life.known_until()?;
        ending.person = need.over(now);
        ending.overdue |= need.over(promised);
    }
    Ok(ending)
}

/// What is left after [`end`].
pub(super) enum Left {
    /// Nothing: the person went.
    Nobody,
    /// The person; and whether there is more to take away.
    More(bool),
}

/// Takes away what has ended, as far as `budget` reaches in chunks of blobs.
pub(super) fn end(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &mut Person,
    ending: Ending,
    budget: &mut usize,
) -> Result<Left, Refusal> {
    let id = CallId::generate(txn.entropy());
    let principal = Principal::server();
    let context = Context::new(&Call {
        principal: &principal,
        purpose: None,
        restricted_use: None,
        id,
    });
    let mut noted = Noted::default();
    noted.person(person, txn.now());
    if ending.person {
        let receipt = remains::whole(txn, person)?;
        noted.receipt = Some((receipt.id, receipt.body_sha256));
        let entry = context.entry(policy, txn.now(), "retention.erase", noted, "ok");
        txn.record(entry);
        return Ok(Left::Nobody);
    }
    let mut more = ending.more;
    let mut gone: BTreeMap<u16, Vec<RecordId>> = BTreeMap::new();
    for (id, record, fields) in ending.records {
        let Some(collection) = policy.collection_by_id(id) else {
            continue;
        };
        let Some(stored) = Stored::load(txn, person, collection, record, Ended::Out)? else {
            continue;
        };
        let version = policy.version();
        noted.fields.extend(fields.iter().map(|field| (id, *field)));
        if record::expire(txn, person, collection, stored, &fields, version, budget)? {
            gone.entry(id).or_default().push(record);
        }
        if *budget == 0 {
            // The rest is found again by the next pass.
            more = true;
            break;
        }
    }
    for (collection, records) in gone {
        keep_destroyed(txn, person.entry.handle, collection, &records);
    }
    noted.fields.sort_unstable();
    noted.fields.dedup();
    let entry = context.entry(policy, txn.now(), "retention.expire", noted, "ok");
    txn.record(entry);
    txn.revoke(person.subject);
    Ok(Left::More(more))
}

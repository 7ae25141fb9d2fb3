//! Records of many people, read in slices.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::call::{Context, Noted};
use super::super::{Call, Vault, cursor, input};
use super::line::append;
use super::slice::Reader;
use super::{Ids, Place, QueryInput};
use crate::commit::{Snapshot, View};
use crate::crypto::sha256;
use crate::id::{RecordId, SubjectId};
use crate::limits::{BULK_LIMIT_MAX, BULK_SLICE_RECORDS, READ_TXN_MILLISECONDS_MAX};
use crate::person::DAMAGED;
use crate::policy::Capability;
use crate::pseudonym;
use crate::refusal::Refusal;

const ACTION: &str = "records.query";
/// How often a slice begins again because something was revoked meanwhile.
const SLICE_TRIES: usize = 16;

/// A query under way. No `Debug`: it holds what was asked for.
pub struct Query {
    context: Context,
    input: QueryInput,
    /// Ties cursors to the caller and to what was asked for.
    tie: [u8; 32],
    /// Where the next slice begins; `None` behind the last person.
    place: Option<Place>,
    /// Records that the answer still has room for.
    room: usize,
    people_skipped: u64,
    /// People from the place on who can get no pseudonym: nothing of them is shown.
    nameless: BTreeSet<SubjectId>,
    ids: Ids,
    /// Somebody who does not exist was handed over, and it was told: once a query.
    alarmed: bool,
}

/// Whether a query goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There may be more.
    More,
    /// Everything was handed over that this answer has room for.
    Done,
}

impl Query {
    fn new(context: Context, input: QueryInput, collection: u16) -> Self {
        let token = context.principal.token().map(|token| token.to_string());
        let part = format!("{:?}", input.part);
        let asked = json!([
            token,
            context.purpose,
            collection,
            input.fields,
            input.conditions,
            part,
            input.names.as_ref().map(|names| &names.recipient)
        ]);
        Self {
            tie: sha256(&[asked.to_string().as_bytes()]),
            place: Some(Place::START),
            room: input.limit.unwrap_or(usize::MAX),
            people_skipped: 0,
            nameless: BTreeSet::new(),
            ids: Ids::default(),
            alarmed: false,
            context,
            input,
        }
    }
}

impl Vault {
    /// Begins a query over many people: everything is checked that does not depend on one of them,
    /// and the evidence says that it began.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::RoleDenied`], [`Refusal::NotFound`],
    /// [`Refusal::PurposeDenied`], [`Refusal::Invalid`].
    pub fn query(&self, call: &Call<'_>, input: QueryInput) -> Result<Query, Refusal> {
        self.begin_query(call, input)
            .inspect_err(|refusal| self.note_refusal(call, ACTION, refusal))
    }

    fn begin_query(&self, call: &Call<'_>, input: QueryInput) -> Result<Query, Refusal> {
        let context = Context::new(call);
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        context.principal.check(&snapshot)?;
        let reader = Reader::new(&snapshot, &policy, &context, &input, 0, 0)?;
        if input
            .limit
            .is_some_and(|limit| !(1..=BULK_LIMIT_MAX).contains(&limit))
        {
            let detail = format!("between 1 and {BULK_LIMIT_MAX}, or absent for all");
            let error = input::error("/limit", "out_of_range", detail);
            return Err(Refusal::Invalid(vec![error]));
        }
        let (noted, collection) = (reader.noted()?, reader.admitted.collection.id);
        drop(reader);
        let mut query = Query::new(context, input, collection);
        if let Some(cursor) = &query.input.cursor {
            query.place = Some(self.open_place(&snapshot, &query.tie, cursor)?);
        }
        self.note(&query.context, &policy, &snapshot, ACTION, noted, "ok")?;
        Ok(query)
    }

    /// Hands over the next slice as whole lines, if there is anything in it. `hand_over` runs while
    /// nothing that concerns the slice can be acknowledged as revoked, and must do nothing slow: a
    /// person who was erased or withdrew before does not appear.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::query`], since all is decided anew; [`Refusal::Locked`],
    /// [`Refusal::Overloaded`]. The query is then to be ended by [`Vault::abandon_query`].
    pub fn query_step(
        &self,
        query: &mut Query,
        hand_over: &mut dyn FnMut(Vec<u8>),
    ) -> Result<Step, Refusal> {
        self.step(query, hand_over)
            .map_err(|refusal| self.or_locked(refusal))
    }

    fn step(&self, query: &mut Query, hand_over: &mut dyn FnMut(Vec<u8>)) -> Result<Step, Refusal> {
        for _ in 0..SLICE_TRIES {
            let Some(place) = query.place.filter(|_| query.room > 0) else {
                return Ok(Step::Done);
            };
            let horizon = self.engine.revocation().horizon();
            let snapshot = self.snapshot()?;
            let policy = self.policy_of(&snapshot)?;
            query.context.principal.check(&snapshot)?;
            let running = || self.engine.running();
            let reader = Reader::new(
                &snapshot,
                &policy,
                &query.context,
                &query.input,
                query.room.min(BULK_SLICE_RECORDS),
                running() + READ_TXN_MILLISECONDS_MAX / 2,
            )?;
            let passes_by = self.passes_by(&policy, &query.context);
            let invented = |subject| passes_by && self.memory.honey.has(subject);
            let mut slice = reader.gather(place, &running, &invented, &query.nameless)?;
            let purpose = reader.admitted.purpose.id;
            drop(reader);
            drop(snapshot);
            if !slice.unnamed.is_empty() {
                let left = self.name(query, purpose, std::mem::take(&mut slice.unnamed))?;
                query.nameless.extend(left);
                continue;
            }
            let people = slice.people.iter().map(|segment| segment.subject);
            let Some((_holds, good)) = self.engine.revocation().hold_many(horizon, people) else {
                continue;
            };
            let whole = good == slice.people.len();
            slice.keep(good);
            if good == 0 && !whole {
                // Nothing of it stands; those who were skipped before stay so.
                query.people_skipped += slice.skipped;
                query.place = slice.place;
                query.nameless.clear();
                continue;
            }
            let mut records = slice.records.iter();
            let mut done = 0;
            for segment in &slice.people {
                for record in records.by_ref().take(segment.records - done) {
                    query.ids.add(segment.subject, *record);
                }
                done = segment.records;
            }
            query.room -= slice.records.len();
            query.people_skipped += slice.skipped;
            query.place = slice.place;
            // A person is met in one stretch of places; whoever comes back is asked anew.
            query.nameless.clear();
            let mut end = 0;
            let met = slice.people.iter().find_map(|segment| {
                let shown = segment.records > end;
                end = segment.records;
                self.met(Some(segment.subject).filter(|_| shown), ACTION, "ok")
            });
            if let (Some(met), false) = (met, query.alarmed) {
                self.alarm(&query.context, met);
                query.alarmed = true;
            }
            if !slice.lines.is_empty() {
                hand_over(slice.lines);
            }
            return Ok(match query.place {
                Some(_) if query.room > 0 => Step::More,
                _ => Step::Done,
            });
        }
        Err(Refusal::Overloaded)
    }

    /// Issues the pseudonyms of people who are to be shown by one and have none; whether they may be shown is
    /// decided when they are. Who can get none, of them: whoever is gone meanwhile, or has as many as may be.
    fn name(
        &self,
        query: &Query,
        purpose: u16,
        people: Vec<SubjectId>,
    ) -> Result<Vec<SubjectId>, Refusal> {
        let names = query.input.names.clone();
        let recipient = names.and_then(|names| names.recipient);
        let (call, action) = (query.context.call(), "pseudonyms.issue");
        self.write(&call, action, move |txn, policy, context, _| {
            let capability = Capability::DisclosuresRecord;
            context.principal.require(policy, capability)?;
            let mut left = Vec::new();
            for subject in &people {
                let mut person = match context.person(txn, *subject) {
                    Ok(person) if pseudonym::room(txn, &person)? => person,
                    Ok(_)
                    | Err(Refusal::Erased { .. } | Refusal::Held(_) | Refusal::NotFound(_)) => {
                        left.push(*subject);
                        continue;
                    }
                    Err(refusal) => return Err(refusal),
                };
                pseudonym::issue(txn, &mut person, purpose, recipient.as_deref())?;
            }
            Ok(left)
        })
    }

    /// Ends a query that is done: the evidence says how much was handed over, and the last line is
    /// what this returns.
    ///
    /// # Errors
    ///
    /// [`Refusal::Internal`] if the evidence cannot be written; [`Refusal::Locked`].
    pub fn finish_query(&self, query: &Query) -> Result<Vec<u8>, Refusal> {
        let snapshot = self.snapshot()?;
        let next = match query.place {
            Some(place) => Some(self.seal_place(&snapshot, &query.tie, place)?),
            None => None,
        };
        self.end_query(query, &snapshot, "ok")?;
        let last = json!({
            "end": true,
            "records": query.ids.count,
            "people_skipped": query.people_skipped,
            "next": next,
        });
        let mut line = Vec::new();
        append(&mut line, format_args!("{last}\n"));
        Ok(line)
    }

    /// Ends a query that is not done. The evidence says how much was handed over, and `incomplete`.
    ///
    /// # Errors
    ///
    /// As for [`Vault::finish_query`].
    pub fn abandon_query(&self, query: &Query) -> Result<(), Refusal> {
        self.end_query(query, &self.snapshot()?, "incomplete")
    }

    fn end_query(
        &self,
        query: &Query,
        snapshot: &Snapshot,
        outcome: &'static str,
    ) -> Result<(), Refusal> {
        let noted = Noted {
            records: Some(query.ids.finish()),
            ..Noted::default()
        };
        let policy = self.policy_of(snapshot)?;
        self.note(&query.context, &policy, snapshot, ACTION, noted, outcome)
    }

    /// A place needs more room than a list's cursor has: it is two of them, the second tied to the
    /// first.
    fn seal_place(&self, view: &dyn View, tie: &[u8; 32], place: Place) -> Result<String, Refusal> {
        let mut first = place.tag.to_vec();
        first.extend([u8::from(place.after.is_some()); RecordId::BYTES - 16]);
        let first = RecordId::from_slice(&first).ok_or(DAMAGED)?;
        let second = place.after.unwrap_or(RecordId::SINGLE);
        let tied = sha256(&[tie, first.as_bytes()]);
        Ok(format!(
            "{}.{}",
            cursor::sealed(&self.memory, view, tie, first.as_bytes()),
            cursor::sealed(&self.memory, view, &tied, second.as_bytes())
        ))
    }

    fn open_place(&self, view: &dyn View, tie: &[u8; 32], cursor: &str) -> Result<Place, Refusal> {
        let (first, second) = cursor.split_once('.').unwrap_or_default();
        let first: [u8; RecordId::BYTES] = cursor::open(&self.memory, view, tie, first)?;
        let tied = sha256(&[tie, &first]);
        let second: [u8; RecordId::BYTES] = cursor::open(&self.memory, view, &tied, second)?;
        let (tag, within) = first.split_at(16);
        Ok(Place {
            tag: tag.try_into().expect("sixteen of twenty-four"),
            after: (within[0] != 0)
                .then(|| RecordId::from_slice(&second))
                .flatten(),
        })
    }
}

//! Whom and what a change concerns, as of one snapshot.

use super::super::call::Context;
use super::super::{Call, Vault};
use super::{Admitted, ChangeInput, People, Place};
use crate::commit::{Snapshot, View};
use crate::id::{RecordId, RowHandle, SubjectId};
use crate::keys::keyset::Keyset;
use crate::limits::{
    BULK_COMMIT_PEOPLE, BULK_COMMIT_RECORDS, BULK_SLICE_ROWS, READ_TXN_MILLISECONDS_MAX,
};
use crate::person::Person;
use crate::policy::{Capability, Policy};
use crate::record::{Ended, Known, Page, Stretch};
use crate::refusal::Refusal;

/// How a commit takes records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Portion {
    /// A person's records may lie in several commits.
    Records,
    /// Each person wholly in one, weighed by all that may have to be sealed again.
    People,
}

/// A person's part of a commit.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) subject: SubjectId,
    pub(super) stretch: Stretch,
}

/// What one commit is to work on.
pub(super) struct Batch {
    pub(super) segments: Vec<Segment>,
    /// Where the next one begins.
    pub(super) place: Option<Place>,
}

/// Gathers what concerns a change over one snapshot.
struct Finder<'a> {
    snapshot: &'a Snapshot,
    admitted: &'a Admitted<'a>,
    portion: Portion,
    /// On the clock that nobody sets.
    ends_at: i64,
    passed_by: &'a dyn Fn(SubjectId) -> bool,
}

impl Finder<'_> {
    /// What the next commit is to work on; `seen` gets each record that is meant.
    fn gather(
        &self,
        mut place: Place,
        running: &dyn Fn() -> i64,
        seen: &mut dyn FnMut(SubjectId, &Known),
    ) -> Result<Batch, Refusal> {
        let mut batch = Batch {
            segments: Vec::new(),
            place: None,
        };
        let (mut weight, mut rows) = (0, 0);
        loop {
            let filter = &self.admitted.filter;
            let People { people, next } = People::walk(self.snapshot, filter, place)?;
            for (subject, entry) in people {
                // Who is named was looked for.
                if filter.subject.is_none() && (self.passed_by)(subject) {
                    continue;
                }
                let mut here = Place {
                    tag: *subject.as_bytes(),
                    after: place.after.filter(|_| place.tag == *subject.as_bytes()),
                };
                if batch.segments.len() >= BULK_COMMIT_PEOPLE
                    || rows >= BULK_SLICE_ROWS
                    || running() >= self.ends_at
                {
                    batch.place = Some(here);
                    return Ok(batch);
                }
                let mut page = self.page(entry.handle, here.after)?;
                if page.len() == 0 {
                    continue;
                }
                let keyset = Keyset::load(self.snapshot.vault(), self.snapshot.tx(), &entry)?;
                let person = Person {
                    subject,
                    entry,
                    keyset,
                };
                if !self.admitted.context.reaches(self.snapshot, &person)? {
                    continue;
                }
                let (mut found, mut lies) = (0, 0);
                let mut begin = here.after;
                loop {
                    let collection = self.admitted.collection;
                    let known = page.fitting(self.snapshot, &person, collection, filter)?;
                    rows += page.len();
                    lies += page.len();
                    let full = self.portion == Portion::Records
                        && weight + found + known.len() > BULK_COMMIT_RECORDS;
                    if full {
                        batch.add(subject, begin, here.after, found);
                        batch.place = Some(here);
                        return Ok(batch);
                    }
                    found += known.len();
                    known.iter().for_each(|known| seen(subject, known));
                    let Some(last) = page.more_after() else { break };
                    here.after = Some(last);
                    page = self.page(person.entry.handle, here.after)?;
                }
                if self.portion == Portion::People {
                    begin = None;
                }
                batch.add(subject, begin, None, found);
                weight += match (self.portion, found) {
                    (_, 0) => 0,
                    (Portion::Records, found) => found,
                    (Portion::People, _) => lies,
                };
                if weight >= BULK_COMMIT_RECORDS {
                    batch.place = Place::behind(subject);
                    return Ok(batch);
                }
            }
            match next {
                Some(next) => place = next,
                None => return Ok(batch),
            }
        }
    }

    fn page(&self, handle: RowHandle, after: Option<RecordId>) -> Result<Page, Refusal> {
        let stretch = Stretch {
            after,
            through: None,
        };
        let (collection, filter) = (self.admitted.collection, &self.admitted.filter);
        Page::read(self.snapshot, handle, collection, filter, stretch)
    }
}

impl Batch {
    fn add(
        &mut self,
        subject: SubjectId,
        after: Option<RecordId>,
        through: Option<RecordId>,
        found: usize,
    ) {
        if found > 0 {
            let stretch = Stretch { after, through };
            self.segments.push(Segment { subject, stretch });
        }
    }
}

impl Vault {
    /// What the next commit is to work on, as of a new snapshot that has ended when this returns.
    pub(super) fn find<P>(
        &self,
        call: &Call<'_>,
        (action, capability, ended, portion): (&'static str, Capability, Ended, Portion),
        input: &ChangeInput,
        place: Place,
        parse: &dyn Fn(&Admitted<'_>, &Policy) -> Result<P, Refusal>,
        seen: &mut dyn FnMut(&P, SubjectId, &Known),
    ) -> Result<Batch, Refusal> {
        let context = Context::new(call);
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let running = || self.engine.running();
        let passes_by = self.passes_by(&policy, &context);
        let passed_by = |subject| passes_by && self.memory.honey.has(subject);
        let mut find = || {
            context.principal.check(&snapshot)?;
            let admitted = Admitted::to_change(&policy, &context, capability, input, ended)?;
            let parsed = parse(&admitted, &policy)?;
            let finder = Finder {
                snapshot: &snapshot,
                admitted: &admitted,
                portion,
                ends_at: running() + READ_TXN_MILLISECONDS_MAX / 2,
                passed_by: &passed_by,
            };
            finder.gather(place, &running, &mut |subject, known| {
                seen(&parsed, subject, known);
            })
        };
        let found = find().map_err(|refusal| self.or_locked(refusal));
        let mut segments = found.iter().flat_map(|batch| &batch.segments);
        let met = segments.find_map(|segment| self.met(Some(segment.subject), action, "ok"));
        if let Some(met) = met {
            self.alarm(&context, met);
        }
        found.inspect_err(|refusal| self.note_refusal(call, action, refusal))
    }
}

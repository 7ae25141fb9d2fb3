//! Lines of many people, gathered over one snapshot.

use std::collections::BTreeSet;

use super::super::call::{Context, Noted};
use super::super::{input, pseudonyms, retention};
use super::line::{Lines, Name};
use super::{Admitted, People, Place, QueryInput, QueryNames, QueryPart, admit, wanted};
use crate::commit::{Snapshot, View};
use crate::consent;
use crate::decision::{self, ReadGrant};
use crate::id::{RecordId, SubjectId};
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::limits::{BULK_COMMIT_PEOPLE, BULK_SLICE_BYTES, BULK_SLICE_ROWS};
use crate::person::Person;
use crate::policy::{Capability, Field, LawfulBasis, Policy};
use crate::pseudonym;
use crate::record::{self, Ended, Filter, Page, Stretch};
use crate::refusal::Refusal;
use crate::standing::Standing;

/// What was gathered over one snapshot.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) lines: Vec<u8>,
    pub(super) people: Vec<Segment>,
    pub(super) records: Vec<RecordId>,
    rows: usize,
    pub(super) skipped: u64,
    /// People who have no pseudonym yet, of whom nothing is in it.
    pub(super) unnamed: Vec<SubjectId>,
    /// Where the next one begins.
    pub(super) place: Option<Place>,
}

/// One person's part of a slice.
pub(super) struct Segment {
    pub(super) subject: SubjectId,
    /// Where it begins.
    place: Place,
    /// How many people had been skipped before.
    skipped: u64,
    /// Where its lines and its records end.
    lines: usize,
    pub(super) records: usize,
}

/// What is the same for all people of a slice.
pub(super) struct Reader<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    pub(super) admitted: Admitted<'a>,
    named: Option<Vec<&'a Field>>,
    part: QueryPart,
    names: Option<&'a QueryNames>,
    /// Records that it may gather.
    room: usize,
    /// On the clock that nobody sets.
    ends_at: i64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        policy: &'a Policy,
        context: &Context,
        input: &'a QueryInput,
        room: usize,
        ends_at: i64,
    ) -> Result<Self, Refusal> {
        let capability = Capability::RecordsBulk;
        let may = decision::may_read_any;
        let (role, collection, purpose) =
            admit(policy, context, capability, &input.collection, may)?;
        if let Some(names) = &input.names {
            // Whoever lists people for somebody names each of them to whom it is for.
            let capability = Capability::DisclosuresRecord;
            context.principal.require(policy, capability)?;
            pseudonyms::recipient(purpose, names.recipient.as_deref())?;
        }
        let named = input::named(collection, input.fields.as_deref())?;
        let mut reader = Self {
            snapshot,
            policy,
            admitted: Admitted {
                context: context.clone(),
                role,
                collection,
                purpose,
                filter: Filter::default(),
            },
            named,
            part: input.part,
            names: input.names.as_ref(),
            room,
            ends_at,
        };
        // What would be refused of everybody is refused at once.
        reader.grant(&Standing::willing())?;
        reader.admitted.filter = wanted::filter(policy, collection, &input.conditions, Ended::Out)?;
        Ok(reader)
    }

    fn grant(&self, standing: &Standing) -> Result<ReadGrant, Refusal> {
        self.admitted.may_read(self.named.as_deref(), standing)
    }

    pub(super) fn noted(&self) -> Result<Noted, Refusal> {
        let collection = self.admitted.collection.id;
        let grant = self.grant(&Standing::willing())?;
        Ok(Noted {
            fields: grant.fields().map(|field| (collection, field)).collect(),
            ..Noted::default()
        })
    }

    pub(super) fn gather(
        &self,
        mut place: Place,
        running: &dyn Fn() -> i64,
        passed_by: &dyn Fn(SubjectId) -> bool,
        nameless: &BTreeSet<SubjectId>,
    ) -> Result<Slice, Refusal> {
        let mut slice = Slice::default();
        loop {
            let People { people, next } =
                People::walk(self.snapshot, &self.admitted.filter, place)?;
            for (subject, entry) in people {
                // Who is named was looked for.
                if self.admitted.filter.subject.is_none() && passed_by(subject) {
                    continue;
                }
                let here = Place {
                    tag: *subject.as_bytes(),
                    after: place.after.filter(|_| place.tag == *subject.as_bytes()),
                };
                if slice.full(self) || running() >= self.ends_at {
                    slice.place = Some(here);
                    return Ok(slice);
                }
                if nameless.contains(&subject) {
                    slice.skipped += 1;
                    continue;
                }
                if let Some(rest) = self.gather_person(&mut slice, subject, entry, here)? {
                    slice.place = Some(rest);
                    return Ok(slice);
                }
            }
            match next {
                Some(next) if !slice.full(self) => place = next,
                next => {
                    slice.place = next;
                    return Ok(slice);
                }
            }
        }
    }

    /// Adds one person; where to go on if they do not fit in.
    fn gather_person(
        &self,
        slice: &mut Slice,
        subject: SubjectId,
        entry: PersonEntry,
        mut here: Place,
    ) -> Result<Option<Place>, Refusal> {
        let (snapshot, admitted) = (self.snapshot, &self.admitted);
        let (handle, collection) = (entry.handle, admitted.collection);
        let read = |after| {
            let stretch = Stretch {
                after,
                through: None,
            };
            Page::read(snapshot, handle, collection, &admitted.filter, stretch)
        };
        let mut page = read(here.after)?;
        if page.len() == 0 {
            return Ok(None);
        }
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry)?;
        if keyset.subject != subject {
            return Err(Refusal::Internal("a keyset is another person's"));
        }
        let person = Person {
            subject,
            entry,
            keyset,
        };
        if !admitted.context.reaches(snapshot, &person)? {
            return Ok(None);
        }
        let mut standing = Standing::of(snapshot, &person)?;
        // What does not rest on consent need not ask what was said.
        if admitted.purpose.basis == LawfulBasis::Consent {
            standing.consent = consent::state(snapshot, &person, admitted.purpose.id)?;
        }
        let Ok(grant) = self.grant(&standing) else {
            slice.skipped += 1;
            return Ok(None);
        };
        let kept = standing.keeps(collection.id);
        let term = retention::term(snapshot, &person, admitted.purpose, kept)?;
        let grant = grant.within(term);
        let name = match self.names {
            None => Name::Subject(subject),
            Some(names) => {
                let to = names.recipient.as_deref();
                match pseudonym::known(snapshot, &person, admitted.purpose.id, to)? {
                    Some(pseudonym) => Name::Pseudonym(pseudonym),
                    // A name is given out with what is shown by it, and with nothing else.
                    None => {
                        if self.shows(slice, &person, &grant, page, &read)? {
                            slice.unnamed.push(subject);
                        }
                        return Ok(None);
                    }
                }
            }
        };
        let lines = Lines::new(self.policy, collection, self.part, &name);
        slice.begin(subject, here);
        loop {
            slice.rows += page.len();
            let done = self.gather_page(slice, &person, &grant, &lines, &page)?;
            let more = page.more_after();
            if let Some(last) = done {
                here.after = Some(last);
                return Ok(Some(here));
            }
            let Some(last) = more else { return Ok(None) };
            here.after = Some(last);
            if slice.full(self) {
                return Ok(Some(here));
            }
            page = read(here.after)?;
        }
    }

    /// Whether anything of a person would be shown. Of somebody of whom a whole slice of rows does not fit, it is
    /// taken that something does.
    fn shows(
        &self,
        slice: &mut Slice,
        person: &Person,
        grant: &ReadGrant,
        mut page: Page,
        read: &dyn Fn(Option<RecordId>) -> Result<Page, Refusal>,
    ) -> Result<bool, Refusal> {
        let (snapshot, admitted) = (self.snapshot, &self.admitted);
        loop {
            slice.rows += page.len();
            let known = page.fitting(snapshot, person, admitted.collection, &admitted.filter)?;
            let values = self.part != QueryPart::MetaOnly;
            if known.iter().any(|known| !values || known.serves(grant)) {
                return Ok(true);
            }
            match page.more_after() {
                None => return Ok(false),
                Some(_) if slice.rows >= BULK_SLICE_ROWS => return Ok(true),
                Some(last) => page = read(Some(last))?,
            }
        }
    }

    /// Adds a page; its last record that is in the slice, if that is full now.
    fn gather_page(
        &self,
        slice: &mut Slice,
        person: &Person,
        grant: &ReadGrant,
        lines: &Lines<'_>,
        page: &Page,
    ) -> Result<Option<RecordId>, Refusal> {
        let (snapshot, admitted) = (self.snapshot, &self.admitted);
        let collection = admitted.collection;
        let mut known = page.fitting(snapshot, person, collection, &admitted.filter)?;
        let values = match self.part {
            QueryPart::MetaOnly => Vec::new(),
            QueryPart::Fields | QueryPart::Both => {
                known.retain(|known| known.serves(grant));
                known.truncate(self.room.saturating_sub(slice.records.len()));
                // Values of records that have ended are shown to nobody.
                match admitted.filter.ended {
                    Ended::Out => {
                        let handle = person.entry.handle;
                        record::values(snapshot, handle, collection.id, &known, page)?
                    }
                    Ended::Only | Ended::In => Vec::new(),
                }
            }
        };
        for (index, known) in known.iter().enumerate() {
            let values = values.get(index).map(|row| &**row);
            lines.write(snapshot, person, grant, known, values, &mut slice.lines)?;
            slice.records.push(known.id);
            slice.extend();
            if slice.full(self) {
                return Ok(Some(known.id));
            }
        }
        Ok(None)
    }
}

impl Slice {
    fn full(&self, reader: &Reader<'_>) -> bool {
        self.records.len() + self.unnamed.len() >= reader.room
            || self.lines.len() >= BULK_SLICE_BYTES
            || self.rows >= BULK_SLICE_ROWS
            || self.unnamed.len() >= BULK_COMMIT_PEOPLE
    }

    fn begin(&mut self, subject: SubjectId, place: Place) {
        self.people.push(Segment {
            subject,
            place,
            skipped: self.skipped,
            lines: self.lines.len(),
            records: self.records.len(),
        });
    }

    fn extend(&mut self) {
        if let Some(segment) = self.people.last_mut() {
            (segment.lines, segment.records) = (self.lines.len(), self.records.len());
        }
    }

    /// Keeps the first people; the next slice begins with the one after them.
    pub(super) fn keep(&mut self, good: usize) {
        if let Some(segment) = self.people.get(good) {
            self.place = Some(segment.place);
            self.skipped = segment.skipped;
            let kept = good.checked_sub(1).map(|last| &self.people[last]);
            let (lines, records) = kept.map_or((0, 0), |kept| (kept.lines, kept.records));
            self.lines.truncate(lines);
            self.records.truncate(records);
            self.people.truncate(good);
        }
    }
}

//! In which groups each person is, over one snapshot.

use std::collections::BTreeSet;

use serde_json::Value;

use super::withhold::Key;
use super::{By, CountInput, Label, read_by, read_conditions};
use crate::commit::{Snapshot, View};
use crate::consent;
use crate::decision::{self, ReadGrant};
use crate::id::SubjectId;
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::limits::{COUNT_GROUPS_MAX, COUNT_TEXT_BYTES_MAX};
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, CollectionKind, Field, LawfulBasis, Policy};
use crate::record::{self, Filter, Known, Page, Stretch};
use crate::refusal::Refusal;
use crate::standing::Standing;
use crate::vault::bulk::{Admitted, People, Place, admit};
use crate::vault::call::{Context, Noted};
use crate::vault::retention;

/// What takes a person's groups.
type Take<'t> = &'t mut dyn FnMut(BTreeSet<Key>) -> Result<(), Refusal>;

/// Looks at people.
pub(super) struct Counter<'a> {
    snapshot: &'a Snapshot,
    admitted: Admitted<'a>,
    by: Vec<By<'a>>,
    fields: Vec<&'a Field>,
}

impl<'a> Counter<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        policy: &'a Policy,
        context: &Context,
        input: &CountInput,
    ) -> Result<Self, Refusal> {
        let capability = Capability::RecordsBulk;
        let may = decision::may_count_any;
        let (role, collection, purpose) =
            admit(policy, context, capability, &input.collection, may)?;
        let by = read_by(collection, &input.by)?;
        // Labels of metadata are what a query would show of them.
        if by.iter().any(|by| by.field().is_none()) {
            decision::may_read_any(collection, &role)?;
        }
        let fields = by.iter().filter_map(|by| by.field()).collect();
        let mut counter = Self {
            snapshot,
            admitted: Admitted {
                context: context.clone(),
                role,
                collection,
                purpose,
                filter: Filter::default(),
            },
            by,
            fields,
        };
        // What would be refused of everybody is refused at once.
        counter.grant(&Standing::willing())?;
        counter.admitted.filter = read_conditions(policy, collection, &input.conditions)?;
        Ok(counter)
    }

    fn grant(&self, standing: &Standing) -> Result<ReadGrant, Refusal> {
        let Admitted {
            context,
            role,
            collection,
            purpose,
            filter: _,
        } = &self.admitted;
        decision::unrestricted(collection, role, standing, context.restricted_use)?;
        decision::count(collection, role, purpose, &self.fields, standing)
    }

    /// Whether each person has one record, and so is in one group.
    pub(super) fn one_each(&self) -> bool {
        self.admitted.collection.kind == CollectionKind::Single
    }

    pub(super) fn noted(&self) -> Noted {
        let collection = self.admitted.collection.id;
        let fields = self.fields.iter();
        Noted {
            fields: fields.map(|field| (collection, field.id)).collect(),
            ..Noted::default()
        }
    }

    /// Goes through people from a place on until it is time for another snapshot; where that begins.
    pub(super) fn gather(
        &self,
        mut place: Place,
        over: &dyn Fn() -> bool,
        invented: &dyn Fn(SubjectId) -> bool,
        take: Take<'_>,
    ) -> Result<Option<Place>, Refusal> {
        loop {
            let People { people, next } =
                People::walk(self.snapshot, &self.admitted.filter, place)?;
            for (subject, entry) in people {
                if over() {
                    let tag = *subject.as_bytes();
                    return Ok(Some(Place { tag, after: None }));
                }
                // Whoever does not exist is no number either.
                if !invented(subject) {
                    self.person(subject, entry, take)?;
                }
            }
            match next {
                Some(next) => place = next,
                None => return Ok(None),
            }
        }
    }

    fn person(
        &self,
        subject: SubjectId,
        entry: PersonEntry,
        take: Take<'_>,
    ) -> Result<(), Refusal> {
        let (snapshot, admitted) = (self.snapshot, &self.admitted);
        let (handle, collection) = (entry.handle, admitted.collection);
        let read = |after| {
            let stretch = Stretch {
                after,
                through: None,
            };
            Page::read(snapshot, handle, collection, &admitted.filter, stretch)
        };
        let mut page = read(None)?;
        if page.len() == 0 {
            return Ok(());
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
            return Ok(());
        }
        let mut standing = Standing::of(snapshot, &person)?;
        if admitted.purpose.basis == LawfulBasis::Consent {
            standing.consent = consent::state(snapshot, &person, admitted.purpose.id)?;
        }
        let Ok(grant) = self.grant(&standing) else {
            return Ok(());
        };
        let kept = standing.keeps(collection.id);
        let term = retention::term(snapshot, &person, admitted.purpose, kept)?;
        let grant = grant.within(term);
        let mut keys = BTreeSet::new();
        loop {
            self.page(&person, &grant, &page, &mut keys)?;
            if keys.len() > COUNT_GROUPS_MAX {
                return take(keys);
            }
            match page.more_after() {
                Some(last) => page = read(Some(last))?,
                None => return take(keys),
            }
        }
    }

    fn page(
        &self,
        person: &Person,
        grant: &ReadGrant,
        page: &Page,
        keys: &mut BTreeSet<Key>,
    ) -> Result<(), Refusal> {
        let (snapshot, admitted) = (self.snapshot, &self.admitted);
        let collection = admitted.collection;
        let mut known = page.fitting(snapshot, person, collection, &admitted.filter)?;
        known.retain(|known| known.serves(grant) && self.is_needed(grant, known));
        let values = match self.fields.is_empty() {
            true => Vec::new(),
            false => {
                let handle = person.entry.handle;
                record::values(snapshot, handle, collection.id, &known, page)?
            }
        };
        for (index, known) in known.iter().enumerate() {
            let values = values.get(index).map(|row| &**row);
            keys.insert(self.key(person, grant, known, values)?);
        }
        Ok(())
    }

    /// Whether the purpose still needs anything of a record.
    fn is_needed(&self, grant: &ReadGrant, known: &Known) -> bool {
        let mut fields = self.admitted.collection.fields.iter();
        fields.any(|field| {
            field.purposes.contains(&grant.purpose) && !grant.is_over(known.row.times(field.id))
        })
    }

    fn key(
        &self,
        person: &Person,
        grant: &ReadGrant,
        known: &Known,
        values: Option<&[u8]>,
    ) -> Result<Key, Refusal> {
        let mut found: Vec<(u16, Value)> = Vec::new();
        if let Some(values) = values {
            let mut fault = None;
            known.show(
                self.snapshot,
                person,
                self.admitted.collection,
                grant,
                values,
                &mut |field, json, _| match serde_json::from_slice(json) {
                    Ok(value) => found.push((field.id, value)),
                    Err(_) => fault = Some(DAMAGED),
                },
            )?;
            fault.map_or(Ok(()), Err)?;
        }
        let of = |field: &Field| found.iter().find(|(id, _)| *id == field.id);
        let of = |field: &Field| of(field).map(|(_, value)| value);
        let meta = &known.row.meta;
        let labels = self.by.iter().map(|by| match by {
            By::Flag(field) => of(field)
                .and_then(Value::as_bool)
                .map_or(Label::Missing, Label::Flag),
            By::Number(field, width) => range(of(field).and_then(whole), *width),
            By::Year(field, width) => range(of(field).and_then(year), *width),
            By::Text(field) => text(of(field).and_then(Value::as_str)),
            By::Source => text(meta.source.as_deref()),
            By::Category => text(meta.category.as_deref()),
        });
        Ok(labels.collect())
    }
}

/// A number without its fraction, towards less.
fn whole(value: &Value) -> Option<i64> {
    let exact = value.as_i64();
    // Far numbers end at the last that there is.
    exact.or_else(|| value.as_f64().map(|number| number.floor() as i64))
}

/// The year of a date.
fn year(value: &Value) -> Option<i64> {
    value.as_str()?.get(..4)?.parse().ok()
}

fn range(number: Option<i64>, width: i64) -> Label {
    let Some(number) = number else {
        return Label::Missing;
    };
    let from = number.div_euclid(width).saturating_mul(width);
    Label::Range(from, from.saturating_add(width))
}

/// A text as a group; a long one is nobody's kind.
fn text(text: Option<&str>) -> Label {
    let short = text.filter(|text| text.len() <= COUNT_TEXT_BYTES_MAX);
    short.map_or(Label::Missing, |text| Label::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_years_fall_into_groups_that_meet_and_share_nothing() {
        assert!(range(whole(&json!(19)), 10) == Label::Range(10, 20));
        assert!(range(whole(&json!(20)), 10) == Label::Range(20, 30));
        assert!(range(whole(&json!(-0.5)), 10) == Label::Range(-10, 0));
        assert!(range(year(&json!("1999-12-31")), 10) == Label::Range(1990, 2000));
        assert!(range(None, 10) == Label::Missing);
        assert!(text(Some(&"x".repeat(COUNT_TEXT_BYTES_MAX + 1))) == Label::Missing);
    }
}

//! The rows of people on their way from the thread that reads a backup to those that open them.
//!
//! Rows lie in the order in which `open` asks for them. Of whom there are too many for a bundle the first lie
//! in it, and the others are read where they are.

use std::ops::Range;
use std::sync::Arc;

use super::error::BackupError;
use super::format::Frame;
use super::read::{Found, People};
use crate::store::Table;

/// The order in which [`super::open::person`] asks; values follow the metadata of their record.
const ORDER: [Table; 8] = [
    Table::Subjects,
    Table::Consents,
    Table::Sessions,
    Table::Answers,
    Table::Requests,
    Table::Decisions,
    Table::Dirty,
    Table::RecordMeta,
];

/// What a person counts as beside their rows.
pub(super) const PERSON_BYTES: usize = 512;

struct Row {
    table: Table,
    key: usize,
    value: usize,
    /// The number of its object.
    object: usize,
}

/// People, and their rows in one piece of memory.
#[derive(Default)]
pub(super) struct Bundle {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// The objects that rows are of, for who finds damage.
    objects: Vec<Arc<str>>,
    people: Vec<(Found, Range<usize>, usize)>,
}

impl Bundle {
    /// Bytes of all rows and keysets, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.people.len() * PERSON_BYTES
    }

    /// How many people.
    pub(super) fn len(&self) -> usize {
        self.people.len()
    }

    /// Takes a person and their rows in; whether all of them, as long as there are fewer bytes than `limit`.
    pub(super) fn add(
        &mut self,
        people: &mut People<'_>,
        found: Found,
        limit: usize,
    ) -> Result<bool, BackupError> {
        let (first, begins) = (self.rows.len(), self.bytes.len());
        if self.bytes.capacity() == 0 {
            // Most are no longer than that.
            self.bytes.reserve(limit);
        }
        let mut full = false;
        'whole: for table in ORDER {
            loop {
                let mut more = self.take(people, &found, table)?;
                if table == Table::RecordMeta {
                    more |= self.take(people, &found, Table::Records)?;
                }
                full = self.bytes.len() - begins >= limit;
                if full {
                    break 'whole;
                }
                if !more {
                    break;
                }
            }
        }
        // Content of blobs is long, and follows everything else.
        while !full && self.take(people, &found, Table::Blobs)? {
            full = self.bytes.len() - begins >= limit;
        }
        self.people.push((found, first..self.rows.len(), begins));
        Ok(!full)
    }

    fn take(
        &mut self,
        people: &mut People<'_>,
        found: &Found,
        table: Table,
    ) -> Result<bool, BackupError> {
        let Some(read) = people.row(found, table)? else {
            return Ok(false);
        };
        let known = self
            .objects
            .iter()
            .rposition(|known| Arc::ptr_eq(known, read.object));
        let object = known.unwrap_or_else(|| {
            self.objects.push(Arc::clone(read.object));
            self.objects.len() - 1
        });
        self.bytes.extend_from_slice(read.key);
        self.bytes.extend_from_slice(read.value);
        self.rows.push(Row {
            table,
            key: read.key.len(),
            value: read.value.len(),
            object,
        });
        Ok(true)
    }

    /// Everybody in it, in their order.
    pub(super) fn people(&self) -> impl Iterator<Item = (&Found, Rows<'_, 'static>)> {
        self.people.iter().map(|(found, rows, at)| {
            let rows = Rows {
                bundle: Some(self),
                left: rows.clone(),
                at: *at,
                live: None,
                found,
            };
            (found, rows)
        })
    }

    /// The last person in it, the rest of whose rows are read from `people`.
    pub(super) fn last<'a, 's>(
        &'a self,
        people: &'a mut People<'s>,
    ) -> Option<(&'a Found, Rows<'a, 's>)> {
        let (found, rows) = self.people().last()?;
        let rows = Rows {
            live: Some(people),
            ..rows
        };
        Some((found, rows))
    }
}

/// A row, in its bundle or read alone.
pub(super) enum Held<'a> {
    Lent(&'a [u8], &'a [u8]),
    Own(Frame),
}

impl Held<'_> {
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Lent(key, _) => key,
            Self::Own(frame) => &frame.key,
        }
    }

    pub(super) fn value(&self) -> &[u8] {
        match self {
            Self::Lent(_, value) => value,
            Self::Own(frame) => &frame.value,
        }
    }
}

/// The rows of one person.
pub(super) struct Rows<'a, 's> {
    bundle: Option<&'a Bundle>,
    left: Range<usize>,
    at: usize,
    live: Option<&'a mut People<'s>>,
    found: &'a Found,
}

impl<'a, 's> Rows<'a, 's> {
    /// Those that are read where they are.
    pub(super) fn live(people: &'a mut People<'s>, found: &'a Found) -> Self {
        Self {
            bundle: None,
            left: 0..0,
            at: 0,
            live: Some(people),
            found,
        }
    }

    /// Whether content of blobs is among them: not known where rows are read one after another.
    pub(super) fn may_have_blobs(&self) -> bool {
        let last = self
            .bundle
            .map(|bundle| bundle.rows[self.left.clone()].last());
        self.live.is_some() || last.flatten().is_some_and(|row| row.table == Table::Blobs)
    }

    /// The next row of a table, if there is one.
    pub(super) fn row(&mut self, table: Table) -> Result<Option<Held<'a>>, BackupError> {
        if let (Some(bundle), false) = (self.bundle, self.left.is_empty()) {
            let row = &bundle.rows[self.left.start];
            if row.table != table {
                return Ok(None);
            }
            let (key, value) = bundle.bytes[self.at..][..row.key + row.value].split_at(row.key);
            self.left.start += 1;
            self.at += row.key + row.value;
            return Ok(Some(Held::Lent(key, value)));
        }
        let Some(people) = &mut self.live else {
            return Ok(None);
        };
        let read = people.row(self.found, table)?;
        Ok(read.map(|read| Held::Own(Frame::of((read.key, read.value)))))
    }

    /// What damage in the last row of a table is called.
    pub(super) fn damaged(&self, table: Table, what: &str) -> BackupError {
        let in_bundle = self.bundle.and_then(|bundle| {
            let read = bundle.rows[..self.left.start].iter();
            let row = read.rev().find(|row| row.table == table)?;
            Some(Arc::clone(&bundle.objects[row.object]))
        });
        let live = || {
            self.live
                .as_ref()
                .map(|people| people.object(self.found, table))
        };
        let object = match self.left.is_empty() {
            true => live().or(in_bundle),
            false => in_bundle,
        };
        let object = object.map_or_else(|| "the backup".to_owned(), |object| object.to_string());
        BackupError::damaged(object, format!("{what} ({})", table.name()))
    }
}

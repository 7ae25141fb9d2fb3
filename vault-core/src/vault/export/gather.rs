//! Slices of a package: records, calls of the ledger, and contents of blobs, over one snapshot.

use super::{At, Export, FileOf, Hashing, Made, Part, Spot, state_of};
use crate::blob::{self, Blob, Home};
use crate::commit::{Snapshot, View};
use crate::decision;
use crate::export::{
    self, Cell, File, HeadCollection, Item, ItemMeta, Looked, Page, Right, portable,
};
use crate::limits::{BULK_SLICE_BYTES, BULK_SLICE_RECORDS};
use crate::log_lines::Place;
use crate::person::{DAMAGED, Person, instant};
use crate::policy::{Collection, Policy, Role};
use crate::record::{self, Seen, Stored};
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::standing::Standing;
use crate::store::Direction;
use crate::vault::access::{self, Access, AccessAbout};
use crate::vault::call::ended;
use crate::vault::logs;

/// Records that are opened at a time: each may be a megabyte.
const RECORDS_AT_A_TIME: usize = 8;
/// Calls of the ledger in one slice.
const ACCESSES: usize = 512;
/// Entries of the log that are looked at for one.
const ENTRIES: u64 = 16 * 1024;

/// What a slice has found, apart from its bytes.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) records: u64,
    pub(super) undeclared: u64,
    /// Whether the list at hand has begun.
    pub(super) begun: bool,
    /// Whether something is no longer what an earlier member said of it.
    pub(super) changed: bool,
    /// What stands for the states of records, and the collection that ends with them.
    pub(super) seen: Vec<(Option<usize>, Vec<u8>)>,
    pub(super) files: Vec<FileOf>,
}

/// A stretch of the records of one collection.
struct Stretch {
    records: Vec<Stored>,
    next: Option<Spot>,
}

fn collection<'p>(policy: &'p Policy, head: &HeadCollection) -> Result<&'p Collection, Refusal> {
    policy.collection_by_id(head.id).ok_or(DAMAGED)
}

impl Export {
    fn stretch(
        &self,
        snapshot: &Snapshot,
        person: &Person,
        collection: &Collection,
        spot: Spot,
    ) -> Result<Stretch, Refusal> {
        let ascending = Direction::Ascending;
        let limit = RECORDS_AT_A_TIME;
        let ended = ended(&Standing::of(snapshot, person)?, collection);
        let (records, more) = record::list(
            snapshot, person, collection, ascending, spot.after, limit, ended,
        )?;
        let next = match (more, records.last()) {
            (true, Some(last)) => Some(Spot {
                after: Some(last.id),
                ..spot
            }),
            _ => None,
        };
        Ok(Stretch { records, next })
    }

    /// A record as the package shows it; `None` where nothing of it belongs there.
    #[expect(clippy::too_many_arguments, reason = "each is a fact about one slice")]
    fn item<'h>(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        role: &Role,
        (place, head): (usize, &'h HeadCollection),
        collection: &Collection,
        stored: &Stored,
        gathered: &mut Gathered,
    ) -> Result<Option<Item<'h>>, Refusal> {
        let grant = decision::export(collection, role);
        let meta = &stored.row.meta;
        let mut seen = stored.see(snapshot, person, collection, &grant)?;
        let mut cells = Vec::new();
        for (index, field) in head.fields.iter().enumerate() {
            let Some(Seen { value, masked }) = seen.remove(&field.id) else {
                continue;
            };
            let rule = collection.field_by_id(field.id).ok_or(DAMAGED)?;
            let source = meta.source.as_deref();
            if self.right == Right::Portability && !portable(policy, rule, source, &meta.purposes) {
                continue;
            }
            let file = match field.kind {
                FieldType::Blob if !masked => {
                    let known =
                        self.file(snapshot, person, role, collection, (place, index), stored)?;
                    gathered.changed |= known.is_none();
                    known.map(|of| of.file.clone())
                }
                _ => None,
            };
            cells.push(Cell {
                field: index,
                value,
                masked,
                file,
            });
        }
        if self.right == Right::Portability && cells.is_empty() {
            return Ok(None);
        }
        gathered.undeclared += stored.undeclared(collection);
        let names = meta.purposes.iter();
        let names = names.filter_map(|id| Some(policy.purpose_by_id(*id)?.name.clone()));
        let single = stored.id == crate::id::RecordId::SINGLE;
        Ok(Some(Item {
            collection: head,
            record: (!single).then(|| stored.id.to_string()),
            created_at: instant(stored.row.created_at),
            occurred_at: stored.row.occurred_at.map(instant),
            ends_at: stored.ends_at(collection).map(instant),
            cells,
            meta: Some(ItemMeta {
                purposes: names.collect(),
                expires_at: meta.expires_at.map(instant),
                source: meta.source.clone(),
                shared_with: meta.shared_with.clone(),
                category: meta.category.clone(),
            }),
        }))
    }

    /// What was found of a blob before the first member; `None` if another stands there now.
    fn file(
        &self,
        snapshot: &Snapshot,
        person: &Person,
        role: &Role,
        collection: &Collection,
        (place, field): (usize, usize),
        stored: &Stored,
    ) -> Result<Option<&FileOf>, Refusal> {
        let id = self.head.collections[place].fields[field].id;
        let Some(blob) = content(snapshot, person, role, collection, id, stored)? else {
            return Ok(None);
        };
        // They were found in this order.
        let key = |of: &FileOf| (of.collection, of.record, of.field);
        let wanted = (place, stored.id, field);
        let found = self.files.binary_search_by_key(&wanted, key).ok();
        let found = found.map(|at| &self.files[at]);
        Ok(found.filter(|of| of.blob == blob.key.id))
    }

    /// A slice of the records of a member.
    pub(super) fn make_records(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        (index, part): (usize, Part),
        mut spot: Spot,
    ) -> Result<Made, Refusal> {
        let role = &*self.context.role(policy)?;
        let mut gathered = Gathered {
            begun: self.begun,
            ..Gathered::default()
        };
        let (mut bytes, mut looked) = (Vec::new(), 0);
        let end = self.collections_of(part).end;
        let page = Page::new(&self.head);
        while spot.collection < end {
            let place = spot.collection;
            let head = &self.head.collections[place];
            let collection = collection(policy, head)?;
            let first = spot.after.is_none();
            if first && part == Part::Html {
                bytes.extend(page.collection(head));
            }
            let stretch = self.stretch(snapshot, person, collection, spot)?;
            let mut seen = Vec::new();
            let before = gathered.records;
            for stored in &stretch.records {
                seen.extend(state_of(stored.id, &stored.row.revision));
                let of = (place, head);
                let item = self.item(
                    snapshot,
                    policy,
                    person,
                    role,
                    of,
                    collection,
                    stored,
                    &mut gathered,
                )?;
                let Some(item) = item else { continue };
                gathered.records += 1;
                match part {
                    Part::Json => bytes.extend(export::json_record(&item, !gathered.begun)),
                    Part::Html => bytes.extend(page.record(&item)),
                    Part::Csv(_) => bytes.extend(export::csv_row(&item)),
                    Part::File(_) | Part::Manifest => {}
                }
                gathered.begun = true;
            }
            looked += stretch.records.len();
            let ended = stretch.next.is_none();
            if first && ended && gathered.records == before && part == Part::Html {
                bytes.extend(page.nothing());
            }
            gathered.seen.push((ended.then_some(place), seen));
            spot = stretch.next.unwrap_or(Spot {
                collection: place + 1,
                after: None,
            });
            if bytes.len() >= BULK_SLICE_BYTES || looked >= BULK_SLICE_RECORDS {
                break;
            }
        }
        let at = match (spot.collection < end, part) {
            (true, _) => At::Records(index, spot),
            (false, Part::Json | Part::Html) => {
                self.end_records(index, part, &mut bytes, &mut gathered)
            }
            (false, _) => At::Begin(index + 1),
        };
        Ok(Made {
            gathered,
            ..Made::new(at, bytes)
        })
    }

    /// What comes behind the last record.
    fn end_records(
        &self,
        index: usize,
        part: Part,
        bytes: &mut Vec<u8>,
        gathered: &mut Gathered,
    ) -> At {
        gathered.begun = false;
        let page = Page::new(&self.head);
        let ledger = self.right == Right::Access;
        match part {
            Part::Json if ledger => bytes.extend(export::json_logs(&[], true, false)),
            Part::Html if ledger => bytes.extend(page.begin_logs()),
            _ => {}
        }
        if ledger {
            return At::Logs(index, None);
        }
        bytes.extend(self.end_member(part, gathered));
        At::Begin(index + 1)
    }

    fn end_member(&self, part: Part, gathered: &Gathered) -> Vec<u8> {
        match part {
            Part::Json => export::json_tail(
                self.records + gathered.records,
                self.undeclared + gathered.undeclared,
            ),
            _ => Page::new(&self.head).end(),
        }
    }

    /// A slice of the lines of logs.
    pub(super) fn make_logs(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        (index, part): (usize, Part),
        after: Option<Place>,
    ) -> Result<Made, Refusal> {
        let role = self.context.role(policy)?;
        let mut lines = Vec::new();
        let themselves = self.context.principal.is_themselves();
        let reader = (policy, (!themselves).then_some(role.name.as_str()));
        let next = logs::lines_of(snapshot, reader, person, after, &mut |stream, line| {
            lines.push((stream.to_owned(), line.clone()));
        })?;
        let page = Page::new(&self.head);
        let mut bytes = match part {
            Part::Json => export::json_logs(&lines, false, self.begun),
            _ => page.logs(&lines),
        };
        let mut gathered = Gathered {
            begun: !lines.is_empty(),
            ..Gathered::default()
        };
        let at = match next {
            Some(next) => At::Logs(index, Some(next)),
            None => {
                match part {
                    Part::Json => bytes.extend(export::json_accesses(&[], true, false)),
                    _ => {
                        bytes.extend(page.end_logs(self.begun || gathered.begun));
                        bytes.extend(page.middle());
                    }
                }
                gathered.begun = false;
                At::Ledger(index, self.log_size)
            }
        };
        Ok(Made {
            gathered,
            ..Made::new(at, bytes)
        })
    }

    /// A slice of the ledger.
    pub(super) fn make_ledger(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        (index, part): (usize, Part),
        before: u64,
    ) -> Result<Made, Refusal> {
        let mut list = Vec::new();
        let span = (self.head.created_at, None);
        let most = (ACCESSES, ENTRIES);
        let next = access::ledger(snapshot, policy, person, span, before, most, &mut list)?;
        let list: Vec<Looked> = list.into_iter().map(looked).collect();
        let mut bytes = match part {
            Part::Json => export::json_accesses(&list, false, self.begun),
            _ => Page::new(&self.head).accesses(&list),
        };
        let gathered = Gathered {
            begun: !list.is_empty(),
            ..Gathered::default()
        };
        let at = match next {
            0 => {
                bytes.extend(self.end_member(part, &gathered));
                At::Begin(index + 1)
            }
            next => At::Ledger(index, next),
        };
        Ok(Made {
            gathered,
            ..Made::new(at, bytes)
        })
    }

    /// A slice of the content of a blob.
    pub(super) fn make_content(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        index: usize,
        from: u64,
    ) -> Result<Made, Refusal> {
        let Part::File(number) = self.members[index] else {
            return Err(Refusal::Internal("content of no file"));
        };
        let of = &self.files[number];
        let (bytes, changed) = match self.content_of(snapshot, policy, person, of, from)? {
            Some(bytes) => (bytes, false),
            None => (Vec::new(), true),
        };
        let end = from + bytes.len() as u64;
        let at = match changed || end >= of.size {
            true => At::Begin(index + 1),
            false => At::Content(index, end),
        };
        Ok(Made {
            gathered: Gathered {
                changed,
                ..Gathered::default()
            },
            ..Made::new(at, bytes)
        })
    }

    /// The content of a file from a place on; `None` if it is there no more.
    fn content_of(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        of: &FileOf,
        from: u64,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let role = &*self.context.role(policy)?;
        let head = &self.head.collections[of.collection];
        let collection = collection(policy, head)?;
        let field = head.fields[of.field].id;
        let ended = ended(&Standing::of(snapshot, person)?, collection);
        let Some(stored) = Stored::load(snapshot, person, collection, of.record, ended)? else {
            return Ok(None);
        };
        let blob = content(snapshot, person, role, collection, field, &stored)?;
        let Some(blob) = blob.filter(|blob| blob.key.id == of.blob) else {
            return Ok(None);
        };
        let home = Home {
            vault: snapshot.vault(),
            handle: person.entry.handle,
            collection: collection.id,
            record: stored.id,
            field,
        };
        blob::read(snapshot, &home, &blob, from, blob.size).map(Some)
    }

    /// Looks for files, and hashes them, before anything is written: the document names them by hash.
    pub(super) fn scan(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        spot: Spot,
        hashing: Option<Box<Hashing>>,
    ) -> Result<Made, Refusal> {
        if let Some(hashing) = hashing {
            return self.hash(snapshot, policy, person, spot, hashing);
        }
        let Some(head) = self.head.collections.get(spot.collection) else {
            return Ok(Made::new(At::Begin(0), Vec::new()));
        };
        let behind = Spot {
            collection: spot.collection + 1,
            after: None,
        };
        let any = |head: &HeadCollection| head.fields.iter().any(|f| f.kind == FieldType::Blob);
        if !any(head) {
            return Ok(Made::new(At::Scan(behind, None), Vec::new()));
        }
        let role = &*self.context.role(policy)?;
        let collection = collection(policy, head)?;
        let mut spot = spot;
        for _ in 0..BULK_SLICE_RECORDS / RECORDS_AT_A_TIME {
            let stretch = self.stretch(snapshot, person, collection, spot)?;
            for stored in &stretch.records {
                let mut found =
                    self.files_of(snapshot, policy, person, role, spot.collection, stored)?;
                if found.is_empty() {
                    continue;
                }
                let of = found.remove(0);
                let here = Spot {
                    after: Some(stored.id),
                    ..spot
                };
                let hashing = Hashing {
                    of,
                    from: 0,
                    digest: crate::crypto::Sha256Stream::default(),
                    rest: found,
                };
                return Ok(Made::new(
                    At::Scan(here, Some(Box::new(hashing))),
                    Vec::new(),
                ));
            }
            match stretch.next {
                Some(next) => spot = next,
                None => return Ok(Made::new(At::Scan(behind, None), Vec::new())),
            }
        }
        Ok(Made::new(At::Scan(spot, None), Vec::new()))
    }

    /// The blobs of a record that the package shows, without hashes.
    fn files_of(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        role: &Role,
        place: usize,
        stored: &Stored,
    ) -> Result<Vec<FileOf>, Refusal> {
        let head = &self.head.collections[place];
        let collection = collection(policy, head)?;
        let mut found = Vec::new();
        for (index, field) in head.fields.iter().enumerate() {
            if field.kind != FieldType::Blob {
                continue;
            }
            let rule = collection.field_by_id(field.id).ok_or(DAMAGED)?;
            let meta = &stored.row.meta;
            if self.right == Right::Portability
                && !portable(policy, rule, meta.source.as_deref(), &meta.purposes)
            {
                continue;
            }
            let blob = content(snapshot, person, role, collection, field.id, stored)?;
            let Some(blob) = blob else { continue };
            found.push(FileOf {
                collection: place,
                record: stored.id,
                field: index,
                blob: blob.key.id,
                size: blob.size,
                media_type: blob.media_type.as_str().to_owned(),
                file: File {
                    name: None,
                    sha256: [0; 32],
                },
            });
        }
        Ok(found)
    }

    fn hash(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        person: &Person,
        spot: Spot,
        mut hashing: Box<Hashing>,
    ) -> Result<Made, Refusal> {
        let part = self.content_of(snapshot, policy, person, &hashing.of, hashing.from)?;
        let mut gathered = Gathered::default();
        let done = match part {
            Some(part) => {
                hashing.digest.update(&part);
                hashing.from += part.len() as u64;
                hashing.from >= hashing.of.size
            }
            // Gone while it was read: the document will not name it.
            None => {
                hashing.of.size = 0;
                hashing.from = 1;
                true
            }
        };
        if !done {
            let at = At::Scan(spot, Some(hashing));
            return Ok(Made::new(at, Vec::new()));
        }
        let Hashing {
            mut of,
            from,
            digest,
            mut rest,
        } = *hashing;
        if from == of.size {
            let number = self.files.len();
            of.file = File {
                name: self.named(number, of.collection, of.field, &of.media_type),
                sha256: digest.finish(),
            };
            gathered.files.push(of);
        }
        let next = (!rest.is_empty()).then(|| {
            Box::new(Hashing {
                of: rest.remove(0),
                from: 0,
                digest: crate::crypto::Sha256Stream::default(),
                rest,
            })
        });
        Ok(Made {
            gathered,
            ..Made::new(At::Scan(spot, next), Vec::new())
        })
    }
}

fn looked(access: Access) -> Looked {
    Looked {
        entry: access.entry,
        time: access.time,
        role: access.role,
        purpose: access.purpose,
        action: access.action,
        fields: access.fields,
        outcome: access.outcome,
        many: access.about == AccessAbout::Many,
        emergency: access.emergency.map(|one| one.to_string()),
    }
}

/// The blob in a field, as far as the role sees its content.
fn content(
    snapshot: &Snapshot,
    person: &Person,
    role: &Role,
    collection: &Collection,
    field: u16,
    stored: &Stored,
) -> Result<Option<Blob>, Refusal> {
    let rule = collection.field_by_id(field).ok_or(DAMAGED)?;
    match decision::export_content(collection, role, rule) {
        Some(grant) => stored.content(snapshot, person, collection.id, field, &grant),
        None => Ok(None),
    }
}

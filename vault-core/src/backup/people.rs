//! What a backup copies of people: their keys in the order of their handles, and whoever changed meanwhile.

use zeroize::Zeroizing;

use super::error::BackupError;
use super::format::TOUCHED;
use super::sections::Sections;
use super::write::{LONG_TABLES, PEOPLE_TABLES};
use crate::commit::{Engine, Snapshot, Touched, View};
use crate::id::{RowHandle, SubjectId};
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::limits::{BACKUP_SLICE_BYTES, BACKUP_SORT_PEOPLE_MAX, SWEEP_LEAVES_MAX};
use crate::refusal::Refusal;
use crate::store::{KeyRange, Table};

/// Snapshots of a round: one for all of it, or one after another.
pub(super) struct Slices<'e> {
    pub(super) engine: &'e Engine,
    pub(super) held: Option<Snapshot>,
    pub(super) renewed: bool,
    pub(super) bytes: u64,
}

impl Slices<'_> {
    /// The snapshot for what comes next, after so many bytes more.
    fn view(&mut self, bytes: u64) -> Result<&Snapshot, BackupError> {
        self.bytes += bytes;
        if self.renewed && self.bytes > BACKUP_SLICE_BYTES {
            self.bytes = 0;
            self.held = None;
            self.held = Some(self.engine.snapshot()?);
        }
        let held = self.held.as_ref();
        Ok(held.ok_or(Refusal::Internal("a snapshot was lost"))?)
    }
}

pub(super) fn copy_touched(
    view: &mut Slices<'_>,
    out: &mut Sections<'_>,
    round: u32,
    touched: &Touched,
) -> Result<(), BackupError> {
    let mut handles: Vec<RowHandle> = touched.people.iter().copied().collect();
    handles.sort_unstable();
    out.begin(round, TOUCHED)?;
    for handle in &handles {
        out.row(handle.as_bytes(), &[])?;
    }
    for table in PEOPLE_TABLES {
        out.begin(round, table.number())?;
        let mut written = out.written();
        for handle in &handles {
            let now = out.written();
            let snapshot = view.view(now - written)?;
            written = now;
            out.scan(
                snapshot,
                table,
                &KeyRange::prefix(handle.as_bytes()),
                u64::MAX,
            )?;
        }
    }
    for table in LONG_TABLES {
        out.begin(round, table.number())?;
        for (_, key) in touched.rows.iter().filter(|(of, _)| *of == table) {
            let value = view.view(0)?.tx().get(table, key)?;
            // A row that is gone has an empty value, as no row has.
            out.row(key, value.as_deref().unwrap_or_default())?;
        }
    }
    Ok(())
}

pub(super) fn copy_touched_keys(
    view: &mut Slices<'_>,
    out: &mut Sections<'_>,
    round: u32,
    touched: &Touched,
) -> Result<(), BackupError> {
    out.begin(round, Table::Keysets.number())?;
    for (handle, subject) in &touched.keysets {
        let snapshot = view.view(1024)?;
        let keyset = match subject {
            Some(subject) => keyset_of(snapshot, *subject, *handle)?,
            None => Zeroizing::default(),
        };
        out.row(handle.as_bytes(), &keyset)?;
    }
    Ok(())
}

/// The keyset of a person in this state; empty if they are gone.
fn keyset_of(
    snapshot: &Snapshot,
    subject: SubjectId,
    handle: RowHandle,
) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    const DAMAGED: Refusal = Refusal::Internal("a keyset is damaged");
    let Some(entry) = snapshot.person_entry(subject)? else {
        return Ok(Zeroizing::default());
    };
    if entry.handle != handle {
        return Err(DAMAGED.into());
    }
    let sealed = snapshot.tx().get(Table::Keysets, handle.as_bytes())?;
    let keyset = Keyset::open(snapshot.vault(), &entry, &sealed.ok_or(DAMAGED)?);
    Ok(keyset.ok_or(DAMAGED)?)
}

/// Row handle, subject id, KEK.
type Known = [u8; 64];

/// Copies the keys of everybody in the order of their handles. The people map is in another order, so it
/// is walked once for each part of the handles that fits into memory. Who comes or changes meanwhile is
/// noted by the writer. How many there were.
pub(super) fn copy_keys(
    engine: &Engine,
    out: &mut Sections<'_>,
    people: u64,
) -> Result<u64, BackupError> {
    let passes = people.div_ceil(BACKUP_SORT_PEOPLE_MAX as u64).max(1);
    let passes = u32::try_from(passes).unwrap_or(u32::MAX);
    let mut copied = 0;
    for pass in 0..passes {
        let mut known = collect(engine, out, pass, passes, people)?;
        known.sort_unstable_by(|a, b| a[..16].cmp(&b[..16]));
        for known in known.chunks(1024) {
            out.place.check()?;
            let snapshot = engine.snapshot()?;
            for person in known {
                let (handle, subject) = (
                    RowHandle::from_bytes(person[..16].try_into().expect("sixteen")),
                    SubjectId::from_bytes(person[16..32].try_into().expect("sixteen")),
                );
                let mut payload = Zeroizing::new([0; 48]);
                payload[..32].copy_from_slice(&person[32..]);
                payload[32..].copy_from_slice(&person[..16]);
                let entry = PersonEntry::from_payload(&payload);
                let sealed = snapshot.tx().get(Table::Keysets, handle.as_bytes())?;
                let opened =
                    sealed.and_then(|sealed| Keyset::open(snapshot.vault(), &entry, &sealed));
                let keyset = match opened {
                    Some(keyset) => keyset,
                    // Changed or gone since the walk: asked anew.
                    None => keyset_of(&snapshot, subject, handle)?,
                };
                if !keyset.is_empty() {
                    out.row(handle.as_bytes(), &keyset)?;
                    copied += 1;
                }
            }
            if let Some(job) = out.place.job {
                job.progress(copied, Some(people));
            }
        }
    }
    Ok(copied)
}

/// The people whose handles lie in this part of all handles.
fn collect(
    engine: &Engine,
    out: &Sections<'_>,
    pass: u32,
    passes: u32,
    people: u64,
) -> Result<Zeroizing<Vec<Known>>, BackupError> {
    let expected = usize::try_from(people / u64::from(passes)).unwrap_or(BACKUP_SORT_PEOPLE_MAX);
    let mut known: Zeroizing<Vec<Known>> =
        Zeroizing::new(Vec::with_capacity(expected + expected / 8 + 1024));
    let mut from = Some([0; 16]);
    while let Some(tag) = from {
        out.place.check()?;
        let snapshot = engine.snapshot()?;
        let (entries, next) = snapshot.walk_people(tag, SWEEP_LEAVES_MAX)?;
        for (subject, entry) in entries {
            if share_of(&entry.handle, passes) != pass {
                continue;
            }
            if known.len() == known.capacity() {
                // Vec would leave the old copy of the keys behind.
                let mut more: Vec<Known> = Vec::with_capacity(known.capacity() * 2);
                more.extend_from_slice(&known);
                known = Zeroizing::new(more);
            }
            let mut person = [0; 64];
            person[..16].copy_from_slice(entry.handle.as_bytes());
            person[16..32].copy_from_slice(subject.as_bytes());
            person[32..].copy_from_slice(entry.kek.expose());
            known.push(person);
            zeroize::Zeroize::zeroize(&mut person);
        }
        from = next;
    }
    Ok(known)
}

/// Which of `shares` equal parts of all handles this one lies in.
pub(super) fn share_of(handle: &RowHandle, shares: u32) -> u32 {
    let bytes = handle.as_bytes();
    let head = u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    u32::try_from((head * u64::from(shares)) >> 32).expect("below `shares`")
}

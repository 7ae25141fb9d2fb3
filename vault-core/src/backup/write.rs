//! Makes a backup of a vault that goes on being read and written.
//!
//! First everything is copied, table by table in key order, in slices that each take a snapshot of their
//! own: no reader stays for long, so that freed pages are used again. Meanwhile the writer notes what it
//! changes. Then rounds: what changed since the one before is copied again, until little did. The last
//! round, the end of the log and the running state come from one snapshot, so that the whole is the vault
//! as it was at that moment.
//!
//! The manifest is written last. Whatever ends this early leaves objects that nobody takes for a backup.

use std::io::Write as _;
use std::sync::Arc;

use age::stream::StreamWriter;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::BackupError;
use super::format::{Pipe, Place, TOUCHED, header, push};
use super::keys::{PartKey, Recipients};
use super::manifest::{Head, KeyPart, KeysOf, Manifest, Object, hash_text};
use super::read::{OpenSource, Source};
use super::target::{self, Target};
use crate::commit::{Engine, Snapshot, Touched, View};
use crate::crypto::{Secret, sha256};
use crate::id::{BackupId, RowHandle, SubjectId, VaultId};
use crate::jobs::Job;
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::keys::system::SystemKeys;
use crate::limits::{
    BACKUP_ATTEMPTS_MAX, BACKUP_LAST_PEOPLE_MAX, BACKUP_OBJECT_BYTES_MAX, BACKUP_ROUNDS_MAX,
    BACKUP_SLICE_BYTES, BACKUP_SORT_PEOPLE_MAX, SWEEP_LEAVES_MAX,
};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, Scan, Table};

/// Tables of the data part whose keys begin with a row handle.
pub(super) const PEOPLE_TABLES: [Table; 7] = [
    Table::Records,
    Table::RecordMeta,
    Table::Subjects,
    Table::Consents,
    Table::Sessions,
    Table::Blobs,
    Table::Answers,
];
/// Tables that belong to nobody and may be long: copied first, then what changed of them.
const LONG_TABLES: [Table; 3] = [Table::Tombstones, Table::Receipts, Table::Ledger];
/// Tables that are short against what a backup copies, taken whole from the last snapshot.
const LAST_TABLES: [Table; 5] = [
    Table::Policies,
    Table::ApiKeys,
    Table::Tree,
    Table::Checkpoints,
    Table::Backups,
];
/// The key of the row that is copied of the table of single rows.
const STATE_ROW: &[u8] = b"state";
/// The key of the system keyset in a key part.
pub(super) const SYSTEM_KEY: &[u8] = b"system";

/// Which parts are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// Both.
    #[default]
    Both,
    /// What opens nothing.
    Data,
    /// What opens everything.
    Keys,
}

/// What a backup is to be.
pub struct Options {
    /// Which parts.
    pub parts: Parts,
    /// Who may open the key part.
    pub recipients: Recipients,
    /// When the key part is to be deleted.
    pub keys_expire: Timestamp,
}

/// Where what is written goes, and how far it is.
pub(super) struct Destination<'a> {
    pub(super) target: &'a Arc<dyn Target>,
    pub(super) backup: BackupId,
    pub(super) job: Option<&'a Job>,
}

impl Destination<'_> {
    fn name(&self, object: &str) -> String {
        format!("{}/{object}", self.backup)
    }

    pub(super) fn check(&self) -> Result<(), BackupError> {
        match self.job.is_some_and(Job::cancelled) {
            true => Err(BackupError::Cancelled),
            false => Ok(()),
        }
    }
}

/// Makes a backup: everything that there is when it ends.
///
/// # Errors
///
/// See [`BackupError`]; there is no backup then, and what was written of it is deleted as far as the
/// target lets it be. With the manifest comes the SHA-256 of its file.
pub fn write(
    engine: &Engine,
    target: &Arc<dyn Target>,
    backup: BackupId,
    options: &Options,
    job: Option<&Job>,
) -> Result<(Manifest, [u8; 32]), BackupError> {
    let place = Destination {
        target,
        backup,
        job,
    };
    let mut result = Err(BackupError::Busy {
        attempts: BACKUP_ATTEMPTS_MAX,
    });
    for _ in 0..BACKUP_ATTEMPTS_MAX {
        result = attempt(engine, &place, options);
        if result.is_ok() {
            return result;
        }
        clear(&**target, &backup.to_string());
        if !matches!(result, Err(BackupError::Busy { .. })) {
            break;
        }
    }
    result
}

/// Deletes what there is of a backup without a manifest; what cannot be deleted stays, and is no backup.
pub(crate) fn clear(target: &dyn Target, backup: &str) {
    for (name, _) in target.objects(backup).unwrap_or_default() {
        let _ = target.delete(&format!("{backup}/{name}"));
    }
    let _ = target.forget(backup);
}

fn attempt(
    engine: &Engine,
    place: &Destination<'_>,
    options: &Options,
) -> Result<(Manifest, [u8; 32]), BackupError> {
    let watching = engine.watch()?;
    let first = engine.snapshot()?;
    let vault = first.vault();
    let started_at = first.now();
    let (people, ledger_position) = (first.state().people, first.state().ledger);
    drop(first);
    let mut data = (options.parts != Parts::Keys).then(|| Sections::data(place, vault));
    let part = PartKey::generate();
    let mut keys = match options.parts {
        Parts::Data => None,
        Parts::Both | Parts::Keys => Some(Sections::keys(place, vault, &part, 0)),
    };
    let mut audit_from = KeyRange::all();
    if let Some(data) = &mut data {
        for table in LONG_TABLES.into_iter().chain(PEOPLE_TABLES) {
            data.begin(0, table.number())?;
            let mut range = KeyRange::all();
            copy_all(engine, data, table, &mut range)?;
        }
        data.begin(0, Table::Audit.number())?;
        copy_all(engine, data, Table::Audit, &mut audit_from)?;
    }
    let mut keys_of = 0;
    if let Some(keys) = &mut keys {
        keys.begin(0, Table::Keysets.number())?;
        keys_of = copy_keys(engine, keys, people)?;
    }
    let mut round = 0;
    let last = loop {
        round += 1;
        let (touched, snapshot) = watching.drain()?;
        if touched.overflown {
            return Err(BackupError::Busy { attempts: 0 });
        }
        let last = round >= BACKUP_ROUNDS_MAX || touched.len() <= BACKUP_LAST_PEOPLE_MAX;
        let mut view = Slices {
            engine,
            held: Some(snapshot),
            // The last round and what follows are of one moment.
            renewed: !last,
            bytes: 0,
        };
        if let Some(data) = &mut data {
            copy_touched(&mut view, data, round, &touched)?;
        }
        if let Some(keys) = &mut keys {
            copy_touched_keys(&mut view, keys, round, &touched)?;
        }
        if last {
            break view.held.ok_or(Refusal::Internal("a snapshot was lost"))?;
        }
        place.check()?;
    };
    if let Some(data) = &mut data {
        data.begin(round, Table::Audit.number())?;
        data.scan(&last, Table::Audit, &audit_from, u64::MAX)?;
        for table in LAST_TABLES {
            data.begin(round, table.number())?;
            data.scan(&last, table, &KeyRange::all(), u64::MAX)?;
        }
        data.begin(round, Table::System.number())?;
        let state = last.tx().get(Table::System, STATE_ROW)?;
        let state = state.ok_or(Refusal::Internal("the state is missing"))?;
        data.row(STATE_ROW, &state)?;
    }
    if let Some(keys) = &mut keys {
        keys.begin(0, Table::System.number())?;
        keys.row(SYSTEM_KEY, &row::encode(&last.system().for_backup()))?;
    }
    let objects = data.map(Sections::finish).transpose()?.unwrap_or_default();
    let keys = match keys {
        Some(keys) => {
            let objects = keys.finish()?;
            let made = KeyPart {
                registered: place.backup,
                made_at: last.now(),
                expires_at: Some(options.keys_expire),
                keys_of: KeysOf::Backup,
                people: keys_of,
                heads: write_heads(place, &options.recipients, &part, 0)?,
                objects,
            };
            Some(made)
        }
        None => None,
    };
    let mut manifest = Manifest {
        version: Manifest::version(),
        vault,
        backup: place.backup,
        started_at,
        finished_at: last.now(),
        epoch: last.epoch(),
        policy_version: last.state().policy_version,
        people: last.state().people,
        log_entries: last.state().audit_next,
        ledger_position,
        objects,
        keys,
        signature: String::new(),
    };
    if let Some(keys) = &mut manifest.keys {
        keys.people = manifest.people;
    }
    manifest.sign(&last.system().signing);
    drop(last);
    place.check()?;
    let at = place.target.place();
    let sha256 = manifest
        .write(&**place.target)
        .map_err(BackupError::io(format!("write the manifest at {at}")))?;
    Ok((manifest, sha256))
}

/// Makes a key part of today's keys for a backup that has data, and puts it into the manifest in the
/// place of the one before, whose files stay. Manifest, SHA-256 of its file, and what opens the part.
pub(crate) fn rekey(
    engine: &Engine,
    target: &Arc<dyn Target>,
    before: &Manifest,
    registered: BackupId,
    options: &Options,
    job: &Job,
) -> Result<(Manifest, [u8; 32], OpenPart), BackupError> {
    if before.objects.is_empty() {
        let what = format!(
            "backup {} has no data for which keys could be made",
            before.backup
        );
        return Err(BackupError::NotFound(what));
    }
    let place = Destination {
        target,
        backup: before.backup,
        job: Some(job),
    };
    let first = engine.snapshot()?;
    let key = crate::audit::checkpoint::VerifierKey::of(first.vault(), &first.system().signing);
    if !before.signed_by(&key) {
        let what = "this vault has not signed it: it was changed, or is another vault's";
        return Err(BackupError::damaged(before.object("manifest.json"), what));
    }
    let people = first.state().people;
    drop(first);
    let number = next_number(before);
    let part = PartKey::generate();
    let mut keys = Sections::keys(&place, before.vault, &part, number);
    keys.begin(0, Table::Keysets.number())?;
    let copied = copy_keys(engine, &mut keys, people)?;
    let last = engine.snapshot()?;
    let system = last.system().for_backup();
    keys.begin(0, Table::System.number())?;
    keys.row(SYSTEM_KEY, &row::encode(&system))?;
    let objects = keys.finish()?;
    let mut manifest = before.clone();
    manifest.keys = Some(KeyPart {
        registered,
        made_at: last.now(),
        expires_at: Some(options.keys_expire),
        keys_of: KeysOf::Later,
        people: copied,
        heads: write_heads(&place, &options.recipients, &part, number)?,
        objects,
    });
    manifest.sign(&last.system().signing);
    drop(last);
    let sha256 = manifest.write(&**target).map_err(BackupError::io(format!(
        "write the manifest at {}",
        target.place()
    )))?;
    Ok((manifest, sha256, OpenPart { part, system }))
}

/// What opens a key part that was just made.
pub(crate) struct OpenPart {
    part: PartKey,
    system: SystemKeys,
}

/// What the new key part of a backup brings back.
pub(crate) fn count(
    target: &Arc<dyn Target>,
    manifest: Manifest,
    OpenPart { part, system }: OpenPart,
    tell: super::verify::Tell<'_>,
) -> Result<super::Counts, BackupError> {
    let source = Source {
        target: target.clone(),
        manifest,
    };
    super::verify::envelopes(&OpenSource::new(source, part, system), None, tell)
}

/// The first number that no file of the key part has.
fn next_number(manifest: &Manifest) -> u32 {
    let number = |name: &str| {
        let digits = name.trim_end_matches(".age").rsplit('-').next()?;
        digits.parse::<u32>().ok()
    };
    let keys = manifest.keys.iter();
    let names = keys.flat_map(|keys| {
        let heads = keys.heads.iter().map(|head| head.name.as_str());
        heads.chain(keys.objects.iter().map(|object| object.name.as_str()))
    });
    names.filter_map(number).max().map_or(0, |last| last + 1)
}

fn deleting(name: &str) -> impl FnOnce(std::io::Error) -> BackupError {
    BackupError::io(format!("delete {name}"))
}

/// Deletes one object and asks whether it is gone.
fn delete_verified(target: &dyn Target, name: &str) -> Result<(), BackupError> {
    target.delete(name).map_err(deleting(name))?;
    match target.exists(name) {
        Ok(false) => Ok(()),
        Ok(true) => Err(deleting(name)(std::io::Error::other(
            "it was deleted, and is still there",
        ))),
        Err(error) => Err(deleting(name)(error)),
    }
}

/// Deletes the files of a key part; how many, each verified gone.
pub(crate) fn delete_keys(
    target: &dyn Target,
    manifest: &Manifest,
    keys: &KeyPart,
) -> Result<u64, BackupError> {
    let heads = keys.heads.iter().map(|head| &head.name);
    let mut count = 0;
    for name in heads.chain(keys.objects.iter().map(|object| &object.name)) {
        delete_verified(target, &manifest.object(name))?;
        count += 1;
    }
    Ok(count)
}

/// Deletes what a key part left that was not finished: files of keys that the manifest does not name.
/// Whether none is left.
pub(crate) fn clear_new_keys(target: &dyn Target, manifest: &Manifest) -> bool {
    let backup = manifest.backup.to_string();
    // The manifest may have been replaced just before whatever failed.
    let Ok(now) = Manifest::read(target, &backup) else {
        return false;
    };
    let named = |name: &str| {
        let keys = now.keys.iter();
        keys.clone()
            .any(|k| k.heads.iter().any(|head| head.name == name))
            || keys
                .clone()
                .any(|k| k.objects.iter().any(|o| o.name == name))
    };
    let Ok(objects) = target.objects(&backup) else {
        return false;
    };
    let stray = objects
        .iter()
        .filter(|(name, _)| name.starts_with("keys-") && !named(name));
    let mut all = now == *manifest;
    for (name, _) in stray {
        all &= delete_verified(target, &manifest.object(name)).is_ok();
    }
    all
}

/// Writes the manifest without its key part, so that it stays true when that is deleted.
pub(crate) fn without_keys(
    target: &dyn Target,
    manifest: &Manifest,
    seed: &Secret<32>,
) -> Result<(), BackupError> {
    let mut manifest = manifest.clone();
    manifest.keys = None;
    manifest.sign(seed);
    let written = manifest.write(target);
    written.map_err(BackupError::io("write a manifest"))?;
    Ok(())
}

/// Deletes a backup: the manifest first, so that what is left of it is no backup.
pub(crate) fn delete(target: &dyn Target, manifest: &Manifest) -> Result<(), BackupError> {
    delete_verified(target, &manifest.object(super::manifest::MANIFEST))?;
    clear_all(target, &manifest.backup.to_string())
}

/// Deletes everything under the name of a backup, and asks whether it is gone.
pub(crate) fn clear_all(target: &dyn Target, backup: &str) -> Result<(), BackupError> {
    let objects = target.objects(backup).map_err(deleting(backup))?;
    for (name, _) in objects {
        delete_verified(target, &format!("{backup}/{name}"))?;
    }
    target.forget(backup).map_err(deleting(backup))
}

/// Writes the short files that open a key part, the first of which has this number.
pub(super) fn write_heads(
    place: &Destination<'_>,
    recipients: &Recipients,
    part: &PartKey,
    first: u32,
) -> Result<Vec<Head>, BackupError> {
    let mut heads = Vec::new();
    for (number, (kind, bytes)) in (first..).zip(recipients.heads(part)?) {
        let name = format!("keys-head-{number:03}.age");
        let full = place.name(&name);
        target::put(&**place.target, &full, &bytes)
            .map_err(BackupError::io(format!("write {full}")))?;
        heads.push(Head {
            name,
            kind,
            bytes: bytes.len() as u64,
            sha256: hash_text(&sha256(&[&bytes])),
        });
    }
    Ok(heads)
}

/// Copies a table in slices, from where `range` begins; afterwards it begins behind the last row.
fn copy_all(
    engine: &Engine,
    out: &mut Sections<'_>,
    table: Table,
    range: &mut KeyRange,
) -> Result<(), BackupError> {
    loop {
        out.place.check()?;
        let snapshot = engine.snapshot()?;
        let last = out.scan(&snapshot, table, range, BACKUP_SLICE_BYTES)?;
        match last {
            Ended::All(last) => {
                if let Some(key) = last {
                    range.go_on(Direction::Ascending, &key);
                }
                return Ok(());
            }
            Ended::At(key) => range.go_on(Direction::Ascending, &key),
        }
    }
}

/// Where a slice ended.
enum Ended {
    /// At the end of the range; the last row, if there was any.
    All(Option<Vec<u8>>),
    /// Behind this row, because the slice was full.
    At(Vec<u8>),
}

/// Snapshots of a round: one for all of it, or one after another.
struct Slices<'e> {
    engine: &'e Engine,
    held: Option<Snapshot>,
    renewed: bool,
    bytes: u64,
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

fn copy_touched(
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

fn copy_touched_keys(
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
                let payload = [&person[32..], &person[..16]].concat();
                let payload = Zeroizing::new(<[u8; 48]>::try_from(payload).expect("48"));
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

/// How an object's frames reach the target.
enum Out {
    Plain(Pipe),
    Sealed(Box<StreamWriter<Pipe>>),
}

struct Current {
    name: String,
    place: Place,
    out: Out,
    rows: u64,
    /// Bytes of frames.
    bytes: u64,
}

/// Writes sections of frames as objects.
pub(super) struct Sections<'a> {
    place: &'a Destination<'a>,
    vault: VaultId,
    part: Option<&'a PartKey>,
    round: u32,
    table: u8,
    next_part: u32,
    current: Option<Current>,
    objects: Vec<Object>,
    next_name: u32,
    frame: Zeroizing<Vec<u8>>,
    bytes: u64,
}

impl<'a> Sections<'a> {
    fn data(place: &'a Destination<'a>, vault: VaultId) -> Self {
        Self {
            place,
            vault,
            part: None,
            round: 0,
            table: 0,
            next_part: 0,
            current: None,
            objects: Vec::new(),
            next_name: 0,
            frame: Zeroizing::default(),
            bytes: 0,
        }
    }

    /// Of a key part, whose files are numbered from `first`.
    pub(super) fn keys(
        place: &'a Destination<'a>,
        vault: VaultId,
        part: &'a PartKey,
        first: u32,
    ) -> Self {
        Self {
            part: Some(part),
            next_name: first,
            ..Self::data(place, vault)
        }
    }

    /// Ends the section before, and begins another. One without rows has no object.
    pub(super) fn begin(&mut self, round: u32, table: u8) -> Result<(), BackupError> {
        self.end_object()?;
        self.round = round;
        self.table = table;
        self.next_part = 0;
        Ok(())
    }

    /// Bytes of all frames so far.
    fn written(&self) -> u64 {
        self.bytes
    }

    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        if self.current.is_none() {
            self.current = Some(self.begin_object()?);
        }
        let current = self.current.as_mut().expect("just begun");
        let length = (6 + key.len() + value.len()) as u64;
        let written = match &mut current.out {
            Out::Plain(pipe) => {
                push(pipe.block(), key, value);
                pipe.pass_on()
            }
            Out::Sealed(writer) => {
                self.frame.clear();
                push(&mut self.frame, key, value);
                writer.write_all(&self.frame)
            }
        };
        if let Err(error) = written {
            let name = self.place.name(&current.name);
            return Err(BackupError::io(format!("write {name}"))(error));
        }
        current.rows += 1;
        current.bytes += length;
        self.bytes += length;
        if current.bytes + 64 >= BACKUP_OBJECT_BYTES_MAX - (2 << 20) {
            self.end_object()?;
        }
        Ok(())
    }

    /// Copies rows of a range until it ends, or `limit` bytes were copied.
    fn scan(
        &mut self,
        snapshot: &Snapshot,
        table: Table,
        range: &KeyRange,
        limit: u64,
    ) -> Result<Ended, BackupError> {
        let mut last: Option<Vec<u8>> = None;
        let (mut bytes, mut failure) = (0, None);
        snapshot.tx().scan(table, range, &mut |key, value| {
            if let Err(error) = self.row(key, value) {
                failure = Some(error);
                return Scan::Enough;
            }
            let last = last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
            bytes += (key.len() + value.len()) as u64;
            match bytes >= limit {
                true => Scan::Enough,
                false => Scan::More,
            }
        })?;
        match (failure, last) {
            (Some(error), _) => Err(error),
            (None, Some(key)) if bytes >= limit => Ok(Ended::At(key)),
            (None, last) => Ok(Ended::All(last)),
        }
    }

    fn begin_object(&mut self) -> Result<Current, BackupError> {
        let place = Place {
            round: self.round,
            table: self.table,
            part: self.next_part,
        };
        let name = match self.part {
            None => format!("data-{:05}", self.next_name),
            Some(_) => format!("keys-{:03}.age", self.next_name),
        };
        let full = self.place.name(&name);
        let header = header(self.vault, self.place.backup, place);
        let begun = (|| {
            let mut pipe = Pipe::begin(self.place.target, &full)?;
            Ok(match self.part {
                None => {
                    pipe.write_all(&header)?;
                    Out::Plain(pipe)
                }
                Some(part) => {
                    let mut writer = part.seal_to(pipe)?;
                    writer.write_all(&header)?;
                    Out::Sealed(Box::new(writer))
                }
            })
        })();
        let out = begun.map_err(BackupError::io(format!(
            "write {full} at {}",
            self.place.target.place()
        )))?;
        self.next_part += 1;
        self.next_name += 1;
        Ok(Current {
            name,
            place,
            out,
            rows: 0,
            bytes: 0,
        })
    }

    fn end_object(&mut self) -> Result<(), BackupError> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let written = match current.out {
            Out::Plain(pipe) => pipe.finish(),
            Out::Sealed(writer) => writer.finish().and_then(Pipe::finish),
        };
        let full = self.place.name(&current.name);
        let written = written.map_err(BackupError::io(format!("finish {full}")))?;
        self.objects.push(Object {
            name: current.name,
            round: current.place.round,
            table: current.place.table,
            part: current.place.part,
            rows: current.rows,
            bytes: written.bytes,
            sha256: hash_text(&written.sha256),
        });
        Ok(())
    }

    /// Ends the last section: the objects, all on the medium.
    pub(super) fn finish(mut self) -> Result<Vec<Object>, BackupError> {
        self.end_object()?;
        Ok(self.objects)
    }
}

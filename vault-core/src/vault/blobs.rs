//! Blobs: uploads and downloads that are decided anew with every megabyte.
//!
//! An upload commits its chunks a few at a time; whether they belong to anybody is decided by the
//! last commit, which puts the key into the field. A download holds neither key nor snapshot between
//! two slices, so that it ends when the person is erased or takes consent back.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::call::{Context, Noted, READ_TRIES, current};
use super::values::{check_revision, etag, final_by};
use super::{Call, Vault, Written, input};
use crate::blob::{self, Blob, BlobId, BlobKey, Home, Part, Sealer};
use crate::commit::{Snapshot, Txn, View};
use crate::consent;
use crate::decision::{self, WriteGrant};
use crate::entropy::OsEntropy;
use crate::id::{RecordId, SubjectId};
use crate::limits::{
    BLOB_CHUNKS_REMOVED_MAX, SWEEP_COMMITS_MAX, SWEEP_ROWS_MAX, UPLOAD_FREE_BYTES_MIN, UPLOADS_MAX,
    UPLOADS_PER_PERSON_MAX,
};
use crate::person::Person;
use crate::policy::{BlobRule, Collection, CollectionKind, Field, Policy};
use crate::record::{self, Patch, Stored};
use crate::refusal::Refusal;
use crate::schema::MediaType;
use crate::session;
use crate::store::{Direction, KeyRange, Table};

/// Which blob.
#[derive(Clone, Debug)]
pub struct BlobPlace {
    /// Whose.
    pub subject: SubjectId,
    /// The collection's name.
    pub collection: String,
    /// The record; `None` for the one of a `single` collection.
    pub record: Option<RecordId>,
    /// The field's name.
    pub field: String,
}

/// What a finished upload leaves.
#[derive(Clone, Debug)]
pub struct BlobWritten {
    /// The record's revision, without quotes.
    pub etag: String,
    /// Bytes of content.
    pub size: u64,
    /// Until when a blob that was replaced is gone from freed pages as well.
    pub final_by: Option<Timestamp>,
}

/// What is looked at: the log says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The content.
    Content,
    /// Size and media type.
    Head,
}

impl Look {
    const fn action(self) -> &'static str {
        match self {
            Self::Content => "blobs.read",
            Self::Head => "blobs.head",
        }
    }
}

/// The action of an upload in the log.
const WRITE: &str = "blobs.write";

impl BlobPlace {
    fn record(&self) -> RecordId {
        self.record.unwrap_or(RecordId::SINGLE)
    }

    /// Collection and field, which the policy knows and which holds blobs.
    fn find<'p>(
        &self,
        policy: &'p Policy,
    ) -> Result<(&'p Collection, &'p Field, &'p BlobRule), Refusal> {
        let collection = input::collection(policy, &self.collection)?;
        match (collection.kind, self.record) {
            (CollectionKind::Many, None) => {
                return Err(Refusal::Conflict(format!(
                    "`{}` holds many records: name one, …/blobs/{{collection}}/{{record}}/{{field}}",
                    collection.name
                )));
            }
            (CollectionKind::Single, Some(_)) => return Err(Refusal::NotFound("record")),
            _ => {}
        }
        let field = collection.field(&self.field);
        let found = field.and_then(|field| Some((collection, field, field.blob.as_ref()?)));
        found.ok_or(Refusal::NotFound("field of type blob"))
    }
}

/// Uploads under way in this process: the sweeper leaves theirs alone.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<[u8; 32], SubjectId>>);

impl Uploads {
    fn enter(&self, key: [u8; 32], subject: SubjectId) -> Result<(), Refusal> {
        let mut live = self.0.lock();
        if live.len() >= UPLOADS_MAX {
            return Err(Refusal::Overloaded);
        }
        if live.values().filter(|of| **of == subject).count() >= UPLOADS_PER_PERSON_MAX {
            return Err(Refusal::Conflict(format!(
                "{UPLOADS_PER_PERSON_MAX} uploads are under way for this person; wait for one to end"
            )));
        }
        live.insert(key, subject);
        Ok(())
    }

    fn leave(&self, key: &[u8; 32]) {
        self.0.lock().remove(key);
    }

    fn is_live(&self, key: &[u8]) -> bool {
        self.0.lock().keys().any(|live| live == key)
    }
}

/// What an upload is checked against, each time.
#[derive(Clone)]
struct Admission {
    context: Context,
    at_hand: Arc<Policy>,
    place: BlobPlace,
    media_type: MediaType,
    if_match: Option<String>,
}

/// An upload that may go on.
struct Admitted {
    person: Person,
    collection: Collection,
    field: u16,
    stored: Option<Stored>,
    grant: WriteGrant,
    schema: u32,
    bytes_max: u64,
}

impl Admission {
    /// The checks in the order that the API fixes; `size` is that of what has come, or was announced.
    fn admit(
        &self,
        view: &dyn View,
        policy: &Policy,
        noted: &mut Noted,
        size: u64,
    ) -> Result<Admitted, Refusal> {
        let (context, subject) = (&self.context, self.place.subject);
        let stated = context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
        let (collection, field, rule) = self.place.find(policy)?;
        let role = &*context.role(policy)?;
        decision::may_write_any(collection, role)?;
        context.may_reach(subject)?;
        let person = Person::load(view, subject)?;
        noted.person(&person, view.now());
        let purpose = decision::purpose(policy, role, Some(stated))?;
        let said = consent::state(view, &person, purpose.id)?;
        let grant = decision::write(collection, role, purpose, &[field], &[], said)?;
        noted.fields.push((collection.id, field.id));
        let stored = Stored::load(view, &person, collection, self.place.record())?;
        if self.place.record.is_some() && stored.is_none() {
            return Err(Refusal::NotFound("record"));
        }
        check_revision(stored.as_ref(), self.if_match.as_deref())?;
        if !rule.accepts(&self.media_type) {
            return Err(Refusal::UnsupportedMediaType(format!(
                "{}.{} accepts {rule}",
                collection.name, field.name
            )));
        }
        if size > rule.bytes_max {
            return Err(too_large(rule.bytes_max));
        }
        Ok(Admitted {
            person,
            field: field.id,
            stored,
            grant,
            schema: policy.version(),
            bytes_max: rule.bytes_max,
            collection: collection.clone(),
        })
    }

    /// The checks in a transaction, whoever calls still being known.
    fn admit_in(&self, txn: &Txn<'_>, size: u64) -> Result<Admitted, Refusal> {
        self.context.principal.check(txn)?;
        let policy = current(txn, &self.at_hand)?;
        self.admit(txn, &policy, &mut Noted::default(), size)
    }
}

fn too_large(bytes_max: u64) -> Refusal {
    Refusal::TooLarge(format!("this field takes at most {bytes_max} bytes"))
}

/// An upload under way. Dropped before [`Upload::finish`] it leaves nothing: no key of it was ever
/// stored, and its rows are deleted.
pub struct Upload {
    vault: Arc<Vault>,
    admission: Admission,
    /// `None` once it is being finished.
    sealer: Option<Sealer>,
    home: Home,
    id: BlobId,
    size: u64,
    bytes_max: u64,
    /// Whether rows of it may be there.
    begun: bool,
}

impl Upload {
    /// Takes some of the content. Blocks until what is full is committed, and so holds no more than
    /// about a megabyte.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`] as soon as there is more than the field takes, [`Refusal::DiskFull`]
    /// before an upload fills the disk, and everything that [`Vault::begin_upload`] refuses: nothing
    /// more is to be sent then.
    pub fn write(&mut self, mut content: &[u8]) -> Result<(), Refusal> {
        self.size += content.len() as u64;
        if self.size > self.bytes_max {
            return Err(self.refused(too_large(self.bytes_max)));
        }
        while let Some(part) = self.sealer.as_mut().and_then(|s| s.push(&mut content)) {
            self.commit(part)?;
        }
        Ok(())
    }

    /// Ends the content, and puts it into the field if everything still holds.
    ///
    /// # Errors
    ///
    /// Those of [`Upload::write`]; [`Refusal::PreconditionFailed`] if somebody changed the record
    /// meanwhile. The field is then as it was.
    pub fn finish(mut self) -> Result<BlobWritten, Refusal> {
        let sealer = self.sealer.take();
        let sealer = sealer.ok_or(Refusal::Internal("an upload is finished twice"))?;
        let mut padding = sealer.pad();
        while let Some(part) = padding.part() {
            self.commit(part)?;
        }
        let (part, blob) = padding.end(self.admission.media_type.clone());
        let (admission, home, id, size) =
            (self.admission.clone(), self.home, self.id, self.size);
        let call = self.admission.context.call();
        let written = self.vault.write(&call, WRITE, move |txn, policy, _, noted| {
            let mut admitted = admission.admit(txn, policy, noted, size)?;
            blob::put(txn, home.handle, id, part.first, &part.chunks)?;
            blob::complete(txn, home.handle, id)?;
            put_into_field(txn, &mut admitted, &home, &blob)
        });
        // Even where the outcome is unknown, the list says whether the rows are somebody's.
        self.begun = written.is_err();
        written
    }

    fn commit(&mut self, part: Part) -> Result<(), Refusal> {
        let room = self.vault.free_bytes();
        if room.is_some_and(|free| free < UPLOAD_FREE_BYTES_MIN) {
            return Err(self.refused(Refusal::DiskFull));
        }
        self.begun = true;
        let (admission, home, id, size) =
            (self.admission.clone(), self.home, self.id, self.size);
        let committed = self.vault.engine.submit(move |txn| {
            admission.admit_in(txn, size)?;
            blob::put(txn, home.handle, id, part.first, &part.chunks)
        });
        committed.map_err(|refusal| self.refused(refusal))
    }

    /// Leaves an entry in the log, and no work for whoever drops this.
    fn refused(&self, refusal: Refusal) -> Refusal {
        let call = self.admission.context.call();
        self.vault.note_refusal(&call, WRITE, &refusal);
        refusal
    }
}

fn put_into_field(
    txn: &mut Txn<'_>,
    admitted: &mut Admitted,
    home: &Home,
    blob: &Blob,
) -> Result<BlobWritten, Refusal> {
    let Admitted {
        person,
        collection,
        field,
        stored,
        grant,
        schema,
        bytes_max: _,
    } = admitted;
    if (home.handle, home.collection, home.field) != (person.entry.handle, collection.id, *field) {
        return Err(Refusal::Conflict(
            "the policy gives this name to another field now".into(),
        ));
    }
    let now = txn.now();
    let begin = || Stored::begin(collection, home.record, [0; 8], *schema, now);
    let stored = stored.take().unwrap_or_else(begin);
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    let outcome = record::put_blob(
        txn,
        person,
        collection,
        *schema,
        grant,
        stored,
        *field,
        blob,
        &mut budget,
    )?;
    Ok(BlobWritten {
        etag: etag(&outcome.revision),
        size: blob.size,
        final_by: outcome.replaced.then(|| final_by(now)),
    })
}

impl Drop for Upload {
    fn drop(&mut self) {
        let key = blob::upload_key(self.home.handle, self.id);
        let mut left = self.begun;
        while left {
            // If it cannot be done now, the sweeper does it, or the next opening.
            let cleared = self.vault.engine.submit(move |txn| blob::clear(txn, &key));
            left = matches!(cleared, Ok(false));
        }
        self.vault.uploads.leave(&key);
    }
}

/// A reader who has come as far as the blob.
struct Found {
    home: Home,
    blob: Blob,
    etag: String,
}

fn find(
    snapshot: &Snapshot,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    place: &BlobPlace,
) -> Result<Found, Refusal> {
    let stated = context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
    let (collection, field, _) = place.find(policy)?;
    let role = &*context.role(policy)?;
    decision::may_read_any(collection, role)?;
    context.may_reach(place.subject)?;
    let person = Person::load(snapshot, place.subject)?;
    noted.person(&person, snapshot.now());
    let purpose = decision::purpose(policy, role, Some(stated))?;
    let said = consent::state(snapshot, &person, purpose.id)?;
    let grant = decision::content(collection, role, purpose, field, said)?;
    noted.fields.push((collection.id, field.id));
    let stored = Stored::load(snapshot, &person, collection, place.record())?;
    let missing = match place.record {
        Some(_) => "record",
        None => "blob",
    };
    let stored = stored.ok_or(Refusal::NotFound(missing))?;
    if !stored.serves(grant.read()) {
        return Err(Refusal::PurposeDenied(
            "the record's own purposes exclude this one".into(),
        ));
    }
    let blob = stored.content(snapshot, &person, collection.id, field.id, &grant)?;
    Ok(Found {
        home: Home {
            vault: snapshot.vault(),
            handle: person.entry.handle,
            collection: collection.id,
            record: stored.id,
            field: field.id,
        },
        blob: blob.ok_or(Refusal::NotFound("blob"))?,
        etag: etag(&stored.row.revision),
    })
}

/// A download under way: what was decided at its beginning, and nothing that opens anything.
pub struct Download {
    vault: Arc<Vault>,
    context: Context,
    place: BlobPlace,
    id: BlobId,
    etag: String,
    size: u64,
    media_type: MediaType,
}

impl Download {
    /// The record's revision, without quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Bytes of content.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the content is, in the words of whoever sent it.
    #[must_use]
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The content from `from` up to `to` at most, about a megabyte of it: the caller goes on from
    /// there. Everything is checked again in a snapshot of its own; this is no new entry in the log
    /// and no new call of a session, except that a refusal leaves its entry.
    ///
    /// # Errors
    ///
    /// Everything that [`Vault::open_blob`] refuses; [`Refusal::Conflict`] if another content stands
    /// there now.
    pub fn read(&self, from: u64, to: u64) -> Result<Vec<u8>, Refusal> {
        let (vault, subject) = (&self.vault, self.place.subject);
        for _ in 0..READ_TRIES {
            let ticket = vault.engine.revocation().ticket(Some(subject));
            let content = self.slice(from, to).inspect_err(|refusal| {
                let call = self.context.call();
                vault.note_refusal(&call, Look::Content.action(), refusal);
            })?;
            if let Some(_hold) = vault.engine.revocation().hold(ticket) {
                return Ok(content);
            }
        }
        Err(Refusal::Overloaded)
    }

    fn slice(&self, from: u64, to: u64) -> Result<Vec<u8>, Refusal> {
        let snapshot = self.vault.snapshot()?;
        let policy = self.vault.policy_of(&snapshot)?;
        let (context, noted) = (&self.context, &mut Noted::default());
        context.principal.check(&snapshot)?;
        let Found { home, blob, etag: _ } = find(&snapshot, &policy, context, noted, &self.place)?;
        if blob.key.id != self.id {
            return Err(Refusal::Conflict(
                "another content stands here now; read from its beginning".into(),
            ));
        }
        blob::read(&snapshot, &home, &blob, from, to)
    }
}

impl Vault {
    /// Begins to store a blob; nothing is stored yet. `length` is what the sender announces.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::NotFound`] for the field,
    /// [`Refusal::RoleDenied`], [`Refusal::NotFound`], [`Refusal::Erased`],
    /// [`Refusal::PurposeDenied`], [`Refusal::ConsentRequired`], [`Refusal::PreconditionFailed`],
    /// [`Refusal::UnsupportedMediaType`], [`Refusal::TooLarge`]; [`Refusal::Conflict`] and
    /// [`Refusal::Overloaded`] where too many uploads are under way.
    pub fn begin_upload(
        self: &Arc<Self>,
        call: &Call<'_>,
        place: BlobPlace,
        media_type: MediaType,
        length: Option<u64>,
        if_match: Option<&str>,
    ) -> Result<Upload, Refusal> {
        self.check_open()?;
        let begun = self.begin(call, place, media_type, length, if_match);
        begun.inspect_err(|refusal| self.note_refusal(call, WRITE, refusal))
    }

    fn begin(
        self: &Arc<Self>,
        call: &Call<'_>,
        place: BlobPlace,
        media_type: MediaType,
        length: Option<u64>,
        if_match: Option<&str>,
    ) -> Result<Upload, Refusal> {
        let snapshot = self.snapshot()?;
        let admission = Admission {
            context: Context::new(call),
            at_hand: self.policy_of(&snapshot)?,
            place,
            media_type,
            if_match: if_match.map(str::to_owned),
        };
        admission.context.principal.check(&snapshot)?;
        let noted = &mut Noted::default();
        let length = length.unwrap_or(0);
        let admitted = admission.admit(&snapshot, &admission.at_hand, noted, length)?;
        if let Some(scope) = admission.context.principal.scope() {
            session::could_spend(&snapshot, scope.subject, scope.session, true)?;
        }
        let home = Home {
            vault: snapshot.vault(),
            handle: admitted.person.entry.handle,
            collection: admitted.collection.id,
            record: admission.place.record(),
            field: admitted.field,
        };
        let key = BlobKey::generate(&mut OsEntropy);
        let id = key.id;
        let subject = admission.place.subject;
        self.uploads
            .enter(blob::upload_key(home.handle, id), subject)?;
        Ok(Upload {
            vault: self.clone(),
            sealer: Some(Sealer::new(key, &home)),
            bytes_max: admitted.bytes_max,
            admission,
            home,
            id,
            size: 0,
            begun: false,
        })
    }

    /// Opens a blob for reading; the log has its entry, and a session has spent a read, before this
    /// returns.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::NotFound`] for the field,
    /// [`Refusal::RoleDenied`], [`Refusal::NotFound`], [`Refusal::Erased`],
    /// [`Refusal::PurposeDenied`], [`Refusal::ConsentRequired`]; [`Refusal::NotFound`] where nothing
    /// is stored.
    pub fn open_blob(
        self: &Arc<Self>,
        call: &Call<'_>,
        place: BlobPlace,
        look: Look,
    ) -> Result<Download, Refusal> {
        let subject = Some(place.subject);
        let found = self.read(
            call,
            look.action(),
            subject,
            |snapshot, policy, context, noted| find(snapshot, policy, context, noted, &place),
            |Found { home: _, blob, etag }| (blob.key.id, blob.size, blob.media_type, etag),
        );
        let (id, size, media_type, etag) = found?;
        Ok(Download {
            vault: self.clone(),
            context: Context::new(call),
            place,
            id,
            etag,
            size,
            media_type,
        })
    }

    /// Removes a blob from its field.
    ///
    /// # Errors
    ///
    /// As for [`Vault::begin_upload`], but for consent, media type and size; [`Refusal::NotFound`]
    /// where nothing is stored.
    pub fn delete_blob(
        &self,
        call: &Call<'_>,
        place: BlobPlace,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let if_match = if_match.map(str::to_owned);
        self.write(call, "blobs.delete", move |txn, policy, context, noted| {
            let stated = context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
            let (collection, field, _) = place.find(policy)?;
            let role = &*context.role(policy)?;
            decision::may_write_any(collection, role)?;
            context.may_reach(place.subject)?;
            let mut person = Person::load(txn, place.subject)?;
            noted.person(&person, txn.now());
            let purpose = decision::purpose(policy, role, Some(stated))?;
            let grant = decision::write(collection, role, purpose, &[], &[field], None)?;
            noted.fields.push((collection.id, field.id));
            let stored = Stored::load(txn, &person, collection, place.record())?;
            let stored = stored.filter(|stored| stored.holds(field.id));
            let stored = stored.ok_or(Refusal::NotFound("blob"))?;
            check_revision(Some(&stored), if_match.as_deref())?;
            let patch = Patch {
                fields: vec![(field.id, None)],
                meta: None,
                occurred_at: None,
            };
            let outcome = record::change(
                txn,
                &mut person,
                collection,
                policy.version(),
                &grant,
                place.record(),
                Some(stored),
                &patch,
            )?;
            Ok(Written {
                record: place.record,
                etag: etag(&outcome.revision),
                final_by: Some(final_by(txn.now())),
            })
        })
    }

    /// Deletes the rows of uploads that ended without an answer, and what removals left; whether any
    /// remain. Bounded.
    pub(super) fn sweep_uploads(&self) -> Result<bool, Refusal> {
        let snapshot = self.snapshot()?;
        let all = KeyRange::all();
        let listed = snapshot
            .tx()
            .keys(Table::Uploads, &all, Direction::Ascending, SWEEP_ROWS_MAX)?;
        drop(snapshot);
        let mut commits = 0..SWEEP_COMMITS_MAX;
        // An upload enters before its first row is committed: what is listed and not live has ended.
        for key in listed.into_iter().filter(|key| !self.uploads.is_live(key)) {
            let mut done = false;
            while !done {
                if commits.next().is_none() {
                    return Ok(true);
                }
                let key = key.clone();
                done = self.engine.submit(move |txn| blob::clear(txn, &key))?;
            }
        }
        Ok(false)
    }

    /// Room on the disk of the vault; `None` where the file system does not say.
    fn free_bytes(&self) -> Option<u64> {
        let status = rustix::fs::statvfs(&self.paths.dir).ok()?;
        Some(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

//! Uploads: checked before the first byte, with every part, and at the end.
//!
//! The key of an upload is in memory until its last commit, which puts it into the field: whatever
//! breaks before leaves chunks that nothing opens, and a row that says so.

use std::sync::Arc;

use jiff::Timestamp;

use super::{BlobPlace, Call, Vault};
use crate::blob::{self, Blob, BlobId, BlobKey, Home, Part, Sealer};
use crate::commit::{Txn, View};
use crate::decision::{self, WriteGrant};
use crate::entropy::OsEntropy;
use crate::limits::{BLOB_CHUNKS_REMOVED_MAX, UPLOAD_FREE_BYTES_MIN};
use crate::outbox;
use crate::person::Person;
use crate::policy::{Collection, Policy};
use crate::record::{self, Stored};
use crate::refusal::Refusal;
use crate::schema::MediaType;
use crate::session;
use crate::vault::call::{Context, Ground, Noted, current};
use crate::vault::reads::etag;
use crate::vault::writes::{check_revision, final_by};

/// The action of an upload in the log.
const WRITE: &str = "blobs.write";

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
        context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
        let (collection, field, rule) = self.place.find(policy)?;
        let role = &*context.role(policy)?;
        decision::may_write_any(collection, role)?;
        context.corrects(policy)?;
        let person = context.person(view, subject)?;
        noted.person(&person, view.now());
        let ground = context.ground_to_change(view, policy, role, &person, collection)?;
        let Ground {
            purpose,
            standing,
            ended,
            held: _,
            term,
        } = ground.unheld(collection)?;
        let grant = decision::write(collection, role, purpose, &[field], &[], &standing)?;
        decision::takes_more(purpose, term.as_ref())?;
        context.gate(view, policy, &person)?;
        noted.fields.push((collection.id, field.id));
        let stored = Stored::load(view, &person, collection, self.place.record(), ended)?;
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
        let (admission, home, id, size) = (self.admission.clone(), self.home, self.id, self.size);
        let call = self.admission.context.call();
        let written = self
            .vault
            .write(&call, WRITE, move |txn, policy, context, noted| {
                let mut admitted = admission.admit(txn, policy, noted, size)?;
                blob::put(txn, home.handle, id, part.first, &part.chunks)?;
                blob::complete(txn, home.handle, id)?;
                let written = put_into_field(txn, &mut admitted, &home, &blob)?;
                context.note_act(txn, policy, &mut admitted.person)?;
                Ok(written)
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
        let (admission, home, id, size) = (self.admission.clone(), self.home, self.id, self.size);
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
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    let outcome = record::put_blob(
        txn,
        person,
        collection,
        *schema,
        grant,
        stored.take(),
        home.record,
        *field,
        blob,
        &mut budget,
    )?;
    if outcome.replaced {
        outbox::corrected(txn, person, collection.id, &[*field])?;
    }
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
        let subject = place.subject;
        let begun = self.begin(call, place, media_type, length, if_match);
        let outcome = begun.as_ref().err().map_or("ok", Refusal::code);
        if let Some(met) = self.met(Some(subject), WRITE, outcome) {
            self.alarm(&Context::new(call), met);
        }
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

    /// Room on the disk of the vault; `None` where the file system does not say.
    fn free_bytes(&self) -> Option<u64> {
        let status = rustix::fs::statvfs(&self.paths.dir).ok()?;
        Some(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

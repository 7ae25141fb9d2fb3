//! Downloads: decided once with an entry in the log, and again with every slice.

use std::sync::Arc;

use super::{BlobPlace, Call, Vault};
use crate::blob::{self, Blob, BlobId, Home};
use crate::commit::{Snapshot, View};
use crate::decision;
use crate::policy::Policy;
use crate::record::Stored;
use crate::refusal::Refusal;
use crate::schema::MediaType;
use crate::vault::call::{Context, Ground, Noted, READ_TRIES};
use crate::vault::reads::etag;

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
    context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
    let (collection, field, _) = place.find(policy)?;
    let role = &*context.role(policy)?;
    decision::may_read_any(collection, role)?;
    let person = context.remains(snapshot, place.subject)?;
    noted.person(&person, snapshot.now());
    let Ground {
        purpose,
        standing,
        ended,
        term,
        held: _,
    } = context.ground(snapshot, policy, role, &person, collection)?;
    let grant = decision::content(collection, role, purpose, field, &standing)?.within(term);
    noted.fields.push((collection.id, field.id));
    let stored = Stored::load(snapshot, &person, collection, place.record(), ended)?;
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
    if stored.is_over(grant.read(), field.id) {
        return Err(Refusal::NotFound("blob"));
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
        let Found {
            home,
            blob,
            etag: _,
        } = find(&snapshot, &policy, context, noted, &self.place)?;
        if blob.key.id != self.id {
            return Err(Refusal::Conflict(
                "another content stands here now; read from its beginning".into(),
            ));
        }
        blob::read(&snapshot, &home, &blob, from, to)
    }
}

impl Vault {
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
            |Found {
                 home: _,
                 blob,
                 etag,
             }| (blob.key.id, blob.size, blob.media_type, etag),
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
}

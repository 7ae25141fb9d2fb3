//! Reads of records.
//!
//! Each is a function of a view, the policy in force there and the call, so that it runs alone or
//! together with others over one view. Holds nothing back by itself: whoever runs it takes values
//! out only after the last check.

use std::collections::BTreeMap;

use serde_json::Map;

use super::call::{Context, Ground, Noted};
use super::corrections::{self, Correction};
use super::guard::Memory;
use super::views::{
    ListOptions, MetaView, Order, Part, ReadOptions, RecordPage, RecordView, Withheld,
};
use super::{Call, Vault, cursor, input};
use crate::commit::View;
use crate::crypto::sha256;
use crate::decision::{self, ReadGrant};
use crate::id::{RecordId, SubjectId};
use crate::limits::PAGE_RECORDS_MAX;
use crate::person::{Person, instant};
use crate::policy::{Collection, CollectionKind, Policy, View as Sight};
use crate::record::{self, Ended, Seen, Stored};
use crate::refusal::Refusal;
use crate::store::Direction;

pub(super) fn etag(revision: &record::Revision) -> String {
    data_encoding::BASE64URL_NOPAD.encode(revision)
}

pub(super) fn of_kind(
    policy: &Policy,
    name: &str,
    kind: CollectionKind,
) -> Result<Collection, Refusal> {
    let collection = input::collection(policy, name)?;
    if collection.kind == kind {
        return Ok(collection.clone());
    }
    Err(Refusal::Conflict(match kind {
        CollectionKind::Single => format!("`{name}` holds many records: name one, or append"),
        CollectionKind::Many => format!("`{name}` holds one record a person: PATCH it"),
    }))
}

/// A reader who has come as far as the record.
struct Reader {
    person: Person,
    collection: Collection,
    grant: ReadGrant,
    withheld: Vec<Withheld>,
    ended: Ended,
    /// What the person corrected of what is held; nothing of others.
    corrections: Vec<Correction>,
}

impl Reader {
    fn new(
        view: &dyn View,
        policy: &Policy,
        context: &Context,
        noted: &mut Noted,
        subject: SubjectId,
        collection: Collection,
        options: &ReadOptions,
    ) -> Result<Self, Refusal> {
        context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
        let role = &*context.role(policy)?;
        decision::may_read_any(&collection, role)?;
        let person = context.remains(view, subject)?;
        noted.person(&person, view.now());
        let Ground {
            purpose,
            standing,
            ended,
            term,
            held: _,
        } = context.ground(view, policy, role, &person, &collection)?;
        let named = input::named(&collection, options.fields.as_deref())?;
        let named = named.as_deref();
        let grant = decision::read(&collection, role, purpose, named, &standing)?.within(term);
        noted.fields = grant.fields().map(|field| (collection.id, field)).collect();
        let withheld = grant.withheld().iter().filter_map(|(field, code)| {
            let field = collection.field_by_id(*field)?.name.clone();
            Some(Withheld { field, code })
        });
        let corrections = match standing.holds(collection.id) {
            true => corrections::waiting(view, &person)?,
            false => Vec::new(),
        };
        Ok(Self {
            corrections,
            withheld: withheld.collect(),
            person,
            grant,
            collection,
            ended,
        })
    }

    fn view(
        &self,
        view: &dyn View,
        policy: &Policy,
        stored: &Stored,
        part: Part,
    ) -> Result<RecordView, Refusal> {
        let mut withheld = self.withheld.clone();
        let mut seen = BTreeMap::new();
        if !stored.serves(&self.grant) {
            withheld.extend(self.grant.fields().filter_map(|field| {
                let field = self.collection.field_by_id(field)?.name.clone();
                Some(Withheld {
                    field,
                    code: "purpose_denied",
                })
            }));
        } else if part == Part::Fields {
            seen = stored.see(view, &self.person, &self.collection, &self.grant)?;
        }
        let (mut fields, mut masked_names) = (Map::new(), Vec::new());
        for field in &self.collection.fields {
            if let Some(Seen { value, masked }) = seen.remove(&field.id) {
                if masked {
                    masked_names.push(field.name.clone());
                }
                fields.insert(field.name.clone(), value);
            }
        }
        let sees = |field: u16| part == Part::Fields && self.grant.sight(field) == Sight::Full;
        let own = self.corrections.iter();
        let own = own.filter(|one| one.is_of(&self.collection, stored.id));
        let corrections = own.filter_map(|one| one.view(&self.collection, sees));
        let corrections = match stored.serves(&self.grant) {
            true => corrections.collect(),
            false => Vec::new(),
        };
        let meta = &stored.row.meta;
        let names = meta
            .purposes
            .iter()
            .filter_map(|id| policy.purpose_by_id(*id));
        Ok(RecordView {
            record: stored.id,
            created_at: instant(stored.row.created_at),
            occurred_at: stored.row.occurred_at.map(instant),
            etag: etag(&stored.row.revision),
            fields,
            masked: masked_names,
            withheld,
            meta: MetaView {
                purposes: names.map(|purpose| purpose.name.clone()).collect(),
                expires_at: meta.expires_at.map(instant),
                source: meta.source.clone(),
                shared_with: meta.shared_with.clone(),
                category: meta.category.clone(),
            },
            corrections,
        })
    }
}

/// The one record of a `single` collection, and what is withheld of it.
pub(super) fn single(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    collection: &str,
    options: &ReadOptions,
) -> Result<(Option<RecordView>, Vec<Withheld>), Refusal> {
    let collection = of_kind(policy, collection, CollectionKind::Single)?;
    let reader = Reader::new(view, policy, context, noted, subject, collection, options)?;
    let single = RecordId::SINGLE;
    let (person, collection) = (&reader.person, &reader.collection);
    let stored = Stored::load(view, person, collection, single, reader.ended)?;
    let seen = stored
        .map(|stored| reader.view(view, policy, &stored, options.part))
        .transpose()?;
    Ok((seen, reader.withheld))
}

/// One record of a `many` collection.
#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
pub(super) fn one(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    collection: &str,
    record: RecordId,
    options: &ReadOptions,
) -> Result<RecordView, Refusal> {
    let collection = of_kind(policy, collection, CollectionKind::Many)?;
    let reader = Reader::new(view, policy, context, noted, subject, collection, options)?;
    let (person, collection) = (&reader.person, &reader.collection);
    let stored = Stored::load(view, person, collection, record, reader.ended)?;
    let stored = stored.ok_or(Refusal::NotFound("record"))?;
    reader.view(view, policy, &stored, options.part)
}

/// A page of a `many` collection.
#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    memory: &Memory,
    subject: SubjectId,
    collection: &str,
    options: &ListOptions,
) -> Result<RecordPage, Refusal> {
    let collection = of_kind(policy, collection, CollectionKind::Many)?;
    let direction = match options.order {
        Order::Oldest => Direction::Ascending,
        Order::Newest => Direction::Descending,
    };
    let read = &options.read;
    let reader = Reader::new(view, policy, context, noted, subject, collection, read)?;
    // A session has the name of its maker's key, whose cursors are none of its own.
    let (token, session) = (context.principal.token(), context.principal.session());
    let query = sha256(&[
        token.as_ref().map_or(&[0; 16], |token| token.as_bytes()),
        session
            .as_ref()
            .map_or(&[0; 16], |session| session.as_bytes()),
        subject.as_bytes(),
        &reader.collection.id.to_be_bytes(),
        &[u8::from(direction == Direction::Ascending)],
        format!("{:?}", read.fields).as_bytes(),
    ]);
    let after = match &options.cursor {
        Some(cursor) => {
            let last: [u8; RecordId::BYTES] = cursor::open(memory, view, &query, cursor)?;
            RecordId::from_slice(&last)
        }
        None => None,
    };
    let limit = options.limit.clamp(1, PAGE_RECORDS_MAX);
    let (person, collection) = (&reader.person, &reader.collection);
    let (records, more) = record::list(
        view,
        person,
        collection,
        direction,
        after,
        limit,
        reader.ended,
    )?;
    let next = match (more, records.last()) {
        (true, Some(last)) => Some(cursor::sealed(memory, view, &query, last.id.as_bytes())),
        _ => None,
    };
    let views: Result<Vec<RecordView>, Refusal> = records
        .iter()
        .map(|stored| reader.view(view, policy, stored, read.part))
        .collect();
    Ok(RecordPage {
        records: views?,
        next,
    })
}

impl Vault {
    /// Which kind a collection is.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Locked`].
    pub fn collection_kind(&self, collection: &str) -> Result<CollectionKind, Refusal> {
        let policy = self.policy_of(&self.snapshot()?)?;
        Ok(input::collection(&policy, collection)?.kind)
    }

    /// Reads the one record of a `single` collection. `hand_over` gets `None` if nothing is stored,
    /// and runs while nothing can be acknowledged as revoked: take the values out there, and
    /// nothing slow.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::RoleDenied`], [`Refusal::NotFound`],
    /// [`Refusal::Erased`], [`Refusal::PurposeDenied`], [`Refusal::ConsentRequired`],
    /// [`Refusal::Invalid`].
    pub fn read_single<R>(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        options: &ReadOptions,
        hand_over: impl FnOnce(Option<&RecordView>, &[Withheld]) -> R,
    ) -> Result<R, Refusal> {
        self.read(
            call,
            "records.read",
            Some(subject),
            |snapshot, policy, context, noted| {
                single(
                    snapshot, policy, context, noted, subject, collection, options,
                )
            },
            |(view, withheld)| hand_over(view.as_ref(), &withheld),
        )
    }

    /// Reads one record of a `many` collection.
    ///
    /// # Errors
    ///
    /// As for [`Vault::read_single`]; [`Refusal::NotFound`] also for the record.
    pub fn read_record<R>(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        options: &ReadOptions,
        hand_over: impl FnOnce(&RecordView) -> R,
    ) -> Result<R, Refusal> {
        self.read(
            call,
            "records.read",
            Some(subject),
            |snapshot, policy, context, noted| {
                one(
                    snapshot, policy, context, noted, subject, collection, record, options,
                )
            },
            |view| hand_over(&view),
        )
    }

    /// Lists records of a `many` collection.
    ///
    /// # Errors
    ///
    /// As for [`Vault::read_single`]; [`Refusal::Invalid`] for a cursor that is over or belongs to
    /// another list.
    pub fn list<R>(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        options: &ListOptions,
        hand_over: impl FnOnce(&RecordPage) -> R,
    ) -> Result<R, Refusal> {
        self.read(
            call,
            "records.list",
            Some(subject),
            |snapshot, policy, context, noted| {
                let memory = &self.memory;
                list(
                    snapshot, policy, context, noted, memory, subject, collection, options,
                )
            },
            |page| hand_over(&page),
        )
    }
}

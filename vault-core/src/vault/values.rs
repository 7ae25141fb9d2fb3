//! Calls that move values.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::call::{Context, Noted};
use super::{Call, Vault, input};
use crate::clock::hour_of;
use crate::commit::{Snapshot, Txn, View};
use crate::consent;
use crate::crypto::{Location, seal, sha256, unseal};
use crate::decision::{self, ReadGrant};
use crate::id::{RecordId, SubjectId};
use crate::limits::{APPEND_RECORDS_MAX, FINAL_WITHIN_HOURS, PAGE_RECORDS_MAX};
use crate::person::{Person, instant};
use crate::policy::{Collection, CollectionKind, Policy};
use crate::record::{self, Outcome, Seen, Stored};
use crate::refusal::Refusal;
use crate::schema::Test;
use crate::store::Direction;

/// One record as this caller may see it. No `Debug`: it holds values.
pub struct RecordView {
    /// Its id.
    pub record: RecordId,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it happened, if the bot said.
    pub occurred_at: Option<Timestamp>,
    /// Its revision, without quotes.
    pub etag: String,
    /// Values, some of them masked.
    pub fields: Map<String, Value>,
    /// Names of those that are masked.
    pub masked: Vec<String>,
    /// Fields that are not shown, and why; says nothing of whether they are stored.
    pub withheld: Vec<Withheld>,
    /// What is known beside the values.
    pub meta: MetaView,
}

/// A field that is not shown.
#[derive(Clone, Debug)]
pub struct Withheld {
    /// Its name.
    pub field: String,
    /// The code of the refusal.
    pub code: &'static str,
}

/// A record's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetaView {
    /// What the record may be used for, if that is less than the policy allows.
    pub purposes: Vec<String>,
    /// When it ends, if set for it alone.
    pub expires_at: Option<Timestamp>,
    /// Where it came from.
    pub source: Option<String>,
    /// Recipients who have it.
    pub shared_with: Vec<String>,
    /// A category of the controller's.
    pub category: Option<String>,
}

/// Which part of a record a read is to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Values and metadata.
    #[default]
    Fields,
    /// Metadata alone.
    MetaOnly,
}

/// What a read is to show.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Fields by name; all that may be seen, if absent.
    pub fields: Option<Vec<String>>,
    /// Values or metadata.
    pub part: Part,
}

/// Which records come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were stored.
    #[default]
    Oldest,
    /// The other way round.
    Newest,
}

/// What a list is to show.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// Of each record.
    pub read: ReadOptions,
    /// 1 to 1,000 records.
    pub limit: usize,
    /// Which first.
    pub order: Order,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of a list.
pub struct RecordPage {
    /// The records.
    pub records: Vec<RecordView>,
    /// Leads to the next page for an hour; `None` on the last.
    pub next: Option<String>,
}

/// What a write leaves.
#[derive(Clone, Debug)]
pub struct Written {
    /// The record; `None` for the one of a `single` collection.
    pub record: Option<RecordId>,
    /// Its revision, without quotes; empty for one that is gone.
    pub etag: String,
    /// Until when a value that was replaced or removed is gone from freed pages as well.
    pub final_by: Option<Timestamp>,
}

fn etag(revision: &record::Revision) -> String {
    BASE64URL_NOPAD.encode(revision)
}

fn written(outcome: &Outcome, now: Timestamp) -> Written {
    let single = outcome.id == RecordId::SINGLE;
    Written {
        record: (!single).then_some(outcome.id),
        etag: etag(&outcome.revision),
        final_by: outcome.replaced.then(|| final_by(now)),
    }
}

fn final_by(now: Timestamp) -> Timestamp {
    now + jiff::SignedDuration::from_hours(FINAL_WITHIN_HOURS)
}

fn check_revision(stored: Option<&Stored>, if_match: Option<&str>) -> Result<(), Refusal> {
    let matches = match (if_match, stored) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some("*"), Some(_)) => true,
        (Some(wanted), Some(stored)) => etag(&stored.row.revision) == wanted,
    };
    if matches {
        Ok(())
    } else {
        Err(Refusal::PreconditionFailed)
    }
}

fn of_kind(policy: &Policy, name: &str, kind: CollectionKind) -> Result<Collection, Refusal> {
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
}

impl Reader {
    fn new(
        snapshot: &Snapshot,
        policy: &Policy,
        context: &Context,
        noted: &mut Noted,
        subject: SubjectId,
        collection: Collection,
        options: &ReadOptions,
    ) -> Result<Self, Refusal> {
        let stated = context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
        let role = &*context.role(policy)?;
        decision::may_read_any(&collection, role)?;
        context.may_reach(subject)?;
        let person = Person::load(snapshot, subject)?;
        noted.person(&person, snapshot.now());
        let purpose = decision::purpose(policy, role, Some(stated))?;
        let said = consent::state(snapshot, &person, purpose.id)?;
        let named = input::named(&collection, options.fields.as_deref())?;
        let grant = decision::read(&collection, role, purpose, named.as_deref(), said)?;
        noted.fields = grant.fields().map(|field| (collection.id, field)).collect();
        let withheld = grant.withheld().iter().filter_map(|(field, code)| {
            let field = collection.field_by_id(*field)?.name.clone();
            Some(Withheld { field, code })
        });
        Ok(Self {
            withheld: withheld.collect(),
            person,
            grant,
            collection,
        })
    }

    fn view(
        &self,
        snapshot: &Snapshot,
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
            seen = stored.see(snapshot, &self.person, &self.collection, &self.grant)?;
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
        })
    }
}

/// A writer who has been let in, with what is to be written.
struct Writer<'p> {
    person: Person,
    body: input::Body<'p>,
    grant: decision::WriteGrant,
}

/// The checks of a write up to purpose and basis, in the order that the API fixes.
#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
fn writer<'p>(
    txn: &Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    collection: &'p Collection,
    body: Map<String, Value>,
    base: &str,
) -> Result<Writer<'p>, Refusal> {
    let stated = context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
    let role = &*context.role(policy)?;
    decision::may_write_any(collection, role)?;
    context.may_reach(subject)?;
    let person = Person::load(txn, subject)?;
    noted.person(&person, txn.now());
    let purpose = decision::purpose(policy, role, Some(stated))?;
    let said = consent::state(txn, &person, purpose.id)?;
    let body = input::body(policy, collection, body, base);
    let grant = decision::write(collection, role, purpose, &body.set, &body.removed, said)?;
    let fields = body.set.iter().chain(&body.removed);
    noted
        .fields
        .extend(fields.map(|field| (collection.id, field.id)));
    Ok(Writer {
        person,
        body,
        grant,
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

    /// Sets and removes fields of the one record of a `single` collection (RFC 7396).
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::RoleDenied`], [`Refusal::NotFound`],
    /// [`Refusal::Erased`], [`Refusal::PurposeDenied`], [`Refusal::ConsentRequired`],
    /// [`Refusal::PreconditionFailed`], [`Refusal::Invalid`]; and those of every write.
    pub fn patch_single(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let kind = CollectionKind::Single;
        self.patch(
            call,
            subject,
            collection,
            kind,
            RecordId::SINGLE,
            body,
            if_match,
        )
    }

    /// Sets and removes fields of one record of a `many` collection.
    ///
    /// # Errors
    ///
    /// As for [`Vault::patch_single`]; [`Refusal::NotFound`] also for the record.
    pub fn patch_record(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let kind = CollectionKind::Many;
        self.patch(call, subject, collection, kind, record, body, if_match)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
    fn patch(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        kind: CollectionKind,
        record: RecordId,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let name = collection.to_owned();
        let if_match = if_match.map(str::to_owned);
        self.write(call, "records.patch", move |txn, policy, context, noted| {
            let collection = of_kind(policy, &name, kind)?;
            let Writer {
                mut person,
                body,
                grant,
            } = writer(
                txn,
                policy,
                context,
                noted,
                subject,
                &collection,
                body.clone(),
                "",
            )?;
            let stored = Stored::load(txn, &person, &collection, record)?;
            if kind == CollectionKind::Many && stored.is_none() {
                return Err(Refusal::NotFound("record"));
            }
            check_revision(stored.as_ref(), if_match.as_deref())?;
            if !body.errors.is_empty() {
                return Err(Refusal::Invalid(body.errors));
            }
            let outcome = record::change(
                txn,
                &mut person,
                &collection,
                policy.version(),
                &grant,
                record,
                stored,
                &body.patch,
            )?;
            Ok(written(&outcome, txn.now()))
        })
    }

    /// Appends records to a `many` collection: all of them or none.
    ///
    /// # Errors
    ///
    /// As for [`Vault::patch_single`]; [`Refusal::TooLarge`] for more than 1,000.
    pub fn append(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        bodies: Vec<Map<String, Value>>,
    ) -> Result<Vec<RecordId>, Refusal> {
        if bodies.is_empty() || bodies.len() > APPEND_RECORDS_MAX {
            let detail = format!("1 to {APPEND_RECORDS_MAX} records in one call");
            return Err(Refusal::TooLarge(detail));
        }
        let name = collection.to_owned();
        self.write(
            call,
            "records.append",
            move |txn, policy, context, noted| {
                let collection = of_kind(policy, &name, CollectionKind::Many)?;
                let mut errors = Vec::new();
                let mut ready = Vec::new();
                for (index, body) in bodies.iter().enumerate() {
                    let base = if bodies.len() == 1 {
                        String::new()
                    } else {
                        format!("/{index}")
                    };
                    let writer = writer(
                        txn,
                        policy,
                        context,
                        noted,
                        subject,
                        &collection,
                        body.clone(),
                        &base,
                    )?;
                    errors.extend(writer.body.errors.clone());
                    ready.push(writer);
                }
                if !errors.is_empty() {
                    return Err(Refusal::Invalid(errors));
                }
                noted.fields.sort_unstable();
                noted.fields.dedup();
                let mut ids = Vec::new();
                // One person, whose keyset may gain a key with the first of the records.
                let mut ready = ready.into_iter();
                let Some(Writer {
                    mut person,
                    body,
                    grant,
                }) = ready.next()
                else {
                    return Ok(ids);
                };
                let version = policy.version();
                for (body, grant) in std::iter::once((body, grant))
                    .chain(ready.map(|writer| (writer.body, writer.grant)))
                {
                    let patch = &body.patch;
                    let outcome =
                        record::append(txn, &mut person, &collection, version, &grant, patch)?;
                    ids.push(outcome.id);
                }
                Ok(ids)
            },
        )
    }

    /// Deletes one record, or the one of a `single` collection.
    ///
    /// # Errors
    ///
    /// As for [`Vault::patch_single`]; [`Refusal::RoleDenied`] unless the role may write every
    /// field of it.
    pub fn delete_record(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let name = collection.to_owned();
        let if_match = if_match.map(str::to_owned);
        self.write(
            call,
            "records.delete",
            move |txn, policy, context, noted| {
                let collection = input::collection(policy, &name)?.clone();
                let Writer { mut person, .. } = writer(
                    txn,
                    policy,
                    context,
                    noted,
                    subject,
                    &collection,
                    Map::new(),
                    "",
                )?;
                let role = context.role(policy)?;
                let all = collection
                    .fields
                    .iter()
                    .all(|f| role.may_write(collection.id, f.id));
                if !all {
                    return Err(Refusal::RoleDenied(format!(
                        "deleting needs leave to write every field of `{name}`"
                    )));
                }
                let stored = Stored::load(txn, &person, &collection, record)?;
                let stored = stored.ok_or(Refusal::NotFound("record"))?;
                check_revision(Some(&stored), if_match.as_deref())?;
                record::remove(txn, &mut person, &collection, &stored)?;
                Ok(Written {
                    record: (record != RecordId::SINGLE).then_some(record),
                    etag: String::new(),
                    final_by: Some(final_by(txn.now())),
                })
            },
        )
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
                let collection = of_kind(policy, collection, CollectionKind::Single)?;
                let reader = Reader::new(
                    snapshot, policy, context, noted, subject, collection, options,
                )?;
                let stored = Stored::load(
                    snapshot,
                    &reader.person,
                    &reader.collection,
                    RecordId::SINGLE,
                )?;
                let view = stored
                    .map(|stored| reader.view(snapshot, policy, &stored, options.part))
                    .transpose()?;
                Ok((view, reader.withheld))
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
                let collection = of_kind(policy, collection, CollectionKind::Many)?;
                let reader = Reader::new(
                    snapshot, policy, context, noted, subject, collection, options,
                )?;
                let stored = Stored::load(snapshot, &reader.person, &reader.collection, record)?;
                let stored = stored.ok_or(Refusal::NotFound("record"))?;
                reader.view(snapshot, policy, &stored, options.part)
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
                let collection = of_kind(policy, collection, CollectionKind::Many)?;
                let direction = match options.order {
                    Order::Oldest => Direction::Ascending,
                    Order::Newest => Direction::Descending,
                };
                let reader = Reader::new(
                    snapshot,
                    policy,
                    context,
                    noted,
                    subject,
                    collection,
                    &options.read,
                )?;
                let query = sha256(&[
                    context
                        .principal
                        .token()
                        .as_ref()
                        .map_or(&[], |token| token.as_bytes()),
                    subject.as_bytes(),
                    &reader.collection.id.to_be_bytes(),
                    &[u8::from(direction == Direction::Ascending)],
                    format!("{:?}", options.read.fields).as_bytes(),
                ]);
                let after = match &options.cursor {
                    Some(cursor) => Some(self.open_cursor(snapshot, &query, cursor)?),
                    None => None,
                };
                let limit = options.limit.clamp(1, PAGE_RECORDS_MAX);
                let (records, more) = record::list(
                    snapshot,
                    &reader.person,
                    &reader.collection,
                    direction,
                    after,
                    limit,
                )?;
                let next = match (more, records.last()) {
                    (true, Some(last)) => Some(self.seal_cursor(snapshot, &query, last.id)),
                    _ => None,
                };
                let views: Result<Vec<RecordView>, Refusal> = records
                    .iter()
                    .map(|stored| reader.view(snapshot, policy, stored, options.read.part))
                    .collect();
                Ok(RecordPage {
                    records: views?,
                    next,
                })
            },
            |page| hand_over(&page),
        )
    }

    pub(super) fn seal_cursor(&self, view: &dyn View, query: &[u8; 32], last: RecordId) -> String {
        let mut text = last.as_bytes().to_vec();
        text.extend_from_slice(&hour_of(view.now()).to_be_bytes());
        let location = Location::row(view.vault(), CURSOR, query);
        let sealed = seal(&self.process_key, 0, &location, &text).expect("a cursor is short");
        BASE64URL_NOPAD.encode(&sealed)
    }

    pub(super) fn open_cursor(
        &self,
        view: &dyn View,
        query: &[u8; 32],
        cursor: &str,
    ) -> Result<RecordId, Refusal> {
        let location = Location::row(view.vault(), CURSOR, query);
        let opened = BASE64URL_NOPAD
            .decode(cursor.as_bytes())
            .ok()
            .and_then(|sealed| unseal(&self.process_key, &location, &sealed).ok())
            .filter(|text| text.len() == RecordId::BYTES + 4);
        let valid = opened.and_then(|text| {
            let hour = u32::from_be_bytes(text[RecordId::BYTES..].try_into().ok()?);
            let young = hour_of(view.now()).saturating_sub(hour) <= 1;
            young
                .then(|| RecordId::from_slice(&text[..RecordId::BYTES]))
                .flatten()
        });
        valid.ok_or_else(|| {
            Refusal::Invalid(vec![input::error(
                "/cursor",
                "cursor",
                "this cursor is over or belongs to another list; begin again without one",
            )])
        })
    }

    /// Answers a question about a field of a `single` collection, whose value stays here. Nothing
    /// stored answers `false`.
    ///
    /// # Errors
    ///
    /// As for [`Vault::read_single`]; [`Refusal::RateLimited`] after 50 questions about a person
    /// on one UTC day.
    pub fn ask(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        field: &str,
        test: &Value,
    ) -> Result<bool, Refusal> {
        self.read(
            call,
            "subjects.ask",
            Some(subject),
            |snapshot, policy, context, noted| {
                let stated = context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
                let role = &*context.role(policy)?;
                let (collection, field) = input::field(policy, field)?;
                let collection = of_kind(policy, &collection.name, CollectionKind::Single)?;
                let asked = test.as_object().and_then(|test| test.keys().next());
                let name = asked.map_or("", String::as_str);
                let known = field.kind.tests().iter().find(|known| **known == name);
                if !known.is_some_and(|name| role.may_ask(collection.id, field.id, name)) {
                    return Err(Refusal::RoleDenied(format!(
                        "the role `{}` may not ask this of {}.{}",
                        role.name, collection.name, field.name
                    )));
                }
                context.may_reach(subject)?;
                let person = Person::load(snapshot, subject)?;
                noted.person(&person, snapshot.now());
                noted.fields.push((collection.id, field.id));
                let purpose = decision::purpose(policy, role, Some(stated))?;
                let said = consent::state(snapshot, &person, purpose.id)?;
                let grant = decision::ask(&collection, role, purpose, field, name, said)?;
                let test = Test::parse(test).map_err(|complaint| {
                    let pointer = format!("/test{}", complaint.pointer);
                    Refusal::Invalid(vec![input::error(
                        pointer,
                        complaint.code,
                        complaint.detail,
                    )])
                })?;
                self.asks.count(subject, snapshot.now())?;
                let Some(stored) = Stored::load(snapshot, &person, &collection, RecordId::SINGLE)?
                else {
                    return Ok(false);
                };
                if !stored.serves(&grant) {
                    return Err(Refusal::PurposeDenied(
                        "the record's own purposes exclude this one".into(),
                    ));
                }
                let seen = stored.see(snapshot, &person, &collection, &grant)?;
                let today = snapshot.now().to_zoned(jiff::tz::TimeZone::UTC).date();
                let value = seen.get(&field.id);
                Ok(value.is_some_and(|seen| test.evaluate(field.kind, &seen.value, today)))
            },
            |answer| answer,
        )
    }
}

/// The number that stands for a table in the associated data of a cursor.
const CURSOR: u8 = 0x83;

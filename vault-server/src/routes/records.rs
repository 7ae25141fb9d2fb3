//! Records: one a person, or many in time order.
//!
//! Values become bytes at the vault's desk, which gives them out under the lock of its last check;
//! they are not held here before or after.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vault_core::vault::{
    CollectionKind, CorrectionView, Desk, ListOptions, MetaView, Order, Part, ReadOptions,
    RecordView, Withheld, Written,
};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::{Incoming, QueryMap};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::not_an_object;
use crate::state::App;
use crate::urls;

const PARTS: [(&str, Part); 2] = [("with", Part::Fields), ("only", Part::MetaOnly)];
const ORDERS: [(&str, Order); 2] = [("oldest", Order::Oldest), ("newest", Order::Newest)];
const LIST_DEFAULT: usize = 100;
const LIST_MAX: usize = 1000;

/// A record as this caller may see it.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordView)]
pub(crate) struct RecordBody<'a> {
    /// The record's id; none on a collection with one record a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    /// When it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When it happened, if the writer said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// Values by field; masked ones stand here too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    fields: Option<&'a Map<String, Value>>,
    /// Names of the fields whose value is masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    masked: Option<&'a [String]>,
    /// Fields that are not shown, and why; says nothing of whether they hold a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Vec<WithheldBody<'a>>>,
    /// With `meta=only`.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<MetaBody<'a>>,
    /// What the person corrected while a legal hold keeps the values as they are, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    corrections: Vec<CorrectionBody<'a>>,
}

/// A correction that stands beside the original until a legal hold ends.
#[derive(Serialize, ToSchema)]
#[schema(as = Correction)]
pub(crate) struct CorrectionBody<'a> {
    /// When the person said so.
    #[schema(format = DateTime)]
    at: String,
    /// The fields as they ought to be, of those that are shown whole.
    #[schema(value_type = Object)]
    fields: &'a Map<String, Value>,
}

impl<'a> From<&'a CorrectionView> for CorrectionBody<'a> {
    fn from(one: &'a CorrectionView) -> Self {
        Self {
            at: one.at.to_string(),
            fields: &one.fields,
        }
    }
}

/// A field that is not shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Withheld)]
pub(crate) struct WithheldBody<'a> {
    /// Name of the field.
    field: &'a str,
    /// The code that asking for it alone would get.
    code: &'static str,
}

/// What is known about a record.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordMeta)]
pub(crate) struct MetaBody<'a> {
    /// Purposes, where narrower than the policy's.
    purposes: &'a [String],
    /// When it expires.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Where it came from.
    source: Option<&'a str>,
    /// Recipients it was given to.
    shared_with: &'a [String],
    /// Its category.
    category: Option<&'a str>,
}

/// A page of records.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordPage)]
pub(crate) struct PageBody<'a> {
    /// The records, in the order asked for.
    records: Vec<RecordBody<'a>>,
    /// The cursor of the next page; null on the last.
    next: Option<&'a str>,
}

/// A record where there is one a person, a page where there are many.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordOrPage)]
#[serde(untagged)]
pub(crate) enum ReadBody<'a> {
    /// `kind = "single"`.
    Record(RecordBody<'a>),
    /// `kind = "many"`.
    Page(PageBody<'a>),
}

/// What a write left.
#[derive(Serialize, ToSchema)]
#[schema(as = Written)]
pub(crate) struct WrittenBody {
    /// The record's id; none on a collection with one record a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    /// The new revision, as in the `ETag` header but unquoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// Until when a removed or replaced value is gone for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    final_by: Option<String>,
    /// `true` with 202: the correction stands beside the original, which a legal hold keeps, and is made when that
    /// ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    beside: bool,
}

impl From<Written> for WrittenBody {
    fn from(written: Written) -> Self {
        Self {
            record: written.record.map(|record| record.to_string()),
            // What is gone has no revision.
            etag: Some(written.etag).filter(|etag| !etag.is_empty()),
            final_by: written.final_by.map(|at| at.to_string()),
            beside: written.beside,
        }
    }
}

/// Ids of what was appended: `record` for an object, `records` for an array.
#[derive(Serialize, ToSchema)]
#[schema(as = Appended)]
pub(crate) struct AppendedBody {
    /// Id of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    /// Ids of the records, in the order of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<String>>,
}

fn withheld(all: &[Withheld]) -> Vec<WithheldBody<'_>> {
    all.iter()
        .map(|one| WithheldBody {
            field: &one.field,
            code: one.code,
        })
        .collect()
}

fn meta(meta: &MetaView) -> MetaBody<'_> {
    MetaBody {
        purposes: &meta.purposes,
        expires_at: meta.expires_at.map(|at| at.to_string()),
        source: meta.source.as_deref(),
        shared_with: &meta.shared_with,
        category: meta.category.as_deref(),
    }
}

fn record_body(view: &RecordView, part: Part, kind: CollectionKind) -> RecordBody<'_> {
    let fields = part == Part::Fields;
    RecordBody {
        record: (kind == CollectionKind::Many).then(|| view.record.to_string()),
        created_at: Some(view.created_at.to_string()),
        occurred_at: view.occurred_at.map(|at| at.to_string()),
        fields: fields.then_some(&view.fields),
        masked: fields.then_some(view.masked.as_slice()),
        withheld: fields.then(|| withheld(&view.withheld)),
        meta: (part == Part::MetaOnly).then(|| meta(&view.meta)),
        corrections: view.corrections.iter().map(CorrectionBody::from).collect(),
    }
}

fn single_reply(found: Option<&RecordView>, missing: &[Withheld], part: Part) -> Reply {
    let Some(view) = found else {
        let none = Map::new();
        let empty = MetaView::default();
        let fields = part == Part::Fields;
        return Reply::json(
            200,
            &ReadBody::Record(RecordBody {
                record: None,
                created_at: None,
                occurred_at: None,
                fields: fields.then_some(&none),
                masked: fields.then_some(&[]),
                withheld: fields.then(|| withheld(missing)),
                meta: (!fields).then(|| meta(&empty)),
                corrections: Vec::new(),
            }),
        );
    };
    let mut body = record_body(view, part, CollectionKind::Single);
    body.withheld = body.withheld.map(|_| withheld(missing));
    Reply::json(200, &ReadBody::Record(body)).etag(&view.etag)
}

fn written(written: Written, kind: CollectionKind) -> Reply {
    let record = written.record.filter(|_| kind == CollectionKind::Many);
    let body = WrittenBody::from(Written { record, ..written });
    let etag = body.etag.clone();
    let status = if body.beside { 202 } else { 200 };
    let reply = Reply::json(status, &body);
    match etag {
        Some(etag) => reply.etag(&etag),
        None => reply,
    }
}

fn read_options(query: &QueryMap) -> Result<ReadOptions, Problem> {
    Ok(ReadOptions {
        fields: query.names("fields"),
        part: query.word("meta", &PARTS)?,
    })
}

fn wrong_kind(detail: &str) -> Problem {
    Problem::with_detail(Code::Conflict, detail)
}

fn object(body: Value) -> Result<Map<String, Value>, Problem> {
    match body {
        Value::Object(members) => Ok(members),
        _ => Err(not_an_object("")),
    }
}

/// Read a collection of a person
///
/// With one record a person (`kind = "single"`): a record, `{"fields": {}}` where nothing is
/// stored. With many: a page. Asking by name for a field that may not be read is 403.
#[utoipa::path(get, path = urls::RECORDS, tag = "records", operation_id = "read_records",
    params(("fields" = Option<String>, Query, description = "Names of fields, separated by commas; all readable ones by default"),
           ("meta" = Option<String>, Query, description = "`only`: what is known about the record, and no values"),
           ("limit" = Option<u32>, Query, description = "Of many: most records on the page, 1 to 1000; 100 by default"),
           ("order" = Option<String>, Query, description = "Of many: `oldest` (default) or `newest` first"),
           ("cursor" = Option<String>, Query, description = "Of many: `next` of the page before; good for an hour")),
    responses((status = 200, description = "A record, or a page of many", body = ReadBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &READ).await
}

/// Read a collection of a person.
pub(crate) static READ: Operation = Operation {
    purpose: true,
    ..Operation::reading(do_read)
};

fn do_read(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let (subject, collection) = (asked.subject(), asked.parameter("c"));
    match desk.collection_kind(collection)? {
        CollectionKind::Single => {
            let options = read_options(&asked.query(&["fields", "meta"])?)?;
            let (found, missing) = desk.read_single(subject, collection, &options)?;
            Ok(single_reply(found.as_ref(), &missing, options.part))
        }
        CollectionKind::Many => {
            let query = asked.query(&["fields", "meta", "limit", "order", "cursor"])?;
            let options = ListOptions {
                read: read_options(&query)?,
                limit: query.number("limit", 1, LIST_MAX, LIST_DEFAULT)?,
                order: query.word("order", &ORDERS)?,
                cursor: query.text("cursor").map(str::to_owned),
            };
            let part = options.read.part;
            let page = desk.list(subject, collection, &options)?;
            let records = page.records.iter();
            let records = records
                .map(|view| record_body(view, part, CollectionKind::Many))
                .collect();
            let next = page.next.as_deref();
            Ok(Reply::json(
                200,
                &ReadBody::Page(PageBody { records, next }),
            ))
        }
    }
}

/// Set fields of the one record of a person
///
/// Merge patch (RFC 7396) at its top level: a member sets a field, null removes it, others stay.
/// `_meta` narrows purposes and sets what is known about the record.
#[utoipa::path(patch, path = urls::RECORDS, tag = "records", operation_id = "patch_single",
    request_body(content((Object = "application/json"), (Object = "application/merge-patch+json"))),
    responses((status = 200, description = "Set", body = WrittenBody),
        (status = 202, description = "The person's own correction of what is held: it stands beside it", body = WrittenBody)))]
pub(crate) async fn patch(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PATCH).await
}

/// Set fields of the one record of a person.
pub(crate) static PATCH: Operation = Operation {
    purpose: true,
    ..Operation::changing(do_patch)
};

fn do_patch(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let collection = asked.parameter("c");
    if desk.collection_kind(collection)? == CollectionKind::Many {
        return Err(wrong_kind(
            "this collection holds many records: POST here appends one, PATCH on …/{record} changes one",
        ));
    }
    let body = object(asked.body.clone())?;
    let if_match = asked.if_match.as_deref();
    let answer = desk.patch_single(asked.subject(), collection, body, if_match)?;
    Ok(written(answer, CollectionKind::Single))
}

/// Append records
///
/// An object, or an array of 1 to 1000. Each may carry `occurred_at` and `_meta`. All or none.
#[utoipa::path(post, path = urls::RECORDS, tag = "records", operation_id = "append_records",
    request_body(content((Object = "application/json"))),
    responses((status = 201, description = "Appended", body = AppendedBody)))]
pub(crate) async fn append(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &APPEND).await
}

/// Append records.
pub(crate) static APPEND: Operation = Operation {
    purpose: true,
    ..Operation::changing(do_append)
};

fn do_append(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let (subject, collection) = (asked.subject(), asked.parameter("c"));
    if desk.collection_kind(collection)? == CollectionKind::Single {
        return Err(wrong_kind(
            "this collection holds one record a person: PATCH sets its fields",
        ));
    }
    let one = asked.body.is_object();
    let bodies = match asked.body.clone() {
        Value::Object(body) => vec![body],
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::Object(body) => Ok(body),
                _ => Err(not_an_object(&format!("/{index}"))),
            })
            .collect::<Result<_, _>>()?,
        _ => {
            return Err(Problem::invalid_at(
                "",
                "not_a_record",
                "an object, or an array of objects, is expected",
            ));
        }
    };
    let ids = desk.append(subject, collection, &bodies)?;
    let mut ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    if !one {
        let records = Some(ids);
        return Ok(Reply::json(
            201,
            &AppendedBody {
                record: None,
                records,
            },
        ));
    }
    let record = ids.pop();
    let location = record
        .as_ref()
        .map(|id| urls::at(urls::RECORD, &[&subject, &collection, id]));
    let records = None;
    let reply = Reply::json(201, &AppendedBody { record, records });
    Ok(match location {
        Some(location) => reply.location(location),
        None => reply,
    })
}

/// Read one record of many
#[utoipa::path(get, path = urls::RECORD, tag = "records", operation_id = "read_record",
    params(("fields" = Option<String>, Query, description = "Names of fields, separated by commas; all readable ones by default"),
           ("meta" = Option<String>, Query, description = "`only`: what is known about the record, and no values")),
    responses((status = 200, description = "The record", body = RecordBody)))]
pub(crate) async fn read_one(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &READ_ONE).await
}

/// Read one record of many.
pub(crate) static READ_ONE: Operation = Operation {
    purpose: true,
    ..Operation::reading(do_read_one)
};

fn do_read_one(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let collection = asked.parameter("c");
    only_many(desk.collection_kind(collection)?)?;
    let options = read_options(&asked.query(&["fields", "meta"])?)?;
    let view = desk.read_record(asked.subject(), collection, asked.record(), &options)?;
    let body = record_body(&view, options.part, CollectionKind::Many);
    Ok(Reply::json(200, &body).etag(&view.etag))
}

/// Set fields of one record of many
///
/// Merge patch, as for the one record of a person.
#[utoipa::path(patch, path = urls::RECORD, tag = "records", operation_id = "patch_record",
    request_body(content((Object = "application/json"), (Object = "application/merge-patch+json"))),
    responses((status = 200, description = "Set", body = WrittenBody),
        (status = 202, description = "The person's own correction of what is held: it stands beside it", body = WrittenBody)))]
pub(crate) async fn patch_one(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PATCH_ONE).await
}

/// Set fields of one record of many.
pub(crate) static PATCH_ONE: Operation = Operation {
    purpose: true,
    ..Operation::changing(do_patch_one)
};

fn do_patch_one(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let collection = asked.parameter("c");
    only_many(desk.collection_kind(collection)?)?;
    let body = object(asked.body.clone())?;
    let (record, if_match) = (asked.record(), asked.if_match.as_deref());
    let answer = desk.patch_record(asked.subject(), collection, record, body, if_match)?;
    Ok(written(answer, CollectionKind::Many))
}

/// Delete one record of many
///
/// `final_by` says until when its last trace is gone.
#[utoipa::path(delete, path = urls::RECORD, tag = "records", operation_id = "delete_record",
    responses((status = 200, description = "Deleted", body = WrittenBody)))]
pub(crate) async fn delete_one(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &DELETE_ONE).await
}

/// Delete one record of many.
pub(crate) static DELETE_ONE: Operation = Operation {
    body: false,
    ..Operation::changing(do_delete_one)
};

fn do_delete_one(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let collection = asked.parameter("c");
    only_many(desk.collection_kind(collection)?)?;
    asked.query(&[])?;
    let (record, if_match) = (asked.record(), asked.if_match.as_deref());
    let mut answer = desk.delete_record(asked.subject(), collection, record, if_match)?;
    // What is gone has no revision.
    answer.etag.clear();
    answer.record = answer.record.or(Some(record));
    Ok(written(answer, CollectionKind::Many))
}

/// A collection with one record a person has no records with ids.
fn only_many(kind: CollectionKind) -> Result<(), Problem> {
    match kind {
        CollectionKind::Many => Ok(()),
        CollectionKind::Single => Err(Problem::new(Code::NotFound)),
    }
}

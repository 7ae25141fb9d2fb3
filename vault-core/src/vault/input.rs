//! Bodies and names from outside, checked against the policy. Complaints name fields of the policy
//! and limits, never what was sent.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::limits::{INPUT_ERRORS_MAX, META_ENTRIES_MAX, META_TEXT_BYTES_MAX};
use crate::policy::{Collection, Field, Policy, nearest};
use crate::record::{META_MEMBERS, Meta, Patch, split_meta};
use crate::refusal::{InputError, Refusal};

pub(super) fn error(
    pointer: impl Into<String>,
    code: &'static str,
    detail: impl Into<String>,
) -> InputError {
    InputError {
        pointer: pointer.into(),
        code,
        detail: detail.into(),
    }
}

pub(super) fn check_text(
    errors: &mut Vec<InputError>,
    pointer: &str,
    text: &str,
    bytes_max: usize,
) {
    if text.is_empty() || text.len() > bytes_max {
        errors.push(error(pointer, "length", format!("1 to {bytes_max} bytes")));
    }
}

/// The collection of this name.
pub(super) fn collection<'p>(policy: &'p Policy, name: &str) -> Result<&'p Collection, Refusal> {
    policy
        .collection(name)
        .ok_or(Refusal::NotFound("collection"))
}

/// The ids of these collections, in order.
pub(super) fn collection_ids(
    policy: &Policy,
    names: &[String],
    errors: &mut Vec<InputError>,
) -> Vec<u16> {
    let mut ids = Vec::new();
    for (at, name) in names.iter().enumerate() {
        match policy.collection(name) {
            Some(collection) => ids.push(collection.id),
            None => errors.push(error(
                format!("/collections/{at}"),
                "unknown_collection",
                "the policy has no such collection",
            )),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The names of these collections. One that the policy has no more is told by its number: a list without it could
/// be an empty one, which stands for everything.
pub(super) fn collection_names(policy: &Policy, ids: &[u16]) -> Vec<String> {
    let names = ids.iter().map(|id| match policy.collection_by_id(*id) {
        Some(collection) => collection.name.clone(),
        None => format!("#{id}"),
    });
    names.collect()
}

/// `collection.field`, of the policy in force; by number where that has it no more.
pub(super) fn field_name(policy: &Policy, (collection, field): (u16, u16)) -> String {
    let found = policy.collection_by_id(collection);
    let found = found.and_then(|found| Some((found, found.field_by_id(field)?)));
    match found {
        Some((collection, field)) => format!("{}.{}", collection.name, field.name),
        None => format!("{collection}.{field}"),
    }
}

/// The name of a purpose, by number where the policy has it no more.
pub(super) fn purpose_name(policy: &Policy, id: u16) -> String {
    let found = policy.purpose_by_id(id);
    found.map_or_else(|| format!("#{id}"), |purpose| purpose.name.clone())
}

/// The field `collection.field`.
pub(super) fn field<'p>(
    policy: &'p Policy,
    path: &str,
) -> Result<(&'p Collection, &'p Field), Refusal> {
    let found = path.split_once('.').and_then(|(collection, field)| {
        let collection = policy.collection(collection)?;
        Some((collection, collection.field(field)?))
    });
    found.ok_or_else(|| {
        Refusal::Invalid(vec![error(
            "/field",
            "unknown_field",
            "`collection.field` of the policy",
        )])
    })
}

/// The field `collection.field`, if it can be looked up.
pub(super) fn look_up_field<'p>(
    policy: &'p Policy,
    path: &str,
) -> Result<(&'p Collection, &'p Field), Refusal> {
    let (collection, field) = field(policy, path)?;
    if field.lookup {
        return Ok((collection, field));
    }
    Err(Refusal::Invalid(vec![error(
        "/field",
        "not_indexed",
        "the policy does not give this field `lookup = true`",
    )]))
}

/// The fields that a reader names.
pub(super) fn named<'p>(
    collection: &'p Collection,
    names: Option<&[String]>,
) -> Result<Option<Vec<&'p Field>>, Refusal> {
    let Some(names) = names else { return Ok(None) };
    let fields: Option<Vec<&Field>> = names.iter().map(|name| collection.field(name)).collect();
    fields.map(Some).ok_or_else(|| {
        let detail = format!("a name is {}", unknown(collection, ""));
        Refusal::Invalid(vec![error("", "unknown_field", detail)])
    })
}

fn unknown(collection: &Collection, name: &str) -> String {
    let known: Vec<&str> = collection
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!(
            "not a field of `{}`; the nearest is `{near}`",
            collection.name
        ),
        None => format!(
            "not a field of `{}`, which has: {}",
            collection.name,
            known.join(", ")
        ),
    }
}

/// A body: what can be done with it, and everything that is wrong with it.
pub(crate) struct Body<'p> {
    pub(super) patch: Patch,
    pub(super) set: Vec<&'p Field>,
    pub(super) removed: Vec<&'p Field>,
    pub(crate) errors: Vec<InputError>,
}

/// Reads one record's body; `base` is where it stands in the whole one.
pub(crate) fn body<'p>(
    policy: &Policy,
    collection: &'p Collection,
    body: Map<String, Value>,
    base: &str,
) -> Body<'p> {
    let errors = (1..)
        .zip(body.keys())
        .filter(|(_, name)| !META_MEMBERS.contains(&name.as_str()))
        .filter(|(_, name)| collection.field(name).is_none())
        // One more than is told, so that it is told that there are more.
        .take(INPUT_ERRORS_MAX + 1)
        .map(|(place, name)| {
            // A name that is not the policy's may itself be a value: its place is counted.
            let detail = format!("member {place} is {}", unknown(collection, name));
            error(base, "unknown_field", detail)
        })
        .collect();
    let (members, meta, occurred_at) = split_meta(body);
    let mut read = Body {
        patch: Patch {
            fields: Vec::new(),
            meta: None,
            occurred_at: None,
        },
        set: Vec::new(),
        removed: Vec::new(),
        errors,
    };
    for (name, value) in members {
        let Some(field) = collection.field(&name) else {
            continue;
        };
        if value.is_null() {
            read.removed.push(field);
            read.patch.fields.push((field.id, None));
            continue;
        }
        // Every field is decided all the same: who may not write it is told that first.
        if let Err(complaint) = field.kind.check(&value)
            && read.errors.len() <= INPUT_ERRORS_MAX
        {
            let pointer = format!("{base}/{name}{}", complaint.pointer);
            read.errors
                .push(error(pointer, complaint.code, complaint.detail));
        }
        read.set.push(field);
        read.patch.fields.push((field.id, Some(value)));
    }
    if let Some(meta) = meta {
        let pointer = format!("{base}/_meta");
        let meta = read_meta(policy, collection, meta, &pointer, &mut read.errors);
        read.patch.meta = Some(meta);
    }
    if let Some(at) = occurred_at {
        let pointer = format!("{base}/occurred_at");
        read.patch.occurred_at = instant(&at, &pointer, &mut read.errors);
    }
    read
}

pub(super) fn instant(value: &Value, pointer: &str, errors: &mut Vec<InputError>) -> Option<i64> {
    let parsed = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    if parsed.is_none() {
        errors.push(error(
            pointer,
            "timestamp",
            "an RFC 3339 instant such as 2026-11-24T12:00:00Z",
        ));
    }
    parsed.map(Timestamp::as_millisecond)
}

/// Reads an object of metadata, which stands at `base`.
pub(super) fn read_meta(
    policy: &Policy,
    collection: &Collection,
    meta: Value,
    base: &str,
    errors: &mut Vec<InputError>,
) -> Meta {
    let mut read = Meta::default();
    let Value::Object(members) = meta else {
        if !meta.is_null() {
            errors.push(error(base, "type", "an object, or null to clear it"));
        }
        return read;
    };
    for (name, value) in &members {
        if errors.len() >= INPUT_ERRORS_MAX {
            break;
        }
        let pointer = format!("{base}/{name}");
        match name.as_str() {
            _ if value.is_null() => {}
            "purposes" => {
                for name in texts(value, &pointer, errors) {
                    let purpose = policy.purpose(&name).filter(|purpose| {
                        collection
                            .fields
                            .iter()
                            .any(|f| f.purposes.contains(&purpose.id))
                    });
                    match purpose {
                        Some(purpose) => read.purposes.push(purpose.id),
                        None => errors.push(error(
                            &*pointer,
                            "unknown_purpose",
                            "purposes that the policy gives a field of this collection",
                        )),
                    }
                }
            }
            "expires_at" => read.expires_at = instant(value, &pointer, errors),
            "source" => read.source = text(value, &pointer, errors),
            "category" => read.category = text(value, &pointer, errors),
            "shared_with" => {
                read.shared_with = texts(value, &pointer, errors);
                let known = |name: &String| policy.recipients().iter().any(|r| r.name == *name);
                if !read.shared_with.iter().all(known) {
                    errors.push(error(
                        &*pointer,
                        "unknown_recipient",
                        "recipients of the policy",
                    ));
                }
            }
            _ => errors.push(error(
                base,
                "unknown_member",
                "known here: purposes, expires_at, source, shared_with, category",
            )),
        }
    }
    read
}

pub(super) fn text(value: &Value, pointer: &str, errors: &mut Vec<InputError>) -> Option<String> {
    match value.as_str() {
        Some(text) if text.len() <= META_TEXT_BYTES_MAX => Some(text.into()),
        _ => {
            let detail = format!("a text of at most {META_TEXT_BYTES_MAX} bytes");
            errors.push(error(pointer, "type", detail));
            None
        }
    }
}

fn texts(value: &Value, pointer: &str, errors: &mut Vec<InputError>) -> Vec<String> {
    match value.as_array() {
        Some(items) if items.len() <= META_ENTRIES_MAX => items
            .iter()
            .filter_map(|item| text(item, pointer, errors))
            .collect(),
        _ => {
            let detail = format!("an array of at most {META_ENTRIES_MAX} texts");
            errors.push(error(pointer, "type", detail));
            Vec::new()
        }
    }
}

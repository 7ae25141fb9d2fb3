//! Conditions and changes as a caller writes them, read against the policy.
//!
//! Complaints name members and limits, never what was sent.

use serde_json::{Map, Value};

use super::super::input::{error, instant, read_meta, text};
use crate::limits::INPUT_ERRORS_MAX;
use crate::policy::{Collection, Policy, nearest};
use crate::record::{Ended, Filter, MetaPatch};
use crate::refusal::{InputError, Refusal};

const CONDITIONS: &str = "purpose, source, shared_with, category, expired, created_after, \
                          created_before, expires_before, subject";

fn object(value: &Value, pointer: &str) -> Result<Map<String, Value>, Refusal> {
    value.as_object().cloned().ok_or_else(|| {
        let detail = "an object is expected; `{}` means every record";
        Refusal::Invalid(vec![error(pointer, "not_an_object", detail)])
    })
}

/// Reads `where`. Whether records are meant that have ended, where it does not say, is the
/// caller's.
pub(super) fn filter(
    policy: &Policy,
    collection: &Collection,
    conditions: &Value,
    ended: Ended,
) -> Result<Filter, Refusal> {
    let mut filter = Filter {
        ended,
        ..Filter::default()
    };
    let mut errors = Vec::new();
    for (name, value) in object(conditions, "/where")? {
        if errors.len() >= INPUT_ERRORS_MAX {
            break;
        }
        let pointer = format!("/where/{name}");
        match name.as_str() {
            "purpose" => match value.as_str().and_then(|name| policy.purpose(name)) {
                Some(purpose) => {
                    let mut fields = collection.fields.iter();
                    let of_policy = fields.any(|field| field.purposes.contains(&purpose.id));
                    filter.purpose = Some((purpose.id, of_policy));
                }
                None => errors.push(error(
                    pointer,
                    "unknown_purpose",
                    "the name of a purpose of the policy",
                )),
            },
            "source" => filter.source = text(&value, &pointer, &mut errors),
            "shared_with" => filter.shared_with = text(&value, &pointer, &mut errors),
            "category" => filter.category = text(&value, &pointer, &mut errors),
            "expired" => match value {
                Value::Bool(true) => filter.ended = Ended::Only,
                Value::Bool(false) => filter.ended = Ended::Out,
                _ => errors.push(error(pointer, "not_a_bool", "true or false is expected")),
            },
            "created_after" => filter.created_after = instant(&value, &pointer, &mut errors),
            "created_before" => filter.created_before = instant(&value, &pointer, &mut errors),
            "expires_before" => filter.expires_before = instant(&value, &pointer, &mut errors),
            "subject" => match value.as_str().and_then(|id| id.parse().ok()) {
                Some(subject) => filter.subject = Some(subject),
                None => errors.push(error(pointer, "not_an_id", "a person's id, `sub_…`")),
            },
            _ => errors.push(unknown(collection, &name)),
        }
    }
    match errors.is_empty() {
        true => Ok(filter),
        false => Err(Refusal::Invalid(errors)),
    }
}

fn unknown(collection: &Collection, name: &str) -> InputError {
    // A name that is not the policy's may itself be a value, and is not repeated.
    match collection.field(name) {
        Some(field) => error(
            format!("/where/{}", field.name),
            "unknown_member",
            format!(
                "a field's value cannot be asked for across people; known here: {CONDITIONS}. \
                 To find one person by a value, use `POST /v1/subjects/lookup`"
            ),
        ),
        None => {
            let detail = match nearest(name, CONDITIONS.split(", ")) {
                Some(near) => format!("not known here; did you mean `{near}`?"),
                None => format!("known here: {CONDITIONS}"),
            };
            error("/where", "unknown_member", detail)
        }
    }
}

/// Reads `set`: a merge patch of metadata, whose purposes become only fewer.
pub(super) fn patch(
    policy: &Policy,
    collection: &Collection,
    set: &Value,
) -> Result<MetaPatch, Refusal> {
    let members = object(set, "/set").map_err(|_| {
        let detail = "an object of metadata is expected, such as {\"source\": \"form\"}";
        Refusal::Invalid(vec![error("/set", "not_an_object", detail)])
    })?;
    let mut errors = Vec::new();
    let there = |name: &str| members.contains_key(name);
    let (purposes, expires_at, source, shared_with, category) = (
        there("purposes"),
        there("expires_at"),
        there("source"),
        there("shared_with"),
        there("category"),
    );
    if members.is_empty() {
        errors.push(error(
            "/set",
            "empty",
            "at least one of: purposes, expires_at, source, shared_with, category",
        ));
    }
    let meta = read_meta(policy, collection, set.clone(), "/set", &mut errors);
    if purposes && meta.purposes.is_empty() && errors.is_empty() {
        errors.push(error(
            "/set/purposes",
            "widens",
            "purposes only become fewer here: name at least one",
        ));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    Ok(MetaPatch {
        purposes: purposes.then_some(meta.purposes),
        expires_at: expires_at.then_some(meta.expires_at),
        source: source.then_some(meta.source),
        shared_with: shared_with.then_some(meta.shared_with),
        category: category.then_some(meta.category),
    })
}

//! One line carried out: which purposes its fields are written for, and by which call each of its parts is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ImportLine, ImportWhat};
use crate::audit::canonical::canonical;
use crate::crypto::sha256;
use crate::id::{RecordId, SubjectId};
use crate::policy::{Collection, LawfulBasis, Policy, Role};
use crate::refusal::Refusal;
use crate::standing::{ObjectionOrigin, ObjectionState};
use crate::vault::desk::Desk;
use crate::vault::{CollectionKind, ConsentInput, RestrictionInput};

/// Which purposes a record's fields are written for, each with its part of the fields.
fn purposes<'p>(
    policy: &'p Policy,
    role: &Role,
    collection: &Collection,
    names: impl Iterator<Item = &'p String>,
) -> Vec<(String, Vec<&'p String>)> {
    let by_consent = |basis| basis == LawfulBasis::Consent;
    let fallback = policy
        .purposes()
        .iter()
        .find(|purpose| role.serves(purpose.id));
    let mut parts: Vec<(String, Vec<&String>)> = Vec::new();
    for name in names {
        let field = collection.field(name);
        let mut fitting: Vec<_> = policy
            .purposes()
            .iter()
            .filter(|purpose| {
                role.serves(purpose.id)
                    && field.is_some_and(|field| field.purposes.contains(&purpose.id))
            })
            .collect();
        fitting.sort_by_key(|purpose| by_consent(purpose.basis));
        // Where none fits, the write says so.
        let purpose = fitting.first().copied().or(fallback);
        let purpose = purpose.map_or("", |purpose| &purpose.name);
        match parts.iter_mut().find(|(known, _)| known == purpose) {
            Some((_, names)) => names.push(name),
            None => parts.push((purpose.to_owned(), vec![name])),
        }
    }
    if parts.is_empty() {
        parts.push((
            fallback.map_or_else(String::new, |one| one.name.clone()),
            Vec::new(),
        ));
    }
    parts
}

/// What each file of a line is written for.
pub(super) fn files(policy: &Policy, role: &str, line: &ImportLine) -> Vec<(String, String)> {
    let ImportWhat::Record {
        collection,
        purpose,
        files,
        ..
    } = &line.what
    else {
        return Vec::new();
    };
    let (Some(role), Some(found)) = (policy.role(role), policy.collection(collection)) else {
        return Vec::new();
    };
    let one = |field: &String| {
        let by_policy = || {
            purposes(policy, role, found, std::iter::once(field))
                .swap_remove(0)
                .0
        };
        (field.clone(), purpose.clone().unwrap_or_else(by_policy))
    };
    files.iter().map(one).collect()
}

/// A record's body in parts, each with the purpose that it is written for.
fn parts(
    policy: &Policy,
    role: &str,
    collection: &str,
    body: &Map<String, Value>,
    purpose: Option<&str>,
) -> Vec<(String, Map<String, Value>)> {
    let (Some(role), Some(found)) = (policy.role(role), policy.collection(collection)) else {
        return vec![(purpose.unwrap_or_default().to_owned(), body.clone())];
    };
    if let Some(purpose) = purpose {
        return vec![(purpose.to_owned(), body.clone())];
    }
    let (fields, meta, occurred_at) = crate::record::split_meta(body.clone());
    let split = purposes(policy, role, found, fields.keys());
    let first = std::iter::once(occurred_at).chain(std::iter::repeat(None));
    split
        .into_iter()
        .zip(first)
        .map(|((purpose, names), occurred_at)| {
            let mut part: Map<String, Value> = names
                .into_iter()
                .map(|name| (name.clone(), fields[name].clone()))
                .collect();
            part.extend(meta.clone().map(|meta| ("_meta".to_owned(), meta)));
            part.extend(occurred_at.map(|at| ("occurred_at".to_owned(), at)));
            (purpose, part)
        })
        .collect()
}

/// By the calls that an objection and its decision are made by, so that it is kept as these are.
///
/// A file tells its own history, which may be older than what was said here. So it ends, overrides and decides what a
/// file brought and nothing else: neither what the person said here, nor what the suppression list knows.
fn objection(
    desk: &mut Desk<'_, '_>,
    subject: SubjectId,
    purpose: &str,
    state: ObjectionState,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    use ObjectionState::{Ended, Overridden, Pending, Upheld};
    let all = desk.list_objections(subject)?;
    let stands = all.iter().find(|one| one.purpose == purpose);
    let last = stands.and_then(|one| one.history.last());
    let by_file = last.is_some_and(|last| last.origin == ObjectionOrigin::File);
    let stands = stands.map(|one| one.state);
    let decide = |desk: &mut Desk<'_, '_>, upheld| {
        let decided = desk.decide_objection(subject, purpose, upheld, reason.unwrap_or_default());
        decided.map(|_| ())
    };
    match (state, stands) {
        (Pending, Some(Pending | Upheld)) => Ok(()),
        (Upheld, Some(Upheld)) | (Overridden, Some(Overridden)) => Ok(()),
        (Upheld | Overridden, Some(Pending))
        | (Overridden | Ended, Some(Upheld))
        | (Ended, Some(Pending))
            if !by_file =>
        {
            Ok(())
        }
        (Upheld, Some(Pending)) => decide(desk, true),
        // What is about direct marketing is upheld as it is made; else it waits for a decision, and nothing is
        // used meanwhile.
        (Pending | Upheld, _) => desk.put_objection(subject, purpose, reason).map(|_| ()),
        (Overridden, Some(Pending)) => decide(desk, false),
        (Overridden, _) => {
            desk.put_objection(subject, purpose, None)?;
            decide(desk, false)
        }
        (Ended, Some(Pending | Upheld)) => desk.end_objection(subject, purpose).map(|_| ()),
        (Ended, _) => Ok(()),
    }
}

fn restriction(
    desk: &mut Desk<'_, '_>,
    subject: SubjectId,
    policy: &Policy,
    input: &RestrictionInput,
) -> Result<(), Refusal> {
    let mut input = input.clone();
    // Of a collection that is not here nothing is; but of none at all would be of everything.
    let known = |name: &String| policy.collection(name).is_some();
    if input.collections.iter().any(known) {
        input.collections.retain(known);
    }
    let stands = desk.read_restriction(subject)?.history.pop();
    let same = stands.is_some_and(|last| {
        let names = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        last.ground == Some(input.ground)
            && last.reason == input.reason
            && names(&last.collections) == names(&input.collections)
    });
    match same {
        true => Ok(()),
        false => desk.put_restriction(subject, &input).map(|_| ()),
    }
}

/// By the call that says it, unless it stands.
fn contract_end(
    desk: &mut Desk<'_, '_>,
    subject: SubjectId,
    purpose: &str,
    ended_at: Timestamp,
) -> Result<(), Refusal> {
    let all = desk.list_contracts(subject)?;
    let stands = all.iter().find(|one| one.purpose == purpose);
    match stands.and_then(|one| one.ended_at) == Some(ended_at) {
        true => Ok(()),
        false => desk
            .put_contract_end(subject, purpose, Some(ended_at))
            .map(|_| ()),
    }
}

pub(super) fn write(
    desk: &mut Desk<'_, '_>,
    subject: SubjectId,
    policy: &Policy,
    role: &str,
    what: &ImportWhat,
) -> Result<Option<RecordId>, Refusal> {
    match what {
        ImportWhat::Person => Ok(None),
        ImportWhat::Consent {
            purpose,
            state,
            notice,
            choice,
            message_id,
            details,
        } => {
            use crate::consent::ConsentState::{Given, Withdrawn};
            if *state == Withdrawn {
                return desk.withdraw_consent(subject, purpose).map(|_| None);
            }
            let input = ConsentInput {
                given: *state == Given,
                notice: notice.clone(),
                choice: choice.clone(),
                message_id: message_id.clone(),
                state: Some(*state),
                details: (**details).clone(),
            };
            desk.put_consent(subject, purpose, &input).map(|_| None)
        }
        ImportWhat::Objection {
            purpose,
            state,
            reason,
        } => objection(desk, subject, purpose, *state, reason.as_deref()).map(|()| None),
        ImportWhat::Restriction(input) => restriction(desk, subject, policy, input).map(|()| None),
        ImportWhat::ContractEnd { purpose, ended_at } => {
            contract_end(desk, subject, purpose, *ended_at).map(|()| None)
        }
        ImportWhat::Age {
            of_age_on,
            guardian,
        } => {
            let guardian = guardian.as_deref();
            desk.take_age(subject, *of_age_on, guardian).map(|()| None)
        }
        ImportWhat::Record {
            collection,
            body,
            purpose,
            files: _,
        } => {
            let kind = desk.collection_kind(collection)?;
            let mut made = None;
            for (purpose, part) in parts(policy, role, collection, body, purpose.as_deref()) {
                desk.state(Some(&purpose));
                match (kind, made) {
                    (CollectionKind::Single, _) => {
                        desk.patch_single(subject, collection, part, None)?;
                    }
                    (CollectionKind::Many, None) => {
                        let ids = desk.append(subject, collection, &[part])?;
                        made = ids.first().copied();
                    }
                    (CollectionKind::Many, Some(record)) => {
                        desk.patch_record(subject, collection, record, part, None)?;
                    }
                }
            }
            Ok(made)
        }
    }
}

/// Everything that a person's lines say, for the fingerprint.
pub(super) fn said(lines: &[ImportLine]) -> [u8; 32] {
    let all = lines.iter().map(|line| {
        let what = match &line.what {
            ImportWhat::Person => json!(null),
            // What its files are written for follows from these.
            ImportWhat::Record {
                collection,
                body,
                purpose,
                files: _,
            } => json!([collection, body, purpose]),
            ImportWhat::Consent {
                purpose,
                state,
                notice,
                choice,
                message_id,
                details,
            } => json!([purpose, state, notice, choice, message_id, details]),
            ImportWhat::Objection {
                purpose,
                state,
                reason,
            } => json!(["objection", purpose, state, reason]),
            ImportWhat::Restriction(input) => {
                json!([
                    "restriction",
                    input.ground.name(),
                    input.collections,
                    input.reason
                ])
            }
            ImportWhat::ContractEnd { purpose, ended_at } => {
                json!(["contract_end", purpose, ended_at.to_string()])
            }
            ImportWhat::Age {
                of_age_on,
                guardian,
            } => json!(["age", of_age_on.to_string(), guardian]),
        };
        json!([line.line, line.channel, line.user, what])
    });
    let all = Value::Array(all.collect());
    let text = canonical(&all).unwrap_or_else(|_| all.to_string().into_bytes());
    sha256(&[&text])
}

//! A batch as it was sent: its operations, and which of them belong together.
//!
//! Knows nothing of a vault. What is wrong with the form of a batch refuses it whole, before anything
//! is run; a reference that leads nowhere is its operation's own failure.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::Query;
use axum::http::Uri;
use serde_json::Value;
use vault_core::id::SubjectId;
use vault_core::limits::BATCH_OPERATIONS_MAX;

use super::allowed;
use super::reference::{self, Place, Text};
use crate::asked::{self, Asked};
use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::revision;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::shape::Shape;

/// One operation, as it was sent.
pub(super) struct Planned {
    pub(super) operation: &'static Operation,
    parameters: Vec<(String, Text)>,
    query: Option<Vec<(String, String)>>,
    purpose: Option<String>,
    if_match: Option<String>,
    body: Value,
    session_subject: Option<SubjectId>,
}

/// Whom an operation is about, as far as the batch itself says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    Person(SubjectId),
    /// Whomever this operation finds or makes.
    Of(usize),
}

/// A batch, each of whose operations has a form that is known.
pub(super) struct Plan {
    pub(super) operations: Vec<Planned>,
    whom: Vec<Whom>,
    /// Of each, those before it that it refers to.
    needs: Vec<BTreeSet<usize>>,
}

impl Plan {
    /// Reads a batch.
    ///
    /// # Errors
    ///
    /// 413 for too many operations; 422 with everything that is wrong.
    pub(super) fn read(body: Value, session_subject: Option<SubjectId>) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["operations"])?;
        let value = shape.value("operations");
        let Value::Array(items) = value else {
            if !value.is_null() {
                shape.refuse(
                    "operations",
                    "not_a_list",
                    "a list of operations is expected",
                );
            }
            return shape.finish(()).and(Err(Problem::new(Code::Internal)));
        };
        if items.len() > BATCH_OPERATIONS_MAX {
            let detail = format!("a batch has at most {BATCH_OPERATIONS_MAX} operations");
            return Err(Problem::with_detail(Code::TooLarge, detail));
        }
        if items.is_empty() {
            shape.refuse("operations", "length", "at least one operation is expected");
        }
        shape.finish(())?;
        let mut errors = Vec::new();
        let mut operations = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let at = format!("/operations/{index}");
            match Planned::read(item, session_subject) {
                Ok(planned) => operations.push(planned),
                Err(problem) => errors.extend(problem.within(&at)),
            }
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let mut plan = Self {
            operations,
            whom: Vec::new(),
            needs: Vec::new(),
        };
        for index in 0..plan.operations.len() {
            plan.whom.push(plan.whom_of(index));
            // Once: a body may be a megabyte of references, and is looked at for every group else.
            plan.needs.push(plan.refers_to(index));
        }
        Ok(plan)
    }

    fn whom_of(&self, index: usize) -> Whom {
        let planned = &self.operations[index];
        match planned.parameters.iter().find(|(name, _)| name == "s") {
            Some((_, Text::Itself(text))) => {
                Whom::Person(asked::subject(text, planned.session_subject))
            }
            Some((_, Text::Member { operation, .. })) if *operation < index => {
                self.whom[*operation].clone()
            }
            _ => Whom::Of(index),
        }
    }

    /// The operations by group, the groups in the order in which they can run: that of their first
    /// operations, but one that refers to another's results after it.
    pub(super) fn groups(&self) -> Vec<Vec<usize>> {
        let mut waiting: Vec<(&Whom, Vec<usize>)> = Vec::new();
        for (index, whom) in self.whom.iter().enumerate() {
            match waiting.iter_mut().find(|(known, _)| *known == whom) {
                Some((_, group)) => group.push(index),
                None => waiting.push((whom, vec![index])),
            }
        }
        let mut ordered: Vec<Vec<usize>> = Vec::new();
        while !waiting.is_empty() {
            let ready = waiting.iter().position(|(_, group)| {
                let needs = group.iter().flat_map(|&index| &self.needs[index]);
                let mut others = needs.filter(|needed| !group.contains(needed));
                others.all(|needed| ordered.iter().any(|done| done.contains(needed)))
            });
            // Groups that wait for each other: the first runs, and what it lacks is its failure.
            ordered.push(waiting.remove(ready.unwrap_or(0)).1);
        }
        ordered
    }

    /// The operations before this one that it refers to.
    fn refers_to(&self, index: usize) -> BTreeSet<usize> {
        let planned = &self.operations[index];
        let mut found = BTreeSet::new();
        for (_, text) in &planned.parameters {
            if let Text::Member { operation, .. } = text {
                found.insert(*operation);
            }
        }
        reference::operations(&planned.body, &mut found);
        // Those that lead nowhere are refused when they are resolved.
        found.retain(|needed| *needed < index);
        found
    }

    /// The person of a group, where a path names them.
    pub(super) fn person(&self, group: &[usize]) -> Option<SubjectId> {
        match self.whom[*group.first()?] {
            Whom::Person(subject) => Some(subject),
            Whom::Of(_) => None,
        }
    }
}

impl Planned {
    /// Reads one operation; the places of errors are relative to it.
    fn read(item: Value, session_subject: Option<SubjectId>) -> Result<Self, Problem> {
        const KNOWN: [&str; 5] = ["method", "path", "body", "purpose", "if_match"];
        let body = item.get("body").cloned().unwrap_or(Value::Null);
        let mut shape = Shape::of(item, &KNOWN)?;
        let (method, path) = (shape.text("method"), shape.text("path"));
        let purpose = shape.optional_text("purpose");
        let if_match = shape.optional_text("if_match");
        if if_match
            .as_deref()
            .is_some_and(|text| revision(text).is_none())
        {
            let detail = "one revision, as `etag` gave it, or `*`";
            shape.refuse("if_match", "revision", detail);
        }
        if purpose.as_deref().is_some_and(|text| text.len() > 255) {
            shape.refuse("purpose", "length", "at most 255 bytes");
        }
        let matched = matched(&method, &path);
        if matched.is_none() && shape.finds_no_fault() {
            shape.refuse("path", "not_in_a_batch", what_is_allowed());
        }
        if let Some((operation, ..)) = &matched {
            match (operation.body, body.is_null()) {
                (true, true) => shape.refuse("body", "missing", "this operation has a body"),
                (false, false) => {
                    shape.refuse("body", "unknown_member", "this operation has no body")
                }
                _ => {}
            }
        }
        shape.finish(())?;
        let (operation, parameters, query) = matched.ok_or(Problem::new(Code::Internal))?;
        Ok(Self {
            operation,
            parameters,
            query,
            purpose,
            if_match: if_match.as_deref().and_then(revision).map(str::to_owned),
            body,
            session_subject,
        })
    }

    /// What is asked, once the results that it refers to are there.
    ///
    /// # Errors
    ///
    /// 422 at the place of the reference, in the whole batch.
    pub(super) fn resolve<'o>(
        &self,
        own: usize,
        of: impl Fn(usize) -> Option<&'o Outcome>,
    ) -> Result<Arc<Asked>, Problem> {
        let pointer = format!("/operations/{own}/path");
        let at = Place {
            pointer: &pointer,
            number: None,
        };
        let mut parameters = Vec::new();
        for (name, text) in &self.parameters {
            let text = match text {
                Text::Itself(text) => text.clone(),
                Text::Member { operation, .. } if *operation >= own => {
                    return Err(reference::forward(at));
                }
                Text::Member {
                    operation,
                    name: member,
                } => match reference::member(at, *operation, member, &of)? {
                    Value::String(text) => text,
                    _ => {
                        let detail = format!("that member of operation {operation} is no text");
                        return Err(reference::refuse(at, detail));
                    }
                },
                Text::Neither => return Err(reference::refuse(at, reference::NEITHER)),
            };
            parameters.push((name.clone(), text));
        }
        let body = format!("/operations/{own}/body");
        Ok(Arc::new(Asked {
            purpose: self.purpose.clone(),
            if_match: self.if_match.clone(),
            body: reference::replaced(&self.body, &body, own, &of)?,
            parameters,
            query: self.query.clone(),
            session_subject: self.session_subject,
        }))
    }
}

type Matched = (
    &'static Operation,
    Vec<(String, Text)>,
    Option<Vec<(String, String)>>,
);

/// The operation that a method and a path name, among those that a batch may hold.
fn matched(method: &str, path: &str) -> Option<Matched> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    // Ids and names need no percent-encoding, so that a segment is what it says.
    if path.contains(['%', '#']) || query.contains('#') {
        return None;
    }
    let segments: Vec<&str> = path.split('/').collect();
    allowed().iter().find_map(|allowed| {
        let template: Vec<&str> = allowed.path.split('/').collect();
        if allowed.method != method || template.len() != segments.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (place, segment) in template.iter().zip(&segments) {
            let name = place
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'));
            match name {
                // As in the router, a parameter is never empty.
                Some(name) if !segment.is_empty() => {
                    parameters.push((name.to_owned(), Text::read(segment)));
                }
                _ if place == segment => {}
                _ => return None,
            }
        }
        let query = format!("/?{query}").parse::<Uri>().ok().and_then(|uri| {
            let pairs = Query::<Vec<(String, String)>>::try_from_uri(&uri).ok()?;
            Some(pairs.0)
        });
        Some((allowed.operation, parameters, query))
    })
}

fn what_is_allowed() -> String {
    let all: Vec<String> = allowed()
        .iter()
        .map(|allowed| format!("{} {}", allowed.method, allowed.path))
        .collect();
    format!("a batch may hold: {}", all.join(", "))
}

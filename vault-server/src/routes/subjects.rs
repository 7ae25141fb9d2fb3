//! People: create, find, view, erase.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{Desk, SubjectId};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::{Changes, Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// Who writes to the bot: a channel and the person's id there.
#[derive(ToSchema)]
pub(crate) struct CreateSubjectRequest {
    /// Name of the channel, such as `whatsapp`.
    channel: String,
    /// The person's id in the channel.
    user: String,
    /// What `POST /v1/notices` answered, where the notice was shown before there was a person: it is recorded for
    /// them as of then.
    notice: Option<String>,
}

impl CreateSubjectRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["channel", "user", "notice"])?;
        let request = Self {
            channel: shape.text("channel"),
            user: shape.text("user"),
            notice: shape.optional_text("notice"),
        };
        shape.finish(request)
    }
}

/// A person, known or new.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedSubject {
    /// The person's id.
    subject: String,
    /// Whether the person is new.
    created: bool,
}

/// What to find a person by: `channel` and `user`, or `field` and `value`.
#[derive(ToSchema)]
#[schema(as = LookupRequest)]
#[expect(dead_code, reason = "describes the wire; what is read is `Lookup`")]
pub(crate) struct LookupRequest {
    /// Name of the channel.
    channel: Option<String>,
    /// The person's id in the channel.
    user: Option<String>,
    /// `collection.field`, of a field with `lookup = true`.
    field: Option<String>,
    /// The value looked for.
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
}

pub(crate) enum Lookup {
    Channel(CreateSubjectRequest),
    Field(String, Value),
}

impl Lookup {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["channel", "user", "field", "value"])?;
        let by_field = shape.has("field") || shape.has("value");
        if by_field && (shape.has("channel") || shape.has("user")) {
            shape.refuse(
                "field",
                "one_of",
                "`channel` and `user`, or `field` and `value`, not both",
            );
        }
        let lookup = if by_field {
            Self::Field(shape.text("field"), shape.value("value"))
        } else {
            Self::Channel(CreateSubjectRequest {
                channel: shape.text("channel"),
                user: shape.text("user"),
                notice: None,
            })
        };
        shape.finish(lookup)
    }
}

/// A person who was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct FoundSubject {
    /// The person's id.
    subject: String,
}

impl FoundSubject {
    pub(crate) fn of(subject: SubjectId) -> Self {
        Self {
            subject: subject.to_string(),
        }
    }
}

/// A person without values.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubjectView {
    /// The person's id.
    subject: String,
    /// When the person was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// `active`, or `erasing` where a legal hold keeps the rest of somebody who is erased.
    state: &'static str,
    /// Whether processing is restricted (Art. 18).
    restricted: bool,
    /// Whether a legal hold stands.
    held: bool,
    /// What is stored, by collection.
    collections: Vec<CollectionCount>,
}

/// How many records one collection has of a person.
#[derive(Serialize, ToSchema)]
pub(crate) struct CollectionCount {
    /// Name of the collection.
    collection: String,
    /// How many.
    records: u64,
}

/// Proof of an erasure.
#[derive(Serialize, ToSchema)]
pub(crate) struct Erasure {
    /// The whole receipt; verifies offline.
    #[schema(value_type = Object)]
    receipt: Value,
}

/// Get or create the person behind a channel's user
///
/// Capability `subjects.create`; with `notice` also `notices.record`.
#[utoipa::path(post, path = urls::SUBJECTS, tag = "subjects", operation_id = "create_subject",
    request_body = CreateSubjectRequest,
    responses((status = 200, description = "Known already", body = CreatedSubject),
              (status = 201, description = "New", body = CreatedSubject)))]
pub(crate) async fn create(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &CREATE).await
}

/// Get or create a person.
pub(crate) static CREATE: Operation = Operation {
    looks_up: true,
    changes: Changes::Unless,
    ..Operation::changing(do_create)
};

fn do_create(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let read = CreateSubjectRequest::read(asked.body.clone());
    let request = parsed(desk, "subjects.create", read)?;
    let (channel, user) = (&*request.channel, &*request.user);
    let (subject, created) = match &request.notice {
        Some(delivery) => desk.create_subject_told(channel, user, delivery)?,
        None => desk.create_subject(channel, user)?,
    };
    let subject = subject.to_string();
    let location = urls::at(urls::SUBJECT, &[&subject]);
    let reply = Reply::json(
        if created { 201 } else { 200 },
        &CreatedSubject { subject, created },
    );
    Ok(if created {
        reply.location(location)
    } else {
        reply
    })
}

/// Find a person
///
/// Capability `subjects.lookup`. A value that fits several people is 409 `ambiguous`.
#[utoipa::path(post, path = urls::LOOKUP, tag = "subjects", operation_id = "lookup_subject",
    request_body = LookupRequest,
    responses((status = 200, description = "Found", body = FoundSubject)))]
pub(crate) async fn lookup(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LOOKUP).await
}

/// Find a person: decided anew each time.
pub(crate) static LOOKUP: Operation = Operation {
    body: true,
    looks_up: true,
    ..Operation::reading(do_lookup)
};

fn do_lookup(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let read = Lookup::read(asked.body.clone());
    let subject = match parsed(desk, "subjects.lookup", read)? {
        Lookup::Channel(by) => desk.lookup_channel(&by.channel, &by.user)?,
        Lookup::Field(field, value) => desk.lookup_field(&field, &value)?,
    };
    Ok(Reply::json(200, &FoundSubject::of(subject)))
}

/// State, flags, collections and counts of a person; no values
///
/// Capability `subjects.view`.
#[utoipa::path(get, path = urls::SUBJECT, tag = "subjects", operation_id = "view_subject",
    responses((status = 200, description = "The person", body = SubjectView)))]
pub(crate) async fn view(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &VIEW).await
}

/// View a person.
pub(crate) static VIEW: Operation = Operation::reading(do_view);

fn do_view(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, "subjects.view", asked.query(&[]))?;
    let view = desk.view_subject(asked.subject())?;
    Ok(Reply::json(
        200,
        &SubjectView {
            subject: view.subject.to_string(),
            created_at: view.created_at.to_string(),
            state: view.state,
            restricted: view.restricted,
            held: view.held,
            collections: view
                .collections
                .into_iter()
                .map(|count| CollectionCount {
                    collection: count.collection,
                    records: count.records,
                })
                .collect(),
        },
    ))
}

/// Erase a person, now and for good
///
/// Capability `subjects.erase`. Afterwards every call with this id is 410 `erased`.
#[utoipa::path(delete, path = urls::SUBJECT, tag = "subjects", operation_id = "erase_subject",
    responses((status = 200, description = "Erased; the proof", body = Erasure)))]
pub(crate) async fn erase(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    app.right(incoming, move |session| {
        session.parsed("subjects.erase", query)?;
        let receipt = session.vault.erase_subject(&session.call(), subject)?;
        // Before the answer: what is acknowledged as erased must not be answered from memory.
        session.app.idempotency().forget_person(subject);
        session.app.rates().forget_person(subject);
        Ok(Reply::json(200, &Erasure { receipt }))
    })
    .await
}

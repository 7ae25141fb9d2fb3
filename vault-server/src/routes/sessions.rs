//! Sessions: a token for one conversation, as `/v1/subjects/self/…`.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::SessionId;
use vault_core::vault::{Desk, SessionInput, SessionView};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// What a session is to be good for.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is `SessionInput`"
)]
pub(crate) struct SessionRequest {
    /// The one purpose of its calls; they need not state it.
    purpose: String,
    /// `collection.field` or `collection.*`, at most 64. What the role does not have is not given.
    fields: Vec<String>,
    /// Reads and questions, at most 10,000.
    #[schema(default = 0)]
    reads: Option<u32>,
    /// Writes, at most 10,000.
    #[schema(default = 0)]
    writes: Option<u32>,
    /// Seconds, at most a day.
    #[schema(default = 900)]
    expires_in: Option<u32>,
}

pub(crate) fn read(body: Value) -> Result<SessionInput, Problem> {
    let known = ["purpose", "fields", "reads", "writes", "expires_in"];
    let mut shape = Shape::of(body, &known)?;
    let input = SessionInput {
        purpose: shape.text("purpose"),
        fields: shape.texts("fields"),
        reads: shape.optional_number("reads").unwrap_or(0),
        writes: shape.optional_number("writes").unwrap_or(0),
        expires_in: shape.optional_number("expires_in").map(i64::from),
    };
    shape.finish(input)
}

/// A session as it began, with its token: the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = BegunSession)]
pub(crate) struct BegunBody {
    /// Its name, for ending it.
    session: String,
    /// `vs_…`, for `Authorization: Bearer`.
    token: String,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A session, without its token.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    /// Its name.
    session: String,
    /// The one purpose of its calls.
    purpose: String,
    /// Reads that are left.
    reads: u32,
    /// Writes that are left.
    writes: u32,
    /// When it began.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whether it can still be used.
    live: bool,
}

impl From<SessionView> for SessionBody {
    fn from(view: SessionView) -> Self {
        Self {
            session: view.session.to_string(),
            purpose: view.purpose,
            reads: view.reads,
            writes: view.writes,
            created_at: view.created_at.to_string(),
            expires_at: view.expires_at.to_string(),
            live: view.live,
        }
    }
}

/// The sessions of a person.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionList)]
pub(crate) struct ListBody {
    /// Those that are live, and some that are over.
    sessions: Vec<SessionBody>,
}

/// A session that no longer works.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedSession)]
pub(crate) struct EndedBody {
    /// Its name.
    session: String,
    /// True.
    ended: bool,
}

/// Begin a session
///
/// Capability `sessions.create`. Its token reads and writes the named fields of this person, as
/// `/v1/subjects/self/…`, and opens nothing else: what an injected prompt makes of it reaches nobody
/// else. Every call counts; one that is refused does not.
#[utoipa::path(post, path = urls::SESSIONS, tag = "sessions",
    operation_id = "begin_session", request_body = SessionRequest,
    responses((status = 201, description = "Begun", body = BegunBody)))]
pub(crate) async fn begin(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &BEGIN).await
}

/// Begin a session; its token is shown once.
pub(crate) static BEGIN: Operation = Operation {
    remember: Remember::Made,
    ..Operation::changing(do_begin)
};

fn do_begin(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, "sessions.create", read(asked.body.clone()))?;
    let begun = desk.begin_session(asked.subject(), &input)?;
    Ok(Reply::json(
        201,
        &BegunBody {
            session: begun.session.to_string(),
            token: begun.token,
            expires_at: begun.expires_at.to_string(),
        },
    ))
}

/// The sessions of a person
///
/// Capability `sessions.create`.
#[utoipa::path(get, path = urls::SESSIONS, tag = "sessions",
    operation_id = "list_sessions",
    responses((status = 200, description = "The sessions", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    app.call(incoming, move |session| {
        session.parsed("sessions.create", query)?;
        let views = session.vault.list_sessions(&session.call(), subject)?;
        let sessions = views.into_iter().map(SessionBody::from).collect();
        Ok(Reply::json(200, &ListBody { sessions }))
    })
    .await
}

/// End a session
///
/// Capability `sessions.create`. From the answer on its token opens nothing.
#[utoipa::path(delete, path = urls::SESSION, tag = "sessions",
    operation_id = "end_session",
    responses((status = 200, description = "Ended", body = EndedBody)))]
pub(crate) async fn end(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    // A text that is no id names nobody's session, as for people.
    let named = incoming.parameter("ses").parse();
    let named = named.unwrap_or(SessionId::from_bytes([0xff; 16]));
    app.call(incoming, move |session| {
        session.parsed("sessions.create", query)?;
        session.vault.end_session(&session.call(), subject, named)?;
        Ok(Reply::json(
            200,
            &EndedBody {
                session: named.to_string(),
                ended: true,
            },
        ))
    })
    .await
}

//! A bearer for whoever proves an unlock secret over the admin socket, and its end.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::{UnlockRequest, secret};
use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::App;
use crate::urls;

/// A bearer for the admin socket. Shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyholderToken)]
pub(crate) struct TokenBody {
    /// The bearer, `vh_…`; kept nowhere but in memory, as its hash.
    token: String,
    /// Until when it is good; locking ends it sooner.
    expires_at: String,
}

/// A bearer that is no more.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedKeyholder)]
pub(crate) struct EndedBody {
    /// True.
    ended: bool,
}

/// Prove an unlock secret, for a bearer of the admin socket
///
/// Over the admin socket only. The bearer is good there for ten minutes and has the role
/// `keyholder`; at most eight at a time, a ninth ends the oldest. Wrong secrets wait as at
/// `POST /v1/unlock`, with which this shares its attempts.
#[utoipa::path(post, path = urls::KEYHOLDER, tag = "state", operation_id = "begin_keyholder", security(()),
    request_body = UnlockRequest,
    responses((status = 201, description = "The bearer", body = TokenBody)))]
pub(crate) async fn begin(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    incoming.demand_socket()?;
    let secret = secret(body)?;
    let (opener, call) = (app.clone(), incoming.ticket.id);
    app.unshed(move || {
        let (token, expires_at) = opener.keyholder(&secret, call)?;
        let body = TokenBody {
            token: token.to_string(),
            expires_at: expires_at.to_string(),
        };
        Ok(Reply::json(201, &body))
    })
    .await
}

/// End the bearer that is shown
///
/// Over the admin socket only.
#[utoipa::path(delete, path = urls::KEYHOLDER, tag = "state", operation_id = "end_keyholder",
    responses((status = 200, description = "Ended", body = EndedBody)))]
pub(crate) async fn end(State(app): State<App>, incoming: Incoming) -> Outcome {
    let socket = incoming.demand_socket();
    let bearer = incoming.bearer.clone().unwrap_or_default();
    app.call(incoming, move |session| {
        socket?;
        if !session.app.keyholders().end(&bearer) {
            return Err(Problem::new(Code::NotFound));
        }
        Ok(Reply::json(200, &EndedBody { ended: true }))
    })
    .await
}

//! API keys, and retention by hand.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::TokenId;
use vault_core::vault::{Sweep, TokenView};

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// Most passes that one call makes; a pass is bounded by the vault.
const PASSES_MAX: u32 = 1000;

/// A new API key.
#[derive(ToSchema)]
#[schema(as = CreateApiKeyRequest)]
pub(crate) struct CreateKeyRequest {
    /// Name of a role.
    role: String,
    /// When it stops working; never, if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl CreateKeyRequest {
    fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["role", "expires_at"])?;
        let role = shape.text("role");
        let expires_at = shape
            .optional_text("expires_at")
            .and_then(|text| match text.parse() {
                Ok(at) => Some(at),
                Err(_) => {
                    shape.refuse(
                        "expires_at",
                        "not_an_instant",
                        "an RFC 3339 instant is expected, such as 2030-01-31T12:00:00Z",
                    );
                    None
                }
            });
        shape.finish(Self { role, expires_at })
    }
}

/// An API key without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyView)]
pub(crate) struct KeyBody {
    /// Its public name.
    token: String,
    /// Its role.
    role: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it stops working.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Whether it was revoked.
    revoked: bool,
}

impl From<TokenView> for KeyBody {
    fn from(view: TokenView) -> Self {
        Self {
            token: view.token.to_string(),
            role: view.role,
            created_at: view.created_at.to_string(),
            expires_at: view.expires_at.map(|at| at.to_string()),
            revoked: view.revoked,
        }
    }
}

/// A new API key, with its secret: the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub(crate) struct CreatedKey {
    /// The key.
    #[serde(flatten)]
    key: KeyBody,
    /// `vk_…`, for `Authorization: Bearer`.
    secret: String,
}

/// Every API key.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyList)]
pub(crate) struct KeyList {
    /// The keys, revoked ones too.
    api_keys: Vec<KeyBody>,
}

/// An API key that no longer works.
#[derive(Serialize, ToSchema)]
#[schema(as = RevokedApiKey)]
pub(crate) struct RevokedKey {
    /// Its public name.
    token: String,
    /// True.
    revoked: bool,
}

/// What a run of the sweeper did.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetentionRun {
    /// Passes that were made.
    passes: u32,
    /// Whether work remains for the next run.
    more: bool,
}

/// Every API key, without secrets
///
/// Capability `api_keys.manage`.
#[utoipa::path(get, path = urls::API_KEYS, tag = "admin", operation_id = "list_api_keys",
    responses((status = 200, description = "The keys", body = KeyList)))]
pub(crate) async fn list_keys(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        session.parsed("api_keys.manage", query)?;
        let keys = session.vault.list_tokens(&session.call())?;
        let api_keys = keys.into_iter().map(KeyBody::from).collect();
        Ok(Reply::json(200, &KeyList { api_keys }))
    })
    .await
}

/// Make an API key
///
/// Capability `api_keys.manage`. The secret is shown in this answer and never again, also not to a
/// repeated `Idempotency-Key`.
#[utoipa::path(post, path = urls::API_KEYS, tag = "admin", operation_id = "create_api_key",
    request_body = CreateKeyRequest,
    responses((status = 201, description = "Made", body = CreatedKey)))]
pub(crate) async fn create_key(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Made, None, move |session| {
        let request = session.parsed("api_keys.manage", CreateKeyRequest::read(body))?;
        let (view, secret) =
            session
                .vault
                .create_token(&session.call(), &request.role, request.expires_at)?;
        let key = KeyBody::from(view);
        let location = urls::at(urls::API_KEY, &[&key.token]);
        Ok(Reply::json(201, &CreatedKey { key, secret }).location(location))
    })
    .await
}

/// Revoke an API key
///
/// Capability `api_keys.manage`. It has stopped working when the answer arrives.
#[utoipa::path(delete, path = urls::API_KEY, tag = "admin", operation_id = "revoke_api_key",
    responses((status = 200, description = "Revoked", body = RevokedKey)))]
pub(crate) async fn revoke_key(State(app): State<App>, incoming: Incoming) -> Outcome {
    let token = incoming
        .parameter("tok")
        .parse::<TokenId>()
        .map_err(|_| Problem::new(Code::NotFound));
    app.call(incoming, move |session| {
        let token = session.parsed("api_keys.manage", token)?;
        session.vault.revoke_token(&session.call(), token)?;
        let token = token.to_string();
        Ok(Reply::json(
            200,
            &RevokedKey {
                token,
                revoked: true,
            },
        ))
    })
    .await
}

/// Drop what has expired, now
///
/// Capability `retention.run`. The server does the same by itself every minute.
#[utoipa::path(post, path = urls::RETENTION_RUN, tag = "admin", operation_id = "run_retention",
    responses((status = 200, description = "Done", body = RetentionRun)))]
pub(crate) async fn run_retention(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.post(incoming, Remember::Again, None, move |session| {
        session.vault.require(&session.call(), "retention.run")?;
        query?;
        let mut run = RetentionRun {
            passes: 0,
            more: true,
        };
        while run.more && run.passes < PASSES_MAX {
            run.more = session.vault.sweep(Sweep::All)?;
            run.passes += 1;
        }
        Ok(Reply::json(200, &run))
    })
    .await
}

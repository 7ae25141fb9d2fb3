//! API keys, and retention by hand.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::TokenId;
use vault_core::policy::Period;
use vault_core::vault::{Sweep, SweepDue, TokenInput, TokenView};

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
/// How long a replaced key goes on working unless told.
const OVERLAP: &str = "PT24H";

/// A new API key.
#[derive(ToSchema)]
#[schema(as = CreateApiKeyRequest)]
pub(crate) struct CreateKeyRequest {
    /// Name of a role.
    role: String,
    /// What you call it: the program that has it, not a person. At most 128 bytes.
    #[schema(value_type = Option<String>)]
    label: String,
    /// When it stops working; never, if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Bound to people on these channels, at most 32; everybody, if absent.
    #[schema(value_type = Option<Vec<String>>)]
    channels: Vec<String>,
}

impl CreateKeyRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["role", "label", "expires_at", "channels"])?;
        let role = shape.text("role");
        let label = shape.optional_text("label").unwrap_or_default();
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
        let channels = shape.optional_texts("channels");
        if channels.as_ref().is_some_and(Vec::is_empty) {
            // An empty list could be meant as nobody; it is never taken for everybody.
            shape.refuse(
                "channels",
                "length",
                "name a channel, or leave the member out",
            );
        }
        let channels = channels.unwrap_or_default();
        shape.finish(Self {
            role,
            label,
            expires_at,
            channels,
        })
    }
}

impl From<CreateKeyRequest> for TokenInput {
    fn from(request: CreateKeyRequest) -> Self {
        let CreateKeyRequest {
            role,
            label,
            expires_at,
            channels,
        } = request;
        Self {
            role,
            label,
            expires_at,
            channels,
        }
    }
}

/// How long the old key goes on working.
#[derive(ToSchema)]
#[schema(as = RotateApiKeyRequest)]
pub(crate) struct RotateKeyRequest {
    /// An ISO 8601 period from PT0S to P30D; PT24H, if absent.
    #[schema(value_type = Option<String>)]
    overlap: Period,
}

impl RotateKeyRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["overlap"])?;
        let text = shape.optional_text("overlap");
        let overlap = Period::parse(text.as_deref().unwrap_or(OVERLAP)).unwrap_or_else(|_| {
            shape.refuse(
                "overlap",
                "not_a_period",
                "an ISO 8601 period from PT0S to P30D is expected, such as PT24H",
            );
            Period::parse(OVERLAP).expect("a period")
        });
        shape.finish(Self { overlap })
    }
}

/// An API key without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyView)]
pub(crate) struct KeyBody {
    /// Its public name.
    token: String,
    /// What the operator calls it.
    label: String,
    /// Its role.
    role: String,
    /// The channels that it is bound to; none: everybody.
    channels: Vec<String>,
    /// `active`, `ending` (another took its place), `expired` or `revoked`.
    state: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// The key that made it, or `keyholder` for an unlock secret.
    created_by: String,
    /// When it stops working.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The hour in which it was last used.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// Whole days since then; since it was made, if it never was.
    unused_days: u32,
    /// The key that it took the place of.
    replaces: Option<String>,
    /// The key that took its place.
    replaced_by: Option<String>,
    /// Whether it was revoked.
    revoked: bool,
    /// When it was revoked.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

impl From<TokenView> for KeyBody {
    fn from(view: TokenView) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let name = |token: Option<TokenId>| token.map(|token| token.to_string());
        Self {
            token: view.token.to_string(),
            label: view.label,
            role: view.role,
            channels: view.channels,
            state: view.state.name(),
            created_at: view.created_at.to_string(),
            created_by: name(view.created_by).unwrap_or_else(|| "keyholder".into()),
            expires_at: text(view.expires_at),
            last_used_at: text(view.last_used_at),
            unused_days: view.unused_days,
            replaces: name(view.replaces),
            replaced_by: name(view.replaced_by),
            revoked: view.revoked_at.is_some(),
            revoked_at: text(view.revoked_at),
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

/// The key that took another's place, with its secret: the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedApiKey)]
pub(crate) struct RotatedKey {
    /// The new key.
    #[serde(flatten)]
    key: KeyBody,
    /// `vk_…`, for `Authorization: Bearer`.
    secret: String,
    /// The old key, with the end that it has now.
    predecessor: KeyBody,
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
    /// What is due; with `dry_run=true` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    due: Option<RetentionDue>,
}

/// What would go of one purpose.
#[derive(Serialize, ToSchema)]
pub(crate) struct PurposeDue {
    /// Its name.
    purpose: String,
    /// Values that it needed last, and needs no more.
    values: u64,
    /// Whose they are.
    people: u64,
}

/// What a run of the sweeper would do now.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetentionDue {
    /// People of whom something would go.
    people: u64,
    /// Of those, people who would go with everything: nothing is left of them, and nothing needs them.
    people_whole: u64,
    /// People who are passed by, because a row of theirs does not open.
    people_damaged: u64,
    /// Records that have ended, or have values that no purpose needs any more.
    records: u64,
    /// Those values, by the purpose that needed them last.
    purposes: Vec<PurposeDue>,
    /// Keys that would be destroyed: of periods that are over, and of compartments with old bytes.
    keys: u64,
    /// Whether the index would be built anew.
    index: bool,
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
        let (view, secret) = session.vault.make_token(&session.call(), request.into())?;
        let key = KeyBody::from(view);
        let location = urls::at(urls::API_KEY, &[&key.token]);
        Ok(Reply::json(201, &CreatedKey { key, secret }).location(location))
    })
    .await
}

/// Put a new API key in the place of another
///
/// Capability `api_keys.manage`. The new one has the same role, label and channels, and the same time
/// to live if it has an end. The old one, and every session that it made, ends after `overlap`. The
/// secret is shown in this answer and never again.
#[utoipa::path(post, path = urls::API_KEY_ROTATE, tag = "admin", operation_id = "rotate_api_key",
    request_body = RotateKeyRequest,
    responses((status = 201, description = "Made", body = RotatedKey)))]
pub(crate) async fn rotate_key(State(app): State<App>, incoming: Incoming) -> Outcome {
    let token = incoming
        .parameter("tok")
        .parse::<TokenId>()
        .map_err(|_| Problem::new(Code::NotFound));
    let body = incoming.json()?;
    app.post(incoming, Remember::Made, None, move |session| {
        let token = session.parsed("api_keys.manage", token)?;
        let request = session.parsed("api_keys.manage", RotateKeyRequest::read(body))?;
        let rotated = session
            .vault
            .rotate_token(&session.call(), token, &request.overlap)?;
        let key = KeyBody::from(rotated.key);
        let location = format!("/v1/admin/api-keys/{}", key.token);
        let body = RotatedKey {
            key,
            secret: rotated.secret,
            predecessor: rotated.old.into(),
        };
        Ok(Reply::json(201, &body).location(location))
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
/// Capability `retention.run`. The server does the same by itself every minute. A run is a job of the kind
/// `sweep`; 409 while another one goes on. `dry_run=true` counts
/// what is due, and changes nothing.
#[utoipa::path(post, path = urls::RETENTION_RUN, tag = "admin", operation_id = "run_retention",
    params(("dry_run" = Option<bool>, Query, description = "`true`: count, and change nothing")),
    responses((status = 200, description = "Done", body = RetentionRun)))]
pub(crate) async fn run_retention(State(app): State<App>, incoming: Incoming) -> Outcome {
    let dry_run = incoming
        .query(&["dry_run"])
        .and_then(|query| query.word("dry_run", &[("false", false), ("true", true)]));
    app.post(incoming, Remember::Again, None, move |session| {
        session.vault.require(&session.call(), "retention.run")?;
        let mut run = RetentionRun {
            passes: 0,
            more: true,
            due: None,
        };
        if dry_run? {
            let due = session.vault.sweep_due()?;
            run.more = due.any();
            let SweepDue {
                people,
                people_whole,
                people_damaged,
                records,
                purposes,
                keys,
                index,
            } = due;
            let purposes = purposes.into_iter().map(|due| PurposeDue {
                purpose: due.purpose,
                values: due.values,
                people: due.people,
            });
            run.due = Some(RetentionDue {
                people,
                people_whole,
                people_damaged,
                records,
                purposes: purposes.collect(),
                keys,
                index,
            });
            return Ok(Reply::json(200, &run));
        }
        let done = session.vault.sweep_run(Sweep::All, PASSES_MAX)?;
        (run.passes, run.more) = (done.passes, done.more);
        Ok(Reply::json(200, &run))
    })
    .await
}

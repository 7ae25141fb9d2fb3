//! The policy: show, check, apply.

use axum::extract::State;
use data_encoding::HEXLOWER;
use serde::Serialize;
use utoipa::ToSchema;

use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

#[derive(Clone, Copy)]
enum Form {
    Source,
    Effective,
}

/// The policy in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyView {
    /// Its number.
    version: u32,
    /// Since when.
    #[schema(format = DateTime)]
    applied_at: String,
    /// SHA-256 of its source, in hexadecimal.
    sha256: String,
    /// Its TOML, as it was applied.
    source: String,
}

/// A policy to apply. The TOML itself, as `text/plain`, will do too.
#[derive(ToSchema)]
pub(crate) struct ApplyPolicyRequest {
    /// The TOML.
    source: String,
}

/// What applying a policy changed, or would change.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyApplied {
    /// Its number.
    version: u32,
    /// What is different, one sentence each.
    changes: Vec<String>,
    /// Whether nothing was applied.
    dry_run: bool,
}

/// One policy that is or was in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyVersion {
    /// Its number.
    version: u32,
    /// Since when.
    #[schema(format = DateTime)]
    applied_at: String,
}

/// Every policy of the vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyVersions {
    /// In the order the vault gives them.
    versions: Vec<PolicyVersion>,
}

/// The policy in force
///
/// Capability `policy.read`. `form=effective`: readable, with every default written out.
#[utoipa::path(get, path = urls::POLICY, tag = "admin", operation_id = "read_policy",
    params(("form" = Option<String>, Query, description = "`source` (default) or `effective`, which is text")),
    responses((status = 200, description = "The policy", content(
        (PolicyView = "application/json"), (String = "text/plain")))))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let words = [("source", Form::Source), ("effective", Form::Effective)];
    let form = incoming
        .query(&["form"])
        .and_then(|query| query.word("form", &words));
    app.call(incoming, move |session| {
        match session.parsed("policy.read", form)? {
            Form::Source => {
                let policy = session.vault.policy(&session.call())?;
                Ok(Reply::json(
                    200,
                    &PolicyView {
                        version: policy.version,
                        applied_at: policy.applied_at.to_string(),
                        sha256: HEXLOWER.encode(&policy.sha256),
                        source: policy.source,
                    },
                ))
            }
            Form::Effective => {
                let text = session.vault.policy_text(&session.call())?;
                Ok(Reply::bytes(
                    200,
                    "text/plain; charset=utf-8",
                    text.into_bytes(),
                ))
            }
        }
    })
    .await
}

pub(crate) fn read_source(body: serde_json::Value) -> Result<String, Problem> {
    let mut shape = Shape::of(body, &["source"])?;
    let request = ApplyPolicyRequest {
        source: shape.text("source"),
    };
    shape.finish(request).map(|request| request.source)
}

/// Check and apply a policy
///
/// Capability `policy.apply`. Findings are 422, each with its line. `dry_run=true` applies nothing.
#[utoipa::path(put, path = urls::POLICY, tag = "admin", operation_id = "apply_policy",
    params(("dry_run" = Option<bool>, Query, description = "`true`: check, say what would change, apply nothing")),
    request_body(content((ApplyPolicyRequest = "application/json"), (String = "text/plain"))),
    responses((status = 200, description = "Applied, or checked", body = PolicyApplied)))]
pub(crate) async fn apply(State(app): State<App>, incoming: Incoming) -> Outcome {
    let source = if incoming.has_type("text/plain") || incoming.has_type("application/toml") {
        let text = std::str::from_utf8(&incoming.body)
            .map_err(|_| Problem::with_detail(Code::Malformed, "the policy is not UTF-8"))?;
        Ok(text.to_owned())
    } else {
        let body = incoming.json()?;
        read_source(body)
    };
    let dry_run = incoming
        .query(&["dry_run"])
        .and_then(|query| query.word("dry_run", &[("false", false), ("true", true)]));
    app.call(incoming, move |session| {
        let source = session.parsed("policy.apply", source)?;
        let dry_run = session.parsed("policy.apply", dry_run)?;
        let applied = session
            .vault
            .apply_policy(&session.call(), &source, dry_run)?;
        Ok(Reply::json(
            200,
            &PolicyApplied {
                version: applied.version,
                changes: applied.changes,
                dry_run,
            },
        ))
    })
    .await
}

/// Every policy that was applied
///
/// Capability `policy.read`.
#[utoipa::path(get, path = urls::POLICY_VERSIONS, tag = "admin", operation_id = "policy_versions",
    responses((status = 200, description = "The versions", body = PolicyVersions)))]
pub(crate) async fn versions(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        session.parsed("policy.read", query)?;
        let versions = session.vault.policy_versions(&session.call())?;
        let versions = versions
            .into_iter()
            .map(|(version, applied_at)| PolicyVersion {
                version,
                applied_at: applied_at.to_string(),
            })
            .collect();
        Ok(Reply::json(200, &PolicyVersions { versions }))
    })
    .await
}

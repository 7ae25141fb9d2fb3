//! Alive, ready, state, unlock, lock.

use std::collections::BTreeMap;

use axum::extract::State;
use data_encoding::BASE64;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::crypto::MemoryLock;
use vault_core::limits::SHARES_MAX;
use vault_core::vault::{
    KeyFile, KeyFileError, Passphrase, PassphraseError, RecoveryKeyError, Share, ShareError,
    SharedSecret, UnlockSecret,
};
use vault_core::verification::AddressKind;
use zeroize::Zeroizing;

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::backups::SummaryBody;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// Whether the server answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `alive` or `ready`.
    status: &'static str,
}

/// Whether the vault holds its keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct LockState {
    /// `open` or `locked`.
    state: &'static str,
}

/// State of the vault. The counts stand only in an answer to a valid API key.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusView {
    /// `open` or `locked`.
    state: &'static str,
    /// The vault's id.
    vault: String,
    /// Version of the server.
    version: &'static str,
    /// Number of the policy in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<u32>,
    /// People in the vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<u64>,
    /// People erased since its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<u64>,
    /// Whether writes are taken; on a full disk only erasures are.
    #[serde(skip_serializing_if = "Option::is_none")]
    writable: Option<bool>,
    /// Whether the clock is too far ahead of the last commit to be believed, so that nothing expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_leads: Option<bool>,
    /// Entries of the evidence log.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_entries: Option<u64>,
    /// Size of all files, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_on_disk: Option<u64>,
    /// Addresses on the suppression list, of at most 10,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressions: Option<u64>,
    /// Memory for keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_lock: Option<MemoryLockView>,
    /// What there is of backups, and until when an erasure of now could be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    backups: Option<SummaryBody>,
    /// Notices to recipients (Art. 19), as the last look found them.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_notices: Option<TellingView>,
    /// Where verification codes can be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    codes: Option<CodesView>,
}

/// Where verification codes can be sent.
#[derive(Serialize, ToSchema)]
#[schema(as = CodesSummary)]
pub(crate) struct CodesView {
    /// To e-mail addresses on file.
    email: bool,
    /// To telephones on file.
    phone: bool,
    /// How many wait for a try.
    waiting: u64,
}

impl CodesView {
    fn of(app: &App) -> Self {
        let codes = app.settings().codes.as_ref();
        let sends = |kind| codes.is_some_and(|codes| codes.sends(kind));
        Self {
            email: sends(AddressKind::Email),
            phone: sends(AddressKind::Phone),
            waiting: codes.map_or(0, |codes| codes.figures().waiting),
        }
    }
}

/// Notices to recipients.
#[derive(Serialize, ToSchema)]
#[schema(as = RecipientNoticesSummary)]
pub(crate) struct TellingView {
    /// Whether the configuration names anybody whom something may be sent to.
    allowed: bool,
    /// How many are in each state.
    states: BTreeMap<&'static str, u64>,
    /// How many go nowhere until an operator does something, by why: `not_allowed` (the host is not in
    /// `recipients.allow`), `no_secret`, `bad_url`.
    held_back: BTreeMap<&'static str, u64>,
    /// When the oldest was made that is not settled.
    #[schema(format = DateTime)]
    oldest_open_at: Option<String>,
    /// How many do not open.
    damaged: u64,
}

impl TellingView {
    fn of(app: &App) -> Self {
        let figures = app.telling().figures();
        let held_back = figures.held_back.iter();
        Self {
            allowed: app.settings().recipients.any(),
            states: figures.notices.states.iter().copied().collect(),
            held_back: held_back.map(|(why, count)| (why.name(), *count)).collect(),
            oldest_open_at: figures.notices.oldest_open_at.map(|at| at.to_string()),
            damaged: figures.notices.damaged,
        }
    }
}

/// Memory for keys, and whether it stays out of swap.
#[derive(Serialize, ToSchema)]
#[schema(as = MemoryLock)]
pub(crate) struct MemoryLockView {
    /// Bytes of pages that are locked in memory.
    locked_bytes: u64,
    /// Bytes of pages that are not, because the limit was reached: swap may hold keys.
    unlocked_bytes: u64,
    /// What the system lets the server lock (`RLIMIT_MEMLOCK`), in bytes; null without a limit.
    limit: Option<u64>,
}

impl From<MemoryLock> for MemoryLockView {
    fn from(figures: MemoryLock) -> Self {
        let MemoryLock {
            locked_bytes,
            unlocked_bytes,
            limit,
        } = figures;
        Self {
            locked_bytes,
            unlocked_bytes,
            limit,
        }
    }
}

/// A secret of a key slot: exactly one of these.
#[derive(ToSchema)]
#[schema(as = UnlockRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; the secret itself goes straight into the core's types"
)]
pub(crate) struct UnlockRequest {
    /// A passphrase.
    passphrase: Option<String>,
    /// A recovery key, in its groups.
    recovery_key: Option<String>,
    /// The content of a key file, base64 with padding.
    key_file: Option<String>,
    /// As many shares of one slot as are needed, each in its groups.
    shares: Option<Vec<String>>,
}

/// The members that name a secret, of which a body has one.
pub(super) const SECRETS: [&str; 4] = ["passphrase", "recovery_key", "key_file", "shares"];

/// Reads a secret of a key slot.
pub(crate) fn secret(body: Value) -> Result<UnlockSecret, Problem> {
    let mut shape = Shape::of(body, &SECRETS)?;
    let mut given = SECRETS.into_iter().filter(|name| shape.has(name));
    let (Some(name), None) = (given.next(), given.next()) else {
        shape.refuse(
            "passphrase",
            "one_of",
            "exactly one of `passphrase`, `recovery_key`, `key_file` and `shares` is expected",
        );
        return Err(shape.finish(()).expect_err("something was refused"));
    };
    match name {
        "shares" => {
            let texts = shape.texts(name);
            let shares = shares(shape.finish(texts)?)?;
            let joined = SharedSecret::join(&shares).map_err(not_shares)?;
            Ok(UnlockSecret::Shares(joined))
        }
        "key_file" => {
            let text = shape.text(name);
            key_file(shape.finish(text)?).map(UnlockSecret::KeyFile)
        }
        "recovery_key" => {
            let text = shape.text(name);
            match shape.finish(text)?.parse() {
                Ok(key) => Ok(UnlockSecret::RecoveryKey(key)),
                // Its two sentences are fixed and quote nothing, as those of the others.
                Err(error) => Err(Problem::invalid_at(
                    "/recovery_key",
                    "not_a_recovery_key",
                    RecoveryKeyError::to_string(&error),
                )),
            }
        }
        _ => {
            let text = shape.text(name);
            passphrase(shape.finish(text)?).map(UnlockSecret::Passphrase)
        }
    }
}

/// Reads shares, each by itself.
pub(super) fn shares(texts: Vec<String>) -> Result<Vec<Share>, Problem> {
    let texts = Zeroizing::new(texts);
    if texts.len() > SHARES_MAX {
        return Err(not_shares(ShareError::Numbers));
    }
    let read = texts.iter().enumerate().map(|(place, text)| {
        text.parse().map_err(|error: ShareError| {
            Problem::invalid_at(format!("/shares/{place}"), "not_a_share", error.to_string())
        })
    });
    read.collect()
}

/// Shares that do not give their secret.
pub(super) fn not_shares(error: ShareError) -> Problem {
    Problem::invalid_at("/shares", "not_the_shares", error.to_string())
}

/// Reads the content of a key file.
pub(super) fn key_file(text: String) -> Result<KeyFile, Problem> {
    let text = Zeroizing::new(text);
    let refused = |code, detail: String| Problem::invalid_at("/key_file", code, detail);
    let content = BASE64.decode(text.as_bytes());
    let content = content.map_err(|_| {
        let detail = "base64 with padding is expected (RFC 4648 §4)";
        refused("not_base64", detail.to_owned())
    })?;
    KeyFile::new(Zeroizing::new(content)).map_err(|error| {
        let code = match error {
            KeyFileError::TooLong => "too_long",
            _ => "too_short",
        };
        refused(code, error.to_string())
    })
}

/// Reads a passphrase.
pub(super) fn passphrase(text: String) -> Result<Passphrase, Problem> {
    Passphrase::new(text).map_err(|error| {
        let code = match error {
            PassphraseError::TooLong => "too_long",
            _ => "too_short",
        };
        Problem::invalid_at("/passphrase", code, error.to_string())
    })
}

/// Whether the server answers
///
/// Says nothing of the vault.
#[utoipa::path(get, path = urls::HEALTHZ, tag = "state", operation_id = "healthz", security(()),
    responses((status = 200, description = "It does", body = Health)))]
pub(crate) async fn healthz() -> Reply {
    Reply::json(200, &Health { status: "alive" })
}

/// Whether the vault is unlocked and writable
#[utoipa::path(get, path = urls::READYZ, tag = "state", operation_id = "readyz", security(()),
    responses((status = 200, description = "It is", body = Health)))]
pub(crate) async fn readyz(State(app): State<App>) -> Outcome {
    if app.stopping() {
        return Err(Problem::with_detail(
            Code::Overloaded,
            "the server is stopping",
        ));
    }
    let vault = app.vault().ok_or(Problem::new(Code::Locked))?;
    app.unshed(move || {
        if vault.status()?.writable {
            Ok(Reply::json(200, &Health { status: "ready" }))
        } else {
            Err(Problem::with_detail(
                Code::Overloaded,
                "the vault takes no writes now",
            ))
        }
    })
    .await
}

/// State of the vault
///
/// Without an API key, or while locked: state, id and version. With one: counts too.
#[utoipa::path(get, path = urls::STATUS, tag = "state", operation_id = "status", security((), ("api_key" = [])),
    responses((status = 200, description = "The state", body = StatusView)))]
pub(crate) async fn status(State(app): State<App>, incoming: Incoming) -> Outcome {
    let bare = |app: &App| StatusView {
        state: if app.vault().is_some() {
            "open"
        } else {
            "locked"
        },
        vault: app.vault_id().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        policy_version: None,
        people: None,
        erased: None,
        writable: None,
        clock_leads: None,
        audit_entries: None,
        bytes_on_disk: None,
        suppressions: None,
        memory_lock: None,
        backups: None,
        recipient_notices: None,
        codes: None,
    };
    // Counts are for those who run the vault or a bot; a session is for one person.
    let counts = incoming.bearer.is_some() && incoming.session_subject().is_none();
    if !counts || app.vault().is_none() {
        incoming.query(&[])?;
        return Ok(Reply::json(200, &bare(&app)));
    }
    app.call(incoming, move |session| {
        let status = session.vault.status()?;
        let figures = session.app.backup_figures(&session.vault);
        Ok(Reply::json(
            200,
            &StatusView {
                policy_version: Some(status.policy_version),
                people: Some(status.people),
                erased: Some(status.erased),
                writable: Some(status.writable),
                clock_leads: Some(status.clock_leads),
                audit_entries: Some(status.audit_entries),
                bytes_on_disk: Some(status.bytes_on_disk),
                suppressions: Some(status.suppressions),
                memory_lock: Some(status.memory_lock.into()),
                recipient_notices: Some(TellingView::of(&session.app)),
                codes: Some(CodesView::of(&session.app)),
                backups: Some(SummaryBody::from(status.backups).with(figures.as_ref())),
                ..bare(&session.app)
            },
        ))
    })
    .await
}

/// Open the vault with a secret of one of its key slots
///
/// From the vault's own machine only; needs no API key, because a locked vault knows none. One
/// attempt at a time; after a wrong secret the next waits 1 s, 2 s, … up to 60 s.
#[utoipa::path(post, path = urls::UNLOCK, tag = "state", operation_id = "unlock", security(()),
    request_body = UnlockRequest,
    responses((status = 200, description = "It is open", body = LockState)))]
pub(crate) async fn unlock(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    incoming.demand_loopback()?;
    let secret = secret(body)?;
    let opener = app.clone();
    app.unshed(move || {
        opener.unlock(&secret)?;
        Ok(Reply::json(200, &LockState { state: "open" }))
    })
    .await
}

/// Forget all keys
///
/// Capability `vault.lock`. Calls under way are refused as `locked`.
#[utoipa::path(post, path = urls::LOCK, tag = "state", operation_id = "lock",
    responses((status = 200, description = "It is locked", body = LockState)))]
pub(crate) async fn lock(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.post(incoming, Remember::Again, None, |session| {
        session.vault.require(&session.call(), "vault.lock")?;
        session.app.lock();
        Ok(Reply::json(200, &LockState { state: "locked" }))
    })
    .await
}

//! Key slots: what opens the vault.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::entropy::OsEntropy;
use vault_core::vault::{SharedSecret, UnlockSecret};
use zeroize::Zeroize as _;

use super::state::{SECRETS, UnlockRequest, key_file, not_shares, passphrase, secret, shares};
use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "keys.manage";

/// A new key slot.
#[derive(ToSchema)]
#[schema(as = AddKeySlotRequest)]
#[expect(dead_code, reason = "describes the wire; what is read is `NewSlot`")]
pub(crate) struct AddSlotRequest {
    /// `passphrase`, `recovery_key`, `key_file` or `shares`.
    kind: String,
    /// The passphrase, for that kind: 12 characters to 1,024 bytes.
    passphrase: Option<String>,
    /// The content of the key file, for that kind, base64 with padding: 32 to 8,192 bytes.
    key_file: Option<String>,
    /// Every share of a set that `POST /v1/admin/key-slots/shares` has given out, for that kind: the
    /// slot is made once all of them have come back.
    shares: Option<Vec<String>>,
    /// A word to tell it from others.
    label: String,
    /// A slot that goes in the same commit; not with a recovery key, which nobody has written down yet.
    replaces: Option<u8>,
}

pub(crate) enum NewSlot {
    Given {
        secret: UnlockSecret,
        label: String,
        replaces: Option<u8>,
    },
    RecoveryKey(String),
}

impl NewSlot {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let known = [&["kind", "label", "replaces"][..], &SECRETS[..]].concat();
        let mut shape = Shape::of(body, &known)?;
        let (kind, label) = (shape.text("kind"), shape.text("label"));
        for other in SECRETS.into_iter().filter(|name| *name != kind) {
            if shape.has(other) {
                let detail = "belongs to another kind; a recovery key is made here";
                shape.refuse(other, "unexpected", detail);
            }
        }
        if kind == "recovery_key" && (shape.has("recovery_key") || shape.has("replaces")) {
            let detail = "a recovery key is made here, and tried before another slot goes";
            shape.refuse("recovery_key", "unexpected", detail);
        }
        let number = shape.optional_number("replaces");
        let replaces = number.map(|number| u8::try_from(number).unwrap_or(u8::MAX));
        let secret = match kind.as_str() {
            "passphrase" => {
                let text = shape.text("passphrase");
                UnlockSecret::Passphrase(passphrase(shape.finish(text)?)?)
            }
            "recovery_key" => return shape.finish(Self::RecoveryKey(label)),
            "key_file" => {
                let text = shape.text("key_file");
                UnlockSecret::KeyFile(key_file(shape.finish(text)?)?)
            }
            "shares" => {
                let texts = shape.texts("shares");
                let shares = shares(shape.finish(texts)?)?;
                UnlockSecret::Shares(SharedSecret::join_all(&shares).map_err(not_shares)?)
            }
            _ => {
                let detail = "`passphrase`, `recovery_key`, `key_file` or `shares` is expected";
                shape.refuse("kind", "unknown_word", detail);
                return Err(shape.finish(()).expect_err("something was refused"));
            }
        };
        Ok(Self::Given {
            secret,
            label,
            replaces,
        })
    }
}

/// How many shares are wanted.
#[derive(ToSchema)]
#[schema(as = MakeKeySharesRequest)]
#[expect(dead_code, reason = "describes the wire")]
pub(crate) struct MakeSharesRequest {
    /// How many open the vault together, from 2.
    threshold: u32,
    /// How many there are, to 15.
    shares: u32,
}

fn wanted(body: Value) -> Result<(usize, usize), Problem> {
    let mut shape = Shape::of(body, &["threshold", "shares"])?;
    let mut number = |name| {
        let number = shape.optional_number(name);
        if number.is_none() {
            shape.refuse(name, "missing", "a whole number is expected");
        }
        usize::try_from(number.unwrap_or(0)).unwrap_or(usize::MAX)
    };
    let numbers = (number("threshold"), number("shares"));
    shape.finish(numbers)
}

/// Shares of a new secret, shown this once. No slot is made yet.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyShares)]
pub(crate) struct SharesBody {
    /// How many open the vault together.
    threshold: u8,
    /// All of them, each for somebody else.
    shares: Vec<String>,
}

impl Drop for SharesBody {
    fn drop(&mut self) {
        self.shares.zeroize();
    }
}

/// A key slot.
#[derive(Serialize, ToSchema)]
#[schema(as = KeySlotView)]
pub(crate) struct SlotView {
    /// Its number.
    slot: u8,
    /// `passphrase`, `recovery_key`, `key_file` or `shares`.
    kind: &'static str,
    /// The word it was given.
    label: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<vault_core::vault::SlotView> for SlotView {
    fn from(view: vault_core::vault::SlotView) -> Self {
        Self {
            slot: view.number,
            kind: view.kind.name(),
            label: view.label,
            created_at: view.created_at.to_string(),
        }
    }
}

/// A new key slot; a recovery key is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedKeySlot)]
pub(crate) struct AddedSlot {
    /// The slot.
    #[serde(flatten)]
    slot: SlotView,
    /// The recovery key, for that kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_key: Option<String>,
}

/// Every key slot.
#[derive(Serialize, ToSchema)]
#[schema(as = KeySlotList)]
pub(crate) struct SlotList {
    /// The slots.
    key_slots: Vec<SlotView>,
}

/// Which slot a secret opens.
#[derive(Serialize, ToSchema)]
#[schema(as = KeySlotTest)]
pub(crate) struct SlotTest {
    /// Its number; null if it opens none.
    slot: Option<u8>,
}

/// A key slot that is no more.
#[derive(Serialize, ToSchema)]
#[schema(as = RemovedKeySlot)]
pub(crate) struct RemovedSlot {
    /// Its number.
    slot: u8,
    /// True.
    removed: bool,
    /// What to look at now, if anything: recovery keys alone are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<&'static str>,
}

/// Every key slot
///
/// Capability `keys.manage`.
#[utoipa::path(get, path = urls::KEY_SLOTS, tag = "admin", operation_id = "list_key_slots",
    responses((status = 200, description = "The slots", body = SlotList)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let slots = session.vault.slots(&session.call())?;
        let key_slots = slots.into_iter().map(SlotView::from).collect();
        Ok(Reply::json(200, &SlotList { key_slots }))
    })
    .await
}

/// Add a key slot
///
/// Capability `keys.manage`. A recovery key is shown in this answer and never again. For shares, ask
/// `POST /v1/admin/key-slots/shares` for a set first, give it out, and bring all of it back here: a slot
/// counts, and the one that it replaces goes, only when every share is known to have been written down.
#[utoipa::path(post, path = urls::KEY_SLOTS, tag = "admin", operation_id = "add_key_slot",
    request_body = AddSlotRequest,
    responses((status = 201, description = "Added", body = AddedSlot)))]
pub(crate) async fn add(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Made, None, move |session| {
        let call = session.call();
        let added = match session.parsed(CAPABILITY, NewSlot::read(body))? {
            NewSlot::Given {
                secret,
                label,
                replaces,
            } => AddedSlot {
                slot: session
                    .vault
                    .add_slot(&call, &secret, &label, replaces)?
                    .into(),
                recovery_key: None,
            },
            NewSlot::RecoveryKey(label) => {
                let (slot, key) = session.vault.add_recovery_slot(&call, &label)?;
                AddedSlot {
                    slot: slot.into(),
                    recovery_key: Some(key.to_text()),
                }
            }
        };
        Ok(Reply::json(201, &added))
    })
    .await
}

/// Remove a key slot
///
/// Capability `keys.manage`. The vault keeps its last one.
#[utoipa::path(delete, path = urls::KEY_SLOT, tag = "admin", operation_id = "remove_key_slot",
    responses((status = 200, description = "Removed", body = RemovedSlot)))]
pub(crate) async fn remove(State(app): State<App>, incoming: Incoming) -> Outcome {
    let number = incoming
        .parameter("n")
        .parse::<u8>()
        .map_err(|_| Problem::new(Code::NotFound));
    app.call(incoming, move |session| {
        let slot = session.parsed(CAPABILITY, number)?;
        let warning = session.vault.remove_slot(&session.call(), slot)?;
        Ok(Reply::json(
            200,
            &RemovedSlot {
                slot,
                removed: true,
                warning,
            },
        ))
    })
    .await
}

/// Make shares for a key slot
///
/// Capability `keys.manage`. Makes a random secret of 256 bits, of which `threshold` shares together
/// give it back. Nothing of it is kept: they are shown in this answer and never again, and open nothing
/// before all of them come back with `POST /v1/admin/key-slots`.
#[utoipa::path(post, path = urls::KEY_SLOT_SHARES, tag = "admin", operation_id = "make_key_shares",
    request_body = MakeSharesRequest,
    responses((status = 200, description = "The shares", body = SharesBody)))]
pub(crate) async fn shares_of(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Made, None, move |session| {
        let wanted = session.parsed(CAPABILITY, wanted(body))?;
        session.vault.require(&session.call(), CAPABILITY)?;
        let (threshold, count) = wanted;
        let made = SharedSecret::split(threshold, count, &mut OsEntropy).map_err(not_shares)?;
        let body = SharesBody {
            threshold: made[0].threshold(),
            shares: made
                .iter()
                .map(|share| share.to_text().to_string())
                .collect(),
        };
        Ok(Reply::json(200, &body))
    })
    .await
}

/// Which slot a secret opens
///
/// Capability `keys.manage`. Changes nothing: a way to try a recovery key before it is needed.
#[utoipa::path(post, path = urls::KEY_SLOT_TEST, tag = "admin", operation_id = "test_key_slot",
    request_body = UnlockRequest,
    responses((status = 200, description = "The slot, or null", body = SlotTest)))]
pub(crate) async fn test(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Again, None, move |session| {
        let secret = session.parsed(CAPABILITY, secret(body))?;
        let slot = session.vault.test_slot(&session.call(), &secret)?;
        Ok(Reply::json(200, &SlotTest { slot }))
    })
    .await
}

//! Key slots: what opens the vault.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{Passphrase, SlotKind};

use super::state::{UnlockRequest, passphrase, secret};
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
    /// `passphrase` or `recovery_key`.
    kind: String,
    /// The passphrase, for that kind: 12 characters to 1,024 bytes.
    passphrase: Option<String>,
    /// A word to tell it from others.
    label: String,
}

pub(crate) enum NewSlot {
    Passphrase(Passphrase, String),
    RecoveryKey(String),
}

impl NewSlot {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["kind", "passphrase", "label"])?;
        let (kind, label) = (shape.text("kind"), shape.text("label"));
        match kind.as_str() {
            "passphrase" => {
                let text = shape.text("passphrase");
                let text = shape.finish(text)?;
                passphrase(text).map(|passphrase| Self::Passphrase(passphrase, label))
            }
            "recovery_key" => {
                if shape.has("passphrase") {
                    shape.refuse("passphrase", "unexpected", "a recovery key is made here");
                }
                shape.finish(Self::RecoveryKey(label))
            }
            _ => {
                let detail = "`passphrase` or `recovery_key` is expected";
                shape.refuse("kind", "unknown_word", detail);
                Err(shape.finish(()).expect_err("something was refused"))
            }
        }
    }
}

/// A key slot.
#[derive(Serialize, ToSchema)]
#[schema(as = KeySlotView)]
pub(crate) struct SlotView {
    /// Its number.
    slot: u8,
    /// `passphrase` or `recovery_key`.
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
            kind: match view.kind {
                SlotKind::Passphrase => "passphrase",
                SlotKind::RecoveryKey => "recovery_key",
            },
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
/// Capability `keys.manage`. A recovery key is shown in this answer and never again.
#[utoipa::path(post, path = urls::KEY_SLOTS, tag = "admin", operation_id = "add_key_slot",
    request_body = AddSlotRequest,
    responses((status = 201, description = "Added", body = AddedSlot)))]
pub(crate) async fn add(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Made, None, move |session| {
        let call = session.call();
        let added = match session.parsed(CAPABILITY, NewSlot::read(body))? {
            NewSlot::Passphrase(passphrase, label) => AddedSlot {
                slot: session
                    .vault
                    .add_passphrase_slot(&call, &passphrase, &label)?
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
        session.vault.remove_slot(&session.call(), slot)?;
        Ok(Reply::json(
            200,
            &RemovedSlot {
                slot,
                removed: true,
            },
        ))
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

//! Bodies of calls for whoever makes them without HTTP, on a vault of their own: the command line.

use serde_json::Value;
use vault_core::export::ExportInput;
use vault_core::vault::{DecisionStep, ImportBatch, Imported, TurnInput, TurnReply};

use crate::routes::{decisions, dialogue, export, import};

/// A body that is not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not in order")]
pub struct BodyError;

/// Reads the body of a step of a decision, by the step's name.
///
/// # Errors
///
/// [`BodyError`], also for a step that there is not.
pub fn decision_step(name: &str, body: Value) -> Result<DecisionStep, BodyError> {
    decisions::read_step(name, body).map_err(|_| BodyError)
}

/// Reads the body of an export.
///
/// # Errors
///
/// [`BodyError`].
pub fn export(body: Value) -> Result<ExportInput, BodyError> {
    export::read_export(body).map_err(|_| BodyError)
}

/// Reads the body of an import.
///
/// # Errors
///
/// [`BodyError`].
pub fn import(body: Value) -> Result<ImportBatch, BodyError> {
    import::read_import(body).map_err(|_| BodyError)
}

/// The answer to an import.
#[must_use]
pub fn imported(imported: Imported) -> Value {
    let body = import::ImportedBody::from(imported);
    serde_json::to_value(body).expect("numbers and texts have a JSON form")
}

/// Reads the body of a turn of a conversation. Nobody sends codes for it: that is the server's to say.
///
/// # Errors
///
/// [`BodyError`].
pub fn turn(body: Value) -> Result<TurnInput, BodyError> {
    dialogue::read_request(body).map_err(|_| BodyError)
}

/// The answer to a turn.
#[must_use]
pub fn turned(reply: TurnReply) -> Value {
    let body = dialogue::ReplyBody::from(reply);
    serde_json::to_value(body).expect("texts and lists have a JSON form")
}

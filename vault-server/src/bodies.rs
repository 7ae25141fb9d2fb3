//! Bodies of calls for whoever makes them without HTTP, on a vault of their own: the command line.

use serde_json::Value;
use vault_core::export::ExportInput;
use vault_core::vault::{ImportBatch, Imported};

use crate::routes::{export, import};

/// A body that is not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not in order")]
pub struct BodyError;

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

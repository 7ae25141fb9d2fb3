//! What is done with any bytes: one function a parser, none of which may panic, hang or take memory
//! without bound.
//!
//! The fuzz targets call them with what libFuzzer finds; a test of the workspace calls them with the
//! corpus and with changes of it. Each asserts what must hold of whatever a parser accepts.

mod backups;
mod evidence;
mod imports;
mod stored;
mod wire;

pub use backups::*;
pub use evidence::*;
pub use imports::*;
pub use stored::*;
pub use wire::*;

use vault_core::id::VaultId;

/// A parser's name, and what is done to it.
pub type Target = (&'static str, fn(&[u8]));

/// Every one of them.
pub const TARGETS: [Target; 32] = [
    ("anchor", anchor),
    ("asked", asked),
    ("authorization", authorization),
    ("backup_manifest", backup_manifest),
    ("backup_object", backup_object),
    ("body", body),
    ("canonical", canonical),
    ("config", config),
    ("cursor", cursor),
    ("envelope", envelope),
    ("journal", journal),
    ("json", json),
    ("key_part", key_part),
    ("ledger", ledger),
    ("log_line", log_line),
    ("mapping", mapping),
    ("media", media),
    ("note", note),
    ("package_json", package_json),
    ("package_zip", package_zip),
    ("policy", policy),
    ("precondition", precondition),
    ("proof", proof),
    ("query", query),
    ("range", range),
    ("receipt", receipt),
    ("record", record),
    ("registry", registry),
    ("row", row),
    ("slots", slots),
    ("text", text),
    ("value", value),
];

const VAULT: VaultId = VaultId::from_bytes([1; 16]);

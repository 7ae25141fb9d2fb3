//! Where a sealed vector stands, as its members say.

use serde_json::{Value, json};

use super::{VAULT, hex, unhex, with};
use crate::crypto::{Location, Secret};
use crate::id::VaultId;

/// The key of the vectors.
pub(super) const KEY: [u8; 32] = [0x22; 32];

pub(super) fn secret(bytes: &[u8]) -> Secret<32> {
    Secret::from_slice(bytes).expect("thirty-two bytes")
}

/// A location that owns its parts.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) vault: VaultId,
    pub(super) table: u8,
    pub(super) row: Vec<u8>,
    pub(super) compartment: u16,
    pub(super) collection: u16,
    pub(super) record: Vec<u8>,
    pub(super) field: u16,
    pub(super) revision: Vec<u8>,
    pub(super) schema: u32,
}

impl Place {
    pub(super) fn read(vector: &Value) -> Self {
        let number = |name: &str| u16::try_from(vector[name].as_u64().expect("a number"));
        Self {
            vault: VaultId::from_bytes(unhex(vector, "vault").try_into().expect("sixteen")),
            table: u8::try_from(vector["table"].as_u64().expect("a number")).expect("a byte"),
            row: unhex(vector, "row"),
            compartment: number("compartment").expect("two bytes"),
            collection: number("collection").expect("two bytes"),
            record: unhex(vector, "record"),
            field: number("field").expect("two bytes"),
            revision: unhex(vector, "revision"),
            schema: u32::try_from(vector["policy"].as_u64().expect("a number")).expect("four"),
        }
    }

    pub(super) fn location(&self) -> Location<'_> {
        Location {
            vault: self.vault,
            table: self.table,
            row: &self.row,
            compartment: self.compartment,
            collection: self.collection,
            record: &self.record,
            field: self.field,
            revision: &self.revision,
            schema: self.schema,
        }
    }

    pub(super) fn write(&self, vector: Value) -> Value {
        let parts = [
            ("vault", json!(hex(self.vault.as_bytes()))),
            ("table", json!(self.table)),
            ("row", json!(hex(&self.row))),
            ("compartment", json!(self.compartment)),
            ("collection", json!(self.collection)),
            ("record", json!(hex(&self.record))),
            ("field", json!(self.field)),
            ("revision", json!(hex(&self.revision))),
            ("policy", json!(self.schema)),
        ];
        parts
            .into_iter()
            .fold(vector, |vector, (name, value)| with(vector, name, value))
    }
}

/// Where a row lies that belongs to no record.
pub(super) fn row(table: u8, row: &[u8]) -> Place {
    let of = Location::row(VAULT, table, row);
    Place {
        vault: of.vault,
        table,
        row: row.to_vec(),
        compartment: 0,
        collection: 0,
        record: Vec::new(),
        field: 0,
        revision: Vec::new(),
        schema: 0,
    }
}

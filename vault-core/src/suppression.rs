//! The suppression list: addresses that no direct marketing goes to, as blind hashes.
//!
//! It outlives the person whose objection put an address there, so that importing or making them again
//! brings nothing back. A row holds a day and purposes, and nothing of the address; its key is an HMAC under
//! a key of the list's own, so that whoever has that key can test an address, and nobody else anything.
//! Knows nothing of people: who puts an address here, or takes it away, is `vault::suppressions`' matter.
//!
//! Source: GDPR Art. 17(3)(b), 21(3); docs/decisions/0022.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backup::ledger::LedgerEvent;
use crate::clock::day_of;
use crate::commit::{Txn, View};
use crate::crypto::{Location, Secret, hmac};
use crate::id::VaultId;
use crate::keys::ring::KeyRing;
use crate::limits::SUPPRESSIONS_MAX;
use crate::person::{DAMAGED, channel_form};
use crate::policy::Field;
use crate::refusal::Refusal;
use crate::row;
use crate::schema::{FieldType, NORMALISER_VERSION};
use crate::store::{StoreError, Table, WriteTx};

/// The row beside the addresses that says how many there are: no hash is so short.
const COUNT: &[u8] = &[0];
/// What stands for a type where the address is a channel and the person's name there.
const CHANNEL: &[u8] = b"channel";

/// The blind hash of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address([u8; 32]);

/// What goes for an address on the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressionRow {
    /// Days since 1970 of the last time that it was put there.
    pub day: u32,
    /// Whether it is about every purpose of direct marketing, later ones too, but for those named.
    pub all: bool,
    /// Ids of purposes: those it is about, or with `all` those it is not about.
    pub purposes: Vec<u16>,
}

impl SuppressionRow {
    /// Whether no direct marketing for this purpose goes to the address.
    #[must_use]
    pub fn covers(&self, purpose: u16) -> bool {
        self.purposes.contains(&purpose) != self.all
    }

    /// Whether it keeps an address on the list: for purposes, or for every one that there will be.
    fn lists(&self) -> bool {
        self.all || !self.purposes.is_empty()
    }

    fn set(&mut self, purpose: u16, covered: bool) {
        self.purposes.retain(|known| *known != purpose);
        if covered != self.all {
            self.purposes.push(purpose);
            self.purposes.sort_unstable();
        }
    }
}

/// Whether values of this type are addresses that somebody can be written to. Other look-up values, such as
/// number plates, would make more testable than the list needs (Art. 5(1)(c)).
#[must_use]
pub fn is_address(kind: FieldType) -> bool {
    matches!(kind, FieldType::Email | FieldType::Phone)
}

fn address(view: &dyn View, kind: &[u8], normal: &[u8]) -> Address {
    Address(hash(&view.system().suppression(), kind, normal))
}

/// The blind hash of an address under the list's key.
pub(crate) fn hash(key: &Secret<32>, kind: &[u8], normal: &[u8]) -> [u8; 32] {
    hmac(key, &[kind, &[NORMALISER_VERSION], normal])
}

/// The address that a value of a type is; `None` where it is none.
pub(crate) fn of_value(view: &dyn View, kind: FieldType, value: &Value) -> Option<Address> {
    let normal = is_address(kind).then(|| kind.normalise(value)).flatten()?;
    Some(address(view, kind.name().as_bytes(), &normal))
}

/// The same of a field; whether people are found by it does not matter, they can be written to all the same.
pub(crate) fn of_field(view: &dyn View, field: &Field, value: &Value) -> Option<Address> {
    of_value(view, field.kind, value)
}

/// The address that a channel and the person's name there are: direct marketing by a bot goes there first.
pub(crate) fn of_channel(view: &dyn View, channel: &str, user: &str) -> Address {
    address(view, CHANNEL, &channel_form(channel, user))
}

fn location(vault: VaultId, key: &[u8]) -> Location<'_> {
    Location::row(vault, Table::Suppressions.number(), key)
}

fn open<T: serde::de::DeserializeOwned>(view: &dyn View, key: &[u8]) -> Result<Option<T>, Refusal> {
    let Some(sealed) = view.tx().get(Table::Suppressions, key)? else {
        return Ok(None);
    };
    let bytes = view
        .system()
        .system
        .unseal(&location(view.vault(), key), &sealed)
        .map_err(|_| DAMAGED)?;
    row::decode(&bytes).map(Some).map_err(|_| DAMAGED)
}

/// What goes for an address, if it is on the list.
pub(crate) fn look(view: &dyn View, address: Address) -> Result<Option<SuppressionRow>, Refusal> {
    open(view, &address.0)
}

/// How many addresses are on the list.
pub(crate) fn count(view: &dyn View) -> Result<u64, Refusal> {
    Ok(open(view, COUNT)?.unwrap_or(0))
}

fn seal_row<T: Serialize>(
    vault: VaultId,
    ring: &KeyRing,
    key: &[u8],
    row: &T,
) -> Result<Vec<u8>, StoreError> {
    ring.seal(&location(vault, key), &row::encode(row))
        .map_err(|_| StoreError::Aborted)
}

/// Puts a row at its place, or takes it away; whether it was there before.
fn write(
    tx: &mut dyn WriteTx,
    (vault, ring): (VaultId, &KeyRing),
    address: &[u8; 32],
    row: Option<&SuppressionRow>,
    count: u64,
) -> Result<(), StoreError> {
    let was = tx.get(Table::Suppressions, address)?.is_some();
    match row {
        Some(row) => {
            let sealed = seal_row(vault, ring, address, row)?;
            tx.put(Table::Suppressions, address, &sealed)?;
        }
        None => tx.delete(Table::Suppressions, address)?,
    }
    let now = match (was, row.is_some()) {
        (false, true) => count + 1,
        (true, false) => count.saturating_sub(1),
        _ => return Ok(()),
    };
    let sealed = seal_row(vault, ring, COUNT, &now)?;
    tx.put(Table::Suppressions, COUNT, &sealed)
}

/// Which purposes an address is put on the list for.
#[derive(Clone, Copy)]
pub(crate) enum For {
    /// Every purpose of direct marketing, later ones too.
    All,
    /// One.
    One(u16),
}

fn change(txn: &mut Txn<'_>, address: Address, row: Option<SuppressionRow>) -> Result<(), Refusal> {
    let count = count(txn)?;
    let (vault, ring) = (txn.vault(), txn.system().system.duplicate());
    write(txn, (vault, &ring), &address.0, row.as_ref(), count)?;
    txn.keep_in_ledger(LedgerEvent::Suppressed {
        address: address.0,
        row: row.unwrap_or_default(),
    });
    Ok(())
}

/// Puts an address on the list. Where it stands there already for that, nothing happens.
pub(crate) fn add(txn: &mut Txn<'_>, address: Address, what: For) -> Result<(), Refusal> {
    let before = look(txn, address)?;
    let mut row = before.clone().unwrap_or_default();
    match what {
        For::All => (row.all, row.purposes) = (true, Vec::new()),
        For::One(purpose) => row.set(purpose, true),
    }
    let same = |before: &SuppressionRow| before.all == row.all && before.purposes == row.purposes;
    if before.as_ref().is_some_and(same) {
        return Ok(());
    }
    if before.is_none() && count(txn)? >= SUPPRESSIONS_MAX {
        return Err(Refusal::TooLarge(format!(
            "the suppression list has {SUPPRESSIONS_MAX} addresses, as many as it takes"
        )));
    }
    row.day = day_of(txn.now());
    change(txn, address, Some(row))
}

/// Takes a purpose off what goes for an address, and the address off the list where it stands there for nothing else.
/// One that is about every purpose stays: it is about those that the policy does not have yet.
pub(crate) fn remove(txn: &mut Txn<'_>, address: Address, purpose: u16) -> Result<(), Refusal> {
    let Some(mut row) = look(txn, address)?.filter(|row| row.covers(purpose)) else {
        return Ok(());
    };
    row.set(purpose, false);
    let left = row.lists();
    change(txn, address, left.then_some(row))
}

/// Puts into a vault that is being restored what the ledger says of an address.
pub(crate) fn restore(
    tx: &mut dyn WriteTx,
    vault: VaultId,
    ring: &KeyRing,
    address: &[u8; 32],
    row: &SuppressionRow,
) -> Result<(), StoreError> {
    let count = match tx.get(Table::Suppressions, COUNT)? {
        None => 0,
        Some(sealed) => {
            let bytes = ring.unseal(&location(vault, COUNT), &sealed);
            let bytes = bytes.map_err(|_| StoreError::Corrupt)?;
            row::decode(&bytes).map_err(|_| StoreError::Corrupt)?
        }
    };
    write(
        tx,
        (vault, ring),
        address,
        row.lists().then_some(row),
        count,
    )
}

/// Silent: whoever has the key can test it.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_about_all_is_about_later_purposes_but_not_about_those_named() {
        let mut row = SuppressionRow::default();
        assert!(!row.covers(1));
        row.set(1, true);
        row.set(1, true);
        assert_eq!((row.covers(1), row.covers(2)), (true, false));
        row.set(1, false);
        assert_eq!(row, SuppressionRow::default());
        row.all = true;
        assert!(row.covers(1) && row.covers(9));
        row.set(1, false);
        assert_eq!((row.covers(1), row.covers(9)), (false, true));
        row.set(1, true);
        assert_eq!((row.covers(1), &*row.purposes), (true, &[][..]));
    }

    #[test]
    fn a_row_about_all_stays_whatever_is_taken_off_it_and_one_about_nothing_goes() {
        let mut row = SuppressionRow::default();
        assert!(!row.lists());
        row.set(1, true);
        assert!(row.lists());
        row.set(1, false);
        assert!(!row.lists());
        row.all = true;
        row.set(1, false);
        assert!(row.lists(), "a later purpose is covered all the same");
    }

    #[test]
    fn what_one_is_written_to_is_an_address_and_nothing_else() {
        for kind in FieldType::ALL {
            let written_to = matches!(kind.name(), "email" | "phone");
            assert_eq!(is_address(*kind), written_to, "{}", kind.name());
        }
    }
}

//! Keys that are no person's and do not live long: a holder is an entry of the people map with a keyset of
//! its own, so that destroying it is what destroying a person's keys is, and proof against whoever keeps
//! every page.
//!
//! Its handle says that it is one (random handles do not begin so), of which kind, and of which UTC day; its
//! place in the map follows from the handle. So one who has the handle finds the keys, one who walks over people
//! passes by without opening anything ([`View::person_entry`], `walk_people`), and no id of a person leads
//! there. It is counted nowhere as a person, and it is in no backup: what lies under it is not to live longer than
//! its days say.
//!
//! Knows nothing of what is sealed under it.

use zeroize::Zeroizing;

use crate::commit::{Txn, View};
use crate::crypto::{Location, Secret, hkdf, key_number, seal, sha256, unseal};
use crate::id::{RowHandle, SubjectId, VaultId};
use crate::keys::keyset::{Compartment, Keyset, PersonEntry};
use crate::person::DAMAGED;
use crate::refusal::Refusal;
use crate::store::{Direction, KeyRange, Table, WriteTx};

/// What keys are held for. Its number is on disk.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Notices to recipients that were made on one day.
    Notices = 1,
    /// Lines of one log that came on one day.
    Logs = 2,
}

impl Kind {
    /// How handles of this kind begin.
    fn prefix(self) -> [u8; 9] {
        let mut prefix = [0; 9];
        prefix[..8].copy_from_slice(&RowHandle::NOBODYS);
        prefix[8] = self as u8;
        prefix
    }

    /// The handle of the holder of this kind for a day, since 1970; there may be several.
    pub(crate) fn handle(self, day: u32, part: u16) -> RowHandle {
        let mut bytes = [0; 16];
        bytes[..9].copy_from_slice(&self.prefix());
        bytes[9..13].copy_from_slice(&day.to_be_bytes());
        bytes[13..15].copy_from_slice(&part.to_be_bytes());
        RowHandle::from_bytes(bytes)
    }
}

/// The holder of a day's lines of the stream with this number; there may be several.
pub(crate) fn of_log(day: u32, stream: u16, part: u8) -> RowHandle {
    let mut bytes = *Kind::Logs.handle(day, stream).as_bytes();
    bytes[15] = part;
    RowHandle::from_bytes(bytes)
}

/// The stream whose lines a holder is for, and which of several it is.
pub(crate) fn log_of(handle: RowHandle) -> (u16, u8) {
    let bytes = handle.as_bytes();
    (u16::from_be_bytes([bytes[13], bytes[14]]), bytes[15])
}

/// The day that a holder is for.
pub(crate) fn day_of(handle: RowHandle) -> u32 {
    let bytes = handle.as_bytes();
    u32::from_be_bytes([bytes[9], bytes[10], bytes[11], bytes[12]])
}

/// Every holder of a kind, in the order of their days. Opens nothing.
pub(crate) fn all(view: &dyn View, kind: Kind) -> Result<Vec<RowHandle>, Refusal> {
    let range = KeyRange::prefix(&kind.prefix());
    let (table, order) = (Table::Keysets, Direction::Ascending);
    let keys = view.tx().keys(table, &range, order, usize::MAX)?;
    let handles = keys.iter().map(|key| {
        let bytes = key.as_slice().try_into().map_err(|_| DAMAGED)?;
        Ok(RowHandle::from_bytes(bytes))
    });
    handles.collect()
}

/// Where the people map has the holder. It has to be uniform, and need not be secret: a handle names a day
/// and nobody.
fn place(vault: VaultId, handle: RowHandle) -> SubjectId {
    let hash = sha256(&[b"vault/1 holder", vault.as_bytes(), handle.as_bytes()]);
    SubjectId::from_bytes(hash[..16].try_into().expect("sixteen of thirty-two"))
}

/// A holder with its keys.
pub(crate) struct Holder {
    entry: PersonEntry,
    keyset: Keyset,
}

impl Holder {
    /// The holder with this handle, unless it is gone.
    pub(crate) fn find(view: &dyn View, handle: RowHandle) -> Result<Option<Self>, Refusal> {
        let place = place(view.vault(), handle);
        let Some(entry) = view.entry(place)? else {
            return Ok(None);
        };
        if entry.handle != handle {
            return Err(DAMAGED);
        }
        let keyset = Keyset::load(view.vault(), view.tx(), &entry)?;
        match keyset.subject == place {
            true => Ok(Some(Self { entry, keyset })),
            false => Err(Refusal::Internal("a keyset is another person's")),
        }
    }

    /// The same, made where there is none.
    pub(crate) fn ensure(txn: &mut Txn<'_>, handle: RowHandle) -> Result<Self, Refusal> {
        if let Some(there) = Self::find(txn, handle)? {
            return Ok(there);
        }
        let place = place(txn.vault(), handle);
        let entry = PersonEntry {
            handle,
            ..PersonEntry::generate(txn.entropy())
        };
        let mut keyset = Keyset::generate(place, txn.entropy());
        keyset.succeed(Compartment::GENERAL, txn.entropy());
        txn.insert_person(place, &entry);
        let holder = Self { entry, keyset };
        holder.store(txn)?;
        Ok(holder)
    }

    fn store(&self, txn: &mut Txn<'_>) -> Result<(), Refusal> {
        let vault = txn.vault();
        Ok(self.keyset.store(vault, txn, &self.entry)?)
    }

    /// What tokens are made with that stand for values; it goes with the others.
    pub(crate) fn token_key(&self) -> Secret<32> {
        hkdf(&[self.keyset.audit.expose()], b"", "vault/1 log token", &[])
    }

    /// Where its rows lie.
    pub(crate) fn handle(&self) -> RowHandle {
        self.entry.handle
    }

    fn located<'a>(location: &Location<'a>) -> Location<'a> {
        Location {
            compartment: Compartment::GENERAL.number,
            ..*location
        }
    }

    /// Seals under its key; the compartment is put into the location.
    pub(crate) fn seal(&self, location: &Location<'_>, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let dek = self.keyset.newest(Compartment::GENERAL).ok_or(DAMAGED)?;
        seal(&dek.key, dek.number, &Self::located(location), bytes)
            .map_err(|_| Refusal::TooLarge("a value is over the limit".into()))
    }

    /// Opens what was sealed under its key.
    pub(crate) fn unseal(
        &self,
        location: &Location<'_>,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let number = key_number(envelope).ok_or(DAMAGED)?;
        let dek = self.keyset.key(number).ok_or(DAMAGED)?;
        unseal(&dek.key, &Self::located(location), envelope).map_err(|_| DAMAGED)
    }

    /// Destroys its keys. The rows under them are ciphertext from then on, for the caller to delete.
    pub(crate) fn shred(self, txn: &mut Txn<'_>) -> Result<(), Refusal> {
        let place = place(txn.vault(), self.entry.handle);
        txn.shred_person(place);
        Ok(txn.delete(Table::Keysets, self.entry.handle.as_bytes())?)
    }

    /// New keys in the place of all. The caller seals the rows again, in the same commit, with what this
    /// returns: the old keys open and the new ones seal.
    pub(crate) fn renew(self, txn: &mut Txn<'_>) -> Result<(Self, Self), Refusal> {
        let place = place(txn.vault(), self.entry.handle);
        let mut keyset = Keyset::generate(place, txn.entropy());
        keyset.succeed(Compartment::GENERAL, txn.entropy());
        let entry = self.entry.with_new_kek(txn.entropy());
        txn.replace_kek(place, &entry);
        let renewed = Self { entry, keyset };
        renewed.store(txn)?;
        Ok((self, renewed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_handle_says_that_it_is_nobodys_and_of_which_day_and_no_person_has_such() {
        let mut entropy = SeededEntropy::new(3);
        for part in [0, 1, u16::MAX] {
            let handle = Kind::Notices.handle(20_000, part);
            assert!(handle.is_nobodys());
            assert_eq!(day_of(handle), 20_000);
            assert!(handle.as_bytes().starts_with(&Kind::Notices.prefix()));
        }
        let handles = [Kind::Notices.handle(1, 0), Kind::Notices.handle(1, 1)];
        let vault = VaultId::generate(&mut entropy);
        assert_ne!(place(vault, handles[0]), place(vault, handles[1]));
        let another = VaultId::generate(&mut entropy);
        assert_ne!(place(vault, handles[0]), place(another, handles[0]));
        let log = of_log(20_000, 0x7ffe, 3);
        assert_eq!((day_of(log), log_of(log)), (20_000, (0x7ffe, 3)));
        assert!(log.is_nobodys() && !log.as_bytes().starts_with(&Kind::Notices.prefix()));
        for _ in 0..1_000 {
            assert!(!RowHandle::generate(&mut entropy).is_nobodys());
        }
    }
}

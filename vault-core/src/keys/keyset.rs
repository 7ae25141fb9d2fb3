//! One person's keys: a random DEK for each compartment and period, the audit key, and the list of
//! index entries that must be shredded with them.
//!
//! The keyset is sealed under the person's KEK, which lies in the people map. Under an unchanged
//! KEK a keyset only gains; a key leaves it together with the KEK. Knows nothing of what is sealed
//! under a DEK.

mod form;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::shred::{ShredError, Tag};
use super::system::PERSON_BYTES;
use crate::crypto::{Location, Secret, seal, unseal};
use crate::entropy::Entropy;
use crate::id::{RowHandle, SubjectId, VaultId};
use crate::limits::KEYS_PER_PERSON_MAX;
use crate::store::{ReadTx, Table, WriteTx};

/// What can be destroyed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Compartment {
    /// 0 control, 1 general, 2 consents, 3 answers, 4 conversations, 16 and a collection's id where that expires by age,
    /// 32,768 and a stream's number for lines of a log.
    pub number: u16,
    /// Hours since 1970 when the period began; 0 where there are no periods.
    pub period: u32,
}

impl Compartment {
    /// The person's row itself: when created, channel identities, flags.
    pub const CONTROL: Self = Self {
        number: 0,
        period: 0,
    };
    /// Records of collections that do not expire by age.
    pub const GENERAL: Self = Self {
        number: 1,
        period: 0,
    };
    /// The number of the compartments of answers, a day each.
    pub const ANSWERS: u16 = 3;
    /// The number of the compartments of conversations, a day each.
    pub const TALKS: u16 = 4;
    /// Consents and refusals.
    pub const CONSENTS: Self = Self {
        number: 2,
        period: 0,
    };

    /// The compartment of answers that are remembered, on the UTC day that holds `hour`.
    #[must_use]
    pub fn answers(hour: u32) -> Self {
        Self {
            number: Self::ANSWERS,
            period: hour - hour % 24,
        }
    }

    /// The compartment of conversations as they were stored last on the UTC day that holds `hour`.
    #[must_use]
    pub fn talks(hour: u32) -> Self {
        Self {
            number: Self::TALKS,
            period: hour - hour % 24,
        }
    }

    /// Where the compartments of logs begin.
    const LOGS: u16 = 0x8000;

    /// The compartment of a person's lines of the stream with this number, on a UTC day since 1970.
    #[must_use]
    pub fn log(stream: u16, day: u32) -> Self {
        Self {
            number: Self::LOGS | stream,
            period: day.saturating_mul(24),
        }
    }

    /// The stream whose lines lie here, and of which day they are.
    #[must_use]
    pub fn log_of(self) -> Option<(u16, u32)> {
        let stream = self.number.checked_sub(Self::LOGS)?;
        Some((stream, self.period / 24))
    }

    /// The compartment of a collection that expires by age, in the period of length `period_hours`
    /// that holds `hour`.
    #[must_use]
    pub fn period(collection: u16, period_hours: u32, hour: u32) -> Self {
        Self {
            number: 16 + collection,
            period: hour - hour % period_hours.max(1),
        }
    }
}

/// A data encryption key.
#[derive(Debug)]
pub struct Dek {
    /// Its number in this keyset, never given twice.
    pub number: u32,
    /// What it seals.
    pub compartment: Compartment,
    /// The key.
    pub key: Secret<32>,
}

/// An index entry that the person has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// Collection and field.
    pub field: (u16, u16),
    /// Which index keys the mark is made with.
    pub set: u32,
    /// The inner mark of the value.
    pub mark: [u8; 32],
}

/// The keyset row.
#[derive(Debug)]
pub struct Keyset {
    /// Whose it is.
    pub subject: SubjectId,
    /// Makes the tag that links a day's evidence of this person.
    pub audit: Secret<32>,
    /// The keys, oldest first.
    pub keys: Vec<Dek>,
    /// The index entries.
    pub lookups: Vec<Lookup>,
    next_number: u32,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lookup{:?}", self.field)
    }
}

impl Keyset {
    /// A new person's keyset.
    pub fn generate(subject: SubjectId, entropy: &mut dyn Entropy) -> Self {
        Self {
            subject,
            audit: Secret::generate(entropy),
            keys: Vec::new(),
            lookups: Vec::new(),
            next_number: 1,
        }
    }

    /// The key with this number.
    #[must_use]
    pub fn key(&self, number: u32) -> Option<&Dek> {
        self.keys.iter().find(|dek| dek.number == number)
    }

    /// The key that the compartment is written under: its newest.
    #[must_use]
    pub fn newest(&self, compartment: Compartment) -> Option<&Dek> {
        self.keys
            .iter()
            .rev()
            .find(|dek| dek.compartment == compartment)
    }

    /// Opens a new key for the compartment; its number, or `None` if the keyset is full.
    pub fn add(&mut self, compartment: Compartment, entropy: &mut dyn Entropy) -> Option<u32> {
        if self.keys.len() >= KEYS_PER_PERSON_MAX {
            return None;
        }
        Some(self.succeed(compartment, entropy))
    }

    /// Opens a key for a compartment whose old one is to go, and lies beside it until then: a full
    /// keyset takes as many again.
    ///
    /// # Panics
    ///
    /// If four thousand million keys have been opened.
    pub fn succeed(&mut self, compartment: Compartment, entropy: &mut dyn Entropy) -> u32 {
        let number = self.next_number;
        self.next_number = number.checked_add(1).expect("fewer keys than that");
        self.keys.push(Dek {
            number,
            compartment,
            key: Secret::generate(entropy),
        });
        number
    }

    /// The number of the key that was opened last; 0 before the first.
    #[must_use]
    pub fn highest(&self) -> u32 {
        self.next_number - 1
    }

    /// Writes the keyset under `kek`.
    ///
    /// # Errors
    ///
    /// [`ShredError::Store`].
    pub fn store(
        &self,
        vault: VaultId,
        tx: &mut dyn WriteTx,
        person: &PersonEntry,
    ) -> Result<(), ShredError> {
        tx.put(
            Table::Keysets,
            person.handle.as_bytes(),
            &self.seal(vault, person),
        )?;
        Ok(())
    }

    /// The row of the keyset, under `person`'s KEK.
    #[must_use]
    pub fn seal(&self, vault: VaultId, person: &PersonEntry) -> Vec<u8> {
        let row = person.handle.as_bytes();
        let location = Location::row(vault, Table::Keysets.number(), row);
        seal(&person.kek, 0, &location, &self.encode()).expect("a keyset is far below the limit")
    }

    /// Reads the keyset of `person`.
    ///
    /// # Errors
    ///
    /// [`ShredError::Damaged`] if it is missing or does not open; [`ShredError::Store`].
    pub fn load(vault: VaultId, tx: &dyn ReadTx, person: &PersonEntry) -> Result<Self, ShredError> {
        let sealed = tx.get(Table::Keysets, person.handle.as_bytes())?;
        let sealed = sealed.ok_or(ShredError::Damaged)?;
        let bytes = Self::open(vault, person, &sealed).ok_or(ShredError::Damaged)?;
        Self::decode(&bytes).map_err(|_| ShredError::Damaged)
    }

    /// The text of a keyset's row; `None` if it does not open under `person`'s KEK.
    #[must_use]
    pub fn open(vault: VaultId, person: &PersonEntry, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let row = person.handle.as_bytes();
        let location = Location::row(vault, Table::Keysets.number(), row);
        unseal(&person.kek, &location, sealed).ok()
    }
}

/// What the people map holds of a person.
#[derive(Debug)]
pub struct PersonEntry {
    /// Seals the keyset.
    pub kek: Secret<32>,
    /// Where the person's rows lie.
    pub handle: RowHandle,
}

impl PersonEntry {
    /// A fresh KEK and handle.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            kek: Secret::generate(entropy),
            handle: RowHandle::generate(entropy),
        }
    }

    /// The same rows under a new KEK.
    pub fn with_new_kek(&self, entropy: &mut dyn Entropy) -> Self {
        Self {
            kek: Secret::generate(entropy),
            handle: self.handle,
        }
    }

    /// As an entry of the people map.
    #[must_use]
    pub fn to_payload(&self) -> Zeroizing<[u8; PERSON_BYTES]> {
        let mut payload = Zeroizing::new([0; PERSON_BYTES]);
        payload[..32].copy_from_slice(self.kek.expose());
        payload[32..].copy_from_slice(self.handle.as_bytes());
        payload
    }

    /// From an entry of the people map.
    #[must_use]
    pub fn from_payload(payload: &[u8; PERSON_BYTES]) -> Self {
        Self {
            kek: Secret::from_slice(&payload[..32]).expect("thirty-two bytes"),
            handle: RowHandle::from_bytes(payload[32..].try_into().expect("sixteen bytes")),
        }
    }
}

/// The tag of a person in the people map: subject ids are uniform already.
#[must_use]
pub fn people_tag(subject: SubjectId) -> Tag {
    *subject.as_bytes()
}

//! The system keyset: random keys that outlive every person, in a root of their own.
//!
//! Nothing that contains personal data, or could be computed from it, may be sealed under one of
//! these. Knows which keys there are; not who uses them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ring::KeyRing;
use super::shred::{RootKey, ShredError, ShredMap};
use super::slots::SlotTarget;
use crate::crypto::{HmacBegun, Location, Secret, hkdf, hmac, seal, unseal};
use crate::entropy::Entropy;
use crate::id::{RowHandle, SubjectId, VaultId};
use crate::row;
use crate::store::{ReadTx, Table, WriteTx};

/// Bytes of an entry of the people map: KEK, row handle.
pub const PERSON_BYTES: usize = 48;
/// Bytes of an entry of the index map: inner mark, subject id, row handle.
pub const INDEX_BYTES: usize = 64;
/// The people map: subject id to KEK and row handle.
pub type PeopleMap = ShredMap<PERSON_BYTES>;
/// The index map: place of a look-up value to subjects.
pub type IndexMap = ShredMap<INDEX_BYTES>;

const SYSTEM_ROW: [u8; 1] = [3];

/// The people map of a vault.
#[must_use]
pub fn people(vault: VaultId) -> PeopleMap {
    ShredMap::new(vault, 1, 0)
}

/// The index map of a vault, as it was built the `generation`th time.
#[must_use]
pub fn index(vault: VaultId, generation: u32) -> IndexMap {
    ShredMap::new(vault, 2, generation)
}

/// What all root nodes derive from in one epoch: root key and anchor secret together.
#[derive(Debug)]
pub struct Roots {
    vault: VaultId,
    /// The epoch of the anchor secret.
    pub epoch: u64,
    base: Secret<32>,
    /// Opens the people map.
    pub people: RootKey,
}

impl Roots {
    /// The roots of `epoch`. Neither secret alone says anything about them.
    #[must_use]
    pub fn derive(
        vault: VaultId,
        epoch: u64,
        root_key: &Secret<32>,
        anchor_secret: &Secret<32>,
    ) -> Self {
        let material: [&[u8]; 2] = [root_key.expose(), anchor_secret.expose()];
        let context: [&[u8]; 1] = [&epoch.to_be_bytes()];
        let base = hkdf(&material, vault.as_bytes(), "vault/1 epoch", &context);
        let key = hkdf(&[base.expose()], &[], "vault/1 people root", &[]);
        Self {
            vault,
            epoch,
            people: RootKey { epoch, key },
            base,
        }
    }

    /// Opens the index map of this generation.
    #[must_use]
    pub fn index(&self, generation: u32) -> RootKey {
        let context: [&[u8]; 1] = [&generation.to_be_bytes()];
        RootKey {
            epoch: self.epoch,
            key: hkdf(&[self.base.expose()], &[], "vault/1 index root", &context),
        }
    }

    /// A copy, for a commit that changes the system keyset alone.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            vault: self.vault,
            epoch: self.epoch,
            base: self.base.duplicate(),
            people: RootKey {
                epoch: self.epoch,
                key: self.people.key.duplicate(),
            },
        }
    }

    fn system(&self) -> Secret<32> {
        hkdf(&[self.base.expose()], &[], "vault/1 system root", &[])
    }

    /// The people map that these roots open.
    #[must_use]
    pub fn people_map(&self) -> PeopleMap {
        people(self.vault)
    }

    /// The index map of this generation.
    #[must_use]
    pub fn index_map(&self, generation: u32) -> IndexMap {
        index(self.vault, generation)
    }
}

/// A key that says where in the index map a look-up value lies, for one building of the map.
#[derive(Debug, Serialize, Deserialize)]
pub struct Placement {
    /// Which building.
    pub generation: u32,
    /// Which index keys its marks are made with.
    pub set: u32,
    key: Secret<32>,
}

impl Placement {
    /// A fresh key for this generation, of marks of this set.
    pub fn generate(generation: u32, set: u32, entropy: &mut dyn Entropy) -> Self {
        Self {
            generation,
            set,
            key: Secret::generate(entropy),
        }
    }

    /// What the tags of all entries with this inner mark begin with.
    #[must_use]
    pub fn prefix(&self, mark: &[u8; 32]) -> [u8; 8] {
        Places::prefix(&self.begun(b"value"), mark)
    }

    /// The tag of the entry of one value and one person.
    #[must_use]
    pub fn tag(&self, mark: &[u8; 32], handle: &RowHandle) -> [u8; 16] {
        self.places().tag(mark, handle)
    }

    /// The tags of many entries.
    #[must_use]
    pub fn places(&self) -> Places {
        Places {
            value: self.begun(b"value"),
            person: self.begun(b"person"),
        }
    }

    fn begun(&self, what: &[u8]) -> HmacBegun {
        HmacBegun::new(&self.key, &[what])
    }

    fn duplicate(&self) -> Self {
        Self {
            generation: self.generation,
            set: self.set,
            key: self.key.duplicate(),
        }
    }
}

/// Where entries of the index stand, by one placement key.
pub struct Places {
    value: HmacBegun,
    person: HmacBegun,
}

impl Places {
    fn prefix(value: &HmacBegun, mark: &[u8; 32]) -> [u8; 8] {
        let place = value.of(&[mark]);
        place[..8].try_into().expect("eight of thirty-two")
    }

    /// The tag of the entry of one value and one person.
    #[must_use]
    pub fn tag(&self, mark: &[u8; 32], handle: &RowHandle) -> [u8; 16] {
        let person = self.person.of(&[&mark[..], handle.as_bytes()]);
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&Self::prefix(&self.value, mark));
        tag[8..].copy_from_slice(&person[..8]);
        tag
    }
}

/// The entry of the index for one value of one person: where it stands, and what it holds.
#[must_use]
pub fn index_entry(
    places: &Places,
    mark: &[u8; 32],
    subject: SubjectId,
    handle: RowHandle,
) -> ([u8; 16], Zeroizing<[u8; INDEX_BYTES]>) {
    let mut payload = Zeroizing::new([0; INDEX_BYTES]);
    payload[..32].copy_from_slice(mark);
    payload[32..48].copy_from_slice(subject.as_bytes());
    payload[48..].copy_from_slice(handle.as_bytes());
    (places.tag(mark, &handle), payload)
}

/// The keys that marks of look-up values are made with, one a field.
#[derive(Debug, Serialize, Deserialize)]
struct IndexKeys {
    set: u32,
    keys: BTreeMap<(u16, u16), Secret<32>>,
}

/// A key that signed checkpoints once: its public half, and what shows that the next one is the vault's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastSigner {
    /// The Ed25519 public key.
    pub key: [u8; 32],
    /// It signed checkpoints over at most so many entries of the log.
    pub until: u64,
    /// It signed heads of the erasure ledger of at most so many entries.
    pub ledger: u64,
    /// A note that names the next key, signed by both.
    pub note: String,
}

/// The system keyset.
#[derive(Debug, Serialize, Deserialize)]
pub struct SystemKeys {
    /// Seals policies, API keys, tombstones: rows that belong to nobody.
    pub system: KeyRing,
    /// Seals the entries of the evidence log and the frames of the read journal.
    pub audit: KeyRing,
    /// Seed of the key that signs checkpoints.
    pub signing: Secret<32>,
    /// The keys that signed before it, oldest first.
    pub signers: Vec<PastSigner>,
    /// Seals the erasure ledger; every key part of a backup holds it.
    pub ledger: Secret<32>,
    /// One set, or two while everybody's marks are made anew.
    index: Vec<IndexKeys>,
    /// One, or two while the index is being built anew: writes go to all, look-ups to the first.
    pub placements: Vec<Placement>,
    /// The slots that a new root key is sealed to.
    pub slots: Vec<SlotTarget>,
    /// The number of the next slot; 0 once 255 have been given, and from then on those that are free.
    pub next_slot: u8,
    /// The epoch in which a system or audit key was last destroyed; 0 for never. Copies of rows from
    /// before it are worth nothing with keys from after it.
    pub retired_epoch: u64,
}

/// See [`SystemKeys::suppression`].
pub(crate) fn suppression_key(ledger: &Secret<32>) -> Secret<32> {
    hkdf(&[ledger.expose()], &[], "vault/1 suppression", &[])
}

/// The field id pair that stands for `{channel, user}`.
pub const CHANNEL_FIELD: (u16, u16) = (0, 0);
/// The field id pair that stands for pseudonyms that were issued. It has a key from the first of them on.
pub const PSEUDONYM_FIELD: (u16, u16) = (0, 1);
/// The field id pair that stands for the id of a request. Its marks are the same in every set and need no key.
pub const REQUEST_FIELD: (u16, u16) = (0, 2);
/// The same for the id of a decision.
pub const DECISION_FIELD: (u16, u16) = (0, 6);

impl SystemKeys {
    /// The keys of a new vault.
    pub fn generate(slots: Vec<SlotTarget>, entropy: &mut dyn Entropy) -> Self {
        let next_slot = slots.iter().map(|slot| slot.number).max().unwrap_or(0) + 1;
        let mut keys = Self {
            system: KeyRing::generate(entropy),
            audit: KeyRing::generate(entropy),
            signing: Secret::generate(entropy),
            signers: Vec::new(),
            ledger: Secret::generate(entropy),
            index: vec![IndexKeys {
                set: 0,
                keys: BTreeMap::new(),
            }],
            placements: vec![Placement::generate(0, 0, entropy)],
            slots,
            next_slot,
            retired_epoch: 0,
        };
        keys.add_index(CHANNEL_FIELD, entropy);
        keys
    }

    /// Whether look-ups by this field have a key.
    #[must_use]
    pub fn has_index(&self, field: (u16, u16)) -> bool {
        self.index.iter().all(|set| set.keys.contains_key(&field))
    }

    /// Gives look-ups by this field (collection, field) a key, if they have none.
    pub fn add_index(&mut self, field: (u16, u16), entropy: &mut dyn Entropy) {
        for set in &mut self.index {
            set.keys
                .entry(field)
                .or_insert_with(|| Secret::generate(entropy));
        }
    }

    /// The set that look-ups are made with.
    #[must_use]
    pub fn index_set(&self) -> u32 {
        let first = self.placements.first().map(|placement| placement.set);
        first.unwrap_or_else(|| self.index.first().map_or(0, |keys| keys.set))
    }

    /// Every set that a look-up value has a mark of: one, or two while marks are made anew.
    #[must_use]
    pub fn index_sets(&self) -> Vec<u32> {
        self.index.iter().map(|keys| keys.set).collect()
    }

    /// Opens a set of index keys, one for every field that has one, and a building of the index that
    /// is of its marks; which generation that is.
    pub fn open_index_set(&mut self, entropy: &mut dyn Entropy) -> u32 {
        let set = self.index.iter().map(|keys| keys.set).max().unwrap_or(0) + 1;
        let fields = self.index.iter().flat_map(|keys| keys.keys.keys());
        let fields: Vec<(u16, u16)> = fields.copied().collect();
        let keys = fields
            .into_iter()
            .map(|field| (field, Secret::generate(entropy)));
        let keys = keys.collect();
        self.index.push(IndexKeys { set, keys });
        self.open_placement(set, entropy)
    }

    /// Opens another building of the index, of marks of this set; which generation it is.
    pub fn open_placement(&mut self, set: u32, entropy: &mut dyn Entropy) -> u32 {
        let last = self.placements.iter().map(|p| p.generation).max();
        let generation = last.map_or(0, |last| last + 1);
        self.placements
            .push(Placement::generate(generation, set, entropy));
        generation
    }

    /// Ends every building but this one, and the index keys that no building is of.
    pub fn keep_placement(&mut self, generation: u32) {
        self.placements
            .retain(|placement| placement.generation == generation);
        let set = self.index_set();
        self.index.retain(|keys| keys.set == set);
    }

    /// The inner mark that a look-up value is found by: HMAC under the key of its field, over
    /// normaliser version and normal form. `None` if the field has no key.
    #[must_use]
    pub fn mark(&self, field: (u16, u16), normaliser: u8, normal: &[u8]) -> Option<[u8; 32]> {
        let set = self.index_set();
        let keys = self.index.iter().find(|keys| keys.set == set)?;
        let key = keys.keys.get(&field)?;
        Some(hmac(key, &[&[normaliser], normal]))
    }

    /// The key that the suppression list finds addresses by.
    ///
    /// Derived from the ledger's key, which no rotation replaces and every key part of a backup has: a hash
    /// cannot be made anew without the address, so this one lives as long as the list (docs/decisions/0022).
    #[must_use]
    pub fn suppression(&self) -> Secret<32> {
        suppression_key(&self.ledger)
    }

    /// Every mark that a look-up value has to have, with its set: one, or two while marks are made
    /// anew.
    #[must_use]
    pub fn marks(&self, field: (u16, u16), normaliser: u8, normal: &[u8]) -> Vec<(u32, [u8; 32])> {
        let of = |keys: &IndexKeys| {
            let key = keys.keys.get(&field)?;
            Some((keys.set, hmac(key, &[&[normaliser], normal])))
        };
        self.index.iter().filter_map(of).collect()
    }

    /// A copy to change; the original stays what readers use until the change is committed.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let index = self.index.iter().map(|keys| IndexKeys {
            set: keys.set,
            keys: keys.keys.iter().map(|(k, v)| (*k, v.duplicate())).collect(),
        });
        Self {
            system: self.system.duplicate(),
            audit: self.audit.duplicate(),
            signing: self.signing.duplicate(),
            signers: self.signers.clone(),
            ledger: self.ledger.duplicate(),
            index: index.collect(),
            placements: self.placements.iter().map(Placement::duplicate).collect(),
            slots: self.slots.clone(),
            next_slot: self.next_slot,
            retired_epoch: self.retired_epoch,
        }
    }

    /// The keys that a backup takes along: all but what belongs to one place, look-up positions and
    /// the slots of this vault. Of the index keys, those that look-ups are made with.
    #[must_use]
    pub fn for_backup(&self) -> Self {
        let mut keys = self.duplicate();
        let set = keys.index_set();
        keys.index.retain(|keys| keys.set == set);
        Self {
            placements: Vec::new(),
            slots: Vec::new(),
            ..keys
        }
    }

    /// The keys of a backup in a new place, which has no slots yet.
    #[must_use]
    pub fn in_new_place(self, entropy: &mut dyn Entropy) -> Self {
        let set = self.index_set();
        Self {
            placements: vec![Placement::generate(0, set, entropy)],
            slots: Vec::new(),
            ..self
        }
    }

    /// With the first slots of their place.
    #[must_use]
    pub fn with_slots(self, slots: Vec<SlotTarget>) -> Self {
        let next_slot = slots.iter().map(|slot| slot.number).max().unwrap_or(0) + 1;
        Self {
            next_slot,
            slots,
            ..self
        }
    }

    /// Reads the keyset with the roots of the present epoch; `None` if it does not open under
    /// them, which is how recovery finds out which epoch was committed.
    ///
    /// # Errors
    ///
    /// [`ShredError::Store`]; [`ShredError::Damaged`] if it opens and is not of its form.
    pub fn load(
        vault: VaultId,
        tx: &dyn ReadTx,
        roots: &Roots,
    ) -> Result<Option<Self>, ShredError> {
        let sealed = tx
            .get(Table::Nodes, &SYSTEM_ROW)?
            .ok_or(ShredError::Damaged)?;
        let revision = roots.epoch.to_be_bytes();
        let location = Location {
            revision: &revision,
            ..Location::row(vault, Table::Nodes.number(), &SYSTEM_ROW)
        };
        let Ok(bytes) = unseal(&roots.system(), &location, &sealed) else {
            return Ok(None);
        };
        row::decode(&bytes)
            .map(Some)
            .map_err(|_| ShredError::Damaged)
    }

    /// Writes the keyset under `roots`.
    ///
    /// # Errors
    ///
    /// [`ShredError::Store`].
    pub fn store(
        &self,
        vault: VaultId,
        tx: &mut dyn WriteTx,
        roots: &Roots,
    ) -> Result<(), ShredError> {
        let revision = roots.epoch.to_be_bytes();
        let location = Location {
            revision: &revision,
            ..Location::row(vault, Table::Nodes.number(), &SYSTEM_ROW)
        };
        let sealed = seal(&roots.system(), 0, &location, &row::encode(self))
            .expect("a keyset is far below the limit");
        tx.put(Table::Nodes, &SYSTEM_ROW, &sealed)?;
        Ok(())
    }
}

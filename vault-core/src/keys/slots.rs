//! Key slots: the root key, sealed once for every secret that may open the vault.
//!
//! As in LUKS, but a slot is sealed to a public key whose private half derives from the secret, so
//! that a new root key reaches every slot without asking anyone for a secret. The public halves are
//! kept in the system keyset, not here: whoever can write this file could put in one of their own.
//! Knows nothing of the database or of the anchor.
//!
//! Source: LUKS2 On-Disk Format §3; RFC 7748; docs/format.md "Key slots".

use std::io;

use serde::{Deserialize, Serialize};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::crypto::{Argon2Params, Location, Secret, argon2id, hkdf, seal, sha256, unseal};
use crate::entropy::Entropy;
use crate::id::VaultId;
use crate::limits::SLOTS_MAX;
use crate::medium::Medium;

/// Length of the slots file: two areas, written alternately.
pub const SLOTS_FILE_BYTES: usize = 2 * AREA_BYTES;
const AREA_BYTES: usize = 64 << 10;
const MAGIC: &[u8; 8] = b"vlt-slot";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8 + 1 + 16 + 8 + 1;
/// Number, kind, salt, parameters, ephemeral public key, commitment, envelope of the root key.
const SLOT_BYTES: usize = 1 + 1 + 16 + 12 + 32 + 32 + SEALED_BYTES;
const SEALED_BYTES: usize = 32 + crate::crypto::ENVELOPE_OVERHEAD;
/// The number that stands for a table in the associated data of a slot.
const TABLE: u8 = 0x81;

/// How a slot's secret becomes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredKind", try_from = "StoredKind")]
pub enum SlotKind {
    /// A passphrase, through Argon2id.
    Passphrase,
    /// 160 random bits, through HKDF.
    RecoveryKey,
    /// The content of a file, through HKDF.
    KeyFile,
    /// A secret that some of several shares give, through HKDF.
    Shares,
}

/// The kinds by their numbers in a row. The third has been a fault for as long as there are vectors,
/// which stay true: it never becomes a kind.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum StoredKind {
    Passphrase,
    RecoveryKey,
    None,
    KeyFile,
    Shares,
}

impl From<SlotKind> for StoredKind {
    fn from(kind: SlotKind) -> Self {
        match kind {
            SlotKind::Passphrase => Self::Passphrase,
            SlotKind::RecoveryKey => Self::RecoveryKey,
            SlotKind::KeyFile => Self::KeyFile,
            SlotKind::Shares => Self::Shares,
        }
    }
}

impl TryFrom<StoredKind> for SlotKind {
    type Error = &'static str;

    fn try_from(kind: StoredKind) -> Result<Self, &'static str> {
        match kind {
            StoredKind::Passphrase => Ok(Self::Passphrase),
            StoredKind::RecoveryKey => Ok(Self::RecoveryKey),
            StoredKind::None => Err("no kind of slot"),
            StoredKind::KeyFile => Ok(Self::KeyFile),
            StoredKind::Shares => Ok(Self::Shares),
        }
    }
}

impl SlotKind {
    fn byte(self) -> u8 {
        match self {
            Self::Passphrase => 1,
            Self::RecoveryKey => 2,
            Self::KeyFile => 3,
            Self::Shares => 4,
        }
    }

    /// The name, in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::RecoveryKey => "recovery_key",
            Self::KeyFile => "key_file",
            Self::Shares => "shares",
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Passphrase),
            2 => Some(Self::RecoveryKey),
            3 => Some(Self::KeyFile),
            4 => Some(Self::Shares),
            _ => None,
        }
    }
}

/// What the system keyset remembers of a slot, so as to seal a new root key to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotTarget {
    /// The slot's number, never given twice.
    pub number: u8,
    /// How its secret becomes a key.
    pub kind: SlotKind,
    /// What the operator calls it.
    pub label: String,
    /// Seconds since 1970.
    pub created_at: i64,
    salt: [u8; 16],
    cost: [u32; 3],
    public: [u8; 32],
}

impl SlotTarget {
    /// A slot for `secret`. Takes as long as Argon2id takes for a passphrase.
    ///
    /// `None` if the memory for Argon2id cannot be had.
    pub fn new(
        number: u8,
        kind: SlotKind,
        label: String,
        created_at: i64,
        secret: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Option<Self> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let cost = Argon2Params::DEFAULT;
        let private = private_half(kind, secret, &salt, cost)?;
        Some(Self {
            number,
            kind,
            label,
            created_at,
            salt,
            cost: cost.parts(),
            public: PublicKey::from(&private).to_bytes(),
        })
    }
}

/// The slots could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotsError {
    /// Neither area holds slots of this vault.
    #[error("the key slots are damaged")]
    Damaged,
    /// The operating system refused.
    #[error("could not read or write the key slots")]
    Io(#[from] io::Error),
}

/// A root key that a secret has opened.
pub struct OpenedSlot {
    /// The slot's number.
    pub number: u8,
    /// The generation of the area it was found in.
    pub generation: u64,
    /// The root key.
    pub root_key: Secret<32>,
}

/// What a slot shows without its secret. Whoever can write the file could have written this: it is
/// good for advice and for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenSlot {
    /// Its number.
    pub number: u8,
    /// How its secret becomes a key.
    pub kind: SlotKind,
    /// Of Argon2id, for a passphrase: memory in KiB, passes, lanes.
    pub cost: [u32; 3],
}

/// The slots file.
pub struct SlotFile {
    vault: VaultId,
    medium: Box<dyn Medium>,
}

impl SlotFile {
    /// The slots of `vault` on `medium`.
    #[must_use]
    pub fn new(vault: VaultId, medium: Box<dyn Medium>) -> Self {
        Self { vault, medium }
    }

    /// The vault that the slots on `medium` are for, according to the file.
    ///
    /// # Errors
    ///
    /// [`SlotsError::Damaged`] if neither area is whole; [`SlotsError::Io`].
    pub fn vault_of(medium: &dyn Medium) -> Result<VaultId, SlotsError> {
        for area in 0..2 {
            if let Some(area) = Area::read(medium, area)? {
                return Ok(area.vault);
            }
        }
        Err(SlotsError::Damaged)
    }

    /// Tries `secret` on every slot of its kind: the root keys that it opens, newest generation
    /// first. More than one is found only where a rotation was cut off.
    ///
    /// # Errors
    ///
    /// [`SlotsError::Damaged`] if there is no whole area; [`SlotsError::Io`].
    pub fn open(&self, kind: SlotKind, secret: &[u8]) -> Result<Vec<OpenedSlot>, SlotsError> {
        let mut areas = Vec::new();
        for area in 0..2 {
            areas.extend(Area::read(&*self.medium, area)?.filter(|a| a.vault == self.vault));
        }
        if areas.is_empty() {
            return Err(SlotsError::Damaged);
        }
        areas.sort_by_key(|area| std::cmp::Reverse(area.generation));
        let mut opened = Vec::new();
        // The same slot stands in both areas with the same salt: Argon2id runs once for it.
        let mut derived: Vec<([u8; 16], [u32; 3], StaticSecret)> = Vec::new();
        for area in &areas {
            for slot in area.slots.iter().filter(|slot| slot.kind == kind) {
                let known = derived
                    .iter()
                    .position(|(salt, cost, _)| *salt == slot.salt && *cost == slot.cost);
                let index = match known {
                    Some(index) => index,
                    None => {
                        let [memory, passes, lanes] = slot.cost;
                        let Some(cost) = Argon2Params::new(memory, passes, lanes) else {
                            continue;
                        };
                        let Some(private) = private_half(kind, secret, &slot.salt, cost) else {
                            continue;
                        };
                        derived.push((slot.salt, slot.cost, private));
                        derived.len() - 1
                    }
                };
                if let Some(root_key) = slot.open(self.vault, area.generation, &derived[index].2) {
                    opened.push(OpenedSlot {
                        number: slot.number,
                        generation: area.generation,
                        root_key,
                    });
                }
            }
        }
        Ok(opened)
    }

    /// The slots of the newest area, as anybody who can read the file sees them.
    ///
    /// # Errors
    ///
    /// As for [`SlotFile::open`].
    pub fn seen(&self) -> Result<Vec<SeenSlot>, SlotsError> {
        let mut newest: Option<Area> = None;
        for index in 0..2 {
            let area = Area::read(&*self.medium, index)?.filter(|area| area.vault == self.vault);
            if let Some(area) = area
                && newest
                    .as_ref()
                    .is_none_or(|before| before.generation < area.generation)
            {
                newest = Some(area);
            }
        }
        let slots = newest.ok_or(SlotsError::Damaged)?.slots.into_iter();
        let seen = slots.map(|slot| SeenSlot {
            number: slot.number,
            kind: slot.kind,
            cost: slot.cost,
        });
        Ok(seen.collect())
    }

    /// The newest generation in the file.
    ///
    /// # Errors
    ///
    /// As for [`SlotFile::open`].
    pub fn generation(&self) -> Result<u64, SlotsError> {
        let mut newest = None;
        for area in 0..2 {
            newest = newest.max(Area::read(&*self.medium, area)?.map(|area| area.generation));
        }
        newest.ok_or(SlotsError::Damaged)
    }

    /// Seals `root_key` to every target, as `generation`, into the area that the generation before
    /// does not use, and flushes. [`SlotFile::scrub_all_but`] ends the older.
    ///
    /// # Errors
    ///
    /// [`SlotsError::Io`].
    pub fn write(
        &self,
        generation: u64,
        root_key: &Secret<32>,
        targets: &[SlotTarget],
        entropy: &mut dyn Entropy,
    ) -> Result<(), SlotsError> {
        let area = encode_area(self.vault, generation, root_key, targets, entropy);
        self.medium.write_at(offset_of(generation), &area)?;
        Ok(self.medium.sync()?)
    }

    /// Overwrites the area that does not hold `generation`, and flushes.
    ///
    /// # Errors
    ///
    /// [`SlotsError::Io`].
    pub fn scrub_all_but(
        &self,
        generation: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<(), SlotsError> {
        let mut noise = vec![0; AREA_BYTES];
        entropy.fill(&mut noise);
        self.medium.write_at(offset_of(generation + 1), &noise)?;
        Ok(self.medium.sync()?)
    }
}

/// What a new slots file holds.
#[must_use]
pub fn image(
    vault: VaultId,
    root_key: &Secret<32>,
    targets: &[SlotTarget],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let generation = 1;
    let mut image = vec![0; SLOTS_FILE_BYTES];
    entropy.fill(&mut image);
    let start = usize::try_from(offset_of(generation)).expect("two small areas");
    let area = encode_area(vault, generation, root_key, targets, entropy);
    image[start..start + AREA_BYTES].copy_from_slice(&area);
    image
}

fn offset_of(generation: u64) -> u64 {
    (generation % 2) * AREA_BYTES as u64
}

fn private_half(
    kind: SlotKind,
    secret: &[u8],
    salt: &[u8; 16],
    cost: Argon2Params,
) -> Option<StaticSecret> {
    let stretched = match kind {
        SlotKind::Passphrase => argon2id(secret, salt, cost)?,
        SlotKind::RecoveryKey => hkdf(&[secret], salt, "vault/1 recovery key", &[]),
        SlotKind::KeyFile => hkdf(&[secret], salt, "vault/1 key file", &[]),
        SlotKind::Shares => hkdf(&[secret], salt, "vault/1 shares", &[]),
    };
    let private = hkdf(
        &[stretched.expose()],
        salt,
        "vault/1 slot private half",
        &[],
    );
    Some(StaticSecret::from(*private.expose()))
}

/// The key that seals the root key in a slot, and the commitment to it: the cipher itself opens
/// under more than one key for whoever makes the ciphertext.
fn slot_key(shared: &[u8; 32], ephemeral: &[u8; 32], public: &[u8; 32]) -> (Secret<32>, [u8; 32]) {
    let context: [&[u8]; 2] = [ephemeral, public];
    let key = hkdf(&[shared], &[], "vault/1 slot key", &context);
    let commitment = hkdf(&[shared], &[], "vault/1 slot commitment", &context);
    (key, *commitment.expose())
}

struct Area {
    vault: VaultId,
    generation: u64,
    slots: Vec<StoredSlot>,
}

struct StoredSlot {
    number: u8,
    kind: SlotKind,
    salt: [u8; 16],
    cost: [u32; 3],
    ephemeral: [u8; 32],
    commitment: [u8; 32],
    sealed: [u8; SEALED_BYTES],
}

impl Area {
    /// The area, or `None` if its hash does not fit: never written, torn or scrubbed.
    fn read(medium: &dyn Medium, index: u64) -> Result<Option<Self>, SlotsError> {
        let mut bytes = vec![0; AREA_BYTES];
        medium.read_at(index * AREA_BYTES as u64, &mut bytes)?;
        Ok(Self::decode(&bytes))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if &bytes[..8] != MAGIC || bytes[8] != VERSION {
            return None;
        }
        let count = usize::from(bytes[33]);
        if count > SLOTS_MAX {
            return None;
        }
        let end = HEADER_BYTES + count * SLOT_BYTES;
        if sha256(&[&bytes[..end]]) != bytes[end..end + 32] {
            return None;
        }
        Some(Self {
            vault: VaultId::from_bytes(bytes[9..25].try_into().ok()?),
            generation: u64::from_be_bytes(bytes[25..33].try_into().ok()?),
            slots: bytes[HEADER_BYTES..end]
                .chunks_exact(SLOT_BYTES)
                .map(StoredSlot::decode)
                .collect::<Option<_>>()?,
        })
    }
}

impl StoredSlot {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at(2);
        let (salt, rest) = rest.split_at(16);
        let (cost, rest) = rest.split_at(12);
        let (ephemeral, rest) = rest.split_at(32);
        let (commitment, sealed) = rest.split_at(32);
        let part = |index: usize| {
            let bytes = cost[4 * index..4 * index + 4].try_into().ok()?;
            Some(u32::from_be_bytes(bytes))
        };
        Some(Self {
            number: head[0],
            kind: SlotKind::from_byte(head[1])?,
            salt: salt.try_into().ok()?,
            cost: [part(0)?, part(1)?, part(2)?],
            ephemeral: ephemeral.try_into().ok()?,
            commitment: commitment.try_into().ok()?,
            sealed: sealed.try_into().ok()?,
        })
    }

    fn open(&self, vault: VaultId, generation: u64, private: &StaticSecret) -> Option<Secret<32>> {
        let public = PublicKey::from(private);
        let shared = private.diffie_hellman(&PublicKey::from(self.ephemeral));
        if !shared.was_contributory() {
            return None;
        }
        let (key, commitment) = slot_key(shared.as_bytes(), &self.ephemeral, public.as_bytes());
        if commitment != self.commitment {
            return None;
        }
        let row = associated_row(self.number, self.kind, &self.salt, &self.cost);
        let location = Location {
            revision: &generation.to_be_bytes(),
            ..Location::row(vault, TABLE, &row)
        };
        Secret::from_slice(&unseal(&key, &location, &self.sealed).ok()?)
    }
}

/// Number, kind, salt and parameters are authenticated, so that nobody makes guessing cheaper.
fn associated_row(number: u8, kind: SlotKind, salt: &[u8; 16], cost: &[u32; 3]) -> Vec<u8> {
    let mut row = vec![number, kind.byte()];
    row.extend_from_slice(salt);
    row.extend(cost.iter().flat_map(|part| part.to_be_bytes()));
    row
}

fn encode_area(
    vault: VaultId,
    generation: u64,
    root_key: &Secret<32>,
    targets: &[SlotTarget],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    assert!(targets.len() <= SLOTS_MAX, "checked when a slot is added");
    let mut area = Vec::with_capacity(AREA_BYTES);
    area.extend_from_slice(MAGIC);
    area.push(VERSION);
    area.extend_from_slice(vault.as_bytes());
    area.extend_from_slice(&generation.to_be_bytes());
    area.push(u8::try_from(targets.len()).expect("at most SLOTS_MAX"));
    for target in targets {
        let ephemeral_seed = Secret::<32>::generate(entropy);
        let private = StaticSecret::from(*ephemeral_seed.expose());
        let ephemeral = PublicKey::from(&private).to_bytes();
        let shared = private.diffie_hellman(&PublicKey::from(target.public));
        let (key, commitment) = slot_key(shared.as_bytes(), &ephemeral, &target.public);
        let row = associated_row(target.number, target.kind, &target.salt, &target.cost);
        let location = Location {
            revision: &generation.to_be_bytes(),
            ..Location::row(vault, TABLE, &row)
        };
        let sealed = seal(&key, 0, &location, root_key.expose()).expect("a key is short");
        area.extend_from_slice(&row);
        area.extend_from_slice(&ephemeral);
        area.extend_from_slice(&commitment);
        area.extend_from_slice(&sealed);
    }
    let hash = sha256(&[&area]);
    area.extend_from_slice(&hash);
    let used = area.len();
    area.resize(AREA_BYTES, 0);
    entropy.fill(&mut area[used..]);
    area
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::medium::MemoryMedium;

    const VAULT: VaultId = VaultId::from_bytes([5; 16]);

    fn key(seed: u64) -> Secret<32> {
        Secret::generate(&mut SeededEntropy::new(seed))
    }

    fn recovery(number: u8, secret: &[u8]) -> SlotTarget {
        let entropy = &mut SeededEntropy::new(u64::from(number));
        let kind = SlotKind::RecoveryKey;
        SlotTarget::new(number, kind, String::new(), 0, secret, entropy).unwrap()
    }

    fn file(targets: &[SlotTarget]) -> (SlotFile, MemoryMedium) {
        let entropy = &mut SeededEntropy::new(7);
        let medium = MemoryMedium::new(image(VAULT, &key(1), targets, entropy));
        (SlotFile::new(VAULT, Box::new(medium.clone())), medium)
    }

    #[test]
    fn each_secret_opens_its_own_slot_and_no_other_opens_any() {
        let entropy = &mut SeededEntropy::new(8);
        let passphrase = b"correct horse battery";
        let kind = SlotKind::Passphrase;
        let first = SlotTarget::new(1, kind, "a".into(), 0, passphrase, entropy).unwrap();
        let (file, _) = file(&[first, recovery(2, b"recovery")]);
        let opened = file.open(SlotKind::Passphrase, passphrase).unwrap();
        assert!(opened.len() == 1 && opened[0].number == 1 && opened[0].root_key == key(1));
        let opened = file.open(SlotKind::RecoveryKey, b"recovery").unwrap();
        assert!(opened.len() == 1 && opened[0].number == 2);
        assert!(
            file.open(SlotKind::RecoveryKey, passphrase)
                .unwrap()
                .is_empty()
        );
        assert!(
            file.open(SlotKind::Passphrase, b"correct horse batterz")
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_new_root_key_reaches_every_slot_without_a_secret_and_the_old_one_goes() {
        let targets = [recovery(1, b"one"), recovery(2, b"two")];
        let (file, _) = file(&targets);
        let entropy = &mut SeededEntropy::new(10);
        file.write(2, &key(2), &targets, entropy).unwrap();
        let both = file.open(SlotKind::RecoveryKey, b"two").unwrap();
        assert_eq!(
            both.len(),
            2,
            "a rotation that is cut off here can go either way"
        );
        assert!(both[0].root_key == key(2) && both[1].root_key == key(1));
        file.scrub_all_but(2, entropy).unwrap();
        for secret in [b"one", b"two"] {
            let left = file.open(SlotKind::RecoveryKey, secret).unwrap();
            assert!(left.len() == 1 && left[0].root_key == key(2));
        }
        assert_eq!(file.generation().unwrap(), 2);
    }

    #[test]
    fn a_changed_slot_does_not_open() {
        let (_, medium) = file(&[recovery(1, b"one")]);
        let start = usize::try_from(offset_of(1)).unwrap();
        let end = HEADER_BYTES + SLOT_BYTES;
        for index in HEADER_BYTES..end {
            let mut bytes = medium.bytes();
            bytes[start + index] ^= 1;
            // Whoever changes the file can compute its hash as well.
            let hash = sha256(&[&bytes[start..start + end]]);
            bytes[start + end..start + end + 32].copy_from_slice(&hash);
            let changed = SlotFile::new(VAULT, Box::new(MemoryMedium::new(bytes)));
            let opened = changed.open(SlotKind::RecoveryKey, b"one");
            assert!(
                opened.map_or(true, |opened| opened.is_empty()),
                "byte {index}"
            );
        }
    }

    #[test]
    fn a_torn_area_leaves_the_other() {
        let targets = [recovery(1, b"one")];
        let (file, medium) = file(&targets);
        medium.fail_from(Some(1));
        let entropy = &mut SeededEntropy::new(11);
        assert!(file.write(2, &key(2), &targets, entropy).is_err());
        medium.fail_from(None);
        let opened = file.open(SlotKind::RecoveryKey, b"one").unwrap();
        assert!(opened.iter().any(|slot| slot.root_key == key(1)));
    }
}

//! From an unlock secret and the files beside the database to the keys of every root, as
//! docs/format.md "Key slots", "Anchor" and "Derivations" describe them.

#![expect(missing_docs, reason = "members are named as in docs/format.md")]

use x25519_dalek::{PublicKey, StaticSecret};

use super::cipher::{Id, Key, Place, derive, open, sha256, stretch};
use super::list::base32;

/// A slot in one area of the slots file.
pub struct Slot {
    pub vault: Id,
    pub generation: u64,
    bytes: Vec<u8>,
}

impl Slot {
    /// Its number.
    pub fn number(&self) -> u8 {
        self.bytes[0]
    }

    /// What opens it: 1 a passphrase, 2 a recovery key, 3 a key file, 4 shares.
    pub fn kind(&self) -> u8 {
        self.bytes[1]
    }

    /// Its salt.
    pub fn salt(&self) -> &[u8] {
        &self.bytes[2..18]
    }

    /// Argon2id's memory in KiB, passes and lanes.
    pub fn cost(&self) -> [u32; 3] {
        let part = |at: usize| u32::from_be_bytes(self.bytes[at..at + 4].try_into().unwrap());
        [part(18), part(22), part(26)]
    }

    /// The private half that a secret stretches to.
    pub fn private_half(&self, secret: &[u8]) -> Key {
        let stretched = match self.kind() {
            1 => stretch(secret, self.salt(), self.cost()),
            2 => derive(&[secret], self.salt(), "vault/1 recovery key", &[]),
            3 => derive(&[secret], self.salt(), "vault/1 key file", &[]),
            4 => derive(&[secret], self.salt(), "vault/1 shares", &[]),
            other => panic!("no slot of kind {other}"),
        };
        derive(&[&stretched], self.salt(), "vault/1 slot private half", &[])
    }

    /// The root key, if the slot is sealed to this private half.
    pub fn root_key(&self, private: &Key) -> Option<Key> {
        let public = public_half(private);
        let private = StaticSecret::from(*private);
        let ephemeral: [u8; 32] = self.bytes[30..62].try_into().unwrap();
        let shared = private.diffie_hellman(&ephemeral.into());
        let context: [&[u8]; 2] = [&ephemeral, &public];
        let material = [&shared.as_bytes()[..]];
        let commitment = derive(&material, &[], "vault/1 slot commitment", &context);
        let key = derive(&material, &[], "vault/1 slot key", &context);
        let place = Place {
            revision: &self.generation.to_be_bytes(),
            ..Place::row(0x81, &self.bytes[..30])
        };
        let root = open(&key, &self.vault, &place, &self.bytes[94..])?;
        assert_eq!(commitment, self.bytes[62..94], "the slot's commitment");
        Some(root.try_into().unwrap())
    }
}

/// The public half that belongs to a private one.
pub fn public_half(private: &Key) -> Key {
    PublicKey::from(&StaticSecret::from(*private)).to_bytes()
}

/// The slots in the areas that hold any.
pub fn slots(file: &[u8]) -> Vec<Slot> {
    assert_eq!(file.len(), 128 << 10);
    let mut slots = Vec::new();
    for (index, area) in file.chunks(64 << 10).enumerate() {
        if !area.starts_with(b"vlt-slot\x01") {
            continue;
        }
        let generation = u64::from_be_bytes(area[25..33].try_into().unwrap());
        assert_eq!(generation % 2, index as u64, "even generations first");
        let end = 34 + 172 * usize::from(area[33]);
        assert_eq!(sha256(&area[..end]), area[end..end + 32], "the area's hash");
        slots.extend(area[34..end].chunks(172).map(|slot| Slot {
            vault: area[9..25].try_into().unwrap(),
            generation,
            bytes: slot.to_vec(),
        }));
    }
    slots
}

/// A root key and the vault that it is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Root {
    pub vault: Id,
    pub key: Key,
}

/// What opens a slot.
#[derive(Clone)]
pub enum Secret {
    /// A passphrase, byte by byte.
    Passphrase(String),
    /// The twenty bytes of a recovery key.
    RecoveryKey(Vec<u8>),
}

impl Secret {
    /// A recovery key as it was shown; its checksum is not looked at.
    #[must_use]
    pub fn recovery_key(text: &str) -> Option<Self> {
        let digits = text.trim().replace('-', "").to_lowercase();
        let bytes = base32(digits.get(..32)?)?;
        Some(Self::RecoveryKey(bytes))
    }
}

/// Every root key that the secret opens; none, if it opens no slot.
pub fn roots_of(file: &[u8], secret: &Secret) -> Vec<Root> {
    let (kind, bytes) = match secret {
        Secret::Passphrase(text) => (1, text.as_bytes()),
        Secret::RecoveryKey(bytes) => (2, &bytes[..]),
    };
    let mut roots = Vec::new();
    for slot in slots(file).iter().filter(|slot| slot.kind() == kind) {
        let private = slot.private_half(bytes);
        roots.extend(slot.root_key(&private).map(|key| Root {
            vault: slot.vault,
            key,
        }));
    }
    roots
}

/// Every root key that the passphrase opens.
///
/// # Panics
///
/// If there is none.
pub fn roots(file: &[u8], passphrase: &str) -> Vec<Root> {
    let roots = roots_of(file, &Secret::Passphrase(passphrase.to_owned()));
    assert!(!roots.is_empty(), "the passphrase opens a slot");
    roots
}

/// One of the two slots of an anchor, whatever lies there.
pub struct AnchorSlot<'a> {
    pub vault: &'a [u8],
    pub epoch: u64,
    pub secret: &'a [u8],
    /// Whether magic, version and hash are those of a slot in use.
    pub whole: bool,
}

/// Both slots of an anchor file, of the even epochs first.
pub fn anchor_slots(file: &[u8]) -> [AnchorSlot<'_>; 2] {
    assert_eq!(file.len(), 1 << 20);
    [65_536, 589_824].map(|at| {
        let page = &file[at..at + 4096];
        AnchorSlot {
            vault: &page[9..25],
            epoch: u64::from_be_bytes(page[25..33].try_into().unwrap()),
            secret: &page[33..65],
            whole: page.starts_with(b"vlt-anch\x01") && sha256(&page[..65]) == page[65..97],
        }
    })
}

/// The keys of the roots of one epoch.
pub struct Epoch {
    pub vault: Id,
    pub epoch: u64,
    base: Key,
}

impl Epoch {
    /// The keys that root key and secret give in this epoch.
    pub fn new(root: &Root, epoch: u64, secret: &[u8]) -> Self {
        let context: [&[u8]; 1] = [&epoch.to_be_bytes()];
        let material: [&[u8]; 2] = [&root.key, secret];
        Self {
            vault: root.vault,
            epoch,
            base: derive(&material, &root.vault, "vault/1 epoch", &context),
        }
    }

    /// Opens the root of the people map.
    pub fn people(&self) -> Key {
        derive(&[&self.base], &[], "vault/1 people root", &[])
    }

    /// Opens the root of the index of this generation.
    pub fn index(&self, generation: u32) -> Key {
        let context: [&[u8]; 1] = [&generation.to_be_bytes()];
        derive(&[&self.base], &[], "vault/1 index root", &context)
    }

    /// Opens the system keyset.
    pub fn system(&self) -> Key {
        derive(&[&self.base], &[], "vault/1 system root", &[])
    }
}

/// The epochs that root keys and an anchor give. What a slot that is not in use holds is taken for
/// a secret as well: of the epoch that it names, and of those beside the other slot's.
pub fn epochs(roots: &[Root], anchor: &[u8]) -> Vec<Epoch> {
    let slots = anchor_slots(anchor);
    let used = slots.iter().filter(|slot| slot.whole);
    let beside: Vec<u64> = used
        .flat_map(|slot| [slot.epoch - 1, slot.epoch + 1])
        .collect();
    let mut epochs = Vec::new();
    for root in roots {
        for slot in &slots {
            epochs.push(Epoch::new(root, slot.epoch, slot.secret));
            if !slot.whole {
                let guesses = beside.iter();
                epochs.extend(guesses.map(|epoch| Epoch::new(root, *epoch, slot.secret)));
            }
        }
    }
    epochs
}

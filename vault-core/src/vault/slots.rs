//! The slots of an open vault: listed, added, tried, removed. Each change makes a new root key.

use jiff::Timestamp;

use super::secret::Passphrase;
use super::token::Call;
use super::{RecoveryKey, SlotKind, UnlockSecret, Vault, create, input};
use crate::commit::View;
use crate::entropy::OsEntropy;
use crate::keys::slots::SlotTarget;
use crate::keys::system::SystemKeys;
use crate::limits::{LABEL_BYTES_MAX, SLOTS_MAX};
use crate::person::instant;
use crate::policy::Capability;
use crate::refusal::Refusal;

/// A key slot.
#[derive(Clone, Debug)]
pub struct SlotView {
    /// Its number; those that became free are given again once 255 have been.
    pub number: u8,
    /// What opens it.
    pub kind: SlotKind,
    /// What the operator calls it.
    pub label: String,
    /// Since when.
    pub created_at: Timestamp,
}

impl From<&SlotTarget> for SlotView {
    fn from(slot: &SlotTarget) -> Self {
        Self {
            number: slot.number,
            kind: slot.kind,
            label: slot.label.clone(),
            created_at: instant(slot.created_at * 1000),
        }
    }
}

impl Vault {
    /// The key slots.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn slots(&self, call: &Call<'_>) -> Result<Vec<SlotView>, Refusal> {
        self.read(
            call,
            "key_slots.list",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::KeysManage)?;
                Ok(snapshot.system().slots.iter().map(SlotView::from).collect())
            },
            |slots| slots,
        )
    }

    /// Adds a slot that a passphrase opens.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`], [`Refusal::TooLarge`] beyond 16 slots, [`Refusal::Invalid`] for the
    /// label.
    pub fn add_passphrase_slot(
        &self,
        call: &Call<'_>,
        passphrase: &Passphrase,
        label: &str,
    ) -> Result<SlotView, Refusal> {
        let kind = SlotKind::Passphrase;
        self.put_slot(call, kind, passphrase.bytes(), label, None)
    }

    /// Adds a slot that a new recovery key opens.
    ///
    /// # Errors
    ///
    /// As for [`Vault::add_passphrase_slot`].
    pub fn add_recovery_slot(
        &self,
        call: &Call<'_>,
        label: &str,
    ) -> Result<(SlotView, RecoveryKey), Refusal> {
        let key = RecoveryKey::generate(&mut OsEntropy);
        let slot = self.put_slot(call, SlotKind::RecoveryKey, key.bytes(), label, None)?;
        Ok((slot, key))
    }

    /// Adds a slot that this secret opens. A slot that it takes the place of goes in the same commit.
    ///
    /// # Errors
    ///
    /// As for [`Vault::add_passphrase_slot`]; [`Refusal::NotFound`] where there is none to replace.
    pub fn add_slot(
        &self,
        call: &Call<'_>,
        secret: &UnlockSecret,
        label: &str,
        replaces: Option<u8>,
    ) -> Result<SlotView, Refusal> {
        self.put_slot(call, secret.kind(), secret.bytes(), label, replaces)
    }

    fn put_slot(
        &self,
        call: &Call<'_>,
        kind: SlotKind,
        secret: &[u8],
        label: &str,
        replaces: Option<u8>,
    ) -> Result<SlotView, Refusal> {
        self.require(call, Capability::KeysManage.name())?;
        if label.len() > LABEL_BYTES_MAX {
            let detail = format!("at most {LABEL_BYTES_MAX} bytes");
            return Err(Refusal::Invalid(vec![input::error(
                "/label", "length", detail,
            )]));
        }
        // Argon2id takes a tenth of a second, which the writer must not wait for.
        let now = self.engine.now().as_second();
        let target = SlotTarget::new(0, kind, label.into(), now, secret, &mut OsEntropy)
            .ok_or(Refusal::Internal("there is not enough memory for Argon2id"))?;
        self.write(call, "key_slots.add", move |txn, policy, context, _| {
            context.principal.require(policy, Capability::KeysManage)?;
            let mut keys = txn.system().duplicate();
            if let Some(replaced) = replaces {
                let before = keys.slots.len();
                keys.slots.retain(|slot| slot.number != replaced);
                if keys.slots.len() == before {
                    return Err(Refusal::NotFound("key slot"));
                }
            }
            if keys.slots.len() >= SLOTS_MAX {
                let what = format!("a vault has at most {SLOTS_MAX} slots; remove one first");
                return Err(Refusal::TooLarge(what));
            }
            let number = next_number(&mut keys);
            let mut slot = target.clone();
            slot.number = number;
            let view = SlotView::from(&slot);
            keys.slots.push(slot);
            txn.replace_system(keys);
            txn.ask_for_new_root_key();
            Ok(view)
        })
    }

    /// Removes a slot: its secret opens nothing from the answer on, not even together with an
    /// older copy of the slots file and today's database. What is left to look at, if anything is.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`]; [`Refusal::Conflict`] for the last one; [`Refusal::RoleDenied`].
    pub fn remove_slot(
        &self,
        call: &Call<'_>,
        number: u8,
    ) -> Result<Option<&'static str>, Refusal> {
        self.write(call, "key_slots.remove", move |txn, policy, context, _| {
            context.principal.require(policy, Capability::KeysManage)?;
            let mut keys = txn.system().duplicate();
            if !keys.slots.iter().any(|slot| slot.number == number) {
                return Err(Refusal::NotFound("key slot"));
            }
            if keys.slots.len() == 1 {
                return Err(Refusal::Conflict(
                    "this is the last slot, and without it nothing opens the vault: add another \
                     (`slot add`), try it (`slot test`), then remove this one"
                        .into(),
                ));
            }
            keys.slots.retain(|slot| slot.number != number);
            let warning = only_recovery_keys(keys.slots.iter().map(|slot| slot.kind));
            txn.replace_system(keys);
            txn.ask_for_new_root_key();
            Ok(warning)
        })
    }

    /// The slot that a secret opens.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::Internal`] if the slots cannot be read.
    pub fn test_slot(&self, call: &Call<'_>, secret: &UnlockSecret) -> Result<Option<u8>, Refusal> {
        self.require(call, Capability::KeysManage.name())?;
        let unreadable = Refusal::Internal("the key slots cannot be read");
        let slots = create::slot_file(&self.paths).map_err(|_| unreadable)?.0;
        let opened = slots
            .open(secret.kind(), secret.bytes())
            .map_err(|_| Refusal::Internal("the key slots cannot be read"))?;
        Ok(opened.first().map(|slot| slot.number))
    }
}

/// The number of the next slot: upwards, so that none in anybody's notes comes to mean another; once
/// all have been given, the lowest that is free.
fn next_number(keys: &mut SystemKeys) -> u8 {
    let number = match keys.next_slot {
        0 => {
            let taken = |number: &u8| keys.slots.iter().any(|slot| slot.number == *number);
            let free = (1..=u8::MAX).find(|number| !taken(number));
            free.expect("there are fewer slots than numbers")
        }
        next => next,
    };
    keys.next_slot = match keys.next_slot {
        0 => 0,
        next => next.wrapping_add(1),
    };
    number
}

/// What to say of a vault with slots of these kinds.
#[must_use]
pub fn only_recovery_keys(mut kinds: impl Iterator<Item = SlotKind>) -> Option<&'static str> {
    let alone = kinds.all(|kind| kind == SlotKind::RecoveryKey);
    alone.then_some(
        "recovery keys alone open the vault now: each start needs one; add a passphrase, a key file or \
         shares with `slot add`",
    )
}

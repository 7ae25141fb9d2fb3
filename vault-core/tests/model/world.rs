//! The vault that a history happens to: real directories, a clock moved by hand, kill -9 by copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use vault_core::clock::{Clock, ManualClock};
use vault_core::vault::{
    Call, Created, LockedVault, Passphrase, Principal, Settings, UnlockError, UnlockSecret, Vault,
    VaultPaths,
};

use super::policy::Version;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

pub(crate) struct World {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
    locked: Option<LockedVault>,
    pub(crate) vault: Arc<Vault>,
    /// Recovery keys that open the vault, with their slots.
    pub(crate) slots: Vec<(u8, String)>,
    pub(crate) opened: u32,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new directory");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let name = entry.file_name();
        // What they hold says nothing; both are made anew.
        if name != "reserve" && name != "lock" {
            fs::copy(entry.path(), to.join(name)).expect("copied");
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("room for a vault");
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let paths = VaultPaths::beside(&home.path().join("v"));
        let Created {
            locked,
            vault,
            recovery_key,
        } = LockedVault::create(&paths, settings(&clock), &passphrase, &Version::Full.text())
            .expect("a vault is created");
        Self {
            home,
            clock,
            locked: Some(locked),
            vault,
            slots: vec![(2, recovery_key.to_text())],
            opened: 0,
        }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    pub(crate) fn wait(&self, milliseconds: i64) {
        self.clock.advance(milliseconds);
    }

    fn open(&mut self) -> Result<(), String> {
        let paths = VaultPaths::beside(&self.dir("v"));
        let locked = LockedVault::open(&paths, settings(&self.clock))
            .map_err(|error| format!("it does not open: {error}"))?;
        self.opened += 1;
        let (_, key) = &self.slots[self.opened as usize % self.slots.len()];
        self.vault = locked
            .unlock(&secret(key))
            .map_err(|error| format!("it does not unlock: {error}"))?;
        self.locked = Some(locked);
        Ok(())
    }

    pub(crate) fn reopen(&mut self) -> Result<(), String> {
        self.vault.close();
        self.locked = None;
        self.open()
    }

    /// What the next process finds after kill -9: the files as they are now, while the vault is open.
    pub(crate) fn crash(&mut self) -> Result<(), String> {
        copy(&self.dir("v"), &self.dir("w"));
        copy(&self.dir("v-anchor"), &self.dir("w-anchor"));
        self.vault.close();
        self.locked = None;
        for name in ["", "-anchor"] {
            let old = self.dir(&format!("v{name}"));
            fs::remove_dir_all(&old).expect("removed");
            fs::rename(self.dir(&format!("w{name}")), old).expect("renamed");
        }
        self.open()
    }

    /// Whether a recovery key opens a slot of the vault as it lies on the disk.
    pub(crate) fn opens(&self, key: &str) -> Result<bool, String> {
        let keyholder = self.vault.keyholder();
        let found = self.vault.test_slot(&Call::new(&keyholder), &secret(key));
        Ok(found.map_err(|refusal| refusal.to_string())?.is_some())
    }

    /// A principal of a role that lasts for the whole history.
    pub(crate) fn role(&self, role: &str) -> (Principal, String) {
        let keyholder = self.vault.keyholder();
        let made = self.vault.create_token(&Call::new(&keyholder), role, None);
        let (_, secret) = made.expect("the keyholder makes keys");
        let principal = self.vault.authenticate(&secret).expect("just made");
        (principal, secret)
    }

    /// Closes the vault, and says whether a removed secret still opens it.
    pub(crate) fn refuses(&mut self, key: &str) -> Result<(), String> {
        self.vault.close();
        let locked = self.locked.as_ref().expect("held");
        match locked.unlock(&secret(key)).err() {
            Some(UnlockError::NoSlotMatches) => self.reopen(),
            _ => Err("a removed slot's secret opens the vault".into()),
        }
    }
}

fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        confirm_clock: true,
        ..Settings::new(clock.clone())
    }
}

fn secret(text: &str) -> UnlockSecret {
    UnlockSecret::RecoveryKey(text.parse().expect("it was made by the vault"))
}

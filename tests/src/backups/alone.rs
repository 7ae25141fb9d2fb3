//! Backup and restore in processes of their own: how much memory each has, and how fast it is with nothing
//! else to do.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vault_core::backup::target::{Directory, Target};
use vault_core::backup::write::Parts;
use vault_core::backup::{Identity, Manifest, Recipients};
use vault_core::limits::RESTORE_OPENED_PEOPLE;
use vault_core::vault::{
    BackupInput, Call, Keep, LockedVault, RestoreOptions, UnlockSecret, VaultPaths,
};

use super::report::{Alone, Step};
use super::{cipher, in_days, passphrase, quiet, settings};
use crate::memory::{Watch, processor_time};

/// The names of the steps, as the program gives them to itself.
const BACKUP: &str = "backup";
const RESTORE: &str = "restore";

/// Where the identity and the recipient lie for the steps.
pub(super) fn lay_out(root: &Path, identity: &str, recipient: &str) {
    fs::write(root.join("identity"), identity).expect("room for a line");
    fs::write(root.join("recipient"), recipient).expect("room for a line");
}

/// Carries out one step in this process, and tells what it took: seconds, seconds of processors, bytes, KiB.
///
/// # Panics
///
/// If it fails, or is none.
#[must_use]
pub fn step(which: &str, root: &Path) -> String {
    let text = |name: &str| fs::read_to_string(root.join(name)).expect("laid out");
    let done = match which {
        BACKUP => back_up(root, &text("recipient")),
        RESTORE => restore(root, &text("identity")),
        _ => panic!("no step of this name"),
    };
    let peak = done.peak_kib.map_or("-".to_owned(), |kib| kib.to_string());
    let seconds = |of: Duration| of.as_secs_f64();
    let (took, worked) = (seconds(done.took), seconds(done.worked));
    format!("{took} {worked} {} {peak}", done.bytes)
}

/// Measures one piece of work; its bytes are still to be said.
fn measured<T>(work: impl FnOnce() -> T) -> (Step, T) {
    let watch = Watch::begin(std::process::id());
    let worked = processor_time();
    let begun = Instant::now();
    let done = work();
    let took = begun.elapsed();
    let worked = processor_time().zip(worked).map(|(now, then)| now - then);
    let step = Step {
        took,
        worked: worked.unwrap_or_default(),
        bytes: 0,
        peak_kib: watch.peak_kib(),
    };
    (step, done)
}

fn back_up(root: &Path, recipient: &str) -> Step {
    let locked = LockedVault::open(&VaultPaths::beside(&root.join("vault")), settings());
    let locked = locked.expect("a vault");
    let vault = locked
        .unlock(&UnlockSecret::Passphrase(passphrase()))
        .expect("its passphrase");
    let keyholder = vault.keyholder();
    let target: Arc<dyn Target> = Arc::new(Directory::new(root.join("alone")));
    let input = BackupInput {
        parts: Parts::Both,
        recipients: Recipients::parse([recipient]).expect("laid out"),
        keys_expire: in_days(30),
    };
    let job = vault.backup_job().expect("the only one");
    let (step, made) = measured(|| vault.back_up(&Call::new(&keyholder), &target, input, job));
    let bytes = made.expect("a backup").manifest.bytes();
    let none = Keep::default();
    let pruned = vault.prune_backups(&Call::new(&keyholder), &*target, none, false);
    assert_eq!(pruned.expect("it is deleted").backups.len(), 1);
    vault.close();
    Step { bytes, ..step }
}

fn restore(root: &Path, identity: &str) -> Step {
    let passphrase = passphrase();
    let into = VaultPaths::beside(&root.join("restored-alone"));
    let target: Arc<dyn Target> = Arc::new(Directory::new(root.join("target")));
    let options = RestoreOptions {
        target,
        backup: None,
        identity: &Identity::parse(identity).expect("laid out"),
        into: into.clone(),
        passphrase: &passphrase,
        ledgers: vec![root.join("vault/ledger")],
        accept_gap: None,
        opened_people: RESTORE_OPENED_PEOPLE,
        settings: settings(),
    };
    let (step, restored) = measured(|| LockedVault::restore(&options, &quiet));
    let bytes = restored.expect("it comes back").manifest.bytes();
    for dir in [into.dir, into.anchor] {
        fs::remove_dir_all(dir).expect("it was made here");
    }
    Step { bytes, ..step }
}

/// The steps, so often, each between two copies by the cipher. `program` carries out a step when it is
/// called with `--step NAME --root DIR`.
pub(super) fn measure(program: &Path, root: &Path, first: &Manifest, rounds: usize) -> Alone {
    let parts = root.join("target").join(first.backup.to_string());
    let mut alone = Alone::default();
    let run = |which: &str| {
        let mut command = Command::new(program);
        command.args(["--step", which, "--root"]).arg(root);
        let output = command.output().expect("this program");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let told: Vec<&str> = told.split_whitespace().collect();
        let [took, worked, bytes, peak] = told.as_slice() else {
            panic!("{which}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let seconds = |text: &str| Duration::from_secs_f64(text.parse().expect("seconds"));
        Step {
            took: seconds(took),
            worked: seconds(worked),
            bytes: bytes.parse().expect("bytes"),
            peak_kib: peak.parse().ok(),
        }
    };
    let copy = || Step {
        bytes: first.bytes(),
        // This process has done everything else before.
        peak_kib: None,
        ..measured(|| cipher::copy(&parts, first)).0
    };
    for _ in 0..rounds {
        alone.copies.push(copy());
        alone.backup.push(run(BACKUP));
        alone.copies.push(copy());
        alone.restore.push(run(RESTORE));
    }
    alone.copies.push(copy());
    alone
}

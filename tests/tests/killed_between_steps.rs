//! kill -9 before and after every operation on anchor and key slots, while somebody is erased and
//! while the root key is replaced.
//!
//! Counts as failure: an acknowledged write that is gone, an acknowledged erasure that is undone, an
//! erasure that is half done, other people's values that do not open, a vault that does not open or
//! does not erase any more. A real process ends itself with SIGKILL; what it had acknowledged stands
//! in a file that it wrote before going on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::{CallId, SubjectId};
use vault_core::policy::SAMPLE;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    Call, LockedVault, Part, Passphrase, Principal, ReadOptions, Settings, UnlockSecret, Vault,
    VaultPaths,
};
use vault_tests::deadly::{Deadline, Deadly};

/// Where the child finds its orders: directory, recovery key, API key, what to do, when to die, and
/// the people.
const ORDERS: &str = "KILLED_BETWEEN_STEPS";

fn settings() -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    }
}

fn call<'a>(principal: &'a Principal, purpose: Option<&'a str>) -> Call<'a> {
    Call {
        principal,
        purpose,
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn name_of(vault: &Vault, bot: &Principal, subject: SubjectId) -> Result<Option<String>, Refusal> {
    let options = ReadOptions {
        fields: None,
        part: Part::Fields,
    };
    let call = call(bot, Some("support"));
    vault.read_single(&call, subject, "profile", &options, |view, _| {
        view.and_then(|view| view.fields["name"].as_str().map(str::to_owned))
    })
}

fn rename(vault: &Vault, bot: &Principal, subject: SubjectId, name: &str) {
    let body = object(json!({"name": name, "email": format!("{name}@example.test")}));
    let call = call(bot, Some("support"));
    vault
        .patch_single(&call, subject, "profile", body, None)
        .unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Runs only when it is given orders.
#[test]
fn child() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let text = |name: &str| orders[name].as_str().unwrap();
    let paths = VaultPaths::beside(Path::new(text("dir")));
    let turn = u32::try_from(orders["turn"].as_u64().unwrap()).unwrap();
    let deadline = Deadline::new(turn);
    let locked = LockedVault::open(&paths, settings()).unwrap();
    let secret = UnlockSecret::RecoveryKey(text("recovery").parse().unwrap());
    let vault = locked
        .unlock_through(&secret, &|file| Box::new(Deadly(file, deadline.clone())))
        .unwrap();
    let bot = vault.authenticate(text("bot")).unwrap();
    let [ann, ben] = ["ann", "ben"].map(|name| text(name).parse::<SubjectId>().unwrap());
    let acknowledge = |what: &str| {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(text("acknowledged"));
        file.unwrap().write_all(what.as_bytes()).unwrap();
    };
    rename(&vault, &bot, ben, "renamed");
    acknowledge("renamed ");
    deadline.arm();
    let keyholder = vault.keyholder();
    match text("what") {
        "erase" => drop(vault.erase_subject(&call(&keyholder, None), ann).unwrap()),
        "slot" => drop(
            vault
                .add_recovery_slot(&call(&keyholder, None), "second")
                .unwrap(),
        ),
        other => panic!("no such order: {other}"),
    }
    acknowledge("done ");
    deadline.disarm();
    rename(&vault, &bot, ben, "afterwards");
    acknowledge("afterwards");
}

/// What one death left behind.
struct Outcome {
    killed: bool,
    erased: bool,
}

fn die_and_look(base: &Path, orders: &Value, what: &str, turn: u32) -> Outcome {
    let work = tempfile::tempdir().unwrap();
    let dir = work.path().join("v");
    copy(&base.join("v"), &dir);
    copy(&base.join("v-anchor"), &work.path().join("v-anchor"));
    let acknowledged = work.path().join("acknowledged");
    File::create(&acknowledged).unwrap();
    let mut orders = orders.clone();
    orders["what"] = what.into();
    orders["turn"] = turn.into();
    orders["dir"] = dir.to_str().unwrap().into();
    orders["acknowledged"] = acknowledged.to_str().unwrap().into();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads=1"])
        .env(ORDERS, orders.to_string())
        .output()
        .unwrap();
    let killed = output.status.signal() == Some(9);
    assert!(
        killed || output.status.success(),
        "{what} {turn}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    let acknowledged = fs::read_to_string(&acknowledged).unwrap();
    assert!(acknowledged.starts_with("renamed "), "{what} {turn}");
    assert_eq!(killed, !acknowledged.ends_with("afterwards"));

    let text = |name: &str| orders[name].as_str().unwrap();
    let locked = LockedVault::open(&VaultPaths::beside(&dir), settings()).unwrap();
    let secret = UnlockSecret::RecoveryKey(text("recovery").parse().unwrap());
    let vault = locked.unlock(&secret).unwrap();
    let bot = vault.authenticate(text("bot")).unwrap();
    let [ann, ben] = ["ann", "ben"].map(|name| text(name).parse::<SubjectId>().unwrap());
    let expected = if killed { "renamed" } else { "afterwards" };
    let found = name_of(&vault, &bot, ben).unwrap();
    assert_eq!(found.as_deref(), Some(expected), "{what} {turn}");
    let find =
        |address: &str| vault.lookup_field(&call(&bot, None), "profile.email", &json!(address));
    let erased = match name_of(&vault, &bot, ann) {
        Ok(name) => {
            assert_eq!(name.as_deref(), Some("ann"), "{what} {turn}");
            assert_eq!(find("ann@example.test").unwrap(), ann);
            false
        }
        Err(Refusal::Erased { .. }) => {
            assert!(find("ann@example.test").is_err(), "{what} {turn}");
            true
        }
        Err(other) => panic!("{what} {turn}: {other:?}"),
    };
    assert!(what == "erase" || !erased);
    assert!(erased || what != "erase" || !acknowledged.contains("done"));
    // And everything goes on: another erasure, another write, another opening.
    let keyholder = vault.keyholder();
    if !erased {
        vault.erase_subject(&call(&keyholder, None), ann).unwrap();
    }
    rename(&vault, &bot, ben, "last");
    vault.close();
    drop(vault);
    let vault = locked.unlock(&secret).unwrap();
    let found = name_of(&vault, &bot, ben).unwrap();
    assert_eq!(found.as_deref(), Some("last"), "{what} {turn}");
    assert!(matches!(
        name_of(&vault, &bot, ann),
        Err(Refusal::Erased { .. })
    ));
    Outcome { killed, erased }
}

#[test]
fn a_kill_between_any_two_operations_loses_nothing_and_brings_nothing_back() {
    let base = tempfile::tempdir().unwrap();
    let paths = VaultPaths::beside(&base.path().join("v"));
    let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
    let created = LockedVault::create(&paths, settings(), &passphrase, SAMPLE).unwrap();
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let (_, token) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&token).unwrap();
    let person = |name: &str| {
        let call = call(&bot, Some("support"));
        let (subject, _) = vault.create_subject(&call, "web", name).unwrap();
        rename(&vault, &bot, subject, name);
        subject.to_string()
    };
    let orders = json!({
        "recovery": created.recovery_key.to_text(),
        "bot": token,
        "ann": person("ann"),
        "ben": person("ben"),
    });
    vault.close();
    drop((vault, created.locked));
    for what in ["erase", "slot"] {
        let mut outcomes = Vec::new();
        loop {
            let turn = u32::try_from(outcomes.len()).unwrap() + 1;
            let outcome = die_and_look(base.path(), &orders, what, turn);
            let killed = outcome.killed;
            outcomes.push(outcome);
            if !killed {
                break;
            }
        }
        let deaths = outcomes.len() - 1;
        // Two slots of the anchor, each written in two parts and flushed.
        assert!(deaths >= 2 * 5, "{what}: {deaths}");
        if what == "erase" {
            let undone = outcomes.iter().filter(|outcome| !outcome.erased).count();
            // Dead before the commit: not erased; from the commit on: erased. After it a checkpoint is
            // written into the anchor as well, and flushed with the slot.
            assert_eq!((undone, deaths), (5, 13));
        }
    }
}

//! kill -9 between any two operations on anchor and key slots, while somebody is erased and while a
//! slot is added, and the reader after the recovery.
//!
//! Counts as failure: with the copies from before, from the moment of death and from after the recovery,
//! and the anchor of after, anything of somebody whose erasure had been committed is found; or, after the
//! erasure that is then asked for again, of anybody else who was to be erased.
//!
//! The control: the files as the death left them, with the anchor as it left it, give everything of whoever
//! was erased as long as the old secret had not been overwritten; that must be so at some deaths after
//! the commit, or nothing was tried. It is printed at which.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::{CallId, SubjectId};
use vault_core::refusal::Refusal;
use vault_core::vault::{
    Call, LockedVault, Part, Passphrase, Principal, ReadOptions, Settings, UnlockSecret, Vault,
    VaultPaths,
};
use vault_tests::deadly::{Deadline, Deadly};

use super::files::Image;
use super::hunt::QUIETLY;
use super::list::Item;
use super::scene::POLICY;
use super::search::{Evidence, Report, search};
use super::unlock::Secret;

/// Where the child finds its orders.
const ORDERS: &str = "FORENSIC_KILLED";

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

fn open(dir: &Path) -> LockedVault {
    LockedVault::open(&VaultPaths::beside(dir), settings()).unwrap()
}

/// Runs only when it is given orders.
#[test]
fn child() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let text = |name: &str| orders[name].as_str().unwrap();
    let deadline = Deadline::new(u32::try_from(orders["turn"].as_u64().unwrap()).unwrap());
    let secret = UnlockSecret::RecoveryKey(text("recovery").parse().unwrap());
    let through =
        |file| -> Box<dyn vault_core::medium::Medium> { Box::new(Deadly(file, deadline.clone())) };
    let locked = open(Path::new(text("dir")));
    let vault = locked.unlock_through(&secret, &through).unwrap();
    deadline.arm();
    let keyholder = vault.keyholder();
    let call = call(&keyholder, None);
    match text("what") {
        "erase" => drop(
            vault
                .erase_subject(&call, text("ann").parse().unwrap())
                .unwrap(),
        ),
        "slot" => drop(vault.add_recovery_slot(&call, "second").unwrap()),
        other => panic!("no such order: {other}"),
    }
    deadline.disarm();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Ann, and what can be found of her.
fn list(subject: &str) -> Vec<Item> {
    vec![
        Item::Value("Ann Vandermolen".into()),
        Item::Value("ann@mail.example.test".into()),
        Item::Channel {
            channel: "web".into(),
            user: "user-ann".into(),
        },
        Item::parse(&format!("subject:{subject}")).unwrap(),
    ]
}

const EVERYTHING: (usize, usize) = (4, 3);

fn there(vault: &Vault, bot: &Principal, ann: SubjectId) -> bool {
    let options = ReadOptions {
        fields: None,
        part: Part::Fields,
    };
    match vault.read_single(
        &call(bot, Some("support")),
        ann,
        "profile",
        &options,
        |_, _| (),
    ) {
        Ok(()) => true,
        Err(Refusal::Erased { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// What one death left, and what was found: whether it was a death, whether Ann was erased by it, whether
/// the files of that moment gave her.
struct Outcome {
    killed: bool,
    erased: bool,
    given: bool,
}

fn die_and_look(base: &Path, before: &Image, orders: &Value, what: &str, turn: u32) -> Outcome {
    let work = tempfile::tempdir().unwrap();
    let (dir, anchor) = (work.path().join("v"), work.path().join("v-anchor"));
    copy(&base.join("v"), &dir);
    copy(&base.join("v-anchor"), &anchor);
    let mut orders = orders.clone();
    orders["what"] = what.into();
    orders["turn"] = turn.into();
    orders["dir"] = dir.to_str().unwrap().into();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--test-threads=1"])
        .env(ORDERS, orders.to_string())
        .output()
        .unwrap();
    let killed = output.status.signal() == Some(9);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(killed || output.status.success(), "{what} {turn}: {told}");
    let dead = Image::read(&dir, &anchor).unwrap();

    let text = |name: &str| orders[name].as_str().unwrap();
    let secret = UnlockSecret::RecoveryKey(text("recovery").parse().unwrap());
    let locked = open(&dir);
    let vault = locked.unlock(&secret).unwrap();
    let bot = vault.authenticate(text("bot")).unwrap();
    let ann: SubjectId = text("ann").parse().unwrap();
    let erased = !there(&vault, &bot, ann);
    vault.close();
    drop(vault);
    let recovered = Image::read(&dir, &anchor).unwrap();
    let secrets = [Secret::recovery_key(text("recovery")).unwrap()];
    let look = |evidence: &Evidence<'_>| {
        let report: Report = search(evidence, &secrets, &list(text("ann")), QUIETLY).unwrap();
        (report.values(), report.positions())
    };
    // The moment of death: its own anchor, in which there may be two secrets.
    let given = look(&Evidence::of(&[before, &dead]));
    assert!(
        [(0, 0), EVERYTHING].contains(&given),
        "{what} {turn}: {given:?}"
    );
    let found = look(&Evidence::of(&[before, &dead, &recovered]));
    let expected = match erased {
        true => (0, 0),
        false => EVERYTHING,
    };
    assert_eq!(found, expected, "{what} {turn}, after the recovery");
    if !erased {
        // Whatever the death left, an erasure holds from here on.
        let vault = locked.unlock(&secret).unwrap();
        vault
            .erase_subject(&call(&vault.keyholder(), None), ann)
            .unwrap();
        vault.close();
        let last = Image::read(&dir, &anchor).unwrap();
        let mut evidence = Evidence::of(&[before, &dead, &recovered, &last]);
        evidence
            .slots
            .extend([&*before.slots, &*dead.slots, &*recovered.slots]);
        assert_eq!(look(&evidence), (0, 0), "{what} {turn}, erased after it");
    }
    Outcome {
        killed,
        erased,
        given: given == EVERYTHING,
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "shown by --nocapture")]
fn whatever_death_comes_between_the_erased_are_gone_after_the_recovery() {
    let base = tempfile::tempdir().unwrap();
    let paths = VaultPaths::beside(&base.path().join("v"));
    let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
    let created = LockedVault::create(&paths, settings(), &passphrase, POLICY).unwrap();
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let (_, token) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&token).unwrap();
    let support = call(&bot, Some("support"));
    // More than one leaf holds.
    for number in 0..66 {
        let user = format!("passenger {number}");
        vault.create_subject(&support, "web", &user).unwrap();
    }
    let (ann, _) = vault.create_subject(&support, "web", "user-ann").unwrap();
    let body = json!({"name": "Ann Vandermolen", "email": "ann@mail.example.test"});
    let body: Map<String, Value> = body.as_object().unwrap().clone();
    vault
        .patch_single(&support, ann, "profile", body, None)
        .unwrap();
    let orders = json!({
        "recovery": created.recovery_key.to_text(),
        "bot": token,
        "ann": ann.to_string(),
    });
    vault.close();
    drop((vault, created.locked));
    let before = Image::read(&paths.dir, &paths.anchor).unwrap();
    for (what, step) in [("erase", 1), ("slot", 3)] {
        let (mut deaths, mut given_though_erased, mut undone) = (0, Vec::new(), 0);
        for turn in (1..).step_by(step) {
            let outcome = die_and_look(base.path(), &before, &orders, what, turn);
            if !outcome.killed {
                break;
            }
            deaths += 1;
            undone += usize::from(!outcome.erased);
            if outcome.erased && outcome.given {
                given_though_erased.push(turn);
            }
        }
        println!(
            "{what}: {deaths} deaths, {undone} before the commit, the old secret still there at {given_though_erased:?}"
        );
        assert!(deaths >= 5, "{what}: {deaths}");
        if what == "erase" {
            assert!(undone > 0 && undone < deaths);
            assert!(
                !given_though_erased.is_empty(),
                "the control: no death found a secret"
            );
        }
    }
}

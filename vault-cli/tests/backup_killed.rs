//! kill -9 at random moments of a backup, a restore, a rekey and a prune, through the real program.
//!
//! Counts as failure: something half done that is taken for whole (a backup that is listed and does not verify,
//! a part of a vault that opens, a receipt that is final while keys of before are still there); something
//! that does not go on, or begin anew, when the command is given once more. Does not count: how far
//! somebody who was killed had come, and objects that nobody names until the next command takes them away.
//!
//! Three kills of each here; `VAULT_KILLS=20 cargo test -p vault-cli --test backup_killed` is the long form.
//! Moments are drawn from a fixed seed (`VAULT_KILLS_SEED` for another) over the time that the command takes
//! when it is left alone, from when its first trace is to be seen.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Bench, PASSPHRASE};
use vault_core::backup::registry::BackupView;
use vault_core::id::{ReceiptId, SubjectId};
use vault_core::vault::{
    Call, LockedVault, Passphrase, Principal, ReceiptStatus, Settings, UnlockSecret, Vault,
    VaultPaths,
};

const PEOPLE: usize = 300;

fn kills() -> usize {
    let given = std::env::var("VAULT_KILLS").ok();
    given.map_or(3, |given| given.parse().expect("VAULT_KILLS is a number"))
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn new(of: u64) -> Self {
        let seed = std::env::var("VAULT_KILLS_SEED").ok();
        let seed: u64 = seed.map_or(1, |seed| seed.parse().expect("a number"));
        Self((seed << 8 | of).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Between 0 and 1.
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn user(number: usize) -> String {
    format!("invented-{number:04}")
}

fn bot(vault: &Vault) -> Principal {
    let keyholder = vault.keyholder();
    let made = vault.create_token(&Call::new(&keyholder), "bot", None);
    vault.authenticate(&made.unwrap().1).unwrap()
}

struct Scene {
    bench: Bench,
    recipient: String,
    people: Vec<SubjectId>,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::new();
        bench.init();
        let made = bench
            .run(&["backup", "identity", "--to", "identity.txt", "--json"])
            .json();
        let recipient = made["recipient"].as_str().unwrap().to_owned();
        let mut scene = Self {
            bench,
            recipient,
            people: Vec::new(),
        };
        scene.people = scene.with_vault("v", |vault| {
            let bot = bot(vault);
            let person = |number: usize| {
                let call = Call::new(&bot).with_purpose("support");
                let (subject, _) = vault.create_subject(&call, "web", &user(number)).unwrap();
                let said = (0..20).map(|n| {
                    let said = json!({"from": "user", "text": format!("{number} said {n}")});
                    said.as_object().unwrap().clone()
                });
                vault
                    .append(&call, subject, "messages", said.collect())
                    .unwrap();
                subject
            };
            (0..PEOPLE).map(person).collect()
        });
        scene
    }

    /// Something done in this process, with nobody else there.
    fn with_vault<T>(&self, dir: &str, work: impl FnOnce(&Arc<Vault>) -> T) -> T {
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::default()
        };
        let paths = VaultPaths::beside(&self.bench.path(dir));
        let locked = LockedVault::open(&paths, settings).unwrap();
        let secret = UnlockSecret::Passphrase(Passphrase::new(PASSPHRASE.into()).unwrap());
        let vault = locked.unlock(&secret).unwrap();
        let done = work(&vault);
        vault.close();
        done
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command = self.bench.command(args);
        let quiet = [Stdio::null(), Stdio::null(), Stdio::null()];
        let [stdin, stdout, stderr] = quiet;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        command.spawn().unwrap()
    }

    /// How long a command takes from its first trace to its end.
    fn whole(&self, args: &[&str], trace: &dyn Fn() -> bool) -> Duration {
        let mut child = self.start(args);
        until(&mut child, trace);
        let begun = Instant::now();
        assert!(child.wait().unwrap().success(), "{args:?}");
        begun.elapsed()
    }

    /// Kills a command at a moment between its first trace and its end; whether it was at work then. If it was not
    /// it takes less time than was thought.
    fn kill(&self, args: &[&str], whole: &mut Duration, at: f64, trace: &dyn Fn() -> bool) -> bool {
        let mut child = self.start(args);
        until(&mut child, trace);
        // A moment of the clock is what the attack consists of.
        std::thread::sleep(whole.mul_f64(at));
        let running = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        child.wait().unwrap();
        if !running {
            *whole = whole.mul_f64(0.6);
        }
        running
    }

    fn create(&self) -> Vec<&str> {
        let args = "--vault v --passphrase-file pass --json backup create --to b --recipient";
        args.split(' ').chain([self.recipient.as_str()]).collect()
    }

    fn rekey<'a>(&'a self, backup: &'a str) -> Vec<&'a str> {
        let args = "--vault v --passphrase-file pass --json --yes backup rekey --to b --recipient";
        let args = args.split(' ');
        args.chain([self.recipient.as_str(), backup]).collect()
    }

    fn listed(&self) -> Vec<String> {
        let list = ["backup", "list", "--from", "b", "--json"];
        let list = self.bench.run(&list).json();
        let listed = list["backups"].as_array().unwrap().iter();
        let listed = listed.map(|one| one["backup"].as_str().unwrap().to_owned());
        listed.collect()
    }

    /// Every backup that is listed is whole, and opens with the identity.
    fn all_verify(&self) -> usize {
        let listed = self.listed();
        for backup in &listed {
            let verify = "backup verify --from b --identity identity.txt --json";
            let args: Vec<&str> = verify.split(' ').chain([backup.as_str()]).collect();
            let verified = self.bench.run(&args).json();
            assert_eq!(verified["verified"][0]["signature"], "checked");
        }
        listed.len()
    }

    fn files(&self, backup: &str) -> Vec<String> {
        let entries = fs::read_dir(self.bench.path("b").join(backup)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The names in a manifest, its own among them.
    fn named(&self, backup: &str) -> Vec<String> {
        let manifest = self.bench.path("b").join(backup).join("manifest.json");
        let manifest: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
        let names = |list: &Value| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            list.map(|one| one["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let keys = &manifest["keys"];
        let lists = [&manifest["objects"], &keys["heads"], &keys["objects"]];
        let mut all: Vec<String> = lists.into_iter().flat_map(names).collect();
        all.push("manifest.json".into());
        all.sort();
        all
    }

    fn registry(&self) -> Vec<BackupView> {
        self.with_vault("v", |vault| {
            let keyholder = vault.keyholder();
            vault.backups(&Call::new(&keyholder)).unwrap().0
        })
    }
}

/// Waits for a trace of what a child does, or for its end.
fn until(child: &mut Child, trace: &dyn Fn() -> bool) {
    while !trace() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

fn entries(dir: &Path) -> usize {
    names(dir).len()
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// At least a third of the kills met somebody at work; one always does.
fn met(cut: usize, of: usize) {
    assert!(
        cut * 3 >= of,
        "{cut} of {of} were at work when they were killed"
    );
}

#[test]
fn a_backup_that_is_killed_at_any_moment_is_none_and_the_next_is_whole() {
    let scene = Scene::new();
    let create = scene.create();
    let target = scene.bench.path("b");
    // By name: whoever comes after somebody who was killed first takes away what is left of them.
    let newer = |there: &BTreeSet<String>| {
        let new = |name: &String| name.starts_with("bak_") && !there.contains(name);
        names(&target).iter().any(new)
    };
    let none = BTreeSet::new();
    let mut whole = scene.whole(&create, &|| newer(&none));
    let (mut dice, mut cut) = (Dice::new(1), 0);
    for _ in 0..kills() {
        let before = scene.listed().len();
        let there = names(&target);
        let begun = || newer(&there);
        cut += usize::from(scene.kill(&create, &mut whole, dice.throw(), &begun));
        assert!(begun(), "whoever is killed after their trace has left it");
        let after = scene.listed().len();
        assert!(after == before || after == before + 1);
    }
    met(cut, kills());
    let made = scene.bench.run(&create).json();
    let made = made["backup"].as_str().unwrap();
    assert!(scene.listed().iter().any(|listed| listed == made));
    let verified = scene.all_verify();
    // The registry says the same as the target, and nothing of what was cut off is left there.
    let registry = scene.registry();
    let complete = registry.iter().filter(|view| view.facts.is_some());
    assert_eq!(complete.count(), verified);
    for view in registry.iter().filter(|view| view.facts.is_none()) {
        assert!(view.failed_at.is_some());
        assert!(view.keys.as_ref().unwrap().deleted_at.is_some());
        assert!(!target.join(view.backup.to_string()).exists());
    }
    for backup in scene.listed() {
        assert_eq!(scene.files(&backup), scene.named(&backup));
    }
    // The control: a backup without its manifest's last object is listed, and does not verify.
    let object = target.join(made).join("data-00000");
    let bytes = fs::read(&object).unwrap();
    fs::write(&object, &bytes[..bytes.len() - 1]).unwrap();
    let verify = format!("backup verify --from b --json {made}");
    let args: Vec<&str> = verify.split(' ').collect();
    scene.bench.run(&args).json_error(5, "damaged");
}

const RESTORE: &str = "backup restore --from b --identity identity.txt --into new --ledger v/ledger \
                       --passphrase-file pass --accept-file-system --json";
/// Restores that are started at most to meet one between `complete` and its names: two flushes long.
const LATE_MAX: usize = 30;
/// The directories of a restore that goes on, named by hand.
const BY_HAND: &str =
    "--vault new.unfinished --anchor new-anchor.unfinished --passphrase-file pass --json status";

#[test]
fn a_restore_that_is_killed_at_any_moment_leaves_no_vault_and_begins_anew() {
    let scene = Scene::new();
    let bench = &scene.bench;
    assert_eq!(bench.run(&scene.create()).code, 0);
    let restore: Vec<&str> = RESTORE.split_whitespace().collect();
    let by_hand: Vec<&str> = BY_HAND.split(' ').collect();
    let unfinished = bench.path("new.unfinished");
    let clean = || {
        for name in [
            "new",
            "new-anchor",
            "new.unfinished",
            "new-anchor.unfinished",
        ] {
            let _ = fs::remove_dir_all(bench.path(name));
        }
    };
    let whole = |what: &str| {
        let status = "--vault new --passphrase-file pass --json status";
        let status = bench.run(&status.split(' ').collect::<Vec<_>>()).json();
        assert_eq!(status["state"], "open", "{what}");
        assert!(!unfinished.exists() && !bench.path("new-anchor.unfinished").exists());
        scene.with_vault("new", |vault| {
            let bot = bot(vault);
            for (number, subject) in scene.people.iter().enumerate() {
                let call = Call::new(&bot).with_purpose("support");
                let found = vault.lookup_channel(&call, "web", &user(number)).unwrap();
                assert_eq!(found, *subject, "{what}");
            }
        });
        clean();
    };
    let begun = || unfinished.exists();
    let mut time = scene.whole(&restore, &begun);
    whole("left alone");
    let (mut dice, mut cut) = (Dice::new(2), 0);
    for _ in 0..kills() {
        cut += usize::from(scene.kill(&restore, &mut time, dice.throw(), &begun));
        if bench.path("new").exists() {
            whole("at its end when it was killed");
            continue;
        }
        if unfinished.exists() && bench.path("new-anchor.unfinished").exists() {
            let opened = bench.run(&by_hand);
            assert_ne!(opened.code, 0, "{}", opened.out);
        }
        let again = bench.run(&restore);
        assert_eq!(again.code, 0, "{}", again.err);
        whole("once more");
    }
    met(cut, kills());
    // As late as can be: everything is there but the names. Whoever is seen there a moment too late has
    // ended or lacks the last name, and the next one is tried.
    let late = (0..LATE_MAX).any(|_| {
        clean();
        let mut child = scene.start(&restore);
        until(&mut child, &|| unfinished.join("complete").exists());
        let _ = child.kill();
        child.wait().unwrap();
        unfinished.join("restoring").exists() && bench.path("new-anchor.unfinished").exists()
    });
    assert!(late, "nobody was met between everything and its names");
    bench.run(&by_hand).json_error(1, "half_restored");
    // The control: without the file that says so it opens.
    fs::remove_file(unfinished.join("restoring")).unwrap();
    assert_eq!(bench.run(&by_hand).json()["state"], "open");
    let again = bench.run(&restore);
    assert_eq!(again.code, 0, "{}", again.err);
    whole("after all but its names");
}

/// Whether the receipt is final.
fn is_final(scene: &Scene, receipt: ReceiptId) -> bool {
    scene.with_vault("v", |vault| {
        let keyholder = vault.keyholder();
        let (_, status) = vault.receipt(&Call::new(&keyholder), receipt).unwrap();
        matches!(status, ReceiptStatus::Final(_))
    })
}

#[test]
fn a_rekey_that_is_killed_at_any_moment_leaves_keys_that_open_and_ends_when_it_is_repeated() {
    let scene = Scene::new();
    let made = scene.bench.run(&scene.create()).json();
    let backup = made["backup"].as_str().unwrap().to_owned();
    let rekey = scene.rekey(&backup);
    let first: Vec<String> = scene.named(&backup);
    let receipt = scene.with_vault("v", |vault| {
        let keyholder = vault.keyholder();
        let receipt = vault.erase_subject(&Call::new(&keyholder), scene.people[0]);
        let receipt = receipt.unwrap();
        receipt["body"]["receipt"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    });
    assert!(!is_final(&scene, receipt));
    let older: Vec<String> = first
        .iter()
        .filter(|n| n.starts_with("keys-"))
        .cloned()
        .collect();
    let mut whole = {
        // Measured beside it, so that the keys of before are still there for the first kill.
        let other = scene.bench.run(&scene.create()).json();
        let other = other["backup"].as_str().unwrap().to_owned();
        let dir = scene.bench.path("b").join(&other);
        let before = entries(&dir);
        let more = || entries(&dir) > before;
        scene.whole(&scene.rekey(&other), &more)
    };
    let (mut dice, mut cut) = (Dice::new(3), 0);
    for _ in 0..kills() {
        let dir = scene.bench.path("b").join(&backup);
        let before = entries(&dir);
        let changed = || entries(&dir) != before;
        cut += usize::from(scene.kill(&rekey, &mut whole, dice.throw(), &changed));
        assert_eq!(scene.all_verify(), 2);
        let files = scene.files(&backup);
        let there = older.iter().any(|old| files.contains(old));
        assert!(
            !(there && is_final(&scene, receipt)),
            "final, and its keys are there"
        );
    }
    met(cut, kills());
    let done = scene.bench.run(&rekey).json();
    assert_eq!(done["people_whole"], PEOPLE - 1);
    assert_eq!(scene.files(&backup), scene.named(&backup));
    assert!(older.iter().all(|old| !scene.files(&backup).contains(old)));
    assert!(is_final(&scene, receipt));
    scene.all_verify();
}

#[test]
fn a_prune_that_is_killed_at_any_moment_leaves_whole_backups_and_ends_when_it_is_repeated() {
    let scene = Scene::new();
    let prune = "--vault v --passphrase-file pass --json --yes backup prune --to b --keep-last 1";
    let prune: Vec<&str> = prune.split(' ').collect();
    let create = |count: usize| {
        for _ in 0..count {
            assert_eq!(scene.bench.run(&scene.create()).code, 0);
        }
    };
    create(3);
    let target = scene.bench.path("b");
    let before = entries(&target);
    let oldest = scene.listed()[0].clone();
    let files = entries(&target.join(&oldest));
    let gone = || entries(&target.join(&oldest)) < files || entries(&target) < before;
    let mut whole = scene.whole(&prune, &gone);
    assert_eq!(scene.listed().len(), 1);
    let (mut dice, mut cut) = (Dice::new(4), 0);
    for _ in 0..kills() {
        create(2);
        let newest = scene.listed().pop().unwrap();
        let oldest = target.join(&scene.listed()[0]);
        let files = entries(&oldest);
        let gone = || entries(&oldest) < files;
        cut += usize::from(scene.kill(&prune, &mut whole, dice.throw(), &gone));
        // What is still listed is whole, and the newest is.
        scene.all_verify();
        assert!(scene.listed().contains(&newest));
        scene.bench.run(&prune).json();
        assert_eq!(scene.listed(), [newest.as_str()]);
        let dirs = fs::read_dir(&target).unwrap().map(Result::unwrap);
        let dirs = dirs.filter(|entry| entry.path().is_dir());
        assert_eq!(dirs.count(), 1, "nothing of the others is left");
        let views = scene.registry();
        for view in views
            .iter()
            .filter(|view| view.backup.to_string() != newest)
        {
            assert!(view.keys.as_ref().unwrap().deleted_at.is_some());
            assert!(view.data.as_ref().unwrap().deleted_at.is_some());
        }
    }
    met(cut, kills());
}

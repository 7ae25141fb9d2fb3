//! kill -9 in the middle of changes to many records, at each place where the vault asks for the time:
//! while people are looked for, before a commit, after one.
//!
//! Counts as failure: a record that is neither as before nor as it was to be, a person who is purged in
//! part, a vault that does not open, a second call that does not finish the first. Does not count: how
//! many commits the first call had made.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};
use vault_core::clock::{Clock, SystemClock};
use vault_core::entropy::OsEntropy;
use vault_core::id::CallId;
use vault_core::policy::SAMPLE;
use vault_core::vault::{
    Call, ChangeInput, LockedVault, Passphrase, Principal, QueryInput, QueryPart, Settings, Step,
    UnlockSecret, Vault, VaultPaths,
};

/// Where the child finds its orders.
const ORDERS: &str = "BULK_KILLED";
const PEOPLE: usize = 4;
const RECORDS: usize = 600;
const KEEPER: &str = r#"
[roles.keeper]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "records.bulk", "records.purge"]
"#;

/// Ends this process when it is asked the so-many-th time, counted from when that was set.
#[derive(Default)]
struct Deadly(AtomicU32);

impl Clock for Deadly {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn running(&self) -> i64 {
        let left = self.0.load(Ordering::SeqCst);
        if left > 0 && self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            unreachable!("nobody survives SIGKILL");
        }
        SystemClock.running()
    }
}

fn settings(clock: Arc<dyn Clock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock)
    }
}

fn call(principal: &Principal) -> Call<'_> {
    Call {
        principal,
        purpose: Some("support"),
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

fn open(orders: &Value, dir: &Path, clock: Arc<dyn Clock>) -> (LockedVault, Arc<Vault>, Principal) {
    let locked = LockedVault::open(&VaultPaths::beside(dir), settings(clock)).unwrap();
    let recovery = orders["recovery"].as_str().unwrap().parse().unwrap();
    let vault = locked.unlock(&UnlockSecret::RecoveryKey(recovery)).unwrap();
    let keeper = vault.authenticate(orders["key"].as_str().unwrap()).unwrap();
    (locked, vault, keeper)
}

fn run(vault: &Vault, keeper: &Principal, what: &str) -> u64 {
    let input = ChangeInput {
        collection: "messages".into(),
        conditions: json!({}),
        dry_run: false,
    };
    match what {
        "update" => {
            let set = json!({"source": "new"});
            let updated = vault.update_records(&call(keeper), &input, &set);
            updated.unwrap().count
        }
        _ => vault.purge_records(&call(keeper), &input).unwrap().count,
    }
}

/// The records of each person: how many have the old source, and how many the new.
fn look(vault: &Vault, keeper: &Principal) -> Vec<(usize, usize)> {
    let input = QueryInput {
        collection: "messages".into(),
        fields: None,
        conditions: json!({}),
        part: QueryPart::Both,
        names: None,
        limit: None,
        cursor: None,
    };
    let mut query = vault.query(&call(keeper), input).unwrap();
    let mut bytes = Vec::new();
    while vault
        .query_step(&mut query, &mut |lines| bytes.extend(lines))
        .unwrap()
        == Step::More
    {}
    let mut people = std::collections::BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
        let line: Value = serde_json::from_slice(line).unwrap();
        assert_eq!(line["fields"]["text"], "hello", "every value opens");
        let subject = line["subject"].as_str().unwrap().to_owned();
        let (old, new) = people.entry(subject).or_insert((0, 0));
        match line["_meta"]["source"].as_str() {
            Some("old") => *old += 1,
            Some("new") => *new += 1,
            other => panic!("neither old nor new: {other:?}"),
        }
    }
    people.into_values().collect()
}

/// Runs only when it is given orders.
#[test]
fn child() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let clock = Arc::new(Deadly::default());
    let dir = orders["dir"].as_str().unwrap();
    let (_locked, vault, keeper) = open(&orders, Path::new(dir), clock.clone());
    let turn = orders["turn"].as_u64().unwrap();
    clock
        .0
        .store(u32::try_from(turn).unwrap(), Ordering::SeqCst);
    run(&vault, &keeper, orders["what"].as_str().unwrap());
    clock.0.store(0, Ordering::SeqCst);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Whether the child was killed, and how many records had been changed or deleted by then.
fn die_and_look(base: &Path, orders: &Value, what: &str, turn: usize) -> (bool, usize) {
    let work = tempfile::tempdir().unwrap();
    let dir = work.path().join("v");
    copy(&base.join("v"), &dir);
    copy(&base.join("v-anchor"), &work.path().join("v-anchor"));
    let mut orders = orders.clone();
    orders["what"] = what.into();
    orders["turn"] = turn.into();
    orders["dir"] = dir.to_str().unwrap().into();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads=1"])
        .env(ORDERS, orders.to_string())
        .output()
        .unwrap();
    let killed = output.status.signal() == Some(9);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(killed || output.status.success(), "{what} {turn}: {said}");

    let (_locked, vault, keeper) = open(&orders, &dir, Arc::new(SystemClock));
    let left = look(&vault, &keeper);
    let (old, new): (Vec<_>, Vec<_>) = left.into_iter().unzip();
    let (old, new): (usize, usize) = (old.iter().sum(), new.iter().sum());
    let done = PEOPLE * RECORDS - old;
    match what {
        "update" => assert_eq!(old + new, PEOPLE * RECORDS, "{turn}: none is lost"),
        _ => assert_eq!((done % RECORDS, new), (0, 0), "{turn}: whole people"),
    }
    assert!(killed || old == 0);
    // Sent again it does what is left.
    let expected = if what == "update" {
        PEOPLE * RECORDS
    } else {
        old
    };
    assert_eq!(
        run(&vault, &keeper, what) as usize,
        expected,
        "{what} {turn}"
    );
    let left: usize = look(&vault, &keeper).iter().map(|(old, _)| *old).sum();
    assert_eq!(left, 0, "{what} {turn}");
    (killed, done)
}

#[test]
fn a_kill_in_the_middle_leaves_each_record_old_or_new_and_each_person_whole_or_purged() {
    let base = tempfile::tempdir().unwrap();
    let paths = VaultPaths::beside(&base.path().join("v"));
    let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
    let policy = format!("{SAMPLE}{KEEPER}");
    let clock = Arc::new(SystemClock);
    let created = LockedVault::create(&paths, settings(clock), &passphrase, &policy).unwrap();
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let made = vault.create_token(&call(&keyholder), "keeper", None);
    let key = made.unwrap().1;
    let keeper = vault.authenticate(&key).unwrap();
    let body = json!({"from": "user", "text": "hello", "_meta": {"source": "old"}});
    let body = body.as_object().unwrap().clone();
    for person in 0..PEOPLE {
        let user = format!("user {person}");
        let (subject, _) = vault.create_subject(&call(&keeper), "web", &user).unwrap();
        let bodies = vec![body.clone(); RECORDS];
        vault
            .append(&call(&keeper), subject, "messages", bodies)
            .unwrap();
    }
    let orders = json!({"recovery": created.recovery_key.to_text(), "key": key});
    vault.close();
    drop((vault, created.locked));
    for what in ["update", "purge"] {
        let mut seen = std::collections::BTreeSet::new();
        for turn in 1.. {
            let (killed, done) = die_and_look(base.path(), &orders, what, turn);
            seen.insert(done);
            if !killed {
                break;
            }
        }
        // Dead before the first commit, between commits, and not at all.
        assert!(seen.len() >= 3, "{what}: {seen:?}");
        assert!(seen.contains(&0) && seen.contains(&(PEOPLE * RECORDS)));
    }
}

//! Backups of a vault that goes on, and vaults out of backups.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::backup::target::{Directory, Target};
use crate::backup::verify::{Share, verify};
use crate::backup::write::Parts;
use crate::backup::{BackupError, Identity, KeysOf, Manifest, Recipients, Signature, list};
use crate::commit::View as _;
use crate::keys::keyset::Keyset;
use crate::store::{Direction, KeyRange, Table};

const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

const PEOPLE: [Table; 7] = [
    Table::Records,
    Table::RecordMeta,
    Table::Subjects,
    Table::Consents,
    Table::Sessions,
    Table::Blobs,
    Table::Answers,
];

fn quiet(_: u64, _: u64) -> Result<(), BackupError> {
    Ok(())
}

fn identity() -> Identity {
    Identity::parse(&format!("# made for tests\n{SECRET}\n")).unwrap()
}

struct Scene {
    bench: Bench,
    bot: Principal,
    dpo: Principal,
    people: Vec<SubjectId>,
    target: Arc<dyn Target>,
}

impl Scene {
    fn new(people: usize) -> Self {
        let bench = Bench::new();
        let (bot, dpo) = (bench.role("bot"), bench.role("dpo"));
        let target: Arc<dyn Target> = Arc::new(Directory::new(bench.dir.path().join("backups")));
        let mut scene = Self {
            bench,
            bot,
            dpo,
            people: Vec::new(),
            target,
        };
        for number in 0..people {
            scene.add(number);
        }
        scene
    }

    fn support(&self) -> Call<'_> {
        call(&self.bot, Some("support"))
    }

    fn add(&mut self, number: usize) {
        let vault = self.bench.vault.clone();
        let (subject, _) = vault
            .create_subject(&self.support(), "web", &format!("visitor-{number}"))
            .unwrap();
        let told = object(json!({
            "name": format!("Person Number {number}"),
            "email": format!("p{number}@example.test"),
        }));
        vault
            .patch_single(&self.support(), subject, "profile", told, None)
            .unwrap();
        let said = (0..3).map(|n| object(json!({"from": "user", "text": format!("word {n}")})));
        vault
            .append(&self.support(), subject, "messages", said.collect())
            .unwrap();
        let consent = ConsentInput {
            given: true,
            notice: json!("n1"),
            choice: None,
            message_id: None,
        };
        vault
            .put_consent(&self.support(), subject, "newsletter", consent)
            .unwrap();
        self.people.push(subject);
    }

    fn keyholder(&self) -> Principal {
        self.bench.vault.keyholder()
    }

    fn in_days(&self, days: i64) -> Timestamp {
        self.bench.clock.now() + jiff::SignedDuration::from_hours(24 * days)
    }

    fn back_up(&self, parts: Parts) -> Result<BackupMade, BackupError> {
        let input = BackupInput {
            parts,
            recipients: Recipients::parse([PUBLIC]).unwrap(),
            keys_expire: self.in_days(30),
        };
        let keyholder = self.keyholder();
        let job = self.bench.vault.backup_job().unwrap();
        let call = call(&keyholder, None);
        self.bench.vault.back_up(&call, &self.target, input, job)
    }

    fn place(&self) -> PathBuf {
        self.bench.dir.path().join("backups")
    }

    fn restore_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut RestoreOptions<'_>),
    ) -> Result<(RestoredVault, Arc<Vault>, LockedVault), BackupError> {
        let identity = identity();
        let passphrase = Passphrase::new("another long passphrase".into()).unwrap();
        let mut options = RestoreOptions {
            target: self.target.clone(),
            backup: None,
            identity: &identity,
            into: VaultPaths::beside(&self.bench.dir.path().join(name)),
            passphrase: &passphrase,
            ledgers: vec![self.bench.dir.path().join("v/ledger")],
            accept_gap: None,
            settings: settings(&self.bench.clock),
        };
        change(&mut options);
        let restored = LockedVault::restore(&options, &quiet)?;
        let locked = LockedVault::open(&options.into, options.settings.clone()).unwrap();
        let secret =
            UnlockSecret::Passphrase(Passphrase::new("another long passphrase".into()).unwrap());
        let vault = locked.unlock(&secret).unwrap();
        Ok((restored, vault, locked))
    }

    fn restore(&self, name: &str) -> (RestoredVault, Arc<Vault>, LockedVault) {
        self.restore_with(name, |_| {}).unwrap()
    }

    fn erase(&self, subject: SubjectId) -> Value {
        let erased = self.bench.vault.erase_subject(&call(&self.dpo, None), subject);
        erased.unwrap()
    }
}

/// Rows of people, but for the keys; and the keys by person.
type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

fn rows(vault: &Vault) -> (Rows, BTreeMap<SubjectId, Vec<u8>>) {
    let snapshot = vault.snapshot().unwrap();
    let mut found = Rows::new();
    for table in PEOPLE {
        let rows = snapshot.tx().range(
            table,
            &KeyRange::all(),
            Direction::Ascending,
            usize::MAX,
        );
        found.extend(rows.unwrap().into_iter().map(|(key, value)| ((table, key), value)));
    }
    let (people, next) = snapshot.walk_people([0; 16], usize::MAX).unwrap();
    assert!(next.is_none());
    let keys = people.into_iter().map(|(subject, entry)| {
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry).unwrap();
        (subject, crate::row::encode(&keyset).to_vec())
    });
    (found, keys.collect())
}

#[test]
fn what_is_restored_equals_what_was_there_but_for_those_who_were_erased_since() {
    let mut scene = Scene::new(40);
    let made = scene.back_up(Parts::Both).unwrap();
    assert_eq!(made.manifest.people, 40);
    let (before, keys_before) = rows(&scene.bench.vault);
    let gone: Vec<SubjectId> = scene.people.drain(..4).collect();
    for subject in &gone {
        scene.erase(*subject);
    }
    let later = scene.bench.vault.snapshot().unwrap();
    drop(later);
    let (restored, vault, _locked) = scene.restore("restored");
    let counts = restored.restored.unwrap();
    assert_eq!((counts.counts.people, counts.counts.erased), (36, 4));
    let (after, keys_after) = rows(&vault);
    assert_eq!(keys_after.len(), 36);
    assert!(keys_after.iter().all(|(subject, keyset)| keys_before[subject] == *keyset));
    let left: std::collections::BTreeSet<&[u8]> =
        after.keys().map(|(_, key)| &key[..16]).collect();
    let expected: Rows = before
        .into_iter()
        .filter(|((_, key), _)| left.contains(&key[..16]))
        .collect();
    assert_eq!(left.len(), 36);
    assert_eq!(after, expected, "every row, to the byte");
    // Whoever is gone is refused as gone, by the receipt of then; the others are found as before.
    let keyholder = vault.keyholder();
    let (_, secret) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&secret).unwrap();
    for subject in gone {
        let read = profile(&vault, &call(&bot, Some("support")), subject, None);
        assert!(matches!(read, Err(Refusal::Erased { receipt: Some(_) })));
    }
    let found = vault.lookup_channel(&call(&bot, Some("support")), "web", "visitor-7");
    assert_eq!(found.unwrap(), scene.people[3]);
    let found = vault.lookup_field(&call(&bot, None), "profile.email", &json!("p9@example.test"));
    let _ = found;
    let missing = vault.lookup_channel(&call(&bot, Some("support")), "web", "visitor-1");
    assert!(matches!(missing, Err(Refusal::NotFound(_))));
    let (shown, _) = profile(&vault, &call(&bot, Some("support")), scene.people[0], None).unwrap();
    assert_eq!(shown["name"], "Person Number 4");
    // Keys of then open nothing: whoever had one may have lost it since.
    assert!(matches!(
        vault.create_subject(&scene.support(), "web", "new"),
        Err(Refusal::Unauthenticated)
    ));
    let page = vault
        .audit(&call(&keyholder, None), &AuditQuery::default())
        .unwrap();
    assert!(page.entries.iter().any(|entry| {
        serde_json::to_string(&entry.entry).is_ok_and(|text| text.contains("vault.restored"))
    }));
}

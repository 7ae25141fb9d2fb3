//! Backups of a vault that goes on, and vaults out of backups.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::backup::target::{Directory, Target};
use crate::backup::verify::{Share, Tell, verify};
use crate::backup::write::Parts;
use crate::backup::{BackupError, Counts, Identity, KeysOf, Manifest, Recipients, Signature, list};
use crate::commit::View as _;
use crate::keys::keyset::Keyset;
use crate::limits::RESTORE_OPENED_PEOPLE;
use crate::person::Person;
use crate::store::{Direction, KeyRange, Table};

pub(super) const SECRET: &str =
    "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
pub(super) const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

const PEOPLE: [Table; 7] = [
    Table::Records,
    Table::RecordMeta,
    Table::Subjects,
    Table::Consents,
    Table::Sessions,
    Table::Blobs,
    Table::Answers,
];

pub(super) fn quiet(_: u64, _: u64) -> Result<(), BackupError> {
    Ok(())
}

pub(super) fn identity() -> Identity {
    Identity::parse(&format!("# made for tests\n{SECRET}\n")).unwrap()
}

pub(super) struct Scene {
    pub(super) bench: Bench,
    pub(super) bot: Principal,
    pub(super) dpo: Principal,
    pub(super) people: Vec<SubjectId>,
    pub(super) target: Arc<dyn Target>,
}

impl Scene {
    pub(super) fn new(people: usize) -> Self {
        let mut scene = Self::of(Bench::new());
        for number in 0..people {
            scene.add(number);
        }
        scene
    }

    pub(super) fn of(bench: Bench) -> Self {
        let (bot, dpo) = (bench.role("bot"), bench.role("dpo"));
        let target: Arc<dyn Target> = Arc::new(Directory::new(bench.dir.path().join("backups")));
        Self {
            bench,
            bot,
            dpo,
            people: Vec::new(),
            target,
        }
    }

    pub(super) fn support(&self) -> Call<'_> {
        call(&self.bot, Some("support"))
    }

    pub(super) fn add(&mut self, number: usize) {
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
            ..ConsentInput::default()
        };
        vault
            .put_consent(&self.support(), subject, "newsletter", consent)
            .unwrap();
        self.people.push(subject);
    }

    pub(super) fn keyholder(&self) -> Principal {
        self.bench.vault.keyholder()
    }

    pub(super) fn in_days(&self, days: i64) -> Timestamp {
        self.bench.clock.now() + jiff::SignedDuration::from_hours(24 * days)
    }

    pub(super) fn back_up(&self, parts: Parts) -> Result<BackupMade, BackupError> {
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

    pub(super) fn place(&self) -> PathBuf {
        self.bench.dir.path().join("backups")
    }

    pub(super) fn restore_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut RestoreOptions<'_>),
    ) -> Result<(RestoredVault, Arc<Vault>, LockedVault), BackupError> {
        self.restore_as(name, change, &quiet)
    }

    /// Restores, and calls `tell` as it goes on.
    pub(super) fn restore_telling(
        &self,
        name: &str,
        tell: Tell<'_>,
    ) -> Result<(RestoredVault, Arc<Vault>, LockedVault), BackupError> {
        self.restore_as(name, |_| {}, tell)
    }

    fn restore_as(
        &self,
        name: &str,
        change: impl FnOnce(&mut RestoreOptions<'_>),
        tell: Tell<'_>,
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
            opened_people: RESTORE_OPENED_PEOPLE,
            settings: settings(&self.bench.clock),
        };
        change(&mut options);
        let restored = LockedVault::restore(&options, tell)?;
        let locked = LockedVault::open(&options.into, options.settings.clone()).unwrap();
        let secret =
            UnlockSecret::Passphrase(Passphrase::new("another long passphrase".into()).unwrap());
        let vault = locked.unlock(&secret).unwrap();
        Ok((restored, vault, locked))
    }

    pub(super) fn restore(&self, name: &str) -> (RestoredVault, Arc<Vault>, LockedVault) {
        self.restore_with(name, |_| {}).unwrap()
    }

    pub(super) fn erase(&self, subject: SubjectId) -> Value {
        let erased = self
            .bench
            .vault
            .erase_subject(&call(&self.dpo, None), subject);
        erased.unwrap()
    }
}

/// Rows of people, but for the keys; and the keys by person.
pub(super) type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

pub(super) fn rows(vault: &Vault) -> (Rows, BTreeMap<SubjectId, Vec<u8>>) {
    let snapshot = vault.snapshot().unwrap();
    let mut found = Rows::new();
    for table in PEOPLE {
        let rows = snapshot
            .tx()
            .range(table, &KeyRange::all(), Direction::Ascending, usize::MAX);
        found.extend(
            rows.unwrap()
                .into_iter()
                .map(|(key, value)| ((table, key), value)),
        );
    }
    let (people, next) = snapshot.walk_people([0; 16], usize::MAX).unwrap();
    assert!(next.is_none());
    let keys = people.into_iter().map(|(subject, entry)| {
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry).unwrap();
        (subject, keyset.encode().to_vec())
    });
    (found, keys.collect())
}

#[test]
fn what_is_restored_equals_what_was_there_but_for_those_who_were_erased_since() {
    let counts = restored_equals(RESTORE_OPENED_PEOPLE);
    assert_eq!((counts.people, counts.opened), (36, 36));
}

/// Each person comes back as well where only some were opened.
#[test]
fn what_is_restored_equals_what_was_there_where_a_share_of_it_was_opened() {
    // Of two one is drawn by row handles, which are random: all of 36 or none come once in 30,000,000,000 runs.
    let counts = restored_equals(20);
    assert_eq!(counts.people, 36);
    assert!((1..36).contains(&counts.opened), "{}", counts.opened);
    assert!(counts.envelopes > 0);
}

fn restored_equals(opened: u64) -> Counts {
    let mut scene = Scene::new(40);
    let made = scene.back_up(Parts::Both).unwrap();
    assert_eq!(made.manifest.people, 40);
    let (before, keys_before) = rows(&scene.bench.vault);
    let gone: Vec<SubjectId> = scene.people.drain(..4).collect();
    for subject in &gone {
        scene.erase(*subject);
    }
    let (restored, vault, _locked) = scene
        .restore_with("restored", |options| options.opened_people = opened)
        .unwrap();
    let counts = restored.restored.unwrap().counts;
    assert_eq!((counts.people, counts.erased), (36, 4));
    let (after, keys_after) = rows(&vault);
    assert_eq!(keys_after.len(), 36);
    assert!(
        keys_after
            .iter()
            .all(|(subject, keyset)| keys_before[subject] == *keyset)
    );
    let left: std::collections::BTreeSet<&[u8]> = after.keys().map(|(_, key)| &key[..16]).collect();
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
    let email = json!("p9@example.test");
    let found = vault.lookup_field(&call(&bot, Some("support")), "profile.email", &email);
    assert_eq!(found.unwrap(), scene.people[5]);
    let missing = vault.lookup_channel(&call(&bot, Some("support")), "web", "visitor-1");
    assert!(matches!(missing, Err(Refusal::NotFound(_))));
    let (shown, _) = profile(&vault, &call(&bot, Some("support")), scene.people[0], None).unwrap();
    assert_eq!(shown["name"], "Person Number 4");
    // Keys of then open nothing: whoever had one may have lost it since.
    assert!(matches!(
        vault.create_subject(&scene.support(), "web", "new"),
        Err(Refusal::Unauthenticated)
    ));
    let query = AuditQuery {
        last: 100,
        action: Some("vault.restored".into()),
        ..AuditQuery::default()
    };
    let page = vault.audit(&call(&keyholder, None), &query).unwrap();
    assert_eq!(page.entries.len(), 1);
    counts
}

#[test]
fn a_backup_under_a_write_load_is_the_vault_of_one_moment() {
    let scene = Scene::new(60);
    let stop = AtomicBool::new(false);
    let vault = &scene.bench.vault;
    // Every writer says its words in an order; what is restored must be the beginning of what each said,
    // and of what was said of one person nothing may be missing in between.
    let (made, said) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer: usize| {
                let (stop, scene) = (&stop, &scene);
                scope.spawn(move || {
                    let mut said = Vec::new();
                    while !stop.load(Ordering::Acquire) {
                        let number = said.len();
                        let person = scene.people[(writer + 3 * number) % scene.people.len()];
                        let word = object(
                            json!({"from": format!("w{writer}"), "text": format!("{number}")}),
                        );
                        let words = vault
                            .append(&scene.support(), person, "messages", vec![word])
                            .unwrap();
                        said.push((person, words[0]));
                    }
                    said
                })
            })
            .collect();
        let made: Vec<_> = (0..3)
            .map(|_| scene.back_up(Parts::Both).unwrap())
            .collect();
        stop.store(true, Ordering::Release);
        let said: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        (made, said)
    });
    assert!(said.iter().all(|said| said.len() > 10), "there was a load");
    for (number, made) in made.iter().enumerate() {
        let name = format!("restored-{number}");
        let (_, restored, _locked) = scene
            .restore_with(&name, |options| options.backup = Some(made.manifest.backup))
            .unwrap();
        let (rows, _) = rows(&restored);
        let ids: std::collections::HashSet<&[u8]> = rows
            .keys()
            .filter(|(table, _)| *table == Table::RecordMeta)
            .map(|(_, key)| &key[18..])
            .collect();
        let mut beyond = 0;
        for said in &said {
            let kept = said
                .iter()
                .filter(|(_, id)| ids.contains(&id.as_bytes()[..]))
                .count();
            let first = said.iter().take(kept);
            assert!(
                first
                    .clone()
                    .all(|(_, id)| ids.contains(&id.as_bytes()[..])),
                "what a writer said before something that is there is there"
            );
            beyond += said.len() - kept;
        }
        // The first backup ended while they went on: otherwise this showed nothing.
        assert!(number > 0 || beyond > 0);
    }
}

#[test]
fn what_was_changed_dropped_swapped_or_cut_off_is_found_and_nothing_is_restored() {
    let scene = Scene::new(6);
    let made = scene.back_up(Parts::Both).unwrap();
    let dir = scene.place().join(made.manifest.backup.to_string());
    let backup = made.manifest.backup.to_string();
    let key = vault_key(&scene);
    let good = verify(
        &scene.target,
        &backup,
        Some(&key),
        Some(&identity()),
        None,
        &quiet,
    )
    .unwrap();
    assert_eq!(good.signature, Signature::Checked);
    assert_eq!(good.opened.unwrap().people, 6);
    let look = || verify(&scene.target, &backup, None, None, None, &quiet);
    assert_eq!(look().unwrap().signature, Signature::NotChecked);
    let names: Vec<String> = scene
        .target
        .objects(&backup)
        .unwrap()
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    assert!(names.len() > 10 && !names.iter().any(|name| name.contains("unfinished")));
    let found = |name: &str, what: &str| {
        let with_key = verify(&scene.target, &backup, Some(&key), None, None, &quiet);
        match with_key {
            Err(BackupError::Damaged { object, what: said }) => {
                let manifest = object.contains("manifest.json");
                assert!(
                    manifest || object.contains(name),
                    "{what} {name}: {object}: {said}"
                );
            }
            Err(BackupError::NotFound(_)) if name == "manifest.json" => {}
            other => panic!("{what} {name}: {:?}", other.map(|_| "taken for whole")),
        }
        let restored = scene.restore_with("never", |options| {
            options.backup = Some(made.manifest.backup);
        });
        assert!(restored.is_err(), "{what} {name}");
        assert!(!scene.bench.dir.path().join("never").exists());
    };
    for name in &names {
        let path = dir.join(name);
        let bytes = fs::read(&path).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 2] {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            fs::write(&path, &changed).unwrap();
            found(name, "changed");
        }
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        found(name, "cut off");
        fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        if name != "manifest.json" {
            found(name, "grown");
        }
        fs::remove_file(&path).unwrap();
        found(name, "dropped");
        let other = dir.join(names.iter().find(|other| *other != name).unwrap());
        fs::copy(&other, &path).unwrap();
        found(name, "swapped");
        fs::write(&path, &bytes).unwrap();
    }
    assert!(look().is_ok(), "all is as it was");
}

fn vault_key(scene: &Scene) -> VerifierKey {
    let snapshot = scene.bench.vault.snapshot().unwrap();
    VerifierKey::of(snapshot.vault(), &snapshot.system().signing)
}

#[test]
fn another_identity_opens_nothing_and_a_passphrase_does_beside_a_key() {
    let scene = Scene::new(3);
    let recipients = Recipients::parse([PUBLIC])
        .unwrap()
        .with_cheap_passphrase("a passphrase of twelve");
    let input = BackupInput {
        parts: Parts::Both,
        recipients,
        keys_expire: scene.in_days(30),
    };
    let keyholder = scene.keyholder();
    let job = scene.bench.vault.backup_job().unwrap();
    let made = scene
        .bench
        .vault
        .back_up(&call(&keyholder, None), &scene.target, input, job)
        .unwrap();
    let backup = made.manifest.backup.to_string();
    let open =
        |identity: &Identity| verify(&scene.target, &backup, None, Some(identity), None, &quiet);
    let other = "AGE-SECRET-KEY-1UKY4QR8GNV8UXDPUFYJGFGT5H04MY8PQDWYVP7PFA5VR0AGCQG3QCKZE64";
    for wrong in [
        Identity::parse(other),
        Ok(Identity::Passphrase("another passphrase".to_owned().into())),
    ] {
        let Ok(wrong) = wrong else { continue };
        assert!(matches!(open(&wrong), Err(BackupError::WrongIdentity)));
    }
    let right = Identity::Passphrase("a passphrase of twelve".to_owned().into());
    assert_eq!(open(&right).unwrap().opened.unwrap().people, 3);
    let share = |n| {
        let share = Share { number: n, of: 4 };
        let part = verify(
            &scene.target,
            &backup,
            None,
            Some(&identity()),
            Some(share),
            &quiet,
        );
        part.unwrap().opened.unwrap().people
    };
    assert_eq!(
        (1..=4).map(share).sum::<u64>(),
        3,
        "every person in one share"
    );
    // A secret key where a public one belongs is refused, and not repeated.
    let refused = Recipients::parse([SECRET]).err().unwrap().to_string();
    assert!(!refused.contains("1GQ9778"));
}

#[test]
fn what_was_not_finished_is_no_backup_and_no_vault() {
    let scene = Scene::new(3);
    let made = scene.back_up(Parts::Both).unwrap();
    let dir = scene.place().join(made.manifest.backup.to_string());
    fs::rename(
        dir.join("manifest.json"),
        dir.join("manifest.json.unfinished"),
    )
    .unwrap();
    let (whole, others) = list(&*scene.target).unwrap();
    assert!(whole.is_empty() && others == [made.manifest.backup.to_string()]);
    assert!(matches!(
        scene.restore_with("none", |_| {}),
        Err(BackupError::NotFound(_))
    ));
    fs::rename(
        dir.join("manifest.json.unfinished"),
        dir.join("manifest.json"),
    )
    .unwrap();
    // A restore that was cut off before its end leaves what nobody takes for a vault, and the next one
    // begins anew.
    let root = scene.bench.dir.path();
    fs::create_dir_all(root.join("again.unfinished")).unwrap();
    fs::create_dir_all(root.join("again-anchor.unfinished")).unwrap();
    fs::write(root.join("again.unfinished/vault.redb"), b"half").unwrap();
    let paths = VaultPaths::beside(&root.join("again"));
    let opened = LockedVault::open(&paths, settings(&scene.bench.clock));
    assert!(matches!(opened, Err(OpenError::NotFound(_))));
    let (_, vault, locked) = scene.restore("again");
    assert_eq!(vault.status().unwrap().people, 3);
    vault.close();
    drop(locked);
    assert!(
        !root.join("again.unfinished").exists() && !root.join("again-anchor.unfinished").exists()
    );
    // One that lacked its last rename gets it.
    let mark = root.join("again.unfinished/complete");
    let complete = |anchor: &str| {
        let backup = made.manifest.backup.to_string();
        let text = restore::mark_of(&backup, &root.join(anchor)).unwrap();
        fs::write(&mark, text).unwrap();
    };
    fs::rename(root.join("again"), root.join("again.unfinished")).unwrap();
    complete("again-anchor");
    let (done, vault, locked) = scene.restore("again");
    assert!(done.restored.is_none());
    assert_eq!(vault.status().unwrap().people, 3);
    vault.close();
    drop(locked);
    // One that lacked both is made anew: this attempt may know more of the ledger than that one did.
    let gone = scene.people[0];
    scene.erase(gone);
    fs::rename(root.join("again"), root.join("again.unfinished")).unwrap();
    fs::rename(
        root.join("again-anchor"),
        root.join("again-anchor.unfinished"),
    )
    .unwrap();
    complete("again-anchor.unfinished");
    let (done, vault, locked) = scene.restore("again");
    assert!(done.restored.is_some());
    assert_eq!(vault.status().unwrap().people, 2);
    assert!(matches!(
        Person::find(&vault.snapshot().unwrap(), gone),
        Err(Refusal::Erased { .. })
    ));
    drop(locked);
    // And nothing is written over what is there.
    assert!(matches!(
        scene.restore_with("again", |_| {}),
        Err(BackupError::Exists(_))
    ));
}

/// The words that a refusal asks for.
fn quoted(text: &str) -> &'static str {
    let words = text.split('"').nth(1).unwrap().to_owned();
    Box::leak(words.into_boxed_str())
}

#[test]
fn without_the_lost_vaults_ledger_the_gap_is_accepted_in_words() {
    let mut scene = Scene::new(5);
    let made = scene.back_up(Parts::Both).unwrap();
    let after_push = scene.people.remove(0);
    scene.bench.clock.advance(HOUR);
    scene.erase(after_push);
    let refused = scene.restore_with("gap", |options| options.ledgers.clear());
    let Err(BackupError::Gap(text)) = refused else {
        panic!("it went on without asking");
    };
    let words = quoted(&text);
    assert!(
        words.starts_with("erasures after ") && words.ends_with(" may return"),
        "{words}"
    );
    let (restored, vault, _locked) = scene
        .restore_with("gap", |options| {
            options.ledgers.clear();
            options.accept_gap = Some(words);
        })
        .unwrap();
    // The control: whoever the ledger would have kept away is there.
    assert_eq!(vault.status().unwrap().people, 5);
    assert_eq!(
        restored.replay.complete_until,
        made.ledger.unwrap().complete_until
    );
    // With the ledger that was pushed after the erasure nobody asks about this one.
    let keyholder = scene.keyholder();
    scene
        .bench
        .vault
        .push_ledger(&call(&keyholder, None), &*scene.target)
        .unwrap();
    let (_, vault, _locked) = scene.restore("whole");
    assert_eq!(vault.status().unwrap().people, 4);
}

#[test]
fn withdrawn_consents_and_removed_records_stay_so() {
    let scene = Scene::new(3);
    let vault = &scene.bench.vault;
    let ann = scene.people[0];
    let words = vault
        .append(
            &scene.support(),
            ann,
            "messages",
            vec![object(json!({"from": "user", "text": "to be purged"}))],
        )
        .unwrap();
    scene.back_up(Parts::Both).unwrap();
    vault
        .withdraw_consent(&scene.support(), ann, "newsletter")
        .unwrap();
    vault
        .delete_record(&scene.support(), ann, "messages", words[0], None)
        .unwrap();
    let (restored, vault, _locked) = scene.restore("restored");
    assert_eq!(restored.restored.unwrap().withdrawn, 1);
    let keyholder = vault.keyholder();
    let (_, secret) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&secret).unwrap();
    let consent = vault
        .read_consent(&call(&bot, Some("support")), ann, "newsletter")
        .unwrap();
    assert_eq!(consent.state, ConsentState::Withdrawn);
    let other = vault
        .read_consent(&call(&bot, Some("support")), scene.people[1], "newsletter")
        .unwrap();
    assert_eq!(other.state, ConsentState::Given, "the control");
}

#[test]
fn after_a_new_key_part_the_erased_are_out_of_reach_and_receipts_say_so() {
    let mut scene = Scene::new(8);
    let made = scene.back_up(Parts::Both).unwrap();
    let gone = scene.people.remove(2);
    scene.add(100);
    let receipt = scene.erase(gone);
    let horizon = &receipt["body"]["erasure_horizon"];
    assert_eq!(
        horizon,
        &json!(scene.in_days(30).to_string()),
        "the key part's end"
    );
    let keyholder = scene.keyholder();
    let recipients = Recipients::parse([PUBLIC]).unwrap();
    let rekeyed = scene
        .bench
        .vault
        .rekey_backup(
            &call(&keyholder, None),
            &scene.target,
            made.manifest.backup,
            (recipients, scene.in_days(30)),
            &quiet,
        )
        .unwrap();
    assert_eq!((rekeyed.whole, rekeyed.in_part, rekeyed.gone), (7, 0, 1));
    assert!(rekeyed.deleted >= 3);
    let names = scene
        .target
        .objects(&made.manifest.backup.to_string())
        .unwrap();
    let keys = names
        .iter()
        .filter(|(name, _)| name.starts_with("keys-"))
        .count();
    let part = rekeyed.manifest.keys.as_ref().unwrap();
    assert_eq!(
        keys,
        part.heads.len() + part.objects.len(),
        "the old ones are gone"
    );
    assert_eq!(part.keys_of, KeysOf::Later);
    // Without a word of the ledger: the keys are not there.
    let words = {
        let Err(BackupError::Gap(text)) =
            scene.restore_with("rekeyed", |options| options.ledgers.clear())
        else {
            panic!("it did not ask");
        };
        quoted(&text)
    };
    let (restored, vault, _locked) = scene
        .restore_with("rekeyed", |options| {
            options.ledgers.clear();
            options.accept_gap = Some(words);
        })
        .unwrap();
    assert_eq!(
        restored.restored.unwrap().counts.later,
        1,
        "who came after it"
    );
    assert_eq!(vault.status().unwrap().people, 7);
    let summary = scene.bench.vault.backup_summary().unwrap();
    assert_eq!(summary.key_parts, 1);
    let (views, _) = scene.bench.vault.backups(&call(&keyholder, None)).unwrap();
    let deleted = views.iter().filter(|view| {
        view.keys
            .as_ref()
            .is_some_and(|keys| keys.deleted_at.is_some())
    });
    assert_eq!(deleted.count(), 1);
}

#[test]
fn pruning_keeps_what_the_rules_say_and_tells_the_registry() {
    let scene = Scene::new(2);
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(scene.back_up(Parts::Both).unwrap().manifest.backup);
        scene.bench.clock.advance(24 * HOUR);
    }
    let keyholder = scene.keyholder();
    let keep = Keep {
        last: 1,
        daily: 2,
        ..Keep::default()
    };
    let prune = |keep, dry_run| {
        let call = call(&keyholder, None);
        scene
            .bench
            .vault
            .prune_backups(&call, &*scene.target, keep, dry_run)
            .unwrap()
    };
    let would = prune(keep, true);
    assert_eq!(would.backups, made[..2]);
    assert_eq!(list(&*scene.target).unwrap().0.len(), 4, "only said");
    let did = prune(keep, false);
    assert_eq!(
        (did.backups, did.kept),
        (made[..2].to_vec(), made[2..].to_vec())
    );
    let (left, _) = list(&*scene.target).unwrap();
    assert_eq!(left.iter().map(|m| m.backup).collect::<Vec<_>>(), made[2..]);
    assert_eq!(scene.bench.vault.backup_summary().unwrap().key_parts, 2);
    // A key part that has expired goes, though its data stay.
    scene.bench.clock.advance(31 * 24 * HOUR);
    let did = prune(keep, false);
    assert_eq!(did.key_parts, made[2..]);
    let left: Vec<Manifest> = list(&*scene.target).unwrap().0;
    assert!(
        left.len() == 2
            && left
                .iter()
                .all(|m| m.keys.is_none() && !m.objects.is_empty())
    );
    let summary = scene.bench.vault.backup_summary().unwrap();
    assert_eq!((summary.key_parts, summary.overdue), (0, 0));
    assert!(left.iter().all(|m| {
        verify(
            &scene.target,
            &m.backup.to_string(),
            None,
            None,
            None,
            &quiet,
        )
        .is_ok()
    }));
}

/// A place that keeps older versions of what is deleted, or does not say.
struct Versioned {
    below: Directory,
    answer: fn() -> std::io::Result<bool>,
}

impl Target for Versioned {
    fn place(&self) -> String {
        self.below.place()
    }
    fn create(&self, name: &str) -> std::io::Result<Box<dyn crate::backup::target::Sink>> {
        self.below.create(name)
    }
    fn open(&self, name: &str) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        self.below.open(name)
    }
    fn objects(&self, backup: &str) -> std::io::Result<Vec<(String, u64)>> {
        self.below.objects(backup)
    }
    fn backups(&self) -> std::io::Result<Vec<String>> {
        self.below.backups()
    }
    fn delete(&self, name: &str) -> std::io::Result<()> {
        self.below.delete(name)
    }
    fn exists(&self, name: &str) -> std::io::Result<bool> {
        self.below.exists(name)
    }
    fn forget(&self, backup: &str) -> std::io::Result<()> {
        self.below.forget(backup)
    }
    fn deletes_for_good(&self) -> std::io::Result<bool> {
        (self.answer)()
    }
}

#[test]
fn where_older_versions_stay_a_deletion_does_not_count_until_somebody_says_so() {
    let scene = Scene::new(1);
    let old = scene.back_up(Parts::Both).unwrap().manifest.backup;
    scene.bench.clock.advance(HOUR);
    scene.back_up(Parts::Both).unwrap();
    let keyholder = scene.keyholder();
    let vault = &scene.bench.vault;
    let call = call(&keyholder, None);
    let keep = Keep {
        last: 1,
        ..Keep::default()
    };
    let at = |answer: fn() -> std::io::Result<bool>| Versioned {
        below: Directory::new(scene.bench.dir.path().join("backups")),
        answer,
    };
    // Where nobody knows nothing is deleted at all.
    let unknown = at(|| Err(std::io::ErrorKind::PermissionDenied.into()));
    assert!(vault.prune_backups(&call, &unknown, keep, false).is_err());
    assert_eq!(list(&*scene.target).unwrap().0.len(), 2);
    let did = vault.prune_backups(&call, &at(|| Ok(false)), keep, false);
    let did = did.unwrap();
    assert_eq!((did.verified, did.backups), (false, vec![old]));
    assert_eq!(list(&*scene.target).unwrap().0.len(), 1, "it is deleted");
    assert_eq!(vault.backup_summary().unwrap().key_parts, 2, "and counts");
    vault.backup_deleted(&call, old, BackupPart::Keys).unwrap();
    assert_eq!(vault.backup_summary().unwrap().key_parts, 1);
}

#[test]
fn a_place_that_had_backups_and_lost_its_mark_gets_neither_another_nor_the_ledger() {
    let scene = Scene::new(1);
    scene.back_up(Parts::Both).unwrap();
    let here = scene.bench.dir.path().join("backups");
    let away = scene.bench.dir.path().join("away");
    fs::rename(&here, &away).unwrap();
    fs::create_dir(&here).unwrap();
    let error = scene.back_up(Parts::Both).unwrap_err();
    assert!(error.to_string().contains("not mounted"), "{error}");
    let keyholder = scene.keyholder();
    let pushed = scene
        .bench
        .vault
        .push_ledger(&call(&keyholder, None), &*scene.target);
    assert!(matches!(pushed, Err(LedgerCopyError::Elsewhere(_))));
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
    fs::remove_dir(&here).unwrap();
    fs::rename(&away, &here).unwrap();
    scene.back_up(Parts::Both).unwrap();
}

/// What no byte of the data part may say.
/// What is lost otherwise: a prune that was killed between deleting the last file and saying so left a key
/// part that nobody has any more counted for ever, and receipts open.
#[test]
fn pruning_tells_the_registry_what_was_deleted_by_who_could_not_say_so() {
    let scene = Scene::new(2);
    let made = scene.back_up(Parts::Both).unwrap();
    fs::remove_dir_all(scene.place().join(made.manifest.backup.to_string())).unwrap();
    let keyholder = scene.keyholder();
    let call = call(&keyholder, None);
    let prune = |dry_run| {
        let keep = Keep {
            last: 9,
            ..Keep::default()
        };
        let pruned = scene
            .bench
            .vault
            .prune_backups(&call, &*scene.target, keep, dry_run);
        pruned.unwrap().gone
    };
    let counted = || scene.bench.vault.backup_summary().unwrap().key_parts;
    // Another place, or a disk that is not mounted: that nothing is there says nothing.
    let mark = scene.place().join("vault-backups");
    let text = fs::read(&mark).unwrap();
    fs::remove_file(&mark).unwrap();
    assert!(prune(false).is_empty() && counted() == 1);
    fs::write(&mark, text).unwrap();
    assert_eq!((prune(true), counted()), (vec![made.manifest.backup], 1));
    assert_eq!((prune(false), counted()), (vec![made.manifest.backup], 0));
    assert!(prune(false).is_empty());
}

#[test]
fn the_data_part_holds_no_key_and_no_value() {
    let scene = Scene::new(10);
    let made = scene.back_up(Parts::Both).unwrap();
    let dir = scene.place().join(made.manifest.backup.to_string());
    let mut all = Vec::new();
    for object in &made.manifest.objects {
        all.extend(fs::read(dir.join(&object.name)).unwrap());
    }
    let contains = |needle: &[u8]| all.windows(needle.len()).any(|window| window == needle);
    for canary in [
        "Person Number",
        "example.test",
        "visitor-",
        "word 1",
        "newsletter",
    ] {
        assert!(!contains(canary.as_bytes()), "{canary}");
    }
    let snapshot = scene.bench.vault.snapshot().unwrap();
    assert!(contains(&snapshot.vault().as_bytes()[..]), "the control");
    let (people, _) = snapshot.walk_people([0; 16], usize::MAX).unwrap();
    for (subject, entry) in people {
        assert!(
            contains(entry.handle.as_bytes()),
            "the control: its rows are here"
        );
        assert!(!contains(subject.as_bytes()) && !contains(entry.kek.expose()));
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry).unwrap();
        assert!(keyset.keys.iter().all(|dek| !contains(dek.key.expose())));
        let sealed = snapshot.tx().get(Table::Keysets, entry.handle.as_bytes());
        assert!(!contains(&sealed.unwrap().unwrap()[5..29]));
    }
    assert!(!contains(snapshot.system().system.expose_newest().expose()));
    let made = scene.back_up(Parts::Data).unwrap();
    assert!(made.manifest.keys.is_none());
    let restored = scene.restore_with("data", |o| o.backup = Some(made.manifest.backup));
    assert!(matches!(restored, Err(BackupError::NotFound(_))));
}

#[test]
fn what_a_killed_process_left_is_taken_up_by_the_next() {
    let scene = Scene::new(4);
    let vault = &scene.bench.vault;
    let keyholder = scene.keyholder();
    let begin = |of: Option<BackupId>| {
        let begin = BackupBegin {
            target: scene.target.place(),
            data: of.is_none(),
            keys: Some(scene.in_days(30)),
            of,
        };
        vault.backup_begin(&call(&keyholder, None), begin).unwrap()
    };
    // Killed before its manifest: registered, and objects at the target, which has its mark before both.
    crate::backup::target::mark(&*scene.target).unwrap();
    let half = begin(None).to_string();
    for name in ["data-00000", "keys-000.age", "data-00001.unfinished"] {
        let name = format!("{half}/{name}");
        crate::backup::target::put(&*scene.target, &name, b"half").unwrap();
    }
    let open = || vault.backup_summary().unwrap().key_parts;
    assert_eq!(
        open(),
        1,
        "the control: it counts until somebody says that it is gone"
    );
    let made = scene.back_up(Parts::Both).unwrap();
    assert!(scene.target.objects(&half).unwrap().is_empty());
    assert_eq!(open(), 1, "only the new one");
    // Killed while new keys were made for it: their files are nobody's.
    begin(Some(made.manifest.backup));
    let stray = made.manifest.object("keys-099.age");
    crate::backup::target::put(&*scene.target, &stray, b"half").unwrap();
    assert_eq!(open(), 2);
    scene.back_up(Parts::Data).unwrap();
    assert!(!scene.target.exists(&stray).unwrap());
    assert_eq!(open(), 1);
    let backup = made.manifest.backup.to_string();
    let whole = verify(
        &scene.target,
        &backup,
        None,
        Some(&identity()),
        None,
        &quiet,
    );
    assert_eq!(
        whole.unwrap().opened.unwrap().people,
        4,
        "and its own keys are there"
    );
}

/// What is missing proves nothing where the target may be another place.
#[test]
fn a_target_that_is_not_there_is_not_taken_for_one_whose_files_are_gone() {
    let scene = Scene::new(2);
    let vault = &scene.bench.vault;
    let keyholder = scene.keyholder();
    let begin = BackupBegin {
        target: scene.target.place(),
        data: true,
        keys: Some(scene.in_days(30)),
        of: None,
    };
    let open = || vault.backup_summary().unwrap().key_parts;
    // Killed between its manifest and the registry's word of it; then the disk is not mounted.
    let made = scene.back_up(Parts::Both).unwrap();
    let half = vault.backup_begin(&call(&keyholder, None), begin).unwrap();
    let elsewhere = scene.bench.dir.path().join("elsewhere");
    fs::rename(scene.place(), &elsewhere).unwrap();
    let refused = scene.back_up(Parts::Both);
    assert!(matches!(refused, Err(BackupError::NotFound(_))));
    assert_eq!(open(), 2, "nobody knows what became of them");
    // The disk is there again: what has no manifest at its own place is gone.
    let _ = fs::remove_dir_all(scene.place());
    fs::rename(&elsewhere, scene.place()).unwrap();
    scene.back_up(Parts::Data).unwrap();
    assert_eq!(open(), 1, "the one that was half done is told");
    let (views, _) = vault.backups(&call(&keyholder, None)).unwrap();
    let keys = |id| {
        let view = views.iter().find(|view| view.backup == id).unwrap();
        view.keys.as_ref().unwrap().deleted_at
    };
    assert!(keys(half).is_some() && keys(made.manifest.backup).is_none());
}

#[test]
fn a_restored_vault_counts_the_key_part_that_it_came_from() {
    let scene = Scene::new(4);
    let made = scene.back_up(Parts::Both).unwrap();
    let keyholder = scene.keyholder();
    let recipients = Recipients::parse([PUBLIC]).unwrap();
    let end = scene.in_days(50);
    let target = &scene.target;
    let rekeyed = scene.bench.vault.rekey_backup(
        &call(&keyholder, None),
        target,
        made.manifest.backup,
        (recipients, end),
        &quiet,
    );
    let registered = rekeyed.unwrap().manifest.keys.unwrap().registered;
    // The registry that is restored is older than these keys.
    let (_, vault, _locked) = scene.restore("restored");
    let keyholder = vault.keyholder();
    let summary = vault.backup_summary().unwrap();
    assert_eq!(summary.erasure_horizon, end);
    let view = vault.backup(&call(&keyholder, None), registered).unwrap();
    assert_eq!(view.of, Some(made.manifest.backup));
    assert!(view.facts.is_some() && view.keys.unwrap().deleted_at.is_none());
    // And so it can be said of it that it is gone, and pruning does.
    let keep = Keep::default();
    let pruned = vault.prune_backups(&call(&keyholder, None), &**target, keep, false);
    assert_eq!(pruned.unwrap().backups, [made.manifest.backup]);
    assert_eq!(vault.backup_summary().unwrap().key_parts, 0);
}

#[test]
fn what_was_removed_is_not_left_under_a_key_that_lives_on() {
    let scene = Scene::new(2);
    let vault = &scene.bench.vault;
    let ann = scene.people[0];
    let word = vec![object(json!({"from": "user", "text": "to be deleted"}))];
    let words = vault
        .append(&scene.support(), ann, "messages", word)
        .unwrap();
    scene.back_up(Parts::Both).unwrap();
    vault
        .delete_record(&scene.support(), ann, "messages", words[0], None)
        .unwrap();
    let (_, vault, _locked) = scene.restore("restored");
    let keys = |vault: &Vault| -> Vec<u32> {
        let person = Person::find(&vault.snapshot().unwrap(), ann).unwrap();
        person.keyset.keys.iter().map(|dek| dek.number).collect()
    };
    let before = keys(&vault);
    while vault.sweep(Sweep::All).unwrap() {}
    let after = keys(&vault);
    assert!(
        before.iter().all(|key| !after.contains(key)),
        "{before:?} {after:?}"
    );
    // And everything else of the person opens under the new ones: who they are, and what they agreed to.
    let person = Person::find(&vault.snapshot().unwrap(), ann).unwrap();
    assert_eq!(
        person.row(&vault.snapshot().unwrap()).unwrap().channel(),
        "web"
    );
    let keyholder = vault.keyholder();
    let (_, secret) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&secret).unwrap();
    let given = vault.read_consent(&call(&bot, None), ann, "newsletter");
    assert_eq!(given.unwrap().state, ConsentState::Given);
}

#[test]
fn a_mark_that_waits_for_the_sweeper_comes_back_with_the_person() {
    let scene = Scene::new(1);
    let ann = scene.people[0];
    let told = object(json!({"name": "Another Name"}));
    let vault = &scene.bench.vault;
    vault
        .patch_single(&scene.support(), ann, "profile", told, None)
        .unwrap();
    scene.back_up(Parts::Both).unwrap();
    let marks = |vault: &Vault| {
        let snapshot = vault.snapshot().unwrap();
        let all = KeyRange::all();
        let rows = snapshot
            .tx()
            .range(Table::Dirty, &all, Direction::Ascending, 100);
        rows.unwrap()
    };
    let before = marks(vault);
    assert!(!before.is_empty(), "the control");
    let (_, vault, _locked) = scene.restore("restored");
    assert_eq!(marks(&vault), before);
}

#[test]
fn pruning_believes_no_manifest_that_this_vault_has_not_signed() {
    let scene = Scene::new(2);
    let (first, second) = (
        scene.back_up(Parts::Both).unwrap(),
        scene.back_up(Parts::Both).unwrap(),
    );
    let keyholder = scene.keyholder();
    let file = scene.place().join(first.manifest.object("manifest.json"));
    let text = fs::read_to_string(&file).unwrap();
    let other = second.manifest.backup.to_string();
    let forged = text.replacen(
        &format!("\"registered\": \"{}\"", first.manifest.backup),
        &format!("\"registered\": \"{other}\""),
        1,
    );
    assert_ne!(text, forged, "the control");
    fs::write(&file, forged).unwrap();
    let call = call(&keyholder, None);
    let keep = Keep {
        last: 1,
        ..Keep::default()
    };
    let pruned = scene
        .bench
        .vault
        .prune_backups(&call, &*scene.target, keep, false)
        .unwrap();
    assert!(pruned.backups.is_empty(), "{pruned:?}");
    // Nor does it take one away whose manifest is merely damaged.
    fs::write(&file, "{").unwrap();
    let pruned = scene
        .bench
        .vault
        .prune_backups(&call, &*scene.target, keep, false)
        .unwrap();
    assert!(
        pruned.backups.is_empty() && pruned.unfinished.is_empty(),
        "{pruned:?}"
    );
    assert_eq!(scene.bench.vault.backup_summary().unwrap().key_parts, 2);
}

#[test]
fn a_restore_that_fails_leaves_nothing_behind_and_overwrites_the_keys_it_made() {
    let scene = Scene::new(3);
    let made = scene.back_up(Parts::Both).unwrap();
    // A clean list with an envelope that does not open: found only while people are written.
    let records = made.manifest.objects.iter();
    let object = records
        .clone()
        .find(|o| o.table == Table::Records.number())
        .unwrap();
    let file = scene.place().join(made.manifest.object(&object.name));
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let mut list = made.manifest.clone();
    let sum = crate::audit::hex(&crate::crypto::sha256(&[&bytes]));
    let place = list.objects.iter().position(|o| o.name == object.name);
    list.objects[place.unwrap()].sha256 = sum;
    list.sign(&scene.bench.vault.snapshot().unwrap().system().signing);
    list.write(&*scene.target).unwrap();
    let root = scene.bench.dir.path();
    let Err(BackupError::Damaged { what, .. }) = scene.restore_with("none", |_| {}) else {
        panic!("it was restored");
    };
    assert!(what.contains("does not open"), "{what}");
    for name in [
        "none",
        "none-anchor",
        "none.unfinished",
        "none-anchor.unfinished",
    ] {
        assert!(!root.join(name).exists(), "{name}");
    }
}

#[test]
fn a_ledger_that_knows_more_is_not_written_over() {
    let scene = Scene::new(3);
    let keyholder = scene.keyholder();
    let push = |vault: &Vault| vault.push_ledger(&call(&vault.keyholder(), None), &*scene.target);
    scene.back_up(Parts::Both).unwrap();
    let (_, twin, _locked) = scene.restore("twin");
    scene.erase(scene.people[0]);
    assert_eq!(push(&scene.bench.vault).unwrap().position, 1, "the control");
    let longer = push(&twin);
    assert!(
        matches!(longer, Err(LedgerCopyError::Longer(_))),
        "{longer:?}"
    );
    // Another history of the same length.
    let dpo = {
        let made = twin.create_token(&call(&twin.keyholder(), None), "dpo", None);
        twin.authenticate(&made.unwrap().1).unwrap()
    };
    twin.erase_subject(&call(&dpo, None), scene.people[1])
        .unwrap();
    assert!(matches!(push(&twin), Err(LedgerCopyError::Longer(_))));
    drop(keyholder);
    // And the target's own copy, named again, does not stand for the lost vault's.
    let name = crate::backup::target::ledger_of(scene.bench.vault.snapshot().unwrap().vault());
    let own = scene.place().join(name);
    let refused = scene.restore_with("own", |options| options.ledgers = vec![own]);
    assert!(matches!(refused, Err(BackupError::Gap(_))));
}

/// What would be lost: an erasure, where the ledger's newest heads are signed by a key that the backup
/// does not know; or a person, where the key part that opens the rows is made from keys of later.
#[test]
fn a_backup_from_before_a_deep_rotation_is_restored_with_what_the_ledger_says_since() {
    let scene = Scene::new(12);
    let old = scene.back_up(Parts::Both).unwrap();
    let keyholder = scene.keyholder();
    let vault = &scene.bench.vault;
    vault.begin_rotation(&call(&keyholder, None), true).unwrap();
    let within = scene.people[1];
    scene.erase(within);
    let ended = vault.rotate_on(&mut |_| Onwards::Yes).unwrap().unwrap();
    assert_eq!(ended.stage, Stage::Ended);
    scene.erase(scene.people[2]);
    // New keys for old rows would open nothing.
    let to = (Recipients::parse([PUBLIC]).unwrap(), scene.in_days(30));
    let call = call(&keyholder, None);
    let refused = vault.rekey_backup(&call, &scene.target, old.manifest.backup, to, &quiet);
    assert!(matches!(
        refused,
        Err(BackupError::Refused(Refusal::Conflict(_)))
    ));
    let new = scene.back_up(Parts::Both).unwrap();
    assert_ne!(new.manifest.backup, old.manifest.backup);

    for (name, backup) in [("from-old", &old), ("from-new", &new)] {
        let (restored, again, _locked) = scene
            .restore_with(name, |options| {
                options.backup = Some(backup.manifest.backup);
            })
            .unwrap();
        assert_eq!(restored.restored.unwrap().counts.people, 10, "{name}");
        assert_eq!(
            restored.replay.erased.len(),
            if name == "from-old" { 2 } else { 0 }
        );
        // Both backups are known to the restored vault, the newer one's signature by the ledger alone.
        let views = again
            .backups(&super::call(&again.keyholder(), None))
            .unwrap()
            .0;
        for made in [&old, &new] {
            let known = views.iter().any(|view| view.backup == made.manifest.backup);
            assert!(known, "{name}");
        }
        let holder = again.keyholder();
        let found = again.lookup_channel(&super::call(&holder, None), "web", "visitor-5");
        assert!(matches!(found, Ok(subject) if subject == scene.people[5]) || found.is_err());
        let report = again
            .verify_log(&super::call(&holder, None), &[], &mut |_, _| {})
            .unwrap();
        assert!(report.sound(), "{name}: {report:?}");
    }
    // The nearest violation: a ledger whose frame about the new key is not signed by the old one.
    let ledger = scene.bench.dir.path().join("v/ledger");
    let bytes = fs::read(&ledger).unwrap();
    let bent = scene.bench.dir.path().join("bent");
    let (mut at, mut frames) = (25, Vec::new());
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at + 1..at + 5].try_into().unwrap()) as usize;
        let head = if bytes[at] == 1 { 45 } else { 13 };
        frames.push((bytes[at], at..at + head + length));
        at += head + length;
    }
    let change = frames
        .iter()
        .position(|(kind, _)| *kind == 3)
        .expect("a key changed");
    let range = frames[change].1.clone();
    let without = [&bytes[..range.start], &bytes[range.end..]].concat();
    fs::write(&bent, without).unwrap();
    let restore = |name| {
        scene.restore_with(name, |options| {
            options.backup = Some(old.manifest.backup);
            options.ledgers = vec![bent.clone()];
        })
    };
    // As long as the target's copy leads to the new key that is no loss.
    let (restored, ..) = restore("led-by-another").unwrap();
    assert_eq!(restored.replay.erased.len(), 2);
    let vault = scene.bench.vault.snapshot().unwrap().vault();
    let other = crate::backup::target::ledger_of(vault);
    fs::remove_file(scene.place().join(other)).unwrap();
    let refused = restore("from-bent");
    assert!(matches!(refused, Err(BackupError::Damaged { .. })));
}

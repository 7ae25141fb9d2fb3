//! A vault that is backed up while it is written, loses people, and comes back out of the older backup.
//!
//! A failure is: an erased person who is there, or of whom a byte is found; anybody else of whom a value
//! differs or is missing; a receipt that names another day than the key part's end; a horizon that is not
//! now after the old keys are gone. Speed and memory are told, and fail nothing here: a machine with
//! other work to do says little about either but their ratio.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use serde_json::{Map, Value, json};
use vault_core::backup::target::{Directory, Target};
use vault_core::backup::verify::verify;
use vault_core::backup::write::Parts;
use vault_core::backup::{BackupError, Identity, Manifest, Recipients, new_identity};
use vault_core::clock::SystemClock;
use vault_core::crypto::{Location, Secret as Key, seal, unseal};
use vault_core::entropy::OsEntropy;
use vault_core::id::{ReceiptId, SubjectId, VaultId};
use vault_core::policy::SAMPLE;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    BackupInput, Call, ListOptions, LockedVault, Order, Passphrase, Principal, ReadOptions,
    ReceiptStatus, RestoreOptions, Settings, UnlockSecret, Vault, VaultPaths,
};

use crate::forensic::files::Image;
use crate::forensic::hunt::QUIETLY;
use crate::forensic::list::Item;
use crate::forensic::search::{Evidence, search};
use crate::forensic::unlock::Secret;
use crate::memory::Watch;

const PASSPHRASE: &str = "correct horse battery";
/// Callers that fill the vault at a time: they share commits.
const FILLERS: usize = 32;
/// Callers that write while a backup is made.
const WRITERS: usize = 4;
const MESSAGES: usize = 3;
/// Beyond it the forensic reader, which tries every key at every offset, takes longer than anybody waits.
const FORENSIC_PEOPLE_MAX: usize = 250;
const BLOCK_BYTES: usize = 64 << 10;

/// What happened, and how long it took.
#[derive(Debug, Default)]
pub struct Report {
    /// People of the backup.
    pub people: u64,
    /// People who were erased after it.
    pub erased: usize,
    /// Writes during the backup.
    pub writes: usize,
    /// Bytes of data and keys.
    pub bytes: u64,
    /// How long the backup took.
    pub backup: Duration,
    /// How long verifying and opening every envelope took.
    pub verify: Duration,
    /// How long the restore took.
    pub restore: Duration,
    /// How long sealing the same bytes took, in blocks of 64 KiB, in memory.
    pub cipher: Duration,
    /// How long sealing them took while they were read from a file and written into another.
    pub cipher_copy: Duration,
    /// How long sealing as many envelopes of the average length took.
    pub envelopes: Duration,
    /// Peak of the process's memory during the backup, in KiB.
    pub backup_kib: Option<u64>,
    /// During the restore.
    pub restore_kib: Option<u64>,
    /// What the forensic reader said; nothing where there were too many people for it.
    pub forensic: Option<String>,
}

impl Report {
    fn rate(&self, took: Duration) -> f64 {
        self.bytes as f64 / (1 << 20) as f64 / took.as_secs_f64()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, took: Duration| {
            let rate = self.rate(took);
            writeln!(
                f,
                "{what:<44} {:>8.2} s {rate:>8.0} MiB/s",
                took.as_secs_f64()
            )
        };
        writeln!(
            f,
            "{} people, {} erased after the older backup, {} writes while it was made, {} bytes",
            self.people, self.erased, self.writes, self.bytes
        )?;
        line(f, "backup under load", self.backup)?;
        line(f, "verify, every envelope opened", self.verify)?;
        line(f, "restore, every envelope opened", self.restore)?;
        line(f, "XChaCha20-Poly1305, in memory", self.cipher)?;
        line(f, "XChaCha20-Poly1305, file to file", self.cipher_copy)?;
        line(
            f,
            "XChaCha20-Poly1305, as envelopes, both ways",
            self.envelopes,
        )?;
        let kib = |kib: Option<u64>| kib.map_or("unknown".to_owned(), |kib| format!("{kib} KiB"));
        writeln!(
            f,
            "peak of memory: backup {}, restore {}",
            kib(self.backup_kib),
            kib(self.restore_kib)
        )?;
        match &self.forensic {
            Some(said) => writeln!(f, "forensic reader: {said}"),
            None => writeln!(
                f,
                "forensic reader: not run beyond {FORENSIC_PEOPLE_MAX} people"
            ),
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn profile(number: usize) -> Map<String, Value> {
    object(json!({
        "name": format!("Invented Person {number:07}"),
        "email": format!("invented.{number:07}@backup.example.test"),
    }))
}

fn message(number: usize, which: usize) -> Map<String, Value> {
    object(
        json!({"from": "user", "text": format!("what {number:07} said as number {which}, at some length")}),
    )
}

fn quiet(_: u64, _: u64) -> Result<(), BackupError> {
    Ok(())
}

struct Scene<'a> {
    vault: &'a Vault,
    bot: &'a Principal,
}

impl Scene<'_> {
    fn call(&self) -> Call<'_> {
        Call::new(self.bot).with_purpose("support")
    }

    /// Repeats what was refused because too many waited.
    fn patiently<T>(&self, work: impl Fn(&Call<'_>) -> Result<T, Refusal>) -> T {
        loop {
            match work(&self.call()) {
                Err(Refusal::Overloaded) => std::thread::yield_now(),
                result => return result.expect("an invented person is taken"),
            }
        }
    }

    fn fill(&self, people: usize, tell: &dyn Fn(&str)) -> Vec<SubjectId> {
        let next = AtomicUsize::new(0);
        let mut made: Vec<(usize, SubjectId)> = std::thread::scope(|scope| {
            let fillers: Vec<_> = (0..FILLERS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut made = Vec::new();
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= people {
                                return made;
                            }
                            let user = format!("invented-{number:07}");
                            let (subject, _) = self
                                .patiently(|call| self.vault.create_subject(call, "web", &user));
                            self.patiently(|call| {
                                let told = profile(number);
                                self.vault
                                    .patch_single(call, subject, "profile", told, None)
                            });
                            self.patiently(|call| {
                                let said = (0..MESSAGES).map(|n| message(number, n)).collect();
                                self.vault.append(call, subject, "messages", said)
                            });
                            made.push((number, subject));
                        }
                    })
                })
                .collect();
            fillers
                .into_iter()
                .flat_map(|filler| filler.join().expect("it fills"))
                .collect()
        });
        tell("filled");
        made.sort_unstable_by_key(|(number, _)| *number);
        made.into_iter().map(|(_, subject)| subject).collect()
    }

    /// Whether a person is as they were made, and has said at least what they said then.
    fn intact(&self, number: usize, subject: SubjectId) -> bool {
        let options = ReadOptions::default();
        let shown = self.patiently(|call| {
            self.vault
                .read_single(call, subject, "profile", &options, |view, _| {
                    view.map(|view| view.fields.clone())
                })
        });
        let said = self.patiently(|call| {
            let options = ListOptions {
                read: ReadOptions::default(),
                limit: MESSAGES,
                order: Order::Oldest,
                cursor: None,
            };
            self.vault
                .list(call, subject, "messages", &options, |page| {
                    let fields = page.records.iter().map(|record| record.fields.clone());
                    fields.collect::<Vec<_>>()
                })
        });
        let first: Vec<Map<String, Value>> = (0..MESSAGES).map(|n| message(number, n)).collect();
        shown == Some(profile(number)) && said == first
    }
}

/// Seals the bytes of a backup alone, three ways.
fn cipher(report: &mut Report, dir: &Path, manifest: &Manifest, envelopes: u64) {
    let cipher = chacha20poly1305::XChaCha20Poly1305::new(&[7; 32].into());
    let names = manifest.objects.iter().map(|object| &object.name);
    let keys = manifest.keys.iter().flat_map(|keys| &keys.objects);
    let names: Vec<&String> = names.chain(keys.map(|object| &object.name)).collect();
    let mut number = 0_u64;
    let mut nonce = || {
        number += 1;
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        nonce
    };
    let mut block = Vec::with_capacity(BLOCK_BYTES + 16);
    for name in &names {
        let bytes = fs::read(dir.join(name)).expect("an object of the backup");
        let begun = Instant::now();
        for part in bytes.chunks(BLOCK_BYTES) {
            block.clear();
            block.extend_from_slice(part);
            let sealed = cipher.encrypt_in_place(&nonce().into(), b"", &mut block);
            sealed.expect("a short block");
        }
        report.cipher += begun.elapsed();
    }
    let begun = Instant::now();
    for name in &names {
        let mut from = fs::File::open(dir.join(name)).expect("an object of the backup");
        let copy = dir.join("cipher-alone.tmp");
        let mut to = fs::File::create(&copy).expect("room for one object");
        let mut part = vec![0; BLOCK_BYTES];
        loop {
            let count = from.read(&mut part).expect("it is read");
            if count == 0 {
                break;
            }
            block.clear();
            block.extend_from_slice(&part[..count]);
            let sealed = cipher.encrypt_in_place(&nonce().into(), b"", &mut block);
            sealed.expect("a short block");
            to.write_all(&block).expect("it is written");
        }
        to.sync_all().expect("it is flushed");
        fs::remove_file(&copy).expect("it was made here");
    }
    report.cipher_copy = begun.elapsed();
    // What a restore cannot do without: each envelope opened once, and a keyset sealed for each person.
    let key = Key::<32>::generate(&mut OsEntropy);
    let place = Location::row(VaultId::from_bytes([1; 16]), 4, &[2; 16]);
    let length = (report.bytes / envelopes.max(1)) as usize;
    let value = vec![b'x'; length.saturating_sub(46).clamp(1, 1 << 20)];
    let begun = Instant::now();
    for _ in 0..envelopes {
        let sealed = seal(&key, 1, &place, &value).expect("short");
        assert!(unseal(&key, &place, &sealed).is_ok());
    }
    report.envelopes = begun.elapsed();
}

fn settings() -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.into()).expect("long enough")
}

/// Plays it with so many people in a directory that is empty.
///
/// # Panics
///
/// At the first failure, naming it by number.
#[must_use]
pub fn play(people: usize, root: &Path, tell: &dyn Fn(&str)) -> Report {
    let mut report = Report::default();
    let paths = VaultPaths::beside(&root.join("vault"));
    let created = LockedVault::create(&paths, settings(), &passphrase(), SAMPLE);
    let created = created.expect("an empty directory");
    let vault = &created.vault;
    let keyholder = vault.keyholder();
    let role = |role: &str| {
        let made = vault.create_token(&Call::new(&keyholder), role, None);
        let (_, secret) = made.expect("a role of the sample policy");
        vault.authenticate(&secret).expect("a new key")
    };
    let (bot, dpo) = (role("bot"), role("dpo"));
    let scene = Scene { vault, bot: &bot };
    let made = scene.fill(people, tell);
    let (identity_text, recipient) = new_identity();
    let target: Arc<dyn Target> = Arc::new(Directory::new(root.join("target")));
    let keys_expire = jiff_in_days(30);
    let input = |parts| BackupInput {
        parts,
        recipients: Recipients::parse([recipient.as_str()]).expect("just made"),
        keys_expire,
    };

    // The older backup, while people go on writing.
    let stop = AtomicBool::new(false);
    let writes = AtomicUsize::new(0);
    let watch = Watch::begin(std::process::id());
    let first = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (stop, writes, scene, made) = (&stop, &writes, &scene, &made);
            scope.spawn(move || {
                let mut number = writer;
                while !stop.load(Ordering::Acquire) {
                    let subject = made[(number * 7919) % made.len()];
                    scene.patiently(|call| {
                        let said = vec![message(number, 999)];
                        scene.vault.append(call, subject, "messages", said)
                    });
                    writes.fetch_add(1, Ordering::Relaxed);
                    number += WRITERS;
                }
            });
        }
        let job = vault.backup_job().expect("the only one");
        let begun = Instant::now();
        let done = vault.back_up(&Call::new(&keyholder), &target, input(Parts::Both), job);
        report.backup = begun.elapsed();
        stop.store(true, Ordering::Release);
        done.expect("a backup under load").manifest
    });
    report.backup_kib = watch.peak_kib();
    drop(watch);
    report.writes = writes.into_inner();
    report.people = first.people;
    report.bytes = first.bytes();
    tell("backed up");

    // One in a hundred goes.
    let gone: Vec<usize> = (0..made.len()).step_by(100).collect();
    let mut receipts: Vec<ReceiptId> = Vec::new();
    for number in &gone {
        let receipt = vault.erase_subject(&Call::new(&dpo), made[*number]);
        let receipt = receipt.expect("they are there");
        let horizon = receipt["body"]["erasure_horizon"].as_str().expect("a text");
        let named = horizon.parse::<jiff::Timestamp>().expect("an instant");
        let off = named.as_second() - keys_expire.as_second();
        assert!(off.abs() <= 1, "the receipt of {number} names {horizon}");
        let id = receipt["body"]["receipt"].as_str().expect("an id");
        receipts.push(id.parse().expect("an id"));
    }
    report.erased = gone.len();
    tell("erased");
    let job = vault.backup_job().expect("the only one");
    let second = vault.back_up(&Call::new(&keyholder), &target, input(Parts::Data), job);
    let second = second.expect("another backup").manifest;

    let identity = Identity::parse(&identity_text).expect("just made");
    let begun = Instant::now();
    let name = first.backup.to_string();
    let verified = verify(&target, &name, None, Some(&identity), None, &quiet);
    report.verify = begun.elapsed();
    let opened = verified.expect("it is whole").opened.expect("it opens");
    assert_eq!(opened.people, first.people);
    tell("verified");
    cipher(
        &mut report,
        &root.join("target").join(&name),
        &first,
        opened.envelopes,
    );

    let new_passphrase = passphrase();
    let options = RestoreOptions {
        target: target.clone(),
        backup: Some(first.backup),
        identity: &identity,
        into: VaultPaths::beside(&root.join("restored")),
        passphrase: &new_passphrase,
        ledgers: vec![root.join("vault/ledger")],
        accept_gap: None,
        settings: settings(),
    };
    let watch = Watch::begin(std::process::id());
    let begun = Instant::now();
    let restored = LockedVault::restore(&options, &quiet).expect("it comes back");
    report.restore = begun.elapsed();
    report.restore_kib = watch.peak_kib();
    drop(watch);
    let counts = restored.restored.expect("it was not there before");
    assert_eq!(counts.counts.people, first.people - gone.len() as u64);
    tell("restored");
    let locked = LockedVault::open(&options.into, settings()).expect("a vault");
    let again = locked
        .unlock(&UnlockSecret::Passphrase(passphrase()))
        .expect("the passphrase that was given");
    let keyholder_again = again.keyholder();
    let token = again.create_token(&Call::new(&keyholder_again), "bot", None);
    let bot_again = again
        .authenticate(&token.expect("a role of the policy").1)
        .expect("a new key");
    let back = Scene {
        vault: &again,
        bot: &bot_again,
    };
    for (number, subject) in made.iter().enumerate() {
        if number % 100 == 0 {
            let options = ReadOptions::default();
            let read = again.read_single(&back.call(), *subject, "profile", &options, |_, _| ());
            assert!(
                matches!(read, Err(Refusal::Erased { .. })),
                "{number} is there"
            );
        } else {
            assert!(back.intact(number, *subject), "{number} differs");
        }
    }
    tell("compared");
    again.close();
    drop(locked);

    // Nothing of those who are gone is in the restored vault or in the data of either backup.
    let mut data: Vec<Vec<u8>> = Vec::new();
    for manifest in [&first, &second] {
        let dir = root.join("target").join(manifest.backup.to_string());
        let objects = manifest.objects.iter();
        data.extend(objects.map(|object| fs::read(dir.join(&object.name)).expect("an object")));
    }
    if people <= FORENSIC_PEOPLE_MAX {
        report.forensic = Some(forensic(root, &data, &made, &gone));
        tell("searched");
    }

    // With the old keys gone, what was erased is out of reach from now on.
    let status = |receipt: &ReceiptId| {
        let shown = vault.receipt(&Call::new(&keyholder), *receipt);
        shown.expect("a receipt of this vault").1
    };
    assert!(
        receipts
            .iter()
            .all(|one| matches!(status(one), ReceiptStatus::Open { .. }))
    );
    let before = jiff::Timestamp::now();
    let recipients = Recipients::parse([recipient.as_str()]).expect("just made");
    let rekeyed = vault.rekey_backup(
        &Call::new(&keyholder),
        &target,
        first.backup,
        (recipients, keys_expire),
        &quiet,
    );
    let rekeyed = rekeyed.expect("the data are there");
    assert_eq!(rekeyed.whole, first.people - gone.len() as u64);
    assert_eq!((rekeyed.in_part, rekeyed.gone), (0, gone.len() as u64));
    for receipt in &receipts {
        match status(receipt) {
            ReceiptStatus::Final(at) => assert!((at - before).get_seconds().abs() < 600),
            ReceiptStatus::Open { .. } => panic!("a receipt is still open"),
        }
    }
    tell("new keys");
    vault.close();
    report
}

fn jiff_in_days(days: i64) -> jiff::Timestamp {
    jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)
}

/// The forensic reader on all of it; and the control, that it finds who is still there.
fn forensic(root: &Path, data: &[Vec<u8>], made: &[SubjectId], gone: &[usize]) -> String {
    let (dir, anchor) = (root.join("restored"), root.join("restored-anchor"));
    let image = Image::read(&dir, &anchor).expect("the restored vault's files");
    let items = |number: usize| {
        let profile = profile(number);
        let text = |name: &str| profile[name].as_str().expect("a text").to_owned();
        let mut items = vec![
            Item::Value(text("name")),
            Item::Value(text("email")),
            Item::Channel {
                channel: "web".into(),
                user: format!("invented-{number:07}"),
            },
        ];
        items.extend((0..MESSAGES).map(|which| {
            let message = message(number, which);
            Item::Value(message["text"].as_str().expect("a text").to_owned())
        }));
        items
    };
    let mut evidence = Evidence::of(&[&image]);
    evidence.files.extend(data.iter().map(Vec::as_slice));
    let secrets = [Secret::Passphrase(PASSPHRASE.into())];
    let erased: Vec<Item> = gone.iter().flat_map(|number| items(*number)).collect();
    let report = search(&evidence, &secrets, &erased, QUIETLY).expect("the passphrase");
    assert!(
        !report.found_any(),
        "something of the erased is found: {report}"
    );
    // The control: the same reader, somebody who was not erased.
    let there = items(1);
    let control = search(&evidence, &secrets, &there, QUIETLY).expect("the passphrase");
    assert_eq!(control.values(), there.len(), "{control}");
    // And the raw ids, which a keyset alone would hold.
    for number in gone {
        let id = made[*number].as_bytes();
        let files = data
            .iter()
            .chain([&image.database, &image.journal, &image.ledger]);
        for file in files {
            assert!(!file.windows(16).any(|window| window == id));
        }
    }
    report.to_string()
}

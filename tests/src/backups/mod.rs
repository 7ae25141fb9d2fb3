//! A vault that is backed up while it is written, loses people, and comes back out of the older backup.
//!
//! A failure is: an erased person who is there, or of whom a byte is found; anybody else of whom a value
//! differs or is missing; a receipt that names another day than the key part's end; a horizon that is not
//! now after the old keys are gone. Speed and memory are told, and fail nothing here: a machine with
//! other work to do says little about either but their ratio.

mod alone;
mod cipher;
mod forensic;
mod report;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Map, Value, json};
use vault_core::backup::target::{Directory, Target};
use vault_core::backup::verify::verify;
use vault_core::backup::write::Parts;
use vault_core::backup::{BackupError, Identity, Recipients, new_identity};
use vault_core::clock::SystemClock;
use vault_core::id::{ReceiptId, SubjectId};
use vault_core::limits::RESTORE_OPENED_PEOPLE;
use vault_core::policy::SAMPLE;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    BackupInput, Call, ListOptions, LockedVault, Order, Passphrase, Principal, ReadOptions,
    ReceiptStatus, RestoreOptions, Settings, UnlockSecret, Vault, VaultPaths,
};

pub use alone::step;
pub use report::Report;

const PASSPHRASE: &str = "correct horse battery";
/// Callers that fill the vault at a time: they share commits.
const FILLERS: usize = 32;
/// Callers that write while a backup is made.
const WRITERS: usize = 4;
const MESSAGES: usize = 3;
/// Beyond it the forensic reader, which tries every key at every offset, takes longer than anybody waits.
const FORENSIC_PEOPLE_MAX: usize = 250;

/// What is played.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scale<'p> {
    /// How many people.
    pub people: usize,
    /// So many letters more than a short sentence has each message.
    pub letters: usize,
    /// A program that carries out a [`step`], and how often it is to.
    pub alone: Option<(&'p Path, usize)>,
}

impl Scale<'_> {
    /// So many people with short messages.
    #[must_use]
    pub fn of(people: usize) -> Self {
        Self {
            people,
            ..Self::default()
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

fn message(number: usize, which: usize, letters: usize) -> Map<String, Value> {
    let mut text = format!("what {number:07} said as number {which}, at some length");
    text.extend(std::iter::repeat_n(" and so on", letters / 10));
    object(json!({"from": "user", "text": text}))
}

fn quiet(_: u64, _: u64) -> Result<(), BackupError> {
    Ok(())
}

struct Scene<'a> {
    vault: &'a Vault,
    bot: &'a Principal,
    letters: usize,
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
                                let said = (0..MESSAGES)
                                    .map(|n| message(number, n, self.letters))
                                    .collect();
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
        let first: Vec<Map<String, Value>> = (0..MESSAGES)
            .map(|n| message(number, n, self.letters))
            .collect();
        shown == Some(profile(number)) && said == first
    }
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
pub fn play(scale: Scale<'_>, root: &Path, tell: &dyn Fn(&str)) -> Report {
    let (people, letters) = (scale.people, scale.letters);
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
    let scene = Scene {
        vault,
        bot: &bot,
        letters,
    };
    let made = scene.fill(people, tell);
    let (identity_text, recipient) = new_identity();
    let target: Arc<dyn Target> = Arc::new(Directory::new(root.join("target")));
    let keys_expire = in_days(30);
    let input = |parts| BackupInput {
        parts,
        recipients: Recipients::parse([recipient.as_str()]).expect("just made"),
        keys_expire,
    };

    // The older backup, while people go on writing.
    let stop = AtomicBool::new(false);
    let writes = AtomicUsize::new(0);
    let first = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (stop, writes, scene, made) = (&stop, &writes, &scene, &made);
            scope.spawn(move || {
                let mut number = writer;
                while !stop.load(Ordering::Acquire) {
                    let subject = made[(number * 7919) % made.len()];
                    scene.patiently(|call| {
                        let said = vec![message(number, 999, letters)];
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
    report.envelopes = opened.envelopes;
    let parts = root.join("target").join(&name);
    report.cipher = cipher::measure(&parts, &first, opened.envelopes);

    let new_passphrase = passphrase();
    let options = RestoreOptions {
        target: target.clone(),
        backup: Some(first.backup),
        identity: &identity,
        into: VaultPaths::beside(&root.join("restored")),
        passphrase: &new_passphrase,
        ledgers: vec![root.join("vault/ledger")],
        accept_gap: None,
        opened_people: RESTORE_OPENED_PEOPLE,
        settings: settings(),
    };
    let begun = Instant::now();
    let restored = LockedVault::restore(&options, &quiet).expect("it comes back");
    report.restore = begun.elapsed();
    let counts = restored.restored.expect("it was not there before");
    assert_eq!(counts.counts.people, first.people - gone.len() as u64);
    let size = |dir: &str| fs::metadata(root.join(dir).join("vault.redb")).map_or(0, |m| m.len());
    report.databases = (size("vault"), size("restored"));
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
        letters,
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
        report.forensic = Some(forensic::look(root, &data, &made, &gone));
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
    drop(created);
    if let Some((program, rounds)) = scale.alone {
        alone::lay_out(root, &identity_text, &recipient);
        report.alone = Some(alone::measure(program, root, &rekeyed.manifest, rounds));
        tell("once more, alone");
    }
    report
}

fn in_days(days: i64) -> jiff::Timestamp {
    jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)
}

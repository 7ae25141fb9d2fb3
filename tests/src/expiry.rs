//! A tenth of a vault's people has something that no purpose needs any more: it goes while the process is
//! killed again and again, and nothing else does.
//!
//! A failure is: a value that ended and is there, or that the forensic reader finds; anything else that is
//! missing or differs; a vault that does not open after a kill. People who are swept twice are none.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use vault_core::clock::SystemClock;
use vault_core::id::SubjectId;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    Call, LockedVault, Passphrase, Principal, ReadOptions, Settings, Sweep, UnlockSecret, Vault,
    VaultPaths,
};

use crate::forensic::files::Image;
use crate::forensic::hunt::QUIETLY;
use crate::forensic::list::Item;
use crate::forensic::search::{Evidence, search};
use crate::forensic::unlock::Secret;

const PASSPHRASE: &str = "correct horse battery";
/// The campaign's last day, first far away and then long ago.
const POLICY: &str = r#"
[controller]
name = "Example Shop Ltd"
contact = "privacy@example.test"

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[purposes.campaign]
title.en = "Honouring your vouchers"
basis = "legitimate_interests"
retention = { after = "fixed_date", date = "2199-12-31", period = "P0D" }

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support"] }
voucher = { type = "identifier", purposes = ["campaign"], lookup = true }

[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text", purposes = ["campaign"] }

[roles.bot]
purposes = ["support", "campaign"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create"]
"#;
/// Callers that fill a vault at a time: they share commits.
const FILLERS: usize = 32;
/// One in so many has what ends.
const ONE_IN: usize = 10;
/// Beyond it the forensic reader, which tries every key at every offset, takes longer than anybody waits.
const FORENSIC_PEOPLE_MAX: usize = 250;

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// How many people there are.
    pub people: usize,
    /// How many of them had something that ended.
    pub due: u64,
    /// Records and values in them that ended.
    pub values: u64,
    /// How often the process was killed at work.
    pub kills: usize,
    /// Passes that were told as progress.
    pub passes: usize,
    /// From the first process to the end of the last.
    pub took: Duration,
    /// What the forensic reader says, for few people.
    pub forensic: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "people                {}", self.people)?;
        writeln!(f, "people with an end    {}", self.due)?;
        writeln!(f, "values that ended     {}", self.values)?;
        writeln!(f, "killed at work        {} times", self.kills)?;
        writeln!(f, "passes told           {}", self.passes)?;
        writeln!(f, "took                  {:.1} s", self.took.as_secs_f64())?;
        writeln!(
            f,
            "there afterwards      nothing that ended, everything else"
        )?;
        match &self.forensic {
            Some(found) => write!(f, "{found}"),
            None => writeln!(f, "forensic reader       not run for so many people"),
        }
    }
}

fn settings() -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    }
}

fn paths(root: &Path) -> VaultPaths {
    VaultPaths::beside(&root.join("vault"))
}

/// Opens the vault that lies there with the recovery key that lies beside it.
fn open(root: &Path) -> (LockedVault, Arc<Vault>) {
    let locked = LockedVault::open(&paths(root), settings()).expect("it opens after a kill");
    let key = fs::read_to_string(root.join("recovery")).expect("laid out");
    let secret = UnlockSecret::RecoveryKey(key.parse().expect("a recovery key"));
    let vault = locked.unlock(&secret).expect("its recovery key");
    (locked, vault)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn ends(number: usize) -> bool {
    number.is_multiple_of(ONE_IN)
}

fn name(number: usize) -> String {
    format!("Invented Person {number:07}")
}

/// What ends of a person.
fn ended(number: usize) -> [String; 3] {
    [
        format!("voucher-{number:07}-of-nobody"),
        format!("the first note of {number:07}, which ends"),
        format!("the second note of {number:07}, which ends"),
    ]
}

/// Repeats what was refused because too many waited.
fn patiently<T>(work: impl Fn() -> Result<T, Refusal>) -> T {
    loop {
        match work() {
            Err(Refusal::Overloaded) => std::thread::yield_now(),
            result => return result.expect("an invented person is taken"),
        }
    }
}

fn fill(vault: &Vault, bot: &Principal, number: usize) -> SubjectId {
    let support = || Call::new(bot).with_purpose("support");
    let campaign = || Call::new(bot).with_purpose("campaign");
    let user = format!("invented-{number:07}");
    let (subject, _) = patiently(|| vault.create_subject(&support(), "web", &user));
    let told = object(json!({"name": name(number)}));
    patiently(|| vault.patch_single(&support(), subject, "profile", told.clone(), None));
    if ends(number) {
        let [voucher, first, second] = ended(number);
        let told = object(json!({ "voucher": voucher }));
        patiently(|| vault.patch_single(&campaign(), subject, "profile", told.clone(), None));
        let notes = [first, second].map(|text| object(json!({ "text": text })));
        patiently(|| vault.append(&campaign(), subject, "notes", notes.to_vec()));
    }
    subject
}

fn fill_all(vault: &Vault, bot: &Principal, people: usize) -> Vec<SubjectId> {
    let next = AtomicUsize::new(0);
    let mut made: Vec<(usize, SubjectId)> = std::thread::scope(|scope| {
        let filler = || {
            let mut made = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= people {
                    return made;
                }
                made.push((number, fill(vault, bot, number)));
            }
        };
        let fillers: Vec<_> = (0..FILLERS).map(|_| scope.spawn(filler)).collect();
        let all = fillers.into_iter();
        all.flat_map(|one| one.join().expect("it fills")).collect()
    });
    made.sort_unstable_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, subject)| subject).collect()
}

/// Sweeps the vault that lies there to the end, in this process: a line for each pass.
///
/// # Panics
///
/// If it fails.
pub fn step(root: &Path, tell: &dyn Fn(usize)) {
    let (_locked, vault) = open(root);
    for pass in 1.. {
        let run = vault.sweep_run(Sweep::All, 1).expect("it goes on");
        tell(pass);
        if !run.more {
            break;
        }
    }
    vault.close();
}

/// Kills the child once the anchor was written to so often; whether it had ended before.
fn kill_after(child: &mut Child, anchor: &Path, writes: usize) -> bool {
    let look = || fs::read(anchor).unwrap_or_default();
    let (mut last, mut seen) = (look(), 0);
    while seen < writes {
        if child.try_wait().expect("a child").is_some() {
            return true;
        }
        let now = look();
        if now != last {
            (last, seen) = (now, seen + 1);
        }
    }
    // On Unix this is SIGKILL: no handler runs, nothing is flushed.
    child.kill().expect("a child");
    child.wait().expect("a child");
    false
}

/// Plays it with so many people in a directory that is empty; `program` carries out [`step`] when it is
/// called with `--step --root DIR`.
///
/// # Panics
///
/// At the first failure, naming it by number.
#[must_use]
pub fn play(
    people: usize,
    kills: usize,
    program: &Path,
    root: &Path,
    tell: &dyn Fn(&str),
) -> Report {
    let mut report = Report {
        people,
        ..Report::default()
    };
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let created = LockedVault::create(&paths(root), settings(), &passphrase, POLICY);
    let created = created.expect("an empty directory");
    fs::write(root.join("recovery"), created.recovery_key.to_text()).expect("room for a line");
    let vault = &created.vault;
    let keyholder = vault.keyholder();
    let made = vault.create_token(&Call::new(&keyholder), "bot", None);
    let (_, bot_secret) = made.expect("a role of the policy");
    let bot = vault.authenticate(&bot_secret).expect("a new key");
    let subjects = fill_all(vault, &bot, people);
    tell("filled");
    assert!(
        !vault.sweep_due().expect("it counts").any(),
        "nothing ended"
    );
    let over = POLICY.replace("2199-12-31", "2020-12-31");
    let applied = vault.apply_policy(&Call::new(&keyholder), &over, false);
    applied.expect("a policy");
    let due = vault.sweep_due().expect("it counts");
    report.due = due.people;
    report.values = due.purposes.iter().map(|due| due.values).sum();
    assert_eq!(report.due, people.div_ceil(ONE_IN) as u64);
    assert_eq!(report.values, 3 * report.due);
    vault.close();
    drop(created);
    if people <= FORENSIC_PEOPLE_MAX {
        // The control: all of it can be found before.
        let found = look(root, people);
        assert_eq!(found.values() as u64, report.values, "{found}");
    }

    let begun = Instant::now();
    let start = || {
        let mut command = Command::new(program);
        command.args(["--step", "--root"]).arg(root);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("this program")
    };
    let anchor = paths(root).anchor.join("anchor");
    for turn in 0..kills {
        let writes = 1 + turn * 7 % 23;
        let mut child = start();
        if kill_after(&mut child, &anchor, writes) {
            let output = child.wait_with_output().expect("a child");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            break;
        }
        report.kills += 1;
        tell("killed");
    }
    let mut last = start();
    let lines = BufReader::new(last.stdout.take().expect("piped")).lines();
    for line in lines.map_while(Result::ok) {
        report.passes += 1;
        tell(&line);
    }
    let output = last.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    report.took = begun.elapsed();

    let (_locked, vault) = open(root);
    assert!(!vault.sweep_due().expect("it counts").any());
    let bot = vault.authenticate(&bot_secret).expect("it stays");
    for (number, subject) in subjects.iter().enumerate() {
        let shown = patiently(|| {
            let call = Call::new(&bot).with_purpose("support");
            let options = ReadOptions::default();
            vault.read_single(&call, *subject, "profile", &options, |view, _| {
                view.map(|view| view.fields.clone())
            })
        });
        let told = object(json!({"name": name(number)}));
        assert_eq!(shown, Some(told), "person {number}");
    }
    tell("compared");
    vault.close();
    if people <= FORENSIC_PEOPLE_MAX {
        let found = look(root, people);
        assert!(!found.found_any(), "something that ended is found: {found}");
        report.forensic = Some(found.to_string());
    }
    report
}

/// The forensic reader on the vault's files, for what ends.
fn look(root: &Path, people: usize) -> crate::forensic::search::Report {
    let paths = paths(root);
    let image = Image::read(&paths.dir, &paths.anchor).expect("the vault's files");
    let numbers = (0..people).filter(|number| ends(*number));
    let items: Vec<Item> = numbers.flat_map(ended).map(Item::Value).collect();
    let secrets = [Secret::Passphrase(PASSPHRASE.into())];
    search(&Evidence::of(&[&image]), &secrets, &items, QUIETLY).expect("the passphrase")
}

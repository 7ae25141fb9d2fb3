//! kill -9 in the middle of an import: repeated, each line is there exactly once.
//!
//! Counts as failure: a line that is there twice, or not at all, once the import has come to its end. Does
//! not count: how far a run that was killed had come. Where the name that the vault remembers lines by is
//! taken away, lines do come twice, and the test sees it.
//!
//! Twenty kills; the long form has as many as wanted, over as many more lines, and prints what it did:
//! `IMPORT_KILLS=400 cargo test -p vault-cli --test import_killed -- --nocapture`.

#![expect(
    clippy::print_stdout,
    reason = "what the long form did is for whoever runs it"
)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;
use support::{Bench, PASSPHRASE};
use vault_core::vault::{
    Call, ListOptions, LockedVault, Order, Passphrase, ReadOptions, Settings, UnlockSecret,
    VaultPaths,
};

const PEOPLE: usize = 23;
/// Lines for each kill.
const LINES_A_KILL: usize = 115;
const KILLS: usize = 20;
const MAPPING: &str = "purpose = \"support\"\n[identity]\nchannel = \"web\"\nuser = \"who\"\n[columns]\ntext = \"messages.text\"\n";

struct Scene {
    bench: Bench,
    token: String,
    /// The API key's name.
    key: String,
    lines: usize,
}

fn kills() -> usize {
    let wanted = std::env::var("IMPORT_KILLS").ok();
    wanted.map_or(KILLS, |text| text.parse().expect("a number of kills"))
}

impl Scene {
    fn new() -> Self {
        Self::with(KILLS * LINES_A_KILL)
    }

    fn with(lines: usize) -> Self {
        let bench = Bench::new();
        bench.init();
        let made = bench.on(&["token", "create", "--role", "bot"]).json();
        let token = bench.file("bot", made["secret"].as_str().unwrap(), 0o600);
        let mut rows = String::from("who,text\n");
        for line in 1..=lines {
            rows.push_str(&format!("p{},line {line}\n", line * 7 % PEOPLE));
        }
        bench.file("in.csv", &rows, 0o644);
        bench.file("map", MAPPING, 0o644);
        let key = made["token"].as_str().unwrap().to_owned();
        Self {
            bench,
            token,
            key,
            lines,
        }
    }

    /// Every line, once.
    fn once(&self) -> BTreeMap<String, usize> {
        let lines = 1..=self.lines;
        lines.map(|line| (format!("line {line}"), 1)).collect()
    }

    fn start(&self) -> Child {
        let args: &[&str] = &[
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--json",
            "--token-file",
            &self.token,
            "import",
            "in.csv",
            "--mapping",
            "map",
            "--errors",
            "refused",
        ];
        self.bench
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn position_file(&self) -> Option<PathBuf> {
        let mut entries = std::fs::read_dir(self.bench.root.path()).unwrap();
        entries.find_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            (name.starts_with("in.csv.import-") && !name.ends_with(".new")).then(|| path.clone())
        })
    }

    /// Whole, since it is replaced by renaming.
    fn position(&self) -> Option<Value> {
        let text = std::fs::read(self.position_file()?).ok()?;
        Some(serde_json::from_slice(&text).expect("a position is whole"))
    }

    fn line(&self) -> u64 {
        self.position()
            .map_or(0, |position| position["line"].as_u64().unwrap())
    }

    /// Runs until the position says `line`, and a while; then kills. Whether there was anything to kill.
    fn kill_after(&self, line: u64, spins: u64) -> bool {
        let mut child = self.start();
        while self.line() < line {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::yield_now();
        }
        // Busy, and not yielding: on a busy machine that would give away a slice of time each, and the run be over.
        for _ in 0..spins * 20 {
            std::hint::spin_loop();
        }
        let ended = child.try_wait().unwrap().is_some();
        // On Unix this is SIGKILL.
        let _ = child.kill();
        child.wait().unwrap();
        !ended
    }

    fn finish(&self) -> Value {
        let output = self.start().wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// How often each text is there.
    fn there(&self) -> BTreeMap<String, usize> {
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::default()
        };
        let paths = VaultPaths::beside(&self.bench.path("v"));
        let locked = LockedVault::open(&paths, settings).unwrap();
        let secret = UnlockSecret::Passphrase(Passphrase::new(PASSPHRASE.into()).unwrap());
        let vault = locked.unlock(&secret).unwrap();
        let bot = vault
            .authenticate(&std::fs::read_to_string(&self.token).unwrap())
            .unwrap();
        let mut all = BTreeMap::new();
        for person in 0..PEOPLE {
            let call = Call::new(&bot).with_purpose("support");
            let Ok(subject) = vault.lookup_channel(&call, "web", &format!("p{person}")) else {
                continue;
            };
            let mut cursor = None;
            loop {
                let options = ListOptions {
                    read: ReadOptions::default(),
                    limit: 1_000,
                    order: Order::Oldest,
                    cursor,
                };
                let listed = vault.list(&call, subject, "messages", &options, |page| {
                    for record in &page.records {
                        let text = record.fields["text"].as_str().unwrap().to_owned();
                        *all.entry(text).or_default() += 1;
                    }
                    page.next.clone()
                });
                cursor = listed.unwrap();
                if cursor.is_none() {
                    break;
                }
            }
        }
        vault.close();
        all
    }
}

#[test]
fn an_import_that_is_killed_at_any_moment_and_repeated_writes_each_line_once() {
    let kills = kills();
    let scene = Scene::with(kills * LINES_A_KILL);
    // Another seed each time would be no better attack, and no failure could be seen again.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut killed = 0;
    for round in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let even = (round * scene.lines * 10 / (kills * 11)) as u64;
        let line = even.min(scene.line() + random % 200);
        killed += u32::from(scene.kill_after(line, random % 3_000));
    }
    assert!(
        killed as usize * 2 >= kills,
        "only {killed} were under way when they were killed"
    );
    scene.finish();
    assert_eq!(scene.there(), scene.once());
    // And repeated when it is whole.
    assert_eq!(scene.finish()["imported_before"], true);
    assert_eq!(scene.there(), scene.once());
    println!(
        "{killed} of {kills} runs were killed under way; {} lines are there, each once",
        scene.lines
    );
}

#[test]
fn what_was_written_and_not_noted_is_not_written_again_and_without_its_name_it_would_be() {
    let scene = Scene::new();
    assert!(scene.kill_after(192, 0));
    let file = scene.position_file().unwrap();
    let kept = std::fs::read(&file).unwrap();
    let early = scene.line();
    scene.kill_after(early + 400, 0);
    // As a kill between the commits and the note of them leaves it.
    std::fs::write(&file, &kept).unwrap();
    scene.finish();
    assert_eq!(scene.there(), scene.once());

    let scene = Scene::new();
    assert!(scene.kill_after(192, 0));
    let file = scene.position_file().unwrap();
    let kept = std::fs::read_to_string(&file).unwrap();
    let name = scene.position().unwrap()["import"]
        .as_str()
        .unwrap()
        .to_owned();
    let early = scene.line();
    scene.kill_after(early + 400, 0);
    std::fs::write(&file, kept.replace(&name, "another")).unwrap();
    scene.finish();
    let twice = scene.there().values().filter(|count| **count == 2).count();
    assert!(twice >= 100, "the control: {twice} lines came twice");
}

/// The key that a killed run had was replaced, before anybody knew what that run had written.
#[test]
fn an_import_goes_on_with_another_key_and_writes_nothing_twice() {
    let mut scene = Scene::new();
    assert!(scene.kill_after(192, 0));
    let file = scene.position_file().unwrap();
    let kept = std::fs::read(&file).unwrap();
    let early = scene.line();
    scene.kill_after(early + 400, 0);
    std::fs::write(&file, &kept).unwrap();
    let rotate = ["token", "rotate", &scene.key, "--overlap", "PT0S", "--yes"];
    let made = scene.bench.on(&rotate).json();
    let refused = scene.start().wait_with_output().unwrap();
    assert!(!refused.status.success(), "the old key is over");
    scene.token = scene
        .bench
        .file("bot", made["secret"].as_str().unwrap(), 0o600);
    scene.finish();
    assert_eq!(scene.there(), scene.once());
}

/// Between any two good lines there is one that is refused, so that there is one where a batch ends.
#[test]
fn refused_lines_are_counted_and_told_once_however_often_an_import_is_stopped() {
    let scene = Scene::new();
    let mut rows = String::from("who,text\n");
    for line in 1..=scene.lines {
        rows.push_str(&match line % 4 {
            0 => format!("p0,line {line},more\n"),
            2 => format!(",line {line}\n"),
            _ => format!("p{},line {line}\n", line % PEOPLE),
        });
    }
    scene.bench.file("in.csv", &rows, 0o644);
    let told = || -> Vec<u64> {
        let text = std::fs::read_to_string(scene.bench.path("refused")).unwrap();
        let line = |text: &str| serde_json::from_str::<Value>(text).unwrap()["line"].as_u64();
        let mut lines: Vec<u64> = text.lines().map(|text| line(text).unwrap()).collect();
        lines.sort_unstable();
        lines
    };
    let end = || {
        let output = scene.start().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "lines were refused");
        let position = scene.position().unwrap();
        assert_eq!(position["done"], true);
        let number = |name: &str| position[name].as_u64().unwrap();
        (number("written"), number("refused"))
    };
    for round in 0..4 {
        assert!(scene.kill_after(scene.line() + 100, round * 700), "{round}");
    }
    let half = scene.lines as u64 / 2;
    assert_eq!(end(), (half, half));
    let refused: Vec<u64> = (1..=half).map(|line| line * 2).collect();
    assert_eq!(told(), refused);

    // The control: without the place where it was stopped, they are counted and told a second time.
    let file = scene.position_file().unwrap();
    let mut position = scene.position().unwrap();
    position["line"] = 0.into();
    position["done"] = false.into();
    std::fs::write(&file, position.to_string()).unwrap();
    assert_eq!(end(), (half * 2, half * 2));
    assert_eq!(told().len(), refused.len() * 2);
}

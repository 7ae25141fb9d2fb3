//! `doctor` on real directories, locked, open, served and damaged; and the pages of `man`.
//!
//! Counts as failure: a finding that is not there, one that is there and not told, an exit code that does
//! not fit, a value or a secret in what is said. What the machine of the test has of its own (its file system,
//! its swap, its limits) counts for nothing.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Bench, CANARY, Outcome, PASSPHRASE};

/// Findings about the machine that the tests run on.
const OF_THE_MACHINE: [&str; 8] = [
    "file_system",
    "disk_room",
    "swap",
    "limit_files",
    "limit_locked",
    "keys_unlocked",
    "clock_unsynchronised",
    "core_dumps",
];

struct Found(Vec<(String, String, String)>, i32);

impl Found {
    fn of(outcome: &Outcome) -> Self {
        for text in [&outcome.out, &outcome.err] {
            assert!(!text.contains(PASSPHRASE) && !text.contains(CANARY));
        }
        let answer: Value = serde_json::from_str(&outcome.out)
            .unwrap_or_else(|_| panic!("no document: {}{}", outcome.out, outcome.err));
        let findings = answer["findings"].as_array().expect("a list");
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        for finding in findings {
            assert!(text(finding, "todo").len() > 5 && text(finding, "what").len() > 5);
        }
        let ours = findings
            .iter()
            .filter(|finding| !OF_THE_MACHINE.contains(&finding["code"].as_str().unwrap()));
        let ours = ours.map(|f| (text(f, "severity"), text(f, "code"), text(f, "where")));
        Self(ours.collect(), outcome.code)
    }

    fn has(&self, severity: &str, code: &str) -> bool {
        let mut all = self.0.iter();
        all.any(|(its, word, _)| (its.as_str(), word.as_str()) == (severity, code))
    }

    fn worst(&self) -> &str {
        self.0.first().map_or("", |(severity, ..)| severity)
    }
}

/// From outside, without a secret.
fn outside(bench: &Bench, more: &[&str]) -> Found {
    Found::of(&bench.run(&[&["--vault", "v", "--json", "doctor"], more].concat()))
}

#[test]
fn a_fresh_vault_lacks_a_backup_and_nothing_else() {
    let bench = Bench::new();
    bench.init();
    let locked = outside(&bench, &[]);
    assert_eq!(locked.worst(), "note", "{:?}", locked.0);
    assert!(locked.has("note", "no_codes"), "{:?}", locked.0);
    let configured = "[verification.smtp]\nhost = 'mail.example.test'\nfrom = 'a@example.test'\n";
    bench.file("v/vault.toml", configured, 0o600);
    assert!(!outside(&bench, &[]).has("note", "no_codes"));
    fs::remove_file(bench.path("v/vault.toml")).unwrap();
    let open = Found::of(&bench.on(&["doctor"]));
    let errors = open.0.iter().filter(|(severity, ..)| severity != "note");
    let errors: Vec<&str> = errors.map(|(_, code, _)| code.as_str()).collect();
    assert_eq!(errors, ["no_backup"], "{:?}", open.0);
    // For people the same, and the exit code says so too, unless the machine itself has an error.
    let read = bench.run(&["--vault", "v", "doctor"]);
    assert!(read.out.contains("anchor"), "{}", read.out);
    assert!([0, 1].contains(&read.code));
}

#[test]
fn what_others_may_read_or_was_left_or_cut_is_found_with_its_exit_code() {
    let bench = Bench::new();
    bench.init();
    let database = bench.path("v/vault.redb");
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    let found = outside(&bench, &[]);
    assert!(found.has("error", "permissions") && found.1 == 1);
    assert!(found.0[0].2.ends_with("v/vault.redb"));
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    bench.file("v/backup.unfinished", "", 0o600);
    bench.file("v/vault.toml", "lissten = '127.0.0.1:1'", 0o600);
    let found = outside(&bench, &[]);
    assert!(found.has("warning", "leftover"));
    assert!(found.has("error", "configuration") && found.1 == 1);
    fs::remove_file(bench.path("v/vault.toml")).unwrap();
    fs::remove_file(bench.path("v/backup.unfinished")).unwrap();
    // A key slot whose file is cut is damage, and what the vault itself says of damage is, too.
    let slots = fs::read(bench.path("v-anchor/slots")).unwrap();
    fs::write(bench.path("v-anchor/slots"), &slots[..1000]).unwrap();
    let found = outside(&bench, &[]);
    assert!(found.has("damage", "slots_damaged") && found.1 == 5);
    fs::write(bench.path("v-anchor/slots"), &slots).unwrap();
    let whole = fs::read(&database).unwrap();
    let mut torn = whole.clone();
    let middle = torn.len() / 2;
    torn[middle..].fill(0);
    fs::write(&database, torn).unwrap();
    let found = Found::of(&bench.on(&["doctor"]));
    assert!(
        found.has("damage", "does_not_open") && found.1 == 5,
        "{:?}",
        found.0
    );
    fs::write(&database, whole).unwrap();
    assert_eq!(outside(&bench, &[]).worst(), "note");
}

#[test]
fn a_wrong_secret_is_3_and_no_vault_is_1_and_nothing_is_asked_of_nobody() {
    let bench = Bench::new();
    bench.init();
    bench.file("wrong", "another horse entirely", 0o600);
    let wrong = [
        "--vault",
        "v",
        "--json",
        "--passphrase-file",
        "wrong",
        "doctor",
    ];
    bench.run(&wrong).json_error(3, "wrong_secret");
    let none = bench.run(&["--vault", "none", "--json", "doctor"]);
    none.json_error(1, "not_a_vault");
    // The policy lies sealed: without a secret and without a terminal there is no look at it.
    let asked = bench.run(&["--vault", "v", "doctor", "--gdpr"]);
    asked.refused(2);
}

#[test]
fn the_policy_is_looked_at_from_a_file_alone_and_in_the_vault() {
    let bench = Bench::new();
    let sample = vault_core::policy::SAMPLE;
    let alone = |source: &str| {
        let path = bench.file("policy.toml", source, 0o644);
        Found::of(&bench.run(&["--json", "doctor", "--gdpr", "--policy", &path]))
    };
    let found = alone(sample);
    assert!(found.has("warning", "notice_gate_off") && found.1 == 0);
    assert!(!found.has("warning", "no_dpo"));
    assert!(alone(&sample.replace("dpo = \"dpo@example.test\"\n", "")).has("warning", "no_dpo"));
    let found = alone(&sample.replace("\"subjects.export\", ", ""));
    assert!(found.has("error", "nobody_exports") && found.1 == 1);
    let found = alone(&sample.replace("basis = \"contract\" ", ""));
    assert!(found.worst() == "error" && found.1 == 1, "{:?}", found.0);

    bench.init();
    let found = Found::of(&bench.on(&["doctor", "--gdpr"]));
    assert!(found.has("warning", "notice_gate_off"));
    // The file is newer than what is in force; then it is in force.
    let changed = bench.file("policy.toml", &sample.replace("P90D", "P30D"), 0o644);
    let found = Found::of(&bench.on(&["doctor", "--policy", &changed]));
    assert!(found.has("warning", "policy_file"));
    bench.on(&["policy", "apply", &changed]).json();
    let found = Found::of(&bench.on(&["doctor", "--policy", &changed]));
    assert!(!found.has("warning", "policy_file"));
}

#[test]
fn beside_a_running_server_it_looks_at_that_server_and_asks_it_for_the_rest() {
    let bench = Bench::new();
    bench.init();
    bench.on(&["token", "create", "--role", "bot"]).json();
    let mut server = bench
        .command(&["serve", "--vault", "v", "--passphrase-file", "pass"])
        .args(["--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().contains("listening on ") {}
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).count());
    let seen = bench.run(&["--vault", "v", "--json", "doctor"]);
    let answer: Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!(answer["state"], "held");
    // The server has seen to its own core dumps.
    assert!(!seen.out.contains("core_dumps"), "{}", seen.out);
    assert_eq!(Found::of(&seen).worst(), "note");
    let asked = bench.on(&["doctor", "--gdpr"]);
    let found = Found::of(&asked);
    assert!(found.has("warning", "keys_without_end"), "{:?}", found.0);
    assert!(found.has("warning", "notice_gate_off"));
    assert!(found.has("note", "no_codes"));
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    server.wait().unwrap();
    rest.join().unwrap();
}

#[test]
fn there_is_a_manual_page_for_each_command_with_its_examples_whole() {
    let bench = Bench::new();
    let answer = bench.run(&["man", "--to", "man", "--json"]).json();
    let pages = answer["written"].as_array().unwrap();
    assert!(pages.len() > 30, "{pages:?}");
    let page = fs::read_to_string(bench.path("man/vault-cli-token-rotate.1")).unwrap();
    assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{page}");
    let example = "token rotate tok_00000000000000000000000000 \\-\\-overlap PT0S \\-\\-yes";
    assert!(page.contains(example), "{page}");
    // What the short help leaves out is explained here.
    assert!(page.contains("A certificate of yours in PEM"), "{page}");
    assert!(!bench.path("man/vault-cli-help.1").exists());
    let dry = bench
        .run(&["man", "--to", "none", "--dry-run", "--json"])
        .json();
    assert_eq!(dry["would_write"].as_array().unwrap().len(), pages.len());
    assert!(!bench.path("none").exists());
}

//! What scripts rely on: exit codes, JSON, colours, completions.
//!
//! Counts as failure: an exit code that the help does not name, a word on standard output that is
//! not the answer, a command that this file does not try.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Bench, CANARY};

/// The commands that the help names, such as `token list`.
fn commands(bench: &Bench, above: &[&str], found: &mut BTreeSet<String>) {
    let help = bench.run(&[above, &["--help"]].concat()).out;
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        found.insert(above.join(" "));
        return;
    };
    // What is wrapped stands further in than a name.
    let names = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        if name != "help" {
            commands(bench, &[above, &[name]].concat(), found);
        }
    }
}

#[test]
fn every_command_answers_with_one_json_document_and_is_tried_here() {
    let bench = Bench::new();
    bench.init();
    let sample = support::sample(bench.root.path());
    bench.file("second", "a second long passphrase", 0o600);
    let mut tried = BTreeSet::new();
    let mut answer = |args: &[&str], input: &str| {
        let all = [
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--json",
            "--yes",
        ];
        let outcome = bench.feed(&[&all, args].concat(), input);
        assert_eq!(outcome.err, "", "{args:?}");
        let words = args
            .iter()
            .take_while(|word| !word.contains(['.', '-', '/', '_']));
        // `key rotate root` has a word more than the others.
        let most = if args[0] == "key" { 3 } else { 2 };
        tried.insert(words.take(most).copied().collect::<Vec<_>>().join(" "));
        outcome.json()
    };
    answer(&["status"], "");
    answer(&["policy", "check", &sample], "");
    answer(&["policy", "show"], "");
    answer(&["policy", "diff", &sample], "");
    answer(&["policy", "apply", &sample], "");
    answer(&["slot", "list"], "");
    let slot = answer(&["slot", "add", "--secret-file", "second"], "")["slot"].to_string();
    answer(&["slot", "test", "--secret-file", "second"], "");
    answer(&["slot", "remove", &slot], "");
    let token = answer(&["token", "create", "--role", "bot"], "");
    let token = token["token"].as_str().unwrap();
    assert_eq!(
        answer(&["token", "list"], "")["warnings"][0]["code"],
        "no_end"
    );
    let bot = answer(&["token", "create", "--role", "bot"], "");
    bench.file("bot.token", bot["secret"].as_str().unwrap(), 0o600);
    bench.file("in.csv", "who\nu-1\n", 0o600);
    let mapping = "[identity]\nchannel = \"web\"\nuser = \"who\"\n[columns]\n";
    bench.file("map.toml", mapping, 0o600);
    let import = [
        "import",
        "in.csv",
        "--mapping",
        "map.toml",
        "--token-file",
        "bot.token",
    ];
    assert_eq!(answer(&import, "")["written"], 1);
    answer(&["token", "rotate", token, "--overlap", "PT0S"], "");
    answer(&["token", "revoke", token], "");
    answer(&["key", "status"], "");
    answer(&["key", "rotate", "root"], "");
    answer(&["key", "rotate", "all"], "");
    answer(&["retention", "run"], "");
    answer(&["breach", "scope", "--files"], "");
    assert_eq!(
        answer(&["incident", "list"], "")["incidents"],
        Value::Array(Vec::new())
    );
    assert_eq!(answer(&["notice"], "")["language"], "en");
    answer(&["ropa"], "");
    answer(&["audit", "tail", "--last", "3"], "");
    answer(&["audit", "verify"], "");
    answer(&["audit", "export", "--to", "log.ndjson"], "");
    answer(&["audit", "key"], "");
    answer(&["audit", "checkpoint"], "");
    let page = answer(&["man"], "");
    assert!(page["page"].as_str().unwrap().contains(".SH EXAMPLES"));
    let script = answer(&["completions", "bash"], "");
    assert!(script["script"].as_str().unwrap().contains("rotate"));
    tried.remove("completions bash");
    // Whether it finds an error depends on the machine: `tests/doctor.rs` tries it.
    for done in ["completions", "init", "doctor"] {
        tried.insert(done.to_owned());
    }
    let mut named = BTreeSet::new();
    commands(&bench, &[], &mut named);
    // A person must be there for these, or a receipt, and a server for those: `tests/socket.rs`,
    // `tests/vault.rs`, `tests/evidence.rs`, `tests/exports.rs`, `tests/keys.rs`; `tests/log_scan.rs`; `tests/holds.rs`; `tests/requests.rs`; `tests/chat.rs`; `tests/watch.rs`; `tests/decisions.rs`; backups have a drill of
    // their own, `tests/backup.rs`.
    for elsewhere in [
        "log scan",
        "backup create",
        "backup identity",
        "backup ledger",
        "backup list",
        "backup prune",
        "backup rekey",
        "backup restore",
        "backup verify",
        "key rotate subject",
        "subject find",
        "subject show",
        "subject erase",
        "subject hold",
        "subject holds",
        "subject access",
        "subject export",
        "chat",
        "decision annul",
        "decision change",
        "decision list",
        "decision show",
        "decision uphold",
        "emergency approve",
        "emergency deny",
        "emergency list",
        "incident show",
        "request approve",
        "request extend",
        "request list",
        "request reject",
        "request show",
        "receipt verify",
        "receipt show",
        "dev",
        "serve",
    ] {
        assert!(named.remove(elsewhere), "{elsewhere}");
    }
    assert_eq!(named, tried);
}

#[test]
fn each_exit_code_means_what_the_help_says() {
    let bench = Bench::new();
    bench.init();
    let said = bench.run(&["--help"]).out;
    for code in [
        "0 done",
        "1 failed",
        "2 usage",
        "3 locked",
        "4 refused",
        "5 damage",
        "130 interrupted",
    ] {
        assert!(said.replace('\n', " ").contains(code), "{code}");
    }
    assert_eq!(bench.on(&["slot", "list"]).code, 0);
    bench
        .on(&["--yes", "slot", "remove", "99"])
        .json_error(1, "not_found");
    bench.on(&["slot", "remove", "many"]).json_error(2, "usage");
    let wrong = bench.file("wrong", "another horse entirely", 0o600);
    let list = [
        "--json",
        "--vault",
        "v",
        "--passphrase-file",
        &wrong,
        "slot",
        "list",
    ];
    bench.run(&list).json_error(3, "wrong_secret");
    let dev = support::Dev::start(&bench, "");
    let token = dev.token(&bench, "bot");
    let server = [
        "--json",
        "--server",
        dev.url(),
        "--token-file",
        &token,
        "token",
        "list",
    ];
    bench.run(&server).json_error(4, "role_denied");
    // The anchor of another vault: its keys are not these.
    let anchor = bench.path("v-anchor").join("anchor");
    let bytes = std::fs::read(&anchor).unwrap();
    let other: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x55).collect();
    std::fs::write(&anchor, other).unwrap();
    bench.on(&["slot", "list"]).json_error(5, "anchor");
    std::fs::write(&anchor, bytes).unwrap();
    assert_eq!(bench.on(&["slot", "list"]).code, 0);
}

#[test]
fn an_interrupted_command_says_so_and_ends_with_130() {
    let bench = Bench::new();
    bench.init();
    for json in [&[][..], &["--json"]] {
        let pipe = bench.path("pipe");
        let _ = std::fs::remove_file(&pipe);
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let args = ["--vault", "v", "--passphrase-file", "pipe", "slot", "list"];
        let mut child = bench
            .command(&[&args, json].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Opens when the command has come as far as its secret, and waits for it.
        let held = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        drop(held);
        let (mut out, mut err) = (String::new(), String::new());
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        assert_eq!(out, "");
        assert!(err.contains("interrupted"), "{err}");
        if !json.is_empty() {
            assert_eq!(serde_json::from_str::<Value>(&err).unwrap()["exit"], 130);
        }
    }
}

#[test]
fn what_destroys_asks_and_a_dry_run_changes_nothing() {
    let bench = Bench::new();
    bench.init();
    let made = bench.on(&["token", "create", "--role", "bot"]).json();
    let token = made["token"].as_str().unwrap();
    let state = || {
        let keys = bench.on(&["token", "list"]).json();
        keys["api_keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["state"].clone())
            .collect::<Vec<_>>()
    };
    for args in [
        &["token", "revoke", token][..],
        &["token", "rotate", token, "--overlap", "PT0S"],
        &["slot", "remove", "2"],
    ] {
        bench.on(args).json_error(2, "usage");
        assert!(bench.on(args).err.contains("--yes"), "{args:?}");
        bench.on(&[&["--dry-run"], args].concat()).json();
        bench.on(&[&["--dry-run", "--yes"], args].concat()).json();
    }
    bench.on(&["--dry-run", "retention", "run"]).json();
    bench
        .on(&["--dry-run", "token", "create", "--role", "bot"])
        .json();
    assert_eq!(state(), ["active"]);
    assert_eq!(
        bench.on(&["slot", "list"]).json()["key_slots"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // An overlap leaves time to change one's mind.
    bench.on(&["token", "rotate", token]).json();
    assert_eq!(state(), ["ending", "active"]);
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let bench = Bench::new();
    bench.init();
    bench.on(&["token", "create", "--role", "bot"]).json();
    let list = |more: &[&str], variables: &[(&str, &str)]| {
        let args = ["--vault", "v", "--passphrase-file", "pass", "token", "list"];
        let mut command = bench.command(&[&args, more].concat());
        let output = command.envs(variables.iter().copied()).output().unwrap();
        [output.stdout, output.stderr].map(|bytes| bytes.contains(&0x1b))
    };
    assert_eq!(list(&[], &[]), [false; 2]);
    assert_eq!(list(&["--color", "always"], &[]), [true; 2]);
    assert_eq!(
        list(&["--color", "always"], &[("NO_COLOR", "1")]),
        [true; 2]
    );
    assert_eq!(list(&[], &[("CLICOLOR_FORCE", "1")]), [true; 2]);
    assert_eq!(
        list(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]),
        [false; 2]
    );
    assert_eq!(list(&["--color", "always", "--json"], &[]), [false; 2]);
    assert!(
        bench
            .run(&["--help", "--color", "always"])
            .out
            .contains('\u{1b}')
    );
    assert!(!bench.run(&["--help"]).out.contains('\u{1b}'));
    bench.run(&["status", "--color", CANARY]).refused(2);
}

#[test]
fn quiet_leaves_the_answer_and_errors() {
    let bench = Bench::new();
    bench.init();
    let base = [
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "token",
        "create",
        "--role",
        "bot",
    ];
    let said = bench.run(&base);
    assert!(said.err.contains("no end"), "{}", said.err);
    let quiet = bench.run(&[&base[..], &["--quiet"]].concat());
    assert_eq!((quiet.code, &*quiet.err), (0, ""));
    assert_eq!(quiet.out.lines().count(), 1);
    assert!(!bench.run(&["--quiet", "status"]).err.is_empty());
}

#[test]
fn every_shell_gets_its_completions_and_bash_completes_with_them() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.run(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(
            script.out.contains("rotate") && script.out.contains("overlap"),
            "{shell}"
        );
    }
    bench.run(&["completions", "tcsh"]).refused(2);
    let Some(bash) = ["/bin/bash", "/usr/bin/bash"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
    else {
        return;
    };
    let script = bench.file(
        "vault-cli.bash",
        &bench.run(&["completions", "bash"]).out,
        0o644,
    );
    let checked = Command::new(bash).args(["-n", &script]).status().unwrap();
    assert!(checked.success());
    let complete = r#"source "$1"; COMP_WORDS=(vault-cli token ro); COMP_CWORD=2; _vault__cli vault-cli ro token; echo "${COMPREPLY[*]}""#;
    let output = Command::new(bash)
        .args(["-c", complete, "bash", &script])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "rotate");
}

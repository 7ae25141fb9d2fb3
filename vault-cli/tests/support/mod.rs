//! Runs the real binary in a directory of its own, with an empty environment.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod document;
pub(crate) mod seat;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";
/// Given wherever a value can be given; must never come back.
pub(crate) const CANARY: &str = "canary.jane@example.test";

pub(crate) struct Bench {
    pub(crate) root: tempfile::TempDir,
}

pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).expect("standard output is one JSON document")
    }

    /// Failed with this exit code and word, as one JSON document on standard error alone.
    pub(crate) fn json_error(&self, code: i32, word: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.out, "");
        let error: Value = serde_json::from_str(&self.err).expect("one JSON document");
        assert_eq!(
            (&error["code"], &error["exit"]),
            (&word.into(), &code.into())
        );
        assert!(error["help"].as_str().is_some_and(|help| help.len() > 10));
    }

    /// Failed with `code`, says what and how out, and repeats no value.
    pub(crate) fn refused(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains("error: "), "{}", self.err);
        let help = self.err.lines().last().unwrap_or_default();
        assert!(help.starts_with("  ") && help.len() > 12, "{}", self.err);
        for secret in [CANARY, PASSPHRASE] {
            assert!(!self.err.contains(secret) && !self.out.contains(secret));
        }
        self
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vault-cli"));
        command.args(args).env_clear().current_dir(self.root.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.feed(args, "")
    }

    pub(crate) fn feed(&self, args: &[&str], input: &str) -> Outcome {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that fails early reads nothing: a broken pipe is no failure of the test.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code().expect("it exits"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A vault in `v`, its passphrase in `pass`; the answer of `init`.
    pub(crate) fn init(&self) -> Value {
        self.file("pass", PASSPHRASE, 0o600);
        self.run(&[
            "init",
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--accept-file-system",
            "--json",
        ])
        .json()
    }

    /// Runs on that vault.
    pub(crate) fn on(&self, args: &[&str]) -> Outcome {
        let all = ["--vault", "v", "--passphrase-file", "pass", "--json"];
        self.run(&[&all, args].concat())
    }
}

/// `dev --json`, stopped when dropped.
pub(crate) struct Dev(pub(crate) Child, pub(crate) Value);

impl Dev {
    /// Serves `d`, with the sample policy and what is added to it.
    pub(crate) fn start(bench: &Bench, more: &str) -> Self {
        let policy = format!("{}\n{more}", vault_core::policy::SAMPLE);
        let policy = bench.file("dev.toml", &policy, 0o644);
        Self::with(bench, &["--policy", &policy])
    }

    /// As a newcomer starts it, with the invented person of its chat page.
    pub(crate) fn newcomer(bench: &Bench) -> Self {
        Self::with(bench, &[])
    }

    pub(crate) fn with(bench: &Bench, more: &[&str]) -> Self {
        let mut child = bench
            .command(&["dev", "--json", "--dir", "d", "--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).expect("one line of JSON");
        Self(child, said)
    }

    pub(crate) fn url(&self) -> &str {
        self.1["url"].as_str().unwrap()
    }

    pub(crate) fn secret(&self, role: &str) -> &str {
        self.1["tokens"][role].as_str().unwrap()
    }

    /// A file with the token of a role.
    pub(crate) fn token(&self, bench: &Bench, role: &str) -> String {
        bench.file(role, self.secret(role), 0o600)
    }
}

impl Dev {
    /// As with SIGKILL; its vault can be opened by somebody else behind it.
    pub(crate) fn stop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn sample(at: &Path) -> String {
    let path = at.join("policy.toml");
    std::fs::write(&path, vault_core::policy::SAMPLE).unwrap();
    path.to_str().unwrap().to_owned()
}

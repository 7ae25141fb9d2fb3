//! Backups by the command line: the drill of docs/operations.md, "The machine or its anchor is gone", line by line as it stands
//! there.

mod support;

use std::process::Stdio;

use support::{Bench, Outcome};

/// The commands of a section: indented lines, with the names of this test in place of the page's.
fn drill(section: &str) -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page
        .split_once(&format!("## {section}\n"))
        .expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    let filled = lines.map(|line| {
        line.replace("/srv/vault", "v")
            .replace("/mnt/backups", "b")
            .replace("/media/key/", "")
            // The directory of a test may lie on any file system.
            .replace(
                "--ledger saved-ledger",
                "--ledger saved-ledger --accept-file-system",
            )
    });
    filled.collect()
}

fn shell(bench: &Bench, line: &str) -> Outcome {
    let program = env!("CARGO_BIN_EXE_vault-cli");
    let script = format!(
        "umask 077; {}",
        line.replace("vault-cli ", &format!("{program} "))
    );
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .current_dir(bench.root.path())
        .env("PATH", "/usr/bin:/bin")
        .env("VAULT_PASSPHRASE_FILE", "pass")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

#[test]
fn disaster_day_works_as_it_is_written() {
    let bench = Bench::new();
    let vault = bench.init()["vault"].clone();
    for line in drill("Backups") {
        let ran = shell(&bench, &line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
    }
    // The disaster: everything is gone but the target, the identity and what was saved of the ledger.
    std::fs::copy(bench.path("v/ledger"), bench.path("saved-ledger")).unwrap();
    std::fs::rename(bench.path("v"), bench.path("lost")).unwrap();
    std::fs::rename(bench.path("v-anchor"), bench.path("lost-anchor")).unwrap();
    let lines = drill("The machine or its anchor is gone");
    assert!(lines.len() >= 4, "{lines:?}");
    for line in lines {
        let ran = shell(&bench, &line);
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.err);
    }
    let status = bench.on(&["status"]).json();
    assert_eq!(
        (&status["vault"], &status["state"]),
        (&vault, &"open".into())
    );
}

#[test]
fn each_error_has_its_exit_code() {
    let bench = Bench::new();
    bench.init();
    let made = bench
        .run(&["backup", "identity", "--to", "identity.txt", "--json"])
        .json();
    let recipient = made["recipient"].as_str().unwrap();
    bench
        .run(&["backup", "identity", "--to", "other.txt", "--json"])
        .json();
    let backup = bench
        .on(&["backup", "create", "--to", "b", "--recipient", recipient])
        .json();
    let id = backup["backup"].as_str().unwrap();
    let listed = bench
        .run(&["backup", "list", "--from", "b", "--json"])
        .json();
    assert_eq!(listed["backups"][0]["backup"], id);
    let verify = |more: &[&str]| {
        let all = ["backup", "verify", "--from", "b", "--json"];
        bench.run(&[&all, more].concat())
    };
    let key = bench.on(&["audit", "key"]).json();
    let key = key["key"].as_str().unwrap();
    let good = verify(&["--identity", "identity.txt", "--key", key]).json();
    assert_eq!(good["verified"][0]["signature"], "checked");
    verify(&["--identity", "other.txt"]).json_error(3, "wrong_identity");
    let restore = |more: &[&str]| {
        let all = [
            "backup",
            "restore",
            "--from",
            "b",
            "--into",
            "new",
            "--json",
            "--passphrase-file",
            "pass",
            "--accept-file-system",
        ];
        bench.run(&[&all, more].concat())
    };
    restore(&["--identity", "other.txt", "--ledger", "v/ledger"]).json_error(3, "wrong_identity");
    restore(&["--identity", "identity.txt"]).json_error(4, "gap");
    bench
        .on(&["backup", "create", "--to", "b"])
        .json_error(2, "usage");
    bench
        .on(&[
            "backup",
            "create",
            "--to",
            "b",
            "--recipient",
            "age1nonsense",
        ])
        .json_error(2, "usage");
    let object = bench.path(&format!("b/{id}/data-00000"));
    let mut bytes = std::fs::read(&object).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&object, &bytes).unwrap();
    let damaged = verify(&[]);
    damaged.json_error(5, "damaged");
    assert!(
        damaged.err.contains(&format!("{id}/data-00000")),
        "{}",
        damaged.err
    );
    restore(&["--identity", "identity.txt", "--ledger", "v/ledger"]).json_error(5, "damaged");
    assert!(!bench.path("new").exists() && !bench.path("new-anchor").exists());
    bytes[last] ^= 1;
    std::fs::write(&object, &bytes).unwrap();
    let done = restore(&["--identity", "identity.txt", "--ledger", "v/ledger"]).json();
    assert_eq!(done["people"], 0);
    assert!(done["recovery_key"].is_string());
}

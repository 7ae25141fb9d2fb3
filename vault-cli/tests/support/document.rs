//! Commands of docs/operations.md, as they stand there.
//!
//! A fenced block is run by the test that its first line names: ` ```sh run ` and perhaps a word.

use std::path::Path;
use std::process::Command;

use super::Outcome;

pub(crate) fn page() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    std::fs::read_to_string(page).unwrap()
}

/// The lines of all blocks that begin with this, in their order.
pub(crate) fn lines_of(page: &str, opening: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut within = None;
    for line in page.lines() {
        match (within, line) {
            (Some(_), "```") => within = None,
            (None, line) if line.starts_with("```") => within = Some(line == opening),
            (Some(true), line) => found.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// The commands of a section: its indented lines.
pub(crate) fn commands_of(page: &str, section: &str) -> Vec<String> {
    let (_, rest) = page
        .split_once(&format!("\n## {section}\n"))
        .expect("the section");
    let section = rest.split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    lines.map(str::to_owned).collect()
}

/// The text of the block that begins with this.
pub(crate) fn block_of(page: &str, opening: &str) -> String {
    let lines = lines_of(page, opening);
    assert!(!lines.is_empty(), "{opening}");
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Runs one line in a directory, as somebody would at a shell, with the passphrase in the file `pass`.
pub(crate) fn shell(root: &Path, line: &str) -> Outcome {
    let program = env!("CARGO_BIN_EXE_vault-cli");
    let script = format!(
        "umask 077; {}",
        line.replace("vault-cli ", &format!("{program} "))
    );
    let output = Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("VAULT_PASSPHRASE_FILE", "pass")
        .current_dir(root)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

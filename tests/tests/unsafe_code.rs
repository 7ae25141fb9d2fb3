//! One file may hold unsafe code, and it proves why it is sound.
//!
//! Failure is the keyword, or the lint's name, in any other Rust file of this project, tests and
//! fuzzing among them, or a package that the workspace's lints do not reach. In comments and texts
//! the word is free.

use std::fs;
use std::path::{Path, PathBuf};

const ALLOWED: &str = "vault-core/src/crypto/pages.rs";
/// Written so that this file passes its own test.
const WORD: &str = concat!("un", "safe");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file under the project, but what is built.
fn files(named: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![root()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("readable").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("known");
            if kind.is_dir() && name != "target" && !name.starts_with(".git") {
                waiting.push(entry.path());
            } else if kind.is_file() && named(&name) {
                found.push(entry.path());
            }
        }
    }
    found
}

/// Whether the text holds the word as code, or names the lint.
fn holds(text: &str) -> bool {
    text.lines().any(|line| {
        // What stands behind a quote may be a text; behind slashes it is a comment. Neither hides
        // code that stands before it, and code never stands behind them on a formatted line.
        let code = line.split("//").next().unwrap_or_default();
        let outside_texts: String = code.split('"').step_by(2).collect();
        outside_texts
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .any(|word| word == WORD || word == format!("{WORD}_code"))
    })
}

#[test]
fn no_file_but_one_holds_it_and_that_one_proves_it_sound() {
    let sources = files(|name| name.ends_with(".rs"));
    assert!(sources.len() > 100, "the search itself: {}", sources.len());
    for path in sources {
        let text = fs::read_to_string(&path).expect("UTF-8");
        if path.ends_with(ALLOWED) {
            let blocks = text.matches(&format!("{WORD} {{")).count();
            assert!(holds(&text) && blocks > 0);
            assert!(text.matches("// SAFETY: ").count() >= blocks);
            assert!(text.contains("//! # Proof"));
        } else {
            assert!(!holds(&text), "{}", path.display());
        }
    }
}

#[test]
fn the_search_finds_what_it_must_and_leaves_words_alone() {
    for code in [
        "{WORD} { f() }",
        "let x = {WORD} { g(\"a\") };",
        "#![allow({WORD}_code)]",
    ] {
        assert!(holds(&code.replace("{WORD}", WORD)), "{code}");
    }
    for words in [
        "// {WORD} { }",
        "\"style-src '{WORD}-inline'\"",
        "{WORD}ly()",
    ] {
        assert!(!holds(&words.replace("{WORD}", WORD)), "{words}");
    }
}

#[test]
fn every_package_of_the_workspace_has_its_lints() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("there");
    assert!(manifest.contains(&format!("{WORD}_code = \"deny\"")));
    let members = ["vault-core", "vault-server", "vault-cli", "tests"];
    assert!(manifest.contains(&format!("members = {members:?}")));
    for member in members {
        let text = fs::read_to_string(root().join(member).join("Cargo.toml")).expect("there");
        assert!(text.contains("[lints]\nworkspace = true"), "{member}");
    }
}

//! The reader is its own witness: it shares no code with the vault.
//!
//! Counts as failure: a file of the reader, or of its program, that names a crate of the vault, or a
//! module of these tests that is not the reader's.

use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 4] = ["vault_core", "vault_server", "vault_cli", "vault_fuzz"];

fn sources() -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let reader = fs::read_dir(src.join("forensic")).unwrap();
    let mut sources: Vec<PathBuf> = reader.map(|entry| entry.unwrap().path()).collect();
    sources.push(src.join("bin/forensic.rs"));
    sources
}

/// What a source names that the reader must not know.
fn foreign(text: &str, program: bool) -> Vec<&str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap());
    let names =
        code.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')));
    let foreign = |name: &&str| {
        let outside = name.starts_with("crate::") && !name.starts_with("crate::forensic");
        let others =
            name.starts_with("vault_tests::") && !name.starts_with("vault_tests::forensic");
        let upwards = name.starts_with("super::super");
        let vault = CRATES
            .iter()
            .any(|of| name.split("::").any(|part| part == *of));
        vault || outside || upwards || (others && program)
    };
    names.filter(foreign).collect()
}

#[test]
fn the_reader_and_its_program_name_no_crate_of_the_vault() {
    let sources = sources();
    assert!(sources.len() > 10);
    for path in sources {
        assert!(
            path.extension().is_some_and(|ext| ext == "rs"),
            "no module in a directory below"
        );
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(foreign(&text, true), [""; 0], "{}", path.display());
    }
}

#[test]
fn the_search_finds_what_it_must() {
    for code in [
        "use vault_core::id::Id;",
        "let id = vault_core::id::Id::new();",
        "extern crate vault_fuzz;",
        "use crate::soak;",
        "use super::super::blobs;",
        "use vault_tests::replay::complain;",
    ] {
        assert_eq!(foreign(code, true).len(), 1, "{code}");
    }
    for code in [
        "use super::cipher::Id;",
        "// as vault_core does",
        "use vault_tests::forensic::hunt;",
    ] {
        assert!(foreign(code, true).is_empty(), "{code}");
    }
}

//! What a person's access ledger costs: `cargo run --release -p vault-core --example access_cost`.
//!
//! Fills a log with reads of another person, and reads the ledger of the first, who was met twice: once
//! before all of these and once after. Prints the time for each entry looked at. A quarter of a million
//! entries, about a minute.

#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::time::Instant;

use serde_json::{Map, Value};
use vault_core::policy::SAMPLE;
use vault_core::vault::{
    AccessQuery, Call, LockedVault, Passphrase, ReadOptions, Settings, VaultPaths,
};

const ENTRIES: u64 = 250_000;

fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let paths = VaultPaths::beside(&dir.path().join("v"));
    let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };
    let created = LockedVault::create(&paths, settings, &passphrase, SAMPLE).expect("a vault");
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let role = |role| {
        let made = vault.create_token(&Call::new(&keyholder), role, None);
        vault.authenticate(&made.expect("a key").1).expect("known")
    };
    let (bot, dpo) = (role("bot"), role("dpo"));
    let call = || Call::new(&bot).with_purpose("support");
    let person = |user| vault.create_subject(&call(), "web", user).expect("made").0;
    let (ann, ben) = (person("ann"), person("ben"));
    let mut body = Map::new();
    body.insert("name".into(), Value::String("Ben Invented".into()));
    let written = vault.patch_single(&call(), ben, "profile", body, None);
    written.expect("written");
    let began = Instant::now();
    let options = ReadOptions::default();
    for _ in 0..ENTRIES {
        let read = vault.read_single(&call(), ben, "profile", &options, |_, _| ());
        read.expect("read");
    }
    println!("{ENTRIES} reads in {:?}", began.elapsed());
    vault
        .read_single(&call(), ann, "profile", &options, |_, _| ())
        .expect("read");
    let mut query = AccessQuery {
        limit: 100,
        ..AccessQuery::default()
    };
    let (mut found, mut pages, began) = (0, 0, Instant::now());
    loop {
        let page = vault.access(&Call::new(&dpo), ann, &query).expect("may");
        found += page.accesses.len();
        pages += 1;
        println!("page {pages} after {:?}", began.elapsed());
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    let each = began.elapsed() / u32::try_from(ENTRIES).expect("fits");
    println!("{found} calls found on {pages} pages, {each:?} an entry looked at");
    vault.close();
}

//! What a call over many people costs for each record, in process, beside what the store alone needs
//! for the same rows.
//!
//! `bulk --people N --records M`: a vault in a temporary directory, N people with M records of 100
//! bytes each. Rates belong to the machine, and a shared one is noisy: compare within one run. The
//! store's share is a plain range scan of rows of the same sizes with the opening of as many
//! envelopes, without people, keysets, decisions or JSON.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::{Map, Value, json};
use vault_core::clock::SystemClock;
use vault_core::crypto::{Location, Secret, seal, unseal};
use vault_core::entropy::OsEntropy;
use vault_core::id::{CallId, VaultId};
use vault_core::vault::{
    Call, ChangeInput, LockedVault, Passphrase, Principal, QueryInput, QueryPart, Settings, Step,
    UnlockSecret, Vault, VaultPaths,
};

const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
address = "Pier 1, Harlingen"
contact = "privacy@ferries.example.test"
authority = "Autoriteit Persoonsgegevens"
country = "NL"
languages = ["en"]
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.items]
kind = "many"
[collections.items.fields]
data = { type = "text", purposes = ["support"] }
[roles.keeper]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "records.bulk", "records.purge"]
"#;
const ROUNDS: usize = 5;

/// Measures queries, updates and purges of many people's records.
#[derive(Parser)]
struct Arguments {
    /// How many people
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    people: u32,
    /// How many records each
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    records: u32,
}

fn call(principal: &Principal) -> Call<'_> {
    Call {
        principal,
        purpose: Some("support"),
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

/// Microseconds a record of the fastest of several rounds: the others waited for somebody.
fn fastest(records: u64, mut round: impl FnMut() -> u64) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        assert_eq!(round(), records, "every record is there");
        begun.elapsed().as_secs_f64() * 1e6 / records as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

fn query(vault: &Vault, keeper: &Principal, conditions: Value, part: QueryPart) -> u64 {
    let input = QueryInput {
        collection: "items".into(),
        fields: None,
        conditions,
        part,
        names: None,
        limit: None,
        cursor: None,
    };
    let mut query = vault.query(&call(keeper), input).expect("begins");
    let mut lines = 0;
    loop {
        let step = vault.query_step(&mut query, &mut |part| {
            lines += part.iter().filter(|byte| **byte == b'\n').count() as u64;
        });
        if step.expect("goes on") == Step::Done {
            break;
        }
    }
    vault.finish_query(&query).expect("ends");
    lines
}

fn change(conditions: Value) -> ChangeInput {
    ChangeInput {
        collection: "items".into(),
        conditions,
        dry_run: false,
    }
}

fn fill(vault: &Vault, keeper: &Principal, arguments: &Arguments) {
    for person in 0..arguments.people {
        let user = format!("user{person}");
        let (subject, _) = vault
            .create_subject(&call(keeper), "bench", &user)
            .expect("made");
        let source = format!("source {}", person % 25);
        let bodies: Vec<Map<String, Value>> = (0..arguments.records)
            .map(|record| {
                let data = format!("{person:>50}{record:>50}");
                let body = json!({"data": data, "_meta": {"source": source}});
                body.as_object().expect("an object").clone()
            })
            .collect();
        vault
            .append(&call(keeper), subject, "items", bodies)
            .expect("appended");
    }
}

const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("t05");
const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("t04");

/// The store alone: both tables scanned in one range each, and an envelope of each row opened.
struct Raw {
    database: Database,
    key: Secret<32>,
    records: u64,
}

impl Raw {
    const VAULT: VaultId = VaultId::from_bytes([7; 16]);

    /// Rows with the keys and sizes of the vault's own.
    fn like(vault: &Path, copy: &Path) -> Self {
        let source = Database::open(vault).expect("the vault is closed");
        let database = Database::create(copy).expect("an empty directory");
        let key = Secret::generate(&mut OsEntropy);
        let read = source.begin_read().expect("reads");
        let write = database.begin_write().expect("writes");
        let mut records = 0;
        for table in [META, VALUES] {
            let from = read.open_table(table).expect("there");
            let mut to = write.open_table(table).expect("made");
            for row in from.iter().expect("rows") {
                let (name, value) = row.expect("a row");
                let (name, length) = (name.value(), value.value().len());
                // Of each row all but some bytes is one envelope, 46 bytes longer than its bucket.
                let text = vec![b'x'; (length - 46) / 32 * 32];
                let location = Location::row(Self::VAULT, 1, name);
                let mut sealed = seal(&key, 1, &location, &text).expect("short");
                sealed.resize(length.max(sealed.len()), 0);
                to.insert(name, &*sealed).expect("inserted");
                records += u64::from(table.to_string() == META.to_string());
            }
        }
        write.commit().expect("committed");
        Self {
            database,
            key,
            records,
        }
    }

    fn scan(&self) -> u64 {
        let read = self.database.begin_read().expect("reads");
        let mut bytes = 0;
        let mut rows = 0;
        for table in [META, VALUES] {
            let table = read.open_table(table).expect("there");
            for row in table.iter().expect("rows") {
                let (name, value) = row.expect("a row");
                let (name, value) = (name.value(), value.value());
                let envelope = &value[..(value.len() - 46) / 32 * 32 + 46];
                let location = Location::row(Self::VAULT, 1, name);
                bytes += unseal(&self.key, &location, envelope).expect("opens").len();
                rows += 1;
            }
        }
        assert!(bytes > 0);
        rows / 2
    }
}

fn main() {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = VaultPaths::beside(&dir.path().join("v"));
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    };
    let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
    let created = LockedVault::create(&paths, settings, &passphrase, POLICY).expect("created");
    let (vault, locked) = (created.vault, created.locked);
    let keyholder = vault.keyholder();
    let (_, token) = vault
        .create_token(&call(&keyholder), "keeper", None)
        .expect("made");
    let keeper = vault.authenticate(&token).expect("known");
    let records = u64::from(arguments.people) * u64::from(arguments.records);
    let begun = Instant::now();
    fill(&vault, &keeper, &arguments);
    let rate = records as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{records} records of {} people, filled at {rate:.0}/s",
        arguments.people
    );

    let all = || json!({});
    let whole = fastest(records, || query(&vault, &keeper, all(), QueryPart::Fields));
    let meta = fastest(records, || {
        query(&vault, &keeper, all(), QueryPart::MetaOnly)
    });
    println!("query of all, values:    {whole:.2} µs a record");
    println!("query of all, metadata:  {meta:.2} µs a record");
    let one = || json!({"source": "source 3"});
    let begun = Instant::now();
    let found = query(&vault, &keeper, one(), QueryPart::Fields).max(1);
    let looked = begun.elapsed().as_secs_f64() * 1e6;
    println!(
        "query of one source of 25: {:.2} µs a record found, {:.2} a record looked at",
        looked / found as f64,
        looked / records as f64
    );
    let begun = Instant::now();
    let set = json!({"category": "changed"});
    let updated = vault
        .update_records(&call(&keeper), &change(one()), &set)
        .expect("updated");
    let each = begun.elapsed().as_secs_f64() * 1e6 / updated.count.max(1) as f64;
    println!(
        "update of one source of 25: {} records, {each:.2} µs each",
        updated.count
    );
    let begun = Instant::now();
    let updated = vault
        .update_records(&call(&keeper), &change(all()), &json!({"source": "new"}))
        .expect("updated");
    let each = begun.elapsed().as_secs_f64() * 1e6 / updated.count as f64;
    println!("update of all:           {each:.2} µs a record");
    vault.close();
    drop(vault);
    let raw = Raw::like(
        &dir.path().join("v/vault.redb"),
        &dir.path().join("raw.redb"),
    );
    assert_eq!(raw.records, records);
    let floor = fastest(records, || raw.scan());
    println!("store alone, scan and open: {floor:.2} µs a record");
    println!("query of all / store alone: {:.2}", whole / floor);

    let vault = locked
        .unlock(&UnlockSecret::Passphrase(passphrase))
        .expect("opens");
    let begun = Instant::now();
    let purged = vault
        .purge_records(&call(&keeper), &change(json!({"category": "changed"})))
        .expect("purged");
    let each = begun.elapsed().as_secs_f64() * 1e6 / purged.count.max(1) as f64;
    println!(
        "purge of one source of 25: {} records, {each:.2} µs each",
        purged.count
    );
    let begun = Instant::now();
    let purged = vault
        .purge_records(&call(&keeper), &change(all()))
        .expect("purged");
    let each = begun.elapsed().as_secs_f64() * 1e6 / purged.count.max(1) as f64;
    println!(
        "purge of the rest:       {} records, {each:.2} µs each",
        purged.count
    );
    vault.close();
}

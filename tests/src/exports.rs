//! A package of somebody who has a great deal, in memory that does not grow with it.
//!
//! A failure is a package that does not come to its end, that holds fewer records or bytes than were
//! stored, and more than 64 MiB added to what the process had before. Slowness is reported and not judged.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use vault_core::export::{ExportInput, Form, Right, Seal};
use vault_core::refusal::Refusal;
use vault_core::schema::MediaType;
use vault_core::vault::{
    BlobPlace, Call, ExportStep, LockedVault, Passphrase, Principal, Settings, UnlockSecret, Vault,
    VaultPaths,
};

use crate::memory::{Watch, resident_kib};

/// What one package may add.
const ADDED_KIB_MAX: u64 = 64 << 10;
const PASSPHRASE: &str = "correct horse battery";
const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
languages = ["en"]
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.profile]
kind = "single"
[collections.profile.fields]
film = { type = "blob", purposes = ["support"], media_types = ["video/*"], bytes_max = 4294967296 }
[collections.messages]
kind = "many"
[collections.messages.fields]
text = { type = "text", purposes = ["support"] }
[roles.clerk]
purposes = ["support"]
read  = { "*" = "full" }
write = ["*"]
may   = ["subjects.create", "subjects.export"]
"#;

/// How much somebody has.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Messages, of about 200 bytes each.
    pub messages: usize,
    /// Bytes of one blob.
    pub blob: u64,
}

/// Why it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportsError {
    /// Files.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The vault could not be made or opened.
    #[error("the vault could not be opened: {0}")]
    Open(String),
    /// A call.
    #[error("a call was refused: {0}")]
    Refused(#[from] Refusal),
    /// The package is not what it should be.
    #[error("the package is wrong: {0}")]
    Wrong(String),
    /// More memory than a package may take.
    #[error("{added} KiB were added, more than {ADDED_KIB_MAX}")]
    Memory {
        /// So much.
        added: u64,
    },
}

fn settings() -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::default()
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.into()).expect("long enough")
}

fn opened(error: impl std::fmt::Display) -> ExportsError {
    ExportsError::Open(error.to_string())
}

/// Makes a vault in `dir` with one person in it; prints the person and the key of a role on one line.
///
/// # Errors
///
/// Those of [`ExportsError`].
pub fn fill(dir: &Path, plan: Plan) -> Result<String, ExportsError> {
    let paths = VaultPaths::beside(&dir.join("vault"));
    let created = LockedVault::create(&paths, settings(), &passphrase(), POLICY).map_err(opened)?;
    let vault = created.vault;
    let (_, key) = vault.create_token(&Call::new(&vault.keyholder()), "clerk", None)?;
    let clerk = vault.authenticate(&key)?;
    let call = || Call::new(&clerk).with_purpose("support");
    let (person, _) = vault.create_subject(&call(), "web", "ann")?;
    let numbers: Vec<usize> = (0..plan.messages).collect();
    for part in numbers.chunks(1_000) {
        let body = |number: &usize| -> Map<String, Value> {
            let text = format!(
                "{number:08} {}",
                "a longer sentence, as people write. ".repeat(5)
            );
            Map::from_iter([("text".to_owned(), json!(text))])
        };
        vault.append(&call(), person, "messages", part.iter().map(body).collect())?;
    }
    if plan.blob > 0 {
        let place = BlobPlace {
            subject: person,
            collection: "profile".into(),
            record: None,
            field: "film".into(),
        };
        let media_type = MediaType::parse("video/mp4").expect("a media type");
        let mut upload = vault.begin_upload(&call(), place, media_type, Some(plan.blob), None)?;
        let part: Vec<u8> = (0..1_u32 << 20)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let mut left = plan.blob;
        while left > 0 {
            let now = usize::try_from(left.min(part.len() as u64)).expect("a megabyte");
            upload.write(&part[..now])?;
            left -= now as u64;
        }
        upload.finish()?;
    }
    vault.close();
    Ok(format!("{person} {key}"))
}

fn export(
    vault: &Arc<Vault>,
    clerk: &Principal,
    person: &str,
    form: Form,
    seal: Seal,
    to: &mut dyn Write,
) -> Result<u64, ExportsError> {
    let input = ExportInput {
        right: Right::Access,
        form,
        language: None,
        seal,
    };
    let person = person
        .parse()
        .map_err(|_| ExportsError::Wrong("no person".into()))?;
    let mut export = vault.export(&Call::new(clerk), person, input)?;
    let mut bytes = 0;
    loop {
        let mut part = Vec::new();
        let step = export.step(&mut |ready| part = ready)?;
        bytes += part.len() as u64;
        to.write_all(&part)?;
        if step == ExportStep::Done {
            return Ok(bytes);
        }
    }
}

/// Makes every form of the package of the person in `dir`, and says what each took.
///
/// # Errors
///
/// Those of [`ExportsError`].
pub fn run(dir: &Path, told: &str, plan: Plan) -> Result<Vec<String>, ExportsError> {
    let (person, key) = told.split_once(' ').unwrap_or_default();
    let paths = VaultPaths::beside(&dir.join("vault"));
    let locked = LockedVault::open(&paths, settings()).map_err(opened)?;
    let vault = locked
        .unlock(&UnlockSecret::Passphrase(passphrase()))
        .map_err(opened)?;
    let clerk = vault.authenticate(key)?;
    let mut said = Vec::new();
    let process = std::process::id();
    for (form, sealed) in [
        (Form::Json, false),
        (Form::Html, false),
        (Form::Csv, false),
        (Form::Zip, false),
        (Form::Zip, true),
    ] {
        let mut file = tempfile::tempfile_in(dir)?;
        let seal = match sealed {
            true => {
                Seal::recipient("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
                    .map_err(|error| ExportsError::Wrong(error.to_string()))?
            }
            false => Seal::None,
        };
        let before = resident_kib(process).unwrap_or(0);
        let watch = Watch::begin(process);
        let began = Instant::now();
        let bytes = export(&vault, &clerk, person, form, seal, &mut file)?;
        let seconds = began.elapsed().as_secs_f64();
        let peak = watch.peak_kib().unwrap_or(0);
        let added = peak.saturating_sub(before);
        let name = form.name();
        let lock = if sealed { ", encrypted" } else { "" };
        said.push(format!(
            "{name}{lock}: {bytes} bytes in {seconds:.1} s; {added} KiB added to {before} KiB ({})",
            watch.how()
        ));
        if form == Form::Zip && !sealed {
            check(&mut file, plan)?;
        }
        if added > ADDED_KIB_MAX {
            return Err(ExportsError::Memory { added });
        }
    }
    vault.close();
    Ok(said)
}

/// The ZIP's records and bytes are those that were stored.
fn check(file: &mut std::fs::File, plan: Plan) -> Result<(), ExportsError> {
    file.seek(SeekFrom::Start(0))?;
    let mut archive = vault_core::import::Archive::open(&mut *file)
        .map_err(|error| ExportsError::Wrong(error.to_string()))?;
    let (mut records, mut blob) = (0, 0);
    {
        let document = archive
            .member("data.json")
            .map_err(|error| ExportsError::Wrong(error.to_string()))?;
        let mut take = |piece| {
            if let vault_core::import::Piece::Line(_, files) = piece {
                records += 1;
                blob += files.iter().map(|file| file.size).sum::<u64>();
            }
            true
        };
        vault_core::import::read_document(document, &mut take)
            .map_err(|error| ExportsError::Wrong(error.to_string()))?;
    }
    // The person, the profile where there is a blob, the messages.
    let wanted = 1 + usize::from(plan.blob > 0) + plan.messages;
    if records != wanted || blob != plan.blob {
        return Err(ExportsError::Wrong(format!(
            "{records} pieces of {wanted}, {blob} bytes of files"
        )));
    }
    let mut rest = Vec::new();
    let manifest = archive
        .member("manifest.json")
        .map_err(|error| ExportsError::Wrong(error.to_string()))?;
    { manifest }.read_to_end(&mut rest)?;
    let manifest: Value =
        serde_json::from_slice(&rest).map_err(|error| ExportsError::Wrong(error.to_string()))?;
    match manifest["same_state"] == true {
        true => Ok(()),
        false => Err(ExportsError::Wrong("it says that somebody wrote".into())),
    }
}

//! A whole vault as an earlier version left it, from a process that was killed behind a read: every
//! later version opens it and finds everything.
//!
//! `VAULT_VECTORS=write cargo test -p vault-tests --test vectors` makes one where none is; what is
//! there is never made again. A later format gets a file of its own beside it. The file is JSON: of
//! each file of the vault its length, the seed of the noise that it is filled with, and what stands
//! there otherwise; zeros are left out.

use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::audit::checkpoint::VerifierKey;
use vault_core::audit::receipt;
use vault_core::clock::ManualClock;
use vault_core::entropy::{Entropy, SeededEntropy};
use vault_core::schema::MediaType;
use vault_core::vault::{
    BlobPlace, Call, ConsentInput, ConsentState, Created, Group, ListOptions, LockedVault, Look,
    Once, Order, Passphrase, ReadOptions, Refusal, SessionInput, Settings, SubjectId, UnlockError,
    UnlockSecret, Vault, VaultPaths,
};

use super::data;

const KEPT: &str = "own/vault-1.json";
const PASSPHRASE: &str = "correct horse battery";
const BEGIN: &str = "2026-11-25T12:00:00Z";
const FILES: [&str; 4] = [
    "vault/vault.redb",
    "vault/journal",
    "vault-anchor/anchor",
    "vault-anchor/slots",
];
/// Of which the meaning lies in some pages and the rest is noise.
const NOISE: [(&str, &[(usize, usize)]); 2] = [
    (
        "vault-anchor/anchor",
        &[
            (64 << 10, 97),
            (256 << 10, 4096),
            (576 << 10, 97),
            (768 << 10, 4096),
        ],
    ),
    ("vault-anchor/slots", &[(0, 1024), (64 << 10, 1024)]),
];

const POLICY: &str = r#"
[controller]
name = "Example Travel B.V."
address = "Kade 1, Utrecht"
contact = "privacy@example.test"
dpo = "dpo@example.test"
authority = "Autoriteit Persoonsgegevens"
country = "NL"
languages = ["en"]
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[purposes.newsletter]
title.en = "Sending you our newsletter"
basis = "consent"
direct_marketing = true
retention = { after = "withdrawal", period = "P0D" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name", category = "user.name", purposes = ["support"] }
email = { type = "email", category = "user.contact.email", purposes = ["support", "newsletter"], lookup = true }
photo = { type = "blob", category = "user.content", purposes = ["support"], media_types = ["image/*"] }
[collections.messages]
kind = "many"
retention = "P90D"
[collections.messages.fields]
text = { type = "text", category = "user.content", purposes = ["support"] }
[roles.bot]
purposes = ["support", "newsletter"]
read  = { "profile.*" = "full", "messages.*" = "full" }
write = ["profile.*", "messages.*"]
may   = ["subjects.create", "subjects.lookup", "sessions.create", "consents.record"]
[roles.dpo]
may = ["subjects.view", "subjects.erase", "audit.read"]
"#;

fn at(minutes: i64) -> Settings {
    let begin: Timestamp = BEGIN.parse().unwrap();
    let now = begin + jiff::SignedDuration::from_mins(minutes);
    Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(ManualClock::at(now)))
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => panic!("an object"),
    }
}

fn photo() -> Vec<u8> {
    let mut bytes = vec![0; 5_000];
    SeededEntropy::new(3).fill(&mut bytes);
    bytes
}

fn photo_of(subject: SubjectId) -> BlobPlace {
    BlobPlace {
        subject,
        collection: "profile".into(),
        record: None,
        field: "photo".into(),
    }
}

/// Makes a vault that has a row of every table, and says what is in it.
fn make(dir: &Path) -> Value {
    let paths = VaultPaths::beside(&dir.join("vault"));
    let passphrase = Passphrase::new(PASSPHRASE.into()).unwrap();
    let Created {
        vault,
        recovery_key,
        ..
    } = LockedVault::create(&paths, at(0), &passphrase, POLICY)
        .map_err(|error| format!("{error}"))
        .unwrap();
    let keyholder = vault.keyholder();
    let owner = || Call::new(&keyholder);
    let (_, key) = vault.create_token(&owner(), "bot", None).unwrap();
    let (_, dpo_key) = vault.create_token(&owner(), "dpo", None).unwrap();
    let bot = vault.authenticate(&key).unwrap();
    let call = || Call::new(&bot).with_purpose("support");
    let (anna, _) = vault.create_subject(&call(), "web", "visitor-1").unwrap();
    let (ben, _) = vault.create_subject(&call(), "web", "visitor-2").unwrap();
    for (person, name, email) in [
        (anna, "Anna Example", "anna@example.test"),
        (ben, "Ben Example", "ben@example.test"),
    ] {
        let body = json!({"name": name, "email": email, "_meta": {"source": "form"}});
        vault
            .patch_single(&call(), person, "profile", members(body), None)
            .unwrap();
    }
    let texts = ["Hello", "Where is my booking?", "Thank you"];
    let bodies = texts.map(|text| members(json!({"text": text})));
    vault
        .append(&call(), anna, "messages", bodies.to_vec())
        .unwrap();
    let jpeg = MediaType::parse("image/jpeg").unwrap();
    let mut upload = vault
        .begin_upload(&call(), photo_of(anna), jpeg, None, None)
        .unwrap();
    upload.write(&photo()).unwrap();
    upload.finish().unwrap();
    for given in [false, true] {
        let input = ConsentInput {
            given,
            notice: json!({"version": "3", "lang": "en"}),
            choice: Some("button".into()),
            message_id: None,
        };
        vault
            .put_consent(&call(), anna, "newsletter", input)
            .unwrap();
    }
    let session = SessionInput {
        purpose: "support".into(),
        fields: vec!["profile.name".into()],
        reads: 5,
        writes: 0,
        expires_in: Some(24 * 3600),
    };
    let session = vault.begin_session(&call(), anna, session).unwrap();
    let group = Group {
        changes: true,
        subject: Some(anna),
        once: Some(Once::new("a name", [7; 32])),
    };
    let remembered = vault.together(&call(), group, move |desk, _: Option<&()>| {
        let body = members(json!({"text": "said once"}));
        desk.append(anna, "messages", &[body])
            .map(drop)
            .map_err(drop)
    });
    remembered.unwrap().unwrap();
    let dpo = vault.authenticate(&dpo_key).unwrap();
    let receipt = vault.erase_subject(&Call::new(&dpo), ben).unwrap();
    let next = POLICY.replace("Answering your questions", "Answering whatever you ask");
    vault.apply_policy(&owner(), &next, false).unwrap();
    // The last thing is a read: its entry is in the journal alone.
    let name = vault.read_single(
        &call(),
        anna,
        "profile",
        &ReadOptions::default(),
        |record, _| record.unwrap().fields["name"].clone(),
    );
    assert_eq!(name.unwrap(), "Anna Example");
    json!({
        "passphrase": PASSPHRASE, "recovery_key": recovery_key.to_text(),
        "api_key": key, "dpo_key": dpo_key, "session": session.token,
        "person": anna.to_string(), "erased": ben.to_string(), "receipt": receipt,
        "log_key": vault.log_key().unwrap(), "entries": vault.status().is_ok(),
    })
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededEntropy::new(1).fill(&mut bytes);
    bytes
}

/// What of a file differs from `ground`: offsets and bytes, in steps of 16.
fn runs(bytes: &[u8], ground: &[u8]) -> Vec<Value> {
    const STEP: usize = 16;
    let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
    for (number, (part, under)) in bytes.chunks(STEP).zip(ground.chunks(STEP)).enumerate() {
        if part == under {
            continue;
        }
        let offset = number * STEP;
        match runs.last_mut() {
            Some((start, run)) if *start + run.len() == offset => run.extend_from_slice(part),
            _ => runs.push((offset, part.to_vec())),
        }
    }
    let text = |(offset, bytes): (usize, Vec<u8>)| json!([offset, BASE64.encode(&bytes)]);
    runs.into_iter().map(text).collect()
}

fn pack(dir: &Path, said: &Value) -> String {
    let mut files = Map::new();
    for name in FILES {
        let mut bytes = std::fs::read(dir.join(name)).unwrap();
        let pages = NOISE.iter().find(|(noisy, _)| *noisy == name);
        let ground = match pages {
            None => vec![0; bytes.len()],
            Some((_, pages)) => {
                let ground = noise(bytes.len());
                let mut kept = ground.clone();
                for (offset, length) in *pages {
                    kept[*offset..offset + length]
                        .copy_from_slice(&bytes[*offset..offset + length]);
                }
                bytes = kept;
                ground
            }
        };
        let seed = pages.map(|_| 1);
        files.insert(
            name.into(),
            json!({"length": bytes.len(), "noise": seed, "bytes": runs(&bytes, &ground)}),
        );
    }
    let document = json!({"what": "a vault of format 1, read by tests/vectors/kept_vault.rs", "said": said, "files": files});
    document.to_string() + "\n"
}

fn unpack(kept: &Value, dir: &Path) {
    for (name, file) in kept["files"].as_object().unwrap() {
        let length = usize::try_from(file["length"].as_u64().unwrap()).unwrap();
        let mut bytes = match file["noise"].is_null() {
            true => vec![0; length],
            false => noise(length),
        };
        for run in file["bytes"].as_array().unwrap() {
            let offset = usize::try_from(run[0].as_u64().unwrap()).unwrap();
            let run = BASE64.decode(run[1].as_str().unwrap().as_bytes()).unwrap();
            bytes[offset..offset + run.len()].copy_from_slice(&run);
        }
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn kept() -> Value {
    let path = data(KEPT);
    if std::env::var_os("VAULT_VECTORS").is_some_and(|what| what == "write") && !path.exists() {
        let dir = tempfile::tempdir().unwrap();
        let said = make(dir.path());
        std::fs::write(&path, pack(dir.path(), &said)).unwrap();
    }
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn open(dir: &Path, secret: &UnlockSecret) -> Result<Arc<Vault>, UnlockError> {
    let locked = LockedVault::open(&VaultPaths::beside(&dir.join("vault")), at(5));
    locked
        .map_err(|error| error.to_string())
        .unwrap()
        .unlock(secret)
}

fn passphrase() -> UnlockSecret {
    UnlockSecret::Passphrase(Passphrase::new(PASSPHRASE.into()).unwrap())
}

/// Everything that was said of it is there.
fn everything(vault: &Arc<Vault>, said: &Value) {
    let text = |name: &str| said[name].as_str().unwrap();
    let person: SubjectId = text("person").parse().unwrap();
    let bot = vault.authenticate(text("api_key")).unwrap();
    let call = || Call::new(&bot).with_purpose("support");
    let found = vault.lookup_channel(&call(), "web", "visitor-1").unwrap();
    assert_eq!(found, person);
    let email = json!("ANNA@example.test");
    assert_eq!(
        vault
            .lookup_field(&call(), "profile.email", &email)
            .unwrap(),
        person
    );
    let options = ReadOptions::default();
    let profile = vault.read_single(&call(), person, "profile", &options, |record, _| {
        let record = record.unwrap();
        (record.fields.clone(), record.meta.source.clone())
    });
    let (fields, source) = profile.unwrap();
    assert_eq!(
        (&fields["name"], &fields["email"]),
        (&json!("Anna Example"), &json!("anna@example.test"))
    );
    assert_eq!(
        fields["photo"],
        json!({"media_type": "image/jpeg", "size": 5_000})
    );
    assert_eq!(source.as_deref(), Some("form"));
    let list = ListOptions {
        read: ReadOptions::default(),
        limit: 10,
        order: Order::Oldest,
        cursor: None,
    };
    let texts = vault.list(&call(), person, "messages", &list, |page| {
        page.records
            .iter()
            .map(|record| record.fields["text"].clone())
            .collect::<Vec<_>>()
    });
    assert_eq!(
        texts.unwrap(),
        ["Hello", "Where is my booking?", "Thank you", "said once"]
    );
    let download = vault
        .open_blob(&call(), photo_of(person), Look::Content)
        .unwrap();
    assert_eq!(download.read(0, 5_000).unwrap(), photo());
    let consents = vault.list_consents(&call(), person).unwrap();
    assert_eq!(consents[0].state, ConsentState::Given);
    assert_eq!(consents[0].history.len(), 2);
    let session = vault.authenticate(text("session")).unwrap();
    let own = vault.read_single(
        &Call::new(&session).with_purpose("support"),
        person,
        "profile",
        &options,
        |record, _| record.unwrap().fields.clone(),
    );
    assert_eq!(own.unwrap(), members(json!({"name": "Anna Example"})));
    // Sent again under its name: it was made, and is not made twice.
    let group = Group {
        changes: true,
        subject: Some(person),
        once: Some(Once::new("a name", [8; 32])),
    };
    let again = vault.together(&call(), group, |_, _: Option<&()>| Ok::<(), ()>(()));
    assert!(
        matches!(again, Err(Refusal::IdempotencyMismatch)),
        "{again:?}"
    );

    let dpo = vault.authenticate(text("dpo_key")).unwrap();
    let erased: SubjectId = text("erased").parse().unwrap();
    let refused = vault.view_subject(&Call::new(&dpo), erased);
    assert!(matches!(refused, Err(Refusal::Erased { receipt: Some(_) })));
    let key = VerifierKey::parse(text("log_key")).unwrap();
    let old = receipt::verify(&said["receipt"], &key).unwrap();
    let new = vault.receipt(&Call::new(&dpo), old.receipt).unwrap();
    assert_eq!(receipt::verify(&new, &key).unwrap().index, old.index);
    let report = vault
        .verify_log(&Call::new(&dpo), &[], &mut |_, _| {})
        .unwrap();
    assert!(report.sound() && report.checkpoints > 0, "{report:?}");
    assert_eq!(vault.log_key().unwrap(), text("log_key"));
    let policies = vault
        .policy_versions(&Call::new(&vault.keyholder()))
        .unwrap();
    assert_eq!(policies.len(), 2);
}

#[test]
fn a_vault_of_format_1_opens_and_nothing_of_it_is_lost() {
    let kept = kept();
    let dir = tempfile::tempdir().unwrap();
    unpack(&kept, dir.path());
    let vault = open(dir.path(), &passphrase()).unwrap();
    everything(&vault, &kept["said"]);
    vault.close();
    drop(vault);
    // And again, as this version has left it, by the other slot.
    let recovery = kept["said"]["recovery_key"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let vault = open(dir.path(), &UnlockSecret::RecoveryKey(recovery)).unwrap();
    everything(&vault, &kept["said"]);
    vault.close();
}

/// The control: with a bit of its anchor or of its slots changed it does not open, and with one of its
/// journal it says so.
#[test]
fn a_kept_vault_with_a_byte_changed_does_not_open() {
    let kept = kept();
    let of = |file: &str, offset: usize| {
        let dir = tempfile::tempdir().unwrap();
        unpack(&kept, dir.path());
        let path = dir.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[offset] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let locked = LockedVault::open(&VaultPaths::beside(&dir.path().join("vault")), at(5));
        locked.is_ok_and(|locked| locked.unlock(&passphrase()).is_ok())
    };
    let anchor = std::iter::zip([64 << 10, 576 << 10], [0; 2]);
    // One of the two holds the epoch.
    let opens: Vec<bool> = anchor
        .map(|(slot, _)| of("vault-anchor/anchor", slot + 40))
        .collect();
    assert!(opens.contains(&false), "{opens:?}");
    assert!(!of("vault-anchor/slots", (64 << 10) + 40));
    assert!(!of("vault/journal", 8), "another version");
}

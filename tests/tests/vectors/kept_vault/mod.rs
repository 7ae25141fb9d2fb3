//! A whole vault as an earlier version left it, from a process that was killed behind a read: every
//! later version opens it and finds everything.
//!
//! `VAULT_VECTORS=write cargo test -p vault-tests --test vectors` makes one where none is; what is
//! there is never made again. A later format gets a file of its own beside it. The file is JSON: of
//! each file of the vault its length, the seed of the noise that it is filled with, and what stands
//! there otherwise; zeros are left out.

mod make;
mod pack;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::audit::checkpoint::VerifierKey;
use vault_core::audit::receipt;
use vault_core::clock::ManualClock;
use vault_core::entropy::{Entropy, SeededEntropy};
use vault_core::vault::{
    BlobPlace, Call, ConsentState, Group, ListOptions, LockedVault, Look, Once, Order, Passphrase,
    ReadOptions, Refusal, Settings, SubjectId, UnlockError, UnlockSecret, Vault, VaultPaths,
};

use super::data;

const KEPT: &str = "own/vault-1.json";
const PASSPHRASE: &str = "correct horse battery";
const BEGIN: &str = "2026-11-25T12:00:00Z";
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

fn kept() -> Value {
    let path = data(KEPT);
    if std::env::var_os("VAULT_VECTORS").is_some_and(|what| what == "write") && !path.exists() {
        let dir = tempfile::tempdir().unwrap();
        let said = make::vault(dir.path());
        std::fs::write(&path, pack::pack(dir.path(), &said)).unwrap();
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
    // Sent again under its name the call has its answer; another call under that name has none.
    for (fingerprint, status) in [([7; 32], Ok(201)), ([8; 32], Err(()))] {
        let group = Group {
            changes: true,
            subject: Some(person),
            once: Some(Once::new("a name", fingerprint)),
        };
        let recalled = vault.together(&call(), group, move |desk, _: Option<&Option<u16>>| {
            let answers = desk.recall(person).map_err(|_| None)?;
            Ok(answers.map(|answers| answers[0].status))
        });
        let expected = status.map(Some).map_err(|()| None);
        assert_eq!(
            recalled.map_err(|refusal| refusal.to_string()),
            Ok(expected)
        );
    }

    let dpo = vault.authenticate(text("dpo_key")).unwrap();
    let erased: SubjectId = text("erased").parse().unwrap();
    let refused = vault.view_subject(&Call::new(&dpo), erased);
    assert!(matches!(refused, Err(Refusal::Erased { receipt: Some(_) })));
    let key = VerifierKey::parse(text("log_key")).unwrap();
    let old = receipt::verify(&said["receipt"], &key).unwrap();
    let (new, _) = vault.receipt(&Call::new(&dpo), old.receipt).unwrap();
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
    pack::unpack(&kept, dir.path());
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
        pack::unpack(&kept, dir.path());
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

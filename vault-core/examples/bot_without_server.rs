//! A bot that keeps its vault in its own process: no server, no port, no token on a wire.
//!
//! `cargo run -p vault-core --example bot_without_server`. Ann Example is invented. The vault goes
//! with the temporary directory at the end; a real one lies where it stays, and its passphrase comes
//! from a secret store.

#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::error::Error;

use serde_json::{Map, Value, json};
use vault_core::vault::{
    Call, Created, LockedVault, Passphrase, ReadOptions, Refusal, Settings, UnlockSecret, Vault,
    VaultPaths,
};

/// Who does what, and why. A reviewed file, in a real program.
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

[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name", category = "user.name", purposes = ["support"] }
email = { type = "email", category = "user.contact.email", purposes = ["support"] }
birth = { type = "date", category = "user.demographic.date_of_birth", purposes = ["support"] }

[roles.bot]
purposes = ["support"]
read  = { "profile.name" = "full", "profile.email" = "mask" }
write = ["profile.*"]
ask   = ["profile.birth.age_at_least"]
may   = ["subjects.create"]

[roles.officer]
may = ["subjects.erase"]
"#;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let paths = VaultPaths::beside(&home.path().join("vault"));
    // Temporary directories may lie on file systems that keep what was overwritten. A real vault
    // takes `Settings::default()`, which refuses them.
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };

    // Once: the vault, and an API key for each role.
    let passphrase = || Passphrase::new("correct horse battery".into());
    let Created { locked, vault, .. } =
        LockedVault::create(&paths, settings.clone(), &passphrase()?, POLICY)?;
    let keyholder = vault.keyholder();
    let (_, bot_key) = vault.create_token(&Call::new(&keyholder), "bot", None)?;
    let (_, officer_key) = vault.create_token(&Call::new(&keyholder), "officer", None)?;
    vault.close();
    drop(locked);

    // At every start: hold the directory, unlock it, find out who calls.
    let locked = LockedVault::open(&paths, settings)?;
    let vault = locked.unlock(&UnlockSecret::Passphrase(passphrase()?))?;
    let (bot, officer) = (
        vault.authenticate(&bot_key)?,
        vault.authenticate(&officer_key)?,
    );

    // In the conversation. Each call says who calls and what for.
    let call = || Call::new(&bot).with_purpose("support");
    let (ann, created) = vault.create_subject(&call(), "web", "visitor-42")?;
    assert!(created);
    let told = json!({"name": "Ann Example", "email": "ann@example.test", "birth": "1990-02-28"});
    let told = told.as_object().cloned().unwrap_or_default();
    vault.patch_single(&call(), ann, "profile", told, None)?;

    let known = profile(&vault, &call(), ann)?;
    println!("the bot sees   {}", Value::Object(known.clone()));
    assert_eq!(known["name"], "Ann Example");
    assert_ne!(known["email"], "ann@example.test", "masked for this role");
    assert!(!known.contains_key("birth"), "not for this role at all");

    let adult = vault.ask(&call(), ann, "profile.birth", &json!({"age_at_least": 18}))?;
    println!("is she 18?     {adult}");
    assert!(adult);

    // On her wish. The bot may not, the officer may; afterwards nobody finds her again.
    assert!(matches!(
        vault.erase_subject(&call(), ann),
        Err(Refusal::RoleDenied(_))
    ));
    let receipt = vault.erase_subject(&Call::new(&officer), ann)?;
    println!("the receipt    {receipt:#}");
    assert!(matches!(
        profile(&vault, &call(), ann),
        Err(Refusal::Erased { .. })
    ));

    vault.close();
    Ok(())
}

/// What this caller may see of the profile. The closure is the hand-over: it runs only if nothing
/// that concerns the value was revoked while it was read.
fn profile(
    vault: &Vault,
    call: &Call<'_>,
    person: vault_core::vault::SubjectId,
) -> Result<Map<String, Value>, Refusal> {
    vault.read_single(
        call,
        person,
        "profile",
        &ReadOptions::default(),
        |record, _| record.map_or_else(Map::new, |record| record.fields.clone()),
    )
}

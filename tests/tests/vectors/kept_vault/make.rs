//! Makes the vault that is kept.

use std::path::Path;

use serde_json::{Value, json};
use vault_core::schema::MediaType;
use vault_core::vault::{
    Answer, Call, ConsentInput, Created, Group, LockedVault, Once, Passphrase, ReadOptions,
    SessionInput, VaultPaths,
};

use super::{PASSPHRASE, at, members, photo, photo_of};

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

/// Makes a vault that has a row of every table, and says what is in it.
pub(super) fn vault(dir: &Path) -> Value {
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
            ..ConsentInput::default()
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
        desk.append(anna, "messages", &[body]).map_err(drop)?;
        let answer = Answer {
            operation: 0,
            status: 201,
            body: b"{}".to_vec(),
            etag: None,
            location: None,
        };
        desk.keep(anna, Some(vec![answer])).map_err(drop)
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

//! A small vault with something of everything in it, as its files lie on the disk; and everything that
//! can be read of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::clock::ManualClock;
use vault_core::schema::MediaType;
use vault_core::vault::{
    Answer, BlobPlace, Call, ConsentInput, Created, Desk, Group, LockedVault, Once, Passphrase,
    Principal, ReadOptions, SessionInput, Settings, SubjectId, Vault, VaultPaths,
};

const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[purposes.news]
title.en = "Sending you our newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name",  purposes = ["support", "news"] }
email = { type = "email", purposes = ["support", "news"], lookup = true }
paper = { type = "blob", purposes = ["support"], media_types = ["text/plain"] }
[collections.messages]
kind = "many"
retention = "P90D"
[collections.messages.fields]
text = { type = "text", purposes = ["support"] }
[roles.bot]
purposes = ["support", "news"]
read  = { "*" = "full" }
write = ["*"]
may   = ["subjects.create", "subjects.lookup", "subjects.view", "sessions.create", "consents.record"]
[roles.dpo]
may = ["subjects.erase", "audit.read"]
"#;

/// The files of a vault. The reserve has no meaning, and the lock file is empty.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) database: Vec<u8>,
    pub(crate) journal: Vec<u8>,
    pub(crate) anchor: Vec<u8>,
    pub(crate) slots: Vec<u8>,
    pub(crate) ledger: Vec<u8>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Database,
    Journal,
    Anchor,
    Slots,
    Ledger,
}

impl Files {
    pub(crate) fn of(home: &Path) -> Self {
        let read = |name: &str| fs::read(home.join(name)).expect("it is there");
        Self {
            database: read("v/vault.redb"),
            journal: read("v/journal"),
            anchor: read("v-anchor/anchor"),
            slots: read("v-anchor/slots"),
            ledger: read("v/ledger"),
        }
    }

    pub(crate) fn put(&self, home: &Path) {
        for directory in ["v", "v-anchor"] {
            fs::create_dir_all(home.join(directory)).expect("a directory");
        }
        let write = |name: &str, bytes: &[u8]| fs::write(home.join(name), bytes).expect("written");
        write("v/vault.redb", &self.database);
        write("v/journal", &self.journal);
        write("v-anchor/anchor", &self.anchor);
        write("v-anchor/slots", &self.slots);
        write("v/ledger", &self.ledger);
    }

    pub(crate) fn file(&mut self, name: Name) -> &mut Vec<u8> {
        match name {
            Name::Database => &mut self.database,
            Name::Journal => &mut self.journal,
            Name::Anchor => &mut self.anchor,
            Name::Slots => &mut self.slots,
            Name::Ledger => &mut self.ledger,
        }
    }
}

/// A vault, and what a reader has to know of it.
pub(crate) struct Scene {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) recovery: String,
    pub(crate) bot: String,
    pub(crate) dpo: String,
    pub(crate) session: String,
    pub(crate) people: Vec<SubjectId>,
    pub(crate) receipts: Vec<String>,
    pub(crate) checkpoint: String,
    /// Reads that only the journal knows of where the process was killed.
    pub(crate) late: Vec<String>,
    /// As a clean stop leaves them.
    pub(crate) closed: Files,
    /// As kill -9 leaves them.
    pub(crate) killed: Files,
    /// Before the second erasure.
    pub(crate) before: Files,
}

pub(crate) fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

pub(crate) fn paper(subject: SubjectId) -> BlobPlace {
    BlobPlace {
        subject,
        collection: "profile".into(),
        record: None,
        field: "paper".into(),
    }
}

impl Scene {
    pub(crate) fn new(home: &Path) -> Self {
        let clock = Arc::new(ManualClock::at(
            Timestamp::from_second(1_800_000_000).expect("in range"),
        ));
        let paths = VaultPaths::beside(&home.join("v"));
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let Created {
            locked,
            vault,
            recovery_key,
        } = LockedVault::create(&paths, settings(&clock), &passphrase, POLICY).expect("created");
        let keyholder = vault.keyholder();
        let make = |role| {
            vault
                .create_token(&Call::new(&keyholder), role, None)
                .expect("a key")
                .1
        };
        let (bot, dpo) = (make("bot"), make("dpo"));
        let principal = vault.authenticate(&bot).expect("just made");
        let call = || Call::new(&principal).with_purpose("support");
        let mut people = Vec::new();
        for user in 0..5 {
            people.push(
                vault
                    .create_subject(&call(), "web", &format!("user {user}"))
                    .expect("a person")
                    .0,
            );
        }
        let mut session = String::new();
        for (number, subject) in people.iter().enumerate() {
            for turn in 0..2 {
                let body = object(
                    json!({"name": format!("Person {number} {turn}"), "email": format!("p{number}@example.test")}),
                );
                vault
                    .patch_single(&call(), *subject, "profile", body, None)
                    .expect("stored");
                let body = object(json!({"text": format!("text {number} {turn}")}));
                vault
                    .append(&call(), *subject, "messages", vec![body])
                    .expect("stored");
            }
            if number < 2 {
                fill(&vault, &principal, *subject);
                let input = SessionInput {
                    purpose: "support".into(),
                    fields: vec!["profile.*".into()],
                    reads: 5,
                    writes: 1,
                    expires_in: Some(24 * 3600),
                };
                session = vault
                    .begin_session(&call(), *subject, input)
                    .expect("begun")
                    .token;
            }
        }
        let officer = vault.authenticate(&dpo).expect("just made");
        let erase = |subject| {
            let receipt = vault
                .erase_subject(&Call::new(&officer), subject)
                .expect("erased");
            receipt["body"]["receipt"]
                .as_str()
                .expect("an id")
                .to_owned()
        };
        let mut receipts = vec![erase(people[3])];
        // Enough of them that the tree keeps hashes, and an hour so that it keeps checkpoints.
        for _ in 0..600 {
            let _ = vault.lookup_channel(&call(), "web", "nobody");
        }
        clock.advance(3_700_000);
        vault
            .create_subject(&call(), "web", "user 0")
            .expect("known");
        vault
            .apply_policy(
                &Call::new(&keyholder),
                &POLICY.replace("P90D", "P80D"),
                false,
            )
            .expect("applied");
        let before = Files::of(home);
        receipts.push(erase(people[4]));
        let checkpoint = vault.log_checkpoint(&Call::new(&officer)).expect("signed");
        vault.close();
        drop((vault, locked));
        let mut scene = Self {
            clock,
            recovery: recovery_key.to_text(),
            bot,
            dpo,
            session,
            people,
            receipts,
            checkpoint,
            late: Vec::new(),
            closed: Files::of(home),
            killed: Files::of(home),
            before,
        };
        // Reads that the next commit would have taken into the log.
        let (locked, vault) = scene.open(home).expect("it opens");
        let principal = vault.authenticate(&scene.bot).expect("a key");
        for subject in &scene.people[..3] {
            let call = Call::new(&principal).with_purpose("support");
            vault
                .read_single(
                    &call,
                    *subject,
                    "profile",
                    &ReadOptions::default(),
                    |_, _| (),
                )
                .expect("read");
            scene.late.push(call.id.to_string());
        }
        scene.killed = Files::of(home);
        vault.close();
        drop(locked);
        scene
    }
}

/// Consents, a blob, an answer that is remembered.
fn fill(vault: &Arc<Vault>, bot: &Principal, subject: SubjectId) {
    let call = || Call::new(bot).with_purpose("support");
    let input = ConsentInput {
        given: true,
        notice: json!("n1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    };
    vault
        .put_consent(&call(), subject, "news", input)
        .expect("recorded");
    vault
        .withdraw_consent(&call(), subject, "news")
        .expect("recorded");
    let kind = MediaType::parse("text/plain").expect("a media type");
    let mut upload = vault
        .begin_upload(&call(), paper(subject), kind, None, None)
        .expect("begun");
    upload.write(&[7; 5_000]).expect("taken");
    upload.finish().expect("stored");
    let once = Once::new("a call", [7; 32]);
    let group = Group {
        changes: true,
        subject: Some(subject),
        once: Some(once),
    };
    let kept = vault.together(
        &call(),
        group,
        move |desk: &mut Desk<'_, '_>, _: Option<&bool>| {
            let answer = Answer {
                operation: 0,
                status: 201,
                body: b"told".to_vec(),
                etag: None,
                location: None,
            };
            desk.keep(subject, Some(vec![answer])).map_err(|_| false)?;
            Ok(true)
        },
    );
    assert!(matches!(kept, Ok(Ok(true))));
}

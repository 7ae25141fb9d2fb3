//! A small vault with something of everything in it, as its files lie on the disk; and everything that
//! can be read of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::clock::ManualClock;
use vault_core::medium::{FileMedium, Medium};
use vault_core::refusal::Refusal;
use vault_core::schema::MediaType;
use vault_core::store::StoreError;
use vault_core::vault::{
    Answer, AuditQuery, BlobPlace, Call, ConsentInput, Created, Desk, Group, ListOptions,
    LockedVault, Look, Once, OpenError, Order, Passphrase, Principal, ReadOptions, SessionInput,
    Settings, SubjectId, UnlockError, UnlockSecret, Vault, VaultPaths,
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
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Database,
    Journal,
    Anchor,
    Slots,
}

impl Files {
    pub(crate) fn of(home: &Path) -> Self {
        let read = |name: &str| fs::read(home.join(name)).expect("it is there");
        Self {
            database: read("v/vault.redb"),
            journal: read("v/journal"),
            anchor: read("v-anchor/anchor"),
            slots: read("v-anchor/slots"),
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
    }

    pub(crate) fn file(&mut self, name: Name) -> &mut Vec<u8> {
        match name {
            Name::Database => &mut self.database,
            Name::Journal => &mut self.journal,
            Name::Anchor => &mut self.anchor,
            Name::Slots => &mut self.slots,
        }
    }
}

/// A vault, and what a reader has to know of it.
pub(crate) struct Scene {
    pub(crate) clock: Arc<ManualClock>,
    recovery: String,
    bot: String,
    dpo: String,
    session: String,
    pub(crate) people: Vec<SubjectId>,
    receipts: Vec<String>,
    checkpoint: String,
    /// Reads that only the journal knows of where the process was killed.
    late: Vec<String>,
    /// As a clean stop leaves them.
    pub(crate) closed: Files,
    /// As kill -9 leaves them.
    pub(crate) killed: Files,
    /// Before the second erasure.
    pub(crate) before: Files,
}

/// What came of opening a vault and reading everything in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// Damage was reported.
    Damage(String),
    /// This is what was read.
    All(Box<Value>),
    /// A refusal that says nothing of damage.
    Other(String),
}

fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn paper(subject: SubjectId) -> BlobPlace {
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

    fn secret(&self) -> UnlockSecret {
        UnlockSecret::RecoveryKey(self.recovery.parse().ok().expect("a key"))
    }

    pub(crate) fn open(&self, home: &Path) -> Result<(LockedVault, Arc<Vault>), Seen> {
        self.unlock(home, &self.secret())
    }

    /// With something between the vault and the files that it overwrites in place.
    pub(crate) fn open_through(
        &self,
        home: &Path,
        medium: &dyn Fn(FileMedium) -> Box<dyn Medium>,
    ) -> Option<Arc<Vault>> {
        let paths = VaultPaths::beside(&home.join("v"));
        let locked = LockedVault::open(&paths, settings(&self.clock)).ok()?;
        locked.unlock_through(&self.secret(), medium).ok()
    }

    /// Gives the first person another name.
    pub(crate) fn rename_first(&self, home: &Path) {
        let (_locked, vault) = self.open(home).expect("it opens");
        let bot = vault.authenticate(&self.bot).expect("a key");
        let call = Call::new(&bot).with_purpose("support");
        let body = object(json!({"name": "Another Name"}));
        vault
            .patch_single(&call, self.people[0], "profile", body, None)
            .expect("stored");
        vault.close();
    }

    pub(crate) fn unlock(
        &self,
        home: &Path,
        secret: &UnlockSecret,
    ) -> Result<(LockedVault, Arc<Vault>), Seen> {
        let paths = VaultPaths::beside(&home.join("v"));
        let locked =
            LockedVault::open(&paths, settings(&self.clock)).map_err(|error| match error {
                OpenError::Slots(_) => Seen::Damage("the key slots are damaged".into()),
                error => Seen::Other(format!("{error:?}")),
            })?;
        let vault = locked.unlock(secret).map_err(|error| match error {
            UnlockError::Anchor
            | UnlockError::Damaged(_)
            | UnlockError::Rollback { .. }
            | UnlockError::Store(StoreError::Corrupt) => Seen::Damage(error.to_string()),
            error => Seen::Other(format!("{error:?}")),
        })?;
        Ok((locked, vault))
    }

    /// Opens the vault in `home` and reads everything; the first refusal that says damage ends it.
    pub(crate) fn see(&self, home: &Path) -> Seen {
        let (locked, vault) = match self.open(home) {
            Ok(open) => open,
            Err(seen) => return seen,
        };
        let seen = match self.read(&vault) {
            Ok(all) => Seen::All(Box::new(all)),
            Err(refusal) if refusal.is_damage() => Seen::Damage(refusal.to_string()),
            Err(refusal) => Seen::Other(format!("{refusal:?}")),
        };
        vault.close();
        drop(locked);
        seen
    }

    fn read(&self, vault: &Arc<Vault>) -> Result<Value, Refusal> {
        let bot = vault.authenticate(&self.bot)?;
        let dpo = vault.authenticate(&self.dpo)?;
        let keyholder = vault.keyholder();
        let call = || Call::new(&bot).with_purpose("support");
        let mut all = Map::new();
        for (number, subject) in self.people.iter().enumerate() {
            all.insert(format!("person {number}"), person(vault, &bot, *subject)?);
            let user = ok(vault.lookup_channel(&call(), "web", &format!("user {number}")))?;
            let email = json!(format!("p{number}@example.test"));
            let field = ok(vault.lookup_field(&call(), "profile.email", &email))?;
            all.insert(format!("look-ups {number}"), json!([user, field]));
        }
        let session = vault.authenticate(&self.session)?;
        let read = vault.read_single(
            &Call::new(&session),
            self.people[1],
            "profile",
            &ReadOptions::default(),
            |view, _| view.map(|view| Value::Object(view.fields.clone())),
        );
        all.insert(
            "session".into(),
            ok(read.map(|fields| format!("{fields:?}")))?,
        );
        for receipt in &self.receipts {
            let id = receipt.parse().map_err(|_| Refusal::NotFound("receipt"))?;
            let document = vault.receipt(&Call::new(&dpo), id)?;
            let entry = document["proof"]["entry"].clone();
            all.insert(receipt.clone(), json!([document["body"], entry]));
        }
        let key = vault.log_key()?;
        let policy = vault.policy_text(&Call::new(&keyholder))?;
        let keys = vault.list_tokens(&Call::new(&keyholder))?;
        let keys: Vec<String> = keys
            .iter()
            .map(|key| format!("{} {} {}", key.token, key.role, key.state.name()))
            .collect();
        let report =
            vault.verify_log(&Call::new(&dpo), &[self.checkpoint.clone()], &mut |_, _| {})?;
        if !report.sound() {
            return Err(Refusal::Internal("the log is damaged"));
        }
        let versions = vault.policy_versions(&Call::new(&keyholder))?;
        let versions: Vec<String> = versions
            .iter()
            .map(|(version, at)| format!("{version} {at}"))
            .collect();
        let figures = vault.figures();
        all.insert(
            "rest".into(),
            json!([key, policy, keys, versions, figures.people, figures.erased]),
        );
        Ok(Value::Object(all))
    }

    /// Whether the reads that only the journal knew of are in the log, or the log says that some of
    /// it was cut off.
    pub(crate) fn late_reads_or_a_word_of_them(&self, home: &Path) -> bool {
        let Ok((_locked, vault)) = self.open(home) else {
            return true;
        };
        let Ok(dpo) = vault.authenticate(&self.dpo) else {
            return false;
        };
        let query = AuditQuery {
            last: 1_000,
            ..AuditQuery::default()
        };
        let Ok(page) = vault.audit(&Call::new(&dpo), &query) else {
            return false;
        };
        vault.close();
        let has =
            |name: &str, text: &str| page.entries.iter().any(|entry| entry.entry[name] == text);
        self.late.iter().all(|call| has("request", call)) || has("action", "journal.cut_off")
    }
}

/// What a refusal says that is an answer; damage goes on as it is.
fn ok<T: ToString>(answer: Result<T, Refusal>) -> Result<Value, Refusal> {
    match answer {
        Ok(value) => Ok(json!(value.to_string())),
        Err(Refusal::Internal(what)) => Err(Refusal::Internal(what)),
        Err(refusal) => Ok(json!(refusal.code())),
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

fn person(vault: &Arc<Vault>, bot: &Principal, subject: SubjectId) -> Result<Value, Refusal> {
    let call = || Call::new(bot).with_purpose("support");
    let options = ReadOptions::default();
    let profile = vault.read_single(&call(), subject, "profile", &options, |view, _| {
        view.map(|view| json!([view.fields, view.etag, view.created_at.to_string()]))
    });
    let profile = match profile {
        Err(Refusal::Erased { receipt }) => return Ok(json!([receipt.map(|id| id.to_string())])),
        other => other?,
    };
    let options = ListOptions {
        read: options,
        limit: 1_000,
        order: Order::Oldest,
        cursor: None,
    };
    let messages = vault.list(&call(), subject, "messages", &options, |page| {
        let records = page.records.iter();
        records
            .map(|view| {
                json!([
                    view.record.to_string(),
                    view.fields,
                    view.created_at.to_string()
                ])
            })
            .collect::<Vec<_>>()
    })?;
    let view = vault.view_subject(&call(), subject)?;
    let counts: Vec<u64> = view
        .collections
        .iter()
        .map(|counted| counted.records)
        .collect();
    let consents: Vec<String> = vault
        .list_consents(&call(), subject)?
        .iter()
        .map(|view| format!("{view:?}"))
        .collect();
    let sessions: Vec<String> = vault
        .list_sessions(&call(), subject)?
        .iter()
        .map(|view| format!("{} {}", view.session, view.live))
        .collect();
    let blob = match vault.open_blob(&call(), paper(subject), Look::Content) {
        Ok(download) => json!(download.read(0, download.size())?),
        Err(refusal) => ok(Err::<String, _>(refusal))?,
    };
    let once = Once::new("a call", [7; 32]);
    let group = Group {
        changes: true,
        subject: Some(subject),
        once: Some(once),
    };
    let answer = vault.together(
        &call(),
        group,
        move |desk: &mut Desk<'_, '_>, _: Option<&Result<String, Refusal>>| {
            let told = desk.recall(subject).map(|answers| {
                answers.map_or(String::new(), |answers| {
                    String::from_utf8_lossy(&answers[0].body).into_owned()
                })
            });
            Ok(told)
        },
    )?;
    let answer = match answer {
        Ok(told) | Err(told) => told?,
    };
    Ok(json!([
        profile,
        messages,
        counts,
        view.created_at.to_string(),
        consents,
        sessions,
        blob,
        answer
    ]))
}

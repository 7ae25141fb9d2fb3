//! The story: a change of every kind, each with what must be seen of it afterwards.
//!
//! Every change has a place of its own, so that what is seen there depends on it alone.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::clock::ManualClock;
use vault_core::entropy::OsEntropy;
use vault_core::schema::MediaType;
use vault_core::vault::{
    BlobPlace, Call, CallId, ChangeInput, ConsentInput, ConsentState, Group, ListOptions,
    LockedVault, Look, Order, Passphrase, Principal, ReadOptions, Refusal, SessionInput, Settings,
    SubjectId, Sweep, TokenId, UnlockError, UnlockSecret, Vault, VaultPaths,
};

use crate::machine::{Images, Machine};

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
name  = { type = "name", purposes = ["support"] }
email = { type = "email", purposes = ["support"], lookup = true }
slots = { type = "json", purposes = ["support"] }
photo = { type = "blob", purposes = ["support"], media_types = ["image/*"] }
[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text", purposes = ["support"] }
[roles.bot]
purposes = ["support", "news"]
read  = { "*" = "full" }
write = ["*"]
may   = ["subjects.create", "subjects.lookup", "subjects.erase", "sessions.create", "consents.record", "records.bulk", "records.purge", "audit.read"]
"#;
const MORE_POLICY: &str = "[collections.more]\nkind = \"single\"\n[collections.more.fields]\nnick = { type = \"text\", purposes = [\"support\"] }\n";
const PEOPLE: [&str; 6] = ["ann", "ben", "cleo", "dora", "emil", "gone"];
const HOUR: i64 = 3_600_000;
const BLOB_BYTES: usize = 600_000;

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Step {
    Create,
    Patch,
    Append,
    Withdraw,
    Upload,
    DeleteBlob,
    Session,
    Together,
    MakeKey,
    RevokeKey,
    Policy,
    Update,
    Purge,
    AddSlot,
    RemoveSlot,
    Erase,
    Sweep,
    EraseAfterSweep,
    Last,
}

const STEPS: [Step; 19] = [
    Step::Create,
    Step::Patch,
    Step::Append,
    Step::Withdraw,
    Step::Upload,
    Step::DeleteBlob,
    Step::Session,
    Step::Together,
    Step::MakeKey,
    Step::RevokeKey,
    Step::Policy,
    Step::Update,
    Step::Purge,
    Step::AddSlot,
    Step::RemoveSlot,
    Step::Erase,
    Step::Sweep,
    Step::EraseAfterSweep,
    Step::Last,
];

/// What was acknowledged, and what only then is known.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    steps: [bool; STEPS.len()],
    /// Secrets of the API key and of the session that were made.
    made_key: Option<String>,
    session: Option<String>,
}

impl Acknowledged {
    pub(crate) fn all(&self) -> bool {
        self.steps.iter().all(|acknowledged| *acknowledged)
    }

    fn was(&self, step: Step) -> bool {
        self.steps[step as usize]
    }
}

/// The files beside the database that no machine stands under: read journal, and ledger of erasures.
#[derive(Clone)]
pub(crate) struct Beside([Vec<u8>; 2]);

const BESIDE: [&str; 2] = ["journal", "ledger"];

/// The vault as it is before each telling.
pub(crate) struct Base {
    pub(crate) images: Images,
    beside: Beside,
    paths: VaultPaths,
    recovery: String,
    bot: String,
    spare: (TokenId, String),
    slot: u8,
    people: Vec<SubjectId>,
    clock_start: Timestamp,
    _dir: tempfile::TempDir,
}

fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    }
}

fn call(principal: &Principal) -> Call<'_> {
    Call {
        principal,
        purpose: Some("support"),
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn content(seed: u8) -> Vec<u8> {
    (0..BLOB_BYTES)
        .map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ seed)
        .collect()
}

fn upload(
    vault: &Arc<Vault>,
    bot: &Principal,
    subject: SubjectId,
    seed: u8,
) -> Result<(), Refusal> {
    let media_type = MediaType::parse("image/png").expect("a media type");
    let length = Some(BLOB_BYTES as u64);
    let mut upload = vault.begin_upload(&call(bot), photo(subject), media_type, length, None)?;
    for piece in content(seed).chunks(100_000) {
        upload.write(piece)?;
    }
    upload.finish().map(drop)
}

fn photo(subject: SubjectId) -> BlobPlace {
    BlobPlace {
        subject,
        collection: "profile".into(),
        record: None,
        field: "photo".into(),
    }
}

fn consent(vault: &Vault, bot: &Principal, subject: SubjectId) -> Result<(), Refusal> {
    vault
        .put_consent(&call(bot), subject, "news", said_yes())
        .map(drop)
}

fn said_yes() -> ConsentInput {
    ConsentInput {
        given: true,
        notice: json!("n1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    }
}

impl Base {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let paths = VaultPaths::beside(&dir.path().join("v"));
        let clock_start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(clock_start));
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let created = LockedVault::create(&paths, settings(&clock), &passphrase, POLICY);
        let created = created.expect("created");
        let vault = created.vault;
        let keyholder = vault.keyholder();
        let key = || {
            vault
                .create_token(&call(&keyholder), "bot", None)
                .expect("made")
        };
        let (_, bot) = key();
        let (view, spare) = key();
        let spare = (view.token, spare);
        let (slot, _) = vault
            .add_recovery_slot(&call(&keyholder), "to be removed")
            .expect("added");
        let principal = vault.authenticate(&bot).expect("known");
        let people = PEOPLE.map(|name| {
            let (subject, _) = vault
                .create_subject(&call(&principal), "web", name)
                .expect("made");
            let profile = json!({"name": name, "email": format!("{name}@example.test")});
            let written =
                vault.patch_single(&call(&principal), subject, "profile", object(profile), None);
            written.expect("written");
            let notes = ["kept", "kept", "changed", "purged"];
            let notes =
                notes.map(|source| object(json!({"text": name, "_meta": {"source": source}})));
            vault
                .append(&call(&principal), subject, "notes", notes.to_vec())
                .expect("appended");
            subject
        });
        for subject in [people[1], people[3]] {
            consent(&vault, &principal, subject).expect("said");
        }
        upload(&vault, &principal, people[3], 3).expect("stored");
        vault
            .erase_subject(&call(&keyholder), people[5])
            .expect("erased");
        vault.close();
        drop((principal, keyholder, vault, created.locked));
        let read = |path: PathBuf| std::fs::read(path).expect("a file of the vault");
        Self {
            images: Images([
                read(paths.dir.join("vault.redb")),
                read(paths.anchor.join("anchor")),
                read(paths.anchor.join("slots")),
            ]),
            beside: Beside(BESIDE.map(|name| read(paths.dir.join(name)))),
            recovery: created.recovery_key.to_text().to_string(),
            paths,
            bot,
            spare,
            slot: slot.number,
            people: people.to_vec(),
            clock_start,
            _dir: dir,
        }
    }

    /// Puts the files beside the database where they were in the beginning.
    pub(crate) fn lay_first(&self) {
        self.lay(&self.beside);
    }

    pub(crate) fn lay(&self, beside: &Beside) {
        for (name, bytes) in BESIDE.iter().zip(&beside.0) {
            std::fs::write(self.paths.dir.join(name), bytes).expect("written");
        }
    }

    pub(crate) fn beside(&self) -> Beside {
        Beside(BESIDE.map(|name| std::fs::read(self.paths.dir.join(name)).expect("read")))
    }

    /// Opens the vault on this machine, an hour after it was made.
    pub(crate) fn open(&self, machine: &Machine) -> Result<Opened, UnlockError> {
        let clock = Arc::new(ManualClock::at(self.clock_start));
        clock.advance(HOUR);
        let locked = LockedVault::open(&self.paths, settings(&clock)).expect("nobody holds it");
        let secret = UnlockSecret::RecoveryKey(self.recovery.parse().expect("a recovery key"));
        let vault = locked.unlock_over(&secret, &machine.media(), machine.factory())?;
        Ok(Opened {
            vault,
            clock,
            _locked: locked,
        })
    }
}

/// An open vault.
pub(crate) struct Opened {
    vault: Arc<Vault>,
    clock: Arc<ManualClock>,
    _locked: LockedVault,
}

/// Somebody who tells, or looks.
pub(crate) struct Story<'a> {
    base: &'a Base,
    opened: Opened,
    bot: Option<Principal>,
}

impl<'a> Story<'a> {
    pub(crate) fn new(base: &'a Base, opened: Opened) -> Self {
        let bot = opened.vault.authenticate(&base.bot).ok();
        Self { base, opened, bot }
    }

    pub(crate) fn end(self) {
        self.opened.vault.close();
    }

    fn bot(&self) -> &Principal {
        self.bot.as_ref().expect("the bot's key is known")
    }

    fn person(&self, name: &str) -> SubjectId {
        let place = PEOPLE.iter().position(|known| *known == name);
        self.base.people[place.expect("one of the people")]
    }

    /// Does every step, whatever becomes of those before.
    pub(crate) fn tell(&mut self) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        for step in STEPS {
            let done = self.step(step, &mut acknowledged);
            acknowledged.steps[step as usize] = done.is_ok();
        }
        acknowledged
    }

    fn step(&self, step: Step, acknowledged: &mut Acknowledged) -> Result<(), Refusal> {
        let vault = &self.opened.vault;
        let (bot, keyholder) = (self.bot(), vault.keyholder());
        let (call, as_keyholder) = (call(bot), call(&keyholder));
        let [ann, ben, cleo, dora, emil] =
            ["ann", "ben", "cleo", "dora", "emil"].map(|name| self.person(name));
        let wanted = |source: &str| ChangeInput {
            collection: "notes".into(),
            conditions: json!({"source": source}),
            dry_run: false,
        };
        match step {
            Step::Create => vault.create_subject(&call, "web", "finn").map(drop),
            Step::Patch => {
                let body = object(json!({"name": "Ann New", "email": "new@example.test"}));
                vault
                    .patch_single(&call, ann, "profile", body, None)
                    .map(drop)
            }
            Step::Append => {
                let notes = (0..3).map(|number| object(json!({"text": format!("said {number}")})));
                vault
                    .append(&call, cleo, "notes", notes.collect())
                    .map(drop)
            }
            Step::Withdraw => vault.withdraw_consent(&call, dora, "news").map(drop),
            Step::Upload => upload(vault, bot, cleo, 7),
            Step::DeleteBlob => vault.delete_blob(&call, photo(dora), None).map(drop),
            Step::Session => {
                let input = SessionInput {
                    purpose: "support".into(),
                    fields: vec!["profile.name".into()],
                    reads: 9,
                    writes: 9,
                    expires_in: Some(24 * 3600),
                };
                let begun = vault.begin_session(&call, ann, input)?;
                acknowledged.session = Some(begun.token.to_string());
                Ok(())
            }
            Step::Together => {
                let group = Group {
                    changes: true,
                    subject: Some(ann),
                    once: None,
                };
                let done = vault.together(&call, group, move |desk, _: Option<&()>| {
                    let body = object(json!({"slots": {"together": true}}));
                    desk.patch_single(ann, "profile", body, None)
                        .map_err(drop)?;
                    let note = [object(json!({"text": "together"}))];
                    desk.append(ann, "notes", &note).map_err(drop)?;
                    desk.put_consent(ann, "news", &said_yes())
                        .map(drop)
                        .map_err(drop)
                })?;
                done.map_err(|()| Refusal::Overloaded)
            }
            Step::MakeKey => {
                let (_, secret) = vault.create_token(&as_keyholder, "bot", None)?;
                acknowledged.made_key = Some(secret);
                Ok(())
            }
            Step::RevokeKey => vault.revoke_token(&as_keyholder, self.base.spare.0),
            Step::Policy => {
                let policy = format!("{POLICY}{MORE_POLICY}");
                vault.apply_policy(&as_keyholder, &policy, false).map(drop)
            }
            Step::Update => {
                let set = json!({"category": "marked"});
                vault
                    .update_records(&call, &wanted("changed"), &set)
                    .map(drop)
            }
            Step::Purge => vault.purge_records(&call, &wanted("purged")).map(drop),
            Step::AddSlot => vault.add_recovery_slot(&as_keyholder, "second").map(drop),
            Step::RemoveSlot => vault.remove_slot(&as_keyholder, self.base.slot).map(drop),
            Step::Erase => vault.erase_subject(&call, ben).map(drop),
            Step::Sweep => {
                self.opened.clock.advance(13 * HOUR);
                while vault.sweep(Sweep::All)? {}
                Ok(())
            }
            Step::EraseAfterSweep => vault.erase_subject(&call, emil).map(drop),
            Step::Last => {
                let body = object(json!({"slots": "last"}));
                vault
                    .patch_single(&call, cleo, "profile", body, None)
                    .map(drop)
            }
        }
    }

    /// After an operation that failed the vault recovers with one of the next calls.
    pub(crate) fn wait_until_it_writes(&self, what: &str) {
        let well = (0..20).any(|_| self.opened.vault.probe().is_ok());
        assert!(well, "{what}: it does not go on by itself");
    }

    fn profile(&self, subject: SubjectId) -> Result<Value, Refusal> {
        self.opened.vault.read_single(
            &call(self.bot()),
            subject,
            "profile",
            &ReadOptions::default(),
            |view, _| view.map_or(Value::Null, |view| Value::Object(view.fields.clone())),
        )
    }

    /// Text, source and category of a person's notes.
    fn notes(&self, subject: SubjectId) -> Vec<(String, String, String)> {
        let options = ListOptions {
            read: ReadOptions::default(),
            limit: 100,
            order: Order::Oldest,
            cursor: None,
        };
        let list = self
            .opened
            .vault
            .list(&call(self.bot()), subject, "notes", &options, |page| {
                let notes = page.records.iter().map(|record| {
                    let text = record.fields["text"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned();
                    let meta = record.meta.clone();
                    (
                        text,
                        meta.source.unwrap_or_default(),
                        meta.category.unwrap_or_default(),
                    )
                });
                notes.collect()
            });
        list.expect("notes of somebody who is there")
    }

    fn blob(&self, subject: SubjectId) -> Option<Vec<u8>> {
        let opened = self
            .opened
            .vault
            .open_blob(&call(self.bot()), photo(subject), Look::Content);
        let download = match opened {
            Err(Refusal::NotFound(_)) => return None,
            opened => opened.expect("a blob of somebody who is there"),
        };
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < download.size() {
            let part = download.read(bytes.len() as u64, download.size());
            bytes.extend(part.expect("every chunk is there"));
        }
        Some(bytes)
    }

    fn find(&self, email: &str) -> Option<SubjectId> {
        let found =
            self.opened
                .vault
                .lookup_field(&call(self.bot()), "profile.email", &json!(email));
        found.ok()
    }

    fn said(&self, subject: SubjectId) -> Option<ConsentState> {
        let said = self
            .opened
            .vault
            .read_consent(&call(self.bot()), subject, "news");
        said.ok()?.state.into()
    }

    /// Everything that was acknowledged is there; everything else happened whole or not at all.
    pub(crate) fn check(&self, acknowledged: &Acknowledged, what: &str) {
        let vault = &self.opened.vault;
        // Whether it happened is told by one thing, and all the others have to agree.
        let agree = |step: Step, happened: &[bool]| {
            let same = happened.iter().all(|one| *one == happened[0]);
            assert!(same, "{what}: {step:?} happened in part: {happened:?}");
            assert!(
                happened[0] || !acknowledged.was(step),
                "{what}: {step:?} was acknowledged and is lost"
            );
        };
        let [ann, ben, cleo, dora, emil, gone] = PEOPLE.map(|name| self.person(name));

        let finn = vault.lookup_channel(&call(self.bot()), "web", "finn");
        agree(Step::Create, &[finn.is_ok()]);

        let profile = self.profile(ann).expect("ann was never erased");
        let new = profile["name"] == "Ann New";
        assert!(new || profile["name"] == "ann", "{what}: {profile}");
        let of_ann = |email: &str| self.find(email) == Some(ann);
        agree(
            Step::Patch,
            &[
                new,
                profile["email"] == "new@example.test",
                of_ann("new@example.test"),
                !of_ann("ann@example.test"),
            ],
        );

        let notes = self.notes(cleo);
        let said = |text: &str| notes.iter().any(|note| note.0 == text);
        agree(Step::Append, &["said 0", "said 1", "said 2"].map(said));

        let withdrawn = self.said(dora);
        assert!(
            matches!(
                withdrawn,
                Some(ConsentState::Given | ConsentState::Withdrawn)
            ),
            "{what}: {withdrawn:?}"
        );
        agree(
            Step::Withdraw,
            &[withdrawn == Some(ConsentState::Withdrawn)],
        );

        let blob = self.blob(cleo);
        assert!(
            blob.is_none() || blob == Some(content(7)),
            "{what}: a blob in part"
        );
        agree(Step::Upload, &[blob.is_some()]);
        let blob = self.blob(dora);
        assert!(
            blob.is_none() || blob == Some(content(3)),
            "{what}: a blob in part"
        );
        agree(Step::DeleteBlob, &[blob.is_none()]);

        let session = acknowledged.session.as_deref();
        let known = session.is_some_and(|token| vault.authenticate(token).is_ok());
        assert!(
            known || !acknowledged.was(Step::Session),
            "{what}: the session is not known"
        );

        agree(
            Step::Together,
            &[
                profile["slots"]["together"] == true,
                self.notes(ann).iter().any(|note| note.0 == "together"),
                self.said(ann) == Some(ConsentState::Given),
            ],
        );

        let made = acknowledged.made_key.as_deref();
        let known = made.is_some_and(|key| vault.authenticate(key).is_ok());
        assert!(
            known || !acknowledged.was(Step::MakeKey),
            "{what}: the key is not known"
        );
        let spare = vault.authenticate(&self.base.spare.1);
        agree(Step::RevokeKey, &[spare.is_err()]);

        let policy = vault.policy(&call(&vault.keyholder())).expect("a policy");
        agree(
            Step::Policy,
            &[policy.version == 2, policy.source.contains("nick")],
        );

        // These go over people one by one: each of them whole.
        let mut there = vec![("ann", ann), ("cleo", cleo), ("dora", dora)];
        for (step, name, subject) in [
            (Step::Erase, "ben", ben),
            (Step::EraseAfterSweep, "emil", emil),
        ] {
            let profile = self.profile(subject);
            let erased = matches!(profile, Err(Refusal::Erased { .. }));
            let email = format!("{name}@example.test");
            agree(step, &[erased, self.find(&email) != Some(subject)]);
            if !erased {
                let profile = profile.expect("whole or erased");
                assert_eq!(profile["name"], name, "{what}");
                there.push((name, subject));
            }
        }
        let marked: Vec<_> = there
            .iter()
            .map(|(_, subject)| {
                let notes = self.notes(*subject);
                let of = |source: &str| {
                    notes
                        .iter()
                        .filter(|note| note.1 == source)
                        .collect::<Vec<_>>()
                };
                assert_eq!(of("kept").len(), 2, "{what}: a bystander's notes");
                let changed = of("changed");
                assert_eq!(changed.len(), 1, "{what}: a note that is changed");
                (changed[0].2 == "marked", of("purged").is_empty())
            })
            .collect();
        for (happened, purged) in &marked {
            assert!(
                *happened || !acknowledged.was(Step::Update),
                "{what}: an update is lost"
            );
            assert!(
                *purged || !acknowledged.was(Step::Purge),
                "{what}: purged notes are back"
            );
        }

        let slots = vault.slots(&call(&vault.keyholder())).expect("slots");
        let has = |label: &str| slots.iter().any(|slot| slot.label == label);
        agree(Step::AddSlot, &[has("second")]);
        agree(Step::RemoveSlot, &[!has("to be removed")]);

        let last = self.profile(cleo).expect("cleo was never erased");
        assert_eq!(
            (&last["name"], self.find("cleo@example.test")),
            (&json!("cleo"), Some(cleo))
        );
        agree(Step::Last, &[last["slots"] == "last"]);

        assert!(
            matches!(self.profile(gone), Err(Refusal::Erased { .. })),
            "{what}: back"
        );
        assert_eq!(self.find("gone@example.test"), None, "{what}: back");
        let report = vault.verify_log(&call(self.bot()), &[], &mut |_, _| {});
        let report = report.expect("the log can be read");
        assert!(report.sound(), "{what}: the log: {:?}", report.faults);
    }

    /// Stores, erases and sweeps once more.
    pub(crate) fn go_on(&self, what: &str) {
        let vault = &self.opened.vault;
        let call = call(self.bot());
        let dora = self.person("dora");
        let body = object(json!({"name": "Dora Later"}));
        let written = vault.patch_single(&call, dora, "profile", body, None);
        written.unwrap_or_else(|refusal| panic!("{what}: does not store: {refusal:?}"));
        let erased = vault.erase_subject(&call, self.person("cleo"));
        erased.unwrap_or_else(|refusal| panic!("{what}: does not erase: {refusal:?}"));
        self.opened.clock.advance(13 * HOUR);
        while vault.sweep(Sweep::All).expect("sweeps") {}
    }

    pub(crate) fn check_going_on(&self, what: &str) {
        let dora = self
            .profile(self.person("dora"))
            .expect("dora was never erased");
        assert_eq!(dora["name"], "Dora Later", "{what}");
        let cleo = self.profile(self.person("cleo"));
        assert!(
            matches!(cleo, Err(Refusal::Erased { .. })),
            "{what}: cleo is back"
        );
    }
}

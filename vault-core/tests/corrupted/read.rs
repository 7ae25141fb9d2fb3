//! Opening a vault of the scene, and reading everything in it.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use vault_core::medium::{FileMedium, Medium};
use vault_core::refusal::Refusal;
use vault_core::store::StoreError;
use vault_core::vault::{
    AuditQuery, Call, Desk, Group, ListOptions, LockedVault, Look, Once, OpenError, Order,
    Principal, ReadOptions, SubjectId, UnlockError, UnlockSecret, Vault, VaultPaths,
};

use super::scene::{Scene, object, paper, settings};

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

impl Scene {
    fn secret(&self) -> UnlockSecret {
        UnlockSecret::RecoveryKey(self.recovery.parse().expect("a key"))
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
            | UnlockError::Ledger(_)
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
            let (document, _) = vault.receipt(&Call::new(&dpo), id)?;
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
        let report = vault.verify_log(
            &Call::new(&dpo),
            std::slice::from_ref(&self.checkpoint),
            &mut |_, _| {},
        )?;
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

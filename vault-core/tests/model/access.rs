//! Operations on who may call: sessions, policies, API keys, key slots.

use serde_json::{Map, Value, json};
use vault_core::policy::Period;
use vault_core::refusal::Refusal;
use vault_core::vault::{Call, ReadOptions, SessionInput};

use super::plain::{Key, Person, Session, refused};
use super::play::{Player, same};
use super::policy::Version;
use super::world::{HOUR, MINUTE};

impl Player {
    pub(crate) fn begin(
        &mut self,
        who: usize,
        reads: u8,
        writes: u8,
        minutes: u8,
    ) -> Result<(), String> {
        let (maker, bot) = self.bot()?;
        let call = Call::new(&bot);
        let input = SessionInput {
            purpose: "support".into(),
            fields: vec!["profile.*".into()],
            reads: reads.into(),
            writes: writes.into(),
            expires_in: Some(i64::from(minutes) * 60),
        };
        let got = self
            .world
            .vault
            .begin_session(&call, self.people[who].subject, input);
        let got = self.note(call.id, "sessions.create", got);
        let now = self.world.now();
        let person = &mut self.people[who];
        let wanted = person.there().and_then(|()| match (reads, writes) {
            (0, 0) => refused("invalid"),
            _ => Ok(()),
        });
        if let (Ok(begun), Ok(())) = (&got, &wanted) {
            person.sessions.push(Session {
                id: begun.session,
                token: begun.token.clone(),
                reads,
                writes,
                ends: now + i64::from(minutes) * MINUTE,
                revoked: false,
                maker,
            });
        }
        same("session", got.map(drop), wanted)
    }

    pub(crate) fn use_session(
        &mut self,
        who: usize,
        which: u8,
        value: Option<u8>,
    ) -> Result<(), String> {
        let now = self.world.now();
        let person = &self.people[who];
        if person.sessions.is_empty() {
            return Ok(());
        }
        let index = usize::from(which) % person.sessions.len();
        let session = &person.sessions[index];
        let live = person.erased.is_none()
            && !session.revoked
            && session.ends > now
            && self.keys[session.maker].valid(now);
        let principal = match self.world.vault.authenticate(&session.token) {
            Ok(principal) if live => principal,
            Err(Refusal::Unauthenticated) if !live => return Ok(()),
            other => {
                return Err(format!(
                    "session: live {live}, the vault: {:?}",
                    other.map(drop)
                ));
            }
        };
        let call = Call::new(&principal);
        let subject = person.subject;
        if let Some(number) = value {
            let body = Map::from_iter([("name".to_owned(), super::plain::value("name", number))]);
            let got = self
                .world
                .vault
                .patch_single(&call, subject, "profile", body, None);
            let got = self.note(call.id, "records.patch", got);
            let left = &mut self.people[who].sessions[index].writes;
            let wanted = if *left == 0 {
                refused("role_denied")
            } else {
                Ok(())
            };
            if let (Ok(written), Ok(())) = (&got, &wanted) {
                *left -= 1;
                self.patched(who, &[(0, Some(number))], None, written.etag.clone());
            }
            return same("write of a session", got.map(drop), wanted);
        }
        let options = ReadOptions::default();
        let got = self
            .world
            .vault
            .read_single(&call, subject, "profile", &options, |view, _| {
                view.map_or(json!(null), |view| Value::Object(view.fields.clone()))
            });
        let got = self.note(call.id, "records.read", got);
        let person = &mut self.people[who];
        let wanted = person
            .may_read(self.version, "profile", "support", None)
            .and_then(|seen| {
                let left = &mut person.sessions[index].reads;
                *left = left.checked_sub(1).ok_or("role_denied")?;
                Ok(person
                    .profile
                    .as_ref()
                    .map_or(json!(null), |r| Person::shown(r, "support", &seen)))
            });
        same("read of a session", got, wanted)
    }

    pub(crate) fn end_session(&mut self, who: usize, which: u8) -> Result<(), String> {
        let now = self.world.now();
        let (_, bot) = self.bot()?;
        let person = &mut self.people[who];
        let index = usize::from(which) % person.sessions.len().max(1);
        let subject = person.subject;
        let session = person.sessions.get_mut(index);
        let Some(session) = session.filter(|session| session.ends > now && !session.revoked) else {
            return Ok(());
        };
        session.revoked = true;
        let call = Call::new(&bot);
        let got = self.world.vault.end_session(&call, subject, session.id);
        let got = self.note(call.id, "sessions.end", got);
        same("end of a session", got, self.people[who].there())
    }

    pub(crate) fn apply(&mut self, version: Version) -> Result<(), String> {
        let keyholder = self.world.vault.keyholder();
        let call = Call::new(&keyholder);
        let got = self.world.vault.apply_policy(&call, &version.text(), false);
        let got = self.note(call.id, "policy.apply", got);
        // A purpose that comes back is another one: what was collected for it before is not for it now.
        if !self.version.knows("extra") && version.knows("extra") {
            self.people.iter_mut().for_each(Person::lose_extra);
        }
        self.version = version;
        same("policy", got.map(drop), Ok(()))
    }

    pub(crate) fn make_key(&mut self, hours: Option<u8>) -> Result<(), String> {
        let ends = hours.map(|hours| self.world.now() + i64::from(hours) * HOUR);
        let keyholder = self.world.vault.keyholder();
        let call = Call::new(&keyholder);
        let end = ends.map(|end| jiff::Timestamp::from_millisecond(end).expect("in range"));
        let got = self.world.vault.create_token(&call, "bot", end);
        let (view, secret) = self.note(call.id, "api_keys.create", got)?;
        self.keys.push(Key {
            id: view.token,
            secret,
            ends,
            revoked: false,
            replaced: false,
        });
        Ok(())
    }

    pub(crate) fn revoke_key(&mut self, which: u8) -> Result<(), String> {
        let index = usize::from(which) % self.keys.len();
        let keyholder = self.world.vault.keyholder();
        let call = Call::new(&keyholder);
        let got = self.world.vault.revoke_token(&call, self.keys[index].id);
        self.keys[index].revoked = true;
        let got = self.note(call.id, "api_keys.revoke", got);
        same("revocation", got, Ok(()))?;
        self.try_keys()
    }

    pub(crate) fn rotate_key(&mut self, which: u8, overlap: bool) -> Result<(), String> {
        let now = self.world.now();
        let index = usize::from(which) % self.keys.len();
        let keyholder = self.world.vault.keyholder();
        let call = Call::new(&keyholder);
        let period = Period::parse(if overlap { "PT1H" } else { "PT0S" }).expect("a period");
        // The model's keys with an end were made to last as long again.
        let got = self
            .world
            .vault
            .rotate_token(&call, self.keys[index].id, &period);
        let got = self.note(call.id, "api_keys.rotate", got);
        let key = &mut self.keys[index];
        if !key.valid(now) || key.replaced {
            return same("rotation", got.map(drop), refused("conflict"));
        }
        let rotated = got?;
        let end = now + if overlap { HOUR } else { 0 };
        key.ends = Some(key.ends.map_or(end, |own| own.min(end)));
        key.replaced = true;
        let ends = rotated.key.expires_at.map(jiff::Timestamp::as_millisecond);
        self.keys.push(Key {
            id: rotated.key.token,
            secret: rotated.secret,
            ends,
            revoked: false,
            replaced: false,
        });
        self.try_keys()
    }

    pub(crate) fn try_keys(&mut self) -> Result<(), String> {
        let now = self.world.now();
        for key in &self.keys {
            let got = self.world.vault.authenticate(&key.secret).is_ok();
            same("whether an API key works", got, key.valid(now))?;
        }
        Ok(())
    }

    pub(crate) fn add_slot(&mut self) -> Result<(), String> {
        if self.world.slots.len() > 5 {
            return Ok(());
        }
        let keyholder = self.world.vault.keyholder();
        let call = Call::new(&keyholder);
        let got = self.world.vault.add_recovery_slot(&call, "another");
        let (view, key) = self.note(call.id, "key_slots.add", got)?;
        self.world.slots.push((view.number, key.to_text()));
        Ok(())
    }

    pub(crate) fn remove_slot(&mut self, which: u8) -> Result<(), String> {
        if self.world.slots.len() < 2 {
            return Ok(());
        }
        let index = usize::from(which) % self.world.slots.len();
        let (number, key) = self.world.slots.remove(index);
        same("whether a slot opens", self.world.opens(&key), Ok(true))?;
        let keyholder = self.world.vault.keyholder();
        let call = Call::new(&keyholder);
        let got = self.world.vault.remove_slot(&call, number);
        let got = self.note(call.id, "key_slots.remove", got);
        // What the answer says of the slots that are left is `vault-cli/tests/keys.rs`'s.
        same("removal of a slot", got.map(drop), Ok(()))?;
        same(
            "whether a removed slot opens",
            self.world.opens(&key),
            Ok(false),
        )?;
        self.keep_checkpoint()?;
        self.guarded.clear();
        self.people
            .iter_mut()
            .for_each(|person| person.asks = (0, 0));
        self.world.refuses(&key)?;
        self.removed_slots.push(key);
        Ok(())
    }
}

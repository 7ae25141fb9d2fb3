//! Plays a history: each operation to the vault and to the model, and their answers side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value, json};
use vault_core::id::CallId;
use vault_core::policy::Period;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    AuditQuery, Call, ConsentInput, ConsentState, Principal, ReadOptions, SessionInput, Sweep,
};

use super::ops::Op;
use super::plain::{Answered, Key, Person, Session, refused, value};
use super::policy::Version;
use super::world::{HOUR, MINUTE, World};

/// How long the guard against slow bots stands.
const GUARD: i64 = 15 * MINUTE;
const ASKS_PER_DAY: u32 = 50;
const DAY: i64 = 24 * HOUR;

/// What the control does wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What was appended is deleted behind the model's back.
    LosesAWrite,
    /// An erasure is acknowledged and does not happen.
    KeepsTheErased,
    /// An entry stands under another call.
    LeavesNoEntry,
}

/// Where a history went wrong.
pub(crate) struct Failure {
    pub(crate) step: usize,
    pub(crate) what: String,
}

/// What happened in a history that went well.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) granted: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    people: usize,
    erased: usize,
    openings: u32,
    entries: u64,
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls granted, {} refused {:?}; {} people, {} erased, {} openings, {} entries",
            self.granted,
            self.refused.values().sum::<u64>(),
            self.refused,
            self.people,
            self.erased,
            self.openings,
            self.entries,
        )
    }
}

pub(crate) struct Player {
    pub(crate) world: World,
    pub(crate) people: Vec<Person>,
    pub(crate) version: Version,
    pub(crate) keys: Vec<Key>,
    pub(crate) dpo: Principal,
    /// Users whom the guard refuses, and until when.
    pub(crate) guarded: BTreeMap<u8, i64>,
    /// Entries that there must be: call, action, outcome.
    expected: Vec<(String, &'static str, String)>,
    checkpoints: Vec<String>,
    removed_slots: Vec<String>,
    pub(crate) fault: Option<Fault>,
    pub(crate) played: Played,
}

/// Plays `ops` from an empty vault; at the end everything is looked at.
pub(crate) fn play(ops: &[Op], fault: Option<Fault>) -> Result<Played, Failure> {
    let mut player = Player::new(fault);
    for (step, op) in ops.iter().enumerate() {
        let done = catch_unwind(AssertUnwindSafe(|| player.step(op)));
        let done = done.unwrap_or_else(|_| Err("a panic".into()));
        done.map_err(|what| Failure {
            step,
            what: format!("{op:?}: {what}"),
        })?;
    }
    let ended = player.compare().and_then(|()| player.verify());
    ended.map_err(|what| Failure {
        step: ops.len(),
        what,
    })?;
    Ok(player.played)
}

/// Says what is not the same.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    match got == wanted {
        true => Ok(()),
        false => Err(format!(
            "{what}: the vault says {got:?}, the model {wanted:?}"
        )),
    }
}

impl Player {
    fn new(fault: Option<Fault>) -> Self {
        let world = World::new();
        let dpo = world.role("dpo").0;
        let mut player = Self {
            world,
            people: Vec::new(),
            version: Version::Full,
            keys: Vec::new(),
            dpo,
            guarded: BTreeMap::new(),
            expected: Vec::new(),
            checkpoints: Vec::new(),
            removed_slots: Vec::new(),
            fault,
            played: Played::default(),
        };
        player.make_key(None).expect("the keyholder makes keys");
        player
    }

    /// The present bot: the newest key that works.
    pub(crate) fn bot(&mut self) -> Result<(usize, Principal), String> {
        let now = self.world.now();
        if !self.keys.iter().any(|key| key.valid(now)) {
            self.make_key(None)?;
        }
        let index = self
            .keys
            .iter()
            .rposition(|key| key.valid(now))
            .expect("just made");
        let principal = self.world.vault.authenticate(&self.keys[index].secret);
        Ok((
            index,
            principal.map_err(|refusal| format!("the bot's key: {refusal}"))?,
        ))
    }

    /// The answer as the model says it, and what evidence it must have left.
    pub(crate) fn note<T>(
        &mut self,
        call: CallId,
        action: &'static str,
        got: Result<T, Refusal>,
    ) -> Answered<T> {
        let outcome = got.as_ref().err().map_or("ok", Refusal::code).to_owned();
        match &got {
            Ok(_) => self.played.granted += 1,
            Err(_) => *self.played.refused.entry(outcome.clone()).or_default() += 1,
        }
        let call = match self.fault {
            Some(Fault::LeavesNoEntry) if action == "consents.put" => "call_of_nobody".into(),
            _ => call.to_string(),
        };
        self.expected.push((call, action, outcome.clone()));
        got.map_err(|_| outcome)
    }

    /// A person by number: mostly one of those who are there.
    pub(crate) fn who(&self, number: u8) -> Option<usize> {
        let pick = |erased: bool| {
            let of = |index: &usize| self.people[*index].erased.is_some() == erased;
            let found: Vec<usize> = (0..self.people.len()).filter(of).collect();
            (!found.is_empty()).then(|| found[usize::from(number) % found.len()])
        };
        match number {
            0..225 => pick(false).or_else(|| pick(true)),
            _ => pick(true).or_else(|| pick(false)),
        }
    }

    fn step(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Create { user } => self.create(*user),
            Op::FindUser { user } => self.find_user(*user),
            Op::FindField { field, value } => self.find_field(*field, *value),
            Op::View { who } => self.with(*who, Self::view),
            Op::Ask { who } => self.with(*who, Self::ask),
            Op::Consent { who, given } => self.with(*who, |p, who| p.consent(who, *given)),
            Op::Withdraw { who } => self.with(*who, Self::withdraw),
            Op::Begin {
                who,
                reads,
                writes,
                minutes,
            } => self.with(*who, |p, who| p.begin(who, *reads, *writes, *minutes)),
            Op::UseSession { who, which, value } => {
                self.with(*who, |p, who| p.use_session(who, *which, *value))
            }
            Op::EndSession { who, which } => self.with(*who, |p, who| p.end_session(who, *which)),
            Op::Apply(version) => self.apply(*version),
            Op::MakeKey { hours } => self.make_key(*hours),
            Op::RevokeKey { which } => self.revoke_key(*which),
            Op::RotateKey { which, overlap } => self.rotate_key(*which, *overlap),
            Op::TryKeys => self.try_keys(),
            Op::Wait { minutes } => {
                self.world.wait(i64::from(*minutes) * MINUTE);
                let now = self.world.now();
                self.people.iter_mut().for_each(|person| person.age(now));
                Ok(())
            }
            Op::Sweep { all } => self.sweep(*all),
            Op::Rebuild => self
                .world
                .vault
                .rebuild_index()
                .map_err(|error| error.to_string()),
            Op::Erase { who } => self.with(*who, Self::erase),
            Op::Reopen | Op::Crash => {
                self.keep_checkpoint()?;
                match op {
                    Op::Crash => self.world.crash()?,
                    _ => self.world.reopen()?,
                }
                // What is in memory alone.
                self.guarded.clear();
                self.people
                    .iter_mut()
                    .for_each(|person| person.asks = (0, 0));
                self.compare()
            }
            Op::AddSlot => self.add_slot(),
            Op::RemoveSlot { which } => self.remove_slot(*which),
            Op::Compare => self.compare(),
            _ => self.step_records(op),
        }
    }

    pub(crate) fn with(
        &mut self,
        number: u8,
        f: impl FnOnce(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        match self.who(number) {
            Some(who) => f(self, who),
            None => Ok(()),
        }
    }

    pub(crate) fn living(&self, user: u8) -> Option<usize> {
        let is = |person: &Person| person.user == user && person.erased.is_none();
        self.people.iter().position(is)
    }

    fn create(&mut self, user: u8) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let got = self
            .world
            .vault
            .create_subject(&call, "web", &format!("user {user}"));
        let got = self.note(call.id, "subjects.create", got);
        let guarded = self
            .guarded
            .get(&user)
            .is_some_and(|end| *end > self.world.now());
        match self.living(user) {
            Some(who) => same("create", got, Ok((self.people[who].subject, false))),
            None if guarded => same("create", got.map(drop), refused("erased")),
            None => {
                let (subject, created) = got.map_err(|code| format!("create: {code}"))?;
                let known = self.people.iter().any(|person| person.subject == subject);
                same("create", (created, known), (true, false))?;
                self.people.push(Person::new(subject, user));
                Ok(())
            }
        }
    }

    pub(crate) fn find_user(&mut self, user: u8) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let got = self
            .world
            .vault
            .lookup_channel(&call, "web", &format!("user {user}"));
        let got = self.note(call.id, "subjects.lookup", got);
        let guarded = self
            .guarded
            .get(&user)
            .is_some_and(|end| *end > self.world.now());
        let wanted = match self.living(user) {
            Some(who) => Ok(self.people[who].subject),
            None => refused(if guarded { "erased" } else { "not_found" }),
        };
        same("look-up of a user", got, wanted)
    }

    pub(crate) fn find_field(&mut self, field: u8, number: u8) -> Result<(), String> {
        let fields = [
            ("profile", "email"),
            ("profile", "phone"),
            ("notes", "mail"),
        ];
        let (collection, field) = fields[usize::from(field) % 3];
        let stored = value(field, number % 250);
        // Another spelling of the same.
        let spelt = json!(stored.as_str().expect("a text").to_uppercase());
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let got = self
            .world
            .vault
            .lookup_field(&call, &format!("{collection}.{field}"), &spelt);
        let got = self.note(call.id, "subjects.lookup", got);
        let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
        for person in &self.people {
            let (there, ended) = person.holds(collection, field, &stored);
            if there {
                must.insert(person.subject);
            }
            if there || ended {
                may.insert(person.subject);
            }
        }
        let fits = match &got {
            Ok(found) => may.contains(found) && must.iter().all(|one| one == found),
            Err(code) if code == "not_found" => must.is_empty(),
            Err(code) if code == "ambiguous" => may.len() > 1,
            Err(_) => false,
        };
        match fits {
            true => Ok(()),
            false => Err(format!(
                "look-up of {collection}.{field}: {got:?}, the model has {must:?}, perhaps {may:?}"
            )),
        }
    }

    pub(crate) fn view(&mut self, who: usize) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let got = self
            .world
            .vault
            .view_subject(&call, self.people[who].subject);
        let got = self.note(call.id, "subjects.view", got);
        let person = &self.people[who];
        let view = match (got, person.there()) {
            (Ok(view), Ok(())) => view,
            (got, wanted) => return same("view", got.map(drop), wanted),
        };
        for counted in view.collections {
            let name = counted.collection.as_str();
            if name == "files" {
                continue;
            }
            let least = person.records(name).len() as u64;
            let ended = person.ended.iter().filter(|(of, _)| *of == name).count() as u64;
            if !(least..=least + ended).contains(&counted.records) {
                return Err(format!(
                    "{name}: {} records, the model has {least}, and {ended} that ended",
                    counted.records
                ));
            }
        }
        Ok(())
    }

    fn ask(&mut self, who: usize) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let subject = self.people[who].subject;
        let got = self.world.vault.ask(
            &call,
            subject,
            "profile.birth",
            &json!({"age_at_least": 18}),
        );
        let got = self.note(call.id, "subjects.ask", got);
        let today = self.world.now().div_euclid(DAY);
        let person = &mut self.people[who];
        let wanted = person.there().and_then(|()| {
            let asked = if person.asks.0 == today {
                person.asks.1
            } else {
                0
            };
            person.asks = (today, asked + 1);
            if asked >= ASKS_PER_DAY {
                return refused("rate_limited");
            }
            let Some(profile) = &person.profile else {
                return Ok(false);
            };
            match profile.serves("support") {
                true => Ok(profile.fields.get("birth") == Some(&json!("1990-02-28"))),
                false => refused("purpose_denied"),
            }
        });
        same("ask", got, wanted)
    }

    fn consent(&mut self, who: usize, given: bool) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let input = ConsentInput {
            given,
            notice: json!("n1"),
            choice: Some("word".into()),
            message_id: None,
        };
        let got = self
            .world
            .vault
            .put_consent(&call, self.people[who].subject, "news", input);
        let got = self.note(call.id, "consents.put", got);
        let person = &mut self.people[who];
        let state = if given {
            ConsentState::Given
        } else {
            ConsentState::Refused
        };
        let wanted = person.there().map(|()| state);
        person.said.extend(wanted.as_ref().ok());
        same("consent", got.map(|event| event.state), wanted)
    }

    fn withdraw(&mut self, who: usize) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let got = self
            .world
            .vault
            .withdraw_consent(&call, self.people[who].subject, "news");
        let got = self.note(call.id, "consents.withdraw", got);
        let person = &mut self.people[who];
        let wanted = person.there().and_then(|()| match person.said.is_empty() {
            true => refused("not_found"),
            false => Ok(ConsentState::Withdrawn),
        });
        person.said.extend(wanted.as_ref().ok());
        same("withdrawal", got.map(|event| event.state), wanted)
    }

    fn begin(&mut self, who: usize, reads: u8, writes: u8, minutes: u8) -> Result<(), String> {
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

    fn use_session(&mut self, who: usize, which: u8, value: Option<u8>) -> Result<(), String> {
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

    fn end_session(&mut self, who: usize, which: u8) -> Result<(), String> {
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

    fn apply(&mut self, version: Version) -> Result<(), String> {
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

    fn make_key(&mut self, hours: Option<u8>) -> Result<(), String> {
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

    fn revoke_key(&mut self, which: u8) -> Result<(), String> {
        let index = usize::from(which) % self.keys.len();
        let keyholder = self.world.vault.keyholder();
        let call = Call::new(&keyholder);
        let got = self.world.vault.revoke_token(&call, self.keys[index].id);
        self.keys[index].revoked = true;
        let got = self.note(call.id, "api_keys.revoke", got);
        same("revocation", got, Ok(()))?;
        self.try_keys()
    }

    fn rotate_key(&mut self, which: u8, overlap: bool) -> Result<(), String> {
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

    fn sweep(&mut self, all: bool) -> Result<(), String> {
        let which = if all { Sweep::All } else { Sweep::Due };
        while self
            .world
            .vault
            .sweep(which)
            .map_err(|error| error.to_string())?
        {}
        // What the plain column of hours says has ended is gone, and nothing may find it.
        let now = self.world.now();
        for person in &mut self.people {
            person.ended.retain(|(name, record)| {
                let end = record.end(name).expect("it has ended");
                end.div_euclid(HOUR) + 1 > now.div_euclid(HOUR)
            });
        }
        Ok(())
    }

    fn erase(&mut self, who: usize) -> Result<(), String> {
        let dpo = self.dpo.clone();
        let call = Call::new(&dpo);
        let (now, person) = (self.world.now(), &self.people[who]);
        let (subject, user) = (person.subject, person.user);
        if self.fault == Some(Fault::KeepsTheErased) && person.erased.is_none() {
            self.people[who].erased = Some("rcp_none".into());
            return Ok(());
        }
        let got = self.world.vault.erase_subject(&call, subject);
        let got = self.note(call.id, "subjects.erase", got);
        let person = &mut self.people[who];
        let wanted = person.there();
        if let (Ok(receipt), Ok(())) = (&got, &wanted) {
            let id = receipt["body"]["receipt"].as_str().unwrap_or_default();
            *person = Person {
                erased: Some(id.to_owned()),
                sessions: std::mem::take(&mut person.sessions),
                ..Person::new(subject, user)
            };
            self.guarded
                .insert(user, (now.div_euclid(1000) * 1000) + GUARD);
        }
        same("erasure", got.map(drop), wanted)?;
        self.late(who)
    }

    fn add_slot(&mut self) -> Result<(), String> {
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

    fn remove_slot(&mut self, which: u8) -> Result<(), String> {
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
        same("removal of a slot", got, Ok(()))?;
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

    /// A checkpoint as somebody else would keep it.
    pub(crate) fn keep_checkpoint(&mut self) -> Result<(), String> {
        let dpo = self.dpo.clone();
        let note = self.world.vault.log_checkpoint(&Call::new(&dpo));
        self.checkpoints
            .push(note.map_err(|refusal| refusal.to_string())?);
        Ok(())
    }

    /// The log is whole, goes on from every checkpoint that was kept, and has an entry of every call.
    fn verify(&mut self) -> Result<(), String> {
        // Closing takes what the journal holds into the log.
        self.world.reopen()?;
        let (vault, dpo) = (self.world.vault.clone(), self.dpo.clone());
        let report = vault.verify_log(&Call::new(&dpo), &self.checkpoints, &mut |_, _| {});
        let report = report.map_err(|refusal| refusal.to_string())?;
        if !report.sound() {
            return Err(format!("the log: {:?}", report.faults));
        }
        let mut left: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut query = AuditQuery {
            last: 1_000,
            ..AuditQuery::default()
        };
        loop {
            let page = vault
                .audit(&Call::new(&dpo), &query)
                .map_err(|r| r.to_string())?;
            for entry in page.entries {
                let part = |name: &str| entry.entry[name].as_str().unwrap_or_default().to_owned();
                left.entry(part("request"))
                    .or_default()
                    .push((part("action"), part("outcome")));
            }
            match page.next {
                Some(next) => query.before = Some(next),
                None => break,
            }
        }
        for (call, action, outcome) in &self.expected {
            let there = left.get(call).into_iter().flatten();
            if !there.clone().any(|(a, o)| a == action && o == outcome) {
                return Err(format!(
                    "no entry `{action}` {outcome} of {call}: {:?}",
                    left.get(call)
                ));
            }
        }
        for key in &self.removed_slots {
            same(
                "whether a removed slot opens",
                self.world.opens(key),
                Ok(false),
            )?;
        }
        for receipt in self
            .people
            .iter()
            .filter_map(|person| person.erased.as_ref())
        {
            let id = receipt.parse().map_err(|_| "a receipt's id")?;
            vault
                .receipt(&Call::new(&dpo), id)
                .map_err(|r| format!("a receipt: {r}"))?;
        }
        self.played.people = self.people.len();
        self.played.erased = self.people.iter().filter(|p| p.erased.is_some()).count();
        self.played.openings = self.world.opened;
        self.played.entries = report.entries;
        Ok(())
    }
}

//! Operations on people as such: made, found, asked about, heard, swept, erased.

use std::collections::BTreeSet;

use serde_json::json;
use vault_core::vault::{Call, ConsentInput, ConsentState, Sweep};

use super::plain::{Person, refused, value};
use super::play::{Fault, Player, same};
use super::world::{HOUR, MINUTE};

/// How long the guard against slow bots stands.
const GUARD: i64 = 15 * MINUTE;
const ASKS_PER_DAY: u32 = 50;
const DAY: i64 = 24 * HOUR;

impl Player {
    pub(crate) fn create(&mut self, user: u8) -> Result<(), String> {
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

    pub(crate) fn ask(&mut self, who: usize) -> Result<(), String> {
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

    pub(crate) fn consent(&mut self, who: usize, given: bool) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let input = ConsentInput {
            given,
            notice: json!("n1"),
            choice: Some("word".into()),
            message_id: None,
            ..ConsentInput::default()
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

    pub(crate) fn withdraw(&mut self, who: usize) -> Result<(), String> {
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

    pub(crate) fn sweep(&mut self, all: bool) -> Result<(), String> {
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

    pub(crate) fn erase(&mut self, who: usize) -> Result<(), String> {
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
}

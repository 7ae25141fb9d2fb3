//! Everything that can be seen, compared.

use std::collections::BTreeSet;

use serde_json::json;
use vault_core::refusal::Refusal;
use vault_core::vault::Call;

use super::plain::{PURPOSES, value};
use super::play::{Player, same};

impl Player {
    /// Compares the whole visible state.
    pub(crate) fn compare(&mut self) -> Result<(), String> {
        for who in 0..self.people.len() {
            let tell = |what: String| format!("of person {who}: {what}");
            self.compare_person(who).map_err(tell)?;
        }
        for user in 0..24 {
            self.find_user(user)?;
        }
        for (field, value) in self.values() {
            self.find_field(field, value)?;
        }
        self.try_keys()?;
        let living = self
            .people
            .iter()
            .filter(|person| person.erased.is_none())
            .count() as u64;
        let erased = self.people.len() as u64 - living;
        let figures = self.world.vault.figures();
        same(
            "people and erased",
            (figures.people, figures.erased),
            (living, erased),
        )
    }

    /// Every look-up value that the model knows of, and a few that nobody has.
    pub(crate) fn values(&self) -> BTreeSet<(u8, u8)> {
        let emails = (0..10).flat_map(|value| [(0, value), (2, value)]);
        emails.chain((0..6).map(|value| (1, value))).collect()
    }

    fn compare_person(&mut self, who: usize) -> Result<(), String> {
        for purpose in PURPOSES {
            self.read(who, purpose, None)?;
            self.list(who, "notes", purpose, false, 3)?;
        }
        self.list(who, "messages", "support", true, 3)?;
        self.view(who)?;
        self.get_blob(who, 0, 1 << 20)?;
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot);
        let got = self
            .world
            .vault
            .list_consents(&call, self.people[who].subject);
        let got = self.note(call.id, "consents.read", got);
        let person = &self.people[who];
        let got = got.map(|views| {
            let events = views.into_iter().flat_map(|view| view.history);
            events.map(|event| event.state).collect::<Vec<_>>()
        });
        same(
            "consents",
            got,
            person.there().map(|()| person.said.clone()),
        )?;
        self.late(who)
    }

    /// Late calls to a person who was erased: each is told so, with the receipt.
    pub(crate) fn late(&mut self, who: usize) -> Result<(), String> {
        let person = &self.people[who];
        let (Some(receipt), subject) = (person.erased.clone(), person.subject) else {
            return Ok(());
        };
        let (_, bot) = self.bot()?;
        let vault = self.world.vault.clone();
        let call = || Call::new(&bot).with_purpose("support");
        let body = || {
            [("name".to_owned(), value("name", 1))]
                .into_iter()
                .collect()
        };
        let note = || [("text".to_owned(), json!("late"))].into_iter().collect();
        let answers = [
            vault
                .patch_single(&call(), subject, "profile", body(), None)
                .map(drop),
            vault
                .append(&call(), subject, "notes", vec![note()])
                .map(drop),
            vault.withdraw_consent(&call(), subject, "news").map(drop),
            vault.view_subject(&call(), subject).map(drop),
        ];
        for answer in answers {
            match answer {
                Err(Refusal::Erased { receipt: Some(id) }) => {
                    same(
                        "the receipt that a late call is told",
                        id.to_string(),
                        receipt.clone(),
                    )?;
                }
                other => return Err(format!("a late call: {other:?}")),
            }
        }
        let tokens = person_tokens(self, who);
        for token in tokens {
            same(
                "whether a session outlives its person",
                vault.authenticate(&token).is_ok(),
                false,
            )?;
        }
        Ok(())
    }
}

fn person_tokens(player: &Player, who: usize) -> Vec<String> {
    let sessions = player.people[who].sessions.iter();
    sessions.map(|session| session.token.clone()).collect()
}

//! What is said where some of it is erased: what there is to choose from, what goes, what stays and why.

use std::collections::BTreeSet;

use super::shape::capital;
use super::tell::Teller;
use super::words::fill;
use crate::limits::DIALOGUE_LABEL_CHARACTERS_MAX;
use crate::record;
use crate::refusal::Refusal;
use crate::standing;
use crate::talk::{At, FieldId, Parts, Question};

impl Teller<'_> {
    /// What is chosen so far.
    fn chosen(&self) -> Parts {
        match self.talk.at {
            At::Asking(Question::Parts(chosen) | Question::ConfirmParts(chosen)) => chosen,
            _ => Parts::default(),
        }
    }

    /// What people call what is in a collection: the data that there are; with its name where another one would be
    /// called the same.
    pub(super) fn part_label(&self, collection: u16) -> Result<String, Refusal> {
        let (fields, _) = self.held()?;
        let name = |wanted: u16| {
            let data = self.data_of(&[wanted], &|id| fields.contains(&id));
            let mut name: String = data.chars().take(DIALOGUE_LABEL_CHARACTERS_MAX).collect();
            if name.len() < data.len() {
                name.push('…');
            }
            capital(&name)
        };
        let own = name(collection);
        let mut others = self.policy.collections().iter();
        let twice = others.any(|other| other.id != collection && name(other.id) == own);
        let known = self.policy.collection_by_id(collection);
        Ok(match known.filter(|_| twice || own.is_empty()) {
            Some(known) if own.is_empty() => known.name.clone(),
            Some(known) => format!("{own} ({})", known.name),
            None => own,
        })
    }

    /// The same of several.
    pub(super) fn part_names(&self, collections: &[u16]) -> Result<Vec<String>, Refusal> {
        let names = collections.iter();
        names
            .map(|collection| self.part_label(*collection))
            .collect()
    }

    /// One line for each, with how many there are of a list.
    fn part_lines(&self, collections: &[u16]) -> Result<Vec<String>, Refusal> {
        let Some(person) = self.person else {
            return Ok(Vec::new());
        };
        let mut lines = Vec::new();
        for (collection, name) in collections.iter().zip(self.part_names(collections)?) {
            let count = record::count(self.view, person, *collection)?;
            lines.push(fill(
                self.words().count_line,
                &[("data", &name), ("count", &count.to_string())],
            ));
        }
        Ok(lines)
    }

    /// Which of it?
    pub(super) fn parts_which(&self) -> Result<String, Refusal> {
        let words = self.words();
        let chosen: Vec<u16> = self.chosen().all().collect();
        if chosen.is_empty() {
            return Ok(words.parts_which.to_owned());
        }
        let mut lines = vec![words.erase_held.to_owned()];
        lines.extend(self.part_lines(&chosen)?);
        lines.push(words.parts_more.to_owned());
        Ok(lines.join("\n"))
    }

    /// What would go, and what would stay.
    pub(super) fn parts_consequences(&self) -> Result<String, Refusal> {
        let chosen = self.chosen();
        let all: Vec<u16> = chosen.all().collect();
        let mut lines = vec![self.words().erase_held.to_owned()];
        lines.extend(self.part_lines(&all)?);
        let (fields, _) = self.held()?;
        let stays = fields.iter().copied();
        let stays = stays.filter(|(one, _)| !chosen.has(*one));
        self.stays(&stays.collect(), &mut lines)?;
        Ok(lines.join("\n"))
    }

    /// What stays, and why: for what it is used and how long, or which law keeps it.
    fn stays(&self, fields: &BTreeSet<FieldId>, lines: &mut Vec<String>) -> Result<(), Refusal> {
        let words = self.words();
        let hold = match self.person {
            Some(person) => standing::hold(self.view, person)?,
            None => None,
        };
        let by_law = |id: &FieldId| hold.as_ref().is_some_and(|hold| hold.covers(id.0));
        let free = fields.iter().copied().filter(|id| !by_law(id)).collect();
        let used = self.held_lines(&free);
        lines.push(match used.is_empty() {
            true => words.parts_stays_none.to_owned(),
            false => words.parts_stays.to_owned(),
        });
        lines.extend(used);
        lines.extend(self.kept_by_law(fields)?);
        Ok(())
    }

    /// That it is erased: what, what stays and why, backups, who is told, the receipt, and where to complain.
    pub(super) fn parts_erased(&self) -> Result<String, Refusal> {
        let words = self.words();
        let mut lines = vec![words.parts_erased.to_owned()];
        let parts = self.outcome.parts.iter();
        lines.extend(parts.map(|part| format!("- {part}")));
        let (fields, _) = self.held()?;
        self.stays(fields, &mut lines)?;
        self.evidence(&mut lines);
        lines.push(self.complain());
        Ok(lines.join("\n"))
    }
}

//! What a person is told of their own: what is held and why, who received it, what they chose and asked for.

use std::collections::BTreeSet;

use super::super::call::{Noted, ended};
use super::super::requests::spoken;
use super::facts;
use super::shape::{capital, cut, of, shown};
use super::tell::Teller;
use super::words::fill;
use crate::consent;
use crate::deadline;
use crate::decision;
use crate::disclosure;
use crate::id::RecordId;
use crate::policy::{CollectionKind, LawfulBasis};
use crate::record::{self, Ended, Stored};
use crate::refusal::Refusal;
use crate::request::stored::RequestEvent;
use crate::request::{RequestKind, RequestState};
use crate::standing::{self, ObjectionState, Standing};
use crate::talk::FieldId;

/// Lines of one answer: more nobody reads in a chat, and all of it is in the copy.
const LINES_MAX: usize = 60;

/// The fields that somebody has a value in, and how long each of their lists is.
pub(super) type Held = (BTreeSet<FieldId>, Vec<(u16, u64)>);

impl Teller<'_> {
    /// Everybody who received a field that is wanted.
    pub(super) fn receivers(
        &self,
        wanted: &dyn Fn(FieldId) -> bool,
    ) -> Result<Vec<String>, Refusal> {
        let Some(person) = self.person else {
            return Ok(Vec::new());
        };
        let lines = disclosure::lines(self.view, person)?;
        let names: BTreeSet<String> = lines
            .iter()
            .filter(|(_, line)| line.gave(wanted))
            .map(|(_, line)| self.recipient(&line.recipient))
            .collect();
        Ok(names.into_iter().collect())
    }

    /// The fields that the person has a value in; of a list all of its fields. And how long each list is.
    pub(super) fn held(&self) -> Result<&Held, Refusal> {
        if let Some(held) = self.held.get() {
            return Ok(held);
        }
        let held = self.looked_at()?;
        Ok(self.held.get_or_init(|| held))
    }

    /// The same, looked at now.
    fn looked_at(&self) -> Result<Held, Refusal> {
        let (mut fields, mut counts) = (BTreeSet::new(), Vec::new());
        let Some(person) = self.person else {
            return Ok((fields, counts));
        };
        for collection in self.policy.collections() {
            let all = collection
                .fields
                .iter()
                .map(|field| (collection.id, field.id));
            match collection.kind {
                CollectionKind::Single => {
                    let stored =
                        Stored::load(self.view, person, collection, RecordId::SINGLE, Ended::In)?;
                    let there = |id: &FieldId| stored.as_ref().is_some_and(|one| one.holds(id.1));
                    fields.extend(all.filter(there));
                }
                CollectionKind::Many => {
                    let count = record::count(self.view, person, collection.id)?;
                    if count > 0 {
                        fields.extend(all);
                        counts.push((collection.id, count));
                    }
                }
            }
        }
        Ok((fields, counts))
    }

    pub(super) fn counts(&self, counts: &[(u16, u64)], lines: &mut Vec<String>) {
        for (collection, count) in counts {
            let data = capital(&self.data_of(&[*collection], &|_| true));
            let line = self.words().count_line;
            lines.push(fill(
                line,
                &[("data", &data), ("count", &count.to_string())],
            ));
        }
    }

    /// What these fields are for, and how long they are kept.
    pub(super) fn held_lines(&self, fields: &BTreeSet<FieldId>) -> Vec<String> {
        let mut lines = Vec::new();
        for stated in self.purposes() {
            let purpose = self.policy.purpose(&stated.name).map(|purpose| purpose.id);
            let used = |id: FieldId| {
                let field = facts::field(self.policy, id).map(|(_, field)| field);
                let serves = field
                    .zip(purpose)
                    .is_some_and(|(field, purpose)| field.purposes.contains(&purpose));
                serves && fields.contains(&id)
            };
            let data = self.data_of(&[], &used);
            if !data.is_empty() {
                lines.push(fill(
                    self.words().held_line,
                    &[
                        ("data", &capital(&data)),
                        ("purpose", &stated.title),
                        ("retention", &stated.retention_words),
                    ],
                ));
            }
        }
        lines
    }

    /// Categories, purposes, how long, how many, and who received anything.
    pub(super) fn summary(&self) -> Result<String, Refusal> {
        let words = self.words();
        let (fields, counts) = self.held()?;
        if fields.is_empty() {
            return Ok(words.nothing_held.to_owned());
        }
        let mut lines = vec![words.held.to_owned()];
        lines.extend(self.held_lines(fields));
        self.counts(counts, &mut lines);
        let receivers = self.receivers(&|_| true)?;
        lines.push(match receivers.is_empty() {
            true => words.not_shared.to_owned(),
            false => fill(words.shared, &[("recipients", &receivers.join(", "))]),
        });
        Ok(lines.join("\n"))
    }

    /// Values of what there is one of, and how many there are of the rest.
    pub(super) fn values(&self, noted: &mut Noted) -> Result<String, Refusal> {
        let words = self.words();
        let (Some(person), Some(own)) = (self.person, self.own) else {
            return Ok(words.nothing_held.to_owned());
        };
        let role = &*own.role(self.policy)?;
        let standing = Standing::of(self.view, person)?;
        let mut lines = vec![words.values.to_owned()];
        for collection in self.policy.collections() {
            if collection.kind != CollectionKind::Single {
                continue;
            }
            let ended = ended(&standing, collection);
            let stored = Stored::load(self.view, person, collection, RecordId::SINGLE, ended)?;
            let Some(stored) = stored else { continue };
            let grant = decision::export(collection, role);
            let mut seen = stored.see(self.view, person, collection, &grant)?;
            for field in &collection.fields {
                let id = (collection.id, field.id);
                if let Some(seen) = seen.remove(&field.id) {
                    noted.fields.push(id);
                    let value = shown(field.kind, &seen.value);
                    let value = value.unwrap_or_else(|| words.value_not_here.to_owned());
                    let name = self.field_name(id);
                    lines.push(fill(
                        words.value_line,
                        &[("name", &name), ("value", &value)],
                    ));
                }
            }
        }
        self.counts(&self.held()?.1, &mut lines);
        if lines.len() == 1 {
            return Ok(words.nothing_held.to_owned());
        }
        lines.truncate(LINES_MAX);
        self.look_ups(&mut lines);
        Ok(lines.join("\n"))
    }

    /// How often the person was looked up, and what for.
    fn look_ups(&self, lines: &mut Vec<String>) {
        let words = self.words();
        let Some(found) = &self.outcome.looked_up else {
            return;
        };
        let day = deadline::day_of(self.policy.requests(), found.since).to_string();
        let times = |count| words.times.of(self.talk.language(), count);
        let title = |name: &str| match self.policy.purpose(name) {
            Some(purpose) => self.title(purpose.id),
            None => name.to_owned(),
        };
        let all = times(found.by_purpose.values().sum());
        let known = [("since", day.as_str()), ("times", all.as_str())];
        let mut purposes = found.by_purpose.iter();
        match (purposes.next(), found.by_purpose.len()) {
            (None, _) => lines.push(fill(words.looked_never, &known)),
            (Some((name, _)), 1) => {
                let [since, times] = known;
                let purpose = title(name);
                lines.push(fill(
                    words.looked_all,
                    &[since, times, ("purpose", &purpose)],
                ));
            }
            _ => {
                lines.push(fill(words.looked_each, &known));
                for (name, count) in &found.by_purpose {
                    lines.push(fill(
                        words.looked_line,
                        &[("purpose", &title(name)), ("times", &times(*count))],
                    ));
                }
            }
        }
        if found.many > 0 {
            lines.push(fill(
                words.looked_many,
                &[("count", &found.many.to_string())],
            ));
        }
    }

    /// The value in a field, as it is shown.
    pub(super) fn value_of(
        &self,
        id: FieldId,
        noted: &mut Noted,
    ) -> Result<Option<String>, Refusal> {
        let (Some(person), Some(own)) = (self.person, self.own) else {
            return Ok(None);
        };
        let Some((collection, field)) = facts::field(self.policy, id) else {
            return Ok(None);
        };
        let role = &*own.role(self.policy)?;
        let standing = Standing::of(self.view, person)?;
        let ended = ended(&standing, collection);
        let stored = Stored::load(self.view, person, collection, RecordId::SINGLE, ended)?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let grant = decision::export(collection, role);
        let mut seen = stored.see(self.view, person, collection, &grant)?;
        let Some(seen) = seen.remove(&id.1) else {
            return Ok(None);
        };
        noted.fields.push(id);
        let value = shown(field.kind, &seen.value);
        Ok(Some(
            value.unwrap_or_else(|| self.words().value_not_here.to_owned()),
        ))
    }

    pub(super) fn why(&self) -> String {
        let words = self.words();
        let mut lines = vec![words.why.to_owned()];
        for stated in self.purposes() {
            lines.push(fill(
                words.why_line,
                &[
                    ("purpose", &stated.title),
                    ("basis", stated.basis_words),
                    ("retention", &stated.retention_words),
                ],
            ));
        }
        lines.truncate(LINES_MAX);
        lines.join("\n")
    }

    /// Who received what, by name (C-154/21).
    pub(super) fn recipients(&self) -> Result<String, Refusal> {
        let words = self.words();
        let mut lines = vec![words.recipients.to_owned()];
        if let Some(person) = self.person {
            for (_, line) in disclosure::lines(self.view, person)? {
                let date = line.at.strftime("%Y-%m-%d").to_string();
                lines.push(fill(
                    words.recipient_line,
                    &[
                        ("recipient", &self.recipient(&line.recipient)),
                        ("purpose", &self.title(line.purpose)),
                        ("date", &date),
                    ],
                ));
            }
        }
        lines.truncate(LINES_MAX);
        Ok(match lines.len() {
            1 => words.not_shared.to_owned(),
            _ => lines.join("\n"),
        })
    }

    pub(super) fn choices(&self) -> Result<String, Refusal> {
        let words = self.words();
        let mut lines = vec![words.choices.to_owned()];
        if let Some(person) = self.person {
            for purpose in self.policy.purposes() {
                let title = self.title(purpose.id);
                let mut line = |template| lines.push(fill(template, &[("purpose", &title)]));
                if purpose.basis == LawfulBasis::Consent
                    && let Some(said) = consent::state(self.view, person, purpose.id)?
                {
                    line(match said.state.permits() {
                        true => words.consented,
                        false => words.not_consented,
                    });
                }
                match standing::objection(self.view, person, purpose)? {
                    Some(ObjectionState::Upheld) => line(words.objected_line),
                    Some(ObjectionState::Pending) => line(words.objecting_line),
                    Some(ObjectionState::Overridden | ObjectionState::Ended) | None => {}
                }
            }
        }
        Ok(match lines.len() {
            1 => words.choices_none.to_owned(),
            _ => lines.join("\n"),
        })
    }

    pub(super) fn request_line(&self, event: &RequestEvent) -> String {
        let words = self.words();
        fill(
            words.request_line,
            &[
                (
                    "kind",
                    &capital(of(&words.kinds, RequestKind::ALL, &event.kind)),
                ),
                ("state", of(&words.states, RequestState::ALL, &event.state)),
                ("due", &event.strict.on.to_string()),
                ("reference", &event.request.to_string()),
            ],
        )
    }

    pub(super) fn requests(&self) -> Result<String, Refusal> {
        let words = self.words();
        let mut lines = vec![words.requests.to_owned()];
        if let Some(person) = self.person {
            let all = spoken::standing(self.view, person)?;
            let open = all.iter().filter(|event| !event.state.is_closed());
            lines.extend(open.map(|event| self.request_line(event)));
        }
        lines.truncate(LINES_MAX);
        Ok(match lines.len() {
            1 => words.requests_none.to_owned(),
            _ => lines.join("\n"),
        })
    }

    pub(super) fn complain(&self) -> String {
        let words = self.words();
        let authority = self.policy.controller().authority.as_ref();
        let first = match authority {
            Some(authority) => fill(words.complain, &[("authority", authority)]),
            None => words.complain_anywhere.to_owned(),
        };
        format!(
            "{first} {}",
            fill(words.complain_here, &[("contact", self.contact())])
        )
    }

    /// What would be erased, and what a law keeps.
    pub(super) fn consequences(&self) -> Result<String, Refusal> {
        let words = self.words();
        let (fields, _) = self.held()?;
        let hold = match self.person {
            Some(person) => standing::hold(self.view, person)?,
            None => None,
        };
        let covered = |id: FieldId| hold.as_ref().is_some_and(|hold| hold.covers(id.0));
        let goes = self.data_of(&[], &|id| fields.contains(&id) && !covered(id));
        let mut lines = Vec::new();
        lines.push(match goes.is_empty() {
            true => words.nothing_held.to_owned(),
            false => format!("{}\n- {}", words.erase_held, capital(&goes)),
        });
        lines.extend(self.kept_by_law(fields)?);
        Ok(lines.join("\n"))
    }

    /// What of these fields a law keeps, and which.
    pub(super) fn kept_by_law(
        &self,
        fields: &BTreeSet<FieldId>,
    ) -> Result<Option<String>, Refusal> {
        let hold = match self.person {
            Some(person) => standing::hold(self.view, person)?,
            None => None,
        };
        let Some(hold) = hold else { return Ok(None) };
        let kept = self.data_of(&[], &|id| fields.contains(&id) && hold.covers(id.0));
        Ok((!kept.is_empty()).then(|| {
            fill(
                self.words().erase_kept,
                &[
                    ("data", &kept),
                    ("law", hold.ground.law()),
                    ("date", &hold.review_at.to_string()),
                ],
            )
        }))
    }

    /// That everything is erased: what is kept, backups, who is told, the receipt, and where to complain.
    pub(super) fn erased(&self) -> String {
        let words = self.words();
        let mut lines = vec![match &self.outcome.kept {
            None => words.erased.to_owned(),
            Some((collections, date)) => fill(
                words.erased_but,
                &[
                    ("data", &self.data_of(collections, &|_| true)),
                    ("date", &date.to_string()),
                ],
            ),
        }];
        self.evidence(&mut lines);
        lines.push(self.complain());
        lines.join("\n")
    }

    /// Of an erasure: backups, who is told, the receipt.
    pub(super) fn evidence(&self, lines: &mut Vec<String>) {
        let words = self.words();
        let backups = self.outcome.backups.map(|date| date.to_string());
        lines.extend(backups.map(|date| fill(words.backups_until, &[("date", &date)])));
        if !self.outcome.told.is_empty() {
            lines.push(fill(
                words.told,
                &[("recipients", &self.outcome.told.join(", "))],
            ));
        }
        let receipt = self.outcome.receipt.as_ref();
        lines.extend(receipt.map(|id| fill(words.receipt, &[("reference", id)])));
    }

    pub(super) fn confirm_change(&self, noted: &mut Noted) -> Result<String, Refusal> {
        let words = self.words();
        let Some(field) = self.outcome.field else {
            return Ok(words.not_understood.to_owned());
        };
        let name = self.field_name(field);
        let new = cut(&self.outcome.value);
        Ok(match self.value_of(field, noted)? {
            Some(old) => fill(
                words.correct_confirm,
                &[("name", &name), ("old", &old), ("new", &new)],
            ),
            None => fill(words.correct_add, &[("name", &name), ("new", &new)]),
        })
    }
}

//! The model: a vault as plain maps, and what each call ought to answer by it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_core::id::{RecordId, SessionId, SubjectId, TokenId};
use vault_core::vault::ConsentState;

use super::ops::{Change, MetaPick};
use super::policy::{FieldRule, Version, fields};
use super::world::HOUR;

pub(crate) const PURPOSES: [&str; 3] = ["support", "news", "extra"];
const SOURCES: [&str; 3] = ["form", "phone call", "letter"];
/// How long a message is kept.
const MESSAGE_AGE: i64 = 48 * HOUR;

/// What a call answers: a value, or the stable code of its refusal.
pub(crate) type Answered<T> = Result<T, String>;

pub(crate) fn refused<T>(code: &str) -> Answered<T> {
    Err(code.to_owned())
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: RecordId,
    pub(crate) created: i64,
    /// `None` until it is read after something changed it without telling.
    pub(crate) etag: Option<String>,
    pub(crate) fields: BTreeMap<&'static str, Value>,
    pub(crate) purposes: Vec<&'static str>,
    pub(crate) expires: Option<i64>,
    pub(crate) source: Option<&'static str>,
    pub(crate) category: Option<String>,
}

impl Record {
    pub(crate) fn new(id: RecordId, created: i64) -> Self {
        Self {
            id,
            created,
            etag: None,
            fields: BTreeMap::new(),
            purposes: Vec::new(),
            expires: None,
            source: None,
            category: None,
        }
    }

    pub(crate) fn end(&self, collection: &str) -> Option<i64> {
        let age = (collection == "messages").then_some(self.created + MESSAGE_AGE);
        [age, self.expires].into_iter().flatten().min()
    }

    pub(crate) fn serves(&self, purpose: &str) -> bool {
        self.purposes.is_empty() || self.purposes.contains(&purpose)
    }

    pub(crate) fn set_meta(&mut self, meta: Option<MetaPick>, now: i64) {
        let Some(meta) = meta else { return };
        self.purposes = meta.purposes();
        self.expires = meta.expires(now);
        self.source = meta.source.map(source);
        self.category = None;
    }

    pub(crate) fn change(&mut self, collection: &str, changes: &[Change]) {
        for (field, value) in named(collection, changes) {
            match value {
                Some(value) => drop(self.fields.insert(field.1, value)),
                None => drop(self.fields.remove(field.1)),
            }
        }
    }
}

pub(crate) fn source(number: u8) -> &'static str {
    SOURCES[usize::from(number) % SOURCES.len()]
}

impl MetaPick {
    pub(crate) fn purposes(self) -> Vec<&'static str> {
        match self.purposes % 6 {
            0 => vec!["support"],
            1 => vec!["extra"],
            2 => vec!["support", "extra"],
            _ => vec![],
        }
    }

    fn expires(self, now: i64) -> Option<i64> {
        self.hours.map(|hours| now + i64::from(hours) * HOUR)
    }

    pub(crate) fn json(self, now: i64) -> Value {
        let at = |end| jiff::Timestamp::from_millisecond(end).expect("in range");
        json!({
            "purposes": self.purposes(),
            "expires_at": self.expires(now).map(|end| at(end).to_string()),
            "source": self.source.map(source),
        })
    }
}

/// The fields and values that numbers stand for.
pub(crate) fn named(
    collection: &str,
    changes: &[Change],
) -> Vec<(&'static FieldRule, Option<Value>)> {
    let of = |number: u8| {
        fields(collection)
            .nth(usize::from(number))
            .expect("few fields")
    };
    let value = |(field, value): &Change| {
        let field = of(*field);
        (field, value.map(|number| self::value(field.1, number)))
    };
    changes.iter().map(value).collect()
}

/// A value of a field; of addresses and numbers there are few, so that people share them.
pub(crate) fn value(field: &str, number: u8) -> Value {
    match field {
        "name" => json!(format!("Person {number}")),
        "email" | "mail" if number >= 250 => json!("no address"),
        "email" | "mail" => json!(format!("Someone{}@example.test", number % 10)),
        "phone" => json!(format!("+31 6 1234 560{}", number % 6)),
        "birth" => json!(["1990-02-28", "2020-01-01"][usize::from(number % 2)]),
        "slots" => json!({"wish": number, "list": [number]}),
        _ => json!(format!("text {number} {}", "x".repeat(usize::from(number)))),
    }
}

pub(crate) fn valid(changes: &[Change], collection: &str) -> bool {
    let fits = |(_, value): &(&FieldRule, Option<Value>)| *value != Some(json!("no address"));
    named(collection, changes).iter().all(fits)
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) token: String,
    pub(crate) reads: u8,
    pub(crate) writes: u8,
    pub(crate) ends: i64,
    pub(crate) revoked: bool,
    pub(crate) maker: usize,
}

pub(crate) struct Key {
    pub(crate) id: TokenId,
    pub(crate) secret: String,
    pub(crate) ends: Option<i64>,
    pub(crate) revoked: bool,
    pub(crate) replaced: bool,
}

impl Key {
    pub(crate) fn valid(&self, now: i64) -> bool {
        !self.revoked && self.ends.is_none_or(|end| end > now)
    }
}

pub(crate) struct Person {
    pub(crate) subject: SubjectId,
    pub(crate) user: u8,
    /// The receipt, once they are erased.
    pub(crate) erased: Option<String>,
    pub(crate) profile: Option<Record>,
    pub(crate) paper: Option<(Vec<u8>, String)>,
    pub(crate) notes: Vec<Record>,
    pub(crate) messages: Vec<Record>,
    /// Records that have ended and that no sweeper has taken: whether they are found or counted is
    /// not said.
    pub(crate) ended: Vec<(&'static str, Record)>,
    pub(crate) said: Vec<ConsentState>,
    pub(crate) sessions: Vec<Session>,
    /// By the key that called and the name it gave: content, answer, time.
    pub(crate) answers: BTreeMap<(usize, u8), (u8, String, i64)>,
    /// Questions on which day since 1970, since the vault was opened.
    pub(crate) asks: (i64, u32),
}

impl Person {
    pub(crate) fn new(subject: SubjectId, user: u8) -> Self {
        Self {
            subject,
            user,
            erased: None,
            profile: None,
            paper: None,
            notes: Vec::new(),
            messages: Vec::new(),
            ended: Vec::new(),
            said: Vec::new(),
            sessions: Vec::new(),
            answers: BTreeMap::new(),
            asks: (0, 0),
        }
    }

    pub(crate) fn records(&self, collection: &str) -> &[Record] {
        match collection {
            "profile" => self.profile.as_slice(),
            "notes" => &self.notes,
            _ => &self.messages,
        }
    }

    pub(crate) fn there(&self) -> Answered<()> {
        match self.erased {
            Some(_) => refused("erased"),
            None => Ok(()),
        }
    }

    /// What was for `extra` is for nothing that the policy names.
    pub(crate) fn lose_extra(&mut self) {
        let ended = self.ended.iter_mut().map(|(_, record)| record);
        let records = self
            .notes
            .iter_mut()
            .chain(&mut self.messages)
            .chain(&mut self.profile);
        for purpose in records.chain(ended).flat_map(|record| &mut record.purposes) {
            if *purpose == "extra" {
                *purpose = "a purpose that is gone";
            }
        }
    }

    fn consents(&self) -> bool {
        self.said.last() == Some(&ConsentState::Given)
    }

    /// Moves what has ended by now out of sight.
    pub(crate) fn age(&mut self, now: i64) {
        let over = |name: &str, record: &Record| record.end(name).is_some_and(|end| end <= now);
        if let Some(record) = self.profile.take_if(|record| over("profile", record)) {
            self.ended.push(("profile", record));
        }
        for (name, records) in [("notes", &mut self.notes), ("messages", &mut self.messages)] {
            let gone = records.extract_if(.., |record| over(name, record));
            self.ended.extend(gone.map(|record| (name, record)));
        }
    }

    /// A write of these fields.
    pub(crate) fn may_write(
        &self,
        version: Version,
        collection: &str,
        purpose: &str,
        changes: &[Change],
    ) -> Answered<()> {
        self.there()?;
        let changes = named(collection, changes);
        let fits = |(field, _): &(&FieldRule, Option<Value>)| field.2.contains(&purpose);
        if !version.knows(purpose) || !changes.iter().all(fits) {
            return refused("purpose_denied");
        }
        let sets = changes.iter().any(|(_, value)| value.is_some());
        if sets && purpose == "news" && !self.consents() {
            return refused("consent_required");
        }
        Ok(())
    }

    /// A read of one field, or of all that may be seen: the names of those.
    pub(crate) fn may_read(
        &self,
        version: Version,
        collection: &str,
        purpose: &str,
        wanted: Option<&str>,
    ) -> Answered<Vec<&'static str>> {
        self.there()?;
        if !version.knows(purpose) {
            return refused("purpose_denied");
        }
        let (mut seen, mut worst) = (Vec::new(), (0, ""));
        for field in fields(collection).filter(|field| wanted.is_none_or(|name| field.1 == name)) {
            let refusal = if !version.shows(field) {
                (1, "role_denied")
            } else if !field.2.contains(&purpose) {
                (2, "purpose_denied")
            } else if purpose == "news" && !self.consents() {
                (3, "consent_required")
            } else {
                seen.push(field.1);
                continue;
            };
            worst = worst.max(refusal);
        }
        match seen.is_empty() {
            true => refused(worst.1),
            false => Ok(seen),
        }
    }

    /// What of a record is shown.
    pub(crate) fn shown(record: &Record, purpose: &str, seen: &[&str]) -> Value {
        let fields = record.fields.iter();
        let shown = fields.filter(|(name, _)| record.serves(purpose) && seen.contains(name));
        Value::Object(
            shown
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    }

    /// Whether a record has this value in a field; and whether one has that has ended.
    pub(crate) fn holds(&self, collection: &str, field: &str, wanted: &Value) -> (bool, bool) {
        let has = |record: &Record| record.fields.get(field) == Some(wanted);
        let ended = self.ended.iter();
        (
            self.erased.is_none() && self.records(collection).iter().any(has),
            self.erased.is_none()
                && ended
                    .clone()
                    .any(|(name, record)| *name == collection && has(record)),
        )
    }
}

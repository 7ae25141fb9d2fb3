//! Our own package, taken back: the document, as a stream.
//!
//! Kept are the person, what they said, and the record at hand; of each no more than
//! [`IMPORT_MEMORY_BYTES_MAX`](crate::limits::IMPORT_MEMORY_BYTES_MAX). Everything else is passed over.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::bounds::{Bounded, Budget, Guarded, TooLarge};
use super::{Attachment, Piece, ReadError, Taker, text, without_nulls};
use crate::consent::{ConsentDetails, ConsentState};
use crate::limits::IMPORT_FILES_PER_LINE_MAX;
use crate::policy::RestrictionGround;
use crate::standing::ObjectionState;
use crate::vault::{ImportLine, ImportWhat, RestrictionInput};

/// Reads a document, a record at a time.
///
/// The person comes first, then consents as far as they are given, the records, and last what was said
/// later: objections, the restriction that stands, ends of contracts and the age. A record that rests on consent is
/// written while there is one, and what is only to be stored is there before. Notices, legal holds and pseudonyms are
/// passed over: they tell what another vault does, keeps and calls the person.
///
/// # Errors
///
/// [`ReadError::Document`] for anything else, or one that was cut short; [`ReadError::TooLarge`] for one that
/// would fill memory; [`ReadError::Version`].
pub fn read_document(from: impl Read, take: &mut Taker<'_>) -> Result<(), ReadError> {
    let mut state = State {
        version: None,
        identity: None,
        consents: Vec::new(),
        objections: Vec::new(),
        restriction: None,
        told: Vec::new(),
        head: Budget::new(),
        entry_spent: false,
        begun: false,
        number: 0,
        ended: false,
        take,
    };
    let from = io::BufReader::new(Guarded::new(from));
    let mut reader = serde_json::Deserializer::from_reader(from);
    let read = Document(&mut state).deserialize(&mut reader);
    let read = read.and_then(|()| match state.ended {
        true => Ok(()),
        false => reader.end(),
    });
    match (state.version, read) {
        (Some(version), _) if version != 1 => Err(ReadError::Version(version)),
        (_, _) if state.ended => Ok(()),
        (_, Ok(())) => {
            state.rest();
            Ok(())
        }
        (_, Err(_)) if state.head.spent() || state.entry_spent => {
            Err(ReadError::TooLarge(TooLarge::MEMORY))
        }
        (_, Err(error)) if error.is_io() => Err(io::Error::from(error).into()),
        (_, Err(error)) => Err(ReadError::Document { line: error.line() }),
    }
}

/// Steps of one objection that are written together at most: it is made, decided and ended in three, and each may
/// have a long reason.
const STEPS_TOGETHER: usize = 8;

struct State<'t, 'f> {
    version: Option<u64>,
    identity: Option<(String, String)>,
    /// Purpose and event.
    consents: Vec<(String, Value)>,
    /// Steps, those of one purpose in their order.
    objections: Vec<ImportWhat>,
    restriction: Option<RestrictionInput>,
    /// Ends of contracts, and the age.
    told: Vec<ImportWhat>,
    /// What everything beside the records may still come to.
    head: Budget,
    /// Whether a record came to more than one may.
    entry_spent: bool,
    /// Whether the records were reached.
    begun: bool,
    number: u64,
    /// Whether whoever takes the pieces wants no more.
    ended: bool,
    take: &'t mut Taker<'f>,
}

/// The events up to the last that gives, in the order of time; those after it stay.
fn split(consents: &mut Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut last_given = BTreeMap::new();
    for (at, (purpose, event)) in consents.iter().enumerate() {
        if event["state"] == "given" || event["state"] == "renewed" {
            last_given.insert(purpose.clone(), at);
        }
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (at, one) in std::mem::take(consents).into_iter().enumerate() {
        match last_given.get(&one.0).is_some_and(|last| at <= *last) {
            true => before.push(one),
            false => after.push(one),
        }
    }
    *consents = after;
    before
}

impl State<'_, '_> {
    fn give(&mut self, what: ImportWhat, files: Vec<Attachment>) -> bool {
        self.number += 1;
        self.give_beside(what, files)
    }

    /// As a part of the row before: what has one number is sent and written together.
    fn give_beside(&mut self, what: ImportWhat, files: Vec<Attachment>) -> bool {
        let Some((channel, user)) = self.identity.clone() else {
            return false;
        };
        let line = ImportLine {
            line: self.number,
            channel,
            user,
            what,
        };
        self.ended |= !(self.take)(Piece::Line(Box::new(line), files));
        !self.ended
    }

    fn consent(&mut self, purpose: String, event: Value) -> bool {
        let state = event["state"].as_str().and_then(ConsentState::parse);
        let state = state.unwrap_or(ConsentState::Withdrawn);
        // What is not of its form must not be left out: a consent would hold for longer, or count for more.
        let Ok(details) = serde_json::from_value::<ConsentDetails>(event.clone()) else {
            return false;
        };
        let what = ImportWhat::Consent {
            purpose,
            state,
            notice: event["notice"].clone(),
            choice: text(&event, "choice"),
            message_id: text(&event, "message_id"),
            details: Box::new(details),
        };
        self.give(what, Vec::new())
    }

    /// What has to stand before the records.
    fn begin(&mut self) -> bool {
        if std::mem::replace(&mut self.begun, true) {
            return false;
        }
        let before = split(&mut self.consents);
        self.give(ImportWhat::Person, Vec::new())
            && before
                .into_iter()
                .all(|(purpose, event)| self.consent(purpose, event))
    }

    fn rest(&mut self) {
        let rest = std::mem::take(&mut self.consents);
        let mut demands = std::mem::take(&mut self.objections);
        demands.extend(self.restriction.take().map(ImportWhat::Restriction));
        demands.append(&mut self.told);
        let mut goes_on = rest
            .into_iter()
            .all(|(purpose, event)| self.consent(purpose, event));
        let (mut before, mut together): (Option<(String, ObjectionState)>, usize) = (None, 1);
        for demand in demands {
            // An objection and its end: between them an address would go on the suppression list, and stay there.
            let step = match &demand {
                ImportWhat::Objection { purpose, state, .. } => Some((purpose.clone(), *state)),
                _ => None,
            };
            let follows = match (&before, &step) {
                (Some((of, state)), Some((purpose, _))) => of == purpose && state.stands(),
                _ => false,
            };
            let follows = follows && together < STEPS_TOGETHER;
            together = if follows { together + 1 } else { 1 };
            goes_on = goes_on
                && match follows {
                    true => self.give_beside(demand, Vec::new()),
                    false => self.give(demand, Vec::new()),
                };
            before = step;
        }
    }

    /// The steps of each objection. One that this program does not know must not be left out: what stands in the way
    /// of a use would be lost.
    fn take_objections(&mut self, all: Value) -> Option<()> {
        let Value::Array(all) = all else { return None };
        for one in all {
            let purpose = text(&one, "purpose")?;
            for step in one["history"].as_array()? {
                self.objections.push(ImportWhat::Objection {
                    purpose: purpose.clone(),
                    state: ObjectionState::parse(step["state"].as_str()?)?,
                    reason: text(step, "reason"),
                });
            }
        }
        Some(())
    }

    /// The restriction, if its last step is one.
    fn take_restriction(&mut self, restriction: &Value) -> Option<()> {
        let Some(last) = restriction["history"].as_array()?.last() else {
            return Some(());
        };
        if last["ground"].is_null() {
            return Some(());
        }
        let collections = last["collections"].as_array()?.iter();
        let collections: Option<_> = collections
            .map(|name| name.as_str().map(str::to_owned))
            .collect();
        self.restriction = Some(RestrictionInput {
            ground: RestrictionGround::parse(last["ground"].as_str()?)?,
            collections: collections?,
            reason: text(last, "reason"),
        });
        Some(())
    }

    /// Of each contract whether it has ended.
    fn take_contracts(&mut self, all: Value) -> Option<()> {
        let Value::Array(all) = all else { return None };
        for one in all {
            let purpose = text(&one, "purpose")?;
            if let Some(ended_at) = text(&one, "ended_at") {
                let ended_at = ended_at.parse().ok()?;
                let what = ImportWhat::ContractEnd { purpose, ended_at };
                self.told.push(what);
            }
        }
        Some(())
    }

    /// What was last told of the age.
    fn take_age(&mut self, age: &Value) -> Option<()> {
        if let Some(last) = age["history"].as_array()?.last() {
            self.told.push(ImportWhat::Age {
                of_age_on: last["of_age_on"].as_str()?.parse().ok()?,
                guardian: text(last, "guardian"),
            });
        }
        Some(())
    }

    fn record(&mut self, record: Value) -> bool {
        let Value::Object(mut record) = record else {
            return false;
        };
        let Some(Value::String(collection)) = record.remove("collection") else {
            return false;
        };
        let Some(Value::Object(fields)) = record.remove("fields") else {
            return false;
        };
        let masked = record.remove("masked").unwrap_or_default();
        let masked: Vec<&str> = masked
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (mut body, mut files) = (Map::new(), Vec::new());
        for (name, value) in fields {
            if masked.contains(&&*name) {
                self.ended |= !(self.take)(Piece::Skipped);
                if self.ended {
                    return false;
                }
                continue;
            }
            match (&value["media_type"], &value["sha256"], &value["size"]) {
                (Value::String(media_type), Value::String(_), Value::Number(size)) => {
                    files.push(Attachment {
                        field: name,
                        media_type: media_type.clone(),
                        member: text(&value, "file"),
                        size: size.as_u64().unwrap_or_default(),
                    });
                }
                _ => {
                    body.insert(name, value);
                }
            }
        }
        if files.len() > IMPORT_FILES_PER_LINE_MAX {
            return false;
        }
        if let Some(Value::Object(meta)) = record.remove("_meta") {
            let meta = without_nulls(meta);
            if !meta.is_empty() {
                body.insert("_meta".into(), Value::Object(meta));
            }
        }
        if let Some(at @ Value::String(_)) = record.remove("occurred_at") {
            body.insert("occurred_at".into(), at);
        }
        let what = ImportWhat::Record {
            collection,
            body,
            purpose: None,
            files: files.iter().map(|file| file.field.clone()).collect(),
        };
        self.give(what, files)
    }

    fn member(&mut self, name: &str, value: Value) -> bool {
        match name {
            "format" => value == "personal-data-package",
            "version" => {
                self.version = value.as_u64();
                self.version == Some(1)
            }
            "person" => {
                let one = &value["identities"][0];
                self.identity = text(one, "channel").zip(text(one, "user"));
                self.identity.is_some()
            }
            "consents" => {
                let Value::Array(all) = value else {
                    return true;
                };
                for mut one in all {
                    let purpose = text(&one, "purpose").unwrap_or_default();
                    if let Value::Array(events) = one["events"].take() {
                        let events = events.into_iter();
                        self.consents
                            .extend(events.map(|event| (purpose.clone(), event)));
                    }
                }
                // By time; the sort keeps the order of those at one instant.
                self.consents.sort_by(|a, b| {
                    let at = |one: &(String, Value)| one.1["at"].as_str().map(str::to_owned);
                    at(a).cmp(&at(b))
                });
                true
            }
            "objections" => self.take_objections(value).is_some(),
            "restriction" => self.take_restriction(&value).is_some(),
            "contracts" => self.take_contracts(value).is_some(),
            "age" => self.take_age(&value).is_some(),
            _ => true,
        }
    }
}

struct Document<'s, 't, 'f>(&'s mut State<'t, 'f>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a package")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let state = self.0;
        let not_ours = || A::Error::custom("no package of ours");
        let mut whole = false;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "records" => {
                    if state.version.is_none() || !state.begin() {
                        return Err(not_ours());
                    }
                    map.next_value_seed(Records(state))?;
                }
                "age" | "consents" | "contracts" | "format" | "objections" | "person"
                | "restriction" | "version" => {
                    let value = map.next_value_seed(Bounded(&mut state.head))?;
                    if !state.member(&name, value) {
                        return Err(not_ours());
                    }
                }
                name => {
                    whole |= name == "end";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match whole {
            true => Ok(()),
            false => Err(not_ours()),
        }
    }
}

struct Records<'s, 't, 'f>(&'s mut State<'t, 'f>);

impl<'de> DeserializeSeed<'de> for Records<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let mut budget = Budget::new();
            let record = list.next_element_seed(Bounded(&mut budget));
            self.0.entry_spent = budget.spent();
            let Some(record) = record? else {
                return Ok(());
            };
            if !self.0.record(record) {
                return Err(A::Error::custom("no record of ours"));
            }
        }
    }
}

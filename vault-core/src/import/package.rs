//! Our own package, taken back: the document as a stream, and the ZIP around it, checked first.

use std::fmt;
use std::io::{self, Read, Seek};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::{Attachment, Piece, ReadError, Taker, text, without_nulls};
use crate::audit::hex;
use crate::consent::ConsentState;
use crate::crypto::Sha256Stream;
use crate::vault::{ImportLine, ImportWhat};

/// Longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// Reads a document, a record at a time.
///
/// The person comes first, then consents as far as they are given, the records, and last what was said
/// later: a record that rests on consent is written while there is one.
///
/// # Errors
///
/// [`ReadError::Document`] for anything else, or one that was cut short; [`ReadError::Version`].
pub fn read_document(from: impl Read, take: &mut Taker<'_>) -> Result<(), ReadError> {
    let mut state = State {
        version: None,
        identity: None,
        consents: Vec::new(),
        by_consent: Vec::new(),
        collections: Value::Null,
        number: 0,
        ended: false,
        take,
    };
    let mut reader = serde_json::Deserializer::from_reader(io::BufReader::new(from));
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
        (_, Err(error)) if error.is_io() => Err(ReadError::Io(error.into())),
        (_, Err(error)) => Err(ReadError::Document { line: error.line() }),
    }
}

struct State<'t, 'f> {
    version: Option<u64>,
    identity: Option<(String, String)>,
    /// Purpose and event.
    consents: Vec<(String, Value)>,
    /// Purposes that rest on consent.
    by_consent: Vec<String>,
    collections: Value,
    number: u64,
    /// Whether whoever takes the pieces wants no more.
    ended: bool,
    take: &'t mut Taker<'f>,
}

/// The events up to the last that gives, in the order of time; and those after it.
fn split(consents: &mut Vec<(String, Value)>) -> Vec<(String, Value)> {
    let last_given = |purpose: &str, all: &[(String, Value)]| {
        all.iter()
            .rposition(|(of, event)| of == purpose && event["state"] == "given")
    };
    let all = std::mem::take(consents);
    let (before, after) = (0..all.len())
        .partition::<Vec<_>, _>(|at| last_given(&all[*at].0, &all).is_some_and(|last| *at <= last));
    consents.extend(after.into_iter().map(|at| all[at].clone()));
    before.into_iter().map(|at| all[at].clone()).collect()
}

impl State<'_, '_> {
    fn give(&mut self, what: ImportWhat, files: Vec<Attachment>) -> bool {
        let Some((channel, user)) = self.identity.clone() else {
            return false;
        };
        self.number += 1;
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
        let state = match event["state"].as_str() {
            Some("given") => ConsentState::Given,
            Some("refused") => ConsentState::Refused,
            _ => ConsentState::Withdrawn,
        };
        let what = ImportWhat::Consent {
            purpose,
            state,
            notice: event["notice"].clone(),
            choice: text(&event, "choice"),
            message_id: text(&event, "message_id"),
        };
        self.give(what, Vec::new())
    }

    /// What has to stand before the records.
    fn begin(&mut self) -> bool {
        let before = split(&mut self.consents);
        self.give(ImportWhat::Person, Vec::new())
            && before
                .into_iter()
                .all(|(purpose, event)| self.consent(purpose, event))
    }

    fn rest(&mut self) {
        let rest = std::mem::take(&mut self.consents);
        let _ = rest
            .into_iter()
            .all(|(purpose, event)| self.consent(purpose, event));
    }

    fn purpose_of(&self, collection: &str, field: &str) -> Option<String> {
        let named = |list: &Value, name: &str| {
            let mut items = list.as_array().into_iter().flatten();
            items.find(|one| one["name"] == name).cloned()
        };
        let field = named(&named(&self.collections, collection)?["fields"], field)?;
        let purposes = field["purposes"].as_array()?.iter();
        let mut purposes: Vec<&str> = purposes.filter_map(Value::as_str).collect();
        purposes.sort_by_key(|purpose| self.by_consent.iter().any(|one| one == purpose));
        purposes.first().map(|purpose| (*purpose).to_owned())
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
                continue;
            }
            match (&value["media_type"], &value["sha256"], &value["size"]) {
                (Value::String(media_type), Value::String(_), Value::Number(size)) => {
                    files.push(Attachment {
                        purpose: self.purpose_of(&collection, &name),
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
            "purposes" => {
                let all = value.as_array().into_iter().flatten();
                let consent = all.filter(|one| one["basis"] == "consent");
                self.by_consent = consent.filter_map(|one| text(one, "name")).collect();
                true
            }
            "collections" => {
                self.collections = value;
                true
            }
            "consents" => {
                for one in value.as_array().into_iter().flatten() {
                    let purpose = text(one, "purpose").unwrap_or_default();
                    let events = one["events"].as_array().into_iter().flatten();
                    self.consents
                        .extend(events.map(|event| (purpose.clone(), event.clone())));
                }
                // By time; the sort keeps the order of those at one instant.
                self.consents.sort_by(|a, b| {
                    let at = |one: &(String, Value)| text(&one.1, "at").unwrap_or_default();
                    at(a).cmp(&at(b))
                });
                true
            }
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
                "accesses" => drop(map.next_value::<IgnoredAny>()?),
                "end" => {
                    whole = true;
                    map.next_value::<IgnoredAny>()?;
                }
                name => {
                    let value = map.next_value::<Value>()?;
                    if !state.member(name, value) {
                        return Err(not_ours());
                    }
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
        while let Some(record) = list.next_element::<Value>()? {
            if !self.0.record(record) {
                return Err(A::Error::custom("no record of ours"));
            }
        }
        Ok(())
    }
}

/// Why a ZIP is no package of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A member is not what the manifest says.
    #[error("a member of the package is not what its manifest says")]
    Damaged,
    /// The system refused.
    #[error("could not read the file")]
    Io(#[source] io::Error),
    /// No manifest, or no `data.json`, or no ZIP.
    #[error("this is no package of ours: a ZIP with manifest.json and data.json")]
    NotOurs,
}

/// A package as a ZIP, whose members have been checked against its manifest.
pub struct Archive<R>(zip::ZipArchive<R>);

impl<R: Read + Seek> Archive<R> {
    /// Reads the manifest and holds every member to it. Members are read by name and never become files.
    ///
    /// # Errors
    ///
    /// Those of [`ArchiveError`].
    pub fn open(from: R) -> Result<Self, ArchiveError> {
        let mut zip = zip::ZipArchive::new(from).map_err(|_| ArchiveError::NotOurs)?;
        let manifest: Value = {
            let member = zip
                .by_name("manifest.json")
                .map_err(|_| ArchiveError::NotOurs)?;
            serde_json::from_reader(member.take(MANIFEST_BYTES_MAX))
                .map_err(|_| ArchiveError::NotOurs)?
        };
        let members = manifest["members"]
            .as_array()
            .ok_or(ArchiveError::NotOurs)?;
        let mut document = false;
        for one in members {
            let name = one["name"].as_str().ok_or(ArchiveError::NotOurs)?;
            document |= name == "data.json";
            let mut member = zip.by_name(name).map_err(|_| ArchiveError::Damaged)?;
            let (mut digest, mut bytes, mut part) =
                (Sha256Stream::default(), 0_u64, vec![0; 64 << 10]);
            let wanted = one["bytes"].as_u64().unwrap_or(u64::MAX);
            loop {
                let read = member.read(&mut part).map_err(|_| ArchiveError::Damaged)?;
                bytes += read as u64;
                // More than was promised is not read to its end.
                if read == 0 || bytes > wanted {
                    break;
                }
                digest.update(&part[..read]);
            }
            if bytes != wanted || one["sha256"] != hex(&digest.finish()) {
                return Err(ArchiveError::Damaged);
            }
        }
        match document {
            true => Ok(Self(zip)),
            false => Err(ArchiveError::NotOurs),
        }
    }

    /// A member's content.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotOurs`] where there is none of this name.
    pub fn member(&mut self, name: &str) -> Result<impl Read + '_, ArchiveError> {
        self.0.by_name(name).map_err(|_| ArchiveError::NotOurs)
    }
}

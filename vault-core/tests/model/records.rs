//! Writes of one person's records, and which operation on records is whose.

use serde_json::{Map, Value};
use vault_core::id::RecordId;
use vault_core::vault::Call;

use super::ops::{Change, Match, MetaPick, Op};
use super::plain::{Answered, PURPOSES, Record, named, refused, source, valid};
use super::play::{Fault, Player, same};
use super::policy::{Version, fields};

fn purpose(number: u8) -> &'static str {
    PURPOSES[usize::from(number) % PURPOSES.len()]
}

fn many(notes: bool) -> &'static str {
    if notes { "notes" } else { "messages" }
}

pub(crate) fn text_of(matching: Match, etag: Option<&str>) -> Option<String> {
    match matching {
        Match::None => None,
        Match::Any => Some("*".into()),
        Match::Right => Some(etag.unwrap_or("*").into()),
        Match::Wrong => Some("wrong".into()),
    }
}

pub(crate) fn met(matching: Match, there: bool) -> Answered<()> {
    match (matching, there) {
        (Match::None, _) | (Match::Any | Match::Right, true) => Ok(()),
        _ => refused("precondition_failed"),
    }
}

pub(crate) fn body(
    collection: &str,
    changes: &[Change],
    meta: Option<MetaPick>,
    now: i64,
) -> Map<String, Value> {
    let members = named(collection, changes).into_iter();
    let mut body: Map<String, Value> = members
        .map(|(field, value)| (field.1.to_owned(), value.unwrap_or(Value::Null)))
        .collect();
    if let Some(meta) = meta {
        body.insert("_meta".into(), meta.json(now));
    }
    body
}

fn fits(
    version: Version,
    changes: &[Change],
    collection: &str,
    meta: Option<MetaPick>,
) -> Answered<()> {
    let unknown = meta.is_some_and(|meta| meta.purposes().iter().any(|name| !version.knows(name)));
    match valid(changes, collection) && !unknown {
        true => Ok(()),
        false => refused("invalid"),
    }
}

impl Player {
    pub(crate) fn step_records(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Patch {
                who,
                purpose: p,
                changes,
                matching,
                meta,
            } => self.with(*who, |s, who| {
                s.patch(who, purpose(*p), changes, *matching, *meta)
            }),
            Op::Append {
                who,
                purpose: p,
                notes,
                bodies,
                meta,
            } => {
                // Nothing of the messages is for another purpose.
                let meta = meta.filter(|_| *notes);
                self.with(*who, |s, who| {
                    s.append(who, purpose(*p), many(*notes), bodies, meta)
                })
            }
            Op::PatchNote {
                who,
                which,
                purpose: p,
                changes,
                matching,
                meta,
            } => self.with(*who, |s, who| {
                s.patch_note(who, *which, purpose(*p), changes, *matching, *meta)
            }),
            Op::Delete {
                who,
                collection,
                which,
                matching,
            } => {
                let name = ["profile", "notes", "messages"][usize::from(*collection) % 3];
                self.with(*who, |s, who| s.delete(who, name, *which, *matching))
            }
            Op::Read {
                who,
                purpose: p,
                named,
            } => {
                let field =
                    named.map(|n| fields("profile").nth(usize::from(n) % 5).expect("five").1);
                self.with(*who, |s, who| s.read(who, purpose(*p), field))
            }
            Op::ReadOne {
                who,
                which,
                purpose: p,
            } => self.with(*who, |s, who| s.read_one(who, *which, purpose(*p))),
            Op::List {
                who,
                notes,
                newest,
                limit,
            } => self.with(*who, |s, who| {
                s.list(who, many(*notes), "support", *newest, usize::from(*limit))
            }),
            Op::Together { who, value, fails } => {
                self.with(*who, |s, who| s.together(who, *value, *fails))
            }
            Op::Once { who, name, content } => {
                self.with(*who, |s, who| s.once(who, *name, *content))
            }
            Op::Query {
                source: from,
                purpose: p,
            } => self.query(source(*from), purpose(*p)),
            Op::Update {
                source: from,
                category,
            } => self.update(source(*from), *category),
            Op::Purge { source: from } => self.purge(source(*from)),
            Op::PutBlob {
                who,
                size,
                matching,
            } => self.with(*who, |s, who| s.put_blob(who, *size, *matching)),
            Op::GetBlob { who, from, length } => {
                self.with(*who, |s, who| s.get_blob(who, *from, *length))
            }
            Op::DeleteBlob { who } => self.with(*who, Self::delete_blob),
            other => Err(format!("nobody plays {other:?}")),
        }
    }

    /// The model's side of a write of the profile.
    pub(crate) fn patched(
        &mut self,
        who: usize,
        changes: &[Change],
        meta: Option<MetaPick>,
        etag: String,
    ) {
        let now = self.world.now();
        let person = &mut self.people[who];
        let profile = person
            .profile
            .get_or_insert_with(|| Record::new(RecordId::SINGLE, now));
        profile.change("profile", changes);
        profile.set_meta(meta, now);
        profile.etag = Some(etag);
        // It stands where one that has ended stood.
        person.ended.retain(|(name, _)| *name != "profile");
    }

    pub(crate) fn patch(
        &mut self,
        who: usize,
        purpose: &str,
        changes: &[Change],
        matching: Match,
        meta: Option<MetaPick>,
    ) -> Result<(), String> {
        let now = self.world.now();
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose(purpose);
        let person = &self.people[who];
        let etag = person
            .profile
            .as_ref()
            .and_then(|record| record.etag.clone());
        let if_match = text_of(matching, etag.as_deref());
        let body = body("profile", changes, meta, now);
        let got = self.world.vault.patch_single(
            &call,
            person.subject,
            "profile",
            body,
            if_match.as_deref(),
        );
        let got = self.note(call.id, "records.patch", got);
        let person = &self.people[who];
        let wanted = person
            .may_write(self.version, "profile", purpose, changes)
            .and_then(|()| met(matching, person.profile.is_some()))
            .and_then(|()| fits(self.version, changes, "profile", meta));
        if let (Ok(written), Ok(())) = (&got, &wanted) {
            self.patched(who, changes, meta, written.etag.clone());
        }
        same("patch", got.map(drop), wanted)
    }

    pub(crate) fn append(
        &mut self,
        who: usize,
        purpose: &str,
        collection: &'static str,
        bodies: &[Vec<Change>],
        meta: Option<MetaPick>,
    ) -> Result<(), String> {
        let now = self.world.now();
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose(purpose);
        let sent = bodies
            .iter()
            .map(|changes| body(collection, changes, meta, now))
            .collect();
        let subject = self.people[who].subject;
        let got = self.world.vault.append(&call, subject, collection, sent);
        let got = self.note(call.id, "records.append", got);
        let person = &mut self.people[who];
        let all = |check: &dyn Fn(&[Change]) -> Answered<()>| {
            bodies.iter().try_for_each(|body| check(body))
        };
        let wanted = all(&|body| person.may_write(self.version, collection, purpose, body))
            .and_then(|()| all(&|body| fits(self.version, body, collection, meta)));
        if let (Ok(ids), Ok(())) = (&got, &wanted) {
            same("records appended", ids.len(), bodies.len())?;
            for (id, changes) in ids.iter().zip(bodies) {
                let mut record = Record::new(*id, now);
                record.change(collection, changes);
                record.set_meta(meta, now);
                match collection {
                    "notes" => person.notes.push(record),
                    _ => person.messages.push(record),
                }
            }
            if self.fault == Some(Fault::LosesAWrite) {
                let call = Call::new(&bot).with_purpose("support");
                let _ = self
                    .world
                    .vault
                    .delete_record(&call, subject, collection, ids[0], None);
            }
        }
        same("append", got.map(drop), wanted)
    }

    pub(crate) fn patch_note(
        &mut self,
        who: usize,
        which: u8,
        purpose: &str,
        changes: &[Change],
        matching: Match,
        meta: Option<MetaPick>,
    ) -> Result<(), String> {
        let now = self.world.now();
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose(purpose);
        let person = &self.people[who];
        let index = usize::from(which) % person.notes.len().max(1);
        let note = person.notes.get(index);
        // Of somebody without notes the one that nobody has.
        let id = note.map_or(RecordId::SINGLE, |note| note.id);
        let if_match = text_of(matching, note.and_then(|note| note.etag.as_deref()));
        let body = body("notes", changes, meta, now);
        let got = self.world.vault.patch_record(
            &call,
            person.subject,
            "notes",
            id,
            body,
            if_match.as_deref(),
        );
        let got = self.note(call.id, "records.patch", got);
        let person = &mut self.people[who];
        let wanted = person
            .may_write(self.version, "notes", purpose, changes)
            .and_then(|()| {
                if person.notes.is_empty() {
                    refused("not_found")
                } else {
                    Ok(())
                }
            })
            .and_then(|()| met(matching, true))
            .and_then(|()| fits(self.version, changes, "notes", meta));
        if let (Ok(written), Ok(())) = (&got, &wanted) {
            let note = &mut person.notes[index];
            note.change("notes", changes);
            note.set_meta(meta, now);
            note.etag = Some(written.etag.clone());
        }
        same("patch of a note", got.map(drop), wanted)
    }

    pub(crate) fn delete(
        &mut self,
        who: usize,
        collection: &'static str,
        which: u8,
        matching: Match,
    ) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let person = &self.people[who];
        let records = person.records(collection);
        let index = usize::from(which) % records.len().max(1);
        let record = records.get(index);
        let id = record.map_or(RecordId::SINGLE, |record| record.id);
        let if_match = text_of(matching, record.and_then(|record| record.etag.as_deref()));
        let there = record.is_some();
        let got = self.world.vault.delete_record(
            &call,
            person.subject,
            collection,
            id,
            if_match.as_deref(),
        );
        let got = self.note(call.id, "records.delete", got);
        let person = &mut self.people[who];
        let wanted = person.there().and_then(|()| {
            if there {
                met(matching, true)
            } else {
                refused("not_found")
            }
        });
        if wanted.is_ok() {
            match collection {
                "profile" => person.profile = None,
                "notes" => drop(person.notes.remove(index)),
                _ => drop(person.messages.remove(index)),
            }
        }
        same("delete", got.map(drop), wanted)
    }
}

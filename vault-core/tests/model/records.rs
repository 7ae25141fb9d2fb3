//! Operations on records, of one person and of many.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use vault_core::id::RecordId;
use vault_core::refusal::Refusal;
use vault_core::schema::MediaType;
use vault_core::vault::{
    Answer, BlobPlace, Call, ChangeInput, Desk, Group, ListOptions, Look, Once, Order, QueryInput,
    QueryPart, ReadOptions, Step,
};

use super::ops::{Change, Match, MetaPick, Op};
use super::plain::{Answered, PURPOSES, Person, Record, named, refused, source, valid};
use super::play::{Fault, Player, same};
use super::policy::{Version, fields};
use super::world::HOUR;

const SIZES: [usize; 6] = [0, 1, 31, 5_000, 262_080, 600_000];

fn content(number: u8) -> Vec<u8> {
    let size = SIZES[usize::from(number) % SIZES.len()];
    (0..size)
        .map(|at| (at * 31 + at / 255) as u8 ^ number)
        .collect()
}

fn purpose(number: u8) -> &'static str {
    PURPOSES[usize::from(number) % PURPOSES.len()]
}

fn many(notes: bool) -> &'static str {
    if notes { "notes" } else { "messages" }
}

fn text_of(matching: Match, etag: Option<&str>) -> Option<String> {
    match matching {
        Match::None => None,
        Match::Any => Some("*".into()),
        Match::Right => Some(etag.unwrap_or("*").into()),
        Match::Wrong => Some("wrong".into()),
    }
}

fn met(matching: Match, there: bool) -> Answered<()> {
    match (matching, there) {
        (Match::None, _) | (Match::Any | Match::Right, true) => Ok(()),
        _ => refused("precondition_failed"),
    }
}

fn body(
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

    fn patch(
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

    fn append(
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

    fn patch_note(
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

    fn delete(
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

    pub(crate) fn read(
        &mut self,
        who: usize,
        purpose: &str,
        field: Option<&'static str>,
    ) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose(purpose);
        let options = ReadOptions {
            fields: field.map(|name| vec![name.to_owned()]),
            ..ReadOptions::default()
        };
        let subject = self.people[who].subject;
        let got = self
            .world
            .vault
            .read_single(&call, subject, "profile", &options, |view, _| {
                view.map_or((json!(null), None), |view| {
                    (Value::Object(view.fields.clone()), Some(view.etag.clone()))
                })
            });
        let got = self.note(call.id, "records.read", got);
        let person = &self.people[who];
        let wanted = person
            .may_read(self.version, "profile", purpose, field)
            .map(|seen| {
                person
                    .profile
                    .as_ref()
                    .map_or((json!(null), None), |record| {
                        (Person::shown(record, purpose, &seen), record.etag.clone())
                    })
            });
        same("read", got, wanted)
    }

    fn read_one(&mut self, who: usize, which: u8, purpose: &str) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose(purpose);
        let person = &self.people[who];
        let index = usize::from(which) % person.notes.len().max(1);
        let id = person
            .notes
            .get(index)
            .map_or(RecordId::SINGLE, |note| note.id);
        let options = ReadOptions::default();
        let got =
            self.world
                .vault
                .read_record(&call, person.subject, "notes", id, &options, |view| {
                    (Value::Object(view.fields.clone()), view.etag.clone())
                });
        let got = self.note(call.id, "records.read", got);
        let person = &mut self.people[who];
        let wanted = person
            .may_read(self.version, "notes", purpose, None)
            .and_then(|seen| {
                let note = person.notes.get_mut(index).ok_or("not_found")?;
                if let (None, Ok((_, etag))) = (&note.etag, &got) {
                    note.etag = Some(etag.clone());
                }
                Ok((
                    Person::shown(note, purpose, &seen),
                    note.etag.clone().unwrap_or_default(),
                ))
            });
        same("read of a note", got, wanted)
    }

    /// A list page after page, to its end.
    pub(crate) fn list(
        &mut self,
        who: usize,
        collection: &'static str,
        purpose: &str,
        newest: bool,
        limit: usize,
    ) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let subject = self.people[who].subject;
        let order = if newest { Order::Newest } else { Order::Oldest };
        let mut options = ListOptions {
            read: ReadOptions::default(),
            limit,
            order,
            cursor: None,
        };
        let person = &self.people[who];
        let records = person.records(collection);
        let pages_max = records.len() + person.ended.len() + 2;
        let seen = person.may_read(self.version, collection, purpose, None);
        let wanted = seen.map(|seen| {
            let shown = |record: &Record| {
                (
                    record.id,
                    Person::shown(record, purpose, &seen),
                    record.source,
                    record.category.clone(),
                )
            };
            let mut wanted: Vec<_> = records.iter().map(shown).collect();
            if newest {
                wanted.reverse();
            }
            wanted
        });
        let mut found = Vec::new();
        for _ in 0..pages_max {
            let call = Call::new(&bot).with_purpose(purpose);
            let page = self
                .world
                .vault
                .list(&call, subject, collection, &options, |page| {
                    let records = page.records.iter().map(|view| {
                        let source = (0..3)
                            .map(source)
                            .find(|name| view.meta.source.as_deref() == Some(*name));
                        (
                            view.record,
                            Value::Object(view.fields.clone()),
                            source,
                            view.meta.category.clone(),
                        )
                    });
                    (records.collect::<Vec<_>>(), page.next.clone())
                });
            let page = self.note(call.id, "records.list", page);
            let (records, next) = match page {
                Ok(page) => page,
                Err(code) => return same("list", refused(&code), wanted),
            };
            found.extend(records);
            options.cursor = next;
            if options.cursor.is_none() {
                return same("list", Ok(found), wanted);
            }
        }
        Err("a list does not end".into())
    }

    /// Two writes of which both or none happen.
    fn together(&mut self, who: usize, value: u8, fails: bool) -> Result<(), String> {
        let now = self.world.now();
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let subject = self.people[who].subject;
        let first = body("notes", &[(0, Some(value))], None, now);
        let second = match fails {
            true => Map::from_iter([("name".to_owned(), json!(7))]),
            false => body("profile", &[(0, Some(value))], None, now),
        };
        let group = Group {
            changes: true,
            subject: Some(subject),
            once: None,
        };
        let got = self.world.vault.together(
            &call,
            group,
            move |desk: &mut Desk<'_, '_>, _: Option<&Done>| {
                let run = |desk: &mut Desk<'_, '_>| -> Result<Done, Refusal> {
                    let ids = desk.append(subject, "notes", std::slice::from_ref(&first))?;
                    let written = desk.patch_single(subject, "profile", second.clone(), None)?;
                    Ok(Done::Written(ids[0], written.etag))
                };
                run(desk).map_err(|refusal| Done::Refused(refusal.code()))
            },
        );
        let got = got.map_err(|refusal| refusal.to_string())?;
        let wanted = self.people[who]
            .there()
            .and_then(|()| if fails { refused("invalid") } else { Ok(()) });
        let got = match got {
            Ok(Done::Written(id, etag)) => {
                if wanted.is_ok() {
                    let mut note = Record::new(id, now);
                    note.change("notes", &[(0, Some(value))]);
                    self.people[who].notes.push(note);
                    self.patched(who, &[(0, Some(value))], None, etag);
                }
                self.note(call.id, "records.append", Ok(()))
            }
            Ok(Done::Refused(code)) | Err(Done::Refused(code)) => refused(code),
            Err(Done::Written(..)) => return Err("an answer on the wrong side".into()),
        };
        same("together", got, wanted)
    }

    /// A call that may be sent again.
    fn once(&mut self, who: usize, name: u8, content: u8) -> Result<(), String> {
        let now = self.world.now();
        let (key, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let subject = self.people[who].subject;
        let sent = body("notes", &[(0, Some(content))], None, now);
        let once = Once::new(&format!("name {name}"), [content; 32]);
        let group = Group {
            changes: true,
            subject: Some(subject),
            once: Some(once),
        };
        let got = self.world.vault.together(
            &call,
            group,
            move |desk: &mut Desk<'_, '_>, _: Option<&String>| {
                let run = |desk: &mut Desk<'_, '_>| -> Result<String, Refusal> {
                    if let Some(answers) = desk.recall(subject)? {
                        return Ok(String::from_utf8_lossy(&answers[0].body).into_owned());
                    }
                    let id =
                        desk.append(subject, "notes", std::slice::from_ref(&sent))?[0].to_string();
                    let answer = Answer {
                        operation: 0,
                        status: 201,
                        body: id.clone().into_bytes(),
                        etag: None,
                        location: None,
                    };
                    desk.keep(subject, Some(vec![answer]))?;
                    Ok(id)
                };
                run(desk).map_err(|refusal| refusal.code().to_owned())
            },
        );
        let got = got.map_err(|refusal| refusal.to_string())?;
        let person = &mut self.people[who];
        let known = person
            .answers
            .get(&(key, name))
            .filter(|(_, _, at)| at + 24 * HOUR > now);
        match (person.there(), known) {
            (Err(code), _) => same("repeatable call", got, Err(code)),
            (_, Some((of, answer, _))) if *of == content => {
                same("repeated call", got, Ok(answer.clone()))
            }
            (_, Some(_)) => same(
                "another call of the same name",
                got,
                refused("idempotency_mismatch"),
            ),
            (_, None) => {
                let id = got.map_err(|code| format!("repeatable call: {code}"))?;
                let record = id.parse().map_err(|_| "a record's id")?;
                same(
                    "whether a call was made anew",
                    person.notes.iter().any(|note| note.id == record),
                    false,
                )?;
                let mut note = Record::new(record, now);
                note.change("notes", &[(0, Some(content))]);
                person.notes.push(note);
                person.answers.insert((key, name), (content, id, now));
                Ok(())
            }
        }
    }

    fn query(&mut self, from: &str, purpose: &str) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose(purpose);
        let input = QueryInput {
            collection: "notes".into(),
            fields: None,
            conditions: json!({ "source": from }),
            part: QueryPart::Both,
            limit: None,
            cursor: None,
        };
        let mut lines = Vec::new();
        let vault = self.world.vault.clone();
        let got = vault.query(&call, input).and_then(|mut query| {
            while vault.query_step(&mut query, &mut |part| lines.extend(part))? == Step::More {}
            vault.finish_query(&query)
        });
        let got = self.note(call.id, "records.query", got);
        let shown: Vec<&str> = fields("notes")
            .filter(|field| self.version.shows(field) && field.2.contains(&purpose))
            .map(|field| field.1)
            .collect();
        if !self.version.knows(purpose) || shown.is_empty() {
            return same("query", got.map(drop), refused("purpose_denied"));
        }
        same("query", got.map(drop), Ok(()))?;
        let found = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let found = found.map(|line| {
            let line: Value = serde_json::from_slice(line).map_err(|_| "a line is no JSON")?;
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            Ok(((text("subject"), text("record")), line["fields"].clone()))
        });
        let found: BTreeMap<(String, String), Value> = found.collect::<Result<_, String>>()?;
        let mut wanted = BTreeMap::new();
        for person in self.people.iter().filter(|person| person.erased.is_none()) {
            for note in person
                .notes
                .iter()
                .filter(|n| n.source == Some(from) && n.serves(purpose))
            {
                let key = (person.subject.to_string(), note.id.to_string());
                wanted.insert(key, Person::shown(note, purpose, &shown));
            }
        }
        same("lines of a query", found, wanted)
    }

    fn change(from: &str) -> ChangeInput {
        ChangeInput {
            collection: "notes".into(),
            conditions: json!({ "source": from }),
            dry_run: false,
        }
    }

    fn update(&mut self, from: &str, category: u8) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let category = format!("category {}", category % 3);
        let got = self.world.vault.update_records(
            &call,
            &Self::change(from),
            &json!({ "category": category }),
        );
        let got = self.note(call.id, "records.update", got);
        let mut count = 0;
        for note in self.people.iter_mut().flat_map(|person| &mut person.notes) {
            if note.source == Some(from) {
                count += 1;
                note.category = Some(category.clone());
                note.etag = None;
            }
        }
        same("update of many", got.map(|done| done.count), Ok(count))
    }

    fn purge(&mut self, from: &str) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let got = self.world.vault.purge_records(&call, &Self::change(from));
        let purged = self
            .note(call.id, "records.purge", got)
            .map_err(|code| format!("purge: {code}"))?;
        let (mut least, mut ended) = (0, 0);
        for person in &mut self.people {
            let meant = |record: &Record| record.source == Some(from);
            least += person.notes.extract_if(.., |note| meant(note)).count() as u64;
            ended += person
                .ended
                .extract_if(.., |(name, record)| *name == "notes" && meant(record))
                .count() as u64;
        }
        if !(least..=least + ended).contains(&purged.count) {
            return Err(format!(
                "purge: {} records, the model has {least}, and {ended} that ended",
                purged.count
            ));
        }
        same(
            "whether a purge has a receipt",
            purged.receipt.is_some(),
            purged.count > 0,
        )
    }

    fn paper(&self, who: usize) -> BlobPlace {
        BlobPlace {
            subject: self.people[who].subject,
            collection: "files".into(),
            record: None,
            field: "paper".into(),
        }
    }

    fn put_blob(&mut self, who: usize, size: u8, matching: Match) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let place = self.paper(who);
        let there = self.people[who].paper.is_some();
        // A paper that was taken out leaves its record, whose revision the model does not follow.
        let matching = if there { matching } else { Match::None };
        let etag = self.people[who]
            .paper
            .as_ref()
            .map(|(_, etag)| etag.as_str());
        let if_match = text_of(matching, etag);
        let content = content(size);
        let kind = MediaType::parse("text/plain").expect("a media type");
        let got = self.world.vault.begin_upload(
            &call,
            place,
            kind,
            Some(content.len() as u64),
            if_match.as_deref(),
        );
        let got = got.and_then(|mut upload| {
            content
                .chunks(100_000)
                .try_for_each(|part| upload.write(part))?;
            upload.finish()
        });
        let got = self.note(call.id, "blobs.write", got);
        let person = &mut self.people[who];
        let wanted = person.there().and_then(|()| met(matching, there));
        if let (Ok(written), Ok(())) = (&got, &wanted) {
            person.paper = Some((content, written.etag.clone()));
        }
        same("upload", got.map(drop), wanted)
    }

    pub(crate) fn get_blob(&mut self, who: usize, from: u32, length: u32) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let got = self
            .world
            .vault
            .open_blob(&call, self.paper(who), Look::Content);
        let got = self.note(call.id, "blobs.read", got);
        let person = &self.people[who];
        let wanted = person
            .there()
            .and_then(|()| person.paper.as_ref().ok_or("not_found".into()));
        let (download, (content, etag)) = match (got, wanted) {
            (Ok(download), Ok(paper)) => (download, paper),
            (got, wanted) => return same("download", got.map(drop), wanted.map(drop)),
        };
        same("a blob's revision", download.etag(), etag)?;
        same("a blob's size", download.size(), content.len() as u64)?;
        let (from, to) = (
            u64::from(from),
            (u64::from(from) + u64::from(length)).min(download.size()),
        );
        let (mut found, mut at) = (Vec::new(), from);
        while at < to {
            let part = download
                .read(at, to)
                .map_err(|refusal| refusal.to_string())?;
            if part.is_empty() {
                return Err("a download stands still".into());
            }
            at += part.len() as u64;
            found.extend(part);
        }
        let part = content.get(from as usize..to as usize).unwrap_or_default();
        same(
            "whether a blob's content is what was put",
            found == part,
            true,
        )
    }

    fn delete_blob(&mut self, who: usize) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let got = self.world.vault.delete_blob(&call, self.paper(who), None);
        let got = self.note(call.id, "blobs.delete", got);
        let person = &mut self.people[who];
        let wanted = person
            .there()
            .and_then(|()| person.paper.take().map(drop).ok_or("not_found".into()));
        same("deletion of a blob", got.map(drop), wanted)
    }

    /// Every look-up value that the model knows of, and a few that nobody has.
    pub(crate) fn values(&self) -> BTreeSet<(u8, u8)> {
        let emails = (0..10).flat_map(|value| [(0, value), (2, value)]);
        emails.chain((0..6).map(|value| (1, value))).collect()
    }
}

/// What two writes together answered.
enum Done {
    Written(RecordId, String),
    Refused(&'static str),
}

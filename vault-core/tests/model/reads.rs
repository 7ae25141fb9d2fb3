//! Reads of one person's records, and their papers.

use serde_json::{Value, json};
use vault_core::id::RecordId;
use vault_core::schema::MediaType;
use vault_core::vault::{BlobPlace, Call, ListOptions, Look, Order, ReadOptions};

use super::ops::Match;
use super::plain::{Person, Record, refused, source};
use super::play::{Player, same};
use super::records::{met, text_of};

const SIZES: [usize; 6] = [0, 1, 31, 5_000, 262_080, 600_000];

fn content(number: u8) -> Vec<u8> {
    let size = SIZES[usize::from(number) % SIZES.len()];
    (0..size)
        .map(|at| (at * 31 + at / 255) as u8 ^ number)
        .collect()
}

impl Player {
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

    pub(crate) fn read_one(&mut self, who: usize, which: u8, purpose: &str) -> Result<(), String> {
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

    pub(crate) fn paper(&self, who: usize) -> BlobPlace {
        BlobPlace {
            subject: self.people[who].subject,
            collection: "files".into(),
            record: None,
            field: "paper".into(),
        }
    }

    pub(crate) fn put_blob(&mut self, who: usize, size: u8, matching: Match) -> Result<(), String> {
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

    pub(crate) fn delete_blob(&mut self, who: usize) -> Result<(), String> {
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
}

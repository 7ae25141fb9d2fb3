//! Calls that run together, and calls that may be sent again.

use serde_json::{Map, json};
use vault_core::id::RecordId;
use vault_core::refusal::Refusal;
use vault_core::vault::{Answer, Call, Desk, Group, Once};

use super::plain::{Record, refused};
use super::play::{Player, same};
use super::records::body;
use super::world::HOUR;

impl Player {
    /// Two writes of which both or none happen.
    pub(crate) fn together(&mut self, who: usize, value: u8, fails: bool) -> Result<(), String> {
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
    pub(crate) fn once(&mut self, who: usize, name: u8, content: u8) -> Result<(), String> {
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
}

/// What two writes together answered.
enum Done {
    Written(RecordId, String),
    Refused(&'static str),
}

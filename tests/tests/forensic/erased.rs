//! People who were erased, one alone and several at the same time.
//!
//! Counts as failure: with the passphrase and the anchor as it is after the acknowledgement, anything
//! of an erased person opens at any offset: the entry of the people map, a keyset, metadata, a value,
//! a blob's key or content, a consent, the person's own row, an entry of the index under their id or at the position of one of
//! their look-up values; or any text that opens holds their id or a word of their values. The database
//! is taken after the erasure, and with it every copy from before.
//!
//! Does not count: the tombstone under the hash of their id, and plain keys of freed rows.
//!
//! The control is the same reader with the anchor from before: of the one database file as it is *after*
//! the erasure it must find every one of these things, or it would prove nothing. For those erased
//! together it reads the copy from just before as well. The nearest violation, an old slot of the
//! anchor that was left as it was, must be found too.

use std::collections::HashSet;
use std::sync::Barrier;

use serde_json::{Value, json};

use super::cipher::Id;
use super::files::Image;
use super::hunt::{QUIETLY, hunt};
use super::loot::{Hints, Loot};
use super::person::Person;
use super::raw::Raw;
use super::scene::Scene;
use super::unlock::roots;

/// How much was found of a person, by kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    people: usize,
    keysets: usize,
    metas: usize,
    values: usize,
    /// Keys of blobs, and their contents.
    blobs: usize,
    contents: usize,
    rows: usize,
    consents: usize,
    answers: usize,
    sessions: usize,
    requests: usize,
    decisions: usize,
    /// Entries of the index that name them.
    index: usize,
    /// Look-up values at whose position an entry was found.
    positions: usize,
    /// Texts that hold a word of theirs.
    texts: usize,
}

/// What there must be of a person with everything whose state `of` the database shows.
fn everything_of(person: &Person, handle: &Id, loot: &Loot) {
    let name = &person.name;
    let values: HashSet<&str> = loot
        .values
        .iter()
        .filter(|(of, ..)| of == handle)
        .map(|(.., text)| std::str::from_utf8(text).unwrap())
        .collect();
    for value in person.values() {
        assert!(values.contains(&*value), "{name}: {value}");
    }
    let photograph = (*handle, person.photograph());
    assert!(
        loot.contents.contains(&photograph),
        "{name}: the photograph"
    );
    let metas = loot.metas.iter().filter(|(of, ..)| of == handle);
    let records: HashSet<_> = metas.map(|(_, record, _)| record).collect();
    assert_eq!(records.len(), 4, "{name}: profile, two messages, booking");
    let consents: Vec<Value> = loot
        .consents
        .iter()
        .filter(|(of, _)| of == handle)
        .map(|(_, text)| serde_json::from_slice(text).unwrap())
        .collect();
    for state in ["given", "withdrawn"] {
        assert!(consents.iter().any(|c| c["state"] == state), "{name}");
    }
    let sum = sum(person, Some(handle), loot);
    assert_eq!(sum.positions, 4, "{name}: every look-up value");
    let least = [
        sum.people,
        sum.keysets,
        sum.rows,
        sum.index - 3,
        sum.texts,
        sum.answers,
        sum.sessions,
        sum.requests,
        sum.decisions,
    ];
    assert!(least.iter().all(|count| *count > 0), "{name}: {sum:?}");
}

fn sum(person: &Person, handle: Option<&Id>, loot: &Loot) -> Sum {
    let (id, handle) = (person.id(), handle.copied());
    let of = |other: &Id| Some(*other) == handle;
    let positions = person.normal_forms();
    let found = positions.iter().filter(|form| loot.holds_position(form));
    let canaries = person.canaries();
    let mut needles: Vec<&[u8]> = canaries.iter().map(|text| text.as_bytes()).collect();
    needles.push(&id);
    Sum {
        people: loot
            .people
            .iter()
            .filter(|p| p.tag == id || of(&p.handle))
            .count(),
        keysets: loot
            .keysets
            .iter()
            .filter(|(h, k)| k.subject == id || of(h))
            .count(),
        metas: loot.metas.iter().filter(|(h, ..)| of(h)).count(),
        values: loot.values.iter().filter(|(h, ..)| of(h)).count(),
        blobs: loot.blobs.iter().filter(|(h, ..)| of(h)).count(),
        contents: loot.contents.iter().filter(|(h, _)| of(h)).count(),
        rows: loot.subjects.iter().filter(|(h, _)| of(h)).count(),
        consents: loot.consents.iter().filter(|(h, _)| of(h)).count(),
        sessions: loot.sessions.iter().filter(|(h, _)| of(h)).count(),
        requests: loot.requests.iter().filter(|(h, _)| of(h)).count(),
        decisions: loot.decisions.iter().filter(|(h, _)| of(h)).count(),
        answers: loot.answers.iter().filter(|(h, _)| of(h)).count(),
        index: loot
            .index
            .iter()
            .filter(|e| e.subject == id || of(&e.handle))
            .count(),
        positions: found.count(),
        texts: texts(loot, &needles),
    }
}

/// How many of the texts that opened hold one of these.
pub(crate) fn texts(loot: &Loot, needles: &[&[u8]]) -> usize {
    let holds = |text: &&Vec<u8>| {
        let holds = |needle: &&[u8]| text.windows(needle.len()).any(|w| w == *needle);
        needles.iter().any(holds)
    };
    loot.texts.iter().filter(holds).count()
}

#[expect(clippy::print_stdout, reason = "shown by --nocapture")]
pub(crate) fn tell(what: &str, raw: &Raw, loot: &Loot, of_the_gone: usize) {
    println!(
        "{what}: {} bytes, {} offsets, {} keys tried, {} texts opened, {of_the_gone} of them of what is gone",
        raw.size(),
        raw.places(),
        loot.keys_tried,
        loot.texts.len(),
    );
}

fn handle_of(person: &Person, loot: &Loot) -> Id {
    let entry = loot.people.iter().find(|entry| entry.tag == person.id());
    entry.expect("the control finds the person").handle
}

/// One erasure, or several, and the files around it.
struct Trial<'a> {
    what: &'a str,
    before: &'a Image,
    after: &'a Image,
    /// What the control reads.
    control: &'a [&'a Image],
    /// Everything: databases from all moments.
    copies: &'a [&'a Image],
    erased: &'a [&'a Person],
    /// Those erased before.
    gone: &'a [&'a Person],
    others: &'a [&'a Person],
    passphrase: &'a str,
}

impl Trial<'_> {
    fn hunt(&self, what: &str, raw: &Raw, anchor: &[u8], hints: &Hints) -> Loot {
        let roots = roots(&self.after.slots, self.passphrase);
        assert!(roots == self::roots(&self.before.slots, self.passphrase));
        let journals: [&[u8]; 2] = [&self.after.journal, &self.after.ledger];
        let loot = hunt(raw, &journals, &[anchor], &roots, hints, QUIETLY);
        let needles: Vec<String> = self.erased.iter().flat_map(|p| p.canaries()).collect();
        let needles: Vec<&[u8]> = needles.iter().map(|text| text.as_bytes()).collect();
        tell(
            &format!("{}, {what}", self.what),
            raw,
            &loot,
            texts(&loot, &needles),
        );
        loot
    }

    fn run(&self) {
        let raw = |images: &[&Image]| {
            let files: Vec<&[u8]> = images.iter().map(|image| &*image.database).collect();
            Raw::new(&files)
        };
        let all = raw(self.copies);

        // The control: the anchor from before, the database from after.
        let after = raw(self.control);
        let control = self.hunt("old anchor", &after, &self.before.anchor, &Hints::default());
        let mut hints = Hints::default();
        for person in self.erased {
            let handle = handle_of(person, &control);
            everything_of(person, &handle, &control);
            hints.handles.insert(handle);
            hints.subjects.push(person.id());
        }

        // What is promised, with every other copy, and the erased persons' handles, besides.
        let loot = self.hunt("erased", &all, &self.after.anchor, &hints);
        for person in self.erased {
            let handle = handle_of(person, &control);
            let sum = sum(person, Some(&handle), &loot);
            assert_eq!(sum, Sum::default(), "something of {} opens", person.name);
        }
        for person in self.gone {
            let sum = sum(person, None, &loot);
            assert_eq!(sum, Sum::default(), "something of {} opens", person.name);
        }
        for person in self.others {
            everything_of(person, &handle_of(person, &loot), &loot);
        }

        // The nearest violation: all is as it should be, but the old slot was not overwritten.
        let mut anchor = self.after.anchor.clone();
        for at in [65_536, 589_824] {
            let old = &self.before.anchor[at..at + 4096];
            if old.starts_with(b"vlt-anch") {
                anchor[at..at + 4096].copy_from_slice(old);
            }
        }
        let loot = self.hunt("old slot left", &all, &anchor, &Hints::default());
        for person in self.erased {
            let handle = handle_of(person, &loot);
            everything_of(person, &handle, &loot);
            let was = format!("\"{} Vandermolen\"", person.name);
            let replaced = |(.., text): &(_, _, _, Vec<u8>)| text == was.as_bytes();
            assert!(loot.values.iter().any(replaced), "{was}: a copy holds it");
        }
    }
}

/// Their values as they were first lie in freed pages from then on.
fn correct(scene: &Scene, person: &mut Person) {
    let changed = json!({
        "name": format!("{} Wijngaarden", person.name),
        "email": format!("{}@post.example.test", person.name.to_lowercase()),
    });
    scene.records("PATCH", &person.subject, "profile", &changed);
    for (name, value) in changed.as_object().unwrap() {
        person.profile[name] = value.clone();
    }
}

fn erase(scene: &Scene, person: &Person) {
    let path = format!("subjects/{}", person.subject);
    scene.call("dpo", "DELETE", &path, &Value::Null);
}

#[test]
fn after_an_erasure_no_key_that_can_be_derived_opens_anything_of_the_person_at_any_offset() {
    let scene = Scene::open();
    scene.crowd();
    let names = ["Alida", "Bertus", "Cornelia", "Dirkje", "Evert"];
    let mut people = names.map(|name| scene.person(name));
    people.iter().for_each(|person| scene.converse(person));
    people.iter().for_each(|person| scene.ask(person));
    let first = scene.image();
    people.iter_mut().for_each(|person| correct(&scene, person));
    let [alone, a, b, c, stays] = &people;
    let before = scene.image();
    erase(&scene, alone);
    let between = scene.image();
    let together = Barrier::new(3);
    std::thread::scope(|threads| {
        for person in [a, b, c] {
            threads.spawn(|| {
                together.wait();
                erase(&scene, person);
            });
        }
    });
    // The end of the server may cut free pages off the file, so the control reads it before.
    let after = scene.image();
    let passphrase = &*scene.passphrase.clone();
    let (stopped, _kept) = scene.stop();
    assert!(stopped.anchor == after.anchor);
    let one = Trial {
        what: "one alone",
        before: &before,
        after: &between,
        control: &[&between],
        copies: &[&first, &before, &between],
        erased: &[alone],
        gone: &[],
        others: &[a, b, c, stays],
        passphrase,
    };
    let three = Trial {
        what: "three together",
        before: &between,
        after: &after,
        // They may take more than one commit, and the store uses pages again that an earlier commit
        // freed: of this control the copy from just before is a part.
        control: &[&between, &after],
        copies: &[&first, &before, &between, &after, &stopped],
        erased: &[a, b, c],
        gone: &[alone],
        others: &[stays],
        passphrase,
    };
    std::thread::scope(|threads| {
        threads.spawn(|| one.run());
        three.run();
    });
}

//! The tables of people, of the log and of what belongs to nobody, row by row, and the read journal:
//! docs/format.md "Rows", "Records" and "Read journal". What each holds is compared with what the
//! calls of the test sent and were answered.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cipher::{CHUNK, Id, Place, chunk_nonce, mac, open_chunk, sha256, unpadded};
use super::form::{self, Blob, Entry, MetaRow, PolicyRow, State};
use super::format::{EXPIRES, HOUR, OCCURRED, Story};
use super::journal;
use super::live::Live;
use super::person::{base32, bits};

/// A record as it was read: metadata, expiry hour, values by field, compartment and period.
struct Record {
    meta: MetaRow,
    expiry: u32,
    values: BTreeMap<u16, String>,
    blobs: BTreeMap<u16, Blob>,
    within: (u16, u32),
    id: [u8; 24],
}

pub(crate) fn records(live: &mut Live, story: &Story, policy: &PolicyRow) {
    let mut values = live.rows(4);
    let mut of_collection: BTreeMap<u16, Vec<Record>> = BTreeMap::new();
    for (key, sealed) in live.rows(5) {
        let (handle, collection) = (&key[..16], u16::from_be_bytes([key[16], key[17]]));
        assert_eq!(
            handle,
            live.handle(&story.kept.id()),
            "nobody else has records"
        );
        let place = Place {
            collection,
            record: &key[18..],
            revision: &sealed[..4],
            ..Place::row(5, handle)
        };
        let (text, within) = live.personal(place, &sealed[4..]);
        let meta = form::meta_row(&text);
        let mut record = Record {
            expiry: u32::from_be_bytes(sealed[..4].try_into().unwrap()),
            values: BTreeMap::new(),
            blobs: BTreeMap::new(),
            within,
            id: key[18..].try_into().unwrap(),
            meta,
        };
        for (field, envelope) in form::envelopes(&values.remove(&key).unwrap()) {
            let (revision, policy) = record.meta.written_at(field);
            let place = Place {
                field,
                revision: &revision,
                policy,
                ..Place { table: 4, ..place }
            };
            let (text, inside) = live.personal(place, &envelope);
            assert_eq!(inside, within);
            if text[0] == 1 {
                record.blobs.insert(field, form::blob(&text));
                continue;
            }
            record
                .values
                .insert(field, String::from_utf8(text).unwrap());
        }
        of_collection.entry(collection).or_default().push(record);
    }
    assert!(values.is_empty(), "values without metadata");
    let created = |record: &Record| (story.from..=story.to).contains(&record.meta.created);

    let (number, fields) = policy.collection("profile");
    let [profile] = &of_collection[&number][..] else {
        panic!("one profile")
    };
    let stored = story.kept.profile.as_object().unwrap();
    let expected = stored
        .iter()
        .map(|(name, v)| (fields.get(name), v.to_string()));
    assert_eq!(profile.values, expected.collect());
    assert_eq!((profile.id, profile.within), ([0; 24], (1, 0)));
    let photo = fields.get("photo");
    blob(live, story, (number, photo), &profile.blobs[&photo]);
    assert_eq!(profile.blobs.len(), 1);
    // The name was written last, under the second policy; the rest keeps what it had.
    assert_eq!(profile.meta.policy, 2);
    let older: Vec<(u16, u32)> = profile
        .meta
        .older
        .iter()
        .map(|(f, _, v)| (*f, *v))
        .collect();
    let expected = ["email", "phone", "birth", "slots", "photo"].map(|name| (fields.get(name), 1));
    assert!(expected.iter().all(|field| older.contains(field)) && older.len() == 5);
    let meta = &profile.meta;
    assert_eq!(meta.purposes, [policy.purposes.get("support")]);
    assert_eq!((meta.expires, meta.occurred), (Some(EXPIRES), None));
    assert_eq!(meta.source.as_deref(), Some("web form"));
    assert_eq!(meta.shared_with, ["carrier"]);
    assert_eq!(meta.category.as_deref(), Some("islands"));
    assert_eq!(i64::from(profile.expiry), EXPIRES / HOUR + 1);
    assert!(created(profile));

    let (number, fields) = policy.collection("messages");
    let messages = &of_collection[&number];
    let texts: Vec<&str> = messages
        .iter()
        .map(|m| &*m.values[&fields.get("text")])
        .collect();
    let expected = [
        "Hanna lost two suitcases",
        "Hanna found it again",
        "Hanna waits",
    ];
    assert_eq!(texts, expected.map(|text| format!("\"{text}\"")));
    for (sequence, message) in (0u32..).zip(messages) {
        let hour = u32::try_from(message.meta.created / HOUR).unwrap();
        // A collection that keeps for 90 days has periods of three.
        assert_eq!(message.within, (16 + number, hour - hour % 72));
        assert_eq!(message.expiry, hour + 90 * 24 + 1);
        assert_eq!(message.id[..4], hour.to_be_bytes());
        let across_an_hour = story.from / HOUR != story.to / HOUR;
        assert!(across_an_hour || message.id[4..8] == sequence.to_be_bytes());
        assert!(created(message));
    }
    assert_eq!(messages[2].meta.occurred, Some(OCCURRED));
    assert_eq!(
        base32(story.kept.message.strip_prefix("rec_").unwrap()),
        messages[0].id
    );

    let (number, fields) = policy.collection("bookings");
    let [booking] = &of_collection[&number][..] else {
        panic!("one booking")
    };
    let expected = [("number", "\"bk-hanna\""), ("cabin", "1177")];
    let expected = expected.map(|(name, text)| (fields.get(name), text.to_owned()));
    assert_eq!(booking.values, BTreeMap::from(expected));
    assert_eq!((booking.within, booking.expiry), ((1, 0), 0));
    // Its values keep the revision and the policy that they were written at.
    assert_eq!(booking.meta.source.as_deref(), Some("desk"));
    let (revision, version) = booking.meta.values.unwrap();
    assert_eq!(
        (booking.meta.policy, version, &booking.meta.older[..]),
        (2, 1, &[][..])
    );
    assert_ne!(booking.meta.revision, revision);
    assert_eq!(of_collection.len(), 3);
}

/// Tables 14 and 15: the chunks of the one blob that there is, and no blob without a field.
fn blob(live: &mut Live, story: &Story, (collection, field): (u16, u16), blob: &Blob) {
    assert_eq!(blob.media_type, "image/jpeg");
    let handle = live.handle(&story.kept.id());
    let row = [handle, blob.id].concat();
    let place = Place {
        collection,
        record: &[0; 24],
        field,
        ..Place::row(14, &row)
    };
    let mut text = Vec::new();
    let rows = live.rows(14);
    assert_eq!(rows.len(), 2);
    for (number, (key, sealed)) in (0u32..).zip(&rows) {
        assert_eq!(key[..], [&row[..], &number.to_be_bytes()].concat());
        let nonce = chunk_nonce(&blob.prefix, number, number == 1);
        text.extend(open_chunk(&blob.key, &nonce, &live.vault, &place, sealed).unwrap());
        assert!(number == 1 || text.len() == CHUNK);
    }
    assert_eq!(blob.size as usize, unpadded(&text).unwrap());
    text.truncate(blob.size as usize);
    assert!(text == story.photograph);
    assert!(live.rows(15).is_empty());
}

/// Tables 6, 7 and 12; the tag of the kept person's entries of this day.
pub(crate) fn rest_of_people(live: &mut Live, story: &Story, policy: &PolicyRow) -> Id {
    let kept = live.handle(&story.kept.id());
    let rows = live.rows(6);
    assert_eq!(rows.len(), live.people.len());
    for (handle, sealed) in rows {
        let (text, within) = live.personal(Place::row(6, &handle), &sealed);
        let row = form::subject_row(&text);
        assert_eq!((within, &*row.channel), ((0, 0), "web"));
        assert_eq!(row.user == "user-hanna", handle == kept, "{}", row.user);
        assert!((story.from..=story.to).contains(&row.created));
    }
    let mut events = Vec::new();
    for (key, sealed) in live.rows(7) {
        assert_eq!(key[..16], kept);
        let purpose = u16::from_be_bytes([key[16], key[17]]);
        assert_eq!(purpose, policy.purposes.get("newsletter"));
        let place = Place {
            collection: purpose,
            record: &key[18..],
            ..Place::row(7, &kept)
        };
        let (text, within) = live.personal(place, &sealed);
        assert_eq!(within, (2, 0));
        let sequence = u32::from_be_bytes(key[18..].try_into().unwrap());
        assert_eq!(sequence as usize, events.len());
        let event: Value = serde_json::from_slice(&text).unwrap();
        let members: Vec<&str> = event.as_object().unwrap().keys().map(|k| &**k).collect();
        let all = ["consent", "state", "at", "notice", "choice", "message_id"];
        assert_eq!(members, all);
        assert!(event["consent"].as_str().unwrap().starts_with("cns_"));
        let said = [&event["state"], &event["notice"], &event["message_id"]];
        events.push(said.map(|value| value.as_str().map(str::to_owned)));
    }
    let text = |text: &str| Some(text.to_owned());
    let given = [text("given"), text("v1"), text("m-hanna-said")];
    assert_eq!(events, [given, [text("withdrawn"), None, None]]);
    // The name was replaced after the run of the sweeper: the general compartment waits for a key.
    let marked: Vec<_> = live.rows(12).into_iter().collect();
    let [(key, hour)] = &marked[..] else {
        panic!("one compartment is marked")
    };
    assert_eq!(key[..], [&kept[..], &[0, 1], &[0; 4]].concat());
    let hour = i64::from(u32::from_be_bytes(hour[..].try_into().unwrap()));
    assert!((story.from / HOUR..=story.to / HOUR).contains(&hour));
    let day = u32::try_from(story.to / (24 * HOUR)).unwrap().to_be_bytes();
    let tag = mac(&live.keysets[&kept].audit, &[b"day", &day]);
    tag[..16].try_into().unwrap()
}

pub(crate) fn sessions(live: &mut Live, story: &Story, policy: &PolicyRow) {
    let kept = live.handle(&story.kept.id());
    let rows: Vec<_> = live.rows(13).into_iter().collect();
    let [(key, sealed)] = &rows[..] else {
        panic!("one session began")
    };
    let name = bits(story.session["session"].as_str().unwrap());
    assert_eq!(key[..], [&kept[..], &name[..]].concat());
    let place = Place {
        record: &key[16..],
        ..Place::row(13, &kept)
    };
    let (text, within) = live.personal(place, sealed);
    assert_eq!(within, (0, 0));
    let row = form::session_row(&text);
    let token = story.session["token"].as_str().unwrap();
    let token = token.strip_prefix("vs_").unwrap();
    let token = data_encoding::BASE64URL_NOPAD
        .decode(token.as_bytes())
        .unwrap();
    assert_eq!(
        (&token[..16], &token[16..32]),
        (&story.kept.id()[..], &name[..])
    );
    assert_eq!((row.secret, token.len()), (sha256(&token[32..]), 64));
    let (_, maker) = story.keys.iter().find(|(role, _)| role == "bot").unwrap();
    let maker = maker.strip_prefix("vk_").unwrap();
    let maker = data_encoding::BASE64URL_NOPAD.decode(maker.as_bytes());
    assert_eq!(row.key, sha256(&maker.unwrap()));
    assert_ne!(row.token, bits(story.revoked.as_str().unwrap()));
    assert_eq!((&*row.role, &*row.purpose), ("bot", "support"));
    let (profile, fields) = policy.collection("profile");
    assert_eq!(row.fields, [(profile, fields.get("name"))]);
    assert_eq!((row.left, row.revoked), ([2, 2], false));
    assert_eq!(row.expires - row.created, 900_000);
}

/// The one call of the story that may be sent again.
pub(crate) fn answers(live: &mut Live, story: &Story) {
    let kept = live.handle(&story.kept.id());
    let rows: Vec<_> = live.rows(16).into_iter().collect();
    let [(key, sealed)] = &rows[..] else {
        panic!("one call of a person who is there can be sent again")
    };
    let (_, bot) = story.keys.iter().find(|(role, _)| role == "bot").unwrap();
    let bot = bot.strip_prefix("vk_").unwrap();
    let bot = data_encoding::BASE64URL_NOPAD.decode(bot.as_bytes());
    let parts: [&[u8]; 4] = [b"answer", &sha256(&bot.unwrap()), &[], b"k-hanna"];
    let mark = mac(&live.keysets[&kept].audit, &parts);
    assert_eq!(key[..], [&kept[..], &mark[..]].concat());
    let place = Place {
        record: &key[16..],
        ..Place::row(16, &kept)
    };
    let (text, within) = live.personal(place, sealed);
    let row = form::answer_row(&text);
    assert!((story.from..=story.to).contains(&row.at));
    let hour = u32::try_from(row.at / HOUR).unwrap();
    assert_eq!(within, (3, hour - hour % 24));
    let path = format!("/v1/subjects/{}/records/messages", story.kept.subject);
    let body = r#"[{"text":"Hanna lost a suitcase"},{"text":"Hanna found it again"}]"#;
    let parts = ["POST", &path, "support", "", "", body].map(|part| {
        let length = (part.len() as u64).to_be_bytes();
        [&length[..], part.as_bytes()].concat()
    });
    assert_eq!(row.fingerprint, sha256(&parts.concat()));
    let answers = row.answers.unwrap();
    let [(0, 201, body, None, None)] = &answers[..] else {
        panic!("it was answered 201, with a body and nothing else")
    };
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["records"][0], story.kept.message);
}

pub(crate) fn tombstones(live: &mut Live, story: &Story, epoch: u64) {
    let rows: Vec<_> = live.rows(8).into_iter().collect();
    let [(key, sealed)] = &rows[..] else {
        panic!("one person was erased")
    };
    assert_eq!(key[..], sha256(&story.erased.id()));
    let stone = form::tombstone(&live.sealed_by_system(8, key, sealed));
    let days = story.from / (24 * HOUR)..=story.to / (24 * HOUR);
    assert!(days.contains(&i64::from(stone.day)));
    assert_eq!(stone.epoch, epoch);
    let body = &story.receipt["body"];
    assert_eq!(stone.receipt, bits(body["receipt"].as_str().unwrap()));
    assert_eq!(body["epoch_after"], epoch);
}

pub(crate) fn api_keys(live: &mut Live, story: &Story) {
    let rows = live.rows(10);
    assert_eq!(rows.len(), story.keys.len());
    for (role, text) in &story.keys {
        let secret = text.strip_prefix("vk_").unwrap();
        let secret = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes());
        let hash = sha256(&secret.unwrap());
        let row = form::token_row(&live.sealed_by_system(10, &hash, &rows[&hash[..]]));
        let clerk = role == "clerk";
        assert_eq!((&row.role, row.revoked.is_some()), (role, clerk));
        assert_eq!(row.expires, clerk.then_some(EXPIRES));
        assert_eq!((row.maker.is_some(), row.replaces), (clerk, None));
        let (label, bound) = match clerk {
            true => ("front desk", vec!["web".to_owned()]),
            false => ("", Vec::new()),
        };
        assert_eq!((&*row.label, row.channels), (label, bound));
        let hours = story.from / HOUR..=story.to / HOUR;
        assert!(row.used.is_none_or(|hour| hours.contains(&i64::from(hour))));
        let calls = ["bot", "dpo", "keeper"].contains(&&**role);
        assert_eq!(row.used.is_some(), calls, "{role}");
        let token = bits(story.revoked.as_str().unwrap());
        assert_eq!(row.token == token, clerk);
        assert!(row.created <= story.to);
    }
}

pub(crate) fn log(live: &mut Live, state: &State) -> Vec<Entry> {
    let mut log = Vec::new();
    for (key, sealed) in live.rows(11) {
        assert_eq!(
            key,
            (log.len() as u64).to_be_bytes(),
            "no number is left out"
        );
        let place = Place::row(11, &key);
        let text = live.under(&live.system.audit, place, &sealed);
        let entries = form::entries(&text);
        assert!((1..=16).contains(&entries.len()));
        log.extend(entries);
    }
    assert_eq!(log.len() as u64, state.next_entry);
    assert!(state.checkpoint_at > 0 && state.checkpoint_at <= state.time);
    log
}

/// What the calls left in the log.
pub(crate) fn evidence(log: &[Entry], story: &Story, live: &Live, tag: &Id, policy: &PolicyRow) {
    let of = |action: &str| {
        log.iter()
            .filter(|entry| entry.action == action)
            .collect::<Vec<_>>()
    };
    let calls: std::collections::BTreeSet<Id> = log.iter().map(|entry| entry.call).collect();
    assert!(calls.len() > live.people.len(), "every call has an id");
    let erasures = of("subjects.erase");
    let [erasure] = erasures[..] else {
        panic!("one erasure")
    };
    let body = &story.receipt["body"];
    // RFC 8785: members in the order of their names, those of its parts too.
    let sorted: std::collections::BTreeMap<String, serde_json::Value> =
        serde_json::from_value(body.clone()).unwrap();
    let hash = sha256(&serde_json::to_vec(&sorted).unwrap());
    let receipt = bits(body["receipt"].as_str().unwrap());
    assert_eq!(erasure.receipt, Some((receipt, hash)));
    assert_eq!((&*erasure.role, erasure.tag), ("dpo", None));
    assert!(erasure.actor.is_some() && erasure.outcome == "ok");
    let updates = of("records.update");
    let [update] = updates[..] else {
        panic!("one update of many")
    };
    let id = base32(story.booking.strip_prefix("rec_").unwrap());
    assert_eq!(update.records, Some((1, sha256(&id))));
    let counted = log.iter().filter(|entry| entry.records.is_some());
    assert_eq!((counted.count(), update.tag), (1, None));
    let (profile, fields) = policy.collection("profile");
    let name = (profile, fields.get("name"));
    let change = log.iter().rfind(|entry| entry.fields == [name]).unwrap();
    assert_eq!(change.purpose.as_deref(), Some("support"));
    let today = story.from / (24 * HOUR) == story.to / (24 * HOUR);
    assert!(!today || change.tag.as_ref() == Some(tag));
    assert!((story.from..=story.to).contains(&change.time));
    let name = bits(story.session["session"].as_str().unwrap());
    let spent: Vec<_> = log.iter().filter(|entry| entry.session.is_some()).collect();
    assert!(spent.len() == 1 && spent[0].session == Some(name));
    let made = of("api_keys.create");
    assert!(
        made.iter()
            .any(|entry| entry.actor.is_none() && entry.role == "keyholder")
    );
    assert!(
        !of("records.read").is_empty(),
        "a read's entry came through the journal"
    );
    assert!(live.people.len() <= of("subjects.create").len());
}

/// The frames of the read journal follow one another, and each is in the log.
pub(crate) fn read_journal(file: &[u8], live: &Live, state: &State, log: &[Entry]) {
    let frames = journal::frames(file, &live.vault, &live.system.audit).unwrap();
    let numbers = frames.iter().map(|(number, _)| *number);
    assert!(!frames.is_empty() && numbers.eq(1..=state.folded));
    for (_, bytes) in &frames {
        let entry = form::entry(bytes);
        let same = |other: &&Entry| (&other.call, &other.action) == (&entry.call, &entry.action);
        assert_eq!(log.iter().find(same).unwrap().time, entry.time);
    }
}

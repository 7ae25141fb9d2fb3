//! The document against a living vault: every file, every table and every row of it is read from
//! the raw bytes as docs/format.md says, to the last byte, and must be what was stored over HTTP.
//!
//! Counts as failure: a row that the document does not lead to, that does not open where it says, or
//! that reads as anything else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cipher::{Id, Key, mac, sha256};
use super::files::Image;
use super::form::{self, PolicyRow, State};
use super::live::{Live, read_tables};
use super::person::{self, Person};
use super::scene::{POLICY, Scene};
use super::unlock::{Epoch, Root, anchor_slots, public_half, roots, slots};
use super::{backups, tables, tree};

pub(crate) const HOUR: i64 = 3_600_000;

/// `2031-01-31T12:00:00Z`, `2026-03-01T10:00:00.250Z`.
pub(crate) const EXPIRES: i64 = 1_927_627_200_000;
pub(crate) const OCCURRED: i64 = 1_772_359_200_250;

/// What the calls of the test answered.
pub(crate) struct Story {
    pub(crate) kept: Person,
    /// Their booking, of which only metadata was changed since.
    pub(crate) booking: String,
    pub(crate) erased: Person,
    pub(crate) receipt: Value,
    pub(crate) recovery_key: String,
    /// Each role and its API key's text, in the order of their making.
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) revoked: Value,
    /// The kept person's, in two chunks.
    pub(crate) photograph: Vec<u8>,
    /// A session that has made one read, as it was answered.
    pub(crate) session: Value,
    /// When the first call and the last one were made.
    pub(crate) from: i64,
    pub(crate) to: i64,
}

fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_millis().try_into().unwrap()
}

fn tell_story(scene: &Scene) -> Story {
    let from = now();
    scene.crowd();
    let mut kept = scene.person("Hanna");
    let erased = scene.person("Ineke");
    // Two chunks; the one of before leaves nothing but freed pages.
    let photograph = person::photograph("Hanna", 300_000);
    scene.photo("PUT", &kept.subject, &photograph);
    // The index is built anew, so its generation is 1.
    let path = format!("messages/{}", kept.message);
    let change = json!({"text": "Hanna lost two suitcases"});
    scene.records("PATCH", &kept.subject, &path, &change);
    let email = json!({"email": "hanna@post.example.test"});
    scene.records("PATCH", &kept.subject, "profile", &email);
    scene.call("keeper", "POST", "admin/retention/run", &json!({}));
    let policy = format!("{POLICY}\n[roles.clerk]\nmay = [\"subjects.view\"]\n");
    scene.call("keeper", "PUT", "admin/policy", &json!({"source": policy}));
    let meta = json!({
        "purposes": ["support"],
        "expires_at": "2031-01-31T12:00:00Z",
        "source": "web form",
        "shared_with": ["carrier"],
        "category": "islands",
    });
    let name = json!({"name": "Hanna Wijngaarden", "_meta": meta});
    scene.records("PATCH", &kept.subject, "profile", &name);
    kept.profile["email"] = email["email"].clone();
    kept.profile["name"] = name["name"].clone();
    let late = json!({"text": "Hanna waits", "occurred_at": "2026-03-01T10:00:00.250Z"});
    scene.records("POST", &kept.subject, "messages", &late);
    let bookings = scene.records("GET", &kept.subject, "bookings", &Value::Null);
    let booking = bookings["records"][0]["record"].as_str().unwrap();
    let desk = json!({
        "collection": "bookings",
        "where": {"subject": kept.subject},
        "set": {"source": "desk"},
    });
    let updated = scene.call("bot", "POST", "records/update", &desk);
    assert_eq!(updated["count"], 1);
    let slot = json!({"kind": "recovery_key", "label": "in the safe"});
    let slot = scene.call("keeper", "POST", "admin/key-slots", &slot);
    let key = json!({"role": "clerk", "label": "front desk", "channels": ["web"],
        "expires_at": "2031-01-31T12:00:00Z"});
    let key = scene.call("keeper", "POST", "admin/api-keys", &key);
    let path = format!("admin/api-keys/{}", key["token"].as_str().unwrap());
    scene.call("keeper", "DELETE", &path, &Value::Null);
    let path = format!("subjects/{}", erased.subject);
    let receipt = scene.call("dpo", "DELETE", &path, &Value::Null)["receipt"].clone();
    let tokens = scene.tokens.iter();
    let mut keys: Vec<_> = tokens
        .map(|(role, key)| (role.clone(), key.to_string()))
        .collect();
    keys.push(("clerk".into(), key["secret"].as_str().unwrap().into()));
    let session =
        json!({"purpose": "support", "fields": ["profile.name"], "reads": 3, "writes": 2});
    let path = format!("subjects/{}/sessions", kept.subject);
    let session = scene.call("bot", "POST", &path, &session);
    scene.call_as(
        session["token"].as_str().unwrap(),
        "GET",
        "subjects/self/records/profile",
        &Value::Null,
    );
    // A read, whose entry goes through the journal.
    scene.records("GET", &kept.subject, "profile", &Value::Null);
    Story {
        kept,
        booking: booking.to_owned(),
        erased,
        receipt,
        recovery_key: slot["recovery_key"].as_str().unwrap().to_owned(),
        keys,
        revoked: key["token"].clone(),
        photograph,
        session,
        from,
        to: now(),
    }
}

#[test]
fn every_row_of_a_living_vault_reads_as_the_document_says() {
    let scene = Scene::open();
    let story = tell_story(&scene);
    let passphrase = scene.passphrase.clone();
    let dir = scene.dir.clone();
    let (image, _parent) = scene.stop();
    let (root, recovery) = slots_file(&image, &passphrase, &story.recovery_key);
    let used: Vec<_> = anchor_slots(&image.anchor)
        .into_iter()
        .enumerate()
        .collect();
    let used: Vec<_> = used.iter().filter(|(_, slot)| slot.whole).collect();
    let [(at, slot)] = used[..] else {
        panic!("one slot of the anchor is in use")
    };
    assert_eq!((slot.vault, slot.epoch % 2), (&root.vault[..], *at as u64));
    let epoch = Epoch::new(&root, slot.epoch, slot.secret);
    let mut live = Live::new(read_tables(&dir.join("vault.redb")), &epoch);
    let policy = policies(&mut live);
    let state = state(&mut live, slot.epoch, &story);
    slot_targets(&live, &image, &recovery, &story);
    keys_and_people(&live, &story, &policy);
    tables::records(&mut live, &story, &policy);
    let tag = tables::rest_of_people(&mut live, &story, &policy);
    tables::sessions(&mut live, &story, &policy);
    tables::answers(&mut live, &story);
    tables::tombstones(&mut live, &story, slot.epoch);
    tables::api_keys(&mut live, &story);
    let log = tables::log(&mut live, &state);
    tables::evidence(&log, &story, &live, &tag, &policy);
    tree::stored(&mut live, &story, &log);
    tables::read_journal(&image.journal, &live, &state, &log);
    backups::told(&mut live, &story, &image.ledger, &state, slot.epoch);
    for (number, rows) in &live.tables {
        assert!(
            rows.is_empty(),
            "rows of t{number:02} that nothing leads to"
        );
    }
}

/// Both secrets open the slots, and the system keyset knows them.
fn slots_file(image: &Image, passphrase: &str, recovery_key: &str) -> (Root, Key) {
    let by_passphrase = roots(&image.slots, passphrase);
    let digits = recovery_key.replace('-', "").to_lowercase();
    let secret = person::base32(&digits[..32]);
    let hash = sha256(&[b"vault/1 recovery checksum", &secret[..]].concat());
    // Five bytes are eight digits, of which four are twenty bits.
    let sum = person::base32(&format!("{}0000", &digits[32..]));
    assert_eq!((&sum[..2], sum[2] >> 4), (&hash[..2], hash[2] >> 4));
    let recovery = slots(&image.slots);
    let recovery = recovery.iter().filter(|slot| slot.kind() == 2);
    let opened: Vec<_> = recovery
        .filter_map(|slot| {
            let private = slot.private_half(&secret);
            Some((slot.number(), slot.root_key(&private)?, private))
        })
        .collect();
    let [(number, key, private)] = opened[..] else {
        panic!("the recovery key opens one slot")
    };
    assert_eq!((number, key), (3, by_passphrase[0].key));
    (by_passphrase[0], private)
}

/// The system keyset knows the slots that are in the file, and the public halves of their secrets.
fn slot_targets(live: &Live, image: &Image, recovery: &Key, story: &Story) {
    let targets = &live.system.slots;
    let slots = slots(&image.slots);
    assert_eq!(
        (slots.len(), targets.len(), live.system.next_slot),
        (3, 3, 4)
    );
    for (slot, target) in slots.iter().zip(targets) {
        assert_eq!(slot.number(), target.number);
        assert_eq!(u64::from(slot.kind()), target.kind + 1);
        assert_eq!((slot.salt(), slot.cost()), (&target.salt[..], target.cost));
        assert!((0..=story.to / 1000).contains(&target.created));
    }
    assert_eq!(targets[2].label, "in the safe");
    assert_eq!(targets[2].public, public_half(recovery));
}

fn policies(live: &mut Live) -> PolicyRow {
    let rows = live.rows(9).into_iter().map(|(key, sealed)| {
        let row = form::policy_row(&live.sealed_by_system(9, &key, &sealed));
        assert_eq!(key, row.version.to_be_bytes());
        row
    });
    let mut rows: Vec<PolicyRow> = rows.collect();
    assert_eq!(
        (rows.len(), rows[0].version, &*rows[0].source),
        (2, 1, POLICY)
    );
    assert!(rows[1].source.contains("[roles.clerk]") && rows[0].applied < rows[1].applied);
    let policy = rows.pop().unwrap();
    for numbers in [
        &policy.collections,
        &policy.purposes,
        policy.collection("profile").1,
    ] {
        let given: BTreeSet<u16> = numbers.of.iter().map(|(_, number)| *number).collect();
        assert!(given.into_iter().eq(1..=numbers.highest));
    }
    assert_eq!(policy.collections.highest, 3);
    policy
}

fn state(live: &mut Live, epoch: u64, story: &Story) -> State {
    let row = live.take(1, b"epoch");
    let parts: Vec<u64> = row
        .chunks(8)
        .map(|part| u64::from_be_bytes(part.try_into().unwrap()))
        .collect();
    assert_eq!((row.len(), parts[0], parts[2]), (24, epoch, 1));
    assert!(parts[1] > 1, "the serial counts new keys");
    let sealed = live.take(1, b"state");
    let state = form::state(&live.sealed_by_system(1, b"state", &sealed));
    assert!((story.from..story.to + HOUR).contains(&state.time));
    assert_eq!((state.people, state.erased, state.policy), (67, 1, 2));
    assert!(state.stale_since.is_some(), "the erasure touched the index");
    assert_eq!((state.building_from, state.sweeper_at), (None, [0; 16]));
    state
}

/// The system keyset, the people map, the index and the keysets fit together.
fn keys_and_people(live: &Live, story: &Story, policy: &PolicyRow) {
    let system = &live.system;
    let [(generation, set, placement)] = system.placements[..] else {
        panic!("one index is in use")
    };
    assert_eq!((generation, set), (1, 0));
    assert_eq!((system.index.len(), system.index[0].0), (1, 0));
    assert!(system.signers.is_empty() && system.retired_epoch == 0);
    let (profile, fields) = policy.collection("profile");
    let (bookings, booking) = policy.collection("bookings");
    let email = (profile, fields.get("email"));
    let looked_up = [
        (0, 0),
        email,
        (profile, fields.get("phone")),
        (bookings, booking.get("number")),
    ];
    assert!(system.index_keys().map(|(field, _)| *field).eq(looked_up));
    assert_eq!(system.others().collect::<BTreeSet<_>>().len(), 4);
    assert!(live.people.contains_key(&story.kept.id()));
    assert!(!live.people.contains_key(&story.erased.id()));
    assert_eq!((live.people.len(), live.keysets.len()), (67, 67));
    let mut entries = 0;
    for (subject, (_, handle)) in &live.people {
        for (_, set, mark) in &live.keysets[handle].lookups {
            assert_eq!(*set, 0);
            let value = mac(&placement, &[b"value", mark]);
            let person = mac(&placement, &[b"person", mark, handle]);
            let tag: Id = [&value[..8], &person[..8]].concat().try_into().unwrap();
            let entry = (mark.to_vec(), *subject, *handle);
            assert_eq!(live.index.get(&tag), Some(&entry));
            entries += 1;
        }
    }
    assert_eq!(entries, live.index.len());
    let keyset = &live.keysets[&live.handle(&story.kept.id())];
    let marks: BTreeSet<[u8; 32]> = keyset.lookups.iter().map(|(.., mark)| *mark).collect();
    let normal = story.kept.normal_forms();
    let expected = looked_up.iter().zip(&normal).map(|(field, normal)| {
        let (_, key) = system.index_keys().find(|(of, _)| of == field).unwrap();
        mac(key, &[&[1], normal])
    });
    assert_eq!(marks, expected.collect());
}

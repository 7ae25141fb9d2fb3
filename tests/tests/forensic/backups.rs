//! The registry of backups and the ledger as docs/format.md describes them, read from a vault in which
//! backups were registered and somebody was erased: row by row, and the ledger's file byte by byte.
//!
//! Counts as failure: a row of table 20 or 21 that does not open or reads as anything else; a file that is
//! not the table; or, with everything on the disk and the passphrase, a value of whoever was erased.

use std::sync::Arc;

use data_encoding::BASE64;
use ed25519_dalek::{Signature, SigningKey, Verifier};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vault_core::clock::ManualClock;
use vault_core::id::{RequestId, SubjectId};
use vault_core::request::{DelayReason, RequestKind};
use vault_core::vault::{
    BackupBegin, BackupFacts, BackupPart, Call, ConsentInput, LockedVault, Passphrase,
    RequestInput, RequestStep, RequestView, Settings, Vault, VaultPaths,
};

use super::cipher::{Id, sha256};
use super::files::Image;
use super::form::{self, Event, State};
use super::format::{HOUR, Story};
use super::ledger;
use super::list::Item;
use super::live::{Live, read_tables};
use super::person::{base32, bits, id_text};
use super::scene::POLICY;
use super::search::{Evidence, search};
use super::unlock::{Epoch, Secret, anchor_slots, roots};

const PASSPHRASE: &str = "correct horse battery";

/// Table 21 and the file, of a vault that a test has told a story to.
pub(crate) fn ledger_of(live: &mut Live, file: &[u8], state: &State) -> Vec<form::LedgerEntry> {
    assert!(ledger::is_ledger(file));
    let read = ledger::read(file, &live.vault, &live.system.ledger).unwrap();
    let rows = live.rows(21);
    let numbers = rows
        .keys()
        .map(|key| u64::from_be_bytes(key[..].try_into().unwrap()));
    assert!(numbers.eq(1..=state.ledger));
    assert!(rows.values().eq(&read.rows), "the file is the table");
    // The last head stands behind the last entry, and the vault has signed it.
    let (position, note) = read.heads.last().unwrap();
    assert_eq!(*position, state.ledger);
    let name = id_text("vlt", &live.vault);
    let last = read.rows.last().map(|row| {
        let length = u32::try_from(row.len() - 32).unwrap().to_be_bytes();
        sha256(&[&[1][..], &length, &position.to_be_bytes(), row].concat())
    });
    let hash = BASE64.encode(&last.unwrap_or_else(|| sha256(&file[..25])));
    let (text, line) = note.split_once("\n\n").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [origin, at, hashed, time] = lines[..] else {
        panic!("a head of four lines")
    };
    assert_eq!(origin, format!("{name}/ledger"));
    assert_eq!((at, hashed), (&*position.to_string(), &*hash));
    assert!(time.parse::<Timestamp>().is_ok());
    let (by, signature) = line
        .trim_end()
        .split_once(' ')
        .unwrap()
        .1
        .split_once(' ')
        .unwrap();
    assert_eq!(by, name);
    let signature = BASE64.decode(signature.as_bytes()).unwrap();
    let key = SigningKey::from_bytes(&live.system.signing).verifying_key();
    let named = [name.as_bytes(), b"\n\x01", key.as_bytes()].concat();
    assert_eq!(signature[..4], sha256(&named)[..4]);
    let signature = Signature::from_slice(&signature[4..]).unwrap();
    key.verify(format!("{text}\n").as_bytes(), &signature)
        .unwrap();
    read.entries
        .iter()
        .map(|entry| form::ledger_entry(entry))
        .collect()
}

/// What the story of the format's own test leaves in it: a withdrawal, a key revoked, a person erased.
pub(crate) fn told(live: &mut Live, story: &Story, file: &[u8], state: &State, epoch: u64) {
    let entries = ledger_of(live, file, state);
    assert!(live.rows(20).is_empty(), "no backup was made");
    let kept = live.handle(&story.kept.id());
    let (mut erased, mut withdrawn, mut revoked) = (0, 0, 0);
    for entry in entries {
        assert!((story.from..=story.to).contains(&entry.at));
        match entry.event {
            Event::Erased(handle, subject, receipt, since) => {
                assert!(live.people.values().all(|(_, other)| *other != handle));
                assert_eq!(subject, sha256(&story.erased.id()));
                let id = story.receipt["body"]["receipt"].as_str().unwrap();
                assert_eq!((&receipt[..], since), (&bits(id)[..], epoch));
                erased += 1;
            }
            Event::ConsentWithdrawn(handle, _) => withdrawn += usize::from(handle == kept),
            Event::ApiKeyRevoked(token) => {
                assert_eq!(token, bits(story.revoked.as_str().unwrap()));
                revoked += 1;
            }
            Event::RecordsDestroyed(..)
            | Event::KeysDestroyed(..)
            | Event::Objected(..)
            | Event::Restricted(..)
            | Event::Held(..)
            | Event::ContractEnded(..)
            | Event::Aged(..)
            | Event::Suppressed(..)
            | Event::Requested(..) => {
                panic!(
                    "the story destroys no record by itself, and nobody objects in it, is held or says more"
                )
            }
        }
    }
    assert_eq!((erased, withdrawn, revoked), (1, 1, 1));
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

struct Bench {
    parent: tempfile::TempDir,
    clock: Arc<ManualClock>,
    vault: Arc<Vault>,
    _locked: LockedVault,
}

impl Bench {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(
            Timestamp::from_second(1_800_000_000).unwrap(),
        ));
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(clock.clone())
        };
        let paths = VaultPaths::beside(&parent.path().join("vault"));
        let passphrase = Passphrase::new(PASSPHRASE.into()).unwrap();
        let created = LockedVault::create(&paths, settings, &passphrase, POLICY).unwrap();
        Self {
            parent,
            clock,
            vault: created.vault,
            _locked: created.locked,
        }
    }

    fn image(&self) -> Image {
        let dir = self.parent.path();
        Image::read(&dir.join("vault"), &dir.join("vault-anchor")).unwrap()
    }
}

#[test]
fn registry_and_ledger_read_as_the_document_says_and_give_nobody_away() {
    let bench = Bench::new();
    let vault = bench.vault.clone();
    let keyholder = vault.keyholder();
    let own = || Call::new(&keyholder);
    let principal = |role: &str| {
        let (_, secret) = vault.create_token(&own(), role, None).unwrap();
        vault.authenticate(&secret).unwrap()
    };
    let (bot, dpo) = (principal("bot"), principal("dpo"));
    let call = || Call::new(&bot).with_purpose("support");
    let person = |user: &str, mail: &str| {
        let (subject, _) = vault.create_subject(&call(), "web", user).unwrap();
        let fields = object(json!({"name": "Wendelmoet Ankersmid", "email": mail}));
        vault
            .patch_single(&call(), subject, "profile", fields, None)
            .unwrap();
        subject
    };
    let gone = person("user-wendelmoet", "wendelmoet@mail.example.test");
    let stays = person("user-xaverius", "xaverius@mail.example.test");
    let bodies = vec![object(json!({"text": "Xaverius lost a suitcase"}))];
    let messages = vault.append(&call(), stays, "messages", bodies).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let expires = now + SignedDuration::from_hours(24 * 30);
    let begin = |data: bool, of| BackupBegin {
        target: "/srv/backup".into(),
        data,
        keys: Some(expires),
        of,
    };
    let first = vault.backup_begin(&own(), begin(true, None)).unwrap();
    let facts = BackupFacts {
        bytes: 4_096,
        people: 2,
        records: 3,
        epoch: 1,
        policy_version: 1,
        ledger_position: 0,
        manifest_sha256: [7; 32],
    };
    vault.backup_complete(&own(), first, facts).unwrap();
    vault
        .backup_deleted(&own(), first, BackupPart::Keys)
        .unwrap();
    let second = vault
        .backup_begin(&own(), begin(false, Some(first)))
        .unwrap();
    bench.clock.advance(HOUR);
    vault
        .delete_record(&call(), stays, "messages", messages[0], None)
        .unwrap();
    let consent = ConsentInput {
        given: true,
        notice: json!("1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    };
    vault
        .put_consent(&call(), stays, "newsletter", consent)
        .unwrap();
    vault
        .withdraw_consent(&call(), stays, "newsletter")
        .unwrap();
    let asked = request(&vault, &call(), &own(), stays);
    let before = bench.image();
    let receipt = vault.erase_subject(&Call::new(&dpo), gone).unwrap();
    assert_eq!(
        receipt["body"]["erasure_horizon"],
        json!(expires.to_string())
    );
    let after = bench.image();
    vault.close();

    // Everything on the disk, and the passphrase: nothing of whoever is gone.
    let strings = [
        "wendelmoet@mail.example.test",
        "channel:web/user-wendelmoet",
    ];
    let mut items: Vec<Item> = strings
        .iter()
        .map(|text| Item::parse(text).unwrap())
        .collect();
    items.push(Item::Subject(*gone.as_bytes()));
    let secrets = [Secret::Passphrase(PASSPHRASE.into())];
    let look = |evidence: &Evidence<'_>| search(evidence, &secrets, &items, &|_, _, _| {}).unwrap();
    let report = look(&Evidence::of(&[&before, &after]));
    assert!(!report.found_any(), "{report}: {:?}", report.found);
    assert!(
        report.tombstones.contains(&2),
        "whoever has the id may learn of it"
    );
    assert_eq!(report.loot.ledger.len(), 5);
    // As many versions of the row as freed pages happen to hold.
    assert!(!report.loot.backups.is_empty());
    // The control: with the anchor of before, everything.
    let control = look(&Evidence::of(&[&after, &before]));
    assert_eq!(control.found.len(), 3, "{control}");

    // And row by row.
    let image = bench.image();
    let root = roots(&image.slots, PASSPHRASE)[0];
    let used = anchor_slots(&image.anchor);
    let used: Vec<_> = used.iter().filter(|slot| slot.whole).collect();
    let epoch = Epoch::new(&root, used[0].epoch, used[0].secret);
    let database = bench.parent.path().join("vault/vault.redb");
    let mut live = Live::new(read_tables(&database), &epoch);
    let sealed = live.take(1, b"state");
    let state = form::state(&live.sealed_by_system(1, b"state", &sealed));
    let entries = ledger_of(&mut live, &image.ledger, &state);
    let at = now.as_millisecond() + HOUR;
    assert!(entries.len() == 5 && entries.iter().all(|entry| entry.at == at));
    let stays = live.handle(stays.as_bytes());
    let Event::RecordsDestroyed(handle, (_, records)) = &entries[0].event else {
        panic!("a message was deleted")
    };
    let message = base32(messages[0].to_string().strip_prefix("rec_").unwrap());
    assert_eq!(
        (handle, &records[..]),
        (&stays, &[message[..].try_into().unwrap()][..])
    );
    let Event::ConsentWithdrawn(handle, _) = entries[1].event else {
        panic!("a consent was withdrawn")
    };
    assert_eq!(handle, stays);
    requested(&entries[2..4], &stays, &asked);
    let Event::Erased(_, subject, _, since) = entries[4].event else {
        panic!("a person was erased")
    };
    assert_eq!((subject, since), (sha256(gone.as_bytes()), used[0].epoch));
    registry(&mut live, first.as_bytes(), second.as_bytes(), expires);
}

/// A request that came in, and was extended.
fn request(vault: &Vault, bot: &Call<'_>, dpo: &Call<'_>, of: SubjectId) -> [RequestView; 2] {
    let input = RequestInput {
        kind: RequestKind::Portability,
        details: Some("words that are in no ledger".into()),
        language: None,
        received_at: None,
        purpose: None,
        ground: None,
        collections: Vec::new(),
        decision: None,
    };
    let came = vault.create_request(bot, of, input).unwrap();
    let extend = RequestStep::Extend {
        reason: DelayReason::Number,
        period: None,
    };
    let extended = vault.step_request(dpo, came.request, extend).unwrap();
    [came, extended.view]
}

/// Event 11, twice: id, kind, state, level, dates and collections, as the document says, and nothing besides.
fn requested(entries: &[form::LedgerEntry], of: &Id, asked: &[RequestView; 2]) {
    for ((entry, view), later) in entries.iter().zip(asked).zip([false, true]) {
        let Event::Requested(handle, request, words, received, due, extended) = &entry.event else {
            panic!("a request was made")
        };
        assert_eq!(handle, of);
        assert_eq!(RequestId::from_bytes(*request), view.request);
        // Portability is 5 of its list; received 0; L1 is 1.
        assert_eq!((*words, extended), ([5, 0, 1], &(later, Vec::new())));
        assert_eq!(*received, view.received_at.as_millisecond());
        let epoch = jiff::civil::date(1970, 1, 1);
        let day = i64::from((view.due.on - epoch).get_days());
        assert_eq!(*due, (day, view.due.end.as_millisecond()));
    }
    assert!(asked[1].due > asked[0].due);
}

/// Table 20: two backups, the first with its keys gone, the second a key part under way.
fn registry(live: &mut Live, first: &Id, second: &Id, expires: Timestamp) {
    let mut rows = live.rows(20);
    let summary = rows.remove(&[0][..]).unwrap();
    let summary = form::backups(&live.sealed_by_system(20, &[0], &summary));
    let expires = expires.as_millisecond();
    let [(backup, log_size, until)] = summary.keys[..] else {
        panic!("one key part is left")
    };
    assert_eq!((&backup, until), (second, expires));
    let now = 1_800_000_000_000;
    assert_eq!(summary.last_completed, Some(now));
    let sealed = rows.remove(&first[..]).unwrap();
    let row = form::backup_row(&live.sealed_by_system(20, first, &sealed));
    assert_eq!(
        (&*row.target, row.started, row.of),
        ("/srv/backup", now, None)
    );
    assert_eq!(row.data, Some((Some(now), None)));
    assert_eq!(row.keys, Some(((Some(now), Some(now)), expires)));
    let facts = row.facts.unwrap();
    let sizes = [
        facts.bytes,
        facts.people,
        facts.records,
        facts.epoch,
        facts.ledger,
    ];
    assert_eq!((sizes, facts.policy), ([4_096, 2, 3, 1, 0], 1));
    assert_eq!((facts.manifest, row.failed), ([7; 32], None));
    assert!(row.log_size < log_size);
    let sealed = rows.remove(&second[..]).unwrap();
    let row = form::backup_row(&live.sealed_by_system(20, second, &sealed));
    assert_eq!((row.of, row.log_size), (Some(*first), log_size));
    assert_eq!((row.data, row.keys), (None, Some(((None, None), expires))));
    assert!(row.facts.is_none() && rows.is_empty());
}

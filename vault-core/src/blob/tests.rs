//! Blobs over the writer and over disks that fail.
//!
//! Counts as failure: an acknowledged upload that does not read back byte for byte; after reopening
//! and clearing the list, chunks that no field names, a list that is not empty, or a field whose
//! content does not read. Does not count: an upload that was finished although nobody was told.

use proptest::prelude::*;

use super::*;
use crate::commit::tests::{Machine, VAULT};
use crate::commit::{Engine, View};
use crate::decision;
use crate::entropy::SeededEntropy;
use crate::id::SubjectId;
use crate::limits::BLOB_PART_CHUNKS;
use crate::person::Person;
use crate::policy::{Draft, Policy};
use crate::record::{self, Ended, Stored};
use crate::refusal::Refusal;
use crate::standing::Standing;
use crate::store::fault::Fault;
use crate::store::{Direction, KeyRange, MemoryDisk, RedbStore, Store};

const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.profile]
kind = "single"
[collections.profile.fields]
photo = { type = "blob", purposes = ["support"], media_types = ["image/*"] }
[roles.bot]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
"#;

fn policy() -> Policy {
    Draft::parse(POLICY).unwrap().assign(None, 1).unwrap()
}

fn jpeg() -> MediaType {
    MediaType::parse("image/jpeg").unwrap()
}

fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes
}

fn create(engine: &Engine) -> SubjectId {
    let made = engine.submit(|txn| Ok(Person::create(txn, "web", "u")?.subject));
    made.unwrap()
}

fn home(handle: RowHandle) -> Home {
    Home {
        vault: VAULT,
        handle,
        collection: 1,
        record: RecordId::SINGLE,
        field: 1,
    }
}

/// Stores `bytes`, which come in pieces of `piece`, as `vault::blobs` does but for its decisions;
/// without `finish` it breaks before the last commit.
fn upload(
    engine: &Engine,
    subject: SubjectId,
    bytes: &[u8],
    piece: usize,
    finish: bool,
) -> Result<(), Refusal> {
    let snapshot = engine.snapshot()?;
    let home = home(Person::find(&snapshot, subject)?.entry.handle);
    drop(snapshot);
    let key = BlobKey::generate(&mut crate::entropy::OsEntropy);
    let id = key.id;
    let mut sealer = Sealer::new(key, &home);
    let commit = |part: Part| {
        assert!(part.chunks.len() <= BLOB_PART_CHUNKS, "commits are bounded");
        engine.submit(move |txn| put(txn, home.handle, id, part.first, &part.chunks))
    };
    for mut piece in bytes.chunks(piece) {
        while let Some(part) = sealer.push(&mut piece) {
            commit(part)?;
        }
    }
    let mut padding = sealer.pad();
    while let Some(part) = padding.part() {
        commit(part)?;
    }
    if !finish {
        return Ok(());
    }
    let (part, blob) = padding.end(jpeg());
    assert!(part.chunks.len() <= BLOB_PART_CHUNKS, "commits are bounded");
    let policy = policy();
    engine.submit(move |txn| {
        put(txn, home.handle, id, part.first, &part.chunks)?;
        complete(txn, home.handle, id)?;
        let mut person = Person::find(txn, subject)?;
        let collection = &policy.collections()[0];
        let (role, purpose) = (policy.role("bot").unwrap(), &policy.purposes()[0]);
        let field = &collection.fields[0];
        let grant = decision::write(
            collection,
            role,
            purpose,
            &[field],
            &[],
            &Standing::default(),
        )?;
        let stored = Stored::load(txn, &person, collection, home.record, Ended::Out)?;
        let budget = &mut 64;
        record::put_blob(
            txn,
            &mut person,
            collection,
            1,
            &grant,
            stored,
            home.record,
            1,
            &blob,
            budget,
        )?;
        Ok(())
    })
}

/// What the field holds, read slice by slice, and its blob.
fn stored(engine: &Engine, subject: SubjectId) -> Option<(Vec<u8>, Blob)> {
    let snapshot = engine.snapshot().unwrap();
    let person = Person::find(&snapshot, subject).unwrap();
    let policy = policy();
    let collection = &policy.collections()[0];
    let record =
        Stored::load(&snapshot, &person, collection, RecordId::SINGLE, Ended::Out).unwrap()?;
    let (role, purpose) = (policy.role("bot").unwrap(), &policy.purposes()[0]);
    let grant = decision::content(
        collection,
        role,
        purpose,
        &collection.fields[0],
        &Standing::default(),
    );
    let blob = record.content(&snapshot, &person, 1, 1, &grant.unwrap());
    let blob = blob.unwrap()?;
    let home = home(person.entry.handle);
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < blob.size {
        let slice = read(&snapshot, &home, &blob, bytes.len() as u64, u64::MAX).unwrap();
        assert!(!slice.is_empty() && slice.len() <= BLOB_PART_CHUNKS * CHUNK_BYTES);
        bytes.extend_from_slice(&slice);
    }
    Some((bytes, blob))
}

/// Lengths of all chunk rows, and how many blobs are on the list.
fn rows(engine: &Engine) -> (Vec<usize>, usize) {
    let snapshot = engine.snapshot().unwrap();
    let all = |table| {
        let rows = snapshot
            .tx()
            .range(table, &KeyRange::all(), Direction::Ascending, usize::MAX);
        rows.unwrap()
    };
    let chunks = all(Table::Blobs).into_iter().map(|(_, row)| row.len());
    (chunks.collect(), all(Table::Uploads).len())
}

/// What opening a vault does.
fn clear_list(engine: &Engine) {
    let snapshot = engine.snapshot().unwrap();
    let listed = snapshot.tx().keys(
        Table::Uploads,
        &KeyRange::all(),
        Direction::Ascending,
        usize::MAX,
    );
    drop(snapshot);
    for key in listed.unwrap() {
        while !engine
            .submit({
                let key = key.clone();
                move |txn| clear(txn, &key)
            })
            .unwrap()
        {}
    }
}

#[test]
fn content_of_every_length_comes_back_whatever_its_pieces() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let subject = create(&engine);
    let full = CHUNK_BYTES;
    // Around the ends of chunks and parts.
    let lengths = [
        0,
        1,
        32,
        5_000,
        full - 1,
        full,
        full + 1,
        BLOB_PART_CHUNKS * full,
        (BLOB_PART_CHUNKS + 1) * full - 1,
        (BLOB_PART_CHUNKS + 1) * full,
        2 * BLOB_PART_CHUNKS * full + 77,
    ];
    for (seed, length) in (0..).zip(lengths) {
        let bytes = content(seed, length);
        let piece = [1_000, 65_536, 300_000, usize::MAX][length % 4];
        upload(&engine, subject, &bytes, piece, true).unwrap();
        let (back, blob) = stored(&engine, subject).unwrap();
        assert!(back == bytes, "{length}");
        let (chunks, listed) = rows(&engine);
        assert_eq!((chunks.len(), listed), (blob.chunks() as usize, 0));
        let sealed: usize = chunks.iter().map(|row| row - STREAM_TAG_BYTES).sum();
        assert_eq!(
            sealed as u64,
            padded_bytes(length as u64),
            "and only its bucket shows"
        );
    }
}

#[test]
fn a_slice_is_any_part_of_the_content_and_a_moved_or_missing_chunk_is_damage() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let subject = create(&engine);
    let bytes = content(5, 3 * CHUNK_BYTES + 100);
    upload(&engine, subject, &bytes, 65_536, true).unwrap();
    let (_, blob) = stored(&engine, subject).unwrap();
    let snapshot = engine.snapshot().unwrap();
    let handle = Person::find(&snapshot, subject).unwrap().entry.handle;
    let part = |from: usize, to: usize| {
        let (from, to) = (from as u64, to as u64);
        read(&snapshot, &home(handle), &blob, from, to).unwrap()
    };
    for (from, to) in [
        (0, 1),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (CHUNK_BYTES, 2 * CHUNK_BYTES),
        (3 * CHUNK_BYTES + 99, 3 * CHUNK_BYTES + 100),
        (77, 3 * CHUNK_BYTES),
    ] {
        assert!(part(from, to) == bytes[from..to], "{from} {to}");
    }
    assert!(part(bytes.len(), usize::MAX).is_empty());
    let elsewhere = Home {
        field: 2,
        ..home(handle)
    };
    assert!(read(&snapshot, &elsewhere, &blob, 0, 1).is_err());
    drop(snapshot);
    let prefix = upload_key(handle, blob.key.id);
    let key = move |number: u8| [&prefix[..], &[0, 0, 0, number]].concat();
    let swap = move |txn: &mut crate::commit::Txn<'_>| {
        use crate::store::{ReadTx, WriteTx};
        let [first, second] = [0, 1].map(|number| txn.get(Table::Blobs, &key(number)));
        txn.put(Table::Blobs, &key(0), &second?.unwrap())?;
        txn.put(Table::Blobs, &key(1), &first?.unwrap())?;
        txn.delete(Table::Blobs, &key(3))?;
        Ok(())
    };
    engine.submit(swap).unwrap();
    let snapshot = engine.snapshot().unwrap();
    for (number, whole) in [(0, false), (1, false), (2, true), (3, false)] {
        let at = number * CHUNK_BYTES as u64;
        let read = read(&snapshot, &home(handle), &blob, at, at + 1);
        assert_eq!(read.is_ok(), whole, "{number}");
    }
}

#[test]
fn a_chunk_fills_its_page_to_the_last_byte() {
    let disk_of = |length: usize| {
        let disk = MemoryDisk::default();
        let store = RedbStore::with_backend(disk.open(), false).unwrap();
        let rows = store.write(&mut |tx| {
            for number in 0..32u32 {
                let key = [&[7; 32][..], &number.to_be_bytes()].concat();
                tx.put(Table::Blobs, &key, &vec![7; length])?;
            }
            Ok(())
        });
        rows.unwrap();
        store.close().unwrap();
        disk.bytes().len()
    };
    let row = CHUNK_BYTES + STREAM_TAG_BYTES;
    let (fits, over) = (disk_of(row), disk_of(row + 1));
    let content = 32 * row;
    assert!(fits < content + content / 4, "{fits} for {content}");
    assert!(over > content + content / 2, "one byte more takes {over}");
}

#[test]
fn a_replaced_blob_loses_its_chunks_and_a_long_one_the_rest_with_the_list() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let subject = create(&engine);
    let bytes = content(6, 70 * CHUNK_BYTES);
    upload(&engine, subject, &bytes, 1 << 20, true).unwrap();
    assert!(rows(&engine).0.len() >= 70);
    upload(&engine, subject, b"short", 10, true).unwrap();
    let (chunks, listed) = rows(&engine);
    assert!(chunks.len() > 1 && chunks.len() < 20, "64 went at once");
    assert_eq!(listed, 1);
    clear_list(&engine);
    let (chunks, listed) = rows(&engine);
    assert_eq!((chunks.len(), listed), (1, 0));
    assert_eq!(stored(&engine, subject).unwrap().0, b"short");
}

#[test]
fn an_upload_that_was_cleared_meanwhile_gets_no_more_chunks_and_no_field() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let subject = create(&engine);
    upload(
        &engine,
        subject,
        &content(1, 6 * CHUNK_BYTES),
        65_536,
        false,
    )
    .unwrap();
    let (chunks, listed) = rows(&engine);
    assert_eq!((chunks.len(), listed), (4, 1));
    let snapshot = engine.snapshot().unwrap();
    let handle = Person::find(&snapshot, subject).unwrap().entry.handle;
    let all = KeyRange::all();
    let key = snapshot
        .tx()
        .keys(Table::Uploads, &all, Direction::Ascending, 1)
        .unwrap()
        .remove(0);
    drop(snapshot);
    clear_list(&engine);
    assert_eq!(rows(&engine), (vec![], 0));
    let id = BlobId(key[16..].try_into().unwrap());
    let late = engine.submit(move |txn| put(txn, handle, id, 4, &[vec![1; 40]]));
    assert!(matches!(late, Err(Refusal::Conflict(_))));
    assert_eq!(rows(&engine), (vec![], 0));
}

/// Five chunks and a bit: one part on its way, and one in the last commit.
fn sample() -> Vec<u8> {
    content(9, 5 * CHUNK_BYTES + 1_000)
}

/// After reopening: what was acknowledged is there, and nothing that no field names.
fn whole(engine: &Engine, subject: SubjectId, acknowledged: bool, what: &str) {
    clear_list(engine);
    let (chunks, listed) = rows(engine);
    assert_eq!(listed, 0, "{what}");
    match stored(engine, subject) {
        Some((bytes, blob)) => {
            assert!(bytes == sample(), "{what}");
            assert_eq!(chunks.len(), blob.chunks() as usize, "{what}");
        }
        None => {
            assert!(!acknowledged, "{what}: an acknowledged upload is lost");
            assert_eq!(chunks, Vec::<usize>::new(), "{what}");
        }
    }
}

#[test]
fn every_store_operation_of_an_upload_may_fail() {
    for k in 1.. {
        let machine = Machine::new();
        let engine = machine.open().unwrap();
        let subject = create(&engine);
        machine.plan().arm(Fault::FailFrom(k));
        *machine.stuck.lock() = true;
        let acknowledged = upload(&engine, subject, &sample(), 65_536, true).is_ok();
        let fired = machine.plan().fired();
        engine.close();
        drop(engine);
        *machine.stuck.lock() = false;
        let engine = machine.open().unwrap();
        whole(&engine, subject, acknowledged, &format!("operation {k}"));
        if !fired {
            assert!(acknowledged && k > 20, "{k}");
            return;
        }
        assert!(k < 2_000, "an upload never ends");
    }
}

#[test]
fn the_power_may_go_during_any_store_operation_of_an_upload() {
    for k in 1.. {
        let mut fired = false;
        for seed in 0..3 {
            let machine = Machine::new();
            let engine = machine.open().unwrap();
            let subject = create(&engine);
            let plan = machine.plan();
            plan.arm(Fault::LosePower(k));
            *machine.stuck.lock() = true;
            let acknowledged = upload(&engine, subject, &sample(), 65_536, true).is_ok();
            let image = plan.fired().then(|| plan.crash_image(seed));
            engine.close();
            drop(engine);
            let Some(image) = image else {
                assert!(acknowledged);
                break;
            };
            fired = true;
            *machine.stuck.lock() = false;
            let machine = machine.with_image(image);
            let engine = machine.open().unwrap();
            whole(&engine, subject, acknowledged, &format!("{k} {seed}"));
        }
        if !fired {
            assert!(k > 20, "{k}");
            return;
        }
        assert!(k < 2_000, "an upload never ends");
    }
}

#[test]
fn a_stored_value_reads_back_and_no_json_text_is_one() {
    let blob = Blob {
        key: BlobKey::generate(&mut SeededEntropy::new(2)),
        size: BLOB_BYTES_MAX,
        media_type: jpeg(),
    };
    let bytes = blob.encode();
    let back = Blob::decode(&bytes).unwrap();
    assert!(back.key.id == blob.key.id && back.key.key == blob.key.key);
    assert_eq!((back.key.nonce, back.size), (blob.key.nonce, blob.size));
    assert_eq!(
        back.to_value(),
        json!({"media_type": "image/jpeg", "size": BLOB_BYTES_MAX})
    );
    for text in ["1", "{}", "\"text\"", "[1]", "null", "true"] {
        assert!(Blob::decode(text.as_bytes()).is_none(), "{text}");
    }
    let over = Blob {
        size: BLOB_BYTES_MAX + 1,
        ..back
    };
    assert!(Blob::decode(&over.encode()).is_none());
    for length in 0..bytes.len() {
        assert!(Blob::decode(&bytes[..length]).is_none());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_of_a_stored_value_panic(
        mut bytes in prop::collection::vec(proptest::prelude::any::<u8>(), 0..200), first in proptest::prelude::any::<bool>(),
    ) {
        if let (true, Some(version)) = (first, bytes.first_mut()) {
            *version = 1;
        }
        if let Some(blob) = Blob::decode(&bytes) {
            prop_assert_eq!(&*blob.encode(), &bytes);
            let _ = blob.chunks();
        }
    }
}

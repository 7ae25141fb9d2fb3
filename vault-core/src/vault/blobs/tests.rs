//! Blobs through the vault: who may, what ends a transfer, and what is left of what went.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::entropy::{Entropy, SeededEntropy};
use crate::limits::SESSION_CALLS_MAX;
use crate::schema::MediaType;
use crate::session::subject_of;
use crate::vault::tests::{Bench, call, object};
use crate::vault::{
    ConsentInput, Part, Principal, ReadOptions, SessionInput, Sweep, Vault, Withheld,
};

const HOUR: i64 = 3_600_000;
const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[purposes.gallery]
title.en = "Showing your photograph"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name", purposes = ["support", "gallery"] }
photo = { type = "blob", purposes = ["support", "gallery"], media_types = ["image/jpeg", "image/png"], bytes_max = 104857600 }
[collections.voice]
kind = "many"
retention = "P30D"
[collections.voice.fields]
sound = { type = "blob", purposes = ["support"], media_types = ["audio/*"], bytes_max = 1000 }
[roles.bot]
purposes = ["support", "gallery"]
read  = { "*" = "full" }
write = ["*"]
may   = ["subjects.create", "sessions.create", "consents.record"]
[roles.agent]
purposes = ["support"]
read = { "profile.*" = "mask" }
[roles.dpo]
may = ["subjects.erase"]
"#;

fn photo(subject: SubjectId) -> BlobPlace {
    BlobPlace {
        subject,
        collection: "profile".into(),
        record: None,
        field: "photo".into(),
    }
}

fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededEntropy::new(length as u64).fill(&mut bytes);
    bytes
}

fn media(text: &str) -> MediaType {
    MediaType::parse(text).unwrap()
}

fn begin(vault: &Arc<Vault>, call: &Call<'_>, place: &BlobPlace) -> Result<Upload, Refusal> {
    vault.begin_upload(call, place.clone(), media("image/png"), None, None)
}

fn put(vault: &Arc<Vault>, call: &Call<'_>, place: &BlobPlace, bytes: &[u8]) -> BlobWritten {
    let mut upload = begin(vault, call, place).unwrap();
    upload.write(bytes).unwrap();
    upload.finish().unwrap()
}

fn read(vault: &Arc<Vault>, call: &Call<'_>, place: &BlobPlace) -> Result<Vec<u8>, Refusal> {
    let download = vault.open_blob(call, place.clone(), Look::Content)?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < download.size() {
        bytes.extend(download.read(bytes.len() as u64, download.size())?);
    }
    Ok(bytes)
}

fn profile(vault: &Vault, call: &Call<'_>, subject: SubjectId) -> (Value, Vec<String>) {
    let options = ReadOptions {
        fields: None,
        part: Part::Fields,
    };
    let shown = vault.read_single(
        call,
        subject,
        "profile",
        &options,
        |view, _: &[Withheld]| {
            view.map_or((json!({}), Vec::new()), |view| {
                (Value::Object(view.fields.clone()), view.masked.clone())
            })
        },
    );
    shown.unwrap()
}

/// Chunk rows, and blobs on the list.
fn rows(vault: &Vault) -> (usize, usize) {
    let snapshot = vault.snapshot().unwrap();
    let count = |table| {
        let all = KeyRange::all();
        let keys = snapshot
            .tx()
            .keys(table, &all, Direction::Ascending, usize::MAX);
        keys.unwrap().len()
    };
    (count(Table::Blobs), count(Table::Uploads))
}

struct Scene {
    bench: Bench,
    bot: Principal,
    ann: SubjectId,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::of(POLICY);
        let bot = bench.role("bot");
        let support = call(&bot, Some("support"));
        let (ann, _) = bench.vault.create_subject(&support, "web", "ann").unwrap();
        Self { ann, bot, bench }
    }

    fn support(&self) -> Call<'_> {
        call(&self.bot, Some("support"))
    }

    fn vault(&self) -> &Arc<Vault> {
        &self.bench.vault
    }

    fn erase(&self) {
        let dpo = self.bench.role("dpo");
        let erased = self.vault().erase_subject(&call(&dpo, None), self.ann);
        erased.unwrap();
    }

    fn sweep(&self) {
        while self.vault().sweep(Sweep::All).unwrap() {}
    }
}

#[test]
fn content_is_shown_to_full_sight_and_a_mask_shows_the_media_type_alone() {
    let mut scene = Scene::new();
    let (ann, bytes) = (scene.ann, content(700_000));
    let written = put(scene.vault(), &scene.support(), &photo(ann), &bytes);
    assert_eq!((written.size, written.final_by), (700_000, None));
    assert!(read(scene.vault(), &scene.support(), &photo(ann)).unwrap() == bytes);
    let shown = profile(scene.vault(), &scene.support(), ann);
    let photograph = json!({"photo": {"media_type": "image/png", "size": 700_000}});
    assert_eq!(shown, (photograph, vec![]));
    let agent = scene.bench.role("agent");
    let as_agent = call(&agent, Some("support"));
    let shown = profile(scene.vault(), &as_agent, ann);
    let masked = json!({"photo": {"media_type": "image/png"}});
    assert_eq!(shown, (masked, vec!["photo".to_owned()]));
    for look in [Look::Content, Look::Head] {
        let refused = scene.vault().open_blob(&as_agent, photo(ann), look);
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    }
    let refused = begin(scene.vault(), &as_agent, &photo(ann));
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    scene.bench.reopen();
    assert!(read(scene.vault(), &scene.support(), &photo(ann)).unwrap() == bytes);
}

#[test]
fn a_blob_does_not_come_as_json_and_goes_with_null() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    for value in [
        json!("aGVsbG8="),
        json!({"media_type": "image/png", "size": 5}),
    ] {
        let body = object(json!({ "photo": value }));
        let refused = vault.patch_single(&support, scene.ann, "profile", body, None);
        let Err(Refusal::Invalid(errors)) = refused else {
            panic!("JSON is no blob")
        };
        assert_eq!(
            (errors[0].pointer.as_str(), errors[0].code),
            ("/photo", "not_json")
        );
        assert!(errors[0].detail.contains("PUT …/blobs/"));
    }
    put(vault, &support, &photo(scene.ann), b"hello");
    assert_eq!(rows(vault), (1, 0));
    let body = object(json!({"photo": null}));
    let removed = vault.patch_single(&support, scene.ann, "profile", body, None);
    assert!(removed.unwrap().final_by.is_some());
    assert_eq!(rows(vault), (0, 0));
    let gone = read(vault, &support, &photo(scene.ann));
    assert!(matches!(gone, Err(Refusal::NotFound("blob"))));
}

#[test]
fn media_type_size_revision_and_place_are_checked_before_the_first_byte() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    let place = photo(scene.ann);
    let begin = |place: &BlobPlace, kind, length, if_match| {
        let begun = vault.begin_upload(&support, place.clone(), media(kind), length, if_match);
        begun.map(drop)
    };
    assert!(begin(&place, "image/png", Some(104_857_600), None).is_ok());
    let refused = begin(&place, "image/png", Some(104_857_601), None);
    assert!(matches!(refused, Err(Refusal::TooLarge(_))));
    let refused = begin(&place, "image/gif", None, None);
    assert!(matches!(refused, Err(Refusal::UnsupportedMediaType(_))));
    let refused = begin(&place, "image/png", None, Some("*"));
    assert!(matches!(refused, Err(Refusal::PreconditionFailed)));
    let written = put(vault, &support, &place, b"hello");
    assert!(begin(&place, "image/png", None, Some(&written.etag)).is_ok());
    let other = |change: fn(&mut BlobPlace)| {
        let mut place = place.clone();
        change(&mut place);
        begin(&place, "image/png", None, None).unwrap_err()
    };
    let name = other(|place| place.field = "name".into());
    assert!(matches!(name, Refusal::NotFound("field of type blob")));
    let none = other(|place| place.field = "foto".into());
    assert!(matches!(none, Refusal::NotFound("field of type blob")));
    let many = other(|place| (place.collection, place.field) = ("voice".into(), "sound".into()));
    assert!(matches!(many, Refusal::Conflict(_)));
    let one = other(|place| place.record = Some(RecordId::SINGLE));
    assert!(matches!(one, Refusal::NotFound("record")));
    assert_eq!(rows(vault), (1, 0));
}

#[test]
fn a_record_of_many_takes_a_blob_and_takes_it_along_when_it_goes_or_ends() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    let bodies = vec![object(json!({})), object(json!({})), object(json!({}))];
    let records = vault.append(&support, scene.ann, "voice", bodies).unwrap();
    let place = |record| BlobPlace {
        collection: "voice".into(),
        record: Some(record),
        field: "sound".into(),
        ..photo(scene.ann)
    };
    let put = |record, length| {
        let opus = media("audio/ogg");
        let mut upload = vault.begin_upload(&support, place(record), opus, None, None)?;
        upload.write(&content(length))?;
        upload.finish()
    };
    for record in &records {
        put(*record, 900).unwrap();
    }
    assert_eq!(rows(vault), (3, 0));
    // More than the field takes, unannounced.
    assert!(matches!(put(records[0], 1_001), Err(Refusal::TooLarge(_))));
    assert!(read(vault, &support, &place(records[0])).unwrap() == content(900));
    let deleted = vault
        .delete_blob(&support, place(records[0]), None)
        .unwrap();
    assert!(deleted.final_by.is_some() && deleted.record == Some(records[0]));
    let again = vault.delete_blob(&support, place(records[0]), None);
    assert!(matches!(again, Err(Refusal::NotFound("blob"))));
    assert_eq!(rows(vault), (2, 0));
    vault
        .delete_record(&support, scene.ann, "voice", records[1], None)
        .unwrap();
    assert_eq!(rows(vault), (1, 0));
    assert!(read(vault, &support, &place(records[2])).is_ok());
    scene.bench.clock.advance(31 * 24 * HOUR);
    let over = read(vault, &support, &place(records[2]));
    assert!(matches!(over, Err(Refusal::NotFound("record"))));
    scene.sweep();
    assert_eq!(rows(vault), (0, 0));
}

#[test]
fn a_new_key_for_the_compartment_leaves_the_content_readable() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    let bytes = content(600_000);
    put(vault, &support, &photo(scene.ann), b"the first one");
    let second = put(vault, &support, &photo(scene.ann), &bytes);
    assert!(second.final_by.is_some());
    assert_eq!(rows(vault).1, 0);
    scene.sweep();
    assert!(read(vault, &support, &photo(scene.ann)).unwrap() == bytes);
}

#[test]
fn an_upload_that_breaks_or_is_refused_at_its_end_leaves_nothing() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    let place = photo(scene.ann);
    let first = put(vault, &support, &place, b"the first one");
    let mut broken = begin(vault, &support, &place).unwrap();
    broken.write(&content(3 << 20)).unwrap();
    let (chunks, listed) = rows(vault);
    assert!(chunks > 4 && listed == 1, "it is under way");
    // The sweeper leaves what is alive alone.
    scene.sweep();
    assert_eq!(rows(vault), (chunks, 1));
    drop(broken);
    assert_eq!(rows(vault), (1, 0));
    let if_match = Some(first.etag.as_str());
    let mut late = vault
        .begin_upload(&support, place.clone(), media("image/png"), None, if_match)
        .unwrap();
    late.write(&content(3 << 20)).unwrap();
    let name = object(json!({"name": "Ann Example"}));
    vault
        .patch_single(&support, scene.ann, "profile", name, None)
        .unwrap();
    let refused = late.finish();
    assert!(matches!(refused, Err(Refusal::PreconditionFailed)));
    assert_eq!(rows(vault), (1, 0));
    assert_eq!(read(vault, &support, &place).unwrap(), b"the first one");
}

#[test]
fn an_erasure_ends_transfers_and_takes_chunks_with_it_however_many() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    let place = photo(scene.ann);
    let bytes = content(20 << 20);
    put(vault, &support, &place, &bytes);
    let download = vault
        .open_blob(&support, place.clone(), Look::Content)
        .unwrap();
    let first = download.read(0, download.size()).unwrap();
    assert!(first == bytes[..first.len()]);
    let mut upload = begin(vault, &support, &place).unwrap();
    upload.write(&content(3 << 20)).unwrap();
    scene.erase();
    let next = download.read(first.len() as u64, download.size());
    assert!(matches!(next, Err(Refusal::Erased { .. })));
    let more = upload.write(&content(3 << 20));
    assert!(matches!(more, Err(Refusal::Erased { .. })));
    drop(upload);
    let (chunks, listed) = rows(vault);
    assert!(chunks > 0 && listed == 0, "64 chunks went with the erasure");
    scene.sweep();
    assert_eq!(rows(vault), (0, 0));
}

#[test]
fn consent_that_is_withdrawn_ends_a_download_and_another_content_does_too() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    let gallery = call(&scene.bot, Some("gallery"));
    let place = photo(scene.ann);
    put(vault, &support, &place, &content(4 << 20));
    let refused = read(vault, &gallery, &place);
    assert!(matches!(refused, Err(Refusal::ConsentRequired { .. })));
    let given = || ConsentInput {
        given: true,
        notice: json!("n1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    };
    let consent = || vault.put_consent(&support, scene.ann, "gallery", given());
    consent().unwrap();
    let open = |call| vault.open_blob(call, place.clone(), Look::Content).unwrap();
    let download = open(&gallery);
    assert!(download.read(0, 10).is_ok());
    vault
        .withdraw_consent(&support, scene.ann, "gallery")
        .unwrap();
    let refused = download.read(10, 20);
    assert!(matches!(refused, Err(Refusal::ConsentRequired { .. })));
    let mut upload = vault.begin_upload(&gallery, place.clone(), media("image/png"), None, None);
    assert!(matches!(upload, Err(Refusal::ConsentRequired { .. })));
    consent().unwrap();
    upload = vault.begin_upload(&gallery, place.clone(), media("image/png"), None, None);
    let upload = upload.unwrap();
    vault
        .withdraw_consent(&support, scene.ann, "gallery")
        .unwrap();
    assert!(matches!(
        upload.finish(),
        Err(Refusal::ConsentRequired { .. })
    ));
    let download = open(&support);
    assert!(download.read(0, 10).is_ok());
    put(vault, &support, &place, b"another one");
    assert!(matches!(download.read(10, 20), Err(Refusal::Conflict(_))));
}

#[test]
fn a_session_spends_one_read_or_write_a_transfer() {
    let scene = Scene::new();
    let vault = scene.vault();
    let place = photo(scene.ann);
    put(vault, &scene.support(), &place, &content(3 << 20));
    let input = SessionInput {
        purpose: "support".into(),
        fields: vec!["profile.photo".into()],
        reads: 2,
        writes: 1,
        expires_in: None,
    };
    assert!(input.reads < SESSION_CALLS_MAX);
    let begun = vault.begin_session(&scene.support(), scene.ann, input);
    let token = begun.unwrap().token;
    assert_eq!(subject_of(&token), Some(scene.ann));
    let session = vault.authenticate(&token).unwrap();
    let own = call(&session, None);
    // Several slices are one read, a look at size and type another.
    assert_eq!(read(vault, &own, &place).unwrap().len(), 3 << 20);
    let head = vault.open_blob(&own, place.clone(), Look::Head).unwrap();
    assert_eq!(head.size(), 3 << 20);
    let spent = vault.open_blob(&own, place.clone(), Look::Content);
    assert!(matches!(spent, Err(Refusal::RoleDenied(_))));
    let broken = begin(vault, &own, &place).unwrap();
    drop(broken);
    put(vault, &own, &place, b"one");
    assert!(matches!(
        begin(vault, &own, &place),
        Err(Refusal::RoleDenied(_))
    ));
    // The collection's other field, and another person, are not the session's.
    let (ben, _) = vault
        .create_subject(&scene.support(), "web", "ben")
        .unwrap();
    let other = vault.open_blob(&own, photo(ben), Look::Head);
    assert!(matches!(other, Err(Refusal::NotFound(_))));
}

#[test]
fn uploads_under_way_are_limited_for_a_person_and_in_all() {
    let scene = Scene::new();
    let (vault, support) = (scene.vault(), scene.support());
    let mut uploads: Vec<Upload> = (0..UPLOADS_PER_PERSON_MAX)
        .map(|_| begin(vault, &support, &photo(scene.ann)).unwrap())
        .collect();
    let refused = begin(vault, &support, &photo(scene.ann));
    assert!(matches!(refused, Err(Refusal::Conflict(_))));
    uploads.pop();
    uploads.push(begin(vault, &support, &photo(scene.ann)).unwrap());
    for number in 0.. {
        let user = format!("user {number}");
        let (subject, _) = vault.create_subject(&support, "web", &user).unwrap();
        while uploads.len() < UPLOADS_MAX {
            match begin(vault, &support, &photo(subject)) {
                Ok(upload) => uploads.push(upload),
                Err(_) => break,
            }
        }
        if uploads.len() == UPLOADS_MAX {
            break;
        }
    }
    let (ben, _) = vault.create_subject(&support, "web", "ben").unwrap();
    let refused = begin(vault, &support, &photo(ben));
    assert!(matches!(refused, Err(Refusal::Overloaded)));
    uploads.clear();
    assert!(begin(vault, &support, &photo(ben)).is_ok());
}

#[test]
fn opening_a_vault_removes_what_a_crash_cut_off() {
    let mut scene = Scene::new();
    let place = photo(scene.ann);
    let mut cut_off = begin(scene.vault(), &scene.support(), &place).unwrap();
    cut_off.write(&content(3 << 20)).unwrap();
    assert_eq!(rows(scene.vault()).1, 1);
    // As if the process had gone: nothing of it runs any more.
    scene.vault().close();
    drop(cut_off);
    scene.bench.reopen();
    assert_eq!(rows(scene.vault()), (0, 0));
    let none = read(scene.vault(), &scene.support(), &place);
    assert!(matches!(none, Err(Refusal::NotFound(_))));
}

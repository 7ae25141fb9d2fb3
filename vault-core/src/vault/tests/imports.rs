//! Lines of a file, sent in parts by whoever may be gone before the end.

use super::*;
use crate::jobs::JobState;
use crate::limits::{ANSWER_BYTES_MAX, IMPORT_ERRORS_PER_LINE_MAX, IMPORT_IDLE_SECONDS};
use crate::schema::MediaType;

/// Two collections whose fields have the same names, and a file for two purposes.
const MORE: &str = r#"
[purposes.duty]
title.en = "A duty"
title.de = "Eine Pflicht"
basis = "legal_obligation"
retention = { after = "collected", period = "P1Y" }

[collections.orders]
kind = "many"
[collections.orders.fields]
code = { type = "number", purposes = ["support"] }
email = { type = "email", purposes = ["support"] }

[collections.answers_to_the_long_questionnaire]
kind = "many"
[collections.answers_to_the_long_questionnaire.fields]
the_first_of_four_fields = { type = "number", purposes = ["support"] }
the_second_of_four_fields = { type = "number", purposes = ["support"] }
the_third_of_four_fields = { type = "number", purposes = ["support"] }
the_fourth_of_four_fields = { type = "number", purposes = ["support"] }

[collections.papers]
kind = "many"
[collections.papers.fields]
title = { type = "text", purposes = ["support", "duty"] }
scan = { type = "blob", purposes = ["support", "duty"], media_types = ["image/*"] }
tip = { type = "blob", purposes = ["newsletter", "support"], media_types = ["image/*"] }

[roles.clerk]
purposes = ["newsletter", "support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "consents.record"]

[purposes.improve]
title.en = "Improving"
title.de = "Verbessern"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[roles.front]
purposes = ["support"]
write = ["*"]
may = ["subjects.create", "subjects.lookup", "objections.record", "requests.decide", "restrictions.set"]

[roles.archive]
purposes = ["duty"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create"]
"#;

pub(super) fn bench() -> Bench {
    Bench::of(&format!("{SAMPLE}{MORE}"))
}

pub(super) fn line(number: u64, collection: &str, body: Value) -> ImportLine {
    ImportLine {
        line: number,
        channel: "web".into(),
        user: "ann".into(),
        what: ImportWhat::Record {
            collection: collection.into(),
            body: object(body),
            purpose: None,
            files: Vec::new(),
        },
    }
}

pub(super) fn batch(import: &str, lines: &[ImportLine]) -> ImportBatch {
    ImportBatch {
        import: import.into(),
        lines: lines.to_vec(),
        dry_run: false,
        done: 0,
        total: None,
        last: false,
    }
}

fn texts(bench: &Bench, who: &Principal) -> Vec<String> {
    let ann = bench.vault.lookup_channel(&call(who, None), "web", "ann");
    let options = ListOptions {
        read: ReadOptions::default(),
        limit: 100,
        order: Order::Oldest,
        cursor: None,
    };
    let call = call(who, Some("support"));
    let listed = bench
        .vault
        .list(&call, ann.unwrap(), "messages", &options, |page| {
            let all = page.records.iter();
            all.map(|record| record.fields["text"].as_str().unwrap().to_owned())
                .collect()
        });
    listed.unwrap()
}

#[test]
fn lines_that_are_sent_again_with_another_key_are_written_once() {
    let bench = bench();
    let lines: Vec<_> = ["one", "two"]
        .into_iter()
        .zip(1..)
        .map(|(text, number)| line(number, "messages", json!({"text": text})))
        .collect();
    let keyholder = bench.vault.keyholder();
    let keyholder = call(&keyholder, None);
    let (view, secret) = bench.vault.create_token(&keyholder, "bot", None).unwrap();
    let first = bench.vault.authenticate(&secret).unwrap();
    let send = |who: &Principal, name: &str| {
        let sent = bench
            .vault
            .import(&call(who, None), &batch(name, &lines))
            .unwrap();
        (sent.written.len(), sent.repeated)
    };
    assert_eq!(send(&first, "a"), (2, 0));
    // Its key was replaced while nobody knew whether the lines had been written.
    bench.vault.revoke_token(&keyholder, view.token).unwrap();
    let second = bench.role("bot");
    assert_eq!(send(&second, "a"), (2, 2));
    assert_eq!(texts(&bench, &second), ["one", "two"]);
    // Also for a role that differs, as long as it may write at all.
    let clerk = bench.role("clerk");
    assert_eq!(send(&clerk, "a"), (2, 2));
    // Other lines under the name are told apart, whoever sends them.
    let other = [line(1, "messages", json!({"text": "three"}))];
    let other = bench
        .vault
        .import(&call(&clerk, None), &batch("a", &other))
        .map(|_| ());
    assert!(matches!(other, Err(Refusal::IdempotencyMismatch)));
    // The control: it is the name by which they are known.
    bench.clock.advance((IMPORT_IDLE_SECONDS + 1) * 1_000);
    assert_eq!(send(&second, "b"), (2, 0));
    assert_eq!(texts(&bench, &second), ["one", "two", "one", "two"]);
}

#[test]
fn under_the_gate_lines_with_values_wait_for_the_notice_and_people_and_consents_do_not() {
    let bench = Bench::of(&format!("{SAMPLE}\n[notice]\ngate = \"before_write\"\n"));
    let bot = bench.role("bot");
    let consent = ImportLine {
        what: ImportWhat::Consent {
            purpose: "newsletter".into(),
            state: crate::consent::ConsentState::Given,
            notice: json!("v1"),
            choice: None,
            message_id: None,
            details: Box::default(),
        },
        ..line(2, "messages", json!({}))
    };
    let lines = [line(1, "messages", json!({"text": "one"})), consent];
    let send = |name: &str| {
        let sent = bench.vault.import(&call(&bot, None), &batch(name, &lines));
        let sent = sent.unwrap();
        let written: Vec<u64> = sent.written.iter().map(|line| line.line).collect();
        let refused: Vec<_> = sent
            .errors
            .into_iter()
            .map(|one| (one.line, one.code))
            .collect();
        (written, refused)
    };
    let refused = || (vec![2], vec![(1, "notice_required".to_owned())]);
    assert_eq!(send("a"), refused());
    assert!(texts(&bench, &bot).is_empty());
    let notice = bench.vault.notice(None).unwrap();
    let shown = NoticeInput {
        about: crate::notice::NoticeAbout::Processing,
        version: Some(notice.version),
        language: notice.language,
        channel: None,
        sha256: notice.sha256,
        acknowledged: false,
    };
    let ann = bench.vault.lookup_channel(&call(&bot, None), "web", "ann");
    let told = bench
        .vault
        .record_notice(&call(&bot, None), ann.unwrap(), shown);
    told.unwrap();
    // The same import is answered as before; another one is decided anew.
    assert_eq!(send("a"), refused());
    bench.clock.advance((IMPORT_IDLE_SECONDS + 1) * 1_000);
    assert_eq!(send("b"), (vec![1, 2], vec![]));
    assert_eq!(texts(&bench, &bot), ["one"]);
}

#[test]
fn what_a_caller_names_its_own_calls_by_is_no_name_of_an_import() {
    let bench = bench();
    let bot = bench.role("bot");
    let lines = [line(1, "messages", json!({"text": "one"}))];
    let sent = |name: &str| {
        let sent = bench.vault.import(&call(&bot, None), &batch(name, &lines));
        sent.unwrap().repeated
    };
    let (ann, _) = bench
        .vault
        .create_subject(&call(&bot, None), "web", "ann")
        .unwrap();
    let group = Group {
        changes: true,
        subject: Some(ann),
        once: Some(Once::new("import/a/1", [7; 32])),
    };
    let kept = bench
        .vault
        .together(&call(&bot, None), group, move |desk, _: Option<&()>| {
            desk.keep(ann, None).map_err(|_| ())
        });
    assert!(matches!(kept, Ok(Ok(()))));
    assert_eq!(sent("a"), 0);
    assert_eq!(sent("a"), 1);
}

#[test]
fn an_import_that_is_not_heard_of_has_failed_and_goes_on_when_it_comes_back() {
    let bench = bench();
    let bot = bench.role("bot");
    let send = |name: &str, number: u64, last: bool| {
        let lines = [line(
            number,
            "messages",
            json!({"text": number.to_string()}),
        )];
        let one = ImportBatch {
            last,
            ..batch(name, &lines)
        };
        bench.vault.import(&call(&bot, None), &one).map(|_| ())
    };
    let newest = || bench.vault.jobs().list().swap_remove(0).state;
    let wait = |seconds: i64| bench.clock.advance(seconds * 1_000);
    send("a", 1, false).unwrap();
    wait(IMPORT_IDLE_SECONDS);
    assert_eq!(newest(), JobState::Running);
    assert!(matches!(send("b", 1, false), Err(Refusal::Conflict(_))));
    // A line in time: it goes on.
    send("a", 2, false).unwrap();
    wait(IMPORT_IDLE_SECONDS);
    assert_eq!(newest(), JobState::Running);
    wait(1);
    // Nobody has to come for it to end.
    assert!(matches!(newest(), JobState::Failed(why) if why.contains("not been heard of")));
    assert_eq!(bench.vault.jobs().list().len(), 1);
    send("a", 3, true).unwrap();
    assert_eq!(newest(), JobState::Done);
    assert_eq!(bench.vault.jobs().list().len(), 2);
    assert_eq!(texts(&bench, &bot), ["1", "2", "3"]);
    // One that somebody ended stands in nobody's way, heard of or not.
    send("c", 1, false).unwrap();
    let keyholder = bench.vault.keyholder();
    let job = bench.vault.jobs().list()[0].number;
    bench
        .vault
        .cancel_job(&call(&keyholder, None), job)
        .unwrap();
    send("d", 1, true).unwrap();
    assert_eq!(newest(), JobState::Done);
    let ended = bench.vault.jobs().find(job).unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
}

#[test]
fn a_file_is_written_for_a_purpose_that_the_role_serves() {
    let bench = bench();
    let with_files = |purpose: Option<&str>| {
        let mut one = line(7, "papers", json!({"title": "t"}));
        if let ImportWhat::Record {
            files, purpose: of, ..
        } = &mut one.what
        {
            *files = vec!["scan".into(), "tip".into()];
            *of = purpose.map(str::to_owned);
        }
        one
    };
    let told = |role: &str, purpose: Option<&str>| {
        let who = bench.role(role);
        let name = format!("{role} {purpose:?}");
        let one = ImportBatch {
            last: true,
            ..batch(&name, &[with_files(purpose)])
        };
        let mut sent = bench.vault.import(&call(&who, None), &one).unwrap();
        assert_eq!(sent.errors, []);
        (who, sent.written.swap_remove(0))
    };
    let pairs = |line: &ImportedLine| -> Vec<(String, String)> { line.files.clone() };
    let pair = |field: &str, purpose: &str| (field.to_owned(), purpose.to_owned());
    // What needs no consent comes first; what nobody serves for this role is left to the write to say.
    let (_, of_clerk) = told("clerk", None);
    assert_eq!(
        pairs(&of_clerk),
        [pair("scan", "support"), pair("tip", "support")]
    );
    let (archive, of_archive) = told("archive", None);
    assert_eq!(
        pairs(&of_archive),
        [pair("scan", "duty"), pair("tip", "duty")]
    );
    let (_, stated) = told("clerk", Some("support"));
    assert_eq!(
        pairs(&stated),
        [pair("scan", "support"), pair("tip", "support")]
    );
    // It is one by which the file can be put, and the package's other is not.
    let put = |purpose: &str, field: &str| {
        let place = BlobPlace {
            subject: of_archive.subject,
            collection: "papers".into(),
            record: of_archive.record,
            field: field.into(),
        };
        let png = MediaType::parse("image/png").unwrap();
        let call = call(&archive, Some(purpose));
        let upload = bench.vault.begin_upload(&call, place, png, Some(3), None)?;
        let mut upload = upload;
        upload.write(b"png")?;
        upload.finish().map(drop)
    };
    put("duty", "scan").unwrap();
    assert!(put("support", "scan").is_err());
    assert!(put("duty", "tip").is_err());
    // Sent again, the same is told.
    let again = ImportBatch {
        last: true,
        ..batch("archive None", &[with_files(None)])
    };
    let again = bench.vault.import(&call(&archive, None), &again).unwrap();
    assert_eq!((again.repeated, &again.written[0]), (1, &of_archive));
}

#[test]
fn what_is_wrong_is_told_with_its_collection() {
    let bench = bench();
    let clerk = bench.role("clerk");
    // Parts of one row share its number.
    let lines = [
        line(4, "profile", json!({"email": "ann@example.test"})),
        line(4, "orders", json!({"email": "no mail", "code": 1})),
    ];
    let one = batch("a", &lines);
    let told = bench.vault.import(&call(&clerk, None), &one).unwrap();
    let wrong: Vec<_> = told
        .errors
        .iter()
        .map(|one| (one.line, one.collection.as_deref(), one.pointer.as_str()))
        .collect();
    assert_eq!(wrong, [(4, Some("orders"), "/email")]);
}

/// What is told of many lines is more than is remembered of an answer; what was written is remembered all the same.
#[test]
fn lines_that_are_sent_again_with_as_much_wrong_as_can_be_are_written_once() {
    let bench = bench();
    let bot = bench.role("clerk");
    let names = ["first", "second", "third", "fourth"];
    let wrong: Map<String, Value> = names
        .into_iter()
        .map(|name| (format!("the_{name}_of_four_fields"), json!("no number")))
        .collect();
    let wrong = Value::Object(wrong);
    let mut lines: Vec<_> = (1..200)
        .map(|number| line(number, "answers_to_the_long_questionnaire", wrong.clone()))
        .collect();
    lines.push(line(200, "messages", json!({"text": "one"})));
    let send = || {
        let sent = bench.vault.import(&call(&bot, None), &batch("a", &lines));
        sent.unwrap()
    };
    let first = send();
    assert_eq!(first.errors.len(), 199 * IMPORT_ERRORS_PER_LINE_MAX);
    let mut told = first.errors.clone();
    told.iter_mut().for_each(|error| error.detail.clear());
    let told = serde_json::to_vec(&told).unwrap().len();
    assert!(told > ANSWER_BYTES_MAX, "{told}");
    let second = send();
    assert_eq!((second.repeated, &second.written), (1, &first.written));
    // Each line is told again, and for the same reason.
    let told: Vec<_> = second.errors.iter().map(|e| (e.line, &*e.code)).collect();
    let codes = first.errors.iter().step_by(IMPORT_ERRORS_PER_LINE_MAX);
    let expected: Vec<_> = codes.map(|e| (e.line, &*e.code)).collect();
    assert_eq!(told, expected);
    assert_eq!(texts(&bench, &bot), ["one"]);
}

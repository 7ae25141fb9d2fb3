//! What is in a package, for whom, and what ends it.

use std::io::{Cursor, Read};

use serde_json::{Value, json};

use super::*;
use crate::crypto::sha256;
use crate::export::Seal;
use crate::notice::NoticeAbout;
use crate::policy::{RestrictionGround, SAMPLE};
use crate::vault::tests::{Bench, call, object};
use crate::vault::{
    BlobPlace, ConsentInput, NoticeInput, Principal, RestrictionInput, SessionInput,
};

/// The sample with a photograph, something inferred, and who may see what.
fn policy() -> String {
    let fields = "photo = { type = \"blob\", purposes = [\"support\"], media_types = [\"image/*\"] }\n\
        score = { type = \"number\", purposes = [\"support\"], source = \"inferred\" }\n\
        vip = { type = \"bool\", purposes = [\"duty\"] }\n";
    let roles = "\n[purposes.duty]\ntitle.en = \"A duty\"\ntitle.de = \"Eine Pflicht\"\nbasis = \"legal_obligation\"\nretention = { after = \"collected\", period = \"P1Y\" }\n\
        [purposes.improve]\ntitle.en = \"Improving\"\ntitle.de = \"Verbessern\"\nbasis = \"legitimate_interests\"\nretention = { after = \"collected\", period = \"P1Y\" }\n\
        [roles.front]\nmay = [\"objections.record\", \"restrictions.set\", \"notices.record\", \"requests.decide\"]\n\
        [roles.desk]\nread = { \"*\" = \"full\" }\nmay = [\"subjects.export\"]\n\
        [roles.narrow]\nread = { \"profile.name\" = \"full\", \"profile.email\" = \"mask\" }\nmay = [\"subjects.export\"]\n\
        [roles.blind]\nmay = [\"subjects.export\"]\n\
        [roles.writer]\npurposes = [\"support\", \"duty\"]\nread = { \"*\" = \"full\" }\nwrite = [\"*\"]\nmay = [\"subjects.create\", \"subjects.erase\", \"sessions.create\", \"consents.record\"]\n\
        [roles.kiosk]\npurposes = [\"support\"]\nread = { \"*\" = \"full\" }\nmay = [\"subjects.create\", \"sessions.create\", \"subjects.export\"]\n";
    let text = SAMPLE.replacen("\nslots =", &format!("\n{fields}slots ="), 1);
    assert_ne!(text, SAMPLE);
    format!("{text}\n{roles}")
}

fn input(right: Right, form: Form) -> ExportInput {
    ExportInput {
        right,
        form,
        language: None,
        seal: Seal::None,
    }
}

fn run(mut export: Export) -> Result<Vec<u8>, Refusal> {
    let mut all = Vec::new();
    loop {
        let mut part = Vec::new();
        let step = export.step(&mut |bytes| part = bytes)?;
        all.append(&mut part);
        if step == ExportStep::Done {
            return Ok(all);
        }
    }
}

fn package(bench: &Bench, who: &Principal, of: SubjectId, right: Right, form: Form) -> Vec<u8> {
    let export = bench.vault.export(&call(who, None), of, input(right, form));
    run(export.unwrap()).unwrap()
}

fn json_of(bench: &Bench, who: &Principal, of: SubjectId, right: Right) -> Value {
    serde_json::from_slice(&package(bench, who, of, right, Form::Json)).unwrap()
}

/// Ann, with one of everything, and Bob.
fn people(bench: &Bench) -> (SubjectId, SubjectId) {
    let writer = bench.role("writer");
    let vault = &bench.vault;
    let support = call(&writer, Some("support"));
    let (ann, _) = vault
        .create_subject(&support, "web", "canary-user-ann")
        .unwrap();
    let (bob, _) = vault
        .create_subject(&support, "web", "canary-user-bob")
        .unwrap();
    let body = object(json!({
        "name": "<script>alert('canary-name')</script>",
        "email": "canary-mail@example.test",
        "slots": {"k": ["canary-json", 1]},
        "score": 17,
        "_meta": {"source": "form", "shared_with": ["carrier"]},
    }));
    vault
        .patch_single(&support, ann, "profile", body, None)
        .unwrap();
    let duty = call(&writer, Some("duty"));
    let body =
        object(json!({"vip": true, "_meta": {"source": "form", "shared_with": ["carrier"]}}));
    vault
        .patch_single(&duty, ann, "profile", body, None)
        .unwrap();
    for number in 0..20 {
        let text = format!("=canary-text-{number:02}");
        let body =
            object(json!({"from": "user", "text": text, "occurred_at": "2026-01-02T03:04:05Z"}));
        vault.append(&support, ann, "messages", vec![body]).unwrap();
    }
    let inferred = object(
        json!({"text": "canary-inferred", "_meta": {"source": "inferred", "purposes": ["support"]}}),
    );
    vault
        .append(&support, ann, "messages", vec![inferred])
        .unwrap();
    let consent = ConsentInput {
        given: true,
        notice: json!("canary-notice"),
        choice: Some("Yes".into()),
        message_id: None,
        ..ConsentInput::default()
    };
    vault
        .put_consent(&call(&writer, None), ann, "newsletter", consent)
        .unwrap();
    vault
        .append(
            &support,
            bob,
            "messages",
            vec![object(json!({"text": "canary-of-bob"}))],
        )
        .unwrap();
    (ann, bob)
}

fn photo(bench: &Bench, of: SubjectId, content: &[u8]) {
    let writer = bench.role("writer");
    let place = BlobPlace {
        subject: of,
        collection: "profile".into(),
        record: None,
        field: "photo".into(),
    };
    let call = call(&writer, Some("support"));
    let media_type = crate::schema::MediaType::parse("image/png").unwrap();
    let mut upload = bench
        .vault
        .begin_upload(&call, place, media_type, Some(content.len() as u64), None)
        .unwrap();
    upload.write(content).unwrap();
    upload.finish().unwrap();
}

fn members(package: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(package)).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut member = archive.by_index(at).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            (member.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// An objection that is decided, a restriction of a collection, and a notice for each.
fn demands(bench: &Bench, of: SubjectId) {
    let front = bench.role("front");
    let (vault, front) = (&bench.vault, call(&front, None));
    let grounds = Some("<b>canary-grounds</b>");
    vault.put_objection(&front, of, "improve", grounds).unwrap();
    let decided = vault.decide_objection(&front, of, "improve", true, "canary-decision");
    decided.unwrap();
    let input = RestrictionInput {
        ground: RestrictionGround::Claims,
        collections: vec!["messages".into()],
        reason: Some("canary-claim".into()),
    };
    vault.put_restriction(&front, of, input).unwrap();
    let notice = vault.notice(Some("de")).unwrap();
    let processing = NoticeInput {
        about: NoticeAbout::Processing,
        version: Some(notice.version),
        language: notice.language,
        channel: Some("canary-channel".into()),
        sha256: notice.sha256,
        acknowledged: true,
    };
    let lift = NoticeInput {
        about: NoticeAbout::RestrictionLift,
        version: None,
        language: "de".into(),
        channel: None,
        sha256: [0xab; 32],
        acknowledged: false,
    };
    for notice in [processing, lift] {
        vault.record_notice(&front, of, notice).unwrap();
    }
    vault.lift_restriction(&front, of).unwrap();
}

#[test]
fn a_copy_of_everything_tells_what_was_demanded_and_told_and_nobody_elses() {
    let bench = Bench::of(&policy());
    let (ann, bob) = people(&bench);
    demands(&bench, ann);
    let desk = bench.role("desk");
    let data = json_of(&bench, &desk, ann, Right::Access);
    let at = &data["made_at"];
    let objections = json!([{"purpose": "improve", "state": "upheld", "history": [
        {"state": "pending", "at": at, "reason": "<b>canary-grounds</b>", "origin": "person"},
        {"state": "upheld", "at": at, "reason": "canary-decision", "origin": "person"},
    ]}]);
    assert_eq!(data["objections"], objections);
    let restriction = json!({"restricted": false, "history": [
        {"ground": "18.1.c", "collections": ["messages"], "at": at, "reason": "canary-claim"},
        {"ground": null, "collections": [], "at": at, "reason": null},
    ]});
    assert_eq!(data["restriction"], restriction);
    let sha256 = hex(&bench.vault.notice(Some("de")).unwrap().sha256);
    let notices = json!([
        {"about": "processing", "version": 1, "lang": "de", "channel": "canary-channel",
         "sha256": sha256, "acknowledged": true, "at": at},
        {"about": "restriction_lift", "version": 0, "lang": "de", "channel": null,
         "sha256": "ab".repeat(32), "acknowledged": false, "at": at},
    ]);
    assert_eq!(data["notices"], notices);
    // Somebody else demanded nothing, and nothing of it is theirs.
    let other = json_of(&bench, &desk, bob, Right::Access);
    assert_eq!(other["objections"], json!([]));
    let none = json!({"restricted": false, "history": []});
    assert_eq!(other["restriction"], none);
    assert_eq!(other["notices"], json!([]));
    assert!(!other.to_string().contains("canary-grounds"));
    // It is no part of what may be taken along (Art. 20).
    let portable = json_of(&bench, &desk, ann, Right::Portability);
    for name in ["objections", "restriction", "notices"] {
        assert!(portable.get(name).is_none(), "{name}");
    }
}

#[test]
fn a_page_says_what_was_demanded_in_each_language_and_shows_markup_as_text() {
    let text = in_every_language();
    let bench = Bench::of(&text);
    let (ann, bob) = people(&bench);
    demands(&bench, ann);
    let desk = bench.role("desk");
    let page = |of, tag: &str| {
        let input = ExportInput {
            language: Some(tag.into()),
            ..input(Right::Access, Form::Html)
        };
        let export = bench.vault.export(&call(&desk, None), of, input).unwrap();
        String::from_utf8(run(export).unwrap()).unwrap()
    };
    for (tag, words) in [
        (
            "de",
            [
                "Ihre Widersprüche",
                "stattgegeben",
                "Art. 18 Abs. 1 lit. c",
                "Einschränkung aufgehoben",
            ],
        ),
        (
            "en",
            [
                "Your objections",
                "upheld",
                "(Art. 18(1)(c))",
                "restriction lifted",
            ],
        ),
        (
            "es",
            [
                "Sus oposiciones",
                "estimada",
                "(art. 18.1.c)",
                "limitación levantada",
            ],
        ),
        (
            "fr",
            [
                "Vos oppositions",
                "acceptée",
                "(art. 18, par. 1, c)",
                "limitation levée",
            ],
        ),
        (
            "it",
            [
                "Le Sue opposizioni",
                "accolta",
                "(art. 18, par. 1, lett. c)",
                "limitazione revocata",
            ],
        ),
        (
            "nl",
            [
                "Uw bezwaren",
                "gehonoreerd",
                "(art. 18 lid 1 onder c)",
                "beperking opgeheven",
            ],
        ),
        (
            "pl",
            [
                "Twoje sprzeciwy",
                "uwzględniony",
                "(art. 18 ust. 1 lit. c)",
                "ograniczenie zniesiono",
            ],
        ),
        (
            "pt",
            [
                "As suas oposições",
                "aceite",
                "(art. 18.º, n.º 1, al. c)",
                "limitação levantada",
            ],
        ),
    ] {
        let (of_ann, of_bob) = (page(ann, tag), page(bob, tag));
        assert!(
            of_bob.contains(words[0]),
            "{tag}: a heading is always there"
        );
        for word in words {
            assert!(of_ann.contains(word), "{tag}: {word}");
        }
        for word in &words[1..] {
            assert!(
                !of_bob.contains(&format!("<strong>{word}")),
                "{tag}: {word}"
            );
        }
        for canary in [
            "canary-decision",
            "canary-claim",
            "canary-channel",
            &"ab".repeat(32),
        ] {
            assert!(
                of_ann.contains(canary) && !of_bob.contains(canary),
                "{tag}: {canary}"
            );
        }
        assert!(of_ann.contains("&lt;b&gt;canary-grounds&lt;/b&gt;"));
        assert!(!of_ann.contains("<b>"));
    }
}

#[test]
fn a_restriction_of_what_the_policy_has_no_more_is_not_one_of_everything() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let front = bench.role("front");
    let input = RestrictionInput {
        ground: RestrictionGround::Accuracy,
        collections: vec!["messages".into()],
        reason: None,
    };
    let put = bench.vault.put_restriction(&call(&front, None), ann, input);
    put.unwrap();
    let named = |policy: &Policy| {
        let snapshot = bench.vault.snapshot().unwrap();
        let desk = bench.role("desk");
        let person = Context::new(&call(&desk, None))
            .person(&snapshot, ann)
            .unwrap();
        let view = crate::vault::restrictions::view(&snapshot, policy, &person).unwrap();
        view.history[0].collections.clone()
    };
    let snapshot = bench.vault.snapshot().unwrap();
    assert_eq!(
        named(&bench.vault.policy_of(&snapshot).unwrap()),
        ["messages"]
    );
    let other = SAMPLE.replace("collections.messages", "collections.notes");
    let other = other.replace("messages.*", "notes.*");
    let other = crate::policy::Draft::parse(&other).unwrap();
    let known = bench.vault.policy_of(&snapshot).unwrap();
    let other = other.assign(Some(&known), 2).unwrap();
    let id = known.collection("messages").unwrap().id;
    assert_eq!(named(&other), [format!("#{id}")]);
}

/// The policy in all eight languages.
fn in_every_language() -> String {
    let text = policy().replacen(
        "languages = [\"en\", \"de\"]",
        "languages = [\"en\", \"de\", \"fr\", \"es\", \"it\", \"nl\", \"pl\", \"pt\"]",
        1,
    );
    let mut titled = String::new();
    for line in text.lines() {
        titled.push_str(line);
        titled.push('\n');
        if line.starts_with("title.de") {
            for tag in ["fr", "es", "it", "nl", "pl", "pt"] {
                titled.push_str(&format!("title.{tag} = \"T {tag}\"\n"));
            }
        }
    }
    titled
}

const OF_ANN: [&str; 7] = [
    "canary-user-ann",
    "canary-name",
    "canary-mail@example.test",
    "canary-json",
    "canary-text-19",
    "canary-inferred",
    "canary-notice",
];

#[test]
fn a_copy_of_everything_has_every_value_of_the_person_and_none_of_anybody_else() {
    let bench = Bench::of(&policy());
    let (ann, bob) = people(&bench);
    let desk = bench.role("desk");
    for form in [Form::Json, Form::Html] {
        let text = String::from_utf8(package(&bench, &desk, ann, Right::Access, form)).unwrap();
        for canary in OF_ANN {
            assert!(text.contains(canary), "{form:?}: {canary}");
        }
        for foreign in ["canary-user-bob", "canary-of-bob", &bob.to_string()] {
            assert!(!text.contains(foreign), "{form:?}: {foreign}");
        }
    }
    let data = json_of(&bench, &desk, ann, Right::Access);
    assert_eq!(data["complete"], true);
    assert_eq!(data["end"]["records"], 22);
    assert_eq!(data["records"].as_array().unwrap().len(), 22);
    assert_eq!(
        data["records"][0]["_meta"]["shared_with"],
        json!(["carrier"])
    );
    assert!(
        data["records"][1]["ends_at"].is_string(),
        "messages end after 90 days"
    );
    let accesses = data["accesses"].as_array().unwrap();
    assert_eq!(accesses[0]["action"], "subjects.export");
    assert_eq!(accesses[0]["purpose"], "rights");
    assert!(accesses.iter().any(|one| one["action"] == "records.append"));
}

#[test]
fn what_may_be_taken_along_is_what_the_person_provided_on_a_basis_that_allows_it() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let data = json_of(&bench, &bench.role("desk"), ann, Right::Portability);
    let profile = &data["records"][0]["fields"];
    assert_eq!(profile["email"], "canary-mail@example.test");
    assert_eq!(
        (&profile["score"], &profile["vip"]),
        (&Value::Null, &Value::Null)
    );
    let text = data.to_string();
    assert!(text.contains("canary-text-19") && !text.contains("canary-inferred"));
    assert!(data.get("accesses").is_none() && data.get("consents").is_none());
    let left_out = json!([
        {"collection": "profile", "field": "score", "code": "inferred"},
        {"collection": "profile", "field": "vip", "code": "other_basis"},
    ]);
    assert_eq!(data["left_out"], left_out);
    assert_eq!(data["complete"], true);
}

#[test]
fn a_package_shows_what_the_role_sees_and_names_the_rest() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let data = json_of(&bench, &bench.role("narrow"), ann, Right::Access);
    let profile = &data["records"][0];
    assert_eq!(profile["fields"].as_object().unwrap().len(), 2);
    assert_eq!(profile["masked"], json!(["email"]));
    assert_ne!(profile["fields"]["email"], "canary-mail@example.test");
    assert_eq!(data["complete"], false);
    let withheld = data["withheld"].as_array().unwrap();
    assert!(
        withheld.contains(&json!({"collection": "profile", "field": "email", "code": "masked"}))
    );
    assert!(
        withheld
            .contains(&json!({"collection": "messages", "field": "text", "code": "role_denied"}))
    );
    for form in [Form::Json, Form::Html, Form::Csv, Form::Zip] {
        let blind = package(&bench, &bench.role("blind"), ann, Right::Access, form);
        let parts = match form.is_archive() {
            true => members(blind),
            false => vec![(String::new(), blind)],
        };
        for (name, bytes) in parts {
            let text = String::from_utf8(bytes).unwrap();
            // Consents are told by the capability, and are no field's value.
            for canary in OF_ANN.iter().filter(|one| **one != "canary-notice") {
                assert!(!text.contains(canary), "{form:?} {name}: {canary}");
            }
        }
    }
}

#[test]
fn only_who_may_export_exports_and_only_whom_they_reach() {
    let bench = Bench::of(&policy());
    let (ann, bob) = people(&bench);
    let begin = |who: &Principal, purpose, of| {
        let input = input(Right::Access, Form::Json);
        bench.vault.export(&call(who, purpose), of, input).map(drop)
    };
    for role in ["bot", "agent", "operator", "auditor", "writer"] {
        let refused = begin(&bench.role(role), None, ann).unwrap_err();
        assert_eq!(refused.code(), "role_denied", "{role}");
    }
    let keyholder = bench.vault.keyholder();
    assert_eq!(
        begin(&keyholder, None, ann).unwrap_err().code(),
        "role_denied"
    );
    let desk = bench.role("desk");
    begin(&desk, Some("rights"), ann).unwrap();
    let nobody = SubjectId::from_bytes([7; 16]);
    assert_eq!(begin(&desk, None, nobody).unwrap_err().code(), "not_found");
    // A session exports where its maker's role may, its own person and its own fields.
    let session = |role: &str| {
        let maker = bench.role(role);
        let input = SessionInput {
            purpose: "support".into(),
            fields: vec!["profile.name".into()],
            reads: 5,
            writes: 0,
            expires_in: None,
        };
        let begun = bench
            .vault
            .begin_session(&call(&maker, None), ann, input)
            .unwrap();
        bench.vault.authenticate(&begun.token).unwrap()
    };
    assert_eq!(
        begin(&session("writer"), None, ann).unwrap_err().code(),
        "role_denied"
    );
    let kiosk = session("kiosk");
    assert_eq!(begin(&kiosk, None, bob).unwrap_err().code(), "not_found");
    let data = json_of(&bench, &kiosk, ann, Right::Access);
    assert_eq!(data["records"][0]["fields"].as_object().unwrap().len(), 1);
    // Erased.
    let writer = bench.role("writer");
    bench
        .vault
        .erase_subject(&call(&writer, None), ann)
        .unwrap();
    assert_eq!(begin(&desk, None, ann).unwrap_err().code(), "erased");
}

#[test]
fn an_erasure_ends_a_package_that_is_under_way_and_nothing_more_of_it_leaves() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let (desk, writer) = (bench.role("desk"), bench.role("writer"));
    let input = input(Right::Access, Form::Zip);
    let mut export = bench.vault.export(&call(&desk, None), ann, input).unwrap();
    export.step(&mut |_| {}).unwrap();
    bench
        .vault
        .erase_subject(&call(&writer, None), ann)
        .unwrap();
    let refused = export.step(&mut |_| panic!("a part left after the erasure"));
    assert_eq!(refused.unwrap_err().code(), "erased");
}

#[test]
fn the_log_has_its_entry_before_the_first_byte_leaves() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let desk = bench.role("desk");
    let input = input(Right::Access, Form::Json);
    let export = bench.vault.export(&call(&desk, None), ann, input).unwrap();
    let auditor = bench.role("auditor");
    let query = crate::vault::AuditQuery {
        last: 10,
        action: Some("subjects.export".into()),
        ..crate::vault::AuditQuery::default()
    };
    let page = bench.vault.audit(&call(&auditor, None), &query).unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].entry["purpose"], "rights");
    drop(export);
}

#[test]
fn a_page_shows_markup_as_text_and_closes_what_it_opens() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let desk = bench.role("desk");
    for right in [Right::Access, Right::Portability] {
        let page = String::from_utf8(package(&bench, &desk, ann, right, Form::Html)).unwrap();
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;alert('canary-name')&lt;/script&gt;"));
        for tag in [
            "html", "body", "main", "section", "dl", "dt", "dd", "ul", "li", "p", "h2", "h3",
        ] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        for forbidden in [
            " src=",
            "http://",
            "url(",
            "javascript:",
            " style=",
            "<form",
            "<iframe",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}

#[test]
fn a_zip_holds_all_forms_and_the_files_and_a_manifest_that_fits_them() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let content: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    photo(&bench, ann, &content);
    let desk = bench.role("desk");
    let all = members(package(&bench, &desk, ann, Right::Access, Form::Zip));
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "data.json",
            "data.html",
            "csv/profile.csv",
            "csv/messages.csv",
            "files/000001-profile-photo.png",
            "manifest.json",
        ]
    );
    let part = |name: &str| &all.iter().find(|(one, _)| one == name).unwrap().1;
    assert_eq!(part("files/000001-profile-photo.png"), &content);
    let manifest: Value = serde_json::from_slice(part("manifest.json")).unwrap();
    assert_eq!(
        (&manifest["complete"], &manifest["same_state"]),
        (&json!(true), &json!(true))
    );
    for member in manifest["members"].as_array().unwrap() {
        let bytes = part(member["name"].as_str().unwrap());
        assert_eq!(member["bytes"], bytes.len());
        assert_eq!(member["sha256"], hex(&sha256(&[bytes])));
    }
    let data: Value = serde_json::from_slice(part("data.json")).unwrap();
    let photo = &data["records"][0]["fields"]["photo"];
    assert_eq!(photo["sha256"], hex(&sha256(&[&content])));
    assert_eq!(photo["file"], "files/000001-profile-photo.png");
    let csv = String::from_utf8(part("csv/messages.csv").clone()).unwrap();
    assert!(csv.contains("'=canary-text-03"), "a formula is not one");
    assert_eq!(csv.matches("\r\n").count(), 22);
    // The same again, but for what must differ.
    bench.clock.advance(0);
    let again = members(package(&bench, &desk, ann, Right::Access, Form::Zip));
    assert_eq!(
        again
            .iter()
            .find(|(one, _)| one == "csv/messages.csv")
            .unwrap()
            .1,
        *part("csv/messages.csv")
    );
}

#[test]
fn a_zip_that_was_made_while_somebody_wrote_says_so() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let (desk, writer) = (bench.role("desk"), bench.role("writer"));
    let export = bench
        .vault
        .export(&call(&desk, None), ann, input(Right::Access, Form::Zip));
    let mut export = export.unwrap();
    let mut all = Vec::new();
    let mut steps = 0;
    loop {
        let mut part = Vec::new();
        let step = export.step(&mut |bytes| part = bytes).unwrap();
        all.append(&mut part);
        steps += 1;
        if matches!(export.at, At::Begin(1)) {
            let support = call(&writer, Some("support"));
            bench
                .vault
                .append(
                    &support,
                    ann,
                    "messages",
                    vec![object(json!({"text": "late"}))],
                )
                .unwrap();
        }
        if step == ExportStep::Done {
            break;
        }
    }
    assert!(steps > 5);
    let all = members(all);
    let manifest: Value = serde_json::from_slice(&all.last().unwrap().1).unwrap();
    assert_eq!(manifest["same_state"], false);
}

#[test]
fn an_encrypted_package_opens_for_its_recipient_and_nobody_else() {
    let bench = Bench::of(&policy());
    let (ann, _) = people(&bench);
    let desk = bench.role("desk");
    let identity = age::x25519::Identity::generate();
    let stranger = age::x25519::Identity::generate();
    let sealed = |seal| {
        let input = ExportInput {
            seal,
            ..input(Right::Access, Form::Json)
        };
        let export = bench.vault.export(&call(&desk, None), ann, input).unwrap();
        assert!(export.file_name().ends_with(".json.age"));
        run(export).unwrap()
    };
    let package = sealed(Seal::recipient(&identity.to_public().to_string()).unwrap());
    assert!(!package.windows(6).any(|part| part == b"canary"));
    let open = |package: &[u8], identity: &dyn age::Identity| {
        let decryptor = age::Decryptor::new(package).ok()?;
        let mut text = String::new();
        let reader = decryptor.decrypt(std::iter::once(identity)).ok()?;
        { reader }.read_to_string(&mut text).ok()?;
        Some(text)
    };
    assert!(
        open(&package, &identity)
            .unwrap()
            .contains("canary-text-07")
    );
    assert!(open(&package, &stranger).is_none());
    let package = sealed(Seal::passphrase("correct horse battery".into()).unwrap());
    let right = age::scrypt::Identity::new("correct horse battery".to_owned().into());
    let wrong = age::scrypt::Identity::new("correct horse batters".to_owned().into());
    assert!(open(&package, &right).unwrap().contains("canary-text-07"));
    assert!(open(&package, &wrong).is_none());
    assert!(Seal::recipient("age1nonsense").is_err() && Seal::passphrase("short".into()).is_err());
}

#[test]
fn a_package_is_said_in_every_language_of_the_statement() {
    let bench = Bench::of(&in_every_language());
    let (ann, _) = people(&bench);
    let desk = bench.role("desk");
    for (tag, heading) in [
        ("de", "Ihre Daten"),
        ("fr", "Vos données"),
        ("es", "Sus datos"),
        ("it", "I Suoi dati"),
        ("nl", "Uw gegevens"),
        ("pl", "Twoje dane"),
        ("pt", "Os seus dados"),
        ("en", "Your data"),
        ("xx", "Your data"),
    ] {
        let input = ExportInput {
            language: Some(tag.into()),
            ..input(Right::Access, Form::Html)
        };
        let export = bench.vault.export(&call(&desk, None), ann, input).unwrap();
        let page = String::from_utf8(run(export).unwrap()).unwrap();
        assert!(page.contains(&format!("<h1>{heading}</h1>")), "{tag}");
    }
}

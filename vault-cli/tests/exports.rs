//! A person's data, taken out of one vault and into another, and lines of somebody else's files.
//!
//! Counts as failure: anything that is not the same in the second vault but for what must differ, which
//! [`same`] lists; a file that others may read, or half of one; a value in a message.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use support::{Bench, CANARY, Dev};

const MORE: &str = r#"
[collections.papers]
kind = "many"
[collections.papers.fields]
title = { type = "text", purposes = ["support"] }
scan = { type = "blob", purposes = ["duty", "support"], media_types = ["image/*"] }
wish = { type = "blob", purposes = ["newsletter"], media_types = ["image/*"] }
tip = { type = "text", purposes = ["newsletter"] }

[purposes.duty]
title.en = "A duty"
title.de = "Eine Pflicht"
basis = "legal_obligation"
retention = { after = "collected", period = "P1Y" }

[purposes.improve]
title.en = "Improving"
title.de = "Verbessern"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[purposes.rental]
title.en = "Renting"
title.de = "Vermieten"
basis = "contract"
retention = { after = "contract_end", period = "P1Y" }

[roles.clerk]
purposes = ["support", "newsletter", "rental"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "consents.record", "subjects.export", "objections.record", "requests.decide", "restrictions.set", "notices.record"]

[roles.mover]
purposes = ["support", "newsletter", "rental"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "consents.record"]

[roles.half]
read = { "profile.name" = "full" }
may = ["subjects.export"]
"#;

fn call(dev: &Dev, method: &str, path: &str, purpose: &str, body: (&str, Vec<u8>)) -> Value {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/v1/{path}", dev.url()))
        .header("Authorization", format!("Bearer {}", dev.secret("clerk")))
        .header("Vault-Purpose", purpose)
        .header("Content-Type", body.0)
        .body(body.1)
        .unwrap();
    let mut answer = agent.run(request).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    assert!(answer.status().is_success(), "{path}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn send(dev: &Dev, method: &str, path: &str, purpose: &str, body: Value) -> Value {
    call(
        dev,
        method,
        path,
        purpose,
        ("application/json", body.to_string().into_bytes()),
    )
}

fn photo() -> Vec<u8> {
    (0..700_001u32).map(|at| (at % 253) as u8).collect()
}

/// Somebody with one of everything.
fn somebody(dev: &Dev) -> String {
    let made = send(
        dev,
        "POST",
        "subjects",
        "support",
        json!({"channel": "web", "user": CANARY}),
    );
    let ann = made["subject"].as_str().unwrap().to_owned();
    let at = |rest: &str| format!("subjects/{ann}/{rest}");
    send(
        dev,
        "PATCH",
        &at("records/profile"),
        "support",
        json!({
        "name": "Ann \"Quote\" Exämple <b>", "email": CANARY, "slots": {"deep": [1, {"x": null}, 1.5e300]},
        "_meta": {"source": "form", "shared_with": ["carrier"], "category": "c1"}}),
    );
    send(
        dev,
        "PUT",
        &at("consents/newsletter"),
        "support",
        json!({"given": true, "notice": {"version": "3"}, "choice": "Yes", "message_id": "m1"}),
    );
    for number in 0..230 {
        send(
            dev,
            "POST",
            &at("records/messages"),
            "support",
            json!({"from": "user", "text": format!("=text {number}"), "occurred_at": "2026-01-02T03:04:05.678Z"}),
        );
    }
    let paper = json!({"title": "t", "_meta": {"purposes": ["support"], "expires_at": "2031-01-01T00:00:00Z"}});
    let paper = send(dev, "POST", &at("records/papers"), "support", paper);
    let paper = paper["record"].as_str().unwrap();
    let scan = at(&format!("blobs/papers/{paper}/scan"));
    call(dev, "PUT", &scan, "support", ("image/png", photo()));
    let by_consent = json!({"tip": "only by consent"});
    let tip = send(dev, "POST", &at("records/papers"), "newsletter", by_consent);
    let tip = tip["record"].as_str().unwrap();
    let wish = at(&format!("blobs/papers/{tip}/wish"));
    let content = b"a file by consent".to_vec();
    call(dev, "PUT", &wish, "newsletter", ("image/png", content));
    send(
        dev,
        "DELETE",
        &at("consents/newsletter"),
        "support",
        Value::Null,
    );
    for (method, rest, body) in [
        ("PUT", "objections/improve", json!({"reason": "my grounds"})),
        (
            "POST",
            "objections/improve/decision",
            json!({"outcome": "upheld", "reason": "ours are less"}),
        ),
        ("PUT", "objections/newsletter", json!({"reason": "no more"})),
        (
            "PUT",
            "restriction",
            json!({"ground": "18.1.a", "collections": ["papers"], "reason": "it is wrong"}),
        ),
        (
            "POST",
            "notices",
            json!({"about": "restriction_lift", "lang": "en", "sha256": "0".repeat(64)}),
        ),
        (
            "PUT",
            "age",
            json!({"years": 15, "guardian": "a parent answered"}),
        ),
        (
            "PUT",
            "contracts/rental",
            json!({"ended_at": "2026-06-30T00:00:00Z"}),
        ),
    ] {
        send(dev, method, &at(rest), "support", body);
    }
    ann
}

/// What must be the same in another vault. Left out are names of things (the vault, the person, records,
/// consents) and instants of their making; what follows from these (when a record ends by age); and what
/// happened in the one vault and not in the other: its ledger, its sessions, and the notices that it showed.
fn same(package: &Value) -> Value {
    let mut package = package.clone();
    let members = package.as_object_mut().unwrap();
    for name in ["made_at", "vault", "accesses", "sessions", "notices"] {
        members.remove(name);
    }
    members["person"]["subject"].take();
    members["person"]["created_at"].take();
    for record in members["records"].as_array_mut().unwrap() {
        for name in ["record", "created_at", "ends_at"] {
            record[name].take();
        }
    }
    for one in members["consents"].as_array_mut().unwrap() {
        for event in one["events"].as_array_mut().unwrap() {
            event["consent"].take();
            event["at"].take();
        }
        let receipt = &mut one["receipt"];
        receipt["record_id"].take();
        receipt["principal"].take();
        for event in receipt["events"].as_array_mut().unwrap() {
            event["event_id"].take();
            event["at"].take();
        }
    }
    for one in members["objections"].as_array_mut().unwrap() {
        for step in one["history"].as_array_mut().unwrap() {
            step["at"].take();
            // What came with a file says so.
            step["origin"].take();
        }
    }
    for name in ["restriction", "age"] {
        for step in members[name]["history"].as_array_mut().unwrap() {
            step["at"].take();
        }
    }
    for one in members["contracts"].as_array_mut().unwrap() {
        for step in one["history"].as_array_mut().unwrap() {
            step["at"].take();
        }
    }
    package
}

fn zip(path: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut all = BTreeMap::new();
    for at in 0..archive.len() {
        let mut member = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        all.insert(member.name().unwrap().into_owned(), bytes);
    }
    all
}

fn data(path: &std::path::Path) -> Value {
    serde_json::from_slice(&zip(path)["data.json"]).unwrap()
}

/// An empty vault in `v` under the policy of the server, and a file with the token of a role.
fn empty(bench: &Bench) -> String {
    bench.file("pass", support::PASSPHRASE, 0o600);
    let made = bench.run(&[
        "init",
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "--accept-file-system",
        "--policy",
        "dev.toml",
        "--json",
    ]);
    made.json();
    let made = bench.on(&["token", "create", "--role", "clerk"]).json();
    bench.file("v.token", made["secret"].as_str().unwrap(), 0o600)
}

#[test]
fn a_package_goes_from_one_vault_into_another_without_loss() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, MORE);
    let ann = somebody(&dev);
    let clerk = dev.token(&bench, "clerk");
    let through = ["--server", dev.url(), "--token-file", &clerk, "--json"];
    let export =
        |more: &[&str]| bench.run(&[&through[..], &["subject", "export", &ann], more].concat());
    let told = export(&["--to", "ann.zip"]).json();
    assert_eq!(told["encrypted"], false);
    let mode = std::fs::metadata(bench.path("ann.zip"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    export(&["--to", "ann.zip"]).json_error(1, "exists");
    let first = data(&bench.path("ann.zip"));
    assert_eq!(first["records"].as_array().unwrap().len(), 1 + 230 + 2);

    let token = empty(&bench);
    let on = |more: &[&str]| bench.on(&[&["--token-file", &token][..], more].concat());
    // Whoever may not record what stands in the way of a use does not bring the data either.
    let made = bench.on(&["token", "create", "--role", "mover"]).json();
    let mover = bench.file("mover", made["secret"].as_str().unwrap(), 0o600);
    let denied = bench.on(&["--token-file", &mover, "import", "ann.zip"]);
    denied.json_error(4, "demands_refused");
    assert_eq!(bench.on(&["status"]).json()["people"], 0);
    let dry = on(&["import", "ann.zip", "--dry-run"]).json();
    // The steps of one objection are one of them.
    assert_eq!(dry["would_write"], 1 + 1 + 233 + 1 + 2 + 1 + 2);
    let nobody = bench.feed(
        &[
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--json",
            "subject",
            "find",
        ],
        &json!({"channel": "web", "user": CANARY}).to_string(),
    );
    nobody.json_error(1, "not_found");
    let done = on(&["import", "ann.zip"]).json();
    assert_eq!((&done["written"], &done["files"]), (&json!(241), &json!(2)));
    // Once more writes nothing.
    assert_eq!(on(&["import", "ann.zip"]).json()["imported_before"], true);
    let found = bench.feed(
        &[
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--json",
            "subject",
            "find",
        ],
        &json!({"channel": "web", "user": CANARY}).to_string(),
    );
    let there = found.json()["subject"].as_str().unwrap().to_owned();
    on(&["subject", "export", &there, "--to", "again.zip"]).json();
    let second = data(&bench.path("again.zip"));
    assert_eq!(same(&first), same(&second));
    assert_eq!(second["consents"][0]["events"][1]["state"], "withdrawn");
    // What the person demanded stands here as well, in the way of every use.
    let states = |package: &Value| -> Vec<(Value, Value)> {
        let all = package["objections"].as_array().unwrap().iter();
        all.map(|one| (one["purpose"].clone(), one["state"].clone()))
            .collect()
    };
    assert_eq!(states(&second).len(), 2);
    assert!(states(&second).iter().all(|(_, state)| state == "upheld"));
    assert_eq!(second["restriction"]["restricted"], true);
    assert_eq!(first["notices"].as_array().unwrap().len(), 1);
    assert_eq!(second["notices"], json!([]));
    assert_eq!(second["age"]["guardian"], true);
    assert_eq!(second["contracts"][0]["purpose"], "rental");
    assert!(second["contracts"][0]["ended_at"].is_string());
    let scan = &zip(&bench.path("again.zip"))["files/000001-papers-scan.png"];
    assert_eq!(*scan, photo());
    // What rested on consent was put before the consent was withdrawn.
    let wish = &zip(&bench.path("again.zip"))["files/000002-papers-wish.png"];
    assert_eq!(*wish, b"a file by consent");

    // The other form of the same, and the other right; what is lost without the ZIP is said.
    let plain = export(&["--to", "ann.json", "--format", "json"]).json();
    assert_eq!(plain["complete"], Value::Null);
    let portable = export(&[
        "--to",
        "p.json",
        "--format",
        "json",
        "--right",
        "portability",
    ]);
    portable.json();
    for (right, form) in [
        ("access", "html"),
        ("portability", "csv"),
        ("access", "csv"),
    ] {
        let name = format!("{right}.{form}");
        export(&["--to", &name, "--format", form, "--right", right]).json();
    }
    let page = std::fs::read_to_string(bench.path("access.html")).unwrap();
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"));
}

#[test]
fn a_package_is_of_a_role_and_names_what_the_role_does_not_see() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, MORE);
    let ann = somebody(&dev);
    let of = |role: &str, more: &[&str]| {
        let token = dev.token(&bench, role);
        let start = [
            "--server",
            dev.url(),
            "--token-file",
            &token,
            "--json",
            "subject",
            "export",
            &ann,
        ];
        bench.run(&[&start[..], more].concat())
    };
    of("bot", &["--to", "x"]).json_error(4, "role_denied");
    assert!(!bench.path("x").exists());
    of("half", &["--to", "half.json", "--format", "json"]).json();
    let half: Value =
        serde_json::from_slice(&std::fs::read(bench.path("half.json")).unwrap()).unwrap();
    assert_eq!(half["complete"], false);
    assert!(!half.to_string().contains("=text"));
    let none = bench.run(&[
        "--server",
        dev.url(),
        "--json",
        "subject",
        "export",
        &ann,
        "--to",
        "y",
    ]);
    none.json_error(2, "usage");
    // The directory's server, by its socket: no passphrase is asked for.
    let token = dev.token(&bench, "clerk");
    bench
        .run(&[
            "--vault",
            "d",
            "--token-file",
            &token,
            "--json",
            "subject",
            "export",
            &ann,
            "--to",
            "s.zip",
        ])
        .json();
    assert_eq!(data(&bench.path("s.zip"))["complete"], true);
    // Encrypted.
    let wrong = of("clerk", &["--to", "e", "--recipient", "age1nonsense"]);
    wrong.json_error(2, "usage");
    bench.file("words", "correct horse battery", 0o600);
    of(
        "clerk",
        &["--to", "e.age", "--package-passphrase-file", "words"],
    )
    .json();
    let sealed = std::fs::read(bench.path("e.age")).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1"));
    let refused = bench.run(&[
        "--server",
        dev.url(),
        "--token-file",
        &token,
        "--json",
        "import",
        "e.age",
    ]);
    refused.json_error(1, "encrypted");
}

const MAPPING: &str = r#"
purpose = "support"
[identity]
channel = "web"
user = "Kunde"
[columns]
"E-Mail" = "profile.email"
"Geboren" = { to = "profile.birth", as = "date-dmy" }
"Notiz" = "messages.text"
[meta]
source = "crm"
"#;

#[test]
fn lines_of_somebody_elses_file_are_checked_told_by_column_and_written() {
    let bench = Bench::new();
    bench.file(
        "dev.toml",
        &format!("{}\n{MORE}", vault_core::policy::SAMPLE),
        0o644,
    );
    let token = empty(&bench);
    let rows = format!(
        "Kunde,E-Mail,Geboren,Notiz\n1,{CANARY},28.2.1990,hello\n2,not a mail {CANARY},,x\n3,c@example.test,31.2.1990,\n,d@example.test,,\n5,,soon {CANARY},\n6,,,\"two\nlines\"\n"
    );
    bench.file("people.csv", &rows, 0o644);
    bench.file("map.toml", MAPPING, 0o644);
    let import = |more: &[&str]| {
        let start = [
            "--token-file",
            &token,
            "import",
            "people.csv",
            "--mapping",
            "map.toml",
        ];
        bench.on(&[&start[..], more].concat())
    };
    let dry = import(&["--dry-run"]);
    dry.json_error(1, "lines_refused");
    let error: Value = serde_json::from_str(&dry.err).unwrap();
    let text = error.to_string();
    assert!(text.contains("4 of 6 lines would not be written"), "{text}");
    assert!(
        text.contains("line 2, E-Mail") && text.contains("line 5, Geboren"),
        "{text}"
    );
    assert!(!text.contains("canary"));
    assert!(
        std::fs::read_dir(&bench.root).unwrap().all(|one| {
            !one.unwrap()
                .file_name()
                .to_string_lossy()
                .contains(".import-")
        }),
        "a dry run leaves nothing"
    );
    let real = import(&["--errors", "refused.jsonl"]);
    real.json_error(1, "lines_refused");
    let refused = std::fs::read_to_string(bench.path("refused.jsonl")).unwrap();
    let mut seen: Vec<(u64, String)> = refused
        .lines()
        .map(|line| {
            let one: Value = serde_json::from_str(line).unwrap();
            (
                one["line"].as_u64().unwrap(),
                one["column"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    seen.sort();
    let expected = [(2, "E-Mail"), (3, "Geboren"), (4, "Kunde"), (5, "Geboren")];
    assert_eq!(
        seen,
        expected.map(|(line, column)| (line, column.to_owned()))
    );
    assert!(!refused.contains("canary"));
    let find = |user: &str| {
        bench.feed(
            &[
                "--vault",
                "v",
                "--passphrase-file",
                "pass",
                "--json",
                "subject",
                "find",
            ],
            &json!({"channel": "web", "user": user}).to_string(),
        )
    };
    let one = find("1").json()["subject"].as_str().unwrap().to_owned();
    bench
        .on(&[
            "--token-file",
            &token,
            "subject",
            "export",
            &one,
            "--to",
            "one.json",
            "--format",
            "json",
        ])
        .json();
    let package: Value =
        serde_json::from_slice(&std::fs::read(bench.path("one.json")).unwrap()).unwrap();
    assert_eq!(
        package["records"][0]["fields"],
        json!({"email": CANARY, "birth": "1990-02-28"})
    );
    assert_eq!(package["records"][1]["_meta"]["source"], "crm");
    find("3").json_error(1, "not_found");
    // A file that has changed since is another import.
    bench.file("people.csv", &format!("{rows}7,,,x\n"), 0o644);
    import(&[]).json_error(1, "other_import");
}

/// Two collections with a field of the same name: the second column is the one that is meant.
#[test]
fn a_line_is_told_by_the_column_of_its_own_collection() {
    let bench = Bench::new();
    let orders = "[collections.orders]\nkind = \"many\"\n[collections.orders.fields]\nemail = { type = \"email\", purposes = [\"support\"] }\n";
    let policy = format!("{}\n{MORE}\n{orders}", vault_core::policy::SAMPLE);
    bench.file("dev.toml", &policy, 0o644);
    let token = empty(&bench);
    bench.file(
        "people.csv",
        "Kunde,Erste,Zweite\n1,a@example.test,no mail\n",
        0o644,
    );
    let mapping = "[identity]\nchannel = \"web\"\nuser = \"Kunde\"\n[columns]\nErste = \"profile.email\"\nZweite = \"orders.email\"\n";
    bench.file("map.toml", mapping, 0o644);
    let start = ["--token-file", &token, "import", "people.csv"];
    let told = bench.on(&[&start[..], &["--mapping", "map.toml"]].concat());
    told.json_error(1, "lines_refused");
    assert!(told.err.contains("line 1, Zweite"), "{}", told.err);
}

/// What a row comes to is sent in one call, and a call has an end.
#[test]
fn a_row_that_is_too_long_for_one_call_is_refused_and_spoils_no_other() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, MORE);
    let token = dev.token(&bench, "clerk");
    let half = "x".repeat(500_000);
    let most = "x".repeat(900_000);
    let rows = format!(
        "Kunde,Notiz,Titel\n1,a,b\n2,{half},{half}\n3,{most},b\n4,a,b\n5,{most}{half},b\n6,,b\n"
    );
    bench.file("rows.csv", &rows, 0o644);
    let mapping = "purpose = \"support\"\n[identity]\nchannel = \"web\"\nuser = \"Kunde\"\n[columns]\nNotiz = \"messages.text\"\nTitel = \"papers.title\"\n";
    bench.file("map.toml", mapping, 0o644);
    let start = ["--server", dev.url(), "--token-file", &token, "--json"];
    let import = ["import", "rows.csv", "--mapping", "map.toml"];
    let told = bench.run(&[&start[..], &import].concat());
    told.json_error(1, "lines_refused");
    assert!(
        told.err.contains("3 of 6 lines were not written"),
        "{}",
        told.err
    );
    // What one call has room for is sent, and told by the vault.
    for line in [
        "line 2: too_large",
        "line 3, Notiz: too_long",
        "line 5: too_large",
    ] {
        assert_eq!(told.err.matches(line).count(), 1, "{}", told.err);
    }
    // The same command has nothing left to do.
    let again = bench.run(&[&start[..], &import].concat()).json();
    assert_eq!(
        (&again["written"], &again["refused"]),
        (&json!(3), &json!(3))
    );
}

#[test]
fn a_package_that_was_changed_or_cut_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, MORE);
    let ann = somebody(&dev);
    let clerk = dev.token(&bench, "clerk");
    let start = ["--server", dev.url(), "--token-file", &clerk, "--json"];
    bench
        .run(&[&start[..], &["subject", "export", &ann, "--to", "a.zip"]].concat())
        .json();
    let token = empty(&bench);
    let mut members = zip(&bench.path("a.zip"));
    let text = String::from_utf8(members["data.json"].clone())
        .unwrap()
        .replacen("=text 7\"", "=text 8\"", 1);
    members.insert("data.json".into(), text.into_bytes());
    let pack = |name: &str, members: &BTreeMap<String, Vec<u8>>| {
        let file = std::fs::File::create(bench.path(name)).unwrap();
        let mut writer = zip::ZipWriter::new(file);
        for (name, bytes) in members {
            writer
                .start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            std::io::Write::write_all(&mut writer, bytes).unwrap();
        }
        writer.finish().unwrap();
    };
    pack("changed.zip", &members);
    let import = |file: &str| bench.on(&["--token-file", &token, "import", file]);
    import("changed.zip").json_error(5, "damaged");
    let whole = std::fs::read(bench.path("a.zip")).unwrap();
    std::fs::write(bench.path("cut.zip"), &whole[..whole.len() / 2]).unwrap();
    import("cut.zip").json_error(1, "not_a_package");
    std::fs::write(bench.path("other.json"), "{\"a\": 1}").unwrap();
    import("other.json").json_error(1, "not_a_package");
    // Made to fill memory: in gigabytes, of a few bytes each.
    let hostile = format!(
        "{{\"version\": 1, \"consents\": [{}",
        "[],".repeat(2_000_000)
    );
    std::fs::write(bench.path("hostile.json"), hostile).unwrap();
    let told = import("hostile.json");
    told.json_error(1, "too_large");
    assert!(told.err.contains("bytes of memory"), "{}", told.err);
    let deep = format!("{{\"version\": 1, \"accesses\": {}", "[".repeat(1_000_000));
    std::fs::write(bench.path("deep.json"), deep).unwrap();
    import("deep.json").json_error(1, "too_large");
    assert_eq!(bench.on(&["status"]).json()["people"], 0);

    // A file that the manifest says nothing of is not taken, whatever the document says.
    let mut members = zip(&bench.path("a.zip"));
    let mut manifest: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    let named = manifest["members"].as_array_mut().unwrap();
    let before = named.len();
    named.retain(|one| !one["name"].as_str().unwrap().ends_with("-scan.png"));
    assert_eq!(named.len() + 1, before);
    members.insert("manifest.json".into(), manifest.to_string().into_bytes());
    pack("unnamed.zip", &members);
    // Without demands of the person any role brings them that may write them.
    let mut data: Value = serde_json::from_slice(&members["data.json"]).unwrap();
    data["objections"] = json!([]);
    data["restriction"]["history"] = json!([]);
    data["person"]["identities"][0]["user"] = json!("somebody else");
    std::fs::write(bench.path("free.json"), data.to_string()).unwrap();
    let made = bench.on(&["token", "create", "--role", "mover"]).json();
    let mover = bench.file("mover", made["secret"].as_str().unwrap(), 0o600);
    bench
        .on(&["--token-file", &mover, "import", "free.json"])
        .json();
    let told = import("unnamed.zip");
    told.json_error(5, "damaged");
    assert!(
        told.err.contains("a file that it does not have"),
        "{}",
        told.err
    );
}

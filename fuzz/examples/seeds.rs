//! Writes a small seed of each kind into `corpus/`: valid forms, from which a fuzzer goes on.

use std::fs;
use std::path::Path;

use serde_json::json;
use vault_core::audit::checkpoint::{Checkpoint, VerifierKey};
use vault_core::audit::journal::Journal;
use vault_core::audit::{Actor, Entry, hex, receipt};
use vault_core::crypto::{Location, Secret, seal, sha256};
use vault_core::entropy::SeededEntropy;
use vault_core::id::{CallId, ReceiptId, SubjectId, VaultId};
use vault_core::keys::keyset::{Compartment, Keyset};
use vault_core::keys::ring::KeyRing;
use vault_core::keys::slots::{self, SlotKind, SlotTarget};
use vault_core::keys::system::SystemKeys;
use vault_core::keys::{anchor, keyset::Lookup};
use vault_core::policy::{Draft, SAMPLE};
use vault_core::row;
use vault_server::config::ServerConfig;

const VAULT: VaultId = VaultId::from_bytes([1; 16]);

fn main() -> std::io::Result<()> {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(name), bytes)
    };
    let entropy = &mut SeededEntropy::new(1);
    let place = Location::row(VAULT, 4, b"row");
    let sealed = seal(&Secret::take(&mut [7; 32]), 3, &place, b"a value").expect("short");
    write("envelope", "sealed", &sealed)?;

    let mut keyset = Keyset::generate(SubjectId::from_bytes([2; 16]), entropy);
    keyset.add(Compartment::GENERAL, entropy).expect("room");
    keyset.lookups.push(Lookup {
        field: (1, 2),
        set: 1,
        mark: [3; 32],
    });
    write("row", "keyset", &keyset.encode())?;
    let kind = SlotKind::RecoveryKey;
    let target = SlotTarget::new(1, kind, "spare".into(), 0, b"twenty bytes of rand", entropy);
    let targets = vec![target.expect("cheap")];
    let system = SystemKeys::generate(targets.clone(), entropy);
    write("row", "system", &row::encode(&system))?;
    let policy = Draft::parse(SAMPLE).and_then(|draft| draft.assign(None, 1));
    let policy = policy.expect("the sample is a policy");
    write("row", "policy", &row::encode(&policy.to_stored()))?;
    let entry = Entry {
        time: jiff::Timestamp::UNIX_EPOCH,
        actor: Actor::Keyholder,
        role: "keyholder".into(),
        purpose: Some("support".into()),
        action: "records.read".into(),
        subject: Some([4; 16]),
        fields: vec![(1, 2)],
        outcome: "ok".into(),
        session: None,
        request: CallId::from_bytes([5; 16]),
        receipt: None,
        records: None,
        restricted_use: None,
    };
    write("row", "entry", &entry.encode())?;
    write("policy", "sample", SAMPLE.as_bytes())?;

    let (root, secret) = (Secret::generate(entropy), Secret::generate(entropy));
    let image = slots::image(VAULT, &root, &targets, entropy);
    write("slots", "one", &image[..34 + 192 + 32])?;
    let image = anchor::image(VAULT, 1, &secret, entropy);
    write("anchor", "one", &image[576 << 10..][..97])?;

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("journal");
    let key = Secret::take(&mut [9; 32]);
    let journal = Journal::open(&path, VAULT, KeyRing::of(key), 0, entropy).expect("a new journal");
    for _ in 0..2 {
        journal.append(&entry.encode()).expect("room");
    }
    write("journal", "two", &fs::read(&path)?)?;

    write(
        "asked",
        "erase",
        b"Hi! Please delete all my data, it is j.roe@example.test.",
    )?;
    write(
        "asked",
        "german",
        "Löscht meine Daten, bitte\n\nDanke.".as_bytes(),
    )?;
    write("asked", "control", "Pomóż mi!".as_bytes())?;
    write(
        "log_line",
        "object",
        br#"{"level":"warn","card":4111111111111111,"who":["K-17","ann@example.test"],"x":{"ok":true}}"#,
    )?;
    write(
        "log_line",
        "escaped",
        br#"{"body":"{\"to\":\"ann\\u0040example.test\",\"n\":\"K%2D17\"}","q":"a+b=%254B-17\\ud83d\\ude00\\n"}"#,
    )?;
    write(
        "log_line",
        "text",
        b"GET /c/K-17?mail=ann%40example.test from 192.0.2.7",
    )?;
    write("log_line", "member", br#"{"K-17":"ann@example.test"}"#)?;
    write("log_line", "string", br#""say \"ann@example.test\"""#)?;

    write(
        "text",
        "subject",
        SubjectId::from_bytes([6; 16]).to_string().as_bytes(),
    )?;
    write("text", "period", b"P1Y6M")?;
    write(
        "text",
        "recovery",
        b"0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ-0000",
    )?;
    let values = [
        "x\"text\"",
        "x\"somebody@example.test\"",
        "x\"+31 30 123 4567\"",
        "x\"4111 1111 1111 1111\"",
        "x\"NL91 ABNA 0417 1643 00\"",
        "x\"2001:db8::1\"",
        "x\"2000-02-29\"",
        "x{\"street\": \"Kade\", \"city\": \"Utrecht\"}",
        "x{\"age_at_least\": 18}",
        "x{\"country_in\": [\"NL\", \"DE\"]}",
    ];
    for (kind, value) in (0u8..).zip(values) {
        let mut seed = value.as_bytes().to_vec();
        seed[0] = kind;
        write("value", &format!("seed-{kind}"), &seed)?;
    }
    rows(&write)?;
    evidence(&write)?;
    backups(&write)?;
    imports(&write)?;
    wire(&write)
}

/// The kept vectors of a file that open: form, bytes.
fn kept(name: &str) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/vectors/own");
    let text = fs::read(path.join(format!("{name}.json")))?;
    let kept: Vec<serde_json::Value> = serde_json::from_slice(&text)?;
    let opening = kept.iter().filter(|vector| vector.get("gives").is_some());
    let bytes = opening.map(|vector| {
        let text = vector["bytes"].as_str().expect("hexadecimal");
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes());
        let form = vector["form"].as_str().unwrap_or_default().to_owned();
        (form, bytes.expect("hexadecimal"))
    });
    Ok(bytes.collect())
}

/// What lies at a target of backups.
fn backups(write: Write<'_>) -> std::io::Result<()> {
    let rows = kept("rows")?;
    let of = |form: &str| -> Vec<&[u8]> {
        let rows = rows.iter().filter(|(of, _)| of == form);
        rows.map(|(_, bytes)| bytes.as_slice()).collect()
    };
    let entries = of("LedgerEntry");
    let (key, seed) = (vault_fuzz::ledger_key(), vault_fuzz::signing_seed());
    let file = vault_core::parsers::erasure_ledger_of(&entries, VAULT, &key, &seed);
    write("ledger", "file", &file.expect("entries"))?;
    let parts = entries.iter().map(|entry| {
        let length = u8::try_from(entry.len()).expect("a short entry");
        [&[length][..], entry].concat()
    });
    write("ledger", "entries", &parts.collect::<Vec<_>>().concat())?;
    for (number, row) in of("BackupRow").iter().enumerate() {
        write("registry", &format!("backup-{number}"), row)?;
    }
    for (number, row) in of("Backups").iter().enumerate() {
        write("registry", &format!("summary-{number}"), row)?;
    }
    write("backup_manifest", "both", &vault_fuzz::manifest_text(true))?;
    write("backup_manifest", "data", &vault_fuzz::manifest_text(false))?;
    let rows: [(&[u8], &[u8]); 2] = [(&[1; 42], b"a value"), (&[2; 42], b"")];
    let object = vault_core::parsers::object(vault_fuzz::PLACE, &rows);
    write("backup_object", "object", &object)?;
    write("backup_object", "frames", &object[50..])?;
    for (number, (form, bytes)) in kept("key_parts")?.iter().enumerate() {
        write(
            "key_part",
            &format!("{}-{number}", form.replace(' ', "-")),
            bytes,
        )?;
    }
    write("key_part", "keyset", of("Keyset").first().expect("one"))?;
    let (identity, recipient) = vault_core::backup::new_identity();
    write("key_part", "identity", identity.as_bytes())?;
    write("key_part", "recipient", recipient.as_bytes())
}

const PACKAGE: &str = r##"{
  "format": "personal-data-package", "version": 1, "right": "access", "complete": true,
  "person": {"subject": "sub_0", "identities": [{"channel": "web", "user": "somebody@example.test"}]},
  "purposes": [{"name": "support", "basis": "contract"}],
  "consents": [{"purpose": "newsletter", "events": [
    {"state": "given", "at": "2026-01-01T00:00:00Z", "notice": {"version": "3"}, "choice": "Yes", "message_id": null},
    {"state": "withdrawn", "at": "2026-02-01T00:00:00Z", "notice": null, "choice": null, "message_id": null}]}],
  "objections": [{"purpose": "improve", "state": "upheld", "history": [
    {"state": "pending", "at": "2026-03-01T00:00:00Z", "reason": "mine"},
    {"state": "upheld", "at": "2026-03-02T00:00:00Z", "reason": "yours"}]}],
  "restriction": {"restricted": true, "history": [
    {"ground": "18.1.a", "collections": [], "at": "2026-03-01T00:00:00Z", "reason": null},
    {"ground": null, "collections": [], "at": "2026-03-02T00:00:00Z", "reason": null},
    {"ground": "18.1.c", "collections": ["papers", "#9"], "at": "2026-03-03T00:00:00Z", "reason": "a claim"}]},
  "notices": [{"about": "processing", "version": 1, "lang": "en", "channel": null, "sha256": "00", "acknowledged": false, "at": "2026-03-01T00:00:00Z"}],
  "records": [
    {"collection": "profile", "record": null, "fields": {"name": "A", "slots": {"a": [1, {"b": null}]}, "iban": "*1"},
     "masked": ["iban"], "_meta": {"purposes": ["support"], "expires_at": null, "source": "form", "shared_with": []}},
    {"collection": "papers", "occurred_at": "2026-01-02T03:04:05Z",
     "fields": {"scan": {"media_type": "image/png", "size": 3, "sha256": "00", "file": "files/1"}}, "masked": []}
  ],
  "accesses": [{"entry": 1, "fields": []}],
  "end": {"records": 2}
}
"##;

/// Files that somebody brings.
fn imports(write: Write<'_>) -> std::io::Result<()> {
    let map = "purpose = \"support\"\n[identity]\nchannel_column = \"where\"\nuser = \"id\"\n[columns]\nMail = \"profile.email\"\nBorn = { to = \"profile.birth\", as = \"date-dmy\" }\nSum = { to = \"orders.sum\", as = \"number-comma\" }\nMore = { to = \"orders.more\", as = \"json\" }\nNews = { to = \"profile.news\", as = \"bool\" }\n[meta]\nsource = \"crm\"\noccurred_at = \"at\"\n";
    let csv = "where,id,Mail,Born,Sum,More,News,at\nweb,1,a@example.test,28.2.1990,\"1.234,5\",[1],yes,2026-01-01T00:00:00Z\nweb,2,,,,,,\nweb,\"3\n\",x,never,x,[,maybe,\n";
    let lines = "{\"where\": \"web\", \"id\": 7, \"Mail\": \"a@example.test\", \"More\": {\"a\": [null]}}\n\nno json\n{\"id\": 1}\n";
    let between = std::str::from_utf8(vault_fuzz::ROWS).expect("a text");
    write("mapping", "alone", map.as_bytes())?;
    write("mapping", "csv", format!("{map}{between}{csv}").as_bytes())?;
    let jsonl = format!("format = \"jsonl\"\n{map}{between}{lines}");
    write("mapping", "jsonl", jsonl.as_bytes())?;
    let semicolon = format!("delimiter = \";\"\n{map}{between}{}", csv.replace(',', ";"));
    write("mapping", "semicolon", semicolon.as_bytes())?;
    write("package_json", "whole", PACKAGE.as_bytes())?;
    let empty = r#"{"format":"personal-data-package","version":1,"person":{"identities":[{"channel":"web","user":"a"}]},"records":[],"end":{}}"#;
    write("package_json", "empty", empty.as_bytes())?;
    for (name, method) in [
        ("packed", zip::CompressionMethod::Deflated),
        ("plain", zip::CompressionMethod::Stored),
    ] {
        let members: [(&str, &[u8]); 2] = [("data.json", PACKAGE.as_bytes()), ("files/1", b"png")];
        let listed = members.map(|(name, bytes)| {
            json!({"name": name, "bytes": bytes.len(), "sha256": hex(&sha256(&[bytes]))})
        });
        let manifest = json!({"members": listed, "same_state": true}).to_string();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in members
            .into_iter()
            .chain([("manifest.json", manifest.as_bytes())])
        {
            zip.start_file(name, options)?;
            std::io::Write::write_all(&mut zip, bytes)?;
        }
        write("package_zip", name, zip.finish()?.get_ref())?;
    }
    Ok(())
}

/// A row of each form, as the kept vectors have them.
fn rows(write: Write<'_>) -> std::io::Result<()> {
    for (number, (_, bytes)) in kept("rows")?.iter().enumerate() {
        write("row", &format!("kept-{number:02}"), bytes)?;
    }
    Ok(())
}

type Write<'a> = &'a dyn Fn(&str, &str, &[u8]) -> std::io::Result<()>;

/// Notes, receipts, proofs, canonical JSON.
fn evidence(write: Write<'_>) -> std::io::Result<()> {
    let checkpoint = Checkpoint {
        size: 42,
        root: [9; 32],
    };
    let seed = vault_fuzz::signing_seed();
    let note = checkpoint.sign(VAULT, &seed);
    write("note", "checkpoint", note.as_bytes())?;
    let witnessed = format!("{note}\u{2014} witness.example AAAAAAAA\n");
    write("note", "witnessed", witnessed.as_bytes())?;
    let (text, _) = note.split_once("\n\n").expect("a note");
    write("note", "extended", format!("{text}\nmore\n\n").as_bytes())?;
    let key = VerifierKey::of(VAULT, &seed).to_string();
    write("note", "key", key.as_bytes())?;

    let (salt, subject) = ([7; 16], SubjectId::from_bytes([2; 16]));
    let commitment = sha256(&[&salt, subject.as_bytes()]);
    let body = json!({
        "commitment": hex(&commitment), "destroyed": [{"compartment": 0, "key": 1}],
        "epoch_after": 9, "epoch_before": 8, "erasure_horizon": "2026-11-25T12:00:00Z",
        "kept": [], "lookup_horizon": "2026-11-26T12:00:00Z",
        "receipt": ReceiptId::from_bytes([5; 16]).to_string(), "scope": "person",
        "time": "2026-11-25T12:00:00Z", "unscrubbed_mirrors": [],
        "vault": VAULT.to_string(), "version": 1,
    });
    let opening = json!({"salt": hex(&salt), "subject": subject.to_string()});
    let document = json!({"body": body, "opening": opening, "proof": null});
    let document = vault_fuzz::proved(&document).expect("a receipt");
    receipt::verify(&document, &VerifierKey::of(VAULT, &seed)).expect("it stands");
    write("receipt", "person", document.to_string().as_bytes())?;
    let mut purge = document.clone();
    purge["body"]["scope"] = json!("purge");
    purge["body"]["collection"] = json!("messages");
    purge["body"]["records"] = json!(70);
    purge["opening"] = json!({"salt": hex(&salt), "records_sha256": hex(&[8; 32])});
    purge["body"]["commitment"] = json!(hex(&sha256(&[&salt, &[8; 32]])));
    let purge = vault_fuzz::proved(&purge).expect("a receipt");
    receipt::verify(&purge, &VerifierKey::of(VAULT, &seed)).expect("it stands");
    write("receipt", "purge", purge.to_string().as_bytes())?;

    for (name, index, size, first, hashes) in [
        ("inclusion", 5u64, 8u64, 0u64, 4),
        ("consistency", 9, 8, 6, 4),
        ("both", 2, 3, 2, 2),
        ("large", 1 << 40, (1 << 41) + 5, (1 << 40) + 1, 43),
    ] {
        let numbers = [index, size, first].map(u64::to_be_bytes).concat();
        let hashes = (0..hashes).flat_map(|hash: u8| [hash; 32]);
        write(
            "proof",
            name,
            &numbers.into_iter().chain(hashes).collect::<Vec<_>>(),
        )?;
    }
    let texts = [
        r#"{"b": [null, true, -5, 9007199254740992], "a": {}, "\u20ac": "\r\n", "\ud83d\ude00": ""}"#,
        r#"[56, {"d": true, "10": null, "1": []}, 0.5, -0, 1e3]"#,
    ];
    for (number, text) in (0u8..).zip(texts) {
        write("canonical", &format!("seed-{number}"), text.as_bytes())?;
    }
    Ok(())
}

/// Bodies, headers, tokens, configuration.
fn wire(write: Write<'_>) -> std::io::Result<()> {
    let bodies = [
        r#"{"operations": [{"method": "POST", "path": "/v1/subjects", "body": {"channel": "web", "user": "canary@example.test"}}, {"method": "PATCH", "path": "/v1/subjects/$0.subject/records/profile", "body": {"name": "$$5"}, "purpose": "support", "if_match": "\"abc\""}, {"method": "GET", "path": "/v1/subjects/self/records/messages?limit=5"}]}"#,
        r#"{"collection": "messages", "fields": ["text"], "where": {"purpose": "support"}, "meta": "with", "limit": 10, "cursor": "AAAA"}"#,
        r#"{"collection": "messages", "where": {}, "set": {"source": "canary@example.test"}, "dry_run": true}"#,
        r#"{"collection": "messages", "where": {"expired": true}, "canary@example.test": 1}"#,
        r#"{"field": "profile.birth", "test": {"age_at_least": 18}}"#,
        r#"{"purpose": "support", "fields": ["profile.name"], "reads": 5, "writes": 0, "expires_in": 900}"#,
        r#"{"given": true, "notice": {"version": "3", "lang": "en"}, "choice": "yes", "message_id": null}"#,
        r#"{"kind": "passphrase", "passphrase": "canary@example.test", "label": "spare"}"#,
        r#"{"recovery_key": "0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ-0000"}"#,
        r#"{"channel": "web", "user": "canary@example.test"}"#,
        r#"{"field": "profile.email", "value": "canary@example.test"}"#,
        r#"{"role": "bot", "label": "chat", "expires_at": "2030-01-31T12:00:00Z", "channels": ["web"]}"#,
        r#"{"overlap": "PT24H"}"#,
        r#"{"checkpoints": ["vlt_0\n0\nAAAA\n"]}"#,
    ];
    // The last of the calls, whose number is that of those before it.
    let hold = r#"{"ground": "legal_claims", "collections": ["messages"], "reason": "canary@example.test", "approver": null, "review_at": "2030-01-31"}"#;
    write("body", "hold", &[&[18][..], hold.as_bytes()].concat())?;
    for (call, text) in (0u8..).zip(bodies) {
        let seed = [&[call][..], text.as_bytes()].concat();
        write("body", &format!("seed-{call}"), &seed)?;
    }
    write("body", "many", &[&[0][..], many().as_bytes()].concat())?;
    let records = [
        r#"{"name": "Ann", "email": "canary@example.test", "slots": {"a": [1]}, "_meta": {"purposes": ["support"], "expires_at": "2030-01-01T00:00:00Z", "source": "form", "shared_with": ["carrier"], "category": "user.content"}}"#,
        r#"{"from": "user", "text": "hello", "occurred_at": "2026-11-25T12:00:00Z", "_meta": null}"#,
        r#"{"purpose": "support", "source": "form", "shared_with": "carrier", "category": "x", "expired": true, "created_after": "2026-01-01T00:00:00Z", "created_before": "2027-01-01T00:00:00Z", "expires_before": "2028-01-01T00:00:00Z", "subject": "sub_00000000000000000000000000"}"#,
        r#"{"purposes": ["newsletter"], "expires_at": null, "source": "import", "shared_with": [], "canary@example.test": "canary@example.test"}"#,
    ];
    for (number, text) in (0u8..).zip(records) {
        let seed = [&[number % 2][..], text.as_bytes()].concat();
        write("record", &format!("seed-{number}"), &seed)?;
    }
    let jsons = [
        r#"{"b": [1, -2, 3.5, true, null, "\u00e9\u0000"], "a": {"a": {}}}"#,
        r#"{"a": 1, "\u0061": 2}"#,
        r#"[[[[[[[[1e308]]]]]]], 1e-400, 18446744073709551616]"#,
    ];
    for (number, text) in (0u8..).zip(jsons) {
        write("json", &format!("seed-{number}"), text.as_bytes())?;
    }
    let secret = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]);
    write(
        "authorization",
        "key",
        format!("Bearer vk_{secret}").as_bytes(),
    )?;
    write("authorization", "bare", format!("vk_{secret}").as_bytes())?;
    let token = data_encoding::BASE64URL_NOPAD.encode(&[[2; 32], [3; 32]].concat());
    write(
        "authorization",
        "session",
        format!("bearer vs_{token}").as_bytes(),
    )?;
    write("authorization", "token", format!("vs_{token}").as_bytes())?;
    let cursor = data_encoding::BASE64URL_NOPAD.encode(&[1; 78]);
    let head = [&[4; 24][..], &498_780u32.to_be_bytes()].concat();
    write("cursor", "one", &[&head[..], cursor.as_bytes()].concat())?;
    write("cursor", "none", &head)?;
    write(
        "config",
        "default",
        ServerConfig::default().print().as_bytes(),
    )?;
    let config = "listen = \"[::1]:9000\"\n[vault]\ndir = \"/srv/vault\"\n[log]\nformat = \"json\"\nlevel = \"warn\"\n[tls]\ncert = \"a.pem\"\nkey = \"b.pem\"\n";
    write("config", "some", config.as_bytes())?;
    for (name, text) in [
        ("part", "bytes=5-7"),
        ("open", "bytes=5-"),
        ("suffix", "bytes=-3"),
        ("long", "bytes=5-99999999999999999999999"),
        ("two", "bytes=0-1,3-4"),
    ] {
        let seed = [&10u64.to_be_bytes()[..], text.as_bytes()].concat();
        write("range", name, &seed)?;
    }
    for (name, text) in [
        ("quoted", "\"abc\""),
        ("star", "*"),
        ("weak", "W/\"abc\""),
        ("bare", "a b"),
    ] {
        write("precondition", name, text.as_bytes())?;
    }
    for (name, text) in [
        ("json", "application/json; charset=\"UTF-8\""),
        ("image", "Image/JPEG;q=1"),
        ("length", "4294967296"),
        ("accept", "text/*;q=0.3, text/html;q=0.7, */*;q=0.5"),
        ("languages", "fr-CA, de;q=0.9, *;q=0.1, en;q=0"),
    ] {
        write("media", name, text.as_bytes())?;
    }
    for (name, text) in [
        (
            "page",
            "fields=name,email&limit=10&order=newest&cursor=AAAA",
        ),
        ("unknown", "mail=canary%40example.test"),
        ("twice", "limit=1&limit=2"),
        ("bytes", "fields=%ff%00&&=&#"),
    ] {
        write("query", name, text.as_bytes())?;
    }
    Ok(())
}

/// A batch whose operations refer to each other in every direction.
fn many() -> String {
    let operations: Vec<_> = (0..20)
        .map(|number: usize| {
            let references: Vec<String> =
                (0..20).map(|other| format!("${other}.subject")).collect();
            json!({
                "method": "POST", "purpose": "support", "body": {"text": references},
                "path": format!("/v1/subjects/${}.subject/records/messages", number / 2),
            })
        })
        .collect();
    json!({"operations": operations}).to_string()
}

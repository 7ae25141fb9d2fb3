//! The log and receipts through the real program: what is sound stands, and what was changed, by one
//! character or by another history, ends with 5.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Bench, CANARY, Dev};
use vault_cli::http::Client;
use vault_core::id::{CallId, ReceiptId};
use vault_core::vault::{Call, LockedVault, Settings, TokenInput, UnlockSecret, Vault, VaultPaths};
use vault_server::rollback::WORDS;

/// An erasure through the server, and its whole answer.
fn erased(bench: &Bench, dev: &Dev) -> Value {
    let bot = Client::new(dev.url(), dev.secret("bot")).unwrap();
    let who = json!({"channel": "web", "user": CANARY});
    let made = bot.call("POST", "/v1/subjects", None, Some(&who)).unwrap();
    let subject = made.body["subject"].as_str().unwrap().to_owned();
    let through = through(bench, dev, "dpo", &["--yes", "subject", "erase", &subject]);
    let mut answer = through.json();
    answer["subject"] = json!(subject);
    answer
}

fn through(bench: &Bench, dev: &Dev, role: &str, args: &[&str]) -> support::Outcome {
    let token = dev.token(bench, role);
    let all = ["--server", dev.url(), "--token-file", &token, "--json"];
    bench.run(&[&all, args].concat())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &name);
        } else {
            std::fs::copy(entry.path(), name).unwrap();
        }
    }
}

#[test]
fn a_receipt_stands_by_the_key_alone_and_a_changed_one_ends_with_5() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let answer = erased(&bench, &dev);
    let key = through(&bench, &dev, "auditor", &["audit", "key"]).json();
    let key = key["key"].as_str().unwrap().to_owned();
    let kept = through(
        &bench,
        &dev,
        "auditor",
        &[
            "receipt",
            "show",
            answer["receipt"]["body"]["receipt"].as_str().unwrap(),
        ],
    )
    .json();
    // Nothing answers there any more: what follows has the two files alone.
    drop(dev);
    let key_file = bench.file("vault.key", &format!("{key}\n"), 0o644);
    let verify = |document: &Value, key: &str| {
        let file = bench.file("receipt.json", &document.to_string(), 0o644);
        bench.run(&["--json", "receipt", "verify", &file, "--key", key])
    };
    for document in [&json!({"receipt": answer["receipt"]}), &answer["receipt"]] {
        for key in [&key, &key_file] {
            let proved = verify(document, key).json();
            assert_eq!(proved["subject"], answer["subject"]);
            let body = &answer["receipt"]["body"];
            for name in ["receipt", "time", "erasure_horizon"] {
                assert_eq!(proved[name], body[name], "{name}");
            }
            assert!(proved["index"].is_u64());
        }
    }
    let piped = ["--json", "receipt", "verify", "-", "--key", &key];
    bench.feed(&piped, &answer["receipt"].to_string()).json();
    // What the vault keeps proves the erasure, and not whose it was.
    let proved = verify(&kept, &key).json();
    assert_eq!(proved["opened"], false);
    assert!(proved.get("subject").is_none());

    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = answer["receipt"].clone();
        change(&mut document);
        verify(&document, &key).json_error(5, "receipt_does_not_verify");
    };
    changed(&|document| document["body"]["time"] = json!("2020-01-01T00:00:00Z"));
    changed(&|document| document["body"]["destroyed"] = json!({}));
    changed(&|document| document["opening"]["subject"] = json!("sub_00000000000000000000000000"));
    changed(&|document| document["proof"]["index"] = json!(0));
    changed(&|document| document["proof"] = Value::Null);
    // Another vault's key.
    bench.init();
    let other = bench.on(&["audit", "key"]).json();
    let other = other["key"].as_str().unwrap();
    verify(&answer["receipt"], other).json_error(5, "receipt_does_not_verify");
}

#[test]
fn what_is_no_receipt_or_no_key_ends_with_2_and_is_not_repeated() {
    let bench = Bench::new();
    bench.init();
    let key = bench.on(&["audit", "key"]).json();
    let key = key["key"].as_str().unwrap();
    let text = bench.file("text", CANARY, 0o644);
    bench
        .run(&["receipt", "verify", &text, "--key", key])
        .refused(2);
    bench
        .run(&["receipt", "verify", "absent", "--key", key])
        .refused(2);
    let empty = bench.file("empty", "{}", 0o644);
    bench
        .run(&["receipt", "verify", &empty, "--key", &text])
        .refused(2);
    bench
        .run(&["receipt", "verify", &empty, "--key", "absent"])
        .refused(2);
    bench.run(&["receipt", "verify", &empty]).refused(2);
    // It is JSON, and shows nothing.
    bench
        .run(&["receipt", "verify", &empty, "--key", key])
        .refused(5);
}

#[test]
fn the_tail_shows_what_a_key_did_and_what_was_refused_the_newest_last() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let answer = erased(&bench, &dev);
    let refused = through(&bench, &dev, "agent", &["token", "list"]);
    refused.json_error(4, "role_denied");
    // Entries of reads and refusals join the log with the next commit.
    let bot = Client::new(dev.url(), dev.secret("bot")).unwrap();
    let who = json!({"channel": "web", "user": "u-2"});
    bot.call("POST", "/v1/subjects", None, Some(&who)).unwrap();
    let tail = |args: &[&str]| {
        let said = through(
            &bench,
            &dev,
            "auditor",
            &[&["audit", "tail"], args].concat(),
        );
        assert!(!said.out.contains(CANARY));
        let answer = said.json();
        answer["entries"].as_array().unwrap().clone()
    };
    let all = tail(&["--last", "1000"]);
    let numbers: Vec<u64> = all.iter().map(|e| e["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() > 3);
    assert_eq!(tail(&["--last", "2"]).len(), 2);
    let denied = tail(&["--outcome", "role_denied"]);
    assert!(!denied.is_empty());
    assert!(
        denied
            .iter()
            .all(|e| e["entry"]["outcome"] == "role_denied")
    );
    let erasures = tail(&["--action", "subjects.erase"]);
    assert_eq!(erasures.len(), 1);
    assert_eq!(
        erasures[0]["entry"]["receipt"],
        answer["receipt"]["body"]["receipt"]
    );
    assert!(tail(&["--since", "2999-01-01"]).is_empty());
    assert!(tail(&["--last", "1000", "--since", "2020-01-01"]).len() >= all.len());
    let subject = answer["subject"].as_str().unwrap();
    let gone = ["audit", "tail", "--subject", subject];
    through(&bench, &dev, "auditor", &gone).json_error(1, "erased");
    through(&bench, &dev, "bot", &["audit", "tail"]).json_error(4, "role_denied");
    for wrong in [
        ["--action", "a&b=c"],
        ["--since", "yesterday"],
        ["--last", "0"],
        ["--subject", CANARY],
    ] {
        bench
            .run(&[&["audit", "tail"], &wrong[..]].concat())
            .refused(2);
    }
}

#[test]
fn a_sound_log_is_said_to_be_and_a_checkpoint_of_another_history_ends_with_5() {
    let bench = Bench::new();
    bench.init();
    copy(&bench.path("v"), &bench.path("w"));
    copy(&bench.path("v-anchor"), &bench.path("w-anchor"));
    let checkpoint = |dir: &str| {
        let all = ["--vault", dir, "--passphrase-file", "pass"];
        // Two commits of its own, so that the two logs part before what is signed.
        for label in ["one", "two"] {
            let make = ["token", "create", "--role", "bot", "--label", label];
            assert_eq!(bench.run(&[&all[..], &make].concat()).code, 0);
        }
        let said = bench.run(&[&all[..], &["audit", "checkpoint"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        said.out
    };
    let ours = bench.file("ours", &checkpoint("v"), 0o644);
    let theirs = bench.file("theirs", &checkpoint("w"), 0o644);
    // As many entries at least as they signed.
    bench.on(&["token", "create", "--role", "bot"]).json();
    let report = bench.on(&["audit", "verify"]).json();
    assert_eq!(report["sound"], true);
    let held = bench.on(&["audit", "verify", "--checkpoint", &ours]).json();
    assert!(held["checkpoints"].as_u64() > report["checkpoints"].as_u64());
    let both = [
        "audit",
        "verify",
        "--checkpoint",
        &ours,
        "--checkpoint",
        &theirs,
    ];
    let said = bench.on(&both);
    said.json_error(5, "log_unsound");
    assert!(said.err.contains("signed over"), "{}", said.err);
    let none = bench.file("none", CANARY, 0o644);
    let said = bench.on(&["audit", "verify", "--checkpoint", &none]);
    said.json_error(5, "log_unsound");
    assert!(!said.err.contains(CANARY));
    bench
        .on(&["audit", "verify", "--checkpoint", "absent"])
        .json_error(1, "io");
}

#[test]
fn through_the_server_the_log_is_verified_and_exported_as_in_the_directory() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    erased(&bench, &dev);
    let note = through(&bench, &dev, "auditor", &["audit", "checkpoint"]).json();
    let kept = bench.file("kept", note["checkpoint"].as_str().unwrap(), 0o644);
    let verify = ["audit", "verify", "--checkpoint", &kept];
    assert_eq!(
        through(&bench, &dev, "auditor", &verify).json()["sound"],
        true
    );
    let bent = std::fs::read_to_string(&kept)
        .unwrap()
        .replacen("\n", "\n1", 1);
    let bent = bench.file("bent", &bent, 0o644);
    let verify = ["audit", "verify", "--checkpoint", &bent];
    through(&bench, &dev, "auditor", &verify).json_error(5, "log_unsound");
    let export = ["audit", "export", "--to", "log.ndjson"];
    through(&bench, &dev, "auditor", &export).json();
    held_to_its_checkpoint(&std::fs::read_to_string(bench.path("log.ndjson")).unwrap());
}

/// Reads an export as another program would: by its lines alone.
fn held_to_its_checkpoint(text: &str) -> usize {
    use vault_core::audit::checkpoint::VerifierKey;
    use vault_core::audit::verify::LogVerifier;
    let lines: Vec<&str> = text.lines().collect();
    let (last, entries) = lines.split_last().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    let key = VerifierKey::parse(last["key"].as_str().unwrap()).unwrap();
    let note = last["checkpoint"].as_str().unwrap().to_owned();
    let report = |entries: &[&str]| {
        let mut verifier = LogVerifier::new(&key.clone().into(), [(None, note.clone())]);
        for line in entries {
            verifier.push(line.as_bytes(), |_, _, _| {});
        }
        verifier.finish()
    };
    let whole = report(entries);
    assert!(whole.sound() && whole.checkpoints == 1);
    let mut swapped = entries.to_vec();
    swapped.swap(0, entries.len() - 1);
    assert!(!report(&swapped).sound());
    assert!(!report(&entries[1..]).sound());
    entries.len()
}

#[test]
fn an_export_is_the_whole_log_up_to_its_checkpoint_and_never_overwrites() {
    let bench = Bench::new();
    bench.init();
    for label in ["one", "two"] {
        let make = ["token", "create", "--role", "bot", "--label", label];
        bench.on(&make).json();
    }
    let printed = bench.run(&[
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "audit",
        "export",
    ]);
    assert_eq!(printed.code, 0, "{}", printed.err);
    let count = held_to_its_checkpoint(&printed.out);
    let kept = bench.file("log.ndjson", "mine", 0o644);
    bench
        .on(&["audit", "export", "--to", &kept])
        .json_error(1, "exists");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "mine");
    bench
        .on(&["--dry-run", "audit", "export", "--to", "new.ndjson"])
        .json();
    assert!(!bench.path("new.ndjson").exists());
    let said = bench.on(&["audit", "export", "--to", "new.ndjson"]).json();
    let written = std::fs::read_to_string(bench.path("new.ndjson")).unwrap();
    let entries = held_to_its_checkpoint(&written);
    assert_eq!(said["entries"], entries);
    assert!(entries > count);
    bench.on(&["audit", "export"]).json_error(2, "usage");
    bench
        .on(&["audit", "export", "--to", "nowhere/new.ndjson"])
        .json_error(1, "io");
}

/// Opens the vault in this process, and lets something happen in it.
fn within(bench: &Bench, recovery: &str, work: impl FnOnce(&Vault, &Call<'_>)) {
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };
    let paths = VaultPaths::beside(&bench.path("v"));
    let locked = LockedVault::open(&paths, settings).unwrap();
    let secret = UnlockSecret::RecoveryKey(recovery.parse().unwrap());
    let vault = locked.unlock(&secret).unwrap();
    let keyholder = vault.keyholder();
    let call = Call {
        principal: &keyholder,
        purpose: None,
        restricted_use: None,
        id: CallId::from_bytes([7; 16]),
    };
    work(&vault, &call);
    vault.close();
}

fn key(label: &str) -> TokenInput {
    TokenInput {
        role: "bot".into(),
        label: label.into(),
        expires_at: None,
        channels: Vec::new(),
    }
}

#[test]
fn tail_and_export_go_on_over_pages_without_a_gap_or_a_repetition() {
    let bench = Bench::new();
    let created = bench.init();
    within(
        &bench,
        created["recovery_key"].as_str().unwrap(),
        |vault, call| {
            for _ in 0..2_100 {
                // Of no receipt: a refusal is an entry, too.
                assert!(vault.receipt(call, ReceiptId::from_bytes([1; 16])).is_err());
            }
            vault
                .make_token(call, key("the commit that they join"))
                .unwrap();
        },
    );
    let said = bench.on(&["audit", "export", "--to", "log.ndjson"]).json();
    let written = std::fs::read_to_string(bench.path("log.ndjson")).unwrap();
    let entries = held_to_its_checkpoint(&written);
    assert_eq!(said["entries"], entries);
    assert!(entries > 2_100);
    let tail = bench.on(&["audit", "tail", "--last", "1500"]).json();
    let tail = tail["entries"].as_array().unwrap();
    let numbers: Vec<u64> = tail.iter().map(|e| e["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), 1_500);
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1));
    let refused = ["audit", "tail", "--last", "10000", "--outcome", "not_found"];
    let refused = bench.on(&refused).json();
    assert_eq!(refused["entries"].as_array().unwrap().len(), 2_100);
}

#[test]
fn an_older_database_is_refused_and_gone_on_with_by_the_exact_words_alone() {
    let bench = Bench::new();
    let created = bench.init();
    let recovery = created["recovery_key"].as_str().unwrap();
    let happen = |label: &str| {
        within(&bench, recovery, |vault, call| {
            vault.make_token(call, key(label)).unwrap();
        });
    };
    happen("before");
    let database = bench.path("v/vault.redb");
    let older = std::fs::read(&database).unwrap();
    happen("after");
    std::fs::write(&database, older).unwrap();
    let refused = bench.on(&["token", "list"]);
    refused.json_error(5, "rollback");
    assert!(refused.err.contains(WORDS), "{}", refused.err);
    let serve = [
        "serve",
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "--listen",
        "127.0.0.1:0",
    ];
    assert!(bench.run(&serve).refused(5).err.contains(WORDS));
    for wrong in ["yes", "What happened since is lost", ""] {
        let said = bench.run(&[&serve[..], &["--accept-rollback", wrong]].concat());
        assert!(said.refused(2).err.contains(WORDS), "{}", said.err);
    }
    bench.on(&["token", "list"]).json_error(5, "rollback");
    let mut server = bench
        .command(&[&serve[..], &["--accept-rollback", WORDS]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let listens = lines.any(|line| line.unwrap().contains("listening on "));
    assert!(listens);
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    lines.for_each(drop);
    assert!(server.wait().unwrap().success());
    let keys = bench.on(&["token", "list"]).json();
    assert_eq!(keys["api_keys"].as_array().unwrap().len(), 1);
    let said = ["audit", "tail", "--action", "vault.accept_rollback"];
    let said = bench.on(&said).json();
    assert_eq!(said["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn who_looked_is_shown_in_the_directory_and_through_the_server_and_not_of_the_erased() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let bot = Client::new(dev.url(), dev.secret("bot")).unwrap();
    let who = json!({"channel": "web", "user": CANARY});
    let made = bot.call("POST", "/v1/subjects", None, Some(&who)).unwrap();
    let subject = made.body["subject"].as_str().unwrap().to_owned();
    let path = format!("/v1/subjects/{subject}/records/profile");
    bot.call("GET", &path, Some("support"), None).unwrap();
    let shown = through(&bench, &dev, "dpo", &["subject", "access", &subject]).json();
    let actions = |shown: &Value| -> Vec<String> {
        let all = shown["accesses"].as_array().unwrap().iter();
        let text = |one: &Value| one["action"].as_str().unwrap().to_owned();
        all.map(text).collect()
    };
    assert_eq!(actions(&shown), ["subjects.create", "records.read"]);
    // By what a look-up finds, from standard input, and as a table for people.
    let token = dev.token(&bench, "dpo");
    let server = ["--server", dev.url(), "--token-file", &token];
    let table = bench.feed(
        &[&server[..], &["subject", "access", "--last", "2"]].concat(),
        &who.to_string(),
    );
    assert_eq!(table.code, 0, "{}", table.err);
    for said in ["time", "role", "bot", "support", "records.read", "ok"] {
        assert!(table.out.contains(said), "{said} in {}", table.out);
    }
    assert!(!table.out.contains(CANARY));
    through(&bench, &dev, "bot", &["subject", "access", &subject]).json_error(4, "role_denied");
    through(
        &bench,
        &dev,
        "dpo",
        &["--yes", "subject", "erase", &subject],
    )
    .json();
    through(&bench, &dev, "dpo", &["subject", "access", &subject]).json_error(1, "erased");
    // Of the directory itself, by whoever has a secret of it.
    bench.init();
    let nobody = "sub_00000000000000000000000000";
    bench
        .on(&["subject", "access", nobody])
        .json_error(1, "not_found");
}

#[test]
fn a_receipt_becomes_a_page_that_says_so_only_of_one_that_stands() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let answer = erased(&bench, &dev);
    let key = through(&bench, &dev, "auditor", &["audit", "key"]).json();
    let key = key["key"].as_str().unwrap();
    let subject = answer["subject"].as_str().unwrap();
    let id = answer["receipt"]["body"]["receipt"].as_str().unwrap();
    let file = bench.file("receipt.json", &answer["receipt"].to_string(), 0o644);
    let page = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
    let show = |from: &str, more: &[&str]| {
        let show = ["--json", "receipt", "show", from];
        bench.run(&[&show[..], more].concat())
    };
    // From a file, without a vault: it names whom it is about, for whoever has that copy.
    show(&file, &["--key", key, "--html", "a.html"]).json();
    assert!(page("a.html").contains(subject) && page("a.html").contains(key));
    show(&file, &["--html", "b.html"]).json();
    assert!(!page("b.html").contains(key));
    // From the vault: it names nobody.
    through(
        &bench,
        &dev,
        "auditor",
        &["receipt", "show", id, "--html", "c.html"],
    )
    .json();
    assert!(page("c.html").contains(key) && !page("c.html").contains(subject));
    // Never over a file, and no page of a receipt that does not stand.
    show(&file, &["--html", "a.html"]).json_error(1, "exists");
    let mut changed = answer["receipt"].clone();
    changed["body"]["time"] = json!("2020-01-01T00:00:00Z");
    let changed = bench.file("changed.json", &changed.to_string(), 0o644);
    show(&changed, &["--key", key, "--html", "d.html"]).json_error(5, "receipt_does_not_verify");
    assert!(!bench.path("d.html").exists());
    show(&file, &["--html", "e.html", "--dry-run"]).json();
    assert!(!bench.path("e.html").exists());
}

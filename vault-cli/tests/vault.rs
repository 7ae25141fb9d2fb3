//! Every command once on a real vault, in its directory and through `dev`'s server, and the wrong
//! turns that need one.

mod support;

use serde_json::{Value, json};
use support::{Bench, CANARY, Dev};

#[test]
fn init_shows_the_recovery_key_once_and_both_secrets_open_the_vault() {
    let bench = Bench::new();
    let created = bench.init();
    let key = created["recovery_key"].as_str().unwrap();
    assert!(created["warnings"][0].as_str().unwrap().contains("anchor"));
    assert_eq!(bench.on(&["status"]).json()["state"], "open");
    bench.file("key", key, 0o600);
    let opened = bench.run(&[
        "--vault",
        "v",
        "--recovery-key-file",
        "key",
        "--json",
        "status",
    ]);
    assert_eq!(opened.json()["state"], "open");
    let outside = bench.run(&["--vault", "v", "--json", "status"]).json();
    assert_eq!(outside["state"], "locked");
    bench
        .run(&[
            "init",
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--accept-file-system",
        ])
        .refused(1);
}

#[test]
fn init_with_dry_run_creates_nothing() {
    let bench = Bench::new();
    let said = bench
        .run(&["init", "--vault", "v", "--dry-run", "--json"])
        .json();
    assert_eq!(said["would_create"].as_array().unwrap().len(), 2);
    assert!(!bench.path("v").exists());
}

#[test]
fn a_wrong_or_readable_or_missing_secret_does_not_open() {
    let bench = Bench::new();
    bench.init();
    let wrong = bench.file("wrong", "another horse entirely", 0o600);
    let list = |file: &str| bench.run(&["--vault", "v", "--passphrase-file", file, "slot", "list"]);
    list(&wrong).refused(3);
    let short = bench.file("short", "short", 0o600);
    list(&short).refused(3);
    let open = bench.file("open", support::PASSPHRASE, 0o644);
    assert!(list(&open).refused(1).err.contains("chmod 600"));
    list("absent").refused(1);
    bench.run(&["--vault", "v", "slot", "list"]).refused(2);
    let bad = bench.file("badkey", "0000-0000", 0o600);
    bench
        .run(&["--vault", "v", "--recovery-key-file", &bad, "slot", "list"])
        .refused(3);
}

#[test]
fn what_is_no_vault_is_said_to_be_none() {
    let bench = Bench::new();
    bench.file("pass", support::PASSPHRASE, 0o600);
    let list =
        |dir: &str| bench.run(&["--vault", dir, "--passphrase-file", "pass", "slot", "list"]);
    list("absent").refused(1);
    std::fs::create_dir(bench.path("empty")).unwrap();
    list("empty").refused(1);
}

#[test]
fn slots_are_added_tested_and_removed_and_nothing_goes_unasked() {
    let bench = Bench::new();
    bench.init();
    bench.file("second", "a second long passphrase", 0o600);
    let slots = || {
        bench.on(&["slot", "list"]).json()["key_slots"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(slots(), 2);
    let added = bench
        .on(&[
            "slot",
            "add",
            "--label",
            "office",
            "--secret-file",
            "second",
        ])
        .json();
    let number = added["slot"].to_string();
    let tested = bench
        .on(&["slot", "test", "--secret-file", "second"])
        .json();
    assert_eq!(tested["slot"], added["slot"]);
    let made = bench.on(&["slot", "add", "--kind", "recovery-key"]).json();
    assert!(made["recovery_key"].is_string());
    assert_eq!(bench.on(&["slot", "remove", &number]).code, 2);
    bench.on(&["--dry-run", "slot", "remove", &number]).json();
    assert_eq!(slots(), 4);
    bench.on(&["--yes", "slot", "remove", &number]).json();
    assert_eq!(slots(), 3);
    assert_eq!(
        bench.on(&["slot", "test", "--secret-file", "second"]).code,
        3
    );
    assert_eq!(bench.on(&["--yes", "slot", "remove", "200"]).code, 1);
}

#[test]
fn tokens_are_shown_once_listed_without_secret_and_revoked() {
    let bench = Bench::new();
    bench.init();
    let made = bench
        .on(&["token", "create", "--role", "bot", "--expires", "P30D"])
        .json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("vk_"));
    let list = bench.on(&["token", "list"]);
    assert!(!list.out.contains(secret));
    let id = made["token"].as_str().unwrap();
    assert_eq!(bench.on(&["token", "revoke", id]).code, 2);
    bench.on(&["--yes", "token", "revoke", id]).json();
    let keys = bench.on(&["token", "list"]).json();
    let keys = keys["api_keys"].as_array().unwrap().clone();
    assert!(
        keys.iter()
            .all(|key| key["token"] != id || key["revoked"] == true)
    );
    assert_ne!(bench.on(&["token", "create", "--role", "nobody"]).code, 0);
}

#[test]
fn a_policy_is_shown_compared_and_applied() {
    let bench = Bench::new();
    bench.init();
    let longer = vault_core::policy::SAMPLE.replace("P90D", "P60D");
    let file = bench.file("new.toml", &longer, 0o644);
    let changes = |answer: Value| answer["changes"].as_array().unwrap().len();
    assert_eq!(changes(bench.on(&["policy", "diff", &file]).json()), 1);
    bench.on(&["--dry-run", "policy", "apply", &file]).json();
    assert_eq!(changes(bench.on(&["policy", "diff", &file]).json()), 1);
    bench.on(&["policy", "apply", &file]).json();
    assert_eq!(changes(bench.on(&["policy", "diff", &file]).json()), 0);
    let shown = bench.on(&["policy", "show"]).json();
    assert_eq!(shown["version"], 2);
    let versions = bench.on(&["policy", "show", "--versions"]).json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
}

#[test]
fn a_person_is_found_shown_and_erased_through_the_server_that_holds_the_vault() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let url = dev.1["url"].as_str().unwrap();
    let bot = vault_cli::http::Client::new(url, dev.1["tokens"]["bot"].as_str().unwrap()).unwrap();
    let who = json!({"channel": "web", "user": CANARY});
    let made = bot.call("POST", "/v1/subjects", None, Some(&who)).unwrap();
    let subject = made.body["subject"].as_str().unwrap();

    let dpo = dev.token(&bench, "dpo");
    let through = |token: &str, args: &[&str], input: &str| {
        let all = ["--server", url, "--token-file", token, "--json"];
        bench.feed(&[&all, args].concat(), input)
    };
    let found = through(&dpo, &["subject", "find"], &who.to_string()).json();
    assert_eq!(found["subject"], subject);
    let unknown = json!({"channel": "web", "user": "somebody else"}).to_string();
    assert_eq!(through(&dpo, &["subject", "find"], &unknown).code, 1);
    let shown = through(&dpo, &["subject", "show", subject], "");
    assert_eq!(shown.json()["subject"], subject);
    assert!(!shown.out.contains(CANARY));

    let agent = dev.token(&bench, "agent");
    assert_eq!(
        through(&agent, &["--yes", "subject", "erase", subject], "").code,
        4
    );
    assert_eq!(through(&dpo, &["subject", "erase", subject], "").code, 2);
    through(&dpo, &["--dry-run", "subject", "erase", subject], "").json();
    let erased = through(&dpo, &["--yes", "subject", "erase", subject], "").json();
    assert!(erased["receipt"].is_object());
    let again = through(&dpo, &["subject", "show", subject], "");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("erased"));

    let passphrase = dev.1["passphrase_file"].as_str().unwrap();
    let held = bench.run(&[
        "--vault",
        "d",
        "--passphrase-file",
        passphrase,
        "slot",
        "list",
    ]);
    // Through the socket that `dev` has in its directory.
    assert_eq!(held.code, 0, "{}", held.err);
    let outside = bench.run(&["--vault", "d", "--json", "status"]).json();
    assert_eq!(outside["state"], "held");
    let forged = bench.file("forged", &format!("vk_{}", "0".repeat(52)), 0o600);
    assert_eq!(through(&forged, &["slot", "list"], "").code, 3);
}

#[test]
fn dev_has_a_token_for_every_role_and_a_private_passphrase_file() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    for role in ["bot", "agent", "dpo", "operator", "auditor"] {
        assert!(
            dev.1["tokens"][role].as_str().unwrap().starts_with("vk_"),
            "{role}"
        );
    }
    let file = bench.path(dev.1["passphrase_file"].as_str().unwrap());
    assert_eq!(std::fs::metadata(file).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn serve_prints_its_configuration_and_refuses_what_is_no_vault() {
    let bench = Bench::new();
    bench.init();
    let printed = bench.run(&["serve", "--vault", "v", "--print-config"]);
    assert_eq!(printed.code, 0, "{}", printed.err);
    assert!(printed.out.contains("listen"));
    bench.run(&["serve", "--vault", "absent"]).refused(1);
}

/// Damage is no failure like another: a script must not try again, and an operator must not tidy up.
#[test]
fn damaged_files_end_with_5_and_a_way_out_and_whole_ones_do_not() {
    let bench = Bench::new();
    bench.init();
    assert_eq!(bench.on(&["token", "list"]).code, 0, "the control");
    let files = [
        // Behind the header, which says for itself where the newest commit is.
        ("v/vault.redb", None),
        ("v/journal", Some(0)),
        ("v-anchor/anchor", Some((576 << 10) + 40)),
        ("v-anchor/slots", Some((64 << 10) + 40)),
    ];
    for (name, at) in files {
        let path = bench.path(name);
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        match at {
            Some(at) => changed[at] ^= 1,
            // Every page but the header.
            None => changed[4096..]
                .iter_mut()
                .step_by(512)
                .for_each(|byte| *byte ^= 1),
        }
        std::fs::write(&path, &changed).unwrap();
        let plain = ["--vault", "v", "--passphrase-file", "pass", "token", "list"];
        let refused = bench.run(&plain);
        refused.refused(5);
        assert!(refused.err.contains("backup"), "{name}: {}", refused.err);
        std::fs::write(&path, &whole).unwrap();
    }
    assert_eq!(bench.on(&["token", "list"]).code, 0, "put back, it opens");
}

//! Ways to be wrong that need no vault: each ends with its exit code, a way out and no value.

mod support;

use support::{Bench, CANARY, PASSPHRASE};

#[test]
fn a_wrong_command_line_is_usage_and_is_not_repeated() {
    let bench = Bench::new();
    for args in [
        &[][..],
        &["frobnicate"],
        &["subject", "find", CANARY],
        &["subject", "show", CANARY],
        &["subject", "show", "sub_short"],
        &["token", "revoke", CANARY],
        &["token", "create"],
        &["slot", "remove", "many"],
        &["slot", "add", "--kind", CANARY],
        &["status", CANARY],
        &["status", "--passphrase", PASSPHRASE],
        &["--vault", "v", "--server", "http://127.0.0.1:1", "status"],
        &["dev", "--listen", CANARY],
    ] {
        bench.run(args).refused(2);
    }
}

#[test]
fn a_vault_must_be_named_once() {
    let bench = Bench::new();
    bench.run(&["status"]).refused(2);
    let mut both = bench.command(&["status"]);
    both.env("VAULT_DIR", "v")
        .env("VAULT_SERVER", "http://127.0.0.1:1");
    let output = both.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    bench
        .run(&["init", "--server", "http://127.0.0.1:1"])
        .refused(2);
}

#[test]
fn a_bad_policy_fails_with_its_lines() {
    let bench = Bench::new();
    let bad = bench.file("bad.toml", "[controller]\nnmae = \"x\"\n", 0o644);
    let refused = bench.run(&["policy", "check", &bad]);
    refused.refused(1);
    assert!(refused.err.contains("line 2"), "{}", refused.err);
    assert!(refused.err.contains("name"), "{}", refused.err);
    bench.run(&["policy", "check", "absent.toml"]).refused(1);
    let binary = bench.path("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    bench.run(&["policy", "check", "binary.toml"]).refused(1);
    // Wrong before any vault is opened: no passphrase is asked for.
    bench
        .run(&["policy", "apply", &bad, "--vault", "absent"])
        .refused(1);
    bench
        .run(&["init", "--vault", "v", "--policy", &bad])
        .refused(1);
    assert!(!bench.path("v").exists());
}

#[test]
fn the_sample_policy_passes_from_a_file_and_from_standard_input() {
    let bench = Bench::new();
    let sample = support::sample(bench.root.path());
    let checked = bench.run(&["policy", "check", &sample, "--json"]).json();
    assert_eq!(checked["ok"], true);
    let fed = bench.feed(&["policy", "check", "-"], vault_core::policy::SAMPLE);
    assert_eq!(fed.code, 0, "{}", fed.err);
    let shown = bench.run(&["policy", "show", &sample]);
    assert!(shown.out.contains("profile"), "{}", shown.out);
}

#[test]
fn a_token_must_be_there_private_and_a_token() {
    let bench = Bench::new();
    let server = ["--server", "http://127.0.0.1:1"];
    let status = |more: &[&str]| bench.run(&[&server, more, &["status"]].concat());
    status(&[]).refused(2);
    status(&["--token-file", "absent"]).refused(1);
    let open = bench.file("open", "vk_x", 0o644);
    let refused = status(&["--token-file", &open]);
    assert!(refused.refused(1).err.contains("chmod 600"));
    let other = bench.file("other", CANARY, 0o600);
    status(&["--token-file", &other]).refused(3);
    let token = bench.file("token", "vk_x\n", 0o600);
    status(&["--token-file", &token]).refused(1);
    bench
        .run(&[
            "--server",
            "http://vault.example.test",
            "--token-file",
            &token,
            "status",
        ])
        .refused(2);
}

#[test]
fn a_look_up_on_standard_input_must_be_one_and_is_not_repeated() {
    let bench = Bench::new();
    for input in [
        "",
        CANARY,
        r#"{"channel":"web"}"#,
        r#"{"mail":"canary.jane@example.test"}"#,
    ] {
        bench
            .feed(&["subject", "find", "--vault", "v"], input)
            .refused(2);
    }
}

#[test]
fn an_end_in_the_past_is_usage() {
    let bench = Bench::new();
    for when in ["2001-01-01", "soon", "P0D"] {
        bench
            .run(&[
                "token",
                "create",
                "--role",
                "bot",
                "--expires",
                when,
                "--vault",
                "v",
            ])
            .refused(2);
    }
}

#[test]
fn with_json_an_error_is_one_json_document_on_standard_error() {
    let bench = Bench::new();
    let refused = bench.run(&["status", "--json"]);
    assert_eq!(refused.code, 2);
    assert!(refused.out.is_empty());
    let error: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!(error["code"], "usage");
    assert!(error["help"].as_str().unwrap().contains("--vault"));
    let parsed = bench.run(&["--json", "frobnicate"]);
    assert!(serde_json::from_str::<serde_json::Value>(&parsed.err).is_ok());
}

#[test]
fn help_shows_no_command_that_is_not_there() {
    let help = Bench::new().run(&["--help"]);
    assert_eq!(help.code, 0);
    for word in [
        "dev", "init", "serve", "status", "policy", "slot", "key", "token", "subject", "audit",
        "receipt", "backup", "import", "doctor", "request", "breach",
    ] {
        assert!(help.out.contains(word), "{word}");
    }
    assert!(!help.out.contains("restrict"));
}

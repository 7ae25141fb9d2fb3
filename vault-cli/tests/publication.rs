//! What the policy says to the public and to an authority: printed, and held against what was published.

mod support;

use std::fs;

use support::Bench;

const POLICY: &str = include_str!("../../docs/policies/shop.toml");

fn published() -> (Bench, String) {
    let bench = Bench::new();
    let policy = bench.file("policy.toml", POLICY, 0o600);
    let printed = bench.run(&["notice", "--policy", &policy]);
    assert!(printed.code == 0, "{}", printed.err);
    let statement = bench.file("privacy.md", &printed.out, 0o600);
    (bench, statement)
}

#[test]
fn art_13_what_was_published_is_what_the_policy_says_until_a_recipient_is_added() {
    let (bench, statement) = published();
    let check = |policy: &str| {
        let policy = bench.file("now.toml", policy, 0o600);
        bench.run(&["notice", "--policy", &policy, "--check", &statement])
    };
    assert!(check(POLICY).code == 0);
    // Roles are nobody's to be told of: no drift.
    let other_role = POLICY.replace("[roles.trainer]", "[roles.learner]");
    assert!(check(&other_role).code == 0);
    let recipient =
        "[recipients.bank]\nname = \"Example Bank S.A.\"\ncountry = \"ES\"\n\n[recipients.parcel]";
    let more = POLICY.replace("[recipients.parcel]", recipient).replace(
        "recipients = [\"parcel\"]",
        "recipients = [\"parcel\", \"bank\"]",
    );
    let drift = check(&more);
    drift.refused(1);
    let said = &drift.err;
    assert!(said.contains("Example Bank S.A."), "{said}");
    assert!(said.contains("publish it anew"), "{said}");
    // In another language the file is another.
    let policy = bench.path("policy.toml").display().to_string();
    let german = [
        "notice", "--policy", &policy, "--lang", "de", "--check", &statement,
    ];
    bench.run(&german).refused(1);
}

#[test]
fn art_30_records_of_processing_are_printed_in_three_forms_and_name_what_is_missing() {
    let bench = Bench::new();
    let policy = bench.file("policy.toml", POLICY, 0o600);
    let printed = |format: &str| {
        let run = bench.run(&["ropa", "--policy", &policy, "--format", format]);
        assert_eq!(run.code, 0, "{}", run.err);
        run.out
    };
    let csv = printed("csv");
    let heading = csv.lines().next().unwrap().to_owned();
    assert!(heading.contains("retention_period"), "{heading}");
    let of = |kind: &str| csv.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!(
        of("\"activity\""),
        6,
        "a line for each purpose, and for the suppression list"
    );
    assert!(of("\"missing\"") > 0);
    assert!(printed("md").contains("Art. 30(1)"));
    let json: serde_json::Value = serde_json::from_str(&printed("json")).unwrap();
    assert_eq!(json["controller"]["name"], "Example Shop GmbH");
    assert_eq!(json["activities"].as_array().unwrap().len(), 6);
    assert!(!json["missing"].as_array().unwrap().is_empty());
}

#[test]
fn the_policy_in_force_is_told_like_that_of_its_file() {
    let bench = Bench::new();
    bench.init();
    let policy = bench.file("policy.toml", POLICY, 0o600);
    assert_eq!(bench.on(&["policy", "apply", &policy]).code, 0);
    let on = ["--vault", "v", "--passphrase-file", "pass"];
    let inside = bench.run(&[&on[..], &["notice", "--lang", "de"]].concat());
    assert_eq!(inside.code, 0, "{}", inside.err);
    let statement = bench.file("datenschutz.md", &inside.out, 0o600);
    let check = [
        "notice", "--policy", &policy, "--lang", "de", "--check", &statement,
    ];
    assert_eq!(bench.run(&check).code, 0);
    assert!(inside.out.contains("Example Parcel AG"));
}

#[test]
fn wrong_words_are_told_which_are_right() {
    let (bench, statement) = published();
    let policy = bench.path("policy.toml").display().to_string();
    let klingon = bench.run(&["notice", "--policy", &policy, "--lang", "tlh"]);
    klingon.refused(2);
    assert!(klingon.err.contains("en, de"), "{}", klingon.err);
    for wrong in [
        &["ropa", "--policy", &policy, "--format", "html"][..],
        &["notice", "--check", &statement, "--format", "html"],
    ] {
        assert_eq!(bench.run(wrong).code, 2);
    }
    bench
        .run(&["notice", "--policy", "/nowhere/policy.toml"])
        .refused(1);
    fs::write(bench.path("broken.toml"), "controller = 3").unwrap();
    let broken = bench.path("broken.toml").display().to_string();
    bench.run(&["ropa", "--policy", &broken]).refused(1);
}

//! The register of breaches and emergency access through the real program.
//!
//! Counts as failure: an approval by the key that asked or by nobody's key, one that was not confirmed, and an
//! incident that is shown otherwise than it was noted.

mod support;

use serde_json::{Value, json};
use support::{Bench, Dev};
use vault_cli::http::Client;

const MORE: &str = r#"
[roles.nurse]
purposes = ["support"]
read = { "profile.name" = "full" }
may = ["breakglass.request"]

[roles.chief]
may = ["breakglass.approve", "breakglass.request"]

[breakglass]
purpose = "support"
read = { "profile.name" = "full", "profile.phone" = "full" }
expires = "PT30M"
"#;

fn through(bench: &Bench, dev: &Dev, token: &str, args: &[&str]) -> support::Outcome {
    let all = ["--server", dev.url(), "--token-file", token, "--json"];
    bench.run(&[&all, args].concat())
}

#[test]
fn another_key_approves_an_emergency_or_refuses_it_and_the_one_that_asked_does_not() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, MORE);
    let [bot, nurse, chief] =
        ["bot", "nurse", "chief"].map(|role| Client::new(dev.url(), dev.secret(role)).unwrap());
    let who = json!({"channel": "web", "user": "ann"});
    let made = bot.call("POST", "/v1/subjects", None, Some(&who)).unwrap();
    let subject = made.body["subject"].as_str().unwrap().to_owned();
    let ask = |client: &Client| {
        let wish = json!({"reason": "unconscious after a fall", "fields": ["profile.phone"]});
        let path = format!("/v1/subjects/{subject}/emergencies");
        let asked = client.call("POST", &path, None, Some(&wish)).unwrap();
        assert_eq!(asked.status, 201, "{}", asked.body);
        asked.body["emergency"].as_str().unwrap().to_owned()
    };
    let (first, second, own) = (ask(&nurse), ask(&nurse), ask(&chief));
    let token = dev.token(&bench, "chief");
    let on = |args: &[&str]| through(&bench, &dev, &token, &[&["emergency"], args].concat());
    let states = || {
        let all = on(&["list", &subject]).json();
        let all = all["emergencies"].as_array().unwrap().clone();
        all.iter()
            .map(|one| one["state"].clone())
            .collect::<Vec<Value>>()
    };
    assert_eq!(states(), ["requested", "requested", "requested"]);
    // Nobody said yes; then somebody only looks; then they do.
    on(&["approve", &subject, &first]).json_error(2, "usage");
    let would = on(&["--dry-run", "approve", &subject, &first]).json();
    assert_eq!(would["would"], "approve");
    on(&["--yes", "approve", &subject, &own]).json_error(4, "role_denied");
    on(&[
        "--yes",
        "approve",
        &subject,
        "emg_00000000000000000000000000",
    ])
    .json_error(1, "not_found");
    assert_eq!(states(), ["requested", "requested", "requested"]);
    let approved = on(&["--yes", "approve", &subject, &first]).json();
    assert_eq!(
        (&approved["state"], &approved["emergency"]),
        (&json!("approved"), &json!(first))
    );
    assert_eq!(on(&["deny", &subject, &second]).json()["state"], "refused");
    on(&["deny", &subject, &second]).json_error(1, "conflict");
    assert_eq!(states(), ["approved", "refused", "requested"]);
    // The key that asked may not decide, and an unlock secret is none at all.
    let token = dev.token(&bench, "nurse");
    let refused = through(
        &bench,
        &dev,
        &token,
        &["--yes", "emergency", "approve", &subject, &own],
    );
    refused.json_error(4, "role_denied");
    let secret = dev.1["passphrase_file"].as_str().unwrap();
    let alone = [
        "--vault",
        "d",
        "--passphrase-file",
        secret,
        "--json",
        "emergency",
        "list",
        &subject,
    ];
    bench.run(&alone).json_error(2, "usage");
    // For people: what is asked stands in the question.
    let token = dev.token(&bench, "chief");
    let all = ["--server", dev.url(), "--token-file", &token];
    let said = bench.run(
        &[
            &all[..],
            &["--dry-run", "emergency", "deny", &subject, &own],
        ]
        .concat(),
    );
    assert!(
        said.out
            .contains("chief asks to see profile.phone, because: unconscious"),
        "{}",
        said.out
    );
}

#[test]
fn the_register_is_listed_and_one_breach_shown_with_its_steps_and_its_deadline() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let client = Client::new(dev.url(), dev.secret("dpo")).unwrap();
    let call = |path: &str, body: Value| {
        let answer = client.call("POST", path, None, Some(&body)).unwrap();
        assert!(answer.status < 300, "{}", answer.body);
        answer.body["incident"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let dpo = dev.token(&bench, "dpo");
    let on = |args: &[&str]| through(&bench, &dev, &dpo, &[&["incident"], args].concat());
    assert_eq!(on(&["list"]).json()["incidents"], json!([]));
    let noted = json!({"aware_at": "2026-01-05T08:00:00Z", "nature": ["confidentiality"], "vector": "files",
        "summary": "a disk was left in a train"});
    let incident = call("/v1/incidents", noted);
    let assessed = json!({"text": "ciphertext alone", "risk": "unlikely"});
    call(&format!("/v1/incidents/{incident}/assessed"), assessed);
    let listed = on(&["list"]).json();
    assert_eq!(listed["incidents"][0]["incident"], incident.as_str());
    let shown = on(&["show", &incident]).json();
    assert_eq!(shown["summary"], "a disk was left in a train");
    assert_eq!(shown["history"][0]["step"], "assessed");
    on(&["show", "inc_00000000000000000000000000"]).json_error(1, "not_found");
    let agent = dev.token(&bench, "agent");
    through(&bench, &dev, &agent, &["incident", "list"]).json_error(4, "role_denied");
    // With an unlock secret, through the socket, and for people to read.
    let secret = dev.1["passphrase_file"].as_str().unwrap();
    let all = ["--vault", "d", "--passphrase-file", secret, "incident"];
    let said = bench.run(&[&all[..], &["show", &incident]].concat());
    for words in [
        "a disk was left in a train",
        "2026-01-08T08:00:00Z",
        "ciphertext alone",
    ] {
        assert!(
            said.out.contains(words),
            "{words}: {}{}",
            said.out,
            said.err
        );
    }
    assert!(
        bench
            .run(&[&all[..], &["list"]].concat())
            .out
            .contains(&incident)
    );
}

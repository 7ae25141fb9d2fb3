//! `breach scope` through the real program, on a directory and through a server: numbers in the answer, people in
//! a file of their own, drafts in every language of the policy.
//!
//! Counts as failure: an id in the answer, a list that others may read or that is half, a file that is
//! overwritten.

mod support;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use support::{Bench, CANARY, Dev, PASSPHRASE};
use vault_cli::http::Client;
use vault_core::policy::SAMPLE;
use vault_core::vault::{
    Call, DisclosureInput, LockedVault, Passphrase, ReadOptions, Settings, UnlockSecret, VaultPaths,
};

/// Who notes what recipients are given.
const GIVER: &str = "\n[roles.giver]\npurposes = [\"support\"]\nmay = [\"disclosures.record\"]\n";

/// Two people in the vault `v`, of whom an agent has read one, and the carrier was given the other.
fn people(bench: &Bench) -> [String; 2] {
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };
    let locked = LockedVault::open(&VaultPaths::beside(&bench.path("v")), settings).unwrap();
    let secret = UnlockSecret::Passphrase(Passphrase::new(PASSPHRASE.into()).unwrap());
    let vault = locked.unlock(&secret).unwrap();
    let keyholder = vault.keyholder();
    let policy = format!("{SAMPLE}{GIVER}");
    vault
        .apply_policy(&Call::new(&keyholder), &policy, false)
        .unwrap();
    let key = |role| {
        let made = vault.create_token(&Call::new(&keyholder), role, None);
        vault.authenticate(&made.unwrap().1).unwrap()
    };
    let (bot, agent) = (key("bot"), key("agent"));
    let subjects = ["jane", "joe"].map(|user| {
        let call = || Call::new(&bot).with_purpose("support");
        let (subject, _) = vault.create_subject(&call(), "web", user).unwrap();
        let profile = json!({"email": CANARY, "name": CANARY});
        let profile = profile.as_object().unwrap().clone();
        vault
            .patch_single(&call(), subject, "profile", profile, None)
            .unwrap();
        subject
    });
    let call = Call::new(&agent).with_purpose("support");
    let options = ReadOptions::default();
    vault
        .read_single(&call, subjects[0], "profile", &options, |_, _| ())
        .unwrap();
    // The other of the two is given to the carrier.
    let giver = key("giver");
    let given = DisclosureInput {
        recipient: "carrier".into(),
        purpose: "support".into(),
        fields: vec!["profile.email".into()],
        at: None,
    };
    vault
        .record_disclosure(&Call::new(&giver), subjects[1], given)
        .unwrap();
    vault.close();
    subjects.map(|subject| subject.to_string())
}

fn lines(bench: &Bench, file: &str) -> Vec<Value> {
    let path = bench.path(file);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{file}");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn whom_an_agent_met_is_counted_named_in_a_file_and_drafted() {
    let bench = Bench::new();
    bench.init();
    let [jane, joe] = people(&bench);
    // As the guide has it.
    let scope = |more: &[&str]| bench.on(&[&["breach", "scope"], more].concat());
    let outcome = scope(&["--role", "agent", "--people", "affected.ndjson"]);
    let answer = outcome.json();
    assert_eq!(answer["report"]["people"], 1, "{answer}");
    assert!(!outcome.out.contains("sub_") && !outcome.out.contains(CANARY));
    let named = lines(&bench, "affected.ndjson");
    assert_eq!((named.len(), &named[0]["subject"]), (1, &json!(jane)));
    // A list that is there stays.
    scope(&["--role", "agent", "--people", "affected.ndjson"]).json_error(1, "exists");
    assert_eq!(lines(&bench, "affected.ndjson"), named);
    // What fails leaves none.
    scope(&["--role", "nobody", "--people", "none.ndjson"]).json_error(1, "not_found");
    assert!(!bench.path("none.ndjson").exists());
    // Files alone: everybody, ciphertext; the letters in each of the policy's languages.
    let drafted = scope(&[
        "--files",
        "--draft",
        "authority",
        "--draft",
        "people",
        "--out",
        "drafts",
        "--aware",
        "2030-01-31",
        "--people",
        "all.ndjson",
    ])
    .json();
    assert_eq!(drafted["report"]["ciphertext_only"], true);
    let everybody = lines(&bench, "all.ndjson");
    assert!(everybody.iter().any(|one| one["subject"] == joe.as_str()));
    assert!(SAMPLE.contains("languages = [\"en\", \"de\"]"));
    for (file, word) in [
        ("authority-en.md", "2030-02-03 00:00 UTC"),
        ("authority-de.md", "Art. 33"),
        ("people-en.md", "⟦"),
        ("people-de.md", "Guten Tag"),
    ] {
        let text = std::fs::read_to_string(bench.path("drafts").join(file)).unwrap();
        assert!(
            text.contains(word) && !text.contains("sub_"),
            "{file}: {text}"
        );
    }
    assert_eq!(drafted["drafts"].as_array().map(Vec::len), Some(4));
    // For people as for programs.
    let read = bench.run(&[
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "breach",
        "scope",
        "--role",
        "agent",
    ]);
    assert!(
        read.out.contains("role agent") && read.out.contains("user.name"),
        "{}",
        read.out
    );
    // Exactly one thing leaked, and a draft has a place.
    scope(&[]).json_error(2, "usage");
    scope(&["--files", "--role", "agent"]).json_error(2, "usage");
    scope(&["--files", "--draft", "people"]).json_error(2, "usage");
    scope(&["--files", "--lang", "de"]).json_error(2, "usage");
    // Whom a recipient was given, with what; and one that there never was.
    let carrier = ["--recipient", "carrier", "--people", "given.ndjson"];
    let answer = scope(&carrier).json();
    let report = &answer["report"];
    assert_eq!(
        (&report["people"], &report["at_most"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(
        report["of"],
        json!({"kind": "recipient", "name": "carrier"})
    );
    assert_eq!(report["fields"][0]["field"], "profile.email");
    let given = lines(&bench, "given.ndjson");
    assert_eq!((given.len(), &given[0]["subject"]), (1, &json!(joe)));
    let before = scope(&[
        "--recipient",
        "carrier",
        "--to",
        "2020-01-01",
        "--from",
        "2019-01-01",
    ]);
    assert_eq!(before.json()["report"]["people"], 0);
    scope(&["--recipient", "nobody"]).json_error(1, "not_found");
    // Nobody of whom anything is known: no letter, and half of what was asked for is not left either.
    let drafts = ["--draft", "authority", "--draft", "people", "--out", "none"];
    let nothing = [
        "--recipient",
        "carrier",
        "--from",
        "2019-01-01",
        "--to",
        "2020-01-01",
    ];
    let refused = scope(&[&nothing[..], &drafts].concat());
    refused.json_error(1, "invalid");
    assert!(!bench.path("none").exists());
}

#[test]
fn through_a_server_it_is_the_same_and_an_overdue_notification_is_found() {
    let bench = Bench::new();
    let dev = Dev::start(
        &bench,
        &format!("[roles.officer]\nmay = [\"incidents.manage\"]\n{GIVER}"),
    );
    let bot = Client::new(dev.url(), dev.secret("bot")).unwrap();
    let who = json!({"channel": "web", "user": CANARY});
    let made = bot.call("POST", "/v1/subjects", None, Some(&who)).unwrap();
    let subject = made.body["subject"].as_str().unwrap().to_owned();
    let profile = format!("/v1/subjects/{subject}/records/profile");
    let body = json!({"name": CANARY});
    let wrote = bot.call("PATCH", &profile, Some("support"), Some(&body));
    assert_eq!(wrote.unwrap().status, 200);
    let through = |role: &str, args: &[&str]| {
        let token = dev.token(&bench, role);
        let all = ["--server", dev.url(), "--token-file", &token, "--json"];
        bench.run(&[&all, args].concat())
    };
    let scope = ["breach", "scope", "--key", "slot", "--people", "all.ndjson"];
    through("bot", &scope).json_error(4, "role_denied");
    assert!(!bench.path("all.ndjson").exists());
    let answer = through("officer", &scope).json();
    let named = lines(&bench, "all.ndjson");
    assert_eq!(answer["report"]["people"], named.len());
    assert!(named.iter().any(|one| one["subject"] == subject.as_str()));
    let drafts = [
        "breach", "scope", "--files", "--draft", "people", "--lang", "pl",
    ];
    let drafts = [&drafts[..], &["--out", "letters"]].concat();
    through("officer", &drafts).json();
    let letter = std::fs::read_to_string(bench.path("letters/people-pl.md")).unwrap();
    assert!(letter.contains("Dzień dobry"), "{letter}");
    let giver = Client::new(dev.url(), dev.secret("giver")).unwrap();
    let given = json!({"recipient": "carrier", "purpose": "support", "fields": ["profile.name"]});
    let disclosures = format!("/v1/subjects/{subject}/disclosures");
    let noted = giver
        .call("POST", &disclosures, None, Some(&given))
        .unwrap();
    assert!(noted.status < 300, "{}", noted.body);
    let carrier = [
        "breach",
        "scope",
        "--recipient",
        "carrier",
        "--people",
        "given.ndjson",
    ];
    let answer = through("officer", &carrier).json();
    assert_eq!(answer["report"]["people"], 1);
    assert_eq!(
        lines(&bench, "given.ndjson")[0]["subject"],
        subject.as_str()
    );
    // Somebody was aware years ago, and told nobody: `doctor` says so.
    let officer = Client::new(dev.url(), dev.secret("officer")).unwrap();
    let doctor = || through("officer", &["doctor"]).out;
    assert!(!doctor().contains("incident_overdue"));
    let incident = json!({"aware_at": "2020-01-01T00:00:00Z", "nature": ["confidentiality"],
        "summary": "a key stood in a repository"});
    let noted = officer.call("POST", "/v1/incidents", None, Some(&incident));
    assert_eq!(noted.unwrap().status, 201);
    assert!(doctor().contains("incident_overdue"));
}

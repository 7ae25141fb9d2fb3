//! Legal holds through the real program, on a directory and through a server: placed, listed, erased under,
//! released.
//!
//! Counts as failure: a hold that is not told, an erasure that takes what is held or leaves what is not, words of
//! a matter where they do not belong.

mod support;

use serde_json::{Value, json};
use support::{Bench, CANARY, Dev, PASSPHRASE};
use vault_cli::http::Client;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, UnlockSecret, VaultPaths};

/// Somebody in the vault `v` with an address and two messages.
fn person(bench: &Bench) -> String {
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };
    let locked = LockedVault::open(&VaultPaths::beside(&bench.path("v")), settings).unwrap();
    let secret = UnlockSecret::Passphrase(Passphrase::new(PASSPHRASE.into()).unwrap());
    let vault = locked.unlock(&secret).unwrap();
    let keyholder = vault.keyholder();
    let (_, key) = vault
        .create_token(&Call::new(&keyholder), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&key).unwrap();
    let call = || Call::new(&bot).with_purpose("support");
    let object = |value: Value| value.as_object().unwrap().clone();
    let (subject, _) = vault.create_subject(&call(), "web", "jane").unwrap();
    let profile = object(json!({"email": CANARY}));
    vault
        .patch_single(&call(), subject, "profile", profile, None)
        .unwrap();
    let said = ["one", "two"].map(|text| object(json!({"text": text})));
    vault
        .append(&call(), subject, "messages", said.into())
        .unwrap();
    vault.close();
    subject.to_string()
}

#[test]
fn a_hold_outlives_an_erasure_until_it_is_released() {
    let bench = Bench::new();
    bench.init();
    let subject = person(&bench);
    let hold = |more: &[&str]| bench.on(&[&["subject", "hold", &subject], more].concat());
    assert_eq!(hold(&[]).json()["held"], false);
    assert_eq!(bench.on(&["subject", "holds"]).json()["holds"], json!([]));
    // A hold has a ground and a day, both.
    hold(&["--ground", "legal_claims"]).json_error(2, "usage");
    hold(&["--ground", "curiosity", "--review-at", "2099-12-31"]).json_error(2, "usage");
    hold(&["--release"]).json_error(1, "not_found");
    let matter = bench.file("matter", "the case of the lamp\n", 0o600);
    let placed = hold(&[
        "--ground",
        "legal_claims",
        "--review-at",
        "2099-12-31",
        "--collections",
        "messages",
        "--reason-file",
        &matter,
    ])
    .json();
    assert_eq!(placed["collections"], json!(["messages"]));
    assert_eq!(placed["reason"], "the case of the lamp");
    let listed = bench.on(&["subject", "holds"]);
    assert!(!listed.out.contains("lamp"), "{}", listed.out);
    assert_eq!(listed.json()["holds"][0]["subject"], subject.as_str());
    let doctor = bench.on(&["doctor"]);
    assert!(!doctor.out.contains("hold_overdue"), "{}", doctor.out);
    // For people as for programs.
    let read = bench.run(&[
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "subject",
        "holds",
    ]);
    assert!(read.out.contains(&subject) && read.out.contains("2099-12-31"));

    let erased = bench.on(&["--yes", "subject", "erase", &subject]).json();
    let body = &erased["receipt"]["body"];
    assert_eq!(body["kept"][0]["collection"], "messages");
    assert_eq!(body["kept"][0]["records"], 2);
    let shown = bench.on(&["subject", "show", &subject]).json();
    assert_eq!(shown["state"], "erasing");
    let counts = shown["collections"].as_array().unwrap();
    let records = |name: &str| {
        let count = counts.iter().find(|count| count["collection"] == name);
        count.unwrap()["records"].as_u64()
    };
    assert_eq!(
        (records("profile"), records("messages")),
        (Some(0), Some(2))
    );
    let pending = bench.on(&["subject", "holds"]).json();
    assert_eq!(pending["holds"][0]["erasure_pending"], true);

    // What destroys is tried dry, and asks.
    let would = hold(&["--release", "--dry-run"]).json();
    assert_eq!(would["would_erase"], true);
    assert_eq!(hold(&["--release"]).code, 2);
    let released = hold(&["--release", "--yes"]).json();
    assert_eq!(released["receipt"]["body"]["kept"], json!([]));
    let key = bench.on(&["audit", "key"]).json();
    for receipt in [&erased["receipt"], &released["receipt"]] {
        let file = bench.file("receipt.json", &receipt.to_string(), 0o644);
        let key = key["key"].as_str().unwrap();
        let proved = bench.run(&["--json", "receipt", "verify", &file, "--key", key]);
        assert_eq!(proved.json()["subject"], subject.as_str());
    }
    bench
        .on(&["subject", "show", &subject])
        .json_error(1, "erased");
    assert_eq!(bench.on(&["subject", "holds"]).json()["holds"], json!([]));
}

#[test]
fn through_a_server_it_is_the_same() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let bot = Client::new(dev.url(), dev.secret("bot")).unwrap();
    let who = json!({"channel": "web", "user": CANARY});
    let made = bot.call("POST", "/v1/subjects", None, Some(&who)).unwrap();
    let subject = made.body["subject"].as_str().unwrap().to_owned();
    let path = format!("/v1/subjects/{subject}/records/messages");
    let said = json!({"text": "one"});
    let wrote = bot
        .call("POST", &path, Some("support"), Some(&said))
        .unwrap();
    assert_eq!(wrote.status, 201);
    let through = |role: &str, args: &[&str]| {
        let token = dev.token(&bench, role);
        let all = ["--server", dev.url(), "--token-file", &token, "--json"];
        bench.run(&[&all, args].concat())
    };
    let place = ["subject", "hold", &subject, "--ground", "legal_obligation"];
    let place = [&place[..], &["--review-at", "2099-12-31"]].concat();
    through("bot", &place).json_error(4, "role_denied");
    let placed = through("dpo", &place).json();
    assert_eq!(
        (&placed["state"], &placed["by"]),
        (&json!("placed"), &json!("dpo"))
    );
    let view = through("dpo", &["subject", "hold", &subject]).json();
    assert_eq!(view["held"], true);
    let listed = through("dpo", &["subject", "holds"]).json();
    assert_eq!(listed["holds"].as_array().map(Vec::len), Some(1));
    through("dpo", &["--yes", "subject", "erase", &subject]).json();
    let released = through("dpo", &["--yes", "subject", "hold", &subject, "--release"]).json();
    assert!(released["receipt"]["proof"].is_object());
}

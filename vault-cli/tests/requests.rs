//! Requests of people through the real program: listed, shown, put off, refused, carried out.
//!
//! Counts as failure: an effect that was not confirmed or whose person is not known, words of a person that an
//! unlock secret is shown, and a request that is left of somebody who is erased.

mod support;

use serde_json::{Value, json};
use support::{Bench, CANARY, Dev, PASSPHRASE};
use vault_cli::http::Client;
use vault_core::request::RequestKind;
use vault_core::vault::{
    Call, LockedVault, Passphrase, RequestInput, Settings, UnlockSecret, VaultPaths,
};

/// Somebody in the vault `v`, and a request of each of these kinds.
fn person(bench: &Bench, kinds: &[RequestKind]) -> (String, Vec<String>) {
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };
    let locked = LockedVault::open(&VaultPaths::beside(&bench.path("v")), settings).unwrap();
    let secret = UnlockSecret::Passphrase(Passphrase::new(PASSPHRASE.into()).unwrap());
    let vault = locked.unlock(&secret).unwrap();
    let keyholder = vault.keyholder();
    let made = vault.create_token(&Call::new(&keyholder), "bot", None);
    let bot = vault.authenticate(&made.unwrap().1).unwrap();
    let call = || Call::new(&bot).with_purpose("support");
    let (subject, _) = vault.create_subject(&call(), "web", "jane").unwrap();
    let request = |kind: &RequestKind| {
        let input = RequestInput {
            kind: *kind,
            details: Some(CANARY.into()),
            language: None,
            received_at: None,
            purpose: None,
            ground: None,
            collections: Vec::new(),
            decision: None,
        };
        let view = vault.create_request(&call(), subject, input).unwrap();
        view.request.to_string()
    };
    let requests = kinds.iter().map(request).collect();
    vault.close();
    (subject.to_string(), requests)
}

#[test]
fn requests_are_listed_put_off_refused_and_carried_out() {
    let bench = Bench::new();
    bench.init();
    let kinds = [
        RequestKind::Access,
        RequestKind::Erase,
        RequestKind::Recipients,
    ];
    let (subject, requests) = person(&bench, &kinds);
    let [access, erase, recipients] = &requests[..] else {
        panic!("three requests")
    };
    let on = |arguments: &[&str]| bench.on(&[&["request"], arguments].concat());
    let listed = on(&["list"]);
    assert!(!listed.out.contains(CANARY), "{}", listed.out);
    let count = |answer: Value| answer["requests"].as_array().map(Vec::len);
    assert_eq!(count(listed.json()), Some(3));
    assert_eq!(count(on(&["list", "--type", "erase"]).json()), Some(1));
    assert_eq!(count(on(&["list", "--overdue"]).json()), Some(0));
    on(&["list", "--type", "everything"]).json_error(2, "usage");
    // Whoever has a secret of the vault deals with requests, and reads no words of anybody.
    let shown = on(&["show", erase]);
    assert!(!shown.out.contains(CANARY), "{}", shown.out);
    assert_eq!(shown.json()["subject"], subject.as_str());
    on(&["show", "req_00000000000000000000000000"]).json_error(1, "not_found");

    let longer = on(&["extend", access, "--reason", "complexity"]).json();
    assert_eq!(longer["request"]["extension"]["period"], "P2M");
    on(&["extend", access, "--reason", "number"]).json_error(1, "conflict");
    on(&["approve", access]).json_error(1, "conflict");
    // A link would lead to a server.
    on(&["approve", access, "--deliver", "link"]).json_error(1, "conflict");
    // And the step before it is not taken, which nobody could take again.
    let before = on(&["show", access]).json()["state"].clone();
    let evidence = bench.file("evidence", "seen at the desk\n", 0o600);
    let linked = [
        "approve",
        access,
        "--evidence-file",
        &evidence,
        "--deliver",
        "link",
    ];
    on(&linked).json_error(1, "conflict");
    assert_eq!(on(&["show", access]).json()["state"], before);
    let (reason, approver) = (
        bench.file("reason", "not of this vault\n", 0o600),
        bench.file("approver", "C. Ounsel\n", 0o600),
    );
    let refuse = |code: &str| {
        let law = "Art. 15(4) GDPR";
        on(&[
            "reject",
            access,
            "--code",
            code,
            "--law",
            law,
            "--reason-file",
            &reason,
            "--approver-file",
            &approver,
        ])
    };
    refuse("because").json_error(2, "usage");
    let refused = refuse("third_party_rights").json();
    let text = refused["request"]["refusal"]["text"].as_str().unwrap();
    assert!(
        text.contains("not of this vault") && text.contains("court"),
        "{text}"
    );

    let answer = bench.file("answer", "nobody\n", 0o600);
    let told = on(&["approve", recipients, "--answer-file", &answer]).json();
    assert_eq!(told["request"]["state"], "fulfilled");

    // What destroys is tried dry, asks, and wants to know who asks.
    let would = on(&["approve", erase, "--dry-run"]).json();
    assert_eq!(would["would_approve"]["cannot_be_undone"], true);
    on(&["approve", erase, "--yes"]).json_error(1, "conflict");
    let seen = bench.file("seen", "came to the desk\n", 0o600);
    assert_eq!(
        on(&["approve", erase, "--evidence-file", &seen]).code,
        2,
        "nobody said yes"
    );
    let done = on(&["approve", erase, "--yes"]).json();
    assert_eq!(done["request"]["state"], "fulfilled");
    assert!(done["receipt"]["body"]["receipt"].is_string());
    bench
        .on(&["subject", "show", &subject])
        .json_error(1, "erased");
    assert_eq!(on(&["list"]).json()["requests"], json!([]));
    on(&["show", recipients]).json_error(1, "not_found");
}

#[test]
fn a_copy_is_given_as_a_link_by_whoever_may_decide_and_by_nobody_else() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let [bot, dpo] = ["bot", "dpo"].map(|role| Client::new(dev.url(), dev.secret(role)).unwrap());
    let call = |client: &Client, path: &str, body: Value| {
        let answer = client.call("POST", path, None, Some(&body)).unwrap();
        assert!(answer.status < 300, "{}", answer.body);
        answer.body
    };
    let who = json!({"channel": "web", "user": "demo"});
    let found = call(&bot, "/v1/subjects/lookup", who);
    let subject = found["subject"].as_str().unwrap();
    let request = |kind: &str| {
        let made = call(
            &dpo,
            &format!("/v1/subjects/{subject}/requests"),
            json!({"type": kind}),
        );
        let request = made["request"].as_str().unwrap().to_owned();
        let known = json!({"outcome": "verified", "evidence": "passport"});
        call(&dpo, &format!("/v1/requests/{request}/identity"), known);
        request
    };
    let (access, portability, erase) =
        (request("access"), request("portability"), request("erase"));
    let through = |role: &str, args: &[&str]| {
        let token = dev.token(&bench, role);
        let all = [
            "--server",
            dev.url(),
            "--token-file",
            &token,
            "--json",
            "request",
            "approve",
        ];
        bench.run(&[&all[..], args].concat())
    };
    let would = through("dpo", &[&access, "--deliver", "link", "--dry-run"]).json();
    assert_eq!(would["would_approve"]["cannot_be_undone"], false);
    through("dpo", &[&access, "--deliver", "mail"]).json_error(2, "usage");
    through("dpo", &[&access, "--format", "json"]).json_error(2, "usage");
    through("dpo", &[&erase, "--deliver", "link"]).json_error(2, "usage");
    through("agent", &[&access, "--deliver", "link"]).json_error(4, "role_denied");
    let leads = |given: &Value| {
        assert_eq!(given["request"]["state"], "in_progress");
        let link = given["link"]["url"].as_str().unwrap();
        let token = link.strip_prefix(&format!("{}/pickup/", dev.url()));
        assert_eq!(token.map(str::len), Some(43), "{link}");
    };
    leads(&through("dpo", &[&access, "--deliver", "link"]).json());
    // With an unlock secret, through the socket, and for people to read.
    let secret = dev.1["passphrase_file"].as_str().unwrap();
    let all = [
        "--vault",
        "d",
        "--passphrase-file",
        secret,
        "request",
        "approve",
        &portability,
    ];
    let way = ["--deliver", "link", "--format", "json"];
    leads(&bench.run(&[&all[..], &way, &["--json"]].concat()).json());
    let said = bench.run(&[&all[..], &way].concat());
    assert!(
        said.out.contains("/pickup/") && said.out.contains("\nuntil "),
        "{}{}",
        said.out,
        said.err
    );
}

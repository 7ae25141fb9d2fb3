//! `key status` and `key rotate`, on the directory and through the server that holds it.
//!
//! Counts as failure: another answer from one than from the other, an old key that is still there, a
//! rotation that nobody asked for.

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Bench, Dev, Outcome};
use vault_cli::http::Client;

const ON: [&str; 5] = [
    "--vault",
    "d",
    "--passphrase-file",
    "d-passphrase",
    "--json",
];

fn on(bench: &Bench, args: &[&str]) -> Outcome {
    bench.run(&[&ON[..], args].concat())
}

fn person(dev: &Dev) -> String {
    let client = Client::new(dev.url(), dev.secret("bot")).unwrap();
    let user = json!({"channel": "web", "user": "ann"});
    let made = client
        .call("POST", "/v1/subjects", None, Some(&user))
        .unwrap();
    assert_eq!(made.status, 201);
    let subject = made.body["subject"].as_str().unwrap().to_owned();
    let path = format!("/v1/subjects/{subject}/records/messages");
    let said = json!({"from": "user", "text": "hello"});
    let stored = client
        .call("POST", &path, Some("support"), Some(&said))
        .unwrap();
    assert_eq!(stored.status, 201);
    subject
}

fn numbers(keys: &Value) -> BTreeSet<u64> {
    let keys = keys.as_array().expect("a list of keys").iter();
    keys.map(|key| {
        assert_eq!(key["state"], "current", "{key}");
        assert!(key["values"].as_u64() > Some(0));
        key["key"].as_u64().unwrap()
    })
    .collect()
}

/// Every form once; the members of the answers.
fn each(bench: &Bench, subject: &str, rotations: u64) -> Vec<BTreeSet<String>> {
    let members = |value: &Value| {
        let members = value.as_object().expect("an object");
        members.keys().cloned().collect::<BTreeSet<_>>()
    };
    let mut told = Vec::new();
    let before = on(bench, &["key", "status", subject]).json();
    let old = numbers(&before["subject_keys"]);
    let compartments: BTreeSet<&str> = before["subject_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["compartment"].as_str().unwrap())
        .collect();
    assert!(compartments.contains("control") && compartments.len() >= 2);
    told.push(members(&before));
    // Nobody is there to be asked, and a run that is not dry changes something.
    assert_eq!(on(bench, &["key", "rotate", "root"]).code, 2);
    assert_eq!(on(bench, &["key", "rotate", "all"]).code, 2);
    for what in [&["root"][..], &["all"], &["subject", subject]] {
        let args = [&["--dry-run", "key", "rotate"][..], what].concat();
        on(bench, &args).json();
    }
    // But for the log, which tells of each of these calls.
    let but_the_log = |status: &Value| {
        let mut status = status.clone();
        let keys = status["system_keys"].as_array_mut().expect("a list");
        keys.retain(|key| key["of"] != "log");
        status
    };
    let same = on(bench, &["key", "status", subject]).json();
    assert_eq!(
        but_the_log(&before),
        but_the_log(&same),
        "nothing was changed"
    );

    let one = on(bench, &["key", "rotate", "subject", subject]).json();
    let next = numbers(&one["subject_keys"]);
    assert!(old.is_disjoint(&next));
    told.push(members(&one));
    let root = on(bench, &["--yes", "key", "rotate", "root"]).json();
    let epoch = |name: &str| root[name].as_u64().unwrap();
    assert_eq!(epoch("epoch_after"), epoch("epoch_before") + 1);
    told.push(members(&root));
    for (deep, number) in [(false, rotations + 1), (true, rotations + 2)] {
        let mut args = vec!["--yes", "key", "rotate", "all"];
        args.extend(deep.then_some("--deep"));
        let all = on(bench, &args).json();
        let rotation = &all["rotation"];
        assert_eq!(
            (&rotation["state"], &rotation["deep"], &rotation["number"]),
            (&json!("done"), &json!(deep), &json!(number))
        );
        assert_eq!(rotation["people_left"], 0);
        told.extend([members(&all), members(rotation)]);
    }
    let after = on(bench, &["key", "status", subject]).json();
    assert!(next.is_disjoint(&numbers(&after["subject_keys"])));
    assert!(after["index"]["generation"].as_u64() > before["index"]["generation"].as_u64());
    let status = on(bench, &["key", "rotate", "all", "--status"]).json();
    assert_eq!(status["rotation"], after["rotation"]);
    told
}

#[test]
fn keys_are_rotated_alike_through_a_server_and_on_the_directory() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let subject = person(&dev);
    let through = each(&bench, &subject, 0);
    // Who may not manage keys learns nothing and changes nothing.
    let token = dev.token(&bench, "bot");
    for args in [
        &["status"][..],
        &["rotate", "root"],
        &["rotate", "subject", &subject],
    ] {
        let server = [
            "--server",
            dev.url(),
            "--token-file",
            &token,
            "--yes",
            "key",
        ];
        bench.run(&[&server[..], args].concat()).refused(4);
    }
    let absent = "sub_00000000000000000000000000";
    assert_eq!(on(&bench, &["key", "rotate", "subject", absent]).code, 1);
    drop(dev);
    assert_eq!(each(&bench, &subject, 2), through);
    assert_eq!(on(&bench, &["key", "status", absent]).code, 1);
    // In words: what is asked for in plain sight.
    let words = bench.run(&[&ON[..4], &["key", "status", &subject]].concat());
    for word in [
        "root key",
        "compartment",
        "current",
        "rotation 4 (deep)",
        "people have new keys",
    ] {
        assert!(words.out.contains(word), "{word}: {}", words.out);
    }
}

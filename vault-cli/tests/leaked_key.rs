//! The drill of docs/operations.md, "A key has leaked", line by line as it stands there.

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use support::Bench;
use support::document::{lines_of, page, shell};
use vault_cli::http::Client;

/// The commands of the section, with the names of this test in place of the page's.
fn drill(token: &str, url: &str) -> Vec<String> {
    let filled = lines_of(&page(), "```sh run leaked-key").into_iter();
    let filled = filled.map(|line| {
        line.replace("/srv/vault", "v")
            .replace("tok_…", token)
            .replace("http://127.0.0.1:8787", url)
            .replace("/var/log/vault.log", "vault.log")
    });
    filled.collect()
}

#[test]
fn the_drill_for_a_leaked_key_works_as_it_is_written() {
    let bench = Bench::new();
    bench.init();
    let made = bench
        .on(&["token", "create", "--role", "bot", "--label", "support-bot"])
        .json();
    let (token, secret) = (
        made["token"].as_str().unwrap(),
        made["secret"].as_str().unwrap(),
    );
    bench.file("leaked.token", secret, 0o600);
    let mut server = bench
        .command(&[
            "serve",
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--listen",
            "127.0.0.1:0",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut log = Vec::new();
    let url = loop {
        let line = lines.next().expect("it says where it listens").unwrap();
        log.push(line.clone());
        if let Some((_, url)) = line.split_once("listening on ") {
            break url.trim().to_owned();
        }
    };
    let client = Client::new(&url, secret).unwrap();
    let who = serde_json::json!({"channel": "web", "user": "u-1"});
    let asked = client.call("POST", "/v1/subjects", None, Some(&who));
    assert_eq!(asked.map_err(|_| "no answer").unwrap().status, 201);

    let drill = drill(token, &url);
    assert!(drill.len() >= 6, "{drill:?}");
    let shell = |line: &str| {
        let outcome = shell(bench.root.path(), line);
        (Some(outcome.code), outcome.out, outcome.err)
    };
    // What needs the server comes first; the others work on the directory as well as through it.
    let (through, rest): (Vec<&String>, Vec<&String>) =
        drill.iter().partition(|line| line.contains("--server"));
    for line in through {
        let (code, _, err) = shell(line);
        assert_eq!(code, Some(0), "{line}: {err}");
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&server),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    log.extend(lines.map_while(Result::ok));
    server.wait().unwrap();
    std::fs::write(bench.path("vault.log"), log.join("\n")).unwrap();
    let mut said = String::new();
    for line in rest {
        let (code, out, err) = shell(line);
        assert_eq!(code, Some(0), "{line}: {err}");
        assert!(!out.contains("u-1") && !err.contains("u-1"));
        said.push_str(&out);
    }
    // The log named the key, its calls and no person; the list named its label and its last use.
    assert!(said.contains("POST") && said.contains("/v1/subjects") && said.contains(token));
    assert!(said.contains("support-bot") && said.contains("today"));
    // The vault's own log named the key beside what it did.
    let did = |line: &str| line.contains(token) && line.contains("subjects.create");
    assert!(said.lines().any(did), "{said}");
    assert!(said.contains("the log is whole"));
    let keys = bench.on(&["token", "list"]).json();
    let keys = keys["api_keys"].as_array().unwrap();
    let old = keys.iter().find(|key| key["token"] == token).unwrap();
    assert_eq!(old["state"], "revoked");
    let new = keys.iter().find(|key| key["replaces"] == token).unwrap();
    assert_eq!(new["state"], "active");
}

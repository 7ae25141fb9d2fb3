//! Many clients writing at once share commits.
//!
//! Counts as failure: any answer but 201, a message that is lost or there twice. The rates are
//! printed (`--nocapture`) and not asserted: they belong to the machine.

#![expect(clippy::print_stderr, reason = "the rates are for whoever runs this")]

use std::time::Instant;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};

const CLIENTS: usize = 64;
const MESSAGES: usize = 40;

fn call(agent: &ureq::Agent, running: &Running, method: &str, path: &str, body: &Value) -> Value {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/v1/{path}", running.url))
        .header("Authorization", format!("Bearer {}", running.token("bot")))
        .header("Vault-Purpose", "support")
        .header("Content-Type", "application/json");
    let mut answer = match method {
        "GET" => agent.run(request.body(()).unwrap()),
        _ => agent.run(request.body(body.to_string()).unwrap()),
    }
    .expect("every call is answered with success");
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

/// Makes a person and appends messages, each after the answer to the one before.
fn client(running: &Running, number: usize) -> String {
    let agent = ureq::Agent::new_with_defaults();
    let user = json!({"channel": "web", "user": format!("client {number}")});
    let created = call(&agent, running, "POST", "subjects", &user);
    let subject = created["subject"].as_str().unwrap().to_owned();
    for message in 0..MESSAGES {
        let body = json!({"from": "user", "text": format!("{number}/{message}")});
        let path = format!("subjects/{subject}/records/messages");
        call(&agent, running, "POST", &path, &body);
    }
    subject
}

#[test]
fn sixty_four_clients_at_once_lose_nothing_and_share_commits() {
    let options = DevOptions {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..DevOptions::default()
    };
    let running = start(options).map_err(|_| "dev does not start").unwrap();
    let begun = Instant::now();
    client(&running, CLIENTS);
    let alone = (MESSAGES + 1) as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let subjects: Vec<String> = std::thread::scope(|scope| {
        let running = &running;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(running, number)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let together = (CLIENTS * (MESSAGES + 1)) as f64 / begun.elapsed().as_secs_f64();
    eprintln!(
        "writes a second: one client {alone:.0}, {CLIENTS} clients {together:.0}, ratio {:.1}",
        together / alone
    );
    let agent = ureq::Agent::new_with_defaults();
    for (number, subject) in subjects.iter().enumerate() {
        let path = format!("subjects/{subject}/records/messages?limit=1000");
        let page = call(&agent, &running, "GET", &path, &Value::Null);
        let records = page["records"].as_array().unwrap();
        let texts: Vec<&str> = records
            .iter()
            .map(|record| record["fields"]["text"].as_str().unwrap())
            .collect();
        let expected: Vec<String> = (0..MESSAGES).map(|n| format!("{number}/{n}")).collect();
        assert_eq!(texts, expected);
    }
}

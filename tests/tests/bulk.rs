//! Records of many people over HTTP.
//!
//! Counts as failure: a stream without its last line that seems whole, or one with it that is not; an
//! answer with another status than the documented one; a change that is not what was answered.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};

const PEOPLE: usize = 12;
const RECORDS: usize = 250;

fn policy() -> String {
    let keeper = r#"
[roles.keeper]
purposes = ["support", "newsletter"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "records.bulk", "records.purge", "vault.lock"]
"#;
    format!("{}{keeper}", vault_core::policy::SAMPLE)
}

fn open() -> Running {
    let options = DevOptions {
        policy: Some(policy()),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..DevOptions::default()
    };
    start(options).map_err(|_| "dev does not start").unwrap()
}

fn send(running: &Running, role: &str, path: &str, body: &Value) -> (u16, String) {
    // One for all calls: a connection each would be more than one client may have.
    static AGENT: std::sync::OnceLock<ureq::Agent> = std::sync::OnceLock::new();
    let agent = AGENT.get_or_init(|| {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        config.build().into()
    });
    let mut answer = agent
        .post(format!("{}/v1/{path}", running.url))
        .header("Authorization", format!("Bearer {}", running.token(role)))
        .header("Vault-Purpose", "support")
        .send_json(body)
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), text)
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn fill(running: &Running, text: &str) {
    for person in 0..PEOPLE {
        let body = json!({"channel": "web", "user": format!("user {person}")});
        let (_, made) = send(running, "keeper", "subjects", &body);
        let subject = object(&made)["subject"].as_str().unwrap().to_owned();
        let source = ["form", "letter"][person % 2];
        let body =
            |n| json!({"from": "user", "text": format!("{text}{n}"), "_meta": {"source": source}});
        let bodies: Vec<Value> = (0..RECORDS).map(body).collect();
        let path = format!("subjects/{subject}/records/messages");
        assert_eq!(send(running, "keeper", &path, &json!(bodies)).0, 201);
    }
}

#[test]
fn many_are_streamed_changed_and_purged() {
    let running = open();
    fill(&running, "text ");
    let all = PEOPLE * RECORDS;
    let query = |conditions: Value| {
        let body = json!({"collection": "messages", "where": conditions, "meta": "with"});
        let (status, text) = send(&running, "keeper", "records/query", &body);
        assert_eq!(status, 200);
        let mut lines: Vec<Value> = text.lines().map(object).collect();
        let last = lines.pop().unwrap();
        assert_eq!(
            (&last["end"], &last["records"]),
            (&json!(true), &json!(lines.len()))
        );
        lines
    };
    let lines = query(json!({}));
    assert_eq!(lines.len(), all);
    assert!(lines.iter().all(|line| line["fields"]["text"].is_string()));
    assert_eq!(query(json!({"source": "form"})).len(), all / 2);
    let body = json!({"collection": "messages", "where": {"source": "form"},
        "set": {"category": "changed"}});
    let (status, text) = send(&running, "keeper", "records/update", &body);
    let expected = json!({"count": all / 2, "unchanged": 0, "people_skipped": 0});
    assert_eq!((status, object(&text)), (200, expected));
    assert_eq!(
        query(json!({"category": "changed", "source": "form"})).len(),
        all / 2
    );
    let mut body = json!({"collection": "messages", "where": {"category": "changed"},
        "dry_run": true});
    let (_, text) = send(&running, "keeper", "records/purge", &body);
    assert_eq!(
        object(&text),
        json!({"count": all / 2, "people_skipped": 0})
    );
    body["dry_run"] = json!(false);
    let (_, text) = send(&running, "keeper", "records/purge", &body);
    assert_eq!(object(&text)["count"], all / 2);
    assert_eq!(object(&text)["receipt"]["body"]["records"], all / 2);
    assert_eq!(query(json!({})).len(), all / 2);
}

#[test]
fn mistakes_are_answered_before_the_stream_begins() {
    let running = open();
    let ask = |role: &str, path: &str, body: Value| {
        let (status, text) = send(&running, role, path, &body);
        let body = object(&text);
        let pointer = body["errors"][0]["pointer"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        (
            status,
            body["code"].as_str().unwrap_or("none").to_owned(),
            pointer,
        )
    };
    let denied = (403, "role_denied".into(), String::new());
    for path in ["query", "update", "purge"] {
        let path = format!("records/{path}");
        // Whoever lacks the capability learns nothing of the form either.
        assert_eq!(ask("bot", &path, json!({"colection": 1})), denied);
        let (status, code, pointer) = ask("keeper", &path, json!({"colection": "messages"}));
        assert_eq!((status, &*code, &*pointer), (422, "invalid", ""));
    }
    let query = |body: Value| ask("keeper", "records/query", body);
    assert_eq!(query(json!({"collection": "nothing"})).0, 404);
    let (status, _, pointer) =
        query(json!({"collection": "messages", "where": {"text": "canary"}}));
    assert_eq!((status, &*pointer), (422, "/where/text"));
    let (status, _, pointer) = query(json!({"collection": "messages", "meta": "yes"}));
    assert_eq!((status, &*pointer), (422, "/meta"));
    let (status, _, pointer) = query(json!({"collection": "messages", "cursor": "x.y"}));
    assert_eq!((status, &*pointer), (422, "/cursor"));
    let (status, _, pointer) = ask("keeper", "records/purge", json!({"collection": "messages"}));
    assert_eq!((status, &*pointer), (422, "/where"));
}

/// Sends a query by hand and reads as far as the first line.
fn begin(running: &Running) -> BufReader<TcpStream> {
    let address = running.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let body = json!({"collection": "messages"}).to_string();
    let head = format!(
        "POST /v1/records/query HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Vault-Purpose: support\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        running.token("keeper"),
        body.len()
    );
    socket
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    while !line.contains("\"subject\"") {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it begins");
    }
    reader
}

#[test]
fn a_stream_that_a_lock_cuts_off_has_no_last_line_and_no_end() {
    let running = open();
    // More than the buffers between hold, so that the server cannot have made all of it.
    for text in ["x", "y"] {
        fill(&running, &text.repeat(3_500));
    }
    let mut reader = begin(&running);
    assert_eq!(send(&running, "keeper", "lock", &json!({})).0, 200);
    let mut rest = Vec::new();
    // A connection that is broken off may end in an error or not; the chunked form has no end.
    let _ = reader.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(!rest.contains("\"end\":true"));
    assert!(!rest.ends_with("0\r\n\r\n"));
}

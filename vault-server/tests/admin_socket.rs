//! The admin socket and the bearers that it gives.
//!
//! Failure is a bearer that is good anywhere else, longer, or after a lock. Every person is invented.

mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use support::{Answer, PASSPHRASE, Running, exchange, post};
use vault_core::clock::{Clock, ManualClock};
use vault_server::config::ServerConfig;

fn through_socket(server: &Running, request: &str) -> Answer {
    let path = server.paths.dir.join("admin.sock");
    let mut stream = UnixStream::connect(path).expect("answers");
    exchange(&mut stream, request)
}

fn through_tcp(server: &Running, request: &str) -> Answer {
    exchange(&mut server.connect(), request)
}

fn with(method: &str, path: &str, bearer: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: v\r\nauthorization: Bearer {bearer}\r\n\r\n")
}

fn secret(text: &str) -> Value {
    json!({"passphrase": text})
}

fn keyholder(server: &Running) -> String {
    let given = through_socket(server, &post("/v1/keyholder", &secret(PASSPHRASE), None));
    assert_eq!(given.status, 201);
    given.json()["token"].as_str().expect("a token").to_owned()
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    let server = Running::limited(|_| {});
    let meta = server.paths.dir.join("admin.sock").symlink_metadata();
    let meta = meta.expect("is there");
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.mode() & 0o777, 0o600);
    assert_eq!(
        server.paths.dir.metadata().expect("there").mode() & 0o777,
        0o700
    );
}

#[test]
fn a_keyholders_bearer_opens_the_socket_and_not_tcp() {
    let server = Running::limited(|_| {});
    let bearer = keyholder(&server);
    assert!(bearer.starts_with("vh_"));
    let keys = with("GET", "/v1/admin/api-keys", &bearer);
    assert_eq!(through_socket(&server, &keys).status, 200);
    let refused = through_tcp(&server, &keys);
    assert_eq!(refused.code(), (401, "unauthenticated".into()));
    // It is nobody's to read values with: that needs a role.
    let subject = post(
        "/v1/subjects",
        &json!({"channel": "web", "user": "1"}),
        Some(&server.key("bot")),
    );
    let subject = through_tcp(&server, &subject).json()["subject"].clone();
    let subject = subject.as_str().expect("an id");
    let read = format!("/v1/subjects/{subject}/records/profile");
    let read =
        with("GET", &read, &bearer).replacen("host: v", "host: v\r\nvault-purpose: support", 1);
    assert_eq!(
        through_socket(&server, &read).code(),
        (403, "role_denied".into())
    );
    // Ended, it is nobody.
    assert_eq!(
        through_socket(&server, &with("DELETE", "/v1/keyholder", &bearer)).status,
        200
    );
    assert_eq!(through_socket(&server, &keys).status, 401);
}

#[test]
fn no_bearer_is_given_over_tcp_or_for_a_wrong_secret_and_wrong_ones_wait() {
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let server = Running::at(ServerConfig::default(), clock.clone() as Arc<dyn Clock>);
    let right = post("/v1/keyholder", &secret(PASSPHRASE), None);
    assert_eq!(
        through_tcp(&server, &right).code(),
        (403, "role_denied".into())
    );
    let wrong = post("/v1/keyholder", &secret("wrong horse battery"), None);
    let refused = through_socket(&server, &wrong);
    assert_eq!(refused.code(), (401, "unauthenticated".into()));
    assert!(!String::from_utf8_lossy(&refused.body).contains("horse"));
    // The right one has to wait as well, at either door.
    assert_eq!(
        through_socket(&server, &right).code(),
        (429, "rate_limited".into())
    );
    let unlock = post("/v1/unlock", &secret(PASSPHRASE), None);
    assert_eq!(
        through_socket(&server, &unlock).code(),
        (429, "rate_limited".into())
    );
    clock.advance(1000);
    assert_eq!(through_socket(&server, &right).status, 201);
}

#[test]
fn a_bearer_ends_with_its_ten_minutes_and_with_the_lock() {
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let server = Running::at(ServerConfig::default(), clock.clone() as Arc<dyn Clock>);
    let bearer = keyholder(&server);
    let keys = |bearer: &str| through_socket(&server, &with("GET", "/v1/admin/api-keys", bearer));
    clock.advance(599_000);
    assert_eq!(keys(&bearer).status, 200);
    clock.advance(1000);
    assert_eq!(keys(&bearer).status, 401);
    let bearer = keyholder(&server);
    assert_eq!(
        through_socket(&server, &post("/v1/lock", &json!({}), Some(&bearer))).status,
        200
    );
    assert_eq!(keys(&bearer).code(), (503, "locked".into()));
    let refused = through_socket(&server, &post("/v1/keyholder", &secret(PASSPHRASE), None));
    assert_eq!(refused.code(), (503, "locked".into()));
    let unlock = post("/v1/unlock", &secret(PASSPHRASE), None);
    assert_eq!(through_socket(&server, &unlock).status, 200);
    assert_eq!(keys(&bearer).status, 401);
}

//! Clients that do not behave, over real sockets.
//!
//! Failure is a bad client that is not refused, not counted, or that keeps a good one from being
//! answered. How long a refusal takes is not: limits are short here, and every wait is for an event.
//! Every person is invented.

mod support;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use support::{Running, answer, closed, eventually, exchange, get, is, post};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_head_that_never_ends_and_a_client_that_says_nothing_lose_their_connections() {
    let server = Running::limited(|limits| limits.header = SHORT);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhos")
        .expect("sent");
    server.is_well();
    assert_eq!(closed(&mut silent), b"");
    assert_eq!(closed(&mut slow), b"");
    let figures = server.app.connections();
    eventually("two heads too slow", || is(&figures.header_timeouts, 2));
    server.is_well();
    assert!(is(&figures.idle_closed, 0));
    assert!(is(&figures.protocol_errors, 0));
}

#[test]
fn a_head_that_drips_has_no_more_time_than_one_that_stops() {
    let server = Running::limited(|limits| limits.header = SHORT);
    let mut dripping = server.connect();
    // Each byte is sent once the one before has gone; the server's close ends it, not a number.
    let mut sent = 0_u32;
    dripping
        .write_all(b"GET /healthz HTTP/1.1\r\nx: ")
        .expect("sent");
    dripping
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("set");
    loop {
        let mut byte = [0];
        match dripping.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => panic!("an answer to half a head"),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        assert!(sent < 10_000, "it drips for ever");
        if dripping.write_all(b"x").is_err() {
            break;
        }
        sent += 1;
    }
    assert!(is(&server.app.connections().header_timeouts, 1));
}

#[test]
fn a_connection_without_calls_is_closed_and_counted_as_idle() {
    let server = Running::limited(|limits| limits.idle = SHORT);
    let mut stream = server.connect();
    for _ in 0..3 {
        assert_eq!(exchange(&mut stream, &get("/healthz")).status, 200);
    }
    assert_eq!(closed(&mut stream), b"");
    let figures = server.app.connections();
    eventually("one idle", || is(&figures.idle_closed, 1));
    eventually("none open", || is(&figures.open, 0));
    assert!(is(&figures.header_timeouts, 0));
}

#[test]
fn what_is_no_http_is_refused_and_counted() {
    let server = Running::limited(|_| {});
    let figures = server.app.connections();
    for (number, garbage) in [
        (
            1,
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n"[..],
        ),
        (2, b"GET / HTTP/9.9\r\n\r\n"),
        (3, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let mut stream = server.connect();
        stream.write_all(garbage).expect("sent");
        let said = closed(&mut stream);
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 4"),
            "{said:?}"
        );
        eventually("counted", || is(&figures.protocol_errors, number));
    }
    server.is_well();
    // Going away in the middle of a head is no crime.
    let mut gone = server.connect();
    gone.write_all(b"GET / HT").expect("sent");
    drop(gone);
    eventually("none open", || is(&figures.open, 0));
    assert!(is(&figures.protocol_errors, 3));
}

#[test]
fn a_head_with_too_many_bytes_or_fields_is_refused() {
    let server = Running::limited(|limits| {
        limits.header_bytes = 2048;
        limits.headers = 16;
    });
    let with = |fields: String| format!("GET /healthz HTTP/1.1\r\nhost: v\r\n{fields}\r\n");
    let many = "a: b\r\n".repeat(20);
    let large = format!("a: {}\r\n", "b".repeat(4096));
    for (number, fields) in [(1, many), (2, large)] {
        let mut stream = server.connect();
        assert_eq!(exchange(&mut stream, &with(fields)).status, 431);
        let figures = server.app.connections();
        eventually("counted", || is(&figures.heads_too_large, number));
    }
    let fits = "a: b\r\n".repeat(15);
    assert_eq!(exchange(&mut server.connect(), &with(fits)).status, 200);
}

#[test]
fn a_connection_over_the_limit_is_told_so_and_a_place_comes_free_again() {
    let server = Running::limited(|limits| limits.connections = 2);
    let mut held = [server.connect(), server.connect()];
    for stream in &mut held {
        assert_eq!(exchange(stream, &get("/healthz")).status, 200);
    }
    let refused = answer(&mut server.connect()).expect("told");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 5\r\n"));
    let figures = server.app.connections();
    assert!(is(&figures.refused_full, 1) && is(&figures.refused_peer, 0));
    assert_eq!(exchange(&mut held[0], &get("/healthz")).status, 200);
    drop(held);
    eventually("none open", || is(&figures.open, 0));
    server.is_well();
    assert_eq!(figures.accepted.load(Ordering::Relaxed), 3);
}

#[test]
fn a_peer_over_its_share_is_refused_while_places_are_left_and_the_socket_has_its_own() {
    let server = Running::limited(|limits| limits.connections_per_peer = 1);
    let mut held = server.connect();
    assert_eq!(exchange(&mut held, &get("/healthz")).status, 200);
    assert_eq!(answer(&mut server.connect()).expect("told").status, 503);
    let figures = server.app.connections();
    assert!(is(&figures.refused_peer, 1) && is(&figures.refused_full, 0));
    let path = server.paths.dir.join("admin.sock");
    let mut socket = std::os::unix::net::UnixStream::connect(path).expect("answers");
    assert_eq!(exchange(&mut socket, &get("/healthz")).status, 200);
}

#[test]
fn a_body_that_stands_still_is_refused_and_counted() {
    let server = Running::limited(|limits| limits.body_idle = SHORT);
    let mut stream = server.connect();
    let head = "POST /v1/subjects HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{\"chan";
    let refused = exchange(&mut stream, head);
    assert_eq!(refused.code(), (400, "malformed".into()));
    assert_eq!(refused.json()["detail"], "the body did not arrive in time");
    assert_eq!(closed(&mut stream), b"");
    assert!(is(&server.app.connections().body_timeouts, 1));
    server.is_well();
}

#[test]
fn a_client_that_takes_no_answer_loses_its_connection() {
    let server = Running::limited(|limits| limits.write = SHORT);
    let mut stream = server.connect();
    // Far more than the buffers between the two hold.
    let request = get("/v1/openapi.json");
    stream
        .set_write_timeout(Some(Duration::from_millis(50)))
        .expect("set");
    for _ in 0..2000 {
        if stream.write_all(request.as_bytes()).is_err() {
            break;
        }
    }
    let figures = server.app.connections();
    eventually("not taken", || is(&figures.write_timeouts, 1));
    server.is_well();
}

#[test]
fn a_proxys_call_is_not_this_machines() {
    let server = Running::limited(|_| {});
    let body = json!({"passphrase": "not this one, surely"});
    let direct = post("/v1/unlock", &body, None);
    let refused = exchange(&mut server.connect(), &direct);
    assert_eq!(refused.code(), (409, "conflict".into()));
    for header in [
        "x-forwarded-for: 203.0.113.9",
        "forwarded: for=_x",
        "via: 1.1 p",
    ] {
        let passed_on = direct.replacen("host: v", &format!("host: v\r\n{header}"), 1);
        let refused = exchange(&mut server.connect(), &passed_on);
        assert_eq!(refused.code(), (403, "role_denied".into()), "{header}");
    }
}

#[test]
fn at_a_stop_readiness_goes_first_a_call_under_way_ends_and_nobody_else_gets_in() {
    let mut server = Running::limited(|limits| limits.drain = Duration::from_secs(2));
    let bot = server.key("bot");
    let ready = || exchange(&mut server.connect(), &get("/readyz")).code();
    assert_eq!(ready().0, 200);
    let whole = post(
        "/v1/subjects",
        &json!({"channel": "web", "user": "1"}),
        Some(&bot),
    );
    let (first, rest) = whole.split_at(whole.len() - 5);
    let mut under_way = server.connect();
    under_way.write_all(first.as_bytes()).expect("sent");
    let mut idle = server.connect();
    assert_eq!(exchange(&mut idle, &get("/healthz")).status, 200);
    server.tell_to_stop();
    let address = server.address;
    let probe = || {
        let stream = std::net::TcpStream::connect(address).ok();
        stream.and_then(|mut stream| {
            stream.write_all(get("/readyz").as_bytes()).ok()?;
            answer(&mut stream)
        })
    };
    eventually("not ready, and still answering", || {
        probe().is_some_and(|answer| answer.code() == (503, "overloaded".into()))
    });
    eventually("nobody gets in", || probe().is_none());
    assert_eq!(closed(&mut idle), b"");
    let answered = exchange(&mut under_way, rest);
    assert_eq!(answered.status, 201);
    assert_eq!(closed(&mut under_way), b"");
    let socket = server.paths.dir.join("admin.sock");
    server.stop();
    assert!(!socket.exists());
}

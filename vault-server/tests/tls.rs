//! TLS, over real sockets, with certificates of our own making.
//!
//! Failure is a connection that should not have been, one that should have been and was not, and a
//! certificate in force that is not the newest that fits. Every person is invented.

mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ClientConfig;
use support::{
    Answer, Root, Running, TlsStream, answer, closed, eventually, exchange, get, is, shown, tls,
    tls_config, write,
};
use vault_core::clock::{Clock, ManualClock};
use vault_server::Server;
use vault_server::config::ServerConfig;

const NAME: &str = "v.example.test";
const SHORT: Duration = Duration::from_millis(300);

/// A server with a certificate of this root.
fn start(root: &Root, change: impl FnOnce(&mut ServerConfig)) -> (Running, tempfile::TempDir) {
    at(root, Arc::new(vault_core::clock::SystemClock), change)
}

fn at(
    root: &Root,
    clock: Arc<dyn Clock>,
    change: impl FnOnce(&mut ServerConfig),
) -> (Running, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    root.sign(NAME).write(dir.path());
    let mut config = tls_config(dir.path());
    change(&mut config);
    (Running::at(config, clock), dir)
}

fn call(server: &Running, client: ClientConfig) -> (Answer, TlsStream) {
    let mut stream = tls(server.address, client);
    (exchange(&mut stream, &get("/healthz")), stream)
}

fn is_refused(server: &Running, client: ClientConfig) {
    let mut stream = tls(server.address, client);
    let sent = stream.write_all(get("/healthz").as_bytes());
    assert!(sent.is_err() || answer(&mut stream).is_none());
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_the_browser_is_told_to_stay() {
    let root = Root::new();
    let (server, _dir) = start(&root, |_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = tls(server.address, root.client_of(version));
        let answer = exchange(&mut stream, &get("/healthz"));
        assert_eq!(answer.status, 200);
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert!(
            answer
                .head
                .contains("strict-transport-security: max-age=31536000\r\n")
        );
    }
    // Without TLS it would lock people out of a name that has none.
    let plain = Running::limited(|_| {});
    let answer = exchange(&mut plain.connect(), &get("/healthz"));
    assert!(!answer.head.contains("strict-transport-security"));
}

#[test]
fn alpn_offers_http_2_and_1_1_and_nothing_else() {
    let root = Root::new();
    let (server, _dir) = start(&root, |_| {});
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let mut stream = tls(server.address, root.client(None, offered));
        stream.conn.complete_io(&mut stream.sock).expect("shaken");
        assert_eq!(stream.conn.alpn_protocol(), chosen);
    }
    is_refused(&server, root.client(None, &["spdy/3"]));
}

#[test]
fn another_version_another_protocol_and_another_root_fail_the_handshake_and_harm_nobody() {
    let root = Root::new();
    let (server, _dir) = start(&root, |_| {});
    let figures = server.app.connections();
    // A ClientHello of TLS 1.1 with one cipher suite and no extension (RFC 4346 §7.4.1.2).
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    for (number, bytes) in [(1, &hello[..]), (2, get("/healthz").as_bytes())] {
        let mut stream = server.connect();
        stream.write_all(bytes).expect("sent");
        let said = closed(&mut stream);
        // An alert, at most: no byte of HTTP.
        assert!(said.is_empty() || said[0] == 0x15, "{said:?}");
        eventually("counted", || is(&figures.handshake_failures, number));
    }
    is_refused(&server, Root::new().client(None, &[]));
    assert_eq!(call(&server, root.client(None, &[])).0.status, 200);
}

#[test]
fn a_handshake_that_never_ends_is_cut_off_and_others_go_on() {
    let root = Root::new();
    let (server, _dir) = start(&root, |config| config.connections.handshake = SHORT);
    let mut silent = server.connect();
    let mut half = server.connect();
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).expect("sent");
    assert_eq!(call(&server, root.client(None, &[])).0.status, 200);
    assert_eq!(closed(&mut silent), b"");
    assert_eq!(closed(&mut half), b"");
    let figures = server.app.connections();
    eventually("counted", || is(&figures.handshake_timeouts, 2));
    assert!(is(&figures.handshake_failures, 0));
}

#[test]
fn a_newer_certificate_is_in_force_at_the_first_handshake_after_a_minute() {
    let root = Root::new();
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let (server, dir) = at(&root, clock.clone() as Arc<dyn Clock>, |_| {});
    let now_shown = || {
        let (answer, stream) = call(&server, root.client(None, &[]));
        assert_eq!(answer.status, 200);
        shown(&stream)
    };
    let first = now_shown();
    let second = root.sign(NAME);
    second.write(dir.path());
    clock.advance(59_000);
    assert_eq!(now_shown(), first, "looked at most every minute");
    clock.advance(1000);
    assert_eq!(&now_shown(), second.certificate.der());
    let figures = server.app.connections();
    assert!(is(&figures.certificate_reloads, 1));
    clock.advance(60_000);
    now_shown();
    assert!(is(&figures.certificate_reloads, 1), "nothing had changed");
}

#[test]
fn files_that_do_not_fit_leave_the_certificate_before_in_force() {
    let root = Root::new();
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let (server, dir) = at(&root, clock.clone() as Arc<dyn Clock>, |_| {});
    let figures = server.app.connections();
    let first = shown(&call(&server, root.client(None, &[])).1);
    let still_first = |failures| {
        // A second minute with the same files is not a second failure.
        for _ in 0..2 {
            clock.advance(60_000);
            let (answer, stream) = call(&server, root.client(None, &[]));
            assert_eq!((answer.status, shown(&stream)), (200, first.clone()));
        }
        assert!(is(&figures.certificate_reload_failures, failures));
    };
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let whole = std::fs::read_to_string(&cert).expect("there");
    write(&cert, &whole[..whole.len() / 2], 0o644);
    still_first(1);
    std::fs::remove_file(&cert).expect("there");
    still_first(2);
    // The certificate alone, before its key has come.
    write(&cert, &root.sign(NAME).certificate.pem(), 0o644);
    still_first(3);
    let next = root.sign(NAME);
    next.write(dir.path());
    write(&key, &next.key.serialize_pem(), 0o644);
    still_first(4);
    next.write(dir.path());
    clock.advance(60_000);
    let (_, stream) = call(&server, root.client(None, &[]));
    assert_eq!(&shown(&stream), next.certificate.der());
}

#[test]
fn a_client_without_a_certificate_of_the_right_root_is_refused() {
    let (root, clients) = (Root::new(), Root::new());
    let dir = tempfile::tempdir().expect("a directory");
    write(&dir.path().join("clients.pem"), &clients.pem(), 0o644);
    let ca = dir.path().join("clients.pem");
    let (server, _dir) = start(&root, |config| config.tls_client_ca = Some(ca));
    let known = clients.sign("bot.example.test");
    assert_eq!(call(&server, root.client(Some(&known), &[])).0.status, 200);
    is_refused(&server, root.client(None, &[]));
    let stranger = Root::new().sign("bot.example.test");
    is_refused(&server, root.client(Some(&stranger), &[]));
    let figures = server.app.connections();
    eventually("counted", || is(&figures.handshake_failures, 2));
}

#[test]
fn the_end_of_the_certificate_is_known_in_days() {
    let root = Root::new();
    let clock = Arc::new(ManualClock::at(
        "2031-02-20T12:00:00Z".parse().expect("a date"),
    ));
    let dir = tempfile::tempdir().expect("a directory");
    let mut parameters = rcgen::CertificateParams::new(vec![NAME.into()]).expect("a name");
    parameters.not_after = rcgen::date_time_ymd(2031, 3, 4);
    root.sign_with(parameters).write(dir.path());
    let server = Running::at(tls_config(dir.path()), clock.clone() as Arc<dyn Clock>);
    let figures = server.app.connections();
    assert_eq!(figures.certificate_days_left(clock.now()), Some(11));
}

#[test]
fn with_tls_any_address_is_listened_on_and_without_it_the_refusal_names_the_keys() {
    let running = Running::limited(|_| {});
    let root = Root::new();
    let dir = tempfile::tempdir().expect("a directory");
    root.sign(NAME).write(dir.path());
    let everywhere = |config| ServerConfig {
        listen: "0.0.0.0:0".parse().expect("an address"),
        ..config
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bind = |config: ServerConfig| runtime.block_on(Server::bind(&config, running.app.clone()));
    bind(everywhere(tls_config(dir.path()))).expect("TLS is spoken");
    let refused = bind(everywhere(ServerConfig::default())).err();
    let text = refused.expect("in clear").to_string();
    assert!(text.contains("`tls.cert` and `tls.key`"), "{text}");
    let key = dir.path().join("key.pem");
    let pem = std::fs::read_to_string(&key).expect("there");
    write(&key, &pem, 0o640);
    let refused = bind(everywhere(tls_config(dir.path()))).err();
    let text = refused.expect("others may read it").to_string();
    assert!(
        text.contains("key.pem") && text.contains("chmod 600"),
        "{text}"
    );
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM_AND_HEADERS: u8 = 5;

/// `GET /healthz` at `v` (RFC 7541: static names, plain values).
fn head_of_healthz() -> Vec<u8> {
    let mut head = vec![0x82, 0x87, 0x04, 8];
    head.extend(b"/healthz");
    head.extend([0x01, 1, b'v']);
    head
}

fn http2(server: &Running, root: &Root) -> TlsStream {
    let mut stream = tls(server.address, root.client(None, &["h2"]));
    let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    first.extend(frame(SETTINGS, 0, 0, &[]));
    stream.write_all(&first).expect("sent");
    stream
}

/// The kinds of the frames that come until the server closes, or until `last` comes.
fn frames(stream: &mut impl Read, last: Option<u8>) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return all;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).is_err() {
            return all;
        }
        all.push((head[3], payload));
        if Some(head[3]) == last {
            return all;
        }
    }
}

#[test]
fn http_2_is_served_and_says_goodbye_when_it_idles() {
    let root = Root::new();
    let (server, _dir) = start(&root, |config| config.connections.idle = SHORT);
    let mut stream = http2(&server, &root);
    let call = frame(HEADERS, END_STREAM_AND_HEADERS, 1, &head_of_healthz());
    stream.write_all(&call).expect("sent");
    let answered = frames(&mut stream, Some(HEADERS));
    // `:status: 200` is the eighth entry of the static table.
    assert_eq!(answered.last().map(|(_, head)| head[0]), Some(0x88));
    let rest = frames(&mut stream, None);
    assert!(rest.iter().any(|(kind, _)| *kind == GOAWAY));
    eventually("idle", || is(&server.app.connections().idle_closed, 1));
}

#[test]
fn a_flood_of_resets_ends_its_connection_and_no_other() {
    let root = Root::new();
    let (server, _dir) = start(&root, |_| {});
    let mut flood = http2(&server, &root);
    let mut bytes = Vec::new();
    for number in 0..1000 {
        let stream = 2 * number + 1;
        bytes.extend(frame(
            HEADERS,
            END_STREAM_AND_HEADERS,
            stream,
            &head_of_healthz(),
        ));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // The server may close before the last byte has gone.
    let _ = flood.write_all(&bytes);
    let said = frames(&mut flood, None);
    let goodbye = said.iter().find(|(kind, _)| *kind == GOAWAY);
    if let Some((_, payload)) = goodbye {
        // ENHANCE_YOUR_CALM (RFC 9113 §7).
        assert_eq!(payload[4..8], 11_u32.to_be_bytes());
    }
    let figures = server.app.connections();
    eventually("counted", || is(&figures.protocol_errors, 1));
    assert_eq!(call(&server, root.client(None, &[])).0.status, 200);
}

#[test]
fn too_many_fields_over_http_2_are_refused_as_over_http_1() {
    let root = Root::new();
    let (server, _dir) = start(&root, |config| config.connections.headers = 16);
    let mut stream = http2(&server, &root);
    let mut head = head_of_healthz();
    for number in 0..20 {
        head.extend([0x00, 2, b'a', b'a' + number, 1, b'b']);
    }
    let call = frame(HEADERS, END_STREAM_AND_HEADERS, 1, &head);
    stream.write_all(&call).expect("sent");
    let answered = frames(&mut stream, Some(HEADERS));
    // A literal status: not one of the seven of the static table.
    let (_, head) = answered.last().expect("an answer");
    assert!(!(0x88..=0x8e).contains(&head[0]), "{head:?}");
    assert!(is(&server.app.connections().heads_too_large, 1));
}

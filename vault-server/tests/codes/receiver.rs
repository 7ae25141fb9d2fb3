//! A receiver of webhooks on this machine, over HTTP, that checks each signature and keeps what it got.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver as Got, channel};
use std::time::Duration;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

pub(crate) const KEY: [u8; 32] = [7; 32];

/// A receiver that gives these statuses, one a connection, and ends with the last.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    got: Got<(String, Vec<u8>)>,
}

impl Receiver {
    pub(crate) fn start(statuses: Vec<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let (tell, got) = channel();
        std::thread::spawn(move || {
            for status in statuses {
                let (mut stream, _) = listener.accept().expect("a connection");
                let wait = Some(Duration::from_secs(10));
                stream.set_read_timeout(wait).expect("sets");
                let (mut bytes, mut byte) = (Vec::new(), [0; 1]);
                while !bytes.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).expect("a head");
                    bytes.push(byte[0]);
                }
                let head = String::from_utf8(bytes).expect("a head");
                let length = header(&head, "content-length").parse().expect("a length");
                let mut body = vec![0; length];
                stream.read_exact(&mut body).expect("a body");
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).expect("writes");
                // A test that has seen enough is gone.
                let _ = tell.send((head, body));
            }
        });
        Self { port, got }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}/codes?a=b", self.port)
    }

    /// The next message, whose signature is good: its id, and its body.
    pub(crate) fn take(&self) -> (String, Value) {
        let got = self.got.recv_timeout(Duration::from_secs(10));
        let (head, body) = got.expect("somebody came");
        let id = header(&head, "webhook-id");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&KEY).expect("any length");
        mac.update(format!("{id}.{}.", header(&head, "webhook-timestamp")).as_bytes());
        mac.update(&body);
        let signature = header(&head, "webhook-signature").strip_prefix("v1,");
        let signature = signature.and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let signature = signature.expect("a signature");
        mac.verify_slice(&signature)
            .expect("signed with the secret");
        let body = serde_json::from_slice(&body).expect("JSON");
        (id.to_owned(), body)
    }

    pub(crate) fn has_more(&self) -> bool {
        self.got.try_recv().is_ok()
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    named.next().map_or("", |(_, value)| value)
}

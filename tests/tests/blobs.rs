//! Blobs over real HTTP: streamed in and out, by need to know, and ended with the person.
//!
//! Counts as failure: content that differs, a check that comes after bytes were taken, an answer that
//! looks whole and is not. Sockets are spoken to directly where a client library would hide the end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, Running, start};

const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name", purposes = ["support"] }
photo = { type = "blob", purposes = ["support"], media_types = ["image/*", "text/html"], bytes_max = 67108864 }
small = { type = "blob", purposes = ["support"], media_types = ["image/*"], bytes_max = 1000 }
[collections.voice]
kind = "many"
[collections.voice.fields]
sound = { type = "blob", purposes = ["support"], media_types = ["audio/ogg"] }
[roles.bot]
purposes = ["support"]
read  = { "*" = "full" }
write = ["*"]
may   = ["subjects.create", "sessions.create"]
[roles.agent]
purposes = ["support"]
read = { "profile.*" = "mask" }
[roles.dpo]
may = ["subjects.erase", "audit.read"]
"#;

struct Bench {
    running: Running,
    agent: ureq::Agent,
}

struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> (u16, String) {
        let body = self.json();
        (self.status, body["code"].as_str().unwrap_or("none").into())
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Bytes that do not repeat.
fn content(length: usize) -> Vec<u8> {
    let mut state = length as u64 | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

impl Bench {
    fn new() -> Self {
        let options = DevOptions {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            policy: Some(POLICY.to_owned()),
            ..DevOptions::default()
        };
        Self {
            running: start(options).map_err(|_| "dev does not start").unwrap(),
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .new_agent(),
        }
    }

    fn send(
        &self,
        bearer: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.running.url))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Vault-Purpose", "support");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match method {
            "GET" | "HEAD" | "DELETE" => self.agent.run(request.body(()).unwrap()),
            _ => self.agent.run(request.body(body.to_vec()).unwrap()),
        };
        let (head, mut body) = answer.unwrap().into_parts();
        let body = body.with_config().limit(1 << 30).read_to_vec().unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }

    fn bot(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(self.running.token("bot"), method, path, headers, body)
    }

    fn person(&self, user: &str) -> String {
        let body = json!({"channel": "web", "user": user}).to_string();
        let made = self.bot("POST", "subjects", &[JSON], body.as_bytes());
        made.json()["subject"].as_str().unwrap().to_owned()
    }

    /// A request on a socket of its own, whose head is sent.
    fn socket(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
        let address = self.running.url.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        let bearer = self.running.token("bot");
        let mut head = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: vault\r\nAuthorization: Bearer {bearer}\r\n\
             Vault-Purpose: support\r\n"
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        socket
    }

    fn erase(&self, subject: &str) {
        let path = format!("subjects/{subject}");
        let erased = self.send(self.running.token("dpo"), "DELETE", &path, &[], &[]);
        assert_eq!(erased.status, 200);
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PNG: (&str, &str) = ("Content-Type", "image/png");

fn photo(subject: &str) -> String {
    format!("subjects/{subject}/blobs/profile/photo")
}

/// Status line and headers, up to the empty line.
fn head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    head
}

#[test]
fn content_goes_in_and_comes_out_whole_in_parts_and_with_the_headers_that_tame_it() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let bytes = content(3_000_000);
    let html = ("Content-Type", "Text/HTML; charset=iso-8859-1");
    let put = bench.bot("PUT", &photo(&ann), &[html], &bytes);
    let told = put.json();
    let etag = format!("\"{}\"", told["etag"].as_str().unwrap());
    assert_eq!((put.status, put.header("etag")), (200, &*etag));
    let expected = json!({"etag": told["etag"], "size": 3_000_000, "media_type": "text/html"});
    assert_eq!(told, expected);
    let whole = bench.bot("GET", &photo(&ann), &[], &[]);
    assert!(whole.status == 200 && whole.body == bytes);
    for (name, value) in [
        ("content-type", "text/html"),
        ("content-length", "3000000"),
        ("etag", &*etag),
        ("accept-ranges", "bytes"),
        ("content-disposition", "attachment"),
        ("content-security-policy", "sandbox"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    let only = bench.bot("HEAD", &photo(&ann), &[], &[]);
    assert_eq!((only.status, only.body.len()), (200, 0));
    for name in ["content-type", "content-length", "etag", "accept-ranges"] {
        assert_eq!(only.header(name), whole.header(name), "{name}");
    }
    let part = |range: &str, more: &[(&str, &str)]| {
        let headers = [&[("Range", range)], more].concat();
        bench.bot("GET", &photo(&ann), &headers, &[])
    };
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=262079-262080", 262_079, 262_081),
        ("bytes=2999990-", 2_999_990, 3_000_000),
        ("bytes=-77", 2_999_923, 3_000_000),
        ("bytes=5-9999999", 5, 3_000_000),
    ] {
        let answer = part(range, &[("If-Range", &etag)]);
        assert_eq!(answer.status, 206, "{range}");
        let told = format!("bytes {from}-{}/3000000", to - 1);
        assert_eq!(answer.header("content-range"), told);
        assert!(answer.body == bytes[from..to], "{range}");
    }
    assert_eq!(part("bytes=0-1,4-5", &[]).body.len(), 3_000_000);
    assert_eq!(part("bytes=0-1", &[("If-Range", "\"other\"")]).status, 200);
    let outside = part("bytes=3000000-", &[]);
    assert_eq!(outside.code(), (416, "range_not_satisfiable".into()));
    assert_eq!(outside.header("content-range"), "bytes */3000000");
    let record = format!("subjects/{ann}/records/profile");
    let shown = bench.bot("GET", &record, &[], &[]).json();
    let described = json!({"photo": {"media_type": "text/html", "size": 3_000_000}});
    assert_eq!(shown["fields"], described);
    let empty = bench.bot("PUT", &photo(&ann), &[PNG, ("If-Match", &etag)], &[]);
    assert_eq!((empty.status, &empty.json()["size"]), (200, &json!(0)));
    assert!(empty.json()["final_by"].is_string());
    let none = bench.bot("GET", &photo(&ann), &[], &[]);
    assert_eq!((none.status, none.body.len()), (200, 0));
    let late = bench.bot("DELETE", &photo(&ann), &[("If-Match", &etag)], &[]);
    assert_eq!(late.code(), (412, "precondition_failed".into()));
    let gone = bench.bot("DELETE", &photo(&ann), &[], &[]);
    assert!(gone.status == 200 && gone.json()["final_by"].is_string());
    for method in ["GET", "DELETE"] {
        let none = bench.bot(method, &photo(&ann), &[], &[]);
        assert_eq!(none.code(), (404, "not_found".into()));
    }
}

#[test]
fn a_record_of_many_takes_a_blob_and_the_wrong_path_says_which_is_right() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let path = format!("subjects/{ann}/records/voice");
    let made = bench.bot("POST", &path, &[JSON], b"{}").json();
    let record = made["record"].as_str().unwrap();
    let path = format!("subjects/{ann}/blobs/voice/{record}/sound");
    let ogg = ("Content-Type", "audio/ogg; codecs=opus");
    let bytes = content(50_000);
    assert_eq!(bench.bot("PUT", &path, &[ogg], &bytes).status, 200);
    assert!(bench.bot("GET", &path, &[], &[]).body == bytes);
    let removed = bench.bot("DELETE", &path, &[], &[]);
    assert_eq!(removed.json()["record"], record);
    let many = format!("subjects/{ann}/blobs/voice/sound");
    let refused = bench.bot("PUT", &many, &[ogg], &bytes);
    assert_eq!(refused.code(), (409, "conflict".into()));
    let single = format!("subjects/{ann}/blobs/profile/{record}/photo");
    let refused = bench.bot("PUT", &single, &[PNG], &bytes);
    assert_eq!(refused.code(), (404, "not_found".into()));
    let json = json!({"photo": "aGVsbG8="}).to_string();
    let path = format!("subjects/{ann}/records/profile");
    let refused = bench.bot("PATCH", &path, &[JSON], json.as_bytes());
    assert_eq!(refused.code(), (422, "invalid".into()));
    let place = &refused.json()["errors"][0];
    assert_eq!(
        (&place["pointer"], &place["code"]),
        (&json!("/photo"), &json!("not_json"))
    );
}

/// Bearer, method, path, headers; status and code.
type Case<'a> = (
    &'a str,
    &'a str,
    &'a str,
    Vec<(&'a str, &'a str)>,
    (u16, &'a str),
);

#[test]
fn checks_come_in_the_documented_order_and_before_the_body() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let small = format!("subjects/{ann}/blobs/profile/small");
    let nobody = photo("sub_00000000000000000000000000");
    let agent = bench.running.token("agent");
    let cases: [Case<'_>; 9] = [
        ("", "PUT", &small, vec![], (415, "unsupported_media_type")),
        ("", "PUT", &small, vec![PNG], (401, "unauthenticated")),
        (agent, "PUT", &nobody, vec![PNG], (403, "role_denied")),
        ("bot", "PUT", &nobody, vec![PNG], (404, "not_found")),
        (
            "bot",
            "PUT",
            &small,
            vec![PNG, ("If-Match", "*")],
            (412, "precondition_failed"),
        ),
        (
            "bot",
            "PUT",
            &small,
            vec![("Content-Type", "text/html")],
            (415, "unsupported_media_type"),
        ),
        ("bot", "PUT", &small, vec![PNG], (413, "too_large")),
        (agent, "GET", &small, vec![], (403, "role_denied")),
        ("bot", "GET", &small, vec![], (404, "not_found")),
    ];
    for (bearer, method, path, headers, expected) in cases {
        let bearer = match bearer {
            "bot" => bench.running.token("bot"),
            other => other,
        };
        let answer = bench.send(bearer, method, path, &headers, &content(2_000));
        assert_eq!(
            answer.code(),
            (expected.0, expected.1.into()),
            "{method} {path}"
        );
    }
    // A length over the limit is refused while the client still waits to be let in.
    for (length, path) in [("1001", &small), ("4294967297", &photo(&ann))] {
        let wait = [PNG, ("Content-Length", length), ("Expect", "100-continue")];
        let socket = bench.socket("PUT", path, &wait);
        let answer = head(&mut BufReader::new(socket));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    let fits = [PNG, ("Content-Length", "5"), ("Expect", "100-continue")];
    let mut socket = bench.socket("PUT", &small, &fits);
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    assert!(head(&mut reader).starts_with("HTTP/1.1 100 "));
    socket.write_all(b"hello").unwrap();
    assert!(head(&mut reader).starts_with("HTTP/1.1 200 "));
    // Without a length it is refused as soon as there is too much.
    let chunked = [PNG, ("Transfer-Encoding", "chunked")];
    let mut socket = bench.socket("PUT", &small, &chunked);
    let piece = [b"3e9\r\n", &[7; 1001][..], b"\r\n0\r\n\r\n"].concat();
    socket.write_all(&piece).unwrap();
    assert!(head(&mut BufReader::new(socket)).starts_with("HTTP/1.1 413 "));
    assert_eq!(bench.bot("GET", &small, &[], &[]).body, b"hello");
}

#[test]
fn an_upload_whose_client_goes_away_leaves_the_field_as_it_was() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    bench.bot("PUT", &photo(&ann), &[PNG], b"the first one");
    for length in [
        ("Content-Length", "9000000"),
        ("Transfer-Encoding", "chunked"),
    ] {
        let mut socket = bench.socket("PUT", &photo(&ann), &[PNG, length]);
        let bytes = content(5_000_000);
        match length.0 {
            "Content-Length" => socket.write_all(&bytes).unwrap(),
            _ => {
                write!(socket, "{:x}\r\n", bytes.len()).unwrap();
                socket.write_all(&bytes).unwrap();
            }
        }
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        // It is told, if it still listens; then nothing of it is left under way.
        let mut told = String::new();
        let _ = BufReader::new(socket).read_to_string(&mut told);
        assert!(!told.starts_with("HTTP/1.1 200"), "{told}");
    }
    assert_eq!(
        bench.bot("GET", &photo(&ann), &[], &[]).body,
        b"the first one"
    );
}

#[test]
fn a_download_under_way_ends_with_the_person_and_does_not_look_whole() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let bytes = content(48 << 20);
    assert_eq!(bench.bot("PUT", &photo(&ann), &[PNG], &bytes).status, 200);
    let socket = bench.socket("GET", &photo(&ann), &[]);
    let mut reader = BufReader::new(socket);
    let answer = head(&mut reader).to_lowercase();
    assert!(answer.starts_with("http/1.1 200 "));
    assert!(answer.contains(&format!("content-length: {}", bytes.len())));
    let mut first = vec![0; 1_000_000];
    reader.read_exact(&mut first).unwrap();
    assert!(first == bytes[..first.len()]);
    bench.erase(&ann);
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    // What had left the vault may be in the socket's buffers; the rest does not come.
    let came = first.len() + rest.len();
    assert!(came < bytes.len(), "{came}");
    assert!(rest == bytes[first.len()..came]);
    let gone = bench.bot("GET", &photo(&ann), &[], &[]);
    assert_eq!(gone.code(), (410, "erased".into()));
}

#[test]
fn a_session_reaches_its_own_blob_and_counts_transfers() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let input = json!({"purpose": "support", "fields": ["profile.photo"], "reads": 1, "writes": 1});
    let path = format!("subjects/{ann}/sessions");
    let begun = bench.bot("POST", &path, &[JSON], input.to_string().as_bytes());
    let token = begun.json()["token"].as_str().unwrap().to_owned();
    let own = |method: &str, field: &str, body: &[u8]| {
        let path = format!("subjects/self/blobs/profile/{field}");
        bench.send(&token, method, &path, &[PNG], body)
    };
    let bytes = content(2_500_000);
    assert_eq!(own("PUT", "small", b"x").code().0, 403);
    assert_eq!(own("PUT", "photo", &bytes).status, 200);
    assert_eq!(
        own("PUT", "photo", b"again").code(),
        (403, "role_denied".into())
    );
    assert!(own("GET", "photo", &[]).body == bytes);
    assert_eq!(own("GET", "photo", &[]).code(), (403, "role_denied".into()));
}

//! Bad calls: each good call again with canaries wherever a caller can put a text.

use serde_json::{Map, Value, json};
use vault_tests::contract::Route;

use super::people::{EMAIL, WORD};
use super::server::Server;
use super::story::{Made, Recipe, Sent, headers, parameter, request};

/// A bad call: what is bad of it, and its bytes.
pub(crate) type Attack = (String, Vec<u8>);

/// More than a body may have.
const OVERSIZE: usize = (1 << 20) + 4096;

type Headers = Vec<(String, Vec<u8>)>;

/// A call that can be spoilt at one place.
struct Call<'a> {
    route: &'a Route,
    target: String,
    headers: Headers,
    body: Vec<u8>,
}

impl Call<'_> {
    fn with(&self, target: &[u8], headers: &Headers, body: &[u8]) -> Vec<u8> {
        request(self.route.method.as_bytes(), target, headers, body)
    }

    fn target(&self, target: impl AsRef<[u8]>) -> Vec<u8> {
        self.with(target.as_ref(), &self.headers, &self.body)
    }

    /// With this header in place of the one of its name, or beside the others.
    fn header(&self, name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
        let mut headers = self.headers.clone();
        headers.retain(|(known, _)| known != name);
        headers.push((name.to_owned(), value.as_ref().to_vec()));
        self.with(self.target.as_bytes(), &headers, &self.body)
    }

    fn body(&self, body: impl AsRef<[u8]>) -> Vec<u8> {
        self.with(self.target.as_bytes(), &self.headers, body.as_ref())
    }
}

/// Every way in which this route is called badly.
pub(crate) fn attacks(route: &Route, recipe: &Recipe, server: &Server, made: &Made) -> Vec<Attack> {
    let path = route.at(|name| parameter(route, name, made));
    let call = Call {
        route,
        target: format!("{path}{}", recipe.query),
        headers: headers(recipe),
        body: match recipe.slow {
            // Only `bodies` may cost a derivation.
            true => json!({"passphrase": 7}).to_string().into_bytes(),
            false => recipe.body.bytes(),
        },
    };
    let mut attacks = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>| attacks.push((what.to_owned(), bytes));
    targets(&call, &path, made, &mut add);
    of_headers(&call, server, &mut add);
    let method = WORD.to_uppercase();
    add(
        "a method",
        request(method.as_bytes(), path.as_bytes(), &call.headers, b""),
    );
    add(
        "another method",
        request(b"OPTIONS", path.as_bytes(), &call.headers, b""),
    );
    match &recipe.body {
        Sent::Json(good) => bodies(&call, good, recipe.slow, &mut add),
        Sent::Bytes(_, good) => {
            let half = &good[..good.len() / 2];
            add(
                "bytes and a text",
                call.body([half, EMAIL.as_bytes()].concat()),
            );
            add(
                "a line in a text",
                call.body([good, &b"\n"[..], EMAIL.as_bytes()].concat()),
            );
            // A policy's own names are repeated to whoever sent it; what it says of them is not.
            let line = format!("\n[unknown]\nunknown = \"{EMAIL}\"\n");
            add(
                "a table in a text",
                call.body([good, line.as_bytes()].concat()),
            );
            add(
                "bytes that are no text",
                call.body([good, &b"\n# \xff"[..], EMAIL.as_bytes()].concat()),
            );
        }
        Sent::Nothing => {
            let body = json!({WORD: EMAIL}).to_string();
            add("a body where none is", call.body(&body));
            let mut headers = call.headers.clone();
            headers.push(("content-type".into(), b"application/json".to_vec()));
            add(
                "JSON where none is",
                call.with(call.target.as_bytes(), &headers, body.as_bytes()),
            );
        }
    }
    attacks
}

fn targets(call: &Call<'_>, path: &str, made: &Made, add: &mut impl FnMut(&str, Vec<u8>)) {
    let percent = "Zyxwina.Canary%2B77%40Example.test";
    for name in &call.route.path_parameters {
        for (what, text) in [
            ("a mail address", percent),
            ("a word", WORD),
            ("no UTF-8", "%ff%fezyxwina"),
            ("a slash", "zyxwina%2Fzyxwina"),
        ] {
            let path = call.route.at(|known| match known == name {
                true => text.to_owned(),
                false => parameter(call.route, known, made),
            });
            add(&format!("{what} for {{{name}}}"), call.target(path));
        }
    }
    add("a longer path", call.target(format!("{path}/{percent}")));
    add(
        "raw bytes in the path",
        call.target([path.as_bytes(), b"/zyxwina\xc3\xa4\xff"].concat()),
    );
    add("a query", call.target(format!("{path}?{WORD}={percent}")));
    add(
        "a query of no UTF-8",
        call.target(format!("{path}?a=%ffzyxwina")),
    );
    add("a fragment", call.target(format!("{path}#{WORD}")));
    for name in &call.route.query_parameters {
        add(
            &format!("the query {name}"),
            call.target(format!("{path}?{name}={percent}")),
        );
        let twice = format!("{path}?{name}={WORD}&{name}={percent}");
        add(&format!("the query {name} twice"), call.target(twice));
    }
}

fn of_headers(call: &Call<'_>, server: &Server, add: &mut impl FnMut(&str, Vec<u8>)) {
    for name in [
        "vault-purpose",
        "if-match",
        "idempotency-key",
        "range",
        "if-range",
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "expect",
        "accept",
        "accept-language",
        "traceparent",
        "x-forwarded-for",
        "x-request-id",
        "origin",
        "host",
        "cookie",
        "referer",
        "user-agent",
        "x-zyxwina",
    ] {
        add(&format!("the header {name}"), call.header(name, EMAIL));
        add(
            &format!("no ASCII in {name}"),
            call.header(name, b"zyxwina \xc3\xa4 \xff"),
        );
    }
    let type_of = |parameter: &str| format!("application/json; {parameter}");
    add(
        "a charset",
        call.header("content-type", type_of("charset=zyxwina")),
    );
    add(
        "a list of revisions",
        call.header("if-match", format!("\"{WORD}\", \"{EMAIL}\"")),
    );
    add(
        "a purpose that is long",
        call.header("vault-purpose", WORD.repeat(60)),
    );
    add(
        "a header that is too long",
        call.header("x-long", WORD.repeat(4000)),
    );
    let spoilt = format!("{}zyxwina", &server.all[..server.all.len() - 7]);
    for (what, bearer) in [
        ("no key", format!("Bearer {EMAIL}")),
        ("a key of a key's length", format!("Bearer {spoilt}")),
        ("a session's form", format!("Bearer vs_{}", WORD.repeat(13))),
        ("another scheme", format!("Basic {EMAIL}")),
        ("whoever may nothing", format!("Bearer {}", server.none)),
    ] {
        add(what, call.header("authorization", bearer));
    }
    let mut twice = call.headers.clone();
    for name in ["authorization", "vault-purpose", "idempotency-key"] {
        twice.push((name.into(), EMAIL.into()));
    }
    add(
        "headers twice",
        call.with(call.target.as_bytes(), &twice, &call.body),
    );
    let mut bare = call.headers.clone();
    bare.retain(|(name, _)| name != "authorization");
    add(
        "no bearer",
        call.with(call.target.as_bytes(), &bare, &call.body),
    );
}

fn bodies(call: &Call<'_>, good: &Value, slow: bool, add: &mut impl FnMut(&str, Vec<u8>)) {
    let text = good.to_string();
    let mut more = good.clone();
    if let Some(members) = more.as_object_mut() {
        for name in [
            WORD,
            EMAIL,
            "Zyxwina Canäry",
            "_zyxwina",
            "zyxwina~/zyxwina",
        ] {
            members.insert(name.into(), EMAIL.into());
        }
    }
    add("members that are not known", call.body(more.to_string()));
    add(
        "nothing but what is not known",
        call.body(json!({EMAIL: EMAIL, WORD: {WORD: WORD}}).to_string()),
    );
    add("a text", call.body(json!(EMAIL).to_string()));
    add(
        "a list",
        call.body(json!([EMAIL, {WORD: WORD}]).to_string()),
    );
    add(
        "a word without quotes",
        call.body(format!("{{\"{WORD}\": {EMAIL}}}")),
    );
    add(
        "cut off in a text",
        call.body(format!("{{\"{WORD}\": \"{EMAIL}")),
    );
    add("cut off", call.body(&text[..text.len() - 1]));
    add(
        "no UTF-8",
        call.body(
            [
                b"{\"zyxwina\": \"zyxwina\xff\"}".as_slice(),
                EMAIL.as_bytes(),
            ]
            .concat(),
        ),
    );
    add(
        "a name twice",
        call.body(format!("{{\"{WORD}\": 1, \"{WORD}\": \"{EMAIL}\"}}")),
    );
    add(
        "a number",
        call.body(format!("{{\"{WORD}\": 73904182650177e9999}}")),
    );
    let deep = format!("{}\"{EMAIL}\"{}", "[".repeat(65), "]".repeat(65));
    add("nesting", call.body(deep));
    add(
        "too much",
        call.body(format!(
            "{{\"{WORD}\": \"{}\"}}",
            "zyxwina ".repeat(OVERSIZE / 8)
        )),
    );
    let mut headers = call.headers.clone();
    headers.retain(|(name, _)| name != "content-type");
    headers.push(("content-type".into(), b"text/zyxwina".to_vec()));
    add(
        "another type",
        call.with(call.target.as_bytes(), &headers, &call.body),
    );
    if slow {
        // What would be taken for a secret costs a derivation each; types that do not fit cost none.
        for value in [json!([EMAIL]), json!({WORD: EMAIL}), json!(7)] {
            let members = good.as_object().expect("an object").keys();
            let spoilt: Map<_, _> = members.map(|name| (name.clone(), value.clone())).collect();
            add("a wrong type", call.body(Value::Object(spoilt).to_string()));
        }
        return;
    }
    let mut places = Vec::new();
    pointers(good, String::new(), &mut places);
    // A label is the name of a program and shown in lists (docs/threat-model.md).
    places.retain(|place| place != "/label");
    for place in places {
        for value in [
            json!(EMAIL),
            json!([EMAIL]),
            json!({EMAIL: EMAIL}),
            json!("$zyxwina"),
        ] {
            let mut spoilt = good.clone();
            *spoilt.pointer_mut(&place).expect("it was there") = value;
            add(
                &format!("another value at {place}"),
                call.body(spoilt.to_string()),
            );
        }
        let mut longer = good.clone();
        *longer.pointer_mut(&place).expect("it was there") = "zyxwina ".repeat(9000).into();
        add(
            &format!("a long text at {place}"),
            call.body(longer.to_string()),
        );
    }
}

/// Every place in a value, itself not among them.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, v)| (n.to_string(), v))
            .collect(),
        Value::Object(members) => members.iter().map(|(name, v)| (name.clone(), v)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in below {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(place.clone());
        pointers(value, place, found);
    }
}

/// What is no request at all.
pub(crate) fn garbage() -> Vec<Attack> {
    let head = |line: &str| format!("{line}\r\nhost: v\r\nconnection: close\r\n\r\n").into_bytes();
    vec![
        ("no request".into(), format!("{EMAIL}\r\n\r\n").into_bytes()),
        ("no version".into(), head(&format!("GET /{WORD}"))),
        ("another version".into(), head(&format!("GET /{WORD} HTTP/{WORD}"))),
        ("no colon".into(), format!("GET / HTTP/1.1\r\n{EMAIL}\r\n\r\n").into_bytes()),
        ("a whole address".into(), head(&format!("GET http://{WORD}:{WORD}@v/{WORD} HTTP/1.1"))),
        ("a proxy's method".into(), head(&format!("CONNECT {WORD}:1 HTTP/1.1"))),
        ("a long line".into(), head(&format!("GET /{} HTTP/1.1", WORD.repeat(20_000)))),
        ("HTTP/2".into(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nzyxwina zyxwina".to_vec()),
        ("bad chunks".into(), format!("POST /v1/subjects HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\n{WORD}\r\n{EMAIL}\r\n").into_bytes()),
    ]
}

//! What a client or an operator sends: headers, bodies, tokens, configuration.

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use vault_core::crypto::Secret;
use vault_core::dialogue::{INTENTS_MAX, Language, control, recognise, understand};
use vault_core::id::RecordId;
use vault_core::limits::ASKED_CHARACTERS_MAX;
use vault_core::parsers as core;
use vault_core::policy::{Draft, Policy, SAMPLE};
use vault_core::refusal::{InputError, Refusal};
use vault_server::config::ServerConfig;
use vault_server::parsers::{self as server, BODIES};

use crate::VAULT;

/// Most bytes of a refusal: whoever sends a megabyte of mistakes is not told all of them.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// Every text that looks like somebody's address, names of members included: none of them may come
/// back in an error.
fn canaries<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    let mut look = |text: &'v str| {
        if text.contains('@') && text.len() > 5 {
            found.push(text);
        }
    };
    match value {
        Value::String(text) => look(text),
        Value::Array(items) => items.iter().for_each(|item| canaries(item, found)),
        Value::Object(members) => {
            members.keys().for_each(|name| look(name));
            members.values().for_each(|item| canaries(item, found));
        }
        _ => {}
    }
}

/// A refusal is short, JSON, and repeats nothing.
fn problem(document: &[u8], sent: &Value) {
    assert!(
        document.len() <= PROBLEM_BYTES_MAX,
        "{} bytes",
        document.len()
    );
    let document: Value = serde_json::from_slice(document).expect("a problem is JSON");
    let (mut said, mut told) = (Vec::new(), Vec::new());
    canaries(sent, &mut said);
    texts(&document, &mut told);
    for canary in said {
        assert!(
            !told.iter().any(|text| text.contains(canary)),
            "a value comes back"
        );
    }
}

fn texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|item| texts(item, found)),
        _ => {}
    }
}

/// What somebody says: few intents are offered, the same ones when it is said again, and what comes behind the
/// part that is looked at changes nothing.
pub fn asked(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let understood = understand(None, &text);
    assert_eq!(understood, understand(None, &text));
    for language in [Language::En, Language::Pl] {
        assert!(recognise(language, &text).len() <= INTENTS_MAX);
    }
    if let Some(understood) = &understood {
        assert!((1..=INTENTS_MAX).contains(&understood.intents.len()));
        assert_eq!(understood.intents, recognise(understood.language, &text));
    }
    if text.chars().nth(ASKED_CHARACTERS_MAX).is_some() {
        let more = format!("{text} delete my data");
        assert_eq!(understood, understand(None, &more));
    }
    let _ = control(&text);
}

/// A line of a log. What is stored is JSON, and has nothing of what is known of somebody; what whoever sends it is
/// told, that it fails too, is the same whether or not anybody is known.
pub fn log_line(data: &[u8]) {
    const KNOWN: &str = "K-17";
    let (plain, known) = (
        core::log_line(data, None),
        core::log_line(data, Some(KNOWN)),
    );
    assert_eq!(plain.is_some(), known.is_some());
    let (Some((plain, told, weight)), Some(known)) = (plain, known) else {
        return;
    };
    assert_eq!((&told, weight), (&known.1, known.2));
    assert_eq!(plain.len(), weight);
    assert!(!known.0.contains(KNOWN), "what is known is stored");
    for stored in [&plain, &known.0] {
        let value: Value = serde_json::from_str(stored).expect("a stored line is JSON");
        assert!(value.is_object() || value.is_string());
    }
}

/// A body of the API; the first byte chooses the call.
pub fn body(data: &[u8]) {
    let Some((call, json)) = data.split_first() else {
        return;
    };
    let Ok(value) = server::json(json) else {
        return;
    };
    let (_, read) = BODIES[usize::from(*call) % BODIES.len()];
    if let Err(document) = read(value.clone()) {
        problem(&document, &value);
    }
    if let Err(document) = server::policy_source(value.clone()) {
        problem(&document, &value);
    }
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let draft = Draft::parse(SAMPLE).expect("the sample is a policy");
    draft.assign(None, 1).expect("the sample is a policy")
});

fn refused(refusal: Refusal, sent: &Value) {
    let Refusal::Invalid(errors) = refusal else {
        return;
    };
    let bytes = |error: &InputError| error.pointer.len() + error.code.len() + error.detail.len();
    let bytes: usize = errors.iter().map(bytes).sum();
    assert!(bytes <= PROBLEM_BYTES_MAX, "{bytes} bytes");
    let mut said = Vec::new();
    canaries(sent, &mut said);
    for canary in said {
        let back =
            |error: &InputError| error.pointer.contains(canary) || error.detail.contains(canary);
        assert!(!errors.iter().any(back), "a value comes back");
    }
}

/// A record's body with its `_meta`, and `where` and `set` of a call over many; the first byte
/// chooses the collection.
pub fn record(data: &[u8]) {
    let Some((collection, json)) = data.split_first() else {
        return;
    };
    let Ok(value) = server::json(json) else {
        return;
    };
    let collections = POLICY.collections();
    let collection = &collections[usize::from(*collection) % collections.len()].name;
    let results = [
        core::record(&POLICY, collection, value.clone()),
        core::wanted(&POLICY, collection, &value, None),
        core::wanted(
            &POLICY,
            collection,
            &Value::Object(Default::default()),
            Some(&value),
        ),
    ];
    for refusal in results.into_iter().filter_map(Result::err) {
        refused(refusal, &value);
    }
}

/// JSON, held to a parser that is less strict.
pub fn json(data: &[u8]) {
    let loose = serde_json::from_slice::<Value>(data);
    match server::json(data) {
        Ok(value) => assert_eq!(loose.ok(), Some(value)),
        Err(said) => {
            assert!(said.len() < 200);
            let strict = ["a key that stands twice", "nesting over 64"];
            assert!(loose.is_err() || strict.iter().any(|reason| said.contains(reason)));
        }
    }
}

/// A bearer: an API key, a session's token, or neither.
pub fn authorization(data: &[u8]) {
    let Some(read) = server::authorization(data) else {
        return;
    };
    let bearer = read.expect("it stands once");
    if let Some(bearer) = &bearer {
        assert!(!bearer.is_empty() && bearer.trim() == bearer);
    }
    let text = String::from_utf8_lossy(data);
    for text in [bearer.as_deref().unwrap_or_default(), &text] {
        let decoded = |prefix: &str| {
            let text = text.strip_prefix(prefix)?;
            BASE64URL_NOPAD.decode(text.as_bytes()).ok()
        };
        let key = core::api_key(text);
        let session = core::session_token(text);
        assert!(key.is_none() || session.is_none());
        assert_eq!(
            vault_core::session::subject_of(text),
            session.map(|(subject, _)| subject)
        );
        if let Some(hash) = key {
            let bytes = decoded("vk_").expect("a key is decoded");
            assert_eq!((bytes.len(), text.len()), (32, 46));
            assert_eq!(Sha256::digest(&bytes)[..], hash);
        }
        if let Some((subject, session)) = session {
            let bytes = decoded("vs_").expect("a token is decoded");
            assert_eq!((bytes.len(), text.len()), (64, 89));
            assert!(
                bytes.starts_with(subject.as_bytes())
                    && bytes[16..].starts_with(session.as_bytes())
            );
        }
    }
}

/// Cursors: none opens that was not made here, and one that was opens here and nowhere else. 24 bytes
/// of a record id, 4 of an hour, then a text.
pub fn cursor(data: &[u8]) {
    let Some((head, text)) = data.split_first_chunk::<28>() else {
        return;
    };
    let last = RecordId::from_slice(&head[..24]).expect("the right length");
    let hour = u32::from_be_bytes(head[24..].try_into().expect("four bytes"));
    let (key, tie) = (Secret::take(&mut [5; 32]), [6; 32]);
    let open = |tie: &[u8; 32], hour, text: &str| core::open_cursor(&key, VAULT, tie, hour, text);
    let text = String::from_utf8_lossy(text);
    assert_eq!(open(&tie, hour, &text), None, "nobody made it");
    let made = core::seal_cursor(&key, VAULT, &tie, hour, last);
    assert_eq!(open(&tie, hour, &made), Some(last));
    assert_eq!(open(&[7; 32], hour, &made), None);
    assert_eq!(
        open(&tie, hour.saturating_add(2), &made).is_some(),
        hour > u32::MAX - 2
    );
    // What was added to it, or put into it, makes it none.
    if !text.is_empty() {
        assert_eq!(open(&tie, hour, &format!("{made}{text}")), None);
    }
}

/// `vault.toml`: what is accepted prints as what reads as the same.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let none = std::iter::empty::<(String, String)>;
    match ServerConfig::parse(text, none()) {
        Ok(config) => {
            let printed = config.print();
            let again = ServerConfig::parse(&printed, none()).expect("what is printed is read");
            assert_eq!(again, config, "{printed}");
        }
        Err(error) => drop(error.to_string()),
    }
}

/// `Range`, after eight bytes of a size: within what is there.
pub fn range(data: &[u8]) {
    let Some((size, text)) = data.split_first_chunk::<8>() else {
        return;
    };
    let size = u64::from_be_bytes(*size);
    let text = String::from_utf8_lossy(text);
    if let Some((from, to)) = server::range(&text, size) {
        let outside = (from, to) == (size, size);
        assert!(outside || (from < to && to <= size), "{from} {to} {size}");
    }
    let asked = server::range(&format!("bytes={size}-"), size);
    assert_eq!(asked, Some((size, size)), "behind the end");
}

/// `If-Match` and `Idempotency-Key`: short visible texts, which read as the same when they are quoted.
pub fn precondition(data: &[u8]) {
    for read in [server::if_match, server::idempotency_key] {
        match read(data) {
            Some(Ok(Some(text))) => {
                assert!((1..=255).contains(&text.len()));
                assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if plain && text.len() <= 253 {
                    let quoted = read(format!("\"{text}\"").as_bytes());
                    assert_eq!(quoted, Some(Ok(Some(text))));
                }
            }
            Some(Err(document)) => assert!(document.len() < 1_000),
            _ => {}
        }
    }
}

/// `Content-Type`, `Content-Length`, `Accept`, `Accept-Language`.
pub fn media(data: &[u8]) {
    for read in [server::content_type, server::blob_content_type] {
        if let Some(Ok(Some(text))) = read(data) {
            assert!(!text.contains(';') && text == text.to_ascii_lowercase());
            assert_eq!(read(text.as_bytes()), Some(Ok(Some(text))));
        }
    }
    if let Some(Ok(Some(length))) = server::blob_content_length(data) {
        let length: u64 = length.parse().expect("a number");
        assert!(length <= vault_core::limits::BLOB_BYTES_MAX);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let offered = ["text/html", "de-AT", "application/json", "en"];
        let chosen = server::chosen(text, &offered);
        assert!(chosen.iter().all(|one| offered.contains(one)));
    }
}

/// A query, read against four names.
pub fn query(data: &[u8]) {
    const KNOWN: [&str; 4] = ["fields", "limit", "order", "cursor"];
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match server::query(text, &KNOWN) {
        Some(Ok(texts)) => {
            assert_eq!(texts.len(), KNOWN.len());
            let given = texts.iter().flatten().count();
            assert_eq!(
                given == 0,
                text.split('#')
                    .next()
                    .unwrap_or_default()
                    .replace('&', "")
                    .is_empty()
            );
        }
        Some(Err(document)) => problem(&document, &Value::Array(canary_parts(text))),
        None => {}
    }
}

fn canary_parts(query: &str) -> Vec<Value> {
    query.split(['&', '=']).map(Value::from).collect()
}

//! A byte scan of every file of a vault.
//!
//! Counts as failure: any stored value, name, channel identity or word of the policy in any file of
//! either directory, in whatever case, in UTF-16, base64 or hexadecimal. The control plants one.

use std::path::Path;

use serde_json::{Value, json};
use vault_cli::dev::{DevOptions, start};

const CANARIES: [&str; 7] = [
    "Zyxwina Canary",
    "zyxwina.canary@example.test",
    "+31205550199",
    "the parrot of Zyxwina is called Qwrtz",
    "channel-of-canaries",
    "user-zyxwina-77",
    "slot-value-of-zyxwina",
];
const WORDS: [&str; 6] = [
    "profile",
    "newsletter",
    "messages",
    "Example Travel",
    "carrier",
    "support",
];

fn call(url: &str, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{url}/v1/{path}"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Vault-Purpose", "support")
        .header("Content-Type", "application/json");
    let mut answer = match method {
        "DELETE" => ureq::run(request.body(()).unwrap()).unwrap(),
        _ => ureq::run(request.body(body.to_string()).unwrap()).unwrap(),
    };
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

/// Every way in which a text may lie in a file, lower-cased.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let plain = text.as_bytes();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let base64 = data_encoding::BASE64.encode(plain);
    // The last group depends on what follows.
    let base64 = base64.as_bytes()[..plain.len() / 3 * 4].to_vec();
    let hex = data_encoding::HEXLOWER.encode(plain).into_bytes();
    [plain.to_vec(), wide, base64, hex]
        .into_iter()
        .map(|form| form.to_ascii_lowercase())
        .collect()
}

/// The texts that are found in any file below these directories.
fn found<'t>(dirs: &[&Path], texts: &[&'t str]) -> Vec<&'t str> {
    let mut found = Vec::new();
    for dir in dirs {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            // Written for people, and the same in every vault.
            if ["README", "CACHEDIR.TAG"].contains(&&*entry.file_name().to_string_lossy()) {
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap().to_ascii_lowercase();
            for text in texts {
                let holds = |form: &Vec<u8>| bytes.windows(form.len()).any(|w| w == &form[..]);
                if forms(text).iter().any(holds) {
                    found.push(*text);
                }
            }
        }
    }
    found
}

#[test]
fn no_file_of_a_vault_holds_a_value_an_identity_or_a_word_of_the_policy() {
    let parent = tempfile::tempdir().unwrap();
    let options = DevOptions {
        dir: Some(parent.path().join("vault")),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..DevOptions::default()
    };
    let running = start(options).map_err(|_| "dev does not start").unwrap();
    let (url, bot) = (running.url.clone(), running.token("bot").to_owned());
    let [name, email, phone, message, channel, user, slot] = CANARIES;
    let mut subjects = Vec::new();
    for number in 0..3 {
        let body = json!({"channel": channel, "user": format!("{user}{number}")});
        let subject = call(&url, "POST", "subjects", &bot, &body)["subject"].clone();
        let subject = subject.as_str().unwrap().to_owned();
        let profile =
            json!({"name": name, "email": email, "phone": phone, "slots": {"slot": slot}});
        let path = format!("subjects/{subject}/records");
        call(&url, "PATCH", &format!("{path}/profile"), &bot, &profile);
        let body = json!({"from": "user", "text": message});
        call(&url, "POST", &format!("{path}/messages"), &bot, &body);
        subjects.push(subject);
    }
    let erased = format!("subjects/{}", subjects[0]);
    call(&url, "DELETE", &erased, running.token("dpo"), &Value::Null);
    let (dir, anchor) = (running.dir.clone(), running.anchor.clone());
    running.stop().map_err(|_| "dev does not stop").unwrap();
    let dirs = [dir.as_path(), anchor.as_path()];
    let mut texts = [&CANARIES[..], &WORDS[..]].concat();
    texts.extend(subjects.iter().map(String::as_str));
    assert_eq!(found(&dirs, &texts), Vec::<&str>::new());
    std::fs::write(dir.join("planted"), format!("…{}…", email.to_uppercase())).unwrap();
    assert_eq!(
        found(&dirs, &texts),
        [email],
        "the control: the scan finds what is there"
    );
}

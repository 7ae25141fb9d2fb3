//! A receipt as a page that a person can read, print and keep.
//!
//! Says of each member what it means in words. Proves nothing by itself: whoever made it may say on it
//! what they like, and it says so.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde_json::Value;

use super::Frame;

/// What the page is of: `body` and `proof` of a receipt, and its opening where the copy has one. `key` is
/// the log's public key, and `status` how far the erasure reaches by now, if they are at hand.
#[must_use]
pub fn html(document: &Value, key: Option<&str>, status: Option<&Value>) -> String {
    let (body, proof) = (&document["body"], &document["proof"]);
    let content = html! {
        h1 { "Receipt of an erasure" }
        p { (summary(body)) }
        dl .pairs {
            dt { "What was erased" } dd { (scope(body)) }
            dt { "When" } dd { (instant(&body["time"])) }
            dt { "Receipt" } dd { code { (word(&body["receipt"])) } }
            dt { "Vault" } dd { code { (word(&body["vault"])) } }
            @if let Some(subject) = document["opening"]["subject"].as_str() {
                dt { "Person" } dd { code { (subject) } }
            } @else {
                dt { "Person" }
                dd { "Not named here. The copy that was given out at the erasure names whom it is about." }
            }
        }
        h2 { "What was destroyed" }
        p { "The data lay encrypted under keys of their own. These keys were destroyed; without them what is left of \
            the data on any disk is noise." }
        (destroyed(&body["destroyed"]))
        h2 { "Since when it is final" }
        dl .pairs {
            dt { "Backups of keys" } dd { (erasure_horizon(body)) }
            @if let Some(by_now) = status.and_then(by_now) {
                dt { "By now" } dd { (by_now) }
            }
            dt { "Look-up index" } dd { (lookup_horizon(body)) }
            @if let Some(mirrors) = listed(&body["unscrubbed_mirrors"]) {
                dt { "Copies of the anchor" }
                dd { "On these copies the old secret could not be overwritten, and somebody has to destroy it there: "
                    (mirrors) "." }
            }
        }
        h2 { "What was kept, and why" }
        (kept(body))
        h2 { "How to check this" }
        p { "This page is for reading. What proves the erasure is the receipt as a file: it holds a statement that the \
            vault's log signed, and it can be checked on any computer, offline and without asking the vault:" }
        pre { code { "vault-cli receipt verify receipt.json --key vault.key" } }
        @match key {
            Some(key) => {
                p { "The file vault.key holds the log's public key:" }
                pre .wrap { code { (key) } }
                p { "It came from the vault itself: compare it with a copy from elsewhere, such as one that was \
                    published earlier." }
            }
            None => p { "The file vault.key holds the log's public key, which whoever runs the vault publishes. A \
                receipt never brings its own." },
        }
        (proved(body, proof))
    };
    let frame = Frame {
        language: "en",
        title: "Receipt of an erasure",
        aside: None,
    };
    super::page(&frame, &content)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("–")
}

/// An instant as people write it; what is none, as it stands.
fn instant(value: &Value) -> String {
    let parsed = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    parsed.map_or_else(
        || word(value).to_owned(),
        |at| {
            let at = at.to_zoned(TimeZone::UTC);
            at.strftime("%-d %B %Y, %H:%M:%S UTC").to_string()
        },
    )
}

fn summary(body: &Value) -> String {
    let when = instant(&body["time"]);
    let rest = body["kept"].as_array().is_some_and(|kept| !kept.is_empty());
    match body["scope"].as_str() {
        Some("person") if rest => format!(
            "On {when} everything that this vault held of one person was destroyed for good, but for what the law \
             keeps."
        ),
        Some("person") => {
            format!(
                "On {when} everything that this vault held of one person was destroyed for good."
            )
        }
        Some("collections") => format!(
            "On {when} a part of what this vault held of one person was destroyed for good."
        ),
        Some("purge") => format!("On {when} records of this vault were destroyed for good."),
        _ => format!("On {when} something in this vault was destroyed for good."),
    }
}

fn scope(body: &Value) -> String {
    let rest = body["kept"].as_array().is_some_and(|kept| !kept.is_empty());
    match body["scope"].as_str() {
        Some("person") if rest => {
            "A person, with their look-up entries and all their records but those below.".to_owned()
        }
        Some("person") => {
            "A person, with all their records, consents and look-up entries.".to_owned()
        }
        Some("collections") => {
            let parts = body["collections"].as_array().into_iter().flatten();
            let parts = parts.map(|part| {
                let records = part["records"].as_u64().unwrap_or_default();
                format!("{records} records of “{}”", word(&part["collection"]))
            });
            let parts: Vec<String> = parts.collect();
            format!(
                "Of one person: {}, with their look-up entries. The person and the rest stay, under new keys.",
                match parts.is_empty() {
                    true => "nothing that was still there".to_owned(),
                    false => parts.join(", "),
                }
            )
        }
        Some("purge") => format!(
            "{} records of “{}”.",
            body["records"].as_u64().unwrap_or_default(),
            word(&body["collection"])
        ),
        _ => word(&body["scope"]).to_owned(),
    }
}

/// What a compartment holds. Its number is docs/format.md's.
fn compartment(number: u64) -> String {
    match number {
        0 => "the person's identity and sessions".to_owned(),
        1 => "records without an age limit".to_owned(),
        2 => "consents and withdrawals, objections, restrictions, holds and notices".to_owned(),
        3 => "remembered answers".to_owned(),
        16.. => format!("records of collection {} (kept by age)", number - 16),
        _ => format!("compartment {number}"),
    }
}

fn destroyed(value: &Value) -> Markup {
    // One line a compartment: a person of many years has a key for each period.
    let mut lines: Vec<(u64, Vec<u64>)> = Vec::new();
    for one in value.as_array().into_iter().flatten() {
        let (Some(number), Some(key)) = (one["compartment"].as_u64(), one["key"].as_u64()) else {
            continue;
        };
        match lines.iter_mut().find(|(known, _)| *known == number) {
            Some((_, keys)) => keys.push(key),
            None => lines.push((number, vec![key])),
        }
    }
    lines.sort_unstable();
    html! {
        @if lines.is_empty() {
            p { "No key of its own was named." }
        } @else {
            ul {
                @for (number, keys) in &lines {
                    li {
                        (plural(keys.len(), "key")) " of " (compartment(*number)) " "
                        span .dim.small { "(no. " (numbers(keys)) ")" }
                    }
                }
            }
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Numbers in a line, runs of them shortened.
fn numbers(keys: &[u64]) -> String {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for key in keys {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == key => *last = key,
            _ => runs.push((key, key)),
        }
    }
    let runs = runs.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}–{last}"),
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn erasure_horizon(body: &Value) -> String {
    if body["erasure_horizon"] == body["time"] {
        // A copy of the anchor that somebody made by themselves is nothing that the vault can know of.
        return "The vault knows of no backup with these keys: the erasure was complete at that moment."
            .to_owned();
    }
    format!(
        "Until {} a backup of keys may still bring the data back; after that nothing does.",
        instant(&body["erasure_horizon"])
    )
}

/// How far it reaches when the page is made, by the vault's own word.
fn by_now(status: &Value) -> Option<String> {
    match status["state"].as_str()? {
        "final" => Some(format!(
            "Final since {}: every backup of keys that could have brought the data back has been destroyed, \
             and that was verified.",
            instant(&status["final_at"])
        )),
        "open" => Some(format!(
            "Not final yet: {} left of which the last is to be destroyed on {}.",
            match status["backups"].as_array().map_or(0, Vec::len) {
                1 => "1 backup of keys is".to_owned(),
                count => format!("{count} backups of keys are"),
            },
            instant(&status["erasure_horizon"])
        )),
        _ => None,
    }
}

fn lookup_horizon(body: &Value) -> String {
    format!(
        "Until {} whoever has the vault's files and its passphrase may learn that somebody was removed, but not who. \
         After that not even this.",
        instant(&body["lookup_horizon"])
    )
}

fn listed(value: &Value) -> Option<String> {
    let all: Vec<String> = value.as_array()?.iter().map(said).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Whatever stands there, in a line.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{}: {}", name.replace('_', " "), said(value)));
            members.collect::<Vec<_>>().join("; ")
        }
        Value::Array(all) => all.iter().map(said).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What a member of `kept` says: records that a legal hold keeps, or the proof of what was said.
fn kept_part(part: &Value) -> String {
    let law = word(&part["law"]);
    let ground = match part["ground"].as_str() {
        Some("legal_claims") => "for legal claims",
        Some("legal_obligation") => "because a law demands it",
        Some("evidence") => "as proof of what the person said and was told",
        _ => return said(part),
    };
    let Some(collection) = part["collection"].as_str() else {
        let what = part["compartment"].as_u64().map(compartment);
        return format!("{}, {ground} ({law})", what.unwrap_or_default());
    };
    format!(
        "{} records of “{collection}”, {ground} ({law}), under new keys and for no other use, until the hold is \
         released; to be looked at by {}",
        part["records"].as_u64().unwrap_or_default(),
        word(&part["review_at"])
    )
}

fn kept(body: &Value) -> Markup {
    let some = body["scope"] == "collections";
    let all: Vec<String> = body["kept"]
        .as_array()
        .into_iter()
        .flatten()
        .map(kept_part)
        .collect();
    html! {
        @if all.is_empty() {
            p {
                @if some { "Nothing of what was to be erased. Everything else of the person stays." }
                @else { "Nothing of the person's data was kept." }
            }
        } @else {
            ul { @for one in &all { li { (one) } } }
        }
        p { "The vault keeps this receipt without the name of the person, the fact that this id was erased, and the \
            entries of its log, which hold no data: when and in which role somebody looked, not at whom." }
    }
}

fn proved(body: &Value, proof: &Value) -> Markup {
    html! {
        @if proof.is_object() {
            dl .pairs {
                dt { "Place in the log" }
                dd { "Entry " (proof["index"]) " of the " (proof["size"]) " that the statement below covers." }
                dt { "Commitment to whom it is about" }
                dd { code { (word(&body["commitment"])) } }
                dt { "What the log signed" }
                dd { pre .wrap { code { (word(&proof["checkpoint"]).trim_end()) } } }
            }
        } @else {
            p { strong { "This copy has no proof yet." } " Whoever runs the vault can fetch it again with one." }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::pages) fn example() -> Value {
        json!({
            "body": {
                "commitment": "ab".repeat(32),
                "destroyed": [{"compartment": 0, "key": 1}, {"compartment": 17, "key": 4},
                    {"compartment": 17, "key": 5}, {"compartment": 17, "key": 7}],
                "epoch_after": 3, "epoch_before": 2,
                "erasure_horizon": "2026-11-25T12:00:00Z",
                "kept": [], "lookup_horizon": "2026-11-26T12:00:00Z",
                "receipt": "rcp_0c5f3kq2m9x7v1n8r4t6w0y2za", "scope": "person",
                "time": "2026-11-25T12:00:00Z", "unscrubbed_mirrors": [],
                "vault": "vlt_0c5f3kq2m9x7v1n8r4t6w0y2za", "version": 1,
            },
            "proof": {"checkpoint": "vlt_0c5f\n9\nab=\n\n— vlt_0c5f abc\n", "index": 7, "size": 9},
        })
    }

    #[test]
    fn every_horizon_and_what_was_kept_is_said_in_words() {
        let text = html(&example(), Some("vlt_x+1+2"), None);
        assert!(!text.contains("By now"));
        for said in [
            "25 November 2026, 12:00:00 UTC",
            "Until 26 November 2026, 12:00:00 UTC",
            "The vault knows of no backup with these keys",
            "Nothing of the person",
            "3 keys of records of collection 1",
            "4–5, 7",
            "Entry 7 of the 9",
            "<code>vlt_x+1+2</code>",
            "--key vault.key",
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
        let mut held = example();
        held["body"]["erasure_horizon"] = json!("2026-12-25T12:00:00Z");
        held["body"]["kept"] = json!([{"compartment": 2, "law": "Art. 17(3)(b)"}]);
        held["body"]["unscrubbed_mirrors"] = json!(["/mnt/mirror"]);
        let open = json!({"state": "open", "erasure_horizon": "2026-12-25T12:00:00Z", "backups": ["bak_1"]});
        let text = html(&held, None, Some(&open));
        assert!(
            text.contains("Not final yet: 1 backup of keys is left"),
            "{text}"
        );
        let mut partial = example();
        partial["body"]["kept"] = json!([
            {"collection": "orders", "records": 3, "ground": "legal_claims", "law": "Art. 17(3)(e) GDPR",
                "review_at": "2030-01-31"},
            {"compartment": 2, "ground": "evidence", "law": "Art. 5(2) GDPR"},
        ]);
        let partial = self::html(&partial, None, None);
        for said in [
            "but for what the law",
            "3 records of “orders”, for legal claims (Art. 17(3)(e) GDPR)",
            "2030-01-31",
            "holds and notices, as proof",
        ] {
            assert!(partial.contains(said), "{said} in {partial}");
        }
        let mut some = example();
        some["body"]["scope"] = json!("collections");
        some["body"]["collections"] = json!([{"collection": "messages", "records": 14}]);
        let some = self::html(&some, None, None);
        for said in [
            "a part of what this vault held of one person",
            "Of one person: 14 records of “messages”",
            "Everything else of the person stays",
        ] {
            assert!(some.contains(said), "{said} in {some}");
        }
        assert!(!some.contains("Nothing of the person"));
        let gone = json!({"state": "final", "final_at": "2026-12-20T12:00:00Z"});
        let later = html(&held, None, Some(&gone));
        assert!(
            later.contains("Final since 20 December 2026, 12:00:00 UTC"),
            "{later}"
        );
        for said in [
            "Until 25 December 2026",
            "law: Art. 17(3)(b)",
            "/mnt/mirror",
            "A receipt never brings its own",
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert!(!text.contains("Nothing of the person") && !text.contains("knows of no backup"));
    }

    #[test]
    fn a_receipt_of_another_form_makes_a_page_and_no_markup_of_its_own() {
        for odd in [json!(null), json!({"body": [], "proof": 7})] {
            assert!(html(&odd, None, Some(&odd)).contains("Receipt of an erasure"));
        }
        let mut hostile = example();
        let text = "<script>alert(1)</script>";
        for member in ["receipt", "vault", "commitment", "time", "scope"] {
            hostile["body"][member] = json!(text);
        }
        hostile["body"]["kept"] = json!([{text: text}, text]);
        hostile["proof"]["checkpoint"] = json!(text);
        hostile["opening"] = json!({"subject": text});
        let status = json!({"state": "open", "erasure_horizon": text, "backups": [text]});
        assert!(!html(&hostile, Some(text), Some(&status)).contains("<script"));
    }
}

//! The invented person of the chat page: told the notice, then stored, over HTTP and with the tokens of roles.
//!
//! Knows the policy of `dev` and takes no short cut into the vault.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::http::{Client, Reply};

/// The channel of the page.
pub(super) const CHANNEL: &str = "web";
/// The invented person on it.
pub(super) const USER: &str = "demo";
pub(super) const NAME: &str = "Mila Example";
pub(super) const EMAIL: &str = "mila@example.test";
/// Years after which somebody looks at the claim again.
const REVIEW_YEARS: i64 = 1;

/// Makes the person, unless they are there; whether it did.
pub(super) fn person(
    url: &str,
    tokens: &BTreeMap<String, Zeroizing<String>>,
    today: Date,
) -> Result<bool, Failure> {
    let client = |role: &str| {
        let token = tokens.get(role).map_or("", |token| token.as_str());
        Client::new(url, token)
    };
    let (bot, shop) = (client("bot")?, client("shop")?);
    let send = |client: &Client, method: &str, path: &str, purpose: Option<&str>, body: &Value| {
        let reply = client.call(method, path, purpose, Some(body))?;
        match reply.status {
            200..300 => Ok(reply),
            _ => Err(refused(method, &reply)),
        }
    };
    let who = json!({"channel": CHANNEL, "user": USER});
    let made = send(&bot, "POST", "/v1/subjects", None, &who)?;
    if made.status == 200 {
        return Ok(false);
    }
    let subject = made.body["subject"].as_str().unwrap_or_default();
    let at = |rest: &str| format!("/v1/subjects/{subject}/{rest}");
    let notice = bot.call("GET", "/v1/notices/current?lang=en", None, None)?;
    let shown = json!({"version": notice.body["version"], "lang": "en", "sha256": notice.body["sha256"], "channel": CHANNEL});
    send(&bot, "POST", &at("notices"), None, &shown)?;
    let profile =
        json!({"name": NAME, "email": EMAIL, "phone": "+31 20 555 0199", "birth": "1988-02-29"});
    send(
        &bot,
        "PATCH",
        &at("records/profile"),
        Some("support"),
        &profile,
    )?;
    for (from, text) in [
        (
            "user",
            "My train to Utrecht was cancelled, can you rebook me?",
        ),
        ("bot", "Done: you have a seat on the next one."),
    ] {
        let message = json!({"from": from, "text": text});
        send(
            &bot,
            "POST",
            &at("records/messages"),
            Some("support"),
            &message,
        )?;
    }
    for (number, what, total) in [
        ("ORD-1001", "Return to Utrecht, two adults", 84),
        ("ORD-1002", "Bicycle ticket", 8),
    ] {
        let order = json!({"number": number, "what": what, "total": total});
        send(&shop, "POST", &at("records/orders"), Some("books"), &order)?;
    }
    let consent = json!({"given": true, "notice": "newsletter-1", "choice": "Yes, write to me"});
    send(&bot, "PUT", &at("consents/newsletter"), None, &consent)?;
    let given = json!({"recipient": "carrier", "purpose": "support", "fields": ["orders.number"]});
    send(&shop, "POST", &at("disclosures"), None, &given)?;
    let review = today.saturating_add(REVIEW_YEARS.years()).to_string();
    let hold = json!({"ground": "legal_claims", "collections": ["orders"], "review_at": review,
        "reason": "a claim for a cancelled train", "approver": "an invented lawyer"});
    send(&shop, "PUT", &at("hold"), None, &hold)?;
    Ok(true)
}

fn refused(method: &str, reply: &Reply) -> Failure {
    Failure::new(
        Exit::Failed,
        "seed",
        format!(
            "the invented person of the chat page could not be made: {method} answered {} {}",
            reply.status,
            reply.code()
        ),
        "a vault of an earlier run has another policy: start `dev` in a new directory",
    )
}

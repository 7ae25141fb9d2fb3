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
/// The invented person on it, as `vault-cli chat` has them where nobody is named.
const USER: &str = "demo";
/// How often they can be made anew: whoever was erased a moment ago is not made again under the same name.
const TIMES_MAX: usize = 100;
pub(super) const NAME: &str = "Mila Example";
pub(super) const EMAIL: &str = "mila@example.test";
/// Years after which somebody looks at the claim again.
const REVIEW_YEARS: i64 = 1;

/// Who they are on the channel now, and whether they had to be made.
pub(super) struct Invented {
    pub(super) user: String,
    pub(super) made: bool,
}

/// Makes the person, unless they are there.
pub(super) fn person(
    url: &str,
    tokens: &BTreeMap<String, Zeroizing<String>>,
    today: Date,
) -> Result<Invented, Failure> {
    let client = |role: &str| {
        let token = tokens.get(role).map_or("", |token| token.as_str());
        Client::new(url, token)
    };
    let (bot, shop) = (client("bot")?, client("shop")?);
    for time in 1..=TIMES_MAX {
        let user = match time {
            1 => USER.to_owned(),
            time => format!("{USER}-{time}"),
        };
        let who = json!({"channel": CHANNEL, "user": user});
        let reply = bot.call("POST", "/v1/subjects", None, Some(&who))?;
        let made = match reply.status {
            410 => continue,
            200 => false,
            201 => true,
            _ => return Err(refused("POST", &reply)),
        };
        if made {
            let subject = reply.body["subject"].as_str().unwrap_or_default();
            fill(&bot, &shop, subject, today)?;
        }
        return Ok(Invented { user, made });
    }
    Err(Failure::new(
        Exit::Failed,
        "seed",
        format!("the invented person was erased {TIMES_MAX} times"),
        "wait a little, or start `dev` anew",
    ))
}

/// Tells them the notice, and stores what there is of them.
fn fill(bot: &Client, shop: &Client, subject: &str, today: Date) -> Result<(), Failure> {
    let send = |client: &Client, method: &str, path: &str, purpose: Option<&str>, body: &Value| {
        let reply = client.call(method, path, purpose, Some(body))?;
        match reply.status {
            200..300 => Ok(()),
            _ => Err(refused(method, &reply)),
        }
    };
    let at = |rest: &str| format!("/v1/subjects/{subject}/{rest}");
    let notice = bot.call("GET", "/v1/notices/current?lang=en", None, None)?;
    let shown = json!({"version": notice.body["version"], "lang": "en", "sha256": notice.body["sha256"], "channel": CHANNEL});
    send(bot, "POST", &at("notices"), None, &shown)?;
    let profile =
        json!({"name": NAME, "email": EMAIL, "phone": "+31 20 555 0199", "birth": "1988-02-29"});
    send(
        bot,
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
            bot,
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
        send(shop, "POST", &at("records/orders"), Some("books"), &order)?;
    }
    let consent = json!({"given": true, "notice": "newsletter-1", "choice": "Yes, write to me"});
    send(bot, "PUT", &at("consents/newsletter"), None, &consent)?;
    let given = json!({"recipient": "carrier", "purpose": "support", "fields": ["orders.number"]});
    send(shop, "POST", &at("disclosures"), None, &given)?;
    let review = today.saturating_add(REVIEW_YEARS.years()).to_string();
    let hold = json!({"ground": "legal_claims", "collections": ["orders"], "review_at": review,
        "reason": "a claim for a cancelled train", "approver": "an invented lawyer"});
    send(shop, "PUT", &at("hold"), None, &hold)
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

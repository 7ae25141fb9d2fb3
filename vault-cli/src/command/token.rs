//! `token create|list|rotate|revoke`: API keys.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use vault_core::clock::{Clock, SystemClock};
use vault_core::id::TokenId;
use vault_core::policy::Period;
use vault_core::vault::TokenInput;

use super::{Context, cell, day};
use crate::args::{TokenArguments, TokenCommand};
use crate::backend::Backend;
use crate::failure::Failure;
use crate::terminal::{BOLD, Column, Table, Terminal, Tone};

/// A key that nobody used for so long is perhaps nobody's.
const UNUSED_DAYS: u64 = 90;
const SHOWN_ONCE: &str = "the token is shown this once; keep it in a file of mode 0600";

pub(super) fn run(context: &Context<'_>, command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(arguments) => create(context, arguments),
        TokenCommand::List => list(context),
        TokenCommand::Rotate { token, overlap } => rotate(context, *token, overlap),
        TokenCommand::Revoke { token } => revoke(context, *token),
    }
}

fn create(context: &Context<'_>, arguments: &TokenArguments) -> Result<(), Failure> {
    let terminal = context.terminal;
    let now = SystemClock.now();
    let expires_at = arguments.expires.as_deref().map(|text| instant(text, now));
    let key = TokenInput {
        role: arguments.role.clone(),
        label: arguments.label.clone(),
        expires_at: expires_at.transpose()?,
        channels: arguments.channels.clone(),
    };
    let backend = context.backend()?;
    if context.globals.dry_run {
        let answer = json!({"would_create": {
            "role": key.role,
            "label": key.label,
            "channels": key.channels,
            "expires_at": key.expires_at.map(|at| at.to_string()),
        }});
        terminal.answer(&answer, |_| format!("would make a token for {}", key.role));
        return Ok(());
    }
    let answer = backend.create_token(&key)?;
    terminal.note(&format!(
        "{} for {}",
        cell(&answer["token"]),
        cell(&answer["role"])
    ));
    if key.expires_at.is_none() {
        terminal.warn("it has no end: `token rotate` now and then, or --expires P90D next time");
    }
    terminal.note(SHOWN_ONCE);
    terminal.answer(&answer, |terminal| secret(terminal, &answer));
    Ok(())
}

fn secret(terminal: &Terminal, answer: &Value) -> String {
    terminal.style(BOLD, &cell(&answer["secret"]))
}

fn list(context: &Context<'_>) -> Result<(), Failure> {
    let mut answer = context.backend()?.tokens()?;
    let warnings = warnings(&answer);
    answer["warnings"] = json!(warnings);
    context
        .terminal
        .answer(&answer, |terminal| terminal.table(&table(&answer)));
    for (code, what) in [
        (
            "no_end",
            "without an end: `token rotate` now and then, or make the next with --expires",
        ),
        (
            "unused",
            "not used for 90 days: `token revoke` what nobody needs",
        ),
    ] {
        let named: Vec<String> = warnings
            .iter()
            .filter(|warning| warning["code"] == code)
            .map(|warning| cell(&warning["token"]))
            .collect();
        if let Some(first) = named.first() {
            let others = match named.len() {
                1 => String::new(),
                2 => " and another".to_owned(),
                count => format!(" and {} others", count - 1),
            };
            context.terminal.warn(&format!("{first}{others} {what}"));
        }
    }
    Ok(())
}

fn table(answer: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::name("token"),
        Column::wrapped("label", 1),
        Column::new("role", 0),
        Column::wrapped("channels", 3),
        Column::new("created", 5),
        Column::new("expires", 2),
        Column::new("last used", 4),
        Column::new("state", 0),
    ]);
    for key in keys(answer) {
        let works = matches!(key["state"].as_str(), Some("active" | "ending"));
        let warn = |wrong: bool| match wrong && works {
            true => Tone::Warn,
            false => Tone::Plain,
        };
        let channels: Vec<String> = texts(&key["channels"]);
        let expires = match key["expires_at"].is_null() {
            true => ("never".to_owned(), warn(true)),
            false => (day(&key["expires_at"]), Tone::Plain),
        };
        let plain = |text: String| (text, Tone::Plain);
        table.push(vec![
            plain(cell(&key["token"])),
            plain(cell(&key["label"])),
            plain(cell(&key["role"])),
            plain(match channels.is_empty() {
                true => "all".to_owned(),
                false => channels.join(", "),
            }),
            plain(day(&key["created_at"])),
            expires,
            (last_used(key), warn(unused(key))),
            (
                cell(&key["state"]),
                match key["state"].as_str() {
                    Some("active") => Tone::Good,
                    Some("ending") => Tone::Warn,
                    _ => Tone::Gone,
                },
            ),
        ]);
    }
    table
}

fn keys(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["api_keys"].as_array().into_iter().flatten()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(cell).collect()
}

fn days(key: &Value) -> u64 {
    key["unused_days"].as_u64().unwrap_or(0)
}

fn unused(key: &Value) -> bool {
    days(key) >= UNUSED_DAYS
}

fn last_used(key: &Value) -> String {
    match (key["last_used_at"].is_null(), days(key)) {
        (true, _) => "never".into(),
        (false, 0) => "today".into(),
        (false, 1) => "1 day ago".into(),
        (false, days) => format!("{days} days ago"),
    }
}

/// Keys that work, and how many of them should be looked at.
pub(super) fn counts(answer: &Value) -> Value {
    let working = || keys(answer).filter(|key| key["state"] == "active");
    json!({
        "active": working().count(),
        "without_end": working().filter(|key| key["expires_at"].is_null()).count(),
        "unused_90_days": working().filter(|key| unused(key)).count(),
    })
}

/// What should be looked at: keys that work for ever, and keys that nobody uses.
fn warnings(answer: &Value) -> Vec<Value> {
    let mut warnings = Vec::new();
    for key in keys(answer).filter(|key| key["state"] == "active") {
        let token = cell(&key["token"]);
        let mut warn = |code: &str, detail: String| {
            warnings.push(json!({"token": token, "code": code, "detail": detail}));
        };
        if key["expires_at"].is_null() {
            warn("no_end", format!("{token} has no end"));
        }
        if unused(key) {
            let detail = format!("{token} was not used for {} days", days(key));
            warn("unused", detail);
        }
    }
    warnings
}

/// The key of this name, as listed.
fn known(backend: &dyn Backend, token: TokenId) -> Result<Value, Failure> {
    let list = backend.tokens()?;
    let name = token.to_string();
    let found = keys(&list).find(|key| key["token"] == name).cloned();
    found.ok_or_else(|| Failure::of_code("not_found", "no such token"))
}

/// A key as a question names it.
fn described(key: &Value) -> String {
    let label = cell(&key["label"]);
    let label = match label.is_empty() {
        true => String::new(),
        false => format!(" \u{201c}{label}\u{201d}"),
    };
    format!(
        "{}{label} ({}, last used: {})",
        cell(&key["token"]),
        cell(&key["role"]),
        last_used(key)
    )
}

fn rotate(context: &Context<'_>, token: TokenId, overlap: &Period) -> Result<(), Failure> {
    let terminal = context.terminal;
    let backend = context.backend()?;
    let old = known(&*backend, token)?;
    if context.globals.dry_run {
        let answer = json!({"would_rotate": old, "overlap": overlap.to_string()});
        terminal.answer(&answer, |_| {
            format!(
                "would replace {}, which ends after {overlap}",
                described(&old)
            )
        });
        return Ok(());
    }
    if overlap.is_zero() {
        let question = format!(
            "Replace {} at once? Whoever still uses it is refused from now on.",
            described(&old)
        );
        terminal.confirm(&question, context.globals.yes)?;
    }
    let answer = backend.rotate_token(token, overlap)?;
    terminal.note(&format!(
        "{} takes the place of {token}, which ends {}",
        cell(&answer["token"]),
        match overlap.is_zero() {
            true => "now".to_owned(),
            false => cell(&answer["predecessor"]["expires_at"]),
        }
    ));
    terminal.note(SHOWN_ONCE);
    terminal.answer(&answer, |terminal| secret(terminal, &answer));
    Ok(())
}

fn revoke(context: &Context<'_>, token: TokenId) -> Result<(), Failure> {
    let terminal = context.terminal;
    let backend = context.backend()?;
    let key = known(&*backend, token)?;
    let id = token.to_string();
    if context.globals.dry_run {
        let answer = json!({"would_revoke": id});
        terminal.answer(&answer, |_| format!("would revoke {}", described(&key)));
        return Ok(());
    }
    let question = format!(
        "Revoke {}? Whoever uses it is refused from now on.",
        described(&key)
    );
    terminal.confirm(&question, context.globals.yes)?;
    backend.revoke_token(token)?;
    terminal.answer(&json!({"revoked": id}), |_| format!("{id} revoked"));
    Ok(())
}

/// A period from now, a date (its first instant in UTC) or an instant; in the future.
fn instant(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let found = if text.starts_with('P') {
        Period::parse(text).ok().map(|period| period.add_to(now))
    } else if let Ok(instant) = text.parse::<Timestamp>() {
        Some(instant)
    } else {
        let date = text.parse::<Date>().ok();
        let zoned = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        zoned.map(|zoned| zoned.timestamp())
    };
    match found {
        Some(instant) if instant > now => Ok(instant),
        Some(_) => Err(Failure::usage(
            "--expires lies in the past",
            "give a period such as P90D, or a later date",
        )),
        None => Err(Failure::usage(
            "--expires is no point in time",
            "give a period such as P90D, a date such as 2030-01-31, or an instant such as 2030-01-31T12:00:00Z",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_period_a_date_or_an_instant_and_lies_ahead() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("P1D", "2026-03-02T12:00:00Z"),
            ("2026-04-01", "2026-04-01T00:00:00Z"),
            ("2026-03-01T12:00:01Z", "2026-03-01T12:00:01Z"),
        ] {
            assert_eq!(instant(text, now).ok(), expected.parse().ok(), "{text}");
        }
        for wrong in ["", "tomorrow", "P0D", "2026-03-01", "2026-02-30", "-P1D"] {
            assert!(instant(wrong, now).is_err(), "{wrong}");
        }
    }
}

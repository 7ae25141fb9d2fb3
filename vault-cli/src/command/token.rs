//! `token create|list|revoke`: API keys.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;
use vault_core::clock::{Clock, SystemClock};
use vault_core::policy::Period;

use super::{Context, rows};
use crate::args::TokenCommand;
use crate::failure::Failure;
use crate::terminal::{BOLD, columns};

pub(super) fn run(context: &Context<'_>, command: &TokenCommand) -> Result<(), Failure> {
    let terminal = context.terminal;
    match command {
        TokenCommand::Create { role, expires } => {
            let now = SystemClock.now();
            let expires_at = expires.as_deref().map(|text| instant(text, now));
            let expires_at = expires_at.transpose()?;
            let backend = context.backend()?;
            if context.globals.dry_run {
                let answer = json!({"would_create": {"role": role}});
                terminal.answer(&answer, |_| format!("would make a token for {role}"));
                return Ok(());
            }
            let answer = backend.create_token(role, expires_at)?;
            terminal.note("the token is shown this once; keep it in a file of mode 0600");
            terminal.answer(&answer, |terminal| {
                let secret = super::cell(&answer["secret"]);
                terminal.style(BOLD, &secret)
            });
        }
        TokenCommand::List => {
            let answer = context.backend()?.tokens()?;
            let names = ["token", "role", "created_at", "expires_at", "revoked"];
            terminal.answer(&answer, |_| columns(&rows(&answer["api_keys"], &names)));
        }
        TokenCommand::Revoke { token } => {
            let backend = context.backend()?;
            let id = token.to_string();
            let known = backend.tokens()?;
            let known = known["api_keys"].as_array().cloned().unwrap_or_default();
            if !known.iter().any(|key| key["token"] == id) {
                return Err(Failure::of_code("not_found", "no such token"));
            }
            if context.globals.dry_run {
                let answer = json!({"would_revoke": id});
                terminal.answer(&answer, |_| format!("would revoke {id}"));
                return Ok(());
            }
            let question = format!("Revoke {id}? Whoever uses it is refused from now on.");
            terminal.confirm(&question, context.globals.yes)?;
            backend.revoke_token(*token)?;
            terminal.answer(&json!({"revoked": id}), |_| format!("{id} revoked"));
        }
    }
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

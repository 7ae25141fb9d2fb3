//! `status`: what can be said of a vault, with its keys or without.

use serde_json::Value;

use super::{Context, cell, token};
use crate::backend::locked_status;
use crate::failure::Failure;
use crate::place::{self, Place};
use crate::terminal::Table;

/// Without a secret given, says what can be seen from outside; never prompts.
pub(super) fn run(context: &Context<'_>) -> Result<(), Failure> {
    let answer = match place::place(&context.globals, &context.environment)? {
        Place::Server(_) => inside(context)?,
        Place::Directory(dir) => {
            let sources = place::sources(&context.globals, &context.environment);
            let outside = locked_status(&place::paths(&dir, &context.globals)?)?;
            if sources.given()?.is_some() {
                inside(context)?
            } else {
                context.terminal.note(match outside["state"] == "held" {
                    true => "a server holds this directory: --passphrase-file FILE, or --server URL --token-file FILE, says more",
                    false => "seen without a key: --passphrase-file FILE says more",
                });
                outside
            }
        }
    };
    if let Some(keys) = answer.get("api_keys") {
        let without = keys["without_end"].as_u64().unwrap_or(0);
        if without > 0 {
            context.terminal.warn(&format!(
                "API keys without an end: {without}; `vault-cli token list` names them"
            ));
        }
    }
    let overdue = answer["backups"]["key_parts_overdue"].as_u64().unwrap_or(0);
    if overdue > 0 {
        context.terminal.warn(&format!(
            "key parts of backups that should be gone by now: {overdue}; destroy them at their targets (`vault-cli backup prune`), with every older version that those keep: receipts stay open until then"
        ));
    }
    context.terminal.answer(&answer, |terminal| {
        let members = members(&answer);
        terminal.table(&members)
    });
    Ok(())
}

/// What the vault says of itself, and its API keys where the caller may know of them.
fn inside(context: &Context<'_>) -> Result<Value, Failure> {
    let backend = context.backend()?;
    let mut answer = backend.status()?;
    if let Ok(keys) = backend.tokens() {
        answer["api_keys"] = token::counts(&keys);
    }
    Ok(answer)
}

/// One member a line; what has members of its own, as `name: number` in one.
pub(super) fn members(answer: &Value) -> Table {
    let members = answer.as_object().into_iter().flatten();
    Table::pairs(
        members
            .filter(|(_, value)| !value.is_array())
            .map(|(name, value)| {
                let value = match value.as_object() {
                    Some(parts) => {
                        let parts = parts.iter();
                        let parts =
                            parts.map(|(name, value)| format!("{} {}", cell(value), words(name)));
                        parts.collect::<Vec<_>>().join(", ")
                    }
                    None => cell(value),
                };
                (words(name), value)
            }),
    )
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

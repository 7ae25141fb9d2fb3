//! `status`: what can be said of a vault, with its keys or without.

use serde_json::Value;

use super::{Context, cell};
use crate::backend::locked_status;
use crate::failure::Failure;
use crate::place::{self, Place};
use crate::terminal::columns;

/// Without a secret given, says what can be seen from outside; never prompts.
pub(super) fn run(context: &Context<'_>) -> Result<(), Failure> {
    let answer = match place::place(&context.globals, &context.environment)? {
        Place::Server(_) => context.backend()?.status()?,
        Place::Directory(dir) => {
            let sources = place::sources(&context.globals, &context.environment);
            let outside = locked_status(&place::paths(&dir, &context.globals)?)?;
            if outside["state"] == "held" {
                context.terminal.note(
                    "another process holds this directory: --server URL --token-file FILE says more",
                );
                outside
            } else if sources.given()?.is_some() {
                context.backend()?.status()?
            } else {
                context
                    .terminal
                    .note("seen without a key: --passphrase-file FILE says more");
                outside
            }
        }
    };
    context.terminal.answer(&answer, |_| members(&answer));
    Ok(())
}

/// One member a line.
pub(super) fn members(answer: &Value) -> String {
    let members = answer.as_object().into_iter().flatten();
    let rows: Vec<_> = members
        .filter(|(_, value)| !value.is_object() && !value.is_array())
        .map(|(name, value)| vec![name.replace('_', " "), cell(value)])
        .collect();
    columns(&rows)
}

//! `completions`: what makes a shell complete these commands.

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use super::Context;
use crate::args::Arguments;

/// Reads nothing but the grammar: no vault is asked, so nothing of one can be completed.
pub(super) fn run(context: &Context<'_>, shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "vault-cli", &mut script);
    let script = String::from_utf8_lossy(&script);
    let answer = json!({"shell": shell.to_string(), "script": script});
    context.terminal.answer(&answer, |_| script.into_owned());
}

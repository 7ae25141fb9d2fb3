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
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash {
        // clap_complete 4.6.11 writes the name of a program with a hyphen in two ways, and then finds
        // no command below the first.
        script = script.replace("vault__subcmd__cli", "vault__cli");
    }
    let answer = json!({"shell": shell.to_string(), "script": script});
    context.terminal.answer(&answer, |_| script);
}

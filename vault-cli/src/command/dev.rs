//! `dev`: a throw-away vault, shown at work, then served until it is told to stop.

use serde_json::json;
use vault_core::policy::SAMPLE;

use super::Context;
use crate::args::DevArguments;
use crate::dev::{self, DevOptions, Running};
use crate::failure::Failure;
use crate::input;
use crate::terminal::{BOLD, CYAN, DIM, Table, Terminal};

pub(super) fn run(context: &Context<'_>, arguments: DevArguments) -> Result<(), Failure> {
    let terminal = context.terminal;
    let policy = arguments.policy.as_deref().map(input::read_policy);
    let policy = policy.transpose()?;
    if let Some(source) = &policy {
        super::policy::check(source)?;
    }
    let sample = policy.as_deref().is_none_or(|source| source == SAMPLE);
    let running = dev::start(DevOptions {
        dir: arguments.dir,
        policy,
        listen: arguments.listen,
        cors: arguments.cors_origin.unwrap_or_default(),
        chat: true,
    })?;
    for warning in &running.warnings {
        terminal.note(warning);
    }
    if terminal.json() {
        let tokens: serde_json::Map<_, _> = running
            .tokens
            .iter()
            .map(|(role, token)| (role.clone(), json!(**token)))
            .collect();
        let line = json!({
            "url": running.url,
            "chat": running.chat,
            "dir": running.dir.display().to_string(),
            "passphrase_file": running.passphrase_file.display().to_string(),
            "tokens": tokens,
        });
        terminal.line(&line.to_string());
    } else {
        if !sample {
            terminal.line(
                "The demonstration knows the sample policy alone; with --policy it is skipped.",
            );
        } else if running.reopened {
            terminal.line("This vault was here before; the demonstration is for new ones.");
        } else {
            dev::show::run(&running, terminal)?;
        }
        ready(&running, terminal, sample);
    }
    running.wait()
}

fn ready(running: &Running, terminal: &Terminal, sample: bool) {
    terminal.line(&format!(
        "\n{}  {}",
        terminal.style(BOLD, "Serving"),
        terminal.style(CYAN, &running.url)
    ));
    if let Some(chat) = &running.chat {
        terminal.line(&format!(
            "{}     {}  a page to talk to it: try \"delete me\"",
            terminal.style(BOLD, "Chat"),
            terminal.style(CYAN, chat)
        ));
    }
    terminal.line(&format!("vault       {}", running.dir.display()));
    terminal.line(&format!(
        "passphrase  {}",
        running.passphrase_file.display()
    ));
    terminal.line(&format!("\n{}", terminal.style(BOLD, "Tokens")));
    let tokens = running
        .tokens
        .iter()
        .map(|(role, token)| (role.clone(), (**token).clone()));
    terminal.line(&terminal.table(&Table::pairs(tokens)));
    let curl = match running.tokens.get("bot") {
        Some(bot) if sample => format!(
            r#"curl -s {}/v1/subjects -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{{"channel":"web","user":"42"}}'"#,
            running.url, **bot
        ),
        _ => format!("curl -s {}/healthz", running.url),
    };
    terminal.line(&format!("\n{}\n{curl}", terminal.style(BOLD, "Try")));
    terminal.line(&terminal.style(DIM, "\nCtrl-C stops it."));
}

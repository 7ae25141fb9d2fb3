//! Plays recorded bot conversations against a vault over real HTTP and checks every answer.
//!
//! `replay FILE [--server URL --token-file F]`; without a server it starts one of its own. Exits 1
//! where an answer is not what it must be, naming the conversation's number and the kind of call.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vault_tests::replay::{self, Options};

/// Plays recorded bot conversations against a vault and checks every answer.
#[derive(Parser)]
struct Arguments {
    /// One JSON object a line: {conversation, messages: [{from, text}], slots: {…}}
    file: PathBuf,
    /// The server to use, such as http://127.0.0.1:8200; without it one is started
    #[arg(long, requires = "token_file")]
    server: Option<String>,
    /// A JSON file {bot, agent, dpo} with tokens for --server
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The channel of the invented users; choose another to play twice against one vault
    #[arg(long, default_value = "replay")]
    channel: String,
    /// Conversations played at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        file: arguments.file,
        server: arguments.server.zip(arguments.token_file),
        channel: arguments.channel,
        threads: usize::from(arguments.threads),
    };
    match replay::run(&options) {
        Ok(report) => {
            replay::print(&report);
            if report.mismatches.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            replay::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

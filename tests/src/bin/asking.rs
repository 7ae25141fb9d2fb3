//! What of recorded conversations is taken for a matter of people's rights.
//!
//! `asking FILE [--language en]` prints every message of FILE in which something is recognised, with what,
//! and how many of all that were: in conversations on other matters each is a false alarm. Also prints what
//! of the processor the language takes to learn and a message to judge, and of memory what was learned. The messages are printed as they
//! are: no file of real people.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vault_core::dialogue::{Language, recognise, understand};
use vault_tests::asking::{learn, timed};
use vault_tests::replay::{complain, read};

/// Prints which messages of recorded conversations are taken for requests.
#[derive(Parser)]
struct Arguments {
    /// One JSON object a line: {conversation, messages: [{from, text}], slots: {…}}
    file: PathBuf,
    /// The language of the conversations
    #[arg(long, default_value = "en")]
    language: String,
    /// Also try the other languages where nothing is recognised, as for a message of a channel
    #[arg(long)]
    any_language: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(language) = Language::of_tag(&arguments.language) else {
        complain("no such language");
        return ExitCode::from(2);
    };
    let conversations = match read(&arguments.file) {
        Ok(conversations) => conversations,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let (learned, kib) = learn(language);
    let messages = conversations.iter().flat_map(|one| &one.messages);
    let texts: Vec<&str> = messages.map(|message| message.text.as_str()).collect();
    let judge = |text: &&str| match arguments.any_language {
        true => understand(Some(language), text).map_or_else(Vec::new, |found| found.intents),
        false => recognise(language, text),
    };
    let (judged, took) = timed(|| texts.iter().map(judge).collect::<Vec<_>>());
    let said: Vec<_> = judged
        .iter()
        .zip(&texts)
        .filter(|(intents, _)| !intents.is_empty())
        .collect();
    let (taken, messages) = (said.len(), texts.len().max(1));
    let alone = said
        .iter()
        .filter(|(intents, _)| intents.len() == 1)
        .count();
    for (intents, text) in said {
        let names: Vec<&str> = intents.iter().map(|intent| intent.name()).collect();
        println!("{}: {text}", names.join(", "));
    }
    println!(
        "{taken} of {messages} messages taken for requests, {alone} of them with one intent alone"
    );
    println!(
        "learned in {} ms, {kib} KiB more in memory",
        learned.as_millis()
    );
    println!("{} µs a message", took.as_micros() / messages as u128);
    ExitCode::SUCCESS
}

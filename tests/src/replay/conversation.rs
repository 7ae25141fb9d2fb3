//! Recorded conversations: who said what, and what the bot remembered at the end.
//!
//! Knows nothing of the vault. Errors name the line, never what it says.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

/// One conversation. No `Debug`: it holds what somebody said.
#[derive(Deserialize)]
pub struct Conversation {
    /// Its name in the recording, used as the user's id.
    pub conversation: String,
    /// In the order in which they came.
    pub messages: Vec<Message>,
    /// What the bot remembers when it is over.
    pub slots: Map<String, Value>,
}

/// One message. No `Debug`.
#[derive(Deserialize)]
pub struct Message {
    /// `user` or `bot`.
    pub from: String,
    /// The words.
    pub text: String,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// No conversation in it.
    #[error("{0} holds no conversation")]
    Empty(PathBuf),
    /// The operating system refused.
    #[error("could not read {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is something else.
    #[error("line {line} is no conversation")]
    Line {
        /// From 1.
        line: usize,
    },
}

impl Conversation {
    /// What the bot remembers once `turn` of the user's turns (of `turns`) are over: the recording
    /// does not say when it learned what, so the slots are spread evenly.
    #[must_use]
    pub fn slots_after(&self, turn: usize, turns: usize) -> Map<String, Value> {
        let known = (self.slots.len() * turn).div_ceil(turns.max(1));
        let members = self.slots.iter().take(known);
        members
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// The user's turns.
    #[must_use]
    pub fn turns(&self) -> usize {
        let user = |message: &&Message| message.from == "user";
        self.messages.iter().filter(user).count()
    }

    /// What a plain file of the same content would need.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let words = |message: &Message| message.from.len() + message.text.len();
        let messages: usize = self.messages.iter().map(words).sum();
        let slots: usize = self
            .slots
            .iter()
            .map(|(name, value)| name.len() + value.to_string().len())
            .sum();
        (messages + slots) as u64
    }
}

/// All conversations of a file.
///
/// # Errors
///
/// If it cannot be read, holds none, or has a line that is something else.
pub fn read(path: &Path) -> Result<Vec<Conversation>, FileError> {
    let failed = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut conversations = Vec::new();
    for (index, line) in BufReader::new(File::open(path).map_err(failed)?)
        .lines()
        .enumerate()
    {
        let line = line.map_err(failed)?;
        if line.is_empty() {
            continue;
        }
        let conversation = serde_json::from_str(&line);
        conversations.push(conversation.map_err(|_| FileError::Line { line: index + 1 })?);
    }
    if conversations.is_empty() {
        return Err(FileError::Empty(path.to_owned()));
    }
    Ok(conversations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Conversation> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample-conversations.jsonl");
        read(&path).unwrap()
    }

    #[test]
    fn the_sample_is_readable_and_every_name_in_it_is_used_once() {
        let sample = sample();
        assert!(sample.len() >= 10);
        let mut names: Vec<_> = sample.iter().map(|one| &one.conversation).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), sample.len());
    }

    #[test]
    fn slots_only_grow_and_are_complete_after_the_last_turn() {
        for conversation in sample() {
            let turns = conversation.turns();
            let mut before = 0;
            for turn in 1..=turns {
                let slots = conversation.slots_after(turn, turns);
                assert!(slots.len() >= before);
                before = slots.len();
            }
            assert!(conversation.slots_after(turns, turns) == conversation.slots);
        }
    }
}

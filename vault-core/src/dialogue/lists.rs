//! The phrases of a language, as its file has them: cues, then a section an intent, then what asks for
//! nothing.
//!
//! The files are part of the program: one that is wrong fails a test, not a person.

use super::Intent;
use super::words::{Cue, words};

/// The lists of one language.
pub(super) struct Lists {
    /// Words without one of which nothing is a matter of rights.
    pub(super) cues: Vec<Cue>,
    /// Phrases as words, each with what it asks for, if for anything.
    pub(super) phrases: Vec<(Option<Intent>, Vec<String>)>,
}

impl Lists {
    /// Reads a file.
    ///
    /// # Panics
    ///
    /// If a section has no known name, or a line stands before the first.
    pub(super) fn parse(text: &str) -> Self {
        let mut lists = Self {
            cues: Vec::new(),
            phrases: Vec::new(),
        };
        let mut section = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let name = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
            if let Some(name) = name {
                section = Some(name);
                continue;
            }
            match section.expect("a line stands in a section") {
                "cues" => lists.cues.extend(line.split(',').map(Cue::parse)),
                "none" => lists.phrases.push((None, words(line))),
                name => {
                    let intent = Intent::parse(name).expect("a section is named after an intent");
                    lists.phrases.push((Some(intent), words(line)));
                }
            }
        }
        lists
    }
}

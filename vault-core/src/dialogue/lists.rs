//! The phrases of a language, as its file has them: words that always work, cues, then a section an
//! intent, then what asks for nothing.
//!
//! The files are part of the program: one that is wrong fails a test, not a person.

use super::words::{Cue, words};
use super::{Control, Intent};

/// The lists of one language.
#[derive(Default)]
pub(super) struct Lists {
    /// Words for what works at every point of a conversation.
    pub(super) controls: Vec<(Control, String)>,
    /// Words with one of which a text is sooner a matter of rights.
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
        let mut lists = Self::default();
        let mut section = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let name = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'));
            if let Some(name) = name {
                section = Some(name);
                continue;
            }
            let section = section.expect("a line stands in a section");
            match section.strip_prefix("control.") {
                Some(name) => {
                    let control = Control::parse(name).expect("a section is named after a control");
                    let forms = line.split(',').map(|form| words(form).join(" "));
                    lists.controls.extend(forms.map(|form| (control, form)));
                }
                None if section == "cues" => lists.cues.extend(line.split(',').map(Cue::parse)),
                None if section == "none" => lists.phrases.push((None, words(line))),
                None => {
                    let intent =
                        Intent::parse(section).expect("a section is named after an intent");
                    lists.phrases.push((Some(intent), words(line)));
                }
            }
        }
        lists
    }
}

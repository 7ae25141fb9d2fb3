//! How well it is recognised what people ask of their rights: counts over phrases that others wrote than
//! those who wrote the lists (`tests/data/asking`).
//!
//! A phrase counts as noticed if anything is offered for it, as offered if what it asks for is among that.
//! What asks for nothing and is taken for a request is a mistake, however few are offered for it.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use unicode_normalization::UnicodeNormalization;
use vault_core::dialogue::{Intent, Language, recognise};

use crate::memory::{processor_time, resident_kib};

/// A phrase, and what it asks for, if for anything.
pub struct Phrase {
    /// `None`: for nothing that is a matter of rights.
    pub wanted: Option<Intent>,
    /// The words.
    pub text: String,
}

/// The phrases of a language, without those that the lists have word for word: they are right in any case.
///
/// # Panics
///
/// If the file is not there, or not of the form that it must have.
#[must_use]
pub fn phrases(language: Language) -> Vec<Phrase> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = language.name();
    let lists = read(&tests.join(format!("../vault-core/src/dialogue/phrases/{name}.txt")));
    let lists: HashSet<String> = lists.iter().map(|(_, line)| plain(line)).collect();
    let lines = read(&tests.join(format!("data/asking/{name}.txt")));
    let others = lines
        .into_iter()
        .filter(|(_, line)| !lists.contains(&plain(line)));
    let phrases = others.map(|(section, text)| Phrase {
        wanted: (section != "none").then(|| Intent::parse(&section).expect("an intent")),
        text,
    });
    phrases.collect()
}

/// The lines of a file, each with the section that it is in.
fn read(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path);
    let text = text.unwrap_or_else(|_| panic!("{} is there", path.display()));
    let (mut lines, mut section) = (Vec::new(), None);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            Some(name) => section = Some(name.to_owned()),
            None => {
                let section = section.clone().expect("a line stands in a section");
                lines.push((section, line.to_owned()));
            }
        }
    }
    lines
}

/// A phrase without case, accents and punctuation.
fn plain(text: &str) -> String {
    let letters = text
        .nfd()
        .filter(|letter| letter.is_alphanumeric() || letter.is_whitespace());
    letters.flat_map(char::to_lowercase).collect()
}

/// What some work gives, and the time of processors that it took, to a hundredth of a second.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let (before, began) = (processor_time(), Instant::now());
    let done = work();
    let took = processor_time().zip(before);
    (
        done,
        took.map_or_else(|| began.elapsed(), |(after, before)| after - before),
    )
}

/// Makes a language known that nobody spoke yet: what that took of the processor, and how many KiB more the
/// process has in memory for it, as far as the system tells.
#[must_use]
pub fn learn(language: Language) -> (Duration, u64) {
    let resident = || resident_kib(std::process::id()).unwrap_or(0);
    let before = resident();
    let (_, took) = timed(|| recognise(language, ""));
    (took, resident().saturating_sub(before))
}

/// What came of phrases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Phrases that ask for something.
    pub asking: usize,
    /// Of these: anything was offered.
    pub noticed: usize,
    /// What they ask for came first.
    pub first: usize,
    /// It was among what was offered.
    pub offered: usize,
    /// One intent alone was offered.
    pub alone: usize,
    /// And it was the right one.
    pub alone_right: usize,
    /// Phrases that ask for nothing.
    pub others: usize,
    /// Of these: taken for a request.
    pub taken: usize,
}

impl Counts {
    /// Counts a phrase with what was recognised in it.
    pub fn add(&mut self, wanted: Option<Intent>, recognised: &[Intent]) {
        let noticed = usize::from(!recognised.is_empty());
        let Some(wanted) = wanted else {
            self.others += 1;
            self.taken += noticed;
            return;
        };
        let first = usize::from(recognised.first() == Some(&wanted));
        let alone = usize::from(recognised.len() == 1);
        self.asking += 1;
        self.noticed += noticed;
        self.first += first;
        self.offered += usize::from(recognised.contains(&wanted));
        self.alone += alone;
        self.alone_right += alone * first;
    }

    /// Shares in thousandths: noticed, first, offered, alone, right of those alone, taken.
    #[must_use]
    pub fn thousandths(&self) -> [usize; 6] {
        let share = |part: usize, of: usize| part * 1000 / of.max(1);
        [
            share(self.noticed, self.asking),
            share(self.first, self.asking),
            share(self.offered, self.asking),
            share(self.alone, self.asking),
            share(self.alone_right, self.alone),
            share(self.taken, self.others),
        ]
    }
}

/// The head of a table of counts.
pub const HEAD: &str =
    "        phrases  noticed  first  offered  alone  right of those   others  taken";

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self
            .thousandths()
            .map(|share| format!("{}.{} %", share / 10, share % 10));
        let [noticed, first, offered, alone, right, taken] = parts;
        write!(
            f,
            "{:>7} {noticed:>8} {first:>6} {offered:>8} {alone:>6} {right:>15} {:>8} {taken:>6}",
            self.asking, self.others
        )
    }
}

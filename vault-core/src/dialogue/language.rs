//! The languages that are understood, and which of them a text is in.

use std::collections::HashSet;
use std::sync::{LazyLock, OnceLock};

use super::features::{Feature, word};
use super::likeness::Likeness;
use super::lists::Lists;
use crate::schema::words::words;

words! {
    /// A language that is understood. The names are BCP 47 tags.
    pub enum Language {
        /// German.
        De = "de",
        /// English.
        En = "en",
        /// Spanish.
        Es = "es",
        /// French.
        Fr = "fr",
        /// Italian.
        It = "it",
        /// Dutch.
        Nl = "nl",
        /// Polish.
        Pl = "pl",
        /// Portuguese.
        Pt = "pt",
    }
}

/// How many languages there are.
const LANGUAGES: usize = Language::ALL.len();
/// Of a text in a language, its lists know at least one word in so many.
const KNOWN_ONE_IN: usize = 2;

impl Language {
    /// The language of a tag such as `de-AT`, by its first part; `None` for one that is not understood.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next()?;
        Self::parse(&primary.to_ascii_lowercase())
    }

    /// The file with its phrases.
    pub(super) const fn phrases(self) -> &'static str {
        match self {
            Self::De => include_str!("phrases/de.txt"),
            Self::En => include_str!("phrases/en.txt"),
            Self::Es => include_str!("phrases/es.txt"),
            Self::Fr => include_str!("phrases/fr.txt"),
            Self::It => include_str!("phrases/it.txt"),
            Self::Nl => include_str!("phrases/nl.txt"),
            Self::Pl => include_str!("phrases/pl.txt"),
            Self::Pt => include_str!("phrases/pt.txt"),
        }
    }

    /// How its phrases are told apart: learned when somebody first speaks it, and kept.
    pub(super) fn likeness(self) -> &'static Likeness {
        static LEARNED: [OnceLock<Likeness>; LANGUAGES] = [const { OnceLock::new() }; LANGUAGES];
        LEARNED[self as usize].get_or_init(|| Likeness::of(&Lists::parse(self.phrases())))
    }
}

/// The words of each language's phrases.
static VOCABULARIES: LazyLock<[HashSet<Feature>; LANGUAGES]> = LazyLock::new(|| {
    std::array::from_fn(|at| {
        let lists = Lists::parse(Language::ALL[at].phrases());
        let words = lists.phrases.iter().flat_map(|(_, phrase)| phrase);
        words.map(|text| word(text)).collect()
    })
});

/// The language most of whose words a text has; of equals the expected one, then English. `None` where
/// none knows half of them.
pub(super) fn spoken(expected: Option<Language>, sentences: &[Vec<String>]) -> Option<Language> {
    let features: Vec<Feature> = sentences.iter().flatten().map(|text| word(text)).collect();
    let first = expected.into_iter().chain([Language::En]);
    let languages = first.chain(Language::ALL.iter().copied());
    let mut best: Option<(usize, Language)> = None;
    for language in languages {
        let vocabulary = &VOCABULARIES[language as usize];
        let known = features
            .iter()
            .filter(|feature| vocabulary.contains(feature))
            .count();
        if best.is_none_or(|(most, _)| known > most) {
            best = Some((known, language));
        }
    }
    let (known, language) = best?;
    (known > 0 && known * KNOWN_ONE_IN >= features.len()).then_some(language)
}

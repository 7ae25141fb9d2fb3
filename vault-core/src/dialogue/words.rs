//! Text as words, and groups of letters of them.
//!
//! Case, accents and punctuation say nothing here: people leave them out. Knows no language.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words of a text that are looked at: who asks for something does so at once.
const WORDS_MAX: usize = 200;
/// Characters of a text that are looked at.
const CHARACTERS_MAX: usize = 4_000;

/// What stands for letters that have no plain form.
const fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        _ => return None,
    })
}

/// The words of a text, without case and accents; a number is `0`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut folded = String::new();
    for character in text.chars().take(CHARACTERS_MAX).nfkd() {
        for lower in character.to_lowercase() {
            match plain(lower) {
                Some(letters) => folded.push_str(letters),
                // "don't" is one word, and so is "l'adresse": what goes before says little of its own.
                None if matches!(lower, '\'' | '’' | '`' | '´') || is_combining_mark(lower) => {}
                None => folded.push(lower),
            }
        }
    }
    let words = folded.split(|character: char| !character.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    let number = |word: &str| match word.chars().all(char::is_numeric) {
        true => "0".to_owned(),
        false => word.to_owned(),
    };
    words.map(number).take(WORDS_MAX).collect()
}

/// A pattern of words one behind another: `delet*` is a word that begins so.
#[derive(Clone)]
pub(super) struct Cue(Vec<String>);

impl Cue {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Whether it stands in a text.
    pub(super) fn found(&self, words: &[String]) -> bool {
        let fits = |(word, part): (&String, &String)| match part.strip_suffix('*') {
            Some(beginning) => word.starts_with(beginning),
            None => word == part,
        };
        !self.0.is_empty()
            && words
                .windows(self.0.len())
                .any(|window| window.iter().zip(&self.0).all(fits))
    }
}

/// What a text is likened by: its words, those beside one another, and three to five letters on end, so
/// that a mistyped word is still like itself.
pub(super) fn features(words: &[String]) -> Vec<String> {
    let mut features = Vec::new();
    for word in words {
        features.push(format!("={word}"));
        let letters: Vec<char> = ['^'].into_iter().chain(word.chars()).chain(['$']).collect();
        for length in 3..=5 {
            features.extend(letters.windows(length).map(|group| group.iter().collect::<String>()));
        }
    }
    features.extend(words.windows(2).map(|pair| format!("={} {}", pair[0], pair[1])));
    features.extend(words.windows(3).map(|group| format!("={} _ {}", group[0], group[2])));
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_punctuation_say_nothing() {
        let expected = ["loscht", "meine", "daten", "strasse", "ladresse", "dont", "0"];
        assert_eq!(words("Löscht  MEINE Daten!! Straße, l'adresse… don’t 4711"), expected);
    }

    #[test]
    fn a_cue_is_words_one_behind_another() {
        let text = words("please delete all my data");
        assert!(Cue::parse("delet*").found(&text));
        assert!(Cue::parse("my data").found(&text));
        assert!(!Cue::parse("delete my").found(&text));
        assert!(!Cue::parse("dele").found(&text));
        assert!(!Cue::parse("").found(&text));
        assert!(!Cue::parse("a b").found(&words("")));
    }

    #[test]
    fn of_a_long_text_the_beginning_is_looked_at() {
        assert_eq!(words(&"w ".repeat(10_000)).len(), WORDS_MAX);
        assert_eq!(words(&"w".repeat(1 << 20))[0].len(), CHARACTERS_MAX);
    }
}

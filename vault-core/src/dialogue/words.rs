//! Text as sentences and words.
//!
//! Case, accents and punctuation say nothing here: people leave them out. Knows no language.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::limits::{ASKED_CHARACTERS_MAX, ASKED_WORDS_MAX};

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

/// The words of each sentence of a text, as far as it is looked at.
pub(super) fn sentences(text: &str) -> Vec<Vec<String>> {
    let end = text.char_indices().nth(ASKED_CHARACTERS_MAX);
    let text = end.map_or(text, |(end, _)| &text[..end]);
    let (mut sentences, mut left) = (Vec::new(), ASKED_WORDS_MAX);
    let mut begins = 0;
    for (at, mark) in text
        .char_indices()
        .filter(|(_, mark)| matches!(mark, '.' | '!' | '?' | '\n'))
    {
        let next = at + mark.len_utf8();
        // "j.roe" is no end of a sentence.
        let ends = mark == '\n' || text[next..].starts_with(char::is_whitespace);
        if ends {
            push(&mut sentences, &mut left, &text[begins..next]);
            begins = next;
        }
    }
    push(&mut sentences, &mut left, &text[begins..]);
    sentences
}

fn push(sentences: &mut Vec<Vec<String>>, left: &mut usize, text: &str) {
    let mut words = words(text);
    words.truncate(*left);
    *left -= words.len();
    if !words.is_empty() {
        sentences.push(words);
    }
}

/// The words of a text, without case and accents; a number is `0`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut folded = String::new();
    for character in text.chars().take(ASKED_CHARACTERS_MAX).nfkd() {
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
    words.map(number).take(ASKED_WORDS_MAX).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_punctuation_say_nothing() {
        let expected = [
            "loscht", "meine", "daten", "strasse", "ladresse", "dont", "0",
        ];
        assert_eq!(
            words("Löscht  MEINE Daten!! Straße, l'adresse… don’t 4711"),
            expected
        );
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
        assert_eq!(words(&"w ".repeat(10_000)).len(), ASKED_WORDS_MAX);
        assert_eq!(words(&"w".repeat(1 << 20))[0].len(), ASKED_CHARACTERS_MAX);
        assert_eq!(
            sentences(&"w. ".repeat(10_000)).concat().len(),
            ASKED_WORDS_MAX
        );
        assert_eq!(sentences(&"w\n".repeat(10_000)).len(), ASKED_WORDS_MAX);
    }

    #[test]
    fn a_sentence_ends_with_a_mark_and_a_space() {
        let sentences = sentences("Hi! It's j.roe@example.com.\n\nDelete it?");
        let sentences: Vec<String> = sentences.iter().map(|words| words.join(" ")).collect();
        assert_eq!(sentences, ["hi", "its j roe example com", "delete it"]);
    }
}

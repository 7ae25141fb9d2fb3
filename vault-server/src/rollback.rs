//! What has to be said, word for word, before a vault goes on with an older database.
//!
//! Knows command lines alone. Words that say what is lost are not typed by mistake, and stand in the
//! unit file or the shell's history of whoever accepted it.

/// The words.
pub const WORDS: &str = "what happened since is lost";

/// That they were said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted(());

/// Takes exactly [`WORDS`].
///
/// # Errors
///
/// The words that are expected.
pub fn accepted(text: &str) -> Result<Accepted, String> {
    match text == WORDS {
        true => Ok(Accepted(())),
        false => Err(format!("the words are, exactly: {WORDS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_taken_and_the_nearest_others_are_refused_with_the_words() {
        assert!(accepted(WORDS).is_ok());
        for near in [
            "",
            "yes",
            "What happened since is lost",
            "what happened since is lost ",
            "what happened since is lost.",
        ] {
            assert!(accepted(near).unwrap_err().contains(WORDS), "{near}");
        }
    }
}

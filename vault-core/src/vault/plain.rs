//! Texts that may hold no personal data: they outlive people, or are read by who may see nothing of them.
//!
//! Finds what has a shape: addresses, numbers, and ids that lead to a person. A name it cannot find. Knows nothing
//! of where a text is kept.

use super::input;
use crate::detect;
use crate::id::{
    BackupKind, CallKind, ConsentKind, DisclosureKind, EmergencyKind, IncidentKind, Kind as _,
    PairwiseKind, ReceiptKind, RecipientNoticeKind, RequestIdKind, SessionKind, SubjectKind,
    TokenKind, VaultKind,
};
use crate::refusal::InputError;

/// Characters of an id behind its prefix.
const ID_CHARACTERS: usize = 26;
/// Of one that was cut short, so many still lead to a person where few have the same beginning.
const CUT_CHARACTERS: usize = 12;

/// What is no person's: the log and reports name these.
const NOBODYS: [&str; 8] = [
    BackupKind::PREFIX,
    CallKind::PREFIX,
    EmergencyKind::PREFIX,
    IncidentKind::PREFIX,
    ReceiptKind::PREFIX,
    SessionKind::PREFIX,
    TokenKind::PREFIX,
    VaultKind::PREFIX,
];
/// What leads to a person as long as they live, also cut short.
const PERSONS: [&str; 6] = [
    SubjectKind::PREFIX,
    PairwiseKind::PREFIX,
    RequestIdKind::PREFIX,
    ConsentKind::PREFIX,
    DisclosureKind::PREFIX,
    RecipientNoticeKind::PREFIX,
];

/// Adds a complaint where a text that is to hold no personal data does.
pub(super) fn check(errors: &mut Vec<InputError>, pointer: &str, text: &str, bytes_max: usize) {
    input::check_text(errors, pointer, text, bytes_max);
    if let Some(what) = found(text) {
        let detail =
            format!("no personal data here: something that looks like {what} stands in the text");
        errors.push(input::error(pointer, "personal_data", detail));
    }
}

/// What looks like personal data in a text, by its kind.
pub(super) fn found(text: &str) -> Option<&'static str> {
    if names_somebody(text) {
        return Some("the id of a person, or of something of theirs");
    }
    let found = detect::find(text.as_bytes());
    found.first().map(|one| one.kind.name())
}

/// Whether an id that leads to a person stands in a text: in whichever case, cut short, or without its prefix.
fn names_somebody(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    for word in words {
        let mut before = "";
        for part in word.split('_') {
            let is = |prefix: &&str| prefix.strip_suffix('_') == Some(before);
            if looks_random(part)
                && (part.len() == ID_CHARACTERS && !NOBODYS.iter().any(&is)
                    || part.len() >= CUT_CHARACTERS && PERSONS.iter().any(is))
            {
                return true;
            }
            before = part;
        }
    }
    false
}

/// Base 32 as ids are written, and no word: one id in sixteen thousand has no digit, and is not found.
fn looks_random(part: &str) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() && !b"ilou".contains(&byte);
    part.bytes().all(symbol) && part.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::id::{BackupId, IncidentId, PairwiseId, SessionId, SubjectId, TokenId};

    #[test]
    fn an_id_that_leads_to_a_person_is_found_in_every_guise() {
        let mut entropy = SeededEntropy::new(7);
        for _ in 0..200 {
            let subject = SubjectId::generate(&mut entropy).to_string();
            let bare = &subject["sub_".len()..];
            for text in [
                subject.clone(),
                subject.to_uppercase(),
                format!("seen: \"{subject}\"."),
                format!("https://vault.example.test/v1/subjects/{subject}/records"),
                bare.to_owned(),
                format!("person_{bare}"),
                PairwiseId::generate(&mut entropy).to_string(),
            ] {
                assert!(names_somebody(&text), "{text}");
            }
            // Twelve of its characters are still enough to find them by.
            let cut = &subject[..16];
            let digit = cut.bytes().any(|byte| byte.is_ascii_digit());
            assert_eq!(names_somebody(cut), digit, "{cut}");
        }
    }

    #[test]
    fn what_is_no_persons_may_be_named() {
        let mut entropy = SeededEntropy::new(8);
        for text in [
            TokenId::generate(&mut entropy).to_string(),
            SessionId::generate(&mut entropy).to_string(),
            format!("{} data", BackupId::generate(&mut entropy)),
            format!("see {}", IncidentId::generate(&mut entropy)),
            "sub_category2 and sub_departments of psn_".to_owned(),
            "a key stood in a public repository from 2030-01-31T10:00:00Z on".to_owned(),
            "Donaudampfschifffahrtsgesellschaft".to_owned(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        ] {
            assert!(!names_somebody(&text), "{text}");
        }
    }
}

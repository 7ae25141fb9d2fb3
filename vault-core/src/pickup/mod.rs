//! Links with which people pick a copy of their data up: for one request, once, for a day, with a code.
//!
//! The vault keeps no link, only the hash of its token, and no package: that is made when somebody picks it up.
//! Knows nothing of who gives a link or opens one, and nothing of where it leads: the server's matter.
//!
//! Source: docs/decisions/0028.

pub(crate) mod stored;

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::sha256;
use crate::entropy::Entropy;
use crate::export::Form;
use crate::limits::{PICKUP_HOURS, PICKUP_TRIES_MAX};
use crate::talk::FieldId;
use crate::verification::{Attempt, Challenge, Verdict};

/// What a link is on the server that serves the vault, before its token.
pub const PATH: &str = "/pickup/";

/// Bytes of a token: nobody guesses one.
const TOKEN_BYTES: usize = 32;

/// What a link ends with. Whoever has it, and a code, gets the copy.
pub(crate) struct Token(Zeroizing<[u8; TOKEN_BYTES]>);

/// What is kept of a token, and what its row is found by.
pub(crate) type Mark = [u8; 32];

impl Token {
    /// A fresh one.
    pub(crate) fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        entropy.fill(&mut *bytes);
        Self(bytes)
    }

    /// The token in a text; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
        let bytes: &[u8; TOKEN_BYTES] = bytes.as_slice().try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// As it stands in a link: 43 characters.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&*self.0))
    }

    /// What is kept of it.
    pub(crate) fn mark(&self) -> Mark {
        sha256(&[b"vault/1 pickup", &*self.0])
    }
}

/// Whether a text has the form of a token: for whoever answers before the vault is asked.
#[must_use]
pub fn is_token(text: &str) -> bool {
    Token::parse(text).is_some()
}

/// What is kept of a link. Its request stands in its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PickupRow {
    /// The form of the package, as a place in [`Form::ALL`].
    pub(crate) form: u8,
    /// The field whose address codes go to: numbers of collection and field.
    pub(crate) address: FieldId,
    /// Milliseconds, as all times in rows.
    pub(crate) given_at: i64,
    /// Until when it opens.
    pub(crate) expires_at: i64,
    /// When it was opened: from then on it does so no more.
    pub(crate) used_at: Option<i64>,
    /// Whether it was told that somebody tried it once more.
    pub(crate) reported: bool,
    /// Wrong codes so far.
    pub(crate) wrong: u8,
    /// The code that was sent last.
    pub(crate) challenge: Option<Challenge>,
}

/// What came of a code at a link that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It opens, for this one time.
    Yes,
    /// It does not.
    No,
}

impl PickupRow {
    /// A link that is given now.
    pub(crate) fn new(form: Form, address: FieldId, now: Timestamp) -> Self {
        let life = SignedDuration::from_hours(PICKUP_HOURS);
        let form = Form::ALL.iter().position(|one| *one == form);
        Self {
            form: u8::try_from(form.unwrap_or_default()).expect("there are four forms"),
            address,
            given_at: now.as_millisecond(),
            expires_at: now.saturating_add(life).unwrap_or(now).as_millisecond(),
            used_at: None,
            reported: false,
            wrong: 0,
            challenge: None,
        }
    }

    /// The form of its package. What is no form is the whole copy.
    pub(crate) fn form(&self) -> Form {
        let form = Form::ALL.get(usize::from(self.form));
        form.copied().unwrap_or(Form::Zip)
    }

    /// Whether it can still be opened, as far as the link says: what has become of its request is asked elsewhere.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.used_at.is_none()
            && now.as_millisecond() < self.expires_at
            && self.wrong < PICKUP_TRIES_MAX
    }

    /// Takes an answer to the code that was sent last. The right one uses the link up.
    pub(crate) fn take(&mut self, attempt: &Attempt, matter: [u8; 16], now: Timestamp) -> Opened {
        let Some(challenge) = self
            .challenge
            .as_mut()
            .filter(|_| now.as_millisecond() < self.expires_at)
        else {
            return Opened::No;
        };
        match challenge.take(attempt, matter, now) {
            Verdict::Right => {
                (self.used_at, self.challenge) = (Some(now.as_millisecond()), None);
                Opened::Yes
            }
            Verdict::Wrong { .. } | Verdict::Over => {
                self.wrong = self.wrong.saturating_add(1);
                Opened::No
            }
        }
    }
}

/// What a code of a link is bound to: this link, and no other matter of the same person.
pub(crate) fn matter(mark: &Mark) -> [u8; 16] {
    let mut matter = [0; 16];
    matter.copy_from_slice(&mark[..16]);
    matter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::limits::{CODE_MINUTES, CODE_TRIES_MAX};
    use crate::verification::Prepared;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const MATTER: [u8; 16] = [7; 16];

    fn later(minutes: i64) -> Timestamp {
        NOW + SignedDuration::from_mins(minutes)
    }

    fn sent(row: &mut PickupRow, seed: u64, now: Timestamp) -> Prepared {
        let prepared = Prepared::new(&mut SeededEntropy::new(seed)).expect("memory");
        row.challenge = Some(prepared.challenge(MATTER, now));
        prepared
    }

    fn answer(row: &PickupRow, code: &str) -> Attempt {
        let challenge = row.challenge.clone().unwrap_or_else(Challenge::of_nobody);
        Attempt::of(&challenge, code).expect("a code")
    }

    #[test]
    fn a_token_reads_back_and_what_is_none_does_not() {
        let token = Token::generate(&mut SeededEntropy::new(1));
        let text = token.text();
        assert_eq!(text.len(), 43);
        assert_eq!(Token::parse(&text).expect("it is one").mark(), token.mark());
        let longer = format!("{}A", &*text);
        for none in [
            "",
            &text[..42],
            &longer,
            &text[..42].replace(&text[..1], "ä"),
        ] {
            assert!(!is_token(none), "{none}");
        }
        let other = Token::generate(&mut SeededEntropy::new(2));
        assert_ne!(other.mark(), token.mark());
    }

    #[test]
    fn the_right_code_opens_a_link_once() {
        let mut row = PickupRow::new(Form::Zip, (1, 2), NOW);
        let code = sent(&mut row, 1, NOW);
        let attempt = answer(&row, code.code());
        assert_eq!(row.take(&attempt, MATTER, NOW), Opened::Yes);
        assert!(!row.is_open(NOW) && row.challenge.is_none());
        assert_eq!(row.take(&attempt, MATTER, NOW), Opened::No, "no other time");
    }

    #[test]
    fn a_code_is_nothing_before_it_was_sent_after_its_time_and_after_the_links() {
        let mut row = PickupRow::new(Form::Json, (1, 2), NOW);
        let none = answer(&row, "123456");
        assert_eq!(row.take(&none, MATTER, NOW), Opened::No);
        assert_eq!(row.wrong, 0, "where no code was sent none is wrong");
        let code = sent(&mut row, 1, NOW);
        let attempt = answer(&row, code.code());
        let at = |row: &PickupRow, now| row.clone().take(&attempt, MATTER, now);
        assert_eq!(at(&row, later(CODE_MINUTES - 1)), Opened::Yes);
        assert_eq!(at(&row, later(CODE_MINUTES)), Opened::No);
        // One that was sent shortly before the end opens until then and not after.
        let end = PICKUP_HOURS * 60;
        let code = sent(&mut row, 2, later(end - 2));
        let attempt = answer(&row, code.code());
        let at = |now| row.clone().take(&attempt, MATTER, now);
        assert_eq!(at(later(end - 1)), Opened::Yes);
        assert_eq!(at(later(end)), Opened::No);
        assert!(row.is_open(later(end - 1)) && !row.is_open(later(end)));
    }

    #[test]
    fn wrong_codes_end_first_the_code_and_then_the_link() {
        let mut row = PickupRow::new(Form::Zip, (1, 2), NOW);
        for codes in 0..PICKUP_TRIES_MAX / CODE_TRIES_MAX {
            let code = sent(&mut row, u64::from(codes), NOW);
            assert!(row.is_open(NOW));
            let right = answer(&row, code.code());
            let wrong = if code.code().as_str() == "000000" {
                "000001"
            } else {
                "000000"
            };
            let wrong = answer(&row, wrong);
            for _ in 0..CODE_TRIES_MAX {
                assert_eq!(row.take(&wrong, MATTER, NOW), Opened::No);
            }
            let mut tried = row.clone();
            assert_eq!(tried.take(&right, MATTER, NOW), Opened::No, "it is used up");
        }
        assert!(!row.is_open(NOW));
    }

    #[test]
    fn a_code_of_another_matter_opens_nothing() {
        let mut row = PickupRow::new(Form::Zip, (1, 2), NOW);
        let code = sent(&mut row, 1, NOW);
        let attempt = answer(&row, code.code());
        assert_eq!(row.take(&attempt, [8; 16], NOW), Opened::No);
    }

    #[test]
    fn every_form_is_kept_and_read_back() {
        for form in Form::ALL {
            assert_eq!(PickupRow::new(*form, (1, 1), NOW).form(), *form);
        }
    }
}

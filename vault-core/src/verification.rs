//! Codes: who has one read what was sent to an address that is on file.
//!
//! A challenge is bound to one matter, lives ten minutes, and is used up by the right answer or by five wrong
//! ones. It holds a hash of its code that is dear to guess; the code itself is in the vault only until it
//! is handed out for sending. What is slow is done before a transaction, what decides inside of it.
//!
//! Knows nothing of people, requests or how a code is sent.
//!
//! Source: OWASP ASVS 5.0, 6.5.1 to 6.5.5 and 6.6.2 to 6.6.3.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::crypto::{Argon2Params, argon2id};
use crate::dialogue::Language;
use crate::entropy::Entropy;
use crate::limits::{CODE_DIGITS, CODE_MINUTES, CODE_TRIES_MAX};
use crate::schema::words::words;

words! {
    /// Where a code goes. The names are those of the HTTP API and of the webhook.
    pub enum AddressKind {
        /// An e-mail address.
        Email = "email",
        /// A telephone number.
        Phone = "phone",
    }
}

/// A code that is to be sent now, to an address that is on file. Whoever has it is taken for its person.
pub struct CodeToSend {
    /// Which sending this is, for whoever must not send it twice: random, and nobody's.
    pub sending: [u8; 16],
    /// Of which kind the address is.
    pub kind: AddressKind,
    /// The address, as it is on file.
    pub address: Zeroizing<String>,
    /// The digits.
    pub code: Zeroizing<String>,
    /// In which language the message is.
    pub language: Language,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Silent about address and code.
impl std::fmt::Debug for CodeToSend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeToSend")
            .field("kind", &self.kind)
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

/// A code that was made, with the hash that is kept of it. Slow to make, so made before the transaction.
pub(crate) struct Prepared {
    code: Zeroizing<String>,
    salt: [u8; 16],
    hash: [u8; 32],
}

/// What is kept of a code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Challenge {
    salt: [u8; 16],
    hash: [u8; 32],
    /// What it is for: an id of a request, say.
    matter: [u8; 16],
    /// Milliseconds, as all times in rows.
    expires_at: i64,
    tries_left: u8,
}

/// An answer, hashed as the challenge that it answers.
pub(crate) struct Attempt {
    salt: [u8; 16],
    hash: [u8; 32],
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the code.
    Right,
    /// It is not, and so many may follow.
    Wrong {
        /// At least one.
        left: u8,
    },
    /// The code is used up, over, or another matter's.
    Over,
}

/// The cost of a hash: the least that ASVS 5.0 11.4.2 takes, since a code lives for minutes.
fn cost() -> Argon2Params {
    Argon2Params::new(46 << 10, 1, 1).expect("within what is accepted")
}

/// `None` where the memory cannot be had.
fn hash(code: &str, salt: &[u8; 16]) -> Option<[u8; 32]> {
    argon2id(code.as_bytes(), salt, cost()).map(|hash| *hash.expose())
}

/// Digits, each as likely as another.
fn digits(entropy: &mut dyn Entropy) -> Zeroizing<String> {
    let mut code = Zeroizing::new(String::with_capacity(CODE_DIGITS));
    while code.len() < CODE_DIGITS {
        let mut byte = [0];
        entropy.fill(&mut byte);
        // The last six of the 256 would make the first six digits likelier.
        if byte[0] < 250 {
            code.push(char::from(b'0' + byte[0] % 10));
        }
    }
    code
}

/// The code in an answer: its digits, if it has as many as a code, whatever stands around them.
fn typed(text: &str) -> Option<Zeroizing<String>> {
    let mut code = Zeroizing::new(String::with_capacity(CODE_DIGITS));
    for digit in text.chars().filter(char::is_ascii_digit) {
        if code.len() == CODE_DIGITS {
            return None;
        }
        code.push(digit);
    }
    (code.len() == CODE_DIGITS).then_some(code)
}

impl Prepared {
    /// A fresh code; `None` where the memory for its hash cannot be had.
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Option<Self> {
        let code = digits(entropy);
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let hash = hash(&code, &salt)?;
        Some(Self { code, salt, hash })
    }

    /// The digits, to be sent.
    pub(crate) fn code(&self) -> &Zeroizing<String> {
        &self.code
    }

    /// The challenge that only this code answers, for one matter.
    pub(crate) fn challenge(&self, matter: [u8; 16], now: Timestamp) -> Challenge {
        let life = SignedDuration::from_mins(CODE_MINUTES);
        Challenge {
            salt: self.salt,
            hash: self.hash,
            matter,
            expires_at: now.saturating_add(life).unwrap_or(now).as_millisecond(),
            tries_left: CODE_TRIES_MAX,
        }
    }
}

impl Attempt {
    /// An answer to a challenge; `None` where the text has no code in it, which costs no try, or the memory
    /// cannot be had.
    pub(crate) fn of(challenge: &Challenge, text: &str) -> Option<Self> {
        let salt = challenge.salt;
        let hash = hash(&typed(text)?, &salt)?;
        Some(Self { salt, hash })
    }
}

/// Whether a text has a code in it, right or wrong.
pub(crate) fn has_code(text: &str) -> bool {
    typed(text).is_some()
}

impl Challenge {
    /// One that no code answers, for whoever has to work as long where there is none.
    pub(crate) fn of_nobody() -> Self {
        Self {
            salt: [0; 16],
            hash: [0; 32],
            matter: [0; 16],
            expires_at: i64::MIN,
            tries_left: 0,
        }
    }

    /// Until when it can be answered.
    pub(crate) fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Answers it. An answer to another challenge (a code was sent again meanwhile) is a wrong one.
    pub(crate) fn take(&mut self, attempt: &Attempt, matter: [u8; 16], now: Timestamp) -> Verdict {
        let over = now.as_millisecond() >= self.expires_at || matter != self.matter;
        if over || self.tries_left == 0 {
            return Verdict::Over;
        }
        let right: bool = (self.hash.ct_eq(&attempt.hash) & self.salt.ct_eq(&attempt.salt)).into();
        if right {
            self.tries_left = 0;
            return Verdict::Right;
        }
        self.tries_left -= 1;
        match self.tries_left {
            0 => Verdict::Over,
            left => Verdict::Wrong { left },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const MATTER: [u8; 16] = [1; 16];
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn made() -> (Prepared, Challenge) {
        let prepared = Prepared::new(&mut SeededEntropy::new(5)).expect("memory");
        let challenge = prepared.challenge(MATTER, NOW);
        (prepared, challenge)
    }

    fn wrong(code: &str) -> String {
        let last = code.as_bytes()[CODE_DIGITS - 1];
        let other = if last == b'9' { '0' } else { '9' };
        format!("{}{other}", &code[..CODE_DIGITS - 1])
    }

    fn later(minutes: i64) -> Timestamp {
        NOW + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn the_code_answers_its_challenge_once_whatever_stands_around_its_digits() {
        let (prepared, mut challenge) = made();
        let code = prepared.code().as_str();
        let text = format!("it is {} {}, thanks", &code[..3], &code[3..]);
        let attempt = Attempt::of(&challenge, &text).expect("a code");
        assert_eq!(challenge.take(&attempt, MATTER, NOW), Verdict::Right);
        assert_eq!(challenge.take(&attempt, MATTER, NOW), Verdict::Over);
    }

    #[test]
    fn another_code_does_not_and_the_fifth_wrong_one_ends_the_challenge() {
        let (prepared, mut challenge) = made();
        let attempt = Attempt::of(&challenge, &wrong(prepared.code())).expect("a code");
        for left in (1..CODE_TRIES_MAX).rev() {
            assert_eq!(
                challenge.take(&attempt, MATTER, NOW),
                Verdict::Wrong { left }
            );
        }
        assert_eq!(challenge.take(&attempt, MATTER, NOW), Verdict::Over);
        let right = Attempt::of(&challenge, prepared.code()).expect("a code");
        assert_eq!(challenge.take(&right, MATTER, NOW), Verdict::Over);
    }

    #[test]
    fn the_code_is_nothing_for_another_matter_for_another_challenge_and_after_its_time() {
        let (prepared, challenge) = made();
        let right = Attempt::of(&challenge, prepared.code()).expect("a code");
        let take = |matter, now| challenge.clone().take(&right, matter, now);
        assert_eq!(take([2; 16], NOW), Verdict::Over);
        assert_eq!(take(MATTER, later(CODE_MINUTES)), Verdict::Over);
        assert_eq!(
            take(MATTER, later(CODE_MINUTES - 1)),
            Verdict::Right,
            "a minute before"
        );
        let other = Prepared::new(&mut SeededEntropy::new(6)).expect("memory");
        let mut other = other.challenge(MATTER, NOW);
        let left = CODE_TRIES_MAX - 1;
        assert_eq!(other.take(&right, MATTER, NOW), Verdict::Wrong { left });
    }

    #[test]
    fn a_text_without_as_many_digits_as_a_code_is_no_attempt() {
        let (_, challenge) = made();
        for text in ["", "yes", "12345", "1234567", "12 34 56 7"] {
            assert!(Attempt::of(&challenge, text).is_none(), "{text}");
        }
    }

    #[test]
    fn every_digit_is_as_likely_as_another() {
        let mut entropy = SeededEntropy::new(7);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            for digit in digits(&mut entropy).bytes() {
                seen[usize::from(digit - b'0')] += 1;
            }
        }
        // 60,000 draws: six standard deviations around 6,000.
        assert!(
            seen.iter().all(|count| (5_560..6_440).contains(count)),
            "{seen:?}"
        );
    }
}

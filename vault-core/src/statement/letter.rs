//! What a person is told about a request of theirs: that it is refused, or takes longer.
//!
//! Source: GDPR Art. 12(3) and (4).

use jiff::civil::Date;

use super::phrases::Phrases;
use super::said::fill;
use super::{language, languages};
use crate::policy::Policy;
use crate::request::{DelayReason, RequestKind};

/// The language in which a person is answered: the one asked for if there are phrases of it, else the first of the
/// policy's.
pub(crate) fn answered_in(policy: &Policy, asked: Option<&str>) -> String {
    let known = asked.filter(|tag| Phrases::of(tag).is_some());
    known.unwrap_or_else(|| languages(policy)[0]).to_owned()
}

/// A letter to a person, in one language.
pub struct Letter<'p> {
    policy: &'p Policy,
    phrases: &'static Phrases,
    kind: RequestKind,
    received: Date,
}

impl<'p> Letter<'p> {
    /// About a request of this kind that came in on this day, in the language that the person is answered in;
    /// where there are no phrases of it, in the first of the policy's.
    #[must_use]
    pub fn new(policy: &'p Policy, tag: &str, kind: RequestKind, received: Date) -> Self {
        let own = Phrases::of(tag).or_else(|| Phrases::of(languages(policy)[0]));
        Self {
            policy,
            phrases: own.unwrap_or(&language::en::PHRASES),
            kind,
            received,
        }
    }

    fn right(&self) -> &'static str {
        let phrases = self.phrases;
        match self.kind {
            RequestKind::Access | RequestKind::Recipients => phrases.access.0,
            RequestKind::Rectify => phrases.rectification.0,
            RequestKind::Erase => phrases.erasure.0,
            RequestKind::Restrict => phrases.restriction.0,
            RequestKind::Object => phrases.objection.0,
            RequestKind::Portability => phrases.portability.0,
            RequestKind::Withdraw => phrases.withdrawal.0,
            RequestKind::HumanReview => phrases.automated,
        }
    }

    fn begun(&self, template: &str) -> String {
        let text = fill(template, "date", &self.received.to_string());
        fill(&text, "right", self.right())
    }

    /// That it is refused: why, under which law, and that the person may complain and go to court.
    #[must_use]
    pub fn refusal(&self, reason: &str, law: &str) -> String {
        let phrases = self.phrases;
        let authority = self.policy.controller().authority.as_ref();
        let complain = match authority {
            Some(authority) => {
                let named = fill(phrases.complain_to, "authority", authority);
                format!("{named} {}", phrases.complain)
            }
            None => phrases.complain.to_owned(),
        };
        // The controller's own words come last into the text, so that nothing in them is filled in.
        let law = fill(phrases.refused_law, "law", law);
        let refused = fill(&self.begun(phrases.refused), "reason", reason.trim());
        format!("{refused}\n{law}\n{complain} {}", phrases.court)
    }

    /// That the answer takes longer: why, and until when.
    #[must_use]
    pub fn extension(&self, reason: DelayReason, due: Date) -> String {
        let because = match reason {
            DelayReason::Complexity => self.phrases.because_complex,
            DelayReason::Number => self.phrases.because_number,
        };
        let text = fill(&self.begun(self.phrases.extended), "because", because);
        fill(&text, "due", &due.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::LANGUAGES;

    fn policy() -> Policy {
        let source = crate::policy::SAMPLE;
        let draft = crate::policy::Draft::parse(source).expect("the sample fits");
        draft.assign(None, 1).expect("the first numbers")
    }

    #[test]
    fn a_refusal_names_reason_law_authority_and_court_in_every_language() {
        let policy = policy();
        let authority = policy.controller().authority.clone().expect("named");
        let day = jiff::civil::date(2026, 1, 31);
        for phrases in LANGUAGES {
            for kind in RequestKind::ALL {
                let letter = Letter::new(&policy, phrases.tag, *kind, day);
                let text = letter.refusal("REASON", "Art. 17(3)(b) GDPR");
                for part in [
                    "REASON",
                    "Art. 17(3)(b) GDPR",
                    &*authority,
                    phrases.court,
                    "2026-01-31",
                ] {
                    assert!(text.contains(part), "{} {kind:?}: {part}", phrases.tag);
                }
                assert!(!text.contains(['{', '}']), "{text}");
                let longer = letter.extension(DelayReason::Number, day);
                assert!(longer.contains(phrases.because_number), "{longer}");
                assert!(!longer.contains(['{', '}']), "{longer}");
            }
        }
        let own: std::collections::BTreeSet<&str> =
            LANGUAGES.iter().map(|phrases| phrases.court).collect();
        assert_eq!(own.len(), LANGUAGES.len());
    }

    #[test]
    fn a_language_without_phrases_is_answered_in_the_first_of_the_policy() {
        let policy = policy();
        let day = jiff::civil::date(2026, 1, 31);
        let first = Letter::new(&policy, "en", RequestKind::Erase, day).refusal("R", "L");
        let other = Letter::new(&policy, "fi", RequestKind::Erase, day).refusal("R", "L");
        assert_eq!(first, other);
        let german = Letter::new(&policy, "de-AT", RequestKind::Erase, day).refusal("R", "L");
        assert!(german.contains("Gericht"));
    }
}

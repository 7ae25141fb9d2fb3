//! Why a request may be refused: a closed list, and which right each is about.
//!
//! Source: GDPR Art. 12(2), 12(5), 12(6), 15(4), 17(3), 20(4), 21(1), 23. Codes that begin with `A` are the
//! `Justification…` terms of the EU-GDPR extension of the Data Privacy Vocabulary, without that word.

use serde::{Deserialize, Serialize};

use super::RequestKind;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Exemption {
    /// It cannot be verified who asks (Art. 12(2), 12(6)).
    #[serde(rename = "A12IdentityFailure")]
    IdentityFailure,
    /// Manifestly excessive (Art. 12(5)).
    #[serde(rename = "A12ManifestlyExcessive")]
    ManifestlyExcessive,
    /// Manifestly unfounded (Art. 12(5)).
    #[serde(rename = "A12ManifestlyUnfounded")]
    ManifestlyUnfounded,
    /// Archiving, research or statistics (Art. 17(3)(d)).
    #[serde(rename = "A17Archiving")]
    Archiving,
    /// Freedom of expression and information (Art. 17(3)(a)).
    #[serde(rename = "A17FreedomOfExpression")]
    FreedomOfExpression,
    /// Legal claims (Art. 17(3)(e)).
    #[serde(rename = "A17LegalClaims")]
    LegalClaims,
    /// A law demands the processing (Art. 17(3)(b)).
    #[serde(rename = "A17LegallyRequired")]
    LegallyRequired,
    /// Official authority (Art. 17(3)(b)).
    #[serde(rename = "A17OfficialAuthority")]
    OfficialAuthority,
    /// Public health (Art. 17(3)(c)).
    #[serde(rename = "A17PublicHealth")]
    PublicHealth,
    /// A task in the public interest (Art. 17(3)(b)).
    #[serde(rename = "A17PublicInterest")]
    PublicInterest,
    /// Compelling legitimate grounds (Art. 21(1)).
    #[serde(rename = "compelling_grounds")]
    CompellingGrounds,
    /// A law of the Union or of a member state that restricts the right (Art. 23).
    #[serde(rename = "national_law")]
    NationalLaw,
    /// The right does not reach this: its conditions are not met.
    #[serde(rename = "not_covered")]
    NotCovered,
    /// Rights and freedoms of others (Art. 15(4), 20(4)).
    #[serde(rename = "third_party_rights")]
    ThirdPartyRights,
}

impl Exemption {
    /// Every code.
    pub const ALL: &'static [Self] = &[
        Self::IdentityFailure,
        Self::ManifestlyExcessive,
        Self::ManifestlyUnfounded,
        Self::Archiving,
        Self::FreedomOfExpression,
        Self::LegalClaims,
        Self::LegallyRequired,
        Self::OfficialAuthority,
        Self::PublicHealth,
        Self::PublicInterest,
        Self::CompellingGrounds,
        Self::NationalLaw,
        Self::NotCovered,
        Self::ThirdPartyRights,
    ];

    /// The code of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IdentityFailure => "A12IdentityFailure",
            Self::ManifestlyExcessive => "A12ManifestlyExcessive",
            Self::ManifestlyUnfounded => "A12ManifestlyUnfounded",
            Self::Archiving => "A17Archiving",
            Self::FreedomOfExpression => "A17FreedomOfExpression",
            Self::LegalClaims => "A17LegalClaims",
            Self::LegallyRequired => "A17LegallyRequired",
            Self::OfficialAuthority => "A17OfficialAuthority",
            Self::PublicHealth => "A17PublicHealth",
            Self::PublicInterest => "A17PublicInterest",
            Self::CompellingGrounds => "compelling_grounds",
            Self::NationalLaw => "national_law",
            Self::NotCovered => "not_covered",
            Self::ThirdPartyRights => "third_party_rights",
        }
    }

    /// What `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == text)
    }

    /// Whether a request of this kind can be refused for it.
    #[must_use]
    pub const fn fits(self, kind: RequestKind) -> bool {
        match self {
            Self::Archiving
            | Self::FreedomOfExpression
            | Self::LegalClaims
            | Self::LegallyRequired
            | Self::OfficialAuthority
            | Self::PublicHealth
            | Self::PublicInterest => matches!(kind, RequestKind::Erase),
            Self::CompellingGrounds => matches!(kind, RequestKind::Object),
            Self::ThirdPartyRights => matches!(
                kind,
                RequestKind::Access | RequestKind::Portability | RequestKind::Recipients
            ),
            // A withdrawal needs no ground and has no exemption but that nobody knows whose it is.
            Self::IdentityFailure => true,
            Self::ManifestlyExcessive
            | Self::ManifestlyUnfounded
            | Self::NationalLaw
            | Self::NotCovered => !matches!(kind, RequestKind::Withdraw),
        }
    }

    /// The reason of a denial in the Data Rights Protocol.
    pub(super) const fn drp(self) -> &'static str {
        match self {
            Self::IdentityFailure => "insuf_verification",
            Self::ManifestlyExcessive => "too_many_requests",
            Self::NotCovered | Self::ManifestlyUnfounded => "claim_not_covered",
            _ => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_written_and_stored_by_its_name() {
        for code in Exemption::ALL {
            assert_eq!(Exemption::parse(code.name()), Some(*code));
            let json = serde_json::to_string(code).expect("a word");
            assert_eq!(json, format!("\"{}\"", code.name()));
        }
    }

    #[test]
    fn the_exemptions_of_erasure_are_of_no_other_right() {
        for code in Exemption::ALL {
            if code.name().starts_with("A17") {
                for kind in RequestKind::ALL {
                    assert_eq!(
                        code.fits(*kind),
                        *kind == RequestKind::Erase,
                        "{code:?} {kind:?}"
                    );
                }
            }
            assert_eq!(
                code.fits(RequestKind::Withdraw),
                *code == Exemption::IdentityFailure
            );
        }
    }
}

//! Personal data in free text: found by its shape, its check digits, and the word before it.
//!
//! For log lines and transcripts, where nobody declared a field. Finds what can be recognised without
//! knowing anybody: numbers of cards, accounts, telephones, people and machines, and addresses of e-mail.
//! Names and places it does not find: those need the values of people who are known.
//!
//! A shape that is common among harmless numbers (nine digits are a citizen's number in the Netherlands,
//! and nearly everything else) counts only behind a word that says what it is, unless the caller wants
//! [`Certainty::Possible`] ones as well. Knows nothing of files, streams or people of the vault.

mod checksum;
mod digits;
mod shape;
mod words;

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::bytes::RegexSet;

pub use words::WORD_REACH_BYTES;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Number of a payment card.
    Card,
    /// An e-mail address.
    Email,
    /// A bank account, ISO 13616.
    Iban,
    /// An address of the Internet, version 4.
    Ipv4,
    /// An address of the Internet, version 6.
    Ipv6,
    /// An address of a network card.
    Mac,
    /// A telephone number.
    Phone,
    /// Germany: Steuer-Identifikationsnummer.
    DeSteuerId,
    /// Spain: número de identidad de extranjero.
    EsNie,
    /// Spain: número de identificación fiscal.
    EsNif,
    /// Finland: henkilötunnus.
    FiHetu,
    /// France: numéro d'inscription au répertoire.
    FrNir,
    /// Italy: codice fiscale.
    ItCodiceFiscale,
    /// The Netherlands: burgerservicenummer.
    NlBsn,
    /// Poland: numer PESEL.
    PlPesel,
    /// Sweden: personnummer.
    SePersonnummer,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Card,
        Self::Email,
        Self::Iban,
        Self::Ipv4,
        Self::Ipv6,
        Self::Mac,
        Self::Phone,
        Self::DeSteuerId,
        Self::EsNie,
        Self::EsNif,
        Self::FiHetu,
        Self::FrNir,
        Self::ItCodiceFiscale,
        Self::NlBsn,
        Self::PlPesel,
        Self::SePersonnummer,
    ];

    /// The name, in answers and in the place of what was taken out.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Mac => "mac",
            Self::Phone => "phone",
            Self::DeSteuerId => "de_steuer_id",
            Self::EsNie => "es_nie",
            Self::EsNif => "es_nif",
            Self::FiHetu => "fi_hetu",
            Self::FrNir => "fr_nir",
            Self::ItCodiceFiscale => "it_codice_fiscale",
            Self::NlBsn => "nl_bsn",
            Self::PlPesel => "pl_pesel",
            Self::SePersonnummer => "se_personnummer",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The shape is common, its check digits few, and no word says what it is.
    Possible,
    /// By its shape and check digits, or by the word before it.
    Likely,
}

/// One find. Holds no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Find {
    /// What.
    pub kind: Kind,
    /// How sure.
    pub certainty: Certainty,
    /// Its first byte in the text.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
}

/// Personal data in `text`, in its order, none over another. `text` may be any bytes: what is no UTF-8
/// separates.
#[must_use]
pub fn find(text: &[u8]) -> Vec<Find> {
    // Most lines of a log have nothing that could be any of them.
    static ANY: LazyLock<RegexSet> = LazyLock::new(shape::set);
    let any = ANY.matches(text);
    let mut found = Vec::new();
    if !any.matched_any() {
        return found;
    }
    for which in any.iter() {
        shape::find(which, text, &mut found);
    }
    // Where two lie over each other the surer counts, then the longer, then the more special one.
    found.sort_by_key(|f| (f.start, std::cmp::Reverse((f.certainty, f.end)), f.kind));
    let mut kept: Vec<Find> = Vec::with_capacity(found.len());
    for finding in found {
        match kept.last_mut() {
            Some(last) if finding.start < last.end => {
                let better = |f: &Find| (f.certainty, f.end - f.start);
                if better(&finding) > better(last) {
                    *last = finding;
                }
            }
            _ => kept.push(finding),
        }
    }
    kept
}

/// `text` with each of `findings` replaced by its kind's name in brackets.
#[must_use]
pub fn redact(text: &[u8], findings: &[Find]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    let mut from = 0;
    for finding in findings {
        clean.extend_from_slice(&text[from..finding.start]);
        let mut mark = String::new();
        let _ = write!(mark, "[{}]", finding.kind.name());
        clean.extend_from_slice(mark.as_bytes());
        from = finding.end;
    }
    clean.extend_from_slice(&text[from..]);
    clean
}

#[cfg(test)]
mod tests;

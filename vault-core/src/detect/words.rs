//! Words before a number that say what it is.
//!
//! In the eight languages of the product, small letters, as they stand in logs and in what people
//! type. Knows nothing of the number.

use super::Kind;

/// How far before a number its word may stand, in bytes.
pub const WORD_REACH_BYTES: usize = 40;

const PHONE: &[&str] = &[
    "phone",
    "telephone",
    "téléphone",
    "telefon",
    "telefone",
    "telefoon",
    "telefono",
    "tel",
    "mobile",
    "cell",
    "call",
    "sms",
    "whatsapp",
    "fax",
    "handy",
    "rufnummer",
    "móvil",
    "movil",
    "teléfono",
    "portable",
    "cellulare",
    "telemóvel",
    "telemovel",
    "mobiel",
    "gsm",
    "komórk",
    "numer tel",
];
const STEUER: &[&str] = &["steuer", "idnr", "tin", "tax"];
const BSN: &[&str] = &["bsn", "burgerservice", "sofi", "persoonsnummer"];
const PESEL: &[&str] = &["pesel"];
const NIR: &[&str] = &[
    "sécurité sociale",
    "securite sociale",
    "nir",
    "insee",
    "n° ss",
    "vitale",
];
const PERSONNUMMER: &[&str] = &["personnummer", "person nr", "pnr", "samordning"];

/// Whether a word for `kind` stands shortly before `start`, on the same line.
pub(super) fn before(kind: Kind, text: &[u8], start: usize) -> bool {
    let words = match kind {
        Kind::Phone => PHONE,
        Kind::DeSteuerId => STEUER,
        Kind::NlBsn => BSN,
        Kind::PlPesel => PESEL,
        Kind::FrNir => NIR,
        Kind::SePersonnummer => PERSONNUMMER,
        _ => return false,
    };
    let near = &text[start.saturating_sub(WORD_REACH_BYTES)..start];
    let line = near.rsplit(|byte| *byte == b'\n').next().unwrap_or(near);
    let near = String::from_utf8_lossy(line).to_lowercase();
    words.iter().any(|word| {
        near.match_indices(word).any(|(at, _)| {
            // A short word must be a whole one: `tel`, not `hotel`, and `call`, not `call_id`.
            let joins = |c: char| c.is_alphanumeric() || c == '_';
            let begins = !near[..at].chars().next_back().is_some_and(joins);
            let ends = !near[at + word.len()..].chars().next().is_some_and(joins);
            (begins && ends) || word.len() > 5
        })
    })
}

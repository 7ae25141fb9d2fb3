//! The notice that a bot shows before it takes anything down: what Art. 13 asks for, as plain text.
//!
//! It names neither version nor date, so that two policies which say the same make the same text.
//!
//! Source: GDPR Art. 12(1), 13(1) and (2).

use sha2::{Digest, Sha256};

use super::phrases::Phrases;
use super::said::{self, fill};
use super::{StatedData, StatedPurpose, StatedRecipient, languages};
use crate::policy::Policy;

/// A notice that is to be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// The policy's version that it is made from.
    pub version: u32,
    /// Its language.
    pub language: String,
    /// The languages that it can be had in.
    pub languages: Vec<String>,
    /// The text.
    pub text: String,
    /// SHA-256 of the text.
    pub sha256: [u8; 32],
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notice")
            .field("version", &self.version)
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

impl Notice {
    /// The notice that a policy makes, in one of its languages; in the first for any other.
    #[must_use]
    pub fn of(policy: &Policy, language: Option<&str>) -> Self {
        let languages = languages(policy);
        let asked = languages.iter().find(|known| Some(**known) == language);
        let language = (*asked.unwrap_or(&languages[0])).to_owned();
        let text = text(policy, &language);
        Self {
            version: policy.version(),
            sha256: Sha256::digest(text.as_bytes()).into(),
            languages: languages.into_iter().map(str::to_owned).collect(),
            language,
            text,
        }
    }
}

fn data(one: &StatedData) -> String {
    let special = one.special.map(|(_, words)| words);
    let necessity = one.necessity.map(|(_, words)| words);
    let limit = one.at_most.as_ref().map(|(_, words)| words.as_str());
    let more: Vec<&str> = [special, necessity, limit].into_iter().flatten().collect();
    match more.is_empty() {
        true => one.words.to_owned(),
        false => format!("{} ({})", one.words, more.join(", ")),
    }
}

fn recipient(phrases: &Phrases, one: &StatedRecipient) -> String {
    let outside = one.outside_eea.then_some(phrases.outside_eea);
    let more = [
        Some(one.country.as_str()),
        outside,
        one.safeguard_words.as_deref(),
    ];
    let more: Vec<&str> = more.into_iter().flatten().collect();
    format!("{} ({})", one.name, more.join(", "))
}

fn purpose(phrases: &Phrases, one: &StatedPurpose) -> String {
    let data: Vec<String> = one.data.iter().map(data).collect();
    let recipients: Vec<String> = one
        .recipients
        .iter()
        .map(|one| recipient(phrases, one))
        .collect();
    let recipients = match recipients.is_empty() {
        true => phrases.nobody.to_owned(),
        false => recipients.join(", "),
    };
    let mut lines = vec![
        format!("- {}", one.title),
        format!("  {}: {} ({})", phrases.basis, one.basis_words, one.article),
    ];
    let interests = one.interests.as_ref();
    lines.extend(interests.map(|text| format!("  {}: {text}", phrases.interests)));
    lines.extend([
        format!("  {}: {}", phrases.data, data.join(", ")),
        format!("  {}: {recipients}", phrases.recipients),
        format!("  {}: {}", phrases.retention, one.retention_words),
    ]);
    lines.join("\n")
}

/// The notice of a policy in one of its [`languages`].
fn text(policy: &Policy, language: &str) -> String {
    let phrases = Phrases::of(language).expect("there are phrases of what is offered");
    let controller = policy.controller();
    let mut lines = vec![
        phrases.title.to_owned(),
        String::new(),
        format!("{}: {}", phrases.responsible, controller.name),
    ];
    let labelled = [
        (phrases.address, controller.address.as_deref()),
        (phrases.contact, Some(controller.contact.as_str())),
        (phrases.officer, controller.dpo.as_deref()),
    ];
    for (label, text) in labelled {
        lines.extend(text.map(|text| format!("{label}: {text}")));
    }
    lines.push(String::new());
    lines.push(format!("{}:", phrases.purposes));
    let purposes = said::purposes(policy, phrases, language);
    lines.extend(purposes.iter().map(|one| purpose(phrases, one)));
    let logs = said::logs(policy, phrases, language);
    if !logs.is_empty() {
        lines.push(String::new());
        lines.push(format!("{}:", phrases.logs()));
        lines.extend(logs.iter().map(|log| format!("- {}", log.line())));
    }
    lines.push(String::new());
    lines.push(format!("{}:", phrases.rights));
    let rights = said::rights(policy, phrases);
    lines.extend(
        rights
            .iter()
            .map(|right| format!("- {}: {}", right.title, right.words)),
    );
    lines.push(fill(phrases.exercise, "contact", &controller.contact));
    lines.push(match &controller.authority {
        Some(authority) => fill(phrases.complain_to, "authority", authority),
        None => phrases.complain.to_owned(),
    });
    lines.push(phrases.none_automated.to_owned());
    lines.join("\n")
}

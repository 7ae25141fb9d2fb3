//! What people have to be told, as one number: two policies that tell the same have the same.
//!
//! Words do not count: a title in better German is no reason to ask anybody to read again. Who is
//! responsible, what for, on what ground, which kinds of data, how long and who receives them do.
//!
//! Source: GDPR Art. 13(1) and (2), 13(3).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::Policy;

/// Texts, each with its length, so that no two lists make the same bytes.
#[derive(Default)]
struct Told(Sha256);

impl Told {
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.0.update([u8::from(text.is_some())]);
        self.text(text.unwrap_or_default());
    }

    fn set(&mut self, texts: &BTreeSet<String>) {
        self.0.update((texts.len() as u64).to_be_bytes());
        texts.iter().for_each(|text| self.text(text));
    }
}

impl Policy {
    /// SHA-256 over what a notice tells, in whatever words.
    #[must_use]
    pub fn notice_material(&self) -> [u8; 32] {
        *self.material.get_or_init(|| self.told())
    }

    fn told(&self) -> [u8; 32] {
        let mut told = Told::default();
        let controller = &self.controller;
        told.text(&controller.name);
        told.text(&controller.contact);
        let others = [
            &controller.address,
            &controller.dpo,
            &controller.authority,
            &controller.country,
        ];
        others
            .into_iter()
            .for_each(|one| told.maybe(one.as_deref()));
        let mut purposes: Vec<_> = self.purposes.iter().collect();
        purposes.sort_by_key(|purpose| purpose.id);
        for purpose in purposes {
            told.text(&purpose.id.to_string());
            told.text(purpose.basis.name());
            told.text(if purpose.direct_marketing {
                "marketing"
            } else {
                ""
            });
            // Whether any are told, not in which words; a policy without them tells what it told before.
            if !purpose.interests.is_empty() {
                told.text("interests");
            }
            let rule = &purpose.retention;
            told.text(rule.anchor.name());
            told.text(&rule.period.to_string());
            told.maybe(rule.date.map(|date| date.to_string()).as_deref());
            told.set(&self.told_recipients(&purpose.recipients));
            told.set(&self.told_data(purpose.id));
        }
        // Another stream of logs, or another end of one, is something that people have to be told; a policy without any
        // tells what it told before.
        for stream in &self.logs {
            told.text("log");
            told.text(&stream.name);
            told.text(stream.mode.name());
            told.text(&stream.retention.to_string());
        }
        told.0.finalize().into()
    }

    fn told_recipients(&self, names: &[String]) -> BTreeSet<String> {
        let named = self.recipients.iter();
        let named = named.filter(|recipient| names.contains(&recipient.name));
        let texts = named.map(|recipient| {
            let safeguard = recipient.safeguard.as_ref();
            let safeguard = safeguard.map_or("", |safeguard| safeguard.kind.name());
            let (name, country) = (&recipient.legal_name, &recipient.country);
            format!("{}\0{country}\0{safeguard}", name)
        });
        texts.collect()
    }

    /// Kinds of data, each once: another field of a kind that is told tells nothing new.
    fn told_data(&self, purpose: u16) -> BTreeSet<String> {
        let mut kinds = BTreeSet::new();
        for collection in &self.collections {
            let limit = collection.retention.as_ref();
            let limit = limit.map_or(String::new(), ToString::to_string);
            let fields = collection.fields.iter();
            for field in fields.filter(|field| field.purposes.contains(&purpose)) {
                let kind = field.category.as_deref().unwrap_or(field.kind.name());
                let special = field.special.map_or("", |special| special.name());
                let condition = field.art9.as_deref().unwrap_or_default();
                let necessity = field.necessity.map_or("", |necessity| necessity.name());
                let source = field.source.map_or("", |source| source.name());
                kinds.insert([kind, special, condition, necessity, source, &limit].join("\0"));
            }
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{Draft, Policy, SAMPLE};

    fn policy(source: &str) -> Policy {
        let draft = Draft::parse(source).expect("a policy");
        draft.assign(None, 1).expect("numbers")
    }

    #[test]
    fn other_words_are_the_same_notice_and_other_facts_are_not() {
        let material = policy(SAMPLE).notice_material();
        let same = [
            ("Answering your questions", "Answering what you ask"),
            ("webhook = \"https://carrier.example.test/privacy\"", ""),
            ("lookup = true }", "lookup = false }"),
        ];
        for (from, to) in same {
            assert!(SAMPLE.contains(from), "{from}");
            let other = policy(&SAMPLE.replace(from, to));
            assert_eq!(other.notice_material(), material, "{from}");
        }
        let other = [
            ("Example Travel B.V.", "Example Travel II B.V."),
            ("P2Y", "P3Y"),
            ("basis = \"contract\"", "basis = \"public_task\""),
            ("Carrier GmbH", "Another GmbH"),
            ("country = \"DE\"", "country = \"FR\""),
            ("user.demographic.date_of_birth", "user.demographic.gender"),
            ("direct_marketing = true\n", ""),
            ("retention = \"P90D\"", "retention = \"P91D\""),
        ];
        for (from, to) in other {
            assert!(SAMPLE.contains(from), "{from}");
            let other = policy(&SAMPLE.replace(from, to));
            assert_ne!(other.notice_material(), material, "{from}");
        }
    }
}

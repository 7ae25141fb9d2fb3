//! From which age people consent for themselves.
//!
//! Source: GDPR Art. 8(1).

use std::collections::BTreeMap;

use super::finding::Findings;
use super::keys;
use super::reader::Section;

/// The age of the regulation, where a country has no other.
const CONSENT_FROM: u8 = 16;
/// The lowest that a country may set.
const LEAST: u64 = 13;
/// The highest that the section takes: nobody older is a child.
const MOST: u64 = 18;

/// From which age people consent for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Children {
    consent_from: u8,
    countries: BTreeMap<String, u8>,
}

impl Default for Children {
    fn default() -> Self {
        Self {
            consent_from: CONSENT_FROM,
            countries: BTreeMap::new(),
        }
    }
}

impl Children {
    /// The age in a country, ISO 3166-1 alpha-2; that of the policy where it has none or none is named.
    #[must_use]
    pub fn consent_from(&self, country: Option<&str>) -> u8 {
        let own = country.and_then(|country| self.countries.get(country));
        own.copied().unwrap_or(self.consent_from)
    }

    /// Each country that has an age of its own.
    pub(super) fn countries(&self) -> impl Iterator<Item = (&str, u8)> {
        let all = self.countries.iter();
        all.map(|(country, age)| (country.as_str(), *age))
    }
}

/// Reads the section.
pub(super) fn read(root: &Section<'_>, findings: &mut Findings) -> Children {
    let mut children = Children::default();
    let Some(section) = root.section(findings, "children") else {
        return children;
    };
    section.know(findings, keys::CHILDREN);
    if let Some(age) = age(&section, findings, "consent_from") {
        children.consent_from = age;
    }
    let Some(countries) = section.section(findings, "countries") else {
        return children;
    };
    for (country, _) in countries.entries(findings) {
        let name = country.value;
        if name.len() != 2 || !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
            findings.report(
                country.line,
                &countries.at(name),
                "bad_country",
                None,
                || "expected an ISO 3166-1 code of two capitals, such as NL".to_owned(),
            );
        }
        if let Some(age) = age(&countries, findings, name) {
            children.countries.insert(name.to_owned(), age);
        }
    }
    children
}

fn age(section: &Section<'_>, findings: &mut Findings, key: &str) -> Option<u8> {
    let age = section.number(findings, key, MOST)?;
    if age < LEAST {
        let line = section.line_of(findings, key);
        let path = section.at(key);
        findings.report(line, &path, "out_of_range", Some("Art. 8(1)"), || {
            format!("no country may go below {LEAST} years")
        });
        return None;
    }
    u8::try_from(age).ok()
}

//! What one part of a policy says about another: references, and what the law asks of the whole.
//!
//! Knows nothing of TOML, and nothing of earlier policies.

use std::collections::{HashMap, HashSet};

use super::draft::{Content, DraftField, DraftPurpose, DraftRole, Pattern};
use super::finding::{Findings, printable};
use super::reader::{At, hint};
use super::{LawfulBasis, RIGHTS, Recipient, breakglass, honey, logs, role};
use crate::schema::FieldType;

/// The European Economic Area, ISO 3166-1 alpha-2: the 27 Member States, and Iceland,
/// Liechtenstein and Norway. Source: EEA Agreement (OJ L 1, 3.1.1994), to which the GDPR was added
/// by EEA Joint Committee Decision No 154/2018.
pub const EEA: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
    "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// Longest name that a finding repeats, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Reports what is wrong with `content`.
pub(super) fn check(content: &Content, findings: &mut Findings) {
    let names = Names::of(content);
    purposes(content, &names, findings);
    for (line, recipient) in &content.recipients {
        check_recipient(*line, recipient, findings);
    }
    for collection in &content.collections {
        for field in &collection.fields {
            check_field(field, &names, findings);
        }
        let fields = collection.fields.iter();
        let fields = fields.map(|field| (&field.at, field.renamed_from.as_ref(), &field.path));
        renames(fields, findings);
    }
    let collections = content.collections.iter();
    let collections = collections.map(|item| (&item.at, item.renamed_from.as_ref(), &item.path));
    renames(collections, findings);
    for role in &content.roles {
        check_role(role, &names, findings);
    }
    if let Some(draft) = &content.breakglass {
        let one = std::slice::from_ref(draft.purpose());
        // Without one there is a finding already.
        if !draft.purpose().value.is_empty() {
            names.purposes(&format!("{}.purpose", draft.path()), one, findings);
        }
        for (pattern, _) in draft.read() {
            names.pattern(&format!("{}.read", draft.path()), pattern, findings);
        }
    }
    for stream in &content.logs {
        let path = format!("{}.purpose", stream.path);
        names.purposes(&path, stream.purpose.as_slice(), findings);
    }
    logs::check(content, findings);
    breakglass::check(content, findings);
    honey::check(content, findings);
}

/// Everything that can be referred to.
struct Names<'a> {
    purposes: HashSet<&'a str>,
    recipients: HashSet<&'a str>,
    fields: HashMap<&'a str, HashMap<&'a str, FieldType>>,
}

impl<'a> Names<'a> {
    fn of(content: &'a Content) -> Self {
        let fields = content.collections.iter().map(|collection| {
            let fields = collection.fields.iter();
            let fields = fields.map(|field| (field.at.value.as_str(), field.field.kind));
            (collection.at.value.as_str(), fields.collect())
        });
        Self {
            purposes: content
                .purposes
                .iter()
                .map(|item| item.at.value.as_str())
                .collect(),
            recipients: content
                .recipients
                .iter()
                .map(|(_, item)| item.name.as_str())
                .collect(),
            fields: fields.collect(),
        }
    }

    /// Reports each of `list` that is no purpose of this policy.
    fn purposes(&self, path: &str, list: &[At<String>], findings: &mut Findings) {
        for name in list {
            if !self.purposes.contains(name.value.as_str()) {
                let article = Some("Art. 5(1)(b)");
                findings.report(name.line, path, "unknown_purpose", article, || {
                    if name.value == RIGHTS {
                        return "the purpose `rights` is built in and cannot be given".to_owned();
                    }
                    no_such("purpose", &name.value, &self.purposes)
                });
            }
        }
    }

    /// Reports a pattern that names what this policy does not have.
    fn pattern(&self, path: &str, pattern: &At<Pattern>, findings: &mut Findings) {
        match &pattern.value {
            Pattern::All => {}
            Pattern::Collection(name) => {
                self.collection(path, pattern.line, name, findings);
            }
            Pattern::Field(collection, field) => {
                self.field(path, pattern.line, collection, field, findings);
            }
        }
    }

    /// The type of `collection.field`, or a finding.
    fn field(
        &self,
        path: &str,
        line: usize,
        collection: &str,
        field: &str,
        findings: &mut Findings,
    ) -> Option<FieldType> {
        let fields = self.collection(path, line, collection, findings)?;
        let kind = fields.get(field).copied();
        if kind.is_none() {
            findings.report(line, path, "unknown_field", None, || {
                let collection = printable(collection, NAME_CHARS_MAX);
                let what = format!("collection `{collection}` has no field");
                let shown = printable(field, NAME_CHARS_MAX);
                format!(
                    "{what} `{shown}`{}",
                    hint(field, sorted(fields.keys().copied()))
                )
            });
        }
        kind
    }

    fn collection(
        &self,
        path: &str,
        line: usize,
        name: &str,
        findings: &mut Findings,
    ) -> Option<&HashMap<&'a str, FieldType>> {
        let fields = self.fields.get(name);
        if fields.is_none() {
            findings.report(line, path, "unknown_collection", None, || {
                no_such("collection", name, self.fields.keys())
            });
        }
        fields
    }
}

/// In an order of their own, so that the same file always gets the same hint.
fn sorted<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

fn no_such<'n>(what: &str, name: &str, known: impl IntoIterator<Item = &'n &'n str>) -> String {
    let known = sorted(known.into_iter().copied());
    format!(
        "there is no {what} `{}`{}",
        printable(name, NAME_CHARS_MAX),
        hint(name, known)
    )
}

fn purposes(content: &Content, names: &Names<'_>, findings: &mut Findings) {
    for purpose in &content.purposes {
        if purpose.at.value == RIGHTS {
            findings.report(purpose.at.line, &purpose.path, "reserved", None, || {
                "the purpose `rights` is built in: a person's own export and correction".to_owned()
            });
        }
        for language in &content.controller.languages {
            if !purpose.purpose.titles.contains_key(language) {
                let article = Some("Art. 12(1)");
                findings.report(purpose.at.line, &purpose.path, "no_title", article, || {
                    format!("needs `title.{language}`: the controller informs in this language")
                });
            }
        }
        check_interests(purpose, &content.controller.languages, findings);
        for recipient in &purpose.recipients {
            if !names.recipients.contains(recipient.value.as_str()) {
                let path = format!("{}.recipients", purpose.path);
                let article = Some("Art. 13(1)(e)");
                findings.report(recipient.line, &path, "unknown_recipient", article, || {
                    no_such("recipient", &recipient.value, &names.recipients)
                });
            }
        }
    }
    let purposes = content.purposes.iter();
    renames(
        purposes.map(|item| (&item.at, item.renamed_from.as_ref(), &item.path)),
        findings,
    );
}

/// Interests are told in every language or in none: a notice that lacks them in one would leave out what another
/// says.
fn check_interests(item: &DraftPurpose, languages: &[String], findings: &mut Findings) {
    let (line, interests) = (item.at.line, &item.purpose.interests);
    if interests.is_empty() {
        return;
    }
    let article = Some("Art. 13(1)(d)");
    if item.purpose.basis != LawfulBasis::LegitimateInterests {
        let path = format!("{}.interests", item.path);
        findings.report(line, &path, "no_such_basis", article, || {
            "only a purpose with basis legitimate_interests pursues any: remove this".to_owned()
        });
        return;
    }
    for language in languages {
        if !interests.contains_key(language) {
            findings.report(line, &item.path, "no_interests", article, || {
                format!("needs `interests.{language}`: the controller informs in this language")
            });
        }
    }
}

fn check_recipient(line: usize, recipient: &Recipient, findings: &mut Findings) {
    let country = recipient.country.as_str();
    // An empty country has its own finding already.
    if country.is_empty() || EEA.contains(&country) || recipient.safeguard.is_some() {
        return;
    }
    let path = format!("recipients.{}", recipient.name);
    findings.report(line, &path, "no_safeguard", Some("Art. 46"), || {
        format!(
            "{country} is outside the EEA: needs a `safeguard`, one of adequacy, bcr, scc or \
             \"derogation: …\""
        )
    });
}

fn check_field(field: &DraftField, names: &Names<'_>, findings: &mut Findings) {
    let line = field.at.line;
    if field.purposes.is_empty() {
        findings.report(
            line,
            &field.path,
            "no_purpose",
            Some("Art. 5(1)(b)"),
            || "needs `purposes`: what is it collected for?".to_owned(),
        );
    }
    names.purposes(
        &format!("{}.purposes", field.path),
        &field.purposes,
        findings,
    );
    let kind = field.field.kind;
    if field.field.lookup && !kind.can_look_up() {
        findings.report(line, &field.path, "no_lookup", None, || {
            format!(
                "nobody can be looked up by type {}; remove `lookup`",
                kind.name()
            )
        });
    }
    if let Some(special) = field.field.special
        && field.field.art9.is_none()
    {
        findings.report(
            line,
            &field.path,
            "no_condition",
            Some(special.article()),
            || "special data need `art9`: which condition allows them?".to_owned(),
        );
    }
    if field.field.art9.is_some() && !field.has_special {
        findings.report(line, &field.path, "no_special", Some("Art. 9(1)"), || {
            "`art9` is a condition for special data: say which with `special`".to_owned()
        });
    }
}

fn check_role(role: &DraftRole, names: &Names<'_>, findings: &mut Findings) {
    let built_in = role::RESERVED.iter().map(|(name, _)| *name);
    // Nor may a key be named in the log as whoever has an unlock secret is.
    if built_in
        .chain([role::KEYHOLDER])
        .any(|name| name == role.at.value)
    {
        findings.report(role.at.line, &role.path, "reserved", None, || {
            "this role is built in and cannot be defined: choose another name".to_owned()
        });
    }
    names.purposes(&format!("{}.purposes", role.path), &role.purposes, findings);
    let read = role.read.iter().map(|(pattern, _)| (pattern, "read"));
    let write = role.write.iter().map(|pattern| (pattern, "write"));
    for (pattern, key) in read.chain(write) {
        names.pattern(&format!("{}.{key}", role.path), pattern, findings);
    }
    let path = format!("{}.ask", role.path);
    for ask in &role.ask {
        let Some((collection, field, test)) = split_ask(&ask.value) else {
            findings.report(ask.line, &path, "bad_pattern", None, || {
                "expected `collection.field.test`, without wildcards".to_owned()
            });
            continue;
        };
        let Some(kind) = names.field(&path, ask.line, collection, field, findings) else {
            continue;
        };
        if !kind.tests().contains(&test) {
            findings.report(ask.line, &path, "unknown_test", None, || {
                if kind.tests().is_empty() {
                    return format!("nothing can be asked of type {}; remove this", kind.name());
                }
                format!(
                    "type {} has no test `{}`; it has {}",
                    kind.name(),
                    printable(test, NAME_CHARS_MAX),
                    kind.tests().join(", ")
                )
            });
        }
    }
}

/// The three parts of `collection.field.test`.
pub(super) fn split_ask(text: &str) -> Option<(&str, &str, &str)> {
    let (collection, rest) = text.split_once('.')?;
    let (field, test) = rest.split_once('.')?;
    (!text.contains('*') && !test.contains('.')).then_some((collection, field, test))
}

/// An old name is taken over by one thing, and is nobody's name any more.
fn renames<'a>(
    items: impl Iterator<Item = (&'a At<String>, Option<&'a At<String>>, &'a String)> + Clone,
    findings: &mut Findings,
) {
    let names: HashSet<&str> = items.clone().map(|(at, _, _)| at.value.as_str()).collect();
    let mut taken = HashSet::new();
    for (_, renamed_from, path) in items {
        let Some(old) = renamed_from else { continue };
        let path = format!("{path}.renamed_from");
        let shown = || printable(&old.value, NAME_CHARS_MAX);
        if names.contains(old.value.as_str()) {
            findings.report(old.line, &path, "bad_rename", None, || {
                format!(
                    "`{}` is still a name here; remove this line, or that",
                    shown()
                )
            });
        } else if !taken.insert(old.value.as_str()) {
            findings.report(old.line, &path, "duplicate", None, || {
                format!("`{}` was taken over already by another one", shown())
            });
        }
    }
}

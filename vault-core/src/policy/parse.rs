//! From TOML to a draft: each value by itself.
//!
//! Knows the keys and the forms of their values; what one says about another is `check`'s. Where a
//! value is missing or wrong there is a finding, and the draft holds a stand-in that nobody sees.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use super::draft::{Content, DraftCollection, DraftField, DraftPurpose, DraftRole, Pattern};
use super::finding::Findings;
use super::reader::{At, Section, text, word};
use super::{
    Anchor, BlobRule, COLLECTIONS_MAX, Capability, CollectionKind, Controller, FIELDS_MAX, Field,
    LOG_STREAMS_MAX, LawfulBasis, NoticeGate, PURPOSES_MAX, Period, Purpose, RECIPIENTS_MAX,
    ROLES_MAX, Recipient, RestrictedUse, Retention, Safeguard, SafeguardKind, View, honey, keys,
};
use crate::limits::{BLOB_BYTES_DEFAULT, BLOB_BYTES_MAX, MEDIA_TYPES_MAX};
use crate::schema::{FieldType, MediaRange};

/// Reads a whole file. A file with broken TOML gets findings about that only.
pub(super) fn read(source: &str, findings: &mut Findings) -> Content {
    let (table, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        let line = findings.line(error.span().map_or(0, |span| span.start));
        let code = if error.message().contains("duplicate") {
            "duplicate"
        } else {
            "syntax"
        };
        findings.report(line, "", code, None, || {
            format!("not TOML: {}", error.message().replace('\n', ", "))
        });
    }
    if !errors.is_empty() {
        return Content::default();
    }
    let root = Section::root(table.get_ref());
    root.know(findings, keys::TOP);
    Content {
        controller: controller(&root, findings),
        purposes: root
            .sections(findings, "purposes", PURPOSES_MAX)
            .into_iter()
            .map(|(at, section)| purpose(at, &section, findings))
            .collect(),
        recipients: root
            .sections(findings, "recipients", RECIPIENTS_MAX)
            .into_iter()
            .map(|(at, section)| (at.line, recipient(at, &section, findings)))
            .collect(),
        collections: root
            .sections(findings, "collections", COLLECTIONS_MAX)
            .into_iter()
            .map(|(at, section)| collection(at, &section, findings))
            .collect(),
        roles: root
            .sections(findings, "roles", ROLES_MAX)
            .into_iter()
            .map(|(at, section)| role(at, &section, findings))
            .collect(),
        gate: root
            .section(findings, "notice")
            .map_or(NoticeGate::Off, |section| {
                section.know(findings, keys::NOTICE);
                section
                    .word(findings, "gate", "unknown_word")
                    .unwrap_or(NoticeGate::Off)
            }),
        proof: root
            .section(findings, "proof")
            .and_then(|section| {
                section.know(findings, keys::PROOF);
                period(&section, findings, "period")
            })
            .unwrap_or_else(proof_default),
        children: super::children::read(&root, findings),
        counts: super::counts::read(&root, findings),
        requests: super::requests::read(&root, findings),
        honey: honey::read(&root, findings),
        breakglass: super::breakglass::read(&root, findings),
        incidents: super::incidents::read(&root, findings),
        logs: root
            .sections(findings, "logs", LOG_STREAMS_MAX)
            .into_iter()
            .map(|(at, section)| super::logs::read(at, &section, findings))
            .collect(),
    }
}

/// Three years: the usual limitation of claims, such as § 195 BGB.
pub(super) fn proof_default() -> Period {
    Period::parse("P3Y").expect("a period")
}

fn controller(root: &Section<'_>, findings: &mut Findings) -> Controller {
    if !root.has("controller") {
        findings.report(1, "controller", "missing", Some("Art. 13(1)(a)"), || {
            "needs a section [controller] with name and contact".to_owned()
        });
    }
    let Some(section) = root.section(findings, "controller") else {
        return Controller {
            languages: vec!["en".to_owned()],
            ..Controller::default()
        };
    };
    section.know(findings, keys::CONTROLLER);
    let mut languages: Vec<String> = Vec::new();
    for language in section.texts(findings, "languages") {
        if is_language(&language.value) {
            languages.push(language.value);
        } else {
            findings.report(
                language.line,
                &section.at("languages"),
                "bad_language",
                None,
                || "expected a language tag such as en, de or pt-BR".to_owned(),
            );
        }
    }
    if languages.is_empty() {
        if section.has("languages") {
            findings.report(
                section.line,
                &section.at("languages"),
                "missing",
                Some("Art. 12(1)"),
                || "needs at least one language, such as [\"en\"]".to_owned(),
            );
        }
        languages.push("en".to_owned());
    }
    let optional =
        |findings: &mut Findings, key| section.text(findings, key).map(|text| text.value);
    Controller {
        name: section.needed_text(
            findings,
            "name",
            Some("Art. 13(1)(a)"),
            "people have to be told who the controller is",
        ),
        address: optional(findings, "address"),
        contact: section.needed_text(
            findings,
            "contact",
            Some("Art. 13(1)(a)"),
            "people have to be told how to reach the controller",
        ),
        dpo: optional(findings, "dpo"),
        authority: optional(findings, "authority"),
        country: country(&section, findings),
        languages,
    }
}

fn country(section: &Section<'_>, findings: &mut Findings) -> Option<String> {
    let text = section.text(findings, "country")?;
    if text.value.len() == 2 && text.value.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(text.value);
    }
    findings.report(
        text.line,
        &section.at("country"),
        "bad_country",
        None,
        || "expected an ISO 3166-1 code of two capitals, such as NL".to_owned(),
    );
    None
}

fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_lowercase())
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

fn purpose(at: At<String>, section: &Section<'_>, findings: &mut Findings) -> DraftPurpose {
    section.know(findings, keys::PURPOSE);
    let titles = by_language(section, "title", findings);
    let interests = by_language(section, "interests", findings);
    if !section.has("basis") {
        findings.report(
            section.line,
            &section.path,
            "no_basis",
            Some("Art. 6(1)"),
            || "needs a `basis`: why is this processing lawful?".to_owned(),
        );
    }
    let basis = section.word(findings, "basis", "unknown_basis");
    DraftPurpose {
        renamed_from: section.text(findings, "renamed_from"),
        recipients: section.texts(findings, "recipients"),
        path: section.path.clone(),
        purpose: Purpose {
            id: 0,
            name: at.value.clone(),
            titles,
            basis: basis.unwrap_or(LawfulBasis::Consent),
            interests,
            direct_marketing: section.flag(findings, "direct_marketing"),
            retention: retention(section, findings),
            recipients: Vec::new(),
        },
        at,
    }
}

/// Texts by language.
pub(super) fn by_language(
    section: &Section<'_>,
    key: &str,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let Some(table) = section.section(findings, key) else {
        return texts;
    };
    for (language, value) in table.entries(findings) {
        let path = table.at(language.value);
        if !is_language(language.value) {
            findings.report(language.line, &path, "bad_language", None, || {
                "expected a language tag such as en, de or pt-BR".to_owned()
            });
        }
        if let Some(text) = text(findings, &path, value) {
            texts.insert(language.value.to_owned(), text.value);
        }
    }
    texts
}

fn retention(purpose: &Section<'_>, findings: &mut Findings) -> Retention {
    if !purpose.has("retention") {
        findings.report(
            purpose.line,
            &purpose.path,
            "no_retention",
            Some("Art. 5(1)(e)"),
            || {
                "needs a `retention`: how long are data kept for this, and from when? \
             People have to be told (Art. 13(2)(a))"
                    .to_owned()
            },
        );
    }
    let Some(section) = purpose.section(findings, "retention") else {
        return Retention {
            anchor: Anchor::Collected,
            period: no_period(),
            date: None,
            law: None,
        };
    };
    section.know(findings, keys::RETENTION);
    for key in ["after", "period"] {
        if !section.has(key) {
            findings.report(
                section.line,
                &section.path,
                "no_retention",
                Some("Art. 5(1)(e)"),
                || {
                    format!(
                        "needs `{key}`, as in {{ after = \"last_activity\", period = \"P2Y\" }}"
                    )
                },
            );
        }
    }
    let anchor = section
        .word(findings, "after", "unknown_word")
        .unwrap_or(Anchor::Collected);
    let date = section.text(findings, "date").and_then(|text| {
        let date = text.value.parse().ok();
        if date.is_none() {
            findings.report(text.line, &section.at("date"), "bad_date", None, || {
                "expected a date as \"YYYY-MM-DD\"".to_owned()
            });
        }
        date
    });
    if (anchor == Anchor::FixedDate) != section.has("date") {
        findings.report(
            section.line,
            &section.path,
            "bad_date",
            Some("Art. 5(1)(e)"),
            || "`after = \"fixed_date\"` and `date` go together".to_owned(),
        );
    }
    let period = period(&section, findings, "period").unwrap_or_else(no_period);
    let law = section.text(findings, "law").map(|text| text.value);
    Retention {
        anchor,
        period,
        date,
        law,
    }
}

fn no_period() -> Period {
    Period::parse("P0D").expect("a period")
}

pub(super) fn period(section: &Section<'_>, findings: &mut Findings, key: &str) -> Option<Period> {
    let text = section.text(findings, key)?;
    Period::parse(&text.value)
        .map_err(|error| {
            findings.report(
                text.line,
                &section.at(key),
                "bad_period",
                Some("Art. 5(1)(e)"),
                || error.to_string(),
            );
        })
        .ok()
}

fn recipient(at: At<String>, section: &Section<'_>, findings: &mut Findings) -> Recipient {
    section.know(findings, keys::RECIPIENT);
    let told = Some("Art. 13(1)(e)");
    let legal_name = section.needed_text(
        findings,
        "name",
        told,
        "people have to be told who receives their data",
    );
    if !section.has("country") {
        findings.report(
            section.line,
            &section.at("country"),
            "missing",
            Some("Art. 13(1)(f)"),
            || "people have to be told where their data go".to_owned(),
        );
    }
    let webhook = section.text(findings, "webhook").map(|url| {
        if !is_webhook(&url.value) {
            findings.report(
                url.line,
                &section.at("webhook"),
                "bad_url",
                Some("Art. 32(1)"),
                || "expected an https:// URL (http:// only to this machine)".to_owned(),
            );
        }
        url.value
    });
    Recipient {
        name: at.value,
        legal_name,
        country: country(section, findings).unwrap_or_default(),
        safeguard: safeguard(section, findings),
        webhook,
    }
}

fn is_webhook(url: &str) -> bool {
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    // A user name in front would be a credential in a file that people read.
    !host.is_empty()
        && !rest.contains(char::is_whitespace)
        && !authority.contains('@')
        && (secure || matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
}

fn safeguard(section: &Section<'_>, findings: &mut Findings) -> Option<Safeguard> {
    let text = section.text(findings, "safeguard")?;
    let (name, note) = match text.value.split_once(':') {
        Some((name, note)) => (
            name.trim(),
            Some(note.trim()).filter(|note| !note.is_empty()),
        ),
        None => (text.value.as_str(), None),
    };
    let path = section.at("safeguard");
    let name = At {
        line: text.line,
        value: name.to_owned(),
    };
    let kind = word(findings, &path, &name, "unknown_safeguard")?;
    if kind == SafeguardKind::Derogation && note.is_none() {
        findings.report(
            text.line,
            &path,
            "no_derogation",
            Some("Art. 49(1)"),
            || "say which exception holds: \"derogation: …\"".to_owned(),
        );
    }
    Some(Safeguard {
        kind,
        note: note.map(str::to_owned),
    })
}

fn collection(at: At<String>, section: &Section<'_>, findings: &mut Findings) -> DraftCollection {
    section.know(findings, keys::COLLECTION);
    if !section.has("kind") {
        findings.report(section.line, &section.path, "missing", None, || {
            "needs a `kind`: single (one record a person) or many".to_owned()
        });
    }
    if !section.has("fields") {
        findings.report(section.line, &section.path, "missing", None, || {
            "needs `fields`: what may be stored here?".to_owned()
        });
    }
    let kind = section.word(findings, "kind", "unknown_word");
    DraftCollection {
        renamed_from: section.text(findings, "renamed_from"),
        kind: kind.unwrap_or(CollectionKind::Single),
        retention: period(section, findings, "retention"),
        fields: section
            .sections(findings, "fields", FIELDS_MAX)
            .into_iter()
            .map(|(at, section)| field(at, &section, findings))
            .collect(),
        path: section.path.clone(),
        at,
    }
}

fn field(at: At<String>, section: &Section<'_>, findings: &mut Findings) -> DraftField {
    section.know(findings, keys::FIELD);
    if !section.has("type") {
        findings.report(section.line, &section.path, "missing", None, || {
            format!(
                "needs a `type`, one of {}",
                FieldType::ALL
                    .iter()
                    .map(|kind| kind.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        });
    }
    let kind = section.word(findings, "type", "unknown_type");
    let category = section.text(findings, "category").map(|category| {
        let is_path = category.value.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        });
        if !is_path {
            findings.report(
                category.line,
                &section.at("category"),
                "bad_category",
                None,
                || "expected a path of small words, such as user.contact.email".to_owned(),
            );
        }
        category.value
    });
    DraftField {
        renamed_from: section.text(findings, "renamed_from"),
        purposes: section.texts(findings, "purposes"),
        path: section.path.clone(),
        field: Field {
            id: 0,
            name: at.value.clone(),
            kind: kind.unwrap_or(FieldType::Text),
            category,
            purposes: Vec::new(),
            // A type that is unknown must not lead to a second finding about look-ups.
            lookup: section.flag(findings, "lookup") && kind.is_some(),
            blob: blob(section, kind, findings),
            special: section.word(findings, "special", "unknown_special"),
            art9: section.text(findings, "art9").map(|text| text.value),
            necessity: section.word(findings, "necessity", "unknown_word"),
            source: section.word(findings, "source", "unknown_word"),
        },
        has_special: section.has("special"),
        at,
    }
}

/// What a field of type `blob` accepts; on other types its keys are findings.
fn blob(
    section: &Section<'_>,
    kind: Option<FieldType>,
    findings: &mut Findings,
) -> Option<BlobRule> {
    if kind != Some(FieldType::Blob) {
        // A type that is unknown must not lead to a second finding about these.
        for key in ["media_types", "bytes_max"] {
            if kind.is_some() && section.has(key) {
                let line = section.line_of(findings, key);
                findings.report(line, &section.at(key), "not_a_blob", None, || {
                    format!("`{key}` is for fields of type blob; remove it")
                });
            }
        }
        return None;
    }
    let path = section.at("media_types");
    let texts = section.texts(findings, "media_types");
    let line = section.line_of(findings, "media_types");
    if texts.is_empty() {
        findings.report(line, &path, "no_media_types", Some("Art. 5(1)(c)"), || {
            "needs `media_types`, what is accepted, as in [\"image/jpeg\", \"audio/*\"]".to_owned()
        });
    }
    if texts.len() > MEDIA_TYPES_MAX {
        findings.report(line, &path, "too_many", None, || {
            format!("at most {MEDIA_TYPES_MAX} media types; `image/*` stands for all of one kind")
        });
    }
    let mut media_types = Vec::new();
    for text in texts {
        match MediaRange::parse(&text.value) {
            Some(range) => media_types.push(range),
            None => findings.report(text.line, &path, "bad_media_type", None, || {
                "expected a media type in small letters without parameters, such as image/jpeg, or \
                 all of one kind, such as image/*"
                    .to_owned()
            }),
        }
    }
    let bytes_max = section.number(findings, "bytes_max", BLOB_BYTES_MAX);
    Some(BlobRule {
        media_types,
        bytes_max: bytes_max.unwrap_or(BLOB_BYTES_DEFAULT),
    })
}

/// `read`: patterns, and how much each shows.
pub(super) fn read_rules(
    section: &Section<'_>,
    findings: &mut Findings,
) -> Vec<(At<Pattern>, View)> {
    let mut read = Vec::new();
    if let Some(rules) = section.section(findings, "read") {
        for (key, value) in rules.entries(findings) {
            let path = rules.at(key.value);
            // Without quotes TOML reads `profile.name = …` as a table inside a table.
            if value.get_ref().is_table() {
                findings.report(key.line, &path, "bad_pattern", None, || {
                    "put the pattern in quotes, as in \"profile.name\" = \"mask\"".to_owned()
                });
                continue;
            }
            let view = text(findings, &path, value)
                .and_then(|text| word::<View>(findings, &path, &text, "unknown_view"));
            let key = At {
                line: key.line,
                value: key.value.to_owned(),
            };
            if let (Some(pattern), Some(view)) = (pattern(&key, &path, findings), view) {
                read.push((
                    At {
                        line: key.line,
                        value: pattern,
                    },
                    view,
                ));
            }
        }
    }
    read
}

/// `restricted_use`: what restricted data may be used for.
pub(super) fn restricted_use(
    section: &Section<'_>,
    findings: &mut Findings,
) -> BTreeSet<RestrictedUse> {
    let path = section.at("restricted_use");
    section
        .texts(findings, "restricted_use")
        .iter()
        .filter_map(|text| word::<RestrictedUse>(findings, &path, text, "unknown_word"))
        .collect()
}

fn role(at: At<String>, section: &Section<'_>, findings: &mut Findings) -> DraftRole {
    section.know(findings, keys::ROLE);
    let read = read_rules(section, findings);
    let path = section.at("write");
    let write = section
        .texts(findings, "write")
        .into_iter()
        .filter_map(|text| {
            let value = pattern(&text, &path, findings)?;
            Some(At {
                line: text.line,
                value,
            })
        })
        .collect();
    let path = section.at("may");
    let may = section
        .texts(findings, "may")
        .iter()
        .filter_map(|text| word::<Capability>(findings, &path, text, "unknown_capability"))
        .collect();
    DraftRole {
        restricted_use: restricted_use(section, findings),
        purposes: section.texts(findings, "purposes"),
        read,
        write,
        ask: section.texts(findings, "ask"),
        may,
        path: section.path.clone(),
        at,
    }
}

fn pattern(text: &At<String>, path: &str, findings: &mut Findings) -> Option<Pattern> {
    let pattern = match text.value.split_once('.') {
        None if text.value == "*" => Some(Pattern::All),
        Some((collection, "*")) if !collection.contains('*') => {
            Some(Pattern::Collection(collection.to_owned()))
        }
        Some((collection, field)) if !text.value.contains('*') && !field.contains('.') => {
            Some(Pattern::Field(collection.to_owned(), field.to_owned()))
        }
        _ => None,
    };
    if pattern.is_none() {
        findings.report(text.line, path, "bad_pattern", None, || {
            "expected `collection.field`, `collection.*` or `*`".to_owned()
        });
    }
    pattern
}

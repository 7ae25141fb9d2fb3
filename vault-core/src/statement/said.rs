//! From the policy's words to a language's.

use super::phrases::Phrases;
use super::{Missing, StatedData, StatedLog, StatedPurpose, StatedRecipient, StatedRight};
use crate::policy::{
    Anchor, Collection, EEA, Field, LawfulBasis, Period, Policy, Purpose, Retention,
};

/// The name of the built-in purpose of the suppression list.
const SUPPRESSION: &str = "suppression";

/// Puts a text in the place of `{name}`. What was put in is not read again.
pub(super) fn fill(template: &str, name: &str, text: &str) -> String {
    template.replacen(&format!("{{{name}}}"), text, 1)
}

/// A period as people say it: `1 year and 6 months`.
pub(super) fn period(phrases: &Phrases, period: &Period) -> String {
    let parts: Vec<String> = period
        .units()
        .into_iter()
        .zip(phrases.units)
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {}", unit[phrases.plural.form(number)]))
        .collect();
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{}{}{last}", before.join(", "), phrases.and),
        None => format!("0 {}", phrases.units[3][2]),
    }
}

fn retention(phrases: &Phrases, rule: &Retention) -> String {
    let (at_once, after) = phrases.anchor(rule.anchor);
    let text = if rule.period.is_zero() {
        at_once.to_owned()
    } else {
        fill(after, "period", &period(phrases, &rule.period))
    };
    match rule.date {
        Some(date) => fill(&text, "date", &date.to_string()),
        None => text,
    }
}

const fn article(basis: LawfulBasis) -> &'static str {
    match basis {
        LawfulBasis::Consent => "Art. 6(1)(a)",
        LawfulBasis::Contract => "Art. 6(1)(b)",
        LawfulBasis::LegalObligation => "Art. 6(1)(c)",
        LawfulBasis::VitalInterests => "Art. 6(1)(d)",
        LawfulBasis::PublicTask => "Art. 6(1)(e)",
        LawfulBasis::LegitimateInterests => "Art. 6(1)(f)",
    }
}

pub(super) fn purposes(policy: &Policy, phrases: &Phrases, language: &str) -> Vec<StatedPurpose> {
    let stated = policy.purposes().iter();
    let stated = stated.map(|purpose| self::purpose(policy, phrases, language, purpose));
    stated.chain(suppression(policy, phrases)).collect()
}

/// The streams of logs: what becomes of personal data in them, and how long they are kept.
///
/// Source: GDPR Art. 13(2)(a), 30(1)(f).
pub(super) fn logs(policy: &Policy, phrases: &Phrases, language: &str) -> Vec<StatedLog> {
    let fallback = &policy.controller().languages[0];
    let streams = policy.log_streams().iter();
    let stated = streams.map(|stream| {
        let titles = &stream.titles;
        let title = titles.get(language).or_else(|| titles.get(fallback));
        StatedLog {
            name: stream.name.clone(),
            title: title.unwrap_or(&stream.name).clone(),
            mode: stream.mode.name(),
            words: phrases.log(stream.mode),
            retention_period: stream.retention.to_string(),
            retention_words: fill(
                phrases.logs.2,
                "period",
                &period(phrases, &stream.retention),
            ),
        }
    });
    stated.collect()
}

/// What the vault does of its own where there is direct marketing: it keeps a list of who objected.
///
/// Source: GDPR Art. 6(1)(c), 17(3)(b), 21(3).
fn suppression(policy: &Policy, phrases: &Phrases) -> Option<StatedPurpose> {
    let mut purposes = policy.purposes().iter();
    purposes.find(|purpose| purpose.direct_marketing)?;
    let (title, data, kept) = phrases.suppression;
    let basis = LawfulBasis::LegalObligation;
    Some(StatedPurpose {
        name: SUPPRESSION.to_owned(),
        title: title.to_owned(),
        title_language: None,
        basis,
        article: "Art. 6(1)(c), 21(3)",
        basis_words: phrases.basis(basis),
        interests: None,
        direct_marketing: false,
        data: vec![StatedData {
            category: Some("user.privacy_preferences".to_owned()),
            words: data,
            special: None,
            condition: None,
            necessity: None,
            source: None,
            at_most: None,
        }],
        recipients: Vec::new(),
        retention_after: Anchor::Withdrawal.name(),
        retention_period: "P0D".to_owned(),
        retention_date: None,
        retention_words: kept.to_owned(),
    })
}

fn purpose(policy: &Policy, phrases: &Phrases, language: &str, purpose: &Purpose) -> StatedPurpose {
    let fallback = &policy.controller().languages[0];
    let (title, title_language) = match purpose.titles.get(language) {
        Some(title) => (title, None),
        // The check demands a title in each of the controller's languages.
        None => (&purpose.titles[fallback], Some(fallback.clone())),
    };
    let rule = &purpose.retention;
    StatedPurpose {
        name: purpose.name.clone(),
        title: title.clone(),
        title_language,
        basis: purpose.basis,
        article: article(purpose.basis),
        basis_words: phrases.basis(purpose.basis),
        interests: purpose
            .interests
            .get(language)
            .or_else(|| purpose.interests.get(fallback))
            .cloned(),
        direct_marketing: purpose.direct_marketing,
        data: data(policy, phrases, purpose),
        recipients: recipients(policy, phrases, purpose),
        retention_after: rule.anchor.name(),
        retention_period: rule.period.to_string(),
        retention_date: (rule.anchor == Anchor::FixedDate)
            .then_some(rule.date)
            .flatten()
            .map(|date| date.to_string()),
        retention_words: retention(phrases, rule),
    }
}

/// The data of a purpose, each kind once.
fn data(policy: &Policy, phrases: &Phrases, purpose: &Purpose) -> Vec<StatedData> {
    let mut all: Vec<StatedData> = Vec::new();
    for collection in policy.collections() {
        let used = |field: &&Field| field.purposes.contains(&purpose.id);
        for field in collection.fields.iter().filter(used) {
            let one = datum(phrases, collection, field);
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all
}

fn datum(phrases: &Phrases, collection: &Collection, field: &Field) -> StatedData {
    let category = field.category.as_deref();
    StatedData {
        words: phrases.data(category, field.kind),
        category: field.category.clone(),
        special: field
            .special
            .map(|special| (special.name(), phrases.special(special))),
        condition: field.art9.clone(),
        necessity: field
            .necessity
            .map(|necessity| (necessity.name(), phrases.necessity(necessity))),
        source: field
            .source
            .map(|origin| (origin.name(), phrases.source(origin))),
        at_most: collection.retention.as_ref().map(|limit| {
            let words = fill(phrases.at_most, "period", &period(phrases, limit));
            (limit.to_string(), words)
        }),
    }
}

fn recipients(policy: &Policy, phrases: &Phrases, purpose: &Purpose) -> Vec<StatedRecipient> {
    let named = policy.recipients().iter();
    named
        .filter(|recipient| purpose.recipients.contains(&recipient.name))
        .map(|recipient| {
            let safeguard = recipient.safeguard.as_ref();
            StatedRecipient {
                name: recipient.legal_name.clone(),
                country: recipient.country.clone(),
                outside_eea: !EEA.contains(&recipient.country.as_str()),
                safeguard: safeguard.map(|safeguard| safeguard.kind.name()),
                safeguard_words: safeguard.map(|safeguard| {
                    let words = phrases.safeguard(safeguard.kind);
                    match &safeguard.note {
                        Some(note) => format!("{words}: {note}"),
                        None => words.to_owned(),
                    }
                }),
            }
        })
        .collect()
}

/// The rights that the purposes give: portability, objection and withdrawal depend on the basis.
pub(super) fn rights(policy: &Policy, phrases: &Phrases) -> Vec<StatedRight> {
    use LawfulBasis::{Consent, Contract, LegitimateInterests, PublicTask};
    let any = |bases: &[LawfulBasis]| {
        let mut purposes = policy.purposes().iter();
        purposes.any(|purpose| bases.contains(&purpose.basis))
    };
    let mut purposes = policy.purposes().iter();
    let marketing = purposes.any(|purpose| purpose.direct_marketing);
    let all = [
        (true, "Art. 15", phrases.access),
        (true, "Art. 16", phrases.rectification),
        (true, "Art. 17", phrases.erasure),
        (true, "Art. 18", phrases.restriction),
        (any(&[Consent, Contract]), "Art. 20", phrases.portability),
        (
            any(&[LegitimateInterests, PublicTask]),
            "Art. 21(1)",
            phrases.objection,
        ),
        (marketing, "Art. 21(2)", phrases.marketing),
        (any(&[Consent]), "Art. 7(3)", phrases.withdrawal),
    ];
    all.into_iter()
        .filter(|(holds, ..)| *holds)
        .map(|(_, article, (title, words))| StatedRight {
            article,
            title,
            words,
        })
        .collect()
}

/// What an article asks for and the policy does not say.
pub(super) fn missing(policy: &Policy, phrases: &Phrases) -> Vec<Missing> {
    let controller = policy.controller();
    let mut missing = Vec::new();
    let mut note = |absent: bool, article, what: String| {
        if absent {
            missing.push(Missing { article, what });
        }
    };
    let plain = str::to_owned;
    note(
        controller.address.is_none(),
        "Art. 30(1)(a)",
        plain(phrases.no_address),
    );
    note(
        controller.dpo.is_none(),
        "Art. 30(1)(a)",
        plain(phrases.no_officer),
    );
    // A policy has no keys for these three.
    note(true, "Art. 30(1)(a)", plain(phrases.no_representatives));
    note(true, "Art. 30(1)(c)", plain(phrases.no_people));
    note(true, "Art. 30(1)(g)", plain(phrases.no_measures));
    note(
        controller.authority.is_none(),
        "Art. 13(2)(d)",
        plain(phrases.no_authority),
    );
    for purpose in policy.purposes() {
        note(
            purpose.basis == LawfulBasis::LegitimateInterests && purpose.interests.is_empty(),
            "Art. 13(1)(d)",
            fill(phrases.no_interests, "name", &purpose.name),
        );
    }
    for collection in policy.collections() {
        for field in &collection.fields {
            let name = format!("{}.{}", collection.name, field.name);
            note(
                field.category.is_none(),
                "Art. 30(1)(c)",
                fill(phrases.no_category, "name", &name),
            );
        }
    }
    for tag in &controller.languages {
        note(
            Phrases::of(tag).is_none(),
            "Art. 12(1)",
            fill(phrases.no_phrases, "name", tag),
        );
    }
    missing
}

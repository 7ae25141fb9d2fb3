use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::phrases::Categories;
use super::{LANGUAGES, Published, said};
use crate::policy::{Draft, Period, Policy, SAMPLE};
use crate::schema::FieldType;

fn published(source: &str) -> Published {
    let policy: Policy = Draft::parse(source)
        .and_then(|draft| draft.assign(None, 3))
        .expect("the policy passes");
    let applied_at: Timestamp = "2026-03-01T10:00:00Z".parse().expect("an instant");
    Published::new(Arc::new(policy), applied_at)
}

fn words(language: &str, text: &str) -> String {
    let phrases = super::Phrases::of(language).expect("a language");
    said::period(phrases, &Period::parse(text).expect("a period"))
}

#[test]
fn periods_are_said_with_the_right_number_in_every_language() {
    for (language, period, said) in [
        ("en", "P1Y", "1 year"),
        ("en", "P2Y", "2 years"),
        ("en", "P1Y6M2D", "1 year, 6 months and 2 days"),
        ("de", "P1M", "1 Monat"),
        ("de", "P90D", "90 Tage"),
        ("fr", "P1Y", "1 an"),
        ("fr", "P3M", "3 mois"),
        ("es", "P2M", "2 meses"),
        ("it", "PT1H", "1 ora"),
        ("pt", "P1Y6M", "1 ano e 6 meses"),
        ("nl", "P2Y", "2 jaar"),
        ("nl", "P2W", "2 weken"),
        ("pl", "P1Y", "1 rok"),
        ("pl", "P2Y", "2 lata"),
        ("pl", "P5Y", "5 lat"),
        ("pl", "P12Y", "12 lat"),
        ("pl", "P22Y", "22 lata"),
        ("pl", "P21D", "21 dni"),
        ("pl", "P112D", "112 dni"),
        ("pl", "P14M", "14 miesięcy"),
        ("pl", "P102M", "102 miesiące"),
        ("en", "P0D", "0 days"),
    ] {
        assert_eq!(words(language, period), said, "{language} {period}");
    }
}

#[test]
fn every_language_fills_every_template_and_repeats_no_other_language() {
    let english = super::Phrases::of("en").expect("English");
    let mut titles = BTreeSet::new();
    for phrases in LANGUAGES {
        let holds = |text: &str, names: &[&str]| {
            for name in names {
                let holder = format!("{{{name}}}");
                assert_eq!(text.matches(&holder).count(), 1, "{}: {text}", phrases.tag);
            }
            let opened = text.matches('{').count();
            assert_eq!(opened, names.len(), "{}: {text}", phrases.tag);
        };
        holds(phrases.exercise, &["contact"]);
        holds(phrases.complain_to, &["authority"]);
        holds(phrases.version, &["version", "date"]);
        holds(phrases.at_most, &["period"]);
        holds(phrases.logs.2, &["period"]);
        for (at, (at_once, after)) in phrases.anchors.into_iter().enumerate() {
            let dated: &[&str] = if at == 4 { &["date"] } else { &[] };
            holds(at_once, dated);
            holds(after, &[&["period"], dated].concat());
        }
        for text in [
            phrases.no_interests,
            phrases.no_category,
            phrases.no_phrases,
        ] {
            holds(text, &["name"]);
        }
        for path in Categories::PATHS {
            let words = phrases.data(Some(path), FieldType::Text);
            assert_ne!(words, phrases.text, "{}: {path}", phrases.tag);
        }
        assert!(titles.insert(phrases.lead), "{}", phrases.tag);
        if phrases.tag != "en" {
            assert_ne!(phrases.unavailable, english.unavailable);
            assert_ne!(phrases.withdrawal, english.withdrawal);
        }
    }
}

#[test]
fn a_category_without_words_takes_those_of_the_nearest_above_and_then_of_the_type() {
    let english = super::Phrases::of("en").expect("English");
    let said = |category, kind| english.data(category, kind);
    assert_eq!(
        said(Some("user.contact.address.city"), FieldType::Text),
        "postal address"
    );
    assert_eq!(
        said(Some("user.contact.fax"), FieldType::Text),
        "contact details"
    );
    assert_eq!(said(Some("user"), FieldType::Iban), "bank account number");
    assert_eq!(said(None, FieldType::Text), "text");
}

#[test]
fn the_statement_says_what_the_policy_says_in_the_language_asked_for() {
    let published = published(SAMPLE);
    assert_eq!(published.languages(), ["en", "de"]);
    let statement = published.statement("de");
    assert_eq!(statement.language, "de");
    assert_eq!(
        (statement.policy_version, statement.date().as_str()),
        (3, "2026-03-01")
    );
    let [support, newsletter, _] = &*statement.purposes else {
        panic!("two purposes");
    };
    assert_eq!(
        support.title,
        "Ihre Fragen beantworten und Ihre Buchungen bearbeiten"
    );
    assert_eq!(support.article, "Art. 6(1)(b)");
    assert_eq!(
        support.retention_words,
        "2 Jahre nach Ihrer letzten Aktivität"
    );
    assert_eq!(
        newsletter.retention_words,
        "bis Sie Ihre Einwilligung widerrufen"
    );
    assert_eq!(support.recipients[0].name, "Carrier GmbH");
    assert!(!support.recipients[0].outside_eea);
    let limited: Vec<_> = support
        .data
        .iter()
        .filter_map(|one| one.at_most.as_ref())
        .collect();
    assert_eq!(limited[0].1, "höchstens 90 Tage");
    let newsletter: Vec<_> = newsletter.data.iter().map(|one| one.words).collect();
    assert_eq!(newsletter, ["E-Mail-Adresse"]);
    let rights: Vec<_> = statement.rights.iter().map(|right| right.article).collect();
    assert_eq!(
        rights,
        [
            "Art. 15",
            "Art. 16",
            "Art. 17",
            "Art. 18",
            "Art. 20",
            "Art. 21(2)",
            "Art. 7(3)"
        ]
    );
    // A language that is not offered falls back to the first.
    assert_eq!(published.statement("fr").language, "en");
}

#[test]
fn a_right_that_the_bases_do_not_give_is_not_promised() {
    let source = r#"
[controller]
name = "Example Town"
contact = "privacy@example.test"
languages = ["nl"]
[purposes.duty]
title.nl = "Wettelijke plicht"
basis = "legal_obligation"
retention = { after = "fixed_date", period = "P1Y", date = "2030-01-31" }
"#;
    let statement = published(source).statement("nl");
    let rights: Vec<_> = statement.rights.iter().map(|right| right.article).collect();
    assert_eq!(rights, ["Art. 15", "Art. 16", "Art. 17", "Art. 18"]);
    assert_eq!(
        statement.purposes[0].retention_words,
        "1 jaar na 2030-01-31"
    );
    assert_eq!(statement.complain_to(), None);
}

#[test]
fn what_the_policy_cannot_say_is_named_and_not_invented() {
    let source = r#"
[controller]
name = "Example Town"
contact = "privacy@example.test"
languages = ["sv"]
[purposes.help]
title.sv = "Hjälp"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1D" }
recipients = ["far"]
[recipients.far]
name = "Far Inc."
country = "US"
safeguard = "scc: module 2"
[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text", purposes = ["help"] }
"#;
    let published = published(source);
    assert_eq!(published.languages(), ["en"]);
    let record = published.processing_record("en");
    let purpose = &record.statement.purposes[0];
    assert_eq!(purpose.title, "Hjälp");
    assert_eq!(purpose.title_language.as_deref(), Some("sv"));
    let far = &purpose.recipients[0];
    assert!(far.outside_eea);
    assert_eq!(
        far.safeguard_words.as_deref(),
        Some("standard contractual clauses: module 2")
    );
    let missing: Vec<_> = record
        .missing
        .iter()
        .map(|one| (one.article, one.what.as_str()))
        .collect();
    for expected in [
        ("Art. 30(1)(a)", "the controller’s address"),
        ("Art. 30(1)(a)", "the data protection officer"),
        ("Art. 30(1)(c)", "the categories of data subjects"),
        (
            "Art. 30(1)(g)",
            "a general description of the security measures",
        ),
        ("Art. 13(2)(d)", "the supervisory authority"),
        (
            "Art. 13(1)(d)",
            "which legitimate interests are pursued: help",
        ),
        ("Art. 30(1)(c)", "the data category: notes.text"),
        (
            "Art. 12(1)",
            "the fixed phrases of this statement in the language: sv",
        ),
    ] {
        assert!(missing.contains(&expected), "{expected:?} of {missing:?}");
    }
    let whole = self::published(SAMPLE).processing_record("en");
    assert!(!whole.missing.iter().any(|one| one.what.contains("officer")));
}

#[test]
fn a_controller_whose_name_looks_like_a_template_is_not_filled_again() {
    assert_eq!(said::fill("{a} and {a}", "a", "{a}"), "{a} and {a}");
    let source = SAMPLE.replace("privacy@example.test", "{authority}");
    let statement = published(&source).statement("en");
    assert!(statement.exercise().contains("{authority}"));
}

#[test]
fn art_13_1_d_interests_are_told_in_notice_statement_and_record() {
    let source = SAMPLE.replacen(
        "basis = \"contract\"",
        "basis = \"legitimate_interests\"\ninterests.en = \"Fewer calls\"\ninterests.de = \"Weniger Anrufe\"",
        1,
    );
    let told = published(&source);
    for (language, text) in [("en", "Fewer calls"), ("de", "Weniger Anrufe")] {
        let statement = told.statement(language);
        assert_eq!(statement.purposes[0].interests.as_deref(), Some(text));
        assert!(
            super::Notice::of(&told.policy, Some(language))
                .text
                .contains(text)
        );
    }
    let lacks = |published: &Published| {
        let missing = published.processing_record("en").missing;
        missing.iter().any(|one| one.article == "Art. 13(1)(d)")
    };
    assert!(!lacks(&told));
    let silent = SAMPLE.replacen(
        "basis = \"contract\"",
        "basis = \"legitimate_interests\"",
        1,
    );
    assert!(lacks(&published(&silent)));
}

#[test]
fn art_21_3_the_suppression_list_is_told_where_there_is_direct_marketing_and_nowhere_else() {
    let with = published(SAMPLE);
    for phrases in LANGUAGES {
        assert_ne!(
            phrases.suppression.0, phrases.suppression.1,
            "{}",
            phrases.tag
        );
    }
    let statement = with.statement("en");
    let last = statement.purposes.last().expect("one");
    assert_eq!(
        (&*last.name, last.article),
        ("suppression", "Art. 6(1)(c), 21(3)")
    );
    assert!(
        super::Notice::of(&with.policy, Some("de"))
            .text
            .contains("Fingerabdruck")
    );
    assert_eq!(with.processing_record("en").statement.purposes.len(), 3);
    let without = published(&SAMPLE.replace("direct_marketing = true\n", ""));
    assert!(
        without
            .statement("en")
            .purposes
            .iter()
            .all(|one| one.name != "suppression")
    );
}

#[test]
fn logs_are_told_with_their_end_and_not_where_there_are_none() {
    let of = |more: &str| {
        let source = format!("{}\n{more}", crate::policy::SAMPLE);
        let draft = crate::policy::Draft::parse(&source).expect("a policy");
        let policy = std::sync::Arc::new(draft.assign(None, 1).expect("numbers"));
        super::Published::new(policy, jiff::Timestamp::UNIX_EPOCH)
    };
    assert_eq!(of("").statement("en").logs, []);
    let stream = "[logs.bot]\nmode = \"redact\"\nretention = \"P30D\"\n";
    let told = of(stream);
    let line = told.statement("en").logs[0].line();
    let expected = "bot: personal data that are recognised are taken out; kept for 30 days";
    assert_eq!(line, expected);
    let notice = super::Notice::of(&told.policy, Some("en"));
    assert!(notice.text.contains(expected), "{}", notice.text);
    let silent = super::Notice::of(&of("").policy, Some("en"));
    assert!(!silent.text.contains("Logs of our services"));
    let material = |more: &str| of(more).policy.notice_material();
    assert_ne!(material(stream), material(""));
    assert_ne!(material(stream), material(&stream.replace("P30D", "P31D")));
}

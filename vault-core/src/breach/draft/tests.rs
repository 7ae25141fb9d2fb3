//! What drafts say, in every language, and what they leave to a person.

use super::*;
use crate::breach::{BulkScope, ScopeOf};
use crate::policy::{Draft as PolicyDraft, SAMPLE};
use crate::statement::LANGUAGES;

fn policy() -> Policy {
    let draft = PolicyDraft::parse(SAMPLE).expect("a policy");
    draft.assign(None, 1).expect("numbers")
}

fn report(kind: &str) -> BreachReport {
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let category = |category: &str, special: Option<&str>, people| CategoryScope {
        category: category.into(),
        special: special.map(Into::into),
        people,
    };
    BreachReport {
        of: ScopeOf {
            kind: kind.into(),
            name: "tok_name".into(),
        },
        from: at("2026-03-01T00:00:00Z"),
        to: at("2026-03-08T00:00:00Z"),
        made_at: at("2026-03-09T10:00:00Z"),
        log_size: 9,
        ciphertext_only: false,
        at_most: false,
        people: 1_234,
        people_without_values: 5,
        reads: 77,
        writes: 3,
        refused: 0,
        first: Some(at("2026-03-02T00:00:00Z")),
        last: Some(at("2026-03-03T00:00:00Z")),
        not_resolvable: 6,
        damaged: 0,
        bulk: BulkScope {
            calls: 2,
            records: 4_000,
            fields: vec!["messages.text".into()],
        },
        categories: vec![
            category("user.health", Some("health"), 12),
            category("user.contact.email", None, 1_200),
        ],
        fields: Vec::new(),
    }
}

#[test]
fn art_33_3_every_language_names_what_the_article_asks_for_and_leaves_blanks() {
    let policy = policy();
    let due = (
        "2026-03-09T09:00:00Z".parse().expect("an instant"),
        "2026-03-12T09:00:00Z".parse().expect("an instant"),
    );
    for phrases in LANGUAGES {
        for kind in KINDS {
            let report = report(kind);
            let text = draft(
                &policy,
                &report,
                DraftFor::Authority,
                phrases.tag,
                Some(due),
            );
            let text = text.expect("there are words");
            for fact in [
                "Example Travel B.V.",
                "Autoriteit Persoonsgegevens",
                "dpo@example.test",
                "1234",
                "2026-03-12 09:00 UTC",
                "77",
                "4000",
                ": 12\n",
                ": 1200\n",
            ] {
                assert!(
                    text.contains(fact),
                    "{} {kind}: {fact}\n{text}",
                    phrases.tag
                );
            }
            assert_eq!(
                text.contains("tok_name"),
                kind != "files",
                "{} {kind}",
                phrases.tag
            );
            assert!(!text.contains('{') && !text.contains('}'), "{text}");
            // What happened, why late, consequences, measures.
            assert_eq!(text.matches('⟦').count(), 4 + 1, "{}: {text}", phrases.tag);
            let special = text.find(": 12\n").expect("it is there");
            let other = text.find(": 1200\n").expect("it is there");
            assert!(special < other, "special data come first");
        }
    }
    assert_eq!(
        draft(&policy, &report("files"), DraftFor::People, "xx", None),
        Err(DraftError::Language)
    );
}

#[test]
fn art_34_2_a_letter_is_plain_and_says_whom_to_ask_and_counts_nobody() {
    let policy = policy();
    for phrases in LANGUAGES {
        let mut report = report("api_key");
        let text = |report: &BreachReport| {
            draft(&policy, report, DraftFor::People, phrases.tag, None).expect("words")
        };
        let letter = text(&report);
        for fact in [
            "Example Travel B.V.",
            "dpo@example.test",
            "Autoriteit Persoonsgegevens",
        ] {
            assert!(letter.contains(fact), "{}: {letter}", phrases.tag);
        }
        for number in ["1234", "tok_name", "77", "messages.text", "34(3)"] {
            assert!(!letter.contains(number), "{}: {letter}", phrases.tag);
        }
        assert!(
            !letter.contains('{') && letter.matches('⟦').count() == 5,
            "{letter}"
        );
        report.ciphertext_only = true;
        let warned = text(&report);
        let not_needed = words::of(phrases.tag).expect("words").not_needed;
        assert!(warned.contains(not_needed) && !letter.contains(not_needed));
    }
}

#[test]
fn art_34_2_a_letter_names_data_of_calls_over_many_and_is_none_without_any() {
    let policy = policy();
    for phrases in LANGUAGES {
        let letter =
            |report: &BreachReport| draft(&policy, report, DraftFor::People, phrases.tag, None);
        let mut many = report("api_key");
        many.categories.clear();
        // The section names the category, in words; with the name of the field no reader would know what it is.
        let text = letter(&many).expect("words");
        let which = words::of(phrases.tag).expect("words").which_data;
        let (_, section) = text.split_once(which).expect("the section");
        let named = section.trim_start().starts_with("- ");
        assert!(named && !text.contains("messages.text"), "{text}");
        let none = words::of(phrases.tag).expect("words").none;
        assert!(
            !section.trim_start().starts_with(&format!("- {none}\n")),
            "{text}"
        );
        many.bulk.fields.clear();
        assert_eq!(letter(&many), Err(DraftError::NoData), "{}", phrases.tag);
        // The authority is told that it is none.
        let told = draft(&policy, &many, DraftFor::Authority, phrases.tag, None);
        assert!(told.expect("words").contains(&format!("- {none}\n")));
    }
}

#[test]
fn who_cannot_be_opened_is_told_of_apart_from_who_was_erased() {
    let policy = policy();
    for phrases in LANGUAGES {
        let mut report = report("api_key");
        let text = |report: &BreachReport| {
            draft(&policy, report, DraftFor::Authority, phrases.tag, None).expect("words")
        };
        let words = words::of(phrases.tag).expect("words");
        let damaged = fill(words.damaged, &[("number", "43")]);
        assert!(damaged.contains("43") && !text(&report).contains(&damaged));
        report.damaged = 43;
        assert!(text(&report).contains(&damaged), "{}", phrases.tag);
    }
}

/// The window of a recipient is when it was given the data: nobody knows by it when they were exposed.
#[test]
fn of_a_recipient_drafts_say_its_legal_name_and_no_time_of_a_breach() {
    let policy = policy();
    let known = policy.recipients().first().expect("the sample has one");
    for whom in [DraftFor::Authority, DraftFor::People] {
        let mut report = report("recipient");
        report.of.name.clone_from(&known.name);
        (report.reads, report.writes, report.at_most) = (0, 0, true);
        let text = draft(&policy, &report, whom, "en", None).expect("words");
        assert!(text.contains(&known.legal_name), "{text}");
        assert!(
            !text.contains("2026-03-01") && !text.contains("2026-03-02"),
            "{text}"
        );
        let at_most = words::of("en").expect("words").at_most;
        assert!(!text.contains(at_most), "they are those that were given");
    }
}

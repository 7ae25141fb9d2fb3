//! The pages of a link with which somebody picks a copy of their data up.
//!
//! Forms and words, nothing else: no script, nothing from elsewhere. What stands on a page says nothing of whether there
//! is such a link, whose it is or where a code went, and the token in it is the one that was sent.

mod words;

use std::sync::LazyLock;

use maud::{Markup, html};
use vault_core::limits::{
    CODE_DIGITS, CODE_MINUTES, CODE_TRIES_MAX, CODES_PER_HOUR_MAX, PICKUP_HOURS,
};

use super::Frame;
use crate::urls;

pub(crate) use words::{LANGUAGES, Words};

/// The name of the form's one field.
pub(crate) const CODE: &str = "code";

/// The `Content-Security-Policy` of these pages: forms go to this server.
pub(crate) static POLICY: LazyLock<String> =
    LazyLock::new(|| super::POLICY.replace("form-action 'none'", "form-action 'self'"));

/// Puts the limits into a text.
fn filled(text: &str) -> String {
    text.replace("{hours}", &PICKUP_HOURS.to_string())
        .replace("{minutes}", &CODE_MINUTES.to_string())
        .replace("{digits}", &CODE_DIGITS.to_string())
        .replace("{tries}", &CODE_TRIES_MAX.to_string())
        .replace("{codes}", &CODES_PER_HOUR_MAX.to_string())
}

fn page(words: &Words, heading: &str, content: &Markup) -> String {
    let frame = Frame {
        language: words.tag,
        title: heading,
        aside: None,
    };
    let content = html! {
        h1 { (heading) }
        (content)
        p .small { a href=(urls::PRIVACY) { (words.reach) } }
    };
    super::page(&frame, &content)
}

/// Has a code sent.
fn send(words: &Words, token: &str, button: &str, first: bool) -> Markup {
    let class = if first { "first" } else { "second" };
    html! {
        form method="post" action=(urls::at(urls::PICKUP_CODE, &[&token])) {
            p { button .(class) type="submit" { (button) } }
        }
        @if first { p .dim { (filled(words.once)) } }
    }
}

/// Takes the code.
fn take(words: &Words, token: &str) -> Markup {
    html! {
        form method="post" action=(urls::at(urls::PICKUP, &[&token])) autocomplete="off" {
            p {
                label for=(CODE) { (filled(words.label)) }
                input #(CODE) name=(CODE) type="text" inputmode="numeric" autocomplete="one-time-code"
                    maxlength="20" required;
            }
            p { button .first type="submit" { (words.open) } }
        }
    }
}

/// What the link leads to.
pub(crate) fn begin(words: &Words, token: &str) -> String {
    let content = html! {
        p { (filled(words.lead)) }
        p { (words.first) }
        (send(words, token, words.send, true))
    };
    page(words, words.title, &content)
}

/// A code is on its way, or not: the same is said.
pub(crate) fn sent(words: &Words, token: &str) -> String {
    let content = html! {
        p role="status" { (filled(words.sent)) }
        (take(words, token))
        p .dim { (filled(words.keep)) }
        p { (filled(words.missing)) }
        (send(words, token, words.send_again, false))
    };
    page(words, words.title, &content)
}

/// It does not open, for one of many reasons.
pub(crate) fn no(words: &Words, token: &str) -> String {
    let content = html! {
        p role="alert" { (filled(words.no)) }
        (take(words, token))
        p { (filled(words.no_next)) }
        (send(words, token, words.send_again, false))
    };
    page(words, words.no_title, &content)
}

/// It was opened before.
pub(crate) fn used(words: &Words) -> String {
    let content = html! {
        p role="alert" { (words.used) }
        p { (words.used_own) }
        p { strong { (words.used_other) } }
    };
    page(words, words.used_title, &content)
}

/// What was followed is no whole link.
pub(crate) fn incomplete(words: &Words) -> String {
    let content = html! { p role="alert" { (words.incomplete) } };
    page(words, words.no_title, &content)
}

/// Nothing can be picked up now.
pub(crate) fn busy(words: &Words) -> String {
    let content = html! { p role="alert" { (words.busy) } };
    page(words, words.title, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::is_inert;

    const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn all(words: &Words) -> [String; 6] {
        [
            begin(words, TOKEN),
            sent(words, TOKEN),
            no(words, TOKEN),
            used(words),
            incomplete(words),
            busy(words),
        ]
    }

    #[test]
    fn no_page_runs_a_script_names_another_host_or_sends_a_form_elsewhere() {
        for words in LANGUAGES {
            for page in all(words) {
                is_inert(&page);
                let forms = page
                    .matches("<form method=\"post\" action=\"/pickup/")
                    .count();
                assert_eq!(page.matches("<form").count(), forms);
            }
        }
    }

    #[test]
    fn every_page_has_a_language_one_heading_and_labels_and_no_text_is_left_unfilled() {
        for words in LANGUAGES {
            for page in all(words) {
                assert!(page.contains(&format!("<html lang=\"{}\"", words.tag)));
                assert_eq!(page.matches("<h1").count(), 1);
                assert_eq!(page.matches("<main id=\"main\">").count(), 1);
                let inputs = page.matches("<input").count();
                assert_eq!(page.matches("<label for=\"code\"").count(), inputs);
                for name in ["hours", "minutes", "digits", "tries", "codes"] {
                    assert!(!page.contains(&format!("{{{name}}}")), "{name}");
                }
            }
        }
    }

    #[test]
    fn every_language_says_everything_in_its_own_words() {
        let english = LANGUAGES[0];
        assert_eq!(english.tag, "en", "what nobody chose is English");
        let mut tags: Vec<_> = LANGUAGES.iter().map(|words| words.tag).collect();
        tags.sort_unstable();
        let mut spoken: Vec<_> = vault_core::dialogue::Language::ALL
            .iter()
            .map(|language| language.name())
            .collect();
        spoken.sort_unstable();
        assert_eq!(tags, spoken);
        for words in LANGUAGES {
            for (own, first) in words.texts().into_iter().zip(english.texts()) {
                assert!(!own.trim().is_empty());
                assert!(words.tag == "en" || own != first, "{}: {own}", words.tag);
                let places = |text: &str| {
                    let mut all: Vec<String> = text
                        .split('{')
                        .skip(1)
                        .filter_map(|part| Some(part.split_once('}')?.0.to_owned()))
                        .collect();
                    all.sort();
                    all
                };
                assert_eq!(places(own), places(first), "{}: {own}", words.tag);
            }
        }
    }
}

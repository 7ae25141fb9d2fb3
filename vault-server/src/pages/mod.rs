//! Pages for people: one look, no scripts, nothing from elsewhere.
//!
//! Every text goes through `maud`, which escapes by construction. The one style sheet stands in the
//! page and is named by its hash in the policy of the page, so that a text which found its way into
//! a page could neither run nor load nor style anything.

pub(crate) mod docs;
pub(crate) mod pickup;
pub(crate) mod problems;
pub(crate) mod receipt;
pub(crate) mod record;
pub(crate) mod statement;

use std::sync::LazyLock;

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::reply::Reply;

const STYLE: &str = include_str!("style.css");

/// The `Content-Security-Policy` of every page.
pub(crate) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64.encode(&Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The `Content-Security-Policy` that goes with a page of this crate, for whoever serves one.
#[must_use]
pub fn policy() -> &'static str {
    &POLICY
}

/// What a page has around its content.
pub(crate) struct Frame<'a> {
    /// BCP 47.
    pub(crate) language: &'a str,
    pub(crate) title: &'a str,
    /// What stands beside the content: ways through it.
    pub(crate) aside: Option<Markup>,
}

/// A whole page.
pub(crate) fn page(frame: &Frame<'_>, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(frame.language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (frame.title) }
                style { (PreEscaped(STYLE)) }
            }
            body class=[frame.aside.is_some().then_some("wide")] {
                @if let Some(aside) = &frame.aside { (aside) }
                main #main { (content) }
            }
        }
    };
    page.into_string()
}

/// A page as an answer.
pub(crate) fn reply(status: u16, page: String) -> Reply {
    Reply::bytes(status, "text/html; charset=utf-8", page.into_bytes())
}

/// A text whose `quoted` parts are code, in paragraphs.
fn prose(text: &str) -> Markup {
    html! {
        @for paragraph in text.split("\n\n") { p { (inline(paragraph)) } }
    }
}

/// A text whose `quoted` parts are code.
fn inline(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    /// Every page that is made without a vault.
    fn all() -> Vec<String> {
        let problems = Code::ALL.iter().map(|code| problems::one(*code));
        [docs::page().to_owned(), problems::list()]
            .into_iter()
            .chain(problems)
            .chain([statement::unavailable("de")])
            .chain([receipt::html(&receipt::tests::example(), None, None)])
            .collect()
    }

    /// Holds of every page: nothing in it runs, comes from elsewhere or names another host.
    #[track_caller]
    pub(super) fn is_inert(page: &str) {
        for forbidden in [
            "<script",
            " src=",
            "http://",
            "https://",
            "@import",
            "url(",
            "javascript:",
            " style=",
            " onclick",
            "<iframe",
            "<img",
        ] {
            assert!(!page.contains(forbidden), "{forbidden} in {page:.200}");
        }
    }

    #[test]
    fn no_page_runs_a_script_sends_a_form_or_names_another_host() {
        for page in all() {
            is_inert(&page);
            assert!(!page.contains("<form"), "{page:.200}");
        }
    }

    #[test]
    fn every_page_has_one_first_heading_a_language_a_main_part_and_no_heading_out_of_order() {
        for page in all() {
            assert!(page.contains("<html lang=\""), "{page:.200}");
            assert_eq!(page.matches("<main id=\"main\">").count(), 1);
            assert_eq!(page.matches("<h1").count(), 1);
            let mut before = 0;
            for part in page.split("<h").skip(1) {
                let Some(level) = part.chars().next().and_then(|one| one.to_digit(10)) else {
                    continue;
                };
                assert!(
                    level <= before + 1,
                    "h{level} after h{before} in {page:.200}"
                );
                before = level;
            }
        }
    }

    #[test]
    fn every_link_within_a_page_leads_somewhere_and_every_id_stands_once() {
        for page in all() {
            let ids: Vec<_> = page
                .split(" id=\"")
                .skip(1)
                .filter_map(|part| part.split('"').next())
                .collect();
            let unique: std::collections::BTreeSet<_> = ids.iter().collect();
            assert_eq!(unique.len(), ids.len());
            for link in page.split("href=\"#").skip(1) {
                let target = link.split('"').next().unwrap_or_default();
                assert!(ids.contains(&target), "#{target}");
            }
        }
    }

    #[test]
    fn a_text_that_looks_like_markup_is_shown_and_not_run() {
        let shown = inline("<script>alert(1)</script> `<b>` & \"x\"").into_string();
        assert!(!shown.contains("<script") && !shown.contains("<b>"));
        assert!(shown.contains("&lt;script&gt;"));
    }
}

//! The public statement as a page and as Markdown.

use std::fmt::Write as _;

use maud::{Markup, html};
use vault_core::statement::{Phrases, StatedData, StatedPurpose, StatedRecipient, Statement};

use super::Frame;
use crate::urls;

/// The statement as a page; `languages` are those that it can be had in.
pub(crate) fn html(statement: &Statement, languages: &[&str]) -> String {
    let phrases = statement.phrases;
    let controller = &statement.controller;
    let others = languages.iter().filter(|tag| **tag != statement.language);
    let content = html! {
        h1 { (phrases.title) }
        p { strong { (controller.name) } }
        p { (phrases.lead) }
        @if languages.len() > 1 {
            nav aria-label=(phrases.other_languages) {
                ul .langs {
                    @for tag in others {
                        li { a href={ (urls::PRIVACY) "?lang=" (tag) } hreflang=(tag) lang=(tag) {
                            (Phrases::of(tag).map_or(*tag, |phrases| phrases.endonym))
                        } }
                    }
                }
            }
        }
        h2 { (phrases.responsible) }
        dl .pairs {
            dt { (controller.name) }
            @for (label, text) in identity(statement) { dd { (label) ": " (reach(text)) } }
            @if let Some(officer) = &controller.dpo {
                dt { (phrases.officer) }
                dd { (reach(officer)) }
            }
        }
        h2 { (phrases.purposes) }
        @for purpose in &statement.purposes { (stated(phrases, purpose)) }
        @if !statement.logs.is_empty() {
            h2 { (phrases.logs()) }
            ul { @for log in &statement.logs { li { (log.line()) } } }
        }
        h2 { (phrases.rights) }
        dl .pairs {
            @for right in &statement.rights {
                dt { (right.title) " " span .dim.small { (right.article) } }
                dd { (right.words) }
            }
        }
        p { (statement.exercise()) }
        h2 { (phrases.complaint) }
        @if let Some(text) = statement.complain_to() { p { (text) } }
        p { (phrases.complain) " " span .dim.small { "Art. 77" } }
        h2 { (phrases.automated) }
        p { (phrases.none_automated) " " span .dim.small { "Art. 22" } }
        p .dim.small { (statement.version()) }
    };
    let title = format!("{} – {}", phrases.title, controller.name);
    let frame = Frame {
        language: &statement.language,
        title: &title,
        aside: None,
    };
    super::page(&frame, &content)
}

/// What stands where the statement cannot be read now.
pub(crate) fn unavailable(language: &str) -> String {
    let phrases = Phrases::of(language)
        .or_else(|| Phrases::of("en"))
        .expect("English is there");
    let content = html! {
        h1 { (phrases.title) }
        p { (phrases.unavailable) }
    };
    let frame = Frame {
        language: phrases.tag,
        title: phrases.title,
        aside: None,
    };
    super::page(&frame, &content)
}

/// Labels and texts of who is responsible, as far as the policy says.
pub(super) fn identity(statement: &Statement) -> Vec<(&'static str, &str)> {
    let (phrases, controller) = (statement.phrases, &statement.controller);
    let mut all = Vec::new();
    all.extend(
        controller
            .address
            .as_deref()
            .map(|text| (phrases.address, text)),
    );
    all.extend(
        controller
            .country
            .as_deref()
            .map(|text| (phrases.country, text)),
    );
    all.push((phrases.contact, &controller.contact));
    all
}

/// A contact; one that is a plain address of mail can be followed.
fn reach(text: &str) -> Markup {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+@".contains(c);
    let mail = text.matches('@').count() == 1 && text.chars().all(plain);
    html! {
        @if mail { a href={ "mailto:" (text) } { (text) } } @else { (text) }
    }
}

fn stated(phrases: &Phrases, purpose: &StatedPurpose) -> Markup {
    html! {
        section .card {
            h3 lang=[purpose.title_language.as_deref()] { (purpose.title) }
            dl {
                dt { (phrases.basis) }
                dd { (purpose.basis_words) " " span .dim.small { (purpose.article) }
                    @if purpose.direct_marketing { br; (phrases.marketing().0) " " span .dim.small { "Art. 21(2)" } } }
                @if let Some(text) = &purpose.interests {
                    dt { (phrases.interests) }
                    dd lang=[purpose.title_language.as_deref()] { (text) }
                }
                @if !purpose.data.is_empty() {
                    dt { (phrases.data) }
                    dd { ul { @for one in &purpose.data { li { (datum(one)) } } } }
                }
                dt { (phrases.recipients) }
                dd {
                    @if purpose.recipients.is_empty() { (phrases.nobody) }
                    @else { ul { @for one in &purpose.recipients { li { (recipient(phrases, one)) } } } }
                }
                dt { (phrases.retention) }
                dd { (purpose.retention_words) }
            }
        }
    }
}

/// One kind of data with what is known of it in brackets.
pub(super) fn datum(one: &StatedData) -> String {
    let mut more: Vec<&str> = Vec::new();
    // The words of a category often say the special one already.
    more.extend(
        one.special
            .map(|(_, words)| words)
            .filter(|words| *words != one.words),
    );
    more.extend(one.condition.as_deref());
    more.extend(one.necessity.map(|(_, words)| words));
    more.extend(one.source.map(|(_, words)| words));
    more.extend(one.at_most.as_ref().map(|(_, words)| words.as_str()));
    bracketed(one.words, &more)
}

/// One recipient with its country, and why data may go there.
pub(super) fn recipient(phrases: &Phrases, one: &StatedRecipient) -> String {
    let mut more = vec![one.country.as_str()];
    if one.outside_eea {
        more.push(phrases.outside_eea);
    }
    more.extend(one.safeguard_words.as_deref());
    bracketed(&one.name, &more)
}

fn bracketed(words: &str, more: &[&str]) -> String {
    match more {
        [] => words.to_owned(),
        more => format!("{words} ({})", more.join("; ")),
    }
}

/// Text for Markdown: what would be read as markup is escaped (CommonMark §2.4).
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\`*_{}[]<>()#+-!|&~".contains(character) {
            out.push('\\');
        }
        out.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    out
}

/// The statement as Markdown (CommonMark).
pub(crate) fn markdown(statement: &Statement) -> String {
    let phrases = statement.phrases;
    let controller = &statement.controller;
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!(
        "# {}\n\n{}\n",
        plain(phrases.title),
        plain(phrases.lead)
    ));
    line(format!(
        "## {}\n\n{}\n",
        plain(phrases.responsible),
        plain(&controller.name)
    ));
    for (label, text) in identity(statement) {
        line(format!("- {}: {}", plain(label), plain(text)));
    }
    if let Some(officer) = &controller.dpo {
        line(format!("- {}: {}", plain(phrases.officer), plain(officer)));
    }
    line(format!("\n## {}\n", plain(phrases.purposes)));
    line(purposes(statement));
    line(logs(statement));
    line(format!("## {}\n", plain(phrases.rights)));
    for right in &statement.rights {
        let (title, words) = (plain(right.title), plain(right.words));
        line(format!("- **{title}** ({}): {words}", right.article));
    }
    line(format!("\n{}\n", plain(&statement.exercise())));
    line(format!("## {}\n", plain(phrases.complaint)));
    if let Some(text) = statement.complain_to() {
        line(format!("{}\n", plain(&text)));
    }
    line(format!("{} (Art. 77)\n", plain(phrases.complain)));
    line(format!(
        "## {}\n\n{} (Art. 22)\n",
        plain(phrases.automated),
        plain(phrases.none_automated)
    ));
    line(plain(&statement.version()));
    out
}

/// The streams of logs as Markdown; nothing where there are none.
pub(super) fn logs(statement: &Statement) -> String {
    let mut out = String::new();
    if statement.logs.is_empty() {
        return out;
    }
    let _ = writeln!(out, "## {}\n", plain(statement.phrases.logs()));
    for log in &statement.logs {
        let _ = writeln!(out, "- {}", plain(&log.line()));
    }
    out
}

/// The purposes as Markdown.
pub(super) fn purposes(statement: &Statement) -> String {
    let phrases = statement.phrases;
    let mut out = String::new();
    for purpose in &statement.purposes {
        let _ = writeln!(out, "### {}\n", plain(&purpose.title));
        let (basis, words) = (plain(phrases.basis), plain(purpose.basis_words));
        let _ = writeln!(out, "- {basis}: {words} ({})", purpose.article);
        if let Some(text) = &purpose.interests {
            let _ = writeln!(out, "- {}: {}", plain(phrases.interests), plain(text));
        }
        let lists = [
            (
                phrases.data,
                purpose.data.iter().map(datum).collect::<Vec<_>>(),
            ),
            (
                phrases.recipients,
                match &*purpose.recipients {
                    [] => vec![phrases.nobody.to_owned()],
                    all => all.iter().map(|one| recipient(phrases, one)).collect(),
                },
            ),
        ];
        for (label, items) in lists {
            if !items.is_empty() {
                let _ = writeln!(out, "- {}:", plain(label));
            }
            for item in items {
                let _ = writeln!(out, "  - {}", plain(&item));
            }
        }
        let (label, words) = (plain(phrases.retention), plain(&purpose.retention_words));
        let _ = writeln!(out, "- {label}: {words}\n");
    }
    out
}

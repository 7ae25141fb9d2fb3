//! The page: plain HTML, no script, nothing from elsewhere.
//!
//! Every text goes through `maud`, which escapes by construction. The language of what the vault says is
//! marked; the page itself is in English.

use maud::{DOCTYPE, Markup, html};
use vault_core::dialogue::Language;

use super::seed;
use super::stage::{LINES_MAX, Line, Persona, Stage, TEXT_CHARACTERS_MAX, Talk};
use crate::talk::{Answer, Choice};

/// What somebody may begin with.
const BEGINNINGS: [&str; 5] = [
    "delete me",
    "what do you know about me?",
    "no more advertising",
    "my phone number is wrong",
    "who received my data?",
];
/// Characters of an id behind its prefix.
const ID_CHARACTERS: usize = 26;

/// What a page is made of beside what happened.
pub(super) struct Frame<'a> {
    /// The server's address.
    pub(super) server: &'a str,
    /// What every form has to bring back.
    pub(super) token: &'a str,
}

pub(super) fn page(frame: &Frame<'_>, stage: &Stage) -> String {
    let whole = html! {
        header {
            h1 { "Talk to the vault" }
            p .dim { "A page of " code { "vault-cli dev" } ", on this machine alone, with invented people. What you write goes to "
                code { "POST /v1/dialogue/turn" } " as a bot would relay it; the bot itself says nothing here." }
        }
        div .columns {
            (conversation(frame, stage))
            div .beside {
                (mailbox(stage))
                (settings(frame, stage))
            }
        }
    };
    document("Talk to the vault", &whole)
}

/// A page with one text, such as a request as it stands.
pub(super) fn plain(title: &str, text: &str) -> String {
    document(
        title,
        &html! {
            h1 { (title) }
            pre tabindex="0" { (text) }
            p { a href="/#text" { "Back to the conversation" } }
        },
    )
}

fn document(title: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
            }
            body { main { (content) } }
        }
    };
    page.into_string()
}

fn token(frame: &Frame<'_>) -> Markup {
    html! { input type="hidden" name="token" value=(frame.token); }
}

/// What a form that sends a message has to bring back.
fn hidden(frame: &Frame<'_>, stage: &Stage) -> Markup {
    html! { (token(frame)) input type="hidden" name="message" value=(stage.next); }
}

fn who(persona: Persona) -> &'static str {
    match persona {
        Persona::Invented => seed::NAME,
        Persona::Unknown => "somebody whom the vault does not know",
    }
}

fn conversation(frame: &Frame<'_>, stage: &Stage) -> Markup {
    let talk = stage.talk();
    let newest = talk
        .lines
        .iter()
        .rposition(|line| matches!(line, Line::Answer(answer) if answer.handled()));
    html! {
        section .talk aria-labelledby="talk" {
            h2 #talk { "You are " (who(stage.persona)) }
            @if talk.lines.is_empty() { (beginnings(frame, stage)) }
            @else {
                @if talk.lines.len() == LINES_MAX { p .dim { "Earlier lines are not kept." } }
                ol .lines role="log" aria-label="What was said" {
                    @for (at, line) in talk.lines.iter().enumerate() {
                        (said(frame, stage, line, newest == Some(at)))
                    }
                }
            }
            (write(frame, stage, talk))
        }
    }
}

fn beginnings(frame: &Frame<'_>, stage: &Stage) -> Markup {
    html! {
        p { "Write as people do, in any of eight languages. Or begin with one of these:" }
        form method="post" action="/say" .chips {
            (hidden(frame, stage))
            @for text in BEGINNINGS { button .chip name="text" value=(text) { (text) } }
        }
    }
}

fn said(frame: &Frame<'_>, stage: &Stage, line: &Line, newest: bool) -> Markup {
    html! {
        @match line {
            Line::Person(text) => li .me { span .by { "You" } p { (text) } },
            Line::Hidden => li .me { span .by { "You" } p .dim { "(not shown: a code, an address or a value)" } },
            Line::Answer(answer) if answer.handled() => (answered(frame, stage, answer, newest)),
            Line::Answer(_) => li .note { p { "No matter of rights: here your bot would go on with its own answer." } },
            Line::Trouble { what, help } => li .trouble role="alert" {
                p { strong { "No answer. " } (what) }
                p { (help) }
            },
            Line::Note(text) => li .note { p { (text) } },
        }
    }
}

fn answered(frame: &Frame<'_>, stage: &Stage, answer: &Answer, newest: bool) -> Markup {
    let language = answer.value()["language"].as_str().unwrap_or("en");
    html! {
        li .vault {
            span .by { "Vault" }
            @for message in answer.messages() {
                p .text lang=(language) { (message.text) }
                @for receipt in ids(&message.text, "rcp_") {
                    p .small { a href={"/receipt/" (receipt)} { "Show the receipt" } }
                }
                @if let Some(link) = &message.link { (linked(frame, link)) }
                (choices(frame, stage, &message.choices, newest, language))
            }
            @if let Some((request, due)) = answer.request().filter(|_| newest) {
                p .small .dim {
                    a href={"/request/" (request)} { "The request as the office sees it" }
                    @if let Some(due) = due { ", to be answered by " (due) }
                }
            }
        }
    }
}

/// A link to the server, or to a page that is spoken to over TLS; what is anything else is a text.
fn linked(frame: &Frame<'_>, link: &str) -> Markup {
    let own = format!("{}/", frame.server);
    let address = match link.strip_prefix('/') {
        Some(path) => Some(format!("{own}{path}")),
        None => {
            let leads = link.starts_with(&own) || link.starts_with("https://");
            leads.then(|| link.to_owned())
        }
    };
    html! {
        p .small {
            @match address {
                Some(address) => a href=(address) rel="noreferrer" { (link) },
                None => (link),
            }
        }
    }
}

fn choices(
    frame: &Frame<'_>,
    stage: &Stage,
    choices: &[Choice],
    newest: bool,
    language: &str,
) -> Markup {
    html! {
        @if choices.is_empty() {}
        @else if newest {
            form method="post" action="/say" .chips lang=(language) {
                (hidden(frame, stage))
                @for choice in choices { button .chip name="choice" value=(choice.id) { (choice.label) } }
            }
        } @else {
            p .small .dim lang=(language) {
                @for (at, choice) in choices.iter().enumerate() { @if at > 0 { " · " } (choice.label) }
            }
        }
    }
}

fn write(frame: &Frame<'_>, stage: &Stage, talk: &Talk) -> Markup {
    let label = match (talk.wants_code, talk.hidden) {
        (true, _) => "The code that was sent",
        (false, true) => "Your answer, which is not transcribed",
        (false, false) => "Your message",
    };
    html! {
        @if talk.unanswered.is_some() {
            form method="post" action="/say" {
                (hidden(frame, stage))
                input type="hidden" name="again" value="yes";
                button { "Send it again" }
            }
        }
        form method="post" action="/say" .write {
            (hidden(frame, stage))
            label for="text" { (label) }
            div .row {
                input #text name="text" type="text" required maxlength=(TEXT_CHARACTERS_MAX) spellcheck="false" autofocus
                    autocomplete=[talk.hidden.then_some(if talk.wants_code { "one-time-code" } else { "off" })]
                    inputmode=[talk.wants_code.then_some("numeric")];
                button .main { "Send" }
            }
            @if talk.wants_code { p .small { "If one was sent, it is in the " a href="#mail" { "mailbox" } " of this page." } }
        }
    }
}

fn mailbox(stage: &Stage) -> Markup {
    html! {
        section aria-labelledby="mail" {
            h2 #mail { "Sent by mail" }
            @if stage.letters.is_empty() {
                p .dim { "Nothing yet. A code goes to the address on file, and in this demonstration here." }
            } @else {
                ul .letters {
                    @for letter in &stage.letters {
                        li {
                            p .small .dim { "To " (letter.address) }
                            p { strong .code { (letter.code) } }
                            p .small .text { (letter.text) }
                        }
                    }
                }
            }
        }
    }
}

fn language_name(language: Language) -> &'static str {
    match language {
        Language::De => "Deutsch",
        Language::En => "English",
        Language::Es => "Español",
        Language::Fr => "Français",
        Language::It => "Italiano",
        Language::Nl => "Nederlands",
        Language::Pl => "Polski",
        Language::Pt => "Português",
    }
}

fn settings(frame: &Frame<'_>, stage: &Stage) -> Markup {
    let invented = stage.personas().contains(&Persona::Invented);
    html! {
        section aria-labelledby="set" {
            h2 #set { "Who you are" }
            form method="post" action="/set" .set {
                (token(frame))
                fieldset {
                    legend { "On the channel you are" }
                    @for persona in stage.personas() {
                        label .pick {
                            input type="radio" name="persona" value=(persona.name()) checked[*persona == stage.persona];
                            span { (who(*persona)) }
                        }
                    }
                }
                label for="language" { "Language of the channel" }
                select #language name="language" {
                    @for language in Language::ALL {
                        option value=(language.name()) lang=(language.name()) selected[*language == stage.language] {
                            (language_name(*language))
                        }
                    }
                }
                label .pick { input type="checkbox" name="group" value="yes" checked[stage.group]; span { "Others read along" } }
                button { "Change" }
            }
            form method="post" action="/new" { (token(frame)) button { "Begin a new conversation" } }
            @if invented {
                form method="post" action="/back" { (token(frame)) button { "Bring " (seed::NAME) " back" } }
                p .small .dim { (seed::NAME) " has the address " (seed::EMAIL) ", messages, orders that a claim holds, a consent, and a carrier who was told. Once deleted, \
                    somebody new can be made in their place." }
            }
            p .small { a href={(frame.server) "/privacy"} rel="noreferrer" { "Privacy statement" } " · "
                a href={(frame.server) "/docs"} rel="noreferrer" { "HTTP API" } }
        }
    }
}

/// The ids with this prefix in a text.
fn ids<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let found = text.match_indices(prefix).filter_map(|(at, _)| {
        let id = text.get(at..at + prefix.len() + ID_CHARACTERS)?;
        let rest = &id[prefix.len()..];
        rest.bytes()
            .all(|byte| byte.is_ascii_alphanumeric())
            .then_some(id)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::chat::stage::Wish;
    use crate::talk;
    use serde_json::json;
    use vault_core::entropy::SeededEntropy;

    #[test]
    fn whatever_is_said_is_shown_and_not_run() {
        let mut stage = Stage::new(Box::new(SeededEntropy::new(1)), Some("demo".into()));
        let next = stage.next.clone();
        let hostile = "</p><script>alert(1)</script>\" onclick=\"x";
        let (persona, _, sent) = stage.begin(&next, Wish::Text(hostile.into())).unwrap();
        let body = json!({"handled": true, "language": hostile, "request_id": hostile, "due": hostile, "messages": [
            {"text": hostile, "choices": [{"id": hostile, "label": hostile}], "link": "javascript:alert(1)"}]});
        let answer = talk::relay(&json!({}), |_| Ok(body.clone()));
        stage.heard(persona, sent, answer);
        let frame = Frame {
            server: "http://127.0.0.1:8200",
            token: "t",
        };
        let page = page(&frame, &stage);
        for forbidden in ["<script", "\" onclick", "href=\"javascript", " style="] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_link_leads_to_the_server_or_over_tls_and_nowhere_else() {
        let frame = Frame {
            server: "http://127.0.0.1:8200",
            token: "t",
        };
        let leads = |link| linked(&frame, link).into_string().contains("<a href");
        for good in [
            "/privacy",
            "http://127.0.0.1:8200/pickup/t",
            "https://pay.example.test/x",
        ] {
            assert!(leads(good), "{good}");
        }
        for text in [
            "http://127.0.0.1:82001/pickup/t",
            "http://example.test/",
            "ftp://127.0.0.1:8200/",
        ] {
            assert!(!leads(text), "{text}");
        }
    }

    #[test]
    fn a_receipt_is_found_in_a_text_and_half_a_one_is_not() {
        let id = format!("rcp_{}", "0".repeat(ID_CHARACTERS));
        assert_eq!(ids(&format!("Receipt {id}."), "rcp_"), [&id]);
        assert!(ids(&id[..id.len() - 1], "rcp_").is_empty());
        assert!(ids("rcp_…", "rcp_").is_empty());
    }
}

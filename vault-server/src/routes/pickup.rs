//! Pages with which people pick a copy of their data up: a link, a code, the package.
//!
//! For browsers, and no part of the API: no API key, no JSON, no cookie and no script. What previews and crawlers do
//! with a link, a GET, changes nothing and is answered the same whatever the link is. Every refusal is a page, and the
//! same one for a link that nobody has and a code that is wrong; only a link that was opened before says so.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use vault_core::pickup::is_token;
use vault_core::vault::PickedUp;

use super::dialogue::{send_codes, sends};
use super::export::stream;
use crate::incoming::Incoming;
use crate::negotiate;
use crate::pages::pickup::{self as page, Words};
use crate::places::Class;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::App;

/// Longest form that is read: a code and its name.
const FORM_BYTES_MAX: usize = 1_024;
/// When to try again what cannot be done now.
const RETRY_SECONDS: &str = "60";

/// Headers of every answer here: kept by nobody, found by nobody, framed by nobody; and where somebody goes on to is
/// not told where they came from, since the link is in that.
fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let set = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A package that is a page has a policy of its own, which lets it do less.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(policy());
    response
}

fn policy() -> HeaderValue {
    HeaderValue::try_from(page::POLICY.as_str()).expect("a policy is visible ASCII")
}

fn answer(status: u16, words: &Words, page: String) -> Response {
    let reply = Reply::bytes(status, "text/html; charset=utf-8", page.into_bytes());
    let reply = match status {
        429 | 503 => reply.header(header::RETRY_AFTER, RETRY_SECONDS),
        _ => reply,
    };
    let reply = reply.header(header::CONTENT_LANGUAGE, words.tag);
    let mut response = reply.into_response();
    // Other pages have no forms, and their policy allows none.
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy());
    sealed(response)
}

/// The words of whoever asks.
fn words(incoming: &Incoming) -> &'static Words {
    let tags = page::LANGUAGES.map(|words| words.tag);
    let tag = negotiate::language(incoming.accept_language.as_deref(), &tags);
    let mut all = page::LANGUAGES.iter();
    all.find(|words| words.tag == tag)
        .copied()
        .unwrap_or(page::LANGUAGES[0])
}

/// Why a link is not looked at: a status, and the page that says so.
struct Stopped(u16, fn(&Words) -> String);

impl Stopped {
    fn answer(self, words: &Words) -> Response {
        answer(self.0, words, (self.1)(words))
    }
}

/// The token of a link that can be looked at now.
fn token(app: &App, incoming: &Incoming) -> Result<String, Stopped> {
    let token = incoming.parameter("token");
    if !is_token(token) {
        return Err(Stopped(404, page::incomplete));
    }
    match app.vault() {
        Some(_) => Ok(token.to_owned()),
        None => Err(Stopped(503, page::busy)),
    }
}

/// The same for what costs work, within the limit of everybody together.
fn counted(app: &App, incoming: &Incoming) -> Result<String, Stopped> {
    let token = token(app, incoming)?;
    match app.rates().count_pickup() {
        Ok(()) => Ok(token),
        Err(limit) => {
            app.metrics().was_limited(limit);
            Err(Stopped(429, page::busy))
        }
    }
}

/// What is shown for a refusal: that nothing can be done now, or what is shown for a wrong code.
fn refused(problem: &Problem, words: &Words, token: &str) -> Response {
    match problem.code().status() {
        status @ 500.. => answer(status, words, page::busy(words)),
        _ => answer(403, words, page::no(words, token)),
    }
}

/// The code in a form; nothing where there is none.
fn typed(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).ok();
    let text = text.filter(|text| text.len() <= FORM_BYTES_MAX);
    let uri = text.and_then(|text| format!("/?{text}").parse::<Uri>().ok());
    let form = uri.and_then(|uri| Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    let mut members = form.into_iter().flat_map(|form| form.0);
    let code = members.find(|(name, _)| name == page::CODE);
    code.map(|(_, text)| text).unwrap_or_default()
}

/// The page that a link leads to. Looks at nothing but whether the vault is open.
pub(super) async fn begin(State(app): State<App>, incoming: Incoming) -> Response {
    let words = words(&incoming);
    match token(&app, &incoming) {
        Ok(token) => answer(200, words, page::begin(words, &token)),
        Err(stopped) => stopped.answer(words),
    }
}

/// Sends a code to the address on file, if the link is good.
pub(super) async fn code(State(app): State<App>, incoming: Incoming) -> Response {
    let (words, id) = (words(&incoming), incoming.ticket.id);
    let token = match counted(&app, &incoming) {
        Ok(token) => token,
        Err(stopped) => return stopped.answer(words),
    };
    let (working, link) = (app.clone(), token.clone());
    let sent = app.blocking(Class::Ordinary, move || {
        let vault = working
            .vault()
            .ok_or(Problem::new(crate::code::Code::Locked))?;
        let code = vault.send_pickup_code(&link, &sends(&working), id)?;
        send_codes(&working, code.into_iter().collect());
        Ok(())
    });
    match sent.await {
        Ok(()) => answer(200, words, page::sent(words, &token)),
        Err(problem) => refused(&problem, words, &token),
    }
}

/// Hands the package over, once, to whoever has the code.
pub(super) async fn open(State(app): State<App>, incoming: Incoming) -> Response {
    let (words, id) = (words(&incoming), incoming.ticket.id);
    let token = match counted(&app, &incoming) {
        Ok(token) => token,
        Err(stopped) => return stopped.answer(words),
    };
    // Before the link is used up: it is good for one stream that there is a place for.
    let Ok(place) = Arc::clone(app.streams()).try_acquire_owned() else {
        return answer(503, words, page::busy(words));
    };
    let (working, link, typed) = (app.clone(), token.clone(), typed(&incoming.body));
    let opened = app.blocking(Class::Ordinary, move || {
        let vault = working
            .vault()
            .ok_or(Problem::new(crate::code::Code::Locked))?;
        Ok(vault.pick_up(&link, &typed, id)?)
    });
    match opened.await {
        Ok(PickedUp::Opened(export)) => sealed(stream(app, *export, place)),
        Ok(PickedUp::Again) => answer(410, words, page::used(words)),
        Ok(PickedUp::No) => answer(403, words, page::no(words, &token)),
        Err(problem) => refused(&problem, words, &token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages;

    #[test]
    fn a_code_is_read_out_of_a_form_and_what_is_none_is_empty() {
        assert_eq!(typed(b"code=123456"), "123456");
        assert_eq!(typed(b"other=1&code=12+34%2056"), "12 34 56");
        let long = format!("code={}", "1".repeat(FORM_BYTES_MAX));
        for none in [
            &b""[..],
            b"cod=1",
            b"\xff",
            b"{\"code\":1}",
            long.as_bytes(),
        ] {
            assert_eq!(typed(none), "");
        }
    }

    #[test]
    fn the_policy_of_these_pages_is_that_of_all_but_for_forms_to_the_server_itself() {
        let all = pages::POLICY.replace("form-action 'none'", "form-action 'self'");
        assert_eq!(*page::POLICY, all);
        assert_ne!(*page::POLICY, *pages::POLICY);
    }
}

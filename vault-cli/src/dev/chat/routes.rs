//! The page's listener: who may send it what, and what becomes of a form.
//!
//! It listens on loopback, where any page that a browser on this machine has open can send to. So a call has
//! to name this listener as its host (a name that came to lead here is another site), a form has to come
//! from a page of it, and brings back what only such a page knows. Nothing is cached, and nothing runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Form, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::{Timestamp, Zoned};
use serde::Deserialize;
use tokio::sync::watch;
use vault_core::dialogue::Language;
use vault_server::urls;
use vault_server::webhook::Secret;
use zeroize::Zeroizing;

use super::mail::{self, Head};
use super::seed;
use super::stage::{Persona, Stage, Wish};
use super::view::{self, Frame};
use crate::backend::refused;
use crate::caller::{Caller, Remote};
use crate::http::{Client, Reply};
use crate::talk;

/// Longest form, and longest message of the webhook, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Longest wait for a code that was just made, before the page is shown without it.
const LETTER_WAIT: Duration = Duration::from_secs(1);
/// The role that looks at requests and receipts.
const OFFICE: &str = "dpo";
/// Where codes are told.
pub(super) const CODES: &str = "/codes";

/// What the handlers share.
pub(super) struct Shared {
    /// `127.0.0.1:8201`, and by name.
    pub(super) hosts: [String; 2],
    /// What every form has to bring back.
    pub(super) token: String,
    /// Signs what is told of codes.
    pub(super) secret: Secret,
    /// The server's address.
    pub(super) server: String,
    /// The bot.
    pub(super) bot: Remote,
    /// Tokens of all roles, by name.
    pub(super) tokens: BTreeMap<String, Zeroizing<String>>,
    pub(super) stage: Mutex<Stage>,
    /// How many letters came.
    pub(super) letters: watch::Sender<u64>,
}

impl Shared {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        // What a thread left that panicked is shown as it is.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn frame(&self) -> Frame<'_> {
        Frame {
            server: &self.server,
            token: &self.token,
        }
    }
}

type App = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/style.css", get(style))
        .route("/say", post(say))
        .route("/set", post(set))
        .route("/new", post(anew))
        .route("/back", post(back))
        .route("/request/{id}", get(request))
        .route("/receipt/{id}", get(receipt))
        .route(CODES, post(codes))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// What is wrong with where a call comes from.
fn foreign(shared: &Shared, method: &Method, headers: &HeaderMap) -> Option<Refused> {
    let text = |name| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let host = text(header::HOST).unwrap_or_default();
    if !shared.hosts.iter().any(|known| known == host) {
        let why = "this page is at another address";
        return Some(refusal(StatusCode::MISDIRECTED_REQUEST, why));
    }
    // Browsers say it of every form. The webhook's sender does not, and signs.
    let origin = text(header::ORIGIN).filter(|_| *method == Method::POST);
    let elsewhere = origin.is_some_and(|origin| origin != format!("http://{host}"));
    elsewhere.then(|| refusal(StatusCode::FORBIDDEN, "the form is of another page"))
}

/// Refuses calls of other sites, and says of every answer what a browser may do with it.
async fn guard(State(shared): App, request: Request, next: Next) -> Response {
    let refused = foreign(&shared, request.method(), request.headers());
    let mut response = match refused {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ));
    response
}

/// Why a call is refused.
type Refused = (StatusCode, &'static str);

const fn refusal(status: StatusCode, why: &'static str) -> Refused {
    (status, why)
}

/// Back to the page, at the field in which somebody goes on writing: a browser heeds no `autofocus` on a page that it
/// opens at a place, and puts the cursor there.
fn shown() -> Response {
    Redirect::to("/#text").into_response()
}

async fn show(State(shared): App) -> Html<String> {
    Html(view::page(&shared.frame(), &shared.stage()))
}

async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("style.css")).into_response()
}

/// A form of the page; which members it has depends on the form.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    token: String,
    message: String,
    text: Option<String>,
    choice: Option<String>,
    again: Option<String>,
    persona: String,
    language: String,
    group: Option<String>,
}

/// Whether the form is of this page; the answer, where it is not.
fn checked(shared: &Shared, fields: &Fields) -> Result<(), Refused> {
    match fields.token == shared.token {
        true => Ok(()),
        false => Err(refusal(
            StatusCode::FORBIDDEN,
            "the form is of another page: go back, and load it again",
        )),
    }
}

async fn say(State(shared): App, Form(fields): Form<Fields>) -> Result<Response, Refused> {
    checked(&shared, &fields)?;
    let wish = match (fields.again, fields.choice, fields.text) {
        (Some(_), ..) => Wish::Again,
        (None, Some(choice), _) => Wish::Choice(choice),
        (None, None, Some(text)) => Wish::Text(text),
        (None, None, None) => return Ok(shown()),
    };
    let begun = shared.stage().begin(&fields.message, wish);
    let Some((persona, who, sent)) = begun else {
        return Ok(shown());
    };
    let mut letters = shared.letters.subscribe();
    let before = *letters.borrow();
    let serving = shared.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let body = talk::body(&who, sent.name(), sent.said());
        let came = talk::relay(&body, |body| serving.bot.turn(body));
        let coded = came.as_ref().is_ok_and(|answer| answer.wants_code());
        serving.stage().heard(persona, sent, came);
        coded
    });
    if asked.await.unwrap_or(false) {
        // Nobody knows whether one comes: none does for an address that is not on file.
        let come = letters.wait_for(|count| *count > before);
        let _ = tokio::time::timeout(LETTER_WAIT, come).await;
    }
    Ok(shown())
}

async fn set(State(shared): App, Form(fields): Form<Fields>) -> Result<Response, Refused> {
    checked(&shared, &fields)?;
    let persona = Persona::ALL
        .into_iter()
        .find(|persona| persona.name() == fields.persona);
    let language = Language::parse(&fields.language);
    let (Some(persona), Some(language)) = (persona, language) else {
        return Err(refusal(StatusCode::BAD_REQUEST, "nobody is called so here"));
    };
    shared
        .stage()
        .set(persona, language, fields.group.is_some());
    Ok(shown())
}

async fn anew(State(shared): App, Form(fields): Form<Fields>) -> Result<Response, Refused> {
    checked(&shared, &fields)?;
    shared.stage().anew();
    Ok(shown())
}

async fn back(State(shared): App, Form(fields): Form<Fields>) -> Result<Response, Refused> {
    checked(&shared, &fields)?;
    let serving = shared.clone();
    let made = tokio::task::spawn_blocking(move || {
        let today = Zoned::now().date();
        seed::person(&serving.server, &serving.tokens, today)
    });
    match made.await {
        Ok(Ok(invented)) => shared.stage().is_there(invented),
        Ok(Err(failure)) => shared.stage().trouble(failure),
        Err(_) => {
            return Err(refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "a defect stopped this",
            ));
        }
    }
    Ok(shown())
}

/// What the office sees of a request.
async fn request(State(shared): App, Path(id): Path<String>) -> Result<Response, Refused> {
    let reply = fetched(shared, id, urls::REQUEST).await?;
    let text = match reply.status {
        200 => serde_json::to_string_pretty(&reply.body).unwrap_or_default(),
        404 | 410 => "It is gone, with the person who made it.".to_owned(),
        _ => refused(&reply).what,
    };
    Ok(Html(view::plain("The request as the office sees it", &text)).into_response())
}

/// The receipt of an erasure, as the server shows it to people.
async fn receipt(State(shared): App, Path(id): Path<String>) -> Result<Response, Refused> {
    let reply = fetched(shared, id, urls::RECEIPT).await?;
    if reply.status != 200 {
        let text = refused(&reply).what;
        return Ok(Html(view::plain("The receipt", &text)).into_response());
    }
    let policy = [(header::CONTENT_SECURITY_POLICY, vault_server::page_policy())];
    let page = vault_server::receipt_page(&reply.body, None, None);
    Ok((policy, Html(page)).into_response())
}

/// What the data protection officer of the sample is answered.
async fn fetched(shared: Arc<Shared>, id: String, route: &'static str) -> Result<Reply, Refused> {
    // It becomes a part of a path.
    if !id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err(refusal(StatusCode::NOT_FOUND, "that is no id"));
    }
    let asked = tokio::task::spawn_blocking(move || {
        let token = shared.tokens.get(OFFICE).map_or("", |token| token.as_str());
        let client = Client::new(&shared.server, token).ok()?;
        client
            .call("GET", &urls::at(route, &[&id]), None, None)
            .ok()
    });
    let reply = asked.await.ok().flatten();
    reply.ok_or_else(|| refusal(StatusCode::BAD_GATEWAY, "the vault does not answer"))
}

/// What the server tells of a code.
async fn codes(State(shared): App, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let head = match (
        text("webhook-id"),
        text("webhook-timestamp"),
        text("webhook-signature"),
    ) {
        (Some(id), Some(timestamp), Some(signature)) => Head {
            id,
            timestamp,
            signature,
        },
        _ => return StatusCode::UNAUTHORIZED,
    };
    match mail::read(&shared.secret, &head, &body, Timestamp::now()) {
        Some(letter) => {
            shared.stage().take(letter);
            shared.letters.send_modify(|count| *count += 1);
            StatusCode::NO_CONTENT
        }
        None => StatusCode::UNAUTHORIZED,
    }
}

//! A package of a person's own data, as a stream.
//!
//! Its parts are made when the connection asks for them, as lines of many people are. Where it breaks
//! off the connection does, so that nobody takes a part of a package for the whole.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::ToSchema;
use vault_core::export::{ExportInput, Form, Right, Seal};
use vault_core::vault::{Export, ExportStep};

use super::bulk::{Part, READER_WAIT, Wanted, lines};
use crate::code::Code;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// What a page that somebody opens from an answer may do: nothing but show itself.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Which package is to be made.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ExportRequest {
    /// `access`: everything (Art. 15). `portability`: what the person provided (Art. 20).
    right: String,
    /// `json`: one document (docs/export.schema.json). `html`: one page, made to be printed. `csv`: a
    /// ZIP of one CSV file a collection. `zip`: all of these and the files, with `manifest.json`.
    format: String,
    /// BCP 47; the first language of the policy by default.
    language: Option<String>,
    /// A public key of age, `age1…`: the package is encrypted for its holder.
    recipient: Option<String>,
    /// A passphrase of 12 characters at least, instead: the package is encrypted with it, as age does.
    passphrase: Option<String>,
}

pub(crate) fn read_export(body: Value) -> Result<ExportInput, Problem> {
    const KNOWN: [&str; 5] = ["right", "format", "language", "recipient", "passphrase"];
    let mut shape = Shape::of(body, &KNOWN)?;
    let (right, form) = (shape.text("right"), shape.text("format"));
    let language = shape.optional_text("language");
    let (recipient, passphrase) = (
        shape.optional_text("recipient"),
        shape.optional_text("passphrase"),
    );
    if shape.finds_no_fault() && Right::parse(&right).is_none() {
        shape.refuse(
            "right",
            "unknown_word",
            "`right` is one of: access, portability",
        );
    }
    if shape.finds_no_fault() && Form::parse(&form).is_none() {
        shape.refuse(
            "format",
            "unknown_word",
            "`format` is one of: json, csv, html, zip",
        );
    }
    let seal = match (recipient, passphrase) {
        (Some(_), Some(_)) => {
            let detail = "a package is encrypted for a recipient or with a passphrase";
            shape.refuse("passphrase", "ambiguous", detail);
            Seal::None
        }
        (Some(text), None) => Seal::recipient(&text).unwrap_or_else(|error| {
            shape.refuse("recipient", "not_a_recipient", error.to_string());
            Seal::None
        }),
        (None, Some(text)) => Seal::passphrase(text).unwrap_or_else(|error| {
            shape.refuse("passphrase", "length", error.to_string());
            Seal::None
        }),
        (None, None) => Seal::None,
    };
    let input = ExportInput {
        right: Right::parse(&right).unwrap_or(Right::Access),
        form: Form::parse(&form).unwrap_or(Form::Json),
        language,
        seal,
    };
    shape.finish(input)
}

/// Make a package of a person's own data
///
/// Capability `subjects.export`; a session, as `self`, where its maker's role has it. For the built-in
/// purpose `rights`, whatever `Vault-Purpose` says. Values are those that the role reads;
/// `withheld` in the package names the others, and `complete` is then false. The answer is the package
/// itself, streamed, with a file name that says nothing of the person. A stream that breaks off is no
/// package. Not remembered for `Idempotency-Key`.
#[utoipa::path(post, path = urls::SUBJECT_EXPORT, tag = "subjects", operation_id = "export_subject",
    request_body = ExportRequest,
    responses(
        (status = 200, description = "The package", content(
            (Object = "application/json"),
            (String = "text/html"),
            (String = "application/zip"),
            (String = "application/octet-stream"))),
    ))]
pub(crate) async fn export(
    State(app): State<App>,
    incoming: Incoming,
) -> Result<Response, Problem> {
    let body = incoming.json()?;
    let subject = incoming.subject();
    let place = Arc::clone(app.streams()).try_acquire_owned();
    let place = place.map_err(|_| Problem::new(Code::Overloaded))?;
    let export = app
        .work(incoming, move |session| {
            // A session has no capability of its own, and is asked about its maker's in there.
            let input = match session.call().principal.session() {
                Some(_) => read_export(body)?,
                None => session.parsed("subjects.export", read_export(body))?,
            };
            Ok(session.vault.export(&session.call(), subject, input)?)
        })
        .await?;
    Ok(stream(app, export, place))
}

/// The answer that a package is: its parts are made as they are asked for.
pub(crate) fn stream(app: App, export: Export, place: OwnedSemaphorePermit) -> Response {
    let (media_type, name) = (export.media_type(), export.file_name());
    let page = media_type.starts_with("text/html");
    let (ask, asked) = mpsc::channel(1);
    tokio::spawn(feed(app, export, asked, place, READER_WAIT));
    let mut response = Response::new(lines(ask));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let disposition = disposition.expect("words of ours and a day are visible ASCII");
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    let nosniff = HeaderName::from_static("x-content-type-options");
    headers.insert(nosniff, HeaderValue::from_static("nosniff"));
    if page {
        let policy = HeaderValue::from_static(PAGE_POLICY);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Makes parts as they are asked for, until the end, or until the client is gone or silent for `wait`, or
/// the vault refuses.
async fn feed(
    app: App,
    mut export: Export,
    mut asked: mpsc::Receiver<Wanted>,
    _place: OwnedSemaphorePermit,
    wait: Duration,
) {
    let mut whole = false;
    while let Ok(Some(wanted)) = tokio::time::timeout(wait, asked.recv()).await {
        if whole {
            let _ = wanted.send(Part::Last(Vec::new()));
            return;
        }
        // A defect in there takes the package with it: the stream breaks off.
        let made = app.waiting(move || make(&mut export, wanted).map(|whole| (export, whole)));
        match made.await {
            Ok(Some(going_on)) => (export, whole) = going_on,
            _ => return,
        }
    }
}

/// Makes one part; whether it was the last with anything in it. `None` if the stream has ended, or there
/// is to be no other part.
fn make(export: &mut Export, wanted: Wanted) -> Option<bool> {
    let (mut wanted, mut gone) = (Some(wanted), false);
    loop {
        let step = export.step(&mut |bytes| {
            // Under the lock of the last check: a send into an empty channel does not wait.
            if let Some(wanted) = wanted.take() {
                gone = wanted.send(Part::Lines(bytes)).is_err();
            }
        });
        match (step, wanted.is_some()) {
            (Ok(_), _) if gone => return None,
            (Ok(ExportStep::More), true) => {}
            (Ok(step), false) => return Some(matches!(step, ExportStep::Done)),
            (Ok(ExportStep::Done), true) => {
                if let Some(wanted) = wanted.take() {
                    let _ = wanted.send(Part::Last(Vec::new()));
                }
                return None;
            }
            (Err(refusal), _) => {
                tracing::warn!(target: "vault_server::export", code = refusal.code(), "a package broke off");
                return None;
            }
        }
    }
}

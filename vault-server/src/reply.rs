//! An answer in bytes: status, body, and the few headers that the API promises.
//!
//! Knows nothing of what the bytes say. Values are serialised inside the core's hand-over and
//! arrive here as bytes; there is no `Debug`.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use vault_core::vault::Answer;

use crate::pages;

/// An answer that is no problem document.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    content_type: &'static str,
    pub(crate) body: Vec<u8>,
    etag: Option<String>,
    location: Option<String>,
    more: Vec<(HeaderName, HeaderValue)>,
    pub(crate) replayed: bool,
}

impl Reply {
    /// JSON of a serialisable answer.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("answers have text keys and finite numbers");
        Self::bytes(status, "application/json", body)
    }

    /// Bytes of another type.
    pub(crate) fn bytes(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type,
            body,
            etag: None,
            location: None,
            more: Vec::new(),
            replayed: false,
        }
    }

    /// That it is done, and nothing to tell.
    pub(crate) fn nothing() -> Self {
        Self::bytes(204, "", Vec::new())
    }

    /// The same answer, marked as given before.
    pub(crate) fn again(&self) -> Self {
        Self {
            replayed: true,
            ..self.clone()
        }
    }

    /// The answer to this operation of a call, to be remembered.
    pub(crate) fn to_answer(&self, operation: u32) -> Answer {
        Answer {
            operation,
            status: self.status,
            body: self.body.clone(),
            etag: self.etag.clone(),
            location: self.location.clone(),
        }
    }

    /// The answer that was remembered, marked as given before. Such answers are JSON.
    pub(crate) fn from_answer(answer: Answer) -> Self {
        Self {
            etag: answer.etag,
            location: answer.location,
            replayed: true,
            ..Self::bytes(answer.status, "application/json", answer.body)
        }
    }

    /// The revision without quotes.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.etag.as_deref().map(|etag| etag.trim_matches('"'))
    }

    /// With the record's revision, to be quoted.
    pub(crate) fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(format!("\"{etag}\""));
        self
    }

    /// With another header.
    pub(crate) fn header(mut self, name: HeaderName, text: &str) -> Self {
        let value = HeaderValue::try_from(text).expect("what we say in headers is visible ASCII");
        self.more.push((name, value));
        self
    }

    /// With where the new thing is found.
    pub(crate) fn location(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a literal of ours");
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(self.content_type),
            );
        }
        for (name, text) in [(header::ETAG, self.etag), (header::LOCATION, self.location)] {
            if let Some(text) = text {
                headers.insert(
                    name,
                    HeaderValue::try_from(text).expect("revisions and ids are visible ASCII"),
                );
            }
        }
        headers.extend(self.more);
        if self.replayed {
            headers.insert(
                HeaderName::from_static("idempotent-replayed"),
                HeaderValue::from_static("true"),
            );
        }
        if self.content_type.starts_with("text/html") {
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(pages::POLICY.as_str()),
            );
        }
        response
    }
}

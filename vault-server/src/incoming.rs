//! A request taken apart at the edge: headers, parameters, body.
//!
//! Knows nothing of people or policy. What cannot be read is refused here, before anybody asks who
//! calls: 400, 413, 415. There is no `Debug`: it holds a bearer and a body.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use serde_json::Value;
use vault_core::id::SubjectId;
use vault_core::policy::RestrictedUse;

use crate::asked::{self, Asked};
use crate::code::Code;
use crate::connection::{BodyTimeout, ThroughSocket};
use crate::front::Ticket;
use crate::idempotency::digest;
use crate::json;
use crate::problem::Problem;
use crate::rate::Network;
use crate::state::App;

const HEADER_CHARACTERS_MAX: usize = 255;

/// One request, read to its end.
pub(crate) struct Incoming {
    pub(crate) ticket: Ticket,
    pub(crate) bearer: Option<String>,
    pub(crate) purpose: Option<String>,
    /// What restricted data are to be used for, where the call claims that.
    pub(crate) restricted_use: Option<RestrictedUse>,
    pub(crate) idempotency_key: Option<String>,
    /// The revision in `If-Match` without quotes, or `*`.
    pub(crate) if_match: Option<String>,
    pub(crate) accept: Option<String>,
    pub(crate) accept_language: Option<String>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    /// Whether the call came through the admin socket.
    pub(crate) through_socket: bool,
    /// The network that the call came from; none from a socket of this machine's own.
    pub(crate) network: Option<Network>,
    from_loopback: bool,
    media_type: Option<String>,
    parameters: Vec<(String, String)>,
    query: Option<Vec<(String, String)>>,
}

fn malformed(detail: &'static str) -> Problem {
    Problem::with_detail(Code::Malformed, detail)
}

impl FromRequest<App> for Incoming {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let mut incoming = Self::head(&mut parts).await?;
        incoming.media_type = media_type(&parts.headers)?;
        incoming.body = read(&parts.method, body, app.settings().body_bytes_max).await?;
        let bytes = incoming.body.len() as u64;
        incoming
            .ticket
            .noted
            .bytes_in
            .store(bytes, Ordering::Relaxed);
        Ok(incoming)
    }
}

impl Incoming {
    /// Everything but the body and its type.
    async fn head(parts: &mut Parts) -> Result<Self, Problem> {
        let ticket = parts
            .extensions
            .get::<Ticket>()
            .cloned()
            .ok_or(Problem::new(Code::Internal))?;
        let parameters = path_parameters(parts).await?;
        let through_socket = parts.extensions.get::<ThroughSocket>().is_some();
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let network = peer.map(|info| Network::from(info.0.ip()));
        let from_loopback = peer.is_some_and(|info| info.0.ip().to_canonical().is_loopback())
            && !forwarded(&parts.headers);
        let headers = &parts.headers;
        Ok(Self {
            ticket,
            bearer: bearer(headers)?,
            purpose: plain(
                headers,
                "vault-purpose",
                "`Vault-Purpose` is one name in visible ASCII, at most 255 characters",
            )?,
            restricted_use: restricted_use(headers)?,
            idempotency_key: idempotency_key(headers)?,
            if_match: if_match(headers)?,
            through_socket,
            network,
            accept: wishes(headers, &header::ACCEPT),
            accept_language: wishes(headers, &header::ACCEPT_LANGUAGE),
            from_loopback,
            media_type: None,
            parameters,
            query: Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
                .ok()
                .map(|query| query.0),
            path: parts.uri.path().to_owned(),
            body: Bytes::new(),
            method: parts.method.clone(),
        })
    }
}

/// A request whose body is not read yet, and has whatever type: a blob.
pub(crate) struct Streamed {
    pub(crate) head: Incoming,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl FromRequest<App> for Streamed {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        Ok(Self {
            head: Incoming::head(&mut parts).await?,
            headers: parts.headers,
            body,
        })
    }
}

/// Whether a proxy says that it passes the call on for somebody else: then a loopback address is
/// the proxy's own.
fn forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .into_iter()
        .any(|name| headers.contains_key(name))
}

async fn path_parameters(parts: &mut Parts) -> Result<Vec<(String, String)>, Problem> {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(parameters) => Ok(parameters
            .iter()
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect()),
        // A route without parameters has none to give.
        Err(RawPathParamsRejection::MissingPathParams(_)) => Ok(Vec::new()),
        // Bytes that are no UTF-8 name nothing.
        Err(_) => Err(Problem::new(Code::NotFound)),
    }
}

async fn read(method: &Method, body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::DELETE) {
        return Ok(Bytes::new());
    }
    let too_large = || {
        Problem::with_detail(
            Code::TooLarge,
            format!("a body has at most {bytes_max} bytes"),
        )
    };
    if axum::body::HttpBody::size_hint(&body).lower() > bytes_max as u64 {
        return Err(too_large());
    }
    axum::body::to_bytes(body, bytes_max)
        .await
        .map_err(|error| {
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                // Only the length limit of `to_bytes` has a source of its own making.
                if error.to_string().contains("length limit") {
                    return too_large();
                }
                if error.is::<BodyTimeout>() {
                    return malformed("the body did not arrive in time");
                }
                source = error.source();
            }
            // A connection that broke gets an answer that nobody will read.
            malformed("the body ended before its end")
        })
}

/// The one value of a header in visible ASCII.
fn plain(
    headers: &HeaderMap,
    name: &'static str,
    detail: &'static str,
) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| malformed(detail))?.trim();
    let fits = text.len() <= HEADER_CHARACTERS_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && values.next().is_none();
    if fits {
        Ok(Some(text.to_owned()))
    } else {
        Err(malformed(detail))
    }
}

/// What restricted data are to be used for.
fn restricted_use(headers: &HeaderMap) -> Result<Option<RestrictedUse>, Problem> {
    const DETAIL: &str = "`Vault-Restricted-Use` is `consent`, `legal_claims`, `others_rights` or \
                          `public_interest` (Art. 18(2) GDPR)";
    let text = plain(headers, "vault-restricted-use", DETAIL)?;
    let known = |text: String| RestrictedUse::parse(&text).ok_or(malformed(DETAIL));
    text.map(known).transpose()
}

/// The call's name, quoted or bare.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const DETAIL: &str = "`Idempotency-Key` is one text of visible ASCII, at most 255 characters";
    let key = plain(headers, "idempotency-key", DETAIL)?;
    let key = key.map(|key| unquoted(&key).to_owned());
    match key.as_deref() {
        Some("") => Err(malformed("`Idempotency-Key` is empty")),
        _ => Ok(key),
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const DETAIL: &str = "`If-Match` is one revision, as `ETag` gave it, or `*`";
    let Some(text) = plain(headers, "if-match", DETAIL)? else {
        return Ok(None);
    };
    revision(&text)
        .map(|revision| Some(revision.to_owned()))
        .ok_or_else(|| malformed(DETAIL))
}

/// The one revision, without quotes, or the star in a text of `If-Match`.
pub(crate) fn revision(text: &str) -> Option<&str> {
    // A weak validator compares unequal to everything here (RFC 9110 §13.1.1): it stays as it is.
    let revision = unquoted(text);
    let one = !revision.is_empty() && (text.starts_with("W/") || !revision.contains(['"', ',']));
    one.then_some(revision)
}

/// A header that lists wishes, whole; what is no ASCII wishes nothing.
fn wishes(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let all: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!all.is_empty()).then(|| all.join(","))
}

/// The bearer; `None` where there is none, or none of the form `Bearer …`: both are 401.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed("`Authorization` stands twice"));
    }
    Ok(value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, bearer)| bearer.trim().to_owned())
        .filter(|bearer| !bearer.is_empty()))
}

/// The media type in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let unsupported = || Problem::new(Code::UnsupportedMediaType);
    let text = value.to_str().map_err(|_| unsupported())?;
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    for parameter in parts {
        let parameter = parameter.to_ascii_lowercase();
        if let Some(charset) = parameter.strip_prefix("charset=")
            && !matches!(charset.trim_matches('"'), "utf-8" | "us-ascii")
        {
            return Err(unsupported());
        }
    }
    Ok(Some(media_type))
}

impl Incoming {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// 415 where it has another type, 400 where it does not parse.
    pub(crate) fn json(&self) -> Result<Value, Problem> {
        let merge_patch =
            self.method == Method::PATCH && self.has_type("application/merge-patch+json");
        if !merge_patch && !self.has_type("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        json::parse(&self.body)
            .map_err(|error| Problem::with_detail(Code::Malformed, error.to_string()))
    }

    /// What the operation behind the path is asked, with its parsed body.
    pub(crate) fn asked(&self, body: Value) -> Asked {
        Asked {
            purpose: self.purpose.clone(),
            if_match: self.if_match.clone(),
            body,
            parameters: self.parameters.clone(),
            query: self.query.clone(),
            session_subject: self.session_subject(),
        }
    }

    /// SHA-256 over everything that makes a call the same one when it is sent again.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        digest(&[
            self.method.as_str().as_bytes(),
            self.path.as_bytes(),
            self.purpose.as_deref().unwrap_or("").as_bytes(),
            self.restricted_use
                .map_or("", RestrictedUse::name)
                .as_bytes(),
            self.if_match.as_deref().unwrap_or("").as_bytes(),
            &self.body,
        ])
    }

    /// Whether the body has this media type.
    pub(crate) fn has_type(&self, media_type: &str) -> bool {
        self.media_type.as_deref() == Some(media_type)
    }

    /// Demands a stated purpose.
    ///
    /// # Errors
    ///
    /// 400 `purpose_missing`.
    pub(crate) fn demand_purpose(&self) -> Result<(), Problem> {
        asked::demand_purpose(self.purpose.as_deref(), self.session_subject())
    }

    /// Demands a client on this machine.
    ///
    /// # Errors
    ///
    /// 403 `role_denied`.
    pub(crate) fn demand_loopback(&self) -> Result<(), Problem> {
        if self.from_loopback {
            return Ok(());
        }
        Err(Problem::with_detail(
            Code::RoleDenied,
            "the vault is unlocked from its own machine only",
        ))
    }

    /// Demands the admin socket.
    ///
    /// # Errors
    ///
    /// 403 `role_denied`.
    pub(crate) fn demand_socket(&self) -> Result<(), Problem> {
        if self.through_socket {
            return Ok(());
        }
        Err(Problem::with_detail(
            Code::RoleDenied,
            "this call is answered on the admin socket only, `admin.sock` in the vault's directory",
        ))
    }

    /// A parameter of the path, percent-decoded.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, text)| text)
    }

    /// The person in the path; see [`asked::subject`].
    pub(crate) fn subject(&self) -> SubjectId {
        asked::subject(self.parameter("s"), self.session_subject())
    }

    /// The person whom the call is about, where its path or its session names one.
    pub(crate) fn person(&self) -> Option<SubjectId> {
        let session = self.session_subject();
        session.or_else(|| self.parameter("s").parse().ok())
    }

    /// Whose session the bearer says it is; the vault proves it.
    pub(crate) fn session_subject(&self) -> Option<SubjectId> {
        self.bearer
            .as_deref()
            .and_then(vault_core::session::subject_of)
    }

    /// A query parameter of this name, whatever stands beside it.
    pub(crate) fn query_text(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.iter().flatten();
        let found = pairs.find(|(known, _)| known == name);
        found.map(|(_, text)| text.clone())
    }

    /// The query, once each of its names is known and stands once. Names are not repeated in the
    /// refusal: a query that should not be there may be anything.
    ///
    /// # Errors
    ///
    /// 422 `invalid`.
    pub(crate) fn query(&self, known: &[&str]) -> Result<QueryMap, Problem> {
        QueryMap::of(self.query.as_deref(), known)
    }
}

/// Query parameters, each known and standing once.
pub(crate) struct QueryMap(Vec<(String, String)>);

impl QueryMap {
    /// As for [`Incoming::query`]; `pairs` is `None` where the query cannot be read.
    ///
    /// # Errors
    ///
    /// 422 `invalid`.
    pub(crate) fn of(pairs: Option<&[(String, String)]>, known: &[&str]) -> Result<Self, Problem> {
        let list = || match known {
            [] => "none is known here".to_owned(),
            known => format!("known here: {}", known.join(", ")),
        };
        let refuse =
            |code, what: &str| Err(Problem::invalid_at("", code, format!("{what}; {}", list())));
        let Some(pairs) = pairs else {
            return refuse("query_unreadable", "the query is not percent-encoded UTF-8");
        };
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return refuse("unknown_parameter", "a query parameter is not known");
            }
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return refuse("duplicate_parameter", "a query parameter stands twice");
            }
        }
        Ok(Self(pairs.to_vec()))
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, text)| text.as_str())
    }

    /// One of several words; the first where none is given.
    ///
    /// # Errors
    ///
    /// 422 `invalid` for another word.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&'static str, T)],
    ) -> Result<T, Problem> {
        match self.text(name) {
            None => Ok(words[0].1),
            Some(text) => words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, meaning)| *meaning)
                .ok_or_else(|| {
                    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                    let detail = format!("`{name}` is one of: {}", words.join(", "));
                    Problem::invalid_at("", "unknown_word", detail)
                }),
        }
    }

    /// A number within bounds.
    ///
    /// # Errors
    ///
    /// 422 `invalid` for anything else.
    pub(crate) fn number(
        &self,
        name: &str,
        least: usize,
        most: usize,
        default: usize,
    ) -> Result<usize, Problem> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| {
                    let detail = format!("`{name}` is between {least} and {most}");
                    Problem::invalid_at("", "out_of_range", detail)
                }),
        }
    }

    /// Names separated by commas.
    pub(crate) fn names(&self, name: &str) -> Option<Vec<String>> {
        self.text(name)
            .map(|text| text.split(',').map(|name| name.trim().to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &'static str, text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            axum::http::HeaderName::from_static(name),
            HeaderValue::from_static(text),
        )])
    }

    #[test]
    fn a_revision_is_read_quoted_bare_or_as_a_star_and_a_list_is_not() {
        let read = |text| if_match(&headers("if-match", text)).ok().flatten();
        assert_eq!(read("\"abc\"").as_deref(), Some("abc"));
        assert_eq!(read("abc").as_deref(), Some("abc"));
        assert_eq!(read("*").as_deref(), Some("*"));
        assert_eq!(read("W/\"abc\"").as_deref(), Some("W/\"abc\""));
        assert_eq!(read("\"a\", \"b\""), None);
        assert_eq!(read("\"\""), None);
    }

    #[test]
    fn only_a_bearer_is_a_bearer() {
        let read = |text| bearer(&headers("authorization", text)).ok().flatten();
        assert_eq!(read("Bearer vk_1").as_deref(), Some("vk_1"));
        assert_eq!(read("bearer  vk_1 ").as_deref(), Some("vk_1"));
        assert_eq!(read("Basic vk_1"), None);
        assert_eq!(read("Bearer "), None);
        assert_eq!(read("vk_1"), None);
    }

    #[test]
    fn a_media_type_loses_its_parameters_and_another_charset_is_refused() {
        let read = |text| media_type(&headers("content-type", text)).ok().flatten();
        assert_eq!(
            read("Application/JSON; charset=\"UTF-8\"").as_deref(),
            Some("application/json")
        );
        assert_eq!(read("application/json; charset=latin1"), None);
    }
}

//! The outermost layer: gives a call its id, counts it, writes its one log line, finishes its problem.
//!
//! Knows nothing of what a call does. Line and metrics hold the route's template and never the path,
//! no query, no header and no body; the client's address loses its host part.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tracing::Instrument as _;
use vault_core::entropy::OsEntropy;
use vault_core::id::{CallId, TokenId};

use crate::code::Code;
use crate::metrics::Ended;
use crate::otel;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::rate::{Limit, Standing};
use crate::state::App;

/// A call's id, and the place where its API key's name is noted once it is known.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) id: CallId,
    pub(crate) token: Arc<OnceLock<TokenId>>,
    pub(crate) noted: Arc<Noted>,
}

/// What is learnt of a call on its way, for its line and its headers.
#[derive(Default)]
pub(crate) struct Noted {
    /// Bytes of the body that were read.
    pub(crate) bytes_in: AtomicU64,
    /// Where the caller stands with the limit that is nearest.
    pub(crate) standing: Mutex<Option<Standing>>,
}

/// Wraps every call; see the module.
pub(crate) async fn front(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let ticket = Ticket {
        id: CallId::generate(&mut OsEntropy),
        token: Arc::default(),
        noted: Arc::default(),
    };
    let method = method_name(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let client = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or_else(|| "none".to_owned(), |info| network(info.0.ip()));
    let trace = otel::trace_id(request.headers());
    request.extensions_mut().insert(ticket.clone());
    let running = app.metrics().begin();
    let span = otel::call(method, &route);
    let response = next.run(request).instrument(span.clone()).await;
    let (mut response, problem) = finish(response, ticket.id);
    let standing = match &problem {
        Some(problem) if problem.limit().is_some() => problem.standing(),
        _ => *ticket.noted.standing.lock(),
    };
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("request-id"),
        HeaderValue::try_from(ticket.id.to_string()).expect("ids are visible ASCII"),
    );
    // What a handler says of caching holds: only what is public says anything.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(standing) = standing {
        tell(headers, standing);
    }
    let status = response.status().as_u16();
    let code = problem.as_ref().map(|problem| problem.code().name());
    let limit = problem.as_ref().and_then(Problem::limit);
    let bytes_in = ticket.noted.bytes_in.load(Ordering::Relaxed);
    // A stream does not know its length yet.
    let bytes_out = response.body().size_hint().exact();
    let elapsed = started.elapsed();
    otel::answered(&span, status, code);
    running.end(&Ended {
        method,
        route: &route,
        status,
        problem: problem.as_ref(),
        elapsed,
        bytes_in,
        bytes_out,
    });
    let token = ticket.token.get().map(ToString::to_string);
    tracing::info!(
        target: "vault_server::call",
        method,
        route,
        status,
        duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        request_id = %ticket.id,
        token = token.as_deref().unwrap_or("none"),
        client,
        bytes_in,
        bytes_out,
        code = code.unwrap_or("none"),
        limit = limit.map_or("none", Limit::name),
        trace_id = trace.as_deref(),
        "call"
    );
    response
}

/// The caller's standing with a limit, in the form of draft-ietf-httpapi-ratelimit-headers-10.
fn tell(headers: &mut HeaderMap, standing: Standing) {
    let Standing {
        limit,
        size,
        window_seconds,
        left,
        wait_seconds,
    } = standing;
    let name = limit.name();
    for (header, text) in [
        (
            "ratelimit-policy",
            format!("\"{name}\";q={size};w={window_seconds}"),
        ),
        ("ratelimit", format!("\"{name}\";r={left};t={wait_seconds}")),
    ] {
        let text = HeaderValue::try_from(text).expect("names and numbers are visible ASCII");
        headers.insert(HeaderName::from_static(header), text);
    }
}

/// Writes the document of a problem into its response, which has waited for the call's id.
fn finish(mut response: Response, id: CallId) -> (Response, Option<Problem>) {
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        *response.body_mut() = Body::from(problem.document(id));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.remove(header::CONTENT_LENGTH);
    }
    (response, problem)
}

/// What a call gets whose handler stopped on a defect. The panic's text may quote a value and is
/// dropped here; the panic hook logs its place.
pub(crate) fn on_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::new(Code::Internal).into_response()
}

/// The method's name, if it is one of HTTP's own: another could be any text.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "other",
    }
}

/// The network that an address lies in: /24 of IPv4, /48 of IPv6.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_network_and_loses_its_host() {
        for (address, kept) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ] {
            assert_eq!(network(address.parse().expect("an address")), kept);
        }
    }

    #[test]
    fn a_method_that_is_no_method_of_http_is_not_named() {
        let method = Method::from_bytes(b"ANNA").expect("a token");
        assert_eq!(method_name(&method), "other");
        assert_eq!(method_name(&Method::PATCH), "PATCH");
    }
}

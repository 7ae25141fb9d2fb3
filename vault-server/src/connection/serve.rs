//! One connection, from its first call to its end.
//!
//! Over TLS the protocol is what ALPN agreed on; without TLS it is HTTP/1.1. So no byte is waited
//! for without a limit to find out which.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::accept::stopped;
use super::activity::{Activity, Overdue};
use super::body::{AnswerBody, TimedBody, Under};
use super::figures::{ConnectionFigures, count};
use super::places::Places;
use super::watched::Watched;
use crate::config::ConnectionLimits;
use crate::state::App;
use crate::tls::Tls;

/// Places of the admin socket, apart from the others: a flood from outside must not shut its
/// owner out.
const SOCKET_CONNECTIONS_MAX: usize = 32;
/// How long a connection that is closed for idling may take to say so.
const FAREWELL: Duration = Duration::from_secs(1);
/// HTTP/2: bytes of a stream, and of all streams of a connection, that may be under way.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// HTTP/2: longest frame; the protocol's least (RFC 9113 §4.2).
const FRAME_BYTES_MAX: u32 = 16 << 10;
/// HTTP/1: buffer of a connection beyond the longest head.
const BUFFER_BYTES: usize = 64 << 10;
/// A year. Source: RFC 6797 §6.1.1.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// Marks a call through the admin socket, in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThroughSocket;

/// What all connections of a server share.
pub(crate) struct House {
    pub(super) app: App,
    router: Router,
    pub(super) limits: ConnectionLimits,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) tcp: Places,
    pub(super) socket: Places,
}

impl House {
    pub(crate) fn new(
        app: App,
        router: Router,
        limits: ConnectionLimits,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        Self {
            app,
            router,
            limits,
            tls,
            tcp: Places::new(limits.connections, limits.connections_per_peer),
            socket: Places::new(SOCKET_CONNECTIONS_MAX, SOCKET_CONNECTIONS_MAX),
        }
    }

    pub(super) fn figures(&self) -> &ConnectionFigures {
        self.app.connections()
    }
}

/// Whom a connection is with.
#[derive(Clone, Copy)]
pub(super) enum With {
    Tcp(SocketAddr),
    Socket,
}

/// How a connection speaks.
#[derive(Clone, Copy)]
pub(super) struct Speech {
    pub(super) http2: bool,
    pub(super) tls: bool,
}

pub(super) async fn serve<S>(
    house: &Arc<House>,
    stream: S,
    with: With,
    speech: Speech,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new(speech.http2, Instant::now()));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let service = {
        let (house, activity) = (Arc::clone(house), Arc::clone(&activity));
        service_fn(move |request| {
            let under_way = Under::way(Arc::clone(&activity));
            answer(Arc::clone(&house), request, with, speech.tls, under_way)
        })
    };
    let limits = house.limits;
    // The two kinds of connection share their methods in name only.
    macro_rules! drive {
        ($connection:expr) => {{
            let mut connection = pin!($connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                overdue = activity.overdue(&limits) => {
                    count(match overdue {
                        Overdue::Header => &house.figures().header_timeouts,
                        Overdue::Idle => &house.figures().idle_closed,
                        Overdue::Write => &house.figures().write_timeouts,
                    });
                    if overdue == Overdue::Idle {
                        connection.as_mut().graceful_shutdown();
                        let _ = tokio::time::timeout(FAREWELL, connection.as_mut()).await;
                    }
                    None
                }
                () = stopped(&mut stopping) => {
                    connection.as_mut().graceful_shutdown();
                    if activity.is_idle() {
                        let _ = tokio::time::timeout(FAREWELL, connection.as_mut()).await;
                        None
                    } else {
                        Some(connection.as_mut().await)
                    }
                }
            };
            if let Some(Err(error)) = ended {
                blame(house, &error);
            }
        }};
    }
    if speech.http2 {
        drive!(http2_builder(&limits).serve_connection(io, service));
    } else {
        drive!(http1_builder(&limits).serve_connection(io, service));
    }
}

fn http1_builder(limits: &ConnectionLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Activity` has the time of heads, and of what lies between them.
        .header_read_timeout(None)
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes + BUFFER_BYTES);
    builder
}

fn http2_builder(limits: &ConnectionLimits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.reset_streams)
        .max_local_error_reset_streams(limits.reset_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_WINDOW as usize);
    builder
}

/// Counts why a connection ended, where the client is to blame. One that just went away is not.
fn blame(house: &House, error: &hyper::Error) {
    let figures = house.figures();
    if error.is_parse_too_large() {
        return count(&figures.heads_too_large);
    }
    let went_away = error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || error.is_body_write_aborted()
        || error.is_shutdown()
        || error.is_user();
    let source = std::error::Error::source(error);
    let broke = source.is_some_and(|source| source.is::<io::Error>());
    if error.is_parse() || !(went_away || broke) {
        count(&figures.protocol_errors);
    }
}

async fn answer(
    house: Arc<House>,
    request: Request<hyper::body::Incoming>,
    with: With,
    tls: bool,
    under_way: Under,
) -> Result<Response<Body>, Infallible> {
    // Over HTTP/1.1 the parser has counted already.
    if request.headers().len() > house.limits.headers {
        count(&house.figures().heads_too_large);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Ok(response.map(|body| Body::new(AnswerBody::new(body, under_way))));
    }
    let limits = house.limits;
    let mut request =
        request.map(|body| Body::new(TimedBody::new(body, house.app.clone(), limits)));
    let extensions = request.extensions_mut();
    match with {
        With::Tcp(address) => drop(extensions.insert(ConnectInfo(address))),
        With::Socket => {
            // Calls through the socket count as this machine's.
            let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            extensions.insert(ConnectInfo(loopback));
            extensions.insert(ThroughSocket);
        }
    }
    let mut response = match house.router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if tls {
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    Ok(response.map(|body| Body::new(AnswerBody::new(body, under_way))))
}

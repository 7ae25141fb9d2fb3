//! The socket of the metrics: `GET /metrics` and nothing else, on an address that no stranger reaches.
//!
//! There is no authentication, because a scraper should hold no key of a vault: the address is the
//! protection, and what is shown names nobody. Knows nothing of the API; the API's listener answers
//! `/metrics` as it answers any other path that does not exist.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Form, figures};
use crate::state::App;

/// Scrapers at a time; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 8;
/// How long one scrape may take altogether, a slow reader included.
const SCRAPE: Duration = Duration::from_secs(10);
/// How long its head may take to arrive.
const HEAD: Duration = Duration::from_secs(5);
/// Longest head of a request; a scraper's has a few hundred bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Pause after the system could not accept a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether only this machine or a private network reaches an address.
pub(crate) fn private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// A bound listener for scrapers.
pub struct MetricsListener {
    listener: std::net::TcpListener,
    app: App,
}

impl MetricsListener {
    /// Binds the address. Port 0 takes a free port.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for an address that is neither loopback nor private. Else what
    /// binding says.
    pub fn bind(address: SocketAddr, app: App) -> io::Result<Self> {
        if !private(address.ip()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{address} is neither a loopback nor a private address: metrics are shown to whoever asks"
                ),
            ));
        }
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, app })
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers scrapers until it is dropped.
    pub async fn run(self) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(target: "vault_server::metrics", kind = ?error.kind(), "metrics cannot be shown");
                return;
            }
        };
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let app = self.app.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        // A scraper that is too slow, or breaks off, asks again by itself.
                        let _ = tokio::time::timeout(SCRAPE, connection(stream, app)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(target: "vault_server::metrics", kind = ?error.kind(), "a scraper could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, app: App) -> Result<(), hyper::Error> {
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(answer(&request, app).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(request: &Request<Incoming>, app: App) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "only /metrics is here\n");
    }
    if *request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET /metrics\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let form = form(request.headers().get(ACCEPT));
    // It reads the sizes of files.
    let scraped =
        tokio::task::spawn_blocking(move || app.metrics().show(form, figures::of(&app))).await;
    match scraped {
        Ok(text) => {
            let media_type = match form {
                Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
                Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            };
            typed(StatusCode::OK, media_type, text.into())
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "a defect; see the log\n"),
    }
}

/// OpenMetrics for who asks for it, as Prometheus does; the older text for curl and others.
fn form(accept: Option<&HeaderValue>) -> Form {
    let accepts = accept.and_then(|accept| accept.to_str().ok());
    match accepts.is_some_and(|text| text.contains("application/openmetrics-text")) {
        true => Form::OpenMetrics,
        false => Form::Text,
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", text.into())
}

fn typed(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::tests::closed_app;

    #[test]
    fn only_loopback_and_private_addresses_are_private() {
        for inside in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(private(inside.parse().expect("an address")), "{inside}");
        }
        for outside in [
            "0.0.0.0",
            "::",
            "172.32.0.1",
            "192.0.2.1",
            "2001:db8::1",
            "::ffff:192.0.2.1",
        ] {
            assert!(!private(outside.parse().expect("an address")), "{outside}");
        }
    }

    #[tokio::test]
    async fn an_address_that_everybody_reaches_is_not_bound() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let address = address.parse().expect("an address");
            let refused = MetricsListener::bind(address, closed_app());
            let error = refused.err().expect("not private");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        let address = "127.0.0.1:0".parse().expect("an address");
        let bound = MetricsListener::bind(address, closed_app());
        bound.expect("loopback").local_addr().expect("bound");
    }

    #[test]
    fn the_form_is_what_the_scraper_asks_for() {
        let asked = |text: &'static str| form(Some(&HeaderValue::from_static(text)));
        assert_eq!(
            asked("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3"),
            Form::OpenMetrics
        );
        assert_eq!(asked("*/*"), Form::Text);
        assert_eq!(form(None), Form::Text);
    }
}

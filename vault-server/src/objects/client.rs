//! How requests travel: HTTP/1.1 over TLS to one endpoint, each tried a few times.
//!
//! Made of what the server is made of already (hyper, rustls), as webhooks are: nothing here follows a redirect or reads
//! a proxy from the environment, so no signed request goes to another host than the endpoint. What an answer says that
//! is a failure becomes a [`Fault`] here, the only place that sees it whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;
use vault_core::limits::{
    OBJECT_ANSWER_BYTES_MAX, OBJECT_CONNECT_SECONDS, OBJECT_CONNECTIONS_MAX, OBJECT_STALL_SECONDS,
    OBJECT_TRIES_MAX, OBJECT_TRY_SECONDS,
};

use super::fault::Fault;

type Sender = SendRequest<HttpRequestBody>;

/// How long after a failure the request is sent again; twice that after the next, and so on.
const PAUSE: Duration = Duration::from_millis(200);

/// Requests to one endpoint.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    host: String,
    port: u16,
    /// `None` in clear.
    tls: Option<Arc<ClientConfig>>,
    pause: Duration,
    idle: Mutex<Vec<Sender>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.authority()).finish()
    }
}

/// Why a try failed, and whether the request may have arrived.
struct Failed {
    fault: Fault,
    sent: bool,
}

impl Client {
    pub(super) fn new(host: String, port: u16, tls: Option<Arc<ClientConfig>>) -> Self {
        Self(Arc::new(Inner {
            host,
            port,
            tls,
            pause: PAUSE,
            idle: Mutex::default(),
        }))
    }

    /// The same, that tries again at once.
    #[cfg(test)]
    pub(super) fn hasty(host: String, port: u16) -> Self {
        Self(Arc::new(Inner {
            host,
            port,
            tls: None,
            pause: Duration::ZERO,
            idle: Mutex::default(),
        }))
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.0.host, self.0.port)
    }

    async fn connect(&self) -> Result<Sender, Fault> {
        let time = Duration::from_secs(OBJECT_CONNECT_SECONDS);
        let connected = timeout(time, async {
            let address = (self.0.host.as_str(), self.0.port);
            // Tries every address of the name.
            let stream = TcpStream::connect(address).await;
            let stream = stream.map_err(|_| Fault::Away(self.authority()))?;
            // A request's head and body are one burst each: nothing is gained by waiting for more.
            let _ = stream.set_nodelay(true);
            let Some(tls) = &self.0.tls else {
                return self.speak(stream).await;
            };
            let failed = |_| Fault::Tls(self.authority());
            let name = ServerName::try_from(self.0.host.clone());
            let name = name.map_err(|_| Fault::Tls(self.authority()))?;
            let connector = TlsConnector::from(tls.clone());
            self.speak(connector.connect(name, stream).await.map_err(failed)?)
                .await
        });
        connected
            .await
            .unwrap_or_else(|_| Err(Fault::Away(self.authority())))
    }

    async fn speak<S>(&self, stream: S) -> Result<Sender, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Fault::Protocol)?;
        // It ends with its sender, or when the other side closes it.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A connection that is waiting for a request, or a new one; whether it is new.
    async fn sender(&self) -> Result<(Sender, bool), Fault> {
        {
            let mut idle = self.0.idle.lock();
            idle.retain(|sender| !sender.is_closed());
            if let Some(at) = idle.iter().position(Sender::is_ready) {
                return Ok((idle.swap_remove(at), false));
            }
        }
        Ok((self.connect().await?, true))
    }

    async fn attempt(&self, request: HttpRequest) -> Result<Response<Incoming>, Failed> {
        let unsent = |fault| Failed { fault, sent: false };
        let (mut sender, new) = self.sender().await.map_err(unsent)?;
        let time = Duration::from_secs(OBJECT_TRY_SECONDS);
        let answer = match timeout(time, sender.send_request(request.clone())).await {
            // The other side closed it while it waited.
            Ok(Err(error)) if !new && (error.is_canceled() || error.is_closed()) => {
                sender = self.connect().await.map_err(unsent)?;
                timeout(time, sender.send_request(request)).await
            }
            answer => answer,
        };
        let sent = |fault| Failed { fault, sent: true };
        let answer = answer
            .map_err(|_| sent(Fault::Slow))?
            .map_err(|_| sent(Fault::Protocol))?;
        let mut idle = self.0.idle.lock();
        // Ready again when the answer was read to its end.
        if idle.len() < OBJECT_CONNECTIONS_MAX {
            idle.push(sender);
        }
        Ok(answer)
    }

    /// Whether a failure says more than that the object is not there, or another.
    async fn judged(answer: HttpResponse) -> Result<HttpResponse, Fault> {
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, OBJECT_ANSWER_BYTES_MAX).collect().await;
        let body = body.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
        let fault = Fault::answered(status.as_u16(), std::str::from_utf8(&body).ok());
        match fault {
            // These `object_store` tells apart by their status.
            Fault::Absent | Fault::Changed => Ok(HttpResponse::from_parts(
                parts,
                HttpResponseBody::from(body),
            )),
            fault => Err(fault),
        }
    }
}

/// The request as it goes over a connection to the endpoint.
fn on_the_wire(mut request: HttpRequest) -> Result<HttpRequest, Fault> {
    let authority = request.uri().authority().ok_or(Fault::Protocol)?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Fault::Protocol)?;
    request.headers_mut().insert(HOST, host);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Fault::Protocol)?;
    Ok(request)
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = on_the_wire(request)?;
        let twice_is_once = request.method() != Method::POST;
        let mut tries = 0;
        loop {
            let answered = self.attempt(request.clone()).await;
            let (fault, again) = match answered {
                Ok(answer) => {
                    let answer = answer.map(|body| HttpResponseBody::new(Patient::new(body)));
                    match Self::judged(answer).await {
                        Ok(answer) => return Ok(answer),
                        Err(fault) => (fault, true),
                    }
                }
                Err(Failed { fault, sent }) => (fault, !sent || twice_is_once),
            };
            tries += 1;
            if !fault.passes() || !again || tries >= OBJECT_TRIES_MAX {
                return Err(fault.into());
            }
            sleep(self.0.pause * (1 << (tries - 1))).await;
        }
    }
}

impl HttpConnector for Client {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// An answer's bytes; where none come for long, its end.
struct Patient {
    body: Incoming,
    time: Pin<Box<Sleep>>,
}

impl Patient {
    const TIME: Duration = Duration::from_secs(OBJECT_STALL_SECONDS);

    fn new(body: Incoming) -> Self {
        Self {
            body,
            time: Box::pin(sleep(Self::TIME)),
        }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                // Whoever reads slowly makes nobody late.
                self.time.as_mut().reset(Instant::now() + Self::TIME);
                Poll::Ready(frame.map(|frame| frame.map_err(|_| Fault::Protocol.into())))
            }
            Poll::Pending => match self.time.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Fault::Slow.into()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! HTTP over a connection to the server.
//!
//! Knows nothing of the vault.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;

use crate::dialer::Dialer;

/// Longest wait for one answer: a server that sheds answers at once.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Connecting is tried this often in a row: a server under attack may shed connections too.
const CONNECT_TRIES: u32 = 20;

/// An answer to a well-behaved call.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("none")
    }
}

/// One connection with HTTP/1.1 on it, opened again where the server closed it between two calls.
pub(super) struct Link {
    dialer: Arc<Dialer>,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Connections that were opened.
    pub(super) opened: u64,
}

impl Link {
    pub(super) fn new(dialer: Arc<Dialer>) -> Self {
        Self {
            dialer,
            sender: None,
            opened: 0,
        }
    }

    async fn open(&mut self) -> Result<SendRequest<Full<Bytes>>, String> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let mut failed = String::new();
        for tried in 1..=CONNECT_TRIES {
            let connected = match self.dialer.stream().await {
                Ok(stream) => handshake(TokioIo::new(stream)).await.map_err(|e| chain(&e)),
                Err(error) => Err(chain(&error)),
            };
            match connected {
                Ok((sender, connection)) => {
                    self.opened += 1;
                    tokio::spawn(connection);
                    return Ok(sender);
                }
                Err(error) => failed = error,
            }
            tokio::time::sleep(Duration::from_millis(50 * u64::from(tried))).await;
        }
        Err(format!("no connection: {failed}"))
    }

    /// Sends one request and reads its whole answer.
    ///
    /// A request that was never written, because the server had closed the connection, is sent
    /// once more over a new one. Everything else that breaks is an error.
    pub(super) async fn send(&mut self, request: &Request<Bytes>) -> Result<Answer, String> {
        let mut again = true;
        loop {
            let mut sender = self.open().await?;
            let mut copy = Request::builder()
                .method(request.method())
                .uri(request.uri())
                .body(Full::new(request.body().clone()))
                .expect("it was a request before");
            copy.headers_mut().clone_from(request.headers());
            let sent = timeout(ANSWER_WAIT, sender.send_request(copy)).await;
            let response = match sent {
                Ok(Ok(response)) => response,
                Ok(Err(error)) if error.is_canceled() && again => {
                    again = false;
                    continue;
                }
                Ok(Err(error)) => return Err(format!("no answer: {}", chain(&error))),
                Err(_) => return Err("no answer in time".into()),
            };
            let (head, body) = response.into_parts();
            let body = match timeout(ANSWER_WAIT, body.collect()).await {
                Ok(Ok(body)) => body.to_bytes(),
                Ok(Err(error)) => return Err(format!("half an answer: {}", chain(&error))),
                Err(_) => return Err("half an answer in time".into()),
            };
            let text = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
            let body = match body.is_empty() {
                true => Value::Null,
                false => serde_json::from_slice(&body).map_err(|_| "an answer that is no JSON")?,
            };
            if text("connection").as_deref() != Some("close") {
                self.sender = Some(sender);
            }
            return Ok(Answer {
                status: head.status.as_u16(),
                retry_after: text("retry-after").and_then(|seconds| seconds.parse().ok()),
                etag: text("etag"),
                body,
            });
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

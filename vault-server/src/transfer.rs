//! Bytes between a socket and the vault: uploads and downloads of blobs.
//!
//! A blocking task stands beside the socket's, with room for a few pieces between them, so that a
//! slow side slows the other and memory does not grow. Transfers have a limit of their own: they may
//! last for minutes, and the places of ordinary calls stay free. Knows nothing of what may be read:
//! the vault decides that again with every piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use futures_util::Stream;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use vault_core::vault::{BlobWritten, Download, Upload};

use crate::call::Session;
use crate::code::Code;
use crate::incoming::Incoming;
use crate::places::Class;
use crate::problem::Problem;
use crate::state::App;

/// Pieces between socket and vault; a piece of an upload is at most what the socket's buffer holds.
const PIECES: usize = 4;
/// How long either side of a transfer may stand still.
const STANDSTILL: Duration = Duration::from_secs(60);

/// How long a refused client may go on sending before the connection is closed.
const LINGER: Duration = Duration::from_secs(5);

/// What an upload's socket tells its blocking task. Without `End` the content is not whole.
enum Piece {
    Bytes(Bytes),
    End,
}

impl App {
    fn transfer_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(self.transfers())
            .try_acquire_owned()
            .map_err(|_| Problem::new(Code::Overloaded))
    }

    /// Receives a body into the vault. `begin` makes every check before the first byte is read.
    ///
    /// # Errors
    ///
    /// As for any call; 400 where the body breaks off or stands still. The vault is then as it was.
    pub(crate) async fn receive(
        &self,
        incoming: Incoming,
        headers: &HeaderMap,
        body: Body,
        begin: impl FnOnce(&Session) -> Result<Upload, Problem> + Send + 'static,
    ) -> Result<BlobWritten, Problem> {
        let mut body = body;
        // Whoever waits for `100 Continue` has sent nothing until somebody reads.
        let mut sending = !headers.contains_key(header::EXPECT);
        let received = self.pump(incoming, &mut body, &mut sending, begin).await;
        if received.is_err() && sending {
            drain(body, self.settings().body_bytes_max).await;
        }
        received
    }

    async fn pump(
        &self,
        incoming: Incoming,
        body: &mut Body,
        sending: &mut bool,
        begin: impl FnOnce(&Session) -> Result<Upload, Problem> + Send + 'static,
    ) -> Result<BlobWritten, Problem> {
        let admitted = self.admit(&incoming)?;
        let permit = self.transfer_permit()?;
        let (pieces, mut taken) = mpsc::channel(PIECES);
        let (go, may_go) = oneshot::channel();
        let app = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let session = Session::begin(app, admitted, &incoming, Class::Ordinary)?;
            let mut upload = begin(&session)?;
            // Nobody waits if the client has gone, and then no piece comes either.
            let _ = go.send(());
            loop {
                match taken.blocking_recv() {
                    Some(Piece::Bytes(bytes)) => upload.write(&bytes)?,
                    Some(Piece::End) => return Ok(upload.finish()?),
                    None => return Err(broken_off("the body ended before its end")),
                }
            }
        });
        // Only now: what is refused at its beginning need not be sent at all.
        let sent = match may_go.await {
            Ok(()) => {
                *sending = true;
                send(body, &pieces).await
            }
            Err(_) => Ok(()),
        };
        drop(pieces);
        let ended = task.await;
        let ended = ended.unwrap_or_else(|_| Err(Problem::new(Code::Internal)));
        // What the socket met comes first: the vault knows only that there was no end.
        sent.and(ended)
    }

    /// A body of the content from `from` up to `to`, read as it is sent.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` where too many transfers run.
    pub(crate) fn send(&self, download: Download, from: u64, to: u64) -> Result<Body, Problem> {
        let permit = self.transfer_permit()?;
        let (pieces, taken) = mpsc::channel(1);
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            feed(&download, from, to, &pieces, &runtime);
        });
        Ok(Body::from_stream(Pieces {
            taken,
            left: to - from,
        }))
    }
}

fn broken_off(detail: &'static str) -> Problem {
    Problem::with_detail(Code::Malformed, detail)
}

/// Sends the body's pieces to the task until it wants no more, and the end once it is there.
async fn send(body: &mut Body, pieces: &mpsc::Sender<Piece>) -> Result<(), Problem> {
    loop {
        // How long a body may stand still is the connection's business.
        let piece = match body.frame().await {
            Some(Err(_)) => return Err(broken_off("the body ended before its end")),
            None => Piece::End,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => Piece::Bytes(bytes),
                // Trailers say nothing here.
                Err(_) => continue,
            },
        };
        let end = matches!(piece, Piece::End);
        // A task that has gone has its own answer.
        if pieces.send(piece).await.is_err() || end {
            return Ok(());
        }
    }
}

/// Reads on after a refusal, no more than any other call's body: a client that is still sending
/// would otherwise meet a closed socket and not the answer.
async fn drain(mut body: Body, bytes_max: usize) {
    let over = |body: &Body| HttpBody::size_hint(body).lower() > bytes_max as u64;
    if over(&body) {
        return;
    }
    let mut left = bytes_max;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else {
                return;
            };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(LINGER, read).await;
}

/// Reads slices and hands them on, each only when the one before has been taken. On one thread from
/// beginning to end, so that the buffers of all slices come from one place in the heap.
fn feed(
    download: &Download,
    from: u64,
    to: u64,
    pieces: &mpsc::Sender<Result<Bytes, Ended>>,
    runtime: &tokio::runtime::Handle,
) {
    let mut at = from;
    while at < to {
        // A client that takes nothing loses its place, and its connection with the missing piece.
        let place = async { tokio::time::timeout(STANDSTILL, pieces.reserve()).await };
        let Ok(Ok(place)) = runtime.block_on(place) else {
            return;
        };
        match download.read(at, to) {
            Ok(bytes) if !bytes.is_empty() => {
                at += bytes.len() as u64;
                place.send(Ok(bytes.into()));
            }
            Ok(_) => return place.send(Err(Ended)),
            Err(refusal) => {
                tracing::info!(
                    target: "vault_server::transfer",
                    code = refusal.code(),
                    "a download ended before its end"
                );
                return place.send(Err(Ended));
            }
        }
    }
}

/// A download ended before its end; the connection is closed, so that it does not look whole.
#[derive(Debug, thiserror::Error)]
#[error("the content ended before its end")]
pub(crate) struct Ended;

/// The pieces of a download, which are not at their end before all of it has come.
struct Pieces {
    taken: mpsc::Receiver<Result<Bytes, Ended>>,
    left: u64,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Ended>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.taken.poll_recv(context).map(|piece| match piece {
            Some(Ok(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Some(Ok(bytes))
            }
            Some(Err(ended)) => Some(Err(ended)),
            None => Some(Err(Ended)),
        })
    }
}

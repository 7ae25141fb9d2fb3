//! Content that follows from a seed: made while it is sent, compared while it comes, never held.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use vault_core::entropy::{Entropy, SeededEntropy};

use super::BlobsError;

/// Bytes that follow from one seed: a piece, so that any place can be made without those before it.
pub(super) const BLOCK: u64 = 1 << 20;

/// The bytes of one block.
fn block(seed: u64, number: u64) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK as usize];
    SeededEntropy::new(seed ^ (number << 20)).fill(&mut bytes);
    bytes
}

/// Where a body stops without an end, and who is told.
pub(super) struct Halt {
    pub(super) at: u64,
    pub(super) reached: Arc<Notify>,
}

/// The content as a body, made while it is sent.
pub(super) struct Content {
    pub(super) seed: u64,
    pub(super) size: u64,
    pub(super) at: u64,
    pub(super) halt: Option<Halt>,
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.at >= self.size {
            return Poll::Ready(None);
        }
        if let Some(halt) = self.halt.as_ref().filter(|halt| self.at >= halt.at) {
            // Nobody wakes this again: the server goes before the rest comes.
            halt.reached.notify_one();
            return Poll::Pending;
        }
        let mut bytes = block(self.seed, self.at / BLOCK);
        bytes.truncate((self.size - self.at).min(BLOCK) as usize);
        self.at += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size - self.at)
    }
}

/// Compares a body with the content from `from` to `to`.
pub(super) async fn compare(
    answer: Response<Incoming>,
    seed: u64,
    from: u64,
    to: u64,
) -> Result<(), BlobsError> {
    let mut body = answer.into_body();
    let (mut at, mut held) = (from, (u64::MAX, Vec::new()));
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame?.into_data() else {
            continue;
        };
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            let number = at / BLOCK;
            if held.0 != number {
                held = (number, block(seed, number));
            }
            let rest = &held.1[(at % BLOCK) as usize..];
            let length = rest.len().min(bytes.len());
            if at >= to || rest[..length] != bytes[..length] {
                return Err(BlobsError::Differs(at));
            }
            at += length as u64;
            bytes = &bytes[length..];
        }
    }
    match at == to {
        true => Ok(()),
        false => Err(BlobsError::Differs(at)),
    }
}

//! Bodies that are told of: a request's has its time, an answer's says when it is taken.
//!
//! Knows nothing of what they hold.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Activity;
use super::figures::{ConnectionFigures, count};
use crate::config::ConnectionLimits;
use crate::state::App;

/// A body did not come in its time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
pub(crate) struct BodyTimeout;

/// A request's body: so long without a byte, so long in all, and a second more for each
/// `body_rate` bytes, so that a long upload has its time and a dripping one has not. Only waiting for
/// the client counts, not what the vault takes to read.
pub(super) struct TimedBody {
    body: hyper::body::Incoming,
    app: App,
    limits: ConnectionLimits,
    received: u64,
    /// In all, until the present wait.
    waited: Duration,
    /// When the present wait began.
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// How long the next byte may be waited for.
fn patience(limits: &ConnectionLimits, received: u64, waited: Duration) -> Duration {
    let bought = Duration::from_secs(received / limits.body_rate.max(1));
    let left = (limits.body + bought).saturating_sub(waited);
    limits.body_idle.min(left)
}

impl TimedBody {
    pub(super) fn new(body: hyper::body::Incoming, app: App, limits: ConnectionLimits) -> Self {
        Self {
            body,
            app,
            limits,
            received: 0,
            waited: Duration::ZERO,
            since: None,
            timer: Box::pin(sleep_until(Instant::now())),
        }
    }

    fn figures(&self) -> &ConnectionFigures {
        self.app.connections()
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                if let Some(since) = self.since.take() {
                    self.waited += since.elapsed();
                }
                if let Some(Ok(frame)) = &frame {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.received = self.received.saturating_add(bytes as u64);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)))
            }
            Poll::Pending => {
                if self.since.is_none() {
                    let now = Instant::now();
                    let patience = patience(&self.limits, self.received, self.waited);
                    self.since = Some(now);
                    self.timer.as_mut().reset(now + patience);
                }
                ready!(self.timer.as_mut().poll(context));
                count(&self.figures().body_timeouts);
                Poll::Ready(Some(Err(axum::Error::new(BodyTimeout))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// One call of a connection, from its head to the end of its answer.
pub(super) struct Under {
    activity: Arc<Activity>,
    busy: bool,
}

impl Under {
    pub(super) fn way(activity: Arc<Activity>) -> Self {
        activity.began();
        Self {
            activity,
            busy: true,
        }
    }

    fn set_busy(&mut self, busy: bool) {
        if self.busy != busy {
            self.busy = busy;
            self.activity.busy(busy, Instant::now());
        }
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.activity.ended(self.busy, Instant::now());
    }
}

/// An answer's body; holds its call open until it is sent or given up.
pub(super) struct AnswerBody {
    body: Body,
    call: Under,
}

impl AnswerBody {
    pub(super) fn new(body: Body, mut call: Under) -> Self {
        call.set_busy(false);
        Self { body, call }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // A stream that has nothing ready keeps the client waiting, not the other way round.
        self.call.set_busy(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_buy_time_and_standing_still_does_not() {
        let limits = ConnectionLimits {
            body_idle: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_rate: 1000,
            ..ConnectionLimits::default()
        };
        let patience =
            |received, waited| patience(&limits, received, Duration::from_secs(waited)).as_secs();
        assert_eq!(patience(0, 0), 10);
        assert_eq!(patience(999, 25), 5);
        assert_eq!(patience(5000, 25), 10);
        assert_eq!(patience(5000, 35), 0);
        assert_eq!(patience(5_000_000, 1000), 10);
    }
}

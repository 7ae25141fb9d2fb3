//! What a connection waits for, and until when it may.
//!
//! Knows nothing of bytes or protocols: it is told what happens and when. A connection waits for
//! the head of a request, for the next call, or for the client to take its answer; while the vault
//! itself is at work, or a body arrives (which has limits of its own), it may wait for ever.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::ConnectionLimits;

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The head of a request.
    Header,
    /// The next call.
    Idle,
    /// The client, with an answer.
    Write,
}

/// The state of one connection.
pub(super) struct Activity {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// Calls whose head has come and whose answer is not sent yet.
    calls: usize,
    /// Those among them that the vault works on.
    busy: usize,
    /// Whether part of a head has come, or must come.
    head: bool,
    /// Whether single bytes between calls begin a head: not over HTTP/2, whose pings would.
    bytes_begin_heads: bool,
    /// When the present wait began.
    since: Instant,
    /// Since when bytes wait for the client to take them. The protocol may have let go of their
    /// answer long before.
    stuck: Option<Instant>,
}

impl Activity {
    /// A connection that has just opened. Over HTTP/2 the first request may be a while away.
    pub(super) fn new(http2: bool, now: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                calls: 0,
                busy: 0,
                head: !http2,
                bytes_begin_heads: !http2,
                since: now,
                stuck: None,
            }),
            changed: Notify::new(),
        }
    }

    /// Bytes have come.
    pub(super) fn received(&self, now: Instant) {
        let mut state = self.state.lock();
        if state.bytes_begin_heads && state.calls == 0 && !state.head {
            (state.head, state.since) = (true, now);
            self.changed.notify_one();
        }
    }

    /// The client has taken bytes.
    pub(super) fn sent(&self, now: Instant) {
        let mut state = self.state.lock();
        state.stuck = None;
        if state.calls > 0 {
            state.since = now;
        }
    }

    /// No byte waits any more.
    pub(super) fn flushed(&self) {
        self.state.lock().stuck = None;
    }

    /// The client could take no more bytes.
    pub(super) fn stuck(&self, now: Instant) {
        let mut state = self.state.lock();
        if state.stuck.is_none() {
            state.stuck = Some(now);
            self.changed.notify_one();
        }
    }

    /// A head is whole: the vault works on the call.
    pub(super) fn began(&self) {
        let mut state = self.state.lock();
        state.calls += 1;
        state.busy += 1;
        state.head = false;
    }

    /// The vault has handed over a part of an answer, and the client is to take it (`false`), or
    /// works on the next (`true`).
    pub(super) fn busy(&self, busy: bool, now: Instant) {
        let mut state = self.state.lock();
        if busy {
            state.busy += 1;
        } else {
            state.busy -= 1;
            state.since = now;
            self.changed.notify_one();
        }
    }

    /// An answer has been sent, or given up; `busy` as it was last.
    pub(super) fn ended(&self, busy: bool, now: Instant) {
        let mut state = self.state.lock();
        state.calls -= 1;
        state.busy -= usize::from(busy);
        state.since = now;
        self.changed.notify_one();
    }

    /// Whether nothing of a call is there, so that closing cuts nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().calls == 0
    }

    /// Until when what may be waited for; `None` while the vault works.
    fn due(&self, limits: &ConnectionLimits) -> Option<(Instant, Overdue)> {
        let state = self.state.lock();
        if let Some(since) = state.stuck {
            return Some((since + limits.write, Overdue::Write));
        }
        let (wait, what) = match state.calls {
            0 if state.head => (limits.header, Overdue::Header),
            0 => (limits.idle, Overdue::Idle),
            _ if state.busy > 0 => return None,
            _ => (limits.write, Overdue::Write),
        };
        Some((state.since + wait, what))
    }

    /// Ends when something takes too long.
    pub(super) async fn overdue(&self, limits: &ConnectionLimits) -> Overdue {
        loop {
            match self.due(limits) {
                None => self.changed.notified().await,
                Some((until, what)) if until <= Instant::now() => return what,
                Some((until, _)) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits() -> ConnectionLimits {
        ConnectionLimits {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            ..ConnectionLimits::default()
        }
    }

    fn due(activity: &Activity, start: Instant) -> Option<(u64, Overdue)> {
        let due = activity.due(&limits());
        due.map(|(until, what)| (until.duration_since(start).as_secs(), what))
    }

    #[test]
    fn a_head_that_drips_has_the_time_of_its_first_byte() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let activity = Activity::new(false, start);
        activity.received(at(9));
        assert_eq!(due(&activity, start), Some((10, Overdue::Header)));
        activity.began();
        assert_eq!(due(&activity, start), None);
        activity.busy(false, at(20));
        assert_eq!(due(&activity, start), Some((50, Overdue::Write)));
        activity.sent(at(40));
        assert_eq!(due(&activity, start), Some((70, Overdue::Write)));
        activity.ended(false, at(41));
        assert_eq!(due(&activity, start), Some((116, Overdue::Idle)));
        activity.received(at(100));
        activity.received(at(109));
        assert_eq!(due(&activity, start), Some((110, Overdue::Header)));
    }

    #[test]
    fn pings_do_not_keep_a_connection_open() {
        let start = Instant::now();
        let activity = Activity::new(true, start);
        activity.received(start + Duration::from_secs(70));
        activity.sent(start + Duration::from_secs(70));
        assert_eq!(due(&activity, start), Some((75, Overdue::Idle)));
    }

    #[test]
    fn bytes_that_nobody_takes_count_whether_their_answer_has_ended_or_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let activity = Activity::new(false, start);
        activity.began();
        activity.ended(true, at(1));
        activity.stuck(at(2));
        activity.stuck(at(20));
        assert_eq!(due(&activity, start), Some((32, Overdue::Write)));
        activity.sent(at(30));
        assert_eq!(due(&activity, start), Some((76, Overdue::Idle)));
    }

    #[test]
    fn one_call_at_work_is_reason_enough_to_wait() {
        let start = Instant::now();
        let activity = Activity::new(true, start);
        activity.began();
        activity.began();
        activity.busy(false, start);
        assert_eq!(due(&activity, start), None);
        activity.ended(true, start);
        assert_eq!(due(&activity, start), Some((30, Overdue::Write)));
        activity.ended(false, start);
        assert!(activity.is_idle());
    }
}

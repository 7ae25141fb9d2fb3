//! Between a target, whose calls block, and a client, whose calls are awaited: one thread of its own that the client's
//! work is done on, whichever thread waits for it.

use std::future::Future;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use vault_core::limits::OBJECT_CALL_SECONDS;

use super::fault::Fault;

/// The thread, as long as somebody may wait for it.
pub(super) struct Bridge {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// Work that goes on.
pub(super) struct Under<T>(Receiver<Result<T, Fault>>);

impl Bridge {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("vault-objects")
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Begins work, which ends by itself in bounded time.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Under<T> {
        let (done, wait) = sync_channel(1);
        let time = Duration::from_secs(OBJECT_CALL_SECONDS);
        let runtime = self.runtime.as_ref().expect("it is there until the drop");
        runtime.spawn(async move {
            let ended = tokio::time::timeout(time, work).await;
            // Nobody waits any more where this fails.
            let _ = done.send(ended.unwrap_or(Err(Fault::Slow)));
        });
        Under(wait)
    }

    /// Does work, and waits for its end. Must not be called by a thread that awaits: it would stand still.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> io::Result<T> {
        self.begin(work).wait()
    }
}

impl<T> Under<T> {
    /// Waits for its end.
    pub(super) fn wait(self) -> io::Result<T> {
        // The end comes by itself; a moment more than that is only for a thread that is not given time.
        let most = Duration::from_secs(OBJECT_CALL_SECONDS + 10);
        match self.0.recv_timeout(most) {
            Ok(ended) => ended.map_err(io::Error::from),
            Err(RecvTimeoutError::Timeout) => Err(Fault::Slow.into()),
            Err(RecvTimeoutError::Disconnected) => Err(Fault::Ended.into()),
        }
    }

    /// Waits no longer than `time`; what it came to is nobody's concern.
    pub(super) fn wait_a_little(self, time: Duration) {
        let _ = self.0.recv_timeout(time);
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Whichever thread this is must not wait for the last call.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_gets_what_the_work_came_to_even_where_it_broke() {
        let bridge = Bridge::new().expect("a thread");
        assert_eq!(bridge.run(async { Ok(7) }).expect("done"), 7);
        let error = bridge.run::<()>(async { Err(Fault::Absent) });
        let error = error.expect_err("absent");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let broken = bridge.run::<()>(async { panic!("a defect") });
        assert_eq!(
            broken.expect_err("broken").to_string(),
            Fault::Ended.to_string()
        );
        assert_eq!(bridge.run(async { Ok(8) }).expect("it goes on"), 8);
    }

    /// A thread that awaits may let go of a target: that neither panics nor waits.
    #[tokio::test]
    async fn it_may_be_dropped_by_a_thread_that_awaits() {
        let bridge = Bridge::new().expect("a thread");
        let under = bridge.begin(std::future::pending::<Result<(), Fault>>());
        drop(bridge);
        drop(under);
    }
}

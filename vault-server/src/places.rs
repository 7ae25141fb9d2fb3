//! Places for calls in the vault: so many at a time, a short queue before them, and some kept back.
//!
//! Where every place is taken, a call waits for a moment and is then refused, instead of making all
//! others slower. What a person has a right to, an erasure or a withdrawal, has places of its own
//! and more patience. Whether the server is ready, and opening it, are never refused here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::code::Code;
use crate::problem::Problem;
use crate::rate::Limits;

/// How long an erasure waits for a place.
const RIGHT_WAIT: Duration = Duration::from_secs(10);
/// Erasures that wait at a time.
const RIGHTS_WAITING_MAX: usize = 1_024;
/// Calls at a time that ask for readiness or open the vault.
const WATCHING_MAX: usize = 8;

/// What a call is for the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Refused where every place is taken.
    Ordinary,
    /// A person has a right to it: erasure, withdrawal.
    Right,
}

/// The places of a server.
pub(crate) struct Places {
    ordinary: Arc<Semaphore>,
    ordinary_max: usize,
    reserve: Arc<Semaphore>,
    reserve_max: usize,
    watching: Arc<Semaphore>,
    waiting: Semaphore,
    waiting_max: usize,
    rights_waiting: Semaphore,
    wait: Duration,
}

/// How many places are taken, and how many calls wait.
pub(crate) struct Taken {
    pub(crate) ordinary: usize,
    pub(crate) reserve: usize,
    pub(crate) waiting: usize,
}

impl Places {
    pub(crate) fn new(in_flight_max: usize, limits: &Limits) -> Self {
        let (reserve_max, waiting_max) = (limits.reserve as usize, limits.waiting as usize);
        Self {
            ordinary: Arc::new(Semaphore::new(in_flight_max)),
            ordinary_max: in_flight_max,
            reserve: Arc::new(Semaphore::new(reserve_max)),
            reserve_max,
            watching: Arc::new(Semaphore::new(WATCHING_MAX)),
            waiting: Semaphore::new(waiting_max),
            waiting_max,
            rights_waiting: Semaphore::new(RIGHTS_WAITING_MAX),
            wait: limits.wait(),
        }
    }

    /// Takes a place, at once or after a short wait.
    ///
    /// # Errors
    ///
    /// 503 `overloaded`.
    pub(crate) async fn take(&self, class: Class) -> Result<OwnedSemaphorePermit, Problem> {
        if let Ok(place) = Arc::clone(&self.ordinary).try_acquire_owned() {
            return Ok(place);
        }
        let (places, queue, wait) = match class {
            Class::Ordinary => (&self.ordinary, &self.waiting, self.wait),
            Class::Right => (&self.reserve, &self.rights_waiting, RIGHT_WAIT),
        };
        if class == Class::Right
            && let Ok(place) = Arc::clone(places).try_acquire_owned()
        {
            return Ok(place);
        }
        let overloaded = || Problem::new(Code::Overloaded);
        let _queued = queue.try_acquire().map_err(|_| overloaded())?;
        let place = tokio::time::timeout(wait, Arc::clone(places).acquire_owned()).await;
        // The semaphores are never closed.
        place
            .map_err(|_| overloaded())?
            .map_err(|_| Problem::new(Code::Internal))
    }

    /// Takes a place for what is never refused: it waits as long as it takes.
    pub(crate) async fn watch(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.watching).acquire_owned().await;
        place.map_err(|_| Problem::new(Code::Internal))
    }

    /// Takes an ordinary place for a part of an answer that has begun: it waits as long as it takes.
    pub(crate) async fn wait(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.ordinary).acquire_owned().await;
        place.map_err(|_| Problem::new(Code::Internal))
    }

    pub(crate) fn taken(&self) -> Taken {
        Taken {
            ordinary: self.ordinary_max - self.ordinary.available_permits(),
            reserve: self.reserve_max - self.reserve.available_permits(),
            waiting: self.waiting_max - self.waiting.available_permits(),
        }
    }
}

/// Threads that may block, for this many places at once: with fewer, calls would queue where no
/// limit sees them, erasures among them.
#[must_use]
pub(crate) fn threads(in_flight_max: usize, limits: &Limits) -> usize {
    // Beside the places: the sweeper, a lock, scrapes.
    in_flight_max + limits.reserve as usize + WATCHING_MAX + 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn places(wait_milliseconds: u32) -> Places {
        let limits = Limits {
            waiting: 1,
            reserve: 1,
            wait_milliseconds,
            ..Limits::default()
        };
        Places::new(1, &limits)
    }

    const HOUR: u32 = 3_600_000;

    #[tokio::test]
    async fn a_call_waits_for_a_place_and_takes_the_one_that_comes_free() {
        let places = places(HOUR);
        let first = places.take(Class::Ordinary).await.expect("a free place");
        let mut second = pin!(places.take(Class::Ordinary));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(places.taken().waiting, 1);
        drop(first);
        let second = second.await.expect("the place of the first");
        let taken = places.taken();
        assert_eq!((taken.ordinary, taken.waiting), (1, 0));
        drop(second);
        assert_eq!(places.taken().ordinary, 0);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_a_call_that_has_waited_long_enough_too() {
        let places = places(HOUR);
        let _first = places.take(Class::Ordinary).await.expect("a free place");
        let mut second = pin!(places.take(Class::Ordinary));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        match pin!(places.take(Class::Ordinary)).poll(&mut context) {
            Poll::Ready(Err(problem)) => assert_eq!(problem.code(), Code::Overloaded),
            _ => panic!("a third call found room"),
        }
        let impatient = self::places(1);
        let _first = impatient.take(Class::Ordinary).await.expect("a free place");
        let refused = impatient.take(Class::Ordinary).await.expect_err("full");
        assert_eq!(refused.code(), Code::Overloaded);
        assert_eq!(
            impatient.taken().waiting,
            0,
            "who was refused waits no more"
        );
    }

    #[tokio::test]
    async fn an_erasure_has_a_place_where_ordinary_calls_have_none() {
        let places = places(1);
        let _first = places.take(Class::Ordinary).await.expect("a free place");
        places.take(Class::Ordinary).await.expect_err("full");
        let _erasure = places.take(Class::Right).await.expect("the reserve");
        assert_eq!(places.taken().reserve, 1);
        let mut next = pin!(places.take(Class::Right));
        let mut context = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending(), "it waits");
        let _watching = places.watch().await.expect("readiness is not shed");
    }
}

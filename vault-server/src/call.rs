//! The one way from a handler into the vault.
//!
//! Knows nothing of what a call does; promises how it is run: with a bearer that the vault knows,
//! within the limit of calls in flight, on a thread that may block, once for an idempotency key,
//! and with a panic that says nothing to the caller.

use std::sync::Arc;

use vault_core::id::{CallId, SubjectId};
use vault_core::vault::{Call, Principal, Vault};

use crate::code::Code;
use crate::idempotency::{Begin, Remember, digest};
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::App;

/// What handlers answer.
pub(crate) type Outcome = Result<Reply, Problem>;

/// An authenticated call, on a thread that may block.
pub(crate) struct Session {
    pub(crate) app: App,
    pub(crate) vault: Arc<Vault>,
    principal: Principal,
    purpose: Option<String>,
    id: CallId,
}

impl Session {
    /// The call, for the vault.
    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            principal: &self.principal,
            purpose: self.purpose.as_deref(),
            id: self.id,
        }
    }

    /// What was parsed; where it did not parse, whoever lacks the capability is told that first.
    ///
    /// # Errors
    ///
    /// 403 `role_denied`, else what the parser said.
    pub(crate) fn parsed<T>(
        &self,
        capability: &str,
        parsed: Result<T, Problem>,
    ) -> Result<T, Problem> {
        match parsed {
            Ok(parsed) => Ok(parsed),
            Err(problem) => {
                self.vault.require(&self.call(), capability)?;
                Err(problem)
            }
        }
    }
}

impl App {
    /// Runs a call that has no idempotency of its own: everything but POST.
    pub(crate) async fn call(
        &self,
        incoming: Incoming,
        work: impl FnOnce(&Session) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.run(incoming, None, work).await
    }

    /// Runs a POST: once for its idempotency key, if it carries one.
    pub(crate) async fn post(
        &self,
        incoming: Incoming,
        remember: Remember,
        subject: Option<SubjectId>,
        work: impl FnOnce(&Session) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.run(incoming, Some((remember, subject)), work).await
    }

    /// Begins something that goes on after this call's answer has begun.
    ///
    /// # Errors
    ///
    /// As for [`App::call`].
    pub(crate) async fn begin<T: Send + 'static>(
        &self,
        incoming: Incoming,
        work: impl FnOnce(&Session) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let Some(bearer) = incoming.bearer.clone() else {
            return Err(Problem::new(Code::Unauthenticated));
        };
        let vault = self.vault().ok_or(Problem::new(Code::Locked))?;
        let app = self.clone();
        self.blocking(move || {
            let principal = vault.authenticate(&bearer)?;
            if let Some(token) = principal.token() {
                let _ = incoming.ticket.token.set(token);
            }
            work(&Session {
                app,
                vault,
                principal,
                purpose: incoming.purpose,
                id: incoming.ticket.id,
            })
        })
        .await
    }

    /// Runs a part of what [`App::begin`] began; waits for a place among the calls in flight.
    ///
    /// # Errors
    ///
    /// 500 `internal` where the work panicked.
    pub(crate) async fn waiting<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(self.in_flight()).acquire_owned().await;
        let permit = permit.map_err(|_| Problem::new(Code::Overloaded))?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.map_err(|_| Problem::new(Code::Internal))
    }

    async fn run(
        &self,
        incoming: Incoming,
        once: Option<(Remember, Option<SubjectId>)>,
        work: impl FnOnce(&Session) -> Outcome + Send + 'static,
    ) -> Outcome {
        let Some(bearer) = incoming.bearer.clone() else {
            return Err(Problem::new(Code::Unauthenticated));
        };
        // A locked vault cannot tell a good key from a bad one.
        let vault = self.vault().ok_or(Problem::new(Code::Locked))?;
        let app = self.clone();
        self.blocking(move || {
            let principal = vault.authenticate(&bearer)?;
            if let Some(token) = principal.token() {
                let _ = incoming.ticket.token.set(token);
            }
            let running = match (&incoming.idempotency_key, once) {
                (Some(key), Some((remember, subject))) => {
                    let begun = app.idempotency().begin(
                        digest(&[bearer.as_bytes(), key.as_bytes()]),
                        digest(&[
                            incoming.method.as_str().as_bytes(),
                            incoming.path.as_bytes(),
                            incoming.purpose.as_deref().unwrap_or("").as_bytes(),
                            &incoming.body,
                        ]),
                        subject,
                        remember,
                        app.settings().clock.now(),
                    )?;
                    match begun {
                        Begin::Fresh(running) => Some(running),
                        Begin::Replay(reply) => return Ok(reply),
                    }
                }
                _ => None,
            };
            let session = Session {
                app,
                vault,
                principal,
                purpose: incoming.purpose,
                id: incoming.ticket.id,
            };
            let reply = work(&session)?;
            if let Some(running) = running {
                running.done(&reply);
            }
            Ok(reply)
        })
        .await
    }

    /// Runs work that may block, within the limit of calls in flight.
    ///
    /// The work runs to its end even where the client has gone: a write is not left half decided.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` without starting; 500 `internal` where the work panicked; else its own.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(self.in_flight())
            .try_acquire_owned()
            .map_err(|_| Problem::new(Code::Overloaded))?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await
            .unwrap_or_else(|_| Err(Problem::new(Code::Internal)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::tests::closed_app;

    #[tokio::test]
    async fn a_panic_becomes_an_internal_problem_without_its_text() {
        let refused = closed_app()
            .blocking::<()>(|| panic!("anna@example.test"))
            .await
            .expect_err("it panicked");
        assert_eq!(refused.code(), Code::Internal);
        let document = refused.document(CallId::from_bytes([0; 16]));
        assert!(!String::from_utf8_lossy(&document).contains("anna"));
    }

    #[tokio::test]
    async fn one_call_more_than_the_limit_is_refused_and_a_place_comes_free_again() {
        let app = closed_app();
        let taken: Vec<_> = (0..app.settings().in_flight_max)
            .map(|_| {
                Arc::clone(app.in_flight())
                    .try_acquire_owned()
                    .expect("room")
            })
            .collect();
        let refused = app.blocking(|| Ok(())).await.expect_err("full");
        assert_eq!(refused.code(), Code::Overloaded);
        drop(taken);
        app.blocking(|| Ok(())).await.expect("room again");
    }
}

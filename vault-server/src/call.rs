//! The one way from a handler into the vault.
//!
//! Knows nothing of what a call does; promises how it is run: with a bearer that the vault knows,
//! within the limit of calls in flight, on a thread that may block, once for an idempotency key,
//! and with a panic that says nothing to the caller.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use vault_core::id::{CallId, SubjectId};
use vault_core::policy::RestrictedUse;
use vault_core::vault::{Call, Principal, Vault};

use crate::code::Code;
use crate::front::Noted;
use crate::idempotency::{Begin, Remember, digest};
use crate::incoming::Incoming;
use crate::otel;
use crate::places::Class;
use crate::problem::Problem;
use crate::rate::Caller;
use crate::reply::Reply;
use crate::state::App;

/// What handlers answer.
pub(crate) type Outcome = Result<Reply, Problem>;

/// A call whose bearer has not been looked at yet.
pub(crate) struct Admitted {
    vault: Arc<Vault>,
    bearer: String,
    caller: Caller,
}

/// An authenticated call, on a thread that may block.
pub(crate) struct Session {
    pub(crate) app: App,
    pub(crate) vault: Arc<Vault>,
    principal: Principal,
    purpose: Option<String>,
    restricted_use: Option<RestrictedUse>,
    id: CallId,
    noted: Arc<Noted>,
}

impl Session {
    /// Finds out who calls, within the limits of their API key and of the person; blocks.
    ///
    /// # Errors
    ///
    /// 401, 429, 503 `locked`.
    pub(crate) fn begin(
        app: App,
        admitted: Admitted,
        incoming: &Incoming,
        class: Class,
    ) -> Result<Self, Problem> {
        let Admitted {
            vault,
            bearer,
            caller,
        } = admitted;
        let principal = app.principal(&vault, &bearer, incoming.through_socket);
        let principal = principal.inspect_err(|problem| {
            if problem.code() == Code::Unauthenticated {
                app.rates().failed(Some(&bearer), incoming.network);
            }
        })?;
        if let Some(token) = principal.token() {
            let _ = incoming.ticket.token.set(token);
            let standing = app.rates().proved(caller, &bearer, token)?;
            *incoming.ticket.noted.standing.lock() = Some(standing);
        }
        if let (Class::Ordinary, Some(subject)) = (class, incoming.person()) {
            app.rates().count_person(subject)?;
        }
        Ok(Self {
            app,
            vault,
            principal,
            purpose: incoming.purpose.clone(),
            restricted_use: incoming.restricted_use,
            id: incoming.ticket.id,
            noted: incoming.ticket.noted.clone(),
        })
    }

    /// Who calls, for work that goes on after the answer.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The call, for the vault.
    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            principal: &self.principal,
            purpose: self.purpose.as_deref(),
            restricted_use: self.restricted_use,
            id: self.id,
        }
    }

    /// Counts a look-up, or a creation, against the quota of the API key: each tells whether somebody
    /// is known, and many tell who is. Whatever looks people up or makes them calls this first.
    ///
    /// # Errors
    ///
    /// 429 `rate_limited`.
    pub(crate) fn count_lookup(&self) -> Result<(), Problem> {
        if let Some(token) = self.principal.token() {
            let standing = self.app.rates().count_lookup(token)?;
            *self.noted.standing.lock() = Some(standing);
        }
        Ok(())
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
        self.run(incoming, Class::Ordinary, None, work).await
    }

    /// Runs what a person has a right to: it is not refused where other calls are, and not counted
    /// against the person.
    pub(crate) async fn right(
        &self,
        incoming: Incoming,
        work: impl FnOnce(&Session) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.run(incoming, Class::Right, None, work).await
    }

    /// Runs a POST that a person has a right to, as [`App::right`] does.
    pub(crate) async fn right_post(
        &self,
        incoming: Incoming,
        remember: Remember,
        work: impl FnOnce(&Session) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.run(incoming, Class::Right, Some((remember, None)), work)
            .await
    }

    /// Runs a POST: once for its idempotency key, if it carries one.
    pub(crate) async fn post(
        &self,
        incoming: Incoming,
        remember: Remember,
        subject: Option<SubjectId>,
        work: impl FnOnce(&Session) -> Outcome + Send + 'static,
    ) -> Outcome {
        let once = Some((remember, subject));
        self.run(incoming, Class::Ordinary, once, work).await
    }

    /// Runs a part of what [`App::work`] began and goes on after its answer has begun; waits for a place
    /// among the calls in flight.
    ///
    /// # Errors
    ///
    /// 500 `internal` where the work panicked.
    pub(crate) async fn waiting<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        run_in(self.places().wait().await?, move || Ok(work())).await
    }

    async fn run(
        &self,
        incoming: Incoming,
        class: Class,
        once: Option<(Remember, Option<SubjectId>)>,
        work: impl FnOnce(&Session) -> Outcome + Send + 'static,
    ) -> Outcome {
        let admitted = self.admit(&incoming)?;
        let app = self.clone();
        self.blocking(class, move || {
            let bearer = admitted.bearer.clone();
            let session = Session::begin(app.clone(), admitted, &incoming, class)?;
            let running = match (&incoming.idempotency_key, once) {
                (Some(key), Some((remember, subject))) => {
                    let begun = app.idempotency().begin(
                        digest(&[bearer.as_bytes(), key.as_bytes()]),
                        incoming.fingerprint(),
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
            let reply = work(&session)?;
            if let Some(running) = running {
                running.done(&reply);
            }
            Ok(reply)
        })
        .await
    }

    /// Runs a call that answers with something else than a reply.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        incoming: Incoming,
        work: impl FnOnce(&Session) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let admitted = self.admit(&incoming)?;
        let app = self.clone();
        let class = Class::Ordinary;
        self.blocking(class, move || {
            work(&Session::begin(app, admitted, &incoming, class)?)
        })
        .await
    }

    /// Whether a call may be tried, before anybody has looked at its bearer.
    ///
    /// # Errors
    ///
    /// 401 without one, 429, 503 `locked`.
    pub(crate) fn admit(&self, incoming: &Incoming) -> Result<Admitted, Problem> {
        let Some(bearer) = incoming.bearer.clone() else {
            self.rates().strangers_wait(incoming.network)?;
            self.rates().failed(None, incoming.network);
            return Err(Problem::new(Code::Unauthenticated));
        };
        // A locked vault cannot tell a good key from a bad one.
        let vault = self.vault().ok_or(Problem::new(Code::Locked))?;
        let seen = self.rates().seen(&bearer);
        seen.map(|token| incoming.ticket.token.set(token));
        let caller = self.rates().admit(seen, incoming.network)?;
        Ok(Admitted {
            vault,
            bearer,
            caller,
        })
    }

    /// Runs work that may block, in a place of its class.
    ///
    /// The work runs to its end even where the client has gone: a write is not left half decided.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` without starting; 500 `internal` where the work panicked; else its own.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        class: Class,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        run_in(self.places().take(class).await?, work).await
    }

    /// Runs work that may block and is never refused for want of a place: opening the vault, and
    /// whether it is ready.
    ///
    /// # Errors
    ///
    /// 500 `internal` where the work panicked; else its own.
    pub(crate) async fn unshed<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        run_in(self.places().watch().await?, work).await
    }
}

async fn run_in<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let span = otel::work();
    let task = tokio::task::spawn_blocking(move || {
        let _place = place;
        span.in_scope(work)
    });
    task.await
        .unwrap_or_else(|_| Err(Problem::new(Code::Internal)))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderValue, Request};
    use tower::ServiceExt as _;
    use vault_core::clock::SystemClock;
    use vault_core::policy::SAMPLE;
    use vault_core::vault::{LockedVault, Passphrase, Settings, VaultPaths};

    use super::*;
    use crate::config::ServerConfig;
    use crate::routes::tests::closed_app;
    use crate::{AppSettings, Limits, router};

    #[tokio::test]
    async fn a_panic_becomes_an_internal_problem_without_its_text() {
        let refused = closed_app()
            .blocking::<()>(Class::Ordinary, || panic!("anna@example.test"))
            .await
            .expect_err("it panicked");
        assert_eq!(refused.code(), Code::Internal);
        let document = refused.document(CallId::from_bytes([0; 16]));
        assert!(!String::from_utf8_lossy(&document).contains("anna"));
    }

    /// A person, and bearers of a bot and of who may erase, in an open vault.
    fn open_app(home: &std::path::Path) -> (App, SubjectId, String, String) {
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(Arc::new(SystemClock))
        };
        let paths = VaultPaths::beside(&home.join("vault"));
        let created = LockedVault::create(&paths, settings, &passphrase, SAMPLE).expect("a vault");
        let vault = Arc::clone(&created.vault);
        let keyholder = vault.keyholder();
        let call = |principal| Call {
            principal,
            purpose: None,
            restricted_use: None,
            id: CallId::from_bytes([1; 16]),
        };
        let key = |role| vault.create_token(&call(&keyholder), role, None);
        let (bot, dpo) = (key("bot").expect("a key").1, key("dpo").expect("a key").1);
        let caller = vault.authenticate(&bot).expect("the key is good");
        let anna = vault.create_subject(&call(&caller), "web", "anna");
        let settings = AppSettings {
            in_flight_max: 2,
            limits: Limits {
                wait_milliseconds: 1,
                ..Limits::default()
            },
            sweep_every: None,
            ..AppSettings::from(&ServerConfig::default())
        };
        let app = App::new(created.locked, Some(created.vault), settings);
        (app, anna.expect("a person").0, bot, dpo)
    }

    #[tokio::test]
    async fn while_ordinary_calls_are_shed_an_erasure_is_done_and_the_server_is_ready() {
        let home = tempfile::tempdir().expect("a directory");
        let (app, anna, bot, dpo) = open_app(home.path());
        let send = async |method: &str, path: &str, bearer: &str| {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("authorization", format!("Bearer {bearer}"))
                .header("vault-purpose", "support")
                .body(Body::empty())
                .expect("a request");
            let response = router(app.clone()).oneshot(request).await;
            let response = response.expect("infallible");
            let wait = response.headers().get("retry-after").cloned();
            (response.status().as_u16(), wait)
        };
        let person = format!("/v1/subjects/{anna}");
        let profile = format!("{person}/records/profile");
        assert_eq!(send("GET", &profile, &bot).await.0, 200);
        let mut taken = Vec::new();
        for _ in 0..app.settings().in_flight_max {
            taken.push(app.places().take(Class::Ordinary).await.expect("room"));
        }
        let (status, wait) = send("GET", &profile, &bot).await;
        assert_eq!((status, wait), (503, Some(HeaderValue::from(1))));
        for path in ["/healthz", "/readyz", "/v1/status"] {
            let bare = Request::get(path).body(Body::empty()).expect("a request");
            let response = router(app.clone()).oneshot(bare).await.expect("infallible");
            assert_eq!(response.status().as_u16(), 200, "{path}");
        }
        let withdrawal = format!("{person}/consents/newsletter");
        assert_ne!(send("DELETE", &withdrawal, &bot).await.0, 503);
        assert_eq!(send("DELETE", &person, &dpo).await.0, 200);
        assert_eq!(send("GET", &profile, &bot).await.0, 503, "still shed");
        drop(taken);
        assert_eq!(send("GET", &profile, &bot).await.0, 410);
    }
}

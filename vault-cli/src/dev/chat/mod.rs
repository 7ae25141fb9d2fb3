//! The chat page of `dev`: plain HTML on a listener of its own, on loopback alone.
//!
//! Not a part of the server, and not for real people: it shows codes that were sent by mail, because it is
//! its own receiver of them. What is written goes to `POST /v1/dialogue/turn` over HTTP, with the token of a
//! bot. [`Desk::bind`] comes before the server, which has to know where codes go; [`Desk::open`] behind it.

mod mail;
mod routes;
mod seed;
mod stage;
mod view;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use jiff::Zoned;
use tokio::sync::{oneshot, watch};
use vault_core::entropy::OsEntropy;
use vault_core::policy::{Capability, Policy};
use vault_server::CodeSink;
use vault_server::codes::Codes;
use vault_server::config::VerificationConfig;
use vault_server::webhook::Secret;
use zeroize::Zeroizing;

use crate::caller::Remote;
use crate::failure::{Exit, Failure};
use crate::http::Tls;
use crate::talk;
use routes::Shared;
use stage::Stage;

/// Where it listens, unless somebody else does.
const PORT: u16 = 8201;
/// The role that relays, where several may.
const BOT: &str = "bot";

/// Added to the sample, so that the invented person has more to ask about.
pub(super) const MORE: &str = include_str!("../more.toml");

/// A listener, and who takes codes there.
pub(super) struct Desk {
    listener: TcpListener,
    address: SocketAddr,
    secret: Secret,
    codes: Codes,
}

/// A page that is served. Stops when dropped.
pub(super) struct Page {
    pub(super) url: String,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a page is opened for.
pub(super) struct For<'a> {
    /// The server's address.
    pub(super) url: &'a str,
    pub(super) tokens: &'a BTreeMap<String, Zeroizing<String>>,
    pub(super) policy: &'a Policy,
    /// Whether the policy is that of `dev`, which the invented person is made for.
    pub(super) invented: bool,
}

/// The role that relays conversations, if there is one.
fn relaying(policy: &Policy) -> Option<&str> {
    let mut may: Vec<&str> = policy
        .roles()
        .filter(|role| role.may(Capability::DialogueRelay))
        .map(|role| role.name.as_str())
        .collect();
    may.sort_by_key(|name| *name != BOT);
    may.first().copied()
}

impl Desk {
    /// Listens, and makes ready who takes codes.
    pub(super) fn bind() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("could not listen for the chat page", &error);
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = match TcpListener::bind(at(PORT)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => TcpListener::bind(at(0)),
            bound => bound,
        };
        let listener = listener.map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let text = mail::generate_secret(&mut OsEntropy);
        // As an operator gives it: the file is read here, and goes.
        let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        let config = VerificationConfig {
            webhook: Some(format!("http://{address}{}", routes::CODES)),
            secret_file: Some(file.path().to_owned()),
            ..VerificationConfig::default()
        };
        let wrong = |what: String| Failure::of_code("internal", what);
        let codes = Codes::prepare(&config, None, None);
        let codes = codes.map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            listener,
            address,
            secret: Secret::parse(&text).map_err(|error| wrong(error.to_string()))?,
            codes: codes.ok_or_else(|| wrong("nobody takes codes".to_owned()))?,
        })
    }

    /// Who takes codes, for the server.
    pub(super) fn codes(&self) -> Arc<dyn CodeSink> {
        Arc::new(self.codes.clone())
    }

    /// Serves the page; `None` with a reason where nobody could be relayed. The reason why the invented
    /// person is not there, where they were wanted, is beside it.
    pub(super) fn open(self, what: &For<'_>) -> Result<(Page, Option<Failure>), Failure> {
        let token = relaying(what.policy).and_then(|role| what.tokens.get(role));
        let token = token.ok_or_else(|| {
            Failure::new(
                Exit::Refused,
                "role_denied",
                "no role of this policy has `dialogue.relay`, so there is no chat page",
                "give it to the bot's role",
            )
        })?;
        let today = Zoned::now().date();
        let wanted = what.invented.then_some(());
        let seeded = wanted.map(|()| seed::person(what.url, what.tokens, today));
        let (invented, failure) = match seeded {
            Some(Ok(invented)) => (Some(invented.user), None),
            Some(Err(failure)) => (None, Some(failure)),
            None => (None, None),
        };
        let shared = Arc::new(Shared {
            hosts: [
                self.address.to_string(),
                format!("localhost:{}", self.address.port()),
            ],
            token: talk::random_name(&mut OsEntropy),
            secret: self.secret,
            server: what.url.to_owned(),
            bot: Remote::new(what.url, token, &Tls::default())?,
            tokens: what.tokens.clone(),
            stage: Mutex::new(Stage::new(Box::new(OsEntropy), invented)),
            letters: watch::Sender::new(0),
        });
        let (shutdown, stopped) = oneshot::channel();
        let (listener, codes) = (self.listener, self.codes);
        let thread = std::thread::Builder::new()
            .name("vault-dev-chat".into())
            .spawn(move || serve(listener, codes, shared, stopped))
            .map_err(|error| Failure::io("could not start the chat page's thread", &error))?;
        let page = Page {
            url: format!("http://{}/", self.address),
            shutdown: Some(shutdown),
            thread: Some(thread),
        };
        Ok((page, failure))
    }
}

/// Serves until it is told to stop; a runtime that is not to be had is a page that does not answer.
fn serve(listener: TcpListener, codes: Codes, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
            return;
        };
        let sending = tokio::spawn(codes.run());
        let serving = axum::serve(listener, routes::router(shared));
        // No word for whoever is in the middle of something: a browser keeps its connections.
        tokio::select! {
            _ = serving => {}
            _ = stopped => {}
        }
        sending.abort();
    });
    // A turn that is under way ends with the server, which is stopped behind this.
    runtime.shutdown_background();
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // A page that has gone already needs no word.
            let _ = shutdown.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

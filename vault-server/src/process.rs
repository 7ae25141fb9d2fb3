//! The server as a process: what both programs that serve do around [`Server`].
//!
//! In this order, because each step needs the one before and some cannot be undone: memory hidden,
//! ports and socket open, certificates read, sandbox entered, then (by the caller) the vault opened, then
//! threads, signals and the service manager. Knows nothing of secrets and arguments.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::alarm::{self, AlarmError};
use crate::backups::{self, PlaceError, Within};
use crate::codes::{CodeSink, Codes, CodesError};
use crate::config::ServerConfig;
use crate::connection::{AdminSocket, SocketError};
use crate::policy_file::{PolicyFile, PolicyFileError};
use crate::recipients::{Recipients, RecipientsError};
use crate::sandbox::{self, SandboxError, SandboxPaths, directories_of};
use crate::server::{OverError, Server, listener};
use crate::state::App;
use crate::systemd;
use crate::tls::{Tls, TlsError};
use crate::webhook::Webhook;

/// Descriptors that the process needs beside its connections: store, journal, libraries.
const FILES_BESIDE: u64 = 256;

/// Why the process cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("could not listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The process could not be hidden from others.
    #[error("could not forbid core dumps")]
    Memory(#[source] io::Error),
    /// The server ended by itself.
    #[error("the server ended")]
    Run(#[source] io::Error),
    /// There is no sandbox where one is demanded.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// There is no admin socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The policy file lies where it must not.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    /// Alarms cannot be told.
    #[error(transparent)]
    Alarm(#[from] AlarmError),
    /// Recipients cannot be told.
    #[error(transparent)]
    Recipients(#[from] RecipientsError),
    /// Verification codes cannot be sent.
    #[error(transparent)]
    Codes(#[from] CodesError),
    /// Backups would go where they must not.
    #[error(transparent)]
    Backup(#[from] PlaceError),
    /// Threads or signals are not to be had.
    #[error("could not start")]
    Start(#[source] io::Error),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl From<OverError> for ServeError {
    fn from(error: OverError) -> Self {
        match error {
            OverError::Metrics(address, error) => Self::Listen(address, error),
            OverError::Tls(error) => Self::Tls(error),
        }
    }
}

/// A process that has its ports and has given up the rest; see the module.
pub struct Process {
    config: ServerConfig,
    listener: std::net::TcpListener,
    socket: Option<AdminSocket>,
    threads: usize,
    alarm: Option<Webhook>,
    recipients: Recipients,
    codes: Option<Codes>,
    policy: Option<PolicyFile>,
}

impl Process {
    /// Hides the memory, opens the ports and enters the sandbox. To be called from the only thread of
    /// the process, by whoever holds the lock of the vault in `dir`.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    pub fn prepare(config: &ServerConfig, dir: &Path, anchor: &Path) -> Result<Self, ServeError> {
        hide_memory().map_err(ServeError::Memory)?;
        raise_files(config);
        let listener = activated(config)
            .unwrap_or_else(|| listener(config))
            .map_err(|error| ServeError::Listen(config.listen, error))?;
        if let Some(files) = config.tls() {
            Tls::check(&files, config.credentials.as_deref())?;
        }
        let socket = match config.admin_socket {
            true => Some(AdminSocket::bind(dir)?),
            false => None,
        };
        let alarm = alarm::webhook(config)?;
        let recipients = Recipients::prepare(&config.recipients)?;
        let credentials = config.credentials.as_deref();
        let codes = Codes::prepare(&config.verification, credentials, alarm.clone())?;
        let policy = config.policy_file.as_deref();
        let policy = policy.map(|path| PolicyFile::new(path, &[dir, anchor]));
        // What else may be wrong with it can be mended while the vault is served, and is in the log.
        if let Some(file) = &policy {
            file.demand_outside()?;
        }
        let targets = backups::prepare(&config.backup, &[dir, anchor])?;
        // Afterwards the files that tell of them are out of reach.
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        sandbox::enter(config.sandbox, &within_reach(config, dir, anchor, targets))?;
        Ok(Self {
            config: config.clone(),
            listener,
            socket,
            threads,
            alarm,
            recipients,
            codes,
            policy,
        })
    }

    /// Where alarms are told, for the settings of the app that is served.
    #[must_use]
    pub fn alarm(&self) -> Option<Webhook> {
        self.alarm.clone()
    }

    /// Which recipients are told, for the settings of the app that is served.
    #[must_use]
    pub fn recipients(&self) -> Recipients {
        self.recipients.clone()
    }

    /// Who sends verification codes, for the settings of the app that is served.
    #[must_use]
    pub fn codes(&self) -> Option<Arc<dyn CodeSink>> {
        let codes = self.codes.clone();
        codes.map(|codes| Arc::new(codes) as Arc<dyn CodeSink>)
    }

    /// The policy file, for the settings of the app that is served.
    #[must_use]
    pub fn policy_file(&self) -> Option<PolicyFile> {
        self.policy.clone()
    }

    /// The admin socket's path, if there is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(AdminSocket::path)
    }

    /// Serves until SIGTERM or SIGINT. Reads certificates and policy file again on SIGHUP. `listening` is told the
    /// address, and whether it speaks TLS.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    pub fn serve(
        self,
        app: App,
        listening: impl FnOnce(SocketAddr, bool),
    ) -> Result<(), ServeError> {
        let mut server = Server::over(&self.config, self.listener, app.clone())?;
        if let Some(socket) = self.socket {
            server = server.with_socket(socket);
        }
        let address = server.local_addr().map_err(ServeError::Start)?;
        let tls = server.tls();
        app.reload_policy();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads)
            .max_blocking_threads(self.config.blocking_threads())
            .enable_all()
            .build()
            .map_err(ServeError::Start)?
            .block_on(async {
                // Before the listener: a signal that comes early must not kill the process in the
                // middle.
                let signals = Signals::take().map_err(ServeError::Start)?;
                listening(address, tls.is_some());
                systemd::ready(app.vault().is_some());
                let watchdog = tokio::spawn(systemd::watchdog(app.clone()));
                let telling = self.alarm.map(|alarm| tokio::spawn(alarm.run()));
                let sending = self.codes.map(|codes| tokio::spawn(codes.run()));
                let ended = server.run(signals.stop(tls, app)).await;
                watchdog.abort();
                telling.inspect(tokio::task::JoinHandle::abort);
                sending.inspect(tokio::task::JoinHandle::abort);
                ended.map_err(ServeError::Run)
            })
    }
}

struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn take() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Ends when the process is to stop; reads files again meanwhile.
    async fn stop(mut self, tls: Option<std::sync::Arc<Tls>>, app: App) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hang_up.recv() => {
                    systemd::reloading();
                    let (tls, reloaded) = (tls.clone(), app.clone());
                    if tls.is_none() && app.settings().policy_file.is_none() {
                        tracing::info!(target: "vault_server::server", "SIGHUP: without TLS and a policy file there is nothing to read again");
                    }
                    // Its outcome is in the log, and a defect in there changes nothing.
                    let _ = tokio::task::spawn_blocking(move || {
                        if let Some(tls) = tls {
                            tls.reload(true);
                        }
                        reloaded.reload_policy();
                    })
                    .await;
                    systemd::ready(app.vault().is_some());
                }
            }
        }
        systemd::stopping();
    }
}

/// No core dump, and no other process of this user, shall read keys out of this one's memory.
///
/// # Errors
///
/// What the operating system says.
pub fn hide_memory() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    Ok(())
}

/// As many descriptors as connections may want, where the hard limit lets it.
fn raise_files(config: &ServerConfig) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = config.connections.connections as u64 + FILES_BESIDE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        },
    );
    if most < wanted || raised.is_err() {
        tracing::warn!(target: "vault_server::server", wanted, most, "fewer descriptors than `limits.connections` may want");
    }
}

/// The listener that systemd has opened, if it has one for us (sd_listen_fds(3)).
fn activated(config: &ServerConfig) -> Option<io::Result<std::net::TcpListener>> {
    let mut given = listenfd::ListenFd::from_env();
    if given.len() == 0 {
        return None;
    }
    let taken = match given.take_tcp_listener(0) {
        Ok(Some(listener)) if given.len() == 1 => listener.local_addr().and_then(|address| {
            crate::server::allowed(address, config)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        }),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "systemd hands over several sockets; give the service one TCP listener",
        )),
        Err(error) => Err(error),
    };
    Some(taken)
}

fn within_reach(config: &ServerConfig, dir: &Path, anchor: &Path, targets: Within) -> SandboxPaths {
    let tls = [&config.tls_cert, &config.tls_key, &config.tls_client_ca];
    let mut read: Vec<PathBuf> = tls
        .into_iter()
        .chain([&config.policy_file])
        .flatten()
        .flat_map(|path| directories_of(path))
        .collect();
    read.extend(targets.read);
    let mut write = targets.write;
    write.extend([dir.to_owned(), anchor.to_owned()]);
    SandboxPaths {
        write,
        read,
        bind: config.metrics_listen.iter().map(SocketAddr::port).collect(),
        connect: alarm::ports(config, targets.connect),
    }
}

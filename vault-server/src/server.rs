//! Listeners, the sweeper beside them, and a stop that loses nothing acknowledged.
//!
//! Knows nothing of signals; it stops when the future it was given ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use vault_core::refusal::Refusal;
use vault_core::vault::{Figures, Sweep};

use crate::backups::{ledger, look};
use crate::config::ServerConfig;
use crate::connection::{AdminSocket, House, accept, accept_socket};
use crate::logging;
use crate::metrics::MetricsListener;
use crate::recipients;
use crate::rotation;
use crate::routes::router;
use crate::state::App;
use crate::tls::{Tls, TlsError, warn_of_end};

/// How long calls under way may take to end after a stop.
const LAST_CALLS: Duration = Duration::from_secs(30);
/// Most passes of the sweeper in a row, so that it leaves room between.
const PASSES_MAX: u32 = 100;
/// Connections that the system holds ready for the accept loop.
const BACKLOG: i32 = 1024;
/// How often the schedule of backups and the copies of the ledger are looked at.
const BACKUPS_EVERY: Duration = Duration::from_secs(1);
/// How often the end of the certificate is looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(86_400);

/// Why a server cannot stand on a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OverError {
    /// The address for scrapers cannot be listened on.
    #[error("could not listen for scrapers on {0}")]
    Metrics(SocketAddr, #[source] io::Error),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Bound listeners with their state.
pub struct Server {
    listener: std::net::TcpListener,
    socket: Option<AdminSocket>,
    tls: Option<Arc<Tls>>,
    metrics: Option<MetricsListener>,
    config: ServerConfig,
    app: App,
}

/// Whether an address may be listened on.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] for an address that is not loopback without TLS: bearers and
/// values would cross the network in clear.
pub(crate) fn allowed(address: SocketAddr, config: &ServerConfig) -> io::Result<()> {
    if address.ip().to_canonical().is_loopback() || config.tls().is_some() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "{address} is not a loopback address: without TLS the vault listens on 127.0.0.1 or [::1] only; set `tls.cert` and `tls.key` (VAULT_TLS_CERT, VAULT_TLS_KEY), or put a proxy that ends TLS before it",
        ),
    ))
}

/// A listener on the configured address.
pub(crate) fn listener(config: &ServerConfig) -> io::Result<std::net::TcpListener> {
    allowed(config.listen, config)?;
    let listener = std::net::TcpListener::bind(config.listen)?;
    // The library's own backlog is small for a server that many reach at once.
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Server {
    /// Binds the configured address. Port 0 takes a free port; see [`Server::local_addr`].
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for an address that is not loopback without TLS, and for files of
    /// TLS that do not fit. Else what binding says.
    pub async fn bind(config: &ServerConfig, app: App) -> io::Result<Self> {
        Self::over(config, listener(config)?, app).map_err(|error| match error {
            OverError::Metrics(_, error) => error,
            OverError::Tls(error) => io::Error::new(io::ErrorKind::InvalidInput, error),
        })
    }

    /// A server on a listener that is bound.
    ///
    /// # Errors
    ///
    /// See [`OverError`].
    pub(crate) fn over(
        config: &ServerConfig,
        listener: std::net::TcpListener,
        app: App,
    ) -> Result<Self, OverError> {
        let tls = match config.tls() {
            Some(files) => {
                let credentials = config.credentials.as_deref();
                Some(Arc::new(Tls::open(&files, credentials, app.clone())?))
            }
            None => None,
        };
        let metrics = config
            .metrics_listen
            .map(|address| {
                MetricsListener::bind(address, app.clone())
                    .map_err(|error| OverError::Metrics(address, error))
            })
            .transpose()?;
        Ok(Self {
            listener,
            socket: None,
            tls,
            metrics,
            config: config.clone(),
            app,
        })
    }

    /// Serves on the admin socket, too.
    #[must_use]
    pub fn with_socket(self, socket: AdminSocket) -> Self {
        Self {
            socket: Some(socket),
            ..self
        }
    }

    /// The address that metrics are shown on, if they are.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn metrics_addr(&self) -> io::Result<Option<SocketAddr>> {
        let metrics = self.metrics.as_ref();
        metrics.map(MetricsListener::local_addr).transpose()
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// Serves until `shutdown` ends; then says that it is not ready, accepts nothing more after
    /// `limits.drain_seconds`, lets calls under way end within 30 seconds, and closes the vault.
    ///
    /// # Errors
    ///
    /// What the listener says. The vault is closed in that case too.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        logging::memory_of_keys();
        let beside = [
            tokio::spawn(sweep(self.app.clone())),
            tokio::spawn(watch_certificate(self.app.clone())),
            tokio::spawn(each_second(self.app.clone(), look::schedule)),
            tokio::spawn(each_second(self.app.clone(), ledger::look)),
            tokio::spawn(recipients::run(self.app.clone())),
        ];
        let app = self.app.clone();
        let metrics = self
            .metrics
            .take()
            .map(|metrics| tokio::spawn(metrics.run()));
        let served = self.serve(shutdown).await;
        for task in beside {
            task.abort();
        }
        // Last, so that a scrape still sees how the last calls ended.
        if let Some(metrics) = metrics {
            metrics.abort();
        }
        let close = move || {
            look::finish(&app);
            app.lock();
        };
        tokio::task::spawn_blocking(close)
            .await
            .map_err(|_| io::Error::other("closing the vault met a defect"))?;
        tracing::info!(target: "vault_server::server", "stopped, vault closed");
        served
    }

    async fn serve(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let limits = self.config.connections;
        let router = router(self.app.clone());
        let house = Arc::new(House::new(self.app.clone(), router, limits, self.tls));
        let (stop, stopping) = watch::channel(false);
        let listener = TcpListener::from_std(self.listener)?;
        let tcp = tokio::spawn(accept(Arc::clone(&house), listener, stopping.clone()));
        let unix = match &self.socket {
            Some(socket) => {
                let listener = UnixListener::from_std(socket.listener()?)?;
                Some(tokio::spawn(accept_socket(
                    house,
                    listener,
                    stopping.clone(),
                )))
            }
            None => None,
        };
        drop(stopping);
        shutdown.await;
        self.app.stop();
        if !limits.drain.is_zero() {
            tracing::info!(target: "vault_server::server", "stopping: not ready any more");
            tokio::time::sleep(limits.drain).await;
        }
        tracing::info!(target: "vault_server::server", "stopping: no new calls");
        // Whoever is gone already need not be told.
        let _ = stop.send(true);
        // The listeners close with their loops, and the socket's file goes: from here on nobody is
        // let in.
        for task in [Some(tcp), unix].into_iter().flatten() {
            let _ = task.await;
        }
        drop(self.socket);
        // Each connection holds a receiver until it is done.
        if tokio::time::timeout(LAST_CALLS, stop.closed())
            .await
            .is_err()
        {
            tracing::warn!(target: "vault_server::server", "calls were still under way after 30 seconds");
        }
        Ok(())
    }
}

/// Looks after backups each second, where there are any: one look after the other, so that of one kind none runs
/// beside another.
async fn each_second(app: App, look: fn(&App)) {
    if app.backups().config.places().is_empty() {
        return;
    }
    let mut interval = tokio::time::interval(BACKUPS_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let looked = app.clone();
        if tokio::task::spawn_blocking(move || look(&looked))
            .await
            .is_err()
        {
            tracing::error!(target: "vault_server::backups", "looking after backups met a defect");
        }
    }
}

/// Warns each day of a certificate that ends soon.
async fn watch_certificate(app: App) {
    let mut interval = tokio::time::interval(CERTIFICATE_EVERY);
    // The first look was at the start.
    interval.tick().await;
    loop {
        interval.tick().await;
        warn_of_end(app.connections(), app.settings().clock.now());
    }
}

/// Sweeps an open vault at each interval, several passes where work remains.
async fn sweep(app: App) {
    let Some(every) = app.settings().sweep_every else {
        return;
    };
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.tick().await;
    let mut reminder = Reminder::default();
    // What a restart cut off does not wait.
    rotation::go_on(&app);
    loop {
        interval.tick().await;
        rotation::go_on(&app);
        let Some(vault) = app.vault() else { continue };
        reminder.look(&vault.figures());
        let work = move || vault.sweep_run(Sweep::Due, PASSES_MAX);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(_)) => {}
            // Somebody's run of everything is under way: it does this, too.
            Ok(Err(Refusal::Conflict(_))) if !clock_leads(&app) => {}
            Ok(Err(error)) => {
                tracing::error!(target: "vault_server::sweep", %error, "the sweeper was refused");
            }
            Err(_) => {
                tracing::error!(target: "vault_server::sweep", "the sweeper met a defect");
            }
        }
    }
}

/// Says once a day that keys are left in backups for longer than was promised.
#[derive(Default)]
struct Reminder {
    said: Option<Timestamp>,
}

impl Reminder {
    fn look(&mut self, figures: &Figures) {
        let overdue = figures.backups.overdue;
        if self.due(figures.now, overdue) {
            tracing::warn!(
                target: "vault_server::backups",
                overdue,
                "key parts of backups should be gone by now: destroy them at their targets and say so (POST /v1/admin/backups/{{b}}/deleted); until then receipts stay open"
            );
        }
    }

    /// Whether it is to be said now.
    fn due(&mut self, now: Timestamp, overdue: usize) -> bool {
        if overdue == 0 {
            self.said = None;
            return false;
        }
        let day = |said: Timestamp| now.duration_since(said).as_hours().abs() >= 24;
        let due = self.said.is_none_or(day);
        if due {
            self.said = Some(now);
        }
        due
    }
}

/// Whether a conflict is about the clock, which somebody has to look at.
fn clock_leads(app: &App) -> bool {
    app.vault().is_some_and(|vault| vault.figures().clock_leads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::tests::closed_app;

    fn listening_on(address: &str) -> ServerConfig {
        ServerConfig {
            listen: address.parse().expect("an address"),
            ..ServerConfig::default()
        }
    }

    #[tokio::test]
    async fn only_a_loopback_address_is_bound() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let refused = Server::bind(&listening_on(address), closed_app()).await;
            let error = refused.err().expect("not loopback");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address}");
        }
        let server = Server::bind(&listening_on("127.0.0.1:0"), closed_app())
            .await
            .expect("loopback");
        assert_ne!(server.local_addr().expect("bound").port(), 0);
    }

    #[test]
    fn keys_that_are_overdue_are_said_at_once_and_then_once_a_day() {
        let hour =
            |hour: i64| Timestamp::from_second(1_800_000_000 + 3600 * hour).expect("in range");
        let mut reminder = Reminder::default();
        assert!(!reminder.due(hour(0), 0));
        assert!(reminder.due(hour(1), 1));
        assert!(!reminder.due(hour(2), 1) && !reminder.due(hour(24), 2));
        assert!(reminder.due(hour(25), 1));
        // Gone, and overdue again: that is another matter.
        assert!(!reminder.due(hour(26), 0));
        assert!(reminder.due(hour(27), 1));
    }

    #[tokio::test]
    async fn a_stop_ends_the_server() {
        let server = Server::bind(&listening_on("127.0.0.1:0"), closed_app())
            .await
            .expect("loopback");
        server.run(async {}).await.expect("stops");
    }
}

//! A listener on loopback, the sweeper beside it, and a stop that loses nothing acknowledged.
//!
//! Knows nothing of signals; it stops when the future it was given ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use vault_core::vault::Sweep;

use crate::config::ServerConfig;
use crate::logging;
use crate::routes::router;
use crate::state::App;

/// How long calls under way may take to end after a stop.
const LAST_CALLS: Duration = Duration::from_secs(30);
/// Most passes of the sweeper in a row, so that it leaves room between.
const PASSES_MAX: u32 = 100;

/// A bound listener with its state.
pub struct Server {
    listener: TcpListener,
    app: App,
}

impl Server {
    /// Binds the configured address. Port 0 takes a free port; see [`Server::local_addr`].
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for an address that is not loopback: this server speaks no
    /// TLS, and bearers and values would cross the network in clear. Else what binding says.
    pub async fn bind(config: &ServerConfig, app: App) -> io::Result<Self> {
        if !config.listen.ip().to_canonical().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} is not a loopback address: without TLS the vault listens on 127.0.0.1 or [::1] only; put a proxy that ends TLS before it",
                    config.listen
                ),
            ));
        }
        Ok(Self {
            listener: TcpListener::bind(config.listen).await?,
            app,
        })
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` ends; then accepts nothing more, lets calls under way end within
    /// 30 seconds, and closes the vault.
    ///
    /// # Errors
    ///
    /// What the listener says. The vault is closed in that case too.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        logging::memory_of_keys();
        let (stopping, mut stopped) = watch::channel(false);
        let sweeper = tokio::spawn(sweep(self.app.clone()));
        let service = router(self.app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let serve = axum::serve(self.listener, service).with_graceful_shutdown(async move {
            shutdown.await;
            tracing::info!(target: "vault_server::server", "stopping: no new calls");
            let _ = stopping.send(true);
        });
        let served = tokio::select! {
            served = serve => served,
            () = async {
                // An error here means that the listener ended first, which the other arm reports.
                if stopped.wait_for(|stopped| *stopped).await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(LAST_CALLS).await;
            } => {
                tracing::warn!(target: "vault_server::server", "calls were still under way after 30 seconds");
                Ok(())
            }
        };
        sweeper.abort();
        let app = self.app;
        tokio::task::spawn_blocking(move || app.lock())
            .await
            .map_err(|_| io::Error::other("closing the vault met a defect"))?;
        tracing::info!(target: "vault_server::server", "stopped, vault closed");
        served
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
    loop {
        interval.tick().await;
        for _ in 0..PASSES_MAX {
            let Some(vault) = app.vault() else { break };
            match tokio::task::spawn_blocking(move || vault.sweep(Sweep::Due)).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => break,
                Ok(Err(error)) => {
                    tracing::error!(target: "vault_server::sweep", %error, "the sweeper was refused");
                    break;
                }
                Err(_) => {
                    tracing::error!(target: "vault_server::sweep", "the sweeper met a defect");
                    break;
                }
            }
        }
    }
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

    #[tokio::test]
    async fn a_stop_ends_the_server() {
        let server = Server::bind(&listening_on("127.0.0.1:0"), closed_app())
            .await
            .expect("loopback");
        server.run(async {}).await.expect("stops");
    }
}

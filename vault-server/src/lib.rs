//! Skeleton of the server's surface, to be replaced.
#![allow(missing_docs, unused_variables, clippy::unimplemented, clippy::missing_errors_doc)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use vault_core::clock::Clock;
use vault_core::vault::{LockedVault, Vault};

#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub body_bytes: usize,
    pub in_flight: usize,
}
impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8200)),
            body_bytes: 1 << 20,
            in_flight: 64,
        }
    }
}
#[derive(Clone)]
pub struct App(());
impl App {
    #[must_use]
    pub fn new(locked: LockedVault, vault: Option<Arc<Vault>>, clock: Arc<dyn Clock>) -> Self {
        unimplemented!()
    }
}
pub struct Server(());
impl Server {
    pub fn bind(config: &ServerConfig, app: App) -> io::Result<Self> {
        unimplemented!()
    }
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!()
    }
    #[allow(clippy::unused_async)]
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        unimplemented!()
    }
}
pub mod logging {
    #[derive(Clone, Copy, Debug)]
    pub enum LogFormat {
        Json,
        Text,
    }
    pub fn init(format: LogFormat, level: &str) {}
}
pub mod config {
    use std::path::{Path, PathBuf};
    #[derive(Debug, thiserror::Error)]
    #[error("the configuration is wrong")]
    pub struct ConfigError;
    pub struct Config {
        pub server: super::ServerConfig,
        pub dir: Option<PathBuf>,
        pub anchor: Option<PathBuf>,
    }
    impl Config {
        pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
            unimplemented!()
        }
        #[must_use]
        pub fn print(&self) -> String {
            unimplemented!()
        }
    }
}

//! Connections to a server of this machine: plain or TLS.
//!
//! Knows nothing of the vault, nor of HTTP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// What bytes go over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections to the server.
pub(crate) struct Dialer {
    address: SocketAddr,
    from: Option<IpAddr>,
    tls: Option<TlsConnector>,
    /// Connections that the system opened, by all who share this.
    opened: Arc<AtomicU64>,
}

impl Dialer {
    pub(crate) fn new(address: SocketAddr, tls: Option<TlsConnector>) -> Self {
        assert!(
            address.ip().is_loopback(),
            "what is tried attacks this machine alone"
        );
        Self {
            address,
            from: None,
            tls,
            opened: Arc::default(),
        }
    }

    /// The same, from another address of this machine: another peer to the server.
    pub(crate) fn from(&self, from: IpAddr) -> Self {
        assert!(from.is_loopback(), "this machine's");
        Self {
            address: self.address,
            from: Some(from),
            tls: self.tls.clone(),
            opened: Arc::clone(&self.opened),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Connections opened by this one and all that were made from it.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// A bare connection, whatever the server speaks.
    pub(crate) async fn tcp(&self) -> io::Result<TcpStream> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        if let Some(from) = self.from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(self.address).await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection that speaks what the server does.
    pub(crate) async fn stream(&self) -> io::Result<Box<dyn Stream>> {
        let stream = self.tcp().await?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => {
                let name = ServerName::from(self.address.ip());
                Ok(Box::new(tls.connect(name, stream).await?))
            }
        }
    }
}

//! The loops that take connections, and what comes before a connection's first byte of HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;

use super::figures::count;
use super::places::NoPlace;
use super::serve::{House, Speech, With, serve};
use crate::state::App;
use crate::tls::Tls;

/// Pause after the system could hand over no connection, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Takes TCP connections until the server stops.
pub(crate) async fn accept(
    house: Arc<House>,
    listener: TcpListener,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let Some((stream, address)) = next(&house, &mut stopping, || listener.accept()).await
        else {
            return;
        };
        let place = match house.tcp.take(address.ip()) {
            Ok(place) => place,
            Err(refused) => {
                count(match refused {
                    NoPlace::Full => &house.figures().refused_full,
                    NoPlace::Peer => &house.figures().refused_peer,
                });
                // An answer costs nothing where no handshake comes before it.
                if house.tls.is_none() {
                    let _ = stream.try_write(FULL);
                }
                continue;
            }
        };
        tune(&stream);
        let (house, stopping) = (Arc::clone(&house), stopping.clone());
        tokio::spawn(async move {
            let _place = place;
            let _open = Open::new(&house);
            let with = With::Tcp(address);
            match house.tls.clone() {
                None => {
                    let speech = Speech {
                        http2: false,
                        tls: false,
                    };
                    serve(&house, stream, with, speech, stopping).await;
                }
                Some(tls) => {
                    if let Some(stream) =
                        shake_hands(&house, &tls, stream, &mut stopping.clone()).await
                    {
                        let speech = Speech {
                            http2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
                            tls: true,
                        };
                        serve(&house, stream, with, speech, stopping).await;
                    }
                }
            }
        });
    }
}

/// Takes connections of the admin socket until the server stops.
pub(crate) async fn accept_socket(
    house: Arc<House>,
    listener: UnixListener,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let Some((stream, _)) = next(&house, &mut stopping, || listener.accept()).await else {
            return;
        };
        let Ok(place) = house.socket.take(IpAddr::V4(Ipv4Addr::LOCALHOST)) else {
            count(&house.figures().refused_full);
            let _ = stream.try_write(FULL);
            continue;
        };
        let (house, stopping) = (Arc::clone(&house), stopping.clone());
        tokio::spawn(async move {
            let _place = place;
            let _open = Open::new(&house);
            let speech = Speech {
                http2: false,
                tls: false,
            };
            serve(&house, stream, With::Socket, speech, stopping).await;
        });
    }
}

/// The next connection; `None` when the server stops.
async fn next<T, F>(
    house: &House,
    stopping: &mut watch::Receiver<bool>,
    accept: impl Fn() -> F,
) -> Option<T>
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(stopping) => return None,
            accepted = accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                count(&house.figures().accept_errors);
                tracing::warn!(target: "vault_server::connection", error = %error.kind(), "no connection could be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Ends when the server stops.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone is a server that is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Counts a connection as open while it is.
struct Open(App);

impl Open {
    fn new(house: &House) -> Self {
        count(&house.figures().accepted);
        count(&house.figures().open);
        Self(house.app.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let open = &self.0.connections().open;
        open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Sends at once, and finds out within some two minutes that a peer is no more.
fn tune(stream: &TcpStream) {
    // A connection that cannot be tuned is served as it is.
    let _ = stream.set_nodelay(true);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

async fn shake_hands(
    house: &House,
    tls: &Arc<Tls>,
    stream: TcpStream,
    stopping: &mut watch::Receiver<bool>,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let shaken = tokio::select! {
        () = stopped(stopping) => return None,
        shaken = tokio::time::timeout(house.limits.handshake, async {
            tls.acceptor().await.accept(stream).await
        }) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(_)) => {
            count(&house.figures().handshake_failures);
            None
        }
        Err(_) => {
            count(&house.figures().handshake_timeouts);
            None
        }
    }
}

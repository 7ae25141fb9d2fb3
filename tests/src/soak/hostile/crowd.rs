//! More connections from one address than one may have.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::dialer::Dialer;
use crate::soak::balance::{Balance, REFUSED_PEER};

/// Connections beyond the limit.
const BEYOND: usize = 16;
/// How long the refused ones are waited for: the server may have more to do than to refuse.
const WAIT: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(50);

/// Opens `limit` connections and some more, and waits until those are refused. How many were.
pub(super) async fn crowd(
    dialer: &Dialer,
    limit: usize,
    balance: &mut Balance,
) -> io::Result<usize> {
    let mut streams: Vec<TcpStream> = Vec::new();
    for _ in 0..limit + BEYOND {
        streams.push(dialer.tcp().await?);
    }
    let all = streams.len();
    let end = Instant::now() + WAIT;
    while all - streams.len() < BEYOND && Instant::now() < end {
        sleep(LOOK).await;
        let mut open = Vec::new();
        for mut stream in streams {
            if !ended(&mut stream).await {
                open.push(stream);
            }
        }
        streams = open;
    }
    let refused = all - streams.len();
    balance.must(REFUSED_PEER, refused as u64);
    // Those that are open go away in their handshake, if there is one. Where the last crowd had not
    // quite gone some of them were refused, too, and we did not wait to see it.
    let open = streams.len() as u64;
    match dialer.is_tls() {
        true => balance.turned_away(open),
        false => balance.may(REFUSED_PEER, open),
    }
    Ok(refused)
}

/// Whether the server has ended a connection on which nothing was asked; without TLS it says why.
async fn ended(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 256];
    loop {
        match timeout(Duration::ZERO, stream.read(&mut buffer)).await {
            Err(_) => return false,
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
        }
    }
}

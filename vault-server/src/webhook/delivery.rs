//! One try: resolve, look at the addresses, connect, POST, read the status.
//!
//! Made of what the server is made of already (hyper, rustls) and not of an HTTP client: such a client
//! follows redirects, reads proxies from the environment, keeps connections and resolves names by itself
//! unless told otherwise, and here each of these is what must not happen.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Message;
use super::address::Address;
use super::signature::Secret;

/// Longest try, from the name to the status. Source: Standard Webhooks, 15 to 30 seconds.
const TRY_SECONDS: u64 = 15;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 10;
/// How long an answer may take behind its status.
const ANSWER_SECONDS: u64 = 2;

/// What a receiver answered who took a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Empty where there was none, or more than is read.
    pub(crate) body: Vec<u8>,
}

/// Why a try failed. Holds nothing that the receiver said but its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// The name leads to an address of another kind than the URL may.
    #[error(
        "its name leads to an address that the configuration does not allow (`alarm.private`, `recipients.private`, `verification.private`)"
    )]
    Address,
    /// Nobody answers there.
    #[error("nobody answers there")]
    Connect,
    /// What answered speaks no HTTP.
    #[error("what answers there speaks no HTTP")]
    Protocol,
    /// Not taken.
    #[error("it was answered with status {0}")]
    Status(u16),
    /// Its certificate is not to be trusted, or TLS failed otherwise.
    #[error(
        "its certificate is not trusted for this name, or TLS failed otherwise (`alarm.ca`, `recipients.ca`, `verification.ca`)"
    )]
    Tls,
    /// It took too long.
    #[error("it took longer than {TRY_SECONDS} seconds")]
    Timeout,
    /// The name is not known.
    #[error("its name is not known")]
    Unknown,
}

impl Failed {
    /// The same without a number, for what is stored.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Address => "its name leads to an address that is not allowed",
            Self::Connect => "nobody answers there",
            Self::Protocol => "what answers there speaks no HTTP",
            Self::Status(300..400) => "it was answered with a redirect, which is not followed",
            Self::Status(410) => "nobody listens at this address any more (410)",
            Self::Status(400..500) => "it was refused (4xx)",
            Self::Status(_) => "it was answered with an error (5xx)",
            Self::Tls => "its certificate is not trusted for this name, or TLS failed otherwise",
            Self::Timeout => "it took too long",
            Self::Unknown => "its name is not known",
        }
    }
}

/// Where and how messages are delivered.
#[derive(Clone)]
pub struct Target {
    address: Address,
    secret: Secret,
    tls: Arc<ClientConfig>,
    resolver: Resolver,
}

#[derive(Clone)]
enum Resolver {
    System,
    #[cfg(test)]
    Fixed(Vec<IpAddr>),
}

impl Target {
    /// The receiver at `address`, whose certificate one of `roots` vouches for.
    ///
    /// # Panics
    ///
    /// Where the TLS library lacks TLS 1.2 and 1.3: a defect of the build.
    #[must_use]
    pub fn new(address: Address, secret: Secret, roots: RootCertStore) -> Self {
        Self::with(address, secret, Self::client(roots))
    }

    /// The same, where several share what they trust.
    pub(crate) fn with(address: Address, secret: Secret, tls: Arc<ClientConfig>) -> Self {
        Self {
            address,
            secret,
            tls,
            resolver: Resolver::System,
        }
    }

    /// A client that trusts these roots.
    pub(crate) fn client(roots: RootCertStore) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(tls)
    }

    /// The roots that browsers trust (Mozilla's), as they were when the server was built.
    #[must_use]
    pub fn public_roots() -> RootCertStore {
        RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }
    }

    /// The destination.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Delivers a message, or fails within fifteen seconds.
    pub(crate) async fn deliver(&self, message: &Message, now: Timestamp) -> Result<(), Failed> {
        self.within(message, now, Reading::Status).await.map(drop)
    }

    /// The same; what was answered behind the status is read as far as it is short.
    pub(crate) async fn ask(&self, message: &Message, now: Timestamp) -> Result<Answer, Failed> {
        self.within(message, now, Reading::Body).await
    }

    async fn within(
        &self,
        message: &Message,
        now: Timestamp,
        reading: Reading,
    ) -> Result<Answer, Failed> {
        let time = Duration::from_secs(TRY_SECONDS);
        let tried = tokio::time::timeout(time, self.attempt(message, now, reading)).await;
        tried.unwrap_or(Err(Failed::Timeout))
    }

    async fn attempt(
        &self,
        message: &Message,
        now: Timestamp,
        reading: Reading,
    ) -> Result<Answer, Failed> {
        let stream = self.connect().await?;
        let request = self.request(message, now);
        let (status, answer) = if self.address.secure {
            let name = ServerName::try_from(self.address.host.clone());
            let name = name.map_err(|_| Failed::Tls)?;
            let connector = TlsConnector::from(self.tls.clone());
            let stream = connector.connect(name, stream).await;
            post(stream.map_err(|_| Failed::Tls)?, request, reading).await?
        } else {
            post(stream, request, reading).await?
        };
        // A redirect is not followed: it is an answer that is not 2xx.
        match status {
            200..300 => Ok(answer),
            status => Err(Failed::Status(status)),
        }
    }

    /// Connects to an address that was looked at: the name is not asked a second time, by which it could
    /// lead elsewhere.
    async fn connect(&self) -> Result<TcpStream, Failed> {
        let found = self.resolve().await?;
        if !found.iter().all(|at| self.address.leads_to(at.ip())) {
            return Err(Failed::Address);
        }
        for at in found {
            if let Ok(stream) = TcpStream::connect(at).await {
                return Ok(stream);
            }
        }
        Err(Failed::Connect)
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, Failed> {
        let (host, port) = (self.address.host.as_str(), self.address.port);
        let found: Vec<SocketAddr> = match &self.resolver {
            _ if host.parse::<IpAddr>().is_ok() => {
                let ip = host.parse().map_err(|_| Failed::Unknown)?;
                vec![SocketAddr::new(ip, port)]
            }
            Resolver::System => {
                let found = tokio::net::lookup_host((host, port)).await;
                found.map_err(|_| Failed::Unknown)?.collect()
            }
            #[cfg(test)]
            Resolver::Fixed(all) => all.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
        };
        match found.is_empty() {
            true => Err(Failed::Unknown),
            false => Ok(found),
        }
    }

    fn request(&self, message: &Message, now: Timestamp) -> Request<Full<Bytes>> {
        let seconds = now.as_second();
        let signature = self.secret.sign(&message.id, seconds, &message.body);
        Request::builder()
            .method(Method::POST)
            .uri(&self.address.path)
            .header(HOST, &self.address.authority)
            .header(USER_AGENT, "vault")
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(message.body.clone())))
            .expect("every part was looked at when it was parsed")
    }
}

/// What is read of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Body,
    Status,
}

/// Sends a request and returns the answer's status, and what else is to be read of it.
async fn post<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    reading: Reading,
) -> Result<(u16, Answer), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(64 << 10)
        .handshake(io)
        .await
        .map_err(|_| Failed::Protocol)?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(async {
        let answer = sender.send_request(request).await?;
        let (status, mut body) = (answer.status(), Vec::new());
        if reading == Reading::Body && status.is_success() {
            // One that is longer, or does not end, says nothing that is understood here.
            let read = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
            let read = tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS), read).await;
            if let Ok(Ok(read)) = read {
                body = read.to_bytes().to_vec();
            }
        }
        Ok::<_, hyper::Error>((status.as_u16(), Answer { body }))
    });
    // The connection lives here and ends here: nothing of it outlives the try.
    let answered = tokio::select! {
        answered = &mut answer => answered,
        // It ended, perhaps just behind the answer.
        _ = &mut connection => answer.await,
    };
    answered.map_err(|_| Failed::Protocol)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn target(url: &str, private: bool, found: &[&str]) -> Target {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let address = Address::parse(url, private).unwrap();
        let mut target = Target::new(address, secret, Target::public_roots());
        target.resolver = Resolver::Fixed(found.iter().map(|ip| ip.parse().unwrap()).collect());
        target
    }

    fn message() -> Message {
        Message {
            id: "msg_1".into(),
            kind: "test",
            body: b"{}".to_vec(),
        }
    }

    /// Whoever controls the name has it lead to a service of this machine. It is not even connected to;
    /// the control is the same service under the machine's own name, which is reached.
    #[tokio::test]
    async fn a_name_that_comes_to_lead_here_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let now = Timestamp::UNIX_EPOCH;
        for found in [
            &["127.0.0.1"][..],
            &["::ffff:127.0.0.1"],
            &["169.254.169.254"],
            &["198.51.100.7", "127.0.0.1"],
        ] {
            for private in [false, true] {
                let hostile = target(
                    &format!("https://hooks.example.test:{port}/"),
                    private,
                    found,
                );
                let failed = hostile.deliver(&message(), now).await;
                assert_eq!(failed, Err(Failed::Address), "{found:?}");
            }
        }
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody connected");
        listener.set_nonblocking(false).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .unwrap();
        });
        let here = target(&format!("http://localhost:{port}/"), false, &["127.0.0.1"]);
        assert_eq!(here.deliver(&message(), now).await, Ok(()));
        served.join().unwrap();
    }
}

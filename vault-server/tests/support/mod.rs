//! A server over a fresh vault, as the tests of connections want it, and raw clients.

#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use vault_core::clock::{Clock, SystemClock};
use vault_core::id::CallId;
use vault_core::policy::SAMPLE;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, Vault, VaultPaths};
use vault_server::config::{ConnectionLimits, ServerConfig};
use vault_server::{AdminSocket, App, AppSettings, Server};

pub(crate) const PASSPHRASE: &str = "correct horse battery";
/// Longest that anything here is waited for; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn settings() -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    }
}

/// Creates a vault and closes it.
pub(crate) fn create(paths: &VaultPaths) {
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let created = LockedVault::create(paths, settings(), &passphrase, SAMPLE).expect("a vault");
    created.vault.close();
}

/// A server that runs in this process.
pub(crate) struct Running {
    pub(crate) home: TempDir,
    pub(crate) paths: VaultPaths,
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    pub(crate) vault: Arc<Vault>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(config: ServerConfig) -> Self {
        Self::at(config, Arc::new(SystemClock))
    }

    /// With limits that no well-behaved test reaches, but for what it changes.
    pub(crate) fn limited(change: impl FnOnce(&mut ConnectionLimits)) -> Self {
        let mut config = ServerConfig::default();
        change(&mut config.connections);
        Self::start(config)
    }

    pub(crate) fn at(config: ServerConfig, clock: Arc<dyn Clock>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
        let created =
            LockedVault::create(&paths, settings(), &passphrase, SAMPLE).expect("a vault");
        let config = ServerConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            ..config
        };
        let app_settings = AppSettings {
            sweep_every: None,
            clock,
            ..AppSettings::from(&config)
        };
        let vault = Arc::clone(&created.vault);
        let app = App::new(created.locked, Some(created.vault), app_settings);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let (serving, dir) = (app.clone(), paths.dir.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async move {
                let server = Server::bind(&config, serving).await.expect("binds");
                let socket = AdminSocket::bind(&dir).expect("a socket");
                tell.send(server.local_addr().expect("bound"))
                    .expect("the test listens");
                let shutdown = async {
                    let _ = stopped.await;
                };
                let server = server.with_socket(socket);
                server.run(shutdown).await.expect("stops in order");
            });
        });
        Self {
            home,
            paths,
            address: told.recv().expect("an address"),
            app,
            vault,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// A call that must be answered.
    pub(crate) fn is_well(&self) {
        let answer = exchange(&mut self.connect(), &get("/healthz"));
        assert_eq!(answer.status, 200);
    }

    pub(crate) fn key(&self, role: &str) -> String {
        let principal = self.vault.keyholder();
        let call = Call {
            principal: &principal,
            purpose: None,
            restricted_use: None,
            id: CallId::from_bytes([1; 16]),
        };
        self.vault.create_token(&call, role, None).expect("a key").1
    }

    /// Tells the server to stop, and does not wait.
    pub(crate) fn tell_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub(crate) fn stop(mut self) {
        self.tell_to_stop();
        let thread = self.thread.take().expect("once");
        thread.join().expect("stops in order");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_write_timeout(Some(PATIENCE)).expect("set");
    stream
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: v\r\n\r\n")
}

pub(crate) fn post(path: &str, body: &Value, bearer: Option<&str>) -> String {
    let body = body.to_string();
    let bearer = bearer.map_or(String::new(), |bearer| {
        format!("authorization: Bearer {bearer}\r\n")
    });
    format!(
        "POST {path} HTTP/1.1\r\nhost: v\r\n{bearer}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn code(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or("none").to_owned();
        (self.status, code)
    }
}

/// Sends, and reads one answer.
pub(crate) fn exchange(stream: &mut (impl Read + Write), request: &str) -> Answer {
    stream.write_all(request.as_bytes()).expect("sent");
    answer(stream).expect("an answer")
}

/// Reads one answer; `None` where the connection was closed instead.
pub(crate) fn answer(stream: &mut impl Read) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).expect("ASCII").to_lowercase();
    let status = head[9..12].parse().expect("a status");
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next())
        .map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the whole body");
    Some(Answer { status, head, body })
}

/// Waits until the server has closed, and gives what it still said.
pub(crate) fn closed(stream: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset
                    | std::io::ErrorKind::UnexpectedEof
                    | std::io::ErrorKind::BrokenPipe
            ) => {}
        Err(error) => panic!("still open: {error}"),
    }
    rest
}

/// Waits until it is so.
pub(crate) fn eventually(what: &str, so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn is(figure: &AtomicU64, number: u64) -> bool {
    figure.load(Ordering::Relaxed) == number
}

/// A root that signs certificates.
pub(crate) struct Root {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate with its key.
pub(crate) struct Signed {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: rcgen::KeyPair,
}

impl Root {
    pub(crate) fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a root");
        Self {
            issuer: rcgen::Issuer::new(parameters, key),
            certificate,
        }
    }

    pub(crate) fn sign(&self, name: &str) -> Signed {
        let parameters = rcgen::CertificateParams::new(vec![name.into()]).expect("a name");
        self.sign_with(parameters)
    }

    pub(crate) fn sign_with(&self, parameters: rcgen::CertificateParams) -> Signed {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("signed");
        Signed { certificate, key }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A client that speaks one version alone.
    pub(crate) fn client_of(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A client that trusts this root, and shows a certificate if it has one.
    pub(crate) fn client(&self, own: Option<&Signed>, alpn: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_auth_cert(vec![own.certificate.der().clone()], own.private())
                .expect("a pair"),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

impl Signed {
    fn private(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Writes `cert.pem` and `key.pem`.
    pub(crate) fn write(&self, dir: &Path) {
        write(&dir.join("cert.pem"), &self.certificate.pem(), 0o644);
        write(&dir.join("key.pem"), &self.key.serialize_pem(), 0o600);
    }
}

/// Replaces a file as certbot and others do: whole.
pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, text).expect("written");
    std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(mode)).expect("set");
    std::fs::rename(&unfinished, path).expect("renamed");
}

pub(crate) fn tls_config(dir: &Path) -> ServerConfig {
    let file = |name: &str| -> Option<PathBuf> { Some(dir.join(name)) };
    ServerConfig {
        tls_cert: file("cert.pem"),
        tls_key: file("key.pem"),
        ..ServerConfig::default()
    }
}

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A TLS connection; the handshake happens with the first bytes.
pub(crate) fn tls(address: SocketAddr, config: ClientConfig) -> TlsStream {
    let name = "v.example.test".try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(connection, connect(address))
}

/// The server's own certificate, as a handshake shows it.
pub(crate) fn shown(stream: &TlsStream) -> CertificateDer<'static> {
    let chain = stream.conn.peer_certificates().expect("shaken hands");
    chain[0].clone().into_owned()
}

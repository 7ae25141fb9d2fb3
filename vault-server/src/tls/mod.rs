//! TLS: certificate, key and client roots from files, and from newer files without a restart.
//!
//! TLS 1.2 and 1.3 by rustls with ring. Knows nothing of HTTP but the two names that ALPN offers.
//! Whatever fails in a reload, what was in force stays in force.

mod date;
mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

pub use files::TlsError;
pub(crate) use files::owner_alone;

use crate::config::TlsFiles;
use crate::connection::ConnectionFigures;
use crate::state::{App, chain};
use files::{Contents, Read};

/// How often, at most, a handshake looks whether the files have changed.
const LOOK_EVERY_SECONDS: i64 = 60;
/// From when on the log warns of the end of a certificate.
const WARN_DAYS: i64 = 14;

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    /// New files are in force.
    Changed,
    /// The files do not fit; what was in force stays.
    Failed,
    /// The files are those in force.
    Same,
}

/// The TLS of a server.
pub(crate) struct Tls {
    files: TlsFiles,
    /// Where systemd puts credentials: its files look readable by a group and are not.
    credentials: Option<std::path::PathBuf>,
    current: RwLock<Arc<ServerConfig>>,
    /// Digest of the files that were tried last, fitting or not: what did not fit is not tried, and
    /// logged, again each minute. Held for the whole of a reload.
    tried: Mutex<[u8; 32]>,
    looked_at: AtomicI64,
    app: App,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub(crate) fn open(
        files: &TlsFiles,
        credentials: Option<&std::path::Path>,
        app: App,
    ) -> Result<Self, TlsError> {
        let read = Read::files(files, credentials);
        let digest = read.digest();
        let (config, end) = build(files, read.contents()?)?;
        let tls = Self {
            files: files.clone(),
            credentials: credentials.map(Into::into),
            current: RwLock::new(config),
            tried: Mutex::new(digest),
            looked_at: AtomicI64::new(app.settings().clock.now().as_second()),
            app,
        };
        tls.note_end(end);
        Ok(tls)
    }

    /// Whether TLS could be spoken with these files now.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub(crate) fn check(
        files: &TlsFiles,
        credentials: Option<&std::path::Path>,
    ) -> Result<(), TlsError> {
        build(files, Read::files(files, credentials).contents()?).map(drop)
    }

    /// What a handshake needs. Looks for newer files first, if nobody has for a minute.
    pub(crate) async fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let now = self.app.settings().clock.now().as_second();
        let last = self.looked_at.load(Ordering::Relaxed);
        // A clock that was set back is a reason to look, too.
        let due = !(last..last + LOOK_EVERY_SECONDS).contains(&now);
        if due
            && self
                .looked_at
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            let tls = Arc::clone(self);
            // What a defect in there would do is what a failed reload does: nothing.
            let _ = tokio::task::spawn_blocking(move || tls.reload(false)).await;
        }
        TlsAcceptor::from(Arc::clone(&self.current.read()))
    }

    /// Reads the files again; `insist` also where they are those that were tried last. Blocks.
    pub(crate) fn reload(&self, insist: bool) -> Reload {
        let mut tried = self.tried.lock();
        let read = Read::files(&self.files, self.credentials.as_deref());
        let digest = read.digest();
        if *tried == digest && !insist {
            return Reload::Same;
        }
        *tried = digest;
        let figures = self.app.connections();
        match read
            .contents()
            .and_then(|contents| build(&self.files, contents))
        {
            Ok((config, end)) => {
                *self.current.write() = config;
                figures.certificate_reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!(target: "vault_server::tls", expires_at = ?end.map(|end| end.to_string()), "the certificate was read again");
                self.note_end(end);
                Reload::Changed
            }
            Err(error) => {
                figures
                    .certificate_reload_failures
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!(target: "vault_server::tls", error = %chain(&error), "the files of TLS were not taken; the certificate before stays in force");
                Reload::Failed
            }
        }
    }

    fn note_end(&self, end: Option<Timestamp>) {
        let figures = self.app.connections();
        let end = end.map_or(0, Timestamp::as_second);
        figures.certificate_expires_at.store(end, Ordering::Relaxed);
        warn_of_end(figures, self.app.settings().clock.now());
    }
}

/// When the certificate ends that the configuration names; `None` without TLS, and where that cannot
/// be read in the certificate. For whoever looks from outside.
#[must_use]
pub fn certificate_end(
    config: &crate::config::ServerConfig,
) -> Option<Result<Timestamp, TlsError>> {
    let files = config.tls()?;
    let read = Read::files(&files, config.credentials.as_deref());
    let built = read.contents().and_then(|contents| build(&files, contents));
    built.map(|(_, end)| end).transpose()
}

/// Warns in the log of a certificate that ends soon, or has ended.
pub(crate) fn warn_of_end(figures: &ConnectionFigures, now: Timestamp) {
    match figures.certificate_days_left(now) {
        Some(days) if days < 0 => {
            tracing::error!(target: "vault_server::tls", days, "the certificate has ended: clients refuse it");
        }
        Some(days) if days < WARN_DAYS => {
            tracing::warn!(target: "vault_server::tls", days, "the certificate ends soon");
        }
        _ => {}
    }
}

fn build(
    files: &TlsFiles,
    contents: Contents,
) -> Result<(Arc<ServerConfig>, Option<Timestamp>), TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let end = contents
        .chain
        .first()
        .and_then(|first| date::not_after(first));
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
        .map_err(|_| TlsError::Provider)?;
    let builder = match (contents.client_roots, &files.client_ca) {
        (Some(roots), Some(path)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|_| TlsError::ClientCa(path.clone()))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(contents.chain, contents.key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                cert: files.cert.clone(),
                key: files.key.clone(),
            },
            rustls::Error::InvalidCertificate(_) => TlsError::Certificate(files.cert.clone()),
            _ => TlsError::Key(files.key.clone()),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(config), end))
}

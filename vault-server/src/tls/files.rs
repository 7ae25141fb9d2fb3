//! The files of TLS: who may read them, what is in them.
//!
//! Knows nothing of handshakes. Errors name files and never what they hold.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::config::TlsFiles;

/// Longest file: more than a bundle of every public root has.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why TLS cannot be spoken with these files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// `tls.cert` holds no certificate that can be used.
    #[error("`tls.cert`, {0}, holds no PEM certificate that can be used")]
    Certificate(PathBuf),
    /// `tls.client_ca` holds no root.
    #[error("`tls.client_ca`, {0}, holds no PEM certificate that can be used as a root")]
    ClientCa(PathBuf),
    /// `tls.key` holds no key.
    #[error(
        "`tls.key`, {0}, holds no PEM private key that can be used (PKCS#8, PKCS#1 or SEC1, not encrypted)"
    )]
    Key(PathBuf),
    /// Key and certificate are not of one pair.
    #[error("the key in {key} (`tls.key`) is not that of the certificate in {cert} (`tls.cert`)")]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Others may read the key.
    #[error("`tls.key`, {path}, can be read by others (mode {mode:o}); chmod 600 it")]
    Mode {
        /// The key's file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The library offers no cipher for TLS 1.2 and 1.3.
    #[error("the TLS library lacks TLS 1.2 or 1.3")]
    Provider,
    /// A file could not be read.
    #[error("could not read {path} (`{key}`)")]
    Read {
        /// The key that names it.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The bytes of the files, each read or not.
pub(super) struct Read<'f> {
    files: &'f TlsFiles,
    cert: Result<Zeroizing<Vec<u8>>, TlsError>,
    key: Result<Zeroizing<Vec<u8>>, TlsError>,
    client_ca: Option<Result<Zeroizing<Vec<u8>>, TlsError>>,
}

/// What is in the files.
pub(super) struct Contents {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) client_roots: Option<RootCertStore>,
}

impl<'f> Read<'f> {
    /// Reads all of them. `credentials`: see [`owner_alone`].
    pub(super) fn files(files: &'f TlsFiles, credentials: Option<&Path>) -> Self {
        let anybody = |_: &Path, _: u32| Ok(());
        Self {
            files,
            cert: read("tls.cert", &files.cert, anybody),
            key: read("tls.key", &files.key, |path, mode| {
                owner_alone(path, mode, credentials)
            }),
            client_ca: files
                .client_ca
                .as_deref()
                .map(|path| read("tls.client_ca", path, anybody)),
        }
    }

    /// Tells one state of the files from another.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for file in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            match file {
                None => digest.update([0]),
                Some(Ok(bytes)) => {
                    digest.update([1]);
                    digest.update(bytes.len().to_be_bytes());
                    digest.update(&**bytes);
                }
                Some(Err(error)) => {
                    digest.update([2]);
                    digest.update(crate::state::chain(error));
                }
            }
        }
        digest.finalize().into()
    }

    /// Parses all of them.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub(super) fn contents(self) -> Result<Contents, TlsError> {
        let files = self.files;
        let chain = certificates(&self.cert?)
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| TlsError::Certificate(files.cert.clone()))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key?)
            .map_err(|_| TlsError::Key(files.key.clone()))?;
        let client_roots = match (self.client_ca, &files.client_ca) {
            (Some(bytes), Some(path)) => {
                Some(roots(&bytes?).ok_or_else(|| TlsError::ClientCa(path.clone()))?)
            }
            _ => None,
        };
        Ok(Contents {
            chain,
            key,
            client_roots,
        })
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()
}

fn roots(pem: &[u8]) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

fn read(
    key: &'static str,
    path: &Path,
    allowed: impl FnOnce(&Path, u32) -> Result<(), TlsError>,
) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let refused = |source| TlsError::Read {
        key,
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(refused)?;
    let meta = file.metadata().map_err(refused)?;
    allowed(path, meta.mode())?;
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, "over a megabyte");
    if meta.len() > FILE_BYTES_MAX {
        return Err(refused(too_long()));
    }
    // Room for all of it at once: a buffer that grew would leave copies of a key behind.
    let room = usize::try_from(FILE_BYTES_MAX.min(meta.len()) + 1).expect("a megabyte");
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(meta.len())
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    Ok(bytes)
}

/// Whether a secret's file is for its owner alone. systemd hands credentials out under an access
/// list that shows as readable by a group; their directory is the service's own.
pub(crate) fn owner_alone(
    path: &Path,
    mode: u32,
    credentials: Option<&Path>,
) -> Result<(), TlsError> {
    let handed_out = credentials.is_some_and(|dir| path.starts_with(dir));
    let others = if handed_out { 0o037 } else { 0o077 };
    if mode & others == 0 {
        return Ok(());
    }
    Err(TlsError::Mode {
        path: path.to_owned(),
        mode: mode & 0o777,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_owner_may_read_a_key_unless_systemd_hands_it_out() {
        let credentials = Path::new("/run/credentials/vault.service");
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let refused = owner_alone(Path::new("/k.pem"), mode, Some(credentials));
            let text = refused.expect_err("others may").to_string();
            assert!(text.contains("chmod 600"), "{text}");
        }
        owner_alone(Path::new("/k.pem"), 0o600, None).expect("its owner's");
        let key = credentials.join("key");
        owner_alone(&key, 0o440, Some(credentials)).expect("handed out");
        owner_alone(&key, 0o444, Some(credentials)).expect_err("everybody's");
    }
}

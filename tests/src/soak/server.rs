//! The server under load: a new vault, and a process of its own that serves it.
//!
//! The process is this very program, run again as `vault-cli serve`, so that what is tried is what
//! was built. Knows nothing of what is asked of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::CallId;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, VaultPaths};

use super::SoakError;
use super::wire::Dialer;

/// The first argument of a process that is to be `vault-cli`.
pub const AS_CLI: &str = "vault-cli";
const PASSPHRASE: &str = "a passphrase for the soak alone";
const POLICY: &str = include_str!("policy.toml");

/// A server that runs.
pub(super) struct Server {
    child: Child,
    pub(super) dialer: Arc<Dialer>,
    /// An API key for each connection.
    pub(super) keys: Vec<String>,
    /// Lines of warnings and errors in its log.
    warnings: Arc<AtomicU64>,
    log: Option<JoinHandle<()>>,
    _home: TempDir,
}

fn wrong(what: &'static str) -> impl Fn(&dyn std::error::Error) -> SoakError {
    move |error| SoakError::Server(format!("{what}: {error}"))
}

impl Server {
    /// Makes a vault with `keys` API keys and serves it on a free port of loopback.
    pub(super) fn start(keys: usize, tls: bool) -> Result<Self, SoakError> {
        let home = tempfile::tempdir().map_err(|e| wrong("no temporary directory")(&e))?;
        let dir = home.path().join("vault");
        let keys = make_vault(&dir, keys)?;
        let passphrase = home.path().join("passphrase");
        write_private(&passphrase, PASSPHRASE.as_bytes())?;
        let mut config = "listen = \"127.0.0.1:0\"\n\n[log]\nlevel = \"warn\"\n".to_owned();
        let connector = match tls {
            true => Some(make_certificate(home.path(), &mut config)?),
            false => None,
        };
        write_private(&dir.join("vault.toml"), config.as_bytes())?;
        let program = std::env::current_exe().map_err(|e| wrong("this program")(&e))?;
        let mut child = Command::new(program)
            .arg(AS_CLI)
            .arg("--vault")
            .arg(&dir)
            .arg("--passphrase-file")
            .arg(&passphrase)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| wrong("it does not start")(&e))?;
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut said = String::new();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let address = listening(&line);
            said.push_str(&line);
            said.push('\n');
            address
        });
        let Some(address) = address else {
            let _ = child.wait();
            return Err(SoakError::Server(said));
        };
        let warnings = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&warnings);
        // Read to the end, so that the server never waits for somebody to read its log.
        let log = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("WARN") || line.contains("ERROR") {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            child,
            dialer: Arc::new(Dialer::new(address, connector)),
            keys,
            warnings,
            log: Some(log),
            _home: home,
        })
    }

    /// Kilobytes of memory that the server has in use, by the kernel's count.
    pub(super) fn resident_kilobytes(&self) -> Option<u64> {
        resident_kilobytes(self.child.id())
    }

    /// Stops it in order. Warnings in its log, and whether it ended as it should.
    pub(super) fn stop(mut self) -> Result<u64, SoakError> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("a process has a positive id");
        kill_process(id, Signal::TERM).map_err(|e| wrong("it cannot be stopped")(&e))?;
        let status = self
            .child
            .wait()
            .map_err(|e| wrong("it does not end")(&e))?;
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
        match status.success() {
            true => Ok(self.warnings.load(Ordering::Relaxed)),
            false => Err(SoakError::Server(format!("it ended with {status}"))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it was not stopped in order; after that this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in `… listening on http://127.0.0.1:4711`.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http")?;
    rest.trim_start_matches('s')
        .strip_prefix("://")?
        .trim()
        .parse()
        .ok()
}

fn resident_kilobytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SoakError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|e| wrong("its files")(&e))
}

fn make_vault(dir: &Path, keys: usize) -> Result<Vec<String>, SoakError> {
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    };
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let created = LockedVault::create(&VaultPaths::beside(dir), settings, &passphrase, POLICY)
        .map_err(|e| wrong("no vault")(&e))?;
    let keyholder = created.vault.keyholder();
    let keys = (0..keys).map(|_| {
        let call = Call {
            principal: &keyholder,
            purpose: None,
            id: CallId::generate(&mut OsEntropy),
        };
        created.vault.create_token(&call, "bot", None)
    });
    let keys: Result<Vec<_>, _> = keys.map(|made| made.map(|(_, secret)| secret)).collect();
    created.vault.close();
    keys.map_err(|e| wrong("no API keys")(&e))
}

/// A certificate for 127.0.0.1, the configuration that names it, and who trusts it.
fn make_certificate(home: &Path, config: &mut String) -> Result<TlsConnector, SoakError> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
        .map_err(|e| wrong("no certificate")(&e))?;
    let (cert, key) = (home.join("cert.pem"), home.join("key.pem"));
    write_private(&cert, made.cert.pem().as_bytes())?;
    write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    config.push_str(&format!(
        "\n[tls]\ncert = {}\nkey = {}\n",
        quoted(&cert),
        quoted(&key)
    ));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(made.cert.der().clone())
        .map_err(|e| wrong("no certificate")(&e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong("no TLS")(&e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_line_that_names_it() {
        let found = |line| listening(line).map(|address| address.to_string());
        assert_eq!(
            found("listening on http://127.0.0.1:4711").as_deref(),
            Some("127.0.0.1:4711")
        );
        assert_eq!(
            found("vault: listening on https://127.0.0.1:1").as_deref(),
            Some("127.0.0.1:1")
        );
        assert_eq!(found("could not listen on http"), None);
    }

    #[test]
    fn this_process_has_memory_and_one_that_is_not_there_has_none() {
        assert!(resident_kilobytes(std::process::id()).is_some_and(|kilobytes| kilobytes > 100));
        assert_eq!(resident_kilobytes(u32::MAX), None);
    }
}

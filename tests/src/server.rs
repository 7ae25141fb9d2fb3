//! A server as an operator runs it: a new vault with its `vault.toml`, and a process of its own.
//!
//! The process is this very program, run again as `vault-cli serve`, so that what is tried is what
//! was built. It can be stopped, killed, and started again over the same vault. Knows nothing of
//! what is asked of it.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::CallId;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, VaultPaths};

use crate::dialer::Dialer;

/// The first argument of a process that is to be `vault-cli`.
pub const AS_CLI: &str = "vault-cli";
const PASSPHRASE: &str = "a passphrase for this run alone";

/// The server did not start, did not end as it should, or could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("the server failed: {0}")]
pub struct ServerError(String);

fn wrong<E: Error>(what: &'static str) -> impl Fn(E) -> ServerError {
    move |error| ServerError(format!("{what}: {error}"))
}

/// What a vault begins with.
pub(crate) struct Plan<'a> {
    pub(crate) policy: &'a str,
    /// An API key is made for each of these roles, in this order.
    pub(crate) roles: Vec<&'a str>,
    pub(crate) tls: bool,
    /// Lines of the section `limits` of `vault.toml`.
    pub(crate) limits: &'a str,
}

/// A vault with its configuration, whether or not it is being served.
pub(crate) struct House {
    home: PathBuf,
    /// The API keys.
    pub(crate) keys: Vec<String>,
    tls: Option<TlsConnector>,
    metrics: SocketAddr,
    _temporary: Option<TempDir>,
}

impl House {
    /// Makes a vault below `home`, or in a temporary directory.
    pub(crate) fn make(home: Option<&Path>, plan: &Plan<'_>) -> Result<Self, ServerError> {
        let temporary = match home {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(wrong("no temporary directory"))?),
        };
        let home = match (&temporary, home) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, home) => home.unwrap_or(Path::new(".")).to_owned(),
        };
        fs::create_dir_all(&home).map_err(wrong("no directory"))?;
        let dir = home.join("vault");
        let keys = make_vault(&dir, plan)?;
        write_private(&home.join("passphrase"), PASSPHRASE.as_bytes())?;
        let metrics = free_port().map_err(wrong("no port for metrics"))?;
        let mut config = format!(
            "listen = \"127.0.0.1:0\"\n\n[metrics]\nlisten = \"{metrics}\"\n\n[log]\nlevel = \"warn\"\n"
        );
        let tls = match plan.tls {
            true => Some(make_certificate(&home, &mut config)?),
            false => None,
        };
        config.push_str(&format!("\n[limits]\n{}\n", plan.limits));
        write_private(&dir.join("vault.toml"), config.as_bytes())?;
        Ok(Self {
            home,
            keys,
            tls,
            metrics,
            _temporary: temporary,
        })
    }

    /// The vault's database, for looking into it while nobody serves it.
    pub(crate) fn database(&self) -> PathBuf {
        self.home.join("vault").join("vault.redb")
    }

    /// Serves it on a free port of loopback.
    pub(crate) fn serve(&self) -> Result<Server, ServerError> {
        let program = std::env::current_exe().map_err(wrong("this program"))?;
        let child = Command::new(program)
            .arg(AS_CLI)
            .arg("--vault")
            .arg(self.home.join("vault"))
            .arg("--passphrase-file")
            .arg(self.home.join("passphrase"))
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(wrong("it does not start"))?;
        Server::begun(child, self)
    }
}

/// What a server's log has of warnings and errors.
#[derive(Default)]
pub(crate) struct Warnings {
    pub(crate) warnings: u64,
    pub(crate) errors: u64,
    pub(crate) first: Option<String>,
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) dialer: Arc<Dialer>,
    metrics: SocketAddr,
    /// Collects the warnings and errors in its log.
    log: Option<JoinHandle<Warnings>>,
}

impl Server {
    fn begun(mut child: Child, house: &House) -> Result<Self, ServerError> {
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
            return Err(ServerError(said));
        };
        // Read to the end, so that the server never waits for somebody to read its log.
        let log = std::thread::spawn(move || {
            let mut warnings = Warnings::default();
            for line in lines.map_while(Result::ok) {
                let (warning, error) = (line.contains("WARN"), line.contains("ERROR"));
                warnings.warnings += u64::from(warning);
                warnings.errors += u64::from(error);
                if warning || error {
                    warnings.first.get_or_insert(line);
                }
            }
            warnings
        });
        Ok(Self {
            child,
            dialer: Arc::new(Dialer::new(address, house.tls.clone())),
            metrics: house.metrics,
            log: Some(log),
        })
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// What its metrics listener shows now.
    pub(crate) fn metrics(&self) -> Result<String, ServerError> {
        let url = format!("http://{}/metrics", self.metrics);
        let mut answer = ureq::get(url).call().map_err(wrong("no metrics"))?;
        answer
            .body_mut()
            .read_to_string()
            .map_err(wrong("no metrics"))
    }

    /// Ends it as a power switch does, without a word.
    pub(crate) fn kill(mut self) -> Result<(), ServerError> {
        self.child.kill().map_err(wrong("it cannot be killed"))?;
        self.child
            .wait()
            .map(drop)
            .map_err(wrong("it does not end"))
    }

    /// Stops it in order. The warnings in its log.
    pub(crate) fn stop(mut self) -> Result<Warnings, ServerError> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("a process has a positive id");
        kill_process(id, Signal::TERM).map_err(wrong("it cannot be stopped"))?;
        let status = self.child.wait().map_err(wrong("it does not end"))?;
        let warnings = self.log.take().and_then(|log| log.join().ok());
        match status.success() {
            true => Ok(warnings.unwrap_or_default()),
            false => Err(ServerError(format!("it ended with {status}"))),
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

/// A port that nobody has at the moment: the log does not say which one the metrics took.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(wrong("its files"))
}

fn make_vault(dir: &Path, plan: &Plan<'_>) -> Result<Vec<String>, ServerError> {
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    };
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let created = LockedVault::create(&VaultPaths::beside(dir), settings, &passphrase, plan.policy)
        .map_err(wrong("no vault"))?;
    let keyholder = created.vault.keyholder();
    let keys = plan.roles.iter().map(|role| {
        let call = Call {
            principal: &keyholder,
            purpose: None,
            restricted_use: None,
            id: CallId::generate(&mut OsEntropy),
        };
        created.vault.create_token(&call, role, None)
    });
    let keys: Result<Vec<_>, _> = keys.map(|made| made.map(|(_, secret)| secret)).collect();
    created.vault.close();
    keys.map_err(wrong("no API keys"))
}

/// A certificate for 127.0.0.1, the configuration that names it, and who trusts it.
fn make_certificate(home: &Path, config: &mut String) -> Result<TlsConnector, ServerError> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
        .map_err(wrong("no certificate"))?;
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
        .map_err(wrong("no certificate"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong("no TLS"))?
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
}

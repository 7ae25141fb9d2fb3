//! A vault to try things on, with a server and a token for every role, in this process.
//!
//! Not for real data: the passphrase lies in a file beside the vault, and any file system will do
//! for the anchor. [`start`] is what `vault-cli dev` and the tests use.

mod chat;
mod scan;
pub(crate) mod show;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::sync::oneshot;
use vault_core::clock::{Clock, SystemClock};
use vault_core::entropy::{Entropy, OsEntropy};
use vault_core::id::CallId;
use vault_core::policy::{Draft, SAMPLE};
use vault_core::vault::{
    Call, CreateError, LockedVault, Settings, UnlockSecret, Vault, VaultPaths,
};
use vault_server::config::{ConnectionLimits, ServerConfig};
use vault_server::cors::Origins;
use vault_server::{AdminSocket, App, AppSettings, Limits, Server};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::secret;

/// Characters of a generated passphrase; 24 of base 16 are 96 random bits.
const PASSPHRASE_BYTES: usize = 12;

/// What [`start`] may be told.
#[derive(Clone, Debug, Default)]
pub struct DevOptions {
    /// Keep the vault here; a temporary directory, removed at the end, where `None`. A vault that
    /// an earlier run left here is opened again.
    pub dir: Option<PathBuf>,
    /// The policy's text; the sample where `None`, and with a chat page a little more.
    pub policy: Option<String>,
    /// Where to listen; 127.0.0.1:8200, else a free port, where `None`.
    pub listen: Option<SocketAddr>,
    /// Whose pages may call from a browser; none, as an empty list.
    pub cors: Origins,
    /// Whether a page is served, beside the server, on which somebody can talk to the vault.
    pub chat: bool,
}

/// A vault that is being served. Stops when dropped. No `Debug`: it holds secrets.
pub struct Running {
    /// The server's address, `http://127.0.0.1:8200`.
    pub url: String,
    /// The vault's directory.
    pub dir: PathBuf,
    /// The anchor's directory.
    pub anchor: PathBuf,
    /// The passphrase of the first slot.
    pub passphrase: Zeroizing<String>,
    /// The file that holds it, mode 0600.
    pub passphrase_file: PathBuf,
    /// A token for each role, by its name.
    pub tokens: BTreeMap<String, Zeroizing<String>>,
    /// The address of the chat page.
    pub chat: Option<String>,
    /// Whether the vault was there before.
    pub reopened: bool,
    /// What a real vault would not have accepted.
    pub warnings: Vec<String>,
    page: Option<chat::Page>,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    // Removed when the server has stopped: fields drop in this order.
    _temporary: Option<TempDir>,
}

/// Creates (or opens again) a vault, makes tokens and serves.
///
/// # Errors
///
/// The directory cannot be used, the policy does not pass, or the address is taken.
pub fn start(options: DevOptions) -> Result<Running, Failure> {
    let (temporary, dir) = match &options.dir {
        Some(dir) => (None, dir.clone()),
        None => {
            let temporary = tempfile::tempdir()
                .map_err(|error| Failure::io("could not make a temporary directory", &error))?;
            let dir = temporary.path().join("vault");
            (Some(temporary), dir)
        }
    };
    let paths = VaultPaths::beside(&dir);
    let passphrase_file = beside(&dir, "-passphrase");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut warnings = Vec::new();
    let reopened = passphrase_file.exists() && dir.exists();
    let (locked, vault, passphrase) = if reopened {
        let passphrase = secret::read_file(&passphrase_file)?;
        let locked = LockedVault::open(&paths, settings(&clock, true))?;
        let secret = UnlockSecret::Passphrase(secret::passphrase(&passphrase)?);
        let vault = locked.unlock(&secret)?;
        if let Some(source) = &options.policy {
            let keyholder = vault.keyholder();
            vault.apply_policy(&call(&keyholder), source, false)?;
        }
        (locked, vault, passphrase)
    } else {
        let passphrase = generate_passphrase();
        let source = match (&options.policy, options.chat) {
            (Some(source), _) => source.clone(),
            (None, true) => [SAMPLE, chat::MORE].concat(),
            (None, false) => SAMPLE.to_owned(),
        };
        let source = source.as_str();
        let secret = secret::passphrase(&passphrase)?;
        let created = match LockedVault::create(&paths, settings(&clock, false), &secret, source) {
            Err(error @ CreateError::FileSystem { .. }) => {
                warnings.push(format!("{error}; good enough for dev"));
                LockedVault::create(&paths, settings(&clock, true), &secret, source)?
            }
            created => created?,
        };
        write_secret(&passphrase_file, &passphrase)?;
        (created.locked, created.vault, passphrase)
    };
    let tokens = make_tokens(&vault)?;
    let desk = options.chat.then(chat::Desk::bind).transpose()?;
    let keyholder = vault.keyholder();
    let policy = vault.policy(&call(&keyholder))?;
    // Without the page nobody sends codes, and so there are no links.
    let named = options.chat.then(|| listens(options.listen)).flatten();
    // What runs here is recorded conversations and measurements, as fast as they can.
    let settings = AppSettings {
        public_url: named.map(|address| format!("http://{address}")),
        cors: options.cors,
        limits: Limits::widest(),
        codes: desk.as_ref().map(chat::Desk::codes),
        ..AppSettings::from(&ServerConfig::default())
    };
    let app = App::new(locked, Some(vault), settings);
    // The operator's tool works beside the server; where it cannot, the vault serves all the same.
    let socket = match AdminSocket::bind(&paths.dir) {
        Ok(socket) => Some(socket),
        Err(error) => {
            warnings.push(error.to_string());
            None
        }
    };
    let (address, shutdown, thread) = serve(named.or(options.listen), app, socket)?;
    let mut running = Running {
        url: format!("http://{address}"),
        chat: None,
        page: None,
        dir: paths.dir,
        anchor: paths.anchor,
        passphrase,
        passphrase_file,
        tokens,
        reopened,
        warnings,
        shutdown: Some(shutdown),
        thread: Some(thread),
        _temporary: temporary,
    };
    if let Some(desk) = desk {
        running.open(desk, &policy.source, options.policy.is_none());
    }
    Ok(running)
}

impl Running {
    /// The token of a role; empty, and so refused by the server, where the policy has no such role.
    #[must_use]
    pub fn token(&self, role: &str) -> &str {
        self.tokens.get(role).map_or("", |token| token)
    }

    /// Opens the chat page. What is in its way is a warning: the vault is served all the same.
    fn open(&mut self, desk: chat::Desk, source: &str, invented: bool) {
        // It is in force: it has passed.
        let Ok(policy) = Draft::parse(source).and_then(|draft| draft.assign(None, 1)) else {
            return;
        };
        let opened = desk.open(&chat::For {
            url: &self.url,
            tokens: &self.tokens,
            policy: &policy,
            invented,
        });
        let failure = match opened {
            Ok((page, failure)) => {
                self.chat = Some(page.url.clone());
                self.page = Some(page);
                failure
            }
            Err(failure) => Some(failure),
        };
        let warning = failure.map(|failure| format!("{}; {}", failure.what, failure.help));
        self.warnings.extend(warning);
    }

    /// Stops the server, closes the vault and removes a temporary directory.
    ///
    /// # Errors
    ///
    /// The server failed while it ran.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.end()
    }

    /// Serves until SIGTERM or SIGINT, then stops.
    ///
    /// # Errors
    ///
    /// Those of [`Running::stop`], or signals cannot be awaited.
    pub fn wait(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::io("could not wait for signals", &error))?;
        runtime.block_on(stop_signal());
        self.stop()
    }

    fn end(&mut self) -> Result<(), Failure> {
        // It asks the server.
        drop(self.page.take());
        if let Some(shutdown) = self.shutdown.take() {
            // A server that has gone already needs no word.
            let _ = shutdown.send(());
        }
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(Failure::io("the server failed", &error)),
            Some(Err(_)) => Err(Failure::of_code("internal", "the server's thread panicked")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Ends at SIGTERM or SIGINT.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the system's default ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn settings(clock: &Arc<dyn Clock>, accept_any_file_system: bool) -> Settings {
    Settings {
        accept_any_file_system,
        // A throw-away vault that was left alone for a week is no reason to look at the clock.
        confirm_clock: true,
        ..Settings::new(Arc::clone(clock))
    }
}

fn call(principal: &vault_core::vault::Principal) -> Call<'_> {
    Call {
        principal,
        purpose: None,
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

fn make_tokens(vault: &Vault) -> Result<BTreeMap<String, Zeroizing<String>>, Failure> {
    let keyholder = vault.keyholder();
    let mut tokens = BTreeMap::new();
    for role in vault.role_names() {
        let (_, secret) = vault.create_token(&call(&keyholder), &role, None)?;
        tokens.insert(role, Zeroizing::new(secret));
    }
    Ok(tokens)
}

type Serving = (SocketAddr, oneshot::Sender<()>, JoinHandle<io::Result<()>>);

/// An address that the server can have, which links to it name; the one that was asked for where that cannot be had,
/// so that serving says why.
fn listens(asked: Option<SocketAddr>) -> Option<SocketAddr> {
    let usual = SocketAddr::from(([127, 0, 0, 1], 8200));
    let free = TcpListener::bind(asked.unwrap_or(usual))
        .or_else(|error| match asked {
            None if error.kind() == io::ErrorKind::AddrInUse => {
                TcpListener::bind(SocketAddr::new(usual.ip(), 0))
            }
            _ => Err(error),
        })
        .and_then(|listener| listener.local_addr());
    free.ok().or(asked)
}

/// Serves on a thread of its own, so that the caller needs no runtime.
fn serve(
    listen: Option<SocketAddr>,
    app: App,
    socket: Option<AdminSocket>,
) -> Result<Serving, Failure> {
    let (shutdown, stopped) = oneshot::channel::<()>();
    let (bound, address) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("vault-server".into())
        .spawn(move || {
            serve_until(listen, app, socket, &bound, async move {
                // A dropped sender is a stop, too.
                let _ = stopped.await;
            })
        })
        .map_err(|error| Failure::io("could not start the server's thread", &error))?;
    match address.recv() {
        Ok(address) => Ok((address, shutdown, thread)),
        Err(_) => {
            let error = match thread.join() {
                Ok(Err(error)) => error,
                _ => io::Error::other("the server's thread ended"),
            };
            Err(Failure::new(
                Exit::Failed,
                "io",
                format!("could not listen: {}", error.kind()),
                "choose another loopback address with --listen, such as 127.0.0.1:0 for any free port",
            ))
        }
    }
}

fn serve_until(
    listen: Option<SocketAddr>,
    app: App,
    socket: Option<AdminSocket>,
    bound: &mpsc::Sender<SocketAddr>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut config = ServerConfig {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8200))),
            // All clients are on this machine, and so have one address.
            connections: ConnectionLimits {
                connections_per_peer: 1024,
                ..ConnectionLimits::default()
            },
            ..ServerConfig::default()
        };
        let server = match Server::bind(&config, app.clone()).await {
            Err(error) if listen.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
                config.listen.set_port(0);
                Server::bind(&config, app).await?
            }
            server => server?,
        };
        let server = match socket {
            Some(socket) => server.with_socket(socket),
            None => server,
        };
        // A caller that went away has dropped the shutdown's sender, too.
        let _ = bound.send(server.local_addr()?);
        server.run(shutdown).await
    })
}

/// `DIR-suffix`, a sibling of `dir`.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn generate_passphrase() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; PASSPHRASE_BYTES]);
    OsEntropy.fill(&mut *bytes);
    let mut text = Zeroizing::new(String::with_capacity(2 * PASSPHRASE_BYTES));
    for byte in *bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).expect("a nibble is a digit"));
        }
    }
    text
}

fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::io(format!("could not write {}", path.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn generated_passphrases_differ_and_are_accepted_lengths() {
        let (one, two) = (generate_passphrase(), generate_passphrase());
        assert_eq!(one.len(), 24);
        assert_ne!(*one, *two);
    }

    #[test]
    fn a_passphrase_file_is_for_its_owner_alone_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = beside(&directory.path().join("v"), "-passphrase");
        assert!(write_secret(&path, "words").is_ok());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(write_secret(&path, "others").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "words");
    }
}

//! A vault full of canaries, and a process of its own that serves it: `vault-cli serve`, as this
//! package's `soak` program is when it is told to be.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use vault_core::backup::new_identity;
use vault_core::clock::SystemClock;
use vault_core::vault::{
    BackupBegin, BackupFacts, Call, LockedVault, Passphrase, Settings, VaultPaths,
};

use super::people::{PASSPHRASE, POLICY};

/// Longest that anything here is waited for; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const PROGRAM: &str = env!("CARGO_BIN_EXE_soak");

/// How a call gets to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Listener,
    Socket,
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) child: Child,
    address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    manager: UnixDatagram,
    /// What the service manager was told.
    pub(crate) told: Vec<u8>,
    pub(crate) home: TempDir,
    pub(crate) paths: VaultPaths,
    /// Secrets of files: the passphrase, the recovery key, API keys, the private key of TLS.
    pub(crate) secrets: Vec<(&'static str, Vec<u8>)>,
    /// An API key whose role may do everything.
    pub(crate) all: String,
    /// Another key of the same role, for what takes two.
    pub(crate) second: String,
    /// One whose role may do nothing with values.
    pub(crate) none: String,
}

impl Server {
    /// Makes the vault and serves it, over TLS or not, logging in this format.
    pub(crate) fn start(format: &str, tls: bool) -> Self {
        Self::launch(format, tls, None)
    }

    /// The same as another user.
    pub(crate) fn start_as(user: Option<u32>) -> Self {
        Self::launch("json", false, user)
    }

    fn launch(format: &str, tls: bool, user: Option<u32>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let (keys, recovery) = make_vault(&paths);
        let [all, none, second] = keys;
        let mut secrets = vec![
            ("passphrase", PASSPHRASE.as_bytes().to_vec()),
            ("recovery key", recovery.into_bytes()),
            ("API key of all", all.clone().into_bytes()),
            ("second API key of all", second.clone().into_bytes()),
            ("API key of none", none.clone().into_bytes()),
        ];
        private(&home.path().join("passphrase"), PASSPHRASE.as_bytes());
        fs::create_dir(home.path().join("tmp")).unwrap();
        let metrics = free_port();
        let mut config = format!(
            "listen = \"127.0.0.1:0\"\n[log]\nlevel = \"debug\"\nformat = \"{format}\"\n\
             [metrics]\nlisten = \"{metrics}\"\n[limits]\nunauthenticated_per_minute = 1000000\n\
             calls_per_second = 1000000\ncalls_burst = 1000000\nperson_calls_per_minute = 1000000\n\
             lookups_per_minute = 1000000\nlookups_per_day = 1000000\n\
             [backup]\nto = \"{}\"\nrecipients = \"{}\"\n[backup.keep]\nlast = 2\n",
            home.path().join("backups").display(),
            new_identity().1,
        );
        let tls = tls.then(|| certificate(home.path(), &mut config, &mut secrets));
        private(&paths.dir.join("vault.toml"), config.as_bytes());
        let manager = UnixDatagram::bind(home.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let log = fs::File::create(home.path().join("log")).unwrap();
        let program = match user {
            // One that the other user reaches, too.
            Some(user) => {
                let program = home.path().join("program");
                fs::copy(PROGRAM, &program).unwrap();
                give(home.path(), user);
                program
            }
            None => PROGRAM.into(),
        };
        let mut command = Command::new(program);
        command
            .args(["vault-cli", "serve", "--vault"])
            .arg(&paths.dir)
            .arg("--passphrase-file")
            .arg(home.path().join("passphrase"))
            .env_clear()
            .env("TMPDIR", home.path().join("tmp"))
            .env("NOTIFY_SOCKET", home.path().join("notify"))
            .current_dir(home.path().join("tmp"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let child = spawned(&mut command);
        let mut server = Self {
            child,
            address: metrics,
            metrics,
            tls,
            manager,
            told: Vec::new(),
            home,
            paths,
            secrets,
            all,
            second,
            none,
        };
        server.hear("READY=1");
        let log = String::from_utf8(server.log()).unwrap();
        let after = log.split("listening on http").nth(1).expect(&log);
        let after = after.trim_start_matches('s').trim_start_matches("://");
        server.address = after.split_whitespace().next().unwrap().parse().unwrap();
        server
    }

    /// Waits until the service manager is told this.
    fn hear(&mut self, word: &str) {
        loop {
            let mut bytes = [0; 4096];
            let length = self.manager.recv(&mut bytes).unwrap_or_else(|_| {
                panic!(
                    "never told {word}: {}",
                    String::from_utf8_lossy(&self.log())
                )
            });
            self.told.extend_from_slice(&bytes[..length]);
            self.told.push(b'\n');
            if bytes[..length].starts_with(word.as_bytes()) {
                return;
            }
        }
    }

    /// Everything that the process has written so far.
    pub(crate) fn log(&self) -> Vec<u8> {
        fs::read(self.home.path().join("log")).unwrap()
    }

    /// Sends these bytes on a connection of their own, and gives all that comes back.
    pub(crate) fn exchange(&self, way: Way, request: &[u8]) -> Vec<u8> {
        match (way, &self.tls) {
            (Way::Socket, _) => {
                let stream = UnixStream::connect(self.paths.dir.join("admin.sock")).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                exchange(stream, request)
            }
            (Way::Listener, None) => exchange(connect(self.address), request),
            (Way::Listener, Some(config)) => {
                let name = "127.0.0.1".try_into().unwrap();
                let client = ClientConnection::new(config.clone(), name).unwrap();
                exchange(StreamOwned::new(client, connect(self.address)), request)
            }
        }
    }

    /// The same without TLS, whatever the server speaks.
    pub(crate) fn in_clear(&self, request: &[u8]) -> Vec<u8> {
        exchange(connect(self.address), request)
    }

    pub(crate) fn scrape(&self) -> Vec<u8> {
        let request = b"GET /metrics HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n";
        exchange(connect(self.metrics), request)
    }

    /// Runs a command of the operator's tool on this vault, through the server's socket.
    pub(crate) fn tool(&self, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(PROGRAM);
        command
            .args(["vault-cli", "--vault"])
            .arg(&self.paths.dir)
            .arg("--passphrase-file")
            .arg(self.home.path().join("passphrase"))
            .args(args)
            .env_clear()
            .env("TMPDIR", self.home.path().join("tmp"))
            .current_dir(self.home.path().join("tmp"));
        fed(command, input)
    }

    pub(crate) fn proc(&self, file: &str) -> io::Result<Vec<u8>> {
        fs::read(format!("/proc/{}/{file}", self.child.id()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.hear("STOPPING=1");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it. A copy of a program cannot be started while a child that another test forked in that
/// moment still has it open for writing: that child is a few instructions from its own program.
pub(crate) fn spawned(command: &mut Command) -> Child {
    for _ in 0..100_000 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            child => return child.unwrap(),
        }
    }
    panic!("the program stays open for writing")
}

/// Gives everything below a directory, and itself, to a user.
fn give(path: &Path, user: u32) {
    std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            give(&entry.path(), user);
        }
    }
}

/// Runs a program with this input.
pub(crate) fn fed(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input is done with it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A server that has had enough of a request closes; what it said before is its answer.
fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(request).and_then(|()| stream.flush());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn private(path: &Path, bytes: &[u8]) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.unwrap().write_all(bytes).unwrap();
}

/// API keys of `all` and of `none`, another of `all`, and the recovery key.
fn make_vault(paths: &VaultPaths) -> ([String; 3], String) {
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    };
    let passphrase = Passphrase::new(PASSPHRASE.into()).unwrap();
    let created = LockedVault::create(paths, settings, &passphrase, POLICY).unwrap();
    let keyholder = created.vault.keyholder();
    let keys = ["all", "none", "all"].map(|role| {
        let made = created
            .vault
            .create_token(&Call::new(&keyholder), role, None);
        made.unwrap().1
    });
    // One that is whole, for the calls about backups.
    let begin = BackupBegin {
        target: "/srv/backup".into(),
        data: true,
        keys: None,
        of: None,
    };
    let facts = BackupFacts {
        bytes: 4_096,
        people: 0,
        records: 0,
        epoch: 1,
        policy_version: 1,
        ledger_position: 0,
        manifest_sha256: [7; 32],
    };
    let call = || Call::new(&keyholder);
    let backup = created.vault.backup_begin(&call(), begin).unwrap();
    let whole = created.vault.backup_complete(&call(), backup, facts);
    whole.unwrap();
    created.vault.close();
    (keys, created.recovery_key.to_text())
}

fn certificate(
    home: &Path,
    config: &mut String,
    secrets: &mut Vec<(&'static str, Vec<u8>)>,
) -> Arc<ClientConfig> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key): (PathBuf, PathBuf) = (home.join("cert.pem"), home.join("key.pem"));
    private(&cert, made.cert.pem().as_bytes());
    private(&key, made.signing_key.serialize_pem().as_bytes());
    // The scalar, behind the form that every such key has.
    let der = made.signing_key.serialize_der();
    secrets.push(("private key of TLS", der[36..68].to_vec()));
    let toml = |path: &Path| format!("{:?}", path.display().to_string());
    config.push_str(&format!(
        "[tls]\ncert = {}\nkey = {}\n",
        toml(&cert),
        toml(&key)
    ));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

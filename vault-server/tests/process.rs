//! The program as a process: signals, the service manager, what it gives up.
//!
//! Failure is a sign that does not come, or a file within reach that should not be. Every person is
//! invented.

mod support;

use std::fs::Permissions;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use support::{
    PASSPHRASE, PATIENCE, Root, connect, create, exchange, get, post, shown, tls, write,
};
use vault_core::vault::VaultPaths;

const NAME: &str = "v.example.test";

/// `vault-server` over a vault of its own; killed when dropped.
struct Program {
    home: tempfile::TempDir,
    paths: VaultPaths,
    child: Child,
    lines: Receiver<Value>,
}

/// Starts it. A copy of the program cannot be started while a child that another test forked in that
/// moment still has it open for writing: that child is a few instructions from its own program.
fn spawn(command: &mut Command) -> Child {
    for _ in 0..100_000 {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            child => return child.expect("starts"),
        }
    }
    panic!("the program stays open for writing")
}

impl Program {
    /// Prepares a home with a vault and a passphrase, and starts the program there.
    fn start(prepare: impl FnOnce(&Path, &mut Command)) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let paths = VaultPaths::beside(&home.path().join("vault"));
        create(&paths);
        write(&home.path().join("passphrase"), PASSPHRASE, 0o600);
        let mut command = Command::new(env!("CARGO_BIN_EXE_vault-server"));
        command
            .env_clear()
            .env("VAULT_DIR", &paths.dir)
            .env("VAULT_LISTEN", "127.0.0.1:0")
            .env("VAULT_LOG_FORMAT", "json")
            .env("VAULT_PASSPHRASE_FILE", home.path().join("passphrase"))
            .arg("--accept-any-file-system")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        prepare(home.path(), &mut command);
        let mut child = spawn(&mut command);
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            home,
            paths,
            child,
            lines,
        }
    }

    /// The first line of the log that says this.
    fn says(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never said: {message}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    fn address(&self) -> SocketAddr {
        let line = self.says("listening");
        let address = line["address"].as_str().expect("an address");
        address.parse().expect("an address")
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).expect("it runs")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_ends_it_cleanly_and_takes_the_socket_away() {
    let mut program = Program::start(|_, _| {});
    let address = program.address();
    assert_eq!(exchange(&mut connect(address), &get("/readyz")).status, 200);
    let socket = program.paths.dir.join("admin.sock");
    let mut stream = UnixStream::connect(&socket).expect("answers");
    assert_eq!(exchange(&mut stream, &get("/healthz")).status, 200);
    program.signal(rustix::process::Signal::TERM);
    program.says("stopped, vault closed");
    assert!(program.child.wait().expect("ends").success());
    assert!(!socket.exists());
}

#[test]
fn what_a_killed_server_left_is_replaced_by_the_next() {
    let mut program = Program::start(|_, _| {});
    program.address();
    let socket = program.paths.dir.join("admin.sock");
    program.child.kill().expect("runs");
    program.child.wait().expect("ends");
    assert!(socket.exists());
    let mut again = Command::new(env!("CARGO_BIN_EXE_vault-server"));
    again
        .env_clear()
        .env("VAULT_DIR", &program.paths.dir)
        .env("VAULT_LISTEN", "127.0.0.1:0")
        .env("VAULT_LOG_FORMAT", "json")
        .arg("--accept-any-file-system")
        .stderr(Stdio::piped());
    let mut again = again.spawn().expect("starts");
    let stderr = BufReader::new(again.stderr.take().expect("piped"));
    let listening = stderr.lines().map_while(Result::ok);
    assert!(
        listening
            .into_iter()
            .any(|line| line.contains("\"listening\""))
    );
    let mut stream = UnixStream::connect(&socket).expect("answers");
    let unlock = post("/v1/unlock", &json!({"passphrase": PASSPHRASE}), None);
    assert_eq!(exchange(&mut stream, &unlock).status, 200);
    again.kill().expect("runs");
    again.wait().expect("ends");
}

#[test]
fn without_a_vault_it_says_how_to_make_one() {
    let home = tempfile::tempdir().expect("a directory");
    let nowhere = home.path().join("nowhere");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vault-server"));
    command.env_clear().env("VAULT_DIR", &nowhere);
    let ended = command.output().expect("runs");
    assert_eq!(ended.status.code(), Some(1));
    let told = String::from_utf8_lossy(&ended.stderr);
    let next = format!("`vault-cli --vault {} init`", nowhere.display());
    assert!(told.contains(&next), "{told}");
    assert!(!nowhere.exists());
}

#[test]
fn a_running_server_dumps_no_core_and_gains_no_privilege() {
    let nobody = 65_534;
    let root = rustix::process::getuid().is_root();
    let program = Program::start(|home, command| {
        if root {
            // A process of root's is root's, dumpable or not; one of somebody else's tells.
            use std::os::unix::process::CommandExt;
            let copy = home.join("vault-server");
            std::fs::copy(env!("CARGO_BIN_EXE_vault-server"), &copy).expect("copied");
            let all = [
                home.to_owned(),
                home.join("vault"),
                home.join("vault-anchor"),
            ];
            for dir in &all {
                std::os::unix::fs::chown(dir, Some(nobody), Some(nobody)).expect("given");
                for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
                    let path = entry.path();
                    std::os::unix::fs::chown(path, Some(nobody), Some(nobody)).expect("given");
                }
            }
            let mut other = Command::new(copy);
            for (name, value) in command.get_envs() {
                if let Some(value) = value {
                    other.env(name, value);
                }
            }
            other
                .arg("--accept-any-file-system")
                .stdin(Stdio::null())
                .stderr(Stdio::piped())
                .uid(nobody)
                .gid(nobody);
            *command = other;
        }
    });
    program.address();
    let limits = program.proc("limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.expect("a limit").split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"]);
    assert!(program.proc("status").contains("NoNewPrivs:\t1"));
    let files = format!("/proc/{}/environ", program.child.id());
    let owner = std::fs::metadata(files).expect("it runs").uid();
    // proc(5): the files of a process that is not dumpable are root's.
    assert_eq!(owner, 0);
}

#[test]
fn sighup_reads_the_certificate_again_inside_the_sandbox_and_a_broken_one_changes_nothing() {
    let root = Root::new();
    let program = Program::start(|home, command| {
        // As certbot lays them out: the name is a link into another directory.
        let (live, archive) = (home.join("live"), home.join("archive"));
        std::fs::create_dir(&live).expect("made");
        std::fs::create_dir(&archive).expect("made");
        root.sign(NAME).write(&archive);
        for name in ["cert.pem", "key.pem"] {
            std::os::unix::fs::symlink(archive.join(name), live.join(name)).expect("linked");
        }
        command
            .env("VAULT_TLS_CERT", live.join("cert.pem"))
            .env("VAULT_TLS_KEY", live.join("key.pem"))
            .env("VAULT_SANDBOX", "require");
    });
    let address = program.address();
    let now_shown = || {
        let mut stream = tls(address, root.client(None, &[]));
        assert_eq!(exchange(&mut stream, &get("/readyz")).status, 200);
        shown(&stream)
    };
    now_shown();
    let archive = program.home.path().join("archive");
    let next = root.sign(NAME);
    next.write(&archive);
    program.signal(rustix::process::Signal::HUP);
    program.says("the certificate was read again");
    assert_eq!(&now_shown(), next.certificate.der());
    write(&archive.join("cert.pem"), "no certificate", 0o644);
    program.signal(rustix::process::Signal::HUP);
    let said =
        program.says("the files of TLS were not taken; the certificate before stays in force");
    let why = said["error"].as_str().expect("a reason");
    assert!(
        why.contains("`tls.cert`") && why.contains("live/cert.pem"),
        "{why}"
    );
    assert_eq!(&now_shown(), next.certificate.der());
}

#[test]
fn the_policy_file_is_in_force_at_the_start_and_after_sighup_and_what_does_not_fit_changes_nothing()
{
    let sample = vault_core::policy::SAMPLE;
    let first = sample.replace("P90D", "P60D");
    let program = Program::start(|home, command| {
        let etc = home.join("etc");
        std::fs::create_dir(&etc).expect("made");
        std::fs::set_permissions(&etc, Permissions::from_mode(0o755)).expect("ours");
        write(&etc.join("policy.toml"), &first, 0o644);
        command.env("VAULT_POLICY", etc.join("policy.toml"));
    });
    let said = program.says("reload: the policy file is in force");
    assert_eq!(said["version"], 2);
    program.address();
    let file = program.home.path().join("etc/policy.toml");
    let hang_up = || program.signal(rustix::process::Signal::HUP);
    hang_up();
    program.says("reload: the policy file is the policy in force");
    // A field without a purpose: refused, with line and article.
    write(
        &file,
        &first.replace("purposes = [\"support\"], lookup = true", "lookup = true"),
        0o644,
    );
    hang_up();
    let said = program.says("reload: a line of the policy file is refused");
    let finding = said["finding"].as_str().expect("a finding");
    assert!(
        finding.starts_with("line ") && finding.contains("Art. 5(1)(b)"),
        "{finding}"
    );
    program
        .says("reload: the policy file does not pass the check; the policy before stays in force");
    // Fitting again, but in everybody's reach.
    write(&file, &sample.replace("P90D", "P30D"), 0o666);
    hang_up();
    let said =
        program.says("reload: the policy file was not read; the policy before stays in force");
    let why = said["error"].as_str().expect("a reason");
    assert!(why.contains("can be written by others"), "{why}");
    write(&file, &sample.replace("P90D", "P30D"), 0o640);
    hang_up();
    assert_eq!(
        program.says("reload: the policy file is in force")["version"],
        3
    );
}

#[test]
fn a_policy_file_in_the_vaults_directory_ends_the_start_and_says_why() {
    let mut program = Program::start(|home, command| {
        let inside = home.join("vault/policy.toml");
        write(&inside, vault_core::policy::SAMPLE, 0o600);
        command.env("VAULT_POLICY", inside);
    });
    assert_eq!(program.child.wait().expect("ends").code(), Some(2));
    let text: Vec<_> = program.lines.iter().map(|line| line.to_string()).collect();
    let text = text.join("\n");
    assert!(
        text.contains("`vault.policy`") && text.contains("nothing is in clear there"),
        "{text}"
    );
}

#[test]
fn the_service_manager_is_told_ready_reloading_alive_and_stopping() {
    let dir = tempfile::tempdir().expect("a directory");
    let manager = UnixDatagram::bind(dir.path().join("notify")).expect("binds");
    manager.set_read_timeout(Some(PATIENCE)).expect("set");
    let hears = |word: &str| loop {
        let mut bytes = [0; 1024];
        let length = manager
            .recv(&mut bytes)
            .unwrap_or_else(|_| panic!("never told: {word}"));
        let told = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if told.lines().any(|line| line.starts_with(word)) {
            return told;
        }
    };
    let mut program = Program::start(|_, command| {
        command
            .env("NOTIFY_SOCKET", dir.path().join("notify"))
            .env("WATCHDOG_USEC", "200000");
    });
    assert!(hears("READY=1").contains("STATUS=serving; the vault is open"));
    hears("WATCHDOG=1");
    hears("WATCHDOG=1");
    program.signal(rustix::process::Signal::HUP);
    assert!(hears("RELOADING=1").contains("MONOTONIC_USEC="));
    hears("READY=1");
    program.signal(rustix::process::Signal::TERM);
    hears("STOPPING=1");
    assert!(program.child.wait().expect("ends").success());
}

#[test]
fn a_credential_of_systemd_opens_the_vault() {
    let program = Program::start(|home, command| {
        let credentials = home.join("credentials");
        std::fs::create_dir(&credentials).expect("made");
        // As systemd hands it out.
        write(&credentials.join("passphrase"), PASSPHRASE, 0o440);
        command
            .env_remove("VAULT_PASSPHRASE_FILE")
            .env("CREDENTIALS_DIRECTORY", &credentials);
    });
    let address = program.address();
    assert_eq!(exchange(&mut connect(address), &get("/readyz")).status, 200);
}

#[test]
fn a_configuration_that_cannot_be_served_ends_with_code_2_and_says_which_key() {
    for (name, value, said) in [
        ("VAULT_LISTEN", "0.0.0.0:0", "`tls.cert` and `tls.key`"),
        (
            "VAULT_TLS_CERT",
            "/nowhere/cert.pem",
            "`tls.cert` needs `tls.key`",
        ),
        ("VAULT_UNLOCK", "credential:passphrase", "LoadCredential="),
        ("VAULT_LIMITS_STREAMS", "0", "between 1 and 1000"),
    ] {
        let mut program = Program::start(|_, command| {
            command.env_remove("VAULT_PASSPHRASE_FILE").env(name, value);
        });
        assert_eq!(
            program.child.wait().expect("ends").code(),
            Some(2),
            "{name}"
        );
        let text: Vec<_> = program.lines.iter().map(|line| line.to_string()).collect();
        assert!(text.join("\n").contains(said), "{name}: {text:?}");
    }
}

//! The sandbox, from inside: a process that has entered it, and what it can and cannot do there.
//!
//! Failure is a file, a program or a port within reach that is not the vault's; and anything that the
//! vault does in its own directories and can no longer do. Where the kernel has no Landlock there is
//! nothing to try, and the tests fail: they promise what they name.

mod support;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use support::{PASSPHRASE, create, settings};
use vault_core::backup::Recipients;
use vault_core::backup::target::{Directory, Target};
use vault_core::backup::write::Parts;
use vault_core::id::CallId;
use vault_core::vault::{
    BackupInput, Call, LockedVault, Passphrase, UnlockSecret, Vault, VaultPaths,
};
use vault_server::Process;
use vault_server::config::{BackupConfig, SandboxMode, ServerConfig};

const HOME: &str = "VAULT_TEST_HOME";
const PART: &str = "VAULT_TEST_PART";

/// Runs one part in a process of its own, for it cannot be left again.
fn run(home: &Path, part: &str) -> std::process::Output {
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new(program);
    command
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .env(HOME, home)
        .env(PART, part);
    command.output().expect("runs")
}

fn passed(output: &std::process::Output) {
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn outside_of_the_vault_nothing_is_opened_made_run_bound_or_connected_to() {
    let home = tempfile::tempdir().expect("a directory");
    create(&VaultPaths::beside(&home.path().join("vault")));
    std::fs::write(home.path().join("outside"), "mine").expect("written");
    passed(&run(home.path(), "deny"));
    let left = std::fs::read_to_string(home.path().join("outside"));
    assert_eq!(left.expect("still there"), "mine");
    assert!(!home.path().join("made").exists());
}

#[test]
fn with_an_alarm_webhook_its_port_is_connected_to_and_no_other() {
    let home = tempfile::tempdir().expect("a directory");
    create(&VaultPaths::beside(&home.path().join("vault")));
    std::fs::write(home.path().join("outside"), "mine").expect("written");
    passed(&run(home.path(), "alarm"));
}

#[test]
fn a_target_for_backups_is_within_reach_and_nothing_beside_it() {
    let home = tempfile::tempdir().expect("a directory");
    create(&VaultPaths::beside(&home.path().join("vault")));
    std::fs::write(home.path().join("outside"), "mine").expect("written");
    passed(&run(home.path(), "backup"));
    assert!(home.path().join("backups/vault-backups").exists());
    // The control: where the configuration names no target, the same place is out of reach.
    passed(&run(home.path(), "no backup"));
}

#[test]
fn inside_the_vault_commits_erases_and_recovers_from_a_crash() {
    let home = tempfile::tempdir().expect("a directory");
    create(&VaultPaths::beside(&home.path().join("vault")));
    let crashed = run(home.path(), "crash");
    // It ended in the middle, by itself, and after its work.
    assert_eq!(crashed.status.code(), None);
    assert!(
        home.path().join("vault/crashed").exists(),
        "it never came that far"
    );
    passed(&run(home.path(), "recover"));
}

#[test]
#[ignore = "run by the tests above, each time in a process of its own"]
fn inside() {
    let (Ok(home), Ok(part)) = (std::env::var(HOME), std::env::var(PART)) else {
        return;
    };
    let home = Path::new(&home);
    let paths = VaultPaths::beside(&home.join("vault"));
    let target = TcpListener::bind("127.0.0.1:0").expect("before the sandbox");
    let other = TcpListener::bind("127.0.0.1:0").expect("before the sandbox");
    let told = part == "alarm";
    let secret = home.join("secret");
    if told {
        let text = format!("whsec_{}", data_encoding::BASE64.encode(&[7; 32]));
        std::fs::write(&secret, text).expect("written");
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, owner).expect("set");
    }
    let receiver = target.local_addr().expect("bound");
    let config = ServerConfig {
        alarm_webhook: told.then(|| format!("http://{receiver}/alarm")),
        alarm_secret: told.then_some(secret),
        listen: "127.0.0.1:0".parse().expect("an address"),
        sandbox: SandboxMode::Require,
        backup: BackupConfig {
            to: (part == "backup").then(|| home.join("backups").into()),
            ..BackupConfig::default()
        },
        ..ServerConfig::default()
    };
    let locked = LockedVault::open(&paths, settings()).expect("there");
    let _process = Process::prepare(&config, &paths.dir, &paths.anchor).expect("confined");
    match part.as_str() {
        "deny" => {
            denied(home, &paths);
            for one in [&target, &other] {
                let refused = TcpStream::connect(one.local_addr().expect("bound"));
                let kind = refused.expect_err("nobody is to be told").kind();
                assert_eq!(kind, ErrorKind::PermissionDenied);
            }
            // Threads that are started from here on are confined as well.
            let (home, paths) = (home.to_owned(), paths.clone());
            let thread = std::thread::spawn(move || denied(&home, &paths));
            thread.join().expect("denied there, too");
        }
        "alarm" => {
            denied(home, &paths);
            TcpStream::connect(receiver).expect("whom the configuration names");
            let refused = TcpStream::connect(other.local_addr().expect("bound"));
            let kind = refused.expect_err("nobody else").kind();
            assert_eq!(kind, ErrorKind::PermissionDenied);
        }
        "backup" | "no backup" => {
            denied(home, &paths);
            let vault = open(&locked);
            let target: Arc<dyn Target> = Arc::new(Directory::new(home.join("backups")));
            let input = BackupInput {
                parts: Parts::Data,
                recipients: Recipients::default(),
                keys_expire: jiff::Timestamp::now(),
            };
            let (server, job) = (vault.server(), vault.backup_job().expect("the only one"));
            let made = vault.back_up(&Call::new(&server), &target, input, job);
            assert_eq!(made.is_ok(), part == "backup", "{made:?}");
            vault.close();
        }
        "crash" => {
            let vault = open(&locked);
            work(&vault, "1");
            std::fs::write(paths.dir.join("crashed"), "").expect("inside");
            std::process::abort();
        }
        "recover" => {
            let vault = open(&locked);
            assert_eq!(vault.status().expect("open").erased, 1);
            // What the vault makes again by itself.
            vault.close();
            std::fs::remove_file(paths.dir.join("reserve")).expect("was there");
            let vault = open(&locked);
            work(&vault, "2");
            assert_eq!(vault.status().expect("open").erased, 2);
            assert!(paths.dir.join("reserve").exists());
            vault.close();
        }
        other => panic!("no such part: {other}"),
    }
}

fn open(locked: &LockedVault) -> std::sync::Arc<Vault> {
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let secret = UnlockSecret::Passphrase(passphrase);
    locked.unlock(&secret).expect("opens")
}

/// Stores a person for good, and erases another.
fn work(vault: &Vault, name: &str) {
    let principal = vault.keyholder();
    let call = Call {
        principal: &principal,
        purpose: None,
        restricted_use: None,
        id: CallId::from_bytes([1; 16]),
    };
    let (_, bot) = vault.create_token(&call, "bot", None).expect("a key");
    let bot = vault.authenticate(&bot).expect("known");
    let create = |user: &str| {
        let call = Call {
            principal: &bot,
            ..call
        };
        vault.create_subject(&call, "web", user).expect("made").0
    };
    create(&format!("{name} stays"));
    let gone = create(&format!("{name} goes"));
    vault.erase_subject(&call, gone).expect("erased");
}

fn denied(home: &Path, paths: &VaultPaths) {
    let refused = |what: &str, kind: std::io::Result<()>| {
        let kind = kind.expect_err(what).kind();
        assert_eq!(kind, ErrorKind::PermissionDenied, "{what}");
    };
    for file in ["/etc/passwd", "/etc/shadow", "/etc/ssl/openssl.cnf"] {
        if Path::new(file).exists() {
            refused(file, std::fs::read(file).map(drop));
        }
    }
    refused("read beside", std::fs::read(home.join("outside")).map(drop));
    refused("write beside", std::fs::write(home.join("outside"), "x"));
    refused("make beside", std::fs::write(home.join("made"), "x"));
    refused("remove beside", std::fs::remove_file(home.join("outside")));
    refused("list beside", std::fs::read_dir(home).map(drop));
    let program = paths.dir.join("program");
    std::fs::copy("/proc/self/status", &program).expect("inside");
    refused(
        "link",
        std::os::unix::fs::symlink("/etc", paths.dir.join("link")),
    );
    refused("run", Command::new("/bin/true").status().map(drop));
    refused("bind", TcpListener::bind("127.0.0.1:0").map(drop));
    // Inside, a file is made, read and removed.
    assert!(std::fs::read_to_string(&program).is_ok());
    std::fs::remove_file(program).expect("inside");
}

//! P4 on a full disk: a server in a process of its own on a small file system, which is full when each
//! kind of call comes.
//!
//! `full_disk [--size 160M]`. Needs to mount a tmpfs: as root, or where the system lets anybody make a
//! user namespace. Exits 1 where anything was not as it must be, and 2 where it could not be tried.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use vault_tests::full_disk;
use vault_tests::replay::complain;
use vault_tests::server::AS_CLI;

/// Mounts a small file system in a namespace of its own, and says so with code 3 if it may not.
const MOUNT: &str =
    r#"mount -t tmpfs -o "size=$3,mode=700" tmpfs "$2" || exit 3; exec "$1" --inside "$2""#;

/// Serves a vault on a disk that is full again and again.
#[derive(Parser)]
struct Arguments {
    /// Size of the disk
    #[arg(long, default_value = "160M")]
    size: String,
    /// What the process inside of the namespace does
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|first| first == AS_CLI) {
        // This process is the server.
        return vault_cli::run(std::iter::once(AS_CLI.into()).chain(args));
    }
    let arguments = Arguments::parse();
    match &arguments.inside {
        Some(disk) => inside(disk),
        None => outside(&arguments.size),
    }
}

fn inside(disk: &Path) -> ExitCode {
    match full_disk::run(disk) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(full_disk::FAILED)
        }
    }
}

fn outside(size: &str) -> ExitCode {
    let (Ok(program), Ok(dir)) = (std::env::current_exe(), tempfile::tempdir()) else {
        complain("there is no temporary directory");
        return ExitCode::from(2);
    };
    for flags in [&["-m"][..], &["-r", "-m"]] {
        let mut command = Command::new("unshare");
        command.args(flags).args(["sh", "-c", MOUNT, "sh"]);
        let ended = command.arg(&program).arg(dir.path()).arg(size).status();
        match ended.ok().and_then(|status| status.code()) {
            Some(0) => return ExitCode::SUCCESS,
            Some(code) if code == i32::from(full_disk::FAILED) => return ExitCode::FAILURE,
            _ => {}
        }
    }
    complain(
        "NOT TRIED: no file system can be mounted here; run it as root, or where \
         `unshare -r -m mount -t tmpfs tmpfs /mnt` works",
    );
    ExitCode::from(2)
}

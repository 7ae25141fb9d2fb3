//! What of a running server's memory somebody else gets: no core file when it is made to end with one,
//! and no byte through `/proc`.
//!
//! As root the server is run as nobody, because root may read everybody. Each refusal has its control,
//! a process that hides nothing; where the machine forbids even that, the test says so.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use super::server::{Server, spawned};

const NOBODY: u32 = 65_534;

fn as_nobody(command: &mut Command) {
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// A shell that waits, with nothing hidden.
fn ordinary(dir: &Path) -> Child {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "echo ready; read line"])
        .current_dir(dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    as_nobody(&mut command);
    let mut child = spawned(&mut command);
    let mut line = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    child
}

/// Whether a process of the same user can read this one's memory.
fn readable(process: u32, dir: &Path) -> bool {
    let mut command = Command::new("/bin/sh");
    // The first mapping is the program itself.
    let script = format!(
        "start=$(head -c 12 /proc/{process}/maps) && [ -n \"$start\" ] && \
         dd if=/proc/{process}/mem bs=4096 count=1 skip=$((0x$start / 4096)) 2>/dev/null | head -c 4 | grep -q ELF"
    );
    command.args(["-c", &script]).current_dir(dir);
    command.stderr(Stdio::null());
    as_nobody(&mut command);
    spawned(&mut command).wait().unwrap().success()
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "says what this machine does not let it try"
)]
fn a_server_that_is_made_to_end_leaves_no_core_and_shows_its_memory_to_nobody() {
    // What an administrator may have set for every process of the machine.
    let limit = getrlimit(Resource::Core);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Core, most).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let may = |path: &Path| {
        let owner = rustix::process::getuid().is_root().then_some(NOBODY);
        std::os::unix::fs::chown(path, owner, owner).unwrap();
    };
    may(dir.path());
    // Not SIGQUIT: what runs in the background of a shell ignores it.
    for signal in [Signal::ABORT, Signal::TRAP] {
        let mut server = Server::start_as(rustix::process::getuid().is_root().then_some(NOBODY));
        let mut control = ordinary(dir.path());
        match readable(control.id(), dir.path()) {
            true => assert!(!readable(server.child.id(), dir.path())),
            false => println!("not tried: here nobody reads another process's memory at all"),
        }
        server.signal(signal);
        let ended = server.child.wait().unwrap();
        assert_eq!(ended.signal(), Some(signal.as_raw()));
        assert!(!ended.core_dumped());
        let left = fs::read_dir(server.home.path().join("tmp"))
            .unwrap()
            .count();
        assert_eq!(left, 0, "a core file");
        let id = rustix::process::Pid::from_raw(i32::try_from(control.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
        match control.wait().unwrap().core_dumped() {
            true => println!("the control left a core"),
            false => println!("not tried: here no process leaves a core"),
        }
    }
}

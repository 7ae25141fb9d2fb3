//! A command at a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::Bench;

/// A passphrase that is typed: no terminal may show it.
pub(crate) const WORDS: &str = "five random words in a row";

/// A command at a terminal of its own.
pub(crate) struct Seat {
    master: File,
    /// Keeps the terminal when the command has ended.
    slave: OwnedFd,
    pub(crate) child: Child,
    pub(crate) shown: String,
    /// How much of that was waited for already.
    pub(crate) seen: usize,
}

impl Seat {
    pub(crate) fn take(bench: &Bench, columns: u16, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        // Makes the terminal the session's own, as a login does.
        let child = Command::new("/usr/bin/setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_vault-cli")])
            .args(args)
            .env_clear()
            .current_dir(bench.root.path())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self {
            master: master.into(),
            slave,
            child,
            shown: String::new(),
            seen: 0,
        }
    }

    /// Reads until the terminal shows this.
    pub(crate) fn see(&mut self, words: &str) -> &mut Self {
        loop {
            if let Some(at) = self.shown[self.seen..].find(words) {
                self.seen += at + words.len();
                return self;
            }
            let mut bytes = [0; 4096];
            let count = self.master.read(&mut bytes).unwrap();
            self.shown
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// Waits until the terminal hands over every key at once, as a hidden question has it: the end of the input
    /// that is typed before is none there.
    pub(crate) fn hides(&mut self) -> &mut Self {
        let whole_lines = || {
            let modes = tcgetattr(&self.slave).unwrap().local_modes;
            modes.contains(LocalModes::ICANON)
        };
        while whole_lines() {
            std::thread::yield_now();
        }
        self
    }

    pub(crate) fn send(&mut self, text: &str) -> &mut Self {
        self.master.write_all(text.as_bytes()).unwrap();
        self
    }

    /// The exit code, once the command has ended, and everything that was shown.
    pub(crate) fn end(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap();
        let echo = tcgetattr(&self.slave).unwrap().local_modes;
        assert!(
            echo.contains(LocalModes::ECHO | LocalModes::ICANON),
            "the echo is on again"
        );
        // The last reader of the other end: what is left ends with an error, not with a wait.
        drop(self.slave);
        let mut rest = Vec::new();
        let _ = self.master.read_to_end(&mut rest);
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        assert!(!self.shown.contains(WORDS), "{}", self.shown);
        (code, self.shown)
    }
}

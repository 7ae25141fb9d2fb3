//! A person at a terminal: what is asked, what is shown of the answer, what a narrow one shows.
//!
//! Counts as failure: a character of a secret on the terminal, an echo that stays off.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use support::Bench;

const WORDS: &str = "five random words in a row";

/// A command at a terminal of its own.
struct Seat {
    master: File,
    /// Keeps the terminal when the command has ended.
    slave: OwnedFd,
    child: Child,
    shown: String,
    /// How much of that was waited for already.
    seen: usize,
}

impl Seat {
    fn take(bench: &Bench, columns: u16, args: &[&str]) -> Self {
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
    fn see(&mut self, words: &str) -> &mut Self {
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

    fn send(&mut self, text: &str) -> &mut Self {
        self.master.write_all(text.as_bytes()).unwrap();
        self
    }

    /// The exit code, once the command has ended, and everything that was shown.
    fn end(mut self) -> (i32, String) {
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

const INIT: [&str; 4] = ["init", "--vault", "w", "--accept-file-system"];

#[test]
fn a_new_passphrase_is_asked_for_twice_with_its_rule_and_not_shown() {
    let bench = Bench::new();
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("at least 12 characters")
        .send(&format!("{WORDS}\n"));
    seat.see("The same again")
        .send(&format!("{WORDS}\n"))
        .see("recovery key");
    assert_eq!(seat.end().0, 0);
    bench.file("p", WORDS, 0o600);
    assert_eq!(
        bench
            .run(&["--vault", "w", "--passphrase-file", "p", "slot", "list"])
            .code,
        0
    );
}

#[test]
fn two_that_differ_one_that_is_short_and_ctrl_c_create_nothing() {
    let bench = Bench::new();
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("New passphrase").send(&format!("{WORDS}\n"));
    seat.see("The same again")
        .send("five other words in a row\n")
        .see("differ");
    assert_eq!(seat.end().0, 2);
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("New passphrase")
        .send("short\n")
        .see("12 characters");
    let (code, shown) = seat.end();
    assert!(code == 1 && !shown.contains("The same again"), "{shown}");
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("New passphrase").send("\u{3}").see("interrupted");
    assert_eq!(seat.end().0, 130);
    assert!(!bench.path("w").exists());
}

#[test]
fn a_question_is_answered_with_yes_or_changes_nothing_and_ctrl_c_is_an_answer() {
    let bench = Bench::new();
    bench.init();
    let made = bench
        .on(&["token", "create", "--role", "bot", "--label", "front"])
        .json();
    let token = made["token"].as_str().unwrap();
    let args = [
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "token",
        "revoke",
        token,
    ];
    for (answer, code) in [("n\n", 1), ("\n", 1), ("\u{3}", 130)] {
        let mut seat = Seat::take(&bench, 200, &args);
        seat.see("“front”").see("[y/N]").send(answer);
        assert_eq!(seat.end().0, code, "{answer:?}");
        let keys = bench.on(&["token", "list"]).json();
        assert_eq!(keys["api_keys"][0]["state"], "active");
    }
    let mut seat = Seat::take(&bench, 200, &args);
    seat.see("[y/N]").send("y\n").see("revoked");
    assert_eq!(seat.end().0, 0);
}

#[test]
fn a_table_fits_the_terminal_and_says_what_it_leaves_out() {
    let bench = Bench::new();
    bench.init();
    bench
        .on(&["token", "create", "--role", "bot", "--label", "front desk"])
        .json();
    let list = |columns| {
        let args = [
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--color",
            "never",
            "token",
            "list",
        ];
        let (code, shown) = Seat::take(&bench, columns, &args).end();
        assert_eq!(code, 0);
        shown
    };
    let narrow = list(60);
    assert!(
        narrow.contains("not shown at this width: ") && narrow.contains("active"),
        "{narrow}"
    );
    assert!(
        narrow
            .lines()
            .all(|line| line.trim_end().chars().count() <= 60),
        "{narrow}"
    );
    let wide = list(140);
    assert!(
        wide.contains("front desk") && wide.contains("last used"),
        "{wide}"
    );
    assert!(!wide.contains("not shown"));
}

/// What stands between two words on the terminal.
fn between(seat: &mut Seat, before: &str, after: &str) -> String {
    seat.see(before);
    let from = seat.seen;
    seat.see(after);
    seat.shown[from..seat.seen - after.len()].trim().to_owned()
}

#[test]
fn shares_are_shown_once_and_count_only_when_each_was_typed_back() {
    let bench = Bench::new();
    bench.init();
    let args = [
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "--color",
        "never",
        "slot",
        "add",
        "--kind",
        "shares",
        "--threshold",
        "2",
        "--shares",
        "2",
        "--replaces",
        "1",
    ];
    let slots = || bench.on(&["slot", "list"]);
    for wrong in [true, false] {
        let before = slots().json();
        let mut seat = Seat::take(&bench, 200, &args);
        let shares = [(); 2].map(|()| {
            let share = between(&mut seat, "shown this once: ", "Write it down");
            seat.see("press Enter").send("\n");
            share
        });
        assert!(shares.iter().all(|share| share.len() == 79), "{shares:?}");
        // The other one is a share too, and not this one.
        seat.see("Share 1 again").send(&format!("{}\n", shares[1]));
        seat.see("once more").see("Share 1 again");
        if wrong {
            seat.send("nothing\n").see("once more").see("Share 1 again");
            seat.send("\n").see("did not come back");
            assert_eq!(seat.end().0, 1);
            assert_eq!(slots().json(), before);
            continue;
        }
        seat.send(&format!("{}\n", shares[0].to_lowercase()));
        seat.see("Share 2 again").send(&format!("{}\n", shares[1]));
        seat.see("slot 3 added, slot 1 removed");
        let (code, shown) = seat.end();
        assert_eq!(code, 0);
        for share in &shares {
            assert_eq!(shown.matches(share.as_str()).count(), 1, "shown once");
        }
        assert_eq!(slots().code, 3, "the passphrase was replaced");
        let list = ["--vault", "v", "--ask-shares", "slot", "list"];
        let mut seat = Seat::take(&bench, 100, &list);
        seat.see("First share").send(&format!("{}\n", shares[1]));
        seat.see("Share 2 of 2").send(&format!("{}\n", shares[1]));
        seat.see("given twice").see("Share 2 of 2");
        seat.send(&format!("{}\n", shares[0])).see("recovery_key");
        assert_eq!(seat.end().0, 0);
    }
}

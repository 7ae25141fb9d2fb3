//! The machine: its clock, its limits, and the ways on which memory leaves it.

use jiff::Timestamp;

use super::{Findings, Severity};

/// Descriptors that the server needs beside its connections.
const FILES_BESIDE: u64 = 256;
/// How far the clock may lie behind the last write to the database, in seconds.
const BEHIND_SECONDS_MAX: i64 = 300;
/// What a vault with some load wants to lock for its keys.
const MEMLOCK_BYTES: u64 = 1 << 20;

/// A place where memory may be swapped out to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// As the system names it.
    pub name: String,
    /// `Some(true)`: the device mapper says that it encrypts, or it lies in memory. `Some(false)`: a
    /// plain device. `None`: a file, or a device that says nothing.
    pub encrypted: Option<bool>,
}

/// The limits of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitFacts {
    /// Whose, such as `the server (process 12)`.
    pub of: String,
    /// Whether that process serves, or only asks.
    pub serves: bool,
    /// Open files; `None` without a limit.
    pub files: Option<u64>,
    /// What they may be raised to by the process itself.
    pub files_hard: Option<u64>,
    /// Bytes of a core file; `None` without a limit.
    pub core: Option<u64>,
    /// Bytes that may be locked in memory; `None` without a limit.
    pub locked: Option<u64>,
}

/// The clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockFacts {
    /// The present.
    pub now: Timestamp,
    /// When the database was last written to, by the file system.
    pub written: Option<Timestamp>,
    /// Whether the time is set from elsewhere, where that is known.
    pub synchronised: Option<bool>,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its clock.
    pub clock: ClockFacts,
    /// The limits of the process that serves, or of the one that asks.
    pub limits: Option<LimitFacts>,
    /// `limits.connections` of the configuration.
    pub connections: Option<u64>,
    /// `/proc/sys/kernel/core_pattern`.
    pub core_pattern: Option<String>,
    /// Where memory may be swapped out to; `None` where that is not known.
    pub swaps: Option<Vec<Swap>>,
}

impl Machine {
    /// Swap that is not known to be encrypted.
    pub(super) fn open_swaps(&self) -> impl Iterator<Item = &Swap> {
        let swaps = self.swaps.iter().flatten();
        swaps.filter(|swap| swap.encrypted != Some(true))
    }
}

pub(super) fn check(machine: &Machine, findings: &mut Findings) {
    clock(&machine.clock, findings);
    limits(machine, findings);
    core_dumps(machine, findings);
    swap(machine, findings);
}

fn clock(clock: &ClockFacts, findings: &mut Findings) {
    if let Some(written) = clock.written {
        let behind = written.as_second() - clock.now.as_second();
        if behind > BEHIND_SECONDS_MAX {
            findings.add(
                Severity::Error,
                "clock_behind",
                "the clock",
                format!("it is {behind} seconds behind the last write to the database: until it has caught up, what is stored bears the time of that write"),
                "set the clock: timedatectl set-ntp true",
            );
        }
    }
    if clock.synchronised == Some(false) {
        findings.add(
            Severity::Warning,
            "clock_unsynchronised",
            "the clock",
            "nothing sets it from elsewhere: periods, sessions and certificates are held to it",
            "timedatectl set-ntp true",
        );
    }
}

fn limits(machine: &Machine, findings: &mut Findings) {
    let Some(limits) = machine.limits.as_ref() else {
        return;
    };
    // The server raises its own up to the hard limit.
    let files = match limits.serves {
        true => limits.files,
        false => limits.files_hard,
    };
    if let (Some(files), Some(connections)) = (files, machine.connections)
        && files < connections + FILES_BESIDE
    {
        findings.add(
            Severity::Warning,
            "limit_files",
            limits.of.clone(),
            format!(
                "{files} open files are allowed, and limits.connections = {connections} may want {}",
                connections + FILES_BESIDE
            ),
            format!(
                "LimitNOFILE={} in the unit, or a lower limits.connections",
                connections + FILES_BESIDE
            ),
        );
    }
    if limits.locked.is_some_and(|locked| locked < MEMLOCK_BYTES) {
        findings.add(
            Severity::Warning,
            "limit_locked",
            limits.of.clone(),
            format!(
                "{} bytes may be locked in memory; keys beyond them may be swapped out",
                limits.locked.unwrap_or_default()
            ),
            "LimitMEMLOCK=8M in the unit, or `ulimit -l` before the start",
        );
    }
}

fn core_dumps(machine: &Machine, findings: &mut Findings) {
    let Some(limits) = machine.limits.as_ref().filter(|limits| limits.serves) else {
        return;
    };
    // A pipe gets the dump whatever the limit is, unless that is 1 or the process is not dumpable,
    // which it sees to itself.
    if limits.core != Some(0) {
        let piped = machine
            .core_pattern
            .as_deref()
            .is_some_and(|pattern| pattern.starts_with('|'));
        let to = match piped {
            true => ", and the kernel pipes them to a program",
            false => "",
        };
        findings.add(
            Severity::Error,
            "core_dumps",
            limits.of.clone(),
            format!("core dumps are allowed{to}: they would hold keys and values"),
            "LimitCORE=0 in the unit",
        );
    }
}

fn swap(machine: &Machine, findings: &mut Findings) {
    for swap in machine.open_swaps() {
        let (severity, what) = match swap.encrypted {
            Some(_) => (
                Severity::Warning,
                "swap is on, and the system shows no encryption on this device: values under way may be written there (keys in locked pages are not). Whether the disk itself encrypts cannot be seen from here",
            ),
            None => (
                Severity::Note,
                "swap is on, and whether it is encrypted cannot be seen from here: values under way may be written there (keys in locked pages are not)",
            ),
        };
        findings.add(
            severity,
            "swap",
            swap.name.clone(),
            what,
            "MemorySwapMax=0 in the unit keeps the server out of swap; or encrypt it (crypttab(5), option swap), or swapoff",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Machine {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        Machine {
            clock: ClockFacts {
                now,
                written: Some(now),
                synchronised: Some(true),
            },
            limits: Some(LimitFacts {
                of: "the server".into(),
                serves: true,
                files: Some(1280),
                files_hard: Some(1280),
                core: Some(0),
                locked: Some(8 << 20),
            }),
            connections: Some(1024),
            core_pattern: Some("|/usr/lib/systemd/systemd-coredump".into()),
            swaps: Some(vec![Swap {
                name: "/dev/zram0".into(),
                encrypted: Some(true),
            }]),
        }
    }

    fn found(change: impl FnOnce(&mut Machine)) -> Vec<(Severity, &'static str)> {
        let mut machine = good();
        change(&mut machine);
        let mut findings = Findings::default();
        check(&machine, &mut findings);
        let all = findings.0.iter();
        all.map(|finding| (finding.severity, finding.code))
            .collect()
    }

    #[test]
    fn a_machine_as_the_unit_makes_it_has_no_finding() {
        assert_eq!(found(|_| {}), []);
    }

    #[test]
    fn a_clock_behind_the_database_is_an_error_and_a_little_is_not() {
        let late = |seconds| {
            move |machine: &mut Machine| {
                let written = machine.clock.now.as_second() + seconds;
                machine.clock.written = Timestamp::from_second(written).ok();
            }
        };
        assert_eq!(found(late(301)), [(Severity::Error, "clock_behind")]);
        assert_eq!(found(late(300)), []);
        let alone = found(|machine| machine.clock.synchronised = Some(false));
        assert_eq!(alone, [(Severity::Warning, "clock_unsynchronised")]);
    }

    #[test]
    fn limits_are_held_to_what_the_configuration_may_want() {
        let limit = |change: fn(&mut LimitFacts)| {
            found(|machine| change(machine.limits.as_mut().expect("there are some")))
        };
        assert_eq!(
            limit(|limits| limits.files = Some(1279)),
            [(Severity::Warning, "limit_files")]
        );
        // Who only asks is held to what a server could raise itself to.
        let asks = |files_hard| {
            move |machine: &mut Machine| {
                let limits = machine.limits.as_mut().expect("there are some");
                (limits.serves, limits.core) = (false, None);
                (limits.files, limits.files_hard) = (Some(10), files_hard);
            }
        };
        assert_eq!(found(asks(Some(4096))), []);
        assert_eq!(found(asks(Some(100))), [(Severity::Warning, "limit_files")]);
        assert_eq!(
            limit(|limits| limits.locked = Some(65536)),
            [(Severity::Warning, "limit_locked")]
        );
        assert_eq!(limit(|limits| limits.locked = None), []);
        for core in [None, Some(1 << 20)] {
            let found = found(|machine| machine.limits.as_mut().expect("some").core = core);
            assert_eq!(found, [(Severity::Error, "core_dumps")]);
        }
    }

    #[test]
    fn of_swap_what_is_not_known_is_not_claimed() {
        let swap = |encrypted| {
            found(|machine| {
                machine.swaps = Some(vec![Swap {
                    name: "/dev/sda2".into(),
                    encrypted,
                }]);
            })
        };
        assert_eq!(swap(Some(false)), [(Severity::Warning, "swap")]);
        assert_eq!(swap(None), [(Severity::Note, "swap")]);
        assert_eq!(swap(Some(true)), []);
    }
}

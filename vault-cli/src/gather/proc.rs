//! What Linux says of processes and of swap. Elsewhere nothing is known.

use std::fs;
use std::path::Path;

use vault_core::doctor::{LimitFacts, Swap};

/// A line of the system, without its end.
pub(super) fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The process that answers on a socket.
pub(super) fn holder(socket: &Path) -> Option<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .ok()?;
    runtime.block_on(async {
        let stream = tokio::net::UnixStream::connect(socket).await.ok()?;
        stream.peer_cred().ok()?.pid()
    })
}

/// `/proc/PID/limits`, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limits {
    files: Option<u64>,
    files_hard: Option<u64>,
    core: Option<u64>,
    locked: Option<u64>,
}

impl Limits {
    /// Of the server.
    pub(super) fn of(self, process: i32) -> LimitFacts {
        self.facts(format!("the server (process {process})"), true)
    }

    /// Of whoever asks: what a server that is started here would have.
    pub(super) fn asking(self) -> LimitFacts {
        self.facts("a server started from here".into(), false)
    }

    fn facts(self, of: String, serves: bool) -> LimitFacts {
        let Self {
            files,
            files_hard,
            core,
            locked,
        } = self;
        LimitFacts {
            of,
            serves,
            files,
            files_hard,
            core,
            locked,
        }
    }
}

pub(super) fn limits(process: &str) -> Option<Limits> {
    parse_limits(&fs::read_to_string(format!("/proc/{process}/limits")).ok()?)
}

/// Source: proc(5), `/proc/[pid]/limits`.
fn parse_limits(text: &str) -> Option<Limits> {
    let find = |name: &str| -> Option<(Option<u64>, Option<u64>)> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        let mut words = line[name.len()..].split_whitespace();
        let mut number = || -> Option<Option<u64>> {
            match words.next()? {
                "unlimited" => Some(None),
                digits => Some(Some(digits.parse().ok()?)),
            }
        };
        Some((number()?, number()?))
    };
    let (files, files_hard) = find("Max open files")?;
    Some(Limits {
        files,
        files_hard,
        core: find("Max core file size")?.0,
        locked: find("Max locked memory")?.0,
    })
}

/// What memory may be swapped out to.
pub(super) fn swaps() -> Option<Vec<Swap>> {
    let text = fs::read_to_string("/proc/swaps").ok()?;
    let lines = text.lines().skip(1);
    let swaps = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, kind) = (words.next()?, words.next()?);
        Some(Swap {
            name: name.to_owned(),
            encrypted: encrypted(kind, &device(name), &|path| read(path)),
        })
    });
    Some(swaps.collect())
}

/// The kernel's name of a device, `dm-0` for `/dev/mapper/swap`.
fn device(name: &str) -> String {
    let path = fs::canonicalize(name).unwrap_or_else(|_| name.into());
    let file = path.file_name().and_then(|name| name.to_str());
    file.unwrap_or_default().to_owned()
}

/// Whether what is swapped out there is encrypted, as far as the system says. `read` reads a file.
fn encrypted(kind: &str, device: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<bool> {
    if kind != "partition" {
        return None;
    }
    if device.starts_with("dm-") {
        // Set by cryptsetup for its own mappings: CRYPT-PLAIN-…, CRYPT-LUKS2-…
        let uuid = read(&format!("/sys/block/{device}/dm/uuid"))?;
        return uuid.starts_with("CRYPT-").then_some(true);
    }
    if device.starts_with("zram") {
        // In memory, unless it has been given a disk to write to.
        let behind = read(&format!("/sys/block/{device}/backing_dev"));
        return (behind.is_none_or(|disk| disk == "none")).then_some(true);
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "\
Limit                     Soft Limit           Hard Limit           Units     
Max core file size        0                    unlimited            bytes     
Max open files            1024                 524288               files     
Max locked memory         8388608              8388608              bytes     
";
        assert_eq!(
            parse_limits(text),
            Some(Limits {
                files: Some(1024),
                files_hard: Some(524_288),
                core: Some(0),
                locked: Some(8_388_608),
            })
        );
        assert_eq!(
            parse_limits(&text.replace("1024  ", "unlimited")).map(|limits| limits.files),
            Some(None)
        );
        assert_eq!(parse_limits("Max open files   many"), None);
        assert!(limits("self").is_some());
    }

    #[test]
    fn swap_is_called_encrypted_only_where_the_system_says_so() {
        let nothing = |_: &str| None;
        let uuid = |text: &'static str| move |_: &str| Some(text.to_owned());
        assert_eq!(
            encrypted("partition", "dm-0", &uuid("CRYPT-PLAIN-swap")),
            Some(true)
        );
        assert_eq!(encrypted("partition", "dm-0", &uuid("LVM-abc")), None);
        assert_eq!(encrypted("partition", "dm-0", &nothing), None);
        assert_eq!(encrypted("partition", "sda2", &nothing), Some(false));
        assert_eq!(encrypted("file", "swapfile", &nothing), None);
        assert_eq!(encrypted("partition", "zram0", &uuid("none")), Some(true));
        assert_eq!(encrypted("partition", "zram0", &uuid("/dev/sda3")), None);
    }
}

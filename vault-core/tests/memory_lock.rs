//! What the kernel says of the pages that secrets lie in.
//!
//! Failure is a page of keys that could be swapped out though the limit allows locking it, one that
//! a core dump or a forked child would hold, or a pool that stops at the limit. A limit so low that
//! nothing can be locked is no failure: the figures say so.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};
use vault_core::crypto::{Secret, memory_lock};
use vault_core::entropy::SeededEntropy;

/// A block of pages, as `vault_core::crypto` maps them.
const BLOCK: u64 = 16 << 10;

/// Kilobytes locked, and flags, of the mapping that holds `address`.
fn mapping(address: usize) -> (u64, Vec<String>) {
    let smaps = fs::read_to_string("/proc/self/smaps").expect("Linux");
    let mut here = false;
    let mut locked = 0;
    for line in smaps.lines() {
        let (head, rest) = line.split_once(' ').expect("two columns");
        if let Some((start, end)) = head.split_once('-') {
            let number = |text| usize::from_str_radix(text, 16).expect("an address");
            here = (number(start)..number(end)).contains(&address);
        } else if here && head == "Locked:" {
            let kilobytes = rest.trim().trim_end_matches(" kB");
            locked = kilobytes.parse().expect("a number");
        } else if here && head == "VmFlags:" {
            return (locked, rest.split_whitespace().map(Into::into).collect());
        }
    }
    panic!("no mapping holds the address")
}

#[test]
fn the_page_of_a_secret_is_locked_and_in_no_dump_and_no_fork() {
    let secret = Secret::<32>::generate(&mut SeededEntropy::new(1));
    let (locked, flags) = mapping(secret.expose().as_ptr().addr());
    let has = |flag: &str| flags.iter().any(|f| f == flag);
    assert!(has("dd"), "left out of core dumps: {flags:?}");
    assert!(has("wf"), "wiped in a child: {flags:?}");
    let figures = memory_lock();
    let allowed = figures.limit.is_none_or(|limit| limit >= 64 << 10);
    assert!(figures.locked_bytes > 0 || !allowed, "{figures:?}");
    assert_eq!(has("lo"), figures.locked_bytes > 0, "{flags:?}");
    assert_eq!(locked > 0, figures.locked_bytes > 0);
    // The control: what is in a box is none of this.
    let boxed = Box::new([7_u8; 32]);
    let (locked, flags) = mapping(boxed.as_ptr().addr());
    assert!(locked == 0 && !flags.iter().any(|f| f == "dd" || f == "lo"));
}

const CHILD: &str = "MEMORY_LOCK_CHILD";

#[test]
fn at_the_limit_of_the_system_secrets_are_still_made_and_counted_as_unlocked() {
    if std::env::var_os(CHILD).is_some() {
        return beyond_the_limit();
    }
    // Its own process, for the limit is the process's; root is held to none.
    let mut child = Command::new("/proc/self/exe");
    child.args([
        "--exact",
        "at_the_limit_of_the_system_secrets_are_still_made_and_counted_as_unlocked",
    ]);
    child.env(CHILD, "1");
    if getuid().is_root() {
        child.uid(65_534).gid(65_534);
    }
    let output = child.output().expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn beyond_the_limit() {
    let limit = 2 * BLOCK;
    let maximum = getrlimit(Resource::Memlock).maximum;
    let new = Rlimit {
        current: Some(limit),
        maximum,
    };
    setrlimit(Resource::Memlock, new).expect("lower than before");
    let entropy = &mut SeededEntropy::new(2);
    let secrets: Vec<Secret<32>> = (0..4 * BLOCK / 32)
        .map(|_| Secret::generate(entropy))
        .collect();
    let different: BTreeSet<_> = secrets.iter().map(|secret| *secret.expose()).collect();
    assert_eq!(different.len(), secrets.len());
    let figures = memory_lock();
    assert_eq!(figures.limit, Some(limit));
    assert_eq!(figures.locked_bytes, limit, "{figures:?}");
    assert!(figures.unlocked_bytes >= 2 * BLOCK, "{figures:?}");
}

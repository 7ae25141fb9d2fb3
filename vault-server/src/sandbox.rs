//! What the process gives up for good before it takes its first call: every file but the vault's,
//! every program, every further port.
//!
//! Landlock confines the thread that asks and those that it starts from then on, so this runs before
//! the first of them. Whatever is open stays open. Source: landlock(7).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};

use crate::config::SandboxMode;

/// The newest form of Landlock whose rights are understood here. A newer kernel enforces these, and
/// an older one what it knows of them.
const KNOWN: ABI = ABI::V7;
/// The least that counts as a sandbox: with it no file outside can be opened, made, cut or moved.
const LEAST: ABI = ABI::V3;
/// Read by the C library and the time zone's: names, hosts, zones, and what it loads for them.
const READ: [&str; 13] = [
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/usr/share/zoneinfo",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    // The process's own figures, for the metrics.
    "/proc/self",
];
const RESOLVER: &str = "/etc/resolv.conf";

/// What stays within reach.
#[derive(Clone, Debug, Default)]
pub struct SandboxPaths {
    /// Directories whose files are read, written, made and removed.
    pub write: Vec<PathBuf>,
    /// Directories and files that are read.
    pub read: Vec<PathBuf>,
    /// Ports that may still be bound.
    pub bind: Vec<u16>,
    /// Ports, of whatever machine, that may be connected to.
    pub connect: Vec<u16>,
}

/// Why there is no sandbox where one is demanded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The kernel lacks it.
    #[error(
        "`sandbox = \"require\"`, and this kernel does not enforce all of it: {0}; `best_effort` takes what there is"
    )]
    Kernel(String),
    /// A path that must stay within reach cannot be opened.
    #[error("the sandbox cannot keep {0} within reach")]
    Path(PathBuf),
}

/// Confines this thread, and every thread started from it, for good.
///
/// # Errors
///
/// See [`SandboxError`]; only for [`SandboxMode::Require`], or a path of `write` that is not there.
pub(crate) fn enter(mode: SandboxMode, paths: &SandboxPaths) -> Result<(), SandboxError> {
    if mode == SandboxMode::Off {
        tracing::warn!(target: "vault_server::sandbox", "the sandbox is off");
        return Ok(());
    }
    let mut writable = Vec::new();
    for path in &paths.write {
        let file = PathFd::new(path).map_err(|_| SandboxError::Path(path.clone()))?;
        writable.push(PathBeneath::new(file, write_rights()));
    }
    let mut readable = Vec::new();
    let resolver = beside_target(Path::new(RESOLVER));
    let given = paths.read.iter().cloned();
    let known = READ.iter().map(PathBuf::from);
    for path in given.chain(known).chain(resolver) {
        // What is not there cannot be read either.
        if let Ok(file) = PathFd::new(&path) {
            readable.push(PathBeneath::new(file, read_rights(&path)));
        }
    }
    let demand = match mode {
        SandboxMode::Require => CompatLevel::HardRequirement,
        _ => CompatLevel::BestEffort,
    };
    let confined = confine(demand, writable, readable, paths);
    match confined {
        Ok(status) => {
            tell(&status);
            match status.ruleset {
                RulesetStatus::NotEnforced if mode == SandboxMode::Require => {
                    Err(SandboxError::Kernel("it has no Landlock".into()))
                }
                _ => Ok(()),
            }
        }
        Err(error) if mode == SandboxMode::Require => Err(SandboxError::Kernel(error.to_string())),
        Err(error) => {
            tracing::warn!(target: "vault_server::sandbox", %error, "there is no sandbox");
            Ok(())
        }
    }
}

fn confine(
    demand: CompatLevel,
    writable: Vec<PathBeneath<PathFd>>,
    readable: Vec<PathBeneath<PathFd>>,
    paths: &SandboxPaths,
) -> Result<RestrictionStatus, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(demand)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        // Whom there is to tell is named in the configuration; nobody else is connected to.
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::Signal)?
        .create()?;
    let to = |ports: &[u16], access: AccessNet| -> Vec<NetPort> {
        ports
            .iter()
            .map(|port| NetPort::new(*port, access))
            .collect()
    };
    let mut ports = to(&paths.bind, AccessNet::BindTcp);
    ports.extend(to(&paths.connect, AccessNet::ConnectTcp));
    let with = |ruleset: RulesetCreated, rules: Vec<PathBeneath<PathFd>>| {
        ruleset.add_rules(rules.into_iter().map(Ok::<_, RulesetError>))
    };
    with(with(ruleset, writable)?, readable)?
        .add_rules(ports.into_iter().map(Ok::<_, RulesetError>))?
        .restrict_self()
}

/// All that can be done to plain files and directories; no devices, no links, no running.
fn write_rights() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

fn read_rights(path: &Path) -> BitFlags<AccessFs> {
    if path.is_dir() {
        AccessFs::ReadFile | AccessFs::ReadDir
    } else {
        AccessFs::ReadFile.into()
    }
}

/// The directory that a path stands in, and the one that the file it leads to lies in: a file that
/// is replaced, as certificates and the resolver's are, is a new file in one of the two.
pub(crate) fn directories_of(path: &Path) -> Vec<PathBuf> {
    let own = path.parent().map(|dir| match dir.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => dir.to_owned(),
    });
    own.into_iter().chain(beside_target(path)).collect()
}

/// The directory of the file that a link leads to; of a file in `/etc` itself, the file alone.
fn beside_target(path: &Path) -> Option<PathBuf> {
    let target = path.canonicalize().ok()?;
    match target.parent() {
        Some(dir) if dir != Path::new("/etc") => Some(dir.to_owned()),
        _ => Some(target),
    }
}

fn tell(status: &RestrictionStatus) {
    let holds = match status.ruleset {
        RulesetStatus::FullyEnforced => "all that this server knows of",
        RulesetStatus::PartiallyEnforced => "what this kernel has",
        RulesetStatus::NotEnforced => "nothing",
    };
    let no_new_privs = status.no_new_privs;
    if status.ruleset == RulesetStatus::NotEnforced {
        tracing::warn!(target: "vault_server::sandbox", holds, no_new_privs, landlock = ?status.landlock, "there is no sandbox");
    } else {
        tracing::info!(target: "vault_server::sandbox", holds, no_new_privs, landlock = ?status.landlock, "the sandbox holds");
    }
}

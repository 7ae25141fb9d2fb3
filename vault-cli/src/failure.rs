//! Why a command failed, what to do about it, and the exit code that says so to a script.
//!
//! Knows every error of the library and none of its causes: each is given a way out here, once.
//! Texts carry paths, addresses and identifiers, never a value of a person.

use std::error::Error;
use std::fmt::Write as _;

use vault_core::backup::ledger::LedgerError;
use vault_core::refusal::Refusal;
use vault_core::store::StoreError;
use vault_core::vault::{CreateError, OpenError, UnlockError};

/// Exit codes. Stable: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did not work.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The vault is locked, or the secret is wrong.
    Locked = 3,
    /// The policy does not let this caller do it.
    Refused = 4,
    /// Files are not what was written.
    Damaged = 5,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// A stable word for programs, such as `wrong_secret`; over HTTP that of the problem.
    pub code: String,
    /// What failed, in lower case, with its causes.
    pub what: String,
    /// More lines, such as the findings in a policy.
    pub findings: Vec<String>,
    /// What to do.
    pub help: String,
}

impl Failure {
    /// A failure that has no cause below it.
    pub fn new(exit: Exit, code: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            what: what.into(),
            findings: Vec::new(),
            help: help.into(),
        }
    }

    /// A wrong command line.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", what, help)
    }

    /// A failure with a cause; the causes are appended once, each after a colon.
    pub fn caused(exit: Exit, code: &str, error: &dyn Error, help: impl Into<String>) -> Self {
        Self::new(exit, code, chain(error), help)
    }

    /// The operating system refused `what`.
    pub fn io(what: impl std::fmt::Display, error: &std::io::Error) -> Self {
        Self::new(
            Exit::Failed,
            "io",
            format!("{what}: {}", error.kind()),
            "check that the path exists and that this user may use it",
        )
    }

    /// A policy that does not pass its check.
    pub fn policy(findings: Vec<String>) -> Self {
        Self {
            findings,
            ..Self::new(
                Exit::Failed,
                "invalid_policy",
                "the policy does not pass its check",
                "mend these lines and run `vault-cli policy check FILE` again",
            )
        }
    }
}

/// An error and its sources on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

const SERVER_HOLDS_IT: &str = "if a server holds it, go through it: --server URL --token-file FILE (a role with the capability); otherwise stop that process";
const NO_DAMAGE_REPAIR: &str =
    "change nothing in either directory; copy both as they are, then restore from a backup";

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        if let OpenError::Slots(_) = &error {
            return Self::caused(Exit::Damaged, "damaged", &error, NO_DAMAGE_REPAIR);
        }
        let (code, help) = match &error {
            OpenError::HalfCreated(_) => (
                "half_created",
                "remove that directory and its anchor directory, then run `vault-cli init` again",
            ),
            OpenError::HalfRestored(_) => (
                "half_restored",
                "give the command `vault-cli backup restore` again: it begins anew, or makes what is missing",
            ),
            OpenError::Held(_) => ("held", SERVER_HOLDS_IT),
            OpenError::NotFound(_) => (
                "not_a_vault",
                "name the vault's directory with --vault DIR, or create one: vault-cli --vault DIR init",
            ),
            _ => (
                "io",
                "check that the path exists, that --anchor names the anchor directory, and that this user may use both",
            ),
        };
        Self::caused(Exit::Failed, code, &error, help)
    }
}

impl From<UnlockError> for Failure {
    fn from(error: UnlockError) -> Self {
        let (exit, code, help) = match &error {
            UnlockError::Anchor => (
                Exit::Damaged,
                "anchor",
                "check that --anchor names the directory that belongs to this vault; without it only a backup with its key part brings the vault back",
            ),
            UnlockError::Damaged(_) | UnlockError::Store(StoreError::Corrupt) => {
                (Exit::Damaged, "damaged", NO_DAMAGE_REPAIR)
            }
            UnlockError::Ledger(LedgerError::Ahead { .. }) => (
                Exit::Damaged,
                "rollback",
                "put the newest database back; if there is none, what happened since the one that is here is lost, erasures among it: \
                 `serve --accept-rollback \"what happened since is lost\"` goes on with it, and the log says so",
            ),
            UnlockError::Ledger(LedgerError::Damaged { .. } | LedgerError::Table { .. }) => (
                Exit::Damaged,
                "ledger_damaged",
                "keep a copy of the file `ledger` for whoever looks into it, compare it with the copies at your backup targets, \
                 and move it away: it is written anew from the database. Where the table is damaged, restore a backup",
            ),
            UnlockError::NoSlotMatches => (
                Exit::Locked,
                "wrong_secret",
                "try again, or open it with another slot: --passphrase-file FILE or --recovery-key-file FILE",
            ),
            UnlockError::Rollback { .. } => (
                Exit::Damaged,
                "rollback",
                "put the newest database back; if there is none, what happened since the one that is here is lost, erasures among it: \
                 `serve --accept-rollback \"what happened since is lost\"` goes on with it, and the log says so",
            ),
            UnlockError::Store(StoreError::DiskFull) => {
                (Exit::Failed, "disk_full", "free some space and try again")
            }
            UnlockError::Store(StoreError::Held) => (Exit::Failed, "held", SERVER_HOLDS_IT),
            _ => (
                Exit::Failed,
                "io",
                "check the disk and that this user may read and write both directories",
            ),
        };
        Self::caused(exit, code, &error, help)
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        let (code, help) = match &error {
            CreateError::Exists(_) => (
                "exists",
                "choose a directory that does not exist yet with --vault DIR; nothing was changed",
            ),
            CreateError::FileSystem { .. } => (
                "file_system",
                "put the anchor on ext4 or xfs with --anchor DIR, or accept that an erased key may be recovered from this medium with --accept-file-system",
            ),
            CreateError::Policy(lines) => return Self::policy(lines.clone()),
            CreateError::Store(StoreError::DiskFull) => {
                ("disk_full", "free some space and try again")
            }
            _ => (
                "io",
                "check that the parent directory exists and that this user may write there",
            ),
        };
        Self::caused(Exit::Failed, code, &error, help)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let what = refusal.to_string();
        let mut findings = Vec::new();
        if let Refusal::Invalid(errors) = &refusal {
            findings.extend(errors.iter().map(|error| {
                if error.pointer.is_empty() {
                    error.detail.clone()
                } else {
                    format!("{}: {}", error.pointer, error.detail)
                }
            }));
        }
        if let Refusal::Erased {
            receipt: Some(receipt),
        } = &refusal
        {
            findings.push(format!("receipt {receipt}"));
        }
        let mut failure = Self::of_code(refusal.code(), what);
        if refusal.is_damage() {
            failure.exit = Exit::Damaged;
            failure.help = NO_DAMAGE_REPAIR.into();
        }
        failure.findings = findings;
        failure
    }
}

impl Failure {
    /// The failure for a stable code of the HTTP API.
    pub fn of_code(code: &str, what: impl Into<String>) -> Self {
        let (exit, help) = match code {
            "unauthenticated" => (
                Exit::Locked,
                "use a token that is valid and not revoked: `vault-cli token create --role R` on the vault's directory makes one",
            ),
            "locked" => (
                Exit::Locked,
                "unlock it: restart `vault-cli serve` with --passphrase-file FILE, or POST /v1/unlock from the same machine",
            ),
            "role_denied" | "purpose_denied" => (
                Exit::Refused,
                "use a token of a role that may do this (`vault-cli policy show` lists them)",
            ),
            "consent_required" => (
                Exit::Refused,
                "ask the person, and record the yes with PUT /v1/subjects/{s}/consents/{purpose}; without one do without the data",
            ),
            "no_lawful_basis" => (
                Exit::Refused,
                "do not use the person's data for this purpose: they objected to it; only taking that back (DELETE /v1/subjects/{s}/objections/{purpose}) changes it",
            ),
            "notice_required" | "notice_stale" => (
                Exit::Refused,
                "show the person the notice of GET /v1/notices/current, record that with POST /v1/subjects/{s}/notices, and repeat; an import leaves the people there, for whom it can be recorded",
            ),
            "restricted" => (
                Exit::Refused,
                "wait until the restriction is lifted or the objection decided: GET /v1/subjects/{s}/restriction and …/objections say which stands. \
                 What the policy allows all the same (`restricted_use`) is a call with the header Vault-Restricted-Use",
            ),
            "not_found" => (
                Exit::Failed,
                "check the identifier: `subject find`, `request list`, `decision list`, `token list` or `slot list` show those that exist",
            ),
            "erased" => (
                Exit::Failed,
                "nothing is left to show; the receipt is the evidence",
            ),
            "ambiguous" => (Exit::Failed, "look up by another field"),
            "invalid" => (Exit::Failed, "correct what is listed and try again"),
            "conflict" => (
                Exit::Failed,
                "look at the present state with the matching `list` or `show` first",
            ),
            "outcome_unknown" => (
                Exit::Failed,
                "wait until the vault has recovered and read back before you repeat it",
            ),
            "overloaded" | "rate_limited" => (Exit::Failed, "wait a little and try again"),
            "anchor_unavailable" => (
                Exit::Failed,
                "make the anchor directory writable again, then repeat it",
            ),
            "disk_full" => (Exit::Failed, "free some space, then repeat it"),
            _ => (
                Exit::Failed,
                "look for this call in the log, and check the vault with `vault-cli status`",
            ),
        };
        Self::new(exit, code, what, help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn every_failure_has_a_way_out_and_its_exit_code() {
        let cases = [
            (OpenError::Held(PathBuf::from("v")).into(), Exit::Failed),
            (OpenError::NotFound(PathBuf::from("v")).into(), Exit::Failed),
            (OpenError::Slots(PathBuf::from("v")).into(), Exit::Damaged),
            (UnlockError::NoSlotMatches.into(), Exit::Locked),
            (UnlockError::Damaged("a header").into(), Exit::Damaged),
            (
                UnlockError::Store(StoreError::Corrupt).into(),
                Exit::Damaged,
            ),
            (Refusal::RoleDenied("no".into()).into(), Exit::Refused),
            (Refusal::Locked.into(), Exit::Locked),
            (Refusal::Internal("a row is damaged").into(), Exit::Damaged),
            (Refusal::Internal("something else").into(), Exit::Failed),
            (Refusal::Unauthenticated.into(), Exit::Locked),
            (CreateError::Exists(PathBuf::from("v")).into(), Exit::Failed),
        ];
        for (failure, exit) in cases {
            let failure: Failure = failure;
            assert_eq!(failure.exit, exit, "{}", failure.what);
            assert!(failure.help.len() > 10, "{}", failure.what);
        }
        // A refusal of a kind that a rule of the policy makes is not one of the role: another token helps nobody.
        let another = Failure::from(Refusal::RoleDenied("no".into())).help;
        let notice = || {
            Box::new(vault_core::statement::Notice {
                version: 1,
                language: "en".into(),
                languages: vec!["en".into()],
                text: String::new(),
                sha256: [0; 32],
            })
        };
        let gates: [(Refusal, &str, &str); 5] = [
            (
                Refusal::ConsentRequired {
                    purpose: "news".into(),
                },
                "consent_required",
                "/consents/",
            ),
            (
                Refusal::NoLawfulBasis {
                    purpose: "news".into(),
                },
                "no_lawful_basis",
                "/objections/",
            ),
            (
                Refusal::NoticeRequired(notice()),
                "notice_required",
                "/v1/notices/current",
            ),
            (
                Refusal::NoticeStale(notice()),
                "notice_stale",
                "/v1/notices/current",
            ),
            (
                Refusal::Restricted("kept".into()),
                "restricted",
                "Vault-Restricted-Use",
            ),
        ];
        for (refusal, code, way) in gates {
            let failure = Failure::from(refusal);
            assert_eq!((failure.exit, &*failure.code), (Exit::Refused, code));
            assert!(failure.help.contains(way), "{code}: {}", failure.help);
            assert_ne!(failure.help, another);
        }
        let held: Failure = OpenError::Held(PathBuf::from("v")).into();
        assert!(held.help.contains("--server URL --token-file"));
    }

    #[test]
    fn the_causes_stand_once() {
        let failure: Failure = UnlockError::Store(StoreError::Corrupt).into();
        assert_eq!(failure.what.matches("corrupt").count(), 1);
        assert!(failure.what.starts_with("could not open the store: "));
    }
}

//! The grammar of `backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use vault_core::backup::verify::Share;
use vault_core::id::BackupId;
use vault_core::policy::Period;

use super::examples;

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a backup: data that open nothing, and keys sealed to a recipient
    #[command(after_help = examples::BACKUP_CREATE)]
    Create(CreateArguments),
    /// Make a pair of keys: the identity into a file, the recipient to standard output
    #[command(after_help = examples::BACKUP_IDENTITY)]
    Identity {
        /// A file that does not exist yet; whoever has it has every backup made for it
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// List the backups at a target, which needs no vault and no secret; or those of the server that holds the vault
    #[command(after_help = examples::BACKUP_LIST)]
    List {
        /// The target's directory, or s3://BUCKET/PREFIX; without it, what a server says that holds the vault, or that of the configuration
        #[arg(long, value_name = "PLACE")]
        from: Option<PathBuf>,
    },
    /// Check a backup: every checksum, and with the identity every envelope; needs no vault
    #[command(after_help = examples::BACKUP_VERIFY)]
    Verify(VerifyArguments),
    /// Make a vault of a backup, in a directory that does not exist yet
    #[command(after_help = examples::BACKUP_RESTORE)]
    Restore(RestoreArguments),
    /// Make a new key part, of today's keys, for a backup; the older ones are deleted
    #[command(after_help = examples::BACKUP_REKEY)]
    Rekey {
        /// Which backup, bak_…
        backup: BackupId,
        /// The target's directory, or s3://BUCKET/PREFIX; without it, what a server says that holds the vault, or that of the configuration
        #[arg(long, value_name = "PLACE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        keys: KeyArguments,
    },
    /// Delete backups that no rule keeps, and key parts that have expired
    #[command(after_help = examples::BACKUP_PRUNE)]
    Prune {
        /// The target's directory, or s3://BUCKET/PREFIX; without it, what a server says that holds the vault, or that of the configuration
        #[arg(long, value_name = "PLACE")]
        to: Option<PathBuf>,
        /// Keep the newest N
        #[arg(long, value_name = "N", default_value_t = 0)]
        keep_last: u32,
        /// Keep the newest of each of the last N days that have any
        #[arg(long, value_name = "N", default_value_t = 0)]
        keep_daily: u32,
        /// Keep the newest of each of the last N weeks that have any
        #[arg(long, value_name = "N", default_value_t = 0)]
        keep_weekly: u32,
        /// Keep the newest of each of the last N months that have any
        #[arg(long, value_name = "N", default_value_t = 0)]
        keep_monthly: u32,
    },
    /// Put the erasure ledger beside the backups
    #[command(after_help = examples::BACKUP_LEDGER)]
    Ledger {
        /// The target's directory, or s3://BUCKET/PREFIX; without it, what a server says that holds the vault, or that of the configuration
        #[arg(long, value_name = "PLACE")]
        to: Option<PathBuf>,
    },
}

/// To whom a key part is sealed, and until when it lives.
#[derive(Args, Debug)]
pub(crate) struct KeyArguments {
    /// Who may open the key part: a public key, age1…, or a file that holds it; may stand several times
    #[arg(long = "recipient", value_name = "AGE")]
    pub(crate) recipients: Vec<String>,
    /// Let a passphrase open it as well; asked for, or in --recipient-passphrase-file
    #[arg(long)]
    pub(crate) passphrase_recipient: bool,
    /// A file with that passphrase
    #[arg(long, value_name = "FILE", requires = "passphrase_recipient")]
    pub(crate) recipient_passphrase_file: Option<PathBuf>,
    /// How long the key part lives: until it is deleted, erasures can be undone with it; 30 days unless told
    #[arg(long, value_name = "PERIOD", value_parser = Period::parse)]
    pub(crate) keys_for: Option<Period>,
}

#[derive(Args, Debug)]
pub(crate) struct CreateArguments {
    /// The target's directory, which is made if need be, or s3://BUCKET/PREFIX; that of the configuration without it
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<PathBuf>,
    /// Make the part that opens nothing, alone
    #[arg(long, conflicts_with_all = ["keys_only", "recipients", "passphrase_recipient"])]
    pub(crate) data_only: bool,
    /// Make the key part alone
    #[arg(long)]
    pub(crate) keys_only: bool,
    #[command(flatten)]
    pub(crate) keys: KeyArguments,
}

/// What opens a key part.
#[derive(Args, Debug)]
pub(crate) struct OpenArguments {
    /// The identity of the recipient, a file of `backup identity` or `age-keygen`, readable by you alone
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// A file with the passphrase of --passphrase-recipient, instead of an identity
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    pub(crate) identity_passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArguments {
    /// Which backup, bak_…; all at the target without it
    pub(crate) backup: Option<BackupId>,
    /// The target's directory, or s3://BUCKET/PREFIX; without it, what a server says that holds the vault, or that of the configuration
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: Option<PathBuf>,
    /// The log's public key as `audit key` prints it, or a file that holds it: who signed the manifest
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) open: OpenArguments,
    /// Open one share of the people alone, such as 1/7: another one every day
    #[arg(long, value_name = "N/M", value_parser = |text: &str| Share::parse(text).map_err(|error| error.to_string()))]
    pub(crate) share: Option<Share>,
}

#[derive(Args, Debug)]
pub(crate) struct RestoreArguments {
    /// The target's directory, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: PathBuf,
    /// Which backup, bak_…; the newest with data and keys without it
    #[arg(long, value_name = "BACKUP")]
    pub(crate) backup: Option<BackupId>,
    #[command(flatten)]
    pub(crate) open: OpenArguments,
    /// The new vault's directory, which does not exist yet
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// The lost vault's own ledger, `ledger` in its directory; may stand several times
    #[arg(long = "ledger", value_name = "FILE")]
    pub(crate) ledgers: Vec<PathBuf>,
    /// Go on without it; TEXT says what that means, and the refusal says which TEXT
    #[arg(long, value_name = "TEXT")]
    pub(crate) accept_gap: Option<String>,
    /// Accept a file system that may keep erased keys under the anchor
    #[arg(long)]
    pub(crate) accept_file_system: bool,
}

impl KeyArguments {
    /// When the key part is to be deleted.
    pub(crate) fn end(&self, otherwise: &Period) -> Timestamp {
        let period = self.keys_for.as_ref().unwrap_or(otherwise);
        period.add_to(Timestamp::now())
    }

    /// Whether anything is said that a server's configuration says.
    pub(crate) fn any(&self) -> bool {
        !self.recipients.is_empty() || self.passphrase_recipient || self.keys_for.is_some()
    }
}

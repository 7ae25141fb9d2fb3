//! The command line's grammar.
//!
//! Knows nothing of what the commands do. Identifiers are parsed here, once; secrets and look-up
//! values have no place in it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use vault_core::detect::Kind;
use vault_core::id::{ReceiptId, RequestId, SubjectId, TokenId};
use vault_core::policy::{HoldGround, Period};
use vault_core::request::{DelayReason, Exemption, RequestKind, RequestState};
use vault_server::cors::{EXPECTED, Origins};
use vault_server::publication::TextForm;
use vault_server::rollback::Accepted;

use crate::secret::SecretKind;
use crate::terminal::When;

mod backup;
mod breach;
mod chat;
mod decision;
mod examples;
mod watch;

pub(crate) use backup::{
    BackupCommand, CreateArguments as BackupCreateArguments, KeyArguments, OpenArguments,
    RestoreArguments, VerifyArguments,
};
pub(crate) use breach::{BreachCommand, ScopeArguments};
pub(crate) use chat::ChatArguments;
pub(crate) use decision::{
    DecisionCommand, ListArguments as DecisionListArguments,
    ReviewArguments as DecisionReviewArguments,
};
pub(crate) use watch::{EmergencyArguments, EmergencyCommand, IncidentCommand};

/// Creates, serves and administers an encrypted vault for personal data.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 locked or wrong secret, 4 refused by policy, 5 damage
/// found, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "vault-cli", version, max_term_width = 100, after_help = examples::ALL)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that stand anywhere.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Globals {
    /// The vault's directory; through the server's socket in it where one holds it [env: VAULT_DIR]
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "server")]
    pub(crate) vault: Option<PathBuf>,
    /// The anchor's directory; DIR-anchor beside the vault's, unless vault.toml says otherwise
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        conflicts_with = "server",
        hide_short_help = true
    )]
    pub(crate) anchor: Option<PathBuf>,
    /// Work through the server at this address, such as https://vault.example.test [env: VAULT_SERVER]
    ///
    /// Plain http is for this machine alone: a token goes over the network encrypted or not at all.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A file with the token for --server, readable by you alone
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Who vouches for the server: certificates in PEM, instead of the public ones [env: VAULT_CA_FILE]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// A certificate of yours in PEM, for a server that asks for one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "client_key",
        hide_short_help = true
    )]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its key in PEM, readable by you alone
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "client_cert",
        hide_short_help = true
    )]
    pub(crate) client_key: Option<PathBuf>,
    /// A file with the passphrase, `-` for stdin [env: VAULT_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A file with the recovery key, `-` for stdin
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with_all = ["passphrase_file", "key_file"],
        hide_short_help = true
    )]
    pub(crate) recovery_key_file: Option<PathBuf>,
    /// A key file, `-` for stdin [env: VAULT_KEY_FILE]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "passphrase_file",
        hide_short_help = true
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// A file with a share, or one a line; stands once for each file
    #[arg(
        long = "share-file",
        global = true,
        value_name = "FILE",
        conflicts_with_all = ["passphrase_file", "recovery_key_file", "key_file"],
        hide_short_help = true
    )]
    pub(crate) share_files: Vec<PathBuf>,
    /// Ask for shares instead of a passphrase
    #[arg(
        long,
        global = true,
        conflicts_with_all = ["passphrase_file", "recovery_key_file", "key_file"],
        hide_short_help = true
    )]
    pub(crate) ask_shares: bool,
    /// Print the answer as one JSON document, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do not ask before what cannot be undone
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Say what would happen, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Print no remarks and no progress
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// When to colour; NO_COLOR, CLICOLOR and TERM=dumb are heeded
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_short_help = true
    )]
    pub(crate) color: When,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a throw-away vault with a server and tokens, and show what it does
    #[command(after_help = examples::DEV)]
    Dev(DevArguments),
    /// Create a vault: first slot, recovery key, anchor, policy
    #[command(after_help = examples::INIT)]
    Init(InitArguments),
    /// Run the server on this vault
    #[command(after_help = examples::SERVE)]
    Serve(ServeArguments),
    /// The state of the vault
    #[command(after_help = examples::STATUS)]
    Status,
    /// What is wrong with a vault, its machine or its policy, and what to do about it
    ///
    /// Exit codes: 0 nothing is wrong, 1 something is (findings of severity error), 5 damage. Without a secret it
    /// looks from outside, on a locked vault as beside a running server; with one it asks the vault, too.
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArguments),
    /// Check, apply and read the policy
    #[command(subcommand, after_help = examples::POLICY)]
    Policy(PolicyCommand),
    /// What opens the vault: passphrases, recovery keys, key files, shares
    #[command(subcommand, after_help = examples::SLOT)]
    Slot(SlotCommand),
    /// Copies of the vault in two parts, and vaults out of copies
    #[command(subcommand, after_help = examples::BACKUP)]
    Backup(BackupCommand),
    /// The vault's own keys: their state, and new ones in their place
    #[command(subcommand, after_help = examples::KEY)]
    Key(KeyCommand),
    /// API keys: make, list, replace, revoke
    #[command(subcommand, after_help = examples::TOKEN)]
    Token(TokenCommand),
    /// People: find, show without values, erase
    #[command(subcommand, after_help = examples::SUBJECT)]
    Subject(SubjectCommand),
    /// Talk to the vault as people do through a bot: "delete me", "what do you know about me?"
    ///
    /// Each line is relayed to `POST /v1/dialogue/turn` with the role of --token-file, which needs `dialogue.relay` alone.
    /// From a pipe it goes line by line; with --json each answer is one line. Ctrl-D or /quit ends it.
    #[command(after_help = examples::CHAT)]
    Chat(ChatArguments),
    /// What people ask for under Chapter III GDPR: the queue, and what becomes of it
    #[command(subcommand, after_help = examples::REQUEST)]
    Request(RequestCommand),
    /// The log: show it, verify it, write it out, and what others check it by
    #[command(subcommand, after_help = examples::AUDIT)]
    Audit(AuditCommand),
    /// Personal data in log files; needs no vault
    #[command(subcommand, after_help = examples::LOG)]
    Log(LogCommand),
    /// Receipts of erasures: verify without a vault, or fetch
    #[command(subcommand, after_help = examples::RECEIPT)]
    Receipt(ReceiptCommand),
    /// Take people and records from a file: our own package, or CSV and JSON Lines with a mapping
    ///
    /// Runs with the role of --token-file. A file FILE.import-VAULT beside it says how far it is: the same
    /// command goes on where it was stopped, and writes nothing twice.
    #[command(after_help = examples::IMPORT)]
    Import(ImportArguments),
    /// What the public is told, from the policy: print it, or check what was published
    ///
    /// Made from the policy in force, or from a file with --policy, and then no vault is needed. The server
    /// answers the same at /privacy.
    #[command(after_help = examples::NOTICE)]
    Notice(NoticeArguments),
    /// The records of processing (Art. 30(1)), from the policy
    #[command(after_help = examples::ROPA)]
    Ropa(RopaArguments),
    /// What has expired: drop it now
    #[command(subcommand, after_help = examples::RETENTION)]
    Retention(RetentionCommand),
    /// Personal data breaches: who is affected, and what is told (Art. 33 and 34)
    #[command(subcommand, after_help = examples::BREACH)]
    Breach(BreachCommand),
    /// The register of breaches (Art. 33(5)): what was noted, and until when the authority is told
    #[command(subcommand, after_help = examples::INCIDENT)]
    Incident(IncidentCommand),
    /// Emergency access to one person's fields: who asks, and whether another agrees
    ///
    /// Runs with the role of --token-file, which needs `breakglass.approve`; an unlock secret approves nothing.
    #[command(subcommand, after_help = examples::EMERGENCY)]
    Emergency(EmergencyCommand),
    /// Decisions about people that somebody wants a human to look at (Art. 22 GDPR): the queue, and reviews
    ///
    /// Runs with the role of --token-file, which needs `decisions.review`; an unlock secret reviews nothing.
    #[command(subcommand, after_help = examples::DECISION)]
    Decision(DecisionCommand),
    /// Print what makes a shell complete these commands
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write a page for each command
    #[command(after_help = examples::MAN)]
    Man {
        /// A directory for the pages, NAME.1 each; made if it is missing
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    /// Look at the policy, too, article by article of the GDPR
    #[arg(long)]
    pub(crate) gdpr: bool,
    /// A policy file, to be held against the policy in force; with --gdpr alone no vault is needed
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The server's configuration, where it is not DIR/vault.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct DevArguments {
    /// Keep the vault in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// A policy of your own instead of the sample
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Where to listen; 127.0.0.1:8200, or a free port where that is taken
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Let pages of this origin call from a browser, such as http://localhost:3000; more with commas
    #[arg(long, value_name = "ORIGIN", value_parser = origins)]
    pub(crate) cors_origin: Option<Origins>,
}

fn origins(text: &str) -> Result<Origins, &'static str> {
    Origins::parse(text).ok_or(EXPECTED)
}

#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// The policy to begin with; the sample, to be replaced, where none is given
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Accept a file system that may keep overwritten bytes under the anchor
    #[arg(long)]
    pub(crate) accept_file_system: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// Where to listen, instead of what vault.toml says
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Print the effective configuration and stop
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Say that the clock is right, though more than a day ahead of the vault's last commit
    ///
    /// Until then nothing expires, so that a clock that was set wrong destroys nothing.
    #[arg(long)]
    pub(crate) confirm_clock: bool,
    /// Go on with a database that is older than its anchor's checkpoint; TEXT says what that means
    ///
    /// TEXT is exactly: what happened since is lost
    #[arg(long, value_name = "TEXT", value_parser = vault_server::rollback::accepted)]
    pub(crate) accept_rollback: Option<Accepted>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a policy file; needs no vault
    #[command(after_help = examples::POLICY_CHECK)]
    Check {
        /// The file, `-` for stdin
        file: PathBuf,
    },
    /// Put a policy in force
    #[command(after_help = examples::POLICY_APPLY)]
    Apply {
        /// The file, `-` for stdin
        file: PathBuf,
    },
    /// Show what a policy comes to: the vault's, or a file's
    #[command(after_help = examples::POLICY_SHOW)]
    Show {
        /// The file, `-` for stdin
        file: Option<PathBuf>,
        /// List the versions that were in force instead
        #[arg(long, conflicts_with = "file")]
        versions: bool,
    },
    /// Show what a file would change in the vault's policy
    #[command(after_help = examples::POLICY_DIFF)]
    Diff {
        /// The file, `-` for stdin
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SlotCommand {
    /// List the slots
    #[command(after_help = examples::SLOT_LIST)]
    List,
    /// Add a passphrase or a key file, or make a recovery key or shares
    #[command(after_help = examples::SLOT_ADD)]
    Add {
        /// What opens the new slot
        #[arg(long, value_enum, default_value = "passphrase")]
        kind: SecretKind,
        /// A name for it
        #[arg(long, default_value = "")]
        label: String,
        /// A file with the new passphrase, instead of a prompt; or the key file
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// A slot that goes once the new one is there
        #[arg(long, value_name = "NUMBER")]
        replaces: Option<u8>,
        /// How many shares open the vault together, from 2
        #[arg(long, value_name = "K", required_if_eq("kind", "shares"))]
        threshold: Option<u8>,
        /// How many shares are made, to 15
        #[arg(long, value_name = "N", required_if_eq("kind", "shares"))]
        shares: Option<u8>,
        /// Write the shares into this new directory, a file each, instead of showing them
        #[arg(long, value_name = "DIR", requires = "shares")]
        to: Option<PathBuf>,
    },
    /// Remove a slot: its secret opens the vault no more
    #[command(after_help = examples::SLOT_REMOVE)]
    Remove {
        /// Its number in `slot list`
        number: u8,
    },
    /// Say which slot a secret opens, without opening the vault
    #[command(after_help = examples::SLOT_TEST)]
    Test {
        /// What the secret is: one of another kind that is at hand is not tried in its place
        #[arg(long, value_enum)]
        kind: Option<SecretKind>,
        /// A file with the secret, of shares one a line; without it the one that opens the vault, or a
        /// prompt
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Show the state of the keys; of a person, how many values lie under each
    #[command(after_help = examples::KEY_STATUS)]
    Status {
        /// The person, sub_…
        subject: Option<SubjectId>,
    },
    /// Put new keys in the place of old ones
    #[command(subcommand, after_help = examples::KEY_ROTATE)]
    Rotate(RotateCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RotateCommand {
    /// The root key, at once: for a secret that leaked alone
    #[command(after_help = examples::KEY_ROTATE_ROOT)]
    Root {
        /// Files or anchor may have been copied with it: everybody's keys, too (as `all --deep`)
        #[arg(long)]
        deep: bool,
    },
    /// Every key of one person
    #[command(after_help = examples::KEY_ROTATE_SUBJECT)]
    Subject {
        /// The person, sub_…
        subject: SubjectId,
    },
    /// Every key of everybody; goes on after a crash or a restart
    #[command(after_help = examples::KEY_ROTATE_ALL)]
    All {
        /// The root key first, and the index and the system keyset last
        #[arg(long)]
        deep: bool,
        /// Say how far it is, and do nothing
        #[arg(long, conflicts_with = "deep")]
        status: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an API key; it is shown once
    #[command(after_help = examples::TOKEN_CREATE)]
    Create(TokenArguments),
    /// List the API keys, without their secrets; says which have no end or are not used
    #[command(after_help = examples::TOKEN_LIST)]
    List,
    /// Put a new API key in the place of another, which ends after an overlap
    #[command(after_help = examples::TOKEN_ROTATE)]
    Rotate {
        /// Its name, tok_…
        token: TokenId,
        /// How long the old one goes on working: PT0S to P30D
        #[arg(long, value_name = "PERIOD", default_value = "PT24H", value_parser = Period::parse)]
        overlap: Period,
    },
    /// Revoke an API key
    #[command(after_help = examples::TOKEN_REVOKE)]
    Revoke {
        /// Its name, tok_…
        token: TokenId,
    },
}

#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    /// A role of the policy, `operator` or `auditor`
    #[arg(long)]
    pub(crate) role: String,
    /// Which program has it; no person's name: it is shown in lists
    #[arg(long, default_value = "")]
    pub(crate) label: String,
    /// When it ends: a period such as P90D, a date or an instant
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
    /// Bind it to people on this channel; may stand several times
    #[arg(long = "channel", value_name = "CHANNEL")]
    pub(crate) channels: Vec<String>,
}

/// Whose words are printed.
#[derive(Args, Debug)]
pub(crate) struct PolicySource {
    /// A policy file instead of the policy in force
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// A language of the controller's; the first of them without it
    #[arg(long, value_name = "LANG")]
    pub(crate) lang: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct NoticeArguments {
    #[command(flatten)]
    pub(crate) source: PolicySource,
    /// In which form
    #[arg(long, value_enum, default_value_t = StatementFormat::Md)]
    pub(crate) format: StatementFormat,
    /// Print nothing: say whether this file, as --format md printed it, is what the policy says; else exit code 1
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub(crate) check: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RopaArguments {
    #[command(flatten)]
    pub(crate) source: PolicySource,
    /// In which form
    #[arg(long, value_enum, default_value_t = RecordsFormat::Md)]
    pub(crate) format: RecordsFormat,
}

/// Forms of the statement.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StatementFormat {
    /// Markdown
    Md,
    /// A page
    Html,
    /// That of the HTTP API
    Json,
}

impl StatementFormat {
    pub(crate) fn form(self) -> TextForm {
        match self {
            Self::Md => TextForm::Markdown,
            Self::Html => TextForm::Html,
            Self::Json => TextForm::Json,
        }
    }
}

/// Forms of the records of processing.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RecordsFormat {
    /// Markdown
    Md,
    /// A line for each purpose
    Csv,
    /// That of the HTTP API
    Json,
}

impl RecordsFormat {
    pub(crate) fn form(self) -> TextForm {
        match self {
            Self::Md => TextForm::Markdown,
            Self::Csv => TextForm::Csv,
            Self::Json => TextForm::Json,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// A package (JSON or ZIP), or with --mapping a file of CSV or JSON Lines
    pub(crate) file: PathBuf,
    /// Which column goes where, in TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Append each line that was not written here: {"line", "column", "code"}, never a value
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// Go on with an import that was stopped more than a day ago, though some lines may be written twice
    #[arg(long)]
    pub(crate) accept_doubles: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    /// The person's id, sub_…
    pub(crate) subject: SubjectId,
    /// Which right it answers: everything, or what the person provided
    #[arg(long, value_name = "RIGHT", default_value = "access", value_parser = ["access", "portability"])]
    pub(crate) right: String,
    /// The form
    #[arg(long, value_name = "FORM", default_value = "zip", value_parser = ["json", "csv", "html", "zip"])]
    pub(crate) format: String,
    /// Write it here; `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// The language of what is said in it, such as de
    #[arg(long, value_name = "TAG")]
    pub(crate) language: Option<String>,
    /// Encrypt it for the holder of this key of age, age1…
    #[arg(long, value_name = "AGE")]
    pub(crate) recipient: Option<String>,
    /// Encrypt it with the passphrase in this file, as age does
    #[arg(long, value_name = "FILE", conflicts_with = "recipient")]
    pub(crate) package_passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Drop what has expired, to the end; the server does the same every minute
    #[command(after_help = examples::RETENTION_RUN)]
    Run,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the newest entries, the newest last
    ///
    /// Reads and refusals join the log with the next change: what happened since is not shown yet.
    #[command(after_help = examples::AUDIT_TAIL)]
    Tail(TailArguments),
    /// Go over the whole log, and hold it to its checkpoints and to yours
    #[command(after_help = examples::AUDIT_VERIFY)]
    Verify {
        /// A checkpoint that was kept elsewhere; may stand several times
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
    },
    /// Write the whole log: one entry a line, then a checkpoint and the key
    #[command(after_help = examples::AUDIT_EXPORT)]
    Export {
        /// A file that does not exist yet, instead of standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// The log's public key: keep it where nobody here can change it
    #[command(after_help = examples::AUDIT_KEY)]
    Key,
    /// Size and root of the log, signed now: keep it elsewhere, too
    #[command(after_help = examples::AUDIT_CHECKPOINT)]
    Checkpoint,
}

#[derive(Args, Debug)]
pub(crate) struct TailArguments {
    /// How many, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) last: u16,
    /// About this person, sub_…: their access ledger
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<SubjectId>,
    /// By this API key, tok_…
    #[arg(long, value_name = "TOKEN")]
    pub(crate) actor: Option<TokenId>,
    /// This action, such as records.read
    #[arg(long, value_parser = word)]
    pub(crate) action: Option<String>,
    /// `ok`, or the code of a refusal, such as role_denied
    #[arg(long, value_parser = word)]
    pub(crate) outcome: Option<String>,
    /// Not before: a date or an instant, in UTC
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
}

/// A word of the log; nothing in it means anything in a URL.
fn word(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
    match !text.is_empty() && text.len() <= 64 && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("small letters, dots and underscores are expected, such as records.read"),
    }
}

fn ground(text: &str) -> Result<HoldGround, &'static str> {
    HoldGround::parse(text).ok_or("legal_claims or legal_obligation is expected")
}

fn since(text: &str) -> Result<Timestamp, &'static str> {
    let midnight = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let instant = text.parse().ok();
    instant
        .or_else(|| midnight(text.parse().ok()?))
        .ok_or("a date such as 2030-01-31 or an instant such as 2030-01-31T12:00:00Z is expected")
}

/// Where a receipt is.
#[derive(Clone, Debug)]
pub(crate) enum ReceiptSource {
    /// In a file.
    File(PathBuf),
    /// In the vault.
    Vault(ReceiptId),
}

impl std::str::FromStr for ReceiptSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.parse().map(Self::Vault);
        Ok(id.unwrap_or_else(|_| Self::File(text.into())))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Say where in files personal data stands, and of what kind; exit 1 where there is any
    #[command(after_help = examples::LOG_SCAN)]
    Scan(LogScanArguments),
}

#[derive(Args, Debug)]
pub(crate) struct LogScanArguments {
    /// Files of text, one record a line; `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// These kinds only, such as card,email; without it all
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    pub(crate) kinds: Vec<Kind>,
    /// Also what merely has the form: most of it will be something else
    #[arg(long)]
    pub(crate) possible: bool,
    /// Write the text to stdout with the kind's name in the place of each find
    #[arg(long)]
    pub(crate) redact: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::named(text).ok_or_else(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("the kinds are {}", all.join(", "))
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Check a receipt against the log's public key; needs no vault and no secret
    #[command(after_help = examples::RECEIPT_VERIFY)]
    Verify {
        /// The receipt, or the whole answer of the erasure; `-` for stdin
        file: PathBuf,
        /// The log's public key as `audit key` prints it, or a file that holds it
        #[arg(long, value_name = "VKEY")]
        key: String,
    },
    /// Show a receipt: a file's, or by its id the vault's, proved anew and without what names the person
    #[command(after_help = examples::RECEIPT_SHOW)]
    Show {
        /// A file, `-` for stdin, or an id, rcp_…
        receipt: ReceiptSource,
        /// Write a page to read and print into this file, which does not exist yet
        #[arg(long, value_name = "OUT")]
        html: Option<PathBuf>,
        /// The log's public key, or a file that holds it: a file's receipt is checked against it
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct AccessArguments {
    /// The person's id, sub_…; without it they are found as by `subject find`
    pub(crate) subject: Option<SubjectId>,
    /// Not before: a date or an instant, in UTC
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) from: Option<Timestamp>,
    /// Before: a date or an instant, in UTC
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) to: Option<Timestamp>,
    /// The newest N only, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) last: u16,
}

#[derive(Args, Debug)]
pub(crate) struct HoldArguments {
    /// The person's id, sub_…
    pub(crate) subject: SubjectId,
    /// Why: legal_claims (Art. 17(3)(e) GDPR) or legal_obligation (Art. 17(3)(b))
    #[arg(long, value_name = "GROUND", value_parser = ground, requires = "review_at")]
    pub(crate) ground: Option<HoldGround>,
    /// The day until when somebody has to look whether it is still needed
    #[arg(long, value_name = "DATE", requires = "ground")]
    pub(crate) review_at: Option<Date>,
    /// The collections that it is about; all of them, without it
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "ground")]
    pub(crate) collections: Vec<String>,
    /// In what matter: a file of text, `-` for standard input
    #[arg(long, value_name = "FILE", requires = "ground")]
    pub(crate) reason_file: Option<PathBuf>,
    /// Who approved it: a file of text
    #[arg(long, value_name = "FILE", requires = "ground")]
    pub(crate) approver_file: Option<PathBuf>,
    /// Release the hold; an erasure that waited for it is done at once
    #[arg(long, conflicts_with = "ground")]
    pub(crate) release: bool,
}

/// Reads a word of the API, or says which there are.
fn one_of<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let names = || {
        all.iter()
            .map(|one| name(*one))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| format!("one of these is expected: {}", names()))
}

fn request_kind(text: &str) -> Result<RequestKind, String> {
    one_of(text, RequestKind::ALL, RequestKind::name)
}

fn request_state(text: &str) -> Result<RequestState, String> {
    one_of(text, RequestState::ALL, RequestState::name)
}

fn delay_reason(text: &str) -> Result<DelayReason, String> {
    one_of(text, DelayReason::ALL, DelayReason::name)
}

fn exemption(text: &str) -> Result<Exemption, String> {
    one_of(text, Exemption::ALL, Exemption::name)
}

fn calendar_period(text: &str) -> Result<Period, &'static str> {
    Period::parse(text).map_err(|_| "months, weeks or days are expected, such as P1M")
}

#[derive(Args, Debug)]
pub(crate) struct RequestListArguments {
    /// Of this right, such as erase
    #[arg(long = "type", value_name = "TYPE", value_parser = request_kind)]
    pub(crate) kind: Option<RequestKind>,
    /// Of this state, also a closed one; every open one, without it
    #[arg(long, value_name = "STATE", value_parser = request_state)]
    pub(crate) state: Option<RequestState>,
    /// Whose last day is before this one
    #[arg(long, value_name = "DATE")]
    pub(crate) due_before: Option<Date>,
    /// Whose end is over
    #[arg(long)]
    pub(crate) overdue: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RequestApproveArguments {
    /// The request's id, req_…
    pub(crate) request: RequestId,
    /// By what it is known who asks: a file of text, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence_file: Option<PathBuf>,
    /// What is corrected: a file of JSON, {"collection", "record", "fields"}
    #[arg(long, value_name = "FILE")]
    pub(crate) correction_file: Option<PathBuf>,
    /// What the person is told, where the answer is words: a file of text
    #[arg(long, value_name = "FILE")]
    pub(crate) answer_file: Option<PathBuf>,
    /// How a copy of data reaches the person: link, which they open themselves with a code to an address on file
    #[arg(
        long,
        value_name = "WAY",
        value_parser = ["link"],
        conflicts_with_all = ["correction_file", "answer_file"]
    )]
    pub(crate) deliver: Option<String>,
    /// The form of that copy
    #[arg(long, value_name = "FORM", requires = "deliver", value_parser = ["zip", "json", "html", "csv"])]
    pub(crate) format: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RequestRejectArguments {
    /// The request's id, req_…
    pub(crate) request: RequestId,
    /// The exemption, such as A17LegallyRequired
    #[arg(long, value_name = "CODE", value_parser = exemption)]
    pub(crate) code: Exemption,
    /// Under which law, such as "Art. 17(3)(b) GDPR"
    #[arg(long, value_name = "LAW")]
    pub(crate) law: String,
    /// What the person is told as the reason, in their language: a file of text
    #[arg(long, value_name = "FILE")]
    pub(crate) reason_file: PathBuf,
    /// Who approved it: a file of text
    #[arg(long, value_name = "FILE")]
    pub(crate) approver_file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// List what is to be answered, those that are due first before the others
    #[command(after_help = examples::REQUEST_LIST)]
    List(RequestListArguments),
    /// Show one request: how far it has come, until when, and every step
    #[command(after_help = examples::REQUEST_SHOW)]
    Show {
        /// The request's id, req_…
        request: RequestId,
    },
    /// Carry a request out; a copy of data is given as a link, or fetched over HTTP, which is told here
    #[command(after_help = examples::REQUEST_APPROVE)]
    Approve(RequestApproveArguments),
    /// Refuse a request for an exemption, and print what the person is told
    #[command(after_help = examples::REQUEST_REJECT)]
    Reject(RequestRejectArguments),
    /// Take longer, before the end and once, and print what the person is told
    #[command(after_help = examples::REQUEST_EXTEND)]
    Extend {
        /// The request's id, req_…
        request: RequestId,
        /// Why: complexity or number (Art. 12(3) GDPR)
        #[arg(long, value_name = "REASON", value_parser = delay_reason)]
        reason: DelayReason,
        /// By how much; as much as the policy allows, without it
        #[arg(long, value_name = "PERIOD", value_parser = calendar_period)]
        period: Option<Period>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubjectCommand {
    /// Find a person by {"channel", "user"} or {"field", "value"}, read from stdin or asked for
    #[command(after_help = examples::SUBJECT_FIND)]
    Find,
    /// Show what is held of a person: state and counts, no values
    #[command(after_help = examples::SUBJECT_SHOW)]
    Show {
        /// The person's id, sub_…
        subject: SubjectId,
    },
    /// Show who looked at a person, when and what for, the newest last
    #[command(after_help = examples::SUBJECT_ACCESS)]
    Access(AccessArguments),
    /// Write a package of a person's own data to a file (needs --token-file: values are read by a role)
    #[command(after_help = examples::SUBJECT_EXPORT)]
    Export(ExportArguments),
    /// Place a legal hold over a person's data, release it, or show how it stands
    #[command(after_help = examples::SUBJECT_HOLD)]
    Hold(HoldArguments),
    /// List who is under a legal hold, until when it has to be looked at, and whose erasure waits for it
    #[command(after_help = examples::SUBJECT_HOLDS)]
    Holds,
    /// Erase a person; what a legal hold keeps stays until its release
    #[command(after_help = examples::SUBJECT_ERASE)]
    Erase {
        /// The person's id, sub_…
        subject: SubjectId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_and_after_the_command() {
        for line in [
            "vault-cli --vault v --json slot list",
            "vault-cli slot --vault v list --json",
            "vault-cli slot list --json --vault v",
        ] {
            let globals = parse(line).unwrap().globals;
            assert!(globals.json, "{line}");
            assert_eq!(globals.vault, Some(PathBuf::from("v")), "{line}");
        }
    }

    #[test]
    fn a_vault_and_a_server_at_once_and_half_a_certificate_are_refused() {
        assert!(parse("vault-cli --vault v --server http://h status").is_err());
        assert!(parse("vault-cli status --server http://h").is_ok());
        assert!(parse("vault-cli status --client-cert c").is_err());
        assert!(parse("vault-cli status --client-key k").is_err());
        assert!(parse("vault-cli status --client-cert c --client-key k").is_ok());
    }

    /// What a shell would run of an example: the program after a pipe, without where it goes.
    fn ours(line: &str) -> Vec<&str> {
        let run = line.rsplit(" | ").next().unwrap();
        let run = run.split(" > ").next().unwrap();
        let run = run.split("  #").next().unwrap();
        run.split_whitespace().collect()
    }

    fn check(command: &clap::Command) -> usize {
        let leaves: usize = command
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
            .map(check)
            .sum();
        let name = command.get_name();
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_else(|| panic!("{name} has no examples"));
        let long = help.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "too long for a terminal");
        // A line that goes on says so as a shell wants it.
        let help = help.replace("\\\n", "");
        let mut lines = help.lines();
        assert_eq!(lines.next(), Some("Examples:"), "{name}");
        let lines: Vec<&str> = lines.map(str::trim).filter(|l| !l.is_empty()).collect();
        assert!(lines.len() >= 2, "{name}");
        for line in lines {
            let parsed = Arguments::try_parse_from(ours(line));
            let help = |error: &clap::Error| error.kind() == clap::error::ErrorKind::DisplayHelp;
            assert!(parsed.as_ref().err().is_none_or(help), "{name}: {line}");
            let words = line.split(' ').collect::<Vec<_>>();
            assert!(
                name == "vault-cli" || words.contains(&name),
                "{name}: {line}"
            );
        }
        leaves.max(1)
    }

    #[test]
    fn every_command_shows_examples_that_it_takes() {
        assert!(check(&Arguments::command()) >= 20);
    }

    #[test]
    fn no_example_carries_a_secret_or_a_look_up_value_as_an_argument() {
        let all = include_str!("args/examples.rs");
        for word in ["vk_", "vs_", "--passphrase ", "--user ", "--value"] {
            assert!(!all.contains(word), "{word}");
        }
    }
}

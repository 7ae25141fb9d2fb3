//! The command line's grammar.
//!
//! Knows nothing of what the commands do. Identifiers are parsed here, once; secrets and look-up
//! values have no place in it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use vault_core::id::{SubjectId, TokenId};
use vault_server::cors::{EXPECTED, Origins};

use crate::failure::Failure;
use crate::secret::SecretKind;

/// Creates, serves and administers an encrypted vault for personal data.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 locked or wrong secret, 4 refused by policy, 5 damage found.
#[derive(Debug, Parser)]
#[command(name = "vault-cli", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that stand anywhere.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Globals {
    /// The vault's directory [env: VAULT_DIR]
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "server")]
    pub(crate) vault: Option<PathBuf>,
    /// The anchor's directory; DIR-anchor beside the vault's, unless vault.toml says otherwise
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "server")]
    pub(crate) anchor: Option<PathBuf>,
    /// Work through the server at this address, such as http://127.0.0.1:8200 [env: VAULT_SERVER]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A file with the token for --server, readable by you alone
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A file with the passphrase, `-` for stdin [env: VAULT_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A file with the recovery key, `-` for stdin
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "passphrase_file"
    )]
    pub(crate) recovery_key_file: Option<PathBuf>,
    /// Print the answer as one JSON document, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do not ask before what cannot be undone
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Say what would happen, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Print no remarks
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a throw-away vault with a server and tokens, and show what it does
    Dev(DevArguments),
    /// Create a vault: first slot, recovery key, anchor, policy
    Init(InitArguments),
    /// Run the server on this vault
    Serve(ServeArguments),
    /// The state of the vault
    Status,
    /// Check, apply and read the policy
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What opens the vault: passphrases and recovery keys
    #[command(subcommand)]
    Slot(SlotCommand),
    /// API keys
    #[command(subcommand)]
    Token(TokenCommand),
    /// People: find, show without values, erase
    #[command(subcommand)]
    Subject(SubjectCommand),
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
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a policy file; needs no vault
    Check {
        /// The file, `-` for stdin
        file: PathBuf,
    },
    /// Put a policy in force
    Apply {
        /// The file, `-` for stdin
        file: PathBuf,
    },
    /// Show what a policy comes to: the vault's, or a file's
    Show {
        /// The file, `-` for stdin
        file: Option<PathBuf>,
        /// List the versions that were in force instead
        #[arg(long, conflicts_with = "file")]
        versions: bool,
    },
    /// Show what a file would change in the vault's policy
    Diff {
        /// The file, `-` for stdin
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SlotCommand {
    /// List the slots
    List,
    /// Add a passphrase, or make a recovery key
    Add {
        /// What opens the new slot
        #[arg(long, value_enum, default_value = "passphrase")]
        kind: SecretKind,
        /// A name for it
        #[arg(long, default_value = "")]
        label: String,
        /// A file with the new passphrase, instead of a prompt
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Remove a slot: its secret opens the vault no more
    Remove {
        /// Its number in `slot list`
        number: u8,
    },
    /// Say which slot a secret opens
    Test {
        /// What the secret is
        #[arg(long, value_enum, default_value = "passphrase")]
        kind: SecretKind,
        /// A file with the secret; without it the one that opens the vault, or a prompt
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an API key; it is shown once
    Create {
        /// A role of the policy, `operator` or `auditor`
        #[arg(long)]
        role: String,
        /// When it ends: a period such as P90D, a date or an instant
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// List the API keys, without their secrets
    List,
    /// Revoke an API key
    Revoke {
        /// Its name, tok_…
        token: TokenId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubjectCommand {
    /// Find a person by {"channel", "user"} or {"field", "value"}, read from stdin or asked for
    Find,
    /// Show what is held of a person: state and counts, no values
    Show {
        /// The person's id, sub_…
        subject: SubjectId,
    },
    /// Erase a person
    Erase {
        /// The person's id, sub_…
        subject: SubjectId,
    },
}

/// Our own words for clap's error, without the argument that somebody typed.
pub(crate) fn failure_of(error: &clap::Error) -> Failure {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let named = context(ContextKind::InvalidArg);
    let flag = named
        .as_deref()
        .filter(|name| name.starts_with('-') || name.starts_with('<'))
        .map(|name| name.split('=').next().unwrap_or(name).to_owned());
    let what = match error.kind() {
        ErrorKind::UnknownArgument => "there is an argument that this command does not have".into(),
        ErrorKind::InvalidSubcommand => "there is no such command".into(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "a command is missing".into()
        }
        ErrorKind::MissingRequiredArgument => format!("{} is missing", flag.unwrap_or_default()),
        ErrorKind::ArgumentConflict => {
            format!("{} does not go with the rest", flag.unwrap_or_default())
        }
        _ => {
            let flag = flag.unwrap_or_else(|| "an argument".to_owned());
            let reason = std::error::Error::source(error).map(ToString::to_string);
            match (reason, context(ContextKind::ValidValue)) {
                (Some(reason), _) => format!("{flag} does not fit: {reason}"),
                (None, Some(values)) if !values.is_empty() => {
                    format!("{flag} does not fit: expected one of {values}")
                }
                (None, _) => format!("{flag} does not fit"),
            }
        }
    };
    let nearest = context(ContextKind::SuggestedSubcommand).or(context(ContextKind::SuggestedArg));
    let help = match nearest {
        Some(nearest) => format!("did you mean `{nearest}`? `vault-cli --help` lists the commands"),
        None => {
            "`vault-cli --help` lists the commands; `vault-cli COMMAND --help` explains one".into()
        }
    };
    Failure::usage(what, help)
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
    fn a_wrong_argument_is_never_repeated() {
        for line in [
            "vault-cli subject find jane@example.test",
            "vault-cli subject show jane@example.test",
            "vault-cli jane@example.test",
            "vault-cli status --user=jane@example.test",
            "vault-cli slot remove jane@example.test",
            "vault-cli slot add --kind jane@example.test",
        ] {
            let failure = failure_of(&parse(line).unwrap_err());
            assert_eq!(failure.exit, crate::failure::Exit::Usage);
            assert!(!failure.what.contains("jane"), "{}", failure.what);
            assert!(!failure.help.contains("jane"), "{}", failure.help);
        }
    }

    #[test]
    fn a_vault_and_a_server_at_once_are_refused() {
        assert!(parse("vault-cli --vault v --server http://h status").is_err());
        assert!(parse("vault-cli status --server http://h").is_ok());
    }
}

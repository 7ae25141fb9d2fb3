//! The grammar of `breach`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use vault_core::breach::DraftFor;
use vault_core::id::{BackupId, SessionId, TokenId};
use vault_core::vault::{BackupPart, BreachVector};

use super::{examples, since};

#[derive(Debug, Subcommand)]
pub(crate) enum BreachCommand {
    /// Who is affected by a leaked key, backup or secret, in numbers (Art. 33(3)); drafts of what is told
    ///
    /// The report names nobody: whom it counts goes into the file of --people. Drafts have blanks in ⟦…⟧ that a
    /// person has to write, and nothing is sent.
    #[command(after_help = examples::BREACH_SCOPE)]
    Scope(Box<ScopeArguments>),
}

/// Which part of a backup leaked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Leaked {
    /// Ciphertext alone.
    Data,
    /// What opens it.
    Keys,
}

/// Which secret leaked, together with the vault's files.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LeakedSecret {
    /// Passphrase, recovery key, key file or shares of a slot.
    Slot,
    /// The root key.
    Root,
    /// The anchor.
    Anchor,
}

/// Whom a draft is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Draft {
    /// The supervisory authority (Art. 33(3)).
    Authority,
    /// People (Art. 34(2)).
    People,
}

impl From<Draft> for DraftFor {
    fn from(draft: Draft) -> Self {
        match draft {
            Draft::Authority => Self::Authority,
            Draft::People => Self::People,
        }
    }
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("vector").required(true).multiple(false))]
pub(crate) struct ScopeArguments {
    /// A leaked API key, tok_…, with the sessions that it made
    #[arg(long, value_name = "TOKEN", group = "vector")]
    pub(crate) api_key: Option<TokenId>,
    /// Every API key of this role
    #[arg(long, group = "vector")]
    pub(crate) role: Option<String>,
    /// The token of one session, ses_…
    #[arg(long, group = "vector")]
    pub(crate) session: Option<SessionId>,
    /// A recipient of the policy, or of one before it: whoever was disclosed to it
    #[arg(long, value_name = "NAME", group = "vector")]
    pub(crate) recipient: Option<String>,
    /// A backup, bak_…
    #[arg(long, group = "vector")]
    pub(crate) backup: Option<BackupId>,
    /// A secret, together with the vault's files
    #[arg(long, group = "vector")]
    pub(crate) key: Option<LeakedSecret>,
    /// The vault's files, without a secret
    #[arg(long, group = "vector")]
    pub(crate) files: bool,
    /// Which part of the backup; data alone is ciphertext
    #[arg(long, requires = "backup", default_value = "data")]
    pub(crate) part: Leaked,
    /// Not before: a date or an instant, in UTC; the beginning unless told
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) from: Option<Timestamp>,
    /// Before: a date or an instant, in UTC; now unless told
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) to: Option<Timestamp>,
    /// A file that does not exist yet, for the ids of those affected, one JSON line each (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub(crate) people: Option<PathBuf>,
    /// Draft what is told, to whom; may stand twice
    #[arg(long, requires = "out")]
    pub(crate) draft: Vec<Draft>,
    /// The draft's language, such as de; every language of the policy unless told
    #[arg(long, requires = "draft")]
    pub(crate) lang: Option<String>,
    /// When the controller became aware, for the deadline in the draft
    #[arg(long, value_name = "WHEN", value_parser = since, requires = "draft")]
    pub(crate) aware: Option<Timestamp>,
    /// A directory for the drafts, WHOM-LANGUAGE.md each; made if it is missing
    #[arg(long, value_name = "DIR", requires = "draft")]
    pub(crate) out: Option<PathBuf>,
}

impl ScopeArguments {
    /// What leaked: the grammar sees to it that there is exactly one.
    pub(crate) fn vector(&self) -> BreachVector {
        let part = match self.part {
            Leaked::Data => BackupPart::Data,
            Leaked::Keys => BackupPart::Keys,
        };
        let key = |key: LeakedSecret| match key {
            LeakedSecret::Slot => "slot",
            LeakedSecret::Root => "root",
            LeakedSecret::Anchor => "anchor",
        };
        let given = [
            self.api_key.map(BreachVector::ApiKey),
            self.role.clone().map(BreachVector::Role),
            self.session.map(BreachVector::Session),
            self.recipient.clone().map(BreachVector::Recipient),
            self.backup.map(|backup| BreachVector::Backup(backup, part)),
            self.key.map(|one| BreachVector::Key(key(one).to_owned())),
        ];
        given
            .into_iter()
            .flatten()
            .next()
            .unwrap_or(BreachVector::Files)
    }
}

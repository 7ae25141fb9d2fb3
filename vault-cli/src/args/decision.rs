//! The grammar of `decision`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vault_core::id::DecisionId;
use vault_core::vault::DecisionState;

use super::{examples, one_of};

/// Longest name of a kind, in bytes.
const KIND_BYTES_MAX: usize = 63;

fn state(text: &str) -> Result<DecisionState, String> {
    one_of(text, DecisionState::ALL, DecisionState::name)
}

/// A kind's name; nothing in it means anything in a URL.
fn kind(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    match !text.is_empty() && text.len() <= KIND_BYTES_MAX && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("small letters, digits and underscores are expected, such as refund"),
    }
}

/// What `decision show --begin` printed; nothing in it needs to be looked at here.
fn review(text: &str) -> Result<String, &'static str> {
    match text.starts_with("rvw_") && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("what `decision show --begin` printed is expected, rvw_…"),
    }
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Of this kind, such as refund
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub(crate) kind: Option<String>,
    /// Of this state, also one without a review; every open review, without it
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(crate) state: Option<DecisionState>,
    /// Whose review is overdue
    #[arg(long)]
    pub(crate) overdue: bool,
}

/// What every review has.
#[derive(Args, Debug)]
pub(crate) struct ReviewArguments {
    /// The decision's id, dec_…
    pub(crate) decision: DecisionId,
    /// Why, as the person is told, in their language: a file of text, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) reasons_file: PathBuf,
    /// What `decision show --begin` printed, where you were shown it then; without it you are shown it now
    #[arg(long, value_name = "REVIEW", value_parser = review)]
    pub(crate) review: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DecisionCommand {
    /// List whose review is open, those that are due first before the others
    #[command(after_help = examples::DECISION_LIST)]
    List(ListArguments),
    /// Show one decision: what it came to and how, what the person says, and every step
    #[command(after_help = examples::DECISION_SHOW)]
    Show {
        /// The decision's id, dec_…
        decision: DecisionId,
        /// Begin its review: what is printed then, rvw_…, decides it within a day, and the time until then counts as the review's
        #[arg(long)]
        begin: bool,
    },
    /// Leave it as it is, with your reasons
    #[command(after_help = examples::DECISION_UPHOLD)]
    Uphold(ReviewArguments),
    /// Put another outcome in its place, with your reasons
    #[command(after_help = examples::DECISION_CHANGE)]
    Change {
        #[command(flatten)]
        review: ReviewArguments,
        /// What it comes to now, as the person is told: a file of text
        #[arg(long, value_name = "FILE")]
        outcome_file: PathBuf,
    },
    /// Find that it ought not to have been taken, with your reasons
    #[command(after_help = examples::DECISION_ANNUL)]
    Annul(ReviewArguments),
}

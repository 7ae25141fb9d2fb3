//! Shares of a new secret: given out, and brought back before they count.
//!
//! Each is shown once, or written into a file of its own. Knows nothing of slots.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use vault_core::entropy::OsEntropy;
use vault_core::vault::{Share, SharedSecret};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::secret::{self, SecretKind, SecretText};
use crate::terminal::{BOLD, Terminal};

/// How often a share may be typed wrongly.
const TRIES: usize = 3;

/// Makes shares, gives them out, and takes every one of them back.
///
/// # Errors
///
/// Usage for numbers that cannot be, or where there is neither a terminal nor a directory; failed where
/// a share does not come back.
pub(super) fn make(
    terminal: &Terminal,
    (threshold, count): (u8, u8),
    to: Option<&Path>,
) -> Result<SecretText, Failure> {
    let shares = SharedSecret::split(threshold.into(), count.into(), &mut OsEntropy);
    let shares = shares
        .map_err(|error| Failure::usage(error.to_string(), "such as --threshold 2 --shares 3"))?;
    match to {
        Some(dir) => through_files(terminal, &shares, dir),
        None => by_hand(terminal, &shares),
    }
}

/// A file each, read again from the medium.
fn through_files(terminal: &Terminal, shares: &[Share], dir: &Path) -> Result<SecretText, Failure> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: std::io::Error| Failure::io(format!("could not write {what}"), &error)
    };
    DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .map_err(failed(dir))?;
    let mut back = Vec::new();
    for share in shares {
        let path = dir.join(format!("share-{}.txt", share.index()));
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed(&path))?;
        let text = share.to_text();
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .map_err(failed(&path))?;
        drop(file);
        back.push(secret::read_file(&path)?);
    }
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(dir))?;
    // The directory's own name too, before a slot that these shares replace is gone.
    let parent = dir.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(parent))?;
    terminal.note(&format!(
        "{} shares written to {}; any {} of them open the vault together: give each to somebody else, and keep none here",
        shares.len(),
        dir.display(),
        shares[0].threshold(),
    ));
    joined(&back)
}

/// Shown, written down by somebody, and typed again.
fn by_hand(terminal: &Terminal, shares: &[Share]) -> Result<SecretText, Failure> {
    let instead = "give --to DIR: a file for each share";
    let count = shares.len();
    let mut back = Vec::new();
    for share in shares {
        let text = share.to_text();
        let question = format!(
            "Share {} of {count}, shown this once: {}\nWrite it down, and press Enter.",
            share.index(),
            terminal.style(BOLD, &text)
        );
        terminal.ask(&question, instead)?;
    }
    for share in shares {
        let mut tries = 0;
        loop {
            let typed = secret::prompt(&format!("Share {} again: ", share.index()), instead)?;
            let read = typed.parse::<Share>();
            if read.is_ok_and(|read| *read.to_text() == *share.to_text()) {
                back.push(typed);
                break;
            }
            tries += 1;
            if tries == TRIES {
                return Err(Failure::new(
                    Exit::Failed,
                    "not_confirmed",
                    format!("share {} did not come back as it was shown", share.index()),
                    "make new shares; no slot was added and none removed",
                ));
            }
            terminal.warn("that is not the share that was shown; once more");
        }
    }
    joined(&back)
}

fn joined(back: &[Zeroizing<String>]) -> Result<SecretText, Failure> {
    let room = back.iter().map(|text| text.len() + 1).sum();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for share in back {
        text.push_str(share.trim());
        text.push('\n');
    }
    let secret = SecretText {
        kind: SecretKind::Shares,
        text,
    };
    // What came back gives a secret; what was made is no longer looked at.
    secret.parse()?;
    Ok(secret)
}

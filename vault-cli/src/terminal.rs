//! What is printed, and what is asked.
//!
//! Knows nothing of vaults. Standard output carries the answer alone; notes, questions and errors
//! go to standard error, so that a pipe gets nothing it did not ask for.

use std::io::{self, BufRead, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// What matters less.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What a command gave.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
/// What went right.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// What went wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();

/// The three standard streams.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    json: bool,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
}

impl Terminal {
    /// Colours only where a terminal shows them and `NO_COLOR` is not set.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self {
            json,
            quiet,
            colour_out: wanted && io::stdout().is_terminal(),
            colour_err: wanted && io::stderr().is_terminal(),
        }
    }

    /// Whether the answer is to be JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Prints the answer: one JSON document, or `text`.
    pub(crate) fn answer(&self, value: &Value, text: impl FnOnce(&Self) -> String) {
        if self.json {
            self.line(&value.to_string());
        } else {
            self.line(text(self).trim_end());
        }
    }

    /// One line on standard output. A reader that went away is no error of ours.
    pub(crate) fn line(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A remark on standard error, unless `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{}", self.error_style(DIM, text));
        }
    }

    /// A failure: what, findings, way out.
    pub(crate) fn failure(&self, failure: &Failure) {
        let mut err = io::stderr().lock();
        if self.json {
            let mut body = json!({
                "error": failure.what,
                "code": failure.code,
                "exit": failure.exit as u8,
                "help": failure.help,
            });
            if !failure.findings.is_empty() {
                body["findings"] = json!(failure.findings);
            }
            let _ = writeln!(err, "{body}");
            return;
        }
        let _ = writeln!(err, "{} {}", self.error_style(RED, "error:"), failure.what);
        for line in &failure.findings {
            let _ = writeln!(err, "  {line}");
        }
        let _ = writeln!(err, "  {}", failure.help);
    }

    /// `text` in a style, for standard output.
    pub(crate) fn style(&self, style: Style, text: &str) -> String {
        paint(self.colour_out, style, text)
    }

    fn error_style(&self, style: Style, text: &str) -> String {
        paint(self.colour_err, style, text)
    }

    /// Asks one line.
    ///
    /// # Errors
    ///
    /// Usage, with `instead` as the way out, where nobody sits at a terminal.
    pub(crate) fn ask(&self, question: &str, instead: &str) -> Result<String, Failure> {
        let nobody = || Failure::usage("there is no terminal to ask on", instead);
        if !io::stdin().is_terminal() {
            return Err(nobody());
        }
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question} ").and_then(|()| err.flush());
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => Err(nobody()),
            Ok(_) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
        }
    }

    /// Asks before something that cannot be undone; `yes` answers beforehand.
    ///
    /// # Errors
    ///
    /// Usage where nobody can answer; failed where the answer is no.
    pub(crate) fn confirm(&self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        let answer = self.ask(
            &format!("{question} [y/N]"),
            "say --yes if you mean it, or --dry-run to see what would happen",
        )?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(Failure::new(
            crate::failure::Exit::Failed,
            "not_confirmed",
            "not confirmed",
            "nothing was changed",
        ))
    }
}

fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// Columns aligned by their widest cell, two blanks apart.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_characters_and_end_without_blanks() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            columns(&[row("é", "one"), row("long", "")]),
            "é     one\nlong\n"
        );
        assert_eq!(columns(&[]), "");
    }

    #[test]
    fn without_colour_a_style_adds_nothing() {
        assert_eq!(paint(false, RED, "x"), "x");
        assert_ne!(paint(true, RED, "x"), "x");
    }
}

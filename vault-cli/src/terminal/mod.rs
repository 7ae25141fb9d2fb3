//! What is printed, and what is asked.
//!
//! Knows nothing of vaults. Standard output carries the answer alone; notes, questions and errors
//! go to standard error, so that a pipe gets nothing it did not ask for.

mod colour;
mod progress;
mod table;

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

pub(crate) use colour::When;
pub(crate) use progress::Step;
pub(crate) use table::{Column, Table, Tone, printable};

use crate::failure::Failure;
use colour::Taste;
use progress::Manner;

/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// What matters less.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What a command gave.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
/// What went right.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// What should be looked at.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// What went wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();

/// What is missing where a question cannot be asked, and what stands in for its answer.
const NOBODY: &str = "there is no terminal to ask on";
const MEAN_IT: &str = "say --yes if you mean it, or --dry-run to see what would happen";

/// The three standard streams.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    json: bool,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
    manner: Manner,
    /// Columns of the terminal that answers go to; `None` in a pipe.
    width: Option<usize>,
    /// The same for remarks and errors.
    width_err: Option<usize>,
}

impl Terminal {
    /// Looks at the streams and at what the environment says of colour.
    pub(crate) fn new(json: bool, quiet: bool, when: When) -> Self {
        let taste = Taste::read();
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            json,
            quiet,
            colour_out: !json && taste.coloured(when, out),
            colour_err: !json && taste.coloured(when, err),
            manner: match (quiet || json, err && !taste.dumb()) {
                (true, _) => Manner::Silent,
                (false, true) => Manner::Spinner,
                (false, false) => Manner::Lines,
            },
            width: out.then(|| columns_of(io::stdout())).flatten(),
            width_err: err.then(|| columns_of(io::stderr())).flatten(),
        }
    }

    /// Says that something goes on, if it lasts, until the step is dropped.
    pub(crate) fn step(&self, what: &str) -> Step {
        Step::begin(self.manner, what)
    }

    /// A table, as wide as fits.
    pub(crate) fn table(&self, table: &Table) -> String {
        table.render(self.width, self.colour_out)
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
        self.remark(DIM, text);
    }

    /// Something to look at, on standard error, unless `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        self.remark(YELLOW, text);
    }

    fn remark(&self, style: Style, text: &str) {
        // With --json standard error has nothing but an error's document.
        if !self.quiet && !self.json {
            let text = wrapped(text, 0, self.width_err);
            let _ = writeln!(io::stderr().lock(), "{}", self.error_style(style, &text));
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
        let text = wrapped(&format!("error: {}", failure.what), 0, self.width_err);
        let rest = text.strip_prefix("error:").unwrap_or_default();
        let _ = writeln!(err, "{}{rest}", self.error_style(RED, "error:"));
        for line in &failure.findings {
            let _ = writeln!(err, "  {line}");
        }
        let _ = writeln!(err, "{}", wrapped(&failure.help, 2, self.width_err));
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
        let nobody = || Failure::usage(NOBODY, instead);
        if !io::stdin().is_terminal() {
            return Err(nobody());
        }
        // Not locked while somebody thinks: Ctrl-C has something to say on it, too.
        let mut err = io::stderr();
        let question = wrapped(question, 0, self.width_err);
        let _ = write!(err, "{question} ").and_then(|()| err.flush());
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => Err(nobody()),
            Ok(_) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
        }
    }

    /// Whether [`Self::confirm`] could be answered, before anything is begun for it.
    ///
    /// # Errors
    ///
    /// Usage where nobody can answer.
    pub(crate) fn could_confirm(&self, yes: bool) -> Result<(), Failure> {
        match yes || io::stdin().is_terminal() {
            true => Ok(()),
            false => Err(Failure::usage(NOBODY, MEAN_IT)),
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
            // People wrote some of it.
            &format!("{} [y/N]", printable(question)),
            MEAN_IT,
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

/// Whether a stream is coloured that is a terminal or not.
pub(crate) fn coloured(when: When, terminal: bool) -> bool {
    Taste::read().coloured(when, terminal)
}

/// How wide a terminal says it is; what says nothing is taken for 80.
fn columns_of(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(match size.ws_col {
        0 => 80,
        columns => usize::from(columns),
    })
}

/// Text in lines of at most `width` characters, broken between words, each after `indent` blanks.
fn wrapped(text: &str, indent: usize, width: Option<usize>) -> String {
    let blanks = " ".repeat(indent);
    let width = width.unwrap_or(usize::MAX).max(indent + 20);
    let mut lines = vec![blanks.clone()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        let taken = line.chars().count();
        if taken == indent {
            line.push_str(word);
        } else if taken + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("{blanks}{word}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_between_words_and_loses_none() {
        let text = "check the address, and that `vault-cli serve` runs there";
        let lines = wrapped(text, 2, Some(30));
        assert!(lines.lines().count() > 1);
        assert!(
            lines
                .lines()
                .all(|line| line.starts_with("  ") && line.chars().count() <= 30)
        );
        assert_eq!(lines.split_whitespace().collect::<Vec<_>>().join(" "), text);
        assert_eq!(wrapped(text, 0, None), text);
        let name = "tok_ccvamwrwt84bkhfe9zg368c2ng";
        assert_eq!(
            wrapped(name, 2, Some(10)),
            format!("  {name}"),
            "a name stays whole"
        );
    }

    #[test]
    fn without_colour_a_style_adds_nothing() {
        assert_eq!(paint(false, RED, "x"), "x");
        assert_ne!(paint(true, RED, "x"), "x");
    }
}

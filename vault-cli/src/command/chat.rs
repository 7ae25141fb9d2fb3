//! `chat`: a conversation about rights in the terminal, as a bot relays it.
//!
//! Who talks is read from a file or a prompt and is no argument; what an answer calls sensitive is neither
//! echoed nor printed. From a pipe it goes line by line, so that a script can hold a conversation.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;

use vault_core::entropy::OsEntropy;
use vault_core::limits::{DIALOGUE_TEXT_BYTES_MAX, REASON_BYTES_MAX};
use zeroize::Zeroizing;

use super::Context;
use crate::args::ChatArguments;
use crate::caller::Caller;
use crate::failure::{Exit, Failure};
use crate::input;
use crate::secret;
use crate::talk::{self, Answer, Choice, Said, Who};
use crate::terminal::{BOLD, CYAN, DIM, GREEN, Terminal};

/// Who talks where nobody says: nobody real is called so.
const INVENTED: &str = "demo";
/// What stands before a line that somebody writes.
const PROMPT: &str = "> ";
const HELP: &str = "Write as you would to a bot. The number or the words of a choice take it.\n\
    /say TEXT   send TEXT as it is, also where it looks like a choice\n\
    /again      send the last message again, under the same name\n\
    /quit       end, as Ctrl-D does";

/// What somebody does with a line.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Again,
    Help,
    Quit,
    /// Take the choice with this id.
    Take(&'a str),
    Write(&'a str),
    Nothing,
    Unknown,
}

impl<'a> Line<'a> {
    fn of(line: &'a str, choices: &'a [Choice]) -> Self {
        let trimmed = line.trim();
        match trimmed.split_once(' ').unwrap_or((trimmed, "")) {
            ("", _) => Self::Nothing,
            ("/quit" | "/exit", "") => Self::Quit,
            ("/help", "") => Self::Help,
            ("/again", "") => Self::Again,
            ("/say", text) if !text.trim().is_empty() => Self::Write(text.trim()),
            (word, _) if word.starts_with('/') => Self::Unknown,
            _ => match talk::picked(choices, trimmed) {
                Some(choice) => Self::Take(&choice.id),
                None => Self::Write(trimmed),
            },
        }
    }
}

/// Where lines come from.
struct Lines {
    /// Whether somebody sits there.
    terminal: bool,
}

impl Lines {
    /// The next line; `None` at the end. A hidden one is not shown while it is typed.
    fn next(&self, hidden: bool) -> Result<Option<Zeroizing<String>>, Failure> {
        if self.terminal && hidden {
            return Ok(secret::hidden("> (not shown) "));
        }
        if self.terminal {
            let mut err = io::stderr();
            let _ = write!(err, "{PROMPT}").and_then(|()| err.flush());
        }
        let mut line = Zeroizing::new(Vec::new());
        let most = DIALOGUE_TEXT_BYTES_MAX as u64 + 2;
        let read = io::stdin().lock().take(most).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Failure::io("could not read standard input", &error))?;
        if read as u64 == most && line.last() != Some(&b'\n') {
            return Err(Failure::new(
                Exit::Failed,
                "too_large",
                format!("a line has more than {DIALOGUE_TEXT_BYTES_MAX} bytes"),
                "send it in parts",
            ));
        }
        if read == 0 {
            return Ok(None);
        }
        match std::str::from_utf8(&line) {
            Ok(text) => Ok(Some(Zeroizing::new(
                text.trim_end_matches(['\n', '\r']).to_owned(),
            ))),
            Err(_) => Err(Failure::new(
                Exit::Failed,
                "not_text",
                "a line of standard input is not UTF-8 text",
                "check that this is what you meant to send",
            )),
        }
    }
}

/// A message that was made and whose answer did not come.
struct Sent {
    name: String,
    /// The id of the choice, or the text.
    what: Zeroizing<String>,
    choice: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &ChatArguments) -> Result<(), Failure> {
    let lines = Lines {
        terminal: io::stdin().is_terminal(),
    };
    let caller = context.caller()?;
    let terminal = context.terminal;
    if caller.url().is_none() {
        terminal.note(
            "no server is asked: no codes are sent, and what needs one goes to a human. With `vault-cli serve` and `verification` in vault.toml it does not",
        );
    }
    let who = Who {
        channel: arguments.channel.clone(),
        user: user(context, arguments, &lines)?,
        // Whoever begins again is not in the middle of what was said before.
        conversation: Some(talk::conversation_name(&mut OsEntropy)),
        locale: arguments.locale.clone(),
        private: !arguments.group,
    };
    if lines.terminal && !terminal.json() {
        terminal
            .note("Write as you would to a bot, such as: delete me. /help says more, /quit ends.");
    }
    Chat {
        caller: &*caller,
        terminal,
        lines,
        who,
        sent: None,
        choices: Vec::new(),
        hidden: false,
    }
    .go_on()
}

/// From a file, or asked for: never an argument.
fn user(
    context: &Context<'_>,
    arguments: &ChatArguments,
    lines: &Lines,
) -> Result<String, Failure> {
    let user = match arguments.user_file.as_deref() {
        Some(path) if path == Path::new("-") => {
            let line = lines.next(false)?;
            line.map(|line| line.trim().to_owned()).unwrap_or_default()
        }
        Some(path) => input::read_words(path)?,
        None if lines.terminal => {
            let question = format!("Who talks, as the channel calls them? [{INVENTED}]");
            let answer = context
                .terminal
                .ask(&question, "name a file: --user-file FILE")?;
            match answer.trim() {
                "" => INVENTED.to_owned(),
                said => said.to_owned(),
            }
        }
        None => INVENTED.to_owned(),
    };
    match user.is_empty() || user.len() > REASON_BYTES_MAX {
        true => Err(Failure::usage(
            "nobody is named",
            "put who talks, as the channel calls them, on one line of the file of --user-file",
        )),
        false => Ok(user),
    }
}

struct Chat<'a> {
    caller: &'a dyn Caller,
    terminal: &'a Terminal,
    lines: Lines,
    who: Who,
    sent: Option<Sent>,
    choices: Vec<Choice>,
    hidden: bool,
}

impl Chat<'_> {
    fn go_on(&mut self) -> Result<(), Failure> {
        while let Some(line) = self.lines.next(self.hidden)? {
            match Line::of(&line, &self.choices) {
                Line::Nothing => {}
                Line::Quit => break,
                Line::Help => self.terminal.note(HELP),
                Line::Unknown => self.unknown(),
                Line::Again => self.send_again(&line)?,
                Line::Take(id) => {
                    let sent = Sent::new(id, true);
                    self.send(sent, &line)?;
                }
                Line::Write(text) => {
                    let sent = Sent::new(text, false);
                    self.send(sent, &line)?;
                }
            }
        }
        Ok(())
    }

    fn unknown(&self) {
        self.terminal
            .warn("nobody knows that command; /help lists them, /say TEXT sends any text");
    }

    fn send_again(&mut self, line: &str) -> Result<(), Failure> {
        match self.sent.take() {
            Some(sent) => self.send(sent, line),
            None => {
                self.terminal.note("every message was answered");
                Ok(())
            }
        }
    }

    fn send(&mut self, sent: Sent, line: &str) -> Result<(), Failure> {
        // A script does not see what it wrote; what is sensitive is seen nowhere.
        if !self.lines.terminal && !self.terminal.json() {
            let shown = if self.hidden {
                "(not shown)"
            } else {
                line.trim()
            };
            let shown = format!("{PROMPT}{shown}");
            self.terminal.line(&self.terminal.style(BOLD, &shown));
        }
        let said = match sent.choice {
            true => Said::Choice(&sent.what),
            false => Said::Text(&sent.what),
        };
        let body = talk::body(&self.who, &sent.name, said);
        match talk::relay(&body, |body| self.caller.turn(body)) {
            Ok(answer) => {
                self.heard(&answer);
                Ok(())
            }
            Err(failure) if self.lines.terminal && talk::worth_another_try(&failure) => {
                self.terminal.failure(&failure);
                self.terminal.note(
                    "/again sends the same message under the same name: nothing is done twice",
                );
                self.sent = Some(sent);
                Ok(())
            }
            Err(failure) if self.lines.terminal && failure.code == "invalid" => {
                self.terminal.failure(&failure);
                Ok(())
            }
            Err(failure) => Err(explained(failure)),
        }
    }

    fn heard(&mut self, answer: &Answer) {
        let terminal = self.terminal;
        // What is no matter of rights leaves the choices open.
        if answer.handled() {
            self.choices = answer.choices();
        }
        self.hidden = answer.sensitive();
        if terminal.json() {
            return terminal.line(&answer.value().to_string());
        }
        if !answer.handled() {
            let text = "(no matter of rights: here the bot would go on with its own answer)";
            return terminal.line(&terminal.style(DIM, text));
        }
        let mut number = 0;
        for message in answer.messages() {
            terminal.line(&message.text);
            for choice in message.choices {
                number += 1;
                let number = terminal.style(CYAN, &format!("{number:>3}"));
                terminal.line(&format!("{number}  {}", choice.label));
            }
            if let Some(link) = message.link {
                let server = self.caller.url().filter(|url| url.starts_with("http"));
                let link = match (link.starts_with('/'), server) {
                    (true, Some(server)) => format!("{server}{link}"),
                    _ => link,
                };
                terminal.line(&format!("     {}", terminal.style(GREEN, &link)));
            }
        }
        if let Some((request, due)) = answer.request() {
            let due = due.map(|due| format!(", to be answered by {due}"));
            let line = format!("[{request}{}]", due.unwrap_or_default());
            terminal.line(&terminal.style(DIM, &line));
        }
    }
}

impl Sent {
    fn new(what: &str, choice: bool) -> Self {
        Self {
            name: talk::message_name(&mut OsEntropy),
            what: Zeroizing::new(what.to_owned()),
            choice,
        }
    }
}

/// What a bot lacks.
fn explained(failure: Failure) -> Failure {
    let help = match &*failure.code {
        "role_denied" => {
            "use a token of a role that has `dialogue.relay`, and is bound to no other channel: `vault-cli token create --role bot` makes one under the sample policy"
        }
        "unauthenticated" => {
            "name a file with a token that is valid and not revoked: --token-file FILE (`vault-cli token create --role ROLE`)"
        }
        _ => return failure,
    };
    Failure {
        help: help.into(),
        ..failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_a_choice_or_a_message_and_no_command_is_sent() {
        let choices = ["Delete", "Keep"].map(|label| Choice {
            id: format!("c_{label}"),
            label: label.into(),
        });
        for (line, expected) in [
            ("", Line::Nothing),
            ("  ", Line::Nothing),
            ("/quit", Line::Quit),
            ("/help ", Line::Help),
            ("/again", Line::Again),
            ("/say 1", Line::Write("1")),
            ("/say  /quit", Line::Write("/quit")),
            ("/say", Line::Unknown),
            ("/delete me", Line::Unknown),
            ("/quit now", Line::Unknown),
            ("1", Line::Take("c_Delete")),
            ("keep ", Line::Take("c_Keep")),
            ("3", Line::Write("3")),
            (" delete me ", Line::Write("delete me")),
        ] {
            assert_eq!(Line::of(line, &choices), expected, "{line:?}");
        }
    }
}

//! The commands, one subject a file: each asks the backend and renders its JSON answer.
//!
//! Knows no keys. What destroys something asks first; `--dry-run` never changes anything.

mod audit;
mod backup;
mod breach;
mod chat;
mod completions;
mod decision;
mod dev;
mod doctor;
mod emergency;
mod import;
mod incident;
mod init;
mod key;
mod log;
mod man;
mod policy;
mod publication;
mod receipt;
mod request;
mod retention;
mod serve;
mod shares;
mod slot;
mod status;
mod subject;
mod token;

use serde_json::Value;
use vault_core::vault::{LockedVault, OpenError};

use crate::args::{Arguments, Command, Globals};
use crate::backend::{Backend, Directory, Remote, SOCKET, settings};
use crate::caller::{self, Caller};
use crate::failure::Failure;
use crate::interrupt;
use crate::place::{self, Environment, Place};
use crate::terminal::Terminal;

/// What every command gets.
pub(crate) struct Context<'a> {
    pub(crate) globals: Globals,
    pub(crate) environment: Environment,
    pub(crate) terminal: &'a Terminal,
}

impl Context<'_> {
    /// The server at this address, called with the role of `--token-file`.
    fn server(&self, url: &str) -> Result<Remote, Failure> {
        let tls = place::tls(&self.globals, &self.environment)?;
        Remote::new(url, self.globals.token_file.as_deref(), &tls)
    }

    /// Opens the vault that is meant: its server, its directory, or the server that holds that.
    fn backend(&self) -> Result<Box<dyn Backend>, Failure> {
        let dir = match place::place(&self.globals, &self.environment)? {
            Place::Server(url) => return Ok(Box::new(self.server(&url)?)),
            Place::Directory(dir) => dir,
        };
        let paths = place::paths(&dir, &self.globals)?;
        let sources = place::sources(&self.globals, &self.environment);
        match LockedVault::open(&paths, settings()) {
            Err(OpenError::Held(_)) if dir.join(SOCKET).exists() => {
                let secret = sources.get()?;
                let step = self.terminal.step("asking the server that holds the vault");
                let remote = Remote::through(&dir, &secret)?;
                drop(step);
                Ok(Box::new(remote))
            }
            locked => {
                let locked = locked?;
                let secret = sources.get()?.parse()?;
                let directory = Directory::open(locked, &secret, self.terminal)?;
                Ok(Box::new(directory))
            }
        }
    }
}

impl Context<'_> {
    /// The vault that is meant, called with the role of `--token-file`.
    fn caller(&self) -> Result<Box<dyn Caller>, Failure> {
        let file = caller::token_file(self.globals.token_file.as_ref())?;
        let token = caller::token(&file)?;
        let dir = match place::place(&self.globals, &self.environment)? {
            Place::Server(url) => {
                let tls = place::tls(&self.globals, &self.environment)?;
                return Ok(Box::new(caller::Remote::new(&url, &token, &tls)?));
            }
            Place::Directory(dir) => dir,
        };
        let paths = place::paths(&dir, &self.globals)?;
        match LockedVault::open(&paths, settings()) {
            Err(OpenError::Held(_)) if dir.join(SOCKET).exists() => {
                Ok(Box::new(caller::Remote::through(&dir, &token)))
            }
            locked => {
                let locked = locked?;
                let sources = place::sources(&self.globals, &self.environment);
                let secret = sources.get()?.parse()?;
                let opened = caller::Directory::open(locked, &secret, &token, self.terminal)?;
                Ok(Box::new(opened))
            }
        }
    }
}

/// Runs one command.
pub(crate) fn run(arguments: Arguments, terminal: &Terminal) -> Result<(), Failure> {
    let context = Context {
        globals: arguments.globals,
        environment: Environment::read(),
        terminal,
    };
    if !matches!(arguments.command, Command::Dev(_) | Command::Serve(_)) {
        interrupt::watch(terminal);
    }
    match arguments.command {
        Command::Dev(arguments) => dev::run(&context, arguments),
        Command::Init(arguments) => init::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Status => status::run(&context),
        Command::Doctor(arguments) => doctor::run(&context, &arguments),
        Command::Policy(command) => policy::run(&context, &command),
        Command::Key(command) => key::run(&context, &command),
        Command::Slot(command) => slot::run(&context, &command),
        Command::Token(command) => token::run(&context, &command),
        Command::Chat(arguments) => chat::run(&context, &arguments),
        Command::Request(command) => request::run(&context, &command),
        Command::Subject(command) => subject::run(&context, &command),
        Command::Audit(command) => audit::run(&context, &command),
        Command::Receipt(command) => receipt::run(&context, &command),
        Command::Import(arguments) => import::run(&context, &arguments),
        Command::Log(command) => log::run(&context, &command),
        Command::Notice(arguments) => publication::notice(&context, &arguments),
        Command::Ropa(arguments) => publication::ropa(&context, &arguments),
        Command::Retention(command) => retention::run(&context, &command),
        Command::Incident(command) => incident::run(&context, &command),
        Command::Emergency(command) => emergency::run(&context, &command),
        Command::Decision(command) => decision::run(&context, &command),
        Command::Breach(command) => breach::run(&context, &command),
        Command::Backup(command) => backup::run(&context, &command),
        Command::Completions { shell } => {
            completions::run(&context, shell);
            Ok(())
        }
        Command::Man { to } => man::run(&context, to.as_deref()),
    }
}

/// A member as text: texts bare, null as a dash, all else as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// The day of an instant, `2026-03-01`; null as a dash.
fn day(value: &Value) -> String {
    let text = cell(value);
    text.split('T').next().unwrap_or_default().to_owned()
}

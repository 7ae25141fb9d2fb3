//! The commands, one subject a file: each asks the backend and renders its JSON answer.
//!
//! Knows no keys. What destroys something asks first; `--dry-run` never changes anything.

mod dev;
mod init;
mod policy;
mod serve;
mod slot;
mod status;
mod subject;
mod token;

use serde_json::Value;

use crate::args::{Arguments, Command, Globals};
use crate::backend::{Backend, Directory, Remote};
use crate::failure::Failure;
use crate::place::{self, Environment, Place};
use crate::terminal::Terminal;

/// What every command gets.
pub(crate) struct Context<'a> {
    pub(crate) globals: Globals,
    pub(crate) environment: Environment,
    pub(crate) terminal: &'a Terminal,
}

impl Context<'_> {
    /// Opens the vault that is meant.
    fn backend(&self) -> Result<Box<dyn Backend>, Failure> {
        match place::place(&self.globals, &self.environment)? {
            Place::Server(url) => {
                let remote = Remote::new(&url, self.globals.token_file.as_deref())?;
                Ok(Box::new(remote))
            }
            Place::Directory(dir) => {
                let paths = place::paths(&dir, &self.globals)?;
                let sources = place::sources(&self.globals, &self.environment);
                let directory = Directory::open(&paths, || sources.get()?.parse())?;
                Ok(Box::new(directory))
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
    match arguments.command {
        Command::Dev(arguments) => dev::run(&context, arguments),
        Command::Init(arguments) => init::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Status => status::run(&context),
        Command::Policy(command) => policy::run(&context, &command),
        Command::Slot(command) => slot::run(&context, &command),
        Command::Token(command) => token::run(&context, &command),
        Command::Subject(command) => subject::run(&context, &command),
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

/// The members `names` of every element of `list`, under a heading.
fn rows(list: &Value, names: &[&str]) -> Vec<Vec<String>> {
    let heading = names.iter().map(|name| name.replace('_', " ")).collect();
    let elements = list.as_array().into_iter().flatten();
    std::iter::once(heading)
        .chain(elements.map(|element| names.iter().map(|name| cell(&element[*name])).collect()))
        .collect()
}

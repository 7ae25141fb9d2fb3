//! `man`: manual pages, from the same grammar as the help.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use serde_json::json;

use super::Context;
use crate::args::Arguments;
use crate::failure::Failure;

/// The page of the whole on standard output, or a page for each command in a directory.
pub(super) fn run(context: &Context<'_>, to: Option<&Path>) -> Result<(), Failure> {
    // Built, so that each command has its full name and the flags that stand everywhere.
    let mut grammar = Arguments::command();
    grammar.build();
    let Some(dir) = to else {
        let page = page(&grammar);
        let answer = json!({"page": page});
        context.terminal.answer(&answer, |_| page);
        return Ok(());
    };
    let mut pages = Vec::new();
    collect(&grammar, &mut pages);
    let dry = context.globals.dry_run;
    if !dry {
        fs::create_dir_all(dir)
            .map_err(|error| Failure::io(format!("could not make {}", dir.display()), &error))?;
    }
    let mut names = Vec::new();
    for (name, text) in pages {
        let path = dir.join(format!("{name}.1"));
        if !dry {
            // A page of an older version is replaced.
            fs::write(&path, text).map_err(|error| {
                Failure::io(format!("could not write {}", path.display()), &error)
            })?;
        }
        names.push(path.display().to_string());
    }
    let key = if dry { "would_write" } else { "written" };
    let answer = json!({key: names});
    context.terminal.answer(&answer, |_| names.join("\n"));
    Ok(())
}

/// A page for a command and for each below it. `help` has none: it is what the page is.
fn collect(command: &clap::Command, pages: &mut Vec<(String, String)>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((name.to_owned(), page(command)));
    let below = command.get_subcommands();
    for command in below.filter(|command| command.get_name() != "help") {
        collect(command, pages);
    }
}

fn page(command: &clap::Command) -> String {
    // What the short help leaves out belongs on the page.
    let command = command.clone().mut_args(|arg| arg.hide_short_help(false));
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .expect("memory takes all that is written to it");
    examples(&String::from_utf8_lossy(&page))
}

/// The examples under a heading of their own, each on its line: a reader copies them whole.
fn examples(page: &str) -> String {
    let Some((before, rest)) = page.split_once(".SH EXTRA\n") else {
        return page.to_owned();
    };
    let (lines, after) = rest.split_once("\n.SH ").unwrap_or((rest, ""));
    let lines = lines.lines().filter(|line| *line != "Examples:");
    let lines: Vec<&str> = lines.map(str::trim).collect();
    let after = match after.is_empty() {
        true => String::new(),
        false => format!(".SH {after}"),
    };
    format!(
        "{before}.SH EXAMPLES\n.nf\n{}\n.fi\n{after}",
        lines.join("\n")
    )
}

//! What is said of a wrong command line: our own words for clap's errors, because clap's repeat the
//! argument, and somebody will type an e-mail address there.

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::Failure;
use crate::terminal::{When, coloured};

/// What must be known of a command line that may not parse: how to say so.
pub(crate) struct Before {
    pub(crate) json: bool,
    pub(crate) when: When,
    /// Whether help is coloured.
    pub(crate) coloured: bool,
}

/// Looks for `--json` and `--color` among the arguments, whatever the others are.
pub(crate) fn before(args: &[OsString]) -> Before {
    let mut when = None;
    for (at, arg) in args.iter().enumerate() {
        let arg = arg.to_string_lossy();
        let value = match arg.strip_prefix("--color") {
            Some("") => args.get(at + 1).map(|value| value.to_string_lossy()),
            Some(rest) => rest.strip_prefix('=').map(|value| value.to_owned().into()),
            None => None,
        };
        when = value
            .and_then(|value| When::from_str(&value, false).ok())
            .or(when);
    }
    let when = when.unwrap_or_default();
    Before {
        json: args.iter().any(|arg| arg == "--json"),
        when,
        coloured: coloured(when, std::io::stdout().is_terminal()),
    }
}

/// The failure that clap's error stands for, without the argument that somebody typed.
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
    use crate::args::Arguments;
    use clap::Parser;

    #[test]
    fn the_wish_for_json_and_colour_is_heard_in_a_line_that_does_not_parse() {
        let before = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            before(&args)
        };
        let heard = before("vault-cli frobnicate --color never --json");
        assert!(heard.json && heard.when == When::Never && !heard.coloured);
        assert_eq!(before("vault-cli --color=always x").when, When::Always);
        assert!(before("vault-cli x --color=always").coloured);
        assert_eq!(before("vault-cli x --color").when, When::Auto);
        assert_eq!(before("vault-cli x --color mauve").when, When::Auto);
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
            let failure = failure_of(&Arguments::try_parse_from(line.split(' ')).unwrap_err());
            assert_eq!(failure.exit, crate::failure::Exit::Usage);
            assert!(!failure.what.contains("jane"), "{}", failure.what);
            assert!(!failure.help.contains("jane"), "{}", failure.help);
        }
    }
}

//! When to colour: what was asked for, what the environment says, what the stream is.
//!
//! Sources: <https://no-color.org>, <https://bixense.com/clicolors/>.

use std::env;
use std::ffi::OsString;

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum When {
    /// Where a terminal shows it and the environment does not mind
    #[default]
    Auto,
    /// In a pipe too
    Always,
    /// Nowhere
    Never,
}

/// What the environment says of colour.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taste {
    no_color: Option<OsString>,
    clicolor: Option<OsString>,
    clicolor_force: Option<OsString>,
    term: Option<OsString>,
}

impl Taste {
    /// `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM`.
    pub(crate) fn read() -> Self {
        Self {
            no_color: env::var_os("NO_COLOR"),
            clicolor: env::var_os("CLICOLOR"),
            clicolor_force: env::var_os("CLICOLOR_FORCE"),
            term: env::var_os("TERM"),
        }
    }

    /// Whether the terminal understands more than text.
    pub(crate) fn dumb(&self) -> bool {
        self.term.as_ref().is_some_and(|term| term == "dumb")
    }

    /// Whether a stream is coloured. A flag goes before the environment, `NO_COLOR` before the rest.
    pub(crate) fn coloured(&self, when: When, terminal: bool) -> bool {
        let on = |value: &Option<OsString>| value.as_ref().is_some_and(|v| !v.is_empty());
        match when {
            When::Always => true,
            When::Never => false,
            When::Auto if on(&self.no_color) => false,
            When::Auto if self.clicolor_force.as_ref().is_some_and(|v| v != "0") => {
                on(&self.clicolor_force) || terminal
            }
            When::Auto => {
                terminal && !self.dumb() && self.clicolor.as_ref().is_none_or(|v| v != "0")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taste(variables: &[(&str, &str)]) -> Taste {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Taste {
            no_color: get("NO_COLOR"),
            clicolor: get("CLICOLOR"),
            clicolor_force: get("CLICOLOR_FORCE"),
            term: get("TERM"),
        }
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_no_color_before_the_rest() {
        let auto =
            |variables: &[(&str, &str)], terminal| taste(variables).coloured(When::Auto, terminal);
        assert!(auto(&[], true) && !auto(&[], false));
        assert!(!auto(&[("NO_COLOR", "1")], true));
        assert!(auto(&[("NO_COLOR", "")], true), "empty counts as not set");
        assert!(!auto(&[("TERM", "dumb")], true));
        assert!(!auto(&[("CLICOLOR", "0")], true) && auto(&[("CLICOLOR", "1")], true));
        assert!(auto(&[("CLICOLOR_FORCE", "1")], false));
        assert!(!auto(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!auto(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
        let against = taste(&[("NO_COLOR", "1"), ("TERM", "dumb")]);
        assert!(against.coloured(When::Always, false));
        assert!(!taste(&[("CLICOLOR_FORCE", "1")]).coloured(When::Never, true));
    }
}

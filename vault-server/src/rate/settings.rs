//! The limits that an operator sets: `limits.*` of the configuration.
//!
//! Knows nothing of how they are kept. One row of [`KEYS`] is everything about a key: its names,
//! bounds, default, and the sentence of the documentation.

use std::fmt::Write as _;
use std::time::Duration;

/// How much one caller may ask, and how long a call waits for a place.
///
/// The defaults let a busy bot work undisturbed and end what no conversation needs: a bot that
/// answers a hundred messages a second makes a thousand calls a second, so a key has two thousand;
/// a person who writes quickly causes a few calls a second, so a person has twenty; a bot that
/// greets two hundred people a second is a large one, and who tries to find out which of ten million
/// addresses are known needs weeks at two hundred thousand a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls a second by one API key, its sessions included.
    pub calls_per_second: u32,
    /// Calls at once by one API key before `calls_per_second` holds.
    pub calls_burst: u32,
    /// Calls a minute about one person, by all keys together.
    pub person_calls_per_minute: u32,
    /// `subjects` and `subjects/lookup` calls a minute by one API key.
    pub lookups_per_minute: u32,
    /// `subjects` and `subjects/lookup` calls a day by one API key.
    pub lookups_per_day: u32,
    /// Calls without a valid API key a minute from one network, before it has to wait.
    pub unauthenticated_per_minute: u32,
    /// Calls that wait for a place at a time.
    pub waiting: u32,
    /// Longest wait for a place, in milliseconds.
    pub wait_milliseconds: u32,
    /// Places that are kept for erasures and withdrawals.
    pub reserve: u32,
}

/// One key of the configuration.
pub(crate) struct Key {
    /// In the file.
    pub(crate) name: &'static str,
    /// In the environment.
    pub(crate) environment: &'static str,
    least: u32,
    most: u32,
    default: u32,
    /// What fits, for the error.
    expected: &'static str,
    field: fn(&mut Limits) -> &mut u32,
}

/// Every key.
pub(crate) const KEYS: [Key; 9] = [
    Key {
        name: "limits.calls_per_second",
        environment: "VAULT_LIMITS_CALLS_PER_SECOND",
        least: 1,
        most: 1_000_000,
        default: 2_000,
        expected: "between 1 and 1000000",
        field: |limits| &mut limits.calls_per_second,
    },
    Key {
        name: "limits.calls_burst",
        environment: "VAULT_LIMITS_CALLS_BURST",
        least: 1,
        most: 1_000_000,
        default: 4_000,
        expected: "between 1 and 1000000",
        field: |limits| &mut limits.calls_burst,
    },
    Key {
        name: "limits.person_calls_per_minute",
        environment: "VAULT_LIMITS_PERSON_CALLS_PER_MINUTE",
        least: 1,
        most: 10_000_000,
        default: 1_200,
        expected: "between 1 and 10000000",
        field: |limits| &mut limits.person_calls_per_minute,
    },
    Key {
        name: "limits.lookups_per_minute",
        environment: "VAULT_LIMITS_LOOKUPS_PER_MINUTE",
        least: 1,
        most: 10_000_000,
        default: 12_000,
        expected: "between 1 and 10000000",
        field: |limits| &mut limits.lookups_per_minute,
    },
    Key {
        name: "limits.lookups_per_day",
        environment: "VAULT_LIMITS_LOOKUPS_PER_DAY",
        least: 1,
        most: 1_000_000_000,
        default: 200_000,
        expected: "between 1 and 1000000000",
        field: |limits| &mut limits.lookups_per_day,
    },
    Key {
        name: "limits.unauthenticated_per_minute",
        environment: "VAULT_LIMITS_UNAUTHENTICATED_PER_MINUTE",
        least: 1,
        most: 1_000_000,
        default: 60,
        expected: "between 1 and 1000000",
        field: |limits| &mut limits.unauthenticated_per_minute,
    },
    Key {
        name: "limits.waiting",
        environment: "VAULT_LIMITS_WAITING",
        least: 1,
        most: 10_000,
        default: 256,
        expected: "between 1 and 10000",
        field: |limits| &mut limits.waiting,
    },
    Key {
        name: "limits.wait_milliseconds",
        environment: "VAULT_LIMITS_WAIT_MILLISECONDS",
        least: 1,
        most: 10_000,
        default: 100,
        expected: "between 1 and 10000 milliseconds",
        field: |limits| &mut limits.wait_milliseconds,
    },
    Key {
        name: "limits.reserve",
        environment: "VAULT_LIMITS_RESERVE",
        least: 1,
        most: 100,
        default: 8,
        expected: "between 1 and 100",
        field: |limits| &mut limits.reserve,
    },
];

const NONE: Limits = Limits {
    calls_per_second: 0,
    calls_burst: 0,
    person_calls_per_minute: 0,
    lookups_per_minute: 0,
    lookups_per_day: 0,
    unauthenticated_per_minute: 0,
    waiting: 0,
    wait_milliseconds: 0,
    reserve: 0,
};

impl Default for Limits {
    fn default() -> Self {
        Self::each(|key| key.default)
    }
}

impl Limits {
    /// The most that a configuration may say: for a vault that is thrown away, whose recorded
    /// conversations and measurements run as fast as they can.
    #[must_use]
    pub fn widest() -> Self {
        Self::each(|key| key.most)
    }

    fn each(number: impl Fn(&Key) -> u32) -> Self {
        let mut limits = NONE;
        for key in &KEYS {
            *(key.field)(&mut limits) = number(key);
        }
        limits
    }

    /// Sets the key of this name; `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// What would fit.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Option<Result<(), &'static str>> {
        let key = KEYS.iter().find(|key| key.name == name)?;
        let number = text.parse().ok();
        Some(
            match number.filter(|number| (key.least..=key.most).contains(number)) {
                Some(number) => {
                    *(key.field)(self) = number;
                    Ok(())
                }
                None => Err(key.expected),
            },
        )
    }

    /// The lines of the table `[limits]`.
    pub(crate) fn print(&self) -> String {
        let mut limits = self.clone();
        let mut text = String::new();
        for key in &KEYS {
            let name = key.name.trim_start_matches("limits.");
            let _ = writeln!(text, "{name} = {}", *(key.field)(&mut limits));
        }
        text
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_milliseconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_takes_its_bounds_and_refuses_nought_and_what_lies_outside() {
        for key in &KEYS {
            let mut limits = Limits::default();
            for fits in [key.least, key.most, key.default] {
                assert_eq!(limits.set(key.name, &fits.to_string()), Some(Ok(())));
                assert_eq!(*(key.field)(&mut limits), fits, "{}", key.name);
            }
            let beyond = (u64::from(key.most) + 1).to_string();
            for outside in ["0", "-1", "1.5", "", "many", beyond.as_str()] {
                let refused = limits.set(key.name, outside);
                assert_eq!(refused, Some(Err(key.expected)), "{} = {outside}", key.name);
            }
            assert_eq!(*(key.field)(&mut limits), key.default);
        }
        assert!(Limits::default().set("limits.none", "1").is_none());
    }

    #[test]
    fn the_documentation_names_every_key_with_its_variable_default_and_bounds() {
        let guide = include_str!("../../../docs/http-api.md");
        for key in &KEYS {
            let row = format!(
                "| `{}` | `{}` | {} | ",
                key.name, key.environment, key.default
            );
            let line = guide.lines().find(|line| line.starts_with(&row));
            let line = line.unwrap_or_else(|| panic!("docs/http-api.md lacks a row {row}"));
            assert!(
                line.contains(&format!("{} to {}", key.least, key.most)),
                "{line}"
            );
        }
    }
}

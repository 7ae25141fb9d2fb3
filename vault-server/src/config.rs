//! `vault.toml` and the environment: what the server runs with.
//!
//! Knows nothing of policy, which lies sealed in the vault. A key that is not known is an error:
//! a mistyped limit must not silently be no limit. Secrets have no key here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::cors::{self, Origins};
use crate::nearest::{nearest, slips};

const KEYS: [Key; 8] = [
    Key("listen", "VAULT_LISTEN"),
    Key("vault.dir", "VAULT_DIR"),
    Key("vault.anchor", "VAULT_ANCHOR"),
    Key("log.format", "VAULT_LOG_FORMAT"),
    Key("log.level", "VAULT_LOG_LEVEL"),
    Key("limits.body_bytes", "VAULT_LIMITS_BODY_BYTES"),
    Key("limits.in_flight", "VAULT_LIMITS_IN_FLIGHT"),
    Key("cors.origins", "VAULT_CORS_ORIGINS"),
];

/// Name in the file, name in the environment.
struct Key(&'static str, &'static str);

/// Form of the log on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The effective configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The vault's directory.
    pub vault_dir: PathBuf,
    /// The anchor's directory; `None` is `DIR-anchor` beside the vault's.
    pub vault_anchor: Option<PathBuf>,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Least severity that is logged.
    pub log_level: tracing::Level,
    /// Longest body of a call, in bytes.
    pub body_bytes_max: usize,
    /// Most calls that run in the vault at a time.
    pub in_flight_max: usize,
    /// Whose pages may call from a browser.
    pub cors: Origins,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            vault_dir: PathBuf::from("vault"),
            vault_anchor: None,
            log_format: LogFormat::Text,
            log_level: tracing::Level::INFO,
            body_bytes_max: 1 << 20,
            in_flight_max: 256,
            cors: Origins::default(),
        }
    }
}

/// Why a configuration is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("the configuration is no TOML: {0}")]
    Syntax(String),
    /// A key that the server does not know.
    #[error("unknown key `{key}`{}", hint(.near.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The known key that was perhaps meant.
        near: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("`{key}` must be {expected}")]
    Value {
        /// The key, as written in file or environment.
        key: String,
        /// What fits.
        expected: &'static str,
    },
}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(
        || {
            let names: Vec<_> = KEYS.iter().map(|key| key.0).collect();
            format!("; known: {}", names.join(", "))
        },
        |near| format!("; did you mean `{near}`?"),
    )
}

impl ServerConfig {
    /// Reads the file, if one is named, and lets the environment override it.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                path: path.to_owned(),
                source,
            })?,
        };
        Self::parse(&text, environment)
    }

    /// Reads a configuration from text, and lets the environment override it.
    ///
    /// An unknown `VAULT_…` variable one slip away from a known one is an error. Others belong to
    /// other programs and are left alone.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn parse(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| ConfigError::Syntax(error.message().to_owned()))?;
        let mut written = BTreeMap::new();
        flatten("", &table, &mut written);
        let mut config = Self::default();
        for (key, value) in written {
            if !KEYS.iter().any(|known| known.0 == key) {
                let near = nearest(&key, KEYS.iter().map(|known| known.0)).map(str::to_owned);
                return Err(ConfigError::UnknownKey { key, near });
            }
            config.set(&key, &key, &value)?;
        }
        for (name, value) in environment {
            if let Some(key) = KEYS.iter().find(|key| key.1 == name) {
                config.set(key.0, &name, &value)?;
            } else if name.starts_with("VAULT_")
                && let Some(near) = KEYS.iter().find(|key| slips(key.1, &name) == 1)
            {
                return Err(ConfigError::UnknownKey {
                    key: name,
                    near: Some(near.1.to_owned()),
                });
            }
        }
        Ok(config)
    }

    /// The effective configuration as TOML that reads back as the same.
    #[must_use]
    pub fn print(&self) -> String {
        let quoted = |text: String| toml::Value::String(text).to_string();
        let path = |path: &Path| quoted(path.display().to_string());
        let mut text = format!(
            "listen = {}\n\n[vault]\ndir = {}\n",
            quoted(self.listen.to_string()),
            path(&self.vault_dir)
        );
        if let Some(anchor) = &self.vault_anchor {
            let _ = writeln!(text, "anchor = {}", path(anchor));
        }
        let format = match self.log_format {
            LogFormat::Json => "json",
            LogFormat::Text => "text",
        };
        let level = self.log_level.to_string().to_lowercase();
        let _ = write!(
            text,
            "\n[log]\nformat = \"{format}\"\nlevel = \"{level}\"\n\n[limits]\nbody_bytes = {}\nin_flight = {}\n",
            self.body_bytes_max, self.in_flight_max
        );
        let _ = write!(text, "\n[cors]\norigins = {}\n", self.cors.print());
        text
    }

    /// `name` is the key as its writer wrote it, for the error.
    fn set(&mut self, key: &str, name: &str, value: &str) -> Result<(), ConfigError> {
        let wrong = |expected| ConfigError::Value {
            key: name.to_owned(),
            expected,
        };
        let number = |least: usize, most: usize, expected| {
            value
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| wrong(expected))
        };
        match key {
            "listen" => {
                self.listen = value
                    .parse()
                    .map_err(|_| wrong("an address and a port, such as 127.0.0.1:8787"))?;
            }
            "vault.dir" | "vault.anchor" if value.is_empty() => return Err(wrong("a directory")),
            "vault.dir" => self.vault_dir = PathBuf::from(value),
            "vault.anchor" => self.vault_anchor = Some(PathBuf::from(value)),
            "log.format" => {
                self.log_format = match value {
                    "json" => LogFormat::Json,
                    "text" => LogFormat::Text,
                    _ => return Err(wrong("json or text")),
                }
            }
            "log.level" => {
                self.log_level = match value {
                    "error" => tracing::Level::ERROR,
                    "warn" => tracing::Level::WARN,
                    "info" => tracing::Level::INFO,
                    "debug" => tracing::Level::DEBUG,
                    _ => return Err(wrong("error, warn, info or debug")),
                }
            }
            "limits.body_bytes" => {
                self.body_bytes_max = number(1024, 64 << 20, "between 1024 and 67108864 bytes")?;
            }
            "limits.in_flight" => {
                self.in_flight_max = number(1, 10_000, "between 1 and 10000")?;
            }
            "cors.origins" => {
                self.cors = Origins::parse(value).ok_or_else(|| wrong(cors::EXPECTED))?;
            }
            _ => unreachable!("KEYS and this match name the same keys; a test compares them"),
        }
        Ok(())
    }
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(table) => flatten(&key, table, into),
            toml::Value::String(text) => drop(into.insert(key, text.clone())),
            other => drop(into.insert(key, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, environment: &[(&str, &str)]) -> Result<ServerConfig, ConfigError> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ServerConfig::parse(text, environment)
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let text = "listen = '127.0.0.1:1'\n[limits]\nin_flight = 7\nbody_bytes = 2048";
        let config = with(text, &[("VAULT_LISTEN", "[::1]:2"), ("VAULT_DIR", "/v")]).expect("fits");
        assert_eq!(config.listen.to_string(), "[::1]:2");
        assert_eq!((config.in_flight_max, config.body_bytes_max), (7, 2048));
        assert_eq!(config.vault_dir, PathBuf::from("/v"));
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_and_names_every_key() {
        let sample = [
            "[::1]:9",
            "/v \"x\"",
            "/a",
            "json",
            "debug",
            "4096",
            "3",
            "https://chat.example.test,http://localhost:3000",
        ];
        let environment: Vec<_> = KEYS.iter().map(|key| key.1).zip(sample).collect();
        let config = with("", &environment).expect("every key takes its sample");
        assert_ne!(config, ServerConfig::default());
        assert_eq!(with(&config.print(), &[]).expect("reads back"), config);
        let last = |key: &Key| key.0.rsplit('.').next().map(str::to_owned);
        for name in KEYS.iter().filter_map(last) {
            assert!(config.print().contains(&format!("{name} = ")), "{name}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_nearest() {
        let error = with("[limits]\nbody_byte = 1", &[]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "unknown key `limits.body_byte`; did you mean `limits.body_bytes`?"
        );
        let error = with("", &[("VAULT_LSITEN", "x")]).expect_err("one slip");
        assert!(error.to_string().contains("`VAULT_LISTEN`"));
        with("", &[("VAULT_ADDR", "http://x"), ("VAULT_TOKEN", "x")]).expect("not ours");
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_key_and_what_fits() {
        for text in [
            "listen = 'localhost'",
            "listen = 8787",
            "log.format = 'xml'",
            "log.level = 'loud'",
            "limits.in_flight = 0",
            "limits.body_bytes = -1",
            "vault.dir = ''",
            "cors.origins = ['*']",
            "cors.origins = [1]",
            "cors.origins = 'https://chat.example.test/'",
        ] {
            let error = with(text, &[]).expect_err(text).to_string();
            let key = text.split(" = ").next().expect("a key");
            assert!(error.starts_with(&format!("`{key}` must be ")), "{error}");
        }
        assert!(matches!(with("= 1", &[]), Err(ConfigError::Syntax(_))));
    }
}

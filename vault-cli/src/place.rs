//! Which vault a command means, and with which secret: flags, then the environment.
//!
//! The only module that reads the environment (but for what it says of colour).

use std::env;
use std::path::{Path, PathBuf};

use vault_core::vault::VaultPaths;
use vault_server::config::ServerConfig;

use crate::args::Globals;
use crate::failure::{Exit, Failure};
use crate::http::Tls;
use crate::input;
use crate::secret::{self, Sources};

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) vault: Option<PathBuf>,
    pub(crate) server: Option<String>,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
}

impl Environment {
    /// `VAULT_DIR`, `VAULT_SERVER`, `VAULT_PASSPHRASE_FILE`, `VAULT_KEY_FILE`, `VAULT_CA_FILE`,
    /// `CREDENTIALS_DIRECTORY`; empty counts as not set.
    pub(crate) fn read() -> Self {
        let path = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            vault: path("VAULT_DIR"),
            server: env::var("VAULT_SERVER").ok().filter(|url| !url.is_empty()),
            passphrase_file: path("VAULT_PASSPHRASE_FILE"),
            key_file: path("VAULT_KEY_FILE"),
            credentials: path("CREDENTIALS_DIRECTORY"),
            ca_file: path("VAULT_CA_FILE"),
        }
    }
}

/// Where the vault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this directory.
    Directory(PathBuf),
    /// Behind this server.
    Server(String),
}

/// The vault that is meant; a flag goes before the environment.
///
/// # Errors
///
/// Usage, where none is named, or two by the environment.
pub(crate) fn place(globals: &Globals, environment: &Environment) -> Result<Place, Failure> {
    if let Some(dir) = &globals.vault {
        return Ok(Place::Directory(dir.clone()));
    }
    if let Some(url) = &globals.server {
        return Ok(Place::Server(url.clone()));
    }
    match (&environment.vault, &environment.server) {
        (Some(dir), None) => Ok(Place::Directory(dir.clone())),
        (None, Some(url)) => Ok(Place::Server(url.clone())),
        (Some(_), Some(_)) => Err(Failure::usage(
            "VAULT_DIR and VAULT_SERVER are both set",
            "say which is meant: --vault DIR or --server URL",
        )),
        (None, None) => Err(Failure::usage(
            "no vault is named",
            "name its directory with --vault DIR or VAULT_DIR, or its server with --server URL --token-file FILE",
        )),
    }
}

/// The vault's directory, for commands that cannot go through a server.
pub(crate) fn directory(globals: &Globals, environment: &Environment) -> Result<PathBuf, Failure> {
    match place(globals, environment)? {
        Place::Directory(dir) => Ok(dir),
        Place::Server(_) => Err(Failure::usage(
            "this command works on the vault's directory",
            "name it with --vault DIR on the machine where it lies",
        )),
    }
}

/// Both directories: `--anchor`, else what `DIR/vault.toml` says, else `DIR-anchor`.
pub(crate) fn paths(dir: &Path, globals: &Globals) -> Result<VaultPaths, Failure> {
    let mut paths = VaultPaths::beside(dir);
    if let Some(anchor) = &globals.anchor {
        paths.anchor.clone_from(anchor);
    } else if let Some(anchor) = config(dir)?.and_then(|config| config.vault_anchor) {
        paths.anchor = anchor;
    }
    Ok(paths)
}

/// What `DIR/vault.toml` says, if it is there.
pub(crate) fn config(dir: &Path) -> Result<Option<ServerConfig>, Failure> {
    let path = dir.join("vault.toml");
    if !path.exists() {
        return Ok(None);
    }
    ServerConfig::load(Some(&path), variables())
        .map(Some)
        .map_err(|error| {
            Failure::caused(
                Exit::Failed,
                "config",
                &error,
                format!("correct {}", path.display()),
            )
        })
}

/// The environment as text; a variable that is none cannot be ours.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Whom to trust, and who we are, where `--server` is https.
pub(crate) fn tls(globals: &Globals, environment: &Environment) -> Result<Tls, Failure> {
    let authorities = globals.ca_file.as_ref().or(environment.ca_file.as_ref());
    let client = globals
        .client_cert
        .as_deref()
        .zip(globals.client_key.as_deref());
    Ok(Tls {
        authorities: authorities.map(|path| input::read_pem(path)).transpose()?,
        client: match client {
            Some((chain, key)) => Some((input::read_pem(chain)?, secret::read_key(key)?)),
            None => None,
        },
    })
}

/// Where the secret comes from: what a flag names, and only without one what the environment does.
pub(crate) fn sources(globals: &Globals, environment: &Environment) -> Sources {
    let flags = Sources {
        recovery_key_file: globals.recovery_key_file.clone(),
        passphrase_file: globals.passphrase_file.clone(),
        key_file: globals.key_file.clone(),
        share_files: globals.share_files.clone(),
        ask_shares: globals.ask_shares,
        credentials: environment.credentials.clone(),
    };
    if flags.named() {
        return flags;
    }
    let passphrase_file = environment.passphrase_file.clone();
    Sources {
        key_file: match passphrase_file {
            Some(_) => None,
            None => environment.key_file.clone(),
        },
        passphrase_file,
        ..flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_goes_before_the_environment_and_two_names_are_refused() {
        let environment = Environment {
            vault: Some("e".into()),
            ..Environment::default()
        };
        let named = Globals {
            server: Some("http://h".into()),
            ..Globals::default()
        };
        let none = Globals::default();
        assert_eq!(
            place(&named, &environment).ok(),
            Some(Place::Server("http://h".into()))
        );
        assert_eq!(
            place(&none, &environment).ok(),
            Some(Place::Directory("e".into()))
        );
        let both = Environment {
            server: Some("http://h".into()),
            ..environment
        };
        assert_eq!(place(&none, &both).err().unwrap().exit, Exit::Usage);
        let nothing = Environment::default();
        assert_eq!(place(&none, &nothing).err().unwrap().exit, Exit::Usage);
    }
}

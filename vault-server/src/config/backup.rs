//! The keys of `backup`: where backups go, to whom their keys are sealed, how often, and which stay.
//!
//! Knows the forms alone. That a target can be reached is found out when the server starts.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use vault_core::backup::Recipients;
use vault_core::policy::Period;
use vault_core::vault::Keep;

use crate::objects::{ObjectsConfig, ObjectsPlace};

/// What fits `backup.to`.
pub(super) const TARGET: &str =
    "an absolute directory, or s3://BUCKET/PREFIX of letters, digits, - _ and .";
/// Places for the ledger alone.
const LEDGER_TO_MAX: usize = 8;
/// The shortest period of a schedule, in seconds.
const EVERY_LEAST: i64 = 60;
/// How long key parts live unless told otherwise, as for `backup create`.
const KEYS_FOR: &str = "P30D";

/// A place for backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupPlace {
    /// A directory, absolute.
    Directory(PathBuf),
    /// A bucket, or what lies below a prefix in it.
    Objects(ObjectsPlace),
}

impl BackupPlace {
    /// Reads a place: a directory that is relative would be another wherever the server is started.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if ObjectsPlace::is_meant(text) {
            return ObjectsPlace::parse(text).map(Self::Objects);
        }
        let path = Path::new(text);
        path.is_absolute().then(|| path.to_owned().into())
    }
}

impl From<PathBuf> for BackupPlace {
    fn from(path: PathBuf) -> Self {
        // A slash at its end makes it no other place.
        Self::Directory(path.components().collect())
    }
}

impl fmt::Display for BackupPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Objects(place) => place.fmt(f),
        }
    }
}

/// What the configuration says of backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupConfig {
    /// Where they go; `None` makes none.
    pub to: Option<BackupPlace>,
    /// Where the erasure ledger goes besides.
    pub ledger_to: Vec<BackupPlace>,
    /// Who may open key parts: public keys, `age1…` each.
    pub recipients: Vec<String>,
    /// How often one is made; `None` only when somebody asks.
    pub every: Option<Period>,
    /// How long key parts live.
    pub key_expiry: Period,
    /// Which backups stay; all, where no rule is given.
    pub keep: Keep,
    /// How object stores are reached.
    pub s3: ObjectsConfig,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            to: None,
            ledger_to: Vec::new(),
            recipients: Vec::new(),
            every: None,
            key_expiry: Period::parse(KEYS_FOR).expect("a period"),
            keep: Keep::default(),
            s3: ObjectsConfig::default(),
        }
    }
}

impl BackupConfig {
    /// Which backups stay: without a rule every one does, and only key parts that have expired go.
    #[must_use]
    pub fn kept(&self) -> Keep {
        match self.keep == Keep::default() {
            true => Keep {
                last: u32::MAX,
                ..Keep::default()
            },
            false => self.keep,
        }
    }

    /// Every place, each once.
    #[must_use]
    pub fn places(&self) -> Vec<BackupPlace> {
        let mut all: Vec<BackupPlace> = self.to.iter().chain(&self.ledger_to).cloned().collect();
        let mut seen = Vec::new();
        all.retain(|place| {
            let new = !seen.contains(place);
            seen.push(place.clone());
            new
        });
        all
    }

    /// The key that is set and of no use, and the one that is missing.
    pub(super) fn alone(&self) -> Option<(&'static str, &'static str)> {
        let to = self.to.is_some();
        if !to && self.every.is_some() {
            return Some(("backup.every", "backup.to"));
        }
        if !to && !self.recipients.is_empty() {
            return Some(("backup.recipients", "backup.to"));
        }
        if !to && self.keep != Keep::default() {
            return Some(("backup.keep", "backup.to"));
        }
        if self.every.is_some() && self.recipients.is_empty() {
            return Some(("backup.every", "backup.recipients"));
        }
        None
    }
}

pub(super) fn ledger_to(text: &str) -> Option<Vec<BackupPlace>> {
    let texts = list(text)?;
    let places: Option<Vec<_>> = texts.iter().map(|text| BackupPlace::parse(text)).collect();
    places.filter(|places| places.len() <= LEDGER_TO_MAX)
}

pub(super) fn recipients(text: &str) -> Option<Vec<String>> {
    let texts = list(text)?;
    let known = Recipients::parse(texts.iter().map(String::as_str));
    known.is_ok().then_some(texts)
}

pub(super) fn every(text: &str) -> Option<Option<Period>> {
    if text == "none" {
        return Some(None);
    }
    let period = Period::parse(text).ok()?;
    long(&period).then_some(Some(period))
}

pub(super) fn key_expiry(text: &str) -> Option<Period> {
    Period::parse(text).ok().filter(long)
}

fn long(period: &Period) -> bool {
    period.add_to(Timestamp::UNIX_EPOCH).as_second() >= EVERY_LEAST
}

/// A TOML list of texts, or texts with commas between them as the environment has them.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') {
        let table: toml::Table = format!("list = {text}").parse().ok()?;
        let items = table.get("list")?.as_array()?.iter();
        return items.map(|item| item.as_str().map(str::to_owned)).collect();
    }
    let items = text.split(',').map(str::trim);
    Some(
        items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect(),
    )
}

pub(super) fn print(items: impl IntoIterator<Item = String>) -> Option<String> {
    let items: Vec<toml::Value> = items.into_iter().map(toml::Value::String).collect();
    (!items.is_empty()).then(|| toml::Value::Array(items).to_string())
}

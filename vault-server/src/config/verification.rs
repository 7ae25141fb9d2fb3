//! The keys of `verification`: how codes reach the addresses that are on file.
//!
//! Knows the forms alone. Files are read when the server starts; whether a relay takes anything is found
//! out by sending.

use std::net::IpAddr;
use std::path::PathBuf;

use lettre::message::Mailbox;

use super::ConfigError;

/// What fits `verification.smtp.host`.
pub(super) const HOST: &str =
    "a host name or an address, such as mail.example.test, without a port";
/// What fits `verification.smtp.tls`.
pub(super) const TLS: &str = "implicit, starttls or none";
/// What fits `verification.smtp.from`.
pub(super) const FROM: &str = "one e-mail address in ASCII, with a name before it or without, such as Example Travel <codes@example.test>";
/// What fits `verification.smtp.user`.
pub(super) const USER: &str = "1 to 320 visible characters";

/// Longest host name. Source: RFC 1035 §2.3.4.
const HOST_BYTES_MAX: usize = 253;
/// Longest sender, with its name.
const FROM_BYTES_MAX: usize = 320;

/// When TLS begins on a connection to a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmtpTls {
    /// With its first byte (RFC 8314).
    #[default]
    Implicit,
    /// Never; to this machine alone.
    None,
    /// After `STARTTLS`, without which nothing is said (RFC 3207).
    StartTls,
}

impl SmtpTls {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::None => "none",
            Self::StartTls => "starttls",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [Self::Implicit, Self::None, Self::StartTls];
        all.into_iter().find(|tls| tls.name() == name)
    }
}

/// A relay that takes mails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmtpConfig {
    /// Its name or address; without one no mail is sent.
    pub host: Option<String>,
    /// Its port, where it is not the usual one.
    pub port: Option<u16>,
    /// When TLS begins.
    pub tls: SmtpTls,
    /// Who the mails are from.
    pub from: Option<String>,
    /// As whom to log in.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// Who vouches for its certificate, instead of the public roots.
    pub ca: Option<PathBuf>,
}

impl SmtpConfig {
    /// The port that is connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Implicit => 465,
            SmtpTls::None => 25,
            SmtpTls::StartTls => 587,
        })
    }
}

/// What the configuration says of verification codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationConfig {
    /// Who sends codes on, an `https` URL.
    pub webhook: Option<String>,
    /// The file with the secret that signs what they are told.
    pub secret_file: Option<PathBuf>,
    /// Who vouches for their certificate, instead of the public roots.
    pub ca: Option<PathBuf>,
    /// Whether they are in a private network.
    pub private: bool,
    /// Who takes mails.
    pub smtp: SmtpConfig,
}

impl VerificationConfig {
    /// The key that is set and of no use, and the one that is missing.
    pub(super) fn alone(&self) -> Option<(&'static str, &'static str)> {
        const HOOK: &str = "verification.webhook";
        const HOST: &str = "verification.smtp.host";
        const USER: &str = "verification.smtp.user";
        const FILE: &str = "verification.smtp.password_file";
        let smtp = &self.smtp;
        let (hook, host) = (self.webhook.is_some(), smtp.host.is_some());
        let (user, file) = (smtp.user.is_some(), smtp.password_file.is_some());
        let secret = self.secret_file.is_some();
        let pairs = [
            (hook && !secret, HOOK, "verification.secret_file"),
            (!hook && secret, "verification.secret_file", HOOK),
            (!hook && self.ca.is_some(), "verification.ca", HOOK),
            (!hook && self.private, "verification.private", HOOK),
            (host && smtp.from.is_none(), HOST, "verification.smtp.from"),
            (!host && smtp.from.is_some(), "verification.smtp.from", HOST),
            (!host && smtp.port.is_some(), "verification.smtp.port", HOST),
            (!host && user, USER, HOST),
            (!host && file, FILE, HOST),
            (!host && smtp.ca.is_some(), "verification.smtp.ca", HOST),
            (user && !file, USER, FILE),
            (file && !user, FILE, USER),
        ];
        let found = pairs.into_iter().find(|(lacks, ..)| *lacks);
        found.map(|(_, key, needs)| (key, needs))
    }

    /// Without TLS a code and a password would cross a network in clear.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] where they would.
    pub(super) fn demand_tls(&self) -> Result<(), ConfigError> {
        let host = self.smtp.host.as_deref();
        match self.smtp.tls == SmtpTls::None && host.is_some_and(|host| !this_machine(host)) {
            false => Ok(()),
            true => Err(ConfigError::Value {
                key: "verification.smtp.tls".to_owned(),
                expected: "implicit or starttls; none only where `verification.smtp.host` is localhost, 127.0.0.1 or ::1".to_owned(),
            }),
        }
    }
}

/// Whether a host is this machine by its name.
fn this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

pub(super) fn host(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let name = !text.is_empty() && text.len() <= HOST_BYTES_MAX && text.bytes().all(plain);
    let fits = name || text.parse::<IpAddr>().is_ok();
    fits.then(|| text.to_ascii_lowercase())
}

/// One sender. Controls would end a header; more than one address would be somebody else's mail.
pub(super) fn from(text: &str) -> Option<String> {
    let short = text.len() <= FROM_BYTES_MAX && !text.chars().any(char::is_control);
    let sender: Mailbox = short.then(|| text.parse().ok()).flatten()?;
    let bare: &str = sender.email.as_ref();
    // What follows the address is not read by the parser, and would be lost in silence.
    let whole = text.ends_with(bare) || text.ends_with(&format!("<{bare}>"));
    (bare.is_ascii() && whole).then(|| text.to_owned())
}

pub(super) fn user(text: &str) -> Option<String> {
    let fits = (1..=FROM_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

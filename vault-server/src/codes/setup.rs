//! What is read before the sandbox closes: who takes codes, and what is said and trusted there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use vault_core::clock::{Clock, SystemClock};

use super::Codes;
use super::mail::Mail;
use crate::alarm::{self, AlarmError};
use crate::config::{SmtpConfig, SmtpTls, VerificationConfig};
use crate::webhook::{Address, AddressError, Target, Webhook};

/// Why codes cannot be sent as the configuration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodesError {
    /// The URL is none.
    #[error("`verification.webhook`: {0}")]
    Address(#[from] AddressError),
    /// A file is not what it has to be.
    #[error(transparent)]
    File(#[from] AlarmError),
    /// The sender is none.
    #[error("`verification.smtp.from` is not one e-mail address")]
    From,
    /// The password is none.
    #[error(
        "`verification.smtp.password_file`, {0}, holds no password: one line of visible characters is expected"
    )]
    Password(PathBuf),
    /// Nobody could be trusted.
    #[error("TLS cannot be spoken with `verification.smtp.host`; look at `verification.smtp.ca`")]
    Tls,
}

impl Codes {
    /// What the configuration says, if it names anybody who takes codes. Reads its files; a credential of
    /// systemd in `credentials` is as systemd hands it out.
    ///
    /// # Errors
    ///
    /// See [`CodesError`].
    pub fn prepare(
        config: &VerificationConfig,
        credentials: Option<&Path>,
        alarm: Option<Webhook>,
    ) -> Result<Option<Self>, CodesError> {
        Self::with_clock(config, credentials, alarm, Arc::new(SystemClock))
    }

    /// The same with this clock.
    ///
    /// # Errors
    ///
    /// See [`CodesError`].
    pub fn with_clock(
        config: &VerificationConfig,
        credentials: Option<&Path>,
        alarm: Option<Webhook>,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, CodesError> {
        let webhook = webhook(config, credentials)?;
        let mail = mail(&config.smtp, credentials)?;
        let any = webhook.is_some() || mail.is_some();
        Ok(any.then(|| Self::new(mail, webhook, alarm, clock)))
    }
}

fn webhook(
    config: &VerificationConfig,
    credentials: Option<&Path>,
) -> Result<Option<Target>, CodesError> {
    let (Some(url), Some(file)) = (&config.webhook, &config.secret_file) else {
        return Ok(None);
    };
    let address = Address::parse(url, config.private)?;
    let secret = alarm::secret("verification.secret_file", file, credentials)?;
    let roots = alarm::roots("verification.ca", config.ca.as_deref())?;
    Ok(Some(Target::new(address, secret, roots)))
}

fn mail(config: &SmtpConfig, credentials: Option<&Path>) -> Result<Option<Mail>, CodesError> {
    let (Some(host), Some(from)) = (&config.host, &config.from) else {
        return Ok(None);
    };
    let entered = match (&config.user, &config.password_file) {
        (Some(user), Some(file)) => {
            let password = password(file, credentials)?;
            Some(Credentials::new(user.clone(), password))
        }
        _ => None,
    };
    let parameters = match config.tls {
        SmtpTls::None => None,
        SmtpTls::Implicit | SmtpTls::StartTls => Some(trusting(host, config.ca.as_deref())?),
    };
    Ok(Some(Mail {
        host: host.clone(),
        port: config.port(),
        tls: config.tls,
        parameters,
        from: from.parse().map_err(|_| CodesError::From)?,
        credentials: entered,
    }))
}

fn password(file: &Path, credentials: Option<&Path>) -> Result<String, CodesError> {
    let bytes = alarm::private("verification.smtp.password_file", file, credentials)?;
    let text = std::str::from_utf8(&bytes)
        .ok()
        .map(|text| text.trim_end_matches(['\r', '\n']));
    let text = text.filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
    let text = text.ok_or_else(|| CodesError::Password(file.to_owned()))?;
    Ok(text.to_owned())
}

/// TLS with `host`, whose certificate a root of `ca` vouches for, or one of those that browsers trust.
fn trusting(host: &str, ca: Option<&Path>) -> Result<TlsParameters, CodesError> {
    let builder = TlsParameters::builder(host.to_owned());
    let builder = match ca {
        None => builder.certificate_store(CertificateStore::WebpkiRoots),
        Some(path) => {
            let mut builder = builder.certificate_store(CertificateStore::None);
            for one in alarm::certificates("verification.smtp.ca", path)? {
                let one = Certificate::from_der(one.to_vec()).map_err(|_| CodesError::Tls)?;
                builder = builder.add_root_certificate(one);
            }
            builder
        }
    };
    builder.build_rustls().map_err(|_| CodesError::Tls)
}

/// The ports that are connected to.
pub(crate) fn ports(config: &VerificationConfig) -> Vec<u16> {
    let webhook = config.webhook.as_deref();
    let webhook = webhook.and_then(|url| Address::parse(url, false).ok());
    let mail = config.smtp.host.is_some().then(|| config.smtp.port());
    let webhook = webhook.map(|address| address.port());
    webhook.into_iter().chain(mail).collect()
}

//! What goes wrong between here and a store, in words of ours: what services and clients say may quote what they were
//! sent, credentials among it.

use std::error::Error;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

/// Why something was not done. Each says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Fault {
    /// No such object.
    #[error("it is not there")]
    Absent,
    /// An answer that nobody foresaw.
    #[error("the store answered with status {0}, which says nothing that is understood here")]
    Answer(u16),
    /// Nobody answers.
    #[error(
        "{0} cannot be reached: look at the endpoint (AWS_ENDPOINT_URL, `backup.s3.endpoint`), at the network and at whether the service runs"
    )]
    Away(String),
    /// The file of authorities is none.
    #[error(
        "the certificates at {0} cannot be read: PEM is expected, at least one (AWS_CA_BUNDLE, `backup.s3.ca`)"
    )]
    Authorities(String),
    /// There is no such bucket.
    #[error(
        "there is no such bucket: look at its name and at the endpoint, or make it; it is never made from here"
    )]
    Bucket,
    /// It is another object now.
    #[error("it was replaced while it was read: begin again")]
    Changed,
    /// Clocks differ too much.
    #[error("the clock of this machine differs too much from the store's: set it right")]
    Clock,
    /// The file of credentials holds none that can be used.
    #[error("{0}")]
    Credentials(String),
    /// These credentials may not.
    #[error(
        "access denied: these credentials may not do this there (docs/operations.md, \"Backups in an object store\", says which rights are needed)"
    )]
    Denied,
    /// The work broke off by a defect.
    #[error("a defect ended the work")]
    Ended,
    /// The endpoint is none.
    #[error(
        "the endpoint is not usable: an https:// URL without path is expected (http:// to this machine alone) in AWS_ENDPOINT_URL or `backup.s3.endpoint`"
    )]
    Endpoint,
    /// The session is over.
    #[error("the session of these credentials is over: get new ones")]
    Expired,
    /// No region where one is needed.
    #[error("no region is named: set AWS_REGION, or `backup.s3.region` in vault.toml")]
    NoRegion,
    /// What was read is not what was promised.
    #[error("the store's answer is not of the S3 protocol: look at the endpoint")]
    Protocol,
    /// Another region.
    #[error(
        "the bucket is in another region than was named: set AWS_REGION, or `backup.s3.region` in vault.toml, to that of the bucket"
    )]
    Region,
    /// It took too long.
    #[error("the store took too long: try again")]
    Slow,
    /// TLS failed.
    #[error(
        "the certificate of {0} is not trusted, or TLS failed otherwise: a private authority is named by AWS_CA_BUNDLE or `backup.s3.ca`"
    )]
    Tls(String),
    /// Unknown key or wrong secret.
    #[error(
        "the store does not know these credentials: the access key is unknown, or the secret key is not the one that belongs to it"
    )]
    Unknown,
}

impl Fault {
    /// What an answer that is not 2xx says: by the code in it, and where there is none by the status.
    pub(super) fn answered(status: u16, body: Option<&str>) -> Self {
        match (code(body.unwrap_or_default()), status) {
            ("AccessDenied" | "AllAccessDisabled" | "MethodNotAllowed", _) => Self::Denied,
            (
                "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
                | "PermanentRedirect"
                | "TemporaryRedirect",
                _,
            ) => Self::Region,
            ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => Self::Expired,
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidSecurity", _) => {
                Self::Unknown
            }
            ("NoSuchBucket", _) => Self::Bucket,
            ("NoSuchKey" | "NoSuchUpload" | "NoSuchVersion", _) => Self::Absent,
            ("RequestTimeTooSkewed", _) => Self::Clock,
            (_, 301 | 302 | 307 | 308) => Self::Region,
            (_, 401 | 403) => Self::Denied,
            (_, 404) => Self::Absent,
            (_, 412) => Self::Changed,
            (_, status) => Self::Answer(status),
        }
    }

    /// What a list that failed says: it is never an object that is not there.
    pub(super) fn of_list(error: object_store::Error) -> Self {
        match Self::from(error) {
            Self::Absent => Self::Bucket,
            fault => fault,
        }
    }

    /// Whether the next try may go better.
    pub(super) fn passes(&self) -> bool {
        matches!(
            self,
            Self::Away(_) | Self::Protocol | Self::Slow | Self::Answer(429 | 500..)
        )
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Absent => io::ErrorKind::NotFound,
            Self::Away(_) | Self::Tls(_) | Self::Bucket | Self::Answer(_) => {
                io::ErrorKind::NotConnected
            }
            Self::Slow => io::ErrorKind::TimedOut,
            Self::Authorities(_)
            | Self::Clock
            | Self::Credentials(_)
            | Self::Denied
            | Self::Endpoint
            | Self::Expired
            | Self::NoRegion
            | Self::Region
            | Self::Unknown => io::ErrorKind::PermissionDenied,
            Self::Changed | Self::Ended | Self::Protocol => io::ErrorKind::ConnectionAborted,
        }
    }
}

/// The text between `<Code>` and its end, in an answer of the S3 protocol.
fn code(body: &str) -> &str {
    let begun = body.split_once("<Code>").map(|(_, rest)| rest);
    begun
        .and_then(|rest| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code)
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind(), fault)
    }
}

impl From<object_store::Error> for Fault {
    fn from(error: object_store::Error) -> Self {
        let precondition = matches!(error, object_store::Error::Precondition { .. });
        let absent = matches!(error, object_store::Error::NotFound { .. });
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(now) = cause {
            if let Some(fault) = now.downcast_ref::<Self>() {
                return fault.clone();
            }
            cause = now.source();
        }
        match (precondition, absent) {
            (true, _) => Self::Changed,
            (_, true) => Self::Absent,
            _ => Self::Protocol,
        }
    }
}

impl From<Fault> for HttpError {
    /// Of a kind after which `object_store` tries nothing again: the client below it did.
    fn from(fault: Fault) -> Self {
        Self::new(HttpErrorKind::Unknown, fault)
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let known = error.source().and_then(|cause| cause.downcast_ref());
        known.cloned().unwrap_or(Self::Protocol)
    }
}

//! With which rights, and where the service is: the configuration first, then the variables that every tool for S3 reads.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::{CredentialProvider, ObjectStore, RetryConfig};
use vault_core::limits::OBJECT_CREDENTIALS_BYTES_MAX;
use zeroize::Zeroizing;

use super::calls::Bucket;
use super::client::Client;
use super::fault::Fault;
use super::name::ObjectsPlace;
use crate::alarm;
use crate::webhook::{Address, Target};

/// Where a region is of no meaning, which is so of most services but that of AWS.
const NO_REGION: &str = "us-east-1";
/// The profile of a file of credentials unless AWS_PROFILE names another.
const PROFILE: &str = "default";
/// What there must be, where there is nothing.
const NONE: &str = "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file that holds them (`backup.s3.credentials_file`, AWS_SHARED_CREDENTIALS_FILE)";

/// What the configuration says of object stores (`backup.s3.…`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectsConfig {
    /// The service's URL; that of AWS without it.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// A file of credentials, of the form of `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
    /// A file of certificates that vouch for the service, in place of those that browsers trust.
    pub ca: Option<PathBuf>,
}

/// A variable of this process's environment; an empty one is none.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a region: it becomes part of a host's name.
pub(crate) fn region(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (1..=63).contains(&text.len()) && text.bytes().all(plain);
    fits.then(|| text.to_owned())
}

/// Reads an endpoint: a URL without a path, in clear to this machine alone.
pub(crate) fn endpoint(text: &str) -> Option<Address> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let address = Address::parse(text, true).ok()?;
    let (_, rest) = text.split_once("://")?;
    (!rest.contains(['/', '?'])).then_some(address)
}

/// How a store is reached. Credentials are in memory only where they came from the environment, as they are in the
/// process's anyway.
pub(super) struct Access {
    /// As it was written; `None` is the service of AWS.
    endpoint: Option<String>,
    region: Option<String>,
    source: Source,
    ca: Option<PathBuf>,
}

/// Where credentials come from.
#[derive(Clone)]
enum Source {
    /// Two variables.
    Keys(Arc<AwsCredential>),
    /// A file and the profile in it; read each time, for whoever replaces it means it.
    File(PathBuf, String),
    None,
}

impl Access {
    pub(super) fn new(
        config: &ObjectsConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let either = |first: &str, second: &str| environment(first).or_else(|| environment(second));
        let endpoint = config.endpoint.clone();
        let region = config.region.clone();
        let ca = config.ca.clone();
        Self {
            endpoint: endpoint.or_else(|| either("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")),
            region: region.or_else(|| either("AWS_REGION", "AWS_DEFAULT_REGION")),
            source: Source::find(config, environment),
            ca: ca.or_else(|| environment("AWS_CA_BUNDLE").map(PathBuf::from)),
        }
    }

    /// Host and port, where the service is not that of AWS.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let endpoint = self.endpoint.as_deref()?;
        let authority = endpoint
            .split_once("://")
            .map_or(endpoint, |(_, rest)| rest);
        // Whatever else it may hold is not shown: the endpoint is refused when it is used.
        let host = authority.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        Some(host.to_ascii_lowercase())
    }

    pub(super) fn port(&self) -> u16 {
        let endpoint = self.endpoint.as_deref().and_then(endpoint);
        endpoint.map_or(443, |address| address.port())
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let credentials = match &self.source {
            Source::File(path, _) => Some(path.as_path()),
            Source::Keys(_) | Source::None => None,
        };
        credentials.into_iter().chain(self.ca.as_deref())
    }

    /// The credentials of this moment.
    pub(super) fn credentials(&self) -> Result<Arc<AwsCredential>, Fault> {
        self.source.read()
    }

    /// The bucket's URL, and whether its name is in the host's.
    fn url(&self, place: &ObjectsPlace) -> Result<(String, Address, bool), Fault> {
        let bucket = place.bucket();
        let (base, own) = match &self.endpoint {
            Some(text) => {
                endpoint(text).ok_or(Fault::Endpoint)?;
                (text.trim_end_matches('/').to_owned(), false)
            }
            None => {
                let region = self.region()?;
                let china = if region.starts_with("cn-") { ".cn" } else { "" };
                let service = format!("s3.{region}.amazonaws.com{china}");
                // A certificate for every bucket is for names without a dot.
                match bucket.contains(['.', '_']) || bucket.bytes().any(|b| b.is_ascii_uppercase())
                {
                    true => (format!("https://{service}"), false),
                    false => (format!("https://{bucket}.{service}"), true),
                }
            }
        };
        let address = endpoint(&base).ok_or(Fault::Endpoint)?;
        Ok((base, address, own))
    }

    fn region(&self) -> Result<String, Fault> {
        match (&self.region, &self.endpoint) {
            (Some(named), _) => region(named).ok_or(Fault::Region),
            (None, Some(_)) => Ok(NO_REGION.to_owned()),
            (None, None) => Err(Fault::NoRegion),
        }
    }

    /// What speaks to the bucket of `place`.
    pub(super) fn open(
        &self,
        place: &ObjectsPlace,
    ) -> Result<(Arc<dyn ObjectStore>, Bucket), Fault> {
        let (base, address, own) = self.url(place)?;
        let region = self.region()?;
        let tls = match address.secure() {
            false => None,
            true => {
                let roots = alarm::roots("backup.s3.ca", self.ca.as_deref());
                let shown = || {
                    self.ca
                        .as_deref()
                        .unwrap_or(Path::new(""))
                        .display()
                        .to_string()
                };
                Some(Target::client(
                    roots.map_err(|_| Fault::Authorities(shown()))?,
                ))
            }
        };
        let client = Client::new(address.host().to_owned(), address.port(), tls);
        self.with(client, place, (&base, own), region)
    }

    /// The same over a client that is given.
    pub(super) fn with(
        &self,
        client: Client,
        place: &ObjectsPlace,
        (base, own): (&str, bool),
        region: String,
    ) -> Result<(Arc<dyn ObjectStore>, Bucket), Fault> {
        let source = Arc::new(self.source.clone());
        let once = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        let store = AmazonS3Builder::new()
            .with_endpoint(base)
            .with_virtual_hosted_style_request(own)
            .with_bucket_name(place.bucket())
            .with_region(&region)
            .with_credentials(source.clone())
            .with_allow_http(base.starts_with("http://"))
            .with_retry(once)
            .with_http_connector(client.clone())
            .build()?;
        let url = match own {
            true => base.to_owned(),
            false => format!("{base}/{}", place.bucket()),
        };
        let bucket = Bucket::new(client, source, url, region);
        Ok((Arc::new(store), bucket))
    }
}

impl Source {
    fn find(config: &ObjectsConfig, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let profile = || environment("AWS_PROFILE").unwrap_or_else(|| PROFILE.to_owned());
        if let Some(file) = &config.credentials_file {
            return Self::File(file.clone(), profile());
        }
        let keys = environment("AWS_ACCESS_KEY_ID").zip(environment("AWS_SECRET_ACCESS_KEY"));
        if let Some((key_id, secret_key)) = keys {
            return Self::Keys(Arc::new(AwsCredential {
                key_id,
                secret_key,
                token: environment("AWS_SESSION_TOKEN"),
            }));
        }
        if let Some(file) = environment("AWS_SHARED_CREDENTIALS_FILE") {
            return Self::File(file.into(), profile());
        }
        let home = environment("HOME").map(|home| Path::new(&home).join(".aws/credentials"));
        match home.filter(|file| file.is_file()) {
            Some(file) => Self::File(file, profile()),
            None => Self::None,
        }
    }

    fn read(&self) -> Result<Arc<AwsCredential>, Fault> {
        let found = match self {
            Self::Keys(keys) => keys.clone(),
            Self::File(path, profile) => Arc::new(from_file(path, profile)?),
            Self::None => return Err(Fault::Credentials(NONE.into())),
        };
        // They become headers, where the client would stop at anything else.
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let all = visible(&found.key_id)
            && visible(&found.secret_key)
            && found.token.as_deref().is_none_or(visible);
        match all {
            true => Ok(found),
            false => Err(Fault::Credentials(
                "the credentials hold what no credentials do: a space, an empty text or a letter outside of ASCII".into(),
            )),
        }
    }
}

/// A profile of a file as `aws configure` writes it.
fn from_file(path: &Path, profile: &str) -> Result<AwsCredential, Fault> {
    let shown = path.display();
    let refused = |what: String| Fault::Credentials(what);
    let unread = |error: std::io::Error| {
        refused(format!(
            "the credentials in {shown} cannot be read ({})",
            error.kind()
        ))
    };
    let file = std::fs::File::open(path).map_err(unread)?;
    let mode = file.metadata().map_err(unread)?.mode() & 0o777;
    // systemd hands out files that the service's user alone reads, by an access list that the mode shows as the group's.
    let handed = environment("CREDENTIALS_DIRECTORY").is_some_and(|dir| path.starts_with(dir));
    if mode & 0o077 != 0 && !handed {
        return Err(refused(format!(
            "the credentials in {shown} can be read by others (mode {mode:o}): chmod 600 it"
        )));
    }
    let mut text = Zeroizing::new(String::new());
    let read = file
        .take(OBJECT_CREDENTIALS_BYTES_MAX)
        .read_to_string(&mut text);
    read.map_err(unread)?;
    let (mut inside, mut key_id, mut secret_key, mut token) = (false, None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            inside = name.trim() == profile;
        } else if let (true, Some((name, value))) = (inside, line.split_once('=')) {
            let value = Some(value.trim().to_owned());
            match name.trim() {
                "aws_access_key_id" => key_id = value,
                "aws_secret_access_key" => secret_key = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    match (key_id, secret_key) {
        (Some(key_id), Some(secret_key)) => Ok(AwsCredential {
            key_id,
            secret_key,
            token,
        }),
        _ => Err(refused(format!(
            "{shown} has no aws_access_key_id and aws_secret_access_key under [{profile}]"
        ))),
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keys(_) => "Keys(..)",
            Self::File(..) => "File(..)",
            Self::None => "None",
        })
    }
}

#[async_trait]
impl CredentialProvider for Source {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.read().map_err(|fault| object_store::Error::Generic {
            store: "S3",
            source: Box::new(fault),
        })
    }
}

/// Credentials for signing what `object_store` does not ask.
pub(super) type Credentials = Arc<dyn CredentialProvider<Credential = AwsCredential>>;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const SECRET: &str = "canary-secret-of-the-store";

    fn place() -> ObjectsPlace {
        ObjectsPlace::parse("s3://vault/b").expect("a place")
    }

    fn refused(config: &ObjectsConfig, variables: &[(&str, &str)]) -> String {
        let access = Access::new(config, &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        let opened = access.open(&place()).map(drop);
        let refused = opened.and(access.credentials().map(drop));
        refused.expect_err("refused").to_string()
    }

    #[test]
    fn what_is_missing_is_named_and_the_clear_is_for_this_machine_alone() {
        let config = ObjectsConfig::default();
        let region = ("AWS_REGION", "eu-central-1");
        assert!(refused(&config, &[]).contains("AWS_REGION"));
        assert!(refused(&config, &[region]).contains("AWS_ACCESS_KEY_ID"));
        // Half of them is none.
        assert!(refused(&config, &[region, ("AWS_ACCESS_KEY_ID", "a")]).contains("no credentials"));
        for endpoint in [
            "http://10.0.0.1:9000",
            "http://store.test",
            "https://store.test/path",
            "store.test",
        ] {
            let said = refused(&config, &[("AWS_ENDPOINT_URL", endpoint)]);
            assert!(said.contains("http:// to this machine alone"), "{said}");
        }
        let wrong = [
            region,
            ("AWS_ACCESS_KEY_ID", "a\nb"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ];
        let said = refused(&config, &wrong);
        assert!(
            said.contains("no credentials do") && !said.contains(SECRET),
            "{said}"
        );
    }

    #[test]
    fn a_bucket_of_aws_is_in_the_hosts_name_and_of_others_in_the_path() {
        let url = |place: &str, variables: &'static [(&str, &str)]| {
            let access = Access::new(&ObjectsConfig::default(), &|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            let place = ObjectsPlace::parse(place).expect("a place");
            let (base, address, own) = access.url(&place).expect("a URL");
            (base, address.port(), own)
        };
        let aws: &[_] = &[("AWS_REGION", "eu-central-1")];
        let expected = "https://vault.s3.eu-central-1.amazonaws.com".to_owned();
        assert_eq!(url("s3://vault/b", aws), (expected, 443, true));
        let expected = "https://s3.eu-central-1.amazonaws.com".to_owned();
        assert_eq!(url("s3://va.ult/b", aws), (expected, 443, false));
        let other: &[_] = &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/")];
        let expected = "http://127.0.0.1:9000".to_owned();
        assert_eq!(url("s3://vault/b", other), (expected, 9000, false));
    }

    #[test]
    fn a_file_of_credentials_is_read_each_time_and_only_where_nobody_else_can() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("s3");
        let write = |text: &str, mode: u32| {
            std::fs::write(&path, text).expect("written");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("changed");
        };
        let config = ObjectsConfig {
            credentials_file: Some(path.clone()),
            ..ObjectsConfig::default()
        };
        let access = |profile: Option<&'static str>| {
            // The configuration goes before the environment.
            Access::new(&config, &move |name| match name {
                "AWS_PROFILE" => profile.map(str::to_owned),
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("other".into()),
                _ => None,
            })
        };
        let text = format!(
            "# of the vault\n[default]\naws_access_key_id = one\naws_secret_access_key={SECRET}\n\n[ second ]\naws_access_key_id=two\naws_secret_access_key=word\naws_session_token=t\n[third]\naws_access_key_id=three\n"
        );
        write(&text, 0o600);
        let first = access(None).credentials().expect("read");
        assert_eq!(
            (&*first.key_id, &*first.secret_key, &first.token),
            ("one", SECRET, &None)
        );
        let second = access(Some("second"));
        let read = second.credentials().expect("read");
        assert_eq!((&*read.key_id, read.token.as_deref()), ("two", Some("t")));
        write(&text.replace("two", "new"), 0o600);
        assert_eq!(second.credentials().expect("read").key_id, "new");
        for (profile, mode, says) in [
            (Some("third"), 0o600, "under [third]"),
            (Some("fourth"), 0o600, "under [fourth]"),
            (None, 0o640, "chmod 600"),
            (None, 0o604, "chmod 600"),
        ] {
            write(&text, mode);
            let said = access(profile).credentials().expect_err(says).to_string();
            assert!(said.contains(says) && !said.contains(SECRET), "{said}");
        }
        std::fs::remove_file(&path).expect("removed");
        let said = access(None).credentials().expect_err("gone").to_string();
        assert!(said.contains("cannot be read"), "{said}");
    }

    #[test]
    fn no_secret_is_shown() {
        let keys = Access::new(&ObjectsConfig::default(), &|name| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKIACANARY".into()),
            "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => Some(SECRET.into()),
            _ => None,
        });
        assert_eq!(format!("{:?}", keys.source), "Keys(..)");
    }
}

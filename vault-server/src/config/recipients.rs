//! The keys of `recipients`: which hosts are told of a person's rights, and what their messages are signed with.
//!
//! Where a recipient is told stands in the policy, which whoever applies policies can change; that nothing goes
//! anywhere else than an operator has said stands here.

use std::path::PathBuf;

/// What fits `recipients.allow`.
pub(super) const ALLOW: &str = "a list of at most 1000 hosts, each HOST or HOST:PORT (443 without one), such as carrier.example.test";
/// Most hosts.
const ALLOW_MAX: usize = 1_000;

/// A host and a port that may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// In small letters, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What the configuration says of recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientConfig {
    /// Whom anything may be sent to; nobody where it is empty.
    pub allow: Vec<Allowed>,
    /// A directory with a file for each recipient, named as in the policy: what their messages are signed with.
    pub secret_dir: Option<PathBuf>,
    /// Who vouches for their certificates, instead of the public roots.
    pub ca: Option<PathBuf>,
    /// Whether their names may lead to private addresses.
    pub private: bool,
}

impl RecipientConfig {
    /// The key that is set and of no use, and the one that is missing.
    pub(super) fn alone(&self) -> Option<(&'static str, &'static str)> {
        if !self.allow.is_empty() {
            let lacks = self.secret_dir.is_none();
            return lacks.then_some(("recipients.allow", "recipients.secret_dir"));
        }
        let set = [
            (self.secret_dir.is_some(), "recipients.secret_dir"),
            (self.ca.is_some(), "recipients.ca"),
            (self.private, "recipients.private"),
        ];
        let set = set.into_iter().find(|(set, _)| *set);
        set.map(|(_, key)| (key, "recipients.allow"))
    }
}

/// Reads one host: no scheme, no path, no pattern.
fn host(text: &str) -> Option<Allowed> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let fits = !host.is_empty() && host.len() <= 253 && host.bytes().all(plain);
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None => 443,
    };
    fits.then(|| Allowed {
        host: host.to_ascii_lowercase(),
        port,
    })
}

pub(super) fn allow(texts: &[String]) -> Option<Vec<Allowed>> {
    let hosts: Option<Vec<_>> = texts.iter().map(|text| host(text)).collect();
    hosts.filter(|hosts| hosts.len() <= ALLOW_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port_and_no_pattern() {
        for (text, shown) in [
            ("carrier.example.test", "carrier.example.test:443"),
            ("Carrier.Example.Test:8443", "carrier.example.test:8443"),
            ("10.0.0.3:8443", "10.0.0.3:8443"),
            ("localhost:9", "localhost:9"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(
                host(text).map(|host| host.to_string()).as_deref(),
                Some(shown)
            );
        }
        for wrong in [
            "",
            "*.example.test",
            "https://carrier.example.test",
            "carrier.example.test/x",
            "carrier.example.test:0",
            "carrier.example.test:x",
            "a@b",
            "[carrier]:1",
            "[::1",
        ] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_that_are_of_no_use_alone_say_what_they_lack() {
        let mut config = RecipientConfig::default();
        assert_eq!(config.alone(), None);
        config.private = true;
        assert_eq!(
            config.alone(),
            Some(("recipients.private", "recipients.allow"))
        );
        config.allow = allow(&["carrier.example.test".into()]).unwrap();
        assert_eq!(
            config.alone(),
            Some(("recipients.allow", "recipients.secret_dir"))
        );
        config.secret_dir = Some("/etc/secrets".into());
        assert_eq!(config.alone(), None);
    }
}

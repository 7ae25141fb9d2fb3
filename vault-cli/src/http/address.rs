//! The address of a server: what is taken for one, and when it may be plain http.

use std::net::IpAddr;
use std::str::FromStr;

use super::HttpError;

/// `https://host:port`, or `http://` to this machine; without a slash at the end.
pub(super) struct Address(pub(super) String);

impl FromStr for Address {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        let url = text.trim_end_matches('/');
        let (plain, host) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(host), _) => (true, host),
            (None, Some(host)) => (false, host),
            (None, None) => return Err(HttpError::Address),
        };
        let unusual = |c: char| !(c.is_ascii_alphanumeric() || ".:-[]_".contains(c));
        if host.is_empty() || host.contains(unusual) {
            return Err(HttpError::Address);
        }
        // A token in clear is anybody's on the way.
        if plain && !loopback(host) {
            return Err(HttpError::Plain);
        }
        Ok(Self(url.to_owned()))
    }
}

/// Whether `host:port` is this machine, whatever a resolver says.
fn loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = name.parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_without_more_is_taken() {
        for right in [
            "http://127.0.0.1:8200/",
            "http://[::1]:8200",
            "http://localhost:8200",
            "https://vault.example.test",
            "https://203.0.113.7:8787/",
        ] {
            assert!(right.parse::<Address>().is_ok(), "{right}");
        }
        for wrong in [
            "",
            "127.0.0.1:8200",
            "ftp://127.0.0.1",
            "http://",
            "https://",
            "https://user:word@host",
            "https://host/path",
            "https://ho st",
        ] {
            let refused = wrong.parse::<Address>();
            assert!(matches!(refused, Err(HttpError::Address)), "{wrong}");
        }
    }

    #[test]
    fn plain_http_leaves_this_machine_never() {
        for elsewhere in [
            "http://vault.example.test",
            "http://203.0.113.7:8787",
            "http://localhost.example.test",
            "http://[2001:db8::1]:80",
            "http://127.0.0.1.example.test:80",
            "http://0.0.0.0",
        ] {
            let refused = elsewhere.parse::<Address>();
            assert!(matches!(refused, Err(HttpError::Plain)), "{elsewhere}");
        }
    }
}

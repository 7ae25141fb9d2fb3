//! Where webhooks go: one URL, fixed by the configuration, and what kinds of address it may lead to.
//!
//! A name is resolved at each try, and whoever controls it could point it into the network of the vault.
//! So the kind of address is fixed with the URL: a name of the internet leads to public addresses alone,
//! unless the configuration says that the receiver is in a private network; and only a URL that names
//! this machine leads to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::Uri;

/// Longest URL.
const URL_BYTES_MAX: usize = 2_048;

/// Why a URL is no destination. It is never repeated: some hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not of the known form.
    #[error(
        "an https:// URL is expected (http:// to this machine alone), without user, password and fragment"
    )]
    Form,
}

/// The destination of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    /// Whether TLS is spoken.
    pub(super) secure: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What the request line and `Host` say.
    pub(super) path: String,
    pub(super) authority: String,
    private: bool,
}

/// A kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Loopback,
    /// Nobody's to call: link-local (where clouds keep their credentials), multicast, unspecified.
    Never,
    Private,
    Public,
}

impl Address {
    /// Reads a URL. `private` allows addresses of private networks.
    ///
    /// # Errors
    ///
    /// [`AddressError::Form`].
    pub fn parse(url: &str, private: bool) -> Result<Self, AddressError> {
        let wrong = AddressError::Form;
        if url.len() > URL_BYTES_MAX
            || url.contains('#')
            || !url.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(wrong);
        }
        let uri: Uri = url.parse().map_err(|_| wrong)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong),
        };
        let authority = uri.authority().ok_or(wrong)?;
        if authority.as_str().contains('@') {
            return Err(wrong);
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        // `http` reads a port that is none as no port.
        let written = authority.as_str() != authority.host();
        let port = match (authority.port_u16(), written, secure) {
            (Some(0), ..) | (None, true, _) => return Err(wrong),
            (Some(port), ..) => port,
            (None, false, true) => 443,
            (None, false, false) => 80,
        };
        let address = Self {
            text: url.to_owned(),
            secure,
            host: host.to_ascii_lowercase(),
            port,
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            authority: authority.as_str().to_owned(),
            private,
        };
        match !address.host.is_empty() && (secure || address.names_this_machine()) {
            true => Ok(address),
            false => Err(wrong),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, for the log: what may be a secret stands in the path.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host, in small letters and without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The port that is connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn names_this_machine(&self) -> bool {
        let loopback = |ip: IpAddr| kind(ip) == Kind::Loopback;
        self.host == "localhost" || self.host.parse().is_ok_and(loopback)
    }

    /// Whether a message may go to this address.
    #[must_use]
    pub(super) fn leads_to(&self, ip: IpAddr) -> bool {
        match kind(ip) {
            Kind::Loopback => self.names_this_machine(),
            Kind::Never => false,
            Kind::Private => self.private && !self.names_this_machine(),
            Kind::Public => !self.names_this_machine(),
        }
    }
}

fn kind(ip: IpAddr) -> Kind {
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

/// Source: IANA IPv4 Special-Purpose Address Registry.
fn kind_v4(ip: Ipv4Addr) -> Kind {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (127, ..) => Kind::Loopback,
        (10, ..) | (192, 168, _) | (198, 18..=19, _) | (100, 64..=127, _) | (172, 16..=31, _) => {
            Kind::Private
        }
        (0 | 224..=255, ..) | (169, 254, _) | (192, 0, 0) => Kind::Never,
        _ => Kind::Public,
    }
}

/// Source: IANA IPv6 Special-Purpose Address Registry. What carries an IPv4 address is of that one's kind.
fn kind_v6(ip: Ipv6Addr) -> Kind {
    let carried = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        kind_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            carried(high, low)
        }
        // 6to4, NAT64 of a network's own, and Teredo, which lead wherever they say.
        [0x2002, ..] | [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] => Kind::Never,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        // Of the rest only global unicast is anybody's.
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_names_this_machine_and_holds_no_credential() {
        for good in [
            "https://hooks.example.test/a?b=c",
            "https://hooks.example.test:8443",
            "https://192.0.2.7/",
            "https://[2001:db8::1]:443/x",
            "http://localhost:9/x",
            "http://127.0.0.1:9/x",
            "http://[::1]:9/x",
        ] {
            let address = Address::parse(good, false).expect(good);
            assert_eq!(address.as_str(), good);
        }
        for wrong in [
            "",
            "hooks.example.test",
            "http://hooks.example.test/",
            "http://localhost.example.test/",
            "http://127.0.0.1.example.test/",
            "http://192.168.0.1/",
            "ftp://hooks.example.test/",
            "https://user@hooks.example.test/",
            "https://user:word@hooks.example.test/",
            "https://hooks.example.test/#part",
            "https://hooks.example.test/a b",
            "https://hooks.example.test:0/",
            "https://hooks.example.test:99999/",
            "https:///path",
            "/path",
        ] {
            assert_eq!(
                Address::parse(wrong, true),
                Err(AddressError::Form),
                "{wrong}"
            );
        }
        let long = format!("https://hooks.example.test/{}", "x".repeat(URL_BYTES_MAX));
        assert!(Address::parse(&long, false).is_err());
        let default = Address::parse("https://hooks.example.test", false).unwrap();
        assert_eq!((default.port, default.path.as_str()), (443, "/"));
    }

    #[test]
    fn a_name_of_the_internet_leads_to_no_private_address_unless_told_and_never_to_this_machine() {
        let of = |url, private| Address::parse(url, private).unwrap();
        let internet = of("https://hooks.example.test/", false);
        let private = of("https://hooks.example.test/", true);
        let here = of("http://localhost:9/", true);
        for (ip, expected) in [
            // internet, private, here
            ("198.51.100.7", [true, true, false]),
            ("2001:db8::1", [true, true, false]),
            ("10.1.2.3", [false, true, false]),
            ("172.31.0.1", [false, true, false]),
            ("192.168.1.1", [false, true, false]),
            ("100.64.0.1", [false, true, false]),
            ("fd00::1", [false, true, false]),
            ("::ffff:10.0.0.1", [false, true, false]),
            ("64:ff9b::a00:1", [false, true, false]),
            ("127.0.0.1", [false, false, true]),
            ("127.9.9.9", [false, false, true]),
            ("::1", [false, false, true]),
            ("::ffff:127.0.0.1", [false, false, true]),
            ("169.254.169.254", [false, false, false]),
            ("::ffff:169.254.169.254", [false, false, false]),
            ("fe80::1", [false, false, false]),
            ("0.0.0.0", [false, false, false]),
            ("::", [false, false, false]),
            ("::7f00:1", [false, false, false]),
            ("2002:7f00:1::", [false, false, false]),
            ("224.0.0.1", [false, false, false]),
            ("255.255.255.255", [false, false, false]),
            ("ff02::1", [false, false, false]),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            let leads = [&internet, &private, &here].map(|address| address.leads_to(ip));
            assert_eq!(leads, expected, "{ip}");
        }
    }
}

//! Which web pages may call this API from a browser: none, unless the configuration names them.
//!
//! Knows nothing of who calls. Without an origin in the configuration no answer carries a header of
//! CORS, and a browser keeps every answer from every page. It is no protection against anything but
//! a browser's page: everybody else sends what origin they like, and is asked for a bearer.
//!
//! Source: WHATWG Fetch, "CORS protocol"; RFC 6454 §7.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Origins in a configuration.
const ORIGINS_MAX: usize = 64;
const ORIGIN_BYTES_MAX: usize = 255;
/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What fits `cors.origins`.
pub const EXPECTED: &str = "a list of at most 64 exact origins such as \"https://chat.example.test\": https, or http on this machine; no path, no `*`, no default port";

/// The origins that may call from a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Reads a TOML list, or origins with commas between them as the environment has them; `None`
    /// if one is no exact origin.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let origins: Vec<String> = match text.starts_with('[') {
            true => {
                let table: toml::Table = format!("origins = {text}").parse().ok()?;
                let items = table.get("origins")?.as_array()?.iter();
                items
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect::<Option<_>>()?
            }
            false => text
                .split(',')
                .map(str::trim)
                .filter(|origin| !origin.is_empty())
                .map(str::to_owned)
                .collect(),
        };
        let fit = origins.len() <= ORIGINS_MAX && origins.iter().all(|origin| is_exact(origin));
        fit.then_some(Self(origins))
    }

    /// As a TOML list that reads back as the same.
    pub(crate) fn print(&self) -> String {
        let items = self.0.iter().cloned().map(toml::Value::String).collect();
        toml::Value::Array(items).to_string()
    }

    /// Answers preflights and names the page's origin in answers to it; `None` if no page may call.
    ///
    /// No credentials: the API takes no cookie, and a bearer is sent by the page itself.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let origins = self
            .0
            .iter()
            .map(|origin| HeaderValue::try_from(origin).expect("checked when it was parsed"));
        let name = HeaderName::from_static;
        Some(
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(origins))
                .allow_methods([
                    Method::DELETE,
                    Method::GET,
                    Method::PATCH,
                    Method::POST,
                    Method::PUT,
                ])
                .allow_headers([
                    header::AUTHORIZATION,
                    header::CONTENT_TYPE,
                    header::IF_MATCH,
                    name("idempotency-key"),
                    name("vault-purpose"),
                    name("vault-restricted-use"),
                ])
                .expose_headers([
                    header::ETAG,
                    header::LOCATION,
                    header::RETRY_AFTER,
                    name("idempotent-replayed"),
                    name("request-id"),
                ])
                .max_age(REMEMBERED),
        )
    }
}

/// Whether a browser could send exactly this: scheme, host, and a port unless it is the scheme's.
/// Over `http` only from this machine: a page that came in clear may be anybody's by the time it
/// holds a token.
pub(crate) fn is_exact(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of an address in brackets is not a port's.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_fits = port.is_none_or(|port| {
        let default = if scheme == "https" { "443" } else { "80" };
        let number = port.parse::<u16>().is_ok_and(|number| number > 0);
        number && port != default && !port.starts_with(['0', '+'])
    });
    let name = |host: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        !host.is_empty() && host.chars().all(fits) && !host.starts_with(['-', '.'])
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    origin.len() <= ORIGIN_BYTES_MAX
        && port_fits
        && (name(host) || address)
        && (scheme == "https" || (scheme == "http" && here))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderMap, Request, StatusCode};
    use tower::ServiceExt;

    use super::*;
    use crate::router;
    use crate::routes::tests::closed_app_with;

    const CHAT: &str = "https://chat.example.test";

    async fn send(origins: &str, request: Request<Body>) -> (StatusCode, HeaderMap) {
        let origins = Origins::parse(origins).expect("origins");
        let app = closed_app_with(|settings| settings.cors = origins);
        let answer = router(app).oneshot(request).await.expect("infallible");
        (answer.status(), answer.headers().clone())
    }

    fn preflight(origin: &str) -> Request<Body> {
        Request::builder()
            .method("OPTIONS")
            .uri("/v1/subjects/self/records/messages")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            )
            .body(Body::empty())
            .expect("a request")
    }

    fn call(origin: &str) -> Request<Body> {
        Request::builder()
            .uri("/v1/subjects/self/records/profile")
            .header("origin", origin)
            .header("authorization", "Bearer vs_0")
            .body(Body::empty())
            .expect("a request")
    }

    #[tokio::test]
    async fn a_page_of_a_named_origin_is_told_what_it_may_send_and_may_read_refusals_too() {
        let (status, headers) = send(CHAT, preflight(CHAT)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["access-control-allow-origin"], CHAT);
        let allowed = headers["access-control-allow-headers"]
            .to_str()
            .expect("ASCII");
        for name in ["authorization", "content-type", "if-match", "vault-purpose"] {
            assert!(allowed.split(',').any(|allowed| allowed == name), "{name}");
        }
        assert!(!allowed.contains('*'));
        assert!(!headers.contains_key("access-control-allow-credentials"));
        let (status, headers) = send(CHAT, call(CHAT)).await;
        assert!(status.is_client_error(), "{status}");
        assert_eq!(headers["access-control-allow-origin"], CHAT);
        assert!(headers["vary"].to_str().expect("ASCII").contains("origin"));
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }

    #[tokio::test]
    async fn a_page_of_any_other_origin_gets_no_leave() {
        for origin in [
            "null",
            "*",
            "https://chat.example.test.evil.test",
            "https://evil.test",
            "http://chat.example.test",
            "https://chat.example.test:8443",
            "https://Chat.example.test",
        ] {
            for request in [preflight(origin), call(origin)] {
                let (_, headers) = send(CHAT, request).await;
                assert!(
                    !headers.contains_key("access-control-allow-origin"),
                    "{origin}"
                );
            }
        }
    }

    #[tokio::test]
    async fn without_an_origin_in_the_configuration_no_answer_speaks_of_cors() {
        for request in [preflight(CHAT), call(CHAT)] {
            let preflight = request.method() == Method::OPTIONS;
            let (status, headers) = send("", request).await;
            assert_eq!(status == StatusCode::METHOD_NOT_ALLOWED, preflight);
            let mut names = headers.keys().map(HeaderName::as_str);
            assert!(!names.any(|name| name.starts_with("access-control")));
        }
    }

    #[test]
    fn only_what_a_browser_could_send_from_a_safe_page_is_an_origin() {
        let both = Origins::parse("[\"https://a.test\", \"http://localhost:3000\"]");
        assert_eq!(
            both,
            Origins::parse(" https://a.test,http://localhost:3000")
        );
        assert!(both.is_some_and(|both| Origins::parse(&both.print()) == Some(both)));
        assert_eq!(Origins::parse("[]"), Some(Origins::default()));
        assert!(Origins::parse("https://[2001:db8::1],https://[::1]:8443").is_some());
        for wrong in [
            "*",
            "null",
            "https://*.example.test",
            "https://a.test/",
            "https://a.test/path",
            "https://a.test:443",
            "https://a.test:0",
            "https://a.test:x",
            "https://user@a.test",
            "https://A.test",
            "https://",
            "http://a.test",
            "ftp://a.test",
            "chrome-extension://abc",
            "a.test",
            "[1]",
            "[\"https://a.test\", \"*\"]",
            "[",
        ] {
            assert_eq!(Origins::parse(wrong), None, "{wrong}");
        }
        let many = vec!["https://a.test"; ORIGINS_MAX + 1].join(",");
        assert_eq!(Origins::parse(&many), None);
    }
}

//! `--server https://…`: whom it trusts, and who it says it is.
//!
//! Counts as failure: a token that reaches a server whose certificate nobody vouched for.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use support::Bench;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// Answers every call with a state; counts the tokens that it was shown. Gives its port.
fn serve(authority: &Authority, ask_client: bool, tokens: &Arc<AtomicUsize>) -> u16 {
    let (certificate, key) = authority.issue("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if ask_client {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tokens = tokens.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            if String::from_utf8_lossy(&head).contains("vk_") {
                tokens.fetch_add(1, Ordering::SeqCst);
            }
            let body = r#"{"state":"open"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}

fn status(bench: &Bench, port: u16, more: &[&str]) -> support::Outcome {
    let url = format!("https://localhost:{port}");
    let token = bench.file("token", "vk_x", 0o600);
    let args = ["--server", &url, "--token-file", &token, "status"];
    bench.run(&[&args, more].concat())
}

#[test]
fn a_token_goes_to_a_server_that_somebody_named_vouches_for_and_to_no_other() {
    let bench = Bench::new();
    let (ours, other) = (Authority::new(), Authority::new());
    let tokens = Arc::new(AtomicUsize::new(0));
    let port = serve(&ours, false, &tokens);
    let ca = bench.file("ca.pem", &ours.0.pem(), 0o644);
    let stranger = bench.file("other.pem", &other.0.pem(), 0o644);
    for more in [&[][..], &["--ca-file", &stranger]] {
        let refused = status(&bench, port, more);
        assert!(
            refused.refused(1).err.contains("--ca-file"),
            "{}",
            refused.err
        );
    }
    assert_eq!(tokens.load(Ordering::SeqCst), 0);
    let trusted = status(&bench, port, &["--ca-file", &ca, "--json"]);
    assert_eq!(trusted.json()["state"], "open");
    let url = format!("https://localhost:{port}");
    let mut command = bench.command(&["--server", &url, "--token-file", "token", "status"]);
    let output = command.env("VAULT_CA_FILE", &ca).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(tokens.load(Ordering::SeqCst) >= 2);
    // Vouched for, but another name.
    let url = format!("https://127.0.0.1:{port}");
    let other = bench.run(&[
        "--server",
        &url,
        "--token-file",
        "token",
        "--ca-file",
        &ca,
        "status",
    ]);
    other.refused(1);
}

#[test]
fn a_server_that_asks_who_calls_is_told_with_a_certificate_and_its_private_key() {
    let bench = Bench::new();
    let authority = Authority::new();
    let tokens = Arc::new(AtomicUsize::new(0));
    let port = serve(&authority, true, &tokens);
    let ca = bench.file("ca.pem", &authority.0.pem(), 0o644);
    let (certificate, key) = authority.issue("operator");
    let chain = bench.file("me.pem", &certificate.pem(), 0o644);
    let private = bench.file("me.key", &key.serialize_pem(), 0o600);
    status(&bench, port, &["--ca-file", &ca]).refused(1);
    assert_eq!(tokens.load(Ordering::SeqCst), 0);
    let me = [
        "--ca-file",
        &ca,
        "--client-cert",
        &chain,
        "--client-key",
        &private,
    ];
    assert_eq!(
        status(&bench, port, &[&me[..], &["--json"]].concat()).json()["state"],
        "open"
    );
    let readable = bench.file("open.key", &key.serialize_pem(), 0o644);
    let me = [
        "--ca-file",
        &ca,
        "--client-cert",
        &chain,
        "--client-key",
        &readable,
    ];
    assert!(
        status(&bench, port, &me)
            .refused(1)
            .err
            .contains("chmod 600")
    );
    let wrong = [
        "--ca-file",
        &ca,
        "--client-cert",
        &private,
        "--client-key",
        &private,
    ];
    assert!(
        status(&bench, port, &wrong)
            .refused(1)
            .err
            .contains("certificate")
    );
}

//! A relay that speaks as much SMTP as a client has to understand, with TLS or without, and keeps all it hears.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig as TlsServer, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use vault_server::config::SmtpTls;

/// How a relay behaves on one connection.
#[derive(Clone, Copy)]
pub(crate) struct Manners {
    pub(crate) tls: SmtpTls,
    /// What the answer to `EHLO` offers before TLS.
    pub(crate) offers: &'static [&'static str],
    /// What it answers to `AUTH` and `RCPT`.
    pub(crate) auth: &'static str,
    pub(crate) rcpt: &'static str,
}

impl Manners {
    pub(crate) fn good(tls: SmtpTls) -> Self {
        Self {
            tls,
            offers: match tls {
                SmtpTls::StartTls => &["STARTTLS"],
                _ => &["AUTH PLAIN LOGIN"],
            },
            auth: "235 welcome",
            rcpt: "250 yes",
        }
    }
}

/// What a relay heard on one connection.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Each command, and whether TLS hid it.
    pub(crate) commands: Vec<(bool, String)>,
    /// The mail, if one came.
    pub(crate) mail: String,
}

impl Heard {
    pub(crate) fn command(&self, verb: &str) -> Vec<&str> {
        let all = self.commands.iter().map(|(_, command)| command.as_str());
        all.filter(|command| command.starts_with(verb)).collect()
    }

    /// What anybody on the way could read.
    pub(crate) fn in_clear(&self) -> Vec<&str> {
        let clear = self.commands.iter().filter(|(hidden, _)| !hidden);
        clear.map(|(_, command)| command.as_str()).collect()
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
    Gone,
}

impl Wire {
    fn hidden(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn say(&mut self, text: &str) -> Option<()> {
        let text = format!("{text}\r\n");
        match self {
            Self::Plain(stream) => stream.write_all(text.as_bytes()).ok(),
            Self::Tls(stream) => stream
                .write_all(text.as_bytes())
                .and_then(|()| stream.flush())
                .ok(),
            Self::Gone => None,
        }
    }

    fn line(&mut self) -> Option<String> {
        let (mut bytes, mut byte) = (Vec::new(), [0; 1]);
        while !bytes.ends_with(b"\r\n") {
            let read = match self {
                Self::Plain(stream) => stream.read(&mut byte),
                Self::Tls(stream) => stream.read(&mut byte),
                Self::Gone => return None,
            };
            match read {
                Ok(1) => bytes.push(byte[0]),
                _ => return None,
            }
        }
        let text = String::from_utf8(bytes).expect("text");
        Some(text.trim_end_matches("\r\n").to_owned())
    }

    fn hide(&mut self, tls: &Arc<TlsServer>) {
        if let Self::Plain(stream) = std::mem::replace(self, Self::Gone) {
            let connection = ServerConnection::new(tls.clone()).expect("a connection");
            *self = Self::Tls(Box::new(StreamOwned::new(connection, stream)));
        }
    }
}

/// One connection, to its end; `None` of the answer to a step ends it.
fn converse(
    wire: &mut Wire,
    tls: &Arc<TlsServer>,
    manners: Manners,
    heard: &mut Heard,
) -> Option<()> {
    if manners.tls == SmtpTls::Implicit {
        wire.hide(tls);
    }
    wire.say("220 relay.example.test ESMTP")?;
    loop {
        let line = wire.line()?;
        heard.commands.push((wire.hidden(), line.clone()));
        let verb = line
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                wire.say("250-relay.example.test")?;
                let offers: &[&str] = match wire.hidden() {
                    true => &["AUTH PLAIN LOGIN"],
                    false => manners.offers,
                };
                for offer in offers {
                    wire.say(&format!("250-{offer}"))?;
                }
                wire.say("250 8BITMIME")?;
            }
            "STARTTLS" => {
                wire.say("220 go on")?;
                wire.hide(tls);
            }
            "AUTH" => wire.say(manners.auth)?,
            "MAIL" => wire.say("250 yes")?,
            "RCPT" => wire.say(manners.rcpt)?,
            "DATA" => {
                wire.say("354 go on")?;
                loop {
                    let line = wire.line()?;
                    if line == "." {
                        break;
                    }
                    let line = line.strip_prefix('.').unwrap_or(&line);
                    heard.mail.push_str(line);
                    heard.mail.push_str("\r\n");
                }
                wire.say("250 taken")?;
            }
            "QUIT" => {
                wire.say("221 bye")?;
                return None;
            }
            _ => wire.say("500 what?")?,
        }
    }
}

/// A relay that behaves so on each of its connections, and ends with the last.
pub(crate) struct Relay {
    pub(crate) port: u16,
    /// Who vouches for it, as PEM.
    pub(crate) root: String,
    pub(crate) heard: Receiver<Heard>,
    pub(crate) thread: JoinHandle<()>,
}

impl Relay {
    pub(crate) fn start(manners: Vec<Manners>) -> Self {
        Self::named("localhost", manners)
    }

    /// One whose certificate is for this name.
    pub(crate) fn named(name: &str, manners: Vec<Manners>) -> Self {
        let (root, tls) = certified(name);
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let (tell, heard) = channel();
        let thread = std::thread::spawn(move || serve(&listener, &tls, &manners, &tell));
        Self {
            port,
            root,
            heard,
            thread,
        }
    }

    pub(crate) fn take(&self) -> Heard {
        let wait = Duration::from_secs(10);
        self.heard.recv_timeout(wait).expect("somebody came")
    }
}

fn serve(listener: &TcpListener, tls: &Arc<TlsServer>, manners: &[Manners], tell: &Sender<Heard>) {
    for manners in manners {
        let (stream, _) = listener.accept().expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("sets");
        let (mut wire, mut heard) = (Wire::Plain(stream), Heard::default());
        let _ = converse(&mut wire, tls, *manners, &mut heard);
        // A test that has seen enough is gone.
        let _ = tell.send(heard);
    }
}

fn certified(name: &str) -> (String, Arc<TlsServer>) {
    let mut params = CertificateParams::new(Vec::new()).expect("fits");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root = params.self_signed(&key).expect("a root");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("fits");
    let cert = params.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsServer::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a pair");
    (root.pem(), Arc::new(tls))
}

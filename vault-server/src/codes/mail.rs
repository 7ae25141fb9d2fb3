//! Codes by mail: one connection, one plain mail, to one relay that the configuration fixes.
//!
//! TLS is spoken, with a certificate that is looked at, or nothing is said; without it a mail goes to this
//! machine alone, whatever its name may come to lead to. No HTML, no picture, nothing that tells whether it
//! was read.
//!
//! Source: RFC 5321 (SMTP), 3207 (STARTTLS), 4954 (AUTH), 8314 (implicit TLS), 5322 and 2045 (the mail),
//! 3834 (`Auto-Submitted`).

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use vault_core::verification::CodeToSend;

use super::{Failed, text};
use crate::config::SmtpTls;

/// Longest try, from the name to the relay's word for the mail.
const TRY_SECONDS: u64 = 30;
/// How logging in is tried: with the password, which TLS hides.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// A relay, and as whom it is spoken to. Has no `Debug`.
pub(super) struct Mail {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: SmtpTls,
    /// What is trusted, where TLS is spoken.
    pub(super) parameters: Option<TlsParameters>,
    pub(super) from: Mailbox,
    pub(super) credentials: Option<Credentials>,
}

/// Says that no person wrote it, so that no program answers.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mail {
    /// Hands a code to the relay.
    pub(super) async fn send(&self, code: &CodeToSend, now: Timestamp) -> Result<(), Failed> {
        let (envelope, mail) = self.mail(code, now)?;
        let time = Duration::from_secs(TRY_SECONDS);
        let tried = tokio::time::timeout(time, self.attempt(&envelope, &mail)).await;
        tried.unwrap_or(Err(Failed::again("the relay took too long")))
    }

    /// The mail, the same bytes at each try but for the date: a relay can tell repetitions by their id.
    fn mail(&self, code: &CodeToSend, now: Timestamp) -> Result<(Envelope, Vec<u8>), Failed> {
        let to = address(&code.address).ok_or(NO_ADDRESS)?;
        let id = HEXLOWER.encode(&code.sending);
        let mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .date(SystemTime::from(now))
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .subject(text::subject(code.language))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(text::of(code).to_string())
            .map_err(|_| NO_ADDRESS)?;
        Ok((mail.envelope().clone(), mail.formatted()))
    }

    async fn attempt(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), Failed> {
        let mut connection = self.connect().await?;
        if let Some(credentials) = &self.credentials {
            let entered = connection.auth(&MECHANISMS, credentials).await;
            entered.map_err(|error| match error.is_client() {
                true => Failed::again("the relay offers no way to log in with a password"),
                false => Failed::again("the relay refuses user or password"),
            })?;
        }
        let sent = connection.send(envelope, mail).await;
        sent.map_err(|error| {
            if error.is_permanent() {
                Failed::for_good("the relay refuses the mail for good (5xx)")
            } else if error.is_transient() {
                Failed::again("the relay does not take the mail now (4xx)")
            } else if error.is_client() {
                Failed::for_good("the relay takes no address with such letters (SMTPUTF8)")
            } else {
                Failed::again("the relay does not answer as SMTP has it")
            }
        })?;
        // It has been taken; whether the relay says goodbye is nobody's concern.
        connection.abort().await;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failed> {
        let found = self.resolve().await?;
        // The domain of the sender, since a machine's own name is told to nobody.
        let hello = ClientId::Domain(self.from.email.domain().to_owned());
        let implicit = match self.tls {
            SmtpTls::Implicit => self.parameters.clone(),
            SmtpTls::None | SmtpTls::StartTls => None,
        };
        let time = Some(Duration::from_secs(TRY_SECONDS));
        let connected =
            AsyncSmtpConnection::connect_tokio1(&found[..], time, &hello, implicit, None);
        let mut connection = connected.await.map_err(|error| refused(&error))?;
        if self.tls == SmtpTls::StartTls {
            let parameters = self.parameters.clone().ok_or(NO_TLS)?;
            let upgraded = connection.starttls(parameters, &hello).await;
            upgraded.map_err(|error| match error.is_client() {
                true => Failed::again("the relay offers no STARTTLS"),
                false => refused(&error),
            })?;
        }
        // Whatever the library made of it: nothing is said in clear to another machine.
        match connection.is_encrypted() || self.tls == SmtpTls::None {
            true => Ok(connection),
            false => Err(NO_TLS),
        }
    }

    /// Where the relay is. Without TLS it has to be this machine, whatever its name leads to now.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, Failed> {
        let found: Vec<SocketAddr> = match self.host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, self.port)],
            Err(_) => {
                let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
                let found = found.map_err(|_| Failed::again("the relay's name is not known"))?;
                found.collect()
            }
        };
        let here = found.iter().all(|at| at.ip().is_loopback());
        match self.tls == SmtpTls::None && !here {
            true => Err(Failed::again(
                "the relay's name leads to another machine, and no TLS is configured",
            )),
            false => Ok(found),
        }
    }
}

const NO_ADDRESS: Failed = Failed::for_good("the address is none that a mail can go to");
const NO_TLS: Failed = Failed::again("the relay speaks no TLS");

/// Why there is no connection.
fn refused(error: &SmtpError) -> Failed {
    let mut source = error.source();
    while let Some(error) = source {
        let within = error.downcast_ref::<std::io::Error>();
        let within = within.and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || within.is_some_and(|error| error.is::<rustls::Error>()) {
            return Failed::again(
                "its certificate is not trusted for this name, or TLS failed otherwise (`verification.smtp.ca`)",
            );
        }
        source = error.source();
    }
    match error.is_response() || error.is_permanent() || error.is_transient() {
        true => Failed::again("what answers there does not greet as a relay does"),
        false => Failed::again("nobody answers there"),
    }
}

/// An address on file as one of a mail: bare, alone, and without anything that ends a line, a header or a
/// command. What is on file was looked at when it was written; that it cannot say more than an address does
/// not rest on that.
fn address(text: &str) -> Option<lettre::Address> {
    let said = |c: char| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c);
    let one = text.matches('@').count() == 1 && !text.contains(said);
    one.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use vault_core::dialogue::Language;
    use vault_core::verification::AddressKind;

    use super::*;

    fn mail() -> Mail {
        Mail {
            host: "localhost".to_owned(),
            port: 25,
            tls: SmtpTls::None,
            parameters: None,
            from: "Größe GmbH <codes@example.test>".parse().unwrap(),
            credentials: None,
        }
    }

    fn code(address: &str) -> CodeToSend {
        CodeToSend {
            sending: [7; 16],
            kind: AddressKind::Email,
            address: address.to_owned().into(),
            code: "402913".to_owned().into(),
            language: Language::De,
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_mail_is_plain_text_to_one_address_and_repeats_under_one_id() {
        let (envelope, bytes) = mail()
            .mail(&code("j.roe+x@example.test"), Timestamp::UNIX_EPOCH)
            .unwrap();
        assert_eq!(envelope.to().len(), 1);
        let text = String::from_utf8(bytes.clone()).expect("ASCII");
        assert!(text.is_ascii());
        let (head, _) = text.split_once("\r\n\r\n").expect("a head");
        let lines: Vec<&str> = head.split("\r\n").collect();
        let names: Vec<&str> = lines
            .iter()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            names,
            [
                "From",
                "To",
                "Date",
                "Message-ID",
                "Subject",
                "Auto-Submitted",
                "Content-Type",
                "Content-Transfer-Encoding"
            ]
        );
        assert!(lines.contains(&"To: j.roe+x@example.test"));
        assert!(lines.contains(&"Date: Thu, 01 Jan 1970 00:00:00 +0000"));
        assert!(lines.contains(&"Content-Type: text/plain; charset=utf-8"));
        assert!(!head.contains("402913"), "not in the head");
        let (_, again) = mail()
            .mail(&code("j.roe+x@example.test"), Timestamp::UNIX_EPOCH)
            .unwrap();
        assert_eq!(bytes, again);
    }

    #[test]
    fn no_address_says_more_than_one_address() {
        assert!(
            mail()
                .mail(&code("jane@example.test"), Timestamp::UNIX_EPOCH)
                .is_ok()
        );
        for hostile in [
            "jane@example.test\r\nBcc: mallory@example.test",
            "jane@example.test\nBcc: mallory@example.test",
            "jane@example.test\rBcc: mallory@example.test",
            "jane@example.test\0",
            "jane@example.test>\r\nRCPT TO:<mallory@example.test",
            "jane@example.test> SIZE=1",
            "jane@example.test,mallory@example.test",
            "jane@example.test;mallory@example.test",
            "jane@example.test mallory@example.test",
            "Jane <jane@example.test>",
            "\"jane\r\n\"@example.test",
            "\"jane\"@example.test",
            "jane\u{2028}@example.test",
            "@mallory.example.test:jane@example.test",
            "jane@example.test@mallory.example.test",
            "jane@[127.0.0.1]",
            "jane",
            "",
        ] {
            let failed = mail().mail(&code(hostile), Timestamp::UNIX_EPOCH);
            let failed = failed.expect_err(hostile);
            assert!(failed.for_good, "{hostile}");
        }
    }
}

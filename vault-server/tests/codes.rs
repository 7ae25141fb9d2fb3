//! Verification codes on their way, against relays and receivers on this machine that keep what they hear.
//!
//! Failure is a code that is lost in silence, sent after its time, sent in clear to another machine or to
//! somebody whom nobody vouches for; and anything of it in the log, the metrics or an alarm. Time is the
//! test's.

#[path = "codes/receiver.rs"]
mod receiver;
#[path = "codes/relay.rs"]
mod relay;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use receiver::{KEY, Receiver};
use relay::{Manners, Relay};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use vault_core::clock::{Clock, ManualClock};
use vault_core::dialogue::Language;
use vault_core::entropy::SeededEntropy;
use vault_core::policy::SAMPLE;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, VaultPaths};
use vault_core::verification::{AddressKind, CodeToSend};
use vault_server::codes::{CodeCounts, CodeSink, Codes};
use vault_server::config::{LogFormat, ServerConfig, SmtpTls};
use vault_server::webhook::{Address, Secret, Target, Webhook};
use vault_server::{App, AppSettings, logging, router};

const ADDRESS: &str = "canary.jane@example.test";
const PHONE: &str = "+31612345678";
const DIGITS: &str = "402913";
const PASSWORD: &str = "canary word of the relay";

struct Bench {
    home: TempDir,
    clock: Arc<ManualClock>,
    runtime: tokio::runtime::Runtime,
    log: Arc<Mutex<Vec<u8>>>,
}

/// Where log lines go.
#[derive(Clone)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn secret_text() -> String {
    format!("whsec_{}", BASE64.encode(&KEY))
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("writes");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("sets");
    path.display().to_string()
}

impl Bench {
    fn new() -> Self {
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        Self {
            home: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(ManualClock::at(start)),
            // One thread, so that its log lines are the test's.
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            log: Arc::default(),
        }
    }

    fn file(&self, name: &str, text: &str) -> String {
        file(self.home.path(), name, text)
    }

    /// Sends as this `[verification]` says.
    fn codes(&self, text: &str, alarm: Option<Webhook>) -> Codes {
        let config = ServerConfig::parse(&format!("[verification]\n{text}"), []).expect("fits");
        let clock = self.clock.clone();
        let codes = Codes::with_clock(&config.verification, None, alarm, clock);
        codes.expect("its files are good").expect("configured")
    }

    /// Sends by mail to this relay, logged in.
    fn by_mail(&self, relay: &Relay, tls: SmtpTls, host: &str) -> Codes {
        let (root, password) = (
            self.file("root.pem", &relay.root),
            self.file("password", &format!("{PASSWORD}\n")),
        );
        let ca = match tls {
            SmtpTls::None => String::new(),
            _ => format!("smtp.ca = '{root}'\n"),
        };
        self.codes(
            &format!(
                "smtp.host = '{host}'\nsmtp.port = {}\nsmtp.tls = '{}'\nsmtp.from = 'Example Travel <codes@example.test>'\nsmtp.user = 'vault'\nsmtp.password_file = '{password}'\n{ca}",
                relay.port,
                tls.name(),
            ),
            None,
        )
    }

    fn by_webhook(&self, receiver: &Receiver) -> String {
        let secret = self.file("secret", &secret_text());
        format!("webhook = '{}'\nsecret_file = '{secret}'\n", receiver.url())
    }

    fn code(&self, kind: AddressKind) -> CodeToSend {
        let address = match kind {
            AddressKind::Email => ADDRESS,
            AddressKind::Phone => PHONE,
        };
        CodeToSend {
            sending: [0xab; 16],
            kind,
            address: address.to_owned().into(),
            code: DIGITS.to_owned().into(),
            language: Language::En,
            expires_at: self.clock.now() + SignedDuration::from_mins(10),
        }
    }

    /// Tries what is due; what is logged meanwhile is kept.
    fn pass(&self, codes: &Codes) -> Counts {
        let lines = Lines(self.log.clone());
        let log = logging::subscriber(LogFormat::Json, tracing::Level::DEBUG, move || {
            lines.clone()
        });
        tracing::subscriber::with_default(log, || self.runtime.block_on(codes.pass()));
        Counts::of(codes)
    }

    fn logged(&self) -> String {
        String::from_utf8(self.log.lock().expect("whole").clone()).expect("text")
    }
}

/// Sent, failed, lost of e-mail, and what waits.
#[derive(Debug, PartialEq, Eq)]
struct Counts(u64, u64, u64, u64);

impl Counts {
    fn of(codes: &Codes) -> Self {
        let figures = codes.figures();
        let CodeCounts { sent, failed, lost } = figures.email;
        Self(sent, failed, lost, figures.waiting)
    }
}

#[track_caller]
fn silent(text: &str) {
    for secret in [ADDRESS, "canary", PHONE, DIGITS, PASSWORD, &"ab".repeat(16)] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn a_code_is_mailed_once_as_plain_text_with_the_password_and_everything_else_under_tls() {
    for tls in [SmtpTls::Implicit, SmtpTls::StartTls] {
        let (bench, relay) = (Bench::new(), Relay::start(vec![Manners::good(tls)]));
        let codes = bench.by_mail(&relay, tls, "localhost");
        codes.send(bench.code(AddressKind::Email));
        // Handed over without a runtime, and nothing has left.
        assert_eq!(Counts::of(&codes), Counts(0, 0, 0, 1));
        assert_eq!(bench.pass(&codes), Counts(1, 0, 0, 0));
        let heard = relay.take();
        let clear: &[&str] = match tls {
            SmtpTls::StartTls => &["EHLO example.test", "STARTTLS"],
            _ => &[],
        };
        assert_eq!(heard.in_clear(), clear);
        let login = format!("\0vault\0{PASSWORD}");
        let login = format!("AUTH PLAIN {}", BASE64.encode(login.as_bytes()));
        assert_eq!(heard.command("AUTH"), [login]);
        assert_eq!(heard.command("MAIL"), ["MAIL FROM:<codes@example.test>"]);
        assert_eq!(heard.command("RCPT"), [format!("RCPT TO:<{ADDRESS}>")]);
        let (head, body) = heard.mail.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("To: {ADDRESS}\r\n")));
        assert!(
            head.contains("From: \"Example Travel\" <codes@example.test>\r\n"),
            "{head}"
        );
        assert!(head.contains("Subject: Your verification code\r\n"));
        assert!(head.contains("Auto-Submitted: auto-generated\r\n"));
        assert!(head.contains("Content-Type: text/plain"));
        assert!(!head.contains(DIGITS));
        assert_eq!(
            body.trim_end().replace("\r\n", "\n"),
            format!(
                "Your code: {DIGITS}\n\nIt is good for 10 minutes. Enter it only where you asked for it.\n\nIf you did not ask for it, ignore this message."
            )
        );
        // Once, however often somebody looks.
        assert_eq!(bench.pass(&codes), Counts(1, 0, 0, 0));
        relay.thread.join().expect("ended");
        silent(&bench.logged());
    }
}

#[test]
fn a_mail_to_this_machine_needs_no_tls() {
    let (bench, relay) = (
        Bench::new(),
        Relay::start(vec![Manners::good(SmtpTls::None)]),
    );
    let codes = bench.by_mail(&relay, SmtpTls::None, "127.0.0.1");
    codes.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&codes), Counts(1, 0, 0, 0));
    assert!(relay.take().mail.contains(DIGITS));
}

#[test]
fn a_relay_without_tls_or_without_a_name_that_somebody_vouches_for_hears_nothing() {
    // It offers no STARTTLS, as one does from whose answer somebody struck it out.
    let stripped = Manners {
        offers: &["AUTH PLAIN LOGIN"],
        ..Manners::good(SmtpTls::StartTls)
    };
    let relay = Relay::start(vec![stripped]);
    let bench = Bench::new();
    let codes = bench.by_mail(&relay, SmtpTls::StartTls, "localhost");
    codes.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&codes), Counts(0, 1, 0, 1));
    let heard = relay.take();
    for verb in ["AUTH", "MAIL", "RCPT", "DATA"] {
        assert!(heard.command(verb).is_empty(), "{verb}");
    }
    for tls in [SmtpTls::Implicit, SmtpTls::StartTls] {
        // Its certificate is for another name; then, for its own, but nobody vouches for it.
        let other = Relay::named("relay.example.test", vec![Manners::good(tls)]);
        let codes = bench.by_mail(&other, tls, "localhost");
        codes.send(bench.code(AddressKind::Email));
        assert_eq!(bench.pass(&codes), Counts(0, 1, 0, 1));
        let unknown = Relay::start(vec![Manners::good(tls)]);
        let vouched = Relay {
            root: other.root.clone(),
            ..unknown
        };
        let codes = bench.by_mail(&vouched, tls, "localhost");
        codes.send(bench.code(AddressKind::Email));
        assert_eq!(bench.pass(&codes), Counts(0, 1, 0, 1));
        for relay in [other, vouched] {
            let heard = relay.take();
            assert!(heard.command("MAIL").is_empty() && heard.command("AUTH").is_empty());
        }
    }
    let logged = bench.logged();
    assert!(
        logged.contains("STARTTLS") && logged.contains("certificate"),
        "{logged}"
    );
    silent(&logged);
}

#[test]
fn what_is_not_taken_now_is_tried_again_and_what_is_refused_for_good_is_not() {
    let with = |rcpt| Manners {
        rcpt,
        ..Manners::good(SmtpTls::Implicit)
    };
    let relay = Relay::start(vec![
        with("451 later, <canary.jane@example.test>"),
        with("250 yes"),
        with("550 no such canary.jane@example.test here"),
    ]);
    let bench = Bench::new();
    let codes = bench.by_mail(&relay, SmtpTls::Implicit, "localhost");
    codes.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&codes), Counts(0, 1, 0, 1));
    let first = relay.take();
    // The wait is not over, whoever looks.
    assert_eq!(bench.pass(&codes), Counts(0, 1, 0, 1));
    bench.clock.advance(5_000);
    assert_eq!(bench.pass(&codes), Counts(1, 1, 0, 0));
    let second = relay.take();
    assert!(first.mail.is_empty() && second.mail.contains(&"ab".repeat(16)));
    codes.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&codes), Counts(1, 2, 1, 0));
    assert!(relay.take().mail.is_empty());
    relay.thread.join().expect("ended");
    silent(&bench.logged());
}

#[test]
fn a_password_that_is_refused_is_not_the_end_of_a_code() {
    let refusing = Manners {
        auth: "535 no",
        ..Manners::good(SmtpTls::Implicit)
    };
    let relay = Relay::start(vec![refusing, Manners::good(SmtpTls::Implicit)]);
    let bench = Bench::new();
    let codes = bench.by_mail(&relay, SmtpTls::Implicit, "localhost");
    codes.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&codes), Counts(0, 1, 0, 1));
    assert!(relay.take().command("MAIL").is_empty());
    bench.clock.advance(5_000);
    assert_eq!(bench.pass(&codes), Counts(1, 1, 0, 0));
    assert!(
        bench
            .logged()
            .contains("the relay refuses user or password")
    );
    silent(&bench.logged());
}

#[test]
fn a_code_that_is_good_no_more_is_never_sent() {
    let (bench, relay) = (
        Bench::new(),
        Relay::start(vec![Manners::good(SmtpTls::Implicit)]),
    );
    let codes = bench.by_mail(&relay, SmtpTls::Implicit, "localhost");
    codes.send(bench.code(AddressKind::Email));
    bench.clock.advance(600_000);
    assert_eq!(bench.pass(&codes), Counts(0, 0, 1, 0));
    assert!(relay.heard.try_recv().is_err());
    // A second before it is: the nearest that has to be sent.
    codes.send(bench.code(AddressKind::Email));
    bench.clock.advance(599_000);
    assert_eq!(bench.pass(&codes), Counts(1, 0, 1, 0));
    relay.take();
}

/// What is on file was looked at when it was written. It may have been written by an earlier version, or by
/// whoever has the disk: it still says no more than one address.
#[test]
fn an_address_that_says_more_than_an_address_reaches_no_relay() {
    let (bench, relay) = (
        Bench::new(),
        Relay::start(vec![Manners::good(SmtpTls::Implicit)]),
    );
    let codes = bench.by_mail(&relay, SmtpTls::Implicit, "localhost");
    for (lost, address) in [
        "canary.jane@example.test\r\nBcc: canary@example.test",
        "canary.jane@example.test>\r\nRCPT TO:<canary@example.test",
        "canary.jane@example.test, canary@example.test",
    ]
    .into_iter()
    .enumerate()
    {
        let code = CodeToSend {
            address: address.to_owned().into(),
            ..bench.code(AddressKind::Email)
        };
        codes.send(code);
        let lost = lost as u64 + 1;
        assert_eq!(bench.pass(&codes), Counts(0, lost, lost, 0), "{address}");
    }
    assert!(relay.heard.try_recv().is_err(), "nobody came");
    codes.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&codes), Counts(1, 3, 3, 0));
    assert_eq!(relay.take().command("RCPT").len(), 1);
    silent(&bench.logged());
}

#[test]
fn a_telephone_is_reached_by_the_webhook_alone_and_an_e_mail_address_where_there_is_no_relay() {
    let bench = Bench::new();
    let (relay, receiver) = (
        Relay::start(vec![Manners::good(SmtpTls::None)]),
        Receiver::start(vec![200, 500, 204, 200]),
    );
    let mail = format!(
        "smtp.host = 'localhost'\nsmtp.port = {}\nsmtp.tls = 'none'\nsmtp.from = 'codes@example.test'\n",
        relay.port
    );
    let both = bench.codes(&format!("{mail}{}", bench.by_webhook(&receiver)), None);
    assert!(AddressKind::ALL.iter().all(|kind| both.sends(*kind)));
    both.send(bench.code(AddressKind::Email));
    both.send(bench.code(AddressKind::Phone));
    bench.pass(&both);
    assert!(relay.take().mail.contains(DIGITS));
    let (id, body) = receiver.take();
    assert_eq!(id, format!("code_{}", "ab".repeat(16)));
    let expires_at = "2027-01-15T08:10:00Z";
    assert_eq!(
        body,
        json!({
            "schema": "vault-code/1", "sending": "ab".repeat(16), "kind": "phone", "address": PHONE,
            "code": DIGITS, "language": "en", "expires_at": expires_at,
            "text": format!("Your code: {DIGITS}. It is good for 10 minutes. If you did not ask for it, ignore this message."),
        })
    );
    assert!(!receiver.has_more());
    // Without a relay a mail is the receiver's, and the same comes again until it is taken.
    let hook = bench.codes(&bench.by_webhook(&receiver), None);
    hook.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&hook), Counts(0, 1, 0, 1));
    let first = receiver.take();
    bench.clock.advance(5_000);
    assert_eq!(bench.pass(&hook), Counts(1, 1, 0, 0));
    assert_eq!(receiver.take(), first);
    assert_eq!(first.1["kind"], "email");
    assert!(
        first.1["text"]
            .as_str()
            .expect("text")
            .starts_with("Your code: 402913\n\n")
    );
    // Without a webhook no telephone is reached, and it is not mailed to.
    let alone = bench.codes(&mail, None);
    assert!(alone.sends(AddressKind::Email) && !alone.sends(AddressKind::Phone));
    alone.send(bench.code(AddressKind::Phone));
    bench.pass(&alone);
    assert_eq!(alone.figures().phone.lost, 1);
    silent(&bench.logged());
}

#[test]
fn codes_that_do_not_leave_raise_an_alarm_that_tells_of_no_one() {
    let bench = Bench::new();
    let (receiver, told) = (Receiver::start(vec![500; 6]), Receiver::start(vec![200]));
    let target = Target::new(
        Address::parse(&told.url(), false).expect("a URL"),
        Secret::parse(&secret_text()).expect("a secret"),
        Target::public_roots(),
    );
    let alarm = Webhook::new(target, bench.clock.clone(), Box::new(SeededEntropy::new(3)));
    let codes = bench.codes(&bench.by_webhook(&receiver), Some(alarm.clone()));
    for failures in 1..=6_u64 {
        codes.send(bench.code(AddressKind::Phone));
        bench.pass(&codes);
        codes.forget();
        assert_eq!(codes.figures().phone.failed, failures);
        let waiting = u64::from(failures >= 5);
        assert_eq!(alarm.figures().waiting, waiting, "after {failures}");
    }
    bench.runtime.block_on(alarm.pass());
    let (_, body) = told.take();
    assert_eq!(
        body,
        json!({
            "type": "vault.verification.failing", "timestamp": "2027-01-15T08:00:00Z",
            "data": {"way": "webhook", "failures": 5, "why": "it was answered with an error (5xx)"},
        })
    );
    silent(&bench.logged());
    assert!(bench.logged().contains("verification codes do not leave"));
}

#[test]
fn status_and_metrics_say_how_many_and_of_whom_nothing_and_a_locked_vault_forgets_what_waits() {
    let bench = Bench::new();
    let receiver = Receiver::start(vec![200, 500]);
    let codes = bench.codes(&bench.by_webhook(&receiver), None);
    let paths = VaultPaths::beside(&bench.home.path().join("vault"));
    let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(bench.clock.clone())
    };
    let created = LockedVault::create(&paths, settings, &passphrase, SAMPLE).expect("a vault");
    let keyholder = created.vault.keyholder();
    let made = created
        .vault
        .create_token(&Call::new(&keyholder), "bot", None);
    let (_, key) = made.expect("a key");
    let settings = AppSettings {
        clock: bench.clock.clone(),
        sweep_every: None,
        codes: Some(Arc::new(codes.clone())),
        ..AppSettings::from(&ServerConfig::default())
    };
    let app = App::new(created.locked, Some(created.vault), settings);
    codes.send(bench.code(AddressKind::Phone));
    bench.pass(&codes);
    codes.send(bench.code(AddressKind::Phone));
    bench.pass(&codes);
    let request = Request::get("/v1/status")
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty())
        .expect("a request");
    let answer = bench.runtime.block_on(router(app.clone()).oneshot(request));
    let body = axum::body::to_bytes(answer.expect("infallible").into_body(), 1 << 20);
    let body = bench.runtime.block_on(body).expect("a body");
    let status: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        status["codes"],
        json!({"email": true, "phone": true, "waiting": 1})
    );
    let metrics = app.metrics_text();
    for line in [
        "vault_codes_sent_total{kind=\"phone\"} 1",
        "vault_codes_sent_total{kind=\"email\"} 0",
        "vault_code_failures_total{kind=\"phone\"} 1",
        "vault_codes_lost_total{kind=\"phone\"} 0",
        "vault_codes_waiting 1.0",
    ] {
        assert!(
            metrics.lines().any(|shown| shown == line),
            "{line}\n{metrics}"
        );
    }
    silent(&metrics);
    silent(&status.to_string());
    app.lock();
    assert_eq!(codes.figures().waiting, 0);
}

#[test]
fn a_file_that_is_not_what_it_has_to_be_is_named_and_not_repeated() {
    let bench = Bench::new();
    let prepared = |text: &str| {
        let config = ServerConfig::parse(&format!("[verification]\n{text}"), []).expect("fits");
        let prepared = Codes::prepare(&config.verification, None, None);
        prepared.map(|codes| codes.is_some())
    };
    assert_eq!(prepared("").ok(), Some(false));
    let mail = "smtp.host = 'localhost'\nsmtp.from = 'codes@example.test'\n";
    assert_eq!(prepared(mail).ok(), Some(true));
    let open = bench.file("open", PASSWORD);
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).expect("sets");
    let (empty, two) = (
        bench.file("empty", "\n"),
        bench.file("two", "canary\ncanary"),
    );
    let junk = bench.file("junk", "canary");
    let with = |path: &str| format!("{mail}smtp.user = 'u'\nsmtp.password_file = '{path}'\n");
    let hook = format!("webhook = 'https://hooks.example.test/'\nsecret_file = '{junk}'\n");
    for (text, key) in [
        (with(&open), "verification.smtp.password_file"),
        (with(&empty), "verification.smtp.password_file"),
        (with(&two), "verification.smtp.password_file"),
        (with("/nowhere"), "verification.smtp.password_file"),
        (
            format!("{mail}smtp.ca = '{junk}'\n"),
            "verification.smtp.ca",
        ),
        (hook, "verification.secret_file"),
    ] {
        let error = prepared(&text).expect_err(key).to_string();
        assert!(error.contains(&format!("`{key}`")), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

/// Against a relay that somebody else wrote; `tests/smtp/run` starts one.
#[test]
#[ignore = "needs a relay: tests/smtp/run"]
fn a_relay_of_others_takes_a_code() {
    let of = |name: &str| std::env::var(name).expect("tests/smtp/run sets it");
    let bench = Bench::new();
    let codes = bench.codes(&of("VAULT_TEST_SMTP"), None);
    codes.send(bench.code(AddressKind::Email));
    assert_eq!(bench.pass(&codes), Counts(1, 0, 0, 0), "{}", bench.logged());
}

//! What the configuration accepts, refuses and prints.

use super::*;

fn with(text: &str, environment: &[(&str, &str)]) -> Result<ServerConfig, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ServerConfig::parse(text, environment)
}

/// A value of a key that is not its default.
fn sample(key: &str) -> &'static str {
    match key {
        "listen" => "[::1]:9",
        "store" => "redb",
        "unlock" => "credential:passphrase",
        "sandbox" => "require",
        "vault.dir" | "vault.anchor" | "vault.policy" => "/v \"x\"",
        "tls.cert" | "tls.key" | "tls.client_ca" => "/tls.pem",
        "admin.socket" => "false",
        "alarm.webhook" | "verification.webhook" => "https://hooks.example.test/vault",
        "verification.secret_file" | "verification.ca" | "verification.smtp.ca" => "/codes",
        "verification.private" => "true",
        "verification.smtp.host" => "mail.example.test",
        "verification.smtp.tls" => "starttls",
        "verification.smtp.from" => "Example Travel <codes@example.test>",
        "verification.smtp.user" | "verification.smtp.password_file" => "/vault",
        "alarm.secret_file" | "alarm.ca" => "/alarm",
        "alarm.private" | "recipients.private" => "true",
        "recipients.allow" => "carrier.example.test,10.0.0.3:8443",
        "recipients.secret_dir" | "recipients.ca" => "/recipients",
        "backup.to" => "/mnt/backups",
        "backup.ledger_to" => "/mnt/a,s3://ledgers/vault",
        "backup.s3.endpoint" => "https://store.example.test:9000",
        "backup.s3.region" => "eu-central-1",
        "backup.s3.credentials_file" | "backup.s3.ca" => "/s3",
        "backup.recipients" => RECIPIENT,
        "backup.every" => "PT6H",
        "backup.key_expiry" => "P14D",
        "metrics.listen" => "10.0.0.1:9464",
        "public_url" => "https://privacy.example.test",
        "log.format" => "json",
        "log.level" => "debug",
        "limits.body_bytes" | "limits.body_bytes_per_second" | "limits.header_bytes" => "4096",
        "limits.cache_bytes" => "2097152",
        "cors.origins" => "https://chat.example.test,http://localhost:3000",
        "audit.durability" => "power-safe",
        "otel.endpoint" => "http://[::1]:4318",
        _ => "9",
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "listen = '127.0.0.1:1'\n[limits]\nin_flight = 7\nbody_bytes = 2048";
    let config = with(text, &[("VAULT_LISTEN", "[::1]:2"), ("VAULT_DIR", "/v")]).expect("fits");
    assert_eq!(config.listen.to_string(), "[::1]:2");
    assert_eq!((config.in_flight_max, config.body_bytes_max), (7, 2048));
    assert_eq!(config.vault_dir, PathBuf::from("/v"));
}

#[test]
fn what_is_printed_reads_back_as_the_same_and_names_every_key() {
    // A key that this program was built without takes no value.
    let built = |key: &&keys::Key| cfg!(feature = "otel") || key.name != "otel.endpoint";
    let environment: Vec<_> = KEYS
        .iter()
        .filter(built)
        .map(|key| (key.variable, sample(key.name)))
        .collect();
    let config = with("", &environment).expect("every key takes its sample");
    for key in KEYS.iter().filter(built) {
        let default = key.show(&ServerConfig::default());
        assert!(
            key.name == "store" || key.show(&config) != default,
            "{}",
            key.name
        );
        let name = key.name.rsplit('.').next().expect("a name");
        assert!(config.print().contains(&format!("{name} = ")), "{name}");
    }
    assert_eq!(with(&config.print(), &[]).expect("reads back"), config);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    let error = with("[limits]\nbody_byte = 1", &[]).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "unknown key `limits.body_byte`; did you mean `limits.body_bytes`?"
    );
    let error = with("", &[("VAULT_LSITEN", "x")]).expect_err("one slip");
    assert!(error.to_string().contains("`VAULT_LISTEN`"));
    with("", &[("VAULT_ADDR", "http://x"), ("VAULT_TOKEN", "x")]).expect("not ours");
}

#[test]
fn a_value_that_does_not_fit_names_its_key_and_what_fits() {
    for text in [
        "listen = 'localhost'",
        "listen = 8787",
        "log.format = 'xml'",
        "log.level = 'loud'",
        "backup.to = 'backups'",
        "backup.to = ''",
        "backup.to = 's3:/bucket/prefix'",
        "backup.to = 's3://b'",
        "backup.s3.endpoint = 'http://10.0.0.1:9000'",
        "backup.s3.endpoint = 'https://store.test/path'",
        "backup.s3.region = 'EU'",
        "backup.recipients = ['age1nonsense']",
        "backup.recipients = 'AGE-SECRET-KEY-1CANARY'",
        "backup.every = '6h'",
        "backup.every = 'PT59S'",
        "backup.key_expiry = 'P0D'",
        "backup.keep.last = -1",
        "backup.keep.daily = 'all'",
        "backup.ledger_to = ['elsewhere']",
        "limits.in_flight = 0",
        "limits.body_bytes = -1",
        "vault.dir = ''",
        "cors.origins = ['*']",
        "cors.origins = [1]",
        "cors.origins = 'https://chat.example.test/'",
        "limits.calls_per_second = 0",
        "limits.lookups_per_day = 'many'",
        "store = 'postgres'",
        "unlock = 'secret words here'",
        "unlock = 'credential:../passphrase'",
        "unlock = 'file:'",
        "sandbox = 'on'",
        "admin.socket = 'yes'",
        "metrics.listen = '0.0.0.0:9464'",
        "metrics.listen = '203.0.113.1:9464'",
        "limits.header_seconds = 0",
        "limits.header_bytes = 1023",
        "limits.drain_seconds = 61",
    ] {
        let error = with(text, &[]).expect_err(text).to_string();
        let key = text.split(" = ").next().expect("a key");
        assert!(error.starts_with(&format!("`{key}` must be ")), "{error}");
    }
    assert!(matches!(with("= 1", &[]), Err(ConfigError::Syntax(_))));
}

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[test]
fn a_schedule_needs_a_target_and_somebody_who_can_open_its_keys() {
    let recipients = format!("recipients = ['{RECIPIENT}']");
    let text =
        format!("[backup]\nto = '/mnt/b'\nevery = 'P1D'\n{recipients}\n[backup.keep]\ndaily = 7");
    let config = with(&text, &[]).expect("fits").backup;
    assert_eq!(config.key_expiry.to_string(), "P30D");
    assert_eq!((config.kept().daily, config.kept().last), (7, 0));
    let quiet = with(&text, &[("VAULT_BACKUP_EVERY", "none")]).expect("fits");
    assert_eq!(quiet.backup.every, None);
    // No rule deletes nothing.
    let all = with("backup.to = '/mnt/b'", &[]).expect("fits").backup;
    assert_eq!(all.kept().last, u32::MAX);
    for (text, said) in [
        (
            "every = 'P1D'".to_owned(),
            "`backup.every` needs `backup.to` too",
        ),
        (
            "every = 'P1D'\nto = '/mnt/b'".to_owned(),
            "`backup.every` needs `backup.recipients` too",
        ),
        (recipients, "`backup.recipients` needs `backup.to` too"),
        (
            "keep.last = 1".to_owned(),
            "`backup.keep` needs `backup.to` too",
        ),
        (
            "keep.dayly = 1".to_owned(),
            "unknown key `backup.keep.dayly`; did you mean `backup.keep.daily`?",
        ),
    ] {
        let error = with(&format!("[backup]\n{text}"), &[]).expect_err(&text);
        assert_eq!(error.to_string(), said);
    }
    // A secret key that was written there is not repeated.
    let error = with("backup.recipients = 'AGE-SECRET-KEY-1CANARY'", &[]).expect_err("a secret");
    assert!(!error.to_string().contains("CANARY"));
}

#[test]
fn certificate_and_key_come_together_or_not_at_all() {
    for (text, error) in [
        ("tls.cert = 'c'", "`tls.cert` needs `tls.key` too"),
        ("tls.key = 'k'", "`tls.key` needs `tls.cert` too"),
        (
            "tls.client_ca = 'r'",
            "`tls.client_ca` needs `tls.cert` too",
        ),
    ] {
        assert_eq!(with(text, &[]).expect_err(text).to_string(), error);
    }
    let whole = with("tls.cert = 'c'\ntls.key = 'k'", &[]).expect("both");
    assert_eq!(whole.tls().expect("TLS").key, PathBuf::from("k"));
    assert_eq!(ServerConfig::default().tls(), None);
}

#[test]
fn metrics_are_at_home_on_a_private_network() {
    for address in ["127.0.0.1:1", "10.1.2.3:1", "[fd00::1]:1", "[::1]:1"] {
        let config = with("", &[("VAULT_METRICS_LISTEN", address)]).expect(address);
        assert_eq!(config.metrics_listen, address.parse().ok());
    }
}

#[test]
fn a_collector_needs_the_feature_and_an_address_without_credentials() {
    let set = |endpoint| with("", &[("VAULT_OTEL_ENDPOINT", endpoint)]);
    let told = set("http://127.0.0.1:4318").map_err(|error| error.to_string());
    if cfg!(feature = "otel") {
        let endpoint = told.expect("fits").otel_endpoint;
        assert_eq!(endpoint.as_deref(), Some("http://127.0.0.1:4318"));
        for wrong in ["https://x.example", "http://", "http://a:b@x.example", "x"] {
            assert!(
                matches!(set(wrong), Err(ConfigError::Value { .. })),
                "{wrong}"
            );
        }
    } else {
        assert_eq!(
            told.expect_err("built without it"),
            "`VAULT_OTEL_ENDPOINT` needs a server built with `--features otel`"
        );
    }
}

#[test]
fn the_keys_of_alarms_go_together_and_the_url_is_not_repeated() {
    let both = "[alarm]\nwebhook = 'https://hooks.example.test/x'\nsecret_file = '/etc/s'";
    let config = with(both, &[]).expect("fits");
    assert!(config.print().contains("secret_file = \"/etc/s\""));
    for (text, said) in [
        (
            "webhook = 'https://hooks.example.test/x'",
            "`alarm.webhook` needs `alarm.secret_file` too",
        ),
        (
            "secret_file = '/etc/s'",
            "`alarm.secret_file` needs `alarm.webhook` too",
        ),
        ("ca = '/etc/s'", "`alarm.ca` needs `alarm.webhook` too"),
        (
            "private = true",
            "`alarm.private` needs `alarm.webhook` too",
        ),
        (
            "webhok = 'x'",
            "unknown key `alarm.webhok`; did you mean `alarm.webhook`?",
        ),
    ] {
        let error = with(&format!("[alarm]\n{text}"), &[]).expect_err(text);
        assert_eq!(error.to_string(), said);
    }
    for url in [
        "http://canary.example.test/",
        "https://canary:word@hooks.example.test/",
    ] {
        let text = format!("[alarm]\nwebhook = '{url}'\nsecret_file = '/etc/s'");
        let error = with(&text, &[]).expect_err(url).to_string();
        assert!(
            error.contains("`alarm.webhook` must be") && !error.contains("canary"),
            "{error}"
        );
    }
}

#[test]
fn the_keys_of_codes_go_together_and_no_address_or_url_is_repeated() {
    let mail = "smtp.host = 'mail.example.test'\nsmtp.from = 'codes@example.test'";
    let hook = "webhook = 'https://hooks.example.test/x'\nsecret_file = '/etc/s'";
    let set = |text: &str| with(&format!("[verification]\n{text}"), &[]);
    let config = set(&format!("{mail}\n{hook}")).expect("fits").verification;
    assert_eq!(config.smtp.tls, SmtpTls::Implicit);
    assert_eq!(config.smtp.port(), 465);
    let starttls = set(&format!("{mail}\nsmtp.tls = 'starttls'")).expect("fits");
    assert_eq!(starttls.verification.smtp.port(), 587);
    let own = set(&format!("{mail}\nsmtp.port = 2525")).expect("fits");
    assert_eq!(own.verification.smtp.port(), 2525);
    for (text, said) in [
        (
            "webhook = 'https://hooks.example.test/x'",
            "`verification.webhook` needs `verification.secret_file` too",
        ),
        (
            "secret_file = '/etc/s'",
            "`verification.secret_file` needs `verification.webhook` too",
        ),
        (
            "ca = '/etc/s'",
            "`verification.ca` needs `verification.webhook` too",
        ),
        (
            "smtp.host = 'mail.example.test'",
            "`verification.smtp.host` needs `verification.smtp.from` too",
        ),
        (
            "smtp.from = 'codes@example.test'",
            "`verification.smtp.from` needs `verification.smtp.host` too",
        ),
        (
            "smtp.port = 25",
            "`verification.smtp.port` needs `verification.smtp.host` too",
        ),
        (
            "smtp.ca = '/etc/s'",
            "`verification.smtp.ca` needs `verification.smtp.host` too",
        ),
        (
            "smtp.hots = 'x'",
            "unknown key `verification.smtp.hots`; did you mean `verification.smtp.host`?",
        ),
    ] {
        assert_eq!(set(text).expect_err(text).to_string(), said);
    }
    for (more, said) in [
        (
            "smtp.user = 'u'",
            "`verification.smtp.user` needs `verification.smtp.password_file` too",
        ),
        (
            "smtp.password_file = '/p'",
            "`verification.smtp.password_file` needs `verification.smtp.user` too",
        ),
    ] {
        let error = set(&format!("{mail}\n{more}")).expect_err(more);
        assert_eq!(error.to_string(), said);
    }
    for wrong in [
        "webhook = 'http://canary.example.test/'",
        "smtp.host = 'canary.example.test:25'",
        "smtp.host = 'smtp://canary'",
        "smtp.port = 0",
        "smtp.port = 'canary'",
        "smtp.tls = 'canary'",
        "smtp.from = 'canary'",
        "smtp.from = 'canary@example.test, b@example.test'",
        "smtp.from = \"canary@example.test\\r\\nBcc: b@example.test\"",
        "smtp.user = ''",
    ] {
        let key = wrong.split(" = ").next().expect("a key");
        let others = mail.lines().chain(hook.lines());
        let others = others.filter(|line| line.split(" = ").next() != Some(key));
        let text: Vec<&str> = others.chain([wrong]).collect();
        let error = set(&text.join("\n")).expect_err(wrong).to_string();
        let said = format!("`verification.{key}` must be ");
        assert!(
            error.starts_with(&said) && !error.contains("canary"),
            "{error}"
        );
    }
}

#[test]
fn a_code_goes_without_tls_to_this_machine_alone() {
    let to = |host: &str| {
        let text =
            format!("[verification.smtp]\ntls = 'none'\nfrom = 'a@example.test'\nhost = '{host}'");
        with(&text, &[])
    };
    for host in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(to(host).expect(host).verification.smtp.port(), 25);
    }
    for host in ["mail.example.test", "10.0.0.1", "localhost.example.test"] {
        let error = to(host).expect_err(host).to_string();
        assert!(
            error.starts_with("`verification.smtp.tls` must be "),
            "{error}"
        );
    }
}

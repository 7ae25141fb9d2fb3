//! No personal data and no secret where it does not belong (P5): the log, metrics, answers that refuse,
//! public pages, the process as others see it, files, what the tool prints, `Debug` and panics.
//!
//! Every text of a person is a canary, and so is every secret; each route of the contract is called
//! well, and badly in some dozens of ways, over TLS, in clear and through the admin socket. Failure is
//! a canary, in any form that `canary` knows, in anything but the success of a call that hands out to
//! its caller what they asked for. Each search is first shown to find what was planted.

mod attacks;
mod core;
mod debug;
mod panics;
mod people;
mod server;
mod story;

use std::collections::BTreeSet;
use std::path::Path;

use vault_tests::canary::Net;
use vault_tests::contract::{Route, routes};

use people::{EMAIL, NAME, PHONE, USER, WORD};
use server::{Server, Way, fed};
use story::{FIRST, Made, again, headers, learn, ordered, parameter, read, recipe, request};

/// The two tests make half of the bad calls each; both make all of them where this is set.
const ALL: &str = "SILENCE_ALL";
/// Successes of a route that takes something away, after which it is tried by who may not.
const HARM_MAX: usize = 3;

/// A run of calls, and what was caught in their answers.
struct Run {
    server: Server,
    net: Net,
    made: Made,
    caught: Vec<String>,
    calls: usize,
    refused: usize,
    /// Which half of the bad calls is made; see [`ALL`].
    half: usize,
}

impl Run {
    fn new(format: &str, tls: bool, half: usize) -> Self {
        let server = Server::start(format, tls);
        let mut net = people::net();
        for (name, secret) in &server.secrets {
            net.add(name, secret);
        }
        Self {
            server,
            net,
            made: Made::new(),
            caught: Vec::new(),
            calls: 0,
            refused: 0,
            half,
        }
    }

    fn note(&mut self, what: &str, bytes: &[u8]) {
        let caught = self.net.caught(bytes);
        if !caught.is_empty() && self.caught.len() < 40 {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1500)]);
            self.caught.push(format!("{what}: {caught:?} in\n{text}\n"));
        }
    }

    /// A good call, which must succeed.
    fn call(&mut self, route: &Route) {
        let recipe = recipe(route, &self.server, &self.made);
        let path = route.at(|name| parameter(route, name, &self.made));
        let mut headers = headers(&recipe);
        if route.method == "POST" && recipe.way == Way::Listener {
            headers.push(again());
            let (_, key) = headers.last_mut().unwrap();
            key.extend(format!("-{}-{}", route.operation, self.calls).bytes());
        }
        let target = format!("{path}{}", recipe.query);
        let request = request(
            route.method.as_bytes(),
            target.as_bytes(),
            &headers,
            &recipe.body.bytes(),
        );
        let mut answer = self.server.exchange(recipe.way, &request);
        // Work on backups that the call before began goes on; nothing else is busy here.
        while route.operation == "prune_backups" && read(&answer).0 == 409 {
            std::thread::yield_now();
            answer = self.server.exchange(recipe.way, &request);
        }
        self.calls += 1;
        let (status, body) = read(&answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(
            (200..300).contains(&status),
            "{} {}: {text}",
            route.operation,
            String::from_utf8_lossy(&request)
        );
        learn(route, &body, &mut self.made);
        if !recipe.hands_out {
            self.note(&format!("the success of {}", route.operation), &answer);
        }
    }

    /// Somebody to call about, with everything that there can be of them.
    fn person(&mut self, routes: &[Route]) {
        self.made.insert("user", format!("{USER}-{}", self.calls));
        for operation in &FIRST[..7] {
            let route = routes.iter().find(|route| route.operation == *operation);
            self.call(route.unwrap());
        }
    }

    /// Every bad call of a route.
    fn attack(&mut self, route: &Route, routes: &[Route]) {
        let takes_away = route.method == "DELETE"
            || ["lock", "purge_records", "rotate_api_key"].contains(&&*route.operation);
        let mut harm = 0;
        let mut attacks = self.attacks(route);
        let (all, half) = (std::env::var_os(ALL).is_some(), self.half);
        for index in (0..attacks.len()).filter(|index| all || index % 2 == half) {
            let (what, request) = std::mem::take(&mut attacks[index]);
            let request = match harm < HARM_MAX {
                true => request,
                false => replaced(&request, &self.server.all, &self.server.none),
            };
            let way = match (index + self.calls).is_multiple_of(3) {
                true => Way::Socket,
                false => recipe(route, &self.server, &self.made).way,
            };
            let answer = self.server.exchange(way, &request);
            self.calls += 1;
            let (status, body) = read(&answer);
            assert!(status != 500, "{} {what}: {body}", route.operation);
            let hands_out = recipe(route, &self.server, &self.made).hands_out;
            if status >= 400 || status == 0 {
                self.refused += 1;
            }
            if status >= 400 || !hands_out {
                self.note(&format!("{} {what} ({status})", route.operation), &answer);
            }
            if takes_away && (200..300).contains(&status) {
                harm += 1;
                if route.operation == "lock" {
                    let unlock = routes.iter().find(|route| route.operation == "unlock");
                    self.call(unlock.unwrap());
                }
                self.person(routes);
                let keys = routes
                    .iter()
                    .find(|route| route.operation == "create_api_key");
                self.call(keys.unwrap());
                attacks = self.attacks(route);
            }
        }
    }

    fn attacks(&self, route: &Route) -> Vec<attacks::Attack> {
        let recipe = recipe(route, &self.server, &self.made);
        attacks::attacks(route, &recipe, &self.server, &self.made)
    }

    /// Calls of links to pick a copy up, which stand beside the contract: a token is in the path. The page has it; nothing
    /// else may.
    fn links(&mut self) {
        let token = data_encoding::BASE64URL_NOPAD.encode(&[0x5a; 32]);
        let form = [
            (
                "content-type".to_owned(),
                b"application/x-www-form-urlencoded".to_vec(),
            ),
            // The answer is read to its end.
            ("connection".to_owned(), b"close".to_vec()),
        ];
        for (method, path, body) in [
            ("GET", format!("/pickup/{token}"), String::new()),
            ("GET", format!("/pickup/{token}/code"), String::new()),
            ("POST", format!("/pickup/{token}/code"), String::new()),
            ("POST", format!("/pickup/{token}"), "code=123456".to_owned()),
            ("PUT", format!("/pickup/{token}"), String::new()),
            ("GET", format!("/pickup/{token}/more"), String::new()),
            (
                "GET",
                format!("/pickup/{token}x?code={token}"),
                String::new(),
            ),
        ] {
            for way in [Way::Listener, Way::Socket] {
                let request = request(method.as_bytes(), path.as_bytes(), &form, body.as_bytes());
                let answer = self.server.exchange(way, &request);
                self.calls += 1;
                let (status, _) = read(&answer);
                assert!(matches!(status, 200 | 403 | 404 | 405), "{method} {status}");
            }
        }
        self.net.add("token of a link", token.as_bytes());
    }

    /// Adds what the calls have made to what must not be found.
    fn secrets_made(&mut self) {
        for name in [
            "session token",
            "emergency token",
            "new API key",
            "next API key",
            "keyholder",
            "s",
            "r",
        ] {
            self.net.add(name, self.made[name].as_bytes());
        }
        let anchor = std::fs::read(self.server.paths.anchor.join("anchor")).unwrap();
        for secret in anchor_secrets(&anchor) {
            self.net.add("secret of the anchor", &secret);
        }
    }
}

/// The same request from somebody else.
fn replaced(request: &[u8], key: &str, by: &str) -> Vec<u8> {
    let at = request
        .windows(key.len())
        .position(|part| part == key.as_bytes());
    let Some(at) = at else {
        return request.to_vec();
    };
    [&request[..at], by.as_bytes(), &request[at + key.len()..]].concat()
}

/// The secrets that the anchor's file holds now (docs/format.md).
fn anchor_secrets(file: &[u8]) -> Vec<[u8; 32]> {
    let magic = b"vlt-anch";
    let places = file
        .windows(8)
        .enumerate()
        .filter(|(_, part)| part == magic);
    let secrets: Vec<_> = places
        .map(|(at, _)| file[at + 33..at + 65].try_into().unwrap())
        .collect();
    assert!(!secrets.is_empty(), "the anchor has another form now");
    secrets
}

/// Every file below a directory.
fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Commands of the operator's tool, with what is typed into them; what they may print is `show`.
fn commands(made: &Made) -> Vec<(Vec<String>, String)> {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let subject = &made["s"];
    let mut all: Vec<(Vec<String>, String)> = [
        "status",
        "policy show",
        "policy show --versions",
        "slot list",
        "token list",
        "audit tail --last 1000",
        "audit verify",
        "audit key",
        "audit checkpoint",
        "retention run",
        "serve",
        "serve --print-config",
        "init",
        "completions bash",
    ]
    .into_iter()
    .map(|line| (words(line), String::new()))
    .collect();
    for line in [
        "subject find --field profile.email",
        "subject find --channel web",
    ] {
        for typed in [EMAIL, PHONE, NAME, WORD, ""] {
            all.push((words(line), format!("{typed}\n")));
        }
    }
    for wrong in [WORD, EMAIL, NAME] {
        for line in [
            vec!["subject", "show", wrong],
            vec!["subject", "erase", wrong],
            vec!["subject", "find", wrong],
            vec!["subject", "find", "--field", wrong],
            vec!["receipt", "get", wrong],
            vec!["token", "create", "--role", wrong],
            vec!["token", "revoke", wrong],
            vec!["audit", "tail", "--subject", wrong],
            vec!["audit", "tail", "--action", wrong],
            vec!["slot", "remove", wrong],
            vec!["--", wrong],
            vec![wrong],
        ] {
            let line = line.into_iter().map(str::to_owned).collect();
            all.push((line, format!("{EMAIL}\n")));
        }
    }
    all.push((words(&format!("subject show {subject}")), String::new()));
    all
}

#[expect(clippy::print_stdout, reason = "says how much was tried")]
fn hears_nothing(format: &str, tls: bool, half: usize) {
    let mut run = Run::new(format, tls, half);
    let routes = ordered(routes());
    for route in &routes {
        for needed in story::needs(&route.operation) {
            let needed = routes.iter().find(|route| route.operation == **needed);
            run.call(needed.unwrap());
        }
        run.call(route);
    }
    run.person(&routes);
    let keys = routes
        .iter()
        .find(|route| route.operation == "create_api_key");
    run.call(keys.unwrap());
    for route in &routes {
        run.attack(route, &routes);
    }
    for (what, bytes) in attacks::garbage() {
        for answer in [
            run.server.exchange(Way::Listener, &bytes),
            run.server.exchange(Way::Socket, &bytes),
            run.server.in_clear(&bytes),
        ] {
            run.note(&what, &answer);
        }
    }
    run.links();
    run.secrets_made();
    // The tool, whose output is seen by whoever looks over a shoulder; ids that were typed may return.
    for (args, typed) in commands(&run.made) {
        for json in [None, Some("--json")] {
            let args: Vec<&str> = args.iter().map(String::as_str).chain(json).collect();
            let output = run.server.tool(&args, &typed);
            let show = args[..2.min(args.len())] == ["subject", "show"] || args[0] == "subject";
            let printed = [output.stdout, output.stderr].concat();
            let printed = match show {
                true => replaced(&printed, &run.made["s"], "the subject"),
                false => printed,
            };
            run.note(&format!("vault-cli {args:?}"), &printed);
        }
    }
    let metrics = run.server.scrape();
    assert!(metrics.starts_with(b"HTTP/1.1 200"));
    run.note("metrics", &metrics);
    for file in ["environ", "cmdline", "status", "maps", "mountinfo", "comm"] {
        match run.server.proc(file) {
            Ok(bytes) => run.note(&format!("/proc/PID/{file}"), &bytes),
            // Nobody reads what the process hides.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
        }
    }
    run.server.stop();
    let log = run.server.log();
    run.note("the log", &log);
    let told = run.server.told.clone();
    run.note("the service manager", &told);
    let mut found = Vec::new();
    files(run.server.home.path(), &mut found);
    for path in &found {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(path).unwrap();
        match &*name {
            "passphrase" | "key.pem" => {}
            "anchor" => {
                let caught = run.net.caught(&bytes);
                assert_eq!(caught, BTreeSet::from(["secret of the anchor"]));
            }
            _ => run.note(&format!("the file {}", path.display()), &bytes),
        }
    }
    assert!(
        run.caught.is_empty(),
        "{} leaks:\n{}",
        run.caught.len(),
        run.caught.join("\n")
    );

    // That there was something to search: every call has its line, and most were refused.
    let call = |line: &&[u8]| line.windows(18).any(|part| part == b"vault_server::call");
    let lines = log.split(|byte| *byte == b'\n').filter(call).count();
    assert!(
        lines * 10 > run.calls * 8 && run.refused * 5 > run.calls * 2,
        "{lines} of {}",
        run.calls
    );
    assert!(
        found.len() > 6 && run.calls > 1500,
        "{} {}",
        found.len(),
        run.calls
    );
    println!(
        "{} calls, {} refused, {lines} lines",
        run.calls, run.refused
    );
    // The control: a line that a careless hand might have written.
    let line = format!(
        "{{\"level\":\"DEBUG\",\"message\":\"stored\",\"email\":{:?}}}\n",
        EMAIL
    );
    for planted in [
        line,
        format!("stored {}", data_encoding::BASE64.encode(NAME.as_bytes())),
    ] {
        let mut log = log.clone();
        log.extend_from_slice(planted.as_bytes());
        assert!(!run.net.caught(&log).is_empty(), "the search finds nothing");
    }
}

#[test]
fn no_log_in_json_metric_refusal_page_or_file_holds_a_value_or_a_secret_over_tls() {
    hears_nothing("json", true, 0);
}

#[test]
fn no_log_in_text_metric_refusal_page_or_file_holds_a_value_or_a_secret_in_clear() {
    hears_nothing("text", false, 1);
}

#[test]
fn a_tool_that_is_told_wrongly_repeats_nothing_without_a_vault_either() {
    let net = people::net();
    for args in [
        vec![EMAIL],
        vec!["--vault", "nowhere", "subject", "find", EMAIL],
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_soak"));
        command.arg("vault-cli").args(args).env_clear();
        let output = fed(command, EMAIL);
        assert_eq!(
            net.caught(&[output.stdout, output.stderr].concat()),
            BTreeSet::new()
        );
    }
}

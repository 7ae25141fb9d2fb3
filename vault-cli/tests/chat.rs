//! Conversations about rights with the real program: from a pipe, at a terminal, on the page of `dev`.
//!
//! Counts as failure: a code or an address that is printed or transcribed, an erasure that nobody chose, a page
//! that takes a form of another site, and a refusal that does not say what to do.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};
use support::seat::Seat;
use support::{Bench, CANARY, Dev};

/// A page, as a browser of this machine asks for it.
struct Answer {
    status: u16,
    policy: String,
    cache: String,
    to: String,
    text: String,
}

struct Page {
    agent: ureq::Agent,
    url: String,
}

impl Page {
    fn of(dev: &Dev) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        let url = dev.1["chat"].as_str().expect("dev serves a page");
        Self {
            agent: config.into(),
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    fn answer(mut came: ureq::http::Response<ureq::Body>) -> Answer {
        let text = |name: &str| {
            let value = came.headers().get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Answer {
            status: came.status().as_u16(),
            policy: text("content-security-policy"),
            cache: text("cache-control"),
            to: text("location"),
            text: came.body_mut().read_to_string().unwrap(),
        }
    }

    fn get(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.url);
        Self::answer(self.agent.get(url).call().unwrap())
    }

    fn post(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut call = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        Self::answer(call.send_form(fields.iter().copied()).unwrap())
    }

    /// The value of a field of the page's forms.
    fn field(page: &str, name: &str) -> String {
        let (_, rest) = page
            .split_once(&format!("name=\"{name}\" value=\""))
            .expect(name);
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends one of its forms, as somebody would who has the page before them.
    fn send(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let page = self.get("/").text;
        let (token, message) = (Self::field(&page, "token"), Self::field(&page, "message"));
        let mut all = vec![("token", token.as_str())];
        if path == "/say" {
            all.push(("message", message.as_str()));
        }
        all.extend(fields);
        let answer = self.post(path, &all, &[("Origin", &self.url)]);
        assert_eq!(
            (answer.status, &*answer.to),
            (303, "/#text"),
            "{}",
            answer.text
        );
        self.get("/").text
    }

    fn say(&self, text: &str) -> String {
        self.send("/say", &[("text", text)])
    }

    /// Presses the button with this label.
    fn press(&self, label: &str) -> String {
        let page = self.get("/").text;
        let buttons = page.split("name=\"choice\" value=\"").skip(1);
        let mut found = buttons.filter_map(|button| {
            let (id, rest) = button.split_once("\">")?;
            let shown = rest.split("</button>").next()?;
            shown.contains(label).then_some(id)
        });
        let id = found
            .next()
            .unwrap_or_else(|| panic!("{label}: {page}"))
            .to_owned();
        self.send("/say", &[("choice", &id)])
    }

    /// The newest code that was sent by mail; it comes soon after it was made.
    fn code(&self) -> String {
        for _ in 0..5_000 {
            let page = self.get("/").text;
            if let Some((_, rest)) = page.split_once("<strong class=\"code\">") {
                return rest.split('<').next().unwrap().to_owned();
            }
        }
        panic!("no code came");
    }

    /// What was said.
    fn transcript(page: &str) -> &str {
        let (_, rest) = page
            .split_once("<ol class=\"lines\"")
            .expect("a transcript");
        rest.split("</ol>").next().unwrap()
    }
}

/// `chat` behind a pipe.
struct Piped {
    child: Child,
    out: BufReader<ChildStdout>,
    said: String,
}

impl Piped {
    fn start(bench: &Bench, args: &[&str]) -> Self {
        let mut child = bench
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            out,
            said: String::new(),
        }
    }

    /// Sends a line, and reads what is answered as far as these words.
    fn line(&mut self, line: &str, until: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        let from = self.said.len();
        while !self.said[from..].contains(until) {
            let read = self.out.read_line(&mut self.said).unwrap();
            assert!(read > 0, "{until}: {}", self.said);
        }
    }

    fn end(mut self) -> (i32, String) {
        drop(self.child.stdin.take());
        let code = self.child.wait().unwrap().code().unwrap();
        std::io::Read::read_to_string(&mut self.out, &mut self.said).unwrap();
        (code, self.said)
    }
}

fn through<'a>(dev: &'a Dev, token: &'a str) -> Vec<&'a str> {
    vec!["--server", dev.url(), "--token-file", token]
}

/// What the bot finds of the invented person.
fn found(dev: &Dev) -> u16 {
    let bot = vault_cli::http::Client::new(dev.url(), dev.secret("bot")).unwrap();
    let who = json!({"channel": "web", "user": "demo"});
    let found = bot.call("POST", "/v1/subjects/lookup", None, Some(&who));
    found.unwrap().status
}

#[test]
fn somebody_is_erased_from_delete_me_to_the_end_over_a_pipe() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let page = Page::of(&dev);
    let bot = dev.token(&bench, "bot");
    assert_eq!(found(&dev), 200);
    let mut chat = Piped::start(&bench, &[&through(&dev, &bot)[..], &["chat"]].concat());
    chat.line("what a lovely day", "no matter of rights");
    chat.line("delete me", "[req_");
    chat.line("1", "I have sent a code to");
    let code = page.code();
    chat.line(&code, "Shall I?");
    // No text does what cannot be undone.
    chat.line("yes", "Delete");
    assert_eq!(found(&dev), 200);
    chat.line(
        "Delete",
        "Everything that we held about you here is deleted",
    );
    let (ended, said) = chat.end();
    assert_eq!(ended, 0, "{said}");
    assert!(
        said.contains("\n> (not shown)\n") && !said.contains(&code),
        "{said}"
    );
    assert!(
        said.contains("> delete me\n") && said.contains("  1  "),
        "{said}"
    );
    assert_eq!(found(&dev), 410);
}

#[test]
fn a_script_gets_a_line_of_json_for_each_message_and_names_nobody_in_its_arguments() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let bot = dev.token(&bench, "bot");
    let chat = |more: &[&str], input: &str| {
        let all = [&through(&dev, &bot)[..], &["chat", "--json"], more].concat();
        bench.feed(&all, input)
    };
    let lines = |outcome: &support::Outcome| -> Vec<Value> {
        assert_eq!((outcome.code, &*outcome.err), (0, ""));
        let lines = outcome.out.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    };
    let known = lines(&chat(&[], "good morning\nlösche alle meine Daten\n\n"));
    assert_eq!(known.len(), 2, "an empty line is no message");
    assert_eq!(
        (&known[0]["handled"], &known[1]["handled"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&known[1]["state"], &known[1]["language"]),
        (&json!("choose_alias"), &json!("de"))
    );
    // Others read along; somebody whom nobody knows, by the first line and by a file.
    let group = lines(&chat(
        &["--group", "--locale", "fr"],
        "supprimez mes données\n",
    ));
    assert_eq!(
        group[0]["messages"][0]["choices"],
        json!([]),
        "no address is offered"
    );
    assert_eq!(group[0]["language"], "fr");
    let file = bench.file("who", CANARY, 0o600);
    for (from, input) in [
        ("-", format!("{CANARY}\ndelete me\n")),
        (&file, "delete me\n".into()),
    ] {
        let outcome = chat(&["--user-file", from], &input);
        assert!(!outcome.out.contains(CANARY));
        let unknown = lines(&outcome);
        assert_eq!(
            (unknown.len(), &unknown[0]["state"]),
            (1, &json!("type_address")),
            "{from}"
        );
        assert_eq!(unknown[0]["expect"]["sensitive"], true);
    }
    let refused = chat(&["--user", CANARY], "");
    assert!(!refused.err.contains(CANARY), "{}", refused.err);
    refused.json_error(2, "usage");
    chat(&["--user-file", "-"], "\n").json_error(2, "usage");
    let quit = chat(&[], "delete me\n/quit\ndelete me\n");
    assert_eq!(lines(&quit).len(), 1);
}

#[test]
fn a_wrong_token_a_role_that_relays_nothing_and_a_server_that_is_away_are_told_apart() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let forged = bench.file("forged", &format!("vk_{}", "0".repeat(52)), 0o600);
    let agent = dev.token(&bench, "agent");
    let bot = dev.token(&bench, "bot");
    let chat = |server: &str, token: &str, json: &[&str]| {
        let all = ["--server", server, "--token-file", token, "chat"];
        bench.feed(&[&all, json].concat(), "delete me\n")
    };
    chat(dev.url(), &forged, &["--json"]).json_error(3, "unauthenticated");
    chat(dev.url(), &agent, &["--json"]).json_error(4, "role_denied");
    let said = chat(dev.url(), &agent, &[]);
    assert!(said.err.contains("dialogue.relay"), "{}", said.err);
    // Nobody listens on a port that was given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = format!("http://{port}");
    chat(&away, &bot, &["--json"]).json_error(1, "unreachable");
    let none = bench.feed(&["--server", dev.url(), "chat"], "delete me\n");
    assert!(none.refused(2).err.contains("--token-file"));
}

#[test]
fn a_directory_is_asked_itself_or_through_the_server_that_holds_it() {
    let bench = Bench::new();
    bench.init();
    let made = bench.on(&["token", "create", "--role", "bot"]).json();
    let bot = bench.file("bot", made["secret"].as_str().unwrap(), 0o600);
    let args = [
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "--token-file",
        &bot,
        "chat",
    ];
    let alone = bench.feed(&args, "delete me\n");
    assert_eq!(alone.code, 0, "{}", alone.err);
    // Nobody sends codes there, and the person is told whom to write to.
    assert!(alone.out.contains("dpo@example.test"), "{}", alone.out);
    assert!(alone.err.contains("no codes are sent"), "{}", alone.err);
    let dev = Dev::newcomer(&bench);
    let bot = dev.token(&bench, "bot");
    let held = bench.feed(
        &["--vault", "d", "--token-file", &bot, "chat", "--json"],
        "delete me\n",
    );
    assert_eq!(held.json()["state"], "choose_alias");
}

#[test]
fn a_code_is_not_shown_while_it_is_typed_and_ctrl_d_ends_the_conversation() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let page = Page::of(&dev);
    let bot = dev.token(&bench, "bot");
    let args = [&through(&dev, &bot)[..], &["chat"]].concat();
    let mut seat = Seat::take(&bench, 100, &args);
    seat.see("Who talks").send("\n");
    seat.see("/quit ends").see("> ").send("/frobnicate\n");
    seat.see("nobody knows that command").send("delete me\n");
    seat.see("Where shall I send a code?")
        .see("[req_")
        .send("1\n");
    seat.see("I have sent a code").see("(not shown)");
    let code = page.code();
    seat.send(&format!("{code}\n")).see("Shall I?").see("Keep");
    seat.send("2\n")
        .see("Nothing is deleted")
        .see("> ")
        .send("\u{4}");
    let (ended, shown) = seat.end();
    assert_eq!(ended, 0, "{shown}");
    assert!(!shown.contains(&code), "{shown}");
    assert_eq!(found(&dev), 200);
    // The same end where nothing is shown.
    let mut seat = Seat::take(&bench, 100, &args);
    seat.see("Who talks")
        .send("nobody-knows-me\n")
        .see("> ")
        .send("delete me\n");
    seat.see("(not shown)").hides().send("\u{4}");
    assert_eq!(seat.end().0, 0);
}

#[test]
fn the_page_leads_from_delete_me_to_a_receipt_and_brings_the_person_back() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let page = Page::of(&dev);
    let first = page.get("/");
    assert_eq!((first.status, &*first.cache), (200, "no-store"));
    assert!(
        first.policy.contains("default-src 'none'")
            && first.policy.contains("frame-ancestors 'none'")
    );
    assert!(!first.policy.contains("script-src") && !first.text.contains("<script"));
    assert_eq!(page.get("/style.css").status, 200);
    let small_talk = page.say("what a lovely day <script>");
    assert!(small_talk.contains("No matter of rights"));
    assert!(small_talk.contains("day &lt;script&gt;") && !small_talk.contains("<script"));
    let asked = page.say("delete me");
    assert!(asked.contains("Where shall I send a code?"), "{asked}");
    page.press("m");
    let code = page.code();
    let known = page.say(&code);
    let said = Page::transcript(&known);
    assert!(
        said.contains("not shown") && !said.contains(&code),
        "{said}"
    );
    assert!(said.contains("Deleting cannot be undone"), "{said}");
    // A claim holds the orders: that is told before, and they stay.
    assert!(said.contains("A law has us keep this"), "{said}");
    let request = said
        .split("href=\"/request/")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let office = page.get(&format!("/request/{request}"));
    assert!(office.text.contains("erase"), "{}", office.text);
    let done = page.press("Delete");
    assert!(done.contains("is deleted, but for this"), "{done}");
    assert_eq!(found(&dev), 410);
    let receipt = done.split("href=\"/receipt/").nth(1).expect(&done);
    let receipt = page.get(&format!("/receipt/{}", receipt.split('"').next().unwrap()));
    assert!(
        receipt.text.contains("Receipt of an erasure"),
        "{}",
        receipt.text
    );
    assert!(
        receipt.policy.contains("style-src 'sha256-"),
        "{}",
        receipt.policy
    );
    assert_eq!(page.get("/receipt/..%2Fstatus").status, 404);
    let back = page.send("/back", &[]);
    assert!(back.contains("is back"), "{back}");
    // Under another name: whoever was erased just now is not made again.
    assert_eq!(found(&dev), 410);
    assert!(page.say("delete me").contains("Where shall I send a code?"));
    assert!(page.send("/back", &[]).contains("is here already"));
}

#[test]
fn somebody_unknown_is_answered_alike_and_others_who_read_along_see_nothing() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let page = Page::of(&dev);
    let set = |persona: &str, language: &str, group: bool| {
        let mut fields = vec![("persona", persona), ("language", language)];
        fields.extend(group.then_some(("group", "yes")));
        page.send("/set", &fields)
    };
    set("unknown", "en", false);
    page.say("delete me");
    let strange = page.say("nobody@example.test");
    let told = "If we know that address, a code is on its way";
    assert!(Page::transcript(&strange).contains(told), "{strange}");
    assert!(
        !strange.contains("<strong class=\"code\">"),
        "nobody has it"
    );
    page.send("/new", &[]);
    page.say("delete me");
    let known = page.say("mila@example.test");
    assert!(Page::transcript(&known).contains(told), "{known}");
    assert!(
        !Page::transcript(&known).contains("mila@"),
        "an address is not transcribed"
    );
    page.code();
    let group = set("invented", "de", true);
    assert!(group.contains("others read along"), "{group}");
    let said = page.say("was wisst ihr über mich?");
    assert!(
        Page::transcript(&said).contains("lesen andere mit"),
        "{said}"
    );
    assert!(
        !Page::transcript(&said).contains("class=\"chip\""),
        "no address is offered: {said}"
    );
}

#[test]
fn a_page_of_another_site_can_neither_send_a_form_nor_read_one() {
    let bench = Bench::new();
    let dev = Dev::newcomer(&bench);
    let page = Page::of(&dev);
    let shown = page.get("/").text;
    let (token, message) = (Page::field(&shown, "token"), Page::field(&shown, "message"));
    let good = [
        ("token", &*token),
        ("message", &*message),
        ("text", "delete me"),
    ];
    let port = page.url.rsplit(':').next().unwrap();
    let rebound = format!("evil.example.test:{port}");
    for (headers, status) in [
        (&[("Host", &*rebound)][..], 421),
        (&[("Origin", "http://evil.example.test")][..], 403),
        (&[("Origin", "null")][..], 403),
    ] {
        assert_eq!(
            page.post("/say", &good, headers).status,
            status,
            "{headers:?}"
        );
    }
    let call = page.agent.get(&page.url).header("Host", &*rebound).call();
    let read = Page::answer(call.unwrap());
    assert!(read.status == 421 && !read.text.contains(&token));
    for path in ["/say", "/set", "/new", "/back"] {
        for wrong in ["", "0000", &token[1..]] {
            assert_eq!(
                page.post(path, &[("token", wrong)], &[]).status,
                403,
                "{path}"
            );
        }
    }
    let long = "x".repeat(17 << 10);
    let fields = [good[0], good[1], ("text", &*long)];
    assert_eq!(page.post("/say", &fields, &[]).status, 413);
    let more = [good[0], good[1], good[2], ("more", "1")];
    assert_eq!(page.post("/say", &more, &[]).status, 422);
    assert_eq!(
        page.post("/codes", &good, &[]).status,
        401,
        "nobody signed it"
    );
    assert!(
        !page.get("/").text.contains("<ol class=\"lines\""),
        "nothing was said"
    );
    // The control, and the same form a second time.
    for _ in 0..2 {
        assert_eq!(page.post("/say", &good, &[]).status, 303);
    }
    let said = page.get("/").text;
    assert_eq!(Page::transcript(&said).matches("delete me").count(), 1);
}

#[test]
fn another_policy_has_a_page_without_the_invented_person_and_none_without_a_relay() {
    let bench = Bench::new();
    let dev = Dev::start(&bench, "");
    let page = Page::of(&dev);
    let shown = page.get("/").text;
    assert!(
        !shown.contains("Mila Example") && !shown.contains("/back"),
        "{shown}"
    );
    assert!(page.say("delete me").contains("cannot confirm who you are"));
    drop(dev);
    let bench = Bench::new();
    let silent = vault_core::policy::SAMPLE.replace(", \"dialogue.relay\"", "");
    let policy = bench.file("silent.toml", &silent, 0o644);
    let dev = Dev::with(&bench, &["--policy", &policy]);
    assert_eq!(dev.1["chat"], Value::Null);
}

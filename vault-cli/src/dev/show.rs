//! The demonstration: one invented person, stored, read, asked about and erased over real HTTP.
//!
//! Knows the sample policy and the HTTP API; takes no short cut into the vault. Every step checks
//! what it shows: a demonstration that goes wrong fails.

use serde_json::{Value, json};

use super::Running;
use super::scan::{hex_line, scan};
use crate::failure::{Exit, Failure};
use crate::http::{Client, Reply};
use crate::terminal::{BOLD, CYAN, DIM, GREEN, Terminal};

const EMAIL: &str = "ada.vermeer@example.test";
const NAME: &str = "Ada Vermeer";
const PHONE: &str = "+31 20 555 0134";
/// Lines of the notice that are shown.
const NOTICE_LINES: usize = 4;
const MESSAGE: &str = "My train to Utrecht was cancelled, can you rebook me?";

/// Shows a fresh vault under the sample policy at work.
///
/// # Errors
///
/// A step did not come out as promised.
pub(crate) fn run(running: &Running, terminal: &Terminal) -> Result<(), Failure> {
    let client = |role: &str| Client::new(&running.url, running.token(role));
    let (bot, agent, dpo) = (client("bot")?, client("agent")?, client("dpo")?);
    let show = Show { terminal };

    show.step("What a bot shows first: the notice, made from the policy");
    let path = "/v1/notices/current?lang=en";
    let notice = show.call(&bot, "GET", path, None, None, 200)?.body;
    let text = notice["text"].as_str().unwrap_or_default();
    show.expect(text.contains("Example Travel"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.take(NOTICE_LINES).for_each(|line| show.result(line));
    show.dim("…");

    show.step("A bot stores an invented person");
    let who = json!({"channel": "demo", "user": "4711"});
    let created = show.call(&bot, "POST", "/v1/subjects", None, Some(&who), 201)?;
    let subject = created.body["subject"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let person = format!("/v1/subjects/{subject}");
    let profile = format!("{person}/records/profile");
    let messages = format!("{person}/records/messages");
    let told = json!({"version": notice["version"], "lang": "en", "sha256": notice["sha256"], "channel": "demo"});
    let notices = format!("{person}/notices");
    show.call(&bot, "POST", &notices, None, Some(&told), 201)?;
    let values = json!({"name": NAME, "email": EMAIL, "phone": PHONE, "birth": "1990-05-17"});
    let message = json!({"from": "user", "text": MESSAGE});
    show.call(&bot, "PATCH", &profile, Some("support"), Some(&values), 200)?;
    show.call(
        &bot,
        "POST",
        &messages,
        Some("support"),
        Some(&message),
        201,
    )?;
    show.result(&subject);

    show.step("What the bot sees");
    let seen = show.call(&bot, "GET", &profile, Some("support"), None, 200)?;
    show.expect(seen.body["fields"]["email"] == EMAIL)?;
    show.members(&seen.body["fields"]);

    show.step("What the agent sees");
    let seen = show.call(&agent, "GET", &profile, Some("support"), None, 200)?;
    show.expect(seen.body["fields"]["name"] == NAME && !seen.body.to_string().contains(EMAIL))?;
    show.members(&seen.body["fields"]);
    let withheld = seen.body["withheld"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let names: Vec<_> = withheld
        .iter()
        .filter_map(|item| item["field"].as_str())
        .collect();
    show.dim(&format!("withheld: {}", names.join(", ")));

    show.step("What the bot may ask without seeing it: is this person 18 or older?");
    let test = json!({"field": "profile.birth", "test": {"age_at_least": 18}});
    let ask = format!("{person}/ask");
    let answer = show.call(&bot, "POST", &ask, Some("support"), Some(&test), 200)?;
    show.expect(answer.body["answer"] == true)?;
    show.result("yes");

    show.step("What the disk holds");
    let roots = [running.dir.as_path(), running.anchor.as_path()];
    let disk = |error: std::io::Error| Failure::io("could not read the vault's files", &error);
    let found = scan(&roots, &[EMAIL, NAME, PHONE, MESSAGE]).map_err(disk)?;
    show.expect(found.hits == 0)?;
    show.dim(&format!(
        "{} files, {} bytes searched for e-mail, name, phone and message: {} hits",
        found.files, found.bytes, found.hits
    ));
    if let Some(line) = hex_line(&running.dir).map_err(disk)? {
        show.dim(&line);
    }

    show.step("The data protection officer erases the person");
    let erased = show.call(&dpo, "DELETE", &person, None, None, 200)?;
    let receipt = &erased.body["receipt"];
    show.expect(receipt.is_object())?;
    let body = receipt.get("body").unwrap_or(receipt);
    show.members(body);

    show.step("And the bot, afterwards");
    let gone = show.call(&bot, "GET", &profile, Some("support"), None, 410)?;
    show.result(&format!("410 {}", gone.code()));
    Ok(())
}

struct Show<'a> {
    terminal: &'a Terminal,
}

impl Show<'_> {
    fn step(&self, text: &str) {
        let line = self.terminal.style(BOLD, text);
        self.terminal.line(&format!("\n{line}"));
    }

    fn result(&self, text: &str) {
        let text = self.terminal.style(GREEN, text);
        self.terminal.line(&format!("  {text}"));
    }

    fn dim(&self, text: &str) {
        let text = self.terminal.style(DIM, text);
        self.terminal.line(&format!("  {text}"));
    }

    fn members(&self, value: &Value) {
        let members = value.as_object().into_iter().flatten();
        for (name, value) in members {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let text = self.terminal.style(CYAN, &text);
            self.terminal.line(&format!("  {name:<16} {text}"));
        }
    }

    fn call(
        &self,
        client: &Client,
        method: &str,
        path: &str,
        purpose: Option<&str>,
        body: Option<&Value>,
        expected: u16,
    ) -> Result<Reply, Failure> {
        self.dim(&format!("{method} {path}"));
        let reply = client.call(method, path, purpose, body)?;
        if reply.status == expected {
            return Ok(reply);
        }
        let what = format!("{method} answered {} {}", reply.status, reply.code());
        Err(Self::wrong(&what))
    }

    #[expect(clippy::unused_self, reason = "reads like the other steps")]
    fn expect(&self, held: bool) -> Result<(), Failure> {
        if held {
            Ok(())
        } else {
            Err(Self::wrong("what came back is not what was promised"))
        }
    }

    fn wrong(what: &str) -> Failure {
        Failure::new(
            Exit::Failed,
            "demonstration",
            format!("the demonstration failed: {what}"),
            "this is a defect of the vault; please report it",
        )
    }
}

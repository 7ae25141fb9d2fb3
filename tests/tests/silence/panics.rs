//! A panic's message may quote a value. What a process of ours prints of one is its place.

use std::process::Command;

use vault_server::config::LogFormat;
use vault_server::logging;

use super::people::{self, EMAIL};

/// What the child is to do.
const ORDERS: &str = "SILENCE_PANICS";

/// Runs only when it is given orders.
#[test]
fn child() {
    match std::env::var(ORDERS).as_deref() {
        Ok("json") => logging::init(LogFormat::Json, tracing::Level::TRACE),
        Ok("text") => logging::init(LogFormat::Text, tracing::Level::TRACE),
        Ok("tool") => {
            let version = ["vault-cli".into(), "--version".into()];
            let _ = vault_cli::run(version.into_iter());
        }
        Ok("control") => {}
        _ => return,
    }
    // In a thread of its own, as in a handler: the process goes on.
    let handler = std::thread::spawn(|| {
        panic!("a value that is quoted: {EMAIL}");
    });
    assert!(handler.join().is_err());
}

#[test]
fn a_panic_of_server_or_tool_prints_its_place_and_not_its_message() {
    let net = people::net();
    let printed = |orders: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "panics::child",
                "--test-threads=1",
                "--nocapture",
            ])
            .env(ORDERS, orders)
            .output()
            .unwrap();
        [output.stdout, output.stderr].concat()
    };
    for format in ["json", "text"] {
        let printed = printed(format);
        let text = String::from_utf8_lossy(&printed);
        assert!(
            text.contains("a defect stopped a call") && text.contains("panics.rs"),
            "{text}"
        );
        assert!(net.caught(&printed).is_empty(), "{text}");
    }
    let tool = printed("tool");
    let text = String::from_utf8_lossy(&tool);
    assert!(text.contains("a defect stopped this at ") && text.contains("panics.rs"));
    assert!(net.caught(&tool).is_empty(), "{text}");
    assert!(
        !net.caught(&printed("control")).is_empty(),
        "without the hook it is printed"
    );
}

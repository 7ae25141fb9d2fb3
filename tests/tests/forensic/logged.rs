//! Lines of logs whose days were purged, or whose time is over, or whom they are about is gone.
//!
//! Counts as failure: with the anchor of then, any text of such a line opens in any copy of the database, from before
//! or after; or a line that is kept does not. The control is the anchor from before, which gives all of them. What a
//! stream takes out of a line is found in no copy with any anchor, and is looked for as bytes besides.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_core::clock::ManualClock;

use super::bench::with;
use super::files::Image;
use super::hunt::QUIETLY;
use super::scene::{POLICY, Scene};
use super::search::{Evidence, Report, search};

const DAY: i64 = 24 * 3_600_000;

const MORE: &str = r#"
[logs.bot]
mode = "redact"
retention = "P30D"

[logs.web]
mode = "redact"
retention = "P2D"

[roles.program]
may = ["logs.write"]
"#;

/// What was said in lines that a search opened.
fn says(report: &Report, text: &str) -> bool {
    let mut texts = report.loot.texts.iter();
    let text = text.as_bytes();
    texts.any(|one| one.windows(text.len()).any(|window| window == text))
}

fn send(scene: &Scene, key: &str, stream: &str, body: &str) -> Value {
    let request = ureq::http::Request::post(format!("{}/v1/logs/{stream}", scene.url))
        .header("Authorization", format!("Bearer {key}"))
        .header("Content-Type", "application/x-ndjson")
        .body(body.to_owned());
    let mut answer = ureq::run(request.unwrap()).unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

#[test]
fn lines_open_nowhere_once_their_day_was_purged_or_is_over_or_their_person_is_gone() {
    let start = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let scene = Scene::open_at(&clock);
    let policy = format!("{POLICY}\n{MORE}");
    scene.call("keeper", "PUT", "admin/policy", &json!({"source": policy}));
    let made = json!({"role": "program"});
    let key = scene.call("keeper", "POST", "admin/api-keys", &made);
    let key = key["secret"].as_str().unwrap();
    scene.crowd();
    let alida = scene.person("Alida");
    let about = json!({"subject": alida.subject, "text": "canary about her"});
    let first = format!("canary of the first day 4111111111111111\n{about}\n");
    let taken = send(&scene, key, "bot", &first);
    assert_eq!(
        (&taken["accepted"], &taken["found"]["card"]),
        (&json!(2), &json!(1))
    );
    send(&scene, key, "web", "canary of the web\n");
    clock.advance(DAY);
    send(&scene, key, "bot", "canary of the second day\n");
    let living = scene.image();
    let purged = scene.call("keeper", "DELETE", "logs/bot?to=2027-01-15", &Value::Null);
    assert_eq!((&purged["keys"], &purged["people"]), (&json!(1), &json!(1)));
    let after_purge = scene.image();
    let path = format!("subjects/{}", alida.subject);
    scene.call("dpo", "DELETE", &path, &Value::Null);
    let after_erasure = scene.image();
    clock.advance(2 * DAY);
    let run = scene.call("keeper", "POST", "admin/retention/run", &json!({}));
    assert!(run["passes"].is_u64());
    let after_run = scene.image();

    let secrets = with(&scene.passphrase);
    let look = |copies: &[&Image]| search(&Evidence::of(copies), &secrets, &[], QUIETLY).unwrap();
    let [first, about, web, second] = [
        "canary of the first day",
        "canary about her",
        "canary of the web",
        "canary of the second day",
    ];
    let found = |report: &Report| [first, about, web, second].map(|text| says(report, text));
    let control = look(&[&living]);
    assert_eq!(found(&control), [true; 4], "the control");
    assert!(says(&control, "first day [card]") && !says(&control, "4111111111111111"));
    // The key of the person's day waits for the sweeper; the day's own is gone with the answer.
    let report = look(&[&living, &after_purge]);
    assert_eq!(found(&report), [false, true, true, true]);
    let report = look(&[&living, &after_purge, &after_erasure]);
    assert_eq!(found(&report), [false, false, true, true]);
    let report = look(&[&living, &after_purge, &after_erasure, &after_run]);
    assert_eq!(found(&report), [false, false, false, true]);
    for image in [&living, &after_run] {
        let plain = b"canary of the";
        let mut windows = image.database.windows(plain.len());
        assert!(
            !windows.any(|window| window == plain),
            "nothing stands in clear"
        );
    }
    drop(scene);
}

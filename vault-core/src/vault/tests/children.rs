//! Children: what rests on their consent waits for a guardian, and for the day on which they are of age.

use super::*;

const POLICY: &str = r#"
[controller]
name = "Example Games Ltd"
contact = "privacy@example.test"

[children]
countries = { AT = 14 }

[purposes.play]
title.en = "Letting you play"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[purposes.scores]
title.en = "Showing your scores to others"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[collections.player]
kind = "single"
[collections.player.fields]
nick = { type = "text", purposes = ["play", "scores"] }
best = { type = "number", purposes = ["scores"] }

[roles.bot]
purposes = ["play", "scores"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.view", "consents.record"]
"#;

fn age(years: u8, country: Option<&str>, guardian: Option<&str>) -> AgeInput {
    AgeInput {
        years,
        country: country.map(Into::into),
        guardian: guardian.map(Into::into),
    }
}

struct Scene {
    bench: Bench,
    bot: Principal,
    child: SubjectId,
}

impl Scene {
    /// Somebody who said yes and has a score.
    fn new() -> Self {
        let bench = Bench::of(POLICY);
        let bot = bench.role("bot");
        let play = call(&bot, Some("play"));
        let (child, _) = bench.vault.create_subject(&play, "web", "kim").unwrap();
        let scene = Self { bench, bot, child };
        let yes = ConsentInput {
            given: true,
            notice: json!("n1"),
            choice: None,
            message_id: None,
            ..ConsentInput::default()
        };
        let vault = &scene.bench.vault;
        vault
            .put_consent(&scene.call("scores"), child, "scores", yes)
            .unwrap();
        let best = object(json!({"nick": "kim", "best": 7}));
        vault
            .patch_single(&scene.call("scores"), child, "player", best, None)
            .unwrap();
        scene
    }

    fn call<'a>(&'a self, purpose: &'a str) -> Call<'a> {
        call(&self.bot, Some(purpose))
    }

    fn told(&self, input: AgeInput) -> Result<AgeEvent, Refusal> {
        self.bench
            .vault
            .put_age(&self.call("play"), self.child, input)
    }

    fn reads(&self, purpose: &str) -> Result<Value, &'static str> {
        let call = self.call(purpose);
        let options = ReadOptions::default();
        let vault = &self.bench.vault;
        let read = vault.read_single(&call, self.child, "player", &options, |view, _| {
            view.map_or(json!({}), |view| Value::Object(view.fields.clone()))
        });
        read.map_err(|refusal| refusal.code())
    }
}

#[test]
fn art_8_a_childs_consent_counts_with_a_guardian_or_once_they_are_of_age() {
    let scene = Scene::new();
    assert!(scene.reads("scores").is_ok(), "nobody told an age");
    scene.told(age(14, None, None)).unwrap();
    assert_eq!(scene.reads("scores"), Err("consent_required"));
    assert!(scene.reads("play").is_ok(), "no consent is needed for it");
    scene.told(age(14, Some("AT"), None)).unwrap();
    assert!(scene.reads("scores").is_ok(), "of age where they live");
    scene.told(age(14, Some("DE"), None)).unwrap();
    assert_eq!(scene.reads("scores"), Err("consent_required"));
    scene
        .told(age(14, Some("DE"), Some("a parent answered")))
        .unwrap();
    assert!(scene.reads("scores").is_ok());
    // Two years are missing: of age on the day, and not the day before. The clock is at 15 January 2027.
    let event = scene.told(age(14, None, None)).unwrap();
    assert_eq!(event.of_age_on.to_string(), "2029-01-15");
    let day: Timestamp = "2029-01-15T00:00:00Z".parse().unwrap();
    let until = day.as_millisecond() - Clock::now(&*scene.bench.clock).as_millisecond();
    scene.bench.clock.advance(until - 1);
    assert_eq!(scene.reads("scores"), Err("consent_required"));
    scene.bench.clock.advance(1);
    assert!(scene.reads("scores").is_ok());
    let view = scene
        .bench
        .vault
        .read_age(&scene.call("play"), scene.child)
        .unwrap();
    assert_eq!(
        (view.child, view.guardian, view.history.len()),
        (false, false, 5)
    );
}

#[test]
fn what_only_a_childs_consent_held_goes_within_a_day() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    scene.told(age(10, None, None)).unwrap();
    scene.bench.clock.advance(24 * HOUR);
    while vault.sweep(Sweep::Due).unwrap() {}
    // The nick name is played under; the score was shown by consent alone.
    assert_eq!(scene.reads("play"), Ok(json!({"nick": "kim"})));
    scene
        .told(age(10, None, Some("a parent answered")))
        .unwrap();
    assert_eq!(scene.reads("scores"), Ok(json!({"nick": "kim"})));
}

#[test]
fn an_age_that_is_none_is_refused_and_the_number_is_not_kept() {
    let scene = Scene::new();
    for wrong in [
        age(131, None, None),
        age(12, Some("Austria"), None),
        age(12, None, Some("")),
    ] {
        let refused = scene.told(wrong);
        assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
    }
    let of_age = scene.told(age(41, None, None)).unwrap();
    let other = scene.told(age(73, None, None)).unwrap();
    assert_eq!(of_age.of_age_on, other.of_age_on, "both are of age today");
}

//! The life of an API key: bound, used, replaced, ended.

use super::*;
use crate::clock::Clock;
use crate::commit::View;
use crate::policy::Period;
use crate::store::Table;
use crate::vault::token_row::{self, TokenRow};
use crate::vault::{BreachInput, BreachVector};

const DAY: i64 = 24 * HOUR;

impl Bench {
    /// A key bound to these channels; its principal and its secret.
    fn bound(&self, role: &str, channels: &[&str]) -> (Principal, String) {
        let keyholder = self.vault.keyholder();
        let input = TokenInput {
            role: role.into(),
            channels: channels.iter().map(ToString::to_string).collect(),
            ..TokenInput::default()
        };
        let made = self.vault.make_token(&call(&keyholder, None), input);
        let (_, secret) = made.unwrap();
        (self.vault.authenticate(&secret).unwrap(), secret)
    }

    fn rotate(&self, key: &Principal, overlap: &str) -> Result<Rotated, Refusal> {
        let keyholder = self.vault.keyholder();
        let overlap = Period::parse(overlap).unwrap();
        let token = key.token().unwrap();
        self.vault
            .rotate_token(&call(&keyholder, None), token, &overlap)
    }

    fn listed(&self, key: &Principal) -> TokenView {
        let keyholder = self.vault.keyholder();
        let list = self.vault.list_tokens(&call(&keyholder, None)).unwrap();
        let found = list.into_iter().find(|v| Some(v.token) == key.token());
        found.unwrap()
    }

    /// What the store holds of a key.
    fn row(&self, key: &Principal) -> TokenRow {
        let snapshot = self.vault.snapshot().unwrap();
        let (_, hash) = key.key().unwrap();
        token_row::load(&snapshot, &hash).unwrap().unwrap()
    }

    fn with_clerk() -> Self {
        let bench = Self::new();
        let text = format!(
            "{SAMPLE}\n[roles.clerk]\nmay = [\"api_keys.manage\", \"keys.manage\", \"policy.read\"]\n"
        );
        let keyholder = bench.vault.keyholder();
        let applied = bench
            .vault
            .apply_policy(&call(&keyholder, None), &text, false);
        applied.unwrap();
        bench
    }
}

fn support(principal: &Principal) -> Call<'_> {
    call(principal, Some("support"))
}

fn unknown<T>(answer: Result<T, Refusal>) -> bool {
    matches!(answer, Err(Refusal::NotFound("person")))
}

fn unauthenticated<T>(answer: Result<T, Refusal>) -> bool {
    matches!(answer, Err(Refusal::Unauthenticated))
}

fn session(fields: &str) -> SessionInput {
    SessionInput {
        purpose: "support".into(),
        fields: vec![fields.into()],
        reads: 5,
        writes: 5,
        expires_in: None,
    }
}

fn told(given: bool) -> ConsentInput {
    ConsentInput {
        given,
        notice: json!("v1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    }
}

#[test]
fn a_bound_key_works_with_people_on_its_channels_and_knows_of_nobody_else() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let all = bench.role("bot");
    let (bot, _) = bench.bound("bot", &["whatsapp", "web"]);
    let (dpo, _) = bench.bound("dpo", &["whatsapp"]);
    let (agent, _) = bench.bound("agent", &["whatsapp"]);
    let (ann, _) = vault.create_subject(&support(&bot), "web", "ann").unwrap();
    let (eve, _) = vault.create_subject(&support(&all), "sms", "eve").unwrap();
    let body = |name: &str| object(json!({"name": name, "birth": "1990-01-01"}));
    for (who, name) in [(ann, "Ann"), (eve, "Eve")] {
        let stored = vault.patch_single(&support(&all), who, "profile", body(name), None);
        stored.unwrap();
    }
    // The same calls: each works for Ann, and knows no Eve.
    let options = ListOptions {
        read: ReadOptions::default(),
        limit: 10,
        order: Order::Oldest,
        cursor: None,
    };
    let age = json!({"age_at_least": 18});
    let message = || vec![object(json!({"from": "user", "text": "hello"}))];
    type Try<'a> = (&'a str, Box<dyn Fn(SubjectId) -> Result<(), Refusal> + 'a>);
    let calls: Vec<Try<'_>> = vec![
        (
            "read",
            Box::new(|s| profile(vault, &support(&bot), s, None).map(drop)),
        ),
        (
            "write",
            Box::new(|s| {
                vault
                    .patch_single(&support(&bot), s, "profile", body("B"), None)
                    .map(drop)
            }),
        ),
        (
            "append",
            Box::new(|s| {
                vault
                    .append(&support(&bot), s, "messages", message())
                    .map(drop)
            }),
        ),
        (
            "list",
            Box::new(|s| vault.list(&support(&bot), s, "messages", &options, |_| ())),
        ),
        (
            "ask",
            Box::new(|s| {
                vault
                    .ask(&support(&bot), s, "profile.birth", &age)
                    .map(drop)
            }),
        ),
        (
            "session",
            Box::new(|s| {
                vault
                    .begin_session(&support(&bot), s, session("profile.*"))
                    .map(drop)
            }),
        ),
        (
            "sessions",
            Box::new(|s| vault.list_sessions(&support(&bot), s).map(drop)),
        ),
        (
            "consent",
            Box::new(|s| {
                vault
                    .put_consent(&support(&bot), s, "newsletter", told(true))
                    .map(drop)
            }),
        ),
        (
            "said",
            Box::new(|s| {
                vault
                    .read_consent(&support(&bot), s, "newsletter")
                    .map(drop)
            }),
        ),
        (
            "said at all",
            Box::new(|s| vault.list_consents(&support(&bot), s).map(drop)),
        ),
        (
            "withdrawal",
            Box::new(|s| {
                vault
                    .withdraw_consent(&support(&bot), s, "newsletter")
                    .map(drop)
            }),
        ),
    ];
    for (name, work) in &calls {
        work(ann).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert!(unknown(work(eve)), "{name}");
    }
    // Other roles, bound to a channel that Ann is not on.
    assert!(unknown(vault.view_subject(&support(&agent), ann)));
    assert!(unknown(vault.erase_subject(&support(&dpo), ann)));
    assert!(
        vault
            .view_subject(&support(&bench.role("agent")), ann)
            .is_ok()
    );
    // By channel: found on its own, unknown on another, and not made there either.
    let find = |channel: &str, user| vault.lookup_channel(&support(&bot), channel, user);
    assert_eq!(find("web", "ann").unwrap(), ann);
    assert!(unknown(find("sms", "eve")) && unknown(find("sms", "nobody")));
    for user in ["eve", "nobody"] {
        let refused = vault.create_subject(&support(&bot), "sms", user);
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))), "{user}");
    }
    // Whoever was erased stays erased for everybody: nothing recreates them by accident.
    vault
        .erase_subject(&support(&bench.role("dpo")), ann)
        .unwrap();
    let late = profile(vault, &support(&bot), ann, None);
    assert!(matches!(late, Err(Refusal::Erased { receipt: Some(_) })));
}

#[test]
fn of_people_who_share_a_value_a_bound_key_finds_those_it_may_reach() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let all = bench.role("bot");
    let mut people = Vec::new();
    for (channel, user) in [("web", "ann"), ("sms", "ben"), ("sms", "cay")] {
        let (who, _) = vault.create_subject(&support(&all), channel, user).unwrap();
        let body = object(json!({"phone": "+31 20 555 0100"}));
        let stored = vault.patch_single(&support(&all), who, "profile", body, None);
        stored.unwrap();
        people.push(who);
    }
    let find = |principal: &Principal| {
        vault.lookup_field(&support(principal), "profile.phone", &json!("+31205550100"))
    };
    assert!(matches!(find(&all), Err(Refusal::Ambiguous)));
    assert_eq!(find(&bench.bound("bot", &["web"]).0).unwrap(), people[0]);
    let several = find(&bench.bound("bot", &["sms"]).0);
    assert!(matches!(several, Err(Refusal::Ambiguous)));
    assert!(unknown(find(&bench.bound("bot", &["whatsapp"]).0)));
}

/// The scope of a breach names everybody whom a key has met, on whichever channel they are known.
#[test]
fn a_bound_key_is_told_of_no_breach_whatever_its_role() {
    let bench = Bench::new();
    let (bound, _) = bench.bound("dpo", &["web"]);
    let vault = &bench.vault;
    let input = BreachInput {
        vector: BreachVector::Files,
        from: None,
        to: None,
    };
    let begun = vault.begin_breach_scope(&call(&bound, None), &input);
    assert!(matches!(begun, Err(Refusal::RoleDenied(text)) if text.contains("bound to channels")));
    let listed = vault.list_incidents(&call(&bound, None));
    assert!(matches!(listed, Err(Refusal::RoleDenied(_))));
    // The control: the same role, and no bound.
    let dpo = bench.role("dpo");
    assert!(vault.begin_breach_scope(&call(&dpo, None), &input).is_ok());
    assert!(vault.list_incidents(&call(&dpo, None)).is_ok());
}

#[test]
fn a_bound_key_makes_no_key_or_slot_whatever_its_role() {
    let bench = Bench::with_clerk();
    let vault = &bench.vault;
    let clerk = bench.role("clerk");
    let (bound, _) = bench.bound("clerk", &["web"]);
    let (admin, narrow) = (call(&clerk, None), call(&bound, None));
    assert!(vault.create_token(&admin, "bot", None).is_ok());
    let denied = |answer: Result<(), Refusal>| matches!(answer, Err(Refusal::RoleDenied(_)));
    assert!(denied(vault.create_token(&narrow, "bot", None).map(drop)));
    assert!(denied(vault.list_tokens(&narrow).map(drop)));
    let name = clerk.token().unwrap();
    let day = Period::parse("P1D").unwrap();
    assert!(denied(vault.rotate_token(&narrow, name, &day).map(drop)));
    assert!(denied(vault.revoke_token(&narrow, name)));
    assert!(denied(vault.add_recovery_slot(&narrow, "x").map(drop)));
    assert!(vault.policy(&narrow).is_ok(), "what opens no way out stays");
}

#[test]
fn a_label_or_channel_that_does_not_fit_makes_no_key() {
    let bench = Bench::new();
    let keyholder = bench.vault.keyholder();
    let make = |label: &str, channels: &[String]| {
        let input = TokenInput {
            role: "bot".into(),
            label: label.into(),
            channels: channels.to_vec(),
            ..TokenInput::default()
        };
        bench.vault.make_token(&call(&keyholder, None), input)
    };
    let (view, _) = make("support bot", &["web".into(), "sms".into(), "web".into()]).unwrap();
    assert_eq!(
        (&*view.label, view.channels),
        ("support bot", vec!["sms".into(), "web".into()])
    );
    let many: Vec<String> = (0..33).map(|n| format!("c{n}")).collect();
    let wrong: [(&str, &[String]); 5] = [
        (&"x".repeat(129), &[]),
        ("red \u{1b}[31m", &[]),
        ("", &[String::new()]),
        ("", &["a\nb".into()]),
        ("", &many),
    ];
    for (label, channels) in wrong {
        let refused = make(label, channels);
        assert!(
            matches!(refused, Err(Refusal::Invalid(_))),
            "{label:?} {channels:?}"
        );
    }
    let count = bench
        .vault
        .list_tokens(&call(&keyholder, None))
        .unwrap()
        .len();
    assert_eq!(count, 1);
}

#[test]
fn a_replaced_key_works_until_the_overlap_is_over_and_its_sessions_as_long() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let (bot, old) = bench.bound("bot", &["web"]);
    let (ann, _) = vault.create_subject(&support(&bot), "web", "ann").unwrap();
    let begun = vault.begin_session(&support(&bot), ann, session("profile.*"));
    let begun = begun.unwrap().token;
    let rotated = bench.rotate(&bot, "PT10M").unwrap();
    let next = vault.authenticate(&rotated.secret).unwrap();
    assert_eq!((next.role(), rotated.key.replaces), ("bot", bot.token()));
    assert_eq!(rotated.key.channels, ["web"]);
    let (first, second) = (bench.listed(&bot), bench.listed(&next));
    assert_eq!(
        (first.state, first.replaced_by),
        (TokenState::Ending, next.token())
    );
    assert_eq!(
        (second.state, second.replaces),
        (TokenState::Active, bot.token())
    );
    assert_eq!(first.expires_at, rotated.old.expires_at);
    bench.clock.advance(10 * 60_000 - 1);
    assert!(vault.authenticate(&old).is_ok() && vault.authenticate(&begun).is_ok());
    assert!(profile(vault, &support(&bot), ann, None).is_ok());
    bench.clock.advance(1);
    assert!(unauthenticated(vault.authenticate(&old)));
    assert!(unauthenticated(vault.authenticate(&begun)));
    assert!(unauthenticated(profile(vault, &support(&bot), ann, None)));
    assert!(profile(vault, &support(&next), ann, None).is_ok());
    assert_eq!(bench.listed(&bot).state, TokenState::Expired);
}

#[test]
fn without_overlap_a_replaced_key_is_over_when_the_answer_arrives() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let ticket = bench.vault.engine.revocation().ticket(None);
    bench.rotate(&bot, "PT0S").unwrap();
    assert!(
        bench.vault.engine.revocation().hold(ticket).is_none(),
        "readers begin again"
    );
    assert!(unauthenticated(
        bench.vault.create_subject(&support, "web", "ann")
    ));
}

#[test]
fn a_successor_lives_as_long_as_its_predecessor_was_to_and_no_overlap_makes_that_one_live_longer() {
    let bench = Bench::new();
    let keyholder = bench.vault.keyholder();
    let admin = call(&keyholder, None);
    let now = bench.clock.now();
    let end = now + jiff::SignedDuration::from_hours(240);
    let (_, secret) = bench.vault.create_token(&admin, "bot", Some(end)).unwrap();
    let bot = bench.vault.authenticate(&secret).unwrap();
    bench.clock.advance(8 * DAY);
    let rotated = bench.rotate(&bot, "P30D").unwrap();
    assert_eq!(rotated.old.expires_at, Some(end));
    let lives = rotated.key.expires_at.unwrap().as_millisecond();
    assert_eq!(lives - bench.clock.now().as_millisecond(), 10 * DAY);
    let endless = bench.role("bot");
    assert_eq!(bench.rotate(&endless, "PT0S").unwrap().key.expires_at, None);
}

#[test]
fn what_is_over_replaced_or_out_of_bounds_is_not_rotated() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let beyond = bench.rotate(&bot, "P30DT1S");
    assert!(matches!(beyond, Err(Refusal::Invalid(_))));
    let next = bench.rotate(&bot, "P30D").unwrap().key.token;
    let Err(Refusal::Conflict(again)) = bench.rotate(&bot, "PT1H") else {
        panic!("two successors")
    };
    assert!(again.contains(&next.to_string()), "{again}");
    let revoked = bench.role("bot");
    let keyholder = bench.vault.keyholder();
    let admin = call(&keyholder, None);
    bench
        .vault
        .revoke_token(&admin, revoked.token().unwrap())
        .unwrap();
    assert!(matches!(
        bench.rotate(&revoked, "PT1H"),
        Err(Refusal::Conflict(_))
    ));
    let since = bench.listed(&revoked).revoked_at;
    bench.clock.advance(HOUR);
    bench
        .vault
        .revoke_token(&admin, revoked.token().unwrap())
        .unwrap();
    assert_eq!(bench.listed(&revoked).revoked_at, since);
    let nobody = crate::id::TokenId::from_bytes([9; 16]);
    let nobody = bench
        .vault
        .rotate_token(&admin, nobody, &Period::parse("PT1H").unwrap());
    assert!(matches!(nobody, Err(Refusal::NotFound(_))));
}

#[test]
fn the_hour_of_the_last_use_is_shown_at_once_and_written_without_a_write_per_call() {
    let mut bench = Bench::new();
    let idle = bench.role("agent");
    let (bot, secret) = bench.bound("bot", &[]);
    let vault = bench.vault.clone();
    let hour = crate::clock::hour_of(bench.clock.now());
    assert_eq!(
        bench.listed(&bot).last_used_at.unwrap().as_second(),
        i64::from(hour) * 3600
    );
    for _ in 0..3 {
        vault.authenticate(&secret).unwrap();
        assert_eq!(bench.row(&bot).used, None, "a call writes nothing");
    }
    vault.sweep(Sweep::Due).unwrap();
    assert_eq!(bench.row(&bot).used, Some(hour));
    let serial = || {
        let rows = vault.snapshot().unwrap();
        rows.tx()
            .get(Table::ApiKeys, &bot.key().unwrap().1)
            .unwrap()
    };
    let before = serial();
    vault.authenticate(&secret).unwrap();
    vault.sweep(Sweep::Due).unwrap();
    assert_eq!(serial(), before, "the same hour is written once");
    bench.clock.advance(90 * DAY);
    assert_eq!(
        (
            bench.listed(&bot).unused_days,
            bench.listed(&idle).unused_days
        ),
        (90, 90)
    );
    vault.authenticate(&secret).unwrap();
    drop(vault);
    // Closing writes what no pass has written.
    bench.reopen();
    assert_eq!(bench.row(&bot).used, Some(hour + 90 * 24));
    assert_eq!(bench.listed(&bot).unused_days, 0);
    let revoked = bench.listed(&idle).token;
    let keyholder = bench.vault.keyholder();
    bench
        .vault
        .revoke_token(&call(&keyholder, None), revoked)
        .unwrap();
    bench.clock.advance(DAY);
    assert_eq!(
        bench.listed(&idle).unused_days,
        91,
        "a refused key is not used"
    );
}

#[test]
fn who_made_a_key_is_known() {
    let bench = Bench::with_clerk();
    let clerk = bench.role("clerk");
    assert_eq!(bench.listed(&clerk).created_by, None);
    let made = bench.vault.create_token(&call(&clerk, None), "bot", None);
    assert_eq!(made.unwrap().0.created_by, clerk.token());
}

#[test]
fn what_is_due_is_counted_and_left_until_the_sweeper_runs() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let vault = &bench.vault;
    assert_eq!(vault.sweep_due().unwrap(), SweepDue::default());
    for user in ["ann", "ben"] {
        let (who, _) = vault.create_subject(&support, "web", user).unwrap();
        let body = object(json!({"from": "user", "text": "hello"}));
        vault
            .append(&support, who, "messages", vec![body.clone(), body])
            .unwrap();
    }
    bench.clock.advance(91 * DAY);
    let due = vault.sweep_due().unwrap();
    assert_eq!((due.people, due.records), (2, 4));
    assert_eq!(vault.sweep_due().unwrap(), due, "counting changes nothing");
    bench.clock.advance(5 * DAY);
    while vault.sweep(Sweep::All).unwrap() {}
    assert!(!vault.sweep_due().unwrap().any());
}

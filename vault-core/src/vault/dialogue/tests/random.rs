//! Random turns, and staff who act between them.

use serde_json::json;

use super::world::{Chat, EMAIL, MINUTE, World, hold};
use crate::policy::RestrictionGround;
use crate::refusal::Refusal;
use crate::request::{Exemption, RequestKind};
use crate::vault::tests::{call, object};
use crate::vault::{ConsentInput, RequestInput, RequestStep};

/// Failure is an error of the vault's own, or a conversation that answers nothing, whatever staff do between two turns.
/// A refusal of a message that is malformed is none, and none is sent; that staff are refused is none either.
#[test]
fn random_turns_raise_no_error_and_strand_nobody() {
    use crate::entropy::{Entropy as _, SeededEntropy};
    let world = World::new();
    let mut random = SeededEntropy::new(11);
    let mut below = move |most: usize| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % most as u64).unwrap()
    };
    let texts = [
        "delete my data",
        "what do you know about me?",
        "no more advertising",
        "yes",
        "no",
        "cancel",
        "help",
        "in german",
        "a human please",
        "my name is wrong",
        "Jane Doe",
        EMAIL,
        "jane.roe@example.test",
        "123456",
        "hello",
        "I withdraw my consent",
        "who has my data?",
        "download my data please",
        "I object",
        "how is my request going?",
        "cancel my request",
        "I want to complain",
        "freeze my data",
        "…",
        "why was my refund refused? I want a person",
    ];
    let users = ["jane", "john", "stranger"];
    let mut chats: Vec<Chat<'_>> = users.iter().map(|user| world.chat(user)).collect();
    for user in ["jane", "john"] {
        world.person(user, &format!("{user}@example.test"));
    }
    // Each is a commit on a real disk: the long form takes minutes.
    let turns = std::env::var("VAULT_DIALOGUE_TURNS");
    let turns = turns.map_or(1_000, |text| text.parse().expect("a number of turns"));
    for turn in 0..turns {
        let chat = &mut chats[below(users.len())];
        chat.private = below(10) > 0;
        let choices: Vec<String> = match &chat.reply {
            Some(reply) => {
                let all = reply.messages.iter().flat_map(|message| &message.choices);
                all.map(|choice| choice.id.clone()).collect()
            }
            None => Vec::new(),
        };
        let mut input = chat.input();
        match below(10) {
            0..5 if !choices.is_empty() => {
                input.choice = Some(choices[below(choices.len())].clone())
            }
            5 if !chat.codes.is_empty() => {
                input.text = chat.codes.last().map(|code| code.code.to_string());
            }
            _ => input.text = Some(texts[below(texts.len())].to_owned()),
        }
        let reply = chat.send(&input);
        let reply = reply.unwrap_or_else(|refusal| panic!("turn {turn}: {refusal}"));
        assert_eq!(reply.handled, !reply.messages.is_empty(), "turn {turn}");
        if below(40) == 0 {
            world.bench.clock.advance(16 * MINUTE);
        }
        if below(4) == 0 {
            meddle(&world, users[below(2)], &mut below);
        }
        // Whoever was erased comes back.
        for user in ["jane", "john"] {
            let support = call(&world.bot, Some("support"));
            match world.vault().lookup_channel(&support, "web", user) {
                Err(Refusal::Erased { .. }) => world.bench.clock.advance(16 * MINUTE),
                Err(Refusal::NotFound(_)) => {
                    world.person(user, &format!("{user}@example.test"));
                }
                _ => {}
            }
        }
    }
}

/// What staff do to the requests and the data of somebody, as far as they are let.
fn meddle(world: &World, user: &str, below: &mut impl FnMut(usize) -> usize) {
    let vault = world.vault();
    let (dpo, support) = (call(&world.dpo, None), call(&world.bot, Some("support")));
    let Ok(subject) = vault.lookup_channel(&support, "web", user) else {
        return;
    };
    let all = vault.list_requests(&dpo, subject).unwrap_or_default();
    let open: Vec<_> = all.iter().filter(|one| !one.state.is_closed()).collect();
    let step = match below(15) {
        0 => RequestStep::Cancel { reason: None },
        1 => RequestStep::Refuse {
            code: Exemption::ManifestlyUnfounded,
            law: "Art. 12(5) GDPR".into(),
            approver: "dpo".into(),
            reason: "asked for the tenth time".into(),
        },
        2 => RequestStep::AskIdentity { question: None },
        3 => RequestStep::CheckByHand { note: None },
        4 => RequestStep::AskClarification {
            question: "what do you mean?".into(),
        },
        5 => RequestStep::Review { note: None },
        6 => RequestStep::Verify {
            evidence: "known by voice".into(),
        },
        7 => {
            let kind = RequestKind::ALL[below(RequestKind::ALL.len())];
            let _ = vault.create_request(&dpo, subject, taken_down(kind));
            return;
        }
        8 => {
            let _ = vault.put_hold(&dpo, subject, hold());
            return;
        }
        9 => {
            let _ = vault.release_hold(&dpo, subject);
            return;
        }
        10 => {
            let input = ConsentInput {
                given: true,
                notice: json!("n1"),
                ..ConsentInput::default()
            };
            let _ = vault.put_consent(&support, subject, "newsletter", input);
            return;
        }
        11 => {
            let _ = vault.withdraw_consent(&support, subject, "newsletter");
            return;
        }
        12 => {
            let none = object(json!({"email": null}));
            let _ = vault.patch_single(&support, subject, "profile", none, None);
            return;
        }
        _ => {
            let email = object(json!({"email": format!("{user}@example.test")}));
            let _ = vault.patch_single(&support, subject, "profile", email, None);
            return;
        }
    };
    if !open.is_empty() {
        let _ = vault.step_request(&dpo, open[below(open.len())].request, step);
    }
}

/// A request that somebody wrote down for a person: nothing of who they are is proved.
fn taken_down(kind: RequestKind) -> RequestInput {
    RequestInput {
        kind,
        details: None,
        language: None,
        received_at: None,
        purpose: kind.is_word().then(|| "newsletter".into()),
        ground: (kind == RequestKind::Restrict).then_some(RestrictionGround::Accuracy),
        collections: Vec::new(),
        decision: None,
    }
}

//! Walks through the machine.
//!
//! Failure is: an effect, or something said of the person, below its level; a final effect without a choice of the
//! last message; one on a request that is closed or stands where it cannot be carried out; anything of the person said
//! where others read along; a conversation that waits for an answer and says that a message is none of its business.
//! That something is asked again is none.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use crate::dialogue::{Control, Intent, Language};
use crate::id::RequestId;
use crate::policy::RestrictionGround;
use crate::request::Level;
use crate::talk::{At, Form, Meaning, Offered, Parts, Question, Talk};
use crate::vault::dialogue::machine::turn;
use crate::vault::dialogue::moves::{Effect, Facts, Heard, Next, Say};
use crate::verification::Verdict;

type Machine = fn(&mut Talk, &Facts, &Heard) -> Next;

/// What is heard, with choices by their place: a place behind the last is one that is gone.
#[derive(Clone, Debug)]
enum Step {
    Choice(usize),
    Control(Control),
    Wants(Vec<Intent>),
    Maybe(Vec<Intent>),
    Code(Verdict),
    Text,
}

fn intents() -> impl Strategy<Value = Vec<Intent>> {
    prop::collection::vec(prop::sample::select(Intent::ALL), 1..=3)
}

fn step() -> impl Strategy<Value = Step> {
    let controls = [
        Control::Cancel,
        Control::Help,
        Control::Human,
        Control::No,
        Control::Yes,
        Control::Language(Language::Pl),
    ];
    let verdicts = [Verdict::Right, Verdict::Wrong { left: 2 }, Verdict::Over];
    prop_oneof![
        6 => (0_usize..6).prop_map(Step::Choice),
        1 => prop::sample::select(controls.to_vec()).prop_map(Step::Control),
        2 => intents().prop_map(|mut all| { all.truncate(1); Step::Wants(all) }),
        1 => intents().prop_map(Step::Wants),
        1 => intents().prop_map(Step::Maybe),
        3 => prop::sample::select(verdicts.to_vec()).prop_map(Step::Code),
        2 => Just(Step::Text),
    ]
}

fn facts() -> impl Strategy<Value = Facts> {
    let flags = prop::array::uniform6(prop::bool::weighted(0.8));
    let counts = prop::array::uniform4(0_u16..3);
    let more = prop::array::uniform3(any::<bool>());
    (flags, more, counts).prop_map(|(flags, [marketing, notice, coded], counts)| {
        let [private, known, can_send, sends_left, room, fits] = flags;
        let fields = |count: u16| (0..count).map(|number| (1, number)).collect();
        let all = |count: u16| match known {
            true => count,
            false => 0,
        };
        Facts {
            private,
            known,
            can_send,
            sends_left,
            room,
            fits,
            marketing,
            addresses: fields(all(counts[0])),
            consents: (0..all(counts[1])).collect(),
            objectionable: (0..all(counts[2])).collect(),
            fields: fields(all(counts[3])),
            by_hand: fields(all(counts[0])),
            coded: fields(if coded { all(counts[0]) } else { 0 }),
            open: (0..all(counts[1]))
                .map(|one| RequestId::from_bytes([one as u8; 16]))
                .collect(),
            link: known && marketing,
            ready: false,
            notice,
            same_notice: false,
            parts: (0..all(counts[2])).collect(),
            several: counts[2] > 1,
        }
    })
}

/// Whether a code was typed before, and steps, each with whether nobody else reads along just then, whether the
/// request at hand is open, and whether it can be carried out; and whether the notice comes first.
type Walk = (Facts, bool, Vec<(Step, [bool; 3], bool)>);

fn walk() -> impl Strategy<Value = Walk> {
    of(facts(), step())
}

fn of(
    facts: impl Strategy<Value = Facts>,
    step: impl Strategy<Value = Step>,
) -> impl Strategy<Value = Walk> {
    let mostly = || prop::bool::weighted(0.9);
    let around = [mostly(), mostly(), mostly()];
    let steps = prop::collection::vec((step, around, any::<bool>()), 1..40);
    (facts, any::<bool>(), steps)
}

/// Walks of somebody who has everything that can be asked about, about one matter: long ways are seldom gone by chance.
fn walk_about(intent: Intent) -> impl Strategy<Value = Walk> {
    let facts = facts().prop_map(|facts| Facts {
        private: true,
        known: true,
        can_send: true,
        sends_left: true,
        room: true,
        fits: true,
        addresses: vec![(1, 0)],
        fields: vec![(1, 0), (1, 1)],
        by_hand: vec![(1, 0)],
        coded: vec![(1, 0)],
        parts: vec![0, 1, 2],
        several: true,
        ..facts
    });
    let steps = prop_oneof![
        1 => Just(Step::Wants(vec![intent])),
        8 => (0_usize..5).prop_map(Step::Choice),
        1 => Just(Step::Control(Control::Yes)),
        1 => Just(Step::Code(Verdict::Wrong { left: 2 })),
        3 => Just(Step::Code(Verdict::Right)),
        3 => Just(Step::Text),
    ];
    of(facts, steps)
}

fn personal(say: Say) -> bool {
    // What is said of a request that was just made says nothing of data.
    say.needs() >= Level::L1 || matches!(say, Say::Withdrawn(_) | Say::Corrected | Say::Erased)
}

fn follow(machine: Machine, (facts, verified, steps): &Walk) -> Result<(), String> {
    let first = match (facts.known, verified) {
        (true, true) => Level::L2,
        (true, false) => Level::L1,
        (false, _) => Level::L0,
    };
    let mut talk = Talk::new(Language::En, first);
    let (mut proved, mut facts) = (first, facts.clone());
    let (others, parts) = (facts.open.clone(), facts.parts.clone());
    // What was chosen of what can be erased, and what the request was last said to be about.
    let (mut picked, mut narrowed) = (Vec::new(), None);
    // Whether a right code came from the address that was typed last, and one in this matter from one on file.
    let (mut reads_there, mut coded) = (false, false);
    // How many messages wait, as whoever wrote them counts them.
    let mut waiting = 0;
    for (number, (step, [private, open, ready], same)) in steps.iter().enumerate() {
        facts.private = *private;
        facts.open.clone_from(&others);
        facts.open.extend(talk.request.filter(|_| *open));
        facts.ready = talk.request.is_some() && *open && *ready;
        facts.same_notice = *same;
        // Another one is kept by a law now and then.
        facts.parts.clone_from(&parts);
        facts
            .parts
            .truncate(parts.len() - usize::from(*same && !parts.is_empty()));
        let before = talk.clone();
        let heard = match step {
            Step::Choice(place) => match talk.choices.get(*place) {
                Some(offered) => Heard::Choice(offered.means),
                None => Heard::Stale,
            },
            Step::Control(control) => Heard::Control(*control),
            Step::Wants(intents) => Heard::Wants(intents.clone()),
            Step::Maybe(intents) => Heard::Maybe(intents.clone()),
            Step::Code(verdict) => Heard::Code(*verdict),
            Step::Text => Heard::Text,
        };
        let asked = before.at == At::Asking(Question::Code);
        if matches!(heard, Heard::Code(Verdict::Right)) && asked && facts.private && facts.known {
            proved = proved.max(Level::L2);
        }
        let next = machine(&mut talk, &facts, &heard);
        let right = matches!(heard, Heard::Code(Verdict::Right)) && facts.private;
        if right && before.at == At::Asking(Question::NewCode) {
            reads_there = true;
        }
        if right && asked && facts.known {
            coded = true;
        } else if next.effects.contains(&Effect::Register) {
            coded = false;
        }
        if next.effects.contains(&Effect::SendNew) {
            reads_there = false;
            if !coded {
                return Err(format!("step {number}: a code to what anybody typed"));
            }
        }
        let typed = before.field.filter(|field| facts.by_hand.contains(field));
        let moves = next.effects.contains(&Effect::Change) && typed.is_some();
        if moves && !(reads_there && coded) {
            return Err(format!("step {number}: an address is changed by nobody"));
        }
        match heard {
            Heard::Choice(Meaning::SomeOfIt) => picked.clear(),
            Heard::Choice(Meaning::Part(one)) => picked.push(one),
            _ => {}
        }
        let chosen = |means: Meaning| {
            matches!(heard, Heard::Choice(taken) if taken == means)
                && before.choices.iter().any(|offered| offered.means == means)
        };
        for effect in &next.effects {
            if effect.needs() > proved {
                return Err(format!("step {number}: {effect:?} at {}", proved.name()));
            }
            let by_choice = match effect {
                Effect::Erase => chosen(Meaning::Erase),
                Effect::EraseParts(_) => chosen(Meaning::EraseParts),
                Effect::Change => chosen(Meaning::Change),
                _ => !effect.is_final(),
            };
            if !by_choice {
                return Err(format!("step {number}: {effect:?} without its choice"));
            }
            let carried_out = matches!(
                effect,
                Effect::Erase
                    | Effect::EraseParts(_)
                    | Effect::Change
                    | Effect::Restrict(_)
                    | Effect::Answer
            );
            if let Effect::EraseParts(erased) = effect {
                let good = |one: u16| picked.contains(&one) && facts.parts.contains(&one);
                if erased.is_empty() || !erased.all().all(good) {
                    return Err(format!("step {number}: {effect:?}, which nobody chose"));
                }
            }
            let made = next.effects.contains(&Effect::Register);
            if carried_out && !facts.ready && !made {
                return Err(format!("step {number}: {effect:?} where it cannot be"));
            }
            if matches!(effect, Effect::TakeBack(request) if !facts.open.contains(request)) {
                return Err(format!("step {number}: {effect:?}, which is closed"));
            }
            let said_to_it = matches!(
                effect,
                Effect::Add | Effect::Review | Effect::Narrow(_) | Effect::Package(_)
            );
            if let Effect::Narrow(chosen) = effect {
                narrowed = Some(*chosen);
            }
            let of_its_own = next
                .effects
                .iter()
                .any(|one| matches!(one, Effect::RegisterCopy(_)));
            if said_to_it && !made && !of_its_own && (talk.request.is_none() || !*open) {
                return Err(format!("step {number}: {effect:?} to nothing that is open"));
            }
        }
        for say in &next.say {
            if say.needs() > proved {
                return Err(format!("step {number}: {say:?} at {}", proved.name()));
            }
            if !facts.private && personal(*say) {
                return Err(format!("step {number}: {say:?} for everybody to read"));
            }
        }
        if let Err(found) = notice(&facts, &before, &heard, &next, &mut waiting) {
            return Err(format!("step {number}: {heard:?}: {found}"));
        }
        if next.holds {
            talk.hold("m");
        }
        let waits = matches!(before.at, At::Asking(question) if question != Question::Notice);
        if waits && !next.handled {
            return Err(format!("step {number}: {heard:?} is not handled"));
        }
        if next.handled && next.say.is_empty() {
            return Err(format!("step {number}: {heard:?} is answered with nothing"));
        }
        if next.stays {
            if talk.at != before.at || !next.effects.is_empty() {
                return Err(format!("step {number}: what stays does not change"));
            }
        } else {
            talk.choices = next
                .offers
                .iter()
                .enumerate()
                .map(|(place, means)| Offered {
                    id: [u8::try_from(place).expect("few"); 16],
                    means: *means,
                })
                .collect();
        }
        if next.effects.contains(&Effect::Register) {
            talk.request = Some(RequestId::from_bytes([9; 16]));
            narrowed = None;
        }
        if let At::Asking(Question::Parts(chosen) | Question::ConfirmParts(chosen)) = talk.at
            && talk.request.is_some()
            && narrowed != Some(chosen)
        {
            return Err(format!("step {number}: the request is about more"));
        }
        let without = matches!(talk.at, At::Asking(question) if needs_choice(question));
        if without && talk.choices.is_empty() && facts.private {
            return Err(format!(
                "step {number}: {:?} leaves nothing to choose",
                talk.at
            ));
        }
    }
    Ok(())
}

/// Failure is: a right that waits, a message that is no right and does not, one that is lost without a word of the person,
/// and a notice that is said to be shown and was not.
fn notice(
    facts: &Facts,
    before: &Talk,
    heard: &Heard,
    next: &Next,
    waiting: &mut usize,
) -> Result<(), &'static str> {
    let open = before.at == At::Asking(Question::Notice);
    let asking = matches!(before.at, At::Asking(_));
    let plain = match heard {
        Heard::Text | Heard::Code(_) => open || !asking,
        Heard::Control(Control::Yes | Control::No) => !asking,
        _ => false,
    };
    let closed = before.request.is_some() && !facts.ready;
    let goes_on = matches!(heard, Heard::Choice(Meaning::GoOn));
    if next.holds != (plain && facts.private && facts.notice) && !closed {
        return Err("the wrong message waits");
    }
    if next.effects.contains(&Effect::Notice) && !(goes_on && facts.notice && facts.same_notice) {
        return Err("a notice is recorded that was not shown");
    }
    let refused = matches!(
        heard,
        Heard::Choice(Meaning::NoThanks) | Heard::Control(Control::Cancel | Control::No)
    );
    *waiting += usize::from(next.holds);
    if !next.replay.is_empty() {
        if next.replay.len() != (*waiting).min(crate::limits::DIALOGUE_HELD_MAX) {
            return Err("a message is lost");
        }
        *waiting = 0;
    }
    let kept = !open || !refused;
    if !kept {
        *waiting = 0;
    }
    Ok(())
}

fn needs_choice(question: Question) -> bool {
    !matches!(
        question,
        Question::Code
            | Question::TypeAddress
            | Question::MarketingAddress
            | Question::NewValue
            | Question::Words
            | Question::OwnView
            | Question::NewCode
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_is_done_or_said_below_its_level_or_without_its_choice(walk in walk()) {
        if let Err(found) = follow(turn, &walk) {
            prop_assert!(false, "{}", found);
        }
    }

    #[test]
    fn nor_on_the_long_ways_of_an_address_and_of_an_erasure_of_some(
        address in walk_about(Intent::Correct),
        parts in walk_about(Intent::Erase),
    ) {
        for walk in [address, parts] {
            if let Err(found) = follow(turn, &walk) {
                prop_assert!(false, "{}", found);
            }
        }
    }
}

/// Whether walks find a machine out.
fn found_out(machine: Machine) -> bool {
    found_out_on(walk(), machine)
}

fn found_out_on(walk: impl Strategy<Value = Walk>, machine: Machine) -> bool {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..4_000).any(|_| {
        let tree = walk.new_tree(&mut runner).expect("a walk");
        follow(machine, &tree.current()).is_err()
    })
}

#[test]
fn a_machine_without_one_of_the_rules_is_found_out() {
    assert!(!found_out(turn), "the machine itself");
    // "Yes" stands for the choice that cannot be undone.
    assert!(found_out(|talk, facts, heard| {
        let finals = [Meaning::Erase, Meaning::EraseParts, Meaning::Change];
        let offered = talk.choices.iter().find(|one| finals.contains(&one.means));
        match (heard, offered.map(|one| one.means)) {
            (Heard::Control(Control::Yes), Some(means)) => turn(talk, facts, &Heard::Choice(means)),
            _ => turn(talk, facts, heard),
        }
    }));
    // Whoever is known on the channel is taken for verified.
    assert!(found_out(|talk, facts, heard| {
        talk.level = Level::L2;
        turn(talk, facts, heard)
    }));
    // A wrong code is as good as the right one.
    assert!(found_out(|talk, facts, heard| match heard {
        Heard::Code(Verdict::Wrong { .. }) => turn(talk, facts, &Heard::Code(Verdict::Right)),
        _ => turn(talk, facts, heard),
    }));
    // Others reading along changes nothing.
    assert!(found_out(|talk, facts, heard| {
        let facts = Facts {
            private: true,
            ..facts.clone()
        };
        turn(talk, &facts, heard)
    }));
    // What is chosen is not said to the request before it is confirmed.
    assert!(found_out_on(
        walk_about(Intent::Erase),
        |talk, facts, heard| {
            let mut next = turn(talk, facts, heard);
            let said =
                |effect: &Effect| matches!(effect, Effect::Narrow(chosen) if !chosen.is_empty());
            next.effects.retain(|effect| !said(effect));
            next
        }
    ));
    // Whatever is typed is as good as the code to the new address.
    assert!(found_out_on(
        walk_about(Intent::Correct),
        |talk, facts, heard| match (talk.at, heard) {
            (At::Asking(Question::NewCode), Heard::Text) => {
                turn(talk, facts, &Heard::Code(Verdict::Right))
            }
            _ => turn(talk, facts, heard),
        }
    ));
    // A code of the matter before is as good as one of this.
    assert!(found_out_on(
        walk_about(Intent::Correct),
        |talk, facts, heard| {
            talk.coded = true;
            turn(talk, facts, heard)
        }
    ));
    // Every request is taken for one that is still open, or that can be carried out.
    assert!(found_out(|talk, facts, heard| {
        let mut facts = facts.clone();
        facts.open.extend(talk.request);
        turn(talk, &facts, heard)
    }));
    assert!(found_out(|talk, facts, heard| {
        let facts = Facts {
            ready: true,
            ..facts.clone()
        };
        turn(talk, &facts, heard)
    }));
    // What was chosen is erased although a law keeps it since.
    let erase = || walk_about(Intent::Erase);
    assert!(found_out_on(erase(), |talk, facts, heard| {
        let facts = Facts {
            parts: (0..3).collect(),
            ..facts.clone()
        };
        turn(talk, &facts, heard)
    }));
    // All is chosen with the first.
    assert!(found_out_on(erase(), |talk, facts, heard| {
        if let (At::Asking(Question::Parts(chosen)), Heard::Choice(Meaning::Part(_))) =
            (talk.at, heard)
        {
            let all = facts.parts.iter().copied();
            talk.at = At::Asking(Question::Parts(all.fold(chosen, Parts::with)));
        }
        turn(talk, facts, heard)
    }));
    // "Yes" stands for the choice that erases some.
    assert!(found_out_on(erase(), |talk, facts, heard| {
        match (talk.at, heard) {
            (At::Asking(Question::ConfirmParts(_)), Heard::Control(Control::Yes)) => {
                turn(talk, facts, &Heard::Choice(Meaning::EraseParts))
            }
            _ => turn(talk, facts, heard),
        }
    }));
    // A right waits for the notice as everything else does.
    assert!(found_out(|talk, facts, heard| match heard {
        Heard::Wants(_) if facts.notice => turn(talk, facts, &Heard::Text),
        _ => turn(talk, facts, heard),
    }));
    // What waits is given back without the last of it.
    assert!(found_out(|talk, facts, heard| {
        let mut next = turn(talk, facts, heard);
        if next.replay.len() > 1 {
            next.replay.pop();
        }
        next
    }));
    // A guess of the bot is enough.
    assert!(found_out_by_guess());
}

/// A guess alone begins nothing, and the machine that lets it is told from ours.
fn found_out_by_guess() -> bool {
    let facts = Facts {
        private: true,
        known: true,
        can_send: true,
        sends_left: true,
        room: true,
        marketing: true,
        ..Facts::default()
    };
    let guess = [Intent::StopMarketing];
    let effects = |heard: &Heard| {
        let mut talk = Talk::new(Language::En, Level::L1);
        turn(&mut talk, &facts, heard).effects
    };
    effects(&Heard::Maybe(guess.to_vec())).is_empty()
        && effects(&Heard::Wants(guess.to_vec())) == [Effect::StopMarketing]
}

fn known() -> Facts {
    Facts {
        private: true,
        known: true,
        can_send: true,
        sends_left: true,
        room: true,
        addresses: vec![(1, 1)],
        fields: vec![(1, 1), (1, 2)],
        by_hand: vec![(1, 1)],
        open: vec![OWN],
        ready: true,
        ..Facts::default()
    }
}

/// The request at hand.
const OWN: RequestId = RequestId::from_bytes([1; 16]);

fn say(talk: &mut Talk, facts: &Facts, heard: Heard) -> Next {
    let next = turn(talk, facts, &heard);
    let offers = next.offers.iter().map(|means| Offered {
        id: [0; 16],
        means: *means,
    });
    talk.choices = offers.collect();
    next
}

#[test]
fn an_erasure_goes_from_the_demand_over_a_code_to_the_choice() {
    let (mut talk, facts) = (Talk::new(Language::En, Level::L1), known());
    let first = say(&mut talk, &facts, Heard::Wants(vec![Intent::Erase]));
    assert_eq!(first.effects, [Effect::Register]);
    assert_eq!(
        first.offers,
        [Meaning::Address((1, 1)), Meaning::AnotherWay]
    );
    talk.request = Some(OWN);
    let sent = say(&mut talk, &facts, Heard::Choice(Meaning::Address((1, 1))));
    assert_eq!(sent.effects, [Effect::Send((1, 1))]);
    let right = say(&mut talk, &facts, Heard::Code(Verdict::Right));
    assert_eq!(right.effects, [Effect::Verified]);
    assert_eq!(talk.at, At::Asking(Question::ConfirmErase));
    for word in [Heard::Control(Control::Yes), Heard::Text] {
        let next = say(&mut talk, &facts, word);
        assert!(next.effects.is_empty());
        assert!(next.offers.contains(&Meaning::Erase), "asked once more");
    }
    let done = say(&mut talk, &facts, Heard::Choice(Meaning::Erase));
    assert_eq!((done.effects, talk.at), (vec![Effect::Erase], At::Done));
}

#[test]
fn some_of_it_is_erased_by_a_choice_for_each_and_one_for_all() {
    let facts = Facts {
        parts: vec![1, 2, 3],
        several: true,
        ..known()
    };
    let mut talk = Talk::new(Language::En, Level::L2);
    let first = say(&mut talk, &facts, Heard::Wants(vec![Intent::Erase]));
    assert_eq!(first.offers.last(), Some(&Meaning::SomeOfIt));
    talk.request = Some(OWN);
    let which = say(&mut talk, &facts, Heard::Choice(Meaning::SomeOfIt));
    let narrows = |chosen| [Effect::Narrow(chosen)];
    assert_eq!(which.effects, narrows(Parts::default()));
    let part = Meaning::Part;
    assert_eq!(which.offers, [part(1), part(2), part(3), Meaning::Keep]);
    let one = say(&mut talk, &facts, Heard::Choice(part(3)));
    assert_eq!(one.effects, narrows(Parts::default().with(3)));
    assert_eq!(
        one.offers,
        [part(1), part(2), Meaning::PartsDone, Meaning::Keep]
    );
    let confirm = say(&mut talk, &facts, Heard::Choice(Meaning::PartsDone));
    assert_eq!(
        confirm.offers,
        [Meaning::EraseParts, Meaning::Keep, Meaning::CopyFirst]
    );
    for word in [Heard::Control(Control::Yes), Heard::Text] {
        assert!(say(&mut talk, &facts, word).effects.is_empty());
    }
    let done = say(&mut talk, &facts, Heard::Choice(Meaning::EraseParts));
    let chosen = Parts::default().with(3);
    assert_eq!(done.effects, [Effect::EraseParts(chosen)]);
    // Where there is but one thing, that is everything.
    let one = Facts {
        parts: vec![1],
        ..known()
    };
    let mut talk = Talk::new(Language::En, Level::L2);
    let first = say(&mut talk, &one, Heard::Wants(vec![Intent::Erase]));
    assert!(!first.offers.contains(&Meaning::SomeOfIt));
}

#[test]
fn whoever_cannot_be_sent_a_code_is_looked_at_by_a_human() {
    for facts in [
        Facts {
            can_send: false,
            ..known()
        },
        Facts {
            addresses: Vec::new(),
            ..known()
        },
    ] {
        let mut talk = Talk::new(Language::En, Level::L1);
        let next = say(&mut talk, &facts, Heard::Wants(vec![Intent::Download]));
        assert_eq!(next.effects, [Effect::Register, Effect::ByHand]);
        assert_eq!((next.say, talk.at), (vec![Say::ByHand], At::Queued));
    }
}

#[test]
fn an_address_is_not_corrected_without_a_human() {
    let (mut talk, facts) = (Talk::new(Language::En, Level::L2), known());
    let facts = Facts {
        fits: true,
        ..facts
    };
    for (field, effects, at) in [
        ((1, 1), vec![Effect::Review], At::Queued),
        ((1, 2), vec![], At::Asking(Question::ConfirmChange)),
    ] {
        say(&mut talk, &facts, Heard::Wants(vec![Intent::Correct]));
        talk.request = Some(OWN);
        say(&mut talk, &facts, Heard::Choice(Meaning::Field(field)));
        let next = say(&mut talk, &facts, Heard::Text);
        assert_eq!((next.effects, talk.at), (effects, at), "{field:?}");
    }
}

#[test]
fn an_address_is_corrected_by_a_code_to_the_new_one_and_a_choice() {
    let (mut talk, facts) = (Talk::new(Language::En, Level::L2), known());
    let facts = Facts {
        fits: true,
        coded: vec![(1, 1)],
        ..facts
    };
    say(&mut talk, &facts, Heard::Wants(vec![Intent::Correct]));
    talk.request = Some(OWN);
    // Who talks was known before: whether it is still they takes a code of this matter.
    let first = say(&mut talk, &facts, Heard::Choice(Meaning::Field((1, 1))));
    assert!(first.offers.contains(&Meaning::Address((1, 1))));
    say(&mut talk, &facts, Heard::Choice(Meaning::Address((1, 1))));
    say(&mut talk, &facts, Heard::Code(Verdict::Right));
    assert_eq!(talk.at, At::Asking(Question::NewValue));
    let sent = say(&mut talk, &facts, Heard::Text);
    assert_eq!(sent.effects, [Effect::SendNew]);
    assert_eq!(sent.offers, [Meaning::Again, Meaning::AnotherWay]);
    let wrong = Heard::Code(Verdict::Wrong { left: 4 });
    assert!(say(&mut talk, &facts, wrong).effects.is_empty());
    assert_eq!(talk.at, At::Asking(Question::NewCode));
    let right = say(&mut talk, &facts, Heard::Code(Verdict::Right));
    assert_eq!(right.offers, [Meaning::Change, Meaning::DoNotChange]);
    let done = say(&mut talk, &facts, Heard::Choice(Meaning::Change));
    assert_eq!(done.effects, [Effect::Change]);
}

#[test]
fn every_ground_and_form_is_an_effect_of_its_own() {
    let facts = known();
    for ground in RestrictionGround::ALL {
        let mut talk = Talk::new(Language::En, Level::L2);
        talk.request = Some(OWN);
        let next = say(&mut talk, &facts, Heard::Choice(Meaning::Ground(*ground)));
        assert_eq!(next.effects, [Effect::Restrict(*ground)]);
    }
    for form in [Form::Everything, Form::Json, Form::Csv] {
        for (link, at) in [(false, At::Queued), (true, At::Done)] {
            let mut talk = Talk::new(Language::En, Level::L2);
            let facts = Facts {
                link,
                ..facts.clone()
            };
            let next = say(&mut talk, &facts, Heard::Choice(Meaning::Form(form)));
            assert_eq!(next.effects, [Effect::Package(form)]);
            assert_eq!(
                talk.at, at,
                "a human goes on with it where there is no link"
            );
        }
    }
}

#[test]
fn help_and_another_language_ask_the_same_question_again() {
    let unknown = Facts {
        private: true,
        can_send: true,
        sends_left: true,
        ..Facts::default()
    };
    let mut talk = Talk::new(Language::En, Level::L0);
    say(&mut talk, &unknown, Heard::Wants(vec![Intent::Erase]));
    for (heard, first) in [
        (Heard::Control(Control::Help), Say::Help),
        (
            Heard::Control(Control::Language(Language::It)),
            Say::Language,
        ),
    ] {
        let next = say(&mut talk, &unknown, heard);
        assert_eq!(next.say, [first, Say::Unknown]);
    }
    assert_eq!(talk.language(), Language::It);
    let next = say(&mut talk, &unknown, Heard::Text);
    assert_eq!(
        next.say,
        [Say::NoAddress],
        "what is no address is said to be none"
    );
}

//! What a person demanded, what they were told, and what was said of their contracts: events in JSON, and those
//! that are none.

use jiff::civil::date;

use super::rows::NOW;
use crate::automated::stored::{Decided, DecisionEvent, DecisionRow};
use crate::automated::{DecisionState, DecisionWord};
use crate::contract::ContractEvent;
use crate::deadline::{Due, Pause};
use crate::dialogue::Language;
use crate::disclosure::{Given, Line, Told};
use crate::emergency::{EmergencyEvent, Party, Step};
use crate::entropy::SeededEntropy;
use crate::export;
use crate::id::{DecisionId, ReceiptId, RequestId};
use crate::id::{DisclosureId, RecipientNoticeId, RowHandle};
use crate::id::{EmergencyId, TokenId};
use crate::log_lines::LogRow;
use crate::notice::{NoticeAbout, NoticeShown};
use crate::outbox::{NoticeKind, NoticeRow, NoticeState, Place};
use crate::pickup::PickupRow;
use crate::policy::{Automation, DecisionBasis, RestrictionGround};
use crate::pseudonym::IssuedEvent;
use crate::request::stored::{
    Extension, FromLedger, Kept, RefusalGiven, RequestEvent, RequestRow, Scope, StepWord,
};
use crate::request::{DelayReason, Exemption, Level, RequestKind, RequestState};
use crate::row;
use crate::standing::{
    AgeEvent, ObjectionEvent, ObjectionOrigin, ObjectionState, RestrictionEvent,
};
use crate::talk::{
    Answered, At, Choice, Expect, ExpectKind, Form, Meaning, Message, Offered, Question, Talk,
    TalkState, TurnReply,
};
use crate::verification::Prepared;

type Vector = (&'static str, &'static str, Vec<u8>);

fn at() -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(NOW).expect("in range")
}

fn json<T: serde::Serialize>(event: &T) -> Vec<u8> {
    serde_json::to_vec(event).expect("a JSON form")
}

fn objection(state: ObjectionState, reason: Option<&str>) -> Vec<u8> {
    json(&ObjectionEvent {
        state,
        at: at(),
        reason: reason.map(str::to_owned),
        origin: ObjectionOrigin::Person,
    })
}

fn restriction(ground: Option<RestrictionGround>, collections: &[u16]) -> Vec<u8> {
    json(&RestrictionEvent {
        ground,
        collections: collections.to_vec(),
        at: at(),
        reason: ground.map(|_| "my address is another".to_owned()),
    })
}

fn notice(about: NoticeAbout, version: u32, channel: Option<&str>) -> Vec<u8> {
    json(&NoticeShown {
        about,
        version,
        language: "de".into(),
        channel: channel.map(str::to_owned),
        sha256: [0xab; 32],
        material: [u8::from(version > 0); 32],
        acknowledged: channel.is_some(),
        at: at(),
        evidence: None,
    })
}

fn age(of_age_on: &str, guardian: Option<&str>) -> Vec<u8> {
    json(&AgeEvent {
        of_age_on: of_age_on.parse().expect("a day"),
        guardian: guardian.map(str::to_owned),
        at: at(),
    })
}

fn contract(ended_at: Option<jiff::Timestamp>) -> Vec<u8> {
    json(&ContractEvent { ended_at, at: at() })
}

fn issued(recipient: Option<&str>) -> Vec<u8> {
    json(&IssuedEvent {
        purpose: 260,
        recipient: recipient.map(str::to_owned),
        at: at(),
    })
}

fn emergency(step: Step) -> Vec<u8> {
    json(&EmergencyEvent {
        emergency: EmergencyId::from_bytes([7; 16]),
        at: at(),
        step,
    })
}

fn party(byte: u8) -> Party {
    Party {
        token: TokenId::from_bytes([byte; 16]),
        key_sha256: [byte; 32],
        role: "nurse".into(),
    }
}

fn asked() -> Vec<u8> {
    emergency(Step::Requested {
        by: party(1),
        reason: "the ambulance waits".into(),
        fields: vec![(1, 1), (2, 260)],
        purpose: 3,
        seconds: 1_800,
    })
}

fn disclosure(told: bool) -> Vec<u8> {
    let given = |field, count| Given {
        field,
        first_at: at(),
        last_at: at(),
        count,
    };
    let place = Place {
        holder: RowHandle::from_bytes([0xff; 16]),
        sequence: 300,
        id: RecipientNoticeId::from_bytes([8; 16]),
    };
    let told = told.then(|| Told::new(place, NoticeKind::Rectification, at()));
    json(&Line {
        id: DisclosureId::from_bytes([7; 16]),
        recipient: "carrier".into(),
        purpose: 3,
        fields: vec![given((1, 2), 1), given((260, 1), 300)],
        count: 300,
        first_at: at(),
        at: at(),
        told: told.into_iter().collect(),
    })
}

fn log_row() -> Vec<u8> {
    let row = LogRow {
        at: NOW,
        stream: "bot".into(),
        lines: vec![
            "{\"to\":\"[email]\"}".into(),
            "\"[REDACTION_FAILED]\"".into(),
        ],
    };
    row::encode(&row).to_vec()
}

fn to_recipient(state: NoticeState, reason: Option<&str>) -> Vec<u8> {
    let row = NoticeRow {
        kind: NoticeKind::RestrictionLifted,
        recipient: "carrier".into(),
        references: vec![(3, [9; 16])],
        fields: vec![(1, 2), (260, 1)],
        made_at: NOW,
        state,
        state_at: NOW,
        tries: 251,
        due_at: NOW,
        reason: reason.map(str::to_owned),
    };
    row::encode(&row).to_vec()
}

fn due() -> Due {
    Due {
        on: date(2026, 3, 2),
        end: at(),
    }
}

fn request() -> RequestEvent {
    RequestEvent {
        request: RequestId::from_bytes([0x52; 16]),
        kind: RequestKind::HumanReview,
        step: StepWord::Refused,
        state: RequestState::Refused,
        level: Level::L3,
        by: "dpo".into(),
        at: at(),
        received: at(),
        language: "de-AT".into(),
        strict: due(),
        effective: Some(due()),
        pauses: vec![Pause {
            from: date(2026, 2, 1),
            to: Some(date(2026, 2, 3)),
        }],
        scope: Scope {
            purpose: Some(3),
            ground: Some(RestrictionGround::Claims),
            collections: vec![7, 260],
            decision: None,
        },
        extension: Some(Extension {
            reason: DelayReason::Number,
            period: "P2M".into(),
            at: at(),
            notice: Some("It takes longer.".into()),
        }),
        from_ledger: Some(FromLedger {
            due: due(),
            extended: true,
        }),
        refusal: Some(RefusalGiven {
            code: Exemption::NationalLaw,
            law: Some("§ 34 BDSG".into()),
            approver: Some("C. Ounsel".into()),
            text: Some("We do not do this.".into()),
        }),
        receipt: Some(ReceiptId::from_bytes([8; 16])),
        kept: vec![Kept {
            law: "Art. 17(3)(e) GDPR".into(),
            until: date(2035, 12, 31),
            collections: vec!["profile".into()],
        }],
        words: Some("why?".into()),
    }
}

fn begun() -> Talk {
    Talk::new(Language::De, Level::L1)
}

fn asked_for_code() -> Talk {
    let prepared = Prepared::new(&mut SeededEntropy::new(3)).expect("memory");
    let offered = |id: u8, means| Offered {
        id: [id; 16],
        means,
    };
    Talk {
        at: At::Asking(Question::Code),
        intent: Some(4),
        request: Some(RequestId::from_bytes([1; 16])),
        asked_at: NOW,
        words: "delete me".into(),
        choices: vec![
            offered(2, Meaning::Address((1, 2))),
            offered(3, Meaning::AnotherWay),
            offered(4, Meaning::Ground(RestrictionGround::Accuracy)),
            offered(5, Meaning::Form(Form::Csv)),
            offered(6, Meaning::CallOff(RequestId::from_bytes([1; 16]))),
        ],
        challenge: Some(prepared.challenge([1; 16], at())),
        field: Some((1, 3)),
        value: "5 Elm Rd".into(),
        sent: vec![NOW],
        answered: vec![Answered {
            message: [7; 32],
            content: [8; 32],
            reply: TurnReply {
                handled: true,
                state: TalkState::CodeSent,
                messages: vec![Message {
                    text: "where to?".into(),
                    choices: vec![Choice {
                        id: "c_x".into(),
                        label: "j•••".into(),
                    }],
                    link: Some("/privacy".into()),
                }],
                expect: Expect {
                    kind: ExpectKind::Code,
                    sensitive: true,
                },
                request: Some(RequestId::from_bytes([1; 16])),
                due: Some("2026-10-22".into()),
                language: "de".into(),
                replay: vec!["m1".into()],
                delivery: Some("d".into()),
            },
        }],
        until: NOW + 900_000,
        turns: 2,
        held: vec!["m2".into()],
        shown: Some([9; 32]),
        coded: true,
        ..begun()
    }
}

fn given() -> PickupRow {
    let prepared = Prepared::new(&mut SeededEntropy::new(4)).expect("memory");
    PickupRow {
        wrong: 1,
        challenge: Some(prepared.challenge([2; 16], at())),
        ..PickupRow::new(export::Form::Zip, (1, 2), at())
    }
}

fn opened() -> PickupRow {
    PickupRow {
        used_at: Some(NOW + 60_000),
        reported: true,
        ..PickupRow::new(export::Form::Csv, (1, 2), at())
    }
}

fn queued() -> RequestRow {
    RequestRow {
        kind: RequestKind::Recipients,
        state: RequestState::AwaitingHuman,
        received: NOW,
        due_on: 20_514,
        due_end: NOW + 2_678_400_000,
        effective_on: Some(20_521),
        reminded: 2,
    }
}

fn decided() -> DecisionEvent {
    DecisionEvent {
        decision: DecisionId::from_bytes([0x44; 16]),
        step: DecisionWord::Recorded,
        state: DecisionState::Effective,
        by: "bot".into(),
        key: Some(TokenId::from_bytes([0x54; 16])),
        at: at(),
        request: None,
        decided: Some(Decided {
            kind: "refund".into(),
            model_version: Some("rules-7".into()),
            inputs: vec![(7, 1), (7, 260)],
            outcome: Some("no refund".into()),
            significant: true,
            automation: Automation::Full,
            basis: Some(DecisionBasis::Contract),
            law: Some("an act".into()),
            purpose: Some(3),
            logic: [("en".to_owned(), "the age of the order".to_owned())].into(),
            consequences: [("en".to_owned(), "no money back".to_owned())].into(),
        }),
        new_outcome: None,
        words: None,
    }
}

fn reviewed() -> DecisionEvent {
    DecisionEvent {
        step: DecisionWord::Reviewed,
        state: DecisionState::Changed,
        request: Some(RequestId::from_bytes([0x52; 16])),
        decided: None,
        new_outcome: Some("half of it".into()),
        words: Some("it arrived broken".into()),
        ..decided()
    }
}

fn decision_row() -> DecisionRow {
    DecisionRow {
        kind: "refund".into(),
        state: DecisionState::UnderReview,
        recorded: NOW,
        contested: Some(NOW + 1_000),
        begun: Some(NOW + 2_000),
        reviewed: None,
        due: Some((20_514, NOW + 2_678_400_000)),
    }
}

/// By form, those of one form together.
pub(super) fn demands() -> Vec<Vector> {
    use ObjectionState::{Ended, Overridden, Pending, Upheld};
    use RestrictionGround::{Accuracy, Claims, Objection, Unlawful};
    let (objects, restricts, shown) = ("ObjectionEvent", "RestrictionEvent", "NoticeShown");
    let told = notice(NoticeAbout::Processing, 251, Some("web"));
    vec![
        ("AgeEvent", "a child's", age("2029-01-15", None)),
        (
            "AgeEvent",
            "with a guardian",
            age("2029-01-15", Some("answered")),
        ),
        ("RequestEvent", "with every member", json(&request())),
        (
            "RequestEvent",
            "that came in",
            json(&RequestEvent {
                effective: None,
                extension: None,
                from_ledger: None,
                refusal: None,
                receipt: None,
                kept: Vec::new(),
                pauses: Vec::new(),
                scope: Scope::default(),
                step: StepWord::Received,
                state: RequestState::Received,
                ..request()
            }),
        ),
        ("RequestEvent", "of somebody of whom little is left", {
            let mut event = request();
            event.silence();
            json(&event)
        }),
        (
            "RequestEvent",
            "for a review of a decision",
            json(&RequestEvent {
                scope: Scope {
                    decision: Some(DecisionId::from_bytes([0x44; 16])),
                    ..Scope::default()
                },
                ..request()
            }),
        ),
        ("RequestRow", "open", row::encode(&queued()).to_vec()),
        (
            "RequestRow",
            "closed, and paused until then",
            row::encode(&RequestRow {
                state: RequestState::Refused,
                effective_on: None,
                ..queued()
            })
            .to_vec(),
        ),
        ("DecisionEvent", "recorded", json(&decided())),
        ("DecisionEvent", "reviewed", json(&reviewed())),
        (
            "DecisionRow",
            "under review",
            row::encode(&decision_row()).to_vec(),
        ),
        (
            "DecisionRow",
            "never contested",
            row::encode(&DecisionRow {
                state: DecisionState::Effective,
                contested: None,
                begun: None,
                due: None,
                ..decision_row()
            })
            .to_vec(),
        ),
        ("Talk", "that begins", row::encode(&begun()).to_vec()),
        (
            "Talk",
            "that waits for a code",
            row::encode(&asked_for_code()).to_vec(),
        ),
        (
            "PickupRow",
            "whose code was sent",
            row::encode(&given()).to_vec(),
        ),
        (
            "PickupRow",
            "opened, and tried again",
            row::encode(&opened()).to_vec(),
        ),
        ("ContractEvent", "ended", contract(Some(at()))),
        ("ContractEvent", "runs again", contract(None)),
        ("IssuedEvent", "to a recipient", issued(Some("carrier"))),
        ("IssuedEvent", "of the controller's own", issued(None)),
        ("EmergencyEvent", "asked for", asked()),
        (
            "EmergencyEvent",
            "approved",
            emergency(Step::Approved { by: party(2) }),
        ),
        (
            "EmergencyEvent",
            "refused",
            emergency(Step::Refused { by: party(2) }),
        ),
        ("EmergencyEvent", "used", emergency(Step::Used)),
        (
            "EmergencyEvent",
            "ended",
            emergency(Step::Ended { by: party(1) }),
        ),
        ("Disclosure", "never told of", disclosure(false)),
        ("Disclosure", "told of", disclosure(true)),
        (
            "NoticeRow",
            "failed",
            to_recipient(NoticeState::Failed, Some("nobody answers there")),
        ),
        (
            "NoticeRow",
            "queued",
            to_recipient(NoticeState::Queued, None),
        ),
        ("LogRow", "two lines", log_row()),
        (shown, "of processing", told),
        (
            shown,
            "of a restriction's end",
            notice(NoticeAbout::RestrictionLift, 0, None),
        ),
        (objects, "made", objection(Pending, Some("my situation"))),
        (objects, "upheld", objection(Upheld, None)),
        (
            objects,
            "overridden",
            objection(Overridden, Some("a claim")),
        ),
        (objects, "taken back", objection(Ended, None)),
        (
            objects,
            "by the suppression list",
            json(&ObjectionEvent {
                state: Upheld,
                at: at(),
                reason: None,
                origin: ObjectionOrigin::Suppressed,
            }),
        ),
        (
            objects,
            "from a file",
            json(&ObjectionEvent {
                state: Upheld,
                at: at(),
                reason: None,
                origin: ObjectionOrigin::File,
            }),
        ),
        (
            restricts,
            "of all, accuracy",
            restriction(Some(Accuracy), &[]),
        ),
        (
            restricts,
            "of two, unlawful",
            restriction(Some(Unlawful), &[1, 260]),
        ),
        (restricts, "of one, claims", restriction(Some(Claims), &[7])),
        (
            restricts,
            "of one, objection",
            restriction(Some(Objection), &[7]),
        ),
        (restricts, "lifted", restriction(None, &[])),
    ]
}

/// Form, name, and a vector that opens, with what takes the place of what in it.
type Fault = (
    &'static str,
    &'static str,
    Vec<u8>,
    &'static [u8],
    &'static [u8],
);

/// Faults that a form alone has.
pub(super) fn faults() -> Vec<Fault> {
    let objection = objection(ObjectionState::Upheld, None);
    let restriction = restriction(Some(RestrictionGround::Claims), &[7]);
    let notice = notice(NoticeAbout::RestrictionLift, 0, None);
    vec![
        (
            "AgeEvent",
            "a day that is none",
            age("2029-01-15", None),
            b"01-15",
            b"02-30",
        ),
        (
            "IssuedEvent",
            "a purpose that is no number",
            issued(None),
            b"260",
            b"-26",
        ),
        (
            "EmergencyEvent",
            "a step that is none",
            asked(),
            b"requested",
            b"requestee",
        ),
        (
            "Disclosure",
            "a kind of notice that is none",
            disclosure(true),
            b"rectification",
            b"rectified",
        ),
        (
            "RequestEvent",
            "a right that is none",
            json(&request()),
            b"human_review",
            b"human_revue1",
        ),
        (
            "DecisionEvent",
            "a basis that is none",
            json(&decided()),
            b"contract",
            b"contrast",
        ),
        (
            "ObjectionEvent",
            "a state that is none",
            objection,
            b"upheld",
            b"uphold",
        ),
        (
            "RestrictionEvent",
            "a ground that is none",
            restriction.clone(),
            b"18.1.c",
            b"18.1.e",
        ),
        (
            "RestrictionEvent",
            "a collection that is no number",
            restriction,
            b"[7]",
            b"[-7]",
        ),
        (
            "NoticeShown",
            "about what is nothing",
            notice.clone(),
            b"restriction_lift",
            b"restriction_left",
        ),
        (
            "NoticeShown",
            "a hash that is too short",
            notice,
            b"171,171",
            b"171",
        ),
    ]
}

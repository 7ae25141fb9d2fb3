//! `Debug` of every public type of the vault and its server: silent where the type may hold a value, a
//! key or what was said.
//!
//! The sources are searched for public types that have `Debug` and a member in which a text or bytes
//! can lie. Each must stand in [`KNOWN`], with an instance made of canaries, or with the reason why
//! nothing of a person can be in it. A type that is new, or that gained such a member, fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use serde_json::json;
use vault_core::consent::{ConsentDetails, ConsentEvent, ConsentEvidence, ConsentState};
use vault_core::crypto::Secret;
use vault_core::dialogue::Language;
use vault_core::entropy::SeededEntropy;
use vault_core::id::ConsentId;
use vault_core::policy::{HoldGround, RestrictionGround, SAMPLE};
use vault_core::request::RequestKind;
use vault_core::schema::{MediaType, Test};
use vault_core::standing::{HoldEvent, RestrictionEvent};
use vault_core::store::KeyRange;
use vault_core::vault::{
    AddressKind, AgeEvent, AgeInput, ChangeInput, Choice, CodeToSend, ConsentInput, ConsentView,
    CorrectionInput, CountBy, CountGroup, CountInput, CountLabel, Counted, DecisionInput,
    DecisionStep, EmergencyId, EmergencyInput, EmergencyState, EmergencyView, Expect, ExpectKind,
    HoldInput, HoldReleased, HoldState, HoldStep, IncidentId, IncidentInput, IncidentListed,
    IncidentStep, IncidentStepInput, IncidentStepView, IncidentVector, IncidentView, KeyFile,
    LockedVault, LogLine, Message, MetaView, Nature, NoticeAbout, NoticeAct, NoticeDelivery,
    NoticeInput, NoticeShown, ObjectionEvent, ObjectionOrigin, ObjectionState, ObjectionView,
    Outcome, Passphrase, QueryInput, QueryPart, RequestInput, RequestStep, RestrictionInput,
    RestrictionStep, Risk, Settings, SharedSecret, ShownEvidence, SuppressionInput,
    SuppressionKind, TalkState, TokenId, TurnInput, TurnReply, Turned, UnlockSecret, VaultPaths,
};

use vault_tests::canary::Net;

use super::people::{self, EMAIL, NAME, PASSPHRASE};

/// Why a type's `Debug` may be read by anybody.
enum Why {
    /// An instance, printed.
    Instance(fn() -> String),
    /// Its texts are names, numbers and words of a policy, a configuration or the code.
    Words,
    /// Its texts are ids, hashes and marks that the vault makes.
    Ids,
    /// Its texts are paths and addresses of the operator's configuration.
    Paths,
    /// Its texts are made for whoever was refused, and hold no value by their own promise, which the
    /// rest of this test tries.
    Refusals,
    /// Its `Debug` is written by hand and prints a name or counts, or its room is a [`Secret`]'s, which does.
    Name,
}

use Why::{Ids, Instance, Name, Paths, Refusals, Words};

fn printed(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

fn correction() -> CorrectionInput {
    let fields = serde_json::json!({"name": NAME});
    CorrectionInput {
        collection: "profile".into(),
        record: None,
        fields: fields.as_object().expect("an object").clone(),
    }
}

fn event() -> ConsentEvent {
    ConsentEvent {
        consent: ConsentId::from_bytes([1; 16]),
        state: ConsentState::Given,
        at: "2026-11-24T12:00:00Z".parse().unwrap(),
        notice: people::consent()["notice"].clone(),
        choice: Some(NAME.into()),
        message_id: Some(EMAIL.into()),
        details: consent_details(),
    }
}

fn consent_details() -> ConsentDetails {
    ConsentDetails {
        valid: Some(NAME.into()),
        language: Some(NAME.into()),
        channel: Some(EMAIL.into()),
        method: Some(NAME.into()),
        evidence: Some(ConsentEvidence {
            kind: NAME.into(),
            string: EMAIL.into(),
        }),
        ..ConsentDetails::default()
    }
}

fn choice() -> Choice {
    Choice {
        id: EMAIL.into(),
        label: NAME.into(),
    }
}

fn message() -> Message {
    Message {
        text: NAME.into(),
        choices: vec![choice()],
        link: Some(EMAIL.into()),
    }
}

fn turn() -> TurnInput {
    TurnInput {
        channel: NAME.into(),
        user: EMAIL.into(),
        conversation: Some(NAME.into()),
        message: NAME.into(),
        text: Some(EMAIL.into()),
        choice: Some(NAME.into()),
        locale: Some(NAME.into()),
        intent: None,
        private: true,
        sends: Vec::new(),
        links: true,
    }
}

fn turn_reply() -> TurnReply {
    TurnReply {
        handled: true,
        state: TalkState::Done,
        messages: vec![message()],
        expect: Expect {
            kind: ExpectKind::Text,
            sensitive: true,
        },
        request: None,
        due: Some(NAME.into()),
        language: NAME.into(),
        replay: vec![EMAIL.into()],
        delivery: Some(NAME.into()),
    }
}

fn turned() -> String {
    let code = CodeToSend {
        sending: [7; 16],
        kind: AddressKind::Email,
        address: EMAIL.to_owned().into(),
        code: NAME.to_owned().into(),
        language: vault_core::dialogue::Language::De,
        expires_at: event().at,
    };
    let codes = printed(&code);
    let turned = Turned {
        reply: turn_reply(),
        codes: vec![code],
    };
    codes + &printed(&turned)
}

fn objection() -> ObjectionEvent {
    ObjectionEvent {
        state: ObjectionState::Pending,
        at: event().at,
        reason: Some(NAME.into()),
        origin: ObjectionOrigin::Person,
    }
}

fn incident_step() -> IncidentStepView {
    IncidentStepView {
        step: IncidentStep::Assessed,
        at: event().at,
        noted_at: event().at,
        role: "dpo".into(),
        text: NAME.into(),
        late_reason: Some(EMAIL.into()),
        risk: None,
        exemption: None,
    }
}

fn incident() -> IncidentListed {
    IncidentListed {
        incident: IncidentId::from_bytes([1; 16]),
        state: None,
        aware_at: event().at,
        due_at: event().at,
        overdue: false,
        notified_at: None,
        nature: vec![Nature::Integrity],
        vector: IncidentVector::Other,
        from: None,
        to: None,
        summary: NAME.into(),
        risk: None,
        steps: 1,
    }
}

fn hold() -> HoldEvent {
    HoldEvent {
        state: HoldState::Placed,
        ground: HoldGround::LegalClaims,
        collections: vec![1],
        by: "legal".into(),
        approver: Some(NAME.into()),
        reason: Some(NAME.into()),
        review_at: "2099-12-31".parse().unwrap(),
        at: event().at,
        erasure: None,
    }
}

fn hold_step() -> HoldStep {
    HoldStep {
        state: HoldState::Placed,
        ground: HoldGround::LegalClaims,
        collections: vec!["spare".into()],
        by: "legal".into(),
        approver: Some(NAME.into()),
        reason: Some(NAME.into()),
        review_at: "2099-12-31".parse().unwrap(),
        at: event().at,
        erasure: None,
    }
}

/// One that a vault has made.
fn recovery_key() -> String {
    let home = tempfile::tempdir().unwrap();
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };
    let passphrase = Passphrase::new(PASSPHRASE.into()).unwrap();
    let paths = VaultPaths::beside(&home.path().join("v"));
    let created = LockedVault::create(&paths, settings, &passphrase, SAMPLE).unwrap();
    let printed = printed(&created.recovery_key);
    let text = created.recovery_key.to_text();
    let mut net = Net::default();
    net.add("recovery key", text.as_bytes());
    net.add(
        "recovery key without separators",
        text.replace('-', "").as_bytes(),
    );
    assert!(net.caught(text.as_bytes()).len() == 1 && net.caught(printed.as_bytes()).is_empty());
    printed + &self::printed(&UnlockSecret::RecoveryKey(text.parse().unwrap()))
}

/// The shares of a secret, and what two of them give.
fn shares() -> String {
    let entropy = &mut SeededEntropy::new(7);
    let shares = SharedSecret::split(2, 3, entropy).unwrap();
    let joined = SharedSecret::join(&shares).unwrap();
    let printed = printed(&shares) + &self::printed(&UnlockSecret::Shares(joined));
    let mut net = Net::default();
    for share in &shares {
        net.add("a share", share.to_text().as_bytes());
        net.add("its groups", share.to_text().replace('-', "").as_bytes());
    }
    assert!(net.caught(printed.as_bytes()).is_empty());
    printed
}

const KNOWN: &[(&str, Why)] = &[
    ("Access", Words),
    ("AccessPage", Words),
    ("AccessQuery", Words),
    (
        "AgeEvent",
        Instance(|| {
            printed(&AgeEvent {
                of_age_on: jiff::civil::date(2029, 1, 15),
                guardian: Some(NAME.into()),
                at: event().at,
            })
        }),
    ),
    (
        "AgeInput",
        Instance(|| {
            printed(&AgeInput {
                years: 12,
                country: Some("DE".into()),
                guardian: Some(EMAIL.into()),
            })
        }),
    ),
    ("Children", Words),
    (
        "LogLine",
        Instance(|| {
            printed(&LogLine {
                at: event().at,
                line: json!({"text": NAME}),
            })
        }),
    ),
    ("LogPage", Ids),
    ("LogQuery", Words),
    ("LogStream", Words),
    ("LogTaken", Words),
    ("DisclosedField", Words),
    ("DisclosureInput", Words),
    ("DisclosureView", Ids),
    ("DueNotice", Words),
    (
        "NoticeAct",
        Instance(|| printed(&NoticeAct::Impossible(NAME.into()))),
    ),
    ("NoticeFigures", Words),
    ("NoticePage", Ids),
    ("NoticeQuery", Words),
    ("RecipientNotice", Name),
    ("RecipientReference", Ids),
    ("ToldView", Ids),
    ("vault-server Allowed", Paths),
    ("vault-server RecipientConfig", Paths),
    ("vault-server RecipientsError", Paths),
    ("ContractView", Words),
    (
        "CountBy",
        Instance(|| {
            printed(&CountBy {
                name: EMAIL.into(),
                width: None,
            })
        }),
    ),
    (
        "CountInput",
        Instance(|| {
            printed(&CountInput {
                collection: "profile".into(),
                conditions: json!({"source": NAME}),
                by: vec![CountBy {
                    name: EMAIL.into(),
                    width: None,
                }],
            })
        }),
    ),
    (
        "Counted",
        Instance(|| {
            printed(&Counted {
                collection: "profile".into(),
                k: 5,
                rounded: false,
                total: Some(7),
                groups: vec![CountGroup {
                    labels: vec![CountLabel::Text(NAME.into())],
                    people: 7,
                }],
                withheld: false,
            })
        }),
    ),
    (
        "Label",
        Instance(|| printed(&CountLabel::Text(NAME.into()))),
    ),
    ("DamagedRow", Ids),
    ("PurposeDue", Words),
    ("Retention", Words),
    ("BackupBegin", Paths),
    ("BackupFacts", Ids),
    ("BackupView", Paths),
    ("Cut", Paths),
    ("Erased", Ids),
    ("Honey", Words),
    ("HoneyAlarm", Words),
    ("HoneyPerson", Words),
    ("vault-server Address", Paths),
    ("vault-server AlarmError", Paths),
    ("vault-server Secret", Name),
    ("Checkpoint", Ids),
    ("Dek", Name),
    ("Frontier", Ids),
    (
        "KeyFile",
        Instance(|| {
            let content = NAME.repeat(8).into_bytes();
            let file = KeyFile::new(content.into()).unwrap();
            printed(&file) + &printed(&UnlockSecret::KeyFile(file))
        }),
    ),
    ("Keyset", Name),
    ("KeyView", Words),
    ("KeysView", Ids),
    ("LogKeys", Ids),
    ("PastKey", Ids),
    ("PastSigner", Ids),
    ("Share", Instance(shares)),
    ("SharedSecret", Instance(shares)),
    ("LedgerCopyError", Paths),
    ("LedgerError", Paths),
    ("LedgerEvent", Ids),
    ("LogReport", Ids),
    ("PersonEntry", Name),
    ("Placement", Name),
    ("Replay", Ids),
    ("RootKey", Name),
    ("Roots", Name),
    ("ShredMap", Ids),
    ("vault-server AdminSocket", Paths),
    ("vault-server BackupConfig", Paths),
    ("vault-server BackupPlace", Paths),
    ("vault-server ObjectsConfig", Paths),
    ("vault-server ObjectsPlace", Paths),
    ("vault-server PlaceError", Paths),
    ("AuditEntry", Ids),
    ("AuditQuery", Words),
    ("BlobPlace", Words),
    ("BlobWritten", Ids),
    ("Call", Words),
    (
        "ChangeInput",
        Instance(|| {
            printed(&ChangeInput {
                collection: "messages".into(),
                conditions: json!({"source": NAME}),
                dry_run: true,
            })
        }),
    ),
    ("Changes", Name),
    ("Collection", Words),
    ("CollectionCount", Words),
    ("Complaint", Refusals),
    ("vault-server ConfigError", Paths),
    ("vault-server CodesError", Paths),
    ("vault-server SmtpConfig", Paths),
    ("vault-server VerificationConfig", Paths),
    (
        "CodeToSend",
        Instance(|| {
            printed(&CodeToSend {
                sending: [7; 16],
                kind: AddressKind::Email,
                address: EMAIL.to_owned().into(),
                code: NAME.to_owned().into(),
                language: Language::En,
                expires_at: jiff::Timestamp::UNIX_EPOCH,
            })
        }),
    ),
    ("ConsentEvent", Instance(|| printed(&event()))),
    ("ImportedLine", Words),
    ("Notice", Words),
    (
        "NoticeInput",
        Instance(|| {
            printed(&NoticeInput {
                about: NoticeAbout::RestrictionLift,
                version: None,
                language: NAME.into(),
                channel: Some(EMAIL.into()),
                sha256: [0; 32],
                acknowledged: true,
            })
        }),
    ),
    (
        "NoticeShown",
        Instance(|| {
            printed(&NoticeShown {
                about: NoticeAbout::RestrictionLift,
                version: 0,
                language: NAME.into(),
                channel: Some(EMAIL.into()),
                sha256: [0; 32],
                material: [0; 32],
                acknowledged: true,
                at: event().at,
                evidence: Some(ShownEvidence {
                    message: EMAIL.into(),
                    choice: NAME.into(),
                }),
            })
        }),
    ),
    ("ObjectionEvent", Instance(|| printed(&objection()))),
    (
        "ShownEvidence",
        Instance(|| {
            printed(&ShownEvidence {
                message: EMAIL.into(),
                choice: NAME.into(),
            })
        }),
    ),
    (
        "ObjectionView",
        Instance(|| {
            printed(&ObjectionView {
                purpose: "newsletter".into(),
                state: ObjectionState::Pending,
                history: vec![objection()],
            })
        }),
    ),
    (
        "RestrictionEvent",
        Instance(|| {
            printed(&RestrictionEvent {
                ground: Some(RestrictionGround::Accuracy),
                collections: vec![1],
                at: event().at,
                reason: Some(NAME.into()),
            })
        }),
    ),
    (
        "RestrictionInput",
        Instance(|| {
            printed(&RestrictionInput {
                ground: RestrictionGround::Accuracy,
                collections: vec![EMAIL.into()],
                reason: Some(NAME.into()),
            })
        }),
    ),
    (
        "RestrictionStep",
        Instance(|| {
            printed(&RestrictionStep {
                ground: Some(RestrictionGround::Accuracy),
                collections: vec!["spare".into()],
                at: event().at,
                reason: Some(NAME.into()),
            })
        }),
    ),
    ("BreachVector", Words),
    ("BulkScope", Words),
    ("Figures", Words),
    ("CategoryScope", Words),
    ("FieldScope", Words),
    ("ScopeOf", Words),
    ("EmergencyAlarm", Words),
    (
        "EmergencyInput",
        Instance(|| {
            printed(&EmergencyInput {
                reason: NAME.into(),
                fields: vec![EMAIL.into()],
                expires_in: None,
            })
        }),
    ),
    (
        "EmergencyView",
        Instance(|| {
            printed(&EmergencyView {
                emergency: EmergencyId::from_bytes([1; 16]),
                state: EmergencyState::Requested,
                reason: NAME.into(),
                fields: vec![EMAIL.into()],
                purpose: NAME.into(),
                expires_in: 60,
                requested_by: (TokenId::from_bytes([2; 16]), NAME.into()),
                requested_at: event().at,
                decided_by: None,
                decided_at: None,
                used_at: None,
                ended_at: None,
                expires_at: event().at,
            })
        }),
    ),
    ("IncidentFact", Words),
    (
        "IncidentInput",
        Instance(|| {
            printed(&IncidentInput {
                aware_at: event().at,
                nature: vec![Nature::Integrity],
                vector: IncidentVector::Other,
                from: None,
                to: None,
                summary: NAME.into(),
                scope: Some(json!(EMAIL)),
            })
        }),
    ),
    (
        "IncidentStepInput",
        Instance(|| {
            printed(&IncidentStepInput {
                at: None,
                text: NAME.into(),
                late_reason: Some(EMAIL.into()),
                risk: Some(Risk::High),
                exemption: None,
                scope: Some(json!(EMAIL)),
            })
        }),
    ),
    ("IncidentStepView", Instance(|| printed(&incident_step()))),
    (
        "IncidentView",
        Instance(|| {
            printed(&IncidentView {
                listed: incident(),
                scope: Some(json!(EMAIL)),
                history: vec![incident_step()],
            })
        }),
    ),
    ("IncidentListed", Instance(|| printed(&incident()))),
    ("HoldEvent", Instance(|| printed(&hold()))),
    (
        "HoldInput",
        Instance(|| {
            printed(&HoldInput {
                ground: HoldGround::LegalClaims,
                collections: vec![EMAIL.into()],
                reason: Some(NAME.into()),
                approver: Some(NAME.into()),
                review_at: hold().review_at,
            })
        }),
    ),
    ("HoldStep", Instance(|| printed(&hold_step()))),
    ("HeldPage", Ids),
    ("HeldPerson", Words),
    ("HoldFact", Ids),
    (
        "HoldReleased",
        Instance(|| {
            printed(&HoldReleased {
                step: hold_step(),
                receipt: None,
            })
        }),
    ),
    ("TooLarge", Words),
    (
        "ConsentInput",
        Instance(|| {
            printed(&ConsentInput {
                given: true,
                notice: json!(NAME),
                choice: Some(NAME.into()),
                message_id: Some(EMAIL.into()),
                ..ConsentInput::default()
            })
        }),
    ),
    (
        "ConsentView",
        Instance(|| {
            printed(&ConsentView {
                purpose: "newsletter".into(),
                state: ConsentState::Given,
                history: vec![event()],
                valid_until: None,
            })
        }),
    ),
    ("ConsentDetails", Instance(|| printed(&consent_details()))),
    (
        "ConsentEvidence",
        Instance(|| printed(&consent_details().evidence)),
    ),
    (
        "NoticeDelivery",
        Instance(|| {
            printed(&NoticeDelivery {
                delivery: NAME.into(),
                expires_at: event().at,
            })
        }),
    ),
    (
        "SuppressionInput",
        Instance(|| {
            printed(&SuppressionInput {
                what: SuppressionKind::Field(NAME.into()),
                value: json!(EMAIL),
                purpose: Some(NAME.into()),
            })
        }),
    ),
    (
        "SuppressionKind",
        Instance(|| printed(&SuppressionKind::Type(EMAIL.into()))),
    ),
    ("Controller", Words),
    ("CreateError", Paths),
    ("Draft", Words),
    ("Entry", Ids),
    ("FaultPlan", Name),
    ("Field", Words),
    ("BackupError", Paths),
    ("Configuration", Paths),
    ("Export", Name),
    ("ExportInput", Name),
    ("FileFact", Paths),
    ("Files", Paths),
    ("Head", Ids),
    ("ImportError", Refusals),
    ("JobState", Words),
    ("JobView", Words),
    ("LimitFacts", Words),
    ("LineError", Refusals),
    ("Machine", Paths),
    ("Manifest", Ids),
    ("Mapping", Words),
    ("MappingError", Words),
    ("Object", Ids),
    ("PolicyFile", Paths),
    ("Pruned", Ids),
    ("ReadError", Refusals),
    ("Seal", Name),
    ("SeenSlot", Words),
    ("SlotFact", Words),
    ("Swap", Paths),
    ("vault-server PolicyFile", Paths),
    ("vault-server PolicyFileError", Paths),
    ("Diagnosis", Words),
    ("Finding", Words),
    ("Id", Ids),
    ("IdTable", Words),
    ("InputError", Refusals),
    (
        "KeyRange",
        Instance(|| printed(&KeyRange::prefix(NAME.as_bytes()))),
    ),
    ("ListOptions", Words),
    ("Location", Ids),
    ("LogProof", Ids),
    ("Lookup", Name),
    ("MediaRange", Words),
    (
        "MediaType",
        Instance(|| {
            let text = "application/vnd.zyxwina-canary";
            printed(&MediaType::parse(text).expect("a media type"))
        }),
    ),
    ("MemoryDisk", Name),
    ("MemoryDiskHandle", Name),
    (
        "MetaView",
        Instance(|| {
            printed(&MetaView {
                source: Some(NAME.into()),
                category: Some(EMAIL.into()),
                ..MetaView::default()
            })
        }),
    ),
    ("Missing", Words),
    ("OpenError", Paths),
    ("Opened", Ids),
    ("vault-server Origins", Words),
    ("ParseIdError", Words),
    (
        "Passphrase",
        Instance(|| {
            let passphrase = || Passphrase::new(PASSPHRASE.into()).unwrap();
            let secret = UnlockSecret::Passphrase(passphrase());
            printed(&passphrase()) + &printed(&secret)
        }),
    ),
    ("Period", Words),
    ("Phrases", Words),
    ("Policy", Words),
    ("PolicyApplied", Words),
    ("PolicyView", Words),
    ("Confirmation", Name),
    ("CorrectionInput", Instance(|| printed(&correction()))),
    ("Choice", Instance(|| printed(&choice()))),
    ("Message", Instance(|| printed(&message()))),
    ("TurnInput", Instance(|| printed(&turn()))),
    ("TurnReply", Instance(|| printed(&turn_reply()))),
    ("Turned", Instance(turned)),
    ("Extension", Words),
    ("Kept", Words),
    ("NoticeOutcome", Words),
    ("QueuePage", Ids),
    ("RefusalGiven", Name),
    ("RequestFact", Ids),
    (
        "RequestInput",
        Instance(|| {
            printed(&RequestInput {
                kind: RequestKind::Access,
                details: Some(NAME.into()),
                language: None,
                received_at: None,
                purpose: None,
                ground: None,
                collections: Vec::new(),
                decision: None,
            })
        }),
    ),
    (
        "RequestStep",
        Instance(|| {
            let approve = RequestStep::Approve {
                confirmation: None,
                correction: Some(correction()),
                answer: Some(NAME.into()),
            };
            let clarify = RequestStep::Clarify {
                answer: NAME.into(),
            };
            printed(&approve) + &printed(&clarify)
        }),
    ),
    ("DecisionFilter", Words),
    (
        "DecisionInput",
        Instance(|| {
            printed(&DecisionInput {
                kind: "refund".into(),
                outcome: NAME.into(),
                logic: [("en".to_owned(), EMAIL.to_owned())].into(),
                ..DecisionInput::default()
            })
        }),
    ),
    ("DecisionKind", Words),
    ("DecisionPage", Ids),
    (
        "DecisionStep",
        Instance(|| {
            let contest = DecisionStep::Contest {
                view: Some(NAME.into()),
                language: None,
            };
            let decide = DecisionStep::Decide {
                review: "rvw_".into(),
                outcome: Outcome::Changed,
                new_outcome: Some(EMAIL.into()),
                reasons: NAME.into(),
            };
            printed(&contest) + &printed(&decide)
        }),
    ),
    ("DecisionStepView", Name),
    ("DecisionStepped", Name),
    ("DecisionView", Name),
    ("QueuedDecision", Words),
    ("StatedDecision", Words),
    ("RequestStepView", Name),
    ("RequestStepped", Name),
    ("LinkGiven", Name),
    ("PickedUp", Name),
    // Of what was said each part is silent by itself.
    ("RequestView", Words),
    ("Principal", Ids),
    ("vault-server Problem", Refusals),
    ("Purged", Ids),
    ("Purpose", Words),
    (
        "QueryInput",
        Instance(|| {
            printed(&QueryInput {
                collection: "messages".into(),
                fields: None,
                conditions: json!({"source": NAME, "category": EMAIL}),
                part: QueryPart::Both,
                names: None,
                limit: None,
                cursor: Some(NAME.into()),
            })
        }),
    ),
    ("QueryNames", Words),
    ("ReadOptions", Words),
    ("ReceiptError", Words),
    ("Recipient", Words),
    ("RecordId", Ids),
    ("RecoverError", Words),
    ("RecoveryKey", Instance(recovery_key)),
    ("Refusal", Refusals),
    ("Role", Words),
    ("RowHandle", Ids),
    ("Safeguard", Words),
    ("vault-server SandboxError", Paths),
    ("vault-server SandboxPaths", Paths),
    (
        "Secret",
        Instance(|| {
            let secret = Secret::<32>::generate(&mut SeededEntropy::new(7));
            let text = printed(&secret);
            assert_eq!(text, "Secret Secret");
            text
        }),
    ),
    ("vault-server SecretError", Paths),
    ("vault-server ServerConfig", Paths),
    ("SessionInput", Words),
    ("SessionView", Words),
    ("SlotTarget", Ids),
    ("SlotView", Words),
    ("vault-server SocketError", Paths),
    ("State", Ids),
    ("StatedData", Words),
    ("StatedLog", Words),
    ("StatedPurpose", Words),
    ("StatedRecipient", Words),
    ("StatedRight", Words),
    ("Statement", Words),
    ("StoredPolicy", Words),
    ("SubjectView", Ids),
    ("SystemKeyView", Words),
    ("SystemKeys", Name),
    (
        "Test",
        Instance(|| {
            let question = json!({"equals": EMAIL});
            printed(&Test::parse(&question).unwrap())
        }),
    ),
    ("vault-server TlsError", Paths),
    ("vault-server TlsFiles", Paths),
    ("TokenInput", Words),
    ("TokenView", Words),
    ("UnlockError", Words),
    ("vault-server UnlockSource", Paths),
    ("VaultPaths", Paths),
    ("VerifierKey", Ids),
    ("Verified", Ids),
    ("Withheld", Words),
    ("Written", Ids),
];

/// Types in whose members a text or bytes can lie.
const ROOMY: [&str; 12] = [
    "String", "str", "Value", "Map", "Cow", "PathBuf", "Path", "Bytes", "u8", "Secret", "Hash",
    "OsString",
];

/// The public types of a source that have `Debug`: whether it is written by hand, and the words of
/// their members.
fn types(source: &str) -> Vec<(String, bool, BTreeSet<String>)> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = source.lines().map(|line| line.split("//").next().unwrap());
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code
        .match_indices("pub struct ")
        .chain(code.match_indices("pub enum "))
    {
        let rest = code[at..]
            .split_once(' ')
            .unwrap()
            .1
            .split_once(' ')
            .unwrap()
            .1;
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        // The attributes stand above, up to what is no attribute; documentation has become empty lines.
        let above = code[..at]
            .lines()
            .rev()
            .skip(usize::from(!code[..at].ends_with('\n')));
        let attributes = above.take_while(|line| {
            let line = line.trim();
            !line.is_empty() && !line.ends_with(['}', ';'])
        });
        let derived = attributes.into_iter().any(|line| line.contains("Debug"));
        let by_hand = code.match_indices("Debug for ").any(|(at, text)| {
            let of = &code[at + text.len()..];
            of.strip_prefix(&*name)
                .is_some_and(|next| !next.starts_with(|c: char| c.is_alphanumeric()))
        });
        if !derived && !by_hand {
            continue;
        }
        let opens = rest.find(['{', '(', ';']).unwrap();
        let body = match &rest[opens..=opens] {
            ";" => "",
            open => {
                let close = if open == "{" { '}' } else { ')' };
                let open = open.chars().next().unwrap();
                let mut depth = 0;
                let end = rest[opens..].find(|c| {
                    depth += i32::from(c == open) - i32::from(c == close);
                    depth == 0
                });
                &rest[opens..opens + end.unwrap()]
            }
        };
        let words = body.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        found.push((name, by_hand, words.map(str::to_owned).collect()));
    }
    found
}

/// The names of public types that print room for a text, in all sources below a directory.
fn roomy(package: &str, dir: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if name != "tests" {
                roomy(package, &path, found);
            }
        } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
            for (name, by_hand, words) in types(&fs::read_to_string(&path).unwrap()) {
                if by_hand || ROOMY.iter().any(|word| words.contains(*word)) {
                    // One of the vault itself stands for itself, one of the server behind its package.
                    let name = match package {
                        "vault-core" => name,
                        _ => format!("{package} {name}"),
                    };
                    *found.entry(name).or_default() += 1;
                }
            }
        }
    }
}

#[test]
fn debug_of_every_public_type_with_room_for_a_text_is_silent_about_people_and_secrets() {
    let mut found = BTreeMap::new();
    for package in ["vault-core", "vault-server"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(package);
        roomy(package, &dir.join("src"), &mut found);
    }
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "one name for several types: {twice:?}");
    let known: BTreeSet<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
    let of_source: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let new: Vec<_> = of_source.difference(&known).collect();
    assert!(
        new.is_empty(),
        "say in KNOWN why these may be printed: {new:?}"
    );
    let gone: Vec<_> = known.difference(&of_source).collect();
    assert!(
        gone.is_empty(),
        "no longer there, or silent by their members: {gone:?}"
    );
    let mut net = people::net();
    net.add("a seeded secret", seeded().as_slice());
    let mut instances = 0;
    for (name, why) in KNOWN {
        if let Instance(print) = why {
            let text = print();
            assert!(
                net.caught(text.as_bytes()).is_empty(),
                "{name} prints {text}"
            );
            instances += 1;
        }
    }
    assert!(instances > 10);
    // The control: what a derived `Debug` would print.
    assert!(
        !net.caught(printed(&json!({"choice": NAME})).as_bytes())
            .is_empty()
    );
}

/// The bytes of the secret above.
fn seeded() -> [u8; 32] {
    *Secret::<32>::generate(&mut SeededEntropy::new(7)).expose()
}

#[test]
fn the_search_for_types_sees_what_it_must() {
    let source = r#"
        /// A note.
        #[derive(Clone, Debug)]
        pub struct Derived { pub text: Option<String> }
        #[derive(Clone)]
        pub struct Silent { text: String }
        pub struct ByHand(Vec<u8>);
        impl std::fmt::Debug for ByHand { }
        #[derive(Debug)]
        pub enum Choice { One(u32), Two { place: Box<str> } }
        #[derive(Debug, thiserror::Error)]
        #[error("expected {0}")]
        pub struct Mistaken(String);
        #[derive(Debug)]
        pub struct Nothing;
    "#;
    let found: Vec<_> = types(source)
        .into_iter()
        .map(|(name, by_hand, words)| {
            (
                name,
                by_hand,
                ROOMY.iter().any(|word| words.contains(*word)),
            )
        })
        .collect();
    let expected = [
        ("Derived", false, true),
        ("ByHand", true, true),
        ("Choice", false, true),
        ("Mistaken", false, true),
        ("Nothing", false, false),
    ];
    let named = |(name, by_hand, room): &(&str, bool, bool)| ((*name).to_owned(), *by_hand, *room);
    assert_eq!(
        BTreeSet::from_iter(found),
        expected.iter().map(named).collect()
    );
}

//! Rows, by the names that docs/format.md gives them. Each is written out member by member: members
//! that change places, and types that change, are noticed by the bytes.

use serde_json::{Value, json};

use super::{Set, demands, faulty, row_faults, valid, with};
use crate::answer::{Answer, AnswerRow};
use crate::audit::signer::KeyChange;
use crate::audit::{Actor, Entry};
use crate::backup::ledger::{LedgerEntry, LedgerEvent};
use crate::backup::registry::{BackupFacts, BackupRow, KeyPartRow, LiveKeys, PartRow, SummaryRow};
use crate::blob::Blob;
use crate::commit::State;
use crate::consent::{
    ConsentActor, ConsentDetails, ConsentEvent, ConsentEvidence, ConsentKind, ConsentState,
};
use crate::crypto::Secret;
use crate::entropy::SeededEntropy;
use crate::id::{
    BackupId, CallId, ConsentId, ReceiptId, RequestId, RowHandle, SessionId, SubjectId, TokenId,
};
use crate::incident::{IncidentRow, StepRow};
use crate::keys::keyset::{Compartment, Keyset, Lookup};
use crate::keys::slots::{SlotKind, SlotTarget};
use crate::keys::system::SystemKeys;
use crate::parsers::FORMS;
use crate::person::{SubjectRow, Tombstone};
use crate::policy::{Draft, HoldGround, RestrictionGround};
use crate::record::{Meta, MetaRow};
use crate::request::{Level, RequestKind, RequestState};
use crate::row;
use crate::session::SessionRow;
use crate::standing::{HoldEvent, HoldState, ObjectionState, PendingErasure};
use crate::suppression::SuppressionRow;
use crate::vault::{PolicyRow, RotationRow, Stage, TokenRow};

pub(super) const ROWS: Set = Set {
    name: "rows",
    exact: true,
    make,
    open: |vector, bytes| {
        let form = vector["form"].as_str().expect("a form");
        let (_, again) = FORMS
            .iter()
            .find(|(name, _)| *name == form)
            .expect("a known form");
        again(bytes)
    },
};

const POLICY: &str = r#"[controller]
name = "Example B.V."
address = "Kade 1, Utrecht"
contact = "privacy@example.test"
authority = "Autoriteit Persoonsgegevens"
country = "NL"
languages = ["en"]
[purposes.support]
title.en = "Answering"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", category = "user.name", purposes = ["support"] }
"#;

/// 2026-11-25T12:00:00Z in milliseconds.
pub(super) const NOW: i64 = 1_795_608_000_000;

pub(super) fn hold() -> HoldEvent {
    let at = jiff::Timestamp::from_millisecond(NOW).expect("in range");
    HoldEvent {
        state: HoldState::Placed,
        ground: HoldGround::LegalClaims,
        collections: vec![2, 300],
        by: "legal".into(),
        approver: Some("B. Example".into()),
        reason: Some("a matter".into()),
        review_at: jiff::civil::date(2027, 1, 31),
        at,
        erasure: Some(PendingErasure {
            at,
            receipt: ReceiptId::from_bytes([8; 16]),
        }),
    }
}

pub(super) fn entry() -> Entry {
    Entry {
        time: jiff::Timestamp::from_millisecond(NOW + 250).expect("in range"),
        actor: Actor::Token(TokenId::from_bytes([1; 16])),
        role: "bot".into(),
        purpose: Some("support".into()),
        action: "records.read".into(),
        subject: Some([2; 16]),
        fields: vec![(1, 3), (300, 4)],
        outcome: "ok".into(),
        session: Some(SessionId::from_bytes([3; 16])),
        request: CallId::from_bytes([4; 16]),
        receipt: Some((ReceiptId::from_bytes([5; 16]), [6; 32])),
        records: Some((70_000, [7; 32])),
        restricted_use: None,
    }
}

pub(super) fn short_entry() -> Entry {
    Entry {
        time: jiff::Timestamp::UNIX_EPOCH,
        actor: Actor::Keyholder,
        role: "keyholder".into(),
        purpose: None,
        action: "vault.lock".into(),
        subject: None,
        fields: Vec::new(),
        outcome: "ok".into(),
        session: None,
        request: CallId::from_bytes([8; 16]),
        receipt: None,
        records: None,
        restricted_use: None,
    }
}

pub(super) fn token() -> TokenRow {
    TokenRow {
        token: TokenId::from_bytes([1; 16]),
        role: "bot".into(),
        created_at: NOW,
        created_by: Some(TokenId::from_bytes([2; 16])),
        label: "chat bot".into(),
        channels: vec!["web".into(), "whatsapp".into()],
        expires_at: Some(NOW + 1),
        revoked_at: Some(NOW - 1),
        replaces: Some(TokenId::from_bytes([3; 16])),
        used: Some(498_780),
    }
}

pub(super) fn session() -> SessionRow {
    SessionRow {
        secret_sha256: [1; 32],
        token: TokenId::from_bytes([2; 16]),
        key_sha256: [3; 32],
        role: "bot".into(),
        purpose: "support".into(),
        fields: vec![(1, 1), (2, 260)],
        reads: 250,
        writes: 251,
        created_at: NOW,
        expires_at: NOW + 900_000,
        revoked: false,
    }
}

fn meta() -> MetaRow {
    MetaRow {
        revision: *b"revision",
        schema: 4,
        created_at: NOW,
        occurred_at: Some(-1),
        meta: Meta {
            purposes: vec![1, 2],
            expires_at: Some(NOW + 5),
            source: Some("form".into()),
            shared_with: vec!["carrier".into()],
            category: Some("user.content".into()),
        },
        older: vec![(3, *b"earlier.", 2)],
        values: Some((*b"values..", 3)),
        collected: vec![(300, 498_781)],
    }
}

pub(super) fn system() -> SystemKeys {
    let entropy = &mut SeededEntropy::new(21);
    let slot = |number, kind, secret: &[u8], entropy: &mut SeededEntropy| {
        SlotTarget::new(number, kind, "slot".into(), 1_795_608_000, secret, entropy)
    };
    let secret = b"twenty bytes of rand";
    let target = slot(2, SlotKind::RecoveryKey, secret, entropy).expect("cheap");
    let mut keys = SystemKeys::generate(vec![target], entropy);
    keys.add_index((1, 2), entropy);
    keys.system.succeed(entropy);
    keys.open_index_set(entropy);
    let (former, next) = (Secret::generate(entropy), keys.signing.duplicate());
    keys.signers
        .push(KeyChange::sign(super::VAULT, &former, &next, 300, 7));
    keys.retired_epoch = 300;
    keys
}

fn incident(whole: bool) -> IncidentRow {
    let step = StepRow {
        step: 1,
        at: NOW + 1,
        noted_at: NOW + 2,
        by: Some(TokenId::from_bytes([2; 16])),
        role: "dpo".into(),
        text: "told by the form".into(),
        late_reason: Some("its extent was not clear".into()),
        risk: Some(2),
        exemption: Some(0),
    };
    IncidentRow {
        aware_at: NOW,
        noted_at: NOW + 1,
        by: whole.then(|| TokenId::from_bytes([1; 16])),
        role: "dpo".into(),
        nature: vec![0, 2],
        vector: 4,
        from: whole.then_some(NOW - 2),
        to: whole.then_some(NOW - 1),
        summary: "a backup was lost".into(),
        scope: whole.then(|| "{\"people\":2}".into()),
        steps: if whole { vec![step] } else { Vec::new() },
    }
}

fn backup() -> BackupRow {
    BackupRow {
        target: "/srv/backup".into(),
        started_at: NOW,
        log_size: 300,
        of: None,
        data: Some(PartRow {
            completed_at: Some(NOW + 9),
            deleted_at: None,
        }),
        keys: Some(KeyPartRow {
            part: PartRow {
                completed_at: Some(NOW + 9),
                deleted_at: Some(NOW + 60_000),
            },
            expires_at: NOW + 90_000,
        }),
        failed_at: None,
        facts: Some(BackupFacts {
            bytes: 1 << 33,
            people: 100_000,
            records: 1_000_000,
            epoch: 7,
            policy_version: 3,
            ledger_position: 251,
            manifest_sha256: [8; 32],
        }),
    }
}

fn rekey() -> BackupRow {
    BackupRow {
        of: Some(BackupId::from_bytes([9; 16])),
        data: None,
        keys: Some(KeyPartRow {
            part: PartRow {
                completed_at: None,
                deleted_at: None,
            },
            expires_at: NOW + 90_000,
        }),
        failed_at: Some(NOW + 3),
        facts: None,
        ..backup()
    }
}

fn backups() -> SummaryRow {
    SummaryRow {
        keys: vec![LiveKeys {
            backup: BackupId::from_bytes([9; 16]),
            log_size: 70_000,
            expires_at: NOW + 90_000,
        }],
        last_completed_at: Some(NOW),
    }
}

/// An address on the suppression list.
pub(super) fn suppression() -> SuppressionRow {
    SuppressionRow {
        day: 20_782,
        all: false,
        purposes: vec![2, 300],
    }
}

/// An entry of the ledger, of each kind.
pub(super) fn happened(kind: usize) -> LedgerEntry {
    let handle = RowHandle::from_bytes([1; 16]);
    let events = [
        LedgerEvent::Erased {
            handle,
            subject_sha256: [2; 32],
            receipt: ReceiptId::from_bytes([3; 16]),
            epoch: 300,
        },
        LedgerEvent::RecordsDestroyed {
            handle,
            collection: 2,
            records: vec![[4; 24], [5; 24]],
        },
        LedgerEvent::KeysDestroyed {
            handle,
            keys: vec![1, 70_000],
        },
        LedgerEvent::ConsentWithdrawn { handle, purpose: 6 },
        LedgerEvent::ApiKeyRevoked {
            token: TokenId::from_bytes([7; 16]),
        },
        LedgerEvent::Objected {
            handle,
            purpose: 300,
            state: ObjectionState::Overridden,
        },
        LedgerEvent::Restricted {
            handle,
            ground: Some(RestrictionGround::Unlawful),
            collections: vec![2, 300],
        },
        LedgerEvent::Restricted {
            handle,
            ground: None,
            collections: Vec::new(),
        },
        LedgerEvent::Held {
            handle,
            state: HoldState::Placed,
            ground: HoldGround::LegalClaims,
            collections: vec![2, 300],
            review_at: "2027-01-31".into(),
            erasure: Some((NOW, ReceiptId::from_bytes([8; 16]))),
        },
        LedgerEvent::Held {
            handle,
            state: HoldState::Released,
            ground: HoldGround::LegalObligation,
            collections: Vec::new(),
            review_at: "2027-01-31".into(),
            erasure: None,
        },
        LedgerEvent::ContractEnded {
            handle,
            purpose: 300,
            ended_at: Some(NOW),
        },
        LedgerEvent::ContractEnded {
            handle,
            purpose: 300,
            ended_at: None,
        },
        LedgerEvent::Aged {
            handle,
            of_age_on: "2029-01-15".into(),
            guardian: true,
        },
        LedgerEvent::Suppressed {
            address: [9; 32],
            row: suppression(),
        },
        LedgerEvent::Requested {
            handle,
            request: RequestId::from_bytes([0x52; 16]),
            kind: RequestKind::Erase,
            state: RequestState::Received,
            level: Level::L1,
            received: NOW,
            due: (20_514, NOW + 2_678_400_000),
            extended: true,
            collections: vec![1, 3],
        },
    ];
    LedgerEntry {
        at: NOW,
        event: events.into_iter().nth(kind).expect("one of fifteen"),
    }
}

fn keyset() -> Keyset {
    let entropy = &mut SeededEntropy::new(22);
    let mut keyset = Keyset::generate(SubjectId::from_bytes([2; 16]), entropy);
    for compartment in [
        Compartment::CONTROL,
        Compartment::GENERAL,
        Compartment::CONSENTS,
        Compartment::answers(498_780),
        Compartment::period(2, 72, 498_780),
    ] {
        keyset.add(compartment, entropy).expect("room");
    }
    let mark = [3; 32];
    let field = (1, 2);
    let set = 1;
    keyset.lookups.push(Lookup { field, set, mark });
    keyset
}

pub(super) fn policy() -> PolicyRow {
    let policy = Draft::parse(POLICY).and_then(|draft| draft.assign(None, 7));
    PolicyRow {
        applied_at: NOW,
        policy: policy.expect("a policy").to_stored(),
    }
}

/// A `Blob` is read through its checks; here it is written member by member.
pub(super) fn blob(size: u64, media_type: &str) -> Vec<u8> {
    let members = ([4u8; 16], [5u8; 32], [6u8; 19], size, media_type.to_owned());
    row::encode(&members).to_vec()
}

fn detailed() -> ConsentEvent {
    ConsentEvent {
        state: ConsentState::Renewed,
        details: ConsentDetails {
            actor: ConsentActor::Guardian,
            kind: ConsentKind::Explicit,
            valid: Some("P2Y".into()),
            valid_until: Some(jiff::Timestamp::from_millisecond(NOW + 9).expect("in range")),
            language: Some("de".into()),
            sha256: Some("ab".repeat(32)),
            channel: Some("web".into()),
            method: Some("button".into()),
            evidence: Some(ConsentEvidence {
                kind: "gpp".into(),
                string: "DBABMA~CPX".into(),
            }),
        },
        ..event()
    }
}

pub(super) fn event() -> ConsentEvent {
    ConsentEvent {
        consent: ConsentId::from_bytes([1; 16]),
        state: ConsentState::Given,
        at: jiff::Timestamp::from_millisecond(NOW).expect("in range"),
        notice: json!({"version": "3", "lang": "de"}),
        choice: Some("yes".into()),
        message_id: None,
        details: ConsentDetails::default(),
    }
}

pub(super) fn leaf(payload: usize, count: u8) -> Vec<u8> {
    let places = usize::from(count).next_power_of_two().max(8);
    let mut node = vec![2, count];
    for number in 0..count {
        node.extend(std::iter::repeat_n(number + 1, 16 + payload));
    }
    node.resize(2 + places * (16 + payload), 0);
    node
}

pub(super) fn inner() -> Vec<u8> {
    let keys = (1..=16u8).flat_map(|number| [number; 32]);
    std::iter::once(1).chain(keys).collect()
}

fn json_bytes<T: serde::Serialize>(event: &T) -> Vec<u8> {
    serde_json::to_vec(event).expect("a JSON form")
}

fn rows() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let answer = |body: &[u8]| Answer {
        operation: 3,
        status: 201,
        body: body.to_vec(),
        etag: Some("cmV2aXNpb24".into()),
        location: None,
    };
    let answers = |answers| AnswerRow {
        fingerprint: [1; 32],
        at: NOW,
        answers,
    };
    let bytes = |row: zeroize::Zeroizing<Vec<u8>>| row.to_vec();
    let state = State {
        time: NOW,
        audit_next: 1 << 40,
        journal_folded: 65_536,
        people: 300,
        erased: 7,
        index_stale_since: Some(NOW - 5),
        rebuild_from: Some([1; 16]),
        sweep_from: [2; 16],
        purposes_at: NOW - 70,
        purposes_asked: true,
        policy_version: 251,
        checkpoint_at: NOW - 9,
        ledger: 70_000,
    };
    let rotation = RotationRow {
        root_at: Some(NOW - 60_000),
        number: 3,
        deep: true,
        stage: Stage::Index,
        paused: true,
        begun_at: NOW - 60_000,
        ended_at: 0,
        total: 100_000,
        done: 99_999,
        skipped: 1,
        place: [0x70; 16],
        set: 251,
        step_done: 300,
        step_total: 301,
        row_table: 5,
        row_after: vec![7; 8],
        unindexed: 252,
        unsought: 2,
        damaged: 70_000,
    };
    let mut refused = event();
    refused.state = ConsentState::Refused;
    refused.notice = json!("2026-11");
    let mut withdrawn = event();
    withdrawn.state = ConsentState::Withdrawn;
    let entries = vec![entry().encode(), short_entry().encode()];
    let values: Vec<(u16, Vec<u8>)> = vec![(1, b"envelope".to_vec()), (260, vec![0xff; 251])];
    let fresh = MetaRow {
        occurred_at: None,
        meta: Meta::default(),
        older: Vec::new(),
        values: None,
        collected: Vec::new(),
        ..meta()
    };
    let plain = TokenRow {
        created_by: None,
        label: String::new(),
        channels: Vec::new(),
        expires_at: None,
        revoked_at: None,
        replaces: None,
        used: None,
        ..token()
    };
    let channel = |channel: &str, user: &str| SubjectRow {
        created_at: NOW,
        channel: channel.into(),
        user: user.into(),
        active_on: 20_781,
    };
    let tombstone = Tombstone {
        day: 20_782,
        epoch: 9,
        receipt: ReceiptId::from_bytes([4; 16]),
    };
    let session_revoked = SessionRow {
        revoked: true,
        ..session()
    };
    vec![
        (
            "AnswerRow",
            "two answers",
            bytes(row::encode(&answers(Some(vec![
                answer(b"{}"),
                answer(b""),
            ])))),
        ),
        ("AnswerRow", "not kept", bytes(row::encode(&answers(None)))),
        (
            "BackupRow",
            "both parts, whole, the keys gone",
            bytes(row::encode(&backup())),
        ),
        (
            "BackupRow",
            "a key part under way",
            bytes(row::encode(&rekey())),
        ),
        ("Backups", "one key part", bytes(row::encode(&backups()))),
        (
            "Backups",
            "none",
            bytes(row::encode(&SummaryRow::default())),
        ),
        (
            "IncidentRow",
            "every member",
            bytes(row::encode(&incident(true))),
        ),
        ("IncidentRow", "open", bytes(row::encode(&incident(false)))),
        ("Blob", "a photograph", blob(300_000, "image/jpeg")),
        ("Blob", "empty", blob(0, "application/octet-stream")),
        ("Entry", "every member", entry().encode()),
        (
            "Entry",
            "members that must be there",
            short_entry().encode(),
        ),
        (
            "Entry",
            "with a claim to what is held",
            Entry {
                restricted_use: Some("legal_claims".into()),
                ..short_entry()
            }
            .encode(),
        ),
        (
            "Entry",
            "by whoever has a link",
            Entry {
                actor: Actor::Person,
                role: "person".into(),
                action: "pickup.open".into(),
                ..short_entry()
            }
            .encode(),
        ),
        (
            "Keyset",
            "a compartment of each kind",
            bytes(keyset().encode()),
        ),
        (
            "LedgerEntry",
            "a person erased",
            bytes(row::encode(&happened(0))),
        ),
        (
            "LedgerEntry",
            "records destroyed",
            bytes(row::encode(&happened(1))),
        ),
        (
            "LedgerEntry",
            "keys destroyed",
            bytes(row::encode(&happened(2))),
        ),
        (
            "LedgerEntry",
            "a consent withdrawn",
            bytes(row::encode(&happened(3))),
        ),
        (
            "LedgerEntry",
            "an API key revoked",
            bytes(row::encode(&happened(4))),
        ),
        (
            "LedgerEntry",
            "an objection refused",
            bytes(row::encode(&happened(5))),
        ),
        (
            "LedgerEntry",
            "a restriction of two collections",
            bytes(row::encode(&happened(6))),
        ),
        (
            "LedgerEntry",
            "a restriction lifted",
            bytes(row::encode(&happened(7))),
        ),
        (
            "LedgerEntry",
            "a hold under which somebody was erased",
            bytes(row::encode(&happened(8))),
        ),
        (
            "LedgerEntry",
            "a hold released",
            bytes(row::encode(&happened(9))),
        ),
        (
            "LedgerEntry",
            "a contract ended",
            bytes(row::encode(&happened(10))),
        ),
        (
            "LedgerEntry",
            "a contract that runs after all",
            bytes(row::encode(&happened(11))),
        ),
        (
            "LedgerEntry",
            "a child with a guardian",
            bytes(row::encode(&happened(12))),
        ),
        (
            "LedgerEntry",
            "an address on the suppression list",
            bytes(row::encode(&happened(13))),
        ),
        (
            "LedgerEntry",
            "a request that was extended",
            bytes(row::encode(&happened(14))),
        ),
        ("MetaRow", "every member", bytes(row::encode(&meta()))),
        ("MetaRow", "fresh", bytes(row::encode(&fresh))),
        ("PolicyRow", "version 7", bytes(row::encode(&policy()))),
        ("RotationRow", "under way", bytes(row::encode(&rotation))),
        (
            "RotationRow",
            "none yet",
            bytes(row::encode(&RotationRow::default())),
        ),
        ("SessionRow", "live", bytes(row::encode(&session()))),
        (
            "SessionRow",
            "revoked",
            bytes(row::encode(&session_revoked)),
        ),
        ("State", "every member", bytes(row::encode(&state))),
        (
            "State",
            "of a new vault",
            bytes(row::encode(&State::default())),
        ),
        (
            "SubjectRow",
            "on the web",
            bytes(row::encode(&channel("web", "visitor-42"))),
        ),
        (
            "SubjectRow",
            "in another script",
            bytes(row::encode(&channel("signal", "посетитель"))),
        ),
        (
            "SuppressionRow",
            "for two purposes",
            bytes(row::encode(&suppression())),
        ),
        (
            "SuppressionRow",
            "for all but one",
            bytes(row::encode(&SuppressionRow {
                day: 20_782,
                all: true,
                purposes: vec![7],
            })),
        ),
        (
            "SystemKeys",
            "two system keys, a former signer, two sets of two index keys, two placements, a slot",
            bytes(row::encode(&system())),
        ),
        ("TokenRow", "every member", bytes(row::encode(&token()))),
        (
            "TokenRow",
            "members that must be there",
            bytes(row::encode(&plain)),
        ),
        ("Tombstone", "epoch 9", bytes(row::encode(&tombstone))),
        ("hold", "placed", json_bytes(&hold())),
        (
            "hold",
            "released",
            json_bytes(&HoldEvent {
                state: HoldState::Released,
                collections: Vec::new(),
                approver: None,
                reason: None,
                erasure: None,
                ..hold()
            }),
        ),
        ("event", "given", json_bytes(&event())),
        ("event", "refused", json_bytes(&refused)),
        ("event", "withdrawn", json_bytes(&withdrawn)),
        ("event", "every detail", json_bytes(&detailed())),
        ("list of entries", "two", bytes(row::encode(&entries))),
        (
            "list of values",
            "two, the second long",
            bytes(row::encode(&values)),
        ),
        ("node of the index map", "inner", inner()),
        ("node of the index map", "leaf of nine", leaf(64, 9)),
        ("node of the people map", "inner", inner()),
        ("node of the people map", "empty leaf", leaf(48, 0)),
        ("node of the people map", "full leaf", leaf(48, 64)),
    ]
}

fn make() -> Vec<Value> {
    let mut vectors = Vec::new();
    let mut last = "";
    for (form, name, bytes) in rows().into_iter().chain(demands::demands()) {
        vectors.push(with(valid(name, &bytes, &bytes), "form", form));
        if form == last || form.starts_with("node") {
            continue;
        }
        last = form;
        let mut fault = |name: &str, bytes: &[u8]| {
            vectors.push(with(faulty(name, bytes), "form", form));
        };
        fault("nothing", &[]);
        fault("the last byte cut off", &bytes[..bytes.len() - 1]);
        fault("a byte left over", &[&bytes[..], &[0]].concat());
        fault("another version", &[&[2][..], &bytes[1..]].concat());
    }
    for (form, name, bytes) in row_faults::faults() {
        vectors.push(with(faulty(name, &bytes), "form", form));
    }
    vectors
}

/// The literals above say what is stored; this says that they are what is read.
#[test]
fn a_row_that_is_read_back_says_what_was_written() {
    let read: TokenRow = row::decode(&row::encode(&token())).expect("a row");
    assert_eq!(read, token());
    let read: SessionRow = row::decode(&row::encode(&session())).expect("a row");
    assert_eq!(read, session());
    let read = Blob::decode(&blob(300_000, "image/jpeg")).expect("a blob");
    assert_eq!(
        (read.size, read.media_type.as_str()),
        (300_000, "image/jpeg")
    );
    assert_eq!(Entry::decode(&entry().encode()), Ok(entry()));
}

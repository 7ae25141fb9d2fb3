//! Copies that were changed, cut, mixed up, or that go another way.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::chain::{self, HEADER_BYTES};
use super::super::*;
use crate::audit::checkpoint::VerifierKey;
use crate::audit::signer::Signers;
use crate::crypto::Secret;
use crate::entropy::SeededEntropy;
use crate::id::{ReceiptId, RowHandle, TokenId, VaultId};
use crate::policy::{HoldGround, RestrictionGround};
use crate::standing::{HoldState, ObjectionState};
use crate::store::{MemoryStore, Store};

const VAULT: VaultId = VaultId::from_bytes([6; 16]);
const BEGIN: i64 = 1_800_000_000_000;
/// A head is made so long after its entry.
const LATER: i64 = 500;

fn secret(number: u64) -> Secret<32> {
    Secret::generate(&mut SeededEntropy::new(number))
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

fn handle(number: u8) -> RowHandle {
    RowHandle::from_bytes([number; 16])
}

fn erased(number: u8) -> LedgerEvent {
    LedgerEvent::Erased {
        handle: handle(number),
        subject_sha256: [number; 32],
        receipt: ReceiptId::from_bytes([number; 16]),
        epoch: number.into(),
    }
}

/// One of each kind.
fn events() -> Vec<LedgerEvent> {
    vec![
        erased(1),
        LedgerEvent::RecordsDestroyed {
            handle: handle(2),
            collection: 7,
            records: vec![[1; 24], [2; 24]],
        },
        LedgerEvent::KeysDestroyed {
            handle: handle(2),
            keys: vec![3, 4],
        },
        LedgerEvent::ConsentWithdrawn {
            handle: handle(3),
            purpose: 5,
        },
        LedgerEvent::ApiKeyRevoked {
            token: TokenId::from_bytes([9; 16]),
        },
        LedgerEvent::Objected {
            handle: handle(3),
            purpose: 5,
            state: ObjectionState::Pending,
        },
        LedgerEvent::Restricted {
            handle: handle(3),
            ground: Some(RestrictionGround::Unlawful),
            collections: vec![1, 300],
        },
        LedgerEvent::Held {
            handle: handle(3),
            state: HoldState::Placed,
            ground: HoldGround::LegalClaims,
            collections: vec![1, 300],
            review_at: "2027-01-31".into(),
            erasure: None,
        },
        LedgerEvent::ContractEnded {
            handle: handle(3),
            purpose: 5,
            ended_at: Some(1_800_000_000_000),
        },
        LedgerEvent::Aged {
            handle: handle(3),
            of_age_on: "2029-01-15".into(),
            guardian: true,
        },
    ]
}

/// A ledger as a file: its parts in order, the header first, entries and heads in turn.
struct Written {
    store: MemoryStore,
    tip: Tip,
    parts: Vec<Vec<u8>>,
}

impl Written {
    fn new() -> Self {
        Self {
            store: MemoryStore::default(),
            tip: Tip::start(VAULT),
            parts: vec![header(VAULT).to_vec()],
        }
    }

    fn of(events: &[LedgerEvent]) -> Self {
        let mut written = Self::new();
        events.iter().for_each(|event| written.add(event));
        written
    }

    /// An entry, a second after the one before, and its head.
    fn add(&mut self, event: &LedgerEvent) {
        let now = BEGIN + 1_000 * i64::try_from(self.tip.position).unwrap();
        let entry = LedgerEntry {
            at: now,
            event: event.clone(),
        };
        let mut extended = None;
        let written = self.store.write(&mut |tx| {
            let entries = std::slice::from_ref(&entry);
            extended = Some(extend(tx, VAULT, &secret(1), self.tip, entries)?);
            Ok(())
        });
        written.unwrap();
        let (tip, frames) = extended.unwrap();
        self.tip = tip;
        let time = at(now + LATER);
        let head = Head { tip, time };
        self.parts.push(frames);
        self.parts.push(head.frame(VAULT, &secret(2), &secret(1)));
    }

    fn bytes(&self) -> Vec<u8> {
        self.parts.concat()
    }

    fn offset(&self, part: usize) -> u64 {
        self.parts[..part].concat().len() as u64
    }
}

fn read_with(copies: &[(&str, &[u8])], signing: u64, after: u64) -> Result<Replay, LedgerError> {
    let copies = copies.iter();
    let copies = copies.map(|(name, bytes)| LedgerCopy::new(*name, *bytes));
    let signer = VerifierKey::of(VAULT, &secret(signing)).into();
    Ledger::read(copies.collect(), &secret(1), &signer, VAULT, after)
}

fn read(bytes: &[u8]) -> Result<Replay, LedgerError> {
    read_with(&[("copy", bytes)], 2, 0)
}

fn damaged_at(result: Result<Replay, LedgerError>) -> u64 {
    match result {
        Err(LedgerError::Damaged { copy, at, .. }) => {
            assert_eq!(copy, "copy");
            at
        }
        other => panic!("no damage: {other:?}"),
    }
}

#[test]
fn a_copy_says_what_is_gone_since_a_backup_and_until_when_it_is_complete() {
    let written = Written::of(&events());
    let replay = read(&written.bytes()).unwrap();
    assert_eq!(replay.position, 10);
    assert_eq!(replay.complete_until, at(BEGIN + 9_000 + LATER));
    let hold = &replay.holds[&handle(3)];
    assert!(hold.covers(300) && !hold.covers(2));
    assert_eq!((hold.erasure, hold.at), (None, at(BEGIN + 7_000)));
    let contract = &replay.contracts[&handle(3)][&5];
    assert_eq!(contract.ended_at, Some(at(1_800_000_000_000)));
    assert_eq!(contract.at, at(BEGIN + 8_000));
    let age = &replay.ages[&handle(3)];
    assert_eq!(age.of_age_on.to_string(), "2029-01-15");
    assert_eq!(
        (age.guardian.as_deref(), age.at),
        (Some("restored"), at(BEGIN + 9_000))
    );
    let erased = &replay.erased[&handle(1)];
    assert_eq!((erased.subject_sha256, erased.epoch), ([1; 32], 1));
    assert_eq!(erased.at, at(BEGIN));
    let records = BTreeSet::from([(7, [1; 24]), (7, [2; 24])]);
    assert_eq!(replay.removed[&handle(2)], records);
    assert_eq!(replay.keys[&handle(2)], BTreeSet::from([3, 4]));
    assert_eq!(replay.withdrawn[&handle(3)], [(5, at(BEGIN + 3_000))]);
    assert!(
        replay
            .revoked_tokens
            .contains(&TokenId::from_bytes([9; 16]))
    );
    assert!(replay.cut.is_empty());

    // What the backup knew is not said again, and the instant stays.
    let since = read_with(&[("copy", &written.bytes())], 2, 3).unwrap();
    assert_eq!(
        (since.position, since.complete_until),
        (10, replay.complete_until)
    );
    assert!(since.erased.is_empty() && since.removed.is_empty() && since.keys.is_empty());
    assert_eq!((since.withdrawn.len(), since.revoked_tokens.len()), (1, 1));
    assert_eq!((since.objections.len(), since.restrictions.len()), (1, 1));
    assert_eq!(since.holds.len(), 1);
    assert_eq!((since.contracts.len(), since.ages.len()), (1, 1));
    let none = read_with(&[("copy", &written.bytes())], 2, 10).unwrap();
    assert!(none.withdrawn.is_empty() && none.revoked_tokens.is_empty());
    assert!(none.objections.is_empty() && none.restrictions.is_empty() && none.holds.is_empty());
    assert!(none.contracts.is_empty() && none.ages.is_empty());
    // A ledger that ends before the backup says nothing of what came after it.
    let short = read_with(&[("copy", &written.bytes())], 2, 11);
    let expected = matches!(
        short,
        Err(LedgerError::Short {
            position: 10,
            wanted: 11
        })
    );
    assert!(expected, "{short:?}");
    assert!(matches!(read_with(&[], 2, 0), Err(LedgerError::None)));
}

#[test]
fn the_longest_of_several_is_taken_and_its_rows_are_those_of_the_table() {
    let written = Written::of(&events());
    let whole = written.bytes();
    let short = written.parts[..5].concat();
    let empty = written.parts[..1].concat();
    let copies = [("short", &short[..]), ("whole", &whole), ("empty", &empty)];
    let replay = read_with(&copies, 2, 0).unwrap();
    assert_eq!(replay, read(&whole).unwrap());
    // Alone, the shorter one says how far it reaches.
    let replay = read(&short).unwrap();
    assert_eq!(
        (replay.position, replay.complete_until),
        (2, at(BEGIN + 1_000 + LATER))
    );

    let mut rows = Vec::new();
    let copies = vec![LedgerCopy::new("whole", &whole[..])];
    let signers = Signers::from(VerifierKey::of(VAULT, &secret(2)));
    let mut take = |sequence: u64, row: &[u8]| {
        rows.push((sequence, row.to_vec()));
        Ok(())
    };
    Ledger::read_rows(copies, &secret(1), &signers, VAULT, 4, &mut take).unwrap();
    let snapshot = written.store.snapshot().unwrap();
    assert_eq!(rows, chain::copy_rows(&*snapshot, 0, u64::MAX - 1).unwrap());
}

/// In every byte of a ledger of three entries.
#[test]
fn a_changed_bit_is_said_where_and_never_gives_another_ledger() {
    let written = Written::of(&events()[..3]);
    let whole = written.bytes();
    let sound = read(&whole).unwrap();
    let frames: Vec<u64> = (1..=written.parts.len())
        .map(|n| written.offset(n))
        .collect();
    let (mut damaged, mut cut) = (0, 0);
    for byte in 0..whole.len() {
        let mut changed = whole.clone();
        changed[byte] ^= 1 << (byte % 8);
        let begin = |at: u64| frames.iter().rev().find(|begin| **begin <= at).copied();
        match read(&changed) {
            Err(LedgerError::Damaged { at, .. }) => {
                let expected = begin(byte as u64).unwrap_or(at);
                assert!(
                    at == expected || byte < HEADER_BYTES,
                    "byte {byte}: said {at}"
                );
                damaged += 1;
            }
            Err(LedgerError::Vault { .. }) => assert!((9..25).contains(&byte)),
            // A length that reaches beyond the end looks like a copying that was broken off.
            Ok(replay) => {
                assert_eq!(replay.cut.len(), 1, "byte {byte}");
                assert_eq!(Some(replay.cut[0].at), begin(byte as u64), "byte {byte}");
                assert!(replay.complete_until < sound.complete_until || replay.position == 3);
                assert!(replay.position <= 3);
                cut += 1;
            }
            Err(error) => panic!("byte {byte}: {error}"),
        }
    }
    assert!(
        damaged > whole.len() * 9 / 10 && cut > 0,
        "{damaged}, {cut}"
    );
}

#[test]
fn a_frame_that_is_left_out_put_elsewhere_or_doubled_is_damage_and_said_where() {
    let written = Written::of(&events());
    let parts = &written.parts;
    // Entries stand at 1, 3, 5, …, their heads behind them.
    for entry in [1, 3, 5, 7] {
        let mut without = parts.clone();
        without.remove(entry);
        assert_eq!(damaged_at(read(&without.concat())), written.offset(entry));
        let mut doubled = parts.clone();
        doubled.insert(entry, parts[entry].clone());
        assert_eq!(
            damaged_at(read(&doubled.concat())),
            written.offset(entry + 1)
        );
        let mut swapped = parts.clone();
        swapped.swap(entry, entry + 2);
        assert_eq!(damaged_at(read(&swapped.concat())), written.offset(entry));
        // Entry and head together, as if nothing had happened.
        let mut neither = parts.clone();
        neither.drain(entry..entry + 2);
        assert_eq!(damaged_at(read(&neither.concat())), written.offset(entry));
    }
    // Of the last one nothing remains that could tell, but the instant goes back.
    let replay = read(&parts[..9].concat()).unwrap();
    assert_eq!(replay.complete_until, at(BEGIN + 3_000 + LATER));
    // A head in the place of another.
    let mut heads = parts.clone();
    heads.swap(2, 4);
    assert_eq!(damaged_at(read(&heads.concat())), written.offset(2));
}

#[test]
fn a_copy_that_was_broken_off_says_where_and_claims_no_more_than_it_has() {
    let written = Written::of(&events()[..3]);
    let whole = written.bytes();
    let ends: Vec<u64> = (1..=written.parts.len())
        .map(|n| written.offset(n))
        .collect();
    for length in 0..whole.len() {
        for zeros in [0, 700] {
            let mut cut = whole[..length].to_vec();
            cut.resize(length + zeros, 0);
            let at_end = ends.iter().rev().find(|end| **end <= length as u64);
            let Ok(replay) = read(&cut) else {
                // Zeros in a frame are another frame: damage as well as any.
                assert!(zeros > 0 && (at_end != Some(&(length as u64))), "{length}");
                continue;
            };
            let boundary = at_end == Some(&(length as u64));
            assert_eq!(replay.cut.is_empty(), boundary && zeros == 0, "{length}");
            if let Some(cut) = replay.cut.first() {
                assert_eq!(cut.at, at_end.copied().unwrap_or(0));
            }
            let entries = written.parts[1..].iter().step_by(2).enumerate();
            let whole = entries.filter(|(n, _)| written.offset(2 * n + 2) <= length as u64);
            assert_eq!(replay.position, whole.count() as u64, "{length}");
        }
    }
}

#[test]
fn ledgers_that_part_are_named_with_the_entry_at_which_they_do() {
    let first = Written::of(&[erased(1), erased(2), erased(3)]);
    let other = Written::of(&[erased(1), erased(2), erased(4), erased(5)]);
    // The same events under nonces of their own are another history too.
    let forked = read_with(&[("a", &first.bytes()), ("b", &other.bytes())], 2, 0);
    let Err(LedgerError::Fork { position, .. }) = forked else {
        panic!("no fork: {forked:?}");
    };
    assert_eq!(position, 1);
    // Two that share what was written before they part.
    let mut one = Written::of(&[erased(1), erased(2)]);
    let mut two = Written {
        store: MemoryStore::default(),
        tip: one.tip,
        parts: one.parts.clone(),
    };
    one.add(&erased(3));
    two.add(&erased(4));
    two.add(&erased(5));
    let forked = read_with(&[("one", &one.bytes()), ("two", &two.bytes())], 2, 0);
    let Err(LedgerError::Fork {
        copy,
        other,
        position,
    }) = forked
    else {
        panic!("no fork: {forked:?}");
    };
    assert_eq!((&*copy, &*other, position), ("one", "two", 3));
    // With a copy that is merely damaged it is that one that is named.
    let mut bent = one.bytes();
    let at = usize::try_from(one.offset(5)).unwrap() + 60;
    bent[at] ^= 1;
    let result = read_with(&[("one", &one.bytes()), ("copy", &bent)], 2, 0);
    assert_eq!(damaged_at(result), one.offset(5));
}

/// The last head vouches for the chain before it; what an earlier one says is not even looked at.
#[test]
fn of_several_heads_the_last_is_believed_and_no_other() {
    let mut written = Written::of(&events()[..1]);
    let (tip, time) = (written.tip, at(BEGIN + 1_000 * LATER));
    let foreign = Head { tip, time }.frame(VAULT, &secret(3), &secret(1));
    written.parts.push(foreign);
    assert_eq!(
        damaged_at(read(&written.bytes())),
        written.offset(3),
        "at the end it is the last"
    );
    written.add(&events()[1]);
    let replay = read(&written.bytes()).unwrap();
    assert_eq!(replay.complete_until, at(BEGIN + 1_000 + LATER));
    // Nor does one stand for another place than its own, also where what it says there is sealed anew.
    let note = Head { tip, time }.note(VAULT, &secret(2));
    let moved = Head::sealed(VAULT, written.tip, &note, &secret(1));
    written.parts.push(moved);
    assert_eq!(damaged_at(read(&written.bytes())), written.offset(6));
}

#[test]
fn a_head_that_this_vault_did_not_sign_is_none_and_one_of_the_log_neither() {
    let written = Written::of(&events()[..1]);
    let whole = written.bytes();
    let result = read_with(&[("copy", &whole)], 3, 0);
    assert_eq!(damaged_at(result), written.offset(2));
    // Nor does another vault's key, or another ledger key, open anything.
    let signer = VerifierKey::of(VAULT, &secret(2));
    let signers = Signers::from(signer.clone());
    let copy = || vec![LedgerCopy::new("copy", &whole[..])];
    let result = Ledger::read(copy(), &secret(4), &signers, VAULT, 0);
    assert_eq!(damaged_at(result), written.offset(1));
    let elsewhere = VaultId::from_bytes([7; 16]);
    let result = Ledger::read(copy(), &secret(1), &signers, elsewhere, 0);
    assert!(matches!(result, Err(LedgerError::Vault { .. })));

    // Neither note stands for the other, though one key signs both.
    use crate::audit::checkpoint::{Checkpoint, CheckpointError};
    let head = Head {
        tip: written.tip,
        time: at(BEGIN),
    };
    let note = head.note(VAULT, &secret(2));
    assert_eq!(Head::open(&note, &signer), Ok(head));
    assert_eq!(
        Checkpoint::open(&note, &signer),
        Err(CheckpointError::Origin)
    );
    let checkpoint = Checkpoint {
        size: 1,
        root: [1; 32],
    };
    let note = checkpoint.sign(VAULT, &secret(2));
    assert!(Head::open(&note, &signer).is_err());
}

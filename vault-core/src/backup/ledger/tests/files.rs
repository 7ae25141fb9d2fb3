//! The file beside the database: appended to before an erasure is acknowledged, mended at opening,
//! refused where it contradicts the table.

use super::super::chain::{self, HEADER_BYTES};
use super::super::*;
use crate::audit::signer::Signers;
use crate::commit::tests::{Machine, VAULT};
use crate::commit::{Engine, RecoverError, View as _};
use crate::id::{ReceiptId, RowHandle};
use crate::refusal::Refusal;

fn erased(number: u8) -> LedgerEvent {
    LedgerEvent::Erased {
        handle: RowHandle::from_bytes([number; 16]),
        subject_sha256: [number; 32],
        receipt: ReceiptId::from_bytes([number; 16]),
        epoch: 1,
    }
}

/// A change that destroys a key, as an erasure does.
fn erase(engine: &Engine, number: u8) -> Result<(), Refusal> {
    engine.submit(move |txn| {
        txn.keep_in_ledger(erased(number));
        txn.ask_for_pass();
        Ok(())
    })
}

/// One that destroys none, as a withdrawal.
fn withdraw(engine: &Engine, number: u8) -> Result<(), Refusal> {
    engine.submit(move |txn| {
        txn.keep_in_ledger(LedgerEvent::ConsentWithdrawn {
            handle: RowHandle::from_bytes([number; 16]),
            purpose: 1,
        });
        Ok(())
    })
}

/// What the file says, read as a copy.
fn read(engine: &Engine, bytes: &[u8]) -> Result<Replay, LedgerError> {
    let snapshot = engine.snapshot().unwrap();
    let system = snapshot.system();
    let signer = Signers::of(VAULT, system);
    let copy = LedgerCopy::new("the file", bytes);
    let replay = Ledger::read(vec![copy], &system.ledger, &signer, VAULT, 0)?;
    assert!(replay.cut.is_empty());
    Ok(replay)
}

/// Whether exactly these are in the file, and it holds the rows of the table.
fn holds(engine: &Engine, machine: &Machine, numbers: &[u8]) -> bool {
    let bytes = machine.ledger.bytes();
    assert_eq!(bytes, machine.ledger.flushed(), "it is flushed");
    let replay = read(engine, &bytes).unwrap();
    let snapshot = engine.snapshot().unwrap();
    let position = snapshot.state().ledger;
    let rows = chain::copy_rows(snapshot.tx(), 0, u64::MAX - 1).unwrap();
    assert_eq!((replay.position, rows.len() as u64), (position, position));
    let erased = replay.erased.keys().map(|handle| handle.as_bytes()[0]);
    erased.eq(numbers.iter().copied())
}

#[test]
fn an_erasure_is_in_the_file_when_it_is_acknowledged_and_a_withdrawal_too() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    erase(&engine, 1).unwrap();
    assert!(holds(&engine, &machine, &[1]));
    withdraw(&engine, 2).unwrap();
    let replay = read(&engine, &machine.ledger.flushed()).unwrap();
    assert_eq!((replay.position, replay.withdrawn.len()), (2, 1));
    erase(&engine, 3).unwrap();
    assert!(holds(&engine, &machine, &[1, 3]));
    engine.close();
    drop(engine);
    let before = machine.ledger.bytes();
    let engine = machine.open().unwrap();
    assert!(holds(&engine, &machine, &[1, 3]));
    assert!(
        machine.ledger.bytes().starts_with(&before),
        "nothing was mended"
    );
}

#[test]
fn a_head_a_new_hour_says_that_the_file_is_complete_until_then() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    erase(&engine, 1).unwrap();
    let until = |machine: &Machine| {
        read(&engine, &machine.ledger.flushed())
            .unwrap()
            .complete_until
    };
    let (first, length) = (until(&machine), machine.ledger.bytes().len());
    machine.advance(30 * 60_000);
    engine.submit(|_| Ok(())).unwrap();
    // The head is written behind the answer; what is answered next comes after it.
    engine.submit(|_| Ok(())).unwrap();
    assert_eq!(machine.ledger.bytes().len(), length);
    machine.advance(31 * 60_000);
    engine.submit(|_| Ok(())).unwrap();
    engine.submit(|_| Ok(())).unwrap();
    assert_eq!(until(&machine), first + jiff::SignedDuration::from_mins(61));
    machine.advance(60_000);
    engine.close();
}

#[test]
fn what_a_crash_between_commit_and_append_left_out_is_appended_at_opening() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    erase(&engine, 1).unwrap();
    let before = machine.ledger.bytes().len();
    erase(&engine, 2).unwrap();
    engine.close();
    drop(engine);
    let whole = machine.ledger.bytes();
    let (mut lengths, mut mended) = ((0..whole.len()).collect::<Vec<_>>(), 0);
    // Each end of the last write, some of before, and no file at all.
    lengths.retain(|length| *length >= before || length % 97 == 0);
    for length in lengths.into_iter().step_by(7) {
        for zeros in [false, true] {
            let mut left = whole[..length].to_vec();
            if zeros {
                left.resize(whole.len(), 0);
            }
            machine.ledger.set(left);
            let engine = machine.open().unwrap();
            assert!(holds(&engine, &machine, &[1, 2]), "{length}");
            // Entries are as they were; the heads behind them are made anew.
            engine.close();
            mended += 1;
        }
    }
    assert!(mended > 50, "{mended}");
    // And goes on where it was.
    let engine = machine.open().unwrap();
    erase(&engine, 3).unwrap();
    assert!(holds(&engine, &machine, &[1, 2, 3]));
}

/// A power loss in the middle of the last write: some of its sectors are there, others are zeros.
#[test]
fn a_write_that_a_power_loss_left_in_pieces_is_mended() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    erase(&engine, 1).unwrap();
    let before = machine.ledger.bytes().len();
    erase(&engine, 2).unwrap();
    engine.close();
    drop(engine);
    let whole = machine.ledger.bytes();
    for sector in [16, 64, 100] {
        for which in 0..8_usize {
            let mut left = whole.clone();
            for (number, piece) in left[before..].chunks_mut(sector).enumerate() {
                if which >> (number % 3) & 1 == 1 {
                    piece.fill(0);
                }
            }
            machine.ledger.set(left);
            let opened = machine.open();
            let engine = opened.unwrap_or_else(|error| panic!("{sector} {which}: {error}"));
            assert!(holds(&engine, &machine, &[1, 2]));
            engine.close();
        }
    }
}

#[test]
fn a_file_that_contradicts_the_table_is_damage_and_said_where() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    (1..=3).for_each(|number| erase(&engine, number).unwrap());
    engine.close();
    drop(engine);
    let whole = machine.ledger.bytes();
    let mut found = 0;
    for byte in (0..whole.len()).step_by(11) {
        let mut changed = whole.clone();
        // A bit that no power loss sets.
        changed[byte] ^= 1;
        machine.ledger.set(changed.clone());
        match machine.open() {
            Err(RecoverError::Ledger(LedgerError::Damaged { at, .. })) => {
                assert!(at <= byte as u64, "byte {byte}: said {at}");
                found += 1;
            }
            Err(error) => panic!("byte {byte}: {error}"),
            // Where the change made a zero of what was none, or touched the last head, it reads as
            // something that was broken off, and the file is written again.
            Ok(engine) => {
                let replaced = machine.ledger.bytes();
                assert_ne!(replaced[..whole.len().min(replaced.len())], changed[..]);
                assert!(holds(&engine, &machine, &[1, 2, 3]), "byte {byte}");
                engine.close();
            }
        }
    }
    assert!(found > 30, "{found}");
    // The vault's own bytes open.
    machine.ledger.set(whole);
    machine.open().unwrap().close();
    // Another vault's ledger does not.
    let other = chain_of_another();
    machine.ledger.set(other);
    let refused = machine.open();
    let Err(RecoverError::Ledger(LedgerError::Damaged { at: 0, .. })) = refused else {
        panic!("another vault's ledger");
    };
}

fn chain_of_another() -> Vec<u8> {
    let vault = crate::id::VaultId::from_bytes([1; 16]);
    header(vault).to_vec()
}

#[test]
fn an_erasure_whose_entry_cannot_be_flushed_is_not_acknowledged_and_is_not_lost() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    erase(&engine, 1).unwrap();
    machine.ledger.fail_from(None);
    erase(&engine, 2).unwrap();
    let operations = machine.ledger.operations();
    assert!(operations >= 2, "a write and a flush");
    let mut erased = vec![1, 2];
    for (operation, number) in (1..=operations).zip(3..) {
        machine.ledger.fail_from(Some(operation));
        let refused = erase(&engine, number);
        assert!(
            matches!(refused, Err(Refusal::OutcomeUnknown)),
            "{operation}"
        );
        // Nothing else is acknowledged either while it cannot be mended.
        assert!(matches!(
            withdraw(&engine, 99),
            Err(Refusal::OutcomeUnknown)
        ));
        machine.ledger.fail_from(None);
        erased.push(number);
        // It was committed; the next change finds it in the file.
        engine.submit(|_| Ok(())).unwrap();
        assert!(holds(&engine, &machine, &erased), "{operation}");
    }
    // Without the fault each of them is acknowledged: the control.
    erase(&engine, 50).unwrap();
    erased.push(50);
    assert!(holds(&engine, &machine, &erased));
}

#[test]
fn what_was_not_flushed_when_the_power_went_is_appended_at_opening() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    erase(&engine, 1).unwrap();
    for operation in [1, 2] {
        machine.ledger.fail_from(Some(operation));
        assert!(erase(&engine, 1 + operation as u8).is_err());
        machine.ledger.fail_from(None);
        engine.submit(|_| Ok(())).unwrap();
    }
    engine.close();
    drop(engine);
    machine.ledger.set(machine.ledger.flushed());
    let engine = machine.open().unwrap();
    assert!(holds(&engine, &machine, &[1, 2, 3]));
}

/// The file knows of a withdrawal that the database does not: somebody put an older database back, of
/// the same epoch, and the checkpoint in the anchor did not tell.
#[test]
fn a_database_that_is_older_than_the_file_is_refused_until_it_is_accepted() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    erase(&engine, 1).unwrap();
    engine.close();
    drop(engine);
    let older = machine.image();
    let engine = machine.open().unwrap();
    withdraw(&engine, 2).unwrap();
    withdraw(&engine, 3).unwrap();
    engine.close();
    drop(engine);
    let file = machine.ledger.bytes();
    let machine = machine.with_image(older);
    let refused = machine.open();
    let Err(RecoverError::Ledger(LedgerError::Ahead { position })) = refused else {
        panic!("an older database was not noticed");
    };
    assert_eq!(position, 2);
    assert_eq!(machine.ledger.bytes(), file, "nothing was changed");
    machine.accept_rollback(true);
    let engine = machine.open().unwrap();
    assert_eq!(engine.snapshot().unwrap().state().ledger, 3);
    assert!(holds(&engine, &machine, &[1]));
    let replay = read(&engine, &machine.ledger.bytes()).unwrap();
    assert_eq!(replay.withdrawn.len(), 2);
    erase(&engine, 4).unwrap();
    engine.close();
    drop(engine);
    machine.accept_rollback(false);
    let engine = machine.open().unwrap();
    assert!(holds(&engine, &machine, &[1, 4]));
    assert!(machine.ledger.bytes().len() > HEADER_BYTES);
}

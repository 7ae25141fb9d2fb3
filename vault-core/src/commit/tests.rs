//! The writer over disks that fail: what is acknowledged stays, what is erased is gone, whatever
//! operation of store, anchor or slots goes wrong.
//!
//! Counts as failure: a lost acknowledged change, an erased person who can be read or whose key can
//! be derived after reopening, a vault that does not reopen. Does not count: an unacknowledged change
//! that happened, or a refusal while something is broken.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::*;
use crate::audit::journal::Journal;
use crate::backup::ledger::tests::MemoryTape;
use crate::clock::ManualClock;
use crate::crypto::Secret;
use crate::entropy::SeededEntropy;
use crate::id::SubjectId;
use crate::keys::anchor::{self, FileAnchor};
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::keys::slots::{self, SlotKind, SlotTarget};
use crate::medium::MemoryMedium;
use crate::store::fault::{Fault, FaultBackend, FaultPlan};
use crate::store::{MemoryDisk, RedbStore, Table, WriteTx};

pub(crate) const VAULT: VaultId = VaultId::from_bytes([6; 16]);
const RECOVERY: &[u8] = b"twenty bytes of rand";

fn subject(number: u8) -> SubjectId {
    SubjectId::from_bytes([number.wrapping_mul(37); 16])
}

/// A machine: its disks outlive the vaults opened on them.
pub(crate) struct Machine {
    disk: MemoryDisk,
    anchor: MemoryMedium,
    slots: MemoryMedium,
    pub(crate) ledger: MemoryTape,
    dir: tempfile::TempDir,
    plan: Arc<Mutex<Option<FaultPlan>>>,
    /// Whether the store refuses to be opened again.
    pub(crate) stuck: Arc<Mutex<bool>>,
    /// Whether the disk is full when the store is opened again.
    full: Arc<Mutex<bool>>,
    clock: Arc<ManualClock>,
    reserve: Mutex<Option<Box<dyn Reserve>>>,
    confirm_clock: Mutex<bool>,
    accept_rollback: Mutex<bool>,
}

struct Factory {
    disk: MemoryDisk,
    plan: Arc<Mutex<Option<FaultPlan>>>,
    stuck: Arc<Mutex<bool>>,
    full: Arc<Mutex<bool>>,
}

impl StoreFactory for Factory {
    fn open(&self, check: bool) -> Result<Arc<dyn Store>, StoreError> {
        if *self.stuck.lock() {
            return Err(StoreError::Corrupt);
        }
        let (backend, plan) = FaultBackend::new(self.disk.open())?;
        if *self.full.lock() {
            plan.arm(Fault::DiskFullFrom(1));
        }
        *self.plan.lock() = Some(plan);
        Ok(Arc::new(RedbStore::with_backend(backend, check)?))
    }

    fn forget_cache(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        let entropy = &mut SeededEntropy::new(1);
        let (root_key, secret) = (Secret::generate(entropy), Secret::generate(entropy));
        let kind = SlotKind::RecoveryKey;
        let target = SlotTarget::new(1, kind, String::new(), 0, RECOVERY, entropy).unwrap();
        let targets = vec![target];
        let machine = Self {
            disk: MemoryDisk::from_bytes(Vec::new()),
            anchor: MemoryMedium::new(anchor::image(VAULT, 1, &secret, entropy)),
            slots: MemoryMedium::new(slots::image(VAULT, &root_key, &targets, entropy)),
            ledger: MemoryTape::default(),
            dir: tempfile::tempdir().unwrap(),
            plan: Arc::default(),
            stuck: Arc::default(),
            full: Arc::default(),
            clock: Arc::new(ManualClock::at(
                Timestamp::from_second(1_800_000_000).unwrap(),
            )),
            reserve: Mutex::default(),
            confirm_clock: Mutex::default(),
            accept_rollback: Mutex::default(),
        };
        let roots = Roots::derive(VAULT, 1, &root_key, &secret);
        let system = SystemKeys::generate(targets, entropy);
        let store = RedbStore::with_backend(machine.disk.open(), false).unwrap();
        initialise(
            &store,
            &roots,
            VAULT,
            &system,
            &State {
                time: 1_800_000_000_000,
                ..State::default()
            },
            &mut |_| Ok(()),
        )
        .unwrap();
        store.close().unwrap();
        machine
    }

    pub(crate) fn open(&self) -> Result<Engine, RecoverError> {
        let slots = SlotFile::new(VAULT, Box::new(self.slots.clone()));
        let opened = slots.open(SlotKind::RecoveryKey, RECOVERY)?;
        let root_keys = opened.into_iter().map(|slot| RootCandidate {
            generation: slot.generation,
            key: slot.root_key,
        });
        let media: Vec<Box<dyn crate::medium::Medium>> = vec![Box::new(self.anchor.clone())];
        let parts = Parts {
            vault: VAULT,
            store: Box::new(Factory {
                disk: self.disk.clone(),
                plan: self.plan.clone(),
                stuck: self.stuck.clone(),
                full: self.full.clone(),
            }),
            anchor: Box::new(FileAnchor::new(
                VAULT,
                media,
                Box::new(SeededEntropy::new(2)),
            )),
            root_keys: root_keys.collect(),
            slots,
            ledger: LedgerFile::new(VAULT, Box::new(self.ledger.clone())),
            clock: self.clock.clone(),
            entropy: Box::new(crate::entropy::OsEntropy),
            reserve: self.reserve.lock().take(),
            confirm_clock: *self.confirm_clock.lock(),
            accept_rollback: *self.accept_rollback.lock(),
        };
        let path = self.dir.path().join("journal");
        Engine::start(parts, |system, state| {
            let key = system.audit.duplicate();
            Journal::open(
                &path,
                VAULT,
                key,
                state.journal_folded,
                &mut SeededEntropy::new(3),
            )
            .map_err(|_| RecoverError::Damaged("journal"))
        })
    }

    /// The same machine with other bytes on the store's disk.
    pub(crate) fn with_image(self, image: Vec<u8>) -> Self {
        Self {
            disk: MemoryDisk::from_bytes(image),
            ..self
        }
    }

    /// What is on the store's disk.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.disk.bytes()
    }

    /// Lets `milliseconds` pass.
    pub(crate) fn advance(&self, milliseconds: i64) {
        self.clock.advance(milliseconds);
    }

    pub(crate) fn accept_rollback(&self, accepted: bool) {
        *self.accept_rollback.lock() = accepted;
    }

    pub(crate) fn plan(&self) -> FaultPlan {
        self.plan.lock().clone().unwrap()
    }
}

fn entry(action: &'static str, number: u8) -> Entry {
    Entry {
        time: Timestamp::from_second(1_800_000_000).unwrap(),
        actor: crate::audit::Actor::Keyholder,
        role: "keyholder".into(),
        purpose: None,
        action: action.into(),
        subject: None,
        fields: Vec::new(),
        outcome: "ok".into(),
        session: None,
        request: crate::id::CallId::from_bytes([number; 16]),
        receipt: None,
        records: None,
        restricted_use: None,
    }
}

fn create(engine: &Engine, number: u8) -> Result<(), Refusal> {
    engine.submit(move |txn| {
        txn.record(entry("create", number));
        let entry = PersonEntry::generate(txn.entropy());
        let keyset = Keyset::generate(subject(number), txn.entropy());
        txn.insert_person(subject(number), &entry);
        let vault = txn.vault();
        Ok(keyset.store(vault, txn.rows(), &entry)?)
    })
}

fn erase(engine: &Engine, number: u8) -> Result<(), Refusal> {
    engine.submit(move |txn| {
        txn.record(entry("erase", number));
        let entry = txn
            .person_entry(subject(number))?
            .ok_or(Refusal::NotFound("person"))?;
        txn.shred_person(subject(number));
        txn.revoke(subject(number));
        Ok(txn.rows().delete(Table::Keysets, entry.handle.as_bytes())?)
    })
}

fn rotate(engine: &Engine) -> Result<(), Refusal> {
    engine.submit(|txn| {
        txn.ask_for_new_root_key();
        Ok(())
    })
}

fn exists(engine: &Engine, number: u8) -> bool {
    let snapshot = engine.snapshot().unwrap();
    let entry = snapshot.person_entry(subject(number)).unwrap();
    entry.is_some_and(|entry| {
        let keyset = Keyset::load(VAULT, snapshot.tx(), &entry).unwrap();
        keyset.subject == subject(number)
    })
}

fn secrets_left(machine: &Machine) -> usize {
    let media: Vec<Box<dyn crate::medium::Medium>> = vec![Box::new(machine.anchor.clone())];
    let mut anchor = FileAnchor::new(VAULT, media, Box::new(SeededEntropy::new(2)));
    anchor.current().unwrap().len()
}

#[test]
fn changes_survive_reopening_and_erasures_too() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    for number in 1..=100 {
        create(&engine, number).unwrap();
    }
    erase(&engine, 50).unwrap();
    assert_eq!(secrets_left(&machine), 1);
    rotate(&engine).unwrap();
    erase(&engine, 51).unwrap();
    engine.close();
    assert!(matches!(create(&engine, 101), Err(Refusal::Locked)));
    let engine = machine.open().unwrap();
    for number in 1..=100 {
        assert_eq!(exists(&engine, number), ![50, 51].contains(&number));
    }
}

#[test]
fn an_old_copy_of_anchor_or_slots_opens_nothing_once_they_have_moved() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    create(&engine, 1).unwrap();
    let (anchor, slots) = (machine.anchor.bytes(), machine.slots.bytes());
    erase(&engine, 1).unwrap();
    rotate(&engine).unwrap();
    engine.close();
    let old_anchor = Machine {
        anchor: MemoryMedium::new(anchor),
        ..machine
    };
    assert!(matches!(old_anchor.open(), Err(RecoverError::NoAnchor)));
    let old_slots = Machine {
        slots: MemoryMedium::new(slots),
        ..old_anchor
    };
    assert!(old_slots.open().is_err());
}

/// The database of one machine beside the anchor of another.
fn with_disk(machine: Machine, bytes: Vec<u8>) -> Machine {
    Machine {
        disk: MemoryDisk::from_bytes(bytes),
        dir: tempfile::tempdir().unwrap(),
        ..machine
    }
}

#[test]
fn a_database_that_does_not_extend_the_anchors_checkpoint_is_refused_until_it_is_accepted() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    (1..=3).for_each(|number| create(&engine, number).unwrap());
    engine.close();
    drop(engine);
    let old = machine.disk.bytes();
    let engine = machine.open().unwrap();
    (4..=9).for_each(|number| create(&engine, number).unwrap());
    engine.close();
    drop(engine);
    let new = machine.disk.bytes();

    // Older, in the same epoch: only the checkpoint tells.
    let machine = with_disk(machine, old.clone());
    let Err(RecoverError::Rollback { log, checkpoint }) = machine.open() else {
        panic!("a rollback was not noticed");
    };
    assert_eq!((log, checkpoint), (3, 9));
    assert_eq!(secrets_left(&machine), 1);

    // Accepted, it goes on, and from then on this is the history.
    *machine.accept_rollback.lock() = true;
    let engine = machine.open().unwrap();
    assert!(exists(&engine, 3) && !exists(&engine, 4));
    (20..=40).for_each(|number| create(&engine, number).unwrap());
    engine.close();
    drop(engine);
    let forked = machine.disk.bytes();
    *machine.accept_rollback.lock() = false;
    let engine = machine.open().unwrap();
    engine.close();
    drop(engine);

    // What was the newest is another history now, shorter; and so is a longer one.
    let machine = with_disk(machine, new.clone());
    assert!(matches!(machine.open(), Err(RecoverError::Rollback { .. })));
    *machine.accept_rollback.lock() = true;
    let engine = machine.open().unwrap();
    engine.close();
    drop(engine);
    *machine.accept_rollback.lock() = false;
    let machine = with_disk(machine, forked);
    let refused = machine.open().err();
    let Some(RecoverError::Rollback { log, checkpoint }) = refused else {
        panic!("a longer history that forked was not noticed");
    };
    assert!(log > checkpoint);
}

#[test]
fn a_closure_that_fails_or_panics_spoils_nobody() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let failed = engine.submit(|txn| -> Result<(), Refusal> {
        txn.rows().put(Table::Subjects, b"x", b"y")?;
        Err(Refusal::Conflict("no".into()))
    });
    assert!(matches!(failed, Err(Refusal::Conflict(_))));
    let panicked = engine.submit(|_| -> Result<(), Refusal> { panic!("on purpose") });
    assert!(matches!(panicked, Err(Refusal::Internal(_))));
    create(&engine, 1).unwrap();
    assert!(exists(&engine, 1));
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(snapshot.tx().get(Table::Subjects, b"x").unwrap(), None);
}

#[test]
fn a_reader_keeps_its_state_while_people_are_erased() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    create(&engine, 1).unwrap();
    let before = engine.snapshot().unwrap();
    let ticket = engine.revocation().ticket(Some(subject(1)));
    erase(&engine, 1).unwrap();
    assert!(before.person_entry(subject(1)).unwrap().is_some());
    assert!(
        engine.revocation().hold(ticket).is_none(),
        "and may not hand it over"
    );
    assert!(!exists(&engine, 1));
}

/// Runs `change` on machines where the operation `k` of something fails, for every `k` that there
/// is; then repairs and reopens. `arm` breaks, and tells how many operations were counted.
fn every_operation_fails(
    stuck: bool,
    arm: impl Fn(&Machine, u64),
    counted: impl Fn(&Machine) -> u64,
    change: impl Fn(&Engine) -> Result<(), Refusal>,
    check: impl Fn(&Engine, bool),
) {
    for k in 1.. {
        let machine = Machine::new();
        let engine = machine.open().unwrap();
        for number in 1..=3 {
            create(&engine, number).unwrap();
        }
        arm(&machine, k);
        *machine.stuck.lock() = stuck;
        let acknowledged = change(&engine).is_ok();
        let reached = counted(&machine) >= k;
        engine.close();
        drop(engine);
        machine.anchor.fail_from(None);
        machine.slots.fail_from(None);
        *machine.stuck.lock() = false;
        let engine = machine
            .open()
            .unwrap_or_else(|error| panic!("operation {k}: {error}"));
        assert_eq!(secrets_left(&machine), 1, "operation {k}");
        for number in [1, 3] {
            assert!(exists(&engine, number), "operation {k} lost a bystander");
        }
        check(&engine, acknowledged);
        create(&engine, 9).unwrap();
        if !reached {
            assert!(
                acknowledged,
                "nothing failed, and yet operation {k} was refused"
            );
            return;
        }
        assert!(k < 2_000, "the change never ends");
    }
}

fn erased_if_acknowledged(engine: &Engine, acknowledged: bool) {
    assert!(
        !(acknowledged && exists(engine, 2)),
        "an erased person is back"
    );
}

#[test]
fn every_store_operation_of_an_erasure_may_fail() {
    for stuck in [false, true] {
        every_operation_fails(
            stuck,
            |machine, k| machine.plan().arm(Fault::FailFrom(k)),
            |machine| {
                machine
                    .plan()
                    .operations()
                    .max(u64::from(machine.plan().fired()) * 9_999)
            },
            |engine| erase(engine, 2),
            erased_if_acknowledged,
        );
    }
}

#[test]
fn every_anchor_operation_of_an_erasure_may_fail() {
    for stuck in [false, true] {
        every_operation_fails(
            stuck,
            |machine, k| machine.anchor.fail_from(Some(k)),
            |machine| machine.anchor.operations(),
            |engine| erase(engine, 2),
            erased_if_acknowledged,
        );
    }
}

#[test]
fn every_anchor_and_slot_operation_of_a_new_root_key_may_fail() {
    for of_slots in [false, true] {
        every_operation_fails(
            true,
            |machine, k| match of_slots {
                true => machine.slots.fail_from(Some(k)),
                false => machine.anchor.fail_from(Some(k)),
            },
            |machine| match of_slots {
                true => machine.slots.operations(),
                false => machine.anchor.operations(),
            },
            rotate,
            |engine, _| assert!(exists(engine, 2)),
        );
    }
}

#[test]
fn the_power_may_go_during_any_store_operation_of_an_erasure() {
    for k in 1..60 {
        for seed in 0..4 {
            let machine = Machine::new();
            let engine = machine.open().unwrap();
            for number in 1..=3 {
                create(&engine, number).unwrap();
            }
            let plan = machine.plan();
            plan.arm(Fault::LosePower(k));
            *machine.stuck.lock() = true;
            let acknowledged = erase(&engine, 2).is_ok();
            let image = plan.fired().then(|| plan.crash_image(seed));
            engine.close();
            drop(engine);
            let Some(image) = image else {
                assert!(acknowledged);
                continue;
            };
            *machine.stuck.lock() = false;
            let machine = Machine {
                disk: MemoryDisk::from_bytes(image),
                ..machine
            };
            let engine = machine
                .open()
                .unwrap_or_else(|error| panic!("{k} {seed}: {error}"));
            assert!(exists(&engine, 1) && exists(&engine, 3), "{k} {seed}");
            erased_if_acknowledged(&engine, acknowledged);
        }
    }
}

/// Room for erasures: with it released, the disk is full no longer.
struct Room {
    plan: Arc<Mutex<Option<FaultPlan>>>,
    held: bool,
    full: Arc<Mutex<bool>>,
    /// Whether somebody has made more room.
    cleared: Arc<Mutex<bool>>,
}

impl Reserve for Room {
    fn short(&self) -> bool {
        *self.full.lock()
    }

    fn release(&mut self) {
        self.held = false;
        *self.full.lock() = false;
        self.plan.lock().as_ref().unwrap().disarm();
    }

    fn restore(&mut self) -> bool {
        self.held |= *self.cleared.lock();
        self.held
    }
}

/// Fills the disk at operation `k`, then lets somebody be stored and somebody be forgotten.
fn on_a_full_disk(reserve: bool, k: u64) -> (Result<(), Refusal>, Result<(), Refusal>, Machine) {
    let machine = Machine::new();
    let cleared = Arc::new(Mutex::new(false));
    if reserve {
        *machine.reserve.lock() = Some(Box::new(Room {
            plan: machine.plan.clone(),
            held: true,
            full: machine.full.clone(),
            cleared: cleared.clone(),
        }));
    }
    let engine = machine.open().unwrap();
    for number in 1..=3 {
        create(&engine, number).unwrap();
    }
    machine.plan().arm(Fault::DiskFullFrom(k));
    *machine.full.lock() = true;
    let mut erased = erase(&engine, 2);
    if matches!(erased, Err(Refusal::OutcomeUnknown)) {
        // What a client does: it asks again.
        erased = match exists_or(&engine, 2) {
            Some(false) => Ok(()),
            _ => erase(&engine, 2),
        };
    }
    let stored = create(&engine, 4);
    // Room has returned, and with the next look at it everything goes on.
    *cleared.lock() = true;
    *machine.full.lock() = false;
    machine.plan().disarm();
    if reserve {
        while engine.full() {
            std::thread::yield_now();
        }
        create(&engine, 5).unwrap();
        assert!(exists(&engine, 1) && exists(&engine, 3));
    }
    drop(engine);
    (erased, stored, machine)
}

fn exists_or(engine: &Engine, number: u8) -> Option<bool> {
    engine.snapshot().ok().map(|_| exists(engine, number))
}

#[test]
fn on_a_full_disk_people_can_be_forgotten_and_nothing_else_is_stored() {
    for k in [1, 3, 8] {
        let (erased, stored, machine) = on_a_full_disk(true, k);
        assert!(erased.is_ok(), "{k}: {erased:?}");
        assert!(matches!(stored, Err(Refusal::DiskFull)), "{k}: {stored:?}");
        let engine = machine.open().unwrap();
        assert!(!exists(&engine, 2) && exists(&engine, 1) && exists(&engine, 5));
        // The nearest violation: without the room the erasure is refused.
        let (erased, _, machine) = on_a_full_disk(false, k);
        assert!(erased.is_err(), "{k}");
        assert!(exists(&machine.open().unwrap(), 1));
    }
}

#[test]
fn a_vault_that_is_called_without_a_pause_notices_that_room_has_returned() {
    let machine = Machine::new();
    let cleared = Arc::new(Mutex::new(false));
    *machine.reserve.lock() = Some(Box::new(Room {
        plan: machine.plan.clone(),
        held: true,
        full: machine.full.clone(),
        cleared: cleared.clone(),
    }));
    let engine = machine.open().unwrap();
    create(&engine, 1).unwrap();
    machine.plan().arm(Fault::DiskFullFrom(1));
    *machine.full.lock() = true;
    assert!(create(&engine, 2).is_err() && engine.full());
    // The end of an erasure has the room that is held back for it.
    let closes = |closing: bool| {
        engine.submit(move |txn| {
            if closing {
                txn.close_erasure();
            }
            txn.state_mut().erased += 1;
            Ok(())
        })
    };
    assert!(matches!(closes(false), Err(Refusal::DiskFull)));
    machine.plan().disarm();
    closes(true).unwrap();
    assert!(engine.full(), "and it stays full for everything else");
    // Nothing changes while there is no room, however often it looks.
    for _ in 0..3 {
        machine.clock.advance(1_000);
        assert!(matches!(create(&engine, 2), Err(Refusal::DiskFull)));
    }
    *cleared.lock() = true;
    *machine.full.lock() = false;
    machine.plan().disarm();
    machine.clock.advance(1_000);
    create(&engine, 2).unwrap();
}

#[test]
fn a_clock_that_leaps_ahead_is_recorded_only_once_it_is_confirmed() {
    let machine = Machine::new();
    let day = 24 * 3_600_000;
    let engine = machine.open().unwrap();
    let time = |engine: &Engine| engine.snapshot().unwrap().state().time;
    create(&engine, 1).unwrap();
    let began = time(&engine);
    // Days that really pass are believed.
    machine.clock.advance(3 * day);
    create(&engine, 2).unwrap();
    assert_eq!(time(&engine), began + 3 * day);
    assert!(!engine.clock_leads());
    // A leap is not, and time goes on beside it; that it leads is known before anything is committed by it.
    machine.clock.set(3_650 * day);
    assert!(engine.clock_leads());
    machine.clock.advance(1_000);
    let (now, leads) = engine.believed_now();
    assert_eq!(
        (now.as_millisecond(), leads),
        (began + 3 * day + 1_000, true)
    );
    create(&engine, 3).unwrap();
    assert_eq!(time(&engine), began + 3 * day + 1_000);
    assert!(engine.clock_leads());
    engine.close();
    drop(engine);
    let engine = machine.open().unwrap();
    assert!(engine.clock_leads());
    // Set right again, it is believed again.
    machine.clock.set(-3_650 * day);
    create(&engine, 4).unwrap();
    assert!(!engine.clock_leads());
    machine.clock.set(10 * day);
    engine.close();
    drop(engine);
    *machine.confirm_clock.lock() = true;
    let engine = machine.open().unwrap();
    create(&engine, 5).unwrap();
    assert!(!engine.clock_leads());
    assert_eq!(time(&engine), began + 13 * day + 1_000);
}

//! Three disks with one power supply: the database's, the anchor's, the key slots'.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::StorageBackend as _;
use vault_core::commit::StoreFactory;
use vault_core::medium::{FileMedium, Medium};
use vault_core::store::fault::{Fault, FaultBackend, FaultPlan};
use vault_core::store::{MemoryDisk, MemoryDiskHandle, RedbStore, Store, StoreError};

/// Which disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Store,
    Anchor,
    Slots,
}

/// What lies on the disks, in the order of [`Device`].
#[derive(Clone)]
pub(crate) struct Images(pub(crate) [Vec<u8>; 3]);

/// The disks of a vault, and what goes wrong with them.
pub(crate) struct Machine(Arc<Supply>);

struct Supply {
    disks: [Disk; 3],
    /// The disk whose operation the power goes at.
    loses: Mutex<Option<Device>>,
    /// Whether the fault happened on a store that has been opened again since.
    happened: AtomicBool,
}

struct Disk {
    memory: MemoryDisk,
    /// That of the last opening.
    plan: Mutex<Option<FaultPlan>>,
}

impl Disk {
    fn open(&self) -> io::Result<FaultBackend<MemoryDiskHandle>> {
        let (backend, plan) = FaultBackend::new(self.memory.open())?;
        *self.plan.lock() = Some(plan);
        Ok(backend)
    }

    fn plan(&self) -> Option<FaultPlan> {
        self.plan.lock().clone()
    }

    fn fired(&self) -> bool {
        self.plan().is_some_and(|plan| plan.fired())
    }
}

impl Supply {
    fn disk(&self, device: Device) -> &Disk {
        &self.disks[device as usize]
    }

    /// Whether the power has gone.
    fn off(&self) -> bool {
        let loses = *self.loses.lock();
        loses.is_some_and(|device| self.disk(device).fired())
    }
}

fn no_power() -> io::Error {
    io::Error::other("there is no power")
}

impl Machine {
    pub(crate) fn new(images: &Images) -> Self {
        let disks = images.0.each_ref().map(|bytes| Disk {
            memory: MemoryDisk::from_bytes(bytes.clone()),
            plan: Mutex::default(),
        });
        Self(Arc::new(Supply {
            disks,
            loses: Mutex::default(),
            happened: AtomicBool::new(false),
        }))
    }

    pub(crate) fn arm(&self, device: Device, fault: Fault) {
        if matches!(fault, Fault::LosePower(_)) {
            *self.0.loses.lock() = Some(device);
        }
        let plan = self.0.disk(device).plan().expect("it is open");
        plan.arm(fault);
    }

    /// Whether what was armed has happened.
    pub(crate) fn fired(&self, device: Device) -> bool {
        self.0.happened.load(Ordering::SeqCst) || self.0.disk(device).fired()
    }

    /// What the media hold; where the power was lost, of each sector that was not flushed any version
    /// that it had, as the seed chooses.
    pub(crate) fn images(&self, lost: bool, seed: u64) -> Images {
        let mut number = seed;
        Images(self.0.disks.each_ref().map(|disk| {
            number = number.wrapping_mul(31);
            match disk.plan() {
                Some(plan) if lost => plan.crash_image(number),
                _ => disk.memory.bytes(),
            }
        }))
    }

    pub(crate) fn factory(&self) -> Box<dyn StoreFactory> {
        Box::new(Factory(Arc::clone(&self.0)))
    }

    /// What lies under slots and anchor: a vault asks for the slots first.
    pub(crate) fn media(&self) -> impl Fn(FileMedium) -> Box<dyn Medium> + use<> {
        let (supply, first) = (Arc::clone(&self.0), AtomicBool::new(true));
        move |_| {
            let device = match first.swap(false, Ordering::SeqCst) {
                true => Device::Slots,
                false => Device::Anchor,
            };
            let backend = supply.disk(device).open();
            Box::new(Powered {
                backend: backend.expect("memory can be read"),
                supply: Arc::clone(&supply),
            })
        }
    }
}

struct Factory(Arc<Supply>);

impl StoreFactory for Factory {
    fn open(&self, check: bool) -> Result<Arc<dyn Store>, StoreError> {
        if self.0.off() {
            return Err(no_power().into());
        }
        let disk = self.0.disk(Device::Store);
        // The next plan does not know what this one saw.
        self.0.happened.fetch_or(disk.fired(), Ordering::SeqCst);
        Ok(Arc::new(RedbStore::with_backend(disk.open()?, check)?))
    }

    fn forget_cache(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Anchor or slots.
struct Powered {
    backend: FaultBackend<MemoryDiskHandle>,
    supply: Arc<Supply>,
}

impl Powered {
    fn operate(&self, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.supply.off() {
            return Err(no_power());
        }
        let done = operation();
        if self.supply.off() {
            // It went at this very operation: nothing reaches the database any more.
            let store = self.supply.disk(Device::Store).plan();
            store.expect("it is open").arm(Fault::FailFrom(1));
        }
        done
    }
}

impl Medium for Powered {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.operate(|| self.backend.read(offset, bytes))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.operate(|| self.backend.write(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.operate(|| self.backend.sync_data())
    }

    fn forget_cache(&self) -> io::Result<()> {
        Ok(())
    }
}

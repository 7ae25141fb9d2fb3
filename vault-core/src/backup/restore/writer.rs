//! What was read on its way to the store: blocks of rows, a table's in the order of their keys.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::Place;
use super::aside::{Aside, Twice};
use crate::backup::bundle::{Bundle, PERSON_BYTES as PERSON_IN_BUNDLE_BYTES};
use crate::backup::error::BackupError;
use crate::entropy::{OsEntropy, OsReserve};
use crate::id::VaultId;
use crate::keys::shred::{Entries, RootKey, ShredError, ShredMap, Source, Tag};
use crate::keys::system::{INDEX_BYTES, PERSON_BYTES, Placement};
use crate::limits::{RESTORE_BUNDLE_BYTES, RESTORE_BYTES_MAX};
use crate::store::{FillTx, FillingStore, Rows, StoreError, Table};

/// Bytes of rows that go to the writing thread at once.
const BLOCK_BYTES: usize = 1 << 20;
/// How many of them lie before and behind each thread that opens, so that on a busy machine nobody waits for a
/// turn of the processor each time.
const AHEAD: usize = 2;
/// Threads that open at most; there are no more than processors.
const OPENERS_MAX: usize = 4;

/// What goes to the writing thread at once.
pub(super) struct Block {
    /// Rows that come behind all that their table has, by its place among all.
    rows: Box<[Rows; Table::ALL.len()]>,
    /// Rows that come anywhere, after those; without a value, one that goes.
    changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
    people: Entries<PERSON_BYTES>,
    index: Entries<INDEX_BYTES>,
    bytes: usize,
    /// Whether nothing follows.
    last: bool,
}

/// What goes to a thread that opens; each makes one block of it, so that blocks stay in order.
pub(super) enum Work {
    /// People.
    Open(Bundle),
    /// A block already.
    Ready(Block),
}

/// Blocks that were written: new memory costs as much as what is copied into it.
#[derive(Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<Block>>>);

impl Spare {
    fn take(&self) -> Block {
        self.0.lock().pop().unwrap_or_else(Block::new)
    }

    fn give(&self, mut block: Block) {
        block.clear();
        self.0.lock().push(block);
    }
}

/// Where blocks are filled.
pub(super) struct Blocks {
    spare: Spare,
    block: Block,
    /// The threads that open, in turn; none where one block is made.
    hands: Vec<SyncSender<Work>>,
    turn: usize,
}

/// The three sides: who reads, who open, who writes.
pub(super) type Sides = (Blocks, Vec<Between>, Waiting);

/// What a thread that opens has: where work comes in, where blocks go out, and those that were written.
pub(super) type Between = (Receiver<Work>, SyncSender<Block>, Spare);

impl Blocks {
    /// All sides.
    pub(super) fn sides() -> Sides {
        let openers = std::thread::available_parallelism().map_or(1, |n| n.get());
        let spare = Spare::default();
        let (mut hands, mut between, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..openers.min(OPENERS_MAX) {
            let (give, works) = sync_channel(AHEAD);
            let (out, blocks) = sync_channel(AHEAD);
            hands.push(give);
            between.push((works, out, spare.clone()));
            waiting.push(blocks);
        }
        let blocks = Self {
            hands,
            ..Self::one(&spare)
        };
        let waiting = Waiting {
            spare,
            hands: waiting,
            turn: 0,
        };
        (blocks, between, waiting)
    }

    /// One block, however long.
    pub(super) fn one(spare: &Spare) -> Self {
        Self {
            spare: spare.clone(),
            block: spare.take(),
            hands: Vec::new(),
            turn: 0,
        }
    }

    pub(super) fn into_block(self) -> Block {
        self.block
    }

    /// A row whose key is behind those that its table was given before.
    pub(super) fn row(
        &mut self,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), BackupError> {
        self.block.rows[table.index()].push(key, value);
        self.pass_on(key.len() + value.len())
    }

    /// Any other row, or without a value its end.
    pub(super) fn change(
        &mut self,
        table: Table,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> Result<(), BackupError> {
        let bytes = key.len() + value.as_ref().map_or(0, Vec::len);
        self.block.changes.push((table, key, value));
        self.pass_on(bytes)
    }

    /// An entry of the people map.
    pub(super) fn person(&mut self, tag: Tag, payload: Zeroizing<[u8; PERSON_BYTES]>) {
        self.block.people.push((tag, payload));
    }

    /// An entry of the index.
    pub(super) fn index(&mut self, tag: Tag, payload: Zeroizing<[u8; INDEX_BYTES]>) {
        self.block.index.push((tag, payload));
    }

    fn pass_on(&mut self, bytes: usize) -> Result<(), BackupError> {
        self.block.bytes += bytes;
        match self.block.bytes >= BLOCK_BYTES && !self.hands.is_empty() {
            true => self.pass(),
            false => Ok(()),
        }
    }

    /// Passes on what there is.
    pub(super) fn pass(&mut self) -> Result<(), BackupError> {
        let block = std::mem::replace(&mut self.block, self.spare.take());
        self.give(Work::Ready(block))
    }

    /// Gives work to whose turn it is. What was filled here goes first.
    pub(super) fn give(&mut self, work: Work) -> Result<(), BackupError> {
        if self.block.bytes > 0 {
            self.pass()?;
        }
        let hand = &self.hands[self.turn];
        self.turn = (self.turn + 1) % self.hands.len();
        // It has ended: its own error is the reason.
        hand.send(work).map_err(|_| BackupError::Cancelled)
    }

    /// Says that nothing follows.
    pub(super) fn end(mut self) -> Result<(), BackupError> {
        self.give(Work::Ready(Block {
            last: true,
            ..Block::new()
        }))
    }
}

/// Blocks as they come to who writes, in their order.
pub(super) struct Waiting {
    spare: Spare,
    hands: Vec<Receiver<Block>>,
    turn: usize,
}

impl Waiting {
    fn next(&mut self) -> Option<Block> {
        let hand = &self.hands[self.turn];
        self.turn = (self.turn + 1) % self.hands.len();
        hand.recv().ok()
    }
}

/// Writes what comes, so many bytes a transaction, and at its end the maps.
pub(super) fn write(
    place: &Place<'_>,
    vault: VaultId,
    placement: &Placement,
    mut waiting: Waiting,
) -> Result<(), BackupError> {
    let store = place.store;
    let entropy = &mut OsEntropy;
    let aside = |name: &str| place.dir.join(name);
    let mut people: Aside<PERSON_BYTES> =
        Aside::new(vault, &aside("people"), Twice::Refused, entropy);
    // A person may have the same value twice.
    let mut index: Aside<INDEX_BYTES> = Aside::new(vault, &aside("index"), Twice::Same, entropy);
    let (mut whole, mut cut) = (false, false);
    while !whole {
        let result = store.fill(&mut |tx| {
            let mut bytes = 0;
            while bytes < RESTORE_BYTES_MAX && !whole {
                let Some(block) = waiting.next() else {
                    cut = true;
                    return Err(StoreError::Aborted);
                };
                (bytes, whole) = (bytes + block.bytes, block.last);
                for (tag, payload) in &block.people {
                    people.add(tag, payload)?;
                }
                for (tag, payload) in &block.index {
                    index.add(tag, payload)?;
                }
                waiting.spare.give(block.write(tx)?);
            }
            Ok(())
        });
        result.map_err(|error| match cut {
            // Who reads or opens has ended before the end: their error is the reason.
            true => BackupError::Cancelled,
            false => BackupError::Store(error),
        })?;
    }
    drop(waiting);
    maps(place, placement, people, index)
}

/// Rows of a map.
struct MapRows {
    rows: Rows,
    /// Whether they begin with the map's root.
    first: bool,
}

/// Writes both maps, each of which a thread of its own builds.
fn maps(
    place: &Place<'_>,
    placement: &Placement,
    mut people: Aside<PERSON_BYTES>,
    mut index: Aside<INDEX_BYTES>,
) -> Result<(), BackupError> {
    let roots = place.roots;
    let (people_map, index_map) = (roots.people_map(), roots.index_map(placement.generation));
    let index_root = roots.index(placement.generation);
    let (out, built) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let other = out.clone();
        let both = [
            scope.spawn(|| build(&people_map, &roots.people, &mut people, other)),
            scope.spawn(|| build(&index_map, &index_root, &mut index, out)),
        ];
        let written = write_maps(place.store, built);
        let built = both.map(|built| built.join().unwrap_or(Err(ShredError::Damaged)));
        // A builder whose rows nobody takes has ended because of what is first here.
        written.map_err(BackupError::Store)?;
        let failed = built.into_iter().find_map(Result::err);
        failed.map_or(Ok(()), |error| {
            Err(BackupError::Store(match error {
                ShredError::Store(error) => error,
                _ => StoreError::Aborted,
            }))
        })
    })
}

fn write_maps(store: &FillingStore, built: Receiver<MapRows>) -> Result<(), StoreError> {
    let mut whole = false;
    while !whole {
        store.fill(&mut |tx| {
            let mut bytes = 0;
            // Nodes leave about half of their pages free.
            while bytes < RESTORE_BYTES_MAX / 2 && !whole {
                let Ok(MapRows { rows, first }) = built.recv() else {
                    whole = true;
                    break;
                };
                bytes += rows.bytes();
                if let (true, Some((root, _))) = (first, rows.iter().next()) {
                    // That of the empty map.
                    tx.delete(Table::Nodes, root)?;
                }
                // Not behind all that the table has: the system keyset is there.
                tx.insert(Table::Nodes, &rows)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Builds a map, and gives its rows out.
fn build<const P: usize>(
    map: &ShredMap<P>,
    root: &RootKey,
    entries: &mut dyn Source<P>,
    out: SyncSender<MapRows>,
) -> Result<(), ShredError> {
    let (mut rows, mut first) = (Rows::default(), true);
    let mut give = |rows: &mut Rows| {
        let rows = std::mem::take(rows);
        let first = std::mem::take(&mut first);
        let given = out.send(MapRows { rows, first });
        given.map_err(|_| StoreError::Aborted)
    };
    map.build(
        root,
        entries,
        &mut OsReserve::default(),
        &mut |key, value| {
            rows.push(key, value);
            match rows.bytes() >= BLOCK_BYTES {
                true => give(&mut rows),
                false => Ok(()),
            }
        },
    )?;
    Ok(give(&mut rows)?)
}

impl Block {
    fn new() -> Self {
        Self {
            rows: Box::default(),
            changes: Vec::new(),
            // Growing would leave their keys behind in the memory before.
            people: Entries::with_capacity(RESTORE_BUNDLE_BYTES / PERSON_IN_BUNDLE_BYTES + 1),
            index: Entries::new(),
            bytes: 0,
            last: false,
        }
    }

    /// Takes away what is in it, and keeps the memory, unless one table after another has left some. Keys are
    /// overwritten where they are.
    fn clear(&mut self) {
        // Destructured, so that a new part breaks this line until it is cleared, too.
        let Self {
            rows,
            changes,
            people,
            index,
            bytes,
            last,
        } = self;
        match rows.iter().map(Rows::capacity).sum::<usize>() > 3 * BLOCK_BYTES {
            true => **rows = Default::default(),
            false => rows.iter_mut().for_each(Rows::clear),
        }
        changes.clear();
        people.clear();
        index.clear();
        (*bytes, *last) = (0, false);
    }

    /// Writes it, and gives it back.
    fn write(mut self, tx: &mut dyn FillTx) -> Result<Self, StoreError> {
        for (table, rows) in Table::ALL.into_iter().zip(self.rows.iter()) {
            if !rows.is_empty() {
                tx.append(table, rows)?;
            }
        }
        for (table, key, value) in self.changes.drain(..) {
            match value {
                Some(value) => tx.put(table, &key, &value)?,
                None => tx.delete(table, &key)?,
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::shred::residue::Residue;

    #[test]
    fn a_block_that_is_used_again_holds_nothing_of_before_and_no_more_memory_than_it_may() {
        const RESIDUE: Residue = Residue(*b"\x3c\xa1gV\x88\xf0\x19e");
        const COUNT: u32 = 500;
        let spare = Spare::default();
        for table in Table::ALL {
            let mut block = spare.take();
            assert!(block.rows.iter().all(Rows::is_empty));
            assert!(block.changes.is_empty() && block.people.is_empty() && block.index.is_empty());
            assert_eq!((block.bytes, block.last), (0, false));
            let held: usize = block.rows.iter().map(Rows::capacity).sum();
            assert!(held <= 3 * BLOCK_BYTES, "{held}");
            for _ in 0..BLOCK_BYTES / 100 {
                block.rows[table.index()].push(b"key", &[7; 97]);
            }
            block.changes.push((table, vec![1], None));
            block
                .people
                .extend((0..COUNT).map(|number| ([1; 16], RESIDUE.payload(number))));
            block
                .index
                .push(([2; 16], Zeroizing::new([3; INDEX_BYTES])));
            (block.bytes, block.last) = (BLOCK_BYTES, true);
            assert_eq!(RESIDUE.count(COUNT), COUNT as usize, "the control");
            spare.give(block);
            assert!(
                RESIDUE.count(COUNT) <= 2,
                "what a stack still has of the last"
            );
        }
    }
}

//! Reads a backup back: sections as cursors, and people out of all of them at once.
//!
//! A person may stand in the first copy and in several rounds; the newest round that has them counts.
//! All streams are in the order of row handles, so they are merged without holding more than a row of
//! each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::BackupError;
use super::format::{Frame, Frames, TOUCHED, header};
use super::keys::{Identity, PartKey};
use super::manifest::{KeyPart, Manifest, Object, head_bytes, missing};
use super::target::Target;
use super::write::{PEOPLE_TABLES, SYSTEM_KEY};
use crate::audit::signer::Signers;
use crate::id::RowHandle;
use crate::keys::system::SystemKeys;
use crate::row;
use crate::store::Table;

/// A backup at a target.
pub(crate) struct Source {
    pub(crate) target: Arc<dyn Target>,
    pub(crate) manifest: Manifest,
}

/// A backup whose key part is open.
pub(crate) struct OpenSource {
    pub(crate) source: Source,
    part: PartKey,
    pub(crate) system: SystemKeys,
}

impl OpenSource {
    /// A backup whose key part was just made.
    pub(super) fn new(source: Source, part: PartKey, system: SystemKeys) -> Self {
        Self {
            source,
            part,
            system,
        }
    }
}

impl Source {
    /// Opens the key part, and checks that the vault of these keys has signed the manifest.
    ///
    /// # Errors
    ///
    /// [`BackupError::WrongIdentity`], [`BackupError::Damaged`]; [`BackupError::NotFound`] where there is
    /// no key part.
    pub(crate) fn open(self, identity: &Identity) -> Result<OpenSource, BackupError> {
        let keys = self.key_part()?;
        let heads = keys
            .heads
            .iter()
            .filter(|head| head.kind == identity.kind());
        let mut part = None;
        for head in heads {
            let bytes = head_bytes(&*self.target, &self.manifest, head)?;
            part = part.or_else(|| identity.open_head(&bytes));
        }
        let part = part.ok_or(BackupError::WrongIdentity)?;
        let mut cursor = Cursor::new(section(&keys.objects, 0, Table::System.number()));
        let mut frame = Frame::default();
        let name = self.manifest.object("keys");
        let found = cursor.take(&self, Some(&part), &mut frame)? && frame.key == SYSTEM_KEY;
        let system: Option<SystemKeys> = row::decode(&frame.value).ok().filter(|_| found);
        let system = system
            .ok_or_else(|| BackupError::damaged(name, "it does not hold the system keyset"))?;
        let signers = Signers::of(self.manifest.vault, &system);
        if !self.manifest.signed_by(&signers) {
            let name = self.manifest.object(super::manifest::MANIFEST);
            let what = "the vault whose keys these are has not signed it";
            return Err(BackupError::damaged(name, what));
        }
        Ok(OpenSource {
            source: self,
            part,
            system,
        })
    }

    pub(super) fn key_part(&self) -> Result<&KeyPart, BackupError> {
        self.manifest.keys.as_ref().ok_or_else(|| {
            BackupError::NotFound(format!(
                "backup {} has no key part: it opens nothing until `backup rekey` makes one",
                self.manifest.backup
            ))
        })
    }

    fn frames(&self, object: &Object, part: Option<&PartKey>) -> Result<Frames, BackupError> {
        let name = self.manifest.object(&object.name);
        let file = self
            .target
            .open(&name)
            .map_err(|error| missing(&name, &error))?;
        let reader = match part {
            Some(part) => part.open(&name, file)?,
            None => file,
        };
        let expected = header(self.manifest.vault, self.manifest.backup, object.place());
        Frames::open(reader, name, &expected)
    }

    /// The rows of a table that belongs to nobody, the later over the earlier; an empty value stands for
    /// a row that is gone.
    pub(super) fn rows(
        &self,
        table: Table,
        visit: &mut dyn FnMut(&Frame) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let of_table = |object: &&Object| object.table == table.number();
        for object in self.manifest.objects.iter().filter(of_table) {
            let mut cursor = Cursor::new(VecDeque::from([object.clone()]));
            let mut frame = Frame::default();
            while cursor.take(self, None, &mut frame)? {
                visit(&frame)?;
            }
        }
        Ok(())
    }
}

fn section(objects: &[Object], round: u32, table: u8) -> VecDeque<Object> {
    let of = objects
        .iter()
        .filter(|object| (object.round, object.table) == (round, table));
    of.cloned().collect()
}

/// The rows of a section, one after another, in the order of their keys.
struct Cursor {
    objects: VecDeque<Object>,
    frames: Option<(Frames, u64)>,
    head: Frame,
    filled: bool,
    /// The last key that was read.
    last: Option<Vec<u8>>,
}

impl Cursor {
    fn new(objects: VecDeque<Object>) -> Self {
        Self {
            objects,
            frames: None,
            head: Frame::default(),
            filled: false,
            last: None,
        }
    }

    /// Reads the next row, unless there is one already. Whether there is one.
    fn fill(&mut self, source: &Source, part: Option<&PartKey>) -> Result<bool, BackupError> {
        while !self.filled {
            let Some((frames, left)) = &mut self.frames else {
                let Some(object) = self.objects.pop_front() else {
                    return Ok(false);
                };
                self.frames = Some((source.frames(&object, part)?, object.rows));
                continue;
            };
            if frames.next(&mut self.head)? {
                let ordered = self.last.as_ref().is_none_or(|last| *last < self.head.key);
                if *left == 0 || !ordered {
                    let what = match ordered {
                        true => "it has more rows than the manifest says",
                        false => "its rows are not in order",
                    };
                    return Err(BackupError::damaged(&**frames.name(), what));
                }
                *left -= 1;
                self.filled = true;
                self.last.get_or_insert_default().clone_from(&self.head.key);
            } else if *left > 0 {
                let what = format!("{left} rows are missing at its end");
                return Err(BackupError::damaged(&**frames.name(), what));
            } else {
                self.frames = None;
            }
        }
        Ok(true)
    }

    /// Moves the next row into `into`; whether there was one.
    fn take(
        &mut self,
        source: &Source,
        part: Option<&PartKey>,
        into: &mut Frame,
    ) -> Result<bool, BackupError> {
        let found = self.fill(source, part)?;
        if found {
            std::mem::swap(into, &mut self.head);
            self.filled = false;
        }
        Ok(found)
    }

    /// The handle that the next row belongs to.
    fn handle(
        &mut self,
        source: &Source,
        part: Option<&PartKey>,
    ) -> Result<Option<RowHandle>, BackupError> {
        if !self.fill(source, part)? {
            return Ok(None);
        }
        match self.head.key.first_chunk() {
            Some(handle) => Ok(Some(RowHandle::from_bytes(*handle))),
            None => Err(BackupError::damaged(
                source.manifest.backup.to_string(),
                "a row of a person has no row handle",
            )),
        }
    }

    /// Leaves out rows up to `handle`, and with `whole` those of `handle` too.
    fn skip(
        &mut self,
        source: &Source,
        part: Option<&PartKey>,
        handle: RowHandle,
        whole: bool,
    ) -> Result<(), BackupError> {
        while let Some(next) = self.handle(source, part)? {
            if next > handle || (next == handle && !whole) {
                break;
            }
            self.filled = false;
        }
        Ok(())
    }

    fn object(&self) -> Arc<str> {
        let open = self.frames.as_ref().map(|(frames, _)| frames.name());
        open.map_or_else(|| "the backup".into(), Arc::clone)
    }
}

/// Cursors over one kind of rows, by their rounds.
type Rounds = BTreeMap<u32, Cursor>;

fn rounds(objects: &[Object], table: u8) -> Rounds {
    let of_table = objects.iter().filter(|object| object.table == table);
    let rounds = of_table.map(|object| object.round);
    rounds
        .map(|round| (round, Cursor::new(section(objects, round, table))))
        .collect()
}

/// The people of a backup, in the order of their handles.
pub(super) struct People<'s> {
    open: &'s OpenSource,
    keys: Rounds,
    touched: Rounds,
    tables: BTreeMap<Table, Rounds>,
}

/// A person of a backup.
pub(super) struct Found {
    pub(super) handle: RowHandle,
    /// The text of the keyset.
    pub(super) keyset: Zeroizing<Vec<u8>>,
    /// Where their rows lie.
    round: u32,
}

impl<'s> People<'s> {
    pub(super) fn new(open: &'s OpenSource) -> Result<Self, BackupError> {
        let keys = &open.source.key_part()?.objects;
        let data = &open.source.manifest.objects;
        Ok(Self {
            open,
            keys: rounds(keys, Table::Keysets.number()),
            touched: rounds(data, TOUCHED),
            tables: PEOPLE_TABLES
                .into_iter()
                .map(|table| (table, rounds(data, table.number())))
                .collect(),
        })
    }

    /// The next person who has keys.
    pub(super) fn next(&mut self) -> Result<Option<Found>, BackupError> {
        let (source, part) = (&self.open.source, Some(&self.open.part));
        loop {
            let mut least = None;
            for cursor in self.keys.values_mut() {
                if let Some(handle) = cursor.handle(source, part)? {
                    least = Some(least.map_or(handle, |least: RowHandle| least.min(handle)));
                }
            }
            let Some(handle) = least else {
                return Ok(None);
            };
            let mut frame = Frame::default();
            // Rounds come in ascending order: the last that has the person stays.
            for cursor in self.keys.values_mut() {
                if cursor.handle(source, part)? == Some(handle) {
                    cursor.take(source, part, &mut frame)?;
                }
            }
            let mut round = 0;
            for (number, cursor) in &mut self.touched {
                cursor.skip(source, None, handle, false)?;
                if cursor.handle(source, None)? == Some(handle) {
                    round = *number;
                }
            }
            if !frame.value.is_empty() {
                return Ok(Some(Found {
                    handle,
                    keyset: std::mem::take(&mut frame.value),
                    round,
                }));
            }
        }
    }

    /// The person's next row of a table; whether there was one. Rows of people who have no keys, and what
    /// a later round replaces, are left out.
    pub(super) fn row(
        &mut self,
        found: &Found,
        table: Table,
        into: &mut Frame,
    ) -> Result<bool, BackupError> {
        let source = &self.open.source;
        let Some(rounds) = self.tables.get_mut(&table) else {
            return Ok(false);
        };
        for (round, cursor) in rounds.iter_mut() {
            cursor.skip(source, None, found.handle, *round != found.round)?;
        }
        let Some(cursor) = rounds.get_mut(&found.round) else {
            return Ok(false);
        };
        if cursor.handle(source, None)? != Some(found.handle) {
            return Ok(false);
        }
        cursor.take(source, None, into)
    }

    /// The object that the person's last row of a table is of.
    pub(super) fn object(&self, found: &Found, table: Table) -> Arc<str> {
        let cursor = self
            .tables
            .get(&table)
            .and_then(|rounds| rounds.get(&found.round));
        cursor.map_or_else(|| "the backup".into(), Cursor::object)
    }
}

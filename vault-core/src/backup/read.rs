//! Reads a backup back: sections as cursors, and people out of all of them at once.
//!
//! A person may stand in the first copy and in several rounds; the newest round that has them counts.
//! All streams are in the order of row handles, so they are merged without holding more than a row of
//! each.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::BackupError;
use super::format::{Frames, Lent, TOUCHED, header};
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
        let name = self.manifest.object("keys");
        let found = cursor.next(&self, Some(&part))?;
        let found = found.filter(|(key, _)| *key == SYSTEM_KEY);
        let system: Option<SystemKeys> = found.and_then(|(_, value)| row::decode(value).ok());
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
    pub(super) fn rows(&self, table: Table, visit: &mut Visit<'_>) -> Result<(), BackupError> {
        let of_table = |object: &&Object| object.table == table.number();
        for object in self.manifest.objects.iter().filter(of_table) {
            let mut cursor = Cursor::new(VecDeque::from([object.clone()]));
            while let Some((key, value)) = cursor.next(self, None)? {
                visit(key, value)?;
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

/// Takes key and value of a row.
pub(super) type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<(), BackupError> + 'v;

/// The rows of a section, one after another, in the order of their keys.
struct Cursor {
    objects: VecDeque<Object>,
    frames: Option<(Frames, u64)>,
    /// Whether the row that was read last is still to be given.
    filled: bool,
    /// The handle that it belongs to, if it is of a person.
    handle: Option<RowHandle>,
    /// The last key that was read.
    last: Option<Vec<u8>>,
}

impl Cursor {
    fn new(objects: VecDeque<Object>) -> Self {
        Self {
            objects,
            frames: None,
            filled: false,
            handle: None,
            last: None,
        }
    }

    /// Reads the next row, unless there is one already. Whether there is one.
    #[inline]
    fn fill(&mut self, source: &Source, part: Option<&PartKey>) -> Result<bool, BackupError> {
        match self.filled {
            true => Ok(true),
            false => self.read(source, part),
        }
    }

    fn read(&mut self, source: &Source, part: Option<&PartKey>) -> Result<bool, BackupError> {
        loop {
            let Some((frames, left)) = &mut self.frames else {
                let Some(object) = self.objects.pop_front() else {
                    return Ok(false);
                };
                self.frames = Some((source.frames(&object, part)?, object.rows));
                continue;
            };
            if frames.next()? {
                let (key, _) = frames.row();
                let ordered = self.last.as_ref().is_none_or(|last| last.as_slice() < key);
                if *left == 0 || !ordered {
                    let what = match ordered {
                        true => "it has more rows than the manifest says",
                        false => "its rows are not in order",
                    };
                    return Err(BackupError::damaged(&**frames.name(), what));
                }
                *left -= 1;
                self.filled = true;
                self.handle = key.first_chunk().copied().map(RowHandle::from_bytes);
                let last = self.last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
                return Ok(true);
            }
            if *left > 0 {
                let what = format!("{left} rows are missing at its end");
                return Err(BackupError::damaged(&**frames.name(), what));
            }
            self.frames = None;
        }
    }

    /// Key and value of the row that was read last.
    fn row(&self) -> Lent<'_> {
        let frames = self.frames.as_ref();
        frames.map_or((&[], &[]), |(frames, _)| frames.row())
    }

    /// The next row, if there is one.
    fn next(
        &mut self,
        source: &Source,
        part: Option<&PartKey>,
    ) -> Result<Option<Lent<'_>>, BackupError> {
        let found = self.fill(source, part)?;
        self.filled = false;
        Ok(found.then(|| self.row()))
    }

    /// The handle that the next row belongs to.
    #[inline]
    fn handle(
        &mut self,
        source: &Source,
        part: Option<&PartKey>,
    ) -> Result<Option<RowHandle>, BackupError> {
        if !self.fill(source, part)? {
            return Ok(None);
        }
        let nobody = || {
            let what = "a row of a person has no row handle";
            BackupError::damaged(source.manifest.backup.to_string(), what)
        };
        self.handle.ok_or_else(nobody).map(Some)
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

    fn object(&self) -> Option<&Arc<str>> {
        self.frames.as_ref().map(|(frames, _)| frames.name())
    }
}

/// Cursors over one kind of rows, with their rounds in ascending order.
type Rounds = Vec<(u32, Cursor)>;

fn rounds(objects: &[Object], table: u8) -> Rounds {
    let of_table = objects.iter().filter(|object| object.table == table);
    let rounds: BTreeSet<u32> = of_table.map(|object| object.round).collect();
    rounds
        .into_iter()
        .map(|round| (round, Cursor::new(section(objects, round, table))))
        .collect()
}

/// The people of a backup, in the order of their handles.
pub(super) struct People<'s> {
    open: &'s OpenSource,
    keys: Rounds,
    touched: Rounds,
    /// By the place of the table among all.
    tables: [Rounds; Table::ALL.len()],
}

/// A person of a backup.
pub(super) struct Found {
    pub(super) handle: RowHandle,
    /// The text of the keyset.
    pub(super) keyset: Zeroizing<Vec<u8>>,
    /// Where their rows lie.
    round: u32,
}

/// A row of a person.
pub(super) struct Read<'r> {
    pub(super) key: &'r [u8],
    pub(super) value: &'r [u8],
    /// What it was read from.
    pub(super) object: &'r Arc<str>,
}

impl<'s> People<'s> {
    pub(super) fn new(open: &'s OpenSource) -> Result<Self, BackupError> {
        let keys = &open.source.key_part()?.objects;
        let data = &open.source.manifest.objects;
        let mut tables = [const { Rounds::new() }; Table::ALL.len()];
        for table in PEOPLE_TABLES {
            tables[table.index()] = rounds(data, table.number());
        }
        Ok(Self {
            open,
            keys: rounds(keys, Table::Keysets.number()),
            touched: rounds(data, TOUCHED),
            tables,
        })
    }

    /// The next person who has keys.
    pub(super) fn next(&mut self) -> Result<Option<Found>, BackupError> {
        let (source, part) = (&self.open.source, Some(&self.open.part));
        loop {
            let mut least = None;
            for (_, cursor) in &mut self.keys {
                if let Some(handle) = cursor.handle(source, part)? {
                    least = Some(least.map_or(handle, |least: RowHandle| least.min(handle)));
                }
            }
            let Some(handle) = least else {
                return Ok(None);
            };
            let mut keyset = Zeroizing::new(Vec::new());
            // Rounds come in ascending order: the last that has the person stays.
            for (_, cursor) in &mut self.keys {
                if cursor.handle(source, part)? == Some(handle)
                    && let Some((_, value)) = cursor.next(source, part)?
                {
                    keyset = value.to_vec().into();
                }
            }
            let mut round = 0;
            for (number, cursor) in &mut self.touched {
                cursor.skip(source, None, handle, false)?;
                if cursor.handle(source, None)? == Some(handle) {
                    round = *number;
                }
            }
            if !keyset.is_empty() {
                return Ok(Some(Found {
                    handle,
                    keyset,
                    round,
                }));
            }
        }
    }

    /// The person's next row of a table, if there is one. Rows of people who have no keys, and what
    /// a later round replaces, are left out.
    pub(super) fn row(
        &mut self,
        found: &Found,
        table: Table,
    ) -> Result<Option<Read<'_>>, BackupError> {
        let source = &self.open.source;
        let mut own = None;
        for (round, cursor) in &mut self.tables[table.index()] {
            let is_own = *round == found.round;
            cursor.skip(source, None, found.handle, !is_own)?;
            if is_own {
                own = Some(cursor);
            }
        }
        let Some(cursor) = own else {
            return Ok(None);
        };
        if cursor.handle(source, None)? != Some(found.handle) {
            return Ok(None);
        }
        cursor.filled = false;
        let (key, value) = cursor.row();
        let object = cursor.object();
        Ok(object.map(|object| Read { key, value, object }))
    }

    /// The object that the person's last row of a table is of.
    pub(super) fn object(&self, found: &Found, table: Table) -> Arc<str> {
        let mut rounds = self.tables[table.index()].iter();
        let cursor = rounds.find(|(round, _)| *round == found.round);
        let object = cursor.and_then(|(_, cursor)| cursor.object());
        object.map_or_else(|| "the backup".into(), Arc::clone)
    }
}

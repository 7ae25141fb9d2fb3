//! Objects of a backup on their way to a target: sections of frames, in clear or sealed to a key part.
//!
//! Knows frames and files, not which rows belong into a backup.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;

use age::stream::StreamWriter;
use zeroize::Zeroizing;

use super::error::BackupError;
use super::format::{Pipe, Place, header, push};
use super::keys::{PartKey, Recipients};
use super::manifest::{Head, Object, hash_text};
use super::target::{self, Target};
use crate::commit::{Snapshot, View};
use crate::crypto::sha256;
use crate::id::{BackupId, VaultId};
use crate::jobs::Job;
use crate::limits::BACKUP_OBJECT_BYTES_MAX;
use crate::store::{KeyRange, Scan, Table};

/// Where what is written goes, and how far it is.
pub(super) struct Destination<'a> {
    pub(super) target: &'a Arc<dyn Target>,
    pub(super) backup: BackupId,
    pub(super) job: Option<&'a Job>,
}

impl Destination<'_> {
    fn name(&self, object: &str) -> String {
        format!("{}/{object}", self.backup)
    }

    pub(super) fn check(&self) -> Result<(), BackupError> {
        match self.job.is_some_and(Job::cancelled) {
            true => Err(BackupError::Cancelled),
            false => Ok(()),
        }
    }
}

/// Writes the short files that open a key part, the first of which has this number.
pub(super) fn write_heads(
    place: &Destination<'_>,
    recipients: &Recipients,
    part: &PartKey,
    first: u32,
) -> Result<Vec<Head>, BackupError> {
    let mut heads = Vec::new();
    for (number, (kind, bytes)) in (first..).zip(recipients.heads(part)?) {
        let name = format!("keys-head-{number:03}.age");
        let full = place.name(&name);
        target::put(&**place.target, &full, &bytes)
            .map_err(BackupError::io(format!("write {full}")))?;
        heads.push(Head {
            name,
            kind,
            bytes: bytes.len() as u64,
            sha256: hash_text(&sha256(&[&bytes])),
        });
    }
    Ok(heads)
}

/// Objects that are flushed while others are written.
const ENDING_MAX: usize = 4;

/// Where a slice ended.
pub(super) enum Ended {
    /// At the end of the range; the last row, if there was any.
    All(Option<Vec<u8>>),
    /// Behind this row, because the slice was full.
    At(Vec<u8>),
}

/// How an object's frames reach the target.
enum Out {
    Plain(Pipe),
    Sealed(Box<StreamWriter<Pipe>>),
}

/// An object to which nothing is added.
struct Ending {
    name: String,
    place: Place,
    rows: u64,
    pipe: Pipe,
}

struct Current {
    name: String,
    place: Place,
    out: Out,
    rows: u64,
    /// Bytes of frames.
    bytes: u64,
}

/// Writes sections of frames as objects.
pub(super) struct Sections<'a> {
    pub(super) place: &'a Destination<'a>,
    vault: VaultId,
    part: Option<&'a PartKey>,
    round: u32,
    table: u8,
    next_part: u32,
    current: Option<Current>,
    /// Objects that are whole, on their way to the medium.
    ending: VecDeque<Ending>,
    objects: Vec<Object>,
    next_name: u32,
    frame: Zeroizing<Vec<u8>>,
    bytes: u64,
}

impl<'a> Sections<'a> {
    pub(super) fn data(place: &'a Destination<'a>, vault: VaultId) -> Self {
        Self {
            place,
            vault,
            part: None,
            round: 0,
            table: 0,
            next_part: 0,
            current: None,
            ending: VecDeque::new(),
            objects: Vec::new(),
            next_name: 0,
            frame: Zeroizing::default(),
            bytes: 0,
        }
    }

    /// Of a key part, whose files are numbered from `first`.
    pub(super) fn keys(
        place: &'a Destination<'a>,
        vault: VaultId,
        part: &'a PartKey,
        first: u32,
    ) -> Self {
        Self {
            part: Some(part),
            next_name: first,
            ..Self::data(place, vault)
        }
    }

    /// Ends the section before, and begins another. One without rows has no object.
    pub(super) fn begin(&mut self, round: u32, table: u8) -> Result<(), BackupError> {
        self.end_object()?;
        self.round = round;
        self.table = table;
        self.next_part = 0;
        Ok(())
    }

    /// Bytes of all frames so far.
    pub(super) fn written(&self) -> u64 {
        self.bytes
    }

    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        if self.current.is_none() {
            self.current = Some(self.begin_object()?);
        }
        let current = self.current.as_mut().expect("just begun");
        let length = (6 + key.len() + value.len()) as u64;
        let written = match &mut current.out {
            Out::Plain(pipe) => {
                push(pipe.block(), key, value);
                pipe.pass_on()
            }
            Out::Sealed(writer) => {
                self.frame.clear();
                push(&mut self.frame, key, value);
                writer.write_all(&self.frame)
            }
        };
        if let Err(error) = written {
            let name = self.place.name(&current.name);
            return Err(BackupError::io(format!("write {name}"))(error));
        }
        current.rows += 1;
        current.bytes += length;
        self.bytes += length;
        if current.bytes + 64 >= BACKUP_OBJECT_BYTES_MAX - (2 << 20) {
            self.end_object()?;
        }
        Ok(())
    }

    /// Copies rows of a range until it ends, or `limit` bytes were copied.
    pub(super) fn scan(
        &mut self,
        snapshot: &Snapshot,
        table: Table,
        range: &KeyRange,
        limit: u64,
    ) -> Result<Ended, BackupError> {
        let mut last: Option<Vec<u8>> = None;
        let (mut bytes, mut failure) = (0, None);
        snapshot.tx().scan(table, range, &mut |key, value| {
            if let Err(error) = self.row(key, value) {
                failure = Some(error);
                return Scan::Enough;
            }
            let last = last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
            bytes += (key.len() + value.len()) as u64;
            match bytes >= limit {
                true => Scan::Enough,
                false => Scan::More,
            }
        })?;
        match (failure, last) {
            (Some(error), _) => Err(error),
            (None, Some(key)) if bytes >= limit => Ok(Ended::At(key)),
            (None, last) => Ok(Ended::All(last)),
        }
    }

    fn begin_object(&mut self) -> Result<Current, BackupError> {
        let place = Place {
            round: self.round,
            table: self.table,
            part: self.next_part,
        };
        let name = match self.part {
            None => format!("data-{:05}", self.next_name),
            Some(_) => format!("keys-{:03}.age", self.next_name),
        };
        let full = self.place.name(&name);
        let header = header(self.vault, self.place.backup, place);
        let begun = (|| {
            let mut pipe = Pipe::begin(self.place.target, &full)?;
            Ok(match self.part {
                None => {
                    pipe.write_all(&header)?;
                    Out::Plain(pipe)
                }
                Some(part) => {
                    let mut writer = part.seal_to(pipe)?;
                    writer.write_all(&header)?;
                    Out::Sealed(Box::new(writer))
                }
            })
        })();
        let out = begun.map_err(BackupError::io(format!(
            "write {full} at {}",
            self.place.target.place()
        )))?;
        self.next_part += 1;
        self.next_name += 1;
        Ok(Current {
            name,
            place,
            out,
            rows: 0,
            bytes: 0,
        })
    }

    /// Ends an object, and goes on while it is flushed.
    fn end_object(&mut self) -> Result<(), BackupError> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let full = self.place.name(&current.name);
        let ended = match current.out {
            Out::Plain(pipe) => pipe.end(),
            Out::Sealed(writer) => writer.finish().and_then(Pipe::end),
        };
        let pipe = ended.map_err(BackupError::io(format!("finish {full}")))?;
        self.ending.push_back(Ending {
            name: current.name,
            place: current.place,
            rows: current.rows,
            pipe,
        });
        match self.ending.len() > ENDING_MAX {
            true => self.ended(),
            false => Ok(()),
        }
    }

    /// Waits for the object that ended first.
    fn ended(&mut self) -> Result<(), BackupError> {
        let Some(ending) = self.ending.pop_front() else {
            return Ok(());
        };
        let full = self.place.name(&ending.name);
        let written = ending.pipe.finish();
        let written = written.map_err(BackupError::io(format!("finish {full}")))?;
        self.objects.push(Object {
            name: ending.name,
            round: ending.place.round,
            table: ending.place.table,
            part: ending.place.part,
            rows: ending.rows,
            bytes: written.bytes,
            sha256: hash_text(&written.sha256),
        });
        Ok(())
    }

    /// Ends the last section: the objects, all on the medium.
    pub(super) fn finish(mut self) -> Result<Vec<Object>, BackupError> {
        self.end_object()?;
        while !self.ending.is_empty() {
            self.ended()?;
        }
        Ok(self.objects)
    }
}

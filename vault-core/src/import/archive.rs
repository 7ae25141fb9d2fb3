//! The ZIP around a package: what its manifest says is checked before anything of it is used, and once more
//! while it is.
//!
//! A ZIP may claim anything: how many members it has, where they lie, what they unpack to. What is read to
//! know them is bounded, and so is what all of them together unpack to. A member that the manifest does not
//! name is not there: nobody has said what it is. And a file may be written while it is read, so that each
//! reading of a member is held to the manifest, before its last byte is handed over.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use super::bounds::{Allowance, Allowed, Guarded, TooLarge};
use crate::audit::hex;
use crate::crypto::Sha256Stream;
use crate::limits::{
    PACKAGE_DIRECTORY_BYTES_MAX, PACKAGE_MANIFEST_BYTES_MAX, PACKAGE_MEMBERS_MAX,
    PACKAGE_RATIO_MAX, PACKAGE_UNPACKED_BYTES,
};

/// Why a ZIP is no package of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A member is not what the manifest says.
    #[error("a member of the package is not what its manifest says, or is not named there")]
    Damaged,
    /// The system refused.
    #[error("could not read the file")]
    Io(#[source] io::Error),
    /// No manifest, or no `data.json`, or no ZIP.
    #[error("this is no package of ours: a ZIP with manifest.json and data.json")]
    NotOurs,
    /// It would fill memory, or take for ever.
    #[error("the package is too large: {0}")]
    TooLarge(TooLarge),
}

/// What is read of a manifest.
#[derive(Deserialize)]
struct Manifest {
    members: Members,
}

/// A member, as its manifest has it.
#[derive(Deserialize)]
struct Member {
    name: String,
    bytes: u64,
    sha256: String,
}

/// No more of them than a package has.
struct Members(Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counted;

        impl<'de> Visitor<'de> for Counted {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("members")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = list.next_element()? {
                    if members.len() == PACKAGE_MEMBERS_MAX {
                        return Err(A::Error::custom("too many members"));
                    }
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_seq(Counted)
    }
}

/// What is said where a reader was stopped, and otherwise that this is no package.
fn not_ours(error: &io::Error) -> ArchiveError {
    TooLarge::of(error).map_or(ArchiveError::NotOurs, ArchiveError::TooLarge)
}

/// A package as a ZIP, whose members have been checked against its manifest. A clone is as checked, and reads
/// another member beside the first.
#[derive(Clone)]
pub struct Archive<R> {
    zip: zip::ZipArchive<Allowed<R>>,
    members: HashMap<String, Said>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the manifest and holds every member to it. Members are read by name and never become files.
    ///
    /// # Errors
    ///
    /// Those of [`ArchiveError`].
    pub fn open(mut from: R) -> Result<Self, ArchiveError> {
        let size = from.seek(SeekFrom::End(0)).map_err(ArchiveError::Io)?;
        let directory = Allowance::new(TooLarge {
            what: "bytes of its directory",
            limit: PACKAGE_DIRECTORY_BYTES_MAX,
        });
        let zip = zip::ZipArchive::new(Allowed::new(from, &directory));
        let mut zip = zip.map_err(|_| {
            let spent = directory.spent();
            spent.map_or(ArchiveError::NotOurs, ArchiveError::TooLarge)
        })?;
        directory.lift();
        let members = manifest(&mut zip)?;
        let room = PACKAGE_UNPACKED_BYTES.saturating_add(size.saturating_mul(PACKAGE_RATIO_MAX));
        let all = members
            .iter()
            .fold(0_u64, |all, one| all.saturating_add(one.bytes));
        if all > room {
            return Err(ArchiveError::TooLarge(TooLarge {
                what: "bytes that it unpacks to",
                limit: room,
            }));
        }
        let mut archive = Self {
            zip,
            members: HashMap::with_capacity(members.len()),
        };
        // One after the other: a name that stands there twice is held to both.
        for Member {
            name,
            bytes,
            sha256,
        } in members
        {
            archive.members.insert(name.clone(), Said { bytes, sha256 });
            let mut content = archive.member(&name)?;
            let read = io::copy(&mut content, &mut io::sink());
            read.map_err(|_| ArchiveError::Damaged)?;
        }
        match archive.members.contains_key("data.json") {
            true => Ok(archive),
            false => Err(ArchiveError::NotOurs),
        }
    }

    /// A member's content, which is held to the manifest as it is read.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] where the manifest names none so, or there is none.
    pub fn member(&mut self, name: &str) -> Result<Content<impl Read + '_>, ArchiveError> {
        let said = self.members.get(name).ok_or(ArchiveError::Damaged)?;
        let from = self.zip.by_name(name);
        Ok(Content {
            from: from.map_err(|_| ArchiveError::Damaged)?,
            said: said.clone(),
            digest: Sha256Stream::default(),
            read: 0,
            whole: None,
        })
    }
}

/// What the manifest says of a member.
#[derive(Clone)]
struct Said {
    bytes: u64,
    sha256: String,
}

/// A member's content on its way. Its last bytes are given where all of it is what the manifest says; where it
/// is not, reading fails instead.
pub struct Content<R> {
    from: R,
    said: Said,
    digest: Sha256Stream,
    read: u64,
    /// Once that is known.
    whole: Option<bool>,
}

impl<R> Content<R> {
    /// Its length.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.said.bytes
    }

    /// Whether reading failed because it is not what the manifest says.
    #[must_use]
    pub fn damaged(&self) -> bool {
        self.whole == Some(false)
    }
}

impl<R: Read> Content<R> {
    /// What there is next; at the end of what was promised, whether it is that.
    fn next(&mut self, part: &mut [u8]) -> Option<usize> {
        let read = self.from.read(part).ok()?;
        self.digest.update(&part[..read]);
        self.read += read as u64;
        // More than was promised is not read to its end.
        if self.read < self.said.bytes && read > 0 {
            return Some(read);
        }
        let ends = self.read == self.said.bytes && self.from.read(&mut [0]).ok()? == 0;
        let digest = std::mem::take(&mut self.digest).finish();
        (ends && self.said.sha256 == hex(&digest)).then(|| {
            self.whole = Some(true);
            read
        })
    }
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, part: &mut [u8]) -> io::Result<usize> {
        match self.whole {
            _ if part.is_empty() => return Ok(0),
            Some(true) => return Ok(0),
            Some(false) => {}
            None => {
                if let Some(read) = self.next(part) {
                    return Ok(read);
                }
                self.whole = Some(false);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            ArchiveError::Damaged,
        ))
    }
}

fn manifest<R: Read + Seek>(
    zip: &mut zip::ZipArchive<Allowed<R>>,
) -> Result<Vec<Member>, ArchiveError> {
    let member = zip.by_name("manifest.json");
    let member = member.map_err(|_| ArchiveError::NotOurs)?;
    let room = Allowance::new(TooLarge {
        what: "bytes of its manifest",
        limit: PACKAGE_MANIFEST_BYTES_MAX,
    });
    let text = io::BufReader::new(Guarded::new(Allowed::new(member, &room)));
    let manifest: Result<Manifest, _> = serde_json::from_reader(text);
    let manifest = manifest.map_err(|error| not_ours(&error.into()))?;
    Ok(manifest.members.0)
}

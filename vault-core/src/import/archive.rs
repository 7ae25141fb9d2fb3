//! The ZIP around a package: what its manifest says is checked before anything of it is used.
//!
//! A ZIP may claim anything: how many members it has, where they lie, what they unpack to. What is read to
//! know them is bounded, and so is what all of them together unpack to.

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
    #[error("a member of the package is not what its manifest says")]
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

/// A package as a ZIP, whose members have been checked against its manifest.
pub struct Archive<R>(zip::ZipArchive<Allowed<R>>);

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
        for one in &members {
            check(&mut zip, one)?;
        }
        match members.iter().any(|one| one.name == "data.json") {
            true => Ok(Self(zip)),
            false => Err(ArchiveError::NotOurs),
        }
    }

    /// A member's content.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotOurs`] where there is none of this name.
    pub fn member(&mut self, name: &str) -> Result<impl Read + '_, ArchiveError> {
        self.0.by_name(name).map_err(|_| ArchiveError::NotOurs)
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

/// Holds a member to what the manifest says of it.
fn check<R: Read + Seek>(
    zip: &mut zip::ZipArchive<Allowed<R>>,
    one: &Member,
) -> Result<(), ArchiveError> {
    let member = zip.by_name(&one.name);
    let mut member = member.map_err(|_| ArchiveError::Damaged)?;
    let (mut digest, mut bytes, mut part) = (Sha256Stream::default(), 0_u64, vec![0; 64 << 10]);
    loop {
        let read = member.read(&mut part).map_err(|_| ArchiveError::Damaged)?;
        bytes += read as u64;
        // More than was promised is not read to its end.
        if read == 0 || bytes > one.bytes {
            break;
        }
        digest.update(&part[..read]);
    }
    match bytes == one.bytes && one.sha256 == hex(&digest.finish()) {
        true => Ok(()),
        false => Err(ArchiveError::Damaged),
    }
}

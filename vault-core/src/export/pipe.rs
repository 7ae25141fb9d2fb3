//! Where the bytes of a package go: into members of a ZIP or not, encrypted or not, and out in parts.
//!
//! Holds what the compression and the encryption keep back, which is bounded, and the name, size and hash
//! of each member. Nothing in here is on a disk.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde_json::{Value, json};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

use super::seal::Seal;
use crate::audit::hex;
use crate::crypto::Sha256Stream;

/// Bytes on their way out.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands before the buffer.
#[derive(Clone)]
struct Outlet(Arc<Mutex<Option<Cipher>>>, Buffer);

type Cipher = age::stream::StreamWriter<Buffer>;

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock() {
            Some(cipher) => cipher.write(bytes),
            None => self.1.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A member of the ZIP that is done.
struct Member {
    name: String,
    media_type: String,
    bytes: u64,
    sha256: [u8; 32],
}

/// A member that is being written.
struct Open {
    name: String,
    media_type: String,
    bytes: u64,
    digest: Sha256Stream,
}

/// See the module.
pub(crate) struct Pipe {
    outlet: Outlet,
    zip: Option<ZipWriter<StreamWriter<Outlet>>>,
    modified: zip::DateTime,
    open: Option<Open>,
    members: Vec<Member>,
}

/// The date and time of a member. A time before 1980 has no form in a ZIP.
fn modified(at: Timestamp) -> zip::DateTime {
    let at = at.to_zoned(TimeZone::UTC);
    let small = |number: i8| u8::try_from(number).unwrap_or_default();
    let year = u16::try_from(at.year()).unwrap_or_default();
    let (month, day) = (small(at.month()), small(at.day()));
    let (hour, minute, second) = (small(at.hour()), small(at.minute()), small(at.second()));
    zip::DateTime::from_date_and_time(year, month, day, hour, minute, second).unwrap_or_default()
}

impl Pipe {
    /// # Errors
    ///
    /// None that memory does not give.
    pub(crate) fn new(archive: bool, seal: &Seal, at: Timestamp) -> io::Result<Self> {
        let buffer = Buffer::default();
        let cipher = seal.encryptor();
        let cipher = cipher.map(|cipher| cipher.wrap_output(buffer.clone()));
        let outlet = Outlet(Arc::new(Mutex::new(cipher.transpose()?)), buffer);
        Ok(Self {
            zip: archive.then(|| ZipWriter::new_stream(outlet.clone())),
            outlet,
            modified: modified(at),
            open: None,
            members: Vec::new(),
        })
    }

    /// Begins a member, and ends the one before. `packed` is whether it becomes smaller by packing.
    pub(crate) fn begin(&mut self, name: &str, media_type: &str, packed: bool) -> io::Result<()> {
        self.end_member();
        if let Some(zip) = &mut self.zip {
            let options = SimpleFileOptions::default()
                .compression_method(match packed {
                    true => CompressionMethod::Deflated,
                    false => CompressionMethod::Stored,
                })
                .last_modified_time(self.modified)
                .unix_permissions(0o600)
                .large_file(true);
            zip.start_file(name, options).map_err(io::Error::other)?;
        }
        self.open = Some(Open {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            bytes: 0,
            digest: Sha256Stream::default(),
        });
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.bytes += bytes.len() as u64;
            open.digest.update(bytes);
        }
        match &mut self.zip {
            Some(zip) => zip.write_all(bytes),
            None => self.outlet.write_all(bytes),
        }
    }

    fn end_member(&mut self) {
        if let Some(open) = self.open.take() {
            self.members.push(Member {
                name: open.name,
                media_type: open.media_type,
                bytes: open.bytes,
                sha256: open.digest.finish(),
            });
        }
    }

    /// Every member that is done: what the manifest says of them.
    pub(crate) fn manifest(&mut self) -> Vec<Value> {
        self.end_member();
        let members = self.members.iter().map(|member| {
            json!({
                "name": member.name,
                "media_type": member.media_type,
                "bytes": member.bytes,
                "sha256": hex(&member.sha256),
            })
        });
        members.collect()
    }

    /// Ends the package.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.end_member();
        if let Some(zip) = self.zip.take() {
            zip.finish().map_err(io::Error::other)?;
        }
        if let Some(cipher) = self.outlet.0.lock().take() {
            cipher.finish()?;
        }
        Ok(())
    }

    /// What is ready to go.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.outlet.1.0.lock())
    }
}

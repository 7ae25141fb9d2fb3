//! An object on its way into a bucket: what fits into one part is put at once, what is longer goes up part by part. Until
//! it is finished nobody sees it, and two parts of it are in memory at most.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use vault_core::backup::target::Sink;
use vault_core::limits::{OBJECT_PART_BYTES, OBJECT_PARTS_MAX};

use super::bridge::{Bridge, Under};
use super::calls::Bucket;
use super::fault::Fault;

/// How long a sink that is given up waits until its upload is.
const GIVE_UP: Duration = Duration::from_secs(10);

/// An object that is being written.
pub(super) struct Upload {
    bridge: Arc<Bridge>,
    store: Arc<dyn ObjectStore>,
    /// Knows of uploads that were cut off.
    bucket: Option<Arc<Bucket>>,
    key: Path,
    /// What was not sent.
    part: Vec<u8>,
    part_bytes: usize,
    /// There, where more than one part was written.
    upload: Option<Box<dyn MultipartUpload>>,
    parts: u32,
    /// The part that is on its way.
    under: Option<Under<()>>,
}

impl Upload {
    pub(super) fn new(
        bridge: Arc<Bridge>,
        store: Arc<dyn ObjectStore>,
        bucket: Option<Arc<Bucket>>,
        key: Path,
    ) -> Self {
        Self {
            bridge,
            store,
            bucket,
            key,
            part: Vec::new(),
            part_bytes: OBJECT_PART_BYTES,
            upload: None,
            parts: 0,
            under: None,
        }
    }

    /// The same with shorter parts.
    #[cfg(test)]
    pub(super) fn in_parts_of(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes;
        self
    }

    fn begin(&self) -> io::Result<Box<dyn MultipartUpload>> {
        let (store, bucket, key) = (self.store.clone(), self.bucket.clone(), self.key.clone());
        self.bridge.run(async move {
            // One of an earlier process: as a file that was not finished, it is cut to nothing.
            if let Some(bucket) = bucket {
                bucket.abort_all(key.as_ref()).await?;
            }
            Ok(store.put_multipart(&key).await?)
        })
    }

    /// Sends what there is as a part, when the one before has arrived.
    fn send(&mut self) -> io::Result<()> {
        self.arrived()?;
        if self.parts == OBJECT_PARTS_MAX {
            let what = "the object is longer than an object store takes";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        if self.upload.is_none() {
            self.upload = Some(self.begin()?);
        }
        let upload = self.upload.as_mut().expect("just begun");
        let part = PutPayload::from(std::mem::take(&mut self.part));
        let sent = upload.put_part(part);
        self.parts += 1;
        self.under = Some(self.bridge.begin(async move { Ok(sent.await?) }));
        Ok(())
    }

    fn arrived(&mut self) -> io::Result<()> {
        self.under.take().map_or(Ok(()), Under::wait)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() >= self.part_bytes {
            self.send()?;
        }
        let room = self.part_bytes - self.part.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.part.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// What is not finished is on no medium: there is nothing to be flushed before.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Upload {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.upload.is_none() {
            let (store, key) = (self.store.clone(), self.key.clone());
            let whole = PutPayload::from(std::mem::take(&mut self.part));
            return self
                .bridge
                .run(async move { Ok(store.put(&key, whole).await.map(drop)?) });
        }
        if !self.part.is_empty() {
            self.send()?;
        }
        self.arrived()?;
        let mut upload = self.upload.take().expect("looked at before");
        self.bridge.run(async move {
            match upload.complete().await {
                Ok(_) => Ok(()),
                Err(error) => {
                    let _ = upload.abort().await;
                    Err(Fault::from(error))
                }
            }
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else {
            return;
        };
        // A part that arrives after the end of an upload would stay for ever.
        let _ = self.arrived();
        let given_up = self.bridge.begin(async move { Ok(upload.abort().await?) });
        given_up.wait_a_little(GIVE_UP);
    }
}

//! An object on its way out of a bucket: read as it comes, and from where it broke off where a connection ends before it.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use vault_core::limits::OBJECT_TRIES_MAX;

use super::bridge::Bridge;
use super::fault::Fault;

type Stream = BoxStream<'static, object_store::Result<Bytes>>;

/// An object that is being read.
pub(super) struct Download {
    bridge: Arc<Bridge>,
    store: Arc<dyn ObjectStore>,
    key: Path,
    /// What it was when it was opened; another one is not gone on with.
    e_tag: Option<String>,
    size: u64,
    /// How far it came.
    at: u64,
    stream: Option<Stream>,
    chunk: Bytes,
    /// Since the last bytes.
    failures: u32,
}

impl Download {
    pub(super) fn begin(
        bridge: Arc<Bridge>,
        store: Arc<dyn ObjectStore>,
        key: Path,
    ) -> io::Result<Self> {
        let (asked, location) = (store.clone(), key.clone());
        let (meta, stream) = bridge.run(async move {
            let found = asked.get_opts(&location, GetOptions::new()).await?;
            let meta = found.meta.clone();
            Ok((meta, found.into_stream()))
        })?;
        Ok(Self {
            bridge,
            store,
            key,
            e_tag: meta.e_tag,
            size: meta.size,
            at: 0,
            stream: Some(stream),
            chunk: Bytes::new(),
            failures: 0,
        })
    }

    /// The stream from where it broke off.
    fn again(&self) -> io::Result<Stream> {
        let (store, key) = (self.store.clone(), self.key.clone());
        let options = GetOptions::new()
            .with_range(Some(GetRange::Bounded(self.at..self.size)))
            .with_if_match(self.e_tag.clone());
        self.bridge.run(async move {
            let found = store.get_opts(&key, options).await?;
            Ok(found.into_stream())
        })
    }

    /// The next bytes, none at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        while self.at < self.size {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.again()?,
            };
            let (stream, chunk) = self.bridge.run(async move {
                let chunk = stream.next().await;
                Ok((stream, chunk.transpose().map_err(Fault::from)))
            })?;
            match chunk {
                Ok(Some(chunk)) if chunk.is_empty() => self.stream = Some(stream),
                Ok(Some(chunk)) => {
                    self.at += chunk.len() as u64;
                    if self.at > self.size {
                        return Err(Fault::Changed.into());
                    }
                    self.failures = 0;
                    self.stream = Some(stream);
                    return Ok(chunk);
                }
                // It ended too soon, or in the middle.
                Ok(None) | Err(Fault::Away(_) | Fault::Protocol | Fault::Slow) => {
                    self.failures += 1;
                    if self.failures >= OBJECT_TRIES_MAX {
                        return Err(Fault::Slow.into());
                    }
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(Bytes::new())
    }
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk = self.next()?;
        }
        let length = into.len().min(self.chunk.len());
        into[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

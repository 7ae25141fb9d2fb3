//! Backups in a bucket of an object store that speaks the S3 protocol: a [`Target`] as a directory is one.
//!
//! `name` is where, `access` with which rights, `client` how bytes travel, `calls` what `object_store` does not ask,
//! `sink` and `source` the streams, `bridge` the threads below all of it. Knows nothing of what is in an object: all of
//! it was sealed before it came here, and the store sees names, lengths and times.
//!
//! Decision 0030.

mod access;
mod bridge;
mod calls;
mod client;
mod fault;
mod name;
mod sink;
mod source;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use vault_core::backup::target::{self, Sink, Target};

pub use access::{ObjectsConfig, environment};
pub(crate) use access::{endpoint, region};
pub use name::ObjectsPlace;

use access::Access;
use bridge::Bridge;
use calls::{Bucket, Kept};
use fault::Fault;

/// What the name of an object ends with while its upload is not finished, as [`Target::objects`] tells of it.
const UNFINISHED: &str = ".unfinished";
/// Written and deleted again to find out whether the bucket gives back what was deleted.
const PROBE: &str = "vault-probe";

/// A bucket, or what lies below a prefix in it.
///
/// Nothing is reached for until somebody asks: a store that is away must not keep a vault from being served.
pub struct Objects {
    place: ObjectsPlace,
    access: Access,
    open: Mutex<Option<Open>>,
}

/// What is made once, when it is first asked for.
#[derive(Clone)]
struct Open {
    bridge: Arc<Bridge>,
    store: Arc<dyn ObjectStore>,
    bucket: Arc<Bucket>,
}

impl Objects {
    /// The bucket of `place`, reached as the configuration says, and where it says nothing as the variables do that
    /// `environment` knows.
    #[must_use]
    pub fn new(
        place: ObjectsPlace,
        config: &ObjectsConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self {
            access: Access::new(config, environment),
            place,
            open: Mutex::default(),
        }
    }

    /// The port that is connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.access.port()
    }

    /// The files that it reads: credentials, each time that they are needed, and certificates.
    pub fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        self.access.files()
    }

    /// Looks at what can be seen without the store: credentials, certificates, the endpoint.
    ///
    /// # Errors
    ///
    /// What is wrong, and how to mend it.
    pub fn prepare(&self) -> io::Result<()> {
        self.access.credentials()?;
        self.access.open(&self.place)?;
        Ok(())
    }

    fn opened(&self) -> io::Result<Open> {
        let mut open = self.open.lock();
        if let Some(open) = &*open {
            return Ok(open.clone());
        }
        let (store, bucket) = self.access.open(&self.place)?;
        let made = Open {
            bridge: Arc::new(Bridge::new()?),
            store,
            bucket: Arc::new(bucket),
        };
        Ok(open.insert(made).clone())
    }

    /// The key of an object: its name below the prefix.
    fn key(&self, name: &str) -> io::Result<Path> {
        match target::fits(name) {
            true => Ok(Path::from(self.place.key(name))),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Keys of uploads below `prefix` that nobody finished, with their names there.
    fn unfinished(&self, open: &Open, prefix: &str) -> io::Result<Vec<calls::Upload>> {
        let (bucket, prefix) = (open.bucket.clone(), prefix.to_owned());
        open.bridge
            .run(async move { bucket.uploads(&prefix).await })
    }

    /// What the bucket says of versions, and where it says nothing what it does with one object.
    fn keeps(&self, open: &Open) -> io::Result<bool> {
        let bucket = open.bucket.clone();
        match open.bridge.run(async move { bucket.kept().await })? {
            Kept::Versions => return Ok(true),
            Kept::Nothing | Kept::Unknown => {}
        }
        // Whatever it says, a version in the answer is one that can be asked for.
        let (store, key) = (open.store.clone(), self.key(PROBE)?);
        let bucket = open.bucket.clone();
        open.bridge.run(async move {
            let put = store.put(&key, PROBE.as_bytes().into()).await?;
            bucket.delete(key.as_ref()).await?;
            match put.version {
                None => Ok(false),
                Some(version) if version == calls::NO_VERSION => Ok(true),
                Some(version) => {
                    let asked = object_store::GetOptions::new().with_version(Some(version));
                    match store.get_opts(&key, asked).await.map_err(Fault::from) {
                        Ok(_) => Ok(true),
                        Err(Fault::Absent) => Ok(false),
                        Err(fault) => Err(fault),
                    }
                }
            }
        })
    }
}

impl Target for Objects {
    /// Names the service as well where it is not that of AWS: a bucket of the same name elsewhere is another place.
    fn place(&self) -> String {
        match self.access.elsewhere() {
            Some(host) => format!("{}{}{host}", self.place, name::AT),
            None => self.place.to_string(),
        }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>> {
        let (open, key) = (self.opened()?, self.key(name)?);
        let bucket = Some(open.bucket);
        Ok(Box::new(sink::Upload::new(
            open.bridge,
            open.store,
            bucket,
            key,
        )))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let (open, key) = (self.opened()?, self.key(name)?);
        Ok(Box::new(source::Download::begin(
            open.bridge,
            open.store,
            key,
        )?))
    }

    fn objects(&self, backup: &str) -> io::Result<Vec<(String, u64)>> {
        let (open, key) = (self.opened()?, self.key(backup)?);
        let below = format!("{key}/");
        let name_in = |key: &str| key.strip_prefix(&below).map(str::to_owned);
        let (store, prefix) = (open.store.clone(), key.clone());
        let listed = open.bridge.run(async move {
            let listed = store.list_with_delimiter(Some(&prefix)).await;
            listed.map_err(Fault::of_list)
        })?;
        let finished = listed.objects.iter();
        let mut found: Vec<(String, u64)> = finished
            .filter_map(|object| Some((name_in(object.location.as_ref())?, object.size)))
            .collect();
        // What was cut off can still be finished by whoever may write there, and so it counts.
        let uploads = self.unfinished(&open, &below)?;
        let names = uploads.iter().filter_map(|upload| name_in(&upload.key));
        found.extend(names.map(|name| (format!("{name}{UNFINISHED}"), 0)));
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn backups(&self) -> io::Result<Vec<String>> {
        let open = self.opened()?;
        let root = self.place.key("");
        let (store, prefix) = (open.store.clone(), Path::from(root.as_str()));
        let listed = open.bridge.run(async move {
            let prefix = (!prefix.as_ref().is_empty()).then_some(&prefix);
            store
                .list_with_delimiter(prefix)
                .await
                .map_err(Fault::of_list)
        })?;
        let uploads = self.unfinished(&open, &root)?;
        let prefixes = listed.common_prefixes.iter().map(Path::as_ref);
        let keys = uploads.iter().map(|upload| upload.key.as_str());
        let mut found: Vec<String> = prefixes
            .chain(keys.filter(|key| key[root.len().min(key.len())..].contains('/')))
            .filter_map(|key| key.strip_prefix(&root)?.split('/').next())
            .filter(|name| name.starts_with("bak_"))
            .map(str::to_owned)
            .collect();
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let open = self.opened()?;
        if let Some(name) = name.strip_suffix(UNFINISHED) {
            let key = self.key(name)?.to_string();
            return open
                .bridge
                .run(async move { open.bucket.abort_all(&key).await });
        }
        let key = self.key(name)?;
        open.bridge
            .run(async move { open.bucket.delete(key.as_ref()).await })
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let open = self.opened()?;
        if let Some(name) = name.strip_suffix(UNFINISHED) {
            let key = self.key(name)?.to_string();
            let uploads = self.unfinished(&open, &key)?;
            return Ok(uploads.iter().any(|upload| upload.key == key));
        }
        let key = self.key(name)?;
        open.bridge.run(async move {
            match open.store.head(&key).await.map_err(Fault::from) {
                Ok(_) => Ok(true),
                // A bucket that is not there, or is out of reach for us, answers with the same status and no text.
                Err(fault) => match open.bucket.demand().await {
                    Ok(()) if matches!(fault, Fault::Absent) => Ok(false),
                    Ok(()) => Err(fault),
                    Err(fault) => Err(fault),
                },
            }
        })
    }

    /// Where versions are kept, those that are hidden below the prefix are deleted first, as far as the credentials
    /// may: that right is the operator's word that nothing is to come back.
    fn deletes_for_good(&self) -> io::Result<bool> {
        let open = self.opened()?;
        if !self.keeps(&open)? {
            return Ok(true);
        }
        let root = self.place.key("");
        open.bridge.run(async move {
            for version in open.bucket.hidden(&root).await? {
                match open.bucket.delete_version(&version).await {
                    Ok(()) => {}
                    Err(Fault::Denied | Fault::Answer(_)) => return Ok(false),
                    Err(fault) => return Err(fault),
                }
            }
            Ok(open.bucket.hidden(&root).await?.is_empty())
        })
    }

    /// A bucket has no directories: nothing is left where no object is.
    fn forget(&self, _backup: &str) -> io::Result<()> {
        Ok(())
    }
}

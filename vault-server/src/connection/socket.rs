//! The admin socket: the same HTTP for whoever owns the vault's directory.
//!
//! Knows nothing of calls. Whoever may open the file may call: it is 0600, inside a directory that is
//! 0700. It stands there only as long as a server answers on it.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Name of the socket in the vault's directory.
const NAME: &str = "admin.sock";
/// Where it is made before it gets its name, so that nobody reaches it before its mode is set.
const NAME_UNFINISHED: &str = "admin.sock.unfinished";
/// Longest path of a socket. Source: `sun_path`, unix(7), with its last zero byte.
const PATH_BYTES_MAX: usize = 107;

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Another process serves there.
    #[error("another server answers on {0}; stop it first")]
    Answered(PathBuf),
    /// The operating system refused.
    #[error("could not make the admin socket {path}; `admin.socket = false` does without it")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path does not fit.
    #[error(
        "the path of the admin socket {0} is over {PATH_BYTES_MAX} bytes; move the vault to a shorter path, or set `admin.socket = false`"
    )]
    Long(PathBuf),
    /// Something else lies there.
    #[error("{0} is no socket; move it away, or set `admin.socket = false`")]
    NoSocket(PathBuf),
}

/// A bound admin socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    file: (u64, u64),
}

impl AdminSocket {
    /// Binds `dir/admin.sock`. What a server that died left there is replaced.
    ///
    /// # Errors
    ///
    /// See [`SocketError`].
    pub fn bind(dir: &Path) -> Result<Self, SocketError> {
        let (path, unfinished) = (dir.join(NAME), dir.join(NAME_UNFINISHED));
        if unfinished.as_os_str().len() > PATH_BYTES_MAX {
            return Err(SocketError::Long(path));
        }
        let io = |source| SocketError::Io {
            path: path.clone(),
            source,
        };
        for path in [&path, &unfinished] {
            match path.symlink_metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(error)),
                Ok(meta) if !meta.file_type().is_socket() => {
                    return Err(SocketError::NoSocket(path.clone()));
                }
                Ok(_) => {}
            }
            match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io(error)),
                Ok(_) => return Err(SocketError::Answered(path.clone())),
            }
        }
        let remove = std::fs::remove_file(&unfinished);
        if let Err(error) = remove
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(io(error));
        }
        let listener = UnixListener::bind(&unfinished).map_err(io)?;
        std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .map_err(io)?;
        let meta = path.symlink_metadata().map_err(io)?;
        Ok(Self {
            listener,
            file: (meta.dev(), meta.ino()),
            path,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Only what is still ours: another server may have put its own there.
        let ours = self
            .path
            .symlink_metadata()
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_for_its_owner_alone_and_goes_with_the_server() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = AdminSocket::bind(dir.path()).expect("binds");
        let meta = socket.path().symlink_metadata().expect("is there");
        assert!(meta.file_type().is_socket());
        assert_eq!(meta.mode() & 0o777, 0o600);
        drop(socket);
        let left = std::fs::read_dir(dir.path()).expect("a directory").count();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_socket_that_answers_is_left_alone_and_a_stale_one_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = AdminSocket::bind(dir.path()).expect("binds");
        let refused = AdminSocket::bind(dir.path()).expect_err("it answers");
        assert!(matches!(refused, SocketError::Answered(_)));
        UnixStream::connect(first.path()).expect("it still answers");
        // A process that is killed closes the socket and removes nothing.
        let copy = dir.path().join("kept");
        std::fs::rename(first.path(), &copy).expect("set aside");
        drop(first);
        std::fs::rename(&copy, dir.path().join(NAME)).expect("put back");
        let second = AdminSocket::bind(dir.path()).expect("nobody answers there");
        UnixStream::connect(second.path()).expect("the new one answers");
    }

    #[test]
    fn a_file_that_is_no_socket_and_a_path_that_is_too_long_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(NAME), "mine").expect("written");
        let refused = AdminSocket::bind(dir.path()).expect_err("a file");
        assert!(matches!(refused, SocketError::NoSocket(_)));
        let kept = std::fs::read_to_string(dir.path().join(NAME)).expect("still there");
        assert_eq!(kept, "mine");
        let long = dir.path().join("d".repeat(100));
        let refused = AdminSocket::bind(&long).expect_err("too long");
        assert!(refused.to_string().contains("admin.socket"), "{refused}");
    }
}

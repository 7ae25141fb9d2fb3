//! A package of a person's own data, into a file that only its owner reads.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use crate::args::ExportArguments;
use crate::command::Context;
use crate::failure::{Exit, Failure};
use crate::secret::read_file;

pub(super) fn run(context: &Context<'_>, arguments: &ExportArguments) -> Result<(), Failure> {
    let terminal = context.terminal;
    let mut wanted = Map::new();
    wanted.insert("right".into(), json!(arguments.right));
    wanted.insert("format".into(), json!(arguments.format));
    if let Some(language) = &arguments.language {
        wanted.insert("language".into(), json!(language));
    }
    if let Some(recipient) = &arguments.recipient {
        vault_core::export::Seal::recipient(recipient).map_err(|error| {
            Failure::usage(error.to_string(), "give it as age-keygen printed it")
        })?;
        wanted.insert("recipient".into(), json!(recipient));
    }
    if let Some(path) = &arguments.package_passphrase_file {
        let text = read_file(path)?;
        vault_core::export::Seal::passphrase(text.to_string())
            .map_err(|error| Failure::usage(error.to_string(), "put a longer one into the file"))?;
        wanted.insert("passphrase".into(), json!(*text));
    }
    let wanted = Value::Object(wanted);
    let sealed = arguments.recipient.is_some() || arguments.package_passphrase_file.is_some();
    if context.globals.dry_run {
        // What an export leaves is an entry in the log; to say what would happen takes none.
        let file = arguments.to.display().to_string();
        let answer = json!({"would_write": {"file": file, "encrypted": sealed}});
        terminal.answer(&answer, |_| format!("would write {file}"));
        return Ok(());
    }
    if arguments.to == Path::new("-") {
        if terminal.json() {
            return Err(Failure::usage(
                "--json has one document on standard output, and so has the package",
                "name a file with --to FILE",
            ));
        }
        let caller = context.caller()?;
        let step = terminal.step("making the package");
        let mut out = BufWriter::new(io::stdout().lock());
        let packed = caller.export(arguments.subject, &wanted, &mut out)?;
        let flushed = out.flush();
        drop(step);
        incomplete(context, packed.complete);
        return flushed.map_err(|error| Failure::io("could not write the package", &error));
    }
    let to = &arguments.to;
    let file = to.display().to_string();
    let exists = || {
        Failure::new(
            Exit::Failed,
            "exists",
            format!("{file} exists already"),
            "name a file that does not exist yet; nothing was changed",
        )
    };
    if to.try_exists().unwrap_or(false) {
        return Err(exists());
    }
    // A file without a name, which it gets when all is there: there is never half a package, and a kill
    // leaves nothing. It is its owner's alone from the start.
    let dir = match to.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let unwritable = |error: io::Error| Failure::io(format!("could not write {file}"), &error);
    let caller = context.caller()?;
    let file_without_name = tempfile::tempfile_in(dir).map_err(unwritable)?;
    file_without_name
        .set_permissions(Permissions::from_mode(0o600))
        .map_err(unwritable)?;
    let mut out = BufWriter::new(file_without_name);
    let step = terminal.step("making the package");
    let packed = caller.export(arguments.subject, &wanted, &mut out)?;
    drop(step);
    let out = out.into_inner().map_err(|error| unwritable(error.into()))?;
    out.sync_all().map_err(unwritable)?;
    named(out, dir, to).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(),
        _ => unwritable(error),
    })?;
    incomplete(context, packed.complete);
    let answer = json!({
        "file": file,
        "bytes": packed.bytes,
        "encrypted": sealed,
        "complete": packed.complete,
    });
    terminal.answer(&answer, |_| {
        let how = if sealed {
            "encrypted"
        } else {
            "in clear, readable by you alone"
        };
        format!("{} bytes in {file}, {how}", packed.bytes)
    });
    Ok(())
}

/// Gives the file its name, unless there is one of that name.
fn named(mut file: File, dir: &Path, to: &Path) -> io::Result<()> {
    let place = format!("/proc/self/fd/{}", file.as_raw_fd());
    let linked = rustix::fs::linkat(
        rustix::fs::CWD,
        place,
        rustix::fs::CWD,
        to,
        rustix::fs::AtFlags::SYMLINK_FOLLOW,
    );
    match linked {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(ErrorKind::AlreadyExists.into()),
        // Some file systems have no files without a name.
        Err(_) => {
            let mut copy = NamedTempFile::new_in(dir)?;
            file.seek(SeekFrom::Start(0))?;
            io::copy(&mut file, &mut copy)?;
            copy.as_file().sync_all()?;
            copy.persist_noclobber(to)
                .map(drop)
                .map_err(|error| error.error)
        }
    }
}

fn incomplete(context: &Context<'_>, complete: Option<bool>) {
    if complete == Some(false) {
        context.terminal.note(
            "this role does not see every field: the package names what it lacks (`withheld`)",
        );
    }
}

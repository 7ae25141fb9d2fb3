//! The file that takes refused lines: each once, however often the import was stopped.
//!
//! A line is written there before the position that counts it. What stands behind the length that the position
//! knows is of lines that are looked at again; of them nothing is written twice. It holds numbers, names of
//! columns and codes, and no value.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::json;

use crate::failure::Failure;

pub(super) struct ErrorsFile {
    file: File,
    /// What a run that was stopped wrote and did not count.
    there: HashSet<String>,
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::io("could not write the file of errors", error)
}

/// Opens it to write at its end, and reads what stands there from `from` on.
fn open(path: &Path, from: Option<u64>) -> io::Result<ErrorsFile> {
    let mut options = OpenOptions::new();
    let options = options.create(true).append(true).read(true).mode(0o600);
    let mut file = options.open(path)?;
    let mut there = HashSet::new();
    let end = file.seek(SeekFrom::End(0))?;
    let Some(from) = from.filter(|from| *from < end) else {
        return Ok(ErrorsFile { file, there });
    };
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(&file);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
        if line.ends_with('\n') {
            there.insert(line);
        } else {
            // Cut short by whatever stopped the run.
            (&file).write_all(b"\n")?;
        }
    }
    Ok(ErrorsFile { file, there })
}

impl ErrorsFile {
    /// `from` is the length that the position of an import knows which goes on; `None` for a new one.
    pub(super) fn open(path: &Path, from: Option<u64>) -> Result<Self, Failure> {
        let opened = open(path, from);
        opened.map_err(|error| Failure::io(format!("could not write {}", path.display()), &error))
    }

    pub(super) fn add(&mut self, line: u64, column: &str, code: &str) -> Result<(), Failure> {
        let text = json!({"line": line, "column": column, "code": code});
        let text = format!("{text}\n");
        if self.there.remove(&text) {
            return Ok(());
        }
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| unwritable(&error))
    }

    pub(super) fn bytes(&self) -> Result<u64, Failure> {
        let about = self.file.metadata().map_err(|error| unwritable(&error))?;
        Ok(about.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_and_not_counted_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("refused");
        let text = || std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, "of another import\n").unwrap();
        let mut first = ErrorsFile::open(&path, None).unwrap();
        first.add(1, "a", "x").unwrap();
        let counted = first.bytes().unwrap();
        first.add(2, "a", "x").unwrap();
        first.add(3, "a", "x").unwrap();
        drop(first);
        let whole = text();
        // Cut in the middle of line 3.
        std::fs::write(&path, &whole[..whole.len() - 4]).unwrap();
        let mut again = ErrorsFile::open(&path, Some(counted)).unwrap();
        again.add(2, "a", "x").unwrap();
        again.add(3, "a", "x").unwrap();
        let times = |number: u64| {
            let lines = text();
            let lines = lines
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            lines
                .filter(|one: &serde_json::Value| one["line"] == number)
                .count()
        };
        assert_eq!([times(1), times(2), times(3)], [1, 1, 1], "{}", text());
        // The same mistake of a line further on is one more.
        again.add(2, "a", "x").unwrap();
        assert_eq!(times(2), 2);
        // Of another import nothing is known.
        ErrorsFile::open(&path, None)
            .unwrap()
            .add(1, "a", "x")
            .unwrap();
        assert_eq!(times(1), 2);
    }
}

//! Looks at the bytes on the disk, as a thief would.
//!
//! Knows nothing of what the files mean.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a search of files found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Files read.
    pub(crate) files: u64,
    /// Bytes read.
    pub(crate) bytes: u64,
    /// Places where one of the needles stands.
    pub(crate) hits: u64,
}

/// Every regular file under `roots`.
pub(crate) fn files(roots: &[&Path]) -> io::Result<Vec<PathBuf>> {
    let mut waiting: Vec<PathBuf> = roots.iter().map(|root| root.to_path_buf()).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Counts the needles in every file under `roots`, in UTF-8 and UTF-16 of either order.
pub(crate) fn scan(roots: &[&Path], needles: &[&str]) -> io::Result<Scan> {
    let patterns: Vec<Vec<u8>> = needles
        .iter()
        .flat_map(|needle| {
            [
                needle.as_bytes().to_vec(),
                needle.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                needle.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            ]
        })
        .collect();
    let mut scan = Scan::default();
    for path in files(roots)? {
        let bytes = fs::read(&path)?;
        scan.files += 1;
        scan.bytes += bytes.len() as u64;
        for pattern in &patterns {
            let count = bytes
                .windows(pattern.len())
                .filter(|w| w == pattern)
                .count();
            scan.hits += count as u64;
        }
    }
    Ok(scan)
}

/// A line of hexadecimal from the file under `root` whose bytes differ most from one another: 16
/// bytes of ciphertext where there is any, and nothing of files that only hold room.
pub(crate) fn hex_line(root: &Path) -> io::Result<Option<String>> {
    let different = |line: &[u8]| {
        let mut seen = [false; 256];
        line.iter().for_each(|byte| seen[usize::from(*byte)] = true);
        seen.iter().filter(|seen| **seen).count()
    };
    let mut fullest = Vec::new();
    for path in files(&[root])? {
        let bytes = fs::read(&path)?;
        if (different(&bytes), bytes.len()) > (different(&fullest), fullest.len()) {
            fullest = bytes;
        }
    }
    let lines = fullest.chunks_exact(16).enumerate();
    Ok(lines
        .max_by_key(|(_, line)| different(line))
        .map(|(number, line)| {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let readable = line.iter().map(|byte| match byte {
                0x21..=0x7e => char::from(*byte),
                _ => '.',
            });
            let text: String = readable.collect();
            format!("{:08x}  {}  |{text}|", number * 16, hex.join(" "))
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_wherever_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("one"), b"xxneedlexx").unwrap();
        let wide: Vec<u8> = "needle".encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(directory.path().join("two"), wide).unwrap();
        let scan = scan(&[directory.path()], &["needle", "absent"]).unwrap();
        assert_eq!((scan.files, scan.hits), (2, 2));
    }

    #[test]
    fn a_hex_line_shows_offset_bytes_and_what_is_readable() {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = vec![0; 16];
        bytes.extend(b"0123456789abcdef");
        fs::write(directory.path().join("file"), bytes).unwrap();
        let line = hex_line(directory.path()).unwrap().unwrap();
        assert!(line.starts_with("00000010  30 31"), "{line}");
        assert!(line.ends_with("|0123456789abcdef|"), "{line}");
    }
}

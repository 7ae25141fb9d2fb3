//! Files made to fill memory: each is refused, in words, before much of it was read.
//!
//! Counts as failure: a file that is taken, and one of which more was read than its limit and a buffer.
//! How long it takes does not.

use std::cell::Cell;
use std::io::{Cursor, Read, Write};

use serde_json::{Value, json};

use super::*;
use crate::audit::hex;
use crate::crypto::sha256;
use crate::limits::{
    IMPORT_DEPTH_MAX, IMPORT_MEMORY_BYTES_MAX, IMPORT_ROW_BYTES_MAX, IMPORT_TEXT_BYTES_MAX,
    PACKAGE_DIRECTORY_BYTES_MAX, PACKAGE_RATIO_MAX, PACKAGE_UNPACKED_BYTES,
};

const HEAD: &str = r#"{"format": "personal-data-package", "version": 1,
    "person": {"identities": [{"channel": "web", "user": "ann"}]}"#;
/// What readers hold of a file at a time.
const BUFFERS: u64 = 256 << 10;

/// A beginning, and then the same for as long as anybody reads.
struct Endless<'c> {
    head: Cursor<Vec<u8>>,
    then: &'static [u8],
    at: usize,
    read: &'c Cell<u64>,
}

impl<'c> Endless<'c> {
    fn new(head: &str, then: &'static str, read: &'c Cell<u64>) -> Self {
        Self {
            head: Cursor::new(head.into()),
            then: then.as_bytes(),
            at: 0,
            read,
        }
    }
}

impl Read for Endless<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let mut read = self.head.read(bytes)?;
        if read == 0 {
            read = bytes.len();
            for byte in bytes {
                *byte = self.then[self.at % self.then.len()];
                self.at += 1;
            }
        }
        self.read.set(self.read.get() + read as u64);
        assert!(self.read.get() < 1 << 30, "it is read without an end");
        Ok(read)
    }
}

/// Why a document that goes on for ever is refused, and how much of it was read.
fn document(head: &str, then: &'static str) -> (String, u64) {
    let read = Cell::new(0);
    let from = Endless::new(head, then, &read);
    let refused = read_document(from, &mut |_| true).unwrap_err();
    assert!(matches!(refused, ReadError::TooLarge(_)), "{refused}");
    (refused.to_string(), read.get())
}

#[test]
fn a_document_that_nests_or_goes_on_without_an_end_is_refused_in_bounded_memory() {
    let depth = format!("at most {IMPORT_DEPTH_MAX} are read");
    for member in ["accesses", "consents", "records", "unheard_of"] {
        let (said, read) = document(&format!("{HEAD}, \"{member}\": "), "[");
        assert!(said.contains(&depth) && read < BUFFERS, "{said}, {read}");
        let (said, read) = document(&format!("{HEAD}, \"{member}\": [{{\"a\": \""), "x");
        assert!(said.contains("bytes of one text"), "{said}");
        assert!(read < IMPORT_TEXT_BYTES_MAX + BUFFERS, "{read}");
    }
    // What is kept is counted, in however small pieces it comes.
    let most = IMPORT_MEMORY_BYTES_MAX as u64;
    for head in [
        ", \"consents\": [",
        ", \"consents\": [{\"purpose\": \"p\", \"events\": [",
        ", \"records\": [{\"collection\": \"c\", \"fields\": {\"a\": [",
    ] {
        for then in ["[],", "0,", "{\"\":0},", "\"x\","] {
            let (said, read) = document(&format!("{HEAD}{head}"), then);
            assert!(said.contains("bytes of memory"), "{said}");
            // Even the smallest takes more in memory than on the way.
            assert!(read < most / 16, "{read}");
        }
    }
    let names = format!("{HEAD}, \"records\": [{{\"collection\": \"c\", \"");
    let (said, _) = document(&names, "x\": 0, \"y");
    assert!(said.contains("bytes of memory"), "{said}");
}

#[test]
fn what_is_not_kept_may_be_long_and_records_as_many_as_there_are() {
    let list = |item: &str, count: usize| format!("[{}{item}]", format!("{item},").repeat(count));
    let record = r#"{"collection": "c", "fields": {"a": "x"}}"#;
    let text = format!(
        "{HEAD}, \"accesses\": {}, \"records\": {}, \"end\": {{}}}}",
        list("{\"a\": [1, 2, {}]}", 400_000),
        list(record, 50_000),
    );
    let mut pieces = 0;
    let read = read_document(text.as_bytes(), &mut |_| {
        pieces += 1;
        true
    });
    assert!(read.is_ok() && pieces == 1 + 50_001);
}

#[test]
fn a_document_says_its_records_once() {
    let text = format!("{HEAD}, \"records\": [], \"records\": [], \"end\": {{}}}}");
    let read = read_document(text.as_bytes(), &mut |_| true);
    assert!(matches!(read, Err(ReadError::Document { .. })));
}

const MAPPING: &str = "[identity]\nchannel = \"web\"\nuser = \"id\"\n[columns]\na = \"c.a\"\n";

fn mapping(more: &str) -> Mapping {
    Mapping::parse(&format!("{more}{MAPPING}")).unwrap()
}

#[test]
fn a_record_of_csv_that_never_ends_is_refused_and_says_which_it_is() {
    for (head, then, line) in [
        ("id,a\n1,x\n2,\"", "x\n", 2),
        ("id,a\n1,", "x", 1),
        ("id,a\n1,", ",", 1),
        ("id,\"", "x", 0),
    ] {
        let read = Cell::new(0);
        let from = Endless::new(head, then, &read);
        let refused = read_rows(&mapping(""), from, &mut |_| true).unwrap_err();
        let told = refused.to_string();
        assert!(
            matches!(refused, ReadError::RowTooLarge { line: at, .. } if at == line),
            "{told}"
        );
        assert!(
            told.contains("too large") && told.contains(&IMPORT_ROW_BYTES_MAX.to_string()),
            "{told}"
        );
        assert!(read.get() <= IMPORT_ROW_BYTES_MAX + BUFFERS);
    }
    let columns = format!("id,a{}\n", ",b".repeat(5_000));
    let refused = read_rows(&mapping(""), columns.as_bytes(), &mut |_| true).unwrap_err();
    assert!(refused.to_string().contains("columns"), "{refused}");
    // The nearest that is no such: many records, each of them short.
    let many = format!("id,a\n{}", "1,x\n".repeat(2_000_000));
    assert!(many.len() as u64 > IMPORT_ROW_BYTES_MAX);
    let mut lines = 0;
    let read = read_rows(&mapping(""), many.as_bytes(), &mut |_| {
        lines += 1;
        true
    });
    assert!(read.is_ok() && lines == 2_000_000);
}

#[test]
fn a_line_of_json_that_is_too_long_or_takes_too_much_spoils_no_other() {
    let most = usize::try_from(IMPORT_ROW_BYTES_MAX).unwrap();
    let long = format!("{{\"id\": \"{}\"}}", "x".repeat(2 * most));
    let many = format!("{{\"id\": 1, \"a\": [{}0]}}", "[],".repeat(1_000_000));
    assert!(many.len() < most);
    let good = r#"{"id": "1", "a": "x"}"#;
    let text = format!("{good}\n{long}\n{good}\n{many}\n{good}");
    let mut seen = Vec::new();
    let read = read_rows(
        &mapping("format = \"jsonl\"\n"),
        text.as_bytes(),
        &mut |piece| {
            seen.push(match piece {
                Piece::Wrong(error) => (error.line, error.code),
                Piece::Line(line, _) => (line.line, "ok"),
                Piece::Skipped => unreachable!(),
            });
            true
        },
    );
    assert!(read.is_ok());
    let expected = [
        (1, "ok"),
        (2, "too_large"),
        (3, "ok"),
        (4, "too_large"),
        (5, "ok"),
    ];
    assert_eq!(seen, expected);
}

/// A ZIP of these members, and a manifest that says this of them.
fn zip(members: &[(&str, &[u8])], manifest: &Value) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let manifest = manifest.to_string();
    for (name, bytes) in members
        .iter()
        .copied()
        .chain([("manifest.json", manifest.as_bytes())])
    {
        writer
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn member(name: &str, bytes: u64, content: &[u8]) -> Value {
    json!({"name": name, "bytes": bytes, "sha256": hex(&sha256(&[content]))})
}

fn refused(bytes: Vec<u8>) -> String {
    let opened = Archive::open(Cursor::new(bytes));
    opened.err().expect("it is refused").to_string()
}

#[test]
fn a_zip_that_unpacks_to_far_more_than_it_is_is_refused_before_it_is_unpacked() {
    let content = b"{}";
    let good = |bytes: u64, times: usize| {
        let one = member("data.json", bytes, content);
        zip(
            &[("data.json", content)],
            &json!({"members": vec![one; times]}),
        )
    };
    assert!(Archive::open(Cursor::new(good(2, 1))).is_ok());
    let size = good(PACKAGE_UNPACKED_BYTES, 2).len() as u64;
    let room = PACKAGE_UNPACKED_BYTES + size * PACKAGE_RATIO_MAX;
    let told = refused(good(PACKAGE_UNPACKED_BYTES, 2));
    assert!(told.contains("too large") && told.contains(&room.to_string()));
    // The same few bytes, named often enough, are as much.
    let told = refused(good(room / 2_000, 2_001 + 2_001 / 3));
    assert!(told.contains("bytes that it unpacks to"), "{told}");
    // What claims less than it unpacks to is read as far as it claims.
    let zeros = vec![0; 1 << 20];
    let lying = json!({"members": [member("data.json", 10, &zeros)]});
    let told = refused(zip(&[("data.json", &zeros)], &lying));
    assert!(told.contains("not what its manifest says"), "{told}");
    // An honest one that packs well is no bomb.
    let honest = json!({"members": [member("data.json", 1 << 20, &zeros)]});
    assert!(Archive::open(Cursor::new(zip(&[("data.json", &zeros)], &honest))).is_ok());
}

#[test]
fn a_zip_with_a_directory_or_a_manifest_without_an_end_is_refused() {
    let nothing = zip(&[], &json!({"members": []}));
    assert!(refused(nothing).contains("no package of ours"));
    // Entries of the least length, as many as no package has; the number of them stands in ZIP64.
    let one = {
        let plain = zip(&[], &json!({}));
        let end = plain.len() - 22;
        let start = u32::from_le_bytes(plain[end + 16..end + 20].try_into().unwrap());
        plain[usize::try_from(start).unwrap()..end].to_vec()
    };
    let count = PACKAGE_DIRECTORY_BYTES_MAX / one.len() as u64 + 10_000;
    let mut bytes = one.repeat(usize::try_from(count).unwrap());
    let length = bytes.len() as u64;
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0]);
    bytes.extend([0; 8]);
    for number in [count, count, length, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(length.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([0xff; 12]);
    bytes.extend([0; 2]);
    let told = refused(bytes);
    assert!(told.contains("bytes of its directory"), "{told}");

    let many = json!({"members": vec![json!({"name": "", "bytes": 0, "sha256": ""}); 100_001]});
    assert!(refused(zip(&[], &many)).contains("no package of ours"));
    let long = json!({"members": [], "x": vec!["x".repeat(1 << 20); 33]});
    let told = refused(zip(&[], &long));
    assert!(told.contains("bytes of its manifest"), "{told}");
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep: Value = serde_json::from_str(&deep).unwrap();
    let told = refused(zip(&[], &json!({"members": [], "x": deep})));
    assert!(told.contains("within each other"), "{told}");
}

#[test]
fn a_member_that_the_manifest_does_not_name_is_not_read() {
    let content = b"{}";
    let members: [(&str, &[u8]); 2] = [("data.json", content), ("files/a", b"anything")];
    let one = member("data.json", 2, content);
    let named = json!({"members": [one, member("files/a", 8, b"anything")]});
    let mut archive = Archive::open(Cursor::new(zip(&members, &named))).unwrap();
    let mut read = Vec::new();
    archive
        .member("files/a")
        .unwrap()
        .read_to_end(&mut read)
        .unwrap();
    assert_eq!(read, b"anything");

    let unnamed = json!({"members": [one]});
    let mut archive = Archive::open(Cursor::new(zip(&members, &unnamed))).unwrap();
    for name in ["files/a", "manifest.json", "files/b"] {
        let told = archive.member(name).err().expect("it is not there");
        assert!(matches!(told, ArchiveError::Damaged));
    }
}

/// A file that somebody writes to while it is read.
#[derive(Clone)]
struct Changing(std::rc::Rc<std::cell::RefCell<Vec<u8>>>, u64);

impl Read for Changing {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let mut from = Cursor::new(self.0.borrow().clone());
        from.set_position(self.1);
        let read = from.read(bytes)?;
        self.1 += read as u64;
        Ok(read)
    }
}

impl std::io::Seek for Changing {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let mut from = Cursor::new(self.0.borrow().clone());
        from.set_position(self.1);
        self.1 = from.seek(to)?;
        Ok(self.1)
    }
}

#[test]
fn a_member_that_is_changed_after_it_was_checked_is_not_handed_over_whole() {
    let text = b"a b c d e f g h";
    let named = json!({"members": [member("data.json", 2, b"{}"), member("files/a", 15, text)]});
    let stored = |content: &[u8]| {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let plain = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        let manifest = named.to_string();
        let members: [(&str, &[u8]); 3] = [
            ("data.json", b"{}"),
            ("files/a", content),
            ("manifest.json", manifest.as_bytes()),
        ];
        for (name, bytes) in members {
            writer.start_file(name, plain).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let bytes = std::rc::Rc::new(std::cell::RefCell::new(stored(text)));
    let mut archive = Archive::open(Changing(bytes.clone(), 0)).unwrap();
    let mut beside = archive.clone();
    let all = |archive: &mut Archive<Changing>| {
        let mut content = archive.member("files/a").unwrap();
        let mut read = Vec::new();
        let done = content.read_to_end(&mut read);
        (done.is_ok(), content.damaged(), read)
    };
    assert_eq!(all(&mut archive), (true, false, text.to_vec()));
    assert_eq!(all(&mut beside), (true, false, text.to_vec()));
    // Exactly as many bytes as there are may be read, and no more asked for.
    let mut content = archive.member("files/a").unwrap();
    let mut exactly = vec![0; 15];
    content.read_exact(&mut exactly).unwrap();
    drop(content);
    // The ZIP's own check sum is that of this, too: what differs is a multiple of its polynomial.
    let mut other = *text;
    for (byte, change) in other.iter_mut().zip([0x41, 0x06, 0x71, 0xdb, 0x01]) {
        *byte ^= change;
    }
    let other = stored(&other);
    let differ = bytes
        .borrow()
        .iter()
        .zip(&other)
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!((other.len(), differ), (bytes.borrow().len(), 5));
    *bytes.borrow_mut() = other;
    let mut again = Archive::open(Changing(bytes.clone(), 0));
    assert!(matches!(again.as_mut().err(), Some(ArchiveError::Damaged)));
    for archive in [&mut archive, &mut beside] {
        let (done, damaged, read) = all(archive);
        assert!(!done && damaged && read.len() < text.len());
        let mut content = archive.member("files/a").unwrap();
        assert!(content.read_exact(&mut exactly).is_err());
    }
}

/// Between an objection and its end an address would go on the suppression list: they have one number, and are
/// written together.
#[test]
fn the_steps_of_an_objection_up_to_its_end_are_one_row_and_those_of_another_are_not() {
    let package = format!(
        r#"{HEAD}, "objections": [
        {{"purpose": "a", "history": [{{"state": "pending"}}, {{"state": "upheld"}}, {{"state": "ended"}}, {{"state": "upheld"}}]}},
        {{"purpose": "b", "history": [{{"state": "upheld"}}]}}], "records": [], "end": true}}"#
    );
    let mut rows = Vec::new();
    read_document(package.as_bytes(), &mut |piece| {
        if let Piece::Line(line, _) = piece
            && let crate::vault::ImportWhat::Objection { purpose, state, .. } = &line.what
        {
            rows.push((line.line, purpose.clone(), state.name()));
        }
        true
    })
    .unwrap();
    let first = rows[0].0;
    let rows: Vec<_> = rows
        .iter()
        .map(|(line, purpose, state)| (line - first, purpose.as_str(), *state))
        .collect();
    let expected = [
        (0, "a", "pending"),
        (0, "a", "upheld"),
        (0, "a", "ended"),
        (1, "a", "upheld"),
        (2, "b", "upheld"),
    ];
    assert_eq!(rows, expected);
}

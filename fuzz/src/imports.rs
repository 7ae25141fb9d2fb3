//! Files that somebody brings: mappings with what they map, and packages.

use std::io::{Cursor, Read};

use vault_core::import::{Archive, Mapping, Piece, read_document, read_rows};
use vault_core::limits::IMPORT_FILES_PER_LINE_MAX;
use vault_core::vault::ImportWhat;

/// What stands between a mapping and its rows.
pub const ROWS: &[u8] = b"\n---\n";

/// Numbers never go back, and a line that is wrong says no value.
fn pieces() -> impl FnMut(Piece) -> bool {
    let mut last = 0;
    move |piece| {
        let line = match piece {
            Piece::Line(line, files) => {
                if let ImportWhat::Record { files: names, .. } = &line.what {
                    assert_eq!(names.len(), files.len());
                    assert!(files.len() <= IMPORT_FILES_PER_LINE_MAX);
                }
                line.line
            }
            Piece::Wrong(error) => {
                assert!(error.code.len() < 20);
                error.line
            }
            Piece::Skipped => last,
        };
        assert!(line >= last, "lines go on");
        last = line;
        true
    }
}

/// A mapping; behind `---` on a line, rows of CSV or JSON Lines that it is used for.
pub fn mapping(data: &[u8]) {
    let at = data.windows(ROWS.len()).position(|part| part == ROWS);
    let (mapping, rows) = match at {
        Some(at) => (&data[..at], &data[at + ROWS.len()..]),
        None => (data, &b"id,name\n1,Ann\n"[..]),
    };
    let Ok(mapping) = std::str::from_utf8(mapping) else {
        return;
    };
    let Ok(mapping) = Mapping::parse(mapping) else {
        return;
    };
    let _ = mapping.collections();
    let _ = mapping.column_of("profile", "name");
    let _ = read_rows(&mapping, rows, &mut pieces());
}

/// A package as a document.
pub fn package_json(data: &[u8]) {
    let mut count = 0;
    let mut each = pieces();
    let read = read_document(data, &mut |piece| {
        count += 1;
        each(piece)
    });
    // Whoever wants no more is given no more.
    if read.is_ok() && count > 1 {
        let mut given = 0;
        let _ = read_document(data, &mut |_| {
            given += 1;
            given < 2
        });
        assert_eq!(given, 2);
    }
}

/// A package as a ZIP: its directory, its manifest, and every member that this names.
pub fn package_zip(data: &[u8]) {
    let Ok(mut archive) = Archive::open(Cursor::new(data)) else {
        return;
    };
    let document = archive.member("data.json").expect("it was checked");
    let _ = read_document(document.take(1 << 20), &mut pieces());
}

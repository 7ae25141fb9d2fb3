//! A vault as `init` leaves it, with one thing changed at a time.

use super::*;

fn fact(path: &str, kind: FileKind, mode: u32, bytes: u64) -> FileFact {
    FileFact {
        path: path.into(),
        kind,
        mode,
        owner: 7,
        bytes,
    }
}

/// As `init` leaves it, the anchor on a disk of its own.
fn good() -> Files {
    use FileKind::{Directory, File, Socket};
    Files {
        dir: "/srv/v".into(),
        anchor: "/anchor/v".into(),
        entries: vec![
            fact("/srv/v", Directory, 0o40700, 4096),
            fact("/srv/v/vault.redb", File, 0o100_600, 100 << 20),
            fact("/srv/v/reserve", File, 0o100_600, RESERVE_BYTES),
            fact("/srv/v/vault.toml", File, 0o100_644, 10),
            fact("/srv/v/admin.sock", Socket, 0o140_600, 0),
            fact("/anchor/v", Directory, 0o40700, 4096),
            fact("/anchor/v/anchor", File, 0o100_600, ANCHOR_BYTES),
            fact("/anchor/v/slots", File, 0o100_600, SLOTS_BYTES),
            fact("/anchor/v/CACHEDIR.TAG", File, 0o100_600, 43),
        ],
        room: Some(Room {
            free_bytes: 1 << 30,
            size_bytes: 1 << 40,
        }),
        keeps_old_bytes: None,
        user: Some(7),
    }
}

fn found(change: impl FnOnce(&mut Files)) -> Vec<(Severity, &'static str, String)> {
    let mut files = good();
    change(&mut files);
    let mut findings = Findings::default();
    check(&files, &mut findings);
    let all = findings.0.into_iter();
    all.map(|finding| (finding.severity, finding.code, finding.place))
        .collect()
}

fn at(files: &mut Files, path: &str) -> usize {
    let entries = files.entries.iter();
    entries
        .enumerate()
        .find(|(_, fact)| fact.path == Path::new(path))
        .expect("it is there")
        .0
}

#[track_caller]
fn one(severity: Severity, code: &str, place: &str, change: impl FnOnce(&mut Files)) {
    let found = found(change);
    assert_eq!(found.len(), 1, "{found:?}");
    let (sev, word, at) = &found[0];
    assert_eq!((*sev, *word, at.as_str()), (severity, code, place));
}

#[test]
fn a_vault_as_init_leaves_it_has_no_finding() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn each_bit_for_others_is_found_at_its_file_and_a_readable_configuration_is_not() {
    for (path, mode) in [
        ("/srv/v", 0o40750),
        ("/srv/v/vault.redb", 0o100_640),
        ("/srv/v/admin.sock", 0o140_666),
        ("/srv/v/vault.toml", 0o100_664),
        ("/anchor/v", 0o40701),
        ("/anchor/v/anchor", 0o100_604),
    ] {
        one(Severity::Error, "permissions", path, |files| {
            let at = at(files, path);
            files.entries[at].mode = mode;
        });
    }
}

#[test]
fn another_owner_and_a_link_are_found() {
    one(Severity::Error, "owner", "/anchor/v/slots", |files| {
        let at = at(files, "/anchor/v/slots");
        files.entries[at].owner = 0;
    });
    one(Severity::Warning, "not_a_file", "/srv/v/x", |files| {
        files
            .entries
            .push(fact("/srv/v/x", FileKind::Other, 0o120_777, 3));
    });
}

#[test]
fn what_is_missing_or_cut_is_damage() {
    for (path, code) in [
        ("/srv/v/vault.redb", "database_missing"),
        ("/anchor/v/anchor", "anchor_damaged"),
        ("/anchor/v/slots", "slots_damaged"),
    ] {
        one(Severity::Damage, code, path, |files| {
            let at = at(files, path);
            files.entries.remove(at);
        });
    }
    one(
        Severity::Damage,
        "anchor_damaged",
        "/anchor/v/anchor",
        |f| {
            let at = at(f, "/anchor/v/anchor");
            f.entries[at].bytes -= 1;
        },
    );
}

#[test]
fn leftovers_are_told_apart_from_a_creation_that_was_cut_off() {
    let left = "/srv/v/vault.redb.unfinished";
    one(Severity::Warning, "leftover", left, |files| {
        files.entries.push(fact(left, FileKind::File, 0o100_600, 9));
    });
    one(Severity::Error, "half_created", left, |files| {
        let at = at(files, "/srv/v/vault.redb");
        files.entries[at].path = left.into();
    });
}

#[test]
fn room_is_held_against_the_reserve_first_and_then_against_the_database() {
    let free = |bytes| {
        move |files: &mut Files| {
            files.room = Some(Room {
                free_bytes: bytes,
                size_bytes: 1 << 40,
            });
        }
    };
    let least = RESERVE_BYTES + UPLOAD_FREE_BYTES_MIN;
    one(Severity::Error, "disk_room", "/srv/v", free(least - 1));
    one(Severity::Warning, "disk_room", "/srv/v", free(least));
    assert_eq!(found(free(100 << 20)), []);
    one(
        Severity::Error,
        "reserve_missing",
        "/srv/v/reserve",
        |files| {
            let at = at(files, "/srv/v/reserve");
            files.entries.remove(at);
        },
    );
}

#[test]
fn an_anchor_on_a_medium_that_remembers_or_inside_the_vault_is_an_error() {
    one(Severity::Error, "file_system", "/anchor/v", |files| {
        files.keeps_old_bytes = Some("btrfs".into());
    });
    one(Severity::Warning, "anchor_untagged", "/anchor/v", |files| {
        let at = at(files, "/anchor/v/CACHEDIR.TAG");
        files.entries.remove(at);
    });
    let moved = |to: &'static str| {
        move |files: &mut Files| {
            for fact in &mut files.entries {
                if let Ok(rest) = fact.path.strip_prefix("/anchor/v") {
                    fact.path = match rest.as_os_str().is_empty() {
                        true => to.into(),
                        false => Path::new(to).join(rest),
                    };
                }
            }
            files.anchor = to.into();
        }
    };
    let inside = "/srv/v/anchor-of-it";
    one(
        Severity::Error,
        "anchor_in_backup_tree",
        inside,
        moved(inside),
    );
    one(
        Severity::Note,
        "anchor_beside",
        "/srv/v-anchor",
        moved("/srv/v-anchor"),
    );
}

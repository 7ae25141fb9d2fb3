//! A deep rotation over a vault in which something is damaged: it ends, says of how many people something
//! is lost, and takes no key that a damaged row may need.

use super::rotation_deep::{
    bench, by_channel, by_email, email_of, person, support, system, to_the_end,
};
use super::*;
use data_encoding::HEXLOWER;

use crate::commit::View as _;
use crate::crypto::{Location, key_number};
use crate::person::Person;
use crate::row;
use crate::store::{Direction, KeyRange, Table, WriteTx as _};
use crate::vault::SystemKeyView;

type Damage = fn(&mut Vec<u8>);

fn first_row(vault: &Vault, table: Table) -> (Vec<u8>, Vec<u8>) {
    let view = vault.snapshot().unwrap();
    let rows = view
        .tx()
        .range(table, &KeyRange::all(), Direction::Ascending, 1);
    rows.unwrap().remove(0)
}

fn put(vault: &Vault, table: Table, key: &[u8], row: Vec<u8>) {
    let key = key.to_vec();
    vault
        .engine
        .submit(move |txn| Ok(txn.put(table, &key, &row)?))
        .unwrap();
}

/// What would be lost: a rotation that never ends, or, once the row is put right, the key that it needs.
#[test]
fn a_row_whose_head_is_damaged_keeps_every_key_that_may_be_its_own() {
    let head: [(&str, Damage); 4] = [
        ("another version", |row| row[0] ^= 0xff),
        ("a short row", |row| row.truncate(10)),
        ("the number of no key", |row| row[4] = 7),
        ("the number of the newest key", |row| row[4] = 1),
    ];
    for (what, damage) in head {
        let (bench, keeper) = bench();
        let vault = &bench.vault;
        let gone = person(vault, &keeper, "gone");
        vault.erase_subject(&call(&keeper, None), gone).unwrap();
        let rows = [Table::Tombstones, Table::Audit].map(|table| {
            let (key, row) = first_row(vault, table);
            assert_eq!(key_number(&row), Some(0));
            let mut changed = row.clone();
            damage(&mut changed);
            put(vault, table, &key, changed);
            (table, key, row)
        });
        vault.begin_rotation(&call(&keeper, None), true).unwrap();
        let ended = to_the_end(vault);
        assert_eq!(ended.stage, Stage::Ended, "{what}");
        assert_eq!(ended.rows_damaged, 2, "{what}");
        assert!(ended.met_damage());
        let keys = system(vault);
        for (table, key, row) in &rows {
            let (table, key) = (*table, key.as_slice());
            let ring = match table {
                Table::Audit => &keys.audit,
                _ => &keys.system,
            };
            assert!(ring.numbers().eq([0, 1]), "{what}: {table:?}");
            let vault = vault.snapshot().unwrap().vault();
            let place = Location::row(vault, table.number(), key);
            assert!(ring.unseal(&place, row).is_ok(), "{what}: {table:?}");
        }
        // What is sealed anew has left the old keys all the same.
        let seen = vault.system_keys(&call(&keeper, None)).unwrap();
        let left = |key: &SystemKeyView| !key.current && key.values > 0;
        assert!(!seen.keys.iter().any(left), "{what}: {seen:?}");
        assert_eq!(seen.damaged, 2);
        let named: Vec<_> = seen
            .named
            .iter()
            .map(|row| (row.table, row.row.as_str()))
            .collect();
        let tombstone = HEXLOWER.encode(&rows[0].1);
        assert_eq!(named, [("tombstones", tombstone.as_str()), ("audit", "0")]);

        // The way out: the rows as a backup has them, and another rotation.
        for (table, key, row) in rows {
            put(vault, table, &key, row);
        }
        vault.begin_rotation(&call(&keeper, None), true).unwrap();
        let ended = to_the_end(vault);
        assert_eq!(
            (ended.stage, ended.rows_damaged),
            (Stage::Ended, 0),
            "{what}"
        );
        assert!(!ended.met_damage());
        let keys = system(vault);
        assert!(
            keys.system.numbers().eq([2]) && keys.audit.numbers().eq([2]),
            "{what}"
        );
        assert!(
            vault
                .system_keys(&call(&keeper, None))
                .unwrap()
                .named
                .is_empty()
        );
    }
}

/// What would be lost: the key of a row whose number was damaged into that of another old key.
#[test]
fn a_row_that_names_another_old_key_keeps_its_own_as_well() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let gone = person(vault, &keeper, "gone");
    vault.erase_subject(&call(&keeper, None), gone).unwrap();
    // One that keeps the first key.
    let (other, sealed) = first_row(vault, Table::Policies);
    let mut changed = sealed;
    *changed.last_mut().unwrap() ^= 1;
    let kept = changed.clone();
    let rotate = || {
        vault.begin_rotation(&call(&keeper, None), true).unwrap();
        let ended = to_the_end(vault);
        assert_eq!(ended.stage, Stage::Ended);
        ended.rows_damaged
    };
    put(vault, Table::Policies, &[&other[..], b"x"].concat(), kept);
    assert_eq!(rotate(), 1);
    let (key, row) = first_row(vault, Table::Tombstones);
    assert_eq!(key_number(&row), Some(1));
    let mut changed = row.clone();
    changed[4] = 0;
    put(vault, Table::Tombstones, &key, changed);
    assert_eq!(rotate(), 2);
    let ring = system(vault).system;
    let place = Location::row(
        vault.snapshot().unwrap().vault(),
        Table::Tombstones.number(),
        &key,
    );
    assert!(ring.unseal(&place, &row).is_ok());
}

/// What would be lost: people whom no look-up finds any more, without a word; and the look-ups by the values
/// behind a damaged one.
#[test]
fn who_is_not_wholly_in_the_new_index_is_counted_and_what_opens_is_in_it() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let ann = person(vault, &keeper, "ann");
    let body = object(json!({"phone": "+34 600 123 456"}));
    vault
        .patch_single(&support(&keeper), ann, "profile", body, None)
        .unwrap();
    let bob = person(vault, &keeper, "bob");
    let eve = person(vault, &keeper, "eve");
    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    let view = vault.rotate_on(&mut |view| match view.stage {
        Stage::People => Onwards::Yes,
        _ => Onwards::No,
    });
    let view = view.unwrap().unwrap();
    assert_eq!((view.stage, view.done, view.skipped), (Stage::Index, 3, 0));
    // Behind everybody's keys: whoever is damaged before is counted there.
    let snapshot = vault.snapshot().unwrap();
    let handle = |subject| Person::find(&snapshot, subject).unwrap().entry.handle;
    let policy = vault.policy_of(&snapshot).unwrap();
    let profile = policy
        .collections()
        .iter()
        .find(|c| c.name == "profile")
        .unwrap();
    let email = profile
        .fields
        .iter()
        .position(|f| f.name == "email")
        .unwrap();
    let phone = profile
        .fields
        .iter()
        .position(|f| f.name == "phone")
        .unwrap();
    assert!(email < phone, "the damaged one comes first");
    let of_ann = KeyRange::prefix(handle(ann).as_bytes());
    let rows = snapshot
        .tx()
        .range(Table::Records, &of_ann, Direction::Ascending, 9);
    let (key, row) = rows.unwrap().remove(0);
    let mut values: Vec<(u16, Vec<u8>)> = row::decode(&row).unwrap();
    let id = profile.fields[email].id;
    let (_, value) = values.iter_mut().find(|(field, _)| *field == id).unwrap();
    *value.last_mut().unwrap() ^= 1;
    let of_eve = handle(eve).as_bytes().to_vec();
    let keyset = snapshot.tx().get(Table::Keysets, &of_eve).unwrap();
    let mut keyset = keyset.unwrap();
    *keyset.last_mut().unwrap() ^= 1;
    drop(snapshot);
    put(vault, Table::Records, &key, row::encode(&values).to_vec());
    put(vault, Table::Keysets, &of_eve, keyset);

    let ended = to_the_end(vault);
    assert_eq!(
        (ended.stage, ended.done, ended.skipped),
        (Stage::Ended, 3, 0)
    );
    assert_eq!((ended.unindexed, ended.unsought), (2, 0));
    assert!(ended.met_damage());
    let by_phone = vault.lookup_field(&support(&keeper), "profile.phone", &json!("+34600123456"));
    assert_eq!(by_phone.unwrap(), ann);
    assert_eq!(by_channel(vault, &keeper, "ann"), Some(ann));
    assert_eq!(by_email(vault, &keeper, &email_of("ann")), None);
    assert_eq!(by_email(vault, &keeper, &email_of("bob")), Some(bob));
    assert_eq!(by_channel(vault, &keeper, "bob"), Some(bob));
}

/// What would be lost without a word: look-ups by a field that the policy takes back later.
#[test]
fn who_loses_the_values_of_a_field_that_is_no_longer_looked_up_by_is_counted_apart() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    person(vault, &keeper, "ann");
    let (bare, _) = vault
        .create_subject(&support(&keeper), "web", "bob")
        .unwrap();
    let with = format!("{}{}", SAMPLE, super::rotation_deep::KEEPER);
    let without = with.replacen(", lookup = true", "", 1);
    assert_ne!(with, without);
    let holder = vault.keyholder();
    vault
        .apply_policy(&call(&holder, None), &without, false)
        .unwrap();
    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    let ended = to_the_end(vault);
    assert_eq!((ended.unindexed, ended.unsought), (0, 1));
    assert!(!ended.met_damage());
    vault
        .apply_policy(&call(&holder, None), &with, false)
        .unwrap();
    assert_eq!(by_email(vault, &keeper, &email_of("ann")), None);
    assert_eq!(by_channel(vault, &keeper, "bob"), Some(bare));
}

/// What would be lost, once the row is put right: everything of the person that lies in it, with the key that
/// went because the row claimed to be done.
#[test]
fn a_persons_row_that_claims_a_newer_key_keeps_the_old_ones() {
    for above in [1, 2, 1 << 24] {
        let (bench, keeper) = bench();
        let vault = &bench.vault;
        let ann = person(vault, &keeper, "ann");
        person(vault, &keeper, "bob");
        let found = Person::find(&vault.snapshot().unwrap(), ann).unwrap();
        let (highest, handle) = (found.keyset.highest(), found.entry.handle);
        drop(found);
        let rotate = || {
            vault.begin_rotation(&call(&keeper, None), false).unwrap();
            let ended = to_the_end(vault);
            assert_eq!(ended.stage, Stage::Ended);
            (ended.done, ended.skipped)
        };
        let range = KeyRange::prefix(handle.as_bytes());
        for table in [Table::Subjects, Table::RecordMeta] {
            let rows = {
                let view = vault.snapshot().unwrap();
                view.tx().range(table, &range, Direction::Ascending, 1)
            };
            let (key, row) = rows.unwrap().remove(0);
            let mut changed = row.clone();
            // Metadata have the hour of their end before the envelope.
            let at = if table == Table::RecordMeta { 5 } else { 1 };
            changed[at..at + 4].copy_from_slice(&(highest + above).to_be_bytes());
            put(vault, table, &key, changed);
            assert_eq!(rotate(), (1, 1), "{table:?} {above}");
            put(vault, table, &key, row);
        }
        assert_eq!(rotate(), (2, 0));
        let now = Person::find(&vault.snapshot().unwrap(), ann)
            .unwrap()
            .keyset;
        assert!(now.keys.iter().all(|dek| dek.number > highest));
        assert_eq!(by_channel(vault, &keeper, "ann"), Some(ann));
        let read = profile(vault, &support(&keeper), ann, None).unwrap();
        assert!(format!("{read:?}").contains("ann@"), "{read:?}");
    }
}

/// What would be lost: a rotation that waits for ever for the ordinary building that it has to end first.
#[test]
fn an_ordinary_building_that_meets_a_damaged_keyset_does_not_hold_it_up() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let ann = person(vault, &keeper, "ann");
    person(vault, &keeper, "bob");
    let handle = Person::find(&vault.snapshot().unwrap(), ann)
        .unwrap()
        .entry
        .handle;
    let keyset = vault
        .snapshot()
        .unwrap()
        .tx()
        .get(Table::Keysets, handle.as_bytes());
    let kept = keyset.unwrap().unwrap();
    let mut keyset = kept.clone();
    *keyset.last_mut().unwrap() ^= 1;
    put(vault, Table::Keysets, handle.as_bytes(), keyset);
    assert!(vault.rebuild_index_step().unwrap());
    vault.begin_rotation(&call(&keeper, None), true).unwrap();
    let ended = to_the_end(vault);
    assert_eq!(
        (ended.stage, ended.skipped, ended.unindexed),
        (Stage::Ended, 1, 1)
    );
    assert_eq!(by_channel(vault, &keeper, "ann"), None);
    assert!(by_channel(vault, &keeper, "bob").is_some());
    // The key of the keyset is where it was.
    put(vault, Table::Keysets, handle.as_bytes(), kept);
    let read = profile(vault, &support(&keeper), ann, None).unwrap();
    assert!(format!("{read:?}").contains("ann@"), "{read:?}");
}

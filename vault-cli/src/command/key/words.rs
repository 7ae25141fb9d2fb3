//! What `key` says: how a rotation stands, what it met, and the keys in tables.

use serde_json::Value;

use super::super::{cell, day};
use crate::terminal::{Column, Table, Terminal, Tone};

pub(super) fn count(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or(0)
}

/// What a rotation has met that does not open, in words.
pub(super) fn met(rotation: &Value) -> Vec<String> {
    let counts = [
        (
            "people_skipped",
            "people keep their old keys, because rows of theirs are damaged",
        ),
        (
            "people_unindexed",
            "people are not found by every look-up value of theirs, because one is damaged",
        ),
        (
            "rows_damaged",
            "rows that belong to nobody, or of the log, do not open (`key status` names them)",
        ),
    ];
    let counts = counts.map(|(name, what)| (count(rotation, name), what));
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

/// How a rotation stands, in words.
pub(super) fn sentence(rotation: &Value) -> String {
    if rotation.is_null() {
        return "there was no rotation of all keys yet".to_owned();
    }
    let (done, people) = (&rotation["people_done"], &rotation["people"]);
    let kind = if rotation["deep"] == true {
        " (deep)"
    } else {
        ""
    };
    let mut met = met(rotation);
    match count(rotation, "people_unsought") {
        0 => {}
        people => met.push(format!(
            "{people} people have left the index with values of fields that the policy does not look up by now"
        )),
    }
    let met: String = met.iter().map(|what| format!("; {what}")).collect();
    match (rotation["state"].as_str(), rotation["stage"].as_str()) {
        (Some("done"), _) => format!(
            "rotation {}{kind} has ended on {}: {done} people have new keys{met}",
            rotation["number"],
            day(&rotation["ended_at"]),
        ),
        (state, Some(stage @ ("index" | "marks" | "rows"))) => {
            let (what, of) = match stage {
                "index" => ("the index is built under new keys", "people"),
                "marks" => ("what led to the old index leaves the keysets", "people"),
                _ => (
                    "what belongs to nobody, and the log, is sealed again",
                    "rows",
                ),
            };
            format!(
                "rotation {}{kind} is {}: {done} people have new keys; {what}: {} of {} {of}{met}",
                rotation["number"],
                state.unwrap_or("under way"),
                rotation["step_done"],
                rotation["step_total"],
            )
        }
        (state, _) => format!(
            "rotation {}{kind} is {}: {done} of {people} people have new keys, {} are left{met}",
            rotation["number"],
            state.unwrap_or("under way"),
            rotation["people_left"],
        ),
    }
}

pub(super) fn status(terminal: &Terminal, answer: &Value) -> String {
    let (root, index) = (&answer["root"], &answer["index"]);
    let table = Table::pairs(
        [
            ("root key, epoch", cell(&root["epoch"])),
            ("root key, slots", cell(&root["slots"])),
            ("root key rotated", day(&root["rotated_at"])),
            ("index, generation", cell(&index["generation"])),
            ("index, keys", cell(&index["keys"])),
            ("log signed by", cell(&answer["signer"]["key"])),
            ("people's keys", sentence(&answer["rotation"])),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let mut text = terminal.table(&table);
    let system = &answer["system_keys"];
    if system.is_array() {
        text = format!(
            "{}\n\n{}",
            text.trim_end(),
            terminal.table(&system_keys(system))
        );
        let ending = system.as_array().into_iter().flatten();
        for key in ending.filter(|key| key["state"] == "ending") {
            text.push_str(&format!(
                "{} values still under key {} of {}\n",
                key["values"],
                key["key"],
                match key["of"] == "log" {
                    true => "the log",
                    false => "rows that belong to nobody",
                },
            ));
        }
        text.push_str(&unopened(&answer["damaged_rows"]));
    }
    let keys = &answer["subject_keys"];
    if keys.is_array() {
        text = format!("{}\n\n{}", text.trim_end(), terminal.table(&keys_of(keys)));
        let keys = keys.as_array().into_iter().flatten();
        for key in keys.filter(|key| key["state"] == "ending") {
            text.push_str(&format!(
                "{} values still under key {}\n",
                key["values"], key["key"]
            ));
        }
    }
    text
}

/// Which rows do not open.
fn unopened(rows: &Value) -> String {
    let named: Vec<String> = rows["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            format!(
                "does not open: {} {}\n",
                cell(&row["table"]),
                cell(&row["row"])
            )
        })
        .collect();
    let more = count(rows, "count").saturating_sub(named.len() as u64);
    match more {
        0 => named.concat(),
        more => format!("{}and {more} more\n", named.concat()),
    }
}

fn system_keys(keys: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::name("of"),
        Column::new("key", 0),
        Column::new("state", 1),
        Column::new("values", 2),
    ]);
    for key in keys.as_array().into_iter().flatten() {
        let cells = ["of", "key", "state", "values"].map(|name| cell(&key[name]));
        table.push(cells.map(|text| (text, Tone::Plain)).into());
    }
    table
}

pub(super) fn keys_of(keys: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::name("key"),
        Column::new("compartment", 0),
        Column::new("period", 1),
        Column::new("state", 2),
        Column::new("values", 3),
    ]);
    for key in keys.as_array().into_iter().flatten() {
        let cells = [
            cell(&key["key"]),
            cell(&key["compartment"]),
            day(&key["period"]),
            cell(&key["state"]),
            cell(&key["values"]),
        ];
        table.push(cells.map(|text| (text, Tone::Plain)).into());
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rotation(state: &str, stage: &str) -> Value {
        json!({
            "number": 2, "deep": true, "state": state, "stage": stage, "begun_at": null,
            "ended_at": null, "people": 10, "people_done": 7, "people_left": 0, "people_skipped": 0,
            "people_unindexed": 0, "people_unsought": 0, "rows_damaged": 0, "step_done": 3,
            "step_total": 9,
        })
    }

    /// Somebody who was erased before their turn has no old keys, and nobody is said to have any.
    #[test]
    fn a_rotation_that_met_no_damage_speaks_of_no_old_keys() {
        for (state, stage) in [("done", "ended"), ("running", "index"), ("paused", "rows")] {
            let said = sentence(&rotation(state, stage));
            assert!(said.contains("7 people have new keys"), "{said}");
            assert!(
                !said.contains("old keys") && !said.contains("damaged"),
                "{said}"
            );
            assert!(met(&rotation(state, stage)).is_empty());
        }
    }

    #[test]
    fn whatever_does_not_open_is_said_and_a_field_no_longer_looked_up_by_is_no_damage() {
        for (name, part) in [
            ("people_skipped", "4 people keep their old keys"),
            (
                "people_unindexed",
                "4 people are not found by every look-up value",
            ),
            ("rows_damaged", "4 rows that belong to nobody"),
        ] {
            for state in ["done", "running"] {
                let mut rotation = rotation(state, "marks");
                rotation[name] = json!(4);
                assert!(sentence(&rotation).contains(part), "{rotation}");
                assert_eq!(met(&rotation).len(), 1);
            }
        }
        let mut unsought = rotation("done", "ended");
        unsought["people_unsought"] = json!(4);
        assert!(sentence(&unsought).contains("4 people have left the index"));
        assert!(met(&unsought).is_empty());
    }

    #[test]
    fn rows_that_do_not_open_are_named_and_the_rest_is_counted() {
        let row = |row: &str| json!({"table": "audit", "row": row});
        let rows = json!({"count": 5, "rows": [row("16"), row("32")]});
        let said = "does not open: audit 16\ndoes not open: audit 32\nand 3 more\n";
        assert_eq!(unopened(&rows), said);
        assert_eq!(unopened(&json!({"count": 0, "rows": []})), "");
    }
}

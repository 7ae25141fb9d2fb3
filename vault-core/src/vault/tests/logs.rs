//! Lines of logs: nothing that is somebody's is stored as it came, a line about somebody is theirs, and every line
//! ends with the keys of its day.

use super::*;
use crate::commit::View as _;
use crate::export::{ExportInput, Form, Right, Seal};
use crate::holder::{self, Kind};
use crate::limits::{LOG_LINES_MAX, LOG_PEOPLE_MAX};
use crate::log_lines::FAILED;
use crate::policy::RestrictionGround;
use crate::store::{Direction, KeyRange, ReadTx as _, Table, WriteTx as _};
use crate::vault::{ExportStep, LogLine, LogPage, LogQuery, LogTaken, RestrictionInput};

const DAY: i64 = 24 * HOUR;

const STREAMS: &str = r#"
[logs.bot]
mode = "redact"
retention = "P30D"

[logs.strict]
mode = "drop"
retention = "P2D"

[logs.day]
mode = "token"
retention = "P2D"

[logs.whole]
mode = "encrypt"
retention = "P2D"
purpose = "support"
readers = ["reader"]

[roles.writer]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "logs.write", "sessions.create", "restrictions.set"]

[roles.officer]
read = { "*" = "full" }
may = ["audit.read", "retention.run", "subjects.erase", "subjects.export"]

[roles.reader]
purposes = ["support", "newsletter"]
may = []
"#;

const MARY: &str = "K-10023";

fn policy() -> String {
    let phone = "phone = { type = \"phone\"";
    let number = "number = { type = \"identifier\", purposes = [\"support\"], lookup = true }\n";
    assert!(SAMPLE.contains(phone));
    format!(
        "{}{STREAMS}",
        SAMPLE.replacen(phone, &format!("{number}{phone}"), 1)
    )
}

struct Case {
    bench: Bench,
    writer: Principal,
    officer: Principal,
    reader: Principal,
    ann: SubjectId,
    mary: SubjectId,
}

fn code<T>(result: Result<T, Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code(), |_| "ok")
}

fn lines(lines: &[&str]) -> Vec<Vec<u8>> {
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}

fn query() -> LogQuery {
    LogQuery {
        limit: 100,
        ..LogQuery::default()
    }
}

fn about(subject: SubjectId) -> LogQuery {
    LogQuery {
        subject: Some(subject),
        ..query()
    }
}

fn texts(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(|line| line.line.to_string()).collect()
}

impl Case {
    fn new() -> Self {
        let bench = Bench::of(&policy());
        let [writer, officer, reader] =
            ["writer", "officer", "reader"].map(|role| bench.role(role));
        let person = |user: &str, profile: Value| {
            let made = bench
                .vault
                .create_subject(&call(&writer, None), "web", user);
            let subject = made.unwrap().0;
            let writer = call(&writer, Some("support"));
            bench
                .vault
                .patch_single(&writer, subject, "profile", object(profile), None)
                .unwrap();
            subject
        };
        let ann = person(
            "ann-7731",
            json!({"name": "Canary Vandermeer", "email": "ann@example.test"}),
        );
        let mary = person("mary", json!({"number": MARY}));
        Self {
            bench,
            writer,
            officer,
            reader,
            ann,
            mary,
        }
    }

    fn vault(&self) -> &Vault {
        &self.bench.vault
    }

    fn try_write(&self, stream: &str, all: &[&str]) -> Result<LogTaken, Refusal> {
        let writer = call(&self.writer, None);
        self.vault().write_log(&writer, stream, &lines(all))
    }

    fn write(&self, stream: &str, all: &[&str]) -> LogTaken {
        self.try_write(stream, all).unwrap()
    }

    fn try_read(&self, by: &Principal, stream: &str, query: &LogQuery) -> Result<LogPage, Refusal> {
        self.read_for(by, None, stream, query)
    }

    fn read_for(
        &self,
        by: &Principal,
        purpose: Option<&str>,
        stream: &str,
        query: &LogQuery,
    ) -> Result<LogPage, Refusal> {
        self.vault().read_log(&call(by, purpose), stream, query)
    }

    fn read(&self, stream: &str, query: &LogQuery) -> Vec<String> {
        let page = self.try_read(&self.officer, stream, query).unwrap();
        assert_eq!((page.next, page.damaged), (None, 0));
        texts(&page.lines)
    }

    fn days(&self, days: i64) {
        for _ in 0..days {
            self.bench.clock.advance(DAY);
            self.vault().engine.submit(|_| Ok(())).unwrap();
        }
    }

    fn sweep(&self) {
        while self.vault().sweep(Sweep::All).unwrap() {}
    }

    /// Rows with lines: of people, and of nobody.
    fn rows(&self) -> (usize, usize) {
        let snapshot = self.vault().snapshot().unwrap();
        let (all, order) = (KeyRange::all(), Direction::Ascending);
        let keys = snapshot
            .tx()
            .keys(Table::LogLines, &all, order, usize::MAX)
            .unwrap();
        let nobodys = keys
            .iter()
            .filter(|key| key.starts_with(&[0xff; 8]))
            .count();
        (keys.len() - nobodys, nobodys)
    }

    fn holders(&self) -> usize {
        let snapshot = self.vault().snapshot().unwrap();
        holder::all(&snapshot, Kind::Logs).unwrap().len()
    }

    /// Keys of a person's compartments of logs.
    fn keys(&self, subject: SubjectId) -> usize {
        let snapshot = self.vault().snapshot().unwrap();
        let person = crate::person::Person::find(&snapshot, subject).unwrap();
        let keys = person.keyset.keys.iter();
        keys.filter(|dek| dek.compartment.log_of().is_some())
            .count()
    }
}

#[test]
fn a_find_is_replaced_dropped_told_apart_or_kept_whole_as_the_stream_says() {
    let case = Case::new();
    let all = [
        "card 4111 1111 1111 1111 refused",
        "card 4111-1111-1111-1111 refused",
        r#"{"level":"info","n":7}"#,
    ];
    let found = |taken: &LogTaken| taken.found.get("card").copied().unwrap_or_default();
    let taken = case.write("bot", &all);
    assert_eq!((taken.accepted, taken.dropped, taken.failed), (3, 0, 0));
    assert_eq!(found(&taken), 2);
    let clean = "\"card [card] refused\"";
    let harmless = "{\"level\":\"info\",\"n\":7}";
    assert_eq!(case.read("bot", &query()), [clean, clean, harmless]);

    let taken = case.write("strict", &all);
    assert_eq!((taken.accepted, taken.dropped, found(&taken)), (1, 2, 2));
    assert_eq!(case.read("strict", &query()), [harmless]);

    case.write("day", &all);
    let told = case.read("day", &query());
    assert_eq!(told[0], told[1], "the same value, the same token");
    assert!(told[0].starts_with("\"card [card:") && !told[0].contains("4111"));

    let taken = case.write("whole", &all);
    assert_eq!((taken.accepted, taken.found.len()), (3, 0));
    let page = case.read_for(&case.reader, Some("support"), "whole", &query());
    let page = page.unwrap();
    assert_eq!(
        texts(&page.lines)[0],
        "\"card 4111 1111 1111 1111 refused\""
    );
}

#[test]
fn tokens_of_another_day_tell_nothing_of_the_first() {
    let case = Case::new();
    case.write("day", &["mail ann@example.org"]);
    case.days(1);
    case.write("day", &["mail ann@example.org", "mail ann@example.org"]);
    let told = case.read("day", &query());
    assert_eq!(told.len(), 3);
    assert_ne!(told[0], told[1]);
    assert_eq!(told[1], told[2]);
}

#[test]
fn what_cannot_be_looked_at_is_stored_as_that_and_never_as_it_came() {
    let case = Case::new();
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let long = format!("canary {}", "x".repeat(20_000));
    let taken = case.write("bot", &["{\"canary\":", &deep, &long, "good"]);
    assert_eq!((taken.accepted, taken.failed), (4, 3));
    let failed = format!("\"{FAILED}\"");
    let expected = [&*failed, &*failed, &*failed, "\"good\""];
    assert_eq!(case.read("bot", &query()), expected);
    // What is no UTF-8 at all.
    let writer = call(&case.writer, None);
    let taken = case
        .vault()
        .write_log(&writer, "strict", &[b"\xff\xfe".to_vec()]);
    assert_eq!(taken.unwrap().failed, 1);
    assert_eq!(case.read("strict", &query()), [failed]);
}

#[test]
fn a_value_of_somebody_is_taken_out_and_nobody_is_told_that_it_is_one() {
    let case = Case::new();
    let (known, unknown) = (format!("order of {MARY} failed"), "order of K-10024 failed");
    let taken = [&*known, unknown].map(|line| case.write("bot", &[line]));
    assert_eq!(taken[0], taken[1], "the answer is the same");
    let expected = [
        "\"order of [identifier] failed\"",
        "\"order of K-10024 failed\"",
    ];
    assert_eq!(case.read("bot", &query()), expected);
    let taken = [&*known, unknown].map(|line| case.write("strict", &[line]));
    assert_eq!(taken[0], taken[1]);
    assert_eq!(
        case.read("strict", &query()),
        ["\"order of K-10024 failed\""]
    );
}

#[test]
fn a_line_about_somebody_loses_their_values_and_lies_and_dies_with_them() {
    let case = Case::new();
    let line = format!(
        r#"{{"subject":"{}","text":"canary VANDERMEER asked, user ann-7731","n":1}}"#,
        case.ann
    );
    let taken = case.write("bot", &[&line, "of nobody"]);
    assert_eq!((taken.accepted, taken.dropped), (2, 0));
    assert_eq!(case.read("bot", &query()), ["\"of nobody\""]);
    let own = r#"{"text":"[name] asked, user [identifier]","n":1}"#;
    assert_eq!(case.read("bot", &about(case.ann)), [own]);
    assert_eq!(case.read("bot", &about(case.mary)), [""; 0]);
    assert_eq!(case.rows(), (1, 1));

    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    assert_eq!(case.rows(), (0, 1));
    let gone = case.try_read(&case.officer, "bot", &about(case.ann));
    assert_eq!(code(gone), "erased");
    // Nothing more is taken down about them, nor about whoever never was.
    let never = line.replace(
        &case.ann.to_string(),
        &SubjectId::from_bytes([7; 16]).to_string(),
    );
    for line in [&line, &never] {
        let taken = case.write("bot", &[line]);
        assert_eq!((taken.accepted, taken.dropped), (0, 1));
    }
    assert_eq!(case.rows(), (0, 1));
}

#[test]
fn lines_are_read_until_their_time_and_their_keys_go_with_the_day() {
    let case = Case::new();
    let line = format!(r#"{{"subject":"{}","text":"x"}}"#, case.ann);
    case.write("strict", &["of nobody", &line]);
    case.write("bot", &["stays"]);
    case.days(2);
    // Two days to the millisecond: not shown any more, though the day's last line might still be.
    assert_eq!(case.read("strict", &query()), [""; 0]);
    assert_eq!(case.read("strict", &about(case.ann)), [""; 0]);
    case.sweep();
    assert_eq!(
        (case.rows(), case.holders(), case.keys(case.ann)),
        ((1, 2), 2, 1)
    );
    case.days(1);
    let due = case.vault().sweep_due().unwrap();
    assert!(due.keys >= 2, "{due:?}");
    case.sweep();
    assert_eq!(
        (case.rows(), case.holders(), case.keys(case.ann)),
        ((0, 1), 1, 0)
    );
    assert_eq!(case.read("bot", &query()), ["\"stays\""]);
}

#[test]
fn a_stream_that_the_policy_loses_takes_its_lines_with_it() {
    let case = Case::new();
    let line = format!(r#"{{"subject":"{}","text":"x"}}"#, case.ann);
    case.write("bot", &["a", &line]);
    case.write("day", &["b"]);
    let without = policy().replacen(
        "[logs.bot]\nmode = \"redact\"\nretention = \"P30D\"\n",
        "",
        1,
    );
    let keyholder = case.vault().keyholder();
    let applied = case
        .vault()
        .apply_policy(&call(&keyholder, None), &without, false)
        .unwrap();
    let told = "log bot: removed, and its lines destroyed".to_owned();
    assert!(applied.changes.contains(&told), "{:?}", applied.changes);
    assert_eq!(code(case.try_write("bot", &["c"])), "not_found");
    case.sweep();
    assert_eq!(
        (case.rows(), case.holders(), case.keys(case.ann)),
        ((0, 1), 1, 0)
    );
    assert_eq!(case.read("day", &query()).len(), 1);
}

#[test]
fn a_purge_destroys_the_days_that_it_names_and_no_other() {
    let case = Case::new();
    let line = format!(r#"{{"subject":"{}","text":"x"}}"#, case.ann);
    case.write("bot", &["first", &line]);
    case.write("day", &["another stream"]);
    let first = case
        .bench
        .clock
        .now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    case.days(1);
    case.write("bot", &["second", &line]);
    let purge = |by: &Principal, from, to| case.vault().purge_log(&call(by, None), "bot", from, to);
    assert_eq!(code(purge(&case.writer, None, None)), "role_denied");
    let yesterday = first.yesterday().unwrap();
    assert_eq!(
        code(purge(&case.officer, Some(first), Some(yesterday))),
        "invalid"
    );
    let none = purge(&case.officer, None, Some(yesterday)).unwrap();
    assert_eq!((none.keys, none.people), (0, 0));
    let purged = purge(&case.officer, None, Some(first)).unwrap();
    assert_eq!((purged.keys, purged.people), (1, 1));
    assert_eq!(case.read("bot", &query()), ["\"second\""]);
    assert_eq!(case.read("bot", &about(case.ann)), ["{\"text\":\"x\"}"]);
    assert_eq!(case.read("day", &query()).len(), 1);
    assert_eq!(case.keys(case.ann), 2, "the key waits for the sweeper");
    case.sweep();
    assert_eq!(case.keys(case.ann), 1);
    assert_eq!(case.read("bot", &about(case.ann)).len(), 1);
}

#[test]
fn a_purge_of_the_day_at_hand_gives_what_comes_after_it_another_key() {
    let case = Case::new();
    let line = |n: u8| format!(r#"{{"subject":"{}","n":{n}}}"#, case.ann);
    case.write("bot", &[&line(1)]);
    case.vault()
        .purge_log(&call(&case.officer, None), "bot", None, None)
        .unwrap();
    case.write("bot", &[&line(2)]);
    let number = || {
        let snapshot = case.vault().snapshot().unwrap();
        let person = crate::person::Person::find(&snapshot, case.ann).unwrap();
        let logs = person.keyset.keys.iter();
        let mut logs = logs.filter(|dek| dek.compartment.log_of().is_some());
        logs.next().map(|dek| dek.number)
    };
    let before = number();
    case.sweep();
    assert_ne!(number(), before);
    assert_eq!(case.read("bot", &about(case.ann)), ["{\"n\":2}"]);
}

#[test]
fn who_may_write_and_read_is_the_policys_word() {
    let case = Case::new();
    case.write("bot", &["a"]);
    case.write("whole", &["b"]);
    let write = |by: &Principal| {
        let all = lines(&["x"]);
        code(case.vault().write_log(&call(by, None), "bot", &all))
    };
    assert_eq!(write(&case.officer), "role_denied");
    assert_eq!(code(case.try_write("unknown", &["x"])), "not_found");
    let read = |by: &Principal, stream: &str| code(case.try_read(by, stream, &query()));
    assert_eq!(read(&case.officer, "bot"), "ok");
    assert_eq!(read(&case.officer, "whole"), "role_denied");
    assert_eq!(read(&case.reader, "bot"), "role_denied");
    assert_eq!(read(&case.writer, "bot"), "role_denied");
    assert_eq!(read(&case.officer, "unknown"), "not_found");
    assert_eq!(read(&case.writer, "unknown"), "role_denied");
    // Whoever has an unlock secret alone reads no lines.
    assert_eq!(read(&case.vault().keyholder(), "bot"), "role_denied");
}

#[test]
fn article_5_1_b_whole_lines_are_read_for_their_purpose_and_the_log_says_so() {
    let case = Case::new();
    case.write(
        "whole",
        &["of nobody", &format!(r#"{{"subject":"{}"}}"#, case.ann)],
    );
    for query in [query(), about(case.ann)] {
        let read = |purpose| code(case.read_for(&case.reader, purpose, "whole", &query));
        assert_eq!(read(None), "purpose_missing");
        // One that its role serves, and the lines are not kept for; and none at all.
        assert_eq!(read(Some("newsletter")), "purpose_denied");
        assert_eq!(read(Some("unknown")), "purpose_denied");
        assert_eq!(read(Some("support")), "ok");
        // Whoever is no reader is told nothing of purposes.
        let other = case.read_for(&case.officer, Some("support"), "whole", &query);
        assert_eq!(code(other), "role_denied");
    }
    // What the log has of it: a commit takes the journal in.
    case.vault().engine.submit(|_| Ok(())).unwrap();
    let snapshot = case.vault().snapshot().unwrap();
    let (id, key) = (snapshot.vault(), &snapshot.system().audit);
    let log = crate::audit::read(snapshot.tx(), id, key, 0, 10_000).unwrap();
    let log = log.into_iter().map(|(_, entry)| entry);
    let reads = log.filter(|entry| entry.action == "logs.read" && entry.outcome == "ok");
    let purposes: Vec<_> = reads.map(|entry| entry.purpose).collect();
    assert_eq!(
        purposes,
        [Some("support".to_owned()), Some("support".to_owned())]
    );
}

#[test]
fn whoever_writes_is_told_what_they_were_if_nobody_were_known() {
    let case = Case::new();
    let many = |one: &str| format!("ann@example.org {}", vec![one; 256].join(" "));
    let pairs = [
        // A member that is somebody's value fails the line, as more finds than a line may have do.
        [MARY, "K-10024"].map(|number| format!(r#"{{"{number}":"ann@example.org"}}"#)),
        [MARY, "K-10024"].map(many),
        // A value that lies over a shape.
        [
            "Canary Vandermeer ann@example.org",
            "Canary Vandermoor ann@example.org",
        ]
        .map(|text| format!(r#"{{"subject":"{}","text":"{text}"}}"#, case.ann)),
        [MARY, "K-10024"].map(|number| format!("{number}@example.org")),
    ];
    for pair in &pairs {
        for stream in ["bot", "strict", "day"] {
            let taken = pair.clone().map(|line| case.write(stream, &[&line]));
            assert_eq!(taken[0], taken[1], "{stream}: {pair:?}");
            assert_eq!((taken[0].failed, taken[0].found["email"]), (0, 1));
        }
    }
    // Nothing of it is stored all the same: a reader is told that there was a line.
    let stored = case.read("bot", &query());
    let failed = format!("\"{FAILED}\"");
    let expected = [
        &*failed,
        r#"{"K-10024":"[email]"}"#,
        &*failed,
        &stored[3],
        "\"[email]\"",
        "\"[email]\"",
    ];
    assert_eq!(stored, expected);
    assert!(stored[3].starts_with("\"[email] K-10024"));
    assert!(case.read("strict", &query()).is_empty());
    assert!(!case.read("day", &query()).concat().contains(MARY));
    // What fails whoever is known is told.
    let taken = case.write("bot", &[r#"{"ann@example.org":1}"#]);
    assert_eq!((taken.accepted, taken.failed), (1, 1));
}

/// Else a full day would tell, line by line and at no cost, which value is somebody's.
#[test]
fn what_finds_room_does_not_depend_on_who_is_known() {
    use crate::limits::LOG_PERSON_BYTES;
    /// What a call costs beside its lines, and a line of one text beside that.
    const MORE: usize = 128 + r#"{"text":""}"#.len();
    let [known, unknown] = ["Canary Vandermeer was here", "Kanary Vandermoor was here"];
    for stream in ["bot", "strict"] {
        let case = Case::new();
        let write = |text: &str| {
            let line = format!(r#"{{"subject":"{}","text":"{text}"}}"#, case.ann);
            let taken = case.write(stream, &[&line]);
            (taken.accepted, taken.dropped)
        };
        let room = || {
            let snapshot = case.vault().snapshot().unwrap();
            let (all, order) = (KeyRange::all(), Direction::Descending);
            let keys = snapshot.tx().keys(Table::LogLines, &all, order, 1).unwrap();
            let taken = keys[0].last_chunk().map(|four| u32::from_be_bytes(*four));
            LOG_PERSON_BYTES - taken.unwrap() as usize
        };
        // The day of one person, but for one byte less than either needs as it came.
        write("begun");
        while room() > 20_000 {
            assert_eq!(write(&"x".repeat(10_000)), (1, 0));
        }
        let left = known.len() + MORE - 1;
        assert_eq!(write(&"x".repeat(room() - left - MORE)), (1, 0));
        assert_eq!(room(), left);
        for text in [known, unknown] {
            assert_eq!(write(text), (0, 1), "{stream}: {text}");
        }
        assert_eq!(write(&known[1..]), (1, 0), "a byte less");
    }
}

#[test]
fn what_is_known_is_found_however_it_is_escaped() {
    let case = Case::new();
    let all = [
        "GET /search?q=K%2D10023&x=1",
        r#"{"body":"{\"number\":\"K\\u002d10023\"}"}"#,
        "q=K%252D10023",
    ];
    case.write("bot", &all);
    let expected = [
        "\"GET /search?q=[identifier]&x=1\"",
        r#"{"body":"{\"number\":\"[identifier]\"}"}"#,
        "\"q=[identifier]\"",
    ];
    assert_eq!(case.read("bot", &query()), expected);
    let theirs = [
        "canary%20vandermeer",
        "Canary+Vandermeer",
        r"canary\\u0020vandermeer",
    ];
    let all = theirs.map(|name| format!(r#"{{"subject":"{}","name":"{name}"}}"#, case.ann));
    case.write("bot", &all.each_ref().map(String::as_str));
    let expected = [r#"{"name":"[name]"}"#; 3];
    assert_eq!(case.read("bot", &about(case.ann)), expected);
}

#[test]
fn lines_leave_half_of_a_persons_keys_to_everything_else() {
    use crate::keys::keyset::Compartment;
    use crate::limits::LOG_PERSON_KEYS_MAX;
    let case = Case::new();
    let ann = case.ann;
    let fill = |most: usize| {
        let filled = case.vault().engine.submit(move |txn| {
            let mut person = crate::person::Person::find(txn, ann)?;
            for day in 0.. {
                if person.keyset.keys.len() >= most {
                    break;
                }
                person.key_for(Compartment::log(1, day), txn.entropy())?;
            }
            person.store(txn)
        });
        filled.unwrap();
    };
    let line = format!(r#"{{"subject":"{ann}","text":"x"}}"#);
    let write = |stream: &str| {
        let taken = case.write(stream, &[&line]);
        (taken.accepted, taken.dropped)
    };
    fill(LOG_PERSON_KEYS_MAX - 1);
    assert_eq!(write("bot"), (1, 0), "one is left");
    assert_eq!(write("day"), (0, 1), "none is left to another stream");
    assert_eq!(write("bot"), (1, 0), "what has a key takes more");
    assert_eq!(case.read("day", &about(ann)), [""; 0]);
    // The person's own data find room.
    let writer = call(&case.writer, Some("support"));
    let slots = object(json!({"email": "canary@example.test"}));
    let patched = case
        .vault()
        .patch_single(&writer, ann, "profile", slots, None);
    assert_eq!(code(patched), "ok");
    assert_eq!(case.write("bot", &["of nobody"]).accepted, 1);
}

#[test]
fn a_purge_of_what_is_left_of_somebody_gone_marks_no_keys() {
    let case = Case::new();
    let line = format!(r#"{{"subject":"{}","text":"x"}}"#, case.ann);
    case.write("bot", &[&line]);
    let marks = || {
        let snapshot = case.vault().snapshot().unwrap();
        let (all, order) = (KeyRange::all(), Direction::Ascending);
        let keys = snapshot.tx().keys(Table::Dirty, &all, order, usize::MAX);
        keys.unwrap().len()
    };
    // As an erasure of very much leaves rows for a while: under a handle that nobody has.
    let copied = case.vault().engine.submit(|txn| {
        let all = KeyRange::all();
        let rows = txn.range(Table::LogLines, &all, Direction::Ascending, 1)?;
        let (key, sealed) = rows.first().expect("one line");
        let orphan = [&[7; 16][..], &key[16..]].concat();
        Ok(txn.put(Table::LogLines, &orphan, sealed)?)
    });
    copied.unwrap();
    let before = marks();
    let officer = call(&case.officer, None);
    let purged = case.vault().purge_log(&officer, "bot", None, None).unwrap();
    assert_eq!((purged.people, case.rows()), (1, (0, 0)));
    assert_eq!(marks(), before + 1, "of whom is there alone");
}

#[test]
fn a_call_is_bounded_and_a_page_goes_on_where_the_one_before_ended() {
    let case = Case::new();
    assert_eq!(code(case.try_write("bot", &[])), "too_large");
    let many = vec!["x"; LOG_LINES_MAX + 1];
    assert_eq!(code(case.try_write("bot", &many)), "too_large");
    let people: Vec<String> = (0..=LOG_PEOPLE_MAX)
        .map(|n| {
            let nobody = SubjectId::from_bytes([u8::try_from(n).unwrap(); 16]);
            format!(r#"{{"subject":"{nobody}"}}"#)
        })
        .collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    assert_eq!(code(case.try_write("bot", &people)), "too_large");
    assert_eq!(code(case.try_write("bot", &people[1..])), "ok");
    let numbered: Vec<String> = (0..7).map(|n| format!("line {n}")).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    case.write("bot", &numbered[..5]);
    case.days(1);
    case.write("bot", &numbered[5..]);
    let mut all = Vec::new();
    let mut query = LogQuery {
        limit: 3,
        ..LogQuery::default()
    };
    loop {
        let page = case.try_read(&case.officer, "bot", &query).unwrap();
        assert!(page.lines.len() <= 3);
        all.extend(texts(&page.lines));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    let expected: Vec<String> = numbered.iter().map(|line| format!("\"{line}\"")).collect();
    assert_eq!(all, expected);
    // A cursor belongs to its list.
    query.from = Some(case.bench.clock.now());
    assert_eq!(code(case.try_read(&case.officer, "bot", &query)), "invalid");
    query.cursor = None;
    let page = case.try_read(&case.officer, "bot", &query).unwrap();
    assert_eq!(texts(&page.lines), ["\"line 5\"", "\"line 6\""]);
}

#[test]
fn new_keys_for_everything_leave_every_line_readable_and_the_old_keys_gone() {
    let mut case = Case::new();
    let line = format!(r#"{{"subject":"{}","text":"x"}}"#, case.ann);
    case.write("bot", &["of nobody", &line]);
    let keyset = |case: &Case| {
        let snapshot = case.vault().snapshot().unwrap();
        let handle = holder::all(&snapshot, Kind::Logs).unwrap()[0];
        let key = snapshot.tx().get(Table::Keysets, handle.as_bytes());
        key.unwrap().unwrap()
    };
    let before = keyset(&case);
    let keyholder = case.vault().keyholder();
    let owner = call(&keyholder, None);
    case.vault().begin_rotation(&owner, true).unwrap();
    case.vault().rotate_on(&mut |_| Onwards::Yes).unwrap();
    assert_ne!(keyset(&case), before);
    case.bench.reopen();
    [case.writer, case.officer] = ["writer", "officer"].map(|role| case.bench.role(role));
    assert_eq!(case.read("bot", &query()), ["\"of nobody\""]);
    assert_eq!(case.read("bot", &about(case.ann)), ["{\"text\":\"x\"}"]);
}

#[test]
fn what_a_session_sends_is_about_its_person() {
    let case = Case::new();
    let input = SessionInput {
        purpose: "support".into(),
        fields: vec!["profile.*".into()],
        reads: 5,
        writes: 5,
        expires_in: Some(60),
    };
    let writer = call(&case.writer, Some("support"));
    let begun = case
        .vault()
        .begin_session(&writer, case.ann, input)
        .unwrap();
    let session = case.vault().authenticate(&begun.token).unwrap();
    let other = format!(r#"{{"subject":"{}"}}"#, case.mary);
    let all = lines(&["vandermeer said hello", &other]);
    let taken = case.vault().write_log(&call(&session, None), "bot", &all);
    let taken = taken.unwrap();
    assert_eq!(
        (taken.accepted, taken.dropped),
        (1, 1),
        "another's is nobody's to it"
    );
    assert_eq!(
        case.read("bot", &about(case.ann)),
        ["\"[name] said hello\""]
    );
    assert_eq!(case.read("bot", &about(case.mary)), [""; 0]);
    let read = case.try_read(&session, "bot", &about(case.ann));
    assert_eq!(code(read), "role_denied");
}

#[test]
fn somebody_whose_data_are_restricted_is_written_about_and_not_read() {
    let case = Case::new();
    let line = format!(r#"{{"subject":"{}","text":"x"}}"#, case.ann);
    case.write("bot", &[&line]);
    let input = RestrictionInput {
        ground: RestrictionGround::Unlawful,
        collections: Vec::new(),
        reason: None,
    };
    case.vault()
        .put_restriction(&call(&case.writer, None), case.ann, input)
        .unwrap();
    assert_eq!(case.write("bot", &[&line]).accepted, 1);
    let read = case.try_read(&case.officer, "bot", &about(case.ann));
    assert_eq!(code(read), "restricted");
}

#[test]
fn art_15_the_package_has_the_persons_lines_and_names_those_that_are_withheld() {
    let case = Case::new();
    let line = format!(r#"{{"subject":"{}","text":"hello"}}"#, case.ann);
    case.write("bot", &[&line, "of nobody"]);
    let package = |right: Right, form: Form| {
        let input = ExportInput {
            right,
            form,
            language: None,
            seal: Seal::None,
        };
        let officer = call(&case.officer, None);
        let mut export = case.bench.vault.export(&officer, case.ann, input).unwrap();
        let mut bytes = Vec::new();
        while export.step(&mut |part| bytes.extend(part)).unwrap() == ExportStep::More {}
        String::from_utf8(bytes).unwrap()
    };
    let json = |right| -> Value { serde_json::from_str(&package(right, Form::Json)).unwrap() };
    let data = json(Right::Access);
    assert_eq!(
        data["logs"].as_array().unwrap().len(),
        1,
        "{}",
        data["logs"]
    );
    assert_eq!(data["logs"][0]["stream"], "bot");
    assert_eq!(data["logs"][0]["line"], json!({"text": "hello"}));
    assert!(data["accesses"].is_array());
    assert!(json(Right::Portability).get("logs").is_none());
    let page = package(Right::Access, Form::Html);
    assert!(page.contains("Lines about you in logs") && page.contains("hello"));
    assert!(!page.contains("of nobody"));
    // Whole lines are for their readers, whom the package is not made by.
    case.write("whole", &[&line]);
    let data = json(Right::Access);
    assert_eq!(data["logs"].as_array().unwrap().len(), 1);
    let withheld = json!({"collection": "logs", "field": "whole", "code": "role_denied"});
    assert!(data["withheld"].as_array().unwrap().contains(&withheld));
}

#[test]
fn lines_that_fill_a_day_find_no_room_and_nobody_elses_are_lost() {
    let case = Case::new();
    let long = format!(
        r#"{{"subject":"{}","text":"{}"}}"#,
        case.ann,
        "x".repeat(16_000)
    );
    let block = vec![&*long; 60];
    let first = case.write("bot", &block);
    assert_eq!((first.accepted, first.dropped), (60, 0));
    // A mebibyte a person, stream and day.
    let second = case.write("bot", &block);
    assert!(second.dropped > 0, "{second:?}");
    assert_eq!(second.accepted + second.dropped, 60);
    assert_eq!(case.write("bot", &["of nobody"]).accepted, 1);
}

//! Every parser, with its corpus and a few thousand changes of it: no panic.
//!
//! The short form of what `fuzz/` does for hours. The same seed every time, so that a failure comes
//! back.

#![expect(
    clippy::print_stdout,
    reason = "how much was tried is for whoever runs this"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use vault_core::entropy::{Entropy, SeededEntropy};
use vault_core::id::VaultId;
use vault_core::{import, parsers};

/// The vault of the corpus.
const VAULT: VaultId = VaultId::from_bytes([1; 16]);

/// Changes of the corpus that each parser gets.
const CHANGES: usize = 1_500;
/// Bytes of an input whose time is compared with that of one four times as long.
const SHORT: usize = 32 << 10;
/// What four times the input may take, in times of the shorter one: four, and room for a busy
/// machine. Work that grows with the square takes sixteen.
const GROWTH_MAX: u32 = 10;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|_| panic!("{target} has no corpus"))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Bytes flipped, cut out, doubled, or put in from elsewhere in the corpus.
fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut SeededEntropy) {
    let mut below = |bound: usize| {
        let mut number = [0; 4];
        random.fill(&mut number);
        u32::from_be_bytes(number) as usize % bound.max(1)
    };
    for _ in 0..=below(4) {
        let at = below(bytes.len());
        let to = bytes.len().min(at + below(40));
        match below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0xfb, 0xff][below(5)],
            2 => drop(bytes.drain(at.min(to)..to)),
            3 => {
                let part = bytes[at.min(to)..to].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let from = below(other.len());
                let part = &other[from..other.len().min(from + below(60))];
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
}

/// The corpus of a target, changed as often as `more` says; how often that was.
fn changed(target: &str, parse: fn(&[u8]), seed: u64, more: &dyn Fn(usize) -> bool) -> usize {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target}");
    corpus.iter().for_each(|bytes| parse(bytes));
    let mut random = SeededEntropy::new(seed);
    let mut round = 0;
    while more(round) {
        let mut bytes = corpus[round % corpus.len()].clone();
        let other = &corpus[(round / corpus.len()) % corpus.len()];
        change(&mut bytes, other, &mut random);
        parse(&bytes);
        round += 1;
    }
    round
}

#[test]
fn no_parser_panics_on_its_corpus_or_on_changes_of_it() {
    for (target, parse) in vault_fuzz::TARGETS {
        changed(target, parse, 5, &|round| round < CHANGES);
    }
}

/// The long form, without a toolchain of its own: `PARSERS_SECONDS=60 cargo test -p vault-tests --test
/// parsers -- --ignored --nocapture` gives each target so many seconds, two at a time. Another seed
/// each minute of the day; it is printed.
#[test]
#[ignore = "takes minutes: see its documentation"]
fn no_parser_panics_on_many_changes_of_its_corpus() {
    let seconds = std::env::var("PARSERS_SECONDS").ok();
    let seconds = seconds.map_or(10, |text| text.parse().expect("a number of seconds"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = now.expect("after 1970").as_secs() / 60;
    let waiting = std::sync::Mutex::new(vault_fuzz::TARGETS.into_iter());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                loop {
                    let next = waiting.lock().expect("nobody panics with it").next();
                    let Some((target, parse)) = next else { break };
                    let end = Instant::now() + Duration::from_secs(seconds);
                    let runs = changed(target, parse, seed, &|_| Instant::now() < end);
                    println!("{target}: {runs} runs in {seconds} s, seed {seed}");
                }
            });
        }
    });
}

/// Long inputs of every shape that the corpus has: a parser whose work grows with the square of its
/// input is a way to stop a server with one call. Times on a processor are compared within
/// one run, the least of several, and short ones say nothing.
#[test]
#[ignore = "compares times: run it alone, with --ignored"]
fn no_parser_takes_the_square_of_its_input() {
    let mut slow = Vec::new();
    for (target, parse) in vault_fuzz::TARGETS {
        for seed in corpus(target) {
            for shape in SHAPES {
                let (Some(short), Some(long)) = (shape(&seed, SHORT), shape(&seed, 4 * SHORT))
                else {
                    continue;
                };
                if grows_too_fast(&|bytes: &[u8]| parse(bytes), &short, &long) {
                    slow.push((target, seed.len()));
                }
            }
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}

/// The control: work that is the square is noticed, and work that is not is not.
#[test]
#[ignore = "compares times: run it alone, with --ignored"]
fn work_that_grows_with_the_square_is_noticed() {
    let (short, long) = (vec![1; SHORT / 2], vec![1; 2 * SHORT]);
    let square = |bytes: &[u8]| {
        let pairs = bytes
            .iter()
            .flat_map(|one| bytes.iter().map(move |two| one ^ two));
        std::hint::black_box(pairs.fold(0u8, u8::wrapping_add));
    };
    assert!(grows_too_fast(&square, &short, &long));
    let straight = |bytes: &[u8]| {
        for _ in 0..200 {
            std::hint::black_box(
                bytes
                    .iter()
                    .fold(0u8, |sum, byte| sum.rotate_left(1) ^ byte),
            );
        }
    };
    assert!(!grows_too_fast(&straight, &short, &long));
}

type Shape = fn(&[u8], usize) -> Option<Vec<u8>>;

/// Ways to make a seed long: its middle byte over and over, and, of an object or list, its inside.
const SHAPES: [Shape; 3] = [
    |seed, length| {
        let (head, tail) = seed.split_at(seed.len() / 2);
        let byte = *head.last()?;
        Some([head, &vec![byte; length], tail].concat())
    },
    |seed, length| {
        let open = seed.iter().position(|byte| matches!(byte, b'{' | b'['))?;
        let close = seed.iter().rposition(|byte| matches!(byte, b'}' | b']'))?;
        let inside = seed.get(open + 1..close)?;
        let mut bytes = seed[..close].to_vec();
        let mut number = 0;
        while bytes.len() < length {
            // Members of an object need names that differ.
            match seed[open] {
                b'{' => bytes.extend_from_slice(format!(",\"m{number}\":0").as_bytes()),
                _ => bytes.extend([b",", inside].concat()),
            }
            number += 1;
        }
        bytes.extend_from_slice(&seed[close..]);
        Some(bytes)
    },
    |seed, length| {
        let end = seed
            .iter()
            .rposition(|byte| matches!(byte, b'\n' | b'&' | b',' | b'-'))?;
        let line = [&seed[end..=end], b"x"].concat();
        let lines = line.iter().copied().cycle().take(length);
        Some(seed[..end].iter().copied().chain(lines).collect())
    },
];

/// What this thread has had of a processor: on a busy machine a clock on the wall measures others.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the time on a processor"))
}

fn grows_too_fast(parse: &dyn Fn(&[u8]), short: &[u8], long: &[u8]) -> bool {
    // The kernel counts in steps of a few milliseconds: several times together.
    let time = |bytes: &[u8]| {
        let begin = busy();
        (0..8).for_each(|_| parse(bytes));
        busy() - begin
    };
    // Below that nobody is kept waiting, and the count tells little.
    let least = |bytes: &[u8]| (0..3).map(|_| time(bytes)).min().expect("three times");
    time(long) > Duration::from_millis(200) && least(long) > GROWTH_MAX * least(short)
}

/// The corpus holds what is valid, so that changes of it reach what lies behind the first check.
#[test]
fn seeds_are_what_they_are_called() {
    let read = |path: &str| std::fs::read(Path::new("../fuzz/corpus").join(path)).unwrap();
    let entry = vault_core::audit::Entry::decode(&read("row/entry"));
    assert_eq!(entry.unwrap().role, "keyholder");
    let keyset = vault_core::keys::keyset::Keyset::decode(&read("row/keyset")).unwrap();
    assert_eq!(keyset.keys.len(), 1);
    let policy = String::from_utf8(read("policy/sample")).unwrap();
    assert!(vault_core::policy::Draft::parse(&policy).is_ok());
    let (key, seed) = (vault_fuzz::ledger_key(), vault_fuzz::signing_seed());
    let ledger = parsers::erasure_ledger(&read("ledger/file"), VAULT, &key, &seed);
    assert_eq!(ledger.unwrap().position, 5);
    for (name, keys) in [("both", true), ("data", false)] {
        let manifest = read(&format!("backup_manifest/{name}"));
        let manifest = parsers::manifest(&manifest, vault_fuzz::BACKUP).unwrap();
        assert_eq!(manifest.keys.is_some(), keys);
    }
    let rows = parsers::object_rows(vault_fuzz::PLACE, &read("backup_object/object"));
    assert_eq!(rows.unwrap().len(), 2);
    assert!(parsers::registry(&read("registry/backup-0")).0.is_some());
    assert!(parsers::registry(&read("registry/summary-0")).1.is_some());
    let mut pieces = 0;
    let mut take = |_| {
        pieces += 1;
        true
    };
    import::read_document(&read("package_json/whole")[..], &mut take).unwrap();
    let zip = std::io::Cursor::new(read("package_zip/packed"));
    let mut zip = import::Archive::open(zip).unwrap();
    import::read_document(zip.member("data.json").unwrap(), &mut take).unwrap();
    // Each time the person, a consent given, two records, the consent withdrawn, two steps of an objection, the
    // restriction that stands; and a masked value.
    assert_eq!(pieces, 2 * 9);
    let csv = String::from_utf8(read("mapping/csv")).unwrap();
    let (mapping, rows) = csv.split_once("\n---\n").unwrap();
    let mapping = import::Mapping::parse(mapping).unwrap();
    let (mut lines, mut wrong) = (0, 0);
    let read = import::read_rows(&mapping, rows.as_bytes(), &mut |piece| {
        match piece {
            import::Piece::Line(..) => lines += 1,
            _ => wrong += 1,
        }
        true
    });
    assert!(read.is_ok());
    assert_eq!((lines, wrong), (3, 1));
}

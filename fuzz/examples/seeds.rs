//! Writes a small seed of each kind into `corpus/`: valid forms, from which a fuzzer goes on.

use std::fs;
use std::path::Path;

use vault_core::audit::journal::Journal;
use vault_core::audit::{Actor, Entry};
use vault_core::crypto::{Location, Secret, seal};
use vault_core::entropy::SeededEntropy;
use vault_core::id::{CallId, SubjectId, VaultId};
use vault_core::keys::keyset::{Compartment, Keyset};
use vault_core::keys::slots::{self, SlotKind, SlotTarget};
use vault_core::keys::system::SystemKeys;
use vault_core::keys::{anchor, keyset::Lookup};
use vault_core::policy::{Draft, SAMPLE};
use vault_core::row;

const VAULT: VaultId = VaultId::from_bytes([1; 16]);

fn main() -> std::io::Result<()> {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(name), bytes)
    };
    let entropy = &mut SeededEntropy::new(1);
    let place = Location::row(VAULT, 4, b"row");
    let sealed = seal(&Secret::take(&mut [7; 32]), 3, &place, b"a value").expect("short");
    write("envelope", "sealed", &sealed)?;

    let mut keyset = Keyset::generate(SubjectId::from_bytes([2; 16]), entropy);
    keyset.add(Compartment::GENERAL, entropy).expect("room");
    keyset.lookups.push(Lookup {
        field: (1, 2),
        mark: [3; 32],
    });
    write("row", "keyset", &row::encode(&keyset))?;
    let kind = SlotKind::RecoveryKey;
    let target = SlotTarget::new(1, kind, "spare".into(), 0, b"twenty bytes of rand", entropy);
    let targets = vec![target.expect("cheap")];
    let system = SystemKeys::generate(targets.clone(), entropy);
    write("row", "system", &row::encode(&system))?;
    let policy = Draft::parse(SAMPLE).and_then(|draft| draft.assign(None, 1));
    let policy = policy.expect("the sample is a policy");
    write("row", "policy", &row::encode(&policy.to_stored()))?;
    let entry = Entry {
        time: jiff::Timestamp::UNIX_EPOCH,
        actor: Actor::Keyholder,
        role: "keyholder".into(),
        purpose: Some("support".into()),
        action: "records.read".into(),
        subject: Some([4; 16]),
        fields: vec![(1, 2)],
        outcome: "ok".into(),
        session: None,
        request: CallId::from_bytes([5; 16]),
        receipt: None,
        records: None,
    };
    write("row", "entry", &entry.encode())?;
    write("policy", "sample", SAMPLE.as_bytes())?;

    let (root, secret) = (Secret::generate(entropy), Secret::generate(entropy));
    let image = slots::image(VAULT, &root, &targets, entropy);
    write("slots", "one", &image[..34 + 192 + 32])?;
    let image = anchor::image(VAULT, 1, &secret, entropy);
    write("anchor", "one", &image[576 << 10..][..97])?;

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("journal");
    let key = Secret::take(&mut [9; 32]);
    let journal = Journal::open(&path, VAULT, key, 0, entropy).expect("a new journal");
    for _ in 0..2 {
        journal.append(&entry.encode()).expect("room");
    }
    write("journal", "two", &fs::read(&path)?)?;

    write(
        "text",
        "subject",
        SubjectId::from_bytes([6; 16]).to_string().as_bytes(),
    )?;
    write("text", "period", b"P1Y6M")?;
    write(
        "text",
        "recovery",
        b"0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ-0000",
    )?;
    let values = [
        "x\"text\"",
        "x\"somebody@example.test\"",
        "x\"+31 30 123 4567\"",
        "x\"4111 1111 1111 1111\"",
        "x\"NL91 ABNA 0417 1643 00\"",
        "x\"2001:db8::1\"",
        "x\"2000-02-29\"",
        "x{\"street\": \"Kade\", \"city\": \"Utrecht\"}",
        "x{\"age_at_least\": 18}",
        "x{\"country_in\": [\"NL\", \"DE\"]}",
    ];
    for (kind, value) in (0u8..).zip(values) {
        let mut seed = value.as_bytes().to_vec();
        seed[0] = kind;
        write("value", &format!("seed-{kind}"), &seed)?;
    }
    Ok(())
}

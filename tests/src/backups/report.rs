//! What was measured, and how it is told.

use std::fmt;
use std::time::Duration;

use super::FORENSIC_PEOPLE_MAX;

/// What happened, and how long it took.
#[derive(Debug, Default)]
pub struct Report {
    /// People of the backup.
    pub people: u64,
    /// People who were erased after it.
    pub erased: usize,
    /// Writes during the backup.
    pub writes: usize,
    /// Bytes of data and keys.
    pub bytes: u64,
    /// Bytes of the database that was backed up, and of that which was restored.
    pub databases: (u64, u64),
    /// Envelopes that were opened.
    pub envelopes: u64,
    /// How long the backup took.
    pub backup: Duration,
    /// How long verifying and opening every envelope took.
    pub verify: Duration,
    /// How long the restore took.
    pub restore: Duration,
    /// How long the cipher alone took.
    pub cipher: Cipher,
    /// What the forensic reader said; nothing where there were too many people for it.
    pub forensic: Option<String>,
    /// The same once more, in processes of their own, with nothing else to do.
    pub alone: Option<Alone>,
}

/// How long XChaCha20-Poly1305 took over the bytes of a backup.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cipher {
    /// In blocks of 64 KiB, in memory.
    pub memory: Duration,
    /// The same, read from files and written into others, flushed as those of a backup are.
    pub copy: Duration,
    /// As many envelopes of the average length, sealed and opened.
    pub envelopes: Duration,
}

/// One step in a process of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// How long it took.
    pub took: Duration,
    /// Time of processors that it took.
    pub worked: Duration,
    /// Bytes of the backup's parts.
    pub bytes: u64,
    /// The most memory that the process had meanwhile, in KiB.
    pub peak_kib: Option<u64>,
}

/// Backup and restore with nothing else to do, each between two copies by the cipher.
#[derive(Clone, Debug, Default)]
pub struct Alone {
    /// The backup, both parts.
    pub backup: Vec<Step>,
    /// The restore.
    pub restore: Vec<Step>,
    /// The cipher over the bytes of the backup that is restored, file to file.
    pub copies: Vec<Step>,
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn kib(kib: Option<u64>) -> String {
    kib.map_or("not measured".to_owned(), |kib| format!("{kib} KiB"))
}

/// The middle one.
fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Alone {
    fn tell(&self, f: &mut fmt::Formatter<'_>, store: u64) -> fmt::Result {
        writeln!(f, "alone, each in a process of its own, medians:")?;
        let of = |steps: &[Step], what: fn(&Step) -> Duration| {
            let all: Vec<f64> = steps.iter().map(|step| what(step).as_secs_f64()).collect();
            median(&all)
        };
        let bytes = |steps: &[Step]| mib(steps.first().map_or(0, |step| step.bytes));
        let rate = |steps: &[Step]| bytes(steps) / of(steps, |step| step.took);
        // Bytes a second of processors.
        let work = |steps: &[Step]| bytes(steps) / of(steps, |step| step.worked);
        for (what, steps) in [
            ("XChaCha20-Poly1305, file to file", &self.copies),
            ("backup", &self.backup),
            ("restore", &self.restore),
        ] {
            let took = of(steps, |step| step.took);
            writeln!(
                f,
                "  {what:<34} {took:>7.3} s {:>6.0} MiB/s, {:>5.2} of the cipher ({:.2} by bytes of the store); \
                 {:>6.2} s of processors, {:.2} of the cipher; peak {}",
                rate(steps),
                rate(steps) / rate(&self.copies),
                mib(store) / took / rate(&self.copies),
                of(steps, |step| step.worked),
                work(steps) / work(&self.copies),
                kib(steps.iter().filter_map(|step| step.peak_kib).max())
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, took: Duration| {
            let (took, rate) = (took.as_secs_f64(), mib(self.bytes) / took.as_secs_f64());
            writeln!(f, "{what:<44} {took:>8.3} s {rate:>8.0} MiB/s")
        };
        writeln!(
            f,
            "{} people, {} erased after the older backup, {} writes while it was made",
            self.people, self.erased, self.writes
        )?;
        writeln!(
            f,
            "{} bytes of data and keys, {} envelopes; the database had {} bytes, the restored one {}",
            self.bytes, self.envelopes, self.databases.0, self.databases.1
        )?;
        line(f, "backup under load", self.backup)?;
        line(f, "verify, every envelope opened", self.verify)?;
        line(f, "restore, a sample opened", self.restore)?;
        line(f, "XChaCha20-Poly1305, in memory", self.cipher.memory)?;
        line(f, "XChaCha20-Poly1305, file to file", self.cipher.copy)?;
        line(
            f,
            "XChaCha20-Poly1305, as envelopes, both ways",
            self.cipher.envelopes,
        )?;
        if let Some(alone) = &self.alone {
            alone.tell(f, self.databases.0)?;
        }
        match &self.forensic {
            Some(said) => writeln!(f, "forensic reader: {said}"),
            None => writeln!(
                f,
                "forensic reader: not run beyond {FORENSIC_PEOPLE_MAX} people"
            ),
        }
    }
}

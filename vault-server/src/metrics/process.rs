//! The process in numbers, by the names that Prometheus' own client libraries use.
//!
//! From `/proc/self`, and nothing of `/proc` beside it, which a sandbox may close; where it is not to
//! be had, as on another system, the figures are left out.

use super::figures::Figure;

/// The unit of times in `/proc`: USER_HZ, which Linux fixes at 100 for what programs see. Source:
/// proc(5) and `include/uapi/asm-generic/param.h`.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc/self/stat` and `/proc/self/status` say.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: u64,
}

pub(super) fn figures() -> Vec<Figure> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
    let mut figures = Vec::new();
    if let Some(stat) = read("stat").as_deref().and_then(parse_stat) {
        figures.push(Figure::counter_of(
            "process_cpu_seconds",
            "User and system CPU time",
            stat.cpu_seconds,
        ));
        figures.push(Figure::gauge(
            "process_threads",
            "Threads of the process",
            stat.threads,
        ));
    }
    if let Some(status) = read("status") {
        for (line, name, help) in [
            ("VmRSS:", "process_resident_memory_bytes", "Memory in use"),
            (
                "VmSize:",
                "process_virtual_memory_bytes",
                "Memory that is mapped",
            ),
        ] {
            if let Some(kibibytes) = number_after(&status, line) {
                figures.push(Figure::gauge(name, help, kibibytes * 1024));
            }
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        figures.push(Figure::gauge(
            "process_open_fds",
            "Open file descriptors",
            // One of them is the directory that was just read.
            (open.count() as u64).saturating_sub(1),
        ));
    }
    if let Some(most) = read("limits")
        .as_deref()
        .and_then(|limits| number_after(limits, "Max open files"))
    {
        figures.push(Figure::gauge(
            "process_max_fds",
            "Most file descriptors that the system allows",
            most,
        ));
    }
    figures
}

/// The fields after the program's name, which stands in parentheses and may hold anything.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // proc(5) counts from 1, and the first here is its third.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process's life")]
    let cpu_seconds = (field(14)? + field(15)?) as f64 / TICKS_PER_SECOND;
    Some(Stat {
        cpu_seconds,
        threads: field(20)?,
    })
}

/// The first number of the line that begins like this.
fn number_after(text: &str, begin: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(begin))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_name_looks_like_fields_is_read_all_the_same() {
        let text = "7 (a) 9 (b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 12 0 4711 1 2";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                cpu_seconds: 2.0,
                threads: 12
            })
        );
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }

    #[test]
    fn a_line_is_found_by_its_beginning_and_an_unlimited_number_is_none() {
        let limits = "Limit  Soft\nMax open files            1024     4096   files\n";
        assert_eq!(number_after(limits, "Max open files"), Some(1024));
        assert_eq!(
            number_after("Max open files unlimited", "Max open files"),
            None
        );
    }
}

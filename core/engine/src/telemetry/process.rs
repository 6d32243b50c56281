//! Memory, CPU time and file descriptors of this process, from `/proc`.

use std::fs;

use metrics::{counter, gauge};

use super::metrics::{
    PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START,
    PROCESS_THREADS, PROCESS_VIRTUAL,
};

/// Ticks a second in `/proc`: fixed by the kernel's interface, whatever its own clock.
const TICKS: u64 = 100;

/// Records all of them; what cannot be read keeps its last value.
pub(super) fn record() {
    if let Some(status) = read("/proc/self/status") {
        set(PROCESS_RESIDENT, kibibytes(&status, "VmRSS:"));
        set(PROCESS_VIRTUAL, kibibytes(&status, "VmSize:"));
        set(PROCESS_THREADS, number(&status, "Threads:"));
    }
    if let Some(stat) = read("/proc/self/stat").as_deref().and_then(Stat::parse) {
        counter!(PROCESS_CPU).absolute(stat.cpu_ticks / TICKS);
        let boot = read("/proc/stat").and_then(|text| number(&text, "btime "));
        set(
            PROCESS_START,
            boot.map(|boot| boot + stat.start_ticks / TICKS),
        );
    }
    if let Some(limits) = read("/proc/self/limits") {
        set(PROCESS_MAX_FDS, number(&limits, "Max open files"));
    }
    if let Ok(folder) = fs::read_dir("/proc/self/fd") {
        // The folder being read is open itself.
        set(
            PROCESS_OPEN_FDS,
            Some((folder.count() as u64).saturating_sub(1)),
        );
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn set(name: &'static str, value: Option<u64>) {
    if let Some(value) = value {
        gauge!(name).set(value as f64);
    }
}

/// The first number of the line with this beginning.
fn number(text: &str, beginning: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(beginning))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn kibibytes(text: &str, beginning: &str) -> Option<u64> {
    number(text, beginning).map(|count| count * 1024)
}

struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
}

impl Stat {
    /// `proc_pid_stat(5)`: the name in parentheses may hold anything, so fields count from the last one.
    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.trim().parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_of_a_process_with_an_odd_name() {
        let text =
            "7 (a) R 9 (x) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 12345 1000000 500\n";
        let stat = Stat::parse(text).expect("a stat line");
        assert_eq!((stat.cpu_ticks, stat.start_ticks), (300, 12345));
        assert!(Stat::parse("7 (a) S 1").is_none());
    }

    #[test]
    fn reads_numbers_of_lines() {
        let text = "Name:\tx\nVmRSS:\t  2048 kB\nMax open files            1024    4096    files\n";
        assert_eq!(kibibytes(text, "VmRSS:"), Some(2048 * 1024));
        assert_eq!(number(text, "Max open files"), Some(1024));
        assert_eq!(number(text, "VmSize:"), None);
    }
}

//! CPU time and memory of the server's processes, from `/proc`.
//!
//! A process stands for itself and everything below it, as servers fork. CPU time of a child that ended is found with
//! its parent, who waited for it; so the sum over the living tree only rises.
//! Memory is the proportional set size (PSS): a page shared by n processes counts 1/n in each, so the sum over all
//! processes of a server is what the server really holds.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::report::Report;

/// Clock ticks a second in `/proc/PID/stat`; the kernel's interface has it fixed for all architectures Linux runs mail on.
const TICKS: f64 = 100.0;

/// Counts CPU time from a start.
pub struct Meter {
    pids: Vec<u32>,
    started: Instant,
    cpu: f64,
    own: f64,
}

impl Meter {
    /// Starts to count for these processes; without any, counts nothing.
    pub fn start(pids: &[u32]) -> Result<Self, Fault> {
        let cpu = if pids.is_empty() {
            0.0
        } else {
            cpu_seconds(&tree(pids)?)
        };
        Ok(Self {
            pids: pids.to_vec(),
            started: Instant::now(),
            cpu,
            own: own_cpu()?,
        })
    }

    /// Whether any process is watched.
    pub fn watches(&self) -> bool {
        !self.pids.is_empty()
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// CPU seconds used since the start, if any process is watched.
    pub fn cpu(&self) -> Result<Option<f64>, Fault> {
        if !self.watches() {
            return Ok(None);
        }
        Ok(Some((cpu_seconds(&tree(&self.pids)?) - self.cpu).max(0.0)))
    }

    /// PSS of the processes now, in octets, and how many they are.
    pub fn memory(&self) -> Result<Option<(u64, usize)>, Fault> {
        if !self.watches() {
            return Ok(None);
        }
        let processes = tree(&self.pids)?;
        let mut sum = 0;
        for process in &processes {
            // A process may end while we look; one we may not look into is a failure.
            match fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)) {
                Ok(text) => sum += pss(&text).unwrap_or(0),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(Fault::Usage(format!(
                        "memory of process {}: {error}",
                        process.pid
                    )));
                }
                Err(_) => {}
            }
        }
        Ok(Some((sum, processes.len())))
    }

    /// Adds CPU time and memory to a report; `per` names what was done and `count` how often. The generator's own use
    /// tells whether it, and not the server, was what could not go faster.
    pub fn report(&self, report: &mut Report, per: &str, count: u64) -> Result<(), Fault> {
        if let Some(cpu) = self.cpu()? {
            report.figure("server_cpu", cpu, "s");
            if count > 0 {
                report.figure(
                    format!("server_cpu_per_1000_{per}"),
                    cpu * 1000.0 / count as f64,
                    "s",
                );
            }
        }
        report.figure("load_cpu", own_cpu()? - self.own, "s");
        if let Some((memory, processes)) = self.memory()? {
            report.figure("server_pss", memory as f64 / 1024.0, "KiB");
            report.figure("server_processes", processes as f64, "");
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Process {
    pid: u32,
    parent: u32,
    ticks: u64,
}

fn cpu_seconds(processes: &[Process]) -> f64 {
    processes.iter().map(|process| process.ticks).sum::<u64>() as f64 / TICKS
}

fn own_cpu() -> Result<f64, Fault> {
    let text = fs::read_to_string("/proc/self/stat")?;
    Ok(parse(0, &text).map_or(0.0, |process| cpu_seconds(&[process])))
}

/// The processes and all below them.
fn tree(roots: &[u32]) -> Result<Vec<Process>, Fault> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat"))
            && let Some(process) = parse(pid, &text)
        {
            all.insert(pid, process);
        }
    }
    if let Some(missing) = roots.iter().find(|pid| !all.contains_key(pid)) {
        return Err(Fault::Usage(format!("there is no process {missing}")));
    }
    Ok(below(roots, &all))
}

fn below(roots: &[u32], all: &HashMap<u32, Process>) -> Vec<Process> {
    let mut wanted: HashSet<u32> = roots.iter().copied().collect();
    loop {
        let more: Vec<u32> = all
            .values()
            .filter(|process| wanted.contains(&process.parent) && !wanted.contains(&process.pid))
            .map(|process| process.pid)
            .collect();
        if more.is_empty() {
            return wanted
                .iter()
                .filter_map(|pid| all.get(pid).copied())
                .collect();
        }
        wanted.extend(more);
    }
}

/// Parent, and time used by the process and by its children that ended: fields 4 and 14 to 17 of `/proc/PID/stat`.
fn parse(pid: u32, text: &str) -> Option<Process> {
    // The second field is the program's name in parentheses and may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: u32::try_from(number(4)?).ok()?,
        ticks: number(14)? + number(15)? + number(16)? + number(17)?,
    })
}

fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim()
        .strip_suffix(" kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line = "42 (imap (a) b) S 7 42 42 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 1 0 5 6 7";
        assert_eq!(
            parse(42, line),
            Some(Process {
                pid: 42,
                parent: 7,
                ticks: 110
            })
        );
        assert_eq!(parse(42, "42 (cut) S 7"), None);
    }

    #[test]
    fn a_tree_holds_grandchildren_and_nobody_else() {
        let all = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1)]
            .map(|(pid, parent)| {
                (
                    pid,
                    Process {
                        pid,
                        parent,
                        ticks: 1,
                    },
                )
            })
            .into_iter()
            .collect();
        let mut pids: Vec<u32> = below(&[10], &all)
            .iter()
            .map(|process| process.pid)
            .collect();
        pids.sort_unstable();
        assert_eq!(pids, [10, 11, 12]);
    }

    #[test]
    fn pss_is_taken_from_its_own_line() {
        assert_eq!(
            pss("Rss: 9 kB\nPss:                 123 kB\nPss_Dirty: 4 kB\n"),
            Some(123 * 1024)
        );
        assert_eq!(pss("Rss: 9 kB\n"), None);
    }

    #[test]
    fn our_own_memory_is_measured_and_a_process_that_is_not_there_is_told() {
        let meter = Meter::start(&[std::process::id()]).expect("we are there");
        let (octets, processes) = meter.memory().expect("readable").expect("watched");
        assert!(octets > 100 * 1024 && processes >= 1);
        assert!(Meter::start(&[u32::MAX]).is_err());
    }
}

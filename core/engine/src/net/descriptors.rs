//! File descriptors: how many this process may have open (`RLIMIT_NOFILE`).
//!
//! Systems start a process with a soft limit that programs of another age needed (1,024), below a hard one that it may raise
//! itself to. Each connection is a descriptor, so the programs raise it at their start. An embedding program decides for itself.
//!
//! **On failure.** What cannot be raised stays; the listeners then back off when none is left, and nothing spins.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not connections: databases, spool files, the store, listeners, logs.
pub const RESERVE: u64 = 1024;

/// How many descriptors may be open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Descriptors {
    /// Now.
    pub soft: u64,
    /// At most.
    pub hard: u64,
}

impl Descriptors {
    /// What the process has.
    pub fn now() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        Self {
            soft: current.unwrap_or(u64::MAX),
            hard: maximum.unwrap_or(u64::MAX),
        }
    }

    /// Raises the soft limit to the hard one, for the whole process; what is in force then.
    pub fn raise() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if limit.current != limit.maximum
            && let Err(error) = setrlimit(Resource::Nofile, raised)
        {
            tracing::warn!(%error, "cannot raise the limit of file descriptors");
        }
        Self::now()
    }

    /// Whether so many connections fit, beside all else.
    pub fn suffice_for(self, connections: u32) -> bool {
        self.soft >= u64::from(connections).saturating_add(RESERVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_06_the_limit_is_raised_to_the_hard_one() {
        let before = Descriptors::now();
        let raised = Descriptors::raise();
        assert_eq!(raised.hard, before.hard);
        assert_eq!(raised.soft, raised.hard);
        assert_eq!(Descriptors::now(), raised);
        assert_eq!(Descriptors::raise(), raised, "twice is once");
    }

    #[test]
    fn some_are_kept_for_the_house() {
        let so_many = |soft| Descriptors { soft, hard: soft };
        assert!(so_many(11_024).suffice_for(10_000));
        assert!(!so_many(11_023).suffice_for(10_000));
        assert!(so_many(u64::MAX).suffice_for(u32::MAX));
    }
}

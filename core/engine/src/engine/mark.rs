//! The mark of the index in `data_dir`: how far a database on a server of its own has come, so that one that was brought back from a backup, or lost
//! commits when another server took over, is noticed whatever became of this process meanwhile (attack 43).
//!
//! **Invariants.** I3: it is looked at before anybody is served. **Bounds.** One small commit a second while this process changes something.
//! **On failure.** A mark that is missing, unreadable or was not written is a lower one: what was lost may go unnoticed, and nothing else changes. The
//! numbers stand in it twice, so that half a mark is none.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postrider_storage::index::{Index, Mark};

use crate::actor::{Drain, ServiceRuntime};
use crate::clock;
use crate::index::IndexPool;
use crate::telemetry::metrics::INDEX_RESTORED;

/// The file in `data_dir`.
const NAME: &str = "database-mark";
/// How often what was changed is marked.
const EVERY: Duration = Duration::from_secs(1);

/// Who keeps the mark.
pub(super) struct Keeper {
    index: Arc<dyn Index>,
    runtime: ServiceRuntime,
    path: PathBuf,
    known: Option<Mark>,
}

impl Keeper {
    /// Looks whether the index has all that it acknowledged. None where an index notices that by itself.
    pub(super) async fn begin(
        index: Arc<dyn Index>,
        runtime: ServiceRuntime,
        data_dir: &Path,
    ) -> Option<Self> {
        let path = data_dir.join(NAME);
        let from = path.clone();
        let read = runtime.spawn_blocking(move || read(&from)).await;
        let mut keeper = Self {
            index,
            runtime,
            path,
            known: read.ok().flatten(),
        };
        keeper.mark().await.then_some(keeper)
    }

    /// Marks what this process changes, until `drain`.
    pub(super) async fn keep(mut self, index: IndexPool, drain: Drain) {
        let mut open = true;
        while open {
            tokio::select! {
                () = drain.begun() => open = false,
                () = tokio::time::sleep(EVERY) => {}
            }
            if index.take_changed() && !self.mark().await {
                return;
            }
        }
    }

    /// Marks how far the index is. Whether it may be marked again.
    async fn mark(&mut self) -> bool {
        let (index, known) = (self.index.clone(), self.known);
        let marking = async move { index.mark(known, clock::now()).await };
        let marked = match self.runtime.spawn(marking).await {
            Ok(Ok(Some(marked))) => marked,
            Ok(Ok(None)) => return false,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the database is not marked");
                return true;
            }
            Err(_) => return false,
        };
        if marked.restored {
            metrics::counter!(INDEX_RESTORED).increment(1);
            tracing::error!(
                "the database has lost what it acknowledged (a backup was brought back, or another server took over without it): every mailbox \
                 has a new UIDVALIDITY; `postrider fsck --repair` brings back the messages that came since"
            );
        }
        self.known = Some(marked.mark);
        let (path, mark) = (self.path.clone(), marked.mark);
        let written = self
            .runtime
            .spawn_blocking(move || write(&path, mark))
            .await;
        if let Ok(Err(error)) = written {
            tracing::debug!(path = %self.path.display(), %error, "the mark of the database was not written");
        }
        true
    }
}

fn read(path: &Path) -> Option<Mark> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let mark = parse(&text);
            if mark.is_none() {
                tracing::warn!(path = %path.display(), "the mark of the database is damaged; written anew");
            }
            mark
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the mark of the database cannot be read");
            None
        }
    }
}

/// Not waited for by the disk: it is there when the process dies, and soon when the power goes.
fn write(path: &Path, mark: Mark) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    // One length for all, so that nothing of the one before is left.
    let once = format!("{:020} {:020}", mark.index, mark.number);
    file.write_all_at(format!("{once} {once}\n").as_bytes(), 0)
}

/// `index SP number`, twice the same
fn parse(text: &str) -> Option<Mark> {
    let numbers: Option<Vec<i64>> = text
        .strip_suffix('\n')?
        .split(' ')
        .map(|it| it.parse().ok())
        .collect();
    match numbers?[..] {
        [index, number, again, once_more] if (index, number) == (again, once_more) => {
            Some(Mark { index, number })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_half_a_mark_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        assert_eq!(read(&path), None);
        for (index, number) in [(7, i64::MAX), (i64::MAX, 3), (0, 0)] {
            let mark = Mark { index, number };
            write(&path, mark).expect("written");
            assert_eq!(read(&path), Some(mark));
        }
        let whole = std::fs::read_to_string(&path).expect("read");
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "{end}");
        }
        assert_eq!(parse(&whole.replacen("0 ", "1 ", 1)), None);
    }
}

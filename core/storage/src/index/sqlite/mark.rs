//! The mark beside the database: how many commits it has had, so that a database that was brought back from a backup is noticed.
//!
//! The number stands in the database too (`counter`, name `commit`) and rises with each commit in its transaction; the mark is
//! written behind the commit. So the mark never tells of a commit that the database has not, unless the database is an older one than
//! the mark: then UIDs and modification sequences that clients have seen would be given again, and every mailbox gets a new
//! UIDVALIDITY (RFC 9051 section 2.3.1.1).
//!
//! **Invariants.** I3: whoever opens a database that is older than its mark renews before anything else is written.
//! **On failure.** A mark that is missing, unreadable or was not written is a lower one: a restored backup may then go unnoticed, and
//! nothing else changes. The number stands in it twice, so that half a mark is none.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SqliteConnection};

use super::{
    fault::Fault,
    schema::counter,
    sql::{Bind, run},
};

/// A file beside the database.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    /// Opened with the first commit.
    file: Mutex<Option<File>>,
}

impl Mark {
    /// That of a database.
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-mark");
        Self {
            path: path.into(),
            file: Mutex::default(),
        }
    }

    /// What it says; 0 if it says nothing.
    pub(super) fn read(&self) -> i64 {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => parse(&text).unwrap_or_else(|| {
                tracing::warn!(path = %self.path.display(), "the mark of the database is damaged; written anew");
                0
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the mark of the database cannot be read");
                0
            }
        }
    }

    /// Notes so many commits; they are durable. Not waited for by the disk: it is there when the process dies, and soon when
    /// the power goes.
    pub(super) fn write(&self, commits: i64) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.write_to(&mut file, commits);
        if let Err(error) = written {
            // Opened anew with the next commit.
            *file = None;
            tracing::debug!(path = %self.path.display(), %error, "the mark of the database was not written");
        }
    }

    fn write_to(&self, file: &mut Option<File>, commits: i64) -> io::Result<()> {
        let file = match file {
            Some(file) => file,
            None => file.insert(
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(0o600)
                    .open(&self.path)?,
            ),
        };
        // One length for all, so that nothing of the one before is left.
        file.write_all_at(format!("{commits:020} {commits:020}\n").as_bytes(), 0)
    }
}

/// `number SP number LF`, twice the same
fn parse(text: &str) -> Option<i64> {
    let (first, second) = text.strip_suffix('\n')?.split_once(' ')?;
    (first == second).then(|| first.parse().ok()).flatten()
}

/// Counts the commit that is being made; how many there are with it.
pub(super) fn count(conn: &mut SqliteConnection) -> Result<i64, Fault> {
    run(
        conn,
        "INSERT INTO counter (name, value) VALUES ('commit', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
        &[],
    )?;
    counted(conn)
}

/// Counts the commit that is being made as the one behind `marked`; how many there are with it.
pub(super) fn count_from(conn: &mut SqliteConnection, marked: i64) -> Result<i64, Fault> {
    run(
        conn,
        "INSERT INTO counter (name, value) VALUES ('commit', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[Bind::Number(marked.saturating_add(1))],
    )?;
    counted(conn)
}

/// How many commits the database has had.
pub(super) fn counted(conn: &mut SqliteConnection) -> Result<i64, Fault> {
    let counted: Option<i64> = counter::table
        .filter(counter::name.eq("commit"))
        .select(counter::value)
        .get_result(conn)
        .optional()?;
    Ok(counted.unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn half_a_mark_is_none() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("index.db");
        let mark = Mark::of(&path);
        assert_eq!(mark.read(), 0);
        mark.write(199);
        assert_eq!(Mark::of(&path).read(), 199);
        mark.write(200);
        assert_eq!(mark.read(), 200);
        let file = dir.path().join("index.db-mark");
        let (new, old) = (
            std::fs::read(&file).unwrap(),
            format!("{:020} {:020}\n", 199, 199),
        );
        for cut in 0..new.len() {
            let mixed = [&new[..cut], &old.as_bytes()[cut..]].concat();
            std::fs::write(&file, mixed).unwrap();
            assert!(matches!(mark.read(), 0 | 199 | 200), "cut at {cut}");
            std::fs::write(&file, &new[..cut]).unwrap();
            assert_eq!(mark.read(), 0, "cut off at {cut}");
        }
    }

    #[test]
    fn who_cannot_write_a_mark_goes_on() {
        let dir = tempfile::TempDir::new().unwrap();
        let mark = Mark::of(&dir.path().join("gone/index.db"));
        mark.write(1);
        assert_eq!(mark.read(), 0);
        std::fs::create_dir(dir.path().join("gone")).unwrap();
        mark.write(2);
        assert_eq!(mark.read(), 2);
    }
}

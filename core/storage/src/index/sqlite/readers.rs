//! The reading threads: each owns a connection and takes the next read that waits.
//!
//! A read is short and its pages are mostly in memory, so what it costs is how often threads hand it on: here once to a reader and once
//! back, and none of them is an event loop's thread.
//!
//! **Invariants.** A read sees one consistent state. A read whose caller left runs to its end and hurts nobody.
//! **Bounds.** [`PLACES`] reads wait or run; who finds none waits at most [`WAIT`].
//! **On failure.** A connection on which a statement failed, or a read panicked, is closed; the thread opens another for the next read.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use diesel::SqliteConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    apply,
    connect::{self, Purpose},
    fault::Fault,
};
use crate::Error;

/// Reads that wait or run.
pub(super) const PLACES: usize = 1024;
/// How long a read waits for a place.
pub(super) const WAIT: Duration = Duration::from_secs(5);
/// More threads than this for each core only take turns.
const THREADS_PER_CORE: usize = 2;

/// What became of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Well,
    Failed,
}

/// A read with its answer's way back; it takes a connection or the reason why there is none.
type Job = Box<dyn FnOnce(Result<&mut SqliteConnection, Error>) -> State + Send>;

/// Threads with a connection each. Dropping it lets them finish what waits, and end.
pub(super) struct Readers {
    line: Arc<Line>,
    places: Arc<Semaphore>,
}

/// Reads that wait for a thread. Who takes from a channel spins before it sleeps, which costs more than a read does where there are as many
/// threads as cores, and more.
#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(Job, OwnedSemaphorePermit)>,
    closed: bool,
}

impl Line {
    fn push(&self, job: Job, place: OwnedSemaphorePermit) {
        self.lock().jobs.push_back((job, place));
        self.more.notify_one();
    }

    /// The next read, once there is one; none once nobody can ask for more.
    fn next(&self) -> Option<(Job, OwnedSemaphorePermit)> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self
                .more
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.more.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.line.close();
    }
}

impl Readers {
    /// Opens one connection, so that a file that cannot be read is known now, and starts up to `readers` threads.
    pub fn start(path: &str, readers: u32) -> Result<Readers, Error> {
        let mut first = Some(open(path)?);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = usize::try_from(readers).unwrap_or(usize::MAX);
        let line = Arc::new(Line::default());
        // If a thread cannot be made, those that were end.
        let started = Readers {
            line: line.clone(),
            places: Arc::new(Semaphore::new(PLACES)),
        };
        for nth in 0..threads.clamp(1, THREADS_PER_CORE * cores) {
            let (path, line, conn) = (path.to_owned(), line.clone(), first.take());
            thread::Builder::new()
                .name(format!("index-read-{nth}"))
                .spawn(move || serve(&path, conn, &line))
                .map_err(|it| Error::Unavailable(format!("thread of the index: {it}")))?;
        }
        Ok(started)
    }

    /// Reads one consistent state.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        self.read_apart(|conn| in_one_state(conn, read)).await
    }

    /// Reads with each statement the state that there is then: for one statement, or where that makes no difference.
    pub async fn read_apart<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.place().await?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let (result, state) = match conn {
                Err(error) => (Err(error), State::Failed),
                Ok(conn) => match read(conn) {
                    Ok(found) => (Ok(found), State::Well),
                    Err(Fault::Refused(error)) => (Err(error), State::Well),
                    Err(fault) => (Err(fault.into()), State::Failed),
                },
            };
            // Who left needs no answer.
            let _ = answer.send(result);
            state
        });
        self.line.push(job, place);
        answered.await.unwrap_or_else(|_| {
            Err(Error::Unavailable(
                "a read of the index panicked".to_owned(),
            ))
        })
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let waits = tokio::time::timeout(WAIT, self.places.clone().acquire_owned());
        match waits.await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Error::Unavailable(
                "too many reads of the index wait".to_owned(),
            )),
        }
    }
}

/// One thread's life.
fn serve(path: &str, mut conn: Option<SqliteConnection>, line: &Line) {
    while let Some((job, place)) = line.next() {
        let opened = match conn.take() {
            Some(conn) => Ok(conn),
            None => open(path),
        };
        match opened {
            Ok(mut opened) => {
                // The panic is in the log by now; whoever asked sees the answer's sender go.
                let ran = catch_unwind(AssertUnwindSafe(|| job(Ok(&mut opened))));
                if matches!(ran, Ok(State::Well)) {
                    conn = Some(opened);
                }
            }
            Err(error) => {
                let _ = catch_unwind(AssertUnwindSafe(|| job(Err(error))));
            }
        }
        drop(place);
    }
}

fn open(path: &str) -> Result<SqliteConnection, Error> {
    connect::open(path, Purpose::Read).map_err(|it| connect::refused(&it))
}

fn in_one_state<T>(
    conn: &mut SqliteConnection,
    read: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    apply::begin(conn, "BEGIN")?;
    let answer = read(conn);
    let ended = apply::word(conn, "COMMIT");
    answer.and_then(|it| Ok(ended.map(|()| it)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
    use tempfile::TempDir;

    use super::*;

    #[derive(QueryableByName)]
    struct One {
        #[diesel(sql_type = BigInt)]
        one: i64,
    }

    fn readers(dir: &TempDir) -> Readers {
        let path = dir.path().join("index.db");
        connect::migrate(&path).unwrap();
        Readers::start(path.to_str().unwrap(), 1).unwrap()
    }

    fn one(conn: &mut SqliteConnection) -> Result<i64, Fault> {
        let row: One = sql_query("SELECT 1 AS one").get_result(conn)?;
        Ok(row.one)
    }

    #[tokio::test]
    async fn a_read_that_panics_or_fails_harms_no_other() {
        let dir = TempDir::new().unwrap();
        let readers = readers(&dir);
        let panicked = readers.read(|_| -> Result<(), Fault> { panic!("on purpose") });
        assert!(matches!(panicked.await, Err(Error::Unavailable(_))));
        assert_eq!(readers.read(one).await, Ok(1));
        let failed = readers.read(|conn| {
            sql_query("SELECT nothing").execute(conn)?;
            Ok(())
        });
        assert!(matches!(failed.await, Err(Error::Unavailable(_))));
        assert_eq!(readers.read(one).await, Ok(1));
        // A place is free when its job is over, which may be a moment after its answer.
        let all = readers.places.acquire_many(u32::try_from(PLACES).unwrap());
        let free = tokio::time::timeout(std::time::Duration::from_secs(10), all).await;
        assert!(free.is_ok_and(|all| all.is_ok()), "no place is lost");
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_and_is_refused() {
        let dir = TempDir::new().unwrap();
        let readers = readers(&dir);
        let (go_on, stuck) = mpsc::channel::<()>();
        let holds = readers.read(move |_| Ok(stuck.recv().is_ok()));
        let places = u32::try_from(PLACES - 1).unwrap();
        let others = readers
            .places
            .clone()
            .acquire_many_owned(places)
            .await
            .unwrap();
        let refused = async {
            let refused = readers.read(one).await;
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
            drop(others);
            let next = readers.read(one);
            go_on.send(()).unwrap();
            assert_eq!(next.await, Ok(1));
        };
        let (held, ()) = tokio::join!(holds, refused);
        assert_eq!(held, Ok(true));
    }

    #[tokio::test]
    async fn a_file_that_went_is_unavailable_and_comes_back() {
        let dir = TempDir::new().unwrap();
        let readers = readers(&dir);
        let (path, away) = (dir.path().to_owned(), dir.path().with_extension("away"));
        let moved = readers.read({
            let (path, away) = (path.clone(), away.clone());
            move |_| -> Result<(), Fault> {
                std::fs::rename(&path, &away).unwrap();
                panic!("closes the connection")
            }
        });
        assert!(moved.await.is_err());
        let gone = readers.read(one).await;
        assert!(matches!(gone, Err(Error::Unavailable(_))), "{gone:?}");
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(readers.read(one).await, Ok(1));
    }
}

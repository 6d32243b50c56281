//! How reads and changes run: on a connection of the pool, again where that can help.

use std::sync::Arc;

use super::{
    Hearing, PostgresIndex,
    apply::{self, ATTEMPTS, Failed},
    conn::Conn,
    fault::Fault,
    look::{self, Look, State},
    pool::Lease,
};
use crate::{
    Error,
    index::{Change, Outcome},
};

impl PostgresIndex {
    /// Runs something on a connection, once.
    pub(super) async fn on<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Conn, &(String, String)) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut lease = self.lease().await?;
        let (pool, begin) = (self.pool.clone(), self.begin.clone());
        let ran = self.pool.runtime.spawn_blocking(move || {
            let answer = run(&mut lease.conn, &begin);
            pool.give_back(lease);
            answer
        });
        ran.await.unwrap_or_else(|it| Err(gone(&it)))
    }

    pub(super) async fn lease(&self) -> Result<Lease, Error> {
        if let Some(lease) = self.pool.at_once() {
            return Ok(lease);
        }
        let pool = self.pool.clone();
        let wait = self.pool.runtime.spawn(async move { pool.lease().await });
        wait.await.unwrap_or_else(|it| Err(gone(&it)))
    }

    /// Reads one consistent state; again if the connection was lost under it.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&mut Conn) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let read = Arc::new(read);
        self.trying(move |conn, begin| {
            conn.begin(&begin.1);
            match read(conn) {
                Err(fault @ Fault::Database(_)) => Err(apply::given_up(conn, fault)),
                answer => {
                    conn.end_unheard("COMMIT");
                    answer.map_err(|it| Failed::Final(it.into()))
                }
            }
        })
        .await
    }

    /// Applies changes in one transaction.
    pub(super) async fn apply_part(&self, changes: Vec<Change>) -> Vec<Result<Outcome, Error>> {
        let count = changes.len();
        let (changes, notices) = (Arc::new(changes), self.notices.clone());
        let made = changes.clone();
        let answers = self
            .trying(move |conn, begin| {
                let answers = apply::batch(conn, &begin.0, &changes)?;
                // Here, because the caller may have left.
                notices.tell(&changes, &answers);
                Ok(answers)
            })
            .await;
        if self.hearing == Hearing::Nobody && answers.is_ok() {
            let (notices, pool) = (self.notices.clone(), self.pool.clone());
            let told = self
                .pool
                .runtime
                .spawn(async move { notices.flush(&pool).await });
            // Whoever does not hear of it looks in a while.
            let _ = told.await;
        }
        if let Ok(answers) = &answers {
            self.remembered.grown(self, &made, answers);
        }
        answers.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Looks, without a thread that waits for it; again if the connection was lost under it.
    pub(super) async fn look<L: Look>(
        &self,
        state: State,
        look: impl Fn() -> L + Send + Sync,
    ) -> Result<L::Found, Error> {
        for attempt in 1.. {
            let begin = (state == State::One).then(|| self.begin.1.clone());
            let (lease, pool) = (self.lease().await?, self.pool.clone());
            let looks = look::once(lease, pool, begin, look());
            let ended = self.pool.runtime.spawn(looks).await;
            match ended.map_err(|it| gone(&it))? {
                Ok(found) => return Ok(found),
                Err(failed) => self.before_another(attempt, failed).await?,
            }
        }
        Err(Error::Unavailable("tried too often".to_owned()))
    }

    /// Runs a transaction until it comes to an end, or was tried often enough.
    pub(super) async fn trying<T: Send + 'static>(
        &self,
        run: impl Fn(&mut Conn, &(String, String)) -> Result<T, Failed> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let run = Arc::new(run);
        for attempt in 1.. {
            let once = run.clone();
            match self.on(move |conn, begin| Ok(once(conn, begin))).await? {
                Ok(answer) => return Ok(answer),
                Err(failed) => self.before_another(attempt, failed).await?,
            }
        }
        Err(Error::Unavailable("tried too often".to_owned()))
    }

    /// Waits before another attempt, if there is one to be made.
    pub(super) async fn before_another(&self, attempt: u32, failed: Failed) -> Result<(), Error> {
        match failed {
            Failed::Again(error) if attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "a transaction is tried again");
                let pause = tokio::time::sleep(apply::pause(attempt));
                // Timers are the runtime's too.
                let _ = self.pool.runtime.spawn(pause).await;
                Ok(())
            }
            Failed::Again(error) | Failed::Final(error) => Err(error),
        }
    }
}

fn gone(error: &tokio::task::JoinError) -> Error {
    Error::Unavailable(error.to_string())
}

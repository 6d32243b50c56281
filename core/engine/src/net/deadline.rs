//! Time limits for peers that are slow, on purpose or not.
//!
//! **Invariants.** No octet that trickles in prolongs the deadline of the line it belongs to; a body may be
//! slow but neither stand still nor crawl for ever.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// The peer was too slow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("deadline passed")]
pub struct TooSlow;

impl From<TooSlow> for io::Error {
    fn from(error: TooSlow) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}

/// The output of `future`, if it comes before `deadline`.
pub async fn within<T>(deadline: Instant, future: impl Future<Output = T>) -> Result<T, TooSlow> {
    timeout_at(deadline, future).await.map_err(|_| TooSlow)
}

/// Whether an I/O error is a passed deadline of this module.
pub fn is_too_slow(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooSlow>())
}

/// Deadlines of a peer that sends commands line by line.
///
/// Waiting for a line to begin may take `idle`. A line that has begun must be complete within `line`, however
/// its octets come. All that comes before login must be done within `login`.
#[derive(Debug)]
pub struct LineClock {
    idle: Duration,
    line: Duration,
    waiting_since: Instant,
    begun: Option<Instant>,
    login: Option<Instant>,
}

impl LineClock {
    /// A clock that starts now, for a peer that need not log in.
    pub fn new(idle: Duration, line: Duration) -> Self {
        Self {
            idle,
            line,
            waiting_since: Instant::now(),
            begun: None,
            login: None,
        }
    }

    /// A clock that starts now, for a peer that must log in within `login`.
    pub fn before_login(idle: Duration, line: Duration, login: Duration) -> Self {
        let clock = Self::new(idle, line);
        Self {
            login: Some(clock.waiting_since + login),
            ..clock
        }
    }

    /// The peer has logged in.
    pub fn logged_in(&mut self) {
        self.login = None;
    }

    /// The server waits for the next line, from now for at most `idle`.
    pub fn wait(&mut self, idle: Duration) {
        self.idle = idle;
        self.waiting_since = Instant::now();
        self.begun = None;
    }

    /// Octets of a line are here and its end is not. Only the first call for a line counts.
    pub fn begin(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// When the next octets must be here.
    pub fn deadline(&self) -> Instant {
        let line = match self.begun {
            Some(begun) => begun + self.line,
            None => self.waiting_since + self.idle,
        };
        self.login.map_or(line, |login| login.min(line))
    }
}

/// How slow a body may flow, in either direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// Longest time without a single octet.
    pub stall: Duration,
    /// Octets a second that it must reach on average, after a first `stall` of grace. At least one.
    pub floor: u64,
}

impl Default for Pace {
    /// RFC 5321 section 4.5.3.2.5 gives a block of DATA three minutes; no link in use is slower than the floor.
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(180),
            floor: 100,
        }
    }
}

/// The flow of one body.
#[derive(Debug)]
pub struct Flow {
    pace: Pace,
    started: Instant,
    last: Instant,
    moved: u64,
}

impl Flow {
    /// Starts now.
    pub fn start(pace: Pace) -> Self {
        let now = Instant::now();
        Self {
            pace,
            started: now,
            last: now,
            moved: 0,
        }
    }

    /// `octets` more went through.
    pub fn moved(&mut self, octets: usize) {
        if octets > 0 {
            self.moved += octets as u64;
            self.last = Instant::now();
        }
    }

    /// When the next octet must go through.
    pub fn deadline(&self) -> Instant {
        let earned = Duration::from_secs(self.moved / self.pace.floor.max(1));
        let crawl = self.started + self.pace.stall + earned;
        crawl.min(self.last + self.pace.stall)
    }

    /// Waits for `future`, at most until the deadline.
    pub async fn next<T>(&self, future: impl Future<Output = T>) -> Result<T, TooSlow> {
        within(self.deadline(), future).await
    }
}

/// Writes all of `octets` and flushes, at this pace.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] with [`TooSlow`] inside if the peer does not take them; else what the stream says.
pub async fn write_all<W>(writer: &mut W, mut octets: &[u8], pace: Pace) -> io::Result<()>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut flow = Flow::start(pace);
    while !octets.is_empty() {
        let count = flow.next(writer.write(octets)).await??;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        flow.moved(count);
        octets = &octets[count..];
    }
    flow.next(writer.flush()).await?
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn attack_06_a_trickled_line_meets_its_deadline() {
        let (mut client, mut server) = duplex(64);
        let trickle = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                sleep(SECOND).await;
            }
        });
        let start = Instant::now();
        let mut clock = LineClock::new(60 * SECOND, 30 * SECOND);
        let mut octet = [0];
        while let Ok(read) = within(clock.deadline(), server.read(&mut octet)).await {
            assert_eq!(read.expect("in memory"), 1);
            clock.begin();
        }
        assert_eq!(start.elapsed(), 30 * SECOND);
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn attack_06_a_chatty_client_must_log_in_some_day() {
        let mut clock = LineClock::before_login(60 * SECOND, 30 * SECOND, 180 * SECOND);
        let start = Instant::now();
        while within(clock.deadline(), sleep(7 * SECOND)).await.is_ok() {
            clock.begin();
            clock.wait(60 * SECOND);
        }
        assert_eq!(start.elapsed(), 180 * SECOND);
        clock.logged_in();
        clock.wait(1800 * SECOND);
        assert_eq!(clock.deadline() - Instant::now(), 1800 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn attack_06_a_peer_that_does_not_read_is_given_up() {
        let (_client, mut server) = duplex(1024);
        let pace = Pace {
            stall: 60 * SECOND,
            floor: 100,
        };
        let start = Instant::now();
        let error = write_all(&mut server, &[0; 4096], pace)
            .await
            .expect_err("nobody reads");
        assert!(is_too_slow(&error));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), 60 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn attack_06_a_peer_that_reads_octet_by_octet_is_given_up() {
        let (mut client, mut server) = duplex(64);
        let crawl = tokio::spawn(async move {
            let mut octet = [0];
            while client.read(&mut octet).await.is_ok_and(|count| count > 0) {
                sleep(SECOND).await;
            }
        });
        let pace = Pace {
            stall: 60 * SECOND,
            floor: 100,
        };
        let start = Instant::now();
        let error = write_all(&mut server, &[0; 4096], pace)
            .await
            .expect_err("one octet a second");
        assert!(is_too_slow(&error));
        assert!(start.elapsed() < 70 * SECOND, "{:?}", start.elapsed());
        crawl.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_but_steady_peer_gets_everything() {
        let (mut client, mut server) = duplex(512);
        let reader = tokio::spawn(async move {
            let mut total = 0;
            let mut some = [0; 512];
            loop {
                match client.read(&mut some).await.expect("in memory") {
                    0 => return total,
                    count => total += count,
                }
                sleep(SECOND).await;
            }
        });
        let pace = Pace {
            stall: 10 * SECOND,
            floor: 100,
        };
        write_all(&mut server, &[0; 512 * 200], pace)
            .await
            .expect("512 octets a second");
        drop(server);
        assert_eq!(reader.await.expect("no panic"), 512 * 200);
    }

    #[tokio::test]
    async fn a_closed_peer_is_an_error() {
        let (client, mut server) = duplex(64);
        drop(client);
        let error = write_all(&mut server, b"x", Pace::default())
            .await
            .expect_err("closed");
        assert!(!is_too_slow(&error));
    }
}

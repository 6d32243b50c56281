//! Read buffers that are borrowed while there is something to read.
//!
//! A connection that waits holds no buffer: each time the socket is tried a buffer comes from a pool of this
//! thread, and goes back at once if there was nothing to read. So ten thousand idle connections on a thread
//! share one buffer. This works for any stream. TLS streams hold, besides their keys, what rustls keeps for
//! records: 4 KiB that it offers no way to give back while a connection is idle.
//!
//! **Invariants.** A pooled buffer is whole, belongs to nobody, and what was read through it (passwords, mail) is
//! overwritten.
//! **Bounds.** [`POOLED`] buffers of [`CAPACITY`] a thread are kept; more are borrowed freely and then dropped.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Size of a buffer, in octets: a TLS record.
pub const CAPACITY: usize = 16 * 1024;

/// Buffers a thread keeps for later.
pub const POOLED: usize = 16;

/// Free space below which a buffer is made ready for more.
const LOW: usize = 512;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// What was read from a peer and not yet taken. Holds memory only while it holds octets.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    octets: BytesMut,
    /// Octets read since the buffer was borrowed: what must be wiped.
    used: usize,
}

impl ReadBuffer {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was read. Take from its front; do not replace it by another buffer.
    pub fn octets(&mut self) -> &mut BytesMut {
        &mut self.octets
    }

    /// Whether all that was read is taken.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Reads once, appends, and says how many octets came; none at the end of the stream.
    ///
    /// Safe to cancel. While it waits with nothing unread, no buffer is held.
    pub async fn read_from<R>(&mut self, stream: &mut R) -> io::Result<usize>
    where
        R: AsyncRead + Unpin + ?Sized,
    {
        poll_fn(|context| {
            self.borrow();
            let read = pin!(stream.read_buf(&mut self.octets)).poll(context);
            match &read {
                Poll::Ready(Ok(count)) => self.used = self.used.saturating_add(*count),
                Poll::Ready(Err(_)) | Poll::Pending => self.release(),
            }
            read
        })
        .await
    }

    /// Reads what is here already, without waiting; `None` if nothing is. Zero is the end of the stream.
    ///
    /// Tells whether a peer talks before its turn.
    pub fn read_now<R>(&mut self, stream: &mut R) -> Option<io::Result<usize>>
    where
        R: AsyncRead + Unpin + ?Sized,
    {
        self.read_from(stream).now_or_never()
    }

    /// Gives the memory back if all that was read is taken.
    pub fn release(&mut self) {
        if !self.octets.is_empty() || self.octets.capacity() == 0 && self.used == 0 {
            return;
        }
        let mut octets = std::mem::take(&mut self.octets);
        let used = std::mem::take(&mut self.used);
        // Another owner (a line that is still looked at) keeps the memory from being used again.
        if !octets.try_reclaim(CAPACITY) || octets.capacity() > 2 * CAPACITY {
            return;
        }
        octets.resize(used.min(octets.capacity()), 0);
        octets.clear();
        let _ = POOL.try_with(|pool| {
            if let Ok(mut pool) = pool.try_borrow_mut()
                && pool.len() < POOLED
            {
                pool.push(octets);
            }
        });
    }

    /// Forgets what was read.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.release();
    }

    fn borrow(&mut self) {
        if self.octets.capacity() - self.octets.len() >= LOW {
            return;
        }
        if self.octets.is_empty() && self.used == 0 {
            self.octets = POOL
                .try_with(|pool| pool.try_borrow_mut().ok()?.pop())
                .ok()
                .flatten()
                .unwrap_or_default();
        }
        // Reuses what is taken already, where nobody else holds it.
        let room = CAPACITY.saturating_sub(self.octets.len()).max(LOW);
        self.octets.reserve(room);
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.octets.clear();
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Buf;
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    fn pooled() -> usize {
        POOL.with_borrow(Vec::len)
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_share_one_buffer() {
        let mut idle: Vec<_> = (0..200).map(|_| (duplex(64), ReadBuffer::new())).collect();
        for ((_, server), buffer) in &mut idle {
            let wait = timeout(Duration::from_millis(1), buffer.read_from(server));
            wait.await.expect_err("nothing to read");
            assert_eq!(buffer.octets.capacity(), 0);
        }
        assert_eq!(pooled(), 1);
        for ((client, server), buffer) in &mut idle {
            client.write_all(b"NOOP\r\n").await.expect("in memory");
            assert_eq!(buffer.read_from(server).await.expect("in memory"), 6);
            assert_eq!(buffer.octets(), &b"NOOP\r\n"[..]);
        }
        drop(idle);
        assert_eq!(pooled(), POOLED, "the rest was dropped");
    }

    #[tokio::test]
    async fn a_lines_owner_keeps_its_octets() {
        let (mut client, mut server) = duplex(64);
        let mut buffer = ReadBuffer::new();
        client.write_all(b"LOGIN secret").await.expect("in memory");
        buffer.read_from(&mut server).await.expect("in memory");
        let line = buffer.octets().split().freeze();
        buffer.release();
        assert_eq!(pooled(), 0, "shared memory is not given to others");
        assert_eq!(&line[..], b"LOGIN secret");
    }

    #[tokio::test]
    async fn a_long_stream_goes_through_one_buffer() {
        let (mut client, mut server) = duplex(4096);
        let writer = tokio::spawn(async move {
            for _ in 0..1000 {
                client.write_all(&[b'x'; 1000]).await.expect("in memory");
            }
        });
        let mut buffer = ReadBuffer::new();
        let mut total = 0;
        loop {
            let count = buffer.read_from(&mut server).await.expect("in memory");
            if count == 0 {
                break;
            }
            total += count;
            assert!(buffer.octets().capacity() <= CAPACITY);
            let taken = buffer.octets().len();
            buffer.octets().advance(taken);
        }
        assert_eq!(total, 1_000_000);
        writer.await.expect("no panic");
        drop(buffer);
        assert_eq!(pooled(), 1);
    }

    #[tokio::test]
    async fn a_peer_that_talks_before_its_turn_is_noticed() {
        let (mut client, mut server) = duplex(64);
        let mut buffer = ReadBuffer::new();
        assert!(buffer.read_now(&mut server).is_none());
        assert_eq!(buffer.octets().capacity(), 0);
        client.write_all(b"EHLO x\r\n").await.expect("in memory");
        assert!(matches!(buffer.read_now(&mut server), Some(Ok(8))));
        assert_eq!(buffer.octets(), &b"EHLO x\r\n"[..]);
        drop(client);
        assert!(matches!(buffer.read_now(&mut server), Some(Ok(0))));
    }

    #[tokio::test]
    async fn unread_octets_stay_and_more_are_appended() {
        let (mut client, mut server) = duplex(64 * 1024);
        let mut buffer = ReadBuffer::new();
        client.write_all(&[b'a'; 40_000]).await.expect("in memory");
        while buffer.octets().len() < 40_000 {
            buffer.read_from(&mut server).await.expect("in memory");
        }
        buffer.release();
        assert_eq!(buffer.octets().len(), 40_000);
        buffer.clear();
        assert_eq!(buffer.octets().capacity(), 0);
    }
}

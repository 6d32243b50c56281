//! The filters of an engine, one after the other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use postrider_protocol::line::Newlines;
use tokio::sync::Semaphore;

use super::{Filter, Message, Verdict};

/// How long one filter may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// Usual checks of one filter at a time.
const CONCURRENT: usize = 64;

/// What becomes of a message that a filter cannot judge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFailure {
    /// It comes again later.
    Defer,
    /// It passes.
    Accept,
}

/// Filters in their order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Chain(Arc<[Link]>);

#[derive(Clone)]
struct Link {
    filter: Arc<dyn Filter>,
    on_failure: OnFailure,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.0.iter().map(|link| link.filter.name());
        f.debug_list().entries(names).finish()
    }
}

impl Chain {
    /// These filters, asked in this order.
    pub fn new(filters: Vec<(Arc<dyn Filter>, OnFailure)>) -> Self {
        Self::with_places(filters, CONCURRENT)
    }

    /// The same, each of which checks so many messages at a time.
    pub fn with_places(filters: Vec<(Arc<dyn Filter>, OnFailure)>, places: usize) -> Self {
        let link = |(filter, on_failure)| Link {
            filter,
            on_failure,
            places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
        };
        Self(filters.into_iter().map(link).collect())
    }

    /// What they say together: the first that does not accept decides.
    pub async fn check(&self, message: &Message<'_>) -> Verdict {
        let mut header = Vec::new();
        for link in self.0.iter() {
            match link.check(message).await {
                Verdict::Accept { header: added } if is_header(&added) => header.extend(added),
                Verdict::Accept { .. } => {
                    tracing::error!(filter = link.filter.name(), "filter added no header field");
                    return Verdict::Defer;
                }
                verdict => return verdict,
            }
        }
        Verdict::Accept { header }
    }
}

impl Link {
    async fn check(&self, message: &Message<'_>) -> Verdict {
        let name = self.filter.name();
        let check = async {
            let _place = self.places.acquire().await;
            AssertUnwindSafe(self.filter.check(message))
                .catch_unwind()
                .await
        };
        let why = match tokio::time::timeout(DEADLINE, check).await {
            Ok(Ok(Ok(verdict))) => {
                if verdict == Verdict::Reject {
                    tracing::info!(filter = name, peer = %message.peer, "message rejected");
                }
                return verdict;
            }
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "panicked".to_owned(),
            Err(_) => "too late".to_owned(),
        };
        tracing::warn!(filter = name, error = %why, on_failure = ?self.on_failure, "filter failed");
        match self.on_failure {
            OnFailure::Defer => Verdict::Defer,
            OnFailure::Accept => Verdict::accept(),
        }
    }
}

/// Whether these are whole header fields, so that a filter cannot end the header by accident, nor bring an octet into a message that
/// is refused from every peer: CR and LF outside of a CRLF, and NUL.
fn is_header(octets: &[u8]) -> bool {
    let mut newlines = Newlines::default();
    newlines.look(octets);
    if newlines.end() || octets.contains(&0) {
        return false;
    }
    if octets.is_empty() {
        return true;
    }
    let lines = octets
        .strip_suffix(b"\r\n")
        .map(|lines| lines.split(|octet| *octet == b'\n'));
    let Some(mut lines) = lines else {
        return false;
    };
    let mut first = true;
    lines.all(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let folded =
            !first && matches!(line.first(), Some(b' ' | b'\t')) && !line.trim_ascii().is_empty();
        first = false;
        let named = line
            .iter()
            .position(|octet| *octet == b':')
            .is_some_and(|colon| colon > 0 && line[..colon].iter().all(u8::is_ascii_graphic));
        folded || named
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes in through a filter is held to what comes in from a peer: no line end that another server might take for one.
    #[test]
    fn attack_11_a_filter_adds_whole_fields_and_nothing_else() {
        for good in [&b""[..], b"X-Spam: no\r\n", b"A: b\r\nC: d\r\n\te\r\n"] {
            assert!(is_header(good), "{good:?}");
        }
        for bad in [
            &b"X: y"[..],
            b"\r\n",
            b"X: y\r\n\r\n",
            b"no colon\r\n",
            b" A: b\r\n",
            b"A b: c\r\n",
            b"X: y\rZ: w\r\n",
            b"X: y\nZ: w\r\n",
            b"X: y\r\r\n",
            b"X: y\r\n \r\n",
            b"X: y\n",
            b"X: \0\r\n",
        ] {
            assert!(!is_header(bad), "{bad:?}");
        }
    }
}

//! Trace fields that a delivery puts before a message (RFC 5321 section 4.4), and what submission supplies (RFC 6409 section 8).

use bytes::Bytes;
use postrider_protocol::message::DateTime;
use postrider_protocol::message::header::find;
use postrider_protocol::message::received::{Received, return_path};
use postrider_storage::index::Timestamp;

use super::Incoming;

/// The fields for one recipient's copy.
pub(super) fn prefix(
    hostname: &str,
    incoming: &Incoming<'_>,
    header: &[u8],
    added: &[u8],
    now: Timestamp,
) -> Bytes {
    let id = id();
    let envelope = incoming.envelope;
    let only = match incoming.recipients {
        [only] => only.path.as_ref(),
        _ => None,
    };
    let tls = incoming.peer.tls.as_ref();
    let tls = tls.map(|tls| format!("{}, {}", tls.version, tls.cipher));
    let date = DateTime::utc(now.0.div_euclid(1_000_000));
    let received = Received {
        helo: &envelope.helo,
        peer_name: None,
        peer_ip: incoming.peer.ip(),
        by: hostname,
        with: envelope.with,
        tls: tls.as_deref(),
        id: &id,
        recipient: only,
        date,
    };
    let mut prefix = return_path(envelope.reverse_path.as_ref()).into_bytes();
    prefix.extend_from_slice(received.header().as_bytes());
    prefix.extend_from_slice(added);
    if incoming.submitter.is_some() {
        if find(header, "Date").is_none() {
            prefix.extend_from_slice(format!("Date: {}\r\n", date.header()).as_bytes());
        }
        if find(header, "Message-ID").is_none() {
            prefix.extend_from_slice(format!("Message-ID: <{id}@{hostname}>\r\n").as_bytes());
        }
    }
    prefix.into()
}

/// A name for this transmission: 80 bits, so that it is unique wherever messages meet.
pub(crate) fn id() -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut random = [0; 16];
    // Without randomness names repeat, and nothing else breaks.
    let _ = getrandom::fill(&mut random);
    let letter = |octet: &u8| char::from(LETTERS[usize::from(octet % 32)]);
    random.iter().map(letter).collect()
}

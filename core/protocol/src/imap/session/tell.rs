//! Untagged responses about the selected mailbox that no command asked for (RFC 9051 section 7).

use std::ops::Range;

use bytes::BytesMut;

use super::{ImapSession, Step, Synced};
use crate::imap::ask::Access;
use crate::imap::command::Refusal;
use crate::imap::response::code::Code;
use crate::imap::response::condition::{Condition, untagged};
use crate::imap::response::fetch::FetchResponse;
use crate::imap::response::flags::{self, Recency};
use crate::imap::snapshot::Entry;
use crate::imap::syntax::Utf8;
use crate::imap::types::{Flags, SeqNum, Uid};
use crate::imap::view::Expunges;
use crate::session::BATCH;

/// Keywords a mailbox may know: the bits of [`Flags`] that are no system flags, but for the sign.
const KEYWORDS: usize = 58;

/// News under way to the client.
struct Telling {
    expunged: std::vec::IntoIter<SeqNum>,
    exists: Option<u32>,
    keywords: bool,
    changed: std::vec::IntoIter<(SeqNum, Entry)>,
    /// Messages whose flags the client knows already, rising.
    told: Vec<Uid>,
}

impl ImapSession {
    /// Tells the client of what is new in its mailbox, a batch at a time, and goes on with `then`. Flags of messages in `told`
    /// (rising) are known to it already.
    pub(in crate::imap) fn tell(
        &mut self,
        synced: Synced,
        expunges: Expunges,
        told: Vec<Uid>,
        then: impl FnOnce(&mut ImapSession) -> Result<Step, Refusal> + Send + 'static,
    ) -> Result<Step, Refusal> {
        let Some(selected) = self.selected.as_mut() else {
            return then(self);
        };
        selected.take_recent(synced.recent);
        let news = selected.view.advance(synced.snapshot, expunges);
        if !news.expunged.is_empty() {
            let view = &selected.view;
            let is_there = |uid: &Uid| view.messages().find(*uid).is_some();
            selected.saved.retain(is_there);
        }
        if selected.view.owes() {
            self.owes();
        }
        let telling = Telling {
            expunged: news.expunged.into_iter(),
            exists: news.exists,
            keywords: news.keywords,
            changed: news.changed.into_iter(),
            told,
        };
        go_on(self, telling, then)
    }
}

fn go_on(
    session: &mut ImapSession,
    mut telling: Telling,
    then: impl FnOnce(&mut ImapSession) -> Result<Step, Refusal> + Send + 'static,
) -> Result<Step, Refusal> {
    match telling.write(session) {
        Progress::Batch => Step::resume(|session| go_on(session, telling, then)),
        Progress::All => then(session),
    }
}

/// How far a telling has come.
enum Progress {
    /// There is more; this much goes out first.
    Batch,
    All,
}

impl Telling {
    fn write(&mut self, session: &mut ImapSession) -> Progress {
        let (rev2, by_uid) = (session.enabled.rev2, session.by_uid());
        let Some(selected) = session.selected.as_ref() else {
            return Progress::All;
        };
        for seq in self.expunged.by_ref() {
            session.out.line(format!("* {seq} EXPUNGE"));
            if session.out.pending() >= BATCH {
                return Progress::Batch;
            }
        }
        if let Some(exists) = self.exists.take() {
            session.out.line(format!("* {exists} EXISTS"));
            if !rev2 {
                let recent = selected.recent_count();
                session.out.line(format!("* {recent} RECENT"));
            }
        }
        let messages = selected.view.messages();
        if std::mem::take(&mut self.keywords) {
            mailbox_flags(messages.keywords(), selected.access, session.out.text());
        }
        for (seq, entry) in self.changed.by_ref() {
            if self.told.binary_search(&entry.uid).is_ok() {
                continue;
            }
            let recency = selected.recency(entry.uid, rev2);
            let uid = (by_uid || rev2).then_some(entry.uid);
            let keywords = messages.keywords();
            flags_of(seq, uid, &entry, keywords, recency, session.out.text());
            if session.out.pending() >= BATCH {
                return Progress::Batch;
            }
        }
        Progress::All
    }
}

/// `* 3 FETCH (UID 7 FLAGS (\Seen))`
pub(in crate::imap) fn flags_of(
    seq: SeqNum,
    uid: Option<Uid>,
    entry: &Entry,
    keywords: &[String],
    recency: Recency,
    out: &mut BytesMut,
) {
    let mut response = FetchResponse::open(seq, Utf8::Off, out);
    if let Some(uid) = uid {
        response.uid(uid, out);
    }
    response.flags(entry.flags, keywords, recency, out);
    response.close(out);
}

/// `* FLAGS (…)` and `* OK [PERMANENTFLAGS (…)]`
pub(in crate::imap) fn mailbox_flags(keywords: &[String], access: Access, out: &mut BytesMut) {
    flags::flags(keywords, out);
    let code = match access {
        Access::ReadWrite => Code::PermanentFlags {
            flags: Flags::SYSTEM,
            keywords: keywords.to_vec(),
            new_keywords: keywords.len() < KEYWORDS,
        },
        Access::ReadOnly => Code::PermanentFlags {
            flags: Flags::NONE,
            keywords: Vec::new(),
            new_keywords: false,
        },
    };
    untagged(Condition::Ok, Some(&code), "flags that last", out);
}

impl super::Selected {
    /// Takes UIDs above all before that became `\Recent`. A session may live for months: what is adjacent is one range.
    pub fn take_recent(&mut self, recent: Range<u32>) {
        match self.recent.last_mut() {
            _ if recent.is_empty() => {}
            Some(last) if last.end == recent.start => last.end = recent.end,
            _ => self.recent.push(recent),
        }
    }

    /// Whether a message is `\Recent` for this session.
    pub fn is_recent(&self, uid: Uid) -> bool {
        let after = self.recent.partition_point(|range| range.end <= uid.0);
        self.recent
            .get(after)
            .is_some_and(|range| range.contains(&uid.0))
    }

    /// How `\Recent` is told of a message.
    pub fn recency(&self, uid: Uid, rev2: bool) -> Recency {
        match !rev2 && self.is_recent(uid) {
            true => Recency::Recent,
            false => Recency::Old,
        }
    }

    /// How many messages are `\Recent` for this session.
    pub fn recent_count(&self) -> usize {
        let messages = self.view.messages();
        self.recent
            .iter()
            .map(|range| {
                let from = messages.iter_from(Uid(range.start));
                from.take_while(|(_, entry)| entry.uid.0 < range.end)
                    .count()
            })
            .sum()
    }
}

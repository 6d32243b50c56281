//! Messages: APPEND, STORE, COPY, MOVE, EXPUNGE, and reading them.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use postrider_protocol::imap::ask::{Answer, CopyMode, Found, OCTETS_PER_READ, StoreMode, Trouble};
use postrider_protocol::imap::search::by_message;
use postrider_protocol::imap::syntax::flag::FlagList;
use postrider_protocol::imap::syntax::mailbox::MailboxName;
use postrider_protocol::imap::syntax::search::SearchKey;
use postrider_protocol::imap::types::{ModSeq, Uid, UidValidity};
use postrider_protocol::message::binary::{Plan, Unfit};
use postrider_protocol::message::transfer::TransferDecoder;
use postrider_protocol::message::{Encoding, Kept};
use postrider_storage::Error;
use postrider_storage::blob::BlobMeta;
use postrider_storage::index::{
    self as storage, Append, BlobRef, Copy, Expunge, ExpungeWhich, Store, Timestamp,
};

use super::{Answered, ImapAsks, Refused, flags};
use crate::actor::{ByteCount, Share};
use crate::blob::{SpoolError, Spooled};
use crate::clock;
use crate::connection::body::OpenBody;
use crate::mailbox::convert;
use crate::telemetry::metrics::MESSAGES_RECEIVED;

impl ImapAsks {
    pub(super) async fn may_append(&mut self, mailbox: MailboxName, octets: u64) -> Answered {
        self.selectable(&mailbox).await?;
        let Answer::Quota(quota) = self.quota().await? else {
            return Ok(Answer::Done);
        };
        match quota.limit {
            Some(limit) if quota.used.saturating_add(octets) > limit => {
                Err(Trouble::OverQuota.into())
            }
            _ => Ok(Answer::Done),
        }
    }

    pub(super) async fn append(
        &mut self,
        name: MailboxName,
        list: FlagList,
        internal_date: Option<i64>,
    ) -> Answered {
        let mailbox = self.selectable(&name).await?;
        let account = self.account()?.clone();
        let spool = self.desk.spool.take().ok_or(Trouble::Unavailable)?;
        let spooled = spool
            .finish()
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        let spooled = self.textual(spooled).await?;
        let now = clock::now();
        let date =
            internal_date.map_or(now, |seconds| Timestamp(seconds.saturating_mul(1_000_000)));
        let meta = BlobMeta {
            account: account.email.clone(),
            mailbox: name.as_str().to_owned(),
            internal_date: date.0,
            sender: String::new(),
            recipient: String::new(),
        };
        let services = &self.desk.services;
        let blob = services
            .delivery
            .keep(Bytes::new(), &spooled, &self.desk.taker, &meta, now)
            .await?;
        let append = Append {
            account: account.id,
            mailbox: mailbox.id,
            blob,
            flags: flags(list.system),
            keywords: keywords(&list),
            internal_date: date,
            now,
        };
        let body = vec![append.blob.key.clone()];
        let appended = services.index.append(append).await;
        let appended = services.delivery.settled(appended, body).await?;
        self.reserve_recent(mailbox.id, appended.uid);
        self.desk.services.mailboxes.notice(mailbox.id);
        metrics::counter!(MESSAGES_RECEIVED, "service" => self.desk.service).increment(1);
        Ok(Answer::Appended {
            uid_validity: UidValidity(appended.uid_validity.0),
            uid: Uid(appended.uid.0),
        })
    }

    /// What was sent, with binary parts in base64: no section but BINARY may bring a NUL to a client (RFC 9051 section 4.3.1), and
    /// a NUL outside of such parts has no form that could be kept (RFC 3516 section 4.4).
    async fn textual(&self, spooled: Spooled) -> Result<Spooled, Refused> {
        let unavailable = |error: SpoolError| Error::Unavailable(error.to_string());
        let (services, taker) = (&self.desk.services, &self.desk.taker);
        let scan = spooled.scan(Bytes::new(), taker, self.desk.deadline(), recoded);
        let message = match scan.await.map_err(unavailable)? {
            Ok(None) => return Ok(spooled),
            Ok(Some(message)) => message,
            Err(Unfit) => return Err(Trouble::UnknownTransferEncoding.into()),
        };
        let mut spool = services
            .spools
            .begin(taker, services.config.deadlines.answer);
        spool.append(&message).await;
        Ok(spool.finish().await.map_err(unavailable)?)
    }

    pub(super) async fn store(
        &mut self,
        uids: &[Uid],
        mode: StoreMode,
        list: FlagList,
        unchanged_since: Option<ModSeq>,
    ) -> Answered {
        let store = Store {
            mailbox: self.joined()?.id(),
            uids: convert::uids(uids),
            mode: match mode {
                StoreMode::Replace => storage::StoreMode::Replace,
                StoreMode::Add => storage::StoreMode::Add,
                StoreMode::Remove => storage::StoreMode::Remove,
            },
            flags: flags(list.system),
            keywords: keywords(&list),
            unchanged_since: unchanged_since.map(|modseq| storage::ModSeq(modseq.0)),
        };
        let stored = self.desk.services.index.store(store).await?;
        Ok(Answer::Stored {
            synced: self.synced_after_change().await?,
            modified: convert::uids_back(&stored.modified),
        })
    }

    pub(super) async fn copy(&mut self, uids: &[Uid], to: MailboxName, mode: CopyMode) -> Answered {
        let to = self.selectable(&to).await?;
        let from = self.joined()?.id();
        let copy = Copy {
            account: self.account()?.id,
            from,
            uids: convert::uids(uids),
            to: to.id,
            mode: match mode {
                CopyMode::Copy => storage::CopyMode::Copy,
                CopyMode::Move => storage::CopyMode::Move,
            },
            now: clock::now(),
        };
        let copied = self.desk.services.index.copy(copy).await?;
        self.desk.services.mailboxes.notice(to.id);
        let synced = match mode {
            CopyMode::Move => self.synced_after_change().await?,
            CopyMode::Copy => {
                self.synced(postrider_protocol::imap::ask::Recent::Leave)
                    .await?
            }
        };
        Ok(Answer::Copied {
            uid_validity: UidValidity(copied.uid_validity),
            from: convert::uids_back(&copied.from),
            to: convert::uids_back(&copied.to),
            synced,
        })
    }

    pub(super) async fn expunge(&mut self, uids: Option<Vec<Uid>>) -> Answered {
        let expunge = Expunge {
            account: self.account()?.id,
            mailbox: self.joined()?.id(),
            which: match uids {
                None => ExpungeWhich::Deleted,
                Some(uids) => ExpungeWhich::DeletedAmong(convert::uids(&uids)),
            },
            now: clock::now(),
        };
        let expunged = self.desk.services.index.expunge(expunge).await?;
        Ok(Answer::Synced(match expunged.uids.is_empty() {
            true => {
                self.synced(postrider_protocol::imap::ask::Recent::Leave)
                    .await?
            }
            false => self.synced_after_change().await?,
        }))
    }

    pub(super) async fn blob(&self, uid: Uid) -> Result<BlobRef, Refused> {
        let joined = self.joined()?;
        let (mailbox, uids) = (joined.id(), [storage::Uid(uid.0)]);
        let found = joined
            .index()
            .read(|index| index.blobs(mailbox, &uids))
            .await?;
        let (_, blob) = found.into_iter().next().ok_or(Trouble::Expunged)?;
        Ok(blob)
    }

    pub(super) async fn body(&mut self, uid: Uid, range: Range<u64>) -> Answered {
        let joined = self.joined()?;
        let (mailbox, known) = (joined.id(), joined.known());
        let following = |after: storage::Uid, most: usize| {
            let known = known.iter();
            let behind = known.flat_map(|known| known.iter_from(Uid(after.0.saturating_add(1))));
            let behind = behind.map(|(_, entry)| storage::Uid(entry.uid.0));
            behind.take(most).collect()
        };
        let opened = self
            .desk
            .open(mailbox, storage::Uid(uid.0), range, &following);
        match opened.await {
            Ok(Some(octets)) => Ok(Answer::Body { octets }),
            Ok(None) => Err(Trouble::Expunged.into()),
            Err(error) => Err(missing(uid, error)),
        }
    }

    pub(super) async fn read(&mut self, uid: Uid, range: Range<u64>) -> Answered {
        let blob = self.blob(uid).await?;
        let most = range.start.saturating_add(OCTETS_PER_READ);
        let end = range.end.min(blob.size).min(most);
        let range = range.start.min(end)..end;
        match self.octets(&blob, range).await {
            Ok(octets) => Ok(Answer::Read(octets)),
            Err(error) => Err(missing(uid, error)),
        }
    }

    pub(super) async fn octets(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, Error> {
        let mut octets = BytesMut::with_capacity((range.end - range.start) as usize);
        let mut stream = self
            .desk
            .services
            .blobs
            .get(&blob.key, range, self.desk.deadline())
            .await?;
        while let Some(chunk) = stream.next().await {
            octets.extend_from_slice(&chunk?);
        }
        Ok(octets.freeze())
    }

    /// Memory from the budget, waited for in line.
    pub(super) async fn reserve(&self, octets: u64) -> Result<Share, Error> {
        let octets = ByteCount::bytes(octets);
        let share = self.desk.taker.take(octets, self.desk.deadline()).await;
        share.map_err(|error| Error::Unavailable(error.to_string()))
    }

    /// Decodes a part into memory that the budget grants.
    pub(super) async fn decode(&mut self, uid: Uid, range: Range<u64>, encoding: &str) -> Answered {
        let encoding = Encoding::named(encoding.as_bytes());
        if matches!(encoding, Encoding::Other(_)) {
            return Err(Trouble::UnknownTransferEncoding.into());
        }
        let blob = self.blob(uid).await?;
        // The body before is sent, and what was read ahead can be read again; their memory may be what this one needs.
        self.desk.body = None;
        self.desk.ahead = None;
        let share = self.reserve(range.end.saturating_sub(range.start)).await?;
        let mut decoder = TransferDecoder::new(&encoding);
        let mut decoded = Vec::new();
        let mut stream = self
            .desk
            .services
            .blobs
            .get(&blob.key, range, self.desk.deadline())
            .await
            .map_err(|error| missing(uid, error))?;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| missing(uid, error))?;
            decoder.feed(&chunk, &mut decoded);
        }
        decoder.finish(&mut decoded);
        let decoded = Bytes::from(decoded);
        let octets = decoded.len() as u64;
        self.desk.body = Some(OpenBody::Made {
            octets: decoded,
            _share: Arc::new(share),
        });
        Ok(Answer::Body { octets })
    }

    /// Looks into messages. One message at a time is in memory, and the budget knows of it.
    pub(super) async fn search(&mut self, keys: Arc<[SearchKey]>, uids: &[Uid]) -> Answered {
        self.desk.ahead = None;
        let mut found = Vec::with_capacity(uids.len());
        let mut left = uids.to_vec();
        while !left.is_empty() {
            let page = self.read_summaries(&left, &[]).await?;
            for (uid, summary) in page.summaries {
                let matches = self.matches(keys.clone(), uid, &summary).await?;
                found.extend(matches.map(|matches| Found { uid, matches }));
            }
            left = page.rest;
        }
        Ok(Answer::Found(found))
    }

    /// Which keys a message matches; none if there is nothing to look at.
    async fn matches(
        &self,
        keys: Arc<[SearchKey]>,
        uid: Uid,
        summary: &Kept,
    ) -> Result<Option<Vec<bool>>, Refused> {
        let Ok(summary) = summary.decode() else {
            return Ok(None);
        };
        let blob = match self.blob(uid).await {
            Ok(blob) => blob,
            Err(Refused::Trouble(Trouble::Expunged)) => return Ok(None),
            Err(refused) => return Err(refused),
        };
        let _share = self.reserve(blob.size).await?;
        let message = match self.octets(&blob, 0..blob.size).await {
            Ok(message) => message,
            // What is not there holds nothing, and is no reason not to look at the others.
            Err(error) => match missing(uid, error) {
                Refused::Trouble(Trouble::Damaged) => return Ok(None),
                refused => return Err(refused),
            },
        };
        let runtime = &self.desk.services.runtime;
        let matches = runtime.spawn_blocking(move || {
            let matching = |key: &SearchKey| by_message(key, &summary, &message);
            keys.iter().map(matching).collect()
        });
        let matches = matches
            .await
            .map_err(|gone| Error::Unavailable(gone.to_string()))?;
        Ok(Some(matches))
    }
}

/// The message in base64 where it must be; none if it can stay as it is.
fn recoded(message: &[u8]) -> Result<Option<Vec<u8>>, Unfit> {
    if !message.contains(&0) {
        return Ok(None);
    }
    let mut recoder = Plan::of(message)?.ok_or(Unfit)?.recoder();
    let mut out = Vec::with_capacity(message.len() + message.len() / 2);
    recoder.feed(message, &mut out);
    recoder.finish(&mut out);
    Ok(Some(out))
}

/// Why a body cannot be read. A row whose body is not there: somebody has to look, and no client can help it.
pub(super) fn missing(uid: Uid, error: Error) -> Refused {
    match error {
        Error::NotFound(_) => {
            tracing::error!(%error, uid = uid.0, "body is missing");
            Trouble::Damaged.into()
        }
        error => error.into(),
    }
}

fn keywords(list: &FlagList) -> Vec<String> {
    let name =
        |keyword: &postrider_protocol::imap::syntax::flag::Keyword| keyword.as_str().to_owned();
    list.keywords.iter().map(name).collect()
}

//! Orphans: bodies that no row names, and how they become messages again.
//!
//! **Invariants.** A body never goes to who got its address after it was made (I6), unless an operator says so. The row is made for the body that lies there, under its key: a repair that is repeated finds its row and appends nothing.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use postrider_protocol::line::octets_as_lines;
use postrider_storage::{
    Class, Error,
    blob::{BlobKey, BlobMeta, Unique},
    index::{
        Account, Append, Appended, Change, CreateMailbox, Flags, INBOX, Mailbox, NewBlob, Outcome,
        Timestamp,
    },
};

use super::{Fsck, Orphan, OrphanFate, Owner, Repair};
use crate::blob::{SpoolError, Spooled};

impl Fsck {
    /// Looks at a body without a row, and repairs it if that is wanted; none if it went meanwhile.
    pub(super) async fn look_at_orphan(
        &self,
        now: Timestamp,
        key: BlobKey,
        size: u64,
    ) -> Result<Option<Orphan>, Error> {
        let meta = match self.blobs.meta(&key, self.deadline()).await {
            Ok(meta) => meta,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let fate = match self.options.repair {
            Repair::Report => OrphanFate::Found,
            Repair::Append => match self.append(now, &key, size, &meta).await {
                Ok(Some(fate)) => fate,
                Ok(None) => return Ok(None),
                // It went while we read it, or its row came and it is doomed already.
                Err(Error::NotFound("body" | "blob")) => return Ok(None),
                // Gone or unreadable, full, or not to be kept: this one's trouble. Ours ends the check.
                Err(error) if error.class() != Class::Temporary => left(&error.to_string()),
                Err(error) => return Err(error),
            },
        };
        Ok(Some(Orphan {
            key: key.as_str().to_owned(),
            size,
            account: meta.account,
            mailbox: meta.mailbox,
            fate,
        }))
    }

    pub(super) async fn append(
        &self,
        now: Timestamp,
        key: &BlobKey,
        size: u64,
        meta: &BlobMeta,
    ) -> Result<Option<OrphanFate>, Error> {
        let Some(account) = self.index.account(&meta.account).await? else {
            return Ok(Some(left("no account of this address")));
        };
        let unique = key.unique();
        if self.options.owner == Owner::Then {
            if unique.as_ref().is_some_and(Unique::is_derived) {
                let why = "an import that did not come to its end brought it; run that again";
                return Ok(Some(left(why)));
            }
            let made = unique.map_or(Timestamp(0), |unique| unique.made());
            if made < account.addressed {
                return Ok(Some(left("made before the account got this address")));
            }
        }
        let body = self.read(key, size).await?;
        if !key.fits(&body.written()) {
            return Ok(Some(left("its octets do not fit its name")));
        }
        let Some(mailbox) = self.mailbox_at_birth(&account, &meta.mailbox, now).await? else {
            return Ok(Some(left("the account has no INBOX")));
        };
        let summarize = Arc::clone(&self.summarize);
        let (summary, line_size) = body
            .scan(Bytes::new(), &self.taker, self.deadline(), move |octets| {
                (summarize(octets), octets_as_lines(octets))
            })
            .await
            .map_err(spool_error)?;
        let append = Append {
            account: account.id,
            mailbox: mailbox.id,
            blob: NewBlob {
                key: key.clone(),
                size,
                line_size,
                sha256: body.sha256(),
                summary,
            },
            flags: Flags::default(),
            keywords: Vec::new(),
            internal_date: Timestamp(meta.internal_date),
            now,
        };
        // Another check may have been faster, or who put it; then it may lie in another mailbox by now, where a second append would not find it.
        let known = self.index.known_bodies(std::slice::from_ref(key)).await?;
        if !known.is_empty() {
            return Ok(None);
        }
        let outcome = crate::blob::apply(self.index.as_ref(), Change::Append(append)).await?;
        let Outcome::Appended(Appended { uid, .. }) = outcome else {
            return Err(Error::Corrupt(format!(
                "the index answered an append with {outcome:?}"
            )));
        };
        tracing::info!(%key, account = %account.email, mailbox = %mailbox.name, %uid, "a body without a row is a message again");
        Ok(Some(OrphanFate::Appended {
            mailbox: mailbox.name,
            uid: uid.0,
        }))
    }

    /// Where a message was born, made again if that is gone; INBOX if it cannot be made.
    async fn mailbox_at_birth(
        &self,
        account: &Account,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<Mailbox>, Error> {
        let selectable = |mailbox: &Mailbox| mailbox.selectable;
        let there = self.index.mailbox(account.id, name).await?;
        if let Some(mailbox) = there.filter(selectable) {
            return Ok(Some(mailbox));
        }
        let create = CreateMailbox {
            account: account.id,
            name: name.to_owned(),
            special_use: None,
            now,
        };
        match crate::blob::apply(self.index.as_ref(), Change::CreateMailbox(create)).await {
            Err(error) if error.class() == Class::Temporary => return Err(error),
            // Made by us or by somebody else meanwhile; or a name that is none today, or one too many.
            _ => {}
        }
        let made = self.index.mailbox(account.id, name).await?;
        if let Some(mailbox) = made.filter(selectable) {
            return Ok(Some(mailbox));
        }
        self.index.mailbox(account.id, INBOX).await
    }

    /// Reads a body back into the spool.
    async fn read(&self, key: &BlobKey, size: u64) -> Result<Spooled, Error> {
        let mut spool = self.spools.begin(&self.taker, self.options.patience);
        let mut chunks = self.blobs.get(key, 0..size, self.deadline()).await?;
        while let Some(chunk) = chunks.try_next().await? {
            spool.append(&chunk).await;
        }
        spool.finish().await.map_err(spool_error)
    }
}

fn left(why: &str) -> OrphanFate {
    let why = why.to_owned();
    OrphanFate::Left { why }
}

fn spool_error(error: SpoolError) -> Error {
    Error::Unavailable(error.to_string())
}

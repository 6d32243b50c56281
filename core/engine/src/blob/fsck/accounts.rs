//! From the accounts' side: whose messages have no body, and whether used quotas are what the messages take (I4).

use std::collections::HashMap;

use postrider_storage::{
    Error,
    index::{BlobId, ModSeq, Usage},
};

use super::{Fsck, FsckReport, Named, WrongQuota};

impl Fsck {
    /// Finds the messages that name bodies which are not there. `missing` says where each body stands in the report.
    pub(super) async fn name_messages(
        &self,
        missing: &HashMap<BlobId, usize>,
        report: &mut FsckReport,
    ) -> Result<(), Error> {
        if missing.is_empty() {
            return Ok(());
        }
        for account in self.index.accounts(None).await? {
            for mailbox in self.index.mailboxes(account.id).await? {
                let messages = match self.index.changes(mailbox.id, ModSeq(0)).await {
                    Ok(changes) => changes.changed,
                    // It went while we looked.
                    Err(Error::NotFound(_)) => continue,
                    Err(error) => return Err(error),
                };
                for message in messages {
                    let place = missing.get(&message.blob);
                    if let Some(missing) = place.and_then(|it| report.missing.listed.get_mut(*it)) {
                        missing.messages.push(Named {
                            account: account.email.clone(),
                            mailbox: mailbox.name.clone(),
                            uid: message.uid.0,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Compares what accounts count as used with what their messages have.
    pub(super) async fn look_at_quotas(&self, report: &mut FsckReport) -> Result<(), Error> {
        for account in self.index.accounts(None).await? {
            // None: it went while we looked.
            let Some(Usage { used, sum }) = self.index.usage(account.id).await? else {
                continue;
            };
            if used != sum {
                let account = account.email;
                report.quotas.add(WrongQuota { account, used, sum });
            }
        }
        Ok(())
    }
}

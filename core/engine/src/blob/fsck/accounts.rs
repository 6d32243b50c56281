//! From the accounts' side: whose messages have no body, and whether used quotas are what the messages take (I4).

use std::collections::HashMap;

use postrider_storage::{
    Error,
    index::{Account, BlobId, ModSeq},
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

    /// Compares used quotas with the sums of the mailboxes, twice where they differ: mail may be coming in.
    pub(super) async fn look_at_quotas(&self, report: &mut FsckReport) -> Result<(), Error> {
        for account in self.index.accounts(None).await? {
            if self.sum(&account).await? == account.used {
                continue;
            }
            let Some(again) = self.index.account_by_id(account.id).await? else {
                continue;
            };
            let sum = self.sum(&again).await?;
            if sum != again.used && again.used == account.used {
                report.quotas.add(WrongQuota {
                    account: again.email,
                    used: again.used,
                    sum,
                });
            }
        }
        Ok(())
    }

    async fn sum(&self, account: &Account) -> Result<u64, Error> {
        let mailboxes = self.index.mailboxes(account.id).await?;
        Ok(mailboxes.iter().map(|it| it.size).sum())
    }
}

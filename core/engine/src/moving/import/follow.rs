//! A later run of an import: flags and keywords that changed in the tree since a message was brought.
//!
//! **Invariants.** What its owner changed here stays as it is here; the index tells the two apart in the transaction that changes flags.

use std::collections::{BTreeSet, HashMap, HashSet};

use postrider_storage::Error;
use postrider_storage::index::{
    Account, Change, Flags, Mailbox, ModSeq, Outcome, PLACED_AT_ONCE, Reflag, Reflagged, Stored,
    Uid,
};

use super::{Folder, Import, Imported, derivation};

/// UIDs that are asked for at a time.
const PAGE: usize = 1000;

/// What was brought into a mailbox before.
#[derive(Default)]
pub(super) struct Known {
    /// What tells its messages, also those that can be brought back.
    pub(super) known: HashSet<u128>,
    /// Those that are there.
    pub(super) present: HashMap<u128, Has>,
}

/// What a message that was brought has here.
#[derive(Debug)]
pub(super) struct Has {
    uid: Uid,
    flags: u64,
    keywords: BTreeSet<String>,
}

impl Has {
    /// By what the index says of it.
    pub(super) fn of(uid: Uid, flags: Flags, names: &[String]) -> Self {
        let names = names.iter().enumerate();
        let own = names
            .filter(|(number, _)| flags.0 >> (Flags::FIRST_KEYWORD as usize + number) & 1 == 1);
        Self {
            uid,
            flags: flags.0 & Flags::SYSTEM.0,
            keywords: own.map(|(_, name)| name.to_ascii_lowercase()).collect(),
        }
    }
}

impl Import {
    /// What was brought into a mailbox before, as far as it is there or can be brought back.
    pub(super) async fn known(&self, mailbox: &Mailbox) -> Result<Known, Error> {
        let mut all = Known::default();
        if mailbox.uid_next.0 == 1 {
            return Ok(all);
        }
        let present = self.index.changes(mailbox.id, ModSeq(0)).await?;
        let flags: HashMap<Uid, Flags> = present
            .changed
            .iter()
            .map(|it| (it.uid, it.flags))
            .collect();
        let mut uids: Vec<Uid> = flags.keys().copied().collect();
        let gone = self.index.expunged(mailbox.id).await?;
        uids.extend(gone.iter().map(|it| it.uid));
        uids.sort_unstable();
        for page in uids.chunks(PAGE) {
            for (uid, blob) in self.index.blobs(mailbox.id, page).await? {
                let Some(unique) = blob.key.unique() else {
                    continue;
                };
                all.known.insert(unique.random());
                if let Some(flags) = flags.get(&uid).filter(|_| unique.is_derived()) {
                    let has = Has::of(uid, *flags, &present.keywords);
                    all.present.insert(unique.random(), has);
                }
            }
        }
        Ok(all)
    }

    /// Lets the flags of messages that are here follow those of the tree, and counts what is gone there.
    pub(super) async fn follow(
        &self,
        account: &Account,
        folder: &Folder,
        mailbox: &Mailbox,
        mut present: HashMap<u128, Has>,
        imported: &mut Imported,
    ) -> Result<(), Error> {
        let mut changed = Vec::new();
        for found in &folder.messages {
            let Some(has) = present.remove(&derivation(folder, found)) else {
                continue;
            };
            let letters = found.name.letters.iter();
            let names = letters.filter_map(|it| folder.keywords.name(*it));
            let keywords: Vec<String> = names.map(str::to_owned).collect();
            let flags = found.name.flags & Flags::SYSTEM.0;
            let same = flags == has.flags
                && keywords
                    .iter()
                    .map(|it| it.to_ascii_lowercase())
                    .collect::<BTreeSet<_>>()
                    == has.keywords;
            if !same {
                changed.push(Reflagged {
                    uid: has.uid,
                    flags: Flags(flags),
                    keywords,
                });
            }
        }
        imported.gone = present.len() as u64;
        for messages in changed.chunks(PLACED_AT_ONCE) {
            let reflag = Change::Reflag(Reflag {
                account: account.id,
                mailbox: mailbox.id,
                messages: messages.to_vec(),
            });
            let Outcome::Stored(Stored { modified, .. }) = self.change(reflag).await? else {
                return Err(Error::Corrupt("unexpected outcome".to_owned()));
            };
            imported.kept += modified.len() as u64;
            imported.updated += (messages.len() - modified.len()) as u64;
        }
        Ok(())
    }
}

//! What other processes changed.

use super::{AccountId, MailboxId, ModSeq};

/// Something that another process changed. It carries no truth: who hears it reads what is newer than what it has, and one that
/// is lost costs time alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum News {
    /// Messages of a mailbox.
    Mailbox {
        /// Whose it is.
        account: AccountId,
        /// Which.
        mailbox: MailboxId,
        /// The change; who has it already need not look.
        modseq: ModSeq,
    },
    /// Accounts, domains or aliases.
    Directory,
    /// Anything: some news were lost, or tell of too much.
    Anything,
}

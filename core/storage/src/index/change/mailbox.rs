//! Changes of mailboxes as such: their names, their numbers, who subscribes to them.

use crate::index::{AccountId, MailboxId, SpecialUse, Timestamp};

/// Makes a mailbox and the missing parents of its name (selectable, as clients expect). A name that stands as `\Noselect` parent
/// becomes selectable. `Exists` if it is there. Outcome: `Mailbox`.
#[derive(Clone, Debug)]
pub struct CreateMailbox {
    /// Whose.
    pub account: AccountId,
    /// Its name, valid and in NFC; the caller has checked it.
    pub name: String,
    /// What it is for. `Exists("special use")` if another mailbox of the account has it.
    pub special_use: Option<SpecialUse>,
    /// Now.
    pub now: Timestamp,
}

/// Deletes a mailbox and its messages (recoverable, I10). With children it stays as `\Noselect` name; one that is `\Noselect`
/// with children already is refused (`Exists("child")`). INBOX is refused (`Invalid`). Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct DeleteMailbox {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub name: String,
    /// Now.
    pub now: Timestamp,
}

/// Renames a mailbox and its children, making missing parents. `Exists` if the new name is there, `Invalid` if it lies below the old one
/// or a child's name would grow too long. Subscriptions stay. INBOX: its messages move to a new mailbox with the new name, INBOX stays
/// empty, children of INBOX stay (RFC 9051 section 6.3.6). Outcome: `Mailbox` that bears the new name.
#[derive(Clone, Debug)]
pub struct RenameMailbox {
    /// Whose.
    pub account: AccountId,
    /// The name now.
    pub from: String,
    /// The name then.
    pub to: String,
    /// Now.
    pub now: Timestamp,
}

/// Gives every mailbox a UIDVALIDITY that neither it nor another mailbox of its account has had, and raises the versions of all accounts:
/// after the index was brought back from a backup, behind which UIDs and modification sequences had been given that it does not know
/// of (I3). Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct RenewUidValidities {
    /// Now.
    pub now: Timestamp,
}

/// Puts a name on or off the account's subscription list; the mailbox need not exist. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Whose.
    pub account: AccountId,
    /// The name.
    pub name: String,
    /// On or off.
    pub subscribed: bool,
}

/// Takes what is `\Recent`: the next claim begins at the present `UIDNEXT`. Outcome: `Recent` with the first UID that is
/// recent for this claim.
#[derive(Clone, Debug)]
pub struct ClaimRecent {
    /// The mailbox.
    pub mailbox: MailboxId,
}

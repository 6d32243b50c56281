//! Each kind of change, and who makes it.

use super::{
    Conn, account, alias, append, blob, copy, domain, entry, expunge, fault::Fault, mailbox,
    maildrop, name, place, place_expunged, renew, restore, retention, store,
};
use crate::index::{Change, Outcome};

/// Makes a change inside the transaction that is open.
pub(super) fn make(conn: &mut Conn, change: &Change) -> Result<Outcome, Fault> {
    match change {
        Change::AddDomain(it) => domain::add(conn, it),
        Change::SetDomainActive(it) => domain::set_active(conn, it),
        Change::SetDomainAuth(it) => domain::set_auth(conn, it),
        Change::RemoveDomain(it) => domain::remove(conn, it),
        Change::AddAccounts(it) => account::add(conn, it),
        Change::SetPassword(it) => account::set_password(conn, it),
        Change::SetQuota(it) => account::set_quota(conn, it),
        Change::SetRetention(it) => retention::set(conn, it),
        Change::SetAccountActive(it) => account::set_active(conn, it),
        Change::RemoveAccount(it) => account::remove(conn, it),
        Change::TouchLogin(it) => account::touch_login(conn, it),
        Change::AddAlias(it) => alias::add(conn, it),
        Change::RemoveAlias(it) => alias::remove(conn, it),
        Change::BindEntry(it) => entry::bind(conn, it),
        Change::UnbindEntry(it) => entry::unbind(conn, it),
        Change::RenameAccount(it) => account::rename(conn, it),
        Change::SetEntryActive(it) => entry::set_active(conn, it),
        Change::TakeLease(it) => entry::take_lease(conn, it),
        Change::HoldMaildrop(it) => maildrop::hold(conn, it),
        Change::CreateMailbox(it) => name::create(conn, it),
        Change::DeleteMailbox(it) => name::delete(conn, it),
        Change::RenameMailbox(it) => name::rename(conn, it),
        Change::RenewUidValidities(it) => renew::renew(conn, it),
        Change::Subscribe(it) => mailbox::subscribe(conn, it),
        Change::ClaimRecent(it) => mailbox::claim_recent(conn, it),
        Change::Append(_) | Change::AppendAll(_) => append::make(conn, change),
        Change::Store(it) => store::store(conn, it),
        Change::Copy(it) => copy::copy(conn, it),
        Change::Expunge(it) => expunge::expunge(conn, it),
        Change::ExpungeMaildrop(it) => maildrop::expunge(conn, it),
        Change::Retrieved(it) => retention::retrieved(conn, it),
        Change::Restore(it) => restore::restore(conn, it),
        Change::PlaceMailbox(it) => place::mailbox(conn, it),
        Change::PlaceMessages(it) => place::messages(conn, it),
        Change::PlaceExpunged(it) => place_expunged::place(conn, it),
        Change::Reflag(it) => store::reflag(conn, it),
        Change::Reap(it) => blob::reap(conn, it),
        Change::Forget(it) => blob::forget(conn, it),
    }
}

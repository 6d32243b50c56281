//! What a delivery asks first: domain, accounts and aliases of some addresses, as one consistent state.

use super::{Conn, account, alias, domain, fault::Fault, mailbox};
use crate::index::{Addresses, INBOX, KnownAddress};

pub(super) fn addresses(
    conn: &mut Conn,
    domain: &str,
    addresses: &[String],
) -> Result<Addresses, Fault> {
    let mut found = Addresses {
        domain: domain::by_name(conn, domain)?,
        addresses: Vec::with_capacity(addresses.len()),
    };
    for address in addresses {
        let account = account::by_email(conn, address)?;
        let inbox = match &account {
            Some(account) => mailbox::by_name(conn, account.id, INBOX)?,
            None => None,
        };
        found.addresses.push(KnownAddress {
            destinations: alias::destinations(conn, address)?,
            account,
            inbox: inbox.map(|inbox| inbox.id),
        });
    }
    Ok(found)
}

//! From an entry whose password was right to the account that is its own.
//!
//! **Invariants.** The stable id decides, not the address. An address that belongs to another entry, or to an account that somebody made for
//! somebody else, is nobody's to take: the login is refused, and an operator has to say whose it is.

use postrider_storage::Error;
use postrider_storage::index::{
    Account, AuthType, BindEntry, BindTo, Change, DEFAULT_QUOTA, Domain, NewAccount, NewEntry,
};

use super::entry::Entry;
use super::{Rows, SOURCE};
use crate::clock::now;

/// A first login may meet another one, or a synchronisation; so often in all.
const ROUNDS: usize = 3;

/// Whose an entry is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// Its account.
    Account(Box<Account>),
    /// It has none, and would have this address.
    Nobody(String),
    /// It cannot have one.
    Refused(String),
}

/// What else is to be done to an account so that it is the entry's.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Match {
    Bound(Box<Account>),
    Unbound(Box<Account>),
    None(String),
    Refused(String),
}

/// The account of an entry of a domain, as things stand.
pub(super) async fn look(
    rows: &Rows,
    user: &str,
    domain: &Domain,
    entry: &Entry,
) -> Result<Whose, Error> {
    Ok(match matching(rows, user, domain, entry).await? {
        Match::Bound(account) | Match::Unbound(account) => Whose::Account(account),
        Match::None(email) => Whose::Nobody(email),
        Match::Refused(why) => Whose::Refused(why),
    })
}

/// The same, and what is not bound yet is bound; an account that is not there is added if that is wanted.
pub(super) async fn take(
    rows: &Rows,
    user: &str,
    domain: &Domain,
    entry: &Entry,
    create: bool,
) -> Result<Whose, Error> {
    for _ in 0..ROUNDS {
        let to = match matching(rows, user, domain, entry).await? {
            Match::Bound(account) => return Ok(Whose::Account(account)),
            Match::Refused(why) => return Ok(Whose::Refused(why)),
            Match::None(email) if !create => return Ok(Whose::Nobody(email)),
            Match::None(email) => BindTo::New(NewAccount {
                email,
                password: None,
                quota: Some(DEFAULT_QUOTA),
                auth: AuthType::Ldap,
            }),
            // A local account in a domain with LDAP stays what it is.
            Match::Unbound(account) if account.auth == AuthType::Local => {
                return Ok(Whose::Account(account));
            }
            Match::Unbound(account) => BindTo::Existing(account.id),
        };
        let Some(new) = new_entry(entry) else {
            return Ok(Whose::Refused(NO_ID.to_owned()));
        };
        let change = Change::BindEntry(BindEntry {
            to,
            entry: new,
            now: now(),
        });
        match rows.change(change).await {
            // Looked at again: whoever was first.
            Ok(_) | Err(Error::Exists(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Unavailable(
        "the account changes all the time".to_owned(),
    ))
}

/// Why an entry without a stable id is nobody's.
pub(super) const NO_ID: &str =
    "the entry has no stable id that the service account may read (auth.ldap.id_attribute)";

/// What the index is to know of an entry; its aliases come with synchronisation, which sees who else has them.
fn new_entry(entry: &Entry) -> Option<NewEntry> {
    Some(NewEntry {
        source: SOURCE.to_owned(),
        stable_id: entry.stable_id.clone()?,
        display_name: entry.name.clone(),
        department: entry.department.clone(),
        aliases: Vec::new(),
    })
}

async fn matching(rows: &Rows, user: &str, domain: &Domain, entry: &Entry) -> Result<Match, Error> {
    let Some(stable_id) = &entry.stable_id else {
        return Ok(Match::Refused(NO_ID.to_owned()));
    };
    let index = rows.index();
    let of_user = index.account(user).await?;
    if let Some(bound) = index.directory_entry(SOURCE, stable_id).await? {
        let Some(account) = index.account_by_id(bound.account).await? else {
            // Removed between the two reads.
            return Err(Error::Unavailable("the account is going".to_owned()));
        };
        return Ok(match of_user {
            Some(other) if other.id != account.id => Match::Refused(format!(
                "{user} is another account; the entry is that of {}",
                account.email
            )),
            _ => Match::Bound(Box::new(account)),
        });
    }
    let Some(email) = entry.mail_in(&domain.name) else {
        return Ok(Match::Refused(format!(
            "the entry has no address in {}",
            domain.name
        )));
    };
    let of_mail = match &of_user {
        Some(account) if account.email == email => of_user,
        _ => index.account(email).await?,
    };
    let Some(account) = of_mail else {
        // An account with the name of the login would be somebody else's.
        return Ok(match index.account(user).await? {
            Some(_) => Match::Refused(format!("{user} is another account")),
            None => Match::None(email.to_owned()),
        });
    };
    if user != email && index.account(user).await?.is_some() {
        return Ok(Match::Refused(format!("{user} is another account")));
    }
    match index.directory_entry_of(account.id).await? {
        Some(_) => Ok(Match::Refused(format!(
            "{email} belongs to another entry of the directory; see: postrider ldap unbind"
        ))),
        None => Ok(Match::Unbound(Box::new(account))),
    }
}

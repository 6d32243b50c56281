//! What an entry of the directory says of a person.

use std::collections::BTreeSet;

use ldap3::SearchEntry;

use crate::auth::name::fold;
use crate::clock::now;
use crate::config;

/// Longest text that is taken over, in characters: it fits its column in any script.
const TEXT: usize = 60;
/// Addresses that are taken over.
const ADDRESSES: usize = 100;

/// An entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) dn: String,
    /// What stays when it is renamed; none if we may not see it.
    pub(super) stable_id: Option<String>,
    /// Its addresses in look-up form, in the order of the directory.
    pub(super) mails: Vec<String>,
    /// Its further addresses, in look-up form.
    pub(super) aliases: Vec<String>,
    /// Its names without domain, lower case.
    pub(super) uids: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) department: Option<String>,
    /// Why it may not log in.
    pub(super) disabled: Option<&'static str>,
    /// The domains below whose base it was found, where that was looked at.
    pub(super) below: Option<BTreeSet<String>>,
}

/// An attribute, whether a value of it says so, and why then.
type Switch = (&'static str, fn(&str) -> bool, &'static str);

/// What says that an entry is switched off: attribute, and whether this value does. The time of a lock says so only where it stands for
/// ever; after wrong passwords the directory itself refuses for a while.
const SWITCHES: [Switch; 5] = [
    (
        "userAccountControl",
        bit_2,
        "disabled in userAccountControl",
    ),
    ("accountExpires", is_over, "expired by accountExpires"),
    ("nsAccountLock", is_true, "disabled by nsAccountLock"),
    ("loginDisabled", is_true, "disabled by loginDisabled"),
    (
        "pwdAccountLockedTime",
        for_ever,
        "locked by an administrator",
    ),
];

fn bit_2(value: &str) -> bool {
    value.parse::<i64>().is_ok_and(|bits| bits & 2 != 0)
}

/// From 1601, when Active Directory begins to count, to 1970, in seconds.
const FROM_1601: i64 = 11_644_473_600;

/// Active Directory: 100 nanoseconds since 1601; zero and the greatest number are never.
fn is_over(value: &str) -> bool {
    let ticks = value.trim().parse::<i64>().unwrap_or(0);
    ticks > 0 && ticks != i64::MAX && ticks / 10 - FROM_1601 * 1_000_000 <= now().0
}

fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

fn for_ever(value: &str) -> bool {
    value == "000001010000Z"
}

/// Names of all attributes that are asked for.
pub(super) fn attributes(settings: &config::Ldap) -> Vec<String> {
    let one = [
        &settings.id_attribute,
        &settings.mail_attribute,
        &settings.uid_attribute,
    ];
    let many = settings.alias_attributes.iter();
    let many = many.chain(&settings.name_attributes);
    let many = many.chain(&settings.department_attributes);
    let all = one.into_iter().chain(many).cloned();
    all.chain(SWITCHES.map(|(name, _, _)| name.to_owned()))
        .collect()
}

impl Entry {
    /// Reads what a search found.
    pub(super) fn read(settings: &config::Ldap, found: SearchEntry) -> Self {
        let texts = |name: &str| values(&found, name);
        let first = |names: &[String]| {
            let mut all = names.iter().flat_map(|name| values(&found, name));
            all.find_map(text)
        };
        let mails = addresses(texts(&settings.mail_attribute));
        let aliases = settings.alias_attributes.iter();
        let aliases = aliases.flat_map(|it| values(&found, it)).collect();
        let aliases = addresses(aliases).into_iter();
        let uids = texts(&settings.uid_attribute);
        let disabled = SWITCHES.iter().find_map(|(name, says_so, why)| {
            let off = values(&found, name).iter().any(|it| says_so(it));
            off.then_some(*why)
        });
        Self {
            stable_id: stable_id(&found, &settings.id_attribute),
            aliases: aliases.filter(|it| !mails.contains(it)).collect(),
            mails,
            uids: uids.iter().map(|it| it.to_lowercase()).collect(),
            name: first(&settings.name_attributes),
            department: first(&settings.department_attributes),
            disabled,
            dn: found.dn,
            below: None,
        }
    }

    /// Whether it can have addresses in a domain: those who keep one part of a tree have no say in domains whose users are in another.
    pub(super) fn is_below(&self, domain: &str) -> bool {
        self.below.as_ref().is_none_or(|it| it.contains(domain))
    }

    /// Whether it is the entry of who logged in by this name: one of its addresses, or its name in a domain in which it has an address.
    pub(super) fn is_called(&self, user: &str, local: &str, domain: &str) -> bool {
        let address = |it: &String| it == user;
        self.mails.iter().any(address)
            || self.aliases.iter().any(address)
            || (self.uids.iter().any(|it| it == local) && self.mail_in(domain).is_some())
    }

    /// Its first address in a domain.
    pub(super) fn mail_in(&self, domain: &str) -> Option<&str> {
        let mut mails = self.mails.iter().map(String::as_str);
        mails.find(|it| domain_of(it) == Some(domain))
    }
}

/// The domain of an address.
pub(super) fn domain_of(email: &str) -> Option<&str> {
    email.rsplit_once('@').map(|(_, domain)| domain)
}

/// The values of an attribute, whatever the case of its name.
fn values(found: &SearchEntry, name: &str) -> Vec<String> {
    let mut all = found.attrs.iter();
    let own = all.find(|(it, _)| it.eq_ignore_ascii_case(name));
    own.map(|(_, values)| values.clone()).unwrap_or_default()
}

/// A text for people that fits its column; none if nothing is left of it.
fn text(value: String) -> Option<String> {
    let good = value.trim().chars().filter(|c| !c.is_control());
    let text: String = good.take(TEXT).collect();
    (!text.is_empty()).then_some(text)
}

/// Addresses in look-up form, each once. `proxyAddresses` of Active Directory has `SMTP:` before the first address and `smtp:` before the others,
/// in any order: that of the directory stays but for the first one.
fn addresses(mut values: Vec<String>) -> Vec<String> {
    values.sort_by_key(|it| !it.starts_with("SMTP:"));
    let mut addresses = Vec::new();
    for value in values {
        let bare = match value.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case("smtp:") => &value[5..],
            _ => value.as_str(),
        };
        let parsed = bare
            .trim()
            .parse::<postrider_protocol::message::address::Address>();
        let folded = fold(bare.trim());
        if parsed.is_ok() && !addresses.contains(&folded) && addresses.len() < ADDRESSES {
            addresses.push(folded);
        }
    }
    addresses
}

/// The stable id as text: as it is, or in hexadecimal digits where it is octets.
fn stable_id(found: &SearchEntry, name: &str) -> Option<String> {
    let named = |it: &&String| it.eq_ignore_ascii_case(name);
    let octets = found.bin_attrs.keys().find(named);
    let octets = octets.and_then(|it| found.bin_attrs[it].first());
    let text = values(found, name).into_iter().next();
    // Whether such octets happen to be a text is chance.
    let is_octets = name.eq_ignore_ascii_case("objectGUID") || name.ends_with(";binary");
    let id = match (octets, text) {
        (Some(octets), _) => hex(octets),
        (None, Some(text)) if is_octets => hex(text.as_bytes()),
        (None, Some(text)) => text.trim().to_lowercase(),
        (None, None) => return None,
    };
    let good = !id.is_empty() && id.len() <= 255 && !id.chars().any(char::is_control);
    good.then_some(id)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::auth::ldap::testing::settings;

    fn found(attrs: &[(&str, &[&str])]) -> SearchEntry {
        let attrs = attrs.iter().map(|(name, values)| {
            let values = values.iter().map(|it| (*it).to_owned()).collect();
            ((*name).to_owned(), values)
        });
        SearchEntry {
            dn: "uid=ada,dc=test".to_owned(),
            attrs: attrs.collect(),
            bin_attrs: HashMap::new(),
        }
    }

    #[test]
    fn reads_an_entry() {
        let mut settings = settings();
        settings.alias_attributes = vec!["proxyAddresses".to_owned()];
        let entry = Entry::read(
            &settings,
            found(&[
                ("ENTRYUUID", &["AB-cd"]),
                ("mail", &["Ada@Example.TEST", "no address", "ada@b.test"]),
                (
                    "proxyaddresses",
                    &[
                        "SMTP:ada@example.test",
                        "smtp:countess@example.test",
                        "x500:/o=x",
                    ],
                ),
                ("uid", &["Ada"]),
                ("cn", &["  Ada\u{7} Lovelace "]),
                ("ou", &["수학과"]),
            ]),
        );
        assert_eq!(entry.stable_id.as_deref(), Some("ab-cd"));
        assert_eq!(entry.mails, ["ada@example.test", "ada@b.test"]);
        assert_eq!(entry.aliases, ["countess@example.test"]);
        assert_eq!(entry.name.as_deref(), Some("Ada Lovelace"));
        assert_eq!(entry.department.as_deref(), Some("수학과"));
        assert_eq!(entry.disabled, None);
        assert!(entry.is_called("ada@b.test", "ada", "b.test"));
        assert!(entry.is_called("countess@example.test", "countess", "example.test"));
        assert!(!entry.is_called("ada@c.test", "ada", "c.test"));
        assert!(!entry.is_called("bob@b.test", "bob", "b.test"));
    }

    #[test]
    fn octets_are_digits_even_where_they_look_like_text() {
        let mut binary = found(&[]);
        let octets = vec![vec![0xff, 0x00, 0x10]];
        binary.bin_attrs.insert("objectGUID".to_owned(), octets);
        assert_eq!(stable_id(&binary, "objectguid").as_deref(), Some("ff0010"));
        let text = found(&[("objectGUID", &["AAA"])]);
        assert_eq!(stable_id(&text, "objectGUID").as_deref(), Some("414141"));
        assert_eq!(stable_id(&found(&[]), "entryUUID"), None);
        assert_eq!(
            stable_id(&found(&[("entryUUID", &[" "])]), "entryUUID"),
            None
        );
    }

    #[test]
    fn the_first_of_proxy_addresses_is_the_account() {
        let mut settings = settings();
        settings.mail_attribute = "proxyAddresses".to_owned();
        let values = [
            "smtp:countess@example.test",
            "sip:ada@example.test",
            "X400:C=US;A= ;P=Test;S=Lovelace;",
            "SMTP:Ada@example.test",
            "smtp:lovelace@example.test",
        ];
        let entry = Entry::read(&settings, found(&[("proxyAddresses", &values)]));
        assert_eq!(
            entry.mails,
            [
                "ada@example.test",
                "countess@example.test",
                "lovelace@example.test"
            ]
        );
        assert_eq!(entry.mail_in("example.test"), Some("ada@example.test"));
    }

    /// Whatever stands in an attribute, it is a value that a row, a log line and a screen can hold, or none.
    #[test]
    fn hostile_values_are_values_or_none() {
        let long = "x".repeat(65_536);
        let long_mail = format!("{long}@example.test");
        let mails: Vec<&str> = vec![
            "a\0da@example.test",
            "ada@example.test\r\nbcc: x@y.test",
            &long_mail,
            "@",
            "ada@",
            "ada@example.test@example.test",
            "good@example.test",
        ];
        let name = format!("\0\u{1b}[31m\u{202e}{long}\n");
        let entry = Entry::read(
            &settings(),
            found(&[
                ("mail", &mails),
                ("displayName", &[&name]),
                ("ou", &["\n\t\0"]),
                ("entryUUID", &["one\ntwo"]),
                ("uid", &["../../etc", "%2e%2e", ""]),
            ]),
        );
        assert_eq!(entry.mails, ["good@example.test"]);
        let shown = entry.name.as_deref().expect("a name");
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert_eq!(shown.chars().count(), TEXT);
        assert_eq!((entry.department, entry.stable_id), (None, None));
    }

    #[test]
    fn switched_off_in_the_words_of_four_directories() {
        for (name, value, off) in [
            // Never; the day of the first moon landing; the year 2200; a value that is none.
            ("accountExpires", "0", false),
            ("accountExpires", "9223372036854775807", false),
            ("accountExpires", "116303292000000000", true),
            ("accountExpires", "189027648000000000", false),
            ("accountExpires", "-1", false),
            ("accountExpires", "never", false),
            ("userAccountControl", "514", true),
            ("userAccountControl", "512", false),
            ("nsAccountLock", "TRUE", true),
            ("nsaccountlock", "false", false),
            ("loginDisabled", "true", true),
            ("pwdAccountLockedTime", "000001010000Z", true),
            ("pwdAccountLockedTime", "20261121180000Z", false),
        ] {
            let entry = Entry::read(&settings(), found(&[(name, &[value])]));
            assert_eq!(entry.disabled.is_some(), off, "{name}: {value}");
        }
    }
}

//! What the tests of this folder share.

use std::time::Duration;

use postrider_protocol::secret::Secret;

use crate::config::Ldap;

/// Settings for a directory that nobody connects to.
pub(super) fn settings() -> Ldap {
    let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    Ldap {
        urls: vec!["ldaps://127.0.0.1:1".to_owned()],
        ca_file: None,
        bind_dn: "cn=service,dc=test".to_owned(),
        bind_password: Secret::new("secret".to_owned()),
        base_dn: "dc=test".to_owned(),
        default_domain: None,
        user_filter: "(mail={email})".to_owned(),
        disabled_filter: None,
        id_attribute: "entryUUID".to_owned(),
        mail_attribute: "mail".to_owned(),
        uid_attribute: "uid".to_owned(),
        alias_attributes: Vec::new(),
        name_attributes: texts(&["displayName", "cn"]),
        department_attributes: texts(&["department", "departmentNumber", "ou"]),
        timeout: Duration::from_secs(3),
        connections: 2,
        create_accounts: true,
        grace: Duration::ZERO,
        sync_every: Duration::ZERO,
        sync_filter: "(mail=*)".to_owned(),
        sync_page: 500,
        ignore_references: false,
    }
}

//! All keys of the configuration, in one table: what is not in it is refused, and the nearest key named.

use toml::de::{DeTable, DeValue};

use super::source::Source;

/// Dotted names of all keys. Tests hold this against what the sections read and against `examples/postrider.toml`.
pub(crate) const KEYS: &[&str] = &[
    "hostname",
    "data_dir",
    "database.url",
    "database.listen_url",
    "database.pool_size",
    "database.password",
    "database.password_file",
    "store.kind",
    "store.root",
    "store.bucket",
    "store.endpoint",
    "store.region",
    "store.path_style",
    "store.access_key",
    "store.access_key_file",
    "store.secret_key",
    "store.secret_key_file",
    "store.ca_file",
    "store.timeout",
    "store.multipart_from",
    "store.part_size",
    "store.read_back",
    "store.consistency",
    "store.cache.dir",
    "store.cache.size",
    "tls.certificate",
    "tls.key",
    "tls.min_version",
    "tls.smtp_min_version",
    "listener.service",
    "listener.bind",
    "listener.proxy_protocol_from",
    "listener.plaintext_login",
    "listener.program",
    "metrics.bind",
    "auth.upgrade_hashes",
    "auth.cache",
    "auth.hash_wait",
    "auth.throttle.failures_per_ip",
    "auth.throttle.failures_per_account",
    "auth.throttle.window",
    "auth.throttle.ban",
    "auth.ldap.url",
    "auth.ldap.ca_file",
    "auth.ldap.bind_dn",
    "auth.ldap.bind_password",
    "auth.ldap.bind_password_file",
    "auth.ldap.base_dn",
    "auth.ldap.default_domain",
    "auth.ldap.user_filter",
    "auth.ldap.disabled_filter",
    "auth.ldap.id_attribute",
    "auth.ldap.mail_attribute",
    "auth.ldap.uid_attribute",
    "auth.ldap.alias_attributes",
    "auth.ldap.name_attributes",
    "auth.ldap.department_attributes",
    "auth.ldap.timeout",
    "auth.ldap.connections",
    "auth.ldap.create_accounts",
    "auth.ldap.grace",
    "auth.ldap.sync_every",
    "auth.ldap.sync_filter",
    "auth.ldap.sync_page",
    "auth.ldap.ignore_references",
    "limits.message_size",
    "limits.connections",
    "limits.connections_per_ip",
    "limits.connections_before_login_per_ip",
    "limits.connections_per_account",
    "limits.memory",
    "limits.line_before_login",
    "limits.line",
    "limits.command_before_login",
    "limits.command",
    "limits.nesting",
    "limits.elements",
    "limits.search_keys",
    "limits.errors_before_login",
    "limits.errors",
    "limits.login_failures",
    "limits.chatter",
    "limits.mime_parts",
    "limits.mime_depth",
    "limits.header_fields",
    "limits.header_size",
    "limits.addresses",
    "limits.kept",
    "limits.slowest",
    "limits.exempt",
    "limits.rates.window",
    "limits.rates.messages_per_ip",
    "limits.rates.recipients_per_ip",
    "limits.rates.messages_per_account",
    "limits.rates.recipients_per_account",
    "limits.rates.messages_per_domain",
    "limits.rates.recipients_per_domain",
    "deadlines.handshake",
    "deadlines.greeting",
    "deadlines.login",
    "deadlines.line",
    "deadlines.command",
    "deadlines.idle",
    "deadlines.data",
    "deadlines.write",
    "deadlines.answer",
    "deadlines.maildrop",
    "deadlines.drain",
    "queues.mailbox",
    "queues.mailboxes",
    "queues.summaries",
    "queues.index",
    "queues.store_writes",
    "queues.store_reads",
    "queues.store_memory",
    "queues.hasher",
    "queues.filter",
    "queues.threads",
    "smtp.recipients",
    "smtp.accounts",
    "smtp.hop_count",
    "smtp.recipient_delimiter",
    "smtp.postmaster",
    "retention.expunged",
    "retention.temporary",
    "retention.retrieved",
    "log.filter",
    "log.format",
];

/// Notes every key of the document that is not in the table.
pub(super) fn check_known(source: &Source<'_>, entries: &DeTable<'_>) {
    check_table(source, "", entries);
}

fn check_table(source: &Source<'_>, path: &str, entries: &DeTable<'_>) {
    for (name, value) in entries {
        let key = match path {
            "" => name.get_ref().to_string(),
            path => format!("{path}.{}", name.get_ref()),
        };
        let at = name.span().start;
        if KEYS.contains(&key.as_str()) {
            continue;
        }
        let prefix = format!("{key}.");
        if !KEYS.iter().any(|known| known.starts_with(&prefix)) {
            source.error(Some(at), unknown(&key));
            continue;
        }
        match value.get_ref() {
            DeValue::Table(entries) => check_table(source, &key, entries),
            DeValue::Array(items) => {
                for item in items.iter() {
                    if let DeValue::Table(entries) = item.get_ref() {
                        check_table(source, &key, entries);
                    }
                }
            }
            // The section says that it expected a table.
            _ => {}
        }
    }
}

fn unknown(key: &str) -> String {
    let key: String = key.chars().flat_map(char::escape_debug).collect();
    match nearest(&key) {
        Some(nearest) => format!("unknown key {key}; the nearest known one is {nearest}"),
        None => format!("unknown key {key}"),
    }
}

/// The known key, or section, that resembles a name most.
fn nearest(key: &str) -> Option<&'static str> {
    let (table, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let sections = KEYS
        .iter()
        .filter_map(|known| known.rsplit_once('.').map(|it| it.0));
    let candidates = KEYS.iter().copied().chain(sections);
    candidates.min_by_key(|known| {
        let (known_table, known_leaf) = known.rsplit_once('.').unwrap_or(("", known));
        let whole = strsim::damerau_levenshtein(key, known);
        // The right name in the wrong table is nearer than another name in the same one.
        let misplaced =
            strsim::damerau_levenshtein(leaf, known_leaf) + usize::from(table != known_table);
        whole.min(misplaced)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        for (typed, meant) in [
            ("hostnam", "hostname"),
            ("database.pool_sise", "database.pool_size"),
            ("message_size", "limits.message_size"),
            ("listeners", "listener"),
            ("listener.servce", "listener.service"),
            ("retention.expunge", "retention.expunged"),
            ("tls.certificat", "tls.certificate"),
            ("limit.memory", "limits.memory"),
            ("metric", "metrics"),
        ] {
            assert_eq!(nearest(typed), Some(meant), "{typed}");
        }
    }

    #[test]
    fn the_table_names_each_key_once() {
        let mut keys = KEYS.to_vec();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), KEYS.len());
    }
}

//! Databases, stores and directories: checked before anything is started.

use super::*;

#[test]
fn parts_to_come_are_checked_and_refused() {
    assert_eq!(
        problems("[database]\nlisten_url = \"sqlite:///x.db\""),
        ["2:14: database.listen_url: only PostgreSQL can be listened to"]
    );
    assert_eq!(
        problems("[database]\nurl = \"postgres://u:hunter2@h\""),
        ["2:7: database.url: must be \"postgres://USER@HOST/DATABASE\""]
    );
    assert_eq!(
        problems(
            "[store]\nkind = \"s3\"\nbucket = \"mailboxes\"\nendpoint = \"https://minio.example.com\"\naccess_key = \"${PASSWORD}\"\nsecret_key = \"${PASSWORD}\""
        ),
        [""; 0]
    );
    assert_eq!(
        problems(
            "[store]\nkind = \"s3\"\nroot = \"/mail\"\nbucket = \"Mail_boxes\"\nendpoint = \"minio\""
        ),
        [
            "1:1: store.access_key (or store.access_key_file) is missing",
            "1:1: store.secret_key (or store.secret_key_file) is missing",
            "3:8: store.root belongs to store.kind \"filesystem\", not \"s3\"",
            "4:10: store.bucket: not the name of a bucket; 3 to 63 lower-case letters, digits, dots and hyphens",
            "5:12: store.endpoint: must be a URL such as \"https://minio.example.com\"",
        ]
    );
    assert_eq!(
        problems("[store]\nbucket = \"b\""),
        ["2:10: store.bucket belongs to store.kind \"s3\""]
    );
    assert_eq!(
        problems("[store]\ntimeout = \"3s\"\n[store.cache]\nsize = \"1GiB\""),
        [
            "2:11: store.timeout belongs to store.kind \"s3\"",
            "4:8: store.cache.size belongs to store.kind \"s3\"",
        ]
    );
    let s3 = "[store]\nkind = \"s3\"\nbucket = \"mail\"\naccess_key = \"${PASSWORD}\"\nsecret_key = \"${PASSWORD}\"\n";
    assert_eq!(
        problems(&format!(
            "{s3}endpoint = \"http://minio\"\nconsistency = \"maybe\"\npart_size = \"1MiB\"\n[store.cache]\ndir = \"/c\""
        )),
        [
            "7:15: store.consistency: \"maybe\": unknown consistency; known are strong and eventual",
            "8:13: store.part_size: 1MiB is out of range, it must lie between 5MiB and 1GiB",
        ]
    );
    assert_eq!(
        warnings(&format!(
            "{s3}endpoint = \"http://minio\"\n[store.cache]\ndir = \"/c\""
        )),
        [
            "6:12: warning: store.endpoint: mail goes there in clear; use https://",
            "8:7: warning: store.cache.dir: without store.cache.size nothing is kept there",
        ]
    );
    let store = good(&format!("{s3}endpoint = \"http://127.0.0.1:9000\"")).store;
    assert!(matches!(store, Store::S3(S3 { cache: None, .. })));
    let ca = problems(&format!(
        "{s3}endpoint = \"https://minio\"\nca_file = \"/dev/null\""
    ));
    assert_eq!(
        ca,
        ["7:11: store.ca_file: /dev/null holds no certificate in PEM"]
    );
    assert_eq!(problems("[store]\nkind = \"tape\"").len(), 1);
    let ldap = "[auth.ldap]\nurl = \"ldaps://ldap.example.com\"\nbind_dn = \"cn=p\"\nbind_password = \"${PASSWORD}\"\nbase_dn = \"dc=x\"\n";
    let found = good(ldap).auth.ldap.expect("a directory");
    assert_eq!(found.urls, ["ldaps://ldap.example.com"]);
    assert_eq!(found.sync_filter, "(&(objectClass=inetOrgPerson)(mail=*))");
    assert!(found.create_accounts && found.grace.is_zero());
    assert_eq!(found.sync_every, Duration::from_secs(3600));
    let two = ldap.replace(
        "\"ldaps://ldap.example.com\"",
        "[\"ldaps://a.example.com\", \"ldaps://b.example.com:1636/\"]",
    );
    let found = good(&two).auth.ldap.expect("a directory");
    assert_eq!(
        found.urls,
        ["ldaps://a.example.com", "ldaps://b.example.com:1636/"]
    );
    assert_eq!(
        problems(
            "[auth.ldap]\nurl = \"ldap://h\"\nuser_filter = \"(objectClass=*)\"\ntimeout = \"1h\"\nca_file = \"/none\""
        ),
        [
            "1:1: auth.ldap.bind_dn is missing",
            "1:1: auth.ldap.base_dn is missing",
            "1:1: auth.ldap.bind_password_file (or auth.ldap.bind_password) is missing; anonymous bind is refused",
            "2:7: auth.ldap.url: TLS is mandatory; use \"ldaps://\"",
            "3:15: auth.ldap.user_filter: must hold {email} or {uid}, or it finds the same users for everybody",
            "4:11: auth.ldap.timeout: 1h is out of range, it must lie between 100ms and 1m",
            "5:11: auth.ldap.ca_file: cannot read /none: No such file or directory (os error 2)",
        ]
    );
    for filter in [
        "mail={email}",
        "(mail={email}))",
        "(mail={email})(x=y)",
        "((mail={email})",
    ] {
        let found = problems(&format!("{ldap}user_filter = \"{filter}\""));
        assert_eq!(found.len(), 1, "{filter}: {found:?}");
    }
    for bad in [
        "sync_filter = \"(mail={email})\"",
        "disabled_filter = \"(x\"",
        "id_attribute = \"entry UUID\"",
        "alias_attributes = [\"a\", \"(b)\"]",
        "default_domain = \"not a domain\"",
        "connections = 0",
        "user_filter = \"(&(mail={email})(=))\"",
    ] {
        let found = problems(&format!("{ldap}{bad}"));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
    }
    for url in [
        "ldap://h",
        "ldapi:///x",
        "ldaps://",
        "ldaps://a b",
        "ldaps://h:0",
        "ldaps://u@h",
        "ldaps://h/dc=x",
        "ldaps://[::1]",
    ] {
        let text = ldap.replace("ldaps://ldap.example.com", url);
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{url}: {found:?}");
    }
}

/// What would fail when the server starts is said before, and without the password.
#[test]
fn urls_of_postgresql_are_read_to_the_end() {
    for (query, word) in [
        ("colour=red", "colour"),
        ("statement_timeout=0", "statement_timeout"),
        ("target_session_attrs=best", "target_session_attrs"),
        ("sslcert=/c.pem", "sslcert"),
        (
            "sslmode=verify-full&sslrootcert=/nonexistent/ca.pem",
            "/nonexistent/ca.pem",
        ),
    ] {
        for key in ["url", "listen_url"] {
            let url = format!("postgres://u:hunter2@h/d?{query}");
            let said = problems(&format!("[database]\n{key} = \"{url}\""));
            let [one] = &said[..] else {
                panic!("{key} {query}: {said:?}");
            };
            assert!(
                one.starts_with(&format!("2:{}: database.{key}: ", key.len() + 4)),
                "{one}"
            );
            assert!(one.contains(word) && !one.contains("hunter2"), "{one}");
        }
    }
    let good = "postgres://u@a:5432,b/d?sslmode=require&target_session_attrs=read-write&statement_timeout=9";
    assert_eq!(problems(&format!("[database]\nurl = \"{good}\"")), [""; 0]);
}

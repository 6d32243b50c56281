//! Requirement S4: the tables that existing Postfix maps know, made here or found here.

use super::{server::settings, shared};
use crate::index::{
    AuthType, Change, INBOX, Index, PostgresIndex,
    contract::{Home, add_account, add_domain, one},
};

/// A database as such sites have it, filled.
const BEFORE: &str = "
CREATE TYPE auth AS ENUM ('ldap', 'local');
CREATE TABLE domains (id serial PRIMARY KEY, domain_name varchar(255) UNIQUE NOT NULL, transport varchar(255) DEFAULT 'virtual:',
    company_id integer, auth_type auth DEFAULT 'local', ldap_base_dn varchar(255), is_active boolean DEFAULT true,
    created_at timestamp DEFAULT now());
CREATE TABLE virtual_users (id serial PRIMARY KEY, email varchar(255) UNIQUE NOT NULL, password varchar(255),
    domain_id integer REFERENCES domains (id), maildir_path varchar(500), quota bigint DEFAULT 1073741824, used_quota bigint DEFAULT 0,
    auth_source auth DEFAULT 'local', is_active boolean DEFAULT true, last_login timestamp, created_at timestamp, updated_at timestamp);
CREATE TABLE virtual_aliases (id serial PRIMARY KEY, source varchar(255) NOT NULL, destination varchar(255) NOT NULL,
    domain_id integer REFERENCES domains (id), is_active boolean DEFAULT true);
INSERT INTO domains (domain_name, company_id, auth_type) VALUES ('old.test', 7, 'ldap'), ('other.test', NULL, 'local');
INSERT INTO virtual_users (email, password, domain_id, used_quota, auth_source) VALUES
    ('ada@old.test', '{SHA512-CRYPT}$6$x', 1, 12345, 'ldap'), ('bob@other.test', NULL, 2, NULL, 'local');
INSERT INTO virtual_aliases (source, destination, domain_id) VALUES
    ('@old.test', 'ada@old.test', 1), ('a@old.test', 'ada@old.test', 1), ('a@old.test', 'ada@old.test', 1);
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_there_is_taken_over() {
    let database = shared().empty().await;
    shared().execute(&database, BEFORE).await.unwrap();
    let url = shared().url(&database);
    let applied = PostgresIndex::migrate(&settings(&url)).await.unwrap();
    assert!(!applied.is_empty());
    let index = PostgresIndex::open(&settings(&url)).await.unwrap();

    let domain = index.domain("old.test").await.unwrap().unwrap();
    assert_eq!(
        (domain.auth, domain.company, domain.active),
        (AuthType::Ldap, Some(7), true)
    );
    let account = index.account("ada@old.test").await.unwrap().unwrap();
    assert_eq!(account.password.as_deref(), Some("{SHA512-CRYPT}$6$x"));
    assert_eq!(
        (account.used, account.quota),
        (0, Some(1 << 30)),
        "what is used is what lies here"
    );
    assert_eq!(index.mailboxes(account.id).await.unwrap().len(), 6);
    assert_eq!(index.aliases(Some("old.test")).await.unwrap().len(), 3);

    // It works on: mail, a further account and domain, and what other programs insert.
    let inbox = index.mailbox(account.id, INBOX).await.unwrap().unwrap().id;
    let home = Home {
        index: std::sync::Arc::new(index.clone()),
        account: account.id,
        inbox,
    };
    home.append(inbox, "first", 10).await.unwrap();
    home.check().await;
    one(&index, add_domain("new.test")).await.unwrap();
    one(&index, add_account("carol@new.test", None))
        .await
        .unwrap();
    let inserted = "INSERT INTO virtual_users (email, domain_id) VALUES ('dave@old.test', 1)";
    shared().execute(&database, inserted).await.unwrap();
    assert_eq!(
        PostgresIndex::migrate(&settings(&url)).await,
        Ok(Vec::new())
    );
    let dave = index.account("dave@old.test").await.unwrap().unwrap();
    assert_eq!(index.mailboxes(dave.id).await.unwrap().len(), 6);
    let switched = Change::SetAccountActive(crate::index::SetAccountActive {
        account: dave.id,
        active: false,
        now: crate::index::contract::NOW,
    });
    one(&index, switched).await.unwrap();
}

/// Columns, types and defaults that maps of other programs stand on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_tables_have_the_columns_that_others_know() {
    let database = shared().database().await;
    let columns = |table: &str| {
        format!(
            "SELECT string_agg(column_name || ' ' || data_type || coalesce('(' || character_maximum_length || ')', ''), ', ' \
             ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}'"
        )
    };
    let domains = shared().ask(&database, &columns("domains")).await;
    assert_eq!(
        domains,
        "id integer, domain_name character varying(255), transport character varying(255), company_id integer, \
         auth_type character varying(5), ldap_base_dn character varying(255), is_active boolean, \
         created_at timestamp without time zone"
    );
    let users = shared().ask(&database, &columns("virtual_users")).await;
    assert!(
        users.starts_with(
            "id integer, email character varying(255), password character varying(255), domain_id integer, \
             maildir_path character varying(500), quota bigint, used_quota bigint, auth_source character varying(5), \
             is_active boolean, last_login timestamp without time zone, created_at timestamp without time zone, \
             updated_at timestamp without time zone"
        ),
        "{users}"
    );
    let aliases = shared().ask(&database, &columns("virtual_aliases")).await;
    let starts = aliases.starts_with(
        "id integer, source character varying(255), destination character varying(255), domain_id integer, is_active boolean",
    );
    assert!(starts, "{aliases}");
    // As maps of Postfix ask.
    let index = PostgresIndex::open(&settings(&shared().url(&database)))
        .await
        .unwrap();
    one(&index, add_domain("example.test")).await.unwrap();
    one(&index, add_account("ada@example.test", None))
        .await
        .unwrap();
    let map =
        "SELECT maildir_path FROM virtual_users WHERE email = 'ada@example.test' AND is_active";
    assert_eq!(
        shared().ask(&database, map).await,
        "example.test/ada/Maildir/"
    );
    let map = "SELECT transport FROM domains WHERE domain_name = 'example.test' AND is_active";
    assert_eq!(shared().ask(&database, map).await, "virtual:");
}

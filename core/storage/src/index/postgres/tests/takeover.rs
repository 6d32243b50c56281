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

/// Tables of others have no rule for what may stand in them: who looks for the row finds it by what is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_makes_no_sense_is_named() {
    let database = shared().empty().await;
    let before = BEFORE.replace("CREATE TYPE auth AS ENUM ('ldap', 'local');", "");
    let before = before.replace(" auth DEFAULT", " varchar(20) DEFAULT");
    shared().execute(&database, &before).await.unwrap();
    let odd = "UPDATE virtual_users SET auth_source = 'kerberos' WHERE email = 'bob@other.test'";
    shared().execute(&database, odd).await.unwrap();
    let url = shared().url(&database);
    let index = PostgresIndex::open(&settings(&url)).await.unwrap();
    let said = index.accounts(None).await.unwrap_err().to_string();
    assert!(
        said.contains("bob@other.test") && said.contains("kerberos"),
        "{said}"
    );
    assert!(index.account("ada@old.test").await.unwrap().is_some());
    let odd =
        "UPDATE virtual_users SET auth_source = 'local', quota = -1 WHERE email = 'bob@other.test'";
    shared().execute(&database, odd).await.unwrap();
    let said = index.accounts(None).await.unwrap_err().to_string();
    assert!(
        said.contains("bob@other.test") && said.contains("quota"),
        "{said}"
    );
    let odd = "UPDATE domains SET auth_type = 'pam' WHERE domain_name = 'other.test'";
    shared().execute(&database, odd).await.unwrap();
    let said = index.domains().await.unwrap_err().to_string();
    assert!(
        said.contains("other.test") && said.contains("pam"),
        "{said}"
    );
}

/// One that cannot hold every name is refused before anything is made in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_encoding_is_refused() {
    let any = shared().empty().await;
    let make =
        "CREATE DATABASE of_another_encoding ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    shared().execute(&any, make).await.unwrap();
    let url = shared().url("of_another_encoding");
    for refused in [
        PostgresIndex::migrate(&settings(&url)).await.err(),
        PostgresIndex::open(&settings(&url)).await.err(),
    ] {
        let said = refused.expect("refused").to_string();
        assert!(said.contains("LATIN1") && said.contains("UTF8"), "{said}");
    }
    let made = "SELECT count(*)::text FROM pg_class WHERE relname = 'virtual_users'";
    assert_eq!(shared().ask("of_another_encoding", made).await, "0");
}

/// What another program inserts while servers run is an account like any other from its first use on, whatever that is and on however many hosts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserted_accounts_work_at_their_first_use() {
    let database = shared().database().await;
    let url = shared().url(&database);
    let hosts = [
        PostgresIndex::open(&settings(&url)).await.unwrap(),
        PostgresIndex::open(&settings(&url)).await.unwrap(),
    ];
    one(&hosts[0], add_domain("old.test")).await.unwrap();
    let insert = "INSERT INTO virtual_users (email, domain_id, used_quota) \
         SELECT 'u' || n || '@old.test', (SELECT id FROM domains WHERE domain_name = 'old.test'), 777 FROM generate_series(0, 9) n";
    shared().execute(&database, insert).await.unwrap();
    let email = |n: usize| format!("u{n}@old.test");
    let mut accounts = Vec::new();
    for n in 0..10 {
        let account = hosts[0].account(&email(n)).await.unwrap().unwrap();
        accounts.push(account.id);
    }
    // Deliveries on both hosts at once.
    let deliveries = (0..16).map(|n| {
        let (index, wanted) = (hosts[n % 2].clone(), [email(0), email(n % 4)]);
        tokio::spawn(async move { index.addresses("old.test", &wanted).await.unwrap() })
    });
    let mut inboxes = std::collections::BTreeMap::new();
    for (n, delivery) in deliveries.collect::<Vec<_>>().into_iter().enumerate() {
        let found = delivery.await.unwrap();
        for (address, of) in found.addresses.iter().zip([0, n % 4]) {
            let inbox = address.inbox.expect("an INBOX");
            assert_eq!(*inboxes.entry(of).or_insert(inbox), inbox);
        }
    }
    // Logins by other ways.
    assert_eq!(hosts[1].mailboxes(accounts[4]).await.unwrap().len(), 6);
    assert!(
        hosts[1]
            .mailbox(accounts[5], "Sent")
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        hosts[1]
            .mailbox(accounts[6], "none")
            .await
            .unwrap()
            .is_none()
    );
    let create = |account, name: &str| {
        Change::CreateMailbox(crate::index::CreateMailbox {
            account,
            name: name.to_owned(),
            special_use: None,
            now: crate::index::contract::NOW,
        })
    };
    one(&hosts[1], create(accounts[7], "Own")).await.unwrap();
    let there = one(&hosts[1], create(accounts[8], "Sent")).await;
    assert_eq!(there, Err(crate::Error::Exists("mailbox")));
    for (n, account) in accounts.iter().enumerate() {
        let count = hosts[0].mailboxes(*account).await.unwrap().len();
        assert_eq!(count, if n == 7 { 7 } else { 6 }, "{n}");
        let usage = hosts[0].usage(*account).await.unwrap().unwrap();
        assert_eq!((n, usage.used), (n, 0));
        assert_eq!(hosts[0].subscriptions(*account).await.unwrap().len(), 6);
    }
    // Its name may be that of somebody who was here before, with mailboxes that clients remember.
    let before = "UPDATE counter SET value = 4200000000 WHERE name = 'uid_validity'";
    shared().execute(&database, before).await.unwrap();
    let again =
        "INSERT INTO virtual_users (email, domain_id) SELECT 'again@old.test', id FROM domains";
    shared().execute(&database, again).await.unwrap();
    let found = hosts[0].account("again@old.test").await.unwrap().unwrap();
    for mailbox in hosts[0].mailboxes(found.id).await.unwrap() {
        assert!(mailbox.uid_validity.0 > 4_200_000_000, "{mailbox:?}");
    }
    // It is an account like any other.
    let home = Home {
        index: std::sync::Arc::new(hosts[1].clone()),
        account: accounts[0],
        inbox: inboxes[&0],
    };
    home.append(home.inbox, "first", 10).await.unwrap();
    home.check().await;
    // One that has mailboxes, and so may have mail, is not deleted by foreign SQL; one that has none may be.
    let delete = |n: usize| format!("DELETE FROM virtual_users WHERE email = 'u{n}@old.test'");
    let refused = shared().execute(&database, &delete(0)).await;
    assert!(refused.is_err());
    assert!(hosts[0].account(&email(0)).await.unwrap().is_some());
    let more =
        "INSERT INTO virtual_users (email, domain_id) SELECT 'u10@old.test', id FROM domains";
    shared().execute(&database, more).await.unwrap();
    shared().execute(&database, &delete(10)).await.unwrap();
    assert!(hosts[0].account(&email(10)).await.unwrap().is_none());
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

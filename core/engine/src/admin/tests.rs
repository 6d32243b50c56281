//! An operator's actions on an index in memory.

use postrider_protocol::secret::Secret;
use postrider_storage::index::{AuthType, INBOX, MemoryIndex, UsersOfDomain};

use super::*;
use crate::auth::password::{PasswordError, VerifyError};

const HASH: &str = "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

struct House {
    admin: Admin,
}

async fn house() -> House {
    let index = Arc::new(MemoryIndex::new());
    let admin = Admin::new(index);
    admin
        .add_domain("Example.com", AuthType::Local, None)
        .await
        .expect("a new domain");
    admin
        .add_user("Ada@example.com", HASH.to_owned(), Some(1 << 20))
        .await
        .expect("a new user");
    House { admin }
}

#[tokio::test]
async fn domains_come_and_go() {
    let House { admin, .. } = house().await;
    let exists = admin.add_domain("EXAMPLE.COM", AuthType::Local, None).await;
    assert_eq!(exists, Err(AdminError::DomainExists("example.com".into())));
    let base = admin
        .add_domain("b.example", AuthType::Local, Some("dc=b".into()))
        .await;
    assert_eq!(base, Err(AdminError::BaseDnWithoutLdap));
    let ldap = admin
        .add_domain("b.example", AuthType::Ldap, Some("dc=b".into()))
        .await;
    assert_eq!(ldap.map(|it| it.ldap_base_dn), Ok(Some("dc=b".into())));
    assert_eq!(admin.domains().await.map(|it| it.len()), Ok(2));
    let report = admin.domain("example.com").await.expect("there");
    assert_eq!((report.users, report.aliases, report.used), (1, 0, 0));
    let to = async |auth, dn: Option<&str>| {
        let dn = dn.map(str::to_owned);
        let users = UsersOfDomain::Follow;
        admin.set_domain_auth("Example.COM", auth, dn, users).await
    };
    let local = to(AuthType::Local, Some("dc=x")).await;
    assert_eq!(local.map(drop), Err(AdminError::BaseDnWithoutLdap));
    let (report, _) = to(AuthType::Ldap, Some("dc=x")).await.expect("changed");
    assert_eq!((report.domain.auth, report.users), (AuthType::Ldap, 1));
    assert_eq!(report.domain.ldap_base_dn.as_deref(), Some("dc=x"));
    let user = admin.user("ada@example.com").await.expect("there");
    assert_eq!(user.account.auth, AuthType::Ldap);
    let (report, _) = to(AuthType::Local, None).await.expect("changed");
    assert_eq!(
        (report.domain.auth, report.domain.ldap_base_dn),
        (AuthType::Local, None)
    );
    let off = admin.set_domain_active("example.com", false).await;
    assert_eq!(off.map(|it| it.active), Ok(false));
    let user = admin.user("ada@example.com").await.expect("there");
    assert!(user.account.active && !user.account.enabled());
    let used = admin
        .remove_domain("example.com")
        .await
        .expect_err("it has a user");
    assert_eq!(used.to_string(), "domain example.com has 1 user");
    assert_eq!(
        admin.remove_domain("b.example").await,
        Ok("b.example".into())
    );
    for error in [
        admin.domain("b.example").await.map(drop),
        admin.set_domain_active("b.example", true).await.map(drop),
        admin.remove_domain("b.example").await.map(drop),
        admin.users(Some("b.example")).await.map(drop),
        admin.aliases(Some("b.example")).await.map(drop),
        admin.find_user("x@b.example").await.map(drop),
        admin.check_new_user("x@b.example").await.map(drop),
        admin
            .add_alias("@b.example", "ada@example.com")
            .await
            .map(drop),
    ] {
        assert_eq!(error, Err(AdminError::NoDomain("b.example".into())));
    }
}

#[tokio::test]
async fn users_come_and_go() {
    let House { admin, .. } = house().await;
    let exists = admin
        .add_user("ADA@example.com", HASH.to_owned(), None)
        .await;
    assert_eq!(
        exists,
        Err(AdminError::UserExists("ada@example.com".into()))
    );
    let plain = admin
        .add_user("bob@example.com", "hunter2".to_owned(), None)
        .await;
    assert_eq!(
        plain,
        Err(VerifyError::Malformed("no scheme that we know").into())
    );
    let bob = admin
        .add_user("bob@example.com", HASH.to_owned(), None)
        .await
        .expect("new");
    assert_eq!((bob.quota, bob.auth), (None, AuthType::Local));
    assert_eq!(
        admin.users(Some("example.com")).await.map(|it| it.len()),
        Ok(2)
    );
    let bob = admin
        .set_quota("bob@example.com", Some(5))
        .await
        .expect("there");
    assert_eq!(bob.quota, Some(5));
    let off = admin
        .set_user_active("bob@example.com", false)
        .await
        .expect("there");
    assert!(!off.active && off.version > bob.version);
    let on = admin
        .set_password("bob@example.com", HASH.to_owned())
        .await
        .expect("there");
    assert!(on.version > off.version);
    admin
        .add_alias("info@example.com", "bob@example.com")
        .await
        .expect("new");
    let report = admin.user("bob@example.com").await.expect("there");
    assert_eq!(report.mailboxes[0].name, INBOX);
    assert_eq!(report.aliases, ["info@example.com"]);
    assert_eq!(
        admin.remove_user("bob@example.com").await.map(|it| it.id),
        Ok(bob.id)
    );
    for error in [
        admin.user("bob@example.com").await.map(drop),
        admin.set_quota("bob@example.com", None).await.map(drop),
        admin.remove_user("bob@example.com").await.map(drop),
    ] {
        assert_eq!(error, Err(AdminError::NoUser("bob@example.com".into())));
    }
}

#[tokio::test]
async fn aliases_come_and_go() {
    let House { admin, .. } = house().await;
    admin
        .add_alias("Info@example.com", "ada@example.com")
        .await
        .expect("new");
    admin
        .add_alias("info@example.com", "Eve@elsewhere.example")
        .await
        .expect("new");
    admin
        .add_alias("@example.com", "ada@example.com")
        .await
        .expect("new");
    let again = admin
        .add_alias("info@example.com", "ada@example.com")
        .await
        .expect_err("there");
    assert_eq!(
        again.to_string(),
        "alias info@example.com to ada@example.com exists already"
    );
    let itself = admin.add_alias("x@example.com", "X@example.com").await;
    assert_eq!(
        itself,
        Err(AdminError::AliasToItself("x@example.com".into()))
    );
    assert!(matches!(
        admin.add_alias("@example.com", "@example.org").await,
        Err(AdminError::BadAddress { .. })
    ));
    assert_eq!(
        admin.aliases(Some("example.com")).await.map(|it| it.len()),
        Ok(3)
    );
    let one = admin
        .remove_alias("info@example.com", Some("ada@example.com"))
        .await;
    assert_eq!(one.map(|it| it.len()), Ok(1));
    let none = admin
        .remove_alias("info@example.com", Some("ada@example.com"))
        .await
        .expect_err("gone");
    assert_eq!(
        none.to_string(),
        "alias info@example.com to ada@example.com does not exist"
    );
    assert_eq!(
        admin
            .remove_alias("@example.com", None)
            .await
            .map(|it| it.len()),
        Ok(1)
    );
    assert!(admin.remove_alias("@example.com", None).await.is_err());
}

fn user(line: u64, email: &str, password: ImportPassword) -> ImportUser {
    ImportUser {
        line,
        email: email.to_owned(),
        password,
        quota: None,
    }
}

fn hash(hash: &str) -> ImportPassword {
    ImportPassword::Hash(hash.to_owned())
}

fn plain(password: &str) -> ImportPassword {
    ImportPassword::Plain(Secret::new(password.to_owned()))
}

#[tokio::test]
async fn an_import_names_every_bad_line_and_changes_nothing() {
    let House { admin, .. } = house().await;
    let users = vec![
        user(2, "bob@example.com", hash(HASH)),
        user(3, "bob", hash(HASH)),
        user(4, "Bob@example.com", hash(HASH)),
        user(5, "ada@example.com", hash(HASH)),
        user(6, "eve@nowhere.example", hash("{ROT13}x")),
        user(7, "eve@example.com", plain("")),
        user(8, "bob@example.com", plain(&"x".repeat(80))),
    ];
    let problems = admin
        .prepare_import(users)
        .await
        .expect("storage works")
        .expect_err("bad lines");
    let problems: Vec<String> = problems
        .iter()
        .map(|it| format!("{}: {}", it.line, it.message))
        .collect();
    let too_long = PasswordError::TooLong.to_string();
    assert_eq!(
        problems,
        [
            "3: \"bob\" is not an address: it must be local-part@domain".to_owned(),
            "4: bob@example.com stands on line 2 already".to_owned(),
            "5: user ada@example.com exists already".to_owned(),
            "6: domain nowhere.example does not exist".to_owned(),
            "6: cannot verify a hash of scheme {ROT13}".to_owned(),
            "7: the password is empty".to_owned(),
            "8: bob@example.com stands on line 2 already".to_owned(),
            format!("8: {too_long}"),
        ]
    );
    assert_eq!(admin.users(None).await.map(|it| it.len()), Ok(1));
}

#[tokio::test]
async fn an_import_takes_all_in() {
    let House { admin, .. } = house().await;
    let mut users: Vec<ImportUser> = (0..3000)
        .map(|number| user(number + 2, &format!("u{number}@example.com"), hash(HASH)))
        .collect();
    users.push(ImportUser {
        quota: Some(None),
        ..user(3002, "plain@example.com", plain("correct horse"))
    });
    let mut import = admin
        .prepare_import(users)
        .await
        .expect("storage works")
        .expect("good lines");
    assert_eq!((import.len(), import.passwords()), (3001, 1));
    let hashed = std::sync::atomic::AtomicUsize::new(0);
    import
        .hash_passwords(&|| {
            hashed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        })
        .expect("random numbers");
    assert_eq!(hashed.into_inner(), 1);
    assert_eq!(admin.import(import).await, Ok(3001));
    let plain = admin.find_user("plain@example.com").await.expect("there");
    assert_eq!(plain.quota, None);
    let hash = plain.password.expect("a hash");
    let verified =
        crate::auth::password::verify_password(&hash, &Secret::new("correct horse".into()));
    assert_eq!(verified, Ok(true));
    let other = admin.find_user("u7@example.com").await.expect("there");
    assert_eq!(other.quota, Some(postrider_storage::index::DEFAULT_QUOTA));
}

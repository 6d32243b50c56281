//! An account that changes loses the sessions it had.

use postrider::config::Service;

use super::client::Client;
use super::house::{ADA, BOB, House, PASSWORD, hash};

/// Waits for the server to end a session by itself.
async fn is_ended(mut client: Client) {
    let rest = client.rest().await;
    assert!(rest.contains("* BYE "), "{rest}");
}

async fn may_log_in(house: &House, email: &str, password: &str) -> bool {
    let mut imap = house.connect(Service::Imap).await;
    imap.imap(&format!("LOGIN {email} {password}"))
        .await
        .is_ok()
}

#[actix_rt::test]
async fn live_sessions_end_with_the_right_to_them() {
    let house = House::new().await;
    for email in [
        "off@example.test",
        "other@example.test",
        "gone@example.test",
    ] {
        house.add(email, None).await;
    }
    let mut stays = house.imap(ADA).await;
    let mut off = house.imap("off@example.test").await;
    // One in IDLE, one with a mailbox open, one without.
    off.imap("SELECT INBOX").await;
    off.write(b"i IDLE\r\n").await;
    assert!(off.line().await.starts_with('+'));
    let mut other = house.imap("other@example.test").await;
    other.imap("SELECT INBOX").await;
    let gone = house.imap("gone@example.test").await;

    let admin = house.admin();
    admin
        .set_user_active("off@example.test", false)
        .await
        .unwrap();
    is_ended(off).await;
    admin
        .set_password("other@example.test", hash("another"))
        .await
        .unwrap();
    is_ended(other).await;
    admin.remove_user("gone@example.test").await.unwrap();
    is_ended(gone).await;

    assert!(!may_log_in(&house, "off@example.test", PASSWORD).await);
    assert!(!may_log_in(&house, "other@example.test", PASSWORD).await);
    assert!(may_log_in(&house, "other@example.test", "another").await);
    assert!(!may_log_in(&house, "gone@example.test", PASSWORD).await);
    let reply = house.deliver("gone@example.test", "late").await;
    assert!(reply.starts_with("550 5.1.1"), "{reply}");
    assert!(stays.imap("SELECT INBOX").await.is_ok());
    house.stop().await;
}

#[actix_rt::test]
async fn a_domain_switched_off_ends_the_sessions_of_all_its_accounts() {
    let house = House::new().await;
    let (ada, bob) = (house.imap(ADA).await, house.imap(BOB).await);
    let admin = house.admin();
    admin
        .set_domain_active("example.test", false)
        .await
        .unwrap();
    is_ended(ada).await;
    is_ended(bob).await;
    assert!(!may_log_in(&house, ADA, PASSWORD).await);
    admin.set_domain_active("example.test", true).await.unwrap();
    assert!(may_log_in(&house, ADA, PASSWORD).await);
    house.stop().await;
}

#[actix_rt::test]
async fn a_changed_quota_or_a_better_hash_ends_nothing() {
    let change = |config: &mut postrider::config::Config| config.auth.upgrade_hashes = true;
    let house = House::with(change, Default::default()).await;
    // The login itself puts a strong hash in the place of the weak one.
    let mut ada = house.imap(ADA).await;
    let row = house.admin().find_user(ADA).await.unwrap();
    assert!(row.password.is_some_and(|it| it.contains("$12$")));
    house.admin().set_quota(ADA, Some(1_000_000)).await.unwrap();
    // Whatever ended sessions by mistake ends this one too, and later.
    let mut bob = house.imap(BOB).await;
    house.admin().set_user_active(BOB, false).await.unwrap();
    assert!(bob.rest().await.contains("* BYE "));
    assert!(ada.imap("NOOP").await.is_ok());
    house.stop().await;
}

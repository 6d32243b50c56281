//! An account that changes loses the sessions it had.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postrider::config::Service;
use postrider_storage::index::{Change, SetPassword, Timestamp};

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

/// A submission session of an account.
async fn submission(house: &House, email: &str) -> Client {
    let mut client = house.connect(Service::Submission).await;
    client.smtp("EHLO client.example").await;
    let plain = BASE64.encode(format!("\0{email}\0{PASSWORD}"));
    let reply = client.smtp(&format!("AUTH PLAIN {plain}")).await;
    assert!(reply.starts_with("235 "), "{reply}");
    client
}

async fn pop3(house: &House, email: &str) -> Client {
    let mut client = house.connect(Service::Pop3).await;
    client.smtp(&format!("USER {email}")).await;
    let reply = client.smtp(&format!("PASS {PASSWORD}")).await;
    assert!(reply.starts_with("+OK"), "{reply}");
    client
}

/// Another password, as this process itself changes it.
async fn change_password(house: &House, email: &str) {
    let account = house.admin().find_user(email).await.unwrap();
    let change = Change::SetPassword(SetPassword {
        account: account.id,
        password: Some(hash("another")),
        only_if: None,
        now: Timestamp(0),
    });
    house.running.index().change(change).await.unwrap();
}

#[actix_rt::test]
async fn attack_31_a_changed_password_ends_sessions_of_every_protocol() {
    let house = House::new().await;
    let mut stays = house.imap(BOB).await;
    let mut idle = house.imap(ADA).await;
    idle.imap("SELECT INBOX").await;
    idle.write(b"i IDLE\r\n").await;
    assert!(idle.line().await.starts_with('+'));
    // One that is in the middle of a line, and one that waits for a literal.
    let mut line = house.imap(ADA).await;
    line.write(b"a NOO").await;
    let mut literal = house.imap(ADA).await;
    literal.write(b"a APPEND INBOX {1000}\r\n").await;
    assert!(literal.line().await.starts_with('+'));
    let mut pop3 = pop3(&house, ADA).await;
    let mut between = submission(&house, ADA).await;
    between.smtp("MAIL FROM:<ada@example.test>").await;
    // One in the middle of a message, to which it then sends the end.
    let mut data = submission(&house, ADA).await;
    for command in [
        "MAIL FROM:<ada@example.test>",
        "RCPT TO:<bob@example.test>",
        "DATA",
    ] {
        let reply = data.smtp(command).await;
        assert!(reply.starts_with(['2', '3']), "{reply}");
    }
    data.write(b"From: <ada@example.test>\r\nSubject: stolen\r\n\r\n")
        .await;

    change_password(&house, ADA).await;
    is_ended(idle).await;
    is_ended(line).await;
    let said = pop3.rest().await;
    assert!(said.starts_with("-ERR [AUTH]"), "{said}");
    let said = between.rest().await;
    assert!(said.starts_with("421 4.7.0 "), "{said}");
    data.write(b"text\r\n.\r\n").await;
    let said = data.rest().await;
    assert!(said.is_empty() || said.starts_with("421 4.7.0 "), "{said}");
    let said = literal.rest().await;
    assert!(!said.contains("a OK"), "{said}");
    assert!(house.subjects(BOB).await.is_empty(), "nothing was sent");
    assert!(stays.imap("NOOP").await.is_ok());
    house.stop().await;
}

#[actix_rt::test]
async fn attack_31_who_never_stops_talking_is_ended_too() {
    let house = House::new().await;
    let mut ada = house.imap(ADA).await;
    ada.imap("SELECT INBOX").await;
    let pipelined = "a NOOP\r\n".repeat(1000);
    ada.write(pipelined.as_bytes()).await;
    change_password(&house, ADA).await;
    let mut said = String::new();
    for _ in 0..2000 {
        // It has always more to say than is read.
        ada.write(pipelined.as_bytes()).await;
        for _ in 0..1000 {
            match ada.try_line().await {
                Some(line) => said = line,
                None => {
                    house.stop().await;
                    return;
                }
            }
        }
    }
    panic!("still served: {said}");
}

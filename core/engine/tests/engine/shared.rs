//! Attack 42: what sessions share (buffers, actors, a connection before and after a login) never shows one account another's mail.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postrider::config::Service;

use super::client::Client;
use super::house::{ADA, BOB, House, PASSWORD, message};

const ACCOUNTS: [(&str, &str); 2] = [(ADA, "adas"), (BOB, "bobs")];

/// Mail of their own in mailboxes of the same names.
async fn filled() -> House {
    let house = House::new().await;
    for (email, word) in ACCOUNTS {
        let mut imap = house.imap(email).await;
        assert!(imap.imap("CREATE Work/Plans").await.is_ok());
        for mailbox in ["INBOX", "Work/Plans", "Drafts"] {
            for number in 0..5 {
                let tagged = imap
                    .append(mailbox, &message(&format!("{word}{number}")))
                    .await;
                assert!(tagged.starts_with("OK"), "{tagged}");
            }
        }
    }
    house
}

/// Reads all of the open mailbox, which must be this account's alone.
async fn reads_its_own(client: &mut Client, word: &str, other: &str) {
    let fetched = client.imap("FETCH 1:* (FLAGS BODY.PEEK[])").await;
    let heard = fetched.untagged.join("\n");
    assert!(
        fetched.is_ok() && heard.contains(word) && !heard.contains(other),
        "{fetched:?}"
    );
}

/// Two accounts with mailboxes of the same names, open at once, each changed by its own sessions alone.
#[actix_rt::test]
async fn attack_42_mailboxes_of_one_name_are_not_one() {
    let house = filled().await;
    let (mut ada, mut bob) = (house.imap(ADA).await, house.imap(BOB).await);
    for mailbox in ["INBOX", "Work/Plans", "Drafts"] {
        for (client, _) in [(&mut ada, 0), (&mut bob, 1)] {
            let selected = client.imap(&format!("SELECT {mailbox}")).await;
            assert!(selected.untagged.contains(&"* 5 EXISTS".to_owned()));
        }
        reads_its_own(&mut ada, "adas", "bobs").await;
        reads_its_own(&mut bob, "bobs", "adas").await;
        ada.imap("STORE 1:2 +FLAGS (\\Deleted adas)").await;
        let gone = ada.imap("EXPUNGE").await;
        assert_eq!(gone.untagged.len(), 2, "{gone:?}");
        ada.imap("STORE 1 +FLAGS (\\Flagged)").await;
        // Bob hears of none of it, and has all that he had.
        let heard = bob.imap("NOOP").await;
        assert!(heard.untagged.is_empty(), "{heard:?}");
        let flags = bob.imap("FETCH 1:* (FLAGS)").await;
        assert_eq!(flags.untagged.len(), 5);
        assert!(!flags.untagged.join("").contains("Flagged"), "{flags:?}");
    }
    house.stop().await;
}

/// Connections that end in the middle of everything leave nothing in what the next ones get.
#[actix_rt::test]
async fn attack_42_what_a_connection_leaves_is_nobody_elses() {
    let house = filled().await;
    // Each leaves something that was read and not used, or begun and not ended.
    let remains: [&[u8]; 6] = [
        b"x FETCH 1:* (BODY[])\r\nx2 FETCH 1:* (BODY[])\r\n",
        b"x APPEND INBOX {5000}\r\nSubject: adas remains\r\n\r\n",
        b"x APPEND INBOX {22+}\r\nSubject: adas rem",
        b"x SEARCH TEXT {4}\r\nad",
        b"x IDLE\r\n",
        b"x LOGOUT",
    ];
    for round in 0..4 {
        for remains in remains {
            let mut ada = house.imap(ADA).await;
            ada.imap("SELECT Drafts").await;
            ada.write(remains).await;
            if round % 2 == 0 {
                // Some of it is read, whether or not it is answered.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            drop(ada);
            // Nothing that a stranger hears or that Bob reads is hers.
            let mut stranger = house.connect(Service::Imap).await;
            let said = stranger.imap("NOOP").await;
            assert!(said.is_ok() && said.untagged.is_empty(), "{said:?}");
            let said = stranger.imap("FETCH 1 (BODY[])").await;
            assert!(said.tagged.starts_with("BAD"), "{said:?}");
            let login = stranger.imap(&format!("LOGIN {BOB} {PASSWORD}")).await;
            assert!(login.is_ok() && login.untagged.is_empty(), "{login:?}");
            // No mailbox is open yet, whoever had one open on this connection's buffers.
            let said = stranger.imap("FETCH 1 (BODY[])").await;
            assert!(said.tagged.starts_with("BAD"), "{said:?}");
            stranger.imap("SELECT Drafts").await;
            reads_its_own(&mut stranger, "bobs", "adas").await;
        }
    }
    assert_eq!(house.subjects(ADA).await.len(), 5, "half a message is none");
    house.stop().await;
}

/// A connection is one account's until it ends: there is no way back to before the login, and no second one.
#[actix_rt::test]
async fn attack_42_a_connection_is_one_accounts_for_good() {
    let house = filled().await;
    let mut imap = house.imap(ADA).await;
    imap.imap("SELECT INBOX").await;
    let capabilities = imap.imap("CAPABILITY").await.untagged.join("");
    let again = [
        format!("LOGIN {BOB} {PASSWORD}"),
        format!(
            "AUTHENTICATE PLAIN {}",
            BASE64.encode(format!("\0{BOB}\0{PASSWORD}"))
        ),
        "STARTTLS".to_owned(),
        "UNAUTHENTICATE".to_owned(),
    ];
    for command in again {
        let said = imap.imap(&command).await;
        let unauthenticated = command == "UNAUTHENTICATE" && said.is_ok();
        assert!(
            !unauthenticated || capabilities.contains("UNAUTHENTICATE"),
            "{said:?}"
        );
        match unauthenticated {
            // Where it is offered, it is a connection like a new one.
            true => {
                let said = imap.imap("FETCH 1 (BODY[])").await;
                assert!(said.tagged.starts_with("BAD"), "{said:?}");
                let login = imap.imap(&format!("LOGIN {BOB} {PASSWORD}")).await;
                assert!(login.is_ok(), "{login:?}");
                let said = imap.imap("FETCH 1 (BODY[])").await;
                assert!(said.tagged.starts_with("BAD"), "{said:?}");
                imap.imap("SELECT INBOX").await;
                reads_its_own(&mut imap, "bobs", "adas").await;
            }
            false => {
                assert!(said.tagged.starts_with("BAD"), "{command}: {said:?}");
                reads_its_own(&mut imap, "adas", "bobs").await;
            }
        }
    }

    // A failed login leaves nothing of its name behind for the one that follows.
    let mut pop3 = house.connect(Service::Pop3).await;
    pop3.smtp(&format!("USER {ADA}")).await;
    assert!(pop3.smtp("PASS wrong").await.starts_with("-ERR"));
    pop3.smtp(&format!("USER {BOB}")).await;
    assert!(
        pop3.smtp(&format!("PASS {PASSWORD}"))
            .await
            .starts_with("+OK")
    );
    for command in [format!("USER {ADA}"), format!("PASS {PASSWORD}")] {
        assert!(pop3.smtp(&command).await.starts_with("-ERR"), "{command}");
    }
    assert!(pop3.smtp("RETR 1").await.starts_with("+OK"));
    let mut said = String::new();
    while let Some(line) = pop3.try_line().await {
        if line == "." {
            break;
        }
        said.push_str(&line);
    }
    assert!(said.contains("bobs") && !said.contains("adas"), "{said}");

    let mut smtp = house.connect(Service::Submission).await;
    smtp.smtp("EHLO client.example").await;
    let plain = |email, password: &str| BASE64.encode(format!("\0{email}\0{password}"));
    let reply = smtp
        .smtp(&format!("AUTH PLAIN {}", plain(ADA, "wrong")))
        .await;
    assert!(reply.starts_with("535"), "{reply}");
    let reply = smtp
        .smtp(&format!("AUTH PLAIN {}", plain(BOB, PASSWORD)))
        .await;
    assert!(reply.starts_with("235"), "{reply}");
    let reply = smtp
        .smtp(&format!("AUTH PLAIN {}", plain(ADA, PASSWORD)))
        .await;
    assert!(reply.starts_with("503"), "{reply}");
    for again in ["", "RSET", "EHLO client.example"] {
        if !again.is_empty() {
            smtp.smtp(again).await;
        }
        let reply = smtp.smtp(&format!("MAIL FROM:<{ADA}>")).await;
        assert!(reply.starts_with('5'), "{again}: {reply}");
        let reply = smtp.smtp(&format!("MAIL FROM:<{BOB}>")).await;
        assert!(reply.starts_with("250"), "{again}: {reply}");
    }
    house.stop().await;
}

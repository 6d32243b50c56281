//! One account never sees another's bytes, names or existence (I6).

use postrider::config::Service;

use super::house::{ADA, BOB, House, PASSWORD, message};

/// In a message, and in the name of a mailbox, of Ada's.
const SECRET: &str = "xyzzy";

/// Names under which somebody may hope to find what is Ada's.
const GUESSES: [&str; 12] = [
    "xyzzy",
    "ada@example.test/INBOX",
    "ada@example.test/xyzzy",
    "~ada/INBOX",
    "user.ada",
    "user/ada@example.test",
    "Other Users/ada@example.test/xyzzy",
    "../ada/xyzzy",
    "../../ada/Maildir/INBOX",
    "/ada@example.test/INBOX",
    "#user.ada",
    "INBOX/../../ada/INBOX",
];

#[actix_rt::test]
async fn nobody_reaches_the_mailboxes_of_another() {
    let house = House::new().await;
    let mut ada = house.imap(ADA).await;
    assert!(ada.imap("CREATE xyzzy").await.is_ok());
    assert!(
        ada.append("xyzzy", &message(SECRET))
            .await
            .starts_with("OK")
    );
    assert!(house.deliver(ADA, SECRET).await.starts_with("250"));
    assert!(house.deliver(BOB, "mine").await.starts_with("250"));

    let mut bob = house.imap(BOB).await;
    for guess in GUESSES {
        for command in ["SELECT", "EXAMINE", "DELETE"] {
            let answer = bob.imap(&format!("{command} \"{guess}\"")).await;
            assert!(!answer.is_ok(), "{command} {guess}: {answer:?}");
        }
        let answer = bob.imap(&format!("STATUS \"{guess}\" (MESSAGES)")).await;
        assert!(!answer.is_ok(), "STATUS {guess}: {answer:?}");
        let answer = bob.imap(&format!("RENAME \"{guess}\" stolen")).await;
        assert!(!answer.is_ok(), "RENAME {guess}: {answer:?}");
    }
    for command in [
        "LIST \"\" *",
        "LSUB \"\" *",
        "LIST \"ada@example.test/\" *",
        "NAMESPACE",
    ] {
        let answer = bob.imap(command).await;
        let seen = answer.untagged.join("\n");
        assert!(
            !seen.contains("ada") && !seen.contains(SECRET),
            "{command}: {seen}"
        );
    }
    // Everything that Bob can read, he reads; and he sees what is there of his own.
    bob.imap("SELECT INBOX").await;
    let answer = bob.imap("UID FETCH 1:* BODY.PEEK[]").await;
    let seen = answer.untagged.join("\n");
    assert!(
        seen.contains("Subject: mine") && !seen.contains(SECRET),
        "{seen}"
    );
    let found = bob.imap("UID SEARCH TEXT xyzzy").await;
    assert!(
        !found.untagged.iter().any(|it| it.contains('1')),
        "{found:?}"
    );

    let mut pop3 = house.connect(Service::Pop3).await;
    pop3.smtp(&format!("USER {BOB}")).await;
    pop3.smtp(&format!("PASS {PASSWORD}")).await;
    assert!(pop3.smtp("STAT").await.starts_with("+OK 1 "));
    assert!(pop3.smtp("RETR 2").await.starts_with("-ERR"));

    // And nothing of Ada's was touched by all of it.
    let answer = ada.imap("STATUS xyzzy (MESSAGES)").await;
    assert!(
        answer.untagged.join("").contains("MESSAGES 1"),
        "{answer:?}"
    );
    assert_eq!(house.subjects(ADA).await, [SECRET]);
    house.stop().await;
}

#[actix_rt::test]
async fn a_wrong_password_and_a_missing_account_look_the_same() {
    let house = House::new().await;
    let mut answers = Vec::new();
    for user in [ADA, "nobody@example.test", "ada@elsewhere.test"] {
        let mut imap = house.connect(Service::Imap).await;
        answers.push(imap.imap(&format!("LOGIN {user} wrong")).await.tagged);
    }
    assert!(
        answers[0].starts_with("NO [AUTHENTICATIONFAILED]"),
        "{answers:?}"
    );
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    house.stop().await;
}

#[actix_rt::test]
async fn nobody_sends_in_the_name_of_another() {
    let house = House::new().await;
    let mut smtp = house.connect(Service::Submission).await;
    smtp.smtp("EHLO client.example").await;
    let initial = base64(&format!("\0{BOB}\0{PASSWORD}"));
    let reply = smtp.smtp(&format!("AUTH PLAIN {initial}")).await;
    assert!(reply.starts_with("235 "), "{reply}");
    let reply = smtp.smtp(&format!("MAIL FROM:<{ADA}>")).await;
    assert!(
        reply.starts_with("550 ") || reply.starts_with("553 "),
        "{reply}"
    );
    let reply = smtp.smtp(&format!("MAIL FROM:<{BOB}>")).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.stop().await;
}

/// RFC 4648 section 4.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |chunk: &[u8]| {
        let octet = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        let characters = (0..4).map(move |at| match at <= chunk.len() {
            true => char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]),
            false => '=',
        });
        characters.collect::<String>()
    };
    text.as_bytes().chunks(3).map(encode).collect()
}

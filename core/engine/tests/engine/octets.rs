//! Octets that a message should not hold, and what each protocol sends of them.

use postrider::config::Service;

use super::client::Client;
use super::house::{ADA, House, PASSWORD};

/// A NUL in the header, in a text and in a part that says it is binary.
const LETTER: &str = "From: <eve@remote.example>\r\nSubject: a\0b\r\nX-Odd: c\0d\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\0two\r\n--b\r\nContent-Type: application/x\r\n\
Content-Transfer-Encoding: binary\r\n\r\n\0\0three\r\n--b--\r\n";

/// How an octet that is no UTF-8 reads here.
const ODD: &str = "\u{fffd}";

async fn fetched(imap: &mut Client, item: &str) -> String {
    let answer = imap.imap(&format!("FETCH 1 {item}")).await;
    assert!(answer.is_ok(), "{item}: {answer:?}");
    answer.untagged.join("\r\n")
}

fn size(fetched: &str, before: &str, after: char) -> usize {
    let (_, rest) = fetched
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} in {fetched}"));
    let (digits, _) = rest.split_once(after).expect("a number and its end");
    digits.parse().expect("a number")
}

/// No literal holds a NUL (RFC 9051 section 9, `CHAR8`); only BINARY brings one, and sizes are those of what is sent.
#[actix_rt::test]
async fn attack_07_a_nul_in_a_message_is_none_in_a_literal() {
    let house = House::new().await;
    let sent = house.smtp().await.send(ADA, LETTER).await;
    assert!(sent.starts_with("250"), "{sent}");
    let mut imap = house.imap(ADA).await;
    assert!(imap.imap("SELECT INBOX").await.is_ok());
    for (item, wanted) in [
        ("BODY.PEEK[]", "one\u{fffd}two"),
        ("BODY.PEEK[TEXT]", "one\u{fffd}two"),
        ("BODY.PEEK[1]", "one\u{fffd}two"),
        ("BODY.PEEK[1]<2.3>", "e\u{fffd}t"),
        ("BODY.PEEK[2]", "\u{fffd}\u{fffd}three"),
        ("BODY.PEEK[HEADER]", "Subject: a\u{fffd}b"),
        ("RFC822.HEADER", "X-Odd: c\u{fffd}d"),
        ("BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "Subject: a\u{fffd}b"),
        ("BODY.PEEK[HEADER.FIELDS (X-ODD)]", "X-Odd: c\u{fffd}d"),
        ("BODY.PEEK[HEADER.FIELDS.NOT (FROM)]", "X-Odd: c\u{fffd}d"),
    ] {
        let said = fetched(&mut imap, item).await;
        assert!(
            said.contains(wanted) && !said.contains('\0'),
            "{item}: {said:?}"
        );
    }
    for item in ["(ENVELOPE BODYSTRUCTURE BODY)", "(FLAGS INTERNALDATE UID)"] {
        let said = fetched(&mut imap, item).await;
        assert!(
            !said.contains('\0') && !said.contains(ODD),
            "{item}: {said:?}"
        );
    }
    let binary = fetched(&mut imap, "(BINARY.PEEK[2] BINARY.SIZE[2])").await;
    assert!(
        binary.contains("~{7}\r\n\0\0three BINARY.SIZE[2] 7)"),
        "{binary:?}"
    );

    let whole = fetched(&mut imap, "(RFC822.SIZE BODY.PEEK[])").await;
    let octets = size(&whole, "RFC822.SIZE ", ' ');
    assert_eq!(octets, size(&whole, "BODY[] {", '}'));
    // The literal is as long as it says, each odd octet being one.
    let (_, literal) = whole.split_once("}\r\n").expect("a literal");
    let literal = literal.strip_suffix(')').expect("the end of the response");
    assert_eq!(literal.replace(ODD, "x").len(), octets);

    // POP3 knows no such rule: what is there is sent (RFC 1939 section 3), and its size is the same.
    let mut pop3 = house.connect(Service::Pop3).await;
    for command in [format!("USER {ADA}\r\n"), format!("PASS {PASSWORD}\r\n")] {
        pop3.write(command.as_bytes()).await;
        assert!(pop3.line().await.starts_with("+OK"));
    }
    pop3.write(b"LIST 1\r\n").await;
    assert_eq!(pop3.line().await, format!("+OK 1 {octets}"));
    pop3.write(b"RETR 1\r\n").await;
    assert_eq!(pop3.line().await, format!("+OK {octets} octets"));
    let mut read = 0;
    let mut nul = 0;
    loop {
        match pop3.line().await {
            line if line == "." => break,
            line => {
                read += line.len() + 2;
                nul += line.matches('\0').count();
            }
        }
    }
    assert_eq!((read, nul), (octets, 5));
    house.stop().await;
}

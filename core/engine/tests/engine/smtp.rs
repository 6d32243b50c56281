//! What SMTP, submission and LMTP bring into mailboxes, octet by octet (RFC 5321, RFC 3030, RFC 3461).

use postrider::config::Service;

use super::client::Client;
use super::house::{ADA, BOB, House};

/// `\0ada@example.test\0correct-horse`
const LOGIN: &str = "AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAY29ycmVjdC1ob3JzZQ==";

/// All messages of an account, each as lines.
async fn messages(house: &House, email: &str) -> Vec<Vec<String>> {
    let mut imap = house.imap(email).await;
    assert!(imap.imap("EXAMINE INBOX").await.is_ok());
    let fetched = imap.imap("UID FETCH 1:* (BODY.PEEK[])").await;
    let mut messages: Vec<Vec<String>> = Vec::new();
    for line in fetched.untagged {
        match line.starts_with("* ") && line.contains("BODY[]") {
            true => messages.push(Vec::new()),
            false => messages.last_mut().expect("a message").push(line),
        }
    }
    messages
}

fn has(message: &[String], line: &str) -> bool {
    message.iter().any(|it| it == line)
}

async fn submission(house: &House) -> Client {
    let mut client = house.connect(Service::Submission).await;
    client.smtp("EHLO client.example").await;
    let reply = client.smtp(LOGIN).await;
    assert!(reply.starts_with("235"), "{reply}");
    client
}

async fn lmtp(house: &House) -> Client {
    let mut client = house.connect(Service::Lmtp).await;
    client.smtp("LHLO client.example").await;
    client
}

/// MAIL, and a RCPT for each.
async fn envelope(client: &mut Client, mail: &str, recipients: &[&str]) {
    let reply = client.smtp(mail).await;
    assert!(reply.starts_with("250"), "{reply}");
    for to in recipients {
        let reply = client.smtp(&format!("RCPT TO:{to}")).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
}

/// Line ends that somebody has taken for one. The true pair is not among the forms.
const ENDS: [&[u8]; 5] = [b"\r", b"\n", b"\r\n", b"\n\r", b"\r\0\n"];

fn forged() -> impl Iterator<Item = Vec<u8>> {
    let pairs = ENDS.iter().flat_map(|a| ENDS.iter().map(move |b| (*a, *b)));
    let forged = pairs.filter(|pair| *pair != (b"\r\n", b"\r\n"));
    forged.map(|(before, after)| [before, b".", after].concat())
}

const SMUGGLED: &[u8] =
    b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: smuggled\r\n";

/// All 24 forms, as DATA and as the content of a chunk, over SMTP and over LMTP.
#[actix_rt::test]
async fn attack_09_no_forged_end_of_data_is_one() {
    let house = House::new().await;
    let whole = b"Subject: whole\r\n\r\nbody";
    for (number, form) in forged().enumerate() {
        let content = [&whole[..], &form, SMUGGLED].concat();
        let (mut smtp, mut lmtp) = (house.smtp().await, lmtp(&house).await);
        for (client, replies) in [(&mut smtp, 1), (&mut lmtp, 2)] {
            let recipients = ["<ada@example.test>", "<bob@example.test>"];
            envelope(client, "MAIL FROM:<eve@remote.example>", &recipients).await;
            assert!(client.smtp("DATA").await.starts_with("354"));
            client.write(&content).await;
            client.write(b"\r\n.\r\n").await;
            for _ in 0..replies {
                let reply = client.reply().await;
                assert!(reply.starts_with("550 5.6.11"), "{number} {form:?} {reply}");
            }
            envelope(client, "MAIL FROM:<eve@remote.example>", &recipients).await;
            let command = format!("BDAT {} LAST\r\n", content.len());
            client.write(command.as_bytes()).await;
            client.write(&content).await;
            for _ in 0..replies {
                let reply = client.reply().await;
                assert!(reply.starts_with("550 5.6.11"), "{number} {form:?} {reply}");
            }
            assert!(client.smtp("NOOP").await.starts_with("250"), "{form:?}");
        }
    }
    assert_eq!(messages(&house, ADA).await.len(), 0);
    assert_eq!(messages(&house, BOB).await.len(), 0);
    house.stop().await;
}

/// The true end means nothing inside of a chunk, neither here nor when POP3 hands the message out.
#[actix_rt::test]
async fn attack_12_a_chunk_may_hold_what_ends_data() {
    let house = House::new().await;
    let mut client = house.smtp().await;
    envelope(&mut client, "MAIL FROM:<>", &["<ada@example.test>"]).await;
    let content = [&b"Subject: x\r\n\r\nbody\r\n.\r\n"[..], SMUGGLED].concat();
    let command = format!("BDAT {} LAST\r\n", content.len());
    client.write(command.as_bytes()).await;
    client.write(&content).await;
    assert!(client.reply().await.starts_with("250"));
    assert!(client.smtp("NOOP").await.starts_with("250"));
    let found = messages(&house, ADA).await;
    assert_eq!(found.len(), 1);
    assert!(has(&found[0], ".") && has(&found[0], "Subject: smuggled"));
    assert_eq!(messages(&house, BOB).await.len(), 0);

    let mut pop3 = house.connect(Service::Pop3).await;
    for command in ["USER ada@example.test", "PASS correct-horse", "RETR 1"] {
        pop3.write(format!("{command}\r\n").as_bytes()).await;
        assert!(pop3.line().await.starts_with("+OK"), "{command}");
    }
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != ".") {
        lines.push(pop3.line().await);
    }
    assert!(has(&lines, "..") && has(&lines, "Subject: smuggled"));
    pop3.write(b"NOOP\r\n").await;
    assert_eq!(pop3.line().await, "+OK done");
    house.stop().await;
}

/// Chunks and commands in one packet, in every order that goes wrong: each command is answered once, and no octet of a chunk is a command.
#[actix_rt::test]
async fn attack_12_chunks_are_eaten_whatever_their_command_was_told() {
    let house = House::new().await;
    let mut client = house.smtp().await;
    let said = b"MAIL FROM:<eve@remote.example>\r\nRCPT TO:<nobody@example.test>\r\nBDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\n\
        RSET\r\nMAIL FROM:<eve@remote.example>\r\nRCPT TO:<ada@example.test>\r\nBDAT 6\r\nQUIT\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\n\
        MAIL FROM:<eve@remote.example>\r\nRCPT TO:<ada@example.test>\r\nBDAT 104857601\r\n";
    client.write(said).await;
    for code in [
        "250", "550", "503", "503", "250", "250", "250", "250", "250", "503", "250", "250",
    ] {
        let reply = client.reply().await;
        assert!(reply.starts_with(code), "{code} {reply}");
    }
    let octets = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        assert!(client.write(&octets).await);
    }
    client.write(b"xBDAT 6 LAST\r\nQUIT\r\nDATA\r\n").await;
    for code in ["552", "503", "503"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(code), "{code} {reply}");
    }
    envelope(&mut client, "MAIL FROM:<>", &["<ada@example.test>"]).await;
    client.write(b"BDAT 0 LAST\r\n").await;
    assert!(client.reply().await.starts_with("250"));
    assert_eq!(messages(&house, ADA).await.len(), 1);
    assert!(!house.config.data_dir.join("spool").exists() || spool_is_empty(&house));
    house.stop().await;
}

fn spool_is_empty(house: &House) -> bool {
    fn files(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap());
        entries
            .map(|entry| match entry.file_type().unwrap().is_dir() {
                true => files(&entry.path()),
                false => usize::from(entry.metadata().unwrap().len() > 0),
            })
            .sum()
    }
    files(&house.config.data_dir.join("spool")) == 0
}

/// What was refused waits in no spool for the next message.
#[actix_rt::test]
async fn refused_octets_leave_their_file_at_once() {
    let house = House::new().await;
    let mut client = house.smtp().await;
    let large = vec![b'x'; 400 * 1024];
    let to = ["<ada@example.test>"];
    envelope(&mut client, "MAIL FROM:<>", &to).await;
    client.smtp("DATA").await;
    client.write(&large).await;
    client.write(b"\nbare\r\n.\r\n").await;
    assert!(client.reply().await.starts_with("550 5.6.11"));
    assert!(spool_is_empty(&house));

    envelope(&mut client, "MAIL FROM:<>", &to).await;
    let command = format!("BDAT {}\r\n", large.len());
    client.write(command.as_bytes()).await;
    client.write(&large).await;
    assert!(client.reply().await.starts_with("250"));
    assert!(!spool_is_empty(&house));
    assert!(client.smtp("RSET").await.starts_with("250"));
    assert!(client.smtp("NOOP").await.starts_with("250"));
    assert!(spool_is_empty(&house));

    let mut imap = house.imap(ADA).await;
    let unfit = String::from_utf8(large).unwrap() + "\0";
    let tagged = imap.append("INBOX", &unfit).await;
    assert!(
        tagged.starts_with("NO") || tagged.starts_with("BAD"),
        "{tagged}"
    );
    assert!(spool_is_empty(&house));
    house.stop().await;
}

#[actix_rt::test]
async fn what_others_wrote_for_themselves_goes_at_final_delivery() {
    let house = House::new().await;
    let text = "Return-Path: <forged@remote.example>\r\nBcc: eve@remote.example,\r\n\tmallory@remote.example\r\n\
        Subject: x\r\nreturn-path: <again@remote.example>\r\nresent-bcc: y@remote.example\r\n\r\nBcc: body\r\n";
    let mut outside = house.smtp().await;
    assert!(outside.send(ADA, text).await.starts_with("250"));
    let mut client = submission(&house).await;
    envelope(
        &mut client,
        "MAIL FROM:<ada@example.test>",
        &["<bob@example.test>"],
    )
    .await;
    client.smtp("DATA").await;
    client.write(text.as_bytes()).await;
    assert!(client.smtp(".").await.starts_with("250"));

    let of = |message: &[String], name: &str| {
        let name = name.to_lowercase();
        message
            .iter()
            .filter(|line| line.to_lowercase().starts_with(&name))
            .count()
    };
    let found = messages(&house, ADA).await;
    assert!(has(&found[0], "Return-Path: <eve@remote.example>"));
    assert_eq!(of(&found[0], "return-path:"), 1);
    // A message of others is theirs, and so are its signatures.
    assert_eq!(
        (of(&found[0], "bcc:"), of(&found[0], "resent-bcc:")),
        (2, 1)
    );
    let found = messages(&house, BOB).await;
    assert!(has(&found[0], "Return-Path: <ada@example.test>"));
    assert_eq!(of(&found[0], "return-path:"), 1);
    assert_eq!(
        (of(&found[0], "bcc:"), of(&found[0], "resent-bcc:")),
        (1, 0)
    );
    assert!(!found[0].iter().any(|line| line.contains("mallory")));
    assert!(has(&found[0], "Subject: x") && has(&found[0], "Bcc: body"));
    house.stop().await;
}

#[actix_rt::test]
async fn a_binary_message_is_handed_out_by_every_protocol() {
    let house = House::new().await;
    let mut client = house.smtp().await;
    let content = b"MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r.\r\n";
    let binary = "MAIL FROM:<eve@remote.example> BODY=BINARYMIME";
    envelope(&mut client, binary, &["<ada@example.test>"]).await;
    assert!(client.smtp("DATA").await.starts_with("503"));
    // A pair of CR and LF may be cut anywhere: here both halves are octets like others.
    let (one, two) = content.split_at(content.len() - 1);
    for (part, last) in [(one, ""), (two, " LAST")] {
        client
            .write(format!("BDAT {}{last}\r\n", part.len()).as_bytes())
            .await;
        client.write(part).await;
        let reply = client.reply().await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    let found = messages(&house, ADA).await;
    assert!(has(&found[0], "Content-Transfer-Encoding: base64"));
    assert!(has(&found[0], "AAoNLg0K"), "{found:?}");

    // Binary where no header says so.
    envelope(&mut client, binary, &["<ada@example.test>"]).await;
    client.write(b"BDAT 16 LAST\r\nSubject: x\r\n\r\na\0").await;
    let reply = client.reply().await;
    assert_eq!(reply, "554 5.6.3 binary content that no MIME header names");
    // And where nobody said BINARYMIME.
    envelope(
        &mut client,
        "MAIL FROM:<> BODY=8BITMIME",
        &["<ada@example.test>"],
    )
    .await;
    client.write(b"BDAT 16 LAST\r\nSubject: x\r\n\r\na\n").await;
    assert!(client.reply().await.starts_with("550 5.6.11"));
    assert_eq!(messages(&house, ADA).await.len(), 1);
    house.stop().await;
}

#[actix_rt::test]
async fn who_asks_for_a_report_of_success_gets_it() {
    let house = House::new().await;
    let admin = house.admin();
    for to in [ADA, BOB] {
        admin.add_alias("all@example.test", to).await.unwrap();
    }
    let mut client = submission(&house).await;
    let recipients = [
        "<bob@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@example.test",
        "<all@example.test> NOTIFY=SUCCESS",
        "<ada+quiet@example.test> NOTIFY=NEVER",
    ];
    let mail = "MAIL FROM:<ada@example.test> RET=HDRS ENVID=QQ+2B1";
    envelope(&mut client, mail, &recipients).await;
    client.smtp("DATA").await;
    client.write(b"Subject: please\r\n\r\nsecret\r\n").await;
    assert!(client.smtp(".").await.starts_with("250"));
    assert_eq!(messages(&house, BOB).await.len(), 1);
    let found = messages(&house, ADA).await;
    assert_eq!(found.len(), 2, "the message, and the report");
    let report = found
        .iter()
        .find(|it| has(it, "Subject: Delivered"))
        .expect("a report");
    for line in [
        "Return-Path: <>",
        "Auto-Submitted: auto-replied",
        "Original-Envelope-Id: QQ+1",
        "Original-Recipient: rfc822;Bob+x@example.test",
        "Final-Recipient: rfc822; bob@example.test",
        "Action: delivered",
        "Final-Recipient: rfc822; all@example.test",
        "Action: expanded",
        "Subject: please",
    ] {
        assert!(has(report, line), "{line} in {report:?}");
    }
    assert!(!has(report, "secret") && !report.iter().any(|line| line.contains("quiet")));
    house.stop().await;
}

/// A report is an answer to who has logged in, and to nobody else: no forged sender gets one, no report is reported, and none goes round.
#[actix_rt::test]
async fn attack_28_reports_go_to_nobody_who_did_not_ask() {
    let house = House::new().await;
    for client in [&mut house.smtp().await, &mut lmtp(&house).await] {
        let reply = client.smtp("MAIL FROM:<bob@example.test> RET=FULL").await;
        assert!(reply.starts_with("555"), "{reply}");
        envelope(client, "MAIL FROM:<bob@example.test>", &[]).await;
        let reply = client
            .smtp("RCPT TO:<ada@example.test> NOTIFY=SUCCESS")
            .await;
        assert!(reply.starts_with("555"), "{reply}");
    }
    let mut client = submission(&house).await;
    let asked = ["<bob@example.test> NOTIFY=SUCCESS"];
    for mail in ["MAIL FROM:<>", "MAIL FROM:<bob@example.test>"] {
        let reply = client.smtp(mail).await;
        if reply.starts_with("250") {
            client.smtp(&format!("RCPT TO:{}", asked[0])).await;
            client.smtp("DATA").await;
            client.write(b"Subject: x\r\n\r\n").await;
            assert!(client.smtp(".").await.starts_with("250"));
        }
    }
    assert_eq!(messages(&house, ADA).await.len(), 0);
    let of_bob = messages(&house, BOB).await;
    assert!(!of_bob.iter().any(|it| has(it, "Subject: Delivered")));

    // A sender without room gets its message out, and no report.
    house
        .admin()
        .set_quota(ADA, Some(1))
        .await
        .expect("a quota");
    envelope(&mut client, "MAIL FROM:<ada@example.test>", &asked).await;
    client.smtp("DATA").await;
    client.write(b"Subject: full\r\n\r\n").await;
    assert!(client.smtp(".").await.starts_with("250"));
    assert_eq!(messages(&house, ADA).await.len(), 0);
    let of_bob = messages(&house, BOB).await;
    assert!(of_bob.iter().any(|it| has(it, "Subject: full")));
    house.stop().await;
}

/// Many recipients at once, and their answers in the order of RCPT.
#[actix_rt::test]
async fn lmtp_answers_come_in_order_however_the_deliveries_end() {
    let house = House::new().await;
    let mut recipients = Vec::new();
    for number in 0..30 {
        let email = format!("user{number}@example.test");
        house
            .add(&email, Some(if number % 3 == 0 { 700 } else { 100_000 }))
            .await;
        recipients.push(format!("<{email}>"));
    }
    // Twice the same, and one whose account another one has.
    recipients.push("<user1@example.test>".to_owned());
    recipients.push("<user3+x@example.test>".to_owned());
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut client = lmtp(&house).await;
    envelope(&mut client, "MAIL FROM:<>", &recipients).await;
    client.smtp("DATA").await;
    let text = format!("Subject: x\r\n\r\n{}", "line\r\n".repeat(200));
    client.write(text.as_bytes()).await;
    client.write(b".\r\n").await;
    for number in 0..30 {
        let reply = client.reply().await;
        let code = if number % 3 == 0 { "452" } else { "250" };
        assert!(reply.starts_with(code), "{number} {reply}");
    }
    assert!(client.reply().await.starts_with("250"));
    assert!(client.reply().await.starts_with("452"));
    for (email, count) in [("user1@example.test", 1), ("user3@example.test", 0)] {
        assert_eq!(messages(&house, email).await.len(), count, "{email}");
    }
    house.stop().await;
}

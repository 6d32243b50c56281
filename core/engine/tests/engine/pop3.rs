//! What POP3 retrieves, and how long it stays then (RFC 1939, RFC 2449 section 6.7).

use postrider::config::Service;
use postrider_storage::index::{AccountId, Retention, Timestamp};

use super::client::Client;
use super::house::{ADA, BOB, House, PASSWORD, until};

const WEEK: Retention = Retention::Days(7);
const DAY: i64 = 86_400_000_000;

async fn say(client: &mut Client, command: &str) -> String {
    client.write(format!("{command}\r\n").as_bytes()).await;
    client.line().await
}

async fn pop3(house: &House, email: &str) -> Client {
    let mut client = house.connect(Service::Pop3).await;
    say(&mut client, &format!("USER {email}")).await;
    let opened = say(&mut client, &format!("PASS {PASSWORD}")).await;
    assert!(opened.starts_with("+OK"), "{opened}");
    client
}

/// A response of several lines, without its first and last.
async fn lines(client: &mut Client, command: &str) -> Vec<String> {
    let said = say(client, command).await;
    assert!(said.starts_with("+OK"), "{said}");
    let mut lines = Vec::new();
    loop {
        match client.line().await {
            dot if dot == "." => return lines,
            line => lines.push(line),
        }
    }
}

/// UIDs that would go so many days from now.
async fn overdue(house: &House, days: i64) -> Vec<u32> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_micros()).unwrap() + days * DAY;
    let index = house.running.index();
    let found = index
        .read(|index| index.overdue(WEEK, AccountId(0), Timestamp(now), 100))
        .await;
    found.unwrap().iter().map(|it| it.uid.0).collect()
}

#[actix_rt::test]
async fn what_was_retrieved_whole_goes_after_its_time() {
    let house = House::new().await;
    for subject in ["one", "two", "three", "four"] {
        house.deliver(ADA, subject).await;
    }
    let mut client = pop3(&house, ADA).await;
    let capabilities = lines(&mut client, "CAPA").await;
    assert!(
        capabilities.contains(&"EXPIRE 7".to_owned()),
        "{capabilities:?}"
    );
    lines(&mut client, "RETR 1").await;
    lines(&mut client, "TOP 2 0").await;
    lines(&mut client, "RETR 3").await;
    // Sent, and perhaps not received: it stays.
    lines(&mut client, "RETR 4").await;
    drop(client);
    // As long as the session lasts nothing is noted.
    let first = until("noted", async || match overdue(&house, 8).await {
        none if none.is_empty() => None,
        some => Some(some),
    });
    assert_eq!(first.await, [1, 3]);
    assert_eq!(overdue(&house, 6).await, [0_u32; 0]);

    let admin = house.admin();
    admin
        .set_retention(ADA, Some(Retention::Never))
        .await
        .unwrap();
    assert_eq!(overdue(&house, 800).await, [0_u32; 0]);
    let mut client = pop3(&house, ADA).await;
    let capabilities = lines(&mut client, "CAPA").await;
    assert!(capabilities.contains(&"EXPIRE NEVER".to_owned()));
    lines(&mut client, "RETR 4").await;
    assert_eq!(say(&mut client, "QUIT").await, "+OK bye");
    admin
        .set_retention(ADA, Some(Retention::Days(2)))
        .await
        .unwrap();
    assert_eq!(overdue(&house, 1).await, [0_u32; 0]);
    assert_eq!(overdue(&house, 3).await, [1, 3, 4]);
    house.stop().await;
}

/// What LIST and STAT say is what RETR sends, stuffing aside.
#[actix_rt::test]
async fn sizes_are_what_retr_sends() {
    let house = House::new().await;
    let mut smtp = house.smtp().await;
    for text in [
        "Subject: dots\r\n\r\n..\r\n...x\r\n",
        "Subject: none\r\n\r\n",
        "no header\r\n",
    ] {
        assert!(smtp.send(BOB, text).await.starts_with("250"));
    }
    for chunk in ["Subject: cut\r\n\r\nno end", "", "x"] {
        smtp.smtp("MAIL FROM:<>").await;
        smtp.smtp(&format!("RCPT TO:<{BOB}>")).await;
        smtp.write(format!("BDAT {} LAST\r\n{chunk}", chunk.len()).as_bytes())
            .await;
        assert!(smtp.reply().await.starts_with("250"));
    }
    let mut imap = house.imap(BOB).await;
    let appended = imap
        .append("INBOX", "Subject: appended\r\n\r\nno end")
        .await;
    assert!(appended.starts_with("OK"), "{appended}");

    let mut client = pop3(&house, BOB).await;
    let stat = say(&mut client, "STAT").await;
    let listed = lines(&mut client, "LIST").await;
    let mut total = 0;
    for line in &listed {
        let (number, octets) = line.split_once(' ').unwrap();
        let octets: usize = octets.parse().unwrap();
        let sent = lines(&mut client, &format!("RETR {number}")).await;
        let unstuffed = |line: &String| line.strip_prefix('.').unwrap_or(line).len() + 2;
        assert_eq!(
            sent.iter().map(unstuffed).sum::<usize>(),
            octets,
            "{sent:?}"
        );
        total += octets;
    }
    assert_eq!(stat, format!("+OK {} {total}", listed.len()));
    house.stop().await;
}

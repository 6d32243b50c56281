//! A summary that cannot be read costs its own message a look at the body, and the others nothing.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use super::client::{Answer, Client};
use super::house::{ADA, House};

/// What becomes of the stored octets of a summary, as SQL.
const DAMAGE: &[&str] = &[
    "UPDATE summary SET octets = x'' WHERE blob_id IN",
    "UPDATE summary SET octets = substr(octets, 1, 1) WHERE blob_id IN",
    "UPDATE summary SET octets = substr(octets, 1, 40) WHERE blob_id IN",
    "UPDATE summary SET octets = substr(octets, 1, length(octets) / 2) WHERE blob_id IN",
    "UPDATE summary SET octets = substr(octets, 1, length(octets) - 1) WHERE blob_id IN",
    "UPDATE summary SET octets = CAST(octets || x'00' AS BLOB) WHERE blob_id IN",
    "UPDATE summary SET octets = CAST(x'ff' || substr(octets, 2) AS BLOB) WHERE blob_id IN",
    "UPDATE summary SET octets = zeroblob(length(octets)) WHERE blob_id IN",
    "UPDATE summary SET octets = randomblob(length(octets)) WHERE blob_id IN",
    "UPDATE summary SET octets = CAST(x'01' || randomblob(300) AS BLOB) WHERE blob_id IN",
    // Other words that are words all the same: `letter` is `better`, `example` is `exemple`.
    "UPDATE summary SET octets = CAST(replace(octets, x'6c6574746572', x'626574746572') AS BLOB) WHERE blob_id IN",
    "UPDATE summary SET octets = CAST(replace(octets, x'6578616d706c65', x'6578656d706c65') AS BLOB) WHERE blob_id IN",
];

/// Each second message is one whose summary will be damaged.
fn messages() -> usize {
    2 * DAMAGE.len() + 1
}

fn letter(number: usize) -> String {
    format!(
        "From: Ada {number} <ada{number}@example.net>\r\nTo: bob@example.test\r\nSubject: letter {number}\r\nX-Odd: odd{number}\r\n\
         Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <{number}@example.net>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ninside{number} text\r\n--b\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>{number}=20\r\n--b--\r\n"
    )
}

/// Questions whose answers come from summaries, or from summaries and bodies.
const QUESTIONS: &[&str] = &[
    "FETCH 1:* (UID ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE)",
    "FETCH 1:* ENVELOPE",
    "FETCH 1:* BODYSTRUCTURE",
    "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)] BODY.PEEK[HEADER.FIELDS.NOT (To)])",
    "FETCH 1:* (BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[TEXT]<3.9> BINARY.PEEK[2] BINARY.SIZE[2])",
    "FETCH 1:* BODY.PEEK[]",
    "SEARCH SUBJECT \"letter 2\"",
    "SEARCH FROM ada4@ NOT SUBJECT 5",
    "SEARCH HEADER X-Odd odd1",
    "SEARCH BODY inside12",
    "SEARCH TEXT \"text\" SENTON 21-Nov-1997",
    "UID SEARCH RETURN (MIN MAX COUNT) HEADER Message-ID example.net",
];

async fn ask(imap: &mut Client, question: &str) -> Vec<String> {
    let answer = imap.imap(question).await;
    assert!(answer.is_ok(), "{question}: {}", answer.tagged);
    answer.untagged
}

async fn selected(house: &House) -> Client {
    let mut imap = house.imap(ADA).await;
    assert!(imap.imap("SELECT INBOX").await.is_ok());
    imap
}

/// A house with letters.
async fn house() -> House {
    let house = House::new().await;
    let mut imap = house.imap(ADA).await;
    for number in 1..=messages() {
        let tagged = imap.append("INBOX", &letter(number)).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
    }
    house
}

/// Changes the database as only an accident does.
fn execute(house: &House, statements: &str) {
    let path = house.config.data_dir.join("postrider.db");
    let path = path.to_str().expect("a temporary folder has a plain name");
    let mut index = SqliteConnection::establish(path).expect("the index of this house");
    let patience = "PRAGMA busy_timeout = 20000;";
    index.batch_execute(patience).expect("a setting");
    index.batch_execute(statements).expect("it is changed");
}

fn of_message(uid: usize) -> String {
    format!("(SELECT blob_id FROM message WHERE uid = {uid})")
}

#[actix_rt::test]
async fn attack_44_a_damaged_summary_is_made_anew_from_the_body() {
    let house = house().await;
    let mut imap = selected(&house).await;
    let mut good = Vec::new();
    for question in QUESTIONS {
        good.push(ask(&mut imap, question).await);
    }
    assert!(good[6] == ["* SEARCH 2 20 21 22 23 24 25"], "{:?}", good[6]);

    let statement =
        |(nth, damage): (usize, &&str)| format!("{damage} {};", of_message(2 * nth + 2));
    let statements: Vec<String> = DAMAGE.iter().enumerate().map(statement).collect();
    execute(&house, &statements.concat());
    // Nobody remembers what the summaries were.
    let house = house.restart().await;
    let mut imap = selected(&house).await;
    for (question, good) in QUESTIONS.iter().zip(&good) {
        let now = ask(&mut imap, question).await;
        assert_eq!(&now, good, "{question}");
    }
    // What is copied is none the worse for it.
    assert!(imap.imap("CREATE Copies").await.is_ok());
    assert!(imap.imap("COPY 1:* Copies").await.is_ok());
    assert!(imap.imap("SELECT Copies").await.is_ok());
    assert_eq!(ask(&mut imap, QUESTIONS[1]).await, good[1]);
    house.stop().await;
}

/// Files of the store that hold these octets.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if let Ok(octets) = std::fs::read(&path)
            && octets.windows(text.len()).any(|it| it == text.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[actix_rt::test]
async fn attack_44_where_summary_and_body_are_lost_the_others_are_told_and_the_answer_is_no() {
    let house = house().await;
    for uid in [2, 5] {
        execute(&house, &format!("{} {};", DAMAGE[2], of_message(uid)));
    }
    let bodies = files_with(&house.config.data_dir.join("mail"), "Subject: letter 5\r\n");
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    std::fs::remove_file(&bodies[0]).expect("a body goes");
    let house = house.restart().await;
    let mut imap = selected(&house).await;

    let Answer { untagged, tagged } = imap.imap("FETCH 1:* ENVELOPE").await;
    assert!(tagged.starts_with("NO ["), "{tagged}");
    assert_eq!(untagged.len(), messages() - 1, "{untagged:?}");
    assert!(
        untagged[1].starts_with("* 2 FETCH ") && untagged[1].contains("letter 2"),
        "{untagged:?}"
    );
    assert!(
        !untagged.iter().any(|line| line.starts_with("* 5 ")),
        "{untagged:?}"
    );
    let one = imap.imap("FETCH 5 (FLAGS BODYSTRUCTURE)").await;
    assert!(
        one.tagged.starts_with("NO [") && one.untagged.is_empty(),
        "{one:?}"
    );
    // What nobody needs the summary for is as ever.
    assert_eq!(
        ask(&mut imap, "FETCH 5 (UID FLAGS)").await,
        ["* 5 FETCH (UID 5 FLAGS (\\Recent))"]
    );
    assert_eq!(
        ask(&mut imap, "SEARCH HEADER X-Odd odd6").await,
        ["* SEARCH 6"]
    );
    assert_eq!(
        ask(&mut imap, "SEARCH SUBJECT \"letter 5\"").await,
        ["* SEARCH"]
    );
    assert_eq!(
        ask(&mut imap, "SEARCH BODY inside2").await,
        ["* SEARCH 2 20 21 22 23 24 25"]
    );
    // It can be marked and goes like any other.
    assert!(imap.imap("STORE 5 +FLAGS (\\Deleted)").await.is_ok());
    let gone = imap.imap("EXPUNGE").await;
    assert_eq!(gone.untagged, ["* 5 EXPUNGE"]);
    assert!(imap.imap("FETCH 1:* ENVELOPE").await.is_ok());
    house.stop().await;
}

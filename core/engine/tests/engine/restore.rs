//! Attack 43: what a client keeps by UIDVALIDITY and UID is never another message, whatever became of the mailbox or of the database.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use postrider::engine::Parts;

use super::client::Client;
use super::house::{ADA, House, message};

/// What a client keeps: by name, UIDVALIDITY and UID, the message's subject.
#[derive(Default)]
struct Kept(BTreeMap<(String, u32, u32), String>);

impl Kept {
    /// Appends a message and keeps what the server says of it (RFC 4315 section 3).
    async fn append(&mut self, imap: &mut Client, mailbox: &str, subject: &str) {
        let tagged = imap.append(mailbox, &message(subject)).await;
        let code = tagged.split_once("[APPENDUID ").expect("a UID").1;
        let mut numbers = code.split([' ', ']']).map(|it| it.parse().unwrap_or(0));
        let (validity, uid) = (numbers.next().unwrap(), numbers.next().unwrap());
        let name = mailbox.to_owned();
        let before = self.0.insert((name, validity, uid), subject.to_owned());
        assert_eq!(before, None, "{mailbox} {validity} {uid} is {subject} now");
    }

    /// All that is there is what was kept.
    async fn check(&self, imap: &mut Client, mailbox: &str) {
        let selected = imap.imap(&format!("EXAMINE {mailbox}")).await;
        let said = selected.untagged.join("\n");
        let validity = said.split_once("[UIDVALIDITY ").expect("a UIDVALIDITY").1;
        let validity: u32 = validity.split(']').next().unwrap().parse().unwrap();
        let fetched = imap
            .imap("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            .await;
        let mut uid = 0;
        for line in &fetched.untagged {
            if let Some((_, rest)) = line.split_once("UID ") {
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
                uid = digits.unwrap().parse().unwrap();
            } else if let Some(subject) = line.strip_prefix("Subject: ") {
                let kept = self.0.get(&(mailbox.to_owned(), validity, uid));
                if let Some(kept) = kept {
                    assert_eq!(kept, subject, "{mailbox} {validity} {uid}");
                }
            }
        }
    }
}

#[actix_rt::test]
async fn attack_43_a_name_that_comes_again_is_another_mailbox() {
    let house = House::new().await;
    let mut kept = Kept::default();
    let mut imap = house.imap(ADA).await;
    for round in 0..4 {
        assert!(imap.imap("CREATE Again").await.is_ok());
        for number in 0..3 {
            let subject = format!("{round}.{number}");
            kept.append(&mut imap, "Again", &subject).await;
            kept.append(&mut imap, "INBOX", &subject).await;
        }
        kept.check(&mut imap, "Again").await;
        match round % 3 {
            0 => assert!(imap.imap("DELETE Again").await.is_ok()),
            1 => {
                let to = format!("RENAME Again Old{round}");
                assert!(imap.imap(&to).await.is_ok());
            }
            // What was INBOX goes elsewhere; INBOX stays what it was, and empty.
            _ => {
                assert!(imap.imap("RENAME INBOX Elsewhere").await.is_ok());
                assert!(imap.imap("DELETE Again").await.is_ok());
            }
        }
        imap.imap("UNSELECT").await;
    }
    kept.check(&mut imap, "INBOX").await;
    house.stop().await;
}

/// The operator stops the server, puts last night's database back and starts the server. The store is today's.
#[actix_rt::test]
async fn attack_43_a_database_of_last_night_is_noticed() {
    let mut house = House::new().await;
    let mut kept = Kept::default();
    let mut imap = house.imap(ADA).await;
    kept.append(&mut imap, "INBOX", "old").await;
    kept.append(&mut imap, "Sent", "old").await;
    drop(imap);
    for round in 0..2 {
        house = house.restart_after(back_up).await;
        let mut imap = house.imap(ADA).await;
        kept.check(&mut imap, "INBOX").await;
        for number in 0..3 {
            let subject = format!("lost{round}.{number}");
            kept.append(&mut imap, "INBOX", &subject).await;
            kept.append(&mut imap, "Sent", &subject).await;
        }
        drop(imap);
        house = house.restart_after(bring_back).await;
        let mut imap = house.imap(ADA).await;
        kept.check(&mut imap, "INBOX").await;
        for number in 0..3 {
            let subject = format!("new{round}.{number}");
            kept.append(&mut imap, "INBOX", &subject).await;
            kept.append(&mut imap, "Sent", &subject).await;
        }
        assert!(house.subjects(ADA).await.contains(&"old".to_owned()));
    }
    house.stop().await;
}

/// A restart is no restored backup: clients keep what they have.
#[actix_rt::test]
async fn attack_43_a_restart_keeps_what_clients_have() {
    let mut house = House::with(|_| {}, Parts::default()).await;
    let mut kept = Kept::default();
    for round in 0..3 {
        let mut imap = house.imap(ADA).await;
        kept.append(&mut imap, "INBOX", &format!("{round}")).await;
        let validities: std::collections::BTreeSet<_> = kept.0.keys().map(|it| it.1).collect();
        assert_eq!(validities.len(), 1, "{:?}", kept.0);
        kept.check(&mut imap, "INBOX").await;
        drop(imap);
        house = house.restart().await;
    }
    house.stop().await;
}

/// All files of a database whose server has stopped.
fn copy(from: &Path, to: &Path) {
    for end in ["", "-wal"] {
        let (from, to) = (ended(from, end), ended(to, end));
        let _ = fs::remove_file(&to);
        if from.exists() {
            fs::copy(from, to).unwrap();
        }
    }
}

fn ended(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn back_up(data: &Path) {
    copy(&data.join("postrider.db"), &data.join("last-night.db"));
}

fn bring_back(data: &Path) {
    let _ = fs::remove_file(data.join("postrider.db-shm"));
    copy(&data.join("last-night.db"), &data.join("postrider.db"));
}

//! Attack 38: what is another's and what is not there are the same to every command, and no number leads to it (I6).

use postrider::config::Service;

use super::client::{Answer, Client};
use super::house::{ADA, BOB, House, PASSWORD, message};

/// In a message and in the name of a mailbox of Ada's.
const SECRET: &str = "xyzzy";
/// As long, and nowhere.
const NOTHING: &str = "plugh";

/// Every command that takes the name of a mailbox, with `%` in its place.
const COMMANDS: [&str; 26] = [
    "SELECT %",
    "EXAMINE %",
    "DELETE %",
    "RENAME % stolen",
    "RENAME % INBOX/%",
    "STATUS % (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE)",
    "LIST \"\" %",
    "LIST \"\" %/*",
    "LIST % *",
    "LSUB \"\" %",
    "LIST (SUBSCRIBED) \"\" % RETURN (CHILDREN)",
    "LIST \"\" (% *) RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDVALIDITY))",
    "LIST (RECURSIVEMATCH SUBSCRIBED) \"\" *",
    "SUBSCRIBE %",
    "LSUB \"\" *",
    "UNSUBSCRIBE %",
    "GETQUOTAROOT %",
    "GETQUOTA %",
    "COPY 1 %",
    "UID COPY 1 %",
    "MOVE 1 %",
    "UID MOVE 1 %",
    "UID SEARCH RETURN (MIN MAX ALL COUNT) TEXT %",
    "UID SEARCH TEXT % UID 1:*",
    "SEARCH SUBJECT %",
    "CREATE %",
];

/// All that a session of Bob's hears when it tries everything with a name.
async fn tries(house: &House, name: &str) -> Vec<(String, Answer)> {
    let mut heard = Vec::new();
    let mut bob = house.imap(BOB).await;
    assert!(bob.imap("SELECT INBOX").await.is_ok());
    for command in COMMANDS {
        let said = bob.imap(&command.replace('%', name)).await;
        heard.push((command.to_owned(), said));
        // Whatever it was, the mailbox is open again.
        assert!(bob.imap("SELECT INBOX").await.is_ok());
    }
    let tagged = bob.append(name, &message("x")).await;
    let untagged = Vec::new();
    heard.push(("APPEND %".to_owned(), Answer { untagged, tagged }));
    // As it was.
    bob.imap("SELECT INBOX").await;
    for undo in [format!("DELETE {name}"), format!("UNSUBSCRIBE {name}")] {
        bob.imap(&undo).await;
    }
    heard
}

fn with(text: &str, name: &str) -> String {
    // The mailbox that CREATE made has an identity of its own.
    let digits = |c: char| if c.is_ascii_digit() { '#' } else { c };
    text.replace(name, "%").chars().map(digits).collect()
}

#[actix_rt::test]
async fn attack_38_not_yours_and_not_there_are_the_same_over_imap() {
    let house = House::new().await;
    let mut ada = house.imap(ADA).await;
    assert!(ada.imap(&format!("CREATE {SECRET}")).await.is_ok());
    assert!(ada.imap(&format!("SUBSCRIBE {SECRET}")).await.is_ok());
    for _ in 0..3 {
        let tagged = ada.append(SECRET, &message(SECRET)).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
        assert!(house.deliver(ADA, SECRET).await.starts_with("250"));
    }
    assert!(house.deliver(BOB, "mine").await.starts_with("250"));

    let of_nothing = tries(&house, NOTHING).await;
    let of_adas = tries(&house, SECRET).await;
    assert_eq!(of_nothing.len(), COMMANDS.len() + 1);
    for ((command, nothing), (_, adas)) in of_nothing.iter().zip(&of_adas) {
        assert_eq!(
            with(&adas.tagged, SECRET),
            with(&nothing.tagged, NOTHING),
            "{command}"
        );
        let all = |answer: &Answer, name: &str| with(&answer.untagged.join("\n"), name);
        assert_eq!(all(adas, SECRET), all(nothing, NOTHING), "{command}");
        assert!(!adas.tagged.starts_with("closed"), "{command}: {adas:?}");
    }

    // Nothing of Ada's went, came, or was changed.
    let status = ada
        .imap(&format!("STATUS {SECRET} (MESSAGES UNSEEN)"))
        .await;
    let status = status.untagged.join("");
    assert!(status.contains("MESSAGES 3 UNSEEN 3"), "{status}");
    assert_eq!(house.subjects(ADA).await, [SECRET; 3]);
    house.stop().await;
}

/// Numbers that are somebody's are nobody else's: UIDs, sequence numbers, and numbers of POP3 beyond one's own.
#[actix_rt::test]
async fn attack_38_no_number_leads_to_another_account() {
    let house = House::new().await;
    for _ in 0..20 {
        assert!(house.deliver(ADA, SECRET).await.starts_with("250"));
    }
    assert!(house.deliver(BOB, "mine").await.starts_with("250"));
    // Ada's mailbox is open, so that its actor lives beside Bob's.
    let mut ada = house.imap(ADA).await;
    ada.imap("SELECT INBOX").await;

    let mut bob = house.imap(BOB).await;
    bob.imap("SELECT INBOX").await;
    for command in [
        "UID FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])",
        "UID FETCH 2:1000 (BODY[] BODY.PEEK[HEADER])",
        "UID FETCH 7 (BODY[])",
        "UID STORE 2:1000 +FLAGS (\\Deleted)",
        "UID EXPUNGE 2:1000",
        "UID COPY 2:1000 Sent",
        "UID MOVE 2:1000 Sent",
        "UID SEARCH RETURN (MIN MAX ALL COUNT) 1:*",
        "UID SEARCH RETURN (SAVE) TEXT xyzzy",
        "UID FETCH $ (BODY[])",
        "SEARCH TEXT xyzzy",
    ] {
        let answer = bob.imap(command).await;
        let heard = answer.untagged.join("\n");
        assert!(!heard.contains(SECRET), "{command}: {heard}");
        assert!(answer.is_ok(), "{command}: {answer:?}");
        // `(TAG "t3") UID MIN 1 MAX 1 ALL 1 COUNT 1`, and nothing above.
        for number in heard.split(|c: char| !c.is_ascii_digit()).skip(1) {
            let beyond = command.starts_with("UID SEARCH") && number.parse().unwrap_or(0) > 1;
            let tag = heard.contains(&format!("\"t{number}\""));
            assert!(!beyond || tag, "{command}: {heard}");
        }
    }
    for command in ["FETCH 2 (BODY[])", "STORE 2 +FLAGS (\\Deleted)"] {
        let answer = bob.imap(command).await;
        assert!(!answer.untagged.join("").contains(SECRET), "{answer:?}");
    }
    let sent = bob.imap("STATUS Sent (MESSAGES)").await;
    assert!(sent.untagged.join("").contains("MESSAGES 0"), "{sent:?}");

    let mut pop3 = house.connect(Service::Pop3).await;
    pop3.smtp(&format!("USER {BOB}")).await;
    pop3.smtp(&format!("PASS {PASSWORD}")).await;
    // No more than may be wrong on one connection.
    for number in ["2", "20", "4294967295"] {
        for verb in ["RETR", "LIST", "UIDL", "DELE"] {
            let said = pop3.smtp(&format!("{verb} {number}")).await;
            assert!(said.starts_with("-ERR"), "{verb} {number}: {said}");
        }
        let said = pop3.smtp(&format!("TOP {number} 10")).await;
        assert!(said.starts_with("-ERR"), "TOP {number}: {said}");
    }
    assert!(pop3.smtp("QUIT").await.starts_with("+OK"));
    let found = ada.imap("UID SEARCH ALL").await;
    let count = found.untagged.join(" ").split_whitespace().count();
    assert_eq!(count, 2 + 20, "{found:?}");
    assert_eq!(house.subjects(BOB).await, ["mine"]);
    house.stop().await;
}

/// A message that came to two is two: neither sees what the other does with it.
#[actix_rt::test]
async fn attack_38_the_same_message_of_two_accounts_is_two() {
    let house = House::new().await;
    let admin = house.admin();
    for to in [ADA, BOB] {
        admin.add_alias("both@example.test", to).await.unwrap();
    }
    let reply = house.deliver("both@example.test", "shared").await;
    assert!(reply.starts_with("250"), "{reply}");
    let mut bob = house.imap(BOB).await;
    bob.imap("SELECT INBOX").await;
    bob.imap("STORE 1 +FLAGS (\\Flagged \\Deleted bobs)").await;
    let mut ada = house.imap(ADA).await;
    let flags = async |ada: &mut Client| {
        let selected = ada.imap("EXAMINE INBOX").await;
        let fetched = ada.imap("FETCH 1 (FLAGS)").await;
        [selected.untagged, fetched.untagged].concat().join("\n")
    };
    let seen = flags(&mut ada).await;
    assert!(
        seen.contains("FETCH (") && !seen.contains("bobs") && !seen.contains("FLAGS (\\Flagged"),
        "{seen}"
    );
    assert!(bob.imap("EXPUNGE").await.is_ok());
    drop(bob);
    admin.remove_user(BOB).await.unwrap();
    assert_eq!(house.subjects(ADA).await, ["shared"]);
    let body = ada.imap("FETCH 1 (BODY.PEEK[])").await;
    let body = body.untagged.join("\n");
    assert!(body.contains("Hello.") && !body.contains("bob@"), "{body}");
    house.stop().await;
}

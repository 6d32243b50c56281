//! `postrider user`, but for its import.

use postrider_storage::index::{Change, Index, SetPassword, SqliteIndex, Timestamp};
use serde_json::json;

use super::house::House;

#[test]
fn users() {
    let house = House::with_domain();
    let added = house
        .postrider_with(
            &["user", "add", "Ada@example.com", "--quota", "2GiB"],
            "correct horse\n",
        )
        .good();
    assert_eq!(added, "added user ada@example.com with a quota of 2 GiB\n");
    assert_eq!(
        house
            .postrider_with(&["user", "add", "ada@example.com"], "x\n")
            .failed(),
        "postrider: user ada@example.com exists already; to change its password: postrider user passwd ada@example.com\n"
    );
    assert_eq!(
        house
            .postrider_with(&["user", "add", "ada@nowhere.example"], "x\n")
            .failed(),
        "postrider: domain nowhere.example does not exist; add it with: postrider domain add nowhere.example\n"
    );
    for (input, message) in [
        ("", "postrider: the password is empty\n"),
        ("\n", "postrider: the password is empty\n"),
        (
            "a\0b\n",
            "postrider: the password holds a NUL, and bcrypt would ignore what follows it\n",
        ),
        (
            &"x".repeat(73),
            "postrider: the password is longer than 72 octets, and bcrypt would ignore the rest\n",
        ),
    ] {
        assert_eq!(
            house
                .postrider_with(&["user", "add", "bob@example.com"], input)
                .failed(),
            message
        );
    }
    let bob = house
        .postrider_with(
            &[
                "user",
                "add",
                "bob@example.com",
                "--quota",
                "unlimited",
                "--json",
            ],
            "pw",
        )
        .json();
    assert_eq!(
        (&bob["email"], &bob["quota"], &bob["active"]),
        (&json!("bob@example.com"), &json!(null), &json!(true))
    );
    assert!(!bob.to_string().contains("$2"), "no hash is shown");
    let list = house.postrider(&["user", "list", "example.com"]).good();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(
        lines[0],
        "USER             USED      QUOTA  STATE   LAST LOGIN"
    );
    assert_eq!(lines[1], "ada@example.com   0 B      2 GiB  active  never");
    assert_eq!(lines[2], "bob@example.com   0 B  unlimited  active  never");
    assert_eq!(
        house
            .postrider(&["--json", "user", "list"])
            .json()
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert!(
        house
            .postrider(&["user", "list", "nowhere.example"])
            .failed()
            .contains("does not exist")
    );
    assert_eq!(
        house
            .postrider(&["user", "quota", "bob@example.com", "5GiB"])
            .good(),
        "quota of bob@example.com is now 5 GiB\n"
    );
    for (time, stays) in [
        ("30d", "30 days"),
        ("1d", "1 day"),
        ("never", "until it is deleted"),
        ("default", "7 days (as configured)"),
    ] {
        let said = house.postrider(&["user", "retention", "bob@example.com", time]);
        let line = format!("mail of bob@example.com that POP3 retrieved now stays {stays}\n");
        assert_eq!(said.good(), line);
    }
    let kept = house.postrider(&["--json", "user", "retention", "bob@example.com", "1w"]);
    assert_eq!(kept.json()["pop3_retention"], "7d");
    let show = house.postrider(&["user", "show", "bob@example.com"]).good();
    assert!(show.contains("after POP3  7 days\n"), "{show}");
    house
        .postrider(&["user", "retention", "bob@example.com", "12h"])
        .misused();
    house
        .postrider(&["user", "retention", "nobody@example.com", "7d"])
        .failed();
    assert_eq!(
        house
            .postrider_with(&["user", "passwd", "bob@example.com"], "new\n")
            .good(),
        "changed the password of bob@example.com\n"
    );
    assert_eq!(
        house
            .postrider(&["user", "disable", "bob@example.com"])
            .good(),
        "disabled user bob@example.com\n"
    );
    house
        .postrider(&["alias", "add", "info@example.com", "bob@example.com"])
        .good();
    let show = house.postrider(&["user", "show", "bob@example.com"]).good();
    assert!(show.starts_with("user        bob@example.com (disabled)\nauth        local\nused        0 B of 5 GiB\nafter POP3  7 days\nlast login  never\n"), "{show}");
    assert!(
        show.contains("aliases     info@example.com\n") && show.contains("INBOX"),
        "{show}"
    );
    let show = house
        .postrider(&["user", "show", "bob@example.com", "--json"])
        .json();
    assert_eq!(
        (&show["mailboxes"][0]["name"], &show["aliases"]),
        (&json!("INBOX"), &json!(["info@example.com"]))
    );
    assert_eq!(
        house
            .postrider(&["user", "enable", "bob@example.com"])
            .good(),
        "enabled user bob@example.com\n"
    );
    house
        .postrider(&["domain", "disable", "example.com"])
        .good();
    assert_eq!(
        house
            .postrider(&["user", "enable", "bob@example.com"])
            .good(),
        "enabled user bob@example.com (but its domain is disabled)\n"
    );
    assert_eq!(
        house
            .postrider(&["domain", "remove", "example.com"])
            .failed(),
        "postrider: domain example.com has 2 users; remove them first, or switch it off with: postrider domain disable example.com\n"
    );
    assert_eq!(
        house
            .postrider(&["user", "remove", "bob@example.com"])
            .good(),
        "removed user bob@example.com and 0 B of mail\n"
    );
    for arguments in [
        &["user", "show", "bob@example.com"][..],
        &["user", "disable", "bob@example.com"],
        &["user", "quota", "bob@example.com", "1GiB"],
        &["user", "remove", "bob@example.com"],
        &["user", "passwd", "bob@example.com"],
    ] {
        assert_eq!(
            house.postrider(arguments).failed(),
            "postrider: user bob@example.com does not exist; add it with: postrider user add bob@example.com\n"
        );
    }
}

/// A hash that came with the table and that nobody can verify is named where an operator looks.
#[test]
fn attack_33_a_password_that_cannot_be_used_is_named() {
    let house = House::with_domain();
    house
        .postrider_with(&["user", "add", "old@example.com"], "pw")
        .good();
    let shown = house.postrider(&["user", "show", "old@example.com"]).good();
    assert!(!shown.contains("password"), "{shown}");
    set_hash(
        &house.path("data/postrider.db"),
        "old@example.com",
        "{DES-CRYPT}rl0uE0wi8c0Gs",
    );
    let shown = house.postrider(&["user", "show", "old@example.com"]).good();
    assert!(
        shown.contains(
            "password    nobody can log in with it: will not verify a hash of DES-CRYPT:"
        ),
        "{shown}"
    );
    let list = house.postrider(&["user", "list"]).good();
    assert!(list.contains("active, password unusable"), "{list}");
    let shown = house.postrider(&["user", "show", "old@example.com", "--json"]);
    assert!(shown.json()["password_problem"].is_string());
    house
        .postrider_with(&["user", "passwd", "old@example.com"], "new")
        .good();
    let shown = house.postrider(&["user", "show", "old@example.com", "--json"]);
    assert!(shown.json()["password_problem"].is_null());
}

/// As another program writes the table.
fn set_hash(database: &std::path::Path, email: &str, hash: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        let path = database.to_str().expect("UTF-8");
        let index = SqliteIndex::open(path, 1).await.expect("a database");
        let account = index.account(email).await.expect("it is read");
        let set = SetPassword {
            account: account.expect("there").id,
            password: Some(hash.to_owned()),
            only_if: None,
            now: Timestamp(0),
        };
        let answers = index.apply(vec![Change::SetPassword(set)]).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    });
}

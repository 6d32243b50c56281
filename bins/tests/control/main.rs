//! The control program: what it says, what it does, how it ends.

#[path = "../house/mod.rs"]
mod house;
mod import;
mod users;

use house::House;
use serde_json::json;

const HASH: &str = "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

#[test]
fn help_and_usage() {
    let house = House::new();
    let help = house.postrider(&["--help"]).good();
    for word in [
        "run",
        "check-config",
        "migrate",
        "domain",
        "user",
        "alias",
        "undelete",
        "fsck",
        "--config",
        "--data",
        "--json",
        "Exit status",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(
        house
            .postrider(&["user", "add", "--help"])
            .good()
            .contains("Examples:")
    );
    assert!(
        house
            .postrider(&["--version"])
            .good()
            .starts_with("postrider ")
    );
    assert!(
        house
            .postrider(&["frobnicate"])
            .misused()
            .contains("frobnicate")
    );
    house.postrider(&["user", "quota", "a@b"]).misused();
    house
        .postrider(&["--config", "x", "domain", "list"])
        .misused();
    let lots = house.postrider(&["user", "quota", "a@b", "lots"]).misused();
    assert!(
        lots.contains("not a size") && lots.contains("unlimited"),
        "{lots}"
    );
}

#[test]
fn a_server_that_is_not_there_is_not_made_by_looking() {
    let house = House::new();
    let data = house.path("data");
    let message = house.postrider(&["user", "list"]).failed();
    assert_eq!(
        message,
        format!(
            "postrider: there is no database at {}/postrider.db; name another with --config or --data, or make it with: postrider migrate\n",
            data.display()
        )
    );
    assert!(!data.exists());
    let made = house.postrider(&["--json", "migrate"]).json();
    assert!(
        made["applied"].as_array().is_some_and(|it| !it.is_empty()),
        "{made}"
    );
    assert_eq!(
        house.postrider(&["--json", "migrate"]).json()["applied"],
        json!([])
    );
    assert!(
        house
            .postrider(&["migrate"])
            .good()
            .ends_with("postrider.db: up to date\n")
    );
    assert_eq!(
        house.postrider(&["user", "list"]).good(),
        "no users; add one with: postrider user add EMAIL\n"
    );
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&data)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "data of users is nobody else's");
}

#[test]
fn domains() {
    let house = House::new();
    assert_eq!(
        house.postrider(&["domain", "add", "Example.COM"]).good(),
        "added domain example.com\n"
    );
    assert_eq!(
        house.postrider(&["domain", "add", "example.com"]).failed(),
        "postrider: domain example.com exists already\n"
    );
    assert_eq!(
        house.postrider(&["domain", "add", "not a name"]).failed(),
        "postrider: \"not a name\" is not a domain name\n"
    );
    assert_eq!(
        house
            .postrider(&["domain", "add", "b.example", "--ldap-base-dn", "dc=b"])
            .failed(),
        "postrider: a base DN means nothing in a domain that authenticates locally; add --auth ldap\n"
    );
    let added = house
        .postrider(&[
            "domain",
            "add",
            "b.example",
            "--auth",
            "ldap",
            "--ldap-base-dn",
            "dc=b",
            "--json",
        ])
        .json();
    assert_eq!(
        (&added["name"], &added["auth"], &added["ldap_base_dn"]),
        (&json!("b.example"), &json!("ldap"), &json!("dc=b"))
    );
    let list = house.postrider(&["domain", "list"]).good();
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines[0].starts_with("DOMAIN       AUTH   STATE   ADDED"),
        "{list}"
    );
    assert!(
        lines[1].starts_with("b.example    ldap   active  20"),
        "{list}"
    );
    assert!(
        lines[2].starts_with("example.com  local  active  20"),
        "{list}"
    );
    assert_eq!(
        house.postrider(&["domain", "disable", "b.example"]).good(),
        "disabled domain b.example\n"
    );
    let show = house
        .postrider(&["domain", "show", "b.example", "--json"])
        .json();
    assert_eq!(
        (&show["active"], &show["users"], &show["aliases"]),
        (&json!(false), &json!(0), &json!(0))
    );
    assert_eq!(
        house.postrider(&["domain", "enable", "b.example"]).good(),
        "enabled domain b.example\n"
    );
    assert!(house.postrider(&["domain", "show", "b.example"]).good().starts_with("domain   b.example (active)\nauth     ldap\nbase DN  dc=b\nholds    0 users with 0 B of mail\n         0 aliases\n"));
    assert_eq!(
        house.postrider(&["domain", "remove", "b.example"]).good(),
        "removed domain b.example\n"
    );
    for command in ["show", "disable", "enable", "remove"] {
        assert_eq!(
            house.postrider(&["domain", command, "b.example"]).failed(),
            "postrider: domain b.example does not exist; add it with: postrider domain add b.example\n"
        );
    }
}

#[test]
fn aliases() {
    let house = House::with_domain();
    assert_eq!(
        house.postrider(&["alias", "list"]).good(),
        "no aliases; add one with: postrider alias add SOURCE DESTINATION\n"
    );
    assert_eq!(
        house
            .postrider(&["alias", "add", "info@example.com", "ada@example.com"])
            .good(),
        "added alias info@example.com to ada@example.com\n"
    );
    house
        .postrider(&["alias", "add", "info@example.com", "eve@elsewhere.example"])
        .good();
    house
        .postrider(&["alias", "add", "@example.com", "ada@example.com"])
        .good();
    assert_eq!(
        house.postrider(&["alias", "list", "example.com"]).good(),
        "SOURCE            DESTINATION            STATE\n\
         @example.com      ada@example.com        active\n\
         info@example.com  ada@example.com        active\n\
         info@example.com  eve@elsewhere.example  active\n"
    );
    let again = house
        .postrider(&["alias", "add", "info@example.com", "ada@example.com"])
        .failed();
    assert_eq!(
        again,
        "postrider: alias info@example.com to ada@example.com exists already\n"
    );
    let removed = house
        .postrider(&["alias", "remove", "info@example.com", "--json"])
        .json();
    assert_eq!(removed["removed"].as_array().map(Vec::len), Some(2));
    let gone = house
        .postrider(&["alias", "remove", "info@example.com"])
        .failed();
    assert_eq!(gone, "postrider: alias info@example.com does not exist\n");
    assert_eq!(
        house.postrider(&["alias", "remove", "@example.com"]).good(),
        "removed alias @example.com to ada@example.com\n"
    );
}

#[test]
fn fsck_of_a_server_without_mail() {
    let house = House::with_domain();
    assert_eq!(
        house.postrider(&["fsck"]).good(),
        "0 bodies in the index, 0 objects in the store: they agree\n"
    );
    let folder = house.path("data/mail/example.com/ada/Maildir/cur");
    std::fs::create_dir_all(&folder).expect("made");
    let name = "1700000000.M1P1R00000000000000000000000000000001.host,S=5,H=2cf24dba5fb0a30e:2,";
    std::fs::write(folder.join(name), "hello").expect("written");
    let found = house.postrider(&["fsck"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert_eq!(
        found.out,
        format!(
            "left over: example.com/ada/Maildir/cur/{name} (5 B), which no message names\n0 bodies in the index, 1 object in the store: 1 finding\n"
        )
    );
    let homeless = house.postrider(&["fsck", "--repair"]);
    assert!(
        homeless
            .out
            .contains("; not repaired: no account of this address\n"),
        "{homeless:?}"
    );
    house
        .postrider_with(&["user", "add", "ada@example.com"], "pw")
        .good();
    // The account is younger than the message: it gets it only by the operator's word.
    let younger = house.postrider(&["fsck", "--repair"]);
    assert!(
        younger
            .out
            .contains("; not repaired: made before the account got this address\n"),
        "{younger:?}"
    );
    let mended = house.postrider(&["fsck", "--repair", "--adopt"]).good();
    assert!(
        mended.contains("; now ada@example.com INBOX 1\n")
            && mended.ends_with("1 finding, all repaired\n"),
        "{mended}"
    );
    assert_eq!(
        house.postrider(&["fsck", "--json"]).json()["agree"],
        json!(true)
    );
    std::fs::remove_file(folder.join(name)).expect("there");
    let missing = house.postrider(&["fsck", "--json"]);
    assert_eq!(missing.code, Some(1));
    let document: serde_json::Value = serde_json::from_str(&missing.out).expect("one document");
    assert_eq!(
        (
            &document["findings"][0]["kind"],
            &document["findings"][0]["uid"]
        ),
        (&json!("missing"), &json!(1))
    );
    // What a backup may bring back is not thrown away.
    let kept = house.postrider(&["fsck", "--repair"]);
    assert_eq!(kept.code, Some(1), "{kept:?}");
    assert!(
        kept.out
            .contains(", the body of ada@example.com INBOX 1; bring it back from a backup\n")
            && kept.out.ends_with("1 finding, 1 not repaired\n"),
        "{kept:?}"
    );
    // After a backup nothing that a client keeps means what it meant.
    let validities = || {
        let show = house.postrider(&["user", "show", "ada@example.com", "--json"]);
        let mailboxes = show.json()["mailboxes"].clone();
        let all = mailboxes.as_array().expect("a list");
        all.iter().map(|it| it["uid_validity"].as_u64()).max()
    };
    let before = validities();
    let restored = house.postrider(&["fsck", "--restored"]);
    assert!(
        restored
            .out
            .starts_with("every mailbox has a new UIDVALIDITY: clients fetch them anew\n"),
        "{restored:?}"
    );
    assert!(validities() > before);
    std::fs::remove_dir_all(house.path("data/mail")).expect("there");
    let lost = house.postrider(&["fsck", "--repair"]).failed();
    assert_eq!(
        lost,
        "postrider: the store is not there, though the index names bodies in it; is its file system mounted?\n"
    );
}

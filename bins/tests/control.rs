//! The control program: what it says, what it does, how it ends.

mod house;

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
fn an_import_is_all_or_nothing() {
    let house = House::with_domain();
    house.write("bad.csv", format!("email,password_hash,quota\nada@example.com,{HASH},5GiB\nbob@nowhere.example,{HASH},\nada@example.com,{HASH},lots\neve@example.com,{{ROT13}}x,\n"));
    let failed = house.postrider(&["user", "import", "bad.csv"]).failed();
    assert_eq!(
        failed,
        "bad.csv:3: domain nowhere.example does not exist\n\
         bad.csv:4: quota: not a size; write a number of octets or one with a unit, such as \"512KiB\", \"100MiB\" or \"1GiB\", or \"unlimited\"\n\
         bad.csv:5: cannot verify a hash of scheme {ROT13}\n\
         postrider: 3 bad lines, no user was added\n"
    );
    let said = house.postrider(&["user", "import", "bad.csv", "--json"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let document: serde_json::Value =
        serde_json::from_str(&said.err).expect("errors are a document too");
    assert_eq!(document["details"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        house.postrider(&["user", "list", "--json"]).json(),
        json!([])
    );
    let good = format!(
        "email,password,password_hash\nada@example.com,correct horse,\nbob@example.com,,{HASH}\n"
    );
    house.write("good.csv", &good);
    assert_eq!(
        house.postrider(&["user", "import", "good.csv"]).good(),
        "added 2 users\n"
    );
    let again = house
        .postrider_with(&["user", "import", "-"], &good)
        .failed();
    assert!(
        again.starts_with("standard input:2: user ada@example.com exists already\n"),
        "{again}"
    );
    let missing = house.postrider(&["user", "import", "none.csv"]).failed();
    assert_eq!(
        missing,
        "postrider: cannot read none.csv: No such file or directory (os error 2)\n"
    );
    house.write(
        "latin.csv",
        b"email,password\nada@example.com,x\n\xe4@example.com,y\n",
    );
    assert_eq!(
        house.postrider(&["user", "import", "latin.csv"]).failed(),
        "postrider: latin.csv:3: not UTF-8\n"
    );
}

#[test]
fn three_thousand_users_with_hashes_take_seconds() {
    let house = House::with_domain();
    let rows: String = (0..3000)
        .map(|number| format!("u{number}@example.com,{HASH}\n"))
        .collect();
    house.write("many.csv", format!("email,password_hash\n{rows}"));
    let begin = std::time::Instant::now();
    assert_eq!(
        house.postrider(&["user", "import", "many.csv"]).good(),
        "added 3000 users\n"
    );
    let took = begin.elapsed();
    assert!(
        took.as_secs() < 30,
        "an unoptimised build on a busy machine took {took:?}"
    );
    let users = house.postrider(&["user", "list", "--json"]).json();
    assert_eq!(users.as_array().map(Vec::len), Some(3000));
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
    let mended = house.postrider(&["fsck", "--repair"]).good();
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
    std::fs::remove_dir_all(house.path("data/mail")).expect("there");
    let lost = house.postrider(&["fsck", "--repair"]).failed();
    assert_eq!(
        lost,
        "postrider: the store is not there, though the index names bodies in it; is its file system mounted?\n"
    );
}

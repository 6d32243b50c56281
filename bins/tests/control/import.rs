//! `postrider user import`.

use serde_json::json;

use super::HASH;
use super::house::House;

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
fn a_hash_of_traditional_crypt_is_refused_with_the_reason() {
    let house = House::with_domain();
    let rows = "email,password_hash\na@example.com,{DES-CRYPT}rl0uE0wi8c0Gs\nb@example.com,rl0uE0wi8c0Gs\n";
    house.write("old.csv", rows);
    let said = house.postrider(&["user", "import", "old.csv"]).failed();
    let reason = "it looks at the first 8 characters of a password alone";
    assert_eq!(said.matches(reason).count(), 2, "{said}");
}

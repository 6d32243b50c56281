//! Configurations that are wrong, and what the programs say about them.

mod house;

use house::House;
use serde_json::json;

const BAD: &str = "hostnam = \"mail.example.com\"\n\n[limits]\nmessage_size = \"big\"\n";

#[test]
fn check_config_says_all_that_is_wrong() {
    let house = House::new();
    house.write("bad.toml", BAD);
    let postrider = env!("CARGO_BIN_EXE_postrider");
    let expected = "bad.toml:1:1: unknown key hostnam; the nearest known one is hostname\n\
        bad.toml:4:16: limits.message_size: \"big\": not a size; write a number of octets or one with a unit, such as \"512KiB\", \"100MiB\" or \"1GiB\"\n";
    assert_eq!(
        house
            .run(postrider, &["--config", "bad.toml", "check-config"], "")
            .failed(),
        expected
    );
    let said = house.run(
        postrider,
        &["--config", "bad.toml", "check-config", "--json"],
        "",
    );
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("one document");
    assert_eq!(
        (&document["ok"], &document["problems"][0]["line"]),
        (&json!(false), &json!(1))
    );
    house.write("good.toml", "hostname = \"mail.example.com\"\n");
    assert_eq!(
        house
            .run(postrider, &["--config", "good.toml", "check-config"], "")
            .good(),
        "good.toml: ok\n"
    );
    assert_eq!(
        house.run(postrider, &["check-config"], "").good(),
        "embedded default: ok\n"
    );
    let missing = house
        .run(postrider, &["--config", "none.toml", "check-config"], "")
        .failed();
    assert_eq!(
        missing,
        "none.toml: cannot read: No such file or directory (os error 2)\n"
    );
}

#[test]
fn check_config_tries_the_certificate() {
    let house = House::new();
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    house.write("c.pem", pem);
    house.write("k.pem", key);
    house.write(
        "p.toml",
        "[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n",
    );
    let failed = house
        .run(
            env!("CARGO_BIN_EXE_postrider"),
            &["--config", "p.toml", "check-config"],
            "",
        )
        .failed();
    assert!(failed.contains("tls.certificate: "), "{failed}");
}

#[test]
fn no_program_works_with_a_bad_configuration() {
    let house = House::new();
    house.write("bad.toml", BAD);
    for program in [
        env!("CARGO_BIN_EXE_smtpd"),
        env!("CARGO_BIN_EXE_imapd"),
        env!("CARGO_BIN_EXE_pop3d"),
    ] {
        let failed = house.run(program, &["--config", "bad.toml"], "").failed();
        let name = program.rsplit('/').next().expect("a path");
        assert!(
            failed.starts_with("bad.toml:1:1: unknown key hostnam"),
            "{failed}"
        );
        assert!(
            failed.ends_with(&format!("{name}: the configuration cannot be used\n")),
            "{failed}"
        );
    }
    for command in [&["domain", "list"][..], &["run"], &["migrate"], &["fsck"]] {
        let mut arguments = vec!["--config", "bad.toml"];
        arguments.extend_from_slice(command);
        let failed = house
            .run(env!("CARGO_BIN_EXE_postrider"), &arguments, "")
            .failed();
        assert!(
            failed.ends_with("postrider: the configuration cannot be used\n"),
            "{failed}"
        );
    }
    // A store that cannot be reached is no reason not to start: only one that says no for good is.
    house.write("s3.toml", "[store]\nkind = \"s3\"\nbucket = \"mailboxes\"\nendpoint = \"https://minio.example.com\"\naccess_key = \"a\"\n");
    let failed = house
        .run(env!("CARGO_BIN_EXE_imapd"), &["--config", "s3.toml"], "")
        .failed();
    assert!(
        failed.contains("s3.toml:1:1: store.secret_key (or store.secret_key_file) is missing"),
        "{failed}"
    );
}

#[test]
fn a_daemon_without_a_listener_says_so() {
    let house = House::new();
    house.write(
        "p.toml",
        "[[listener]]\nservice = \"imaps\"\nbind = \"127.0.0.1:0\"\n",
    );
    let failed = house
        .run(env!("CARGO_BIN_EXE_pop3d"), &["--config", "p.toml"], "")
        .failed();
    assert_eq!(failed, "pop3d: p.toml has no listener for pop3d\n");
    let help = house
        .run(env!("CARGO_BIN_EXE_smtpd"), &["--help"], "")
        .good();
    assert!(
        help.contains("Serves smtp, submission, submissions, lmtp, metrics")
            && help.contains("/etc/postrider/postrider.toml"),
        "{help}"
    );
}

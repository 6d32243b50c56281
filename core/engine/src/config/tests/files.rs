//! Certificates and secrets: files that must be there, and belong to nobody else.

use super::*;

#[test]
fn a_certificate_needs_its_key_and_both_must_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path.display().to_string()
    };
    let certificate = write("c.pem", "-----BEGIN CERTIFICATE-----\n", 0o644);
    let key = write("k.pem", "-----BEGIN PRIVATE KEY-----\n", 0o600);
    let loose = write("l.pem", "-----BEGIN RSA PRIVATE KEY-----\n", 0o644);
    let config = good(&format!(
        "[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nmin_version = \"1.2\""
    ));
    assert_eq!(
        config
            .tls
            .certificate
            .map(|it| it.key.display().to_string()),
        Some(key.clone())
    );
    assert_eq!(config.tls.smtp_min_version, TlsVersion::V1_2);
    assert_eq!(
        warnings(&format!(
            "[tls]\ncertificate = \"{certificate}\"\nkey = \"{loose}\""
        )),
        [format!(
            "3:7: warning: tls.key: {loose} can be read by everyone (mode 0644); run: chmod o-rwx {loose}"
        )]
    );
    assert_eq!(
        problems(&format!(
            "[tls]\ncertificate = \"{certificate}\"\nmin_version = \"1.1\""
        )),
        [
            "2:15: tls.certificate without tls.key; give both or neither",
            "3:15: tls.min_version: \"1.1\": unknown version of TLS; known are \"1.2\" and \"1.3\"",
        ]
    );
    assert_eq!(
        problems(&format!(
            "[tls]\ncertificate = \"{key}\"\nkey = \"{certificate}.not\""
        )),
        [
            format!("2:15: tls.certificate: {key} holds no PEM block of type CERTIFICATE"),
            format!(
                "3:7: tls.key: cannot read {certificate}.not: No such file or directory (os error 2)"
            ),
        ]
    );
}

#[test]
fn secrets_come_from_files_and_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path
    };
    write("good", "hunter2\n", 0o600);
    write("empty", "\n", 0o600);
    write("open", "hunter2", 0o606);
    write("shown", "hunter2", 0o604);
    write("long", &"x".repeat(70_000), 0o600);
    let file = write("p.toml", "", 0o644);
    let load = |text: &str| Config::parse(&file, text, &environment);
    let password = |text: &str| {
        let config = load(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let warnings: Vec<String> = config
            .warnings
            .iter()
            .map(|it| it.message.clone())
            .collect();
        let password = config.database.password.expect("a password");
        (password.expose().clone(), warnings)
    };
    assert_eq!(
        password("[database]\npassword_file = \"good\""),
        ("hunter2".to_owned(), vec![])
    );
    assert_eq!(
        password("[database]\npassword = \"${PASSWORD}\""),
        ("hunter2".to_owned(), vec![])
    );
    assert_eq!(password("[database]\npassword_file = \"shown\"").1.len(), 1);
    let (_, warnings) = password("[database]\npassword = \"hunter2\"");
    assert_eq!(
        warnings,
        [format!(
            "database.password: everyone can read this file; use database.password_file or \"${{ENV_NAME}}\", or run: chmod o-rwx {}",
            file.display()
        )]
    );
    for (text, message) in [
        ("password_file = \"empty\"", "empty is empty"),
        (
            "password_file = \"open\"",
            "can be written by everyone (mode 0606)",
        ),
        ("password_file = \"long\"", "longer than 64KiB"),
        ("password_file = \"none\"", "No such file"),
        (
            "password = \"${NOPE}\"",
            "database.password: environment variable NOPE is not set",
        ),
        (
            "password = \"a\"\npassword_file = \"good\"",
            "are both given; keep one",
        ),
    ] {
        let problems = load(&format!("[database]\n{text}")).expect_err(text);
        assert!(problems[0].message.contains(message), "{problems:#?}");
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
    let config = load("[database]\npassword_file = \"good\"").expect("good");
    assert!(
        !format!("{config:?}").contains("hunter2"),
        "Debug shows no secret"
    );
    assert_eq!(good("hostname = \"${HOST}\"").hostname, "mail.example.org");
}

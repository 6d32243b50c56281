//! TLS with an authority of one's own.

use std::{fs, path::Path, process::Command};

use super::server::{FAST, Server, hand_over, settings};
use crate::{Error, index::PostgresIndex};

fn openssl(dir: &Path, arguments: &str) {
    let ran = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .output();
    let ran = ran.expect("openssl: install the Debian package openssl");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_who_the_authority_says() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (ca, name) in [("ca", "Ours"), ("foreign", "Theirs")] {
        openssl(
            at,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {ca}.key -out {ca}.crt -subj /CN={name} -days 3650"
            ),
        );
    }
    fs::write(
        at.join("ext"),
        "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(
        at,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout srv.key -out srv.csr -subj /CN=db",
    );
    openssl(
        at,
        "x509 -req -in srv.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out srv.crt -days 3650 -extfile ext",
    );
    let server = Server::start(&[FAST]);
    for file in ["srv.crt", "srv.key"] {
        let there = server.dir.join("data").join(file);
        fs::copy(at.join(file), &there).unwrap();
        fs::set_permissions(&there, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        hand_over(&there);
    }
    let secured =
        "ALTER SYSTEM SET ssl_cert_file = 'srv.crt'; ALTER SYSTEM SET ssl_key_file = 'srv.key'";
    for statement in secured
        .split("; ")
        .chain(["ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"])
    {
        server.execute("postgres", statement).await.unwrap();
    }
    let database = server.database().await;
    let (ca, foreign) = (at.join("ca.crt"), at.join("foreign.crt"));
    let to = |host: &str, query: String| {
        let url = format!(
            "postgres://postgres@{host}:{}/{database}?{query}",
            server.port
        );
        async move { PostgresIndex::migrate(&settings(&url)).await }
    };
    let full = |ca: &Path| format!("sslmode=verify-full&sslrootcert={}", ca.display());
    let authority = |ca: &Path| format!("sslmode=verify-ca&sslrootcert={}", ca.display());
    // The server may take a moment to read its settings.
    for _ in 0..100 {
        if to("localhost", full(&ca)).await.is_ok() {
            break;
        }
    }
    to("localhost", full(&ca)).await.unwrap();
    to("127.0.0.1", authority(&ca)).await.unwrap();
    to("127.0.0.1", "sslmode=require".to_owned()).await.unwrap();
    for (host, query) in [
        ("127.0.0.1", full(&ca)),
        ("localhost", full(&foreign)),
        ("localhost", authority(&foreign)),
        ("localhost", "sslmode=verify-full".to_owned()),
    ] {
        let refused = to(host, query.clone()).await;
        assert!(
            matches!(refused, Err(Error::Unavailable(_))),
            "{host} {query}: {refused:?}"
        );
    }
    // Only TLS is let in from now on.
    let rules = "hostssl all all 127.0.0.1/32 trust\nhostssl all all ::1/128 trust\n";
    fs::write(server.dir.join("data/pg_hba.conf"), rules).unwrap();
    server
        .execute("postgres", "SELECT pg_reload_conf()")
        .await
        .unwrap();
    let mut plain = Ok(Vec::new());
    for _ in 0..20 {
        plain = to("127.0.0.1", "sslmode=disable".to_owned()).await;
        if plain.is_err() {
            break;
        }
    }
    assert!(matches!(plain, Err(Error::Unavailable(_))), "{plain:?}");
    to("127.0.0.1", "sslmode=prefer".to_owned()).await.unwrap();
}

//! Handshakes with a real client: versions, names, hot swap, and clients that only shake hands.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::Certificate;
use crate::net::stream::WIRE_AHEAD;

/// A pair of files for `names`; returns the certificate.
pub(in crate::net) fn write_pair(
    directory: &Path,
    stem: &str,
    names: &[&str],
) -> (Certificate, CertificateDer<'static>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let files = Certificate {
        certificate: directory.join(format!("{stem}.crt")),
        key: directory.join(format!("{stem}.key")),
    };
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    (files, certificate.der().clone())
}

/// A client that trusts these certificates alone.
pub(in crate::net) fn client(
    trusted: &[CertificateDer<'static>],
    min_version: TlsVersion,
    protocols: &[&str],
) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let versions: &[_] = match min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| (*name).into()).collect();
    Arc::new(config).into()
}

fn acceptor(certificates: &Arc<Certificates>, settings: &TlsSettings) -> Acceptor {
    Acceptor::new(certificates.clone(), settings).unwrap()
}

/// Shakes hands in memory.
async fn shake(
    acceptor: &Acceptor,
    connector: &TlsConnector,
    name: &str,
) -> (
    Result<Stream, HandshakeError>,
    io::Result<TlsStream<DuplexStream>>,
) {
    let (client, server) = duplex(16 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio::join!(
        acceptor.accept(Plain::Memory(server)),
        connector.connect(name, client)
    )
}

fn shown(client: &TlsStream<DuplexStream>) -> CertificateDer<'static> {
    client.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn tls_13_only_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pair(directory.path(), "a", &["mail.example.com"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let strict = acceptor(&certificates, &TlsSettings::default());
    let lax = TlsSettings {
        min_version: TlsVersion::V1_2,
        ..TlsSettings::default()
    };
    let lax = acceptor(&certificates, &lax);
    let old = client(std::slice::from_ref(&certificate), TlsVersion::V1_2, &[]);
    let new = client(&[certificate], TlsVersion::V1_3, &[]);

    let (server, _) = shake(&strict, &old, "mail.example.com").await;
    assert!(matches!(server, Err(HandshakeError::Tls(_))));
    for (acceptor, connector, version) in [
        (&strict, &new, "TLSv1.3"),
        (&lax, &new, "TLSv1.3"),
        (&lax, &old, "TLSv1.2"),
    ] {
        let (server, client) = shake(acceptor, connector, "mail.example.com").await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        let info = server.tls_info().unwrap();
        assert_eq!(info.version, version);
        assert!(info.cipher.starts_with("TLS_"), "{}", info.cipher);
        assert_eq!(info.server_name.as_deref(), Some("mail.example.com"));
        assert_eq!(info.protocol, None);
        server.write_all(b"220 ready\r\n").await.unwrap();
        server.shutdown().await.unwrap();
        let mut greeting = Vec::new();
        client.read_to_end(&mut greeting).await.unwrap();
        assert_eq!(greeting, b"220 ready\r\n");
    }
}

#[test]
fn a_service_speaks_tls_as_configured() {
    let mut config = config::Config::embedded(Path::new("/nowhere"));
    config.tls.smtp_min_version = TlsVersion::V1_2;
    let of = |service| TlsSettings::of(service, &config.tls, &config.deadlines);
    assert_eq!(of(Service::Smtp).min_version, TlsVersion::V1_2);
    assert_eq!(of(Service::Submission).min_version, TlsVersion::V1_3);
    assert_eq!(of(Service::Imaps).min_version, TlsVersion::V1_3);
    assert_eq!(of(Service::Imaps).protocols, ["imap"]);
    assert_eq!(of(Service::Pop3).protocols, ["pop3"]);
    assert_eq!(of(Service::Smtp).protocols, [""; 0]);
    assert_eq!(of(Service::Imap).handshake, config.deadlines.handshake);
}

#[tokio::test]
async fn an_application_protocol_is_optional_but_not_foreign() {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let settings = TlsSettings {
        protocols: &["imap"],
        ..TlsSettings::default()
    };
    let imap = acceptor(&certificates, &settings);
    let unnamed = acceptor(&certificates, &TlsSettings::default());
    let trusted = [certificate];
    for (acceptor, offered, agreed) in [
        (&imap, &[][..], Ok(None)),
        (&imap, &["imap"], Ok(Some("imap"))),
        (&imap, &["x", "imap"], Ok(Some("imap"))),
        (&imap, &["h2", "http/1.1"], Err(())),
        (&unnamed, &["anything"], Ok(None)),
    ] {
        let connector = client(&trusted, TlsVersion::V1_3, offered);
        let (server, _client) = shake(acceptor, &connector, "localhost").await;
        let protocol = server
            .map(|stream| stream.tls_info().unwrap().protocol)
            .map_err(|_| ());
        let agreed = agreed.map(|agreed: Option<&str>| agreed.map(Box::from));
        assert_eq!(protocol, agreed, "{offered:?}");
    }
}

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    let one = write_pair(directory.path(), "one", &["mail.example.com"]);
    let two = write_pair(directory.path(), "two", &["*.example.org", "example.org"]);
    let trusted = [one.1.clone(), two.1.clone()];
    let certificates = Certificates::load(vec![one.0, two.0]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let connector = client(&trusted, TlsVersion::V1_3, &[]);
    for (name, expected) in [
        ("mail.example.com", &one.1),
        ("MAIL.example.com", &one.1),
        ("example.org", &two.1),
        ("imap.example.org", &two.1),
    ] {
        let (server, client) = shake(&acceptor, &connector, name).await;
        server.unwrap();
        assert_eq!(shown(&client.unwrap()), *expected, "{name}");
    }
    // Unknown names and none get the first, which the client then judges.
    for name in ["a.b.example.org", "192.0.2.1", "other.example.net"] {
        let (_, client) = shake(&acceptor, &connector, name).await;
        let error = client.unwrap_err().to_string();
        assert!(error.contains("mail.example.com"), "{error}");
    }
}

/// Names nobody has leave nothing behind.
#[tokio::test]
async fn attack_08_unknown_names_are_not_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pair(directory.path(), "a", &["mail.example.com"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let connector = client(&[certificate], TlsVersion::V1_3, &[]);
    for number in 0..20 {
        let name = format!("{number}.{}.example", "x".repeat(60));
        let (server, _client) = shake(&acceptor, &connector, &name).await;
        assert!(server.is_err());
    }
    assert_eq!(
        Arc::strong_count(&certificates),
        2,
        "the test and the acceptor"
    );
}

#[tokio::test(start_paused = true)]
async fn attack_06_a_handshake_has_a_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let (files, _) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let (mut client, server) = duplex(16 * 1024);
    let trickle = tokio::spawn(async move {
        // The beginning of a record that never ends.
        client.write_all(&[0x16, 3, 1, 0x3f, 0]).await.unwrap();
        while client.write_all(&[1]).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let start = Instant::now();
    let outcome = acceptor.accept(Plain::Memory(server)).await;
    assert!(matches!(outcome, Err(HandshakeError::TooSlow)));
    assert_eq!(start.elapsed(), TlsSettings::default().handshake);
    trickle.await.unwrap();
}

#[tokio::test]
async fn a_long_handshake_leaves_room_for_the_largest_record() {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let name = "x".repeat(200);
    let connector = client(&[certificate], TlsVersion::V1_3, &[&name[..]; 40]);
    let (server, client) = shake(&acceptor, &connector, "localhost").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    let mut said = vec![0; 16 * 1024];
    let say = async {
        client.write_all(&[b'x'; 16 * 1024]).await.unwrap();
        client.flush().await.unwrap();
    };
    let (heard, ()) = tokio::join!(server.read_exact(&mut said), say);
    heard.unwrap();
}

/// A first message of 64 KiB, in records that are each well-formed: given up long before it is whole.
#[tokio::test]
async fn attack_06_an_endless_client_hello_is_not_buffered() {
    let directory = tempfile::tempdir().unwrap();
    let (files, _) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let (mut client, server) = duplex(512);
    let flood = tokio::spawn(async move {
        let mut record = vec![0x16, 3, 1, 0x10, 0];
        record.extend([1, 0, 0xff, 0xf0, 3, 3]);
        record.resize(5 + 0x1000, 0);
        let mut sent = 0;
        loop {
            match client.write(&record[sent % record.len()..]).await {
                Ok(count) => sent += count,
                Err(_) => return sent,
            }
            if sent % record.len() == 0 {
                record[5..11].fill(0);
            }
        }
    });
    let outcome = acceptor.accept(Plain::Memory(server)).await;
    let Err(HandshakeError::Io(error)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let sent = flood.await.unwrap();
    // What the server read, and what lay in the pipe.
    let most = WIRE_AHEAD..=WIRE_AHEAD + 512;
    assert!(most.contains(&sent), "{sent} octets taken");
}

#[tokio::test]
async fn clear_text_is_not_a_handshake() {
    let directory = tempfile::tempdir().unwrap();
    let (files, _) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let (mut client, server) = duplex(16 * 1024);
    client.write_all(b"a1 LOGIN ada secret\r\n").await.unwrap();
    let outcome = acceptor.accept(Plain::Memory(server)).await;
    assert!(matches!(outcome, Err(HandshakeError::Tls(_))));
    let (client, server) = duplex(16 * 1024);
    drop(client);
    let outcome = acceptor.accept(Plain::Memory(server)).await;
    assert!(matches!(outcome, Err(HandshakeError::Io(_))));
}

#[tokio::test]
async fn a_certificate_is_replaced_under_open_connections() {
    let directory = tempfile::tempdir().unwrap();
    let (files, old) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let connect_old = client(std::slice::from_ref(&old), TlsVersion::V1_3, &[]);
    let (server, client_old) = shake(&acceptor, &connect_old, "localhost").await;
    let (mut server, mut client_old) = (server.unwrap(), client_old.unwrap());

    let (_, new) = write_pair(directory.path(), "a", &["localhost"]);
    certificates.reload().unwrap();
    let connect_new = client(std::slice::from_ref(&new), TlsVersion::V1_3, &[]);
    let (_, client_new) = shake(&acceptor, &connect_new, "localhost").await;
    assert_eq!(shown(&client_new.unwrap()), new);
    assert_ne!(old, new);

    server.write_all(b"* still here\r\n").await.unwrap();
    server.flush().await.unwrap();
    let mut line = [0; 14];
    client_old.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"* still here\r\n");
}

#[tokio::test]
async fn a_pair_that_does_not_match_is_refused_and_the_old_one_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (files, old) = write_pair(directory.path(), "a", &["localhost"]);
    let (other, _) = write_pair(directory.path(), "b", &["localhost"]);
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let connector = client(std::slice::from_ref(&old), TlsVersion::V1_3, &[]);
    let good = (
        fs::read(&files.certificate).unwrap(),
        fs::read(&files.key).unwrap(),
    );

    fs::copy(&other.certificate, &files.certificate).unwrap();
    let error = certificates.reload().unwrap_err();
    assert!(matches!(error, CertificateError::Pair { .. }), "{error}");
    fs::write(&files.certificate, "").unwrap();
    let error = certificates.reload().unwrap_err();
    assert!(matches!(error, CertificateError::Missing { .. }), "{error}");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&files.certificate, garbage).unwrap();
    let error = certificates.reload().unwrap_err();
    assert!(
        matches!(error, CertificateError::Malformed { .. }),
        "{error}"
    );
    fs::remove_file(&files.certificate).unwrap();
    let error = certificates.reload().unwrap_err();
    assert!(matches!(error, CertificateError::Read { .. }), "{error}");
    fs::write(&files.certificate, &good.0).unwrap();
    fs::write(&files.key, "no key").unwrap();
    let error = certificates.reload().unwrap_err();
    assert!(matches!(error, CertificateError::Missing { .. }), "{error}");

    let (server, client) = shake(&acceptor, &connector, "localhost").await;
    server.unwrap();
    assert_eq!(shown(&client.unwrap()), old);
    fs::write(&files.key, &good.1).unwrap();
    certificates.reload().unwrap();
}

#[test]
fn one_bad_certificate_does_not_hold_up_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let (bad, _) = write_pair(directory.path(), "bad", &["one.example"]);
    let (good, _) = write_pair(directory.path(), "good", &["two.example"]);
    let certificates = Certificates::load(vec![bad.clone(), good.clone()]).unwrap();
    let (_, new) = write_pair(directory.path(), "good", &["two.example"]);
    fs::write(&bad.key, "no key").unwrap();
    certificates.reload().unwrap_err();
    assert!(certificates.uses(&new));

    assert!(matches!(
        Certificates::load(vec![good, bad]),
        Err(CertificateError::Missing { .. })
    ));
    assert!(matches!(
        Certificates::load(vec![]),
        Err(CertificateError::None)
    ));
}

#[tokio::test(start_paused = true)]
async fn changed_files_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let (files, old) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    let drain = CancellationToken::new();
    let watch = certificates
        .clone()
        .watch(Duration::from_secs(5), drain.clone());
    let watch = tokio::spawn(watch);
    sleep(Duration::from_secs(20)).await;
    assert!(certificates.uses(&old));

    // As certbot does it: new files under other names, then links moved over the old ones.
    let (next, new) = write_pair(directory.path(), "next", &["localhost"]);
    fs::rename(&next.certificate, &files.certificate).unwrap();
    sleep(Duration::from_secs(20)).await;
    assert!(certificates.uses(&old), "half of a pair changes nothing");
    fs::rename(&next.key, &files.key).unwrap();
    while !certificates.uses(&new) {
        sleep(Duration::from_secs(1)).await;
    }
    drain.cancel();
    watch.await.unwrap();
}

#[test]
fn unchanged_files_are_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (files, _) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    assert_eq!(certificates.look_for_changes(), None);
    fs::write(&files.key, "no key").unwrap();
    assert_eq!(certificates.look_for_changes(), Some(false));
    assert_eq!(certificates.look_for_changes(), None, "told once");
    let (_, new) = write_pair(directory.path(), "a", &["localhost"]);
    assert_eq!(certificates.look_for_changes(), Some(true));
    assert!(certificates.uses(&new));
    assert!(certificates.expiry().unwrap() > 4_000_000_000);
}

#[tokio::test]
async fn the_self_signed_certificate_serves_its_host() {
    let data = tempfile::tempdir().unwrap();
    let files = self_signed(data.path(), "mail.example.test").unwrap();
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    let acceptor = acceptor(&certificates, &TlsSettings::default());
    let copy = fs::read(files.certificate.with_extension("crt")).unwrap();
    let copy = <CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&copy);
    let connector = client(&[copy.unwrap()], TlsVersion::V1_3, &[]);
    for name in ["mail.example.test", "localhost", "127.0.0.1", "::1"] {
        let (server, client) = shake(&acceptor, &connector, name).await;
        server.unwrap();
        client.unwrap();
    }
}

#[tokio::test]
async fn a_client_may_resume_at_any_worker() {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let first = acceptor(&certificates, &TlsSettings::default());
    let second = first.clone();
    let connector = client(&[certificate], TlsVersion::V1_3, &[]);
    let (server, client) = shake(&first, &connector, "localhost").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    // Tickets come with the first octets.
    server.write_all(b"x").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
    let (server, client) = shake(&second, &connector, "localhost").await;
    server.unwrap();
    let kind = client.unwrap().get_ref().1.handshake_kind();
    assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));
}

#[test]
fn monitors_are_told_when_a_certificate_expires() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let directory = tempfile::tempdir().unwrap();
    let (files, _) = write_pair(directory.path(), "a", &["localhost"]);
    metrics::with_local_recorder(&recorder, || {
        let certificates = Certificates::load(vec![files.clone()]).unwrap();
        fs::write(&files.key, "no key").unwrap();
        certificates.reload().unwrap_err();
    });
    let text = recorder.handle().render();
    let path = files.certificate.display();
    // What rcgen writes if nobody says otherwise: 1 January 4096.
    let expiry = format!(
        "postrider_tls_certificate_expiry_timestamp_seconds{{certificate=\"{path}\"}} 67090118400"
    );
    assert!(text.contains(&expiry), "{text}");
    let refused = "postrider_tls_certificate_reloads_total{outcome=\"refused\"} 1";
    assert!(text.contains(refused), "{text}");
}

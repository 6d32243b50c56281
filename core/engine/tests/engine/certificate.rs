//! A certificate that is replaced on disk is the one that new connections see; the others stay.

use std::path::Path;
use std::sync::Arc;

use postrider::config::{Certificate, Config, Service};
use postrider::engine::Parts;
use postrider::net::tls::provider;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::Client;
use super::house::{ADA, House, PASSWORD, until};

/// Takes any certificate: which one it was is what the test asks.
#[derive(Debug)]
struct Any;

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A TLS connection after the greeting, and the certificate it was shown.
async fn connect(port: u16) -> (Client, CertificateDer<'static>) {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any))
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("mail.example.test").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    let shown = shown[0].clone().into_owned();
    let mut client = Client::over(stream);
    client.line().await;
    (client, shown)
}

/// Writes a new certificate and key; the certificate.
fn renew(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["mail.example.test".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.der().clone()
}

#[actix_rt::test]
async fn a_renewed_certificate_is_shown_and_nobody_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let first = renew(folder.path());
    let files = Certificate {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    let change = |config: &mut Config| config.tls.certificate = Some(files);
    let house = House::with(change, Parts::default()).await;
    let port = house.port(Service::Imaps);
    let (mut old, shown) = connect(port).await;
    assert_eq!(shown, first);
    assert!(old.imap(&format!("LOGIN {ADA} {PASSWORD}")).await.is_ok());

    let second = renew(folder.path());
    until("the new certificate", async || {
        (connect(port).await.1 == second).then_some(())
    })
    .await;
    assert!(old.imap("SELECT INBOX").await.is_ok());

    // One that is no good changes nothing, also when it is asked for.
    std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
    assert!(house.running.reload(&house.config).is_err());
    assert_eq!(connect(port).await.1, second);
    // And the next good one is taken at once when it is asked for.
    let third = renew(folder.path());
    house.running.reload(&house.config).unwrap();
    assert_eq!(connect(port).await.1, third);
    assert!(old.imap("NOOP").await.is_ok());
    house.stop().await;
}

//! TLS as a client: a given authority, or for tests anyone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::fault::Fault;

/// Whose certificates are taken.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those below the certificates in this PEM file.
    Authority(PathBuf),
    /// Any at all.
    Anyone,
    /// None: TLS was not set up.
    Nobody,
}

/// What is needed to shake hands.
#[derive(Clone)]
pub struct Client {
    /// Shakes hands.
    pub connector: TlsConnector,
    /// The name that the certificate must have.
    pub name: ServerName<'static>,
}

impl Client {
    /// A client that never resumes a session: every handshake is a full one, for every server.
    pub fn new(trust: &Trust, name: &str) -> Result<Self, Fault> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Fault::Usage(error.to_string()))?;
        let mut config = match trust {
            Trust::Authority(path) => builder
                .with_root_certificates(roots(path)?)
                .with_no_client_auth(),
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TakesAny(provider)))
                .with_no_client_auth(),
            Trust::Nobody => {
                return Err(Fault::Usage(
                    "TLS needs --ca FILE, or --insecure in a test".to_owned(),
                ));
            }
        };
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            Fault::Usage(format!(
                "{name} is no name a certificate can have; see --tls-name"
            ))
        })?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }
}

fn roots(path: &Path) -> Result<RootCertStore, Fault> {
    let bad = |error: &dyn std::fmt::Display| Fault::Usage(format!("{}: {error}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
        roots
            .add(certificate.map_err(|error| bad(&error))?)
            .map_err(|error| bad(&error))?;
    }
    if roots.is_empty() {
        return Err(bad(&"holds no certificate"));
    }
    Ok(roots)
}

/// Checks that the peer has the key of its certificate, and nothing else.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

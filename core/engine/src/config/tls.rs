//! `[tls]`: certificate and versions.

use std::{fs, path::PathBuf, str::FromStr};

use super::{
    secret::{check_mode, unreadable},
    source::{Found, Source, Table},
};

/// Certificate and versions of TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// Certificate and key; none: a self-signed one is made for the hostname.
    pub certificate: Option<Certificate>,
    /// What clients must speak at least.
    pub min_version: TlsVersion,
    /// What other mail servers must speak at least: on port 25, and where we deliver to.
    pub smtp_min_version: TlsVersion,
}

/// Files of a certificate, in PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// A text that names no version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown version of TLS; known are \"1.2\" and \"1.3\"")]
pub struct UnknownTlsVersion;

impl FromStr for TlsVersion {
    type Err = UnknownTlsVersion;

    fn from_str(text: &str) -> Result<Self, UnknownTlsVersion> {
        match text {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            _ => Err(UnknownTlsVersion),
        }
    }
}

/// Reads the section.
pub(super) fn read(root: &Table<'_>) -> Tls {
    let table = root.table("tls");
    let certificate = table.get::<PathBuf>("certificate");
    let key = table.get::<PathBuf>("key");
    let min_version = table.or("min_version", TlsVersion::V1_3);
    let smtp_min_version = table.or("smtp_min_version", min_version);
    let source = table.source;
    match (&certificate, &key) {
        (Some(certificate), None) if !table.has("key") => {
            source.error(
                Some(certificate.at),
                "tls.certificate without tls.key; give both or neither",
            );
        }
        (None, Some(key)) if !table.has("certificate") => {
            source.error(
                Some(key.at),
                "tls.key without tls.certificate; give both or neither",
            );
        }
        _ => {}
    }
    if let Some(certificate) = &certificate {
        check_pem(source, "tls.certificate", certificate, "CERTIFICATE");
    }
    if let Some(key) = &key {
        check_pem(source, "tls.key", key, "PRIVATE KEY");
        check_mode(source, "tls.key", &key.value, key.at);
    }
    Tls {
        certificate: certificate.zip(key).map(|(certificate, key)| Certificate {
            certificate: certificate.value,
            key: key.value,
        }),
        min_version,
        smtp_min_version,
    }
}

/// Looks whether a file can be read and holds a PEM block of a kind (RFC 7468).
pub(super) fn check_pem(source: &Source<'_>, key: &str, path: &Found<PathBuf>, label: &str) {
    let shown = path.value.display();
    match fs::read(&path.value) {
        Err(error) => source.error(Some(path.at), unreadable(key, &path.value, &error)),
        Ok(octets) => {
            let text = String::from_utf8_lossy(&octets);
            let begins = |line: &str| {
                line.starts_with("-----BEGIN ")
                    && line.trim_end().ends_with(&format!("{label}-----"))
            };
            if !text.lines().any(begins) {
                let message = format!("{key}: {shown} holds no PEM block of type {label}");
                source.error(Some(path.at), message);
            }
        }
    }
}

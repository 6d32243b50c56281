//! Requests that the store's own client never makes, signed by hand (AWS Signature Version 4): what could a stolen key do?

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use postrider_storage::blob::S3Settings;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::server::{encode, hex};

/// Asks the bucket (or an object of it, unless the key is empty) for something; status and body. The query is sorted, its values encoded.
pub async fn ask(
    settings: &S3Settings,
    method: &str,
    key: &str,
    query: &str,
    body: &str,
) -> (u16, String) {
    let host = settings.endpoint.strip_prefix("https://").expect("TLS");
    let slash = if key.is_empty() { "" } else { "/" };
    let path = format!("/{}{slash}{}", settings.bucket, encode(key, true));
    let (stamp, payload) = (stamp(), hex(&Sha256::digest(body)));
    let headers = format!("host:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{stamp}\n");
    let names = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{payload}");
    let scope = format!("{}/{}/s3/aws4_request", &stamp[..8], settings.region);
    let text = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut signing = format!("AWS4{}", settings.secret_key).into_bytes();
    for part in scope.split('/').chain([text.as_str()]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&signing).expect("a key of any length");
        mac.update(part.as_bytes());
        signing = mac.finalize().into_bytes().to_vec();
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        settings.access_key,
        hex(&signing)
    );
    let target = match query {
        "" => path,
        query => format!("{path}?{query}"),
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nx-amz-content-sha256: {payload}\r\nx-amz-date: {stamp}\r\n\
         Authorization: {authorization}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = send(settings, host, request.as_bytes()).await;
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (status.expect("an answer of HTTP"), body.to_owned())
}

/// Sends octets over TLS and reads to the end.
async fn send(settings: &S3Settings, host: &str, request: &[u8]) -> String {
    let mut roots = rustls::RootCertStore::empty();
    let pem = settings.ca.as_deref().expect("an authority");
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(host).await.expect("the store listens");
    let name = host.split(':').next().unwrap_or_default().to_owned();
    let name = ServerName::try_from(name).expect("an address");
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.expect("TLS");
    stream.write_all(request).await.expect("it is taken");
    let mut answer = Vec::new();
    // Some servers end the connection without saying so first.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Now, as signatures have it: `20260102T030405Z`.
fn stamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.expect("after 1970").as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the day of a leap year is the last one; 719,468 days lie before 1970.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

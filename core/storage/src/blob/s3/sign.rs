//! Where requests go, and their signatures: AWS Signature Version 4, by rust-s3.
//!
//! **Invariants.** What is signed is what is sent: path and query are encoded once, here, and both the URL and the canonical
//! request are made of them. Every header that is there when a request is signed is part of its signature.

use std::{borrow::Cow, time::SystemTime};

use hmac::Mac;
use reqwest::{
    Url,
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
};
use s3::{
    Region,
    signing::{self, HmacSha256},
};

use super::{S3Settings, hex};
use crate::Error;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const PAYLOAD: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const AUTHORIZATION: HeaderName = reqwest::header::AUTHORIZATION;

/// A bucket's place.
#[derive(Debug)]
pub(super) struct Place {
    /// Scheme, host and port, and with path style the bucket; no slash at the end.
    base: String,
    host: HeaderValue,
}

impl Place {
    pub(super) fn new(settings: &S3Settings) -> Result<Self, Error> {
        let endpoint = Url::parse(&settings.endpoint)
            .map_err(|_| Error::Invalid("the endpoint of the store is no URL"))?;
        let host = endpoint
            .host_str()
            .ok_or(Error::Invalid("the endpoint of the store names no host"))?;
        let port = endpoint.port().map(|port| format!(":{port}"));
        let port = port.unwrap_or_default();
        let (scheme, bucket) = (endpoint.scheme(), &settings.bucket);
        let (host, path) = match settings.path_style {
            true => (format!("{host}{port}"), format!("/{bucket}")),
            false => (format!("{bucket}.{host}{port}"), String::new()),
        };
        let base = format!("{scheme}://{host}{path}");
        let host = HeaderValue::from_str(&host)
            .map_err(|_| Error::Invalid("the endpoint of the store has no good host name"))?;
        Ok(Self { base, host })
    }

    /// The URL of an object, or of the bucket if the key is empty.
    pub(super) fn url(&self, key: &str, query: &[(&str, Cow<'_, str>)]) -> Result<Url, Error> {
        let mut url = format!("{}/{}", self.base, signing::uri_encode(key, false));
        for (number, (name, value)) in query.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&signing::uri_encode(value, true));
        }
        Url::parse(&url).map_err(|_| Error::Invalid("a key that makes no URL"))
    }
}

/// Signs requests.
pub(super) struct Signer {
    access_key: String,
    secret_key: String,
    region: Region,
}

impl Signer {
    pub(super) fn new(settings: &S3Settings) -> Self {
        Self {
            access_key: settings.access_key.clone(),
            secret_key: settings.secret_key.clone(),
            region: Region::Custom {
                region: settings.region.clone(),
                endpoint: settings.endpoint.clone(),
            },
        }
    }

    /// Adds date, hash of the payload and signature to a request's headers.
    pub(super) fn sign(
        &self,
        method: &str,
        place: &Place,
        url: &Url,
        headers: &mut HeaderMap,
        payload: &[u8; 32],
        now: SystemTime,
    ) -> Result<(), Error> {
        let payload = hex(payload);
        headers.insert(HOST, place.host.clone());
        headers.insert(DATE, value(&stamp(now)?)?);
        headers.insert(PAYLOAD, value(&payload)?);
        let signature = || {
            let at = now.into();
            let request = signing::canonical_request(method, url, headers, &payload)?;
            let text = signing::string_to_sign(&at, &self.region, &request)?;
            let key = signing::signing_key(&at, &self.secret_key, &self.region, "s3")?;
            let mut mac = HmacSha256::new_from_slice(&key)?;
            mac.update(text.as_bytes());
            let signature = hex(&mac.finalize().into_bytes());
            let signed = signing::signed_header_string(headers);
            signing::authorization_header(&self.access_key, &at, &self.region, &signed, &signature)
        };
        let signature = signature().map_err(|error: s3::error::S3Error| {
            Error::Unavailable(format!("a request cannot be signed: {error}"))
        })?;
        let mut signature = value(&signature)?;
        signature.set_sensitive(true);
        headers.insert(AUTHORIZATION, signature);
        Ok(())
    }
}

/// A header's value.
pub(super) fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| Error::Invalid("a value that no header can hold"))
}

/// ISO 8601 without hyphens and colons.
fn stamp(now: SystemTime) -> Result<String, Error> {
    let clock = || {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        chrono::DateTime::from_timestamp(i64::try_from(since.as_secs()).ok()?, 0)
    };
    let clock = clock().ok_or_else(|| Error::Unavailable("the clock is wrong".to_owned()))?;
    Ok(clock.format("%Y%m%dT%H%M%SZ").to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn settings(endpoint: &str, path_style: bool) -> S3Settings {
        S3Settings {
            path_style,
            region: "us-east-1".to_owned(),
            ..S3Settings::new(
                endpoint,
                "examplebucket",
                "AKIAIOSFODNN7EXAMPLE",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            )
        }
    }

    /// The examples of "Authenticating Requests: Using the Authorization Header" in Amazon's reference of S3.
    #[test]
    fn signs_as_amazon_does() {
        let settings = settings("https://s3.amazonaws.com", false);
        let (place, signer) = (Place::new(&settings).unwrap(), Signer::new(&settings));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let empty = hash(b"");
        let mut headers = HeaderMap::new();
        headers.insert("range", HeaderValue::from_static("bytes=0-9"));
        let url = place.url("test.txt", &[]).unwrap();
        assert_eq!(
            url.as_str(),
            "https://examplebucket.s3.amazonaws.com/test.txt"
        );
        signer
            .sign("GET", &place, &url, &mut headers, &empty, now)
            .unwrap();
        assert_eq!(headers["x-amz-date"], "20130524T000000Z");
        let signature = |headers: &HeaderMap| {
            let whole = headers[AUTHORIZATION].to_str().unwrap().to_owned();
            whole.rsplit_once("Signature=").unwrap().1.to_owned()
        };
        assert_eq!(
            signature(&headers),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert!(
            !format!("{headers:?}").contains("f0e8bdb8"),
            "no log shows it"
        );

        let mut headers = HeaderMap::new();
        headers.insert(
            "date",
            HeaderValue::from_static("Fri, 24 May 2013 00:00:00 GMT"),
        );
        headers.insert(
            "x-amz-storage-class",
            HeaderValue::from_static("REDUCED_REDUNDANCY"),
        );
        let url = place.url("test$file.text", &[]).unwrap();
        let body = hash(b"Welcome to Amazon S3.");
        signer
            .sign("PUT", &place, &url, &mut headers, &body, now)
            .unwrap();
        assert_eq!(
            signature(&headers),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );

        let mut headers = HeaderMap::new();
        let query = [("max-keys", "2".into()), ("prefix", "J".into())];
        let url = place.url("", &query).unwrap();
        signer
            .sign("GET", &place, &url, &mut headers, &empty, now)
            .unwrap();
        assert_eq!(
            signature(&headers),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    fn hash(octets: &[u8]) -> [u8; 32] {
        use sha2::Digest;
        sha2::Sha256::digest(octets).into()
    }

    #[test]
    fn attack_37_keys_arrive_as_they_are() {
        let place = Place::new(&settings("http://[::1]:9000", true)).unwrap();
        for key in [
            "a.b/ada/Maildir/cur/1.M2P3R4.h,S=5,H=6:2,",
            "%2e%2e/%2f/..a/~x#?*+:;\"<>|^`{}[]",
            "a\\b/&=%/$@!'()",
        ] {
            let url = place.url(key, &[("prefix", key.into())]).unwrap();
            let path = url.path().strip_prefix("/examplebucket/").unwrap();
            assert!(path.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '%'));
            assert_eq!(signing::canonical_uri_string(&url), url.path(), "{key}");
            let (_, found) = url.query_pairs().next().unwrap();
            assert_eq!(found, key);
            assert_eq!(url.host_str(), Some("[::1]"));
            assert_eq!(place.host, "[::1]:9000");
        }
    }
}

//! AWS Signature Version 4, checked independently of the library that signs.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::http::{Request, decode};

/// Why a request is refused.
pub type Code = (u16, &'static str);

/// Checks the signature of a request and the checksums of its body.
pub fn check(request: &Request, access: &str, secret: &str, region: &str) -> Result<(), Code> {
    let denied = (403, "AccessDenied");
    let header = request.header("authorization").ok_or(denied)?;
    let header = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(denied)?;
    let field = |name: &str| {
        let mut fields = header.split(',').filter_map(|it| it.trim().split_once('='));
        fields.find(|(it, _)| *it == name).map(|(_, value)| value)
    };
    let credential = field("Credential").ok_or(denied)?;
    let (key, scope) = credential.split_once('/').ok_or(denied)?;
    if key != access {
        return Err((403, "InvalidAccessKeyId"));
    }
    let date = request.header("x-amz-date").ok_or(denied)?;
    if scope != format!("{}/{region}/s3/aws4_request", &date[..8]) {
        return Err((400, "AuthorizationHeaderMalformed"));
    }
    let signed = field("SignedHeaders").ok_or(denied)?;
    let names: Vec<_> = signed.split(';').collect();
    // What could be changed on the way must be signed.
    let must = |name: &str| {
        name == "host" || name == "content-md5" || name == "range" || name.starts_with("x-amz-")
    };
    let sent = request.headers.iter().map(|(name, _)| name.as_str());
    if sent
        .filter(|name| must(name))
        .any(|name| !names.contains(&name))
        || !names.contains(&"host")
    {
        return Err(denied);
    }
    let mut headers = String::new();
    for name in &names {
        let value = request.header(name).ok_or(denied)?;
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let payload = request.header("x-amz-content-sha256").ok_or(denied)?;
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{signed}\n{payload}",
        request.method,
        encode(&decode(&request.path), true),
        query(&request.query),
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = mac(&key, part);
    }
    if Some(hex(&mac(&key, &text)).as_str()) != field("Signature") {
        return Err((403, "SignatureDoesNotMatch"));
    }
    if payload != hex(&Sha256::digest(&request.body)) {
        return Err((400, "XAmzContentSHA256Mismatch"));
    }
    if let Some(wanted) = request.header("content-md5") {
        use base64::Engine;
        let md5 = <md5::Md5 as md5::Digest>::digest(&request.body);
        if base64::engine::general_purpose::STANDARD.encode(md5) != wanted {
            return Err((400, "BadDigest"));
        }
    }
    Ok(())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The query, sorted, each part decoded and encoded again.
fn query(text: &str) -> String {
    let pairs = text.split('&').filter(|it| !it.is_empty());
    let mut pairs: Vec<_> = pairs
        .map(|it| {
            let (name, value) = it.split_once('=').unwrap_or((it, ""));
            format!(
                "{}={}",
                encode(&decode(name), false),
                encode(&decode(value), false)
            )
        })
        .collect();
    pairs.sort();
    pairs.join("&")
}

/// Everything but unreserved characters (RFC 3986 section 2.3) is encoded.
pub fn encode(text: &str, is_path: bool) -> String {
    let mut encoded = String::new();
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(octet));
            }
            b'/' if is_path => encoded.push('/'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// Hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

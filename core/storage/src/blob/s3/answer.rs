//! What the store answers in XML, by the forms of rust-s3.

use quick_xml::de;
use s3::serde_types::{InitiateMultipartUploadResponse, ListBucketResult};

use crate::Error;

/// The code of a refusal; empty if there is none.
pub(super) fn code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let code = text_of(&text, "Code").unwrap_or_default();
    let good = code.len() <= 64 && code.bytes().all(|octet| octet.is_ascii_alphanumeric());
    match good {
        true => code.to_owned(),
        false => String::new(),
    }
}

/// Whether an answer of status 200 is a refusal all the same, as that to a long-running request may be.
pub(super) fn is_refusal(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("<Error>")
}

/// The ETag in an answer, without its quotes.
pub(super) fn etag(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let etag = text_of(&text, "ETag")?;
    Some(
        etag.replace("&quot;", "")
            .replace("&#34;", "")
            .replace('"', ""),
    )
}

/// The name of a new upload of several parts.
pub(super) fn upload(body: &[u8]) -> Result<String, Error> {
    let answer = de::from_str(text(body)?);
    let answer: InitiateMultipartUploadResponse =
        answer.map_err(|error: de::DeError| strange(&error.to_string()))?;
    match answer.upload_id.is_empty() {
        true => Err(strange("an upload without a name")),
        false => Ok(answer.upload_id),
    }
}

/// A page of a listing.
pub(super) struct Page {
    pub(super) entries: Vec<(String, u64)>,
    /// What asks for the next one.
    pub(super) next: Option<String>,
}

pub(super) fn page(body: &[u8]) -> Result<Page, Error> {
    let answer = de::from_str(text(body)?);
    let answer: ListBucketResult =
        answer.map_err(|error: de::DeError| strange(&error.to_string()))?;
    let entries = answer.contents.into_iter().map(|it| (it.key, it.size));
    let next = match (answer.is_truncated, answer.next_continuation_token) {
        (false, _) => None,
        (true, Some(next)) if !next.is_empty() => Some(next),
        // Taken for the end, it would make bodies look lost.
        (true, _) => return Err(strange("a listing that goes on without saying where")),
    };
    Ok(Page {
        entries: entries.collect(),
        next,
    })
}

fn text(body: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(body).map_err(|_| strange("an answer that is no text"))
}

/// The text of the first element of this name that holds nothing else.
fn text_of<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once('<')?;
    Some(text)
}

fn strange(what: &str) -> Error {
    Error::Unavailable(format!("the store answers strangely: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

    #[test]
    fn reads_refusals() {
        let body = format!("{HEAD}\n<Error><Code>SlowDown</Code><Message>x</Message></Error>");
        assert_eq!(code(body.as_bytes()), "SlowDown");
        assert!(is_refusal(body.as_bytes()));
        for strange in ["", "<html>503</html>", "<Code>", "<Code>a\nb</Code>"] {
            assert_eq!(code(strange.as_bytes()), "");
        }
        assert_eq!(code(b"\xff\xfe"), "");
    }

    #[test]
    fn reads_pages() {
        let entry = |key: &str| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>5</Size></Contents>"
            )
        };
        let list = |rest: &str| {
            format!(
                "{HEAD}<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>{rest}</ListBucketResult>"
            )
        };
        let text = list(
            &(entry("a&amp;b/&lt;x")
                + &entry("c")
                + "<IsTruncated>true</IsTruncated><NextContinuationToken>t=</NextContinuationToken>"),
        );
        let found = page(text.as_bytes()).unwrap();
        assert_eq!(
            found.entries,
            [("a&b/<x".to_owned(), 5), ("c".to_owned(), 5)]
        );
        assert_eq!(found.next.as_deref(), Some("t="));
        let found = page(list("<IsTruncated>false</IsTruncated>").as_bytes()).unwrap();
        assert!(found.entries.is_empty() && found.next.is_none());
    }

    #[test]
    fn attack_44_a_listing_that_breaks_off_is_no_end() {
        for bad in [
            "",
            "<html/>",
            "<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Name>b</Name><Contents><Key>x</Key>",
        ] {
            assert!(
                matches!(page(bad.as_bytes()), Err(Error::Unavailable(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn reads_uploads() {
        let body = format!(
            "{HEAD}<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>2~x</UploadId></InitiateMultipartUploadResult>"
        );
        assert_eq!(upload(body.as_bytes()).unwrap(), "2~x");
        assert!(upload(b"<x/>").is_err());
        assert_eq!(etag(b"<ETag>&quot;ab-2&quot;</ETag>").unwrap(), "ab-2");
    }
}

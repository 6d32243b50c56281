//! What lies in the bucket, and what each request does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use md5::{Digest, Md5};

use super::http::{Request, Response};
use super::signature::hex;

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    pub octets: Bytes,
    /// `x-amz-meta-*`
    pub meta: Vec<(String, String)>,
    pub etag: String,
    born: Instant,
}

/// An upload of several parts.
#[derive(Clone, Debug, Default)]
struct Upload {
    key: String,
    meta: Vec<(String, String)>,
    parts: BTreeMap<u32, (Bytes, String)>,
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    pub name: String,
    pub objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    made: u64,
    /// Names on a page of a listing.
    pub page: usize,
    /// Whether who asks may list; who may not is not told what is missing.
    pub may_list: bool,
    /// How long nobody finds what was put.
    pub late: Duration,
    /// What listings do not show, though it is there; and what they show with this size, though it is not.
    pub unlisted: BTreeSet<String>,
    pub ghosts: BTreeMap<String, usize>,
}

impl Bucket {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            made: 0,
            page: 1000,
            may_list: true,
            late: Duration::ZERO,
            unlisted: BTreeSet::new(),
            ghosts: BTreeMap::new(),
        }
    }

    /// Uploads neither completed nor aborted.
    pub fn unfinished(&self) -> usize {
        self.uploads.len()
    }

    /// The key that a path names; empty for the bucket.
    pub fn key(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix('/')?.strip_prefix(&self.name)?;
        match rest.strip_prefix('/') {
            Some(key) => Some(super::http::decode(key)),
            None => rest.is_empty().then(String::new),
        }
    }

    pub fn answer(&mut self, request: &Request) -> Response {
        let Some(key) = self.key(&request.path) else {
            return Response::refusal(404, "NoSuchBucket");
        };
        if key.len() > 1024 {
            return Response::refusal(400, "KeyTooLongError");
        }
        let upload = request.parameter("uploadId");
        match (request.method.as_str(), key.is_empty(), upload) {
            ("GET", true, None) => self.list(request),
            ("GET", false, None) => self.get(&key, request),
            ("HEAD", false, None) => {
                let mut answer = self.get(&key, request);
                answer.body = Bytes::new();
                answer
            }
            ("PUT", false, None) => self.put(key, request),
            ("PUT", false, Some(id)) => self.part(&id, request),
            ("DELETE", false, None) => {
                self.objects.remove(&key);
                Response::new(204, "")
            }
            ("DELETE", false, Some(id)) => match self.uploads.remove(&id) {
                Some(_) => Response::new(204, ""),
                None => Response::refusal(404, "NoSuchUpload"),
            },
            ("POST", false, Some(id)) => self.complete(&id, request),
            ("POST", false, None) if request.parameter("uploads").is_some() => {
                self.begin(key, request)
            }
            _ => Response::refusal(405, "MethodNotAllowed"),
        }
    }

    fn put(&mut self, key: String, request: &Request) -> Response {
        let object = Object {
            octets: request.body.clone(),
            meta: meta(request),
            etag: hex(&Md5::digest(&request.body)),
            born: Instant::now(),
        };
        let etag = format!("\"{}\"", object.etag);
        self.objects.insert(key, object);
        Response::new(200, "").with("ETag", etag)
    }

    fn get(&self, key: &str, request: &Request) -> Response {
        let found = self.objects.get(key);
        let Some(object) = found.filter(|it| it.born.elapsed() >= self.late) else {
            return match self.may_list {
                true => Response::refusal(404, "NoSuchKey"),
                false => Response::refusal(403, "AccessDenied"),
            };
        };
        let size = object.octets.len();
        let mut answer = match request.header("range") {
            None => Response::new(200, object.octets.clone()),
            Some(range) => {
                let range = range
                    .strip_prefix("bytes=")
                    .and_then(|it| it.split_once('-'));
                let parsed = range.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                let Some((first, last)) = parsed.filter(|(a, b): &(usize, usize)| a <= b) else {
                    return Response::refusal(400, "InvalidArgument");
                };
                if first >= size {
                    return Response::refusal(416, "InvalidRange");
                }
                let end = size.min(last + 1);
                Response::new(206, object.octets.slice(first..end))
                    .with("Content-Range", format!("bytes {first}-{}/{size}", end - 1))
            }
        };
        answer = answer.with("ETag", format!("\"{}\"", object.etag));
        for (name, value) in &object.meta {
            answer = answer.with(name, value.clone());
        }
        answer
    }

    fn list(&self, request: &Request) -> Response {
        if !self.may_list {
            return Response::refusal(403, "AccessDenied");
        }
        let prefix = request.parameter("prefix").unwrap_or_default();
        let after = request.parameter("continuation-token").unwrap_or_default();
        let real = self.objects.iter();
        let real = real.map(|(key, it)| (key, (it.etag.as_str(), it.octets.len())));
        let real = real.filter(|(key, _)| !self.unlisted.contains(*key));
        let ghosts = self.ghosts.iter();
        let ghosts = ghosts.map(|(key, size)| (key, ("00000000000000000000000000000000", *size)));
        let all: BTreeMap<_, _> = real.chain(ghosts).collect();
        let mut found = all
            .into_iter()
            .filter(|(key, _)| key.starts_with(&prefix) && **key > after);
        let page: Vec<_> = found.by_ref().take(self.page).collect();
        let truncated = found.next().is_some();
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{}</MaxKeys><IsTruncated>{truncated}</IsTruncated>",
            self.name,
            escape(&prefix),
            page.len(),
            self.page
        );
        if let Some((last, _)) = page.last().filter(|_| truncated) {
            xml.push_str(&format!(
                "<NextContinuationToken>{}</NextContinuationToken>",
                escape(last)
            ));
        }
        for (key, (etag, size)) in page {
            xml.push_str(&format!(
                "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                escape(key),
                etag,
                size
            ));
        }
        xml.push_str("</ListBucketResult>");
        Response::new(200, xml)
    }

    fn begin(&mut self, key: String, request: &Request) -> Response {
        self.made += 1;
        let id = format!("upload/{}+=", self.made);
        let xml = format!(
            "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
            self.name,
            escape(&key)
        );
        let meta = meta(request);
        let upload = Upload {
            key,
            meta,
            ..Upload::default()
        };
        self.uploads.insert(id, upload);
        Response::new(200, xml)
    }

    fn part(&mut self, id: &str, request: &Request) -> Response {
        let number = request
            .parameter("partNumber")
            .and_then(|it| it.parse().ok());
        let (Some(upload), Some(number)) = (self.uploads.get_mut(id), number) else {
            return Response::refusal(404, "NoSuchUpload");
        };
        let etag = hex(&Md5::digest(&request.body));
        let part = (request.body.clone(), etag.clone());
        upload.parts.insert(number, part);
        Response::new(200, "").with("ETag", format!("\"{etag}\""))
    }

    fn complete(&mut self, id: &str, request: &Request) -> Response {
        let Some(upload) = self.uploads.get(id) else {
            return Response::refusal(404, "NoSuchUpload");
        };
        let (mut octets, mut sums, mut count) = (Vec::new(), Md5::new(), 0);
        let text = String::from_utf8_lossy(&request.body).into_owned();
        for part in text.split("<PartNumber>").skip(1) {
            count += 1;
            let number = part.split('<').next().and_then(|it| it.parse::<u32>().ok());
            let found = number.and_then(|it| upload.parts.get(&it));
            let Some((body, etag)) = found.filter(|(_, etag)| part.contains(etag.as_str())) else {
                return Response::refusal(400, "InvalidPart");
            };
            if body.len() < 5 << 20 && count < upload.parts.len() {
                return Response::refusal(400, "EntityTooSmall");
            }
            octets.extend_from_slice(body);
            sums.update(Md5::digest(body));
            assert!(!etag.is_empty());
        }
        if count != upload.parts.len() || count == 0 {
            return Response::refusal(400, "InvalidPart");
        }
        let etag = format!("{}-{count}", hex(&sums.finalize()));
        let object = Object {
            octets: octets.into(),
            meta: upload.meta.clone(),
            etag: etag.clone(),
            born: Instant::now(),
        };
        let key = upload.key.clone();
        self.uploads.remove(id);
        self.objects.insert(key, object);
        Response::new(
            200,
            format!(
                "<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>"
            ),
        )
    }
}

fn meta(request: &Request) -> Vec<(String, String)> {
    let of_object = |it: &&(String, String)| it.0.starts_with("x-amz-meta-");
    request.headers.iter().filter(of_object).cloned().collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

//! Requests to the store: made, signed, sent, and repeated while somebody waits.
//!
//! The transport is ours: rust-s3 takes no root certificates, holds whole bodies in memory and repeats by a rule of its own.
//!
//! **Invariants.** Connections belong to the runtime that opened the store: requests are sent there, whoever awaits them on
//! whatever runtime, and given up there when nobody does any longer.
//! **Bounds.** An attempt has a deadline that grows with its octets; all attempts together have the asker's, or [`PATIENCE`].

use std::{
    borrow::Cow,
    error::Error as _,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, Response,
    header::{CONTENT_LENGTH, HeaderMap, RETRY_AFTER},
};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    S3Settings, answer,
    body::Payload,
    retry::{Failure, pause},
    sign::{Place, Signer},
};
use crate::{
    Error,
    blob::{deadline, tally},
};

/// How long an operation is tried for which nobody said a deadline.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses; less than what servers and proxies allow.
const IDLE: Duration = Duration::from_secs(20);
/// The slowest transfer that is no failure, in octets a second.
const SLOWEST: u64 = 256 << 10;
/// Longest answer that is read into memory: a page of a listing is below a MiB.
const ANSWER: usize = 8 << 20;

/// A request.
#[derive(Clone)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Empty for the bucket.
    pub(super) key: &'a str,
    pub(super) query: Vec<(&'static str, Cow<'a, str>)>,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) sha256: [u8; 32],
}

impl<'a> Ask<'a> {
    /// One without octets.
    pub(super) fn new(method: Method, key: &'a str) -> Self {
        Self {
            method,
            key,
            query: Vec::new(),
            headers: HeaderMap::new(),
            payload: Payload::Nothing,
            sha256: super::EMPTY,
        }
    }
}

/// The way to a bucket.
pub(super) struct Client {
    http: reqwest::Client,
    place: Place,
    signer: Signer,
    timeout: Duration,
    runtime: Handle,
}

impl Client {
    /// Must be called on the runtime that is to hold the connections.
    pub(super) fn new(settings: &S3Settings) -> Result<Self, Error> {
        // A program that embeds us may have none yet; one that is there stays.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT.min(settings.timeout))
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15));
        if !settings.endpoint.starts_with("https:") {
            // Nobody to believe in: a system without authorities is good enough.
            http = http.tls_built_in_root_certs(false);
        }
        if let Some(pem) = &settings.ca {
            http = http.tls_built_in_root_certs(false);
            for certificate in certificates(pem)? {
                http = http.add_root_certificate(certificate);
            }
        }
        let http = http
            .build()
            .map_err(|error| Error::Unavailable(format!("no HTTP client: {}", causes(&error))))?;
        Ok(Self {
            http,
            place: Place::new(settings)?,
            signer: Signer::new(settings),
            timeout: settings.timeout,
            runtime: Handle::current(),
        })
    }

    /// The runtime that holds the connections.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Until when to try.
    pub(super) fn until() -> Instant {
        deadline().unwrap_or_else(|| Instant::now() + PATIENCE)
    }

    /// Sends a request until it is answered with success, refused for good, or `until` has come.
    pub(super) async fn ask(&self, ask: &Ask<'_>, until: Instant) -> Result<Response, Failure> {
        let mut repeated = 0;
        loop {
            let failure = match self.once(ask, until).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            if !failure.may_pass() || !wait(repeated, &failure, until).await {
                return Err(failure);
            }
            let (method, key) = (&ask.method, ask.key);
            tracing::debug!(%method, key, repeated, ?failure, "asking the store again");
            repeated += 1;
        }
    }

    /// [`Client::ask`], with the whole answer, which is short.
    pub(super) async fn ask_whole(
        &self,
        ask: &Ask<'_>,
        until: Instant,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let mut repeated = 0;
        loop {
            let mut response = self.ask(ask, until).await?;
            let headers = std::mem::take(response.headers_mut());
            match self.whole(response).await {
                Ok(octets) => return Ok((headers, octets)),
                Err(failure) if wait(repeated, &failure, until).await => repeated += 1,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// One attempt. What is no success is read, so that the connection serves again.
    async fn once(&self, ask: &Ask<'_>, until: Instant) -> Result<Response, Failure> {
        let octets = ask.payload.octets();
        let patience = self.timeout + Duration::from_secs(octets / SLOWEST);
        let patience = patience.min(until.saturating_duration_since(Instant::now()));
        let request = self.request(ask).map_err(Failure::Ours)?;
        let sent = OnRuntime::spawn(&self.runtime, self.http.execute(request));
        let response = match timeout(patience, sent).await {
            Ok(Some(Ok(response))) => response,
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(None) => return Err(Failure::Broken("the process is stopping".to_owned())),
            Err(_) => return Err(Failure::TimedOut),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|it| it.to_str().ok()?.parse().ok());
        let body = self.whole(response).await.unwrap_or_default();
        Err(Failure::Refused {
            status,
            code: answer::code(&body),
            after: after.map(Duration::from_secs),
        })
    }

    /// The next octets of an answer. The deadline is for silence, not for the whole; that of the transport would also count the
    /// time that a request takes to be sent.
    pub(super) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Failure> {
        match timeout(self.timeout, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    /// The octets of a short answer.
    async fn whole(&self, mut response: Response) -> Result<Bytes, Failure> {
        let mut octets = BytesMut::new();
        while let Some(chunk) = self.chunk(&mut response).await? {
            if octets.len() + chunk.len() > ANSWER {
                return Err(Failure::Broken("an answer without end".to_owned()));
            }
            octets.extend_from_slice(&chunk);
        }
        Ok(octets.freeze())
    }

    fn request(&self, ask: &Ask<'_>) -> Result<reqwest::Request, Error> {
        let url = self.place.url(ask.key, &ask.query)?;
        let mut headers = ask.headers.clone();
        let (method, now) = (ask.method.as_str(), SystemTime::now());
        self.signer
            .sign(method, &self.place, &url, &mut headers, &ask.sha256, now)?;
        let mut request = reqwest::Request::new(ask.method.clone(), url);
        if matches!(ask.method, Method::PUT | Method::POST) {
            // Known, so nothing is sent in chunks, which the store would not take.
            headers.insert(CONTENT_LENGTH, ask.payload.octets().into());
            *request.body_mut() = Some(ask.payload.body());
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Pauses before a repetition; false if it would come too late.
pub(super) async fn wait(repeated: u32, failure: &Failure, until: Instant) -> bool {
    let mut random = [0; 4];
    // Without random octets the pauses are the same for all: no reason to fail.
    let _ = getrandom::fill(&mut random);
    let pause = pause(repeated, failure.after(), u32::from_ne_bytes(random));
    if Instant::now() + pause >= until {
        return false;
    }
    tally().repeated(failure.repeat());
    sleep(pause).await;
    true
}

/// Why a connection did not serve.
fn broken(error: &reqwest::Error) -> Failure {
    match error.is_timeout() {
        true => Failure::TimedOut,
        false => Failure::Broken(causes(error)),
    }
}

/// An error with what caused it; without the URL, which names a person.
fn causes(error: &reqwest::Error) -> String {
    let mut text = match error.is_connect() {
        true => "cannot connect to the store".to_owned(),
        false => "the connection to the store broke".to_owned(),
    };
    let mut cause = error.source();
    let mut last = String::new();
    while let Some(error) = cause {
        last = error.to_string();
        cause = error.source();
    }
    if !last.is_empty() {
        text.push_str(": ");
        text.push_str(&last);
    }
    text
}

/// The certificates of a PEM file.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, Error> {
    let found = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
    match found.is_empty() {
        true => Err(Error::Invalid(
            "no certificate in the file of the store's CA",
        )),
        false => Ok(found),
    }
}

/// Work on the store's runtime that ends when nobody waits for it.
struct OnRuntime<T>(JoinHandle<T>);

impl<T: Send + 'static> OnRuntime<T> {
    fn spawn(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(runtime.spawn(work))
    }
}

impl<T> Future for OnRuntime<T> {
    /// None if the runtime is gone.
    type Output = Option<T>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|outcome| match outcome {
                Ok(value) => Some(value),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => None,
            })
    }
}

impl<T> Drop for OnRuntime<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

//! `/metrics`, `/health/live` and `/health/ready` over HTTP/1.1 (RFC 9112), for Prometheus and orchestrators.
//!
//! **Bounds.** `CONNECTIONS` at once (others wait in the socket), one request a connection, `HEADER_OCTETS` of header, no
//! bodies read, `CONNECTION_DEADLINE` in all.
//! **On failure.** A connection that fails touches no other.

use std::{convert::Infallible, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, net::TcpStream, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Metrics;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 32;
/// Octets of a request's header.
pub(crate) const HEADER_OCTETS: usize = 16 * 1024;
/// Fields of a request's header.
const HEADER_FIELDS: usize = 64;
/// For a request's header to arrive.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// For the answer whether we are ready.
const READY_DEADLINE: Duration = Duration::from_secs(5);
/// For a connection in all.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(30);
/// Pause after an accept that failed (out of file descriptors), so that a storm does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Check = dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync;

/// Says whether this server can do its work now, or why not.
#[derive(Clone)]
pub struct Readiness(Arc<Check>);

impl Readiness {
    /// Asks this closure each time. Its reason goes to whoever asks, so it holds no secrets.
    pub fn new<F, R>(check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }

    async fn check(&self) -> Result<(), String> {
        timeout(READY_DEADLINE, (self.0)())
            .await
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readiness")
    }
}

/// What is served.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// `/metrics`; none where the embedding program has its own recorder.
    pub metrics: Option<Metrics>,
    /// `/health/ready`
    pub ready: Readiness,
}

impl Endpoints {
    /// Serves until `stop`, on the runtime it is polled on.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &permits)).await {
            let Some((stream, permit)) = accepted else {
                continue;
            };
            let endpoints = self.clone();
            tokio::spawn(async move {
                let _permit = permit;
                if timeout(CONNECTION_DEADLINE, endpoints.connection(stream))
                    .await
                    .is_err()
                {
                    tracing::debug!("metrics connection took too long");
                }
            });
        }
    }

    async fn connection(self, stream: TcpStream) {
        let endpoints = &self;
        let answer = |request: Request<Incoming>| async move {
            let answer = endpoints.answer(request.method(), request.uri().path());
            Ok::<_, Infallible>(answer.await)
        };
        let outcome = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(HEADER_OCTETS)
            .max_headers(HEADER_FIELDS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .await;
        if let Err(error) = outcome {
            tracing::debug!(%error, "metrics connection failed");
        }
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut response =
                respond(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".into());
            let allow = header::HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allow);
            return response;
        }
        match path {
            "/metrics" => match &self.metrics {
                Some(metrics) => respond(StatusCode::OK, metrics.render()),
                None => respond(StatusCode::NOT_FOUND, "metrics go elsewhere\n".into()),
            },
            "/health/live" => respond(StatusCode::OK, "ok\n".into()),
            "/health/ready" => match self.ready.check().await {
                Ok(()) => respond(StatusCode::OK, "ok\n".into()),
                Err(reason) => respond(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            },
            _ => respond(
                StatusCode::NOT_FOUND,
                "/metrics /health/live /health/ready\n".into(),
            ),
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a metrics connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn respond(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    // The version is that of Prometheus' text format.
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicBool, Ordering},
    };

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Server {
        address: SocketAddr,
        ready: Arc<AtomicBool>,
        stop: CancellationToken,
        done: tokio::task::JoinHandle<()>,
    }

    async fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let ready = Arc::new(AtomicBool::new(true));
        let stop = CancellationToken::new();
        let flag = Arc::clone(&ready);
        let endpoints = Endpoints {
            metrics: Some(Metrics::install().expect("no other recorder in these tests")),
            ready: Readiness::new(move || {
                let ready = flag.load(Ordering::SeqCst);
                async move {
                    if ready {
                        Ok(())
                    } else {
                        Err("store: away".to_owned())
                    }
                }
            }),
        };
        let done = tokio::spawn(endpoints.serve(listener, stop.clone()));
        Server {
            address,
            ready,
            stop,
            done,
        }
    }

    async fn exchange(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        stream.write_all(request).await.expect("write");
        let mut answer = Vec::new();
        // A server that closes with unread octets resets; what came before counts.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        exchange(
            address,
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
        )
        .await
    }

    #[tokio::test]
    async fn serves_metrics_and_health() {
        let server = start().await;
        let metrics = get(server.address, "/metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
        assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
        assert!(
            metrics.contains("# TYPE process_open_fds gauge\n"),
            "{metrics}"
        );
        assert!(
            get(server.address, "/health/live")
                .await
                .starts_with("HTTP/1.1 200 ")
        );
        assert!(
            get(server.address, "/health/ready")
                .await
                .starts_with("HTTP/1.1 200 ")
        );
        server.ready.store(false, Ordering::SeqCst);
        let unready = get(server.address, "/health/ready").await;
        assert!(
            unready.starts_with("HTTP/1.1 503 ") && unready.ends_with("\r\n\r\nstore: away\n"),
            "{unready}"
        );
        assert!(
            get(server.address, "/health/live")
                .await
                .starts_with("HTTP/1.1 200 "),
            "alive though not ready"
        );
        assert!(get(server.address, "/").await.starts_with("HTTP/1.1 404 "));
        let post = exchange(
            server.address,
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        let head = exchange(
            server.address,
            b"HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        .await;
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        server.stop.cancel();
        server.done.await.expect("stops without panic");
    }

    #[tokio::test]
    async fn refuses_large_headers() {
        let server = start().await;
        let mut request = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
        request.resize(HEADER_OCTETS * 4, b'x');
        let answer = exchange(server.address, &request).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut request = b"GET /metrics HTTP/1.1\r\n".to_vec();
        for number in 0..=HEADER_FIELDS {
            request.extend_from_slice(format!("X{number}: y\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        let answer = exchange(server.address, &request).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        server.stop.cancel();
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_not_ready() {
        tokio::time::pause();
        let readiness = Readiness::new(std::future::pending);
        assert_eq!(readiness.check().await, Err("no answer in time".to_owned()));
    }
}

//! An S3 server for tests, which checks what it is sent and fails as it is told.
//!
//! It knows one bucket and one pair of keys, and runs on a thread of its own.

mod bucket;
mod http;
mod signature;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use postrider_storage::blob::S3Settings;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub use self::bucket::{Bucket, Object};
use self::http::{Request, Response};
pub use self::signature::{encode, hex};

pub const ACCESS: &str = "AKIATEST";
pub const SECRET: &str = "secret/+secret";
pub const BUCKET: &str = "mailboxes";
pub const REGION: &str = "kr-central-1";

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is refused and nothing is done.
    Refuse(u16, &'static str),
    /// The same, with `Retry-After`.
    RefuseFor(u16, &'static str, u64),
    /// The connection ends, and nothing is done.
    Cut,
    /// It is done, then the connection ends without an answer.
    CutAfter,
    /// It is done, and the connection ends after so many octets of the answer's body.
    CutIn(usize),
    /// It is done, and nothing comes after so many octets of the answer's body.
    StallIn(usize),
    /// It is done so late.
    Delay(Duration),
    /// It is done at once and answered so late.
    DelayAfter(Duration),
    /// It is answered with success, but not done.
    Lose,
    /// Other octets are kept than were sent, and their checksum is told.
    Spoil,
    /// Never answered.
    Stall,
    /// The answer has no range.
    WholeInstead,
}

struct State {
    bucket: Mutex<Bucket>,
    /// One at a time, by what the requests are ("PUT", "GET"…).
    faults: Mutex<VecDeque<(&'static str, Fault)>>,
    /// What all requests suffer, for as long as it is set.
    always: watch::Sender<Option<Fault>>,
    /// Method, path and query of all requests.
    seen: Mutex<Vec<String>>,
    working: AtomicUsize,
    most: AtomicUsize,
    connections: AtomicUsize,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    tls: bool,
}

impl Server {
    /// Starts one in clear.
    pub fn start() -> Self {
        Self::run(None, "127.0.0.1:0")
    }

    /// Starts one in clear at this address.
    #[allow(dead_code)] // what the program does
    pub fn start_at(address: &str) -> Self {
        Self::run(None, address)
    }

    /// Starts one with this certificate.
    pub fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::run(Some(config.into()), "127.0.0.1:0")
    }

    fn run(tls: Option<TlsAcceptor>, address: &str) -> Self {
        let wanted = address.to_owned();
        let state = Arc::new(State {
            bucket: Mutex::new(Bucket::new(BUCKET)),
            faults: Mutex::default(),
            always: watch::Sender::new(None),
            seen: Mutex::default(),
            working: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let stop = watch::Sender::new(false);
        let (has_tls, shared, mut stopped) = (tls.is_some(), state.clone(), stop.subscribe());
        let (tell, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind(wanted).await.expect("a free port");
                let address = listener.local_addr().expect("it is bound");
                tell.send(address).expect("somebody waits");
                loop {
                    let stream = tokio::select! {
                        accepted = listener.accept() => accepted.expect("a connection").0,
                        _ = stopped.wait_for(|it| *it) => break,
                    };
                    stream.set_nodelay(true).expect("a socket");
                    let (state, tls) = (shared.clone(), tls.clone());
                    state.connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(async move {
                        // What breaks here is what a client may do.
                        let _ = match tls {
                            None => serve(stream, &state).await,
                            Some(tls) => match tls.accept(stream).await {
                                Ok(stream) => serve(stream, &state).await,
                                Err(error) => Err(error),
                            },
                        };
                    });
                }
            });
            runtime.shutdown_background();
        });
        Self {
            address: address.recv().expect("the server starts"),
            state,
            stop,
            tls: has_tls,
        }
    }

    /// URL of the store.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// How to reach the bucket.
    pub fn settings(&self) -> S3Settings {
        S3Settings {
            region: REGION.to_owned(),
            ..S3Settings::new(&self.endpoint(), BUCKET, ACCESS, SECRET)
        }
    }

    pub fn bucket(&self) -> MutexGuard<'_, Bucket> {
        lock(&self.state.bucket)
    }

    /// The next request of this method without a fault yet suffers this one.
    pub fn fault(&self, method: &'static str, fault: Fault) {
        lock(&self.state.faults).push_back((method, fault));
    }

    /// Faults that nobody has suffered yet.
    pub fn pending(&self) -> usize {
        lock(&self.state.faults).len()
    }

    /// All requests suffer this from now on; those that stall do so until this is called again.
    pub fn always(&self, fault: Option<Fault>) {
        self.state.always.send_replace(fault);
    }

    /// Requests so far: method, path and query; forgets them.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state.seen))
    }

    /// Requests that were worked on at a time, at most, since this was last asked.
    pub fn most(&self) -> usize {
        self.state.most.swap(0, Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn serve<S>(mut stream: S, state: &State) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::new();
    while let Some(request) = Request::read(&mut stream, &mut buffer).await? {
        let _working = Working::new(state);
        let line = format!("{} {}?{}", request.method, request.path, request.query);
        lock(&state.seen).push(line);
        let fault = suffer(state, &request).await;
        let answer = match fault {
            Some(Fault::Cut) => return Ok(()),
            Some(Fault::Refuse(status, code)) => Response::refusal(status, code),
            Some(Fault::RefuseFor(status, code, seconds)) => {
                Response::refusal(status, code).with("Retry-After", seconds.to_string())
            }
            fault => done(state, request, fault),
        };
        match fault {
            Some(Fault::CutAfter) => return Ok(()),
            Some(Fault::CutIn(octets)) => return answer.write(&mut stream, octets).await,
            Some(Fault::StallIn(octets)) => {
                answer.write(&mut stream, octets).await?;
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Ok(());
            }
            Some(Fault::DelayAfter(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        answer.write(&mut stream, usize::MAX).await?;
    }
    Ok(())
}

/// Takes the fault of a request, and waits what it says.
async fn suffer(state: &State, request: &Request) -> Option<Fault> {
    let own = {
        let mut faults = lock(&state.faults);
        let position = faults.iter().position(|(it, _)| *it == request.method);
        position.and_then(|it| faults.remove(it)).map(|it| it.1)
    };
    let fault = own.or_else(|| *state.always.borrow());
    match fault {
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Stall) => {
            let mut always = state.always.subscribe();
            always.mark_unchanged();
            let _ = always.changed().await;
            // Not answered even then: the client has given up, or will.
            return Some(Fault::Cut);
        }
        _ => {}
    }
    fault
}

/// Does what a request wants.
fn done(state: &State, mut request: Request, fault: Option<Fault>) -> Response {
    if let Err((status, code)) = signature::check(&request, ACCESS, SECRET, REGION) {
        return Response::refusal(status, code);
    }
    let mut bucket = lock(&state.bucket);
    match fault {
        Some(Fault::Lose) => {
            let key = bucket.key(&request.path).unwrap_or_default();
            let before = bucket.objects.get(&key).cloned();
            let answer = bucket.answer(&request);
            match before {
                Some(before) => bucket.objects.insert(key, before),
                None => bucket.objects.remove(&key),
            };
            return answer;
        }
        Some(Fault::Spoil) => {
            let mut octets = request.body.to_vec();
            match octets.first_mut() {
                Some(first) => *first ^= 1,
                None => octets.push(b'x'),
            }
            request.body = octets.into();
        }
        Some(Fault::WholeInstead) => request.headers.retain(|(name, _)| name != "range"),
        _ => {}
    }
    bucket.answer(&request)
}

/// A request that is worked on.
struct Working<'a>(&'a State);

impl<'a> Working<'a> {
    fn new(state: &'a State) -> Self {
        let now = state.working.fetch_add(1, Ordering::SeqCst) + 1;
        state.most.fetch_max(now, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Real sockets on the loopback, and failing ones that are not real.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::*;
use crate::net::limit::Limits;

fn limiter(total: usize) -> Limiter {
    Limiter::new(Limits {
        total,
        ..Limits::default()
    })
}

fn loopback(workers: usize) -> Vec<Socket> {
    Socket::bind(&"127.0.0.1:0".parse().unwrap(), workers, 0o660).unwrap()
}

fn address(socket: &Socket) -> SocketAddr {
    match socket.bound() {
        Bind::Tcp(address) => address,
        Bind::Unix(_) => unreachable!("bound to an address"),
    }
}

/// Runs a loop that hands its connections out.
fn start(
    socket: &Socket,
    limiter: &Limiter,
) -> (
    mpsc::Receiver<Accepted>,
    CancellationToken,
    tokio::task::JoinHandle<()>,
) {
    let (sender, receiver) = mpsc::channel();
    let drain = CancellationToken::new();
    let (socket, limiter, token) = (socket.clone(), limiter.clone(), drain.clone());
    let task = tokio::spawn(async move {
        let serve = move |accepted| sender.send(accepted).unwrap();
        socket
            .accept(Service::Imap, &limiter, &token, serve)
            .await
            .unwrap();
    });
    (receiver, drain, task)
}

async fn next(receiver: &mpsc::Receiver<Accepted>) -> Accepted {
    for _ in 0..500 {
        if let Ok(accepted) = receiver.try_recv() {
            return accepted;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing accepted");
}

#[tokio::test]
async fn all_workers_share_the_port_the_first_one_got() {
    let sockets = loopback(3);
    let ports: Vec<_> = sockets.iter().map(address).collect();
    assert_ne!(ports[0].port(), 0);
    assert!(ports.iter().all(|port| *port == ports[0]));

    let limiter = limiter(1000);
    let workers: Vec<_> = sockets
        .iter()
        .map(|socket| start(socket, &limiter))
        .collect();
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(TcpStream::connect(ports[0]).await.unwrap());
    }
    let mut accepted = Vec::new();
    while accepted.len() < 60 {
        for (receiver, ..) in &workers {
            accepted.extend(receiver.try_iter());
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(limiter.open(), 60);
    for (_, drain, task) in workers {
        drain.cancel();
        task.await.unwrap();
    }
    assert_eq!(limiter.open(), 60, "connections outlive their listener");
    drop(accepted);
    assert_eq!(limiter.open(), 0);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_even_where_it_is_shared() {
    for (first, second) in [(2, 2), (2, 1), (1, 2), (1, 1)] {
        let held = loopback(first);
        let error = Socket::bind(&held[0].bound(), second, 0o660).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"));
        let bind = held[0].bound();
        drop(held);
        Socket::bind(&bind, second, 0o660).unwrap();
    }
}

#[tokio::test]
async fn a_connection_knows_both_ends_and_talks_at_once() {
    let socket = loopback(1).remove(0);
    let limiter = limiter(10);
    let (receiver, drain, task) = start(&socket, &limiter);
    let mut client = TcpStream::connect(address(&socket)).await.unwrap();
    let accepted = next(&receiver).await;
    assert_eq!(accepted.remote, Remote::Inet(client.local_addr().unwrap()));
    assert_eq!(accepted.local, Some(client.peer_addr().unwrap()));
    let Plain::Tcp(mut tcp) = accepted.transport else {
        panic!("not TCP")
    };
    assert!(tcp.nodelay().unwrap());
    assert!(SockRef::from(&tcp).keepalive().unwrap());
    tcp.write_all(b"220 ready\r\n").await.unwrap();
    let mut greeting = [0; 11];
    client.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 ready\r\n");
    drain.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_loop_may_be_started_again_on_its_socket() {
    let socket = loopback(1).remove(0);
    let limiter = limiter(10);
    let (_, drain, task) = start(&socket, &limiter);
    drain.cancel();
    task.await.unwrap();
    let client = TcpStream::connect(address(&socket)).await.unwrap();
    let (receiver, drain, task) = start(&socket, &limiter);
    let accepted = next(&receiver).await;
    assert_eq!(accepted.remote, Remote::Inet(client.local_addr().unwrap()));
    drain.cancel();
    task.await.unwrap();
    let there = address(&socket);
    drop(socket);
    assert!(
        TcpStream::connect(there).await.is_err(),
        "closed with the last clone"
    );
}

#[tokio::test]
async fn attack_06_no_more_are_accepted_than_there_are_slots() {
    let socket = loopback(1).remove(0);
    let limiter = limiter(2);
    let (receiver, drain, task) = start(&socket, &limiter);
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(TcpStream::connect(address(&socket)).await.unwrap());
    }
    let first = next(&receiver).await;
    let _second = next(&receiver).await;
    sleep(Duration::from_millis(50)).await;
    assert!(receiver.try_recv().is_err());
    assert_eq!(limiter.open(), 2);
    drop(first);
    next(&receiver).await;
    drain.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_takes_the_place_of_a_dead_one() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lmtp");
    let bind = Bind::Unix(path.clone());
    // A listener that is dropped leaves its file behind, as a crash does.
    drop(unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let sockets = Socket::bind(&bind, 2, 0o600).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = Socket::bind(&bind, 1, 0o600).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);

    let limiter = limiter(10);
    let workers: Vec<_> = sockets
        .iter()
        .map(|socket| start(socket, &limiter))
        .collect();
    let _client = UnixStream::connect(&path).await.unwrap();
    let accepted = loop {
        match workers
            .iter()
            .find_map(|(receiver, ..)| receiver.try_recv().ok())
        {
            Some(accepted) => break accepted,
            None => sleep(Duration::from_millis(1)).await,
        }
    };
    assert_eq!(accepted.remote, Remote::Unix);
    for (_, drain, task) in workers {
        drain.cancel();
        task.await.unwrap();
    }
    drop(sockets);
    assert!(!path.exists(), "removed with the last clone");

    std::fs::write(&path, "mail").unwrap();
    let error = Socket::bind(&bind, 1, 0o600).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"mail");
}

#[tokio::test]
async fn both_address_families_may_have_the_same_port() {
    let v4 = Socket::bind(&"0.0.0.0:0".parse().unwrap(), 2, 0o660).unwrap();
    let port = address(&v4[0]).port();
    let v6 = Bind::Tcp(SocketAddr::from(([0_u16; 8], port)));
    match Socket::bind(&v6, 2, 0o660) {
        Ok(v6) => assert_eq!(address(&v6[1]).port(), port),
        // A host without IPv6 says so; "in use" would be our fault.
        Err(error) => assert_ne!(error.source.kind(), io::ErrorKind::AddrInUse),
    }
}

#[tokio::test]
async fn sockets_of_the_service_manager_are_taken_over() {
    let inherited = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = inherited.local_addr().unwrap();
    let socket = Socket::adopt_tcp(inherited).unwrap();
    assert_eq!(socket.bound(), Bind::Tcp(there));
    let limiter = limiter(10);
    let (receiver, drain, task) = start(&socket, &limiter);
    let _client = TcpStream::connect(there).await.unwrap();
    next(&receiver).await;
    drain.cancel();
    task.await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lmtp");
    let inherited = unix::net::UnixListener::bind(&path).unwrap();
    let socket = Socket::adopt_unix(inherited).unwrap();
    assert_eq!(socket.bound(), Bind::Unix(path.clone()));
    let (receiver, drain, task) = start(&socket, &limiter);
    let _client = UnixStream::connect(&path).await.unwrap();
    assert_eq!(next(&receiver).await.remote, Remote::Unix);
    drain.cancel();
    task.await.unwrap();
    drop(socket);
    assert!(path.exists(), "the manager's, not ours");
}

/// EMFILE is 24 on every Unix.
fn no_descriptors() -> io::Error {
    io::Error::from_raw_os_error(24)
}

/// A source that does what a script says of each try.
struct Scripted<'a> {
    tries: &'a mut Vec<Instant>,
    script: fn(usize) -> Option<io::Result<Connected>>,
}

impl Source for Scripted<'_> {
    async fn next(&mut self) -> io::Result<Connected> {
        self.tries.push(Instant::now());
        match (self.script)(self.tries.len()) {
            Some(outcome) => outcome,
            None => std::future::pending().await,
        }
    }
}

/// Runs a script for some time and returns when it was tried and how many connections it brought.
async fn run_script(
    time: Duration,
    script: fn(usize) -> Option<io::Result<Connected>>,
) -> (Vec<Instant>, usize) {
    let (mut tries, mut served) = (Vec::new(), 0);
    let drain = CancellationToken::new();
    let limiter = limiter(10);
    let source = Scripted {
        tries: &mut tries,
        script,
    };
    let work = accept_loop(Service::Imap, &limiter, &drain, source, |_| served += 1);
    let stop = async {
        sleep(time).await;
        drain.cancel();
    };
    tokio::join!(work, stop);
    assert_eq!(limiter.open(), 0);
    (tries, served)
}

#[tokio::test(start_paused = true)]
async fn attack_06_no_file_descriptors_back_off_and_do_not_spin() {
    let minute = Duration::from_secs(60);
    let (tries, served) = run_script(minute, |_| Some(Err(no_descriptors()))).await;
    assert!((60..75).contains(&tries.len()), "{} tries", tries.len());
    assert_eq!(served, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_good_connection_the_pause_is_short_again() {
    let (tries, served) = run_script(Duration::from_secs(600), |tried| match tried {
        20 => Some(Ok((
            Plain::Memory(tokio::io::duplex(1).0),
            Remote::Unix,
            None,
        ))),
        21..=29 => Some(Err(io::ErrorKind::ConnectionAborted.into())),
        31 => None,
        _ => Some(Err(no_descriptors())),
    })
    .await;
    assert_eq!(served, 1);
    assert_eq!(tries.len(), 31);
    assert_eq!(tries[19] - tries[18], Duration::from_secs(1));
    assert_eq!(
        tries[29], tries[19],
        "what concerns one connection costs no time"
    );
    assert_eq!(tries[30] - tries[29], Duration::from_millis(10));
}

#[tokio::test]
async fn drain_is_heard_while_no_slot_is_free() {
    let socket = loopback(1).remove(0);
    let (_receiver, drain, task) = start(&socket, &limiter(0));
    let _client = TcpStream::connect(address(&socket)).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    drain.cancel();
    task.await.unwrap();
}

//! Clients that connect and say nothing, by the thousand.

use std::net::TcpStream;
use std::time::Duration;

use postrider::net::descriptors::Descriptors;

use crate::server::{PLAIN, Server, TLS};

/// As many as are tried.
const MANY: usize = 10_000;
/// Fewer prove nothing.
const FEWEST: usize = 4_000;
/// Memory of one that is silent: a socket, a session, an actor. A debug build's futures are larger than a release build's.
const EACH: u64 = 24 << 10;

/// Silent connections over all services, in clear and where the handshake would come first.
fn silent(server: &Server, count: usize) -> Vec<TcpStream> {
    let ports: Vec<_> = PLAIN.iter().chain(&TLS).map(|it| server.port(it)).collect();
    let connect = |number: usize| {
        let port = ports[number % ports.len()];
        TcpStream::connect(("127.0.0.1", port)).expect("it listens")
    };
    (0..count).map(connect).collect()
}

#[test]
fn attack_06_ten_thousand_silent_connections_cost_little_and_hinder_nobody() {
    let Descriptors { soft, .. } = Descriptors::raise();
    let count = MANY.min(usize::try_from(soft).unwrap_or(MANY).saturating_sub(1000));
    assert!(
        count >= FEWEST,
        "the hard limit of descriptors is {soft}, which is too few for this test"
    );
    let server = Server::start(
        "[limits]\nconnections = 20000\nexempt = [\"127.0.0.1/32\"]\n\
         [deadlines]\nhandshake = \"10m\"\ngreeting = \"10m\"\nlogin = \"10m\"\n",
    );
    let before = server.memory();
    let clients = silent(&server, count);
    let all_in = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        server.metric("postrider_connections_open") >= count as u64
    });
    assert!(all_in, "not all of {count} are in");
    server.holds_no_more_than(before, EACH * count as u64, "10,000 silent connections");
    server.serves_others();
    // They cost nothing while they are silent.
    let cpu = server.cpu();
    std::thread::sleep(Duration::from_secs(3));
    let used = server.cpu() - cpu;
    assert!(used < 60, "{used} hundredths of a second for silence");
    // And nothing when they are gone.
    drop(clients);
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        server.metric("postrider_connections_open") < 50
    });
    assert!(gone, "places of who has left are taken");
    server.serves_others();
}

#[test]
fn attack_06_the_house_is_full_until_somebody_goes() {
    let server = Server::start("[limits]\nconnections = 50\nexempt = [\"127.0.0.1/32\"]\n");
    let imap: Vec<_> = (0..50).map(|_| server.connect("imap")).collect();
    let more = silent(&server, 200);
    let cpu = server.cpu();
    std::thread::sleep(Duration::from_secs(2));
    let used = server.cpu() - cpu;
    assert!(used < 40, "{used} hundredths of a second for a full house");
    drop((more, imap));
    server.serves_others();
    assert!(server.reached("connections") > 0);
}

#[test]
fn attack_06_silence_ends_at_its_deadline() {
    let server = Server::start(
        "[limits]\nexempt = [\"127.0.0.1/32\"]\n\
         [deadlines]\nhandshake = \"1s\"\ngreeting = \"1s\"\nlogin = \"2s\"\ncommand = \"1s\"\nline = \"1s\"\n",
    );
    let clients = silent(&server, 400);
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        server.metric("postrider_connections_open") == 0
    });
    assert!(gone, "silent connections stay");
    drop(clients);
    assert!(server.metric("postrider_connection_timeouts_total") >= 200);
    server.serves_others();
}

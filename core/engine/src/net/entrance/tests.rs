//! The whole way in, over real sockets: proxies believed and not, limits, STARTTLS, slow and idle clients.
#![allow(clippy::unwrap_used)]

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::TlsVersion;
use crate::net::buffer::ReadBuffer;
use crate::net::limit::{Limiter, Limits};
use crate::net::stream::StartTlsError;
use crate::net::tls::tests::{client, write_pair};
use crate::net::tls::{Certificates, TlsSettings};

const CLIENT: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n";

/// The way in for IMAP, over TLS if there is an acceptor.
fn entrance(proxies: &[&str], tls: Option<Acceptor>) -> Entrance {
    let networks = proxies.iter().map(|net| net.parse().unwrap()).collect();
    let (service, security) = match tls {
        Some(tls) => (Service::Imaps, Security::of(Service::Imaps, &tls)),
        None => (Service::Imap, Security::None),
    };
    Entrance {
        service,
        proxies: Proxies::new(networks),
        proxy_patience: Duration::from_millis(300),
        security,
        bans: Bans::default(),
    }
}

fn limiter(per_address: usize) -> Limiter {
    Limiter::new(Limits {
        per_address,
        ..Limits::default()
    })
}

/// A client and the connection that the listener made of it.
async fn connect(limiter: &Limiter) -> (TcpStream, Accepted) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (server, remote) = accepted.unwrap();
    let accepted = Accepted {
        transport: Plain::Tcp(server),
        remote: Remote::inet(remote),
        local: Some(address),
        slot: limiter.try_slot(Service::Imap).unwrap(),
    };
    (client.unwrap(), accepted)
}

fn acceptor() -> (Acceptor, tokio_rustls::TlsConnector) {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pair(directory.path(), "a", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let acceptor = Acceptor::new(certificates, &TlsSettings::default()).unwrap();
    (acceptor, client(&[certificate], TlsVersion::V1_3, &[]))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

#[tokio::test]
async fn a_direct_client_is_itself() {
    let limiter = limiter(10);
    let (client, accepted) = connect(&limiter).await;
    let entered = entrance(&[], None).enter(accepted).await.unwrap();
    assert_eq!(
        entered.peer.remote,
        Remote::Inet(client.local_addr().unwrap())
    );
    assert_eq!(entered.peer.local, Some(client.peer_addr().unwrap()));
    assert_eq!(entered.peer.proxy, None);
    assert_eq!(entered.peer.tls, None);
}

#[tokio::test]
async fn attack_34_a_believed_proxy_says_who_the_client_is() {
    let limiter = limiter(10);
    let (mut client, accepted) = connect(&limiter).await;
    client.write_all(CLIENT).await.unwrap();
    client.write_all(b"EHLO x\r\n").await.unwrap();
    let mut entered = entrance(&["127.0.0.0/8"], None)
        .enter(accepted)
        .await
        .unwrap();
    assert_eq!(entered.peer.remote.to_string(), "192.0.2.1:4711");
    assert_eq!(entered.peer.local.unwrap().to_string(), "198.51.100.1:25");
    assert_eq!(entered.peer.proxy, Some(client.local_addr().unwrap()));
    let mut command = [0; 8];
    entered.stream.read_exact(&mut command).await.unwrap();
    assert_eq!(&command, b"EHLO x\r\n");
}

#[tokio::test]
async fn attack_34_anybody_elses_header_is_a_command_nobody_knows() {
    let limiter = limiter(10);
    let (mut client, accepted) = connect(&limiter).await;
    client.write_all(CLIENT).await.unwrap();
    let mut entered = entrance(&["10.0.0.0/8"], None)
        .enter(accepted)
        .await
        .unwrap();
    assert_eq!(
        entered.peer.remote,
        Remote::Inet(client.local_addr().unwrap())
    );
    assert_eq!(entered.peer.proxy, None);
    let mut command = vec![0; CLIENT.len()];
    entered.stream.read_exact(&mut command).await.unwrap();
    assert_eq!(command, CLIENT, "left to the protocol");
}

#[tokio::test]
async fn attack_34_a_proxy_must_say_who_the_client_is() {
    let limiter = limiter(10);
    let entrance = entrance(&["127.0.0.0/8"], None);
    for said in [
        &b"EHLO x\r\n"[..],
        b"\x16\x03\x01",
        b"PROXY TCP4 nobody\r\n",
    ] {
        let (mut client, accepted) = connect(&limiter).await;
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let rejected = entrance.enter(accepted).await.unwrap_err();
        assert!(matches!(rejected, Rejected::Proxy(_)), "{rejected}");
    }
    let (_silent, accepted) = connect(&limiter).await;
    let rejected = entrance.enter(accepted).await.unwrap_err();
    assert!(matches!(rejected, Rejected::Proxy(ProxyError::TooSlow)));
    assert_eq!(limiter.open(), 0);
}

/// Clients behind a proxy are counted one by one, and never together as the proxy.
#[tokio::test]
async fn attack_34_the_proxy_itself_is_never_over_a_limit() {
    let limiter = limiter(1);
    let entrance = entrance(&["127.0.0.0/8"], None);
    let mut inside = Vec::new();
    for number in 1..5 {
        let (mut client, accepted) = connect(&limiter).await;
        let header = format!("PROXY TCP4 192.0.2.{number} 198.51.100.1 4711 25\r\n");
        client.write_all(header.as_bytes()).await.unwrap();
        inside.push((client, entrance.enter(accepted).await.unwrap()));
    }
    for check in [&b"PROXY UNKNOWN\r\n"[..], b"PROXY UNKNOWN\r\n"] {
        let (mut client, accepted) = connect(&limiter).await;
        client.write_all(check).await.unwrap();
        let entered = entrance.enter(accepted).await.unwrap();
        assert_eq!(entered.peer.key(), None);
        inside.push((client, entered));
    }
    let (mut client, accepted) = connect(&limiter).await;
    client.write_all(CLIENT).await.unwrap();
    let rejected = entrance.enter(accepted).await.unwrap_err();
    assert!(matches!(rejected, Rejected::Limit { .. }), "{rejected}");
}

#[tokio::test]
async fn attack_06_one_too_many_is_told_and_leaves_nothing() {
    let limiter = limiter(1);
    let (_one, accepted) = connect(&limiter).await;
    let inside = entrance(&[], None).enter(accepted).await.unwrap();
    let (mut two, accepted) = connect(&limiter).await;
    match entrance(&[], None).enter(accepted).await.unwrap_err() {
        Rejected::Limit {
            refused,
            stream,
            peer,
            ..
        } => {
            assert_eq!(refused, Refused::Address);
            assert_eq!(peer.remote, Remote::Inet(two.local_addr().unwrap()));
            let mut stream = stream.expect("no TLS");
            stream.write_all(b"421 too many\r\n").await.unwrap();
        }
        other => panic!("{other}"),
    }
    let mut told = String::new();
    two.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "421 too many\r\n");
    assert_eq!(limiter.open(), 1);
    drop(inside);
    assert_eq!(limiter.open(), 0);

    let (acceptor, _) = acceptor();
    let (_one, accepted) = connect(&limiter).await;
    let tls = entrance(&[], None).enter(accepted).await.unwrap();
    let (_two, accepted) = connect(&limiter).await;
    let rejected = entrance(&[], Some(acceptor)).enter(accepted).await;
    let Err(Rejected::Limit { stream, .. }) = rejected else {
        panic!("let in")
    };
    assert!(stream.is_none(), "no handshake for the refused");
    drop(tls);
}

#[tokio::test]
async fn attack_34_a_banned_client_gets_no_handshake_and_its_proxy_is_never_banned() {
    let limiter = limiter(10);
    let (acceptor, _) = acceptor();
    let client: std::net::IpAddr = "192.0.2.1".parse().unwrap();
    let mut entrance = entrance(&["127.0.0.0/8"], Some(acceptor));
    entrance.bans = Bans::new(move |peer| peer.ip() == Some(client));
    let (mut banned, accepted) = connect(&limiter).await;
    banned.write_all(CLIENT).await.unwrap();
    match entrance.enter(accepted).await.unwrap_err() {
        Rejected::Limit {
            refused, stream, ..
        } => assert!(refused == Refused::Banned && stream.is_none()),
        other => panic!("{other}"),
    }
    assert_eq!(limiter.open(), 0);
    // Mail from its server comes in all the same.
    entrance.service = Service::Smtp;
    entrance.security = Security::None;
    let (mut server, accepted) = connect(&limiter).await;
    server.write_all(CLIENT).await.unwrap();
    assert!(entrance.enter(accepted).await.is_ok());
}

/// Clients that connect to TLS and leave, or never speak: each gives back what it took.
#[tokio::test]
async fn attack_08_handshake_only_clients_leave_nothing() {
    let limiter = limiter(100);
    let (acceptor, connector) = acceptor();
    let entrance = entrance(&[], Some(acceptor));
    for _ in 0..10 {
        let (client, accepted) = connect(&limiter).await;
        let (entered, client) = tokio::join!(
            entrance.enter(accepted),
            connector.connect(localhost(), client)
        );
        let entered = entered.unwrap();
        assert_eq!(entered.peer.tls.as_ref().unwrap().version, "TLSv1.3");
        drop((entered, client.unwrap()));
        let (client, accepted) = connect(&limiter).await;
        drop(client);
        let rejected = entrance.enter(accepted).await.unwrap_err();
        assert!(matches!(rejected, Rejected::Handshake(_)), "{rejected}");
    }
    assert_eq!(limiter.open(), 0);
}

#[tokio::test]
async fn attack_15_nothing_said_before_the_handshake_counts() {
    let limiter = limiter(100);
    let (acceptor, connector) = acceptor();
    let (mut client, accepted) = connect(&limiter).await;
    let mut entered = entrance(&[], None).enter(accepted).await.unwrap();
    let mut buffer = ReadBuffer::new();

    // Both in one segment: the injected command is in our buffer.
    client.write_all(b"STARTTLS\r\nRSET\r\n").await.unwrap();
    while buffer.octets().len() < 16 {
        buffer.read_from(&mut entered.stream).await.unwrap();
    }
    let line = buffer.octets().split_to(10);
    assert_eq!(line, &b"STARTTLS\r\n"[..]);
    let secured = entered.stream.start_tls(&acceptor, buffer.octets()).await;
    assert!(matches!(
        secured,
        Err(StartTlsError::Injected { octets: 6 })
    ));

    // The injected command is still in the kernel: it is no handshake.
    let (mut client, accepted) = connect(&limiter).await;
    let entered = entrance(&[], None).enter(accepted).await.unwrap();
    client.write_all(b"RSET\r\n").await.unwrap();
    let connect_tls = connector.connect(localhost(), client);
    let (secured, _) = tokio::join!(entered.stream.start_tls(&acceptor, b""), connect_tls);
    assert!(matches!(secured, Err(StartTlsError::Handshake(_))));
}

#[tokio::test]
async fn starttls_secures_a_stream_once() {
    let limiter = limiter(100);
    let (acceptor, connector) = acceptor();
    let (client, accepted) = connect(&limiter).await;
    let entered = entrance(&[], None).enter(accepted).await.unwrap();
    let (secured, client) = tokio::join!(
        entered.stream.start_tls(&acceptor, b""),
        connector.connect(localhost(), client)
    );
    let (mut secured, mut client) = (secured.unwrap(), client.unwrap());
    let info = secured.tls_info().unwrap();
    assert_eq!(info.server_name.as_deref(), Some("localhost"));
    client.write_all(b"NOOP\r\n").await.unwrap();
    client.flush().await.unwrap();
    let mut buffer = ReadBuffer::new();
    assert_eq!(buffer.read_from(&mut secured).await.unwrap(), 6);
    assert_eq!(buffer.octets(), &b"NOOP\r\n"[..]);
    let again = secured.start_tls(&acceptor, b"").await;
    assert!(matches!(again, Err(StartTlsError::Secured)));
}

#[tokio::test]
async fn a_configured_listener_has_its_way_in() {
    let config = crate::config::Config::embedded(std::path::Path::new("/nowhere"));
    let (acceptor, _) = acceptor();
    let limiter = limiter(100);
    let mut offered = Vec::new();
    for listener in &config.listeners {
        let security = Security::of(listener.service, &acceptor);
        let entrance = Entrance::new(listener, &config.deadlines, security, Bans::default());
        if matches!(entrance.security, Security::Implicit(_)) {
            continue;
        }
        let (_client, accepted) = connect(&limiter).await;
        let entered = entrance.enter(accepted).await.unwrap();
        assert!(!entered.stream.is_secured());
        if entered.starttls.is_some() {
            offered.push(listener.service);
        }
    }
    let expected = [
        Service::Smtp,
        Service::Submission,
        Service::Imap,
        Service::Pop3,
    ];
    assert_eq!(offered, expected);
}

/// An idle TLS connection holds no read buffer, and wakes when there is something to read.
#[tokio::test]
async fn an_idle_tls_connection_borrows_nothing() {
    let limiter = limiter(100);
    let (acceptor, connector) = acceptor();
    let (client, accepted) = connect(&limiter).await;
    let entrance = entrance(&[], Some(acceptor));
    let (entered, client) = tokio::join!(
        entrance.enter(accepted),
        connector.connect(localhost(), client)
    );
    let (mut entered, mut client) = (entered.unwrap(), client.unwrap());
    let mut buffer = ReadBuffer::new();
    let idle = buffer.read_from(&mut entered.stream);
    let idle = tokio::time::timeout(Duration::from_millis(50), idle).await;
    idle.unwrap_err();
    assert_eq!(buffer.octets().capacity(), 0);
    let wake = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.write_all(&[b'x'; 40_000]).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let read = async {
        let mut total = 0;
        loop {
            match buffer.read_from(&mut entered.stream).await.unwrap() {
                0 => return total,
                count => total += count,
            }
            buffer.clear();
        }
    };
    let ((), total) = tokio::join!(wake, read);
    assert_eq!(total, 40_000);
}

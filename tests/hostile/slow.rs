//! Clients that say one octet at a time, on every listener (slow-loris).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::server::{PLAIN, Server, TLS};

/// What a slow client is about to say.
fn words(service: &str) -> Vec<u8> {
    match service {
        // A TLS record that announces a ClientHello of 16 KiB.
        tls if TLS.contains(&tls) => [&[0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc][..], &[3; 4000]].concat(),
        "metrics" => b"GET /metrics HTTP/1.1\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
        "imap" => b"a LOGIN ada@hostile.test aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
        "pop3" => b"USER aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
        _ => b"EHLO aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
    }
}

#[test]
fn attack_06_a_slow_loris_is_shown_the_door_of_every_listener() {
    let server = Server::start(
        "[limits]\nexempt = [\"127.0.0.1/32\"]\n\
         [deadlines]\nhandshake = \"2s\"\ngreeting = \"2s\"\nlogin = \"4s\"\nline = \"2s\"\n",
    );
    // All at once: each listener has twenty of them.
    let services: Vec<_> = PLAIN
        .iter()
        .chain(&TLS)
        .chain(&["metrics"])
        .copied()
        .collect();
    let start = Instant::now();
    let mut open: Vec<_> = services
        .iter()
        .flat_map(|service| std::iter::repeat_n(*service, 20))
        .map(|service| {
            let mut stream =
                TcpStream::connect(("127.0.0.1", server.port(service))).expect("it listens");
            // Who speaks before the greeting is shown the door for that.
            if PLAIN.contains(&service) {
                let mut greeting = [0; 512];
                let greeted = stream.read(&mut greeting).expect("a greeting");
                assert!(greeted > 0, "{service} closed in place of a greeting");
            }
            stream.set_nonblocking(true).expect("a socket");
            (service, stream)
        })
        .collect();
    let mut said = 0;
    while !open.is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(40),
            "still open: {:?}",
            open.len()
        );
        // An octet from each, then a look at what it says: the end, sooner or later.
        open.retain_mut(|(service, stream)| {
            let words = words(service);
            if said < words.len() && stream.write(&words[said..=said]).is_err() {
                return false;
            }
            let mut heard = [0; 512];
            loop {
                match stream.read(&mut heard) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
                }
            }
        });
        said += 1;
        if said == 20 {
            server.serves_others();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    server.serves_others();
    let told = server.metric("postrider_connection_timeouts_total");
    let all = 20 * PLAIN.len() as u64;
    assert!(
        told >= all,
        "{told} of {all} were given up for their slowness"
    );
}

#[test]
fn attack_06_a_message_that_crawls_is_given_up() {
    let server = Server::start("[limits]\nslowest = 1000\n[deadlines]\ndata = \"1s\"\n");
    let before = server.memory();
    let mut crawling: Vec<_> = (0..50)
        .map(|_| {
            let mut client = server.connect("smtp");
            client.say("EHLO a");
            for command in ["MAIL FROM:<a@b.test>", "RCPT TO:<ada@hostile.test>", "DATA"] {
                client.say(command);
            }
            client
        })
        .collect();
    let start = Instant::now();
    // Ten octets a second: no stall, but no pace either.
    while !crawling.is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "a message may crawl for ever"
        );
        crawling.retain_mut(|client| client.write(b"x"));
        std::thread::sleep(Duration::from_millis(100));
    }
    server.holds_no_more_than(before, 16 << 20, "messages that crawl");
    server.serves_others();
}
